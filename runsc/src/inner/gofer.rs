//! The gofer process, from `execve` to the gofer.

use super::{root, unpack};
use crate::convert::Attach;
use boot::config::{ReadyReport, StartError, StartErrorKind};
use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2},
    sys::stat::{Mode, mkdirat},
};
use serde::{Deserialize, Serialize};
use std::{
    ffi::CString,
    os::{
        fd::{AsFd, IntoRawFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
    process::ExitCode,
};

/// What a gofer process is told.
#[derive(Debug, Serialize, Deserialize)]
pub struct GoferSetup {
    /// Requests.
    pub socket: RawFd,
    /// Events.
    pub events: RawFd,
    /// Ready pipe: where a failure to set up is reported.
    pub error_fd: RawFd,
    /// The trees, in the order of their indices.
    pub attach: Vec<Attach>,
    /// Mount points to be made in the first tree: (path in the container, is a file).
    pub mount_points: Vec<(PathBuf, bool)>,
    /// The container may make device nodes.
    pub make_devices: bool,
}

/// Life of a gofer process.
pub fn main(config: OwnedFd) -> ExitCode {
    let setup: GoferSetup = match unpack(config) {
        Ok(setup) => setup,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let _ = host::prctl::set_name(c"runsc-rs-gofer");
    match confine(&setup).and_then(|(trees, proc_dir)| serve(&setup, trees, proc_dir)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error = StartError::new(StartErrorKind::Internal, format!("gofer: {error}"));
            boot::report::send(setup.error_fd, &ReadyReport::Error(error));
            ExitCode::FAILURE
        }
    }
}

/// Opens the trees and leaves everything else behind.
fn confine(setup: &GoferSetup) -> Result<(Vec<OwnedFd>, OwnedFd), String> {
    root::isolate_mounts()?;
    if let Some(tree) = setup.attach.first() {
        for (path, file) in &setup.mount_points {
            if let Err(error) = make_mount_point(&tree.source, path, *file) {
                // The sandbox makes up a mount point where there is none.
                log::debug!("mount point {}: {error}", path.display());
            }
        }
    }
    let mut trees = Vec::new();
    for attach in &setup.attach {
        let failed =
            |what: &str, error: std::io::Error| format!("cannot {what} {}: {error}", attach.source.display());
        let path = CString::new(attach.source.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
        // A detached copy: it stays whole, with the mounts below it, when the rest goes.
        let tree =
            host::mount::clone_tree(&path, attach.recursive).map_err(|error| failed("attach", error))?;
        let readonly = if attach.readonly { host::mount::ATTR_RDONLY } else { 0 };
        host::mount::restrict_tree(
            tree.as_fd(),
            host::mount::ATTR_NOSUID | host::mount::ATTR_NODEV | readonly,
        )
        .map_err(|error| failed("restrict", error))?;
        trees.push(tree);
    }
    let proc_dir =
        gofer_server::open_proc_self_fd().map_err(|error| format!("cannot open /proc/self/fd: {error}"))?;
    root::enter_empty_root()?;
    Ok((trees, proc_dir))
}

fn serve(setup: &GoferSetup, trees: Vec<OwnedFd>, proc_dir: OwnedFd) -> Result<(), String> {
    let trees = trees
        .into_iter()
        .zip(&setup.attach)
        .map(|(tree, attach)| gofer_server::TreeConfig { fd: tree.into_raw_fd(), readonly: attach.readonly })
        .collect();
    let config = gofer_server::GoferConfig {
        socket: setup.socket,
        events: Some(setup.events),
        proc_self_fd: Some(proc_dir.into_raw_fd()),
        trees,
        policy: gofer_server::Policy { make_devices: setup.make_devices, ..gofer_server::Policy::default() },
        filter: gofer_server::Filter::default(),
    };
    gofer_server::run(&config).map(drop).map_err(|error| error.to_string())
}

/// Makes `path` inside the tree at `root`: directories, and a file at the end where `file`. Links in the tree are
/// followed as inside the container, so none leads out of it.
fn make_mount_point(root: &Path, path: &Path, file: bool) -> nix::Result<()> {
    let root = nix::fcntl::open(root, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let inside = |path: &Path, flags: OFlag, mode: Mode| {
        let how =
            OpenHow::new().flags(flags | OFlag::O_CLOEXEC).mode(mode).resolve(ResolveFlag::RESOLVE_IN_ROOT);
        openat2(&root, path, how)
    };
    if inside(path, OFlag::O_PATH, Mode::empty()).is_ok() {
        return Ok(());
    }
    let mut done = PathBuf::from("/");
    let components: Vec<_> = path.components().skip(1).collect();
    for (index, component) in components.iter().enumerate() {
        let parent = inside(&done, OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty())?;
        done.push(component);
        if file && index + 1 == components.len() {
            let mode = Mode::from_bits_truncate(0o644);
            inside(&done, OFlag::O_CREAT | OFlag::O_WRONLY | OFlag::O_NOFOLLOW, mode)?;
        } else {
            match mkdirat(&parent, component.as_os_str(), Mode::from_bits_truncate(0o755)) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::make_mount_point;
    use std::{fs, path::Path};

    #[test]
    fn mount_points_stay_inside() {
        let root = std::env::temp_dir().join(format!("runsc-points-{}", std::process::id()));
        fs::create_dir_all(root.join("real")).unwrap();
        std::os::unix::fs::symlink("/real", root.join("link")).unwrap();
        std::os::unix::fs::symlink("../../../..", root.join("up")).unwrap();
        make_mount_point(&root, Path::new("/link/a/b"), false).unwrap();
        make_mount_point(&root, Path::new("/etc/hosts"), true).unwrap();
        make_mount_point(&root, Path::new("/up/c"), false).unwrap();
        assert!(
            root.join("real/a/b").is_dir() && root.join("etc/hosts").is_file() && root.join("c").is_dir()
        );
        fs::remove_dir_all(root).unwrap();
    }
}
