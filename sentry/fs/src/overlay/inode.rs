//! [`OverlayInode`]: a file of the union.

use super::{
    LowerInode, Lowers, OPAQUE, ORIGIN, Overlay, PRIVATE, REDIRECT, UPPER_INO, address, dir, file, hide,
    is_whiteout,
};
use crate::tmpfs::TmpfsInode;
use abi::{Errno, fcntl::OpenFlags, stat::FileType};
use ksync::{Mutex, rank};
use std::{
    any::Any,
    sync::{Arc, OnceLock, Weak},
};
use vfs::{
    Attr, FileOps, FileSystem, Inode, InodeCommon, LinkTarget, NewKind, NewNode, OpenRequest, SetAttr,
};

/// Where a file is, so that it can be copied up there.
pub(super) struct Place {
    pub parent: Option<Arc<OverlayInode>>,
    pub name: Box<[u8]>,
    /// Removed: it is copied up without a name.
    pub gone: bool,
}

/// A file of the union.
pub struct OverlayInode {
    me: Weak<OverlayInode>,
    pub(super) fs: Arc<Overlay>,
    common: InodeCommon,
    kind: FileType,
    /// Device and inode number.
    id: (u64, u64),
    pub(super) upper: OnceLock<Arc<dyn Inode>>,
    pub(super) lowers: Lowers,
    /// Of a directory with lower parts: where they are, from the roots of the layers.
    lower_path: Option<Vec<u8>>,
    pub(super) place: Mutex<Place>,
    /// Held while the file is copied up.
    pub(super) copy: Mutex<()>,
}

impl OverlayInode {
    pub(super) fn root(fs: &Arc<Overlay>) -> Result<Arc<Self>, Errno> {
        let upper = fs.upper.as_ref().map(|u| u.root.clone());
        let lowers: Lowers =
            (0..).zip(&fs.lower).map(|(layer, l)| LowerInode { inode: l.root.clone(), layer }).collect();
        Self::make(fs, upper, lowers, Some(Vec::new()), None, b"")
    }

    /// The inode of what is `upper` and `lowers`, at `name` of `parent`: the one that there is for `upper`, or a new one.
    pub(super) fn make(
        fs: &Arc<Overlay>,
        upper: Option<Arc<dyn Inode>>,
        lowers: Lowers,
        lower_path: Option<Vec<u8>>,
        parent: Option<Arc<OverlayInode>>,
        name: &[u8],
    ) -> Result<Arc<Self>, Errno> {
        if let Some(known) = upper.as_ref().and_then(|u| fs.known(u)) {
            return Ok(known);
        }
        let real = upper.as_ref().or(lowers.first().map(|l| &l.inode)).ok_or(Errno::ENOENT)?;
        let kind = real.file_type();
        let id = match (&upper, lowers.first()) {
            // The root and merged directories are known by their lower part, if only because it was there first.
            (_, Some(lower)) => {
                let attr = lower.inode.attr()?;
                (fs.device(attr.dev), attr.ino)
            }
            (Some(upper), None) => fs.upper_id(upper)?,
            (None, None) => return Err(Errno::ENOENT),
        };
        let new = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            fs: fs.clone(),
            common: InodeCommon::default(),
            kind,
            id,
            upper: OnceLock::new(),
            lowers,
            lower_path,
            place: Mutex::new(rank::LEAF, Place { parent, name: name.into(), gone: false }),
            copy: Mutex::new(rank::OVERLAY, ()),
        });
        match upper {
            Some(upper) => Ok(new.set_upper(upper)),
            None => Ok(new),
        }
    }

    /// Says what `self` is in the upper tree, which nobody else is, unless somebody was faster; who it is then.
    fn set_upper(self: Arc<Self>, upper: Arc<dyn Inode>) -> Arc<Self> {
        let key = address(&upper);
        let mut inodes = self.fs.inodes.lock();
        if let Some(known) = inodes.get(&key).and_then(Weak::upgrade) {
            drop(inodes);
            return known;
        }
        inodes.insert(key, Arc::downgrade(&self));
        drop(inodes);
        let _ = self.upper.set(upper);
        self
    }

    /// `self` was copied up to `upper`. A look-up that raced with the copy may have made another inode for it: nobody keeps that
    /// one, since the name is cached already.
    pub(super) fn copied_up(&self, upper: Arc<dyn Inode>) {
        self.fs.inodes.lock().insert(address(&upper), self.me.clone());
        let _ = self.upper.set(upper);
    }

    pub(super) fn arc(&self) -> Result<Arc<Self>, Errno> {
        self.me.upgrade().ok_or(Errno::EIO)
    }

    pub(super) fn overlay(&self) -> &Arc<Overlay> {
        &self.fs
    }

    /// What has the data and attributes now.
    pub(super) fn real(&self) -> Result<&Arc<dyn Inode>, Errno> {
        self.upper.get().or(self.lowers.first().map(|l| &l.inode)).ok_or(Errno::EIO)
    }

    pub(super) fn is_dir(&self) -> bool {
        self.kind == FileType::Directory
    }

    fn same_fs<'a>(&self, other: &'a Arc<dyn Inode>) -> Result<&'a OverlayInode, Errno> {
        let other = other.as_any().downcast_ref::<OverlayInode>().ok_or(Errno::EXDEV)?;
        if Arc::ptr_eq(&other.fs, &self.fs) { Ok(other) } else { Err(Errno::EXDEV) }
    }

    fn find(&self, name: &[u8]) -> Result<Arc<OverlayInode>, Errno> {
        let upper = match self.upper.get().map(|u| u.lookup(name)) {
            Some(Ok(there)) if is_whiteout(&there)? => return Err(Errno::ENOENT),
            Some(Ok(there)) => Some(there),
            Some(Err(Errno::ENOENT)) | None => None,
            Some(Err(e)) => return Err(e),
        };
        let below = || {
            let mut path = self.lower_path.clone()?;
            path.push(b'/');
            path.extend_from_slice(name);
            Some(path)
        };
        let (lowers, path) = match &upper {
            None => (dir::lowers_of(&self.lowers, name, false)?, below()),
            Some(u) if u.file_type() != FileType::Directory || super::is_opaque(u) => (Lowers::new(), None),
            Some(u) => match u.get_xattr(REDIRECT) {
                Ok(path) => (self.fs.lowers_at(&path)?, Some(path)),
                Err(_) => (dir::lowers_of(&self.lowers, name, true)?, below()),
            },
        };
        let path = if lowers.is_empty() { None } else { path };
        Self::make(&self.fs, upper, lowers, path, Some(self.arc()?), name)
    }

    /// Makes something at `name`, which is free, in the upper tree. `make` gets the directory there and whether something
    /// lower is hidden at the name.
    fn make_entry<R>(
        &self,
        name: &[u8],
        make: impl FnOnce(&Arc<dyn Inode>, bool) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        let dir = self.copy_up(u64::MAX)?;
        let _change = self.fs.change.lock_nested();
        let hidden = match dir.lookup(name) {
            Ok(there) if is_whiteout(&there)? => {
                dir.unlink(name, &there)?;
                true
            }
            Ok(_) => return Err(Errno::EEXIST),
            Err(Errno::ENOENT) => false,
            Err(e) => return Err(e),
        };
        let made = make(&dir, hidden);
        if made.is_err() && hidden {
            hide(&dir, name)?;
        }
        made
    }

    fn remove(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        let target = self.same_fs(target)?;
        if target.is_dir() && !target.entries()?.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        let below = !dir::lowers_of(&self.lowers, name, false)?.is_empty();
        let dir = self.copy_up(u64::MAX)?;
        let _change = self.fs.change.lock_nested();
        if let Some(upper) = target.upper.get() {
            if target.is_dir() {
                self.fs.clear_whiteouts(upper)?;
                dir.rmdir(name, upper)?;
            } else {
                dir.unlink(name, upper)?;
            }
        }
        if below {
            hide(&dir, name)?;
        }
        target.place.lock().gone = true;
        Ok(())
    }

    /// Makes the lower part of a directory stay with it, and others from showing through it, when it gets another name.
    fn keep_lowers(&self) -> Result<(), Errno> {
        let Some(upper) = self.upper.get().filter(|_| self.is_dir()) else { return Ok(()) };
        match &self.lower_path {
            Some(path) if !self.lowers.is_empty() => upper.set_xattr(REDIRECT, path, 0),
            _ => upper.set_xattr(OPAQUE, b"y", 0),
        }
    }

    fn moved_to(&self, parent: &OverlayInode, name: &[u8]) -> Result<(), Errno> {
        let parent = parent.arc()?;
        let mut place = self.place.lock();
        let old = place.parent.replace(parent);
        place.name = name.into();
        drop(place);
        drop(old);
        Ok(())
    }
}

impl Overlay {
    fn known(&self, upper: &Arc<dyn Inode>) -> Option<Arc<OverlayInode>> {
        self.inodes.lock().get(&address(upper)).and_then(Weak::upgrade)
    }

    /// Device and inode number of a file of the upper tree: those that it had before it was copied up.
    pub(super) fn upper_id(&self, upper: &Arc<dyn Inode>) -> Result<(u64, u64), Errno> {
        let origin = upper.get_xattr(ORIGIN).unwrap_or_default();
        let word = |at: usize| origin.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        match (word(0), word(8)) {
            (Some(dev), Some(ino)) => Ok((self.device(dev), ino)),
            _ => Ok((self.dev, upper.attr()?.ino | UPPER_INO)),
        }
    }

    /// Takes what is in a directory of the upper tree, all of it whiteouts, away.
    fn clear_whiteouts(&self, dir: &Arc<dyn Inode>) -> Result<(), Errno> {
        for entry in self.list_upper(dir)? {
            let there = dir.lookup(&entry.name)?;
            if !is_whiteout(&there)? {
                return Err(Errno::ENOTEMPTY);
            }
            dir.unlink(&entry.name, &there)?;
        }
        Ok(())
    }
}

impl Inode for OverlayInode {
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
        let mut attr = self.real()?.attr()?;
        (attr.dev, attr.ino) = self.id;
        let parts = self.lowers.len() + usize::from(self.upper.get().is_some());
        if self.is_dir() && parts > 1 {
            // As on Linux: how many directories there are in it would take reading all parts.
            attr.nlink = 1;
        } else if self.upper.get().is_none() && self.place.lock().gone {
            attr.nlink = attr.nlink.saturating_sub(1);
        }
        Ok(attr)
    }
    fn set_attr(&self, change: &SetAttr) -> Result<(), Errno> {
        self.copy_up(change.size.unwrap_or(u64::MAX))?.set_attr(change)
    }
    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        if !self.is_dir() {
            return Err(Errno::ENOTDIR);
        }
        self.find(name).map(|inode| inode as Arc<dyn Inode>)
    }
    fn prefetch(&self, names: &[&[u8]]) {
        for lower in &self.lowers {
            lower.inode.prefetch(names);
        }
    }
    fn watched(&self) {
        for lower in &self.lowers {
            lower.inode.watched();
        }
    }
    fn accessed(&self, relatime: bool) {
        if let Some(upper) = self.upper.get() {
            upper.accessed(relatime);
        }
    }
    fn revalidate(&self, name: &[u8], cached: Option<&Arc<dyn Inode>>) -> bool {
        // Of several layers it is not known which one a name is from: those do not change.
        let [lower] = &self.lowers[..] else { return true };
        match cached {
            None => {
                self.upper.get().is_some_and(|u| u.lookup(name).is_ok()) || lower.inode.revalidate(name, None)
            }
            Some(inode) => match inode.as_any().downcast_ref::<OverlayInode>() {
                Some(i) if i.upper.get().is_none() => match i.lowers.first() {
                    Some(l) => lower.inode.revalidate(name, Some(&l.inode)),
                    None => true,
                },
                _ => true,
            },
        }
    }
    fn create(&self, name: &[u8], new: &NewNode) -> Result<Arc<dyn Inode>, Errno> {
        // It would be a whiteout.
        if matches!(new.kind, NewKind::CharDevice(0)) {
            return Err(Errno::EPERM);
        }
        let upper = self.make_entry(name, |dir, hidden| {
            let made = dir.create(name, new)?;
            if hidden && made.file_type() == FileType::Directory {
                made.set_xattr(OPAQUE, b"y", 0)?;
            }
            Ok(made)
        })?;
        let inode = Self::make(&self.fs, Some(upper), Lowers::new(), None, Some(self.arc()?), name)?;
        Ok(inode)
    }
    fn create_tmpfile(&self, new: &NewNode, linkable: bool) -> Result<Arc<dyn Inode>, Errno> {
        let upper = self.copy_up(u64::MAX)?.create_tmpfile(new, linkable)?;
        let inode = Self::make(&self.fs, Some(upper), Lowers::new(), None, None, b"")?;
        Ok(inode)
    }
    fn link(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        let target = self.same_fs(target)?;
        if target.upper.get().is_none() && target.place.lock().gone {
            return Err(Errno::ENOENT);
        }
        let upper = target.copy_up(u64::MAX)?;
        self.make_entry(name, |dir, _| dir.link(name, &upper))
    }
    fn unlink(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        self.remove(name, target)
    }
    fn rmdir(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        self.remove(name, target)
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
        if whiteout {
            return Err(Errno::EINVAL);
        }
        let (moved, to) = (self.same_fs(moved)?, self.same_fs(new_dir)?);
        let replaced = replaced.map(|r| self.same_fs(r)).transpose()?;
        if let Some(replaced) = replaced.filter(|r| r.is_dir() && !exchange)
            && !replaced.entries()?.is_empty()
        {
            return Err(Errno::ENOTEMPTY);
        }
        let (from_dir, to_dir) = (self.copy_up(u64::MAX)?, to.copy_up(u64::MAX)?);
        let upper = moved.copy_up(u64::MAX)?;
        let other = match replaced.filter(|_| exchange) {
            Some(replaced) => Some(replaced.copy_up(u64::MAX)?),
            None => None,
        };
        let below = !dir::lowers_of(&self.lowers, old_name, false)?.is_empty();
        let _change = self.fs.change.lock_nested();
        moved.keep_lowers()?;
        if let (Some(other), Some(replaced)) = (&other, replaced) {
            replaced.keep_lowers()?;
            from_dir.rename(old_name, &upper, &to_dir, new_name, Some(other), true, false)?;
            replaced.moved_to(self, old_name)?;
            return moved.moved_to(to, new_name);
        }
        let mut there = match to_dir.lookup(new_name) {
            Ok(there) => Some(there),
            Err(Errno::ENOENT) => None,
            Err(e) => return Err(e),
        };
        if let Some(found) = &there {
            if found.file_type() == FileType::Directory {
                self.fs.clear_whiteouts(found)?;
            } else if moved.is_dir() {
                // A whiteout; a directory can only take the place of a directory.
                to_dir.unlink(new_name, found)?;
                there = None;
            }
        }
        from_dir.rename(old_name, &upper, &to_dir, new_name, there.as_ref(), false, below)?;
        if let Some(replaced) = replaced {
            replaced.place.lock().gone = true;
        }
        moved.moved_to(to, new_name)
    }
    fn read_link(&self) -> Result<Vec<u8>, Errno> {
        self.real()?.read_link()
    }
    fn follow_link(&self) -> Result<LinkTarget, Errno> {
        self.real()?.follow_link()
    }
    fn open(self: Arc<Self>, request: &OpenRequest<'_>) -> Result<Box<dyn FileOps>, Errno> {
        match self.kind {
            FileType::Directory => return Ok(Box::new(dir::DirFile::new(self))),
            FileType::Regular => {}
            _ => return Err(Errno::ENXIO),
        }
        let truncates = request.flags.contains(OpenFlags::TRUNC);
        if request.flags.writable() || truncates {
            self.copy_up(if truncates { 0 } else { u64::MAX })?;
        }
        // What a tmpfs opens does not care whose file it is: no detour.
        match self.upper.get() {
            Some(upper) if upper.as_any().is::<TmpfsInode>() => upper.clone().open(request),
            _ => Ok(Box::new(file::OverlayFile::open(self.clone(), request.flags)?)),
        }
    }
    fn get_xattr(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        if name.starts_with(PRIVATE) {
            return Err(Errno::EOPNOTSUPP);
        }
        self.real()?.get_xattr(name)
    }
    fn set_xattr(&self, name: &[u8], value: &[u8], flags: u32) -> Result<(), Errno> {
        if name.starts_with(PRIVATE) {
            return Err(Errno::EOPNOTSUPP);
        }
        self.copy_up(u64::MAX)?.set_xattr(name, value, flags)
    }
    fn remove_xattr(&self, name: &[u8]) -> Result<(), Errno> {
        // Not copied up for what is not there.
        self.get_xattr(name)?;
        self.copy_up(u64::MAX)?.remove_xattr(name)
    }
    fn list_xattr(&self) -> Result<Vec<Vec<u8>>, Errno> {
        let mut names = self.real()?.list_xattr()?;
        names.retain(|n| !n.starts_with(PRIVATE));
        Ok(names)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for OverlayInode {
    fn drop(&mut self) {
        let me: *const Self = self;
        if let Some(upper) = self.upper.get() {
            let key = address(upper);
            let mut inodes = self.fs.inodes.lock();
            if inodes.get(&key).is_some_and(|w| std::ptr::eq(w.as_ptr(), me)) {
                inodes.remove(&key);
            }
        }
        // Parents one by one: a chain of any length must not take stack.
        let mut parent = self.place.get_mut().parent.take();
        while let Some(mut last) = parent.and_then(Arc::into_inner) {
            parent = last.place.get_mut().parent.take();
        }
    }
}
