//! Attributes of the calling task (`prctl(2)`), and memory of other processes for debugging.

use crate::{HostErrno, Result, cvt};

/// Names the calling thread, as `ps` shows it; cut to 15 bytes.
pub fn set_name(name: &std::ffi::CStr) -> Result<()> {
    nix::sys::prctl::set_name(name)
}

/// Has the host send `signal` to the caller when the thread that made it ends.
pub fn set_parent_death_signal(signal: nix::sys::signal::Signal) -> Result<()> {
    nix::sys::prctl::set_pdeathsig(signal)
}

/// No privilege is gained by `execve` from now on; cannot be undone.
pub fn set_no_new_privs() -> Result<()> {
    nix::sys::prctl::set_no_new_privs()
}

/// Whether others of the same user may trace the caller and whether it dumps core.
pub fn set_dumpable(on: bool) -> Result<()> {
    nix::sys::prctl::set_dumpable(on)
}

/// Makes descendants whose parent ended children of the caller.
pub fn set_child_subreaper(on: bool) -> Result<()> {
    nix::sys::prctl::set_child_subreaper(on)
}

/// Reads the memory of another process, for debugging; a short count where part of it is not mapped.
pub fn read_memory(pid: i32, addr: u64, buf: &mut [u8]) -> Result<usize> {
    let local = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    let base = usize::try_from(addr).map_err(|_| HostErrno::EFAULT)?;
    let remote = libc::iovec { iov_base: base as *mut libc::c_void, iov_len: buf.len() };
    // SAFETY: the host writes to `buf` alone, whose length the local iovec has; the remote address is only a number.
    let n = cvt(unsafe { libc::process_vm_readv(pid, &local, 1, &remote, 1, 0) })?;
    usize::try_from(n).map_err(|_| HostErrno::EIO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_a_process() {
        let word = [1u8, 2, 3, 4];
        let mut copy = [0; 4];
        let addr = word.as_ptr() as u64;
        assert_eq!(read_memory(crate::thread::getpid(), addr, &mut copy).unwrap(), 4);
        assert_eq!(word, copy);
        assert_eq!(read_memory(crate::thread::getpid(), 8, &mut copy), Err(HostErrno::EFAULT));
    }
}
