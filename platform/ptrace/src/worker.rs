//! The idle step of a worker: waiting for its tracees, and being kicked.
//!
//! [`WorkerShared`] is what other threads reach of a worker.

use crate::{
    code,
    roster::Roster,
    sys,
    tracer::{Tracer, with},
};
use host::futex;
use parking_lot::Mutex;
use platform::AddressSpace;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

/// With no more than this many that run, each is looked for by itself: looking for any passes over all that are stopped.
const FEW: usize = 8;

/// What other threads reach of a worker: its sleep, and what they want of it.
pub struct WorkerShared {
    state: AtomicU32,
    tid: i32,
    reap: AtomicBool,
    inbox: Mutex<Vec<Release>>,
}

/// A thread whose context was dropped elsewhere, with the space that it may still run in.
struct Release {
    tid: i32,
    space: Arc<dyn AddressSpace>,
}

const AWAKE: u32 = 0;
/// In `futex`, for nothing runs.
const PARKED: u32 = 1;
/// In `wait4`.
const WAITING: u32 = 2;
const KICKED: u32 = 3;

impl WorkerShared {
    /// Of the thread `tid`, awake.
    pub fn new(tid: i32) -> Self {
        Self { state: AtomicU32::new(AWAKE), tid, reap: AtomicBool::new(false), inbox: Mutex::default() }
    }

    /// Has the worker take back a thread whose context was dropped elsewhere.
    pub fn ask_to_release(&self, tid: i32, space: Arc<dyn AddressSpace>) {
        self.inbox.lock().push(Release { tid, space });
        self.kick();
    }

    fn kick(&self) {
        match self.state.swap(KICKED, Ordering::AcqRel) {
            PARKED => drop(futex::wake(&self.state, 1)),
            WAITING => drop(host::thread::tgkill(host::thread::getpid(), self.tid, host::signal::KICK)),
            _ => {}
        }
    }

    /// Has the worker look for tracees that died.
    pub fn ask_to_reap(&self) {
        self.reap.store(true, Ordering::Release);
        self.kick();
    }
}

impl platform::Kick for WorkerShared {
    fn kick(&self) {
        self.kick();
    }
}

/// Takes note of a wait status and tells whom it concerns; says whether a task was woken.
fn report(tid: i32, status: i32) -> bool {
    let Some((waker, space)) = with(|t| t.note(tid, status)) else { return false };
    drop(space);
    let Some(waker) = waker else { return false };
    waker.wake();
    true
}

/// The idle step of a worker.
pub struct Worker {
    shared: Arc<WorkerShared>,
}

impl Worker {
    /// Makes the calling thread a worker, on the `index`th of the CPUs.
    pub fn new(roster: &Roster, index: usize) -> Self {
        let cpu = match host::thread::pin_to_nth(&roster.cpus, index) {
            Ok(cpu) => Some(cpu),
            Err(e) => {
                log::warn!("worker {index} cannot be bound to a CPU: {e}");
                None
            }
        };
        let made = with(|t| {
            t.cpu = cpu;
            t.shared.clone()
        });
        // The thread-local is gone only when the thread ends.
        let shared = made.unwrap_or_else(|| Tracer::new().shared);
        Self { shared }
    }

    /// Does what others asked for; says whether a task was woken.
    fn serve(&self) -> bool {
        let releases = std::mem::take(&mut *self.shared.inbox.lock());
        for Release { tid, space } in releases {
            drop(with(|t| t.release(tid, space)));
        }
        let mut woke = false;
        if self.shared.reap.swap(false, Ordering::AcqRel) {
            while let Ok(Some((tid, status))) = sys::wait_now(-1) {
                woke |= report(tid, status);
            }
        }
        woke
    }

    /// Nothing that can be waited for is left: what was thought to run is gone.
    fn all_lost(&self) {
        let running = with(|t| std::mem::take(&mut t.running)).unwrap_or_default();
        for tid in running {
            // Status 0: exited.
            report(tid, 0);
        }
    }
}

impl platform::Worker for Worker {
    fn poll(&mut self) {
        self.serve();
        let few = with(|t| (t.running.len() <= FEW).then(|| t.running.clone())).flatten();
        if let Some(few) = few {
            for tid in few {
                match sys::wait_now(tid) {
                    Ok(Some((tid, status))) => _ = report(tid, status),
                    Ok(None) => {}
                    Err(_) => _ = report(tid, 0),
                }
            }
            return;
        }
        loop {
            match sys::wait_now(-1) {
                Ok(Some((tid, status))) => _ = report(tid, status),
                Ok(None) => return,
                Err(_) => return self.all_lost(),
            }
        }
    }

    fn idle(&mut self) {
        let state = &self.shared.state;
        loop {
            // A task of this worker's that is woken from here finds the worker awake, and does not kick it.
            if self.serve() {
                return;
            }
            let whom = with(|t| (!t.running.is_empty()).then(|| t.whom())).flatten();
            let next = if whom.is_some() { WAITING } else { PARKED };
            if state.compare_exchange(AWAKE, next, Ordering::AcqRel, Ordering::Acquire).is_err() {
                state.store(AWAKE, Ordering::Release);
                break;
            }
            let Some(whom) = whom else {
                futex::wait_while(state, PARKED);
                state.store(AWAKE, Ordering::Release);
                break;
            };
            let got = code::wait_unless_kicked(whom, libc::__WALL | libc::__WNOTHREAD, state, WAITING);
            let kicked = state.swap(AWAKE, Ordering::AcqRel) == KICKED;
            match got {
                Ok((tid, status)) if tid > 0 && report(tid, status) => break,
                Err(libc::ECHILD) => {
                    if whom == -1 {
                        self.all_lost();
                    } else {
                        report(whom, 0);
                    }
                    break;
                }
                _ if kicked => break,
                _ => {}
            }
        }
        self.serve();
    }

    fn kicker(&self) -> Arc<dyn platform::Kick> {
        self.shared.clone()
    }
}
