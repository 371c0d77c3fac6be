//! What is asked of the kernel as a whole: `uname(2)`, `sysinfo(2)`, `reboot(2)`, `getrandom(2)`, `personality(2)`,
//! `syslog(2)`, `acct(2)`, `getcpu(2)`, process accounting.
#![allow(missing_docs, reason = "the names are Linux's, documented in the manual page of each call")]

use crate::pod::{flags, pod};

/// Bytes of one field of [`Utsname`], with its zero.
pub const UTS_LEN: usize = 65;

pod! {
    /// `struct new_utsname`, 390 bytes: strings that end in zero.
    pub struct Utsname {
        pub sysname: [u8; UTS_LEN],
        pub nodename: [u8; UTS_LEN],
        pub release: [u8; UTS_LEN],
        pub version: [u8; UTS_LEN],
        pub machine: [u8; UTS_LEN],
        pub domainname: [u8; UTS_LEN],
    }

    /// `struct sysinfo`, 112 bytes.
    pub struct Sysinfo {
        /// Seconds.
        pub uptime: i64,
        /// Averages over 1, 5 and 15 minutes, times 65536.
        pub loads: [u64; 3],
        /// The sizes are in units of `mem_unit`.
        pub totalram: u64,
        pub freeram: u64,
        pub sharedram: u64,
        pub bufferram: u64,
        pub totalswap: u64,
        pub freeswap: u64,
        pub procs: u16,
        pub _pad0: u16,
        pub _pad1: u32,
        pub totalhigh: u64,
        pub freehigh: u64,
        pub mem_unit: u32,
        pub _pad2: u32,
    }
}

impl Utsname {
    /// A field from a string, cut to what fits.
    pub fn field(text: &[u8]) -> [u8; UTS_LEN] {
        let mut field = [0; UTS_LEN];
        for (to, from) in field.iter_mut().take(UTS_LEN - 1).zip(text) {
            *to = *from;
        }
        field
    }
}

flags! {
    /// `GRND_*`.
    pub struct GetrandomFlags: u32 {
        const NONBLOCK = 1;
        const RANDOM = 2;
        const INSECURE = 4;
    }
}

// `personality(2)`.
pub const UNAME26: u32 = 0x20000;
pub const ADDR_NO_RANDOMIZE: u32 = 0x40000;
pub const FDPIC_FUNCPTRS: u32 = 0x80000;
pub const MMAP_PAGE_ZERO: u32 = 0x100000;
pub const ADDR_COMPAT_LAYOUT: u32 = 0x200000;
pub const READ_IMPLIES_EXEC: u32 = 0x400000;
pub const ADDR_LIMIT_32BIT: u32 = 0x800000;
pub const SHORT_INODE: u32 = 0x1000000;
pub const WHOLE_SECONDS: u32 = 0x2000000;
pub const STICKY_TIMEOUTS: u32 = 0x4000000;
pub const ADDR_LIMIT_3GB: u32 = 0x8000000;
pub const PER_LINUX: u32 = 0x0;
pub const PER_LINUX32: u32 = 0x8;
/// Asks without changing.
pub const PERSONALITY_QUERY: u32 = u32::MAX;
/// What `execve(2)` of a set-id program clears.
pub const PER_CLEAR_ON_SETID: u32 =
    READ_IMPLIES_EXEC | ADDR_NO_RANDOMIZE | ADDR_COMPAT_LAYOUT | MMAP_PAGE_ZERO;

// `reboot(2)`.
pub const LINUX_REBOOT_MAGIC1: u32 = 0xfee1dead;
pub const LINUX_REBOOT_MAGIC2: u32 = 0x28121969;
pub const LINUX_REBOOT_MAGIC2A: u32 = 0x5121996;
pub const LINUX_REBOOT_MAGIC2B: u32 = 0x16041998;
pub const LINUX_REBOOT_MAGIC2C: u32 = 0x20112000;
pub const LINUX_REBOOT_CMD_RESTART: u32 = 0x1234567;
pub const LINUX_REBOOT_CMD_HALT: u32 = 0xcdef0123;
pub const LINUX_REBOOT_CMD_CAD_ON: u32 = 0x89abcdef;
pub const LINUX_REBOOT_CMD_CAD_OFF: u32 = 0x0;
pub const LINUX_REBOOT_CMD_POWER_OFF: u32 = 0x4321fedc;
pub const LINUX_REBOOT_CMD_RESTART2: u32 = 0xa1b2c3d4;
pub const LINUX_REBOOT_CMD_SW_SUSPEND: u32 = 0xd000fce2;
pub const LINUX_REBOOT_CMD_KEXEC: u32 = 0x45584543;

// `syslog(2)`.
pub const SYSLOG_ACTION_CLOSE: i32 = 0;
pub const SYSLOG_ACTION_OPEN: i32 = 1;
pub const SYSLOG_ACTION_READ: i32 = 2;
pub const SYSLOG_ACTION_READ_ALL: i32 = 3;
pub const SYSLOG_ACTION_READ_CLEAR: i32 = 4;
pub const SYSLOG_ACTION_CLEAR: i32 = 5;
pub const SYSLOG_ACTION_CONSOLE_OFF: i32 = 6;
pub const SYSLOG_ACTION_CONSOLE_ON: i32 = 7;
pub const SYSLOG_ACTION_CONSOLE_LEVEL: i32 = 8;
pub const SYSLOG_ACTION_SIZE_UNREAD: i32 = 9;
pub const SYSLOG_ACTION_SIZE_BUFFER: i32 = 10;

pod! {
    /// `struct acct_v3`, 64 bytes: one record of process accounting, `acct(2)`.
    pub struct AcctV3 {
        pub ac_flag: u8,
        pub ac_version: u8,
        pub ac_tty: u16,
        pub ac_exitcode: u32,
        pub ac_uid: u32,
        pub ac_gid: u32,
        pub ac_pid: u32,
        pub ac_ppid: u32,
        pub ac_btime: u32,
        /// A float's bits.
        pub ac_etime: u32,
        /// These are `comp_t`: three bits of exponent to the base 8, thirteen bits of fraction.
        pub ac_utime: u16,
        pub ac_stime: u16,
        pub ac_mem: u16,
        pub ac_io: u16,
        pub ac_rw: u16,
        pub ac_minflt: u16,
        pub ac_majflt: u16,
        pub ac_swaps: u16,
        pub ac_comm: [u8; 16],
    }
}

pub const AFORK: u8 = 1;
pub const ASU: u8 = 2;
pub const ACORE: u8 = 8;
pub const AXSIG: u8 = 16;
