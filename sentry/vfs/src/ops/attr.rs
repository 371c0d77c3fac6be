//! `stat(2)`, `chmod(2)`, `chown(2)`, `truncate(2)`, `utimensat(2)`, `statfs(2)`.

use super::open::WriteAccess;
use crate::{
    Attr, Credentials, File, Gid, Inode, Path, SetAttr, SetTime, Uid,
    inotify::{self, Events},
    landlock::{self, FsAccess},
    permission::{SGID, SUID, WRITE, XGRP, in_group_or_capable, inode_permission, owner_or_capable},
};
use abi::{
    Errno, Timespec,
    process::Cap,
    stat::{FileType, Statfs, StatxAttr, XATTR_NAME_CAPS},
    time::{UTIME_NOW, UTIME_OMIT},
};
use std::sync::Arc;

/// The attributes of what is at `path`, as `statx(2)` wants them.
pub fn getattr(path: &Path) -> Result<Attr, Errno> {
    let mut attr = path.inode_ref().attr()?;
    if path.is_mount_root() && !path.dentry().is_anonymous() {
        attr.attributes |= StatxAttr::MOUNT_ROOT.bits();
    }
    Ok(attr)
}

/// `statfs(2)`.
pub fn statfs(path: &Path) -> Result<Statfs, Errno> {
    let mut statfs = path.mount().fs.statfs()?;
    statfs.f_flags = path.mount().statfs_flags().bits() as i64;
    if statfs.f_frsize == 0 {
        statfs.f_frsize = statfs.f_bsize;
    }
    Ok(statfs)
}

/// Changes attributes and tells watches.
fn change(path: &Path, set: &SetAttr) -> Result<(), Errno> {
    path.inode_ref().set_attr(set)?;
    inotify::dentry_event(path.dentry(), path.inode_ref(), Events::ATTRIB);
    Ok(())
}

/// `chmod(2)` and relatives. `EOPNOTSUPP` for a symbolic link.
pub fn chmod(cred: &Credentials, path: &Path, mode: u32) -> Result<(), Errno> {
    path.mount().want_write()?;
    if path.file_type() == FileType::Symlink {
        return Err(Errno::EOPNOTSUPP);
    }
    let attr = path.inode_ref().attr()?;
    if !owner_or_capable(cred, &attr) {
        return Err(Errno::EPERM);
    }
    let mut mode = mode & 0o7777;
    if !in_group_or_capable(cred, &attr, attr.gid) {
        mode &= !SGID;
    }
    change(path, &SetAttr { mode: Some(mode), ..SetAttr::default() })
}

/// The mode after somebody wrote to the file or changed its owner, if that differs.
fn without_set_id(cred: &Credentials, attr: &Attr) -> Option<u32> {
    let mut mode = attr.mode & !SUID;
    if mode & SGID != 0 && (mode & XGRP != 0 || !in_group_or_capable(cred, attr, attr.gid)) {
        mode &= !SGID;
    }
    (mode != attr.mode).then_some(mode & 0o7777)
}

/// `chown(2)` and relatives; `None` leaves an id alone.
pub fn chown(cred: &Credentials, path: &Path, uid: Option<Uid>, gid: Option<Gid>) -> Result<(), Errno> {
    path.mount().want_write()?;
    let inode = path.inode_ref();
    let attr = inode.attr()?;
    let capable = || cred.has_cap_over(attr.uid, attr.gid, Cap::CHOWN);
    let owner = cred.fsuid == attr.uid;
    let keeps_owner = |uid: Uid| owner && uid == attr.uid;
    if uid.is_some_and(|uid| !keeps_owner(uid) && !capable()) {
        return Err(Errno::EPERM);
    }
    if gid.is_some_and(|gid| !(owner && (gid == attr.gid || cred.in_group(gid))) && !capable()) {
        return Err(Errno::EPERM);
    }
    let mut set = SetAttr { uid, gid, ..SetAttr::default() };
    if !path.is_dir() {
        set.mode = without_set_id(cred, &attr);
        if uid.is_none() && gid.is_none() && set.mode.is_some() && !owner_or_capable(cred, &attr) {
            return Err(Errno::EPERM);
        }
        drop_file_caps(inode)?;
    }
    change(path, &set)
}

/// Takes away the capabilities that executing the file would give.
fn drop_file_caps(inode: &Arc<dyn Inode>) -> Result<(), Errno> {
    match inode.remove_xattr(XATTR_NAME_CAPS) {
        Ok(()) | Err(Errno::ENODATA | Errno::EOPNOTSUPP) => Ok(()),
        Err(e) => Err(e),
    }
}

/// Takes set-id bits and capabilities off a file that is written to (`file_remove_privs`). File systems whose writes do not
/// go to a kernel that does it call this before a write.
pub fn file_remove_privs(file: &File) -> Result<(), Errno> {
    let inode = file.inode();
    if inode.file_type() != FileType::Regular {
        return Ok(());
    }
    remove_privs(file.cred(), &inode)
}

fn remove_privs(cred: &Credentials, inode: &Arc<dyn Inode>) -> Result<(), Errno> {
    let attr = inode.attr()?;
    if !cred.has_cap(Cap::FSETID)
        && let Some(mode) = without_set_id(cred, &attr)
    {
        inode.set_attr(&SetAttr { mode: Some(mode), ..SetAttr::default() })?;
    }
    drop_file_caps(inode)
}

/// `truncate(2)`; `limit` is `RLIMIT_FSIZE`, beyond which it is `EFBIG` (and the caller sends `SIGXFSZ`).
pub fn truncate(cred: &Credentials, path: &Path, len: i64, limit: u64) -> Result<(), Errno> {
    let len = u64::try_from(len).map_err(|_| Errno::EINVAL)?;
    match path.file_type() {
        FileType::Regular => {}
        FileType::Directory => return Err(Errno::EISDIR),
        _ => return Err(Errno::EINVAL),
    }
    path.mount().want_write()?;
    inode_permission(cred, path.inode_ref(), WRITE)?;
    let _writing = WriteAccess::get(path)?;
    super::open::break_lease(path.inode_ref(), true)?;
    landlock::may_truncate(cred, path)?;
    check_size(path, len, limit)?;
    set_size(cred, path, len)
}

/// `ftruncate(2)`.
pub fn ftruncate(cred: &Credentials, file: &File, len: i64, limit: u64) -> Result<(), Errno> {
    if file.is_path_only() {
        return Err(Errno::EBADF);
    }
    let len = u64::try_from(len).map_err(|_| Errno::EINVAL)?;
    if file.path().file_type() != FileType::Regular || !file.flags().writable() {
        return Err(Errno::EINVAL);
    }
    check_size(file.path(), len, limit)?;
    if !file.granted().contains(FsAccess::TRUNCATE) {
        return Err(Errno::EACCES);
    }
    set_size(cred, file.path(), len)
}

/// Only growing a file beyond the limit is refused.
fn check_size(path: &Path, len: u64, limit: u64) -> Result<(), Errno> {
    if len > limit && len > path.inode_ref().attr()?.size { Err(Errno::EFBIG) } else { Ok(()) }
}

/// `O_TRUNC` of a file that was just opened.
pub(super) fn truncate_opened(file: &File, cred: &Credentials) -> Result<(), Errno> {
    set_size(cred, file.path(), 0)
}

fn set_size(cred: &Credentials, path: &Path, len: u64) -> Result<(), Errno> {
    remove_privs(cred, path.inode_ref())?;
    // Linux notes the change even where the size is the same.
    let mtime = Some(SetTime::Now);
    path.inode_ref().set_attr(&SetAttr { size: Some(len), mtime, ..SetAttr::default() })?;
    inotify::dentry_event(path.dentry(), path.inode_ref(), Events::MODIFY);
    Ok(())
}

/// What `utimensat(2)` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    atime: Option<SetTime>,
    mtime: Option<SetTime>,
}

impl Times {
    /// No times given: both now.
    pub const NOW: Times = Times { atime: Some(SetTime::Now), mtime: Some(SetTime::Now) };

    /// The two times of `utimensat(2)`, with `UTIME_NOW` and `UTIME_OMIT`; `EINVAL`.
    pub fn new(atime: Timespec, mtime: Timespec) -> Result<Self, Errno> {
        let one = |t: Timespec| match t.tv_nsec {
            UTIME_NOW => Ok(Some(SetTime::Now)),
            UTIME_OMIT => Ok(None),
            _ if t.is_normal() => Ok(Some(SetTime::At(t))),
            _ => Err(Errno::EINVAL),
        };
        Ok(Self { atime: one(atime)?, mtime: one(mtime)? })
    }

    /// Neither is to be set: `utimensat(2)` does nothing then, not even look.
    pub fn is_nothing(&self) -> bool {
        self.atime.is_none() && self.mtime.is_none()
    }
}

/// `utimensat(2)`. `EPERM` for others' times than now unless one owns the file, `EACCES` for now unless one may write.
pub fn set_times(cred: &Credentials, path: &Path, times: Times) -> Result<(), Errno> {
    if times.is_nothing() {
        return Ok(());
    }
    path.mount().want_write()?;
    let inode = path.inode_ref();
    if !owner_or_capable(cred, &inode.attr()?) {
        if times != Times::NOW {
            return Err(Errno::EPERM);
        }
        inode_permission(cred, inode, WRITE)?;
    }
    change(path, &SetAttr { atime: times.atime, mtime: times.mtime, ..SetAttr::default() })
}
