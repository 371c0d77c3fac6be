//! What is written down: the configuration that the sandbox boots from, and the record that later commands read.

use super::{Plan, Request, Wires};
use crate::{
    bundle::Bundle,
    cgroup,
    cli::LogFormat,
    convert,
    state::{Phase, ProcessRef, State},
};
use boot::config::{BootConfig, FdNumber, LogConfig, ProcessConfig, StartMode, StraceConfig};
use host::launch::Child;
use nix::unistd::geteuid;
use std::{collections::BTreeMap, os::fd::AsRawFd, path::PathBuf};

/// What the sandbox boots from.
pub(super) fn boot_config(
    request: &Request<'_>,
    plan: &Plan,
    wires: &Wires,
    files: Vec<(i32, FdNumber)>,
    (cgroup, gofer): (Option<&cgroup::Record>, &Child),
) -> BootConfig {
    let Request { global, bundle, .. } = request;
    let spec = &bundle.spec;
    let linux = spec.linux().as_ref();
    let named = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
    BootConfig {
        id: request.id.to_owned(),
        control_fd: wires.control.as_raw_fd(),
        control_user: if geteuid().is_root() { 65534 } else { 0 },
        ready_fd: wires.ready.as_raw_fd(),
        log: plan.log.as_ref().map(|log| LogConfig {
            fd: log.as_raw_fd(),
            debug: global.debug,
            json: global.log_format == LogFormat::Json,
        }),
        gofer_fd: wires.requests.as_raw_fd(),
        gofer_events_fd: wires.events.as_raw_fd(),
        root: plan.files.root.clone(),
        mounts: plan.files.mounts.clone(),
        process: plan.process.clone(),
        files,
        start: request.start,
        die_with_parent: request.die_with_parent,
        hostname: named(spec.hostname()).or_else(|| plan.names.as_ref().map(|names| names.0.clone())),
        domainname: named(spec.domainname()).or_else(|| plan.names.as_ref().map(|names| names.1.clone())),
        sysctl: linux
            .and_then(|linux| linux.sysctl().as_ref())
            .map(|map| map.iter().map(|(k, v)| (k.clone(), v.clone())).collect())
            .unwrap_or_default(),
        masked_paths: linux.and_then(|linux| linux.masked_paths().clone()).unwrap_or_default(),
        readonly_paths: linux.and_then(|linux| linux.readonly_paths().clone()).unwrap_or_default(),
        devices: linux.map(convert::devices).unwrap_or_default(),
        namespaces: plan.namespaces.clone(),
        network: plan.network,
        platform: plan.platform.clone(),
        strace: (global.strace || !global.strace_syscalls.is_empty()).then(|| StraceConfig {
            calls: global.strace_syscalls.clone(),
            buffer_size: global.strace_log_size,
        }),
        allow_suid: global.allow_suid,
        seccomp: linux.and_then(|linux| linux.seccomp().as_ref()).and_then(convert::seccomp),
        cgroups: cgroup::places(cgroup, gofer.pid),
        limits: convert::limits(linux.and_then(|linux| linux.resources().as_ref())),
        cpuinfo_fd: plan.cpuinfo.as_ref().map(|file| file.as_raw_fd()),
        annotations: annotations(bundle),
    }
}

fn annotations(bundle: &Bundle) -> BTreeMap<String, String> {
    bundle.spec.annotations().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// The record of a container that is being created.
pub(super) fn record(
    request: &Request<'_>,
    process: ProcessConfig,
    (sandbox, gofer): (&Child, &Child),
    control: PathBuf,
    cgroup: Option<cgroup::Record>,
) -> State {
    let bundle = &request.bundle;
    State {
        oci_version: bundle.spec.version().clone(),
        id: request.id.to_owned(),
        phase: match request.start {
            StartMode::Now => Phase::Running,
            StartMode::OnRequest => Phase::Creating,
        },
        paused: false,
        sandbox: ProcessRef::of(sandbox.pid),
        gofer: ProcessRef::of(gofer.pid),
        bundle: bundle.dir.clone(),
        rootfs: bundle.rootfs.clone(),
        created: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Nanos, true),
        owner: geteuid().as_raw(),
        control,
        cgroup,
        process,
        hooks: bundle.spec.hooks().clone(),
        annotations: annotations(bundle),
    }
}
