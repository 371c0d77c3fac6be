//! `prctl(2)` and `arch_prctl(2)`.

use abi::{CapSet, Errno, Signal, arch::x86_64::*, limits::TASK_COMM_LEN, process::*};
use kernel::{SysResult, Task};
use mem::{UserAddr, UserMemoryExt, UserPtr};
use std::sync::Arc;
use vfs::{Credentials, Fd};

/// `EINVAL` unless all of the arguments are zero, as newer options insist.
fn unused(args: &[u64]) -> Result<(), Errno> {
    if args.iter().all(|a| *a == 0) { Ok(()) } else { Err(Errno::EINVAL) }
}

pub(super) fn prctl(task: &Arc<Task>, option: i32, a: u64, b: u64, c: u64, d: u64) -> SysResult<u64> {
    let mm = task.mm()?;
    let store = |value: i32| UserPtr::<i32>::from(a).write(&*mm, &value).map(|()| 0u64);
    Ok(match option {
        PR_SET_PDEATHSIG => {
            let signo = i32::try_from(a).ok().filter(|s| *s == 0 || Signal::new(*s).is_some());
            task.state.lock().parent_death_signal = signo.ok_or(Errno::EINVAL)?;
            0
        }
        PR_GET_PDEATHSIG => {
            let signo = task.state.lock().parent_death_signal;
            store(signo)?
        }
        PR_GET_DUMPABLE => u64::from(mm.dumpable()),
        PR_SET_DUMPABLE => {
            if a != SUID_DUMP_DISABLE && a != SUID_DUMP_USER {
                return Err(Errno::EINVAL.into());
            }
            mm.set_dumpable(a as u32);
            0
        }
        PR_SET_NAME => {
            let name = read_name(&mm, a)?;
            task.state.lock().comm = name;
            0
        }
        PR_GET_NAME => {
            let mut name = task.state.lock().comm.clone();
            name.resize(TASK_COMM_LEN, 0);
            mm.copy_out(UserAddr(a), &name)?;
            0
        }
        PR_GET_KEEPCAPS | PR_SET_KEEPCAPS | PR_GET_SECUREBITS | PR_SET_SECUREBITS | PR_CAPBSET_READ
        | PR_CAPBSET_DROP | PR_CAP_AMBIENT => capabilities(task, option, a, b, c, d)?,
        PR_GET_SECCOMP => u64::from(task.seccomp().mode()),
        PR_SET_SECCOMP => match u32::try_from(a) {
            Ok(SECCOMP_MODE_STRICT) => super::seccomp::set_strict(task)?,
            Ok(SECCOMP_MODE_FILTER) => super::seccomp::set_filter(task, 0, b)?,
            _ => return Err(Errno::EINVAL.into()),
        },
        PR_SET_NO_NEW_PRIVS => {
            unused(&[b, c, d])?;
            if a != 1 {
                return Err(Errno::EINVAL.into());
            }
            task.change_cred(|new| {
                new.no_new_privs = true;
                Ok(0)
            })?
        }
        PR_GET_NO_NEW_PRIVS => {
            unused(&[a, b, c, d])?;
            u64::from(task.cred().no_new_privs)
        }
        PR_SET_CHILD_SUBREAPER => {
            let mut tree = task.kernel.tree.lock();
            let node = tree.nodes.get_mut(&task.group.tgid()).ok_or(Errno::ESRCH)?;
            node.is_subreaper = a != 0;
            0
        }
        PR_GET_CHILD_SUBREAPER => {
            let set = task.kernel.tree.lock().nodes.get(&task.group.tgid()).is_some_and(|n| n.is_subreaper);
            store(i32::from(set))?
        }
        PR_GET_TID_ADDRESS => {
            let addr = task.state.lock().clear_child_tid;
            UserPtr::<u64>::from(a).write(&*mm, &addr)?;
            0
        }
        PR_SET_TIMERSLACK => {
            let mut attributes = task.attributes.lock();
            attributes.timer_slack_ns = if a as i64 <= 0 { attributes.default_timer_slack_ns } else { a };
            0
        }
        PR_GET_TIMERSLACK => task.attributes.lock().timer_slack_ns,
        PR_GET_TIMING => PR_TIMING_STATISTICAL,
        PR_SET_TIMING if a == PR_TIMING_STATISTICAL => 0,
        PR_GET_TSC => {
            let mode = task.attributes.lock().tsc;
            store(mode as i32)?
        }
        // Reading the time stamp counter cannot be made to fault here.
        PR_SET_TSC if a == PR_TSC_ENABLE => 0,
        PR_MCE_KILL => {
            let policy = match (a, b) {
                (PR_MCE_KILL_CLEAR, 0) => PR_MCE_KILL_DEFAULT,
                (PR_MCE_KILL_SET, PR_MCE_KILL_LATE | PR_MCE_KILL_EARLY | PR_MCE_KILL_DEFAULT) => b,
                _ => return Err(Errno::EINVAL.into()),
            };
            unused(&[c, d])?;
            task.attributes.lock().mce_kill = policy;
            0
        }
        PR_MCE_KILL_GET => {
            unused(&[a, b, c, d])?;
            task.attributes.lock().mce_kill
        }
        PR_SET_MM => set_mm(task, a, b, c, d)?,
        PR_SET_VMA => {
            if a != PR_SET_VMA_ANON_NAME {
                return Err(Errno::EINVAL.into());
            }
            let name = (d != 0).then(|| read_vma_name(&mm, d)).transpose()?;
            mm.set_anon_name(b, c, name.as_deref())?;
            0
        }
        PR_SET_THP_DISABLE => {
            unused(&[b, c, d])?;
            task.group.thp_disabled.store(a != 0, std::sync::atomic::Ordering::Relaxed);
            0
        }
        PR_GET_THP_DISABLE => {
            unused(&[a, b, c, d])?;
            u64::from(task.group.thp_disabled.load(std::sync::atomic::Ordering::Relaxed))
        }
        PR_SET_IO_FLUSHER | PR_GET_IO_FLUSHER => {
            if !task.cred().has_cap_in(&task.kernel.root_user_ns, Cap::SYS_RESOURCE) {
                return Err(Errno::EPERM.into());
            }
            unused(&[b, c, d])?;
            let mut attributes = task.attributes.lock();
            match (option, a) {
                (PR_GET_IO_FLUSHER, 0) => u64::from(attributes.io_flusher),
                (PR_SET_IO_FLUSHER, 0 | 1) => {
                    attributes.io_flusher = a == 1;
                    0
                }
                _ => return Err(Errno::EINVAL.into()),
            }
        }
        PR_GET_AUXV => {
            unused(&[c, d])?;
            let auxv = mm.info().auxv;
            let len = usize::try_from(b).unwrap_or(usize::MAX).min(auxv.len());
            mm.copy_out(UserAddr(a), auxv.get(..len).unwrap_or_default())?;
            auxv.len() as u64
        }
        PR_SET_SYSCALL_USER_DISPATCH => {
            task.set_user_dispatch(a, b, c, d)?;
            0
        }
        PR_TASK_PERF_EVENTS_DISABLE | PR_TASK_PERF_EVENTS_ENABLE => 0,
        // Without Yama there is nobody to be named.
        _ => return Err(Errno::EINVAL.into()),
    })
}

/// A thread's name: up to 15 bytes before a zero.
fn read_name(mm: &mm::AddressSpace, addr: u64) -> Result<Vec<u8>, Errno> {
    let mut name = Vec::new();
    for i in 0..TASK_COMM_LEN as u64 - 1 {
        let mut byte = [0];
        mm.copy_in(UserAddr(addr).add(i)?, &mut byte)?;
        if byte == [0] {
            break;
        }
        name.extend(byte);
    }
    Ok(name)
}

/// `EINVAL` for names of 80 bytes or more, and for what would not print well in `/proc/pid/maps`.
fn read_vma_name(mm: &mm::AddressSpace, addr: u64) -> Result<String, Errno> {
    const MAX: usize = 80;
    let name = mm.read_cstr(UserAddr(addr), MAX).map_err(|e| match e {
        Errno::ENAMETOOLONG => Errno::EINVAL,
        other => other,
    })?;
    let fine = |b: &u8| (b' '..=b'~').contains(b) && !b"\\`$[]".contains(b);
    if !name.iter().all(fine) {
        return Err(Errno::EINVAL);
    }
    String::from_utf8(name).map_err(|_| Errno::EINVAL)
}

fn securebits(cred: &Credentials) -> Securebits {
    Securebits::from_bits_retain(cred.securebits)
}

fn capabilities(task: &Task, option: i32, a: u64, b: u64, c: u64, d: u64) -> Result<u64, Errno> {
    match option {
        PR_GET_KEEPCAPS => return Ok(u64::from(securebits(&task.cred()).contains(Securebits::KEEP_CAPS))),
        PR_GET_SECUREBITS => return Ok(u64::from(task.cred().securebits)),
        PR_CAPBSET_READ => {
            let cap = Cap::new(a).ok_or(Errno::EINVAL)?;
            return Ok(u64::from(task.cred().bounding.contains(cap)));
        }
        PR_CAP_AMBIENT if a == PR_CAP_AMBIENT_IS_SET => {
            unused(&[c, d])?;
            let cap = Cap::new(b).ok_or(Errno::EINVAL)?;
            return Ok(u64::from(task.cred().ambient.contains(cap)));
        }
        _ => {}
    }
    task.change_cred(|new| {
        let bits = securebits(new);
        match option {
            PR_SET_KEEPCAPS => {
                if a > 1 {
                    return Err(Errno::EINVAL);
                }
                if bits.contains(Securebits::KEEP_CAPS_LOCKED) {
                    return Err(Errno::EPERM);
                }
                let mut bits = bits;
                bits.set(Securebits::KEEP_CAPS, a == 1);
                new.securebits = bits.bits();
            }
            PR_SET_SECUREBITS => set_securebits(new, a)?,
            PR_CAPBSET_DROP => {
                if !new.has_cap(Cap::SETPCAP) {
                    return Err(Errno::EPERM);
                }
                new.bounding.remove(Cap::new(a).ok_or(Errno::EINVAL)?);
            }
            _ => {
                unused(&[c, d])?;
                ambient(new, a, b)?;
            }
        }
        Ok(0)
    })
}

fn set_securebits(new: &mut Credentials, wanted: u64) -> Result<(), Errno> {
    let old = securebits(new);
    let wanted = u32::try_from(wanted).ok().and_then(Securebits::from_bits).ok_or(Errno::EPERM)?;
    // A lock stands right above the bit that it locks.
    let locked = Securebits::from_bits_retain((old & Securebits::LOCKS).bits() >> 1);
    let changes_locked = !((old ^ wanted) & locked).is_empty();
    let unlocks = !((old & Securebits::LOCKS) - wanted).is_empty();
    if changes_locked || unlocks || !new.has_cap(Cap::SETPCAP) {
        return Err(Errno::EPERM);
    }
    new.securebits = wanted.bits();
    Ok(())
}

fn ambient(new: &mut Credentials, what: u64, cap: u64) -> Result<(), Errno> {
    if what == PR_CAP_AMBIENT_CLEAR_ALL {
        unused(&[cap])?;
        new.ambient = CapSet::EMPTY;
        return Ok(());
    }
    let cap = Cap::new(cap).ok_or(Errno::EINVAL)?;
    match what {
        PR_CAP_AMBIENT_RAISE => {
            let held = new.permitted.contains(cap) && new.inheritable.contains(cap);
            if !held || securebits(new).contains(Securebits::NO_CAP_AMBIENT_RAISE) {
                return Err(Errno::EPERM);
            }
            new.ambient.insert(cap);
        }
        PR_CAP_AMBIENT_LOWER => new.ambient.remove(cap),
        _ => return Err(Errno::EINVAL),
    }
    Ok(())
}

/// `PR_SET_MM`: where the parts of the program are said to be.
fn set_mm(task: &Arc<Task>, what: u64, addr: u64, c: u64, d: u64) -> Result<u64, Errno> {
    unused(&[d])?;
    let mm = task.mm()?;
    if what == PR_SET_MM_MAP_SIZE {
        return UserPtr::<u32>::from(addr).write(&*mm, &(PrctlMmMap::SIZE as u32)).map(|()| 0);
    }
    if what == PR_SET_MM_MAP {
        if c != PrctlMmMap::SIZE as u64 {
            return Err(Errno::EINVAL);
        }
        let map = UserPtr::<PrctlMmMap>::from(addr).read(&*mm)?;
        return set_mm_map(task, &map).map(|()| 0);
    }
    if !task.cred().has_cap_in(&task.kernel.root_user_ns, Cap::SYS_RESOURCE) {
        return Err(Errno::EPERM);
    }
    if what == PR_SET_MM_EXE_FILE {
        set_exe(task, addr as i32)?;
        return Ok(0);
    }
    if what == PR_SET_MM_AUXV {
        let auxv = read_auxv(&mm, addr, c)?;
        mm.update_info(|info| info.auxv = auxv);
        return Ok(0);
    }
    unused(&[c])?;
    if addr >= TASK_SIZE {
        return Err(Errno::EINVAL);
    }
    let known = matches!(what, PR_SET_MM_START_CODE..=PR_SET_MM_START_STACK | PR_SET_MM_ARG_START..=PR_SET_MM_ENV_END);
    if !known || !mm.is_mapped(addr) {
        return Err(Errno::EINVAL);
    }
    mm.update_info(|info| {
        let slot = match what {
            PR_SET_MM_START_CODE => &mut info.start_code,
            PR_SET_MM_END_CODE => &mut info.end_code,
            PR_SET_MM_START_DATA => &mut info.start_data,
            PR_SET_MM_END_DATA => &mut info.end_data,
            PR_SET_MM_START_STACK => &mut info.start_stack,
            PR_SET_MM_ARG_START => &mut info.arg_start,
            PR_SET_MM_ARG_END => &mut info.arg_end,
            PR_SET_MM_ENV_START => &mut info.env_start,
            _ => &mut info.env_end,
        };
        *slot = addr;
    });
    Ok(0)
}

/// The longest auxiliary vector, `AT_VECTOR_SIZE` words.
const AUXV_MAX: u64 = 8 * 2 * (24 + 20);

fn read_auxv(mm: &mm::AddressSpace, addr: u64, len: u64) -> Result<Vec<u8>, Errno> {
    if len > AUXV_MAX {
        return Err(Errno::EINVAL);
    }
    let mut auxv = vec![0; usize::try_from(len).map_err(|_| Errno::EINVAL)?];
    mm.copy_in(UserAddr(addr), &mut auxv)?;
    Ok(auxv)
}

fn set_mm_map(task: &Arc<Task>, map: &PrctlMmMap) -> Result<(), Errno> {
    let cred = task.cred();
    if !cred.has_cap(Cap::SYS_RESOURCE) && !cred.has_cap(Cap::CHECKPOINT_RESTORE) {
        return Err(Errno::EPERM);
    }
    let places = [
        map.start_code,
        map.end_code,
        map.start_data,
        map.end_data,
        map.start_brk,
        map.brk,
        map.start_stack,
        map.arg_start,
        map.arg_end,
        map.env_start,
        map.env_end,
    ];
    let ordered = map.start_code < map.end_code
        && map.start_data <= map.end_data
        && map.start_brk <= map.brk
        && map.arg_start <= map.arg_end
        && map.env_start <= map.env_end;
    if !ordered || places.iter().any(|p| *p >= TASK_SIZE) {
        return Err(Errno::EINVAL);
    }
    let mm = task.mm()?;
    let auxv = match map.auxv_size {
        0 => None,
        size => Some(read_auxv(&mm, map.auxv, u64::from(size))?),
    };
    if map.exe_fd != u32::MAX {
        set_exe(task, map.exe_fd as i32)?;
    }
    mm.update_info(|info| {
        (info.start_code, info.end_code) = (map.start_code, map.end_code);
        (info.start_data, info.end_data) = (map.start_data, map.end_data);
        info.start_stack = map.start_stack;
        (info.arg_start, info.arg_end) = (map.arg_start, map.arg_end);
        (info.env_start, info.env_end) = (map.env_start, map.env_end);
        if let Some(auxv) = auxv {
            info.auxv = auxv;
        }
    });
    Ok(())
}

fn set_exe(task: &Arc<Task>, fd: i32) -> Result<(), Errno> {
    let file = task.file(Fd(fd))?;
    let program = vfs::ops::open::exec_path(&task.walk_context(), file.path().clone())?;
    task.mm()?.set_exe(Some(program));
    Ok(())
}

pub(super) fn arch_prctl(task: &Arc<Task>, option: u32, addr: u64) -> SysResult<u64> {
    let store = |value: u64| UserPtr::<u64>::from(addr).write(&*task.mm()?, &value);
    match option {
        ARCH_SET_FS | ARCH_SET_GS => {
            if addr >= TASK_SIZE {
                return Err(Errno::EPERM.into());
            }
            let mut regs = task.regs.lock();
            *(if option == ARCH_SET_FS { &mut regs.fs_base } else { &mut regs.gs_base }) = addr;
        }
        ARCH_GET_FS | ARCH_GET_GS => {
            let regs = *task.regs.lock();
            store(if option == ARCH_GET_FS { regs.fs_base } else { regs.gs_base })?;
        }
        // The instruction cannot be made to fault.
        ARCH_GET_CPUID => return Ok(1),
        ARCH_SET_CPUID => return Err(Errno::ENODEV.into()),
        ARCH_GET_UNTAG_MASK => store(u64::MAX)?,
        ARCH_GET_MAX_TAG_BITS => store(0)?,
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}
