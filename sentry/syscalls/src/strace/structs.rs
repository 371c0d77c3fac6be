//! How structures of signals, processes, sockets and descriptors are shown.

use super::{
    names,
    show::{self, Cx, ELEMENTS, buffer, or_pointer, pointer, quote},
};
use abi::{
    Errno, Iovec, SigInfo, SigSet, Signal,
    poll::{EpollEvent, PollFd},
    signal::SigAction,
    socket::MsgHdr,
};
use mem::{UserAddr, UserMemoryExt};
use std::fmt::Write;

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
        let restorer = if a.flags & 0x0400_0000 != 0 {
            format!(", sa_restorer={:#x}", a.restorer)
        } else {
            String::new()
        };
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
                    "FPE_INTDIV",
                    "FPE_INTOVF",
                    "FPE_FLTDIV",
                    "FPE_FLTOVF",
                    "FPE_FLTUND",
                    "FPE_FLTRES",
                    "FPE_FLTINV",
                    "FPE_FLTSUB",
                ],
                Some(Signal::SIGILL) => &[
                    "ILL_ILLOPC",
                    "ILL_ILLOPN",
                    "ILL_ILLADR",
                    "ILL_ILLTRP",
                    "ILL_PRVOPC",
                    "ILL_PRVREG",
                    "ILL_COPROC",
                    "ILL_BADSTK",
                ],
                Some(Signal::SIGTRAP) => &["TRAP_BRKPT", "TRAP_TRACE", "TRAP_BRANCH", "TRAP_HWBKPT"],
                Some(Signal::SIGIO) => {
                    &["POLL_IN", "POLL_OUT", "POLL_MSG", "POLL_ERR", "POLL_PRI", "POLL_HUP"]
                }
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
            let vec: Iovec = cx.read(addr.wrapping_add(index * 16))?;
            let len = vec.iov_len.min(left);
            left -= len;
            let base = if len == 0 && vec.iov_len > 0 {
                pointer(vec.iov_base)
            } else {
                buffer(cx, vec.iov_base, len)
            };
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
            let p: PollFd = cx.read(addr.wrapping_add(index * 8))?;
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
            (0..count).map(|i| Ok(epoll_event_of(&cx.read(addr.wrapping_add(i * 12))?))).collect();
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
            let bits: u64 = cx.read(addr.wrapping_add(word * 8))?;
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
            let bits: u64 = cx.read(addr.wrapping_add(word * 8))?;
            all.extend((0..64).filter(|b| bits & 1 << b != 0).map(|b| (word * 64 + b).to_string()));
        }
        Ok(format!("[{}]", all.join(" ")))
    };
    or_pointer(addr, shown())
}

/// Random bytes and the like, all in hexadecimal.
pub(super) fn hex_bytes(cx: &Cx<'_>, addr: u64, len: u64) -> String {
    let shown = |bytes: Vec<u8>| {
        let text: String = bytes.iter().take(show::limit()).map(|b| format!("\\x{b:02x}")).collect();
        format!("\"{text}\"{}", if len > show::limit() as u64 { "..." } else { "" })
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
