//! Asynchronous I/O (`io_submit(2)`). Each request is done when it is submitted, so its event is there at once.

use crate::{
    io::{self, How, vectors},
    poll::{AT_ONCE, deadline_in_timespec, real_file, use_mask},
    row::Row,
    rows,
};
use abi::{
    Errno, SigSet,
    aio::*,
    fcntl::RwFlags,
    limits::PAGE_SIZE,
    mman::{MapFlags, Prot},
    poll::SigsetArg,
    time::Timespec,
};
use kernel::{
    SysError, SysResult, Task,
    aio::{AioContext, MAX_EVENTS},
    task::{Deadline, Wait},
};
use ksync::Ready;
use mem::{UserAddr, UserPtr};
use mm::{MapRequest, MapSource};
use std::sync::Arc;
use vfs::Fd;

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    now IO_SETUP = io_setup as (u32, UserPtr<u64>);
    now IO_DESTROY = io_destroy as (u64);
    later IO_SUBMIT = io_submit as (u64, i64, UserPtr<u64>)
        partial "requests other than IOCB_CMD_POLL are done one after the other, before the call returns";
    later IO_GETEVENTS = io_getevents as (u64, i64, i64, UserPtr<IoEvent>, UserPtr<Timespec>);
    later IO_PGETEVENTS =
        io_pgetevents as (u64, i64, i64, UserPtr<IoEvent>, UserPtr<Timespec>, UserPtr<SigsetArg>);
    now IO_CANCEL = io_cancel as (u64, UserPtr<Iocb>, UserPtr<IoEvent>);
};

fn io_setup(task: &Arc<Task>, events: u32, result: UserPtr<u64>) -> SysResult<()> {
    let mm = task.mm()?;
    let before: u64 = result.read(&*mm)?;
    let capacity = events as usize;
    if before != 0 || events == 0 || capacity > 0x1000_0000 / IoEvent::SIZE {
        return Err(Errno::EINVAL.into());
    }
    if capacity > MAX_EVENTS {
        return Err(Errno::EAGAIN.into());
    }
    let id = mm.mmap(&MapRequest {
        addr: 0,
        len: PAGE_SIZE,
        prot: Prot::READ | Prot::WRITE,
        flags: MapFlags::PRIVATE | MapFlags::ANONYMOUS,
        source: MapSource::Anonymous,
    })?;
    let made = task.kernel.aio.add(&mm, id, capacity);
    let stored = made.and_then(|()| result.write(&*mm, &id));
    if let Err(e) = stored {
        let _ = task.kernel.aio.remove(&mm, id);
        let _ = mm.munmap(id, PAGE_SIZE);
        return Err(e.into());
    }
    Ok(())
}

fn io_destroy(task: &Arc<Task>, id: u64) -> SysResult<()> {
    let mm = task.mm()?;
    task.kernel.aio.remove(&mm, id)?;
    let _ = mm.munmap(id, PAGE_SIZE); // the application may have done that
    Ok(())
}

async fn io_submit(task: &Arc<Task>, id: u64, count: i64, iocbs: UserPtr<u64>) -> SysResult<usize> {
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    let mm = task.mm()?;
    let context = task.kernel.aio.get(&mm, id)?;
    for done in 0..count.min(context.capacity()) {
        let submitted = match iocbs.at(done).and_then(|at| at.read(&*mm)) {
            Ok(iocb) if context.has_room() => submit(task, &context, UserPtr::from(iocb), iocb).await,
            Ok(_) => Err(Errno::EAGAIN.into()),
            Err(e) => Err(e.into()),
        };
        match submitted {
            Ok(Some(event)) => context.complete(event),
            Ok(None) => {}
            Err(_) if done > 0 => return Ok(done),
            Err(e) => return Err(e),
        }
    }
    Ok(count.min(context.capacity()))
}

/// Does one request; none if it waits. An error is one of the request; what goes wrong when it is done is in the event.
async fn submit(
    task: &Arc<Task>,
    context: &Arc<AioContext>,
    user: UserPtr<Iocb>,
    addr: u64,
) -> SysResult<Option<IoEvent>> {
    let mm = task.mm()?;
    let iocb = user.read(&*mm)?;
    if iocb.aio_reserved2 != 0 || i64::try_from(iocb.aio_nbytes).is_err() {
        return Err(Errno::EINVAL.into());
    }
    let fd = Fd(iocb.aio_fildes as i32);
    let file = real_file(task, fd)?;
    let notify = match iocb.aio_flags & IOCB_FLAG_RESFD != 0 {
        true => Some(real_file(task, Fd(iocb.aio_resfd as i32))?),
        false => None,
    };
    let counter = match &notify {
        Some(file) => Some(file.downcast::<fs::eventfd::EventFd>().ok_or(Errno::EINVAL)?.counter().clone()),
        None => None,
    };
    let key_at = UserPtr::<u32>::from(addr).addr().add(std::mem::offset_of!(Iocb, aio_key) as u64)?;
    UserPtr::<u32>::from(key_at.0).write(&*mm, &0)?;
    let result = match iocb.aio_lio_opcode {
        IOCB_CMD_PREAD | IOCB_CMD_PREADV => {
            file.check_readable()?;
            let (vecs, how) = transfer(task, &iocb, file.ops().seekable())?;
            io::read_into(task, fd, &vecs, how).await
        }
        IOCB_CMD_PWRITE | IOCB_CMD_PWRITEV => {
            file.check_writable()?;
            let (vecs, how) = transfer(task, &iocb, file.ops().seekable())?;
            io::write_from(task, fd, &vecs, how).await
        }
        IOCB_CMD_FSYNC | IOCB_CMD_FDSYNC => {
            if (iocb.aio_buf, iocb.aio_offset, iocb.aio_nbytes, iocb.aio_rw_flags) != (0, 0, 0, 0) {
                return Err(Errno::EINVAL.into());
            }
            let data_only = iocb.aio_lio_opcode == IOCB_CMD_FDSYNC;
            let synced = ksync::exec::blocking(|| file.ops().fsync(&file, data_only));
            synced.map(|()| 0).map_err(SysError::from)
        }
        IOCB_CMD_POLL => {
            let wanted = u16::try_from(iocb.aio_buf).map_err(|_| Errno::EINVAL)?;
            if (iocb.aio_offset, iocb.aio_nbytes, iocb.aio_rw_flags) != (0, 0, 0) {
                return Err(Errno::EINVAL.into());
            }
            let wanted = Ready::from_bits_truncate(u32::from(wanted)) | Ready::ALWAYS;
            let (queue, data) = (context.clone(), iocb.aio_data);
            let waits = context.wait_for(addr, file, wanted, move |ready| {
                let res = i64::from(ready.bits());
                queue.complete(IoEvent { data, obj: addr, res, res2: 0 });
                if let Some(counter) = counter {
                    counter.signal(1);
                }
            });
            task.kernel.executor.spawn_on(task.home, waits);
            return Ok(None);
        }
        _ => return Err(Errno::EINVAL.into()),
    };
    let res = match result {
        Ok(bytes) => bytes as i64,
        Err(SysError::Errno(e)) => -i64::from(e.code()),
        Err(SysError::Interrupted(_)) => -i64::from(Errno::EINTR.code()),
    };
    if let Some(counter) = counter {
        counter.signal(1);
    }
    Ok(Some(IoEvent { data: iocb.aio_data, obj: addr, res, res2: 0 }))
}

/// What is to be moved, and how.
fn transfer(task: &Task, iocb: &Iocb, seekable: bool) -> Result<(Vec<(UserAddr, usize)>, How), Errno> {
    let flags = RwFlags::from_bits(iocb.aio_rw_flags).ok_or(Errno::EOPNOTSUPP)?;
    let at = match seekable {
        true => Some(u64::try_from(iocb.aio_offset).map_err(|_| Errno::EINVAL)?),
        false => None,
    };
    let len = usize::try_from(iocb.aio_nbytes).map_err(|_| Errno::EINVAL)?;
    let vecs = match iocb.aio_lio_opcode {
        IOCB_CMD_PREADV | IOCB_CMD_PWRITEV => vectors(task, iocb.aio_buf.into(), len)?,
        _ => vec![(UserAddr(iocb.aio_buf), len.min(io::MAX_RW))],
    };
    Ok((vecs, How { at, flags }))
}

async fn io_getevents(
    task: &Arc<Task>,
    id: u64,
    min: i64,
    max: i64,
    events: UserPtr<IoEvent>,
    timeout: UserPtr<Timespec>,
) -> SysResult<usize> {
    let deadline = deadline_in_timespec(task, timeout)?;
    wait(task, id, min, max, events, deadline).await
}

async fn io_pgetevents(
    task: &Arc<Task>,
    id: u64,
    min: i64,
    max: i64,
    events: UserPtr<IoEvent>,
    timeout: UserPtr<Timespec>,
    mask: UserPtr<SigsetArg>,
) -> SysResult<usize> {
    let deadline = deadline_in_timespec(task, timeout)?;
    let mask = match mask.non_null() {
        Some(mask) => mask.read(&*task.mm()?)?,
        None => SigsetArg::default(),
    };
    let set: UserPtr<SigSet> = mask.sigset.into();
    use_mask(task, set, usize::try_from(mask.size).unwrap_or(usize::MAX))?;
    let result = wait(task, id, min, max, events, deadline).await;
    if !matches!(result, Err(SysError::Errno(Errno::EINTR))) {
        task.restore_mask();
    }
    result
}

/// Waits for at least `min` events, and takes up to `max`.
async fn wait(
    task: &Arc<Task>,
    id: u64,
    min: i64,
    max: i64,
    events: UserPtr<IoEvent>,
    deadline: Deadline,
) -> SysResult<usize> {
    let mm = task.mm()?;
    let context = task.kernel.aio.get(&mm, id)?;
    let (Ok(min), Ok(max)) = (usize::try_from(min), usize::try_from(max)) else {
        return Err(Errno::EINVAL.into());
    };
    if min > max {
        return Err(Errno::EINVAL.into());
    }
    let mut taken = 0;
    let mut collect = || {
        while taken < max
            && let Some(event) = context.take()
        {
            if let Err(e) = events.at(taken).and_then(|at| at.write(&*mm, &event)) {
                context.untake(event);
                return Err(e);
            }
            taken += 1;
        }
        if taken >= min {
            return Ok(());
        }
        context.check().and(Err(Errno::EAGAIN))
    };
    let result = if deadline == AT_ONCE {
        collect().map_err(SysError::from)
    } else {
        let wait = Wait::on(context.wait_queue(), Ready::IN).deadline(deadline);
        task.block_on(wait, collect).await
    };
    match result {
        _ if taken > 0 => Ok(taken),
        Ok(()) | Err(SysError::Errno(Errno::EAGAIN | Errno::ETIMEDOUT)) => Ok(0),
        Err(SysError::Interrupted(_)) => Err(Errno::EINTR.into()),
        Err(e) => Err(e),
    }
}

/// Only waits are ever under way that could be cancelled: their events say that nothing came.
fn io_cancel(task: &Arc<Task>, id: u64, iocb: UserPtr<Iocb>, _result: UserPtr<IoEvent>) -> SysResult<()> {
    let mm = task.mm()?;
    iocb.read(&*mm)?;
    task.kernel.aio.get(&mm, id)?.cancel(iocb.addr().0)?;
    Err(Errno::EINPROGRESS.into())
}
