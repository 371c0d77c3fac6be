//! Resource figures, in the shape in which `runc events --stats` prints them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Result of `containerManager.Event`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventOut {
    /// The figures.
    pub event: Event,
    /// CPU time of each container of the sandbox, in nanoseconds.
    #[serde(rename = "containerUsage", deserialize_with = "crate::null_default")]
    pub container_usage: BTreeMap<String, u64>,
}

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// `stats` or `oom`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Container.
    pub id: String,
    /// The figures, for `stats`.
    pub data: Stats,
}

/// What the sandbox itself knows about its use of resources.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Processors.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
    /// Processes.
    pub pids: Pids,
}

/// Processor time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cpu {
    /// Time used.
    pub usage: CpuUsage,
}

/// Processor time in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuUsage {
    /// All of it.
    pub total: u64,
    /// In the kernel.
    pub kernel: u64,
    /// In applications.
    pub user: u64,
    /// By processor.
    #[serde(deserialize_with = "crate::null_default")]
    pub percpu: Vec<u64>,
}

/// Memory figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Bytes in page caches.
    pub cache: u64,
    /// All of it.
    pub usage: MemoryEntry,
    /// Counters by name.
    #[serde(deserialize_with = "crate::null_default")]
    pub raw: BTreeMap<String, u64>,
}

/// Bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryEntry {
    /// The most allowed.
    pub limit: u64,
    /// Now.
    pub usage: u64,
    /// The most so far.
    pub max: u64,
    /// How often the limit was hit.
    pub failcnt: u64,
}

/// Process counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pids {
    /// Now.
    pub current: u64,
    /// The most allowed; 0 is no limit.
    pub limit: u64,
}
