//! Process descriptors (`pidfd_open(2)`): open files that stand for a process or a thread.
//!
//! **Invariant:** readiness is read from flags of the process and thread alone, so it can be asked under any lock.

use crate::{
    Task, ThreadGroup,
    access::{AccessCreds, may_access},
    namespaces::{NamespaceHandle, NamespaceKind},
    pid::Pid,
    task::current,
};
use abi::{Errno, OpenFlags, process::*, stat::FileType};
use ksync::{Ready, WaitQueue};
use mem::UserMemory;
use std::{
    any::Any,
    sync::{Arc, OnceLock, Weak, atomic::Ordering},
};
use vfs::{File, FileOps};

/// Whom a descriptor stands for.
struct Target {
    pid: Arc<Pid>,
    group: Arc<ThreadGroup>,
    /// With `PIDFD_THREAD`.
    thread: Option<Weak<Task>>,
}

/// The operations of a pidfd. It is made empty by `clone(2)` before there is a child, and then stands for nobody.
#[derive(Default)]
pub struct PidFd {
    target: OnceLock<Target>,
    /// Registered with until there is a target.
    nobody: WaitQueue,
}

impl PidFd {
    /// For a process.
    pub fn of_process(group: &Arc<ThreadGroup>) -> Self {
        let fd = Self::default();
        fd.stand_for(group.pid.clone(), group, None);
        fd
    }

    /// For a thread (`PIDFD_THREAD`).
    pub fn of_thread(task: &Arc<Task>) -> Self {
        let fd = Self::default();
        fd.stand_for(task.pid(), &task.group, Some(task));
        fd
    }

    /// Makes an empty one stand for a child, or one of its threads.
    pub fn stand_for(&self, pid: Arc<Pid>, group: &Arc<ThreadGroup>, thread: Option<&Arc<Task>>) {
        let target = Target { pid, group: group.clone(), thread: thread.map(Arc::downgrade) };
        let _ = self.target.set(target);
    }

    /// An open file with these operations.
    pub fn open(self, task: &Task, nonblock: bool) -> Arc<File> {
        let mut flags = OpenFlags::RDWR;
        flags.set(OpenFlags::NONBLOCK, nonblock);
        let cred = task.cred();
        task.kernel.vfs.anon_file("anon_inode:[pidfd]", FileType::Regular, flags, &cred, Box::new(self))
    }

    /// The pidfd behind an open file; `EBADF`.
    pub fn from_file(file: &File) -> Result<&PidFd, Errno> {
        file.downcast::<PidFd>().ok_or(Errno::EBADF)
    }

    fn target(&self) -> Result<&Target, Errno> {
        self.target.get().ok_or(Errno::ESRCH)
    }

    /// The process; `ESRCH` once it has been waited for.
    pub fn process(&self) -> Result<&Arc<ThreadGroup>, Errno> {
        let target = self.target()?;
        if target.group.reaped.load(Ordering::SeqCst) { Err(Errno::ESRCH) } else { Ok(&target.group) }
    }

    /// Its number.
    pub fn pid(&self) -> Result<&Arc<Pid>, Errno> {
        self.target().map(|t| &t.pid)
    }

    /// Whether it stands for a thread.
    pub fn is_thread(&self) -> bool {
        self.target.get().is_some_and(|t| t.thread.is_some())
    }

    /// The thread that it stands for, or any of the process; `ESRCH` if that has ended.
    pub fn thread(&self) -> Result<Arc<Task>, Errno> {
        let target = self.target()?;
        let task = match &target.thread {
            Some(task) => task.upgrade(),
            None => target.group.any_thread(),
        };
        task.filter(|t| !t.dead.load(Ordering::SeqCst)).ok_or(Errno::ESRCH)
    }

    fn readiness(&self) -> Ready {
        let Ok(target) = self.target() else { return Ready::empty() };
        if target.group.reaped.load(Ordering::SeqCst) {
            return Ready::IN | Ready::RDNORM | Ready::HUP;
        }
        let ended = match &target.thread {
            Some(task) => task.upgrade().is_none_or(|t| t.dead.load(Ordering::SeqCst)),
            None => target.group.ended.load(Ordering::SeqCst),
        };
        if ended { Ready::IN | Ready::RDNORM } else { Ready::empty() }
    }
}

impl FileOps for PidFd {
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
        self.readiness()
    }
    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(self.target.get().map_or(&self.nobody, |t| &t.group.exited))
    }
    fn fdinfo(&self, _: &File) -> String {
        let (Ok(target), Some(reader)) = (self.target(), current()) else { return String::new() };
        if target.group.reaped.load(Ordering::SeqCst) {
            return "Pid:\t-1\nNSpid:\t-1\n".into();
        }
        let numbers = target.pid.numbers_from(&reader.pid_namespace());
        let Some(first) = numbers.first() else { return "Pid:\t0\nNSpid:\t0\n".into() };
        let all: String = numbers.iter().map(|n| format!("\t{n}")).collect();
        format!("Pid:\t{first}\nNSpid:{all}\n")
    }
    /// `PIDFD_GET_*_NAMESPACE`: a descriptor of a namespace of the process.
    fn ioctl(&self, _: &File, _: &dyn UserMemory, cmd: u32, arg: u64) -> Result<u64, Errno> {
        let kind = match cmd {
            PIDFD_GET_CGROUP_NAMESPACE => NamespaceKind::Cgroup,
            PIDFD_GET_IPC_NAMESPACE => NamespaceKind::Ipc,
            PIDFD_GET_MNT_NAMESPACE => NamespaceKind::Mount,
            PIDFD_GET_NET_NAMESPACE => NamespaceKind::Net,
            PIDFD_GET_PID_NAMESPACE => NamespaceKind::Pid,
            PIDFD_GET_PID_FOR_CHILDREN_NAMESPACE => NamespaceKind::PidForChildren,
            PIDFD_GET_TIME_NAMESPACE | PIDFD_GET_TIME_FOR_CHILDREN_NAMESPACE => NamespaceKind::Time,
            PIDFD_GET_USER_NAMESPACE => NamespaceKind::User,
            PIDFD_GET_UTS_NAMESPACE => NamespaceKind::Uts,
            _ => return Err(Errno::ENOTTY),
        };
        if arg != 0 {
            return Err(Errno::EINVAL);
        }
        let task = current().ok_or(Errno::ENOTTY)?;
        let target = self.thread()?;
        may_access(&task, &target, AccessCreds::FileSystem)?;
        let handle = NamespaceHandle::of_task(&target, kind)?;
        handle.open_fd(&task).map(|fd| fd.0 as u64)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
