//! `timerfd_create(2)`: timers that are read.
//!
//! A [`TimerFd`] counts expirations. A periodic timer that nobody reads is not armed again after it expired: what it
//! missed is counted by arithmetic when somebody looks, so it costs nothing meanwhile.
//!
//! **Lock order:** [`rank::TIMER`], under it only the executor's timers. **Invariant:** an armed timer has a deadline.
//! **Absent on purpose:** waking a suspended machine (`*_ALARM` are plain clocks here), and `ECANCELED` of
//! `TFD_TIMER_CANCEL_ON_SET`: applications cannot set the clock, and steps of the host's are not told.

use abi::{
    Errno,
    time::{
        CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_REALTIME_ALARM,
        Itimerspec, TFD_IOC_SET_TICKS, TimerfdSetFlags, Timespec,
    },
};
use ksync::{Listener, Mutex, Ready, WaitQueue, exec, rank};
use mem::{IoDst, UserMemory, UserPtr};
use std::{
    any::Any,
    sync::{Arc, Weak},
};
use vfs::{File, FileOps};

/// What timers need of the kernel; `Arc<Kernel>` is one.
pub trait TimerClock: Send + Sync {
    /// `clock` (`CLOCK_REALTIME`, `_MONOTONIC` or `_BOOTTIME`) in nanoseconds.
    fn now_ns(&self, clock: i32) -> u64;
    /// Calls `listener` when `CLOCK_MONOTONIC` reaches `deadline_ns`.
    fn at(&self, deadline_ns: u64, listener: Arc<dyn Listener>) -> exec::Timer;
}

impl TimerClock for kernel::Kernel {
    fn now_ns(&self, clock: i32) -> u64 {
        kernel::time::clock::Clock::System(clock).now_ns()
    }
    fn at(&self, deadline_ns: u64, listener: Arc<dyn Listener>) -> exec::Timer {
        self.executor.timers().at(deadline_ns, listener)
    }
}

#[derive(Default)]
struct State {
    /// When it expires next (or did, if `expired`), on its clock; none while disarmed.
    next_ns: Option<u64>,
    /// 0 for once.
    interval_ns: u64,
    /// Expirations that were not read, but for those of a periodic timer since it `expired`.
    ticks: u64,
    expired: bool,
    flags: u32,
    timer: Option<exec::Timer>,
}

struct Inner {
    clock: Arc<dyn TimerClock>,
    clock_id: i32,
    state: Mutex<State>,
    wait: WaitQueue,
    me: Weak<Inner>,
}

/// A timer, and the operations of its descriptor.
pub struct TimerFd(Arc<Inner>);

/// A disarmed timer on `clock_id`. `EINVAL` for a clock that has none, `EPERM` for an `_ALARM` one unless `wake_alarm`
/// (the caller has `CAP_WAKE_ALARM`).
pub fn new_timerfd(
    clock: Arc<dyn TimerClock>,
    clock_id: i32,
    wake_alarm: bool,
) -> Result<Box<dyn FileOps>, Errno> {
    match clock_id {
        CLOCK_REALTIME | CLOCK_MONOTONIC | CLOCK_BOOTTIME => {}
        CLOCK_REALTIME_ALARM | CLOCK_BOOTTIME_ALARM if wake_alarm => {}
        CLOCK_REALTIME_ALARM | CLOCK_BOOTTIME_ALARM => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    }
    Ok(Box::new(TimerFd(Arc::new_cyclic(|me| Inner {
        clock,
        clock_id,
        state: Mutex::new(rank::TIMER, State::default()),
        wait: WaitQueue::new(),
        me: me.clone(),
    }))))
}

/// Says that the timer's deadline came.
struct Expire(Weak<Inner>);

impl Listener for Expire {
    fn notify(&self, _: Ready) {
        let Some(inner) = self.0.upgrade() else { return };
        let (ready, old) = {
            let mut state = inner.state.lock();
            inner.settle(&mut state);
            let early = state.next_ns.is_some() && !state.expired;
            // A clock that was set back, or a deadline cut to the range of numbers.
            let old = if early { inner.arm(&mut state) } else { state.timer.take() };
            (state.ticks > 0, old)
        };
        drop(old);
        if ready {
            inner.wait.notify(Ready::IN | Ready::RDNORM);
        }
    }
}

impl Inner {
    fn now(&self) -> u64 {
        self.clock.now_ns(match self.clock_id {
            CLOCK_REALTIME_ALARM => CLOCK_REALTIME,
            CLOCK_BOOTTIME_ALARM => CLOCK_BOOTTIME,
            other => other,
        })
    }

    /// Sets the executor's timer for `next_ns`; the old one is dropped by the caller, without the lock.
    fn arm(&self, state: &mut State) -> Option<exec::Timer> {
        let Some(next) = state.next_ns else { return state.timer.take() };
        let wait = next.saturating_sub(self.now());
        let deadline = self.clock.now_ns(CLOCK_MONOTONIC).saturating_add(wait);
        state.timer.replace(self.clock.at(deadline, Arc::new(Expire(self.me.clone()))))
    }

    /// Notes that the time has come, if it has; the executor may tell us later.
    fn settle(&self, state: &mut State) {
        if !state.expired && state.next_ns.is_some_and(|next| next <= self.now()) {
            state.expired = true;
            state.ticks = state.ticks.saturating_add(1);
        }
    }

    /// Counts what a periodic timer missed since it expired, and arms it again.
    fn forward(&self, state: &mut State) -> Option<exec::Timer> {
        self.settle(state);
        let (true, Some(next)) = (state.expired, state.next_ns) else { return None };
        if state.interval_ns == 0 {
            return None;
        }
        let more = self.now().saturating_sub(next) / state.interval_ns;
        state.ticks = state.ticks.saturating_add(more);
        state.next_ns = Some(next.saturating_add((more + 1).saturating_mul(state.interval_ns)));
        state.expired = false;
        self.arm(state)
    }

    fn setting(&self, state: &State) -> Itimerspec {
        let left = match state.next_ns {
            // At least one: zero would mean that it is disarmed.
            Some(next) if !state.expired => next.saturating_sub(self.now()).max(1),
            _ => 0,
        };
        Itimerspec { it_interval: Timespec::from_ns(state.interval_ns), it_value: Timespec::from_ns(left) }
    }
}

impl TimerFd {
    /// `timerfd_settime(2)`: the setting before. `EINVAL` for unknown flags and times that are none.
    pub fn set_time(&self, flags: u32, new: &Itimerspec) -> Result<Itimerspec, Errno> {
        let set = TimerfdSetFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
        let value = new.it_value.to_duration_ns()?;
        let interval_ns = new.it_interval.to_duration_ns()?;
        let inner = &self.0;
        let mut state = inner.state.lock();
        let forwarded = inner.forward(&mut state);
        let before = inner.setting(&state);
        state.next_ns = match value {
            0 => None,
            value if set.contains(TimerfdSetFlags::ABSTIME) => Some(value),
            value => Some(inner.now().saturating_add(value)),
        };
        (state.interval_ns, state.flags) = (interval_ns, flags);
        (state.ticks, state.expired) = (0, false);
        let old = inner.arm(&mut state);
        drop(state);
        drop((forwarded, old));
        Ok(before)
    }

    /// `timerfd_gettime(2)`.
    pub fn get_time(&self) -> Itimerspec {
        let mut state = self.0.state.lock();
        let old = self.0.forward(&mut state);
        let setting = self.0.setting(&state);
        drop(state);
        drop(old);
        setting
    }
}

impl Drop for TimerFd {
    fn drop(&mut self) {
        let timer = self.0.state.lock().timer.take();
        drop(timer);
    }
}

impl FileOps for TimerFd {
    fn read(&self, _: &File, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        if dst.remaining() < 8 {
            return Err(Errno::EINVAL);
        }
        let mut state = self.0.state.lock();
        let old = self.0.forward(&mut state);
        let ticks = std::mem::take(&mut state.ticks);
        drop(state);
        drop(old);
        if ticks == 0 {
            return Err(Errno::EAGAIN);
        }
        if dst.put(&ticks.to_ne_bytes())? < 8 { Err(Errno::EFAULT) } else { Ok(8) }
    }
    fn seekable(&self) -> bool {
        false
    }
    fn ready(&self, _: &File) -> Ready {
        let mut state = self.0.state.lock();
        self.0.settle(&mut state);
        if state.ticks > 0 { Ready::IN | Ready::RDNORM } else { Ready::empty() }
    }
    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.0.wait)
    }
    fn ioctl(&self, _: &File, mem: &dyn UserMemory, cmd: u32, arg: u64) -> Result<u64, Errno> {
        if cmd != TFD_IOC_SET_TICKS {
            return Err(Errno::ENOTTY);
        }
        let ticks = UserPtr::<u64>::from(arg).read(mem)?;
        if ticks == 0 {
            return Err(Errno::EINVAL);
        }
        self.0.state.lock().ticks = ticks;
        self.0.wait.notify(Ready::IN | Ready::RDNORM);
        Ok(0)
    }
    fn fdinfo(&self, _: &File) -> String {
        let state = self.0.state.lock();
        let (s, id) = (self.0.setting(&state), self.0.clock_id);
        let pair = |t: Timespec| format!("({}, {})", t.tv_sec, t.tv_nsec);
        format!(
            "clockid: {id}\nticks: {}\nsettime flags: 0{:o}\nit_value: {}\nit_interval: {}\n",
            state.ticks,
            state.flags,
            pair(s.it_value),
            pair(s.it_interval)
        )
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::fcntl::OpenFlags;
    use ksync::exec::Executor;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    use vfs::testing;

    /// A clock that stands still but for the test; its timers are the executor's, far in the future.
    struct Still(Arc<Executor>, AtomicU64);
    impl TimerClock for Still {
        fn now_ns(&self, _: i32) -> u64 {
            self.1.load(Ordering::SeqCst)
        }
        fn at(&self, deadline_ns: u64, listener: Arc<dyn Listener>) -> exec::Timer {
            self.0.timers().at(exec::monotonic_ns() + deadline_ns + (1 << 50), listener)
        }
    }

    /// The executor's clock.
    struct Real(Arc<Executor>);
    impl TimerClock for Real {
        fn now_ns(&self, _: i32) -> u64 {
            exec::monotonic_ns()
        }
        fn at(&self, deadline_ns: u64, listener: Arc<dyn Listener>) -> exec::Timer {
            self.0.timers().at(deadline_ns, listener)
        }
    }

    fn spec(value: u64, interval: u64) -> Itimerspec {
        Itimerspec { it_value: Timespec::from_ns(value), it_interval: Timespec::from_ns(interval) }
    }

    fn ticks(file: &File) -> Result<u64, Errno> {
        Ok(u64::from_ne_bytes(testing::read(file, 8)?.try_into().unwrap()))
    }

    #[test]
    fn counts_what_was_missed() {
        let clock = Arc::new(Still(Executor::new(1).unwrap(), 1000.into()));
        let file =
            testing::file(new_timerfd(clock.clone(), CLOCK_MONOTONIC, false).unwrap(), OpenFlags::RDWR);
        let timer = file.downcast::<TimerFd>().unwrap();
        assert_eq!((timer.get_time(), ticks(&file)), (spec(0, 0), Err(Errno::EAGAIN)));
        assert_eq!(timer.set_time(0, &spec(100, 10)), Ok(spec(0, 0)));
        assert_eq!((timer.get_time(), file.ready()), (spec(100, 10), Ready::empty()));
        clock.1.store(1100, Ordering::SeqCst);
        assert_eq!(file.ready(), Ready::IN | Ready::RDNORM);
        clock.1.store(1135, Ordering::SeqCst);
        assert_eq!((ticks(&file), ticks(&file)), (Ok(4), Err(Errno::EAGAIN)));
        assert_eq!(timer.get_time(), spec(5, 10));
        clock.1.store(1151, Ordering::SeqCst);
        assert_eq!(timer.get_time(), spec(9, 10));
        assert_eq!(ticks(&file), Ok(2));
        // Once, at a time that has gone by.
        assert_eq!(timer.set_time(1, &spec(1, 0)), Ok(spec(9, 10)));
        assert_eq!((timer.get_time(), ticks(&file), ticks(&file)), (spec(0, 0), Ok(1), Err(Errno::EAGAIN)));
        assert_eq!(timer.set_time(0, &spec(0, 5)), Ok(spec(0, 0)));
        assert_eq!(timer.get_time(), spec(0, 5));
        assert_eq!(timer.set_time(4, &spec(0, 5)), Err(Errno::EINVAL));
        let bad = Timespec { tv_sec: 0, tv_nsec: 1_000_000_000 };
        assert_eq!(timer.set_time(0, &Itimerspec { it_value: bad, ..spec(0, 0) }), Err(Errno::EINVAL));
        assert_eq!(testing::read(&file, 7), Err(Errno::EINVAL));
        assert!(new_timerfd(clock.clone(), 2, true).is_err());
        assert_eq!(new_timerfd(clock.clone(), CLOCK_REALTIME_ALARM, false).err(), Some(Errno::EPERM));
        clock.0.stop();
    }

    #[test]
    fn announces_when_it_expires() {
        struct Count(AtomicUsize);
        impl Listener for Count {
            fn notify(&self, _: Ready) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let clock = Arc::new(Real(Executor::new(1).unwrap()));
        let file = testing::file(new_timerfd(clock.clone(), CLOCK_BOOTTIME, false).unwrap(), OpenFlags::RDWR);
        let count = Arc::new(Count(0.into()));
        let _heard = file.ops().wait_queue().unwrap().register(Ready::IN, count.clone());
        for n in 1..=3 {
            if n == 1 {
                file.downcast::<TimerFd>().unwrap().set_time(0, &spec(1_000_000, 1_000_000)).unwrap();
            }
            while count.0.load(Ordering::SeqCst) < n {
                std::thread::yield_now();
            }
            assert!(ticks(&file).unwrap() >= 1);
        }
        clock.0.stop();
    }
}
