//! Where the pages of an object are kept: the memory file or a store.

use abi::Errno;
use mem::{Backing, Hint, MemoryFile, Store, VolatileSlice};
use std::{ops::Range, sync::Arc};

/// The file that an object's pages are in.
pub(crate) enum Home {
    Memory(Arc<MemoryFile>),
    Store(Arc<Store>),
}

impl Home {
    /// Zeros with one reference. `ENOMEM`, `ENOSPC`.
    pub fn allocate(&self, len: u64, hint: Hint) -> Result<u64, Errno> {
        match self {
            Self::Memory(memory) => memory.allocate_hint(len, hint),
            Self::Store(store) => store.allocate(len, hint),
        }
    }

    /// Sees to it that a page can be stored to by a mapping: memory can. `ENOSPC`.
    pub fn reserve(&self, range: Range<u64>) -> Result<(), Errno> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Store(store) => store.reserve(range),
        }
    }

    pub fn release(&self, range: Range<u64>) {
        match self {
            Self::Memory(memory) => memory.release(range),
            Self::Store(store) => store.release(range),
        }
    }

    /// The pages of `range` for somebody who maps them, with a reference.
    pub fn backing(&self, range: Range<u64>) -> Backing {
        match self {
            Self::Memory(memory) => {
                memory.retain(range.clone());
                Backing::Memory(range.start)
            }
            Self::Store(store) => {
                store.retain(range.clone());
                Backing::Store(store.clone(), range.start)
            }
        }
    }

    /// Copies from `place` on into all of `piece`.
    pub fn read(&self, place: u64, piece: VolatileSlice<'_>) -> Result<(), Errno> {
        match self {
            Self::Memory(memory) => {
                memory.slice(place, piece.len())?.copy_to_volatile_slice(piece);
                Ok(())
            }
            Self::Store(store) => store.read(place, &piece),
        }
    }

    /// Copies `piece` to `place` on; how much of it. `ENOSPC`.
    pub fn write(&self, place: u64, piece: &VolatileSlice<'_>) -> Result<usize, Errno> {
        match self {
            Self::Memory(memory) => {
                piece.copy_to_volatile_slice(memory.slice(place, piece.len())?);
                Ok(piece.len())
            }
            Self::Store(store) => store.write(place, piece),
        }
    }

    /// Zeroes a part of a page.
    pub fn zero(&self, range: Range<u64>) {
        const ZEROS: [u8; mem::PAGE_SIZE as usize] = [0; mem::PAGE_SIZE as usize];
        let len = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0);
        let done = match self {
            Self::Memory(memory) => {
                memory.slice(range.start, len).map(|s| s.copy_from(ZEROS.get(..len).unwrap_or_default()))
            }
            Self::Store(store) => store.zero(range),
        };
        if let Err(e) = done {
            log::error!("bytes behind the end of a file could not be cleared: {}", e.message());
        }
    }
}
