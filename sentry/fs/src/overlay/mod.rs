//! overlayfs: read-only trees seen through a tree that takes the changes (Linux's `filesystems/overlayfs`).
//!
//! [`Overlay`] is one such file system, [`OverlayInode`] what is in it: a file of the upper tree, or of a lower one until it is
//! *copied up* because somebody is about to change it. A directory is the union of the directories of its name in all layers.
//! What is kept in the upper tree is what Linux keeps there: a 0:0 character device is a *whiteout* that hides lower entries
//! of its name; `trusted.overlay.opaque` on a directory hides all of them; `trusted.overlay.redirect` says where the lower
//! part of a renamed directory is, from the root of the layers; `trusted.overlay.origin` keeps the inode number of what was copied
//! up (a form of our own). So directories are renamed without copying what is in them, and inodes can be dropped and found again.
//!
//! **Lock order:** an inode's `copy` before `change`, which every change of the upper tree's names is under; both are
//! [`rank::OVERLAY`] and, where an overlay lies on another, the outer before the inner. Then whatever the layers take.
//! An inode's `place` is a leaf; the table of inodes is taken when one is dropped, under anything ([`rank::GOFER_CLOSES`]).
//! **Invariants:** an inode of the upper tree has one inode here; `upper` is set once, with the name made in the upper tree under
//! `change`. **As on Linux:** names of one lower file become files of their own when copied up; layers must not be
//! changed by others. **Absent on purpose:** metacopy, data-only layers, `index`, `nfs_export`.

mod copy_up;
mod dir;
mod file;
mod inode;
mod options;
#[cfg(test)]
mod tests;

pub use inode::OverlayInode;
pub use options::register;

use abi::{
    Errno,
    fcntl::OpenFlags,
    stat::{FileType, OVERLAYFS_SUPER_MAGIC, Statfs},
};
use ksync::{Mutex, rank};
use smallvec::SmallVec;
use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, Weak},
};
use vfs::{
    Credentials, File, FileSystem, Inode, Mount, NewKind, NewNode, OpenRequest, SetAttr, SetTime,
    UserNamespace, Vfs, vfs::Mounted,
};

/// Hides what lower directories of the same name hold.
pub(crate) const OPAQUE: &[u8] = b"trusted.overlay.opaque";
/// Device and inode number of what was copied up.
pub(crate) const ORIGIN: &[u8] = b"trusted.overlay.origin";
/// Where the lower part of a directory is.
pub(crate) const REDIRECT: &[u8] = b"trusted.overlay.redirect";
/// What applications do not see.
pub(crate) const PRIVATE: &[u8] = b"trusted.overlay.";

/// How many overlays may lie on one another: the sandbox' own, and the two that Linux allows.
const DEPTH_MAX: usize = 3;
/// Inode numbers of what was made in the upper tree are above those of lower file systems.
const UPPER_INO: u64 = 1 << 48;

/// One tree.
pub(crate) struct Layer {
    root: Arc<dyn Inode>,
    /// For opening files of it.
    mount: Arc<Mount>,
}

/// A file of a lower layer.
#[derive(Clone)]
pub(crate) struct LowerInode {
    pub inode: Arc<dyn Inode>,
    pub layer: usize,
}

/// The same file in all lower layers, uppermost first; more than one only of directories.
pub(crate) type Lowers = SmallVec<[LowerInode; 1]>;

/// An overlay.
pub struct Overlay {
    dev: u64,
    vfs: Weak<Vfs>,
    upper: Option<Layer>,
    lower: Vec<Layer>,
    depth: usize,
    options: String,
    cred: Arc<Credentials>,
    /// Every change of names in the upper tree.
    change: Mutex<()>,
    /// Inodes by the address of what they are in the upper tree.
    inodes: Mutex<HashMap<usize, Weak<OverlayInode>>>,
    /// Our device numbers for those of lower files.
    devices: Mutex<Vec<(u64, u64)>>,
}

/// `upper`, an empty tree of nobody else's, over `lower`, which stays as it is. The root gets the attributes of the lower one.
pub fn mount(vfs: &Arc<Vfs>, lower: Mounted, upper: Mounted) -> Result<Mounted, Errno> {
    if lower.1.file_type() != FileType::Directory || upper.1.file_type() != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    let attr = lower.1.attr()?;
    upper.1.set_attr(&SetAttr {
        mode: Some(attr.permissions()),
        uid: Some(attr.uid),
        gid: Some(attr.gid),
        size: None,
        atime: Some(SetTime::At(attr.atime)),
        mtime: Some(SetTime::At(attr.mtime)),
    })?;
    let layer =
        |(fs, root): Mounted, name| Layer { root: root.clone(), mount: vfs.kernel_mount((fs, root), name) };
    Overlay::make(vfs, Some(layer(upper, "upper")), vec![layer(lower, "lower")], String::new())
}

/// The same with a tmpfs for what is changed: in memory, of which it may take half, or with the data of files in `store`, of which
/// there is as much as its disk has room for. At most `size` bytes where that is given.
pub fn over_tmpfs(
    vfs: &Arc<Vfs>,
    memory: &Arc<mem::MemoryFile>,
    store: Option<Arc<mem::Store>>,
    size: Option<u64>,
    lower: Mounted,
) -> Result<Mounted, Errno> {
    let mut options = crate::tmpfs::Options { size, ..Default::default() };
    let (fs, root) = match store {
        Some(store) => {
            options.size = size.or(Some(0));
            crate::tmpfs::Tmpfs::stored(vfs, memory, store, &options)?
        }
        None => crate::tmpfs::Tmpfs::new(vfs, memory, "tmpfs", &options)?,
    };
    mount(vfs, lower, (fs, root))
}

/// Whether `inode` hides a name.
pub(crate) fn is_whiteout(inode: &Arc<dyn Inode>) -> Result<bool, Errno> {
    Ok(inode.file_type() == FileType::CharDevice && inode.attr()?.rdev == 0)
}

/// Whether the directory `inode` hides lower ones.
pub(crate) fn is_opaque(inode: &Arc<dyn Inode>) -> bool {
    inode.get_xattr(OPAQUE).is_ok_and(|v| v == b"y")
}

/// Puts a whiteout into a directory of the upper tree.
pub(crate) fn hide(dir: &Arc<dyn Inode>, name: &[u8]) -> Result<(), Errno> {
    let new = NewNode { kind: NewKind::CharDevice(0), mode: 0, uid: vfs::Uid::ROOT, gid: vfs::Gid::ROOT };
    dir.create(name, &new).map(|_| ())
}

fn address(inode: &Arc<dyn Inode>) -> usize {
    Arc::as_ptr(inode).cast::<()>() as usize
}

impl Overlay {
    fn make(
        vfs: &Arc<Vfs>,
        upper: Option<Layer>,
        lower: Vec<Layer>,
        options: String,
    ) -> Result<Mounted, Errno> {
        let below = upper.iter().chain(&lower).filter_map(|l| {
            let fs = l.root.as_any().downcast_ref::<OverlayInode>()?.overlay();
            Some(fs.depth)
        });
        let depth = below.max().unwrap_or(0) + 1;
        if depth > DEPTH_MAX {
            return Err(Errno::EINVAL);
        }
        let dev = vfs.new_dev();
        let first = lower.first().ok_or(Errno::EINVAL)?.root.attr()?.dev;
        let fs = Arc::new(Overlay {
            dev,
            vfs: Arc::downgrade(vfs),
            depth,
            options,
            cred: Credentials::root(UserNamespace::initial()),
            change: Mutex::new(rank::OVERLAY, ()),
            inodes: Mutex::new(rank::GOFER_CLOSES, HashMap::new()),
            devices: Mutex::new(rank::LEAF, vec![(first, dev)]),
            upper,
            lower,
        });
        let root = OverlayInode::root(&fs)?;
        Ok((fs, root))
    }

    /// Our number for the device of a lower file.
    fn device(&self, lower: u64) -> u64 {
        let mut devices = self.devices.lock();
        if let Some((_, ours)) = devices.iter().find(|(theirs, _)| *theirs == lower) {
            return *ours;
        }
        let ours = self.vfs.upgrade().map_or(self.dev, |vfs| vfs.new_dev());
        devices.push((lower, ours));
        ours
    }

    /// Opens a file of a layer, beside whoever has it open here.
    fn open_in(&self, layer: &Layer, inode: &Arc<dyn Inode>, flags: OpenFlags) -> Result<Arc<File>, Errno> {
        let path = Vfs::detached_path(&layer.mount, "overlay", inode.clone());
        let request = OpenRequest { flags, cred: &self.cred, path: &path, created: false };
        let ops = inode.clone().open(&request)?;
        Ok(File::new(path, flags, self.cred.clone(), ops))
    }

    fn open_lower(&self, lower: &LowerInode, flags: OpenFlags) -> Result<Arc<File>, Errno> {
        self.open_in(self.lower.get(lower.layer).ok_or(Errno::EIO)?, &lower.inode, flags)
    }

    fn open_upper(&self, upper: &Arc<dyn Inode>, flags: OpenFlags) -> Result<Arc<File>, Errno> {
        self.open_in(self.upper.as_ref().ok_or(Errno::EROFS)?, upper, flags)
    }
}

impl FileSystem for Overlay {
    fn name(&self) -> &'static str {
        "overlay"
    }
    fn statfs(&self) -> Result<Statfs, Errno> {
        let layer = self.upper.as_ref().or(self.lower.first()).ok_or(Errno::EIO)?;
        Ok(Statfs { f_type: OVERLAYFS_SUPER_MAGIC, ..layer.root.fs().statfs()? })
    }
    fn dev(&self) -> u64 {
        self.dev
    }
    fn options(&self) -> String {
        self.options.clone()
    }
    fn read_only(&self) -> bool {
        self.upper.as_ref().is_none_or(|u| u.root.fs().read_only())
    }
    fn sync(&self) -> Result<(), Errno> {
        self.upper.as_ref().map_or(Ok(()), |u| u.root.fs().sync())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
