//! What an epoll instance watches of one file.

use super::{Inner, Key, READABLE};
use crate::File;
use abi::poll::{EpollEvent, PollEvents};
use ksync::{Listener, Mutex, Ready, Registration, rank};
use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

#[derive(Default)]
struct Wanted {
    /// With `ERR` and `HUP`; only the private bits once a one-shot item has been reported.
    events: PollEvents,
    data: u64,
    registration: Option<Registration>,
}

/// One watched file. The table of its epoll owns it; its registration is ended by hand, because the wait queue it
/// stands in holds a reference to it.
pub struct Item {
    me: Weak<Item>,
    key: Key,
    file: Weak<File>,
    epoll: Weak<Inner>,
    child: Option<Weak<Inner>>,
    wanted: Mutex<Wanted>,
    /// The events of `wanted`, for those who announce.
    events: AtomicU32,
    /// Whether it is on the ready list; changed under that list's lock.
    queued: AtomicBool,
    /// How often something was announced; changed under the list's lock.
    notices: AtomicU64,
}

impl Item {
    pub fn new(key: Key, file: &Arc<File>, epoll: Weak<Inner>, child: Option<Weak<Inner>>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            key,
            file: Arc::downgrade(file),
            epoll,
            child,
            wanted: Mutex::new(rank::EPOLL_READY, Wanted::default()),
            events: AtomicU32::new(0),
            queued: AtomicBool::new(false),
            notices: AtomicU64::new(0),
        })
    }
    pub fn key(&self) -> Key {
        self.key
    }
    pub fn file(&self) -> Option<Arc<File>> {
        self.file.upgrade()
    }
    pub fn is_dead(&self) -> bool {
        self.file.strong_count() == 0
    }
    /// The epoll instance that it watches, if it does.
    pub fn child(&self) -> Option<Arc<Inner>> {
        self.child.as_ref()?.upgrade()
    }
    pub fn is_exclusive(&self) -> bool {
        self.events().contains(PollEvents::EXCLUSIVE)
    }
    fn events(&self) -> PollEvents {
        PollEvents::from_bits_retain(self.events.load(Ordering::SeqCst))
    }
    /// Sets whether it is on the ready list, under that list's lock; whether that is a change.
    pub fn set_queued(&self, queued: bool) -> bool {
        self.queued.swap(queued, Ordering::SeqCst) != queued
    }
    pub fn notices(&self) -> u64 {
        self.notices.load(Ordering::SeqCst)
    }

    /// From now on watches for `event`.
    pub fn watch(self: &Arc<Self>, file: &File, event: EpollEvent) {
        let events = (PollEvents::from_bits_retain(event.events) | PollEvents::ALWAYS) - PollEvents::WAKEUP;
        let interest = Ready::from_bits_truncate(events.bits()) - Ready::OTHER;
        let registration = file.ops().wait_queue().map(|queue| {
            if events.contains(PollEvents::EXCLUSIVE) {
                queue.register_exclusive(interest, self.clone())
            } else {
                queue.register(interest, self.clone())
            }
        });
        let mut wanted = self.wanted.lock();
        wanted.events = events;
        wanted.data = event.data;
        self.events.store(events.bits(), Ordering::SeqCst);
        let old = std::mem::replace(&mut wanted.registration, registration);
        drop(wanted);
        drop(old); // takes the wait queue's lock
    }

    /// Watches no more.
    pub fn unwatch(&self) {
        self.events.store(0, Ordering::SeqCst);
        let mut wanted = self.wanted.lock();
        wanted.events = PollEvents::empty();
        let old = wanted.registration.take();
        drop(wanted);
        drop(old);
    }

    /// Announces itself if the file is ready.
    pub fn look(&self, file: &File) {
        let now = file.ready();
        if self.is_met(now) {
            self.announce();
        }
    }

    /// Whether `now` meets what is watched for.
    pub fn is_met(&self, now: Ready) -> bool {
        self.events().difference(PollEvents::EPOLL_PRIVATE).bits() & now.bits() != 0
    }

    fn announce(&self) {
        let (Some(epoll), Some(me)) = (self.epoll.upgrade(), self.me.upgrade()) else { return };
        {
            let mut ready = epoll.ready.lock();
            self.notices.fetch_add(1, Ordering::SeqCst);
            if self.set_queued(true) {
                ready.push_back(me);
            }
        }
        epoll.wait.notify(READABLE);
    }

    /// What to report where the file is `now`, if anything. A one-shot item is disarmed by this.
    pub fn report(&self, now: Ready) -> Option<Report> {
        let mut wanted = self.wanted.lock();
        let armed = wanted.events;
        let events = armed.difference(PollEvents::EPOLL_PRIVATE).bits() & now.bits();
        if events == 0 {
            return None;
        }
        let oneshot = armed.contains(PollEvents::ONESHOT);
        if oneshot {
            wanted.events &= PollEvents::EPOLL_PRIVATE;
            self.events.store(wanted.events.bits(), Ordering::SeqCst);
        }
        let again = !oneshot && !armed.contains(PollEvents::ET);
        Some(Report { event: EpollEvent { events, data: wanted.data }, again, armed })
    }

    /// Undoes a report that did not reach its reader.
    pub fn take_back(&self, report: &Report) {
        let mut wanted = self.wanted.lock();
        if wanted.events == report.armed & PollEvents::EPOLL_PRIVATE {
            wanted.events = report.armed;
            self.events.store(wanted.events.bits(), Ordering::SeqCst);
        }
    }

    /// Its line in `/proc/pid/fdinfo`; none for a closed file.
    pub fn fdinfo(&self) -> Option<String> {
        let file = self.file()?;
        let (events, data) = {
            let wanted = self.wanted.lock();
            (wanted.events.bits(), wanted.data)
        };
        let (fd, pos) = (self.key.0.0, *file.pos.lock());
        let attr = file.inode().attr().ok()?;
        Some(format!(
            "tfd: {fd:8} events: {events:8x} data: {data:16x}  pos:{pos} ino:{:x} sdev:{:x}\n",
            attr.ino, attr.dev
        ))
    }
}

/// An event that is to be reported.
pub struct Report {
    pub event: EpollEvent,
    /// The item stays on the ready list (level-triggered).
    pub again: bool,
    armed: PollEvents,
}

impl Listener for Item {
    fn notify(&self, events: Ready) {
        if self.is_met(events) {
            self.announce();
        }
    }
}
