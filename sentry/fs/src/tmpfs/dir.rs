//! Directories of tmpfs: their entries, and reading them.
//!
//! An entry gets a position when it is made and keeps it, so that whoever reads a directory while it changes sees what was
//! there all the time exactly once. The newest comes first, as on Linux: `d_off` of an entry is its own position, behind
//! which the older ones follow.

use super::TmpfsInode;
use abi::Errno;
use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    sync::{Arc, Weak},
};
use vfs::{DirEntry, DirSink, File, FileOps, Inode, file::Seek};

/// Where entries start: `.` and `..` come before. Positions of entries are greater.
const FIRST: u64 = 2;

/// What `st_size` counts for an entry, as Linux does.
const SHOWN_SIZE: u64 = 20;

#[derive(Default)]
pub(super) struct Dir {
    by_name: HashMap<Arc<[u8]>, (u64, Arc<TmpfsInode>)>,
    by_position: BTreeMap<u64, Arc<[u8]>>,
    last: u64,
    parent: Weak<TmpfsInode>,
}

impl Dir {
    pub fn get(&self, name: &[u8]) -> Option<Arc<TmpfsInode>> {
        self.by_name.get(name).map(|(_, inode)| inode.clone())
    }

    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub fn shown_size(&self) -> u64 {
        (self.by_name.len() as u64 + 2) * SHOWN_SIZE
    }

    pub fn set_parent(&mut self, parent: &Weak<TmpfsInode>) {
        self.parent = parent.clone();
    }

    pub fn insert(&mut self, name: &[u8], inode: Arc<TmpfsInode>) -> Result<(), Errno> {
        if self.by_name.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        let name: Arc<[u8]> = name.into();
        self.last = self.last.max(FIRST) + 1;
        self.by_position.insert(self.last, name.clone());
        self.by_name.insert(name, (self.last, inode));
        Ok(())
    }

    pub fn remove(&mut self, name: &[u8]) -> Option<Arc<TmpfsInode>> {
        let (position, inode) = self.by_name.remove(name)?;
        self.by_position.remove(&position);
        Some(inode)
    }

    pub fn take_all(&mut self) -> Vec<Arc<TmpfsInode>> {
        self.by_position.clear();
        std::mem::take(&mut self.by_name).into_values().map(|(_, inode)| inode).collect()
    }

    /// Up to `max` entries older than that at `position`, of all if that is [`FIRST`].
    fn batch(&self, position: u64, max: usize) -> Vec<(u64, Arc<[u8]>, Arc<TmpfsInode>)> {
        let entry =
            |(at, name): (&u64, &Arc<[u8]>)| Some((*at, name.clone(), self.by_name.get(name)?.1.clone()));
        let below = if position == FIRST { u64::MAX } else { position };
        self.by_position.range(..below).rev().take(max).filter_map(entry).collect()
    }
}

/// An open directory.
pub(super) struct TmpfsDir(Arc<TmpfsInode>);

impl TmpfsDir {
    pub fn new(inode: Arc<TmpfsInode>) -> Self {
        Self(inode)
    }
}

impl FileOps for TmpfsDir {
    fn read(&self, _: &File, _: &mut mem::IoDst<'_>) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }
    fn read_at(&self, _: &File, _: u64, _: &mut mem::IoDst<'_>) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }
    fn read_dir(&self, file: &File, pos: &mut u64, sink: &mut DirSink<'_>) -> Result<(), Errno> {
        let inode = &self.0;
        if file.path().dentry().is_unlinked() {
            return Err(Errno::ENOENT);
        }
        vfs::ops::accessed(file);
        while *pos < FIRST {
            let (name, ino): (&[u8], _) = if *pos == 0 {
                (b".", inode.ino())
            } else {
                (b"..", inode.meta.lock().dir.parent.upgrade().map_or(inode.ino(), |p| p.ino()))
            };
            let kind = Some(abi::FileType::Directory);
            if !sink(DirEntry { ino, next: *pos + 1, kind, name }) {
                return Ok(());
            }
            *pos += 1;
        }
        loop {
            // In batches, since the sink copies to application memory and must not do so under a lock.
            let batch = inode.meta.lock().dir.batch(*pos, 64);
            if batch.is_empty() {
                return Ok(());
            }
            for (at, name, entry) in batch {
                let shown =
                    DirEntry { ino: entry.ino(), next: at, kind: Some(entry.file_type()), name: &name };
                if !sink(shown) {
                    return Ok(());
                }
                *pos = at;
            }
        }
    }
    fn seek(&self, file: &File, to: Seek) -> Result<u64, Errno> {
        // There is no end that more entries would not change.
        let mut pos = file.pos.lock();
        let new = match to {
            Seek::Set(n) => Some(n),
            Seek::Cur(n) => i64::try_from(*pos).ok().and_then(|p| p.checked_add(n)),
            _ => None,
        };
        *pos = new.and_then(|n| u64::try_from(n).ok()).ok_or(Errno::EINVAL)?;
        Ok(*pos)
    }
    fn fsync(&self, _: &File, _: bool) -> Result<(), Errno> {
        Ok(()) // there is no storage behind it
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
