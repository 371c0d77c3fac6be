//! How the arguments of each call are shown.

use super::{
    args as a, names as n,
    show::{self as s, Cx, Names},
    structs as t,
};
use abi::{fcntl::*, sysno::*};

type Show = fn(&Cx<'_>, u64) -> String;

/// How one argument is shown.
pub(super) enum K {
    /// A signed number of 32 bits: descriptors, pids, ids.
    Int,
    /// An unsigned one of 32 bits.
    Uint,
    /// A signed one of 64 bits.
    Long,
    /// An unsigned one of 64 bits.
    Ulong,
    /// Hexadecimal, 0 as such.
    Hex,
    /// An address.
    Ptr,
    /// A directory descriptor.
    Dir,
    /// A path.
    Path,
    /// A string.
    Str,
    /// Permission bits, or a whole mode.
    Mode,
    /// Flags of 32 bits.
    F(&'static Names),
    /// One of several values.
    E(&'static Names),
    /// A signal.
    Sig,
    /// As many bytes as another argument says, when the call is made.
    In(usize),
    /// As many bytes as the call returns, from it.
    Out,
    /// Looked at when the call is made.
    Now(Show),
    /// Looked at when it has returned; an address if it failed.
    Then(Show),
    /// Looked at when it has returned, whatever came of it.
    Always(Show),
}
use K::*;

/// Shows an argument when the call is made, if that is the time.
pub(super) fn before(cx: &Cx<'_>, kind: &K, index: usize) -> Option<String> {
    let raw = cx.arg(index);
    Some(match kind {
        Int => (raw as i32).to_string(),
        Uint => (raw as u32).to_string(),
        Long => (raw as i64).to_string(),
        Ulong => raw.to_string(),
        Hex => s::hex(raw),
        Ptr => s::pointer(raw),
        Dir if raw as i32 == AT_FDCWD => "AT_FDCWD".into(),
        Dir => (raw as i32).to_string(),
        Path => s::path(cx, raw),
        Str => s::string(cx, raw),
        Mode => s::mode(raw & 0xffff_ffff),
        F(names) => names.flags(raw & 0xffff_ffff),
        E(names) => names.value(raw & 0xffff_ffff),
        Sig if raw == 0 => "0".into(),
        Sig => t::signal(raw as i32),
        In(len) => s::buffer(cx, raw, cx.arg(*len)),
        Now(show) => show(cx, raw),
        Out | Then(_) | Always(_) => return None,
    })
}

/// Shows an argument when the call has returned.
pub(super) fn after(cx: &Cx<'_>, kind: &K, index: usize, ok: bool) -> String {
    let raw = cx.arg(index);
    match kind {
        Out if ok => s::buffer(cx, raw, cx.ret.max(0) as u64),
        Then(show) if ok => show(cx, raw),
        Always(show) => show(cx, raw),
        _ => s::pointer(raw),
    }
}

const MAYBE_SIGSET: K = Now(t::sigset);

/// How the arguments of call `nr` are shown.
pub(super) fn of(nr: u32) -> Option<&'static [K]> {
    Some(match nr {
        READ => &[Int, Out, Ulong],
        PREAD64 => &[Int, Out, Ulong, Long],
        WRITE => &[Int, In(2), Ulong],
        PWRITE64 => &[Int, In(2), Ulong, Long],
        READV => &[Int, Then(t::iov_out), Ulong],
        WRITEV => &[Int, Now(t::iov_in), Ulong],
        PREADV => &[Int, Then(t::iov_out), Ulong, Long],
        PWRITEV => &[Int, Now(t::iov_in), Ulong, Long],
        PREADV2 => &[Int, Then(t::iov_out), Ulong, Long, Now(a::nothing), F(&n::RWF)],
        PWRITEV2 => &[Int, Now(t::iov_in), Ulong, Long, Now(a::nothing), F(&n::RWF)],
        OPEN => &[Path, Now(a::open_flags), Now(|cx, raw| a::mode_if_made(cx.arg(1), raw))],
        OPENAT => &[Dir, Path, Now(a::open_flags), Now(|cx, raw| a::mode_if_made(cx.arg(2), raw))],
        OPENAT2 => &[
            Dir,
            Path,
            Now(|cx, raw| match cx.read::<OpenHow>(raw) {
                Ok(how) => format!(
                    "{{flags={}, mode={}, resolve={:#x}}}",
                    a::open_flags(cx, how.flags),
                    s::mode(how.mode),
                    how.resolve
                ),
                Err(_) => s::pointer(raw),
            }),
            Ulong,
        ],
        CREAT => &[Path, Mode],
        CLOSE | FSYNC | FDATASYNC | SYNCFS | FCHDIR | DUP | EPOLL_CREATE => &[Int],
        CLOSE_RANGE => &[Uint, Uint, F(&n::CLOSE_RANGE)],
        STAT | LSTAT => &[Path, Then(s::stat)],
        FSTAT => &[Int, Then(s::stat)],
        NEWFSTATAT => &[Dir, Path, Then(s::stat), F(&n::AT)],
        STATX => {
            &[Dir, Path, Now(a::statx_flags), Now(|_, m| s::statx_mask(m & 0xffff_ffff)), Then(s::statx)]
        }
        STATFS => &[Path, Then(s::statfs)],
        FSTATFS => &[Int, Then(s::statfs)],
        POLL => &[Now(|cx, raw| t::pollfds(cx, raw, cx.arg(1), false)), Uint, Int],
        PPOLL => &[
            Now(|cx, raw| t::pollfds(cx, raw, cx.arg(1), false)),
            Uint,
            Now(s::timespec),
            MAYBE_SIGSET,
            Ulong,
        ],
        SELECT => &[Int, Now(t::fd_set), Now(t::fd_set), Now(t::fd_set), Now(s::timeval)],
        PSELECT6 => &[Int, Now(t::fd_set), Now(t::fd_set), Now(t::fd_set), Now(s::timespec), Ptr],
        EPOLL_CREATE1 => &[F(&n::EPOLL_CREATE)],
        EPOLL_CTL => &[Int, E(&n::EPOLL_CTL), Int, Now(t::epoll_event)],
        EPOLL_WAIT => &[Int, Then(t::epoll_events), Int, Int],
        EPOLL_PWAIT => &[Int, Then(t::epoll_events), Int, Int, MAYBE_SIGSET, Ulong],
        EPOLL_PWAIT2 => &[Int, Then(t::epoll_events), Int, Now(s::timespec), MAYBE_SIGSET, Ulong],
        LSEEK => &[Int, Long, E(&n::WHENCE)],
        MMAP => &[Ptr, Ulong, Now(a::prot), Now(a::map_flags), Int, Now(a::mapped_offset)],
        MPROTECT => &[Ptr, Ulong, Now(a::prot)],
        MUNMAP => &[Ptr, Ulong],
        MREMAP => &[
            Ptr,
            Ulong,
            Ulong,
            F(&n::MREMAP),
            Now(|cx, raw| if cx.arg(3) & 6 != 0 { s::pointer(raw) } else { String::new() }),
        ],
        MADVISE => &[Ptr, Ulong, E(&n::MADV)],
        MSYNC => &[Ptr, Ulong, F(&n::MSYNC)],
        MLOCK | MUNLOCK => &[Ptr, Ulong],
        MINCORE => &[Ptr, Ulong, Ptr],
        BRK => &[Ptr],
        RT_SIGACTION => &[Sig, Now(t::sigaction), Then(t::sigaction), Ulong],
        RT_SIGPROCMASK => &[E(&n::SIGHOW), Now(t::sigset), Then(t::sigset), Ulong],
        RT_SIGPENDING => &[Then(t::sigset), Ulong],
        RT_SIGSUSPEND => &[Now(t::sigset), Ulong],
        RT_SIGTIMEDWAIT => &[Now(t::sigset), Then(t::siginfo), Now(s::timespec), Ulong],
        RT_SIGQUEUEINFO => &[Int, Sig, Now(t::siginfo)],
        RT_SIGRETURN => &[],
        SIGALTSTACK => &[Ptr, Ptr],
        KILL | TKILL => &[Int, Sig],
        TGKILL => &[Int, Int, Sig],
        PIDFD_SEND_SIGNAL => &[Int, Sig, Now(t::siginfo), Hex],
        SIGNALFD4 => &[Int, Now(t::sigset), Ulong, F(&n::SFD)],
        ACCESS => &[Path, Now(a::access_mode)],
        FACCESSAT => &[Dir, Path, Now(a::access_mode)],
        FACCESSAT2 => &[Dir, Path, Now(a::access_mode), F(&n::AT_ACCESS)],
        PIPE => &[Then(t::two_ints)],
        PIPE2 => &[Then(t::two_ints), Now(|_, raw| n::OPEN.flags(raw))],
        DUP2 => &[Int, Int],
        DUP3 => &[Int, Int, Now(|_, raw| n::OPEN.flags(raw))],
        FCNTL => &[Int, E(&n::FCNTL), Always(a::fcntl_rest)],
        FLOCK => &[Int, Now(a::flock_op)],
        IOCTL => &[Int, Now(|_, raw| a::ioctl_name(raw)), Always(a::ioctl_out)],
        TRUNCATE => &[Path, Long],
        FTRUNCATE => &[Int, Long],
        FALLOCATE => &[Int, F(&n::FALLOC), Long, Long],
        FADVISE64 => &[Int, Long, Long, E(&n::FADV)],
        GETCWD => &[Then(s::path), Ulong],
        CHDIR | RMDIR | UNLINK | CHROOT => &[Path],
        UNLINKAT => &[Dir, Path, F(&n::AT_UNLINK)],
        MKDIR | CHMOD => &[Path, Mode],
        MKDIRAT | FCHMODAT => &[Dir, Path, Mode],
        FCHMODAT2 => &[Dir, Path, Mode, F(&n::AT)],
        FCHMOD => &[Int, Mode],
        RENAME | LINK | SYMLINK => &[Path, Path],
        RENAMEAT => &[Dir, Path, Dir, Path],
        RENAMEAT2 => &[Dir, Path, Dir, Path, F(&n::RENAME)],
        LINKAT => &[Dir, Path, Dir, Path, F(&n::AT)],
        SYMLINKAT => &[Path, Dir, Path],
        READLINK => &[Path, Out, Ulong],
        READLINKAT => &[Dir, Path, Out, Ulong],
        MKNOD => &[Path, Mode, Now(|cx, raw| a::device(cx.arg(1), raw))],
        MKNODAT => &[Dir, Path, Mode, Now(|cx, raw| a::device(cx.arg(2), raw))],
        CHOWN | LCHOWN => &[Path, Now(a::id), Now(a::id)],
        FCHOWN => &[Int, Now(a::id), Now(a::id)],
        FCHOWNAT => &[Dir, Path, Now(a::id), Now(a::id), F(&n::AT)],
        UMASK => &[Now(|_, raw| format!("0{:02o}", raw & 0xffff_ffff))],
        UTIMENSAT => &[Dir, Path, Now(s::two_timespecs), F(&n::AT)],
        GETDENTS | GETDENTS64 => {
            &[Int, Then(|cx, raw| format!("{} /* {} bytes */", s::pointer(raw), cx.ret)), Ulong]
        }
        SETXATTR | LSETXATTR => &[Path, Str, In(3), Ulong, F(&n::XATTR)],
        FSETXATTR => &[Int, Str, In(3), Ulong, F(&n::XATTR)],
        GETXATTR | LGETXATTR => &[Path, Str, Out, Ulong],
        FGETXATTR => &[Int, Str, Out, Ulong],
        LISTXATTR | LLISTXATTR => &[Path, Out, Ulong],
        FLISTXATTR => &[Int, Out, Ulong],
        REMOVEXATTR | LREMOVEXATTR => &[Path, Str],
        FREMOVEXATTR => &[Int, Str],
        SENDFILE => &[Int, Int, Always(t::long_at), Ulong],
        SPLICE => &[Int, Always(t::long_at), Int, Always(t::long_at), Ulong, F(&n::SPLICE)],
        TEE => &[Int, Int, Ulong, F(&n::SPLICE)],
        COPY_FILE_RANGE => &[Int, Always(t::long_at), Int, Always(t::long_at), Ulong, Hex],
        MEMFD_CREATE => &[Str, F(&n::MFD)],
        EVENTFD2 => &[Uint, F(&n::EFD)],
        TIMERFD_CREATE => &[E(&n::CLOCK), F(&n::TFD)],
        TIMERFD_SETTIME => &[Int, F(&n::TFD_TIMER), Now(s::itimerspec), Then(s::itimerspec)],
        TIMERFD_GETTIME => &[Int, Then(s::itimerspec)],
        INOTIFY_INIT1 => &[F(&n::IN_INIT)],
        INOTIFY_ADD_WATCH => &[Int, Path, F(&n::IN)],
        INOTIFY_RM_WATCH => &[Int, Int],
        SOCKET => &[E(&n::FAMILY), Now(a::sock_type), Now(a::protocol)],
        SOCKETPAIR => &[E(&n::FAMILY), Now(a::sock_type), Now(a::protocol), Then(t::two_ints)],
        BIND | CONNECT => &[Int, Now(|cx, raw| t::address(cx, raw, cx.arg(2) & 0xffff_ffff)), Int],
        LISTEN => &[Int, Int],
        ACCEPT | GETSOCKNAME | GETPEERNAME => {
            &[Int, Then(|cx, raw| t::address_out(cx, raw, cx.arg(2))), Then(t::int_at)]
        }
        ACCEPT4 => {
            &[Int, Then(|cx, raw| t::address_out(cx, raw, cx.arg(2))), Then(t::int_at), F(&n::SOCK_FLAG)]
        }
        SENDTO => {
            &[Int, In(2), Ulong, F(&n::MSG), Now(|cx, raw| t::address(cx, raw, cx.arg(5) & 0xffff_ffff)), Int]
        }
        RECVFROM => &[
            Int,
            Out,
            Ulong,
            F(&n::MSG),
            Then(|cx, raw| t::address_out(cx, raw, cx.arg(5))),
            Then(t::int_at),
        ],
        SENDMSG => &[Int, Now(|cx, raw| t::message(cx, raw, u64::MAX)), F(&n::MSG)],
        RECVMSG => &[Int, Then(|cx, raw| t::message(cx, raw, cx.ret.max(0) as u64)), F(&n::MSG)],
        SHUTDOWN => &[Int, E(&n::SHUT)],
        SETSOCKOPT => &[
            Int,
            E(&n::SOL),
            Now(a::option_name),
            Now(|cx, raw| a::option_value(cx, raw, cx.arg(4) & 0xffff_ffff)),
            Int,
        ],
        GETSOCKOPT => &[
            Int,
            E(&n::SOL),
            Now(a::option_name),
            Then(|cx, raw| a::option_value(cx, raw, cx.read::<u32>(cx.arg(4)).map_or(0, u64::from))),
            Then(t::int_at),
        ],
        CLONE => &[Now(a::clone)],
        CLONE3 => &[Now(a::clone3), Ulong],
        FORK | VFORK | GETPID | GETPPID | GETTID | GETUID | GETEUID | GETGID | GETEGID | SETSID | GETPGRP
        | PAUSE | SCHED_YIELD | SYNC | MUNLOCKALL | INOTIFY_INIT | RESTART_SYSCALL | VHANGUP => &[],
        EXECVE => &[Path, Now(s::strings), Now(s::environment)],
        EXECVEAT => &[Dir, Path, Now(s::strings), Now(s::environment), F(&n::AT)],
        EXIT | EXIT_GROUP => &[Int],
        WAIT4 => &[Int, Then(a::wait_result), Now(a::wait_flags), Then(s::rusage)],
        WAITID => &[E(&n::WAITID), Int, Then(t::siginfo), Now(a::wait_flags), Then(s::rusage)],
        SETPGID => &[Int, Int],
        GETPGID | GETSID => &[Int],
        SETUID | SETGID | SETFSUID | SETFSGID => &[Now(a::id)],
        SETREUID | SETREGID => &[Now(a::id), Now(a::id)],
        SETRESUID | SETRESGID => &[Now(a::id), Now(a::id), Now(a::id)],
        GETRESUID | GETRESGID => &[Then(t::int_at), Then(t::int_at), Then(t::int_at)],
        FUTEX => &[Ptr, Now(a::futex_op), Uint, Now(a::futex_rest)],
        SET_TID_ADDRESS => &[Ptr],
        SET_ROBUST_LIST => &[Ptr, Ulong],
        RSEQ => &[Ptr, Hex, Hex, Hex],
        ARCH_PRCTL => &[E(&n::ARCH), Always(a::arch_value)],
        PRCTL => &[E(&n::PRCTL), Always(a::prctl_rest)],
        PRLIMIT64 => &[Int, E(&n::RLIMIT), Now(s::rlimit), Then(s::rlimit)],
        GETRLIMIT => &[E(&n::RLIMIT), Then(s::rlimit)],
        SETRLIMIT => &[E(&n::RLIMIT), Now(s::rlimit)],
        GETRUSAGE => &[E(&n::RUSAGE), Then(s::rusage)],
        UNAME => &[Then(s::utsname)],
        SYSINFO => &[Then(s::sysinfo)],
        NANOSLEEP => &[Now(s::timespec), Ptr],
        CLOCK_NANOSLEEP => &[E(&n::CLOCK), F(&n::TIMER), Now(s::timespec), Ptr],
        CLOCK_GETTIME | CLOCK_GETRES => &[E(&n::CLOCK), Then(s::timespec)],
        CLOCK_SETTIME => &[E(&n::CLOCK), Now(s::timespec)],
        GETTIMEOFDAY => &[Then(s::timeval), Ptr],
        ALARM => &[Uint],
        SETITIMER => &[E(&n::ITIMER), Now(s::itimerval), Then(s::itimerval)],
        GETITIMER => &[E(&n::ITIMER), Then(s::itimerval)],
        GETRANDOM => &[Then(|cx, raw| t::hex_bytes(cx, raw, cx.ret.max(0) as u64)), Ulong, F(&n::GRND)],
        SCHED_GETAFFINITY => &[Int, Uint, Then(|cx, raw| t::cpus(cx, raw, cx.ret.max(0) as u64))],
        SCHED_SETAFFINITY => &[Int, Uint, Now(|cx, raw| t::cpus(cx, raw, cx.arg(1)))],
        SCHED_GETSCHEDULER | SCHED_GET_PRIORITY_MAX | SCHED_GET_PRIORITY_MIN => &[Int],
        GETPRIORITY => &[E(&n::PRIO), Int],
        SETPRIORITY => &[E(&n::PRIO), Int, Int],
        MEMBARRIER => &[E(&n::MEMBARRIER), Hex],
        SECCOMP => &[E(&n::SECCOMP), Hex, Ptr],
        MOUNT => &[Path, Path, Str, F(&n::MOUNT), Now(s::string)],
        UMOUNT2 => &[Path, F(&n::UMOUNT)],
        PIVOT_ROOT => &[Path, Path],
        SHMGET => &[Hex, Ulong, Now(a::ipc_flags)],
        SEMGET => &[Hex, Int, Now(a::ipc_flags)],
        MSGGET => &[Hex, Now(a::ipc_flags)],
        SHMAT => &[Int, Ptr, F(&n::SHM)],
        SHMDT => &[Ptr],
        UNSHARE => &[Now(|_, raw| n::CLONE.flags(raw))],
        SETNS => &[Int, Now(|_, raw| n::CLONE.flags(raw))],
        SETHOSTNAME | SETDOMAINNAME => &[In(1), Int],
        PIDFD_OPEN => &[Int, Now(|_, raw| if raw == 0 { "0".into() } else { n::OPEN.flags(raw) })],
        _ => return None,
    })
}
