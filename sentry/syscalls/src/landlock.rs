//! `landlock(7)`. The rules are [`vfs::landlock`]'s; this takes arguments apart.

use crate::{open::install, row::Row, rows};
use abi::{
    Errno, FileType, OpenFlags,
    ioctl::{FIOASYNC, FIOCLEX, FIONBIO, FIONCLEX, FIOQSIZE},
    limits::PAGE_SIZE_USIZE,
    process::Cap,
    socket::{AF_INET, AF_INET6, AF_UNSPEC, SockType},
};
use kernel::{SysResult, Task};
use mem::{UserAddr, UserMemoryExt};
use net::SocketOps;
use std::sync::Arc;
use vfs::{
    Fd, File,
    landlock::{ABI_VERSION, Domain, FsAccess, Handled, NetAccess, Ruleset, RulesetFile, Scope, ruleset_of},
};

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    now LANDLOCK_CREATE_RULESET = create_ruleset as (UserAddr, usize, u32);
    now LANDLOCK_ADD_RULE = add_rule as (Fd, u32, UserAddr, u32);
    now LANDLOCK_RESTRICT_SELF = restrict_self as (Fd, u32);
};

const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: u32 = 1;
const RULE_NET_PORT: u32 = 2;
/// `struct landlock_ruleset_attr` of this ABI version and of the first.
const ATTR_SIZE: usize = 24;
const ATTR_SIZE_MIN: usize = 8;

/// The word of 64 bits at `index`.
fn word(bytes: &[u8], index: usize) -> u64 {
    let word = bytes.get(index * 8..index * 8 + 8).and_then(|b| b.try_into().ok());
    word.map_or(0, u64::from_ne_bytes)
}

fn create_ruleset(task: &Arc<Task>, attr: UserAddr, size: usize, flags: u32) -> SysResult<i32> {
    if flags != 0 {
        let asks = flags == CREATE_RULESET_VERSION && attr.is_null() && size == 0;
        return if asks { Ok(ABI_VERSION) } else { Err(Errno::EINVAL.into()) };
    }
    if attr.is_null() {
        return Err(Errno::EFAULT.into());
    }
    if size < ATTR_SIZE_MIN {
        return Err(Errno::EINVAL.into());
    }
    if size > PAGE_SIZE_USIZE {
        return Err(Errno::E2BIG.into());
    }
    let mut bytes = vec![0; size.max(ATTR_SIZE)];
    task.mm()?.copy_in(attr, bytes.get_mut(..size).unwrap_or_default())?;
    if bytes.iter().skip(ATTR_SIZE).any(|b| *b != 0) {
        return Err(Errno::E2BIG.into());
    }
    let handled = Handled {
        fs: FsAccess::from_bits(word(&bytes, 0)).ok_or(Errno::EINVAL)?,
        net: NetAccess::from_bits(word(&bytes, 1)).ok_or(Errno::EINVAL)?,
        scope: Scope::from_bits(word(&bytes, 2)).ok_or(Errno::EINVAL)?,
    };
    let ops = RulesetFile::boxed(Ruleset::new(handled)?);
    let name = "anon_inode:[landlock-ruleset]";
    let file = task.kernel.vfs.anon_file(name, FileType::Regular, OpenFlags::RDWR, &task.cred(), ops);
    Ok(install(task, file, true)?.0)
}

fn add_rule(task: &Arc<Task>, fd: Fd, kind: u32, attr: UserAddr, flags: u32) -> SysResult<()> {
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let file = task.file(fd)?;
    let ruleset = ruleset_of(&file, OpenFlags::WRONLY)?;
    let mut bytes = [0u8; 16];
    let size = match kind {
        RULE_PATH_BENEATH => 12,
        RULE_NET_PORT => 16,
        _ => return Err(Errno::EINVAL.into()),
    };
    task.mm()?.copy_in(attr, bytes.get_mut(..size).unwrap_or_default())?;
    let access = word(&bytes, 0);
    if access == 0 {
        return Err(Errno::ENOMSG.into());
    }
    if kind == RULE_NET_PORT {
        let access = NetAccess::from_bits(access).ok_or(Errno::EINVAL)?;
        return Ok(ruleset.change(|r| r.allow_port(word(&bytes, 1), access))?);
    }
    let access = FsAccess::from_bits(access).ok_or(Errno::EINVAL)?;
    if !ruleset.change(|r| r.handled().fs).contains(access) {
        return Err(Errno::EINVAL.into());
    }
    let parent = task.file(Fd(word(&bytes, 1) as u32 as i32))?;
    Ok(ruleset.change(|r| r.allow_path(parent.path(), access))?)
}

fn restrict_self(task: &Arc<Task>, fd: Fd, flags: u32) -> SysResult<()> {
    let cred = task.cred();
    if !cred.no_new_privs && !cred.has_cap(Cap::SYS_ADMIN) {
        return Err(Errno::EPERM.into());
    }
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    let file = task.file(fd)?;
    let ruleset = ruleset_of(&file, OpenFlags::RDONLY)?.snapshot();
    let domain = Domain::with_layer(cred.landlock.as_ref(), &ruleset)?;
    task.change_cred(|new| {
        new.landlock = Some(domain);
        Ok(())
    })?;
    Ok(())
}

/// Whether the caller may bind or connect the TCP socket to `addr`; as on Linux, an address that is not one of the socket's
/// family is refused first.
pub(crate) fn check_port(
    task: &Task,
    socket: &dyn SocketOps,
    addr: &[u8],
    access: NetAccess,
) -> Result<(), Errno> {
    let cred = task.cred();
    let common = socket.common();
    let Some(domain) = cred.landlock.as_ref().filter(|d| d.handles_net()) else { return Ok(()) };
    if common.kind != SockType::Stream || !matches!(common.family, AF_INET | AF_INET6) {
        return Ok(());
    }
    let family =
        addr.get(..2).and_then(|b| b.try_into().ok()).map(u16::from_ne_bytes).ok_or(Errno::EINVAL)?;
    let shortest = if family == AF_INET6 { 24 } else { 16 };
    if addr.len() < shortest && matches!(family, AF_INET | AF_INET6 | AF_UNSPEC) {
        return Err(Errno::EINVAL);
    }
    if family == AF_UNSPEC {
        if access == NetAccess::CONNECT_TCP {
            return Ok(()); // ends an association
        }
        if addr.get(4..8).is_some_and(|a| a.iter().any(|b| *b != 0)) {
            return Err(Errno::EAFNOSUPPORT);
        }
    } else if family != common.family {
        return Err(Errno::EINVAL);
    }
    let port = addr.get(2..4).and_then(|b| b.try_into().ok()).map(u16::from_be_bytes).ok_or(Errno::EINVAL)?;
    domain.may_use_port(port, access)
}

/// Requests that any file may have: they change nothing but the descriptor.
const HARMLESS: &[u32] = &[
    FIOCLEX,
    FIONCLEX,
    FIONBIO,
    FIOASYNC,
    FIOQSIZE,
    0xc004_5877,
    0xc004_5878,
    0xc020_660b,
    2,
    0x4004_9409,
    0x4020_940d,
    0xc018_9436,
    0x8011_1500,
    0x8081_1501,
];

/// `EACCES` for requests to a device that was opened without the right to them.
pub(crate) fn check_ioctl(file: &File, cmd: u32) -> Result<(), Errno> {
    let device = matches!(file.inode().file_type(), FileType::CharDevice | FileType::BlockDevice);
    let fine = !device || file.granted().contains(FsAccess::IOCTL_DEV) || HARMLESS.contains(&cmd);
    if fine { Ok(()) } else { Err(Errno::EACCES) }
}
