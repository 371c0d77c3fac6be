//! Memory files: `memfd_create(2)` and the operations on their length and holes.

use crate::{Result, cvt, retry};
use std::{
    ffi::CStr,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

/// Creates an empty memory file, close-on-exec; `seals` says whether seals can be added later.
pub fn create(name: &CStr, seals: bool) -> Result<OwnedFd> {
    let mut flags = libc::MFD_CLOEXEC;
    if seals {
        flags |= libc::MFD_ALLOW_SEALING;
    }
    // SAFETY: `name` is a C string that outlives the call, which only reads it.
    let fd = cvt(unsafe { libc::memfd_create(name.as_ptr(), flags) })?;
    // SAFETY: the host just gave us this descriptor; nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Forbids every change of size and of the seals; `write` too where no writable mapping may exist.
pub fn seal(fd: BorrowedFd<'_>, write: bool) -> Result<()> {
    let mut seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
    if write {
        seals |= libc::F_SEAL_WRITE;
    }
    // SAFETY: takes numbers only.
    cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, seals) }).map(drop)
}

/// `ftruncate(2)`.
pub fn set_len(fd: BorrowedFd<'_>, len: u64) -> Result<()> {
    let len = off(len)?;
    // SAFETY: takes numbers only; pages cut off under a mapping are the caller's promise not to touch.
    retry(|| cvt(unsafe { libc::ftruncate(fd.as_raw_fd(), len) })).map(drop)
}

/// Gives the host back the pages of a range; they read as zeros from then on.
pub fn punch_hole(fd: BorrowedFd<'_>, offset: u64, len: u64) -> Result<()> {
    fallocate(fd, libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE, offset, len)
}

/// Makes the host provide the pages of a range now (`ENOSPC`/`ENOMEM` where it cannot).
pub fn allocate(fd: BorrowedFd<'_>, offset: u64, len: u64) -> Result<()> {
    fallocate(fd, 0, offset, len)
}

/// `fallocate(2)` with the host's mode bits.
pub fn fallocate(fd: BorrowedFd<'_>, mode: i32, offset: u64, len: u64) -> Result<()> {
    let (offset, len) = (off(offset)?, off(len)?);
    // SAFETY: takes numbers only.
    retry(|| cvt(unsafe { libc::fallocate(fd.as_raw_fd(), mode, offset, len) })).map(drop)
}

/// The next offset at or behind `from` that holds data, or `None` behind the last (`SEEK_DATA`).
pub fn next_data(fd: BorrowedFd<'_>, from: u64) -> Result<Option<u64>> {
    seek(fd, from, libc::SEEK_DATA)
}

/// The next offset at or behind `from` that is in a hole (`SEEK_HOLE`; the end of the file is one).
pub fn next_hole(fd: BorrowedFd<'_>, from: u64) -> Result<Option<u64>> {
    seek(fd, from, libc::SEEK_HOLE)
}

fn seek(fd: BorrowedFd<'_>, from: u64, whence: i32) -> Result<Option<u64>> {
    let from = off(from)?;
    // SAFETY: takes numbers only; the file position of a memory file is not used for anything.
    match cvt(unsafe { libc::lseek(fd.as_raw_fd(), from, whence) }) {
        Ok(at) => Ok(u64::try_from(at).ok()),
        Err(crate::HostErrno::ENXIO) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Bytes that the host holds for the file (`st_blocks`).
pub fn resident_bytes(fd: BorrowedFd<'_>) -> Result<u64> {
    let stat = nix::sys::stat::fstat(fd)?;
    Ok(u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512))
}

fn off(n: u64) -> Result<libc::off_t> {
    libc::off_t::try_from(n).map_err(|_| crate::HostErrno::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn holes_give_memory_back() {
        let fd = create(c"test", true).unwrap();
        set_len(fd.as_fd(), 1 << 20).unwrap();
        assert_eq!(resident_bytes(fd.as_fd()).unwrap(), 0);
        allocate(fd.as_fd(), 0, 8192).unwrap();
        assert_eq!(resident_bytes(fd.as_fd()).unwrap(), 8192);
        // What was allocated and never written still reads as a hole.
        crate::io::write_at(fd.as_fd(), &[1; 8192], 0).unwrap();
        assert_eq!(next_hole(fd.as_fd(), 0).unwrap(), Some(8192));
        punch_hole(fd.as_fd(), 0, 4096).unwrap();
        assert_eq!(next_data(fd.as_fd(), 0).unwrap(), Some(4096));
        assert_eq!(next_data(fd.as_fd(), 8192).unwrap(), None);
        assert_eq!(set_len(fd.as_fd(), u64::MAX), Err(crate::HostErrno::EINVAL));
        seal(fd.as_fd(), true).unwrap();
        assert_eq!(set_len(fd.as_fd(), 0), Err(crate::HostErrno::EPERM));
    }
}
