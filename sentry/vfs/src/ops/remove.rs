//! `unlink(2)`, `rmdir(2)`.

use super::{detach_mounts, is_local_mount_point};
use crate::{
    Path, WalkContext, inotify,
    landlock::{self, FsAccess},
    permission::may_delete,
    walk::Last,
};
use abi::Errno;
use std::sync::Arc;

/// `unlink(2)`.
pub fn unlink(ctx: &WalkContext, name: &[u8]) -> Result<(), Errno> {
    let parent = ctx.resolve_parent(name)?;
    let dir = parent.dir;
    let Last::Name(name) = parent.last else { return Err(Errno::EISDIR) };
    too_long(&name)?;
    dir.mount().want_write()?;
    let busy = busy_child(&dir, &name);
    let locked = dir.dentry().dir_lock.write();
    let dentry = dir.dentry().child(&name)?;
    let inode = dentry.inode()?;
    if parent.slash {
        return Err(if dentry.is_dir() { Errno::EISDIR } else { Errno::ENOTDIR });
    }
    landlock::may_do_below(&ctx.cred, &dir, FsAccess::REMOVE_FILE)?;
    may_delete(&ctx.cred, &dir, &inode, Some(false))?;
    if same(&busy, &dentry) {
        return Err(Errno::EBUSY);
    }
    dir.inode_ref().unlink(&name, &inode)?;
    dir.dentry().removed(&dentry);
    drop(locked);
    detach_mounts(&dir, &dentry);
    drop(dentry);
    inotify::entry_removed(dir.inode_ref(), &name, &inode);
    Ok(())
}

/// `rmdir(2)`.
pub fn rmdir(ctx: &WalkContext, name: &[u8]) -> Result<(), Errno> {
    let parent = ctx.resolve_parent(name)?;
    let dir = parent.dir;
    let name = match parent.last {
        Last::Name(name) => name,
        Last::DotDot => return Err(Errno::ENOTEMPTY),
        Last::Dot => return Err(Errno::EINVAL),
        Last::Root => return Err(Errno::EBUSY),
    };
    too_long(&name)?;
    dir.mount().want_write()?;
    let busy = busy_child(&dir, &name);
    let locked = dir.dentry().dir_lock.write();
    let dentry = dir.dentry().child(&name)?;
    let inode = dentry.inode()?;
    landlock::may_do_below(&ctx.cred, &dir, FsAccess::REMOVE_DIR)?;
    may_delete(&ctx.cred, &dir, &inode, Some(true))?;
    if same(&busy, &dentry) {
        return Err(Errno::EBUSY);
    }
    let victim = dentry.dir_lock.write_nested();
    dir.inode_ref().rmdir(&name, &inode)?;
    dir.dentry().removed(&dentry);
    drop(victim);
    drop(locked);
    detach_mounts(&dir, &dentry);
    drop(dentry);
    inotify::entry_removed(dir.inode_ref(), &name, &inode);
    Ok(())
}

fn too_long(name: &[u8]) -> Result<(), Errno> {
    if name.len() > crate::walk::NAME_MAX { Err(Errno::ENAMETOOLONG) } else { Ok(()) }
}

/// The entry `name` of `dir`, if it is a mount point in the namespace. Asked before the directory is locked, since the table
/// of mounts comes first in the lock order; [`detach_mounts`] deals with a mount that comes between.
pub(super) fn busy_child(dir: &Path, name: &[u8]) -> Option<Arc<crate::Dentry>> {
    let child = dir.dentry().cached_child(name)?;
    is_local_mount_point(dir, &child).then_some(child)
}

pub(super) fn same(busy: &Option<Arc<crate::Dentry>>, dentry: &Arc<crate::Dentry>) -> bool {
    busy.as_ref().is_some_and(|b| Arc::ptr_eq(b, dentry))
}
