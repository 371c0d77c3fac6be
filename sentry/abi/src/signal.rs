//! Signals: numbers, sets, actions, `siginfo_t`, alternate stacks, `signalfd(2)`.
//!
//! The frames that signal delivery puts on a stack belong to one architecture: [`crate::arch`].
#![allow(missing_docs, reason = "the names are Linux's, documented in signal(7), sigaction(2)")]

use crate::pod::{flags, pod};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, num::NonZeroU8};

mod siginfo;
pub use siginfo::*;

/// A signal number, 1 to 64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(NonZeroU8);

/// How many signals there are.
pub const NSIG: u8 = 64;
/// Bytes of a signal set; the `sigsetsize` that every `rt_*` call insists on.
pub const SIGSET_SIZE: usize = 8;

macro_rules! signals {
    ($($name:ident = $nr:literal,)*) => {
        impl Signal {
            $(
                pub const $name: Signal = Signal(match NonZeroU8::new($nr) {
                    Some(nr) => nr,
                    None => NonZeroU8::MIN,
                });
            )*

            /// The name of a standard signal; `None` for real-time signals.
            pub const fn name(self) -> Option<&'static str> {
                match self.0.get() {
                    $($nr => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            /// The signal of that name, with or without `SIG`, in any case; also `RTMIN+n`, `RTMAX-n` and numbers.
            pub fn from_name(name: &str) -> Option<Signal> {
                let upper = name.to_ascii_uppercase();
                let short = upper.strip_prefix("SIG").unwrap_or(&upper);
                match short {
                    $(_ if stringify!($name).strip_prefix("SIG") == Some(short) => return Some(Signal::$name),)*
                    "IOT" => return Some(Signal::SIGABRT),
                    "POLL" => return Some(Signal::SIGIO),
                    "CLD" => return Some(Signal::SIGCHLD),
                    // As glibc counts: it keeps 32 and 33 to itself.
                    "RTMIN" => return Signal::new(34),
                    "RTMAX" => return Signal::new(64),
                    _ => {}
                }
                if let Some(n) = short.strip_prefix("RTMIN+") {
                    return n.parse::<i32>().ok().filter(|n| (0..=30).contains(n)).and_then(|n| Signal::new(34 + n));
                }
                if let Some(n) = short.strip_prefix("RTMAX-") {
                    return n.parse::<i32>().ok().filter(|n| (0..=30).contains(n)).and_then(|n| Signal::new(64 - n));
                }
                name.parse().ok().and_then(Signal::new)
            }
        }
    };
}

signals! {
    SIGHUP = 1,
    SIGINT = 2,
    SIGQUIT = 3,
    SIGILL = 4,
    SIGTRAP = 5,
    SIGABRT = 6,
    SIGBUS = 7,
    SIGFPE = 8,
    SIGKILL = 9,
    SIGUSR1 = 10,
    SIGSEGV = 11,
    SIGUSR2 = 12,
    SIGPIPE = 13,
    SIGALRM = 14,
    SIGTERM = 15,
    SIGSTKFLT = 16,
    SIGCHLD = 17,
    SIGCONT = 18,
    SIGSTOP = 19,
    SIGTSTP = 20,
    SIGTTIN = 21,
    SIGTTOU = 22,
    SIGURG = 23,
    SIGXCPU = 24,
    SIGXFSZ = 25,
    SIGVTALRM = 26,
    SIGPROF = 27,
    SIGWINCH = 28,
    SIGIO = 29,
    SIGPWR = 30,
    SIGSYS = 31,
}

/// What a signal does whose action is `SIG_DFL`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum DefaultAction {
    /// The process ends.
    Term,
    /// Nothing happens.
    Ignore,
    /// The process ends and dumps core.
    Core,
    /// The process stops.
    Stop,
    /// The process continues.
    Cont,
}

impl Signal {
    /// The first real-time signal of the kernel (the C library's is 34).
    pub const SIGRTMIN: Signal = Signal::of(32);
    /// The last real-time signal.
    pub const SIGRTMAX: Signal = Signal::of(64);

    const fn of(nr: u8) -> Signal {
        Signal(match NonZeroU8::new(nr) {
            Some(nr) => nr,
            None => NonZeroU8::MIN,
        })
    }

    /// The signal of that number; `None` outside 1 to 64.
    pub const fn new(signo: i32) -> Option<Signal> {
        if 1 <= signo && signo <= NSIG as i32 { Some(Signal::of(signo as u8)) } else { None }
    }

    /// The number, 1 to 64.
    pub const fn number(self) -> i32 {
        self.0.get() as i32
    }

    /// The number less one: an index into a table of 64, and the bit in a [`SigSet`].
    pub const fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    /// Whether several can be queued.
    pub const fn is_realtime(self) -> bool {
        self.0.get() >= 32
    }

    /// Every signal, ascending.
    pub fn all() -> impl Iterator<Item = Signal> {
        (1..=NSIG).map(Signal::of)
    }

    /// What `SIG_DFL` means for it.
    pub const fn default_action(self) -> DefaultAction {
        match self {
            Signal::SIGCHLD | Signal::SIGURG | Signal::SIGWINCH => DefaultAction::Ignore,
            Signal::SIGCONT => DefaultAction::Cont,
            Signal::SIGSTOP | Signal::SIGTSTP | Signal::SIGTTIN | Signal::SIGTTOU => DefaultAction::Stop,
            Signal::SIGQUIT
            | Signal::SIGILL
            | Signal::SIGTRAP
            | Signal::SIGABRT
            | Signal::SIGBUS
            | Signal::SIGFPE
            | Signal::SIGSEGV
            | Signal::SIGXCPU
            | Signal::SIGXFSZ
            | Signal::SIGSYS => DefaultAction::Core,
            _ => DefaultAction::Term,
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "SIGRT{}", self.0.get() - 32),
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Serialize for Signal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.get().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Signal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Signal, D::Error> {
        let nr = u8::deserialize(deserializer)?;
        Signal::new(i32::from(nr)).ok_or_else(|| serde::de::Error::custom("no such signal"))
    }
}

pod! {
    /// A set of signals, `sigset_t` of the kernel: bit `n - 1` is signal `n`.
    #[derive(Serialize, Deserialize, Hash)]
    pub struct SigSet {
        pub bits: u64,
    }
}

impl SigSet {
    pub const EMPTY: SigSet = SigSet { bits: 0 };
    pub const FULL: SigSet = SigSet { bits: u64::MAX };
    /// What can be neither caught, blocked nor ignored: `SIGKILL` and `SIGSTOP`.
    pub const UNBLOCKABLE: SigSet = SigSet::of(&[Signal::SIGKILL, Signal::SIGSTOP]);
    /// What stops by default.
    pub const STOP: SigSet =
        SigSet::of(&[Signal::SIGSTOP, Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU]);
    /// What an instruction raises; delivered before others.
    pub const SYNCHRONOUS: SigSet = SigSet::of(&[
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGILL,
        Signal::SIGTRAP,
        Signal::SIGFPE,
        Signal::SIGSYS,
    ]);

    /// The set of these signals.
    pub const fn of(signals: &[Signal]) -> SigSet {
        let mut set = SigSet::EMPTY;
        let mut rest = signals;
        while let [first, tail @ ..] = rest {
            set = set.with(*first);
            rest = tail;
        }
        set
    }

    pub const fn contains(self, signal: Signal) -> bool {
        self.bits >> signal.index() & 1 != 0
    }

    /// The set and this signal.
    pub const fn with(self, signal: Signal) -> SigSet {
        SigSet { bits: self.bits | 1 << signal.index() }
    }

    /// The set but this signal.
    pub const fn without(self, signal: Signal) -> SigSet {
        SigSet { bits: self.bits & !(1 << signal.index()) }
    }

    pub const fn insert(&mut self, signal: Signal) {
        *self = self.with(signal);
    }

    pub const fn remove(&mut self, signal: Signal) {
        *self = self.without(signal);
    }

    pub const fn is_empty(self) -> bool {
        self.bits == 0
    }

    pub const fn union(self, other: SigSet) -> SigSet {
        SigSet { bits: self.bits | other.bits }
    }

    pub const fn intersection(self, other: SigSet) -> SigSet {
        SigSet { bits: self.bits & other.bits }
    }

    pub const fn difference(self, other: SigSet) -> SigSet {
        SigSet { bits: self.bits & !other.bits }
    }

    pub const fn complement(self) -> SigSet {
        SigSet { bits: !self.bits }
    }

    /// What a mask may hold: everything but `SIGKILL` and `SIGSTOP`.
    pub const fn blockable(self) -> SigSet {
        self.difference(SigSet::UNBLOCKABLE)
    }

    /// The lowest signal, which Linux delivers first.
    pub const fn first(self) -> Option<Signal> {
        if self.bits == 0 { None } else { Signal::new(self.bits.trailing_zeros() as i32 + 1) }
    }

    /// The signals, ascending.
    pub fn iter(self) -> impl Iterator<Item = Signal> {
        let mut rest = self;
        std::iter::from_fn(move || {
            let signal = rest.first()?;
            rest.remove(signal);
            Some(signal)
        })
    }
}

impl std::ops::BitOr for SigSet {
    type Output = SigSet;
    fn bitor(self, other: SigSet) -> SigSet {
        self.union(other)
    }
}

impl std::ops::BitAnd for SigSet {
    type Output = SigSet;
    fn bitand(self, other: SigSet) -> SigSet {
        self.intersection(other)
    }
}

impl std::ops::Not for SigSet {
    type Output = SigSet;
    fn not(self) -> SigSet {
        self.complement()
    }
}

impl FromIterator<Signal> for SigSet {
    fn from_iter<I: IntoIterator<Item = Signal>>(signals: I) -> SigSet {
        signals.into_iter().fold(SigSet::EMPTY, SigSet::with)
    }
}

/// `sa_handler`: the default action.
pub const SIG_DFL: u64 = 0;
/// `sa_handler`: ignore.
pub const SIG_IGN: u64 = 1;

flags! {
    /// `SA_*`.
    pub struct SaFlags: u64 {
        const NOCLDSTOP = 0x1;
        const NOCLDWAIT = 0x2;
        const SIGINFO = 0x4;
        const UNSUPPORTED = 0x400;
        const EXPOSE_TAGBITS = 0x800;
        const RESTORER = 0x0400_0000;
        const ONSTACK = 0x0800_0000;
        const RESTART = 0x1000_0000;
        const NODEFER = 0x4000_0000;
        const RESETHAND = 0x8000_0000;
    }

    /// `SFD_*`.
    pub struct SignalfdFlags: u32 {
        const NONBLOCK = 0o4000;
        const CLOEXEC = 0o2_000_000;
    }

    /// `SS_*`.
    pub struct SsFlags: u32 {
        const ONSTACK = 1;
        const DISABLE = 2;
        /// Disarm while a handler runs on it.
        const AUTODISARM = 1 << 31;
    }
}

pod! {
    /// `struct kernel_sigaction`, as `rt_sigaction(2)` passes it: not the C library's order.
    #[derive(Serialize, Deserialize)]
    pub struct SigAction {
        /// [`SIG_DFL`], [`SIG_IGN`] or an address.
        pub handler: u64,
        /// [`SaFlags`].
        pub flags: u64,
        pub restorer: u64,
        pub mask: SigSet,
    }

    /// `stack_t`.
    #[derive(Serialize, Deserialize)]
    pub struct SigAltStack {
        pub ss_sp: u64,
        /// [`SsFlags`].
        pub ss_flags: u32,
        pub _pad0: u32,
        pub ss_size: u64,
    }

    /// `struct sigevent`, 64 bytes.
    #[derive(Serialize, Deserialize)]
    pub struct SigEvent {
        pub sigev_value: u64,
        pub sigev_signo: i32,
        /// `SIGEV_*`.
        pub sigev_notify: i32,
        /// `SIGEV_THREAD_ID` only.
        pub sigev_notify_thread_id: i32,
        pub _pad: [i32; 11],
    }

    /// `struct signalfd_siginfo`, 128 bytes.
    pub struct SignalfdSiginfo {
        pub ssi_signo: u32,
        pub ssi_errno: i32,
        pub ssi_code: i32,
        pub ssi_pid: u32,
        pub ssi_uid: u32,
        pub ssi_fd: i32,
        pub ssi_tid: u32,
        pub ssi_band: u32,
        pub ssi_overrun: u32,
        pub ssi_trapno: u32,
        pub ssi_status: i32,
        pub ssi_int: i32,
        pub ssi_ptr: u64,
        pub ssi_utime: u64,
        pub ssi_stime: u64,
        pub ssi_addr: u64,
        pub ssi_addr_lsb: u16,
        pub _pad2: u16,
        pub ssi_syscall: i32,
        pub ssi_call_addr: u64,
        pub ssi_arch: u32,
        pub _pad: [u8; 28],
    }
}

impl SigAction {
    /// The flags; unknown bits are kept, as Linux keeps what it does not know away from user space itself.
    pub const fn sa_flags(&self) -> SaFlags {
        SaFlags::from_bits_retain(self.flags)
    }

    pub const fn is_default(&self) -> bool {
        self.handler == SIG_DFL
    }

    pub const fn is_ignore(&self) -> bool {
        self.handler == SIG_IGN
    }
}

// `sigev_notify`.
pub const SIGEV_SIGNAL: i32 = 0;
pub const SIGEV_NONE: i32 = 1;
pub const SIGEV_THREAD: i32 = 2;
pub const SIGEV_THREAD_ID: i32 = 4;

// `rt_sigprocmask(2)`.
pub const SIG_BLOCK: i32 = 0;
pub const SIG_UNBLOCK: i32 = 1;
pub const SIG_SETMASK: i32 = 2;

/// The smallest alternate stack that is taken (larger where AVX-512 state needs it: `AT_MINSIGSTKSZ`).
pub const MINSIGSTKSZ: u64 = 2048;
pub const SIGSTKSZ: u64 = 8192;
