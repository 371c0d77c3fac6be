//! How a tracee goes on: `PTRACE_CONT` and its kin, `PTRACE_LISTEN`, `PTRACE_INTERRUPT`.

use super::Hooks;
use crate::Task;
use abi::{Errno, SigInfo, Signal, process::PTRACE_EVENT_STOP};
use std::sync::Arc;

/// Up to where a tracee goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resume {
    /// The next signal or event (`PTRACE_CONT`).
    Continue,
    /// The next beginning or end of a system call (`PTRACE_SYSCALL`).
    Syscall,
    /// The next beginning of a system call, which is not made (`PTRACE_SYSEMU`).
    Emulate,
    /// The same, or one instruction (`PTRACE_SYSEMU_SINGLESTEP`).
    EmulateStep,
    /// One instruction (`PTRACE_SINGLESTEP`).
    Step,
}

impl Resume {
    fn hooks(self) -> Hooks {
        match self {
            Resume::Continue => Hooks::empty(),
            Resume::Syscall => Hooks::SYSCALL,
            Resume::Emulate => Hooks::SYSEMU,
            Resume::EmulateStep => Hooks::SYSEMU | Hooks::STEP,
            Resume::Step => Hooks::STEP,
        }
    }
}

/// A signal to go on with, or 0; `EIO`.
pub(super) fn signal_number(signal: u64) -> Result<i32, Errno> {
    let number = i32::try_from(signal).map_err(|_| Errno::EIO)?;
    if number == 0 || Signal::new(number).is_some() { Ok(number) } else { Err(Errno::EIO) }
}

impl Task {
    /// Lets this task, a tracee in a ptrace-stop, go on with `signal` (0 for none).
    pub fn resume_tracee(self: &Arc<Self>, how: Resume, signal: u64) -> Result<(), Errno> {
        let code = signal_number(signal)?;
        {
            let mut ptrace = self.ptrace.lock();
            if !ptrace.is_open() {
                return Err(Errno::ESRCH);
            }
            self.remove_hooks(Hooks::RESUMPTION);
            self.add_hooks(how.hooks());
            ptrace.code = code;
            if let Some(stop) = &mut ptrace.stop {
                stop.resumed = true;
            }
        }
        self.wake();
        Ok(())
    }

    /// `PTRACE_LISTEN`: this task, stopped with its process, stays so, but its tracer hears of what becomes of that stop. `EIO`.
    pub fn listen(self: &Arc<Self>) -> Result<(), Errno> {
        {
            let mut ptrace = self.ptrace.lock();
            let info = ptrace.stop.filter(|_| ptrace.is_open()).ok_or(Errno::ESRCH)?.info;
            let in_stop = info.is_some_and(|i| i.si_code >> 8 == PTRACE_EVENT_STOP as i32);
            if !in_stop || !self.hooks().contains(Hooks::SEIZED) {
                return Err(Errno::EIO);
            }
            ptrace.listening = true;
        }
        self.wake();
        Ok(())
    }

    /// `PTRACE_INTERRUPT`: this tracee stops, whatever it does. `EIO` unless it was seized.
    pub fn interrupt_tracee(self: &Arc<Self>) -> Result<(), Errno> {
        if !self.hooks().contains(Hooks::SEIZED) {
            return Err(Errno::EIO);
        }
        self.add_hooks(Hooks::TRAP_STOP);
        self.set_work();
        Ok(())
    }

    /// `PTRACE_KILL`.
    pub fn kill_tracee(self: &Arc<Self>) {
        let _ = self.send_signal_as(SigInfo::kernel(Signal::SIGKILL), true); // ends already if not
    }

    /// A stop of the process began or ended: a seized tracee is to tell. The caller calls [`set_work`](Self::set_work) on it.
    pub(crate) fn notify_trap(&self) -> bool {
        let seized = self.hooks().contains(Hooks::SEIZED);
        if seized {
            self.add_hooks(Hooks::TRAP_NOTIFY);
        }
        seized
    }
}
