//! Namespaces: `unshare(2)`, `setns(2)`, `sethostname(2)`.

use crate::{row::Row, rows};
use abi::{CloneFlags, Errno, limits::HOST_NAME_MAX, process::Cap};
use kernel::{
    SysResult, Task,
    access::{AccessCreds, may_access},
    namespaces::{NamespaceHandle, NamespaceKind, NsFile},
    pidfd::PidFd,
};
use mem::{UserAddr, UserMemoryExt};
use std::sync::Arc;
use vfs::Fd;

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    now UNSHARE = unshare as (u64) partial "no time namespaces: EINVAL";
    now SETNS = setns as (Fd, u32);
    now SETHOSTNAME = sethostname as (UserAddr, i32);
    now SETDOMAINNAME = setdomainname as (UserAddr, i32);
};

fn unshare(task: &Arc<Task>, flags: u64) -> SysResult<()> {
    Ok(task.unshare(CloneFlags::from_bits(flags).ok_or(Errno::EINVAL)?)?)
}

/// The order in which Linux joins several namespaces of a process: that of its users first, which gives the rights to the rest.
const ORDER: &[(CloneFlags, NamespaceKind)] = &[
    (CloneFlags::NEWUSER, NamespaceKind::User),
    (CloneFlags::NEWNS, NamespaceKind::Mount),
    (CloneFlags::NEWUTS, NamespaceKind::Uts),
    (CloneFlags::NEWIPC, NamespaceKind::Ipc),
    (CloneFlags::NEWPID, NamespaceKind::Pid),
    (CloneFlags::NEWCGROUP, NamespaceKind::Cgroup),
    (CloneFlags::NEWNET, NamespaceKind::Net),
    (CloneFlags::NEWTIME, NamespaceKind::Time),
];

fn setns(task: &Arc<Task>, fd: Fd, kind: u32) -> SysResult<()> {
    let file = task.file(fd)?;
    let flags = CloneFlags::from_bits(u64::from(kind)).ok_or(Errno::EINVAL)?;
    if let Some(NsFile(handle)) = file.downcast::<NsFile>() {
        if !flags.is_empty() && flags != handle.flag() {
            return Err(Errno::EINVAL.into());
        }
        return Ok(task.join_namespace(handle)?);
    }
    let pidfd = PidFd::from_file(&file).map_err(|_| Errno::EINVAL)?;
    if flags.is_empty() || !CloneFlags::NAMESPACES.contains(flags) {
        return Err(Errno::EINVAL.into());
    }
    let target = pidfd.thread()?;
    may_access(task, &target, AccessCreds::Real)?;
    // All handles first: nothing is joined where one cannot be had.
    let wanted = ORDER.iter().filter(|(flag, _)| flags.contains(*flag));
    let handles =
        wanted.map(|(_, kind)| NamespaceHandle::of_task(&target, *kind)).collect::<Result<Vec<_>, _>>()?;
    for handle in &handles {
        task.join_namespace(handle)?;
    }
    Ok(())
}

fn read_name(task: &Task, name: UserAddr, len: i32) -> Result<Vec<u8>, Errno> {
    let uts = task.namespaces().uts.clone();
    if !task.cred().has_cap_in(&uts.user_ns, Cap::SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    let len = usize::try_from(len).ok().filter(|len| *len <= HOST_NAME_MAX).ok_or(Errno::EINVAL)?;
    let mut bytes = vec![0; len];
    task.mm()?.copy_in(name, &mut bytes)?;
    // A zero ends it for everybody who reads it.
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(len);
    bytes.truncate(end);
    Ok(bytes)
}

fn sethostname(task: &Arc<Task>, name: UserAddr, len: i32) -> SysResult<()> {
    let name = read_name(task, name, len)?;
    task.namespaces().uts.names.lock().host = name;
    Ok(())
}

fn setdomainname(task: &Arc<Task>, name: UserAddr, len: i32) -> SysResult<()> {
    let name = read_name(task, name, len)?;
    task.namespaces().uts.names.lock().domain = name;
    Ok(())
}
