//! `ptrace(2)`: decoding of its requests. What they do is in [`kernel::ptrace`].

use crate::{row::Row, rows};
use abi::{Errno, Iovec, SigInfo, SigSet, process::*};
use kernel::{
    SysResult, Task,
    ptrace::{RegSet, Resume},
};
use mem::{UserAddr, UserMemoryExt, UserPtr};
use std::sync::Arc;
use zerocopy::IntoBytes;

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    later PTRACE = ptrace as (i64, i32, u64, u64) partial
        "64-bit tracees on x86-64 only; no PTRACE_SINGLEBLOCK: EIO; no syscall user dispatch";
};

async fn ptrace(task: &Arc<Task>, request: i64, pid: i32, addr: u64, data: u64) -> SysResult<u64> {
    match request {
        PTRACE_TRACEME => task.trace_me()?,
        PTRACE_ATTACH => task.attach_to(pid, None).await?,
        PTRACE_SEIZE => {
            // Other errors than those of PTRACE_SETOPTIONS, for historical reasons.
            task.root_number(pid)?;
            let options = u32::try_from(data).ok().and_then(PtraceOptions::from_bits);
            let options = options.filter(|_| addr == 0).ok_or(Errno::EIO)?;
            check_options(task, options)?;
            task.attach_to(pid, Some(options)).await?;
        }
        PTRACE_KILL => task.find_tracee(pid)?.kill_tracee(),
        PTRACE_INTERRUPT => task.find_tracee(pid)?.interrupt_tracee()?,
        _ => return of_stopped(task, &task.find_stopped_tracee(pid)?, request, addr, data).await,
    }
    Ok(0)
}

/// Requests about a tracee that is stopped.
async fn of_stopped(
    task: &Arc<Task>,
    tracee: &Arc<Task>,
    request: i64,
    addr: u64,
    data: u64,
) -> SysResult<u64> {
    let resume = match request {
        PTRACE_CONT => Resume::Continue,
        PTRACE_SYSCALL => Resume::Syscall,
        PTRACE_SYSEMU => Resume::Emulate,
        PTRACE_SYSEMU_SINGLESTEP => Resume::EmulateStep,
        PTRACE_SINGLESTEP => Resume::Step,
        PTRACE_DETACH => {
            task.detach_from(tracee, data)?;
            return Ok(0);
        }
        PTRACE_LISTEN => {
            tracee.listen()?;
            return Ok(0);
        }
        PTRACE_GETREGS | PTRACE_SETREGS | PTRACE_GETFPREGS | PTRACE_SETFPREGS => {
            let set = match request {
                PTRACE_GETREGS | PTRACE_SETREGS => RegSet::General,
                _ => RegSet::Legacy,
            };
            let stores = matches!(request, PTRACE_SETREGS | PTRACE_SETFPREGS);
            whole_set(task, tracee, set, stores, data).await?;
            return Ok(0);
        }
        PTRACE_GETREGSET | PTRACE_SETREGSET => {
            register_set(task, tracee, RegSet::from_note(addr)?, request == PTRACE_SETREGSET, data).await?;
            return Ok(0);
        }
        PTRACE_PEEKUSR => {
            let word = task.peek_user_of(tracee, addr).await?;
            UserPtr::from(data).write(&*task.mm()?, &word)?;
            return Ok(0);
        }
        PTRACE_POKEUSR => {
            task.poke_user_of(tracee, addr, data).await?;
            return Ok(0);
        }
        _ => return at_once(task, tracee, request, addr, data),
    };
    tracee.resume_tracee(resume, data)?;
    Ok(0)
}

/// `PTRACE_GETREGS` and the like: a whole set at `data`.
async fn whole_set(
    task: &Arc<Task>,
    tracee: &Arc<Task>,
    set: RegSet,
    stores: bool,
    data: u64,
) -> SysResult<()> {
    let mm = task.mm()?;
    let mut bytes = task.registers_of(tracee, set).await?;
    if !stores {
        return Ok(mm.copy_out(UserAddr(data), &bytes)?);
    }
    mm.copy_in(UserAddr(data), &mut bytes)?;
    task.set_registers_of(tracee, set, bytes).await
}

/// `PTRACE_GETREGSET`, `PTRACE_SETREGSET`: as much of a set as the `struct iovec` at `data` has room for.
async fn register_set(
    task: &Arc<Task>,
    tracee: &Arc<Task>,
    set: RegSet,
    stores: bool,
    data: u64,
) -> SysResult<()> {
    const WORD: u64 = 8;
    let mm = task.mm()?;
    let iov: Iovec = UserPtr::from(data).read(&*mm)?;
    if !iov.iov_len.is_multiple_of(WORD) {
        return Err(Errno::EINVAL.into());
    }
    let mut bytes = task.registers_of(tracee, set).await?;
    bytes.truncate(usize::try_from(iov.iov_len).unwrap_or(usize::MAX));
    let len = bytes.len() as u64;
    if stores {
        mm.copy_in(UserAddr(iov.iov_base), &mut bytes)?;
        task.set_registers_of(tracee, set, bytes).await?;
    } else {
        mm.copy_out(UserAddr(iov.iov_base), &bytes)?;
    }
    Ok(UserPtr::from(data).write(&*mm, &Iovec { iov_len: len, ..iov })?)
}

/// Requests that need nothing of the tracee's own thread.
fn at_once(task: &Arc<Task>, tracee: &Arc<Task>, request: i64, addr: u64, data: u64) -> SysResult<u64> {
    let mm = task.mm()?;
    let word = UserPtr::<u64>::from(data);
    match request {
        PTRACE_PEEKTEXT | PTRACE_PEEKDATA => word.write(&*mm, &tracee.peek_memory(addr)?)?,
        PTRACE_POKETEXT | PTRACE_POKEDATA => tracee.poke_memory(addr, data)?,
        PTRACE_SETOPTIONS | PTRACE_OLDSETOPTIONS => {
            let options = u32::try_from(data).ok().and_then(PtraceOptions::from_bits).ok_or(Errno::EINVAL)?;
            check_options(task, options)?;
            tracee.set_trace_options(options);
        }
        PTRACE_GETEVENTMSG => word.write(&*mm, &tracee.stop_message()?)?,
        PTRACE_GETSIGINFO => UserPtr::from(data).write(&*mm, &tracee.stop_info()?)?,
        PTRACE_SETSIGINFO => tracee.set_stop_info(UserPtr::<SigInfo>::from(data).read(&*mm)?)?,
        PTRACE_PEEKSIGINFO => return peek_siginfo(task, tracee, addr, data),
        PTRACE_GETSIGMASK | PTRACE_SETSIGMASK => {
            if addr != size_of::<SigSet>() as u64 {
                return Err(Errno::EINVAL.into());
            }
            let mask = UserPtr::<SigSet>::from(data);
            match request {
                PTRACE_GETSIGMASK => mask.write(&*mm, &tracee.traced_mask())?,
                _ => tracee.set_traced_mask(mask.read(&*mm)?),
            }
        }
        PTRACE_GET_SYSCALL_INFO => {
            let (info, len) = tracee.syscall_info();
            let room = usize::try_from(addr).unwrap_or(usize::MAX);
            mm.copy_out(UserAddr(data), info.as_bytes().get(..len.min(room)).unwrap_or_default())?;
            return Ok(len as u64);
        }
        PTRACE_GET_RSEQ_CONFIGURATION => {
            let (address, signature) = tracee.state.lock().rseq;
            let configuration = PtraceRseqConfiguration {
                rseq_abi_pointer: address,
                rseq_abi_size: if address == 0 { 0 } else { 32 },
                signature,
                flags: 0,
                _pad: 0,
            };
            let bytes = configuration.as_bytes();
            let room = usize::try_from(addr).unwrap_or(usize::MAX);
            mm.copy_out(UserAddr(data), bytes.get(..bytes.len().min(room)).unwrap_or_default())?;
            return Ok(bytes.len() as u64);
        }
        PTRACE_ARCH_PRCTL => return arch_prctl(tracee, &mm, addr, data),
        PTRACE_SECCOMP_GET_FILTER | PTRACE_SECCOMP_GET_METADATA => {
            may_see_filters(task)?;
            return seccomp_filter(&mm, tracee, request, addr, data);
        }
        _ => return Err(Errno::EIO.into()),
    }
    Ok(0)
}

/// Options that not everybody may set.
fn check_options(task: &Task, options: PtraceOptions) -> Result<(), Errno> {
    if options.contains(PtraceOptions::SUSPEND_SECCOMP) {
        let admin = task.cred().has_cap_in(&task.kernel.root_user_ns, Cap::SYS_ADMIN);
        if !admin || task.seccomp().mode() != SECCOMP_MODE_DISABLED {
            return Err(Errno::EPERM);
        }
    }
    Ok(())
}

fn peek_siginfo(task: &Task, tracee: &Task, addr: u64, data: u64) -> SysResult<u64> {
    let mm = task.mm()?;
    let args: PtracePeeksiginfoArgs = UserPtr::from(addr).read(&*mm)?;
    let count = usize::try_from(args.nr).map_err(|_| Errno::EINVAL)?;
    if args.flags & !PTRACE_PEEKSIGINFO_SHARED != 0 {
        return Err(Errno::EINVAL.into());
    }
    let infos = tracee.peek_pending(args.flags & PTRACE_PEEKSIGINFO_SHARED != 0, args.off, count);
    for (at, info) in infos.iter().enumerate() {
        if let Err(e) = UserPtr::<SigInfo>::from(data).at(at)?.write(&*mm, info) {
            return if at > 0 { Ok(at as u64) } else { Err(e.into()) };
        }
    }
    Ok(infos.len() as u64)
}

/// `PTRACE_ARCH_PRCTL`: `addr` is where the value is, `data` the option.
fn arch_prctl(tracee: &Task, mm: &mm::AddressSpace, addr: u64, data: u64) -> SysResult<u64> {
    use abi::arch::{ARCH_GET_FS, ARCH_GET_GS, ARCH_SET_FS, ARCH_SET_GS, TASK_SIZE};
    let option = u32::try_from(data).map_err(|_| Errno::EINVAL)?;
    let mut regs = tracee.regs.lock();
    let base = match option {
        ARCH_GET_FS | ARCH_SET_FS => &mut regs.fs_base,
        ARCH_GET_GS | ARCH_SET_GS => &mut regs.gs_base,
        _ => return Err(Errno::EINVAL.into()),
    };
    if matches!(option, ARCH_SET_FS | ARCH_SET_GS) {
        if addr >= TASK_SIZE {
            return Err(Errno::EPERM.into());
        }
        *base = addr;
        return Ok(0);
    }
    let value = *base;
    drop(regs);
    UserPtr::from(addr).write(mm, &value)?;
    Ok(0)
}

/// Filters are shown to who has none itself and all power.
fn may_see_filters(task: &Task) -> Result<(), Errno> {
    let admin = task.cred().has_cap_in(&task.kernel.root_user_ns, Cap::SYS_ADMIN);
    if admin && task.seccomp().mode() == SECCOMP_MODE_DISABLED { Ok(()) } else { Err(Errno::EACCES) }
}

/// `PTRACE_SECCOMP_GET_FILTER`: filter `addr`, counted from the oldest; `PTRACE_SECCOMP_GET_METADATA` likewise.
fn seccomp_filter(
    mm: &mm::AddressSpace,
    tracee: &Task,
    request: i64,
    addr: u64,
    data: u64,
) -> SysResult<u64> {
    if request == PTRACE_SECCOMP_GET_METADATA {
        // `struct seccomp_metadata`: which filter, and its flags.
        if addr < 16 {
            return Err(Errno::EINVAL.into());
        }
        let index: u64 = UserPtr::from(data).read(mm)?;
        let (_, flags) = tracee.seccomp().filter_at(index)?;
        UserPtr::from(data).write(mm, &[index, u64::from(flags.bits())])?;
        return Ok(16);
    }
    let (program, _) = tracee.seccomp().filter_at(addr)?;
    if data != 0 {
        mm.copy_out(UserAddr(data), program.as_bytes())?;
    }
    Ok(program.len() as u64)
}
