//! `ptrace(2)`, `process_vm_readv(2)`, `process_madvise(2)`.
#![allow(missing_docs, reason = "the names are Linux's, documented in ptrace(2)")]

use crate::pod::{flags, pod};

pub const PTRACE_TRACEME: i64 = 0x0;
pub const PTRACE_PEEKTEXT: i64 = 0x1;
pub const PTRACE_PEEKDATA: i64 = 0x2;
pub const PTRACE_PEEKUSR: i64 = 0x3;
pub const PTRACE_POKETEXT: i64 = 0x4;
pub const PTRACE_POKEDATA: i64 = 0x5;
pub const PTRACE_POKEUSR: i64 = 0x6;
pub const PTRACE_CONT: i64 = 0x7;
pub const PTRACE_KILL: i64 = 0x8;
pub const PTRACE_SINGLESTEP: i64 = 0x9;
pub const PTRACE_GETREGS: i64 = 0xc;
pub const PTRACE_SETREGS: i64 = 0xd;
pub const PTRACE_GETFPREGS: i64 = 0xe;
pub const PTRACE_SETFPREGS: i64 = 0xf;
pub const PTRACE_ATTACH: i64 = 0x10;
pub const PTRACE_DETACH: i64 = 0x11;
pub const PTRACE_GETFPXREGS: i64 = 0x12;
pub const PTRACE_SETFPXREGS: i64 = 0x13;
pub const PTRACE_OLDSETOPTIONS: i64 = 0x15;
pub const PTRACE_GET_THREAD_AREA: i64 = 0x19;
pub const PTRACE_SET_THREAD_AREA: i64 = 0x1a;
pub const PTRACE_ARCH_PRCTL: i64 = 0x1e;
pub const PTRACE_SYSCALL: i64 = 0x18;
pub const PTRACE_SYSEMU: i64 = 0x1f;
pub const PTRACE_SYSEMU_SINGLESTEP: i64 = 0x20;
pub const PTRACE_SINGLEBLOCK: i64 = 0x21;
pub const PTRACE_SETOPTIONS: i64 = 0x4200;
pub const PTRACE_GETEVENTMSG: i64 = 0x4201;
pub const PTRACE_GETSIGINFO: i64 = 0x4202;
pub const PTRACE_SETSIGINFO: i64 = 0x4203;
pub const PTRACE_GETREGSET: i64 = 0x4204;
pub const PTRACE_SETREGSET: i64 = 0x4205;
pub const PTRACE_SEIZE: i64 = 0x4206;
pub const PTRACE_INTERRUPT: i64 = 0x4207;
pub const PTRACE_LISTEN: i64 = 0x4208;
pub const PTRACE_PEEKSIGINFO: i64 = 0x4209;
pub const PTRACE_GETSIGMASK: i64 = 0x420a;
pub const PTRACE_SETSIGMASK: i64 = 0x420b;
pub const PTRACE_SECCOMP_GET_FILTER: i64 = 0x420c;
pub const PTRACE_SECCOMP_GET_METADATA: i64 = 0x420d;
pub const PTRACE_GET_SYSCALL_INFO: i64 = 0x420e;
pub const PTRACE_GET_RSEQ_CONFIGURATION: i64 = 0x420f;
pub const PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG: i64 = 0x4210;
pub const PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG: i64 = 0x4211;

flags! {
    /// `PTRACE_O_*`.
    pub struct PtraceOptions: u32 {
        const TRACESYSGOOD = 0x1;
        const TRACEFORK = 0x2;
        const TRACEVFORK = 0x4;
        const TRACECLONE = 0x8;
        const TRACEEXEC = 0x10;
        const TRACEVFORKDONE = 0x20;
        const TRACEEXIT = 0x40;
        const TRACESECCOMP = 0x80;
        const EXITKILL = 0x100000;
        const SUSPEND_SECCOMP = 0x200000;
    }
}

pub const PTRACE_EVENT_FORK: u32 = 1;
pub const PTRACE_EVENT_VFORK: u32 = 2;
pub const PTRACE_EVENT_CLONE: u32 = 3;
pub const PTRACE_EVENT_EXEC: u32 = 4;
pub const PTRACE_EVENT_VFORK_DONE: u32 = 5;
pub const PTRACE_EVENT_EXIT: u32 = 6;
pub const PTRACE_EVENT_SECCOMP: u32 = 7;
pub const PTRACE_EVENT_STOP: u32 = 128;
pub const PTRACE_EVENTMSG_SYSCALL_ENTRY: u64 = 1;
pub const PTRACE_EVENTMSG_SYSCALL_EXIT: u64 = 2;

pod! {
    /// `struct ptrace_peeksiginfo_args`.
    pub struct PtracePeeksiginfoArgs {
        pub off: u64,
        /// [`PTRACE_PEEKSIGINFO_SHARED`].
        pub flags: u32,
        pub nr: i32,
    }

    /// `struct ptrace_syscall_info`, 88 bytes; how `data` is read depends on `op`.
    pub struct PtraceSyscallInfo {
        /// `PTRACE_SYSCALL_INFO_*`.
        pub op: u8,
        pub _pad: [u8; 3],
        /// `AUDIT_ARCH_*`.
        pub arch: u32,
        pub instruction_pointer: u64,
        pub stack_pointer: u64,
        /// Entry and seccomp: the number and six arguments (seccomp: then the filter's data). Exit: the result,
        /// then one byte that says whether it is an error.
        pub data: [u64; 8],
    }

    /// `struct ptrace_rseq_configuration`.
    pub struct PtraceRseqConfiguration {
        pub rseq_abi_pointer: u64,
        pub rseq_abi_size: u32,
        pub signature: u32,
        pub flags: u32,
        pub _pad: u32,
    }
}

pub const PTRACE_PEEKSIGINFO_SHARED: u32 = 1;
pub const PTRACE_SYSCALL_INFO_NONE: u8 = 0;
pub const PTRACE_SYSCALL_INFO_ENTRY: u8 = 1;
pub const PTRACE_SYSCALL_INFO_EXIT: u8 = 2;
pub const PTRACE_SYSCALL_INFO_SECCOMP: u8 = 3;
