//! Scheduling: policies and their parameters, affinity, `membarrier(2)`, `rseq(2)`.
#![allow(missing_docs, reason = "the names are Linux's, documented in sched(7), sched_setattr(2)")]

use crate::pod::{flags, pod};

pub const SCHED_NORMAL: i32 = 0;
pub const SCHED_FIFO: i32 = 1;
pub const SCHED_RR: i32 = 2;
pub const SCHED_BATCH: i32 = 3;
pub const SCHED_IDLE: i32 = 5;
pub const SCHED_DEADLINE: i32 = 6;
pub const SCHED_EXT: i32 = 7;
/// `sched_setscheduler(2)`: may be or-ed to the policy.
pub const SCHED_RESET_ON_FORK: i32 = 0x4000_0000;
pub const SCHED_RT_PRIO_MIN: i32 = 1;
pub const SCHED_RT_PRIO_MAX: i32 = 99;
/// The time slice that `sched_rr_get_interval(2)` reports for `SCHED_RR`.
pub const RR_TIMESLICE_NS: u64 = 100_000_000;

pod! {
    /// `struct sched_param`.
    pub struct SchedParam {
        pub sched_priority: i32,
    }

    /// `struct sched_attr`, 56 bytes; version 0 has 48.
    pub struct SchedAttr {
        pub size: u32,
        pub sched_policy: u32,
        /// [`SchedFlags`].
        pub sched_flags: u64,
        pub sched_nice: i32,
        pub sched_priority: u32,
        pub sched_runtime: u64,
        pub sched_deadline: u64,
        pub sched_period: u64,
        pub sched_util_min: u32,
        pub sched_util_max: u32,
    }

    /// `struct rseq`, 32 bytes, 32-aligned in user space.
    pub struct Rseq {
        pub cpu_id_start: u32,
        /// The processor, or `RSEQ_CPU_ID_*`.
        pub cpu_id: u32,
        /// Address of a [`RseqCs`], or 0.
        pub rseq_cs: u64,
        pub flags: u32,
        pub node_id: u32,
        pub mm_cid: u32,
        pub _pad: u32,
    }

    /// `struct rseq_cs`, 32 bytes.
    pub struct RseqCs {
        pub version: u32,
        pub flags: u32,
        pub start_ip: u64,
        pub post_commit_offset: u64,
        pub abort_ip: u64,
    }
}

pub const SCHED_ATTR_SIZE_VER0: u32 = 48;
pub const SCHED_ATTR_SIZE_VER1: u32 = 56;

flags! {
    /// `SCHED_FLAG_*`.
    pub struct SchedFlags: u64 {
        const RESET_ON_FORK = 0x01;
        const RECLAIM = 0x02;
        const DL_OVERRUN = 0x04;
        const KEEP_POLICY = 0x08;
        const KEEP_PARAMS = 0x10;
        const UTIL_CLAMP_MIN = 0x20;
        const UTIL_CLAMP_MAX = 0x40;
    }
}

pub const RSEQ_FLAG_UNREGISTER: u32 = 1;
pub const RSEQ_CPU_ID_UNINITIALIZED: u32 = u32::MAX;
pub const RSEQ_CPU_ID_REGISTRATION_FAILED: u32 = u32::MAX - 1;
/// The length that every version takes.
pub const RSEQ_SIZE_MIN: u32 = 32;
/// Bytes in use, `AT_RSEQ_FEATURE_SIZE`.
pub const RSEQ_FEATURE_SIZE: u64 = 28;
pub const RSEQ_ALIGN: u64 = 32;

// `membarrier(2)`.
pub const MEMBARRIER_CMD_QUERY: i32 = 0;
pub const MEMBARRIER_CMD_GLOBAL: i32 = 1;
pub const MEMBARRIER_CMD_GLOBAL_EXPEDITED: i32 = 2;
pub const MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED: i32 = 4;
pub const MEMBARRIER_CMD_PRIVATE_EXPEDITED: i32 = 8;
pub const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED: i32 = 16;
pub const MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE: i32 = 32;
pub const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: i32 = 64;
pub const MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ: i32 = 128;
pub const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ: i32 = 256;
pub const MEMBARRIER_CMD_GET_REGISTRATIONS: i32 = 512;
pub const MEMBARRIER_CMD_FLAG_CPU: u32 = 1;
