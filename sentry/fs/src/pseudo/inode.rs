//! Inodes of pseudo file systems.

use super::{Child, Node, Owner, PseudoFs, dir::OpenDir, file::OpenFile};
use abi::{Errno, stat::FileType, time::Timespec};
use ksync::{Mutex, rank};
use std::{any::Any, sync::Arc};
use vfs::{
    Attr, Credentials, FileOps, FileSystem, Gid, Inode, InodeCommon, LinkTarget, NewKind, NewNode,
    OpenRequest, SetAttr, Uid, clock,
};

/// A node in a mounted file system.
pub struct PseudoInode {
    common: InodeCommon,
    fs: Arc<PseudoFs>,
    ino: u64,
    parent_ino: u64,
    node: Node,
    owner: Option<Arc<dyn Owner>>,
    meta: Mutex<Meta>,
    made: Timespec,
}

/// What may be changed where the owner does not say.
struct Meta {
    mode: u32,
    uid: Uid,
    gid: Gid,
}

/// The number of the root of every pseudo file system.
const ROOT_INO: u64 = 1;

/// The number of the entry `name` of the directory numbered `parent` (FNV-1a, kept positive and small enough to print).
fn number(parent: u64, name: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ parent.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in name {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    }
    ((hash ^ (hash >> 40)) & 0xff_ffff_ffff).max(2)
}

impl PseudoInode {
    /// The root of `fs`.
    pub fn root(fs: &Arc<PseudoFs>, root: Child) -> Arc<Self> {
        Self::make(fs, ROOT_INO, ROOT_INO, root, None)
    }

    fn make(
        fs: &Arc<PseudoFs>,
        ino: u64,
        parent_ino: u64,
        child: Child,
        inherited: Option<&Arc<dyn Owner>>,
    ) -> Arc<Self> {
        let meta = Meta { mode: child.mode, uid: Uid::ROOT, gid: Gid::ROOT };
        Arc::new(Self {
            common: InodeCommon::default(),
            fs: fs.clone(),
            ino,
            parent_ino,
            node: child.node,
            owner: child.owner.or_else(|| inherited.cloned()),
            meta: Mutex::new(rank::LEAF, meta),
            made: clock::now(),
        })
    }

    /// What it is.
    pub fn node(&self) -> &Node {
        &self.node
    }

    pub(super) fn ino(&self) -> u64 {
        self.ino
    }

    pub(super) fn parent_ino(&self) -> u64 {
        self.parent_ino
    }

    pub(super) fn child_ino(&self, name: &[u8]) -> u64 {
        number(self.ino, name)
    }

    /// What it stands for is still there.
    pub(super) fn alive(&self) -> bool {
        self.owner.as_ref().is_none_or(|o| o.alive())
    }
}

impl Inode for PseudoInode {
    fn common(&self) -> &InodeCommon {
        &self.common
    }
    fn fs(&self) -> Arc<dyn FileSystem> {
        self.fs.clone()
    }
    fn file_type(&self) -> FileType {
        self.node.file_type()
    }
    fn attr(&self) -> Result<Attr, Errno> {
        let (mut mode, mut uid, mut gid) = {
            let meta = self.meta.lock();
            (meta.mode, meta.uid, meta.gid)
        };
        let (size, nlink) = match &self.node {
            Node::Dir(dir) => (dir.size(), dir.nlink()),
            Node::File(file) => (file.size(), 1),
            Node::Link(link) => {
                mode = link.mode().unwrap_or(mode);
                (link.size(), 1)
            }
        };
        if let Some(owner) = &self.owner {
            (uid, gid) = owner.ids(mode);
        }
        Ok(Attr {
            dev: self.fs.dev(),
            ino: self.ino,
            mode: self.file_type().to_mode() | mode,
            nlink,
            uid,
            gid,
            size,
            blksize: 1024,
            atime: self.made,
            mtime: self.made,
            ctime: self.made,
            ..Attr::default()
        })
    }
    fn set_attr(&self, change: &SetAttr) -> Result<(), Errno> {
        // A change of the size is what O_TRUNC asks for: there is nothing to cut. Times are of no consequence.
        if change.mode.is_none() && change.uid.is_none() && change.gid.is_none() {
            return Ok(());
        }
        if self.owner.is_some() {
            return Err(Errno::EPERM);
        }
        let mut meta = self.meta.lock();
        meta.mode = change.mode.map_or(meta.mode, |m| m & 0o7777);
        meta.uid = change.uid.unwrap_or(meta.uid);
        meta.gid = change.gid.unwrap_or(meta.gid);
        Ok(())
    }
    fn permission(&self, cred: &Credentials, mask: u32) -> Option<Result<(), Errno>> {
        match &self.node {
            Node::Dir(dir) => dir.permission(cred, mask),
            _ => None,
        }
    }
    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let Node::Dir(dir) = &self.node else { return Err(Errno::ENOTDIR) };
        if !self.alive() {
            return Err(Errno::ENOENT);
        }
        let child = dir.lookup(name)?;
        let ino = self.child_ino(name);
        Ok(Self::make(&self.fs, ino, self.ino, child, self.owner.as_ref()))
    }
    fn revalidate(&self, name: &[u8], cached: Option<&Arc<dyn Inode>>) -> bool {
        let Node::Dir(dir) = &self.node else { return true };
        let Some(cached) = cached else { return !dir.changes() };
        let alive = cached.as_any().downcast_ref::<PseudoInode>().is_none_or(PseudoInode::alive);
        alive && (!dir.changes() || dir.is_current(name))
    }
    fn create(&self, name: &[u8], new: &NewNode) -> Result<Arc<dyn Inode>, Errno> {
        let Node::Dir(dir) = &self.node else { return Err(Errno::ENOTDIR) };
        match new.kind {
            // As on Linux, where proc has no negative entries that something could be made of.
            _ if self.fs.name() == "proc" => Err(Errno::ENOENT),
            NewKind::Directory => dir.mkdir(name, new).and_then(|()| self.lookup(name)),
            NewKind::Regular => Err(Errno::EACCES),
            _ => Err(Errno::EPERM),
        }
    }
    fn rmdir(&self, name: &[u8], _: &Arc<dyn Inode>) -> Result<(), Errno> {
        let Node::Dir(dir) = &self.node else { return Err(Errno::ENOTDIR) };
        dir.rmdir(name)
    }
    fn read_link(&self) -> Result<Vec<u8>, Errno> {
        match &self.node {
            Node::Link(link) => link.read(),
            _ => Err(Errno::EINVAL),
        }
    }
    fn follow_link(&self) -> Result<LinkTarget, Errno> {
        match &self.node {
            Node::Link(link) => link.follow(),
            _ => Err(Errno::EINVAL),
        }
    }
    fn open(self: Arc<Self>, request: &OpenRequest<'_>) -> Result<Box<dyn FileOps>, Errno> {
        match &self.node {
            Node::Dir(_) => Ok(Box::new(OpenDir::new(self))),
            Node::Link(_) => Err(Errno::ELOOP),
            Node::File(file) => {
                if !self.alive() {
                    return Err(Errno::ENOENT);
                }
                file.check_open(request)?;
                match file.open(request) {
                    Some(special) => special,
                    None => Ok(Box::new(OpenFile::new(file.clone()))),
                }
            }
        }
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
