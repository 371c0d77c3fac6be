//! The system: `uname(2)`, `sysinfo(2)`, limits and usage, `getrandom(2)`.

use crate::{row::Row, rows};
use abi::{
    Errno, Rlimit,
    arch::x86_64::UTS_MACHINE,
    limits::NR_OPEN_DEFAULT,
    process::{system::*, *},
};
use kernel::{SysResult, Task, tree::ExitStatus};
use mem::{UserAddr, UserMemoryExt, UserPtr};
use std::sync::{Arc, atomic::Ordering};

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    now UNAME = uname as (UserPtr<Utsname>);
    now SYSINFO = sysinfo as (UserPtr<Sysinfo>) partial "load averages leave out what waits for a CPU";
    now GETRLIMIT = getrlimit as (u32, UserPtr<Rlimit>);
    now SETRLIMIT = setrlimit as (u32, UserPtr<Rlimit>);
    now PRLIMIT64 = prlimit64 as (i32, u32, UserPtr<Rlimit>, UserPtr<Rlimit>);
    now GETRANDOM = getrandom as (UserAddr, usize, u32);
    now SYSLOG = syslog as (i32, UserAddr, i32) partial "the log is empty";
    now REBOOT = reboot as (u32, u32, u32, u64) partial "ends the caller's pid namespace";
    now GETCPU = getcpu as (UserPtr<u32>, UserPtr<u32>);
};

/// What applications are told that they run on.
pub const RELEASE: &str = "6.12.0-runsc-rs";
/// `uname -v`.
pub const VERSION: &str = "#1 SMP PREEMPT_DYNAMIC";

fn uname(task: &Arc<Task>, to: UserPtr<Utsname>) -> SysResult<()> {
    let names = task.namespaces().uts.names.lock().clone();
    let answer = Utsname {
        sysname: Utsname::field(b"Linux"),
        nodename: Utsname::field(&names.host),
        release: Utsname::field(RELEASE.as_bytes()),
        version: Utsname::field(VERSION.as_bytes()),
        machine: Utsname::field(UTS_MACHINE),
        domainname: Utsname::field(&names.domain),
    };
    Ok(to.write(&*task.mm()?, &answer)?)
}

/// Bits behind the point in `sysinfo.loads`.
const SI_LOAD_SHIFT: u32 = 16;

fn sysinfo(task: &Arc<Task>, to: UserPtr<Sysinfo>) -> SysResult<()> {
    let kernel = &task.kernel;
    let threads: usize = kernel.tree.lock().nodes.values().map(|n| n.threads.len()).sum();
    let answer = Sysinfo {
        uptime: (kernel.uptime_ns() / 1_000_000_000) as i64,
        loads: fs::proc::load_averages(kernel).map(|load| (load * f64::from(1 << SI_LOAD_SHIFT)) as u64),
        totalram: kernel.memory_bytes,
        freeram: kernel.memory_bytes.saturating_sub(kernel.memory.used_bytes()),
        procs: u16::try_from(threads).unwrap_or(u16::MAX),
        mem_unit: 1,
        ..Sysinfo::default()
    };
    Ok(to.write(&*task.mm()?, &answer)?)
}

fn getrlimit(task: &Arc<Task>, resource: u32, to: UserPtr<Rlimit>) -> SysResult<()> {
    let resource = Resource::from_raw(resource).ok_or(Errno::EINVAL)?;
    let limit = task.group.limits.lock().get(resource);
    Ok(to.write(&*task.mm()?, &limit)?)
}

fn setrlimit(task: &Arc<Task>, resource: u32, from: UserPtr<Rlimit>) -> SysResult<()> {
    let limit = from.read(&*task.mm()?)?;
    let resource = Resource::from_raw(resource).ok_or(Errno::EINVAL)?;
    change_limit(task, task, resource, limit)?;
    Ok(())
}

/// Replaces a limit of `target`'s process; what it was.
fn change_limit(
    task: &Arc<Task>,
    target: &Arc<Task>,
    resource: Resource,
    mut limit: Rlimit,
) -> Result<Rlimit, Errno> {
    if limit.rlim_cur > limit.rlim_max {
        return Err(Errno::EINVAL);
    }
    if resource == Resource::Nofile && limit.rlim_max > NR_OPEN_DEFAULT {
        return Err(Errno::EPERM);
    }
    if resource == Resource::Cpu && limit.rlim_cur == 0 {
        limit.rlim_cur = 1; // no time at all would be the end before it is noticed
    }
    let trusted = task.cred().has_cap(Cap::SYS_RESOURCE);
    let before = {
        let mut limits = target.group.limits.lock();
        let before = limits.get(resource);
        if limit.rlim_max > before.rlim_max && !trusted {
            return Err(Errno::EPERM);
        }
        limits.set(resource, limit);
        before
    };
    if resource == Resource::Cpu {
        target.group.watch_cpu_limit();
    }
    if let Ok(mm) = target.mm() {
        mm.set_limits(target.mm_limits());
    }
    Ok(before)
}

fn prlimit64(
    task: &Arc<Task>,
    pid: i32,
    resource: u32,
    new: UserPtr<Rlimit>,
    old: UserPtr<Rlimit>,
) -> SysResult<()> {
    let mm = task.mm()?;
    let new = new.non_null().map(|p| p.read(&*mm)).transpose()?;
    let target = task.find_thread_or_self(pid)?;
    if !Arc::ptr_eq(&target.group, &task.group) {
        let (mine, theirs) = (task.cred(), target.cred());
        let same = [theirs.ruid, theirs.euid, theirs.suid].iter().all(|id| *id == mine.ruid)
            && [theirs.rgid, theirs.egid, theirs.sgid].iter().all(|id| *id == mine.rgid);
        if !same && !mine.has_cap_in(&theirs.user_ns, Cap::SYS_RESOURCE) {
            return Err(Errno::EPERM.into());
        }
    }
    let resource = Resource::from_raw(resource).ok_or(Errno::EINVAL)?;
    let before = match new {
        Some(limit) => change_limit(task, &target, resource, limit)?,
        None => target.group.limits.lock().get(resource),
    };
    Ok(old.write_opt(&*mm, &before)?)
}

fn getrandom(task: &Arc<Task>, to: UserAddr, len: usize, flags: u32) -> SysResult<usize> {
    let flags = GetrandomFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if flags.contains(GetrandomFlags::RANDOM | GetrandomFlags::INSECURE) {
        return Err(Errno::EINVAL.into());
    }
    let len = len.min(i32::MAX as usize);
    let mm = task.mm()?;
    const CHUNK: usize = 4096;
    let mut buffer = [0u8; CHUNK];
    let mut done = 0;
    while done < len {
        let Some(chunk) = buffer.get_mut(..CHUNK.min(len - done)) else { break };
        kernel::random(chunk)?;
        match mm.copy_out_some(to.add(done as u64)?, chunk) {
            Ok(n) if n < chunk.len() => return Ok(done + n),
            Ok(n) => done += n,
            Err(_) if done > 0 => break,
            Err(e) => return Err(e.into()),
        }
        // Large requests are cut short by signals.
        if task.interrupted() {
            break;
        }
    }
    Ok(done)
}

/// Size of the ring that Linux would have.
const LOG_SIZE: u64 = 1 << 17;

fn syslog(task: &Arc<Task>, action: i32, to: UserAddr, len: i32) -> SysResult<u64> {
    let reads = matches!(action, SYSLOG_ACTION_READ_ALL | SYSLOG_ACTION_SIZE_BUFFER);
    let cred = task.cred();
    if !reads && !cred.has_cap_in(&task.kernel.root_user_ns, Cap::SYSLOG) {
        return Err(Errno::EPERM.into());
    }
    match action {
        SYSLOG_ACTION_READ | SYSLOG_ACTION_READ_ALL | SYSLOG_ACTION_READ_CLEAR if to.is_null() || len < 0 => {
            Err(Errno::EINVAL.into())
        }
        SYSLOG_ACTION_CONSOLE_LEVEL if !(1..=8).contains(&len) => Err(Errno::EINVAL.into()),
        SYSLOG_ACTION_SIZE_BUFFER => Ok(LOG_SIZE),
        // Reading would sleep until there is something: there never is.
        SYSLOG_ACTION_READ => Ok(0),
        SYSLOG_ACTION_CLOSE..=SYSLOG_ACTION_SIZE_UNREAD => Ok(0),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// Ends the pid namespace, whose first process looks killed by a signal that says how (`pid_namespaces(7)`).
fn reboot(task: &Arc<Task>, magic1: u32, magic2: u32, command: u32, _text: u64) -> SysResult<()> {
    let ns = task.pid_namespace();
    if !task.cred().has_cap_in(&ns.user_ns, Cap::SYS_BOOT) {
        return Err(Errno::EPERM.into());
    }
    let known = [LINUX_REBOOT_MAGIC2, LINUX_REBOOT_MAGIC2A, LINUX_REBOOT_MAGIC2B, LINUX_REBOOT_MAGIC2C];
    if magic1 != LINUX_REBOOT_MAGIC1 || !known.contains(&magic2) {
        return Err(Errno::EINVAL.into());
    }
    let signal = match command {
        LINUX_REBOOT_CMD_RESTART | LINUX_REBOOT_CMD_RESTART2 => abi::Signal::SIGHUP,
        LINUX_REBOOT_CMD_HALT | LINUX_REBOOT_CMD_POWER_OFF => abi::Signal::SIGINT,
        _ => return Err(Errno::EINVAL.into()),
    };
    let init = task.kernel.tree.lock().group(ns.init.load(Ordering::Acquire)).cloned();
    if let Some(init) = init {
        init.begin_exit(ExitStatus::Signal { signo: signal.number(), core: false });
    }
    task.exit_group(0);
    Ok(())
}

fn getcpu(task: &Arc<Task>, cpu: UserPtr<u32>, node: UserPtr<u32>) -> SysResult<()> {
    let mm = task.mm()?;
    cpu.write_opt(&*mm, &((task.home % task.kernel.cpus.max(1)) as u32))?;
    Ok(node.write_opt(&*mm, &0)?)
}
