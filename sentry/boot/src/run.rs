//! The life of a sandbox process.

use crate::{
    BootError, ReadyReport, StartError, StartErrorKind,
    config::{BootConfig, FdNumber, MountKind, Network, Overlay, ProcessConfig},
    control::Sandbox,
    filter, logging, machine,
    mounts::Builder,
    process::Container,
    report, window,
};
use control_server::Pending;
use fs::{cgroup::Membership, gofer::Connection, host::HostFiles};
use gofer_client::{Client, EventStream};
use kernel::{
    Kernel,
    kernel::NamespaceIds,
    namespaces::{Namespaces, OpaqueNamespace, UtsNames, UtsNamespace},
    tree::ExitStatus,
};
use mem::Store;
use std::{
    cell::RefCell,
    collections::BTreeMap,
    io,
    os::fd::OwnedFd,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use vfs::{
    Credentials,
    cred::{IdExtent, next_namespace_id},
};

/// How long a client may take to read its last answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// The descriptors that a configuration names, taken before anything else is opened.
struct Descriptors {
    control: OwnedFd,
    gofer: OwnedFd,
    gofer_events: OwnedFd,
    files: Vec<(i32, OwnedFd)>,
    log: Option<OwnedFd>,
    cpuinfo: Option<OwnedFd>,
    /// Of upper layers, by their numbers in the configuration.
    stores: BTreeMap<FdNumber, OwnedFd>,
}

impl Descriptors {
    fn take(config: &BootConfig) -> io::Result<Self> {
        let take = host::inherit::take;
        let files = config.files.iter().map(|(number, fd)| Ok((*number, take(*fd)?)));
        let of_mounts = config.mounts.iter().map(|mount| match mount.kind {
            MountKind::Gofer { overlay, .. } => overlay,
            _ => Overlay::None,
        });
        let stores = of_mounts.chain([config.root.overlay]).filter_map(|overlay| match overlay {
            Overlay::File { fd, .. } => Some(take(fd).map(|file| (fd, file))),
            _ => None,
        });
        Ok(Self {
            control: take(config.control_fd)?,
            gofer: take(config.gofer_fd)?,
            gofer_events: take(config.gofer_events_fd)?,
            files: files.collect::<io::Result<_>>()?,
            log: config.log.as_ref().map(|l| take(l.fd)).transpose()?,
            cpuinfo: config.cpuinfo_fd.map(take).transpose()?,
            stores: stores.collect::<io::Result<_>>()?,
        })
    }
}

fn internal(what: &str, error: impl std::fmt::Display) -> StartError {
    StartError::new(StartErrorKind::Internal, format!("{what}: {error}"))
}

/// Runs a sandbox until its init has ended; see [`crate::run`].
pub fn run(config: BootConfig) -> Result<i32, BootError> {
    let ready = config.ready_fd;
    match set_up(&config) {
        Ok((sandbox, pending)) => {
            report::send(ready, &ReadyReport::Ok {});
            if let Err(e) = sandbox.begin(config.start) {
                log::error!("start: {}", e.text);
            }
            host::map::forget_code();
            let status = sandbox.wait_for_end();
            // Whoever waits is answered before the process ends.
            sandbox.end_all();
            pending.wait(ANSWER_LIMIT);
            Ok(exit_code(status))
        }
        Err(error) => {
            report::send(ready, &ReadyReport::Error(error.clone()));
            Err(error.into())
        }
    }
}

/// Everything up to the point where the first process may run.
fn set_up(config: &BootConfig) -> Result<(Arc<Sandbox>, Arc<Pending>), StartError> {
    let fds = Descriptors::take(config).map_err(|e| internal("descriptors from the runtime", e))?;
    if let (Some(log), Some(fd)) = (&config.log, fds.log) {
        logging::install(log, fd, config.strace.is_some());
    }
    if config.process.terminal {
        window::block().map_err(|e| internal("cannot block SIGWINCH", e))?;
    }
    let strace =
        config.strace.as_ref().map(|s| syscalls::Strace { calls: s.calls.clone(), shown: s.buffer_size });
    let table = syscalls::Table::new(strace.as_ref());
    let shared = |kind: &str| config.namespaces.shared.get(kind).copied();
    let ids = NamespaceIds { user: shared("user"), pid: shared("pid") };
    let kernel = machine::build(&config.platform, &config.limits, ids, config.allow_suid, table)?;
    fs::register(&kernel).map_err(|e| internal("file systems and devices", e))?;
    fs::cgroup::set_limits(shown_limits(&config.limits));
    if let Some(fd) = fds.cpuinfo {
        let mut text = Vec::new();
        let _ = io::Read::read_to_end(&mut std::fs::File::from(fd), &mut text); // shown as far as it goes
        fs::proc::set_cpuinfo(text);
    }
    kernel.max_tasks.store(config.limits.pids.unwrap_or(u64::MAX), Ordering::Relaxed);
    let events = EventStream::new(fds.gofer_events);
    let gofer = Connection::new(Client::new(fds.gofer), Some(events)).map_err(|e| internal("gofer", e))?;
    let container = container(config, &kernel, &gofer, fds.stores)?;
    let mut process = config.process.clone();
    complete_environment(&mut process, &container);
    machine::start_workers(&kernel)?;
    let init = container.prepare(&process, fds.files, None)?;
    let sandbox = Sandbox::new(config.id.clone(), container, init);
    let told = sandbox.clone();
    let _ = kernel.on_root_end.set(Box::new(move |group, status| told.ended(group, status)));
    let told = sandbox.clone();
    let _ = gofer.on_end.set(Box::new(move || told.gofer_lost()));
    if config.process.terminal {
        sandbox.watch_window().map_err(|e| internal("cannot watch the terminal's size", e))?;
    }
    let server = control_server::Server::new(fds.control, sandbox.clone()).allow_user(config.control_user);
    let pending = server.pending();
    server.spawn().map_err(|e| internal("cannot start the control server", e))?;
    filter::install(ptrace::HOST_CALLS, config.network)?;
    Ok((sandbox, pending))
}

/// What the files of cgroups show.
fn shown_limits(limits: &crate::config::Limits) -> fs::cgroup::Limits {
    fs::cgroup::Limits {
        memory: limits.memory,
        memory_swap: limits.memory_swap,
        pids: limits.pids,
        cpu_quota: limits.cpu_quota,
        cpu_shares: limits.cpu_shares,
        cpuset: limits.cpuset.clone(),
    }
}

fn container(
    config: &BootConfig,
    kernel: &Arc<Kernel>,
    gofer: &Arc<Connection>,
    stores: BTreeMap<FdNumber, OwnedFd>,
) -> Result<Container, StartError> {
    let user_ns = kernel.root_user_ns.clone();
    if !config.namespaces.uid_map.is_empty() {
        let extents = |map: &[(u32, u32, u32)]| {
            // Ids of files arrive translated, so what is inside is also what the kernel calls them.
            map.iter()
                .map(|(inside, _, count)| IdExtent { inside: *inside, kernel: *inside, count: *count })
                .collect()
        };
        user_ns.with_maps(|maps| {
            maps.uid = extents(&config.namespaces.uid_map);
            maps.gid = extents(&config.namespaces.gid_map);
            let hosts = |map: &[(u32, u32, u32)]| map.iter().map(|(_, outside, _)| *outside).collect();
            maps.outside = (hosts(&config.namespaces.uid_map), hosts(&config.namespaces.gid_map));
        });
    }
    let cred = Credentials::root(user_ns.clone());
    let store = |(number, fd)| match Store::new(fd) {
        Ok(store) => Ok((number, store)),
        Err(e) => Err(internal("the overlay's file cannot be used", e.message())),
    };
    let stores = stores.into_iter().map(store).collect::<Result<_, _>>()?;
    let cgroups = config.cgroups.iter().map(|place| Membership {
        hierarchy: place.hierarchy,
        controllers: place.controllers.clone(),
        path: place.path.clone(),
    });
    let cgroups: Vec<_> = cgroups.collect();
    let shared = |kind: &str| config.namespaces.shared.get(kind).copied();
    fs::cgroup::set_membership(cgroups.clone(), shared("cgroup"));
    let shown = |mut place: Membership| {
        if shared("cgroup").is_none() {
            "/".clone_into(&mut place.path);
        }
        place
    };
    let cgroups: Vec<_> = cgroups.into_iter().map(shown).collect();
    let ipc = kernel.create_ipc_namespace(user_ns.clone());
    let queues = ipc.get().ok_or_else(|| internal("namespaces", "no IPC"))?;
    let builder = Builder {
        vfs: &kernel.vfs,
        gofer,
        cred,
        memory: &kernel.memory,
        kernel,
        ipc: &queues,
        cgroups: &cgroups,
        stores: RefCell::new(stores),
    };
    let _ = kernel.new_net_namespace.set(Box::new(net::namespace::unshared));
    let net = match config.network {
        Network::Host => net::NetNamespace::of_host(user_ns.clone(), kernel.executor.reactor().clone()),
        Network::None | Network::Sandbox => net::NetNamespace::container(user_ns.clone()),
    };
    set_up_network(&net, config);
    let net = net::namespace::opaque(net);
    let (mount, root) = builder.build(config, user_ns.clone())?;
    let names = UtsNames {
        host: config.hostname.clone().unwrap_or_else(|| "runsc-rs".into()).into_bytes(),
        domain: config.domainname.clone().unwrap_or_else(|| "(none)".into()).into_bytes(),
    };
    let id = |kind: &str| shared(kind).unwrap_or_else(next_namespace_id);
    let numbered = |ns: Arc<OpaqueNamespace>, kind: &str| match shared(kind) {
        None => ns,
        Some(id) => {
            Arc::new(OpaqueNamespace { id, user_ns: ns.user_ns.clone(), contents: ns.contents.clone() })
        }
    };
    let ns = Arc::new(Namespaces {
        uts: UtsNamespace::numbered(id("uts"), user_ns.clone(), names),
        ipc: numbered(ipc, "ipc"),
        net: numbered(net, "network"),
        mount,
        pid_for_children: kernel.root_pid_ns.clone(),
        time_id: id("time"),
        cgroup_id: id("cgroup"),
    });
    let _ = kernel.root_namespaces.set(ns.clone());
    let host_files = HostFiles::new(&kernel.vfs, kernel.executor.reactor())
        .map_err(|e| internal("cannot prepare for files of the host", e))?;
    let seccomp = config.seccomp.as_ref().map(crate::seccomp::filter);
    Ok(Container {
        pid_ns: kernel.root_pid_ns.clone(),
        kernel: kernel.clone(),
        ns,
        user_ns,
        root,
        host_files,
        seccomp,
    })
}

/// Settings of the network, which `/proc/sys` knows only for tasks.
fn set_up_network(net: &net::NetNamespace, config: &BootConfig) {
    for (name, value) in &config.sysctl {
        let Some(name) = crate::nodes::network_setting(name) else { continue };
        if let Err(e) = net.set_setting(name, value.as_bytes(), &net.user_ns) {
            log::warn!("sysctl net.ipv4.{name}={value}: {}", e.message());
        }
    }
}

/// `HOME` from the container's own user database, where the configuration gives none (as other runtimes do).
pub(crate) fn complete_environment(process: &mut ProcessConfig, container: &Container) {
    if process.env.iter().any(|e| e.starts_with("HOME=")) {
        return;
    }
    let ctx =
        container.kernel.vfs.context(container.root.clone(), Credentials::root(container.user_ns.clone()));
    let home = read_file(&ctx, b"/etc/passwd").ok().and_then(|text| home_of(&text, process.uid));
    process.env.push(format!("HOME={}", home.unwrap_or_else(|| "/".into())));
}

/// The start of a file of the container.
fn read_file(ctx: &vfs::WalkContext, name: &[u8]) -> Result<Vec<u8>, abi::Errno> {
    let how = vfs::ops::OpenHow::open(abi::OpenFlags::RDONLY.bits(), 0);
    let file = vfs::ops::open(ctx, name, &how)?;
    let mut bytes = vec![0; 256 << 10];
    let n = file.ops().read_at(&file, 0, &mut mem::IoDst::bytes(&mut bytes))?;
    bytes.truncate(n);
    Ok(bytes)
}

fn home_of(passwd: &[u8], uid: u32) -> Option<String> {
    let text = String::from_utf8_lossy(passwd);
    let of_user = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let same = fields.get(2)?.parse() == Ok(uid);
        fields.get(5).filter(|home| same && !home.is_empty()).map(|home| (*home).to_owned())
    };
    text.lines().find_map(of_user)
}

/// The exit code of the sandbox process.
fn exit_code(status: ExitStatus) -> i32 {
    match status {
        ExitStatus::Code(code) => i32::from(code),
        ExitStatus::Signal { signo, .. } => 128 + signo,
    }
}

#[cfg(test)]
mod tests {
    use super::home_of;

    #[test]
    fn home_comes_from_the_line_of_the_user() {
        let passwd = b"root:x:0:0:root:/root:/bin/bash\nbroken\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(home_of(passwd, 1000).as_deref(), Some("/home/ann"));
        assert_eq!(home_of(passwd, 0).as_deref(), Some("/root"));
        assert_eq!(home_of(passwd, 7), None);
    }
}
