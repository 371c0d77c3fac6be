//! `epoll(7)`: one object that knows which of many files are ready.
//!
//! An [`Epoll`] has *items*, one an open file and descriptor that it watches, and a *ready list* of those that
//! announced something since they were last looked at. An item is a listener on the file's wait queue; it only puts
//! itself on the ready list. Whether a file on the list is ready is asked when events are collected.
//!
//! **For the system call layer:** `epoll_wait` registers on [`Epoll::wait_queue`] with interest `IN | OTHER`, not
//! exclusively, and then calls [`Epoll::collect`]. `OTHER` says that files are still on the list after somebody else
//! collected; an epoll that watches this one must not hear of that, so it is not `IN`.
//!
//! **Lock order:** the lock of nesting ([`rank::EPOLL_NEST`]), the items of one instance ([`rank::EPOLL`]), then ready
//! lists and items ([`rank::EPOLL_READY`]), which are taken in wait queue callbacks. None is held while a file is asked
//! whether it is ready. **Invariant:** an item is on the ready list at most once; one that is not, and is ready, has
//! been reported edge-triggered or one-shot. A file that is closed drops out by its `Weak` reference.

mod item;

use crate::{Fd, File, FileOps};
use abi::{
    Errno,
    poll::{EPOLL_MAX_NESTS, EpollEvent, PollEvents},
};
use item::Item;
use ksync::{Mutex, Ready, WaitQueue, rank};
use mem::{IoDst, IoSrc};
use std::{
    any::Any,
    collections::{HashMap, VecDeque},
    sync::{Arc, Weak},
};

const READABLE: Ready = Ready::IN.union(Ready::RDNORM);

/// Taken while an epoll begins to watch another, so that loops are seen.
static NESTING: Mutex<()> = Mutex::new(rank::EPOLL_NEST, ());

/// Which descriptor of which open file.
type Key = (Fd, u64);

#[derive(Default)]
struct Items {
    by_key: HashMap<Key, Arc<Item>>,
    /// At how many items those of closed files are looked for.
    purge_at: usize,
    /// Epolls that watch this one.
    parents: Vec<Weak<Inner>>,
}

struct Inner {
    items: Mutex<Items>,
    ready: Mutex<VecDeque<Arc<Item>>>,
    wait: WaitQueue,
}

/// An epoll instance, and the operations of its descriptor.
pub struct Epoll(Arc<Inner>);

/// A new epoll instance (`epoll_create1(2)`).
pub fn new_epoll() -> Box<dyn FileOps> {
    Box::new(Epoll(Arc::new(Inner {
        items: Mutex::new(rank::EPOLL, Items::default()),
        ready: Mutex::new(rank::EPOLL_READY, VecDeque::new()),
        wait: WaitQueue::new(),
    })))
}

/// What `epoll_ctl(2)` is asked to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ctl {
    /// `EPOLL_CTL_ADD`.
    Add(EpollEvent),
    /// `EPOLL_CTL_MOD`.
    Modify(EpollEvent),
    /// `EPOLL_CTL_DEL`.
    Delete,
}

/// What may go with `EPOLLEXCLUSIVE`.
const WITH_EXCLUSIVE: PollEvents = PollEvents::IN
    .union(PollEvents::OUT)
    .union(PollEvents::ERR)
    .union(PollEvents::HUP)
    .union(PollEvents::EPOLL_PRIVATE.difference(PollEvents::ONESHOT));

/// `epoll_ctl(2)`: what `epoll` watches of `file`, which is `fd`.
///
/// `EPERM` for a file that is always ready, `EINVAL` where `epoll` is none or is `file` or the flags do not go together,
/// `EEXIST`, `ENOENT`, `ELOOP`. An unknown operation is the caller's to refuse with `EINVAL`, after it looked up both files.
pub fn control(epoll: &File, fd: Fd, file: &Arc<File>, ctl: Ctl) -> Result<(), Errno> {
    if file.ops().wait_queue().is_none() {
        return Err(Errno::EPERM);
    }
    let this = epoll.downcast::<Epoll>().filter(|_| epoll.id != file.id).ok_or(Errno::EINVAL)?;
    this.control(fd, file, ctl)
}

impl Epoll {
    /// Where readiness is announced; see the module's page for whom with what interest.
    pub fn wait_queue(&self) -> &WaitQueue {
        &self.0.wait
    }

    /// The `nth` of the open files that are watched as `fd` (`kcmp(2)`), which differ where the descriptor was used again.
    pub fn target(&self, fd: Fd, nth: u32) -> Option<Arc<File>> {
        let items = self.0.items.lock();
        let mut found: Vec<_> = items.by_key.values().filter(|i| i.key().0 == fd && !i.is_dead()).collect();
        found.sort_by_key(|i| i.key().1);
        found.get(nth as usize)?.file()
    }

    fn control(&self, fd: Fd, file: &Arc<File>, ctl: Ctl) -> Result<(), Errno> {
        let child = file.downcast::<Epoll>();
        if let Ctl::Add(event) | Ctl::Modify(event) = ctl {
            let events = PollEvents::from_bits_retain(event.events);
            let exclusive = events.contains(PollEvents::EXCLUSIVE);
            let odd =
                matches!(ctl, Ctl::Modify(_)) || child.is_some() || !(events - WITH_EXCLUSIVE).is_empty();
            if exclusive && odd {
                return Err(Errno::EINVAL);
            }
        }
        let key = (fd, file.id);
        match ctl {
            Ctl::Add(event) => {
                let item = match child {
                    Some(child) => {
                        let _nesting = NESTING.lock();
                        self.check_nesting(child)?;
                        let item = self.add(key, file, event, Some(Arc::downgrade(&child.0)))?;
                        child.0.items.lock().parents.push(Arc::downgrade(&self.0));
                        item
                    }
                    None => self.add(key, file, event, None)?,
                };
                item.look(file);
                Ok(())
            }
            Ctl::Modify(event) => {
                let item = {
                    let items = self.0.items.lock();
                    let item = items.by_key.get(&key).ok_or(Errno::ENOENT)?;
                    if item.is_exclusive() {
                        return Err(Errno::EINVAL);
                    }
                    item.clone()
                };
                item.watch(file, event);
                item.look(file);
                Ok(())
            }
            Ctl::Delete => {
                let item = self.0.items.lock().by_key.remove(&key).ok_or(Errno::ENOENT)?;
                self.0.forget(&item);
                if let Some(child) = child {
                    self.0.no_parent_of(&child.0);
                }
                Ok(())
            }
        }
    }

    fn add(
        &self,
        key: Key,
        file: &Arc<File>,
        event: EpollEvent,
        child: Option<Weak<Inner>>,
    ) -> Result<Arc<Item>, Errno> {
        let mut items = self.0.items.lock();
        if items.by_key.contains_key(&key) {
            return Err(Errno::EEXIST);
        }
        let mut dead = Vec::new();
        if items.by_key.len() >= items.purge_at.max(32) {
            // Amortised: descriptors that were closed without EPOLL_CTL_DEL.
            dead.extend(items.by_key.extract_if(|_, item| item.is_dead()).map(|(_, item)| item));
            items.purge_at = items.by_key.len() * 2;
            items.parents.retain(|p| p.strong_count() > 0);
        }
        let item = Item::new(key, file, Arc::downgrade(&self.0), child);
        items.by_key.insert(key, item.clone());
        // Under the lock, so that a deletion finds the registration.
        item.watch(file, event);
        drop(items);
        dead.iter().for_each(|item| self.0.forget(item));
        Ok(item)
    }

    /// Gives `sink` the events of up to `max` files that are ready, until it fails; how many. Its error only if none.
    ///
    /// With a sink that copies events out, this is `epoll_wait(2)` without the waiting; 0 means none is ready.
    pub fn collect(
        &self,
        max: usize,
        sink: &mut dyn FnMut(EpollEvent) -> Result<(), Errno>,
    ) -> Result<usize, Errno> {
        let mut found = 0;
        // Each item that is on the list now is looked at once.
        let mut rounds = self.0.ready.lock().len();
        let mut result = Ok(());
        while found < max && rounds > 0 {
            rounds -= 1;
            let Some(item) = self.0.pop() else { break };
            let Some(file) = item.file() else {
                self.0.drop_dead(&item);
                continue;
            };
            let now = file.ready();
            drop(file);
            let Some(report) = item.report(now) else { continue };
            if let Err(e) = sink(report.event) {
                item.take_back(&report);
                self.0.push(&item);
                result = Err(e);
                break;
            }
            found += 1;
            if report.again {
                self.0.push(&item);
            }
        }
        if !self.0.ready.lock().is_empty() {
            self.0.wait.notify(Ready::OTHER);
        }
        result.map_or_else(|e| if found > 0 { Ok(found) } else { Err(e) }, |()| Ok(found))
    }

    /// `ELOOP` if watching `child` would make a loop or too long a chain.
    fn check_nesting(&self, child: &Epoll) -> Result<(), Errno> {
        let down = child.0.depth_below(&self.0, 0)?;
        let up = self.0.depth_above(0)?;
        if down + 1 + up > EPOLL_MAX_NESTS { Err(Errno::ELOOP) } else { Ok(()) }
    }
}

impl Drop for Epoll {
    fn drop(&mut self) {
        let items = std::mem::take(&mut self.0.items.lock().by_key);
        for item in items.values() {
            item.unwatch();
            if let Some(child) = item.child() {
                self.0.no_parent_of(&child);
            }
        }
        let ready = std::mem::take(&mut *self.0.ready.lock());
        drop(ready);
    }
}

impl Inner {
    /// Puts `item` on the ready list unless it is there.
    fn push(&self, item: &Arc<Item>) {
        let mut ready = self.ready.lock();
        if item.set_queued(true) {
            ready.push_back(item.clone());
        }
    }

    fn pop(&self) -> Option<Arc<Item>> {
        let mut ready = self.ready.lock();
        let item = ready.pop_front()?;
        item.set_queued(false);
        Some(item)
    }

    /// Ends an item that is no longer in the table.
    fn forget(&self, item: &Arc<Item>) {
        item.unwatch();
        let mut ready = self.ready.lock();
        if item.set_queued(false) {
            ready.retain(|i| !Arc::ptr_eq(i, item));
        }
    }

    fn drop_dead(&self, item: &Arc<Item>) {
        let removed = self.items.lock().by_key.remove(&item.key());
        if let Some(removed) = removed {
            self.forget(&removed);
        }
    }

    fn no_parent_of(self: &Arc<Self>, child: &Arc<Inner>) {
        let mut items = child.items.lock();
        if let Some(at) = items.parents.iter().position(|p| p.as_ptr() == Arc::as_ptr(self)) {
            items.parents.swap_remove(at);
        }
    }

    /// How many epolls are below this one; `ELOOP` if `above` is among them.
    fn depth_below(self: &Arc<Self>, above: &Arc<Inner>, depth: usize) -> Result<usize, Errno> {
        if Arc::ptr_eq(self, above) || depth > EPOLL_MAX_NESTS {
            return Err(Errno::ELOOP);
        }
        let children: Vec<_> = self.items.lock().by_key.values().filter_map(|item| item.child()).collect();
        children.iter().try_fold(0, |most, c| Ok(most.max(c.depth_below(above, depth + 1)? + 1)))
    }

    /// How many epolls are above this one.
    fn depth_above(&self, depth: usize) -> Result<usize, Errno> {
        if depth > EPOLL_MAX_NESTS {
            return Err(Errno::ELOOP);
        }
        let parents: Vec<_> = self.items.lock().parents.iter().filter_map(Weak::upgrade).collect();
        parents.iter().try_fold(0, |most, p| Ok(most.max(p.depth_above(depth + 1)? + 1)))
    }
}

impl FileOps for Epoll {
    fn read(&self, _: &File, _: &mut IoDst<'_>) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }
    fn write(&self, _: &File, _: &mut IoSrc<'_>) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }
    fn seekable(&self) -> bool {
        false
    }
    /// `IN` if a file that it watches is ready. Files on the list that turn out not to be are taken off it.
    fn ready(&self, _: &File) -> Ready {
        let listed: Vec<_> = self.0.ready.lock().iter().map(|item| (item.clone(), item.notices())).collect();
        for (item, notices) in listed {
            if item.file().is_some_and(|file| item.is_met(file.ready())) {
                return READABLE;
            }
            let mut ready = self.0.ready.lock();
            // Unless it announced something since we looked.
            if item.notices() == notices && item.set_queued(false) {
                ready.retain(|i| !Arc::ptr_eq(i, &item));
            }
        }
        Ready::empty()
    }
    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.0.wait)
    }
    fn fdinfo(&self, _: &File) -> String {
        let mut items: Vec<_> = self.0.items.lock().by_key.values().cloned().collect();
        items.sort_by_key(|item| item.key());
        items.iter().filter_map(|item| item.fdinfo()).collect()
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests;
