//! Extended attributes (`xattr(7)`).

use crate::{
    Credentials, Path,
    inotify::{self, Events},
    permission::{READ, STICKY, WRITE, inode_permission, owner_or_capable},
};
use abi::{
    Errno,
    process::{
        Cap, VFS_CAP_REVISION_2, VFS_CAP_REVISION_3, VFS_CAP_REVISION_MASK, VfsCapDataV2, VfsCapDataV3,
    },
    stat::{
        FileType, XATTR_NAME_CAPS, XATTR_NAME_MAX, XATTR_SECURITY_PREFIX, XATTR_SIZE_MAX,
        XATTR_SYSTEM_PREFIX, XATTR_TRUSTED_PREFIX, XATTR_USER_PREFIX, XattrFlags,
    },
};

fn check_name(name: &[u8]) -> Result<(), Errno> {
    if name.is_empty() || name.len() > XATTR_NAME_MAX {
        return Err(Errno::ERANGE);
    }
    let known = [XATTR_USER_PREFIX, XATTR_TRUSTED_PREFIX, XATTR_SECURITY_PREFIX];
    match known.into_iter().find(|p| name.starts_with(p)) {
        Some(prefix) if name.len() == prefix.len() => Err(Errno::EINVAL),
        Some(_) => Ok(()),
        // ACLs are not kept: programs are told so.
        None if name.starts_with(XATTR_SYSTEM_PREFIX) => Err(Errno::EOPNOTSUPP),
        None => Err(Errno::EOPNOTSUPP),
    }
}

/// `CAP_SYS_ADMIN` towards the whole system.
fn is_admin(cred: &Credentials) -> bool {
    cred.user_ns.parent.is_none() && cred.has_cap(Cap::SYS_ADMIN)
}

fn permission(cred: &Credentials, path: &Path, name: &[u8], mask: u32) -> Result<(), Errno> {
    let refused = |write| if mask & WRITE != 0 { write } else { Errno::ENODATA };
    if name.starts_with(XATTR_SECURITY_PREFIX) {
        return Ok(());
    }
    if name.starts_with(XATTR_TRUSTED_PREFIX) {
        return if is_admin(cred) { Ok(()) } else { Err(refused(Errno::EPERM)) };
    }
    match path.file_type() {
        FileType::Regular => {}
        FileType::Directory => {
            let attr = path.inode_ref().attr()?;
            if mask & WRITE != 0 && attr.mode & STICKY != 0 && !owner_or_capable(cred, &attr) {
                return Err(Errno::EPERM);
            }
        }
        _ => return Err(refused(Errno::EPERM)),
    }
    inode_permission(cred, path.inode_ref(), mask)
}

/// What may be done to `security.*`: file capabilities with `CAP_SETFCAP`, the rest with `CAP_SYS_ADMIN`.
fn security_permission(cred: &Credentials, path: &Path, name: &[u8]) -> Result<(), Errno> {
    if !name.starts_with(XATTR_SECURITY_PREFIX) {
        return Ok(());
    }
    let attr = path.inode_ref().attr()?;
    let allowed = if name == XATTR_NAME_CAPS {
        cred.has_cap_over(attr.uid, attr.gid, Cap::SETFCAP)
    } else {
        is_admin(cred)
    };
    if allowed { Ok(()) } else { Err(Errno::EPERM) }
}

/// Whether `value` is of a form that file capabilities have; `EINVAL`.
fn check_caps(value: &[u8]) -> Result<(), Errno> {
    let magic = value.first_chunk().map(|m| u32::from_le_bytes(*m) & VFS_CAP_REVISION_MASK);
    match (magic, value.len()) {
        (Some(VFS_CAP_REVISION_2), VfsCapDataV2::SIZE) | (Some(VFS_CAP_REVISION_3), VfsCapDataV3::SIZE) => {
            Ok(())
        }
        _ => Err(Errno::EINVAL),
    }
}

/// `getxattr(2)`; `ENODATA`.
pub fn get(cred: &Credentials, path: &Path, name: &[u8]) -> Result<Vec<u8>, Errno> {
    check_name(name)?;
    permission(cred, path, name, READ)?;
    path.inode_ref().get_xattr(name)
}

/// `setxattr(2)`; `flags` of [`XattrFlags`].
pub fn set(cred: &Credentials, path: &Path, name: &[u8], value: &[u8], flags: u32) -> Result<(), Errno> {
    if XattrFlags::from_bits(flags).is_none() {
        return Err(Errno::EINVAL);
    }
    if name.is_empty() || name.len() > XATTR_NAME_MAX {
        return Err(Errno::ERANGE);
    }
    if value.len() > XATTR_SIZE_MAX {
        return Err(Errno::E2BIG);
    }
    if name == XATTR_NAME_CAPS {
        check_caps(value)?;
    }
    path.mount().want_write()?;
    check_name(name)?;
    permission(cred, path, name, WRITE)?;
    security_permission(cred, path, name)?;
    path.inode_ref().set_xattr(name, value, flags)?;
    inotify::dentry_event(path.dentry(), path.inode_ref(), Events::ATTRIB);
    Ok(())
}

/// `removexattr(2)`; `ENODATA`.
pub fn remove(cred: &Credentials, path: &Path, name: &[u8]) -> Result<(), Errno> {
    if name.is_empty() || name.len() > XATTR_NAME_MAX {
        return Err(Errno::ERANGE);
    }
    path.mount().want_write()?;
    check_name(name)?;
    permission(cred, path, name, WRITE)?;
    security_permission(cred, path, name)?;
    path.inode_ref().remove_xattr(name)?;
    inotify::dentry_event(path.dentry(), path.inode_ref(), Events::ATTRIB);
    Ok(())
}

/// `listxattr(2)`: the names, each with a zero behind it.
pub fn list(cred: &Credentials, path: &Path) -> Result<Vec<u8>, Errno> {
    let names = path.inode_ref().list_xattr()?;
    let shown = names.into_iter().filter(|n| !n.starts_with(XATTR_TRUSTED_PREFIX) || is_admin(cred));
    Ok(shown
        .flat_map(|mut n| {
            n.push(0);
            n
        })
        .collect())
}
