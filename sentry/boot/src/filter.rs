//! The sentry's own seccomp filter: exactly the host calls that it makes once it runs.
//!
//! Anything else kills the process: an attacker who runs code in the sentry gets no further. Descriptors come from the
//! gofer; there is no `open`, no `socket` (but for `--network=host`), no `execve`. The C library looks for files now and then: it
//! is told that there are none. Calls are told apart by number alone; their arguments are not looked at yet.

use crate::{StartError, StartErrorKind, config::Network};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
use std::collections::BTreeMap;

/// What every sentry does: memory, threads, descriptors that it has.
const ALWAYS: &[i64] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_fcntl,
    libc::SYS_ioctl,
    libc::SYS_dup,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd2,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_accept4,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_mincore,
    libc::SYS_msync,
    libc::SYS_brk,
    libc::SYS_memfd_create,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_getcpu,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_geteuid,
    libc::SYS_tgkill,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_prctl,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_getrandom,
    libc::SYS_sysinfo,
    libc::SYS_prlimit64,
];

/// Sockets of the host, with `--network=host`.
const HOST_NETWORK: &[i64] = &[
    libc::SYS_socket,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_connect,
    libc::SYS_accept,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
];

/// Calls that libraries make unasked (the allocator counts CPUs in `/sys`) and that find nothing anyway, the root being
/// empty: they are told so without a look.
const NOTHING_THERE: &[i64] = &[libc::SYS_open, libc::SYS_openat, libc::SYS_readlink, libc::SYS_access];

/// Puts the filter on every thread. Nothing that it forbids may be needed afterwards.
pub fn install(platform: &[i64], network: Network) -> Result<(), StartError> {
    let mut allowed: BTreeMap<i64, Vec<seccompiler::SeccompRule>> = BTreeMap::new();
    let host = if network == Network::Host { HOST_NETWORK } else { &[] };
    for nr in ALWAYS.iter().chain(platform).chain(host) {
        allowed.insert(*nr, Vec::new());
    }
    let fail = |e: &dyn std::fmt::Display| {
        StartError::new(StartErrorKind::Internal, format!("cannot install the sentry's seccomp filter: {e}"))
    };
    for nr in NOTHING_THERE {
        allowed.insert(*nr, Vec::new());
    }
    let not_found = NOTHING_THERE.iter().map(|nr| (*nr, Vec::new())).collect();
    let refuse = SeccompAction::Errno(libc::ENOENT as u32);
    // Of the answers of two filters the stricter one counts.
    let filters = [
        (not_found, refuse, SeccompAction::Allow),
        (allowed, SeccompAction::Allow, SeccompAction::KillProcess),
    ];
    for (calls, listed, others) in filters {
        let filter = SeccompFilter::new(calls, others, listed, TargetArch::x86_64).map_err(|e| fail(&e))?;
        let program: BpfProgram = filter.try_into().map_err(|e: seccompiler::BackendError| fail(&e))?;
        seccompiler::apply_filter_all_threads(&program).map_err(|e| fail(&e))?;
    }
    Ok(())
}
