//! [`ByteQueue`]: the bytes of a stream that were sent and not yet received.
//!
//! A ring that grows as it is needed and gives its memory back when it has run empty after a burst.
//! **Invariant:** `len <= buffer.len()`, `head < buffer.len()` or both are 0.

use abi::Errno;
use mem::{IoDst, IoSrc};

const FIRST: usize = 4096;
/// What an empty queue may keep.
const KEEP: usize = 64 << 10;

/// A queue of bytes.
#[derive(Default)]
pub struct ByteQueue {
    buffer: Vec<u8>,
    head: usize,
    len: usize,
}

impl ByteQueue {
    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn reserve(&mut self, more: usize) {
        let need = self.len.saturating_add(more);
        if need <= self.buffer.len() {
            return;
        }
        let mut grown = vec![0; need.next_power_of_two().max(FIRST)];
        let (a, b) = self.pieces(0, self.len);
        let (first, rest) = grown.split_at_mut(a.len());
        first.copy_from_slice(a);
        if let Some(place) = rest.get_mut(..b.len()) {
            place.copy_from_slice(b);
        }
        (self.buffer, self.head) = (grown, 0);
    }

    /// The `len` bytes from `skip` on, in at most two pieces.
    fn pieces(&self, skip: usize, len: usize) -> (&[u8], &[u8]) {
        let len = len.min(self.len.saturating_sub(skip));
        let size = self.buffer.len();
        let mut at = self.head + skip;
        if at >= size {
            at = at.saturating_sub(size);
        }
        let first = len.min(size - at);
        (
            self.buffer.get(at..at + first).unwrap_or_default(),
            self.buffer.get(..len - first).unwrap_or_default(),
        )
    }

    /// Appends up to `max` bytes of `src`, returning how many. `EFAULT` only if none.
    pub fn fill(&mut self, src: &mut IoSrc<'_>, max: usize) -> Result<usize, Errno> {
        let want = max.min(src.remaining());
        self.reserve(want);
        let size = self.buffer.len();
        let mut total = 0;
        while total < want {
            let mut at = self.head + self.len;
            if at >= size {
                at -= size;
            }
            let end = size.min(at + want - total);
            let end = if at < self.head { end.min(self.head) } else { end };
            match src.take(self.buffer.get_mut(at..end).unwrap_or_default()) {
                Ok(0) => break,
                Ok(n) => {
                    self.len += n;
                    total += n;
                }
                Err(e) if total == 0 => return Err(e),
                Err(_) => break,
            }
        }
        Ok(total)
    }

    /// Copies up to `max` bytes from `skip` on to `dst` and leaves them here. `EFAULT` only if none.
    pub fn copy(&self, skip: usize, dst: &mut IoDst<'_>, max: usize) -> Result<usize, Errno> {
        let (a, b) = self.pieces(skip, max);
        if a.is_empty() {
            return Ok(0);
        }
        let n = dst.put(a)?;
        if n < a.len() || b.is_empty() {
            return Ok(n);
        }
        Ok(n + dst.put(b).unwrap_or(0))
    }

    /// The byte at `at`.
    pub fn get(&self, at: usize) -> Option<u8> {
        self.pieces(at, 1).0.first().copied()
    }

    /// Removes the first `count` bytes.
    pub fn consume(&mut self, count: usize) {
        let count = count.min(self.len);
        self.len -= count;
        self.head += count;
        if self.head >= self.buffer.len() {
            self.head -= self.buffer.len();
        }
        if self.len == 0 {
            self.head = 0;
            if self.buffer.len() > KEEP {
                self.buffer = Vec::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(q: &mut ByteQueue, bytes: &[u8]) -> usize {
        let mut bytes = bytes.to_vec();
        q.fill(&mut IoSrc::bytes(&mut bytes), usize::MAX).unwrap()
    }
    fn take(q: &mut ByteQueue, n: usize) -> Vec<u8> {
        let mut out = vec![0; n];
        let got = q.copy(0, &mut IoDst::bytes(&mut out), n).unwrap();
        q.consume(got);
        out.truncate(got);
        out
    }

    #[test]
    fn bytes_come_out_in_order_around_the_end_and_through_growth() {
        let mut q = ByteQueue::default();
        let (mut sent, mut got) = (0u8, 0u8);
        for round in 0..200usize {
            let bytes: Vec<u8> = (0..round * 31 % 3000)
                .map(|_| {
                    sent = sent.wrapping_add(7);
                    sent
                })
                .collect();
            assert_eq!(fill(&mut q, &bytes), bytes.len());
            for b in take(&mut q, round * 57 % 2500) {
                got = got.wrapping_add(7);
                assert_eq!(b, got);
            }
        }
        while let [b, ..] = take(&mut q, 1)[..] {
            got = got.wrapping_add(7);
            assert_eq!(b, got);
        }
        assert_eq!(sent, got);
        assert_eq!(q.get(0), None);
    }

    #[test]
    fn a_copy_leaves_the_bytes() {
        let mut q = ByteQueue::default();
        fill(&mut q, b"hello");
        let mut out = [0; 3];
        assert_eq!(q.copy(2, &mut IoDst::bytes(&mut out), 10), Ok(3));
        assert_eq!((&out, q.len()), (b"llo", 5));
    }
}
