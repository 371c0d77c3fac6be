//! What of the command line and the configuration decides how a sandbox is set up on the host.

use super::Descriptors;
use crate::{
    cgroup,
    cli::{Global, NetworkMode, Rootless},
    convert,
    idmap::IdMap,
};
use anyhow::{Context, anyhow, bail};
use boot::config::{Network, Overlay, PlatformConfig};
use nix::{
    sched::{CloneFlags, setns},
    unistd::geteuid,
};
use oci_spec::runtime::LinuxNamespaceType;
use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// The sandbox's log file, where one is wanted.
pub(super) fn sandbox_log(global: &Global, id: &str, command: &str) -> anyhow::Result<Option<File>> {
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

/// User namespace of the gofer: as the configuration maps ids; without that none for root, and for others one with the caller alone.
pub(super) fn gofer_ids(
    global: &Global,
    namespaces: &boot::config::Namespaces,
) -> anyhow::Result<Option<IdMap>> {
    if !namespaces.uid_map.is_empty() || !namespaces.gid_map.is_empty() {
        let map = IdMap { users: namespaces.uid_map.clone(), groups: namespaces.gid_map.clone() };
        map.check()?;
        return Ok(Some(map));
    }
    Ok((!geteuid().is_root() || global.rootless == Rootless::True).then(IdMap::caller))
}

/// The number of the namespace that `path` leads to.
pub(super) fn namespace_number(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|metadata| std::os::unix::fs::MetadataExt::ino(&metadata))
}

/// Host and domain name, where the configuration has no UTS namespace or one by path.
pub(super) fn shared_names(spec: &oci_spec::runtime::Spec) -> anyhow::Result<Option<(String, String)>> {
    let Some(list) = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_ref()) else {
        return Ok(None);
    };
    let listed = list.iter().find(|namespace| namespace.typ() == LinuxNamespaceType::Uts);
    let text = |name: &std::ffi::OsStr| name.to_string_lossy().into_owned();
    let names = || nix::sys::utsname::uname().map(|uts| (text(uts.nodename()), text(uts.domainname())));
    match listed.map(|namespace| namespace.path()) {
        Some(None) => Ok(None),
        None => Ok(Some(names().context("uname")?)),
        Some(Some(path)) => {
            let what = || format!("UTS namespace {}", path.display());
            let file = File::open(path).with_context(what)?;
            // On a thread of its own, which ends there.
            let there = std::thread::scope(|scope| {
                scope.spawn(|| setns(&file, CloneFlags::CLONE_NEWUTS).and_then(|()| names())).join()
            });
            let there = there.map_err(|_| anyhow!("joining failed")).and_then(|names| Ok(names?));
            Ok(Some(there.with_context(what)?))
        }
    }
}

/// The container's cgroups; none where neither path nor limits are asked for.
pub(super) fn own_cgroup(
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
pub(super) fn upper_layer(
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
        Medium::Memory => return Ok(Overlay::Memory { size: setting.size }),
        Medium::SelfBacked => tree,
        Medium::Dir(dir) => dir,
    };
    let context = || format!("cannot make an overlay file in {}", dir.display());
    let file =
        unlinked_file(dir).map_err(|error| anyhow!(crate::bundle::plain(&error))).with_context(context)?;
    let room = nix::sys::statvfs::fstatvfs(&file).with_context(context)?;
    if room.flags().contains(nix::sys::statvfs::FsFlags::ST_NOEXEC) {
        bail!(
            "{}: it is on a file system that is mounted noexec, so no program could run from it",
            context()
        );
    }
    // What the disk has room for now is what the container finds free.
    let free = room.blocks_available().saturating_mul(room.fragment_size());
    let size = Some(setting.size.unwrap_or(free).max(1));
    Ok(Overlay::File { fd: files.keep(file.into()), size })
}

/// A file without a name in `dir`, which nothing is left of when it is closed.
fn unlinked_file(dir: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    match options.clone().custom_flags(libc::O_TMPFILE).open(dir) {
        // Not every file system has those; then it has a name for a moment.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR)) => {
            let name = dir.join(format!(".runsc-rs-overlay-{}", std::process::id()));
            let file = options.create_new(true).open(&name)?;
            fs::remove_file(&name)?;
            Ok(file)
        }
        other => other,
    }
}

/// Where inet sockets lead, and the network namespace to be in for that.
pub(super) fn network(
    global: &Global,
    spec: &oci_spec::runtime::Spec,
) -> anyhow::Result<(Network, Option<File>)> {
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
pub(super) fn platform(global: &Global) -> anyhow::Result<PlatformConfig> {
    match global.platform.as_str() {
        "auto" | "ptrace" => Ok(PlatformConfig { name: "ptrace".into(), device_fd: None }),
        other => {
            bail!("platform {other:?} is not part of this build; `runsc-rs platforms` lists those that are")
        }
    }
}
