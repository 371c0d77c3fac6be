//! What can be mapped into an address space.

use crate::Store;
use abi::Errno;
use ksync::{Mutex, rank};
use std::{
    ops::Range,
    os::fd::OwnedFd,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Where the bytes of a page of a [`Mappable`] are.
#[derive(Clone, Debug)]
pub enum Backing {
    /// In the memory file at this offset.
    Memory(u64),
    /// In a store at this offset.
    Store(Arc<Store>, u64),
    /// In the host file `fd` at this offset; its page cache is mapped.
    Host {
        /// A descriptor that allows the access asked for.
        fd: Arc<OwnedFd>,
        /// Multiple of the page size.
        offset: u64,
    },
}

/// A file, or shared memory: pages by offset.
pub trait Mappable: Send + Sync {
    /// Where the pages from `offset` on (both page multiples) are, and how many bytes, at most `len`, follow there.
    ///
    /// Pages in the memory file or a store are made where there are none, and come with a reference for the caller (see
    /// [`MemoryFile::retain`](crate::MemoryFile::retain)). `write` says that they will be stored to through a shared mapping.
    /// `EFAULT` where a whole page lies behind the end of the file: the access is a bus error. `ENOMEM`, `EIO`.
    fn back(&self, offset: u64, len: u64, write: bool) -> Result<(Backing, u64), Errno>;
    /// A mapping is about to be made (and counted in [`mappings`](Self::mappings)): whether a shared one may become writable
    /// later. An errno refuses it: a sealed memfd answers `EPERM` to a shared one with `write`.
    fn admit(&self, shared: bool, write: bool) -> Result<bool, Errno> {
        let _ = (shared, write);
        Ok(true)
    }
    /// Address spaces that map this object, so that it can take pages away (truncation, hole punching).
    fn mappings(&self) -> &MappingSet;
    /// Writes back `range` (`msync`).
    fn sync(&self, range: Range<u64>) -> Result<(), Errno> {
        let _ = range;
        Ok(())
    }
}

/// An address space that maps an object.
pub trait Invalidate: Send + Sync {
    /// The object's pages in `range` (offsets in the object) are no longer where they were: forget them. `copies`: those that
    /// were copied on write go as well.
    fn invalidate(&self, object: &MappingSet, range: Range<u64>, copies: bool);
}

/// Who maps an object. **Lock order:** a leaf; observers are called without it.
pub struct MappingSet {
    observers: Mutex<Vec<(Weak<dyn Invalidate>, usize)>>,
    /// Shared mappings that are, or may become, writable.
    writers: AtomicUsize,
}

impl Default for MappingSet {
    fn default() -> Self {
        Self { observers: Mutex::new(rank::LEAF, Vec::new()), writers: AtomicUsize::new(0) }
    }
}

impl MappingSet {
    /// One more mapping by `who`.
    pub fn add(&self, who: &Weak<dyn Invalidate>) {
        let mut observers = self.observers.lock();
        match observers.iter_mut().find(|(w, _)| w.ptr_eq(who)) {
            Some((_, n)) => *n += 1,
            None => observers.push((who.clone(), 1)),
        }
    }

    /// One mapping less by `who`.
    pub fn remove(&self, who: &Weak<dyn Invalidate>) {
        let mut observers = self.observers.lock();
        if let Some(at) = observers.iter().position(|(w, _)| w.ptr_eq(who))
            && let Some((_, n)) = observers.get_mut(at)
        {
            *n -= 1;
            if *n == 0 {
                observers.swap_remove(at);
            }
        }
    }

    /// One more shared mapping that may be stored to.
    pub fn add_writer(&self) {
        self.writers.fetch_add(1, Ordering::SeqCst);
    }

    /// One less.
    pub fn remove_writer(&self) {
        self.writers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether there are shared mappings that may be stored to (`F_SEAL_WRITE` is `EBUSY` then). Whoever seals sets the seal
    /// first and looks here then; a mapping is counted first and admitted then.
    pub fn has_writers(&self) -> bool {
        self.writers.load(Ordering::SeqCst) > 0
    }

    /// Whether nobody maps the object.
    pub fn is_empty(&self) -> bool {
        self.observers.lock().is_empty()
    }

    /// Tells everybody that the pages in `range` have gone; `copies` where the file has become shorter, which takes
    /// private copies away too (a hole leaves them). The caller holds no lock of [`rank::MM`] or below.
    pub fn invalidate(&self, range: Range<u64>, copies: bool) {
        let observers: Vec<_> = self.observers.lock().iter().filter_map(|(w, _)| w.upgrade()).collect();
        for o in observers {
            o.invalidate(self, range.clone(), copies);
        }
    }
}
