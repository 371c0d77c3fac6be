//! From OCI's configuration to what a sandbox boots from.
//!
//! Pure functions: no host state is read but the kinds of bind mount sources. What the configuration asks for and a
//! sandbox cannot give is an error here, in one line, before any process exists.

mod capability;
mod mounts;
mod process;
mod seccomp;

pub use capability::{names as capability_names, parse as parse_capability};
pub use mounts::{
    Attach, MountPlan, OverlayMedium, OverlaySetting, Sharing, parse_overlay, plan as plan_mounts,
};
pub use process::process;
pub use seccomp::seccomp;

use boot::config::{Limits, Namespaces};
use oci_spec::runtime::{LinuxIdMapping, LinuxNamespaceType, LinuxResources, Spec};

/// Limits that applications are to see.
pub fn limits(resources: Option<&LinuxResources>) -> Limits {
    let positive = |value: Option<i64>| value.and_then(|v| u64::try_from(v).ok()).filter(|v| *v > 0);
    let Some(resources) = resources else { return Limits::default() };
    let mut limits = Limits::default();
    if let Some(memory) = resources.memory() {
        limits.memory = positive(memory.limit());
        limits.memory_swap = positive(memory.swap());
    }
    if let Some(cpu) = resources.cpu() {
        limits.cpu_shares = cpu.shares().filter(|shares| *shares > 0);
        limits.cpuset = cpu.cpus().clone().filter(|list| !list.is_empty());
        limits.cpu_quota = positive(cpu.quota()).map(|quota| (quota, cpu.period().unwrap_or(100_000)));
    }
    limits.pids = resources.pids().as_ref().and_then(|pids| positive(Some(pids.limit())));
    limits
}

/// Namespaces and id maps.
pub fn namespaces(spec: &Spec) -> Namespaces {
    let Some(linux) = spec.linux() else { return Namespaces::default() };
    let map = |list: &Option<Vec<LinuxIdMapping>>| {
        list.iter().flatten().map(|m| (m.container_id(), m.host_id(), m.size())).collect::<Vec<_>>()
    };
    let list = linux.namespaces().iter().flatten();
    let types: Vec<String> = list.map(|namespace| namespace.typ().to_string()).collect();
    let user =
        linux.namespaces().iter().flatten().any(|namespace| namespace.typ() == LinuxNamespaceType::User);
    let (uid_map, gid_map) =
        if user { (map(linux.uid_mappings()), map(linux.gid_mappings())) } else { Default::default() };
    Namespaces { types, uid_map, gid_map }
}
