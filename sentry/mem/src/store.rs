//! A store: pages in a host file that the sandbox was given, for files whose data is to be on a disk and not in memory.
//!
//! It is to such files what the memory file is to others: pages are counted, and what loses its last reference becomes a hole.
//! The sentry does not map it. A disk can be full, and a store to a mapping would kill the sentry then; reads and
//! writes say `ENOSPC`. Applications map it all the same: whoever stores to a page that the disk has no room for gets `SIGBUS`,
//! as on Linux.
//!
//! **Lock order:** [`rank::MEMORY_FILE`], as the memory file's: never both.

use crate::{
    PAGE_SIZE, VolatileSlice,
    alloc::{Alloc, Hint},
};
use abi::Errno;
use host::io::RwFlags;
use ksync::{Mutex, rank};
use std::{
    ops::Range,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
};

/// Sizes to try, largest first: not every file system has files of 1 TiB. Holes take nothing.
const SIZES: [u64; 4] = [1 << 40, 1 << 37, 1 << 34, 1 << 31];

/// A host file full of pages.
pub struct Store {
    fd: OwnedFd,
    alloc: Mutex<Alloc>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("fd", &self.fd).finish_non_exhaustive()
    }
}

impl Store {
    /// An empty store in `fd`, an empty file that is open for reading and writing and that nobody else uses.
    pub fn new(fd: OwnedFd) -> Result<Self, Errno> {
        let mut refused = Errno::EFBIG;
        for size in SIZES {
            match host::memfd::set_len(fd.as_fd(), size) {
                Ok(()) => return Ok(Self { fd, alloc: Mutex::new(rank::MEMORY_FILE, Alloc::new(size)) }),
                Err(e) => refused = Errno::from_host(e as i32),
            }
        }
        Err(refused)
    }

    /// The file, as [`platform::Change::Map`] takes it.
    pub fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// The file.
    pub fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// A range of `len` bytes (a page multiple) of zeros with one reference; where. `ENOSPC`.
    pub fn allocate(&self, len: u64, hint: Hint) -> Result<u64, Errno> {
        if len == 0 || !len.is_multiple_of(PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        let mut alloc = self.alloc.lock();
        let (start, _) = alloc.take(len, hint).ok_or(Errno::ENOSPC)?;
        alloc.refs.insert(start..start + len, 1);
        alloc.used_bytes += len;
        Ok(start)
    }

    /// One more reference for each page of `range`, which is in use.
    pub fn retain(&self, range: Range<u64>) {
        self.alloc.lock().retain(range);
    }

    /// One reference less for each page of `range`; pages without any go back to the disk.
    pub fn release(&self, range: Range<u64>) {
        let freed = self.alloc.lock().release(range);
        // Zeros before anybody else can be given the pages; where that fails nobody ever is.
        let zeros: Vec<bool> = freed.iter().map(|part| self.zero(part.clone()).is_ok()).collect();
        let mut alloc = self.alloc.lock();
        for (part, zeros) in freed.into_iter().zip(zeros) {
            alloc.used_bytes -= part.end - part.start;
            if zeros {
                alloc.free.add(part);
            }
        }
    }

    /// Makes the disk provide the pages of `range`, which stay what they are. `ENOSPC`.
    pub fn reserve(&self, range: Range<u64>) -> Result<(), Errno> {
        match host::memfd::fallocate(
            self.fd.as_fd(),
            libc::FALLOC_FL_KEEP_SIZE,
            range.start,
            range.end - range.start,
        ) {
            Err(host::HostErrno::ENOSPC | host::HostErrno::EDQUOT) => Err(Errno::ENOSPC),
            // What cannot be reserved is there when it is needed, or is not.
            _ => Ok(()),
        }
    }

    /// Zeroes `range`: whole pages become a hole.
    pub fn zero(&self, range: Range<u64>) -> Result<(), Errno> {
        let len = range.end.saturating_sub(range.start);
        let pages = range.start.is_multiple_of(PAGE_SIZE) && len.is_multiple_of(PAGE_SIZE);
        if pages && host::memfd::punch_hole(self.fd.as_fd(), range.start, len).is_ok() {
            return Ok(());
        }
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        let mut at = range.start;
        while at < range.end {
            let step = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(ZEROS.len());
            match host::io::write_at(self.fd.as_fd(), ZEROS.get(..step).unwrap_or_default(), at) {
                Ok(0) => return Err(Errno::EIO),
                Ok(n) => at += n as u64,
                Err(e) => return Err(Errno::from_host(e as i32)),
            }
        }
        Ok(())
    }

    /// Reads all of `piece` from `at` on.
    pub fn read(&self, at: u64, piece: &VolatileSlice<'_>) -> Result<(), Errno> {
        let mut done = 0;
        while done < piece.len() {
            let rest = piece.offset(done).map_err(|_| Errno::EFAULT)?;
            match crate::host::read(self.fd.as_fd(), &rest, Some(at + done as u64), RwFlags::empty())? {
                0 => return Err(Errno::EIO),
                n => done += n,
            }
        }
        Ok(())
    }

    /// Writes `piece` to `at` on, or as much of it as there is room for; how much. `ENOSPC` only if nothing.
    pub fn write(&self, at: u64, piece: &VolatileSlice<'_>) -> Result<usize, Errno> {
        let mut done = 0;
        while done < piece.len() {
            let rest = piece.offset(done).map_err(|_| Errno::EFAULT)?;
            match crate::host::write(self.fd.as_fd(), &rest, Some(at + done as u64), RwFlags::empty()) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if done == 0 => return Err(e),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Bytes handed out.
    pub fn used_bytes(&self) -> u64 {
        self.alloc.lock().used_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_come_back_as_zeros_and_take_no_room() {
        let store = Store::new(host::memfd::create(c"store", false).unwrap()).unwrap();
        let blocks = || host::memfd::resident_bytes(store.fd().as_fd()).unwrap();
        let at = store.allocate(3 * PAGE_SIZE, Hint::Up).unwrap();
        let mut bytes = [7u8; 8192];
        store.write(at, &VolatileSlice::from(&mut bytes[..])).unwrap();
        assert_eq!(blocks(), 8192);
        store.retain(at..at + PAGE_SIZE);
        store.release(at..at + 3 * PAGE_SIZE);
        assert_eq!((store.used_bytes(), blocks()), (PAGE_SIZE, PAGE_SIZE));
        store.release(at..at + PAGE_SIZE);
        assert_eq!((store.used_bytes(), blocks()), (0, 0));
        let at = store.allocate(PAGE_SIZE, Hint::Up).unwrap();
        store.read(at, &VolatileSlice::from(&mut bytes[..4096])).unwrap();
        assert!(bytes.iter().take(4096).all(|b| *b == 0));
        store.reserve(at..at + PAGE_SIZE).unwrap();
        store.zero(at + 1..at + 5).unwrap();
        assert_eq!(blocks(), PAGE_SIZE);
        assert_eq!(store.allocate(1 << 41, Hint::Up), Err(Errno::ENOSPC));
        assert!(Store::new(std::fs::File::open("/dev/null").unwrap().into()).is_err());
    }
}
