//! What a file system implements: [`FileSystem`] and [`Inode`].
//!
//! Permission checks, name checks (length, `.` and `..`, trailing slashes), read-only mounts and locking of
//! directories against each other are done before these methods are called; a file system only does the thing.
//! Every method of a directory gets a single, non-empty component without `/`.

use crate::{Attr, Credentials, File, FileOps, Gid, Path, SetAttr, Uid, locks::FileLocks};
use abi::{
    Errno,
    fcntl::OpenFlags,
    stat::{FileType, Statfs},
};
use ksync::{Mutex, rank};
use std::{
    any::Any,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicI32, AtomicU32},
    },
};

/// A mounted file system ("super block").
pub trait FileSystem: Send + Sync {
    /// Its type as `/proc/mounts` shows it.
    fn name(&self) -> &'static str;
    /// `statfs(2)`.
    fn statfs(&self) -> Result<Statfs, Errno>;
    /// Its device number (`st_dev`).
    fn dev(&self) -> u64;
    /// Options for `/proc/mounts` behind `rw` or `ro`, comma separated, with a leading comma if any.
    fn options(&self) -> String {
        String::new()
    }
    /// The whole file system is read-only.
    fn read_only(&self) -> bool {
        false
    }
    /// `syncfs(2)`.
    fn sync(&self) -> Result<(), Errno> {
        Ok(())
    }
    /// `MS_REMOUNT` with `data`.
    fn remount(&self, read_only: bool, data: &str) -> Result<(), Errno> {
        let _ = (read_only, data);
        Ok(())
    }
    /// For downcasts by whoever made it.
    fn as_any(&self) -> &dyn Any;
}

/// What a new directory entry shall be.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "file types of inode(7)")]
pub enum NewKind {
    Regular,
    Directory,
    /// Target.
    Symlink(Vec<u8>),
    Fifo,
    Socket,
    /// Device number.
    CharDevice(u64),
    /// Device number.
    BlockDevice(u64),
}

/// A new inode: what it is and whose. `mode` has the umask (or default ACL) applied and set-group-id inherited.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "as in Attr")]
pub struct NewNode {
    pub kind: NewKind,
    /// Permission bits.
    pub mode: u32,
    pub uid: Uid,
    pub gid: Gid,
}

/// Where a symbolic link leads.
pub enum LinkTarget {
    /// A path to be resolved from the directory that holds the link.
    Path(Vec<u8>),
    /// Straight there (`/proc/pid/fd/N`, `cwd`, `root`, `exe`, `ns/*`).
    Place(Path),
}

/// An open call, permissions already checked.
pub struct OpenRequest<'a> {
    /// As given, with `O_TRUNC` done already by `set_attr` and `O_CREAT` by `create`.
    pub flags: OpenFlags,
    /// Who opens.
    pub cred: &'a Arc<Credentials>,
    /// What is opened.
    pub path: &'a Path,
    /// The file was made by this very open.
    pub created: bool,
}

/// State that every inode has whatever its file system; made with the inode.
pub struct InodeCommon {
    /// `flock`, POSIX and OFD locks, leases.
    pub locks: FileLocks,
    /// Positive: writers of the file (`ETXTBSY` for exec); negative: executions (for open for writing).
    pub writers: AtomicI32,
    /// Open files on it.
    pub opens: AtomicU32,
    /// What FIFO opens, socket binds and inotify hang on the inode, made by whoever needs it first.
    pub fifo: OnceLock<Arc<dyn Any + Send + Sync>>,
    /// The socket bound to this inode.
    pub bound_socket: Mutex<Option<Weak<dyn Any + Send + Sync>>>,
    /// Inotify watches.
    pub watches: crate::inotify::WatchList,
}

impl Default for InodeCommon {
    fn default() -> Self {
        Self {
            locks: FileLocks::default(),
            writers: AtomicI32::new(0),
            opens: AtomicU32::new(0),
            fifo: OnceLock::new(),
            bound_socket: Mutex::new(rank::LEAF, None),
            watches: Default::default(),
        }
    }
}

/// A file, directory, link or node. The default of every operation is the errno for what does not have it.
pub trait Inode: Send + Sync + Any {
    /// The state that is the same everywhere.
    fn common(&self) -> &InodeCommon;
    /// Its file system.
    fn fs(&self) -> Arc<dyn FileSystem>;
    /// Its type, which never changes.
    fn file_type(&self) -> FileType;
    /// Its attributes now.
    fn attr(&self) -> Result<Attr, Errno>;
    /// Changes attributes (all or none) and `ctime`. Rights are checked, set-id bits already adjusted.
    fn set_attr(&self, change: &SetAttr) -> Result<(), Errno>;
    /// Checks access beyond the permission bits. `None`: the generic check on [`attr`](Self::attr) decides.
    fn permission(&self, cred: &Credentials, mask: u32) -> Option<Result<(), Errno>> {
        let _ = (cred, mask);
        None
    }

    /// The entry `name`; `ENOENT`. Never asked for `.` and `..`.
    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let _ = name;
        Err(Errno::ENOTDIR)
    }
    /// Notice that `names` are about to be looked up, each in the one before it, from this directory on. A file system for
    /// which asking is expensive resolves them all at once and answers the lookups that follow from that.
    fn prefetch(&self, names: &[&[u8]]) {
        let _ = names;
    }
    /// The contents were read (or a link followed): moves `atime`, if [`Attr::access_is_news`], without touching `ctime`.
    /// File systems that do not keep time themselves have nothing to do.
    fn accessed(&self, relatime: bool) {
        let _ = relatime;
    }
    /// An application is about to watch it with inotify: a file system that others change begins to look for changes.
    fn watched(&self) {}
    /// Whether what the dentry cache has for `name` (`None`: that there is nothing) is still true; asked on
    /// each walk, so cheap. File systems that change by themselves (proc, shared gofer trees) implement it.
    fn revalidate(&self, name: &[u8], cached: Option<&Arc<dyn Inode>>) -> bool {
        let _ = (name, cached);
        true
    }
    /// Makes the entry `name`, which is not there; `EEXIST`.
    fn create(&self, name: &[u8], new: &NewNode) -> Result<Arc<dyn Inode>, Errno> {
        let _ = (name, new);
        Err(Errno::EPERM)
    }
    /// A regular file without a name (`O_TMPFILE`); `linkable` unless `O_EXCL`.
    fn create_tmpfile(&self, new: &NewNode, linkable: bool) -> Result<Arc<dyn Inode>, Errno> {
        let _ = (new, linkable);
        Err(Errno::EOPNOTSUPP)
    }
    /// One more name for `target`, an inode of the same file system.
    fn link(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        let _ = (name, target);
        Err(Errno::EPERM)
    }
    /// Removes `name`, which is `target`, not a directory.
    fn unlink(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        let _ = (name, target);
        Err(Errno::EPERM)
    }
    /// Removes `name`, which is the directory `target`; `ENOTEMPTY`.
    fn rmdir(&self, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        let _ = (name, target);
        Err(Errno::EPERM)
    }
    /// Moves `old_name` of this directory, which is `moved`, to `new_name` of `new_dir` (same file system), over
    /// `replaced` if there is one (kinds fit; a directory may turn out `ENOTEMPTY`). With `exchange` the two swap;
    /// with `whiteout` a 0:0 character device is left in the old place.
    #[allow(clippy::too_many_arguments, reason = "renameat2 has that many")]
    fn rename(
        &self,
        old_name: &[u8],
        moved: &Arc<dyn Inode>,
        new_dir: &Arc<dyn Inode>,
        new_name: &[u8],
        replaced: Option<&Arc<dyn Inode>>,
        exchange: bool,
        whiteout: bool,
    ) -> Result<(), Errno> {
        let _ = (old_name, moved, new_dir, new_name, replaced, exchange, whiteout);
        Err(Errno::EPERM)
    }
    /// Target of a symbolic link as `readlink(2)` gives it.
    fn read_link(&self) -> Result<Vec<u8>, Errno> {
        Err(Errno::EINVAL)
    }
    /// Where a walk goes on from a symbolic link.
    fn follow_link(&self) -> Result<LinkTarget, Errno> {
        self.read_link().map(LinkTarget::Path)
    }

    /// Opens the inode. FIFOs and device nodes are opened by the VFS through its device and FIFO hooks, not here.
    fn open(self: Arc<Self>, request: &OpenRequest<'_>) -> Result<Box<dyn FileOps>, Errno>;

    /// An extended attribute; `ENODATA`.
    fn get_xattr(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let _ = name;
        Err(Errno::EOPNOTSUPP)
    }
    /// Sets one; `flags` are `XATTR_CREATE` and `XATTR_REPLACE`.
    fn set_xattr(&self, name: &[u8], value: &[u8], flags: u32) -> Result<(), Errno> {
        let _ = (name, value, flags);
        Err(Errno::EOPNOTSUPP)
    }
    /// Removes one; `ENODATA`.
    fn remove_xattr(&self, name: &[u8]) -> Result<(), Errno> {
        let _ = name;
        Err(Errno::EOPNOTSUPP)
    }
    /// The names of all.
    fn list_xattr(&self) -> Result<Vec<Vec<u8>>, Errno> {
        Ok(Vec::new())
    }
    /// Called when an open file made by [`open`](Self::open) is closed for good.
    fn released(&self, file: &File) {
        let _ = file;
    }
    /// For downcasts by its own file system: implement as `self`.
    fn as_any(&self) -> &dyn Any;
}
