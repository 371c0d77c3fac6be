//! What signal delivery puts on the stack, and what `rt_sigreturn(2)` reads back.
//!
//! From low to high addresses: [`RtSigFrame`] (return address, [`UContext`], [`SigInfo`]), then the extended
//! state, 64-byte aligned, to which [`SigContext::fpstate`] points: an FXSAVE area of 512 bytes whose bytes
//! [`FPX_SW_BYTES_OFFSET`] and up hold [`FpxSwBytes`], the XSAVE header and components, and at the very end
//! [`FP_XSTATE_MAGIC2`].

use crate::pod::pod;
use crate::signal::{SigAltStack, SigInfo, SigSet};

pod! {
    /// `struct sigcontext`, 256 bytes.
    pub struct SigContext {
        pub r8: u64,
        pub r9: u64,
        pub r10: u64,
        pub r11: u64,
        pub r12: u64,
        pub r13: u64,
        pub r14: u64,
        pub r15: u64,
        pub rdi: u64,
        pub rsi: u64,
        pub rbp: u64,
        pub rbx: u64,
        pub rdx: u64,
        pub rax: u64,
        pub rcx: u64,
        pub rsp: u64,
        pub rip: u64,
        pub eflags: u64,
        pub cs: u16,
        pub gs: u16,
        pub fs: u16,
        pub ss: u16,
        /// Error code of a page fault: `PF_*`.
        pub err: u64,
        pub trapno: u64,
        /// The low word of the mask, a second time.
        pub oldmask: u64,
        /// Address of a page fault.
        pub cr2: u64,
        /// Address of the extended state, or 0.
        pub fpstate: u64,
        pub reserved1: [u64; 8],
    }

    /// `struct ucontext` of the kernel, 304 bytes.
    pub struct UContext {
        /// `UC_*`.
        pub uc_flags: u64,
        pub uc_link: u64,
        pub uc_stack: SigAltStack,
        pub uc_mcontext: SigContext,
        pub uc_sigmask: SigSet,
    }

    /// `struct rt_sigframe`, 440 bytes. Its address is 8 below a multiple of 16, as after a call.
    pub struct RtSigFrame {
        /// Where the handler returns to: the restorer.
        pub pretcode: u64,
        pub uc: UContext,
        pub info: SigInfo,
    }

    /// `struct _fpx_sw_bytes`, 48 bytes.
    pub struct FpxSwBytes {
        /// [`FP_XSTATE_MAGIC1`] where there is more than the FXSAVE area.
        pub magic1: u32,
        /// Bytes from the start of the FXSAVE area to the end of the second magic number.
        pub extended_size: u32,
        /// The components that are there, as XCR0 numbers them.
        pub xfeatures: u64,
        /// Bytes of the XSAVE area.
        pub xstate_size: u32,
        pub padding: [u32; 7],
    }
}

/// There is extended state.
pub const UC_FP_XSTATE: u64 = 1;
/// `ss` is valid.
pub const UC_SIGCONTEXT_SS: u64 = 2;
/// `ss` is to be restored as it is.
pub const UC_STRICT_RESTORE_SS: u64 = 4;

pub const FP_XSTATE_MAGIC1: u32 = 0x4650_5853;
pub const FP_XSTATE_MAGIC2: u32 = 0x4650_5845;
pub const FP_XSTATE_MAGIC2_SIZE: usize = 4;
/// Bytes of an FXSAVE area.
pub const FXSAVE_SIZE: usize = 512;
/// Where in the FXSAVE area [`FpxSwBytes`] lie.
pub const FPX_SW_BYTES_OFFSET: usize = 464;
/// What lies below the stack pointer and belongs to the function that runs.
pub const REDZONE_SIZE: u64 = 128;

// Exception numbers, `trapno`.
pub const X86_TRAP_DE: u64 = 0;
pub const X86_TRAP_DB: u64 = 1;
pub const X86_TRAP_BP: u64 = 3;
pub const X86_TRAP_OF: u64 = 4;
pub const X86_TRAP_BR: u64 = 5;
pub const X86_TRAP_UD: u64 = 6;
pub const X86_TRAP_NM: u64 = 7;
pub const X86_TRAP_DF: u64 = 8;
pub const X86_TRAP_TS: u64 = 10;
pub const X86_TRAP_NP: u64 = 11;
pub const X86_TRAP_SS: u64 = 12;
pub const X86_TRAP_GP: u64 = 13;
pub const X86_TRAP_PF: u64 = 14;
pub const X86_TRAP_MF: u64 = 16;
pub const X86_TRAP_AC: u64 = 17;
pub const X86_TRAP_MC: u64 = 18;
pub const X86_TRAP_XF: u64 = 19;

// Error code of a page fault.
/// The page was there; the access was not allowed.
pub const PF_PROT: u64 = 1;
pub const PF_WRITE: u64 = 2;
pub const PF_USER: u64 = 4;
pub const PF_INSTR: u64 = 16;
pub const PF_PK: u64 = 32;
