//! File systems whose contents the kernel makes up as they are asked for: the common part of proc, sysfs, cgroup.
//!
//! A file system of this kind is a tree of [`Node`]s: [`PseudoDir`]s name their children, [`PseudoFile`]s make their text at
//! each open (and again when they are read from the start, as Linux's seq files do), [`PseudoLink`]s lead somewhere. A
//! [`PseudoInode`] is a node in one mounted file system. Inode numbers follow from names, so they stay the same when the
//! cache has forgotten an inode.
//!
//! **Lock order:** an inode's `meta` is a leaf. Nodes are asked without any lock of this module; the VFS may hold that of a
//! directory.

mod dir;
mod file;
mod inode;

pub use dir::{StaticDir, link, path_link, process_of};
pub use file::{file, text, writable};
pub use inode::PseudoInode;

use abi::{
    Errno,
    stat::{FileType, Statfs},
};
use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use vfs::{
    Credentials, File, FileOps, FileSystem, Gid, LinkTarget, NewNode, OpenRequest, Uid, Vfs,
    mount::NamespaceEvents,
};

/// Something in a pseudo file system.
#[derive(Clone)]
#[allow(missing_docs, reason = "as named")]
pub enum Node {
    Dir(Arc<dyn PseudoDir>),
    File(Arc<dyn PseudoFile>),
    Link(Arc<dyn PseudoLink>),
}

impl Node {
    /// Its type.
    pub fn file_type(&self) -> FileType {
        match self {
            Node::Dir(_) => FileType::Directory,
            Node::File(_) => FileType::Regular,
            Node::Link(_) => FileType::Symlink,
        }
    }
}

/// A child of a directory: what it is, its permission bits, and whose it is.
#[derive(Clone)]
pub struct Child {
    /// What it is.
    pub node: Node,
    /// Permission bits.
    pub mode: u32,
    /// Whose it is; `None`: its directory's.
    pub owner: Option<Arc<dyn Owner>>,
}

impl Child {
    /// A directory.
    pub fn dir(mode: u32, dir: Arc<dyn PseudoDir>) -> Self {
        Self { node: Node::Dir(dir), mode, owner: None }
    }
    /// A file.
    pub fn file(mode: u32, file: Arc<dyn PseudoFile>) -> Self {
        Self { node: Node::File(file), mode, owner: None }
    }
    /// A symbolic link.
    pub fn link(link: Arc<dyn PseudoLink>) -> Self {
        Self { node: Node::Link(link), mode: 0o777, owner: None }
    }
    /// The same with an owner of its own.
    pub fn owned(self, owner: Arc<dyn Owner>) -> Self {
        Self { owner: Some(owner), ..self }
    }
}

/// Whose a node is, and whether what it stands for is still there.
pub trait Owner: Send + Sync {
    /// User and group of an inode whose permission bits are `mode`.
    fn ids(&self, mode: u32) -> (Uid, Gid);
    /// What the node stands for is still there; asked on each walk.
    fn alive(&self) -> bool {
        true
    }
}

/// An entry of a directory that is being read.
pub struct Entry {
    /// Its position: ascending within the directory, 2 or more, and its own as long as it is there.
    pub pos: u64,
    /// Its name.
    pub name: Vec<u8>,
    /// Its type.
    pub kind: FileType,
}

/// A directory.
pub trait PseudoDir: Send + Sync {
    /// The child `name`; `ENOENT`.
    fn lookup(&self, name: &[u8]) -> Result<Child, Errno>;
    /// All entries but `.` and `..`, in the order of their positions.
    fn entries(&self) -> Result<Vec<Entry>, Errno>;
    /// Entries come and go by themselves: that there is none is not remembered.
    fn changes(&self) -> bool {
        false
    }
    /// Whether the entry `name`, found earlier, still is what was found; asked on each walk of directories that change.
    fn is_current(&self, name: &[u8]) -> bool {
        let _ = name;
        true
    }
    /// `st_nlink`.
    fn nlink(&self) -> u64 {
        2
    }
    /// `st_size`.
    fn size(&self) -> u64 {
        0
    }
    /// Checks access beyond the permission bits; `None` leaves it to those.
    fn permission(&self, cred: &Credentials, mask: u32) -> Option<Result<(), Errno>> {
        let _ = (cred, mask);
        None
    }
    /// The process that it stands for, where that may be signalled through it (`pidfd_send_signal(2)`).
    fn process(&self) -> Option<Result<Arc<kernel::ThreadGroup>, Errno>> {
        None
    }
    /// `mkdir(2)`; what is made is found by [`lookup`](Self::lookup) from then on.
    fn mkdir(&self, name: &[u8], new: &NewNode) -> Result<(), Errno> {
        let _ = (name, new);
        Err(Errno::EPERM)
    }
    /// `rmdir(2)`.
    fn rmdir(&self, name: &[u8]) -> Result<(), Errno> {
        let _ = name;
        Err(Errno::EPERM)
    }
}

/// A file.
pub trait PseudoFile: Send + Sync {
    /// Its contents now, for whoever opened `file`.
    fn contents(&self, file: &File) -> Result<Vec<u8>, Errno>;
    /// Takes `bytes`, which were written at `offset`; how many of them.
    fn store(&self, file: &File, offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let _ = (file, offset, bytes);
        Err(Errno::EINVAL)
    }
    /// Whether it may be opened, beyond its permission bits.
    fn check_open(&self, request: &OpenRequest<'_>) -> Result<(), Errno> {
        let _ = request;
        Ok(())
    }
    /// `st_size`.
    fn size(&self) -> u64 {
        0
    }
    /// What `poll(2)` announces: each change is `POLLPRI` once.
    fn events(&self) -> Option<Arc<NamespaceEvents>> {
        None
    }
    /// An open file that is none of the usual kind.
    fn open(&self, request: &OpenRequest<'_>) -> Option<Result<Box<dyn FileOps>, Errno>> {
        let _ = request;
        None
    }
}

/// A symbolic link.
pub trait PseudoLink: Send + Sync {
    /// What `readlink(2)` gives.
    fn read(&self) -> Result<Vec<u8>, Errno>;
    /// Where it leads.
    fn follow(&self) -> Result<LinkTarget, Errno> {
        self.read().map(LinkTarget::Path)
    }
    /// `st_size`.
    fn size(&self) -> u64 {
        0
    }
    /// Its permission bits, where they change.
    fn mode(&self) -> Option<u32> {
        None
    }
}

/// A mounted pseudo file system.
pub struct PseudoFs {
    name: &'static str,
    magic: i64,
    dev: u64,
    options: String,
    read_only: AtomicBool,
}

impl PseudoFs {
    /// A file system called `name`, whose `f_type` is `magic`; `options` as `/proc/mounts` shows them, with a leading comma.
    pub fn new(vfs: &Vfs, name: &'static str, magic: i64, options: String) -> Arc<Self> {
        Arc::new(Self { name, magic, dev: vfs.new_dev(), options, read_only: AtomicBool::new(false) })
    }
}

impl FileSystem for PseudoFs {
    fn name(&self) -> &'static str {
        self.name
    }
    fn statfs(&self) -> Result<Statfs, Errno> {
        Ok(Statfs {
            f_type: self.magic,
            f_bsize: 4096,
            f_frsize: 4096,
            f_namelen: 255,
            f_fsid: [self.dev as i32, 0],
            ..Statfs::default()
        })
    }
    fn dev(&self) -> u64 {
        self.dev
    }
    fn options(&self) -> String {
        self.options.clone()
    }
    fn read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }
    fn remount(&self, read_only: bool, _: &str) -> Result<(), Errno> {
        self.read_only.store(read_only, Ordering::Relaxed);
        Ok(())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
