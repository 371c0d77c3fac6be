//! `futex(2)`, the newer futex calls, robust lists.
#![allow(missing_docs, reason = "the names are Linux's, documented in futex(2), get_robust_list(2)")]

use crate::pod::{flags, pod};

// Operations, without their flags.
pub const FUTEX_WAIT: u32 = 0;
pub const FUTEX_WAKE: u32 = 1;
pub const FUTEX_FD: u32 = 2;
pub const FUTEX_REQUEUE: u32 = 3;
pub const FUTEX_CMP_REQUEUE: u32 = 4;
pub const FUTEX_WAKE_OP: u32 = 5;
pub const FUTEX_LOCK_PI: u32 = 6;
pub const FUTEX_UNLOCK_PI: u32 = 7;
pub const FUTEX_TRYLOCK_PI: u32 = 8;
pub const FUTEX_WAIT_BITSET: u32 = 9;
pub const FUTEX_WAKE_BITSET: u32 = 10;
pub const FUTEX_WAIT_REQUEUE_PI: u32 = 11;
pub const FUTEX_CMP_REQUEUE_PI: u32 = 12;
pub const FUTEX_LOCK_PI2: u32 = 13;

pub const FUTEX_PRIVATE_FLAG: u32 = 128;
pub const FUTEX_CLOCK_REALTIME: u32 = 256;
/// The bits that hold the operation.
pub const FUTEX_CMD_MASK: u32 = !(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
pub const FUTEX_BITSET_MATCH_ANY: u32 = u32::MAX;

// The word of a robust or priority-inheriting futex.
pub const FUTEX_WAITERS: u32 = 0x8000_0000;
pub const FUTEX_OWNER_DIED: u32 = 0x4000_0000;
pub const FUTEX_TID_MASK: u32 = 0x3fff_ffff;

/// How long a robust list may be.
pub const ROBUST_LIST_LIMIT: usize = 2048;

// `FUTEX_WAKE_OP`.
pub const FUTEX_OP_SET: u32 = 0;
pub const FUTEX_OP_ADD: u32 = 1;
pub const FUTEX_OP_OR: u32 = 2;
pub const FUTEX_OP_ANDN: u32 = 3;
pub const FUTEX_OP_XOR: u32 = 4;
pub const FUTEX_OP_OPARG_SHIFT: u32 = 8;
pub const FUTEX_OP_CMP_EQ: u32 = 0;
pub const FUTEX_OP_CMP_NE: u32 = 1;
pub const FUTEX_OP_CMP_LT: u32 = 2;
pub const FUTEX_OP_CMP_LE: u32 = 3;
pub const FUTEX_OP_CMP_GT: u32 = 4;
pub const FUTEX_OP_CMP_GE: u32 = 5;

/// `FUTEX_WAKE_OP`'s third value, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FutexWakeOp {
    /// `FUTEX_OP_*`.
    pub op: u32,
    /// `FUTEX_OP_CMP_*`.
    pub cmp: u32,
    /// What the operation is done with; a shift count has been applied.
    pub oparg: i32,
    /// What the old value is compared with.
    pub cmparg: i32,
}

impl FutexWakeOp {
    /// The arguments are twelve bits each, with a sign.
    pub const fn from_raw(raw: u32) -> FutexWakeOp {
        let op = raw >> 28 & 7;
        let shift = raw >> 28 & 8 != 0;
        let oparg = (raw << 8) as i32 >> 20;
        let cmparg = (raw << 20) as i32 >> 20;
        let oparg = if shift { 1i32.wrapping_shl(oparg as u32 & 31) } else { oparg };
        FutexWakeOp { op, cmp: raw >> 24 & 0xf, oparg, cmparg }
    }
}

flags! {
    /// `FUTEX2_*`, of `futex_wait(2)`, `futex_wake(2)`, `futex_requeue(2)`, `futex_waitv(2)`.
    pub struct Futex2Flags: u32 {
        /// Two bits hold the size; 2 is 32 bits, the only one that works.
        const SIZE_MASK = 3;
        const NUMA = 4;
        const PRIVATE = 128;
    }
}

pub const FUTEX2_SIZE_U32: u32 = 2;
/// The most futexes that `futex_waitv(2)` takes.
pub const FUTEX_WAITV_MAX: usize = 128;

pod! {
    /// `struct futex_waitv`.
    pub struct FutexWaitv {
        pub val: u64,
        pub uaddr: u64,
        /// [`Futex2Flags`].
        pub flags: u32,
        pub _reserved: u32,
    }

    /// `struct robust_list_head`, 24 bytes.
    pub struct RobustListHead {
        /// Address of the first entry, or of this head at the end. The lowest bit says that it is a PI futex.
        pub list: u64,
        /// From an entry to its futex.
        pub futex_offset: i64,
        /// An entry that is just being put in or taken out, or 0.
        pub list_op_pending: u64,
    }
}
