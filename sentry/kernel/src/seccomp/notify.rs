//! User notification (`seccomp_unotify(2)`): a process answers system calls of others.
//!
//! A filter may have a [`Listener`], an open file of whoever watches. A task whose call the filter wants to be answered by it
//! leaves a request there and sleeps; the watcher takes requests, and answers them by their ids.
//!
//! **Lock order:** `Listener::state` is a leaf. **Invariant:** a request is removed by the task that left it and nobody else.
//! **Absent on purpose:** wake-ups on the same CPU (`SECCOMP_IOCTL_NOTIF_SET_FLAGS` is accepted): every wake-up here is one.

use crate::{SysError, SysResult, Task, task::Wait};
use abi::{
    Errno, OpenFlags,
    process::{
        Resource, SECCOMP_ADDFD_FLAG_SEND, SECCOMP_ADDFD_FLAG_SETFD, SECCOMP_IOCTL_NOTIF_ADDFD,
        SECCOMP_IOCTL_NOTIF_ID_VALID, SECCOMP_IOCTL_NOTIF_SEND, SECCOMP_USER_NOTIF_FLAG_CONTINUE,
        SeccompData, SeccompNotif, SeccompNotifAddfd, SeccompNotifResp,
    },
    stat::FileType,
};
use ksync::{Mutex, Ready, WaitQueue, rank};
use mem::{UserAddr, UserMemory, UserMemoryExt, UserPtr};
use std::{
    any::Any,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};
use vfs::{Fd, File, FileOps};

/// `SECCOMP_IOCTL_NOTIF_ID_VALID` with the direction that it had at first.
const ID_VALID_WRONG_DIR: u32 = 0x8008_2102;
/// `SECCOMP_IOCTL_NOTIF_SET_FLAGS`.
const SET_FLAGS: u32 = 0x4008_2104;
/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`.
const SYNC_WAKE_UP: u64 = 1;

/// What a call gives.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Result(u64),
    /// It is made after all.
    Make,
}

enum Stage {
    New,
    Taken,
    Answered(Outcome),
}

struct Request {
    id: u64,
    task: Weak<Task>,
    data: SeccompData,
    stage: Stage,
}

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    /// The watcher has closed its file.
    closed: bool,
    /// No task is under the filter any more.
    abandoned: bool,
}

/// Where the calls wait that a filter wants to be answered by somebody else.
pub struct Listener {
    state: Mutex<State>,
    next_id: AtomicU64,
    queue: WaitQueue,
    /// Once a request was taken, only the end of the task cuts it short (`SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`).
    killable: bool,
}

/// The filter's end of a listener: when the last task under the filter has gone, the watcher is told.
pub struct Watched(pub(super) Arc<Listener>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.state.lock().abandoned = true;
        self.0.queue.notify(Ready::HUP | Ready::OTHER);
    }
}

impl Listener {
    /// One without requests.
    pub fn new(killable: bool) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(rank::LEAF, State::default()),
            // Guessing an id is no way to answer somebody else's call.
            next_id: AtomicU64::new(host::random::u64().unwrap_or(1)),
            queue: WaitQueue::new(),
            killable,
        })
    }

    /// The file of the watcher.
    pub fn open(self: &Arc<Self>, task: &Task) -> Arc<File> {
        let ops = Box::new(ListenerFile(self.clone()));
        let cred = task.cred();
        task.kernel.vfs.anon_file("anon_inode:seccomp notify", FileType::Regular, OpenFlags::RDWR, &cred, ops)
    }

    /// Leaves a request; `ENOSYS` if nobody listens.
    fn post(&self, task: &Arc<Task>, data: SeccompData) -> Result<u64, Errno> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        {
            let mut state = self.state.lock();
            if state.closed {
                return Err(Errno::ENOSYS);
            }
            state.requests.push(Request { id, task: Arc::downgrade(task), data, stage: Stage::New });
        }
        self.queue.notify(Ready::IN | Ready::RDNORM);
        Ok(id)
    }

    /// What became of a request; `EAGAIN` while nothing did, `ENOSYS` once nobody listens.
    fn outcome(&self, id: u64) -> Result<Outcome, Errno> {
        let state = self.state.lock();
        match state.requests.iter().find(|r| r.id == id).map(|r| &r.stage) {
            Some(Stage::Answered(outcome)) => Ok(*outcome),
            _ if state.closed => Err(Errno::ENOSYS),
            _ => Err(Errno::EAGAIN),
        }
    }

    fn is_taken(&self, id: u64) -> bool {
        self.state.lock().requests.iter().any(|r| r.id == id && matches!(r.stage, Stage::Taken))
    }

    fn forget(&self, id: u64) {
        let mut state = self.state.lock();
        let at = state.requests.iter().position(|r| r.id == id);
        let gone = at.map(|at| state.requests.remove(at));
        drop(state);
        drop(gone);
    }

    /// Takes the oldest new request. `EAGAIN`; `ENOENT` once there will be none any more.
    fn take(&self) -> Result<(u64, Weak<Task>, SeccompData), Errno> {
        let mut state = self.state.lock();
        let abandoned = state.abandoned;
        let Some(new) = state.requests.iter_mut().find(|r| matches!(r.stage, Stage::New)) else {
            return Err(if abandoned { Errno::ENOENT } else { Errno::EAGAIN });
        };
        new.stage = Stage::Taken;
        let taken = (new.id, new.task.clone(), new.data);
        drop(state);
        self.queue.notify(Ready::OUT | Ready::WRNORM);
        Ok(taken)
    }

    /// A request could not be told of: somebody else may take it.
    fn put_back(&self, id: u64) {
        let mut state = self.state.lock();
        if let Some(request) = state.requests.iter_mut().find(|r| r.id == id) {
            request.stage = Stage::New;
        }
        drop(state);
        self.queue.notify(Ready::IN | Ready::RDNORM);
    }

    /// The task whose request was taken and is not answered yet. `ENOENT`, `EINPROGRESS`.
    fn task_of(&self, id: u64) -> Result<Arc<Task>, Errno> {
        let state = self.state.lock();
        let request = state.requests.iter().find(|r| r.id == id).ok_or(Errno::ENOENT)?;
        match request.stage {
            Stage::Taken => request.task.upgrade().ok_or(Errno::ENOENT),
            _ => Err(Errno::EINPROGRESS),
        }
    }

    /// Answers a request that was taken. `ENOENT`, `EINPROGRESS`.
    fn answer(&self, id: u64, outcome: Outcome) -> Result<(), Errno> {
        {
            let mut state = self.state.lock();
            let request = state.requests.iter_mut().find(|r| r.id == id).ok_or(Errno::ENOENT)?;
            if !matches!(request.stage, Stage::Taken) {
                return Err(Errno::EINPROGRESS);
            }
            request.stage = Stage::Answered(outcome);
        }
        self.queue.notify(Ready::OTHER);
        Ok(())
    }

    /// `SECCOMP_IOCTL_NOTIF_ADDFD`: the number that the watcher's file has in the task from now on.
    fn add_fd(&self, mem: &dyn UserMemory, arg: u64) -> Result<u64, Errno> {
        let add: SeccompNotifAddfd = UserPtr::from(arg).read(mem)?;
        let known = SECCOMP_ADDFD_FLAG_SETFD | SECCOMP_ADDFD_FLAG_SEND;
        let set = add.flags & SECCOMP_ADDFD_FLAG_SETFD != 0;
        if add.newfd_flags & !OpenFlags::CLOEXEC.bits() != 0
            || add.flags & !known != 0
            || add.newfd != 0 && !set
        {
            return Err(Errno::EINVAL);
        }
        let source = i32::try_from(add.srcfd).map_err(|_| Errno::EBADF)?;
        let file = crate::current().ok_or(Errno::EBADF)?.file(Fd(source))?;
        let task = self.task_of(add.id)?;
        let limit = task.group.limits.lock().soft(Resource::Nofile);
        let cloexec = add.newfd_flags != 0;
        let fds = task.fds()?;
        let fd = if set {
            let fd = Fd(i32::try_from(add.newfd).map_err(|_| Errno::EBADF)?);
            if let Some(replaced) = fds.put(fd, file, limit, cloexec)? {
                task.close_file(replaced);
            }
            fd
        } else {
            fds.add(file, 0, limit, cloexec)?
        };
        let number = fd.0 as u64;
        if add.flags & SECCOMP_ADDFD_FLAG_SEND != 0 {
            self.answer(add.id, Outcome::Result(number))?;
        }
        Ok(number)
    }
}

impl Task {
    /// Has `listener` answer a call; `None` if it is to be made after all.
    pub(crate) async fn ask_listener(
        self: &Arc<Self>,
        listener: Arc<Listener>,
        data: SeccompData,
    ) -> Option<SysResult> {
        let id = match listener.post(self, data) {
            Ok(id) => id,
            Err(e) => return Some(Err(e.into())),
        };
        let wait = Wait::on(&listener.queue, Ready::OTHER);
        let mut result = self.block_on(wait, || listener.outcome(id)).await;
        if matches!(result, Err(SysError::Interrupted(_))) && listener.killable && listener.is_taken(id) {
            result = self.block_on(wait.killable(), || listener.outcome(id)).await;
        }
        listener.forget(id);
        match result {
            Ok(Outcome::Make) => None,
            Ok(Outcome::Result(value)) => Some(Ok(value)),
            Err(e) => Some(Err(e)),
        }
    }
}

/// The open file of a watcher.
pub struct ListenerFile(Arc<Listener>);

impl Drop for ListenerFile {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
        self.0.queue.notify(Ready::OTHER);
    }
}

impl ListenerFile {
    /// `SECCOMP_IOCTL_NOTIF_RECV`: tells `task` of a request, once there is one. `EINVAL` unless the structure is zero before;
    /// `ENOENT` once there will be none.
    pub async fn receive(&self, task: &Arc<Task>, arg: u64) -> SysResult<u64> {
        let mm = task.mm()?;
        let mut before = [0u8; size_of::<SeccompNotif>()];
        mm.copy_in(UserAddr(arg), &mut before)?;
        if before.iter().any(|b| *b != 0) {
            return Err(Errno::EINVAL.into());
        }
        let listener = &self.0;
        let wait = Wait::on(&listener.queue, Ready::IN);
        let (id, of, data) = task.block_on(wait, || listener.take()).await?;
        let pid = of.upgrade().and_then(|t| t.pid().number_in(&task.pid_namespace())).unwrap_or(0);
        let told = UserPtr::from(arg).write(&*mm, &SeccompNotif { id, pid, flags: 0, data });
        Ok(told.map(|()| 0).inspect_err(|_| listener.put_back(id))?)
    }
}

impl FileOps for ListenerFile {
    fn read(&self, _: &File, _: &mut mem::IoDst<'_>) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }
    fn write(&self, _: &File, _: &mut mem::IoSrc<'_>) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }
    fn seekable(&self) -> bool {
        false
    }
    fn ready(&self, _: &File) -> Ready {
        let state = self.0.state.lock();
        let mut ready = Ready::empty();
        for request in &state.requests {
            match request.stage {
                Stage::New => ready |= Ready::IN | Ready::RDNORM,
                Stage::Taken => ready |= Ready::OUT | Ready::WRNORM,
                Stage::Answered(_) => {}
            }
        }
        ready.set(Ready::HUP, state.abandoned);
        ready
    }
    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.0.queue)
    }
    fn ioctl(&self, _: &File, mem: &dyn UserMemory, cmd: u32, arg: u64) -> Result<u64, Errno> {
        match cmd {
            SECCOMP_IOCTL_NOTIF_SEND => {
                let response: SeccompNotifResp = UserPtr::from(arg).read(mem)?;
                let makes = response.flags == SECCOMP_USER_NOTIF_FLAG_CONTINUE;
                let outcome = match response.flags {
                    0 if response.error != 0 => Outcome::Result(i64::from(response.error) as u64),
                    0 => Outcome::Result(response.val as u64),
                    _ if makes && response.error == 0 && response.val == 0 => Outcome::Make,
                    _ => return Err(Errno::EINVAL),
                };
                self.0.answer(response.id, outcome).map(|()| 0)
            }
            SECCOMP_IOCTL_NOTIF_ID_VALID | ID_VALID_WRONG_DIR => {
                let id: u64 = UserPtr::from(arg).read(mem)?;
                self.0.task_of(id).map(|_| 0).map_err(|_| Errno::ENOENT)
            }
            SECCOMP_IOCTL_NOTIF_ADDFD => self.0.add_fd(mem, arg),
            SET_FLAGS if arg & !SYNC_WAKE_UP == 0 => Ok(0),
            _ => Err(Errno::EINVAL),
        }
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
