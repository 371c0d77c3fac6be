//! Directories of the union: finding lower parts, and listing all of them as one.

use super::{LowerInode, Lowers, Overlay, OverlayInode, is_opaque, is_whiteout};
use abi::{Errno, fcntl::OpenFlags, stat::FileType};
use ksync::{Mutex, rank};
use std::{any::Any, collections::HashSet, sync::Arc};
use vfs::{DirEntry, DirSink, File, FileOps, Inode};

/// A name and what is told of it.
pub(super) struct Entry {
    pub name: Box<[u8]>,
    ino: u64,
    kind: Option<FileType>,
}

/// What is at `name` of the lower parts of a directory; with `dirs` only directories.
pub(super) fn lowers_of(parts: &Lowers, name: &[u8], dirs: bool) -> Result<Lowers, Errno> {
    let mut found = Lowers::new();
    for part in parts {
        let inode = match part.inode.lookup(name) {
            Ok(inode) => inode,
            Err(Errno::ENOENT) => continue,
            Err(e) => return Err(e),
        };
        if is_whiteout(&inode)? {
            break;
        }
        let is_dir = inode.file_type() == FileType::Directory;
        if !is_dir && (dirs || !found.is_empty()) {
            break;
        }
        let last = !is_dir || (parts.len() > 1 && is_opaque(&inode));
        found.push(LowerInode { inode, layer: part.layer });
        if last {
            break;
        }
    }
    Ok(found)
}

fn list(file: &File) -> Result<Vec<Entry>, Errno> {
    let (mut pos, mut entries) = (0, Vec::new());
    loop {
        let before = pos;
        file.ops().read_dir(file, &mut pos, &mut |e| {
            if e.name != b"." && e.name != b".." {
                entries.push(Entry { name: e.name.into(), ino: e.ino, kind: e.kind });
            }
            true
        })?;
        if pos == before {
            return Ok(entries);
        }
    }
}

const LIST: OpenFlags = OpenFlags::DIRECTORY;

impl Overlay {
    /// Lower directories at `path` from the roots of the layers.
    pub(super) fn lowers_at(&self, path: &[u8]) -> Result<Lowers, Errno> {
        let layers = (0..).zip(&self.lower);
        let mut parts: Lowers =
            layers.map(|(layer, l)| LowerInode { inode: l.root.clone(), layer }).collect();
        for name in path.split(|b| *b == b'/').filter(|n| !n.is_empty()) {
            parts = lowers_of(&parts, name, true)?;
        }
        Ok(parts)
    }

    /// What is in a directory of the upper tree, whiteouts too.
    pub(super) fn list_upper(&self, dir: &Arc<dyn Inode>) -> Result<Vec<Entry>, Errno> {
        list(&*self.open_upper(dir, LIST)?)
    }
}

impl OverlayInode {
    /// What is in a directory of the union.
    pub(super) fn entries(&self) -> Result<Vec<Entry>, Errno> {
        let mut all: Vec<Entry> = Vec::new();
        // Names that lower parts do not add any more.
        let mut seen: HashSet<Box<[u8]>> = HashSet::new();
        let parts = self.lowers.len() + usize::from(self.upper.get().is_some());
        if let Some(upper) = self.upper.get() {
            for mut entry in self.fs.list_upper(upper)? {
                // It may have gone meanwhile.
                let Ok(there) = upper.lookup(&entry.name) else { continue };
                if parts > 1 {
                    seen.insert(entry.name.clone());
                }
                if !is_whiteout(&there)? {
                    entry.ino = self.fs.upper_id(&there)?.1;
                    all.push(entry);
                }
            }
        }
        for (i, lower) in self.lowers.iter().enumerate() {
            let last = i + 1 == self.lowers.len();
            for entry in list(&*self.fs.open_lower(lower, LIST)?)? {
                if seen.contains(&entry.name) {
                    continue;
                }
                if !last {
                    seen.insert(entry.name.clone());
                }
                let device = matches!(entry.kind, Some(FileType::CharDevice) | None);
                let hides = device
                    && match lower.inode.lookup(&entry.name) {
                        Ok(there) => is_whiteout(&there)?,
                        Err(_) => true,
                    };
                if !hides {
                    all.push(entry);
                }
            }
        }
        Ok(all)
    }
}

/// An open directory: what was in it when it was read from the start.
pub(super) struct DirFile {
    inode: Arc<OverlayInode>,
    entries: Mutex<Arc<Vec<Entry>>>,
    read: std::sync::atomic::AtomicBool,
}

impl DirFile {
    pub fn new(inode: Arc<OverlayInode>) -> Self {
        let entries = Mutex::new(rank::LEAF, Arc::new(Vec::new()));
        Self { inode, entries, read: false.into() }
    }
}

impl FileOps for DirFile {
    fn read_dir(&self, file: &File, pos: &mut u64, sink: &mut DirSink<'_>) -> Result<(), Errno> {
        use std::sync::atomic::Ordering;
        // Positions: 0 is ".", 1 is "..", then the entries.
        const DOTS: u64 = 2;
        if *pos == 0 || !self.read.swap(true, Ordering::AcqRel) {
            let fresh = Arc::new(self.inode.entries()?);
            let old = std::mem::replace(&mut *self.entries.lock(), fresh);
            drop(old);
        }
        while *pos < DOTS {
            let ino = match (*pos, file.path().dentry().parent()) {
                (1, Some(parent)) => parent.inode()?.attr()?.ino,
                _ => self.inode.attr()?.ino,
            };
            let name: &[u8] = if *pos == 0 { b"." } else { b".." };
            if !sink(DirEntry { ino, next: *pos + 1, kind: Some(FileType::Directory), name }) {
                return Ok(());
            }
            *pos += 1;
        }
        let entries = self.entries.lock().clone();
        let from = usize::try_from(*pos - DOTS).map_err(|_| Errno::EINVAL)?;
        for entry in entries.iter().skip(from) {
            if !sink(DirEntry { ino: entry.ino, next: *pos + 1, kind: entry.kind, name: &entry.name }) {
                return Ok(());
            }
            *pos += 1;
        }
        Ok(())
    }
    fn fsync(&self, _: &File, data_only: bool) -> Result<(), Errno> {
        match self.inode.upper.get() {
            Some(upper) => {
                let real = self.inode.fs.open_upper(upper, LIST)?;
                real.ops().fsync(&real, data_only)
            }
            None => Ok(()),
        }
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
