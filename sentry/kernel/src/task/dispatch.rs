//! System calls handed back to user space (`prctl(2)`, `PR_SET_SYSCALL_USER_DISPATCH`): a call from outside one range of
//! code becomes `SIGSYS` while a byte of the application says so. For programs that run others' binaries (Wine).
//!
//! Belongs to a thread: a child starts without, and `execve(2)` ends it.
//! Source: Linux `kernel/entry/syscall_user_dispatch.c`, `Documentation/admin-guide/syscall-user-dispatch.rst`.

use super::Task;
use crate::{SysResult, ptrace::Hooks};
use abi::{
    Errno, SigInfo, Signal,
    arch::TASK_SIZE,
    process::{
        AUDIT_ARCH_X86_64, PR_SYS_DISPATCH_OFF, PR_SYS_DISPATCH_ON, SYSCALL_DISPATCH_FILTER_ALLOW,
        SYSCALL_DISPATCH_FILTER_BLOCK,
    },
    signal::SYS_USER_DISPATCH,
};
use mem::{UserAddr, UserMemoryExt};
use std::sync::Arc;

/// Which calls are handed back.
#[derive(Clone, Copy, Debug)]
pub struct UserDispatch {
    /// Code from here on makes calls of the kernel, for so many bytes.
    allowed: (u64, u64),
    /// The byte that says whether the others' are; none stands for always handed back.
    selector: Option<u64>,
}

impl Task {
    /// `PR_SET_SYSCALL_USER_DISPATCH`; `EINVAL`, `EFAULT` for a selector outside of user space.
    pub fn set_user_dispatch(&self, mode: u64, start: u64, len: u64, selector: u64) -> Result<(), Errno> {
        match mode {
            PR_SYS_DISPATCH_OFF if (start, len, selector) == (0, 0, 0) => {
                self.attributes.lock().user_dispatch = None;
                self.remove_hooks(Hooks::USER_DISPATCH);
            }
            PR_SYS_DISPATCH_ON => {
                if start != 0 && start.wrapping_add(len) <= start {
                    return Err(Errno::EINVAL);
                }
                if selector >= TASK_SIZE {
                    return Err(Errno::EFAULT);
                }
                let selector = Some(selector).filter(|s| *s != 0);
                self.attributes.lock().user_dispatch = Some(UserDispatch { allowed: (start, len), selector });
                self.add_hooks(Hooks::USER_DISPATCH);
            }
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }

    /// `execve(2)` ends it.
    pub(crate) fn end_user_dispatch(&self) {
        self.attributes.lock().user_dispatch = None;
        self.remove_hooks(Hooks::USER_DISPATCH);
    }

    /// Whether a call of a thread with [`Hooks::USER_DISPATCH`] is handed back: `Some` where it is not to be made.
    pub(crate) fn hand_back(self: &Arc<Self>, nr: u64) -> Option<SysResult> {
        let dispatch = self.attributes.lock().user_dispatch?;
        let at = self.regs.lock().rip;
        if at.wrapping_sub(dispatch.allowed.0) < dispatch.allowed.1 {
            return None;
        }
        let as_it_was = Some(Ok(nr));
        if let Some(selector) = dispatch.selector {
            let mut byte = [0];
            let read = self.mm().and_then(|mm| mm.copy_in(UserAddr(selector), &mut byte));
            match (read, byte) {
                (Err(_), _) => {
                    self.end_by(Signal::SIGSEGV);
                    return as_it_was;
                }
                (Ok(()), [SYSCALL_DISPATCH_FILTER_ALLOW]) => return None,
                (Ok(()), [SYSCALL_DISPATCH_FILTER_BLOCK]) => {}
                (Ok(()), _) => {
                    self.end_by(Signal::SIGSYS);
                    return as_it_was;
                }
            }
        }
        let mut info = SigInfo::sys(at, nr as i32, AUDIT_ARCH_X86_64, 0);
        info.si_code = SYS_USER_DISPATCH;
        self.force_signal(info);
        as_it_was
    }
}
