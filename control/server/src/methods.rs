//! What a sandbox can be asked to do.

use control_proto::RuntimeState;
use control_proto::{Error, ErrorKind, EventOut, ExecArgs, Process, SignalArgs, WaitPidArgs, event::Event};
use std::os::fd::OwnedFd;

/// Files that came along with an [`ExecArgs`], sorted by purpose.
#[derive(Debug, Default)]
pub struct ExecFiles {
    /// The program itself, in place of a file name.
    pub executable: Option<OwnedFd>,
    /// Number in the new process, and the file. Numbers are not negative; one that is named twice means the
    /// last of them.
    pub guest: Vec<(i32, OwnedFd)>,
}

/// The methods, typed. Each is called on its connection's own thread and may block; several run at the same time.
///
/// An empty container id means the root container. Wait statuses are Linux's (`WEXITSTATUS` and so on).
pub trait Methods: Send + Sync + 'static {
    /// `containerManager.ExecuteAsync`: starts a program; its process id in the container's pid namespace.
    fn execute_async(&self, args: ExecArgs, files: ExecFiles) -> Result<i32, Error>;

    /// `containerManager.WaitPID`: blocks until the process has ended and takes its status. Works for a process
    /// that has ended already, once.
    fn wait_pid(&self, args: &WaitPidArgs) -> Result<u32, Error>;

    /// `Proc.Exec`: starts a program and waits for it.
    fn exec(&self, args: ExecArgs, files: ExecFiles) -> Result<u32, Error> {
        let cid = args.container_id.clone();
        let pid = self.execute_async(args, files)?;
        self.wait_pid(&WaitPidArgs { pid, cid, kill_on_hangup: false })
    }

    /// `containerManager.Processes` and `Proc.Ps`: the processes of a container, in any order.
    fn processes(&self, container: &str) -> Result<Vec<Process>, Error>;

    /// `containerManager.StartRoot`: starts the init that the sandbox was created for.
    fn start_root(&self, container: &str) -> Result<(), Error>;

    /// `containerManager.Wait`: blocks until the container's init has ended; its status, any number of times.
    fn wait(&self, container: &str) -> Result<u32, Error>;

    /// `containerManager.Signal`.
    fn signal(&self, args: &SignalArgs) -> Result<(), Error>;

    /// `containerManager.Pause`: application code stands still when this returns. Of a paused sandbox: an error of
    /// kind [`ErrorKind::WrongState`].
    fn pause(&self) -> Result<(), Error>;

    /// `containerManager.Resume`.
    fn resume(&self) -> Result<(), Error>;

    /// `containerManager.Event`: resource figures now.
    fn event(&self, container: &str) -> Result<EventOut, Error> {
        let event = Event { kind: "stats".into(), id: container.into(), ..Event::default() };
        Ok(EventOut { event, ..EventOut::default() })
    }

    /// `containerManager.ContainerRuntimeState`.
    fn runtime_state(&self, container: &str) -> Result<RuntimeState, Error>;

    /// `containerManager.DestroySubcontainer`: kills every process of the container.
    fn destroy(&self, container: &str) -> Result<(), Error>;

    /// Any method that has no row of its own.
    fn other(&self, method: &str) -> Result<(), Error> {
        let text = format!("{method} is not supported: a sandbox of this version holds one container");
        Err(Error::new(ErrorKind::Unsupported, text).with_errno(ENOTSUP))
    }
}

const ENOTSUP: i32 = 95;
