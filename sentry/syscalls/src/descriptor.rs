//! Descriptors: `dup(2)`, `fcntl(2)`, `ioctl(2)`, `flock(2)`.

use crate::rows;
use crate::{open::install, row::Row};
use abi::{
    Errno, OpenFlags, Signal,
    fcntl::*,
    ioctl::{FIOASYNC, FIOCLEX, FIONBIO, FIONCLEX, FIONREAD, FIOQSIZE},
    process::{Cap, Resource, SECCOMP_IOCTL_NOTIF_RECV},
    socket::{FIOGETOWN, FIOSETOWN, SIOCGPGRP, SIOCSPGRP},
};
use kernel::{Restart, SysError, SysResult, Task, seccomp::notify::ListenerFile, signal::fasync, task::Wait};
use ksync::Ready;
use mem::UserPtr;
use std::sync::{Arc, Weak};
use vfs::{
    Fd, File,
    locks::{lease, record},
};

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    now DUP = dup as (Fd);
    now DUP2 = dup2 as (Fd, Fd);
    now DUP3 = dup3 as (Fd, Fd, u32);
    later FCNTL = fcntl as (Fd, i32, u64);
    later FLOCK = flock as (Fd, i32);
    later IOCTL = ioctl as (Fd, u32, u64);
};

fn dup(task: &Arc<Task>, fd: Fd) -> SysResult<Fd> {
    Ok(install(task, task.file(fd)?, false)?)
}

fn dup2(task: &Arc<Task>, old: Fd, new: Fd) -> SysResult<Fd> {
    if old == new {
        task.file(old)?;
        return Ok(new);
    }
    dup3(task, old, new, 0)
}

fn dup3(task: &Arc<Task>, old: Fd, new: Fd, flags: u32) -> SysResult<Fd> {
    if flags & !OpenFlags::CLOEXEC.bits() != 0 || old == new {
        return Err(Errno::EINVAL.into());
    }
    let file = task.file(old)?;
    let limit = task.group.limits.lock().soft(Resource::Nofile);
    if let Some(replaced) = task.fds()?.put(new, file, limit, flags != 0)? {
        task.close_file(replaced); // its error is lost, as dup2(2) says
    }
    Ok(new)
}

/// Who owns POSIX locks: whoever shares the descriptors.
fn lock_owner(task: &Task) -> u64 {
    u64::from(task.group.tgid())
}

fn own_pid(task: &Task) -> i32 {
    task.group.pid.number_in(&task.pid_namespace()).unwrap_or(0) as i32
}

async fn fcntl(task: &Arc<Task>, fd: Fd, cmd: i32, arg: u64) -> SysResult<u64> {
    let file = task.file(fd)?;
    let fds = task.fds()?;
    if file.is_path_only() && !matches!(cmd, F_DUPFD | F_DUPFD_CLOEXEC | F_GETFD | F_SETFD | F_GETFL) {
        return Err(Errno::EBADF.into());
    }
    let number = arg as i32;
    Ok(match cmd {
        F_DUPFD | F_DUPFD_CLOEXEC => {
            let limit = task.group.limits.lock().soft(Resource::Nofile);
            let min = usize::try_from(number).ok().filter(|m| (*m as u64) < limit).ok_or(Errno::EINVAL)?;
            fds.add(file, min, limit, cmd == F_DUPFD_CLOEXEC)?.0 as u64
        }
        F_GETFD => u64::from(fds.cloexec(fd)?),
        F_SETFD => {
            fds.set_cloexec(fd, arg & u64::from(FdFlags::CLOEXEC.bits()) != 0)?;
            0
        }
        F_GETFL => u64::from(file.flags().bits()),
        F_SETFL => {
            set_status(task, &file, fd, OpenFlags::from_bits_retain(arg as u32))?;
            0
        }
        F_GETLK | F_OFD_GETLK => get_lock(task, &file, arg.into(), cmd == F_OFD_GETLK)?,
        F_SETLK | F_OFD_SETLK => set_lock(task, &file, arg.into(), cmd == F_OFD_SETLK, false).await?,
        F_SETLKW | F_OFD_SETLKW => set_lock(task, &file, arg.into(), cmd == F_OFD_SETLKW, true).await?,
        F_GETLEASE => lease::get(&file) as u64,
        F_SETLEASE => {
            let holder = Arc::new(Owned { file: Arc::downgrade(&file), fd });
            lease::set(&file, number as i16, &task.cred(), own_pid(task), holder)?;
            0
        }
        F_NOTIFY => {
            let owned = Owned { file: Arc::downgrade(&file), fd };
            let signal = Arc::new(move || lease::Holder::broken(&owned));
            if vfs::inotify::dnotify::notify(&file, arg as u32, signal)? {
                set_owner(task, &file, fd, F_OWNER_PID, own_pid(task))?;
            }
            0
        }
        F_SETOWN => {
            let (kind, id) = if number < 0 {
                (F_OWNER_PGRP, number.checked_neg().ok_or(Errno::EINVAL)?)
            } else {
                (F_OWNER_PID, number)
            };
            set_owner(task, &file, fd, kind, id)?;
            0
        }
        F_GETOWN => {
            let owner = *file.owner.lock();
            (if owner.kind == F_OWNER_PGRP { -owner.id } else { owner.id }) as u64
        }
        F_SETOWN_EX => {
            let owner: FOwnerEx = UserPtr::from(arg).read(&*task.mm()?)?;
            set_owner(task, &file, fd, owner.kind, owner.pid)?;
            0
        }
        F_GETOWN_EX => {
            let owner = *file.owner.lock();
            UserPtr::from(arg).write(&*task.mm()?, &FOwnerEx { kind: owner.kind, pid: owner.id })?;
            0
        }
        F_SETSIG => {
            if number != 0 && Signal::new(number).is_none() {
                return Err(Errno::EINVAL.into());
            }
            file.owner.lock().signal = number;
            0
        }
        F_GETSIG => file.owner.lock().signal as u64,
        F_SETPIPE_SZ => {
            let pipe = fs::pipe::of(&file).ok_or(Errno::EBADF)?;
            let size = usize::try_from(number).map_err(|_| Errno::EINVAL)?;
            pipe.set_size(size, task.cred().has_cap(Cap::SYS_RESOURCE))? as u64
        }
        F_GETPIPE_SZ => fs::pipe::of(&file).ok_or(Errno::EBADF)?.size() as u64,
        F_ADD_SEALS => {
            fs::memfd::add_seals(&file, arg as u32)?;
            0
        }
        F_GET_SEALS => u64::from(fs::memfd::get_seals(&file)?),
        F_DUPFD_QUERY => u64::from(task.file(Fd(number)).is_ok_and(|other| Arc::ptr_eq(&other, &file))),
        F_CREATED_QUERY => u64::from(file.was_created()),
        _ => return Err(Errno::EINVAL.into()),
    })
}

fn set_status(task: &Task, file: &Arc<File>, fd: Fd, flags: OpenFlags) -> Result<(), Errno> {
    let wants_noatime = flags.contains(OpenFlags::NOATIME) && !file.flags().contains(OpenFlags::NOATIME);
    if wants_noatime {
        let attr = file.inode().attr()?;
        let cred = task.cred();
        if cred.fsuid != attr.uid && !cred.has_cap_over(attr.uid, attr.gid, Cap::FOWNER) {
            return Err(Errno::EPERM);
        }
    }
    let was = file.flags();
    file.set_flags(flags)?;
    let asks = file.flags().contains(OpenFlags::ASYNC);
    if asks != was.contains(OpenFlags::ASYNC) {
        fasync::set_async(&task.kernel, file, fd.0, asks);
    }
    Ok(())
}

/// Whom signals about the file go to: ids are kept as the caller gave them and mean what they mean to it.
fn set_owner(task: &Task, file: &Arc<File>, fd: Fd, kind: i32, id: i32) -> Result<(), Errno> {
    if !matches!(kind, F_OWNER_TID | F_OWNER_PID | F_OWNER_PGRP) || id < 0 {
        return Err(Errno::EINVAL);
    }
    if id != 0 && task.pid_namespace().find(id as u32).is_none() {
        return Err(Errno::ESRCH);
    }
    {
        let mut owner = file.owner.lock();
        (owner.kind, owner.id) = (kind, id);
    }
    let asks = file.flags().contains(OpenFlags::ASYNC);
    fasync::set_async(&task.kernel, file, fd.0, asks);
    Ok(())
}

/// The holder of a lease, or who asked for `F_NOTIFY`: told by signal, as `F_SETOWN` and `F_SETSIG` say.
struct Owned {
    file: Weak<File>,
    fd: Fd,
}

impl lease::Holder for Owned {
    fn broken(&self) {
        if let Some(file) = self.file.upgrade() {
            kernel::signal::send::signal_owner(&file, self.fd.0, abi::signal::POLL_MSG);
        }
    }
}

fn get_lock(task: &Task, file: &Arc<File>, arg: UserPtr<Flock>, ofd: bool) -> Result<u64, Errno> {
    let mm = task.mm()?;
    let mut flock = arg.read(&*mm)?;
    if !matches!(flock.l_type, F_RDLCK | F_WRLCK) {
        return Err(Errno::EINVAL);
    }
    let request = record::Request::new(file, &flock, ofd, lock_owner(task), own_pid(task))?;
    match record::test(&*file.inode(), &request)? {
        Some(other) => flock = other,
        None => flock.l_type = F_UNLCK,
    }
    arg.write(&*mm, &flock)?;
    Ok(0)
}

async fn set_lock(
    task: &Arc<Task>,
    file: &Arc<File>,
    arg: UserPtr<Flock>,
    ofd: bool,
    wait: bool,
) -> SysResult<u64> {
    let flock = arg.read(&*task.mm()?)?;
    let request = record::Request::new(file, &flock, ofd, lock_owner(task), own_pid(task))?;
    request.check_mode(file)?;
    let inode = file.inode();
    if !wait {
        record::set(&inode, &request)?;
        return Ok(0);
    }
    let mut waiting = None;
    let attempt = || {
        waiting = None; // the edge of the last try
        waiting = record::set_or_wait(&inode, &request)?;
        if waiting.is_some() { Err(Errno::EAGAIN) } else { Ok(0) }
    };
    task.block_on(Wait::on(vfs::locks::wait_queue(&*inode), Ready::OTHER), attempt).await
}

async fn flock(task: &Arc<Task>, fd: Fd, op: i32) -> SysResult<()> {
    let file = task.file(fd)?;
    let (op, nonblocking) = FileLockOp::from_raw(op).ok_or(Errno::EINVAL)?;
    let pid = own_pid(task);
    if nonblocking {
        return Ok(vfs::locks::flock::flock(&file, op, pid)?);
    }
    let inode = file.inode();
    let wait = Wait::on(vfs::locks::wait_queue(&*inode), Ready::OTHER);
    task.block_on(wait, || vfs::locks::flock::flock(&file, op, pid)).await
}

async fn ioctl(task: &Arc<Task>, fd: Fd, cmd: u32, arg: u64) -> SysResult<u64> {
    let file = task.file(fd)?;
    if file.is_path_only() {
        return Err(Errno::EBADF.into());
    }
    crate::landlock::check_ioctl(&file, cmd)?;
    let mm = task.mm()?;
    let flag = |flag: OpenFlags, on: bool| if on { file.flags() | flag } else { file.flags() - flag };
    match cmd {
        FIOCLEX => task.fds()?.set_cloexec(fd, true)?,
        FIONCLEX => task.fds()?.set_cloexec(fd, false)?,
        FIONBIO => {
            let on: i32 = UserPtr::from(arg).read(&*mm)?;
            file.set_flags(flag(OpenFlags::NONBLOCK, on != 0))?;
        }
        FIOASYNC => {
            let on: i32 = UserPtr::from(arg).read(&*mm)?;
            if file.ops().wait_queue().is_none() {
                return Err(Errno::ENOTTY.into());
            }
            set_status(task, &file, fd, flag(OpenFlags::ASYNC, on != 0))?;
        }
        FIOSETOWN | SIOCSPGRP if file.inode().file_type() == abi::FileType::Socket => {
            let number: i32 = UserPtr::from(arg).read(&*mm)?;
            let (kind, id) = match number {
                n if n < 0 => (F_OWNER_PGRP, n.checked_neg().ok_or(Errno::EINVAL)?),
                n => (F_OWNER_PID, n),
            };
            set_owner(task, &file, fd, kind, id)?;
        }
        FIOGETOWN | SIOCGPGRP if file.inode().file_type() == abi::FileType::Socket => {
            let owner = *file.owner.lock();
            let shown = if owner.kind == F_OWNER_PGRP { -owner.id } else { owner.id };
            UserPtr::from(arg).write(&*mm, &shown)?;
        }
        // Files that are in no directory say for themselves how much there is.
        FIONREAD if file.inode().file_type() == abi::FileType::Regular && file.ops().seekable() => {
            let left = file.inode().attr()?.size.saturating_sub(*file.pos.lock());
            UserPtr::from(arg).write(&*mm, &i32::try_from(left).unwrap_or(i32::MAX))?;
        }
        FIOQSIZE if file.inode().file_type() == abi::FileType::Regular => {
            UserPtr::from(arg).write(&*mm, &file.inode().attr()?.size)?;
        }
        _ => {
            if cmd == SECCOMP_IOCTL_NOTIF_RECV
                && let Some(listener) = file.downcast::<ListenerFile>()
            {
                return listener.receive(task, arg).await;
            }
            return match file.ops().ioctl(&file, &*mm, cmd, arg) {
                // A terminal has sent the caller's group a signal: again behind it.
                Err(Errno::EAGAIN) if task.interrupted() => Err(SysError::Interrupted(Restart::IfAsked)),
                other => Ok(other?),
            };
        }
    }
    Ok(0)
}
