//! Identities, names, attributes and flags of the gofer protocol.
//!
//! Numbers are those of Linux on x86-64 and arm64 (`st_mode`, `O_*`, `errno`, `S_IF*`), as plain integers.

use crate::bounded::{Blob, TooLong};
use crate::{MAX_LINK, MAX_NAME, MAX_XATTR};
use serde::{Deserialize, Serialize};

/// A file that the gofer holds for the sentry. Given out once, never again: a stale one is `EBADF`, not another file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct NodeId(pub u64);

/// The bytes of one directory entry's name. [`Name::check`] says whether it is a legal one.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Name(pub Blob<MAX_NAME>);

impl Name {
    /// A name, checked.
    ///
    /// # Errors
    /// [`BadName`]: `EINVAL` or `ENAMETOOLONG`, see [`BadName::errno`].
    pub fn new(bytes: &[u8]) -> Result<Self, BadName> {
        let name = Self(Blob::new(bytes).map_err(|TooLong| BadName::TooLong)?);
        name.check()?;
        Ok(name)
    }
    /// Whether this is one path component below a directory: not empty, not `.` or `..`, no `/`, no NUL.
    ///
    /// # Errors
    /// [`BadName::NotAComponent`].
    pub fn check(&self) -> Result<(), BadName> {
        let b: &[u8] = &self.0;
        let bad = b.is_empty() || b == b"." || b == b".." || b.iter().any(|&c| c == b'/' || c == 0);
        if bad { Err(BadName::NotAComponent) } else { Ok(()) }
    }
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Why a name is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadName {
    /// Longer than [`MAX_NAME`].
    #[error("the name is longer than 255 bytes")]
    TooLong,
    /// Empty, `.`, `..`, or with a `/` or NUL in it.
    #[error("the name is not a single path component")]
    NotAComponent,
}

impl BadName {
    /// `ENAMETOOLONG` or `EINVAL`.
    #[must_use]
    pub const fn errno(self) -> i32 {
        match self {
            Self::TooLong => 36,
            Self::NotAComponent => 22,
        }
    }
}

/// Target of a symbolic link.
pub type LinkTarget = Blob<MAX_LINK>;
/// Value of an extended attribute, or NUL-separated list of their names.
pub type XattrValue = Blob<MAX_XATTR>;

/// A point in time, as `struct timespec`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Time {
    /// Seconds since the epoch; negative before it.
    pub sec: i64,
    /// Nanoseconds, below 1 000 000 000.
    pub nsec: u32,
}

/// What `statx(2)` says about a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Attr {
    /// Inode number on the host.
    pub ino: u64,
    /// Device of the file system on the host, as `dev_t` (64 bits, as glibc's `makedev`).
    pub dev: u64,
    /// Type and permission bits, `st_mode`.
    pub mode: u32,
    /// Number of hard links.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number of a character or block device.
    pub rdev: u64,
    /// Length in bytes.
    pub size: u64,
    /// Blocks of 512 bytes.
    pub blocks: u64,
    /// Preferred size of I/O in bytes.
    pub blksize: u32,
    /// Last access.
    pub atime: Time,
    /// Last change of the contents.
    pub mtime: Time,
    /// Last change of the inode.
    pub ctime: Time,
    /// Creation, where the file system knows it.
    pub btime: Option<Time>,
    /// `STATX_ATTR_*` bits.
    pub attributes: u64,
    /// Which of those the file system supports.
    pub attributes_mask: u64,
    /// Host mount, to tell one file system of a tree from another.
    pub mnt_id: u64,
}

impl Attr {
    /// The `S_IF*` bits of [`mode`](Self::mode).
    #[must_use]
    pub const fn file_type(&self) -> u32 {
        self.mode & S_IFMT
    }
    /// Whether this is a directory.
    #[must_use]
    pub const fn is_dir(&self) -> bool {
        self.file_type() == S_IFDIR
    }
    /// Whether this is a regular file.
    #[must_use]
    pub const fn is_regular(&self) -> bool {
        self.file_type() == S_IFREG
    }
    /// Whether this is a symbolic link.
    #[must_use]
    pub const fn is_symlink(&self) -> bool {
        self.file_type() == S_IFLNK
    }
}

/// Mask of the type in `st_mode`.
pub const S_IFMT: u32 = 0o170_000;
/// Socket.
pub const S_IFSOCK: u32 = 0o140_000;
/// Symbolic link.
pub const S_IFLNK: u32 = 0o120_000;
/// Regular file.
pub const S_IFREG: u32 = 0o100_000;
/// Block device.
pub const S_IFBLK: u32 = 0o060_000;
/// Directory.
pub const S_IFDIR: u32 = 0o040_000;
/// Character device.
pub const S_IFCHR: u32 = 0o020_000;
/// FIFO.
pub const S_IFIFO: u32 = 0o010_000;

/// A node and what is known about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The node.
    pub node: NodeId,
    /// Its attributes.
    pub attr: Attr,
}

/// Whether a walk should donate a descriptor of the regular file it ends at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Want {
    /// No descriptor.
    #[default]
    Nothing,
    /// For reading.
    Read,
    /// For reading and writing, or for reading alone where writing is refused (read-only tree, running program).
    Write,
}

bitflags::bitflags! {
    /// What a donated descriptor can do.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
    pub struct Access: u8 {
        /// `pread(2)`, private mappings.
        const READ = 1;
        /// `pwrite(2)`, `ftruncate(2)`, shared writable mappings (with `READ`).
        const WRITE = 2;
    }
    /// How to walk and list.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
    pub struct WalkFlags: u8 {
        /// Put a watch on every directory in which a name is looked up, before it is looked up, so that what the
        /// answer says (absent names too) can be cached until an [`Event`](crate::Event) says otherwise.
        const WATCH = 1;
    }
    /// What a listing carries beside names.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
    pub struct ListFlags: u8 {
        /// Attributes of every entry.
        const ATTRS = 1;
        /// A node for every entry (implies `ATTRS`): saves the walk to it, costs the gofer a descriptor.
        const NODES = 2;
        /// Watch the directory first, as [`WalkFlags::WATCH`].
        const WATCH = 4;
    }
    /// What happened to a name or a directory.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
    pub struct Change: u16 {
        /// The name appeared (created, or moved here).
        const APPEARED = 1;
        /// The name went away (removed, or moved elsewhere).
        const VANISHED = 2;
        /// Mode, owner, times, link count or extended attributes changed.
        const ATTRS = 4;
        /// Contents or length changed (sent when a writer closes the file).
        const DATA = 8;
        /// The directory itself went away; no more events for it.
        const SELF_GONE = 16;
        /// The name is of a directory.
        const IS_DIR = 32;
        /// With `APPEARED` or `VANISHED`: a rename; the cookie ties the two halves.
        const MOVED = 64;
    }
}

/// A new time for a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum SetTime {
    /// Leave it.
    #[default]
    Keep,
    /// The host's current time.
    Now,
    /// This time.
    At(Time),
}

/// Which attributes to change, as `chmod`, `chown`, `truncate` and `utimensat` together; in the order
/// size, owner, mode, times (a change of owner clears set-id bits, so the mode comes after it).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SetAttr {
    /// Permission bits, `07777`.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Length of a regular file.
    pub size: Option<u64>,
    /// Last access.
    pub atime: SetTime,
    /// Last change of the contents.
    pub mtime: SetTime,
}

/// Owner and permission bits of a file to be made. The sentry has applied umask and set-group-id rules already.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Make {
    /// Permission bits, `07777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// One entry of a listing. `.` and `..` are never listed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DirEntry {
    /// The name.
    pub name: Name,
    /// Inode number as the directory has it (differs from the attribute at a mount point).
    pub ino: u64,
    /// `DT_*`.
    pub kind: u8,
    /// Where the listing continues behind this entry.
    pub next: u64,
    /// Attributes, if asked for and the entry is still there.
    pub attr: Option<Attr>,
    /// A node, if asked for and one could be had.
    pub node: Option<NodeId>,
}

/// As `struct statfs`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Statfs {
    /// Magic number of the file system.
    pub kind: u64,
    /// Size of a block in bytes.
    pub bsize: u64,
    /// Size of a fragment in bytes, the unit of the next three.
    pub frsize: u64,
    /// Blocks in all.
    pub blocks: u64,
    /// Free blocks.
    pub bfree: u64,
    /// Free blocks for ordinary users.
    pub bavail: u64,
    /// Inodes in all.
    pub files: u64,
    /// Free inodes.
    pub ffree: u64,
    /// Longest name in bytes.
    pub namelen: u64,
    /// `ST_*` flags.
    pub flags: u64,
}

/// What kind of Unix socket to connect with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SocketKind {
    /// `SOCK_STREAM`.
    Stream,
    /// `SOCK_DGRAM`.
    Datagram,
    /// `SOCK_SEQPACKET`.
    SeqPacket,
}
