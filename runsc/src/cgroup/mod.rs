//! Control groups: the container's own, below the host's, with limits and figures.
//!
//! Version 1, version 2 and the mixture of both are told apart by what is mounted. A [`Record`] is what a container
//! remembers: one directory a hierarchy, so that its figures can be read and the directories removed by a later
//! command. **Absent on purpose:** device rules (a sandbox opens no device of the host) and talking to systemd
//! (its names are translated to paths).

mod layout;
mod limits;
pub mod stats;

pub use layout::{Hierarchy, Kind, systemd_path};

use anyhow::Context;
use nix::unistd::Pid;
use oci_spec::runtime::LinuxResources;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// The cgroups of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Path below each hierarchy's root.
    pub path: String,
    /// One directory a hierarchy.
    pub dirs: Vec<Dir>,
}

/// One directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dir {
    /// Whose.
    pub kind: Kind,
    /// Where.
    pub path: PathBuf,
    /// It was made for the container and goes with it.
    pub own: bool,
}

impl Record {
    /// Makes the directories and applies limits. What was made before an error is removed again.
    ///
    /// `path` as `linux.cgroupsPath` has it: absolute from the hierarchy's root, or relative to the caller's own.
    pub fn create(path: &str, resources: Option<&LinuxResources>) -> anyhow::Result<Self> {
        let mut record = Self { path: path.to_owned(), dirs: Vec::new() };
        for hierarchy in layout::hierarchies()? {
            let dir = hierarchy.dir(path);
            match record.add(&hierarchy, &dir, resources) {
                Ok(()) => {}
                // A hierarchy that is there to name processes but cannot be written is no loss.
                Err(error) if hierarchy.kind.is_optional() => log::debug!("{error:#}"),
                Err(error) => {
                    record.remove();
                    return Err(error);
                }
            }
        }
        Ok(record)
    }

    fn add(
        &mut self,
        hierarchy: &Hierarchy,
        dir: &Path,
        resources: Option<&LinuxResources>,
    ) -> anyhow::Result<()> {
        if let Some(parent) = dir.parent() {
            fs::create_dir_all(parent).with_context(|| format!("cannot make cgroup {}", parent.display()))?;
            hierarchy.enable_controllers(parent);
        }
        let own = match fs::create_dir(dir) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
            Err(error) => return Err(error).with_context(|| format!("cannot make cgroup {}", dir.display())),
        };
        self.dirs.push(Dir { kind: hierarchy.kind.clone(), path: dir.to_owned(), own });
        limits::prepare(&hierarchy.kind, dir)?;
        match resources {
            Some(resources) => limits::apply(&hierarchy.kind, dir, resources),
            None => Ok(()),
        }
    }

    /// Puts a process into all of them.
    pub fn join(&self, pid: Pid) -> anyhow::Result<()> {
        for dir in &self.dirs {
            let file = dir.path.join("cgroup.procs");
            match fs::write(&file, pid.to_string()) {
                Ok(()) => {}
                Err(error) if dir.kind.is_optional() => log::debug!("{}: {error}", file.display()),
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("cannot put a process into {}", file.display()));
                }
            }
        }
        Ok(())
    }

    /// Changes limits of a running container.
    pub fn update(&self, resources: &LinuxResources) -> anyhow::Result<()> {
        self.dirs.iter().try_for_each(|dir| limits::apply(&dir.kind, &dir.path, resources))
    }

    /// Removes the directories that were made. A process that has just died may hold one for a moment.
    pub fn remove(&self) {
        let deadline = Instant::now() + Duration::from_secs(2);
        for dir in self.dirs.iter().filter(|dir| dir.own) {
            loop {
                match fs::remove_dir(&dir.path) {
                    Err(error) if error.kind() == ErrorKind::ResourceBusy && Instant::now() < deadline => {
                        thread::sleep(Duration::from_millis(2));
                    }
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        log::warn!("cannot remove cgroup {}: {error}", dir.path.display());
                        break;
                    }
                    _ => break,
                }
            }
        }
    }

    /// The directory in which a controller's files are.
    pub fn controller(&self, name: &str) -> Option<&Path> {
        self.dirs.iter().find(|dir| dir.kind.has(name)).map(|dir| dir.path.as_path())
    }

    /// Whether the figures are those of version 2.
    pub fn unified(&self) -> bool {
        self.dirs.len() == 1 && self.dirs.iter().all(|dir| dir.kind == Kind::Unified)
    }
}

/// Where a process that has joined `record` is, for applications to be shown. Cgroups that are not the container's own show as the root:
/// what the host calls them is none of its business.
pub fn places(record: Option<&Record>, pid: Pid) -> Vec<boot::config::CgroupPlace> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    parse_places(&text, record.map(|record| record.path.as_str()))
}

fn parse_places(text: &str, own: Option<&str>) -> Vec<boot::config::CgroupPlace> {
    let own = own.map(|path| path.trim_matches('/')).filter(|path| !path.is_empty());
    let parse = |line: &str| {
        let mut fields = line.splitn(3, ':');
        let (hierarchy, controllers, path) = (fields.next()?.parse().ok()?, fields.next()?, fields.next()?);
        let path = if own.is_some_and(|own| path.ends_with(own)) { path } else { "/" };
        Some(boot::config::CgroupPlace {
            hierarchy,
            controllers: controllers.to_owned(),
            path: path.to_owned(),
        })
    };
    text.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests;
