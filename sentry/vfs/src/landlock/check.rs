//! Whether what is about to be done to a file is granted.

use super::{Domain, FsAccess};
use crate::{Credentials, Dentry, NewKind, Path};
use abi::{Errno, fcntl::OpenFlags, stat::FileType};
use smallvec::SmallVec;
use std::sync::Arc;

/// What each layer of a domain still denies.
type Denied = SmallVec<[FsAccess; 2]>;

/// The domain of `cred`, if it restricts files.
fn domain(cred: &Credentials) -> Option<&Arc<Domain>> {
    cred.landlock.as_ref().filter(|d| d.handles_fs())
}

/// What each layer denies at `path`: what it handles, less what it grants on the file and above it.
fn denied_at(domain: &Domain, path: &Path) -> Denied {
    let mut denied: Denied = domain.layers.iter().map(|l| l.handled_fs()).collect();
    let mut at = path.clone();
    loop {
        for (left, layer) in denied.iter_mut().zip(&domain.layers) {
            *left -= layer.granted(at.inode_ref());
        }
        if denied.iter().all(|d| d.is_empty()) {
            return denied;
        }
        if at.dentry().is_anonymous() {
            denied.iter_mut().for_each(|d| *d = FsAccess::empty());
            return denied;
        }
        let up = if at.is_mount_root() {
            match at.mount().mount_point() {
                Some(point) => Some(point),
                None => {
                    if at.mount().is_internal() {
                        denied.iter_mut().for_each(|d| *d = FsAccess::empty());
                    }
                    None
                }
            }
        } else {
            at.dentry().parent().and_then(|parent| Path::new(at.mount().clone(), parent).ok())
        };
        match up {
            Some(next) => at = next,
            None => return denied,
        }
    }
}

/// The rights of `wanted` that every layer grants at `path`.
fn granted(domain: &Domain, path: &Path, wanted: FsAccess) -> FsAccess {
    denied_at(domain, path).into_iter().fold(wanted, |left, denied| left - denied)
}

/// `EACCES` unless `access` is granted in the directory `dir`.
pub fn may_do_below(cred: &Credentials, dir: &Path, access: FsAccess) -> Result<(), Errno> {
    let Some(domain) = domain(cred).filter(|_| !access.is_empty()) else { return Ok(()) };
    if granted(domain, dir, access) == access { Ok(()) } else { Err(Errno::EACCES) }
}

/// The right to make such a node.
pub fn node_access(kind: &NewKind) -> FsAccess {
    match kind {
        NewKind::Regular => FsAccess::MAKE_REG,
        NewKind::Directory => FsAccess::MAKE_DIR,
        NewKind::Symlink(_) => FsAccess::MAKE_SYM,
        NewKind::Fifo => FsAccess::MAKE_FIFO,
        NewKind::Socket => FsAccess::MAKE_SOCK,
        NewKind::CharDevice(_) => FsAccess::MAKE_CHAR,
        NewKind::BlockDevice(_) => FsAccess::MAKE_BLOCK,
    }
}

fn type_access(kind: FileType) -> FsAccess {
    match kind {
        FileType::Directory => FsAccess::MAKE_DIR,
        FileType::Symlink => FsAccess::MAKE_SYM,
        FileType::Fifo => FsAccess::MAKE_FIFO,
        FileType::Socket => FsAccess::MAKE_SOCK,
        FileType::CharDevice => FsAccess::MAKE_CHAR,
        FileType::BlockDevice => FsAccess::MAKE_BLOCK,
        _ => FsAccess::MAKE_REG,
    }
}

/// Whether `path` may be opened; what else may be done through the open file ([`FsAccess::TRUNCATE`],
/// [`FsAccess::IOCTL_DEV`]). `EACCES`.
pub fn check_open(
    cred: &Credentials,
    path: &Path,
    flags: OpenFlags,
    executes: bool,
) -> Result<FsAccess, Errno> {
    let Some(domain) = domain(cred) else { return Ok(FsAccess::all()) };
    let kind = path.file_type();
    let mut needed = FsAccess::empty();
    if flags.access_mode().readable() {
        needed |= if kind == FileType::Directory { FsAccess::READ_DIR } else { FsAccess::READ_FILE };
    }
    needed.set(FsAccess::WRITE_FILE, flags.access_mode().writable());
    needed.set(FsAccess::EXECUTE, executes);
    let mut wanted = needed | FsAccess::TRUNCATE;
    wanted.set(FsAccess::IOCTL_DEV, matches!(kind, FileType::CharDevice | FileType::BlockDevice));
    let granted = granted(domain, path, wanted);
    if granted.contains(needed) { Ok(granted) } else { Err(Errno::EACCES) }
}

/// `truncate(2)`.
pub fn may_truncate(cred: &Credentials, path: &Path) -> Result<(), Errno> {
    may_do_below(cred, path, FsAccess::TRUNCATE)
}

/// `EPERM` for who is restricted in access to files: the tree of mounts stays as it is.
pub fn may_change_mounts(cred: &Credentials) -> Result<(), Errno> {
    if domain(cred).is_some() { Err(Errno::EPERM) } else { Ok(()) }
}

/// What a file brings along to another directory.
struct Moved<'a> {
    dentry: &'a Arc<Dentry>,
    /// What is needed where it goes to.
    makes: FsAccess,
    /// What is needed where it goes away; empty for links.
    removes: FsAccess,
}

impl<'a> Moved<'a> {
    fn new(dentry: &'a Arc<Dentry>, leaves: bool) -> Result<Self, Errno> {
        let kind = dentry.inode()?.file_type();
        let removes = match leaves {
            false => FsAccess::empty(),
            true if kind == FileType::Directory => FsAccess::REMOVE_DIR,
            true => FsAccess::REMOVE_FILE,
        };
        Ok(Self { dentry, makes: type_access(kind), removes })
    }

    /// Whether no layer denies where it is what it does not deny where it goes: nobody gains a right by moving a file.
    fn gains_nothing(&self, domain: &Domain, here: &Denied, there: &Denied) -> bool {
        let Ok(inode) = self.dentry.inode() else { return false };
        let relevant =
            if inode.file_type() == FileType::Directory { FsAccess::all() } else { FsAccess::OF_FILES };
        domain.layers.iter().zip(here.iter().zip(there)).all(|(layer, (here, there))| {
            let own = layer.handled_fs() - layer.granted(&inode);
            ((*here & own & relevant) - *there).is_empty()
        })
    }
}

/// What is needed in the old and the new directory, checked (Linux: `current_check_refer_path`).
fn check_refer(
    domain: &Domain,
    (old_dir, needs_old): (&Path, FsAccess),
    (new_dir, needs_new): (&Path, FsAccess),
    moved: &Moved<'_>,
    back: Option<&Moved<'_>>,
) -> Result<(), Errno> {
    if Arc::ptr_eq(old_dir.dentry(), new_dir.dentry()) {
        let needed = needs_old | needs_new;
        return if granted(domain, new_dir, needed) == needed { Ok(()) } else { Err(Errno::EACCES) };
    }
    let (old, new) = (denied_at(domain, old_dir), denied_at(domain, new_dir));
    let lacks = |needed: FsAccess, denied: &Denied| denied.iter().any(|d| d.intersects(needed));
    if lacks(needs_old, &old) || lacks(needs_new, &new) {
        return Err(Errno::EACCES);
    }
    let same_reach = moved.gains_nothing(domain, &old, &new)
        && back.is_none_or(|back| back.gains_nothing(domain, &new, &old));
    if !same_reach || lacks(FsAccess::REFER, &old) || lacks(FsAccess::REFER, &new) {
        return Err(Errno::EXDEV);
    }
    Ok(())
}

/// `link(2)` of `old`, which is in `old_dir`, to a name in `new_dir`.
pub fn check_link(cred: &Credentials, old: &Path, new_dir: &Path) -> Result<(), Errno> {
    let Some(domain) = domain(cred) else { return Ok(()) };
    let moved = Moved::new(old.dentry(), false)?;
    let parent = match old.dentry().parent().filter(|_| !old.is_mount_root()) {
        Some(parent) => Path::new(old.mount().clone(), parent)?,
        None => old.clone(),
    };
    check_refer(domain, (&parent, FsAccess::empty()), (new_dir, moved.makes), &moved, None)
}

/// `rename(2)` of `source` in `old_dir` to the place of `target` in `new_dir`.
pub fn check_rename(
    cred: &Credentials,
    (old_dir, source): (&Path, &Arc<Dentry>),
    (new_dir, target): (&Path, &Arc<Dentry>),
    exchange: bool,
) -> Result<(), Errno> {
    let Some(domain) = domain(cred) else { return Ok(()) };
    let moved = Moved::new(source, true)?;
    let there = if target.is_negative() { None } else { Some(Moved::new(target, true)?) };
    let mut needs_old = moved.removes;
    let mut needs_new = moved.makes;
    if let Some(there) = &there {
        needs_new |= there.removes;
    }
    let back = there.as_ref().filter(|_| exchange);
    if let Some(back) = back {
        needs_old |= back.makes;
    }
    check_refer(domain, (old_dir, needs_old), (new_dir, needs_new), &moved, back)
}
