//! Generic netlink: its controller, and task statistics (`Documentation/accounting/taskstats.rst`).

use crate::pod::pod;

/// The controller's message type.
pub const GENL_ID_CTRL: u16 = 0x10;
/// The longest name of a family, with its zero.
pub const GENL_NAMSIZ: usize = 16;
pub const CTRL_CMD_NEWFAMILY: u8 = 1;
pub const CTRL_CMD_GETFAMILY: u8 = 3;
pub const CTRL_ATTR_FAMILY_ID: u16 = 1;
pub const CTRL_ATTR_FAMILY_NAME: u16 = 2;
pub const CTRL_ATTR_VERSION: u16 = 3;
pub const CTRL_ATTR_HDRSIZE: u16 = 4;
pub const CTRL_ATTR_MAXATTR: u16 = 5;
pub const CTRL_ATTR_OPS: u16 = 6;
pub const CTRL_ATTR_MCAST_GROUPS: u16 = 7;
pub const CTRL_ATTR_OP_ID: u16 = 1;
pub const CTRL_ATTR_OP_FLAGS: u16 = 2;
pub const CTRL_ATTR_MCAST_GRP_NAME: u16 = 1;
pub const CTRL_ATTR_MCAST_GRP_ID: u16 = 2;
pub const GENL_ADMIN_PERM: u32 = 1;
pub const GENL_CMD_CAP_DO: u32 = 2;
pub const GENL_CMD_CAP_DUMP: u32 = 4;
pub const GENL_CMD_CAP_HASPOL: u32 = 8;

/// As of Linux 6.12.
pub const TASKSTATS_VERSION: u16 = 14;
pub const TASKSTATS_CMD_GET: u8 = 1;
pub const TASKSTATS_CMD_NEW: u8 = 2;
pub const CGROUPSTATS_CMD_GET: u8 = 4;
pub const TASKSTATS_TYPE_PID: u16 = 1;
pub const TASKSTATS_TYPE_TGID: u16 = 2;
pub const TASKSTATS_TYPE_STATS: u16 = 3;
pub const TASKSTATS_TYPE_AGGR_PID: u16 = 4;
pub const TASKSTATS_TYPE_AGGR_TGID: u16 = 5;
pub const TASKSTATS_CMD_ATTR_PID: u16 = 1;
pub const TASKSTATS_CMD_ATTR_TGID: u16 = 2;
pub const TASKSTATS_CMD_ATTR_REGISTER_CPUMASK: u16 = 3;
pub const TASKSTATS_CMD_ATTR_DEREGISTER_CPUMASK: u16 = 4;

pod! {
    /// `struct taskstats` of version 14, 432 bytes.
    pub struct Taskstats {
        pub version: u16,
        pub _pad0: [u8; 2],
        pub ac_exitcode: u32,
        pub ac_flag: u8,
        pub ac_nice: u8,
        pub _pad1: [u8; 6],
        pub cpu_count: u64,
        pub cpu_delay_total: u64,
        pub blkio_count: u64,
        pub blkio_delay_total: u64,
        pub swapin_count: u64,
        pub swapin_delay_total: u64,
        /// Nanoseconds on a CPU.
        pub cpu_run_real_total: u64,
        pub cpu_run_virtual_total: u64,
        pub ac_comm: [u8; 32],
        /// Scheduling policy.
        pub ac_sched: u8,
        pub ac_pad: [u8; 7],
        pub ac_uid: u32,
        pub ac_gid: u32,
        pub ac_pid: u32,
        pub ac_ppid: u32,
        /// Seconds since 1970 at its start.
        pub ac_btime: u32,
        pub _pad2: u32,
        /// Microseconds since its start.
        pub ac_etime: u64,
        /// Microseconds.
        pub ac_utime: u64,
        pub ac_stime: u64,
        pub ac_minflt: u64,
        pub ac_majflt: u64,
        pub coremem: u64,
        pub virtmem: u64,
        /// KiB.
        pub hiwater_rss: u64,
        pub hiwater_vm: u64,
        pub read_char: u64,
        pub write_char: u64,
        pub read_syscalls: u64,
        pub write_syscalls: u64,
        pub read_bytes: u64,
        pub write_bytes: u64,
        pub cancelled_write_bytes: u64,
        pub nvcsw: u64,
        pub nivcsw: u64,
        pub ac_utimescaled: u64,
        pub ac_stimescaled: u64,
        pub cpu_scaled_run_real_total: u64,
        pub freepages_count: u64,
        pub freepages_delay_total: u64,
        pub thrashing_count: u64,
        pub thrashing_delay_total: u64,
        pub ac_btime64: u64,
        pub compact_count: u64,
        pub compact_delay_total: u64,
        pub ac_tgid: u32,
        pub _pad3: u32,
        pub ac_tgetime: u64,
        pub ac_exe_dev: u64,
        pub ac_exe_inode: u64,
        pub wpcopy_count: u64,
        pub wpcopy_delay_total: u64,
        pub irq_count: u64,
        pub irq_delay_total: u64,
    }
}
