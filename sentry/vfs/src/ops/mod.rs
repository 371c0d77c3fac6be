//! What system calls do to files by name and by descriptor, with all checks and errors of Linux.
//!
//! Every function takes a [`WalkContext`](crate::WalkContext), which says who asks and from where names start (a directory
//! descriptor goes in by [`WalkContext::at`](crate::WalkContext::at)), or a [`Path`] or [`File`] at hand with the credentials.
//! [`open`] opens, [`create`], [`remove`] and [`rename`] change directories, [`attr`] changes what `stat(2)` shows,
//! [`xattr`] extended attributes, [`access`] answers questions of permission.
//!
//! **Lock order:** the directory's lock, ancestors first; across directories the file system's rename lock before them.

pub mod access;
pub mod attr;
pub mod create;
pub mod open;
pub mod remove;
pub mod rename;
pub mod xattr;

pub use access::{access, allow_write, deny_write, may_exec};
pub use attr::{Times, chmod, chown, file_remove_privs, ftruncate, getattr, set_times, statfs, truncate};
pub use create::{link, mkdir, mknod, mksocket, symlink};
pub use open::{OpenHow, Opened, Opening, open, reopen};
pub use remove::{rmdir, unlink};
pub use rename::rename;

use crate::{Credentials, File, Gid, NewKind, NewNode, Path, WalkContext, permission};
use abi::{Errno, fcntl::OpenFlags, process::MountFlags};
use std::sync::Arc;

/// Notes that `path` was read or followed, as its mount's flags want it.
pub fn touch_atime(path: &Path) {
    let flags = path.mount().flags();
    let off = MountFlags::NOATIME.union(MountFlags::RDONLY);
    if flags.intersects(off) || (flags.contains(MountFlags::NODIRATIME) && path.is_dir()) {
        return;
    }
    if !path.mount().fs.read_only() {
        path.inode_ref().accessed(flags.contains(MountFlags::RELATIME));
    }
}

/// Notes that `file` was read; file systems call it where data or entries are read.
pub fn accessed(file: &File) {
    if !file.flags().contains(OpenFlags::NOATIME) {
        touch_atime(file.path());
    }
}

/// `readlink(2)`. `EINVAL` for what is no link, `ENOENT` if that was found by an empty path.
pub fn readlink(ctx: &WalkContext, name: &[u8]) -> Result<Vec<u8>, Errno> {
    let path = ctx.resolve(name, crate::Lookup::EMPTY_PATH)?;
    if path.file_type() != abi::FileType::Symlink {
        return Err(if name.is_empty() { Errno::ENOENT } else { Errno::EINVAL });
    }
    touch_atime(&path);
    path.inode_ref().read_link()
}

/// The directory `name` as a new working directory or root: a directory that may be searched.
pub fn directory(ctx: &WalkContext, name: &[u8]) -> Result<Path, Errno> {
    let path = ctx.resolve(name, crate::Lookup::FOLLOW | crate::Lookup::DIRECTORY)?;
    permission::inode_permission(&ctx.cred, path.inode_ref(), permission::EXEC)?;
    Ok(path)
}

/// What a new inode in `dir` gets: `mode` without the umask, the group by the directory's set-group-id bit.
pub fn new_node(
    cred: &Arc<Credentials>,
    dir: &Path,
    kind: NewKind,
    mode: u32,
    umask: u32,
) -> Result<NewNode, Errno> {
    let parent = dir.inode_ref().attr()?;
    let mut mode = mode & 0o7777 & !umask;
    if matches!(kind, NewKind::Symlink(_)) {
        mode = 0o777;
    }
    let mut gid: Gid = cred.fsgid;
    if parent.mode & permission::SGID != 0 {
        gid = parent.gid;
        if matches!(kind, NewKind::Directory) {
            mode |= permission::SGID;
        } else if mode & (permission::SGID | permission::XGRP) == permission::SGID | permission::XGRP
            && !permission::in_group_or_capable(cred, &parent, gid)
        {
            mode &= !permission::SGID;
        }
    }
    // Ids that the caller's namespace does not map could not be stored.
    if cred.user_ns.uid_inside(cred.fsuid).is_none() || cred.user_ns.gid_inside(cred.fsgid).is_none() {
        return Err(Errno::EOVERFLOW);
    }
    Ok(NewNode { kind, mode, uid: cred.fsuid, gid })
}

/// Whether `path` is a mount point in the namespace of its mount.
fn is_local_mount_point(dir: &Path, dentry: &Arc<crate::Dentry>) -> bool {
    dentry.is_mount_point() && {
        let table = dir.mount().table.read();
        match table.namespace_of(dir.mount().id) {
            Some(ns) => table.namespace_mounts_on(ns, dentry),
            None => table.child_id_at(dir.mount().id, dentry).is_some(),
        }
    }
}

/// Takes away what is mounted on a directory that has just been removed, in whichever namespace.
fn detach_mounts(dir: &Path, dentry: &Arc<crate::Dentry>) {
    if dentry.is_mount_point() {
        let gone = dir.mount().table.write().remove_all_on(dentry);
        drop(gone);
    }
}
