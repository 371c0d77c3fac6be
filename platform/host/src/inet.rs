//! Sockets of the host's network, for `--network=host`: raw addresses, options and control messages as bytes.
//!
//! Every socket made here is non-blocking and close-on-exec. What may be asked of them is for the caller to limit.

use crate::{Result, cvt, retry};
use std::{
    mem::size_of,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

/// Room for any socket address.
pub const ADDRESS: usize = 128;

fn length(bytes: &[u8]) -> Result<libc::socklen_t> {
    libc::socklen_t::try_from(bytes.len()).map_err(|_| crate::HostErrno::EINVAL)
}

/// `socket(2)`.
pub fn socket(family: i32, kind: i32, protocol: i32) -> Result<OwnedFd> {
    // SAFETY: takes numbers only.
    let fd = unsafe { libc::socket(family, kind | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, protocol) };
    let fd = cvt(fd)?;
    // SAFETY: the host just gave us this descriptor; nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `bind(2)`.
pub fn bind(fd: BorrowedFd<'_>, addr: &[u8]) -> Result<()> {
    let len = length(addr)?;
    // SAFETY: `addr` is readable for `len` bytes; the host checks what is in it.
    let ret = unsafe { libc::bind(fd.as_raw_fd(), addr.as_ptr().cast(), len) };
    cvt(ret).map(drop)
}

/// `connect(2)`; `EINPROGRESS` where it takes time.
pub fn connect(fd: BorrowedFd<'_>, addr: &[u8]) -> Result<()> {
    let len = length(addr)?;
    // SAFETY: as in `bind`.
    let ret = unsafe { libc::connect(fd.as_raw_fd(), addr.as_ptr().cast(), len) };
    cvt(ret).map(drop)
}

/// `listen(2)`.
pub fn listen(fd: BorrowedFd<'_>, backlog: i32) -> Result<()> {
    // SAFETY: takes numbers only.
    let ret = unsafe { libc::listen(fd.as_raw_fd(), backlog) };
    cvt(ret).map(drop)
}

/// `accept4(2)`.
pub fn accept(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: null pointers say that the address is not wanted.
    let new = unsafe { libc::accept4(fd.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut(), flags) };
    let new = cvt(new)?;
    // SAFETY: the host just gave us this descriptor; nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(new) })
}

/// `shutdown(2)`.
pub fn shutdown(fd: BorrowedFd<'_>, how: i32) -> Result<()> {
    // SAFETY: takes numbers only.
    let ret = unsafe { libc::shutdown(fd.as_raw_fd(), how) };
    cvt(ret).map(drop)
}

type NameCall = unsafe extern "C" fn(i32, *mut libc::sockaddr, *mut libc::socklen_t) -> i32;

fn name(fd: BorrowedFd<'_>, call: NameCall) -> Result<Vec<u8>> {
    let mut bytes = vec![0u8; ADDRESS];
    let mut len = ADDRESS as libc::socklen_t;
    // SAFETY: `bytes` is writable for `len` bytes, and `len` is a live number.
    let ret = unsafe { call(fd.as_raw_fd(), bytes.as_mut_ptr().cast(), &raw mut len) };
    cvt(ret)?;
    bytes.truncate(len as usize);
    Ok(bytes)
}

/// `getsockname(2)`.
pub fn local_name(fd: BorrowedFd<'_>) -> Result<Vec<u8>> {
    name(fd, libc::getsockname)
}

/// `getpeername(2)`.
pub fn peer_name(fd: BorrowedFd<'_>) -> Result<Vec<u8>> {
    name(fd, libc::getpeername)
}

/// `getsockopt(2)` with room for `room` bytes (which `value` may hold at first).
pub fn get_option(fd: BorrowedFd<'_>, level: i32, name: i32, room: usize) -> Result<Vec<u8>> {
    let mut value = vec![0u8; room.min(4096)];
    let mut len = length(&value)?;
    // SAFETY: `value` is writable for `len` bytes, and `len` is a live number.
    let ret =
        unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, value.as_mut_ptr().cast(), &raw mut len) };
    cvt(ret)?;
    value.truncate(len as usize);
    Ok(value)
}

/// `setsockopt(2)`.
pub fn set_option(fd: BorrowedFd<'_>, level: i32, name: i32, value: &[u8]) -> Result<()> {
    let len = length(value)?;
    // SAFETY: `value` is readable for `len` bytes.
    let ret = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, value.as_ptr().cast(), len) };
    cvt(ret).map(drop)
}

/// `sendmsg(2)`; a broken pipe is an error, never a signal. `control` is laid out as `cmsg(3)` says.
pub fn send(fd: BorrowedFd<'_>, data: &[u8], to: Option<&[u8]>, control: &[u8], flags: i32) -> Result<usize> {
    let mut iov = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
    // SAFETY: `msghdr` is plain data for which all zeroes is a valid, empty value.
    let mut msg: libc::msghdr = unsafe { std::mem::zeroed() };
    if let Some(to) = to {
        msg.msg_name = to.as_ptr().cast_mut().cast();
        msg.msg_namelen = length(to)?;
    }
    msg.msg_iov = &raw mut iov;
    msg.msg_iovlen = 1;
    if !control.is_empty() {
        msg.msg_control = control.as_ptr().cast_mut().cast();
        msg.msg_controllen = control.len();
    }
    retry(|| {
        // SAFETY: everything that `msg` points to is live and readable; the host only loads from it.
        let n = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const msg, flags | libc::MSG_NOSIGNAL) };
        cvt(n)
    })
    .map(|n| usize::try_from(n).unwrap_or(0))
}

/// What one [`recv`] brought.
#[derive(Debug, Default)]
pub struct Received {
    /// Bytes of data, or the message's whole length with `MSG_TRUNC`.
    pub len: usize,
    /// The sender's address.
    pub name: Vec<u8>,
    /// Control messages, as `cmsg(3)` lays them out.
    pub control: Vec<u8>,
    /// `msg_flags`.
    pub flags: i32,
}

/// `recvmsg(2)` into `data`, with room for `control` bytes of control messages. No descriptors can come this way.
pub fn recv(fd: BorrowedFd<'_>, data: &mut [u8], control: usize, flags: i32) -> Result<Received> {
    let mut iov = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    let mut name = vec![0u8; ADDRESS];
    // Of 64-bit words, so that the headers in it are aligned.
    let mut room = vec![0u64; control.min(4096).div_ceil(8)];
    // SAFETY: `msghdr` is plain data for which all zeroes is a valid, empty value.
    let mut msg: libc::msghdr = unsafe { std::mem::zeroed() };
    msg.msg_iov = &raw mut iov;
    msg.msg_iovlen = 1;
    msg.msg_name = name.as_mut_ptr().cast();
    msg.msg_namelen = ADDRESS as libc::socklen_t;
    msg.msg_control = room.as_mut_ptr().cast();
    msg.msg_controllen = room.len() * size_of::<u64>();
    let n = retry(|| {
        // SAFETY: everything that `msg` points to is live, writable and not otherwise referred to during the call.
        let n = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut msg, flags | libc::MSG_CMSG_CLOEXEC) };
        cvt(n)
    })?;
    name.truncate(msg.msg_namelen as usize);
    let mut control: Vec<u8> = room.iter().flat_map(|word| word.to_ne_bytes()).collect();
    control.truncate(msg.msg_controllen);
    Ok(Received { len: usize::try_from(n).unwrap_or(0), name, control, flags: msg.msg_flags })
}

/// What a socket is ready for now: `POLL*` bits.
pub fn poll(fd: BorrowedFd<'_>) -> Result<u32> {
    let all = libc::POLLIN | libc::POLLOUT | libc::POLLPRI | libc::POLLRDHUP;
    let mut one = libc::pollfd { fd: fd.as_raw_fd(), events: all, revents: 0 };
    // SAFETY: `one` is one live `pollfd`.
    let ret = retry(|| cvt(unsafe { libc::poll(&raw mut one, 1, 0) }));
    ret.map(|_| u32::from(one.revents as u16))
}

/// An `ioctl(2)` that loads and stores one `int`.
pub fn ioctl_int(fd: BorrowedFd<'_>, request: u32) -> Result<i32> {
    let mut value: i32 = 0;
    // SAFETY: the caller's request (FIONREAD and its like) stores one `int` at a live place.
    let ret = unsafe { libc::ioctl(fd.as_raw_fd(), u64::from(request), &raw mut value) };
    cvt(ret).map(|_| value)
}

/// What [`ioctl_ifreq`] passes on: `SIOCGIFNAME`, `-FLAGS`, `-ADDR`, `-DSTADDR`, `-BRDADDR`, `-NETMASK`, `-METRIC`, `-MTU`, `-HWADDR`,
/// `-INDEX`, `-TXQLEN`, `-MAP`.
pub const IFREQ_READS: [u32; 12] =
    [0x8910, 0x8913, 0x8915, 0x8917, 0x8919, 0x891b, 0x891d, 0x8921, 0x8927, 0x8933, 0x8942, 0x8970];

/// Requests that read one `struct ifreq` and may store to it (`SIOCGIF*` but for `SIOCGIFCONF`); others are `EINVAL`.
pub fn ioctl_ifreq(fd: BorrowedFd<'_>, request: u32, ifreq: &mut [u8; 40]) -> Result<()> {
    if !IFREQ_READS.contains(&request) {
        return Err(crate::HostErrno::EINVAL);
    }
    // SAFETY: each of these requests loads and stores a `struct ifreq`, which is 40 bytes, at a live place.
    let ret = unsafe { libc::ioctl(fd.as_raw_fd(), u64::from(request), ifreq.as_mut_ptr()) };
    cvt(ret).map(drop)
}

/// `SIOCGIFCONF`: the interfaces with IPv4 addresses, 40 bytes each, as many as 64.
pub fn interfaces(fd: BorrowedFd<'_>) -> Result<Vec<u8>> {
    let mut bytes = vec![0u8; 64 * 40];
    let mut conf = libc::ifconf {
        ifc_len: bytes.len() as i32,
        ifc_ifcu: libc::__c_anonymous_ifc_ifcu { ifcu_buf: bytes.as_mut_ptr().cast() },
    };
    // SAFETY: `conf` names a live buffer and its true length.
    let ret = unsafe { libc::ioctl(fd.as_raw_fd(), libc::SIOCGIFCONF as _, &raw mut conf) };
    cvt(ret)?;
    bytes.truncate(usize::try_from(conf.ifc_len).unwrap_or(0));
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn datagrams_to_oneself() {
        let sock = socket(libc::AF_INET, libc::SOCK_DGRAM, 0).unwrap();
        let mut addr = vec![0u8; 16];
        addr[0] = libc::AF_INET as u8;
        addr[4..8].copy_from_slice(&[127, 0, 0, 1]);
        bind(sock.as_fd(), &addr).unwrap();
        let me = local_name(sock.as_fd()).unwrap();
        assert_eq!(poll(sock.as_fd()).unwrap() & libc::POLLIN as u32, 0);
        set_option(sock.as_fd(), libc::SOL_IP, libc::IP_RECVTTL, &1i32.to_ne_bytes()).unwrap();
        assert_eq!(send(sock.as_fd(), b"hello", Some(&me), &[], 0).unwrap(), 5);
        assert_eq!(ioctl_int(sock.as_fd(), libc::FIONREAD as u32).unwrap(), 5);
        let mut buf = [0; 3];
        let got = recv(sock.as_fd(), &mut buf, 256, 0).unwrap();
        assert_eq!((got.len, &got.name, got.flags & libc::MSG_TRUNC), (3, &me, libc::MSG_TRUNC));
        assert!(got.control.len() >= 20);
        assert_eq!(recv(sock.as_fd(), &mut buf, 0, 0).err(), Some(crate::HostErrno::EAGAIN));
        assert_eq!(bind(sock.as_fd(), &[1]).err(), Some(crate::HostErrno::EINVAL));
        assert_eq!(ioctl_ifreq(sock.as_fd(), 0x8914, &mut [0; 40]), Err(crate::HostErrno::EINVAL));
    }
}
