//! How arguments are shown that only one call has, or whose meaning depends on another.

use super::{
    names as n,
    show::{self as s, Cx},
    structs as t,
};
use abi::fcntl::*;

pub(super) fn open_flags(_: &Cx<'_>, raw: u64) -> String {
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
pub(super) fn mode_if_made(flags: u64, raw: u64) -> String {
    if flags & 0o100 != 0 || flags & 0o20_000_000 != 0 { s::mode(raw & 0xffff_ffff) } else { String::new() }
}

pub(super) fn sock_type(_: &Cx<'_>, raw: u64) -> String {
    let kind = n::SOCK_TYPE.value(raw & 0xf);
    match n::SOCK_FLAG.flags(raw & 0xffff_fff0).as_str() {
        "0" => kind,
        more => format!("{kind}|{more}"),
    }
}

pub(super) fn protocol(cx: &Cx<'_>, raw: u64) -> String {
    match cx.arg(0) {
        2 | 10 => n::IPPROTO.value(raw & 0xffff_ffff),
        16 => n::NETLINK.value(raw & 0xffff_ffff),
        _ => (raw as i32).to_string(),
    }
}

pub(super) fn option_name(cx: &Cx<'_>, raw: u64) -> String {
    let names = match cx.arg(1) as i32 {
        1 => &n::SO,
        0 => &n::IP,
        6 => &n::TCP,
        41 => &n::IPV6,
        _ => return format!("{:#x}", raw as u32),
    };
    names.value(raw & 0xffff_ffff)
}

pub(super) fn option_value(cx: &Cx<'_>, raw: u64, len: u64) -> String {
    match len {
        4 => t::int_at(cx, raw),
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

pub(super) fn wait_flags(_: &Cx<'_>, raw: u64) -> String {
    n::WAIT.flags(raw & 0xffff_ffff)
}

pub(super) fn prot(_: &Cx<'_>, raw: u64) -> String {
    if raw == 0 { "PROT_NONE".into() } else { n::PROT.flags(raw) }
}

pub(super) fn map_flags(_: &Cx<'_>, raw: u64) -> String {
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

pub(super) fn access_mode(_: &Cx<'_>, raw: u64) -> String {
    if raw == 0 { "F_OK".into() } else { n::ACCESS.flags(raw & 0xffff_ffff) }
}

pub(super) fn statx_flags(_: &Cx<'_>, raw: u64) -> String {
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

pub(super) fn device(mode: u64, raw: u64) -> String {
    if matches!(mode & 0o170_000, 0o020_000 | 0o060_000) {
        let (major, minor) = s::device_numbers(raw);
        format!("makedev({major:#x}, {minor:#x})")
    } else {
        String::new()
    }
}

pub(super) fn clone_flags(raw: u64) -> String {
    let flags = n::CLONE.flags(raw & !0xff);
    match (raw & 0xff, flags.as_str()) {
        (0, _) => flags,
        (signal, "0") => t::signal(signal as i32),
        (signal, _) => format!("{flags}|{}", t::signal(signal as i32)),
    }
}

pub(super) fn clone(cx: &Cx<'_>, _: u64) -> String {
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

pub(super) fn clone3(cx: &Cx<'_>, raw: u64) -> String {
    match cx.read::<abi::process::CloneArgs>(raw) {
        Ok(a) => format!(
            "{{flags={}, exit_signal={}, stack={}, stack_size={:#x}, tls={:#x}}}",
            n::CLONE.flags(a.flags),
            if a.exit_signal == 0 { "0".into() } else { t::signal(a.exit_signal as i32) },
            s::pointer(a.stack),
            a.stack_size,
            a.tls
        ),
        Err(_) => s::pointer(raw),
    }
}

pub(super) fn futex_op(_: &Cx<'_>, raw: u64) -> String {
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
pub(super) fn futex_rest(cx: &Cx<'_>, _: u64) -> String {
    let (timeout, addr2, val3) = (cx.arg(3), cx.arg(4), cx.arg(5));
    let bits = |v: u64| {
        if v as u32 == u32::MAX { "FUTEX_BITSET_MATCH_ANY".into() } else { format!("{:#x}", v as u32) }
    };
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

pub(super) fn fcntl_rest(cx: &Cx<'_>, raw: u64) -> String {
    match cx.arg(1) as i32 {
        F_GETFD | F_GETFL | F_GETOWN | F_GETSIG | F_GETLEASE | F_GETPIPE_SZ | F_GET_SEALS => String::new(),
        F_SETFD => n::FD.flags(raw),
        F_SETFL => open_flags(cx, raw),
        F_SETLK | F_SETLKW | F_OFD_SETLK | F_OFD_SETLKW => t::file_lock(cx, raw, false),
        F_GETLK | F_OFD_GETLK => t::file_lock(cx, raw, true),
        F_SETLEASE => n::LOCK.value(raw & 0xffff_ffff),
        F_SETSIG => t::signal(raw as i32),
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
        .map(|(index, name)| (name, t::fd_set(cx, cx.arg(index))))
        .filter(|(_, set)| set != "[]")
        .map(|(name, set)| format!("{name} {set}"))
        .collect();
    format!("{value} ({})", sets.join(", "))
}

pub(super) fn ioctl_rest(cx: &Cx<'_>, raw: u64) -> String {
    match cx.arg(1) as u32 {
        // FIONREAD, TIOCGPGRP, TIOCSPGRP, TIOCOUTQ, TIOCGSID, TIOCGPTN, TIOCSPTLCK, FIONBIO, FIOASYNC
        0x541b | 0x540f | 0x5410 | 0x5411 | 0x5429 | 0x8004_5430 | 0x4004_5431 | 0x5421 | 0x5452 => {
            t::int_at(cx, raw)
        }
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

pub(super) fn ioctl_out(cx: &Cx<'_>, raw: u64) -> String {
    if cx.ret < 0 && cx.arg(1) as u32 != 0x5421 { s::pointer(raw) } else { ioctl_rest(cx, raw) }
}

pub(super) fn prctl_rest(cx: &Cx<'_>, _: u64) -> String {
    let a = |i: usize| cx.arg(i);
    match a(0) as i32 {
        1 => t::signal(a(1) as i32),
        15 | 16 => s::string(cx, a(1)),
        2 | 37 | 40 => s::pointer(a(1)),
        3 | 7 | 21 | 27 | 30 | 39 => String::new(),
        4 | 8 | 24 | 23 | 28 | 29 | 36 => a(1).to_string(),
        38 => format!("{}, {}, {}, {}", a(1), a(2), a(3), a(4)),
        0x5356_4d41 => format!("{}, {:#x}, {}, {}", a(1), a(2), a(3), s::string(cx, a(4))),
        _ => format!("{:#x}, {:#x}, {:#x}, {:#x}", a(1), a(2), a(3), a(4)),
    }
}

pub(super) fn arch_value(cx: &Cx<'_>, raw: u64) -> String {
    if matches!(cx.arg(0), 0x1003 | 0x1004) && cx.ret == 0 {
        return cx.read::<u64>(raw).map_or_else(|_| s::pointer(raw), |v| format!("[{v:#x}]"));
    }
    s::pointer(raw)
}

pub(super) fn flock_op(_: &Cx<'_>, raw: u64) -> String {
    n::FLOCK.flags(raw & 0xffff_ffff)
}

pub(super) fn id(_: &Cx<'_>, raw: u64) -> String {
    (raw as i32).to_string()
}

pub(super) fn mapped_offset(_: &Cx<'_>, raw: u64) -> String {
    s::hex(raw)
}

pub(super) fn nothing(_: &Cx<'_>, _: u64) -> String {
    String::new()
}

pub(super) fn wait_result(cx: &Cx<'_>, raw: u64) -> String {
    if cx.ret == 0 { s::pointer(raw) } else { t::wait_status(cx, raw) }
}

pub(super) fn ioctl_name(raw: u64) -> String {
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

pub(super) fn ipc_flags(_: &Cx<'_>, raw: u64) -> String {
    let mode = format!("0{:o}", raw & 0o777);
    match n::IPC.flags(raw & 0xffff_fe00).as_str() {
        "0" => mode,
        flags => format!("{flags}|{mode}"),
    }
}
