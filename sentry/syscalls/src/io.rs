//! Reading and writing: `read(2)`, `write(2)` and their variants, `lseek(2)`.

use crate::row::Row;
use crate::rows;
use abi::{
    Errno, Iovec, OpenFlags, SigInfo, Signal,
    fcntl::{RwFlags, SyncFileRangeFlags, Whence},
    limits::IOV_MAX,
    process::Resource,
    socket::MsgFlags,
};
use kernel::{SysError, SysResult, Task, task::Wait};
use ksync::Ready;
use mem::{IoDst, IoSrc, UserAddr, UserPtr};
use net::Socket;
use std::sync::Arc;
use vfs::{Fd, File, file::Seek};

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    again READ = read as (Fd, UserAddr, usize);
    again WRITE = write as (Fd, UserAddr, usize);
    again PREAD64 = pread64 as (Fd, UserAddr, usize, i64);
    again PWRITE64 = pwrite64 as (Fd, UserAddr, usize, i64);
    again READV = readv as (Fd, UserPtr<Iovec>, usize);
    again WRITEV = writev as (Fd, UserPtr<Iovec>, usize);
    again PREADV = preadv as (Fd, UserPtr<Iovec>, usize, u64, u64);
    again PWRITEV = pwritev as (Fd, UserPtr<Iovec>, usize, u64, u64);
    again PREADV2 = preadv2 as (Fd, UserPtr<Iovec>, usize, u64, u64, u32);
    again PWRITEV2 = pwritev2 as (Fd, UserPtr<Iovec>, usize, u64, u64, u32);
    now LSEEK = lseek as (Fd, i64, u32);
    now FSYNC = fsync as (Fd);
    now FDATASYNC = fdatasync as (Fd);
    now SYNC = sync as ();
    now SYNCFS = syncfs as (Fd);
    now SYNC_FILE_RANGE = sync_file_range as (Fd, i64, i64, u32);
    now FADVISE64 = fadvise64 as (Fd, i64, u64, i32);
    now READAHEAD = readahead as (Fd, i64, usize);
    now FALLOCATE = fallocate as (Fd, i32, i64, i64);
};

/// The most bytes that one call moves (Linux: `MAX_RW_COUNT`).
pub const MAX_RW: usize = 0x7fff_f000;

/// `EFAULT` for a buffer that reaches beyond an application's addresses, however little of it is used.
fn reachable(addr: UserAddr, len: usize) -> Result<(), Errno> {
    const TASK_SIZE_MAX: u64 = 0x7fff_ffff_f000;
    let end = u64::try_from(len).ok().and_then(|len| addr.0.checked_add(len));
    if end.is_some_and(|end| end <= TASK_SIZE_MAX) { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Buffers of a vectored call. `EINVAL` for too many, or too many bytes.
pub fn vectors(task: &Task, iov: UserPtr<Iovec>, count: usize) -> Result<Vec<(UserAddr, usize)>, Errno> {
    if count > IOV_MAX {
        return Err(Errno::EINVAL);
    }
    let mut left = MAX_RW;
    let mut vectors = Vec::with_capacity(count);
    for v in iov.read_array(&*task.mm()?, count)? {
        let len =
            usize::try_from(v.iov_len).ok().filter(|l| isize::try_from(*l).is_ok()).ok_or(Errno::EINVAL)?;
        reachable(UserAddr(v.iov_base), len)?;
        let len = len.min(left);
        left -= len;
        vectors.push((UserAddr(v.iov_base), len));
    }
    Ok(vectors)
}

/// How a read or write is to be done.
#[derive(Clone, Copy, Default)]
pub(crate) struct How {
    /// Absolute position, which does not move the file's.
    pub at: Option<u64>,
    pub flags: RwFlags,
}

fn position(at: i64) -> Result<Option<u64>, Errno> {
    u64::try_from(at).map(Some).map_err(|_| Errno::EINVAL)
}

pub(crate) async fn read_into(
    task: &Arc<Task>,
    fd: Fd,
    vecs: &[(UserAddr, usize)],
    how: How,
) -> SysResult<usize> {
    let file = task.file(fd)?;
    file.check_readable()?;
    if how.at.is_some() && !file.ops().seekable() {
        return Err(Errno::ESPIPE.into());
    }
    let mm = task.mm()?;
    if Socket::of(&file).is_ok() {
        let mut dst = IoDst::user_vec(&*mm, vecs.iter().copied());
        return crate::socket::read(task, &file, &mut dst, message_flags(how.flags)).await;
    }
    let attempt = || {
        let mut dst = IoDst::user_vec(&*mm, vecs.iter().copied());
        match how.at {
            Some(at) => file.ops().read_at(&file, at, &mut dst),
            None => file.ops().read(&file, &mut dst),
        }
    };
    let result = transfer(task, &file, Ready::IN, how.flags, attempt).await;
    if matches!(result, Ok(1..)) {
        vfs::ops::accessed(&file);
        vfs::inotify::file_event(&file, vfs::inotify::Events::ACCESS);
    }
    result
}

/// The same for a socket.
fn message_flags(flags: RwFlags) -> MsgFlags {
    if flags.contains(RwFlags::NOWAIT) { MsgFlags::DONTWAIT } else { MsgFlags::empty() }
}

/// Tries until it is not `EAGAIN`, unless the file or the call does not want to wait.
async fn transfer(
    task: &Arc<Task>,
    file: &Arc<File>,
    events: Ready,
    flags: RwFlags,
    mut attempt: impl FnMut() -> Result<usize, Errno>,
) -> SysResult<usize> {
    if file.nonblocking() || flags.contains(RwFlags::NOWAIT) {
        return Ok(attempt()?);
    }
    let Some(queue) = file.ops().wait_queue() else { return Ok(attempt()?) };
    let deadline = file.ops().read_timeout_ns().filter(|_| events.contains(Ready::IN));
    let deadline = deadline.map(|ns| task.kernel.monotonic_ns().saturating_add(ns));
    let wait = Wait { exclusive: false, ..Wait::on(queue, events).deadline(deadline) };
    match task.block_on(wait, attempt).await {
        Err(SysError::Errno(Errno::ETIMEDOUT)) if deadline.is_some() => Ok(0),
        other => other,
    }
}

pub(crate) async fn write_from(
    task: &Arc<Task>,
    fd: Fd,
    vecs: &[(UserAddr, usize)],
    how: How,
) -> SysResult<usize> {
    let file = task.file(fd)?;
    file.check_writable()?;
    if how.at.is_some() && !file.ops().seekable() {
        return Err(Errno::ESPIPE.into());
    }
    let mm = task.mm()?;
    if Socket::of(&file).is_ok() {
        let mut src = IoSrc::user_vec(&*mm, vecs.iter().copied());
        return crate::socket::write(task, &file, &mut src, message_flags(how.flags)).await;
    }
    let total: usize = vecs.iter().map(|(_, len)| *len).sum();
    let room = file_size_room(task, &file, how.at, total)?;
    if total > 0 {
        vfs::ops::file_remove_privs(&file)?;
    }
    let appends = file.flags().contains(OpenFlags::APPEND) && !how.flags.contains(RwFlags::NOAPPEND)
        || how.flags.contains(RwFlags::APPEND);
    let mut done = task.take_moved();
    // A stream takes what it has room for; a blocking write goes on until all is written.
    let attempt = || {
        let mut src = IoSrc::user_vec(&*mm, vecs.iter().copied());
        src.limit(room.min(total));
        skip(&mut src, vecs, &mm, done, room.min(total));
        let wanted = src.remaining();
        let n = match how.at {
            // The position counts for nothing then (pwrite(2), BUGS).
            Some(_) if appends => file.ops().append(&file, &mut src).map(|(_, n)| n)?,
            Some(at) => file.ops().write_at(&file, at + done as u64, &mut src)?,
            None if file.ops().seekable() && appends != file.flags().contains(OpenFlags::APPEND) => {
                let mut pos = file.pos.lock();
                let (end, n) = match appends {
                    true => file.ops().append(&file, &mut src)?,
                    false => file.ops().write_at(&file, *pos, &mut src).map(|n| (*pos + n as u64, n))?,
                };
                *pos = end;
                n
            }
            None => file.ops().write(&file, &mut src)?,
        };
        done += n;
        task.keep_moved(done);
        let stream = !file.ops().seekable() && !file.nonblocking();
        if stream && n > 0 && n < wanted { Err(Errno::EAGAIN) } else { Ok(done) }
    };
    let result = transfer(task, &file, Ready::OUT, how.flags, attempt).await;
    let result = match result {
        Err(_) if done > 0 => Ok(done), // interrupted, or broken, behind a part
        Err(SysError::Errno(Errno::EPIPE)) => {
            let _ = task.send_signal(SigInfo::kernel(Signal::SIGPIPE));
            Err(Errno::EPIPE.into())
        }
        other => other,
    };
    if matches!(result, Ok(1..)) {
        vfs::inotify::file_event(&file, vfs::inotify::Events::MODIFY);
        sync_if_asked(&file, how.flags)?;
    }
    result
}

/// Leaves out what was written before.
fn skip<'a>(
    src: &mut IoSrc<'a>,
    vecs: &[(UserAddr, usize)],
    mm: &'a Arc<mm::AddressSpace>,
    done: usize,
    total: usize,
) {
    if done == 0 {
        return;
    }
    let mut left = done;
    let rest = vecs.iter().filter_map(|(addr, len)| {
        let cut = left.min(*len);
        left -= cut;
        Some((UserAddr(addr.0.wrapping_add(cut as u64)), len - cut)).filter(|(_, len)| *len > 0)
    });
    *src = IoSrc::user_vec(&**mm, rest.collect::<Vec<_>>());
    src.limit(total.saturating_sub(done));
}

fn sync_if_asked(file: &Arc<File>, flags: RwFlags) -> Result<(), Errno> {
    if file.inode().file_type() != abi::FileType::Regular {
        return Ok(());
    }
    let all = flags.contains(RwFlags::SYNC) || file.flags().contains(OpenFlags::SYNC);
    if all || flags.contains(RwFlags::DSYNC) || file.flags().contains(OpenFlags::DSYNC) {
        file.ops().fsync(file, !all)?;
    }
    Ok(())
}

/// How many of `total` bytes `RLIMIT_FSIZE` lets a write put: `EFBIG` and `SIGXFSZ` if none.
pub(crate) fn file_size_room(
    task: &Arc<Task>,
    file: &Arc<File>,
    at: Option<u64>,
    total: usize,
) -> Result<usize, Errno> {
    let limit = task.group.limits.lock().soft(Resource::Fsize).min(i64::MAX as u64);
    if limit >= i64::MAX as u64
        || !file.ops().seekable()
        || file.inode().file_type() != abi::FileType::Regular
        || total == 0
    {
        return Ok(total);
    }
    let appends = file.flags().contains(OpenFlags::APPEND);
    let start = match at {
        Some(at) => at,
        None if appends => file.inode().attr()?.size,
        None => *file.pos.lock(),
    };
    if start >= limit {
        let _ = task.send_signal(SigInfo::kernel(Signal::SIGXFSZ));
        return Err(Errno::EFBIG);
    }
    Ok(total.min(usize::try_from(limit - start).unwrap_or(usize::MAX)))
}

/// The limit of a length as `truncate` and the like take it.
pub fn file_size_limit(task: &Task) -> u64 {
    task.group.limits.lock().soft(Resource::Fsize)
}

async fn read(task: &Arc<Task>, fd: Fd, addr: UserAddr, len: usize) -> SysResult<usize> {
    task.file(fd)?.check_readable()?;
    reachable(addr, len)?;
    read_into(task, fd, &[(addr, len.min(MAX_RW))], How::default()).await
}

async fn write(task: &Arc<Task>, fd: Fd, addr: UserAddr, len: usize) -> SysResult<usize> {
    task.file(fd)?.check_writable()?;
    reachable(addr, len)?;
    write_from(task, fd, &[(addr, len.min(MAX_RW))], How::default()).await
}

async fn pread64(task: &Arc<Task>, fd: Fd, addr: UserAddr, len: usize, at: i64) -> SysResult<usize> {
    let how = How { at: position(at)?, ..How::default() };
    task.file(fd)?.check_readable()?;
    reachable(addr, len)?;
    read_into(task, fd, &[(addr, len.min(MAX_RW))], how).await
}

async fn pwrite64(task: &Arc<Task>, fd: Fd, addr: UserAddr, len: usize, at: i64) -> SysResult<usize> {
    let how = How { at: position(at)?, ..How::default() };
    task.file(fd)?.check_writable()?;
    reachable(addr, len)?;
    write_from(task, fd, &[(addr, len.min(MAX_RW))], how).await
}

async fn readv(task: &Arc<Task>, fd: Fd, iov: UserPtr<Iovec>, count: usize) -> SysResult<usize> {
    task.file(fd)?.check_readable()?;
    read_into(task, fd, &vectors(task, iov, count)?, How::default()).await
}

async fn writev(task: &Arc<Task>, fd: Fd, iov: UserPtr<Iovec>, count: usize) -> SysResult<usize> {
    task.file(fd)?.check_writable()?;
    write_from(task, fd, &vectors(task, iov, count)?, How::default()).await
}

async fn preadv(
    task: &Arc<Task>,
    fd: Fd,
    iov: UserPtr<Iovec>,
    count: usize,
    low: u64,
    _high: u64,
) -> SysResult<usize> {
    let how = How { at: position(low as i64)?, ..How::default() };
    read_into(task, fd, &vectors(task, iov, count)?, how).await
}

async fn pwritev(
    task: &Arc<Task>,
    fd: Fd,
    iov: UserPtr<Iovec>,
    count: usize,
    low: u64,
    _high: u64,
) -> SysResult<usize> {
    let how = How { at: position(low as i64)?, ..How::default() };
    write_from(task, fd, &vectors(task, iov, count)?, how).await
}

/// Position -1 stands for the file's own.
fn how2(low: u64, flags: u32) -> Result<How, Errno> {
    let flags = RwFlags::from_bits(flags).ok_or(Errno::EOPNOTSUPP)?;
    if flags.contains(RwFlags::APPEND | RwFlags::NOAPPEND) {
        return Err(Errno::EINVAL);
    }
    let at = if low as i64 == -1 { None } else { position(low as i64)? };
    Ok(How { at, flags })
}

async fn preadv2(
    task: &Arc<Task>,
    fd: Fd,
    iov: UserPtr<Iovec>,
    count: usize,
    low: u64,
    _high: u64,
    flags: u32,
) -> SysResult<usize> {
    read_into(task, fd, &vectors(task, iov, count)?, how2(low, flags)?).await
}

async fn pwritev2(
    task: &Arc<Task>,
    fd: Fd,
    iov: UserPtr<Iovec>,
    count: usize,
    low: u64,
    _high: u64,
    flags: u32,
) -> SysResult<usize> {
    write_from(task, fd, &vectors(task, iov, count)?, how2(low, flags)?).await
}

fn lseek(task: &Arc<Task>, fd: Fd, offset: i64, whence: u32) -> SysResult<u64> {
    let file = task.file(fd)?;
    if file.is_path_only() {
        return Err(Errno::EBADF.into());
    }
    let to = match Whence::from_raw(whence).ok_or(Errno::EINVAL)? {
        Whence::Set => Seek::Set(offset),
        Whence::Cur => Seek::Cur(offset),
        Whence::End => Seek::End(offset),
        Whence::Data => Seek::Data(offset),
        Whence::Hole => Seek::Hole(offset),
    };
    Ok(file.ops().seek(&file, to)?)
}

fn fsync(task: &Arc<Task>, fd: Fd) -> SysResult<()> {
    let file = task.file(fd)?;
    if file.is_path_only() {
        return Err(Errno::EBADF.into());
    }
    Ok(ksync::exec::blocking(|| file.ops().fsync(&file, false))?)
}

fn fdatasync(task: &Arc<Task>, fd: Fd) -> SysResult<()> {
    let file = task.file(fd)?;
    if file.is_path_only() {
        return Err(Errno::EBADF.into());
    }
    Ok(ksync::exec::blocking(|| file.ops().fsync(&file, true))?)
}

fn sync(task: &Arc<Task>) -> SysResult<()> {
    for mount in task.namespaces().mount.mounts() {
        let _ = mount.fs.sync(); // sync(2) reports nothing
    }
    Ok(())
}

fn syncfs(task: &Arc<Task>, fd: Fd) -> SysResult<()> {
    let file = task.file(fd)?;
    if file.is_path_only() {
        return Err(Errno::EBADF.into());
    }
    Ok(file.inode().fs().sync()?)
}

fn sync_file_range(task: &Arc<Task>, fd: Fd, offset: i64, len: i64, flags: u32) -> SysResult<()> {
    let file = task.file(fd)?;
    SyncFileRangeFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if offset < 0 || len < 0 || offset.checked_add(len).is_none() {
        return Err(Errno::EINVAL.into());
    }
    if !file.ops().seekable() {
        return Err(Errno::ESPIPE.into());
    }
    Ok(file.ops().fsync(&file, true)?)
}

fn fadvise64(task: &Arc<Task>, fd: Fd, _offset: i64, len: u64, advice: i32) -> SysResult<()> {
    let file = task.file(fd)?;
    if file.is_path_only() {
        return Err(Errno::EBADF.into());
    }
    if !file.ops().seekable() && file.downcast::<fs::pipe::PipeEnd>().is_some() {
        return Err(Errno::ESPIPE.into());
    }
    if !(0..=5).contains(&advice) || (len as i64) < 0 {
        return Err(Errno::EINVAL.into());
    }
    Ok(()) // advice is for a page cache, which is the host's
}

fn readahead(task: &Arc<Task>, fd: Fd, _offset: i64, _len: usize) -> SysResult<()> {
    let file = task.file(fd)?;
    file.check_readable()?;
    if file.inode().file_type() != abi::FileType::Regular {
        return Err(Errno::EINVAL.into());
    }
    Ok(())
}

fn fallocate(task: &Arc<Task>, fd: Fd, mode: i32, offset: i64, len: i64) -> SysResult<()> {
    let file = task.file(fd)?;
    if offset < 0 || len <= 0 {
        return Err(Errno::EINVAL.into());
    }
    let mode = u32::try_from(mode).map_err(|_| Errno::EOPNOTSUPP)?;
    file.check_writable()?;
    if !file.ops().seekable() {
        return Err(Errno::ESPIPE.into());
    }
    let end = offset.checked_add(len).ok_or(Errno::EFBIG)? as u64;
    if end > file_size_limit(task) {
        let _ = task.send_signal(SigInfo::kernel(Signal::SIGXFSZ));
        return Err(Errno::EFBIG.into());
    }
    match file.inode().file_type() {
        abi::FileType::Regular => {}
        abi::FileType::Directory => return Err(Errno::EISDIR.into()),
        _ => return Err(Errno::ENODEV.into()),
    }
    file.ops().fallocate(&file, mode, offset as u64, len as u64)?;
    vfs::inotify::file_event(&file, vfs::inotify::Events::MODIFY);
    Ok(())
}
