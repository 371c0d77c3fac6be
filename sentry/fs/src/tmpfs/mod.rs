//! tmpfs (`tmpfs(5)`): files in the sandbox' memory; what is in regular files may be in a store (a file of the host's) instead.
//!
//! [`Tmpfs`] is one such file system with its limits, `TmpfsInode` everything in it. Directories own their entries, the
//! super block's dentry owns the root, so an inode goes with its last name and its last open file. File data are memory
//! objects, so they are mapped like any other memory.
//!
//! **Lock order:** an inode's `meta` ([`ksync::rank::INODE`]), one at a time: the VFS keeps changes of directories apart by
//! its own locks. It is never held while data move.
//! **Absent on purpose:** swap, huge pages, quotas: their mount options are accepted and do nothing.

mod dir;
mod file;
mod inode;
#[cfg(test)]
mod mount_tests;
mod options;
#[cfg(test)]
pub(crate) mod tests;

pub use inode::TmpfsInode;
pub use options::Options;

use abi::{
    Errno,
    process::MountFlags,
    stat::{Statfs, TMPFS_MAGIC},
};
use ksync::{Mutex, rank};
use mem::{MemoryFile, PAGE_SIZE, Store};
use mm::{MemoryObject, Quota};
use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use vfs::{FileSystem, FileSystemType, Inode, NewKind, NewNode, Vfs};

/// What a file system may use and does use.
pub(crate) struct Usage {
    max_bytes: AtomicU64,
    used_bytes: AtomicU64,
    max_inodes: AtomicU64,
    used_inodes: AtomicU64,
}

/// Adds `more` to `used` unless that exceeds `max` (0: no limit); `ENOSPC`.
fn take(used: &AtomicU64, max: &AtomicU64, more: u64) -> Result<(), Errno> {
    let max = max.load(Ordering::Relaxed);
    let fits = |used: u64| used.checked_add(more).filter(|sum| max == 0 || *sum <= max);
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map(|_| ()).map_err(|_| Errno::ENOSPC)
}

impl Quota for Usage {
    fn charge(&self, bytes: u64) -> Result<(), Errno> {
        take(&self.used_bytes, &self.max_bytes, bytes)
    }
    fn uncharge(&self, bytes: u64) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Usage {
    fn add_inode(&self) -> Result<(), Errno> {
        take(&self.used_inodes, &self.max_inodes, 1)
    }
    fn remove_inode(&self) {
        self.used_inodes.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A tmpfs.
pub struct Tmpfs {
    name: &'static str,
    dev: u64,
    memory: Arc<MemoryFile>,
    /// Where the data of regular files is, if it is not in memory.
    store: Option<Arc<Store>>,
    usage: Arc<Usage>,
    /// The limit on bytes was not given, so it is not shown.
    options: Mutex<Options>,
    read_only: AtomicBool,
    next_ino: AtomicU64,
}

impl Tmpfs {
    /// An empty file system and its root directory. `name` is `tmpfs`, or that of a file system that is one underneath.
    pub fn new(
        vfs: &Vfs,
        memory: &Arc<MemoryFile>,
        name: &'static str,
        options: &Options,
    ) -> Result<(Arc<Tmpfs>, Arc<TmpfsInode>), Errno> {
        Self::make(vfs, memory, None, name, options)
    }

    /// The same with the data of regular files in `store`.
    pub fn stored(
        vfs: &Vfs,
        memory: &Arc<MemoryFile>,
        store: Arc<Store>,
        options: &Options,
    ) -> Result<(Arc<Tmpfs>, Arc<TmpfsInode>), Errno> {
        Self::make(vfs, memory, Some(store), "tmpfs", options)
    }

    fn make(
        vfs: &Vfs,
        memory: &Arc<MemoryFile>,
        store: Option<Arc<Store>>,
        name: &'static str,
        options: &Options,
    ) -> Result<(Arc<Tmpfs>, Arc<TmpfsInode>), Errno> {
        let half = options::half_of(memory);
        let usage = Usage {
            max_bytes: AtomicU64::new(options.size.unwrap_or(half)),
            used_bytes: AtomicU64::new(0),
            max_inodes: AtomicU64::new(options.nr_inodes.unwrap_or(half / PAGE_SIZE)),
            used_inodes: AtomicU64::new(0),
        };
        let fs = Arc::new(Tmpfs {
            name,
            dev: vfs.new_dev(),
            memory: memory.clone(),
            store,
            usage: Arc::new(usage),
            options: Mutex::new(rank::FILESYSTEM, options.clone()),
            read_only: AtomicBool::new(false),
            next_ino: AtomicU64::new(1),
        });
        let new = NewNode {
            kind: NewKind::Directory,
            mode: options.mode.unwrap_or(0o1777),
            uid: options.uid,
            gid: options.gid,
        };
        let root = TmpfsInode::make(&fs, &new, 2)?;
        Ok((fs, root))
    }

    /// The data of a new regular file.
    fn new_data(&self) -> Arc<MemoryObject> {
        let quota: Option<Arc<dyn Quota>> = Some(self.usage.clone());
        match &self.store {
            Some(store) => MemoryObject::stored(store.clone(), quota),
            None => MemoryObject::with_quota(self.memory.clone(), quota),
        }
    }

    /// A regular file without a name: what is behind a memfd or a shared memory segment.
    pub fn unnamed_file(self: &Arc<Self>, new: &NewNode) -> Result<Arc<TmpfsInode>, Errno> {
        TmpfsInode::make(self, new, 0)
    }
}

impl FileSystem for Tmpfs {
    fn name(&self) -> &'static str {
        self.name
    }
    fn statfs(&self) -> Result<Statfs, Errno> {
        let load = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let blocks = load(&self.usage.max_bytes) / PAGE_SIZE;
        let free = blocks.saturating_sub(load(&self.usage.used_bytes).div_ceil(PAGE_SIZE));
        let files = load(&self.usage.max_inodes);
        Ok(Statfs {
            f_type: TMPFS_MAGIC,
            f_bsize: PAGE_SIZE as i64,
            f_frsize: PAGE_SIZE as i64,
            f_blocks: blocks,
            f_bfree: free,
            f_bavail: free,
            f_files: files,
            f_ffree: files.saturating_sub(load(&self.usage.used_inodes)),
            f_fsid: [self.dev as i32, (self.dev >> 32) as i32],
            f_namelen: 255,
            ..Statfs::default()
        })
    }
    fn dev(&self) -> u64 {
        self.dev
    }
    fn options(&self) -> String {
        self.options.lock().show()
    }
    fn read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }
    fn remount(&self, read_only: bool, data: &str) -> Result<(), Errno> {
        let mut options = self.options.lock();
        let new = Options::parse_over(&options, data, &self.memory)?;
        let below = |limit: Option<u64>, used: &AtomicU64| {
            limit.is_some_and(|l| l != 0 && l < used.load(Ordering::Relaxed))
        };
        if below(new.size, &self.usage.used_bytes) || below(new.nr_inodes, &self.usage.used_inodes) {
            return Err(Errno::EINVAL);
        }
        if let Some(size) = new.size {
            self.usage.max_bytes.store(size, Ordering::Relaxed);
        }
        if let Some(inodes) = new.nr_inodes {
            self.usage.max_inodes.store(inodes, Ordering::Relaxed);
        }
        *options = Options { mode: options.mode, uid: options.uid, gid: options.gid, ..new };
        self.read_only.store(read_only, Ordering::Relaxed);
        Ok(())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Makes the type known to `mount(2)`.
pub fn register(vfs: &Arc<Vfs>, memory: &Arc<MemoryFile>) {
    let memory = memory.clone();
    vfs.register_type(FileSystemType {
        name: "tmpfs",
        user_mountable: true,
        nodev: true,
        mount: Arc::new(move |args| {
            let mut options =
                Options { uid: args.ctx.cred.fsuid, gid: args.ctx.cred.fsgid, ..Options::default() };
            options = Options::parse_over(&options, args.data, &memory)?;
            let (fs, root) = Tmpfs::new(&args.ctx.vfs, &memory, "tmpfs", &options)?;
            fs.read_only.store(args.flags.contains(MountFlags::RDONLY), Ordering::Relaxed);
            let root: Arc<dyn Inode> = root;
            Ok((fs as Arc<dyn FileSystem>, root))
        }),
    });
}
