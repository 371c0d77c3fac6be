//! What a gofer process gives up before it reads the first request: capabilities, new privileges, system calls.
//!
//! Namespaces and the pivot into the container's files are the launcher's; this is what only the process itself
//! can do. The filter lists exactly the calls that `lookup`, `make`, `change`, `watch` and `serve` make, and what the Rust
//! runtime needs to allocate, to log and to end.

use crate::server::Policy;
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Is, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What becomes of a system call outside the allow-list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// The process is killed.
    #[default]
    Kill,
    /// It is let through and noted in the kernel's log: for finding out what is missing.
    Log,
    /// No filter: where something above the gofer has one already, or for debuggers.
    Off,
}

/// Why a gofer could not be confined.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// A system call failed.
    #[error("cannot {what}: {cause}")]
    Host {
        /// What was tried.
        what: &'static str,
        /// What the host said.
        cause: Errno,
    },
    /// The filter is wrong; a mistake of ours.
    #[error("the gofer's system call filter cannot be built: {0}")]
    Build(#[from] seccompiler::BackendError),
    /// The host refused the filter.
    #[error("the gofer's system call filter cannot be installed (does the host have seccomp?): {0}")]
    Install(#[from] seccompiler::Error),
}

/// Raises the limit on open descriptors as far as it goes and returns it: every file the sentry holds is one.
#[must_use]
pub fn raise_descriptor_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    // Best effort: with the soft limit the sentry is told ENFILE earlier and forgets more.
    let raised =
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).is_ok();
    let limit = if raised { limit.maximum } else { limit.current };
    limit.and_then(|n| usize::try_from(n).ok()).unwrap_or(1 << 20)
}

/// The capabilities that acting on other users' files takes.
fn needed(policy: &Policy) -> CapabilitySet {
    let mut set = CapabilitySet::CHOWN
        | CapabilitySet::DAC_OVERRIDE
        | CapabilitySet::DAC_READ_SEARCH
        | CapabilitySet::FOWNER
        | CapabilitySet::FSETID
        | CapabilitySet::SETFCAP;
    if policy.make_devices {
        set |= CapabilitySet::MKNOD;
    }
    set
}

/// Drops every capability but those needed, for good.
///
/// # Errors
/// [`ConfineError::Host`].
pub fn drop_privileges(policy: &Policy) -> Result<(), ConfineError> {
    let failed = |what| move |cause| ConfineError::Host { what, cause };
    rustix::thread::set_no_new_privs(true).map_err(failed("forbid new privileges"))?;
    rustix::thread::clear_ambient_capability_set().map_err(failed("clear ambient capabilities"))?;
    let have = capabilities(None).map_err(failed("read capabilities"))?.permitted;
    let keep = have & needed(policy);
    // The bounding set needs no trimming: it matters to execve(2) alone, which the filter forbids and no_new_privs defuses.
    let sets = CapabilitySets { effective: keep, permitted: keep, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).map_err(failed("drop capabilities"))?;
    // Nobody of the same user may trace us or look into /proc/PID.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed("refuse to be traced"))
}

fn only(arg: u8, op: Is, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(arg, Len::Dword, op, value)?])
}

#[allow(clippy::cast_sign_loss)]
fn program(policy: &Policy, action: SeccompAction) -> Result<BpfProgram, seccompiler::BackendError> {
    const PLAIN: &[i64] = &[
        // requests, replies, events
        libc::SYS_poll,
        libc::SYS_ppoll,
        libc::SYS_recvfrom,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        // files
        libc::SYS_openat,
        libc::SYS_openat2,
        libc::SYS_close,
        libc::SYS_statx,
        libc::SYS_readlinkat,
        libc::SYS_getdents64,
        libc::SYS_lseek,
        libc::SYS_fstatfs,
        libc::SYS_mkdirat,
        libc::SYS_symlinkat,
        libc::SYS_linkat,
        libc::SYS_mknodat,
        libc::SYS_unlinkat,
        libc::SYS_renameat2,
        libc::SYS_fchmodat,
        libc::SYS_fchownat,
        libc::SYS_utimensat,
        libc::SYS_ftruncate,
        libc::SYS_getxattr,
        libc::SYS_setxattr,
        libc::SYS_listxattr,
        libc::SYS_removexattr,
        libc::SYS_fsync,
        libc::SYS_fdatasync,
        // watches
        libc::SYS_inotify_init1,
        libc::SYS_inotify_add_watch,
        libc::SYS_inotify_rm_watch,
        libc::SYS_read,
        // memory, logging, ending
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_brk,
        libc::SYS_madvise,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_futex,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_rt_sigreturn,
        libc::SYS_rt_sigprocmask,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_sched_yield,
        libc::SYS_gettid,
        libc::SYS_getpid,
        libc::SYS_rt_sigaction,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = PLAIN.iter().map(|&nr| (nr, Vec::new())).collect();
    let no_exec = only(2, Is::MaskedEq(libc::PROT_EXEC as u64), 0)?;
    rules.insert(libc::SYS_mmap, vec![no_exec.clone()]);
    rules.insert(libc::SYS_mprotect, vec![no_exec]);
    let commands = [libc::F_DUPFD_CLOEXEC, libc::F_GETFD, libc::F_SETFD, libc::F_GETFL];
    let commands: Result<Vec<_>, _> = commands.iter().map(|&c| only(1, Is::Eq, c as u64)).collect();
    rules.insert(libc::SYS_fcntl, commands?);
    // abort() after a panic signals itself; no other signal can be sent.
    rules.insert(libc::SYS_tgkill, vec![only(2, Is::Eq, libc::SIGABRT as u64)?]);
    if policy.connect_sockets {
        rules.insert(libc::SYS_socket, vec![only(0, Is::Eq, libc::AF_UNIX as u64)?]);
        rules.insert(libc::SYS_connect, Vec::new());
    }
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, action, SeccompAction::Allow, arch)?.try_into()
}

/// Installs the system call filter on this thread, the only one.
///
/// # Errors
/// [`ConfineError`].
pub fn install_filter(policy: &Policy, filter: Filter) -> Result<(), ConfineError> {
    let action = match filter {
        Filter::Kill => SeccompAction::KillProcess,
        Filter::Log => SeccompAction::Log,
        Filter::Off => return Ok(()),
    };
    let program = program(policy, action)?;
    seccompiler::apply_filter_all_threads(&program)?;
    Ok(())
}
