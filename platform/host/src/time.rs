//! Host clocks.

use crate::{HostErrno, Result};
use std::time::Duration;

/// The host's clocks, as `clock_gettime(2)` numbers them.
pub use nix::time::ClockId as Clock;

/// Nanoseconds of a clock. The host's vDSO answers the common ones without a call.
pub fn now_ns(clock: Clock) -> Result<i64> {
    let t = nix::time::clock_gettime(clock)?;
    Ok(t.tv_sec().saturating_mul(1_000_000_000).saturating_add(t.tv_nsec()))
}

/// Nanoseconds of the monotonic clock.
pub fn monotonic_ns() -> u64 {
    // The monotonic clock cannot fail and starts at boot.
    now_ns(Clock::CLOCK_MONOTONIC).ok().and_then(|t| u64::try_from(t).ok()).unwrap_or(0)
}

/// CPU time of all threads of a process, in nanoseconds; `EINVAL` where it is gone.
pub fn process_cpu_ns(pid: i32) -> Result<u64> {
    // clock_getcpuclockid(3): the complement of the id above three bits, of which 2 is the scheduler's clock.
    const SCHED: i32 = 2;
    let id = (!pid).checked_shl(3).unwrap_or(0) | SCHED;
    u64::try_from(now_ns(Clock::from_raw(id))?).map_err(|_| HostErrno::EINVAL)
}

/// Resolution of a clock in nanoseconds.
pub fn resolution_ns(clock: Clock) -> Result<i64> {
    let t = nix::time::clock_getres(clock)?;
    Ok(t.tv_sec().saturating_mul(1_000_000_000).saturating_add(t.tv_nsec()))
}

/// Sleeps for a time; signals may cut it short.
pub fn nanosleep(t: Duration) -> Result<()> {
    let spec = timespec(t);
    // SAFETY: reads one live timespec and, with a null remainder, writes nothing.
    match crate::cvt(unsafe { libc::nanosleep(&spec, std::ptr::null_mut()) }) {
        Ok(_) | Err(HostErrno::EINTR) => Ok(()),
        Err(e) => Err(e),
    }
}

/// The C form of a duration; too long a one becomes the longest.
pub fn timespec(t: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: i64::try_from(t.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(t.subsec_nanos()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_run() {
        let a = monotonic_ns();
        nanosleep(Duration::from_millis(1)).unwrap();
        assert!(monotonic_ns() > a && a > 0);
        assert_eq!(timespec(Duration::MAX).tv_sec, i64::MAX);
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(process_cpu_ns(own).unwrap() > 0);
        assert_eq!(now_ns(Clock::from_raw(9999)), Err(HostErrno::EINVAL));
    }
}
