//! A map from disjoint ranges of `u64` to values.

use std::{collections::BTreeMap, ops::Range};

/// A value that covers a range and can be cut.
pub trait Split: Clone {
    /// The value for the part that starts `by` behind the start of this one.
    fn advanced(&self, by: u64) -> Self;
    /// Whether `next`, directly behind a range of `len` with this value, continues it.
    fn continues(&self, len: u64, next: &Self) -> bool;
}

/// Plain values are the same all over their range.
macro_rules! uniform {
    ($($t:ty),*) => { $(impl Split for $t {
        fn advanced(&self, _: u64) -> Self { *self }
        fn continues(&self, _: u64, next: &Self) -> bool { self == next }
    })* };
}
uniform!(u8, u32, u64, usize, bool, ());

/// Disjoint ranges, each with a value; empty ranges are not stored.
#[derive(Clone, Debug)]
pub struct RangeMap<V> {
    /// start → (end, value)
    map: BTreeMap<u64, (u64, V)>,
}

impl<V> Default for RangeMap<V> {
    fn default() -> Self {
        Self { map: BTreeMap::new() }
    }
}

impl<V: Split> RangeMap<V> {
    /// A map of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many ranges there are.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The range that holds `at`.
    pub fn get(&self, at: u64) -> Option<(Range<u64>, &V)> {
        let (&start, (end, value)) = self.map.range(..=at).next_back()?;
        (at < *end).then_some((start..*end, value))
    }

    /// The range that holds `at`, to be changed in place.
    pub fn get_mut(&mut self, at: u64) -> Option<(Range<u64>, &mut V)> {
        let (&start, (end, value)) = self.map.range_mut(..=at).next_back()?;
        (at < *end).then_some((start..*end, value))
    }

    /// The first range that ends behind `at`: the one that holds it, or the next.
    pub fn at_or_after(&self, at: u64) -> Option<(Range<u64>, &V)> {
        self.get(at).or_else(|| self.map.range(at..).next().map(|(&s, (e, v))| (s..*e, v)))
    }

    /// The last range that starts before `at`.
    pub fn before(&self, at: u64) -> Option<(Range<u64>, &V)> {
        self.map.range(..at).next_back().map(|(&s, (e, v))| (s..*e, v))
    }

    /// All ranges in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Range<u64>, &V)> {
        self.map.iter().map(|(&s, (e, v))| (s..*e, v))
    }

    /// The ranges that touch `range`, whole (not clipped), in order.
    pub fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = (Range<u64>, &V)> {
        let first = self.get(range.start).map_or(range.start, |(r, _)| r.start);
        self.map
            .range(first..range.end.max(first))
            .map(|(&s, (e, v))| (s..*e, v))
            .filter(move |(r, _)| r.end > range.start)
    }

    /// The parts of `range` that nothing covers, in order.
    pub fn gaps(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = range.start;
        for (r, _) in self.overlapping(range.clone()) {
            if r.start > at {
                gaps.push(at..r.start);
            }
            at = at.max(r.end);
        }
        if at < range.end {
            gaps.push(at..range.end);
        }
        gaps
    }

    /// Makes `at` a boundary, so that no range straddles it.
    pub fn split_at(&mut self, at: u64) {
        if let Some((&start, (end, value))) = self.map.range_mut(..at).next_back()
            && at < *end
        {
            let tail = (*end, value.advanced(at - start));
            *end = at;
            self.map.insert(at, tail);
        }
    }

    /// Takes out what lies in `range`, cut to it.
    pub fn remove(&mut self, range: Range<u64>) -> Vec<(Range<u64>, V)> {
        if range.is_empty() {
            return Vec::new();
        }
        self.split_at(range.start);
        self.split_at(range.end);
        let starts: Vec<u64> = self.map.range(range).map(|(&s, _)| s).collect();
        starts.into_iter().filter_map(|s| self.map.remove(&s).map(|(e, v)| (s..e, v))).collect()
    }

    /// Puts `value` over `range`, in place of what was there (which is returned, cut), and joins it with its
    /// neighbours where they continue one another.
    pub fn insert(&mut self, range: Range<u64>, value: V) -> Vec<(Range<u64>, V)> {
        if range.is_empty() {
            return Vec::new();
        }
        let old = self.remove(range.clone());
        self.map.insert(range.start, (range.end, value));
        self.join_at(range.end);
        self.join_at(range.start);
        old
    }

    /// Applies `change` to each value in `range`, cut to it, and joins again what has become alike.
    pub fn update(&mut self, range: Range<u64>, mut change: impl FnMut(Range<u64>, &mut V)) {
        if range.is_empty() {
            return;
        }
        self.split_at(range.start);
        self.split_at(range.end);
        let mut boundaries = Vec::new();
        for (&s, (e, v)) in self.map.range_mut(range.clone()) {
            change(s..*e, v);
            boundaries.push(*e);
        }
        for at in boundaries.into_iter().rev() {
            self.join_at(at);
        }
        self.join_at(range.start);
    }

    /// Joins the ranges that meet at `at` if the second continues the first.
    fn join_at(&mut self, at: u64) {
        let Some((&start, (end, value))) = self.map.range(..at).next_back() else { return };
        let Some((next_end, next)) = self.map.get(&at) else { return };
        if *end != at || !value.continues(at - start, next) {
            return;
        }
        let next_end = *next_end;
        self.map.remove(&at);
        if let Some((end, _)) = self.map.get_mut(&start) {
            *end = next_end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(m: &RangeMap<u32>) -> Vec<(u64, u64, u32)> {
        m.iter().map(|(r, v)| (r.start, r.end, *v)).collect()
    }

    #[test]
    fn insertion_cuts_what_is_there_and_joins_equals() {
        let mut m = RangeMap::new();
        m.insert(0..10, 1u32);
        assert_eq!(m.insert(3..5, 2), vec![(3..5, 1)]);
        assert_eq!(show(&m), [(0, 3, 1), (3, 5, 2), (5, 10, 1)]);
        m.insert(3..5, 1);
        assert_eq!(show(&m), [(0, 10, 1)]);
    }

    #[test]
    fn update_removal_and_gaps() {
        let mut m = RangeMap::new();
        m.insert(0..10, 1u32);
        m.insert(20..30, 1);
        m.update(5..25, |_, v| *v += 1);
        assert_eq!(show(&m), [(0, 5, 1), (5, 10, 2), (20, 25, 2), (25, 30, 1)]);
        assert_eq!(m.gaps(2..40), vec![10..20, 30..40]);
        assert_eq!(m.remove(8..22).len(), 2);
        assert_eq!(m.overlapping(0..6).count(), 2);
        assert_eq!(m.at_or_after(8).map(|(r, _)| r), Some(22..25));
    }
}
