//! Descriptors over Unix sockets: `sendmsg`/`recvmsg` with `SCM_RIGHTS`.
//!
//! [`recv`] always offers room for as many descriptors as the host can send at once (253), so that a caller
//! with a lower bound of its own sees the excess and can refuse it by name instead of losing descriptors
//! silently. Received descriptors are close-on-exec from the start.

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use std::{
    io::{self, IoSlice},
    mem::size_of,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

/// The most descriptors that Linux lets one message carry (`SCM_MAX_FD`).
pub const MAX_FDS: usize = 253;

/// What one `recvmsg` brought.
#[derive(Debug, Default)]
pub struct Received {
    /// Bytes of data; 0 is end of file on a stream.
    pub len: usize,
    /// Descriptors, in the sender's order.
    pub fds: Vec<OwnedFd>,
    /// Some descriptors could not be installed (`MSG_CTRUNC`: descriptor limit reached).
    pub fds_lost: bool,
    /// The message was longer than the buffer (`MSG_TRUNC`, packet sockets only).
    pub truncated: bool,
}

/// Sends `data` with `fds` attached to its first byte; returns how many bytes went. `EINTR` is retried.
/// A broken pipe is an error, never `SIGPIPE`.
pub fn send(sock: BorrowedFd<'_>, data: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    loop {
        match sendmsg::<()>(sock.as_raw_fd(), &[IoSlice::new(data)], control, MsgFlags::MSG_NOSIGNAL, None) {
            Err(nix::errno::Errno::EINTR) => continue,
            other => return other.map_err(io::Error::from),
        }
    }
}

/// Sends all of `data` on a stream socket, `fds` riding with the first byte.
pub fn send_all(sock: BorrowedFd<'_>, mut data: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut fds = fds;
    while !data.is_empty() {
        let sent = send(sock, data, fds)?;
        if sent == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        fds = &[];
        data = data.get(sent..).unwrap_or_default();
    }
    Ok(())
}

/// Room for [`MAX_FDS`] descriptors behind one `cmsghdr`, aligned as the kernel wants it.
#[repr(C, align(8))]
struct ControlBuffer([u8; 16 + MAX_FDS * 4 + 4]);

/// Receives one message (or a piece of a stream) into `buf`. `EINTR` is retried.
pub fn recv(sock: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<Received> {
    let mut iov = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    let mut control = ControlBuffer([0; 16 + MAX_FDS * 4 + 4]);
    let len = loop {
        // SAFETY: `msghdr` is plain data for which all zeroes is a valid, empty value.
        let mut msg: libc::msghdr = unsafe { std::mem::zeroed() };
        msg.msg_iov = &raw mut iov;
        msg.msg_iovlen = 1;
        msg.msg_control = control.0.as_mut_ptr().cast();
        msg.msg_controllen = control.0.len();
        // SAFETY: `msg` points at one iovec over `buf` and at `control`, all alive and exclusive here.
        let n = unsafe { libc::recvmsg(sock.as_raw_fd(), &raw mut msg, libc::MSG_CMSG_CLOEXEC) };
        if let Ok(len) = usize::try_from(n) {
            break (len, msg);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    };
    let (len, msg) = len;
    Ok(Received {
        len,
        fds: take_rights(&msg),
        fds_lost: msg.msg_flags & libc::MSG_CTRUNC != 0,
        truncated: msg.msg_flags & libc::MSG_TRUNC != 0,
    })
}

/// Takes ownership of every descriptor in the control part of a message that `recvmsg` just filled.
fn take_rights(msg: &libc::msghdr) -> Vec<OwnedFd> {
    let mut fds = Vec::new();
    // SAFETY: the kernel filled `msg`; the control buffer it points at is alive in the caller.
    let mut cmsg = unsafe { libc::CMSG_FIRSTHDR(msg) };
    while !cmsg.is_null() {
        // SAFETY: a non-null header from CMSG_FIRSTHDR/NXTHDR lies inside the control buffer.
        let header = unsafe { ptr::read_unaligned(cmsg) };
        if header.cmsg_level == libc::SOL_SOCKET && header.cmsg_type == libc::SCM_RIGHTS {
            // SAFETY: data follows the header inside the same buffer.
            let data = unsafe { libc::CMSG_DATA(cmsg) };
            let header_len = data as usize - cmsg as usize;
            let count = header.cmsg_len.saturating_sub(header_len) / size_of::<RawFd>();
            for index in 0..count {
                // SAFETY: `count` descriptors lie behind the header, as `cmsg_len` from the kernel says.
                let place = unsafe { data.cast::<RawFd>().add(index) };
                // SAFETY: as above; the place need not be aligned.
                let raw = unsafe { ptr::read_unaligned(place) };
                // SAFETY: the kernel installed this descriptor for us just now; nobody else knows it.
                fds.push(unsafe { OwnedFd::from_raw_fd(raw) });
            }
        }
        // SAFETY: as for CMSG_FIRSTHDR, with a header that it gave.
        cmsg = unsafe { libc::CMSG_NXTHDR(msg, cmsg) };
    }
    fds
}

/// The user id of a connected peer, as this process's user namespace shows it (`SO_PEERCRED`).
pub fn peer_uid(sock: BorrowedFd<'_>) -> io::Result<u32> {
    Ok(nix::sys::socket::getsockopt(&sock, nix::sys::socket::sockopt::PeerCredentials)?.uid())
}

/// Waits for data without taking it; 0 means that the peer hung up (or reading was shut down).
pub fn peek(sock: BorrowedFd<'_>) -> io::Result<usize> {
    let mut byte = [0];
    loop {
        match nix::sys::socket::recv(sock.as_raw_fd(), &mut byte, MsgFlags::MSG_PEEK) {
            Err(nix::errno::Errno::EINTR) => continue,
            other => return other.map_err(io::Error::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs::File,
        os::{fd::AsFd, unix::net::UnixStream},
    };

    #[test]
    fn descriptors_travel_with_the_first_byte() {
        let (a, b) = UnixStream::pair().unwrap();
        let null = File::open("/dev/null").unwrap();
        let many: Vec<_> = (0..200).map(|_| null.as_fd()).collect();
        send_all(a.as_fd(), b"hello", &many).unwrap();
        let mut buf = [0; 2];
        let first = recv(b.as_fd(), &mut buf).unwrap();
        assert_eq!((first.len, first.fds.len(), first.fds_lost), (2, 200, false));
        let rest = recv(b.as_fd(), &mut [0; 16]).unwrap();
        assert_eq!((rest.len, rest.fds.len()), (3, 0));
        drop(a);
        assert_eq!(recv(b.as_fd(), &mut buf).unwrap().len, 0);
    }
}
