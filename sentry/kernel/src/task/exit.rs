//! The end of threads and processes.

use super::Task;
use crate::{
    Kernel, ThreadGroup,
    pid::Pid,
    ptrace::Event,
    thread_group::Remains,
    tree::{ExitStatus, ProcessTree},
};
use abi::{
    SigInfo, Signal,
    signal::{CLD_DUMPED, CLD_EXITED, CLD_KILLED, SaFlags},
};
use ksync::Ready;
use std::sync::{Arc, atomic::Ordering};

impl Task {
    /// `exit(2)`: this thread alone ends; the last one's code is the process'.
    pub fn exit(self: &Arc<Self>, code: i32) {
        self.exit_by(ExitStatus::Code(code as u8)); // the low byte is all that wait gives
    }

    /// This thread alone ends, with any status.
    pub(crate) fn exit_by(self: &Arc<Self>, status: ExitStatus) {
        *self.exit_code.lock() = Some(status);
        self.mark_killed();
        self.set_work();
    }

    /// `exit_group(2)`: the process ends.
    pub fn exit_group(self: &Arc<Self>, code: i32) {
        self.group.begin_exit(ExitStatus::Code(code as u8));
    }

    /// Everything that the end of a thread entails, on its own behalf.
    pub(crate) async fn finish(self: &Arc<Self>) {
        if self.reports(Event::Exit) {
            let status = self.group.status_of(self).wait_status();
            Box::pin(self.report(Event::Exit, status as u64)).await;
        }
        self.dead.store(true, Ordering::SeqCst);
        let ended = (*self.group.exiting.lock()).or(*self.exit_code.lock()).unwrap_or(ExitStatus::Code(0));
        self.kernel.syscalls.thread_ended(self, ended);
        self.release_robust_futexes();
        self.let_go_of_memory();
        self.exit_ipc();
        let fds = self.state.lock().fds.take();
        self.close_table(fds);
        let context = self.context.lock().take();
        drop(context);
        let status = *self.exit_code.lock();
        if self.is_leader() {
            *self.group.leader_status.lock() = status;
        }
        let filters = std::mem::take(&mut *self.seccomp.lock());
        drop(filters); // a watcher is told of the end of the last task
        self.let_tracees_go();
        let (last, traced) = self.leave_group();
        if traced {
            self.tell_tracer_of_end();
        }
        if last {
            let of_leader = *self.group.leader_status.lock();
            let status = (*self.group.exiting.lock()).or(of_leader).or(status).unwrap_or(ExitStatus::Code(0));
            self.end_process(status).await;
        }
    }

    /// Tells whoever waits for this thread's memory, and lets go of it.
    pub(crate) fn let_go_of_memory(self: &Arc<Self>) {
        let (mm, clear) = {
            let mut state = self.state.lock();
            (state.mm.clone(), std::mem::take(&mut state.clear_child_tid))
        };
        // Alone in its memory, nobody is left to see it (Linux: `mm_release`).
        if let Some(mm) = mm
            && clear != 0
            && Arc::strong_count(&mm) > 2
        // this one, the task's, and somebody else's
        {
            let _ = mem::UserPtr::<u32>::from(clear).write(&*mm, &0);
            self.kernel.futexes.wake(&mm, clear, false, 1, u32::MAX);
        }
        let mm = self.state.lock().mm.take();
        if let Some(mm) = &mm
            && Arc::strong_count(mm) == 1
        {
            self.group.max_rss_kb.fetch_max(mm.sizes().vm_hwm >> 10, Ordering::Relaxed);
        }
        drop(mm);
        self.release_vfork_parent();
    }

    /// Closes the descriptors if no other task has the table.
    fn close_table(&self, fds: Option<Arc<vfs::FdTable>>) {
        let Some(fds) = fds else { return };
        if Arc::strong_count(&fds) == 1 {
            for file in fds.remove_range(0, u32::MAX) {
                self.close_file(file);
            }
        }
    }

    /// What `close(2)` does with a file whose descriptor is gone. An error of the last write-back.
    pub fn close_file(&self, file: Arc<vfs::File>) -> Option<abi::Errno> {
        let result = file.ops().flush(&file).err();
        vfs::locks::descriptor_closed(&file.inode(), u64::from(self.group.tgid()));
        result
    }

    /// Leaves the thread group; whether it was the last thread, and whether it stays for its tracer to wait for.
    fn leave_group(self: &Arc<Self>) -> (bool, bool) {
        let user = self.user_ns.load(Ordering::Relaxed);
        let system = self.system_ns.load(Ordering::Relaxed);
        self.group.past_user_ns.fetch_add(user, Ordering::Relaxed);
        self.group.past_system_ns.fetch_add(system, Ordering::Relaxed);
        self.group.past_usage.add(&self.usage);
        let remains = {
            let state = self.state.lock();
            Remains { comm: state.comm.clone(), cred: state.cred.clone() }
        };
        self.group.last_uid.store(remains.cred.ruid.0, Ordering::Relaxed);
        let before = self.group.remains.lock().replace(remains);
        drop(before);
        let mut tree = self.kernel.tree.lock();
        let tid = self.tid();
        let me = Arc::downgrade(self);
        self.group.signals.lock().threads.retain(|t| !t.ptr_eq(&me));
        let Some(node) = tree.nodes.get_mut(&self.group.tgid()) else { return (false, false) };
        node.threads.remove(&tid);
        let last = node.threads.is_empty();
        let traced = tree.keep_for_tracer(self);
        if tid != self.group.tgid() {
            tree.pids.remove(&tid);
        }
        drop(tree);
        self.group.child_events.notify(Ready::OTHER); // an exec may wait to be alone
        self.group.exited.notify(Ready::IN | Ready::RDNORM); // descriptors of threads
        (last, traced)
    }

    /// The last thread has ended: children get another parent, the parent is told.
    async fn end_process(self: &Arc<Self>, status: ExitStatus) {
        let pid_ns = self.pid_namespace();
        if self.group.pid.number_in(&pid_ns) == Some(1) {
            pid_ns.dead.store(true, Ordering::SeqCst);
            self.end_pid_namespace(&pid_ns).await;
        }
        self.group.delete_all_timers();
        self.group.leave_terminal();
        let mut told = Vec::new();
        let adopted = {
            let mut tree = self.kernel.tree.lock();
            let tgid = self.group.tgid();
            told.extend(orphaned_by(&tree, tgid));
            let adopted = reparent_children(&mut tree, tgid);
            let Some(node) = tree.nodes.get_mut(&tgid) else { return };
            node.zombie = Some(status);
            adopted
        };
        for group in told {
            let _ = group.send_signal(SigInfo::kernel(Signal::SIGHUP));
            let _ = group.send_signal(SigInfo::kernel(Signal::SIGCONT));
        }
        self.group.ended.store(true, Ordering::SeqCst);
        self.group.exited.notify(Ready::IN | Ready::HUP | Ready::OTHER);
        for (child, death_signal, zombie) in adopted {
            if let Some(signal) = Signal::new(death_signal) {
                let _ = child.send_signal(SigInfo::kernel(signal));
            }
            if zombie {
                child.announce_end();
            }
        }
        self.group.announce_end();
    }

    /// The first process of a pid namespace ends: all others in it are killed and waited for.
    async fn end_pid_namespace(self: &Arc<Self>, ns: &Arc<crate::pid::PidNamespace>) {
        let me = self.group.tgid();
        let others = |tree: &ProcessTree| -> Vec<Arc<ThreadGroup>> {
            let inside = |n: &&crate::tree::Node| n.group.tgid() != me && n.group.pid.number_in(ns).is_some();
            tree.nodes.values().filter(inside).map(|n| n.group.clone()).collect()
        };
        for group in others(&self.kernel.tree.lock()) {
            group.begin_exit(ExitStatus::Signal { signo: Signal::SIGKILL.number(), core: false });
        }
        // The thread is dead already, so nothing cuts this short; every process that is left ends by itself.
        let alone = std::future::poll_fn(|cx| {
            let waker: Arc<dyn ksync::Listener> = Arc::new(cx.waker().clone());
            let registration = self.group.child_events.register(Ready::OTHER, waker);
            self.kernel.pause.keep(self.tid(), registration);
            reap_inside(&self.kernel, me, ns);
            match others(&self.kernel.tree.lock()).is_empty() {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            }
        });
        alone.await;
        self.kernel.pause.forget(self.tid());
    }
}

/// Removes the zombies among the children of `init`, which nobody will wait for any more.
fn reap_inside(kernel: &Kernel, init: u32, ns: &crate::pid::PidNamespace) {
    let mut tree = kernel.tree.lock();
    let children: Vec<u32> =
        tree.nodes.get(&init).map(|n| n.children.iter().copied().collect()).unwrap_or_default();
    for child in children {
        // A tracer outside comes first.
        let dead = tree.nodes.get(&child).is_some_and(|n| {
            let told = n.zombie.is_some() && n.leader_tracer == 0 && n.unreaped_threads.is_empty();
            told && n.group.pid.number_in(ns).is_some()
        });
        if dead {
            tree.remove(child);
        }
    }
}

/// Stopped process groups that the end of `tgid` leaves without anybody who could continue them.
fn orphaned_by(tree: &ProcessTree, tgid: u32) -> Vec<Arc<ThreadGroup>> {
    let Some(me) = tree.nodes.get(&tgid) else { return Vec::new() };
    let mut candidates: std::collections::BTreeSet<u32> = me
        .children
        .iter()
        .filter_map(|c| tree.nodes.get(c))
        .filter(|c| c.sid == me.sid)
        .map(|c| c.pgid)
        .collect();
    candidates.insert(me.pgid);
    let mut told = Vec::new();
    for pgid in candidates {
        // Orphaned once `tgid` counts neither as parent nor as member.
        let kept = tree.groups.get(&pgid).into_iter().flatten().any(|member| {
            let Some(node) = tree.nodes.get(member).filter(|n| n.zombie.is_none() && *member != tgid) else {
                return false;
            };
            let parent = if node.parent == tgid { None } else { tree.nodes.get(&node.parent) };
            parent.is_some_and(|p| p.pgid != pgid && p.sid == node.sid)
        });
        let was = tree.is_group_orphaned(pgid);
        let members = tree.members(pgid);
        if !was && !kept && members.iter().any(|g| g.signals.lock().stop.is_stopped()) {
            told.extend(members.into_iter().filter(|g| g.tgid() != tgid));
        }
    }
    told
}

/// Gives the children of `tgid` to the nearest subreaper, or the first process of their pid namespace: each with the
/// signal that it asked for, and whether it is a zombie.
fn reparent_children(tree: &mut ProcessTree, tgid: u32) -> Vec<(Arc<ThreadGroup>, i32, bool)> {
    let Some(me) = tree.nodes.get_mut(&tgid) else { return Vec::new() };
    let children = std::mem::take(&mut me.children);
    let reaper = find_reaper(tree, tgid);
    let mut adopted = Vec::new();
    for child in children {
        let Some(node) = tree.nodes.get_mut(&child) else { continue };
        node.parent = reaper;
        node.exit_signal = Signal::SIGCHLD.number();
        let death = node.threads.values().next().map_or(0, |t| t.state.lock().parent_death_signal);
        adopted.push((node.group.clone(), death, node.zombie.is_some()));
        if let Some(reaper) = tree.nodes.get_mut(&reaper) {
            reaper.children.insert(child);
        }
    }
    adopted
}

/// The nearest living ancestor of `tgid` that adopts orphans.
fn find_reaper(tree: &ProcessTree, tgid: u32) -> u32 {
    let init = tree
        .nodes
        .get(&tgid)
        .and_then(|n| n.group.pid.namespace().map(|ns| ns.init.load(Ordering::SeqCst)))
        .filter(|init| *init != tgid);
    let mut at = tree.nodes.get(&tgid).map_or(0, |n| n.parent);
    while let Some(node) = tree.nodes.get(&at) {
        if Some(at) == init || node.is_subreaper && node.zombie.is_none() && !node.threads.is_empty() {
            return at;
        }
        at = node.parent;
    }
    init.unwrap_or(0)
}

impl ThreadGroup {
    /// Tells of the end of the process, once no tracer has to wait for one of its threads first: the tracer of the leader, and when
    /// that has waited, the parent.
    pub(crate) fn announce_end(self: &Arc<Self>) {
        let (told, traced, exit_signal, status) = {
            let tree = self.kernel.tree.lock();
            let Some(node) = tree.nodes.get(&self.tgid()) else { return };
            let Some(status) = node.zombie.filter(|_| node.unreaped_threads.is_empty()) else { return };
            let told = if node.leader_tracer != 0 { node.leader_tracer } else { node.parent };
            let signal = if told == node.parent { node.exit_signal } else { Signal::SIGCHLD.number() };
            (tree.group(told).cloned(), node.leader_tracer != 0, signal, status)
        };
        match told {
            Some(told) => self.tell_of_end(&told, self.pid.clone(), traced, exit_signal, status),
            None => self.kernel.root_ended(self, status),
        }
    }

    /// Wakes `parent` that waits, sends it the exit signal about the process or thread `pid`, and removes the zombie where
    /// nobody wants it. A tracer always does.
    fn tell_of_end(
        self: &Arc<Self>,
        parent: &Arc<ThreadGroup>,
        pid: Arc<Pid>,
        traced: bool,
        exit_signal: i32,
        status: ExitStatus,
    ) {
        let mut unwanted = false;
        if let Some(signal) = Signal::new(exit_signal) {
            let action = parent.signals.lock().hand.get(signal);
            unwanted = !traced
                && signal == Signal::SIGCHLD
                && (action.is_ignore() || action.sa_flags().contains(SaFlags::NOCLDWAIT));
            let (code, value) = match status {
                ExitStatus::Code(code) => (CLD_EXITED, i32::from(code)),
                ExitStatus::Signal { signo, core } => (if core { CLD_DUMPED } else { CLD_KILLED }, signo),
            };
            let (_, uid) = self.seen_by(parent);
            let pid = parent.pid.namespace().and_then(|ns| pid.number_in(ns)).unwrap_or(0) as i32;
            let tick = |ns: &std::sync::atomic::AtomicU64| (ns.load(Ordering::Relaxed) / 10_000_000) as i64;
            let mut info =
                SigInfo::chld(code, pid, uid, value, tick(&self.past_user_ns), tick(&self.past_system_ns));
            info.si_signo = signal.number();
            let _ = parent.send_signal(info);
        }
        if unwanted {
            self.kernel.tree.lock().remove(self.tgid());
        }
        parent.child_events.notify(Ready::OTHER);
    }
}

impl Task {
    /// The thread, not its process' leader, has ended, and its tracer may wait for it.
    fn tell_tracer_of_end(self: &Arc<Self>) {
        let Some(tracer) = self.tracer() else { return };
        let status = self.group.status_of(self);
        self.group.tell_of_end(&tracer.group, self.pid(), true, Signal::SIGCHLD.number(), status);
    }
}

impl ProcessTree {
    /// Forgets a zombie; its parent's table, group and session let go of it.
    pub fn remove(&mut self, tgid: u32) {
        let Some(node) = self.nodes.remove(&tgid) else { return };
        node.group.reaped.store(true, Ordering::SeqCst);
        node.group.exited.notify(Ready::IN | Ready::RDNORM | Ready::HUP);
        if let Some(parent) = self.nodes.get_mut(&node.parent) {
            parent.children.remove(&tgid);
        }
        self.leave_group(tgid, node.pgid, node.sid);
        self.forget_pid_if_unused(tgid);
        self.forget_pid_if_unused(node.pgid);
        self.forget_pid_if_unused(node.sid);
    }

    /// Takes `tgid` out of process group `pgid` of session `sid`.
    pub fn leave_group(&mut self, tgid: u32, pgid: u32, sid: u32) {
        let Some(members) = self.groups.get_mut(&pgid) else { return };
        members.remove(&tgid);
        if members.is_empty() {
            self.groups.remove(&pgid);
            if let Some(session) = self.sessions.get_mut(&sid) {
                session.groups.remove(&pgid);
                if session.groups.is_empty() {
                    self.sessions.remove(&sid);
                }
            }
        }
    }

    /// Lets a number be handed out again once nothing is called so.
    pub fn forget_pid_if_unused(&mut self, number: u32) {
        let used = self.nodes.contains_key(&number)
            || self.groups.contains_key(&number)
            || self.sessions.contains_key(&number);
        if !used {
            self.pids.remove(&number);
        }
    }
}
