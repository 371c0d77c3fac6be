//! `SIGWINCH` of the host: the window of the container's terminal has another size.
//!
//! The signal is blocked in every thread and read from a descriptor that the reactor watches.

use crate::control::Sandbox;
use ksync::{
    Listener, Ready, Registration, WaitQueue,
    exec::{HostWatch, Reactor},
};
use nix::sys::{
    signal::{SigSet, SigmaskHow, Signal, pthread_sigmask},
    signalfd::{SfdFlags, SignalFd},
};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Weak},
};

fn signals() -> SigSet {
    let mut set = SigSet::empty();
    set.add(Signal::SIGWINCH);
    set
}

/// Blocks the signal in this thread and those that it starts.
pub fn block() -> io::Result<()> {
    Ok(pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&signals()), None)?)
}

struct Resized {
    sandbox: Weak<Sandbox>,
    fd: Arc<OwnedFd>,
}

impl Listener for Resized {
    fn notify(&self, _: Ready) {
        let mut record = [0; 128];
        while nix::unistd::read(&self.fd, &mut record).is_ok_and(|n| n > 0) {}
        if let Some(sandbox) = self.sandbox.upgrade() {
            sandbox.update_window_sizes();
        }
    }
}

/// Keeps watching until dropped.
pub struct Watch {
    _watch: Option<HostWatch>,
    _registration: Registration,
}

impl Watch {
    /// Tells `sandbox` of every change.
    pub fn new(reactor: &Arc<Reactor>, sandbox: &Arc<Sandbox>) -> io::Result<Self> {
        let fd = SignalFd::with_flags(&signals(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let fd = Arc::new(fd.as_fd().try_clone_to_owned()?);
        let queue = Arc::new(WaitQueue::new());
        let listener = Arc::new(Resized { sandbox: Arc::downgrade(sandbox), fd: fd.clone() });
        let registration = queue.register(Ready::IN, listener);
        let watch = reactor.watch(fd, queue).map_err(|e| io::Error::from_raw_os_error(e.code()))?;
        Ok(Self { _watch: watch, _registration: registration })
    }
}
