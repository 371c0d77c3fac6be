//! Contexts of asynchronous I/O (`io_setup(2)`): queues of what was completed.
//!
//! A context belongs to an address space, in which it takes one page: its number is the address of that page, and C libraries
//! look there for a ring of events. There is none, so they call the kernel.
//!
//! Only requests that wait for readiness (`IOCB_CMD_POLL`) are ever under way; all others are complete when `io_submit(2)`
//! returns. One that waits for a file that nothing happens to is there until its context is destroyed.
//!
//! **Lock order:** leaves.

use abi::{Errno, aio::IoEvent};
use ksync::{Listener, Mutex, Ready, WaitQueue, rank};
use mm::AddressSpace;
use std::{
    collections::{HashMap, VecDeque},
    future::poll_fn,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

/// How many events all contexts together may have room for (`fs.aio-max-nr`).
pub const MAX_EVENTS: usize = 65536;

/// One context.
pub struct AioContext {
    space: Weak<AddressSpace>,
    capacity: usize,
    events: Mutex<VecDeque<IoEvent>>,
    wait: WaitQueue,
    destroyed: AtomicBool,
    /// Requests under way, by the address of the request.
    waiting: Mutex<HashMap<u64, Arc<Waiting>>>,
}

/// A request that waits for a file to become ready.
#[derive(Default)]
pub struct Waiting {
    cancelled: AtomicBool,
    changed: WaitQueue,
}

impl Waiting {
    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.changed.notify(Ready::OTHER);
    }
}

impl AioContext {
    /// Waits, as a future of its own, until `file` is ready for `wanted`; then `done` is called with what it is ready for.
    pub fn wait_for<F: FnOnce(Ready) + Send + 'static>(
        self: &Arc<Self>,
        request: u64,
        file: Arc<vfs::File>,
        wanted: Ready,
        done: F,
    ) -> impl Future<Output = ()> + Send + use<F> {
        let waiting = Arc::new(Waiting::default());
        self.waiting.lock().insert(request, waiting.clone());
        let context = Arc::downgrade(self);
        async move {
            let mut registered = None;
            let mut slept = false;
            let ready = poll_fn(|cx| {
                if registered.is_none() {
                    let listener: Arc<dyn Listener> = Arc::new(cx.waker().clone());
                    let of_file = file.ops().wait_queue().map(|q| q.register(wanted, listener.clone()));
                    registered = Some((of_file, waiting.changed.register(Ready::OTHER, listener)));
                }
                if waiting.cancelled.load(Ordering::Acquire) {
                    return Poll::Ready(Ready::empty());
                }
                let ready = file.ready();
                if !ready.intersects(wanted) {
                    slept = true;
                    return Poll::Pending;
                }
                // As on Linux: what a wake said is told as a whole.
                Poll::Ready(if slept { ready } else { ready & wanted })
            })
            .await;
            drop(registered);
            drop(file);
            let gone = context.upgrade().and_then(|c| c.waiting.lock().remove(&request));
            drop(gone);
            done(ready);
        }
    }

    /// Ends the wait of a request; `EINVAL` if it is not under way.
    pub fn cancel(&self, request: u64) -> Result<(), Errno> {
        let waiting = self.waiting.lock().get(&request).cloned().ok_or(Errno::EINVAL)?;
        waiting.cancel();
        Ok(())
    }

    /// Ends all waits.
    fn cancel_all(&self) {
        let all: Vec<_> = self.waiting.lock().values().cloned().collect();
        for waiting in all {
            waiting.cancel();
        }
    }

    /// Announces `IN` for each event, and the end of the context.
    pub fn wait_queue(&self) -> &WaitQueue {
        &self.wait
    }
    /// How many events there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
    /// Whether another request fits: its event has to be kept.
    pub fn has_room(&self) -> bool {
        let waiting = self.waiting.lock().len();
        self.events.lock().len() + waiting < self.capacity
    }
    /// Puts in the event of a request that is complete.
    pub fn complete(&self, event: IoEvent) {
        self.events.lock().push_back(event);
        self.wait.notify(Ready::IN);
    }
    /// Takes the oldest event.
    pub fn take(&self) -> Option<IoEvent> {
        self.events.lock().pop_front()
    }
    /// Puts an event back that could not be delivered.
    pub fn untake(&self, event: IoEvent) {
        self.events.lock().push_front(event);
    }
    /// `EINVAL` once it was destroyed.
    pub fn check(&self) -> Result<(), Errno> {
        if self.destroyed.load(Ordering::Acquire) { Err(Errno::EINVAL) } else { Ok(()) }
    }
}

/// All contexts, by address space and number.
pub struct AioContexts(Mutex<HashMap<(u64, u64), Arc<AioContext>>>);

impl Default for AioContexts {
    fn default() -> Self {
        Self(Mutex::new(rank::LEAF, HashMap::new()))
    }
}

impl AioContexts {
    /// Makes the context `id` of `space`. `EAGAIN` if there are too many.
    pub fn add(&self, space: &Arc<AddressSpace>, id: u64, capacity: usize) -> Result<(), Errno> {
        let mut contexts = self.0.lock();
        let gone: Vec<_> = contexts.extract_if(|_, c| c.space.strong_count() == 0).collect();
        let used: usize = contexts.values().map(|c| c.capacity).sum();
        let fits = used.saturating_add(capacity) <= MAX_EVENTS;
        if fits {
            let context = AioContext {
                space: Arc::downgrade(space),
                capacity,
                events: Mutex::new(rank::LEAF, VecDeque::new()),
                wait: WaitQueue::new(),
                destroyed: AtomicBool::new(false),
                waiting: Mutex::new(rank::LEAF, HashMap::new()),
            };
            contexts.insert((space.id(), id), Arc::new(context));
        }
        drop(contexts);
        for (_, context) in &gone {
            context.cancel_all();
        }
        drop(gone);
        if fits { Ok(()) } else { Err(Errno::EAGAIN) }
    }

    /// The context `id` of `space`; `EINVAL`.
    pub fn get(&self, space: &AddressSpace, id: u64) -> Result<Arc<AioContext>, Errno> {
        self.0.lock().get(&(space.id(), id)).cloned().ok_or(Errno::EINVAL)
    }

    /// Takes the context away; whoever waits for its events is told. `EINVAL`.
    pub fn remove(&self, space: &AddressSpace, id: u64) -> Result<(), Errno> {
        let context = self.0.lock().remove(&(space.id(), id)).ok_or(Errno::EINVAL)?;
        context.destroyed.store(true, Ordering::Release);
        context.cancel_all();
        context.wait.notify(Ready::IN | Ready::HUP);
        Ok(())
    }
}
