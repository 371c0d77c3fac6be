//! Names of the `*at` calls: a directory descriptor and a path.

use crate::arg::{DirFd, UserPath};
use abi::{Errno, fcntl::AtFlags};
use kernel::Task;
use vfs::{Lookup, Path, WalkContext};

/// A path and the context to resolve it in: relative names start at `dir`, which only they need (`EBADF`, `ENOTDIR`).
pub fn context(task: &Task, dir: DirFd, path: &[u8]) -> Result<WalkContext, Errno> {
    let ctx = task.walk_context();
    match dir {
        DirFd::Fd(fd) if path.first() != Some(&b'/') => {
            let file = task.file(fd)?;
            if !path.is_empty() && !file.path().is_dir() {
                return Err(Errno::ENOTDIR);
            }
            Ok(ctx.at(file.path().clone()))
        }
        _ => Ok(ctx),
    }
}

/// Reads a path and makes its context.
pub fn read(task: &Task, dir: DirFd, path: UserPath) -> Result<(WalkContext, Vec<u8>), Errno> {
    let path = path.read(task)?;
    Ok((context(task, dir, &path)?, path))
}

/// `AT_SYMLINK_NOFOLLOW` and `AT_EMPTY_PATH` as the walk takes them.
pub fn lookup(flags: AtFlags) -> Lookup {
    let mut lookup = Lookup::empty();
    lookup.set(Lookup::FOLLOW, !flags.contains(AtFlags::SYMLINK_NOFOLLOW));
    lookup.set(Lookup::EMPTY_PATH, flags.contains(AtFlags::EMPTY_PATH));
    lookup
}

/// Resolves a path of an `*at` call with `flags`.
pub fn resolve(task: &Task, dir: DirFd, path: UserPath, flags: AtFlags) -> Result<Path, Errno> {
    let path = match path.0.is_null() && flags.contains(AtFlags::EMPTY_PATH) {
        true => Vec::new(), // as Linux since 6.11
        false => path.read(task)?,
    };
    context(task, dir, &path)?.resolve(&path, lookup(flags))
}
