//! Pidfds: signalling and reaping a child by descriptor. [`process::pidfd_open`](crate::process::pidfd_open) makes them.

use crate::{Result, cvt};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Signals the process behind a pidfd.
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<()> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo asks for the default one; the rest are numbers.
    cvt(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, info, 0) }).map(drop)
}

/// Waits for the process behind a pidfd, a child of ours, and reaps it. `None` if `nohang` and it still runs.
pub fn pidfd_wait(pidfd: BorrowedFd<'_>, nohang: bool) -> Result<Option<nix::sys::wait::WaitStatus>> {
    use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
    let mut flags = WaitPidFlag::WEXITED;
    flags.set(WaitPidFlag::WNOHANG, nohang);
    match crate::retry(|| waitid(Id::PIDFd(pidfd), flags))? {
        WaitStatus::StillAlive => Ok(None),
        status => Ok(Some(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HostErrno;
    use std::os::fd::AsFd;

    #[test]
    #[allow(clippy::zombie_processes, reason = "it is waited for by its pidfd")]
    fn children_by_pidfd() {
        let child = std::process::Command::new("/bin/sleep").arg("100").spawn().unwrap();
        let fd = crate::process::pidfd_open(nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()))
            .unwrap();
        assert!(pidfd_wait(fd.as_fd(), true).unwrap().is_none());
        pidfd_send_signal(fd.as_fd(), libc::SIGKILL).unwrap();
        assert!(pidfd_wait(fd.as_fd(), false).unwrap().is_some());
        assert_eq!(pidfd_send_signal(fd.as_fd(), 0), Err(HostErrno::ESRCH));
    }
}
