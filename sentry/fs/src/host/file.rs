//! An open file of the host: streams without waiting, regular files at their positions.

use super::{HostInode, errno};
use abi::{Errno, fcntl::OpenFlags, ioctl::FIONREAD, stat::FileType};
use host::{
    file::{PollFlags, Whence},
    io::RwFlags,
};
use ksync::{Ready, WaitQueue, exec::HostWatch};
use mem::{IoDst, IoSrc, Mappable, UserAddr, UserMemory, UserMemoryExt, VolatileSlice};
use std::{
    any::Any,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};
use vfs::{File, FileOps, file::Seek};

/// What is written to a stream at once: a whole write of this size goes in one piece if there is room.
const STREAM_CHUNK: usize = 64 << 10;
/// What may be written to a stream that was merely seen to have room.
const POLLED_CHUNK: usize = 4096;

/// An open file of the host.
pub(super) struct HostFile {
    inode: Arc<HostInode>,
    fd: Arc<OwnedFd>,
    queue: Arc<WaitQueue>,
    /// None for what is always ready.
    watch: Option<HostWatch>,
    /// The position is the host's, shared with whoever gave us the descriptor.
    shared_position: bool,
}

impl HostFile {
    /// `first`: on the very descriptor that was given; its position is shared.
    pub(super) fn new(inode: &Arc<HostInode>, first: bool) -> Result<Self, Errno> {
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
