//! What a tracer may look at and change in a stopped tracee.

use super::{FpJob, RegSet, arch};
use crate::{SysResult, Task, task::Wait};
use abi::{
    Errno, SigInfo, SigSet, Signal,
    arch::{USER_DEBUGREG_OFFSET, USER_SIZE},
    process::*,
};
use ksync::Ready;
use mem::{UserAddr, UserMemory};
use platform::{Access, FpState};
use std::sync::Arc;
use zerocopy::IntoBytes;

impl Task {
    /// Eight bytes of this tracee's memory, whatever their protection. `EIO`.
    pub fn peek_memory(&self, addr: u64) -> Result<u64, Errno> {
        let mut bytes = [0u8; 8];
        let mut done = 0;
        let mm = self.mm().map_err(|_| Errno::EIO)?;
        let got = mm.with_pieces_forced(UserAddr(addr), bytes.len(), Access::READ, &mut |piece| {
            let n = piece.copy_to(bytes.get_mut(done..).unwrap_or_default());
            done += n;
            Ok(n)
        });
        if got == Ok(8) { Ok(u64::from_ne_bytes(bytes)) } else { Err(Errno::EIO) }
    }

    /// Replaces eight bytes of this tracee's memory; private pages that are protected are copied. `EIO`.
    pub fn poke_memory(&self, addr: u64, value: u64) -> Result<(), Errno> {
        let bytes = value.to_ne_bytes();
        let mut done = 0;
        let mm = self.mm().map_err(|_| Errno::EIO)?;
        let put = mm.with_pieces_forced(UserAddr(addr), bytes.len(), Access::WRITE, &mut |piece| {
            let rest = bytes.get(done..).unwrap_or_default();
            let n = rest.len().min(piece.len());
            piece.copy_from(rest.get(..n).unwrap_or_default());
            done += n;
            Ok(n)
        });
        if put == Ok(8) { Ok(()) } else { Err(Errno::EIO) }
    }

    /// A word of this tracee's `struct user`. `EIO`.
    pub fn peek_user(&self, offset: u64) -> Result<u64, Errno> {
        check_user(offset)?;
        match offset.checked_sub(USER_DEBUGREG_OFFSET) {
            Some(at) => self.peek_debug_register(at / 8),
            None => Ok(arch::peek_user(&self.regs.lock(), offset)),
        }
    }

    /// Replaces a word of this tracee's `struct user`: a register. `EIO`.
    pub fn poke_user(&self, offset: u64, value: u64) -> Result<(), Errno> {
        check_user(offset)?;
        match offset.checked_sub(USER_DEBUGREG_OFFSET) {
            Some(at) => self.poke_debug_register(at / 8, value),
            None => arch::poke_user(&mut self.regs.lock(), offset, value),
        }
    }

    /// Replaces the first registers of this tracee. `EIO`.
    pub fn set_registers(&self, bytes: &[u8]) -> Result<(), Errno> {
        arch::set_registers(&mut self.regs.lock(), bytes)
    }

    /// A register set of `target`, a stopped tracee of this thread.
    pub async fn registers_of(self: &Arc<Self>, target: &Arc<Task>, set: RegSet) -> SysResult<Vec<u8>> {
        if set == RegSet::General {
            return Ok(target.regs.lock().as_bytes().to_vec());
        }
        let mut fp = self.fp_of(target).await?.0;
        if set == RegSet::Legacy {
            fp.truncate(arch::LEGACY_SIZE);
        }
        Ok(fp)
    }

    /// Replaces a register set of `target`, a stopped tracee of this thread. `EINVAL` or `EFAULT` for a wrong length, `EINVAL` for
    /// what the CPU does not take.
    pub async fn set_registers_of(
        self: &Arc<Self>,
        target: &Arc<Task>,
        set: RegSet,
        bytes: Vec<u8>,
    ) -> SysResult<()> {
        if set == RegSet::General {
            return Ok(target.set_registers(&bytes)?);
        }
        let mut fp = self.fp_of(target).await?;
        match set {
            RegSet::Legacy => arch::set_legacy(&mut fp, &bytes)?,
            _ if bytes.len() != fp.0.len() => return Err(Errno::EFAULT.into()),
            _ => fp.0 = bytes,
        }
        match self.fp_job(target, FpJob::Store(fp)).await? {
            FpJob::Stored(result) => Ok(result?),
            _ => Err(Errno::ESRCH.into()),
        }
    }

    async fn fp_of(self: &Arc<Self>, target: &Arc<Task>) -> SysResult<FpState> {
        match self.fp_job(target, FpJob::Fetch).await? {
            FpJob::Fetched(fp) => Ok(fp),
            _ => Err(Errno::ESRCH.into()),
        }
    }

    /// Has `target` do something with its floating point state. `ESRCH` if it does not stay stopped for that.
    async fn fp_job(self: &Arc<Self>, target: &Arc<Task>, job: FpJob) -> SysResult<FpJob> {
        target.ptrace.lock().fp = job;
        target.wake();
        let done = || {
            let mut ptrace = target.ptrace.lock();
            match ptrace.fp {
                FpJob::Fetched(_) | FpJob::Stored(_) => Ok(std::mem::take(&mut ptrace.fp)),
                _ if ptrace.is_open() => Err(Errno::EAGAIN),
                _ => Err(Errno::ESRCH),
            }
        };
        self.block_on(Wait::on(&self.group.child_events, Ready::OTHER).killable(), done).await
    }

    /// `PTRACE_GETSIGINFO`: what is known of the signal or event that stopped this tracee. `EINVAL` in a stop of its process.
    pub fn stop_info(&self) -> Result<SigInfo, Errno> {
        self.ptrace.lock().stop.ok_or(Errno::ESRCH)?.info.ok_or(Errno::EINVAL)
    }

    /// `PTRACE_SETSIGINFO`.
    pub fn set_stop_info(&self, info: SigInfo) -> Result<(), Errno> {
        let mut ptrace = self.ptrace.lock();
        let stop = ptrace.stop.as_mut().ok_or(Errno::ESRCH)?;
        *stop.info.as_mut().ok_or(Errno::EINVAL)? = info;
        Ok(())
    }

    /// `PTRACE_GETEVENTMSG`.
    pub fn stop_message(&self) -> Result<u64, Errno> {
        Ok(self.ptrace.lock().stop.ok_or(Errno::ESRCH)?.message)
    }

    /// `PTRACE_GETSIGMASK`.
    pub fn traced_mask(&self) -> SigSet {
        let signals = self.signals.lock();
        signals.saved_mask.unwrap_or(signals.mask)
    }

    /// `PTRACE_SETSIGMASK`.
    pub fn set_traced_mask(&self, mask: SigSet) {
        {
            let mut signals = self.signals.lock();
            (signals.mask, signals.saved_mask) = (mask.blockable(), None);
        }
        self.set_work();
    }

    /// `PTRACE_PEEKSIGINFO`: at most `count` pending signals from the one at `from` on, of the process or the thread.
    pub fn peek_pending(&self, shared: bool, from: u64, count: usize) -> Vec<SigInfo> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let some = |pending: &crate::signal::pending::Pending| pending.iter().skip(from).take(count).copied().collect();
        if shared { some(&self.group.signals.lock().pending) } else { some(&self.signals.lock().pending) }
    }

    /// `PTRACE_SETOPTIONS`.
    pub fn set_trace_options(&self, options: PtraceOptions) {
        self.ptrace.lock().options = options;
    }

    /// `PTRACE_GET_SYSCALL_INFO`: the structure, and how much of it means something.
    pub fn syscall_info(&self) -> (PtraceSyscallInfo, usize) {
        const SYSCALL: i32 = Signal::SIGTRAP.number() | 0x80;
        const SECCOMP: i32 = Signal::SIGTRAP.number() | (PTRACE_EVENT_SECCOMP << 8) as i32;
        const HEAD: usize = 24;
        let (code, message) = {
            let stop = self.ptrace.lock().stop;
            stop.map_or((0, 0), |s| (s.info.map_or(0, |i| i.si_code), s.message))
        };
        let regs = *self.regs.lock();
        let mut info = PtraceSyscallInfo {
            op: PTRACE_SYSCALL_INFO_NONE,
            _pad: [0; 3],
            arch: abi::arch::AUDIT_ARCH,
            instruction_pointer: arch::instruction_pointer(&regs),
            stack_pointer: arch::stack_pointer(&regs),
            data: [0; 8],
        };
        let [a, b, c, d, e, f] = regs.syscall_args();
        let call = [regs.orig_rax, a, b, c, d, e, f, 0];
        let len = match (code, message) {
            (SYSCALL, PTRACE_EVENTMSG_SYSCALL_ENTRY) => {
                (info.op, info.data) = (PTRACE_SYSCALL_INFO_ENTRY, call);
                HEAD + 7 * 8
            }
            (SYSCALL, PTRACE_EVENTMSG_SYSCALL_EXIT) => {
                let (value, is_error) = arch::call_result(&regs);
                info.op = PTRACE_SYSCALL_INFO_EXIT;
                info.data = [value as u64, u64::from(is_error), 0, 0, 0, 0, 0, 0];
                HEAD + 9
            }
            (SECCOMP, data) => {
                let [nr, a, b, c, d, e, f, _] = call;
                (info.op, info.data) = (PTRACE_SYSCALL_INFO_SECCOMP, [nr, a, b, c, d, e, f, data]);
                HEAD + 7 * 8 + 4
            }
            _ => HEAD,
        };
        (info, len)
    }

    fn peek_debug_register(&self, index: u64) -> Result<u64, Errno> {
        let _ = index;
        Ok(0)
    }

    fn poke_debug_register(&self, index: u64, value: u64) -> Result<(), Errno> {
        let _ = index;
        if value == 0 { Ok(()) } else { Err(Errno::EIO) }
    }
}

/// Offsets in `struct user` that are words of it.
fn check_user(offset: u64) -> Result<(), Errno> {
    if offset.is_multiple_of(8) && offset < USER_SIZE { Ok(()) } else { Err(Errno::EIO) }
}
