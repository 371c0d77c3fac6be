//! Mounts by name: `mount(2)`, `umount2(2)`, `pivot_root(2)`. Those by descriptor are a family of their own.

use crate::{arg::UserPath, row::Row, rows};
use abi::{
    Errno,
    limits::{PAGE_SIZE_USIZE, PATH_MAX},
    process::MountFlags,
};
use kernel::{SysResult, Task};
use mem::{UserAddr, UserMemoryExt};
use std::sync::Arc;
use vfs::{Lookup, mount::ops};

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    now MOUNT = mount as (UserAddr, UserPath, UserAddr, u64, UserAddr);
    now UMOUNT2 = umount2 as (UserPath, u32);
    now PIVOT_ROOT = pivot_root as (UserPath, UserPath);
};

/// A string that may be absent. `EINVAL` for one that is too long.
fn optional(task: &Task, addr: UserAddr) -> Result<Option<Vec<u8>>, Errno> {
    if addr.is_null() {
        return Ok(None);
    }
    match task.mm()?.read_cstr(addr, PATH_MAX) {
        Err(Errno::ENAMETOOLONG) => Err(Errno::EINVAL),
        text => text.map(Some),
    }
}

/// Options: what there is of a page, up to a zero.
fn options(task: &Task, addr: UserAddr) -> Result<Vec<u8>, Errno> {
    let mut page = vec![0; if addr.is_null() { 0 } else { PAGE_SIZE_USIZE }];
    let there = task.mm()?.copy_in_some(addr, &mut page)?;
    let end = page.iter().take(there).position(|b| *b == 0).unwrap_or(there.min(PAGE_SIZE_USIZE - 1));
    page.truncate(end);
    Ok(page)
}

fn mount(
    task: &Arc<Task>,
    source: UserAddr,
    target: UserPath,
    kind: UserAddr,
    flags: u64,
    data: UserAddr,
) -> SysResult<()> {
    let kind = optional(task, kind)?;
    let source = optional(task, source)?.unwrap_or_default();
    let data = options(task, data)?;
    let target = target.read(task)?;
    let (ctx, ns) = (task.walk_context(), task.namespaces().mount.clone());
    let others = MountFlags::REMOUNT | MountFlags::BIND | MountFlags::MOVE | MountFlags::PROPAGATION;
    if kind.is_none() && !MountFlags::from_bits_truncate(flags).intersects(others) {
        ctx.resolve(&target, Lookup::FOLLOW)?;
        ops::may_mount(&ctx.cred, &ns)?;
        return Err(Errno::EINVAL.into());
    }
    Ok(ops::mount(&ctx, &ns, &source, &target, &kind.unwrap_or_default(), flags, &data)?)
}

fn umount2(task: &Arc<Task>, target: UserPath, flags: u32) -> SysResult<()> {
    let target = target.read(task)?;
    Ok(ops::umount(&task.walk_context(), &task.namespaces().mount, &target, flags)?)
}

fn pivot_root(task: &Arc<Task>, new_root: UserPath, put_old: UserPath) -> SysResult<()> {
    let (ctx, ns) = (task.walk_context(), task.namespaces().mount.clone());
    ops::may_mount(&ctx.cred, &ns)?;
    let (new_root, put_old) = (new_root.read(task)?, put_old.read(task)?);
    let (old, new) = ops::pivot_root(&ctx, &ns, &new_root, &put_old)?;
    for other in task.kernel.tasks() {
        other.fs().replace(&old, &new);
    }
    Ok(())
}
