//! Job control: stopping and continuing processes.

use crate::{Restart, SysError, SysResult, Task, ThreadGroup};
use abi::{
    Signal,
    signal::{CLD_CONTINUED, CLD_STOPPED},
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
    /// Counts stops. A thread that has taken part in this one remembers the number, since a tracer may let it go on.
    generation: u64,
    /// How often the process was continued: a stop signal that was taken off the queue before that stops nobody.
    pub(crate) continues: u64,
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
    /// The signal that stops it.
    pub(crate) fn signal(&self) -> Option<Signal> {
        self.signal
    }
    /// Which stop this is.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }
    /// Whether `task` is to stop and has not done so yet.
    pub(super) fn wants(&self, task: &Task) -> bool {
        self.is_stopping() && task.joined_stop.load(Ordering::SeqCst) != self.generation
    }
    /// Begins a stop, or another one if a tracer has let somebody go on meanwhile.
    pub(super) fn begin(&mut self, signal: Signal) {
        let (generation, continues) = (self.generation + 1, self.continues);
        if self.signal.is_none() {
            *self = Self { continues, ..Self::default() };
        }
        (self.signal, self.generation) = (Some(signal), generation);
    }
    /// Ends a stop; whether there was one.
    pub(super) fn resume(&mut self) -> bool {
        let was = self.signal.take().is_some();
        if was {
            let (generation, continues) = (self.generation, self.continues);
            *self = Self { unreported_continue: self.stopped, generation, continues, ..Self::default() };
        }
        was
    }
}

impl Task {
    /// Takes part in a stop of the process; as its last thread, tells the parent.
    ///
    /// Whether it is to sleep here, rather than in a ptrace-stop; `None` where there is no stop any more.
    fn join_stop(self: &Arc<Self>) -> Option<bool> {
        let (complete, asleep) = {
            let mut group = self.group.signals.lock();
            let signal = group.stop.signal?;
            self.joined_stop.store(group.stop.generation, Ordering::SeqCst);
            let missing = group.live().any(|t| !t.dead.load(Ordering::Relaxed) && group.stop.wants(&t));
            let complete = !missing && !group.stop.stopped;
            if complete {
                (group.stop.stopped, group.stop.unreported_stop) = (true, Some(signal));
            }
            let asleep = !self.is_traced();
            self.asleep_in_stop.store(asleep, Ordering::SeqCst);
            (complete.then_some(signal), asleep)
        };
        if let Some(signal) = complete {
            self.group.tell_parent_of_stop(CLD_STOPPED, signal, Some(self));
        }
        Some(asleep)
    }

    /// Takes part in a stop of the process: sleeps until it is continued or ends, or for as long as its tracer wants.
    pub(super) async fn stop_here(self: &Arc<Self>) {
        let Some(asleep) = self.join_stop() else { return };
        if asleep {
            poll_fn(|cx| {
                self.set_sleeper(Some(cx.waker().clone()));
                let stopped = self.group.signals.lock().stop.is_stopping();
                // Whoever is attached to has to stop in the way that its tracer can tell.
                if stopped && !self.is_killed() && !self.is_traced() {
                    Poll::Pending
                } else {
                    Poll::Ready(())
                }
            })
            .await;
            self.set_sleeper(None);
            let stopped = {
                let group = self.group.signals.lock();
                self.asleep_in_stop.store(false, Ordering::SeqCst);
                group.stop.is_stopping()
            };
            if !stopped {
                return;
            }
        }
        if self.is_traced() {
            Box::pin(self.trap_stop()).await;
        }
    }

    /// Whether it sleeps in a stop of the process that no tracer has a say in.
    pub(crate) fn is_asleep_in_stop(&self) -> bool {
        let _group = self.group.signals.lock();
        self.asleep_in_stop.load(Ordering::SeqCst)
    }

    /// Its tracer has gone: if its process is stopped, it stops again.
    pub(crate) fn rejoin_stop(&self) {
        self.joined_stop.store(0, Ordering::SeqCst);
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
        self.tell_parent_of_stop(CLD_CONTINUED, Signal::SIGCONT, None);
        let tracer = {
            let tree = self.kernel.tree.lock();
            let node = tree.nodes.get(&self.tgid()).filter(|n| n.leader_tracer != n.parent);
            node.and_then(|n| tree.group(n.leader_tracer).cloned())
        };
        if let Some(tracer) = tracer {
            self.tell_of_stop(&tracer, None, CLD_CONTINUED, Signal::SIGCONT.number());
            tracer.child_events.notify(Ready::OTHER);
        }
    }

    /// Wakes a parent that waits, and sends it `SIGCHLD` unless it asked not to be told of stops. Not if it traces `task`, the
    /// last thread that stopped, and is told by that.
    fn tell_parent_of_stop(self: &Arc<Self>, code: i32, signal: Signal, task: Option<&Arc<Task>>) {
        let Some(parent) = self.parent() else { return };
        let tracer = task.and_then(|t| t.tracer());
        if tracer.is_some_and(|t| Arc::ptr_eq(&t.group, &parent)) {
            return;
        }
        self.tell_of_stop(&parent, None, code, signal.number());
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
