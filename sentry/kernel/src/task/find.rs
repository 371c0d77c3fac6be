//! Finding other processes and threads by the numbers that a task knows them by.

use super::Task;
use crate::ThreadGroup;
use abi::Errno;
use std::sync::Arc;

impl Task {
    /// The number that `number`, as this task sees it, is in the initial pid namespace; `ESRCH`.
    pub fn root_number(&self, number: i32) -> Result<u32, Errno> {
        let number = u32::try_from(number).map_err(|_| Errno::ESRCH)?;
        self.pid_namespace().find(number).map(|pid| pid.root()).ok_or(Errno::ESRCH)
    }

    /// The process `number`, dead or alive; the number of any of its threads stands for it, as in Linux's
    /// `kill_pid_info`. `ESRCH`.
    pub fn find_process(&self, number: i32) -> Result<Arc<ThreadGroup>, Errno> {
        let root = self.root_number(number)?;
        let tree = self.kernel.tree.lock();
        tree.group(root).cloned().or_else(|| Some(tree.task(root)?.group.clone())).ok_or(Errno::ESRCH)
    }

    /// The living thread `number`; `ESRCH`. Where a leader has ended before other threads, one of those stands for it.
    pub fn find_thread(&self, number: i32) -> Result<Arc<Task>, Errno> {
        let root = self.root_number(number)?;
        let tree = self.kernel.tree.lock();
        tree.task(root)
            .or_else(|| tree.nodes.get(&root)?.threads.values().next().cloned())
            .ok_or(Errno::ESRCH)
    }

    /// The same, with 0 for the calling thread.
    pub fn find_thread_or_self(self: &Arc<Self>, number: i32) -> Result<Arc<Task>, Errno> {
        if number == 0 { Ok(self.clone()) } else { self.find_thread(number) }
    }

    /// The living thread `number` of process `tgid`; `ESRCH`.
    pub fn find_thread_of(&self, tgid: i32, number: i32) -> Result<Arc<Task>, Errno> {
        let (tgid, tid) = (self.root_number(tgid)?, self.root_number(number)?);
        let tree = self.kernel.tree.lock();
        tree.nodes.get(&tgid).and_then(|n| n.threads.get(&tid)).cloned().ok_or(Errno::ESRCH)
    }

    /// A number of the initial pid namespace as this task sees it; 0 where it does not.
    pub fn shown_number(&self, root: u32) -> u32 {
        let ns = self.pid_namespace();
        let pid = self.kernel.tree.lock().pids.get(&root).cloned();
        pid.and_then(|pid| pid.number_in(&ns)).unwrap_or(0)
    }

    /// Its own number, as it sees it itself.
    pub fn own_number(&self) -> u32 {
        self.pid().own_number()
    }

    /// The number of its process, as it sees it itself.
    pub fn own_process_number(&self) -> u32 {
        self.group.pid.own_number()
    }

    /// Process group and session, as numbers of the initial pid namespace.
    pub fn group_and_session(&self) -> (u32, u32) {
        let tree = self.kernel.tree.lock();
        tree.nodes.get(&self.group.tgid()).map_or((0, 0), |n| (n.pgid, n.sid))
    }
}

impl ThreadGroup {
    /// Its leader, or another of its threads if that has ended; none once all have.
    pub fn any_thread(&self) -> Option<Arc<Task>> {
        self.signals.lock().live().next()
    }
}
