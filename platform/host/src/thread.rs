//! Host threads: identity, CPU placement.

use crate::{HostErrno, Result, cvt};

/// A set of host CPUs.
pub type CpuSet = nix::sched::CpuSet;

/// The caller's thread id.
pub fn gettid() -> i32 {
    nix::unistd::gettid().as_raw()
}

/// The caller's process id.
pub fn getpid() -> i32 {
    nix::unistd::getpid().as_raw()
}

/// Sends `signal` (0: none, a check for existence) to one thread of a process.
pub fn tgkill(pid: i32, tid: i32, signal: i32) -> Result<()> {
    // SAFETY: takes numbers only.
    cvt(unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, signal) }).map(drop)
}

/// The CPUs that a thread (0: the caller) may run on.
pub fn affinity(tid: i32) -> Result<CpuSet> {
    nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(tid))
}

/// Says which CPUs a thread (0: the caller) may run on.
pub fn set_affinity(tid: i32, cpus: &CpuSet) -> Result<()> {
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(tid), cpus)
}

/// A set of one CPU.
pub fn single_cpu(cpu: usize) -> Result<CpuSet> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    Ok(set)
}

/// The CPUs of a set, ascending.
pub fn cpus(set: &CpuSet) -> Vec<usize> {
    (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false)).collect()
}

/// Pins the calling thread to the `n`th (modulo their number) of the CPUs it may use, and says which that is.
pub fn pin_to_nth(allowed: &CpuSet, n: usize) -> Result<usize> {
    let cpus = cpus(allowed);
    let at = n.checked_rem(cpus.len()).ok_or(HostErrno::EINVAL)?;
    let cpu = *cpus.get(at).ok_or(HostErrno::EINVAL)?;
    set_affinity(0, &single_cpu(cpu)?)?;
    Ok(cpu)
}

/// The CPU that the caller runs on now.
pub fn current_cpu() -> Result<usize> {
    nix::sched::sched_getcpu()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins() {
        std::thread::spawn(|| {
            let all = affinity(0).unwrap();
            let cpu = pin_to_nth(&all, 1).unwrap();
            assert_eq!(current_cpu().unwrap(), cpu);
            assert_eq!(cpus(&affinity(0).unwrap()), [cpu]);
            set_affinity(0, &all).unwrap();
        })
        .join()
        .unwrap();
        assert_eq!(pin_to_nth(&CpuSet::new(), 0), Err(HostErrno::EINVAL));
        tgkill(getpid(), gettid(), 0).unwrap();
    }
}
