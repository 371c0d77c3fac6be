//! How values and structures are shown.

use super::names;
use abi::{
    Errno, Rlimit, Stat, Timespec,
    process::{
        Rusage,
        system::{Sysinfo, Utsname},
    },
    stat::{Statfs, Statx},
    time::{Itimerspec, Itimerval, Timeval},
};
use kernel::Task;
use mem::{UserAddr, UserMemoryExt, UserPtr};
use std::{
    fmt::Write,
    sync::atomic::{AtomicUsize, Ordering},
};

/// The most bytes of a string that are shown; 32 unless it was set.
static SHOWN: AtomicUsize = AtomicUsize::new(32);

/// The most bytes of a string that are shown.
pub(super) fn limit() -> usize {
    SHOWN.load(Ordering::Relaxed)
}

/// Sets how many bytes of a string are shown (`--strace-log-size`).
pub(super) fn set_limit(bytes: usize) {
    SHOWN.store(bytes, Ordering::Relaxed);
}
/// The most elements of an array.
pub(super) const ELEMENTS: usize = 32;

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
            out.push(if out.is_empty() {
                format!("{left:#x} /* {} */", self.unknown)
            } else {
                format!("{left:#x}")
            });
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
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX).min(limit().saturating_add(1))];
        let n = self.task.mm()?.copy_in_some(UserAddr(addr), &mut bytes)?;
        bytes.truncate(n);
        Ok(bytes)
    }
}

/// An address that is shown as such.
pub(super) fn pointer(addr: u64) -> String {
    if addr == 0 { "NULL".into() } else { format!("{addr:#x}") }
}

/// What was shown; the address where it could not be read.
pub(super) fn or_pointer(addr: u64, shown: Result<String, Errno>) -> String {
    if addr == 0 { "NULL".into() } else { shown.unwrap_or_else(|_| pointer(addr)) }
}

/// A number in hexadecimal; 0 as such.
pub(super) fn hex(number: u64) -> String {
    if number == 0 { "0".into() } else { format!("{number:#x}") }
}

/// A string, quoted; `more`: it goes on behind what there is of it.
pub(super) fn quote(bytes: &[u8], more: bool) -> String {
    let kept = bytes.get(..bytes.len().min(limit())).unwrap_or_default();
    // As strace: where there is a byte that is neither printable nor has an escape of its own, octal for that byte.
    let mut out = String::from("\"");
    for (at, b) in kept.iter().enumerate() {
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
                let digit = kept.get(at + 1).is_some_and(u8::is_ascii_digit);
                let _ = if digit { write!(out, "\\{b:03o}") } else { write!(out, "\\{b:o}") };
            }
        }
    }
    out.push('"');
    if more || bytes.len() > limit() {
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
        for part in text.chunks(limit().max(1)) {
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
    or_pointer(addr, cx.bytes(addr, len).map(|b| quote(&b, len > limit() as u64)))
}

/// `argv`.
pub(super) fn strings(cx: &Cx<'_>, addr: u64) -> String {
    let all = || {
        let mut out = Vec::new();
        for index in 0..=ELEMENTS as u64 {
            let at: u64 = cx.read(addr.wrapping_add(index * 8))?;
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
        while n < 4096 && cx.read::<u64>(addr.wrapping_add(n * 8))? != 0 {
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
    let shown = || Ok(format!("[{}, {}]", spec(&cx.read(addr)?), spec(&cx.read(addr.wrapping_add(16))?)));
    or_pointer(addr, shown())
}

pub(super) fn timeval(cx: &Cx<'_>, addr: u64) -> String {
    or_pointer(addr, cx.read::<Timeval>(addr).map(|t| val(&t)))
}

pub(super) fn itimerspec(cx: &Cx<'_>, addr: u64) -> String {
    let shown =
        |t: Itimerspec| format!("{{it_interval={}, it_value={}}}", spec(&t.it_interval), spec(&t.it_value));
    or_pointer(addr, cx.read::<Itimerspec>(addr).map(shown))
}

pub(super) fn itimerval(cx: &Cx<'_>, addr: u64) -> String {
    let shown =
        |t: Itimerval| format!("{{it_interval={}, it_value={}}}", val(&t.it_interval), val(&t.it_value));
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
    let shown =
        |u: Utsname| format!("{{sysname={}, nodename={}, ...}}", field(&u.sysname), field(&u.nodename));
    or_pointer(addr, cx.read::<Utsname>(addr).map(shown))
}

pub(super) fn sysinfo(cx: &Cx<'_>, addr: u64) -> String {
    let shown = |s: Sysinfo| {
        format!(
            "{{uptime={}, loads={:?}, totalram={}, freeram={}, sharedram={}, bufferram={}, totalswap={}, freeswap={}, \
             procs={}, totalhigh={}, freehigh={}, mem_unit={}}}",
            s.uptime,
            s.loads,
            s.totalram,
            s.freeram,
            s.sharedram,
            s.bufferram,
            s.totalswap,
            s.freeswap,
            s.procs,
            s.totalhigh,
            s.freehigh,
            s.mem_unit
        )
    };
    or_pointer(addr, cx.read::<Sysinfo>(addr).map(shown))
}
