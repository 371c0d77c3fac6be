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

use boot::config::{DeviceConfig, Limits, Namespaces};
use oci_spec::runtime::{Linux, LinuxDeviceType, LinuxIdMapping, LinuxNamespaceType, LinuxResources, Spec};
use std::{collections::BTreeMap, path::Path};

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

/// Device nodes that the configuration asks for.
pub fn devices(linux: &Linux) -> Vec<DeviceConfig> {
    let convert = |device: &oci_spec::runtime::LinuxDevice| {
        let kind = match device.typ() {
            LinuxDeviceType::B => libc::S_IFBLK,
            LinuxDeviceType::P => libc::S_IFIFO,
            _ => libc::S_IFCHR,
        };
        Some(DeviceConfig {
            path: device.path().to_str()?.to_owned(),
            mode: kind | device.file_mode().unwrap_or(0o666) & 0o7777,
            major: u32::try_from(device.major()).ok()?,
            minor: u32::try_from(device.minor()).ok()?,
            uid: device.uid().unwrap_or(0),
            gid: device.gid().unwrap_or(0),
        })
    };
    linux.devices().iter().flatten().filter_map(convert).collect()
}

/// Namespaces and id maps; `number` says the number of the namespace at a path.
pub fn namespaces(spec: &Spec, number: &dyn Fn(&Path) -> Option<u64>) -> Namespaces {
    let Some(linux) = spec.linux() else { return Namespaces::default() };
    let map = |list: &Option<Vec<LinuxIdMapping>>| {
        list.iter().flatten().map(|m| (m.container_id(), m.host_id(), m.size())).collect::<Vec<_>>()
    };
    let mut shared = BTreeMap::new();
    for (kind, typ, file) in NAMESPACES {
        let listed = linux.namespaces().iter().flatten().find(|namespace| namespace.typ() == typ);
        let id = match listed.map(|namespace| namespace.path()) {
            Some(None) => None,
            Some(Some(path)) => number(path),
            None => number(&Path::new("/proc/self/ns").join(file)),
        };
        shared.extend(id.map(|id| (kind.to_owned(), id)));
    }
    let user =
        linux.namespaces().iter().flatten().any(|namespace| namespace.typ() == LinuxNamespaceType::User);
    let (uid_map, gid_map) =
        if user { (map(linux.uid_mappings()), map(linux.gid_mappings())) } else { Default::default() };
    Namespaces { shared, uid_map, gid_map }
}

/// Types of namespaces of which the sandbox shows whether they are new: name, type, and name in `/proc/PID/ns`. Mounts are
/// always its own.
const NAMESPACES: [(&str, LinuxNamespaceType, &str); 7] = [
    ("cgroup", LinuxNamespaceType::Cgroup, "cgroup"),
    ("ipc", LinuxNamespaceType::Ipc, "ipc"),
    ("network", LinuxNamespaceType::Network, "net"),
    ("pid", LinuxNamespaceType::Pid, "pid"),
    ("time", LinuxNamespaceType::Time, "time"),
    ("user", LinuxNamespaceType::User, "user"),
    ("uts", LinuxNamespaceType::Uts, "uts"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_that_are_not_new() {
        let text = r#"{"ociVersion":"1.0.2","linux":{"namespaces":[{"type":"pid"},{"type":"uts","path":"/x/uts"},
            {"type":"user"}],"uidMappings":[{"containerID":0,"hostID":7,"size":2}]}}"#;
        let spec: Spec = serde_json::from_str(text).unwrap();
        let number = |path: &Path| Some(if path.starts_with("/x") { 1 } else { 2 });
        let namespaces = namespaces(&spec, &number);
        let shared: Vec<_> = namespaces.shared.iter().map(|(kind, id)| (kind.as_str(), *id)).collect();
        assert_eq!(shared, [("cgroup", 2), ("ipc", 2), ("network", 2), ("time", 2), ("uts", 1)]);
        assert_eq!(namespaces.uid_map, [(0, 7, 2)]);
    }
}
