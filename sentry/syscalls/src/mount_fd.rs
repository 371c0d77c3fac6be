//! Mounts by descriptor: `open_tree(2)`, `move_mount(2)`, `fsopen(2)`, `fsconfig(2)`, `fsmount(2)`, `fspick(2)`,
//! `mount_setattr(2)`.

use crate::{
    arg::{DirFd, UserPath},
    at::{self, context},
    open::install,
    poll::real_file,
    row::Row,
    rows,
};
use abi::{
    Errno,
    fcntl::{AT_FDCWD, AtFlags},
    limits::PAGE_SIZE_USIZE,
    process::{
        self, FsmountFlags, FsopenFlags, FspickFlags, MOUNT_ATTR_SIZE_VER0, MountAttr, MoveMountFlags,
        OpenTreeFlags,
    },
};
use kernel::{SysResult, Task};
use mem::{UserAddr, UserMemoryExt, UserPtr};
use std::sync::Arc;
use vfs::{Fd, mount::api};

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    now OPEN_TREE = open_tree as (DirFd, UserPath, u32);
    now MOVE_MOUNT = move_mount as (DirFd, UserPath, DirFd, UserPath, u32)
        partial "MOVE_MOUNT_SET_GROUP and MOVE_MOUNT_BENEATH give EINVAL";
    now FSOPEN = fsopen as (UserAddr, u32);
    now FSCONFIG = fsconfig as (Fd, u32, UserAddr, UserAddr, i32)
        partial "options are checked when the file system is made; none is a descriptor, path or bytes: EOPNOTSUPP";
    now FSMOUNT = fsmount as (Fd, u32, u64);
    now FSPICK = fspick as (DirFd, UserPath, u32);
    now MOUNT_SETATTR = mount_setattr as (DirFd, UserPath, u32, UserPtr<MountAttr>, usize)
        partial "no idmapped mounts: MOUNT_ATTR_IDMAP gives EINVAL";
};

/// The longest parameter of a file system, with its zero.
const PARAMETER_MAX: usize = 256;

/// A string of at most `max` bytes with its zero; `EINVAL` for a longer one.
fn string(task: &Task, addr: UserAddr, max: usize) -> Result<Vec<u8>, Errno> {
    match task.mm()?.read_cstr(addr, max) {
        Err(Errno::ENAMETOOLONG) => Err(Errno::EINVAL),
        text => text,
    }
}

fn mount_namespace(task: &Task) -> Arc<vfs::MountNamespace> {
    task.namespaces().mount.clone()
}

fn open_tree(task: &Arc<Task>, dir: DirFd, path: UserPath, flags: u32) -> SysResult<Fd> {
    let known = OpenTreeFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let ns = mount_namespace(task);
    if known.contains(OpenTreeFlags::CLONE) {
        vfs::mount::ops::may_mount(&task.cred(), &ns)?;
    }
    let (ctx, name) = at::read(task, dir, path)?;
    let file = api::open_tree(&ctx, &ns, &name, flags)?;
    Ok(install(task, file, known.contains(OpenTreeFlags::CLOEXEC))?)
}

fn move_mount(
    task: &Arc<Task>,
    from: DirFd,
    from_path: UserPath,
    to: DirFd,
    to_path: UserPath,
    flags: u32,
) -> SysResult<()> {
    let ns = mount_namespace(task);
    vfs::mount::ops::may_mount(&task.cred(), &ns)?;
    MoveMountFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let (from, from_path) = at::read(task, from, from_path)?;
    let (to, to_path) = at::read(task, to, to_path)?;
    Ok(api::move_mount(&from, &from_path, &to, &to_path, &ns, flags)?)
}

fn fsopen(task: &Arc<Task>, kind: UserAddr, flags: u32) -> SysResult<Fd> {
    let ns = mount_namespace(task);
    vfs::mount::ops::may_mount(&task.cred(), &ns)?;
    let flags = FsopenFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let kind = string(task, kind, PAGE_SIZE_USIZE)?;
    let file = api::fsopen(&task.walk_context(), &ns, &kind)?;
    Ok(install(task, file, flags.contains(FsopenFlags::CLOEXEC))?)
}

fn fsconfig(
    task: &Arc<Task>,
    fd: Fd,
    command: u32,
    key: UserAddr,
    value: UserAddr,
    aux: i32,
) -> SysResult<()> {
    let (has_key, has_value) = (!key.is_null(), !value.is_null());
    let fits = match command {
        process::FSCONFIG_SET_FLAG => has_key && !has_value && aux == 0,
        process::FSCONFIG_SET_STRING => has_key && has_value && aux == 0,
        process::FSCONFIG_SET_BINARY => has_key && has_value && (1..=1 << 20).contains(&aux),
        process::FSCONFIG_SET_PATH | process::FSCONFIG_SET_PATH_EMPTY => {
            has_key && has_value && (aux == AT_FDCWD || aux >= 0)
        }
        process::FSCONFIG_SET_FD => has_key && !has_value && aux >= 0,
        process::FSCONFIG_CMD_CREATE
        | process::FSCONFIG_CMD_CREATE_EXCL
        | process::FSCONFIG_CMD_RECONFIGURE => !has_key && !has_value && aux == 0,
        _ => return Err(Errno::EOPNOTSUPP.into()),
    };
    if fd.0 < 0 || !fits {
        return Err(Errno::EINVAL.into());
    }
    let file = real_file(task, fd)?;
    if file.downcast::<api::ConfigFile>().is_none() {
        return Err(Errno::EINVAL.into());
    }
    let text = |addr: UserAddr, there: bool| match there {
        true => string(task, addr, PARAMETER_MAX).map(Some),
        false => Ok(None),
    };
    let key = text(key, has_key)?;
    let value = text(value, has_value && command == process::FSCONFIG_SET_STRING)?;
    let ns = mount_namespace(task);
    Ok(api::fsconfig(&task.walk_context(), &ns, &file, command, key.as_deref(), value.as_deref())?)
}

fn fsmount(task: &Arc<Task>, fd: Fd, flags: u32, attributes: u64) -> SysResult<Fd> {
    let ns = mount_namespace(task);
    vfs::mount::ops::may_mount(&task.cred(), &ns)?;
    let flags = FsmountFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let file = real_file(task, fd)?;
    let mounted = api::fsmount(&task.walk_context(), &ns, &file, attributes)?;
    Ok(install(task, mounted, flags.contains(FsmountFlags::CLOEXEC))?)
}

fn fspick(task: &Arc<Task>, dir: DirFd, path: UserPath, flags: u32) -> SysResult<Fd> {
    let ns = mount_namespace(task);
    vfs::mount::ops::may_mount(&task.cred(), &ns)?;
    let known = FspickFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let (ctx, name) = at::read(task, dir, path)?;
    let file = api::fspick(&ctx, &ns, &name, flags)?;
    Ok(install(task, file, known.contains(FspickFlags::CLOEXEC))?)
}

fn mount_setattr(
    task: &Arc<Task>,
    dir: DirFd,
    path: UserPath,
    flags: u32,
    attributes: UserPtr<MountAttr>,
    size: usize,
) -> SysResult<()> {
    let known = AtFlags::EMPTY_PATH | AtFlags::RECURSIVE | AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let flags = AtFlags::from_bits(flags).filter(|f| known.contains(*f)).ok_or(Errno::EINVAL)?;
    if size > PAGE_SIZE_USIZE {
        return Err(Errno::E2BIG.into());
    }
    if size < MOUNT_ATTR_SIZE_VER0 {
        return Err(Errno::EINVAL.into());
    }
    let ns = mount_namespace(task);
    let cred = task.cred();
    vfs::mount::ops::may_mount(&cred, &ns)?;
    let mm = task.mm()?;
    let mut rest = vec![0u8; size.saturating_sub(MountAttr::SIZE)];
    mm.copy_in(attributes.addr().add(MountAttr::SIZE as u64)?, &mut rest)?;
    if rest.iter().any(|b| *b != 0) {
        return Err(Errno::E2BIG.into());
    }
    let attr = attributes.read(&*mm)?;
    if (attr.attr_set, attr.attr_clr, attr.propagation) == (0, 0, 0) {
        return Ok(());
    }
    let change =
        api::SetMountAttr { set: attr.attr_set, clear: attr.attr_clr, propagation: attr.propagation };
    let name = path.read(task)?;
    let path = context(task, dir, &name)?.resolve(&name, at::lookup(flags))?;
    Ok(api::mount_setattr(&cred, &ns, &path, flags.contains(AtFlags::RECURSIVE), &change)?)
}
