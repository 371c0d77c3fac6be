//! Whether somebody may do something to an inode (`path_resolution(7)`, "Permissions").

use crate::{Attr, Credentials, Gid, Inode, Path};
use abi::{
    Errno,
    process::{Cap, MountFlags},
    stat::{FileType, S_IFMT},
};
use std::sync::Arc;

/// Execute, or search of a directory.
pub const EXEC: u32 = 1;
/// Write.
pub const WRITE: u32 = 2;
/// Read.
pub const READ: u32 = 4;

pub(crate) const SUID: u32 = 0o4000;
pub(crate) const SGID: u32 = 0o2000;
pub(crate) const STICKY: u32 = 0o1000;
pub(crate) const XGRP: u32 = 0o010;

/// The check on the permission bits, with the capabilities that override it; `EACCES`.
pub fn check_bits(cred: &Credentials, attr: &Attr, mask: u32) -> Result<(), Errno> {
    let granted = if cred.fsuid == attr.uid {
        attr.mode >> 6
    } else if cred.in_group(attr.gid) {
        attr.mode >> 3
    } else {
        attr.mode
    };
    if mask & !granted & 7 == 0 {
        return Ok(());
    }
    let over = |cap| cred.has_cap_over(attr.uid, attr.gid, cap);
    let is_dir = attr.mode & S_IFMT == FileType::Directory.to_mode();
    let reads = if is_dir { mask & WRITE == 0 } else { mask == READ };
    let overrides = is_dir || mask & EXEC == 0 || attr.mode & 0o111 != 0;
    if (reads && over(Cap::DAC_READ_SEARCH)) || (overrides && over(Cap::DAC_OVERRIDE)) {
        return Ok(());
    }
    Err(Errno::EACCES)
}

/// Whether `cred` may access `inode` as `mask` says. `EACCES`, `EROFS` for writing to a read-only file system.
pub fn inode_permission(cred: &Credentials, inode: &Arc<dyn Inode>, mask: u32) -> Result<(), Errno> {
    if mask & WRITE != 0
        && matches!(inode.file_type(), FileType::Regular | FileType::Directory | FileType::Symlink)
        && inode.fs().read_only()
    {
        return Err(Errno::EROFS);
    }
    match inode.permission(cred, mask) {
        Some(decided) => decided,
        None => check_bits(cred, &inode.attr()?, mask),
    }
}

/// Whether `cred` owns the inode, or may act as its owner (`CAP_FOWNER`).
pub fn owner_or_capable(cred: &Credentials, attr: &Attr) -> bool {
    cred.fsuid == attr.uid || cred.has_cap_over(attr.uid, attr.gid, Cap::FOWNER)
}

/// Whether `cred` may keep or set the set-group-id bit of a file of group `gid`.
pub(crate) fn in_group_or_capable(cred: &Credentials, attr: &Attr, gid: Gid) -> bool {
    cred.in_group(gid) || cred.has_cap_over(attr.uid, attr.gid, Cap::FSETID)
}

/// Whether entries may be made in `dir`.
pub(crate) fn may_create(cred: &Credentials, dir: &Path) -> Result<(), Errno> {
    if dir.dentry().is_unlinked() {
        return Err(Errno::ENOENT);
    }
    inode_permission(cred, dir.inode_ref(), WRITE | EXEC)
}

/// Whether `victim` may be removed from `dir` (or moved away from it). `is_dir`: whether a directory is asked for.
pub(crate) fn may_delete(
    cred: &Credentials,
    dir: &Path,
    victim: &Arc<dyn Inode>,
    is_dir: Option<bool>,
) -> Result<(), Errno> {
    inode_permission(cred, dir.inode_ref(), WRITE | EXEC)?;
    check_sticky(cred, &dir.inode_ref().attr()?, &victim.attr()?)?;
    match (is_dir, victim.file_type() == FileType::Directory) {
        (Some(true), false) => return Err(Errno::ENOTDIR),
        (Some(false), true) => return Err(Errno::EISDIR),
        _ => {}
    }
    if dir.dentry().is_unlinked() {
        return Err(Errno::ENOENT);
    }
    Ok(())
}

fn check_sticky(cred: &Credentials, dir: &Attr, victim: &Attr) -> Result<(), Errno> {
    if dir.mode & STICKY == 0
        || cred.fsuid == victim.uid
        || cred.fsuid == dir.uid
        || cred.has_cap_over(victim.uid, victim.gid, Cap::FOWNER)
    {
        return Ok(());
    }
    Err(Errno::EPERM)
}

/// Whether programs may be run from the mount of `path`.
pub(crate) fn no_exec(path: &Path) -> bool {
    path.mount().flags().contains(MountFlags::NOEXEC)
}
