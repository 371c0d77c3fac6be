//! `/proc/PID/stat` and `statm`.

use super::{
    process::Process,
    status::{relatives, signals, state},
};
use abi::{
    Errno,
    process::Resource,
    stat::dev::{TTYAUX_MAJOR, UNIX98_PTY_SLAVE_MAJOR, encode_new},
};
use kernel::ThreadGroup;
use std::sync::{Arc, atomic::Ordering};

/// Nanoseconds of a tick (`USER_HZ` is 100).
const TICK_NS: u64 = 10_000_000;

/// Linux's `PF_FORKNOEXEC` and `PF_RANDOMIZE`.
const FORKED: u64 = 0x40;
const RANDOMIZE: u64 = 0x40_0000;

/// Device and foreground group (or -1) of the controlling terminal.
fn terminal(process: &Process, group: &Arc<ThreadGroup>) -> (u32, i64) {
    let Some(tty) = group.terminal() else { return (0, -1) };
    let device = match tty.index() {
        Some(n) => encode_new(UNIX98_PTY_SLAVE_MAJOR, n),
        None => encode_new(TTYAUX_MAJOR, 1),
    };
    let (_, foreground) = tty.session_and_foreground();
    (device, foreground.map_or(-1, |pgid| i64::from(process.shown(pgid))))
}

/// `stat`.
pub(super) fn stat(process: &Process) -> Result<Vec<u8>, Errno> {
    let group = process.group()?;
    let task = process.task().ok();
    let load = |n: &std::sync::atomic::AtomicU64| n.load(Ordering::Relaxed) / TICK_NS;
    let (parent, pgid, sid, threads) = relatives(&group);
    let (tty, foreground) = terminal(process, &group);
    let (user, system) = match (&task, process.is_thread()) {
        (Some(task), true) => task.times_ns(),
        _ => group.times_ns(),
    };
    let (forked, exit_signal, status) = {
        let tree = group.kernel.tree.lock();
        let node = tree.nodes.get(&group.tgid());
        node.map_or((false, 0, None), |n| (!n.has_execed, n.exit_signal, n.zombie))
    };
    let attributes = task.as_ref().map(|t| t.attributes.lock().clone()).unwrap_or_default();
    let priority = match attributes.rt_priority {
        0 => i64::from(20 + attributes.nice),
        p => -1 - i64::from(p),
    };
    let started = match (&task, process.is_thread()) {
        (Some(task), true) => task.start_ns,
        _ => group.start_ns,
    };
    let mm = process.mm();
    let sizes = mm.as_ref().map(|mm| mm.sizes()).unwrap_or_default();
    let permitted = process.accessible().is_ok();
    let info = mm.as_ref().filter(|_| permitted).map(|mm| (mm.info(), mm.heap().start));
    let (info, start_brk) = info.unwrap_or_default();
    let [pending, _, blocked, ignored, caught] = signals(&group, task.as_ref());
    let home = task.as_ref().map_or(0, |t| t.home % group.kernel.cpus.max(1));
    let exit_code = status.filter(|_| permitted).map_or(0, |s| s.wait_status());
    let mut out = format!("{} (", process.pid()?.number_in(&process.ns).unwrap_or(0)).into_bytes();
    out.extend_from_slice(&process.comm()?);
    let head = format!(
        ") {} {} {} {} {tty} {foreground} {} 0 0 0 0 {} {} {} {} {priority} {} {} 0 {} ",
        state(process).0,
        process.shown(parent),
        process.shown(pgid),
        process.shown(sid),
        RANDOMIZE | if forked { FORKED } else { 0 },
        user / TICK_NS,
        system / TICK_NS,
        load(&group.children_user_ns),
        load(&group.children_system_ns),
        attributes.nice,
        threads.max(1),
        started.saturating_sub(group.kernel.boot_ns) / TICK_NS,
    );
    out.extend_from_slice(head.as_bytes());
    let rss_limit = group.limits.lock().soft(Resource::Rss);
    let (start_code, end_code) = if permitted { (info.start_code, info.end_code) } else { (1, 1) };
    let middle = format!(
        "{} {} {rss_limit} {start_code} {end_code} {} 0 0 {} {} {} {} 0 0 0 {exit_signal} {home} {} {} 0 0 0 ",
        sizes.vm_size,
        sizes.rss() / mem::PAGE_SIZE,
        info.start_stack,
        pending.bits & 0x7fff_ffff,
        blocked.bits & 0x7fff_ffff,
        ignored.bits & 0x7fff_ffff,
        caught.bits & 0x7fff_ffff,
        attributes.rt_priority,
        attributes.policy,
    );
    out.extend_from_slice(middle.as_bytes());
    let tail = format!(
        "{} {} {start_brk} {} {} {} {} {exit_code}\n",
        info.start_data, info.end_data, info.arg_start, info.arg_end, info.env_start, info.env_end,
    );
    out.extend_from_slice(tail.as_bytes());
    Ok(out)
}

/// `statm`: in pages.
pub(super) fn statm(process: &Process) -> Result<Vec<u8>, Errno> {
    process.group()?;
    let s = process.mm().map(|mm| mm.sizes()).unwrap_or_default();
    let pages = |bytes: u64| bytes / mem::PAGE_SIZE;
    Ok(format!(
        "{} {} {} {} 0 {} 0\n",
        pages(s.vm_size),
        pages(s.rss()),
        pages(s.rss_file + s.rss_shmem),
        pages(s.vm_exec),
        pages(s.vm_data + s.vm_stack),
    )
    .into_bytes())
}
