//! Files that are in no directory: pipes, sockets, `eventfd` and its like.

use crate::{
    Attr, Credentials, Dentry, File, FileOps, FileSystem, Gid, Inode, InodeCommon, Mount, OpenRequest, Path,
    SetAttr, Uid, Vfs, clock,
};
use abi::{
    Errno,
    fcntl::OpenFlags,
    stat::{ANON_INODE_FS_MAGIC, FileType, NSFS_MAGIC, PID_FS_MAGIC, PIPEFS_MAGIC, SOCKFS_MAGIC, Statfs},
};
use ksync::{Mutex, rank};
use std::{any::Any, sync::Arc};

/// The mounts that such files are on.
pub(crate) struct AnonFiles {
    anon: Arc<Mount>,
    pipe: Arc<Mount>,
    socket: Arc<Mount>,
    ns: Arc<Mount>,
    pid: Arc<Mount>,
}

struct PseudoFs {
    name: &'static str,
    magic: i64,
    dev: u64,
}

impl FileSystem for PseudoFs {
    fn name(&self) -> &'static str {
        self.name
    }
    fn statfs(&self) -> Result<Statfs, Errno> {
        Ok(Statfs { f_type: self.magic, f_bsize: 4096, f_frsize: 4096, f_namelen: 255, ..Statfs::default() })
    }
    fn dev(&self) -> u64 {
        self.dev
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// An inode that nothing but open files (or a pseudo file system's mount) refers to.
pub struct AnonInode {
    common: InodeCommon,
    fs: Arc<dyn FileSystem>,
    file_type: FileType,
    attr: Mutex<Attr>,
}

impl AnonInode {
    /// An inode of `fs`; `mode` as `st_mode` shows it.
    pub fn new(
        fs: Arc<dyn FileSystem>,
        file_type: FileType,
        mode: u32,
        ino: u64,
        uid: Uid,
        gid: Gid,
    ) -> Arc<Self> {
        let now = clock::now();
        let attr = Attr {
            dev: fs.dev(),
            ino,
            mode,
            nlink: 1,
            uid,
            gid,
            blksize: 4096,
            atime: now,
            mtime: now,
            ctime: now,
            ..Attr::default()
        };
        Arc::new(Self { common: InodeCommon::default(), fs, file_type, attr: Mutex::new(rank::LEAF, attr) })
    }
}

impl Inode for AnonInode {
    fn common(&self) -> &InodeCommon {
        &self.common
    }
    fn fs(&self) -> Arc<dyn FileSystem> {
        self.fs.clone()
    }
    fn file_type(&self) -> FileType {
        self.file_type
    }
    fn attr(&self) -> Result<Attr, Errno> {
        Ok(*self.attr.lock())
    }
    fn set_attr(&self, change: &SetAttr) -> Result<(), Errno> {
        if change.size.is_some() {
            return Err(Errno::EINVAL);
        }
        self.attr.lock().apply(change, clock::now());
        Ok(())
    }
    fn open(self: Arc<Self>, _: &OpenRequest<'_>) -> Result<Box<dyn FileOps>, Errno> {
        Err(Errno::ENXIO)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl AnonFiles {
    fn new(vfs: &Vfs) -> Self {
        let mount = |name: &'static str, magic| {
            let fs: Arc<dyn FileSystem> = Arc::new(PseudoFs { name, magic, dev: vfs.new_dev() });
            let root = AnonInode::new(
                fs.clone(),
                FileType::Directory,
                FileType::Directory.to_mode() | 0o555,
                vfs.new_ino(),
                Uid::ROOT,
                Gid::ROOT,
            );
            vfs.kernel_mount((fs, root), name)
        };
        Self {
            anon: mount("anon_inodefs", ANON_INODE_FS_MAGIC),
            pipe: mount("pipefs", PIPEFS_MAGIC),
            socket: mount("sockfs", SOCKFS_MAGIC),
            ns: mount("nsfs", NSFS_MAGIC),
            pid: mount("pidfs", PID_FS_MAGIC),
        }
    }
}

impl Vfs {
    /// An open file in no directory, which `/proc/PID/fd` shows as `name`.
    ///
    /// `name` says what it is: `pipe` and `socket` (to which `:[inode]` is added), `anon_inode:[eventfd]` and its like, or
    /// something of the form `kind:[number]`, which has that inode number.
    pub fn anon_file(
        &self,
        name: &str,
        file_type: FileType,
        flags: OpenFlags,
        cred: &Arc<Credentials>,
        ops: Box<dyn FileOps>,
    ) -> Arc<File> {
        File::new(self.anon_path(name, file_type, cred), flags, cred.clone(), ops)
    }

    /// The path of such a file: both ends of a pipe have the same.
    pub fn anon_path(&self, name: &str, file_type: FileType, cred: &Arc<Credentials>) -> Path {
        let mounts = self.anon.get_or_init(|| AnonFiles::new(self));
        let (mount, mode) = match name.split(':').next().unwrap_or_default() {
            "pipe" => (&mounts.pipe, FileType::Fifo.to_mode() | 0o600),
            "socket" => (&mounts.socket, FileType::Socket.to_mode() | 0o777),
            "anon_inode" if name == "anon_inode:[pidfd]" => {
                (&mounts.pid, FileType::Regular.to_mode() | 0o600)
            }
            // Linux shows no type at all for these.
            "anon_inode" => (&mounts.anon, 0o600),
            _ => (&mounts.ns, file_type.to_mode() | 0o444),
        };
        let number = name.rsplit_once(":[").and_then(|(_, n)| n.strip_suffix(']')?.parse().ok());
        let ino = number.unwrap_or_else(|| self.new_ino());
        let name = if name.contains(':') { name.to_owned() } else { format!("{name}:[{ino}]") };
        let (uid, gid) =
            if mode & 0o170_000 == 0 { (Uid::ROOT, Gid::ROOT) } else { (cred.fsuid, cred.fsgid) };
        let inode = AnonInode::new(mount.fs.clone(), file_type, mode, ino, uid, gid);
        Self::detached_path(mount, &name, inode)
    }

    /// The path of `inode`, which is in no directory, on a kernel mount; shown as `name`.
    pub fn detached_path(mount: &Arc<Mount>, name: &str, inode: Arc<dyn Inode>) -> Path {
        Path::of(mount.clone(), Dentry::detached(name.as_bytes(), inode.clone()), inode)
    }
}

/// The file system of the empty mount at the bottom of a namespace.
pub(crate) fn rootfs(dev: u64) -> Arc<dyn FileSystem> {
    Arc::new(PseudoFs { name: "rootfs", magic: abi::stat::RAMFS_MAGIC, dev })
}

/// An empty directory of [`rootfs`].
pub(crate) fn empty_directory(dev: u64, ino: u64) -> Arc<dyn Inode> {
    let mode = FileType::Directory.to_mode() | 0o755;
    AnonInode::new(rootfs(dev), FileType::Directory, mode, ino, Uid::ROOT, Gid::ROOT)
}
