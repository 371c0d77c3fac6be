//! Mappings of the sentry's own address space.
//!
//! A [`Mapping`] owns a range of addresses. What lies in a shared mapping may change under us at any time (other
//! processes map the same file), so it hands out a raw pointer and its length and never a slice; `sentry/mem`
//! wraps those in volatile accessors. **Invariant:** the range stays mapped until the owner is dropped.

use crate::{HostErrno, PAGE_SIZE, Result};
use std::{
    os::fd::{AsRawFd, BorrowedFd},
    ptr::NonNull,
};

/// What the sentry may do with a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prot(i32);

impl Prot {
    /// Nothing.
    pub const NONE: Self = Self(libc::PROT_NONE);
    /// Loads.
    pub const READ: Self = Self(libc::PROT_READ);
    /// Loads and stores.
    pub const READ_WRITE: Self = Self(libc::PROT_READ | libc::PROT_WRITE);
    /// Loads and instruction fetches.
    pub const READ_EXEC: Self = Self(libc::PROT_READ | libc::PROT_EXEC);
}

/// Advice about a range; see `madvise(2)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advice {
    /// Drop page table entries (shared: the file keeps the bytes).
    DontNeed,
    /// Fill page table entries for reading.
    PopulateRead,
    /// Fill page table entries for writing, allocating pages of the file.
    PopulateWrite,
    /// Free the pages of the file behind the range.
    Remove,
    /// Transparent huge pages wanted.
    HugePage,
    /// Transparent huge pages not wanted.
    NoHugePage,
    /// Leave out of core dumps.
    DontDump,
    /// Leave out of children made by `fork`.
    DontFork,
}

impl Advice {
    fn raw(self) -> i32 {
        match self {
            Self::DontNeed => libc::MADV_DONTNEED,
            Self::PopulateRead => libc::MADV_POPULATE_READ,
            Self::PopulateWrite => libc::MADV_POPULATE_WRITE,
            Self::Remove => libc::MADV_REMOVE,
            Self::HugePage => libc::MADV_HUGEPAGE,
            Self::NoHugePage => libc::MADV_NOHUGEPAGE,
            Self::DontDump => libc::MADV_DONTDUMP,
            Self::DontFork => libc::MADV_DONTFORK,
        }
    }
}

/// A range of the sentry's address space that this owns.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a mapping belongs to the process and not to a thread; access goes through raw pointers, whose users
// answer for races themselves.
unsafe impl Send for Mapping {}
// SAFETY: as for `Send`; `&Mapping` allows only host calls that are atomic towards each other.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes of `fd` from `offset`, shared, wherever there is room.
    pub fn shared(fd: BorrowedFd<'_>, offset: u64, len: usize, prot: Prot) -> Result<Self> {
        Self::new(len, prot, libc::MAP_SHARED, fd.as_raw_fd(), offset)
    }

    /// Reserves `len` bytes of addresses with nothing behind them; [`Self::map_at`] fills parts in.
    pub fn reserve(len: usize) -> Result<Self> {
        Self::new(len, Prot::NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE, -1, 0)
    }

    /// Private memory of zeros.
    pub fn anonymous(len: usize) -> Result<Self> {
        Self::new(len, Prot::READ_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    }

    fn new(len: usize, prot: Prot, flags: i32, fd: i32, offset: u64) -> Result<Self> {
        let offset = libc::off_t::try_from(offset).map_err(|_| HostErrno::EINVAL)?;
        // SAFETY: without MAP_FIXED the host chooses an unused range, so no memory in use changes.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), len, prot.0, flags, fd, offset) };
        if at == libc::MAP_FAILED {
            return Err(HostErrno::last());
        }
        let base = NonNull::new(at.cast::<u8>()).ok_or(HostErrno::ENOMEM)?;
        Ok(Self { base, len })
    }

    /// Replaces `[at, at + len)` of this range by `len` bytes of `fd` from `offset`, shared.
    ///
    /// # Safety
    /// Nobody holds a reference into the part, nor relies on what was there.
    pub unsafe fn map_at(
        &self,
        at: usize,
        len: usize,
        fd: BorrowedFd<'_>,
        offset: u64,
        prot: Prot,
    ) -> Result<()> {
        let target = self.sub(at, len)?;
        let offset = libc::off_t::try_from(offset).map_err(|_| HostErrno::EINVAL)?;
        let flags = libc::MAP_SHARED | libc::MAP_FIXED;
        // SAFETY: `sub` checked that the fixed range lies in ours; the caller promises that nobody relies on it.
        let got = unsafe { libc::mmap(target.cast(), len, prot.0, flags, fd.as_raw_fd(), offset) };
        if got == libc::MAP_FAILED { Err(HostErrno::last()) } else { Ok(()) }
    }

    /// Turns `[at, at + len)` back into reserved addresses with nothing behind them.
    ///
    /// # Safety
    /// Nobody holds a reference into the part, nor relies on what was there.
    pub unsafe fn unmap_at(&self, at: usize, len: usize) -> Result<()> {
        let target = self.sub(at, len)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
        // SAFETY: as in `map_at`.
        let got = unsafe { libc::mmap(target.cast(), len, libc::PROT_NONE, flags, -1, 0) };
        if got == libc::MAP_FAILED { Err(HostErrno::last()) } else { Ok(()) }
    }

    /// `madvise(2)` on a part.
    pub fn advise(&self, at: usize, len: usize, advice: Advice) -> Result<()> {
        let target = self.sub(at, len)?;
        // SAFETY: the range is ours. Advice that drops pages leaves the range mapped, and its bytes are volatile to us.
        crate::cvt(unsafe { libc::madvise(target.cast(), len, advice.raw()) }).map(drop)
    }

    /// Says of each page whether the host holds it (`mincore(2)`).
    pub fn resident(&self, at: usize, len: usize) -> Result<Vec<bool>> {
        let target = self.sub(at, len)?;
        let mut pages = vec![0u8; len.div_ceil(PAGE_SIZE)];
        // SAFETY: the range is ours, and `pages` has a byte for each of its pages.
        crate::cvt(unsafe { libc::mincore(target.cast(), len, pages.as_mut_ptr()) })?;
        Ok(pages.into_iter().map(|p| p & 1 != 0).collect())
    }

    /// `msync(2)` with `MS_SYNC`: what was written reaches the file's storage.
    pub fn sync(&self, at: usize, len: usize) -> Result<()> {
        let target = self.sub(at, len)?;
        // SAFETY: the range is ours; nothing in memory changes.
        crate::cvt(unsafe { libc::msync(target.cast(), len, libc::MS_SYNC) }).map(drop)
    }

    fn sub(&self, at: usize, len: usize) -> Result<*mut u8> {
        let end = at.checked_add(len).ok_or(HostErrno::EINVAL)?;
        if end > self.len {
            return Err(HostErrno::EINVAL);
        }
        Ok(self.base.as_ptr().wrapping_add(at))
    }

    /// The first address; valid for [`Self::len`] bytes while `self` lives, with what access it was mapped.
    pub fn as_ptr(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// How many bytes the range has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the range has no bytes (never so).
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is ours alone and nobody can reach it through us any more.
        let _ = unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// Lets go of the pages of this program's code and constants: those that start-up alone needed do not come back.
///
/// For processes that wait for long once they are set up. What is needed again is mapped again from the page cache.
pub fn forget_code() {
    unsafe extern "C" {
        /// Start of the image, as linkers define it.
        static __executable_start: u8;
        /// End of the code, as linkers define it.
        static etext: u8;
    }
    let start = (&raw const __executable_start).addr().next_multiple_of(PAGE_SIZE);
    let end = (&raw const etext).addr() / PAGE_SIZE * PAGE_SIZE;
    let Some(len) = end.checked_sub(start).filter(|len| *len > 0) else { return };
    let at = (&raw const __executable_start).cast_mut().with_addr(start);
    // SAFETY: from its start to the end of the code the image is mapped from the file and never written (what is relocated
    // lies behind), so that the same bytes come back with the next access. A failure leaves everything as it is.
    let _ = unsafe { libc::madvise(at.cast(), len, libc::MADV_DONTNEED) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn parts_are_checked_and_replaced() {
        let fd = crate::memfd::create(c"test", false).unwrap();
        crate::memfd::set_len(fd.as_fd(), 8192).unwrap();
        let window = Mapping::reserve(4 * PAGE_SIZE).unwrap();
        // SAFETY: nobody uses the window yet.
        unsafe { window.map_at(PAGE_SIZE, 2 * PAGE_SIZE, fd.as_fd(), 0, Prot::READ_WRITE) }.unwrap();
        let other = Mapping::shared(fd.as_fd(), 0, 8192, Prot::READ_WRITE).unwrap();
        // SAFETY: within the window.
        let second = unsafe { window.as_ptr().add(PAGE_SIZE) };
        // SAFETY: mapped writable above.
        unsafe { second.write_volatile(7) };
        // SAFETY: the same page of the file, mapped readable.
        assert_eq!(unsafe { other.as_ptr().read_volatile() }, 7);
        assert_eq!(window.advise(3 * PAGE_SIZE, 2 * PAGE_SIZE, Advice::DontNeed), Err(HostErrno::EINVAL));
        assert_eq!(window.advise(usize::MAX, 2, Advice::DontNeed), Err(HostErrno::EINVAL));
        assert_eq!(other.resident(0, 8192).unwrap(), [true, false]);
    }
}
