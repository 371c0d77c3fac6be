//! `epoll(7)`, for the reactor.

use crate::{HostErrno, Result};
use nix::sys::epoll::{Epoll as Raw, EpollCreateFlags, EpollEvent, EpollTimeout};
use std::{
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

/// Readiness bits, as `epoll_ctl(2)` names them.
pub use nix::sys::epoll::EpollFlags as Events;

/// An epoll instance. Registrations are by descriptor and carry a token of the caller's.
#[derive(Debug)]
pub struct Epoll(Raw);

/// One ready registration.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// The token given at registration.
    pub token: u64,
    /// What it is ready for.
    pub events: Events,
}

impl Epoll {
    /// An empty instance.
    pub fn new() -> Result<Self> {
        Raw::new(EpollCreateFlags::EPOLL_CLOEXEC).map(Self)
    }

    /// Registers `fd`. `EEXIST` where it is already, `EPERM` where it cannot be polled (a regular file).
    pub fn add(&self, fd: BorrowedFd<'_>, events: Events, token: u64) -> Result<()> {
        self.0.add(fd, EpollEvent::new(events, token))
    }

    /// Changes what `fd` is waited for.
    pub fn modify(&self, fd: BorrowedFd<'_>, events: Events, token: u64) -> Result<()> {
        self.0.modify(fd, &mut EpollEvent::new(events, token))
    }

    /// Takes `fd` out.
    pub fn remove(&self, fd: BorrowedFd<'_>) -> Result<()> {
        self.0.delete(fd)
    }

    /// Waits for readiness, at most `timeout` (for ever if none), and puts what is ready into `ready`.
    ///
    /// An interruption by a signal counts as nothing being ready.
    pub fn wait(&self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> Result<()> {
        ready.clear();
        let mut events = [EpollEvent::empty(); 64];
        let timeout = match timeout {
            None => EpollTimeout::NONE,
            // Rounded up: a wait that is too short makes the caller spin.
            Some(t) => {
                let ms = t.as_nanos().div_ceil(1_000_000);
                EpollTimeout::try_from(i32::try_from(ms).unwrap_or(i32::MAX)).unwrap_or(EpollTimeout::MAX)
            }
        };
        let n = match self.0.wait(&mut events, timeout) {
            Err(HostErrno::EINTR) => 0,
            other => other?,
        };
        ready.extend(events.iter().take(n).map(|e| Ready { token: e.data(), events: e.events() }));
        Ok(())
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back() {
        let epoll = Epoll::new().unwrap();
        let event = crate::eventfd::EventFd::new().unwrap();
        epoll.add(event.as_fd(), Events::EPOLLIN, 42).unwrap();
        let mut ready = Vec::new();
        epoll.wait(&mut ready, Some(Duration::ZERO)).unwrap();
        assert!(ready.is_empty());
        event.signal().unwrap();
        epoll.wait(&mut ready, None).unwrap();
        assert_eq!(ready.first().map(|r| r.token), Some(42));
        epoll.remove(event.as_fd()).unwrap();
        assert_eq!(epoll.remove(event.as_fd()), Err(HostErrno::ENOENT));
    }
}
