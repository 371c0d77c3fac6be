//! The file system's root, its queues as inodes, and queues as open files.

use super::{Charge, Queue, new_queue};
use abi::{
    Errno,
    ipc::MqAttr,
    stat::{FileType, MQUEUE_MAGIC, Statfs},
};
use kernel::{Task, ipc::IpcNamespace};
use ksync::{Mutex, Ready, WaitQueue, rank};
use mem::IoDst;
use std::{
    any::Any,
    collections::BTreeMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};
use vfs::{
    Attr, DirEntry, DirSink, File, FileOps, FileSystem, Gid, Inode, InodeCommon, NewKind, NewNode,
    OpenRequest, SetAttr, Uid, Vfs, clock,
};

/// What `st_size` is of a queue.
const FILE_SIZE: u64 = 80;
/// What `st_size` of the root counts for each entry.
const ENTRY_SIZE: u64 = 20;
const ROOT_INO: u64 = 1;

/// The file system of one namespace.
pub struct MqueueFs {
    dev: u64,
    me: Weak<MqueueFs>,
    ns: Weak<IpcNamespace>,
    root: Mutex<Option<Arc<MqInode>>>,
    next_ino: AtomicU64,
}

impl MqueueFs {
    pub(super) fn new(vfs: &Vfs, ns: &Arc<IpcNamespace>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            dev: vfs.new_dev(),
            me: me.clone(),
            ns: Arc::downgrade(ns),
            root: Mutex::new(rank::LEAF, None),
            next_ino: AtomicU64::new(ROOT_INO + 1),
        })
    }

    /// The root directory.
    pub(super) fn root(&self) -> Arc<MqInode> {
        let owner = self.ns.upgrade().map(|ns| ns.user_ns.clone());
        let ids = owner.map(|ns| (ns.uid(0).unwrap_or_default(), ns.gid(0).unwrap_or_default()));
        let (uid, gid) = ids.unwrap_or((Uid::ROOT, Gid::ROOT));
        let mut root = self.root.lock();
        root.get_or_insert_with(|| {
            let mode = FileType::Directory.to_mode() | 0o1777;
            MqInode::make(
                &self.me,
                Kind::Root(Mutex::new(rank::INODE, Entries::default())),
                ROOT_INO,
                mode,
                uid,
                gid,
            )
        })
        .clone()
    }
}

impl FileSystem for MqueueFs {
    fn name(&self) -> &'static str {
        "mqueue"
    }
    fn statfs(&self) -> Result<Statfs, Errno> {
        Ok(Statfs {
            f_type: MQUEUE_MAGIC,
            f_bsize: 4096,
            f_frsize: 4096,
            f_namelen: 255,
            ..Statfs::default()
        })
    }
    fn dev(&self) -> u64 {
        self.dev
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[derive(Default)]
struct Entries {
    by_name: BTreeMap<Vec<u8>, Arc<MqInode>>,
}

enum Kind {
    Root(Mutex<Entries>),
    Queue { queue: Queue, ns: Weak<IpcNamespace>, _charge: Charge },
}

/// The root, or a queue.
pub struct MqInode {
    common: InodeCommon,
    /// Weak, since the file system has its root.
    fs: Weak<MqueueFs>,
    kind: Kind,
    attr: Mutex<Attr>,
}

impl MqInode {
    fn make(fs: &Weak<MqueueFs>, kind: Kind, ino: u64, mode: u32, uid: Uid, gid: Gid) -> Arc<Self> {
        let now = clock::now();
        let is_root = matches!(kind, Kind::Root(_));
        let attr = Attr {
            dev: fs.upgrade().map_or(0, |fs| fs.dev),
            ino,
            mode,
            nlink: if is_root { 2 } else { 1 },
            uid,
            gid,
            size: if is_root { 2 * ENTRY_SIZE } else { FILE_SIZE },
            blksize: 4096,
            atime: now,
            mtime: now,
            ctime: now,
            ..Attr::default()
        };
        Arc::new(Self {
            common: InodeCommon::default(),
            fs: fs.clone(),
            kind,
            attr: Mutex::new(rank::LEAF, attr),
        })
    }

    /// The queue; `EBADF` for the root.
    pub fn queue(&self) -> Result<&Queue, Errno> {
        match &self.kind {
            Kind::Queue { queue, .. } => Ok(queue),
            Kind::Root(_) => Err(Errno::EBADF),
        }
    }

    /// Messages have moved, or flags were changed.
    pub fn touch(&self, contents: bool) {
        let now = clock::now();
        let mut attr = self.attr.lock();
        (attr.atime, attr.ctime) = (now, now);
        if contents {
            attr.mtime = now;
        }
    }

    /// An entry came or went.
    fn entries_changed(&self, count: usize) {
        let now = clock::now();
        let mut attr = self.attr.lock();
        (attr.atime, attr.mtime, attr.ctime) = (now, now, now);
        attr.size = (count as u64 + 2) * ENTRY_SIZE;
    }

    /// Makes the queue `name` in this root.
    pub(super) fn create_queue(
        &self,
        task: &Task,
        ns: &Arc<IpcNamespace>,
        name: &[u8],
        new: &NewNode,
        asked: Option<&MqAttr>,
    ) -> Result<Arc<dyn Inode>, Errno> {
        let Kind::Root(entries) = &self.kind else { return Err(Errno::ENOTDIR) };
        let fs = self.fs.upgrade().ok_or(Errno::EACCES)?;
        let (queue, charge) = new_queue(task, ns, asked)?;
        ns.mq.queues.fetch_add(1, Ordering::Relaxed);
        let kind = Kind::Queue { queue, ns: Arc::downgrade(ns), _charge: charge };
        let ino = fs.next_ino.fetch_add(1, Ordering::Relaxed);
        let mode = FileType::Regular.to_mode() | new.mode & 0o7777;
        let made = Self::make(&self.fs, kind, ino, mode, new.uid, new.gid);
        let mut entries = entries.lock();
        if entries.by_name.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        entries.by_name.insert(name.to_vec(), made.clone());
        let count = entries.by_name.len();
        drop(entries);
        self.entries_changed(count);
        Ok(made)
    }
}

impl Drop for MqInode {
    fn drop(&mut self) {
        if let Kind::Queue { ns, .. } = &self.kind
            && let Some(ns) = ns.upgrade()
        {
            ns.mq.queues.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Stands for the file system of an inode that has outlived it.
fn gone() -> Arc<dyn FileSystem> {
    Arc::new_cyclic(|me| MqueueFs {
        dev: 0,
        me: me.clone(),
        ns: Weak::new(),
        root: Mutex::new(rank::LEAF, None),
        next_ino: AtomicU64::new(ROOT_INO + 1),
    })
}

impl Inode for MqInode {
    fn common(&self) -> &InodeCommon {
        &self.common
    }
    fn fs(&self) -> Arc<dyn FileSystem> {
        self.fs.upgrade().map_or_else(gone, |fs| fs as Arc<dyn FileSystem>)
    }
    fn file_type(&self) -> FileType {
        match self.kind {
            Kind::Root(_) => FileType::Directory,
            Kind::Queue { .. } => FileType::Regular,
        }
    }
    fn attr(&self) -> Result<Attr, Errno> {
        Ok(*self.attr.lock())
    }
    fn set_attr(&self, change: &SetAttr) -> Result<(), Errno> {
        self.attr.lock().apply(change, clock::now());
        Ok(())
    }
    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let Kind::Root(entries) = &self.kind else { return Err(Errno::ENOTDIR) };
        let found = entries.lock().by_name.get(name).cloned();
        Ok(found.ok_or(Errno::ENOENT)?)
    }
    fn create(&self, name: &[u8], new: &NewNode) -> Result<Arc<dyn Inode>, Errno> {
        if !matches!(new.kind, NewKind::Regular) {
            return Err(Errno::EPERM);
        }
        let task = kernel::current().ok_or(Errno::EPERM)?;
        let ns = self.fs.upgrade().and_then(|fs| fs.ns.upgrade()).ok_or(Errno::EACCES)?;
        self.create_queue(&task, &ns, name, new, None)
    }
    fn unlink(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        let Kind::Root(entries) = &self.kind else { return Err(Errno::ENOTDIR) };
        let (removed, count) = {
            let mut entries = entries.lock();
            (entries.by_name.remove(name), entries.by_name.len())
        };
        self.entries_changed(count);
        drop(removed);
        if let Some(queue) = target.as_any().downcast_ref::<MqInode>() {
            let mut attr = queue.attr.lock();
            attr.nlink = 0;
            attr.ctime = clock::now();
        }
        Ok(())
    }
    fn open(self: Arc<Self>, _: &OpenRequest<'_>) -> Result<Box<dyn FileOps>, Errno> {
        Ok(match self.kind {
            Kind::Root(_) => Box::new(OpenRoot(self)),
            Kind::Queue { .. } => Box::new(MqFile(self)),
        })
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The open root. Positions are those of the sorted names.
struct OpenRoot(Arc<MqInode>);

impl FileOps for OpenRoot {
    fn read(&self, _: &File, _: &mut IoDst<'_>) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }
    fn read_at(&self, _: &File, _: u64, _: &mut IoDst<'_>) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }
    fn read_dir(&self, _: &File, pos: &mut u64, sink: &mut DirSink<'_>) -> Result<(), Errno> {
        let Kind::Root(entries) = &self.0.kind else { return Err(Errno::ENOTDIR) };
        let mut all: Vec<(u64, FileType, Vec<u8>)> = vec![
            (ROOT_INO, FileType::Directory, b".".to_vec()),
            (ROOT_INO, FileType::Directory, b"..".to_vec()),
        ];
        let named = |(name, inode): (&Vec<u8>, &Arc<MqInode>)| {
            (inode.attr.lock().ino, FileType::Regular, name.clone())
        };
        all.extend(entries.lock().by_name.iter().map(named));
        let from = usize::try_from(*pos).unwrap_or(usize::MAX);
        for (ino, kind, name) in all.into_iter().skip(from) {
            if !sink(DirEntry { ino, next: *pos + 1, kind: Some(kind), name: &name }) {
                break;
            }
            *pos += 1;
        }
        Ok(())
    }
    fn fsync(&self, _: &File, _: bool) -> Result<(), Errno> {
        Ok(())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// An open queue.
pub struct MqFile(Arc<MqInode>);

impl MqFile {
    /// The queue's inode.
    pub fn inode(&self) -> &Arc<MqInode> {
        &self.0
    }
}

impl FileOps for MqFile {
    fn read_at(&self, _: &File, offset: u64, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let reader = kernel::current().map(|task| task.pid_namespace());
        let text = self.0.queue()?.describe(reader.as_deref());
        let rest = usize::try_from(offset).ok().and_then(|at| text.as_bytes().get(at..)).unwrap_or_default();
        let n = if rest.is_empty() { 0 } else { dst.put(rest)? };
        self.0.touch(false);
        Ok(n)
    }
    fn write_at(&self, _: &File, _: u64, _: &mut mem::IoSrc<'_>) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }
    fn ready(&self, _: &File) -> Ready {
        self.0.queue().map_or(Ready::empty(), Queue::ready)
    }
    fn wait_queue(&self) -> Option<&WaitQueue> {
        self.0.queue().ok().map(|q| &q.changed)
    }
    fn flush(&self, _: &File) -> Result<(), Errno> {
        if let (Some(task), Ok(queue)) = (kernel::current(), self.0.queue()) {
            queue.forget_notification(&task.group);
        }
        Ok(())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
