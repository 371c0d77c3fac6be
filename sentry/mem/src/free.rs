//! Free ranges of the memory file, found by place and by size.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

/// Disjoint free ranges, never adjacent to each other.
#[derive(Default, Debug)]
pub(crate) struct FreeSpace {
    /// start → end
    by_start: BTreeMap<u64, u64>,
    /// (length, start)
    by_len: BTreeSet<(u64, u64)>,
}

impl FreeSpace {
    fn link(&mut self, range: Range<u64>) {
        if !range.is_empty() {
            self.by_start.insert(range.start, range.end);
            self.by_len.insert((range.end - range.start, range.start));
        }
    }

    fn unlink(&mut self, range: &Range<u64>) {
        self.by_start.remove(&range.start);
        self.by_len.remove(&(range.end - range.start, range.start));
    }

    /// Adds a range that is not free yet, joining it with its neighbours.
    pub fn add(&mut self, range: Range<u64>) {
        let mut whole = range.clone();
        if let Some((&start, &end)) = self.by_start.range(..range.start).next_back()
            && end == range.start
        {
            self.unlink(&(start..end));
            whole.start = start;
        }
        if let Some(&end) = self.by_start.get(&range.end) {
            self.unlink(&(range.end..end));
            whole.end = end;
        }
        self.link(whole);
    }

    /// Takes exactly `range`, if all of it is free.
    pub fn take_at(&mut self, range: Range<u64>) -> bool {
        let Some((&start, &end)) = self.by_start.range(..=range.start).next_back() else { return false };
        if end < range.end {
            return false;
        }
        self.unlink(&(start..end));
        self.link(start..range.start);
        self.link(range.end..end);
        true
    }

    /// Takes everything.
    pub fn take_all(&mut self) -> Vec<Range<u64>> {
        self.by_len.clear();
        std::mem::take(&mut self.by_start).into_iter().map(|(start, end)| start..end).collect()
    }

    /// Takes `len` bytes from the smallest range that has them, from its end if `high`.
    pub fn take(&mut self, len: u64, high: bool) -> Option<u64> {
        let &(found, start) = self.by_len.range((len, 0)..).next()?;
        self.unlink(&(start..start + found));
        if high {
            self.link(start..start + found - len);
            Some(start + found - len)
        } else {
            self.link(start + len..start + found);
            Some(start)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_fit_joining_and_exact_takes() {
        let mut free = FreeSpace::default();
        free.add(0..10);
        free.add(20..24);
        assert_eq!(free.take(3, false), Some(20));
        assert!(!free.take_at(8..12));
        assert!(free.take_at(4..6));
        free.add(4..6);
        free.add(10..20);
        assert_eq!(free.take(11, true), Some(9));
        assert_eq!(free.take(10, false), None);
        assert_eq!(free.by_start.len(), free.by_len.len());
    }
}
