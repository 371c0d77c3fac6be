//! How the arguments of each call are shown.

use super::{
    names::{self as n},
    show::{self as s, Cx, Names},
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
        Sig => s::signal(raw as i32),
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

fn open_flags(_: &Cx<'_>, raw: u64) -> String {
    let access = match raw & 3 {
        0 => "O_RDONLY",
        1 => "O_WRONLY",
        2 => "O_RDWR",
        _ => "O_ACCMODE",
    };
    match n::OPEN.flags(raw & 0xffff_fffc).as_str() {
        "0" => access.into(),
        more => format!("{access}|{more}"),
    }
}

/// The mode of a call that may make a file; nothing where it does not.
fn mode_if_made(flags: u64, raw: u64) -> String {
    if flags & 0o100 != 0 || flags & 0o20_000_000 != 0 { s::mode(raw & 0xffff_ffff) } else { String::new() }
}

fn sock_type(_: &Cx<'_>, raw: u64) -> String {
    let kind = n::SOCK_TYPE.value(raw & 0xf);
    match n::SOCK_FLAG.flags(raw & 0xffff_fff0).as_str() {
        "0" => kind,
        more => format!("{kind}|{more}"),
    }
}

fn protocol(cx: &Cx<'_>, raw: u64) -> String {
    match cx.arg(0) {
        2 | 10 => n::IPPROTO.value(raw & 0xffff_ffff),
        16 => n::NETLINK.value(raw & 0xffff_ffff),
        _ => (raw as i32).to_string(),
    }
}

fn option_name(cx: &Cx<'_>, raw: u64) -> String {
    let names = match cx.arg(1) as i32 {
        1 => &n::SO,
        0 => &n::IP,
        6 => &n::TCP,
        41 => &n::IPV6,
        _ => return format!("{:#x}", raw as u32),
    };
    names.value(raw & 0xffff_ffff)
}

fn option_value(cx: &Cx<'_>, raw: u64, len: u64) -> String {
    match len {
        4 => s::int_at(cx, raw),
        16 if cx.arg(1) == 1 && matches!(cx.arg(2), 20 | 21) => s::timeval(cx, raw),
        8 if cx.arg(1) == 1 && cx.arg(2) == 13 => match cx.read::<[i32; 2]>(raw) {
            Ok([on, secs]) => format!("{{l_onoff={on}, l_linger={secs}}}"),
            Err(_) => s::pointer(raw),
        },
        12 if cx.arg(1) == 1 && cx.arg(2) == 17 => match cx.read::<[i32; 3]>(raw) {
            Ok([pid, uid, gid]) => format!("{{pid={pid}, uid={uid}, gid={gid}}}"),
            Err(_) => s::pointer(raw),
        },
        len => s::buffer(cx, raw, len),
    }
}

fn wait_flags(_: &Cx<'_>, raw: u64) -> String {
    n::WAIT.flags(raw & 0xffff_ffff)
}

fn prot(_: &Cx<'_>, raw: u64) -> String {
    if raw == 0 { "PROT_NONE".into() } else { n::PROT.flags(raw) }
}

fn map_flags(_: &Cx<'_>, raw: u64) -> String {
    let kind = match raw & 0xf {
        1 => "MAP_SHARED",
        2 => "MAP_PRIVATE",
        3 => "MAP_SHARED_VALIDATE",
        _ => "MAP_FILE",
    };
    match n::MAP.flags(raw & 0xffff_fff0).as_str() {
        "0" => kind.into(),
        more => format!("{kind}|{more}"),
    }
}

fn access_mode(_: &Cx<'_>, raw: u64) -> String {
    if raw == 0 { "F_OK".into() } else { n::ACCESS.flags(raw & 0xffff_ffff) }
}

fn statx_flags(_: &Cx<'_>, raw: u64) -> String {
    let sync = match raw & 0x6000 {
        0 => "AT_STATX_SYNC_AS_STAT",
        0x2000 => "AT_STATX_FORCE_SYNC",
        0x4000 => "AT_STATX_DONT_SYNC",
        _ => "AT_STATX_SYNC_TYPE",
    };
    match n::AT.flags(raw & 0xffff_9fff).as_str() {
        "0" => sync.into(),
        more => format!("{sync}|{more}"),
    }
}

fn device(mode: u64, raw: u64) -> String {
    if matches!(mode & 0o170_000, 0o020_000 | 0o060_000) {
        let (major, minor) = s::device_numbers(raw);
        format!("makedev({major:#x}, {minor:#x})")
    } else {
        String::new()
    }
}

fn clone_flags(raw: u64) -> String {
    let flags = n::CLONE.flags(raw & !0xff);
    match (raw & 0xff, flags.as_str()) {
        (0, _) => flags,
        (signal, "0") => s::signal(signal as i32),
        (signal, _) => format!("{flags}|{}", s::signal(signal as i32)),
    }
}

fn clone(cx: &Cx<'_>, _: u64) -> String {
    let flags = cx.arg(0);
    let mut out = format!("child_stack={}, flags={}", s::pointer(cx.arg(1)), clone_flags(flags));
    if flags & 0x10_0000 != 0 {
        out.push_str(&format!(", parent_tid={}", s::pointer(cx.arg(2))));
    }
    if flags & 0x8_0000 != 0 {
        out.push_str(&format!(", tls={:#x}", cx.arg(4)));
    }
    if flags & 0x120_0000 != 0 {
        out.push_str(&format!(", child_tidptr={}", s::pointer(cx.arg(3))));
    }
    out
}

fn clone3(cx: &Cx<'_>, raw: u64) -> String {
    match cx.read::<abi::process::CloneArgs>(raw) {
        Ok(a) => format!(
            "{{flags={}, exit_signal={}, stack={}, stack_size={:#x}, tls={:#x}}}",
            n::CLONE.flags(a.flags),
            if a.exit_signal == 0 { "0".into() } else { s::signal(a.exit_signal as i32) },
            s::pointer(a.stack),
            a.stack_size,
            a.tls
        ),
        Err(_) => s::pointer(raw),
    }
}

fn futex_op(_: &Cx<'_>, raw: u64) -> String {
    let mut out = n::FUTEX.value(raw & 0x7f);
    if raw & 128 != 0 {
        out.push_str("_PRIVATE");
    }
    if raw & 256 != 0 {
        out.push_str("|FUTEX_CLOCK_REALTIME");
    }
    out
}

/// The arguments behind the value: which there are is a matter of the operation.
fn futex_rest(cx: &Cx<'_>, _: u64) -> String {
    let (timeout, addr2, val3) = (cx.arg(3), cx.arg(4), cx.arg(5));
    let bits = |v: u64| if v as u32 == u32::MAX { "FUTEX_BITSET_MATCH_ANY".into() } else { format!("{:#x}", v as u32) };
    match cx.arg(1) & 0x7f {
        0 | 6 | 13 => s::timespec(cx, timeout),
        9 => format!("{}, NULL, {}", s::timespec(cx, timeout), bits(val3)),
        10 => format!("NULL, NULL, {}", bits(val3)),
        3 => format!("{}, {}", timeout as u32, s::pointer(addr2)),
        4 | 5 | 12 => format!("{}, {}, {:#x}", timeout as u32, s::pointer(addr2), val3 as u32),
        11 => format!("{}, {}", s::timespec(cx, timeout), s::pointer(addr2)),
        _ => String::new(),
    }
}

fn fcntl_rest(cx: &Cx<'_>, raw: u64) -> String {
    match cx.arg(1) as i32 {
        F_GETFD | F_GETFL | F_GETOWN | F_GETSIG | F_GETLEASE | F_GETPIPE_SZ | F_GET_SEALS => String::new(),
        F_SETFD => n::FD.flags(raw),
        F_SETFL => open_flags(cx, raw),
        F_SETLK | F_SETLKW | F_OFD_SETLK | F_OFD_SETLKW => s::file_lock(cx, raw, false),
        F_GETLK | F_OFD_GETLK => s::file_lock(cx, raw, true),
        F_SETLEASE => n::LOCK.value(raw & 0xffff_ffff),
        F_SETSIG => s::signal(raw as i32),
        F_ADD_SEALS => n::SEAL.flags(raw & 0xffff_ffff),
        F_DUPFD | F_DUPFD_CLOEXEC | F_SETOWN | F_SETPIPE_SZ => (raw as i32).to_string(),
        _ => format!("{raw:#x}"),
    }
}

/// What `fcntl` gives, by its command.
pub(super) fn fcntl_value(cx: &Cx<'_>, value: u64) -> String {
    match cx.arg(1) as i32 {
        F_GETFL => format!("{value:#x} (flags {})", open_flags(cx, value)),
        F_GETFD if value != 0 => format!("{value:#x} (flags {})", n::FD.flags(value)),
        F_GET_SEALS if value != 0 => format!("{value:#x} (seals {})", n::SEAL.flags(value)),
        F_GETLEASE => format!("{value:#x} ({})", n::LOCK.value(value)),
        _ => (value as i64).to_string(),
    }
}

/// What `select` gives: which descriptors are ready.
pub(super) fn select_value(cx: &Cx<'_>, value: i64) -> String {
    if value == 0 {
        return "0 (Timeout)".into();
    }
    let sets: Vec<String> = [(1, "in"), (2, "out"), (3, "except")]
        .into_iter()
        .filter(|(index, _)| cx.arg(*index) != 0)
        .map(|(index, name)| (name, s::fd_set(cx, cx.arg(index))))
        .filter(|(_, set)| set != "[]")
        .map(|(name, set)| format!("{name} {set}"))
        .collect();
    format!("{value} ({})", sets.join(", "))
}

fn ioctl_rest(cx: &Cx<'_>, raw: u64) -> String {
    match cx.arg(1) as u32 {
        // FIONREAD, TIOCGPGRP, TIOCSPGRP, TIOCOUTQ, TIOCGSID, TIOCGPTN, TIOCSPTLCK, FIONBIO, FIOASYNC
        0x541b | 0x540f | 0x5410 | 0x5411 | 0x5429 | 0x8004_5430 | 0x4004_5431 | 0x5421 | 0x5452 => s::int_at(cx, raw),
        0x5413 | 0x5414 => match cx.read::<[u16; 4]>(raw) {
            Ok([row, col, x, y]) => format!("{{ws_row={row}, ws_col={col}, ws_xpixel={x}, ws_ypixel={y}}}"),
            Err(_) => s::pointer(raw),
        },
        // FIOCLEX, FIONCLEX, TIOCNOTTY, TIOCEXCL, TIOCNXCL
        0x5450 | 0x5451 | 0x5422 | 0x540c | 0x540d => String::new(),
        0x5440 | 0x540e | 0x5409 | 0x540a | 0x540b => (raw as i32).to_string(),
        _ => s::pointer(raw),
    }
}

fn ioctl_out(cx: &Cx<'_>, raw: u64) -> String {
    if cx.ret < 0 && cx.arg(1) as u32 != 0x5421 { s::pointer(raw) } else { ioctl_rest(cx, raw) }
}

fn prctl_rest(cx: &Cx<'_>, _: u64) -> String {
    let a = |i: usize| cx.arg(i);
    match a(0) as i32 {
        1 => s::signal(a(1) as i32),
        15 | 16 => s::string(cx, a(1)),
        2 | 37 | 40 => s::pointer(a(1)),
        3 | 7 | 21 | 27 | 30 | 39 => String::new(),
        4 | 8 | 24 | 23 | 28 | 29 | 36 => a(1).to_string(),
        38 => format!("{}, {}, {}, {}", a(1), a(2), a(3), a(4)),
        0x5356_4d41 => format!("{}, {:#x}, {}, {}", a(1), a(2), a(3), s::string(cx, a(4))),
        _ => format!("{:#x}, {:#x}, {:#x}, {:#x}", a(1), a(2), a(3), a(4)),
    }
}

fn arch_value(cx: &Cx<'_>, raw: u64) -> String {
    if matches!(cx.arg(0), 0x1003 | 0x1004) && cx.ret == 0 {
        return cx.read::<u64>(raw).map_or_else(|_| s::pointer(raw), |v| format!("[{v:#x}]"));
    }
    s::pointer(raw)
}

fn flock_op(_: &Cx<'_>, raw: u64) -> String {
    n::FLOCK.flags(raw & 0xffff_ffff)
}

fn id(_: &Cx<'_>, raw: u64) -> String {
    (raw as i32).to_string()
}

fn mapped_offset(_: &Cx<'_>, raw: u64) -> String {
    s::hex(raw)
}

fn nothing(_: &Cx<'_>, _: u64) -> String {
    String::new()
}

const MAYBE_SIGSET: K = Now(s::sigset);

/// How the arguments of call `nr` are shown.
pub(super) fn of(nr: u32) -> Option<&'static [K]> {
    Some(match nr {
        READ => &[Int, Out, Ulong],
        PREAD64 => &[Int, Out, Ulong, Long],
        WRITE => &[Int, In(2), Ulong],
        PWRITE64 => &[Int, In(2), Ulong, Long],
        READV => &[Int, Then(s::iov_out), Ulong],
        WRITEV => &[Int, Now(s::iov_in), Ulong],
        PREADV => &[Int, Then(s::iov_out), Ulong, Long],
        PWRITEV => &[Int, Now(s::iov_in), Ulong, Long],
        PREADV2 => &[Int, Then(s::iov_out), Ulong, Long, Now(nothing), F(&n::RWF)],
        PWRITEV2 => &[Int, Now(s::iov_in), Ulong, Long, Now(nothing), F(&n::RWF)],
        OPEN => &[Path, Now(open_flags), Now(|cx, raw| mode_if_made(cx.arg(1), raw))],
        OPENAT => &[Dir, Path, Now(open_flags), Now(|cx, raw| mode_if_made(cx.arg(2), raw))],
        OPENAT2 => &[
            Dir,
            Path,
            Now(|cx, raw| match cx.read::<OpenHow>(raw) {
                Ok(how) => format!(
                    "{{flags={}, mode={}, resolve={:#x}}}",
                    open_flags(cx, how.flags),
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
        STATX => &[Dir, Path, Now(statx_flags), Now(|_, m| s::statx_mask(m & 0xffff_ffff)), Then(s::statx)],
        STATFS => &[Path, Then(s::statfs)],
        FSTATFS => &[Int, Then(s::statfs)],
        POLL => &[Now(|cx, raw| s::pollfds(cx, raw, cx.arg(1), false)), Uint, Int],
        PPOLL => &[
            Now(|cx, raw| s::pollfds(cx, raw, cx.arg(1), false)),
            Uint,
            Now(s::timespec),
            MAYBE_SIGSET,
            Ulong,
        ],
        SELECT => &[Int, Now(s::fd_set), Now(s::fd_set), Now(s::fd_set), Now(s::timeval)],
        PSELECT6 => &[Int, Now(s::fd_set), Now(s::fd_set), Now(s::fd_set), Now(s::timespec), Ptr],
        EPOLL_CREATE1 => &[F(&n::EPOLL_CREATE)],
        EPOLL_CTL => &[Int, E(&n::EPOLL_CTL), Int, Now(s::epoll_event)],
        EPOLL_WAIT => &[Int, Then(s::epoll_events), Int, Int],
        EPOLL_PWAIT => &[Int, Then(s::epoll_events), Int, Int, MAYBE_SIGSET, Ulong],
        EPOLL_PWAIT2 => &[Int, Then(s::epoll_events), Int, Now(s::timespec), MAYBE_SIGSET, Ulong],
        LSEEK => &[Int, Long, E(&n::WHENCE)],
        MMAP => &[Ptr, Ulong, Now(prot), Now(map_flags), Int, Now(mapped_offset)],
        MPROTECT => &[Ptr, Ulong, Now(prot)],
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
        RT_SIGACTION => &[Sig, Now(s::sigaction), Then(s::sigaction), Ulong],
        RT_SIGPROCMASK => &[E(&n::SIGHOW), Now(s::sigset), Then(s::sigset), Ulong],
        RT_SIGPENDING => &[Then(s::sigset), Ulong],
        RT_SIGSUSPEND => &[Now(s::sigset), Ulong],
        RT_SIGTIMEDWAIT => &[Now(s::sigset), Then(s::siginfo), Now(s::timespec), Ulong],
        RT_SIGQUEUEINFO => &[Int, Sig, Now(s::siginfo)],
        RT_SIGRETURN => &[],
        SIGALTSTACK => &[Ptr, Ptr],
        KILL | TKILL => &[Int, Sig],
        TGKILL => &[Int, Int, Sig],
        PIDFD_SEND_SIGNAL => &[Int, Sig, Now(s::siginfo), Hex],
        SIGNALFD4 => &[Int, Now(s::sigset), Ulong, F(&n::SFD)],
        ACCESS => &[Path, Now(access_mode)],
        FACCESSAT => &[Dir, Path, Now(access_mode)],
        FACCESSAT2 => &[Dir, Path, Now(access_mode), F(&n::AT_ACCESS)],
        PIPE => &[Then(s::two_ints)],
        PIPE2 => &[Then(s::two_ints), Now(|_, raw| n::OPEN.flags(raw))],
        DUP2 => &[Int, Int],
        DUP3 => &[Int, Int, Now(|_, raw| n::OPEN.flags(raw))],
        FCNTL => &[Int, E(&n::FCNTL), Always(fcntl_rest)],
        FLOCK => &[Int, Now(flock_op)],
        IOCTL => &[Int, Now(|_, raw| ioctl_name(raw)), Always(ioctl_out)],
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
        MKNOD => &[Path, Mode, Now(|cx, raw| device(cx.arg(1), raw))],
        MKNODAT => &[Dir, Path, Mode, Now(|cx, raw| device(cx.arg(2), raw))],
        CHOWN | LCHOWN => &[Path, Now(id), Now(id)],
        FCHOWN => &[Int, Now(id), Now(id)],
        FCHOWNAT => &[Dir, Path, Now(id), Now(id), F(&n::AT)],
        UMASK => &[Now(|_, raw| format!("0{:02o}", raw & 0xffff_ffff))],
        UTIMENSAT => &[Dir, Path, Now(s::two_timespecs), F(&n::AT)],
        GETDENTS | GETDENTS64 => &[Int, Then(|cx, raw| format!("{} /* {} bytes */", s::pointer(raw), cx.ret)), Ulong],
        SETXATTR | LSETXATTR => &[Path, Str, In(3), Ulong, F(&n::XATTR)],
        FSETXATTR => &[Int, Str, In(3), Ulong, F(&n::XATTR)],
        GETXATTR | LGETXATTR => &[Path, Str, Out, Ulong],
        FGETXATTR => &[Int, Str, Out, Ulong],
        LISTXATTR | LLISTXATTR => &[Path, Out, Ulong],
        FLISTXATTR => &[Int, Out, Ulong],
        REMOVEXATTR | LREMOVEXATTR => &[Path, Str],
        FREMOVEXATTR => &[Int, Str],
        SENDFILE => &[Int, Int, Always(s::long_at), Ulong],
        SPLICE => &[Int, Always(s::long_at), Int, Always(s::long_at), Ulong, F(&n::SPLICE)],
        TEE => &[Int, Int, Ulong, F(&n::SPLICE)],
        COPY_FILE_RANGE => &[Int, Always(s::long_at), Int, Always(s::long_at), Ulong, Hex],
        MEMFD_CREATE => &[Str, F(&n::MFD)],
        EVENTFD2 => &[Uint, F(&n::EFD)],
        TIMERFD_CREATE => &[E(&n::CLOCK), F(&n::TFD)],
        TIMERFD_SETTIME => &[Int, F(&n::TFD_TIMER), Now(s::itimerspec), Then(s::itimerspec)],
        TIMERFD_GETTIME => &[Int, Then(s::itimerspec)],
        INOTIFY_INIT1 => &[F(&n::IN_INIT)],
        INOTIFY_ADD_WATCH => &[Int, Path, F(&n::IN)],
        INOTIFY_RM_WATCH => &[Int, Int],
        SOCKET => &[E(&n::FAMILY), Now(sock_type), Now(protocol)],
        SOCKETPAIR => &[E(&n::FAMILY), Now(sock_type), Now(protocol), Then(s::two_ints)],
        BIND | CONNECT => &[Int, Now(|cx, raw| s::address(cx, raw, cx.arg(2) & 0xffff_ffff)), Int],
        LISTEN => &[Int, Int],
        ACCEPT | GETSOCKNAME | GETPEERNAME => {
            &[Int, Then(|cx, raw| s::address_out(cx, raw, cx.arg(2))), Then(s::int_at)]
        }
        ACCEPT4 => &[
            Int,
            Then(|cx, raw| s::address_out(cx, raw, cx.arg(2))),
            Then(s::int_at),
            F(&n::SOCK_FLAG),
        ],
        SENDTO => &[Int, In(2), Ulong, F(&n::MSG), Now(|cx, raw| s::address(cx, raw, cx.arg(5) & 0xffff_ffff)), Int],
        RECVFROM => &[
            Int,
            Out,
            Ulong,
            F(&n::MSG),
            Then(|cx, raw| s::address_out(cx, raw, cx.arg(5))),
            Then(s::int_at),
        ],
        SENDMSG => &[Int, Now(|cx, raw| s::message(cx, raw, u64::MAX)), F(&n::MSG)],
        RECVMSG => &[Int, Then(|cx, raw| s::message(cx, raw, cx.ret.max(0) as u64)), F(&n::MSG)],
        SHUTDOWN => &[Int, E(&n::SHUT)],
        SETSOCKOPT => &[
            Int,
            E(&n::SOL),
            Now(option_name),
            Now(|cx, raw| option_value(cx, raw, cx.arg(4) & 0xffff_ffff)),
            Int,
        ],
        GETSOCKOPT => &[
            Int,
            E(&n::SOL),
            Now(option_name),
            Then(|cx, raw| option_value(cx, raw, cx.read::<u32>(cx.arg(4)).map_or(0, u64::from))),
            Then(s::int_at),
        ],
        CLONE => &[Now(clone)],
        CLONE3 => &[Now(clone3), Ulong],
        FORK | VFORK | GETPID | GETPPID | GETTID | GETUID | GETEUID | GETGID | GETEGID | SETSID | GETPGRP | PAUSE
        | SCHED_YIELD | SYNC | MUNLOCKALL | INOTIFY_INIT | RESTART_SYSCALL | VHANGUP => &[],
        EXECVE => &[Path, Now(s::strings), Now(s::environment)],
        EXECVEAT => &[Dir, Path, Now(s::strings), Now(s::environment), F(&n::AT)],
        EXIT | EXIT_GROUP => &[Int],
        WAIT4 => &[Int, Then(wait_result), Now(wait_flags), Then(s::rusage)],
        WAITID => &[E(&n::WAITID), Int, Then(s::siginfo), Now(wait_flags), Then(s::rusage)],
        SETPGID => &[Int, Int],
        GETPGID | GETSID => &[Int],
        SETUID | SETGID | SETFSUID | SETFSGID => &[Now(id)],
        SETREUID | SETREGID => &[Now(id), Now(id)],
        SETRESUID | SETRESGID => &[Now(id), Now(id), Now(id)],
        GETRESUID | GETRESGID => &[Then(s::int_at), Then(s::int_at), Then(s::int_at)],
        FUTEX => &[Ptr, Now(futex_op), Uint, Now(futex_rest)],
        SET_TID_ADDRESS => &[Ptr],
        SET_ROBUST_LIST => &[Ptr, Ulong],
        RSEQ => &[Ptr, Hex, Hex, Hex],
        ARCH_PRCTL => &[E(&n::ARCH), Always(arch_value)],
        PRCTL => &[E(&n::PRCTL), Always(prctl_rest)],
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
        GETRANDOM => &[Then(|cx, raw| s::hex_bytes(cx, raw, cx.ret.max(0) as u64)), Ulong, F(&n::GRND)],
        SCHED_GETAFFINITY => &[Int, Uint, Then(|cx, raw| s::cpus(cx, raw, cx.ret.max(0) as u64))],
        SCHED_SETAFFINITY => &[Int, Uint, Now(|cx, raw| s::cpus(cx, raw, cx.arg(1)))],
        SCHED_GETSCHEDULER | SCHED_GET_PRIORITY_MAX | SCHED_GET_PRIORITY_MIN => &[Int],
        GETPRIORITY => &[E(&n::PRIO), Int],
        SETPRIORITY => &[E(&n::PRIO), Int, Int],
        MEMBARRIER => &[E(&n::MEMBARRIER), Hex],
        SECCOMP => &[E(&n::SECCOMP), Hex, Ptr],
        MOUNT => &[Path, Path, Str, F(&n::MOUNT), Now(|cx, raw| s::string(cx, raw))],
        UMOUNT2 => &[Path, F(&n::UMOUNT)],
        PIVOT_ROOT => &[Path, Path],
        SHMGET => &[Hex, Ulong, Now(ipc_flags)],
        SEMGET => &[Hex, Int, Now(ipc_flags)],
        MSGGET => &[Hex, Now(ipc_flags)],
        SHMAT => &[Int, Ptr, F(&n::SHM)],
        SHMDT => &[Ptr],
        UNSHARE => &[Now(|_, raw| n::CLONE.flags(raw))],
        SETNS => &[Int, Now(|_, raw| n::CLONE.flags(raw))],
        SETHOSTNAME | SETDOMAINNAME => &[In(1), Int],
        PIDFD_OPEN => &[Int, Now(|_, raw| if raw == 0 { "0".into() } else { n::OPEN.flags(raw) })],
        _ => return None,
    })
}

fn wait_result(cx: &Cx<'_>, raw: u64) -> String {
    if cx.ret == 0 { s::pointer(raw) } else { s::wait_status(cx, raw) }
}

fn ioctl_name(raw: u64) -> String {
    let request = raw & 0xffff_ffff;
    match n::IOCTL.list.iter().find(|(value, _)| *value == request) {
        Some((_, name)) => (*name).to_owned(),
        None => {
            let dir = match request >> 30 {
                0 => "_IOC_NONE",
                1 => "_IOC_WRITE",
                2 => "_IOC_READ",
                _ => "_IOC_READ|_IOC_WRITE",
            };
            format!(
                "_IOC({dir}, {:#x}, {:#x}, {:#x})",
                (request >> 8) & 0xff,
                request & 0xff,
                (request >> 16) & 0x3fff
            )
        }
    }
}

fn ipc_flags(_: &Cx<'_>, raw: u64) -> String {
    let mode = format!("0{:o}", raw & 0o777);
    match n::IPC.flags(raw & 0xffff_fe00).as_str() {
        "0" => mode,
        flags => format!("{flags}|{mode}"),
    }
}
