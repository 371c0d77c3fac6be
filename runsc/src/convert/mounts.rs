//! `root` and `mounts`: what the gofer attaches, and what the sandbox mounts where.

use anyhow::{Context, anyhow, bail};
use boot::config::{
    Atime, FileAccess, MountConfig, MountKind, Overlay, Propagation, PropagationMode, RootConfig,
};
use oci_spec::runtime::{Mount, Spec};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// One tree that the gofer holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// Host path, absolute.
    pub source: PathBuf,
    /// With the host mounts below it.
    pub recursive: bool,
    /// No change to it, ever.
    pub readonly: bool,
}

/// Everything about a container's files.
#[derive(Clone, Debug)]
pub struct MountPlan {
    /// Trees; mounts refer to them by index. The root is the first.
    pub attach: Vec<Attach>,
    /// The root.
    pub root: RootConfig,
    /// Mounts in order.
    pub mounts: Vec<MountConfig>,
    /// Mount points that have to exist in the root on the host: (path, is a file).
    pub mount_points: Vec<(PathBuf, bool)>,
}

/// `--overlay2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverlaySetting {
    /// For bind mounts as well as for the root.
    pub all: bool,
    /// Where the upper layer lives.
    pub medium: OverlayMedium,
    /// The most bytes that it may take.
    pub size: Option<u64>,
}

/// Where an upper layer lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverlayMedium {
    /// There is none.
    None,
    /// In memory.
    Memory,
    /// In an unlinked file beside the files that it covers.
    SelfBacked,
    /// In an unlinked file in this directory.
    Dir(PathBuf),
}

/// Parses `none`, `root:memory`, `all:dir=/var/tmp,size=10g` and the like; a medium alone means `root:`.
pub fn parse_overlay(text: &str) -> anyhow::Result<OverlaySetting> {
    let (scope, medium) = match text.split_once(':') {
        Some((scope, medium)) => (scope, medium),
        None => ("root", text),
    };
    let all = match scope {
        "all" => true,
        "root" => false,
        other => bail!("--overlay2: {other:?} is neither root nor all"),
    };
    let (medium, size) = match medium.split_once(",size=") {
        Some((medium, size)) => (medium, Some(parse_size(size)?)),
        None => (medium, None),
    };
    let medium = match medium {
        "none" | "" => OverlayMedium::None,
        "memory" => OverlayMedium::Memory,
        "self" => OverlayMedium::SelfBacked,
        other => match other.strip_prefix("dir=") {
            Some(dir) if Path::new(dir).is_absolute() => OverlayMedium::Dir(dir.into()),
            Some(dir) => bail!("--overlay2: {dir:?} is not an absolute path"),
            None => bail!("--overlay2: {other:?} is none of none, memory, self, dir=DIR"),
        },
    };
    Ok(OverlaySetting { all, medium, size })
}

/// A number of bytes with `k`, `m`, `g` or `t` behind it, as tmpfs has it.
fn parse_size(text: &str) -> anyhow::Result<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text.get(digits.len()..).unwrap_or_default().to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        other => bail!("--overlay2: size {text:?} ends in {other:?}, which is none of k, m, g, t"),
    };
    let number: u64 = digits.parse().map_err(|_| anyhow!("--overlay2: size {text:?} is no number"))?;
    number.checked_mul(1 << shift).with_context(|| format!("--overlay2: size {text:?} is too large"))
}

/// How trees are shared, from the command line.
#[derive(Clone, Copy, Debug)]
pub struct Sharing {
    /// Of the root.
    pub root: FileAccess,
    /// Of bind mounts.
    pub mounts: FileAccess,
}

/// Plans the files of a container. `overlay` says what an upper layer for a tree is, given the tree's path.
pub fn plan(
    spec: &Spec,
    rootfs: &Path,
    bundle: &Path,
    sharing: Sharing,
    overlay: &mut dyn FnMut(&Path, bool) -> anyhow::Result<Overlay>,
) -> anyhow::Result<MountPlan> {
    let readonly = spec.root().as_ref().and_then(|root| root.readonly()).unwrap_or(false);
    let root_overlay = if readonly { Overlay::None } else { overlay(rootfs, true)? };
    let root_attach = Attach {
        source: rootfs.to_owned(),
        recursive: true,
        readonly: readonly || root_overlay != Overlay::None,
    };
    let root = RootConfig { attach: 0, readonly, overlay: root_overlay, access: sharing.root };
    let mut plan =
        MountPlan { attach: vec![root_attach], root, mounts: Vec::new(), mount_points: Vec::new() };
    for (index, mount) in spec.mounts().iter().flatten().enumerate() {
        let context = || format!("mounts[{index}] ({})", mount.destination().display());
        add(&mut plan, mount, bundle, sharing, overlay).with_context(context)?;
    }
    plan.mount_points = mount_points(&plan.mounts);
    Ok(plan)
}

fn add(
    plan: &mut MountPlan,
    mount: &Mount,
    bundle: &Path,
    sharing: Sharing,
    overlay: &mut dyn FnMut(&Path, bool) -> anyhow::Result<Overlay>,
) -> anyhow::Result<()> {
    let destination = mount.destination();
    let destination = destination.to_str().context("destination is not UTF-8")?;
    if destination.contains('\0') || destination.is_empty() {
        bail!("destination must be a path");
    }
    // Relative ones are deprecated but mean: from the root.
    let destination = format!("/{}", destination.trim_start_matches('/'));
    let options = Options::parse(mount.options().iter().flatten())?;
    let typ = mount.typ().as_deref().unwrap_or(if options.bind.is_some() { "bind" } else { "" });
    let source = mount.source().clone().unwrap_or_default();
    let mut mounted = MountConfig {
        destination,
        kind: MountKind::Tmpfs,
        readonly: options.readonly,
        noexec: options.noexec,
        nosuid: options.nosuid,
        nodev: options.nodev,
        atime: options.atime,
        propagation: options.propagation,
        data: options.data,
        source: source.display().to_string(),
    };
    mounted.kind = match typ {
        _ if typ == "bind" || options.bind.is_some() => {
            let recursive = options.bind.unwrap_or(true);
            match bind(plan, &bundle.join(&source), recursive, options.readonly, sharing, overlay)? {
                Some(kind) => kind,
                None => special(&source)?,
            }
        }
        "tmpfs" if mounted.destination == "/dev" => MountKind::Devtmpfs,
        "tmpfs" | "ramfs" => MountKind::Tmpfs,
        "proc" => MountKind::Proc,
        "sysfs" => MountKind::Sysfs,
        "devtmpfs" => MountKind::Devtmpfs,
        "devpts" => MountKind::Devpts,
        "mqueue" => MountKind::Mqueue,
        "cgroup" => MountKind::Cgroup,
        "cgroup2" => MountKind::Cgroup2,
        "" => bail!("type is missing"),
        other => bail!(
            "unknown mount type {other:?}: bind, tmpfs, proc, sysfs, devtmpfs, devpts, mqueue, cgroup and cgroup2 are \
             known"
        ),
    };
    plan.mounts.push(mounted);
    Ok(())
}

/// Kernel file systems of the host are not passed through: the sandbox has its own.
fn special(source: &Path) -> anyhow::Result<MountKind> {
    match source.to_str() {
        Some("/sys") => Ok(MountKind::Sysfs),
        Some("/proc") => Ok(MountKind::Proc),
        Some("/dev") => Ok(MountKind::Devtmpfs),
        Some("/dev/pts") => Ok(MountKind::Devpts),
        Some("/dev/mqueue") => Ok(MountKind::Mqueue),
        _ => Err(anyhow!("{} cannot be bound", source.display())),
    }
}

/// A bind mount; `None` for a kernel file system.
fn bind(
    plan: &mut MountPlan,
    source: &Path,
    recursive: bool,
    readonly: bool,
    sharing: Sharing,
    overlay: &mut dyn FnMut(&Path, bool) -> anyhow::Result<Overlay>,
) -> anyhow::Result<Option<MountKind>> {
    if special(source).is_ok() {
        return Ok(None);
    }
    let metadata = fs::metadata(source)
        .map_err(|error| anyhow!("source {}: {}", source.display(), crate::bundle::plain(&error)))?;
    let file = !metadata.is_dir();
    let upper = if readonly || file { Overlay::None } else { overlay(source, false)? };
    let attach = u32::try_from(plan.attach.len())?;
    plan.attach.push(Attach {
        source: source.to_owned(),
        recursive,
        readonly: readonly || upper != Overlay::None,
    });
    Ok(Some(MountKind::Gofer { attach, access: sharing.mounts, overlay: upper, file }))
}

/// Destinations that the root has to have: those that no earlier mount covers.
fn mount_points(mounts: &[MountConfig]) -> Vec<(PathBuf, bool)> {
    let mut points: Vec<(PathBuf, bool)> = Vec::new();
    for mount in mounts {
        let path = Path::new(&mount.destination);
        let covered = points.iter().any(|(above, _)| path.starts_with(above));
        if !covered && path != Path::new("/") {
            points.push((path.to_owned(), matches!(mount.kind, MountKind::Gofer { file: true, .. })));
        }
    }
    points
}

/// Mount options, sorted by who they are for.
#[derive(Default)]
struct Options {
    /// A bind mount; whether with the mounts below.
    bind: Option<bool>,
    readonly: bool,
    noexec: bool,
    nosuid: bool,
    nodev: bool,
    atime: Atime,
    propagation: Option<Propagation>,
    data: Vec<String>,
}

impl Options {
    fn parse<'a>(options: impl Iterator<Item = &'a String>) -> anyhow::Result<Self> {
        let mut out = Self::default();
        for option in options {
            match option.as_str() {
                "bind" => out.bind = out.bind.or(Some(false)),
                "rbind" => out.bind = Some(true),
                "ro" | "rro" => out.readonly = true,
                "rw" | "rrw" => out.readonly = false,
                "noexec" | "rnoexec" => out.noexec = true,
                "exec" | "rexec" => out.noexec = false,
                "nosuid" | "rnosuid" => out.nosuid = true,
                "suid" | "rsuid" => out.nosuid = false,
                "nodev" | "rnodev" => out.nodev = true,
                "dev" | "rdev" => out.nodev = false,
                "noatime" | "rnoatime" => out.atime = Atime::None,
                "nodiratime" | "rnodiratime" => out.atime = Atime::NoDirectories,
                "strictatime" | "rstrictatime" => out.atime = Atime::Strict,
                "relatime" | "rrelatime" | "atime" | "ratime" | "diratime" | "rdiratime" | "norelatime"
                | "rnorelatime" | "nostrictatime" | "rnostrictatime" => out.atime = Atime::Relative,
                // They change how or when data reaches a disk, which is the host's affair.
                "sync" | "async" | "dirsync" | "lazytime" | "nolazytime" | "mand" | "nomand" | "iversion"
                | "noiversion" | "silent" | "loud" | "defaults" | "remount" | "acl" | "noacl"
                | "symfollow" | "rsymfollow" => {}
                other => match propagation(other) {
                    Some(propagation) => out.propagation = Some(propagation),
                    None if other.contains('\0') => bail!("option {other:?} contains a NUL character"),
                    None => out.data.push(other.to_owned()),
                },
            }
        }
        Ok(out)
    }
}

fn propagation(option: &str) -> Option<Propagation> {
    let (name, recursive) = match option {
        "rshared" | "rslave" | "rprivate" | "runbindable" => (option.get(1..)?, true),
        other => (other, false),
    };
    let mode = match name {
        "shared" => PropagationMode::Shared,
        "slave" => PropagationMode::Slave,
        "private" => PropagationMode::Private,
        "unbindable" => PropagationMode::Unbindable,
        _ => return None,
    };
    Some(Propagation { mode, recursive })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan_of(mounts: &str) -> anyhow::Result<MountPlan> {
        let text = format!(r#"{{"ociVersion":"1.0.2","root":{{"path":"/"}},"mounts":{mounts}}}"#);
        let spec: Spec = serde_json::from_str(&text)?;
        let sharing = Sharing { root: FileAccess::Exclusive, mounts: FileAccess::Shared };
        plan(&spec, Path::new("/"), Path::new("/"), sharing, &mut |_, _| Ok(Overlay::None))
    }

    #[test]
    fn mounts_are_planned() {
        let plan = plan_of(
            r#"[{"destination":"/proc","type":"proc","source":"proc","options":["nosuid","noexec","nodev"]},
               {"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["nosuid","mode=755","size=65536k"]},
               {"destination":"/dev/pts","type":"devpts","options":["newinstance","gid=5"]},
               {"destination":"/sys","type":"none","source":"/sys","options":["rbind","ro"]},
               {"destination":"/vol","type":"bind","source":"/usr","options":["rbind","ro","rprivate"]},
               {"destination":"/etc/hosts","source":"/etc/passwd","options":["bind"]}]"#,
        )
        .unwrap();
        assert_eq!(plan.attach.len(), 3);
        assert_eq!(plan.attach[1], Attach { source: "/usr".into(), recursive: true, readonly: true });
        assert!(!plan.attach[2].recursive);
        let kinds: Vec<_> = plan.mounts.iter().map(|mount| &mount.kind).collect();
        assert_eq!(
            kinds[..4],
            [&MountKind::Proc, &MountKind::Devtmpfs, &MountKind::Devpts, &MountKind::Sysfs]
        );
        assert!(matches!(kinds[5], MountKind::Gofer { attach: 2, file: true, .. }));
        assert_eq!(plan.mounts[1].data, ["mode=755", "size=65536k"]);
        let points: Vec<_> =
            plan.mount_points.iter().map(|(path, file)| (path.to_str().unwrap(), *file)).collect();
        assert_eq!(
            points,
            [("/proc", false), ("/dev", false), ("/sys", false), ("/vol", false), ("/etc/hosts", true)]
        );
    }

    #[test]
    fn mistakes_are_named() {
        let error = format!("{:#}", plan_of(r#"[{"destination":"/x","type":"weirdfs"}]"#).unwrap_err());
        assert!(error.starts_with("mounts[0] (/x): unknown mount type \"weirdfs\""), "{error}");
        let error = plan_of(r#"[{"destination":"/x","type":"bind","source":"/nonexist"}]"#).unwrap_err();
        assert_eq!(format!("{error:#}"), "mounts[0] (/x): source /nonexist: no such file or directory");
    }

    #[test]
    fn overlay_settings() {
        assert_eq!(parse_overlay("none").unwrap().medium, OverlayMedium::None);
        let setting = parse_overlay("all:dir=/var/tmp").unwrap();
        assert_eq!((setting.all, setting.medium), (true, OverlayMedium::Dir("/var/tmp".into())));
        let setting = parse_overlay("root:self,size=1g").unwrap();
        assert_eq!((setting.medium, setting.size), (OverlayMedium::SelfBacked, Some(1 << 30)));
        for bad in ["root:floppy", "some:memory", "root:self,size=1x", "root:self,size=", "root:dir=x"] {
            assert!(parse_overlay(bad).is_err(), "{bad}");
        }
    }
}
