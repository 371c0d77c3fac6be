//! Figures of a container's cgroups, in the shape in which `runc events --stats` prints them.

use super::Record;
use serde::Serialize;
use std::{collections::BTreeMap, fs, path::Path};

/// All figures.
#[derive(Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct Stats {
    pub cpu: Cpu,
    pub memory: Memory,
    pub pids: Pids,
    pub blkio: Blkio,
    pub hugetlb: BTreeMap<String, u64>,
    pub intel_rdt: BTreeMap<String, u64>,
    pub network_interfaces: Option<Vec<String>>,
}

#[derive(Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct Cpu {
    pub usage: CpuUsage,
    pub throttling: Throttling,
}

/// Nanoseconds.
#[derive(Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct CpuUsage {
    pub total: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu: Vec<u64>,
    pub kernel: u64,
    pub user: u64,
}

#[derive(Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct Throttling {
    #[serde(skip_serializing_if = "is_zero")]
    pub periods: u64,
    #[serde(rename = "throttledPeriods", skip_serializing_if = "is_zero")]
    pub throttled_periods: u64,
    #[serde(rename = "throttledTime", skip_serializing_if = "is_zero")]
    pub throttled_time: u64,
}

/// Bytes.
#[derive(Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct Memory {
    #[serde(skip_serializing_if = "is_zero")]
    pub cache: u64,
    pub usage: Entry,
    pub swap: Entry,
    pub kernel: Entry,
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: Entry,
    pub raw: BTreeMap<String, u64>,
}

#[derive(Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct Entry {
    pub limit: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub max: u64,
    pub failcnt: u64,
}

#[derive(Debug, Default, Serialize)]
#[allow(missing_docs)]
pub struct Pids {
    #[serde(skip_serializing_if = "is_zero")]
    pub current: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub limit: u64,
}

/// I/O goes through the gofer's descriptors; figures by device are not kept apart.
#[derive(Debug, Default, Serialize)]
pub struct Blkio {}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// Reads the figures; what is missing is 0.
pub fn read(record: &Record) -> Stats {
    if record.unified() { version_2(record) } else { version_1(record) }
}

fn version_1(record: &Record) -> Stats {
    let mut stats = Stats::default();
    if let Some(dir) = record.controller("cpuacct") {
        stats.cpu.usage.total = number(dir, "cpuacct.usage");
        let percpu = fs::read_to_string(dir.join("cpuacct.usage_percpu")).unwrap_or_default();
        stats.cpu.usage.percpu = percpu.split_whitespace().filter_map(|text| text.parse().ok()).collect();
        let split = pairs(dir, "cpuacct.stat");
        // In ticks of a hundredth of a second.
        let ticks = |name: &str| split.get(name).copied().unwrap_or(0).saturating_mul(10_000_000);
        stats.cpu.usage.user = ticks("user");
        stats.cpu.usage.kernel = ticks("system");
    }
    if let Some(dir) = record.controller("cpu") {
        let split = pairs(dir, "cpu.stat");
        stats.cpu.throttling = throttling(&split, "throttled_time", 1);
    }
    if let Some(dir) = record.controller("memory") {
        let entry = |prefix: &str| Entry {
            limit: number(dir, &format!("{prefix}.limit_in_bytes")),
            usage: number(dir, &format!("{prefix}.usage_in_bytes")),
            max: number(dir, &format!("{prefix}.max_usage_in_bytes")),
            failcnt: number(dir, &format!("{prefix}.failcnt")),
        };
        let raw = pairs(dir, "memory.stat");
        stats.memory = Memory {
            cache: raw.get("cache").copied().unwrap_or(0),
            usage: entry("memory"),
            swap: entry("memory.memsw"),
            kernel: entry("memory.kmem"),
            kernel_tcp: entry("memory.kmem.tcp"),
            raw,
        };
    }
    if let Some(dir) = record.controller("pids") {
        stats.pids = Pids { current: number(dir, "pids.current"), limit: number(dir, "pids.max") };
    }
    stats
}

fn version_2(record: &Record) -> Stats {
    let mut stats = Stats::default();
    let Some(dir) = record.dirs.first().map(|dir| dir.path.as_path()) else { return stats };
    let cpu = pairs(dir, "cpu.stat");
    let microseconds = |name: &str| cpu.get(name).copied().unwrap_or(0).saturating_mul(1000);
    stats.cpu.usage = CpuUsage {
        total: microseconds("usage_usec"),
        percpu: Vec::new(),
        kernel: microseconds("system_usec"),
        user: microseconds("user_usec"),
    };
    stats.cpu.throttling = throttling(&cpu, "throttled_usec", 1000);
    let raw = pairs(dir, "memory.stat");
    let events = pairs(dir, "memory.events");
    stats.memory = Memory {
        cache: raw.get("file").copied().unwrap_or(0),
        usage: Entry {
            limit: limit(dir, "memory.max"),
            usage: number(dir, "memory.current"),
            max: number(dir, "memory.peak"),
            failcnt: events.get("max").copied().unwrap_or(0),
        },
        swap: Entry {
            limit: limit(dir, "memory.swap.max"),
            usage: number(dir, "memory.swap.current"),
            ..Entry::default()
        },
        raw,
        ..Memory::default()
    };
    stats.pids = Pids { current: number(dir, "pids.current"), limit: number(dir, "pids.max") };
    stats
}

fn throttling(split: &BTreeMap<String, u64>, time: &str, scale: u64) -> Throttling {
    let value = |name: &str| split.get(name).copied().unwrap_or(0);
    Throttling {
        periods: value("nr_periods"),
        throttled_periods: value("nr_throttled"),
        throttled_time: value(time).saturating_mul(scale),
    }
}

/// One number; 0 where it is none (`max`).
fn number(dir: &Path, file: &str) -> u64 {
    fs::read_to_string(dir.join(file)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// One number, of which `max` is the greatest.
fn limit(dir: &Path, file: &str) -> u64 {
    let text = fs::read_to_string(dir.join(file)).unwrap_or_default();
    if text.trim() == "max" { u64::MAX } else { text.trim().parse().unwrap_or(0) }
}

/// Lines of a name and a number.
fn pairs(dir: &Path, file: &str) -> BTreeMap<String, u64> {
    let text = fs::read_to_string(dir.join(file)).unwrap_or_default();
    let parse = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(parse).collect()
}
