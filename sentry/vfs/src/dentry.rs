//! Dentries: names in the tree, and the cache of them. [`Path`]: a dentry on a mount.
//!
//! A dentry is positive (has an inode) or negative (known to be absent). Children are kept by their parent; a
//! dentry keeps its parent. The root of a file system and unlinked dentries have no place in a parent's table.
//!
//! **Lock order:** [`rank::DENTRY`], parent before child.

use crate::{Inode, Mount};
use abi::Errno;
use ksync::{Mutex, rank};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

/// A name in the tree.
pub struct Dentry {
    state: Mutex<State>,
    /// How many mounts, in any namespace, have this dentry as mount point.
    pub(crate) mounts: AtomicU32,
    /// Removed from the tree (unlink, rmdir, or replaced by rename).
    pub(crate) unlinked: AtomicBool,
}

pub(crate) struct State {
    pub name: Arc<[u8]>,
    pub parent: Option<Arc<Dentry>>,
    pub inode: Option<Arc<dyn Inode>>,
    pub children: HashMap<Arc<[u8]>, Arc<Dentry>>,
}

impl Dentry {
    /// The root of a file system, or a dentry that is in no directory (pipes, sockets).
    pub fn root(inode: Arc<dyn Inode>) -> Arc<Self> {
        Self::detached(b"/", inode)
    }

    /// A dentry called `name` without a parent.
    pub fn detached(name: &[u8], inode: Arc<dyn Inode>) -> Arc<Self> {
        Self::make(name.into(), None, Some(inode))
    }

    pub(crate) fn make(
        name: Arc<[u8]>,
        parent: Option<Arc<Dentry>>,
        inode: Option<Arc<dyn Inode>>,
    ) -> Arc<Self> {
        let state = State { name, parent, inode, children: HashMap::new() };
        Arc::new(Self {
            state: Mutex::new(rank::DENTRY, state),
            mounts: AtomicU32::new(0),
            unlinked: AtomicBool::new(false),
        })
    }

    pub(crate) fn state(&self) -> &Mutex<State> {
        &self.state
    }

    /// Its last component.
    pub fn name(&self) -> Arc<[u8]> {
        self.state.lock().name.clone()
    }

    /// The directory that it is in; none for roots.
    pub fn parent(&self) -> Option<Arc<Dentry>> {
        self.state.lock().parent.clone()
    }

    /// The inode; `ENOENT` for a negative dentry.
    pub fn inode(&self) -> Result<Arc<dyn Inode>, Errno> {
        self.state.lock().inode.clone().ok_or(Errno::ENOENT)
    }

    /// Whether it was removed from the tree.
    pub fn is_unlinked(&self) -> bool {
        self.unlinked.load(Ordering::Acquire)
    }
}

/// A place: a positive dentry on a mount.
#[derive(Clone)]
pub struct Path {
    mount: Arc<Mount>,
    dentry: Arc<Dentry>,
    /// Kept so that a file that is open has its inode whatever becomes of the dentry.
    inode: Arc<dyn Inode>,
}

impl Path {
    /// `dentry`, which must be positive, on `mount`; `ENOENT`.
    pub fn new(mount: Arc<Mount>, dentry: Arc<Dentry>) -> Result<Self, Errno> {
        let inode = dentry.inode()?;
        Ok(Self { mount, dentry, inode })
    }
    /// The mount.
    pub fn mount(&self) -> &Arc<Mount> {
        &self.mount
    }
    /// The dentry.
    pub fn dentry(&self) -> &Arc<Dentry> {
        &self.dentry
    }
    /// The inode.
    pub fn inode(&self) -> Arc<dyn Inode> {
        self.inode.clone()
    }
    /// Whether both name the same dentry of the same mount.
    pub fn same(&self, other: &Path) -> bool {
        Arc::ptr_eq(&self.dentry, &other.dentry) && Arc::ptr_eq(&self.mount, &other.mount)
    }
}

impl std::fmt::Debug for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Path({})", String::from_utf8_lossy(&self.dentry.name()))
    }
}
