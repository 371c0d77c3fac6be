//! Attributes of files: `stat(2)`, `chmod(2)`, `chown(2)`, `utimensat(2)`, `xattr(7)`, `statfs(2)`.

use crate::rows;
use crate::{
    arg::{DirFd, UserPath},
    at,
    io::file_size_limit,
    row::Row,
};
use abi::{
    Errno, SigInfo, Signal, Stat, Statfs, Statx, Timespec, Timeval,
    fcntl::AtFlags,
    stat::{StatxAttr, StatxMask, StatxTimestamp, XATTR_NAME_MAX, XATTR_SIZE_MAX, dev},
    time::Utimbuf,
};
use kernel::{SysError, SysResult, Task, task::Wait};
use ksync::Ready;
use mem::{UserAddr, UserMemoryExt, UserPtr};
use std::sync::Arc;
use vfs::{Attr, Fd, Gid, Path, Uid, ops};

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    now STAT = stat as (UserPath, UserPtr<Stat>);
    now LSTAT = lstat as (UserPath, UserPtr<Stat>);
    now FSTAT = fstat as (Fd, UserPtr<Stat>);
    now NEWFSTATAT = newfstatat as (DirFd, UserPath, UserPtr<Stat>, u32);
    now STATX = statx as (DirFd, UserPath, u32, u32, UserPtr<Statx>);
    now STATFS = statfs as (UserPath, UserPtr<Statfs>);
    now FSTATFS = fstatfs as (Fd, UserPtr<Statfs>);
    now ACCESS = access as (UserPath, u32);
    now FACCESSAT = faccessat as (DirFd, UserPath, u32);
    now FACCESSAT2 = faccessat2 as (DirFd, UserPath, u32, AtFlags);
    now CHMOD = chmod as (UserPath, u32);
    now FCHMOD = fchmod as (Fd, u32);
    now FCHMODAT = fchmodat as (DirFd, UserPath, u32);
    now FCHMODAT2 = fchmodat2 as (DirFd, UserPath, u32, AtFlags);
    now CHOWN = chown as (UserPath, u32, u32);
    now LCHOWN = lchown as (UserPath, u32, u32);
    now FCHOWN = fchown as (Fd, u32, u32);
    now FCHOWNAT = fchownat as (DirFd, UserPath, u32, u32, AtFlags);
    later TRUNCATE = truncate as (UserPath, i64);
    now FTRUNCATE = ftruncate as (Fd, i64);
    now UTIME = utime as (UserPath, UserPtr<Utimbuf>);
    now UTIMES = utimes as (UserPath, UserPtr<[Timeval; 2]>);
    now FUTIMESAT = futimesat as (DirFd, UserPath, UserPtr<[Timeval; 2]>);
    now UTIMENSAT = utimensat as (DirFd, UserPath, UserPtr<[Timespec; 2]>, u32);
    now SETXATTR = setxattr as (UserPath, UserAddr, UserAddr, usize, u32);
    now LSETXATTR = lsetxattr as (UserPath, UserAddr, UserAddr, usize, u32);
    now FSETXATTR = fsetxattr as (Fd, UserAddr, UserAddr, usize, u32);
    now GETXATTR = getxattr as (UserPath, UserAddr, UserAddr, usize);
    now LGETXATTR = lgetxattr as (UserPath, UserAddr, UserAddr, usize);
    now FGETXATTR = fgetxattr as (Fd, UserAddr, UserAddr, usize);
    now LISTXATTR = listxattr as (UserPath, UserAddr, usize);
    now LLISTXATTR = llistxattr as (UserPath, UserAddr, usize);
    now FLISTXATTR = flistxattr as (Fd, UserAddr, usize);
    now REMOVEXATTR = removexattr as (UserPath, UserAddr);
    now LREMOVEXATTR = lremovexattr as (UserPath, UserAddr);
    now FREMOVEXATTR = fremovexattr as (Fd, UserAddr);
};

/// What `stat(2)` shows `task`.
fn shown(task: &Task, a: &Attr) -> Stat {
    let ns = task.cred().user_ns.clone();
    Stat {
        st_dev: user_dev(a.dev),
        st_ino: a.ino,
        st_nlink: a.nlink,
        st_mode: a.mode,
        st_uid: ns.show_uid(a.uid),
        st_gid: ns.show_gid(a.gid),
        st_rdev: user_dev(a.rdev),
        st_size: a.size as i64,
        st_blksize: a.blksize as i64,
        st_blocks: a.blocks as i64,
        st_atime: a.atime,
        st_mtime: a.mtime,
        st_ctime: a.ctime,
        ..Stat::default()
    }
}

/// A device number in the encoding of `struct stat`.
fn user_dev(number: u64) -> u64 {
    u64::from(dev::encode_new(dev::major(number), dev::minor(number)))
}

fn follow(task: &Task, path: UserPath) -> Result<Path, Errno> {
    at::resolve(task, DirFd::Cwd, path, AtFlags::empty())
}

fn no_follow(task: &Task, path: UserPath) -> Result<Path, Errno> {
    at::resolve(task, DirFd::Cwd, path, AtFlags::SYMLINK_NOFOLLOW)
}

fn stat(task: &Arc<Task>, path: UserPath, out: UserPtr<Stat>) -> SysResult<()> {
    let attr = ops::getattr(&follow(task, path)?)?;
    Ok(out.write(&*task.mm()?, &shown(task, &attr))?)
}

fn lstat(task: &Arc<Task>, path: UserPath, out: UserPtr<Stat>) -> SysResult<()> {
    let attr = ops::getattr(&no_follow(task, path)?)?;
    Ok(out.write(&*task.mm()?, &shown(task, &attr))?)
}

fn fstat(task: &Arc<Task>, fd: Fd, out: UserPtr<Stat>) -> SysResult<()> {
    let attr = ops::getattr(task.file(fd)?.path())?;
    Ok(out.write(&*task.mm()?, &shown(task, &attr))?)
}

/// Whether cached attributes will do: nothing is cached here that could be stale.
const SYNC_TYPE: AtFlags = AtFlags::STATX_FORCE_SYNC.union(AtFlags::STATX_DONT_SYNC);

const STAT_FLAGS: AtFlags =
    AtFlags::SYMLINK_NOFOLLOW.union(AtFlags::EMPTY_PATH).union(AtFlags::NO_AUTOMOUNT).union(SYNC_TYPE);

fn stat_flags(flags: u32) -> Result<AtFlags, Errno> {
    AtFlags::from_bits(flags).filter(|f| STAT_FLAGS.contains(*f)).ok_or(Errno::EINVAL)
}

fn newfstatat(task: &Arc<Task>, dir: DirFd, path: UserPath, out: UserPtr<Stat>, flags: u32) -> SysResult<()> {
    let attr = ops::getattr(&at::resolve(task, dir, path, stat_flags(flags)?)?)?;
    Ok(out.write(&*task.mm()?, &shown(task, &attr))?)
}

fn statx(
    task: &Arc<Task>,
    dir: DirFd,
    path: UserPath,
    flags: u32,
    mask: u32,
    out: UserPtr<Statx>,
) -> SysResult<()> {
    let flags = stat_flags(flags)?;
    if mask & StatxMask::RESERVED.bits() != 0 || flags.contains(SYNC_TYPE) {
        return Err(Errno::EINVAL.into());
    }
    let path = at::resolve(task, dir, path, flags)?;
    let a = ops::getattr(&path)?;
    let stamp =
        |t: Timespec| StatxTimestamp { tv_sec: t.tv_sec, tv_nsec: t.tv_nsec as u32, ..Default::default() };
    let ns = task.cred().user_ns.clone();
    // The unique id is given instead of the other, not beside it.
    let unique = mask & StatxMask::MNT_ID_UNIQUE.bits() != 0;
    let mut filled = StatxMask::BASIC_STATS;
    filled |= if unique { StatxMask::MNT_ID_UNIQUE } else { StatxMask::MNT_ID };
    filled.set(StatxMask::BTIME, a.btime.is_some());
    let mut attributes = a.attributes;
    if Arc::ptr_eq(path.dentry(), &path.mount().root) {
        attributes |= StatxAttr::MOUNT_ROOT.bits();
    }
    let known = StatxAttr::IMMUTABLE
        | StatxAttr::APPEND
        | StatxAttr::NODUMP
        | StatxAttr::MOUNT_ROOT
        | StatxAttr::AUTOMOUNT;
    let value = Statx {
        stx_mask: filled.bits(),
        stx_blksize: a.blksize as u32,
        stx_attributes: attributes,
        stx_nlink: a.nlink as u32,
        stx_uid: ns.show_uid(a.uid),
        stx_gid: ns.show_gid(a.gid),
        stx_mode: a.mode as u16,
        stx_ino: a.ino,
        stx_size: a.size,
        stx_blocks: a.blocks,
        stx_attributes_mask: known.bits(),
        stx_atime: stamp(a.atime),
        stx_btime: stamp(a.btime.unwrap_or_default()),
        stx_ctime: stamp(a.ctime),
        stx_mtime: stamp(a.mtime),
        stx_rdev_major: dev::major(a.rdev),
        stx_rdev_minor: dev::minor(a.rdev),
        stx_dev_major: dev::major(a.dev),
        stx_dev_minor: dev::minor(a.dev),
        stx_mnt_id: if unique { vfs::mount::show::unique_id(path.mount()) } else { path.mount().id },
        ..Statx::default()
    };
    Ok(out.write(&*task.mm()?, &value)?)
}

fn statfs(task: &Arc<Task>, path: UserPath, out: UserPtr<Statfs>) -> SysResult<()> {
    let value = ops::statfs(&follow(task, path)?)?;
    Ok(out.write(&*task.mm()?, &value)?)
}

fn fstatfs(task: &Arc<Task>, fd: Fd, out: UserPtr<Statfs>) -> SysResult<()> {
    let value = ops::statfs(task.file(fd)?.path())?;
    Ok(out.write(&*task.mm()?, &value)?)
}

fn access(task: &Arc<Task>, path: UserPath, mode: u32) -> SysResult<()> {
    faccessat2(task, DirFd::Cwd, path, mode, AtFlags::empty())
}

fn faccessat(task: &Arc<Task>, dir: DirFd, path: UserPath, mode: u32) -> SysResult<()> {
    faccessat2(task, dir, path, mode, AtFlags::empty())
}

fn faccessat2(task: &Arc<Task>, dir: DirFd, path: UserPath, mode: u32, flags: AtFlags) -> SysResult<()> {
    let (ctx, name) = at::read(task, dir, path)?;
    Ok(ops::access(&ctx, &name, mode, flags)?)
}

fn chmod(task: &Arc<Task>, path: UserPath, mode: u32) -> SysResult<()> {
    Ok(ops::chmod(&task.cred(), &follow(task, path)?, mode)?)
}

fn fchmod(task: &Arc<Task>, fd: Fd, mode: u32) -> SysResult<()> {
    let file = task.file(fd)?;
    if file.is_path_only() {
        return Err(Errno::EBADF.into());
    }
    Ok(ops::chmod(&task.cred(), file.path(), mode)?)
}

fn fchmodat(task: &Arc<Task>, dir: DirFd, path: UserPath, mode: u32) -> SysResult<()> {
    fchmodat2(task, dir, path, mode, AtFlags::empty())
}

/// `AT_SYMLINK_NOFOLLOW` and `AT_EMPTY_PATH` and nothing else.
fn path_flags(flags: AtFlags) -> Result<AtFlags, Errno> {
    let known = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    if known.contains(flags) { Ok(flags) } else { Err(Errno::EINVAL) }
}

fn fchmodat2(task: &Arc<Task>, dir: DirFd, path: UserPath, mode: u32, flags: AtFlags) -> SysResult<()> {
    let path = at::resolve(task, dir, path, path_flags(flags)?)?;
    Ok(ops::chmod(&task.cred(), &path, mode)?)
}

/// Changes owner and group; all ones leaves one alone. `EINVAL` for ids that the caller's namespace does not map.
fn change_owner(task: &Task, path: &Path, uid: u32, gid: u32) -> Result<(), Errno> {
    let cred = task.cred();
    let ns = &cred.user_ns;
    let uid: Option<Uid> = if uid == u32::MAX { None } else { Some(ns.uid(uid).ok_or(Errno::EINVAL)?) };
    let gid: Option<Gid> = if gid == u32::MAX { None } else { Some(ns.gid(gid).ok_or(Errno::EINVAL)?) };
    ops::chown(&cred, path, uid, gid)
}

fn chown(task: &Arc<Task>, path: UserPath, uid: u32, gid: u32) -> SysResult<()> {
    Ok(change_owner(task, &follow(task, path)?, uid, gid)?)
}

fn lchown(task: &Arc<Task>, path: UserPath, uid: u32, gid: u32) -> SysResult<()> {
    Ok(change_owner(task, &no_follow(task, path)?, uid, gid)?)
}

fn fchown(task: &Arc<Task>, fd: Fd, uid: u32, gid: u32) -> SysResult<()> {
    let file = task.file(fd)?;
    if file.is_path_only() {
        return Err(Errno::EBADF.into());
    }
    Ok(change_owner(task, file.path(), uid, gid)?)
}

fn fchownat(
    task: &Arc<Task>,
    dir: DirFd,
    path: UserPath,
    uid: u32,
    gid: u32,
    flags: AtFlags,
) -> SysResult<()> {
    let path = at::resolve(task, dir, path, path_flags(flags)?)?;
    Ok(change_owner(task, &path, uid, gid)?)
}

/// A file that would be too large is refused with a signal.
fn or_too_large(task: &Arc<Task>, result: Result<(), Errno>) -> SysResult<()> {
    if result == Err(Errno::EFBIG) {
        let _ = task.send_signal(SigInfo::kernel(Signal::SIGXFSZ));
    }
    Ok(result?)
}

async fn truncate(task: &Arc<Task>, path: UserPath, len: i64) -> SysResult<()> {
    if len < 0 {
        return Err(Errno::EINVAL.into());
    }
    let path = follow(task, path)?;
    let (cred, limit) = (task.cred(), file_size_limit(task));
    let attempt = || ops::truncate(&cred, &path, len, limit);
    let done = match attempt() {
        // Somebody has a lease, and has been told.
        Err(Errno::EAGAIN) => {
            let inode = path.inode();
            let deadline = vfs::locks::lease::breaking_until(&*inode);
            let wait = Wait::on(vfs::locks::wait_queue(&*inode), Ready::OTHER).deadline(deadline);
            match task.block_on(wait, attempt).await {
                Err(SysError::Errno(Errno::ETIMEDOUT)) => attempt(),
                Err(SysError::Errno(e)) => Err(e),
                Err(interrupted) => return Err(interrupted),
                Ok(()) => Ok(()),
            }
        }
        done => done,
    };
    or_too_large(task, done)
}

fn ftruncate(task: &Arc<Task>, fd: Fd, len: i64) -> SysResult<()> {
    if len < 0 {
        return Err(Errno::EINVAL.into());
    }
    let file = task.file(fd)?;
    if file.is_path_only() {
        return Err(Errno::EBADF.into());
    }
    or_too_large(task, ops::ftruncate(&task.cred(), &file, len, file_size_limit(task)))
}

fn utime(task: &Arc<Task>, path: UserPath, times: UserPtr<Utimbuf>) -> SysResult<()> {
    let times = match times.non_null() {
        None => ops::Times::NOW,
        Some(times) => {
            let t = times.read(&*task.mm()?)?;
            let at = |tv_sec| Timespec { tv_sec, tv_nsec: 0 };
            ops::Times::new(at(t.actime), at(t.modtime))?
        }
    };
    Ok(ops::set_times(&task.cred(), &follow(task, path)?, times)?)
}

fn from_timevals(task: &Task, times: UserPtr<[Timeval; 2]>) -> Result<ops::Times, Errno> {
    let Some(times) = times.non_null() else { return Ok(ops::Times::NOW) };
    let [atime, mtime] = times.read(&*task.mm()?)?;
    ops::Times::new(atime.to_timespec()?, mtime.to_timespec()?)
}

fn utimes(task: &Arc<Task>, path: UserPath, times: UserPtr<[Timeval; 2]>) -> SysResult<()> {
    let times = from_timevals(task, times)?;
    Ok(ops::set_times(&task.cred(), &follow(task, path)?, times)?)
}

fn futimesat(task: &Arc<Task>, dir: DirFd, path: UserPath, times: UserPtr<[Timeval; 2]>) -> SysResult<()> {
    let times = from_timevals(task, times)?;
    let path = match (path.0.is_null(), dir) {
        (true, DirFd::Fd(fd)) => task.file(fd)?.path().clone(),
        _ => at::resolve(task, dir, path, AtFlags::empty())?,
    };
    Ok(ops::set_times(&task.cred(), &path, times)?)
}

fn utimensat(
    task: &Arc<Task>,
    dir: DirFd,
    path: UserPath,
    times: UserPtr<[Timespec; 2]>,
    flags: u32,
) -> SysResult<()> {
    let times = match times.non_null() {
        None => ops::Times::NOW,
        Some(times) => {
            let [atime, mtime] = times.read(&*task.mm()?)?;
            ops::Times::new(atime, mtime)?
        }
    };
    if times.is_nothing() {
        return Ok(());
    }
    let flags = AtFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let path = match (path.0.is_null(), dir) {
        (true, DirFd::Fd(fd)) if flags.is_empty() => {
            let file = task.file(fd)?;
            if file.is_path_only() {
                return Err(Errno::EBADF.into());
            }
            file.path().clone()
        }
        (true, DirFd::Fd(_)) => return Err(Errno::EINVAL.into()),
        _ => at::resolve(task, dir, path, path_flags(flags)?)?,
    };
    Ok(ops::set_times(&task.cred(), &path, times)?)
}

/// The name of an extended attribute; `ERANGE` for an empty or overlong one.
fn xattr_name(task: &Task, name: UserAddr) -> Result<Vec<u8>, Errno> {
    match task.mm()?.read_cstr(name, XATTR_NAME_MAX + 1) {
        Err(Errno::ENAMETOOLONG) => Err(Errno::ERANGE),
        Ok(name) if name.is_empty() => Err(Errno::ERANGE),
        other => other,
    }
}

fn set(
    task: &Task,
    path: &Path,
    name: UserAddr,
    value: UserAddr,
    size: usize,
    flags: u32,
) -> Result<(), Errno> {
    let name = xattr_name(task, name)?;
    if size > XATTR_SIZE_MAX {
        return Err(Errno::E2BIG);
    }
    let mut bytes = vec![0; size];
    task.mm()?.copy_in(value, &mut bytes)?;
    ops::xattr::set(&task.cred(), path, &name, &bytes, flags)
}

/// Copies a value or a list out; size 0 only asks how long it is, `ERANGE` if it does not fit.
fn give(task: &Task, bytes: &[u8], buffer: UserAddr, size: usize) -> Result<usize, Errno> {
    if size > 0 {
        if bytes.len() > size {
            return Err(Errno::ERANGE);
        }
        task.mm()?.copy_out(buffer, bytes)?;
    }
    Ok(bytes.len())
}

fn get(task: &Task, path: &Path, name: UserAddr, buffer: UserAddr, size: usize) -> Result<usize, Errno> {
    let value = ops::xattr::get(&task.cred(), path, &xattr_name(task, name)?)?;
    give(task, &value, buffer, size)
}

fn setxattr(
    task: &Arc<Task>,
    p: UserPath,
    name: UserAddr,
    value: UserAddr,
    size: usize,
    flags: u32,
) -> SysResult<()> {
    Ok(set(task, &follow(task, p)?, name, value, size, flags)?)
}

fn lsetxattr(
    task: &Arc<Task>,
    p: UserPath,
    name: UserAddr,
    value: UserAddr,
    size: usize,
    flags: u32,
) -> SysResult<()> {
    Ok(set(task, &no_follow(task, p)?, name, value, size, flags)?)
}

fn fsetxattr(
    task: &Arc<Task>,
    fd: Fd,
    name: UserAddr,
    value: UserAddr,
    size: usize,
    flags: u32,
) -> SysResult<()> {
    Ok(set(task, &open_path(task, fd)?, name, value, size, flags)?)
}

/// What a descriptor that is not `O_PATH` is open on.
fn open_path(task: &Task, fd: Fd) -> Result<Path, Errno> {
    let file = task.file(fd)?;
    if file.is_path_only() { Err(Errno::EBADF) } else { Ok(file.path().clone()) }
}

fn getxattr(
    task: &Arc<Task>,
    path: UserPath,
    name: UserAddr,
    buffer: UserAddr,
    size: usize,
) -> SysResult<usize> {
    Ok(get(task, &follow(task, path)?, name, buffer, size)?)
}

fn lgetxattr(
    task: &Arc<Task>,
    path: UserPath,
    name: UserAddr,
    buffer: UserAddr,
    size: usize,
) -> SysResult<usize> {
    Ok(get(task, &no_follow(task, path)?, name, buffer, size)?)
}

fn fgetxattr(task: &Arc<Task>, fd: Fd, name: UserAddr, buffer: UserAddr, size: usize) -> SysResult<usize> {
    Ok(get(task, &open_path(task, fd)?, name, buffer, size)?)
}

fn listxattr(task: &Arc<Task>, path: UserPath, buffer: UserAddr, size: usize) -> SysResult<usize> {
    let names = ops::xattr::list(&task.cred(), &follow(task, path)?)?;
    Ok(give(task, &names, buffer, size)?)
}

fn llistxattr(task: &Arc<Task>, path: UserPath, buffer: UserAddr, size: usize) -> SysResult<usize> {
    let names = ops::xattr::list(&task.cred(), &no_follow(task, path)?)?;
    Ok(give(task, &names, buffer, size)?)
}

fn flistxattr(task: &Arc<Task>, fd: Fd, buffer: UserAddr, size: usize) -> SysResult<usize> {
    let names = ops::xattr::list(&task.cred(), &open_path(task, fd)?)?;
    Ok(give(task, &names, buffer, size)?)
}

fn removexattr(task: &Arc<Task>, path: UserPath, name: UserAddr) -> SysResult<()> {
    Ok(ops::xattr::remove(&task.cred(), &follow(task, path)?, &xattr_name(task, name)?)?)
}

fn lremovexattr(task: &Arc<Task>, path: UserPath, name: UserAddr) -> SysResult<()> {
    Ok(ops::xattr::remove(&task.cred(), &no_follow(task, path)?, &xattr_name(task, name)?)?)
}

fn fremovexattr(task: &Arc<Task>, fd: Fd, name: UserAddr) -> SysResult<()> {
    Ok(ops::xattr::remove(&task.cred(), &open_path(task, fd)?, &xattr_name(task, name)?)?)
}
