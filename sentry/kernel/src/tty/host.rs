//! A terminal of the host as a terminal of the sandbox.
//!
//! The host's is put into raw mode by whoever gave it to us; line discipline and job control are ours. A [`Pump`] moves
//! what is typed; the reactor wakes it.

use super::{Far, Tty, pty};
use abi::{Errno, Winsize};
use host::file::{PollFlags, poll_now};
use ksync::{
    Listener, Ready, WaitQueue,
    exec::{HostWatch, Reactor},
};
use std::{
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Weak},
};
use vfs::FileOps;

/// Moves what is typed on a host terminal into ours.
struct Pump {
    tty: Weak<Tty>,
    fd: Arc<OwnedFd>,
}

impl Listener for Pump {
    fn notify(&self, _: Ready) {
        let Some(tty) = self.tty.upgrade() else { return };
        let mut buffer = [0u8; 1024];
        // Bounded: somebody who types without end must not keep the reactor.
        for _ in 0..16 {
            // It may be a person's, shared with a shell that does not expect `O_NONBLOCK`.
            if !matches!(poll_now(self.fd.as_fd(), PollFlags::POLLIN), Ok(ready) if !ready.is_empty()) {
                break;
            }
            match nix::unistd::read(&self.fd, &mut buffer) {
                Ok(0) => return tty.hang_up(),
                Ok(n) => {
                    tty.receive(buffer.get(..n).unwrap_or_default());
                }
                Err(nix::errno::Errno::EINTR) => {}
                Err(nix::errno::Errno::EAGAIN) => break,
                Err(_) => return tty.hang_up(),
            }
        }
        let mut state = tty.state.lock();
        tty.drain_to_host(&mut state);
        drop(state);
        tty.near_queue.notify(Ready::OUT | Ready::WRNORM);
    }
}

/// A host terminal that is in use; ends when dropped.
pub struct HostTerminal {
    /// The terminal.
    pub tty: Arc<Tty>,
    fd: Arc<OwnedFd>,
    _watch: Option<HostWatch>,
    _registration: ksync::Registration,
}

impl HostTerminal {
    /// Takes over `fd`, a terminal in raw mode.
    pub fn new(reactor: &Arc<Reactor>, fd: OwnedFd) -> Result<Self, Errno> {
        let fd = Arc::new(fd);
        let tty = Tty::new(Far::Host(fd.clone()), None);
        tty.state.lock().locked = false;
        let queue = Arc::new(WaitQueue::new());
        let pump = Arc::new(Pump { tty: Arc::downgrade(&tty), fd: fd.clone() });
        let registration = queue.register(Ready::IN | Ready::OUT, pump.clone());
        let watch = reactor.watch(fd.clone(), queue)?;
        let this = Self { tty, fd, _watch: watch, _registration: registration };
        this.update_winsize();
        pump.notify(Ready::IN);
        Ok(this)
    }

    /// Takes over the host's window size (`SIGWINCH` came).
    pub fn update_winsize(&self) {
        if let Ok(size) = host::tty::window_size(self.fd.as_fd()) {
            self.tty.set_winsize(Winsize { ws_row: size.ws_row, ws_col: size.ws_col, ..Winsize::default() });
        }
    }

    /// Opens it for a process.
    pub fn open(&self) -> Result<Box<dyn FileOps>, Errno> {
        pty::open_slave(&self.tty)
    }
}
