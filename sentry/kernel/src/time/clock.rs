//! Clocks (`clock_gettime(2)`).

use crate::{Kernel, Task, ThreadGroup};
use abi::{
    Errno,
    time::{
        CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC_RAW,
        CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME, CLOCK_REALTIME_ALARM, CLOCK_REALTIME_COARSE, CLOCK_TAI,
        CLOCK_THREAD_CPUTIME_ID, CpuClock, DynamicClock,
    },
};
use nix::time::{ClockId, clock_gettime};
use std::sync::{Arc, atomic::Ordering};

/// A clock that a task named.
#[derive(Clone)]
pub enum Clock {
    /// A clock of the machine, by its number.
    System(i32),
    /// CPU time of a process.
    Process(Arc<ThreadGroup>, CpuClock),
    /// CPU time of a thread.
    Thread(Arc<Task>, CpuClock),
}

impl Clock {
    /// The clock `id` as `task` means it; `EINVAL`.
    pub fn find(task: &Arc<Task>, id: i32) -> Result<Clock, Errno> {
        match id {
            CLOCK_PROCESS_CPUTIME_ID => return Ok(Clock::Process(task.group.clone(), CpuClock::Sched)),
            CLOCK_THREAD_CPUTIME_ID => return Ok(Clock::Thread(task.clone(), CpuClock::Sched)),
            CLOCK_REALTIME
            | CLOCK_MONOTONIC
            | CLOCK_MONOTONIC_RAW
            | CLOCK_REALTIME_COARSE
            | CLOCK_MONOTONIC_COARSE
            | CLOCK_BOOTTIME
            | CLOCK_REALTIME_ALARM
            | CLOCK_BOOTTIME_ALARM
            | CLOCK_TAI => return Ok(Clock::System(id)),
            _ => {}
        }
        let Some(DynamicClock::Cpu { pid, per_thread, which }) = DynamicClock::from_clock_id(id) else {
            return Err(Errno::EINVAL);
        };
        let found = match pid {
            0 => Some(task.clone()),
            pid => {
                let pid = task
                    .pid_namespace()
                    .find(u32::try_from(pid).map_err(|_| Errno::EINVAL)?)
                    .ok_or(Errno::EINVAL)?;
                task.kernel.tree.lock().task(pid.root())
            }
        };
        let found = found.ok_or(Errno::EINVAL)?;
        match per_thread {
            false => Ok(Clock::Process(found.group.clone(), which)),
            true if Arc::ptr_eq(&found.group, &task.group) => Ok(Clock::Thread(found, which)),
            true => Err(Errno::EINVAL),
        }
    }

    /// Nanoseconds now.
    pub fn now_ns(&self) -> u64 {
        let pick = |(user, system): (u64, u64), which: CpuClock| match which {
            CpuClock::Virt => user,
            CpuClock::Prof | CpuClock::Sched => user + system,
        };
        match self {
            Clock::System(id) => system_ns(*id),
            Clock::Process(group, which) => pick(group.times_ns(), *which),
            Clock::Thread(task, which) => pick(task.times_ns(), *which),
        }
    }

    /// Whether it stands while nothing runs, so that sleeping until it says something makes no sense.
    pub fn is_cpu_time(&self) -> bool {
        !matches!(self, Clock::System(_))
    }

    /// The monotonic deadline at which this (system) clock says `at_ns`.
    pub fn deadline_of(&self, kernel: &Kernel, at_ns: u64) -> u64 {
        kernel.monotonic_ns().saturating_add(at_ns.saturating_sub(self.now_ns()))
    }

    /// Nanoseconds between two values.
    pub fn resolution_ns(&self) -> u64 {
        match self {
            Clock::System(CLOCK_REALTIME_COARSE | CLOCK_MONOTONIC_COARSE) => 4_000_000,
            _ => 1,
        }
    }
}

/// A clock of the host.
fn system_ns(id: i32) -> u64 {
    let host = match id {
        CLOCK_REALTIME | CLOCK_REALTIME_ALARM => ClockId::CLOCK_REALTIME,
        CLOCK_MONOTONIC_RAW => ClockId::CLOCK_MONOTONIC_RAW,
        CLOCK_REALTIME_COARSE => ClockId::CLOCK_REALTIME_COARSE,
        CLOCK_MONOTONIC_COARSE => ClockId::CLOCK_MONOTONIC_COARSE,
        CLOCK_BOOTTIME | CLOCK_BOOTTIME_ALARM => ClockId::CLOCK_BOOTTIME,
        CLOCK_TAI => ClockId::CLOCK_TAI,
        _ => ClockId::CLOCK_MONOTONIC,
    };
    clock_gettime(host)
        .map_or(0, |t| (t.tv_sec() as u64).saturating_mul(1_000_000_000).saturating_add(t.tv_nsec() as u64))
}

/// `CLOCK_REALTIME` in nanoseconds since the epoch.
pub fn realtime_ns() -> u64 {
    system_ns(CLOCK_REALTIME)
}

impl Task {
    /// CPU time so far, in nanoseconds: application code, and the kernel on its behalf.
    pub fn times_ns(&self) -> (u64, u64) {
        let since = self.running_since_ns.load(Ordering::Relaxed);
        // Whoever holds the lock may ask: then what is running is looked at next time.
        if since != 0
            && let Some(state) = self.state.try_lock()
            && let Some(mm) = &state.mm
        {
            let ran = self.kernel.monotonic_ns().saturating_sub(since);
            let used = mm.charge_cpu_time(ran.saturating_sub(self.run_charged_ns.load(Ordering::Relaxed)));
            self.run_charged_ns.fetch_add(used, Ordering::Relaxed);
            self.user_ns.fetch_add(used, Ordering::Relaxed);
        }
        (self.user_ns.load(Ordering::Relaxed), self.system_ns.load(Ordering::Relaxed))
    }
}
