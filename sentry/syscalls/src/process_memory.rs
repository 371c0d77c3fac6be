//! The memory of other processes: `process_vm_readv(2)`, `process_vm_writev(2)`.

use crate::{row::Row, rows};
use abi::{Errno, Iovec, limits::IOV_MAX};
use kernel::{
    SysResult, Task,
    access::{AccessCreds, may_access},
};
use mem::{IoDst, IoSrc, UserAddr, UserPtr};
use mm::AddressSpace;
use std::sync::Arc;

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    now PROCESS_VM_READV = process_vm_readv as (i32, UserPtr<Iovec>, usize, UserPtr<Iovec>, usize, u64);
    now PROCESS_VM_WRITEV = process_vm_writev as (i32, UserPtr<Iovec>, usize, UserPtr<Iovec>, usize, u64);
};

/// Pieces of memory.
type Pieces = Vec<(UserAddr, usize)>;

/// Both sides of a transfer; `None` where there is nothing to do.
fn sides(
    task: &Arc<Task>,
    pid: i32,
    local: (UserPtr<Iovec>, usize),
    remote: (UserPtr<Iovec>, usize),
    flags: u64,
) -> Result<Option<(Arc<AddressSpace>, Pieces, Arc<AddressSpace>, Pieces)>, Errno> {
    if flags != 0 || local.1 > IOV_MAX || remote.1 > IOV_MAX {
        return Err(Errno::EINVAL);
    }
    let own = task.mm()?;
    let pieces = |(at, count): (UserPtr<Iovec>, usize)| -> Result<Pieces, Errno> {
        let mut total = 0u64;
        let mut pieces = Pieces::new();
        for iov in at.read_array(&*own, count)? {
            total = total.checked_add(iov.iov_len).filter(|t| *t <= i64::MAX as u64).ok_or(Errno::EINVAL)?;
            pieces.push((UserAddr(iov.iov_base), usize::try_from(iov.iov_len).map_err(|_| Errno::EINVAL)?));
        }
        Ok(pieces)
    };
    let (local, remote) = (pieces(local)?, pieces(remote)?);
    if local.iter().all(|(_, len)| *len == 0) || remote.iter().all(|(_, len)| *len == 0) {
        return Ok(None);
    }
    let number = u32::try_from(pid).map_err(|_| Errno::ESRCH)?;
    let found = task.pid().namespace().and_then(|ns| ns.find(number)).ok_or(Errno::ESRCH)?;
    let target = task.kernel.tree.lock().task(found.root()).ok_or(Errno::ESRCH)?;
    may_access(task, &target, AccessCreds::Real)?;
    Ok(Some((own, local, target.mm()?, remote)))
}

fn process_vm_readv(
    task: &Arc<Task>,
    pid: i32,
    local: UserPtr<Iovec>,
    locals: usize,
    remote: UserPtr<Iovec>,
    remotes: usize,
    flags: u64,
) -> SysResult<usize> {
    let Some((own, local, other, remote)) = sides(task, pid, (local, locals), (remote, remotes), flags)?
    else {
        return Ok(0);
    };
    Ok(IoSrc::user_vec(&*other, remote).copy_to(&mut IoDst::user_vec(&*own, local))?)
}

fn process_vm_writev(
    task: &Arc<Task>,
    pid: i32,
    local: UserPtr<Iovec>,
    locals: usize,
    remote: UserPtr<Iovec>,
    remotes: usize,
    flags: u64,
) -> SysResult<usize> {
    let Some((own, local, other, remote)) = sides(task, pid, (local, locals), (remote, remotes), flags)?
    else {
        return Ok(0);
    };
    Ok(IoSrc::user_vec(&*own, local).copy_to(&mut IoDst::user_vec(&*other, remote))?)
}
