//! Inodes of devpts: the root, `ptmx`, and a node for each terminal.

use super::DevPts;
use abi::{
    Errno,
    stat::{
        FileType,
        dev::{TTYAUX_MAJOR, UNIX98_PTY_SLAVE_MAJOR, makedev},
    },
};
use kernel::tty::{Tty, pty};
use ksync::{Mutex, rank};
use std::{
    any::Any,
    sync::{Arc, Weak},
};
use vfs::{
    Attr, DirEntry, DirSink, File, FileOps, FileSystem, Gid, Inode, InodeCommon, OpenRequest, SetAttr, Uid,
    clock,
};

/// Inode numbers: of the root, of `ptmx`, and of terminal 0.
const ROOT_INO: u64 = 1;
const PTMX_INO: u64 = 2;
const FIRST_INO: u64 = 3;

enum Kind {
    /// With its `ptmx`.
    Root(Arc<PtsInode>),
    Ptmx,
    Terminal(Weak<Tty>),
}

/// Something in a devpts.
pub(crate) struct PtsInode {
    common: InodeCommon,
    /// Which keeps the nodes of terminals in turn, as long as their masters are open.
    fs: Arc<DevPts>,
    kind: Kind,
    attr: Mutex<Attr>,
}

impl PtsInode {
    fn make(fs: &Arc<DevPts>, kind: Kind, ino: u64, mode: u32, rdev: u64, owner: (Uid, Gid)) -> Arc<Self> {
        let now = clock::now();
        let attr = Attr {
            dev: fs.dev,
            ino,
            mode,
            nlink: if matches!(kind, Kind::Root(_)) { 2 } else { 1 },
            uid: owner.0,
            gid: owner.1,
            rdev,
            blksize: 1024,
            atime: now,
            mtime: now,
            ctime: now,
            ..Attr::default()
        };
        Arc::new(Self {
            common: InodeCommon::default(),
            fs: fs.clone(),
            kind,
            attr: Mutex::new(rank::LEAF, attr),
        })
    }

    pub fn root(fs: &Arc<DevPts>) -> Arc<Self> {
        let owner = (fs.options.uid.unwrap_or_default(), fs.options.gid.unwrap_or_default());
        let mode = FileType::CharDevice.to_mode() | fs.options.ptmx_mode;
        let device = makedev(TTYAUX_MAJOR, 2);
        let ptmx = Self::make(fs, Kind::Ptmx, PTMX_INO, mode, device, owner);
        let mode = FileType::Directory.to_mode() | 0o755;
        Self::make(fs, Kind::Root(ptmx), ROOT_INO, mode, 0, (Uid::ROOT, Gid::ROOT))
    }

    pub fn terminal(
        fs: &Arc<DevPts>,
        number: u32,
        tty: Weak<Tty>,
        mode: u32,
        uid: Uid,
        gid: Gid,
    ) -> Arc<Self> {
        let mode = FileType::CharDevice.to_mode() | mode;
        let device = makedev(UNIX98_PTY_SLAVE_MAJOR, number);
        let ino = FIRST_INO + u64::from(number);
        Self::make(fs, Kind::Terminal(tty), ino, mode, device, (uid, gid))
    }

    /// The file system.
    pub fn instance(&self) -> &Arc<DevPts> {
        &self.fs
    }

    /// Opens the terminal. `EIO` for the node of one that has gone.
    pub fn open_terminal(&self) -> Result<Box<dyn FileOps>, Errno> {
        let Kind::Terminal(tty) = &self.kind else { return Err(Errno::ENXIO) };
        pty::open_slave(&tty.upgrade().ok_or(Errno::EIO)?)
    }

    fn number(name: &[u8]) -> Option<u32> {
        let text = std::str::from_utf8(name).ok()?;
        let number: u32 = text.parse().ok()?;
        (number.to_string() == text).then_some(number)
    }
}

impl Inode for PtsInode {
    fn common(&self) -> &InodeCommon {
        &self.common
    }
    fn fs(&self) -> Arc<dyn FileSystem> {
        self.fs.clone()
    }
    fn file_type(&self) -> FileType {
        if matches!(self.kind, Kind::Root(_)) { FileType::Directory } else { FileType::CharDevice }
    }
    fn attr(&self) -> Result<Attr, Errno> {
        Ok(*self.attr.lock())
    }
    fn set_attr(&self, change: &SetAttr) -> Result<(), Errno> {
        self.attr.lock().apply(change, clock::now());
        Ok(())
    }
    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let Kind::Root(ptmx) = &self.kind else { return Err(Errno::ENOTDIR) };
        if name == b"ptmx" {
            return Ok(ptmx.clone());
        }
        let node = Self::number(name).and_then(|n| self.fs.node(n)).ok_or(Errno::ENOENT)?;
        Ok(node)
    }
    fn revalidate(&self, name: &[u8], cached: Option<&Arc<dyn Inode>>) -> bool {
        let Some(cached) = cached else { return false };
        self.lookup(name).is_ok_and(|now| Arc::ptr_eq(&now, cached))
    }
    fn open(self: Arc<Self>, _: &OpenRequest<'_>) -> Result<Box<dyn FileOps>, Errno> {
        match self.kind {
            Kind::Root(_) => Ok(Box::new(OpenRoot(self))),
            _ => Err(Errno::ENXIO),
        }
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The open root.
struct OpenRoot(Arc<PtsInode>);

impl FileOps for OpenRoot {
    fn read(&self, _: &File, _: &mut mem::IoDst<'_>) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }
    fn read_at(&self, _: &File, _: u64, _: &mut mem::IoDst<'_>) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }
    fn read_dir(&self, _: &File, pos: &mut u64, sink: &mut DirSink<'_>) -> Result<(), Errno> {
        let (dir, device) = (FileType::Directory, FileType::CharDevice);
        let mut all: Vec<(u64, u64, FileType, Vec<u8>)> = vec![
            (0, ROOT_INO, dir, b".".to_vec()),
            (1, ROOT_INO, dir, b"..".to_vec()),
            (2, PTMX_INO, device, b"ptmx".to_vec()),
        ];
        all.extend(self.0.fs.numbers().into_iter().map(|number| {
            let at = FIRST_INO + u64::from(number);
            (at, at, device, number.to_string().into_bytes())
        }));
        for (at, ino, kind, name) in all {
            if at < *pos {
                continue;
            }
            if !sink(DirEntry { ino, next: at + 1, kind: Some(kind), name: &name }) {
                return Ok(());
            }
            *pos = at + 1;
        }
        Ok(())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
