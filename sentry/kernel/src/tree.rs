//! The process tree: parents and children, threads, process groups and sessions, behind one lock.
//!
//! Everything is keyed by numbers of the initial pid namespace. A process stays here as a zombie until it is
//! waited for. **Lock order:** [`rank::TASK_TREE`](ksync::rank::TASK_TREE) (the lock is [`Kernel::tree`](crate::Kernel::tree)).

use crate::{Task, ThreadGroup, pid::Pid};
use abi::Errno;
use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
};

/// How a process or thread ended, as `wait(2)` encodes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitStatus {
    /// `exit(2)` with this code.
    Code(u8),
    /// Killed by this signal.
    Signal {
        /// Number of the signal.
        signo: i32,
        /// Whether a dump would have been written (the bit is set where Linux would set it).
        core: bool,
    },
}

impl ExitStatus {
    /// The status word of `wait4(2)`.
    pub fn wait_status(self) -> i32 {
        match self {
            ExitStatus::Code(code) => i32::from(code) << 8,
            ExitStatus::Signal { signo, core } => signo | if core { 0x80 } else { 0 },
        }
    }
}

/// A process in the tree.
pub struct Node {
    /// The process.
    pub group: Arc<ThreadGroup>,
    /// Its parent; 0 for the first process.
    pub parent: u32,
    /// The thread that made it, which is told of `PTRACE_TRACEME`.
    pub parent_thread: Weak<Task>,
    /// Children, dead or alive.
    pub children: BTreeSet<u32>,
    /// What its threads trace, dead or alive.
    pub tracees: Vec<Arc<Task>>,
    /// The process that traces its leader; 0 for none.
    pub leader_tracer: u32,
    /// Threads, not the leader, that have ended and that their tracers have not waited for: only behind them does the process end.
    pub unreaped_threads: Vec<u32>,
    /// Threads that have not ended; the leader stays until the process is a zombie.
    pub threads: BTreeMap<u32, Arc<Task>>,
    /// Its process group.
    pub pgid: u32,
    /// Its session.
    pub sid: u32,
    /// Set once all threads have ended.
    pub zombie: Option<ExitStatus>,
    /// It has called `execve` since it was forked (`setpgid` by the parent is refused then).
    pub has_execed: bool,
    /// What the parent is sent when it ends (0: nothing).
    pub exit_signal: i32,
    /// Adopts orphans below it (`PR_SET_CHILD_SUBREAPER`).
    pub is_subreaper: bool,
}

/// A session (`setsid(2)`).
#[derive(Default)]
pub struct Session {
    /// Its controlling terminal, to be downcast by [`tty`](crate).
    pub terminal: Option<Arc<dyn Any + Send + Sync>>,
    /// Process groups in it.
    pub groups: BTreeSet<u32>,
}

/// All processes.
#[derive(Default)]
pub struct ProcessTree {
    /// By thread group id.
    pub nodes: BTreeMap<u32, Node>,
    /// Members of each process group.
    pub groups: BTreeMap<u32, BTreeSet<u32>>,
    /// By the leader's id.
    pub sessions: BTreeMap<u32, Session>,
    /// Numbers in use as process, thread, group or session id, kept so that none is handed out again meanwhile.
    pub pids: BTreeMap<u32, Arc<Pid>>,
}

impl ProcessTree {
    /// The process `tgid`.
    pub fn group(&self, tgid: u32) -> Option<&Arc<ThreadGroup>> {
        self.nodes.get(&tgid).map(|n| &n.group)
    }

    /// Whether there are `limit` tasks or more. Processes that ended count until they are waited for, as in a control group.
    pub fn task_count_reaches(&self, limit: u64) -> bool {
        let mut left = limit;
        limit != u64::MAX
            && self.nodes.values().any(|n| {
                left = left.saturating_sub(n.threads.len().max(1) as u64);
                left == 0
            })
    }

    /// The thread `tid` of any process.
    pub fn task(&self, tid: u32) -> Option<Arc<Task>> {
        if let Some(task) = self.nodes.get(&tid).and_then(|n| n.threads.get(&tid)) {
            return Some(task.clone());
        }
        self.nodes.values().find_map(|n| n.threads.get(&tid).cloned())
    }

    /// The processes of process group `pgid`.
    pub fn members(&self, pgid: u32) -> Vec<Arc<ThreadGroup>> {
        self.groups.get(&pgid).into_iter().flatten().filter_map(|tgid| self.group(*tgid).cloned()).collect()
    }

    /// Whether process group `pgid` is orphaned: no member that lives has a parent in its session outside of the group.
    pub fn is_group_orphaned(&self, pgid: u32) -> bool {
        !self.groups.get(&pgid).into_iter().flatten().any(|tgid| {
            let Some(node) = self.nodes.get(tgid).filter(|n| n.zombie.is_none()) else { return false };
            self.nodes.get(&node.parent).is_some_and(|parent| parent.pgid != pgid && parent.sid == node.sid)
        })
    }
}

impl ProcessTree {
    /// `setpgid(2)`: puts `process`, which is `caller` or a child of it, into group `pgid` (`EPERM` if there is no such number).
    pub fn set_process_group(
        &mut self,
        caller: u32,
        process: u32,
        pgid: Result<u32, Errno>,
    ) -> Result<(), Errno> {
        let my_session = self.nodes.get(&caller).ok_or(Errno::ESRCH)?.sid;
        let Some(node) = self.nodes.get(&process) else {
            // A thread that leads no process.
            return Err(if self.task(process).is_some() { Errno::EINVAL } else { Errno::ESRCH });
        };
        if node.parent == caller {
            if node.sid != my_session {
                return Err(Errno::EPERM);
            }
            if node.has_execed {
                return Err(Errno::EACCES);
            }
        } else if process != caller {
            return Err(Errno::ESRCH);
        }
        if node.sid == process {
            return Err(Errno::EPERM); // it leads its session
        }
        let pgid = pgid?;
        let (old, sid) = (node.pgid, node.sid);
        if pgid != process {
            let first = self.groups.get(&pgid).and_then(|members| members.first());
            let there = first.and_then(|member| self.nodes.get(member)).is_some_and(|n| n.sid == my_session);
            if !there {
                return Err(Errno::EPERM);
            }
        }
        if pgid == old {
            return Ok(());
        }
        // The new one first: a session whose last group goes is forgotten.
        self.groups.entry(pgid).or_default().insert(process);
        self.sessions.entry(sid).or_default().groups.insert(pgid);
        self.leave_group(process, old, sid);
        if let Some(node) = self.nodes.get_mut(&process) {
            node.pgid = pgid;
        }
        self.forget_pid_if_unused(old);
        Ok(())
    }

    /// `setsid(2)`: makes `process` the leader of a new session and group. `EPERM` if it leads a group already.
    pub fn begin_session(&mut self, process: u32) -> Result<(), Errno> {
        let node = self.nodes.get(&process).ok_or(Errno::ESRCH)?;
        if self.groups.contains_key(&process) || self.sessions.contains_key(&process) {
            return Err(Errno::EPERM);
        }
        let (pgid, sid) = (node.pgid, node.sid);
        self.leave_group(process, pgid, sid);
        self.groups.entry(process).or_default().insert(process);
        self.sessions.insert(process, Session { terminal: None, groups: BTreeSet::from([process]) });
        if let Some(node) = self.nodes.get_mut(&process) {
            (node.pgid, node.sid) = (process, process);
        }
        self.forget_pid_if_unused(pgid);
        self.forget_pid_if_unused(sid);
        Ok(())
    }
}
