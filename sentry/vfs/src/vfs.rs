//! [`Vfs`]: what there is once in a sandbox.

use crate::{
    FileOps, FileSystem, Inode, Mount, OpenRequest, Path, SuperBlock, WalkContext,
    anon::AnonFiles,
    devices::{DeviceKind, Devices},
    mount::{MountTable, new_table},
};
use abi::{
    Errno,
    process::MountFlags,
    stat::{FileType, dev},
};
use ksync::{Mutex, rank};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

/// What a file system is made from.
pub struct MountArgs<'a> {
    /// Who mounts, and how names among the options are resolved.
    pub ctx: &'a WalkContext,
    /// What is mounted.
    pub source: &'a [u8],
    /// `MS_*`.
    pub flags: MountFlags,
    /// Options, comma separated.
    pub data: &'a str,
}

/// A file system and its root.
pub type Mounted = (Arc<dyn FileSystem>, Arc<dyn Inode>);

type MountFn = dyn Fn(&MountArgs<'_>) -> Result<Mounted, Errno> + Send + Sync;

/// A type of file system that `mount(2)` knows.
#[derive(Clone)]
pub struct FileSystemType {
    /// As in `/proc/filesystems`.
    pub name: &'static str,
    /// May be mounted by whoever has `CAP_SYS_ADMIN` in its user namespace (`FS_USERNS_MOUNT`).
    pub user_mountable: bool,
    /// Does not live on a block device.
    pub nodev: bool,
    /// Makes one, or gives the one that there is.
    pub mount: Arc<MountFn>,
}

/// Opens FIFOs: the queue behind one belongs to the crate above.
pub type FifoOpen = dyn Fn(&OpenRequest<'_>) -> Result<Box<dyn FileOps>, Errno> + Send + Sync;

/// `/proc/sys/fs`: as Linux distributions set it.
#[derive(Debug)]
#[allow(missing_docs, reason = "names of proc_sys_fs(5)")]
pub struct Sysctl {
    pub protected_symlinks: AtomicBool,
    pub protected_hardlinks: AtomicBool,
    pub protected_fifos: AtomicU32,
    pub protected_regular: AtomicU32,
}

impl Default for Sysctl {
    fn default() -> Self {
        Self {
            protected_symlinks: AtomicBool::new(true),
            protected_hardlinks: AtomicBool::new(true),
            protected_fifos: AtomicU32::new(1),
            protected_regular: AtomicU32::new(2),
        }
    }
}

/// The file systems of a sandbox.
pub struct Vfs {
    pub(crate) table: Arc<MountTable>,
    types: Mutex<BTreeMap<&'static str, FileSystemType>>,
    /// Mounted file systems by address, so that a second mount of one shares its dentries.
    supers: Mutex<HashMap<usize, Weak<SuperBlock>>>,
    /// Drivers of device nodes.
    pub devices: Devices,
    /// What opens FIFOs.
    pub fifo_open: OnceLock<Box<FifoOpen>>,
    /// Settings.
    pub sysctl: Sysctl,
    next_dev: AtomicU32,
    next_ino: AtomicU64,
    pub(crate) anon: OnceLock<AnonFiles>,
}

impl Vfs {
    /// Nothing mounted, no file system type, no driver.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            table: new_table(),
            types: Mutex::new(rank::LEAF, BTreeMap::new()),
            supers: Mutex::new(rank::LEAF, HashMap::new()),
            devices: Devices::default(),
            fifo_open: OnceLock::new(),
            sysctl: Sysctl::default(),
            next_dev: AtomicU32::new(1),
            next_ino: AtomicU64::new(1),
            anon: OnceLock::new(),
        })
    }

    /// A device number for a file system without a device.
    pub fn new_dev(&self) -> u64 {
        dev::makedev(dev::UNNAMED_MAJOR, self.next_dev.fetch_add(1, Ordering::Relaxed))
    }

    /// A number for an inode of pipefs, sockfs and the like, unique in the sandbox.
    pub fn new_ino(&self) -> u64 {
        self.next_ino.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes a type of file system known; a later one of the same name replaces it.
    pub fn register_type(&self, kind: FileSystemType) {
        self.types.lock().insert(kind.name, kind);
    }

    /// The type `name`; `ENODEV`.
    pub fn fs_type(&self, name: &[u8]) -> Result<FileSystemType, Errno> {
        let name = std::str::from_utf8(name).map_err(|_| Errno::ENODEV)?;
        self.types.lock().get(name).cloned().ok_or(Errno::ENODEV)
    }

    /// All types in order of their names (`/proc/filesystems`).
    pub fn fs_types(&self) -> Vec<FileSystemType> {
        self.types.lock().values().cloned().collect()
    }

    /// The super block of `fs`, the same for all mounts of it.
    pub fn super_block(&self, (fs, root): Mounted) -> Arc<SuperBlock> {
        let key = Arc::as_ptr(&fs) as *const () as usize;
        // Outlives the lock: dropping the last reference takes a tree apart.
        let known;
        let mut supers = self.supers.lock();
        known = supers.get(&key).and_then(Weak::upgrade);
        if let Some(sb) =
            known.as_ref().filter(|sb| sb.root.inode_ref().is_some_and(|r| Arc::ptr_eq(r, &root)))
        {
            return sb.clone();
        }
        supers.retain(|_, sb| sb.strong_count() > 0);
        let sb = SuperBlock::new(fs, root);
        supers.insert(key, Arc::downgrade(&sb));
        sb
    }

    /// A mount that is in no namespace: for what the kernel itself keeps on a file system (memfds, shared memory).
    pub fn kernel_mount(&self, fs: Mounted, name: &str) -> Arc<Mount> {
        let sb = self.super_block(fs);
        let id = self.table.write().next_mount_id();
        let root = sb.root.clone();
        let mount = Mount::make(&self.table, id, sb, root, name.as_bytes().into(), MountFlags::empty());
        mount.set_internal();
        mount
    }

    /// Opens a device node; `ENXIO` for a socket.
    pub(crate) fn open_special(&self, request: &OpenRequest<'_>) -> Result<Box<dyn FileOps>, Errno> {
        let inode = request.path.inode_ref();
        let kind = match inode.file_type() {
            FileType::CharDevice => DeviceKind::Char,
            FileType::BlockDevice => DeviceKind::Block,
            _ => return Err(Errno::ENXIO),
        };
        let rdev = inode.attr()?.rdev;
        let (major, minor) = (dev::major(rdev), dev::minor(rdev));
        self.devices.find(kind, major, minor)?.open(request, major, minor)
    }

    /// A context for the kernel's own lookups, from the root of `root`.
    pub fn context(self: &Arc<Self>, root: Path, cred: Arc<crate::Credentials>) -> WalkContext {
        WalkContext { vfs: self.clone(), start: root.clone(), root, cred, umask: 0 }
    }
}
