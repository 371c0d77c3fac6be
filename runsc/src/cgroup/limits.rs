//! Limits: from `linux.resources` to the controllers' files.

use super::Kind;
use anyhow::Context;
use oci_spec::runtime::LinuxResources;
use std::{fs, io::ErrorKind, path::Path};

/// How many tasks a sandbox itself has beside the stubs that run applications. The sandbox holds applications to the
/// exact number; the host's limit is there in case that the sandbox cannot be trusted any more.
const OWN_TASKS: i64 = 128;

/// Makes a fresh directory fit to take processes: version 1 wants `cpuset` filled in.
pub fn prepare(kind: &Kind, dir: &Path) -> anyhow::Result<()> {
    if *kind == Kind::Unified || !kind.has("cpuset") {
        return Ok(());
    }
    let mut missing = Vec::new();
    let mut at = Some(dir);
    while let Some(dir) =
        at.filter(|dir| is_empty(&dir.join("cpuset.cpus")) || is_empty(&dir.join("cpuset.mems")))
    {
        missing.push(dir);
        at = dir.parent();
    }
    for dir in missing.into_iter().rev() {
        let Some(parent) = dir.parent() else { continue };
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if is_empty(&dir.join(file)) {
                let value = fs::read_to_string(parent.join(file)).unwrap_or_default();
                write(&dir.join(file), value.trim())?;
            }
        }
    }
    Ok(())
}

/// Whether a file is there and says nothing.
fn is_empty(file: &Path) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.trim().is_empty())
}

/// Applies the limits whose controller this hierarchy has.
pub fn apply(kind: &Kind, dir: &Path, resources: &LinuxResources) -> anyhow::Result<()> {
    match kind {
        Kind::Unified => version_2(dir, resources),
        Kind::Controllers(_) => version_1(kind, dir, resources),
        Kind::Named(_) | Kind::Hybrid => Ok(()),
    }
}

fn version_1(kind: &Kind, dir: &Path, resources: &LinuxResources) -> anyhow::Result<()> {
    if let (true, Some(memory)) = (kind.has("memory"), resources.memory()) {
        let limit = ("memory.limit_in_bytes", given(memory.limit()));
        let swap = ("memory.memsw.limit_in_bytes", given(memory.swap()));
        // The one must never be above the other, so the order depends on which way they go.
        let both = [limit, swap];
        if set_pair(dir, &both).is_err() {
            set_pair(dir, &[swap, limit])?;
        }
        set(dir, "memory.soft_limit_in_bytes", given(memory.reservation()))?;
        if memory.disable_oom_killer() == Some(true) {
            set(dir, "memory.oom_control", Some(1))?;
        }
    }
    if let Some(cpu) = resources.cpu() {
        if kind.has("cpu") {
            set(dir, "cpu.shares", cpu.shares().filter(|v| *v > 0).map(signed))?;
            set(dir, "cpu.cfs_period_us", cpu.period().filter(|v| *v > 0).map(signed))?;
            set(dir, "cpu.cfs_quota_us", given(cpu.quota()))?;
        }
        if kind.has("cpuset") {
            set_list(dir, "cpuset.cpus", cpu.cpus())?;
            set_list(dir, "cpuset.mems", cpu.mems())?;
        }
    }
    if let (true, Some(pids)) = (kind.has("pids"), resources.pids()) {
        set_text(dir, "pids.max", &pids_max(pids.limit()))?;
    }
    if let (true, Some(io)) = (kind.has("blkio"), resources.block_io()) {
        // The file's name depends on the I/O scheduler; without one that has weights there is none.
        let weight = io.weight().filter(|weight| *weight > 0).map(i64::from);
        for file in ["blkio.weight", "blkio.bfq.weight"] {
            if dir.join(file).exists() {
                set(dir, file, weight)?;
            }
        }
    }
    Ok(())
}

fn version_2(dir: &Path, resources: &LinuxResources) -> anyhow::Result<()> {
    if let Some(memory) = resources.memory() {
        if let Some(limit) = given(memory.limit()) {
            set_text(dir, "memory.max", &max_or(limit))?;
        }
        if let (Some(swap), limit) = (given(memory.swap()), memory.limit().unwrap_or(0)) {
            // Here the file says swap alone, there memory and swap.
            let alone = if swap < 0 { -1 } else { swap.saturating_sub(limit.max(0)).max(0) };
            set_optional(dir, "memory.swap.max", &max_or(alone))?;
        }
        set(dir, "memory.low", given(memory.reservation()))?;
    }
    if let Some(cpu) = resources.cpu() {
        if let Some(shares) = cpu.shares().filter(|shares| *shares > 0) {
            set_text(dir, "cpu.weight", &weight(shares).to_string())?;
        }
        let period = cpu.period().filter(|period| *period > 0).unwrap_or(100_000);
        match given(cpu.quota()) {
            Some(quota) => set_text(dir, "cpu.max", &format!("{} {period}", max_or(quota)))?,
            None if cpu.period().is_some_and(|period| period > 0) => {
                set_text(dir, "cpu.max", &format!("max {period}"))?;
            }
            None => {}
        }
        set_list(dir, "cpuset.cpus", cpu.cpus())?;
        set_list(dir, "cpuset.mems", cpu.mems())?;
    }
    if let Some(pids) = resources.pids() {
        set_text(dir, "pids.max", &pids_max(pids.limit()))?;
    }
    if let Some(weight) =
        resources.block_io().as_ref().and_then(|io| io.weight()).filter(|weight| *weight > 0)
    {
        let scaled = 1 + (u64::from(weight).saturating_sub(10)) * 9999 / 990;
        set_optional(dir, "io.weight", &scaled.to_string())?;
    }
    for (file, value) in resources.unified().iter().flatten() {
        if file.contains('/') {
            anyhow::bail!("linux.resources.unified: {file:?} is not the name of a file");
        }
        set_text(dir, file, value)?;
    }
    Ok(())
}

/// CPU shares of version 1 (2 to 262144) as a weight of version 2 (1 to 10000).
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

fn pids_max(limit: i64) -> String {
    if limit > 0 { limit.saturating_mul(2).saturating_add(OWN_TASKS).to_string() } else { "max".into() }
}

fn max_or(value: i64) -> String {
    if value < 0 { "max".into() } else { value.to_string() }
}

/// Zero means: not given.
fn given(value: Option<i64>) -> Option<i64> {
    value.filter(|value| *value != 0)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn set_pair(dir: &Path, pair: &[(&str, Option<i64>)]) -> anyhow::Result<()> {
    pair.iter().try_for_each(|(file, value)| match value {
        // Not every kernel counts swap.
        Some(value) if file.contains("memsw") => set_optional(dir, file, &value.to_string()),
        value => set(dir, file, *value),
    })
}

fn set(dir: &Path, file: &str, value: Option<i64>) -> anyhow::Result<()> {
    value.map_or(Ok(()), |value| set_text(dir, file, &value.to_string()))
}

fn set_list(dir: &Path, file: &str, value: &Option<String>) -> anyhow::Result<()> {
    match value.as_deref() {
        None | Some("") => Ok(()),
        Some(list) => set_text(dir, file, list),
    }
}

fn set_text(dir: &Path, file: &str, value: &str) -> anyhow::Result<()> {
    write(&dir.join(file), value)
}

/// Writes a file that not every kernel has.
fn set_optional(dir: &Path, file: &str, value: &str) -> anyhow::Result<()> {
    let path = dir.join(file);
    match fs::metadata(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        _ => write(&path, value),
    }
}

fn write(file: &Path, value: &str) -> anyhow::Result<()> {
    fs::write(file, value).with_context(|| format!("cannot write {value:?} to {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions() {
        assert_eq!((weight(2), weight(1024), weight(262_144)), (1, 39, 10_000));
        assert_eq!((pids_max(100), pids_max(0), pids_max(-1)), ("328".into(), "max".into(), "max".into()));
        assert_eq!((max_or(-1), max_or(5)), ("max".into(), "5".into()));
    }
}
