//! Thread groups: processes.

use crate::{Kernel, limits::Limits, pid::Pid, signal::GroupSignals, time::timers::Timers, tree::ExitStatus};
use abi::Signal;
use ksync::{Mutex, WaitQueue, rank};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64},
};

/// What is left of the threads of a process that has ended.
#[derive(Clone)]
pub struct Remains {
    /// Name of the last one.
    pub comm: Vec<u8>,
    /// Who it acted as.
    pub cred: Arc<vfs::Credentials>,
}

/// A process: what all of its threads share whatever their clone flags were.
pub struct ThreadGroup {
    /// The kernel.
    pub kernel: Arc<Kernel>,
    /// Its number: the leader's.
    pub pid: Arc<Pid>,
    /// Shared pending signals, actions, stop state.
    pub signals: Mutex<GroupSignals>,
    /// The thread that runs `execve` or is to be the only one left; others end.
    pub(crate) execing: AtomicBool,
    /// `setitimer` and `timer_create`.
    pub timers: Timers,
    /// Resource limits.
    pub limits: Mutex<Limits>,
    /// Set by `exit_group`, a fatal signal or exec by another thread: what every thread is to end with.
    pub exiting: Mutex<Option<ExitStatus>>,
    /// Announces changes of the state of children and threads: exits, stops, continues.
    pub child_events: WaitQueue,
    /// Announces `IN` when a signal becomes pending for the process or one of its threads (signalfd).
    pub signal_events: WaitQueue,
    /// Announced when the process has ended (pidfd) and when its exec has released a vfork parent.
    pub exited: WaitQueue,
    /// Has `execve`d a program with set-id bits or the like: not to be looked into.
    pub undumpable: AtomicBool,
    /// Sets of semaphores that are to be undone at its end.
    pub(crate) sem_undos: Mutex<Vec<std::sync::Weak<crate::ipc::sem::SemSet>>>,
    /// All threads have ended.
    pub ended: AtomicBool,
    /// The parent has been told, and it is in the tree no more.
    pub reaped: AtomicBool,
    /// `PR_SET_THP_DISABLE`; remembered.
    pub thp_disabled: AtomicBool,
    /// What `membarrier(2)` was told to expect.
    pub barriers: AtomicU32,
    /// Who logged in (`/proc/pid/loginuid`), `u32::MAX` if nobody did.
    pub login_uid: AtomicU32,
    /// Which login that was (`/proc/pid/sessionid`).
    pub login_session: AtomicU32,
    /// `/proc/pid/oom_score_adj`; remembered.
    pub oom_score_adj: AtomicI32,
    /// The lowest value that it may be set to without `CAP_SYS_RESOURCE`.
    pub oom_score_adj_min: AtomicI32,
    /// What the leader gave to `exit(2)` while other threads went on: the code of the process unless `exit_group` gives one.
    pub(crate) leader_status: Mutex<Option<ExitStatus>>,
    /// Real user of the thread that ended last (for `waitid` on a zombie).
    pub(crate) last_uid: AtomicU32,
    /// What `/proc` shows of a zombie: name and credentials of the thread that ended last.
    pub remains: Mutex<Option<Remains>>,
    /// CPU time of threads that have ended, in nanoseconds: user and system.
    pub past_user_ns: AtomicU64,
    /// As above.
    pub past_system_ns: AtomicU64,
    /// CPU time of children that were waited for.
    pub children_user_ns: AtomicU64,
    /// As above.
    pub children_system_ns: AtomicU64,
    /// Counts of threads that have ended.
    pub past_usage: crate::task::Usage,
    /// Counts of children that were waited for.
    pub children_usage: crate::task::Usage,
    /// Highest resident size of a child that was waited for, in KiB.
    pub children_max_rss_kb: AtomicU64,
    /// Highest resident size that was left at an exec or the end, in KiB.
    pub max_rss_kb: AtomicU64,
    /// `CLOCK_MONOTONIC` at its start.
    pub start_ns: u64,
}

impl ThreadGroup {
    /// A process without threads.
    pub fn new(kernel: Arc<Kernel>, pid: Arc<Pid>, signals: GroupSignals, limits: Limits) -> Arc<Self> {
        let start_ns = kernel.monotonic_ns();
        Arc::new(Self {
            kernel,
            pid,
            signals: Mutex::new(rank::THREAD_GROUP, signals),
            execing: AtomicBool::new(false),
            timers: Timers::default(),
            limits: Mutex::new(rank::LEAF, limits),
            exiting: Mutex::new(rank::LEAF, None),
            child_events: WaitQueue::new(),
            signal_events: WaitQueue::new(),
            exited: WaitQueue::new(),
            undumpable: AtomicBool::new(false),
            sem_undos: Mutex::new(rank::LEAF, Vec::new()),
            ended: AtomicBool::new(false),
            reaped: AtomicBool::new(false),
            thp_disabled: AtomicBool::new(false),
            barriers: AtomicU32::new(0),
            login_uid: AtomicU32::new(u32::MAX),
            login_session: AtomicU32::new(u32::MAX),
            oom_score_adj: AtomicI32::new(0),
            oom_score_adj_min: AtomicI32::new(0),
            leader_status: Mutex::new(rank::LEAF, None),
            last_uid: AtomicU32::new(0),
            remains: Mutex::new(rank::LEAF, None),
            past_user_ns: AtomicU64::new(0),
            past_system_ns: AtomicU64::new(0),
            children_user_ns: AtomicU64::new(0),
            children_system_ns: AtomicU64::new(0),
            past_usage: Default::default(),
            children_usage: Default::default(),
            children_max_rss_kb: AtomicU64::new(0),
            max_rss_kb: AtomicU64::new(0),
            start_ns,
        })
    }

    /// Its number in the initial pid namespace.
    pub fn tgid(&self) -> u32 {
        self.pid.root()
    }

    /// Credentials of the leader, or of any thread; none once all have ended.
    pub fn leader_cred(&self) -> Option<Arc<vfs::Credentials>> {
        let task = self.signals.lock().live().next()?;
        Some(task.cred())
    }

    /// Makes all threads stop for `signal`, unless the process was continued since its `continues` were `as_of`.
    pub fn begin_stop(&self, signal: Signal, as_of: u64) {
        let threads: Vec<_> = {
            let mut signals = self.signals.lock();
            if signals.stop.continues != as_of {
                return;
            }
            signals.stop_for(signal);
            signals.live().collect()
        };
        for task in threads {
            task.set_work();
        }
    }

    /// Whether its process group is orphaned: no member has a parent in the same session but another group.
    pub fn is_orphaned(&self) -> bool {
        let tree = self.kernel.tree.lock();
        let Some(me) = tree.nodes.get(&self.tgid()) else { return true };
        tree.is_group_orphaned(me.pgid)
    }
}
