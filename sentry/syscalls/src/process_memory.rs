//! The memory of other processes: `process_vm_readv(2)`, `process_vm_writev(2)`, `process_madvise(2)`, `move_pages(2)`.

use crate::{row::Row, rows};
use abi::{
    Errno, Iovec,
    limits::IOV_MAX,
    mman::{MADV_COLD, MADV_COLLAPSE, MADV_PAGEOUT, MADV_WILLNEED, MPOL_MF_MOVE, MPOL_MF_MOVE_ALL},
    process::Cap,
};
use kernel::{
    SysResult, Task,
    access::{AccessCreds, may_access},
    pidfd::PidFd,
};
use mem::{IoDst, IoSrc, PAGE_SIZE, UserAddr, UserPtr, page_down};
use mm::AddressSpace;
use std::sync::Arc;
use vfs::Fd;

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    now PROCESS_VM_READV = process_vm_readv as (i32, UserPtr<Iovec>, usize, UserPtr<Iovec>, usize, u64);
    now PROCESS_VM_WRITEV = process_vm_writev as (i32, UserPtr<Iovec>, usize, UserPtr<Iovec>, usize, u64);
    now PROCESS_MADVISE = process_madvise as (Fd, UserPtr<Iovec>, usize, i32, u32);
    now MIGRATE_PAGES = migrate_pages as (i32, u64, UserAddr, UserAddr) partial "one node: masks are checked, nothing is moved";
    now MOVE_PAGES = move_pages as (i32, usize, UserPtr<u64>, UserPtr<i32>, UserPtr<i32>, u32)
        partial "one node: pages are found and not moved";
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

fn process_madvise(
    task: &Arc<Task>,
    pidfd: Fd,
    vecs: UserPtr<Iovec>,
    count: usize,
    advice: i32,
    flags: u32,
) -> SysResult<u64> {
    if flags != 0 || count > IOV_MAX {
        return Err(Errno::EINVAL.into());
    }
    let vecs = vecs.read_array(&*task.mm()?, count)?;
    let file = task.file(pidfd)?;
    let target = PidFd::from_file(&file)?.thread()?;
    if !matches!(advice, MADV_COLD | MADV_PAGEOUT | MADV_WILLNEED | MADV_COLLAPSE) {
        return Err(Errno::EINVAL.into());
    }
    may_access(task, &target, AccessCreds::FileSystem).map_err(|_| Errno::EACCES)?;
    let mm = target.mm()?;
    if mm.id() != task.mm()?.id() && !task.cred().has_cap(Cap::SYS_NICE) {
        return Err(Errno::EPERM.into());
    }
    let mut done = 0u64;
    for vec in vecs {
        match mm.madvise(vec.iov_base, vec.iov_len, advice) {
            Ok(()) => done = done.saturating_add(vec.iov_len),
            Err(_) if done > 0 => break,
            Err(e) => return Err(e.into()),
        }
    }
    Ok(done)
}

/// The process that a call of the NUMA family is about: 0 is the caller's.
fn numa_target(task: &Arc<Task>, pid: i32) -> Result<Arc<Task>, Errno> {
    let target = task.find_thread_or_self(pid)?;
    may_access(task, &target, AccessCreds::Real)?;
    Ok(target)
}

/// The nodes of a mask: bits beyond the only node are `EINVAL`.
fn nodes(mm: &AddressSpace, mask: UserAddr, max: u64) -> Result<u64, Errno> {
    let bits = max.saturating_sub(1);
    if mask.is_null() || bits == 0 {
        return Ok(0);
    }
    if bits > PAGE_SIZE * 8 {
        return Err(Errno::EINVAL);
    }
    let mut first = 0;
    for word in 0..bits.div_ceil(64) {
        let mut value = UserPtr::<u64>::from(mask.0).at(word as usize)?.read(mm)?;
        let left = bits - word * 64;
        if left < 64 {
            value &= (1 << left) - 1;
        }
        if word == 0 {
            first = value;
        } else if value != 0 {
            return Err(Errno::EINVAL);
        }
    }
    Ok(first)
}

fn migrate_pages(task: &Arc<Task>, pid: i32, max: u64, old: UserAddr, new: UserAddr) -> SysResult<u64> {
    let mm = task.mm()?;
    nodes(&mm, old, max)?;
    let new = nodes(&mm, new, max)?;
    numa_target(task, pid)?;
    if new & !1 != 0 && !task.cred().has_cap(Cap::SYS_NICE) {
        return Err(Errno::EPERM.into());
    }
    if new & 1 == 0 { Err(Errno::EINVAL.into()) } else { Ok(0) }
}

/// The most pages of one `move_pages(2)`: it does not sleep.
const PAGES_MAX: usize = 1 << 20;

fn move_pages(
    task: &Arc<Task>,
    pid: i32,
    count: usize,
    pages: UserPtr<u64>,
    wanted: UserPtr<i32>,
    status: UserPtr<i32>,
    flags: u32,
) -> SysResult<u64> {
    if flags & !(MPOL_MF_MOVE | MPOL_MF_MOVE_ALL) != 0 {
        return Err(Errno::EINVAL.into());
    }
    if flags & MPOL_MF_MOVE_ALL != 0 && !task.cred().has_cap(Cap::SYS_NICE) {
        return Err(Errno::EPERM.into());
    }
    let other = numa_target(task, pid)?.mm()?;
    if count > PAGES_MAX {
        return Err(Errno::E2BIG.into());
    }
    let mm = task.mm()?;
    for index in 0..count {
        let page = pages.at(index)?.read(&*mm)?;
        if let Some(wanted) = wanted.non_null()
            && wanted.at(index)?.read(&*mm)? != 0
        {
            return Err(Errno::ENODEV.into());
        }
        let found = match other.mincore(page_down(page), PAGE_SIZE) {
            Ok(resident) if resident.first().is_some_and(|r| r & 1 != 0) => 0,
            Ok(_) => -Errno::ENOENT.code(),
            Err(_) => -Errno::EFAULT.code(),
        };
        status.at(index)?.write(&*mm, &found)?;
    }
    Ok(0)
}
