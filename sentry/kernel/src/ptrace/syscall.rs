//! System calls of traced tasks: the stops before and behind them, filters that ask the tracer.

use super::{Event, Hooks, arch};
use crate::{Restart, SysError, SysResult, Task, seccomp::Verdict};
use abi::{
    Errno, SigInfo, Signal,
    process::{PTRACE_EVENTMSG_SYSCALL_ENTRY, PTRACE_EVENTMSG_SYSCALL_EXIT, PtraceOptions},
    signal::{SI_USER, TRAP_BRKPT},
};
use std::sync::Arc;

impl Task {
    /// Answers the call that the registers hold as the tracer wants it; how it wants to be restarted if it was cut short.
    pub(crate) async fn traced_syscall(self: &Arc<Self>) -> Option<Restart> {
        {
            let mut regs = self.regs.lock();
            arch::begin_call(&mut regs);
        }
        let result = self.traced_answer().await;
        let mut interrupted = self.finish_syscall(result);
        let hooks = self.hooks();
        if hooks.contains(Hooks::STEP) {
            if !hooks.contains(Hooks::SYSEMU) {
                let at = arch::instruction_pointer(&self.regs.lock());
                self.force_signal(SigInfo::fault(Signal::SIGTRAP, TRAP_BRKPT, at));
            }
        } else if hooks.contains(Hooks::SYSCALL) && !self.is_killed() {
            self.syscall_stop(PTRACE_EVENTMSG_SYSCALL_EXIT).await;
            interrupted = self.restart_wanted();
        }
        if interrupted.is_some() {
            self.set_work();
        }
        interrupted
    }

    async fn traced_answer(self: &Arc<Self>) -> SysResult {
        let hooks = self.hooks();
        if hooks.contains(Hooks::USER_DISPATCH)
            && let Some(result) = self.hand_back(self.call_in_registers().0)
        {
            return result;
        }
        if hooks.intersects(Hooks::SYSCALL | Hooks::SYSEMU) {
            self.syscall_stop(PTRACE_EVENTMSG_SYSCALL_ENTRY).await;
            if self.is_killed() || hooks.contains(Hooks::SYSEMU) {
                return self.keep_result();
            }
        }
        let suspended = self.ptrace.lock().options.contains(PtraceOptions::SUSPEND_SECCOMP);
        if !suspended && let Some(result) = self.filter_traced().await {
            return result;
        }
        // The tracer may have made another call of it, or none.
        let (nr, args) = self.call_in_registers();
        if nr as i32 == -1 {
            return self.keep_result();
        }
        self.make_call(nr, args).await
    }

    /// What is in the result register already.
    fn keep_result(&self) -> SysResult {
        Ok(self.regs.lock().rax)
    }

    /// Asks the filters; `Some` where the call is not to be made.
    async fn filter_traced(self: &Arc<Self>) -> Option<SysResult> {
        let mut asked = false;
        loop {
            let (nr, args) = self.call_in_registers();
            let data = match self.filter_syscall(nr, args) {
                Verdict::Make => return None,
                Verdict::Answer(result) => return Some(result),
                Verdict::Notify(listener, data) => return self.ask_listener(listener, data).await,
                Verdict::Trace(data) => data,
            };
            if asked {
                return None; // the tracer has seen it
            }
            if !self.reports(Event::Seccomp) {
                return Some(Err(Errno::ENOSYS.into()));
            }
            self.report(Event::Seccomp, u64::from(data)).await;
            if self.is_killed() || self.call_in_registers().0 as i32 == -1 {
                return Some(self.keep_result());
            }
            asked = true;
        }
    }

    /// Syscall-stop. A signal that the tracer lets it go on with is sent.
    async fn syscall_stop(self: &Arc<Self>, message: u64) {
        let good = self.ptrace.lock().options.contains(PtraceOptions::TRACESYSGOOD);
        let code = Signal::SIGTRAP.number() | if good { 0x80 } else { 0 };
        let signal = self.stop_with_code(code, message, false).await;
        if let Some(signal) = Signal::new(signal)
            && !self.is_killed()
        {
            let info = SigInfo::kill(signal, SI_USER, 0, 0);
            let _ = self.send_signal(SigInfo { si_code: abi::signal::SI_KERNEL, ..info });
        }
    }

    /// How the call that the registers say was cut short wants to be restarted: debuggers set registers so.
    pub(crate) fn restart_wanted(&self) -> Option<Restart> {
        arch::restart_of(&self.regs.lock())
    }

    /// Puts the result of a system call where the application finds it; an interruption is for signal delivery.
    pub(crate) fn finish_syscall(&self, result: SysResult) -> Option<Restart> {
        let (value, restart) = match result {
            Ok(value) => (value, None),
            Err(SysError::Errno(e)) => ((-i64::from(e.code())) as u64, None),
            Err(SysError::Interrupted(restart)) => {
                self.set_work();
                (restart.result(), Some(restart))
            }
        };
        if !self.take_registers_replaced() {
            self.regs.lock().rax = value;
        }
        restart
    }
}
