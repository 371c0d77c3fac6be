//! Files of the host, behind a gofer.
//!
//! A [`Connection`] is a gofer's client with the thread that listens to its news; [`attach`] makes a file system of one of
//! its trees. [`GoferInode`] is a file: it keeps the gofer's handle and what is known about the file. Regular files are read,
//! written and mapped through descriptors that the gofer donated, so their data come straight from the host's page cache.
//!
//! **Asking little.** A walk resolves all its components in one message; the answers wait in a stash for the look-ups that
//! follow. Names are cached by the VFS, absent ones too, because the gofer watches every directory that was looked into: a name
//! that it reports is *stale* and asked about once more. Of attributes the inode keeps a copy, which every answer renews. Of a
//! file that is open, size and times come from the donated descriptor after it was written to.
//!
//! **Access.** [`Access::Exclusive`]: nobody else changes the tree much; nothing is asked again but what the gofer reports.
//! [`Access::Shared`]: each walk asks again, all its components in one message; what was said less than [`FRESH`] ago is taken
//! for true, so that a `stat` does not ask a second time for what its own walk has just been told.
//!
//! **Lock order:** an inode's `io` ([`rank::INODE`]), then a round trip ([`rank::GOFER`]), then `state`, the stash, and stale names
//! (leaves, never together, never held over a round trip), then the tables of inodes, which are taken when an inode is
//! dropped, under anything ([`rank::GOFER_CLOSES`]). The news thread takes leaves and round trips only.
//! **Invariants:** one inode for each file of the host, whatever its names: `(dev, ino)` is its key, and the gofer's handle keeps the
//! number from being used again. **Absent on purpose:** permission checks (the VFS does them on the attributes), following
//! links, a page cache.

mod convert;
mod dir;
mod inode;
mod lookup;
mod news;
mod regular;
#[cfg(test)]
mod tests;

pub use inode::GoferInode;
pub use news::Connection;

use abi::{Errno, stat::Statfs};
use gofer_client::Client;
use ksync::{Mutex, rank};
use lookup::{Listed, Stash};
use std::{
    any::Any,
    collections::{HashMap, VecDeque},
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use vfs::{FileSystem, Vfs, vfs::Mounted};

/// How long what is known of a shared tree counts as just asked.
pub const FRESH: Duration = Duration::from_millis(1);

/// Who else changes the tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Access {
    /// Nobody, but for rare changes that the gofer reports.
    #[default]
    Exclusive,
    /// Others, at any time.
    Shared,
}

/// How a tree is attached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Who else changes it.
    pub access: Access,
    /// Refuse changes (`EROFS`); the gofer's side may refuse them too.
    pub readonly: bool,
}

/// Host file: device and inode number.
pub(crate) type Key = (u64, u64);

/// One tree of a gofer.
pub struct GoferFs {
    connection: Arc<Connection>,
    vfs: Weak<Vfs>,
    dev: u64,
    options: Options,
    /// `MS_REMOUNT` made it read-only.
    read_only: AtomicBool,
    name: &'static str,
    magic: i64,
    /// Our device numbers by the host's.
    devices: Mutex<Vec<(u64, u64)>>,
    /// Live inodes. Taken when one is dropped.
    inodes: Mutex<HashMap<Key, Weak<GoferInode>>>,
    root: OnceLock<Weak<GoferInode>>,
    stash: Mutex<Stash>,
    /// Directories that were listed a short time ago.
    listed: Mutex<VecDeque<Listed>>,
    /// Counts changes of names that we know of.
    changes: AtomicU64,
    /// Counts those of others.
    news: AtomicU64,
    /// Donated descriptors that are kept, and how many may be by files that are not open.
    fds: AtomicUsize,
    fds_idle_max: usize,
}

/// The file system that tree `index` of the gofer is, and its root: a directory, or a file that is to be mounted over another.
pub fn attach(
    vfs: &Arc<Vfs>,
    connection: &Arc<Connection>,
    index: u32,
    options: Options,
) -> Result<Mounted, Errno> {
    let client = connection.client();
    let found = client.attach(index)?;
    let (name, magic) = client.statfs(&found.node).map_or(("gofer", 0), |s| {
        let magic = i64::try_from(s.kind).unwrap_or(0);
        (convert::fs_name(magic), magic)
    });
    let dev = vfs.new_dev();
    let fs = Arc::new(GoferFs {
        connection: connection.clone(),
        vfs: Arc::downgrade(vfs),
        dev,
        options,
        read_only: AtomicBool::new(options.readonly),
        name,
        magic,
        devices: Mutex::new(rank::LEAF, vec![(found.attr.dev, dev)]),
        inodes: Mutex::new(rank::GOFER_CLOSES, HashMap::new()),
        root: OnceLock::new(),
        stash: Mutex::new(rank::LEAF, Stash::default()),
        listed: Mutex::new(rank::LEAF, VecDeque::new()),
        changes: AtomicU64::new(0),
        news: AtomicU64::new(0),
        fds: AtomicUsize::new(0),
        fds_idle_max: usize::try_from(host::file::descriptor_limit() / 4).map_or(2048, |n| n.min(2048)),
    });
    let root = fs.inode(found)?;
    let _ = fs.root.set(Arc::downgrade(&root));
    Ok((fs, root))
}

impl GoferFs {
    fn client(&self) -> &Arc<Client> {
        self.connection.client()
    }

    fn shared(&self) -> bool {
        self.options.access == Access::Shared
    }

    /// Our number for the host's device `host`.
    fn device(&self, host: u64) -> u64 {
        let mut devices = self.devices.lock();
        if let Some((_, ours)) = devices.iter().find(|(theirs, _)| *theirs == host) {
            return *ours;
        }
        let ours = self.vfs.upgrade().map_or(self.dev, |vfs| vfs.new_dev());
        devices.push((host, ours));
        ours
    }

    fn live_inodes(&self) -> Vec<Arc<GoferInode>> {
        self.inodes.lock().values().filter_map(Weak::upgrade).collect()
    }

    fn live_inode(&self, key: Key) -> Option<Arc<GoferInode>> {
        self.inodes.lock().get(&key).and_then(Weak::upgrade)
    }
}

impl FileSystem for GoferFs {
    fn name(&self) -> &'static str {
        self.name
    }
    fn statfs(&self) -> Result<Statfs, Errno> {
        let root = self.root.get().and_then(Weak::upgrade).ok_or(Errno::EIO)?;
        let s = self.client().statfs(root.node())?;
        Ok(convert::statfs(&s, self.dev))
    }
    fn dev(&self) -> u64 {
        self.dev
    }
    fn read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }
    fn sync(&self) -> Result<(), Errno> {
        let mut result = Ok(());
        for inode in self.live_inodes() {
            if let Err(e) = inode.sync_data() {
                result = Err(e);
            }
        }
        result
    }
    fn remount(&self, read_only: bool, _: &str) -> Result<(), Errno> {
        if self.options.readonly && !read_only {
            return Err(Errno::EROFS);
        }
        self.read_only.store(read_only, Ordering::Relaxed);
        Ok(())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl GoferFs {
    /// The host's file system type, a `*_MAGIC` number; 0 if the host did not say.
    pub fn magic(&self) -> i64 {
        self.magic
    }
}
