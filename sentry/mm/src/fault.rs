//! Faults: from a trap to a page, or to a signal.

use crate::{
    area::AreaFlags,
    op::Op,
    state::{COPY, STACK_GAP, State},
};
use abi::Errno;
use mem::{PAGE_SIZE, page_down};
use platform::Access;
use std::ops::Range;

/// Why a fault could not be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultError {
    /// `SIGSEGV`: nothing there, or (`mapped`) not allowed.
    Segv {
        /// `SEGV_ACCERR` rather than `SEGV_MAPERR`.
        mapped: bool,
    },
    /// `SIGBUS`: behind the end of the mapped object, or it cannot be read.
    Bus,
    /// No memory is left.
    OutOfMemory,
}

impl From<Errno> for FaultError {
    fn from(e: Errno) -> Self {
        match e {
            Errno::EFAULT => FaultError::Segv { mapped: false },
            Errno::EIO | Errno::EACCES | Errno::EPERM | Errno::ENODEV => FaultError::Bus,
            _ => FaultError::OutOfMemory,
        }
    }
}

impl From<FaultError> for Errno {
    fn from(e: FaultError) -> Self {
        match e {
            FaultError::OutOfMemory => Errno::ENOMEM,
            FaultError::Segv { .. } | FaultError::Bus => Errno::EFAULT,
        }
    }
}

impl State {
    /// Answers the fault at `addr`, where at least `access` is missing.
    pub fn fault(&mut self, op: &mut Op<'_>, addr: u64, access: Access) -> Result<(), FaultError> {
        self.warm_up(op);
        let page = page_down(addr);
        if !self.layout.range.contains(&page) {
            return Err(FaultError::Segv { mapped: false });
        }
        if self.areas.get(page).is_none() {
            self.grow_stack(page)?;
        }
        let Some((range, area)) = self.areas.get(page) else {
            return Err(FaultError::Segv { mapped: false });
        };
        let allowed = area.access();
        let need = if access.is_empty() { Access::READ } else { access };
        if !allowed.contains(need) {
            return Err(FaultError::Segv { mapped: true });
        }
        let mut write = need.contains(Access::WRITE);
        // A stack that nothing is mapped of is about to be stored to.
        write |= area.flags.contains(AreaFlags::GROWSDOWN) && allowed.contains(Access::WRITE);
        if let Some((_, pages)) = self.pages.get(page)
            && let Some(now) = pages.mapped
            && now.contains(need)
        {
            // Nothing is missing as far as is known here. Another thread's fault may have been answered meanwhile, or the platform
            // said too little of a store, or it lost the mapping; each of these must end in progress.
            if allowed.contains(Access::WRITE) && !now.contains(Access::WRITE) {
                write = true;
            } else {
                let start = (page & !(COPY - 1)).max(range.start);
                let around = start..((page & !(COPY - 1)) + COPY).min(range.end);
                self.pages.update(around, |_, p| p.mapped = None);
            }
        }
        self.touch(op, page, PAGE_SIZE, write)
    }

    /// Extends the stack above `page` down to it. `Segv` where there is none, or a limit or neighbour forbids it.
    pub fn grow_stack(&mut self, page: u64) -> Result<(), FaultError> {
        let no = FaultError::Segv { mapped: false };
        let Some((range, area)) = self.areas.at_or_after(page).map(|(r, a)| (r, a.clone())) else {
            return Err(no);
        };
        if !area.flags.contains(AreaFlags::GROWSDOWN) || range.start <= page || area.object.is_some() {
            return Err(no);
        }
        let lowest = range.end.saturating_sub(self.limits.stack).max(self.layout.range.start);
        let lowest = match self.areas.before(range.start) {
            // Stacks of neighbouring areas with the same mark may touch; all else keeps its distance.
            Some((r, below)) if below.access().is_empty() || below.flags.contains(AreaFlags::GROWSDOWN) => {
                lowest.max(r.end)
            }
            Some((r, _)) => lowest.max(r.end.saturating_add(STACK_GAP)),
            None => lowest,
        };
        if page < lowest {
            return Err(no);
        }
        // Deep recursion comes here again and again: ever more at once, though never more than was touched in all.
        let ahead = (range.end - range.start).clamp(COPY, 16 * COPY);
        let start = range.start.saturating_sub(ahead).max(lowest).min(page);
        let start = page_down(start + PAGE_SIZE - 1).min(page);
        let more = range.start - start;
        self.check_limits(&area, more, 0).map_err(|_| no)?;
        if area.locked() {
            self.check_lock_limit(more).map_err(|_| no)?;
        }
        self.insert_area(start..range.start, area);
        Ok(())
    }

    /// What `range` and `area` of the stack that grows down to `addr` are, if that is one; for accesses by the kernel.
    pub fn stack_above(&self, addr: u64) -> Option<Range<u64>> {
        self.areas
            .at_or_after(addr)
            .filter(|(r, a)| r.start > addr && a.flags.contains(AreaFlags::GROWSDOWN))
            .map(|(r, _)| r)
    }
}
