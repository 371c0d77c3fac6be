//! Contexts of asynchronous I/O (`io_setup(2)`): queues of what was completed.
//!
//! A context belongs to an address space, in which it takes one page: its number is the address of that page, and C libraries
//! look there for a ring of events. There is none, so they call the kernel.
//!
//! **Lock order:** leaves. **Absent on purpose:** requests under way: each is complete when `io_submit(2)` returns.

use abi::{Errno, aio::IoEvent};
use ksync::{Mutex, Ready, WaitQueue, rank};
use mm::AddressSpace;
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
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
}

impl AioContext {
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
        self.events.lock().len() < self.capacity
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
            };
            contexts.insert((space.id(), id), Arc::new(context));
        }
        drop(contexts);
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
        context.wait.notify(Ready::IN | Ready::HUP);
        Ok(())
    }
}
