//! Which pages of a file are in use, how often, and where new ones go: for [`MemoryFile`](crate::MemoryFile) and
//! [`Store`](crate::Store).

use crate::{RangeMap, free::FreeSpace};
use std::ops::Range;

/// Requests of more than this are not for cleared pages.
const WARM_REQUEST: u64 = 1 << 20;

/// Where in the file a new range is wanted.
///
/// Host mappings of neighbouring addresses merge into one where their offsets are neighbours too, so what grows upwards
/// (the heap, files) and what is placed downwards (`mmap`) take their ranges from the two ends of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Hint {
    /// Anywhere; neighbours in time ascend.
    #[default]
    Up,
    /// Anywhere; neighbours in time descend.
    Down,
    /// Right here if that is free, else as `Up`.
    At(u64),
    /// Right below this offset if that is free, else as `Down`.
    Below(u64),
}

/// Who has which range of a file of pages.
pub(crate) struct Alloc {
    /// References of each page that is in use.
    pub refs: RangeMap<u32>,
    /// From here to `fresh_end` nothing was ever used.
    fresh: u64,
    /// End of what was never used.
    fresh_end: u64,
    /// Free ranges outside `fresh..fresh_end`: holes.
    pub free: FreeSpace,
    /// Free ranges that the host holds cleared pages for.
    pub warm: FreeSpace,
    /// Bytes of `warm`.
    pub warm_bytes: u64,
    /// Pages in use.
    pub used_bytes: u64,
}

impl Alloc {
    /// Nothing of `size` bytes is in use.
    pub fn new(size: u64) -> Self {
        Self {
            refs: RangeMap::new(),
            fresh: 0,
            fresh_end: size,
            free: FreeSpace::default(),
            warm: FreeSpace::default(),
            warm_bytes: 0,
            used_bytes: 0,
        }
    }

    /// One more reference for each page of `range`, which is in use.
    pub fn retain(&mut self, range: Range<u64>) {
        self.refs.update(range, |_, refs| *refs = refs.saturating_add(1));
    }

    /// One reference less for each page of `range`; those without any, which are neither in use nor free now.
    pub fn release(&mut self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut freed = Vec::new();
        self.refs.update(range, |part, refs| {
            *refs = refs.saturating_sub(1);
            if *refs == 0 {
                freed.push(part);
            }
        });
        for part in &freed {
            self.refs.remove(part.clone());
        }
        freed
    }

    fn take_at(&mut self, start: u64, len: u64) -> Option<u64> {
        let end = start.checked_add(len)?;
        if start == self.fresh && end <= self.fresh_end {
            self.fresh = end;
        } else if end == self.fresh_end && start >= self.fresh {
            self.fresh_end = start;
        } else if self.warm.take_at(start..end) {
            self.warm_bytes -= len;
        } else if !self.free.take_at(start..end) {
            return None;
        }
        Some(start)
    }

    /// Where `len` bytes are, and whether the host holds them.
    pub fn take(&mut self, len: u64, hint: Hint) -> Option<(u64, bool)> {
        let (exact, down) = match hint {
            Hint::Up => (None, false),
            Hint::Down => (None, true),
            Hint::At(at) => (Some(at), false),
            Hint::Below(at) => (at.checked_sub(len), true),
        };
        if let Some(at) = exact.and_then(|at| self.take_at(at, len)) {
            return Some((at, false));
        }
        if len <= WARM_REQUEST
            && let Some(at) = self.warm.take(len, down)
        {
            self.warm_bytes -= len;
            return Some((at, true));
        }
        if let Some(at) = self.free.take(len, down) {
            return Some((at, false));
        }
        let at = if down { self.fresh_end.checked_sub(len)? } else { self.fresh };
        self.take_at(at, len).map(|at| (at, false))
    }
}
