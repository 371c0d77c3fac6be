//! Starting processes: the container's first one, and those of `exec`.

use crate::{StartError, StartErrorKind, config::ProcessConfig};
use abi::{
    Errno, Rlimit,
    process::{CapSet, Resource},
};
use fs::host::HostFiles;
use kernel::{
    Kernel, Task, limits::Limits, loader::Program, namespaces::Namespaces, pid::PidNamespace,
    seccomp::Filter, task::spawn::SpawnRequest, tty::host::HostTerminal,
};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use std::{
    collections::BTreeMap,
    io::IsTerminal,
    os::fd::OwnedFd,
    sync::{Arc, atomic::Ordering},
};
use vfs::{Credentials, Fd, FdTable, FsContext, Gid, Lookup, Path, Uid, UserNamespace, WalkContext, ops};

/// What processes are started in.
pub struct Container {
    pub kernel: Arc<Kernel>,
    pub ns: Arc<Namespaces>,
    pub pid_ns: Arc<PidNamespace>,
    pub user_ns: Arc<UserNamespace>,
    pub root: Path,
    /// Where descriptors of the host become open files.
    pub host_files: HostFiles,
    /// The configuration's profile, for every process that is started in it.
    pub seccomp: Option<Arc<Filter>>,
}

fn internal(what: &str, errno: Errno) -> StartError {
    StartError::new(StartErrorKind::Internal, format!("{what}: {}", errno.message()))
}

/// A process that was made and does not run yet.
pub struct Prepared {
    /// Its first thread.
    pub task: Arc<Task>,
    /// The host's terminal that it has, to be kept as long as it is used.
    pub terminal: Option<Arc<HostTerminal>>,
}

impl Container {
    /// Makes a process with `files` as its descriptors (number there, descriptor here). It executes `executable` if that is given,
    /// else what its arguments name.
    pub fn prepare(
        &self,
        config: &ProcessConfig,
        files: Vec<(i32, OwnedFd)>,
        executable: Option<OwnedFd>,
    ) -> Result<Prepared, StartError> {
        let cred = self.credentials(config);
        let cwd = self.working_directory(config, &cred)?;
        let fs = FsContext::new(self.root.clone(), cwd.clone(), config.umask.unwrap_or(0o022));
        let ctx = WalkContext {
            vfs: self.kernel.vfs.clone(),
            root: self.root.clone(),
            start: cwd,
            cred: cred.clone(),
            umask: 0,
        };
        let fds = FdTable::new();
        let terminal;
        let (file, path) = match executable {
            None => {
                let found = find_program(&ctx, config)?;
                terminal = self.open_files(&fds, files, config.terminal, &cred)?;
                found
            }
            Some(executable) => {
                terminal = self.open_files(&fds, files, config.terminal, &cred)?;
                self.program_of(executable, config, &fds, &cred)?
            }
        };
        let bytes = |texts: &[String]| texts.iter().map(|t| t.clone().into_bytes()).collect();
        let argv: Vec<Vec<u8>> = bytes(&config.args);
        let program = Program { file, path: path.clone().into_bytes(), argv, envp: bytes(&config.env) };
        let request = SpawnRequest {
            program,
            cred,
            ns: self.ns.clone(),
            pid_ns: self.pid_ns.clone(),
            fs,
            fds,
            limits: limits(&config.rlimits)?,
            terminal: terminal.as_ref().map(|t| t.tty.clone()),
        };
        let task = self.kernel.spawn(request).map_err(|e| match e {
            Errno::ENOEXEC | Errno::ELIBBAD => StartError::bad_format(&path),
            Errno::ENOENT => StartError::not_found(&path),
            Errno::EACCES => StartError::not_executable(&path),
            e => internal(&format!("cannot start {path:?}"), e),
        })?;
        if let Some(filter) = &self.seccomp {
            task.set_seccomp_profile(filter);
        }
        if let Some(score) = config.oom_score_adj {
            let group = &task.group;
            group.oom_score_adj.store(score, Ordering::Relaxed);
            group.oom_score_adj_min.store(score, Ordering::Relaxed);
        }
        Ok(Prepared { task, terminal })
    }

    fn credentials(&self, config: &ProcessConfig) -> Arc<Credentials> {
        let ns = &self.user_ns;
        let uid = ns.uid(config.uid).unwrap_or(Uid(config.uid));
        let gid = ns.gid(config.gid).unwrap_or(Gid(config.gid));
        let groups: Vec<Gid> = config.groups.iter().map(|g| ns.gid(*g).unwrap_or(Gid(*g))).collect();
        let caps = &config.capabilities;
        Arc::new(Credentials {
            ruid: uid,
            euid: uid,
            suid: uid,
            fsuid: uid,
            rgid: gid,
            egid: gid,
            sgid: gid,
            fsgid: gid,
            groups: groups.into(),
            permitted: CapSet::from_bits(caps.permitted),
            effective: CapSet::from_bits(caps.effective),
            inheritable: CapSet::from_bits(caps.inheritable),
            bounding: CapSet::from_bits(caps.bounding),
            ambient: CapSet::from_bits(caps.ambient),
            securebits: 0,
            no_new_privs: config.no_new_privs,
            user_ns: ns.clone(),
            landlock: None,
        })
    }

    /// The working directory, made by the superuser where it is missing.
    fn working_directory(&self, config: &ProcessConfig, cred: &Arc<Credentials>) -> Result<Path, StartError> {
        let cwd = if config.cwd.is_empty() { "/" } else { &config.cwd };
        let ctx = self.kernel.vfs.context(self.root.clone(), cred.clone());
        let found = ops::directory(&ctx, cwd.as_bytes());
        let found = match found {
            Err(Errno::ENOENT) => {
                let root =
                    self.kernel.vfs.context(self.root.clone(), Credentials::root(self.user_ns.clone()));
                crate::mounts::make_path(&root, cwd.as_bytes(), false)
                    .and_then(|()| ops::directory(&ctx, cwd.as_bytes()))
            }
            other => other,
        };
        found.map_err(|e| {
            let text = format!("chdir to cwd ({cwd:?}) set in config.json failed: {}", e.message());
            StartError::new(StartErrorKind::BadConfig, text)
        })
    }

    /// Turns host descriptors into open files. Terminals become one terminal of ours if `terminal` says so.
    fn open_files(
        &self,
        fds: &FdTable,
        files: Vec<(i32, OwnedFd)>,
        terminal: bool,
        cred: &Arc<Credentials>,
    ) -> Result<Option<Arc<HostTerminal>>, StartError> {
        let reactor = self.kernel.executor.reactor();
        let mut ours: Option<Arc<HostTerminal>> = None;
        for (number, fd) in files {
            let file = if terminal && fd.is_terminal() {
                let tty = match &ours {
                    Some(tty) => tty.clone(),
                    None => {
                        make_raw(&fd).map_err(|e| internal("cannot use the terminal", e))?;
                        let made = HostTerminal::new(reactor, fd).map(Arc::new);
                        let made = made.map_err(|e| internal("cannot use the terminal", e))?;
                        ours.insert(made).clone()
                    }
                };
                let root = Credentials::root(self.user_ns.clone());
                fs::dev::console_file(&self.kernel.vfs.context(self.root.clone(), root), &tty, cred)
                    .map_err(|e| internal("cannot open the terminal", e))?
            } else {
                self.host_files
                    .open(fd, cred)
                    .map_err(|e| internal(&format!("cannot use descriptor {number}"), e))?
            };
            fds.put(Fd(number), file, u64::MAX, false).map_err(|e| internal("too many descriptors", e))?;
        }
        Ok(ours)
    }
}

impl Container {
    /// A program that was handed over as a descriptor, and the path that it is executed by: its `argv[0]`. A script's interpreter has
    /// to open it, so that one stays open, and is known by its number (as with `fexecve(3)`).
    fn program_of(
        &self,
        executable: OwnedFd,
        config: &ProcessConfig,
        fds: &FdTable,
        cred: &Arc<Credentials>,
    ) -> Result<(Arc<vfs::File>, String), StartError> {
        let bad = |why: &str| {
            StartError::new(StartErrorKind::BadConfig, format!("the file to execute cannot be used: {why}"))
        };
        let file = self.host_files.open_program(executable, cred).map_err(|e| bad(e.message()))?;
        let mut start = [0; 2];
        let read = file.ops().read_at(&file, 0, &mut mem::IoDst::bytes(&mut start));
        read.map_err(|e| bad(e.message()))?;
        if start != *b"#!" {
            return Ok((file, config.args.first().cloned().unwrap_or_default()));
        }
        let fd =
            fds.add(file.clone(), 3, u64::MAX, false).map_err(|e| internal("too many descriptors", e))?;
        Ok((file, format!("/dev/fd/{}", fd.0)))
    }
}

/// Puts a terminal of the host into raw mode: the line discipline is ours.
fn make_raw(fd: &OwnedFd) -> Result<(), Errno> {
    let errno = |e: nix::errno::Errno| Errno::from_host(e as i32);
    let mut settings = tcgetattr(fd).map_err(errno)?;
    cfmakeraw(&mut settings);
    tcsetattr(fd, SetArg::TCSANOW, &settings).map_err(errno)
}

/// The executable of `config`, and its path: looked up along its own `PATH` unless it has a slash.
fn find_program(ctx: &WalkContext, config: &ProcessConfig) -> Result<(Arc<vfs::File>, String), StartError> {
    let name = config.args.first().filter(|n| !n.is_empty());
    let name = name.ok_or_else(|| StartError::new(StartErrorKind::BadConfig, "args must not be empty"))?;
    let open = |path: &str| ops::open::open_exec(ctx, path.as_bytes(), Lookup::FOLLOW);
    if name.contains('/') {
        return match open(name) {
            Ok(file) => Ok((file, name.clone())),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Err(StartError::not_found(name)),
            Err(Errno::EACCES | Errno::EPERM) => Err(StartError::not_executable(name)),
            Err(e) => Err(internal(&format!("exec: {name:?}"), e)),
        };
    }
    let path = config.env.iter().rev().find_map(|e| e.strip_prefix("PATH="));
    let path = path.unwrap_or("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    let mut denied = None;
    for dir in path.split(':') {
        let candidate = if dir.is_empty() { format!("./{name}") } else { format!("{dir}/{name}") };
        match open(&candidate) {
            Ok(file) => return Ok((file, candidate)),
            Err(Errno::EACCES) => denied = denied.or(Some(candidate)),
            Err(_) => {}
        }
    }
    Err(match denied.filter(|c| ctx.resolve(c.as_bytes(), Lookup::FOLLOW).is_ok_and(|p| !p.is_dir())) {
        Some(candidate) => StartError::not_executable(&candidate),
        None => StartError::not_in_path(name),
    })
}

fn limits(asked: &BTreeMap<String, (u64, u64)>) -> Result<Limits, StartError> {
    let mut limits = Limits::default();
    for (name, (soft, hard)) in asked {
        let resource = Resource::from_name(name.strip_prefix("RLIMIT_").unwrap_or(name))
            .or_else(|| Resource::from_name(name));
        let resource = resource.ok_or_else(|| {
            StartError::new(StartErrorKind::BadConfig, format!("process.rlimits: {name} is no resource"))
        })?;
        limits.set(resource, Rlimit { rlim_cur: *soft, rlim_max: *hard });
    }
    Ok(limits)
}
