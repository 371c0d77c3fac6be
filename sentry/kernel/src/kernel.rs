//! One sandbox' kernel: what all of its tasks share.

use crate::{
    SysResult, Task, ThreadGroup,
    futex::Futexes,
    loader::AuxInfo,
    namespaces::Namespaces,
    pid::PidNamespace,
    task::namespaces::NewNamespace,
    tree::{ExitStatus, ProcessTree},
};
use abi::Errno;
use ksync::{Mutex, Ready, Registration, WaitQueue, exec::Executor, rank};
use mem::MemoryFile;
use platform::Platform;
use std::{
    collections::HashMap,
    future::Future,
    ops::Deref,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use vfs::{Credentials, File, UserNamespace, Vfs};

/// A future that a table of system calls returns for calls that may sleep.
pub type SyscallFuture<'a> = Pin<Box<dyn Future<Output = SysResult> + Send + 'a>>;

/// How one system call is answered.
pub enum SyscallStart<'a> {
    /// It was answered without sleeping.
    Done(SysResult),
    /// It may sleep.
    Later(SyscallFuture<'a>),
}

/// The table of system calls, which lives in a crate above this one.
pub trait SyscallTable: Send + Sync {
    /// Starts call `nr` of `task`. Unknown numbers are `ENOSYS`, and counted.
    fn start<'a>(&self, task: &'a Arc<Task>, nr: u64, args: [u64; 6]) -> SyscallStart<'a>;
    /// A signal is about to be dealt with, or was ignored; for who prints what happens.
    fn signal_delivered(&self, task: &Task, info: &abi::SigInfo) {
        let _ = (task, info);
    }
    /// A signal has stopped a process.
    fn thread_stopped(&self, task: &Task, signo: i32) {
        let _ = (task, signo);
    }
    /// A thread has ended.
    fn thread_ended(&self, task: &Task, status: ExitStatus) {
        let _ = (task, status);
    }
}

/// What the kernel is made of; filled in by `boot`.
pub struct KernelConfig {
    /// Polls every task.
    pub executor: Arc<Executor>,
    /// Runs application code.
    pub platform: Arc<dyn Platform>,
    /// All application memory.
    pub memory: Arc<MemoryFile>,
    /// The virtual file system.
    pub vfs: Arc<Vfs>,
    /// The system calls.
    pub syscalls: Arc<dyn SyscallTable>,
    /// CPUs that applications see.
    pub cpus: usize,
    /// Memory that applications see, in bytes.
    pub memory_bytes: u64,
    /// The vDSO that the platform puts into every address space.
    pub vdso: Option<mm::VdsoImage>,
    /// Numbers for the auxiliary vector.
    pub aux: AuxInfo,
    /// Set-id bits and file capabilities count.
    pub allow_suid: bool,
    /// Numbers of the first namespaces.
    pub namespace_ids: NamespaceIds,
}

/// Numbers of namespaces that are there from the start, where they are not to be new ones.
#[derive(Clone, Copy, Default, Debug)]
pub struct NamespaceIds {
    /// Of the user namespace.
    pub user: Option<u64>,
    /// Of the pid namespace.
    pub pid: Option<u64>,
}

/// Makes files for `memfd_create(2)`: from a name, `MFD_*` and who asks.
pub type NewMemfd = dyn Fn(&[u8], u32, &Arc<Credentials>) -> Result<Arc<File>, Errno> + Send + Sync;

/// One sandbox' kernel. What it was made of reads as its own.
pub struct Kernel {
    config: KernelConfig,
    /// Processes, their parents, groups and sessions.
    pub tree: Mutex<ProcessTree>,
    /// The initial user namespace.
    pub root_user_ns: Arc<UserNamespace>,
    /// The initial pid namespace.
    pub root_pid_ns: Arc<PidNamespace>,
    /// The initial namespaces of the other kinds, once there is a root file system.
    pub root_namespaces: OnceLock<Arc<Namespaces>>,
    /// Futexes.
    pub futexes: Futexes,
    /// Pausing the whole sandbox.
    pub pause: Pause,
    /// Makes a network namespace.
    pub new_net_namespace: OnceLock<NewNamespace>,
    /// Where namespaces are files.
    pub ns_mount: OnceLock<Arc<vfs::Mount>>,
    /// Contexts of asynchronous I/O.
    pub aio: crate::aio::AioContexts,
    /// Makes memfds, which live in a crate above.
    pub new_memfd: OnceLock<Box<NewMemfd>>,
    /// Called when a process without a parent has ended: a container's first one, or one that an exec started.
    pub on_root_end: OnceLock<Box<dyn Fn(&Arc<ThreadGroup>, ExitStatus) + Send + Sync>>,
    /// How many tasks there may be (what the pids controller of a control group enforces on Linux).
    pub max_tasks: AtomicU64,
    /// How busy the sandbox is.
    pub load: crate::time::load::Load,
    /// `CLOCK_MONOTONIC` at boot, which `CLOCK_BOOTTIME` and process start times count from.
    pub boot_ns: u64,
}

impl Deref for Kernel {
    type Target = KernelConfig;
    fn deref(&self) -> &KernelConfig {
        &self.config
    }
}

impl Kernel {
    /// A kernel with no task.
    pub fn new(config: KernelConfig) -> Arc<Self> {
        let first = config.namespace_ids;
        let root_user_ns = match first.user {
            Some(id) => UserNamespace::initial_numbered(id),
            None => UserNamespace::initial(),
        };
        Arc::new(Self {
            config,
            tree: Mutex::new(rank::TASK_TREE, ProcessTree::default()),
            root_pid_ns: PidNamespace::initial(root_user_ns.clone(), first.pid),
            root_user_ns,
            root_namespaces: OnceLock::new(),
            futexes: Futexes::default(),
            pause: Pause::default(),
            new_net_namespace: OnceLock::new(),
            ns_mount: OnceLock::new(),
            aio: Default::default(),
            new_memfd: OnceLock::new(),
            on_root_end: OnceLock::new(),
            max_tasks: AtomicU64::new(u64::MAX),
            load: Default::default(),
            boot_ns: ksync::exec::monotonic_ns(),
        })
    }

    /// `CLOCK_MONOTONIC` as applications see it, in nanoseconds.
    pub fn monotonic_ns(&self) -> u64 {
        ksync::exec::monotonic_ns()
    }
}

/// Pausing all tasks (`containerManager.Pause`).
pub struct Pause {
    /// Tasks are to sleep.
    pub paused: AtomicBool,
    /// Announced when they may go on.
    pub queue: WaitQueue,
    sleeping: Mutex<HashMap<u32, Registration>>,
}

impl Default for Pause {
    fn default() -> Self {
        Self {
            paused: AtomicBool::new(false),
            queue: WaitQueue::new(),
            sleeping: Mutex::new(rank::LEAF, HashMap::new()),
        }
    }
}

impl Pause {
    /// Keeps the registration of a task that sleeps.
    pub(crate) fn keep(&self, tid: u32, registration: Registration) {
        let old = self.sleeping.lock().insert(tid, registration);
        drop(old);
    }
    /// The task goes on.
    pub(crate) fn forget(&self, tid: u32) {
        let old = self.sleeping.lock().remove(&tid);
        drop(old);
    }
}

impl Kernel {
    /// A process without a parent in the sandbox has ended: the container's first, or one that `exec` started.
    pub(crate) fn root_ended(&self, group: &Arc<ThreadGroup>, status: ExitStatus) {
        if let Some(call) = self.on_root_end.get() {
            call(group, status);
        }
    }

    /// Stops all application code until [`resume`](Self::resume); it is interrupted at once.
    pub fn pause(&self) {
        self.pause.paused.store(true, Ordering::SeqCst);
        for task in self.tasks() {
            task.set_work();
        }
    }

    /// Lets application code go on.
    pub fn resume(&self) {
        self.pause.paused.store(false, Ordering::SeqCst);
        self.pause.queue.notify(Ready::OTHER);
    }

    /// Every thread of every process.
    pub fn tasks(&self) -> Vec<Arc<Task>> {
        self.tree.lock().nodes.values().flat_map(|n| n.threads.values().cloned()).collect()
    }

    /// How many threads are not asleep.
    pub fn running(&self) -> usize {
        self.tasks().iter().filter(|t| !t.is_asleep()).count()
    }

    /// Whether a process that is killed by a core-dumping signal is reported as having dumped (`RLIMIT_CORE`).
    /// No dump is written; the bit follows what Linux would say with a `core_pattern` that is a file.
    pub fn dumps_core(&self, task: &Task) -> bool {
        task.group.limits.lock().soft(abi::process::Resource::Core) > 0
    }
}

static THE_KERNEL: OnceLock<std::sync::Weak<Kernel>> = OnceLock::new();

/// The kernel of this process, for objects that outlive or precede tasks (terminals that the reactor wakes).
/// None before [`Kernel::publish`].
pub fn the_kernel() -> Option<Arc<Kernel>> {
    THE_KERNEL.get().and_then(std::sync::Weak::upgrade)
}

impl Kernel {
    /// Makes this the kernel that [`the_kernel`] gives; the first one stays.
    pub fn publish(self: &Arc<Self>) {
        let _ = THE_KERNEL.set(Arc::downgrade(self));
    }
}
