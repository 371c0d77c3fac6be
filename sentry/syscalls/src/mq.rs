//! POSIX message queues. The rules are [`fs::mqueue`]'s; this takes arguments apart.

use crate::{arg::UserPath, open::install, row::Row, rows};
use abi::{
    Errno, OpenFlags, Timespec,
    ipc::{MQ_PRIO_MAX, MqAttr},
    signal::{SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SigEvent},
    time::CLOCK_REALTIME,
};
use fs::mqueue::{self, Message, MqInode, Notice, NotifyTarget};
use kernel::{SysResult, Task, task::Deadline, time::clock::Clock};
use mem::{UserAddr, UserMemoryExt, UserPtr};
use std::sync::Arc;
use vfs::{Fd, File};

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    now MQ_OPEN = mq_open as (UserPath, OpenFlags, u32, UserPtr<MqAttr>);
    now MQ_UNLINK = mq_unlink as (UserPath);
    later MQ_TIMEDSEND = mq_timedsend as (Fd, UserAddr, usize, u32, UserPtr<Timespec>);
    later MQ_TIMEDRECEIVE = mq_timedreceive as (Fd, UserAddr, usize, UserPtr<u32>, UserPtr<Timespec>);
    now MQ_NOTIFY = mq_notify as (Fd, UserPtr<SigEvent>);
    now MQ_GETSETATTR = mq_getsetattr as (Fd, UserPtr<MqAttr>, UserPtr<MqAttr>);
};

/// Bytes of the cookie that a C library gives with `SIGEV_THREAD`; the last one says what has happened.
const COOKIE_LEN: usize = 32;

fn mq_open(
    task: &Arc<Task>,
    name: UserPath,
    flags: OpenFlags,
    mode: u32,
    attr: UserPtr<MqAttr>,
) -> SysResult<Fd> {
    let attr = attr.non_null().map(|attr| attr.read(&*task.mm()?)).transpose()?;
    let name = name.read(task)?;
    let file = mqueue::open(task, &name, flags, mode, attr.as_ref())?;
    Ok(install(task, file, true)?) // always closed by exec
}

fn mq_unlink(task: &Arc<Task>, name: UserPath) -> SysResult<()> {
    Ok(mqueue::unlink(task, &name.read(task)?)?)
}

/// The moment that an absolute timeout of the real time clock stands for.
fn deadline(task: &Arc<Task>, timeout: UserPtr<Timespec>) -> Result<Deadline, Errno> {
    let Some(timeout) = timeout.non_null() else { return Ok(None) };
    let at_ns = timeout.read(&*task.mm()?)?.to_duration_ns()?;
    Ok(Some(Clock::System(CLOCK_REALTIME).deadline_of(&task.kernel, at_ns)))
}

fn queue_of(task: &Task, fd: Fd) -> Result<(Arc<File>, Arc<MqInode>), Errno> {
    let file = task.file(fd)?;
    if file.is_path_only() {
        return Err(Errno::EBADF);
    }
    let inode = mqueue::of(&file)?;
    Ok((file, inode))
}

async fn mq_timedsend(
    task: &Arc<Task>,
    fd: Fd,
    from: UserAddr,
    len: usize,
    priority: u32,
    timeout: UserPtr<Timespec>,
) -> SysResult<()> {
    let deadline = deadline(task, timeout)?;
    if priority >= MQ_PRIO_MAX {
        return Err(Errno::EINVAL.into());
    }
    let (file, inode) = queue_of(task, fd)?;
    file.check_writable()?;
    let queue = inode.queue()?;
    if len > queue.max_size {
        return Err(Errno::EMSGSIZE.into());
    }
    let mut text = vec![0; len];
    task.mm()?.copy_in(from, &mut text)?;
    queue.send(task, Message { priority, text }, !file.nonblocking(), deadline).await?;
    inode.touch(true);
    Ok(())
}

async fn mq_timedreceive(
    task: &Arc<Task>,
    fd: Fd,
    to: UserAddr,
    len: usize,
    priority: UserPtr<u32>,
    timeout: UserPtr<Timespec>,
) -> SysResult<usize> {
    let deadline = deadline(task, timeout)?;
    let (file, inode) = queue_of(task, fd)?;
    file.check_readable()?;
    let queue = inode.queue()?;
    if len < queue.max_size {
        return Err(Errno::EMSGSIZE.into());
    }
    let message = queue.receive(task, !file.nonblocking(), deadline).await?;
    inode.touch(false);
    let mm = task.mm()?;
    if let Some(priority) = priority.non_null() {
        priority.write(&*mm, &message.priority)?;
    }
    mm.copy_out(to, &message.text)?;
    Ok(message.text.len())
}

/// A cookie's way to the socket that a C library listens to.
fn cookie_target(task: &Arc<Task>, event: &SigEvent) -> Result<NotifyTarget, Errno> {
    let mut cookie = [0u8; COOKIE_LEN];
    task.mm()?.copy_in(UserAddr(event.sigev_value), &mut cookie)?;
    let file = task.file(Fd(event.sigev_signo))?;
    let socket = net::Socket::of(&file)?.clone();
    if socket.as_any().downcast_ref::<net::netlink::NetlinkSocket>().is_none() {
        return Err(Errno::EINVAL);
    }
    Ok(NotifyTarget::Thread(Box::new(move |notice: Notice| {
        let mut bytes = cookie.to_vec();
        if let Some(last) = bytes.last_mut() {
            *last = notice as u8;
        }
        if let Some(netlink) = socket.as_any().downcast_ref::<net::netlink::NetlinkSocket>() {
            netlink.deliver(bytes);
        }
    })))
}

fn mq_notify(task: &Arc<Task>, fd: Fd, event: UserPtr<SigEvent>) -> SysResult<()> {
    let event = event.non_null().map(|event| event.read(&*task.mm()?)).transpose()?;
    let target = event.map(|event| match event.sigev_notify {
        SIGEV_NONE => Ok(NotifyTarget::None),
        SIGEV_SIGNAL if (0..=64).contains(&event.sigev_signo) => {
            Ok(NotifyTarget::Signal(event.sigev_signo, event.sigev_value))
        }
        SIGEV_THREAD => cookie_target(task, &event),
        _ => Err(Errno::EINVAL),
    });
    let target = target.transpose()?;
    let (_, inode) = queue_of(task, fd)?;
    let queue = inode.queue()?;
    match target {
        None => queue.forget_notification(&task.group),
        Some(target) => queue.register(task, target)?,
    }
    inode.touch(false);
    Ok(())
}

fn mq_getsetattr(task: &Arc<Task>, fd: Fd, new: UserPtr<MqAttr>, old: UserPtr<MqAttr>) -> SysResult<()> {
    let mm = task.mm()?;
    let nonblock = i64::from(OpenFlags::NONBLOCK.bits());
    let new = new.non_null().map(|new| new.read(&*mm)).transpose()?;
    if new.is_some_and(|new| new.mq_flags & !nonblock != 0) {
        return Err(Errno::EINVAL.into());
    }
    let (file, inode) = queue_of(task, fd)?;
    let queue = inode.queue()?;
    let was = MqAttr {
        mq_flags: if file.nonblocking() { nonblock } else { 0 },
        mq_maxmsg: queue.max_messages as i64,
        mq_msgsize: queue.max_size as i64,
        mq_curmsgs: queue.count() as i64,
        ..MqAttr::default()
    };
    if let Some(new) = new {
        let mut flags = file.flags();
        flags.set(OpenFlags::NONBLOCK, new.mq_flags & nonblock != 0);
        file.set_flags(flags)?;
        inode.touch(false);
    }
    if let Some(old) = old.non_null() {
        old.write(&*mm, &was)?;
    }
    Ok(())
}
