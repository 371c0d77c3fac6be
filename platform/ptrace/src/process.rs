//! Stub processes: one an address space.
//!
//! The first thread of each is its *leader*: traced by the keeper, always stopped, never runs application code; so
//! mappings can be changed whatever the other threads do. Others are parked (traced by nobody, asleep in the stub
//! page) or traced by the worker that claimed or made them.

use crate::{orders::Slot, worker::WorkerShared};
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// A process with more threads than this is not used again.
const CROWD: usize = 8;

/// A stub process.
pub struct Process {
    /// Process id, and thread id of the leader.
    pub pid: i32,
    /// Its order page.
    pub slot: Slot,
    dead: AtomicBool,
    threads: Mutex<Threads>,
}

#[derive(Default)]
struct Threads {
    parked: Vec<i32>,
    /// How many threads workers trace.
    traced: usize,
    /// Workers that trace threads here.
    owners: Vec<Arc<WorkerShared>>,
}

impl Process {
    /// A process whose only other thread is parked.
    pub fn new(pid: i32, slot: Slot, parked: i32) -> Arc<Self> {
        let threads = Mutex::new(Threads { parked: vec![parked], ..Threads::default() });
        Arc::new(Self { pid, slot, dead: AtomicBool::new(false), threads })
    }

    /// Whether it is known to be gone or broken.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// It broke: kills it, so that nothing of it runs on. The keeper reaps it when its space goes.
    pub fn break_down(&self) {
        if self.kill() {
            log::error!("stub process {} is lost", self.pid);
        }
    }

    /// Kills it, and has those reap its threads who trace them. Says whether it was thought alive.
    pub fn kill(&self) -> bool {
        let alive = !self.dead.swap(true, Ordering::AcqRel);
        if alive {
            crate::sys::kill(self.pid);
            self.kick_owners();
        }
        alive
    }

    /// Has those look who trace threads here: a leader cannot be reaped before they have reaped them.
    pub fn kick_owners(&self) {
        let owners = self.threads.lock().owners.clone();
        for owner in owners {
            owner.ask_to_reap();
        }
    }

    /// Takes a thread that nobody traces.
    pub fn take_parked(&self) -> Option<i32> {
        self.threads.lock().parked.pop()
    }

    /// Gives it one.
    pub fn add_parked(&self, tid: i32) {
        self.threads.lock().parked.push(tid);
    }

    /// Whether a worker traces a thread here.
    pub fn has_owner(&self, worker: &Arc<WorkerShared>) -> bool {
        self.threads.lock().owners.iter().any(|o| Arc::ptr_eq(o, worker))
    }

    /// Whether it has more threads than the next space is likely to need.
    pub fn is_crowded(&self) -> bool {
        self.threads.lock().traced > CROWD
    }

    /// Notes that a thread here ended.
    pub fn remove_traced(&self) {
        let mut threads = self.threads.lock();
        threads.traced = threads.traced.saturating_sub(1);
    }

    /// Notes that a worker traces a further thread here.
    pub fn add_traced(&self, worker: &Arc<WorkerShared>) {
        let mut threads = self.threads.lock();
        threads.traced += 1;
        if !threads.owners.iter().any(|o| Arc::ptr_eq(o, worker)) {
            threads.owners.push(worker.clone());
        }
    }
}
