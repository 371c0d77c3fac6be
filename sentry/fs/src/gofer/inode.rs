//! [`GoferInode`]: a file of the host.

mod descriptors;
mod names;

use super::{FRESH, GoferFs, Key, convert, dir::DirFile, regular::RegularFile};
use abi::{
    Errno,
    fcntl::{OpenFlags, RenameFlags},
    stat::FileType,
};
use descriptors::Fds;
use gofer_client::{self as gofer, Found, Made, Node};
use ksync::{Mutex, rank};
use mem::MappingSet;
use names::Names;
use std::{
    any::Any,
    os::fd::OwnedFd,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Instant,
};
use vfs::{Attr, FileOps, FileSystem, Inode, InodeCommon, NewKind, NewNode, OpenRequest, SetAttr};

struct State {
    attr: Attr,
    /// `attr` is outdated: ask.
    stale: bool,
    /// When the gofer said so.
    asked: Instant,
    fds: Fds,
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

    pub(super) fn set_target(&self, target: Vec<u8>) {
        let _ = self.target.set(target);
    }

    fn same_fs<'a>(&self, other: &'a Arc<dyn Inode>) -> Result<&'a GoferInode, Errno> {
        let other = other.as_any().downcast_ref::<GoferInode>().ok_or(Errno::EXDEV)?;
        if Arc::ptr_eq(&other.fs, &self.fs) { Ok(other) } else { Err(Errno::EXDEV) }
    }

    /// Asks for an attribute with `ask`, unless it is one of those that are known to be absent; remembers it if it is.
    fn unless_absent<T>(&self, name: &[u8], ask: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        let bit = ABSENT.iter().position(|a| *a == name).map_or(0, |i| 1u8 << i);
        if self.absent.load(Ordering::Relaxed) & bit != 0 {
            return Err(Errno::ENODATA);
        }
        let answer = ask();
        if matches!(answer, Err(Errno::ENODATA | Errno::EOPNOTSUPP)) && !self.fs.shared() {
            self.absent.fetch_or(bit, Ordering::Relaxed);
        }
        answer
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
        self.unless_absent(name, || self.fs.client().get_xattr(&self.node, name))
    }
    fn set_xattr(&self, name: &[u8], value: &[u8], flags: u32) -> Result<(), Errno> {
        self.absent.store(0, Ordering::Relaxed);
        self.fs.client().set_xattr(&self.node, name, value, flags)?;
        // An access control list shows in the mode, and everything in ctime.
        self.outdated();
        Ok(())
    }
    fn remove_xattr(&self, name: &[u8]) -> Result<(), Errno> {
        self.unless_absent(name, || self.fs.client().remove_xattr(&self.node, name))?;
        self.outdated();
        Ok(())
    }
    fn list_xattr(&self) -> Result<Vec<Vec<u8>>, Errno> {
        let list = self.fs.client().list_xattr(&self.node)?;
        Ok(list.split(|b| *b == 0).filter(|n| !n.is_empty()).map(<[u8]>::to_vec).collect())
    }
    fn released(&self, _: &vfs::File) {
        self.give_back_descriptors();
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
