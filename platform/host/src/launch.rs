//! Starting a confined process: one `clone3`, direct set-up in the child, one `execve`.
//!
//! The child waits at a gate before it does anything, so that the parent can write its id maps and put it into
//! cgroups; [`Child::open_gate`] lets it go. Whatever fails between gate and `execve` comes back through
//! the gate as a [`LaunchError`] with the step that failed.
//!
//! **Invariant:** between `clone3` and `execve` the child makes plain system calls only: nothing there allocates,
//! locks or unwinds, because the parent may have had other threads.

use nix::unistd::Pid;
use std::{
    ffi::CStr,
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
};

/// What to start and how.
pub struct Launch<'a> {
    /// Program, usually `/proc/self/exe`.
    pub exe: &'a CStr,
    /// Its argument vector.
    pub argv: &'a [&'a CStr],
    /// Its environment.
    pub envp: &'a [&'a CStr],
    /// `CLONE_NEW*` flags for `clone3` itself (user and pid namespaces belong here).
    pub clone_flags: i32,
    /// `CLONE_NEW*` flags that the child unshares on its own, off the parent's critical path.
    pub unshare_flags: i32,
    /// Ids to become in the (new) user namespace once its maps are written.
    pub ids: Option<(u32, u32)>,
    /// What becomes descriptors 0, 1 and 2.
    pub stdio: [BorrowedFd<'a>; 3],
    /// Descriptors that stay open at the same number; every other one above 2 is closed by `execve`.
    pub keep: &'a [BorrowedFd<'a>],
    /// Terminal that becomes the child's controlling terminal (the child always leads a new session).
    pub controlling_terminal: Option<BorrowedFd<'a>>,
    /// A cgroup v2 directory to be born in.
    pub cgroup: Option<BorrowedFd<'a>>,
}

/// Steps that the child takes, for error messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Step {
    /// Taking its user and group id.
    Ids = 1,
    /// Unsharing namespaces.
    Unshare = 2,
    /// A session of its own, controlling terminal.
    Session = 3,
    /// Arranging descriptors.
    Descriptors = 4,
    /// `execve`.
    Exec = 5,
}

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// `clone3` failed in the parent.
    #[error("cannot create the process (clone3, flags {flags:#x}): {error}")]
    Clone {
        /// Flags asked for.
        flags: i32,
        /// The host's answer.
        error: io::Error,
    },
    /// Some other host call in the parent failed.
    #[error("cannot prepare the process: {0}")]
    Prepare(#[from] io::Error),
    /// A step in the child failed.
    #[error("process set-up failed at step {step:?}: {error}")]
    Child {
        /// Which.
        step: Step,
        /// The host's answer.
        error: io::Error,
    },
}

/// A child that was started by [`launch`]. Dropping it before the gate is open makes the process exit.
#[derive(Debug)]
pub struct Child {
    /// Its id, in the caller's pid namespace.
    pub pid: Pid,
    gate: OwnedFd,
}

impl Child {
    /// Lets the child run on to `execve`.
    pub fn open_gate(&self) -> io::Result<()> {
        // SAFETY: one readable byte, a live descriptor.
        let n = unsafe { libc::send(self.gate.as_raw_fd(), [1u8].as_ptr().cast(), 1, libc::MSG_NOSIGNAL) };
        if n == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Waits until `execve` has succeeded (`Ok`) or a step failed. Only after [`open_gate`](Self::open_gate).
    pub fn wait_exec(&self) -> Result<(), LaunchError> {
        let mut report = [0u8; 5];
        // SAFETY: writes at most five bytes into a buffer of five.
        let n = unsafe {
            libc::recv(self.gate.as_raw_fd(), report.as_mut_ptr().cast(), report.len(), libc::MSG_WAITALL)
        };
        if n != 5 {
            return Ok(());
        }
        let [step, e0, e1, e2, e3] = report;
        let step = match step {
            1 => Step::Ids,
            2 => Step::Unshare,
            3 => Step::Session,
            4 => Step::Descriptors,
            _ => Step::Exec,
        };
        let error = io::Error::from_raw_os_error(i32::from_ne_bytes([e0, e1, e2, e3]));
        Err(LaunchError::Child { step, error })
    }
}

/// `struct clone_args` of clone3(2), up to `cgroup`.
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Starts the process; it waits at its gate.
pub fn launch(launch: &Launch<'_>) -> Result<Child, LaunchError> {
    let argv = pointers(launch.argv);
    let envp = pointers(launch.envp);
    let (ours, theirs) = gate()?;
    let mut args = CloneArgs {
        flags: u64::from(launch.clone_flags.cast_unsigned()),
        exit_signal: u64::from(libc::SIGCHLD.cast_unsigned()),
        ..CloneArgs::default()
    };
    if let Some(cgroup) = launch.cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = u64::from(cgroup.as_raw_fd().cast_unsigned());
    }
    // SAFETY: `args` is a valid clone_args without CLONE_VM: the child has its own copy of everything and
    // runs only `child`, which makes system calls and never returns.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) };
    match pid {
        0 => child(launch, theirs.as_raw_fd(), ours.as_raw_fd(), &argv, &envp),
        pid if pid > 0 => Ok(Child { pid: Pid::from_raw(i32::try_from(pid).unwrap_or(-1)), gate: ours }),
        _ => Err(LaunchError::Clone { flags: launch.clone_flags, error: io::Error::last_os_error() }),
    }
}

/// A null-terminated vector of pointers into `strings`.
fn pointers(strings: &[&CStr]) -> Vec<*const libc::c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect()
}

/// A socket pair, close-on-exec: (parent's end, child's end).
fn gate() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [-1; 2];
    // SAFETY: room for two descriptors, as socketpair wants.
    let rc = unsafe {
        libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0, fds.as_mut_ptr())
    };
    if rc != 0 {
        return Err(io::Error::last_os_error());
    }
    let [a, b] = fds;
    // SAFETY: socketpair just made it; nobody else owns it.
    let ours = unsafe { OwnedFd::from_raw_fd(a) };
    // SAFETY: as above.
    let theirs = unsafe { OwnedFd::from_raw_fd(b) };
    Ok((ours, theirs))
}

/// The child's side, from the gate to `execve`.
fn child(
    launch: &Launch<'_>,
    gate: i32,
    other_end: i32,
    argv: &[*const libc::c_char],
    envp: &[*const libc::c_char],
) -> ! {
    // SAFETY: our copy of the parent's end; closing it lets us see the parent die.
    unsafe { libc::close(other_end) };
    let mut byte = 0u8;
    // SAFETY: one byte into a live local.
    if unsafe { libc::read(gate, (&raw mut byte).cast(), 1) } != 1 {
        // SAFETY: ends this process; nothing to clean up.
        unsafe { libc::_exit(1) };
    }
    let Err(step) = set_up(launch, gate).and_then(|()| {
        // SAFETY: null-terminated vectors of C strings that outlive the call (copied with the address space).
        unsafe { libc::execve(launch.exe.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
        Err::<std::convert::Infallible, Step>(Step::Exec)
    });
    let errno = nix::errno::Errno::last_raw().to_ne_bytes();
    let report = [step as u8, errno[0], errno[1], errno[2], errno[3]];
    // SAFETY: five readable bytes.
    unsafe { libc::send(gate, report.as_ptr().cast(), report.len(), libc::MSG_NOSIGNAL) };
    // SAFETY: ends this process.
    unsafe { libc::_exit(1) }
}

/// Everything before `execve`; `errno` holds the reason of a failure.
fn set_up(launch: &Launch<'_>, gate: i32) -> Result<(), Step> {
    let check = |rc: libc::c_int, step: Step| if rc < 0 { Err(step) } else { Ok(()) };
    if let Some((uid, gid)) = launch.ids {
        // Not permitted where setgroups is denied; the maps then hold no other group anyway.
        // SAFETY: an empty list needs no memory.
        unsafe { libc::syscall(libc::SYS_setgroups, 0, ptr::null::<libc::gid_t>()) };
        // SAFETY: plain numbers.
        check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) } as libc::c_int, Step::Ids)?;
        // SAFETY: plain numbers.
        check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) } as libc::c_int, Step::Ids)?;
    }
    if launch.unshare_flags != 0 {
        // SAFETY: no memory effect on this process beyond its own namespaces.
        check(unsafe { libc::unshare(launch.unshare_flags) }, Step::Unshare)?;
    }
    // SAFETY: no arguments.
    check(unsafe { libc::setsid() }, Step::Session)?;
    if let Some(tty) = launch.controlling_terminal {
        // SAFETY: TIOCSCTTY takes a number.
        check(unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCSCTTY, 0) }, Step::Session)?;
    }
    for (target, source) in (0..).zip(launch.stdio) {
        // SAFETY: numbers; the targets are this process's standard descriptors.
        check(unsafe { libc::dup2(source.as_raw_fd(), target) }, Step::Descriptors)?;
    }
    // SAFETY: marks, closes nothing.
    let rc = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    check(rc as libc::c_int, Step::Descriptors)?;
    for fd in launch.keep {
        if fd.as_raw_fd() != gate {
            // SAFETY: a number and a flag.
            check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0) }, Step::Descriptors)?;
        }
    }
    reset_signals();
    Ok(())
}

/// Default dispositions for what this program ignores or handles, and an empty mask: both survive `execve`.
fn reset_signals() {
    // SAFETY: SIG_DFL is a valid disposition.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    let empty = 0u64;
    // SAFETY: a kernel sigset is eight bytes here.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const empty,
            ptr::null_mut::<u64>(),
            size_of::<u64>(),
        )
    };
}
