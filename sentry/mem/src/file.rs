//! The memory file: one memfd behind all application memory, mapped whole into the sentry.
//!
//! Pages are counted: an area, a shared object or a forked copy each hold one reference. A page whose last
//! reference goes is cleared and handed out again: touching a page that the host already holds costs a third less than one
//! that it has to make, and a sixth where it is mapped ahead of use. Only so many are kept; the rest go back to the
//! host (a hole), as do all of them with [`MemoryFile::trim`].
//! **Lock order:** [`rank::MEMORY_FILE`].

use crate::{
    PAGE_SIZE, VolatileSlice,
    alloc::{Alloc, Hint},
};
use abi::Errno;
use ksync::{Mutex, rank};
use std::{
    ops::Range,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    ptr::NonNull,
};

/// Size of the file: address space only, since holes take no memory. 1 TiB.
const SIZE: u64 = 1 << 40;

/// Bytes of cleared pages that are kept.
const WARM_MAX: u64 = 4 << 20;
/// Cleared pages are kept in runs of at least this size, so that they fit somebody.
const WARM_MIN: u64 = 4 * PAGE_SIZE;
/// All application memory of a sandbox.
pub struct MemoryFile {
    fd: OwnedFd,
    base: NonNull<u8>,
    alloc: Mutex<Alloc>,
    limit_bytes: u64,
    /// Memory that the machine has, as applications see it.
    machine_bytes: u64,
}

// SAFETY: `base` is a mapping that lives as long as the value and is only handed out as volatile slices.
unsafe impl Send for MemoryFile {}
// SAFETY: as above; all bookkeeping is behind a lock.
unsafe impl Sync for MemoryFile {}

impl MemoryFile {
    /// A new, empty file of which at most `limit_bytes` may be in use.
    pub fn new(limit_bytes: u64) -> std::io::Result<Self> {
        // SAFETY: the name is a NUL-terminated literal.
        let raw = unsafe { libc::memfd_create(c"runsc-rs-memory".as_ptr(), libc::MFD_CLOEXEC) };
        if raw < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: `raw` was just opened and is nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        // SAFETY: a plain call on a descriptor that we own.
        if unsafe { libc::ftruncate(fd.as_raw_fd(), SIZE as libc::off_t) } != 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: a new mapping at an address of the host's choice; it aliases nothing in Rust's view.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                SIZE as usize,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_NORESERVE,
                fd.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(std::io::ErrorKind::OutOfMemory)?;
        Ok(Self {
            fd,
            base,
            alloc: Mutex::new(rank::MEMORY_FILE, Alloc::new(SIZE)),
            limit_bytes,
            machine_bytes: limit_bytes,
        })
    }

    /// The descriptor, as [`platform::Change::Map`] takes it.
    pub fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// The descriptor.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// A range of `len` bytes (a page multiple) of zeros with one reference; where. `ENOMEM`.
    pub fn allocate(&self, len: u64) -> Result<u64, Errno> {
        self.allocate_hint(len, Hint::Up)
    }

    /// The same, at a place that suits the caller if there is one.
    pub fn allocate_hint(&self, len: u64, hint: Hint) -> Result<u64, Errno> {
        self.allocate_noting(len, hint).map(|(at, _)| at)
    }

    /// The same; also says whether the host holds the pages, so that mapping them ahead of use costs next to nothing.
    pub fn allocate_noting(&self, len: u64, hint: Hint) -> Result<(u64, bool), Errno> {
        if len == 0 || !len.is_multiple_of(PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        let mut alloc = self.alloc.lock();
        let used =
            alloc.used_bytes.checked_add(len).filter(|u| *u <= self.limit_bytes).ok_or(Errno::ENOMEM)?;
        let (start, warm) = alloc.take(len, hint).ok_or(Errno::ENOMEM)?;
        alloc.refs.insert(start..start + len, 1);
        alloc.used_bytes = used;
        Ok((start, warm))
    }

    /// One more reference for each page of `range`, which is in use.
    pub fn retain(&self, range: Range<u64>) {
        self.alloc.lock().retain(range);
    }

    /// One reference less for each page of `range`; pages without any go back to the host.
    pub fn release(&self, range: Range<u64>) {
        let mut alloc = self.alloc.lock();
        let freed = alloc.release(range);
        let mut room = WARM_MAX.saturating_sub(alloc.warm_bytes);
        drop(alloc);
        if freed.is_empty() {
            return;
        }
        // Cleared before anybody else can be given the pages: they are neither in use nor free meanwhile.
        let mut warm = Vec::new();
        let mut cold = Vec::new();
        for part in &freed {
            let mut at = part.start;
            for data in self.data(part.clone()) {
                let len = data.end - data.start;
                if len >= WARM_MIN && len <= room && self.clear(data.clone()) {
                    room -= len;
                    cold.push(at..data.start);
                    at = data.end;
                    warm.push(data);
                }
            }
            cold.push(at..part.end);
        }
        cold.retain(|r| !r.is_empty());
        for part in &cold {
            self.punch(part.clone());
        }
        let mut alloc = self.alloc.lock();
        for part in freed {
            alloc.used_bytes -= part.end - part.start;
        }
        for part in warm {
            alloc.warm_bytes += part.end - part.start;
            alloc.warm.add(part);
        }
        for part in cold {
            alloc.free.add(part);
        }
    }

    /// Gives cleared pages that were kept for later back to the host (the sandbox is idle, or short of memory).
    pub fn trim(&self) {
        let mut alloc = self.alloc.lock();
        alloc.warm_bytes = 0;
        let warm = alloc.warm.take_all();
        drop(alloc);
        for part in &warm {
            self.punch(part.clone());
        }
        let mut alloc = self.alloc.lock();
        for part in warm {
            alloc.free.add(part);
        }
    }

    /// Bytes of cleared pages that are kept for later: part of [`resident_bytes`](Self::resident_bytes), but nobody's.
    pub fn kept_bytes(&self) -> u64 {
        self.alloc.lock().warm_bytes
    }

    /// Zeroes `range` without giving it back; whether that was possible.
    fn clear(&self, range: Range<u64>) -> bool {
        const STEP: u64 = 64 << 10;
        static ZEROS: [u8; STEP as usize] = [0; STEP as usize];
        let mut at = range.start;
        while at < range.end {
            // Through the descriptor: the sentry's own mapping of the page need not be there.
            let len = (range.end - at).min(STEP) as usize;
            match host::io::write_at(self.fd(), ZEROS.get(..len).unwrap_or_default(), at) {
                Ok(n) if n > 0 => at += n as u64,
                _ => return false,
            }
        }
        true
    }

    /// Whether every page of `range` has exactly one reference.
    pub fn is_sole(&self, range: Range<u64>) -> bool {
        let alloc = self.alloc.lock();
        alloc.refs.overlapping(range).all(|(_, refs)| *refs == 1)
    }

    /// How far, from the start of `range`, pages have exactly one reference (`true`) or more (`false`).
    pub fn sole_prefix(&self, range: Range<u64>) -> (bool, u64) {
        let alloc = self.alloc.lock();
        let mut sole = None;
        for (r, refs) in alloc.refs.overlapping(range.clone()) {
            let one = *refs == 1;
            if *sole.get_or_insert(one) != one {
                return (!one, r.start.max(range.start) - range.start);
            }
        }
        (sole.unwrap_or(false), range.end - range.start)
    }

    /// Zeroes `range`, giving its memory back to the host, and keeps it in use.
    pub fn discard(&self, range: Range<u64>) {
        self.punch(range);
    }

    fn punch(&self, range: Range<u64>) {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: a plain call on our descriptor; the mapping stays valid and reads zeros.
        let done = unsafe {
            libc::fallocate(
                self.fd.as_raw_fd(),
                mode,
                range.start as libc::off_t,
                (range.end - range.start) as libc::off_t,
            )
        };
        if done != 0 {
            // No hole: the pages must still not leak to their next owner.
            log::error!("fallocate: {}; clearing by hand", std::io::Error::last_os_error());
            let zeros = [0u8; PAGE_SIZE as usize];
            for page in range.step_by(PAGE_SIZE as usize) {
                if let Ok(slice) = self.slice(page, PAGE_SIZE as usize) {
                    slice.copy_from(&zeros);
                }
            }
        }
    }

    /// `len` bytes at `offset`, which application code may change at any time. `EFAULT` outside the file.
    pub fn slice(&self, offset: u64, len: usize) -> Result<VolatileSlice<'_>, Errno> {
        let end = offset.checked_add(len as u64).ok_or(Errno::EFAULT)?;
        if end > SIZE {
            return Err(Errno::EFAULT);
        }
        // SAFETY: `offset` is within the mapping.
        let start = unsafe { self.base.as_ptr().add(offset as usize) };
        // SAFETY: the whole range is mapped for as long as `self` lives, and is only accessed volatilely.
        Ok(unsafe { VolatileSlice::new(start, len) })
    }

    /// Copies `len` bytes within the file (pages of a fork that are broken apart) to where zeros are, skipping what
    /// was never touched.
    pub fn copy(&self, from: u64, to: u64, len: u64) -> Result<(), Errno> {
        for part in self.data(from..from.saturating_add(len)) {
            let bytes = usize::try_from(part.end - part.start).map_err(|_| Errno::EFAULT)?;
            let source = self.slice(part.start, bytes)?;
            source.copy_to_volatile_slice(self.slice(to + (part.start - from), bytes)?);
        }
        Ok(())
    }

    /// Reads up to `len` bytes of the host file `fd` from `fd_offset` to `offset`; how many there were.
    pub fn fill_from(
        &self,
        fd: BorrowedFd<'_>,
        fd_offset: u64,
        offset: u64,
        len: usize,
    ) -> Result<usize, host::HostErrno> {
        let target = self.slice(offset, len).map_err(|_| host::HostErrno::EFAULT)?;
        let guard = target.ptr_guard_mut();
        let mut done = 0;
        while done < len {
            let piece = host::io::RawSlice::new(guard.as_ptr().wrapping_add(done), len - done);
            let at = fd_offset.checked_add(done as u64).ok_or(host::HostErrno::EINVAL)?;
            // SAFETY: the piece lies in `target`, which is mapped writable and to which no Rust reference exists.
            match unsafe { host::io::read_raw(fd, &[piece], Some(at), host::io::RwFlags::empty()) }? {
                0 => break,
                n => done += n,
            }
        }
        Ok(done)
    }

    /// The parts of `range` that hold data: the rest was never touched, and reads as zeros.
    pub fn data(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let mut at = range.start;
        std::iter::from_fn(move || {
            if at >= range.end {
                return None;
            }
            // An error (there is none that the file could give) counts as data: always right, only slower.
            let start = host::memfd::next_data(self.fd(), at).unwrap_or(Some(at))?.max(at);
            if start >= range.end {
                at = range.end;
                return None;
            }
            let end = host::memfd::next_hole(self.fd(), start).ok().flatten().unwrap_or(range.end);
            at = end.min(range.end);
            Some(start..at)
        })
    }

    /// Bytes of host memory that `range` takes.
    pub fn resident_in(&self, range: Range<u64>) -> u64 {
        self.data(range).map(|r| r.end - r.start).sum()
    }

    /// Makes the host provide the pages of `range` now. `ENOMEM`.
    pub fn populate(&self, range: Range<u64>) -> Result<(), Errno> {
        // SAFETY: advice about a part of our own mapping (clipped by `slice`) that changes no byte of it.
        let done = unsafe {
            let slice = self.slice(range.start, (range.end - range.start) as usize)?;
            libc::madvise(slice.ptr_guard_mut().as_ptr().cast(), slice.len(), libc::MADV_POPULATE_WRITE)
        };
        if done == 0 { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    /// The same file for a machine with `bytes` of memory: sizes that depend on that go by it rather than by the limit,
    /// which is higher because memory that was asked for and never touched counts there.
    #[must_use]
    pub fn of_machine(mut self, bytes: u64) -> Self {
        self.machine_bytes = bytes;
        self
    }

    /// Memory of the machine; the limit unless [`of_machine`](Self::of_machine) said otherwise.
    pub fn machine_bytes(&self) -> u64 {
        self.machine_bytes
    }

    /// Bytes handed out (of which untouched pages take no memory).
    pub fn used_bytes(&self) -> u64 {
        self.alloc.lock().used_bytes
    }

    /// Bytes of host memory that the file takes.
    pub fn resident_bytes(&self) -> u64 {
        // SAFETY: all zeros is a valid `stat`.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: `stat` is ours and large enough.
        let done = unsafe { libc::fstat(self.fd.as_raw_fd(), &mut stat) };
        if done == 0 { stat.st_blocks as u64 * 512 } else { 0 }
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and slices of it cannot outlive `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), SIZE as usize) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_come_back_as_zeros_after_the_last_reference() {
        let file = MemoryFile::new(1 << 30).unwrap();
        let a = file.allocate(3 * PAGE_SIZE).unwrap();
        file.slice(a, 8192).unwrap().copy_from(&[7u8; 8192]);
        file.retain(a..a + PAGE_SIZE);
        file.release(a..a + 3 * PAGE_SIZE);
        assert_eq!(file.used_bytes(), PAGE_SIZE);
        assert!(file.is_sole(a..a + PAGE_SIZE));
        let b = file.allocate(2 * PAGE_SIZE).unwrap();
        assert_eq!(b, a + PAGE_SIZE);
        let mut bytes = [1u8; 4096];
        file.slice(b, 4096).unwrap().copy_to(&mut bytes);
        assert_eq!(bytes, [0; 4096]);
        file.release(a..a + PAGE_SIZE);
        file.release(b..b + 2 * PAGE_SIZE);
        file.trim();
        assert_eq!((file.used_bytes(), file.resident_bytes()), (0, 0));
    }

    #[test]
    fn touched_pages_are_kept_cleared() {
        let file = MemoryFile::new(1 << 30).unwrap();
        let a = file.allocate(16 * PAGE_SIZE).unwrap();
        file.slice(a, 8 * PAGE_SIZE as usize).unwrap().copy_from(&[7u8; 8 * PAGE_SIZE as usize]);
        file.release(a..a + 16 * PAGE_SIZE);
        assert_eq!((file.kept_bytes(), file.resident_bytes()), (8 * PAGE_SIZE, 8 * PAGE_SIZE));
        let (b, warm) = file.allocate_noting(5 * PAGE_SIZE, Hint::Up).unwrap();
        assert_eq!((b, warm, file.kept_bytes()), (a, true, 3 * PAGE_SIZE));
        let mut bytes = [1u8; 5 * PAGE_SIZE as usize];
        file.slice(b, bytes.len()).unwrap().copy_to(&mut bytes);
        assert!(bytes.iter().all(|b| *b == 0));
        file.trim();
        assert_eq!((file.kept_bytes(), file.resident_bytes()), (0, 5 * PAGE_SIZE));
    }

    #[test]
    fn the_limit_holds() {
        let file = MemoryFile::new(2 * PAGE_SIZE).unwrap();
        assert_eq!(file.allocate(3 * PAGE_SIZE), Err(Errno::ENOMEM));
        assert!(file.allocate(2 * PAGE_SIZE).is_ok());
    }
}
