//! Names: `mkdir(2)`, `link(2)`, `rename(2)`, `unlink(2)`, `getdents64(2)`, `chdir(2)`.

use crate::rows;
use crate::{
    arg::{DirFd, UserPath},
    at,
    row::Row,
};
use abi::{
    Errno,
    fcntl::{AtFlags, RenameFlags},
    process::Cap,
    stat::{dirent_old_reclen, dirent64_reclen},
};
use kernel::{SysResult, Task};
use mem::{UserAddr, UserMemoryExt};
use std::sync::Arc;
use vfs::{DirEntry, Fd, File, ops};

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    now MKDIR = mkdir as (UserPath, u32);
    now MKDIRAT = mkdirat as (DirFd, UserPath, u32);
    now MKNOD = mknod as (UserPath, u32, u32);
    now MKNODAT = mknodat as (DirFd, UserPath, u32, u32);
    now RMDIR = rmdir as (UserPath);
    now UNLINK = unlink as (UserPath);
    now UNLINKAT = unlinkat as (DirFd, UserPath, u32);
    now SYMLINK = symlink as (UserPath, UserPath);
    now SYMLINKAT = symlinkat as (UserPath, DirFd, UserPath);
    now LINK = link as (UserPath, UserPath);
    now LINKAT = linkat as (DirFd, UserPath, DirFd, UserPath, AtFlags);
    now RENAME = rename as (UserPath, UserPath);
    now RENAMEAT = renameat as (DirFd, UserPath, DirFd, UserPath);
    now RENAMEAT2 = renameat2 as (DirFd, UserPath, DirFd, UserPath, u32);
    now READLINK = readlink as (UserPath, UserAddr, i32);
    now READLINKAT = readlinkat as (DirFd, UserPath, UserAddr, i32);
    now GETDENTS = getdents as (Fd, UserAddr, u32);
    now GETDENTS64 = getdents64 as (Fd, UserAddr, u32);
    now CHDIR = chdir as (UserPath);
    now FCHDIR = fchdir as (Fd);
    now CHROOT = chroot as (UserPath);
    now GETCWD = getcwd as (UserAddr, usize);
    now UMASK = umask as (u32);
};

fn mkdir(task: &Arc<Task>, path: UserPath, mode: u32) -> SysResult<()> {
    mkdirat(task, DirFd::Cwd, path, mode)
}

fn mkdirat(task: &Arc<Task>, dir: DirFd, path: UserPath, mode: u32) -> SysResult<()> {
    let (ctx, name) = at::read(task, dir, path)?;
    Ok(ops::mkdir(&ctx, &name, mode)?)
}

fn mknod(task: &Arc<Task>, path: UserPath, mode: u32, dev: u32) -> SysResult<()> {
    mknodat(task, DirFd::Cwd, path, mode, dev)
}

fn mknodat(task: &Arc<Task>, dir: DirFd, path: UserPath, mode: u32, dev: u32) -> SysResult<()> {
    let (ctx, name) = at::read(task, dir, path)?;
    // The encoding of 32 bits: minor 7..0, major, minor 31..20.
    let (major, minor) = (dev >> 8 & 0xfff, dev & 0xff | dev >> 12 & 0xf_ff00);
    Ok(ops::mknod(&ctx, &name, mode, abi::stat::dev::makedev(major, minor))?)
}

fn rmdir(task: &Arc<Task>, path: UserPath) -> SysResult<()> {
    let (ctx, name) = at::read(task, DirFd::Cwd, path)?;
    Ok(ops::rmdir(&ctx, &name)?)
}

fn unlink(task: &Arc<Task>, path: UserPath) -> SysResult<()> {
    unlinkat(task, DirFd::Cwd, path, 0)
}

fn unlinkat(task: &Arc<Task>, dir: DirFd, path: UserPath, flags: u32) -> SysResult<()> {
    const REMOVEDIR: u32 = AtFlags::REMOVEDIR.bits();
    if flags & !REMOVEDIR != 0 {
        return Err(Errno::EINVAL.into());
    }
    let (ctx, name) = at::read(task, dir, path)?;
    let remove = if flags == REMOVEDIR { ops::rmdir } else { ops::unlink };
    remove(&ctx, &name)?;
    Ok(())
}

fn symlink(task: &Arc<Task>, target: UserPath, path: UserPath) -> SysResult<()> {
    symlinkat(task, target, DirFd::Cwd, path)
}

fn symlinkat(task: &Arc<Task>, target: UserPath, dir: DirFd, path: UserPath) -> SysResult<()> {
    let target = target.read(task)?;
    let (ctx, name) = at::read(task, dir, path)?;
    Ok(ops::symlink(&ctx, &target, &name)?)
}

fn link(task: &Arc<Task>, old: UserPath, new: UserPath) -> SysResult<()> {
    linkat(task, DirFd::Cwd, old, DirFd::Cwd, new, AtFlags::empty())
}

fn linkat(
    task: &Arc<Task>,
    old_dir: DirFd,
    old: UserPath,
    new_dir: DirFd,
    new: UserPath,
    flags: AtFlags,
) -> SysResult<()> {
    let (from, old) = at::read(task, old_dir, old)?;
    let (to, new) = at::read(task, new_dir, new)?;
    Ok(ops::link(&from, &old, &to, &new, flags)?)
}

fn rename(task: &Arc<Task>, old: UserPath, new: UserPath) -> SysResult<()> {
    renameat2(task, DirFd::Cwd, old, DirFd::Cwd, new, 0)
}

fn renameat(task: &Arc<Task>, old_dir: DirFd, old: UserPath, new_dir: DirFd, new: UserPath) -> SysResult<()> {
    renameat2(task, old_dir, old, new_dir, new, 0)
}

fn renameat2(
    task: &Arc<Task>,
    old_dir: DirFd,
    old: UserPath,
    new_dir: DirFd,
    new: UserPath,
    flags: u32,
) -> SysResult<()> {
    let flags = RenameFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let (from, old) = at::read(task, old_dir, old)?;
    let (to, new) = at::read(task, new_dir, new)?;
    Ok(ops::rename(&from, &old, &to, &new, flags)?)
}

fn readlink(task: &Arc<Task>, path: UserPath, buffer: UserAddr, size: i32) -> SysResult<usize> {
    readlinkat(task, DirFd::Cwd, path, buffer, size)
}

fn readlinkat(task: &Arc<Task>, dir: DirFd, path: UserPath, buffer: UserAddr, size: i32) -> SysResult<usize> {
    let size = usize::try_from(size).ok().filter(|s| *s > 0).ok_or(Errno::EINVAL)?;
    let (ctx, name) = at::read(task, dir, path)?;
    let target = ops::readlink(&ctx, &name)?;
    let target = target.get(..size).unwrap_or(&target);
    task.mm()?.copy_out(buffer, target)?;
    Ok(target.len())
}

/// Lists entries in the form that `encode` gives them: padded records, none of which is cut.
fn list(
    task: &Arc<Task>,
    fd: Fd,
    buffer: UserAddr,
    size: usize,
    encode: fn(&DirEntry<'_>) -> Vec<u8>,
) -> SysResult<usize> {
    let file: Arc<File> = task.file(fd)?;
    if file.is_path_only() {
        return Err(Errno::EBADF.into());
    }
    let mut records = Vec::new();
    let mut too_small = false;
    {
        let mut pos = file.pos.lock();
        file.ops().read_dir(&file, &mut pos, &mut |entry| {
            let record = encode(&entry);
            if records.len() + record.len() > size {
                too_small = records.is_empty();
                return false;
            }
            records.extend(record);
            true
        })?;
    }
    if too_small {
        return Err(Errno::EINVAL.into());
    }
    task.mm()?.copy_out(buffer, &records)?;
    ops::accessed(&file);
    Ok(records.len())
}

fn getdents64(task: &Arc<Task>, fd: Fd, buffer: UserAddr, size: u32) -> SysResult<usize> {
    list(task, fd, buffer, size as usize, |e| {
        let len = dirent64_reclen(e.name.len());
        let mut record = Vec::with_capacity(len);
        record.extend(e.ino.to_le_bytes());
        record.extend(e.next.to_le_bytes());
        record.extend((len as u16).to_le_bytes());
        record.push(e.kind.map_or(0, |k| k.to_dt()));
        record.extend(e.name);
        record.resize(len, 0);
        record
    })
}

fn getdents(task: &Arc<Task>, fd: Fd, buffer: UserAddr, size: u32) -> SysResult<usize> {
    list(task, fd, buffer, size as usize, |e| {
        let len = dirent_old_reclen(e.name.len());
        let mut record = Vec::with_capacity(len);
        record.extend(e.ino.to_le_bytes());
        record.extend(e.next.to_le_bytes());
        record.extend((len as u16).to_le_bytes());
        record.extend(e.name);
        record.resize(len, 0);
        // The type sits in the last byte of the record.
        if let Some(last) = record.last_mut() {
            *last = e.kind.map_or(0, |k| k.to_dt());
        }
        record
    })
}

fn chdir(task: &Arc<Task>, path: UserPath) -> SysResult<()> {
    let (ctx, name) = at::read(task, DirFd::Cwd, path)?;
    let dir = ops::directory(&ctx, &name)?;
    task.fs().set_cwd(dir);
    Ok(())
}

fn fchdir(task: &Arc<Task>, fd: Fd) -> SysResult<()> {
    let file = task.file(fd)?;
    if !file.path().is_dir() {
        return Err(Errno::ENOTDIR.into());
    }
    let ctx = task.walk_context().at(file.path().clone());
    let dir = ops::directory(&ctx, b".")?;
    task.fs().set_cwd(dir);
    Ok(())
}

fn chroot(task: &Arc<Task>, path: UserPath) -> SysResult<()> {
    let (ctx, name) = at::read(task, DirFd::Cwd, path)?;
    let dir = ops::directory(&ctx, &name)?;
    if !task.cred().has_cap(Cap::SYS_CHROOT) {
        return Err(Errno::EPERM.into());
    }
    task.fs().set_root(dir);
    Ok(())
}

fn getcwd(task: &Arc<Task>, buffer: UserAddr, size: usize) -> SysResult<usize> {
    let fs = task.fs();
    let mut text = vfs::dpath::getcwd(&fs.cwd(), &fs.root())?;
    text.push(0);
    if text.len() > size {
        return Err(Errno::ERANGE.into());
    }
    task.mm()?.copy_out(buffer, &text)?;
    Ok(text.len())
}

fn umask(task: &Arc<Task>, mask: u32) -> SysResult<u32> {
    Ok(task.fs().set_umask(mask))
}
