//! `flock(2)`: locks on a whole file, held by an open file.

use super::change;
use crate::File;
use abi::{Errno, fcntl::FileLockOp};

/// A lock that is held.
pub(super) struct Flock {
    pub file: u64,
    pub exclusive: bool,
    pub pid: i32,
}

/// Locks or unlocks `file` for process `pid`. `EAGAIN` if another open file holds a lock that does not go with it.
///
/// As on Linux, one that is converted is given up first, and lost if the other kind is not to be had.
pub fn flock(file: &File, op: FileLockOp, pid: i32) -> Result<(), Errno> {
    if file.is_path_only() {
        return Err(Errno::EBADF);
    }
    let inode = file.inode();
    change(&inode, |state| {
        let locks = &mut state.flocks;
        let held = locks.iter().position(|l| l.file == file.id);
        let exclusive = match op {
            FileLockOp::Unlock => None,
            FileLockOp::Shared => Some(false),
            FileLockOp::Exclusive => Some(true),
        };
        if let (Some(at), Some(exclusive)) = (held, exclusive)
            && locks.get(at).is_some_and(|l| l.exclusive == exclusive)
        {
            return (Ok(()), false);
        }
        let released = held.map(|at| locks.swap_remove(at)).is_some();
        let Some(exclusive) = exclusive else { return (Ok(()), released) };
        if locks.iter().any(|l| l.exclusive || exclusive) {
            return (Err(Errno::EAGAIN), released);
        }
        locks.push(Flock { file: file.id, exclusive, pid });
        (Ok(()), released)
    })
}
