//! Descriptors of the host that the sandbox was given: standard input, output and error that are no terminals.
//!
//! [`HostFiles::open`] makes an open file of one. It shares the open file description with whoever gave it, so its status flags
//! are never touched: reads and writes say `RWF_NOWAIT`, and where the host does not know that, the descriptor is polled first
//! and little is written. A regular file's position is the description's own, as it would be with no sandbox in between.
//!
//! The inode behind it shows the host's type and number, and as owner whoever it was opened for (a runtime without a
//! sandbox changes the owner of standard output for the same reason: so that `/dev/stdout` can be opened).
//! `/proc/PID/fd/N` opened again gives a duplicate. **To the VFS it is a regular file** whatever it is, so that opening it again comes here and
//! not to a FIFO or a driver of ours; only its attributes tell the truth.
//!
//! **Lock order:** the owner is a leaf. **Absent on purpose:** terminals (see `kernel::tty`), socket operations (`ENOTSOCK`).

mod file;

use abi::{
    Errno, OpenFlags,
    stat::{FileType, Statfs, TMPFS_MAGIC, dev},
};
use file::HostFile;
use host::{HostErrno, file::Status};
use ksync::{Mutex, exec::Reactor, rank};
use mem::{Backing, Mappable, MappingSet, page_down, page_up};
use std::{
    any::Any,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};
use vfs::{
    Attr, Credentials, File, FileOps, FileSystem, Gid, Inode, InodeCommon, Mount, OpenRequest, SetAttr, Uid,
    Vfs,
};

fn errno(e: HostErrno) -> Errno {
    Errno::from_host(e as i32)
}

struct HostFs {
    dev: u64,
}

impl FileSystem for HostFs {
    fn name(&self) -> &'static str {
        "hostfd"
    }
    fn statfs(&self) -> Result<Statfs, Errno> {
        Ok(Statfs { f_type: TMPFS_MAGIC, f_bsize: 4096, f_frsize: 4096, f_namelen: 255, ..Statfs::default() })
    }
    fn dev(&self) -> u64 {
        self.dev
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Where open files of the host belong. One a sandbox.
pub struct HostFiles {
    reactor: Arc<Reactor>,
    fs: Arc<HostFs>,
    mount: Arc<Mount>,
}

impl HostFiles {
    /// None yet.
    pub fn new(vfs: &Arc<Vfs>, reactor: &Arc<Reactor>) -> Result<Self, Errno> {
        let fs = Arc::new(HostFs { dev: vfs.new_dev() });
        // The root is never seen; any descriptor of ours serves.
        let fd = host::memfd::create(c"hostfd", false).map_err(errno)?;
        let root = HostInode::new(&fs, reactor, fd, Uid::ROOT, Gid::ROOT)?;
        let mount = vfs.kernel_mount((fs.clone(), root), "hostfd");
        Ok(Self { reactor: reactor.clone(), fs, mount })
    }

    /// `fd` as an open file of `cred`'s. Access mode and `O_APPEND` are the descriptor's.
    pub fn open(&self, fd: OwnedFd, cred: &Arc<Credentials>) -> Result<Arc<File>, Errno> {
        let inode = HostInode::new(&self.fs, &self.reactor, fd, cred.fsuid, cred.fsgid)?;
        let flags = inode.flags;
        let ops = HostFile::new(&inode, true)?;
        let path = Vfs::detached_path(&self.mount, &inode.name()?, inode);
        Ok(File::new(path, flags, cred.clone(), Box::new(ops)))
    }
}

impl HostFiles {
    /// The same for a program. `EACCES` unless it is a regular file that can be read.
    pub fn open_program(&self, fd: OwnedFd, cred: &Arc<Credentials>) -> Result<Arc<File>, Errno> {
        let file = self.open(fd, cred)?;
        let regular = FileType::from_mode(file.path().inode_ref().attr()?.mode) == Some(FileType::Regular);
        if regular && file.flags().readable() { Ok(file) } else { Err(Errno::EACCES) }
    }
}

/// What is changed of attributes without the host's knowing.
struct Owner {
    uid: Uid,
    gid: Gid,
    mode: u32,
}

/// A file of the host.
struct HostInode {
    common: InodeCommon,
    fs: Arc<HostFs>,
    reactor: Arc<Reactor>,
    fd: Arc<OwnedFd>,
    /// What the host says it is.
    kind: FileType,
    /// Access mode and status flags of the descriptor.
    flags: OpenFlags,
    owner: Mutex<Owner>,
    maps: MappingSet,
}

impl HostInode {
    fn new(
        fs: &Arc<HostFs>,
        reactor: &Arc<Reactor>,
        fd: OwnedFd,
        uid: Uid,
        gid: Gid,
    ) -> Result<Arc<Self>, Errno> {
        let status = host::file::status(fd.as_fd()).map_err(errno)?;
        let kind = FileType::from_mode(status.mode).ok_or(Errno::EINVAL)?;
        if kind == FileType::Directory {
            return Err(Errno::EISDIR);
        }
        let bits = host::file::flags(fd.as_fd()).map_err(errno)?;
        let keep = OpenFlags::RDWR | OpenFlags::WRONLY | OpenFlags::APPEND | OpenFlags::NONBLOCK;
        let flags = OpenFlags::from_bits_truncate(u32::try_from(bits).unwrap_or(0)) & keep;
        Ok(Arc::new(Self {
            common: InodeCommon::default(),
            fs: fs.clone(),
            reactor: reactor.clone(),
            fd: Arc::new(fd),
            kind,
            flags,
            owner: Mutex::new(rank::LEAF, Owner { uid, gid, mode: status.mode }),
            maps: MappingSet::default(),
        }))
    }

    fn status(&self) -> Result<Status, Errno> {
        host::file::status(self.fd.as_fd()).map_err(errno)
    }

    /// What `/proc/PID/fd` shows.
    fn name(&self) -> Result<String, Errno> {
        let status = self.status()?;
        let memory = matches!(self.kind, FileType::CharDevice) && dev::major(status.rdev) == dev::MEM_MAJOR;
        let name = match (self.kind, dev::minor(status.rdev)) {
            (FileType::Fifo, _) => "pipe",
            (FileType::Socket, _) => "socket",
            (FileType::CharDevice, 3) if memory => return Ok("/dev/null".into()),
            (FileType::CharDevice, 5) if memory => return Ok("/dev/zero".into()),
            (FileType::CharDevice, 7) if memory => return Ok("/dev/full".into()),
            (FileType::CharDevice, 8) if memory => return Ok("/dev/random".into()),
            (FileType::CharDevice, 9) if memory => return Ok("/dev/urandom".into()),
            // As a path, as that of any file: the C library takes what `/proc/self/exe` says for one.
            (FileType::Regular, _) => "/host",
            _ => "host",
        };
        Ok(format!("{name}:[{}]", status.ino))
    }
}

impl Inode for HostInode {
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
        let s = self.status()?;
        let time = |(tv_sec, tv_nsec)| abi::Timespec { tv_sec, tv_nsec };
        let owner = self.owner.lock();
        Ok(Attr {
            dev: self.fs.dev,
            ino: s.ino,
            mode: owner.mode,
            nlink: s.nlink,
            uid: owner.uid,
            gid: owner.gid,
            rdev: s.rdev,
            size: s.size,
            blocks: s.blocks,
            blksize: s.blksize,
            atime: time(s.atime),
            mtime: time(s.mtime),
            ctime: time(s.ctime),
            btime: None,
            attributes: 0,
        })
    }
    /// Owner and mode change for the sandbox alone; times are the host's.
    fn set_attr(&self, change: &SetAttr) -> Result<(), Errno> {
        match change.size {
            Some(size) if self.kind == FileType::Regular => {
                host::memfd::set_len(self.fd.as_fd(), size).map_err(errno)?;
                if let Some(from) = page_up(size) {
                    self.maps.invalidate(from..page_down(u64::MAX), true);
                }
            }
            // `O_TRUNC` of what has no size.
            Some(0) | None => {}
            Some(_) => return Err(Errno::EINVAL),
        }
        let mut owner = self.owner.lock();
        owner.uid = change.uid.unwrap_or(owner.uid);
        owner.gid = change.gid.unwrap_or(owner.gid);
        if let Some(mode) = change.mode {
            owner.mode = owner.mode & !0o7777 | mode & 0o7777;
        }
        Ok(())
    }
    fn open(self: Arc<Self>, request: &OpenRequest<'_>) -> Result<Box<dyn FileOps>, Errno> {
        let (want, have) = (request.flags, self.flags);
        if (want.readable() && !have.readable()) || (want.writable() && !have.writable()) {
            return Err(Errno::EACCES);
        }
        Ok(Box::new(HostFile::new(&self, false)?))
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Mappable for HostInode {
    fn back(&self, offset: u64, len: u64, write: bool) -> Result<(Backing, u64), Errno> {
        if write && !self.flags.writable() {
            return Err(Errno::EFAULT);
        }
        let end = page_up(self.status()?.size).unwrap_or(page_down(u64::MAX));
        let left = end.checked_sub(offset).filter(|left| *left > 0).ok_or(Errno::EFAULT)?;
        Ok((Backing::Host { fd: self.fd.clone(), offset }, left.min(len)))
    }
    fn mappings(&self) -> &MappingSet {
        &self.maps
    }
    fn sync(&self, _: std::ops::Range<u64>) -> Result<(), Errno> {
        host::file::sync(self.fd.as_fd(), true).map_err(errno)
    }
}

#[cfg(test)]
mod tests;
