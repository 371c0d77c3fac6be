//! Which addresses of a space are mapped, with what access; not to what.
//!
//! Neighbours of equal access are one area here, so this is never larger than the host's own list.

use platform::Access;
use std::collections::BTreeMap;

/// The mapped addresses of one space.
#[derive(Default, Debug)]
pub struct Areas(BTreeMap<u64, (u64, Access)>);

impl Areas {
    /// The access at an address, `None` where nothing is mapped.
    pub fn at(&self, addr: u64) -> Option<Access> {
        let (_, &(end, access)) = self.0.range(..=addr).next_back()?;
        (addr < end).then_some(access)
    }

    /// Forgets `[start, end)`.
    pub fn remove(&mut self, start: u64, end: u64) {
        if let Some((&at, &(stop, access))) = self.0.range(..start).next_back()
            && stop > start
        {
            self.0.insert(at, (start, access));
            if stop > end {
                self.0.insert(end, (stop, access));
            }
        }
        while let Some((&at, &(stop, access))) = self.0.range(start..end).next() {
            self.0.remove(&at);
            if stop > end {
                self.0.insert(end, (stop, access));
            }
        }
    }

    /// Notes `[start, end)` as mapped.
    pub fn insert(&mut self, mut start: u64, mut end: u64, access: Access) {
        self.remove(start, end);
        if let Some((&at, &(stop, same))) = self.0.range(..start).next_back()
            && stop == start
            && same == access
        {
            start = at;
        }
        if let Some(&(stop, same)) = self.0.get(&end)
            && same == access
        {
            self.0.remove(&end);
            end = stop;
        }
        self.0.insert(start, (end, access));
    }

    /// The mapped runs in `[start, end)` that hold some area of other access than `access`, cut to the range.
    pub fn to_protect(&self, start: u64, end: u64, access: Access) -> Vec<(u64, u64)> {
        let first = match self.0.range(..=start).next_back() {
            Some((&at, &(stop, _))) if stop > start => at,
            _ => start,
        };
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for (&at, &(stop, have)) in self.0.range(first..end) {
            if have == access {
                continue;
            }
            let (from, to) = (at.max(start), stop.min(end));
            match runs.last_mut() {
                Some(last) if last.1 == from => last.1 = to,
                _ => runs.push((from, to)),
            }
        }
        runs
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const R: Access = Access::READ;
    const W: Access = Access::READ.union(Access::WRITE);

    #[test]
    fn cut_and_merge() {
        let mut a = Areas::default();
        a.insert(10, 20, R);
        a.insert(20, 30, R);
        assert_eq!(a.0.len(), 1);
        a.insert(15, 25, W);
        assert_eq!(
            (a.at(14), a.at(15), a.at(24), a.at(25), a.at(30)),
            (Some(R), Some(W), Some(W), Some(R), None)
        );
        a.remove(12, 16);
        assert_eq!((a.at(11), a.at(12), a.at(15), a.at(16)), (Some(R), None, None, Some(W)));
        assert_eq!(a.to_protect(0, 100, R), [(16, 25)]);
        assert_eq!(a.to_protect(11, 28, Access::empty()), [(11, 12), (16, 28)]);
        a.insert(0, 100, R);
        assert_eq!(a.0.len(), 1);
        a.remove(40, 50);
        assert_eq!(a.0.len(), 2);
        assert_eq!(a.to_protect(5, 60, W), [(5, 40), (50, 60)]);
    }
}
