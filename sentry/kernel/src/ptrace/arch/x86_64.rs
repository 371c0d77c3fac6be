//! x86-64: `struct user`, register sets, the trap flag (`arch/x86/kernel/{ptrace,step}.c`).

use crate::Restart;
use abi::{
    Errno,
    arch::x86_64::{EFLAGS_TF, EFLAGS_USER, FXSAVE_SIZE, TASK_SIZE},
};
use mem::{UserAddr, UserMemory, UserMemoryExt};
use platform::{FpState, Regs};
use zerocopy::{FromBytes, IntoBytes};

/// `NT_PRSTATUS`, `NT_PRFPREG`, `NT_X86_XSTATE`: register sets of `PTRACE_GETREGSET`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegSet {
    /// General registers.
    General,
    /// Floating point registers, as `FXSAVE` lays them out.
    Legacy,
    /// All that the CPU has, as `XSAVE` does.
    Extended,
}

impl RegSet {
    /// From the type of an ELF note; `EINVAL`.
    pub fn from_note(note: u64) -> Result<Self, Errno> {
        match note {
            1 => Ok(RegSet::General),
            2 => Ok(RegSet::Legacy),
            0x202 => Ok(RegSet::Extended),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// Length of the legacy part of an XSAVE area.
pub const LEGACY_SIZE: usize = FXSAVE_SIZE;

/// Registers as they are while a call is looked at by a tracer: the result is not there yet.
pub fn begin_call(regs: &mut Regs) {
    regs.rax = (-i64::from(Errno::ENOSYS.code())) as u64;
}

/// Where the program is.
pub fn instruction_pointer(regs: &Regs) -> u64 {
    regs.rip
}

/// Where its stack is.
pub fn stack_pointer(regs: &Regs) -> u64 {
    regs.rsp
}

/// The result of a call, and whether it is an error.
pub fn call_result(regs: &Regs) -> (i64, bool) {
    let value = regs.rax as i64;
    (value, (-4095..0).contains(&value))
}

/// How a call that was cut short is restarted, if the registers say that there is one.
pub fn restart_of(regs: &Regs) -> Option<Restart> {
    let in_call = regs.orig_rax as i64 != -1;
    Restart::from_result(regs.rax).filter(|_| in_call)
}

/// Where in `struct user` the general registers end.
const USER_REGS: u64 = size_of::<Regs>() as u64;
const RFLAGS: usize = std::mem::offset_of!(Regs, rflags) / 8;
const CS: usize = std::mem::offset_of!(Regs, cs) / 8;
const SS: usize = std::mem::offset_of!(Regs, ss) / 8;
const FS_BASE: usize = std::mem::offset_of!(Regs, fs_base) / 8;
const GS_BASE: usize = std::mem::offset_of!(Regs, gs_base) / 8;
const FIRST_SELECTOR: usize = std::mem::offset_of!(Regs, ds) / 8;

/// Sets register `index` (in words of `struct user_regs_struct`); `EIO` for what user mode may not have.
fn set_register(regs: &mut Regs, index: usize, value: u64) -> Result<(), Errno> {
    let selector_ok = value & 0xffff == 0 || value & 3 == 3;
    let value = match index {
        RFLAGS => (regs.rflags & !EFLAGS_USER) | (value & EFLAGS_USER),
        CS | SS if !selector_ok || value & 0xffff == 0 => return Err(Errno::EIO),
        CS | SS => value & 0xffff,
        FS_BASE | GS_BASE if value >= TASK_SIZE => return Err(Errno::EIO),
        FIRST_SELECTOR.. if !selector_ok => return Err(Errno::EIO),
        FIRST_SELECTOR.. => value & 0xffff,
        _ => value,
    };
    let bytes = regs.as_mut_bytes().get_mut(index * 8..index * 8 + 8).ok_or(Errno::EIO)?;
    bytes.copy_from_slice(&value.to_ne_bytes());
    Ok(())
}

/// Replaces the first registers by `bytes` (a multiple of eight); those before one that is refused are set.
pub fn set_registers(regs: &mut Regs, bytes: &[u8]) -> Result<(), Errno> {
    for (index, word) in bytes.chunks_exact(8).enumerate() {
        let value = u64::from_ne_bytes(word.try_into().map_err(|_| Errno::EIO)?);
        set_register(regs, index, value)?;
    }
    Ok(())
}

/// The word of `struct user` that is at `offset`, other than debug registers.
pub fn peek_user(regs: &Regs, offset: u64) -> u64 {
    let word = regs.as_bytes().get(offset as usize..).and_then(|b| u64::read_from_prefix(b).ok());
    word.filter(|_| offset < USER_REGS).map_or(0, |(word, _)| word)
}

/// Sets a general register through `struct user`; `EIO` for the rest of the struct.
pub fn poke_user(regs: &mut Regs, offset: u64, value: u64) -> Result<(), Errno> {
    if offset >= USER_REGS {
        return Err(Errno::EIO);
    }
    set_register(regs, (offset / 8) as usize, value)
}

/// Replaces the legacy part of floating point state. `EINVAL` for reserved bits of `MXCSR`.
pub fn set_legacy(fp: &mut FpState, bytes: &[u8]) -> Result<(), Errno> {
    const SOFTWARE: usize = 464;
    if bytes.len() != LEGACY_SIZE {
        return Err(Errno::EINVAL);
    }
    // The rest is the kernel's own.
    let (Some(to), Some(from)) = (fp.0.get_mut(..SOFTWARE), bytes.get(..SOFTWARE)) else {
        return Err(Errno::EINVAL);
    };
    let mask = to.get(28..32).map_or([0; 4], |b| b.try_into().unwrap_or_default());
    to.copy_from_slice(from);
    if let Some(slot) = to.get_mut(28..32) {
        slot.copy_from_slice(&mask);
    }
    // They are in use from now on.
    if let Some(features) = fp.0.get_mut(LEGACY_SIZE) {
        *features |= 3;
    }
    Ok(())
}

/// The trap flag of the CPU for one instruction, and whether it is to be taken away again behind it: not if the program
/// has set it itself, or is about to.
pub fn begin_step(regs: &mut Regs, memory: Option<&dyn UserMemory>) -> bool {
    let set = regs.rflags & EFLAGS_TF != 0;
    regs.rflags |= EFLAGS_TF;
    !set && !memory.is_some_and(|m| sets_flags(m, regs.rip))
}

/// Takes the trap flag away.
pub fn end_step(regs: &mut Regs) {
    regs.rflags &= !EFLAGS_TF;
}

/// Whether the instruction at `rip` loads the flags (`popf`, `iret`).
fn sets_flags(memory: &dyn UserMemory, rip: u64) -> bool {
    let mut code = [0u8; 15];
    let n = memory.copy_in_some(UserAddr(rip), &mut code).unwrap_or(0);
    for byte in code.iter().take(n) {
        match byte {
            0x9d | 0xcf => return true,
            // Prefixes: segments, sizes, lock, repetition, REX.
            0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3 | 0x40..=0x4f => {}
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_user_mode_may_not_have_is_refused() {
        let mut regs = Regs { cs: 0x33, ss: 0x2b, rflags: 0x202, ..Regs::default() };
        for (offset, value) in [
            (std::mem::offset_of!(Regs, cs), 0),
            (std::mem::offset_of!(Regs, ss), 0x10),
            (std::mem::offset_of!(Regs, fs_base), TASK_SIZE),
            (std::mem::offset_of!(Regs, ds), 1),
            (size_of::<Regs>(), 0),
        ] {
            assert_eq!(poke_user(&mut regs, offset as u64, value), Err(Errno::EIO), "{offset}");
        }
        poke_user(&mut regs, (RFLAGS * 8) as u64, u64::MAX).unwrap();
        assert_eq!(regs.rflags, 0x202 | EFLAGS_USER);
        assert_eq!(peek_user(&regs, (CS * 8) as u64), 0x33);
    }

    #[test]
    fn a_result_that_asks_for_a_restart_counts_only_in_a_call() {
        let mut regs = Regs { rax: Restart::NoHandler.result(), orig_rax: 34, ..Regs::default() };
        assert_eq!(restart_of(&regs), Some(Restart::NoHandler));
        regs.orig_rax = u64::MAX;
        assert_eq!(restart_of(&regs), None);
    }
}
