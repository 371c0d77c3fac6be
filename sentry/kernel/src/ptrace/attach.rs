//! Who traces whom: `PTRACE_TRACEME`, `ATTACH`, `SEIZE`, `DETACH`, children of tracees, the end of tracers and tracees.

use super::{Hooks, resume};
use crate::{
    SysResult, Task, ThreadGroup,
    access::{AccessCreds, may_access},
    task::Wait,
    tree::{ExitStatus, ProcessTree},
};
use abi::{
    Errno, SigInfo, Signal,
    process::{Cap, PtraceOptions},
    signal::SI_USER,
};
use ksync::Ready;
use std::sync::{Arc, atomic::Ordering};
use vfs::Credentials;

impl Task {
    /// `PTRACE_TRACEME`: the parent becomes the tracer. `EPERM` if there is one already, or the parent could not attach.
    pub fn trace_me(self: &Arc<Self>) -> Result<(), Errno> {
        let mut tree = self.kernel.tree.lock();
        if self.is_traced() {
            return Err(Errno::EPERM);
        }
        let Some(parent) = tree.parent_thread(&self.group) else { return Err(Errno::EPERM) };
        let (mine, theirs) = (self.cred(), parent.cred());
        let no_more = theirs.user_ns.id == mine.user_ns.id && mine.permitted.is_subset(theirs.permitted);
        if !no_more && !theirs.has_cap_in(&mine.user_ns, Cap::SYS_PTRACE) {
            return Err(Errno::EPERM);
        }
        if !parent.dead.load(Ordering::SeqCst) {
            link(&mut tree, self, &parent, theirs, PtraceOptions::empty(), Hooks::TRACED);
        }
        Ok(())
    }

    /// `PTRACE_ATTACH`, or `PTRACE_SEIZE` with its options, of thread `number`.
    pub async fn attach_to(self: &Arc<Self>, number: i32, seize: Option<PtraceOptions>) -> SysResult<()> {
        let root = self.root_number(number)?;
        let target = self.kernel.tree.lock().task(root);
        // What has ended and was not waited for cannot be traced any more.
        let Some(target) = target else { return Err(Errno::EPERM.into()) };
        if Arc::ptr_eq(&target.group, &self.group) {
            return Err(Errno::EPERM.into());
        }
        may_access(self, &target, AccessCreds::Real)?;
        {
            let mut tree = self.kernel.tree.lock();
            let there = tree
                .nodes
                .get(&target.group.tgid())
                .is_some_and(|n| n.threads.get(&target.tid()).is_some_and(|t| Arc::ptr_eq(t, &target)));
            if target.is_traced() || !there {
                return Err(Errno::EPERM.into());
            }
            let hooks = if seize.is_some() { Hooks::TRACED | Hooks::SEIZED } else { Hooks::TRACED };
            link(&mut tree, &target, self, self.cred(), seize.unwrap_or_default(), hooks);
        }
        if seize.is_none() {
            let _ = target.send_signal_as(SigInfo::kernel(Signal::SIGSTOP), true); // only SIGKILL's end comes first
        }
        // One that is stopped with its process is in a ptrace-stop by the time that this returns.
        if target.is_asleep_in_stop() {
            target.add_hooks(Hooks::TRAP_STOP);
            target.set_work();
            let moved = || {
                let on_its_way = target.is_asleep_in_stop() || target.hooks().contains(Hooks::TRAP_STOP);
                if on_its_way && !target.is_killed() { Err(Errno::EAGAIN) } else { Ok(()) }
            };
            self.block_on(Wait::on(&self.group.child_events, Ready::OTHER).killable(), moved).await?;
        }
        Ok(())
    }

    /// `PTRACE_DETACH`: the tracee goes on with `signal`, untraced. It has to be stopped.
    pub fn detach_from(self: &Arc<Self>, target: &Arc<Task>, signal: u64) -> Result<(), Errno> {
        let code = resume::signal_number(signal)?;
        let mut tree = self.kernel.tree.lock();
        {
            let mut ptrace = target.ptrace.lock();
            if !ptrace.is_open() {
                return Err(Errno::ESRCH);
            }
            ptrace.code = code;
        }
        let left = unlink(&mut tree, target);
        drop(tree);
        left.after();
        Ok(())
    }

    /// A new child or thread of this task, before it runs, under the tree's lock: it is traced, too, if `event` is one that the
    /// tracer wants to know of, or `CLONE_PTRACE` says so.
    pub(crate) fn pass_tracer_on(self: &Arc<Self>, tree: &mut ProcessTree, child: &Arc<Task>) {
        let (tracer, cred, options) = {
            let ptrace = self.ptrace.lock();
            (ptrace.tracer(), ptrace.tracer_cred.clone(), ptrace.options)
        };
        let (Some(tracer), Some(cred)) = (tracer, cred) else { return };
        let hooks = self.hooks() & (Hooks::TRACED | Hooks::SEIZED);
        link(tree, child, &tracer, cred, options, hooks);
        if hooks.contains(Hooks::SEIZED) {
            child.add_hooks(Hooks::TRAP_STOP);
        } else {
            let info = SigInfo::kill(Signal::SIGSTOP, SI_USER, 0, 0);
            let _ = child.signals.lock().pending.push(info, u64::MAX);
        }
        child.work.store(true, Ordering::SeqCst);
    }

    /// The thread ends: its tracees go on without it, or end as well if it asked for that (`PTRACE_O_EXITKILL`).
    pub(crate) fn let_tracees_go(self: &Arc<Self>) {
        let mut left = Vec::new();
        {
            let mut tree = self.kernel.tree.lock();
            let Some(node) = tree.nodes.get(&self.group.tgid()) else { return };
            if node.tracees.is_empty() {
                return;
            }
            let traces = |t: &&Arc<Task>| {
                t.ptrace.lock().tracer.as_ref().is_some_and(|w| w.ptr_eq(&Arc::downgrade(self)))
            };
            let mine: Vec<_> = node.tracees.iter().filter(traces).cloned().collect();
            for tracee in mine {
                let kill = tracee.ptrace.lock().options.contains(PtraceOptions::EXITKILL);
                left.push((unlink(&mut tree, &tracee), kill));
            }
        }
        for (left, kill) in left {
            if kill {
                left.task.kill_group(Signal::SIGKILL);
            }
            left.after();
        }
    }

    /// It has become its process' leader by `execve`: the old one vanishes, without its tracer's being told.
    pub(crate) fn take_leaders_tracer(self: &Arc<Self>, tree: &mut ProcessTree) {
        let tgid = self.group.tgid();
        let tracer = tree.nodes.get(&tgid).map_or(0, |n| n.leader_tracer);
        if let Some(node) = tree.nodes.get_mut(&tracer) {
            node.tracees.retain(|t| t.tid() != tgid || Arc::ptr_eq(t, self));
        }
        let tracer = self.tracer().map_or(0, |t| t.group.tgid());
        if let Some(node) = tree.nodes.get_mut(&tgid) {
            node.leader_tracer = tracer;
        }
    }

    /// Whether a program that it executes may gain privileges: an untraced one may, one whose tracer could trace it then, too.
    pub(crate) fn tracer_allows_privileges(&self) -> bool {
        let cred = self.ptrace.lock().tracer_cred.clone().filter(|_| self.is_traced());
        cred.is_none_or(|c| c.has_cap_in(&self.cred().user_ns, Cap::SYS_PTRACE))
    }
}

/// Makes `tracer` trace `target`.
fn link(
    tree: &mut ProcessTree,
    target: &Arc<Task>,
    tracer: &Arc<Task>,
    cred: Arc<Credentials>,
    options: PtraceOptions,
    hooks: Hooks,
) {
    let tgid = tracer.group.tgid();
    {
        // A stop that the last tracer let it go on from may not be over yet.
        let mut ptrace = target.ptrace.lock();
        (ptrace.tracer, ptrace.tracer_cred, ptrace.options) =
            (Some(Arc::downgrade(tracer)), Some(cred), options);
    }
    target.add_hooks(hooks);
    if let Some(node) = tree.nodes.get_mut(&tgid) {
        node.tracees.push(target.clone());
    }
    if target.is_leader()
        && let Some(node) = tree.nodes.get_mut(&target.group.tgid())
    {
        node.leader_tracer = tgid;
    }
}

/// A task that nobody traces any more.
pub(crate) struct Untraced {
    task: Arc<Task>,
    /// The end of its process can be told now.
    announce: bool,
}

impl Untraced {
    /// What is to be done without the tree's lock.
    pub fn after(self) {
        self.task.set_work();
        if self.announce {
            self.task.group.announce_end();
        }
    }
}

/// Ends the tracing of `target`, and the ptrace-stop that it is in.
pub(crate) fn unlink(tree: &mut ProcessTree, target: &Arc<Task>) -> Untraced {
    let tracer = {
        let mut ptrace = target.ptrace.lock();
        let tracer = ptrace.tracer.take();
        (ptrace.tracer_cred, ptrace.options, ptrace.listening) = (None, PtraceOptions::empty(), false);
        if let Some(stop) = &mut ptrace.stop {
            stop.resumed = true;
        }
        tracer
    };
    target.remove_hooks(Hooks::OF_TRACER);
    target.rejoin_stop();
    if let Some(tracer) = tracer.and_then(|t| t.upgrade())
        && let Some(node) = tree.nodes.get_mut(&tracer.group.tgid())
    {
        node.tracees.retain(|t| !Arc::ptr_eq(t, target));
    }
    let mut announce = false;
    if let Some(node) = tree.nodes.get_mut(&target.group.tgid()) {
        if target.is_leader() {
            node.leader_tracer = 0;
            announce = node.zombie.is_some();
        } else if let Some(at) = node.unreaped_threads.iter().position(|t| *t == target.tid()) {
            node.unreaped_threads.swap_remove(at);
            announce = node.zombie.is_some();
        }
    }
    Untraced { task: target.clone(), announce }
}

impl ProcessTree {
    /// The thread that made process `group`, or another of its parent's if that has ended.
    pub(crate) fn parent_thread(&self, group: &ThreadGroup) -> Option<Arc<Task>> {
        let node = self.nodes.get(&group.tgid())?;
        let parent = self.nodes.get(&node.parent)?;
        let maker = node.parent_thread.upgrade().filter(|t| Arc::ptr_eq(&t.group, &parent.group));
        let living = maker.filter(|t| !t.dead.load(Ordering::SeqCst));
        living.or_else(|| parent.threads.values().next().cloned())
    }

    /// A thread that is not its process' leader ended, with the tree locked: its tracer may still wait for it.
    pub(crate) fn keep_for_tracer(&mut self, task: &Arc<Task>) -> bool {
        if !task.is_traced() || task.is_leader() {
            return false;
        }
        let Some(node) = self.nodes.get_mut(&task.group.tgid()) else { return false };
        node.unreaped_threads.push(task.tid());
        true
    }
}

impl ThreadGroup {
    /// The status with which `task` ends, as its tracer is told.
    pub(crate) fn status_of(&self, task: &Task) -> ExitStatus {
        let own = *task.exit_code.lock();
        (*self.exiting.lock()).or(own).unwrap_or(ExitStatus::Code(0))
    }
}
