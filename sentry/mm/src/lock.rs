//! `mlock(2)` and family, `msync(2)`, `mincore(2)`, and making pages present ahead of use.

use crate::{
    AddressSpace,
    area::{AreaFlags, Place},
    op::clipped,
    state::State,
};
use abi::{
    Errno,
    mman::{MlockFlags, MlockallFlags, MsyncFlags},
};
use mem::{PAGE_SIZE, page_down, page_up};
use platform::Access;
use std::ops::Range;

const LOCKS: AreaFlags = AreaFlags::LOCKED.union(AreaFlags::LOCK_ON_FAULT);

/// The pages that `addr` and `len` touch, as the `mlock` family rounds.
fn touched(addr: u64, len: u64) -> Result<Range<u64>, Errno> {
    let start = page_down(addr);
    let end = addr.checked_add(len).and_then(page_up).ok_or(Errno::EINVAL)?;
    Ok(start..end)
}

impl State {
    /// Sets the lock flags of `range`; `ENOMEM` from the first hole on.
    fn set_locks(&mut self, range: Range<u64>, locks: AreaFlags) -> Result<(), Errno> {
        let hole = self.areas.gaps(range.clone()).first().map(|g| g.start);
        let end = hole.unwrap_or(range.end);
        self.update_areas(range.start..end, |a| a.flags = (a.flags - LOCKS) | locks);
        if hole.is_some() { Err(Errno::ENOMEM) } else { Ok(()) }
    }
}

impl AddressSpace {
    /// `mlock(2)`, `mlock2(2)`.
    pub fn mlock(&self, addr: u64, len: u64, flags: MlockFlags) -> Result<(), Errno> {
        let range = touched(addr, len)?;
        let mut locks = AreaFlags::LOCKED;
        locks.set(AreaFlags::LOCK_ON_FAULT, flags.contains(MlockFlags::ONFAULT));
        {
            let mut state = self.core.state.write();
            if state.limits.memlock == 0 {
                return Err(Errno::EPERM);
            }
            let already: u64 = clipped(&state.areas, &range)
                .iter()
                .filter(|(_, a)| a.locked())
                .map(|(r, _)| r.end - r.start)
                .sum();
            let more = (range.end - range.start).saturating_sub(already);
            state.check_lock_limit(more).map_err(|_| Errno::ENOMEM)?;
            state.set_locks(range.clone(), locks)?;
        }
        if flags.contains(MlockFlags::ONFAULT) { Ok(()) } else { self.populate(range, None) }
    }

    /// `munlock(2)`.
    pub fn munlock(&self, addr: u64, len: u64) -> Result<(), Errno> {
        self.core.state.write().set_locks(touched(addr, len)?, AreaFlags::empty())
    }

    /// `mlockall(2)`.
    pub fn mlockall(&self, flags: MlockallFlags) -> Result<(), Errno> {
        if !flags.intersects(MlockallFlags::CURRENT | MlockallFlags::FUTURE) {
            return Err(Errno::EINVAL);
        }
        let mut locks = AreaFlags::LOCKED;
        locks.set(AreaFlags::LOCK_ON_FAULT, flags.contains(MlockallFlags::ONFAULT));
        {
            let mut state = self.core.state.write();
            if state.limits.memlock == 0 {
                return Err(Errno::EPERM);
            }
            let current = flags.contains(MlockallFlags::CURRENT);
            if current && state.totals.all > state.limits.memlock {
                return Err(Errno::ENOMEM);
            }
            state.lock_future =
                if flags.contains(MlockallFlags::FUTURE) { locks } else { AreaFlags::empty() };
            if !current {
                return Ok(());
            }
            let all = state.layout.range.clone();
            state.update_areas(all, |a| a.flags = (a.flags - LOCKS) | locks);
        }
        if !flags.contains(MlockallFlags::ONFAULT) {
            let _ = self.populate(0..u64::MAX, None);
        }
        Ok(())
    }

    /// `munlockall(2)`.
    pub fn munlockall(&self) {
        let mut state = self.core.state.write();
        state.lock_future = AreaFlags::empty();
        let all = state.layout.range.clone();
        state.update_areas(all, |a| a.flags -= LOCKS);
    }

    /// Whether new areas are locked and made present at once (`MCL_FUTURE`).
    pub(crate) fn locks_future(&self) -> bool {
        let future = self.core.state.read().lock_future;
        future.contains(AreaFlags::LOCKED) && !future.contains(AreaFlags::LOCK_ON_FAULT)
    }

    /// Makes the pages of `range` present. `write`: for stores or loads as said, `EFAULT` where that is not allowed; else as each
    /// area allows, passing over those that allow nothing.
    pub(crate) fn populate(&self, range: Range<u64>, write: Option<bool>) -> Result<(), Errno> {
        let mut at = range.start;
        while at < range.end {
            at = self.core.run(|state, op| {
                let Some((r, area)) = state.areas.at_or_after(at).filter(|(r, _)| r.start < range.end) else {
                    return Ok(range.end);
                };
                let (allowed, shared) = (area.access(), area.shared());
                let end = r.end.min(range.end);
                let at = at.max(r.start);
                let store = write.unwrap_or(allowed.contains(Access::WRITE) && !shared);
                let need = if store { Access::WRITE } else { Access::READ };
                if !allowed.contains(need) {
                    return if write.is_some() { Err(Errno::EFAULT) } else { Ok(end) };
                }
                match state.touch(op, at, (end - at).min(1 << 20), store) {
                    Ok(()) => {}
                    Err(crate::FaultError::OutOfMemory) => return Err(Errno::ENOMEM),
                    Err(_) if write.is_some() => return Err(Errno::EFAULT),
                    // Behind the end of a file.
                    Err(_) => return Ok(end),
                }
                Ok(state.pages.get(at).map_or(at + PAGE_SIZE, |(run, _)| run.end.min(end)))
            })?;
        }
        let state = self.core.state.read();
        for (run, pages) in state.pages.overlapping(range.clone()) {
            if let Place::Memory(off) = pages.place {
                let start = run.start.max(range.start) - run.start;
                let end = run.end.min(range.end) - run.start;
                self.core.memory.populate(off + start..off + end)?;
            }
        }
        Ok(())
    }

    /// `msync(2)`.
    pub fn msync(&self, addr: u64, len: u64, flags: MsyncFlags) -> Result<(), Errno> {
        if flags.contains(MsyncFlags::ASYNC | MsyncFlags::SYNC)
            || !(flags - (MsyncFlags::ASYNC | MsyncFlags::SYNC | MsyncFlags::INVALIDATE)).is_empty()
            || !addr.is_multiple_of(PAGE_SIZE)
        {
            return Err(Errno::EINVAL);
        }
        let end = page_up(len).and_then(|l| addr.checked_add(l)).ok_or(Errno::ENOMEM)?;
        let range = addr..end;
        let mut objects = Vec::new();
        let result = {
            let state = self.core.state.read();
            let mut result = Ok(());
            for (r, area) in clipped(&state.areas, &range) {
                if flags.contains(MsyncFlags::INVALIDATE) && area.locked() {
                    result = Err(Errno::EBUSY);
                    break;
                }
                if let (Some(object), true) = (&area.object, area.shared()) {
                    objects.push((object.clone(), area.offset..area.offset + (r.end - r.start)));
                }
            }
            if result.is_ok() && state.covered(&range) < end - addr { Err(Errno::ENOMEM) } else { result }
        };
        for (object, part) in objects {
            if flags.contains(MsyncFlags::SYNC) {
                object.mappable.sync(part)?;
            }
        }
        result
    }

    /// `mincore(2)`: a byte for each page of the range, of which the caller has bounded the length.
    pub fn mincore(&self, addr: u64, len: u64) -> Result<Vec<u8>, Errno> {
        if !addr.is_multiple_of(PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        let end = page_up(len).and_then(|l| addr.checked_add(l)).ok_or(Errno::ENOMEM)?;
        let range = addr..end;
        let state = self.core.state.read();
        if state.covered(&range) < end - addr {
            return Err(Errno::ENOMEM);
        }
        let mut resident = vec![0u8; usize::try_from((end - addr) / PAGE_SIZE).map_err(|_| Errno::ENOMEM)?];
        let mut mark = |part: Range<u64>| {
            let first = (page_down(part.start) - addr) / PAGE_SIZE;
            let last = (part.end - addr).div_ceil(PAGE_SIZE);
            if let Some(bytes) = resident.get_mut(first as usize..last as usize) {
                bytes.fill(abi::mman::MINCORE_RESIDENT);
            }
        };
        for (run, pages) in clipped(&state.pages, &range) {
            match pages.place {
                Place::Memory(off) => {
                    for data in self.core.memory.data(off..off + (run.end - run.start)) {
                        mark(run.start + (data.start - off)..run.start + (data.end - off));
                    }
                }
                // Nothing tells which pages of a host file the host holds; what is mapped counts.
                Place::Store(..) | Place::Host(..) => mark(run),
            }
        }
        Ok(resident)
    }
}
