//! What is remembered of a container between commands: `<root>/<id>/state.json`.
//!
//! A [`Container`] is a directory, locked (`flock` on the directory itself, so that nothing is left behind) for
//! as long as a command changes it. The record is replaced by rename, so readers need no lock. "Stopped" is never
//! written: it is what a container is whose sandbox process has gone, told apart from a recycled process id by the
//! start time.

use crate::{
    bundle, cgroup,
    cli::{Global, Rootless},
    failure,
};
use anyhow::{Context, anyhow};
use boot::config::ProcessConfig;
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// A container's record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// Version of the configuration's format.
    pub oci_version: String,
    /// Container id.
    pub id: String,
    /// How far it has come.
    pub phase: Phase,
    /// `pause` was called.
    #[serde(default)]
    pub paused: bool,
    /// The sandbox process; its life is the container's.
    pub sandbox: Option<ProcessRef>,
    /// The gofer process.
    pub gofer: Option<ProcessRef>,
    /// Bundle directory.
    pub bundle: PathBuf,
    /// Root file system.
    pub rootfs: PathBuf,
    /// RFC 3339, nanoseconds.
    pub created: String,
    /// User id of whoever created it.
    pub owner: u32,
    /// Control socket.
    pub control: PathBuf,
    /// Its cgroups, to be removed with it.
    pub cgroup: Option<cgroup::Record>,
    /// What its init was started as; an exec inherits from it.
    pub process: ProcessConfig,
    /// Programs to run at later stages.
    #[serde(default)]
    pub hooks: Option<oci_spec::runtime::Hooks>,
    /// Of the configuration.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// How far a container has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Being set up.
    Creating,
    /// Waits for `start`.
    Created,
    /// Started.
    Running,
}

/// A process that cannot be mistaken for a later one with the same id.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProcessRef {
    /// Its id.
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    pub start_time: u64,
}

impl ProcessRef {
    /// The process that has this id now.
    pub fn of(pid: Pid) -> Option<Self> {
        let (_, start_time) = stat(pid.as_raw())?;
        Some(Self { pid: pid.as_raw(), start_time })
    }

    /// Whether it still lives; one that waits to be reaped does not.
    pub fn alive(&self) -> bool {
        stat(self.pid).is_some_and(|(state, start)| start == self.start_time && !matches!(state, 'Z' | 'X'))
    }

    /// Its id.
    pub fn id(&self) -> Pid {
        Pid::from_raw(self.pid)
    }
}

/// State letter and start time, fields 3 and 22 of `/proc/PID/stat`.
fn stat(pid: i32) -> Option<(char, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&text)
}

fn parse_stat(text: &str) -> Option<(char, u64)> {
    // The name, in parentheses, may hold anything.
    let mut rest = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace();
    Some((rest.next()?.chars().next()?, rest.nth(18)?.parse().ok()?))
}

/// What `state` calls a container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Being set up.
    Creating,
    /// Waits for `start`.
    Created,
    /// Runs.
    Running,
    /// Stands still.
    Paused,
    /// Its sandbox has gone.
    Stopped,
}

impl Status {
    /// As other runtimes spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

impl State {
    /// The status now.
    pub fn status(&self) -> Status {
        match (&self.sandbox, self.phase) {
            (None, Phase::Creating) => Status::Creating,
            (Some(sandbox), phase) if sandbox.alive() => match phase {
                Phase::Creating => Status::Creating,
                Phase::Created => Status::Created,
                Phase::Running if self.paused => Status::Paused,
                Phase::Running => Status::Running,
            },
            _ => Status::Stopped,
        }
    }

    /// The sandbox's process id, 0 for a stopped one.
    pub fn live_pid(&self) -> i32 {
        self.sandbox.filter(ProcessRef::alive).map_or(0, |sandbox| sandbox.pid)
    }

    /// A connection with the sandbox, for calls that are answered at once: a sandbox that does not answer in a
    /// minute is broken.
    pub fn connect(&self) -> anyhow::Result<control_client::Client> {
        let client = control_client::Client::connect(&self.control)?;
        client.stream().set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(client)
    }

    /// A connection for calls that wait.
    pub fn connect_to_wait(&self) -> anyhow::Result<control_client::Client> {
        Ok(control_client::Client::connect(&self.control)?)
    }
}

/// Where the containers are, from `--root` or by who asks.
pub fn root_dir(global: &Global) -> PathBuf {
    if let Some(root) = &global.root {
        return root.clone();
    }
    let uid = nix::unistd::geteuid();
    if uid.is_root() && global.rootless != Rootless::True {
        return "/run/runsc-rs".into();
    }
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(dir) if Path::new(&dir).is_dir() => Path::new(&dir).join("runsc-rs"),
        _ => std::env::temp_dir().join(format!("runsc-rs-{uid}")),
    }
}

/// A container's directory, locked.
#[derive(Debug)]
pub struct Container {
    dir: PathBuf,
    _lock: Flock<File>,
}

impl Container {
    /// Makes the directory for a new container.
    pub fn create(root: &Path, id: &str) -> anyhow::Result<Self> {
        make_private(root)?;
        let dir = root.join(id);
        match DirBuilder::new().mode(0o711).create(&dir) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(anyhow!("container with given ID already exists"));
            }
            Err(error) => return Err(error).with_context(|| format!("cannot make {}", dir.display())),
        }
        let lock = lock(&dir)?.ok_or_else(failure::no_such_container)?;
        Ok(Self { dir, _lock: lock })
    }

    /// Locks an existing container and reads its record.
    pub fn open(root: &Path, id: &str) -> anyhow::Result<(Self, State)> {
        bundle::check_id(id)?;
        let dir = root.join(id);
        let lock = lock(&dir)?.ok_or_else(failure::no_such_container)?;
        let state = read(&dir)?.ok_or_else(failure::no_such_container)?;
        Ok((Self { dir, _lock: lock }, state))
    }

    /// Replaces the record.
    pub fn save(&self, state: &State) -> anyhow::Result<()> {
        let text = serde_json::to_vec(state)?;
        let temporary = self.dir.join("state.json.new");
        // It holds the environment, which may hold secrets.
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .and_then(|mut file| file.write_all(&text))
            .and_then(|()| fs::rename(&temporary, self.dir.join("state.json")))
            .with_context(|| format!("cannot write {}", self.dir.join("state.json").display()))
    }

    /// Removes the directory: the container is no more.
    pub fn remove(self) -> anyhow::Result<()> {
        fs::remove_dir_all(&self.dir).with_context(|| format!("cannot remove {}", self.dir.display()))
    }
}

/// Reads a container's record without locking it.
pub fn load(root: &Path, id: &str) -> anyhow::Result<State> {
    bundle::check_id(id)?;
    read(&root.join(id))?.ok_or_else(failure::no_such_container)
}

/// The records of all containers, by id.
pub fn list(root: &Path) -> anyhow::Result<Vec<State>> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", root.display())),
    };
    let mut states = Vec::new();
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        match read(&entry.path()) {
            Ok(Some(state)) => states.push(state),
            // One that is just being made or removed.
            Ok(None) => {}
            Err(error) => log::warn!("{error:#}"),
        }
    }
    states.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(states)
}

fn read(dir: &Path) -> anyhow::Result<Option<State>> {
    let file = dir.join("state.json");
    match fs::read(&file) {
        Ok(text) => bundle::parse_json(&text, &file.display().to_string()).map(Some),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Makes the root directory, for its owner alone.
fn make_private(root: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(root)
        .with_context(|| format!("cannot make {} (--root names another place)", root.display()))?;
    let metadata = fs::symlink_metadata(root)?;
    if metadata.uid() != nix::unistd::geteuid().as_raw() {
        // In a directory that everybody writes, somebody may have been there first.
        anyhow::bail!("{} belongs to another user; name another place with --root", root.display());
    }
    Ok(())
}

/// Locks a directory; `None` where it is not there (any more).
fn lock(dir: &Path) -> anyhow::Result<Option<Flock<File>>> {
    let mut file = match File::open(dir) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error).with_context(|| format!("cannot open {}", dir.display())),
    };
    let lock = loop {
        match Flock::lock(file, FlockArg::LockExclusive) {
            Ok(lock) => break lock,
            Err((back, Errno::EINTR)) => file = back,
            Err((_, error)) => return Err(error).with_context(|| format!("cannot lock {}", dir.display())),
        }
    };
    let same = fs::metadata(dir).is_ok_and(|now| lock.metadata().is_ok_and(|then| now.ino() == then.ino()));
    Ok(same.then_some(lock))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of a container whose sandbox is this process.
    pub fn sample(id: &str) -> State {
        State {
            oci_version: "1.0.2".into(),
            id: id.into(),
            phase: Phase::Running,
            paused: false,
            sandbox: ProcessRef::of(nix::unistd::getpid()),
            gofer: None,
            bundle: "/b".into(),
            rootfs: "/b/rootfs".into(),
            created: "2024-01-02T03:04:05.000000006Z".into(),
            owner: 0,
            control: "/nowhere".into(),
            cgroup: None,
            process: ProcessConfig::default(),
            hooks: None,
            annotations: BTreeMap::new(),
        }
    }

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("runsc-state-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        dir
    }

    #[test]
    fn a_container_is_made_once_and_removed() {
        let root = scratch("life");
        assert!(list(&root).unwrap().is_empty());
        let container = Container::create(&root, "a").unwrap();
        let again = Container::create(&root, "a").unwrap_err();
        assert_eq!(again.to_string(), "container with given ID already exists");
        container.save(&sample("a")).unwrap();
        assert_eq!(list(&root).unwrap().len(), 1);
        assert_eq!(load(&root, "a").unwrap().status(), Status::Running);
        container.remove().unwrap();
        assert_eq!(load(&root, "a").unwrap_err().to_string(), "container does not exist");
        assert_eq!(Container::open(&root, "a").unwrap_err().to_string(), "container does not exist");
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn status_follows_the_process() {
        let mut state = sample("a");
        assert_eq!((state.status(), state.live_pid()), (Status::Running, nix::unistd::getpid().as_raw()));
        state.paused = true;
        assert_eq!(state.status(), Status::Paused);
        state.phase = Phase::Created;
        assert_eq!(state.status(), Status::Created);
        if let Some(sandbox) = &mut state.sandbox {
            sandbox.start_time += 1;
        }
        assert_eq!((state.status(), state.live_pid()), (Status::Stopped, 0));
    }

    #[test]
    fn stat_lines() {
        let line = "12 (a) b) S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 1 2 3";
        assert_eq!(parse_stat(line), Some(('S', 777)));
        assert_eq!(parse_stat("garbage"), None);
    }
}
