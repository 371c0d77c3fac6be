//! Starting a sandbox, and cleaning up after one.
//!
//! [`create`] makes, in this order: the container's directory, the control socket, the terminal, the gofer process,
//! the sandbox process, cgroups, the record; then it waits for the sandbox's one report. Gofer and sandbox set
//! themselves up at the same time. [`Undo`] takes everything back if a step fails, so a container that could not be
//! created leaves nothing behind.
//!
//! The sandbox process stays this process's child: whoever reaps it (this command, or a subreaper after it) gets
//! the container's exit status.

use crate::{
    bundle::Bundle,
    cgroup,
    cli::{Access, Global, NetworkMode, Rootless},
    console, convert,
    failure::Failure,
    hooks,
    idmap::IdMap,
    inner::{self, GoferSetup, SentrySetup},
    state::{self, Container, Phase, ProcessRef, State},
};
use anyhow::{Context, anyhow, bail};
use boot::config::{
    BootConfig, FdNumber, FileAccess, LogConfig, Network, Overlay, PlatformConfig, ReadyReport, StartMode,
    StraceConfig,
};
use host::launch::{Child, Launch, LaunchError};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, setns},
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, geteuid},
};
use oci_spec::runtime::LinuxNamespaceType;
use std::{
    ffi::CString,
    fs::{self, File, OpenOptions},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::OpenOptionsExt, net::UnixListener},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
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

/// Starts a sandbox and waits until it stands.
pub fn create(mut request: Request<'_>) -> anyhow::Result<Sandbox> {
    let extra_files = std::mem::take(&mut request.extra_files);
    let Request { global, id, bundle, .. } = &request;
    let root = state::root_dir(global);
    let process = convert::process(bundle.process()?)?;
    let terminal = process.terminal && !request.direct_terminal;

    let platform = platform(global)?;
    let (network, joined) = network(global, &bundle.spec)?;
    let overlay = convert::parse_overlay(&global.overlay2)?;
    let mut files = Descriptors::default();
    let access = |access| match access {
        Access::Exclusive => FileAccess::Exclusive,
        Access::Shared => FileAccess::Shared,
    };
    let sharing =
        convert::Sharing { root: access(global.file_access), mounts: access(global.file_access_mounts) };
    let plan =
        convert::plan_mounts(&bundle.spec, &bundle.rootfs, &bundle.dir, sharing, &mut |tree, is_root| {
            upper_layer(&overlay, tree, is_root, &mut files)
        })?;

    let mut undo = Undo::default();
    undo.container = Some(Container::create(&root, id)?);
    let socket = root.join(format!("runsc-{id}.sock"));
    let control = listen(&socket)?;
    undo.socket = Some(socket.clone());

    let pty = if terminal { Some(console::Pty::open(process.console_size)?) } else { None };
    let (ready, ready_end) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let (requests, gofer_requests) = host::socket::seqpacket_pair()?;
    let (events, gofer_events) = host::socket::seqpacket_pair()?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null").context("/dev/null")?;
    let log = sandbox_log(global, id, request.command)?;
    let stderr = log.as_ref().map_or(null.as_fd(), AsFd::as_fd);

    // The gofer first: it has more to do.
    let namespaces = convert::namespaces(&bundle.spec);
    let gofer_map = gofer_ids(global, &namespaces);
    let writes_through = plan.root.overlay == Overlay::None && request.bundle.dir != Path::new("/");
    let gofer_config = inner::pack(&GoferSetup {
        socket: gofer_requests.as_raw_fd(),
        events: gofer_events.as_raw_fd(),
        error_fd: ready_end.as_raw_fd(),
        attach: plan.attach.clone(),
        mount_points: if writes_through { plan.mount_points.clone() } else { Vec::new() },
    })?;
    let gofer = start(&Role {
        name: inner::GOFER,
        config: gofer_config.as_fd(),
        shown: &[*id],
        clone_flags: CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNS
            | gofer_map.as_ref().map_or(CloneFlags::empty(), |_| CloneFlags::CLONE_NEWUSER),
        unshare_flags: CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS,
        map: gofer_map.as_ref(),
        stderr,
        keep: &[gofer_requests.as_fd(), gofer_events.as_fd(), ready_end.as_fd()],
        terminal: None,
    })?;
    undo.children.push(gofer.pid);
    let cgroup = own_cgroup(global, id, &bundle.spec)?;
    undo.cgroup = cgroup.clone();
    if let Some(cgroup) = &cgroup {
        cgroup.join(gofer.pid)?;
    }
    gofer.open_gate()?;

    // The sandbox.
    let (stdin, stdout, stderr_of_caller) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let stdio: [BorrowedFd<'_>; 3] = match &pty {
        Some(pty) => [pty.slave.as_fd(); 3],
        None => [stdin.as_fd(), stdout.as_fd(), stderr_of_caller.as_fd()],
    };
    let mut guest_files = Vec::new();
    for (number, fd) in (0..).zip(stdio) {
        guest_files.push((number, files.keep(fd.try_clone_to_owned().context("standard descriptors")?)));
    }
    for (number, fd) in (3..).zip(extra_files) {
        guest_files.push((number, files.keep(fd)));
    }
    let cpuinfo = File::open("/proc/cpuinfo").ok();
    let resources = bundle.spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
    let linux = bundle.spec.linux().as_ref();
    let annotations: std::collections::BTreeMap<String, String> =
        bundle.spec.annotations().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
    let boot = BootConfig {
        id: (*id).to_owned(),
        control_fd: control.as_raw_fd(),
        control_user: if geteuid().is_root() { 65534 } else { 0 },
        ready_fd: ready_end.as_raw_fd(),
        log: log.as_ref().map(|log| LogConfig {
            fd: log.as_raw_fd(),
            debug: global.debug,
            json: global.log_format == crate::cli::LogFormat::Json,
        }),
        gofer_fd: requests.as_raw_fd(),
        gofer_events_fd: events.as_raw_fd(),
        root: plan.root.clone(),
        mounts: plan.mounts.clone(),
        process: process.clone(),
        files: guest_files,
        start: request.start,
        die_with_parent: request.die_with_parent,
        hostname: bundle.spec.hostname().clone().filter(|name| !name.is_empty()),
        domainname: bundle.spec.domainname().clone().filter(|name| !name.is_empty()),
        sysctl: linux
            .and_then(|linux| linux.sysctl().as_ref())
            .map(|map| map.iter().map(|(k, v)| (k.clone(), v.clone())).collect())
            .unwrap_or_default(),
        masked_paths: linux.and_then(|linux| linux.masked_paths().clone()).unwrap_or_default(),
        readonly_paths: linux.and_then(|linux| linux.readonly_paths().clone()).unwrap_or_default(),
        namespaces,
        network,
        platform,
        strace: (global.strace || !global.strace_syscalls.is_empty()).then(|| StraceConfig {
            calls: global.strace_syscalls.clone(),
            buffer_size: global.strace_log_size,
        }),
        seccomp: linux.and_then(|linux| linux.seccomp().as_ref()).and_then(convert::seccomp),
        cgroup_path: cgroup.as_ref().map_or_else(|| "/".into(), |cgroup| cgroup.path.clone()),
        limits: convert::limits(resources),
        cpuinfo_fd: cpuinfo.as_ref().map(|file| file.as_raw_fd()),
        annotations: annotations.clone(),
    };
    let mut keep = vec![control.as_fd(), ready_end.as_fd(), requests.as_fd(), events.as_fd()];
    keep.extend(files.fds.iter().map(AsFd::as_fd));
    keep.extend(cpuinfo.as_ref().map(AsFd::as_fd));
    keep.extend(log.as_ref().map(AsFd::as_fd));
    let shown: Vec<&str> = std::iter::once(*id).chain(process.args.iter().map(String::as_str)).collect();
    let sandbox = start_sandbox(boot, network, joined, stderr, &keep, &shown, pty.as_ref())?;
    undo.children.push(sandbox.pid);
    if let Some(cgroup) = &cgroup {
        cgroup.join(sandbox.pid)?;
    }
    let mut state = State {
        oci_version: bundle.spec.version().clone(),
        id: (*id).to_owned(),
        phase: Phase::Creating,
        paused: false,
        sandbox: ProcessRef::of(sandbox.pid),
        gofer: ProcessRef::of(gofer.pid),
        bundle: bundle.dir.clone(),
        rootfs: bundle.rootfs.clone(),
        created: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Nanos, true),
        owner: geteuid().as_raw(),
        control: socket,
        cgroup,
        process,
        hooks: bundle.spec.hooks().clone(),
        annotations,
    };
    sandbox.open_gate()?;
    let container = undo.container.as_ref().context("container directory")?;
    state.phase = match request.start {
        // Saved now, because the program may be running before the next line.
        StartMode::Now => Phase::Running,
        StartMode::OnRequest => Phase::Creating,
    };
    container.save(&state)?;

    // Only the children hold the other ends now, so that their death shows.
    drop((ready_end, gofer_requests, gofer_events, requests, events, control, files, cpuinfo));
    await_ready(ready, &sandbox, &gofer)?;
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

/// A process to start.
struct Role<'a> {
    name: &'static str,
    config: BorrowedFd<'a>,
    shown: &'a [&'a str],
    clone_flags: CloneFlags,
    unshare_flags: CloneFlags,
    map: Option<&'a IdMap>,
    stderr: BorrowedFd<'a>,
    keep: &'a [BorrowedFd<'a>],
    terminal: Option<BorrowedFd<'a>>,
}

/// Starts a process up to its gate, with its id maps written.
fn start(role: &Role<'_>) -> anyhow::Result<Child> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null").context("/dev/null")?;
    let fd = role.config.as_raw_fd().to_string();
    let words = [role.name, fd.as_str()].into_iter().chain(role.shown.iter().copied());
    // An argument with a NUL was refused with the configuration.
    let argv: Vec<CString> = words.filter_map(|word| CString::new(word).ok()).collect();
    let argv: Vec<_> = argv.iter().map(CString::as_c_str).collect();
    let mut keep = role.keep.to_vec();
    keep.push(role.config);
    let child = host::launch::launch(&Launch {
        exe: c"/proc/self/exe",
        argv: &argv,
        // Nothing of the caller's environment is the sandbox's business.
        envp: &[],
        clone_flags: role.clone_flags.bits(),
        unshare_flags: role.unshare_flags.bits(),
        ids: role.map.map(|_| (0, 0)),
        stdio: [null.as_fd(), null.as_fd(), role.stderr],
        keep: &keep,
        controlling_terminal: role.terminal,
        cgroup: None,
    })?;
    if let Some(map) = role.map
        && let Err(error) = map.write(child.pid)
    {
        let _ = kill(child.pid, Signal::SIGKILL);
        let _ = wait_for(child.pid);
        return Err(error.context(format!("user namespace of {}", role.name)));
    }
    Ok(child)
}

/// Starts the sandbox process with the least authority that this host lets it have.
fn start_sandbox(
    boot: BootConfig,
    network: Network,
    joined: Option<File>,
    stderr: BorrowedFd<'_>,
    keep: &[BorrowedFd<'_>],
    shown: &[&str],
    pty: Option<&console::Pty>,
) -> anyhow::Result<Child> {
    let mut unshare_flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWCGROUP;
    if network != Network::Host {
        unshare_flags |= CloneFlags::CLONE_NEWNET;
    }
    let mut setup = SentrySetup { become_ids: None, boot };
    let mut attempt = |map: Option<&IdMap>, become_ids: Option<(u32, u32)>| {
        setup.become_ids = become_ids;
        let config = inner::pack(&setup)?;
        let user = if map.is_some() { CloneFlags::CLONE_NEWUSER } else { CloneFlags::empty() };
        let role = Role {
            name: inner::SANDBOX,
            config: config.as_fd(),
            shown,
            clone_flags: CloneFlags::CLONE_NEWPID | user,
            unshare_flags,
            map,
            stderr,
            keep,
            terminal: pty.map(|pty| pty.slave.as_fd()),
        };
        in_network(joined.as_ref(), || start(&role))
    };
    if !geteuid().is_root() {
        return attempt(Some(&IdMap::caller()), None);
    }
    // Where ids other than the caller's cannot be mapped (inside another user namespace), the caller's must do; where
    // there are no user namespaces at all, the process drops to an unprivileged id by itself.
    attempt(Some(&IdMap::nobody()), None).or_else(|first| {
        log::debug!("sandbox as nobody: {first:#}");
        attempt(Some(&IdMap::caller()), None).or_else(|second| {
            log::debug!("sandbox in a user namespace: {second:#}");
            attempt(None, Some((65534, 65534)))
        })
    })
}

/// Runs `start` in the network namespace that `joined` names. The rest of this process stays where it is.
fn in_network(
    joined: Option<&File>,
    start: impl FnOnce() -> anyhow::Result<Child> + Send,
) -> anyhow::Result<Child> {
    let Some(namespace) = joined else { return start() };
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            setns(namespace, CloneFlags::CLONE_NEWNET).context("cannot join the network namespace")?;
            start()
        });
        thread.join().unwrap_or_else(|_| Err(anyhow!("starting the sandbox failed")))
    })
}

/// Reads the report; what else can happen before one comes is turned into an error.
fn await_ready(ready: OwnedFd, sandbox: &Child, gofer: &Child) -> anyhow::Result<()> {
    let sandbox_fd = host::process::pidfd_open(sandbox.pid)?;
    let gofer_fd = host::process::pidfd_open(gofer.pid)?;
    let mut text = Vec::new();
    loop {
        let mut fds = [
            PollFd::new(ready.as_fd(), PollFlags::POLLIN),
            PollFd::new(sandbox_fd.as_fd(), PollFlags::POLLIN),
            PollFd::new(gofer_fd.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => continue,
            other => other?,
        };
        let [said, sandbox_died, gofer_died] = fds.map(|fd| fd.any().unwrap_or(false));
        if said {
            let mut buffer = [0; 4096];
            let len = nix::unistd::read(&ready, &mut buffer)?;
            text.extend_from_slice(buffer.get(..len).unwrap_or_default());
            let mut reports = serde_json::Deserializer::from_slice(&text).into_iter::<ReadyReport>();
            match reports.next() {
                Some(Ok(ReadyReport::Ok {})) => return Ok(()),
                Some(Ok(ReadyReport::Error(error))) => {
                    let text = format!("unable to start container process: {error}");
                    return Err(Failure::error(error.exit_code(), text));
                }
                _ if len > 0 => continue,
                _ => {}
            }
        }
        let (child, what) = if gofer_died && !sandbox_died { (gofer, "gofer") } else { (sandbox, "sandbox") };
        // Nothing more can come: the process that died says why, if its set-up got as far as `execve`.
        if let Err(LaunchError::Child { step, error }) = child.wait_exec() {
            bail!("cannot start the {what} process: {step:?}: {}", crate::bundle::plain(&error));
        }
        let end = describe(wait_for(child.pid));
        bail!("the {what} process {end} before it was ready; --debug-log=FILE keeps what it said");
    }
}

fn describe(status: nix::Result<WaitStatus>) -> String {
    match status {
        Ok(WaitStatus::Exited(_, code)) => format!("exited with status {code}"),
        Ok(WaitStatus::Signaled(_, signal, _)) => format!("was killed by {signal}"),
        _ => "ended".into(),
    }
}

/// Waits for a child, however often interrupted.
pub fn wait_for(pid: Pid) -> nix::Result<WaitStatus> {
    loop {
        match waitpid(pid, None) {
            Err(nix::errno::Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// The exit status of a shell for a child's end.
pub fn exit_code(status: WaitStatus) -> i32 {
    match status {
        WaitStatus::Exited(_, code) => code,
        WaitStatus::Signaled(_, signal, _) => 128 + signal as i32,
        _ => 255,
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

/// The sandbox's log file, where one is wanted.
fn sandbox_log(global: &Global, id: &str, command: &str) -> anyhow::Result<Option<File>> {
    let Some(path) = &global.debug_log else { return Ok(None) };
    let text = path.to_string_lossy().replace("%ID%", id).replace("%COMMAND%", command);
    let mut path = PathBuf::from(&text);
    if text.ends_with('/') {
        fs::create_dir_all(&path).with_context(|| format!("cannot make {text}"))?;
        path.push(format!("runsc-rs.{id}.{command}.log"));
    }
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    Ok(Some(file.with_context(|| format!("cannot open debug log {}", path.display()))?))
}

/// User namespace of the gofer: none for root, unless the configuration has one.
fn gofer_ids(global: &Global, namespaces: &boot::config::Namespaces) -> Option<IdMap> {
    if !geteuid().is_root() {
        return Some(IdMap::caller_with_subordinates().unwrap_or_else(IdMap::caller));
    }
    if !namespaces.uid_map.is_empty() {
        return Some(IdMap { users: namespaces.uid_map.clone(), groups: namespaces.gid_map.clone() });
    }
    (global.rootless == Rootless::True).then(IdMap::caller)
}

/// The container's cgroups; none where neither path nor limits are asked for.
fn own_cgroup(
    global: &Global,
    id: &str,
    spec: &oci_spec::runtime::Spec,
) -> anyhow::Result<Option<cgroup::Record>> {
    if global.ignore_cgroups {
        return Ok(None);
    }
    let Some(linux) = spec.linux() else { return Ok(None) };
    let asked = linux.cgroups_path().as_ref().and_then(|path| path.to_str()).filter(|path| !path.is_empty());
    let resources = linux.resources().as_ref();
    let limited = resources.is_some_and(|r| {
        r.memory().is_some() || r.cpu().is_some() || r.pids().is_some() || r.unified().is_some()
    });
    let path = match asked {
        Some(path) => cgroup::systemd_path(path).unwrap_or_else(|| path.to_owned()),
        None if limited => id.to_owned(),
        None => return Ok(None),
    };
    match cgroup::Record::create(&path, resources) {
        Ok(record) => Ok(Some(record)),
        Err(error) if global.rootless == Rootless::True || !geteuid().is_root() => {
            log::debug!("running without cgroup: {error:#}");
            Ok(None)
        }
        Err(error) => Err(error.context("cgroup (--ignore-cgroups does without)")),
    }
}

/// An upper layer for a tree, as `--overlay2` asks.
fn upper_layer(
    setting: &convert::OverlaySetting,
    tree: &Path,
    is_root: bool,
    files: &mut Descriptors,
) -> anyhow::Result<Overlay> {
    use convert::OverlayMedium as Medium;
    if !is_root && !setting.all {
        return Ok(Overlay::None);
    }
    let dir = match &setting.medium {
        Medium::None => return Ok(Overlay::None),
        Medium::Memory => return Ok(Overlay::Memory),
        Medium::SelfBacked => tree,
        Medium::Dir(dir) => dir,
    };
    let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_TMPFILE).mode(0o600).open(dir);
    let file = file.with_context(|| format!("cannot make an overlay file in {}", dir.display()))?;
    Ok(Overlay::File(files.keep(file.into())))
}

/// Where inet sockets lead, and the network namespace to be in for that.
fn network(global: &Global, spec: &oci_spec::runtime::Spec) -> anyhow::Result<(Network, Option<File>)> {
    let network = match global.network {
        NetworkMode::None => Network::None,
        NetworkMode::Sandbox => Network::Sandbox,
        NetworkMode::Host => Network::Host,
    };
    let list = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_ref());
    let path = list
        .into_iter()
        .flatten()
        .find(|namespace| namespace.typ() == LinuxNamespaceType::Network)
        .and_then(|namespace| namespace.path().clone());
    match (network, path) {
        (Network::Host, Some(path)) => {
            let file = File::open(&path);
            Ok((network, Some(file.with_context(|| format!("network namespace {}", path.display()))?)))
        }
        _ => Ok((network, None)),
    }
}

/// The platform that `--platform` names, or the best that works here.
fn platform(global: &Global) -> anyhow::Result<PlatformConfig> {
    match global.platform.as_str() {
        "auto" | "ptrace" => Ok(PlatformConfig { name: "ptrace".into(), device_fd: None }),
        other => {
            bail!("platform {other:?} is not part of this build; `runsc-rs platforms` lists those that are")
        }
    }
}

/// Writes a process id where a container manager looks for it: the file is never seen half written.
pub fn write_pid_file(file: &Path, pid: Pid) -> anyhow::Result<()> {
    let mut temporary = file.as_os_str().to_owned();
    temporary.push(".new");
    fs::write(&temporary, pid.to_string())
        .and_then(|()| fs::rename(&temporary, file))
        .with_context(|| format!("cannot write pid file {}", file.display()))
}

/// Ends a container's processes. Returns when they are gone, reaped or not.
pub fn kill_all(state: &State) -> anyhow::Result<()> {
    // The sandbox is pid 1 of its namespace: all of its stubs go with it. The gofer sees its socket close.
    for process in [&state.sandbox, &state.gofer].into_iter().flatten() {
        if process.alive() {
            let _ = kill(process.id(), Signal::SIGKILL);
            wait_gone(process, Duration::from_secs(10))?;
        }
    }
    Ok(())
}

/// Waits until a process, of whoever it is a child, is gone or waits to be reaped.
pub fn wait_gone(process: &ProcessRef, limit: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + limit;
    let Ok(pidfd) = host::process::pidfd_open(process.id()) else { return Ok(()) };
    while process.alive() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            bail!("process {} does not end", process.pid);
        }
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Removes everything that a stopped container has left.
pub fn destroy(container: Container, state: &State) -> anyhow::Result<()> {
    kill_all(state)?;
    for process in [&state.sandbox, &state.gofer].into_iter().flatten() {
        // Ours to reap where this command is the one that started it.
        let _ = waitpid(process.id(), Some(WaitPidFlag::WNOHANG));
    }
    if let Some(cgroup) = &state.cgroup {
        cgroup.remove();
    }
    let _ = fs::remove_file(&state.control);
    container.remove()?;
    hooks::run(state, hooks::Stage::Poststop)
}
