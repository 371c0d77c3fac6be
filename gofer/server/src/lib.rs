//! The gofer: the only process that opens a container's files.
//!
//! It holds one descriptor a tree (the root, each bind volume), opened before it was confined, and answers the
//! sentry's requests for files below them. The sentry is assumed to be taken over: nothing it says is trusted.
//!
//! - [`run`] is the whole life of a gofer process: takes its descriptors, confines itself, serves until the sentry
//!   goes away. The launcher makes the namespaces and pivots before it.
//! - [`Server`] answers requests; [`serve()`](serve::serve) moves them over sockets.
//! - `nodes`: what the sentry holds. `lookup`, `make`, `change`: the operations by family. `watch`: inotify.
//!   `confine`: capabilities and the system call filter.
//!
//! **Rules that keep the sentry inside its trees.** Every name is checked to be one component. Names are looked up
//! by `openat2(2)` with `RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS|RESOLVE_NO_MAGICLINKS` below an `O_PATH` descriptor that is held,
//! so a component that is exchanged for a link between two requests is found to be a link, not followed. Held files are
//! reopened through `/proc/self/fd`, which cannot lead to another inode. A donated descriptor is a regular file,
//! or what the [`Policy`] allows; never a directory, never `O_PATH`.
//!
//! **Invariants.** One thread, no locks. Nothing a request says can panic, allocate beyond the protocol's bounds, or hold
//! more than a bounded number of descriptors. Permission checks are the sentry's; the gofer acts as its own user.
//!
//! **Absent on purpose:** `..`, absolute paths, following links, sockets of the network, executing anything.
#![forbid(unsafe_code)]

mod attr;
mod change;
pub mod confine;
mod lookup;
mod make;
mod nodes;
pub mod serve;
mod server;
mod watch;

pub use confine::{ConfineError, Filter};
pub use serve::{ServeError, serve};
pub use server::{Counters, Policy, ProcFd, Server, Tree};

use serde::{Deserialize, Serialize};
use std::os::fd::RawFd;

/// What the launcher tells a gofer process. Descriptors are numbers of inherited ones.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GoferConfig {
    /// Our end of the `SOCK_SEQPACKET` pair for requests.
    pub socket: RawFd,
    /// Our end of the `SOCK_SEQPACKET` pair for events; without one nothing can be watched.
    pub events: Option<RawFd>,
    /// `/proc/self/fd` as [`open_proc_self_fd`] opened it, in this very process, before it pivoted. `None`: [`run`]
    /// opens it itself, for a gofer that keeps a `/proc` or may still mount one.
    pub proc_self_fd: Option<RawFd>,
    /// The trees, in the order of the indices by which the sentry attaches them.
    pub trees: Vec<TreeConfig>,
    /// What is allowed beyond plain files.
    #[serde(default)]
    pub policy: Policy,
    /// What to do on a system call outside the allow-list.
    #[serde(default)]
    pub filter: Filter,
}

/// One tree of files.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct TreeConfig {
    /// Its root, a directory or (for a file that is bind-mounted) anything else; `O_PATH` is enough.
    pub fd: RawFd,
    /// Refuse every change.
    pub readonly: bool,
}

/// Why a gofer could not start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum GoferError {
    /// A descriptor named by the configuration is not there.
    #[error("the gofer was not given the {what} it was promised at descriptor {fd}: {cause}")]
    Descriptor {
        /// Which one.
        what: &'static str,
        /// Its number.
        fd: RawFd,
        /// What the host said.
        cause: std::io::Error,
    },
    /// A system call of the set-up failed.
    #[error("cannot {what}: {cause}")]
    Setup {
        /// What was tried.
        what: &'static str,
        /// What the host said.
        cause: rustix::io::Errno,
    },
    /// Confinement failed.
    #[error(transparent)]
    Confine(#[from] ConfineError),
    /// The connection failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// A descriptor of this process's `/proc/self/fd` that works without `/proc` being mounted anywhere in sight.
///
/// Mounts a procfs of its own, showing only this process's pid namespace and attached nowhere; where that is refused, opens
/// the one at `/proc`. Must be called by the process that will serve, as the directory is that of its opener.
///
/// # Errors
/// `ENOENT` and whatever opening says, if there is neither.
pub fn open_proc_self_fd() -> Result<std::os::fd::OwnedFd, rustix::io::Errno> {
    use rustix::fs::{Mode, OFlags};
    use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let private = || {
        let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&context)?;
        let attrs = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attrs)?;
        rustix::fs::openat(&mount, "self/fd", flags, Mode::empty())
    };
    private().or_else(|_| rustix::fs::open("/proc/self/fd", flags, Mode::empty()))
}

/// Lives the life of a gofer process: returns when the sentry has closed its end.
///
/// The caller is a fresh process in namespaces of its own, already pivoted. Afterwards it can do nothing but end.
///
/// # Errors
/// [`GoferError`] if something promised is missing, confinement is refused or the connection breaks.
pub fn run(config: &GoferConfig) -> Result<Counters, GoferError> {
    let take = |what, fd| host::inherit::take(fd).map_err(|cause| GoferError::Descriptor { what, fd, cause });
    let setup = |what| move |cause| GoferError::Setup { what, cause };
    let socket = take("request socket", config.socket)?;
    let events = config.events.map(|fd| take("event socket", fd)).transpose()?;
    let proc_dir = match config.proc_self_fd {
        Some(fd) => take("directory of descriptors", fd)?,
        None => open_proc_self_fd().map_err(setup("open /proc/self/fd"))?,
    };
    let mut trees = Vec::new();
    for t in &config.trees {
        trees.push(Tree { root: take("tree", t.fd)?, readonly: t.readonly });
    }
    let limit = confine::raise_descriptor_limit();
    rustix::process::umask(rustix::fs::Mode::empty());
    // Paths of held files are then "N", with no /proc in sight.
    rustix::process::fchdir(&proc_dir).map_err(setup("enter /proc/self/fd"))?;
    confine::drop_privileges(&config.policy)?;
    let server = Server::new(trees, config.policy, ProcFd::relative(proc_dir), limit);
    confine::install_filter(&config.policy, config.filter)?;
    host::map::forget_code();
    Ok(serve(server, &socket, events.as_ref())?)
}
