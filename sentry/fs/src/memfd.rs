//! `memfd_create(2)`: files in memory that have no name, and their seals.
//!
//! [`Memfds`] is made once and makes them; each is a [`Memfd`], an inode around a [`MemoryObject`]. Seals only ever grow.
//!
//! **Lock order:** `Memfd::sealing` ([`rank::INODE`]) is held shared by whatever changes contents or size and exclusively
//! while a seal is added, so that a sealed file does not change any more; the seals themselves are an atomic, because
//! [`Mappable::admit`] is called under the lock of an address space. The attributes are a leaf.
//! **Absent on purpose:** `MFD_HUGETLB` (`ENOSYS`, as of a kernel without huge pages); extended attributes; seals of
//! ordinary tmpfs files.

use abi::{
    Errno,
    fcntl::{FallocFlags, OpenFlags, SealFlags},
    mman::MemfdFlags,
    stat::{FileType, Statfs, TMPFS_MAGIC},
};
use ksync::{Mutex, RwLock, rank};
use mem::{Backing, IoDst, IoSrc, Mappable, MappingSet, MemoryFile, PAGE_SIZE, page_down};
use mm::object::{MAX_SIZE, MemoryObject};
use std::{
    any::Any,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use vfs::{
    Attr, Credentials, Dentry, File, FileOps, FileSystem, Gid, Inode, InodeCommon, Mount, OpenRequest, Path,
    SetAttr, Uid, Vfs, anon::AnonInode, clock, file::Seek,
};

/// How long a name may be.
pub const NAME_MAX: usize = 249;

struct MemfdFs(u64);

impl FileSystem for MemfdFs {
    fn name(&self) -> &'static str {
        "tmpfs"
    }
    fn statfs(&self) -> Result<Statfs, Errno> {
        let page = PAGE_SIZE as i64;
        Ok(Statfs { f_type: TMPFS_MAGIC, f_bsize: page, f_frsize: page, f_namelen: 255, ..Statfs::default() })
    }
    fn dev(&self) -> u64 {
        self.0
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Makes memfds.
pub struct Memfds {
    fs: Arc<dyn FileSystem>,
    mount: Arc<Mount>,
    vfs: Arc<Vfs>,
    memory: Arc<MemoryFile>,
}

impl Memfds {
    /// For the files of `vfs`, with contents in `memory`.
    pub fn new(vfs: &Arc<Vfs>, memory: Arc<MemoryFile>) -> Self {
        let fs: Arc<dyn FileSystem> = Arc::new(MemfdFs(vfs.new_dev()));
        let mode = FileType::Directory.to_mode() | 0o700;
        let root = AnonInode::new(fs.clone(), FileType::Directory, mode, vfs.new_ino(), Uid::ROOT, Gid::ROOT);
        let mount = vfs.kernel_mount((fs.clone(), root), "tmpfs");
        Self { fs, mount, vfs: vfs.clone(), memory }
    }

    /// `memfd_create(2)`: a file open for reading and writing. `EINVAL` for unknown flags and too long a name.
    /// `MFD_CLOEXEC` is the caller's.
    pub fn create(&self, name: &[u8], flags: u32, cred: &Arc<Credentials>) -> Result<Arc<File>, Errno> {
        let flags = MemfdFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
        let huge = flags.contains(MemfdFlags::HUGETLB);
        let both = flags.contains(MemfdFlags::EXEC | MemfdFlags::NOEXEC_SEAL);
        if both || name.len() > NAME_MAX || !huge && flags.intersects(MemfdFlags::HUGE_MASK) {
            return Err(Errno::EINVAL);
        }
        if huge {
            return Err(Errno::ENOSYS);
        }
        let no_exec = flags.contains(MemfdFlags::NOEXEC_SEAL);
        let seals = match () {
            () if no_exec => SealFlags::EXEC,
            () if flags.contains(MemfdFlags::ALLOW_SEALING) => SealFlags::empty(),
            () => SealFlags::SEAL,
        };
        let now = clock::now();
        let attr = Attr {
            dev: self.fs.dev(),
            ino: self.vfs.new_ino(),
            mode: FileType::Regular.to_mode() | if no_exec { 0o666 } else { 0o777 },
            uid: cred.fsuid,
            gid: cred.fsgid,
            blksize: PAGE_SIZE,
            atime: now,
            mtime: now,
            ctime: now,
            btime: Some(now),
            ..Attr::default()
        };
        let memfd = Arc::new_cyclic(|me| Memfd {
            me: me.clone(),
            common: InodeCommon::default(),
            fs: self.fs.clone(),
            object: MemoryObject::new(self.memory.clone()),
            attr: Mutex::new(rank::LEAF, attr),
            seals: AtomicU32::new(seals.bits()),
            sealing: RwLock::new(rank::INODE, ()),
        });
        // As /proc/pid/fd and /proc/pid/maps show it.
        let name = [b"/memfd:", name, b" (deleted)"].concat();
        let path = Path::new(self.mount.clone(), Dentry::detached(&name, memfd.clone()))?;
        let open_flags = OpenFlags::RDWR | OpenFlags::LARGEFILE;
        Ok(File::new(path, open_flags, cred.clone(), Box::new(MemfdFile(memfd))))
    }
}

/// A file in memory.
pub struct Memfd {
    me: std::sync::Weak<Memfd>,
    common: InodeCommon,
    fs: Arc<dyn FileSystem>,
    object: Arc<MemoryObject>,
    /// All but size and blocks.
    attr: Mutex<Attr>,
    seals: AtomicU32,
    sealing: RwLock<()>,
}

/// The seals that end writing.
const NO_WRITING: SealFlags = SealFlags::WRITE.union(SealFlags::FUTURE_WRITE);

impl Memfd {
    fn seals(&self) -> SealFlags {
        SealFlags::from_bits_truncate(self.seals.load(Ordering::SeqCst))
    }

    fn add_seals(&self, new: SealFlags) -> Result<(), Errno> {
        let _sealing = self.sealing.write();
        let old = self.seals();
        if old.contains(SealFlags::SEAL) {
            return Err(Errno::EPERM);
        }
        let mut new = new;
        if new.contains(SealFlags::EXEC) && self.attr.lock().mode & 0o111 != 0 {
            // What can be executed now and for ever shall not change either.
            new |= SealFlags::SHRINK | SealFlags::GROW | NO_WRITING;
        }
        self.seals.store((old | new).bits(), Ordering::SeqCst);
        // Sealed first and looked second: a mapping that is being made is counted first and admitted second.
        let writes = new.contains(SealFlags::WRITE) && !old.contains(SealFlags::WRITE);
        if writes && self.object.mappings().has_writers() {
            self.seals.store(old.bits(), Ordering::SeqCst);
            return Err(Errno::EBUSY);
        }
        Ok(())
    }

    /// Cuts `src`, to be written at `offset`, to what the seals allow.
    fn check_write(&self, offset: u64, src: &mut IoSrc<'_>) -> Result<(), Errno> {
        let seals = self.seals();
        if seals.intersects(NO_WRITING) {
            return Err(Errno::EPERM);
        }
        let size = self.object.size();
        if seals.contains(SealFlags::GROW) && offset.saturating_add(src.remaining() as u64) > size {
            // As on Linux, which looks at each page: what lies on the page where the file would grow is refused whole.
            let room = page_down(size).checked_sub(offset).filter(|r| *r > 0).ok_or(Errno::EPERM)?;
            src.limit(usize::try_from(room).unwrap_or(usize::MAX));
        }
        Ok(())
    }

    fn set_size(&self, size: u64) -> Result<(), Errno> {
        let _sealing = self.sealing.read();
        let (seals, old) = (self.seals(), self.object.size());
        let grows = size > old && seals.contains(SealFlags::GROW);
        if grows || size < old && seals.contains(SealFlags::SHRINK) {
            return Err(Errno::EPERM);
        }
        self.object.set_size(size)?;
        self.modified();
        Ok(())
    }

    fn allocate(&self, mode: u32, range: Range<u64>) -> Result<(), Errno> {
        let punch = FallocFlags::PUNCH_HOLE | FallocFlags::KEEP_SIZE;
        let mode = FallocFlags::from_bits_retain(mode);
        let _sealing = self.sealing.read();
        let seals = self.seals();
        if mode == punch {
            if seals.intersects(NO_WRITING) {
                return Err(Errno::EPERM);
            }
            self.object.punch_hole(range);
        } else if (mode - FallocFlags::KEEP_SIZE).is_empty() {
            if range.end > MAX_SIZE {
                return Err(Errno::EFBIG);
            }
            if seals.contains(SealFlags::GROW) && range.end > self.object.size() {
                return Err(Errno::EPERM);
            }
            self.object.allocate(range, mode.contains(FallocFlags::KEEP_SIZE))?;
        } else {
            return Err(Errno::EOPNOTSUPP);
        }
        self.modified();
        Ok(())
    }

    fn modified(&self) {
        let now = clock::now();
        let mut attr = self.attr.lock();
        (attr.mtime, attr.ctime) = (now, now);
    }
}

fn of(file: &File) -> Result<Arc<Memfd>, Errno> {
    file.downcast::<MemfdFile>().map(|f| f.0.clone()).ok_or(Errno::EINVAL)
}

/// `fcntl(F_GET_SEALS)`; `EINVAL` for what is no memfd.
pub fn get_seals(file: &File) -> Result<u32, Errno> {
    Ok(of(file)?.seals().bits())
}

/// `fcntl(F_ADD_SEALS)`: `EPERM` if not open for writing or sealed against it, `EINVAL`, `EBUSY` for `F_SEAL_WRITE` while
/// there are writable shared mappings.
pub fn add_seals(file: &File, seals: u32) -> Result<(), Errno> {
    let memfd = of(file)?;
    file.check_writable().map_err(|_| Errno::EPERM)?;
    memfd.add_seals(SealFlags::from_bits(seals).ok_or(Errno::EINVAL)?)
}

impl Inode for Memfd {
    fn common(&self) -> &InodeCommon {
        &self.common
    }
    fn fs(&self) -> Arc<dyn FileSystem> {
        self.fs.clone()
    }
    fn file_type(&self) -> FileType {
        FileType::Regular
    }
    fn attr(&self) -> Result<Attr, Errno> {
        let (size, blocks) = (self.object.size(), self.object.allocated_bytes() / 512);
        Ok(Attr { size, blocks, ..*self.attr.lock() })
    }
    fn set_attr(&self, change: &SetAttr) -> Result<(), Errno> {
        let sealed = self.seals().contains(SealFlags::EXEC);
        let executable = |mode: u32| mode & 0o111;
        let old = self.attr.lock().mode;
        if sealed && change.mode.is_some_and(|mode| executable(mode) != executable(old)) {
            return Err(Errno::EPERM);
        }
        if let Some(size) = change.size {
            self.set_size(size)?;
        }
        self.attr.lock().apply(&SetAttr { size: None, ..*change }, clock::now());
        Ok(())
    }
    fn open(self: Arc<Self>, _: &OpenRequest<'_>) -> Result<Box<dyn FileOps>, Errno> {
        Ok(Box::new(MemfdFile(self)))
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Mappable for Memfd {
    fn back(&self, offset: u64, len: u64, write: bool) -> Result<(Backing, u64), Errno> {
        self.object.back(offset, len, write)
    }
    fn admit(&self, shared: bool, write: bool) -> Result<bool, Errno> {
        match self.seals().intersects(NO_WRITING) {
            true if shared && write => Err(Errno::EPERM),
            sealed => Ok(!(sealed && shared)),
        }
    }
    fn mappings(&self) -> &MappingSet {
        self.object.mappings()
    }
}

/// An open memfd.
struct MemfdFile(Arc<Memfd>);

impl FileOps for MemfdFile {
    fn read_at(&self, _: &File, offset: u64, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        self.0.object.read_at(offset, dst)
    }
    fn write_at(&self, _: &File, offset: u64, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        if src.remaining() == 0 {
            return Ok(0);
        }
        let _sealing = self.0.sealing.read();
        self.0.check_write(offset, src)?;
        let n = self.0.object.write_at(offset, src)?;
        self.0.modified();
        Ok(n)
    }
    fn append(&self, _: &File, src: &mut IoSrc<'_>) -> Result<(u64, usize), Errno> {
        if src.remaining() == 0 {
            return Ok((self.0.object.size(), 0));
        }
        let _sealing = self.0.sealing.read();
        self.0.check_write(self.0.object.size(), src)?;
        let end = self.0.object.append(src)?;
        self.0.modified();
        Ok(end)
    }
    fn seek(&self, file: &File, to: Seek) -> Result<u64, Errno> {
        let object = &self.0.object;
        let mut pos = file.pos.lock();
        let from = |n: i64| u64::try_from(n).map_err(|_| Errno::ENXIO);
        let new = match to {
            Seek::Set(n) => n,
            Seek::Cur(n) => {
                i64::try_from(*pos).ok().and_then(|p| p.checked_add(n)).ok_or(Errno::EOVERFLOW)?
            }
            Seek::End(n) => {
                i64::try_from(object.size()).ok().and_then(|s| s.checked_add(n)).ok_or(Errno::EOVERFLOW)?
            }
            Seek::Data(n) => object.seek_data(from(n)?).map_or(-1, |at| at as i64),
            Seek::Hole(n) => object.seek_hole(from(n)?).map_or(-1, |at| at as i64),
        };
        let none = if matches!(to, Seek::Data(_) | Seek::Hole(_)) { Errno::ENXIO } else { Errno::EINVAL };
        *pos = u64::try_from(new).map_err(|_| none)?;
        Ok(*pos)
    }
    fn mappable(&self, _: &File) -> Result<Arc<dyn Mappable>, Errno> {
        let memfd: Arc<Memfd> = self.0.me.upgrade().ok_or(Errno::ENODEV)?;
        Ok(memfd)
    }
    fn fallocate(&self, _: &File, mode: u32, offset: u64, len: u64) -> Result<(), Errno> {
        let end = offset.checked_add(len).ok_or(Errno::EFBIG)?;
        self.0.allocate(mode, offset..end)
    }
    fn fsync(&self, _: &File, _: bool) -> Result<(), Errno> {
        Ok(()) // there is no storage behind it
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests;
