//! Pipes: the byte queue behind `pipe(2)` and FIFOs.
//!
//! A [`Pipe`] owns the queue; each open end is a [`PipeEnd`] holding an `Arc` to it. The queue is a list of
//! [`Segment`]s, pieces of shared buffers, so that `tee`, `splice` and `vmsplice` move references. A segment takes as
//! many *slots* of a page as its buffer spans, and a pipe has as many slots as its capacity has pages, as on Linux.
//!
//! **For the system call layer:** `EPIPE` from a write means `SIGPIPE` to the calling thread. A write that took less
//! than all, on a blocking descriptor, is to be continued after waiting for `OUT`, until all is written.
//!
//! **Lock order:** [`rank::PIPE`], held while bytes are copied from and to application memory. Two pipes are never
//! locked together. **Invariants:** no segment is empty; a write of at most `PIPE_BUF` bytes is one piece or `EAGAIN`.
//! **Absent on purpose:** sleeping; both ends answer `EAGAIN`. Merging follows bytes and not the pages of Linux, so
//! somewhat more odd-sized writes fit before the pipe is full.

mod queue;

pub use queue::Segment;

use abi::{Errno, fcntl::OpenFlags, ioctl::FIONREAD};
use ksync::{Mutex, Ready, WaitQueue, rank};
use mem::{IoDst, IoSrc, UserMemory, UserPtr};
use queue::Queue;
use std::{any::Any, sync::Arc};
use vfs::{File, FileOps};

/// Capacity of a new pipe in bytes.
pub const DEFAULT_SIZE: usize = 64 << 10;
/// What `F_SETPIPE_SZ` allows without `CAP_SYS_RESOURCE` (`fs.pipe-max-size`).
pub const MAX_SIZE: usize = 1 << 20;
/// What it allows at all.
const HARD_MAX_SIZE: usize = 1 << 31;
/// Writes up to this size are atomic.
pub const PIPE_BUF: usize = 4096;

const READABLE: Ready = Ready::IN.union(Ready::RDNORM);
const WRITABLE: Ready = Ready::OUT.union(Ready::WRNORM);

struct State {
    queue: Queue,
    readers: usize,
    writers: usize,
    /// How often the read end was opened: a FIFO's writer waits for it to change.
    reader_opens: u64,
    writer_opens: u64,
}

/// What both ends share.
pub struct Pipe {
    state: Mutex<State>,
    wait: WaitQueue,
}

impl Pipe {
    /// A pipe that no end is open of.
    pub fn new() -> Arc<Self> {
        let queue = Queue::new(DEFAULT_SIZE);
        let state = State { queue, readers: 0, writers: 0, reader_opens: 0, writer_opens: 0 };
        Arc::new(Self { state: Mutex::new(rank::PIPE, state), wait: WaitQueue::new() })
    }

    /// Announces `IN` for each write, `OUT` when a full pipe gets room, and `OTHER` when an end is opened.
    pub fn wait_queue(&self) -> &WaitQueue {
        &self.wait
    }

    /// Bytes in the pipe.
    pub fn len(&self) -> usize {
        self.state.lock().queue.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that fit in whole pages now; `EPIPE` without a reader.
    pub fn room(&self) -> Result<usize, Errno> {
        let state = self.state.lock();
        if state.readers == 0 {
            return Err(Errno::EPIPE);
        }
        Ok(state.queue.free_slots() * PIPE_BUF)
    }

    /// Capacity in bytes (`F_GETPIPE_SZ`).
    pub fn size(&self) -> usize {
        self.state.lock().queue.slots() * PIPE_BUF
    }

    /// `F_SETPIPE_SZ`: the capacity becomes `bytes`, rounded up to a power of two pages, and is returned.
    ///
    /// `EINVAL` for what is too large to round, `EPERM` beyond [`MAX_SIZE`] unless `privileged` (`CAP_SYS_RESOURCE`) or
    /// not growing, `EBUSY` if more is in the pipe.
    pub fn set_size(&self, bytes: usize, privileged: bool) -> Result<usize, Errno> {
        if bytes > HARD_MAX_SIZE {
            return Err(Errno::EINVAL);
        }
        let bytes = bytes.max(PIPE_BUF).next_power_of_two();
        let mut state = self.state.lock();
        if bytes > MAX_SIZE && bytes > state.queue.slots() * PIPE_BUF && !privileged {
            return Err(Errno::EPERM);
        }
        let was_full = state.queue.free_slots() == 0;
        state.queue.set_slots(bytes / PIPE_BUF)?;
        let has_room = state.queue.free_slots() > 0;
        drop(state);
        if was_full && has_room {
            self.wait.notify(WRITABLE);
        }
        Ok(bytes)
    }

    fn read(&self, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        if dst.remaining() == 0 {
            return Ok(0);
        }
        let mut state = self.state.lock();
        if state.queue.is_empty() {
            return if state.writers == 0 { Ok(0) } else { Err(Errno::EAGAIN) };
        }
        let was_full = state.queue.free_slots() == 0;
        let result = state.queue.read(dst);
        let has_room = state.queue.free_slots() > 0;
        drop(state);
        if was_full && has_room {
            self.wait.notify(WRITABLE);
        }
        result
    }

    fn write(&self, src: &mut IoSrc<'_>, packets: bool) -> Result<usize, Errno> {
        if src.remaining() == 0 {
            return Ok(0);
        }
        let mut state = self.state.lock();
        if state.readers == 0 {
            return Err(Errno::EPIPE);
        }
        let n = state.queue.write(src, packets)?;
        drop(state);
        self.wait.notify(READABLE);
        Ok(n)
    }

    /// Takes up to `max` bytes out as segments: at least one byte, or `EAGAIN`; none at end of file. For `splice(2)`.
    pub fn take(&self, max: usize) -> Result<Vec<Segment>, Errno> {
        let mut state = self.state.lock();
        if state.queue.is_empty() {
            return if state.writers == 0 { Ok(Vec::new()) } else { Err(Errno::EAGAIN) };
        }
        let was_full = state.queue.free_slots() == 0;
        let taken = state.queue.take(max);
        let has_room = state.queue.free_slots() > 0;
        drop(state);
        if was_full && has_room {
            self.wait.notify(WRITABLE);
        }
        Ok(taken)
    }

    /// Puts back in front what [`take`](Self::take) gave and was not used, whatever the capacity.
    pub fn untake(&self, segments: Vec<Segment>) {
        if segments.iter().all(Segment::is_empty) {
            return;
        }
        self.state.lock().queue.push_front(segments);
        self.wait.notify(READABLE);
    }

    /// References to the first `max` bytes, which stay; errors as [`take`](Self::take). For `tee(2)`.
    pub fn peek(&self, max: usize) -> Result<Vec<Segment>, Errno> {
        let state = self.state.lock();
        if state.queue.is_empty() {
            return if state.writers == 0 { Ok(Vec::new()) } else { Err(Errno::EAGAIN) };
        }
        Ok(state.queue.peek(max))
    }

    /// Appends as many of `segments`, from the first, as there are slots for, and takes them out of the vector (the last
    /// one maybe in part); how many bytes. `EPIPE` without a reader, `EAGAIN` if there is no slot.
    pub fn push(&self, segments: &mut Vec<Segment>) -> Result<usize, Errno> {
        let mut state = self.state.lock();
        if state.readers == 0 {
            return Err(Errno::EPIPE);
        }
        let pushed = state.queue.push_back(segments);
        drop(state);
        match pushed {
            0 if segments.iter().any(|s| !s.is_empty()) => Err(Errno::EAGAIN),
            0 => Ok(0),
            n => {
                self.wait.notify(READABLE);
                Ok(n)
            }
        }
    }

    /// Appends `segments` even beyond the capacity, so that what was read from elsewhere is not lost.
    pub fn push_all(&self, segments: Vec<Segment>) {
        let mut state = self.state.lock();
        for segment in segments {
            state.queue.force(segment);
        }
        drop(state);
        self.wait.notify(READABLE);
    }
}

/// One open end, or both (a FIFO opened for reading and writing).
pub struct PipeEnd {
    pipe: Arc<Pipe>,
    reads: bool,
    writes: bool,
    /// `writer_opens` when a FIFO was opened without a writer: there is no hang-up until there was one.
    unhung: Option<u64>,
}

impl PipeEnd {
    /// Opens an end of `pipe`.
    pub fn open(pipe: &Arc<Pipe>, reads: bool, writes: bool) -> Self {
        let mut state = pipe.state.lock();
        if reads {
            state.readers += 1;
            state.reader_opens += 1;
        }
        if writes {
            state.writers += 1;
            state.writer_opens += 1;
        }
        drop(state);
        pipe.wait.notify(Ready::OTHER);
        Self { pipe: pipe.clone(), reads, writes, unhung: None }
    }

    /// The pipe.
    pub fn pipe(&self) -> &Arc<Pipe> {
        &self.pipe
    }

    /// Whether a FIFO's other end has been opened since (`peer_opens`), or is open; `None` for both ends in one.
    pub(crate) fn peer(&self) -> (bool, u64) {
        let state = self.pipe.state.lock();
        match (self.reads, self.writes) {
            (true, true) => (true, 0),
            (true, false) => (state.writers > 0, state.writer_opens),
            _ => (state.readers > 0, state.reader_opens),
        }
    }

    /// For a FIFO that was opened for reading, without waiting, while nobody writes.
    pub(crate) fn without_hang_up(&mut self, writer_opens: u64) {
        self.unhung = Some(writer_opens);
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        let mut state = self.pipe.state.lock();
        state.readers -= usize::from(self.reads);
        state.writers -= usize::from(self.writes);
        let last = state.readers == 0 && state.writers == 0;
        let gone = last.then(|| state.queue.clear());
        drop(state);
        drop(gone);
        if !last {
            self.pipe.wait.notify(READABLE | WRITABLE | Ready::HUP | Ready::ERR | Ready::OTHER);
        }
    }
}

impl FileOps for PipeEnd {
    fn read(&self, _: &File, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        if self.reads { self.pipe.read(dst) } else { Err(Errno::EBADF) }
    }
    fn write(&self, file: &File, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        if !self.writes {
            return Err(Errno::EBADF);
        }
        self.pipe.write(src, file.flags().contains(OpenFlags::DIRECT))
    }
    fn seekable(&self) -> bool {
        false
    }
    fn ready(&self, _: &File) -> Ready {
        let state = self.pipe.state.lock();
        let mut ready = Ready::empty();
        if self.reads {
            if !state.queue.is_empty() {
                ready |= READABLE;
            }
            if state.writers == 0 && self.unhung != Some(state.writer_opens) {
                ready |= Ready::HUP;
            }
        }
        if self.writes {
            if state.queue.free_slots() > 0 {
                ready |= WRITABLE;
            }
            if state.readers == 0 {
                ready |= Ready::ERR;
            }
        }
        ready
    }
    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.pipe.wait)
    }
    fn ioctl(&self, _: &File, mem: &dyn UserMemory, cmd: u32, arg: u64) -> Result<u64, Errno> {
        if cmd != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let bytes = i32::try_from(self.pipe.len()).unwrap_or(i32::MAX);
        UserPtr::<i32>::from(arg).write(mem, &bytes)?;
        Ok(0)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Both ends of a new pipe, the read end first (`pipe(2)`).
pub fn new_pipe() -> (Box<dyn FileOps>, Box<dyn FileOps>) {
    let pipe = Pipe::new();
    (Box::new(PipeEnd::open(&pipe, true, false)), Box::new(PipeEnd::open(&pipe, false, true)))
}

/// The pipe that `file` is an end of, if it is one.
pub fn of(file: &File) -> Option<&Arc<Pipe>> {
    file.downcast::<PipeEnd>().map(PipeEnd::pipe)
}

#[cfg(test)]
mod tests;
