//! What a task does about pending signals before it runs application code again.

use super::arch;
use crate::{Restart, Task, ptrace::Hooks, task::run::Next, tree::ExitStatus};
use abi::{
    Errno, SigInfo, SigSet, Signal,
    signal::{DefaultAction, SaFlags, SigAction},
};
use std::sync::{Arc, atomic::Ordering};

/// Whether `signal` without a handler ends a process.
pub fn is_fatal_by_default(signal: Signal) -> bool {
    matches!(signal.default_action(), DefaultAction::Term | DefaultAction::Core)
}

/// What is to be done about one pending signal.
enum Todo {
    Handle(SigInfo, SigAction),
    Die(ExitStatus),
    Nothing,
}

impl Task {
    /// Delivers signals, stops, exits: all that comes before application code runs again.
    ///
    /// `interrupted` is how the system call that was just cut short wants to be restarted.
    pub async fn do_work(self: &Arc<Self>, mut interrupted: Option<Restart>) -> Next {
        loop {
            self.work.store(false, Ordering::SeqCst);
            if self.is_killed() {
                return Next::Exit;
            }
            if self.kernel.pause.paused.load(Ordering::SeqCst) {
                self.pause_here().await;
                continue;
            }
            if self.group.signals.lock().stop.wants(self) {
                self.stop_here().await;
                self.look_again_at(&mut interrupted);
                continue;
            }
            if self.trap_pending() {
                Box::pin(self.trap_stop()).await;
                self.look_again_at(&mut interrupted);
                continue;
            }
            let Some((mut info, continues)) = self.next_signal() else { break };
            if self.is_traced() && info.signal() != Some(Signal::SIGKILL) {
                let left = Box::pin(self.trace_signal(info)).await;
                self.look_again_at(&mut interrupted);
                match left {
                    Some(left) => info = left,
                    None => continue,
                }
            }
            self.kernel.syscalls.signal_delivered(self, &info);
            match self.decide(info, continues) {
                Todo::Die(status) => self.group.begin_exit(status),
                Todo::Nothing => {}
                Todo::Handle(info, action) => {
                    self.note_timer_delivery(&info);
                    self.prepare_restart(interrupted.take(), Some(&action));
                    if self.enter_handler(info, &action).is_err() {
                        self.bad_frame(&info);
                    } else if self.hooks().contains(Hooks::STEP) {
                        // One step led to the handler's first instruction.
                        Box::pin(self.stop_with_code(Signal::SIGTRAP.number(), 0, false)).await;
                        self.look_again_at(&mut interrupted);
                    }
                }
            }
        }
        if interrupted.is_some() {
            self.prepare_restart(interrupted, None);
        }
        // No handler ran: a call with a mask of its own gets the old one back.
        self.restore_mask();
        Next::Resume
    }

    /// What a tracer may have done to the restart of the call that was cut short.
    fn look_again_at(&self, interrupted: &mut Option<Restart>) {
        *interrupted = self.restart_wanted();
    }

    /// Takes the next signal, and how often the process had been continued by then.
    fn next_signal(&self) -> Option<(SigInfo, u64)> {
        let mut group = self.group.signals.lock();
        let mut mine = self.signals.lock();
        let mask = mine.mask;
        let info = mine.pending.pop(mask).or_else(|| group.pending.pop(mask))?;
        Some((info, group.stop.continues))
    }

    /// Decides what becomes of a signal.
    fn decide(self: &Arc<Self>, info: SigInfo, continues: u64) -> Todo {
        let Some(signal) = info.signal() else { return Todo::Nothing };
        let group = self.group.signals.lock();
        let action = group.hand.get(signal);
        if action.is_ignore() {
            return Todo::Nothing;
        }
        if !action.is_default() {
            if action.sa_flags().contains(SaFlags::RESETHAND) {
                group.hand.set(signal, SigAction { handler: 0, ..action });
            }
            return Todo::Handle(info, action);
        }
        if group.unkillable && !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP) {
            return Todo::Nothing;
        }
        drop(group);
        match signal.default_action() {
            DefaultAction::Ignore | DefaultAction::Cont => Todo::Nothing,
            DefaultAction::Stop => {
                // Only SIGSTOP stops a process whose group nobody could continue.
                if signal == Signal::SIGSTOP || !self.group.is_orphaned() {
                    self.group.begin_stop(signal, continues);
                    self.kernel.syscalls.thread_stopped(self, signal.number());
                }
                Todo::Nothing
            }
            action @ (DefaultAction::Term | DefaultAction::Core) => {
                let core = action == DefaultAction::Core && self.kernel.dumps_core(self);
                Todo::Die(ExitStatus::Signal { signo: signal.number(), core })
            }
        }
    }

    /// Takes a pending signal of `set` without delivering it (`sigtimedwait`, signalfd).
    pub fn take_signal(&self, set: SigSet) -> Option<SigInfo> {
        let info = {
            let mut group = self.group.signals.lock();
            let mut mine = self.signals.lock();
            mine.pending.pop(set.complement()).or_else(|| group.pending.pop(set.complement()))
        };
        if let Some(info) = &info {
            self.note_timer_delivery(info);
        }
        info
    }

    /// Sets the registers so that the interrupted call is made again, or fails with `EINTR`.
    fn prepare_restart(&self, interrupted: Option<Restart>, handler: Option<&SigAction>) {
        let Some(restart) = interrupted else { return };
        let again = match (restart, handler) {
            (Restart::Always, _) | (_, None) => true,
            (Restart::IfAsked, Some(action)) => action.sa_flags().contains(SaFlags::RESTART),
            (Restart::NoHandler | Restart::Block, Some(_)) => false,
        };
        let mut regs = self.regs.lock();
        if !again {
            regs.rax = (-i64::from(Errno::EINTR.code())) as u64;
            return;
        }
        arch::restart_syscall(&mut regs, restart == Restart::Block && handler.is_none());
    }

    /// Makes application code continue in `action`'s handler.
    fn enter_handler(self: &Arc<Self>, info: SigInfo, action: &SigAction) -> Result<(), Errno> {
        let mm = self.mm()?;
        let fp = self.context.lock().as_mut().map(|c| c.fp()).ok_or(Errno::ESRCH)?;
        let mut regs = *self.regs.lock();
        let (mask, alt_stack, on_alt) = {
            let signals = self.signals.lock();
            (signals.saved_mask.unwrap_or(signals.mask), signals.alt_stack, signals.on_alt_stack(regs.rsp))
        };
        let interruption =
            arch::Interruption { info: &info, action, mask, alt_stack: &alt_stack, on_alt, fp: &fp };
        arch::push_frame(&*mm, &mut regs, &interruption)?;
        *self.regs.lock() = regs;
        let mut signals = self.signals.lock();
        signals.saved_mask = None;
        let mut blocked = action.mask;
        if !action.sa_flags().contains(SaFlags::NODEFER)
            && let Some(signal) = info.signal()
        {
            blocked.insert(signal);
        }
        signals.mask = signals.mask.union(blocked).blockable();
        if signals.alt_stack.ss_flags & abi::signal::SsFlags::AUTODISARM.bits() != 0 {
            signals.alt_stack = super::no_alt_stack();
        }
        Ok(())
    }

    /// The frame of a handler could not be stored: `SIGSEGV`, and the end if that was the one.
    fn bad_frame(self: &Arc<Self>, info: &SigInfo) {
        if info.signal() == Some(Signal::SIGSEGV) {
            self.group.signals.lock().hand.set(Signal::SIGSEGV, SigAction::default());
        }
        self.force_signal(SigInfo::kernel(Signal::SIGSEGV));
    }

    /// `rt_sigreturn(2)`: goes on where the signal came.
    pub fn sigreturn(self: &Arc<Self>) {
        if self.try_sigreturn().is_err() {
            self.force_signal(SigInfo::kernel(Signal::SIGSEGV));
        }
        self.registers_replaced.store(true, Ordering::Relaxed);
    }

    fn try_sigreturn(self: &Arc<Self>) -> Result<(), Errno> {
        let mm = self.mm()?;
        let mut regs = *self.regs.lock();
        let frame = arch::pop_frame(&*mm, &mut regs)?;
        if let Some(mut fp) = frame.fp {
            let mut context = self.context.lock();
            let context = context.as_mut().ok_or(Errno::ESRCH)?;
            // What the frame leaves out is in its initial state, as the header in it says.
            let whole = context.fp().0.len().max(fp.0.len());
            fp.0.resize(whole, 0);
            context.set_fp(&fp)?;
        }
        *self.regs.lock() = regs;
        self.signals.lock().alt_stack = frame.alt_stack;
        self.set_mask(frame.mask);
        Ok(())
    }
}
