//! The executor: a pool of workers that polls every application thread's future.
//!
//! [`Executor`] owns one run queue a worker. A future has a *home*: the worker on which it was placed and which
//! alone polls it, because platforms bind contexts to the thread that runs them. A wake is a push on the home's
//! queue, and a [`Kick`] only where that worker sleeps. A worker with nothing to poll hands itself to the
//! platform's [`Idle`]. [`Timers`] and [`Reactor`] share one thread that sleeps in `epoll_wait`.
//!
//! **Invariant:** a worker announces that it sleeps before it looks at its queue a last time, and whoever pushes
//! looks at that announcement after the push; so no wake is lost. An idle executor uses no CPU time.
//! **Absent on purpose:** work stealing (contexts cannot move); a future that never yields starves its home.

mod reactor;
mod timers;

pub use reactor::{HostWatch, Reactor};
pub use timers::{Timer, Timers, monotonic_ns};

use async_task::Runnable;
use crossbeam::queue::SegQueue;
use std::{
    cell::Cell,
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicIsize, Ordering, fence},
    },
};

/// What a worker thread does when it has no future to poll; a platform supplies it.
///
/// Lives on the worker's own thread. It wakes tasks by calling the wakers that their `poll` left with it.
pub trait Idle {
    /// Looks for finished work (traps) without blocking, and wakes whom it concerns. Called every few polls.
    fn poll(&mut self);
    /// Sleeps until there is finished work, or [`Kick::kick`] was called since the last time this returned.
    /// A kick is never lost: one that came before the call makes it return at once. No CPU time while asleep.
    fn idle(&mut self);
    /// Ends [`idle`](Self::idle) from another thread.
    fn kicker(&self) -> Arc<dyn Kick>;
}

/// Ends a worker's sleep.
pub trait Kick: Send + Sync {
    /// Makes the worker's current or next [`Idle::idle`] return.
    fn kick(&self);
}

/// How many futures a worker polls before it looks for traps.
const POLLS_BETWEEN_LOOKS: usize = 8;

thread_local!(static WORKER: Cell<Option<usize>> = const { Cell::new(None) });

/// The index of the worker that this thread is, if it is one.
pub fn current_worker() -> Option<usize> {
    WORKER.get()
}

struct WorkerShared {
    queue: SegQueue<Runnable>,
    sleeping: AtomicBool,
    kicker: OnceLock<Arc<dyn Kick>>,
    /// Futures of this home that run or wait for the CPU (not those asleep).
    load: AtomicIsize,
}

impl WorkerShared {
    fn wake(&self) {
        if self.sleeping.load(Ordering::SeqCst)
            && let Some(kicker) = self.kicker.get()
        {
            kicker.kick();
        }
    }
}

/// The pool of workers.
pub struct Executor {
    workers: Vec<Arc<WorkerShared>>,
    stop: AtomicBool,
    reactor: Arc<Reactor>,
}

impl Executor {
    /// A pool of `workers` (at least one), whose threads the caller starts with [`run_worker`](Self::run_worker).
    pub fn new(workers: usize) -> std::io::Result<Arc<Self>> {
        let make = |_| {
            Arc::new(WorkerShared {
                queue: SegQueue::new(),
                sleeping: AtomicBool::new(false),
                kicker: OnceLock::new(),
                load: AtomicIsize::new(0),
            })
        };
        Ok(Arc::new(Self {
            workers: (0..workers.max(1)).map(make).collect(),
            stop: AtomicBool::new(false),
            reactor: Reactor::start()?,
        }))
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Timers that call listeners.
    pub fn timers(&self) -> &Timers {
        self.reactor.timers()
    }

    /// Watches of host descriptors.
    pub fn reactor(&self) -> &Arc<Reactor> {
        &self.reactor
    }

    /// Gives `future` the home `worker` (modulo their number) and makes it runnable.
    pub fn spawn_on(&self, worker: usize, future: impl Future<Output = ()> + Send + 'static) {
        let index = worker % self.workers.len();
        let Some(home) = self.workers.get(index).cloned() else { return };
        let schedule = move |runnable: Runnable| {
            home.queue.push(runnable);
            fence(Ordering::SeqCst);
            if WORKER.get() != Some(index) {
                home.wake();
            }
        };
        let (runnable, task) = async_task::spawn(future, schedule);
        task.detach();
        runnable.schedule();
    }

    /// A home for a new future: this worker, unless another has clearly less to do.
    pub fn place(&self) -> usize {
        let load = |w: &Arc<WorkerShared>| w.load.load(Ordering::Relaxed);
        let Some((least, lowest)) = self.workers.iter().map(load).enumerate().min_by_key(|(_, l)| *l) else {
            return 0;
        };
        match current_worker().and_then(|here| self.workers.get(here).map(|w| (here, load(w)))) {
            Some((here, mine)) if mine <= lowest + 1 => here,
            _ => least,
        }
    }

    /// Notes that futures of `worker` started (`+1`) or ceased (`-1`) to want its CPU.
    pub fn add_load(&self, worker: usize, change: isize) {
        if let Some(w) = self.workers.get(worker) {
            w.load.fetch_add(change, Ordering::Relaxed);
        }
    }

    /// Makes this thread worker `index` until [`stop`](Self::stop).
    pub fn run_worker(&self, index: usize, mut idle: Box<dyn Idle>) {
        let Some(me) = self.workers.get(index) else { return };
        WORKER.set(Some(index));
        let _ = me.kicker.set(idle.kicker());
        while !self.stop.load(Ordering::SeqCst) {
            let mut polled = 0;
            while polled < POLLS_BETWEEN_LOOKS
                && let Some(runnable) = me.queue.pop()
            {
                runnable.run();
                polled += 1;
            }
            if polled == POLLS_BETWEEN_LOOKS {
                idle.poll();
                continue;
            }
            me.sleeping.store(true, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            if me.queue.is_empty() && !self.stop.load(Ordering::SeqCst) {
                crate::lock::assert_none_held();
                idle.idle();
            }
            me.sleeping.store(false, Ordering::SeqCst);
        }
        WORKER.set(None);
    }

    /// Ends all workers and the reactor; futures that are not finished are dropped with the executor.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        for w in &self.workers {
            if let Some(k) = w.kicker.get() {
                k.kick();
            }
        }
        self.reactor.stop();
    }
}

/// Runs `work`, a host call that may take long, on this worker.
///
/// A platform whose contexts can move lets another worker take over this one's queue meanwhile; with contexts bound
/// to their home there is nobody who could, so the queue waits. Try a form that does not block first.
pub fn blocking<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Gives other futures of this worker a turn.
pub async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(move |cx| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// An [`Idle`] for workers that serve no platform (unit tests, helper pools): it parks the thread.
pub struct ParkIdle(crossbeam::sync::Parker);

impl ParkIdle {
    /// For the thread that calls.
    pub fn new() -> Self {
        Self(crossbeam::sync::Parker::new())
    }
}

impl Default for ParkIdle {
    fn default() -> Self {
        Self::new()
    }
}

impl Idle for ParkIdle {
    fn poll(&mut self) {}
    fn idle(&mut self) {
        self.0.park();
    }
    fn kicker(&self) -> Arc<dyn Kick> {
        struct Unpark(crossbeam::sync::Unparker);
        impl Kick for Unpark {
            fn kick(&self) {
                self.0.unpark();
            }
        }
        Arc::new(Unpark(self.0.unparker().clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ready, WaitQueue};
    use std::{sync::atomic::AtomicU32, task::Poll, time::Duration};

    fn with_workers(n: usize, body: impl FnOnce(&Arc<Executor>)) {
        let executor = Executor::new(n).unwrap();
        std::thread::scope(|s| {
            for i in 0..n {
                let executor = executor.clone();
                s.spawn(move || executor.run_worker(i, Box::new(ParkIdle::new())));
            }
            body(&executor);
            executor.stop();
        });
    }

    fn wait_until(what: impl Fn() -> bool) {
        for _ in 0..20_000 {
            if what() {
                return;
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        panic!("nothing happened in ten seconds");
    }

    #[test]
    fn two_futures_on_two_workers_hand_a_token_to_and_fro() {
        with_workers(2, |executor| {
            let state = Arc::new((AtomicU32::new(0), WaitQueue::new()));
            for me in 0..2u32 {
                let state = state.clone();
                executor.spawn_on(me as usize, async move {
                    for _ in 0..500 {
                        let mut registration = None;
                        std::future::poll_fn(|cx| {
                            registration = Some(state.1.register(Ready::OTHER, Arc::new(cx.waker().clone())));
                            if state.0.load(Ordering::SeqCst) % 2 == me {
                                Poll::Ready(())
                            } else {
                                Poll::Pending
                            }
                        })
                        .await;
                        state.0.fetch_add(1, Ordering::SeqCst);
                        state.1.notify(Ready::OTHER);
                    }
                });
            }
            wait_until(|| state.0.load(Ordering::SeqCst) == 1000);
        });
    }

    #[test]
    fn a_future_is_polled_by_its_home_only() {
        with_workers(2, |executor| {
            let seen = Arc::new(AtomicU32::new(0));
            let out = seen.clone();
            executor.spawn_on(1, async move {
                for _ in 0..100 {
                    if current_worker() == Some(1) {
                        out.fetch_add(1, Ordering::SeqCst);
                    }
                    yield_now().await;
                }
            });
            wait_until(|| seen.load(Ordering::SeqCst) == 100);
        });
    }
}
