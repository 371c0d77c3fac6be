//! `epoll(7)`.

use crate::{
    open::install,
    poll::{AT_ONCE, deadline_in_ms, deadline_in_timespec, real_file, use_mask},
    row::Row,
    rows,
};
use abi::{
    Errno, FileType, OpenFlags, SigSet,
    poll::{EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EpollEvent, EpollFlags},
    time::Timespec,
};
use kernel::{
    SysError, SysResult, Task,
    task::{Deadline, Wait},
};
use ksync::Ready;
use mem::UserPtr;
use std::sync::Arc;
use vfs::{
    Fd,
    epoll::{self, Ctl, Epoll},
};

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    now EPOLL_CREATE = epoll_create as (i32);
    now EPOLL_CREATE1 = epoll_create1 as (u32);
    now EPOLL_CTL = epoll_ctl as (Fd, i32, Fd, UserPtr<EpollEvent>);
    again EPOLL_WAIT = epoll_wait as (Fd, UserPtr<EpollEvent>, i32, i32);
    again EPOLL_PWAIT = epoll_pwait as (Fd, UserPtr<EpollEvent>, i32, i32, UserPtr<SigSet>, usize);
    again EPOLL_PWAIT2 = epoll_pwait2 as (Fd, UserPtr<EpollEvent>, i32, UserPtr<Timespec>, UserPtr<SigSet>, usize);
};

/// The most events that one call may ask for (`EP_MAX_EVENTS`).
const MAX_EVENTS: i32 = i32::MAX / size_of::<EpollEvent>() as i32;

fn epoll_create(task: &Arc<Task>, size: i32) -> SysResult<Fd> {
    if size <= 0 {
        return Err(Errno::EINVAL.into());
    }
    epoll_create1(task, 0)
}

fn epoll_create1(task: &Arc<Task>, flags: u32) -> SysResult<Fd> {
    let flags = EpollFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let (ops, cred) = (epoll::new_epoll(), task.cred());
    let file =
        task.kernel.vfs.anon_file("anon_inode:[eventpoll]", FileType::Regular, OpenFlags::RDWR, &cred, ops);
    Ok(install(task, file, flags.contains(EpollFlags::CLOEXEC))?)
}

fn epoll_ctl(task: &Arc<Task>, epfd: Fd, op: i32, fd: Fd, event: UserPtr<EpollEvent>) -> SysResult<()> {
    let event = match op {
        EPOLL_CTL_DEL => EpollEvent::default(),
        _ => event.read(&*task.mm()?)?,
    };
    let (epoll, file) = (real_file(task, epfd)?, real_file(task, fd)?);
    let ctl = match op {
        EPOLL_CTL_ADD => Ctl::Add(event),
        EPOLL_CTL_MOD => Ctl::Modify(event),
        EPOLL_CTL_DEL => Ctl::Delete,
        _ if file.ops().wait_queue().is_none() => return Err(Errno::EPERM.into()),
        _ => return Err(Errno::EINVAL.into()),
    };
    Ok(epoll::control(&epoll, fd, &file, ctl)?)
}

async fn epoll_wait(
    task: &Arc<Task>,
    epfd: Fd,
    events: UserPtr<EpollEvent>,
    max: i32,
    timeout_ms: i32,
) -> SysResult<usize> {
    wait(task, epfd, events, max, deadline_in_ms(task, timeout_ms)).await
}

async fn epoll_pwait(
    task: &Arc<Task>,
    epfd: Fd,
    events: UserPtr<EpollEvent>,
    max: i32,
    timeout_ms: i32,
    mask: UserPtr<SigSet>,
    size: usize,
) -> SysResult<usize> {
    use_mask(task, mask, size)?;
    let result = wait(task, epfd, events, max, deadline_in_ms(task, timeout_ms)).await;
    finish_mask(task, result)
}

async fn epoll_pwait2(
    task: &Arc<Task>,
    epfd: Fd,
    events: UserPtr<EpollEvent>,
    max: i32,
    timeout: UserPtr<Timespec>,
    mask: UserPtr<SigSet>,
    size: usize,
) -> SysResult<usize> {
    let deadline = deadline_in_timespec(task, timeout)?;
    use_mask(task, mask, size)?;
    let result = wait(task, epfd, events, max, deadline).await;
    finish_mask(task, result)
}

/// Gives the old mask back, unless a signal is to be handled under the new one.
fn finish_mask(task: &Arc<Task>, result: SysResult<usize>) -> SysResult<usize> {
    if !matches!(result, Err(SysError::Errno(Errno::EINTR))) {
        task.restore_mask();
    }
    result
}

/// Unlike `poll(2)`, this is never made again after a signal.
async fn wait(
    task: &Arc<Task>,
    epfd: Fd,
    events: UserPtr<EpollEvent>,
    max: i32,
    deadline: Deadline,
) -> SysResult<usize> {
    let max = usize::try_from(max).ok().filter(|m| (1..=MAX_EVENTS as usize).contains(m));
    let max = max.ok_or(Errno::EINVAL)?;
    let file = real_file(task, epfd)?;
    let epoll = file.downcast::<Epoll>().ok_or(Errno::EINVAL)?;
    let mm = task.mm()?;
    let collect = || {
        let mut at = 0;
        let found = epoll.collect(max, &mut |event| {
            events.at(at)?.write(&*mm, &event)?;
            at += 1;
            Ok(())
        })?;
        if found == 0 { Err(Errno::EAGAIN) } else { Ok(found) }
    };
    if deadline == AT_ONCE {
        return match collect() {
            Err(Errno::EAGAIN) => Ok(0),
            done => Ok(done?),
        };
    }
    let wait = Wait::on(epoll.wait_queue(), Ready::IN | Ready::OTHER).deadline(deadline);
    match task.block_on(wait, collect).await {
        Err(SysError::Errno(Errno::ETIMEDOUT)) => Ok(0),
        Err(SysError::Interrupted(_)) => Err(Errno::EINTR.into()),
        done => done,
    }
}
