//! Job control: stopping and continuing processes.

use crate::{Restart, SysError, SysResult, Task, ThreadGroup};
use abi::{
    SigInfo, Signal,
    signal::{CLD_CONTINUED, CLD_STOPPED, SaFlags},
};
use ksync::Ready;
use std::{
    future::poll_fn,
    sync::{Arc, atomic::Ordering},
    task::Poll,
};

/// Where a process is between running and stopped.
#[derive(Clone, Copy, Debug, Default)]
pub struct StopState {
    /// The signal that stops it.
    signal: Option<Signal>,
    /// Threads that have noticed.
    noticed: usize,
    /// What `waitpid(WUNTRACED)` has not been told yet.
    pub unreported_stop: Option<Signal>,
    /// What `waitpid(WCONTINUED)` has not been told yet.
    pub unreported_continue: bool,
    /// All threads have noticed.
    stopped: bool,
}

impl StopState {
    /// Whether threads are to stop.
    pub fn is_stopping(&self) -> bool {
        self.signal.is_some()
    }
    /// Whether all threads have stopped (state `T`).
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }
    /// Begins a stop.
    pub(super) fn begin(&mut self, signal: Signal) {
        if self.signal.is_none() {
            *self = Self { signal: Some(signal), ..Self::default() };
        }
    }
    /// Ends a stop; whether there was one.
    pub(super) fn resume(&mut self) -> bool {
        let was = self.signal.take().is_some();
        if was {
            *self = Self { unreported_continue: self.stopped, ..Self::default() };
        }
        was
    }
}

impl Task {
    /// Takes part in a stop of the process: sleeps until it is continued or ends.
    pub(super) async fn stop_here(self: &Arc<Self>) {
        let complete = {
            let mut group = self.group.signals.lock();
            let threads = group.live().filter(|t| !t.dead.load(Ordering::Relaxed)).count();
            let stop = &mut group.stop;
            match stop.signal {
                None => return,
                Some(signal) => {
                    stop.noticed += 1;
                    let complete = stop.noticed >= threads && !stop.stopped;
                    if complete {
                        stop.stopped = true;
                        stop.unreported_stop = Some(signal);
                    }
                    complete.then_some(signal)
                }
            }
        };
        if let Some(signal) = complete {
            self.group.tell_parent_of_stop(CLD_STOPPED, signal);
        }
        poll_fn(|cx| {
            self.set_sleeper(Some(cx.waker().clone()));
            let stopped = self.group.signals.lock().stop.is_stopping();
            if stopped && !self.is_killed() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        self.set_sleeper(None);
    }

    /// Sleeps while the whole sandbox is paused.
    pub(super) async fn pause_here(self: &Arc<Self>) {
        let pause = &self.kernel.pause;
        let resumed = poll_fn(|cx| {
            let _registration = pause.queue.register(Ready::OTHER, Arc::new(cx.waker().clone()));
            if pause.paused.load(Ordering::SeqCst) {
                // Kept beyond this poll: the waker is registered until the next one.
                pause.keep(self.tid(), _registration);
                return Poll::Pending;
            }
            Poll::Ready(())
        });
        resumed.await;
        pause.forget(self.tid());
    }

    /// `pause(2)` and what waits likewise: until a signal comes.
    pub async fn wait_for_signal(self: &Arc<Self>) -> SysResult<std::convert::Infallible> {
        match self.block_on(crate::task::Wait::default(), || Err(abi::Errno::EAGAIN)).await {
            Ok(never) => Ok(never),
            Err(SysError::Interrupted(_)) => Err(SysError::Interrupted(Restart::NoHandler)),
            Err(e) => Err(e),
        }
    }
}

impl ThreadGroup {
    /// Tells the parent that the process goes on.
    pub(super) fn announce_continued(self: &Arc<Self>) {
        self.tell_parent_of_stop(CLD_CONTINUED, Signal::SIGCONT);
    }

    /// Wakes a parent that waits, and sends it `SIGCHLD` unless it asked not to be told of stops.
    fn tell_parent_of_stop(self: &Arc<Self>, code: i32, signal: Signal) {
        let Some(parent) = self.parent() else { return };
        let wanted = {
            let signals = parent.signals.lock();
            let action = signals.hand.get(Signal::SIGCHLD);
            !action.sa_flags().contains(SaFlags::NOCLDSTOP)
        };
        if wanted {
            let (pid, uid) = self.seen_by(&parent);
            let _ = parent.send_signal(SigInfo::chld(code, pid, uid, signal.number(), 0, 0));
        }
        parent.child_events.notify(Ready::OTHER);
    }

    /// The parent, unless it has gone.
    pub fn parent(&self) -> Option<Arc<ThreadGroup>> {
        let tree = self.kernel.tree.lock();
        let parent = tree.nodes.get(&self.tgid())?.parent;
        tree.group(parent).cloned()
    }

    /// Number and user of this process as another one sees them.
    pub fn seen_by(&self, other: &ThreadGroup) -> (i32, u32) {
        let pid = other.pid.namespace().and_then(|ns| self.pid.number_in(ns)).unwrap_or(0);
        let mine = self.leader_cred().map(|c| c.ruid).unwrap_or_default();
        let uid = other.leader_cred().map_or(mine.0, |c| c.user_ns.show_uid(mine));
        (pid as i32, uid)
    }
}
