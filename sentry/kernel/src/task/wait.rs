//! `wait4(2)`, `waitid(2)`: how a parent learns what became of its children.

use super::{Task, Usage, block::Wait};
use crate::{
    SysResult, ThreadGroup,
    ptrace::attach::{Untraced, unlink},
    tree::{ExitStatus, Node, ProcessTree},
};
use abi::{
    Errno, Signal,
    process::{Rusage, WaitOptions},
    signal::{CLD_CONTINUED, CLD_DUMPED, CLD_EXITED, CLD_KILLED, CLD_STOPPED, CLD_TRAPPED},
    time::Timeval,
};
use ksync::Ready;
use std::sync::{Arc, atomic::Ordering};

/// Whom to wait for, by numbers of the initial pid namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitFor {
    /// Any child.
    Any,
    /// This process.
    Process(u32),
    /// Any child in this process group.
    Group(u32),
}

/// What became of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildEvent {
    /// It has ended.
    Ended(ExitStatus),
    /// It was stopped by this signal.
    Stopped(Signal),
    /// A tracee is in a ptrace-stop: the signal, and the event above it.
    Trapped(i32),
    /// It goes on.
    Continued,
}

impl ChildEvent {
    /// The status word of `wait4(2)`.
    pub fn wait_status(self) -> i32 {
        match self {
            ChildEvent::Ended(status) => status.wait_status(),
            ChildEvent::Stopped(signal) => signal.number() << 8 | 0x7f,
            ChildEvent::Trapped(code) => code << 8 | 0x7f,
            ChildEvent::Continued => 0xffff,
        }
    }

    /// `si_code` and `si_status` of `waitid(2)`.
    pub fn code_and_status(self) -> (i32, i32) {
        match self {
            ChildEvent::Ended(ExitStatus::Code(code)) => (CLD_EXITED, i32::from(code)),
            ChildEvent::Ended(ExitStatus::Signal { signo, core }) => {
                (if core { CLD_DUMPED } else { CLD_KILLED }, signo)
            }
            ChildEvent::Stopped(signal) => (CLD_STOPPED, signal.number()),
            ChildEvent::Trapped(code) => (CLD_TRAPPED, code),
            ChildEvent::Continued => (CLD_CONTINUED, Signal::SIGCONT.number()),
        }
    }
}

/// What a wait found.
#[derive(Clone, Copy, Debug)]
pub struct Waited {
    /// The child's number, as the waiting task sees it.
    pub pid: u32,
    /// Its real user, as the waiting task sees it.
    pub uid: u32,
    /// What became of it.
    pub event: ChildEvent,
    /// What it and its descendants used.
    pub usage: Rusage,
}

impl Task {
    /// Waits for a child. `None` with `WNOHANG` where there is nothing yet; `ECHILD` without a child that fits.
    pub async fn wait_child(
        self: &Arc<Self>,
        whom: WaitFor,
        options: WaitOptions,
    ) -> SysResult<Option<Waited>> {
        let look = || self.look_for_child(whom, options);
        if options.contains(WaitOptions::NOHANG) {
            return match look() {
                Ok(found) => Ok(Some(found)),
                Err(Errno::EAGAIN) => Ok(None),
                Err(e) => Err(e.into()),
            };
        }
        self.block_on(Wait::on(&self.group.child_events, Ready::OTHER), look).await.map(Some)
    }

    /// `EAGAIN` where a child or tracee fits but nothing became of it yet.
    fn look_for_child(self: &Arc<Self>, whom: WaitFor, options: WaitOptions) -> Result<Waited, Errno> {
        let mut tree = self.kernel.tree.lock();
        let mut fits_any = false;
        let found = self.find_child(&tree, whom, options, &mut fits_any);
        let found = found.or_else(|| self.find_tracee_event(&tree, whom, options, &mut fits_any));
        let Some(Found { group, task, event }) = found else {
            return Err(if fits_any { Errno::EAGAIN } else { Errno::ECHILD });
        };
        let tgid = group.tgid();
        let number = task.as_ref().map_or_else(|| group.pid.clone(), |t| t.pid());
        let pid = number.number_in(&self.pid_namespace()).unwrap_or(0);
        let usage = group.usage_with_children();
        let mut left = None;
        if !options.contains(WaitOptions::NOWAIT) {
            match event {
                ChildEvent::Ended(_) => left = self.reap(&mut tree, tgid, task.as_ref()),
                ChildEvent::Trapped(_) => {
                    if let Some(task) = &task {
                        task.ptrace.lock().code = 0;
                    }
                }
                ChildEvent::Stopped(_) => group.signals.lock().stop.unreported_stop = None,
                ChildEvent::Continued => group.signals.lock().stop.unreported_continue = false,
            }
        }
        drop(tree);
        if let Some(left) = left {
            left.after();
        }
        let uid = vfs::Uid(group.last_uid.load(Ordering::Relaxed));
        let uid = group.leader_cred().map_or(uid, |c| c.ruid);
        Ok(Waited { pid, uid: self.cred().user_ns.show_uid(uid), event, usage })
    }

    fn find_child(
        &self,
        tree: &ProcessTree,
        whom: WaitFor,
        options: WaitOptions,
        fits_any: &mut bool,
    ) -> Option<Found> {
        let me = tree.nodes.get(&self.group.tgid())?;
        for tgid in &me.children {
            let Some(child) = tree.nodes.get(tgid).filter(|c| fits(c, whom, options)) else { continue };
            // What this process traces itself is looked at as that, so that no stop is told twice.
            if child.leader_tracer == self.group.tgid() || !self.waits_for_children_of(child, options) {
                continue;
            }
            *fits_any = true;
            if let Some(event) = event_of(child, options) {
                return Some(Found { group: child.group.clone(), task: None, event });
            }
        }
        None
    }

    /// `__WNOTHREAD`: not for what other threads made.
    fn waits_for_children_of(&self, child: &Node, options: WaitOptions) -> bool {
        let maker = child.parent_thread.upgrade().filter(|_| options.contains(WaitOptions::NOTHREAD));
        maker.is_none_or(|t| std::ptr::eq(&*t, self) || t.dead.load(Ordering::SeqCst))
    }

    fn find_tracee_event(
        &self,
        tree: &ProcessTree,
        whom: WaitFor,
        options: WaitOptions,
        fits_any: &mut bool,
    ) -> Option<Found> {
        let me = tree.nodes.get(&self.group.tgid())?;
        for task in &me.tracees {
            let Some(node) = tree.nodes.get(&task.group.tgid()) else { continue };
            let fits = match whom {
                WaitFor::Any => true,
                WaitFor::Process(tid) => task.tid() == tid,
                WaitFor::Group(pgid) => node.pgid == pgid,
            };
            let ptrace = task.ptrace.lock();
            let mine = || ptrace.tracer().is_some_and(|t| std::ptr::eq(&*t, self));
            if !fits || options.contains(WaitOptions::NOTHREAD) && !mine() {
                continue;
            }
            *fits_any = true;
            let trapped = (ptrace.is_trapped() && ptrace.code != 0).then_some(ptrace.code);
            drop(ptrace);
            let event = match (ended(node, task), trapped) {
                (Some(status), _) => {
                    options.contains(WaitOptions::EXITED).then_some(ChildEvent::Ended(status))
                }
                (None, Some(code)) => Some(ChildEvent::Trapped(code)),
                (None, None) => {
                    let continued = node.group.signals.lock().stop.unreported_continue;
                    (options.contains(WaitOptions::CONTINUED) && continued).then_some(ChildEvent::Continued)
                }
            };
            if let Some(event) = event {
                return Some(Found { group: node.group.clone(), task: Some(task.clone()), event });
            }
        }
        None
    }

    /// Takes note of an end: a child is forgotten, a tracee is left to its parent.
    fn reap(&self, tree: &mut ProcessTree, tgid: u32, task: Option<&Arc<Task>>) -> Option<Untraced> {
        let parent = tree.nodes.get(&tgid).map_or(0, |n| n.parent);
        let whole = task.is_none_or(|t| t.is_leader());
        let left = task.map(|t| unlink(tree, t));
        if whole && parent == self.group.tgid() {
            if let Some(node) = tree.nodes.get(&tgid) {
                let group = node.group.clone();
                tree.remove(tgid);
                self.group.add_child_times(&group);
            }
            return None;
        }
        left
    }
}

/// A child or tracee of which there is something to tell.
struct Found {
    group: Arc<ThreadGroup>,
    /// The tracee; none for a child that is looked at as such.
    task: Option<Arc<Task>>,
    event: ChildEvent,
}

fn fits(child: &Node, whom: WaitFor, options: WaitOptions) -> bool {
    let by_number = match whom {
        WaitFor::Any => true,
        WaitFor::Process(tgid) => child.group.tgid() == tgid,
        WaitFor::Group(pgid) => child.pgid == pgid,
    };
    let is_clone = child.exit_signal != Signal::SIGCHLD.number();
    by_number && (options.contains(WaitOptions::ALL) || is_clone == options.contains(WaitOptions::CLONE))
}

/// The status of a process that has ended, and that no tracer has to wait for one of its threads first.
fn zombie(node: &Node) -> Option<ExitStatus> {
    node.zombie.filter(|_| node.unreaped_threads.is_empty())
}

/// How a tracee ended, if it did.
fn ended(node: &Node, task: &Arc<Task>) -> Option<ExitStatus> {
    if task.is_leader() {
        return zombie(node);
    }
    node.unreaped_threads.contains(&task.tid()).then(|| node.group.status_of(task))
}

fn event_of(child: &Node, options: WaitOptions) -> Option<ChildEvent> {
    if let Some(status) = zombie(child) {
        // A tracer that is not the parent is first.
        let told = options.contains(WaitOptions::EXITED) && child.leader_tracer == 0;
        return told.then_some(ChildEvent::Ended(status));
    }
    let stop = child.group.signals.lock().stop;
    if options.contains(WaitOptions::STOPPED)
        && let Some(signal) = stop.unreported_stop
    {
        return Some(ChildEvent::Stopped(signal));
    }
    (options.contains(WaitOptions::CONTINUED) && stop.unreported_continue).then_some(ChildEvent::Continued)
}

impl ThreadGroup {
    /// CPU time of the process so far, in nanoseconds: user and system.
    pub fn times_ns(&self) -> (u64, u64) {
        let (mut user, mut system) =
            (self.past_user_ns.load(Ordering::Relaxed), self.past_system_ns.load(Ordering::Relaxed));
        for task in self.signals.lock().live() {
            let (more_user, more_system) = task.times_ns();
            (user, system) = (user + more_user, system + more_system);
        }
        (user, system)
    }

    /// CPU time of children that were waited for, in nanoseconds: user and system.
    pub fn children_times_ns(&self) -> (u64, u64) {
        (self.children_user_ns.load(Ordering::Relaxed), self.children_system_ns.load(Ordering::Relaxed))
    }

    fn usage_with_children(&self) -> Rusage {
        let ((user, system), (children_user, children_system)) = (self.times_ns(), self.children_times_ns());
        let resident_kb = self.max_rss_kb.load(Ordering::Relaxed);
        let mut usage = Rusage {
            ru_utime: Timeval::from_ns(user + children_user),
            ru_stime: Timeval::from_ns(system + children_system),
            ru_maxrss: resident_kb as i64,
            ..Rusage::default()
        };
        let counts = self.counts();
        counts.add(&self.children_usage);
        counts.fill(&mut usage, resident_kb / 4);
        usage
    }

    /// What its threads have been counted for.
    pub fn counts(&self) -> Usage {
        let sum = Usage::default();
        sum.add(&self.past_usage);
        for task in self.signals.lock().live() {
            sum.add(&task.usage);
        }
        sum
    }

    fn add_child_times(&self, child: &ThreadGroup) {
        let ((user, system), (children_user, children_system)) =
            (child.times_ns(), child.children_times_ns());
        self.children_user_ns.fetch_add(user + children_user, Ordering::Relaxed);
        self.children_system_ns.fetch_add(system + children_system, Ordering::Relaxed);
        self.children_usage.add(&child.counts());
        self.children_usage.add(&child.children_usage);
        let rss =
            child.max_rss_kb.load(Ordering::Relaxed).max(child.children_max_rss_kb.load(Ordering::Relaxed));
        self.children_max_rss_kb.fetch_max(rss, Ordering::Relaxed);
    }
}
