//! Signals of the sentry's own threads.
//!
//! One signal, [`KICK`], is reserved: it does nothing but cut a blocking host call short. Linux itself never sends it.

use crate::{Result, cvt};

/// The signal that interrupts a worker's wait and an application thread's run.
pub const KICK: i32 = libc::SIGSTKFLT;

/// A handler as the host calls it: signal, `siginfo_t`, `ucontext_t`.
pub type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

/// Installs `handler` for `signal`, on the alternate stack if the thread has one, with no restarting of calls.
///
/// # Safety
/// `handler` does only what a signal handler may (`signal-safety(7)`), on any thread, at any instruction.
pub unsafe fn install(signal: i32, handler: Handler) -> Result<()> {
    let mut action = zeroed_action();
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: `action` is a whole sigaction, and the caller answers for the handler.
    cvt(unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) }).map(drop)
}

/// Ignores a signal from now on.
pub fn ignore(signal: i32) -> Result<()> {
    let mut action = zeroed_action();
    action.sa_sigaction = libc::SIG_IGN;
    // SAFETY: `action` is a whole sigaction; ignoring runs no code of ours.
    cvt(unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) }).map(drop)
}

/// Spares the process a `SIGCHLD` for each stop of a tracee, whatever else is done with that signal.
pub fn no_child_stop_signals() -> Result<()> {
    let mut action = zeroed_action();
    // SAFETY: asks for the current action into a live struct.
    cvt(unsafe { libc::sigaction(libc::SIGCHLD, std::ptr::null(), &mut action) })?;
    action.sa_flags |= libc::SA_NOCLDSTOP;
    // SAFETY: installs what was there with one flag more.
    cvt(unsafe { libc::sigaction(libc::SIGCHLD, &action, std::ptr::null_mut()) }).map(drop)
}

/// Lets `signal` through to the calling thread.
pub fn unblock(signal: i32) -> Result<()> {
    mask(libc::SIG_UNBLOCK, signal)
}

/// Keeps `signal` from the calling thread.
pub fn block(signal: i32) -> Result<()> {
    mask(libc::SIG_BLOCK, signal)
}

/// Blocks every signal on the calling thread and answers the mask that was, for [`restore`].
pub fn block_all() -> Result<libc::sigset_t> {
    let (mut all, mut old) = (empty_set(), empty_set());
    // SAFETY: writes one live set.
    cvt(unsafe { libc::sigfillset(&mut all) })?;
    // SAFETY: both sets are live.
    cvt(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &all, &mut old) })?;
    Ok(old)
}

/// Puts back the calling thread's mask.
pub fn restore(mask: &libc::sigset_t) -> Result<()> {
    // SAFETY: the set is live.
    cvt(unsafe { libc::sigprocmask(libc::SIG_SETMASK, mask, std::ptr::null_mut()) }).map(drop)
}

fn mask(how: i32, signal: i32) -> Result<()> {
    let mut set = empty_set();
    // SAFETY: writes one live set.
    cvt(unsafe { libc::sigaddset(&mut set, signal) })?;
    // SAFETY: the set is live.
    cvt(unsafe { libc::sigprocmask(how, &set, std::ptr::null_mut()) }).map(drop)
}

fn empty_set() -> libc::sigset_t {
    // SAFETY: a set of zeros is the empty set.
    unsafe { std::mem::zeroed() }
}

fn zeroed_action() -> libc::sigaction {
    // SAFETY: zeros are a valid sigaction: default action, no flags, empty mask.
    unsafe { std::mem::zeroed() }
}
