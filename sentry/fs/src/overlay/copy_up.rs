//! Copying up: a file of a lower tree gets a copy in the upper one before it is changed.

use super::{LowerInode, ORIGIN, OverlayInode, PRIVATE};
use abi::{Errno, fcntl::OpenFlags, stat::FileType};
use mem::{IoDst, IoSrc};
use std::sync::Arc;
use vfs::{Attr, Inode, NewKind, NewNode, SetAttr, SetTime};

/// Bytes that are copied at once.
const CHUNK: usize = 1 << 20;

impl OverlayInode {
    /// The file in the upper tree, copied there first if need be: its first `keep` bytes. `EROFS` without an upper tree.
    pub(super) fn copy_up(&self, keep: u64) -> Result<Arc<dyn Inode>, Errno> {
        if let Some(upper) = self.upper.get() {
            return Ok(upper.clone());
        }
        if self.fs.upper.is_none() {
            return Err(Errno::EROFS);
        }
        // Directories above it that are not there yet, nearest first.
        let mut missing = Vec::new();
        let mut at = self.parent_to_be();
        while let Some(dir) = at.filter(|d| d.upper.get().is_none()) {
            at = dir.parent_to_be();
            missing.push(dir);
        }
        for dir in missing.iter().rev() {
            dir.copy_one(u64::MAX)?;
        }
        self.copy_one(keep)?;
        self.upper.get().cloned().ok_or(Errno::EIO)
    }

    /// The directory that has to be in the upper tree for this to be.
    fn parent_to_be(&self) -> Option<Arc<OverlayInode>> {
        let place = self.place.lock();
        if place.gone { None } else { place.parent.clone() }
    }

    fn copy_one(&self, keep: u64) -> Result<(), Errno> {
        let _copy = self.copy.lock_nested();
        if self.upper.get().is_some() {
            return Ok(());
        }
        let lower = self.lowers.first().ok_or(Errno::EIO)?;
        let attr = lower.inode.attr()?;
        let kind = match self.file_type() {
            FileType::Regular => NewKind::Regular,
            FileType::Directory => NewKind::Directory,
            FileType::Symlink => NewKind::Symlink(lower.inode.read_link()?),
            FileType::Fifo => NewKind::Fifo,
            FileType::Socket => NewKind::Socket,
            FileType::CharDevice => NewKind::CharDevice(attr.rdev),
            FileType::BlockDevice => NewKind::BlockDevice(attr.rdev),
        };
        let new = NewNode { kind, mode: attr.permissions(), uid: attr.uid, gid: attr.gid };
        // Data are moved before the name is there, so that nobody sees a part of them.
        let staged = match new.kind {
            NewKind::Regular => {
                let root = &self.fs.upper.as_ref().ok_or(Errno::EROFS)?.root;
                let staged = root.create_tmpfile(&new, true)?;
                self.copy_data(lower, &staged, attr.size.min(keep))?;
                self.copy_attributes(lower, &attr, &staged)?;
                Some(staged)
            }
            _ => None,
        };
        let _change = self.fs.change.lock_nested();
        let (parent, name) = {
            let place = self.place.lock();
            (if place.gone { None } else { place.parent.clone() }, place.name.clone())
        };
        let dir = parent.as_ref().and_then(|p| p.upper.get());
        let upper = match (staged, dir) {
            (Some(staged), Some(dir)) => {
                // The name's directory does not change by it, as far as applications can tell.
                let before = dir.attr()?;
                dir.link(&name, &staged)?;
                restore_times(dir, &before)?;
                staged
            }
            (Some(staged), None) => staged,
            (None, Some(dir)) => {
                let before = dir.attr()?;
                let made = dir.create(&name, &new)?;
                self.copy_attributes(lower, &attr, &made)?;
                restore_times(dir, &before)?;
                made
            }
            // A directory or node that was removed and is to be changed all the same.
            (None, None) => return Err(Errno::ENOENT),
        };
        self.copied_up(upper);
        Ok(())
    }

    fn copy_data(&self, lower: &LowerInode, upper: &Arc<dyn Inode>, size: u64) -> Result<(), Errno> {
        if size == 0 {
            return Ok(());
        }
        let from = self.fs.open_lower(lower, OpenFlags::RDONLY)?;
        let to = self.fs.open_upper(upper, OpenFlags::WRONLY)?;
        let mut buffer = vec![0; CHUNK.min(usize::try_from(size).unwrap_or(CHUNK))];
        let mut at = 0;
        while at < size {
            // Holes stay holes.
            match from.ops().next_extent(&from, at, true) {
                Ok(data) => at = data.max(at),
                Err(Errno::ENXIO) => break,
                Err(_) => {}
            }
            let want = usize::try_from(size.saturating_sub(at)).unwrap_or(CHUNK).min(CHUNK);
            let part = buffer.get_mut(..want).unwrap_or_default();
            let n = from.ops().read_at(&from, at, &mut IoDst::bytes(part))?;
            if n == 0 {
                break;
            }
            let mut source = IoSrc::bytes(part.get_mut(..n).unwrap_or_default());
            while source.remaining() > 0 {
                let done = to.ops().write_at(&to, at, &mut source)?;
                if done == 0 {
                    return Err(Errno::EIO);
                }
                at += done as u64;
            }
        }
        if upper.attr()?.size != size {
            upper.set_attr(&SetAttr { size: Some(size), ..SetAttr::default() })?;
        }
        Ok(())
    }

    /// Gives the copy what is not data: extended attributes, times, and where it is from.
    fn copy_attributes(&self, lower: &LowerInode, attr: &Attr, upper: &Arc<dyn Inode>) -> Result<(), Errno> {
        for name in lower.inode.list_xattr().unwrap_or_default() {
            if name.starts_with(PRIVATE) {
                continue;
            }
            let copied = lower.inode.get_xattr(&name).and_then(|value| upper.set_xattr(&name, &value, 0));
            // What the upper tree cannot keep is lost, unless it is out of room.
            if copied == Err(Errno::ENOSPC) {
                return copied;
            }
        }
        // Names of one lower file become files of their own, which cannot all have its number.
        if self.is_dir() || attr.nlink == 1 {
            let origin = [attr.dev.to_le_bytes(), attr.ino.to_le_bytes()].concat();
            upper.set_xattr(ORIGIN, &origin, 0)?;
        }
        restore_times(upper, attr)
    }
}

fn restore_times(inode: &Arc<dyn Inode>, attr: &Attr) -> Result<(), Errno> {
    let at = |t| Some(SetTime::At(t));
    inode.set_attr(&SetAttr { atime: at(attr.atime), mtime: at(attr.mtime), ..SetAttr::default() })
}
