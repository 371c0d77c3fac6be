//! `/proc/PID/maps`, `smaps` and `smaps_rollup`.

use super::process::Process;
use abi::{Errno, Prot, stat::dev};
use mm::{AreaFlags, MapsEntry, Usage};
use std::io::Write;

/// The column in which names begin.
const NAME_COLUMN: usize = 73;

fn line(out: &mut Vec<u8>, entry: &MapsEntry) {
    let start = out.len();
    let bit = |p: Prot, c: char| if entry.prot.contains(p) { c } else { '-' };
    let shared = if entry.flags.contains(AreaFlags::SHARED) { 's' } else { 'p' };
    let attr = entry.file.as_ref().and_then(|f| f.inode().attr().ok()).unwrap_or_default();
    let _ = write!(
        out,
        "{:08x}-{:08x} {}{}{}{shared} {:08x} {:02x}:{:02x} {} ",
        entry.range.start,
        entry.range.end,
        bit(Prot::READ, 'r'),
        bit(Prot::WRITE, 'w'),
        bit(Prot::EXEC, 'x'),
        entry.offset,
        dev::major(attr.dev),
        dev::minor(attr.dev),
        attr.ino,
    );
    let name = match &entry.file {
        Some(file) if entry.name.is_empty() => super::links::name(file.path()),
        _ => entry.name.clone().into_bytes(),
    };
    if !name.is_empty() {
        let used = out.len() - start;
        out.resize(out.len() + NAME_COLUMN.saturating_sub(used), b' ');
        for byte in name {
            if byte == b'\n' { out.extend_from_slice(b"\\012") } else { out.push(byte) }
        }
    }
    out.push(b'\n');
}

/// `maps`.
pub(super) fn maps(process: &Process) -> Result<Vec<u8>, Errno> {
    let mut out = Vec::new();
    for entry in process.mm().map(|mm| mm.maps()).unwrap_or_default() {
        line(&mut out, &entry);
    }
    Ok(out)
}

fn figures(out: &mut Vec<u8>, usage: &Usage, locked: u64, of_all: bool) {
    let file_backed = usage.resident.saturating_sub(usage.anonymous);
    let dirty = usage.anonymous.min(usage.private);
    let clean = usage.private - dirty;
    let mut kb = |name: &str, bytes: u64| {
        let _ = writeln!(out, "{:<16}{:>8} kB", format!("{name}:"), bytes >> 10);
    };
    kb("Rss", usage.resident);
    kb("Pss", usage.proportional);
    kb("Pss_Dirty", dirty);
    if of_all {
        kb("Pss_Anon", usage.anonymous.min(usage.proportional));
        kb("Pss_File", file_backed.min(usage.proportional));
        kb("Pss_Shmem", 0);
    }
    kb("Shared_Clean", usage.shared);
    kb("Shared_Dirty", 0);
    kb("Private_Clean", clean);
    kb("Private_Dirty", dirty);
    kb("Referenced", usage.resident);
    kb("Anonymous", usage.anonymous);
    for name in [
        "KSM",
        "LazyFree",
        "AnonHugePages",
        "ShmemPmdMapped",
        "FilePmdMapped",
        "Shared_Hugetlb",
        "Private_Hugetlb",
        "Swap",
        "SwapPss",
    ] {
        kb(name, 0);
    }
    kb("Locked", locked);
}

fn flags(entry: &MapsEntry) -> String {
    let mut all = Vec::new();
    for (bit, now, may) in [(Prot::READ, "rd", "mr"), (Prot::WRITE, "wr", "mw"), (Prot::EXEC, "ex", "me")] {
        if entry.prot.contains(bit) {
            all.push((0, now));
        }
        if entry.max_prot.contains(bit) {
            all.push((2, may));
        }
    }
    for (bit, name) in [
        (AreaFlags::SHARED, (1, "sh")),
        (AreaFlags::SHARED, (3, "ms")),
        (AreaFlags::GROWSDOWN, (4, "gd")),
        (AreaFlags::LOCKED, (5, "lo")),
        (AreaFlags::SEQUENTIAL, (6, "sr")),
        (AreaFlags::RANDOM, (7, "rr")),
        (AreaFlags::DONTFORK, (8, "dc")),
        (AreaFlags::NORESERVE, (9, "nr")),
        (AreaFlags::WIPEONFORK, (10, "wf")),
        (AreaFlags::DONTDUMP, (11, "dd")),
        (AreaFlags::HUGEPAGE, (12, "hg")),
        (AreaFlags::NOHUGEPAGE, (13, "nh")),
        (AreaFlags::MERGEABLE, (14, "mg")),
    ] {
        if entry.flags.contains(bit) {
            all.push(name);
        }
    }
    all.sort_by_key(|(order, _)| *order);
    all.iter().map(|(_, name)| format!("{name} ")).collect()
}

/// `smaps`.
pub(super) fn smaps(process: &Process) -> Result<Vec<u8>, Errno> {
    let mut out = Vec::new();
    for (entry, usage) in process.mm().map(|mm| mm.smaps()).unwrap_or_default() {
        line(&mut out, &entry);
        let size = (entry.range.end - entry.range.start) >> 10;
        for (name, kb) in [("Size:", size), ("KernelPageSize:", 4), ("MMUPageSize:", 4)] {
            let _ = writeln!(out, "{name:<16}{kb:>8} kB");
        }
        let locked = if entry.flags.contains(AreaFlags::LOCKED) { usage.proportional } else { 0 };
        figures(&mut out, &usage, locked, false);
        let _ = writeln!(out, "THPeligible:           0\nVmFlags: {}", flags(&entry));
    }
    Ok(out)
}

/// `smaps_rollup`.
pub(super) fn smaps_rollup(process: &Process) -> Result<Vec<u8>, Errno> {
    let all = process.mm().map(|mm| mm.smaps()).unwrap_or_default();
    let mut sum = Usage::default();
    let mut locked = 0;
    for (entry, usage) in &all {
        sum.resident += usage.resident;
        sum.proportional += usage.proportional;
        sum.shared += usage.shared;
        sum.private += usage.private;
        sum.anonymous += usage.anonymous;
        if entry.flags.contains(AreaFlags::LOCKED) {
            locked += usage.proportional;
        }
    }
    let (Some((first, _)), Some((last, _))) = (all.first(), all.last()) else { return Ok(Vec::new()) };
    let mut out = Vec::new();
    let head = format!("{:08x}-{:08x} ---p 00000000 00:00 0 ", first.range.start, last.range.end);
    let _ = writeln!(out, "{head:<NAME_COLUMN$}[rollup]");
    figures(&mut out, &sum, locked, true);
    Ok(out)
}
