//! `inotify(7)`: the entry points that operations on files call, and the watches on an inode.

use crate::{Dentry, File, Inode};
use std::sync::Arc;

bitflags::bitflags! {
    /// `IN_*`: what happened, and how a watch behaves.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    #[allow(missing_docs, reason = "the names are those of inotify(7)")]
    pub struct Events: u32 {
        const ACCESS = 0x1;
        const MODIFY = 0x2;
        const ATTRIB = 0x4;
        const CLOSE_WRITE = 0x8;
        const CLOSE_NOWRITE = 0x10;
        const OPEN = 0x20;
        const MOVED_FROM = 0x40;
        const MOVED_TO = 0x80;
        const CREATE = 0x100;
        const DELETE = 0x200;
        const DELETE_SELF = 0x400;
        const MOVE_SELF = 0x800;
        const UNMOUNT = 0x2000;
        const Q_OVERFLOW = 0x4000;
        const IGNORED = 0x8000;
        const ONLYDIR = 0x0100_0000;
        const DONT_FOLLOW = 0x0200_0000;
        const EXCL_UNLINK = 0x0400_0000;
        const MASK_CREATE = 0x1000_0000;
        const MASK_ADD = 0x2000_0000;
        const ISDIR = 0x4000_0000;
        const ONESHOT = 0x8000_0000;
    }
}

/// The watches on one inode.
#[derive(Default)]
pub struct WatchList {}

/// `ACCESS`, `MODIFY` or `OPEN` through an open file: told to watches of the inode and of its directory.
pub fn file_event(file: &File, mask: Events) {
    dentry_event(file.path().dentry(), &file.inode(), mask);
}

/// `ATTRIB`, or `MODIFY` by truncation, of `inode` under the name `dentry`: told to watches of it and of its directory.
pub fn dentry_event(dentry: &Dentry, inode: &Arc<dyn Inode>, mask: Events) {
    let _ = (dentry, inode, mask);
}

/// `name` was made in `dir`: `CREATE`. For a new hard link the caller also gives `ATTRIB` by [`dentry_event`].
pub fn entry_created(dir: &Arc<dyn Inode>, name: &[u8], is_dir: bool) {
    let _ = (dir, name, is_dir);
}

/// `name`, which was `inode`, was removed from `dir`; call it after the removal.
///
/// Gives `DELETE` in `dir`, `ATTRIB` of an inode that has other names or is open, and `DELETE_SELF` of one that is gone.
pub fn entry_removed(dir: &Arc<dyn Inode>, name: &[u8], inode: &Arc<dyn Inode>) {
    let _ = (dir, name, inode);
}

/// `moved` went from `old_name` of `old_dir` to `new_name` of `new_dir`, over `replaced`; call it after the move, and
/// once a direction for an exchange. Gives `MOVED_FROM`, `MOVED_TO`, `MOVE_SELF`, and what the end of `replaced` gives.
pub fn entry_moved(
    old_dir: &Arc<dyn Inode>,
    old_name: &[u8],
    new_dir: &Arc<dyn Inode>,
    new_name: &[u8],
    moved: &Arc<dyn Inode>,
    replaced: Option<&Arc<dyn Inode>>,
) {
    let _ = (old_dir, old_name, new_dir, new_name, moved, replaced);
}

/// An open file is closed for good: `CLOSE_WRITE` or `CLOSE_NOWRITE`, and `DELETE_SELF` if that was the end of its inode.
/// Called by the drop of [`File`] alone.
pub fn file_closed(file: &File, inode: &Arc<dyn Inode>) {
    let _ = (file, inode);
}

/// The file system `dev` is unmounted for good: `UNMOUNT` and `IGNORED` for each watch in it.
pub fn unmounted(dev: u64) {
    let _ = dev;
}
