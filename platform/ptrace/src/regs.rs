//! Registers between a task and its stub thread: what may be set, and what must not be believed.

use crate::{layout, sys};
use host::Result;
use platform::Regs;

/// Code segment of 64-bit user mode.
pub const USER_CS: u64 = 0x33;
/// Stack segment of user mode.
pub const USER_SS: u64 = 0x2b;
/// CF, PF, AF, ZF, SF, TF, DF, OF, RF, AC, ID: what user mode may have set.
const FLAGS: u64 = 0x25_0dd5;
/// Always set in user mode: the reserved bit and IF.
const FLAGS_SET: u64 = 0x202;

/// What would be loaded for `want`: values that the kernel or the CPU would refuse are replaced.
pub fn sanitised(want: &Regs) -> Regs {
    let mut r = *want;
    r.cs = USER_CS;
    r.ss = USER_SS;
    r.rflags = (r.rflags & FLAGS) | FLAGS_SET;
    // No call is under way, so the kernel's restart logic leaves rax and rip alone.
    r.orig_rax = u64::MAX;
    r
}

/// Gives a stopped thread the registers `want`, where they differ from `have` (what it holds now).
pub fn load(tid: i32, want: &Regs, have: &mut Regs) -> Result<()> {
    let mut new = sanitised(want);
    let segments = |r: &Regs| [r.fs_base, r.gs_base, r.ds, r.es, r.fs, r.gs];
    if segments(&new) == segments(have) {
        // Unchanged bases are left alone even if they are such as only WRFSBASE can load.
        if new != *have {
            sys::set_general_regs(tid, &new)?;
        }
    } else {
        for base in [&mut new.fs_base, &mut new.gs_base] {
            if *base >= layout::TASK_SIZE {
                *base = 0;
            }
        }
        for selector in [&mut new.ds, &mut new.es, &mut new.fs, &mut new.gs] {
            // Null or a user data segment of the GDT: not the LDT, which stubs do not have.
            if *selector > 0xffff || *selector & 7 != 3 {
                *selector = 0;
            }
        }
        sys::set_regs(tid, &new)?;
    }
    *have = new;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    #[test]
    fn layout_is_the_kernels() {
        assert_eq!(size_of::<Regs>(), size_of::<libc::user_regs_struct>());
        macro_rules! same {
            ($($field:ident)*) => {
                $(assert_eq!(offset_of!(Regs, $field), offset_of!(libc::user_regs_struct, $field));)*
            };
        }
        same!(r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs rsp ss fs_base gs_base ds es fs gs);
        assert_eq!(offset_of!(Regs, rflags), offset_of!(libc::user_regs_struct, eflags));
    }

    #[test]
    fn privilege_is_refused() {
        let r = sanitised(&Regs { rflags: u64::MAX, cs: 0x10, ss: 0, ..Regs::default() });
        assert_eq!((r.cs, r.ss), (USER_CS, USER_SS));
        // IOPL, NT, VM, VIF, VIP
        assert_eq!(r.rflags & 0x1a_7000, 0);
    }
}
