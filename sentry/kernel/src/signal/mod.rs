//! Signals (`signal(7)`).
//!
//! [`pending`] queues them, [`send`] decides what becomes of one that is sent, [`deliver`] what a task does about those
//! that are pending before it runs application code again, [`stop`] job control stops (what tracees do in them is
//! [`crate::ptrace`]'s), `arch` the frames on the stack.
//!
//! **Lock order:** the group's [`GroupSignals`], then [`SigHand`] (shared by `CLONE_SIGHAND`), then a task's [`TaskSignals`].
//! **Invariant:** whoever makes a signal pending that a task is to act on calls [`Task::set_work`] on it afterwards.

mod arch;
pub mod deliver;
pub mod fasync;
pub mod pending;
pub mod send;
pub mod stop;

use crate::Task;
use abi::{
    SigSet, Signal,
    signal::{DefaultAction, NSIG, SigAction, SigAltStack, SsFlags},
};
use ksync::{Mutex, MutexGuard, rank};
use pending::Pending;
use std::sync::{
    Arc, Weak,
    atomic::{AtomicUsize, Ordering},
};
use stop::StopState;

/// What each signal does; shared between processes by `CLONE_SIGHAND`.
pub struct SigHand(Mutex<[SigAction; NSIG as usize]>);

impl SigHand {
    /// Every signal does what it does by default.
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(rank::SIGHAND, [SigAction::default(); NSIG as usize])))
    }

    /// A copy for a child.
    pub fn fork(&self) -> Arc<Self> {
        let actions = *self.0.lock();
        Arc::new(Self(Mutex::new(rank::SIGHAND, actions)))
    }

    /// What `signal` does.
    pub fn get(&self, signal: Signal) -> SigAction {
        self.0.lock().get(signal.index()).copied().unwrap_or_default()
    }

    /// Makes `signal` do something else, returning what it did.
    pub fn set(&self, signal: Signal, action: SigAction) -> SigAction {
        self.0.lock().get_mut(signal.index()).map(|slot| std::mem::replace(slot, action)).unwrap_or_default()
    }

    /// `execve`: what was caught does its default again; what was ignored stays so.
    pub fn reset_caught(&self) {
        for action in self.0.lock().iter_mut().filter(|a| !a.is_ignore()) {
            *action = SigAction::default();
        }
    }

    /// The signals that are ignored, and those that are caught (`/proc/pid/status`).
    pub fn ignored_and_caught(&self) -> (SigSet, SigSet) {
        let actions = self.0.lock();
        let (mut ignored, mut caught) = (SigSet::EMPTY, SigSet::EMPTY);
        for signal in Signal::all() {
            match actions.get(signal.index()) {
                Some(a) if a.is_ignore() => ignored.insert(signal),
                Some(a) if !a.is_default() => caught.insert(signal),
                _ => {}
            }
        }
        (ignored, caught)
    }
}

/// Signals of a process. Rank THREAD_GROUP.
pub struct GroupSignals {
    /// Sent to the process as a whole.
    pub pending: Pending,
    /// What each signal does.
    pub hand: Arc<SigHand>,
    /// Job control.
    pub stop: StopState,
    /// It is the first process of a pid namespace: only what it catches, or an outer namespace insists on, reaches it.
    pub unkillable: bool,
    /// Threads that have not ended.
    pub threads: Vec<Weak<Task>>,
}

impl GroupSignals {
    /// For a new process.
    pub fn new(hand: Arc<SigHand>) -> Self {
        Self {
            pending: Pending::default(),
            hand,
            stop: StopState::default(),
            unkillable: false,
            threads: Vec::new(),
        }
    }

    /// Begins a stop by `signal`.
    pub(crate) fn stop_for(&mut self, signal: Signal) {
        self.stop.begin(signal);
        let generation = self.stop.generation();
        for task in self.live() {
            if task.asleep_in_stop.load(Ordering::SeqCst) {
                task.joined_stop.store(generation, Ordering::SeqCst); // it has not gone on since
            } else {
                task.notify_trap();
            }
        }
    }

    /// Threads that have not ended.
    pub fn live(&self) -> impl Iterator<Item = Arc<Task>> + '_ {
        self.threads.iter().filter_map(Weak::upgrade)
    }
}

/// Signals of a thread. Rank TASK_SIGNALS.
pub struct TaskSignals {
    /// Sent to this thread.
    pub pending: Pending,
    /// What is blocked.
    pub mask: SigSet,
    /// The mask to go back to behind a call with a mask of its own (`sigsuspend`, `ppoll`).
    pub saved_mask: Option<SigSet>,
    /// What `sigtimedwait` waits for: not blocked for the purpose of waking.
    pub waiting_for: SigSet,
    /// `sigaltstack(2)`.
    pub alt_stack: SigAltStack,
}

impl Default for TaskSignals {
    fn default() -> Self {
        Self {
            pending: Pending::default(),
            mask: SigSet::EMPTY,
            saved_mask: None,
            waiting_for: SigSet::EMPTY,
            alt_stack: no_alt_stack(),
        }
    }
}

/// The state of an alternate stack that is not set.
pub fn no_alt_stack() -> SigAltStack {
    SigAltStack { ss_flags: SsFlags::DISABLE.bits(), ..SigAltStack::default() }
}

impl TaskSignals {
    /// For a new thread of a parent with these: nothing pending, the same mask.
    pub fn fork(&self, keep_alt_stack: bool) -> Self {
        Self {
            mask: self.mask,
            alt_stack: if keep_alt_stack { self.alt_stack } else { no_alt_stack() },
            ..Self::default()
        }
    }

    /// Whether `sp` is on the alternate stack.
    pub fn on_alt_stack(&self, sp: u64) -> bool {
        let stack = &self.alt_stack;
        stack.ss_size != 0 && sp > stack.ss_sp && sp - stack.ss_sp <= stack.ss_size
    }
}

/// How many signals are queued for a user, for `RLIMIT_SIGPENDING`; counted for the sandbox as a whole.
pub(crate) static QUEUED: AtomicUsize = AtomicUsize::new(0);

/// Signals queued in the sandbox (`SigQ` of `/proc/pid/status`).
pub fn queued() -> usize {
    QUEUED.load(Ordering::Relaxed)
}

impl Task {
    /// `sigaction(2)`: what `signal` did before. What is pending of a signal that is ignored from now on is forgotten.
    pub fn set_signal_action(&self, signal: Signal, action: SigAction) -> SigAction {
        let mut group = self.group.signals.lock();
        let before = group.hand.set(signal, action);
        let by_default = matches!(signal.default_action(), DefaultAction::Ignore | DefaultAction::Cont);
        if action.is_ignore() || action.is_default() && by_default {
            let one = SigSet::of(&[signal]);
            group.pending.remove(one);
            for task in group.live() {
                task.signals.lock().pending.remove(one);
            }
        }
        before
    }

    /// What is pending and blocked (`sigpending(2)`).
    pub fn pending_signals(&self) -> SigSet {
        let group = self.group.signals.lock();
        let mine = self.signals.lock();
        group.pending.set().union(mine.pending.set()).intersection(mine.mask)
    }

    /// Its signal state, locked.
    pub fn lock_signals(&self) -> MutexGuard<'_, TaskSignals> {
        self.signals.lock()
    }

    /// Replaces the mask, and looks whether that lets something through. `SIGKILL` and `SIGSTOP` stay unblocked.
    pub fn set_mask(self: &Arc<Self>, mask: SigSet) -> SigSet {
        let old = std::mem::replace(&mut self.signals.lock().mask, mask.blockable());
        if self.signal_pending() {
            self.set_work();
        }
        old
    }

    /// Uses `mask` for the rest of this system call and until a signal is handled (`sigsuspend`, `ppoll`, ...).
    pub fn set_temporary_mask(self: &Arc<Self>, mask: SigSet) {
        {
            let mut signals = self.signals.lock();
            let old = std::mem::replace(&mut signals.mask, mask.blockable());
            signals.saved_mask.get_or_insert(old);
        }
        if self.signal_pending() {
            self.set_work();
        }
    }

    /// Goes back to the mask before [`set_temporary_mask`](Self::set_temporary_mask), for a call that was not interrupted.
    pub fn restore_mask(self: &Arc<Self>) {
        let saved = self.signals.lock().saved_mask.take();
        if let Some(mask) = saved {
            self.set_mask(mask);
        }
    }

    /// Whether a signal, a stop or the end of the process is waiting for this thread.
    pub fn signal_pending(&self) -> bool {
        if self.is_killed() {
            return true;
        }
        let group = self.group.signals.lock();
        let mine = self.signals.lock();
        let ready = group.pending.set().union(mine.pending.set()).difference(mine.mask);
        !ready.is_empty() || group.stop.wants(self) || self.trap_pending()
    }

    /// Whether the thread is to end: the process exits, or another thread's `execve` wants to be alone.
    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }
}
