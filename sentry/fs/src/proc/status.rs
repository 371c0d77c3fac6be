//! `/proc/PID/status`.

use super::process::Process;
use abi::{Errno, SigSet, process::Resource};
use kernel::{Task, ThreadGroup};
use std::{
    fmt::Write,
    sync::{Arc, atomic::Ordering},
};

/// The state as `ps` shows it, and in words.
pub(super) fn state(process: &Process) -> (char, &'static str) {
    let (Ok(group), Ok(task)) = (process.group(), process.task()) else { return ('Z', "zombie") };
    if task.is_trace_stopped() {
        return ('t', "tracing stop");
    }
    if group.signals.lock().stop.is_stopped() {
        return ('T', "stopped");
    }
    if task.is_asleep() { ('S', "sleeping") } else { ('R', "running") }
}

/// Pending for the thread, pending for the process, blocked, ignored, caught.
pub(super) fn signals(group: &ThreadGroup, task: Option<&Arc<Task>>) -> [SigSet; 5] {
    let (shared, hand) = {
        let signals = group.signals.lock();
        (signals.pending.set(), signals.hand.clone())
    };
    let (ignored, caught) = hand.ignored_and_caught();
    let (private, blocked) = task.map_or((SigSet::EMPTY, SigSet::EMPTY), |task| {
        let signals = task.lock_signals();
        (signals.pending.set(), signals.mask)
    });
    [private, shared, blocked, ignored, caught]
}

/// Parent, process group and session, as numbers of the initial pid namespace, and how many threads there are.
pub(super) fn relatives(group: &ThreadGroup) -> (u32, u32, u32, usize) {
    let tree = group.kernel.tree.lock();
    let node = tree.nodes.get(&group.tgid());
    node.map_or((0, 0, 0, 0), |n| (n.parent, n.pgid, n.sid, n.threads.len()))
}

/// A mask of CPUs as `status` prints it: words of 32 bits, the highest first.
pub(crate) fn mask(words: &[u64], bits: usize) -> String {
    let halves: Vec<u32> = words.iter().flat_map(|w| [*w as u32, (*w >> 32) as u32]).collect();
    let used = halves.get(..bits.div_ceil(32).max(1)).unwrap_or(&halves);
    let mut text = String::new();
    for (i, half) in used.iter().rev().enumerate() {
        let width = if i == 0 { bits.saturating_sub(1) % 32 / 4 + 1 } else { 8 };
        let _ = write!(text, "{}{half:0width$x}", if i == 0 { "" } else { "," });
    }
    text
}

/// The bits that are set, as ranges: `0-3,5`.
pub(crate) fn list(words: &[u64], bits: usize) -> String {
    let set = |i: usize| words.get(i / 64).is_some_and(|w| w >> (i % 64) & 1 != 0);
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < bits {
        if !set(at) {
            at += 1;
            continue;
        }
        let first = at;
        while at + 1 < bits && set(at + 1) {
            at += 1;
        }
        ranges.push(if first == at { first.to_string() } else { format!("{first}-{at}") });
        at += 1;
    }
    ranges.join(",")
}

fn escaped(name: &[u8]) -> String {
    String::from_utf8_lossy(name).replace('\\', "\\\\").replace('\n', "\\n")
}

/// `status`.
pub(super) fn status(process: &Process) -> Result<Vec<u8>, Errno> {
    let group = process.group()?;
    let task = process.task().ok();
    let cred = process.cred()?;
    let mut t = String::with_capacity(1600);
    let _ = writeln!(t, "Name:\t{}", escaped(&process.comm()?));
    if let Some(task) = &task {
        let _ = writeln!(t, "Umask:\t{:04o}", task.fs().umask());
    }
    let (letter, word) = state(process);
    let (parent, pgid, sid, threads) = relatives(&group);
    let pid = process.pid()?;
    let here = |p: &kernel::pid::Pid| p.number_in(&process.ns).unwrap_or(0);
    let _ = writeln!(t, "State:\t{letter} ({word})");
    let _ = writeln!(t, "Tgid:\t{}\nNgid:\t0\nPid:\t{}", here(&group.pid), here(&pid));
    let tracer = task.as_ref().and_then(|t| t.tracer()).map_or(0, |t| here(&t.pid()));
    let _ = writeln!(t, "PPid:\t{}\nTracerPid:\t{tracer}", process.shown(parent));
    let ns = kernel::current().map_or_else(|| cred.user_ns.clone(), |c| c.cred().user_ns.clone());
    let (u, g) = (|id| ns.show_uid(id), |id| ns.show_gid(id));
    let _ = writeln!(t, "Uid:\t{}\t{}\t{}\t{}", u(cred.ruid), u(cred.euid), u(cred.suid), u(cred.fsuid));
    let _ = writeln!(t, "Gid:\t{}\t{}\t{}\t{}", g(cred.rgid), g(cred.egid), g(cred.sgid), g(cred.fsgid));
    let fd_size = task.as_ref().and_then(|t| t.fds().ok()).map_or(0, |fds| fds.size());
    let groups: Vec<String> = cred.groups.iter().map(|id| g(*id).to_string()).collect();
    let _ = writeln!(t, "FDSize:\t{fd_size}\nGroups:\t{} ", groups.join(" "));
    let numbers = |pid: Option<Arc<kernel::pid::Pid>>| {
        let all = pid.map(|p| p.numbers_from(&process.ns)).unwrap_or_default();
        all.iter().map(|n| format!("\t{n}")).collect::<String>()
    };
    let known = |number: u32| group.kernel.tree.lock().pids.get(&number).cloned();
    let _ = writeln!(t, "NStgid:{}\nNSpid:{}", numbers(Some(group.pid.clone())), numbers(Some(pid)));
    let _ = writeln!(t, "NSpgid:{}\nNSsid:{}\nKthread:\t0", numbers(known(pgid)), numbers(known(sid)));
    memory(&mut t, process, &group);
    let limit = group.limits.lock().soft(Resource::Sigpending);
    let _ = writeln!(t, "Threads:\t{}\nSigQ:\t{}/{limit}", threads.max(1), kernel::signal::queued());
    let names = ["SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"];
    for (name, set) in names.into_iter().zip(signals(&group, task.as_ref())) {
        let _ = writeln!(t, "{name}:\t{:016x}", set.bits);
    }
    for (name, set) in [
        ("CapInh", cred.inheritable),
        ("CapPrm", cred.permitted),
        ("CapEff", cred.effective),
        ("CapBnd", cred.bounding),
        ("CapAmb", cred.ambient),
    ] {
        let _ = writeln!(t, "{name}:\t{:016x}", set.bits());
    }
    let _ = writeln!(t, "NoNewPrivs:\t{}", u8::from(cred.no_new_privs));
    let seccomp = task.as_ref().map(|task| task.seccomp()).unwrap_or_default();
    let _ = writeln!(t, "Seccomp:\t{}\nSeccomp_filters:\t{}", seccomp.mode(), seccomp.count());
    t.push_str(
        "Speculation_Store_Bypass:\tthread vulnerable\nSpeculationIndirectBranch:\tconditional enabled\n",
    );
    let cpus = group.kernel.cpus;
    let allowed = task.as_ref().map(|t| t.attributes.lock().cpus(cpus)).unwrap_or_else(|| vec![1]);
    let _ =
        writeln!(t, "Cpus_allowed:\t{}\nCpus_allowed_list:\t{}", mask(&allowed, cpus), list(&allowed, cpus));
    t.push_str("Mems_allowed:\t1\nMems_allowed_list:\t0\n");
    let switches = |of: fn(&kernel::task::Usage) -> &std::sync::atomic::AtomicU64| {
        task.as_ref().map_or(0, |task| of(&task.usage).load(std::sync::atomic::Ordering::Relaxed))
    };
    let (given_up, taken) = (switches(|u| &u.voluntary_switches), switches(|u| &u.involuntary_switches));
    let _ = writeln!(t, "voluntary_ctxt_switches:\t{given_up}\nnonvoluntary_ctxt_switches:\t{taken}");
    Ok(t.into_bytes())
}

fn memory(t: &mut String, process: &Process, group: &ThreadGroup) {
    let Some(mm) = process.mm() else { return };
    let sizes = mm.sizes();
    for (name, bytes) in [
        ("VmPeak", sizes.vm_peak),
        ("VmSize", sizes.vm_size),
        ("VmLck", sizes.vm_locked),
        ("VmPin", 0),
        ("VmHWM", sizes.vm_hwm),
        ("VmRSS", sizes.rss()),
        ("RssAnon", sizes.rss_anon),
        ("RssFile", sizes.rss_file),
        ("RssShmem", sizes.rss_shmem),
        ("VmData", sizes.vm_data),
        ("VmStk", sizes.vm_stack),
        ("VmExe", sizes.vm_exec),
        ("VmLib", sizes.vm_lib),
        ("VmPTE", sizes.vm_pte),
        ("VmSwap", 0),
        ("HugetlbPages", 0),
    ] {
        let _ = writeln!(t, "{name}:\t{:8} kB", bytes >> 10);
    }
    let huge = !group.thp_disabled.load(Ordering::Relaxed);
    let _ = writeln!(t, "CoreDumping:\t0\nTHP_enabled:\t{}\nuntag_mask:\t0xffffffffffffffff", u8::from(huge));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_and_lists_of_cpus() {
        assert_eq!((mask(&[0b11], 2), list(&[0b11], 2)), ("3".into(), "0-1".into()));
        assert_eq!(mask(&[u64::MAX, 1], 65), "1,ffffffff,ffffffff");
        assert_eq!(list(&[0b1101, 1], 65), "0,2-3,64");
    }
}
