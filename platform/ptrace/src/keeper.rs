//! The keeper: the thread that makes stub processes, is the tracer of their leaders, and ends them.
//!
//! It exists because a tracer is a thread: work on a space that the caller traces no thread of has to go to one that
//! does. Workers cannot be that one, since they may be waiting for a lock that the caller holds; the keeper
//! takes no lock of anybody's, so waiting for it always ends. **Invariant:** it touches a space's order page
//! only while that space's lock is held by who asked, or after the space is gone.

use crate::{
    Error, code,
    inject::{self, Broken, Failed},
    layout,
    orders::{Order, Orders},
    process::Process,
    roster::Roster,
    sys,
    worker::WorkerShared,
    zygote::{self, Zygote},
};
use host::memfd;
use parking_lot::{Condvar, Mutex};
use std::{
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel},
    },
    time::Duration,
};

/// How many empty stub processes wait for a space.
const SPARES: usize = 2;
/// How many are kept when spaces end.
const SPARES_MAX: usize = 16;
/// How often long-running threads are looked for, and for how many times with none running.
const TICK: Duration = Duration::from_millis(20);
const IDLE_TICKS: u32 = 5;

enum Job {
    Calls { process: Arc<Process>, orders: Vec<Order>, reply: SyncSender<Result<Result<(), Failed>, Broken>> },
    Thread { process: Arc<Process>, reply: SyncSender<Result<(), Broken>> },
    Refill,
    Recycle(Arc<Process>),
    Tick,
}

#[derive(Default)]
struct Pool {
    spares: Vec<Arc<Process>>,
    /// Making one failed, or the keeper is gone.
    failed: Option<host::HostErrno>,
}

/// What others know of the keeper. Dropping the last one ends it, and every stub with it.
pub struct Keeper {
    jobs: Sender<Job>,
    pool: Arc<(Mutex<Pool>, Condvar)>,
    /// Threads that may have to be released from their CPU.
    pub roster: Arc<Roster>,
    /// Floating point state of a fresh context.
    pub initial_fp: Vec<u8>,
    /// The vDSO in every stub.
    pub vdso: Option<platform::Vdso>,
}

impl Keeper {
    /// Starts the keeper, which makes the first stub.
    pub fn start() -> Result<Self, Error> {
        let (jobs, inbox) = channel();
        let (ready, started) = sync_channel(1);
        let pool: Arc<(Mutex<Pool>, Condvar)> = Arc::default();
        let roster: Arc<Roster> = Arc::default();
        let (its_pool, its_roster) = (pool.clone(), roster.clone());
        std::thread::Builder::new()
            .name("stub-keeper".into())
            .spawn(move || {
                match Thread::new(its_pool, its_roster) {
                    Ok(mut thread) => {
                        let _ = ready.send(Ok((thread.zygote.initial_fp.clone(), thread.zygote.vdso)));
                        thread.run(&inbox);
                    }
                    Err(e) => drop(ready.send(Err(e))),
                };
            })
            .map_err(Error::Thread)?;
        let (initial_fp, vdso) = started.recv().map_err(|_| Error::Lost("start"))??;
        let keeper = Self { jobs, pool, roster, initial_fp, vdso };
        let _ = keeper.jobs.send(Job::Refill);
        Ok(keeper)
    }

    /// An empty stub process, best one in which `worker` traces a thread already.
    pub fn process(&self, worker: Option<&Arc<WorkerShared>>) -> Result<Arc<Process>, host::HostErrno> {
        let (pool, changed) = &*self.pool;
        let mut pool = pool.lock();
        pool.failed = None;
        let process = loop {
            let known = worker.and_then(|w| pool.spares.iter().rposition(|p| p.has_owner(w)));
            let at = known.or_else(|| pool.spares.len().checked_sub(1));
            if let Some(process) = at.map(|at| pool.spares.remove(at)) {
                break process;
            }
            if let Some(e) = pool.failed.take() {
                return Err(e);
            }
            self.jobs.send(Job::Refill).map_err(|_| host::HostErrno::ESRCH)?;
            // With a limit, so that a keeper that is gone is noticed by the next send.
            let _ = changed.wait_for(&mut pool, Duration::from_secs(1));
        };
        let more = pool.spares.is_empty();
        drop(pool);
        if more {
            let _ = self.jobs.send(Job::Refill);
        }
        Ok(process)
    }

    /// Makes calls in a process through its leader.
    pub fn calls(&self, process: &Arc<Process>, orders: &[Order]) -> Result<Result<(), Failed>, Broken> {
        let (reply, answer) = sync_channel(1);
        let job = Job::Calls { process: process.clone(), orders: orders.to_vec(), reply };
        self.jobs.send(job).map_err(|_| Broken)?;
        answer.recv().map_err(|_| Broken)?
    }

    /// Has a parked thread made in a process.
    pub fn thread(&self, process: &Arc<Process>) -> Result<(), Broken> {
        let (reply, answer) = sync_channel(1);
        self.jobs.send(Job::Thread { process: process.clone(), reply }).map_err(|_| Broken)?;
        answer.recv().map_err(|_| Broken)?
    }

    /// Takes back a process that is empty.
    pub fn put_back(&self, process: &Arc<Process>) {
        let mut pool = self.pool.0.lock();
        if pool.spares.len() < SPARES_MAX {
            pool.spares.push(process.clone());
            self.pool.1.notify_all();
        } else {
            drop(pool);
            self.recycle(process.clone());
        }
    }

    /// Takes a process back whose space is gone.
    pub fn recycle(&self, process: Arc<Process>) {
        let _ = self.jobs.send(Job::Recycle(process));
    }

    /// Called when a pinned thread begins to run.
    pub fn note_running(&self) {
        if self.roster.start_ticking() {
            let _ = self.jobs.send(Job::Tick);
        }
    }
}

/// The keeper's own side.
struct Thread {
    zygote: Zygote,
    orders: Arc<Orders>,
    pool: Arc<(Mutex<Pool>, Condvar)>,
    roster: Arc<Roster>,
    /// Killed, not yet reaped.
    dying: Vec<Arc<Process>>,
    idle_ticks: u32,
    ticking: bool,
    _code: OwnedFd,
}

impl Thread {
    fn new(pool: Arc<(Mutex<Pool>, Condvar)>, roster: Arc<Roster>) -> Result<Self, Error> {
        let file = memfd::create(c"runsc-stub", true)?;
        memfd::set_len(file.as_fd(), layout::PAGE)?;
        host::io::write_at(file.as_fd(), code::stub(), 0)?;
        memfd::seal(file.as_fd(), true)?;
        let orders = Orders::new()?;
        // Tracer and tracee on one CPU: a hand-over between two costs ten times as much.
        if let Ok(cpu) = host::thread::current_cpu().and_then(host::thread::single_cpu) {
            let _ = host::thread::set_affinity(0, &cpu);
        }
        let zygote = zygote::make(file.as_fd(), &orders);
        let _ = host::thread::set_affinity(0, &roster.cpus);
        let zygote = zygote?;
        Ok(Self {
            zygote,
            orders,
            pool,
            roster,
            dying: Vec::new(),
            idle_ticks: 0,
            ticking: false,
            _code: file,
        })
    }

    fn run(&mut self, inbox: &Receiver<Job>) {
        loop {
            let wait = self.ticking || !self.dying.is_empty();
            let job = if wait {
                inbox.recv_timeout(TICK)
            } else {
                inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match job {
                Ok(job) => self.serve(job),
                Err(RecvTimeoutError::Timeout) => self.tick(),
                Err(RecvTimeoutError::Disconnected) => return self.end(),
            }
        }
    }

    fn serve(&mut self, job: Job) {
        match job {
            Job::Calls { process, orders, reply } => {
                let _ = reply.send(inject::calls(
                    process.pid,
                    &process.slot,
                    &orders,
                    &mut platform::Regs::default(),
                ));
            }
            Job::Thread { process, reply } => {
                let made = match inject::clone(Self::beside(process.pid), inject::PARKED) {
                    Ok(Ok(tid)) => {
                        process.add_parked(tid);
                        Ok(())
                    }
                    _ => Err(Broken),
                };
                let _ = reply.send(made);
            }
            Job::Refill => self.refill(),
            Job::Recycle(process) => self.recycle(process),
            Job::Tick => self.ticking = true,
        }
    }

    /// Puts a stopped leader on the CPU that the keeper happens to be on. What it makes starts there too.
    fn beside(pid: i32) -> i32 {
        if let Ok(cpu) = host::thread::current_cpu().and_then(host::thread::single_cpu) {
            let _ = host::thread::set_affinity(pid, &cpu);
        }
        pid
    }

    fn refill(&mut self) {
        while self.pool.0.lock().spares.len() < SPARES {
            match self.make() {
                Ok(process) => {
                    self.pool.0.lock().spares.push(process);
                    self.pool.1.notify_all();
                }
                Err(e) => {
                    log::error!("cannot make a stub process: {e}");
                    self.pool.0.lock().failed = Some(host::HostErrno::ENOMEM);
                    self.pool.1.notify_all();
                    return;
                }
            }
        }
    }

    fn make(&mut self) -> Result<Arc<Process>, Error> {
        let host = |what: &'static str, ret: i64| match ret {
            0.. => Ok(ret),
            _ => {
                Err(Error::Setup { what, errno: host::HostErrno::from_raw(i32::try_from(-ret).unwrap_or(0)) })
            }
        };
        let slot = self.orders.take()?;
        let pid = inject::clone(Self::beside(self.zygote.pid), inject::PROCESS)
            .map_err(|_| Error::Lost("clone the first stub"))?;
        let pid = pid.map_err(|e| Error::Spawn(host::HostErrno::from_raw(e)))?;
        let lost = |_| Error::Lost("set up a stub");
        let made = (|| {
            host("map the order page", inject::call(pid, &slot.map_order(layout::ORDERS)).map_err(lost)?)?;
            let death =
                Order::new(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG as u64, libc::SIGKILL as u64, 0, 0, 0]);
            host("set the death signal", inject::call(pid, &death).map_err(lost)?)?;
            let parked = inject::clone(pid, inject::PARKED).map_err(lost)?;
            parked.map_err(|e| Error::Spawn(host::HostErrno::from_raw(e)))
        })();
        match made {
            Ok(parked) => Ok(Process::new(pid, slot, parked)),
            Err(e) => {
                sys::kill(pid);
                let _ = sys::wait(pid);
                Err(e)
            }
        }
    }

    fn recycle(&mut self, process: Arc<Process>) {
        if !process.is_dead() && !process.is_crowded() && self.pool.0.lock().spares.len() < SPARES_MAX {
            let all = Order::new(libc::SYS_munmap, [0, layout::USER_MAX]);
            if inject::call(Self::beside(process.pid), &all) == Ok(0) {
                self.pool.0.lock().spares.push(process);
                self.pool.1.notify_all();
                return;
            }
        }
        process.kill();
        self.dying.push(process);
        self.reap();
    }

    /// A leader can be reaped only after the other threads were, by the workers that trace them.
    fn reap(&mut self) {
        self.dying.retain(|p| match sys::wait_now(p.pid) {
            Ok(Some((_, status))) => sys::decode(status) != sys::Stop::Exited,
            Ok(None) => {
                // Death takes a moment, so who was asked at the kill may have looked too early.
                p.kick_owners();
                true
            }
            Err(_) => false,
        });
    }

    fn tick(&mut self) {
        self.reap();
        if !self.ticking {
            return;
        }
        self.idle_ticks = if self.roster.release_long_running(TICK) { 0 } else { self.idle_ticks + 1 };
        if self.idle_ticks >= IDLE_TICKS {
            self.idle_ticks = 0;
            self.ticking = self.roster.stop_ticking();
        }
    }

    /// Nobody can ask for anything any more: no space and no context exists.
    fn end(&mut self) {
        let spares = std::mem::take(&mut self.pool.0.lock().spares);
        for process in spares {
            process.kill();
            self.dying.push(process);
        }
        for _ in 0..50 {
            self.reap();
            if self.dying.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
