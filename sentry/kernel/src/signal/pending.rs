//! Queues of pending signals.

use super::QUEUED;
use abi::{Errno, SigInfo, SigSet, Signal};
use std::{collections::VecDeque, sync::atomic::Ordering};

/// Pending signals: at most one of each standard signal, any number of each real-time one, in order.
#[derive(Default)]
pub struct Pending {
    queue: VecDeque<SigInfo>,
    set: SigSet,
}

/// Signals that a thread's own instructions cause; delivered before others (Linux: `SYNCHRONOUS_MASK`).
const SYNCHRONOUS: SigSet = SigSet::of(&[
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGILL,
    Signal::SIGTRAP,
    Signal::SIGFPE,
    Signal::SIGSYS,
]);

impl Pending {
    /// The signals that are pending.
    pub fn set(&self) -> SigSet {
        self.set
    }

    /// What is queued, in order.
    pub fn iter(&self) -> impl Iterator<Item = &SigInfo> {
        self.queue.iter()
    }

    /// Adds a signal. A standard one that is pending already is dropped. `EAGAIN` where `limit` signals are queued in
    /// the sandbox and this is a real-time one with a value.
    pub fn push(&mut self, info: SigInfo, limit: u64) -> Result<(), Errno> {
        let Some(signal) = info.signal() else { return Err(Errno::EINVAL) };
        if !signal.is_realtime() && self.set.contains(signal) {
            return Ok(());
        }
        if signal.is_realtime() && QUEUED.load(Ordering::Relaxed) as u64 >= limit {
            // As Linux: kill(2) still makes it pending, without its place in the queue; sigqueue(3) fails.
            if info.si_code != abi::signal::SI_USER {
                return Err(Errno::EAGAIN);
            }
            if self.set.contains(signal) {
                return Ok(());
            }
        }
        QUEUED.fetch_add(1, Ordering::Relaxed);
        self.set.insert(signal);
        self.queue.push_back(info);
        Ok(())
    }

    /// Takes the next signal that `mask` does not block: synchronous ones first, then by number.
    pub fn pop(&mut self, mask: SigSet) -> Option<SigInfo> {
        let ready = self.set.difference(mask);
        let signal = ready.intersection(SYNCHRONOUS).first().or_else(|| ready.first())?;
        self.take(signal)
    }

    /// Takes the oldest of `signal`.
    pub fn take(&mut self, signal: Signal) -> Option<SigInfo> {
        let at = self.queue.iter().position(|i| i.si_signo == signal.number())?;
        let info = self.queue.remove(at)?;
        QUEUED.fetch_sub(1, Ordering::Relaxed);
        if !self.queue.iter().any(|i| i.si_signo == signal.number()) {
            self.set.remove(signal);
        }
        Some(info)
    }

    /// Forgets all of `signals`.
    pub fn remove(&mut self, signals: SigSet) {
        let before = self.queue.len();
        self.queue.retain(|i| i.signal().is_none_or(|s| !signals.contains(s)));
        QUEUED.fetch_sub(before - self.queue.len(), Ordering::Relaxed);
        self.set = self.set.difference(signals);
    }

    /// Changes what is queued for the timer `id` (its overrun count); whether there was something.
    pub fn update_timer(&mut self, signal: Signal, id: i32, change: impl FnOnce(&mut SigInfo)) -> bool {
        let of_timer = |i: &&mut SigInfo| {
            i.si_signo == signal.number() && i.si_code == abi::signal::SI_TIMER && i.si_timerid() == id
        };
        self.queue.iter_mut().find(of_timer).map(change).is_some()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        QUEUED.fetch_sub(self.queue.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::signal::{SI_QUEUE, SI_USER};

    #[test]
    fn standard_signals_merge_and_real_time_ones_queue() {
        let mut p = Pending::default();
        for value in 0..3 {
            p.push(SigInfo::kill(Signal::SIGUSR1, SI_USER, 1, 0), 100).unwrap();
            p.push(SigInfo::rt(Signal::new(40).unwrap(), SI_QUEUE, 1, 0, value), 100).unwrap();
        }
        p.push(SigInfo::fault(Signal::SIGSEGV, 1, 0), 100).unwrap();
        let mut order = Vec::new();
        while let Some(info) = p.pop(SigSet::EMPTY) {
            order.push((info.si_signo, info.si_value()));
        }
        assert_eq!(order, [(11, 0), (10, 0), (40, 0), (40, 1), (40, 2)]);
        assert!(p.set().is_empty());
    }
}
