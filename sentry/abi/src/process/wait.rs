//! `wait4(2)` and `waitid(2)`, and the status word.
#![allow(missing_docs, reason = "the names are Linux's, documented in wait(2)")]

use crate::pod::flags;
use crate::signal::Signal;

flags! {
    /// `W*` and `__W*` of the wait family.
    pub struct WaitOptions: u32 {
        const NOHANG = 1;
        /// `WUNTRACED`, which `waitid(2)` calls `WSTOPPED`.
        const UNTRACED = 2;
        const EXITED = 4;
        const CONTINUED = 8;
        const NOWAIT = 0x0100_0000;
        /// `__WNOTHREAD`: not the children of other threads of the group.
        const NOTHREAD = 0x2000_0000;
        /// `__WALL`.
        const ALL = 0x4000_0000;
        /// `__WCLONE`.
        const CLONE = 0x8000_0000;
    }
}

impl WaitOptions {
    /// `WSTOPPED`.
    pub const STOPPED: WaitOptions = WaitOptions::UNTRACED;
    /// What `wait4(2)` takes.
    pub const WAIT4: WaitOptions = WaitOptions::NOHANG
        .union(WaitOptions::UNTRACED)
        .union(WaitOptions::CONTINUED)
        .union(WaitOptions::NOTHREAD)
        .union(WaitOptions::ALL)
        .union(WaitOptions::CLONE);
}

/// Whom `waitid(2)` waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum WaitIdType {
    /// `P_ALL`.
    All,
    /// `P_PID`.
    Pid,
    /// `P_PGID`; 0 is the caller's.
    Pgid,
    /// `P_PIDFD`.
    Pidfd,
}

impl WaitIdType {
    /// `None` for what `waitid(2)` refuses with `EINVAL`.
    pub const fn from_raw(which: i32) -> Option<WaitIdType> {
        Some(match which {
            0 => WaitIdType::All,
            1 => WaitIdType::Pid,
            2 => WaitIdType::Pgid,
            3 => WaitIdType::Pidfd,
            _ => return None,
        })
    }
}

/// The status word that `wait4(2)` stores.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, serde::Serialize, serde::Deserialize)]
pub enum WaitStatus {
    /// The lowest byte of what was given to `exit(2)`.
    Exited(u8),
    /// Ended by a signal.
    Signaled {
        signal: Signal,
        core: bool,
    },
    /// Stopped: a signal number, for ptrace stops with an event above it and `0x80` in it for system calls.
    Stopped(u32),
    Continued,
}

impl WaitStatus {
    /// The word.
    pub const fn to_raw(self) -> i32 {
        match self {
            WaitStatus::Exited(code) => (code as i32) << 8,
            WaitStatus::Signaled { signal, core } => signal.number() | if core { 0x80 } else { 0 },
            WaitStatus::Stopped(code) => ((code << 8) | 0x7f) as i32,
            WaitStatus::Continued => 0xffff,
        }
    }

    /// Takes a word apart; `None` where no kernel makes it.
    pub const fn from_raw(status: i32) -> Option<WaitStatus> {
        let word = status as u32;
        if word == 0xffff {
            return Some(WaitStatus::Continued);
        }
        match word & 0x7f {
            0 => Some(WaitStatus::Exited((word >> 8) as u8)),
            0x7f => Some(WaitStatus::Stopped(word >> 8)),
            signo => match Signal::new(signo as i32) {
                Some(signal) => Some(WaitStatus::Signaled { signal, core: word & 0x80 != 0 }),
                None => None,
            },
        }
    }
}
