//! `siginfo_t`: constructors for each kind, and taking one apart.

use super::{Signal, SignalfdSiginfo};
use crate::pod::pod;
use serde::{Deserialize, Serialize};

// `si_code` of any signal.
pub const SI_USER: i32 = 0;
pub const SI_KERNEL: i32 = 128;
pub const SI_QUEUE: i32 = -1;
pub const SI_TIMER: i32 = -2;
pub const SI_MESGQ: i32 = -3;
pub const SI_ASYNCIO: i32 = -4;
pub const SI_SIGIO: i32 = -5;
pub const SI_TKILL: i32 = -6;
pub const SI_DETHREAD: i32 = -7;
pub const SI_ASYNCNL: i32 = -60;
// `SIGILL`.
pub const ILL_ILLOPC: i32 = 1;
pub const ILL_ILLOPN: i32 = 2;
pub const ILL_ILLADR: i32 = 3;
pub const ILL_ILLTRP: i32 = 4;
pub const ILL_PRVOPC: i32 = 5;
pub const ILL_PRVREG: i32 = 6;
pub const ILL_COPROC: i32 = 7;
pub const ILL_BADSTK: i32 = 8;
// `SIGFPE`.
pub const FPE_INTDIV: i32 = 1;
pub const FPE_INTOVF: i32 = 2;
pub const FPE_FLTDIV: i32 = 3;
pub const FPE_FLTOVF: i32 = 4;
pub const FPE_FLTUND: i32 = 5;
pub const FPE_FLTRES: i32 = 6;
pub const FPE_FLTINV: i32 = 7;
pub const FPE_FLTSUB: i32 = 8;
pub const FPE_FLTUNK: i32 = 14;
// `SIGSEGV`.
pub const SEGV_MAPERR: i32 = 1;
pub const SEGV_ACCERR: i32 = 2;
pub const SEGV_BNDERR: i32 = 3;
pub const SEGV_PKUERR: i32 = 4;
// `SIGBUS`.
pub const BUS_ADRALN: i32 = 1;
pub const BUS_ADRERR: i32 = 2;
pub const BUS_OBJERR: i32 = 3;
pub const BUS_MCEERR_AR: i32 = 4;
pub const BUS_MCEERR_AO: i32 = 5;
// `SIGTRAP`.
pub const TRAP_BRKPT: i32 = 1;
pub const TRAP_TRACE: i32 = 2;
pub const TRAP_BRANCH: i32 = 3;
pub const TRAP_HWBKPT: i32 = 4;
pub const TRAP_UNK: i32 = 5;
pub const TRAP_PERF: i32 = 6;
// `SIGCHLD`.
pub const CLD_EXITED: i32 = 1;
pub const CLD_KILLED: i32 = 2;
pub const CLD_DUMPED: i32 = 3;
pub const CLD_TRAPPED: i32 = 4;
pub const CLD_STOPPED: i32 = 5;
pub const CLD_CONTINUED: i32 = 6;
// `SIGIO`.
pub const POLL_IN: i32 = 1;
pub const POLL_OUT: i32 = 2;
pub const POLL_MSG: i32 = 3;
pub const POLL_ERR: i32 = 4;
pub const POLL_PRI: i32 = 5;
pub const POLL_HUP: i32 = 6;
// `SIGSYS`.
pub const SYS_SECCOMP: i32 = 1;
pub const SYS_USER_DISPATCH: i32 = 2;

pod! {
    /// `siginfo_t`, 128 bytes: three numbers and a union that [`SigInfo::layout`] tells how to read.
    #[derive(Serialize, Deserialize)]
    pub struct SigInfo {
        pub si_signo: i32,
        pub si_errno: i32,
        pub si_code: i32,
        pub _pad0: u32,
        /// The union, as little-endian words of 64 bits.
        pub fields: [u64; 14],
    }
}

/// How the union of a [`SigInfo`] is to be read (Linux: `siginfo_layout`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum SigInfoLayout {
    Kill,
    Timer,
    Poll,
    Fault,
    FaultMceerr,
    FaultBnderr,
    FaultPkuerr,
    FaultPerfEvent,
    Chld,
    Rt,
    Sys,
}

const fn pair(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

const fn low(word: u64) -> u32 {
    word as u32
}

const fn high(word: u64) -> u32 {
    (word >> 32) as u32
}

impl SigInfo {
    const fn with(signal: Signal, code: i32, words: [u64; 4]) -> SigInfo {
        let [a, b, c, d] = words;
        SigInfo {
            si_signo: signal.number(),
            si_errno: 0,
            si_code: code,
            _pad0: 0,
            fields: [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        }
    }

    /// Sent by `kill(2)` (`SI_USER`), `tgkill(2)` (`SI_TKILL`).
    pub const fn kill(signal: Signal, code: i32, pid: i32, uid: u32) -> SigInfo {
        SigInfo::with(signal, code, [pair(pid as u32, uid), 0, 0, 0])
    }

    /// Sent by the kernel itself (`SI_KERNEL`), by nobody in particular.
    pub const fn kernel(signal: Signal) -> SigInfo {
        SigInfo::with(signal, SI_KERNEL, [0; 4])
    }

    /// A child changed state: `code` is `CLD_*`; times are in ticks of `USER_HZ`.
    pub const fn chld(code: i32, pid: i32, uid: u32, status: i32, utime: i64, stime: i64) -> SigInfo {
        SigInfo::with(
            Signal::SIGCHLD,
            code,
            [pair(pid as u32, uid), pair(status as u32, 0), utime as u64, stime as u64],
        )
    }

    /// An instruction faulted at `addr`.
    pub const fn fault(signal: Signal, code: i32, addr: u64) -> SigInfo {
        SigInfo::with(signal, code, [addr, 0, 0, 0])
    }

    /// A POSIX timer fired (`SI_TIMER`).
    pub const fn timer(signal: Signal, timer_id: i32, overrun: i32, value: u64) -> SigInfo {
        SigInfo::with(signal, SI_TIMER, [pair(timer_id as u32, overrun as u32), value, 0, 0])
    }

    /// With a value: `SI_QUEUE`, `SI_MESGQ`.
    pub const fn rt(signal: Signal, code: i32, pid: i32, uid: u32, value: u64) -> SigInfo {
        SigInfo::with(signal, code, [pair(pid as u32, uid), value, 0, 0])
    }

    /// Input or output became possible: `code` is `POLL_*`.
    pub const fn poll(signal: Signal, code: i32, band: i64, fd: i32) -> SigInfo {
        SigInfo::with(signal, code, [band as u64, pair(fd as u32, 0), 0, 0])
    }

    /// A seccomp filter trapped call `nr` of `arch` (`AUDIT_ARCH_*`); `data` is the filter's, in `si_errno`.
    pub const fn sys(call_addr: u64, nr: i32, arch: u32, data: i32) -> SigInfo {
        let mut info = SigInfo::with(Signal::SIGSYS, SYS_SECCOMP, [call_addr, pair(nr as u32, arch), 0, 0]);
        info.si_errno = data;
        info
    }

    /// The signal; `None` where the number is none.
    pub const fn signal(&self) -> Option<Signal> {
        Signal::new(self.si_signo)
    }

    /// Whether a process sent it rather than the kernel (Linux: `SI_FROMUSER`).
    pub const fn is_from_user(&self) -> bool {
        self.si_code <= 0
    }

    const fn word(&self, index: usize) -> u64 {
        // Only called with constants below 14.
        if index < self.fields.len() { self.fields[index] } else { 0 }
    }

    pub const fn si_pid(&self) -> i32 {
        low(self.word(0)) as i32
    }

    pub const fn si_uid(&self) -> u32 {
        high(self.word(0))
    }

    /// Replaces the sender, as seen from the receiver's namespaces.
    pub const fn set_sender(&mut self, pid: i32, uid: u32) {
        self.fields[0] = pair(pid as u32, uid);
    }

    pub const fn si_status(&self) -> i32 {
        low(self.word(1)) as i32
    }

    pub const fn si_utime(&self) -> i64 {
        self.word(2) as i64
    }

    pub const fn si_stime(&self) -> i64 {
        self.word(3) as i64
    }

    pub const fn si_addr(&self) -> u64 {
        self.word(0)
    }

    pub const fn si_addr_lsb(&self) -> u16 {
        self.word(1) as u16
    }

    pub const fn si_timerid(&self) -> i32 {
        low(self.word(0)) as i32
    }

    pub const fn si_overrun(&self) -> i32 {
        high(self.word(0)) as i32
    }

    /// Sets how often a timer fired beyond this signal.
    pub const fn set_overrun(&mut self, overrun: i32) {
        self.fields[0] = pair(low(self.fields[0]), overrun as u32);
    }

    /// `sigval`: an address or an `int` in the low half.
    pub const fn si_value(&self) -> u64 {
        self.word(1)
    }

    pub const fn si_band(&self) -> i64 {
        self.word(0) as i64
    }

    pub const fn si_fd(&self) -> i32 {
        low(self.word(1)) as i32
    }

    pub const fn si_call_addr(&self) -> u64 {
        self.word(0)
    }

    pub const fn si_syscall(&self) -> i32 {
        low(self.word(1)) as i32
    }

    pub const fn si_arch(&self) -> u32 {
        high(self.word(1))
    }

    /// How to read the union.
    pub const fn layout(&self) -> SigInfoLayout {
        use SigInfoLayout as L;
        let code = self.si_code;
        if code < 0 {
            return match code {
                SI_TIMER => L::Timer,
                SI_SIGIO => L::Poll,
                SI_TKILL => L::Kill,
                _ => L::Rt,
            };
        }
        if code == SI_USER || code == SI_KERNEL {
            return L::Kill;
        }
        match self.signal() {
            Some(Signal::SIGBUS) if code == BUS_MCEERR_AR || code == BUS_MCEERR_AO => L::FaultMceerr,
            Some(Signal::SIGSEGV) if code == SEGV_BNDERR => L::FaultBnderr,
            Some(Signal::SIGSEGV) if code == SEGV_PKUERR => L::FaultPkuerr,
            Some(Signal::SIGTRAP) if code == TRAP_PERF => L::FaultPerfEvent,
            Some(Signal::SIGILL) if code <= ILL_BADSTK => L::Fault,
            Some(Signal::SIGFPE) if code <= FPE_FLTUNK + 1 => L::Fault,
            Some(Signal::SIGSEGV) if code <= 10 => L::Fault,
            Some(Signal::SIGBUS) if code <= BUS_MCEERR_AO => L::Fault,
            Some(Signal::SIGTRAP) if code <= TRAP_PERF => L::Fault,
            Some(Signal::SIGCHLD) if code <= CLD_CONTINUED => L::Chld,
            Some(Signal::SIGSYS) if code <= SYS_USER_DISPATCH => L::Sys,
            _ if code <= POLL_HUP => L::Poll,
            _ => L::Kill,
        }
    }
}

impl From<&SigInfo> for SignalfdSiginfo {
    /// What reading a signalfd returns for a signal.
    fn from(info: &SigInfo) -> SignalfdSiginfo {
        use SigInfoLayout as L;
        let mut out = SignalfdSiginfo {
            ssi_signo: info.si_signo as u32,
            ssi_errno: info.si_errno,
            ssi_code: info.si_code,
            ..Default::default()
        };
        match info.layout() {
            L::Kill => {
                out.ssi_pid = info.si_pid() as u32;
                out.ssi_uid = info.si_uid();
            }
            L::Timer => {
                out.ssi_tid = info.si_timerid() as u32;
                out.ssi_overrun = info.si_overrun() as u32;
                out.ssi_ptr = info.si_value();
                out.ssi_int = info.si_value() as i32;
            }
            L::Poll => {
                out.ssi_band = info.si_band() as u32;
                out.ssi_fd = info.si_fd();
            }
            L::Fault | L::FaultBnderr | L::FaultPkuerr | L::FaultPerfEvent => out.ssi_addr = info.si_addr(),
            L::FaultMceerr => {
                out.ssi_addr = info.si_addr();
                out.ssi_addr_lsb = info.si_addr_lsb();
            }
            L::Chld => {
                out.ssi_pid = info.si_pid() as u32;
                out.ssi_uid = info.si_uid();
                out.ssi_status = info.si_status();
                out.ssi_utime = info.si_utime() as u64;
                out.ssi_stime = info.si_stime() as u64;
            }
            L::Rt => {
                out.ssi_pid = info.si_pid() as u32;
                out.ssi_uid = info.si_uid();
                out.ssi_ptr = info.si_value();
                out.ssi_int = info.si_value() as i32;
            }
            L::Sys => {
                out.ssi_call_addr = info.si_call_addr();
                out.ssi_syscall = info.si_syscall();
                out.ssi_arch = info.si_arch();
            }
        }
        out
    }
}
