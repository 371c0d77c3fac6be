//! `rename(2)`, `renameat2(2)`.

use super::{
    detach_mounts,
    remove::{busy_child, same},
};
use crate::{
    Dentry, Path, WalkContext, inotify, landlock,
    permission::{WRITE, inode_permission, may_create, may_delete},
    walk::{Last, NAME_MAX},
};
use abi::{Errno, fcntl::RenameFlags};
use ksync::{MutexGuard, RwLockWriteGuard};
use std::sync::Arc;

/// The locks of a rename, released together.
struct Locked<'a> {
    _dirs: (Option<RwLockWriteGuard<'a, ()>>, RwLockWriteGuard<'a, ()>),
    _tree: Option<MutexGuard<'a, ()>>,
    /// The child of the new directory that is the old one or above it.
    above_old: Option<Arc<Dentry>>,
    /// The child of the old directory that is the new one or above it.
    above_new: Option<Arc<Dentry>>,
}

/// Locks both directories, an ancestor first.
fn lock_both<'a>(old: &'a Path, new: &'a Path) -> Locked<'a> {
    let (a, b) = (old.dentry(), new.dentry());
    if Arc::ptr_eq(a, b) {
        return Locked { _dirs: (None, a.dir_lock.write()), _tree: None, above_old: None, above_new: None };
    }
    let tree = old.mount().sb.rename_lock.lock();
    let above_old = b.child_towards(a);
    let above_new = a.child_towards(b);
    let a_first = match (&above_old, &above_new) {
        (Some(_), _) => false,
        (_, Some(_)) => true,
        _ => Arc::as_ptr(a) < Arc::as_ptr(b),
    };
    let (first, second) = if a_first { (a, b) } else { (b, a) };
    let outer = first.dir_lock.write();
    let inner = second.dir_lock.write_nested();
    Locked { _dirs: (Some(inner), outer), _tree: Some(tree), above_old, above_new }
}

fn name_of(last: Last, errno: Errno) -> Result<Vec<u8>, Errno> {
    match last {
        Last::Name(name) if name.len() > NAME_MAX => Err(Errno::ENAMETOOLONG),
        Last::Name(name) => Ok(name),
        _ => Err(errno),
    }
}

/// `renameat2(2)`: `old` seen from `from`, `new` from `ctx`.
pub fn rename(
    from: &WalkContext,
    old: &[u8],
    ctx: &WalkContext,
    new: &[u8],
    flags: RenameFlags,
) -> Result<(), Errno> {
    let exchange = flags.contains(RenameFlags::EXCHANGE);
    let no_replace = flags.contains(RenameFlags::NOREPLACE);
    let whiteout = flags.contains(RenameFlags::WHITEOUT);
    let unknown = !RenameFlags::all().contains(flags);
    if unknown || (exchange && (no_replace || whiteout)) {
        return Err(Errno::EINVAL);
    }
    let old_parent = from.resolve_parent(old)?;
    let new_parent = ctx.resolve_parent(new)?;
    let (old_dir, new_dir) = (old_parent.dir, new_parent.dir);
    if !Arc::ptr_eq(old_dir.mount(), new_dir.mount()) {
        return Err(Errno::EXDEV);
    }
    let old_name = name_of(old_parent.last, Errno::EBUSY)?;
    let new_name = name_of(new_parent.last, if no_replace { Errno::EEXIST } else { Errno::EBUSY })?;
    old_dir.mount().want_write()?;

    let old_busy = busy_child(&old_dir, &old_name);
    let new_busy = busy_child(&new_dir, &new_name);
    let locked = lock_both(&old_dir, &new_dir);
    let source = old_dir.dentry().child(&old_name)?;
    let target = new_dir.dentry().child(&new_name)?;
    let moved = source.inode()?;
    let is_dir = source.is_dir();
    if no_replace && !target.is_negative() {
        return Err(Errno::EEXIST);
    }
    if exchange {
        target.inode()?;
        if !target.is_dir() && new_parent.slash {
            return Err(Errno::ENOTDIR);
        }
    }
    if !is_dir && (old_parent.slash || (!exchange && new_parent.slash)) {
        return Err(Errno::ENOTDIR);
    }
    if locked.above_new.as_ref().is_some_and(|d| Arc::ptr_eq(d, &source)) {
        return Err(Errno::EINVAL);
    }
    if locked.above_old.as_ref().is_some_and(|d| Arc::ptr_eq(d, &target)) {
        return Err(if exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
    }

    landlock::check_rename(&ctx.cred, (&old_dir, &source), (&new_dir, &target), exchange)?;
    let replaced = target.inode_ref().cloned();
    if replaced.as_ref().is_some_and(|r| Arc::ptr_eq(r, &moved)) {
        return Ok(());
    }
    let cred = &ctx.cred;
    may_delete(cred, &old_dir, &moved, Some(is_dir))?;
    match &replaced {
        None => may_create(cred, &new_dir)?,
        Some(there) => may_delete(cred, &new_dir, there, (!exchange).then_some(is_dir))?,
    }
    if !Arc::ptr_eq(old_dir.dentry(), new_dir.dentry()) {
        // A directory that gets another parent is written to: its "..".
        if is_dir {
            inode_permission(cred, &moved, WRITE)?;
        }
        if let Some(there) = replaced.as_ref().filter(|_| exchange && target.is_dir()) {
            inode_permission(cred, there, WRITE)?;
        }
    }
    if same(&old_busy, &source) || same(&new_busy, &target) {
        return Err(Errno::EBUSY);
    }

    // A directory that is replaced must not get entries meanwhile.
    let victim = (!exchange && target.is_dir()).then(|| target.dir_lock.write_nested());
    old_dir.inode_ref().rename(
        &old_name,
        &moved,
        new_dir.inode_ref(),
        &new_name,
        replaced.as_ref(),
        exchange,
        whiteout,
    )?;
    Dentry::moved(&source, old_dir.dentry(), new_dir.dentry(), &new_name, exchange.then_some(&target));
    if whiteout {
        old_dir.dentry().invalidate_child(&old_name);
    }
    drop(victim);
    drop(locked);
    if !exchange {
        detach_mounts(&new_dir, &target);
    }
    drop(target);
    let replaced_for_good = replaced.as_ref().filter(|_| !exchange);
    inotify::entry_moved(
        old_dir.inode_ref(),
        &old_name,
        new_dir.inode_ref(),
        &new_name,
        &moved,
        replaced_for_good,
    );
    if let Some(other) = replaced.as_ref().filter(|_| exchange) {
        inotify::entry_moved(new_dir.inode_ref(), &new_name, old_dir.inode_ref(), &old_name, other, None);
    }
    Ok(())
}
