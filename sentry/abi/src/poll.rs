//! Readiness: `poll(2)`, `select(2)`, `epoll(7)`, `eventfd(2)`.
#![allow(missing_docs, reason = "the names are Linux's, documented in poll(2), epoll_ctl(2)")]

use crate::pod::{flags, pod};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

flags! {
    /// `POLL*`, which are `EPOLL*` too: the numbers are the same.
    pub struct PollEvents: u32 {
        const IN = 0x0001;
        const PRI = 0x0002;
        const OUT = 0x0004;
        const ERR = 0x0008;
        const HUP = 0x0010;
        const NVAL = 0x0020;
        const RDNORM = 0x0040;
        const RDBAND = 0x0080;
        const WRNORM = 0x0100;
        const WRBAND = 0x0200;
        const MSG = 0x0400;
        const REMOVE = 0x1000;
        const RDHUP = 0x2000;
        const FREE = 0x4000;
        /// `EPOLLEXCLUSIVE`: wake one of several epolls.
        const EXCLUSIVE = 1 << 28;
        /// `EPOLLWAKEUP`: no effect here.
        const WAKEUP = 1 << 29;
        /// `EPOLLONESHOT`.
        const ONESHOT = 1 << 30;
        /// `EPOLLET`: edge triggered.
        const ET = 1 << 31;
    }

    /// `EPOLL_CLOEXEC`.
    pub struct EpollFlags: u32 {
        const CLOEXEC = 0o2_000_000;
    }

    /// `EFD_*`.
    pub struct EventfdFlags: u32 {
        const SEMAPHORE = 1;
        const NONBLOCK = 0o4000;
        const CLOEXEC = 0o2_000_000;
    }
}

impl PollEvents {
    /// Reported whether asked for or not.
    pub const ALWAYS: PollEvents = PollEvents::ERR.union(PollEvents::HUP);
    /// The bits that ask epoll for a manner of reporting rather than an event.
    pub const EPOLL_PRIVATE: PollEvents =
        PollEvents::EXCLUSIVE.union(PollEvents::WAKEUP).union(PollEvents::ONESHOT).union(PollEvents::ET);
    /// What a file that never blocks reports (`DEFAULT_POLLMASK`).
    pub const DEFAULT: PollEvents =
        PollEvents::IN.union(PollEvents::OUT).union(PollEvents::RDNORM).union(PollEvents::WRNORM);
    /// What makes a descriptor readable to `select(2)`.
    pub const SELECT_IN: PollEvents = PollEvents::IN
        .union(PollEvents::RDNORM)
        .union(PollEvents::RDBAND)
        .union(PollEvents::HUP)
        .union(PollEvents::ERR);
    /// What makes a descriptor writable to `select(2)`.
    pub const SELECT_OUT: PollEvents =
        PollEvents::OUT.union(PollEvents::WRNORM).union(PollEvents::WRBAND).union(PollEvents::ERR);
    /// What makes a descriptor exceptional to `select(2)`.
    pub const SELECT_EX: PollEvents = PollEvents::PRI;
}

pod! {
    /// `struct pollfd`.
    pub struct PollFd {
        /// Ignored where negative.
        pub fd: i32,
        /// The low 16 bits of [`PollEvents`].
        pub events: u16,
        pub revents: u16,
    }

    /// What `pselect6(2)` takes as its last argument.
    pub struct SigsetArg {
        /// Address of a signal set, or 0.
        pub sigset: u64,
        pub size: u64,
    }
}

/// `struct epoll_event`: packed on x86-64, 12 bytes.
#[repr(C, packed)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct EpollEvent {
    /// [`PollEvents`].
    pub events: u32,
    /// The application's.
    pub data: u64,
}

pub const EPOLL_CTL_ADD: i32 = 1;
pub const EPOLL_CTL_DEL: i32 = 2;
pub const EPOLL_CTL_MOD: i32 = 3;
/// How deep epolls may watch epolls.
pub const EPOLL_MAX_NESTS: usize = 4;

/// What an eventfd counts up to.
pub const EVENTFD_MAX: u64 = u64::MAX - 1;

/// `FD_SETSIZE` of the C library; the kernel takes sets of any size.
pub const FD_SETSIZE: usize = 1024;

/// A set of descriptors as `select(2)` passes it: words of 64 bits. Reads beyond the words are false.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FdSet {
    words: Vec<u64>,
}

impl FdSet {
    /// How many bytes hold `nfds` descriptors: whole words.
    pub const fn bytes_for(nfds: usize) -> usize {
        nfds.div_ceil(64) * 8
    }

    /// An empty set with room for `nfds` descriptors.
    pub fn new(nfds: usize) -> FdSet {
        FdSet { words: vec![0; nfds.div_ceil(64)] }
    }

    /// The set held by the bytes of an application; incomplete words are dropped.
    pub fn from_bytes(bytes: &[u8]) -> FdSet {
        FdSet { words: bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect() }
    }

    /// The bytes to give back.
    pub fn as_bytes(&self) -> &[u8] {
        self.words.as_bytes()
    }

    /// Whether `fd` is in the set.
    pub fn contains(&self, fd: usize) -> bool {
        self.words.get(fd / 64).is_some_and(|word| word >> (fd % 64) & 1 != 0)
    }

    /// Puts `fd` in; no effect where there is no room for it.
    pub fn insert(&mut self, fd: usize) {
        if let Some(word) = self.words.get_mut(fd / 64) {
            *word |= 1 << (fd % 64);
        }
    }

    /// The descriptors below `nfds` that are in the set, ascending.
    pub fn iter(&self, nfds: usize) -> impl Iterator<Item = usize> + '_ {
        self.words
            .iter()
            .enumerate()
            .flat_map(|(i, &word)| {
                let mut rest = word;
                std::iter::from_fn(move || {
                    (rest != 0).then(|| {
                        let bit = rest.trailing_zeros() as usize;
                        rest &= rest - 1;
                        i * 64 + bit
                    })
                })
            })
            .take_while(move |&fd| fd < nfds)
    }
}
