//! Waiting for descriptors: `poll(2)`, `select(2)`. Epoll is a family of its own.
//!
//! Both make a [`PollTable`], look at it, and sleep on the queues of all its files if nothing is ready. As on Linux a signal
//! counts more than a timeout, and ready descriptors more than a signal.

use crate::{row::Row, rows};
use abi::{
    Errno, SigSet,
    poll::{FdSet, PollEvents, PollFd, SigsetArg},
    process::Resource,
    time::{Timespec, Timeval},
};
use kernel::{
    Restart, SysError, SysResult, Task,
    task::{Deadline, RestartBlock, Wait},
};
use ksync::Ready;
use mem::{UserAddr, UserMemory, UserMemoryExt, UserPtr};
use platform::Access;
use smallvec::SmallVec;
use std::sync::Arc;
use vfs::{Fd, File, poll::PollTable};
use zerocopy::IntoBytes;

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    again POLL = poll as (UserPtr<PollFd>, u32, i32);
    again PPOLL = ppoll as (UserPtr<PollFd>, u32, UserPtr<Timespec>, UserPtr<SigSet>, usize);
    again SELECT = select as (i32, UserAddr, UserAddr, UserAddr, UserPtr<Timeval>);
    again PSELECT6 = pselect6 as (i32, UserAddr, UserAddr, UserAddr, UserPtr<Timespec>, UserPtr<SigsetArg>);
};

/// The deadline that means not to wait at all.
pub(crate) const AT_ONCE: Deadline = Some(0);

/// When a timeout that begins now is over; of no length, it is [`AT_ONCE`].
pub(crate) fn deadline_in(task: &Task, ns: u64) -> Deadline {
    if ns == 0 { AT_ONCE } else { Some(task.kernel.monotonic_ns().saturating_add(ns)) }
}

/// The same for milliseconds, of which a negative number is forever.
pub(crate) fn deadline_in_ms(task: &Task, ms: i32) -> Deadline {
    u64::try_from(ms).ok().and_then(|ms| deadline_in(task, ms * 1_000_000))
}

/// The same for a span of time that may be absent.
pub(crate) fn deadline_in_timespec(task: &Task, timeout: UserPtr<Timespec>) -> Result<Deadline, Errno> {
    match timeout.non_null() {
        None => Ok(None),
        Some(timeout) => Ok(deadline_in(task, timeout.read(&*task.mm()?)?.to_duration_ns()?)),
    }
}

/// An open file as calls see it that want more of it than its place: `EBADF` for `O_PATH` too.
pub(crate) fn real_file(task: &Task, fd: Fd) -> Result<Arc<File>, Errno> {
    task.file(fd).and_then(|file| if file.is_path_only() { Err(Errno::EBADF) } else { Ok(file) })
}

/// Puts the mask of a `p` call in place. `EINVAL` for another size of set, `EFAULT`.
pub(crate) fn use_mask(task: &Arc<Task>, mask: UserPtr<SigSet>, size: usize) -> Result<(), Errno> {
    let Some(mask) = mask.non_null() else { return Ok(()) };
    if size != SigSet::SIZE {
        return Err(Errno::EINVAL);
    }
    task.set_temporary_mask(mask.read(&*task.mm()?)?);
    Ok(())
}

/// Waits until `found` gives something for a table's files, or 0 at the deadline.
async fn wait_for<T>(
    task: &Arc<Task>,
    table: &PollTable,
    deadline: Deadline,
    mut found: impl FnMut() -> Option<T>,
) -> SysResult<Option<T>> {
    let attempt = || found().ok_or(Errno::EAGAIN);
    let result = if deadline == AT_ONCE {
        let mut attempt = attempt;
        match attempt() {
            Err(Errno::EAGAIN) if task.interrupted() => Err(SysError::Interrupted(Restart::NoHandler)),
            Err(Errno::EAGAIN) => Ok(None),
            done => done.map(Some).map_err(SysError::from),
        }
    } else {
        let wait = Wait::until(deadline);
        match task.block_on_many(wait, |listener| table.listen(listener), attempt).await {
            Err(SysError::Errno(Errno::ETIMEDOUT)) => Ok(None),
            done => done.map(Some),
        }
    };
    result.map_err(|e| e.restart_as(Restart::NoHandler))
}

/// Gives the old mask back behind a `p` call, unless a signal is to be handled under the new one.
fn finish_mask<T>(task: &Arc<Task>, result: &SysResult<T>) {
    if !matches!(result, Err(SysError::Interrupted(_))) {
        task.restore_mask();
    }
}

/// Tells what is left of a timeout, as Linux does but for one of no length. If that cannot be stored, the call cannot be
/// made again either.
fn finish_timeout<T>(
    task: &Arc<Task>,
    deadline: Deadline,
    result: SysResult<T>,
    store: impl FnOnce(&dyn UserMemory, u64) -> Result<(), Errno>,
) -> SysResult<T> {
    let Some(deadline) = deadline.filter(|at| *at != 0) else { return result };
    let left = deadline.saturating_sub(task.kernel.monotonic_ns());
    match (store(&*task.mm()?, left), result) {
        (Err(_), Err(SysError::Interrupted(_))) => Err(Errno::EINTR.into()),
        (_, result) => result,
    }
}

async fn poll(task: &Arc<Task>, fds: UserPtr<PollFd>, count: u32, timeout_ms: i32) -> SysResult<usize> {
    poll_until(task, fds, count, deadline_in_ms(task, timeout_ms)).await
}

/// `poll(2)` with a deadline: the call, and what `restart_syscall(2)` makes of a [`RestartBlock::Poll`].
pub async fn poll_until(
    task: &Arc<Task>,
    fds: UserPtr<PollFd>,
    count: u32,
    deadline_ns: Deadline,
) -> SysResult<usize> {
    let result = do_poll(task, fds, count, deadline_ns).await;
    if let Err(SysError::Interrupted(_)) = result {
        let block = RestartBlock::Poll { fds: fds.addr().0, count, deadline_ns };
        task.state.lock().restart_block = Some(block);
    }
    result.map_err(|e| e.restart_as(Restart::Block))
}

async fn ppoll(
    task: &Arc<Task>,
    fds: UserPtr<PollFd>,
    count: u32,
    timeout: UserPtr<Timespec>,
    mask: UserPtr<SigSet>,
    size: usize,
) -> SysResult<usize> {
    let deadline = deadline_in_timespec(task, timeout)?;
    use_mask(task, mask, size)?;
    let result = do_poll(task, fds, count, deadline).await;
    finish_mask(task, &result);
    finish_timeout(task, deadline, result, |mem, left| timeout.write(mem, &Timespec::from_ns(left)))
}

async fn do_poll(
    task: &Arc<Task>,
    user: UserPtr<PollFd>,
    count: u32,
    deadline: Deadline,
) -> SysResult<usize> {
    if u64::from(count) > task.group.limits.lock().soft(Resource::Nofile) {
        return Err(Errno::EINVAL.into());
    }
    let mm = task.mm()?;
    let mut fds: SmallVec<[PollFd; 8]> = SmallVec::from_elem(PollFd::default(), count as usize);
    mm.copy_in(user.addr(), fds.as_mut_slice().as_mut_bytes())?;
    let mut table = PollTable::new();
    for fd in fds.iter().filter(|fd| fd.fd >= 0) {
        table.add(real_file(task, Fd(fd.fd)).ok(), Ready::from_bits_truncate(u32::from(fd.events)));
    }
    let mut looks: SmallVec<[Ready; 8]> = SmallVec::new();
    let found = || {
        looks.clear();
        looks.extend(table.look());
        Some(looks.iter().filter(|r| !r.is_empty()).count()).filter(|ready| *ready > 0)
    };
    let result = wait_for(task, &table, deadline, found).await;
    let mut looks = looks.into_iter();
    for fd in &mut fds {
        let ready = if fd.fd >= 0 { looks.next().unwrap_or_default() } else { Ready::empty() };
        fd.revents = ready.bits() as u16; // all bits of poll(2) are there
    }
    store_revents(&*mm, user.addr(), &fds)?;
    result.map(Option::unwrap_or_default)
}

/// Stores `revents` alone: the other fields may belong to another thread by now.
fn store_revents(mem: &dyn UserMemory, addr: UserAddr, fds: &[PollFd]) -> Result<(), Errno> {
    const AT: usize = std::mem::offset_of!(PollFd, revents);
    let total = size_of_val(fds);
    if total == 0 {
        return Ok(());
    }
    let mut done = 0;
    let stored = mem.with_pieces(addr, total, Access::WRITE, &mut |piece| {
        let bytes = done..done + piece.len();
        let first = done / PollFd::SIZE;
        for (i, fd) in fds.iter().enumerate().skip(first) {
            let place = i * PollFd::SIZE + AT;
            if place >= bytes.end {
                break;
            }
            for (at, byte) in (place..).zip(fd.revents.to_ne_bytes()) {
                if bytes.contains(&at) {
                    let slot = piece.subslice(at - done, 1).map_err(|_| Errno::EFAULT)?;
                    slot.copy_from(&[byte]);
                }
            }
        }
        done = bytes.end;
        Ok(piece.len())
    })?;
    if stored == total { Ok(()) } else { Err(Errno::EFAULT) }
}

async fn select(
    task: &Arc<Task>,
    nfds: i32,
    read: UserAddr,
    write: UserAddr,
    except: UserAddr,
    timeout: UserPtr<Timeval>,
) -> SysResult<usize> {
    let mut deadline = None;
    if let Some(timeout) = timeout.non_null() {
        let tv = timeout.read(&*task.mm()?)?;
        // More than a second of microseconds is fine here.
        let (more, usec) = (tv.tv_usec / abi::time::USEC_PER_SEC, tv.tv_usec % abi::time::USEC_PER_SEC);
        let span = Timespec { tv_sec: tv.tv_sec.wrapping_add(more), tv_nsec: usec * 1000 };
        deadline = deadline_in(task, span.to_duration_ns()?);
    }
    let result = do_select(task, nfds, [read, write, except], deadline).await;
    finish_timeout(task, deadline, result, |mem, left| timeout.write(mem, &Timeval::from_ns(left)))
}

async fn pselect6(
    task: &Arc<Task>,
    nfds: i32,
    read: UserAddr,
    write: UserAddr,
    except: UserAddr,
    timeout: UserPtr<Timespec>,
    mask: UserPtr<SigsetArg>,
) -> SysResult<usize> {
    let mask = match mask.non_null() {
        Some(mask) => mask.read(&*task.mm()?)?,
        None => SigsetArg::default(),
    };
    let deadline = deadline_in_timespec(task, timeout)?;
    use_mask(task, mask.sigset.into(), usize::try_from(mask.size).unwrap_or(usize::MAX))?;
    let result = do_select(task, nfds, [read, write, except], deadline).await;
    finish_mask(task, &result);
    finish_timeout(task, deadline, result, |mem, left| timeout.write(mem, &Timespec::from_ns(left)))
}

/// What makes a descriptor a member of each of the three sets.
const MEMBER: [Ready; 3] = [
    Ready::from_bits_truncate(PollEvents::SELECT_IN.bits()),
    Ready::from_bits_truncate(PollEvents::SELECT_OUT.bits()),
    Ready::from_bits_truncate(PollEvents::SELECT_EX.bits()),
];

async fn do_select(task: &Arc<Task>, nfds: i32, user: [UserAddr; 3], deadline: Deadline) -> SysResult<usize> {
    let table_size = task.fds()?.size();
    let nfds = usize::try_from(nfds).map_err(|_| Errno::EINVAL)?.min(table_size);
    let mm = task.mm()?;
    let read_set = |addr: UserAddr| -> Result<FdSet, Errno> {
        let mut bytes = vec![0; if addr.is_null() { 0 } else { FdSet::bytes_for(nfds) }];
        mm.copy_in(addr, &mut bytes)?;
        Ok(FdSet::from_bytes(&bytes))
    };
    let [r, w, x] = user.map(read_set);
    let asked = [r?, w?, x?];
    let mut table = PollTable::new();
    let mut fds: SmallVec<[usize; 16]> = asked.iter().flat_map(|set| set.iter(nfds)).collect();
    fds.sort_unstable();
    fds.dedup();
    for &fd in &fds {
        let asked_for =
            |(set, member): (&FdSet, Ready)| if set.contains(fd) { member } else { Ready::empty() };
        let interest = asked.iter().zip(MEMBER).map(asked_for).fold(Ready::empty(), |all, one| all | one);
        let file = real_file(task, Fd(i32::try_from(fd).unwrap_or(-1)))?;
        table.add(Some(file), interest);
    }
    let look = || {
        let mut found = [(); 3].map(|()| FdSet::new(nfds));
        let mut count = 0;
        for (&fd, ready) in fds.iter().zip(table.look()) {
            for ((set, asked), member) in found.iter_mut().zip(&asked).zip(MEMBER) {
                if asked.contains(fd) && ready.intersects(member) {
                    set.insert(fd);
                    count += 1;
                }
            }
        }
        (count > 0).then_some((count, found))
    };
    let found = wait_for(task, &table, deadline, look).await?;
    let (count, found) = found.unwrap_or_else(|| (0, [(); 3].map(|()| FdSet::new(nfds))));
    for (addr, set) in user.into_iter().zip(&found).filter(|(addr, _)| !addr.is_null()) {
        mm.copy_out(addr, set.as_bytes())?;
    }
    Ok(count)
}
