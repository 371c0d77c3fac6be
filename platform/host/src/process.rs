//! Other processes of the host and this one's privileges: pidfds, capabilities, plain forks.
//!
//! Used by the runtime before and while a sandbox runs; the sentry itself uses only [`drop_capabilities`].

use nix::unistd::Pid;
use std::{
    io,
    os::fd::{FromRawFd, OwnedFd},
};

/// `pidfd_open(2)`: a descriptor that becomes readable when the process exits. `ESRCH` where it is gone.
pub fn pidfd_open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: two numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let fd = i32::try_from(fd).unwrap_or(-1);
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel made it for us just now.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// This process's effective user id.
pub fn effective_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
const LAST_CAP: u32 = 63;

/// Reduces this thread's capabilities (bounding, permitted, effective) to those in `keep`, a mask by capability
/// number, and clears the inheritable and ambient sets. Capabilities that were not held are not gained.
pub fn limit_capabilities(keep: u64) -> io::Result<()> {
    for cap in 0..=LAST_CAP {
        if keep & (1 << cap) == 0 {
            // Fails with EINVAL past the last capability that the host knows and EPERM without CAP_SETPCAP;
            // with `no_new_privs` and an empty permitted set the bounding set cannot matter then.
            // SAFETY: plain numbers.
            unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(cap), 0, 0, 0) };
        }
    }
    // SAFETY: plain numbers.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    let header = CapHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let mut data = [CapData::default(); 2];
    // SAFETY: version 3 headers go with two data elements, which is what `data` is.
    if unsafe { libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    for (word, shift) in data.iter_mut().zip([0, 32]) {
        word.permitted &= u32::try_from((keep >> shift) & 0xffff_ffff).unwrap_or(0);
        word.effective = word.permitted;
        word.inheritable = 0;
    }
    // SAFETY: as for capget; the kernel only reads.
    if unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Drops every capability of this thread. Call while the process has one thread.
pub fn drop_capabilities() -> io::Result<()> {
    limit_capabilities(0)
}

/// The two sides of [`fork`].
pub enum Fork {
    /// In the parent, with the child's id.
    Parent(Pid),
    /// In the child.
    Child,
}

/// `fork(2)` of a process that has one thread; `EAGAIN` where it has more, because a child of a threaded
/// process may find any lock taken for ever.
pub fn fork() -> io::Result<Fork> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::from_raw_os_error(libc::EAGAIN));
    }
    // SAFETY: the process has a single thread (just checked; nobody else could start one), so the child's copy
    // of every lock and of the allocator is consistent.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Parent { child } => Ok(Fork::Parent(child)),
        nix::unistd::ForkResult::Child => Ok(Fork::Child),
    }
}
