//! Signals: `sigaction(2)`, `kill(2)`, `sigtimedwait(2)`.

use crate::{row::Row, rows};
use abi::{
    Errno, SigInfo, SigSet, Signal, Timespec,
    process::PidfdSignalFlags,
    signal::{
        MINSIGSTKSZ, SI_TKILL, SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, SIGSET_SIZE, SaFlags, SigAction,
        SigAltStack, SigInfoLayout, SsFlags,
    },
};
use kernel::{
    SysError, SysResult, Task, ThreadGroup,
    pidfd::PidFd,
    task::{RestartBlock, Wait},
};
use mem::UserPtr;
use std::sync::Arc;
use vfs::Fd;

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    now RT_SIGACTION = rt_sigaction as (i32, UserPtr<SigAction>, UserPtr<SigAction>, usize);
    now RT_SIGPROCMASK = rt_sigprocmask as (i32, UserPtr<SigSet>, UserPtr<SigSet>, usize);
    now RT_SIGPENDING = rt_sigpending as (UserPtr<SigSet>, usize);
    later RT_SIGSUSPEND = rt_sigsuspend as (UserPtr<SigSet>, usize);
    later RT_SIGTIMEDWAIT = rt_sigtimedwait as (UserPtr<SigSet>, UserPtr<SigInfo>, UserPtr<Timespec>, usize);
    now RT_SIGQUEUEINFO = rt_sigqueueinfo as (i32, i32, UserPtr<SigInfo>);
    now RT_TGSIGQUEUEINFO = rt_tgsigqueueinfo as (i32, i32, i32, UserPtr<SigInfo>);
    now RT_SIGRETURN = rt_sigreturn as ();
    now SIGALTSTACK = sigaltstack as (UserPtr<SigAltStack>, UserPtr<SigAltStack>);
    now KILL = kill as (i32, i32);
    now TKILL = tkill as (i32, i32);
    now TGKILL = tgkill as (i32, i32, i32);
    now PIDFD_SEND_SIGNAL = pidfd_send_signal as (Fd, i32, UserPtr<SigInfo>, u32);
    later PAUSE = pause as ();
    later RESTART_SYSCALL = restart_syscall as ();
};

fn check_size(size: usize) -> Result<(), Errno> {
    if size == SIGSET_SIZE { Ok(()) } else { Err(Errno::EINVAL) }
}

/// What Linux keeps of the flags; unknown ones are taken away, so that programs can find out what there is.
const KNOWN: SaFlags = SaFlags::NOCLDSTOP
    .union(SaFlags::NOCLDWAIT)
    .union(SaFlags::SIGINFO)
    .union(SaFlags::ONSTACK)
    .union(SaFlags::RESTART)
    .union(SaFlags::NODEFER)
    .union(SaFlags::RESETHAND)
    .union(SaFlags::EXPOSE_TAGBITS)
    .union(SaFlags::RESTORER);

fn rt_sigaction(
    task: &Arc<Task>,
    signo: i32,
    new: UserPtr<SigAction>,
    old: UserPtr<SigAction>,
    size: usize,
) -> SysResult<()> {
    check_size(size)?;
    let mm = task.mm()?;
    let new = new.non_null().map(|p| p.read(&*mm)).transpose()?;
    let signal = Signal::new(signo).ok_or(Errno::EINVAL)?;
    if new.is_some() && SigSet::UNBLOCKABLE.contains(signal) {
        return Err(Errno::EINVAL.into());
    }
    let before = match new {
        Some(mut action) => {
            action.flags &= KNOWN.bits();
            action.mask = action.mask.blockable();
            task.set_signal_action(signal, action)
        }
        None => task.group.signals.lock().hand.get(signal),
    };
    Ok(old.write_opt(&*mm, &before)?)
}

fn rt_sigprocmask(
    task: &Arc<Task>,
    how: i32,
    set: UserPtr<SigSet>,
    old: UserPtr<SigSet>,
    size: usize,
) -> SysResult<()> {
    check_size(size)?;
    let mm = task.mm()?;
    let before = task.lock_signals().mask;
    if let Some(set) = set.non_null() {
        let set = set.read(&*mm)?;
        let mask = match how {
            SIG_BLOCK => before.union(set),
            SIG_UNBLOCK => before.difference(set),
            SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL.into()),
        };
        task.set_mask(mask);
    }
    Ok(old.write_opt(&*mm, &before)?)
}

fn rt_sigpending(task: &Arc<Task>, set: UserPtr<SigSet>, size: usize) -> SysResult<()> {
    if size > SIGSET_SIZE {
        return Err(Errno::EINVAL.into());
    }
    let pending = task.pending_signals();
    let bytes = pending.bits.to_le_bytes();
    let bytes = bytes.get(..size).unwrap_or_default();
    Ok(mem::UserMemoryExt::copy_out(&*task.mm()?, set.addr(), bytes)?)
}

async fn rt_sigsuspend(task: &Arc<Task>, set: UserPtr<SigSet>, size: usize) -> SysResult<u64> {
    check_size(size)?;
    let mask = set.read(&*task.mm()?)?;
    task.set_temporary_mask(mask);
    match task.wait_for_signal().await {
        Ok(never) => match never {},
        Err(e) => Err(e),
    }
}

async fn rt_sigtimedwait(
    task: &Arc<Task>,
    set: UserPtr<SigSet>,
    info: UserPtr<SigInfo>,
    timeout: UserPtr<Timespec>,
    size: usize,
) -> SysResult<i32> {
    check_size(size)?;
    let mm = task.mm()?;
    let set = set.read(&*mm)?.blockable();
    let timeout = timeout.non_null().map(|t| t.read(&*mm)?.to_duration_ns()).transpose()?;
    let take = || task.take_signal(set).ok_or(Errno::EAGAIN);
    let taken = match (take(), timeout) {
        (Ok(taken), _) => taken,
        (Err(_), Some(0)) => return Err(Errno::EAGAIN.into()),
        (Err(_), timeout) => {
            let deadline = timeout.map(|ns| task.kernel.monotonic_ns().saturating_add(ns));
            task.lock_signals().waiting_for = set;
            let result = task.block_on(Wait::until(deadline), take).await;
            task.lock_signals().waiting_for = SigSet::EMPTY;
            match result {
                Err(SysError::Errno(Errno::ETIMEDOUT)) => return Err(Errno::EAGAIN.into()),
                // Never restarted: the signal that came may have been the one to give up for.
                Err(SysError::Interrupted(_)) => return Err(Errno::EINTR.into()),
                other => other?,
            }
        }
    };
    info.write_opt(&*mm, &taken)?;
    Ok(taken.si_signo)
}

fn rt_sigreturn(task: &Arc<Task>) -> SysResult<()> {
    task.sigreturn();
    Ok(())
}

fn sigaltstack(task: &Arc<Task>, new: UserPtr<SigAltStack>, old: UserPtr<SigAltStack>) -> SysResult<()> {
    let mm = task.mm()?;
    let sp = task.regs.lock().rsp;
    let new = new.non_null().map(|p| p.read(&*mm)).transpose()?;
    let before = {
        let mut signals = task.lock_signals();
        // With SS_AUTODISARM the stack is forgotten while it is in use, so nothing is ever on it.
        let disarms = signals.alt_stack.ss_flags & SsFlags::AUTODISARM.bits() != 0;
        let on_it = !disarms && signals.on_alt_stack(sp);
        let mut before = signals.alt_stack;
        if on_it {
            before.ss_flags |= SsFlags::ONSTACK.bits();
        }
        if let Some(new) = new {
            if on_it {
                return Err(Errno::EPERM.into());
            }
            signals.alt_stack = checked_alt_stack(new, signals.alt_stack)?;
        }
        before
    };
    Ok(old.write_opt(&*mm, &before)?)
}

fn checked_alt_stack(new: SigAltStack, current: SigAltStack) -> Result<SigAltStack, Errno> {
    let mode = new.ss_flags & !SsFlags::AUTODISARM.bits();
    if mode != 0 && mode != SsFlags::DISABLE.bits() && mode != SsFlags::ONSTACK.bits() {
        return Err(Errno::EINVAL);
    }
    if mode == SsFlags::DISABLE.bits() {
        return Ok(SigAltStack { ss_sp: 0, ss_size: 0, ss_flags: new.ss_flags, ..new });
    }
    if new.ss_sp == current.ss_sp && new.ss_size == current.ss_size && new.ss_flags == current.ss_flags {
        return Ok(current);
    }
    // Whether a frame fits is seen when one is stored: its size depends on what the processor holds then.
    if new.ss_size < MINSIGSTKSZ {
        return Err(Errno::ENOMEM);
    }
    // SS_ONSTACK in a request means nothing; it would read back as if a handler ran there.
    Ok(SigAltStack { ss_flags: new.ss_flags & !SsFlags::ONSTACK.bits(), ..new })
}

/// 0 asks whether a signal could be sent; `EINVAL` for what is no signal.
fn signal_or_probe(signo: i32) -> Result<Option<Signal>, Errno> {
    if signo == 0 { Ok(None) } else { Signal::new(signo).map(Some).ok_or(Errno::EINVAL) }
}

/// Whether `task` lives outside of `target`'s pid namespace.
fn is_outside(task: &Task, target: &ThreadGroup) -> bool {
    target.pid.namespace().is_none_or(|ns| task.group.pid.number_in(ns).is_none())
}

/// Sends a signal of `kill(2)` to one process.
fn kill_one(task: &Arc<Task>, target: &Arc<ThreadGroup>, signo: i32) -> Result<(), Errno> {
    let signal = signal_or_probe(signo)?;
    task.check_kill(target, signal)?;
    match signal {
        Some(signal) => {
            target.send_signal_as(task.siginfo_to(target, signal, false), is_outside(task, target))
        }
        None => Ok(()),
    }
}

fn kill_group(task: &Arc<Task>, pgid: u32, signo: i32) -> Result<(), Errno> {
    let members = task.kernel.tree.lock().members(pgid);
    let mut result = Err(Errno::ESRCH);
    for target in &members {
        match (kill_one(task, target, signo), result) {
            (Ok(()), _) | (_, Ok(())) => result = Ok(()),
            (Err(e), Err(_)) => result = Err(e),
        }
    }
    result
}

fn kill_all(task: &Arc<Task>, signo: i32) -> Result<(), Errno> {
    let ns = task.pid_namespace();
    let everybody: Vec<_> = {
        let tree = task.kernel.tree.lock();
        let reached = |g: &Arc<ThreadGroup>| {
            g.pid.number_in(&ns).is_some_and(|n| n > 1) && !Arc::ptr_eq(g, &task.group)
        };
        tree.nodes.values().map(|n| n.group.clone()).filter(reached).collect()
    };
    if everybody.is_empty() {
        return Err(Errno::ESRCH);
    }
    let mut result = Ok(());
    for target in &everybody {
        match kill_one(task, target, signo) {
            Err(Errno::EPERM) => {}
            other => result = other,
        }
    }
    result
}

fn kill(task: &Arc<Task>, pid: i32, signo: i32) -> SysResult<()> {
    let result = match pid {
        1.. => task.find_process(pid).and_then(|target| kill_one(task, &target, signo)),
        0 => kill_group(task, task.group_and_session().0, signo),
        -1 => kill_all(task, signo),
        i32::MIN => Err(Errno::ESRCH),
        _ => task.root_number(-pid).and_then(|pgid| kill_group(task, pgid, signo)),
    };
    Ok(result?)
}

/// Sends a signal to one thread.
fn kill_thread(task: &Arc<Task>, target: &Arc<Task>, signo: i32) -> SysResult<()> {
    let signal = signal_or_probe(signo)?;
    task.check_kill(&target.group, signal)?;
    if let Some(signal) = signal {
        let info = task.siginfo_to(&target.group, signal, true);
        target.send_signal_as(info, is_outside(task, &target.group))?;
    }
    Ok(())
}

fn tkill(task: &Arc<Task>, tid: i32, signo: i32) -> SysResult<()> {
    if tid <= 0 {
        return Err(Errno::EINVAL.into());
    }
    kill_thread(task, &task.find_thread(tid)?, signo)
}

fn tgkill(task: &Arc<Task>, tgid: i32, tid: i32, signo: i32) -> SysResult<()> {
    if tgid <= 0 || tid <= 0 {
        return Err(Errno::EINVAL.into());
    }
    kill_thread(task, &task.find_thread_of(tgid, tid)?, signo)
}

/// Reads a `siginfo_t` that is to be sent to `pid`: nobody may pretend to be the kernel or `tgkill(2)`, but to itself.
fn read_info(task: &Task, pid: u32, signo: i32, info: UserPtr<SigInfo>) -> Result<SigInfo, Errno> {
    let mut info = info.read(&*task.mm()?)?;
    info.si_signo = signo;
    if (info.si_code >= 0 || info.si_code == SI_TKILL) && task.own_number() != pid {
        return Err(Errno::EPERM);
    }
    Ok(info)
}

/// Translates the sender's numbers for the receiver.
fn translated(task: &Task, target: &ThreadGroup, mut info: SigInfo) -> SigInfo {
    if matches!(info.layout(), SigInfoLayout::Kill | SigInfoLayout::Rt | SigInfoLayout::Chld) {
        let uid = task.cred().user_ns.uid(info.si_uid());
        let shown =
            target.leader_cred().zip(uid).map_or(vfs::Uid::OVERFLOW, |(c, uid)| c.user_ns.show_uid(uid));
        let pid = if is_outside(task, target) { 0 } else { info.si_pid() };
        info.set_sender(pid, shown);
    }
    info
}

fn queue(
    task: &Arc<Task>,
    target: &Arc<ThreadGroup>,
    thread: Option<&Arc<Task>>,
    info: SigInfo,
) -> SysResult<()> {
    let signal = signal_or_probe(info.si_signo)?;
    task.check_kill(target, signal)?;
    if signal.is_some() {
        let (info, outside) = (translated(task, target, info), is_outside(task, target));
        match thread {
            Some(thread) => thread.send_signal_as(info, outside)?,
            None => target.send_signal_as(info, outside)?,
        }
    }
    Ok(())
}

fn rt_sigqueueinfo(task: &Arc<Task>, pid: i32, signo: i32, info: UserPtr<SigInfo>) -> SysResult<()> {
    let info = read_info(task, pid as u32, signo, info)?;
    let target = task.find_process(pid)?;
    queue(task, &target, None, info)
}

fn rt_tgsigqueueinfo(
    task: &Arc<Task>,
    tgid: i32,
    tid: i32,
    signo: i32,
    info: UserPtr<SigInfo>,
) -> SysResult<()> {
    let info = read_info(task, tid as u32, signo, info)?;
    if tgid <= 0 || tid <= 0 {
        return Err(Errno::EINVAL.into());
    }
    let target = task.find_thread_of(tgid, tid)?;
    queue(task, &target.group, Some(&target), info)
}

fn pidfd_send_signal(
    task: &Arc<Task>,
    fd: Fd,
    signo: i32,
    info: UserPtr<SigInfo>,
    flags: u32,
) -> SysResult<()> {
    let flags = PidfdSignalFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if flags.bits().count_ones() > 1 {
        return Err(Errno::EINVAL.into());
    }
    let file = task.file(fd)?;
    let of_proc;
    let pidfd = match PidFd::from_file(&file) {
        Ok(pidfd) => pidfd,
        Err(e) => {
            of_proc = PidFd::of_process(&fs::process_of(&file).ok_or(e)??);
            &of_proc
        }
    };
    let pid = pidfd.pid()?.clone();
    if pid.number_in(&task.pid_namespace()).is_none() {
        return Err(Errno::EINVAL.into());
    }
    let thread = match flags.contains(PidfdSignalFlags::THREAD) || flags.is_empty() && pidfd.is_thread() {
        true => Some(pidfd.thread()?),
        false => None,
    };
    let info = info.non_null().map(|p| p.read(&*task.mm()?)).transpose()?;
    if let Some(info) = &info {
        if info.si_signo != signo {
            return Err(Errno::EINVAL.into());
        }
        let to_itself = Arc::ptr_eq(&pid, &task.pid());
        if !to_itself && (info.si_code >= 0 || info.si_code == SI_TKILL) {
            return Err(Errno::EPERM.into());
        }
    }
    if flags.contains(PidfdSignalFlags::PROCESS_GROUP) {
        return Ok(kill_group(task, pid.root(), signo)?);
    }
    let target = pidfd.process()?.clone();
    match (info, thread) {
        (Some(info), thread) => queue(task, &target, thread.as_ref(), info),
        (None, Some(thread)) => kill_thread(task, &thread, signo),
        (None, None) => Ok(kill_one(task, &target, signo)?),
    }
}

async fn pause(task: &Arc<Task>) -> SysResult<u64> {
    match task.wait_for_signal().await {
        Ok(never) => match never {},
        Err(e) => Err(e),
    }
}

/// Goes on with a sleep that a signal without a handler interrupted.
async fn restart_syscall(task: &Arc<Task>) -> SysResult<u64> {
    let block = task.state.lock().restart_block.take();
    match block {
        Some(RestartBlock::Sleep { deadline_ns, rem }) => {
            crate::time::sleep_until(task, deadline_ns, rem.into()).await.map(|()| 0)
        }
        Some(RestartBlock::Futex { addr, value, deadline_ns, bitset, private }) => {
            crate::futex::wait(task, addr, private, value, Some(deadline_ns), bitset).await.map(|()| 0)
        }
        Some(RestartBlock::Poll { fds, count, deadline_ns }) => {
            crate::poll::poll_until(task, fds.into(), count, deadline_ns).await.map(|ready| ready as u64)
        }
        None => Err(Errno::EINTR.into()),
    }
}
