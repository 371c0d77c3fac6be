//! Terminals: `termios(3)` as the kernel lays it out, its flags and control characters, window size.
//! The requests are in [`crate::ioctl`].
#![allow(missing_docs, reason = "the names are Linux's, documented in termios(3), ioctl_tty(2)")]

use crate::pod::{flags, pod};
use serde::{Deserialize, Serialize};

/// How many control characters the kernel's structure has.
pub const NCCS: usize = 19;

pod! {
    /// `struct termios` of the kernel, 36 bytes.
    #[derive(Serialize, Deserialize)]
    pub struct Termios {
        /// [`InputFlags`].
        pub c_iflag: u32,
        /// [`OutputFlags`].
        pub c_oflag: u32,
        /// [`ControlFlags`].
        pub c_cflag: u32,
        /// [`LocalFlags`].
        pub c_lflag: u32,
        /// Line discipline.
        pub c_line: u8,
        /// By `V*`.
        pub c_cc: [u8; NCCS],
    }

    /// `struct termios2`, 44 bytes.
    #[derive(Serialize, Deserialize)]
    pub struct Termios2 {
        pub c_iflag: u32,
        pub c_oflag: u32,
        pub c_cflag: u32,
        pub c_lflag: u32,
        pub c_line: u8,
        pub c_cc: [u8; NCCS],
        pub c_ispeed: u32,
        pub c_ospeed: u32,
    }

    /// `struct termio`, 18 bytes: `TCGETA`.
    pub struct Termio {
        pub c_iflag: u16,
        pub c_oflag: u16,
        pub c_cflag: u16,
        pub c_lflag: u16,
        pub c_line: u8,
        pub c_cc: [u8; 8],
        pub _pad: u8,
    }

    /// `struct winsize`.
    #[derive(Serialize, Deserialize)]
    pub struct Winsize {
        pub ws_row: u16,
        pub ws_col: u16,
        pub ws_xpixel: u16,
        pub ws_ypixel: u16,
    }
}

flags! {
    /// `c_iflag`.
    pub struct InputFlags: u32 {
        const IGNBRK = 0o1;
        const BRKINT = 0o2;
        const IGNPAR = 0o4;
        const PARMRK = 0o10;
        const INPCK = 0o20;
        const ISTRIP = 0o40;
        const INLCR = 0o100;
        const IGNCR = 0o200;
        const ICRNL = 0o400;
        const IUCLC = 0o1000;
        const IXON = 0o2000;
        const IXANY = 0o4000;
        const IXOFF = 0o10000;
        const IMAXBEL = 0o20000;
        const IUTF8 = 0o40000;
    }

    /// `c_oflag`. Delays are kept but not obeyed.
    pub struct OutputFlags: u32 {
        const OPOST = 0o1;
        const OLCUC = 0o2;
        const ONLCR = 0o4;
        const OCRNL = 0o10;
        const ONOCR = 0o20;
        const ONLRET = 0o40;
        const OFILL = 0o100;
        const OFDEL = 0o200;
        const NLDLY = 0o400;
        const CRDLY = 0o3000;
        const TABDLY = 0o14000;
        const BSDLY = 0o20000;
        const VTDLY = 0o40000;
        const FFDLY = 0o100000;
    }

    /// `c_cflag`. Character size and speeds are numbers: see [`ControlFlags::CSIZE`], [`ControlFlags::CBAUD`].
    pub struct ControlFlags: u32 {
        const CSIZE = 0o60;
        const CSTOPB = 0o100;
        const CREAD = 0o200;
        const PARENB = 0o400;
        const PARODD = 0o1000;
        const HUPCL = 0o2000;
        const CLOCAL = 0o4000;
        const CBAUD = 0o10017;
        const CBAUDEX = 0o10000;
        const CIBAUD = 0o2003600000;
        const ADDRB = 0o4000000000;
        const CMSPAR = 0o10000000000;
        const CRTSCTS = 0o20000000000;
    }

    /// `c_lflag`.
    pub struct LocalFlags: u32 {
        const ISIG = 0o1;
        const ICANON = 0o2;
        const XCASE = 0o4;
        const ECHO = 0o10;
        const ECHOE = 0o20;
        const ECHOK = 0o40;
        const ECHONL = 0o100;
        const NOFLSH = 0o200;
        const TOSTOP = 0o400;
        const ECHOCTL = 0o1000;
        const ECHOPRT = 0o2000;
        const ECHOKE = 0o4000;
        const FLUSHO = 0o10000;
        const PENDIN = 0o40000;
        const IEXTEN = 0o100000;
        const EXTPROC = 0o200000;
    }
}

/// `XTABS`: expand tabs to spaces, the one delay that is obeyed.
pub const TAB3: u32 = 0o14000;
// Character sizes.
pub const CS5: u32 = 0;
pub const CS6: u32 = 0o20;
pub const CS7: u32 = 0o40;
pub const CS8: u32 = 0o60;
// Speeds.
pub const B0: u32 = 0o0;
pub const B50: u32 = 0o1;
pub const B75: u32 = 0o2;
pub const B110: u32 = 0o3;
pub const B134: u32 = 0o4;
pub const B150: u32 = 0o5;
pub const B200: u32 = 0o6;
pub const B300: u32 = 0o7;
pub const B600: u32 = 0o10;
pub const B1200: u32 = 0o11;
pub const B1800: u32 = 0o12;
pub const B2400: u32 = 0o13;
pub const B4800: u32 = 0o14;
pub const B9600: u32 = 0o15;
pub const B19200: u32 = 0o16;
pub const B38400: u32 = 0o17;
pub const B57600: u32 = 0o10001;
pub const B115200: u32 = 0o10002;
pub const B230400: u32 = 0o10003;
pub const B460800: u32 = 0o10004;
pub const B921600: u32 = 0o10007;
pub const BOTHER: u32 = 0o10000;
/// From `CBAUD` to `CIBAUD`.
pub const IBSHIFT: u32 = 16;

// Indices of control characters.
pub const VINTR: usize = 0;
pub const VQUIT: usize = 1;
pub const VERASE: usize = 2;
pub const VKILL: usize = 3;
pub const VEOF: usize = 4;
pub const VTIME: usize = 5;
pub const VMIN: usize = 6;
pub const VSWTC: usize = 7;
pub const VSTART: usize = 8;
pub const VSTOP: usize = 9;
pub const VSUSP: usize = 10;
pub const VEOL: usize = 11;
pub const VREPRINT: usize = 12;
pub const VDISCARD: usize = 13;
pub const VWERASE: usize = 14;
pub const VLNEXT: usize = 15;
pub const VEOL2: usize = 16;
/// A control character that is switched off.
pub const DISABLED_CHAR: u8 = 0;

/// The line discipline of terminals.
pub const N_TTY: u8 = 0;
/// Bytes of input that a terminal holds.
pub const N_TTY_BUF_SIZE: usize = 4096;
/// The longest line in canonical mode, with its end.
pub const MAX_CANON: usize = 4096;
/// The speed that a pseudoterminal claims.
pub const DEFAULT_SPEED: u32 = 38400;

/// The control characters of a new terminal (Linux: `INIT_C_CC`).
pub const INIT_C_CC: [u8; NCCS] =
    [0x03, 0x1c, 0x7f, 0x15, 0x04, 0, 1, 0, 0x11, 0x13, 0x1a, 0, 0x12, 0x0f, 0x17, 0x16, 0, 0, 0];

impl Termios {
    /// What a new terminal has (Linux: `tty_std_termios`, but for `HUPCL`, as pseudoterminals have it).
    pub const STANDARD: Termios = Termios {
        c_iflag: InputFlags::ICRNL.union(InputFlags::IXON).bits(),
        c_oflag: OutputFlags::OPOST.union(OutputFlags::ONLCR).bits(),
        c_cflag: B38400 | CS8 | ControlFlags::CREAD.bits(),
        c_lflag: LocalFlags::ISIG
            .union(LocalFlags::ICANON)
            .union(LocalFlags::ECHO)
            .union(LocalFlags::ECHOE)
            .union(LocalFlags::ECHOK)
            .union(LocalFlags::ECHOCTL)
            .union(LocalFlags::ECHOKE)
            .union(LocalFlags::IEXTEN)
            .bits(),
        c_line: N_TTY,
        c_cc: INIT_C_CC,
    };

    /// What the master of a pseudoterminal has: bytes pass as they are.
    pub const PTY_MASTER: Termios =
        Termios { c_iflag: 0, c_oflag: 0, c_cflag: B38400 | CS8 | 0o200, c_lflag: 0, ..Termios::STANDARD };

    pub const fn input(&self) -> InputFlags {
        InputFlags::from_bits_retain(self.c_iflag)
    }

    pub const fn output(&self) -> OutputFlags {
        OutputFlags::from_bits_retain(self.c_oflag)
    }

    pub const fn control(&self) -> ControlFlags {
        ControlFlags::from_bits_retain(self.c_cflag)
    }

    pub const fn local(&self) -> LocalFlags {
        LocalFlags::from_bits_retain(self.c_lflag)
    }

    /// A control character by its `V*` index; [`DISABLED_CHAR`] for an index beyond the table.
    pub const fn cc(&self, index: usize) -> u8 {
        if index < NCCS { self.c_cc[index] } else { DISABLED_CHAR }
    }

    /// With speeds.
    pub const fn to_termios2(self, c_ispeed: u32, c_ospeed: u32) -> Termios2 {
        let Termios { c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_cc } = self;
        Termios2 { c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_cc, c_ispeed, c_ospeed }
    }
}

impl From<Termios2> for Termios {
    fn from(t: Termios2) -> Termios {
        let Termios2 { c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_cc, .. } = t;
        Termios { c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_cc }
    }
}

// `tcflush`: `TCFLSH`.
pub const TCIFLUSH: u64 = 0;
pub const TCOFLUSH: u64 = 1;
pub const TCIOFLUSH: u64 = 2;
// `tcflow`: `TCXONC`.
pub const TCOOFF: u64 = 0;
pub const TCOON: u64 = 1;
pub const TCIOFF: u64 = 2;
pub const TCION: u64 = 3;

// Packet mode, `TIOCPKT`: the first byte that the master reads.
pub const TIOCPKT_DATA: u8 = 0;
pub const TIOCPKT_FLUSHREAD: u8 = 1;
pub const TIOCPKT_FLUSHWRITE: u8 = 2;
pub const TIOCPKT_STOP: u8 = 4;
pub const TIOCPKT_START: u8 = 8;
pub const TIOCPKT_NOSTOP: u8 = 16;
pub const TIOCPKT_DOSTOP: u8 = 32;
pub const TIOCPKT_IOCTL: u8 = 64;
// Modem lines.
pub const TIOCM_LE: u32 = 0x1;
pub const TIOCM_DTR: u32 = 0x2;
pub const TIOCM_RTS: u32 = 0x4;
pub const TIOCM_CTS: u32 = 0x20;
pub const TIOCM_CAR: u32 = 0x40;
pub const TIOCM_RNG: u32 = 0x80;
pub const TIOCM_DSR: u32 = 0x100;
