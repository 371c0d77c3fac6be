//! Open directories: listings in parts of 64 KiB, kept while the directory is open so that positions stay what they are.

use super::GoferInode;
use abi::{Errno, stat::FileType};
use gofer_client::ListFlags;
use ksync::{Mutex, rank};
use std::{any::Any, sync::Arc};
use vfs::{DirEntry, DirSink, File, FileOps};

struct Entry {
    name: Box<[u8]>,
    ino: u64,
    kind: Option<FileType>,
}

#[derive(Default)]
struct Listing {
    entries: Vec<Entry>,
    /// Where the gofer goes on.
    next: u64,
    end: bool,
}

/// An open directory.
pub struct DirFile {
    inode: Arc<GoferInode>,
    /// Read and added to by one at a time, over round trips.
    listing: Mutex<Listing>,
}

impl DirFile {
    pub fn new(inode: Arc<GoferInode>) -> Self {
        Self { inode, listing: Mutex::new(rank::INODE, Listing::default()) }
    }

    fn fetch(&self, listing: &mut Listing) -> Result<(), Errno> {
        let client = self.inode.fs.client();
        let part = client.read_dir(self.inode.walk_node(), listing.next, ListFlags::WATCH)?;
        if part.watched {
            self.inode.now_watched();
        }
        listing.end = part.end || part.entries.is_empty();
        let names = part.entries.iter().map(|e| e.name.as_slice().into()).collect();
        self.inode.was_listed(names, listing.entries.is_empty());
        listing.next = part.entries.last().map_or(listing.next, |e| e.next);
        listing.entries.extend(part.entries.into_iter().map(|e| Entry {
            name: e.name.into(),
            ino: e.ino,
            kind: FileType::from_dt(e.kind),
        }));
        Ok(())
    }
}

impl FileOps for DirFile {
    fn read_dir(&self, file: &File, pos: &mut u64, sink: &mut DirSink<'_>) -> Result<(), Errno> {
        // Positions: 0 is ".", 1 is "..", then the entries in the order in which they came.
        const DOTS: u64 = 2;
        if *pos == 0 {
            *self.listing.lock() = Listing::default();
        }
        while *pos < DOTS {
            let ino = match *pos {
                0 => self.inode.key.1,
                _ => match file.path().dentry().parent() {
                    Some(parent) => parent.inode()?.attr()?.ino,
                    None => self.inode.key.1,
                },
            };
            let name: &[u8] = if *pos == 0 { b"." } else { b".." };
            if !sink(DirEntry { ino, next: *pos + 1, kind: Some(FileType::Directory), name }) {
                return Ok(());
            }
            *pos += 1;
        }
        let mut listing = self.listing.lock();
        loop {
            let at = usize::try_from(*pos - DOTS).map_err(|_| Errno::EINVAL)?;
            let Some(entry) = listing.entries.get(at) else {
                if listing.end {
                    return Ok(());
                }
                self.fetch(&mut listing)?;
                continue;
            };
            if !sink(DirEntry { ino: entry.ino, next: *pos + 1, kind: entry.kind, name: &entry.name }) {
                return Ok(());
            }
            *pos += 1;
        }
    }
    fn fsync(&self, _: &File, data_only: bool) -> Result<(), Errno> {
        self.inode.fs.client().fsync(self.inode.node(), data_only)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
