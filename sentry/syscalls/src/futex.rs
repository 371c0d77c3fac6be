//! `futex(2)` and what belongs to it.

use crate::{row::Row, rows};
use abi::{
    Errno, Timespec,
    futex::*,
    time::{CLOCK_MONOTONIC, CLOCK_REALTIME},
};
use kernel::{
    Restart, SysError, SysResult, Task,
    access::{AccessCreds, may_access},
    task::{Deadline, RestartBlock},
    time::clock::Clock,
};
use mem::UserPtr;
use std::sync::Arc;

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    again FUTEX = futex as (u64, u32, u32, u64, u64, u32) partial "no priorities to inherit";
    later FUTEX_WAITV = futex_waitv as (UserPtr<FutexWaitv>, u32, u32, UserPtr<Timespec>, i32);
    now FUTEX_WAKE = futex_wake as (u64, u64, i32, u32);
    later FUTEX_WAIT = futex_wait as (u64, u64, u64, u32, UserPtr<Timespec>, i32);
    now FUTEX_REQUEUE = futex_requeue as (UserPtr<FutexWaitv>, u32, i32, i32);
    now SET_ROBUST_LIST = set_robust_list as (u64, usize);
    now GET_ROBUST_LIST = get_robust_list as (i32, UserPtr<u64>, UserPtr<u64>);
};

/// Waits; a wait with a deadline goes on through the restart block where no handler runs.
pub(crate) async fn wait(
    task: &Arc<Task>,
    addr: u64,
    private: bool,
    value: u32,
    deadline: Deadline,
    bitset: u32,
) -> SysResult<()> {
    let result = task.futex_wait(addr, private, value, deadline, bitset).await;
    if let (Err(SysError::Interrupted(_)), Some(deadline_ns)) = (result, deadline) {
        task.state.lock().restart_block =
            Some(RestartBlock::Futex { addr, value, deadline_ns, bitset, private });
        return Err(SysError::Interrupted(Restart::Block));
    }
    result
}

/// The deadline that an absolute `timeout` on a clock stands for; none for a null pointer.
fn absolute(task: &Arc<Task>, timeout: UserPtr<Timespec>, clock: i32) -> Result<Deadline, Errno> {
    let Some(timeout) = timeout.non_null() else { return Ok(None) };
    let at_ns = timeout.read(&*task.mm()?)?.to_duration_ns()?;
    Ok(Some(Clock::System(clock).deadline_of(&task.kernel, at_ns)))
}

fn relative(task: &Arc<Task>, timeout: UserPtr<Timespec>) -> Result<Deadline, Errno> {
    let Some(timeout) = timeout.non_null() else { return Ok(None) };
    let ns = timeout.read(&*task.mm()?)?.to_duration_ns()?;
    Ok(Some(task.kernel.monotonic_ns().saturating_add(ns)))
}

/// A number of waiters to wake: as Linux, at least one.
fn at_least_one(count: u32) -> usize {
    usize::try_from(count as i32).unwrap_or(0).max(1)
}

/// A number of waiters that may be none; `EINVAL` for negative ones.
fn some(count: u32) -> Result<usize, Errno> {
    usize::try_from(count as i32).map_err(|_| Errno::EINVAL)
}

async fn futex(
    task: &Arc<Task>,
    addr: u64,
    op: u32,
    val: u32,
    timeout: u64,
    addr2: u64,
    val3: u32,
) -> SysResult<usize> {
    let private = op & FUTEX_PRIVATE_FLAG != 0;
    let cmd = op & FUTEX_CMD_MASK;
    let realtime = op & FUTEX_CLOCK_REALTIME != 0;
    if realtime && !matches!(cmd, FUTEX_WAIT_BITSET | FUTEX_LOCK_PI2 | FUTEX_WAIT_REQUEUE_PI) {
        return Err(Errno::ENOSYS.into());
    }
    let clock = if realtime { CLOCK_REALTIME } else { CLOCK_MONOTONIC };
    if matches!(cmd, FUTEX_WAIT | FUTEX_WAIT_BITSET | FUTEX_LOCK_PI | FUTEX_LOCK_PI2) {
        task.leave_first_try().await; // waiters are queued before they sleep
    }
    let val2 = timeout as u32;
    let timeout: UserPtr<Timespec> = timeout.into();
    Ok(match cmd {
        FUTEX_WAIT => {
            let deadline = relative(task, timeout)?;
            wait(task, addr, private, val, deadline, FUTEX_BITSET_MATCH_ANY).await.map(|()| 0)?
        }
        FUTEX_WAIT_BITSET => {
            let deadline = absolute(task, timeout, clock)?;
            wait(task, addr, private, val, deadline, val3).await.map(|()| 0)?
        }
        FUTEX_WAKE => task.futex_wake(addr, private, at_least_one(val), FUTEX_BITSET_MATCH_ANY)?,
        FUTEX_WAKE_BITSET => task.futex_wake(addr, private, at_least_one(val), val3)?,
        FUTEX_REQUEUE | FUTEX_CMP_REQUEUE => {
            let expected = (cmd == FUTEX_CMP_REQUEUE).then_some(val3);
            let (wake, requeue) = (some(val)?, some(val2)?);
            let (woken, moved) =
                task.futex_requeue(addr, addr2, (private, private), wake, requeue, expected)?;
            woken + moved
        }
        FUTEX_WAKE_OP => {
            let op = FutexWakeOp::from_raw(val3);
            task.futex_wake_op(addr, addr2, private, at_least_one(val), at_least_one(val2), op)?
        }
        FUTEX_LOCK_PI | FUTEX_LOCK_PI2 => {
            let clock = if cmd == FUTEX_LOCK_PI { CLOCK_REALTIME } else { clock };
            let deadline = absolute(task, timeout, clock)?;
            task.futex_lock_pi(addr, private, deadline, false).await.map(|()| 0)?
        }
        FUTEX_WAIT_REQUEUE_PI => {
            if val3 != FUTEX_BITSET_MATCH_ANY && val3 != 0 {
                // Which it has to be; 0 is what callers that leave it out have.
                return Err(Errno::EINVAL.into());
            }
            let deadline = absolute(task, timeout, clock)?;
            task.futex_wait_requeue_pi(addr, addr2, private, val, deadline).await.map(|()| 0)?
        }
        FUTEX_CMP_REQUEUE_PI => {
            if val != 1 {
                return Err(Errno::EINVAL.into());
            }
            task.futex_cmp_requeue_pi(addr, addr2, private, some(val2)?, val3)?
        }
        FUTEX_TRYLOCK_PI => task.futex_lock_pi(addr, private, None, true).await.map(|()| 0)?,
        FUTEX_UNLOCK_PI => task.futex_unlock_pi(addr, private).map(|()| 0)?,
        _ => return Err(Errno::ENOSYS.into()),
    })
}

/// Whether the futex is private; `EINVAL` for flags that mean nothing and sizes other than 32 bits.
fn futex2_flags(flags: u32) -> Result<bool, Errno> {
    let flags = Futex2Flags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if flags.contains(Futex2Flags::NUMA) || flags.bits() & Futex2Flags::SIZE_MASK.bits() != FUTEX2_SIZE_U32 {
        return Err(Errno::EINVAL);
    }
    Ok(flags.contains(Futex2Flags::PRIVATE))
}

fn word(value: u64) -> Result<u32, Errno> {
    u32::try_from(value).map_err(|_| Errno::EINVAL)
}

/// The clock of an absolute timeout; it is only looked at where there is one.
fn deadline_on(task: &Arc<Task>, timeout: UserPtr<Timespec>, clock: i32) -> Result<Deadline, Errno> {
    if !timeout.is_null() && clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC {
        return Err(Errno::EINVAL);
    }
    absolute(task, timeout, clock)
}

fn read_waiters(
    task: &Task,
    waiters: UserPtr<FutexWaitv>,
    count: usize,
) -> Result<Vec<(u64, bool, u32)>, Errno> {
    let read = |w: FutexWaitv| {
        if w._reserved != 0 {
            return Err(Errno::EINVAL);
        }
        Ok((w.uaddr, futex2_flags(w.flags)?, word(w.val)?))
    };
    waiters.read_array(&*task.mm()?, count)?.into_iter().map(read).collect()
}

async fn futex_waitv(
    task: &Arc<Task>,
    waiters: UserPtr<FutexWaitv>,
    count: u32,
    flags: u32,
    timeout: UserPtr<Timespec>,
    clock: i32,
) -> SysResult<usize> {
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    if flags != 0 || count == 0 || count > FUTEX_WAITV_MAX || waiters.is_null() {
        return Err(Errno::EINVAL.into());
    }
    let deadline = deadline_on(task, timeout, clock)?;
    let futexes = read_waiters(task, waiters, count)?;
    task.futex_wait_any(&futexes, deadline).await
}

fn futex_wake(task: &Arc<Task>, addr: u64, mask: u64, count: i32, flags: u32) -> SysResult<usize> {
    let private = futex2_flags(flags)?;
    let mask = word(mask)?;
    if mask == 0 {
        return Err(Errno::EINVAL.into());
    }
    match usize::try_from(count) {
        Ok(0) => Ok(0),
        count => Ok(task.futex_wake(addr, private, count.unwrap_or(1), mask)?),
    }
}

async fn futex_wait(
    task: &Arc<Task>,
    addr: u64,
    value: u64,
    mask: u64,
    flags: u32,
    timeout: UserPtr<Timespec>,
    clock: i32,
) -> SysResult<()> {
    let private = futex2_flags(flags)?;
    let (value, mask) = (word(value)?, word(mask)?);
    let deadline = deadline_on(task, timeout, clock)?;
    task.futex_wait(addr, private, value, deadline, mask).await
}

fn futex_requeue(
    task: &Arc<Task>,
    waiters: UserPtr<FutexWaitv>,
    flags: u32,
    wake: i32,
    requeue: i32,
) -> SysResult<usize> {
    if flags != 0 || waiters.is_null() {
        return Err(Errno::EINVAL.into());
    }
    let pair = read_waiters(task, waiters, 2)?;
    let [(from, from_private, expected), (to, to_private, _)] = *pair.as_slice() else {
        return Err(Errno::EINVAL.into());
    };
    let (wake, requeue) = (some(wake as u32)?, some(requeue as u32)?);
    let private = (from_private, to_private);
    let (woken, moved) = task.futex_requeue(from, to, private, wake, requeue, Some(expected))?;
    Ok(woken + moved)
}

fn set_robust_list(task: &Arc<Task>, head: u64, len: usize) -> SysResult<()> {
    if len != RobustListHead::SIZE {
        return Err(Errno::EINVAL.into());
    }
    task.state.lock().robust_list = head;
    Ok(())
}

fn get_robust_list(task: &Arc<Task>, tid: i32, head: UserPtr<u64>, len: UserPtr<u64>) -> SysResult<()> {
    let target = task.find_thread_or_self(tid)?;
    may_access(task, &target, AccessCreds::Real)?;
    let list = target.state.lock().robust_list;
    let mm = task.mm()?;
    len.write(&*mm, &(RobustListHead::SIZE as u64))?;
    Ok(head.write(&*mm, &list)?)
}
