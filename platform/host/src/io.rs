//! Reads and writes at offsets of donated descriptors.
//!
//! The safe variants take slices of the sentry's own memory. The raw ones take `(pointer, length)` pairs, for
//! `sentry/mem`, whose memory changes under us and must not become a slice.

use crate::{HostErrno, Result, cvt, retry};
use std::os::fd::{AsRawFd, BorrowedFd};

/// A piece of memory: pointer and length, laid out as `struct iovec`.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct RawSlice(libc::iovec);

impl RawSlice {
    /// A piece of `len` bytes at `ptr`.
    pub fn new(ptr: *mut u8, len: usize) -> Self {
        Self(libc::iovec { iov_base: ptr.cast(), iov_len: len })
    }
}

bitflags::bitflags! {
    /// How a transfer behaves; `RWF_*` of `preadv2(2)`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct RwFlags: i32 {
        /// Do not wait for storage: `EAGAIN` instead.
        const NOWAIT = libc::RWF_NOWAIT;
        /// Data reaches storage before the call ends.
        const DSYNC = libc::RWF_DSYNC;
        /// Data and attributes reach storage before the call ends.
        const SYNC = libc::RWF_SYNC;
        /// Write at the end of the file whatever the offset.
        const APPEND = libc::RWF_APPEND;
        /// High priority, polled if possible.
        const HIPRI = libc::RWF_HIPRI;
    }
}

/// Host's limit on the number of pieces in one call (`IOV_MAX`).
pub const MAX_PIECES: usize = 1024;

fn count(pieces: &[RawSlice]) -> Result<i32> {
    if pieces.len() > MAX_PIECES {
        return Err(HostErrno::EINVAL);
    }
    i32::try_from(pieces.len()).map_err(|_| HostErrno::EINVAL)
}

fn offset(at: Option<u64>) -> Result<i64> {
    match at {
        // -1 means the descriptor's own position.
        None => Ok(-1),
        Some(at) => i64::try_from(at).map_err(|_| HostErrno::EINVAL),
    }
}

/// `preadv2(2)` into raw memory; `at` of `None` uses (and moves) the descriptor's position.
///
/// # Safety
/// Every piece is memory that the host may store to: mapped writable, and no Rust reference to it is live.
pub unsafe fn read_raw(
    fd: BorrowedFd<'_>,
    pieces: &[RawSlice],
    at: Option<u64>,
    flags: RwFlags,
) -> Result<usize> {
    let (n, at) = (count(pieces)?, offset(at)?);
    retry(|| {
        // SAFETY: `pieces` are `n` iovecs (transparent), and the caller promises what they point to.
        let got = unsafe { libc::preadv2(fd.as_raw_fd(), pieces.as_ptr().cast(), n, at, flags.bits()) };
        cvt(got)
    })
    .map(to_usize)
}

/// `pwritev2(2)` from raw memory; `at` of `None` uses (and moves) the descriptor's position.
///
/// # Safety
/// Every piece is memory that the host may load from (mapped readable).
pub unsafe fn write_raw(
    fd: BorrowedFd<'_>,
    pieces: &[RawSlice],
    at: Option<u64>,
    flags: RwFlags,
) -> Result<usize> {
    let (n, at) = (count(pieces)?, offset(at)?);
    retry(|| {
        // SAFETY: as in `read_raw`; the host only loads.
        let got = unsafe { libc::pwritev2(fd.as_raw_fd(), pieces.as_ptr().cast(), n, at, flags.bits()) };
        cvt(got)
    })
    .map(to_usize)
}

/// Reads at an offset; short reads are normal, 0 is the end of the file.
pub fn read_at(fd: BorrowedFd<'_>, buf: &mut [u8], at: u64) -> Result<usize> {
    let at = i64::try_from(at).map_err(|_| HostErrno::EINVAL)?;
    retry(|| nix::sys::uio::pread(fd, buf, at))
}

/// Writes at an offset; short writes are normal.
pub fn write_at(fd: BorrowedFd<'_>, buf: &[u8], at: u64) -> Result<usize> {
    let at = i64::try_from(at).map_err(|_| HostErrno::EINVAL)?;
    retry(|| nix::sys::uio::pwrite(fd, buf, at))
}

/// `read(2)`: for pipes, terminals, sockets.
pub fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> Result<usize> {
    retry(|| nix::unistd::read(fd, buf))
}

/// `write(2)`. The sentry ignores SIGPIPE, so a closed reader is `EPIPE`.
pub fn write(fd: BorrowedFd<'_>, buf: &[u8]) -> Result<usize> {
    retry(|| nix::unistd::write(fd, buf))
}

/// Sets or clears `O_NONBLOCK`. It belongs to the open file, which others may share.
pub fn set_nonblocking(fd: BorrowedFd<'_>, on: bool) -> Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let old = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    let mut new = old;
    new.set(OFlag::O_NONBLOCK, on);
    if new != old {
        fcntl(fd, FcntlArg::F_SETFL(new))?;
    }
    Ok(())
}

fn to_usize(n: isize) -> usize {
    usize::try_from(n).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn pieces_and_offsets() {
        let fd = crate::memfd::create(c"test", false).unwrap();
        assert_eq!(write_at(fd.as_fd(), b"hello", 3).unwrap(), 5);
        let (mut a, mut b) = ([0u8; 4], [0u8; 10]);
        let pieces = [RawSlice::new(a.as_mut_ptr(), 4), RawSlice::new(b.as_mut_ptr(), 10)];
        // SAFETY: both arrays are live, and not otherwise referred to during the call.
        let n = unsafe { read_raw(fd.as_fd(), &pieces, Some(0), RwFlags::empty()) }.unwrap();
        assert_eq!((n, &a, b.get(..4).unwrap()), (8, b"\0\0\0h", &b"ello"[..]));
        assert_eq!(read_at(fd.as_fd(), &mut a, u64::MAX), Err(HostErrno::EINVAL));
        let many = vec![RawSlice::new(std::ptr::null_mut(), 0); MAX_PIECES + 1];
        // SAFETY: the pieces are empty.
        assert_eq!(unsafe { read_raw(fd.as_fd(), &many, None, RwFlags::empty()) }, Err(HostErrno::EINVAL));
    }
}
