//! The reactor: one thread asleep in `epoll_wait` for host descriptors and for the earliest timer.

use super::Timers;
use crate::{Mutex, Ready, WaitQueue, rank};
use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    eventfd::{EfdFlags, EventFd},
};
use std::{
    collections::HashMap,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

const STOP: u64 = 0;
const TIMERS: u64 = 1;
const FIRST_WATCH: u64 = 2;

struct Watches {
    next: u64,
    queues: HashMap<u64, Arc<WaitQueue>>,
}

/// Watches host descriptors, edge-triggered, and announces their readiness on wait queues.
pub struct Reactor {
    epoll: Epoll,
    stop_event: EventFd,
    stopping: AtomicBool,
    timers: Timers,
    watches: Mutex<Watches>,
}

impl Reactor {
    pub(super) fn start() -> std::io::Result<Arc<Self>> {
        let this = Arc::new(Self {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            stop_event: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
            stopping: AtomicBool::new(false),
            timers: Timers::new()?,
            watches: Mutex::new(rank::EXECUTOR, Watches { next: FIRST_WATCH, queues: HashMap::new() }),
        });
        this.epoll.add(&this.stop_event, EpollEvent::new(EpollFlags::EPOLLIN, STOP))?;
        this.epoll
            .add(this.timers.fd(), EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, TIMERS))?;
        let on_thread = this.clone();
        std::thread::Builder::new()
            .name("reactor".into())
            .stack_size(256 << 10)
            .spawn(move || on_thread.run())?;
        Ok(this)
    }

    pub(super) fn timers(&self) -> &Timers {
        &self.timers
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        if let Err(e) = self.stop_event.write(1) {
            log::error!("reactor: {e}");
        }
    }

    /// Announces on `queue` whenever the readiness of `fd` changes, until the watch is dropped.
    ///
    /// `None` for descriptors that the host's epoll refuses because they are always ready (regular files).
    pub fn watch(
        self: &Arc<Self>,
        fd: Arc<OwnedFd>,
        queue: Arc<WaitQueue>,
    ) -> Result<Option<HostWatch>, abi::Errno> {
        let all = EpollFlags::EPOLLIN
            | EpollFlags::EPOLLOUT
            | EpollFlags::EPOLLPRI
            | EpollFlags::EPOLLRDHUP
            | EpollFlags::EPOLLET;
        let token = {
            let mut watches = self.watches.lock();
            let token = watches.next;
            watches.next += 1;
            watches.queues.insert(token, queue);
            token
        };
        match self.epoll.add(fd.as_fd(), EpollEvent::new(all, token)) {
            Ok(()) => Ok(Some(HostWatch { reactor: Arc::downgrade(self), fd, token })),
            Err(e) => {
                self.watches.lock().queues.remove(&token);
                if e == nix::errno::Errno::EPERM { Ok(None) } else { Err(abi::Errno::from_host(e as i32)) }
            }
        }
    }

    fn run(&self) {
        let mut events = [EpollEvent::empty(); 64];
        while !self.stopping.load(Ordering::SeqCst) {
            let n = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
                Ok(n) => n,
                Err(nix::errno::Errno::EINTR) => continue,
                Err(e) => {
                    log::error!("reactor: epoll_wait: {e}");
                    return;
                }
            };
            for event in events.iter().take(n) {
                match event.data() {
                    STOP => return,
                    TIMERS => self.timers.expire(),
                    token => {
                        let queue = self.watches.lock().queues.get(&token).cloned();
                        if let Some(queue) = queue {
                            queue.notify(Ready::from_bits_truncate(event.events().bits() as u32));
                        }
                    }
                }
            }
        }
    }
}

/// A watch of a host descriptor; ends when dropped.
#[must_use = "dropping a watch ends it"]
pub struct HostWatch {
    reactor: Weak<Reactor>,
    fd: Arc<OwnedFd>,
    token: u64,
}

impl Drop for HostWatch {
    fn drop(&mut self) {
        if let Some(reactor) = self.reactor.upgrade() {
            let _ = reactor.epoll.delete(self.fd.as_fd()); // fails only where it is gone already
            let queue = reactor.watches.lock().queues.remove(&self.token);
            drop(queue);
        }
    }
}
