//! Which hierarchies the host has, where they are mounted, and where in them we are.

use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What a hierarchy is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Version 1 with these controllers.
    Controllers(Vec<String>),
    /// Version 1 with a name and no controller (`name=systemd`).
    Named(String),
    /// Version 2, the only one there is.
    Unified,
    /// Version 2 beside version 1: it has no controllers.
    Hybrid,
}

impl Kind {
    /// Whether a container can do without.
    pub fn is_optional(&self) -> bool {
        matches!(self, Self::Named(_) | Self::Hybrid)
    }

    /// Whether it has the controller's files.
    pub fn has(&self, controller: &str) -> bool {
        match self {
            Self::Controllers(list) => list.iter().any(|name| name == controller),
            Self::Unified => true,
            Self::Named(_) | Self::Hybrid => false,
        }
    }
}

/// A mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// What it is.
    pub kind: Kind,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Which part of it is mounted there.
    pub root: String,
    /// Where in it this process is.
    pub own: String,
}

impl Hierarchy {
    /// The directory for a path: absolute from the top, or relative to where this process is.
    pub fn dir(&self, path: &str) -> PathBuf {
        let full = if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", self.own) };
        // Where only a part is mounted, absolute paths begin at that part, as far as anybody here can see.
        let below = match full.strip_prefix(&self.root) {
            Some(below) if self.root != "/" => below,
            _ => &full,
        };
        let mut dir = self.mount_point.clone();
        // `..` must not lead out of the hierarchy.
        dir.extend(Path::new(below).components().filter_map(|component| match component {
            std::path::Component::Normal(name) => Some(name),
            _ => None,
        }));
        dir
    }

    /// Version 2: makes controllers available in children of every directory down to `parent`. What cannot be
    /// enabled shows when a limit is written.
    pub fn enable_controllers(&self, parent: &Path) {
        if self.kind != Kind::Unified {
            return;
        }
        let Ok(below) = parent.strip_prefix(&self.mount_point) else { return };
        let mut dir = self.mount_point.clone();
        for step in std::iter::once(None).chain(below.components().map(Some)) {
            dir.extend(step);
            let available = fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
            for controller in available.split_whitespace() {
                let _ = fs::write(dir.join("cgroup.subtree_control"), format!("+{controller}"));
            }
        }
    }
}

/// All hierarchies that are mounted.
pub fn hierarchies() -> anyhow::Result<Vec<Hierarchy>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("cannot read /proc/self/mountinfo")?;
    let own = fs::read_to_string("/proc/self/cgroup").context("cannot read /proc/self/cgroup")?;
    let found = parse(&mounts, &own);
    if found.is_empty() {
        anyhow::bail!("no cgroup file system is mounted; mount one or use --ignore-cgroups");
    }
    Ok(found)
}

fn parse(mountinfo: &str, own: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let mut left = left.split(' ').skip(3);
        let (Some(root), Some(mount_point)) = (left.next(), left.next()) else { continue };
        let mut right = right.split(' ');
        let (Some(fstype), Some(options)) = (right.next(), right.nth(1)) else { continue };
        let kind = match fstype {
            "cgroup2" => Kind::Unified,
            "cgroup" => version_1(options),
            _ => continue,
        };
        let Some(own) = own_path(own, &kind) else { continue };
        if found.iter().all(|other| other.kind != kind) {
            found.push(Hierarchy { kind, mount_point: mount_point.into(), root: root.into(), own });
        }
    }
    let mixed = found.len() > 1;
    for hierarchy in found.iter_mut().filter(|hierarchy| mixed && hierarchy.kind == Kind::Unified) {
        hierarchy.kind = Kind::Hybrid;
    }
    found
}

fn version_1(options: &str) -> Kind {
    let (names, controllers): (Vec<&str>, Vec<&str>) = options
        .split(',')
        .filter(|option| !matches!(*option, "rw" | "ro" | "xattr" | "clone_children" | "noprefix"))
        .partition(|option| option.starts_with("name="));
    match names.first() {
        Some(name) => Kind::Named((*name).to_owned()),
        None => Kind::Controllers(controllers.into_iter().map(String::from).collect()),
    }
}

/// Where `/proc/self/cgroup` says that we are in a hierarchy.
fn own_path(own: &str, kind: &Kind) -> Option<String> {
    own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, list, path) = (fields.next()?, fields.next()?, fields.next()?);
        let same = match kind {
            Kind::Unified | Kind::Hybrid => list.is_empty(),
            Kind::Named(name) => list == name,
            Kind::Controllers(controllers) => {
                list.split(',').any(|name| controllers.iter().any(|c| c == name))
            }
        };
        same.then(|| path.to_owned())
    })
}

/// The path that systemd would give `slice:prefix:name`; `None` where it has another form.
pub fn systemd_path(path: &str) -> Option<String> {
    let [slice, prefix, name] = path.split(':').collect::<Vec<_>>()[..] else { return None };
    let slice = if slice.is_empty() { "system.slice" } else { slice };
    let stem = slice.strip_suffix(".slice")?;
    let mut out = String::new();
    if stem != "-" {
        // a-b.slice lies in a.slice.
        for (end, _) in stem.match_indices('-').chain([(stem.len(), "")]) {
            out.push_str(&format!("/{}.slice", stem.get(..end)?));
        }
    }
    let unit = match name {
        name if name.ends_with(".slice") => name.to_owned(),
        name if prefix.is_empty() => format!("{name}.scope"),
        name => format!("{prefix}-{name}.scope"),
    };
    Some(format!("{out}/{unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hybrid_host() {
        let mounts = "\
30 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
31 25 0:27 / /sys/fs/cgroup/memory rw,nosuid shared:3 - cgroup cgroup rw,memory
32 25 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
33 25 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
34 25 0:30 / /proc rw - proc proc rw
";
        let own = "4:memory:/a\n3:cpu,cpuacct:/\n1:name=systemd:/x\n0::/y\n";
        let found = parse(mounts, own);
        assert_eq!(found.len(), 4);
        assert_eq!(found[1].dir("c"), Path::new("/sys/fs/cgroup/memory/a/c"));
        assert_eq!(found[1].dir("/docker/../c"), Path::new("/sys/fs/cgroup/memory/docker/c"));
        assert!(found[0].kind.has("cpuacct") && found[2].kind.is_optional());
        assert_eq!(found[3].kind, Kind::Hybrid);
    }

    #[test]
    fn a_unified_host() {
        let mounts = "30 25 0:26 /a /sys/fs/cgroup rw - cgroup2 cgroup rw,nsdelegate\n";
        let found = parse(mounts, "0::/a/b\n");
        assert_eq!(found[0].kind, Kind::Unified);
        assert_eq!(found[0].dir("c"), Path::new("/sys/fs/cgroup/b/c"));
        assert_eq!(found[0].dir("/docker/c"), Path::new("/sys/fs/cgroup/docker/c"));
    }

    #[test]
    fn systemd_names() {
        let path = systemd_path("system.slice:docker:abc");
        assert_eq!(path.as_deref(), Some("/system.slice/docker-abc.scope"));
        let path = systemd_path("a-b.slice::x");
        assert_eq!(path.as_deref(), Some("/a.slice/a-b.slice/x.scope"));
        assert_eq!(systemd_path("/docker/abc"), None);
    }
}
