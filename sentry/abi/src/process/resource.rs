//! `getrusage(2)`, `prlimit64(2)`, priorities.
#![allow(missing_docs, reason = "the names are Linux's, documented in getrlimit(2), getrusage(2)")]

use crate::pod::pod;
use crate::time::Timeval;
use serde::{Deserialize, Serialize};

pod! {
    /// `struct rusage`, 144 bytes.
    #[derive(Serialize, Deserialize)]
    pub struct Rusage {
        pub ru_utime: Timeval,
        pub ru_stime: Timeval,
        /// In KiB.
        pub ru_maxrss: i64,
        pub ru_ixrss: i64,
        pub ru_idrss: i64,
        pub ru_isrss: i64,
        pub ru_minflt: i64,
        pub ru_majflt: i64,
        pub ru_nswap: i64,
        pub ru_inblock: i64,
        pub ru_oublock: i64,
        pub ru_msgsnd: i64,
        pub ru_msgrcv: i64,
        pub ru_nsignals: i64,
        pub ru_nvcsw: i64,
        pub ru_nivcsw: i64,
    }

    /// `struct rlimit64`.
    #[derive(Serialize, Deserialize)]
    pub struct Rlimit {
        pub rlim_cur: u64,
        pub rlim_max: u64,
    }
}

pub const RUSAGE_SELF: i32 = 0;
pub const RUSAGE_CHILDREN: i32 = -1;
pub const RUSAGE_THREAD: i32 = 1;

/// No limit.
pub const RLIM_INFINITY: u64 = u64::MAX;
/// How many resources have limits.
pub const RLIM_NLIMITS: usize = 16;

impl Rlimit {
    pub const INFINITY: Rlimit = Rlimit { rlim_cur: RLIM_INFINITY, rlim_max: RLIM_INFINITY };
}

/// `RLIMIT_*`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum Resource {
    /// Seconds.
    Cpu,
    Fsize,
    Data,
    Stack,
    Core,
    Rss,
    Nproc,
    Nofile,
    Memlock,
    As,
    Locks,
    Sigpending,
    Msgqueue,
    Nice,
    Rtprio,
    /// Microseconds.
    Rttime,
}

impl Resource {
    /// All of them, in the order of their numbers.
    pub const ALL: [Resource; RLIM_NLIMITS] = [
        Resource::Cpu,
        Resource::Fsize,
        Resource::Data,
        Resource::Stack,
        Resource::Core,
        Resource::Rss,
        Resource::Nproc,
        Resource::Nofile,
        Resource::Memlock,
        Resource::As,
        Resource::Locks,
        Resource::Sigpending,
        Resource::Msgqueue,
        Resource::Nice,
        Resource::Rtprio,
        Resource::Rttime,
    ];

    /// The number.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// `None` for what `prlimit64(2)` refuses with `EINVAL`.
    pub fn from_raw(resource: u32) -> Option<Resource> {
        Resource::ALL.get(usize::try_from(resource).ok()?).copied()
    }

    /// The resource of that name, such as `RLIMIT_NOFILE` (as OCI configurations spell it).
    pub fn from_name(name: &str) -> Option<Resource> {
        let short = name.strip_prefix("RLIMIT_")?;
        Resource::ALL.into_iter().find(|resource| resource.name() == short)
    }

    /// The name without `RLIMIT_`.
    pub const fn name(self) -> &'static str {
        match self {
            Resource::Cpu => "CPU",
            Resource::Fsize => "FSIZE",
            Resource::Data => "DATA",
            Resource::Stack => "STACK",
            Resource::Core => "CORE",
            Resource::Rss => "RSS",
            Resource::Nproc => "NPROC",
            Resource::Nofile => "NOFILE",
            Resource::Memlock => "MEMLOCK",
            Resource::As => "AS",
            Resource::Locks => "LOCKS",
            Resource::Sigpending => "SIGPENDING",
            Resource::Msgqueue => "MSGQUEUE",
            Resource::Nice => "NICE",
            Resource::Rtprio => "RTPRIO",
            Resource::Rttime => "RTTIME",
        }
    }

    /// Name and unit as `/proc/*/limits` prints them; an empty unit where there is none.
    pub const fn proc_name(self) -> (&'static str, &'static str) {
        match self {
            Resource::Cpu => ("Max cpu time", "seconds"),
            Resource::Fsize => ("Max file size", "bytes"),
            Resource::Data => ("Max data size", "bytes"),
            Resource::Stack => ("Max stack size", "bytes"),
            Resource::Core => ("Max core file size", "bytes"),
            Resource::Rss => ("Max resident set", "bytes"),
            Resource::Nproc => ("Max processes", "processes"),
            Resource::Nofile => ("Max open files", "files"),
            Resource::Memlock => ("Max locked memory", "bytes"),
            Resource::As => ("Max address space", "bytes"),
            Resource::Locks => ("Max file locks", "locks"),
            Resource::Sigpending => ("Max pending signals", "signals"),
            Resource::Msgqueue => ("Max msgqueue size", "bytes"),
            Resource::Nice => ("Max nice priority", ""),
            Resource::Rtprio => ("Max realtime priority", ""),
            Resource::Rttime => ("Max realtime timeout", "us"),
        }
    }

    /// What Linux's first process has; `Nproc` and `Sigpending` depend on memory there and are set generously.
    pub const fn default_limit(self) -> Rlimit {
        let (rlim_cur, rlim_max) = match self {
            Resource::Stack => (8 << 20, RLIM_INFINITY),
            Resource::Core => (0, RLIM_INFINITY),
            Resource::Nproc | Resource::Sigpending => (0x7fff, 0x7fff),
            Resource::Nofile => (1024, 4096),
            Resource::Memlock => (8 << 20, 8 << 20),
            Resource::Msgqueue => (819_200, 819_200),
            Resource::Nice | Resource::Rtprio => (0, 0),
            _ => (RLIM_INFINITY, RLIM_INFINITY),
        };
        Rlimit { rlim_cur, rlim_max }
    }
}

// `getpriority(2)`, `setpriority(2)`.
pub const PRIO_PROCESS: i32 = 0;
pub const PRIO_PGRP: i32 = 1;
pub const PRIO_USER: i32 = 2;
pub const MIN_NICE: i32 = -20;
pub const MAX_NICE: i32 = 19;

// `ioprio_set(2)`.
pub const IOPRIO_CLASS_SHIFT: u32 = 13;
pub const IOPRIO_CLASS_NONE: u32 = 0;
pub const IOPRIO_CLASS_RT: u32 = 1;
pub const IOPRIO_CLASS_BE: u32 = 2;
pub const IOPRIO_CLASS_IDLE: u32 = 3;
/// Levels of the real-time and best-effort classes.
pub const IOPRIO_NR_LEVELS: u32 = 8;
pub const IOPRIO_WHO_PROCESS: i32 = 1;
pub const IOPRIO_WHO_PGRP: i32 = 2;
pub const IOPRIO_WHO_USER: i32 = 3;
