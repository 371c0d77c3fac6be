//! What a host thread traces: its tracees, and what their wait statuses mean for them.
//!
//! A tracer is a thread, so this is thread-local. **Invariant:** no waker is called and nothing of the kernel's is
//! dropped while the thread-local is borrowed.

use crate::{
    inject, inject::Broken, keeper::Keeper, process::Process, roster::ThreadShared, sys, worker::WorkerShared,
};
use host::time::monotonic_ns;
use platform::{AddressSpace, Regs};
use std::{
    cell::RefCell,
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    task::Waker,
};

/// A run shorter than this makes it likely that the thread traps often.
const QUICK_NS: u64 = 300_000;
/// So many quick runs in a row bring a thread back to its worker's CPU.
const QUICK_RUNS: u32 = 4;
/// So many threads of a process that no context has are kept by a worker.
const FREE_THREADS: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Stopped,
    Running,
    /// Has stopped with this wait status, which its context has not seen.
    Reported(i32),
    Dead,
}

/// A tracee of this thread.
pub struct Entry {
    pub process: Arc<Process>,
    pub shared: Arc<ThreadShared>,
    pub state: State,
    pub waker: Option<Waker>,
    /// Belongs to a context.
    pub assigned: bool,
    /// Its context is gone while it ran; the space lives until it stops.
    pub abandoned: Option<Arc<dyn AddressSpace>>,
    /// What its registers hold.
    pub regs: Regs,
    pub quick_runs: u32,
}

/// The tracer that a thread is.
pub struct Tracer {
    pub shared: Arc<WorkerShared>,
    pub cpu: Option<usize>,
    pub threads: HashMap<i32, Entry>,
    pub by_process: HashMap<i32, Vec<i32>>,
    pub running: Vec<i32>,
}

thread_local! {
    static TRACER: RefCell<Option<Tracer>> = const { RefCell::new(None) };
}

/// Runs `f` on this thread's tracer, making it one if need be. `None` inside another such call or at thread exit.
pub fn with<R>(f: impl FnOnce(&mut Tracer) -> R) -> Option<R> {
    TRACER
        .try_with(|slot| {
            let mut slot = slot.try_borrow_mut().ok()?;
            Some(f(slot.get_or_insert_with(Tracer::new)))
        })
        .ok()
        .flatten()
}

/// As [`with`], but only where this thread traces already.
pub fn with_existing<R>(f: impl FnOnce(&mut Tracer) -> R) -> Option<R> {
    TRACER.try_with(|slot| slot.try_borrow_mut().ok()?.as_mut().map(f)).ok().flatten()
}

impl Tracer {
    pub fn new() -> Self {
        let shared = Arc::new(WorkerShared::new(host::thread::gettid()));
        let _ = host::signal::unblock(host::signal::KICK);
        Self { shared, cpu: None, threads: HashMap::new(), by_process: HashMap::new(), running: Vec::new() }
    }

    /// A stopped thread of a process; `free`: one that no context has.
    pub fn stopped(&self, pid: i32, free: bool) -> Option<i32> {
        self.by_process.get(&pid)?.iter().copied().find(|tid| {
            self.threads.get(tid).is_some_and(|t| t.state == State::Stopped && !(free && t.assigned))
        })
    }

    pub fn adopt(&mut self, tid: i32, process: &Arc<Process>, keeper: &Keeper) -> Result<(), Broken> {
        let mut regs = Regs::default();
        sys::get_regs(tid, &mut regs)?;
        let shared = keeper.roster.add(tid);
        process.add_traced(&self.shared);
        let entry = Entry {
            process: process.clone(),
            shared,
            state: State::Stopped,
            waker: None,
            assigned: false,
            abandoned: None,
            regs,
            quick_runs: 0,
        };
        if self.cpu.is_some() {
            self.pin(&entry);
        } else {
            // It was made where the keeper was.
            let _ = host::thread::set_affinity(tid, &keeper.roster.cpus);
        }
        self.threads.insert(tid, entry);
        self.by_process.entry(process.pid).or_default().push(tid);
        Ok(())
    }

    pub fn pin(&self, entry: &Entry) {
        let Some(cpu) = self.cpu else { return };
        if let Ok(set) = host::thread::single_cpu(cpu)
            && host::thread::set_affinity(entry.shared.tid, &set).is_ok()
        {
            entry.shared.pinned.store(true, Ordering::Relaxed);
        }
    }

    /// Takes note of a wait status. What is returned is to be used after the borrow.
    pub fn note(&mut self, tid: i32, status: i32) -> (Option<Waker>, Option<Arc<dyn AddressSpace>>) {
        self.running.retain(|&t| t != tid);
        let Some(entry) = self.threads.get_mut(&tid) else { return (None, None) };
        let ran = monotonic_ns().saturating_sub(entry.shared.since.swap(0, Ordering::Relaxed));
        let gone = sys::decode(status) == sys::Stop::Exited;
        let space = entry.abandoned.take();
        if gone {
            entry.state = State::Dead;
        } else if entry.assigned {
            entry.state = State::Reported(status);
            entry.quick_runs = if ran < QUICK_NS { entry.quick_runs.saturating_add(1) } else { 0 };
        } else {
            entry.state = State::Stopped;
        }
        let waker = entry.waker.take();
        if gone {
            entry.process.break_down();
            if !entry.assigned {
                self.forget(tid);
            }
        } else if self.cpu.is_some()
            && let Some(entry) = self.threads.get(&tid)
            && entry.quick_runs == QUICK_RUNS
            && !entry.shared.pinned.load(Ordering::Relaxed)
        {
            self.pin(entry);
        }
        (waker, space)
    }

    pub fn forget(&mut self, tid: i32) {
        let Some(entry) = self.threads.remove(&tid) else { return };
        entry.process.remove_traced();
        if let Some(list) = self.by_process.get_mut(&entry.process.pid) {
            list.retain(|&t| t != tid);
            if list.is_empty() {
                self.by_process.remove(&entry.process.pid);
            }
        }
    }

    /// Ends a free thread where the process has enough of them.
    pub fn thin_out(&mut self, tid: i32, process: &Arc<Process>) {
        let Some(list) = self.by_process.get(&process.pid) else { return };
        let free = |tid: &&i32| self.threads.get(tid).is_some_and(|t| !t.assigned);
        if list.iter().filter(free).take(FREE_THREADS + 1).count() > FREE_THREADS && inject::exit(tid).is_ok()
        {
            self.forget(tid);
        }
    }

    pub fn release(&mut self, tid: i32, space: Arc<dyn AddressSpace>) -> Option<Arc<dyn AddressSpace>> {
        let Some(entry) = self.threads.get_mut(&tid) else { return Some(space) };
        entry.assigned = false;
        entry.waker = None;
        match entry.state {
            State::Running => {
                let _ = host::thread::tgkill(entry.process.pid, tid, host::signal::KICK);
                entry.abandoned = Some(space);
                None
            }
            State::Dead => {
                self.forget(tid);
                Some(space)
            }
            State::Stopped | State::Reported(_) => {
                entry.state = State::Stopped;
                let process = entry.process.clone();
                self.thin_out(tid, &process);
                Some(space)
            }
        }
    }

    /// The one tracee that runs, or -1 for any.
    pub fn whom(&self) -> i32 {
        match self.running.as_slice() {
            [one] => *one,
            _ => -1,
        }
    }

    pub fn make_thread(&mut self, keeper: &Keeper, process: &Arc<Process>) -> Result<Option<i32>, Broken> {
        let tid = if let Some(tid) = process.take_parked() {
            inject::claim(tid)?;
            tid
        } else if let Some(by) = self.stopped(process.pid, false) {
            let made = inject::clone(by, inject::THREAD);
            self.refresh(by)?;
            made?.map_err(|_| Broken)?
        } else {
            return Ok(None);
        };
        self.adopt(tid, process, keeper)?;
        Ok(Some(tid))
    }

    /// Reads again the registers that an injection changed.
    pub fn refresh(&mut self, tid: i32) -> Result<(), Broken> {
        let entry = self.threads.get_mut(&tid).ok_or(Broken)?;
        Ok(sys::get_regs(tid, &mut entry.regs)?)
    }
}
