//! [`GoferInode`]: a file of the host.

use super::{FRESH, GoferFs, Key, convert, dir::DirFile, regular::RegularFile};
use abi::{
    Errno,
    fcntl::{OpenFlags, RenameFlags},
    stat::FileType,
};
use gofer_client::{self as gofer, Access as FdAccess, Donated, Found, Made, Node};
use ksync::{Mutex, rank};
use mem::MappingSet;
use std::{
    any::Any,
    collections::HashSet,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Instant,
};
use vfs::{Attr, FileOps, FileSystem, Inode, InodeCommon, NewKind, NewNode, OpenRequest, SetAttr, SetTime};

/// How many names of a directory can be stale before all are.
const STALE_MAX: usize = 1024;

/// Donated descriptors of a regular file.
#[derive(Default)]
struct Fds {
    /// Can at least be read.
    read: Option<Arc<OwnedFd>>,
    /// Can at least be written; the same as `read` where one can do both.
    write: Option<Arc<OwnedFd>>,
}

struct State {
    attr: Attr,
    /// `attr` is outdated: ask.
    stale: bool,
    /// When the gofer said so.
    asked: Instant,
    fds: Fds,
}

/// What a directory knows about its names.
#[derive(Default)]
struct Names {
    /// Names that changed since they were cached.
    stale: HashSet<Box<[u8]>>,
    /// All are to be asked about each time: news were lost.
    all: bool,
}

/// Extended attributes that are known to be absent, because the VFS asks for them again and again.
const ABSENT: [&[u8]; 3] = [b"security.capability", b"system.posix_acl_access", b"system.posix_acl_default"];

/// A file of the host.
pub struct GoferInode {
    me: Weak<GoferInode>,
    pub(super) fs: Arc<GoferFs>,
    pub(super) key: Key,
    kind: FileType,
    node: Node,
    /// The handle that carries the watch, if that is not `node`.
    watch_node: OnceLock<Node>,
    watched: AtomicBool,
    common: InodeCommon,
    state: Mutex<State>,
    names: Mutex<Names>,
    any_stale: AtomicBool,
    target: OnceLock<Vec<u8>>,
    /// Data went through a descriptor: size and times are to be looked at.
    dirty: AtomicBool,
    /// Such data are not on storage yet, as far as we know.
    unsynced: AtomicBool,
    /// Bits of [`ABSENT`].
    absent: AtomicU8,
    /// An `O_TMPFILE` that may not be linked.
    unlinkable: AtomicBool,
    /// Appends and changes of size, one at a time.
    pub(super) io: Mutex<()>,
    pub(super) maps: MappingSet,
}

impl GoferInode {
    pub(super) fn new(fs: &Arc<GoferFs>, found: &Found) -> Result<Arc<Self>, Errno> {
        let kind = FileType::from_mode(found.attr.mode).ok_or(Errno::EIO)?;
        let attr = convert::attr(fs, &found.attr);
        Ok(Arc::new_cyclic(|me| Self {
            me: me.clone(),
            fs: fs.clone(),
            key: (found.attr.dev, found.attr.ino),
            kind,
            node: found.node.clone(),
            watch_node: OnceLock::new(),
            watched: AtomicBool::new(false),
            common: InodeCommon::default(),
            state: Mutex::new(
                rank::LEAF,
                State { attr, stale: false, asked: Instant::now(), fds: Fds::default() },
            ),
            names: Mutex::new(rank::LEAF, Names::default()),
            any_stale: AtomicBool::new(false),
            target: OnceLock::new(),
            dirty: AtomicBool::new(false),
            unsynced: AtomicBool::new(false),
            absent: AtomicU8::new(0),
            unlinkable: AtomicBool::new(false),
            io: Mutex::new(rank::INODE, ()),
            maps: MappingSet::default(),
        }))
    }

    pub(super) fn arc(&self) -> Result<Arc<Self>, Errno> {
        self.me.upgrade().ok_or(Errno::EIO)
    }

    /// The gofer's handle.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The handle from which names are looked up: the one that is being watched.
    pub(super) fn walk_node(&self) -> &Node {
        self.watch_node.get().unwrap_or(&self.node)
    }

    /// A further handle of this file turned up: if it is being watched and ours is not, it is worth keeping.
    pub(super) fn another_node(&self, node: Node) {
        if self.kind == FileType::Directory && !self.watched.load(Ordering::Acquire) {
            let _ = self.watch_node.set(node);
        }
    }

    /// The gofer is watching this directory.
    pub(super) fn now_watched(&self) {
        if !self.watched.swap(true, Ordering::AcqRel) {
            self.fs.connection.watch(self.walk_node().id(), &self.me);
        }
    }

    /// The gofer is not watching it any more.
    pub(super) fn no_longer_watched(&self) {
        self.watched.store(false, Ordering::Release);
        self.all_stale();
    }

    /// New attributes from the gofer.
    pub(super) fn absorb(&self, new: &gofer::Attr) {
        let attr = convert::attr(&self.fs, new);
        let mut state = self.state.lock();
        let wrote = state.fds.write.is_some();
        state.attr = attr;
        state.stale = false;
        state.asked = Instant::now();
        drop(state);
        if wrote {
            // The answer may be older than our last write.
            self.dirty.store(true, Ordering::Release);
        }
    }

    /// The attributes are outdated.
    pub(super) fn outdated(&self) {
        self.absent.store(0, Ordering::Relaxed);
        self.state.lock().stale = true;
    }

    /// The attributes as they are cached.
    pub(super) fn cached_attr(&self) -> Attr {
        self.state.lock().attr
    }

    pub(super) fn forget_stale(&self, name: &[u8]) {
        self.take_stale(name);
    }

    /// Whether `name` is stale; it is not any more.
    pub(super) fn take_stale(&self, name: &[u8]) -> bool {
        if !self.any_stale.load(Ordering::Acquire) {
            return false;
        }
        let mut names = self.names.lock();
        names.stale.remove(name) || names.all
    }

    /// `name` is not what it was.
    pub(super) fn name_stale(&self, name: &[u8]) {
        let mut names = self.names.lock();
        if names.stale.len() >= STALE_MAX {
            names.stale.clear();
            names.all = true;
        }
        if !names.all {
            names.stale.insert(name.into());
        }
        drop(names);
        self.any_stale.store(true, Ordering::Release);
    }

    /// No name can be trusted.
    pub(super) fn all_stale(&self) {
        self.names.lock().all = true;
        self.any_stale.store(true, Ordering::Release);
        self.outdated();
    }

    pub(super) fn set_target(&self, target: Vec<u8>) {
        let _ = self.target.set(target);
    }

    /// Keeps a donated descriptor.
    pub(super) fn adopt(&self, donated: Donated) {
        let fd = Arc::new(donated.fd);
        let (read, write) =
            (donated.access.contains(FdAccess::READ), donated.access.contains(FdAccess::WRITE));
        let mut state = self.state.lock();
        let fds = &mut state.fds;
        let before = fds.count();
        let mut old = Vec::new();
        if read && (write || fds.read.is_none()) {
            old.extend(fds.read.replace(fd.clone()));
        }
        if write && (read || fds.write.is_none()) {
            old.extend(fds.write.replace(fd));
        }
        let after = fds.count();
        drop(state);
        self.fs.fds.fetch_add(after, Ordering::Relaxed);
        self.fs.fds.fetch_sub(before, Ordering::Relaxed);
    }

    /// A descriptor for reading.
    pub(super) fn read_fd(&self) -> Result<Arc<OwnedFd>, Errno> {
        let have = self.state.lock().fds.read.clone();
        match have {
            Some(fd) => Ok(fd),
            None => self.open_host(OpenFlags::RDONLY, |fds| fds.read.clone()),
        }
    }

    /// A descriptor for writing, and for reading too if that can be had.
    pub(super) fn write_fd(&self) -> Result<Arc<OwnedFd>, Errno> {
        let have = self.state.lock().fds.write.clone();
        if let Some(fd) = have {
            return Ok(fd);
        }
        match self.open_host(OpenFlags::RDWR, |fds| fds.write.clone()) {
            // The gofer is an ordinary user, and the file is its own but not readable.
            Err(Errno::EACCES) => self.open_host(OpenFlags::WRONLY, |fds| fds.write.clone()),
            other => other,
        }
    }

    fn open_host(
        &self,
        flags: OpenFlags,
        pick: impl FnOnce(&Fds) -> Option<Arc<OwnedFd>>,
    ) -> Result<Arc<OwnedFd>, Errno> {
        let (donated, attr) = self.fs.client().open(&self.node, flags.bits())?;
        self.adopt(donated);
        self.absorb(&attr);
        pick(&self.state.lock().fds).ok_or(Errno::EIO)
    }

    /// What there is, for looking at size and times.
    fn any_fd(&self) -> Option<Arc<OwnedFd>> {
        let state = self.state.lock();
        state.fds.write.clone().or_else(|| state.fds.read.clone())
    }

    /// Data went through a descriptor.
    pub(super) fn wrote(&self) {
        if !self.dirty.load(Ordering::Relaxed) {
            self.dirty.store(true, Ordering::Release);
        }
        if !self.unsynced.load(Ordering::Relaxed) {
            self.unsynced.store(true, Ordering::Release);
        }
    }

    /// Data were read through a descriptor: the host may have noted the time.
    pub(super) fn read(&self) {
        if !self.dirty.load(Ordering::Relaxed) {
            self.dirty.store(true, Ordering::Release);
        }
    }

    /// Takes size and times from a descriptor.
    fn look(&self, fd: &OwnedFd) -> Result<(), Errno> {
        self.dirty.store(false, Ordering::Release);
        let status = host::file::status(fd.as_fd()).map_err(convert::errno)?;
        let mut state = self.state.lock();
        let attr = &mut state.attr;
        attr.size = status.size;
        attr.blocks = status.blocks;
        attr.atime = convert::host_time(status.atime);
        attr.mtime = convert::host_time(status.mtime);
        attr.ctime = convert::host_time(status.ctime);
        Ok(())
    }

    /// The size now.
    pub(super) fn size(&self) -> Result<u64, Errno> {
        if let Some(fd) = self.any_fd() {
            return host::file::status(fd.as_fd()).map(|s| s.size).map_err(convert::errno);
        }
        self.attr().map(|a| a.size)
    }

    /// `fsync` of what was written.
    pub(super) fn sync_data(&self) -> Result<(), Errno> {
        if !self.unsynced.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        match self.any_fd() {
            Some(fd) => host::file::sync(fd.as_fd(), false).map_err(convert::errno),
            None => self.fs.client().fsync(&self.node, false),
        }
    }

    fn same_fs<'a>(&self, other: &'a Arc<dyn Inode>) -> Result<&'a GoferInode, Errno> {
        let other = other.as_any().downcast_ref::<GoferInode>().ok_or(Errno::EXDEV)?;
        if Arc::ptr_eq(&other.fs, &self.fs) { Ok(other) } else { Err(Errno::EXDEV) }
    }

    fn made(&self, name: &[u8], made: Made) -> Result<Arc<GoferInode>, Errno> {
        self.fs.changed_name(self.key, name);
        self.absorb(&made.dir);
        let inode = self.fs.inode_with(Found { node: made.node, attr: made.attr }, made.file)?;
        // A new file has no capabilities; those of a file that had this number are gone with it.
        inode.absent.fetch_or(1, Ordering::Relaxed);
        Ok(inode)
    }

    fn remove(&self, name: &[u8], target: &Arc<dyn Inode>, is_dir: bool) -> Result<(), Errno> {
        let victim = self.same_fs(target)?;
        let (dir, left) = self.fs.client().unlink(self.walk_node(), name, is_dir, Some(&victim.node))?;
        self.fs.changed_name(self.key, name);
        self.absorb(&dir);
        match left {
            Some(attr) => victim.absorb(&attr),
            None => victim.outdated(),
        }
        Ok(())
    }

    /// A non-blocking host socket connected to the host's Unix socket that this file is. `ECONNREFUSED` unless the gofer's policy
    /// allows it.
    pub fn connect(&self, kind: gofer::SocketKind) -> Result<OwnedFd, Errno> {
        self.fs.client().connect(&self.node, kind)
    }

    /// Runs `modify`, which changes data through a descriptor. The host takes set-id bits off then, since the sandbox has no
    /// capability there; bits that are still set here are meant to stay.
    pub(super) fn keeping_set_id<T>(&self, modify: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        let mode = self.cached_attr().mode & 0o7777;
        let done = modify();
        self.wrote();
        if mode & 0o6000 != 0 {
            self.set_attr(&SetAttr { mode: Some(mode), ..SetAttr::default() })?;
        }
        done
    }

    fn set_size(&self, change: &SetAttr, size: u64) -> Result<(), Errno> {
        let _io = self.io.lock();
        let only_size = change.mode.is_none()
            && change.uid.is_none()
            && change.gid.is_none()
            && change.atime.is_none()
            && matches!(change.mtime, None | Some(SetTime::Now));
        let have = self.state.lock().fds.write.clone();
        match have {
            // The host sets the times.
            Some(fd) if only_size => {
                self.keeping_set_id(|| host::memfd::set_len(fd.as_fd(), size).map_err(convert::errno))?;
            }
            _ => {
                let attr = self.fs.client().set_attr(&self.node, convert::set_attr(change))?;
                self.absorb(&attr);
                self.unsynced.store(true, Ordering::Release);
            }
        }
        Ok(())
    }
}

impl Fds {
    fn count(&self) -> usize {
        match (&self.read, &self.write) {
            (Some(r), Some(w)) if !Arc::ptr_eq(r, w) => 2,
            (None, None) => 0,
            _ => 1,
        }
    }
}

impl Inode for GoferInode {
    fn common(&self) -> &InodeCommon {
        &self.common
    }
    fn fs(&self) -> Arc<dyn FileSystem> {
        self.fs.clone()
    }
    fn file_type(&self) -> FileType {
        self.kind
    }
    fn attr(&self) -> Result<Attr, Errno> {
        let shared = self.fs.shared();
        let outdated = {
            let state = self.state.lock();
            state.stale || (shared && state.asked.elapsed() >= FRESH)
        };
        if outdated {
            let attr = self.fs.client().get_attr(&self.node)?;
            self.absorb(&attr);
        }
        if self.kind == FileType::Regular
            && (shared || self.dirty.load(Ordering::Acquire) || self.maps.has_writers())
            && let Some(fd) = self.any_fd()
        {
            self.look(&fd)?;
        }
        Ok(self.cached_attr())
    }
    fn set_attr(&self, change: &SetAttr) -> Result<(), Errno> {
        let Some(size) = change.size else {
            let attr = self.fs.client().set_attr(&self.node, convert::set_attr(change))?;
            self.absorb(&attr);
            return Ok(());
        };
        self.set_size(change, size)?;
        // Pages behind the end are no longer there. What is left of the last one stays: it is the host's page.
        if let Some(from) = mem::page_up(size) {
            self.maps.invalidate(from..mem::page_down(u64::MAX), true);
        }
        Ok(())
    }
    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        if self.kind != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        self.find(name).map(|inode| inode as Arc<dyn Inode>)
    }
    fn prefetch(&self, names: &[&[u8]]) {
        if self.kind == FileType::Directory {
            self.find_ahead(names);
        }
    }
    fn watched(&self) {
        if self.kind == FileType::Directory
            && !self.watched.load(Ordering::Acquire)
            && self.fs.client().watch(self.walk_node()).is_ok()
        {
            self.now_watched();
        }
    }
    fn revalidate(&self, name: &[u8], cached: Option<&Arc<dyn Inode>>) -> bool {
        match cached {
            None => self.still(name, None),
            // Not ours: something else's node below this directory.
            Some(inode) => {
                inode.as_any().downcast_ref::<GoferInode>().is_none_or(|i| self.still(name, Some(i)))
            }
        }
    }
    fn create(&self, name: &[u8], new: &NewNode) -> Result<Arc<dyn Inode>, Errno> {
        use gofer_client::Client;
        let (client, dir, make): (&Arc<Client>, _, _) =
            (self.fs.client(), self.walk_node(), convert::make(new));
        let mknod = |kind: FileType, dev| client.mknod(dir, name, kind.to_mode(), dev, make);
        let made = match &new.kind {
            NewKind::Regular => client.create(dir, name, OpenFlags::RDWR.bits(), make),
            NewKind::Directory => client.mkdir(dir, name, make),
            NewKind::Symlink(target) => client.symlink(dir, name, target, make),
            NewKind::Fifo => mknod(FileType::Fifo, 0),
            NewKind::Socket => mknod(FileType::Socket, 0),
            NewKind::CharDevice(dev) => mknod(FileType::CharDevice, *dev),
            NewKind::BlockDevice(dev) => mknod(FileType::BlockDevice, *dev),
        }?;
        let inode = self.made(name, made)?;
        if let NewKind::Symlink(target) = &new.kind {
            inode.set_target(target.clone());
        }
        Ok(inode)
    }
    fn create_tmpfile(&self, new: &NewNode, linkable: bool) -> Result<Arc<dyn Inode>, Errno> {
        let made = self.fs.client().tmpfile(&self.node, OpenFlags::RDWR.bits(), convert::make(new))?;
        let inode = self.made(b"", made)?;
        inode.unlinkable.store(!linkable, Ordering::Relaxed);
        Ok(inode)
    }
    fn link(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        let target = self.same_fs(target)?;
        if target.unlinkable.load(Ordering::Relaxed) {
            return Err(Errno::ENOENT);
        }
        let made = self.fs.client().link(&target.node, self.walk_node(), name)?;
        self.fs.changed_name(self.key, name);
        self.absorb(&made.dir);
        target.absorb(&made.attr);
        Ok(())
    }
    fn unlink(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        self.remove(name, target, false)
    }
    fn rmdir(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        self.remove(name, target, true)
    }
    fn rename(
        &self,
        old_name: &[u8],
        moved: &Arc<dyn Inode>,
        new_dir: &Arc<dyn Inode>,
        new_name: &[u8],
        replaced: Option<&Arc<dyn Inode>>,
        exchange: bool,
        whiteout: bool,
    ) -> Result<(), Errno> {
        let to = self.same_fs(new_dir)?;
        let mut flags = RenameFlags::empty();
        flags.set(RenameFlags::EXCHANGE, exchange);
        flags.set(RenameFlags::WHITEOUT, whiteout);
        let old = (self.walk_node(), old_name);
        let (old_attr, new_attr) = self.fs.client().rename(old, (to.walk_node(), new_name), flags.bits())?;
        self.fs.changed_name(self.key, old_name);
        self.fs.changed_name(to.key, new_name);
        self.absorb(&old_attr);
        to.absorb(&new_attr);
        for other in [Some(moved), replaced].into_iter().flatten() {
            if let Ok(other) = self.same_fs(other) {
                other.outdated();
            }
        }
        Ok(())
    }
    fn read_link(&self) -> Result<Vec<u8>, Errno> {
        if self.kind != FileType::Symlink {
            return Err(Errno::EINVAL);
        }
        if let Some(target) = self.target.get() {
            return Ok(target.clone());
        }
        let target = self.fs.client().readlink(&self.node)?;
        self.set_target(target.clone());
        Ok(target)
    }
    fn open(self: Arc<Self>, request: &OpenRequest<'_>) -> Result<Box<dyn FileOps>, Errno> {
        match self.kind {
            FileType::Directory => Ok(Box::new(DirFile::new(self))),
            FileType::Regular => Ok(Box::new(RegularFile::open(self, request.flags)?)),
            _ => Err(Errno::ENXIO),
        }
    }
    fn get_xattr(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let bit = ABSENT.iter().position(|a| *a == name).map_or(0, |i| 1u8 << i);
        if self.absent.load(Ordering::Relaxed) & bit != 0 {
            return Err(Errno::ENODATA);
        }
        let value = self.fs.client().get_xattr(&self.node, name);
        if matches!(value, Err(Errno::ENODATA | Errno::EOPNOTSUPP)) && !self.fs.shared() {
            self.absent.fetch_or(bit, Ordering::Relaxed);
        }
        value
    }
    fn set_xattr(&self, name: &[u8], value: &[u8], flags: u32) -> Result<(), Errno> {
        self.absent.store(0, Ordering::Relaxed);
        self.fs.client().set_xattr(&self.node, name, value, flags)?;
        // An access control list shows in the mode, and everything in ctime.
        self.outdated();
        Ok(())
    }
    fn remove_xattr(&self, name: &[u8]) -> Result<(), Errno> {
        let bit = ABSENT.iter().position(|a| *a == name).map_or(0, |i| 1u8 << i);
        if self.absent.load(Ordering::Relaxed) & bit != 0 {
            return Err(Errno::ENODATA);
        }
        match self.fs.client().remove_xattr(&self.node, name) {
            Ok(()) => {
                self.outdated();
                Ok(())
            }
            Err(e) => {
                if e == Errno::ENODATA && !self.fs.shared() {
                    self.absent.fetch_or(bit, Ordering::Relaxed);
                }
                Err(e)
            }
        }
    }
    fn list_xattr(&self) -> Result<Vec<Vec<u8>>, Errno> {
        let list = self.fs.client().list_xattr(&self.node)?;
        Ok(list.split(|b| *b == 0).filter(|n| !n.is_empty()).map(<[u8]>::to_vec).collect())
    }
    fn released(&self, _: &vfs::File) {
        // Somebody else may want to run a shared file, or be told that it was written.
        let idle = self.common.opens.load(Ordering::Acquire) == 0;
        let written = self.fs.shared() && self.common.writers.load(Ordering::Acquire) <= 0;
        let crowded = self.fs.fds.load(Ordering::Relaxed) > self.fs.fds_idle_max;
        if self.kind != FileType::Regular || !(idle && crowded || written) || !self.maps.is_empty() {
            return;
        }
        if self.dirty.load(Ordering::Acquire)
            && let Some(fd) = self.any_fd()
        {
            let _ = self.look(&fd); // a failure leaves the attributes as they were last seen
        }
        let mut state = self.state.lock();
        let before = state.fds.count();
        let write = state.fds.write.take();
        let shared_one = write.as_ref().zip(state.fds.read.as_ref()).is_some_and(|(w, r)| Arc::ptr_eq(w, r));
        let read = if shared_one || (idle && crowded) { state.fds.read.take() } else { None };
        let after = state.fds.count();
        drop(state);
        self.fs.fds.fetch_sub(before - after, Ordering::Relaxed);
        drop((read, write));
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for GoferInode {
    fn drop(&mut self) {
        self.fs.fds.fetch_sub(self.state.get_mut().fds.count(), Ordering::Relaxed);
        let me: *const Self = self;
        let mut inodes = self.fs.inodes.lock();
        if inodes.get(&self.key).is_some_and(|w| std::ptr::eq(w.as_ptr(), me)) {
            inodes.remove(&self.key);
        }
        drop(inodes);
        if *self.watched.get_mut() {
            self.fs.connection.unwatch(self.walk_node().id());
        }
    }
}
