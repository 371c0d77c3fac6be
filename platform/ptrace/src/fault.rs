//! What a stop of the application says: which trap, and of a page fault, which access.
//!
//! ptrace does not give the page fault's error code, so the access is deduced from what is known to be mapped.

use crate::{context::GENERAL_PROTECTION, layout, regs, space::Space, sys, sys::SigInfo};
use abi::Errno;
use platform::{Access, Exception, Regs, Trap};

/// `si_code`s of a page fault: nothing mapped, not permitted, protection key.
const PAGE_FAULTS: [i32; 3] = [1, 2, 4];
/// Longest instruction of x86-64.
const INSTRUCTION_MAX: u64 = 15;
/// So often a fault on a page that permits everything, or that was changed meanwhile, is taken for a race with another
/// thread.
const RETRIES: u32 = 8;

/// The last fault that made no sense, so that it is not retried for ever.
#[derive(Default)]
pub struct Retries {
    at: (u64, u64),
    last: Access,
    count: u32,
    /// [`Space::changes`] when the thread was resumed.
    pub changes: u64,
}

/// The trap of a call that was emulated.
pub fn syscall(tid: i32, regs: &mut Regs) -> Trap {
    if regs.cs != regs::USER_CS {
        // 32-bit code segment. Linux would run it; here it is an instruction that the CPU does not have.
        return Trap::Exception(GENERAL_PROTECTION);
    }
    // `syscall` leaves rip in rcx; `int 0x80` does not. Who loads rcx to deceive this gets a 64-bit call.
    if regs.rcx != regs.rip {
        let insn = sys::peek(tid, regs.rip.wrapping_sub(2)).unwrap_or(0);
        if insn & 0xffff == 0x80cd {
            regs.rip = regs.rip.wrapping_sub(2);
            // The kernel has put -ENOSYS into rax; give back the number.
            regs.rax = regs.orig_rax;
            regs.orig_rax = u64::MAX;
            return Trap::Exception(GENERAL_PROTECTION);
        }
    }
    Trap::Syscall
}

/// The trap of a signal that the CPU raised.
pub fn signal(signo: i32, info: SigInfo, regs: &mut Regs, space: &Space, retries: &mut Retries) -> Trap {
    let compat = regs.cs != regs::USER_CS;
    regs.orig_rax = u64::MAX;
    if signo == libc::SIGSEGV && PAGE_FAULTS.contains(&info.code) && !compat {
        return page_fault(info.addr, regs.rip, space, retries);
    }
    let addr = if info.code == GENERAL_PROTECTION.code { 0 } else { info.addr };
    Trap::Exception(Exception { signo, code: info.code, addr })
}

fn page_fault(addr: u64, rip: u64, space: &Space, retries: &mut Retries) -> Trap {
    if retries.at != (addr, rip) {
        *retries = Retries { at: (addr, rip), changes: retries.changes, ..Retries::default() };
    }
    let (have, changes) = space.access_at(addr);
    // Another thread's fault on the page may have been answered since this one happened: what is mapped now then says nothing
    // about which access it was.
    if changes != retries.changes && have.is_some_and(|a| !a.is_empty()) && retries.count < RETRIES {
        retries.count += 1;
        return Trap::Interrupted;
    }
    let exec = have.is_some_and(|a| a.contains(Access::EXEC));
    // The instruction at rip reaches into the next page, which is where the fault is.
    let straddles = addr.is_multiple_of(layout::PAGE) && addr > rip && addr - rip < INSTRUCTION_MAX;
    let access = match have {
        _ if addr == rip && !exec => Access::EXEC,
        None => Access::READ,
        Some(have) if have.is_empty() => Access::READ,
        Some(have) if !have.contains(Access::WRITE) => {
            // Data right behind the code, or code that may not be run: try the one, then the other.
            if straddles && !exec && retries.last == Access::WRITE { Access::EXEC } else { Access::WRITE }
        }
        Some(_) if straddles && !exec => Access::EXEC,
        Some(_) => {
            retries.count += 1;
            if !retries.count.is_multiple_of(RETRIES) {
                return Trap::Interrupted;
            }
            Access::WRITE
        }
    };
    retries.last = access;
    Trap::Fault { addr, access }
}

/// What happens to code that continues outside user addresses.
pub fn bad_rip(rip: u64) -> Trap {
    // Upper half, or the hole between the halves?
    if rip >= 0xffff_8000_0000_0000 {
        Trap::Fault { addr: rip, access: Access::EXEC }
    } else {
        Trap::Exception(GENERAL_PROTECTION)
    }
}

/// Refuses what `XRSTOR` would fault on. `initial` is a good state of this CPU.
pub fn check_fp(fp: &[u8], initial: &[u8]) -> Result<(), Errno> {
    let word = |bytes: &[u8], at: usize| {
        let bytes = bytes.get(at..at + 4).and_then(|b| b.try_into().ok());
        bytes.map(u32::from_ne_bytes).unwrap_or(0)
    };
    let long = |bytes: &[u8], at: usize| u64::from(word(bytes, at)) | u64::from(word(bytes, at + 4)) << 32;
    if fp.len() != initial.len() {
        return Err(Errno::EINVAL);
    }
    // MXCSR against its mask; XSTATE_BV against XCR0 (in the software bytes); XCOMP_BV and the header's rest zero.
    let mxcsr = word(fp, 24) & !word(initial, 28) == 0;
    let features = long(fp, 512) & !long(initial, 464) == 0;
    let header = fp.get(520..576).is_none_or(|h| h.iter().all(|&b| b == 0));
    if mxcsr && features && header { Ok(()) } else { Err(Errno::EINVAL) }
}
