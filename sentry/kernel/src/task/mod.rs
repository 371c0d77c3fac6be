//! Tasks: application threads.
//!
//! [`Task`] is the thread's data; [`run`] its future; [`block`] how it sleeps; [`current`] how code that
//! is far from a system call (a terminal, `/proc/self`) finds out on whose behalf it runs.

pub mod attributes;
mod barrier;
mod block;
pub mod clone;
pub mod cred;
mod current;
pub mod dispatch;
pub mod exec;
pub mod exit;
mod find;
mod first_try;
pub mod namespaces;
pub mod run;
pub mod spawn;
pub mod wait;

pub use attributes::Attributes;
pub use block::{Deadline, Wait};
pub use current::current;

use crate::{
    Kernel, ThreadGroup, namespaces::Namespaces, pid::Pid, ptrace::Ptrace, seccomp::Seccomp,
    signal::TaskSignals, tree::ExitStatus,
};
use abi::Errno;
use clone::VforkDone;
use ksync::{Mutex, rank};
use mm::AddressSpace;
use platform::{Context, FpState, Interrupt, Regs};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    task::Waker,
};
use vfs::{Credentials, Fd, FdTable, File, FsContext};

/// What a task refers to and may exchange for another.
pub struct TaskState {
    /// Who it acts as.
    pub cred: Arc<Credentials>,
    /// Its memory; none once it has ended.
    pub mm: Option<Arc<AddressSpace>>,
    /// Its descriptors; none once it has ended.
    pub fds: Option<Arc<FdTable>>,
    /// Root, working directory, umask.
    pub fs: Arc<FsContext>,
    /// Its namespaces.
    pub ns: Arc<Namespaces>,
    /// `prctl(PR_SET_NAME)`: at most 15 bytes.
    pub comm: Vec<u8>,
    /// `set_tid_address(2)`: cleared and woken when the thread ends.
    pub clear_child_tid: u64,
    /// `set_robust_list(2)`.
    pub robust_list: u64,
    /// `rseq(2)`: address and signature; 0 for none.
    pub rseq: (u64, u32),
    /// `prctl(PR_SET_PDEATHSIG)`; 0 for none.
    pub parent_death_signal: i32,
    /// Called by `restart_syscall(2)`: the rest of a sleep that a signal without handler interrupted.
    pub restart_block: Option<RestartBlock>,
}

/// A sleep to be gone on with.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "arguments of the calls")]
pub enum RestartBlock {
    /// `nanosleep` and `clock_nanosleep` to an absolute monotonic deadline; `rem` gets what is left.
    Sleep { deadline_ns: u64, rem: u64 },
    /// `poll` to an absolute monotonic deadline.
    Poll { fds: u64, count: u32, deadline_ns: Option<u64> },
    /// `futex` wait to an absolute monotonic deadline.
    Futex { addr: u64, value: u32, deadline_ns: u64, bitset: u32, private: bool },
}

/// Counts of `getrusage(2)`.
#[derive(Default)]
#[allow(missing_docs, reason = "names of getrusage(2)")]
pub struct Usage {
    /// Faults that the sentry answered; the host answers those of memory that is mapped already.
    pub minor_faults: AtomicU64,
    pub voluntary_switches: AtomicU64,
    pub involuntary_switches: AtomicU64,
}

impl Usage {
    /// As `getrusage(2)` gives it. What became present by itself was faulted in, too: `resident` are those pages.
    pub fn fill(&self, to: &mut abi::Rusage, resident: u64) {
        let load = |n: &AtomicU64| n.load(Ordering::Relaxed);
        to.ru_minflt = load(&self.minor_faults).saturating_add(resident) as i64;
        to.ru_nvcsw = load(&self.voluntary_switches) as i64;
        to.ru_nivcsw = load(&self.involuntary_switches) as i64;
    }

    /// Adds what `other` counts.
    pub fn add(&self, other: &Usage) {
        for (mine, theirs) in [
            (&self.minor_faults, &other.minor_faults),
            (&self.voluntary_switches, &other.voluntary_switches),
            (&self.involuntary_switches, &other.involuntary_switches),
        ] {
            mine.fetch_add(theirs.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

/// An application thread.
pub struct Task {
    /// The kernel.
    pub kernel: Arc<Kernel>,
    /// Its number; `execve` by another thread than the leader exchanges it for the leader's.
    pid: Mutex<Arc<Pid>>,
    /// Its process.
    pub group: Arc<ThreadGroup>,
    /// What it refers to.
    pub state: Mutex<TaskState>,
    /// Private pending signals, mask, alternate stack.
    pub signals: Mutex<TaskSignals>,
    /// Scheduling and the like.
    pub attributes: Mutex<Attributes>,
    /// Filters of system calls.
    pub(crate) seccomp: Mutex<Seccomp>,
    /// What is out of the ordinary about it: [`Hooks`](crate::ptrace::Hooks).
    pub(crate) hooks: AtomicU32,
    /// Who traces it, and how.
    pub(crate) ptrace: Mutex<Ptrace>,
    /// Which stop of the process it has taken part in.
    pub(crate) joined_stop: AtomicU64,
    /// It sleeps in a stop of the process; changes under the lock of the group's signals.
    pub(crate) asleep_in_stop: AtomicBool,
    /// Registers, while the kernel has control.
    pub regs: Mutex<Regs>,
    /// Its context on the platform; none before its first run and after its end.
    pub context: Mutex<Option<Box<dyn Context>>>,
    /// Cuts its application code short.
    interrupt: Mutex<Option<Arc<dyn Interrupt>>>,
    /// Something is to be done before application code runs again: signals, stop, exit. See [`Self::set_work`].
    pub(crate) work: AtomicBool,
    /// Its system call is in its first try.
    first_try: first_try::FirstTry,
    /// Woken by [`Self::set_work`] while the task sleeps.
    sleeper: Mutex<Option<Waker>>,
    /// It is to end before application code runs again.
    pub(crate) killed: AtomicBool,
    /// The system call has set all registers itself (`rt_sigreturn`, `execve`).
    pub(crate) registers_replaced: AtomicBool,
    /// It has ended.
    pub dead: AtomicBool,
    /// `CLOCK_MONOTONIC` since when application code runs; 0 while it does not.
    pub(crate) running_since_ns: AtomicU64,
    /// How much of the present run it was charged for already, in nanoseconds.
    pub(crate) run_charged_ns: AtomicU64,
    /// CPU time of application code, in nanoseconds.
    pub user_ns: AtomicU64,
    /// How long it slept in the system call that it is in, in nanoseconds.
    pub(crate) slept_ns: AtomicU64,
    /// CPU time of the kernel on its behalf, in nanoseconds.
    pub system_ns: AtomicU64,
    /// What it is counted for.
    pub usage: Usage,
    /// Floating point state to begin with: the parent's, for a child.
    pub(crate) initial_fp: Mutex<Option<FpState>>,
    /// What a `vfork` parent waits for: this task's memory to be let go.
    pub(crate) vfork_done: Mutex<Option<Arc<VforkDone>>>,
    /// What `exit(2)` was given.
    pub(crate) exit_code: Mutex<Option<ExitStatus>>,
    /// `CLOCK_MONOTONIC` at its start.
    pub start_ns: u64,
    /// The worker that polls it.
    pub home: usize,
}

impl Task {
    /// A thread of `group` that has not run yet.
    pub fn new(
        group: Arc<ThreadGroup>,
        pid: Arc<Pid>,
        state: TaskState,
        signals: TaskSignals,
        regs: Regs,
    ) -> Arc<Self> {
        let kernel = group.kernel.clone();
        let home = kernel.executor.place();
        Arc::new(Self {
            pid: Mutex::new(rank::LEAF, pid),
            group,
            state: Mutex::new(rank::TASK, state),
            signals: Mutex::new(rank::TASK_SIGNALS, signals),
            attributes: Mutex::new(rank::LEAF, Attributes::default()),
            seccomp: Mutex::new(rank::LEAF, Seccomp::default()),
            hooks: AtomicU32::new(0),
            ptrace: Mutex::new(rank::PTRACE, Ptrace::default()),
            joined_stop: AtomicU64::new(0),
            asleep_in_stop: AtomicBool::new(false),
            regs: Mutex::new(rank::LEAF, regs),
            context: Mutex::new(rank::CONTEXT, None),
            interrupt: Mutex::new(rank::LEAF, None),
            work: AtomicBool::new(false),
            killed: AtomicBool::new(false),
            registers_replaced: AtomicBool::new(false),
            first_try: Default::default(),
            sleeper: Mutex::new(rank::LEAF, None),
            dead: AtomicBool::new(false),
            running_since_ns: AtomicU64::new(0),
            run_charged_ns: AtomicU64::new(0),
            user_ns: AtomicU64::new(0),
            slept_ns: AtomicU64::new(0),
            system_ns: AtomicU64::new(0),
            usage: Usage::default(),
            initial_fp: Mutex::new(rank::LEAF, None),
            vfork_done: Mutex::new(rank::LEAF, None),
            exit_code: Mutex::new(rank::LEAF, None),
            start_ns: kernel.monotonic_ns(),
            kernel,
            home,
        })
    }

    /// Its number.
    pub fn pid(&self) -> Arc<Pid> {
        self.pid.lock().clone()
    }

    /// Takes over another number (`execve` by a thread that is not the leader).
    pub(crate) fn set_pid(&self, pid: Arc<Pid>) {
        let old = std::mem::replace(&mut *self.pid.lock(), pid);
        drop(old);
    }

    /// The pid namespace that it lives in.
    pub fn pid_namespace(&self) -> Arc<crate::pid::PidNamespace> {
        self.pid().namespace().cloned().unwrap_or_else(|| self.kernel.root_pid_ns.clone())
    }

    /// Its number in the initial pid namespace.
    pub fn tid(&self) -> u32 {
        self.pid().root()
    }

    /// Whether it is the leader of its process.
    pub fn is_leader(&self) -> bool {
        Arc::ptr_eq(&self.pid(), &self.group.pid)
    }

    /// Who it acts as.
    pub fn cred(&self) -> Arc<Credentials> {
        self.state.lock().cred.clone()
    }

    /// Its memory; `ESRCH` once it has ended.
    pub fn mm(&self) -> Result<Arc<AddressSpace>, Errno> {
        self.state.lock().mm.clone().ok_or(Errno::ESRCH)
    }

    /// Its descriptors; `ESRCH` once it has ended.
    pub fn fds(&self) -> Result<Arc<FdTable>, Errno> {
        self.state.lock().fds.clone().ok_or(Errno::ESRCH)
    }

    /// The open file `fd`; `EBADF`.
    pub fn file(&self, fd: Fd) -> Result<Arc<File>, Errno> {
        self.fds()?.get(fd)
    }

    /// Its root, working directory and umask.
    pub fn fs(&self) -> Arc<FsContext> {
        self.state.lock().fs.clone()
    }

    /// Its namespaces.
    pub fn namespaces(&self) -> Arc<Namespaces> {
        self.state.lock().ns.clone()
    }

    /// Makes it look, before application code runs again and at once if it sleeps or runs, for signals and the like.
    pub fn set_work(&self) {
        self.work.store(true, Ordering::SeqCst);
        let interrupt = self.interrupt.lock().clone();
        if let Some(interrupt) = interrupt {
            interrupt.interrupt();
        }
        let sleeper = self.sleeper.lock().take();
        if let Some(waker) = sleeper {
            waker.wake();
        }
    }

    /// Makes it end before application code runs again; the caller calls [`set_work`](Self::set_work).
    pub fn mark_killed(&self) {
        self.killed.store(true, Ordering::SeqCst);
    }

    /// Whether the system call that just ended has set all registers itself.
    pub fn take_registers_replaced(&self) -> bool {
        self.registers_replaced.swap(false, Ordering::Relaxed)
    }

    /// Wakes it if it sleeps, to look again at what it waits for.
    pub fn wake(&self) {
        let sleeper = self.sleeper.lock().clone();
        if let Some(waker) = sleeper {
            waker.wake();
        }
    }

    /// Whether it sleeps in a system call, rather than running application code or being answered.
    pub fn is_asleep(&self) -> bool {
        self.running_since_ns.load(Ordering::Relaxed) == 0 && self.sleeper.lock().is_some()
    }

    /// Whether [`set_work`](Self::set_work) was called since the task last looked.
    pub fn has_work(&self) -> bool {
        self.work.load(Ordering::SeqCst)
    }
}
