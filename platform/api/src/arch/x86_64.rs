//! x86-64: general registers as `struct user_regs_struct` (`<sys/user.h>`) lays them out.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// General purpose registers of an application thread.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[allow(missing_docs, reason = "the names are the CPU's")]
pub struct Regs {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    /// The system call number at a [`Trap::Syscall`](crate::Trap::Syscall); all ones when not in a call.
    pub orig_rax: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
    pub fs_base: u64,
    pub gs_base: u64,
    pub ds: u64,
    pub es: u64,
    pub fs: u64,
    pub gs: u64,
}

impl Regs {
    /// The six arguments of the system call at a [`Trap::Syscall`](crate::Trap::Syscall).
    pub fn syscall_args(&self) -> [u64; 6] {
        [self.rdi, self.rsi, self.rdx, self.r10, self.r8, self.r9]
    }
}

/// An XSAVE area in the standard (not compacted) format: 512 bytes of legacy area, a 64-byte header, extensions.
/// Its length is what the CPU reports for the features that are on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FpState(pub Vec<u8>);

/// Initial state of a CPU with no extensions: the legacy area as `FNINIT` and a reset `MXCSR` leave it, and the header.
pub(crate) fn initial_fp() -> Vec<u8> {
    let mut fp = vec![0; 576];
    for (at, value) in
        [(0, 0x7f), (1, 0x03), (24, 0x80), (25, 0x1f), (28, 0xff), (29, 0xff), (464, 3), (512, 3)]
    {
        if let Some(byte) = fp.get_mut(at) {
            *byte = value;
        }
    }
    fp
}
