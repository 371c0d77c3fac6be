//! x86-64: the frame of `arch/x86/kernel/signal_64.c`, whose layout debuggers and unwinders know.

use abi::{
    Errno, SigInfo, SigSet,
    arch::x86_64::{
        FP_XSTATE_MAGIC1, FP_XSTATE_MAGIC2, FP_XSTATE_MAGIC2_SIZE, FPX_SW_BYTES_OFFSET, FXSAVE_SIZE,
        FpxSwBytes, REDZONE_SIZE, RtSigFrame, SigContext, UC_FP_XSTATE, UC_SIGCONTEXT_SS,
        UC_STRICT_RESTORE_SS, UContext,
    },
    signal::{SaFlags, SigAction, SigAltStack, SsFlags},
};
use mem::{UserAddr, UserMemory, UserMemoryExt, UserPtr};
use platform::{FpState, Regs};
use zerocopy::{FromBytes, IntoBytes};

/// Length of the `syscall` instruction.
const SYSCALL_LEN: u64 = 2;
/// No saved state is larger: bounds what a forged frame makes us read.
const MAX_FP_SIZE: usize = 16 << 10;

/// What a frame is made from.
pub struct Interruption<'a> {
    pub info: &'a SigInfo,
    pub action: &'a SigAction,
    /// The mask to go back to.
    pub mask: SigSet,
    pub alt_stack: &'a SigAltStack,
    /// The stack pointer is on the alternate stack already.
    pub on_alt: bool,
    pub fp: &'a FpState,
}

/// What a frame held beside registers.
pub struct Restored {
    pub mask: SigSet,
    pub alt_stack: SigAltStack,
    pub fp: Option<FpState>,
}

/// Makes the instruction pointer stand before the system call again.
pub fn restart_syscall(regs: &mut Regs, through_restart_block: bool) {
    regs.rip = regs.rip.wrapping_sub(SYSCALL_LEN);
    regs.rax = if through_restart_block { u64::from(abi::sysno::RESTART_SYSCALL) } else { regs.orig_rax };
}

/// Stores a frame below the stack pointer, or on the alternate stack, and sets the registers for the handler.
pub fn push_frame(mem: &dyn UserMemory, regs: &mut Regs, int: &Interruption<'_>) -> Result<(), Errno> {
    let flags = int.action.sa_flags();
    if !flags.contains(SaFlags::RESTORER) {
        return Err(Errno::EFAULT); // the ABI of this architecture has no other way back
    }
    let mut sp = regs.rsp.wrapping_sub(REDZONE_SIZE);
    let alt = int.alt_stack;
    let mut low_end = None;
    if flags.contains(SaFlags::ONSTACK) && alt.ss_flags & SsFlags::DISABLE.bits() == 0 && alt.ss_size != 0 {
        if !int.on_alt {
            sp = alt.ss_sp.wrapping_add(alt.ss_size);
        }
        low_end = Some(alt.ss_sp);
    }
    let fp_len = frame_fp(int.fp).len();
    let fp_addr = sp.wrapping_sub((fp_len + FP_XSTATE_MAGIC2_SIZE) as u64) & !63;
    let frame_addr = (fp_addr.wrapping_sub(size_of::<RtSigFrame>() as u64) & !15).wrapping_sub(8);
    if low_end.is_some_and(|low| frame_addr < low) {
        return Err(Errno::EFAULT); // would run over the end of the alternate stack
    }
    store_fp(mem, fp_addr, int.fp)?;
    let on_alt = if int.on_alt { SsFlags::ONSTACK.bits() } else { 0 };
    let stack_flags =
        if alt.ss_flags & SsFlags::DISABLE.bits() != 0 { alt.ss_flags } else { alt.ss_flags | on_alt };
    let frame = RtSigFrame {
        pretcode: int.action.restorer,
        uc: UContext {
            uc_flags: UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
            uc_link: 0,
            uc_stack: SigAltStack { ss_flags: stack_flags, ..*alt },
            uc_mcontext: sigcontext(regs, int, fp_addr),
            uc_sigmask: int.mask,
        },
        info: *int.info,
    };
    UserPtr::<RtSigFrame>::from(frame_addr).write(mem, &frame)?;
    regs.rsp = frame_addr;
    regs.rip = int.action.handler;
    regs.rax = 0; // no vector registers hold arguments, should the handler be variadic
    regs.rdi = int.info.si_signo as u64;
    regs.rsi = frame_addr + std::mem::offset_of!(RtSigFrame, info) as u64;
    regs.rdx = frame_addr + std::mem::offset_of!(RtSigFrame, uc) as u64;
    const DIRECTION_TRAP_RESUME: u64 = 1 << 10 | 1 << 8 | 1 << 16;
    regs.rflags &= !DIRECTION_TRAP_RESUME;
    regs.orig_rax = u64::MAX;
    Ok(())
}

fn sigcontext(regs: &Regs, int: &Interruption<'_>, fpstate: u64) -> SigContext {
    let is_fault = int.info.si_code > 0 && matches!(int.info.si_signo, 7 | 11);
    SigContext {
        r8: regs.r8,
        r9: regs.r9,
        r10: regs.r10,
        r11: regs.r11,
        r12: regs.r12,
        r13: regs.r13,
        r14: regs.r14,
        r15: regs.r15,
        rdi: regs.rdi,
        rsi: regs.rsi,
        rbp: regs.rbp,
        rbx: regs.rbx,
        rdx: regs.rdx,
        rax: regs.rax,
        rcx: regs.rcx,
        rsp: regs.rsp,
        rip: regs.rip,
        eflags: regs.rflags,
        cs: regs.cs as u16,
        gs: 0,
        fs: 0,
        ss: regs.ss as u16,
        err: if is_fault { abi::arch::x86_64::PF_USER } else { 0 },
        trapno: if is_fault { abi::arch::x86_64::X86_TRAP_PF } else { 0 },
        oldmask: int.mask.bits,
        cr2: if is_fault { int.info.si_addr() } else { 0 },
        fpstate,
        reserved1: [0; 8],
    }
}

/// The part of the state that a frame holds: tiles (AMX), 8 KiB at its end, only where they are in use, because stacks of
/// `SIGSTKSZ` have no room for them.
fn frame_fp(fp: &FpState) -> &[u8] {
    /// Offset of the first tile component, and the bits of `XSTATE_BV` from it on.
    const TILES: (usize, u64) = (2752, !0 << 17);
    let header = fp.0.get(FXSAVE_SIZE..FXSAVE_SIZE + 8).and_then(|b| b.try_into().ok());
    let in_use = header.is_none_or(|b| u64::from_le_bytes(b) & TILES.1 != 0);
    fp.0.get(..TILES.0).filter(|_| !in_use).unwrap_or(&fp.0)
}

fn store_fp(mem: &dyn UserMemory, addr: u64, fp: &FpState) -> Result<(), Errno> {
    let mut bytes = frame_fp(fp).to_vec();
    let xfeatures = bytes
        .get(FXSAVE_SIZE..FXSAVE_SIZE + 8)
        .map_or(3, |b| u64::from_le_bytes(b.try_into().unwrap_or_default()));
    let words = FpxSwBytes {
        magic1: FP_XSTATE_MAGIC1,
        extended_size: (bytes.len() + FP_XSTATE_MAGIC2_SIZE) as u32,
        xfeatures,
        xstate_size: bytes.len() as u32,
        padding: [0; 7],
    };
    if let Some(slot) = bytes.get_mut(FPX_SW_BYTES_OFFSET..FXSAVE_SIZE) {
        slot.copy_from_slice(words.as_bytes());
    }
    bytes.extend_from_slice(&FP_XSTATE_MAGIC2.to_le_bytes());
    mem.copy_out(UserAddr(addr), &bytes)
}

/// Reads the frame that the stack pointer (behind the popped return address) stands on; sets `regs` to what it holds.
pub fn pop_frame(mem: &dyn UserMemory, regs: &mut Regs) -> Result<Restored, Errno> {
    let frame: RtSigFrame = UserPtr::from(regs.rsp.wrapping_sub(8)).read(mem)?;
    let c = &frame.uc.uc_mcontext;
    *regs = Regs {
        r8: c.r8,
        r9: c.r9,
        r10: c.r10,
        r11: c.r11,
        r12: c.r12,
        r13: c.r13,
        r14: c.r14,
        r15: c.r15,
        rdi: c.rdi,
        rsi: c.rsi,
        rbp: c.rbp,
        rbx: c.rbx,
        rdx: c.rdx,
        rax: c.rax,
        rcx: c.rcx,
        rsp: c.rsp,
        rip: c.rip,
        rflags: restorable_flags(regs.rflags, c.eflags),
        orig_rax: u64::MAX,
        ..*regs // segments and their bases are not taken from the frame
    };
    let mut alt_stack = frame.uc.uc_stack;
    alt_stack.ss_flags &= !SsFlags::ONSTACK.bits();
    let fp = if c.fpstate == 0 { None } else { Some(load_fp(mem, c.fpstate)?) };
    Ok(Restored { mask: frame.uc.uc_sigmask, alt_stack, fp })
}

/// Flags that a program may set for itself (Linux: `FIX_EFLAGS`).
fn restorable_flags(old: u64, new: u64) -> u64 {
    const SETTABLE: u64 = 0x5_0dd5; // AC RF OF DF TF SF ZF AF PF CF
    old & !SETTABLE | new & SETTABLE
}

fn load_fp(mem: &dyn UserMemory, addr: u64) -> Result<FpState, Errno> {
    let mut legacy = [0u8; FXSAVE_SIZE];
    mem.copy_in(UserAddr(addr), &mut legacy)?;
    let words =
        legacy.get(FPX_SW_BYTES_OFFSET..).and_then(|b| FpxSwBytes::read_from_prefix(b).ok()).map(|(w, _)| w);
    let size = match words {
        Some(w) if w.magic1 == FP_XSTATE_MAGIC1 => w.xstate_size as usize,
        _ => FXSAVE_SIZE,
    };
    if !(FXSAVE_SIZE..=MAX_FP_SIZE).contains(&size) {
        return Err(Errno::EINVAL);
    }
    let mut bytes = vec![0u8; size.max(FXSAVE_SIZE + 64)];
    if size == FXSAVE_SIZE {
        // Only x87 and SSE were saved: the header says so.
        if let Some(slot) = bytes.get_mut(..FXSAVE_SIZE) {
            slot.copy_from_slice(&legacy);
        }
        if let Some(slot) = bytes.get_mut(FXSAVE_SIZE) {
            *slot = 3;
        }
    } else {
        mem.copy_in(UserAddr(addr), &mut bytes)?;
    }
    Ok(FpState(bytes))
}
