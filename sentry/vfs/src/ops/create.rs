//! `mkdir(2)`, `mknod(2)`, `symlink(2)`, `link(2)`.

use super::new_node;
use crate::{
    Inode, NewKind, Path, WalkContext, inotify,
    landlock::{self, FsAccess},
    permission::{READ, SGID, SUID, WRITE, XGRP, inode_permission, may_create, owner_or_capable},
    walk::{Last, Lookup, PATH_MAX},
};
use abi::{
    Errno,
    fcntl::AtFlags,
    process::Cap,
    stat::{FileType, S_IFMT},
};
use std::sync::{Arc, atomic::Ordering};

/// Makes `name` with `make`, which gets the directory and the name; the new place. `right` is what landlock has to grant.
pub fn make(
    ctx: &WalkContext,
    name: &[u8],
    is_dir: bool,
    right: FsAccess,
    make: impl FnOnce(&Path, &[u8]) -> Result<Arc<dyn Inode>, Errno>,
) -> Result<Path, Errno> {
    let parent = ctx.resolve_parent(name)?;
    let dir = parent.dir;
    let Last::Name(name) = parent.last else { return Err(Errno::EEXIST) };
    if name.len() > crate::walk::NAME_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    let locked = dir.dentry().dir_lock.write();
    let there = dir.dentry().child(&name)?;
    if !there.is_negative() {
        return Err(Errno::EEXIST);
    }
    if parent.slash && !is_dir {
        return Err(Errno::ENOENT);
    }
    dir.mount().want_write()?;
    landlock::may_do_below(&ctx.cred, &dir, right)?;
    may_create(&ctx.cred, &dir)?;
    let inode = make(&dir, &name)?;
    let dentry = dir.dentry().instantiate(&name, inode);
    drop(locked);
    inotify::entry_created(dir.inode_ref(), &name, is_dir);
    Path::new(dir.mount().clone(), dentry)
}

/// `mkdir(2)`.
pub fn mkdir(ctx: &WalkContext, name: &[u8], mode: u32) -> Result<(), Errno> {
    make(ctx, name, true, FsAccess::MAKE_DIR, |dir, name| {
        let new = new_node(&ctx.cred, dir, NewKind::Directory, mode & 0o1777, ctx.umask)?;
        dir.inode_ref().create(name, &new)
    })
    .map(|_| ())
}

/// `mknod(2)`; `mode` has the type, `dev` is the device number in the form of [`abi::stat::dev::makedev`].
pub fn mknod(ctx: &WalkContext, name: &[u8], mode: u32, dev: u64) -> Result<(), Errno> {
    let kind = match mode & S_IFMT {
        0 => NewKind::Regular,
        _ => match FileType::from_mode(mode) {
            Some(FileType::Regular) => NewKind::Regular,
            Some(FileType::Fifo) => NewKind::Fifo,
            Some(FileType::Socket) => NewKind::Socket,
            Some(FileType::CharDevice) => NewKind::CharDevice(dev),
            Some(FileType::BlockDevice) => NewKind::BlockDevice(dev),
            Some(FileType::Directory) => return Err(Errno::EPERM),
            _ => return Err(Errno::EINVAL),
        },
    };
    let whiteout = matches!(kind, NewKind::CharDevice(0));
    let device = matches!(kind, NewKind::CharDevice(_) | NewKind::BlockDevice(_));
    make(ctx, name, false, landlock::node_access(&kind), |dir, name| {
        if device && !whiteout && !(ctx.cred.user_ns.parent.is_none() && ctx.cred.has_cap(Cap::MKNOD)) {
            return Err(Errno::EPERM);
        }
        let new = new_node(&ctx.cred, dir, kind, mode, ctx.umask)?;
        dir.inode_ref().create(name, &new)
    })
    .map(|_| ())
}

/// Makes the socket node that `bind(2)` of a unix socket makes; its place. `EADDRINUSE` if there is something.
pub fn mksocket(ctx: &WalkContext, name: &[u8], mode: u32) -> Result<Path, Errno> {
    make(ctx, name, false, FsAccess::MAKE_SOCK, |dir, name| {
        let new = new_node(&ctx.cred, dir, NewKind::Socket, mode, ctx.umask)?;
        dir.inode_ref().create(name, &new)
    })
    .map_err(|e| if e == Errno::EEXIST { Errno::EADDRINUSE } else { e })
}

/// `symlink(2)`.
pub fn symlink(ctx: &WalkContext, target: &[u8], name: &[u8]) -> Result<(), Errno> {
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    if target.len() >= PATH_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    make(ctx, name, false, FsAccess::MAKE_SYM, |dir, name| {
        let new = new_node(&ctx.cred, dir, NewKind::Symlink(target.to_vec()), 0o777, 0)?;
        dir.inode_ref().create(name, &new)
    })
    .map(|_| ())
}

/// `linkat(2)`: `old` seen from `from`, `new` from `ctx`.
pub fn link(
    from: &WalkContext,
    old: &[u8],
    ctx: &WalkContext,
    new: &[u8],
    flags: AtFlags,
) -> Result<(), Errno> {
    if !(flags - AtFlags::SYMLINK_FOLLOW - AtFlags::EMPTY_PATH).is_empty() {
        return Err(Errno::EINVAL);
    }
    let mut lookup = Lookup::empty();
    if flags.contains(AtFlags::SYMLINK_FOLLOW) {
        lookup |= Lookup::FOLLOW;
    }
    if flags.contains(AtFlags::EMPTY_PATH) {
        if old.is_empty() && !ctx.cred.has_cap(Cap::DAC_READ_SEARCH) {
            return Err(Errno::ENOENT);
        }
        lookup |= Lookup::EMPTY_PATH;
    }
    let old = from.resolve(old, lookup)?;
    let parent = ctx.resolve_parent(new)?;
    let dir = parent.dir;
    let Last::Name(name) = parent.last else { return Err(Errno::EEXIST) };
    if name.len() > crate::walk::NAME_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    let locked = dir.dentry().dir_lock.write();
    if !dir.dentry().child(&name)?.is_negative() {
        return Err(Errno::EEXIST);
    }
    if parent.slash {
        return Err(Errno::ENOENT);
    }
    dir.mount().want_write()?;
    if !Arc::ptr_eq(old.mount(), dir.mount()) {
        return Err(Errno::EXDEV);
    }
    may_link(ctx, &old)?;
    landlock::check_link(&ctx.cred, &old, &dir)?;
    may_create(&ctx.cred, &dir)?;
    if old.is_dir() {
        return Err(Errno::EPERM);
    }
    dir.inode_ref().link(&name, old.inode_ref())?;
    dir.dentry().instantiate(&name, old.inode());
    drop(locked);
    inotify::entry_linked(dir.inode_ref(), &name, old.inode_ref());
    Ok(())
}

/// `/proc/sys/fs/protected_hardlinks`: only to what one owns, or could open for reading and writing and is no danger.
fn may_link(ctx: &WalkContext, old: &Path) -> Result<(), Errno> {
    let inode = old.inode_ref();
    let attr = inode.attr()?;
    if !ctx.vfs.sysctl.protected_hardlinks.load(Ordering::Relaxed) || owner_or_capable(&ctx.cred, &attr) {
        return Ok(());
    }
    let safe = old.file_type() == FileType::Regular
        && attr.mode & SUID == 0
        && attr.mode & (SGID | XGRP) != SGID | XGRP
        && inode_permission(&ctx.cred, inode, READ | WRITE).is_ok();
    if safe { Ok(()) } else { Err(Errno::EPERM) }
}
