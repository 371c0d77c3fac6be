//! Regular files: data straight from and to the donated descriptor.

use super::{GoferInode, convert};
use abi::{Errno, fcntl::OpenFlags};
use host::io::RwFlags;
use mem::{Backing, IoDst, IoSrc, Mappable, MappingSet, page_down, page_up};
use std::{
    any::Any,
    ops::Range,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};
use vfs::{File, FileOps};

/// An open regular file.
pub struct RegularFile {
    inode: Arc<GoferInode>,
    read: Option<Arc<OwnedFd>>,
    write: Option<Arc<OwnedFd>>,
}

/// `O_SYNC` and `O_DSYNC` of the open file: the descriptor is shared by all, so each write says it.
fn sync_flags(file: &File) -> RwFlags {
    let flags = file.flags();
    if flags.contains(OpenFlags::SYNC) {
        RwFlags::SYNC
    } else if flags.contains(OpenFlags::DSYNC) {
        RwFlags::DSYNC
    } else {
        RwFlags::empty()
    }
}

impl RegularFile {
    pub fn open(inode: Arc<GoferInode>, flags: OpenFlags) -> Result<Self, Errno> {
        let write = if flags.writable() { Some(inode.write_fd()?) } else { None };
        let read = if flags.readable() || !flags.writable() { Some(inode.read_fd()?) } else { None };
        Ok(Self { inode, read, write })
    }

    fn reading(&self) -> Result<&OwnedFd, Errno> {
        self.read.as_deref().ok_or(Errno::EBADF)
    }

    fn writing(&self) -> Result<&OwnedFd, Errno> {
        self.write.as_deref().ok_or(Errno::EBADF)
    }

    fn either(&self) -> Result<&OwnedFd, Errno> {
        self.write.as_deref().or(self.read.as_deref()).ok_or(Errno::EBADF)
    }

    fn put(&self, file: &File, offset: u64, src: &mut IoSrc<'_>, flags: RwFlags) -> Result<usize, Errno> {
        let fd = self.writing()?.as_fd();
        let flags = flags | sync_flags(file);
        let mut at = offset;
        self.inode.keeping_set_id(|| {
            src.take_with(src.remaining(), &mut |piece| {
                let n = mem::host::write(fd, &piece, Some(at), flags)?;
                at = at.saturating_add(n as u64);
                Ok(n)
            })
        })
    }
}

impl FileOps for RegularFile {
    fn read_at(&self, _: &File, offset: u64, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let fd = self.reading()?.as_fd();
        let mut at = offset;
        let done = dst.put_with(dst.remaining(), &mut |piece| {
            let n = mem::host::read(fd, &piece, Some(at), RwFlags::empty())?;
            at = at.saturating_add(n as u64);
            Ok(n)
        });
        self.inode.read();
        done
    }
    fn write_at(&self, file: &File, offset: u64, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        self.put(file, offset, src, RwFlags::empty())
    }
    fn append(&self, file: &File, src: &mut IoSrc<'_>) -> Result<(u64, usize), Errno> {
        let _io = self.inode.io.lock();
        let n = self.put(file, 0, src, RwFlags::APPEND)?;
        Ok((self.inode.size()?, n))
    }
    fn next_extent(&self, _: &File, from: u64, data: bool) -> Result<u64, Errno> {
        let fd = self.either()?.as_fd();
        let found = if data { host::memfd::next_data(fd, from) } else { host::memfd::next_hole(fd, from) };
        found.map_err(convert::errno)?.ok_or(Errno::ENXIO)
    }
    fn mappable(&self, _: &File) -> Result<Arc<dyn Mappable>, Errno> {
        if self.read.is_none() {
            return Err(Errno::EACCES);
        }
        Ok(self.inode.clone())
    }
    fn fsync(&self, _: &File, data_only: bool) -> Result<(), Errno> {
        host::file::sync(self.either()?.as_fd(), data_only).map_err(convert::errno)
    }
    fn fallocate(&self, _: &File, mode: u32, offset: u64, len: u64) -> Result<(), Errno> {
        let mode = i32::try_from(mode).map_err(|_| Errno::EOPNOTSUPP)?;
        let _io = self.inode.io.lock();
        let fd = self.writing()?.as_fd();
        self.inode
            .keeping_set_id(|| host::memfd::fallocate(fd, mode, offset, len).map_err(convert::errno))?;
        Ok(())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Mappable for GoferInode {
    fn back(&self, offset: u64, len: u64, write: bool) -> Result<(Backing, u64), Errno> {
        let fd = if write { self.write_fd()? } else { self.read_fd()? };
        let size = host::file::status(fd.as_fd()).map_err(convert::errno)?.size;
        let end = page_up(size).unwrap_or(page_down(u64::MAX));
        let left = end.checked_sub(offset).filter(|left| *left > 0).ok_or(Errno::EFAULT)?;
        Ok((Backing::Host { fd, offset }, left.min(len)))
    }
    fn mappings(&self) -> &MappingSet {
        &self.maps
    }
    fn sync(&self, _: Range<u64>) -> Result<(), Errno> {
        self.wrote();
        self.sync_data()
    }
}
