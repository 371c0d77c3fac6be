//! Unix sockets: pairs, and who is at the other end. Messages with descriptors are in [`scm`](crate::scm).

use crate::{Result, cvt};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixCredentials};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A connected pair that keeps message boundaries, close-on-exec.
pub fn seqpacket_pair() -> Result<(OwnedFd, OwnedFd)> {
    socket::socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

/// A connected pair of byte streams, close-on-exec.
pub fn stream_pair() -> Result<(OwnedFd, OwnedFd)> {
    socket::socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)
}

/// Who is at the other end of a connected Unix socket (`SO_PEERCRED`).
pub fn peer_credentials(sock: BorrowedFd<'_>) -> Result<UnixCredentials> {
    socket::getsockopt(&sock, socket::sockopt::PeerCredentials)
}

/// Duplicates a descriptor, close-on-exec.
pub fn dup(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    // SAFETY: takes numbers only.
    let new = cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 0) })?;
    // SAFETY: the host just gave us this descriptor; nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(new) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn peers() {
        let (a, _b) = seqpacket_pair().unwrap();
        assert_eq!(peer_credentials(a.as_fd()).unwrap().pid(), crate::thread::getpid());
        let c = dup(a.as_fd()).unwrap();
        assert_ne!(c.as_raw_fd(), a.as_raw_fd());
    }
}
