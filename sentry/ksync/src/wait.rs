//! Wait queues: how anything that can become ready tells those who wait.
//!
//! A [`WaitQueue`] holds [`Listener`]s: tasks asleep in a call, epoll instances, notifications. [`WaitQueue::notify`]
//! calls every listener that is interested. Listeners are called without the queue's lock and under whatever
//! locks the notifier holds, so they do next to nothing: push on a run queue or a ready list.
//!
//! **Invariant:** a waiter registers first and looks second; then no wake is lost.
//! **Lock order:** [`rank::WAIT_QUEUE`], below everything but ready lists and the executor.

use crate::{lock::Mutex, rank};
use smallvec::SmallVec;
use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::Waker,
};

bitflags::bitflags! {
    /// What an object is ready for; the values are those of `poll(2)` and `epoll(7)`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
    pub struct Ready: u32 {
        /// There is something to read, or end of file.
        const IN = 0x001;
        /// Exceptional condition (out-of-band data, packet mode).
        const PRI = 0x002;
        /// Writing will not block.
        const OUT = 0x004;
        /// Error condition; always reported.
        const ERR = 0x008;
        /// Hang-up; always reported.
        const HUP = 0x010;
        /// Not an open descriptor (poll only).
        const NVAL = 0x020;
        /// As IN.
        const RDNORM = 0x040;
        /// Priority band data.
        const RDBAND = 0x080;
        /// As OUT.
        const WRNORM = 0x100;
        /// Priority data may be written.
        const WRBAND = 0x200;
        /// A message is there (unused by Linux).
        const MSG = 0x400;
        /// The peer has shut down writing.
        const RDHUP = 0x2000;
        /// Not for applications: something that has no poll bit changed (a child's state, a lock, a futex).
        const OTHER = 0x0100_0000;
    }
}

impl Ready {
    /// What is reported whether it was asked for or not.
    pub const ALWAYS: Ready = Ready::ERR.union(Ready::HUP);
}

/// Somebody who wants to know.
pub trait Listener: Send + Sync {
    /// `events` happened. Must not sleep, and must not take a lock of a rank below the wait queues'.
    fn notify(&self, events: Ready);
}

impl Listener for Waker {
    fn notify(&self, _: Ready) {
        self.wake_by_ref();
    }
}

struct Entry {
    id: u64,
    interest: Ready,
    exclusive: bool,
    listener: Arc<dyn Listener>,
}

#[derive(Default)]
struct Entries {
    next: u64,
    list: SmallVec<[Entry; 2]>,
}

struct Inner {
    entries: Mutex<Entries>,
    /// How many entries there are, so that announcing to nobody costs one load.
    count: AtomicUsize,
}

/// The listeners of one object.
pub struct WaitQueue {
    inner: Arc<Inner>,
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl WaitQueue {
    /// A queue with nobody in it.
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                entries: Mutex::new(rank::WAIT_QUEUE, Entries::default()),
                count: AtomicUsize::new(0),
            }),
        }
    }

    /// Calls `listener` for each announcement that meets `interest` (or [`Ready::ALWAYS`]) until the registration is dropped.
    pub fn register(&self, interest: Ready, listener: Arc<dyn Listener>) -> Registration {
        self.add(interest, listener, false)
    }

    /// The same, as one of several of whom [`notify`](Self::notify) calls only the first (`EPOLLEXCLUSIVE`, accept).
    pub fn register_exclusive(&self, interest: Ready, listener: Arc<dyn Listener>) -> Registration {
        self.add(interest, listener, true)
    }

    fn add(&self, interest: Ready, listener: Arc<dyn Listener>, exclusive: bool) -> Registration {
        let mut entries = self.inner.entries.lock();
        let id = entries.next;
        entries.next += 1;
        entries.list.push(Entry { id, interest: interest | Ready::ALWAYS, exclusive, listener });
        self.inner.count.store(entries.list.len(), Ordering::SeqCst);
        Registration { queue: Arc::downgrade(&self.inner), id }
    }

    /// Announces `events`: every listener that is interested is called, of exclusive ones the first only.
    pub fn notify(&self, events: Ready) {
        // Pairs with the store in `add`: either we see the new listener, or it sees the state that we announce.
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.inner.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut call: SmallVec<[Arc<dyn Listener>; 4]> = SmallVec::new();
        {
            let entries = self.inner.entries.lock();
            let mut exclusive_done = false;
            for e in entries.list.iter().filter(|e| e.interest.intersects(events)) {
                if e.exclusive && std::mem::replace(&mut exclusive_done, true) {
                    continue;
                }
                call.push(e.listener.clone());
            }
        }
        for listener in call {
            listener.notify(events);
        }
    }

    /// Whether anybody listens.
    pub fn is_empty(&self) -> bool {
        self.inner.count.load(Ordering::SeqCst) == 0
    }
}

impl std::fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WaitQueue({})", self.inner.count.load(Ordering::Relaxed))
    }
}

/// A place in a [`WaitQueue`], given up when dropped.
#[must_use = "dropping a registration ends it"]
pub struct Registration {
    queue: Weak<Inner>,
    id: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.upgrade() {
            let removed = {
                let mut entries = queue.entries.lock();
                let removed =
                    entries.list.iter().position(|e| e.id == self.id).map(|at| entries.list.remove(at));
                queue.count.store(entries.list.len(), Ordering::SeqCst);
                removed
            };
            drop(removed); // a listener's own drop may take locks
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[derive(Default)]
    struct Count(AtomicU32);
    impl Listener for Count {
        fn notify(&self, _: Ready) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn only_the_interested_hear_and_only_while_registered() {
        let (queue, count) = (WaitQueue::new(), Arc::new(Count::default()));
        let registration = queue.register(Ready::IN, count.clone());
        queue.notify(Ready::OUT);
        queue.notify(Ready::IN | Ready::OUT);
        queue.notify(Ready::HUP);
        drop(registration);
        queue.notify(Ready::IN);
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert!(queue.is_empty());
    }

    #[test]
    fn of_the_exclusive_one_hears() {
        let (queue, count) = (WaitQueue::new(), Arc::new(Count::default()));
        let _all: Vec<_> = (0..3).map(|_| queue.register_exclusive(Ready::IN, count.clone())).collect();
        queue.notify(Ready::IN);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }
}
