//! Open files: [`File`] (Linux's open file description) and [`FileOps`], what an open file does.

use crate::{Credentials, Inode, Path, landlock::FsAccess};
use abi::{Errno, fcntl::OpenFlags, stat::FileType};
use ksync::{Mutex, Ready, Registration, WaitQueue, rank};
use mem::{IoDst, IoSrc, Mappable, UserMemory};
use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

/// An entry as `getdents64(2)` gives it.
#[derive(Clone, Debug)]
pub struct DirEntry<'a> {
    /// Inode number.
    pub ino: u64,
    /// Position of the entry *behind* this one (`d_off`).
    pub next: u64,
    /// Its type, as far as known.
    pub kind: Option<FileType>,
    /// Its name.
    pub name: &'a [u8],
}

/// Takes directory entries; `false` when there is no room for this one.
pub type DirSink<'s> = dyn FnMut(DirEntry<'_>) -> bool + 's;

/// Where to put the position (`lseek(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "names of lseek(2)")]
pub enum Seek {
    Set(i64),
    Cur(i64),
    End(i64),
    Data(i64),
    Hole(i64),
}

/// What an open file does, whatever backs it. Nothing here sleeps.
pub trait FileOps: Send + Sync + Any {
    /// Moves bytes at `offset` into `dst`, returning how many; 0 is end of file. `ESPIPE` for streams, `EISDIR`.
    fn read_at(&self, file: &File, offset: u64, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let _ = (offset, dst);
        Err(if file.path.is_dir() { Errno::EISDIR } else { Errno::ESPIPE })
    }
    /// Moves bytes from `src` to `offset`. Sizes beyond `RLIMIT_FSIZE` are cut by the caller.
    fn write_at(&self, file: &File, offset: u64, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        let _ = (file, offset, src);
        Err(Errno::ESPIPE)
    }
    /// Moves bytes from `src` to the end, atomically with other appends; the offset behind them, and how many.
    fn append(&self, file: &File, src: &mut IoSrc<'_>) -> Result<(u64, usize), Errno> {
        let end = file.inode().attr()?.size;
        let n = self.write_at(file, end, src)?;
        Ok((end + n as u64, n))
    }
    /// `read(2)`: for seekable files at the position, which moves; streams implement it.
    ///
    /// `EAGAIN` whenever [`ready`](Self::ready) lacks [`Ready::IN`].
    fn read(&self, file: &File, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        if !self.seekable() {
            return Err(Errno::EINVAL); // a stream that cannot be read
        }
        let mut pos = file.pos.lock();
        let n = self.read_at(file, *pos, dst)?;
        *pos += n as u64;
        Ok(n)
    }
    /// `write(2)`: for seekable files at the position or the end; streams implement it.
    fn write(&self, file: &File, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        if !self.seekable() {
            return Err(Errno::EINVAL); // a stream that cannot be written
        }
        let mut pos = file.pos.lock();
        if file.flags().contains(OpenFlags::APPEND) {
            let (end, n) = self.append(file, src)?;
            *pos = end;
            return Ok(n);
        }
        let n = self.write_at(file, *pos, src)?;
        *pos += n as u64;
        Ok(n)
    }
    /// How long a read waits at most before it gives 0 (terminals with `VTIME`), in nanoseconds.
    fn read_timeout_ns(&self) -> Option<u64> {
        None
    }
    /// Whether positions mean anything: `pread` and `lseek` give `ESPIPE` otherwise.
    fn seekable(&self) -> bool {
        true
    }
    /// The first offset from `from` on with data (or, unless `data`, in a hole, of which the end of the file is one).
    /// `ENXIO` behind the last. The default takes the whole file for data.
    fn next_extent(&self, file: &File, from: u64, data: bool) -> Result<u64, Errno> {
        let size = file.inode().attr()?.size;
        if from >= size { Err(Errno::ENXIO) } else { Ok(if data { from } else { size }) }
    }
    /// `lseek(2)`; the default knows sizes from the inode.
    fn seek(&self, file: &File, to: Seek) -> Result<u64, Errno> {
        if !self.seekable() {
            return Err(Errno::ESPIPE);
        }
        let mut pos = file.pos.lock();
        let size = || file.inode().attr().map(|a| a.size as i64);
        let new = match to {
            Seek::Set(n) => n,
            Seek::Cur(n) => (*pos as i64).checked_add(n).ok_or(Errno::EOVERFLOW)?,
            Seek::End(n) => size()?.checked_add(n).ok_or(Errno::EOVERFLOW)?,
            Seek::Data(n) | Seek::Hole(n) => {
                let from = u64::try_from(n).map_err(|_| Errno::ENXIO)?;
                let at = self.next_extent(file, from, matches!(to, Seek::Data(_)))?;
                i64::try_from(at).map_err(|_| Errno::EOVERFLOW)?
            }
        };
        *pos = u64::try_from(new).map_err(|_| Errno::EINVAL)?;
        Ok(*pos)
    }
    /// Readiness now; every change is announced on [`wait_queue`](Self::wait_queue).
    fn ready(&self, file: &File) -> Ready {
        let _ = file;
        Ready::IN | Ready::OUT | Ready::RDNORM | Ready::WRNORM
    }
    /// Where changes of readiness are announced; `None` for files that are always ready (`epoll_ctl` gives `EPERM`).
    fn wait_queue(&self) -> Option<&WaitQueue> {
        None
    }
    /// Entries from position `*pos` on, until `sink` takes no more; moves `*pos` behind the last one taken.
    /// Includes `.` and `..`.
    fn read_dir(&self, file: &File, pos: &mut u64, sink: &mut DirSink<'_>) -> Result<(), Errno> {
        let _ = (file, pos, sink);
        Err(Errno::ENOTDIR)
    }
    /// What `mmap` maps; `ENODEV` for what cannot be mapped.
    fn mappable(&self, file: &File) -> Result<Arc<dyn Mappable>, Errno> {
        let _ = file;
        Err(Errno::ENODEV)
    }
    /// `ioctl(2)`; `mem` is the caller's memory. Generic ones (`FIONBIO`, `FIOCLEX`, ...) never come here.
    fn ioctl(&self, file: &File, mem: &dyn UserMemory, cmd: u32, arg: u64) -> Result<u64, Errno> {
        let _ = (file, mem, cmd, arg);
        Err(Errno::ENOTTY)
    }
    /// `fsync(2)`, `fdatasync(2)`. `EINVAL` for what is never written to anything.
    fn fsync(&self, file: &File, data_only: bool) -> Result<(), Errno> {
        let _ = (file, data_only);
        Err(Errno::EINVAL)
    }
    /// `fallocate(2)` with its mode bits.
    fn fallocate(&self, file: &File, mode: u32, offset: u64, len: u64) -> Result<(), Errno> {
        let _ = (file, mode, offset, len);
        Err(Errno::EOPNOTSUPP)
    }
    /// Whether the status flags may become `flags` (`fcntl(F_SETFL)`).
    fn set_flags(&self, file: &File, flags: OpenFlags) -> Result<(), Errno> {
        let _ = (file, flags);
        Ok(())
    }
    /// Called at each `close(2)` of a descriptor.
    fn flush(&self, file: &File) -> Result<(), Errno> {
        let _ = file;
        Ok(())
    }
    /// Lines for `/proc/pid/fdinfo/N` behind the generic ones.
    fn fdinfo(&self, file: &File) -> String {
        let _ = file;
        String::new()
    }
    /// For downcasts by whoever made it: implement as `self`.
    fn as_any(&self) -> &dyn Any;
}

/// Whom `SIGIO` and `SIGURG` go to (`F_SETOWN`).
#[derive(Clone, Copy, Debug, Default)]
pub struct FileOwner {
    /// `F_OWNER_TID`, `F_OWNER_PID` or `F_OWNER_PGRP`.
    pub kind: i32,
    /// Id as given; 0 is nobody.
    pub id: i32,
    /// `F_SETSIG`; 0 stands for `SIGIO` without details.
    pub signal: i32,
}

/// An open file description: what descriptors and mappings refer to.
pub struct File {
    ops: Box<dyn FileOps>,
    path: Path,
    flags: AtomicU32,
    /// Position; held across reads and writes that use it.
    pub pos: Mutex<u64>,
    cred: Arc<Credentials>,
    /// Unique in the sandbox: owner of OFD locks and `flock`s, key of epoll.
    pub id: u64,
    /// `F_SETOWN`.
    pub owner: Mutex<FileOwner>,
    /// `O_ASYNC`: hears of changes of readiness.
    pub fasync: Mutex<Option<Registration>>,
    /// Counted as an execution of the file.
    denies_write: AtomicBool,
    /// The open that gave it made the file.
    created: AtomicBool,
    /// What landlock grants to whoever uses it, beside what it was opened for.
    granted: AtomicU64,
}

/// Flags of open(2) that stay with the open file.
const KEPT: OpenFlags = OpenFlags::from_bits_retain(
    !(OpenFlags::CREAT.bits()
        | OpenFlags::EXCL.bits()
        | OpenFlags::NOCTTY.bits()
        | OpenFlags::TRUNC.bits()
        | OpenFlags::CLOEXEC.bits()),
);

impl File {
    /// An open file at `path` with the access and status `flags`, opened by `cred`.
    pub fn new(path: Path, flags: OpenFlags, cred: Arc<Credentials>, ops: Box<dyn FileOps>) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        if flags.writable() && path.inode().file_type() == FileType::Regular {
            // Counted for ETXTBSY; `vfs::ops::open` has refused it where the file is being executed.
            path.inode().common().writers.fetch_add(1, Ordering::AcqRel);
            path.mount().writers.fetch_add(1, Ordering::AcqRel);
        }
        path.inode().common().opens.fetch_add(1, Ordering::AcqRel);
        Arc::new(Self {
            ops,
            path,
            flags: AtomicU32::new((flags & KEPT).bits()),
            pos: Mutex::new(rank::FILE_POS, 0),
            cred,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            owner: Mutex::new(rank::LEAF, FileOwner::default()),
            fasync: Mutex::new(rank::LEAF, None),
            denies_write: AtomicBool::new(false),
            created: AtomicBool::new(false),
            granted: AtomicU64::new(FsAccess::all().bits()),
        })
    }
    /// Whether the open that gave it made the file (`F_CREATED_QUERY`).
    pub fn was_created(&self) -> bool {
        self.created.load(Ordering::Relaxed)
    }
    /// Says that it did.
    pub(crate) fn set_created(&self) {
        self.created.store(true, Ordering::Relaxed);
    }
    /// What it does.
    pub fn ops(&self) -> &dyn FileOps {
        &*self.ops
    }
    /// Its operations as the type that they are.
    pub fn downcast<T: 'static>(&self) -> Option<&T> {
        self.ops.as_any().downcast_ref()
    }
    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// What it was opened on.
    pub fn inode(&self) -> Arc<dyn Inode> {
        self.path.inode()
    }
    /// Who opened it.
    pub fn cred(&self) -> &Arc<Credentials> {
        &self.cred
    }
    /// Access mode and status flags.
    pub fn flags(&self) -> OpenFlags {
        OpenFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }
    /// Replaces the status flags that `fcntl(F_SETFL)` may change.
    pub fn set_flags(&self, flags: OpenFlags) -> Result<(), Errno> {
        const SETTABLE: OpenFlags = OpenFlags::APPEND
            .union(OpenFlags::NONBLOCK)
            .union(OpenFlags::ASYNC)
            .union(OpenFlags::DIRECT)
            .union(OpenFlags::NOATIME);
        let new = (self.flags() - SETTABLE) | (flags & SETTABLE);
        self.ops.set_flags(self, new)?;
        self.flags.store(new.bits(), Ordering::Relaxed);
        Ok(())
    }
    /// `O_NONBLOCK`.
    pub fn nonblocking(&self) -> bool {
        self.flags().contains(OpenFlags::NONBLOCK)
    }
    /// `EBADF` unless opened for reading.
    pub fn check_readable(&self) -> Result<(), Errno> {
        if self.flags().readable() && !self.is_path_only() { Ok(()) } else { Err(Errno::EBADF) }
    }
    /// `EBADF` unless opened for writing.
    pub fn check_writable(&self) -> Result<(), Errno> {
        if self.flags().writable() && !self.is_path_only() { Ok(()) } else { Err(Errno::EBADF) }
    }
    /// `O_PATH`.
    pub fn is_path_only(&self) -> bool {
        self.flags().contains(OpenFlags::PATH)
    }
    /// What landlock granted when it was opened: all that does not go by names.
    pub fn granted(&self) -> FsAccess {
        FsAccess::from_bits_truncate(self.granted.load(Ordering::Relaxed))
    }
    pub(crate) fn set_granted(&self, granted: FsAccess) {
        self.granted.store(granted.bits(), Ordering::Relaxed);
    }
    /// Readiness now.
    pub fn ready(&self) -> Ready {
        self.ops.ready(self)
    }
    /// Keeps the file from being opened for writing as long as this open file lives, or until
    /// [`allow_write`](Self::allow_write): it is executed. `ETXTBSY` while somebody has it open for writing.
    pub fn deny_write(&self) -> Result<(), Errno> {
        if self.denies_write.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        crate::ops::deny_write(&self.path.inode())
            .inspect_err(|_| self.denies_write.store(false, Ordering::Release))
    }
    /// The end of [`deny_write`](Self::deny_write).
    pub fn allow_write(&self) {
        if self.denies_write.swap(false, Ordering::AcqRel) {
            crate::ops::allow_write(&self.path.inode());
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.allow_write();
        let asks = self.fasync.lock().take();
        drop(asks);
        let inode = self.path.inode();
        if self.flags().writable() && inode.file_type() == FileType::Regular {
            inode.common().writers.fetch_sub(1, Ordering::AcqRel);
            self.path.mount().writers.fetch_sub(1, Ordering::AcqRel);
        }
        inode.common().opens.fetch_sub(1, Ordering::AcqRel);
        crate::locks::file_closed(self, &inode);
        crate::inotify::file_closed(self, &inode);
        inode.released(self);
    }
}

/// The operations of an `O_PATH` descriptor: none.
pub struct PathOnly;
impl FileOps for PathOnly {
    fn read(&self, _: &File, _: &mut IoDst<'_>) -> Result<usize, Errno> {
        Err(Errno::EBADF)
    }
    fn write(&self, _: &File, _: &mut IoSrc<'_>) -> Result<usize, Errno> {
        Err(Errno::EBADF)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
