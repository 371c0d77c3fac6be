//! Descriptors that notify: `eventfd(2)`, `signalfd(2)`, `timerfd_create(2)`, `inotify(7)`.

use crate::{arg::UserPath, open::install, poll::real_file, row::Row, rows};
use abi::{
    Errno, FileType, OpenFlags, SigSet,
    inotify::{InotifyFlags, InotifyMask},
    poll::EventfdFlags,
    process::Cap,
    signal::SignalfdFlags,
    time::{Itimerspec, TimerfdFlags, TimerfdSetFlags},
};
use fs::{
    signalfd::{SignalFd, TaskSource},
    timerfd::TimerFd,
};
use kernel::{SysResult, Task};
use mem::UserPtr;
use std::sync::Arc;
use vfs::{Fd, File, FileOps, Lookup, inotify::Inotify, permission};

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    now EVENTFD = eventfd as (u32);
    now EVENTFD2 = eventfd2 as (u32, u32);
    now SIGNALFD = signalfd as (Fd, UserPtr<SigSet>, usize);
    now SIGNALFD4 = signalfd4 as (Fd, UserPtr<SigSet>, usize, u32);
    now TIMERFD_CREATE = timerfd_create as (i32, u32);
    now TIMERFD_SETTIME = timerfd_settime as (Fd, u32, UserPtr<Itimerspec>, UserPtr<Itimerspec>);
    now TIMERFD_GETTIME = timerfd_gettime as (Fd, UserPtr<Itimerspec>);
    now INOTIFY_INIT = inotify_init as ();
    now INOTIFY_INIT1 = inotify_init1 as (u32);
    now INOTIFY_ADD_WATCH = inotify_add_watch as (Fd, UserPath, u32);
    now INOTIFY_RM_WATCH = inotify_rm_watch as (Fd, i32);
};

/// A descriptor of an anonymous file; of `flags`, which are `O_*` by value, `O_NONBLOCK` and `O_CLOEXEC` count.
fn install_anon(
    task: &Task,
    name: &str,
    access: OpenFlags,
    flags: u32,
    ops: Box<dyn FileOps>,
) -> Result<Fd, Errno> {
    let flags = OpenFlags::from_bits_retain(flags);
    let status = access | flags & OpenFlags::NONBLOCK;
    let file = task.kernel.vfs.anon_file(name, FileType::Regular, status, &task.cred(), ops);
    install(task, file, flags.contains(OpenFlags::CLOEXEC))
}

fn eventfd(task: &Arc<Task>, initial: u32) -> SysResult<Fd> {
    eventfd2(task, initial, 0)
}

fn eventfd2(task: &Arc<Task>, initial: u32, flags: u32) -> SysResult<Fd> {
    let known = EventfdFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let ops = fs::eventfd::new_eventfd(initial, known.contains(EventfdFlags::SEMAPHORE));
    Ok(install_anon(task, "anon_inode:[eventfd]", OpenFlags::RDWR, flags, ops)?)
}

fn signalfd(task: &Arc<Task>, fd: Fd, set: UserPtr<SigSet>, size: usize) -> SysResult<Fd> {
    signalfd4(task, fd, set, size, 0)
}

fn signalfd4(task: &Arc<Task>, fd: Fd, set: UserPtr<SigSet>, size: usize, flags: u32) -> SysResult<Fd> {
    if size != SigSet::SIZE {
        return Err(Errno::EINVAL.into());
    }
    let set = set.read(&*task.mm()?)?;
    SignalfdFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if fd.0 != -1 {
        let file = real_file(task, fd)?;
        file.downcast::<SignalFd>().ok_or(Errno::EINVAL)?.set_mask(set);
        return Ok(fd);
    }
    let ops = fs::signalfd::new_signalfd(set, TaskSource::new(task));
    Ok(install_anon(task, "anon_inode:[signalfd]", OpenFlags::RDWR, flags, ops)?)
}

fn timerfd_create(task: &Arc<Task>, clock: i32, flags: u32) -> SysResult<Fd> {
    TimerfdFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let wake_alarm = task.cred().has_cap(Cap::WAKE_ALARM);
    let ops = fs::timerfd::new_timerfd(task.kernel.clone(), clock, wake_alarm)?;
    Ok(install_anon(task, "anon_inode:[timerfd]", OpenFlags::RDWR, flags, ops)?)
}

/// The timer `fd`: `EBADF`, `EINVAL`.
fn with_timer<R>(task: &Task, fd: Fd, f: impl FnOnce(&TimerFd) -> Result<R, Errno>) -> Result<R, Errno> {
    let file = real_file(task, fd)?;
    f(file.downcast::<TimerFd>().ok_or(Errno::EINVAL)?)
}

fn timerfd_settime(
    task: &Arc<Task>,
    fd: Fd,
    flags: u32,
    new: UserPtr<Itimerspec>,
    old: UserPtr<Itimerspec>,
) -> SysResult<()> {
    let mm = task.mm()?;
    let new = new.read(&*mm)?;
    // Before the descriptor, as on Linux.
    TimerfdSetFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    new.it_value.to_duration_ns()?;
    new.it_interval.to_duration_ns()?;
    let before = with_timer(task, fd, |timer| timer.set_time(flags, &new))?;
    Ok(old.write_opt(&*mm, &before)?)
}

fn timerfd_gettime(task: &Arc<Task>, fd: Fd, setting: UserPtr<Itimerspec>) -> SysResult<()> {
    let now = with_timer(task, fd, |timer| Ok(timer.get_time()))?;
    Ok(setting.write(&*task.mm()?, &now)?)
}

fn inotify_init(task: &Arc<Task>) -> SysResult<Fd> {
    inotify_init1(task, 0)
}

fn inotify_init1(task: &Arc<Task>, flags: u32) -> SysResult<Fd> {
    InotifyFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let ops = vfs::inotify::new_inotify(&task.cred())?;
    Ok(install_anon(task, "anon_inode:inotify", OpenFlags::RDONLY, flags, ops)?)
}

fn inotify(file: &File) -> Result<&Inotify, Errno> {
    file.downcast::<Inotify>().ok_or(Errno::EINVAL)
}

fn inotify_add_watch(task: &Arc<Task>, fd: Fd, path: UserPath, mask: u32) -> SysResult<i32> {
    let bits = InotifyMask::from_bits_truncate(mask);
    if bits.is_empty() {
        return Err(Errno::EINVAL.into());
    }
    let file = real_file(task, fd)?;
    if bits.contains(InotifyMask::MASK_ADD | InotifyMask::MASK_CREATE) {
        return Err(Errno::EINVAL.into());
    }
    let inotify = inotify(&file)?;
    let mut lookup = Lookup::empty();
    lookup.set(Lookup::FOLLOW, !bits.contains(InotifyMask::DONT_FOLLOW));
    lookup.set(Lookup::DIRECTORY, bits.contains(InotifyMask::ONLYDIR));
    let ctx = task.walk_context();
    let path = ctx.resolve(&path.read(task)?, lookup)?;
    permission::inode_permission(&ctx.cred, path.inode_ref(), permission::READ)?;
    Ok(inotify.add_watch(&path, bits.bits())?)
}

fn inotify_rm_watch(task: &Arc<Task>, fd: Fd, wd: i32) -> SysResult<()> {
    let file = real_file(task, fd)?;
    Ok(inotify(&file)?.rm_watch(wd)?)
}
