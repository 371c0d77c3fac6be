//! `eventfd(2)`: a counter that a reactor can wait for.

use crate::{HostErrno, Result};
use nix::sys::eventfd::{EfdFlags, EventFd as Raw};
use std::os::fd::{AsFd, BorrowedFd};

/// A non-blocking event counter.
#[derive(Debug)]
pub struct EventFd(Raw);

impl EventFd {
    /// A counter at zero.
    pub fn new() -> Result<Self> {
        Raw::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).map(Self)
    }

    /// Adds one; a full counter stays full.
    pub fn signal(&self) -> Result<()> {
        match self.0.write(1) {
            Ok(_) | Err(HostErrno::EAGAIN) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Takes the count and leaves zero.
    pub fn take(&self) -> Result<u64> {
        match self.0.read() {
            Ok(n) => Ok(n),
            Err(HostErrno::EAGAIN) => Ok(0),
            Err(e) => Err(e),
        }
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        let e = EventFd::new().unwrap();
        assert_eq!(e.take().unwrap(), 0);
        e.signal().unwrap();
        e.signal().unwrap();
        assert_eq!(e.take().unwrap(), 2);
    }
}
