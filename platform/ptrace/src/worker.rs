//! The tracing side of a host thread: its tracees, waiting for them, and being kicked.
//!
//! A tracer is a thread, so its state is thread-local. [`WorkerShared`] is what other threads reach of it.
//! **Invariant:** no waker is called and nothing of the kernel's is dropped while the thread-local is borrowed.

use crate::{
    code, inject,
    inject::{Broken, Failed},
    keeper::Keeper,
    orders::Order,
    process::Process,
    sys,
};
use host::{futex, thread::CpuSet, time::monotonic_ns};
use parking_lot::Mutex;
use platform::{AddressSpace, Regs};
use std::{
    cell::RefCell,
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    task::Waker,
    time::Duration,
};

/// A run shorter than this makes it likely that the thread traps often.
const QUICK_NS: u64 = 300_000;
/// So many quick runs in a row bring a thread back to its worker's CPU.
const QUICK_RUNS: u32 = 4;

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

/// What the keeper and interrupters may know of a traced thread.
pub struct ThreadShared {
    /// Thread id.
    pub tid: i32,
    /// When it was resumed; 0 while stopped.
    since: AtomicU64,
    pinned: AtomicBool,
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

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Stopped,
    Running,
    /// Has stopped with this wait status, which its context has not seen.
    Reported(i32),
    Dead,
}

/// A tracee of this thread.
struct Entry {
    process: Arc<Process>,
    shared: Arc<ThreadShared>,
    state: State,
    waker: Option<Waker>,
    /// Belongs to a context.
    assigned: bool,
    /// Its context is gone while it ran; the space lives until it stops.
    abandoned: Option<Arc<dyn AddressSpace>>,
    /// What its registers hold.
    regs: Regs,
    quick_runs: u32,
}

/// The tracer that a thread is.
struct Tracer {
    shared: Arc<WorkerShared>,
    cpu: Option<usize>,
    threads: HashMap<i32, Entry>,
    by_process: HashMap<i32, Vec<i32>>,
    running: Vec<i32>,
}

thread_local! {
    static TRACER: RefCell<Option<Tracer>> = const { RefCell::new(None) };
}

/// Runs `f` on this thread's tracer, making it one if need be. `None` inside another such call or at thread exit.
fn with<R>(f: impl FnOnce(&mut Tracer) -> R) -> Option<R> {
    TRACER
        .try_with(|slot| {
            let mut slot = slot.try_borrow_mut().ok()?;
            Some(f(slot.get_or_insert_with(Tracer::new)))
        })
        .ok()
        .flatten()
}

/// As [`with`], but only where this thread traces already.
fn with_existing<R>(f: impl FnOnce(&mut Tracer) -> R) -> Option<R> {
    TRACER.try_with(|slot| slot.try_borrow_mut().ok()?.as_mut().map(f)).ok().flatten()
}

impl Tracer {
    fn new() -> Self {
        let shared = Arc::new(WorkerShared {
            state: AtomicU32::new(AWAKE),
            tid: host::thread::gettid(),
            reap: AtomicBool::new(false),
            inbox: Mutex::default(),
        });
        let _ = host::signal::unblock(host::signal::KICK);
        Self { shared, cpu: None, threads: HashMap::new(), by_process: HashMap::new(), running: Vec::new() }
    }

    /// A stopped thread of a process; `free`: one that no context has.
    fn stopped(&self, pid: i32, free: bool) -> Option<i32> {
        self.by_process.get(&pid)?.iter().copied().find(|tid| {
            self.threads.get(tid).is_some_and(|t| t.state == State::Stopped && !(free && t.assigned))
        })
    }

    fn adopt(&mut self, tid: i32, process: &Arc<Process>, keeper: &Keeper) -> Result<(), Broken> {
        let mut regs = Regs::default();
        sys::get_regs(tid, &mut regs)?;
        let shared = Arc::new(ThreadShared { tid, since: AtomicU64::new(0), pinned: AtomicBool::new(false) });
        keeper.roster.threads.lock().push(Arc::downgrade(&shared));
        process.add_owner(&self.shared);
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

    fn pin(&self, entry: &Entry) {
        let Some(cpu) = self.cpu else { return };
        if let Ok(set) = host::thread::single_cpu(cpu)
            && host::thread::set_affinity(entry.shared.tid, &set).is_ok()
        {
            entry.shared.pinned.store(true, Ordering::Relaxed);
        }
    }

    /// Takes note of a wait status. What is returned is to be used after the borrow.
    fn note(&mut self, tid: i32, status: i32) -> (Option<Waker>, Option<Arc<dyn AddressSpace>>) {
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

    fn forget(&mut self, tid: i32) {
        if let Some(entry) = self.threads.remove(&tid)
            && let Some(list) = self.by_process.get_mut(&entry.process.pid)
        {
            list.retain(|&t| t != tid);
            if list.is_empty() {
                self.by_process.remove(&entry.process.pid);
            }
        }
    }

    fn release(&mut self, tid: i32, space: Arc<dyn AddressSpace>) -> Option<Arc<dyn AddressSpace>> {
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
                Some(space)
            }
        }
    }

    /// The one tracee that runs, or -1 for any.
    fn whom(&self) -> i32 {
        match self.running.as_slice() {
            [one] => *one,
            _ => -1,
        }
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

/// A thread and the worker that traces it.
type Owned = (Arc<ThreadShared>, Arc<WorkerShared>);

/// A stopped thread of `process` for a context of the calling thread's.
pub fn acquire(keeper: &Keeper, process: &Arc<Process>) -> Result<Owned, Broken> {
    for _ in 0..4 {
        let done = with(|t| -> Result<Option<Owned>, Broken> {
            if process.is_dead() {
                return Err(Broken);
            }
            let tid = match t.stopped(process.pid, true) {
                Some(tid) => tid,
                None => match t.make_thread(keeper, process)? {
                    Some(tid) => tid,
                    None => return Ok(None),
                },
            };
            let entry = t.threads.get_mut(&tid).ok_or(Broken)?;
            entry.assigned = true;
            Ok(Some((entry.shared.clone(), t.shared.clone())))
        });
        if let Some(found) = done.ok_or(Broken)?? {
            return Ok(found);
        }
        keeper.thread(process)?;
    }
    Err(Broken)
}

impl Tracer {
    fn make_thread(&mut self, keeper: &Keeper, process: &Arc<Process>) -> Result<Option<i32>, Broken> {
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
    fn refresh(&mut self, tid: i32) -> Result<(), Broken> {
        let entry = self.threads.get_mut(&tid).ok_or(Broken)?;
        Ok(sys::get_regs(tid, &mut entry.regs)?)
    }
}

/// Makes calls in a process, by whichever of its threads the calling thread can use, or the keeper.
pub fn calls(
    keeper: &Keeper,
    process: &Arc<Process>,
    orders: &[Order],
) -> Result<Result<(), Failed>, Broken> {
    if process.is_dead() {
        return Err(Broken);
    }
    let here = with_existing(|t| -> Result<Option<Result<(), Failed>>, Broken> {
        let tid = match t.stopped(process.pid, false) {
            Some(tid) => tid,
            None => match process.take_parked() {
                Some(tid) => {
                    inject::claim(tid)?;
                    t.adopt(tid, process, keeper)?;
                    tid
                }
                None => return Ok(None),
            },
        };
        let entry = t.threads.get_mut(&tid).ok_or(Broken)?;
        Ok(Some(inject::calls(tid, &process.slot, orders, &mut entry.regs)?))
    });
    match here {
        Some(Ok(Some(result))) => Ok(result),
        Some(Err(broken)) => Err(broken),
        Some(Ok(None)) | None => keeper.calls(process, orders),
    }
}

/// Empties a process whose space is gone, if the calling thread traces a stopped thread of it.
pub fn empty_here(process: &Arc<Process>) -> bool {
    if process.is_dead() {
        return false;
    }
    let all = Order::new(libc::SYS_munmap, [0, crate::layout::USER_MAX]);
    let emptied = with_existing(|t| {
        let tid = t.stopped(process.pid, true)?;
        let result = inject::call(tid, &all);
        t.refresh(tid).ok()?;
        Some(result == Ok(0))
    });
    emptied.flatten().unwrap_or(false)
}

/// The worker that the calling thread is, if it traces anything.
pub fn current() -> Option<Arc<WorkerShared>> {
    with_existing(|t| t.shared.clone())
}

/// Gives a stopped thread registers and lets it run application code.
pub fn resume(keeper: &Keeper, tid: i32, regs: Option<&Regs>, waker: &Waker) -> Result<(), Broken> {
    with(|t| {
        let entry = t.threads.get_mut(&tid).ok_or(Broken)?;
        if entry.state == State::Dead {
            return Err(Broken);
        }
        if let Some(regs) = regs {
            crate::regs::load(tid, regs, &mut entry.regs)?;
        }
        entry.shared.since.store(monotonic_ns(), Ordering::SeqCst);
        sys::sysemu(tid)?;
        entry.state = State::Running;
        match &mut entry.waker {
            Some(old) => old.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        if entry.shared.pinned.load(Ordering::Relaxed) {
            keeper.note_running();
        }
        t.running.push(tid);
        Ok(())
    })
    .ok_or(Broken)?
}

/// What happened to a thread that was resumed.
pub enum Report {
    /// Nothing yet; the waker was left with it.
    Running,
    /// It stopped.
    Stopped(sys::Stop),
    /// It is gone.
    Dead,
}

/// Asks for a thread's stop.
pub fn take_report(tid: i32, waker: &Waker) -> Report {
    with(|t| {
        let Some(entry) = t.threads.get_mut(&tid) else { return Report::Dead };
        match entry.state {
            State::Running => {
                match &mut entry.waker {
                    Some(old) => old.clone_from(waker),
                    none => *none = Some(waker.clone()),
                }
                Report::Running
            }
            State::Reported(status) => {
                entry.state = State::Stopped;
                Report::Stopped(sys::decode(status))
            }
            State::Stopped => Report::Stopped(sys::Stop::Event(libc::PTRACE_EVENT_STOP)),
            State::Dead => Report::Dead,
        }
    })
    .unwrap_or(Report::Dead)
}

/// Reads the registers of a stopped thread.
pub fn read_regs(tid: i32, regs: &mut Regs) -> Result<(), Broken> {
    with(|t| {
        let entry = t.threads.get_mut(&tid).ok_or(Broken)?;
        sys::get_regs(tid, &mut entry.regs)?;
        *regs = entry.regs;
        Ok(())
    })
    .ok_or(Broken)?
}

/// The instruction pointer that a stopped thread holds.
pub fn held_rip(tid: i32) -> u64 {
    with(|t| t.threads.get(&tid).map_or(0, |e| e.regs.rip)).unwrap_or(0)
}

/// Gives a context's thread back, from any host thread.
pub fn release(owner: &Arc<WorkerShared>, tid: i32, space: Arc<dyn AddressSpace>) {
    let mut space = Some(space);
    let here = with_existing(|t| {
        if !Arc::ptr_eq(&t.shared, owner) {
            return None;
        }
        space.take().map(|space| t.release(tid, space))
    });
    // Whatever came back is dropped here, outside the borrow.
    drop(here);
    if let Some(space) = space {
        owner.inbox.lock().push(Release { tid, space });
        owner.kick();
    }
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
        loop {
            let Some(whom) = with(|t| (!t.running.is_empty()).then(|| t.whom())).flatten() else { return };
            match sys::wait_now(whom) {
                Ok(Some((tid, status))) => _ = report(tid, status),
                Ok(None) => return,
                Err(host::HostErrno::ECHILD) if whom == -1 => return self.all_lost(),
                Err(host::HostErrno::ECHILD) => _ = report(whom, 0),
                Err(_) => return,
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
                Ok((tid, status)) if tid > 0 => {
                    if report(tid, status) || kicked {
                        break;
                    }
                }
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
