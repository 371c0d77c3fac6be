//! `access(2)`, and whether something may be executed.

use crate::{
    Credentials, Inode, Path, WalkContext,
    permission::{EXEC, WRITE, inode_permission, no_exec},
    walk::Lookup,
};
use abi::{
    Errno,
    fcntl::AtFlags,
    process::{CapSet, Securebits},
    stat::FileType,
};
use std::sync::{Arc, atomic::Ordering};

/// The credentials with which `access(2)` looks: those of the real user, who has capabilities only as root.
pub fn real(cred: &Credentials) -> Arc<Credentials> {
    let mut real = cred.clone();
    real.fsuid = cred.ruid;
    real.fsgid = cred.rgid;
    let no_fixup = Securebits::from_bits_retain(cred.securebits).contains(Securebits::NO_SETUID_FIXUP);
    if !no_fixup {
        let is_root = cred.user_ns.uid_inside(cred.ruid) == Some(0);
        real.effective = if is_root { cred.permitted } else { CapSet::EMPTY };
    }
    Arc::new(real)
}

/// `faccessat2(2)`: `mask` is of `R_OK`, `W_OK`, `X_OK`, or none of them.
pub fn access(ctx: &WalkContext, name: &[u8], mask: u32, flags: AtFlags) -> Result<(), Errno> {
    if mask & !7 != 0
        || !(flags - AtFlags::EACCESS - AtFlags::SYMLINK_NOFOLLOW - AtFlags::EMPTY_PATH).is_empty()
    {
        return Err(Errno::EINVAL);
    }
    let mut lookup = Lookup::FOLLOW;
    if flags.contains(AtFlags::SYMLINK_NOFOLLOW) {
        lookup = Lookup::empty();
    }
    if flags.contains(AtFlags::EMPTY_PATH) {
        lookup |= Lookup::EMPTY_PATH;
    }
    let mut ctx = ctx.clone();
    if !flags.contains(AtFlags::EACCESS) {
        ctx.cred = real(&ctx.cred);
    }
    let path = ctx.resolve(name, lookup)?;
    if mask & EXEC != 0 && path.file_type() == FileType::Regular && no_exec(&path) {
        return Err(Errno::EACCES);
    }
    inode_permission(&ctx.cred, path.inode_ref(), mask)?;
    let written = matches!(path.file_type(), FileType::Regular | FileType::Directory | FileType::Symlink);
    if mask & WRITE != 0 && written { path.mount().want_write() } else { Ok(()) }
}

/// Whether `path` may be executed: a regular file, on a mount that allows it, with the permission.
pub fn may_exec(cred: &Credentials, path: &Path) -> Result<(), Errno> {
    if path.file_type() != FileType::Regular || no_exec(path) {
        return Err(Errno::EACCES);
    }
    inode_permission(cred, path.inode_ref(), EXEC)
}

/// Keeps a file from being written while it is executed; `ETXTBSY` while somebody has it open for writing.
pub fn deny_write(inode: &Arc<dyn Inode>) -> Result<(), Errno> {
    inode
        .common()
        .writers
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n <= 0).then_some(n - 1))
        .map(|_| ())
        .map_err(|_| Errno::ETXTBSY)
}

/// The end of [`deny_write`].
pub fn allow_write(inode: &Arc<dyn Inode>) {
    inode.common().writers.fetch_add(1, Ordering::AcqRel);
}
