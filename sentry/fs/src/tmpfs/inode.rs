//! Inodes of tmpfs.

use super::{
    Tmpfs,
    dir::{Dir, TmpfsDir},
    file::TmpfsFile,
};
use abi::{
    Errno,
    stat::{FileType, XATTR_NAME_CAPS, XattrFlags},
};
use ksync::{Mutex, rank};
use mem::PAGE_SIZE;
use mm::MemoryObject;
use std::{
    any::Any,
    collections::BTreeMap,
    sync::{Arc, Weak, atomic::Ordering},
};
use vfs::{Attr, FileOps, FileSystem, Inode, InodeCommon, NewKind, NewNode, OpenRequest, SetAttr, clock};

/// The most bytes of extended attributes that one inode keeps.
const XATTRS_MAX: usize = 128 << 10;

/// Something in a tmpfs.
pub struct TmpfsInode {
    common: InodeCommon,
    fs: Arc<Tmpfs>,
    me: Weak<TmpfsInode>,
    ino: u64,
    file_type: FileType,
    /// Of a regular file.
    data: Option<Arc<MemoryObject>>,
    /// Of a symbolic link.
    target: Vec<u8>,
    pub(super) meta: Mutex<Meta>,
}

/// What changes of an inode.
pub(super) struct Meta {
    /// All but the size and blocks of a regular file.
    pub attr: Attr,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Has no name, but may get one (`O_TMPFILE` without `O_EXCL`).
    pub linkable: bool,
    /// Of a directory.
    pub dir: Dir,
}

impl Meta {
    /// Notes a change of the contents.
    pub fn changed(&mut self) {
        self.attr.mtime = clock::now();
        self.attr.ctime = self.attr.mtime;
    }
}

impl TmpfsInode {
    /// A new inode with `nlink` names. `ENOSPC`.
    pub(super) fn make(fs: &Arc<Tmpfs>, new: &NewNode, nlink: u64) -> Result<Arc<Self>, Errno> {
        fs.usage.add_inode()?;
        let (file_type, rdev) = match new.kind {
            NewKind::Regular => (FileType::Regular, 0),
            NewKind::Directory => (FileType::Directory, 0),
            NewKind::Symlink(_) => (FileType::Symlink, 0),
            NewKind::Fifo => (FileType::Fifo, 0),
            NewKind::Socket => (FileType::Socket, 0),
            NewKind::CharDevice(dev) => (FileType::CharDevice, dev),
            NewKind::BlockDevice(dev) => (FileType::BlockDevice, dev),
        };
        let target = match &new.kind {
            NewKind::Symlink(target) => target.clone(),
            _ => Vec::new(),
        };
        let data = (file_type == FileType::Regular).then(|| fs.new_data());
        let now = clock::now();
        let attr = Attr {
            dev: fs.dev,
            ino: fs.next_ino.fetch_add(1, Ordering::Relaxed),
            mode: file_type.to_mode() | new.mode & 0o7777,
            nlink,
            uid: new.uid,
            gid: new.gid,
            rdev,
            size: target.len() as u64,
            blocks: 0,
            blksize: PAGE_SIZE,
            atime: now,
            mtime: now,
            ctime: now,
            btime: Some(now),
            attributes: 0,
        };
        let meta = Meta { attr, xattrs: BTreeMap::new(), linkable: false, dir: Dir::default() };
        Ok(Arc::new_cyclic(|me| Self {
            common: InodeCommon::default(),
            fs: fs.clone(),
            me: me.clone(),
            ino: attr.ino,
            file_type,
            data,
            target,
            meta: Mutex::new(rank::INODE, meta),
        }))
    }

    /// Its inode number.
    pub fn ino(&self) -> u64 {
        self.ino
    }

    /// The data of a regular file; `EINVAL`.
    pub fn object(&self) -> Result<&Arc<MemoryObject>, Errno> {
        self.data.as_ref().ok_or(Errno::EINVAL)
    }

    /// `ENOSPC` if `len` bytes more than the file has cannot be had: asked first, so that what fails takes nothing.
    pub(super) fn room_for(&self, len: u64) -> Result<(), Errno> {
        let max = self.fs.usage.max_bytes.load(Ordering::Relaxed);
        let left = max.saturating_sub(self.fs.usage.used_bytes.load(Ordering::Relaxed));
        let more = len.saturating_sub(self.object()?.allocated_bytes());
        if max != 0 && more > left { Err(Errno::ENOSPC) } else { Ok(()) }
    }

    fn this(&self) -> Result<Arc<TmpfsInode>, Errno> {
        self.me.upgrade().ok_or(Errno::ENOENT)
    }

    /// `other` as what it is; `EXDEV` if it is none of ours.
    pub(super) fn ours<'a>(&self, other: &'a Arc<dyn Inode>) -> Result<&'a TmpfsInode, Errno> {
        other
            .as_any()
            .downcast_ref::<TmpfsInode>()
            .filter(|i| Arc::ptr_eq(&i.fs, &self.fs))
            .ok_or(Errno::EXDEV)
    }

    /// Whether a write has to take rights away first.
    pub(super) fn has_privileges(&self) -> bool {
        let meta = self.meta.lock();
        meta.attr.mode & 0o6000 != 0 || meta.xattrs.contains_key(XATTR_NAME_CAPS)
    }

    pub(super) fn is_dir(&self) -> bool {
        self.file_type == FileType::Directory
    }

    /// Changes the number of names by `by`.
    pub(super) fn add_links(&self, by: i64) {
        let mut meta = self.meta.lock();
        meta.attr.nlink = meta.attr.nlink.saturating_add_signed(by);
        meta.attr.ctime = clock::now();
    }

    fn check_dir(&self) -> Result<(), Errno> {
        if self.is_dir() { Ok(()) } else { Err(Errno::ENOTDIR) }
    }
}

impl Drop for TmpfsInode {
    fn drop(&mut self) {
        self.fs.usage.remove_inode();
        // A deep tree must not take stack.
        let mut todo = self.meta.get_mut().dir.take_all();
        while let Some(child) = todo.pop() {
            if let Some(mut last) = Arc::into_inner(child) {
                todo.extend(last.meta.get_mut().dir.take_all());
            }
        }
    }
}

impl Inode for TmpfsInode {
    fn common(&self) -> &InodeCommon {
        &self.common
    }
    fn fs(&self) -> Arc<dyn FileSystem> {
        self.fs.clone()
    }
    fn file_type(&self) -> FileType {
        self.file_type
    }
    fn attr(&self) -> Result<Attr, Errno> {
        let meta = self.meta.lock();
        let mut attr = meta.attr;
        if self.is_dir() {
            attr.size = meta.dir.shown_size();
        }
        drop(meta);
        if let Some(data) = &self.data {
            attr.size = data.size();
            attr.blocks = data.allocated_bytes() / 512;
        }
        Ok(attr)
    }
    fn set_attr(&self, change: &SetAttr) -> Result<(), Errno> {
        let mut change = *change;
        if let Some(size) = change.size {
            let data = self.object()?;
            data.set_size(size)?;
            change.mtime = change.mtime.or(Some(vfs::SetTime::Now));
        }
        self.meta.lock().attr.apply(&change, clock::now());
        Ok(())
    }
    fn accessed(&self, relatime: bool) {
        let now = clock::now();
        let mut meta = self.meta.lock();
        if meta.attr.access_is_news(now, relatime) {
            meta.attr.atime = now;
        }
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        self.check_dir()?;
        let found = self.meta.lock().dir.get(name).ok_or(Errno::ENOENT)?;
        Ok(found)
    }
    fn create(&self, name: &[u8], new: &NewNode) -> Result<Arc<dyn Inode>, Errno> {
        self.check_dir()?;
        let is_dir = matches!(new.kind, NewKind::Directory);
        let inode = TmpfsInode::make(&self.fs, new, if is_dir { 2 } else { 1 })?;
        if is_dir {
            inode.meta.lock().dir.set_parent(&self.me);
        }
        let mut meta = self.meta.lock();
        meta.dir.insert(name, inode.clone())?;
        if is_dir {
            meta.attr.nlink += 1;
        }
        meta.changed();
        Ok(inode)
    }
    fn create_tmpfile(&self, new: &NewNode, linkable: bool) -> Result<Arc<dyn Inode>, Errno> {
        self.check_dir()?;
        let inode = TmpfsInode::make(&self.fs, new, 0)?;
        inode.meta.lock().linkable = linkable;
        Ok(inode)
    }
    fn link(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        let target = self.ours(target)?;
        {
            let mut meta = target.meta.lock();
            if meta.attr.nlink == 0 && !meta.linkable {
                return Err(Errno::ENOENT);
            }
            meta.attr.nlink += 1;
            meta.attr.ctime = clock::now();
        }
        let mut meta = self.meta.lock();
        let done = target.this().and_then(|t| meta.dir.insert(name, t));
        if done.is_ok() {
            meta.changed();
        }
        drop(meta);
        if done.is_err() {
            target.add_links(-1);
        }
        done
    }
    fn unlink(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        let target = self.ours(target)?;
        let gone = {
            let mut meta = self.meta.lock();
            let gone = meta.dir.remove(name).ok_or(Errno::ENOENT)?;
            meta.changed();
            gone
        };
        target.add_links(-1);
        drop(gone);
        Ok(())
    }
    fn rmdir(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        let target = self.ours(target)?;
        if !target.meta.lock().dir.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        let gone = {
            let mut meta = self.meta.lock();
            let gone = meta.dir.remove(name).ok_or(Errno::ENOENT)?;
            meta.attr.nlink -= 1;
            meta.changed();
            gone
        };
        target.add_links(-2);
        drop(gone);
        Ok(())
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
        let moved = self.ours(moved)?;
        let new_dir = self.ours(new_dir)?;
        let replaced = replaced.map(|r| self.ours(r)).transpose()?;
        if !exchange && replaced.is_some_and(|r| !r.meta.lock().dir.is_empty()) {
            return Err(Errno::ENOTEMPTY);
        }
        let left = match whiteout {
            true => {
                let attr = self.meta.lock().attr;
                let kind = NewKind::CharDevice(0);
                Some(TmpfsInode::make(&self.fs, &NewNode { kind, mode: 0, uid: attr.uid, gid: attr.gid }, 1)?)
            }
            false => None,
        };
        let (this, other) = (moved.this()?, replaced.filter(|_| exchange).map(|r| r.this()).transpose()?);
        let mut gone = Vec::new();
        gone.extend(self.meta.lock().dir.remove(old_name));
        gone.extend(new_dir.meta.lock().dir.remove(new_name));
        new_dir.meta.lock().dir.insert(new_name, this)?;
        if let Some(inode) = left.or(other) {
            self.meta.lock().dir.insert(old_name, inode)?;
        }
        // Directories count in the links of their parents.
        let moves = i64::from(moved.is_dir());
        let (leaves_new, stays) = match replaced {
            Some(r) if exchange => (i64::from(r.is_dir()), true),
            Some(r) => (i64::from(r.is_dir()), false),
            None => (0, true),
        };
        self.add_links(if exchange { leaves_new - moves } else { -moves });
        new_dir.add_links(moves - leaves_new);
        if let (Some(replaced), false) = (replaced, stays) {
            replaced.add_links(if replaced.is_dir() { -2 } else { -1 });
        }
        moved.meta.lock().dir.set_parent(&new_dir.me);
        if let Some(other) = replaced.filter(|_| exchange) {
            other.meta.lock().dir.set_parent(&self.me);
            other.meta.lock().attr.ctime = clock::now();
        }
        moved.meta.lock().attr.ctime = clock::now();
        self.meta.lock().changed();
        new_dir.meta.lock().changed();
        drop(gone);
        Ok(())
    }
    fn read_link(&self) -> Result<Vec<u8>, Errno> {
        if self.file_type == FileType::Symlink { Ok(self.target.clone()) } else { Err(Errno::EINVAL) }
    }
    fn open(self: Arc<Self>, _: &OpenRequest<'_>) -> Result<Box<dyn FileOps>, Errno> {
        match self.file_type {
            FileType::Regular => Ok(Box::new(TmpfsFile::new(self))),
            FileType::Directory => Ok(Box::new(TmpfsDir::new(self))),
            _ => Err(Errno::ENXIO),
        }
    }

    fn get_xattr(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        self.meta.lock().xattrs.get(name).cloned().ok_or(Errno::ENODATA)
    }
    fn set_xattr(&self, name: &[u8], value: &[u8], flags: u32) -> Result<(), Errno> {
        let flags = XattrFlags::from_bits_retain(flags);
        let mut meta = self.meta.lock();
        let there = meta.xattrs.contains_key(name);
        if there && flags.contains(XattrFlags::CREATE) {
            return Err(Errno::EEXIST);
        }
        if !there && flags.contains(XattrFlags::REPLACE) {
            return Err(Errno::ENODATA);
        }
        let others = meta.xattrs.iter().filter(|(n, _)| *n != name);
        let used: usize = others.map(|(n, v)| n.len() + v.len()).sum();
        if used + name.len() + value.len() > XATTRS_MAX {
            return Err(Errno::ENOSPC);
        }
        meta.xattrs.insert(name.to_vec(), value.to_vec());
        meta.attr.ctime = clock::now();
        Ok(())
    }
    fn remove_xattr(&self, name: &[u8]) -> Result<(), Errno> {
        let mut meta = self.meta.lock();
        meta.xattrs.remove(name).ok_or(Errno::ENODATA)?;
        meta.attr.ctime = clock::now();
        Ok(())
    }
    fn list_xattr(&self) -> Result<Vec<Vec<u8>>, Errno> {
        Ok(self.meta.lock().xattrs.keys().cloned().collect())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
