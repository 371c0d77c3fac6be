//! Job control: sessions, foreground process groups, and who may use a terminal (`credentials(7)`, `tcsetpgrp(3)`).

use super::Tty;
use crate::{Task, ThreadGroup, current, tree::ProcessTree};
use abi::{Errno, SigInfo, Signal, process::Cap};
use std::sync::Arc;

/// Whose terminal it is, by numbers of the initial pid namespace.
#[derive(Clone, Copy, Default)]
pub(crate) struct Jobs {
    /// Session.
    pub session: Option<u32>,
    /// Foreground process group.
    pub foreground: Option<u32>,
}

/// The caller's place, looked up once.
struct Caller {
    task: Arc<Task>,
    pgid: u32,
    sid: u32,
}

fn caller() -> Option<Caller> {
    let task = current()?;
    let tree = task.kernel.tree.lock();
    let node = tree.nodes.get(&task.group.tgid())?;
    let (pgid, sid) = (node.pgid, node.sid);
    drop(tree);
    Some(Caller { task, pgid, sid })
}

impl Tty {
    /// Session and foreground group, by numbers of the initial pid namespace (`/proc/pid/stat`).
    pub fn session_and_foreground(&self) -> (Option<u32>, Option<u32>) {
        let jobs = *self.jobs.lock();
        (jobs.session, jobs.foreground)
    }

    /// Stops a caller in the background: `EAGAIN` with `signal` sent to its group, `EIO` where that cannot work.
    pub(crate) fn check_foreground(&self, signal: Signal) -> Result<(), Errno> {
        let Some(caller) = caller() else { return Ok(()) };
        let jobs = *self.jobs.lock();
        if jobs.session != Some(caller.sid) || jobs.foreground.is_none_or(|fg| fg == caller.pgid) {
            return Ok(());
        }
        let deaf = {
            let group = caller.task.group.signals.lock();
            let ignored = group.hand.get(signal).is_ignore();
            ignored || caller.task.signals.lock().mask.contains(signal)
        };
        match (deaf, signal) {
            (true, Signal::SIGTTIN) => return Err(Errno::EIO),
            (true, _) => return Ok(()),
            _ => {}
        }
        if caller.task.group.is_orphaned() {
            return Err(Errno::EIO);
        }
        let _ = caller.task.kernel.signal_process_group(caller.pgid, SigInfo::kernel(signal));
        Err(Errno::EAGAIN) // with a signal pending: the call is restarted behind the stop
    }

    /// Sends `signal` to the foreground process group.
    pub(crate) fn signal_foreground(&self, signal: Signal) {
        let foreground = self.jobs.lock().foreground;
        if let (Some(pgid), Some(kernel)) = (foreground, crate::kernel::the_kernel()) {
            let _ = kernel.signal_process_group(pgid, SigInfo::kernel(signal));
        }
    }

    /// Makes this the controlling terminal of the caller's session (`TIOCSCTTY`). `steal` takes it from another session.
    pub fn make_controlling(self: &Arc<Self>, task: &Arc<Task>, steal: bool) -> Result<(), Errno> {
        let mut tree = task.kernel.tree.lock();
        let node = tree.nodes.get(&task.group.tgid()).ok_or(Errno::ESRCH)?;
        let (sid, pgid) = (node.sid, node.pgid);
        let mut jobs = self.jobs.lock();
        if jobs.session == Some(sid) && sid == task.group.tgid() {
            return Ok(());
        }
        if sid != task.group.tgid() || tree.sessions.get(&sid).is_some_and(|s| s.terminal.is_some()) {
            return Err(Errno::EPERM);
        }
        if let Some(other) = jobs.session {
            if !steal || !task.cred().has_cap(Cap::SYS_ADMIN) {
                return Err(Errno::EPERM);
            }
            if let Some(session) = tree.sessions.get_mut(&other) {
                session.terminal = None;
            }
        }
        tree.sessions.entry(sid).or_default().terminal = Some(self.clone());
        *jobs = Jobs { session: Some(sid), foreground: Some(pgid) };
        Ok(())
    }

    /// `TIOCNOTTY`: the session gives up its terminal if the caller leads it; others only leave the question.
    pub(crate) fn give_up(&self) -> Result<(), Errno> {
        let caller = caller().ok_or(Errno::ENOTTY)?;
        if self.jobs.lock().session != Some(caller.sid) {
            return Err(Errno::ENOTTY);
        }
        if caller.sid == caller.task.group.tgid() {
            disassociate(&caller.task.group, self);
        }
        Ok(())
    }

    /// `tcgetpgrp(3)` as the caller sees numbers.
    pub(crate) fn foreground_for_caller(&self) -> Result<i32, Errno> {
        let caller = caller().ok_or(Errno::ENOTTY)?;
        let jobs = *self.jobs.lock();
        if jobs.session != Some(caller.sid) {
            return Err(Errno::ENOTTY);
        }
        Ok(jobs.foreground.map_or(0, |pgid| seen(&caller.task, pgid)))
    }

    /// `tcgetsid(3)` as the caller sees numbers.
    pub(crate) fn session_for_caller(&self) -> Result<i32, Errno> {
        let caller = caller().ok_or(Errno::ENOTTY)?;
        let session = self.jobs.lock().session.filter(|s| *s == caller.sid).ok_or(Errno::ENOTTY)?;
        Ok(seen(&caller.task, session))
    }

    /// `tcsetpgrp(3)`.
    pub(crate) fn set_foreground(&self, number: i32) -> Result<(), Errno> {
        let caller = caller().ok_or(Errno::ENOTTY)?;
        if self.jobs.lock().session != Some(caller.sid) {
            return Err(Errno::ENOTTY);
        }
        let number = u32::try_from(number).map_err(|_| Errno::EINVAL)?;
        let pgid = caller.task.pid_namespace().find(number).ok_or(Errno::ESRCH)?.root();
        let tree = caller.task.kernel.tree.lock();
        let member = tree.groups.get(&pgid).and_then(|m| m.iter().next()).and_then(|t| tree.nodes.get(t));
        match member {
            None => Err(Errno::ESRCH),
            Some(node) if node.sid != caller.sid => Err(Errno::EPERM),
            Some(_) => {
                self.jobs.lock().foreground = Some(pgid);
                Ok(())
            }
        }
    }

    /// The line has gone: the leader of the session and its foreground group are told.
    pub(super) fn hang_up_session(&self) {
        let jobs = std::mem::take(&mut *self.jobs.lock());
        let (Some(kernel), Some(sid)) = (crate::kernel::the_kernel(), jobs.session) else { return };
        let leader = {
            let mut tree = kernel.tree.lock();
            if let Some(session) = tree.sessions.get_mut(&sid) {
                session.terminal = None;
            }
            tree.group(sid).cloned()
        };
        if let Some(leader) = leader {
            let _ = leader.send_signal(SigInfo::kernel(Signal::SIGHUP));
            let _ = leader.send_signal(SigInfo::kernel(Signal::SIGCONT));
        }
        if let Some(pgid) = jobs.foreground {
            let _ = kernel.signal_process_group(pgid, SigInfo::kernel(Signal::SIGHUP));
            let _ = kernel.signal_process_group(pgid, SigInfo::kernel(Signal::SIGCONT));
        }
    }
}

fn seen(task: &Task, number: u32) -> i32 {
    let pid = task.kernel.tree.lock().pids.get(&number).cloned();
    pid.and_then(|p| p.number_in(&task.pid_namespace())).unwrap_or(0) as i32
}

/// The leader `group` of a session lets go of `tty`; its foreground group is told.
fn disassociate(group: &ThreadGroup, tty: &Tty) {
    let jobs = std::mem::take(&mut *tty.jobs.lock());
    if let Some(session) = group.kernel.tree.lock().sessions.get_mut(&group.tgid()) {
        session.terminal = None;
    }
    if let Some(pgid) = jobs.foreground {
        let _ = group.kernel.signal_process_group(pgid, SigInfo::kernel(Signal::SIGHUP));
        let _ = group.kernel.signal_process_group(pgid, SigInfo::kernel(Signal::SIGCONT));
    }
}

impl ProcessTree {
    /// The controlling terminal of the session of process `tgid`.
    pub fn terminal_of(&self, tgid: u32) -> Option<Arc<Tty>> {
        let sid = self.nodes.get(&tgid)?.sid;
        self.sessions.get(&sid)?.terminal.clone()?.downcast::<Tty>().ok()
    }
}

impl ThreadGroup {
    /// The controlling terminal of the process (`/dev/tty`, `/proc/pid/stat`).
    pub fn terminal(&self) -> Option<Arc<Tty>> {
        self.kernel.tree.lock().terminal_of(self.tgid())
    }

    /// The leader of a session ends: its terminal is given up.
    pub(crate) fn leave_terminal(&self) {
        let tty = {
            let tree = self.kernel.tree.lock();
            let leads = tree.nodes.get(&self.tgid()).is_some_and(|n| n.sid == self.tgid());
            if leads { tree.terminal_of(self.tgid()) } else { None }
        };
        if let Some(tty) = tty {
            disassociate(self, &tty);
        }
    }
}
