//! Interval timers (`setitimer(2)`, `alarm(2)`) and POSIX timers (`timer_create(2)`).
//!
//! Timers of system clocks stand on the executor's; timers of CPU clocks are looked at when they could be due at the
//! earliest. Both fire on the reactor's thread. `RLIMIT_CPU` is a timer too.
//!
//! **Lock order:** [`rank::TIMER`]; signals are sent without it, and clocks of CPU time are read without it.

use super::clock::Clock;
use crate::{Kernel, Task, ThreadGroup, tree::ExitStatus};
use abi::{
    Errno, SigInfo, Signal,
    process::{RLIM_INFINITY, Resource},
    signal::{SI_TIMER, SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SIGEV_THREAD_ID, SigEvent},
    time::{CLOCK_MONOTONIC, CpuClock, ITIMER_PROF, ITIMER_REAL, ITIMER_VIRTUAL},
};
use ksync::{Listener, Mutex, Ready, exec::Timer, rank};
use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

const NS_PER_SEC: u64 = 1_000_000_000;

/// What happens when a timer fires.
#[derive(Clone)]
enum Action {
    /// Nothing; it is only asked.
    None,
    /// A signal to the process.
    Process(SigInfo),
    /// A signal to a thread.
    Thread(Weak<Task>, SigInfo),
    /// `RLIMIT_CPU` is used up: `SIGXCPU` each second, `SIGKILL` at the hard limit.
    CpuLimit,
}

/// One timer.
struct Armed {
    clock: Clock,
    action: Action,
    /// What the clock says when it fires next; none while disarmed.
    at_ns: Option<u64>,
    /// 0: once.
    interval_ns: u64,
    /// How often it fired beyond the signal that was delivered last.
    overrun: u64,
    host: Option<Timer>,
    /// Told apart from what was armed before under the same number.
    generation: u64,
}

/// Names a timer of a process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Key {
    Interval(i32),
    Posix(i32),
    CpuLimit,
}

#[derive(Default)]
struct Table {
    timers: BTreeMap<Key, Armed>,
    next_id: i32,
    next_generation: u64,
}

/// The timers of a process.
pub struct Timers(Mutex<Table>);

impl Default for Timers {
    fn default() -> Self {
        Self(Mutex::new(rank::TIMER, Table::default()))
    }
}

/// A timer's setting: what is left, and the interval, in nanoseconds. Zero is disarmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Until it fires next.
    pub value_ns: u64,
    /// Between firings from then on.
    pub interval_ns: u64,
}

struct Fire {
    group: Weak<ThreadGroup>,
    key: Key,
    generation: u64,
}

impl Listener for Fire {
    fn notify(&self, _: Ready) {
        if let Some(group) = self.group.upgrade() {
            group.timer_due(self.key, self.generation);
        }
    }
}

impl Armed {
    /// What is left where its clock says `now`.
    fn setting(&self, now: u64) -> Setting {
        let left = self.at_ns.map_or(0, |at| at.saturating_sub(now).max(1));
        Setting { value_ns: left, interval_ns: self.interval_ns }
    }

    /// Stands on the host's timer again; its clock says `now`.
    fn arm_host(&mut self, group: &Arc<ThreadGroup>, key: Key, now: u64) {
        self.host = self.at_ns.map(|at| {
            let fire = Fire { group: Arc::downgrade(group), key, generation: self.generation };
            let mut left = at.saturating_sub(now);
            if self.clock.is_cpu_time() {
                // All threads together may use as many CPUs as there are; looked at again if they did not.
                left = (left / group.kernel.cpus.max(1) as u64).max(1_000_000);
            }
            let deadline = group.kernel.monotonic_ns().saturating_add(left);
            group.kernel.executor.timers().at(deadline, Arc::new(fire))
        });
    }
}

impl ThreadGroup {
    /// A timer's moment has come, or might have.
    fn timer_due(self: &Arc<Self>, key: Key, generation: u64) {
        let Some(now) = self.timer_clock(key).map(|c| c.now_ns()) else { return };
        let (action, late, host) = {
            let mut table = self.timers.0.lock();
            let Some(timer) = table.timers.get_mut(&key).filter(|t| t.generation == generation) else {
                return;
            };
            let Some(at) = timer.at_ns else { return };
            let host = timer.host.take();
            if now < at {
                timer.arm_host(self, key, now);
                drop(table);
                drop(host);
                return;
            }
            let late = (now - at).checked_div(timer.interval_ns).unwrap_or(0);
            timer.at_ns = (timer.interval_ns > 0).then(|| at + (late + 1) * timer.interval_ns);
            timer.arm_host(self, key, now);
            (timer.action.clone(), late, host)
        };
        drop(host);
        self.fire(key, action, late);
    }

    fn fire(self: &Arc<Self>, key: Key, action: Action, late: u64) {
        let (info, thread) = match action {
            Action::None => return,
            Action::CpuLimit => return self.cpu_limit_reached(),
            Action::Process(info) => (info, None),
            Action::Thread(task, info) => match task.upgrade() {
                Some(task) => (info, Some(task)),
                None => return,
            },
        };
        let Some(signal) = info.signal() else { return };
        let mut info = info;
        if let Key::Posix(id) = key {
            // One signal at a time: firing again while it is queued counts as overrun.
            let more = |i: &mut SigInfo| i.set_overrun(i.si_overrun().saturating_add(1 + late as i32));
            let queued = match &thread {
                Some(task) => task.signals.lock().pending.update_timer(signal, id, more),
                None => self.signals.lock().pending.update_timer(signal, id, more),
            };
            if queued {
                return;
            }
            info.set_overrun(i32::try_from(late).unwrap_or(i32::MAX));
        }
        let _ = match thread {
            Some(task) => task.send_signal(info),
            None => self.send_signal(info),
        };
    }

    fn set_timer(
        self: &Arc<Self>,
        key: Key,
        clock: Clock,
        action: Action,
        setting: Setting,
        absolute: bool,
    ) -> Setting {
        let now = clock.now_ns();
        let mut table = self.timers.0.lock();
        table.next_generation += 1;
        let generation = table.next_generation;
        let before = table.timers.get(&key).map(|t| t.setting(now)).unwrap_or_default();
        let at_ns = match (setting.value_ns, absolute) {
            (0, _) => None,
            (at, true) => Some(at),
            (left, false) => Some(now.saturating_add(left)),
        };
        let interval_ns = setting.interval_ns;
        let mut timer = Armed { clock, action, at_ns, interval_ns, overrun: 0, host: None, generation };
        timer.arm_host(self, key, now);
        let old = table.timers.insert(key, timer);
        drop(table);
        drop(old);
        before
    }

    fn timer_clock(&self, key: Key) -> Option<Clock> {
        self.timers.0.lock().timers.get(&key).map(|t| t.clock.clone())
    }

    /// What is left of a timer; none if there is no such.
    fn setting_of(&self, key: Key) -> Option<Setting> {
        let now = self.timer_clock(key)?.now_ns();
        self.timers.0.lock().timers.get(&key).map(|t| t.setting(now))
    }

    /// Stands guard over `RLIMIT_CPU` as it is now.
    pub fn watch_cpu_limit(self: &Arc<Self>) {
        let soft = self.limits.lock().soft(Resource::Cpu);
        let old = self.timers.0.lock().timers.remove(&Key::CpuLimit);
        drop(old);
        if soft != RLIM_INFINITY {
            let setting = Setting { value_ns: soft.saturating_mul(NS_PER_SEC), interval_ns: NS_PER_SEC };
            let clock = Clock::Process(self.clone(), CpuClock::Prof);
            self.set_timer(Key::CpuLimit, clock, Action::CpuLimit, setting, true);
        }
    }

    fn cpu_limit_reached(self: &Arc<Self>) {
        let (user, system) = self.times_ns();
        let hard = self.limits.lock().get(Resource::Cpu).rlim_max;
        if user + system >= hard.saturating_mul(NS_PER_SEC) {
            let signo = Signal::SIGKILL.number();
            self.begin_exit(ExitStatus::Signal { signo, core: false });
        } else {
            let _ = self.send_signal(SigInfo::kernel(Signal::SIGXCPU));
        }
    }

    /// `setitimer(2)`: what was left before. `EINVAL` for an unknown timer.
    pub fn set_interval_timer(self: &Arc<Self>, which: i32, setting: Setting) -> Result<Setting, Errno> {
        let (clock, signal) = match which {
            ITIMER_REAL => (Clock::System(CLOCK_MONOTONIC), Signal::SIGALRM),
            ITIMER_VIRTUAL => (Clock::Process(self.clone(), CpuClock::Virt), Signal::SIGVTALRM),
            ITIMER_PROF => (Clock::Process(self.clone(), CpuClock::Prof), Signal::SIGPROF),
            _ => return Err(Errno::EINVAL),
        };
        if setting.value_ns == 0 {
            // Disarmed timers are not kept: their clock would keep the process.
            let now = clock.now_ns();
            let old = self.timers.0.lock().timers.remove(&Key::Interval(which));
            return Ok(old.map(|t| t.setting(now)).unwrap_or_default());
        }
        Ok(self.set_timer(
            Key::Interval(which),
            clock,
            Action::Process(SigInfo::kernel(signal)),
            setting,
            false,
        ))
    }

    /// `getitimer(2)`.
    pub fn interval_timer(&self, which: i32) -> Result<Setting, Errno> {
        if !matches!(which, ITIMER_REAL | ITIMER_VIRTUAL | ITIMER_PROF) {
            return Err(Errno::EINVAL);
        }
        Ok(self.setting_of(Key::Interval(which)).unwrap_or_default())
    }

    /// Forgets all timers (the process has ended).
    pub(crate) fn delete_all_timers(&self) {
        let old = std::mem::take(&mut self.timers.0.lock().timers);
        drop(old);
    }
}

impl Task {
    /// `timer_create(2)`: the timer's number. No `event` means `SIGALRM` with the number as value.
    pub fn create_timer(self: &Arc<Self>, clock: i32, event: Option<SigEvent>) -> Result<i32, Errno> {
        let clock = Clock::find(self, clock)?;
        let limit = self.group.limits.lock().soft(Resource::Sigpending);
        let id = {
            let mut table = self.group.timers.0.lock();
            if table.timers.len() as u64 >= limit {
                return Err(Errno::EAGAIN);
            }
            let id = table.next_id;
            table.next_id = id.checked_add(1).unwrap_or(0);
            id
        };
        let event = event.unwrap_or(SigEvent {
            sigev_value: id as u64,
            sigev_signo: Signal::SIGALRM.number(),
            sigev_notify: SIGEV_SIGNAL,
            ..SigEvent::default()
        });
        let signal = Signal::new(event.sigev_signo).ok_or(Errno::EINVAL);
        let info = |signal: Signal| SigInfo::timer(signal, id, 0, event.sigev_value);
        let action = match event.sigev_notify {
            SIGEV_NONE => Action::None,
            // Threads are the C library's business, which asks for them by SIGEV_THREAD_ID.
            SIGEV_SIGNAL | SIGEV_THREAD => Action::Process(info(signal?)),
            SIGEV_THREAD_ID => {
                let number = u32::try_from(event.sigev_notify_thread_id).map_err(|_| Errno::EINVAL)?;
                let pid = self.pid_namespace().find(number).ok_or(Errno::EINVAL)?;
                let task = self.kernel.tree.lock().task(pid.root()).ok_or(Errno::EINVAL)?;
                if !Arc::ptr_eq(&task.group, &self.group) {
                    return Err(Errno::EINVAL);
                }
                Action::Thread(Arc::downgrade(&task), info(signal?))
            }
            _ => return Err(Errno::EINVAL),
        };
        self.group.set_timer(Key::Posix(id), clock, action, Setting::default(), false);
        Ok(id)
    }

    /// `timer_settime(2)`: what was left before.
    pub fn set_timer(self: &Arc<Self>, id: i32, setting: Setting, absolute: bool) -> Result<Setting, Errno> {
        let (clock, action) = {
            let table = self.group.timers.0.lock();
            let timer = table.timers.get(&Key::Posix(id)).ok_or(Errno::EINVAL)?;
            (timer.clock.clone(), timer.action.clone())
        };
        Ok(self.group.set_timer(Key::Posix(id), clock, action, setting, absolute))
    }

    /// `timer_gettime(2)`.
    pub fn timer(&self, id: i32) -> Result<Setting, Errno> {
        self.group.setting_of(Key::Posix(id)).ok_or(Errno::EINVAL)
    }

    /// `timer_getoverrun(2)`.
    pub fn timer_overrun(&self, id: i32) -> Result<i32, Errno> {
        let table = self.group.timers.0.lock();
        let timer = table.timers.get(&Key::Posix(id)).ok_or(Errno::EINVAL)?;
        Ok(i32::try_from(timer.overrun).unwrap_or(i32::MAX))
    }

    /// `timer_delete(2)`.
    pub fn delete_timer(&self, id: i32) -> Result<(), Errno> {
        let old = self.group.timers.0.lock().timers.remove(&Key::Posix(id));
        old.map(drop).ok_or(Errno::EINVAL)
    }

    /// `execve` deletes POSIX timers and keeps interval timers.
    pub(crate) fn delete_posix_timers(&self) {
        let mut old = Vec::new();
        let mut table = self.group.timers.0.lock();
        let keys: Vec<Key> = table.timers.keys().copied().filter(|k| matches!(k, Key::Posix(_))).collect();
        old.extend(keys.iter().filter_map(|k| table.timers.remove(k)));
        drop(table);
        drop(old);
    }

    /// A timer's signal is being delivered: its overruns are those of the timer until the next.
    pub(crate) fn note_timer_delivery(&self, info: &SigInfo) {
        if info.si_code == SI_TIMER
            && let Some(timer) = self.group.timers.0.lock().timers.get_mut(&Key::Posix(info.si_timerid()))
        {
            timer.overrun = info.si_overrun().max(0) as u64;
        }
    }
}

impl Kernel {
    /// Nanoseconds since boot, as `/proc/uptime` counts.
    pub fn uptime_ns(&self) -> u64 {
        self.monotonic_ns().saturating_sub(self.boot_ns)
    }
}
