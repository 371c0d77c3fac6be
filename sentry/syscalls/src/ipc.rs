//! System V interprocess communication. The rules are [`kernel::ipc`]'s; this takes arguments apart.

use crate::{row::Row, rows};
use abi::{Errno, Timespec, ipc::*, limits::PAGE_SIZE, process::Cap};
use kernel::{
    SysResult, Task,
    ipc::{IpcNamespace, Object, Table, msg::Message},
};
use mem::{UserAddr, UserMemoryExt, UserPtr};
use std::sync::Arc;

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    now SHMGET = shmget as (i32, u64, u32) partial "no huge pages: SHM_HUGETLB is ENOMEM";
    now SHMAT = shmat as (i32, u64, u32);
    now SHMDT = shmdt as (u64);
    now SHMCTL = shmctl as (i32, i32, u64) partial "SHM_LOCK is remembered and has no effect";
    now SEMGET = semget as (i32, i32, u32);
    later SEMOP = semop as (i32, UserPtr<Sembuf>, usize);
    later SEMTIMEDOP = semtimedop as (i32, UserPtr<Sembuf>, usize, UserPtr<Timespec>);
    now SEMCTL = semctl as (i32, i32, i32, u64);
    now MSGGET = msgget as (i32, u32);
    later MSGSND = msgsnd as (i32, UserPtr<i64>, usize, u32);
    later MSGRCV = msgrcv as (i32, UserPtr<i64>, usize, i64, u32);
    now MSGCTL = msgctl as (i32, i32, u64);
};

fn shmget(task: &Arc<Task>, key: i32, size: u64, flags: u32) -> SysResult<i32> {
    Ok(task.ipc()?.shmget(task, key, size, flags)?)
}

fn shmat(task: &Arc<Task>, id: i32, addr: u64, flags: u32) -> SysResult<u64> {
    Ok(task.ipc()?.shmat(task, id, addr, flags)?)
}

fn shmdt(task: &Arc<Task>, addr: u64) -> SysResult<()> {
    Ok(task.shmdt(addr)?)
}

/// The object that a `*_STAT` command means, and what the call returns: the identifier for those that name an index.
fn to_stat<T: Object>(table: &Table<T>, id: i32, by_index: bool) -> Result<(Arc<T>, i32), Errno> {
    let object = if by_index { table.at(id)? } else { table.get(id)? };
    let answer = if by_index { object.header().id } else { 0 };
    Ok((object, answer))
}

fn shmctl(task: &Arc<Task>, id: i32, cmd: i32, buf: u64) -> SysResult<i32> {
    let (ns, mm, cred) = (task.ipc()?, task.mm()?, task.cred());
    let cmd = cmd & !IPC_64;
    if id < 0 {
        return Err(Errno::EINVAL.into());
    }
    match cmd {
        IPC_INFO => {
            let info = Shminfo {
                shmmax: SHMMAX,
                shmmin: SHMMIN,
                shmmni: SHMMNI as u64,
                shmseg: SHMMNI as u64,
                shmall: SHMALL,
                ..Shminfo::default()
            };
            UserPtr::from(buf).write(&*mm, &info)?;
            Ok(ns.shm.lock().highest())
        }
        SHM_INFO => {
            let (all, highest) = {
                let table = ns.shm.lock();
                (table.all(), table.highest())
            };
            let info = ShmInfo {
                used_ids: all.len() as i32,
                shm_tot: all.iter().map(|s| s.size.div_ceil(PAGE_SIZE)).sum(),
                shm_rss: all.iter().map(|s| s.resident() / PAGE_SIZE).sum(),
                ..ShmInfo::default()
            };
            UserPtr::from(buf).write(&*mm, &info)?;
            Ok(highest)
        }
        IPC_STAT | SHM_STAT | SHM_STAT_ANY => {
            let (segment, answer) = to_stat(&*ns.shm.lock(), id, cmd != IPC_STAT)?;
            if cmd != SHM_STAT_ANY {
                segment.state.lock().perm.check(&cred, &ns.user_ns, kernel::ipc::READ)?;
            }
            UserPtr::from(buf).write(&*mm, &segment.stat(&cred.user_ns))?;
            Ok(answer)
        }
        IPC_SET => {
            let new = UserPtr::<ShmidDs>::from(buf).read(&*mm)?.shm_perm;
            let segment = ns.shm.lock().get(id)?;
            let mut state = segment.state.lock();
            state.perm.check_owner(&cred, &ns.user_ns)?;
            state.perm.set(&cred, &new)?;
            state.ctime = kernel::ipc::now();
            Ok(0)
        }
        IPC_RMID => {
            let segment = ns.shm.lock().get(id)?;
            segment.state.lock().perm.check_owner(&cred, &ns.user_ns)?;
            segment.remove();
            Ok(0)
        }
        SHM_LOCK | SHM_UNLOCK => {
            let segment = ns.shm.lock().get(id)?;
            let mut state = segment.state.lock();
            if !cred.has_cap_in(&ns.user_ns, Cap::IPC_LOCK) {
                state.perm.check_owner(&cred, &ns.user_ns)?;
            }
            state.perm.mode &= !SHM_LOCKED;
            if cmd == SHM_LOCK {
                state.perm.mode |= SHM_LOCKED;
            }
            Ok(0)
        }
        _ => Err(Errno::EINVAL.into()),
    }
}

fn semget(task: &Arc<Task>, key: i32, count: i32, flags: u32) -> SysResult<i32> {
    Ok(task.ipc()?.semget(task, key, count, flags)?)
}

async fn semop(task: &Arc<Task>, id: i32, ops: UserPtr<Sembuf>, count: usize) -> SysResult<()> {
    semtimedop(task, id, ops, count, 0.into()).await
}

async fn semtimedop(
    task: &Arc<Task>,
    id: i32,
    ops: UserPtr<Sembuf>,
    count: usize,
    timeout: UserPtr<Timespec>,
) -> SysResult<()> {
    let (ns, mm) = (task.ipc()?, task.mm()?);
    let timeout = timeout.non_null().map(|t| t.read(&*mm)?.to_duration_ns()).transpose()?;
    if count == 0 || id < 0 {
        return Err(Errno::EINVAL.into());
    }
    if count > SEMOPM {
        return Err(Errno::E2BIG.into());
    }
    let ops = ops.read_array(&*mm, count)?;
    let deadline = timeout.map(|ns| task.kernel.monotonic_ns().saturating_add(ns));
    ns.semop(task, id, &ops, deadline).await
}

fn sem_info(ns: &IpcNamespace, used: bool) -> (Seminfo, i32) {
    let (all, highest) = {
        let table = ns.sem.lock();
        (table.all(), table.highest())
    };
    let mut info = Seminfo {
        semmap: SEMMNS as i32,
        semmni: SEMMNI as i32,
        semmns: SEMMNS as i32,
        semmnu: SEMMNS as i32,
        semmsl: SEMMSL as i32,
        semopm: SEMOPM as i32,
        semume: SEMOPM as i32,
        semusz: 20,
        semvmx: SEMVMX,
        semaem: SEMAEM,
    };
    if used {
        info.semusz = all.len() as i32;
        info.semaem = all.iter().map(|s| s.state.lock().sems.len() as i32).sum();
    }
    (info, highest)
}

fn semctl(task: &Arc<Task>, id: i32, num: i32, cmd: i32, arg: u64) -> SysResult<i32> {
    let (ns, mm, cred) = (task.ipc()?, task.mm()?, task.cred());
    let cmd = cmd & !IPC_64;
    if id < 0 {
        return Err(Errno::EINVAL.into());
    }
    match cmd {
        IPC_INFO | SEM_INFO => {
            let (info, highest) = sem_info(&ns, cmd == SEM_INFO);
            UserPtr::from(arg).write(&*mm, &info)?;
            return Ok(highest);
        }
        IPC_STAT | SEM_STAT | SEM_STAT_ANY => {
            let (set, answer) = to_stat(&*ns.sem.lock(), id, cmd != IPC_STAT)?;
            if cmd != SEM_STAT_ANY {
                set.state.lock().perm.check(&cred, &ns.user_ns, kernel::ipc::READ)?;
            }
            UserPtr::from(arg).write(&*mm, &set.stat(&cred.user_ns))?;
            return Ok(answer);
        }
        _ => {}
    }
    let set = ns.sem.lock().get(id)?;
    let check = |wanted: u32| set.state.lock().perm.check(&cred, &ns.user_ns, wanted);
    let count = set.state.lock().sems.len();
    let index = usize::try_from(num).ok().filter(|n| *n < count).ok_or(Errno::EINVAL);
    let value = |index: usize| set.state.lock().sems.get(index).copied().ok_or(Errno::EINVAL);
    match cmd {
        IPC_SET => {
            let new = UserPtr::<SemidDs>::from(arg).read(&*mm)?.sem_perm;
            let mut state = set.state.lock();
            state.perm.check_owner(&cred, &ns.user_ns)?;
            state.perm.set(&cred, &new)?;
            state.ctime = kernel::ipc::now();
        }
        IPC_RMID => {
            set.state.lock().perm.check_owner(&cred, &ns.user_ns)?;
            let gone = ns.sem.lock().remove(id);
            drop(gone);
            set.remove();
        }
        GETALL => {
            check(kernel::ipc::READ)?;
            let values: Vec<u8> =
                set.state.lock().sems.iter().flat_map(|s| (s.value as u16).to_le_bytes()).collect();
            mm.copy_out(UserAddr(arg), &values)?;
        }
        SETALL => {
            check(kernel::ipc::WRITE)?;
            let values = UserPtr::<u16>::from(arg).read_array(&*mm, count)?;
            let values: Vec<i32> = values.into_iter().map(i32::from).collect();
            set.set_values(task, 0, &values)?;
        }
        SETVAL => {
            let value = arg as i32;
            if !(0..=SEMVMX).contains(&value) {
                return Err(Errno::ERANGE.into());
            }
            let index = index?;
            check(kernel::ipc::WRITE)?;
            set.set_values(task, index, &[value])?;
        }
        GETVAL | GETPID | GETNCNT | GETZCNT => {
            check(kernel::ipc::READ)?;
            let index = index?;
            return Ok(match cmd {
                GETVAL => value(index)?.value,
                GETPID => value(index)?.pid as i32,
                _ => set.waiters(index as u16, cmd == GETZCNT) as i32,
            });
        }
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}

fn msgget(task: &Arc<Task>, key: i32, flags: u32) -> SysResult<i32> {
    Ok(task.ipc()?.msgget(task, key, flags)?)
}

async fn msgsnd(task: &Arc<Task>, id: i32, from: UserPtr<i64>, size: usize, flags: u32) -> SysResult<()> {
    let (ns, mm) = (task.ipc()?, task.mm()?);
    let kind = from.read(&*mm)?;
    if size > MSGMAX || id < 0 || kind < 1 {
        return Err(Errno::EINVAL.into());
    }
    let mut text = vec![0; size];
    mm.copy_in(from.at(1)?.addr(), &mut text)?;
    ns.msgsnd(task, id, Message { kind, text }, flags).await
}

async fn msgrcv(
    task: &Arc<Task>,
    id: i32,
    to: UserPtr<i64>,
    size: usize,
    kind: i64,
    flags: u32,
) -> SysResult<usize> {
    let ns = task.ipc()?;
    let message = ns.msgrcv(task, id, size, kind, flags).await?;
    let mm = task.mm()?;
    let text = message.text.get(..size.min(message.text.len())).unwrap_or_default();
    to.write(&*mm, &message.kind)?;
    mm.copy_out(to.at(1)?.addr(), text)?;
    Ok(text.len())
}

fn msg_info(ns: &IpcNamespace, used: bool) -> (Msginfo, i32) {
    let (all, highest) = {
        let table = ns.msg.lock();
        (table.all(), table.highest())
    };
    let mut info = Msginfo {
        msgpool: (MSGMNI * MSGMNB / 1024) as i32,
        msgmap: MSGMNB as i32,
        msgmax: MSGMAX as i32,
        msgmnb: MSGMNB as i32,
        msgmni: MSGMNI as i32,
        msgssz: 16,
        msgtql: MSGMNB as i32,
        msgseg: 0xffff,
        ..Msginfo::default()
    };
    if used {
        let stats: Vec<_> = all.iter().map(|q| q.stat(&ns.user_ns)).collect();
        info.msgpool = all.len() as i32;
        info.msgmap = stats.iter().map(|s| s.msg_qnum as i32).sum();
        info.msgtql = stats.iter().map(|s| s.msg_cbytes as i32).sum();
    }
    (info, highest)
}

fn msgctl(task: &Arc<Task>, id: i32, cmd: i32, buf: u64) -> SysResult<i32> {
    let (ns, mm, cred) = (task.ipc()?, task.mm()?, task.cred());
    let cmd = cmd & !IPC_64;
    if id < 0 {
        return Err(Errno::EINVAL.into());
    }
    match cmd {
        IPC_INFO | MSG_INFO => {
            let (info, highest) = msg_info(&ns, cmd == MSG_INFO);
            UserPtr::from(buf).write(&*mm, &info)?;
            Ok(highest)
        }
        IPC_STAT | MSG_STAT | MSG_STAT_ANY => {
            let (queue, answer) = to_stat(&*ns.msg.lock(), id, cmd != IPC_STAT)?;
            if cmd != MSG_STAT_ANY {
                queue.state.lock().perm.check(&cred, &ns.user_ns, kernel::ipc::READ)?;
            }
            UserPtr::from(buf).write(&*mm, &queue.stat(&cred.user_ns))?;
            Ok(answer)
        }
        IPC_SET => {
            let new = UserPtr::<MsqidDs>::from(buf).read(&*mm)?;
            let queue = ns.msg.lock().get(id)?;
            {
                let mut state = queue.state.lock();
                state.perm.check_owner(&cred, &ns.user_ns)?;
                let limit = usize::try_from(new.msg_qbytes).map_err(|_| Errno::EINVAL)?;
                if limit > MSGMNB && !cred.has_cap(Cap::SYS_RESOURCE) {
                    return Err(Errno::EPERM.into());
                }
                state.perm.set(&cred, &new.msg_perm)?;
                state.limit = limit;
                state.ctime = kernel::ipc::now();
            }
            queue.changed.notify(ksync::Ready::OTHER);
            Ok(0)
        }
        IPC_RMID => {
            let queue = ns.msg.lock().get(id)?;
            queue.state.lock().perm.check_owner(&cred, &ns.user_ns)?;
            let gone = ns.msg.lock().remove(id);
            drop(gone);
            queue.remove();
            Ok(0)
        }
        _ => Err(Errno::EINVAL.into()),
    }
}
