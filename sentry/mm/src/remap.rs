//! `mremap(2)`.

use crate::{
    AddressSpace,
    area::{Area, AreaFlags},
    mmap::user_pages,
    op::Op,
    state::{MAX_MAP_COUNT, State},
};
use abi::{Errno, mman::MremapFlags};
use mem::{PAGE_SIZE, page_up, range_map::Split};
use std::ops::Range;

impl AddressSpace {
    /// `mremap(2)`; where the mapping is afterwards.
    pub fn mremap(
        &self,
        old_addr: u64,
        old_len: u64,
        new_len: u64,
        flags: MremapFlags,
        new_addr: u64,
    ) -> Result<u64, Errno> {
        let may_move = flags.contains(MremapFlags::MAYMOVE);
        let fixed = flags.contains(MremapFlags::FIXED);
        let keep = flags.contains(MremapFlags::DONTUNMAP);
        if !(flags - (MremapFlags::MAYMOVE | MremapFlags::FIXED | MremapFlags::DONTUNMAP)).is_empty()
            || ((fixed || keep) && !may_move)
            || (keep && old_len != new_len)
            || !old_addr.is_multiple_of(PAGE_SIZE)
        {
            return Err(Errno::EINVAL);
        }
        let old_len = page_up(old_len).ok_or(Errno::EINVAL)?;
        let new_len = page_up(new_len).filter(|l| *l > 0).ok_or(Errno::EINVAL)?;
        let moved = self.core.run(|state, op| {
            let old = user_pages(state, old_addr, old_len).map_err(|_| Errno::EFAULT)?;
            if fixed {
                let new = user_pages(state, new_addr, new_len)?;
                if new.start < old.end && old.start < new.end {
                    return Err(Errno::EINVAL);
                }
                if new.start < state.layout.range.start {
                    return Err(Errno::EPERM);
                }
            }
            state.remap(op, old, new_len, may_move, fixed.then_some(new_addr), keep)
        })?;
        if self.core.state.read().areas.get(moved).is_some_and(|(_, a)| a.locked()) {
            let _ = self.populate(moved..moved + new_len, None);
        }
        Ok(moved)
    }
}

impl State {
    fn remap(
        &mut self,
        op: &mut Op<'_>,
        old: Range<u64>,
        new_len: u64,
        may_move: bool,
        fixed: Option<u64>,
        keep: bool,
    ) -> Result<u64, Errno> {
        let (whole, area) = self.area(old.start).ok_or(Errno::EFAULT)?;
        if let Err(e) = self.check_unsealed(&(old.start..old.end.max(old.start + 1))) {
            op.discard_area(area);
            return Err(e);
        }
        if let Some(at) = fixed
            && let Err(e) = self.check_unsealed(&(at..at.saturating_add(new_len)))
        {
            op.discard_area(area);
            return Err(e);
        }
        let result = self.remap_area(op, old, new_len, may_move, fixed, keep, &whole, &area);
        op.discard_area(area);
        result
    }

    #[allow(clippy::too_many_arguments, reason = "mremap has that many")]
    fn remap_area(
        &mut self,
        op: &mut Op<'_>,
        mut old: Range<u64>,
        new_len: u64,
        may_move: bool,
        fixed: Option<u64>,
        keep: bool,
        whole: &Range<u64>,
        area: &Area,
    ) -> Result<u64, Errno> {
        let old_len = old.end - old.start;
        if old_len == 0 && (!area.shared() || !may_move) {
            return Err(Errno::EINVAL);
        }
        if fixed.is_none() && !keep && old_len > 0 && new_len <= old_len {
            // Shrinking may span several areas, as unmapping does.
            self.unmap(op, old.start + new_len..old.end);
            return Ok(old.start);
        }
        if old.end > whole.end {
            return Err(Errno::EFAULT);
        }
        let part = area.advanced(old.start - whole.start);
        if new_len > old_len {
            let more = new_len - old_len;
            if part.object.is_some() {
                part.offset.checked_add(new_len).filter(|e| *e <= i64::MAX as u64).ok_or(Errno::EINVAL)?;
            }
            if area.locked() {
                self.check_lock_limit(more)?;
            }
            self.check_limits(area, more, 0)?;
            let room = old.end..old.start.checked_add(new_len).ok_or(Errno::ENOMEM)?;
            if fixed.is_none()
                && old_len > 0
                && old.end == whole.end
                && room.end <= self.layout.range.end
                && self.is_free(&room)
            {
                let tail = part.advanced(old_len);
                self.insert_area(room.clone(), tail);
                self.prefault(op, room)?;
                return Ok(old.start);
            }
        }
        if !may_move {
            return Err(Errno::ENOMEM);
        }
        if self.areas.len() + 3 > MAX_MAP_COUNT {
            return Err(Errno::ENOMEM);
        }
        if old_len == 0 || keep {
            self.check_limits(area, new_len, 0)?;
        }
        let at = match fixed {
            Some(at) => at,
            None => self.find_room(new_len)?,
        };
        let new = at..at + new_len;
        self.unmap(op, new.clone());
        if new_len < old_len {
            self.unmap(op, old.start + new_len..old.end);
            old.end = old.start + new_len;
        }
        let mut moved = part.clone();
        self.insert_area(new.clone(), part);
        if !old.is_empty() {
            self.move_pages(op, old.clone(), at);
        }
        if keep {
            self.update_areas(old, |a| a.flags -= AreaFlags::LOCKED | AreaFlags::LOCK_ON_FAULT);
        } else {
            self.unmap(op, old);
        }
        self.map_pages(op, new.clone(), false);
        self.prefault(op, new)?;
        moved.flags = AreaFlags::empty();
        op.discard_area(moved);
        Ok(at)
    }

    /// Takes the pages of `old` to `at`, where nothing is mapped.
    fn move_pages(&mut self, op: &mut Op<'_>, old: Range<u64>, at: u64) {
        let runs = self.pages.remove(old.clone());
        if runs.iter().any(|(_, p)| p.mapped.is_some()) {
            op.unmap(old.clone());
        }
        for (r, mut pages) in runs {
            pages.mapped = None;
            self.pages.insert(at + (r.start - old.start)..at + (r.end - old.start), pages);
        }
    }
}
