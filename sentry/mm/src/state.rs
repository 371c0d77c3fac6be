//! The tables of an address space, and the steps that all operations on them are made of.
//!
//! `areas` says what the application asked for; `pages` which pages there are, whose they are, and what the platform has
//! mapped of them. **Invariants:** pages lie in areas; each run in the memory file holds one reference a page; what the
//! platform maps writable is either shared or has no other owner.

use crate::{
    FaultError,
    area::{Area, AreaFlags, Pages, Place},
    layout::Layout,
    op::{Op, clipped},
};
use abi::{Errno, Prot};
use mem::{Hint, PAGE_SIZE, RangeMap, page_down, page_up};
use std::ops::Range;

/// Anonymous areas up to this size are backed and mapped as a whole.
pub(crate) const EAGER: u64 = 64 << 20;
/// Larger ones are backed in chunks of at least this size.
pub(crate) const CHUNK: u64 = 2 << 20;
/// How much is copied around a store to shared pages.
pub(crate) const COPY: u64 = 64 << 10;
/// Distance that is kept between a stack and what lies below it.
pub(crate) const STACK_GAP: u64 = 256 * PAGE_SIZE;
/// `vm.max_map_count`.
pub const MAX_MAP_COUNT: usize = 65530;

/// Resource limits that concern memory, in bytes; `u64::MAX` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `RLIMIT_AS`.
    pub address_space: u64,
    /// `RLIMIT_DATA`.
    pub data: u64,
    /// `RLIMIT_STACK`.
    pub stack: u64,
    /// `RLIMIT_MEMLOCK`; no limit for who has `CAP_IPC_LOCK`.
    pub memlock: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { address_space: u64::MAX, data: u64::MAX, stack: 8 << 20, memlock: 8 << 20 }
    }
}

/// Bytes of areas of several kinds.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Totals {
    pub all: u64,
    pub data: u64,
    pub locked: u64,
    pub exec: u64,
    pub stack: u64,
}

impl Totals {
    fn change(&mut self, area: &Area, len: u64, add: bool) {
        let step = |n: &mut u64, yes: bool| {
            if yes {
                *n = if add { n.saturating_add(len) } else { n.saturating_sub(len) };
            }
        };
        step(&mut self.all, true);
        step(&mut self.data, area.is_data());
        step(&mut self.locked, area.locked());
        step(&mut self.exec, area.prot.contains(Prot::EXEC) && !area.prot.contains(Prot::WRITE));
        step(&mut self.stack, area.flags.contains(AreaFlags::GROWSDOWN));
    }
}

/// What an address space is at a moment.
pub(crate) struct State {
    pub areas: RangeMap<Area>,
    pub pages: RangeMap<Pages>,
    pub totals: Totals,
    pub peak: u64,
    /// Highest number of resident bytes that was seen.
    pub high_water: u64,
    pub limits: Limits,
    pub layout: Layout,
    pub info: crate::MmInfo,
    /// `mlockall(MCL_FUTURE)`: what new areas get.
    pub lock_future: AreaFlags,
    /// Nothing runs here yet (exec): the platform is told of everything at once when something does.
    pub cold: bool,
    /// Placement starts here: above, no gap is larger than `skipped`.
    pub scan_from: u64,
    pub skipped: u64,
}

impl State {
    pub fn new(limits: Limits, layout: Layout) -> Self {
        Self {
            areas: RangeMap::new(),
            pages: RangeMap::new(),
            totals: Totals::default(),
            peak: 0,
            high_water: 0,
            limits,
            scan_from: layout.mmap_base,
            skipped: 0,
            layout,
            info: crate::MmInfo::default(),
            lock_future: AreaFlags::empty(),
            cold: false,
        }
    }

    /// The area that holds `addr`, with its range.
    pub fn area(&self, addr: u64) -> Option<(Range<u64>, Area)> {
        self.areas.get(addr).map(|(r, a)| (r, a.clone()))
    }

    /// Puts an area where none is.
    pub fn insert_area(&mut self, range: Range<u64>, area: Area) {
        self.totals.change(&area, range.end - range.start, true);
        self.peak = self.peak.max(self.totals.all);
        self.areas.insert(range, area);
    }

    /// Changes the areas of `range`, cut to it.
    pub fn update_areas(&mut self, range: Range<u64>, mut change: impl FnMut(&mut Area)) {
        let totals = &mut self.totals;
        self.areas.update(range, |r, area| {
            totals.change(area, r.end - r.start, false);
            change(area);
            totals.change(area, r.end - r.start, true);
        });
    }

    /// Takes out areas and pages of `range`.
    pub fn unmap(&mut self, op: &mut Op<'_>, range: Range<u64>) {
        let areas = self.areas.remove(range.clone());
        if areas.is_empty() {
            return;
        }
        for (r, area) in &areas {
            self.totals.change(area, r.end - r.start, false);
        }
        op.discard_areas(areas);
        op.forget_all(self.pages.remove(range.clone()));
        self.note_gap(range);
    }

    /// Lets go of the pages of `range`, of which the areas stay.
    pub fn drop_pages(&mut self, op: &mut Op<'_>, range: Range<u64>) {
        op.forget_all(self.pages.remove(range));
    }

    /// The part of `within` around `page` in which there are no pages.
    fn gap_around(&self, page: u64, within: &Range<u64>) -> Range<u64> {
        let start = self.pages.before(page + 1).map_or(within.start, |(r, _)| r.end.max(within.start));
        let end = self.pages.at_or_after(page).map_or(within.end, |(r, _)| r.start.min(within.end));
        start..end
    }

    /// Where in the memory file pages for `range` go best: next to those of their neighbours.
    fn hint(&self, range: &Range<u64>) -> Hint {
        if let Some((r, Pages { place: Place::Memory(off), owned: true, .. })) =
            self.pages.before(range.start)
            && r.end == range.start
        {
            return Hint::At(off + (r.end - r.start));
        }
        if let Some((r, Pages { place: Place::Memory(off), owned: true, .. })) = self.pages.get(range.end)
            && r.start == range.end
        {
            return Hint::Below(*off);
        }
        if range.start >= self.layout.start_brk && range.start < self.layout.brk {
            Hint::Up
        } else {
            Hint::Down
        }
    }

    /// Backs all of `range`, in which there are no pages, with zeros.
    pub fn fill_anonymous(&mut self, op: &mut Op<'_>, range: Range<u64>) -> Result<(), Errno> {
        let len = range.end - range.start;
        let (offset, warm) = op.core.memory.allocate_noting(len, self.hint(&range))?;
        self.pages.insert(
            range.clone(),
            Pages { place: Place::Memory(offset), owned: true, cow: false, mapped: None },
        );
        if warm && len <= COPY {
            self.map_pages(op, range, true);
        }
        Ok(())
    }

    /// How much of `gap` to back when `page` in it is touched and the bytes up to `wanted` are known to follow.
    fn chunk(&self, area: &Area, gap: &Range<u64>, page: u64, wanted: u64) -> Range<u64> {
        let small = if area.prot.contains(Prot::WRITE) { CHUNK } else { COPY };
        if gap.end - gap.start <= EAGER && small == CHUNK && !area.flags.contains(AreaFlags::NORESERVE) {
            return gap.clone();
        }
        let start = (page & !(small - 1)).max(gap.start);
        // Whoever goes through memory in order gets ever more of it at once.
        let before = match self.pages.before(start) {
            Some((r, _)) if r.end == start => r.end - r.start,
            _ => 0,
        };
        let size = if small == CHUNK { before.clamp(CHUNK, EAGER) & !(CHUNK - 1) } else { small };
        start..(start + size).max(wanted).min(gap.end)
    }

    /// Makes sure that there is a page at `page`, in `area` over `range`, and more where that is cheap.
    pub fn fill(
        &mut self,
        op: &mut Op<'_>,
        area: &Area,
        range: &Range<u64>,
        page: u64,
        wanted: u64,
    ) -> Result<(), FaultError> {
        if self.pages.get(page).is_some() {
            return Ok(());
        }
        let gap = self.gap_around(page, range);
        let Some(object) = &area.object else {
            let chunk = self.chunk(area, &gap, page, wanted);
            return self
                .fill_anonymous(op, chunk)
                .or_else(|_| self.fill_anonymous(op, page..page + PAGE_SIZE))
                .map_err(|_| FaultError::OutOfMemory);
        };
        let write = area.shared() && area.max.contains(Prot::WRITE);
        let back = |at: u64, len: u64| object.mappable.back(area.offset + (at - range.start), len, write);
        let (backing, len) = back(page, gap.end - page).map_err(|e| match e {
            Errno::ENOMEM => FaultError::OutOfMemory,
            _ => FaultError::Bus,
        })?;
        let place = Place::from(backing);
        let host = matches!(place, Place::Host(..));
        self.pages.insert(page..page + len, Pages { place, owned: false, cow: false, mapped: None });
        // A host file costs nothing to map, so what lies before comes along; memory is only made when touched.
        if host
            && gap.start < page
            && let Ok((backing, len)) = back(gap.start, page - gap.start)
        {
            let pages = Pages { place: backing.into(), owned: false, cow: false, mapped: None };
            self.pages.insert(gap.start..gap.start + len, pages);
        }
        Ok(())
    }

    /// Gives the private `area` pages of its own over `range`, as far as there are pages; at `page` or fails.
    pub fn break_sharing(
        &mut self,
        op: &mut Op<'_>,
        area: &Area,
        range: Range<u64>,
        page: u64,
    ) -> Result<(), FaultError> {
        for (run, pages) in clipped(&self.pages, &range) {
            if pages.writable_in(area) {
                continue;
            }
            let mut at = run.start;
            while at < run.end {
                let rest = mem::range_map::Split::advanced(&pages, at - run.start);
                let end = match (&rest.place, rest.owned) {
                    (Place::Memory(off), true) => {
                        let (sole, n) = op.core.memory.sole_prefix(*off..*off + (run.end - at));
                        if sole {
                            self.pages.update(at..at + n, |_, p| p.cow = false);
                            at += n;
                            continue;
                        }
                        at + n
                    }
                    _ => run.end,
                };
                if let Err(e) = self.copy_run(op, at..end, &rest)
                    && (at..end).contains(&page)
                {
                    return Err(e);
                }
                at = end;
            }
        }
        Ok(())
    }

    /// Replaces the run `old` at `range` by a copy.
    fn copy_run(&mut self, op: &mut Op<'_>, range: Range<u64>, old: &Pages) -> Result<(), FaultError> {
        let len = range.end - range.start;
        let memory = &op.core.memory;
        let new = memory.allocate_hint(len, self.hint(&range)).map_err(|_| FaultError::OutOfMemory)?;
        let fill = |fd: &std::os::fd::OwnedFd, off| {
            let len = usize::try_from(len).unwrap_or(0);
            memory.fill_from(std::os::fd::AsFd::as_fd(fd), off, new, len).is_ok()
        };
        let copied = match &old.place {
            Place::Memory(off) => memory.copy(*off, new, len).is_ok(),
            Place::Store(store, off) => fill(store.fd(), *off),
            Place::Host(fd, off) => fill(fd, *off),
        };
        if !copied {
            memory.release(new..new + len);
            return Err(FaultError::Bus);
        }
        let pages = Pages { place: Place::Memory(new), owned: true, cow: false, mapped: None };
        op.forget_all(self.pages.insert(range, pages));
        Ok(())
    }

    /// Maps the pages of `range` that are not, and gives those that are the access that they are to have.
    pub fn map_pages(&mut self, op: &mut Op<'_>, range: Range<u64>, populate: bool) {
        self.sync_pages(op, range, true, populate);
    }

    /// Gives the pages of `range` that are mapped the access that they are to have.
    pub fn protect_pages(&mut self, op: &mut Op<'_>, range: Range<u64>) {
        self.sync_pages(op, range, false, false);
    }

    fn sync_pages(&mut self, op: &mut Op<'_>, range: Range<u64>, map: bool, populate: bool) {
        if self.cold {
            return;
        }
        for (part, area) in clipped(&self.areas, &range) {
            self.pages.update(part, |r, pages| {
                let target = pages.target(&area);
                match pages.mapped {
                    Some(now) if now == target => {}
                    Some(_) => {
                        op.protect(r, target);
                        pages.mapped = Some(target);
                    }
                    None if map && !target.is_empty() => {
                        op.map(r, pages, target, populate);
                        pages.mapped = Some(target);
                    }
                    None => {}
                }
            });
            op.discard_area(area);
        }
    }

    /// Tells the platform of all pages there are, if it was not told yet.
    pub fn warm_up(&mut self, op: &mut Op<'_>) {
        if std::mem::replace(&mut self.cold, false) {
            let all = self.layout.range.clone();
            self.map_pages(op, all, false);
        }
    }

    /// Backs and maps what of `range` is better done now than at a fault; whatever cannot be is left to the fault.
    pub fn prefault(&mut self, op: &mut Op<'_>, range: Range<u64>) -> Result<(), Errno> {
        for (part, area) in clipped(&self.areas, &range) {
            let len = part.end - part.start;
            if area.access().is_empty() {
                continue;
            }
            if area.is_private_anonymous() {
                if area.prot.contains(Prot::WRITE)
                    && len <= EAGER
                    && !area.flags.contains(AreaFlags::NORESERVE)
                {
                    for gap in self.pages.gaps(part.clone()) {
                        self.fill_anonymous(op, gap)?;
                    }
                }
            } else if self.pages.get(part.start).is_none() {
                // `area` is cut to `part`, so its offset belongs to the start of it.
                match self.fill(op, &area, &part, part.start, part.start) {
                    // A program's data: its relocations store to it at once.
                    Ok(()) if !area.shared() && area.prot.contains(Prot::WRITE) && len <= COPY => {
                        let _ = self.break_sharing(op, &area, part.clone(), part.start);
                    }
                    Err(FaultError::OutOfMemory) => return Err(Errno::ENOMEM),
                    _ => {}
                }
            }
            self.map_pages(op, part, false);
            op.discard_area(area);
        }
        Ok(())
    }

    /// Makes the page at `addr` accessible, for stores if `write`, and as much of the `want` bytes there as is done in one go.
    /// There is an area, and it allows the access (or the caller is a debugger).
    pub fn touch(&mut self, op: &mut Op<'_>, addr: u64, want: u64, write: bool) -> Result<(), FaultError> {
        let page = page_down(addr);
        let Some((range, area)) = self.area(page) else { return Err(FaultError::Segv { mapped: false }) };
        let result = self.touch_in(op, page, addr.saturating_add(want), write, &range, &area);
        op.discard_area(area);
        result
    }

    fn touch_in(
        &mut self,
        op: &mut Op<'_>,
        page: u64,
        wanted: u64,
        write: bool,
        range: &Range<u64>,
        area: &Area,
    ) -> Result<(), FaultError> {
        let wanted = page_up(wanted).unwrap_or(range.end).clamp(page + PAGE_SIZE, range.end);
        self.fill(op, area, range, page, wanted)?;
        let Some((run, pages)) = self.pages.get(page) else { return Err(FaultError::OutOfMemory) };
        let run = run.start.max(range.start)..run.end.min(range.end);
        if !write || pages.writable_in(area) {
            self.map_pages(op, run, false);
            return Ok(());
        }
        if pages.owned
            && let Place::Memory(off) =
                mem::range_map::Split::advanced(pages, page - self.run_start(page)).place
        {
            // Given back by the others: all that is ours alone becomes writable at once.
            let (sole, n) = op.core.memory.sole_prefix(off..off + (run.end - page));
            if sole {
                let before = page - run.start;
                let start = if op.core.memory.is_sole(off - before..off) { run.start } else { page };
                self.pages.update(start..page + n, |_, p| p.cow = false);
                self.map_pages(op, start..page + n, false);
                return Ok(());
            }
        }
        let start = (page & !(COPY - 1)).max(range.start);
        let end = ((page & !(COPY - 1)) + COPY).max(wanted).min(range.end);
        self.break_sharing(op, area, start..end, page)?;
        self.map_pages(op, start..end, true);
        Ok(())
    }

    fn run_start(&self, page: u64) -> u64 {
        self.pages.get(page).map_or(page, |(r, _)| r.start)
    }

    /// `ENOMEM` if `more` bytes of areas like `area` are more than the limits allow, `less` being about to go.
    pub fn check_limits(&self, area: &Area, more: u64, less: u64) -> Result<(), Errno> {
        let all = self.totals.all.saturating_sub(less).saturating_add(more);
        if all > self.limits.address_space {
            return Err(Errno::ENOMEM);
        }
        if area.is_data() && self.totals.data.saturating_sub(less).saturating_add(more) > self.limits.data {
            return Err(Errno::ENOMEM);
        }
        Ok(())
    }

    /// `EAGAIN` if `more` bytes cannot be locked.
    pub fn check_lock_limit(&self, more: u64) -> Result<(), Errno> {
        if self.totals.locked.saturating_add(more) > self.limits.memlock {
            Err(Errno::EAGAIN)
        } else {
            Ok(())
        }
    }

    /// Bytes of `range` that areas cover.
    pub fn covered(&self, range: &Range<u64>) -> u64 {
        self.areas
            .overlapping(range.clone())
            .map(|(r, _)| r.end.min(range.end) - r.start.max(range.start))
            .sum()
    }
}
