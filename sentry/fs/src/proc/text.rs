//! Small files about a process that only show something.

use super::process::Process;
use abi::{Errno, process::Resource};
use mem::{UserAddr, UserMemory};
use mm::AddressSpace;
use platform::Access;
use std::{fmt::Write, sync::atomic::Ordering};

/// The most bytes of arguments or environment that are shown.
const STRINGS_MAX: u64 = 8 << 20;

/// Bytes of another address space, as far as they are there.
fn peek(mm: &AddressSpace, from: u64, to: u64) -> Vec<u8> {
    let len = to.saturating_sub(from).min(STRINGS_MAX);
    let mut bytes = Vec::new();
    let _ = mm.with_pieces_forced(UserAddr(from), len as usize, Access::READ, &mut |piece| {
        let at = bytes.len();
        bytes.resize(at + piece.len(), 0);
        Ok(piece.copy_to(bytes.get_mut(at..).unwrap_or_default()))
    });
    bytes
}

/// `cmdline`.
pub(super) fn cmdline(process: &Process) -> Result<Vec<u8>, Errno> {
    process.group()?;
    let Some(mm) = process.mm() else { return Ok(Vec::new()) };
    let info = mm.info();
    let mut bytes = peek(&mm, info.arg_start, info.arg_end);
    // A program that has written over the end of its arguments has put a title there (setproctitle): that may go on
    // into the environment.
    if bytes.last().is_some_and(|b| *b != 0) && info.env_start == info.arg_end {
        bytes.extend(peek(&mm, info.env_start, info.env_end));
        let end = bytes.iter().position(|b| *b == 0).map_or(bytes.len(), |at| at + 1);
        bytes.truncate(end);
    }
    Ok(bytes)
}

/// `environ`.
pub(super) fn environ(process: &Process) -> Result<Vec<u8>, Errno> {
    let Some(mm) = process.mm() else { return Ok(Vec::new()) };
    let info = mm.info();
    Ok(peek(&mm, info.env_start, info.env_end))
}

/// `auxv`.
pub(super) fn auxv(process: &Process) -> Result<Vec<u8>, Errno> {
    Ok(process.mm().map(|mm| mm.info().auxv).unwrap_or_default())
}

/// `comm`.
pub(super) fn comm(process: &Process) -> Result<Vec<u8>, Errno> {
    let mut name = process.comm()?;
    name.push(b'\n');
    Ok(name)
}

/// `personality`.
pub(super) fn personality(process: &Process) -> Result<Vec<u8>, Errno> {
    let persona = process.task()?.attributes.lock().personality;
    Ok(format!("{persona:08x}\n").into_bytes())
}

/// `limits`.
pub(super) fn limits(process: &Process) -> Result<Vec<u8>, Errno> {
    let group = process.group()?;
    let limits = group.limits.lock().clone();
    let mut t = format!("{:<25} {:<20} {:<20} {:<10}\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    let show = |n: u64| if n == u64::MAX { "unlimited".to_owned() } else { n.to_string() };
    for resource in Resource::ALL {
        let limit = limits.get(resource);
        let (name, unit) = resource.proc_name();
        let _ = write!(t, "{name:<25} {:<20} {:<20} ", show(limit.rlim_cur), show(limit.rlim_max));
        let _ = if unit.is_empty() { writeln!(t) } else { writeln!(t, "{unit:<10}") };
    }
    Ok(t.into_bytes())
}

/// `sched`: the head, and what can be told.
pub(super) fn sched(process: &Process) -> Result<Vec<u8>, Errno> {
    let task = process.task()?;
    let name = String::from_utf8_lossy(&process.comm()?).into_owned();
    let number = process.pid()?.number_in(&process.ns).unwrap_or(0);
    let threads = super::status::relatives(&*process.group()?).3;
    let (user, system) = task.times_ns();
    let a = task.attributes.lock().clone();
    let load = |n: &std::sync::atomic::AtomicU64| n.load(Ordering::Relaxed);
    let (given_up, taken) = (load(&task.usage.voluntary_switches), load(&task.usage.involuntary_switches));
    let ms = |ns: u64| format!("{}.{:06}", ns / 1_000_000, ns % 1_000_000);
    let mut t = format!("{name} ({number}, #threads: {threads})\n{}\n", "-".repeat(67));
    for (what, value) in [
        ("se.sum_exec_runtime", ms(user + system)),
        ("nr_switches", (given_up + taken).to_string()),
        ("nr_voluntary_switches", given_up.to_string()),
        ("nr_involuntary_switches", taken.to_string()),
        ("policy", a.policy.to_string()),
        ("prio", (120 + a.nice).to_string()),
    ] {
        let _ = writeln!(t, "{what:<45}:{value:>21}");
    }
    Ok(t.into_bytes())
}

/// `schedstat`: time on a CPU, time waiting for one, turns.
pub(super) fn schedstat(process: &Process) -> Result<Vec<u8>, Errno> {
    let (user, system) = process.task().map_or((0, 0), |t| t.times_ns());
    Ok(format!("{} 0 0\n", user + system).into_bytes())
}

/// `syscall`.
pub(super) fn syscall(process: &Process) -> Result<Vec<u8>, Errno> {
    let task = process.task()?;
    if !task.is_asleep() {
        return Ok(b"running\n".to_vec());
    }
    let regs = *task.regs.lock();
    // Stopped outside of any call.
    if regs.orig_rax as i64 == -1 {
        return Ok(format!("-1 {:#x} {:#x}\n", regs.rsp, regs.rip).into_bytes());
    }
    let args: Vec<String> = regs.syscall_args().iter().map(|a| format!("{a:#x}")).collect();
    Ok(format!("{} {} {:#x} {:#x}\n", regs.orig_rax as i64, args.join(" "), regs.rsp, regs.rip).into_bytes())
}

/// `children`.
pub(super) fn children(process: &Process) -> Result<Vec<u8>, Errno> {
    let task = process.task()?;
    if !task.is_leader() {
        return Ok(Vec::new());
    }
    let group = process.group()?;
    let children = {
        let tree = group.kernel.tree.lock();
        tree.nodes.get(&group.tgid()).map(|n| n.children.clone()).unwrap_or_default()
    };
    let shown = children.into_iter().map(|c| process.shown(c)).filter(|n| *n != 0);
    Ok(shown.map(|n| format!("{n} ")).collect::<String>().into_bytes())
}

/// Files with nothing in them.
pub(super) fn nothing(process: &Process) -> Result<Vec<u8>, Errno> {
    process.group().map(|_| Vec::new())
}

/// `wchan`: not told, but for who waits for a tracer.
pub(super) fn wchan(process: &Process) -> Result<Vec<u8>, Errno> {
    process.group()?;
    let stopped = process.accessible().is_ok_and(|task| task.is_trace_stopped());
    Ok(if stopped { b"ptrace_stop".to_vec() } else { b"0".to_vec() })
}

/// `cpuset`.
pub(super) fn cpuset(process: &Process) -> Result<Vec<u8>, Errno> {
    process.group().map(|_| crate::cgroup::cpuset().into_bytes())
}

/// `cgroup`.
pub(super) fn cgroup(process: &Process) -> Result<Vec<u8>, Errno> {
    process.group().map(|_| crate::cgroup::of_process().into_bytes())
}

/// `oom_score`: as Linux scales it, 0 to 2000 with 667 for a small process with no adjustment.
pub(super) fn oom_score(process: &Process) -> Result<Vec<u8>, Errno> {
    let group = process.group()?;
    let adjustment = i64::from(group.oom_score_adj.load(Ordering::Relaxed));
    if adjustment == -1000 || process.task().is_err() {
        return Ok(b"0\n".to_vec());
    }
    let rss = process.mm().map_or(0, |mm| mm.sizes().rss()) as i64;
    let permille = rss.saturating_mul(1000) / (group.kernel.memory_bytes.max(1) as i64);
    Ok(format!("{}\n", ((1000 + permille + adjustment) * 2 / 3).max(0)).into_bytes())
}

/// `coredump_filter`: Linux's default; no dumps are written.
pub(super) fn coredump_filter(process: &Process) -> Result<Vec<u8>, Errno> {
    process.group().map(|_| b"00000033\n".to_vec())
}

/// `io`: nothing is counted.
pub(super) fn io(process: &Process) -> Result<Vec<u8>, Errno> {
    process.group()?;
    let names = ["rchar", "wchar", "syscr", "syscw", "read_bytes", "write_bytes", "cancelled_write_bytes"];
    Ok(names.map(|n| format!("{n}: 0\n")).concat().into_bytes())
}
