//! Operations and their answers.

use crate::bounded::List;
use crate::types::*;
use crate::{
    ATTR_BYTES, MAX_ASKED, MAX_CLOSES, MAX_ENTRIES, MAX_EVENTS, MAX_LINK, MAX_OPS, MAX_WALK, MAX_XATTR,
};
use serde::{Deserialize, Serialize};

/// A message from the sentry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the sender, returned in the reply.
    pub id: u64,
    /// Nodes to forget, before the operations. Unknown ones are ignored.
    pub close: List<NodeId, MAX_CLOSES>,
    /// What to do, in order. None: no reply is sent.
    pub ops: List<Op, MAX_OPS>,
}

/// A message from the gofer: one result an operation, an `errno` where it failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// That of the request.
    pub id: u64,
    /// In the order of the operations. An operation whose answer might not have fitted into the message any more
    /// was not begun and has `EAGAIN`, and so have all behind it; asked again, first in a request, it fits.
    pub results: List<Result<Answer, i32>, MAX_OPS>,
}

/// One operation. `errno`s of the system calls named apply; beside them every operation can answer `EBADF` (no such node),
/// `EINVAL` (a name that is not one component), `ENOTDIR`, `EROFS` (read-only tree), `ENFILE` (too many nodes).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Op {
    /// The root of the tree with this index → [`Answer::Node`]. `ENODEV`: no such tree.
    Attach {
        /// Position in the gofer's configuration.
        index: u32,
    },
    /// Looks up `names` one below the other, starting at `node` → [`Answer::Walked`]. Stops at a symbolic link.
    Walk {
        /// Where to begin; with no names, the node itself is looked at again (a new identity).
        node: NodeId,
        /// Single components.
        names: List<Name, MAX_WALK>,
        /// Whether to watch.
        flags: WalkFlags,
        /// Whether to donate a descriptor of the last one.
        want: Want,
    },
    /// Attributes of many nodes → [`Answer::Attrs`].
    GetAttr {
        /// The nodes.
        nodes: List<NodeId, MAX_ASKED>,
    },
    /// Attributes of many names, without making nodes → [`Answer::Attrs`]. This is how a shared tree is revalidated: the
    /// name is still the same file if `dev` and `ino` are.
    Stat {
        /// Directory and name.
        names: List<(NodeId, Name), MAX_ASKED>,
    },
    /// Donates a descriptor of a regular file → [`Answer::Opened`]. Other types: `EISDIR`, `ELOOP` (link), `ENXIO` (socket),
    /// `EACCES` (FIFO or device that the policy does not allow).
    Open {
        /// The file.
        node: NodeId,
        /// `O_ACCMODE`, `O_TRUNC`, `O_APPEND`, `O_DIRECT`, `O_NOATIME`, `O_SYNC`, `O_DSYNC`; others are `EINVAL`.
        flags: u32,
    },
    /// Makes a regular file, `O_CREAT|O_EXCL` → [`Answer::Made`] with a descriptor.
    Create {
        /// Directory.
        dir: NodeId,
        /// New name.
        name: Name,
        /// As in [`Op::Open`].
        flags: u32,
        /// Owner and mode.
        make: Make,
    },
    /// Makes a file without a name, `O_TMPFILE` → [`Answer::Made`] with a descriptor; [`Op::Link`] can name it.
    Tmpfile {
        /// Directory.
        dir: NodeId,
        /// As in [`Op::Open`]; must be open for writing.
        flags: u32,
        /// Owner and mode.
        make: Make,
    },
    /// `mkdir(2)` → [`Answer::Made`].
    Mkdir {
        /// Directory.
        dir: NodeId,
        /// New name.
        name: Name,
        /// Owner and mode.
        make: Make,
    },
    /// `symlink(2)` → [`Answer::Made`].
    Symlink {
        /// Directory.
        dir: NodeId,
        /// New name.
        name: Name,
        /// What it says.
        target: LinkTarget,
        /// Owner; the mode is not used.
        make: Make,
    },
    /// `link(2)` → [`Answer::Made`], whose node is a new identity of the same file.
    Link {
        /// The file. `EPERM`: a directory. `EXDEV`: of another tree.
        node: NodeId,
        /// Directory.
        dir: NodeId,
        /// New name.
        name: Name,
    },
    /// `mknod(2)` → [`Answer::Made`]. Regular file, FIFO, socket, and the 0:0 character device that overlays use as whiteout;
    /// other devices are `EPERM` unless the policy allows them.
    Mknod {
        /// Directory.
        dir: NodeId,
        /// New name.
        name: Name,
        /// `S_IF*`.
        kind: u32,
        /// Device number.
        rdev: u64,
        /// Owner and mode.
        make: Make,
    },
    /// `unlinkat(2)` → [`Answer::Attr`] of the directory afterwards.
    Unlink {
        /// Directory.
        dir: NodeId,
        /// Name.
        name: Name,
        /// `AT_REMOVEDIR`.
        is_dir: bool,
    },
    /// `renameat2(2)` → [`Answer::Renamed`].
    Rename {
        /// Directory of the old name.
        old_dir: NodeId,
        /// Old name.
        old_name: Name,
        /// Directory of the new name. `EXDEV`: of another tree.
        new_dir: NodeId,
        /// New name.
        new_name: Name,
        /// `RENAME_NOREPLACE`, `RENAME_EXCHANGE`, `RENAME_WHITEOUT`.
        flags: u32,
    },
    /// `readlink(2)` → [`Answer::Link`].
    Readlink {
        /// The link.
        node: NodeId,
    },
    /// Changes attributes → [`Answer::Attr`] afterwards.
    SetAttr {
        /// The file.
        node: NodeId,
        /// What to change.
        set: SetAttr,
    },
    /// Lists a directory → [`Answer::Entries`].
    ReadDir {
        /// The directory.
        dir: NodeId,
        /// 0, or [`DirEntry::next`] of the last entry seen.
        offset: u64,
        /// What to tell of each entry.
        flags: ListFlags,
    },
    /// `fstatfs(2)` → [`Answer::Statfs`].
    Statfs {
        /// Any node of the file system.
        node: NodeId,
    },
    /// `getxattr(2)` → [`Answer::Bytes`].
    GetXattr {
        /// The file.
        node: NodeId,
        /// With its namespace, such as `user.x`.
        name: Name,
    },
    /// `listxattr(2)` → [`Answer::Bytes`], NUL-terminated names.
    ListXattr {
        /// The file.
        node: NodeId,
    },
    /// `setxattr(2)` → [`Answer::Done`]. `EPERM`: a namespace other than `user`, `security.capability` and POSIX ACLs.
    SetXattr {
        /// The file.
        node: NodeId,
        /// With its namespace.
        name: Name,
        /// New value.
        value: XattrValue,
        /// `XATTR_CREATE`, `XATTR_REPLACE`.
        flags: u32,
    },
    /// `removexattr(2)` → [`Answer::Done`].
    RemoveXattr {
        /// The file.
        node: NodeId,
        /// With its namespace.
        name: Name,
    },
    /// `fsync(2)` or `fdatasync(2)` → [`Answer::Done`]. For directories; a file is better synced through its descriptor.
    Fsync {
        /// The file.
        node: NodeId,
        /// Data only.
        data_only: bool,
    },
    /// Connects to a host's Unix socket → [`Answer::Opened`]. `ECONNREFUSED` unless the policy allows it.
    Connect {
        /// The socket's file.
        node: NodeId,
        /// Kind of socket.
        kind: SocketKind,
    },
    /// Watches a directory → [`Answer::Done`]. `ENOSPC`: the host has no watch to spare; ask again each time instead of caching.
    Watch {
        /// The directory.
        dir: NodeId,
    },
    /// Ends the watch (closing the node does so too) → [`Answer::Done`].
    Unwatch {
        /// The directory.
        dir: NodeId,
    },
}

impl Op {
    /// An upper bound of the encoded answer in bytes.
    #[must_use]
    pub fn answer_bound(&self) -> usize {
        match self {
            Self::Walk { names, .. } => 32 + names.len() * (ATTR_BYTES + 16) + MAX_LINK + 8,
            Self::GetAttr { nodes } => 16 + nodes.len() * (ATTR_BYTES + 8),
            Self::Stat { names } => 16 + names.len() * (ATTR_BYTES + 8),
            // A listing takes what is left, and wants room for enough entries to be worth the trip.
            Self::ReadDir { .. } => 8 * 1024,
            Self::Readlink { .. } => MAX_LINK + 16,
            Self::GetXattr { .. } | Self::ListXattr { .. } => MAX_XATTR + 16,
            _ => 2 * ATTR_BYTES + 64,
        }
    }
}

/// How a walk ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum WalkEnd {
    /// Every name was found.
    Complete,
    /// The name after the last step does not exist.
    Missing,
    /// The last step is a symbolic link with this target (also where it is the last name).
    Symlink(LinkTarget),
    /// The last step is neither a directory nor the last name.
    NotDirectory,
    /// Looking up the name after the last step failed with this `errno`.
    Failed(i32),
}

/// What a walk found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Walked {
    /// One a name found. If there were no names: the starting node again.
    pub steps: List<Entry, MAX_WALK>,
    /// Why there are no more.
    pub end: WalkEnd,
    /// Whether every directory looked into is being watched.
    pub watched: bool,
    /// A descriptor of the last step comes along and can do this.
    pub fd: Option<Access>,
}

/// The answer to an [`Op`].
// Large answers are boxed by their lists already; attributes are what most answers are about.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// Nothing to say.
    Done,
    /// A node.
    Node(Entry),
    /// What a walk found.
    Walked(Walked),
    /// One result for each thing asked about.
    Attrs(List<Result<Attr, i32>, MAX_ASKED>),
    /// Attributes.
    Attr(Attr),
    /// A descriptor comes along.
    Opened {
        /// What it can do.
        access: Access,
        /// The file's attributes, after `O_TRUNC`.
        attr: Attr,
    },
    /// A file was made.
    Made {
        /// The new file.
        entry: Entry,
        /// Its directory afterwards.
        dir: Attr,
        /// A descriptor comes along.
        fd: Option<Access>,
    },
    /// A file was renamed.
    Renamed {
        /// The old directory afterwards.
        old_dir: Attr,
        /// The new directory afterwards.
        new_dir: Attr,
    },
    /// Target of a link.
    Link(LinkTarget),
    /// Part of a directory.
    Entries {
        /// The entries.
        entries: List<DirEntry, MAX_ENTRIES>,
        /// Nothing comes behind them.
        end: bool,
        /// Whether the directory is being watched.
        watched: bool,
    },
    /// The file system.
    Statfs(Statfs),
    /// An extended attribute or a list of names.
    Bytes(XattrValue),
}

impl Answer {
    /// Whether a descriptor rides along.
    #[must_use]
    pub const fn has_fd(&self) -> bool {
        match self {
            Self::Opened { .. } => true,
            Self::Made { fd, .. } => fd.is_some(),
            Self::Walked(w) => w.fd.is_some(),
            _ => false,
        }
    }
}

/// News that the sentry did not cause, from the second socket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// Something happened in a watched directory.
    Changed {
        /// Every node of that directory that is being watched has an event of its own.
        dir: NodeId,
        /// The name it happened to; `None`: the directory itself.
        name: Option<Name>,
        /// What happened.
        change: Change,
        /// Ties the halves of a rename; 0 otherwise.
        cookie: u32,
    },
    /// Events were lost: everything cached because it was watched must be asked for again.
    Overflow,
}

/// A message on the second socket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Events(pub List<Event, MAX_EVENTS>);
