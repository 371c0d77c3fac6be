//! `seccomp(2)`.

use abi::{Errno, process::*};
use kernel::{
    SysResult, Task,
    seccomp::{Program, notify::Listener},
};
use mem::{UserAddr, UserMemoryExt, UserPtr};
use std::sync::Arc;

pub(super) fn seccomp(task: &Arc<Task>, operation: u32, flags: u32, args: u64) -> SysResult<u64> {
    match operation {
        SECCOMP_SET_MODE_STRICT if flags == 0 && args == 0 => set_strict(task),
        SECCOMP_SET_MODE_FILTER => set_filter(task, flags, args),
        SECCOMP_GET_ACTION_AVAIL if flags == 0 => {
            let known = [
                SECCOMP_RET_KILL_PROCESS,
                SECCOMP_RET_KILL_THREAD,
                SECCOMP_RET_TRAP,
                SECCOMP_RET_ERRNO,
                SECCOMP_RET_TRACE,
                SECCOMP_RET_LOG,
                SECCOMP_RET_USER_NOTIF,
                SECCOMP_RET_ALLOW,
            ];
            let action = UserPtr::<u32>::from(args).read(&*task.mm()?)?;
            if known.contains(&action) { Ok(0) } else { Err(Errno::EOPNOTSUPP.into()) }
        }
        SECCOMP_GET_NOTIF_SIZES if flags == 0 => {
            let sizes = SeccompNotifSizes {
                seccomp_notif: size_of::<SeccompNotif>() as u16,
                seccomp_notif_resp: size_of::<SeccompNotifResp>() as u16,
                seccomp_data: size_of::<SeccompData>() as u16,
            };
            UserPtr::from(args).write(&*task.mm()?, &sizes)?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL.into()),
    }
}

pub(super) fn set_strict(task: &Arc<Task>) -> SysResult<u64> {
    task.enter_strict_mode()?;
    Ok(0)
}

/// Installs the program that the `struct sock_fprog` at `args` names.
pub(super) fn set_filter(task: &Arc<Task>, flags: u32, args: u64) -> SysResult<u64> {
    use SeccompFilterFlags as F;
    let flags = F::from_bits(flags).ok_or(Errno::EINVAL)?;
    // The result is a descriptor or a thread that could not be brought along, not both.
    let ambiguous = flags.contains(F::NEW_LISTENER | F::TSYNC) && !flags.contains(F::TSYNC_ESRCH);
    if ambiguous || flags.contains(F::WAIT_KILLABLE_RECV) && !flags.contains(F::NEW_LISTENER) {
        return Err(Errno::EINVAL.into());
    }
    let mm = task.mm()?;
    let program = UserPtr::<SockFprog>::from(args).read(&*mm)?;
    let len = usize::from(program.len);
    if len == 0 || len > BPF_MAXINSNS {
        return Err(Errno::EINVAL.into());
    }
    let cred = task.cred();
    if !cred.no_new_privs && !cred.has_cap(Cap::SYS_ADMIN) {
        return Err(Errno::EACCES.into());
    }
    let mut bytes = vec![0; len * size_of::<SockFilter>()];
    mm.copy_in(UserAddr(program.filter), &mut bytes)?;
    let instructions = bytes.chunks_exact(8).map(|b| match b {
        [c0, c1, jt, jf, k @ ..] => SockFilter {
            code: u16::from_le_bytes([*c0, *c1]),
            jt: *jt,
            jf: *jf,
            k: k.try_into().map_or(0, u32::from_le_bytes),
        },
        _ => SockFilter { code: 0, jt: 0, jf: 0, k: 0 },
    });
    let program = Program::new(instructions.collect())?;
    if !flags.contains(F::NEW_LISTENER) {
        return Ok(u64::from(task.add_seccomp_filter(program, flags, None)?));
    }
    let listener = Listener::new(flags.contains(F::WAIT_KILLABLE_RECV));
    let limit = task.group.limits.lock().soft(Resource::Nofile);
    let fds = task.fds()?;
    let fd = fds.add(listener.open(task), 0, limit, true)?;
    if let Err(e) = task.add_seccomp_filter(program, flags, Some(listener)) {
        let unused = fds.remove(fd);
        drop(unused);
        return Err(e.into());
    }
    Ok(fd.0 as u64)
}
