//! What `stat(2)` tells, and what may be changed of it.

use crate::{Gid, Uid};
use abi::time::Timespec;

/// Attributes of an inode.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attr {
    /// Device of the file system.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// File type and permission bits, as `st_mode`.
    pub mode: u32,
    /// Number of names.
    pub nlink: u64,
    /// Owner, as the kernel's own id.
    pub uid: Uid,
    /// Group, as the kernel's own id.
    pub gid: Gid,
    /// Device that a device node stands for.
    pub rdev: u64,
    /// Bytes.
    pub size: u64,
    /// Blocks of 512 bytes.
    pub blocks: u64,
    /// Good size for reads and writes.
    pub blksize: u64,
    /// Last access.
    pub atime: Timespec,
    /// Last change of the contents.
    pub mtime: Timespec,
    /// Last change of these attributes.
    pub ctime: Timespec,
    /// Creation, where known.
    pub btime: Option<Timespec>,
    /// `STATX_ATTR_*`.
    pub attributes: u64,
}

impl Attr {
    /// The permission bits, with set-id and sticky.
    pub fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }
}

/// A new time stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTime {
    /// The time of the change.
    Now,
    /// This one.
    At(Timespec),
}

/// Changes to an inode's attributes; `None` leaves a field alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetAttr {
    /// Permission bits (`0o7777`).
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<Uid>,
    /// Group.
    pub gid: Option<Gid>,
    /// Length in bytes.
    pub size: Option<u64>,
    /// Last access.
    pub atime: Option<SetTime>,
    /// Last change of contents.
    pub mtime: Option<SetTime>,
}

impl SetTime {
    /// The time that is meant.
    pub fn resolve(self, now: Timespec) -> Timespec {
        match self {
            SetTime::Now => now,
            SetTime::At(at) => at,
        }
    }
}

impl Attr {
    /// Applies all of `change` but the size, and sets `ctime`.
    pub fn apply(&mut self, change: &SetAttr, now: Timespec) {
        if let Some(mode) = change.mode {
            self.mode = self.mode & !0o7777 | mode & 0o7777;
        }
        self.uid = change.uid.unwrap_or(self.uid);
        self.gid = change.gid.unwrap_or(self.gid);
        if let Some(atime) = change.atime {
            self.atime = atime.resolve(now);
        }
        if let Some(mtime) = change.mtime {
            self.mtime = mtime.resolve(now);
        }
        self.ctime = now;
    }

    /// Whether an access at `now` is to be noted: always, or as `relatime` of `mount(8)` says.
    pub fn access_is_news(&self, now: Timespec, relatime: bool) -> bool {
        let key = |t: Timespec| (t.tv_sec, t.tv_nsec);
        let day_old = now.tv_sec.saturating_sub(self.atime.tv_sec) >= 24 * 60 * 60;
        key(self.atime) != key(now)
            && (!relatime
                || key(self.atime) <= key(self.mtime)
                || key(self.atime) <= key(self.ctime)
                || day_old)
    }
}
