//! Descriptor tables.

use crate::File;
use abi::Errno;
use ksync::{Mutex, rank};
use std::sync::Arc;

/// A descriptor number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Fd(pub i32);

impl Fd {
    fn index(self) -> Result<usize, Errno> {
        usize::try_from(self.0).map_err(|_| Errno::EBADF)
    }
}

#[derive(Clone)]
struct Slot {
    file: Arc<File>,
    cloexec: bool,
}

#[derive(Clone, Default)]
struct Slots {
    slots: Vec<Option<Slot>>,
    /// No slot below this one is free.
    first_free: usize,
    open: usize,
}

/// The descriptors of a process; shared by `CLONE_FILES`.
pub struct FdTable(Mutex<Slots>);

impl Default for FdTable {
    fn default() -> Self {
        Self(Mutex::new(rank::FD_TABLE, Slots::default()))
    }
}

impl FdTable {
    /// An empty table.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// A copy for a child.
    pub fn fork(&self) -> Arc<Self> {
        let slots = self.0.lock().clone();
        Arc::new(Self(Mutex::new(rank::FD_TABLE, slots)))
    }

    /// The open file `fd`; `EBADF`.
    pub fn get(&self, fd: Fd) -> Result<Arc<File>, Errno> {
        let table = self.0.lock();
        table.slots.get(fd.index()?).and_then(Option::as_ref).map(|s| s.file.clone()).ok_or(Errno::EBADF)
    }

    /// Whether `fd` closes on exec; `EBADF`.
    pub fn cloexec(&self, fd: Fd) -> Result<bool, Errno> {
        let table = self.0.lock();
        table.slots.get(fd.index()?).and_then(Option::as_ref).map(|s| s.cloexec).ok_or(Errno::EBADF)
    }

    /// Sets whether `fd` closes on exec; `EBADF`.
    pub fn set_cloexec(&self, fd: Fd, cloexec: bool) -> Result<(), Errno> {
        let mut table = self.0.lock();
        let slot = table.slots.get_mut(fd.index()?).and_then(Option::as_mut).ok_or(Errno::EBADF)?;
        slot.cloexec = cloexec;
        Ok(())
    }

    /// Puts `file` at the lowest free number from `min` on; `EMFILE` from `limit` (`RLIMIT_NOFILE`) on.
    pub fn add(&self, file: Arc<File>, min: usize, limit: u64, cloexec: bool) -> Result<Fd, Errno> {
        let mut table = self.0.lock();
        let mut at = table.first_free.max(min);
        while table.slots.get(at).is_some_and(Option::is_some) {
            at += 1;
        }
        if at as u64 >= limit.min(i32::MAX as u64) {
            return Err(Errno::EMFILE);
        }
        if min <= table.first_free {
            table.first_free = at + 1;
        }
        table.put(at, Slot { file, cloexec });
        Ok(Fd(at as i32))
    }

    /// Puts `file` at `fd`, returning what was there (to be closed by the caller); `EBADF` from `limit` on.
    pub fn put(
        &self,
        fd: Fd,
        file: Arc<File>,
        limit: u64,
        cloexec: bool,
    ) -> Result<Option<Arc<File>>, Errno> {
        let at = fd.index()?;
        if at as u64 >= limit {
            return Err(Errno::EBADF);
        }
        let mut table = self.0.lock();
        Ok(table.put(at, Slot { file, cloexec }).map(|s| s.file))
    }

    /// Frees `fd` and returns its file; `EBADF`.
    pub fn remove(&self, fd: Fd) -> Result<Arc<File>, Errno> {
        let at = fd.index()?;
        self.0.lock().take(at).map(|s| s.file).ok_or(Errno::EBADF)
    }

    /// Frees every descriptor from `first` to `last` and returns the files.
    pub fn remove_range(&self, first: u32, last: u32) -> Vec<Arc<File>> {
        let mut table = self.0.lock();
        let end = table.slots.len().min((last as usize).saturating_add(1));
        (first as usize..end).filter_map(|at| table.take(at).map(|s| s.file)).collect()
    }

    /// Marks every descriptor from `first` to `last` close-on-exec.
    pub fn cloexec_range(&self, first: u32, last: u32) {
        let mut table = self.0.lock();
        let end = table.slots.len().min((last as usize).saturating_add(1));
        for slot in table.slots.iter_mut().take(end).skip(first as usize).flatten() {
            slot.cloexec = true;
        }
    }

    /// Frees what closes on exec and returns the files.
    pub fn close_on_exec(&self) -> Vec<Arc<File>> {
        let mut table = self.0.lock();
        let marked = |(at, s): (usize, &Option<Slot>)| s.as_ref().is_some_and(|s| s.cloexec).then_some(at);
        let ats: Vec<usize> = table.slots.iter().enumerate().filter_map(marked).collect();
        ats.into_iter().filter_map(|at| table.take(at).map(|s| s.file)).collect()
    }

    /// All open descriptors in order (`/proc/pid/fd`).
    pub fn list(&self) -> Vec<(Fd, Arc<File>)> {
        let table = self.0.lock();
        table
            .slots
            .iter()
            .enumerate()
            .filter_map(|(at, s)| Some((Fd(at as i32), s.as_ref()?.file.clone())))
            .collect()
    }

    /// How many slots the table has (`FDSize`).
    pub fn size(&self) -> usize {
        self.0.lock().slots.len().next_power_of_two().max(64)
    }
}

impl Slots {
    fn put(&mut self, at: usize, slot: Slot) -> Option<Slot> {
        if at >= self.slots.len() {
            self.slots.resize(at + 1, None);
        }
        let old = self.slots.get_mut(at).and_then(|s| s.replace(slot));
        if old.is_none() {
            self.open += 1;
        }
        old
    }

    fn take(&mut self, at: usize) -> Option<Slot> {
        let slot = self.slots.get_mut(at)?.take()?;
        self.first_free = self.first_free.min(at);
        self.open -= 1;
        Some(slot)
    }
}
