//! Scheduling: `sched_setaffinity(2)`, `nice(2)`, `membarrier(2)`.

use crate::{row::Row, rows};
use abi::{
    Errno, Timespec,
    limits::PAGE_SIZE_USIZE,
    process::{
        Cap, IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE, IOPRIO_CLASS_NONE, IOPRIO_CLASS_RT, IOPRIO_CLASS_SHIFT,
        IOPRIO_NR_LEVELS, IOPRIO_WHO_PGRP, IOPRIO_WHO_PROCESS, IOPRIO_WHO_USER, MAX_NICE, MIN_NICE,
        PRIO_PGRP, PRIO_PROCESS, PRIO_USER, Resource,
    },
    sched::*,
};
use kernel::{SysResult, Task, task::Attributes};
use mem::{UserAddr, UserMemoryExt, UserPtr};
use std::sync::{Arc, atomic::Ordering};

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    later SCHED_YIELD = sched_yield as ();
    now SCHED_SETSCHEDULER = sched_setscheduler as (i32, i32, UserPtr<SchedParam>) partial "policies are remembered and have no effect";
    now SCHED_GETSCHEDULER = sched_getscheduler as (i32);
    now SCHED_SETPARAM = sched_setparam as (i32, UserPtr<SchedParam>) partial "priorities are remembered and have no effect";
    now SCHED_GETPARAM = sched_getparam as (i32, UserPtr<SchedParam>);
    now SCHED_SETATTR = sched_setattr as (i32, UserAddr, u32) partial "no SCHED_DEADLINE (EINVAL); the rest is remembered and has no effect";
    now SCHED_GETATTR = sched_getattr as (i32, UserAddr, u32, u32);
    now SCHED_GET_PRIORITY_MAX = sched_get_priority_max as (i32);
    now SCHED_GET_PRIORITY_MIN = sched_get_priority_min as (i32);
    now SCHED_RR_GET_INTERVAL = sched_rr_get_interval as (i32, UserPtr<Timespec>);
    now SCHED_SETAFFINITY = sched_setaffinity as (i32, u32, UserAddr) partial "masks are remembered and have no effect";
    now SCHED_GETAFFINITY = sched_getaffinity as (i32, u32, UserAddr);
    now GETPRIORITY = getpriority as (i32, i32);
    now SETPRIORITY = setpriority as (i32, i32, i32) partial "nice values are remembered and have no effect";
    now IOPRIO_GET = ioprio_get as (i32, i32);
    now IOPRIO_SET = ioprio_set as (i32, i32, u32) partial "remembered, without effect";
    later MEMBARRIER = membarrier as (i32, u32, i32) partial "no MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ";
};

async fn sched_yield(_: &Arc<Task>) -> SysResult<()> {
    ksync::exec::yield_now().await;
    Ok(())
}

/// The thread `pid`, 0 for the caller; `EINVAL` for negative numbers, `ESRCH`.
fn target(task: &Arc<Task>, pid: i32) -> Result<Arc<Task>, Errno> {
    if pid < 0 { Err(Errno::EINVAL) } else { task.find_thread_or_self(pid) }
}

/// The priorities that a policy has; `EINVAL` for what is no policy.
fn priorities(policy: i32) -> Result<(i32, i32), Errno> {
    match policy {
        SCHED_FIFO | SCHED_RR => Ok((SCHED_RT_PRIO_MIN, SCHED_RT_PRIO_MAX)),
        SCHED_NORMAL | SCHED_BATCH | SCHED_IDLE | SCHED_DEADLINE | SCHED_EXT => Ok((0, 0)),
        _ => Err(Errno::EINVAL),
    }
}

/// What is asked for.
#[derive(Clone, Copy)]
struct Wanted {
    policy: i32,
    priority: i32,
    nice: Option<i32>,
    reset_on_fork: bool,
}

/// Sets policy and priority (Linux: `__sched_setscheduler` and `user_check_sched_setscheduler`).
fn set(task: &Arc<Task>, target: &Arc<Task>, wanted: Wanted) -> Result<(), Errno> {
    let (low, high) = priorities(wanted.policy)?;
    // Deadlines and schedulers of applications are not kept.
    if matches!(wanted.policy, SCHED_DEADLINE | SCHED_EXT) || !(low..=high).contains(&wanted.priority) {
        return Err(Errno::EINVAL);
    }
    let (mine, theirs) = (task.cred(), target.cred());
    let trusted = mine.has_cap_in(&theirs.user_ns, Cap::SYS_NICE);
    let (nice_limit, rt_limit) = {
        let limits = target.group.limits.lock();
        (limits.soft(Resource::Nice), limits.soft(Resource::Rtprio))
    };
    let mut attributes = target.attributes.lock();
    if !trusted {
        let real_time = high > 0;
        let gains_rt = real_time
            && (rt_limit == 0 && attributes.policy != wanted.policy
                || wanted.priority > attributes.rt_priority && wanted.priority as u64 > rt_limit);
        let gains_nice =
            wanted.nice.is_some_and(|nice| nice < attributes.nice && !nice_allowed(nice, nice_limit));
        let leaves_idle = attributes.policy == SCHED_IDLE
            && wanted.policy != SCHED_IDLE
            && !nice_allowed(attributes.nice, nice_limit);
        let not_mine = mine.euid != theirs.euid && mine.euid != theirs.ruid;
        let forgets_reset = attributes.reset_on_fork && !wanted.reset_on_fork;
        if gains_rt || gains_nice || leaves_idle || not_mine || forgets_reset {
            return Err(Errno::EPERM);
        }
    }
    (attributes.policy, attributes.rt_priority) = (wanted.policy, wanted.priority);
    attributes.reset_on_fork = wanted.reset_on_fork;
    if let Some(nice) = wanted.nice {
        attributes.set_nice(nice);
    }
    Ok(())
}

/// `RLIMIT_NICE` counts from 1 (nice 19) to 40 (nice -20).
fn nice_allowed(nice: i32, limit: u64) -> bool {
    (20 - nice) as u64 <= limit
}

fn sched_setscheduler(task: &Arc<Task>, pid: i32, policy: i32, param: UserPtr<SchedParam>) -> SysResult<()> {
    if policy < 0 || param.is_null() {
        return Err(Errno::EINVAL.into());
    }
    let priority = param.read(&*task.mm()?)?.sched_priority;
    let target = target(task, pid)?;
    let reset_on_fork = policy & SCHED_RESET_ON_FORK != 0;
    let wanted = Wanted { policy: policy & !SCHED_RESET_ON_FORK, priority, nice: None, reset_on_fork };
    Ok(set(task, &target, wanted)?)
}

fn sched_setparam(task: &Arc<Task>, pid: i32, param: UserPtr<SchedParam>) -> SysResult<()> {
    if param.is_null() {
        return Err(Errno::EINVAL.into());
    }
    let priority = param.read(&*task.mm()?)?.sched_priority;
    let target = target(task, pid)?;
    let (policy, reset_on_fork) = {
        let attributes = target.attributes.lock();
        (attributes.policy, attributes.reset_on_fork)
    };
    Ok(set(task, &target, Wanted { policy, priority, nice: None, reset_on_fork })?)
}

fn sched_getscheduler(task: &Arc<Task>, pid: i32) -> SysResult<i32> {
    let target = target(task, pid)?;
    let attributes = target.attributes.lock();
    Ok(attributes.policy | if attributes.reset_on_fork { SCHED_RESET_ON_FORK } else { 0 })
}

fn sched_getparam(task: &Arc<Task>, pid: i32, to: UserPtr<SchedParam>) -> SysResult<()> {
    if to.is_null() {
        return Err(Errno::EINVAL.into());
    }
    let sched_priority = target(task, pid)?.attributes.lock().rt_priority;
    Ok(to.write(&*task.mm()?, &SchedParam { sched_priority })?)
}

fn sched_setattr(task: &Arc<Task>, pid: i32, from: UserAddr, flags: u32) -> SysResult<()> {
    if from.is_null() || flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let mm = task.mm()?;
    let size_at = UserPtr::<u32>::from(from.0);
    let too_big = || -> Errno { size_at.write(&*mm, &SCHED_ATTR_SIZE_VER1).err().unwrap_or(Errno::E2BIG) };
    let size = match size_at.read(&*mm)? {
        0 => SCHED_ATTR_SIZE_VER0 as usize,
        size => size as usize,
    };
    if !(SCHED_ATTR_SIZE_VER0 as usize..=PAGE_SIZE_USIZE).contains(&size) {
        return Err(too_big().into());
    }
    let mut bytes = vec![0; size.max(SchedAttr::SIZE)];
    mm.copy_in(from, bytes.get_mut(..size).unwrap_or_default())?;
    if bytes.iter().skip(SchedAttr::SIZE).any(|b| *b != 0) {
        return Err(too_big().into());
    }
    let known = bytes.get(..SchedAttr::SIZE).unwrap_or_default();
    let attr = <SchedAttr as zerocopy::FromBytes>::read_from_bytes(known).map_err(|_| Errno::EINVAL)?;
    let flags = SchedFlags::from_bits(attr.sched_flags).ok_or(Errno::EINVAL)?;
    let clamps = flags.intersects(SchedFlags::UTIL_CLAMP_MIN | SchedFlags::UTIL_CLAMP_MAX);
    if clamps {
        return Err(Errno::EOPNOTSUPP.into()); // as a kernel without CONFIG_UCLAMP_TASK
    }
    let target = target(task, pid)?;
    let current = target.attributes.lock().clone();
    let mut wanted = Wanted {
        policy: i32::try_from(attr.sched_policy).map_err(|_| Errno::EINVAL)?,
        priority: i32::try_from(attr.sched_priority).map_err(|_| Errno::EINVAL)?,
        nice: Some(attr.sched_nice.clamp(MIN_NICE, MAX_NICE)),
        reset_on_fork: flags.contains(SchedFlags::RESET_ON_FORK),
    };
    if flags.contains(SchedFlags::KEEP_POLICY) {
        wanted.policy = current.policy;
    }
    if flags.contains(SchedFlags::KEEP_PARAMS) {
        (wanted.priority, wanted.nice) = (current.rt_priority, Some(current.nice));
    }
    if !matches!(wanted.policy, SCHED_NORMAL | SCHED_BATCH) {
        wanted.nice = None;
    }
    Ok(set(task, &target, wanted)?)
}

fn sched_getattr(task: &Arc<Task>, pid: i32, to: UserAddr, size: u32, flags: u32) -> SysResult<()> {
    let size = size as usize;
    let sizes = SCHED_ATTR_SIZE_VER0 as usize..=PAGE_SIZE_USIZE;
    if to.is_null() || flags != 0 || !sizes.contains(&size) {
        return Err(Errno::EINVAL.into());
    }
    let Attributes { policy, rt_priority, nice, reset_on_fork, timer_slack_ns: _, .. } =
        target(task, pid)?.attributes.lock().clone();
    let fair = matches!(policy, SCHED_NORMAL | SCHED_BATCH);
    let known = size.min(SchedAttr::SIZE);
    let attr = SchedAttr {
        size: known as u32,
        sched_policy: policy as u32,
        sched_flags: if reset_on_fork { SchedFlags::RESET_ON_FORK.bits() } else { 0 },
        sched_nice: if fair { nice } else { 0 },
        sched_priority: rt_priority as u32,
        sched_util_max: 1024,
        ..SchedAttr::default()
    };
    let mm = task.mm()?;
    let bytes = zerocopy::IntoBytes::as_bytes(&attr);
    mm.copy_out(to, bytes.get(..known).unwrap_or_default())?;
    Ok(mm.zero(to.add(known as u64)?, size - known)?)
}

fn sched_get_priority_max(_: &Arc<Task>, policy: i32) -> SysResult<i32> {
    Ok(priorities(policy)?.1)
}

fn sched_get_priority_min(_: &Arc<Task>, policy: i32) -> SysResult<i32> {
    Ok(priorities(policy)?.0)
}

fn sched_rr_get_interval(task: &Arc<Task>, pid: i32, to: UserPtr<Timespec>) -> SysResult<()> {
    let policy = target(task, pid)?.attributes.lock().policy;
    let slice = match policy {
        SCHED_RR => RR_TIMESLICE_NS,
        SCHED_FIFO => 0,
        _ => 4_000_000,
    };
    Ok(to.write(&*task.mm()?, &Timespec::from_ns(slice))?)
}

fn sched_setaffinity(task: &Arc<Task>, pid: i32, size: u32, from: UserAddr) -> SysResult<()> {
    let cpus = task.kernel.cpus.max(1);
    // Longer masks are cut, shorter ones filled up with zeros.
    let words = cpus.div_ceil(64);
    let mut bytes = vec![0; words * 8];
    let given = usize::try_from(size).map_or(bytes.len(), |size| size.min(bytes.len()));
    task.mm()?.copy_in(from, bytes.get_mut(..given).unwrap_or_default())?;
    let target = task.find_thread_or_self(pid)?;
    let (mine, theirs) = (task.cred(), target.cred());
    let same = mine.euid == theirs.euid || mine.euid == theirs.ruid;
    if !same && !mine.has_cap_in(&theirs.user_ns, Cap::SYS_NICE) {
        return Err(Errno::EPERM.into());
    }
    let word = |b: &[u8]| b.try_into().map(u64::from_le_bytes).unwrap_or(0);
    let mask: Vec<u64> = bytes.chunks(8).map(word).collect();
    let all = Attributes::default().cpus(cpus);
    if mask.iter().zip(&all).all(|(mask, all)| mask & all == 0) {
        return Err(Errno::EINVAL.into());
    }
    target.attributes.lock().affinity = mask;
    Ok(())
}

fn sched_getaffinity(task: &Arc<Task>, pid: i32, size: u32, to: UserAddr) -> SysResult<usize> {
    let cpus = task.kernel.cpus.max(1);
    // As on Linux, the number of bits may wrap.
    let bits = usize::try_from(size.wrapping_mul(8)).unwrap_or(usize::MAX);
    if bits < cpus || !size.is_multiple_of(8) {
        return Err(Errno::EINVAL.into());
    }
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mask = task.find_thread_or_self(pid)?.attributes.lock().cpus(cpus);
    let bytes: Vec<u8> = mask.iter().flat_map(|word| word.to_le_bytes()).collect();
    let len = bytes.len().min(size);
    task.mm()?.copy_out(to, bytes.get(..len).unwrap_or_default())?;
    Ok(len)
}

/// Whom `which` and `who` of `setpriority(2)` and `ioprio_set(2)` mean; none for what is no kind.
#[derive(Clone, Copy)]
enum Whom {
    Thread,
    Group,
    User,
}

fn threads(task: &Arc<Task>, whom: Whom, who: i32) -> Result<Vec<Arc<Task>>, Errno> {
    let found: Vec<_> = match whom {
        Whom::Thread => task.find_thread_or_self(who).into_iter().collect(),
        Whom::Group => {
            let pgid = match who {
                0 => task.group_and_session().0,
                _ => task.root_number(who)?,
            };
            let members = task.kernel.tree.lock().members(pgid);
            members.iter().flat_map(|g| g.signals.lock().live().collect::<Vec<_>>()).collect()
        }
        Whom::User => {
            let cred = task.cred();
            let uid = match who {
                0 => cred.ruid,
                _ => cred.user_ns.uid(who as u32).ok_or(Errno::EINVAL)?,
            };
            let ns = task.pid_namespace();
            let mut all = task.kernel.tasks();
            all.retain(|t| t.cred().ruid == uid && t.pid().number_in(&ns).is_some());
            all
        }
    };
    if found.is_empty() { Err(Errno::ESRCH) } else { Ok(found) }
}

fn priority_whom(which: i32) -> Result<Whom, Errno> {
    Ok(match which {
        PRIO_PROCESS => Whom::Thread,
        PRIO_PGRP => Whom::Group,
        PRIO_USER => Whom::User,
        _ => return Err(Errno::EINVAL),
    })
}

/// As the kernel gives it: 1 to 40, higher is better, so that no value looks like an error.
fn getpriority(task: &Arc<Task>, which: i32, who: i32) -> SysResult<i32> {
    let threads = threads(task, priority_whom(which)?, who)?;
    Ok(threads.iter().map(|t| 20 - t.attributes.lock().nice).max().unwrap_or(20))
}

fn setpriority(task: &Arc<Task>, which: i32, who: i32, nice: i32) -> SysResult<()> {
    let nice = nice.clamp(MIN_NICE, MAX_NICE);
    let mine = task.cred();
    let mut result = Ok(());
    for target in threads(task, priority_whom(which)?, who)? {
        let theirs = target.cred();
        let trusted = mine.has_cap_in(&theirs.user_ns, Cap::SYS_NICE);
        if mine.euid != theirs.ruid && mine.euid != theirs.euid && !trusted {
            result = Err(Errno::EPERM.into());
            continue;
        }
        let limit = target.group.limits.lock().soft(Resource::Nice);
        let mut attributes = target.attributes.lock();
        if nice < attributes.nice && !trusted && !nice_allowed(nice, limit) {
            result = Err(Errno::EACCES.into());
            continue;
        }
        attributes.set_nice(nice);
    }
    result
}

fn ioprio_whom(which: i32) -> Result<Whom, Errno> {
    Ok(match which {
        IOPRIO_WHO_PROCESS => Whom::Thread,
        IOPRIO_WHO_PGRP => Whom::Group,
        IOPRIO_WHO_USER => Whom::User,
        _ => return Err(Errno::EINVAL),
    })
}

fn ioprio_get(task: &Arc<Task>, which: i32, who: i32) -> SysResult<u32> {
    let threads = threads(task, ioprio_whom(which)?, who)?;
    // The best one: lower numbers are better, and none is the best-effort class' middle.
    let value = |t: &Arc<Task>| {
        let attributes = t.attributes.lock();
        match attributes.ioprio {
            0 => IOPRIO_CLASS_BE << IOPRIO_CLASS_SHIFT | ((attributes.nice + 20) / 5) as u32,
            set => set,
        }
    };
    // Linux shows the caller's own unset priority as none.
    if let [only] = threads.as_slice() {
        return Ok(only.attributes.lock().ioprio);
    }
    Ok(threads.iter().map(value).min().unwrap_or(0))
}

fn ioprio_set(task: &Arc<Task>, which: i32, who: i32, priority: u32) -> SysResult<()> {
    let (class, level) = (priority >> IOPRIO_CLASS_SHIFT, priority & (IOPRIO_NR_LEVELS - 1));
    let mine = task.cred();
    match class {
        IOPRIO_CLASS_RT if !mine.has_cap(Cap::SYS_ADMIN) && !mine.has_cap(Cap::SYS_NICE) => {
            return Err(Errno::EPERM.into());
        }
        IOPRIO_CLASS_RT | IOPRIO_CLASS_BE | IOPRIO_CLASS_IDLE => {}
        IOPRIO_CLASS_NONE if level == 0 => {}
        _ => return Err(Errno::EINVAL.into()),
    }
    for target in threads(task, ioprio_whom(which)?, who)? {
        let theirs = target.cred();
        if theirs.ruid != mine.euid && theirs.ruid != mine.ruid && !mine.has_cap(Cap::SYS_NICE) {
            return Err(Errno::EPERM.into());
        }
        target.attributes.lock().ioprio = priority;
    }
    Ok(())
}

/// Commands that need a registration, and the registration.
const EXPEDITED: &[(i32, i32)] = &[
    (MEMBARRIER_CMD_PRIVATE_EXPEDITED, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED),
    (MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE),
];
const COMMANDS: i32 = MEMBARRIER_CMD_GLOBAL
    | MEMBARRIER_CMD_GLOBAL_EXPEDITED
    | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED
    | MEMBARRIER_CMD_PRIVATE_EXPEDITED
    | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED
    | MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE
    | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE
    | MEMBARRIER_CMD_GET_REGISTRATIONS;

async fn membarrier(task: &Arc<Task>, command: i32, flags: u32, _cpu: i32) -> SysResult<i32> {
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let registered = &task.group.barriers;
    match command {
        MEMBARRIER_CMD_QUERY => return Ok(COMMANDS),
        MEMBARRIER_CMD_GET_REGISTRATIONS => return Ok(registered.load(Ordering::SeqCst) as i32),
        MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED
        | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED
        | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE => {
            registered.fetch_or(command as u32, Ordering::SeqCst);
            return Ok(0);
        }
        MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED => {
            let all = task.kernel.tasks();
            task.interrupt_and_wait(&all).await?;
            return Ok(0);
        }
        _ => {}
    }
    let needed = EXPEDITED.iter().find(|(c, _)| *c == command).ok_or(Errno::EINVAL)?.1;
    if registered.load(Ordering::SeqCst) & needed as u32 == 0 {
        return Err(Errno::EPERM.into());
    }
    let threads: Vec<_> = task.group.signals.lock().live().collect();
    task.interrupt_and_wait(&threads).await?;
    Ok(0)
}
