//! Address spaces: a stub process, and what is mapped in it.
//!
//! **Lock order:** `Space::areas` is held while calls are injected, also by the keeper on behalf of who holds it.
//! It is a leaf towards everything else.

use crate::{areas::Areas, inject::Broken, keeper::Keeper, layout, ops, orders::Order, process::Process};
use abi::Errno;
use parking_lot::{Mutex, MutexGuard};
use platform::{Access, AddressSpace, Change};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The lock of `Space::areas` while what is mapped changes.
struct Changing<'a> {
    areas: MutexGuard<'a, Areas>,
    changes: &'a AtomicU64,
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }
}

/// The address space that a stub process is.
pub struct Space {
    keeper: Arc<Keeper>,
    process: Arc<Process>,
    areas: Mutex<Areas>,
    /// Counts the beginnings and ends of changes, under the lock of `areas`.
    changes: AtomicU64,
    /// What the process had used before: processes are used again.
    used_before_ns: u64,
}

impl Space {
    /// An empty one.
    pub fn new(keeper: &Arc<Keeper>) -> Result<Self, Errno> {
        let process = keeper.process(ops::current().as_ref()).map_err(|_| Errno::ENOMEM)?;
        let used_before_ns = host::time::process_cpu_ns(process.pid).unwrap_or(0);
        Ok(Self {
            keeper: keeper.clone(),
            process,
            areas: Mutex::default(),
            changes: AtomicU64::new(0),
            used_before_ns,
        })
    }

    /// The stub process.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Differs from what it was if anything was changed meanwhile, or was being changed then.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// What is mapped at an address, and [`changes`](Self::changes) by then.
    pub fn access_at(&self, addr: u64) -> (Option<Access>, u64) {
        let areas = self.areas.lock();
        (areas.at(addr), self.changes())
    }

    fn change(&self) -> Changing<'_> {
        let areas = self.areas.lock();
        self.changes.fetch_add(1, Ordering::AcqRel);
        Changing { areas, changes: &self.changes }
    }

    fn broken(&self, _: Broken) -> Errno {
        self.process.break_down();
        Errno::ESRCH
    }

    /// Undoes whatever became of changes from the one that failed on: their ranges hold nothing.
    fn give_up(&self, areas: &mut Areas, changes: &[Change]) -> Result<(), Broken> {
        let mut orders = Vec::new();
        for (start, end) in changes.iter().filter_map(|c| range(c).ok()) {
            areas.remove(start, end);
            orders.push(unmap(start, end));
        }
        match ops::calls(&self.keeper, &self.process, &orders)? {
            Ok(()) => Ok(()),
            Err(_) => Err(Broken),
        }
    }
}

fn unmap(start: u64, end: u64) -> Order {
    Order::new(libc::SYS_munmap, [start, end - start])
}

/// The range that a change names, checked.
fn range(change: &Change) -> Result<(u64, u64), Errno> {
    let (Change::Map { addr, len, .. } | Change::Unmap { addr, len } | Change::Protect { addr, len, .. }) =
        *change;
    let end = addr.checked_add(len).ok_or(Errno::EINVAL)?;
    let aligned = addr.is_multiple_of(layout::PAGE) && len.is_multiple_of(layout::PAGE);
    if !aligned || len == 0 || addr < layout::USER_MIN || end > layout::USER_MAX {
        return Err(Errno::EINVAL);
    }
    Ok((addr, end))
}

/// The CPU has no mapping that can be written or executed but not read.
fn effective(access: Access) -> Access {
    if access.is_empty() { access } else { access | Access::READ }
}

fn prot(access: Access) -> u64 {
    let mut prot = libc::PROT_NONE;
    for (bit, flag) in
        [(Access::READ, libc::PROT_READ), (Access::WRITE, libc::PROT_WRITE), (Access::EXEC, libc::PROT_EXEC)]
    {
        if access.contains(bit) {
            prot |= flag;
        }
    }
    prot as u64
}

impl AddressSpace for Space {
    fn host_process(&self) -> Option<i32> {
        Some(self.process.pid)
    }
    fn apply(&self, changes: &[Change]) -> Result<(), Errno> {
        for change in changes {
            range(change)?;
        }
        let mut changing = self.change();
        let areas = &mut *changing.areas;
        let mut orders = Vec::with_capacity(changes.len());
        // For each order, the change that it belongs to.
        let mut origin = Vec::with_capacity(changes.len());
        for (index, change) in changes.iter().enumerate() {
            let (start, end) = range(change)?;
            match *change {
                Change::Map { fd, offset, access, populate, .. } => {
                    let access = effective(access);
                    let mut flags = libc::MAP_SHARED | libc::MAP_FIXED;
                    if populate {
                        flags |= libc::MAP_POPULATE;
                    }
                    let args = [start, end - start, prot(access), flags as u64, fd as u64, offset];
                    orders.push(Order::new(libc::SYS_mmap, args));
                    areas.insert(start, end, access);
                }
                Change::Unmap { .. } => {
                    orders.push(unmap(start, end));
                    areas.remove(start, end);
                }
                Change::Protect { access, .. } => {
                    let access = effective(access);
                    for (from, to) in areas.to_protect(start, end, access) {
                        orders.push(Order::new(libc::SYS_mprotect, [from, to - from, prot(access)]));
                        areas.insert(from, to, access);
                    }
                }
            }
            origin.resize(orders.len(), index);
        }
        if orders.is_empty() {
            return if self.process.is_dead() { Err(Errno::ESRCH) } else { Ok(()) };
        }
        match ops::calls(&self.keeper, &self.process, &orders).map_err(|b| self.broken(b))? {
            Ok(()) => Ok(()),
            Err(failed) => {
                let from = origin.get(failed.index).copied().unwrap_or(0);
                let rest = changes.get(from..).unwrap_or(changes);
                self.give_up(areas, rest).map_err(|b| self.broken(b))?;
                Err(Errno::from_code(failed.errno).unwrap_or(Errno::ENOMEM))
            }
        }
    }

    fn clear(&self) -> Result<(), Errno> {
        let mut changing = self.change();
        let all = [Order::new(libc::SYS_munmap, [0, layout::USER_MAX])];
        match ops::calls(&self.keeper, &self.process, &all) {
            Ok(Ok(())) => {
                changing.areas.clear();
                Ok(())
            }
            _ => Err(self.broken(Broken)),
        }
    }

    fn cpu_time_ns(&self) -> Option<u64> {
        let used = host::time::process_cpu_ns(self.process.pid).ok()?;
        Some(used.saturating_sub(self.used_before_ns))
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // Emptied here where that needs nobody's help, and ready for the next `fork` on this worker.
        if ops::empty_here(&self.process) {
            self.keeper.put_back(&self.process);
        } else {
            self.keeper.recycle(self.process.clone());
        }
    }
}
