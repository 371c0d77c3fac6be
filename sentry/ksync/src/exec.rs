//! The executor.
use std::sync::Arc;

/// What a worker thread does when it has no future to poll; a platform supplies it.
///
/// Lives on the worker's own thread. It wakes tasks by calling the wakers that their `poll` left with it.
pub trait Idle {
    /// Looks for finished work (traps) without blocking, and wakes whom it concerns. Called every few polls.
    fn poll(&mut self);
    /// Sleeps until there is finished work, or [`Kick::kick`] was called since the last time this returned.
    /// A kick is never lost: one that came before the call makes it return at once. No CPU time while asleep.
    fn idle(&mut self);
    /// Ends [`idle`](Self::idle) from another thread.
    fn kicker(&self) -> Arc<dyn Kick>;
}

/// Ends a worker's sleep.
pub trait Kick: Send + Sync {
    /// Makes the worker's current or next [`Idle::idle`] return.
    fn kick(&self);
}
