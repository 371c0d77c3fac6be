//! What a directory of `/proc` is about: a process or one of its threads, seen from a pid namespace.

use crate::pseudo::Owner;
use abi::Errno;
use kernel::{
    Task, ThreadGroup,
    access::{AccessCreds, may_access},
    current,
    pid::{Pid, PidNamespace},
};
use mm::AddressSpace;
use std::sync::{Arc, Weak, atomic::Ordering};
use vfs::{Credentials, Gid, Uid};

/// A process, or one of its threads, as one mount of proc sees it. It may have ended meanwhile.
pub(super) struct Process {
    /// Whose numbers are shown.
    pub ns: Arc<PidNamespace>,
    group: Weak<ThreadGroup>,
    /// The thread, below `task`.
    thread: Option<Weak<Task>>,
}

impl Process {
    /// A process.
    pub fn new(ns: &Arc<PidNamespace>, group: &Arc<ThreadGroup>) -> Arc<Self> {
        Arc::new(Self { ns: ns.clone(), group: Arc::downgrade(group), thread: None })
    }

    /// A thread of the same process.
    pub fn thread(&self, task: &Arc<Task>) -> Arc<Self> {
        Arc::new(Self { ns: self.ns.clone(), group: self.group.clone(), thread: Some(Arc::downgrade(task)) })
    }

    /// Whether it is about one thread only.
    pub fn is_thread(&self) -> bool {
        self.thread.is_some()
    }

    /// The process, dead or alive; `ESRCH` once it has been waited for.
    pub fn group(&self) -> Result<Arc<ThreadGroup>, Errno> {
        let group = self.group.upgrade().ok_or(Errno::ESRCH)?;
        if group.reaped.load(Ordering::Acquire) { Err(Errno::ESRCH) } else { Ok(group) }
    }

    /// The thread, or the leader of the process, or another of its threads if that has ended; `ESRCH` for zombies.
    pub fn task(&self) -> Result<Arc<Task>, Errno> {
        let group = self.group()?;
        if let Some(thread) = &self.thread {
            let task = thread.upgrade().ok_or(Errno::ESRCH)?;
            return if task.dead.load(Ordering::Relaxed) { Err(Errno::ESRCH) } else { Ok(task) };
        }
        let tree = group.kernel.tree.lock();
        let threads = &tree.nodes.get(&group.tgid()).ok_or(Errno::ESRCH)?.threads;
        threads.get(&group.tgid()).or_else(|| threads.values().next()).cloned().ok_or(Errno::ESRCH)
    }

    /// Its number: of the thread, or of the process.
    pub fn pid(&self) -> Result<Arc<Pid>, Errno> {
        match self.thread {
            Some(_) => Ok(self.task()?.pid()),
            None => Ok(self.group()?.pid.clone()),
        }
    }

    /// Its name.
    pub fn comm(&self) -> Result<Vec<u8>, Errno> {
        if let Ok(task) = self.task() {
            return Ok(task.state.lock().comm.clone());
        }
        let remains = self.group()?.remains.lock().clone();
        Ok(remains.map(|r| r.comm).unwrap_or_default())
    }

    /// Who it acts as.
    pub fn cred(&self) -> Result<Arc<Credentials>, Errno> {
        if let Ok(task) = self.task() {
            return Ok(task.cred());
        }
        let remains = self.group()?.remains.lock().clone();
        remains.map(|r| r.cred).ok_or(Errno::ESRCH)
    }

    /// Its memory; none for zombies.
    pub fn mm(&self) -> Option<Arc<AddressSpace>> {
        self.task().ok()?.mm().ok()
    }

    /// The task, if the caller may look into it; `EACCES` otherwise.
    pub fn accessible(&self) -> Result<Arc<Task>, Errno> {
        let task = self.task()?;
        if let Some(caller) = current() {
            may_access(&caller, &task, AccessCreds::FileSystem).map_err(|_| Errno::EACCES)?;
        }
        Ok(task)
    }

    /// A number of the initial pid namespace as it is seen here; 0 where it is not.
    pub fn shown(&self, root: u32) -> u32 {
        let Ok(group) = self.group() else { return 0 };
        let pid = group.kernel.tree.lock().pids.get(&root).cloned();
        pid.and_then(|p| p.number_in(&self.ns)).unwrap_or(0)
    }
}

impl Owner for Process {
    fn ids(&self, mode: u32) -> (Uid, Gid) {
        let Ok(cred) = self.cred() else { return (Uid::ROOT, Gid::ROOT) };
        // The directories themselves always are the process' own; what is in them belongs to root where nobody may look
        // into the process.
        if mode != 0o555 && self.mm().is_some_and(|mm| mm.dumpable() != 1) {
            let ns = &cred.user_ns;
            return (ns.uid(0).unwrap_or(Uid::ROOT), ns.gid(0).unwrap_or(Gid::ROOT));
        }
        (cred.euid, cred.egid)
    }
    fn alive(&self) -> bool {
        match self.thread {
            Some(_) => self.task().is_ok(),
            None => self.group().is_ok(),
        }
    }
}
