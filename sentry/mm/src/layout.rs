//! Where things are put in an address space: Linux's top-down layout with randomness.

use crate::state::{STACK_GAP, State};
use abi::Errno;
use mem::{PAGE_SIZE, page_down, page_up};
use std::ops::Range;

/// Fixed points of an address space.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// Addresses that an application may use.
    pub range: Range<u64>,
    /// Below this `mmap` finds room.
    pub mmap_base: u64,
    /// End of the first stack.
    pub stack_top: u64,
    /// Where a position-independent program is loaded.
    pub pie_base: u64,
    /// Start of the heap.
    pub start_brk: u64,
    /// End of the heap, as `brk(2)` says: any byte.
    pub brk: u64,
}

/// Linux's `STACK_RND_MASK` in bytes: 16 GiB.
const STACK_RANDOM: u64 = 0x3f_ffff << 12;
/// Linux's 28 bits of `mmap_rnd_bits` in bytes: 1 TiB.
const MMAP_RANDOM: u64 = 1 << 40;

fn random_below(limit: u64) -> u64 {
    let limit = limit / PAGE_SIZE;
    if limit == 0 {
        return 0;
    }
    // Without the host's randomness there is none, which is weaker but works.
    host::random::u64().unwrap_or(0) % limit * PAGE_SIZE
}

impl Layout {
    /// A layout of `range` with a stack of at most `stack` bytes.
    pub fn new(range: Range<u64>, stack: u64) -> Self {
        let size = range.end - range.start;
        let stack_random = STACK_RANDOM.min(size / 64);
        let mmap_random = MMAP_RANDOM.min(size / 64);
        let stack_top = range.end - PAGE_SIZE.min(size) - random_below(stack_random);
        let gap = stack.saturating_add(STACK_GAP).saturating_add(stack_random);
        let gap = page_up(gap.max(128 << 20)).unwrap_or(u64::MAX).min(page_down(size / 6 * 5));
        let mmap_base = range.end - gap - random_below(mmap_random.min((size - gap) / 4));
        let pie_base = page_down(range.start + size / 3 * 2) + random_below(mmap_random);
        let pie_base = pie_base.min(page_down(mmap_base / 8 * 7));
        Self { range, mmap_base, stack_top, pie_base, start_brk: 0, brk: 0 }
    }
}

impl State {
    /// Whether nothing is in `range`, and no stack above comes too near.
    pub fn is_free(&self, range: &Range<u64>) -> bool {
        match self.areas.at_or_after(range.start) {
            None => true,
            Some((next, area)) => {
                let gap = if area.flags.contains(crate::AreaFlags::GROWSDOWN) { STACK_GAP } else { 0 };
                next.start >= range.end.saturating_add(gap)
            }
        }
    }

    /// The highest room for `len` bytes below `mmap_base`, or else above it. `ENOMEM`.
    pub fn find_room(&mut self, len: u64) -> Result<u64, Errno> {
        let top = self.layout.mmap_base;
        let from = if len <= self.skipped { top } else { self.scan_from.min(top) };
        let (found, widest) = self.scan_down(self.layout.range.start..from, len);
        if let Some(at) = found {
            self.scan_from = at + len;
            self.skipped = if from == top { widest } else { self.skipped.max(widest) };
            return Ok(at);
        }
        let (found, _) = self.scan_down(self.layout.range.start..top, len);
        if let Some(at) = found {
            return Ok(at);
        }
        self.scan_down(top..self.layout.range.end, len).0.ok_or(Errno::ENOMEM)
    }

    /// The highest room for `len` bytes in `window`; and the widest gap that was passed over.
    pub fn scan_down(&self, window: Range<u64>, len: u64) -> (Option<u64>, u64) {
        let mut end = window.end;
        let mut widest = 0;
        // What straddles the window's end cuts it; what lies right above may be a stack.
        if let Some((r, area)) = self.areas.at_or_after(end.saturating_sub(1)) {
            end = end.min(r.start);
            if area.flags.contains(crate::AreaFlags::GROWSDOWN) {
                end = end.min(r.start.saturating_sub(STACK_GAP));
            }
        }
        let mut below = end;
        while let Some((r, area)) = self.areas.before(below) {
            let floor = r.end.max(window.start);
            if end > floor {
                if end - floor >= len {
                    return (Some(end - len), widest);
                }
                widest = widest.max(end - floor);
            }
            if r.start <= window.start {
                return (None, widest);
            }
            below = r.start;
            end = end.min(r.start);
            if area.flags.contains(crate::AreaFlags::GROWSDOWN) {
                end = end.min(r.start.saturating_sub(STACK_GAP));
            }
        }
        if end > window.start && end - window.start >= len {
            return (Some(end - len), widest);
        }
        (None, widest)
    }

    /// `range` has been unmapped: placement may look there again.
    pub fn note_gap(&mut self, range: Range<u64>) {
        if range.end < self.scan_from {
            return;
        }
        let start = self.areas.before(range.start).map_or(self.layout.range.start, |(r, _)| r.end);
        let end = self.areas.at_or_after(range.start).map_or(self.layout.range.end, |(r, _)| r.start);
        self.skipped = self.skipped.max(end - start.min(end));
    }
}
