//! Starting a sandbox, and cleaning up after one.
//!
//! [`create`] makes, in this order: the container's directory, the control socket, the terminal, the gofer process,
//! cgroups, the sandbox process, the record; then it waits for the sandbox's one report. Gofer and sandbox set
//! themselves up at the same time. [`Undo`] takes everything back if a step fails, so a container that could not be
//! created leaves nothing behind. `settings` decides, `handover` writes it down, `launch` starts processes, `ready` waits, `end` cleans up.
//!
//! The sandbox process stays this process's child: whoever reaps it (this command, or a subreaper after it) gets
//! the container's exit status.

mod end;
mod handover;
mod launch;
mod ready;
mod settings;

pub use end::{destroy, exit_code, wait_for, wait_gone};

use crate::{
    bundle::Bundle,
    cgroup,
    cli::{Access, Global},
    console,
    convert::{self, MountPlan},
    hooks,
    inner::{self, GoferSetup},
    state::{self, Container, Phase, State},
};
use abi::process::Cap;
use anyhow::Context;
use boot::config::{
    BootConfig, FdNumber, FileAccess, Namespaces, Network, Overlay, PlatformConfig, ProcessConfig, StartMode,
};
use host::launch::Child;
use launch::Role;
use nix::{
    sched::CloneFlags,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs::{self, File},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt, net::UnixListener},
    },
    path::{Path, PathBuf},
};

/// What to start.
pub struct Request<'a> {
    /// Global options.
    pub global: &'a Global,
    /// Name of the subcommand, for file names of logs.
    pub command: &'static str,
    /// Container id.
    pub id: &'a str,
    /// What it is.
    pub bundle: Bundle,
    /// When its init starts.
    pub start: StartMode,
    /// Who gets the terminal; none: this command relays.
    pub console_socket: Option<&'a Path>,
    /// Where the sandbox's process id goes.
    pub pid_file: Option<&'a Path>,
    /// Further descriptors, from 3 on.
    pub extra_files: Vec<OwnedFd>,
    /// The sandbox must not outlive this command.
    pub die_with_parent: bool,
    /// Standard descriptors may be a terminal of the host, with no pair in between.
    pub direct_terminal: bool,
}

/// A sandbox that stands.
pub struct Sandbox {
    /// Its record, as saved.
    pub state: State,
    /// Its directory, locked.
    pub container: Container,
    /// The terminal's other end, where this command is to relay.
    pub master: Option<OwnedFd>,
}

/// Takes back what a failed creation has done.
#[derive(Default)]
struct Undo {
    container: Option<Container>,
    socket: Option<PathBuf>,
    children: Vec<Pid>,
    cgroup: Option<cgroup::Record>,
}

impl Drop for Undo {
    fn drop(&mut self) {
        for pid in &self.children {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        for pid in &self.children {
            let _ = wait_for(*pid);
        }
        if let Some(cgroup) = &self.cgroup {
            cgroup.remove();
        }
        if let Some(socket) = &self.socket {
            let _ = fs::remove_file(socket);
        }
        if let Some(Err(error)) = self.container.take().map(Container::remove) {
            log::warn!("{error:#}");
        }
    }
}

/// What is decided before anything is made.
struct Plan {
    process: ProcessConfig,
    files: MountPlan,
    platform: PlatformConfig,
    network: Network,
    namespaces: Namespaces,
    /// Host and domain name of a namespace that is not new.
    names: Option<(String, String)>,
    /// Network namespace to be in.
    joined: Option<File>,
    /// Upper layers, guest files.
    donated: Descriptors,
    log: Option<File>,
    cpuinfo: Option<File>,
}

impl Plan {
    fn new(request: &Request<'_>) -> anyhow::Result<Self> {
        let Request { global, bundle, .. } = request;
        let process = convert::process(bundle.process()?)?;
        let platform = settings::platform(global)?;
        let (network, joined) = settings::network(global, &bundle.spec)?;
        let namespaces = convert::namespaces(&bundle.spec, &settings::namespace_number);
        let names = settings::shared_names(&bundle.spec)?;
        let overlay = convert::parse_overlay(&global.overlay2)?;
        let mut donated = Descriptors::default();
        let access = |access| match access {
            Access::Exclusive => FileAccess::Exclusive,
            Access::Shared => FileAccess::Shared,
        };
        let sharing =
            convert::Sharing { root: access(global.file_access), mounts: access(global.file_access_mounts) };
        let files = convert::plan_mounts(
            &bundle.spec,
            &bundle.rootfs,
            &bundle.dir,
            sharing,
            &mut |tree, is_root| settings::upper_layer(&overlay, tree, is_root, &mut donated),
        )?;
        let log = settings::sandbox_log(global, request.id, request.command)?;
        let cpuinfo = File::open("/proc/cpuinfo").ok();
        Ok(Self { process, files, platform, network, namespaces, names, joined, donated, log, cpuinfo })
    }
}

/// Both ends of everything that connects the three processes.
struct Wires {
    control: OwnedFd,
    ready: OwnedFd,
    requests: OwnedFd,
    gofer_requests: OwnedFd,
    events: OwnedFd,
    gofer_events: OwnedFd,
}

/// Starts a sandbox and waits until it stands.
pub fn create(mut request: Request<'_>) -> anyhow::Result<Sandbox> {
    let extra_files = std::mem::take(&mut request.extra_files);
    let mut plan = Plan::new(&request)?;
    let Request { global, id, bundle, .. } = &request;
    let root = state::root_dir(global);

    let mut undo = Undo::default();
    undo.container = Some(Container::create(&root, id)?);
    let socket = root.join(format!("runsc-{id}.sock"));
    undo.socket = Some(socket.clone());
    let control = listen(&socket)?;
    let terminal = plan.process.terminal && !request.direct_terminal;
    let pty = if terminal { Some(console::Pty::open(plan.process.console_size)?) } else { None };
    let (reports, ready) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let (requests, gofer_requests) = host::socket::seqpacket_pair()?;
    let (events, gofer_events) = host::socket::seqpacket_pair()?;
    let wires = Wires { control, ready, requests, gofer_requests, events, gofer_events };

    // The gofer first: it has more to do.
    let gofer = start_gofer(&request, &plan, &wires)?;
    undo.children.push(gofer.pid);
    let cgroup = settings::own_cgroup(global, id, &bundle.spec)?;
    undo.cgroup.clone_from(&cgroup);
    if let Some(cgroup) = &cgroup {
        cgroup.join(gofer.pid)?;
    }
    gofer.open_gate()?;

    let guest_files = guest_files(pty.as_ref(), extra_files, &mut plan.donated)?;
    let boot = handover::boot_config(&request, &plan, &wires, guest_files, (cgroup.as_ref(), &gofer));
    let sandbox = start_sandbox(boot, &plan, &wires, pty.as_ref())?;
    undo.children.push(sandbox.pid);
    if let Some(cgroup) = &cgroup {
        cgroup.join(sandbox.pid)?;
    }
    if let Some(score) = plan.process.oom_score_adj.filter(|score| *score != 0) {
        // Stubs inherit it. Lowering takes privilege that a rootless caller does not have.
        if let Err(error) = fs::write(format!("/proc/{}/oom_score_adj", sandbox.pid), score.to_string()) {
            log::debug!("oom_score_adj {score}: {error}");
        }
    }
    let mut state = handover::record(&request, plan.process.clone(), (&sandbox, &gofer), socket, cgroup);
    let container = undo.container.as_ref().context("container directory")?;
    // Saved before the gate opens, because a program that starts at once may be running a moment later.
    container.save(&state)?;
    sandbox.open_gate()?;

    // Only the children hold the other ends now, so that their death shows.
    drop((wires, plan));
    ready::await_report(reports, &sandbox, &gofer)?;
    hooks::run(&state, hooks::Stage::Create)?;
    let master = match (pty, request.console_socket) {
        (Some(pty), Some(socket)) => {
            console::send_master(socket, pty.master.as_fd())?;
            None
        }
        (pty, _) => pty.map(|pty| pty.master),
    };
    if let Some(file) = request.pid_file {
        write_pid_file(file, sandbox.pid)?;
    }
    if request.start == StartMode::OnRequest {
        state.phase = Phase::Created;
        container.save(&state)?;
    }
    // From here on the container lives; commands end it.
    undo.children.clear();
    undo.socket = None;
    undo.cgroup = None;
    let container = undo.container.take().context("container directory")?;
    Ok(Sandbox { state, container, master })
}

fn start_gofer(request: &Request<'_>, plan: &Plan, wires: &Wires) -> anyhow::Result<Child> {
    let map = settings::gofer_ids(request.global, &plan.namespaces)?;
    // Mount points are made on the host where the container may write there; never in the host's own root.
    let writes_through = plan.files.root.overlay == Overlay::None && request.bundle.rootfs != Path::new("/");
    let config = inner::pack(&GoferSetup {
        socket: wires.gofer_requests.as_raw_fd(),
        events: wires.gofer_events.as_raw_fd(),
        error_fd: wires.ready.as_raw_fd(),
        attach: plan.files.attach.clone(),
        mount_points: if writes_through { plan.files.mount_points.clone() } else { Vec::new() },
        make_devices: plan.process.capabilities.bounding >> Cap::MKNOD.number() & 1 == 1,
    })?;
    let user = map.as_ref().map_or(CloneFlags::empty(), |_| CloneFlags::CLONE_NEWUSER);
    launch::start(&Role {
        name: inner::GOFER,
        config: config.as_fd(),
        shown: &[request.id],
        clone_flags: CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS | user,
        unshare_flags: CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS,
        map: map.as_ref(),
        stderr: plan.log.as_ref().map(AsFd::as_fd),
        keep: &[wires.gofer_requests.as_fd(), wires.gofer_events.as_fd(), wires.ready.as_fd()],
        terminal: None,
    })
}

fn start_sandbox(
    boot: BootConfig,
    plan: &Plan,
    wires: &Wires,
    pty: Option<&console::Pty>,
) -> anyhow::Result<Child> {
    let mut keep =
        vec![wires.control.as_fd(), wires.ready.as_fd(), wires.requests.as_fd(), wires.events.as_fd()];
    keep.extend(plan.donated.fds.iter().map(AsFd::as_fd));
    keep.extend(plan.cpuinfo.as_ref().map(AsFd::as_fd));
    keep.extend(plan.log.as_ref().map(AsFd::as_fd));
    launch::start_sandbox(boot, plan.joined.as_ref(), plan.log.as_ref().map(AsFd::as_fd), &keep, pty)
}

/// The descriptors of the container's init: number there, and descriptor in the sandbox.
fn guest_files(
    pty: Option<&console::Pty>,
    extra: Vec<OwnedFd>,
    donated: &mut Descriptors,
) -> anyhow::Result<Vec<(i32, FdNumber)>> {
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let stdio: [BorrowedFd<'_>; 3] = match pty {
        Some(pty) => [pty.slave.as_fd(); 3],
        None => [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()],
    };
    let mut files = Vec::new();
    for (number, fd) in (0..).zip(stdio) {
        files.push((number, donated.keep(fd.try_clone_to_owned().context("standard descriptors")?)));
    }
    files.extend((3..).zip(extra).map(|(number, fd)| (number, donated.keep(fd))));
    Ok(files)
}

/// Descriptors that the sandbox gets and this process keeps only until then.
#[derive(Default)]
struct Descriptors {
    fds: Vec<OwnedFd>,
}

impl Descriptors {
    fn keep(&mut self, fd: OwnedFd) -> FdNumber {
        let number = fd.as_raw_fd();
        self.fds.push(fd);
        number
    }
}

/// A listening socket at `path` for this user alone.
fn listen(path: &Path) -> anyhow::Result<OwnedFd> {
    let context = || format!("cannot make control socket {}", path.display());
    let _ = fs::remove_file(path);
    let mask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
    // An address has room for 107 bytes; a longer path is named by way of its directory.
    let listener = if path.as_os_str().as_bytes().len() < 108 {
        UnixListener::bind(path)
    } else {
        path.parent().zip(path.file_name()).ok_or_else(|| std::io::ErrorKind::InvalidInput.into()).and_then(
            |(dir, name)| {
                let dir = File::open(dir)?;
                UnixListener::bind(Path::new(&format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name))
            },
        )
    };
    nix::sys::stat::umask(mask);
    Ok(listener.with_context(context)?.into())
}

/// Writes a process id where a container manager looks for it: the file is never seen half written.
pub fn write_pid_file(file: &Path, pid: Pid) -> anyhow::Result<()> {
    let mut temporary = file.as_os_str().to_owned();
    temporary.push(".new");
    fs::write(&temporary, pid.to_string())
        .and_then(|()| fs::rename(&temporary, file))
        .with_context(|| format!("cannot write pid file {}", file.display()))
}
