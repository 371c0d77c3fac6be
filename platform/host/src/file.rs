//! Open files of the host: attributes, syncing, positions, readiness.

use crate::{HostErrno, Result, cvt, retry};
use nix::poll::{PollFd, PollTimeout};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Poll bits, as `poll(2)` names them.
pub use nix::poll::PollFlags;

/// What `fstat(2)` tells. Times are seconds and nanoseconds. Owners are as this process's user namespace sees them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs, reason = "fields of stat(3type)")]
pub struct Status {
    pub dev: u64,
    pub ino: u64,
    pub mode: u32,
    pub nlink: u64,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u64,
    pub size: u64,
    pub blksize: u64,
    pub blocks: u64,
    pub atime: (i64, i64),
    pub mtime: (i64, i64),
    pub ctime: (i64, i64),
}

/// `fstat(2)`.
pub fn status(fd: BorrowedFd<'_>) -> Result<Status> {
    let s = nix::sys::stat::fstat(fd)?;
    let positive = |n: i64| u64::try_from(n).unwrap_or(0);
    Ok(Status {
        dev: s.st_dev,
        ino: s.st_ino,
        mode: s.st_mode,
        nlink: s.st_nlink,
        uid: s.st_uid,
        gid: s.st_gid,
        rdev: s.st_rdev,
        size: positive(s.st_size),
        blksize: positive(s.st_blksize),
        blocks: positive(s.st_blocks),
        atime: (s.st_atime, s.st_atime_nsec),
        mtime: (s.st_mtime, s.st_mtime_nsec),
        ctime: (s.st_ctime, s.st_ctime_nsec),
    })
}

/// `fsync(2)`, or `fdatasync(2)`.
pub fn sync(fd: BorrowedFd<'_>, data_only: bool) -> Result<()> {
    retry(|| if data_only { nix::unistd::fdatasync(fd) } else { nix::unistd::fsync(fd) })
}

/// Where `lseek(2)` counts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "names of lseek(2)")]
pub enum Whence {
    Set,
    Current,
    End,
    Data,
    Hole,
}

/// `lseek(2)`: moves the position that everybody has who shares the open file.
pub fn seek(fd: BorrowedFd<'_>, offset: i64, whence: Whence) -> Result<u64> {
    let whence = match whence {
        Whence::Set => libc::SEEK_SET,
        Whence::Current => libc::SEEK_CUR,
        Whence::End => libc::SEEK_END,
        Whence::Data => libc::SEEK_DATA,
        Whence::Hole => libc::SEEK_HOLE,
    };
    // SAFETY: takes numbers only.
    let at = cvt(unsafe { libc::lseek(fd.as_raw_fd(), offset, whence) })?;
    u64::try_from(at).map_err(|_| HostErrno::EOVERFLOW)
}

/// What of `events` is met now (with error and hang-up). Never waits.
pub fn poll_now(fd: BorrowedFd<'_>, events: PollFlags) -> Result<PollFlags> {
    let mut one = [PollFd::new(fd, events)];
    retry(|| nix::poll::poll(&mut one, PollTimeout::ZERO))?;
    Ok(one[0].revents().unwrap_or(PollFlags::empty()))
}

/// Waits until one of `events` is met.
pub fn poll_wait(fd: BorrowedFd<'_>, events: PollFlags) -> Result<PollFlags> {
    let mut one = [PollFd::new(fd, events)];
    retry(|| nix::poll::poll(&mut one, PollTimeout::NONE))?;
    Ok(one[0].revents().unwrap_or(PollFlags::empty()))
}

/// `ioctl(FIONREAD)`: bytes that can be read at once.
pub fn available(fd: BorrowedFd<'_>) -> Result<u32> {
    let mut n: libc::c_int = 0;
    // SAFETY: FIONREAD stores one int, for which `n` is.
    cvt(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &raw mut n) })?;
    Ok(u32::try_from(n).unwrap_or(0))
}

/// The access mode and status flags of the open file (`F_GETFL`), with the host's bits.
pub fn flags(fd: BorrowedFd<'_>) -> Result<i32> {
    nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFL)
}

/// One more descriptor of the same open file, close-on-exec.
pub fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    fd.try_clone_to_owned().map_err(|e| HostErrno::from_raw(e.raw_os_error().unwrap_or(libc::EIO)))
}

/// How many descriptors this process may have (`RLIMIT_NOFILE`).
pub fn descriptor_limit() -> u64 {
    nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_memory_file_and_a_pipe() {
        let file = crate::memfd::create(c"test", false).unwrap();
        crate::io::write_at(file.as_fd(), b"hello", 0).unwrap();
        assert_eq!(status(file.as_fd()).unwrap().size, 5);
        assert_eq!(seek(file.as_fd(), -1, Whence::End).unwrap(), 4);
        assert_eq!(seek(file.as_fd(), 0, Whence::Current).unwrap(), 4);
        sync(file.as_fd(), true).unwrap();
        let (r, w) = nix::unistd::pipe().unwrap();
        assert_eq!(poll_now(r.as_fd(), PollFlags::POLLIN).unwrap(), PollFlags::empty());
        crate::io::write(w.as_fd(), b"abc").unwrap();
        assert_eq!(poll_wait(r.as_fd(), PollFlags::POLLIN).unwrap(), PollFlags::POLLIN);
        assert_eq!(available(r.as_fd()).unwrap(), 3);
        assert_eq!(seek(r.as_fd(), 0, Whence::Current), Err(HostErrno::ESPIPE));
    }
}
