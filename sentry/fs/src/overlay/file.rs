//! Open regular files of the union: an open file of a layer. One that was opened for reading before its file was copied up goes
//! on with the copy; mappings stay with what they were made of.

use super::OverlayInode;
use abi::{Errno, fcntl::OpenFlags};
use ksync::{Mutex, Ready, rank};
use mem::{IoDst, IoSrc, Mappable, UserMemory};
use std::{any::Any, sync::Arc};
use vfs::{File, FileOps};

pub(super) struct OverlayFile {
    inode: Arc<OverlayInode>,
    /// The open file of a layer, and whether that is a lower one.
    real: Mutex<(Arc<File>, bool)>,
}

impl OverlayFile {
    pub fn open(inode: Arc<OverlayInode>, flags: OpenFlags) -> Result<Self, Errno> {
        let flags = flags - OpenFlags::TRUNC - OpenFlags::CREAT - OpenFlags::EXCL;
        let real = match inode.upper.get() {
            Some(upper) => (inode.fs.open_upper(upper, flags)?, false),
            None => (inode.fs.open_lower(inode.lowers.first().ok_or(Errno::EIO)?, flags)?, true),
        };
        Ok(Self { inode, real: Mutex::new(rank::LEAF, real) })
    }

    fn real(&self) -> Result<Arc<File>, Errno> {
        let (real, lower) = {
            let real = self.real.lock();
            (real.0.clone(), real.1)
        };
        let Some(upper) = self.inode.upper.get().filter(|_| lower) else { return Ok(real) };
        let now = self.inode.fs.open_upper(upper, real.flags())?;
        let old = std::mem::replace(&mut *self.real.lock(), (now.clone(), false));
        drop((old, real));
        Ok(now)
    }
}

impl FileOps for OverlayFile {
    fn read_at(&self, _: &File, offset: u64, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let real = self.real()?;
        real.ops().read_at(&real, offset, dst)
    }
    fn write_at(&self, _: &File, offset: u64, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        let real = self.real()?;
        real.ops().write_at(&real, offset, src)
    }
    fn append(&self, _: &File, src: &mut IoSrc<'_>) -> Result<(u64, usize), Errno> {
        let real = self.real()?;
        real.ops().append(&real, src)
    }
    fn next_extent(&self, _: &File, from: u64, data: bool) -> Result<u64, Errno> {
        let real = self.real()?;
        real.ops().next_extent(&real, from, data)
    }
    fn ready(&self, _: &File) -> Ready {
        Ready::IN | Ready::OUT | Ready::RDNORM | Ready::WRNORM
    }
    fn mappable(&self, _: &File) -> Result<Arc<dyn Mappable>, Errno> {
        let real = self.real()?;
        real.ops().mappable(&real)
    }
    fn ioctl(&self, _: &File, mem: &dyn UserMemory, cmd: u32, arg: u64) -> Result<u64, Errno> {
        let real = self.real()?;
        real.ops().ioctl(&real, mem, cmd, arg)
    }
    fn fsync(&self, _: &File, data_only: bool) -> Result<(), Errno> {
        let real = self.real()?;
        real.ops().fsync(&real, data_only)
    }
    fn fallocate(&self, _: &File, mode: u32, offset: u64, len: u64) -> Result<(), Errno> {
        let real = self.real()?;
        real.ops().fallocate(&real, mode, offset, len)
    }
    fn set_flags(&self, _: &File, flags: OpenFlags) -> Result<(), Errno> {
        self.real()?.set_flags(flags)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
