//! How a task sleeps: [`Task::block_on`] and its kin, and nothing else.

use super::Task;
use crate::{Restart, SysError, SysResult};
use abi::Errno;
use ksync::{Listener, Ready, WaitQueue};
use std::{
    future::poll_fn,
    sync::{Arc, atomic::Ordering},
    task::{Poll, Waker},
};

/// A monotonic deadline in nanoseconds ([`Kernel::monotonic_ns`](crate::Kernel::monotonic_ns)); `None` is never.
pub type Deadline = Option<u64>;

/// What ends a sleep, beside a signal.
#[derive(Clone, Copy, Default)]
pub struct Wait<'a> {
    /// Announcements to look at.
    pub queue: Option<(&'a WaitQueue, Ready)>,
    /// When to give up: the sleep ends with `ETIMEDOUT`.
    pub deadline: Deadline,
    /// Only being killed cuts the sleep short (vfork, exec waiting for threads).
    pub killable_only: bool,
    /// The waiter is one of several of whom one announcement wakes only one.
    pub exclusive: bool,
}

impl<'a> Wait<'a> {
    /// Until `events` are announced on `queue`.
    pub fn on(queue: &'a WaitQueue, events: Ready) -> Self {
        Self { queue: Some((queue, events)), ..Self::default() }
    }
    /// Until `deadline`.
    pub fn until(deadline: Deadline) -> Self {
        Self { deadline, ..Self::default() }
    }
    /// The same, with a deadline.
    pub fn deadline(self, deadline: Deadline) -> Self {
        Self { deadline, ..self }
    }
    /// The same, cut short only by being killed.
    pub fn killable(self) -> Self {
        Self { killable_only: true, ..self }
    }
}

impl Task {
    /// Tries `attempt` until it gives something other than `EAGAIN`, asleep between the tries.
    ///
    /// Ends with [`SysError::Interrupted`] ([`Restart::IfAsked`]; see [`SysError::restart_as`]) if a signal comes
    /// first, and with `ETIMEDOUT` at the deadline. Descriptors with `O_NONBLOCK` are the caller's business.
    pub async fn block_on<T>(
        &self,
        wait: Wait<'_>,
        attempt: impl FnMut() -> Result<T, Errno>,
    ) -> SysResult<T> {
        let register = |listener: &Arc<dyn Listener>| {
            wait.queue.map(|(queue, events)| match wait.exclusive {
                true => queue.register_exclusive(events, listener.clone()),
                false => queue.register(events, listener.clone()),
            })
        };
        self.block_on_many(wait, register, attempt).await
    }

    /// The same for several queues (`poll(2)`, splices): `register` puts the listener into them, and what it returns keeps it
    /// there. It is called at most once, and only if the first attempt fails.
    pub async fn block_on_many<T, R>(
        &self,
        wait: Wait<'_>,
        register: impl FnOnce(&Arc<dyn Listener>) -> R,
        mut attempt: impl FnMut() -> Result<T, Errno>,
    ) -> SysResult<T> {
        match attempt() {
            Err(Errno::EAGAIN) => {}
            done => return done.map_err(SysError::from),
        }
        self.leave_first_try().await;
        let mut register = Some(register);
        let from = self.kernel.monotonic_ns();
        let mut registered = None;
        let mut timer = None;
        self.usage.voluntary_switches.fetch_add(1, Ordering::Relaxed);
        let result = poll_fn(|cx| {
            if let Some(register) = register.take() {
                let listener: Arc<dyn Listener> = Arc::new(cx.waker().clone());
                registered = Some(register(&listener));
                timer = wait.deadline.map(|at| self.kernel.executor.timers().at(at, listener));
            }
            self.set_sleeper(Some(cx.waker().clone()));
            // Looked at only now: whatever was announced before the registrations is seen here.
            match attempt() {
                Err(Errno::EAGAIN) => {}
                done => return Poll::Ready(done.map_err(SysError::from)),
            }
            if if wait.killable_only { self.is_killed() } else { self.interrupted() } {
                return Poll::Ready(Err(SysError::Interrupted(Restart::IfAsked)));
            }
            if wait.deadline.is_some_and(|at| self.kernel.monotonic_ns() >= at) {
                return Poll::Ready(Err(Errno::ETIMEDOUT.into()));
            }
            Poll::Pending
        });
        let result = result.await;
        self.set_sleeper(None);
        self.slept_ns.fetch_add(self.kernel.monotonic_ns().saturating_sub(from), Ordering::Relaxed);
        result
    }

    /// Whom [`set_work`](Self::set_work) wakes.
    pub(crate) fn set_sleeper(&self, waker: Option<Waker>) {
        let old = std::mem::replace(&mut *self.sleeper.lock(), waker);
        drop(old);
    }

    /// Whether a sleep is to end because of a signal, a stop or the end of the process.
    ///
    /// Looks closer only where [`set_work`](Self::set_work) says that there may be something.
    pub fn interrupted(&self) -> bool {
        self.has_work() && (self.is_killed() || self.signal_pending())
    }
}
