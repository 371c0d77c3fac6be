//! The one door to host system calls: thin safe wrappers of what the sentry asks of the host.
//!
//! Every call that the sentry makes of the host, other than those that the standard library makes by itself,
//! goes through here or through a platform, so that the seccomp allow-list of the sentry can be read off one place.
//! Wrappers own what they make ([`OwnedFd`](std::os::fd::OwnedFd), [`Mapping`](map::Mapping)), retry `EINTR` where an interruption
//! carries no meaning, and answer [`HostErrno`], never the application's `Errno`: what a host error means to an
//! application is for the caller to say.
//!
//! **Lock order:** no locks here. **Absent on purpose:** opening files by path; policy of any kind.

pub mod epoll;
pub mod eventfd;
pub mod file;
pub mod futex;
pub mod inet;
pub mod inherit;
pub mod io;
pub mod launch;
pub mod map;
pub mod memfd;
pub mod mount;
pub mod pidfd;
pub mod prctl;
pub mod process;
pub mod random;
pub mod scm;
pub mod signal;
pub mod socket;
pub mod thread;
pub mod time;
pub mod tty;
pub mod vdso;

/// An error number of the host.
pub use nix::errno::Errno as HostErrno;

/// What host calls answer.
pub type Result<T> = std::result::Result<T, HostErrno>;

/// Turns the C convention (-1 and `errno`) into a `Result`.
pub(crate) fn cvt<T: PartialOrd + From<i8>>(ret: T) -> Result<T> {
    if ret < T::from(0) { Err(HostErrno::last()) } else { Ok(ret) }
}

/// Calls again for as long as the answer is `EINTR`.
pub(crate) fn retry<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(HostErrno::EINTR) => continue,
            other => return other,
        }
    }
}

/// The size of a page.
pub const PAGE_SIZE: usize = 4096;
