//! The queue of a pipe: segments, slots, and reuse of buffers.

use super::PIPE_BUF;
use abi::Errno;
use mem::{IoDst, IoSrc};
use std::{collections::VecDeque, ops::Range, sync::Arc};

/// The largest buffer that one write fills.
const CHUNK: usize = 8 * PIPE_BUF;

/// A piece of a buffer, which others may share and then nobody changes.
#[derive(Clone, Debug)]
pub struct Segment {
    buffer: Arc<Vec<u8>>,
    start: usize,
    end: usize,
    /// Ends what one read gets (`O_DIRECT`), and nothing is appended.
    packet: bool,
}

impl Segment {
    /// All of `bytes`.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { start: 0, end: bytes.len(), buffer: Arc::new(bytes), packet: false }
    }
    /// How many bytes.
    pub fn len(&self) -> usize {
        self.end - self.start
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }
    /// The bytes to be changed, where nobody shares them.
    pub fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        let range = self.range();
        Arc::get_mut(&mut self.buffer)?.get_mut(range)
    }
    /// Drops the first `n` bytes.
    pub fn consume(&mut self, n: usize) {
        self.start = (self.start + n).min(self.end);
    }
    /// The first `n` bytes, sharing the buffer.
    pub fn prefix(&self, n: usize) -> Segment {
        Segment { end: (self.start + n).min(self.end), ..self.clone() }
    }
    fn range(&self) -> Range<usize> {
        self.start..self.end
    }
    /// Pages that it spans.
    fn slots(&self) -> usize {
        if self.is_empty() { 0 } else { self.end.div_ceil(PIPE_BUF) - self.start / PIPE_BUF }
    }
    /// How many bytes may be appended in place.
    fn spare(&self) -> usize {
        if self.packet || self.end.is_multiple_of(PIPE_BUF) || Arc::strong_count(&self.buffer) > 1 {
            return 0;
        }
        self.buffer.len().min(self.end.next_multiple_of(PIPE_BUF)) - self.end
    }
}

/// Bytes in order, counted in slots.
pub struct Queue {
    segments: VecDeque<Segment>,
    bytes: usize,
    used: usize,
    slots: usize,
    /// The buffer that was emptied last, so that a quiet pipe allocates nothing.
    spare: Option<Arc<Vec<u8>>>,
}

impl Queue {
    pub fn new(capacity: usize) -> Self {
        Self { segments: VecDeque::new(), bytes: 0, used: 0, slots: capacity / PIPE_BUF, spare: None }
    }
    pub fn len(&self) -> usize {
        self.bytes
    }
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }
    pub fn slots(&self) -> usize {
        self.slots
    }
    pub fn free_slots(&self) -> usize {
        self.slots.saturating_sub(self.used)
    }
    pub fn set_slots(&mut self, slots: usize) -> Result<(), Errno> {
        if self.used > slots {
            return Err(Errno::EBUSY);
        }
        self.slots = slots;
        Ok(())
    }
    /// Forgets everything; what it was, to be dropped without the lock.
    pub fn clear(&mut self) -> VecDeque<Segment> {
        self.spare = None;
        (self.bytes, self.used) = (0, 0);
        std::mem::take(&mut self.segments)
    }

    /// Moves bytes to `dst`; of a packet, the rest is lost.
    pub fn read(&mut self, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let mut total = 0;
        while dst.remaining() > 0
            && let Some(front) = self.segments.front_mut()
        {
            let want = front.len().min(dst.remaining());
            let n = match dst.put(front.bytes()) {
                Ok(n) => n,
                Err(e) if total == 0 => return Err(e),
                Err(_) => break,
            };
            total += n;
            let packet = front.packet;
            let gone = if packet && n == want { front.len() } else { n };
            self.consume_front(gone);
            if packet || n < want {
                break;
            }
        }
        Ok(total)
    }

    fn consume_front(&mut self, n: usize) {
        let Some(front) = self.segments.front_mut() else { return };
        let before = front.slots();
        front.consume(n);
        self.used -= before - front.slots();
        self.bytes -= n;
        if front.is_empty()
            && let Some(mut gone) = self.segments.pop_front()
            && self.spare.is_none()
            && Arc::get_mut(&mut gone.buffer).is_some_and(|b| (PIPE_BUF..=CHUNK).contains(&b.len()))
        {
            self.spare = Some(gone.buffer);
        }
    }

    /// Takes from `src` what fits: all of it or `EAGAIN` up to [`PIPE_BUF`] bytes, else at least one byte or `EAGAIN`.
    pub fn write(&mut self, src: &mut IoSrc<'_>, packets: bool) -> Result<usize, Errno> {
        let free = self.free_slots();
        let tail = match self.segments.back() {
            Some(back) if !packets => back.spare(),
            _ => 0,
        };
        let want = src.remaining();
        if free == 0 && (tail == 0 || want <= PIPE_BUF && want > tail) {
            return Err(Errno::EAGAIN);
        }
        let mut total = 0;
        if tail > 0
            && let Some(back) = self.segments.back_mut()
        {
            let end = back.end;
            if let Some(place) = Arc::get_mut(&mut back.buffer).and_then(|b| b.get_mut(end..end + tail)) {
                let n = src.take(place)?;
                back.end += n;
                self.bytes += n;
                total = n;
                if n < tail {
                    return Ok(total);
                }
            }
        }
        while src.remaining() > 0 && self.free_slots() > 0 {
            let most = if packets { PIPE_BUF } else { CHUNK.min(self.free_slots() * PIPE_BUF) };
            let want = src.remaining().min(most);
            let mut buffer = self.buffer(want);
            let taken = match Arc::get_mut(&mut buffer).and_then(|b| b.get_mut(..want)) {
                Some(place) => src.take(place),
                None => Err(Errno::ENOMEM),
            };
            let n = match taken {
                Ok(n) => n,
                Err(e) if total == 0 => return Err(e),
                Err(_) => break,
            };
            self.force(Segment { buffer, start: 0, end: n, packet: packets });
            total += n;
            if n < want {
                break;
            }
        }
        Ok(total)
    }

    /// A buffer of at least `len` bytes.
    fn buffer(&mut self, len: usize) -> Arc<Vec<u8>> {
        match self.spare.take_if(|b| b.len() >= len) {
            Some(buffer) => buffer,
            None => Arc::new(vec![0; len.next_multiple_of(PIPE_BUF)]),
        }
    }

    /// Appends whatever the capacity.
    pub fn force(&mut self, segment: Segment) {
        if !segment.is_empty() {
            self.used += segment.slots();
            self.bytes += segment.len();
            self.segments.push_back(segment);
        }
    }

    /// Appends what there are slots for; how many bytes.
    pub fn push_back(&mut self, from: &mut Vec<Segment>) -> usize {
        let mut total = 0;
        let mut whole = 0;
        for segment in from.iter_mut() {
            let free = self.free_slots();
            if segment.slots() > free {
                // The pages of it that there is room for.
                let n =
                    if free == 0 { 0 } else { (segment.start / PIPE_BUF + free) * PIPE_BUF - segment.start };
                self.force(segment.prefix(n));
                segment.consume(n);
                total += n;
                break;
            }
            total += segment.len();
            self.force(segment.clone());
            whole += 1;
        }
        from.drain(..whole);
        total
    }

    /// Puts segments back in front, in order.
    pub fn push_front(&mut self, segments: Vec<Segment>) {
        for segment in segments.into_iter().rev().filter(|s| !s.is_empty()) {
            self.used += segment.slots();
            self.bytes += segment.len();
            self.segments.push_front(segment);
        }
    }

    /// Takes out up to `max` bytes.
    pub fn take(&mut self, max: usize) -> Vec<Segment> {
        let mut taken = Vec::new();
        let mut left = max;
        while left > 0
            && let Some(front) = self.segments.front()
        {
            if front.len() <= left {
                left -= front.len();
                self.used -= front.slots();
                self.bytes -= front.len();
                taken.extend(self.segments.pop_front());
            } else {
                taken.push(front.prefix(left));
                self.consume_front(left);
                left = 0;
            }
        }
        taken
    }

    /// References to the first `max` bytes.
    pub fn peek(&self, max: usize) -> Vec<Segment> {
        let mut left = max;
        let mut seen = Vec::new();
        for segment in &self.segments {
            if left == 0 {
                break;
            }
            let part = segment.prefix(left);
            left -= part.len();
            seen.push(part);
        }
        seen
    }
}
