//! Which threads run and since when, for moving long-running ones off their worker's CPU.

use host::{thread::CpuSet, time::monotonic_ns};
use parking_lot::Mutex;
use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// What the keeper and interrupters may know of a traced thread.
pub struct ThreadShared {
    /// Thread id.
    pub tid: i32,
    /// When it was resumed; 0 while stopped.
    pub since: AtomicU64,
    /// Bound to its worker's CPU.
    pub pinned: AtomicBool,
}

/// The threads of all workers of a platform, for moving long-running ones off their worker's CPU.
pub struct Roster {
    threads: Mutex<Vec<Weak<ThreadShared>>>,
    ticking: AtomicBool,
    /// CPUs of the process when the platform was made.
    pub cpus: CpuSet,
}

impl Default for Roster {
    fn default() -> Self {
        let cpus = host::thread::affinity(0).unwrap_or_default();
        Self { threads: Mutex::default(), ticking: AtomicBool::new(false), cpus }
    }
}

impl Roster {
    /// Adds a thread, stopped and free to move.
    pub fn add(&self, tid: i32) -> Arc<ThreadShared> {
        let shared = Arc::new(ThreadShared { tid, since: AtomicU64::new(0), pinned: AtomicBool::new(false) });
        self.threads.lock().push(Arc::downgrade(&shared));
        shared
    }

    /// Whether the caller is to make the keeper tick.
    pub fn start_ticking(&self) -> bool {
        !self.ticking.load(Ordering::Relaxed) && !self.ticking.swap(true, Ordering::SeqCst)
    }

    /// Ends the ticking, unless something runs after all; says whether it goes on.
    pub fn stop_ticking(&self) -> bool {
        self.ticking.store(false, Ordering::SeqCst);
        let runs =
            self.threads.lock().iter().filter_map(Weak::upgrade).any(|t| t.since.load(Ordering::SeqCst) != 0);
        runs && !self.ticking.swap(true, Ordering::SeqCst)
    }

    /// Lets threads that run for longer than `limit` use every CPU. Says whether any thread runs.
    pub fn release_long_running(&self, limit: Duration) -> bool {
        let now = monotonic_ns();
        let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        let mut runs = false;
        self.threads.lock().retain(|t| {
            let Some(t) = t.upgrade() else { return false };
            let since = t.since.load(Ordering::Relaxed);
            // One that is already free to move needs no watching.
            if since != 0 && t.pinned.load(Ordering::Relaxed) {
                runs = true;
                if now.saturating_sub(since) > limit {
                    t.pinned.store(false, Ordering::Relaxed);
                    let _ = host::thread::set_affinity(t.tid, &self.cpus);
                }
            }
            true
        });
        runs
    }
}
