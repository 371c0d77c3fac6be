//! x86-64: system call numbers, signal frames, `arch_prctl(2)`, register sets of `ptrace(2)`.
#![allow(missing_docs, reason = "the names are Linux's, documented in arch_prctl(2) and asm/sigcontext.h")]

pub mod sigframe;
pub mod sysno;

use crate::pod::pod;
pub use sigframe::*;

// `arch_prctl(2)`.
pub const ARCH_SET_GS: u32 = 0x1001;
pub const ARCH_SET_FS: u32 = 0x1002;
pub const ARCH_GET_FS: u32 = 0x1003;
pub const ARCH_GET_GS: u32 = 0x1004;
pub const ARCH_GET_CPUID: u32 = 0x1011;
pub const ARCH_SET_CPUID: u32 = 0x1012;
pub const ARCH_GET_XCOMP_SUPP: u32 = 0x1021;
pub const ARCH_GET_XCOMP_PERM: u32 = 0x1022;
pub const ARCH_REQ_XCOMP_PERM: u32 = 0x1023;
pub const ARCH_GET_XCOMP_GUEST_PERM: u32 = 0x1024;
pub const ARCH_REQ_XCOMP_GUEST_PERM: u32 = 0x1025;
pub const ARCH_MAP_VDSO_X32: u32 = 0x2001;
pub const ARCH_MAP_VDSO_32: u32 = 0x2002;
pub const ARCH_MAP_VDSO_64: u32 = 0x2003;
pub const ARCH_GET_UNTAG_MASK: u32 = 0x4001;
pub const ARCH_ENABLE_TAGGED_ADDR: u32 = 0x4002;
pub const ARCH_GET_MAX_TAG_BITS: u32 = 0x4003;
pub const ARCH_SHSTK_ENABLE: u32 = 0x5001;
pub const ARCH_SHSTK_DISABLE: u32 = 0x5002;
pub const ARCH_SHSTK_LOCK: u32 = 0x5003;
pub const ARCH_SHSTK_UNLOCK: u32 = 0x5004;
pub const ARCH_SHSTK_STATUS: u32 = 0x5005;

/// `AT_PLATFORM`.
pub const ELF_PLATFORM: &[u8] = b"x86_64";
/// `struct utsname`'s machine.
pub const UTS_MACHINE: &[u8] = b"x86_64";
/// `AUDIT_ARCH_X86_64`, as seccomp filters see it.
pub const AUDIT_ARCH: u32 = 0xc000_003e;

/// The end of the addresses that an application may map (`TASK_SIZE_MAX`, four-level paging).
pub const TASK_SIZE: u64 = (1 << 47) - 4096;

// Selectors, as registers show them in user mode.
pub const USER_CS: u64 = 0x33;
pub const USER_DS: u64 = 0x2b;
pub const USER32_CS: u64 = 0x23;

// `rflags`.
pub const EFLAGS_CF: u64 = 1 << 0;
pub const EFLAGS_PF: u64 = 1 << 2;
pub const EFLAGS_AF: u64 = 1 << 4;
pub const EFLAGS_ZF: u64 = 1 << 6;
pub const EFLAGS_SF: u64 = 1 << 7;
pub const EFLAGS_TF: u64 = 1 << 8;
pub const EFLAGS_IF: u64 = 1 << 9;
pub const EFLAGS_DF: u64 = 1 << 10;
pub const EFLAGS_OF: u64 = 1 << 11;
pub const EFLAGS_NT: u64 = 1 << 14;
pub const EFLAGS_RF: u64 = 1 << 16;
pub const EFLAGS_AC: u64 = 1 << 18;
pub const EFLAGS_ID: u64 = 1 << 21;
/// What `rt_sigreturn(2)` and `ptrace(2)` may change (Linux: `FIX_EFLAGS`).
pub const EFLAGS_USER: u64 = EFLAGS_AC
    | EFLAGS_OF
    | EFLAGS_DF
    | EFLAGS_TF
    | EFLAGS_SF
    | EFLAGS_ZF
    | EFLAGS_AF
    | EFLAGS_PF
    | EFLAGS_CF
    | EFLAGS_RF;

pod! {
    /// `struct user_fpregs_struct`, which is the FXSAVE area: `PTRACE_GETFPREGS`. 512 bytes.
    pub struct UserFpregs {
        pub cwd: u16,
        pub swd: u16,
        pub ftw: u16,
        pub fop: u16,
        pub rip: u64,
        pub rdp: u64,
        pub mxcsr: u32,
        pub mxcr_mask: u32,
        pub st_space: [u32; 32],
        pub xmm_space: [u32; 64],
        pub padding: [u32; 24],
    }

    /// `struct user_desc` of `set_thread_area(2)` and `modify_ldt(2)`.
    pub struct UserDesc {
        pub entry_number: u32,
        pub base_addr: u32,
        pub limit: u32,
        /// Bit fields: `seg_32bit`, `contents` (2 bits), `read_exec_only`, `limit_in_pages`, `seg_not_present`,
        /// `useable`, `lm`.
        pub flags: u32,
    }
}

/// `offsetof(struct user, u_debugreg)`: where `PTRACE_PEEKUSER` finds debug registers.
pub const USER_DEBUGREG_OFFSET: u64 = 848;
/// `sizeof(struct user)`.
pub const USER_SIZE: u64 = 912;
