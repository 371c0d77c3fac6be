//! Time: clocks, sleeping, interval and POSIX timers.

use crate::{row::Row, rows};
use abi::{
    Errno, Rusage, Timespec, Timeval,
    process::{RUSAGE_CHILDREN, RUSAGE_SELF, RUSAGE_THREAD},
    signal::SigEvent,
    time::*,
};
use kernel::{
    Restart, SysError, SysResult, Task,
    task::{RestartBlock, Wait},
    time::{
        clock::{Clock, realtime_ns},
        timers::Setting,
    },
};
use mem::UserPtr;
use std::sync::{Arc, atomic::Ordering};

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    now CLOCK_GETTIME = clock_gettime as (i32, UserPtr<Timespec>);
    now CLOCK_GETRES = clock_getres as (i32, UserPtr<Timespec>);
    now CLOCK_SETTIME = clock_settime as (i32, UserPtr<Timespec>) partial "the host's clocks are not to be set: EPERM";
    later CLOCK_NANOSLEEP = clock_nanosleep as (i32, u32, UserPtr<Timespec>, UserPtr<Timespec>);
    later NANOSLEEP = nanosleep as (UserPtr<Timespec>, UserPtr<Timespec>);
    now GETTIMEOFDAY = gettimeofday as (UserPtr<Timeval>, UserPtr<Timezone>);
    now SETTIMEOFDAY = settimeofday as (UserPtr<Timeval>, UserPtr<Timezone>) partial "the host's clocks are not to be set: EPERM";
    now TIME = time as (UserPtr<i64>);
    now TIMES = times as (UserPtr<Tms>);
    now GETITIMER = getitimer as (i32, UserPtr<Itimerval>);
    now SETITIMER = setitimer as (i32, UserPtr<Itimerval>, UserPtr<Itimerval>);
    now ALARM = alarm as (u32);
    now TIMER_CREATE = timer_create as (i32, UserPtr<SigEvent>, UserPtr<i32>);
    now TIMER_SETTIME = timer_settime as (i32, u32, UserPtr<Itimerspec>, UserPtr<Itimerspec>);
    now TIMER_GETTIME = timer_gettime as (i32, UserPtr<Itimerspec>);
    now TIMER_GETOVERRUN = timer_getoverrun as (i32);
    now TIMER_DELETE = timer_delete as (i32);
    now ADJTIMEX = adjtimex as (UserPtr<Timex>) partial "reads; changes are EPERM";
    now CLOCK_ADJTIME = clock_adjtime as (i32, UserPtr<Timex>) partial "reads; changes are EPERM";
    now GETRUSAGE = getrusage as (i32, UserPtr<Rusage>) partial "faults of memory that was there already are estimated; no counts of input and output";
};

fn clock_gettime(task: &Arc<Task>, id: i32, to: UserPtr<Timespec>) -> SysResult<()> {
    let now = Clock::find(task, id)?.now_ns();
    Ok(to.write(&*task.mm()?, &Timespec::from_ns(now))?)
}

fn clock_getres(task: &Arc<Task>, id: i32, to: UserPtr<Timespec>) -> SysResult<()> {
    let resolution = Clock::find(task, id)?.resolution_ns();
    Ok(to.write_opt(&*task.mm()?, &Timespec::from_ns(resolution))?)
}

fn clock_settime(task: &Arc<Task>, id: i32, from: UserPtr<Timespec>) -> SysResult<()> {
    // Only the real-time clock can be set at all.
    if id != CLOCK_REALTIME {
        return Err(Errno::EINVAL.into());
    }
    from.read(&*task.mm()?)?.to_duration_ns()?;
    Err(Errno::EPERM.into())
}

/// Sleeps to a monotonic deadline; `rem`, if not null, gets what is left where a signal comes first.
pub(crate) async fn sleep_until(task: &Arc<Task>, deadline_ns: u64, rem: UserPtr<Timespec>) -> SysResult<()> {
    match task.block_on(Wait::until(Some(deadline_ns)), || Err::<(), _>(Errno::EAGAIN)).await {
        Ok(()) | Err(SysError::Errno(Errno::ETIMEDOUT)) => Ok(()),
        Err(SysError::Interrupted(_)) => {
            let left = deadline_ns.saturating_sub(task.kernel.monotonic_ns());
            if left == 0 {
                return Ok(());
            }
            rem.write_opt(&*task.mm()?, &Timespec::from_ns(left))?;
            let rem = rem.addr().0;
            task.state.lock().restart_block = Some(RestartBlock::Sleep { deadline_ns, rem });
            Err(SysError::Interrupted(Restart::Block))
        }
        Err(e) => Err(e),
    }
}

/// Sleeps until a clock of CPU time says `at_ns`.
async fn sleep_cpu_time(task: &Arc<Task>, clock: &Clock, at_ns: u64) -> SysResult<()> {
    loop {
        let left = at_ns.saturating_sub(clock.now_ns());
        if left == 0 {
            return Ok(());
        }
        // All threads of a process together may use as many CPUs as there are.
        let soonest = (left / task.kernel.cpus.max(1) as u64).max(1_000_000);
        let deadline = task.kernel.monotonic_ns().saturating_add(soonest);
        match task.block_on(Wait::until(Some(deadline)), || Err::<(), _>(Errno::EAGAIN)).await {
            Err(SysError::Errno(Errno::ETIMEDOUT)) => {}
            other => return other,
        }
    }
}

async fn clock_nanosleep(
    task: &Arc<Task>,
    id: i32,
    flags: u32,
    request: UserPtr<Timespec>,
    rem: UserPtr<Timespec>,
) -> SysResult<()> {
    let clock = Clock::find(task, id)?;
    match &clock {
        Clock::System(CLOCK_MONOTONIC_RAW | CLOCK_MONOTONIC_COARSE | CLOCK_REALTIME_COARSE) => {
            return Err(Errno::EOPNOTSUPP.into());
        }
        Clock::Thread(..) => return Err(Errno::EOPNOTSUPP.into()),
        Clock::System(CLOCK_REALTIME_ALARM | CLOCK_BOOTTIME_ALARM)
            if !task.cred().has_cap_in(&task.kernel.root_user_ns, abi::Cap::WAKE_ALARM) =>
        {
            return Err(Errno::EPERM.into());
        }
        _ => {}
    }
    let ns = request.read(&*task.mm()?)?.to_duration_ns()?;
    let absolute = flags & TIMER_ABSTIME != 0;
    if clock.is_cpu_time() {
        let at = if absolute { ns } else { clock.now_ns().saturating_add(ns) };
        let result = sleep_cpu_time(task, &clock, at).await.map_err(|e| e.restart_as(Restart::NoHandler));
        if result.is_err() && !absolute {
            let left = at.saturating_sub(clock.now_ns());
            rem.write_opt(&*task.mm()?, &Timespec::from_ns(left))?;
        }
        return result;
    }
    if absolute {
        let deadline = clock.deadline_of(&task.kernel, ns);
        let slept = task.block_on(Wait::until(Some(deadline)), || Err::<(), _>(Errno::EAGAIN)).await;
        return match slept {
            Err(SysError::Errno(Errno::ETIMEDOUT)) => Ok(()),
            other => other.map_err(|e| e.restart_as(Restart::NoHandler)),
        };
    }
    sleep_until(task, task.kernel.monotonic_ns().saturating_add(ns), rem).await
}

async fn nanosleep(task: &Arc<Task>, request: UserPtr<Timespec>, rem: UserPtr<Timespec>) -> SysResult<()> {
    let ns = request.read(&*task.mm()?)?.to_duration_ns()?;
    sleep_until(task, task.kernel.monotonic_ns().saturating_add(ns), rem).await
}

fn gettimeofday(task: &Arc<Task>, time: UserPtr<Timeval>, zone: UserPtr<Timezone>) -> SysResult<()> {
    let mm = task.mm()?;
    time.write_opt(&*mm, &Timeval::from_ns(realtime_ns()))?;
    Ok(zone.write_opt(&*mm, &Timezone::default())?)
}

fn settimeofday(task: &Arc<Task>, time: UserPtr<Timeval>, zone: UserPtr<Timezone>) -> SysResult<()> {
    let mm = task.mm()?;
    if let Some(time) = time.non_null() {
        time.read(&*mm)?.to_duration_ns()?;
    }
    if let Some(zone) = zone.non_null() {
        zone.read(&*mm)?;
    }
    Err(Errno::EPERM.into())
}

fn time(task: &Arc<Task>, to: UserPtr<i64>) -> SysResult<i64> {
    let now = Timespec::from_ns(realtime_ns()).tv_sec;
    to.write_opt(&*task.mm()?, &now)?;
    Ok(now)
}

const NS_PER_TICK: u64 = NSEC_PER_SEC as u64 / USER_HZ;

fn times(task: &Arc<Task>, to: UserPtr<Tms>) -> SysResult<u64> {
    let ticks = |ns: u64| (ns / NS_PER_TICK) as i64;
    let (user, system) = task.group.times_ns();
    let (children_user, children_system) = task.group.children_times_ns();
    let tms = Tms {
        tms_utime: ticks(user),
        tms_stime: ticks(system),
        tms_cutime: ticks(children_user),
        tms_cstime: ticks(children_system),
    };
    to.write_opt(&*task.mm()?, &tms)?;
    Ok(task.kernel.monotonic_ns() / NS_PER_TICK)
}

fn interval(setting: Setting) -> Itimerval {
    Itimerval {
        it_interval: Timeval::from_ns(setting.interval_ns),
        it_value: Timeval::from_ns_ceil(setting.value_ns),
    }
}

fn getitimer(task: &Arc<Task>, which: i32, to: UserPtr<Itimerval>) -> SysResult<()> {
    let setting = task.group.interval_timer(which)?;
    Ok(to.write(&*task.mm()?, &interval(setting))?)
}

fn setitimer(
    task: &Arc<Task>,
    which: i32,
    new: UserPtr<Itimerval>,
    old: UserPtr<Itimerval>,
) -> SysResult<()> {
    let mm = task.mm()?;
    let setting = match new.non_null() {
        Some(new) => {
            let new = new.read(&*mm)?;
            Setting {
                value_ns: new.it_value.to_duration_ns()?,
                interval_ns: new.it_interval.to_duration_ns()?,
            }
        }
        None => Setting::default(), // Linux takes it as "disarm" since ever
    };
    let before = task.group.set_interval_timer(which, setting)?;
    Ok(old.write_opt(&*mm, &interval(before))?)
}

fn alarm(task: &Arc<Task>, seconds: u32) -> SysResult<u64> {
    let second = NSEC_PER_SEC as u64;
    let setting = Setting { value_ns: u64::from(seconds) * second, interval_ns: 0 };
    let left = task.group.set_interval_timer(ITIMER_REAL, setting)?.value_ns;
    // Rounded to the nearest second, but something is left while it runs.
    let rounded = left.saturating_add(second / 2) / second;
    Ok(if left > 0 { rounded.max(1) } else { 0 })
}

fn timer_create(task: &Arc<Task>, clock: i32, event: UserPtr<SigEvent>, to: UserPtr<i32>) -> SysResult<()> {
    let mm = task.mm()?;
    let event = event.non_null().map(|e| e.read(&*mm)).transpose()?;
    if matches!(
        Clock::find(task, clock)?,
        Clock::System(CLOCK_MONOTONIC_RAW | CLOCK_REALTIME_COARSE | CLOCK_MONOTONIC_COARSE)
    ) {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let id = task.create_timer(clock, event)?;
    if let Err(e) = to.write(&*mm, &id) {
        task.delete_timer(id)?;
        return Err(e.into());
    }
    Ok(())
}

fn spec(setting: Setting) -> Itimerspec {
    Itimerspec {
        it_interval: Timespec::from_ns(setting.interval_ns),
        it_value: Timespec::from_ns(setting.value_ns),
    }
}

fn timer_settime(
    task: &Arc<Task>,
    id: i32,
    flags: u32,
    new: UserPtr<Itimerspec>,
    old: UserPtr<Itimerspec>,
) -> SysResult<()> {
    let mm = task.mm()?;
    let new = new.non_null().ok_or(Errno::EINVAL)?.read(&*mm)?;
    let setting =
        Setting { value_ns: new.it_value.to_duration_ns()?, interval_ns: new.it_interval.to_duration_ns()? };
    let before = task.set_timer(id, setting, flags & TIMER_ABSTIME != 0)?;
    Ok(old.write_opt(&*mm, &spec(before))?)
}

fn timer_gettime(task: &Arc<Task>, id: i32, to: UserPtr<Itimerspec>) -> SysResult<()> {
    let setting = task.timer(id)?;
    Ok(to.write(&*task.mm()?, &spec(setting))?)
}

fn timer_getoverrun(task: &Arc<Task>, id: i32) -> SysResult<i32> {
    Ok(task.timer_overrun(id)?)
}

fn timer_delete(task: &Arc<Task>, id: i32) -> SysResult<()> {
    Ok(task.delete_timer(id)?)
}

/// What a clock says that nobody disciplines.
fn read_timex(modes: u32) -> Result<Timex, Errno> {
    if modes != 0 && modes != ADJ_OFFSET_SS_READ {
        return Err(Errno::EPERM);
    }
    Ok(Timex {
        modes,
        maxerror: 16_000_000,
        esterror: 16_000_000,
        status: STA_UNSYNC,
        constant: 2,
        precision: 1,
        tolerance: 32_768_000,
        time: Timeval::from_ns(realtime_ns()),
        tick: 10_000,
        ..Timex::default()
    })
}

fn adjtimex(task: &Arc<Task>, buf: UserPtr<Timex>) -> SysResult<i32> {
    let mm = task.mm()?;
    let answer = read_timex(buf.read(&*mm)?.modes)?;
    buf.write(&*mm, &answer)?;
    Ok(TIME_ERROR)
}

fn clock_adjtime(task: &Arc<Task>, id: i32, buf: UserPtr<Timex>) -> SysResult<i32> {
    buf.read(&*task.mm()?)?;
    match Clock::find(task, id)? {
        Clock::System(CLOCK_REALTIME) => adjtimex(task, buf),
        _ => Err(Errno::EOPNOTSUPP.into()),
    }
}

fn getrusage(task: &Arc<Task>, who: i32, to: UserPtr<Rusage>) -> SysResult<()> {
    let (user, system) = match who {
        RUSAGE_SELF => task.group.times_ns(),
        RUSAGE_CHILDREN => task.group.children_times_ns(),
        RUSAGE_THREAD => task.times_ns(),
        _ => return Err(Errno::EINVAL.into()),
    };
    let mm = task.mm()?;
    let ru_maxrss = match who {
        RUSAGE_CHILDREN => task.group.children_max_rss_kb.load(Ordering::Relaxed) as i64,
        _ => (mm.sizes().vm_hwm >> 10) as i64,
    };
    let mut usage = Rusage {
        ru_utime: Timeval::from_ns(user),
        ru_stime: Timeval::from_ns(system),
        ru_maxrss,
        ..Rusage::default()
    };
    match who {
        RUSAGE_SELF => task.group.counts().fill(&mut usage, (ru_maxrss / 4) as u64),
        RUSAGE_CHILDREN => task.group.children_usage.fill(&mut usage, (ru_maxrss / 4) as u64),
        _ => task.usage.fill(&mut usage, 0),
    }
    Ok(to.write(&*mm, &usage)?)
}
