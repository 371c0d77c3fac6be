//! Moves between host files and memory that changes under us, with no buffer in between.

use crate::VolatileSlice;
use abi::Errno;
use host::io::{RawSlice, RwFlags};
use std::os::fd::BorrowedFd;

/// Reads into all of `piece`; how many bytes came. `at` of `None` uses (and moves) the descriptor's position.
pub fn read(
    fd: BorrowedFd<'_>,
    piece: &VolatileSlice<'_>,
    at: Option<u64>,
    flags: RwFlags,
) -> Result<usize, Errno> {
    let guard = piece.ptr_guard_mut();
    let raw = [RawSlice::new(guard.as_ptr(), piece.len())];
    // SAFETY: a volatile slice is mapped writable for as long as it lives, and no Rust reference to it exists.
    let got = unsafe { host::io::read_raw(fd, &raw, at, flags) };
    got.map_err(|e| Errno::from_host(e as i32))
}

/// Writes all of `piece`, or as much as goes; how many bytes went. `at` of `None` uses (and moves) the position.
pub fn write(
    fd: BorrowedFd<'_>,
    piece: &VolatileSlice<'_>,
    at: Option<u64>,
    flags: RwFlags,
) -> Result<usize, Errno> {
    let guard = piece.ptr_guard();
    let raw = [RawSlice::new(guard.as_ptr().cast_mut(), piece.len())];
    // SAFETY: a volatile slice is mapped readable for as long as it lives; the host only loads from it.
    let put = unsafe { host::io::write_raw(fd, &raw, at, flags) };
    put.map_err(|e| Errno::from_host(e as i32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn there_and_back() {
        let fd = host::memfd::create(c"test", false).unwrap();
        let mut bytes = *b"hello";
        let piece = VolatileSlice::from(&mut bytes[..]);
        assert_eq!(write(fd.as_fd(), &piece, Some(2), RwFlags::empty()), Ok(5));
        let mut back = [0u8; 8];
        let piece = VolatileSlice::from(&mut back[..]);
        assert_eq!(read(fd.as_fd(), &piece, Some(0), RwFlags::empty()), Ok(7));
        assert_eq!(&back, b"\0\0hello\0");
        assert_eq!(read(fd.as_fd(), &VolatileSlice::from(&mut back[..]), Some(7), RwFlags::empty()), Ok(0));
    }
}
