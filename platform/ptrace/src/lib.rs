//! The ptrace platform: application code runs in stub processes under `PTRACE_SYSEMU`.
//!
//! | module | what |
//! | --- | --- |
//! | `layout`, `code`, `orders` | what is in a stub: addresses, machine code, tables of calls to make |
//! | `sys`, `inject`, `regs` | driving a stopped thread |
//! | `zygote`, `keeper`, `process`, `filter` | making stubs, confining them, ending them |
//! | `tracer`, `ops`, `worker`, `roster` | a host thread as tracer: its tracees, waiting, being kicked, CPU placement |
//! | `areas`, `space` | address spaces |
//! | `fault`, `context`, `debug` | application threads and their traps |
//!
//! **Threads:** a tracee answers only its tracer, a thread. Leaders of stub processes belong to the keeper, all other
//! stub threads to the worker whose contexts run on them. **Lock order:** `Space::areas`, then nothing but leaf
//! locks inside this crate. The keeper takes no lock that is held across a wait for it.
//! **May never happen:** a thread of a stub resumed with `PTRACE_CONT` anywhere but in the stub page; a tracee
//! without `PTRACE_O_EXITKILL`.
//! **Absent on purpose:** 32-bit system calls (`int 0x80` is a general protection fault).

mod areas;
mod code;
mod context;
mod debug;
mod fault;
mod filter;
mod inject;
mod keeper;
mod layout;
mod ops;
mod orders;
mod process;
mod regs;
mod roster;
mod space;
mod sys;
mod tracer;
mod worker;
mod zygote;

use abi::Errno;
use host::HostErrno;
use platform::{AddressSpace, Context, HostCall, Platform, Worker, host_calls};
use std::sync::Arc;

/// Why the platform cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A host call failed.
    #[error("ptrace platform: {0}")]
    Host(#[from] HostErrno),
    /// `clone` failed.
    #[error("cannot make a stub process: {0}; is there a limit on processes (ulimit -u, pids cgroup)?")]
    Spawn(HostErrno),
    /// `PTRACE_SEIZE` failed.
    #[error(
        "cannot trace a child: ptrace is forbidden here (seccomp, Yama's ptrace_scope, or another security module)"
    )]
    Trace,
    /// A step of the set-up of a stub failed.
    #[error("setting up a stub process: {what}: {errno}")]
    Setup {
        /// The step.
        what: &'static str,
        /// What the host said.
        errno: HostErrno,
    },
    /// A stub went away.
    #[error("a stub process died: {0}; out of memory?")]
    Lost(&'static str),
    /// The filter could not be compiled.
    #[error("cannot compile the stub's filter")]
    Filter,
    /// No host thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// System calls of the host that this platform makes while it runs, beyond what every sentry does, for its filter.
///
/// In the sentry's pid namespace there is nobody but itself and its stubs, so a signal cannot go astray. The two calls that
/// every trap makes are told by number alone: for those the host remembers the filter's answer, which is worth a tenth of
/// a trap.
pub const HOST_CALLS: &[HostCall] = host_calls! {
    SYS_ptrace;
    SYS_wait4;
    SYS_kill: 1 in [libc::SIGKILL];
    SYS_tgkill: 2 in [host::signal::KICK];
};

/// The ptrace platform.
pub struct PtracePlatform {
    keeper: Arc<keeper::Keeper>,
}

impl PtracePlatform {
    /// Sets up the platform and its first stub.
    ///
    /// Call it when the process has the identity (user, namespaces) that it keeps, before its seccomp filter, while
    /// the process is small, and while `/proc` is there (without it applications get no vDSO).
    pub fn new() -> Result<Arc<Self>, Error> {
        host::signal::no_child_stop_signals()?;
        // SAFETY: the handler only reads and writes the interrupted registers.
        unsafe { host::signal::install(host::signal::KICK, code::on_kick) }?;
        Ok(Arc::new(Self { keeper: Arc::new(keeper::Keeper::start()?) }))
    }
}

impl Platform for PtracePlatform {
    fn name(&self) -> &'static str {
        "ptrace"
    }

    fn user_range(&self) -> (u64, u64) {
        (layout::USER_MIN, layout::USER_MAX)
    }

    fn vdso(&self) -> Option<platform::Vdso> {
        self.keeper.vdso
    }

    fn new_address_space(&self) -> Result<Arc<dyn AddressSpace>, Errno> {
        Ok(Arc::new(space::Space::new(&self.keeper)?))
    }

    fn new_context(&self) -> Result<Box<dyn Context>, Errno> {
        Ok(Box::new(context::Context::new(&self.keeper)))
    }

    fn new_worker(&self, index: usize) -> Box<dyn Worker> {
        Box::new(worker::Worker::new(&self.keeper.roster, index))
    }
}
