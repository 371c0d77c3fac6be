//! The sentry's own seccomp filter: exactly the host calls that it makes once it runs, with the arguments that it gives.
//!
//! Anything else kills the process: an attacker who runs code in the sentry gets no further. Descriptors come from the
//! gofer; there is no `open`, no `socket` (but for `--network=host`), no `execve`, no new process, no memory that can be
//! executed. The C library looks for files now and then: it is told that there are none.
//!
//! The lists are [`HostCall`]s. A call that is in several of them is let through where one of them says so.

use crate::{StartError, StartErrorKind, config::Network};
use platform::{ArgCheck, HostCall, host_calls};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

/// `clone` of a thread as the C library asks for it, and nothing else.
const THREAD: i32 = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_CLEARTID;
/// What the C library guards new stacks with, from 2.42 on.
const MADV_GUARD_INSTALL: i32 = 102;
/// Flags of `futex(2)` operations: they say where to look, and by which clock.
const FUTEX_FLAGS: i32 = libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME;
const SOCK_FLAGS: i32 = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;

/// What every sentry does: memory, threads, descriptors that it has.
const ALWAYS: &[HostCall] = host_calls! {
    // Files and sockets that it was given.
    SYS_read;
    SYS_write;
    SYS_readv;
    SYS_writev;
    SYS_pread64;
    SYS_pwrite64;
    SYS_preadv2;
    SYS_pwritev2;
    SYS_lseek;
    SYS_close;
    SYS_fstat;
    SYS_newfstatat: 3 in [libc::AT_EMPTY_PATH];
    SYS_statx;
    SYS_ftruncate;
    SYS_fallocate;
    SYS_fsync;
    SYS_fdatasync;
    SYS_fcntl: 1 in [libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_SETFL, libc::F_DUPFD_CLOEXEC];
    SYS_ioctl: 1 in [
        libc::FIONREAD,
        // Terminals that an exec brings.
        libc::TCGETS, libc::TCSETS, libc::TCGETS2, libc::TCSETS2, libc::TIOCGWINSZ, libc::TIOCSWINSZ,
    ];
    SYS_dup;
    SYS_sendmsg;
    SYS_recvmsg;
    SYS_sendto;
    SYS_recvfrom;
    SYS_accept4;
    SYS_getsockopt: 1 in [libc::SOL_SOCKET];
    SYS_setsockopt: 1 in [libc::SOL_SOCKET];
    SYS_shutdown;
    // Waiting.
    SYS_poll;
    SYS_ppoll;
    SYS_epoll_ctl;
    SYS_epoll_wait;
    SYS_eventfd2;
    SYS_timerfd_create;
    SYS_timerfd_settime;
    SYS_futex: 1 but (FUTEX_FLAGS) in [
        libc::FUTEX_WAIT, libc::FUTEX_WAKE, libc::FUTEX_WAIT_BITSET, libc::FUTEX_WAKE_BITSET,
    ];
    SYS_clock_gettime;
    SYS_clock_getres;
    SYS_clock_nanosleep;
    SYS_nanosleep;
    SYS_restart_syscall;
    // Memory, none of which is executed.
    SYS_mmap: 2 lacks libc::PROT_EXEC;
    SYS_munmap;
    SYS_mremap;
    SYS_mprotect: 2 lacks libc::PROT_EXEC;
    SYS_madvise: 2 in [
        libc::MADV_DONTNEED, libc::MADV_REMOVE, libc::MADV_FREE, libc::MADV_POPULATE_READ, libc::MADV_POPULATE_WRITE,
        libc::MADV_HUGEPAGE, libc::MADV_NOHUGEPAGE, libc::MADV_DONTDUMP, libc::MADV_DONTFORK, MADV_GUARD_INSTALL,
    ];
    SYS_mincore;
    SYS_msync;
    SYS_brk;
    // Threads.
    SYS_clone: 0 in [THREAD];
    SYS_prctl: 0 in [libc::PR_SET_NAME];
    SYS_set_robust_list;
    SYS_rseq;
    SYS_sched_yield;
    SYS_sched_getaffinity;
    SYS_sched_setaffinity;
    SYS_getcpu;
    SYS_gettid;
    SYS_exit;
    // Signals: handlers are set and run; abort is all that is sent.
    SYS_rt_sigaction;
    SYS_rt_sigprocmask;
    SYS_rt_sigreturn;
    SYS_sigaltstack;
    SYS_tgkill: 2 in [libc::SIGABRT];
    // The process.
    SYS_getpid;
    SYS_geteuid;
    SYS_prlimit64: 2 null; // reads
    SYS_getrandom;
    SYS_sysinfo;
    SYS_exit_group;
};

/// Sockets of the host, with `--network=host`.
const HOST_NETWORK: &[HostCall] = host_calls! {
    SYS_socket: 0 in [libc::AF_INET, libc::AF_INET6],
        1 but (SOCK_FLAGS) in [libc::SOCK_STREAM, libc::SOCK_DGRAM];
    SYS_socket: 0 in [libc::AF_NETLINK], 1 but (SOCK_FLAGS) in [libc::SOCK_RAW, libc::SOCK_DGRAM],
        2 in [libc::NETLINK_ROUTE];
    SYS_bind;
    SYS_listen;
    SYS_connect;
    SYS_accept;
    SYS_getsockname;
    SYS_getpeername;
    SYS_sendmmsg;
    SYS_recvmmsg;
    SYS_getsockopt: 1 in [
        libc::SOL_IP, libc::SOL_IPV6, libc::SOL_TCP, libc::SOL_UDP, libc::SOL_NETLINK,
    ];
    SYS_setsockopt: 1 in [
        libc::SOL_IP, libc::SOL_IPV6, libc::SOL_TCP, libc::SOL_UDP, libc::SOL_NETLINK,
    ];
    SYS_ioctl: 1 in [libc::TIOCOUTQ, abi::socket::SIOCATMARK, libc::SIOCGIFCONF];
};

/// Calls that libraries make unasked (the allocator counts CPUs in `/sys`) and that find nothing anyway, the root being
/// empty: they are told so without a look.
const NOTHING_THERE: &[HostCall] = host_calls! {
    SYS_open;
    SYS_openat;
    SYS_readlink;
    SYS_access;
    SYS_newfstatat: 3 in [0, libc::AT_SYMLINK_NOFOLLOW];
};

/// `clone3` has its arguments in memory, which no filter sees. The C library goes on with `clone`.
const NOT_THERE: &[HostCall] = host_calls! { SYS_clone3; };

fn condition(check: &ArgCheck, value: u64) -> Result<SeccompCondition, BackendError> {
    let len = match u32::try_from(check.mask) {
        Ok(_) => SeccompCmpArgLen::Dword,
        Err(_) => SeccompCmpArgLen::Qword,
    };
    SeccompCondition::new(check.arg, len, SeccompCmpOp::MaskedEq(check.mask), value)
}

/// The ways in which all of a call's checks can hold. None: it needs none.
fn ways(call: &HostCall) -> Result<Vec<SeccompRule>, BackendError> {
    let mut ways = vec![Vec::new()];
    for check in call.checks {
        let mut more = Vec::new();
        for way in &ways {
            for value in check.one_of {
                more.push([way.as_slice(), &[condition(check, *value)?]].concat());
            }
        }
        ways = more;
    }
    ways.into_iter().filter(|conditions| !conditions.is_empty()).map(SeccompRule::new).collect()
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn rules<'a>(calls: impl Iterator<Item = &'a HostCall>) -> Result<Rules, BackendError> {
    let mut rules = Rules::new();
    let mut free = Vec::new();
    for call in calls {
        rules.entry(call.nr).or_default().extend(ways(call)?);
        if call.checks.is_empty() {
            free.push(call.nr);
        }
    }
    for nr in free {
        rules.insert(nr, Vec::new());
    }
    Ok(rules)
}

fn programs(platform: &[HostCall], network: Network) -> Result<[BpfProgram; 3], BackendError> {
    let (host, requests): (&[HostCall], &[u32]) = match network {
        Network::Host => (HOST_NETWORK, &host::inet::IFREQ_READS),
        Network::None | Network::Sandbox => (&[], &[]),
    };
    let mut allowed = rules([ALWAYS, platform, host, NOTHING_THERE, NOT_THERE].into_iter().flatten())?;
    for request in requests {
        let check = ArgCheck { arg: 1, mask: u64::from(u32::MAX), one_of: &[] };
        let rule = SeccompRule::new(vec![condition(&check, u64::from(*request))?])?;
        allowed.entry(libc::SYS_ioctl).or_default().push(rule);
    }
    let error = |errno: i32| SeccompAction::Errno(errno as u32);
    let arch = TargetArch::x86_64;
    let filter = |calls: Rules, listed, others| SeccompFilter::new(calls, others, listed, arch)?.try_into();
    // Of the answers of several filters the strictest one counts.
    Ok([
        filter(rules(NOTHING_THERE.iter())?, error(libc::ENOENT), SeccompAction::Allow)?,
        filter(rules(NOT_THERE.iter())?, error(libc::ENOSYS), SeccompAction::Allow)?,
        filter(allowed, SeccompAction::Allow, SeccompAction::KillProcess)?,
    ])
}

/// Puts the filter on every thread. Nothing that it forbids may be needed afterwards.
pub fn install(platform: &[HostCall], network: Network) -> Result<(), StartError> {
    let fail = |e: &dyn std::fmt::Display| {
        StartError::new(StartErrorKind::Internal, format!("cannot install the sentry's seccomp filter: {e}"))
    };
    for program in programs(platform, network).map_err(|e| fail(&e))? {
        seccompiler::apply_filter_all_threads(&program).map_err(|e| fail(&e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
