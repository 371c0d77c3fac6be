//! Staying in front of a container or of a process in it: passing signals on, relaying a terminal, waiting.

use crate::{console, signals, state::State};
use control_proto::{SignalArgs, SignalMode};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, SigmaskHow, Signal, pthread_sigmask},
        signalfd::{SfdFlags, SignalFd},
    },
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The signals that this command passes on, blocked and read from a descriptor.
pub struct Signals {
    fd: SignalFd,
    before: SigSet,
}

impl Signals {
    /// Blocks them. Call before anything is started, so that none is lost.
    pub fn block() -> anyhow::Result<Self> {
        let set = signals::forwarded();
        let mut before = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut before))?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self { fd, before })
    }

    fn next(&self) -> Option<i32> {
        self.fd.read_signal().ok().flatten().and_then(|info| i32::try_from(info.ssi_signo).ok())
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}

/// Whom signals go to.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Process in the container; 0 is its init.
    pub pid: i32,
    /// It has a terminal: what a person types goes to the foreground process group.
    pub terminal: bool,
}

/// Stays until `done` is readable.
///
/// `master` is the terminal to relay, `person` the one where a person sits.
pub fn wait(
    state: &State,
    target: Target,
    signals: &Signals,
    done: BorrowedFd<'_>,
    master: Option<&OwnedFd>,
    person: Option<&console::SavedTerminal>,
) -> anyhow::Result<()> {
    let mut output = master;
    if let (Some(master), Some(person)) = (master, person) {
        person.copy_size(master.as_fd());
    }
    host::map::forget_code();
    loop {
        let mut fds =
            vec![PollFd::new(signals.fd.as_fd(), PollFlags::POLLIN), PollFd::new(done, PollFlags::POLLIN)];
        fds.extend(output.map(|master| PollFd::new(master.as_fd(), PollFlags::POLLIN)));
        match poll(&mut fds, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => continue,
            other => other?,
        };
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        let is_ready = |index: usize| ready.get(index).copied().unwrap_or(false);
        if is_ready(2)
            && let Some(master) = output
            && !console::copy_output(master)
        {
            output = None;
        }
        if is_ready(0) {
            while let Some(signal) = signals.next() {
                pass_on(state, target, signal, master, person);
            }
        }
        // Output first: what the container said before its end is shown.
        if is_ready(1) && !(is_ready(2) && output.is_some()) {
            return Ok(());
        }
    }
}

fn pass_on(
    state: &State,
    target: Target,
    signal: i32,
    master: Option<&OwnedFd>,
    person: Option<&console::SavedTerminal>,
) {
    if signal == Signal::SIGWINCH as i32
        && let (Some(master), Some(person)) = (master, person)
    {
        person.copy_size(master.as_fd());
    }
    if signal == Signal::SIGURG as i32 {
        return;
    }
    let typed = [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGWINCH].map(|signal| signal as i32);
    let mode = if target.terminal && typed.contains(&signal) {
        SignalMode::ForegroundProcessGroup
    } else {
        SignalMode::Process
    };
    let args = SignalArgs { cid: state.id.clone(), signo: signal, pid: target.pid, mode };
    if let Err(error) = state.connect().and_then(|mut client| Ok(client.signal(&args)?)) {
        log::debug!("signal {signal} not passed on: {error:#}");
    }
}
