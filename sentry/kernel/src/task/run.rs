//! The life of a task: application code, trap, answer, signals, and again.

use super::{Task, current::AsCurrent};
use crate::{SysResult, kernel::SyscallStart, ptrace::Hooks, seccomp::Verdict};
use abi::{Errno, SigInfo, Signal};
use platform::Trap;
use std::{
    future::poll_fn,
    sync::{Arc, atomic::Ordering},
    task::Poll,
};

/// What the task does next.
pub enum Next {
    /// Application code.
    Resume,
    /// Nothing any more.
    Exit,
}

impl Task {
    /// Makes the task's future runnable on its home worker.
    pub fn start(self: &Arc<Self>) {
        let future = AsCurrent { task: self.clone(), future: Box::pin(run(self.clone())) };
        self.kernel.executor.spawn_on(self.home, future);
    }

    /// Runs application code until it traps.
    async fn switch(&self) -> Trap {
        let Ok(mm) = self.mm() else { return Trap::Lost };
        let space = mm.platform_space();
        poll_fn(|cx| {
            let mut context = self.context.lock();
            let Some(context) = context.as_mut() else { return Poll::Ready(Trap::Lost) };
            let mut regs = *self.regs.lock();
            let ours = self.hooks().contains(Hooks::STEP) && self.begin_step(&mut regs);
            let trap = context.poll_switch(cx, &space, &mut regs);
            if trap.is_ready() {
                if ours {
                    crate::ptrace::end_step(&mut regs);
                }
                *self.regs.lock() = regs;
            }
            trap
        })
        .await
    }

    /// Answers the system call that the registers hold.
    async fn answer_syscall(self: &Arc<Self>) -> SysResult {
        let (nr, args) = self.call_in_registers();
        let hooks = self.hooks();
        if hooks.contains(Hooks::USER_DISPATCH)
            && let Some(result) = self.hand_back(nr)
        {
            return result;
        }
        if hooks.contains(Hooks::SECCOMP) {
            match self.filter_syscall(nr, args) {
                Verdict::Make => {}
                Verdict::Answer(result) => return result,
                Verdict::Notify(listener, data) => {
                    if let Some(result) = Box::pin(self.ask_listener(listener, data)).await {
                        return result;
                    }
                }
                Verdict::Trace(_) => return Err(Errno::ENOSYS.into()), // nobody traces
            }
        }
        self.make_call(nr, args).await
    }

    /// Number and arguments of the call that the registers hold.
    pub(crate) fn call_in_registers(&self) -> (u64, [u64; 6]) {
        let regs = self.regs.lock();
        // The number is what eax says, with its sign.
        (i64::from(regs.orig_rax as i32) as u64, regs.syscall_args())
    }

    /// Makes a call that the filters let through.
    pub(crate) async fn make_call(self: &Arc<Self>, nr: u64, args: [u64; 6]) -> SysResult {
        match self.kernel.syscalls.start(self, nr, args) {
            SyscallStart::Done(result) => result,
            SyscallStart::Later(future) => future.await,
        }
    }
}

async fn run(task: Arc<Task>) {
    match task.kernel.platform.new_context() {
        Ok(context) => task.install_context(context),
        Err(e) => {
            log::error!("task {}: no context: {e}", task.tid());
            task.kill_group(Signal::SIGKILL);
        }
    }
    task.prepare_first_run();
    loop {
        let mut interrupted = None;
        if !task.has_work() {
            task.kernel.executor.add_load(task.home, 1);
            let started = task.kernel.monotonic_ns();
            task.running_since_ns.store(started, Ordering::Relaxed);
            let trap = task.switch().await;
            let trapped = task.kernel.monotonic_ns();
            task.running_since_ns.store(0, Ordering::Relaxed);
            let ran = trapped.saturating_sub(started);
            let rest = ran.saturating_sub(task.run_charged_ns.swap(0, Ordering::Relaxed));
            let used = task.mm().map_or(rest, |mm| mm.charge_cpu_time(rest));
            task.user_ns.fetch_add(used, Ordering::Relaxed);
            task.kernel.executor.add_load(task.home, -1);
            match trap {
                Trap::Syscall => {
                    interrupted = match task.is_traced() {
                        false => task.finish_syscall(task.answer_syscall().await),
                        true => Box::pin(task.traced_syscall()).await,
                    }
                }
                Trap::Fault { addr, access } => task.handle_fault(addr, access),
                Trap::Exception(e) => {
                    let signal = Signal::new(e.signo).unwrap_or(Signal::SIGSEGV);
                    task.force_signal(SigInfo::fault(signal, e.code, e.addr));
                }
                Trap::Interrupted => {
                    task.usage.involuntary_switches.fetch_add(1, Ordering::Relaxed);
                }
                Trap::Lost => task.kill_group(Signal::SIGKILL),
            }
            crate::signal::fasync::send_notes();
            let left = task.kernel.monotonic_ns();
            let slept = task.slept_ns.swap(0, Ordering::Relaxed);
            let worked = left.saturating_sub(trapped).saturating_sub(slept);
            task.kernel.load.total_ns.fetch_add(ran.saturating_add(worked), Ordering::Relaxed);
            task.system_ns.fetch_add(worked, Ordering::Relaxed);
        }
        if (task.has_work() || interrupted.is_some())
            && let Next::Exit = task.do_work(interrupted).await
        {
            break;
        }
    }
    task.finish().await;
}

impl Task {
    /// Makes the page of a fault present, or turns it into a signal.
    fn handle_fault(self: &Arc<Self>, addr: u64, access: platform::Access) {
        self.usage.minor_faults.fetch_add(1, Ordering::Relaxed);
        let fault = match self.mm() {
            Ok(mm) => mm.handle_fault(addr, access),
            Err(_) => return,
        };
        match fault {
            Ok(()) => {}
            Err(mm::FaultError::Segv { mapped }) => {
                let code = if mapped { abi::signal::SEGV_ACCERR } else { abi::signal::SEGV_MAPERR };
                self.force_signal(SigInfo::fault(Signal::SIGSEGV, code, addr));
            }
            Err(mm::FaultError::Bus) => {
                self.force_signal(SigInfo::fault(Signal::SIGBUS, abi::signal::BUS_ADRERR, addr))
            }
            Err(mm::FaultError::OutOfMemory) => self.kill_group(Signal::SIGKILL),
        }
    }
}

impl Task {
    /// Continues on another context; the old one is gone.
    pub(super) fn install_context(&self, context: Box<dyn platform::Context>) {
        *self.interrupt.lock() = Some(context.interrupter());
        let old = self.context.lock().replace(context);
        drop(old);
    }

    /// Called on the home worker before the first switch: a child continues with its parent's floating point state.
    fn prepare_first_run(&self) {
        let fp = self.initial_fp.lock().take();
        if let Some(fp) = fp
            && let Some(context) = self.context.lock().as_mut()
            && let Err(e) = context.set_fp(&fp)
        {
            log::error!("task {}: floating point state of the parent: {e}", self.tid());
        }
    }
}
