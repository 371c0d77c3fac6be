//! Opening and closing: `open(2)`, `openat2(2)`, `close(2)`, `pipe(2)`, `memfd_create(2)`.

use crate::rows;
use crate::{
    arg::{DirFd, UserPath},
    at,
    row::Row,
};
use abi::{
    Errno, FileType, OpenFlags,
    fcntl::{CloseRangeFlags, OpenHow as UserOpenHow, ResolveFlags},
    mman::MemfdFlags,
    process::Resource,
};
use kernel::{SysError, SysResult, Task, task::Wait};
use ksync::Ready;
use mem::{UserAddr, UserMemoryExt, UserPtr};
use std::sync::Arc;
use vfs::{
    Fd, File,
    ops::{OpenHow, Opened, Opening},
};

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    later OPEN = open as (UserPath, OpenFlags, u32);
    later OPENAT = openat as (DirFd, UserPath, OpenFlags, u32);
    later OPENAT2 = openat2 as (DirFd, UserPath, UserPtr<UserOpenHow>, usize);
    later CREAT = creat as (UserPath, u32);
    now CLOSE = close as (Fd);
    now CLOSE_RANGE = close_range as (u32, u32, u32);
    now PIPE = pipe as (UserPtr<[i32; 2]>);
    now PIPE2 = pipe2 as (UserPtr<[i32; 2]>, OpenFlags);
    now MEMFD_CREATE = memfd_create as (UserAddr, u32) partial "no huge pages: MFD_HUGETLB gives ENOSYS";
};

/// Gives `file` the lowest free descriptor.
pub fn install(task: &Task, file: Arc<File>, cloexec: bool) -> Result<Fd, Errno> {
    let limit = task.group.limits.lock().soft(Resource::Nofile);
    task.fds()?.add(file, 0, limit, cloexec)
}

async fn open(task: &Arc<Task>, path: UserPath, flags: OpenFlags, mode: u32) -> SysResult<Fd> {
    openat(task, DirFd::Cwd, path, flags, mode).await
}

async fn creat(task: &Arc<Task>, path: UserPath, mode: u32) -> SysResult<Fd> {
    openat(task, DirFd::Cwd, path, OpenFlags::CREAT | OpenFlags::WRONLY | OpenFlags::TRUNC, mode).await
}

async fn openat(task: &Arc<Task>, dir: DirFd, path: UserPath, flags: OpenFlags, mode: u32) -> SysResult<Fd> {
    open_with(task, dir, path, OpenHow::open(flags.bits(), mode)).await
}

async fn openat2(
    task: &Arc<Task>,
    dir: DirFd,
    path: UserPath,
    how: UserPtr<UserOpenHow>,
    size: usize,
) -> SysResult<Fd> {
    let known = size_of::<UserOpenHow>();
    if size < known {
        return Err(Errno::EINVAL.into());
    }
    if size > 4096 {
        return Err(Errno::E2BIG.into());
    }
    let mm = task.mm()?;
    let mut rest = vec![0u8; size - known];
    mm.copy_in(how.addr().add(known as u64)?, &mut rest)?;
    if rest.iter().any(|b| *b != 0) {
        return Err(Errno::E2BIG.into());
    }
    let how = how.read(&*mm)?;
    open_with(task, dir, path, OpenHow::openat2(how.flags, how.mode, how.resolve)?).await
}

async fn open_with(task: &Arc<Task>, dir: DirFd, path: UserPath, mut how: OpenHow) -> SysResult<Fd> {
    if !how.flags.contains(OpenFlags::PATH) {
        how.flags |= OpenFlags::LARGEFILE; // a process of 64 bits always means it, and F_GETFL shows it
    }
    let name = path.read(task)?;
    // `RESOLVE_IN_ROOT`: an absolute name, too, starts at the descriptor.
    let shown: &[u8] = if how.resolve.contains(ResolveFlags::IN_ROOT) { b"." } else { &name };
    let ctx = at::context(task, dir, shown)?;
    let begun = match vfs::ops::open::begin(&ctx, &name, &how) {
        Err(Errno::EAGAIN)
            if !how.flags.contains(OpenFlags::NONBLOCK) && !how.resolve.contains(ResolveFlags::CACHED) =>
        {
            wait_for_lease(task, &ctx, &name, &how).await?
        }
        begun => begun?,
    };
    let file = match begun {
        Opened::File(file) => file,
        Opened::Fifo(opening) => open_fifo(task, opening).await?,
    };
    if !how.flags.contains(OpenFlags::NOCTTY) {
        adopt_terminal(task, &file);
    }
    Ok(install(task, file, how.flags.contains(OpenFlags::CLOEXEC))?)
}

/// Opens a FIFO, once its other end is open.
async fn open_fifo(task: &Arc<Task>, opening: Opening) -> SysResult<Arc<File>> {
    let end = fs::fifo::FifoOpen::of(opening.path().inode_ref(), opening.flags())?;
    let ready = || if end.is_ready() { Ok(()) } else { Err(Errno::EAGAIN) };
    task.block_on(Wait::on(end.wait_queue(), Ready::all()), ready).await?;
    Ok(opening.finish(end.finish()))
}

/// Opens a file once whoever has a lease on it has given it up, or has had the time to.
async fn wait_for_lease(
    task: &Arc<Task>,
    ctx: &vfs::WalkContext,
    name: &[u8],
    how: &OpenHow,
) -> SysResult<Opened> {
    let follow =
        if how.flags.contains(OpenFlags::NOFOLLOW) { vfs::Lookup::empty() } else { vfs::Lookup::FOLLOW };
    let path = ctx.resolve_with(name, follow, how.resolve)?;
    let how = OpenHow { flags: how.flags - OpenFlags::CREAT - OpenFlags::EXCL, ..*how };
    let inode = path.inode();
    let deadline = vfs::locks::lease::breaking_until(&*inode);
    let wait = Wait::on(vfs::locks::wait_queue(&*inode), Ready::OTHER).deadline(deadline);
    match task.block_on(wait, || vfs::ops::reopen(ctx, path.clone(), &how)).await {
        Err(SysError::Errno(Errno::ETIMEDOUT)) => Ok(vfs::ops::reopen(ctx, path.clone(), &how)?),
        other => other,
    }
}

/// A session leader without a terminal gets the one that it opens.
fn adopt_terminal(task: &Arc<Task>, file: &Arc<File>) {
    if let Some(slave) = file.downcast::<kernel::tty::pty::Slave>()
        && file.flags().readable()
    {
        let _ = slave.tty().make_controlling(task, false); // not an error: it just is not the leader's
    }
}

fn close(task: &Arc<Task>, fd: Fd) -> SysResult<()> {
    let file = task.fds()?.remove(fd)?;
    match task.close_file(file) {
        Some(e) => Err(e.into()),
        None => Ok(()),
    }
}

fn close_range(task: &Arc<Task>, first: u32, last: u32, flags: u32) -> SysResult<()> {
    let flags = CloseRangeFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if first > last {
        return Err(Errno::EINVAL.into());
    }
    if flags.contains(CloseRangeFlags::UNSHARE) {
        let own = task.fds()?.fork();
        let old = task.state.lock().fds.replace(own);
        drop(old);
    }
    let fds = task.fds()?;
    if flags.contains(CloseRangeFlags::CLOEXEC) {
        fds.cloexec_range(first, last);
        return Ok(());
    }
    for file in fds.remove_range(first, last) {
        task.close_file(file);
    }
    Ok(())
}

fn pipe(task: &Arc<Task>, fds: UserPtr<[i32; 2]>) -> SysResult<()> {
    pipe2(task, fds, OpenFlags::empty())
}

fn pipe2(task: &Arc<Task>, fds: UserPtr<[i32; 2]>, flags: OpenFlags) -> SysResult<()> {
    let known = OpenFlags::CLOEXEC | OpenFlags::NONBLOCK | OpenFlags::DIRECT;
    if !known.contains(flags) {
        return Err(Errno::EINVAL.into());
    }
    let cred = task.cred();
    let (reader, writer) = fs::pipe::new_pipe();
    let path = task.kernel.vfs.anon_path("pipe", FileType::Fifo, &cred);
    let status = flags & (OpenFlags::NONBLOCK | OpenFlags::DIRECT);
    let reader = File::new(path.clone(), OpenFlags::RDONLY | status, cred.clone(), reader);
    if let Some(pipe) = fs::pipe::of(&reader) {
        // Opened again through /proc/PID/fd, it is this pipe.
        let _ = path.inode_ref().common().fifo.set(pipe.clone());
    }
    let writer = File::new(path, OpenFlags::WRONLY | status, cred, writer);
    let cloexec = flags.contains(OpenFlags::CLOEXEC);
    let first = install(task, reader, cloexec)?;
    let table = task.fds()?;
    let second = match install(task, writer, cloexec) {
        Ok(fd) => fd,
        Err(e) => {
            let _ = table.remove(first);
            return Err(e.into());
        }
    };
    if let Err(e) = fds.write(&*task.mm()?, &[first.0, second.0]) {
        let _ = (table.remove(first), table.remove(second));
        return Err(e.into());
    }
    Ok(())
}

fn memfd_create(task: &Arc<Task>, name: UserAddr, flags: u32) -> SysResult<Fd> {
    let known = MemfdFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let name = match task.mm()?.read_cstr(name, fs::memfd::NAME_MAX + 1) {
        Err(Errno::ENAMETOOLONG) => return Err(Errno::EINVAL.into()),
        name => name?,
    };
    let kernel = &task.kernel;
    let make = kernel.new_memfd.get_or_init(|| {
        let memfds = fs::memfd::Memfds::new(&kernel.vfs, kernel.memory.clone());
        Box::new(move |name, flags, cred| memfds.create(name, flags, cred))
    });
    let file = make(&name, flags, &task.cred())?;
    Ok(install(task, file, known.contains(MemfdFlags::CLOEXEC))?)
}
