//! Mounts and mount namespaces (`mount_namespaces(7)`).
//!
//! A [`Mount`] is one tree of a file system in use; where it is attached, what it propagates to and which namespace it is
//! in is kept in one table for the whole sandbox, in the private module `topology`, behind the lock of [`rank::MOUNTS`]. An
//! attached mount is owned by that table; a detached one lives as long as something is open on it. A [`MountNamespace`]
//! takes its mounts out of the table when it is dropped.
//!
//! [`ops`] has what `mount(2)`, `umount2(2)`, `pivot_root(2)` and their relatives do, [`api`] the descriptor-based calls, [`show`] what `/proc/PID/mountinfo` and its relatives print.
//!
//! **Lock order:** the table ([`rank::MOUNTS`]) is taken without any lock of [`rank::RENAME`] or later, so a mount namespace
//! must not be dropped under one either.

pub mod api;
pub mod ops;
mod propagation;
pub mod show;
pub(crate) mod topology;

use crate::{Dentry, FileSystem, Path, SuperBlock, UserNamespace, cred::next_namespace_id};
use abi::{Errno, process::MountFlags, stat::StatfsFlags};
use ksync::{RwLock, WaitQueue, rank};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};
use topology::Topology;

/// The table of all mounts of a sandbox.
pub(crate) type MountTable = RwLock<Topology>;

/// An empty table.
pub(crate) fn new_table() -> Arc<MountTable> {
    Arc::new(RwLock::new(rank::MOUNTS, Topology::default()))
}

/// One mounted tree.
pub struct Mount {
    /// `mnt_id` of `/proc/pid/mountinfo`.
    pub id: u64,
    /// The file system.
    pub fs: Arc<dyn FileSystem>,
    /// The same with its tree.
    pub sb: Arc<SuperBlock>,
    /// The dentry of the file system that is the root of this mount.
    pub root: Arc<Dentry>,
    /// What was mounted, as `mount(2)` was given it.
    pub source: Arc<[u8]>,
    flags: AtomicU64,
    /// `MNT_EXPIRE` was asked for and nobody came by since.
    expiring: AtomicBool,
    /// Open files through which regular files can be written to: with one, it does not become read-only.
    pub(crate) writers: AtomicUsize,
    /// The kernel's own: attached nowhere, and never will be.
    internal: AtomicBool,
    pub(crate) table: Arc<MountTable>,
}

impl Mount {
    pub(crate) fn make(
        table: &Arc<MountTable>,
        id: u64,
        sb: Arc<SuperBlock>,
        root: Arc<Dentry>,
        source: Arc<[u8]>,
        flags: MountFlags,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            fs: sb.fs.clone(),
            sb,
            root,
            source,
            flags: AtomicU64::new((flags & MountFlags::PER_MOUNT).bits()),
            expiring: AtomicBool::new(false),
            writers: AtomicUsize::new(0),
            internal: AtomicBool::new(false),
            table: table.clone(),
        })
    }

    /// The flags of this mount alone ([`MountFlags::PER_MOUNT`]).
    pub fn flags(&self) -> MountFlags {
        MountFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    pub(crate) fn set_flags(&self, flags: MountFlags) {
        self.flags.store((flags & MountFlags::PER_MOUNT).bits(), Ordering::Relaxed);
    }

    /// Whether it is the kernel's own ([`Vfs::kernel_mount`](crate::Vfs::kernel_mount)).
    pub fn is_internal(&self) -> bool {
        self.internal.load(Ordering::Relaxed)
    }

    pub(crate) fn set_internal(&self) {
        self.internal.store(true, Ordering::Relaxed);
    }

    /// Whether nothing can be changed through it.
    pub fn read_only(&self) -> bool {
        self.flags().contains(MountFlags::RDONLY) || self.fs.read_only()
    }

    /// `EROFS` if nothing can be changed through it.
    pub fn want_write(&self) -> Result<(), Errno> {
        if self.read_only() { Err(Errno::EROFS) } else { Ok(()) }
    }

    /// `EBUSY` if it is to become read-only by `new` flags while files are open for writing.
    pub(crate) fn check_no_writers(&self, new: MountFlags) -> Result<(), Errno> {
        let becomes = new.contains(MountFlags::RDONLY) && !self.flags().contains(MountFlags::RDONLY);
        if becomes && self.writers.load(Ordering::Acquire) > 0 { Err(Errno::EBUSY) } else { Ok(()) }
    }

    /// Its flags as `statfs(2)` shows them.
    pub fn statfs_flags(&self) -> StatfsFlags {
        let f = self.flags();
        let mut shown = StatfsFlags::VALID;
        for (flag, as_shown) in [
            (MountFlags::NOSUID, StatfsFlags::NOSUID),
            (MountFlags::NODEV, StatfsFlags::NODEV),
            (MountFlags::NOEXEC, StatfsFlags::NOEXEC),
            (MountFlags::NOATIME, StatfsFlags::NOATIME),
            (MountFlags::NODIRATIME, StatfsFlags::NODIRATIME),
            (MountFlags::RELATIME, StatfsFlags::RELATIME),
            (MountFlags::NOSYMFOLLOW, StatfsFlags::NOSYMFOLLOW),
        ] {
            if f.contains(flag) {
                shown |= as_shown;
            }
        }
        if self.read_only() {
            shown |= StatfsFlags::RDONLY;
        }
        shown
    }

    /// Where it is attached; none for the root of a namespace and for detached mounts.
    pub fn mount_point(&self) -> Option<Path> {
        self.table.read().place(self.id)
    }

    /// What is mounted right on `dentry` of this mount.
    pub(crate) fn mounted_on(&self, dentry: &Arc<Dentry>) -> Option<Arc<Mount>> {
        let found = self.table.read().child_at(self.id, dentry)?;
        found.expiring.store(false, Ordering::Relaxed);
        Some(found)
    }

    /// The number of the namespace that it is attached in.
    pub fn namespace_id(&self) -> Option<u64> {
        self.table.read().namespace_of(self.id)
    }
}

/// The top of what is mounted at `path`.
pub(crate) fn topmost(mut path: Path) -> Path {
    while path.dentry().is_mount_point() {
        let Some(mount) = path.mount().mounted_on(path.dentry()) else { break };
        let root = mount.root.clone();
        match Path::new(mount, root) {
            Ok(next) => path = next,
            Err(_) => break,
        }
    }
    path
}

/// What `poll(2)` of `/proc/PID/mounts` waits for.
#[derive(Default)]
pub struct NamespaceEvents {
    /// Changes so far.
    pub count: AtomicU64,
    /// Told of each.
    pub queue: WaitQueue,
}

/// A mount namespace. While it lives, so do its mounts.
pub struct MountNamespace {
    /// Its number in `/proc/pid/ns/mnt`.
    pub id: u64,
    /// Who owns it.
    pub user_ns: Arc<UserNamespace>,
    /// Counts changes.
    pub events: Arc<NamespaceEvents>,
    table: Arc<MountTable>,
}

impl MountNamespace {
    fn make(table: &Arc<MountTable>, user_ns: Arc<UserNamespace>) -> Self {
        Self { id: next_namespace_id(), user_ns, events: Arc::default(), table: table.clone() }
    }

    /// The top of what is mounted at its root: where a process that joins it has its root.
    pub fn root(&self) -> Option<Path> {
        let mount = self.table.read().namespace_root(self.id)?;
        let root = mount.root.clone();
        Path::new(mount, root).ok().map(topmost)
    }

    /// All its mounts, parents before children.
    pub fn mounts(&self) -> Vec<Arc<Mount>> {
        let table = self.table.read();
        let Some(root) = table.namespace_root(self.id) else { return Vec::new() };
        table.subtree(root.id).into_iter().filter_map(|id| table.mount(id)).collect()
    }
}

impl Drop for MountNamespace {
    fn drop(&mut self) {
        let gone = self.table.write().dissolve(self.id);
        drop(gone);
    }
}

/// Which mount was copied to which.
#[derive(Default)]
pub struct MountCopies(Vec<(u64, Arc<Mount>)>);

impl MountCopies {
    /// The same place on the copy; none if its mount was not copied.
    pub fn translate(&self, path: &Path) -> Option<Path> {
        let (_, mount) = self.0.iter().find(|(id, _)| *id == path.mount().id)?;
        Path::new(mount.clone(), path.dentry().clone()).ok()
    }
}
