//! `futex(2)` on words of the sentry's own.

use crate::{HostErrno, Result};
use std::{sync::atomic::AtomicU32, time::Duration};

/// Sleeps while `word` holds `expected`, at most `timeout`.
///
/// `Ok` on a wake, `EAGAIN` where the word differs, `ETIMEDOUT`, `EINTR`. Wakes may be spurious.
pub fn wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) -> Result<()> {
    let spec = timeout.map(crate::time::timespec);
    let spec = spec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the word lives across the call, which only reads it atomically; `spec` is null or a live timespec.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            expected,
            spec,
        )
    };
    crate::cvt(ret).map(drop)
}

/// Wakes at most `n` sleepers and says how many there were.
pub fn wake(word: &AtomicU32, n: u32) -> usize {
    // SAFETY: only the address of the word is used.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            n.min(i32::MAX as u32),
        )
    };
    usize::try_from(ret).unwrap_or(0)
}

/// Sleeps until `word` no longer holds `value`, through spurious wakes and signals.
pub fn wait_while(word: &AtomicU32, value: u32) {
    while word.load(std::sync::atomic::Ordering::Acquire) == value {
        match wait(word, value, None) {
            Ok(()) | Err(HostErrno::EAGAIN | HostErrno::EINTR) => {}
            // Cannot happen on a word of ours; yielding keeps the loop honest if it does.
            Err(_) => std::thread::yield_now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, atomic::Ordering};

    #[test]
    fn wakes_and_times_out() {
        let word = Arc::new(AtomicU32::new(0));
        assert_eq!(wait(&word, 1, None), Err(HostErrno::EAGAIN));
        assert_eq!(wait(&word, 0, Some(Duration::from_millis(1))), Err(HostErrno::ETIMEDOUT));
        let other = word.clone();
        let thread = std::thread::spawn(move || wait_while(&other, 0));
        word.store(1, Ordering::Release);
        wake(&word, 1);
        thread.join().unwrap();
    }
}
