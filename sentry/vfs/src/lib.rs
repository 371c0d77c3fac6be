//! The virtual file system: everything about files that is the same whatever backs them.
//!
//! [`Inode`], [`FileOps`] and [`FileSystem`] are what a file system implements. [`Dentry`] is a name in the tree,
//! [`Path`] a dentry on a mount, [`File`] an open file description, [`FdTable`] a process' descriptors.
//! [`walk`] resolves names, [`mount`] owns mounts and mount namespaces, [`ops`] the operations that system calls
//! ask for (with all permission checks), [`locks`] file locks, [`epoll`] and [`inotify`] what their man pages say.
//!
//! **Nothing here sleeps.** A file that is not ready answers `EAGAIN` and announces readiness on its wait queue; the
//! system call layer waits and tries again.
//!
//! **Lock order:** see [`ksync::rank`]: file position, mounts, rename, directory (parent first), dentry, file system, inode.

#![forbid(unsafe_code)]

pub mod anon;
pub mod attr;
pub mod clock;
pub mod context;
pub mod cred;
pub mod dentry;
pub mod devices;
pub mod dpath;
pub mod epoll;
pub mod fd_table;
pub mod file;
pub mod inode;
pub mod inotify;
pub mod landlock;
pub mod locks;
pub mod mount;
pub mod ops;
pub mod permission;
pub mod poll;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod vfs;
pub mod walk;

pub use attr::{Attr, SetAttr, SetTime};
pub use context::FsContext;
pub use cred::{Credentials, Gid, Uid, UserNamespace};
pub use dentry::{Dentry, Path, SuperBlock};
pub use fd_table::{Fd, FdTable};
pub use file::{DirEntry, DirSink, File, FileOps};
pub use inode::{FileSystem, Inode, InodeCommon, LinkTarget, NewKind, NewNode, OpenRequest};
pub use mount::{Mount, MountNamespace};
pub use vfs::{FileSystemType, MountArgs, Vfs};
pub use walk::{Lookup, WalkContext};
