//! `clone(2)`: new threads and processes.

use super::{Task, TaskState, Wait};
use crate::{
    SysResult, ThreadGroup,
    pid::{Pid, PidNamespace},
    ptrace::Event,
    signal::{GroupSignals, SigHand},
    tree::Node,
};
use abi::{
    Errno, Signal,
    process::{Cap, CloneFlags, Resource},
};
use ksync::{Ready, WaitQueue};
use mem::UserPtr;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// What `clone`, `clone3`, `fork` and `vfork` ask for.
#[derive(Clone, Debug, Default)]
pub struct CloneRequest {
    /// What is shared and what is new.
    pub flags: CloneFlags,
    /// What the parent is sent when the child ends; 0 for nothing.
    pub exit_signal: i32,
    /// Stack pointer of the child; 0 for the parent's.
    pub stack_pointer: u64,
    /// Thread pointer of the child, with `CLONE_SETTLS`.
    pub tls: u64,
    /// Where the parent is told the child's number, with `CLONE_PARENT_SETTID`.
    pub parent_tid: u64,
    /// Where the child is told its number, or where it is cleared at its end.
    pub child_tid: u64,
    /// Numbers asked for (`set_tid` of `clone3`), innermost namespace first.
    pub wanted_pids: Vec<u32>,
}

/// What a `vfork` parent waits for.
#[derive(Default)]
pub struct VforkDone {
    done: AtomicBool,
    queue: WaitQueue,
}

impl VforkDone {
    fn complete(&self) {
        self.done.store(true, Ordering::SeqCst);
        self.queue.notify(Ready::OTHER);
    }
}

impl CloneRequest {
    /// What a tracer may ask to be told of it.
    fn event(&self) -> Option<Event> {
        if self.flags.contains(CloneFlags::UNTRACED) {
            return None;
        }
        Some(match () {
            () if self.flags.contains(CloneFlags::VFORK) => Event::Vfork,
            () if self.exit_signal != Signal::SIGCHLD.number() => Event::Clone,
            () => Event::Fork,
        })
    }

    /// Refuses combinations that mean nothing (`clone(2)`, ERRORS).
    fn check(&self, parent: &Task) -> Result<(), Errno> {
        use CloneFlags as F;
        let has = |f| self.flags.contains(f);
        let senseless = has(F::NEWNS | F::FS)
            || has(F::NEWUSER | F::FS)
            || has(F::THREAD) && !has(F::SIGHAND)
            || has(F::SIGHAND) && !has(F::VM)
            || has(F::SIGHAND | F::CLEAR_SIGHAND)
            || has(F::THREAD) && self.flags.intersects(F::NEWUSER | F::NEWPID)
            || has(F::NEWIPC | F::SYSVSEM)
            || has(F::PIDFD | F::DETACHED)
            || has(F::NEWTIME)
            || Signal::new(self.exit_signal).is_none() && self.exit_signal != 0;
        if senseless {
            return Err(Errno::EINVAL);
        }
        if has(F::PARENT) && parent.group.signals.lock().unkillable {
            return Err(Errno::EINVAL);
        }
        let own = parent.pid_namespace().id;
        if has(F::THREAD) && parent.namespaces().pid_for_children.id != own {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }
}

impl Task {
    /// Makes a thread or process that continues behind this very system call with 0 as its result.
    ///
    /// The child is in the tree but does not run before [`Task::start`]; so the caller can still make a pidfd for it.
    pub fn clone_task(self: &Arc<Self>, request: &CloneRequest) -> Result<Arc<Task>, Errno> {
        request.check(self)?;
        let flags = request.flags;
        let thread = flags.contains(CloneFlags::THREAD);
        self.check_process_limit()?;
        let cred = match flags.contains(CloneFlags::NEWUSER) {
            true => self.cred().in_new_user_namespace()?,
            false => self.cred(),
        };
        let ns = self.namespaces_of_child(flags, &cred)?;
        let pid = Pid::allocate(&ns.pid_for_children, &request.wanted_pids)?;
        let parent_mm = self.mm()?;
        let mm = match flags.contains(CloneFlags::VM) {
            true => parent_mm.clone(),
            false => parent_mm.fork(self.kernel.platform.new_address_space()?)?,
        };
        let fp = self.context.lock().as_mut().map(|c| c.fp());
        let mut regs = *self.regs.lock();
        regs.rax = 0;
        if request.stack_pointer != 0 {
            regs.rsp = request.stack_pointer;
        }
        if flags.contains(CloneFlags::SETTLS) {
            regs.fs_base = request.tls;
        }
        let group = if thread {
            self.group.clone()
        } else {
            self.new_group(flags, pid.clone(), &ns.pid_for_children)
        };
        let state = {
            let mine = self.state.lock();
            let fds = mine.fds.clone().ok_or(Errno::ESRCH)?;
            TaskState {
                cred,
                mm: Some(mm.clone()),
                fds: Some(if flags.contains(CloneFlags::FILES) { fds } else { fds.fork() }),
                fs: if flags.contains(CloneFlags::FS) { mine.fs.clone() } else { mine.fs.fork() },
                ns,
                comm: mine.comm.clone(),
                clear_child_tid: if flags.contains(CloneFlags::CHILD_CLEARTID) {
                    request.child_tid
                } else {
                    0
                },
                robust_list: 0,
                rseq: if flags.contains(CloneFlags::VM) { (0, 0) } else { mine.rseq },
                parent_death_signal: 0,
                restart_block: None,
            }
        };
        // CLONE_VM without CLONE_VFORK starts without an alternate stack: the two would run on the same one.
        let keep_alt_stack = !flags.contains(CloneFlags::VM) || flags.contains(CloneFlags::VFORK);
        let signals = self.signals.lock().fork(keep_alt_stack);
        let child = Task::new(group, pid.clone(), state, signals, regs);
        *child.initial_fp.lock() = fp;
        let attributes = self.attributes.lock().fork();
        *child.attributes.lock() = attributes;
        child.set_seccomp(self.seccomp());
        if flags.contains(CloneFlags::VFORK) {
            *child.vfork_done.lock() = Some(Arc::default());
        }
        if flags.contains(CloneFlags::NEWNS) {
            child.move_into_new_mount_namespace()?;
        }
        self.insert_in_tree(&child, request)?;
        let number = child.pid().number_in(&self.pid_namespace()).unwrap_or(0) as i32;
        if flags.contains(CloneFlags::PARENT_SETTID) {
            let _ = UserPtr::<i32>::from(request.parent_tid).write(&*parent_mm, &number); // as Linux: not an error
        }
        if flags.contains(CloneFlags::CHILD_SETTID) {
            let inside = child.pid().number_in(&child.pid_namespace()).unwrap_or(0) as i32;
            let _ = UserPtr::<i32>::from(request.child_tid).write(&*mm, &inside);
        }
        Ok(child)
    }

    /// Starts a child that [`clone_task`](Self::clone_task) made as `request` says; its number as this task sees it. A `vfork`
    /// parent sleeps until the child has let go of the memory.
    pub async fn start_child(self: &Arc<Self>, child: Arc<Task>, request: &CloneRequest) -> SysResult<u32> {
        let pid = child.pid();
        let number = pid.number_in(&self.pid_namespace()).unwrap_or(0);
        let vfork = child.vfork_done.lock().clone();
        let event = request.event().filter(|e| self.reports(*e));
        child.start();
        drop(child);
        if let Some(event) = event {
            let message = u64::from(self.seen_by_tracer(&pid));
            Box::pin(self.report(event, message)).await;
        }
        if let Some(vfork) = vfork {
            let released = || if vfork.done.load(Ordering::SeqCst) { Ok(()) } else { Err(Errno::EAGAIN) };
            // Being killed is the only other way out, and then nobody looks at the result.
            let _ = self.block_on(Wait::on(&vfork.queue, Ready::OTHER).killable(), released).await;
            if self.reports(Event::VforkDone) {
                let message = u64::from(self.seen_by_tracer(&pid));
                Box::pin(self.report(Event::VforkDone, message)).await;
            }
        }
        Ok(number)
    }

    /// Lets a `vfork` parent go on.
    pub(crate) fn release_vfork_parent(&self) {
        let done = self.vfork_done.lock().take();
        if let Some(done) = done {
            done.complete();
        }
    }

    fn check_process_limit(&self) -> Result<(), Errno> {
        let limit = self.group.limits.lock().soft(Resource::Nproc);
        let cred = self.cred();
        if cred.ruid.0 == 0 || cred.has_cap(Cap::SYS_RESOURCE) || cred.has_cap(Cap::SYS_ADMIN) {
            return Ok(());
        }
        let mine = self.kernel.tasks().iter().filter(|t| t.cred().ruid == cred.ruid).count();
        if mine as u64 >= limit { Err(Errno::EAGAIN) } else { Ok(()) }
    }

    fn new_group(&self, flags: CloneFlags, pid: Arc<Pid>, ns: &Arc<PidNamespace>) -> Arc<ThreadGroup> {
        let hand = self.group.signals.lock().hand.clone();
        let hand = if flags.contains(CloneFlags::CLEAR_SIGHAND) {
            SigHand::new()
        } else if flags.contains(CloneFlags::SIGHAND) {
            hand
        } else {
            hand.fork()
        };
        let mut signals = GroupSignals::new(hand);
        signals.unkillable = pid.number_in(ns) == Some(1);
        let limits = self.group.limits.lock().clone();
        let group = ThreadGroup::new(self.kernel.clone(), pid, signals, limits);
        group.watch_cpu_limit();
        let barriers = self.group.barriers.load(Ordering::Relaxed);
        group.barriers.store(barriers, Ordering::Relaxed);
        group.login_uid.store(self.group.login_uid.load(Ordering::Relaxed), Ordering::Relaxed);
        group.login_session.store(self.group.login_session.load(Ordering::Relaxed), Ordering::Relaxed);
        group.oom_score_adj.store(self.group.oom_score_adj.load(Ordering::Relaxed), Ordering::Relaxed);
        group
            .oom_score_adj_min
            .store(self.group.oom_score_adj_min.load(Ordering::Relaxed), Ordering::Relaxed);
        group.undumpable.store(self.group.undumpable.load(Ordering::Relaxed), Ordering::Relaxed);
        group
    }

    /// Puts the child where `kill`, `wait` and `/proc` find it.
    fn insert_in_tree(self: &Arc<Self>, child: &Arc<Task>, request: &CloneRequest) -> Result<(), Errno> {
        let mut tree = self.kernel.tree.lock();
        // A signal that ends the parent must end a child made at the same time, or come before it exists.
        if self.is_killed() {
            return Err(Errno::EINTR);
        }
        // Under the same lock as the insertion, so that the limit holds exactly.
        if tree.task_count_reaches(self.kernel.max_tasks.load(Ordering::Relaxed)) {
            return Err(Errno::EAGAIN);
        }
        let tid = child.tid();
        tree.pids.insert(tid, child.pid());
        let mine = self.group.tgid();
        if request.flags.contains(CloneFlags::THREAD) {
            if self.group.execing.load(Ordering::SeqCst) {
                tree.pids.remove(&tid);
                return Err(Errno::EAGAIN);
            }
            tree.nodes.get_mut(&mine).ok_or(Errno::ESRCH)?.threads.insert(tid, child.clone());
            self.group.signals.lock().threads.push(Arc::downgrade(child));
            if self.passes_tracer_on(request) {
                self.pass_tracer_on(&mut tree, child);
            }
            return Ok(());
        }
        let (pgid, sid, parents_parent, parents_signal, parents_maker) = {
            let node = tree.nodes.get(&mine).ok_or(Errno::ESRCH)?;
            (node.pgid, node.sid, node.parent, node.exit_signal, node.parent_thread.clone())
        };
        let sibling = request.flags.contains(CloneFlags::PARENT);
        let parent = if sibling { parents_parent } else { mine };
        let node = Node {
            group: child.group.clone(),
            parent,
            parent_thread: if sibling { parents_maker } else { Arc::downgrade(self) },
            children: BTreeSet::new(),
            tracees: Vec::new(),
            leader_tracer: 0,
            unreaped_threads: Vec::new(),
            threads: BTreeMap::from([(tid, child.clone())]),
            pgid,
            sid,
            zombie: None,
            has_execed: false,
            exit_signal: if sibling { parents_signal } else { request.exit_signal },
            is_subreaper: false,
        };
        tree.nodes.insert(tid, node);
        tree.groups.entry(pgid).or_default().insert(tid);
        if let Some(parent) = tree.nodes.get_mut(&parent) {
            parent.children.insert(tid);
        }
        child.group.signals.lock().threads.push(Arc::downgrade(child));
        if let Some(ns) = child.pid().namespace()
            && child.pid().number_in(ns) == Some(1)
        {
            ns.init.store(tid, Ordering::SeqCst);
        }
        if self.passes_tracer_on(request) {
            self.pass_tracer_on(&mut tree, child);
        }
        Ok(())
    }

    /// Whether a child is traced from the start.
    fn passes_tracer_on(&self, request: &CloneRequest) -> bool {
        self.is_traced()
            && (request.flags.contains(CloneFlags::PTRACE)
                || request.event().is_some_and(|e| self.reports(e)))
    }
}
