//! Timers: listeners called when the monotonic clock reaches a deadline.
//!
//! One host timerfd stands for the earliest deadline of all; the reactor's thread expires them. Arming a timer
//! that is not the earliest is a map insertion; arming the earliest is one `timerfd_settime`, which wakes nobody.
//! **Lock order:** [`rank::EXECUTOR`]; listeners are called without it.

use crate::{Listener, Mutex, Ready, rank};
use nix::sys::{
    time::TimeSpec,
    timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
};
use std::{
    collections::BTreeMap,
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Weak},
    time::Duration,
};

/// `CLOCK_MONOTONIC` of the host in nanoseconds.
pub fn monotonic_ns() -> u64 {
    // clock_gettime of this clock cannot fail; zero would only make deadlines early.
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
        .map_or(0, |t| t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64)
}

#[derive(Default)]
struct State {
    next: u64,
    by_deadline: BTreeMap<(u64, u64), Arc<dyn Listener>>,
    /// What the host timer is set to, if it is.
    armed_ns: Option<u64>,
}

struct Inner {
    state: Mutex<State>,
    fd: TimerFd,
}

/// All timers of an executor.
pub struct Timers(Arc<Inner>);

/// A timer that is armed until it fires or is dropped.
#[must_use = "dropping a timer disarms it"]
pub struct Timer {
    timers: Weak<Inner>,
    key: (u64, u64),
}

impl Timers {
    pub(super) fn new() -> nix::Result<Self> {
        let fd = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        Ok(Self(Arc::new(Inner { state: Mutex::new(rank::EXECUTOR, State::default()), fd })))
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }

    /// Calls `listener` once, on the reactor's thread, when [`monotonic_ns`] reaches `deadline_ns`.
    pub fn at(&self, deadline_ns: u64, listener: Arc<dyn Listener>) -> Timer {
        let mut state = self.0.state.lock();
        let key = (deadline_ns, state.next);
        state.next += 1;
        state.by_deadline.insert(key, listener);
        if state.armed_ns.is_none_or(|armed| deadline_ns < armed) {
            self.0.arm(&mut state, deadline_ns);
        }
        Timer { timers: Arc::downgrade(&self.0), key }
    }

    /// Fires what is due and sets the host timer for what comes next.
    pub(super) fn expire(&self) {
        let now = monotonic_ns();
        let due = {
            let mut state = self.0.state.lock();
            let later = state.by_deadline.split_off(&(now.saturating_add(1), 0));
            let due = std::mem::replace(&mut state.by_deadline, later);
            state.armed_ns = None;
            if let Some((&(next, _), _)) = state.by_deadline.first_key_value() {
                self.0.arm(&mut state, next);
            }
            due
        };
        for listener in due.into_values() {
            listener.notify(Ready::OTHER);
        }
    }
}

impl Inner {
    fn arm(&self, state: &mut State, deadline_ns: u64) {
        // Zero would disarm; a deadline in the past fires at once all the same.
        let at = TimeSpec::from_duration(Duration::from_nanos(deadline_ns.max(1)));
        match self.fd.set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME) {
            Ok(()) => state.armed_ns = Some(deadline_ns),
            Err(e) => log::error!("timerfd_settime: {e}; timers are late"),
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(timers) = self.timers.upgrade() {
            let removed = timers.state.lock().by_deadline.remove(&self.key);
            drop(removed);
        }
    }
}
