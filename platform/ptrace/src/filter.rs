//! The stub's own seccomp filter: a second line behind `PTRACE_SYSEMU`.
//!
//! Calls of the application never get as far as a filter, since SYSEMU skips them before. What
//! gets here is what the sentry injects; anything else is a broken stub, and is killed.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition as Cond,
    SeccompFilter, SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

/// The program, as bytes of `struct sock_filter`s, and how many there are.
pub fn program() -> Result<(Vec<u8>, u16), seccompiler::Error> {
    let equal = |arg, value: i32| -> Result<SeccompRule, seccompiler::Error> {
        let condition = Cond::new(arg, Len::Dword, Op::Eq, u64::from(value as u32))?;
        Ok(SeccompRule::new(vec![condition])?)
    };
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for nr in [
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_pause,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
        // Emulation of the vsyscall page runs these three in the kernel, and asks the filter first.
        libc::SYS_gettimeofday,
        libc::SYS_time,
        libc::SYS_getcpu,
    ] {
        rules.insert(nr, Vec::new());
    }
    let clones = [crate::inject::THREAD, crate::inject::PARKED, crate::inject::PROCESS];
    rules.insert(libc::SYS_clone, clones.into_iter().map(|f| equal(0, f)).collect::<Result<_, _>>()?);
    rules.insert(libc::SYS_prctl, vec![equal(0, libc::PR_SET_PDEATHSIG)?]);
    let filter =
        SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, TargetArch::x86_64)?;
    let program: BpfProgram = filter.try_into()?;
    let mut bytes = Vec::new();
    for i in &program {
        bytes.extend(i.code.to_ne_bytes());
        bytes.extend([i.jt, i.jf]);
        bytes.extend(i.k.to_ne_bytes());
    }
    Ok((bytes, u16::try_from(program.len()).unwrap_or(0)))
}
