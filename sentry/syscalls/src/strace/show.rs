//! How values and structures are shown.

use super::names;
use abi::{
    Errno, Iovec, Rlimit, SigInfo, SigSet, Signal, Stat, Timespec,
    poll::{EpollEvent, PollFd},
    process::{Rusage, system::{Sysinfo, Utsname}},
    signal::SigAction,
    socket::MsgHdr,
    stat::{Statfs, Statx},
    time::{Itimerspec, Itimerval, Timeval},
};
use kernel::Task;
use mem::{UserAddr, UserMemoryExt, UserPtr};
use std::fmt::Write;

/// The most bytes of a string that are shown.
const SHOWN: usize = 32;
/// The most elements of an array.
const ELEMENTS: usize = 32;

/// Names of values or flags.
pub(super) struct Names {
    /// What stands for a value without a name.
    pub unknown: &'static str,
    /// In the order in which they are looked for.
    pub list: &'static [(u64, &'static str)],
}

impl Names {
    /// A value.
    pub fn value(&self, value: u64) -> String {
        match self.list.iter().find(|(v, _)| *v == value) {
            Some((_, name)) => (*name).to_owned(),
            None => format!("{value:#x} /* {} */", self.unknown),
        }
    }

    /// A set of flags.
    pub fn flags(&self, flags: u64) -> String {
        let (mut left, mut out) = (flags, Vec::new());
        for (bits, name) in self.list {
            if *bits != 0 && left & bits == *bits {
                out.push((*name).to_owned());
                left &= !bits;
            }
        }
        if left != 0 {
            out.push(if out.is_empty() { format!("{left:#x} /* {} */", self.unknown) } else { format!("{left:#x}") });
        }
        if out.is_empty() { "0".into() } else { out.join("|") }
    }
}

/// A call as its arguments are shown.
pub(super) struct Cx<'a> {
    /// Who makes it.
    pub task: &'a Task,
    /// Its arguments.
    pub args: [u64; 6],
    /// What it gave; 0 before that.
    pub ret: i64,
}

impl Cx<'_> {
    pub fn arg(&self, index: usize) -> u64 {
        self.args.get(index).copied().unwrap_or(0)
    }

    /// Reads a structure.
    pub fn read<T: zerocopy::FromBytes + zerocopy::IntoBytes>(&self, addr: u64) -> Result<T, Errno> {
        UserPtr::<T>::from(addr).read(&*self.task.mm()?)
    }

    /// Up to `len` bytes, as far as they can be read.
    pub fn bytes(&self, addr: u64, len: u64) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX).min(SHOWN + 1)];
        let n = self.task.mm()?.copy_in_some(UserAddr(addr), &mut bytes)?;
        bytes.truncate(n);
        Ok(bytes)
    }
}

/// An address that is shown as such.
pub(super) fn pointer(addr: u64) -> String {
    if addr == 0 { "NULL".into() } else { format!("{addr:#x}") }
}

fn or_pointer(addr: u64, shown: Result<String, Errno>) -> String {
    if addr == 0 { "NULL".into() } else { shown.unwrap_or_else(|_| pointer(addr)) }
}

/// A number in hexadecimal; 0 as such.
pub(super) fn hex(number: u64) -> String {
    if number == 0 { "0".into() } else { format!("{number:#x}") }
}

/// A string, quoted; `more`: it goes on behind what there is of it.
pub(super) fn quote(bytes: &[u8], more: bool) -> String {
    let shown = bytes.get(..bytes.len().min(SHOWN)).unwrap_or_default();
    // As strace: where there is a byte that is neither printable nor has an escape of its own, octal for that byte.
    let mut out = String::from("\"");
    for (at, b) in shown.iter().enumerate() {
        match b {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(*b));
            }
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\r' => out.push_str("\\r"),
            0x0b => out.push_str("\\v"),
            0x0c => out.push_str("\\f"),
            0x20..=0x7e => out.push(char::from(*b)),
            _ => {
                let digit = shown.get(at + 1).is_some_and(u8::is_ascii_digit);
                let _ = if digit { write!(out, "\\{b:03o}") } else { write!(out, "\\{b:o}") };
            }
        }
    }
    out.push('"');
    if more || bytes.len() > SHOWN {
        out.push_str("...");
    }
    out
}

/// A zero-terminated string.
pub(super) fn string(cx: &Cx<'_>, addr: u64) -> String {
    let text = || {
        let text = cx.task.mm()?.read_cstr(UserAddr(addr), abi::limits::PATH_MAX)?;
        Ok(quote(&text, false))
    };
    or_pointer(addr, text())
}

/// A path: never cut.
pub(super) fn path(cx: &Cx<'_>, addr: u64) -> String {
    let text = || {
        let text = cx.task.mm()?.read_cstr(UserAddr(addr), abi::limits::PATH_MAX)?;
        let mut out = String::from("\"");
        for part in text.chunks(SHOWN) {
            let quoted = quote(part, false);
            out.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
        }
        out.push('"');
        Ok(out)
    };
    or_pointer(addr, text())
}

/// `len` bytes.
pub(super) fn buffer(cx: &Cx<'_>, addr: u64, len: u64) -> String {
    or_pointer(addr, cx.bytes(addr, len).map(|b| quote(&b, len > SHOWN as u64)))
}

/// `argv`.
pub(super) fn strings(cx: &Cx<'_>, addr: u64) -> String {
    let all = || {
        let mut out = Vec::new();
        for index in 0..=ELEMENTS as u64 {
            let at: u64 = cx.read(addr + index * 8)?;
            if at == 0 {
                return Ok(format!("[{}]", out.join(", ")));
            }
            out.push(if index == ELEMENTS as u64 { "...".into() } else { string(cx, at) });
        }
        Ok(format!("[{}]", out.join(", ")))
    };
    or_pointer(addr, all())
}

/// `envp`: only how many there are.
pub(super) fn environment(cx: &Cx<'_>, addr: u64) -> String {
    let count = || {
        let mut n = 0u64;
        while n < 4096 && cx.read::<u64>(addr + n * 8)? != 0 {
            n += 1;
        }
        Ok(format!("{addr:#x} /* {n} var{} */", if n == 1 { "" } else { "s" }))
    };
    or_pointer(addr, count())
}

pub(super) fn mode(mode: u64) -> String {
    let kind = match mode & 0o170_000 {
        0 => return format!("{:#05o}", Octal(mode)),
        0o100_000 => "S_IFREG",
        0o040_000 => "S_IFDIR",
        0o120_000 => "S_IFLNK",
        0o020_000 => "S_IFCHR",
        0o060_000 => "S_IFBLK",
        0o010_000 => "S_IFIFO",
        0o140_000 => "S_IFSOCK",
        _ => return format!("{:#05o}", Octal(mode)),
    };
    let mut out = kind.to_owned();
    for (bit, name) in [(0o4000, "|S_ISUID"), (0o2000, "|S_ISGID"), (0o1000, "|S_ISVTX")] {
        if mode & bit != 0 {
            out.push_str(name);
        }
    }
    let _ = write!(out, "|{:#05o}", Octal(mode & 0o777));
    out
}

/// C's octal: with a zero in front.
struct Octal(u64);
impl std::fmt::Octal for Octal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "0{:03o}", self.0)
    }
}

/// Major and minor of a device number as applications have it.
pub(super) fn device_numbers(dev: u64) -> (u64, u64) {
    ((dev >> 8) & 0xfff | (dev >> 32) & !0xfff, dev & 0xff | (dev >> 12) & 0xffff_ff00)
}

pub(super) fn stat(cx: &Cx<'_>, addr: u64) -> String {
    let shown = || {
        let s: Stat = cx.read(addr)?;
        let size = match s.st_mode & 0o170_000 {
            0o020_000 | 0o060_000 => {
                let (major, minor) = device_numbers(s.st_rdev);
                format!("st_rdev=makedev({major:#x}, {minor:#x})")
            }
            _ => format!("st_size={}", s.st_size),
        };
        Ok(format!("{{st_mode={}, {size}, ...}}", mode(u64::from(s.st_mode))))
    };
    or_pointer(addr, shown())
}

pub(super) fn statx(cx: &Cx<'_>, addr: u64) -> String {
    let shown = || {
        let s: Statx = cx.read(addr)?;
        Ok(format!(
            "{{stx_mask={}, stx_attributes={}, stx_mode={}, stx_size={}, ...}}",
            statx_mask(u64::from(s.stx_mask)),
            hex(s.stx_attributes),
            mode(u64::from(s.stx_mode)),
            s.stx_size
        ))
    };
    or_pointer(addr, shown())
}

pub(super) fn statx_mask(mask: u64) -> String {
    const BASIC: u64 = 0x7ff;
    const ALL: u64 = 0xfff;
    let (name, rest) = match mask {
        m if m & ALL == ALL => ("STATX_ALL", m & !ALL),
        m if m & BASIC == BASIC => ("STATX_BASIC_STATS", m & !BASIC),
        m => return names::STATX.flags(m),
    };
    if rest == 0 { name.into() } else { format!("{name}|{}", names::STATX.flags(rest)) }
}

pub(super) fn statfs(cx: &Cx<'_>, addr: u64) -> String {
    let shown = || {
        let s: Statfs = cx.read(addr)?;
        let [a, b] = s.f_fsid;
        Ok(format!(
            "{{f_type={}, f_bsize={}, f_blocks={}, f_bfree={}, f_bavail={}, f_files={}, f_ffree={}, \
             f_fsid={{val=[{}, {}]}}, f_namelen={}, f_frsize={}, f_flags={}}}",
            names::FSMAGIC.value(s.f_type as u64),
            s.f_bsize,
            s.f_blocks,
            s.f_bfree,
            s.f_bavail,
            s.f_files,
            s.f_ffree,
            hex(u64::from(a as u32)),
            hex(u64::from(b as u32)),
            s.f_namelen,
            s.f_frsize,
            names::ST.flags(s.f_flags as u64)
        ))
    };
    or_pointer(addr, shown())
}

fn spec(t: &Timespec) -> String {
    match t.tv_nsec {
        0x3fff_ffff => "UTIME_NOW".into(),
        0x3fff_fffe => "UTIME_OMIT".into(),
        nsec => format!("{{tv_sec={}, tv_nsec={nsec}}}", t.tv_sec),
    }
}

fn val(t: &Timeval) -> String {
    format!("{{tv_sec={}, tv_usec={}}}", t.tv_sec, t.tv_usec)
}

pub(super) fn timespec(cx: &Cx<'_>, addr: u64) -> String {
    or_pointer(addr, cx.read::<Timespec>(addr).map(|t| spec(&t)))
}

pub(super) fn two_timespecs(cx: &Cx<'_>, addr: u64) -> String {
    let shown = || Ok(format!("[{}, {}]", spec(&cx.read(addr)?), spec(&cx.read(addr + 16)?)));
    or_pointer(addr, shown())
}

pub(super) fn timeval(cx: &Cx<'_>, addr: u64) -> String {
    or_pointer(addr, cx.read::<Timeval>(addr).map(|t| val(&t)))
}

pub(super) fn itimerspec(cx: &Cx<'_>, addr: u64) -> String {
    let shown = |t: Itimerspec| format!("{{it_interval={}, it_value={}}}", spec(&t.it_interval), spec(&t.it_value));
    or_pointer(addr, cx.read::<Itimerspec>(addr).map(shown))
}

pub(super) fn itimerval(cx: &Cx<'_>, addr: u64) -> String {
    let shown = |t: Itimerval| format!("{{it_interval={}, it_value={}}}", val(&t.it_interval), val(&t.it_value));
    or_pointer(addr, cx.read::<Itimerval>(addr).map(shown))
}

pub(super) fn rlimit(cx: &Cx<'_>, addr: u64) -> String {
    let one = |n: u64| match n {
        u64::MAX => "RLIM64_INFINITY".into(),
        n if n > 1024 && n.is_multiple_of(1024) => format!("{}*1024", n / 1024),
        n => n.to_string(),
    };
    let shown = |r: Rlimit| format!("{{rlim_cur={}, rlim_max={}}}", one(r.rlim_cur), one(r.rlim_max));
    or_pointer(addr, cx.read::<Rlimit>(addr).map(shown))
}

pub(super) fn rusage(cx: &Cx<'_>, addr: u64) -> String {
    let shown = |r: Rusage| format!("{{ru_utime={}, ru_stime={}, ...}}", val(&r.ru_utime), val(&r.ru_stime));
    or_pointer(addr, cx.read::<Rusage>(addr).map(shown))
}

pub(super) fn utsname(cx: &Cx<'_>, addr: u64) -> String {
    let field = |b: &[u8]| quote(b.split(|b| *b == 0).next().unwrap_or_default(), false);
    let shown = |u: Utsname| format!("{{sysname={}, nodename={}, ...}}", field(&u.sysname), field(&u.nodename));
    or_pointer(addr, cx.read::<Utsname>(addr).map(shown))
}

pub(super) fn sysinfo(cx: &Cx<'_>, addr: u64) -> String {
    let shown = |s: Sysinfo| {
        format!(
            "{{uptime={}, loads={:?}, totalram={}, freeram={}, sharedram={}, bufferram={}, totalswap={}, freeswap={}, \
             procs={}, totalhigh={}, freehigh={}, mem_unit={}}}",
            s.uptime, s.loads, s.totalram, s.freeram, s.sharedram, s.bufferram, s.totalswap, s.freeswap, s.procs,
            s.totalhigh, s.freehigh, s.mem_unit
        )
    };
    or_pointer(addr, cx.read::<Sysinfo>(addr).map(shown))
}

/// `SIGINT`, `SIGRT_1`.
pub(super) fn signal(number: i32) -> String {
    match Signal::new(number).map(|s| s.name().map(str::to_owned)) {
        Some(Some(name)) => name,
        Some(None) if number == 32 => "SIGRTMIN".into(),
        Some(None) => format!("SIGRT_{}", number - 32),
        None => number.to_string(),
    }
}

pub(super) fn signal_set(set: SigSet) -> String {
    let all: Vec<i32> = (1..=64).filter(|n| Signal::new(*n).is_some_and(|s| set.contains(s))).collect();
    let short = |n: &i32| signal(*n).trim_start_matches("SIG").to_owned();
    // Of sets with most signals the others are shown.
    if all.len() > 42 {
        let others: Vec<String> = (1..=64).filter(|n| !all.contains(n)).map(|n| short(&n)).collect();
        return format!("~[{}]", others.join(" "));
    }
    format!("[{}]", all.iter().map(short).collect::<Vec<_>>().join(" "))
}

pub(super) fn sigset(cx: &Cx<'_>, addr: u64) -> String {
    or_pointer(addr, cx.read::<SigSet>(addr).map(signal_set))
}

pub(super) fn sigaction(cx: &Cx<'_>, addr: u64) -> String {
    let shown = |a: SigAction| {
        let handler = match a.handler {
            0 => "SIG_DFL".into(),
            1 => "SIG_IGN".into(),
            at => format!("{at:#x}"),
        };
        let restorer =
            if a.flags & 0x0400_0000 != 0 { format!(", sa_restorer={:#x}", a.restorer) } else { String::new() };
        let flags = names::SA.flags(a.flags);
        format!("{{sa_handler={handler}, sa_mask={}, sa_flags={flags}{restorer}}}", signal_set(a.mask))
    };
    or_pointer(addr, cx.read::<SigAction>(addr).map(shown))
}

fn si_code(info: &SigInfo) -> String {
    use abi::signal::*;
    let name = match info.si_code {
        SI_USER => "SI_USER",
        SI_KERNEL => "SI_KERNEL",
        SI_QUEUE => "SI_QUEUE",
        SI_TIMER => "SI_TIMER",
        SI_MESGQ => "SI_MESGQ",
        SI_TKILL => "SI_TKILL",
        code => {
            let list: &[&str] = match info.signal() {
                Some(Signal::SIGCHLD) => {
                    &["CLD_EXITED", "CLD_KILLED", "CLD_DUMPED", "CLD_TRAPPED", "CLD_STOPPED", "CLD_CONTINUED"]
                }
                Some(Signal::SIGSEGV) => &["SEGV_MAPERR", "SEGV_ACCERR", "SEGV_BNDERR", "SEGV_PKUERR"],
                Some(Signal::SIGBUS) => &["BUS_ADRALN", "BUS_ADRERR", "BUS_OBJERR"],
                Some(Signal::SIGFPE) => &[
                    "FPE_INTDIV", "FPE_INTOVF", "FPE_FLTDIV", "FPE_FLTOVF", "FPE_FLTUND", "FPE_FLTRES", "FPE_FLTINV",
                    "FPE_FLTSUB",
                ],
                Some(Signal::SIGILL) => &[
                    "ILL_ILLOPC", "ILL_ILLOPN", "ILL_ILLADR", "ILL_ILLTRP", "ILL_PRVOPC", "ILL_PRVREG", "ILL_COPROC",
                    "ILL_BADSTK",
                ],
                Some(Signal::SIGTRAP) => &["TRAP_BRKPT", "TRAP_TRACE", "TRAP_BRANCH", "TRAP_HWBKPT"],
                Some(Signal::SIGIO) => &["POLL_IN", "POLL_OUT", "POLL_MSG", "POLL_ERR", "POLL_PRI", "POLL_HUP"],
                Some(Signal::SIGSYS) => &["SYS_SECCOMP", "SYS_USER_DISPATCH"],
                _ => &[],
            };
            let found = usize::try_from(code - 1).ok().and_then(|at| list.get(at));
            return found.map_or_else(|| format!("{code:#x}"), |name| (*name).to_owned());
        }
    };
    name.into()
}

/// A signal as the line of its delivery shows it.
pub(super) fn siginfo_of(info: &SigInfo) -> String {
    use abi::signal::SigInfoLayout as L;
    let mut out = format!("{{si_signo={}, si_code={}", signal(info.si_signo), si_code(info));
    if info.si_errno != 0 {
        let _ = write!(out, ", si_errno={}", info.si_errno);
    }
    let _ = match info.layout() {
        L::Kill if info.si_code == abi::signal::SI_KERNEL => Ok(()),
        L::Kill => write!(out, ", si_pid={}, si_uid={}", info.si_pid(), info.si_uid()),
        L::Rt => write!(
            out,
            ", si_pid={}, si_uid={}, si_int={}, si_ptr={}",
            info.si_pid(),
            info.si_uid(),
            info.si_value() as i32,
            pointer(info.si_value())
        ),
        L::Timer => write!(
            out,
            ", si_timerid={:#x}, si_overrun={}, si_int={}, si_ptr={}",
            info.si_timerid(),
            info.si_overrun(),
            info.si_value() as i32,
            pointer(info.si_value())
        ),
        L::Chld => {
            let status = info.si_status();
            let status =
                if info.si_code == abi::signal::CLD_EXITED { status.to_string() } else { signal(status) };
            write!(
                out,
                ", si_pid={}, si_uid={}, si_status={status}, si_utime={}, si_stime={}",
                info.si_pid(),
                info.si_uid(),
                info.si_utime(),
                info.si_stime()
            )
        }
        L::Poll => write!(out, ", si_band={}, si_fd={}", info.si_band(), info.si_fd()),
        L::Sys => write!(out, ", si_call_addr={:#x}, si_syscall={}", info.si_call_addr(), info.si_syscall()),
        _ => write!(out, ", si_addr={}", pointer(info.si_addr())),
    };
    out.push('}');
    out
}

pub(super) fn siginfo(cx: &Cx<'_>, addr: u64) -> String {
    or_pointer(addr, cx.read::<SigInfo>(addr).map(|info| siginfo_of(&info)))
}

/// What `wait4` stores.
pub(super) fn wait_status(cx: &Cx<'_>, addr: u64) -> String {
    let shown = |s: i32| {
        let (low, high) = (s & 0x7f, (s >> 8) & 0xff);
        match () {
            () if s == 0xffff => "[{WIFCONTINUED(s)}]".into(),
            () if low == 0 => format!("[{{WIFEXITED(s) && WEXITSTATUS(s) == {high}}}]"),
            () if s & 0xff == 0x7f => format!("[{{WIFSTOPPED(s) && WSTOPSIG(s) == {}}}]", signal(high)),
            () => {
                let core = if s & 0x80 != 0 { " && WCOREDUMP(s)" } else { "" };
                format!("[{{WIFSIGNALED(s) && WTERMSIG(s) == {}{core}}}]", signal(low))
            }
        }
    };
    or_pointer(addr, cx.read::<i32>(addr).map(shown))
}

/// `[n]`: what is behind a pointer to an `int`.
pub(super) fn int_at(cx: &Cx<'_>, addr: u64) -> String {
    or_pointer(addr, cx.read::<i32>(addr).map(|n| format!("[{n}]")))
}

pub(super) fn long_at(cx: &Cx<'_>, addr: u64) -> String {
    or_pointer(addr, cx.read::<i64>(addr).map(|n| format!("[{n}]")))
}

pub(super) fn two_ints(cx: &Cx<'_>, addr: u64) -> String {
    or_pointer(addr, cx.read::<[i32; 2]>(addr).map(|[a, b]| format!("[{a}, {b}]")))
}

fn iovecs(cx: &Cx<'_>, addr: u64, count: u64, mut left: u64) -> String {
    let shown = || {
        let mut out = Vec::new();
        for index in 0..count.min(ELEMENTS as u64) {
            let vec: Iovec = cx.read(addr + index * 16)?;
            let len = vec.iov_len.min(left);
            left -= len;
            let base = if len == 0 && vec.iov_len > 0 { pointer(vec.iov_base) } else { buffer(cx, vec.iov_base, len) };
            out.push(format!("{{iov_base={base}, iov_len={}}}", vec.iov_len));
        }
        if count > ELEMENTS as u64 {
            out.push("...".into());
        }
        Ok(format!("[{}]", out.join(", ")))
    };
    let mut shown = shown;
    or_pointer(addr, shown())
}

/// Vectors that are written from.
pub(super) fn iov_in(cx: &Cx<'_>, addr: u64) -> String {
    iovecs(cx, addr, cx.arg(2), u64::MAX)
}

/// Vectors that were read into.
pub(super) fn iov_out(cx: &Cx<'_>, addr: u64) -> String {
    iovecs(cx, addr, cx.arg(2), cx.ret.max(0) as u64)
}

/// A socket address of `len` bytes.
pub(super) fn address(cx: &Cx<'_>, addr: u64, len: u64) -> String {
    let shown = || {
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0).min(128)];
        let n = cx.task.mm()?.copy_in_some(UserAddr(addr), &mut bytes)?;
        bytes.truncate(n);
        Ok(address_bytes(&bytes))
    };
    or_pointer(addr, shown())
}

fn address_bytes(bytes: &[u8]) -> String {
    use abi::socket::*;
    let half = |at: usize| bytes.get(at..at + 2).and_then(|b| b.try_into().ok());
    let Some(family) = half(0).map(u16::from_ne_bytes) else { return quote(bytes, false) };
    let port = half(2).map_or(0, u16::from_be_bytes);
    let name = names::FAMILY.value(u64::from(family));
    let rest = match family {
        AF_INET => {
            let ip: [u8; 4] = bytes.get(4..8).and_then(|b| b.try_into().ok()).unwrap_or_default();
            format!(", sin_port=htons({port}), sin_addr=inet_addr(\"{}\")", std::net::Ipv4Addr::from(ip))
        }
        AF_INET6 => {
            let ip: [u8; 16] = bytes.get(8..24).and_then(|b| b.try_into().ok()).unwrap_or_default();
            let word = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).unwrap_or_default();
            format!(
                ", sin6_port=htons({port}), sin6_flowinfo=htonl({}), inet_pton(AF_INET6, \"{}\", &sin6_addr), sin6_scope_id={}",
                u32::from_be_bytes(word(4)),
                std::net::Ipv6Addr::from(ip),
                u32::from_ne_bytes(word(24))
            )
        }
        AF_UNIX => match bytes.get(2..).unwrap_or_default() {
            [] => String::new(),
            [0, name @ ..] => format!(", sun_path=@{}", quote(name, false)),
            path => {
                let path = path.split(|b| *b == 0).next().unwrap_or_default();
                let shown = quote(path, false);
                format!(", sun_path={}", shown.trim_end_matches("..."))
            }
        },
        AF_NETLINK => {
            let word = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).unwrap_or_default();
            format!(", nl_pid={}, nl_groups={:08x}", u32::from_ne_bytes(word(4)), u32::from_ne_bytes(word(8)))
        }
        _ => format!(", sa_data={}", quote(bytes.get(2..).unwrap_or_default(), false)),
    };
    format!("{{sa_family={name}{rest}}}")
}

/// An address that was stored, whose length is behind the next argument.
pub(super) fn address_out(cx: &Cx<'_>, addr: u64, len_at: u64) -> String {
    let len = cx.read::<i32>(len_at).unwrap_or(0).max(0) as u64;
    address(cx, addr, len)
}

/// A message: what there is of its data.
pub(super) fn message(cx: &Cx<'_>, addr: u64, len: u64) -> String {
    let shown = || {
        let m: MsgHdr = cx.read(addr)?;
        let name = address(cx, m.msg_name, u64::from(m.msg_namelen));
        let control = match m.msg_control {
            0 => String::new(),
            at => format!(" msg_control={at:#x},"),
        };
        Ok(format!(
            "{{msg_name={name}, msg_namelen={}, msg_iov={}, msg_iovlen={},{control} msg_controllen={}, msg_flags={}}}",
            m.msg_namelen,
            iovecs(cx, m.msg_iov, m.msg_iovlen, len),
            m.msg_iovlen,
            m.msg_controllen,
            names::MSG.flags(u64::from(m.msg_flags))
        ))
    };
    or_pointer(addr, shown())
}

/// `struct pollfd`s: what is waited for, or with `results` what came.
pub(super) fn pollfds(cx: &Cx<'_>, addr: u64, count: u64, results: bool) -> String {
    let shown = || {
        let mut out = Vec::new();
        for index in 0..count.min(ELEMENTS as u64) {
            let p: PollFd = cx.read(addr + index * 8)?;
            if !results {
                out.push(format!("{{fd={}, events={}}}", p.fd, names::POLL.flags(u64::from(p.events))));
            } else if p.revents != 0 {
                out.push(format!("{{fd={}, revents={}}}", p.fd, names::POLL.flags(u64::from(p.revents))));
            }
        }
        Ok(format!("[{}]", out.join(", ")))
    };
    or_pointer(addr, shown())
}

fn epoll_event_of(e: &EpollEvent) -> String {
    let (events, data) = (e.events, e.data);
    let events = names::EPOLL.flags(u64::from(events));
    format!("{{events={events}, data={{u32={}, u64={data}}}}}", data as u32)
}

pub(super) fn epoll_event(cx: &Cx<'_>, addr: u64) -> String {
    or_pointer(addr, cx.read::<EpollEvent>(addr).map(|e| epoll_event_of(&e)))
}

pub(super) fn epoll_events(cx: &Cx<'_>, addr: u64) -> String {
    let shown = || {
        let count = (cx.ret.max(0) as u64).min(ELEMENTS as u64);
        let all: Result<Vec<String>, Errno> =
            (0..count).map(|i| Ok(epoll_event_of(&cx.read(addr + i * 12)?))).collect();
        Ok(format!("[{}]", all?.join(", ")))
    };
    or_pointer(addr, shown())
}

/// The descriptors of a set.
pub(super) fn fd_set(cx: &Cx<'_>, addr: u64) -> String {
    let shown = || {
        let count = cx.arg(0).min(1024);
        let mut fds = Vec::new();
        for word in 0..count.div_ceil(64) {
            let bits: u64 = cx.read(addr + word * 8)?;
            fds.extend((0..64).filter(|b| bits & 1 << b != 0).map(|b| (word * 64 + b).to_string()));
        }
        Ok(format!("[{}]", fds.join(" ")))
    };
    or_pointer(addr, shown())
}

/// The CPUs of a mask of `len` bytes.
pub(super) fn cpus(cx: &Cx<'_>, addr: u64, len: u64) -> String {
    let shown = || {
        let mut all = Vec::new();
        for word in 0..len.min(128).div_ceil(8) {
            let bits: u64 = cx.read(addr + word * 8)?;
            all.extend((0..64).filter(|b| bits & 1 << b != 0).map(|b| (word * 64 + b).to_string()));
        }
        Ok(format!("[{}]", all.join(" ")))
    };
    or_pointer(addr, shown())
}

/// Random bytes and the like, all in hexadecimal.
pub(super) fn hex_bytes(cx: &Cx<'_>, addr: u64, len: u64) -> String {
    let shown = |bytes: Vec<u8>| {
        let text: String = bytes.iter().take(SHOWN).map(|b| format!("\\x{b:02x}")).collect();
        format!("\"{text}\"{}", if len > SHOWN as u64 { "..." } else { "" })
    };
    or_pointer(addr, cx.bytes(addr, len).map(shown))
}

/// `struct flock`.
pub(super) fn file_lock(cx: &Cx<'_>, addr: u64, with_pid: bool) -> String {
    let shown = |l: abi::fcntl::Flock| {
        let pid = if with_pid { format!(", l_pid={}", l.l_pid) } else { String::new() };
        format!(
            "{{l_type={}, l_whence={}, l_start={}, l_len={}{pid}}}",
            names::LOCK.value(l.l_type as u16 as u64),
            names::WHENCE.value(l.l_whence as u16 as u64),
            l.l_start,
            l.l_len
        )
    };
    or_pointer(addr, cx.read::<abi::fcntl::Flock>(addr).map(shown))
}
