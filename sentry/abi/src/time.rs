//! Time: the structures that carry it, clock numbers, and checked conversions to and from nanoseconds.
#![allow(missing_docs, reason = "the names are Linux's, documented in clock_gettime(2), adjtimex(2)")]

use crate::errno::Errno;
use crate::pod::{flags, pod};
use serde::{Deserialize, Serialize};

/// Nanoseconds in a second.
pub const NSEC_PER_SEC: i64 = 1_000_000_000;
/// Microseconds in a second.
pub const USEC_PER_SEC: i64 = 1_000_000;
/// `USER_HZ`: ticks a second of `times(2)`, `/proc/*/stat` and `AT_CLKTCK`.
pub const USER_HZ: u64 = 100;

pod! {
    /// `struct timespec`.
    #[derive(Serialize, Deserialize, Hash, PartialOrd, Ord)]
    pub struct Timespec {
        pub tv_sec: i64,
        pub tv_nsec: i64,
    }

    /// `struct timeval`.
    #[derive(Serialize, Deserialize, Hash, PartialOrd, Ord)]
    pub struct Timeval {
        pub tv_sec: i64,
        pub tv_usec: i64,
    }

    /// `struct itimerval`.
    #[derive(Serialize, Deserialize)]
    pub struct Itimerval {
        pub it_interval: Timeval,
        pub it_value: Timeval,
    }

    /// `struct itimerspec`.
    #[derive(Serialize, Deserialize)]
    pub struct Itimerspec {
        pub it_interval: Timespec,
        pub it_value: Timespec,
    }

    /// `struct timezone`.
    pub struct Timezone {
        pub tz_minuteswest: i32,
        pub tz_dsttime: i32,
    }

    /// `struct utimbuf`.
    pub struct Utimbuf {
        pub actime: i64,
        pub modtime: i64,
    }

    /// `struct tms`, in ticks of [`USER_HZ`].
    pub struct Tms {
        pub tms_utime: i64,
        pub tms_stime: i64,
        pub tms_cutime: i64,
        pub tms_cstime: i64,
    }

    /// `struct timex`, 208 bytes.
    pub struct Timex {
        pub modes: u32,
        pub _pad0: u32,
        pub offset: i64,
        pub freq: i64,
        pub maxerror: i64,
        pub esterror: i64,
        pub status: i32,
        pub _pad1: u32,
        pub constant: i64,
        pub precision: i64,
        pub tolerance: i64,
        pub time: Timeval,
        pub tick: i64,
        pub ppsfreq: i64,
        pub jitter: i64,
        pub shift: i32,
        pub _pad2: u32,
        pub stabil: i64,
        pub jitcnt: i64,
        pub calcnt: i64,
        pub errcnt: i64,
        pub stbcnt: i64,
        pub tai: i32,
        pub _reserved: [u32; 11],
    }
}

/// `tv_nsec` of `utimensat(2)`: now.
pub const UTIME_NOW: i64 = (1 << 30) - 1;
/// `tv_nsec` of `utimensat(2)`: leave as it is.
pub const UTIME_OMIT: i64 = (1 << 30) - 2;

impl Timespec {
    /// The epoch, or no time at all.
    pub const ZERO: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

    /// Whether `tv_nsec` is within a second; the seconds may be negative.
    pub const fn is_normal(self) -> bool {
        0 <= self.tv_nsec && self.tv_nsec < NSEC_PER_SEC
    }

    /// Nanoseconds, negative before the epoch. `EINVAL` where `tv_nsec` is not within a second.
    pub const fn to_ns(self) -> Result<i128, Errno> {
        if !self.is_normal() {
            return Err(Errno::EINVAL);
        }
        Ok(self.tv_sec as i128 * NSEC_PER_SEC as i128 + self.tv_nsec as i128)
    }

    /// A span of time or a time of a clock, as sleeping calls take it: `EINVAL` where it is negative or
    /// `tv_nsec` is not within a second. What exceeds `i64::MAX` nanoseconds (292 years) is cut to that, as
    /// Linux's `timespec64_to_ktime` does.
    pub const fn to_duration_ns(self) -> Result<u64, Errno> {
        match self.to_ns() {
            Err(errno) => Err(errno),
            Ok(ns) if ns < 0 => Err(Errno::EINVAL),
            Ok(ns) if ns > i64::MAX as i128 => Ok(i64::MAX as u64),
            Ok(ns) => Ok(ns as u64),
        }
    }

    /// From nanoseconds since the epoch (or of a span).
    pub const fn from_ns(ns: u64) -> Timespec {
        let second = NSEC_PER_SEC as u64;
        Timespec { tv_sec: (ns / second) as i64, tv_nsec: (ns % second) as i64 }
    }

    /// From signed nanoseconds; seconds beyond an `i64` are cut to its range.
    pub const fn from_ns_i128(ns: i128) -> Timespec {
        let second = NSEC_PER_SEC as i128;
        let sec = ns.div_euclid(second);
        let tv_sec = if sec > i64::MAX as i128 {
            i64::MAX
        } else if sec < i64::MIN as i128 {
            i64::MIN
        } else {
            sec as i64
        };
        Timespec { tv_sec, tv_nsec: ns.rem_euclid(second) as i64 }
    }
}

impl Timeval {
    /// No time at all.
    pub const ZERO: Timeval = Timeval { tv_sec: 0, tv_usec: 0 };

    /// Nanoseconds. `EINVAL` where `tv_usec` is not within a second.
    pub const fn to_ns(self) -> Result<i128, Errno> {
        if self.tv_usec < 0 || self.tv_usec >= USEC_PER_SEC {
            return Err(Errno::EINVAL);
        }
        Ok(self.tv_sec as i128 * NSEC_PER_SEC as i128 + self.tv_usec as i128 * 1000)
    }

    /// As [`Timespec::to_duration_ns`].
    pub const fn to_duration_ns(self) -> Result<u64, Errno> {
        match self.to_ns() {
            Err(errno) => Err(errno),
            Ok(ns) if ns < 0 => Err(Errno::EINVAL),
            Ok(ns) if ns > i64::MAX as i128 => Ok(i64::MAX as u64),
            Ok(ns) => Ok(ns as u64),
        }
    }

    /// From nanoseconds, rounding down to a microsecond.
    pub const fn from_ns(ns: u64) -> Timeval {
        let t = Timespec::from_ns(ns);
        Timeval { tv_sec: t.tv_sec, tv_usec: t.tv_nsec / 1000 }
    }

    /// From nanoseconds, rounding up: what an interval timer reports must not read as disarmed while it runs.
    pub const fn from_ns_ceil(ns: u64) -> Timeval {
        Timeval::from_ns(ns.saturating_add(999))
    }

    /// The same time; `EINVAL` where `tv_usec` is not within a second.
    pub const fn to_timespec(self) -> Result<Timespec, Errno> {
        if self.tv_usec < 0 || self.tv_usec >= USEC_PER_SEC {
            return Err(Errno::EINVAL);
        }
        Ok(Timespec { tv_sec: self.tv_sec, tv_nsec: self.tv_usec * 1000 })
    }
}

// Clocks.
pub const CLOCK_REALTIME: i32 = 0;
pub const CLOCK_MONOTONIC: i32 = 1;
pub const CLOCK_PROCESS_CPUTIME_ID: i32 = 2;
pub const CLOCK_THREAD_CPUTIME_ID: i32 = 3;
pub const CLOCK_MONOTONIC_RAW: i32 = 4;
pub const CLOCK_REALTIME_COARSE: i32 = 5;
pub const CLOCK_MONOTONIC_COARSE: i32 = 6;
pub const CLOCK_BOOTTIME: i32 = 7;
pub const CLOCK_REALTIME_ALARM: i32 = 8;
pub const CLOCK_BOOTTIME_ALARM: i32 = 9;
pub const CLOCK_SGI_CYCLE: i32 = 10;
pub const CLOCK_TAI: i32 = 11;

/// What a negative clock number means: the processor time of a process or thread, or a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum DynamicClock {
    /// Processor time of the process (`per_thread` false) or of one thread; 0 is the caller.
    Cpu { pid: i32, per_thread: bool, which: CpuClock },
    /// `FD_TO_CLOCKID`: a clock device.
    Fd(i32),
}

/// Which processor time a [`DynamicClock`] measures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum CpuClock {
    /// User and system time (`CPUCLOCK_PROF`).
    Prof,
    /// User time (`CPUCLOCK_VIRT`).
    Virt,
    /// Time on a processor (`CPUCLOCK_SCHED`).
    Sched,
}

impl DynamicClock {
    /// Takes a clock number apart; `None` where it is not negative.
    pub const fn from_clock_id(clock: i32) -> Option<DynamicClock> {
        if clock >= 0 {
            return None;
        }
        let pid = !(clock >> 3);
        let which = match clock & 3 {
            0 => CpuClock::Prof,
            1 => CpuClock::Virt,
            2 => CpuClock::Sched,
            _ => return Some(DynamicClock::Fd(pid)),
        };
        Some(DynamicClock::Cpu { pid, per_thread: clock & 4 != 0, which })
    }

    /// The clock number.
    pub const fn to_clock_id(self) -> i32 {
        match self {
            DynamicClock::Cpu { pid, per_thread, which } => {
                let which = match which {
                    CpuClock::Prof => 0,
                    CpuClock::Virt => 1,
                    CpuClock::Sched => 2,
                };
                (!pid << 3) | if per_thread { 4 } else { 0 } | which
            }
            DynamicClock::Fd(fd) => (!fd << 3) | 3,
        }
    }
}

/// `timer_settime(2)` and `clock_nanosleep(2)`: the time is absolute.
pub const TIMER_ABSTIME: u32 = 1;

// `setitimer(2)`.
pub const ITIMER_REAL: i32 = 0;
pub const ITIMER_VIRTUAL: i32 = 1;
pub const ITIMER_PROF: i32 = 2;

/// The largest overrun that `timer_getoverrun(2)` reports.
pub const DELAYTIMER_MAX: i32 = i32::MAX;

flags! {
    /// `TFD_*` of `timerfd_create(2)`.
    pub struct TimerfdFlags: u32 {
        const NONBLOCK = 0o4000;
        const CLOEXEC = 0o2_000_000;
    }

    /// `TFD_TIMER_*` of `timerfd_settime(2)`.
    pub struct TimerfdSetFlags: u32 {
        const ABSTIME = 1;
        const CANCEL_ON_SET = 2;
    }
}

/// `_IOW('T', 0, u64)`: sets the number of expirations of a timerfd.
pub const TFD_IOC_SET_TICKS: u32 = 0x4008_5400;

// `adjtimex(2)`.
pub const ADJ_OFFSET: u32 = 0x1;
pub const ADJ_FREQUENCY: u32 = 0x2;
pub const ADJ_MAXERROR: u32 = 0x4;
pub const ADJ_ESTERROR: u32 = 0x8;
pub const ADJ_STATUS: u32 = 0x10;
pub const ADJ_TIMECONST: u32 = 0x20;
pub const ADJ_TAI: u32 = 0x80;
pub const ADJ_SETOFFSET: u32 = 0x100;
pub const ADJ_MICRO: u32 = 0x1000;
pub const ADJ_NANO: u32 = 0x2000;
pub const ADJ_TICK: u32 = 0x4000;
pub const ADJ_OFFSET_SINGLESHOT: u32 = 0x8001;
pub const ADJ_OFFSET_SS_READ: u32 = 0xa001;
pub const STA_PLL: i32 = 0x1;
pub const STA_UNSYNC: i32 = 0x40;
pub const STA_NANO: i32 = 0x2000;
pub const STA_MODE: i32 = 0x4000;
pub const STA_CLK: i32 = 0x8000;
pub const TIME_OK: i32 = 0;
pub const TIME_INS: i32 = 1;
pub const TIME_DEL: i32 = 2;
pub const TIME_OOP: i32 = 3;
pub const TIME_WAIT: i32 = 4;
pub const TIME_ERROR: i32 = 5;
