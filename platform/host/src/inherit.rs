//! Descriptors that a process was started with.
//!
//! A child that is told "your control socket is descriptor 7" has a number, not ownership. [`take`] turns the
//! one into the other, once per number. **Invariant:** callers take what they were given before they open
//! anything themselves, so that a number can only mean what the parent put there.

use std::{
    collections::BTreeSet,
    io,
    os::fd::{FromRawFd, OwnedFd, RawFd},
    sync::Mutex,
};

static TAKEN: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

/// Takes ownership of inherited descriptor `raw` and makes it close-on-exec.
///
/// `EBADF` where nothing is open there, `EBUSY` where it was taken before.
pub fn take(raw: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl on a number that may not be open only fails with EBADF.
    let flags = unsafe { libc::fcntl(raw, libc::F_GETFD) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut taken = TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !taken.insert(raw) {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    // SAFETY: as above; setting the flag has no memory effect.
    unsafe { libc::fcntl(raw, libc::F_SETFD, flags | libc::FD_CLOEXEC) };
    // SAFETY: the descriptor is open, was put there by the parent for us, and no earlier call taken it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Another descriptor for what is open at the inherited number `raw`, which is not taken by this.
pub fn duplicate(raw: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: a number that may not be open only fails with EBADF; the new descriptor is nobody else's.
    let fd = unsafe { libc::fcntl(raw, libc::F_DUPFD_CLOEXEC, 3) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel made it for us just now.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
