//! For unit tests, here and in the crates above: open files that are in no file system.

use crate::{Attr, Credentials, Dentry, File, FileOps, FileSystem, Inode, InodeCommon, OpenRequest, Path};
use crate::{SetAttr, UserNamespace};
use abi::{
    Errno,
    fcntl::OpenFlags,
    stat::{FileType, Statfs},
};
use ksync::{Mutex, rank};
use mem::{IoDst, IoSrc};
use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// A file system that holds nothing, with its device number: 1 for [`Node`]s, another for what paths are mounted on, so
/// that the end of that mount is not the end of them.
pub struct NoFs(u64);
impl FileSystem for NoFs {
    fn name(&self) -> &'static str {
        "none"
    }
    fn statfs(&self) -> Result<Statfs, Errno> {
        Ok(Statfs::default())
    }
    fn dev(&self) -> u64 {
        self.0
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// An inode of a given type whose attributes can be set freely.
pub struct Node {
    common: InodeCommon,
    kind: FileType,
    /// Its attributes.
    pub attr: Mutex<Attr>,
}

impl Node {
    /// A new one, owned by the superuser.
    pub fn new(kind: FileType) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let ino = NEXT.fetch_add(1, Ordering::Relaxed);
        let attr = Attr { dev: 1, ino, mode: kind.to_mode() | 0o600, nlink: 1, ..Attr::default() };
        Arc::new(Self { common: InodeCommon::default(), kind, attr: Mutex::new(rank::LEAF, attr) })
    }
}

impl Inode for Node {
    fn common(&self) -> &InodeCommon {
        &self.common
    }
    fn fs(&self) -> Arc<dyn FileSystem> {
        Arc::new(NoFs(1))
    }
    fn file_type(&self) -> FileType {
        self.kind
    }
    fn attr(&self) -> Result<Attr, Errno> {
        Ok(*self.attr.lock())
    }
    fn set_attr(&self, change: &SetAttr) -> Result<(), Errno> {
        let mut attr = self.attr.lock();
        attr.size = change.size.unwrap_or(attr.size);
        Ok(())
    }
    fn open(self: Arc<Self>, _: &OpenRequest<'_>) -> Result<Box<dyn FileOps>, Errno> {
        Err(Errno::ENXIO)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The superuser.
pub fn root() -> Arc<Credentials> {
    Credentials::root(UserNamespace::initial())
}

/// A path that leads to `inode`.
pub fn path(name: &[u8], inode: Arc<dyn Inode>) -> Path {
    let dentry = Dentry::detached(name, inode);
    let mount = crate::Vfs::new().kernel_mount((Arc::new(NoFs(2)), Node::new(FileType::Directory)), "none");
    match Path::new(mount, dentry) {
        Ok(path) => path,
        Err(e) => unreachable!("the dentry is positive: {e}"),
    }
}

/// `ops` as an open file of a regular file of its own.
pub fn file(ops: Box<dyn FileOps>, flags: OpenFlags) -> Arc<File> {
    file_on(Node::new(FileType::Regular), ops, flags)
}

/// `ops` as an open file of `inode`.
pub fn file_on(inode: Arc<dyn Inode>, ops: Box<dyn FileOps>, flags: OpenFlags) -> Arc<File> {
    File::new(path(b"test", inode), flags, root(), ops)
}

/// Reads up to `max` bytes.
pub fn read(file: &File, max: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; max];
    let n = file.ops().read(file, &mut IoDst::bytes(&mut bytes))?;
    bytes.truncate(n);
    Ok(bytes)
}

/// Writes `bytes`.
pub fn write(file: &File, bytes: &[u8]) -> Result<usize, Errno> {
    file.ops().write(file, &mut IoSrc::bytes(&mut bytes.to_vec()))
}
