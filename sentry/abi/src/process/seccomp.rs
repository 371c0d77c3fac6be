//! `seccomp(2)` and the classic BPF programs that it takes.
#![allow(missing_docs, reason = "the names are Linux's, documented in seccomp(2)")]

use crate::pod::{flags, pod};

// Modes of `prctl(PR_SET_SECCOMP)` and of `/proc/*/status`.
pub const SECCOMP_MODE_DISABLED: u32 = 0;
pub const SECCOMP_MODE_STRICT: u32 = 1;
pub const SECCOMP_MODE_FILTER: u32 = 2;
// Operations.
pub const SECCOMP_SET_MODE_STRICT: u32 = 0;
pub const SECCOMP_SET_MODE_FILTER: u32 = 1;
pub const SECCOMP_GET_ACTION_AVAIL: u32 = 2;
pub const SECCOMP_GET_NOTIF_SIZES: u32 = 3;
// What a filter answers: an action, and data in the lowest 16 bits.
pub const SECCOMP_RET_KILL_PROCESS: u32 = 0x80000000;
pub const SECCOMP_RET_KILL_THREAD: u32 = 0x0;
pub const SECCOMP_RET_TRAP: u32 = 0x30000;
pub const SECCOMP_RET_ERRNO: u32 = 0x50000;
pub const SECCOMP_RET_USER_NOTIF: u32 = 0x7fc00000;
pub const SECCOMP_RET_TRACE: u32 = 0x7ff00000;
pub const SECCOMP_RET_LOG: u32 = 0x7ffc0000;
pub const SECCOMP_RET_ALLOW: u32 = 0x7fff0000;
pub const SECCOMP_RET_ACTION_FULL: u32 = 0xffff0000;
pub const SECCOMP_RET_ACTION: u32 = 0x7fff0000;
pub const SECCOMP_RET_DATA: u32 = 0xffff;

flags! {
    /// `SECCOMP_FILTER_FLAG_*`.
    pub struct SeccompFilterFlags: u32 {
        const TSYNC = 0x1;
        const LOG = 0x2;
        const SPEC_ALLOW = 0x4;
        const NEW_LISTENER = 0x8;
        const TSYNC_ESRCH = 0x10;
        const WAIT_KILLABLE_RECV = 0x20;
    }
}

pod! {
    /// `struct seccomp_data`, 64 bytes: what a filter sees.
    pub struct SeccompData {
        pub nr: i32,
        /// `AUDIT_ARCH_*`.
        pub arch: u32,
        pub instruction_pointer: u64,
        pub args: [u64; 6],
    }

    /// `struct sock_filter`: one instruction.
    pub struct SockFilter {
        pub code: u16,
        pub jt: u8,
        pub jf: u8,
        pub k: u32,
    }

    /// `struct sock_fprog`.
    pub struct SockFprog {
        /// How many instructions.
        pub len: u16,
        pub _pad: [u16; 3],
        /// Address of the instructions.
        pub filter: u64,
    }

    /// `struct seccomp_notif_sizes`.
    pub struct SeccompNotifSizes {
        pub seccomp_notif: u16,
        pub seccomp_notif_resp: u16,
        pub seccomp_data: u16,
    }

    /// `struct seccomp_notif`, 80 bytes.
    pub struct SeccompNotif {
        pub id: u64,
        pub pid: u32,
        pub flags: u32,
        pub data: SeccompData,
    }

    /// `struct seccomp_notif_resp`.
    pub struct SeccompNotifResp {
        pub id: u64,
        pub val: i64,
        pub error: i32,
        pub flags: u32,
    }

    /// `struct seccomp_notif_addfd`.
    pub struct SeccompNotifAddfd {
        pub id: u64,
        pub flags: u32,
        pub srcfd: u32,
        pub newfd: u32,
        pub newfd_flags: u32,
    }
}

pub const SECCOMP_USER_NOTIF_FLAG_CONTINUE: u32 = 1;
pub const SECCOMP_ADDFD_FLAG_SETFD: u32 = 1;
pub const SECCOMP_ADDFD_FLAG_SEND: u32 = 2;
pub const SECCOMP_IOCTL_NOTIF_RECV: u32 = 0xc0502100;
pub const SECCOMP_IOCTL_NOTIF_SEND: u32 = 0xc0182101;
pub const SECCOMP_IOCTL_NOTIF_ID_VALID: u32 = 0x40082102;
pub const SECCOMP_IOCTL_NOTIF_ADDFD: u32 = 0x40182103;

/// The most instructions of one filter.
pub const BPF_MAXINSNS: usize = 4096;
/// The most instructions of all filters of a task, counting four more for each filter.
pub const MAX_INSNS_PER_PATH: usize = 32768;
/// Words of scratch memory.
pub const BPF_MEMWORDS: usize = 16;

// Classic BPF: classes, sizes, modes, operations, sources.
pub const BPF_LD: u16 = 0x0;
pub const BPF_LDX: u16 = 0x1;
pub const BPF_ST: u16 = 0x2;
pub const BPF_STX: u16 = 0x3;
pub const BPF_ALU: u16 = 0x4;
pub const BPF_JMP: u16 = 0x5;
pub const BPF_RET: u16 = 0x6;
pub const BPF_MISC: u16 = 0x7;
pub const BPF_W: u16 = 0x0;
pub const BPF_H: u16 = 0x8;
pub const BPF_B: u16 = 0x10;
pub const BPF_IMM: u16 = 0x0;
pub const BPF_ABS: u16 = 0x20;
pub const BPF_IND: u16 = 0x40;
pub const BPF_MEM: u16 = 0x60;
pub const BPF_LEN: u16 = 0x80;
pub const BPF_MSH: u16 = 0xa0;
pub const BPF_ADD: u16 = 0x0;
pub const BPF_SUB: u16 = 0x10;
pub const BPF_MUL: u16 = 0x20;
pub const BPF_DIV: u16 = 0x30;
pub const BPF_OR: u16 = 0x40;
pub const BPF_AND: u16 = 0x50;
pub const BPF_LSH: u16 = 0x60;
pub const BPF_RSH: u16 = 0x70;
pub const BPF_NEG: u16 = 0x80;
pub const BPF_MOD: u16 = 0x90;
pub const BPF_XOR: u16 = 0xa0;
pub const BPF_JA: u16 = 0x0;
pub const BPF_JEQ: u16 = 0x10;
pub const BPF_JGT: u16 = 0x20;
pub const BPF_JGE: u16 = 0x30;
pub const BPF_JSET: u16 = 0x40;
pub const BPF_K: u16 = 0x0;
pub const BPF_X: u16 = 0x8;
pub const BPF_A: u16 = 0x10;
pub const BPF_TAX: u16 = 0x0;
pub const BPF_TXA: u16 = 0x80;

pub const AUDIT_ARCH_X86_64: u32 = 0xc000003e;
pub const AUDIT_ARCH_I386: u32 = 0x40000003;
pub const AUDIT_ARCH_AARCH64: u32 = 0xc00000b7;
