//! Terminals: line discipline, job control, pseudoterminals, and the host's terminals seen as ours.
//!
//! A [`Tty`] is the side that programs use: termios, input that [`ldisc`] has edited, job control ([`jobs`]). What it writes
//! goes to its [`Far`] side: the queue that the master of a pair reads ([`pty`]), or a terminal of the host ([`host`]).
//!
//! **Lock order:** [`rank::TTY`]; signals are sent and listeners called without it.

pub mod host;
mod ioctl;
pub mod jobs;
mod ldisc;
pub mod pty;

use abi::{
    Errno, Signal, Termios, Winsize,
    tty::{InputFlags, LocalFlags, VMIN, VTIME},
};
use ksync::{Mutex, Ready, WaitQueue, rank};
use mem::{IoDst, IoSrc};
use std::{
    collections::VecDeque,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

/// Bytes that either direction of a terminal holds.
const BUFFER: usize = 64 << 10;
/// Linux's `N_TTY_BUF_SIZE`: bytes of input that are not read yet.
const INPUT_MAX: usize = 4096;

/// What is written to a terminal of the host at once.
const HOST_CHUNK: usize = 256;

/// Stands for no number below `/dev/pts`.
const NO_INDEX: u32 = u32::MAX;

/// Where a terminal's output goes.
pub(crate) enum Far {
    /// The master of a pseudoterminal takes it.
    Master,
    /// A terminal of the host, in raw mode.
    Host(Arc<OwnedFd>),
}

/// Everything of a terminal that changes.
pub(crate) struct State {
    pub termios: Termios,
    pub winsize: Winsize,
    /// Bytes for readers, edited.
    pub input: VecDeque<u8>,
    /// Ends of lines in `input`, as counts of bytes from its start; canonical mode only. A line may be empty: end of file.
    pub lines: VecDeque<usize>,
    /// The line that is being edited.
    pub editing: Vec<u8>,
    /// Output for the master, or what the host has not taken yet.
    pub output: VecDeque<u8>,
    /// Column of the cursor, for tabs and for what erasing has to undo.
    pub column: usize,
    /// Column where the line that is being edited began.
    pub edit_column: usize,
    /// The next byte is taken literally (`VLNEXT`).
    pub literal_next: bool,
    /// Output is stopped (`^S`, `TCOOFF`).
    pub stopped: bool,
    /// The other side has gone for good.
    pub hung_up: bool,
    /// Opens of the slave of a pair.
    pub slaves: usize,
    /// The slave was open before: the master sees a hang-up when it is not.
    pub was_open: bool,
    /// `TIOCSPTLCK`.
    pub locked: bool,
    /// `TIOCPKT`: the master is told of changes by a byte before the data.
    pub packet_mode: bool,
    /// What the master is to be told.
    pub packet: u8,
    /// `TIOCEXCL`.
    pub exclusive: bool,
    /// `TIOCSLCKTRMIOS`: bits and characters of the settings that nobody may change, where not 0.
    pub settled: Termios,
}

/// A terminal.
pub struct Tty {
    state: Mutex<State>,
    far: Far,
    /// Readers and writers of this side.
    pub near_queue: WaitQueue,
    /// Readers and writers of the master.
    pub far_queue: WaitQueue,
    /// Session and foreground process group.
    jobs: Mutex<jobs::Jobs>,
    /// Number below `/dev/pts`; `NO_INDEX` for none.
    index: AtomicU32,
    /// Unique in the sandbox.
    pub id: u64,
}

/// Signals that input has caused, to be sent without the lock.
#[derive(Default)]
pub(crate) struct Effects {
    pub signals: Vec<Signal>,
}

impl Tty {
    pub(crate) fn new(far: Far, index: Option<u32>) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let state = State {
            termios: Termios::STANDARD,
            winsize: Winsize::default(),
            input: VecDeque::new(),
            lines: VecDeque::new(),
            editing: Vec::new(),
            output: VecDeque::new(),
            column: 0,
            edit_column: 0,
            literal_next: false,
            stopped: false,
            hung_up: false,
            slaves: 0,
            was_open: false,
            locked: matches!(far, Far::Master),
            packet_mode: false,
            packet: 0,
            exclusive: false,
            settled: Termios::default(),
        };
        Arc::new(Self {
            state: Mutex::new(rank::TTY, state),
            far,
            near_queue: WaitQueue::new(),
            far_queue: WaitQueue::new(),
            jobs: Mutex::new(rank::LEAF, jobs::Jobs::default()),
            index: AtomicU32::new(index.unwrap_or(NO_INDEX)),
            id: NEXT.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// Its number below `/dev/pts`; none for others.
    pub fn index(&self) -> Option<u32> {
        Some(self.index.load(Ordering::Relaxed)).filter(|n| *n != NO_INDEX)
    }

    /// Gives a terminal of the host a number below `/dev/pts`.
    pub fn set_index(&self, index: u32) {
        self.index.store(index, Ordering::Relaxed);
    }

    /// Bytes arrive from the far side (typed, or written by the master); how many were taken.
    pub(crate) fn receive(&self, bytes: &[u8]) -> usize {
        let mut effects = Effects::default();
        let taken = {
            let mut state = self.state.lock();
            let mut taken = 0;
            for byte in bytes {
                if !state.has_room() {
                    break;
                }
                state.input_byte(*byte, &mut effects);
                taken += 1;
            }
            self.drain_to_host(&mut state);
            taken
        };
        for signal in effects.signals {
            self.signal_foreground(signal);
        }
        self.near_queue.notify(Ready::IN | Ready::OUT | Ready::RDNORM);
        self.far_queue.notify(Ready::IN | Ready::OUT | Ready::RDNORM);
        taken
    }

    /// Reads edited input. `EAGAIN` where there is none; 0 is end of file; `EIO` after a hang-up is the file's business.
    pub(crate) fn read(&self, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let mut state = self.state.lock();
        if state.hung_up && state.input.is_empty() {
            return Ok(0);
        }
        let n = state.readable()?.min(dst.remaining());
        let (a, b) = state.input.as_slices();
        let head = a.get(..n.min(a.len())).unwrap_or_default();
        let mut done = dst.put(head)?;
        if done == head.len() && n > done {
            done += dst.put(b.get(..n - done).unwrap_or_default()).unwrap_or(0);
        }
        state.consume(done);
        drop(state);
        self.far_queue.notify(Ready::OUT);
        Ok(done)
    }

    /// Writes through output processing. `EAGAIN` where the far side takes nothing.
    pub(crate) fn write(&self, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        let mut total = 0;
        while src.remaining() > 0 {
            let mut state = self.state.lock();
            if state.hung_up {
                return Err(Errno::EIO);
            }
            let room = if state.stopped { 0 } else { BUFFER.saturating_sub(state.output.len()) / 8 };
            if room == 0 {
                break;
            }
            drop(state);
            // Copied without the lock: the memory may be anything that maps anything.
            let bytes = match src.take_vec(room.min(4096)) {
                Ok(bytes) => bytes,
                Err(e) if total == 0 => return Err(e),
                Err(_) => break,
            };
            state = self.state.lock();
            for byte in &bytes {
                state.output_byte(*byte);
            }
            self.drain_to_host(&mut state);
            total += bytes.len();
        }
        if total == 0 && src.remaining() > 0 {
            return Err(Errno::EAGAIN);
        }
        self.far_queue.notify(Ready::IN | Ready::RDNORM);
        Ok(total)
    }

    /// Gives a terminal of the host what is waiting for it.
    fn drain_to_host(&self, state: &mut State) {
        let Far::Host(fd) = &self.far else { return };
        if state.stopped {
            return;
        }
        while !state.output.is_empty() {
            let room = ::host::file::poll_now(fd.as_fd(), ::host::file::PollFlags::POLLOUT);
            if !room.is_ok_and(|ready| !ready.is_empty()) {
                break; // the reactor says when to go on
            }
            let (head, _) = state.output.as_slices();
            // Where there is room at all there is room for so much, even if the descriptor is one that blocks.
            let head = head.get(..HOST_CHUNK).unwrap_or(head);
            match nix::unistd::write(fd, head) {
                Ok(0) | Err(nix::errno::Errno::EAGAIN) => break,
                Ok(n) => drop(state.output.drain(..n)),
                Err(nix::errno::Errno::EINTR) => {}
                Err(_) => {
                    state.output.clear();
                    break;
                }
            }
        }
    }

    /// Readiness of the side that programs use.
    pub(crate) fn ready(&self) -> Ready {
        let state = self.state.lock();
        let mut ready = Ready::empty();
        if state.readable().is_ok() {
            ready |= Ready::IN | Ready::RDNORM;
        }
        if !state.stopped && state.output.len() < BUFFER / 2 {
            ready |= Ready::OUT | Ready::WRNORM;
        }
        if state.hung_up {
            ready |= Ready::HUP | Ready::ERR | Ready::IN | Ready::OUT;
        }
        ready
    }

    /// How long a read of non-canonical input waits at most (`VTIME` without `VMIN`), in nanoseconds.
    pub(crate) fn read_timeout_ns(&self) -> Option<u64> {
        let state = self.state.lock();
        let cc = |i: usize| state.termios.c_cc.get(i).copied().unwrap_or(0);
        let timed = !state.termios.local().contains(LocalFlags::ICANON) && cc(VMIN) == 0 && cc(VTIME) > 0;
        timed.then(|| u64::from(cc(VTIME)) * 100_000_000)
    }

    /// The other side has gone for good: readers see end of file, the session is told.
    pub fn hang_up(&self) {
        self.state.lock().hung_up = true;
        self.near_queue.notify(Ready::IN | Ready::OUT | Ready::HUP | Ready::ERR);
        self.hang_up_session();
    }
}

impl State {
    /// Whether input is taken. A full line keeps taking control characters, which is what makes `^U` and `^C` work.
    fn has_room(&self) -> bool {
        self.canonical() || self.input.len() < INPUT_MAX
    }

    pub(crate) fn canonical(&self) -> bool {
        self.termios.local().contains(LocalFlags::ICANON)
    }

    /// Bytes that a read may take now. `EAGAIN` for none yet.
    fn readable(&self) -> Result<usize, Errno> {
        if self.canonical() {
            return self.lines.front().copied().ok_or(Errno::EAGAIN);
        }
        let cc = |i: usize| usize::from(self.termios.c_cc.get(i).copied().unwrap_or(0));
        match (cc(VMIN), cc(VTIME)) {
            (0, 0) => Ok(self.input.len()),
            (min, _) if self.input.len() >= min.max(1) => Ok(self.input.len()),
            _ => Err(Errno::EAGAIN),
        }
    }

    /// Takes `n` bytes from the start of the input.
    fn consume(&mut self, n: usize) {
        self.input.drain(..n.min(self.input.len()));
        if let Some(first) = self.lines.front_mut() {
            *first -= n.min(*first);
            if *first == 0 {
                self.lines.pop_front();
            }
        }
    }

    /// Bytes that `FIONREAD` reports.
    fn queued(&self) -> usize {
        if self.canonical() { self.lines.iter().sum() } else { self.input.len() }
    }

    /// Forgets input (`TCIFLUSH`, signals from the keyboard).
    pub(crate) fn flush_input(&mut self) {
        self.input.clear();
        self.lines.clear();
        self.editing.clear();
    }

    pub(crate) fn input_flag(&self, flag: InputFlags) -> bool {
        self.termios.input().contains(flag)
    }
}
