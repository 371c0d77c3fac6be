//! Open regular files of tmpfs.

use super::TmpfsInode;
use abi::{Errno, fcntl::FallocFlags};
use mem::{IoDst, IoSrc, Mappable};
use mm::{MemoryObject, object::MAX_SIZE};
use std::{any::Any, sync::Arc};
use vfs::{File, FileOps, ops};

/// An open regular file.
pub(super) struct TmpfsFile {
    inode: Arc<TmpfsInode>,
}

impl TmpfsFile {
    pub fn new(inode: Arc<TmpfsInode>) -> Self {
        Self { inode }
    }

    fn object(&self) -> Result<&Arc<MemoryObject>, Errno> {
        self.inode.object()
    }

    /// Runs `write` and notes the change if anything was written.
    fn writing<R>(
        &self,
        file: &File,
        write: impl FnOnce(&MemoryObject) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        if self.inode.has_privileges() {
            ops::file_remove_privs(file)?;
        }
        let done = write(self.object()?)?;
        self.inode.meta.lock().changed();
        Ok(done)
    }
}

impl FileOps for TmpfsFile {
    fn read_at(&self, file: &File, offset: u64, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        if dst.remaining() == 0 {
            return Ok(0);
        }
        let n = self.object()?.read_at(offset, dst)?;
        ops::accessed(file);
        Ok(n)
    }
    fn write_at(&self, file: &File, offset: u64, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        if src.remaining() == 0 {
            return Ok(0);
        }
        self.writing(file, |object| object.write_at(offset, src))
    }
    fn append(&self, file: &File, src: &mut IoSrc<'_>) -> Result<(u64, usize), Errno> {
        self.writing(file, |object| object.append(src))
    }
    fn next_extent(&self, _: &File, from: u64, data: bool) -> Result<u64, Errno> {
        let object = self.object()?;
        let found = if data { object.seek_data(from) } else { object.seek_hole(from) };
        found.ok_or(Errno::ENXIO)
    }
    fn mappable(&self, file: &File) -> Result<Arc<dyn Mappable>, Errno> {
        ops::accessed(file);
        Ok(self.object()?.clone())
    }
    fn fallocate(&self, file: &File, mode: u32, offset: u64, len: u64) -> Result<(), Errno> {
        let mode = FallocFlags::from_bits(mode).ok_or(Errno::EOPNOTSUPP)?;
        let end = offset.checked_add(len).filter(|e| *e <= MAX_SIZE).ok_or(Errno::EFBIG)?;
        let keep = mode.contains(FallocFlags::KEEP_SIZE);
        match mode - FallocFlags::KEEP_SIZE {
            FallocFlags::PUNCH_HOLE if keep => self.writing(file, |object| {
                object.punch_hole(offset..end);
                Ok(())
            }),
            m if m.is_empty() => {
                self.inode.room_for(len)?;
                self.writing(file, |object| object.allocate(offset..end, keep))
            }
            _ => Err(Errno::EOPNOTSUPP),
        }
    }
    fn fsync(&self, _: &File, _: bool) -> Result<(), Errno> {
        Ok(()) // there is no storage behind it
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
