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

use abi::{
    Errno,
    fcntl::OpenFlags,
    ioctl::FIONREAD,
    stat::{FileType, Statfs, TMPFS_MAGIC, dev},
};
use host::{
    HostErrno,
    file::{PollFlags, Status, Whence},
    io::RwFlags,
};
use ksync::{
    Mutex, Ready, WaitQueue,
    exec::{HostWatch, Reactor},
    rank,
};
use mem::{
    Backing, IoDst, IoSrc, Mappable, MappingSet, UserAddr, UserMemory, UserMemoryExt, VolatileSlice,
    page_down, page_up,
};
use std::{
    any::Any,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};
use vfs::{
    Attr, Credentials, File, FileOps, FileSystem, Gid, Inode, InodeCommon, Mount, OpenRequest, SetAttr, Uid,
    Vfs, file::Seek,
};

/// What is written to a stream at once: a whole write of this size goes in one piece if there is room.
const STREAM_CHUNK: usize = 64 << 10;
/// What may be written to a stream that was merely seen to have room.
const POLLED_CHUNK: usize = 4096;

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

/// An open file of the host.
struct HostFile {
    inode: Arc<HostInode>,
    fd: Arc<OwnedFd>,
    queue: Arc<WaitQueue>,
    /// None for what is always ready.
    watch: Option<HostWatch>,
    /// The position is the host's, shared with whoever gave us the descriptor.
    shared_position: bool,
}

impl HostFile {
    fn new(inode: &Arc<HostInode>, first: bool) -> Result<Self, Errno> {
        // Watches go by descriptor, so each open file has one of its own.
        let fd = match first {
            true => inode.fd.clone(),
            false => Arc::new(host::file::duplicate(inode.fd.as_fd()).map_err(errno)?),
        };
        let queue = Arc::new(WaitQueue::new());
        let watch = match inode.kind {
            FileType::Regular | FileType::BlockDevice => None,
            _ => inode.reactor.watch(fd.clone(), queue.clone())?,
        };
        Ok(Self { inode: inode.clone(), fd, queue, watch, shared_position: first })
    }

    fn seeks(&self) -> bool {
        matches!(self.inode.kind, FileType::Regular | FileType::BlockDevice)
    }

    fn poll(&self, events: PollFlags) -> Result<PollFlags, Errno> {
        host::file::poll_now(self.fd.as_fd(), events).map_err(errno)
    }

    /// Reads into `piece` without waiting.
    fn read_stream(&self, piece: &VolatileSlice<'_>) -> Result<usize, Errno> {
        let fd = self.fd.as_fd();
        match mem::host::read(fd, piece, None, RwFlags::NOWAIT) {
            Err(Errno::EOPNOTSUPP) => {
                if self.poll(PollFlags::POLLIN)?.is_empty() {
                    return Err(Errno::EAGAIN);
                }
                mem::host::read(fd, piece, None, RwFlags::empty())
            }
            done => done,
        }
    }

    /// Writes `piece` without waiting.
    fn write_stream(&self, piece: &VolatileSlice<'_>) -> Result<usize, Errno> {
        let fd = self.fd.as_fd();
        match mem::host::write(fd, piece, None, RwFlags::NOWAIT) {
            Err(Errno::EOPNOTSUPP) => {
                if self.poll(PollFlags::POLLOUT)?.is_empty() {
                    return Err(Errno::EAGAIN);
                }
                let little = piece.subslice(0, piece.len().min(POLLED_CHUNK)).map_err(|_| Errno::EFAULT)?;
                mem::host::write(fd, &little, None, RwFlags::empty())
            }
            done => done,
        }
    }

    fn put(&self, file: &File, mut at: Option<u64>, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        let mut flags = RwFlags::empty();
        flags.set(RwFlags::APPEND, file.flags().contains(OpenFlags::APPEND) && at.is_none());
        let fd = self.fd.as_fd();
        src.take_with(src.remaining(), &mut |piece| {
            let n = mem::host::write(fd, &piece, at, flags)?;
            at = at.map(|at| at.saturating_add(n as u64));
            Ok(n)
        })
    }

    fn get(&self, mut at: Option<u64>, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let fd = self.fd.as_fd();
        dst.put_with(dst.remaining(), &mut |piece| {
            let n = mem::host::read(fd, &piece, at, RwFlags::empty())?;
            at = at.map(|at| at.saturating_add(n as u64));
            Ok(n)
        })
    }
}

impl FileOps for HostFile {
    fn read_at(&self, _: &File, offset: u64, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        if self.seeks() { self.get(Some(offset), dst) } else { Err(Errno::ESPIPE) }
    }
    fn write_at(&self, file: &File, offset: u64, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        if self.seeks() { self.put(file, Some(offset), src) } else { Err(Errno::ESPIPE) }
    }
    fn append(&self, file: &File, src: &mut IoSrc<'_>) -> Result<(u64, usize), Errno> {
        let end = self.inode.status()?.size;
        let n = self.put(file, Some(end), src)?;
        Ok((end.saturating_add(n as u64), n))
    }
    fn read(&self, file: &File, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        if self.seeks() {
            if self.shared_position {
                return self.get(None, dst);
            }
            let mut pos = file.pos.lock();
            let n = self.get(Some(*pos), dst)?;
            *pos = pos.saturating_add(n as u64);
            return Ok(n);
        }
        if dst.remaining() == 0 {
            return Ok(0);
        }
        // One piece: a stream that has given something may have nothing more, and would be waited for.
        let mut done = None;
        let n = dst.put_with(dst.remaining(), &mut |piece| {
            if done.is_some() {
                return Ok(0);
            }
            let n = self.read_stream(&piece)?;
            done = Some(n);
            Ok(n)
        })?;
        Ok(n)
    }
    fn write(&self, file: &File, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        if self.seeks() {
            if self.shared_position {
                return self.put(file, None, src);
            }
            let mut pos = file.pos.lock();
            let (end, n) = if file.flags().contains(OpenFlags::APPEND) {
                self.append(file, src)?
            } else {
                let n = self.put(file, Some(*pos), src)?;
                (pos.saturating_add(n as u64), n)
            };
            *pos = end;
            return Ok(n);
        }
        let mut total = 0;
        loop {
            // Through a buffer, so that what the application writes at once is written at once.
            let mut bytes = src.take_vec(STREAM_CHUNK)?;
            let taken = bytes.len();
            if taken == 0 {
                return Ok(total);
            }
            match self.write_stream(&VolatileSlice::from(bytes.as_mut_slice())) {
                Ok(n) => {
                    src.untake(taken - n.min(taken));
                    total += n;
                    if n < taken {
                        return Ok(total);
                    }
                }
                Err(e) => {
                    src.untake(taken);
                    return if total > 0 { Ok(total) } else { Err(e) };
                }
            }
        }
    }
    fn seekable(&self) -> bool {
        self.seeks()
    }
    fn next_extent(&self, _: &File, from: u64, data: bool) -> Result<u64, Errno> {
        let find = if data { host::memfd::next_data } else { host::memfd::next_hole };
        // Looking moves the position that is the host's.
        let before = host::file::seek(self.fd.as_fd(), 0, Whence::Current).map_err(errno)?;
        let found = find(self.fd.as_fd(), from).map_err(errno);
        let back = i64::try_from(before).map_err(|_| Errno::EOVERFLOW)?;
        host::file::seek(self.fd.as_fd(), back, Whence::Set).map_err(errno)?;
        found?.ok_or(Errno::ENXIO)
    }
    fn seek(&self, file: &File, to: Seek) -> Result<u64, Errno> {
        if !self.seeks() {
            return Err(Errno::ESPIPE);
        }
        let (offset, whence) = match to {
            Seek::Set(n) => (n, Whence::Set),
            Seek::Cur(n) => (n, Whence::Current),
            Seek::End(n) => (n, Whence::End),
            Seek::Data(n) => (n, Whence::Data),
            Seek::Hole(n) => (n, Whence::Hole),
        };
        if self.shared_position {
            return host::file::seek(self.fd.as_fd(), offset, whence).map_err(errno);
        }
        let mut pos = file.pos.lock();
        let from = |base: u64| {
            let base = i64::try_from(base).map_err(|_| Errno::EOVERFLOW)?;
            let sum = base.checked_add(offset).ok_or(Errno::EOVERFLOW)?;
            u64::try_from(sum).map_err(|_| Errno::EINVAL)
        };
        *pos = match to {
            Seek::Set(_) => from(0)?,
            Seek::Cur(_) => from(*pos)?,
            Seek::End(_) => from(self.inode.status()?.size)?,
            Seek::Data(n) | Seek::Hole(n) => {
                let n = u64::try_from(n).map_err(|_| Errno::ENXIO)?;
                self.next_extent(file, n, matches!(to, Seek::Data(_)))?
            }
        };
        Ok(*pos)
    }
    fn ready(&self, _: &File) -> Ready {
        if self.watch.is_none() {
            return Ready::IN | Ready::OUT | Ready::RDNORM | Ready::WRNORM;
        }
        let asked = PollFlags::POLLIN | PollFlags::POLLOUT | PollFlags::POLLPRI;
        let now = self.poll(asked).unwrap_or(PollFlags::POLLERR);
        let mut ready = Ready::from_bits_truncate(u32::try_from(now.bits()).unwrap_or(0)) - Ready::NVAL;
        ready.set(Ready::RDNORM, ready.contains(Ready::IN));
        ready.set(Ready::WRNORM, ready.contains(Ready::OUT));
        ready
    }
    fn wait_queue(&self) -> Option<&WaitQueue> {
        self.watch.as_ref().map(|_| &*self.queue)
    }
    fn mappable(&self, _: &File) -> Result<Arc<dyn Mappable>, Errno> {
        match self.inode.kind {
            FileType::Regular if self.inode.flags.readable() => Ok(self.inode.clone()),
            FileType::Regular => Err(Errno::EACCES),
            _ => Err(Errno::ENODEV),
        }
    }
    fn ioctl(&self, _: &File, mem: &dyn UserMemory, cmd: u32, arg: u64) -> Result<u64, Errno> {
        if cmd != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let n = host::file::available(self.fd.as_fd()).map_err(errno)?;
        mem.copy_out(UserAddr(arg), &n.to_ne_bytes())?;
        Ok(0)
    }
    fn fsync(&self, _: &File, data_only: bool) -> Result<(), Errno> {
        host::file::sync(self.fd.as_fd(), data_only).map_err(errno)
    }
    fn fallocate(&self, _: &File, mode: u32, offset: u64, len: u64) -> Result<(), Errno> {
        let mode = i32::try_from(mode).map_err(|_| Errno::EOPNOTSUPP)?;
        host::memfd::fallocate(self.fd.as_fd(), mode, offset, len).map_err(errno)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests;
