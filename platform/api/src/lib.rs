//! The `Platform` contract: what the kernel asks of whatever runs application code.
//!
//! A platform makes [`AddressSpace`]s (a stub process, or a set of guest page tables) and [`Context`]s (one
//! thread of application code). The task loop calls [`Context::poll_switch`], gets a [`Trap`], answers it, and
//! switches again. A worker thread of the executor that has nothing to poll hands itself to the platform
//! through [`Worker`] (an alias of [`ksync::exec::Idle`]), which sleeps until a context traps or somebody kicks.
//!
//! **Trust:** everything a context reports (registers, fault addresses) is the application's and hostile.
//! **Threads:** [`AddressSpace::apply`] and [`Interrupt::interrupt`] may be called from any thread. A context is
//! polled only by the worker that polled it first (its *home*).
//! **Absent on purpose:** knowledge of areas, files or signals; those live in `mm` and `kernel`.

#![forbid(unsafe_code)]

pub mod arch;
pub mod fake;
mod host_call;

use abi::Errno;
pub use arch::{FpState, Regs};
pub use host_call::{ArgCheck, HostCall};
use std::{os::fd::RawFd, sync::Arc, task::Poll};

bitflags::bitflags! {
    /// What a mapping lets the application do.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
    pub struct Access: u8 {
        /// Loads.
        const READ = 1;
        /// Stores.
        const WRITE = 2;
        /// Instruction fetches.
        const EXEC = 4;
    }
}

/// One change to an address space. Addresses, lengths and offsets are multiples of the page size.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "fields are named in the variants' text")]
pub enum Change {
    /// Maps `len` bytes at `addr`, replacing what was there, shared, from the host file `fd` at `offset`.
    /// `fd` is a descriptor of the sentry (the memory file or a donated file) that lives across the call.
    /// `populate` asks for page table entries to be filled now where that is cheap.
    #[allow(missing_docs, reason = "the variant says it")]
    Map { addr: u64, len: u64, fd: RawFd, offset: u64, access: Access, populate: bool },
    /// Removes whatever is mapped in the range; later accesses fault.
    #[allow(missing_docs, reason = "the variant says it")]
    Unmap { addr: u64, len: u64 },
    /// Changes the access of what is mapped in the range; parts that are not mapped stay unmapped (no error).
    #[allow(missing_docs, reason = "the variant says it")]
    Protect { addr: u64, len: u64, access: Access },
}

/// The memory that an application sees.
pub trait AddressSpace: Send + Sync {
    /// Makes the changes, in order. On an error the ranges named may hold anything that was there before,
    /// or nothing; never something else.
    ///
    /// `ENOMEM` where the host has no room; `EINVAL` for a range that is not page-aligned or not inside
    /// [`Platform::user_range`]; for a donated file also what the host's `mmap` says of it (`EACCES`, `EPERM`, `ENODEV`).
    /// `ESRCH` where the stub is gone; its contexts trap with [`Trap::Lost`].
    fn apply(&self, changes: &[Change]) -> Result<(), Errno>;
    /// Forgets every mapping (exec that reuses the space).
    fn clear(&self) -> Result<(), Errno>;
    /// The process that runs application code of this space, if it is one of its own; as the sentry's pid namespace numbers it.
    fn host_process(&self) -> Option<i32> {
        None
    }
    /// CPU time that application code has used in it so far, by all its contexts, in nanoseconds; `None` where the
    /// platform cannot tell. May cost a host call.
    fn cpu_time_ns(&self) -> Option<u64> {
        None
    }
    /// For downcasts by the platform that made it.
    fn as_any(&self) -> &dyn std::any::Any;
}

/// Why application code stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "fields are named in the variants' text")]
pub enum Trap {
    /// A `syscall` instruction; number and arguments are in the registers, `rip` is behind it.
    Syscall,
    /// An access that the mappings do not allow. `access` is the least that is known to be missing: `EXEC` for an
    /// instruction fetch; `WRITE` where the page was readable; `READ` where nothing was mapped (the access may
    /// turn out to be a store: map what is cheap, and a store then faults again as `WRITE`).
    #[allow(missing_docs, reason = "the variant says it")]
    Fault { addr: u64, access: Access },
    /// An exception other than a page fault, as the signal that Linux would send for it.
    Exception(Exception),
    /// [`Interrupt::interrupt`] was called, or nothing happened (spurious traps are allowed).
    Interrupted,
    /// The stub is gone or broken beyond use: the task is to be killed with `SIGKILL`.
    Lost,
}

/// `siginfo` of a synchronous exception.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exception {
    /// `SIGSEGV` (non-canonical access, `#GP`), `SIGILL`, `SIGFPE`, `SIGTRAP` or `SIGBUS`.
    pub signo: i32,
    /// `si_code`.
    pub code: i32,
    /// `si_addr`.
    pub addr: u64,
}

/// Cuts a running context short; shared with whoever may need to.
pub trait Interrupt: Send + Sync {
    /// Makes the context's current or next `poll_switch` end with [`Trap::Interrupted`] promptly. Cheap when
    /// the context is not running application code. Never blocks.
    fn interrupt(&self);
}

/// One thread of application code.
pub trait Context: Send {
    /// Runs application code in `space` with `regs` until it traps; updates `regs` before answering.
    ///
    /// With the trap flag in `regs`, an exception (`SIGTRAP`, `TRAP_TRACE`) ends the run behind one instruction, unless that
    /// traps otherwise.
    ///
    /// `Pending` means application code is running and `cx`'s waker is called when it traps; the caller must not
    /// touch `regs` meanwhile and polls again with the same arguments. A `space` other than last time's is
    /// a switch to another address space (exec).
    fn poll_switch(
        &mut self,
        cx: &mut std::task::Context<'_>,
        space: &Arc<dyn AddressSpace>,
        regs: &mut Regs,
    ) -> Poll<Trap>;
    /// The floating point and vector state, as XSAVE's standard format. Not while `poll_switch` is pending.
    fn fp(&mut self) -> FpState;
    /// Replaces it; `ENOTSUP`/`EINVAL` where the bytes are not a state that this CPU takes (checked, not trusted).
    fn set_fp(&mut self, fp: &FpState) -> Result<(), Errno>;
    /// A handle for interrupting this context.
    fn interrupter(&self) -> Arc<dyn Interrupt>;
    /// The CPU's breakpoints and watchpoints, where application code can have them; `None` until it has run once, and where it
    /// cannot. Not while `poll_switch` is pending.
    fn debug_registers(&mut self) -> Option<&mut dyn DebugRegisters> {
        None
    }
}

/// Debug registers of one context, as debuggers see them (`u_debugreg` of `struct user`). They go with the context; what they
/// stop at is [`Trap::Exception`] with `SIGTRAP` and the code of a hardware breakpoint.
pub trait DebugRegisters {
    /// Register `index`; the status register says which one matched.
    fn peek(&mut self, index: usize) -> Result<u64, Errno>;
    /// Replaces it. `EINVAL`, `EIO` and the like, as `ptrace(2)` has it, for what user mode may not watch.
    fn poke(&mut self, index: usize, value: u64) -> Result<(), Errno>;
}

/// What a worker thread does between polls; see [`ksync::exec::Idle`].
pub use ksync::exec::{Idle as Worker, Kick};

/// The vDSO that a platform puts into every address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vdso {
    /// What `AT_SYSINFO_EHDR` is to say.
    pub base: u64,
    /// All of it, with the data that its code reads. Outside [`Platform::user_range`], always mapped, also after
    /// [`AddressSpace::clear`]; [`AddressSpace::apply`] refuses to touch it.
    pub range: (u64, u64),
}

/// A way of running application code.
pub trait Platform: Send + Sync {
    /// `ptrace`, `systrap`, `kvm` or `fake`.
    fn name(&self) -> &'static str;
    /// The addresses an application may use: `[min, max)`, multiples of the page size.
    fn user_range(&self) -> (u64, u64);
    /// The vDSO that every space has, where the platform can provide one. Calls that its code falls back to trap
    /// like any other.
    fn vdso(&self) -> Option<Vdso> {
        None
    }
    /// An empty address space.
    fn new_address_space(&self) -> Result<Arc<dyn AddressSpace>, Errno>;
    /// A context with initial floating point state.
    fn new_context(&self) -> Result<Box<dyn Context>, Errno>;
    /// The idle step of worker `index`; called once, on that worker's own thread.
    fn new_worker(&self, index: usize) -> Box<dyn Worker>;
}
