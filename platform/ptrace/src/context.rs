//! Contexts: one application thread, on one stub thread at a time.
//!
//! The task's `Regs` are the truth between switches; the stub thread's own registers are scratch. Floating point
//! state stays in the stub thread, and moves when the context moves to another space.

use crate::{
    debug::Debug,
    fault,
    inject::Broken,
    keeper::Keeper,
    ops::{self, Report},
    roster::ThreadShared,
    space::Space,
    sys::{self, Stop},
    worker::WorkerShared,
};
use abi::Errno;
use platform::{AddressSpace, Exception, FpState, Interrupt, Regs, Trap};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI32, AtomicU32, Ordering},
    },
    task::Poll,
};

/// A thread of application code.
pub struct Context {
    keeper: Arc<Keeper>,
    interrupter: Arc<Interrupter>,
    binding: Option<Binding>,
    /// State for the next stub thread, while there is none.
    fp: Option<FpState>,
    running: bool,
    retries: fault::Retries,
}

/// A stub thread that a context has.
struct Binding {
    space: Arc<dyn AddressSpace>,
    thread: Arc<ThreadShared>,
    owner: Arc<WorkerShared>,
    debug: Debug,
}

impl Drop for Binding {
    fn drop(&mut self) {
        if !self.debug.clear()
            && let Some(space) = self.space.as_any().downcast_ref::<Space>()
        {
            space.process().break_down(); // a thread with breakpoints of others is of no use
        }
        ops::release(&self.owner, self.thread.tid, self.space.clone());
    }
}

/// Cuts a context's run short.
struct Interrupter {
    flags: AtomicU32,
    pid: AtomicI32,
    tid: AtomicI32,
}

const RUNNING: u32 = 1;
const PENDING: u32 = 2;

impl Interrupter {
    /// Takes an interrupt that is due.
    fn take(&self) -> bool {
        self.flags.load(Ordering::Acquire) & PENDING != 0
            && self.flags.fetch_and(!PENDING, Ordering::AcqRel) & PENDING != 0
    }

    /// Announces a run; false (and no run) where an interrupt is due.
    fn begin(&self) -> bool {
        self.flags.compare_exchange(0, RUNNING, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn end(&self) {
        self.flags.fetch_and(!RUNNING, Ordering::AcqRel);
    }
}

impl Interrupt for Interrupter {
    fn interrupt(&self) {
        // The signal is only a hint: the flag is what counts, so a signal that comes too late harms nobody.
        if self.flags.fetch_or(PENDING, Ordering::AcqRel) == RUNNING {
            let (pid, tid) = (self.pid.load(Ordering::Acquire), self.tid.load(Ordering::Acquire));
            let _ = host::thread::tgkill(pid, tid, host::signal::KICK);
        }
    }
}

impl Context {
    /// One with initial floating point state.
    pub fn new(keeper: &Arc<Keeper>) -> Self {
        let interrupter = Arc::new(Interrupter {
            flags: AtomicU32::new(0),
            pid: AtomicI32::new(0),
            tid: AtomicI32::new(0),
        });
        Self {
            keeper: keeper.clone(),
            interrupter,
            binding: None,
            fp: None,
            running: false,
            retries: fault::Retries::default(),
        }
    }

    /// Gets a stub thread of `space`.
    fn bind(&mut self, space: &Arc<dyn AddressSpace>) -> Result<i32, Broken> {
        if let Some(binding) = &self.binding
            && std::ptr::addr_eq(Arc::as_ptr(&binding.space), Arc::as_ptr(space))
        {
            return Ok(binding.thread.tid);
        }
        let stub = space.as_any().downcast_ref::<Space>().ok_or(Broken)?;
        if let Some(binding) = &self.binding {
            // A state that cannot be read is that of a dead stub; the application is about to start afresh.
            self.fp = sys::get_fp(binding.thread.tid).ok().map(FpState);
        }
        self.binding = None;
        let (thread, owner) = ops::acquire(&self.keeper, stub.process())?;
        let tid = thread.tid;
        self.interrupter.pid.store(stub.process().pid, Ordering::Release);
        self.interrupter.tid.store(tid, Ordering::Release);
        self.binding = Some(Binding { space: space.clone(), thread, owner, debug: Debug::new(tid) });
        let fp = self.fp.take();
        sys::set_fp(tid, fp.as_ref().map_or(&self.keeper.initial_fp, |fp| &fp.0))?;
        Ok(tid)
    }

    fn start(
        &mut self,
        cx: &std::task::Context<'_>,
        space: &Arc<dyn AddressSpace>,
        regs: &Regs,
    ) -> Result<Poll<Trap>, Broken> {
        let tid = self.bind(space)?;
        if regs.rip >= crate::layout::TASK_SIZE && regs.rip != ops::held_rip(tid) {
            return Ok(Poll::Ready(fault::bad_rip(regs.rip)));
        }
        if !self.interrupter.begin() {
            self.interrupter.take();
            return Ok(Poll::Ready(Trap::Interrupted));
        }
        self.retries.changes = space.as_any().downcast_ref::<Space>().ok_or(Broken)?.changes();
        if let Err(e) = ops::resume(&self.keeper, tid, Some(regs), cx.waker()) {
            self.interrupter.end();
            return Err(e);
        }
        self.running = true;
        Ok(Poll::Pending)
    }

    /// What a stop means; `Pending` if it means nothing and the thread runs on.
    fn stopped(
        &mut self,
        cx: &std::task::Context<'_>,
        stop: Stop,
        regs: &mut Regs,
    ) -> Result<Poll<Trap>, Broken> {
        let binding = self.binding.as_ref().ok_or(Broken)?;
        let tid = binding.thread.tid;
        let trap = match stop {
            Stop::Exited => return Err(Broken),
            Stop::Syscall => {
                ops::read_regs(tid, regs)?;
                Some(fault::syscall(tid, regs))
            }
            Stop::Signal(libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGTRAP) => {
                let Stop::Signal(signo) = stop else { return Err(Broken) };
                let info = sys::siginfo(tid)?;
                // Codes of 0 and below are of a process that sent the signal: nothing of the application's.
                if info.code <= 0 {
                    None
                } else {
                    ops::read_regs(tid, regs)?;
                    let space = binding.space.as_any().downcast_ref::<Space>().ok_or(Broken)?;
                    Some(fault::signal(signo, info, regs, space, &mut self.retries))
                }
            }
            Stop::Signal(_) | Stop::Event(_) => None,
        };
        if let Some(trap) = trap {
            self.running = false;
            self.interrupter.end();
            return Ok(Poll::Ready(trap));
        }
        if self.interrupter.take() {
            ops::read_regs(tid, regs)?;
            self.running = false;
            self.interrupter.end();
            return Ok(Poll::Ready(Trap::Interrupted));
        }
        ops::resume(&self.keeper, tid, None, cx.waker())?;
        Ok(Poll::Pending)
    }

    fn lost(&mut self) -> Trap {
        self.running = false;
        self.interrupter.end();
        if let Some(binding) = &self.binding
            && let Some(space) = binding.space.as_any().downcast_ref::<Space>()
        {
            space.process().break_down();
        }
        Trap::Lost
    }
}

impl platform::Context for Context {
    fn poll_switch(
        &mut self,
        cx: &mut std::task::Context<'_>,
        space: &Arc<dyn AddressSpace>,
        regs: &mut Regs,
    ) -> Poll<Trap> {
        let result = if self.running {
            let Some(tid) = self.binding.as_ref().map(|b| b.thread.tid) else {
                return Poll::Ready(self.lost());
            };
            match ops::take_report(tid, cx.waker()) {
                Report::Running => Ok(Poll::Pending),
                Report::Stopped(stop) => self.stopped(cx, stop, regs),
                Report::Dead => Err(Broken),
            }
        } else if self.interrupter.take() {
            Ok(Poll::Ready(Trap::Interrupted))
        } else {
            self.start(cx, space, regs)
        };
        result.unwrap_or_else(|Broken| Poll::Ready(self.lost()))
    }

    fn fp(&mut self) -> FpState {
        let held = match &self.binding {
            Some(binding) => sys::get_fp(binding.thread.tid).ok().map(FpState),
            None => self.fp.clone(),
        };
        held.unwrap_or_else(|| FpState(self.keeper.initial_fp.clone()))
    }

    fn set_fp(&mut self, fp: &FpState) -> Result<(), Errno> {
        fault::check_fp(&fp.0, &self.keeper.initial_fp)?;
        match &self.binding {
            // A dead stub is reported by the next switch.
            Some(binding) => match sys::set_fp(binding.thread.tid, &fp.0) {
                Ok(()) | Err(host::HostErrno::ESRCH) => Ok(()),
                Err(_) => Err(Errno::EINVAL),
            },
            None => {
                self.fp = Some(fp.clone());
                Ok(())
            }
        }
    }

    fn interrupter(&self) -> Arc<dyn Interrupt> {
        self.interrupter.clone()
    }

    fn debug_registers(&mut self) -> Option<&mut dyn platform::DebugRegisters> {
        self.binding.as_mut().map(|b| &mut b.debug as &mut dyn platform::DebugRegisters)
    }
}

/// The exception that a general protection fault is.
pub(crate) const GENERAL_PROTECTION: Exception = Exception { signo: libc::SIGSEGV, code: 0x80, addr: 0 };
