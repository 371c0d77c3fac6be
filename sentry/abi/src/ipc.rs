//! System V IPC and POSIX message queues.
#![allow(missing_docs, reason = "the names are Linux's, documented in sysvipc(7), mq_overview(7)")]

use crate::pod::pod;

pub const IPC_CREAT: u32 = 0o1000;
pub const IPC_EXCL: u32 = 0o2000;
pub const IPC_NOWAIT: u32 = 0o4000;
pub const IPC_PRIVATE: i32 = 0;
pub const IPC_RMID: i32 = 0;
pub const IPC_SET: i32 = 1;
pub const IPC_STAT: i32 = 2;
pub const IPC_INFO: i32 = 3;
/// Set by old C libraries in commands; 64-bit structures are the only ones here.
pub const IPC_64: i32 = 0x100;

pub const SHM_RDONLY: u32 = 0o10000;
pub const SHM_RND: u32 = 0o20000;
pub const SHM_REMAP: u32 = 0o40000;
pub const SHM_EXEC: u32 = 0o100_000;
pub const SHM_HUGETLB: u32 = 0o4000;
pub const SHM_NORESERVE: u32 = 0o10000;
pub const SHM_LOCK: i32 = 11;
pub const SHM_UNLOCK: i32 = 12;
pub const SHM_STAT: i32 = 13;
pub const SHM_INFO: i32 = 14;
pub const SHM_STAT_ANY: i32 = 15;
/// In the mode that `IPC_STAT` reports: goes when the last one detaches.
pub const SHM_DEST: u32 = 0o1000;
pub const SHM_LOCKED: u32 = 0o2000;
/// `shmat(2)` rounds addresses down to a multiple of this with `SHM_RND`.
pub const SHMLBA: u64 = 4096;
pub const SHMMIN: u64 = 1;
pub const SHMMNI: usize = 4096;
pub const SHMMAX: u64 = u64::MAX - (1 << 24);
pub const SHMALL: u64 = u64::MAX - (1 << 24);

pub const GETPID: i32 = 11;
pub const GETVAL: i32 = 12;
pub const GETALL: i32 = 13;
pub const GETNCNT: i32 = 14;
pub const GETZCNT: i32 = 15;
pub const SETVAL: i32 = 16;
pub const SETALL: i32 = 17;
pub const SEM_STAT: i32 = 18;
pub const SEM_INFO: i32 = 19;
pub const SEM_STAT_ANY: i32 = 20;
/// In `sem_flg`: undone when the process ends.
pub const SEM_UNDO: i16 = 0x1000;
pub const SEMMNI: usize = 32000;
pub const SEMMSL: usize = 32000;
pub const SEMMNS: usize = SEMMNI * SEMMSL;
pub const SEMOPM: usize = 500;
pub const SEMVMX: i32 = 32767;
pub const SEMAEM: i32 = SEMVMX;

pub const MSG_STAT: i32 = 11;
pub const MSG_INFO: i32 = 12;
pub const MSG_STAT_ANY: i32 = 13;
pub const MSG_NOERROR: u32 = 0o10000;
pub const MSG_EXCEPT: u32 = 0o20000;
pub const MSG_COPY: u32 = 0o40000;
pub const MSGMNI: usize = 32000;
/// The longest message.
pub const MSGMAX: usize = 8192;
/// Bytes of a queue.
pub const MSGMNB: usize = 16384;

pod! {
    /// `struct ipc64_perm`, 48 bytes.
    pub struct IpcPerm {
        pub key: i32,
        pub uid: u32,
        pub gid: u32,
        pub cuid: u32,
        pub cgid: u32,
        pub mode: u32,
        pub seq: u16,
        pub _pad0: [u16; 3],
        pub _unused: [u64; 2],
    }

    /// `struct shmid64_ds`, 112 bytes.
    pub struct ShmidDs {
        pub shm_perm: IpcPerm,
        pub shm_segsz: u64,
        pub shm_atime: i64,
        pub shm_dtime: i64,
        pub shm_ctime: i64,
        pub shm_cpid: i32,
        pub shm_lpid: i32,
        pub shm_nattch: u64,
        pub _unused: [u64; 2],
    }

    /// `struct shminfo64`, 72 bytes.
    pub struct Shminfo {
        pub shmmax: u64,
        pub shmmin: u64,
        pub shmmni: u64,
        pub shmseg: u64,
        pub shmall: u64,
        pub _unused: [u64; 4],
    }

    /// `struct shm_info`, 48 bytes.
    pub struct ShmInfo {
        pub used_ids: i32,
        pub _pad: u32,
        /// In pages.
        pub shm_tot: u64,
        pub shm_rss: u64,
        pub shm_swp: u64,
        pub swap_attempts: u64,
        pub swap_successes: u64,
    }

    /// `struct semid64_ds` of x86-64, 104 bytes.
    pub struct SemidDs {
        pub sem_perm: IpcPerm,
        pub sem_otime: i64,
        pub _unused1: u64,
        pub sem_ctime: i64,
        pub _unused2: u64,
        pub sem_nsems: u64,
        pub _unused3: [u64; 2],
    }

    /// `struct sembuf`.
    pub struct Sembuf {
        pub sem_num: u16,
        pub sem_op: i16,
        pub sem_flg: i16,
    }

    /// `struct seminfo`, 40 bytes.
    pub struct Seminfo {
        pub semmap: i32,
        pub semmni: i32,
        pub semmns: i32,
        pub semmnu: i32,
        pub semmsl: i32,
        pub semopm: i32,
        pub semume: i32,
        pub semusz: i32,
        pub semvmx: i32,
        pub semaem: i32,
    }

    /// `struct msqid64_ds`, 120 bytes.
    pub struct MsqidDs {
        pub msg_perm: IpcPerm,
        pub msg_stime: i64,
        pub msg_rtime: i64,
        pub msg_ctime: i64,
        pub msg_cbytes: u64,
        pub msg_qnum: u64,
        pub msg_qbytes: u64,
        pub msg_lspid: i32,
        pub msg_lrpid: i32,
        pub _unused: [u64; 2],
    }

    /// `struct msginfo`, 32 bytes.
    pub struct Msginfo {
        pub msgpool: i32,
        pub msgmap: i32,
        pub msgmax: i32,
        pub msgmnb: i32,
        pub msgmni: i32,
        pub msgssz: i32,
        pub msgtql: i32,
        pub msgseg: u16,
        pub _pad: u16,
    }

    /// `struct mq_attr`, 64 bytes.
    pub struct MqAttr {
        /// `O_NONBLOCK` or 0.
        pub mq_flags: i64,
        pub mq_maxmsg: i64,
        pub mq_msgsize: i64,
        pub mq_curmsgs: i64,
        pub _reserved: [i64; 4],
    }
}

/// `fs.mqueue.queues_max`.
pub const MQ_QUEUES_MAX: usize = 256;
/// `fs.mqueue.msg_max`.
pub const MQ_MSG_MAX: i64 = 10;
/// `fs.mqueue.msgsize_max`.
pub const MQ_MSGSIZE_MAX: i64 = 8192;
/// The hard limits, which `CAP_SYS_RESOURCE` does not lift.
pub const MQ_HARD_MSGMAX: i64 = 65536;
/// As [`MQ_HARD_MSGMAX`], of one message's size.
pub const MQ_HARD_MSGSIZEMAX: i64 = 16 << 20;
/// Priorities are below this.
pub const MQ_PRIO_MAX: u32 = 32768;
