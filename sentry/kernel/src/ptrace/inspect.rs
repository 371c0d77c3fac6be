//! What a tracer may look at and change in a stopped tracee.

use super::{Answer, Job, RegSet, arch};
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

    /// A word of `struct user` of `target`, a stopped tracee of this thread. `EIO`.
    pub async fn peek_user_of(self: &Arc<Self>, target: &Arc<Task>, offset: u64) -> SysResult<u64> {
        match debug_register(offset)? {
            None => Ok(arch::peek_user(&target.regs.lock(), offset)),
            Some(index) => match self.ask(target, Job::PeekDebug(index)).await? {
                Answer::Word(word) => Ok(word),
                _ => Err(Errno::ESRCH.into()),
            },
        }
    }

    /// Replaces a word of `struct user` of `target`, a stopped tracee of this thread: a register. `EIO`; `EINVAL` for what the CPU
    /// may not watch.
    pub async fn poke_user_of(
        self: &Arc<Self>,
        target: &Arc<Task>,
        offset: u64,
        value: u64,
    ) -> SysResult<()> {
        match debug_register(offset)? {
            None => Ok(arch::poke_user(&mut target.regs.lock(), offset, value)?),
            Some(index) => self.ask(target, Job::PokeDebug(index, value)).await.map(drop),
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
        self.ask(target, Job::StoreFp(fp)).await.map(drop)
    }

    async fn fp_of(self: &Arc<Self>, target: &Arc<Task>) -> SysResult<FpState> {
        match self.ask(target, Job::FetchFp).await? {
            Answer::Fp(fp) => Ok(fp),
            _ => Err(Errno::ESRCH.into()),
        }
    }

    /// Has `target` do something with its context. `ESRCH` if it does not stay stopped for that.
    async fn ask(self: &Arc<Self>, target: &Arc<Task>, job: Job) -> SysResult<Answer> {
        target.ptrace.lock().job = job;
        target.wake();
        let done = || {
            let mut ptrace = target.ptrace.lock();
            match std::mem::take(&mut ptrace.job) {
                Job::Done(result) => Ok(result),
                _ if !ptrace.is_open() => Err(Errno::ESRCH),
                waiting => {
                    ptrace.job = waiting;
                    Err(Errno::EAGAIN)
                }
            }
        };
        Ok(self.block_on(Wait::on(&self.group.child_events, Ready::OTHER).killable(), done).await??)
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
        let some = |pending: &crate::signal::pending::Pending| {
            pending.iter().skip(from).take(count).copied().collect()
        };
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
}

/// Which debug register is at `offset` of `struct user`, if any; `EIO` where there is no word of it.
fn debug_register(offset: u64) -> Result<Option<usize>, Errno> {
    // Behind the debug registers, the kernel's own structure goes on for two words more than the C library's.
    if !offset.is_multiple_of(8) || offset >= USER_SIZE + 16 {
        return Err(Errno::EIO);
    }
    let index = offset.checked_sub(USER_DEBUGREG_OFFSET).map(|at| (at / 8) as usize);
    Ok(index.filter(|index| *index < 8))
}
