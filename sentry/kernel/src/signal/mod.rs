//! Signals (`signal(7)`).

use crate::{Restart, Task, task::run::Next};
use abi::{SigInfo, Signal};
use std::sync::Arc;

/// Signals of a process: shared pending ones, actions, stop state. Rank THREAD_GROUP.
#[derive(Default)]
pub struct GroupSignals {}

/// Signals of a thread: private pending ones, mask, alternate stack. Rank TASK_SIGNALS.
#[derive(Default)]
pub struct TaskSignals {}

impl Task {
    /// Sends a signal that cannot be blocked or ignored (exceptions).
    pub fn force_signal(self: &Arc<Self>, info: SigInfo) {
        let _ = info;
    }
    /// Ends the whole process as `signal` would.
    pub fn kill_group(self: &Arc<Self>, signal: Signal) {
        let _ = signal;
    }
    /// Whether a signal is pending that would end a sleep.
    pub fn signal_pending(&self) -> bool {
        false
    }
    /// Whether the thread is to end.
    pub fn is_killed(&self) -> bool {
        false
    }
    /// Delivers signals, stops, exits: what is to be done before application code runs again.
    pub async fn do_work(self: &Arc<Self>, interrupted: Option<Restart>) -> Next {
        let _ = interrupted;
        Next::Exit
    }
    /// Whether the system call has set all registers itself (`rt_sigreturn`, `execve`).
    pub fn take_registers_replaced(&self) -> bool {
        false
    }
    /// Called on the home worker before the first switch (a child's copy of the floating point state, thread pointer).
    pub fn prepare_first_run(&self) {}
    /// Everything that the end of a thread entails.
    pub async fn finish(self: &Arc<Self>) {}
}
