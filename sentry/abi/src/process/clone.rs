//! `clone(2)`, `clone3(2)`, `unshare(2)`, `setns(2)`, `pidfd_open(2)`, `kcmp(2)`.
#![allow(missing_docs, reason = "the names are Linux's, documented in clone(2), kcmp(2)")]

use crate::pod::{flags, pod};

flags! {
    /// `CLONE_*`. `clone(2)` has the exit signal in the lowest byte, which is no flag: see [`CSIGNAL`].
    pub struct CloneFlags: u64 {
        /// Also the lowest bit of the exit signal's byte in `clone(2)`: `unshare(2)` and `clone3(2)` only.
        const NEWTIME = 0x80;
        const VM = 0x100;
        const FS = 0x200;
        const FILES = 0x400;
        const SIGHAND = 0x800;
        const PIDFD = 0x1000;
        const PTRACE = 0x2000;
        const VFORK = 0x4000;
        const PARENT = 0x8000;
        const THREAD = 0x10000;
        const NEWNS = 0x20000;
        const SYSVSEM = 0x40000;
        const SETTLS = 0x80000;
        const PARENT_SETTID = 0x100000;
        const CHILD_CLEARTID = 0x200000;
        const DETACHED = 0x400000;
        const UNTRACED = 0x800000;
        const CHILD_SETTID = 0x1000000;
        const NEWCGROUP = 0x2000000;
        const NEWUTS = 0x4000000;
        const NEWIPC = 0x8000000;
        const NEWUSER = 0x10000000;
        const NEWPID = 0x20000000;
        const NEWNET = 0x40000000;
        const IO = 0x80000000;
        const CLEAR_SIGHAND = 0x100000000;
        const INTO_CGROUP = 0x200000000;
    }

    /// `PIDFD_*` of `pidfd_open(2)`.
    pub struct PidfdFlags: u32 {
        const NONBLOCK = 0o4000;
        /// `PIDFD_THREAD`: a thread, not a process.
        const THREAD = 0o200;
    }

    /// `PIDFD_SIGNAL_*` of `pidfd_send_signal(2)`.
    pub struct PidfdSignalFlags: u32 {
        const THREAD = 1;
        const THREAD_GROUP = 2;
        const PROCESS_GROUP = 4;
    }
}

/// The byte of `clone(2)`'s flags that holds the exit signal.
pub const CSIGNAL: u64 = 0xff;

impl CloneFlags {
    /// Every namespace.
    pub const NAMESPACES: CloneFlags = CloneFlags::NEWNS
        .union(CloneFlags::NEWCGROUP)
        .union(CloneFlags::NEWUTS)
        .union(CloneFlags::NEWIPC)
        .union(CloneFlags::NEWUSER)
        .union(CloneFlags::NEWPID)
        .union(CloneFlags::NEWNET)
        .union(CloneFlags::NEWTIME);
    /// What `unshare(2)` takes.
    pub const UNSHARE: CloneFlags = CloneFlags::NAMESPACES
        .union(CloneFlags::THREAD)
        .union(CloneFlags::FS)
        .union(CloneFlags::SIGHAND)
        .union(CloneFlags::VM)
        .union(CloneFlags::FILES)
        .union(CloneFlags::SYSVSEM);
}

pod! {
    /// `struct clone_args`, 88 bytes; the shorter versions end earlier, what is missing is zero.
    pub struct CloneArgs {
        /// [`CloneFlags`].
        pub flags: u64,
        /// Where to store the pidfd.
        pub pidfd: u64,
        pub child_tid: u64,
        pub parent_tid: u64,
        pub exit_signal: u64,
        /// The lowest byte of the stack.
        pub stack: u64,
        pub stack_size: u64,
        pub tls: u64,
        /// Address of an array of `pid_t`. From here on: version 1.
        pub set_tid: u64,
        pub set_tid_size: u64,
        /// Descriptor. Version 2.
        pub cgroup: u64,
    }
}

pub const CLONE_ARGS_SIZE_VER0: usize = 64;
pub const CLONE_ARGS_SIZE_VER1: usize = 80;
pub const CLONE_ARGS_SIZE_VER2: usize = 88;

// `ioctl(2)` on a pidfd: a descriptor of one of its namespaces.
pub const PIDFD_GET_CGROUP_NAMESPACE: u32 = 0xff01;
pub const PIDFD_GET_IPC_NAMESPACE: u32 = 0xff02;
pub const PIDFD_GET_MNT_NAMESPACE: u32 = 0xff03;
pub const PIDFD_GET_NET_NAMESPACE: u32 = 0xff04;
pub const PIDFD_GET_PID_NAMESPACE: u32 = 0xff05;
pub const PIDFD_GET_PID_FOR_CHILDREN_NAMESPACE: u32 = 0xff06;
pub const PIDFD_GET_TIME_NAMESPACE: u32 = 0xff07;
pub const PIDFD_GET_TIME_FOR_CHILDREN_NAMESPACE: u32 = 0xff08;
pub const PIDFD_GET_USER_NAMESPACE: u32 = 0xff09;
pub const PIDFD_GET_UTS_NAMESPACE: u32 = 0xff0a;

// `kcmp(2)`.
pub const KCMP_FILE: i32 = 0;
pub const KCMP_VM: i32 = 1;
pub const KCMP_FILES: i32 = 2;
pub const KCMP_FS: i32 = 3;
pub const KCMP_SIGHAND: i32 = 4;
pub const KCMP_IO: i32 = 5;
pub const KCMP_SYSVSEM: i32 = 6;
pub const KCMP_EPOLL_TFD: i32 = 7;

pod! {
    /// `struct kcmp_epoll_slot`.
    pub struct KcmpEpollSlot {
        pub efd: u32,
        pub tfd: u32,
        pub toff: u32,
    }
}
