//! What a futex word is known by.

use crate::{AddressSpace, area::Area};
use abi::Errno;
use std::ops::Range;

/// Identity of a futex word: equal for all addresses at which the same word can be seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FutexKey {
    /// A word of one address space.
    Private {
        /// [`AddressSpace::id`].
        mm: u64,
        /// Where.
        addr: u64,
    },
    /// A word of a shared object.
    Shared {
        /// The object, for as long as anybody maps it.
        object: usize,
        /// Offset in the object.
        offset: u64,
    },
}

impl AddressSpace {
    /// The key of the word at `addr`. `EINVAL` unless aligned; `EFAULT` where a shared word is asked for and nothing is or may
    /// be touched.
    pub fn futex_key(&self, addr: u64, private: bool) -> Result<FutexKey, Errno> {
        if !addr.is_multiple_of(4) {
            return Err(Errno::EINVAL);
        }
        if private {
            return Ok(FutexKey::Private { mm: self.core.id, addr });
        }
        let state = self.core.state.read();
        let (range, area): (Range<u64>, &Area) = state.areas.get(addr).ok_or(Errno::EFAULT)?;
        // A key is made of the page behind the word, so that there has to be one that may be touched.
        if area.access().is_empty() {
            return Err(Errno::EFAULT);
        }
        match &area.object {
            // Of a private file mapping nobody else sees the word either once it is stored to.
            Some(object) if area.shared() => {
                Ok(FutexKey::Shared { object: object.identity(), offset: area.offset + (addr - range.start) })
            }
            _ => Ok(FutexKey::Private { mm: self.core.id, addr }),
        }
    }
}
