//! What becomes of a signal that is sent.

use super::{GroupSignals, deliver::is_fatal_by_default};
use crate::{Kernel, Task, ThreadGroup, tree::ExitStatus};
use abi::{
    Errno, SigInfo, SigSet, Signal,
    process::Resource,
    signal::{DefaultAction, SI_TKILL, SI_USER},
};
use ksync::Ready;
use std::sync::Arc;

const STOPS: SigSet = SigSet::of(&[Signal::SIGSTOP, Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU]);

/// Whom a signal is for.
enum Target<'a> {
    Thread(&'a Arc<Task>),
    Process,
}

impl ThreadGroup {
    /// Sends a signal to the process. `EAGAIN` if it has to be queued and the queue is full.
    pub fn send_signal(self: &Arc<Self>, info: SigInfo) -> Result<(), Errno> {
        self.send(info, Target::Process, false)
    }

    /// The same, from outside of the process' pid namespace: `SIGKILL` and `SIGSTOP` reach even its first process.
    pub fn send_signal_from_outside(self: &Arc<Self>, info: SigInfo) -> Result<(), Errno> {
        self.send(info, Target::Process, true)
    }

    /// Sends a signal to the process; `outside` if the sender is not in its pid namespace.
    pub fn send_signal_as(self: &Arc<Self>, info: SigInfo, outside: bool) -> Result<(), Errno> {
        self.send(info, Target::Process, outside)
    }

    fn send(self: &Arc<Self>, info: SigInfo, target: Target<'_>, outside: bool) -> Result<(), Errno> {
        let Some(signal) = info.signal() else { return Err(Errno::EINVAL) };
        let limit = self.limits.lock().soft(Resource::Sigpending);
        let mut continued = false;
        let mut wakes_all = signal == Signal::SIGKILL;
        let queued;
        let wake: Vec<Arc<Task>>;
        // Of what no thread will deliver: whom to name.
        let mut settled: Option<Arc<Task>> = None;
        {
            let mut group = self.signals.lock();
            if signal == Signal::SIGCONT {
                forget(&mut group, STOPS);
                continued = group.stop.resume();
                group.stop.continues += 1;
                // Seized tracees tell of it whether they were stopped or not.
                wakes_all |= group.live().filter(|t| t.notify_trap()).count() > 0;
            } else if STOPS.contains(signal) {
                forget(&mut group, SigSet::of(&[Signal::SIGCONT]));
            }
            let all: Vec<_> = group.live().collect();
            let ignored = match target {
                Target::Thread(task) => self.is_ignored(&group, task, signal, outside),
                Target::Process => all.first().is_none_or(|t| {
                    // Ignoring is a matter of the whole process, but a thread that blocks or waits for it keeps it.
                    all.iter().all(|t| self.is_ignored(&group, t, signal, outside)) && !t.is_killed()
                }),
            };
            queued = !ignored;
            if ignored {
                settled = all.first().cloned();
                wake = if wakes_all || continued { all } else { Vec::new() };
            } else {
                match target {
                    Target::Thread(task) => task.signals.lock().pending.push(info, limit)?,
                    Target::Process => group.pending.push(info, limit)?,
                }
                let handler = !group.hand.get(signal).is_default();
                if wakes_all || continued {
                    wake = all;
                } else {
                    wake = match target {
                        Target::Thread(task) => vec![task.clone()],
                        Target::Process => pick(&all, signal).into_iter().collect(),
                    };
                }
                // The end of the process needs no thread to get around to it, unless it is stopped: then it waits for `SIGCONT`.
                // A tracer is asked first.
                let takes_it = |t: &Arc<Task>| {
                    !t.signals.lock().mask.contains(signal) && (signal == Signal::SIGKILL || !t.is_traced())
                };
                if !handler
                    && is_fatal_by_default(signal)
                    && !core_dumping(signal)
                    && (signal == Signal::SIGKILL || !group.stop.is_stopped())
                    && wake.iter().any(takes_it)
                {
                    settled = wake.first().cloned().filter(|_| signal != Signal::SIGKILL);
                    self.begin_exit_locked(
                        &mut group,
                        ExitStatus::Signal { signo: signal.number(), core: false },
                    );
                }
            }
        }
        if let Some(task) = settled {
            self.kernel.syscalls.signal_delivered(&task, &info);
        }
        for task in wake {
            task.set_work();
        }
        if queued {
            self.signal_events.notify(Ready::IN | Ready::RDNORM);
        }
        if continued {
            self.announce_continued();
        }
        Ok(())
    }

    /// Whether a signal is dropped at once rather than made pending for `task`.
    fn is_ignored(&self, group: &GroupSignals, task: &Arc<Task>, signal: Signal, outside: bool) -> bool {
        let mine = task.signals.lock();
        if mine.mask.contains(signal) || mine.waiting_for.contains(signal) {
            return false;
        }
        // Tracers want to hear even of what is ignored.
        if task.is_traced() && signal != Signal::SIGKILL {
            return false;
        }
        let action = group.hand.get(signal);
        let insists = outside && matches!(signal, Signal::SIGKILL | Signal::SIGSTOP);
        if group.unkillable && action.is_default() && !insists {
            return true;
        }
        action.is_ignore() || action.is_default() && signal.default_action() == DefaultAction::Ignore
    }

    /// Makes every thread of the process end with `status`, unless it is ending already.
    pub fn begin_exit(self: &Arc<Self>, status: ExitStatus) {
        let threads: Vec<_> = {
            let mut group = self.signals.lock();
            self.begin_exit_locked(&mut group, status);
            group.live().collect()
        };
        for task in threads {
            task.set_work();
        }
    }

    fn begin_exit_locked(&self, group: &mut GroupSignals, status: ExitStatus) {
        self.exiting.lock().get_or_insert(status);
        group.stop.resume();
        for task in group.live() {
            task.mark_killed();
            task.set_work();
        }
    }
}

/// Tells the owner of a file (`F_SETOWN`) that `code` (`POLL_*`) happened: `SIGIO`, or what `F_SETSIG` chose, with details then.
pub fn signal_owner(file: &vfs::File, fd: i32, code: i32) {
    use abi::signal::*;
    let owner = *file.owner.lock();
    let (Some(kernel), true) = (crate::kernel::the_kernel(), owner.id > 0) else { return };
    let urgent = code == super::fasync::URGENT;
    let signal = match Signal::new(owner.signal) {
        _ if urgent => Signal::SIGURG,
        Some(signal) => signal,
        None => Signal::SIGIO,
    };
    let info = match owner.signal {
        _ if urgent => SigInfo::kernel(signal),
        0 => SigInfo::kernel(signal),
        _ => {
            let band = match code {
                POLL_IN => 0x41,
                POLL_OUT => 0x304,
                POLL_MSG => 0x441,
                POLL_ERR => 0x8,
                POLL_PRI => 0x82,
                _ => 0x18,
            };
            SigInfo::poll(signal, code, band, fd)
        }
    };
    let id = owner.id as u32;
    let _ = match owner.kind {
        abi::fcntl::F_OWNER_PGRP => kernel.signal_process_group(id, info),
        abi::fcntl::F_OWNER_TID => {
            kernel.tree.lock().task(id).ok_or(Errno::ESRCH).and_then(|t| t.send_signal(info))
        }
        _ => kernel.tree.lock().group(id).cloned().ok_or(Errno::ESRCH).and_then(|g| g.send_signal(info)),
    };
}

fn core_dumping(signal: Signal) -> bool {
    signal.default_action() == DefaultAction::Core
}

/// Forgets `signals` wherever they are pending in the process.
fn forget(group: &mut GroupSignals, signals: SigSet) {
    group.pending.remove(signals);
    for task in group.live() {
        task.signals.lock().pending.remove(signals);
    }
}

/// The thread that a signal for the whole process is best taken by: the leader if it does not block it.
fn pick(threads: &[Arc<Task>], signal: Signal) -> Option<Arc<Task>> {
    let wants = |t: &&Arc<Task>| {
        let signals = t.signals.lock();
        !signals.mask.contains(signal) || signals.waiting_for.contains(signal)
    };
    let leader = threads.iter().find(|t| t.is_leader()).filter(wants);
    leader.or_else(|| threads.iter().find(wants)).cloned()
}

impl Task {
    /// Sends a signal to this thread. `EAGAIN` if it has to be queued and the queue is full.
    pub fn send_signal(self: &Arc<Self>, info: SigInfo) -> Result<(), Errno> {
        self.group.send(info, Target::Thread(self), false)
    }

    /// The same; `outside` if the sender is not in its pid namespace.
    pub fn send_signal_as(self: &Arc<Self>, info: SigInfo, outside: bool) -> Result<(), Errno> {
        self.group.send(info, Target::Thread(self), outside)
    }

    /// Sends a signal that this thread's own instruction caused: if it is blocked or ignored, the process ends by it.
    pub fn force_signal(self: &Arc<Self>, info: SigInfo) {
        let Some(signal) = info.signal() else { return };
        {
            let mut group = self.group.signals.lock();
            let action = group.hand.get(signal);
            let mut mine = self.signals.lock();
            if mine.mask.contains(signal) || action.is_ignore() {
                group.hand.set(signal, Default::default());
                mine.mask.remove(signal);
            }
            if group.hand.get(signal).is_default() && !self.is_traced() {
                group.unkillable = false; // even the first process does not survive its own fault
            }
            mine.pending.remove(SigSet::of(&[signal]));
            // A full queue must not lose it: no limit.
            let _ = mine.pending.push(info, u64::MAX);
        }
        self.set_work();
    }

    /// Ends the whole process as `signal` would, whatever is blocked or handled.
    pub fn kill_group(self: &Arc<Self>, signal: Signal) {
        self.group.begin_exit(ExitStatus::Signal { signo: signal.number(), core: false });
    }

    /// `siginfo` of a signal that this task sends by `kill(2)` or `tgkill(2)`, as `to` sees it.
    pub fn siginfo_to(&self, to: &ThreadGroup, signal: Signal, thread: bool) -> SigInfo {
        let code = if thread { SI_TKILL } else { SI_USER };
        let pid = to.pid.namespace().and_then(|ns| self.group.pid.number_in(ns)).unwrap_or(0);
        let receiver = to.leader_cred().map(|c| c.user_ns.clone());
        let uid = self.cred().ruid;
        let uid = receiver.map_or(uid.0, |ns| ns.show_uid(uid));
        SigInfo::kill(signal, code, pid as i32, uid)
    }
}

impl Kernel {
    /// Sends a signal to every process of process group `pgid` (terminals, `kill(-pgid)` without checks).
    pub fn signal_process_group(&self, pgid: u32, info: SigInfo) -> Result<(), Errno> {
        let members = self.tree.lock().members(pgid);
        if members.is_empty() {
            return Err(Errno::ESRCH);
        }
        for group in members {
            let _ = group.send_signal(info); // a full queue of one does not concern the others
        }
        Ok(())
    }
}
