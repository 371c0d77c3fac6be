//! `ptrace(2)`: one process looks into another and steers it.
//!
//! A *tracer* is a thread, and so is a *tracee*. What a tracee knows of its tracer is its [`Ptrace`]; which tracees there are is in
//! the tracer's process ([`Node::tracees`](crate::tree::Node)), where `wait` finds them. [`attach`] makes and unmakes the link,
//! [`stop`] is how a tracee stops and tells, [`resume`] how it goes on, [`syscall`] what a traced task does about a system
//! call, [`inspect`] and `arch` what may be looked at and changed in between.
//!
//! An untraced task pays for none of it: [`Hooks`] is one word that the task loop looks at anyway.
//!
//! **Lock order:** the link changes under the tree's lock. [`Task::ptrace`] ([`ksync::rank::PTRACE`]) comes behind signals and
//! before registers. **Invariants:** a task is in its tracer's list exactly while [`Ptrace::tracer`] is set. Registers of a
//! tracee are touched by others only while [`Ptrace::stop`] is set. Floating point state and debug registers live in the
//! platform's context, which answers only the tracee's own worker: a stopped tracee does what its tracer asks for ([`Job`]).
//! The CPU's watchpoints do not see what the kernel itself stores into a tracee's memory.
//! **Absent on purpose:** single-stepping by blocks (`PTRACE_SINGLEBLOCK` is `EIO`, as on CPUs without it), 32-bit tracees.

mod arch;
pub mod attach;
pub mod inspect;
pub mod resume;
pub mod stop;
pub mod syscall;

pub use arch::RegSet;
pub(crate) use arch::end_step;
pub use resume::Resume;
pub use stop::Event;

use crate::Task;
use abi::{Errno, SigInfo, process::PtraceOptions};
use platform::FpState;
use std::sync::{Arc, Weak, atomic::Ordering};
use vfs::Credentials;

bitflags::bitflags! {
    /// What is out of the ordinary about a task's system calls and resumptions.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Hooks: u32 {
        /// There are filters of system calls.
        const SECCOMP = 1;
        /// It is traced.
        const TRACED = 2;
        /// By `PTRACE_SEIZE`.
        const SEIZED = 4;
        /// `PTRACE_SYSCALL`: it stops at the next call, and behind it.
        const SYSCALL = 8;
        /// `PTRACE_SYSEMU`: it stops at the next call, which is not made.
        const SYSEMU = 0x10;
        /// `PTRACE_SINGLESTEP`: it traps behind one instruction.
        const STEP = 0x20;
        /// It is to stop (`PTRACE_INTERRUPT`; a stop of the process that it was attached in).
        const TRAP_STOP = 0x40;
        /// A stop of the process began or ended (seized tracees stop to tell).
        const TRAP_NOTIFY = 0x80;
        /// Calls may be handed back to user space ([`crate::task::dispatch`]).
        const USER_DISPATCH = 0x100;
    }
}

impl Hooks {
    /// What ends with the tracer.
    const OF_TRACER: Hooks = Hooks::all().difference(Hooks::SECCOMP.union(Hooks::USER_DISPATCH));
    /// Reasons to stop before application code runs again.
    const TRAPS: Hooks = Hooks::TRAP_STOP.union(Hooks::TRAP_NOTIFY);
    /// How it was resumed.
    const RESUMPTION: Hooks = Hooks::SYSCALL.union(Hooks::SYSEMU).union(Hooks::STEP);
}

/// A ptrace-stop that a tracee is in.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// `PTRACE_GETSIGINFO`; a stop of the whole process has none.
    pub info: Option<SigInfo>,
    /// `PTRACE_GETEVENTMSG`.
    pub message: u64,
    /// The tracer lets it go on.
    resumed: bool,
}

/// Something that a stopped tracee does with its context on behalf of its tracer.
#[derive(Default)]
enum Job {
    #[default]
    Idle,
    FetchFp,
    StoreFp(FpState),
    PeekDebug(usize),
    PokeDebug(usize, u64),
    /// What came of it.
    Done(Result<Answer, Errno>),
}

/// What a [`Job`] gives.
enum Answer {
    Fp(FpState),
    Word(u64),
    Nothing,
}

/// What a task knows of whoever traces it. Rank PTRACE.
#[derive(Default)]
pub struct Ptrace {
    tracer: Option<Weak<Task>>,
    /// The tracer's credentials when it attached.
    tracer_cred: Option<Arc<Credentials>>,
    /// `PTRACE_O_*`.
    pub options: PtraceOptions,
    /// The stop that it is in.
    pub stop: Option<Stop>,
    /// What `wait` has to tell of the stop (0: it has been told); and, from the tracer, with which signal to go on.
    pub code: i32,
    /// `PTRACE_LISTEN`: it stays stopped, but tells what becomes of the stop of its process.
    listening: bool,
    job: Job,
}

impl Ptrace {
    /// The tracer, unless it has gone.
    pub fn tracer(&self) -> Option<Arc<Task>> {
        self.tracer.as_ref()?.upgrade()
    }

    /// Whether `wait` finds it stopped.
    pub fn is_trapped(&self) -> bool {
        self.stop.is_some_and(|s| !s.resumed) && !self.listening
    }

    /// Whether the tracer may look into it.
    fn is_open(&self) -> bool {
        self.is_trapped()
    }
}

impl Task {
    /// What is out of the ordinary about it.
    pub fn hooks(&self) -> Hooks {
        Hooks::from_bits_retain(self.hooks.load(Ordering::Acquire))
    }

    pub(crate) fn add_hooks(&self, hooks: Hooks) {
        self.hooks.fetch_or(hooks.bits(), Ordering::SeqCst);
    }

    pub(crate) fn remove_hooks(&self, hooks: Hooks) {
        self.hooks.fetch_and(!hooks.bits(), Ordering::SeqCst);
    }

    /// Whether a tracer has it.
    pub fn is_traced(&self) -> bool {
        self.hooks().contains(Hooks::TRACED)
    }

    /// Its tracer.
    pub fn tracer(&self) -> Option<Arc<Task>> {
        if self.is_traced() { self.ptrace.lock().tracer() } else { None }
    }

    /// Whether it is in a ptrace-stop (state `t`).
    pub fn is_trace_stopped(&self) -> bool {
        self.is_traced() && self.ptrace.lock().stop.is_some()
    }

    /// Whether it is to stop for its tracer before application code runs again.
    pub(crate) fn trap_pending(&self) -> bool {
        self.hooks().intersects(Hooks::TRAPS)
    }

    /// The tracee `number` of this very thread; `ESRCH`.
    pub fn find_tracee(self: &Arc<Self>, number: i32) -> Result<Arc<Task>, Errno> {
        let root = self.root_number(number)?;
        let tree = self.kernel.tree.lock();
        let mine = &tree.nodes.get(&self.group.tgid()).ok_or(Errno::ESRCH)?.tracees;
        let found = mine.iter().find(|t| t.tid() == root).cloned().ok_or(Errno::ESRCH)?;
        drop(tree);
        let traces = found.ptrace.lock().tracer().is_some_and(|t| Arc::ptr_eq(&t, self));
        if traces { Ok(found) } else { Err(Errno::ESRCH) }
    }

    /// The same, which has to be in a ptrace-stop.
    pub fn find_stopped_tracee(self: &Arc<Self>, number: i32) -> Result<Arc<Task>, Errno> {
        let found = self.find_tracee(number)?;
        let open = found.ptrace.lock().is_open();
        if open { Ok(found) } else { Err(Errno::ESRCH) }
    }

    /// Makes it trap behind one instruction; whether the trap flag is to be taken away again then.
    pub(crate) fn begin_step(&self, regs: &mut platform::Regs) -> bool {
        let mm = self.mm().ok();
        arch::begin_step(regs, mm.as_deref().map(|mm| mm as &dyn mem::UserMemory))
    }

    /// How its tracer sees a number.
    pub(crate) fn seen_by_tracer(&self, pid: &crate::pid::Pid) -> u32 {
        self.tracer().and_then(|t| pid.number_in(&t.pid_namespace())).unwrap_or(0)
    }
}
