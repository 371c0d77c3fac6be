//! Memory objects: sparse pages in the memory file or in a store, to be read, written and mapped.
//!
//! A [`MemoryObject`] is what is behind a tmpfs file, a memfd, a System V segment and shared anonymous memory. Pages that
//! were never written take nothing and read as zeros. Each page holds one reference there.
//!
//! **Lock order:** [`rank::MEMORY_OBJECT`] (held across copies from and to application memory: shared by reads, exclusive for
//! whatever stores or takes pages away), then the page table under [`rank::MAPPABLE`]. Faults take only the latter.
//! **Invariant:** bytes between the size and the end of its page are zeros when the size grows over them.
//! **Absent on purpose:** seals, permissions, time stamps: whoever owns the object knows them.

use crate::{
    home::Home,
    state::{CHUNK, EAGER},
};
use abi::Errno;
use ksync::{Mutex, RwLock, rank};
use mem::{
    Backing, Hint, IoDst, IoSrc, Mappable, MappingSet, MemoryFile, PAGE_SIZE, RangeMap, Store, page_down,
    page_up,
};
use std::{ops::Range, sync::Arc};

/// The largest size of an object: what `off_t` can say, whole pages.
pub const MAX_SIZE: u64 = page_down(i64::MAX as u64);

/// Pages that a touch makes where somebody counts them, in bytes.
const COUNTED_CHUNK: u64 = 4 * PAGE_SIZE;

/// An offset in the memory file (or store) that belongs to the start of a range and grows along it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FileOffset(pub u64);

impl mem::range_map::Split for FileOffset {
    fn advanced(&self, by: u64) -> Self {
        Self(self.0 + by)
    }
    fn continues(&self, len: u64, next: &Self) -> bool {
        self.0 + len == next.0
    }
}

/// Who has to agree to more pages (the size limit of a tmpfs). **Lock order:** called under [`rank::MAPPABLE`].
pub trait Quota: Send + Sync {
    /// `bytes` more are wanted; `ENOSPC`.
    fn charge(&self, bytes: u64) -> Result<(), Errno>;
    /// `bytes` were given back.
    fn uncharge(&self, bytes: u64);
}

struct State {
    size: u64,
    pages: RangeMap<FileOffset>,
    /// Bytes that `pages` covers.
    bytes: u64,
}

/// Sparse memory.
pub struct MemoryObject {
    home: Home,
    quota: Option<Arc<dyn Quota>>,
    io: RwLock<()>,
    state: Mutex<State>,
    mappings: MappingSet,
}

impl MemoryObject {
    /// An empty object.
    pub fn new(memory: Arc<MemoryFile>) -> Arc<Self> {
        Self::with_quota(memory, None)
    }

    /// An empty object whose pages are counted by `quota`.
    pub fn with_quota(memory: Arc<MemoryFile>, quota: Option<Arc<dyn Quota>>) -> Arc<Self> {
        Self::at_home(Home::Memory(memory), quota)
    }

    /// The same with its pages in a store.
    pub fn stored(store: Arc<Store>, quota: Option<Arc<dyn Quota>>) -> Arc<Self> {
        Self::at_home(Home::Store(store), quota)
    }

    fn at_home(home: Home, quota: Option<Arc<dyn Quota>>) -> Arc<Self> {
        let state = State { size: 0, pages: RangeMap::new(), bytes: 0 };
        Arc::new(Self {
            home,
            quota,
            io: RwLock::new(rank::MEMORY_OBJECT, ()),
            state: Mutex::new(rank::MAPPABLE, state),
            mappings: MappingSet::default(),
        })
    }

    /// Bytes, as `st_size`.
    pub fn size(&self) -> u64 {
        self.state.lock().size
    }

    /// Bytes of pages that there are, as `st_blocks` counts them.
    pub fn allocated_bytes(&self) -> u64 {
        self.state.lock().bytes
    }

    /// Moves bytes from `offset` on into `dst`; how many, 0 at the end. `EFAULT` only if none.
    pub fn read_at(&self, offset: u64, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let _io = self.io.read();
        let mut total = 0usize;
        while dst.remaining() > 0 {
            let Some(at) = offset.checked_add(total as u64) else { break };
            let (place, len) = {
                let state = self.state.lock();
                let Some(left) = state.size.checked_sub(at).filter(|l| *l > 0) else { break };
                let left = left.min(dst.remaining() as u64);
                match state.pages.at_or_after(at) {
                    Some((r, off)) if r.start <= at => (Some(off.0 + (at - r.start)), left.min(r.end - at)),
                    Some((r, _)) => (None, left.min(r.start - at)),
                    None => (None, left),
                }
            };
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            let step = match place {
                // The pages cannot go away: whatever takes them holds `io` exclusively.
                Some(place) => self.copy_out(place, len, dst),
                None => dst.put_zeros(len),
            };
            match step {
                Ok(n) => {
                    total += n;
                    if n < len {
                        break;
                    }
                }
                Err(e) if total == 0 => return Err(e),
                Err(_) => break,
            }
        }
        Ok(total)
    }

    fn copy_out(&self, place: u64, len: usize, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let mut done = 0;
        dst.put_with(len, &mut |piece| {
            let n = piece.len().min(len - done);
            self.home.read(place + done as u64, piece.subslice(0, n).map_err(|_| Errno::EFAULT)?)?;
            done += n;
            Ok(n)
        })
    }

    /// Moves bytes of `src` to `offset` on, growing the object; how many. `EFBIG`, `ENOSPC`, `ENOMEM`, `EFAULT` only if none.
    pub fn write_at(&self, offset: u64, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        let _io = self.io.write();
        self.write_locked(offset, src)
    }

    /// Moves bytes of `src` to the end, atomically with other appends; the offset behind them, and how many.
    pub fn append(&self, src: &mut IoSrc<'_>) -> Result<(u64, usize), Errno> {
        let _io = self.io.write();
        let end = self.size();
        let n = self.write_locked(end, src)?;
        Ok((end + n as u64, n))
    }

    fn write_locked(&self, offset: u64, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        if src.remaining() == 0 {
            return Ok(0);
        }
        let room = MAX_SIZE.checked_sub(offset).filter(|r| *r > 0).ok_or(Errno::EFBIG)?;
        let len = room.min(src.remaining() as u64);
        let mut total = 0u64;
        while total < len {
            // In steps, so that an enormous write from memory that is not there does not take the memory first.
            let at = offset + total;
            let step = match self.place_for_write(at, (len - total).min(1 << 20)) {
                Ok((place, n)) => self.copy_in(place, usize::try_from(n).unwrap_or(usize::MAX), src),
                Err(e) => Err(e),
            };
            match step {
                Ok(0) => break,
                Ok(n) => {
                    total += n as u64;
                    let mut state = self.state.lock();
                    state.size = state.size.max(at + n as u64);
                }
                Err(e) if total == 0 => return Err(e),
                Err(_) => break,
            }
        }
        Ok(total as usize)
    }

    /// Where the bytes from `at` on are to go, and how many, at most `len`, go there.
    fn place_for_write(&self, at: u64, len: u64) -> Result<(u64, u64), Errno> {
        let mut state = self.state.lock();
        self.clear_tail(&state, at);
        let first = page_down(at);
        let end = page_up(at + len).ok_or(Errno::EFBIG)?;
        let (place, run) = self.page_run(&mut state, first, end - first)?;
        let skip = at - first;
        Ok((place + skip, len.min(run - skip)))
    }

    fn copy_in(&self, place: u64, len: usize, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        let mut done = 0;
        src.take_with(len, &mut |piece| {
            let n = piece.len().min(len - done);
            let piece = piece.subslice(0, n).map_err(|_| Errno::EFAULT)?;
            let n = self.home.write(place + done as u64, &piece)?;
            done += n;
            Ok(n)
        })
    }

    /// Pages from `first` on, made if need be; where, and for how many bytes, at most `len`, they follow there.
    fn page_run(&self, state: &mut State, first: u64, len: u64) -> Result<(u64, u64), Errno> {
        if state.pages.get(first).is_none() {
            let gap_end =
                state.pages.at_or_after(first).map_or(first + len, |(r, _)| r.start.min(first + len));
            let mut bytes = gap_end - first;
            let hint = match state.pages.before(first) {
                Some((r, off)) if r.end == first => Hint::At(off.0 + (r.end - r.start)),
                _ => Hint::Up,
            };
            if let Some(quota) = &self.quota {
                // What is left may still do for a part.
                while let Err(e) = quota.charge(bytes) {
                    if bytes <= PAGE_SIZE {
                        return Err(e);
                    }
                    bytes = page_down(bytes / 2).max(PAGE_SIZE);
                }
            }
            match self.home.allocate(bytes, hint) {
                Ok(place) => {
                    state.pages.insert(first..first + bytes, FileOffset(place));
                    state.bytes += bytes;
                }
                Err(e) => {
                    if let Some(quota) = &self.quota {
                        quota.uncharge(bytes);
                    }
                    return Err(e);
                }
            }
        }
        let (range, off) = state.pages.get(first).ok_or(Errno::ENOMEM)?;
        Ok((off.0 + (first - range.start), len.min(range.end - first)))
    }

    /// Zeroes what a mapping may have left between the size and `upto` on the last page.
    fn clear_tail(&self, state: &State, upto: u64) {
        let size = state.size;
        let end = page_up(size).unwrap_or(size).min(upto);
        if size < end {
            self.zero_bytes(state, size..end);
        }
    }

    /// Zeroes a range within one page, if there is that page.
    fn zero_bytes(&self, state: &State, range: Range<u64>) {
        if let Some((r, off)) = state.pages.get(range.start) {
            let start = off.0 + (range.start - r.start);
            self.home.zero(start..start + (range.end - range.start));
        }
    }

    /// Makes the object `size` bytes long. `EFBIG`.
    pub fn set_size(&self, size: u64) -> Result<(), Errno> {
        if size > MAX_SIZE {
            return Err(Errno::EFBIG);
        }
        let _io = self.io.write();
        let mut state = self.state.lock();
        let old = std::mem::replace(&mut state.size, size);
        if size >= old {
            // What a mapping may have left behind the old end.
            let end = page_up(old).unwrap_or(old).min(size);
            if old < end {
                self.zero_bytes(&state, old..end);
            }
            return Ok(());
        }
        let keep = page_up(size).unwrap_or(size);
        if size < keep {
            self.zero_bytes(&state, size..keep);
        }
        let taken = state.pages.remove(keep..u64::MAX);
        self.give_back(state, keep..u64::MAX, taken, true);
        Ok(())
    }

    /// Makes `range` a hole that reads as zeros; the size stays.
    pub fn punch_hole(&self, range: Range<u64>) {
        let _io = self.io.write();
        let mut state = self.state.lock();
        let inner = page_up(range.start).unwrap_or(u64::MAX)..page_down(range.end);
        if inner.start > inner.end {
            // Within one page.
            self.zero_bytes(&state, range);
            return;
        }
        if range.start < inner.start {
            self.zero_bytes(&state, range.start..inner.start);
        }
        if inner.end < range.end {
            self.zero_bytes(&state, inner.end..range.end);
        }
        if !inner.is_empty() {
            let taken = state.pages.remove(inner.clone());
            self.give_back(state, inner, taken, false);
        }
    }

    /// Tells mappings that the pages of `range` have gone, and drops the object's references to them.
    fn give_back(
        &self,
        mut state: ksync::MutexGuard<'_, State>,
        range: Range<u64>,
        taken: Vec<(Range<u64>, FileOffset)>,
        shorter: bool,
    ) {
        let bytes = taken.iter().map(|(r, _)| r.end - r.start).sum::<u64>();
        state.bytes -= bytes;
        drop(state);
        // Also where there was no page: a mapping may rely on the size.
        self.mappings.invalidate(range, shorter);
        for (r, off) in taken {
            self.home.release(off.0..off.0 + (r.end - r.start));
        }
        if let Some(quota) = &self.quota {
            quota.uncharge(bytes);
        }
    }

    /// Makes the pages of `range` (`fallocate(2)`), growing the object unless `keep_size`. `ENOSPC`, `ENOMEM`, `EFBIG`.
    pub fn allocate(&self, range: Range<u64>, keep_size: bool) -> Result<(), Errno> {
        let end = page_up(range.end).filter(|e| *e <= MAX_SIZE).ok_or(Errno::EFBIG)?;
        let _io = self.io.write();
        let mut state = self.state.lock();
        if !keep_size {
            self.clear_tail(&state, range.end);
        }
        let mut at = page_down(range.start);
        while at < end {
            let (place, n) = self.page_run(&mut state, at, end - at)?;
            self.home.reserve(place..place + n)?;
            at += n;
        }
        if !keep_size {
            state.size = state.size.max(range.end);
        }
        Ok(())
    }

    /// The first offset from `from` on that holds data (`SEEK_DATA`); `None` behind the last.
    pub fn seek_data(&self, from: u64) -> Option<u64> {
        let state = self.state.lock();
        let (range, _) = state.pages.at_or_after(from)?;
        Some(range.start.max(from)).filter(|at| *at < state.size)
    }

    /// The first offset from `from` on that is in a hole, of which the end is one (`SEEK_HOLE`); `None` behind the end.
    pub fn seek_hole(&self, from: u64) -> Option<u64> {
        let state = self.state.lock();
        if from >= state.size {
            return None;
        }
        let mut at = from;
        // Neighbours in the object need not be neighbours in the memory file, so runs are walked.
        while let Some((range, _)) = state.pages.get(at) {
            at = range.end;
        }
        Some(at.min(state.size))
    }
}

impl Mappable for MemoryObject {
    fn back(&self, offset: u64, len: u64, write: bool) -> Result<(Backing, u64), Errno> {
        let mut state = self.state.lock();
        let end = page_up(state.size).unwrap_or(MAX_SIZE);
        let len = end.checked_sub(offset).filter(|l| *l > 0).ok_or(Errno::EFAULT)?.min(len);
        // A touch of a hole makes that page and some behind it: more for whoever goes through memory in order, few where they are
        // counted against a file system's size.
        let chunk = match (state.pages.get(offset), state.pages.before(offset)) {
            (Some(_), _) => len,
            _ if self.quota.is_some() => COUNTED_CHUNK,
            (None, Some((r, _))) if r.end == offset => (r.end - r.start).clamp(CHUNK, EAGER),
            _ => CHUNK,
        };
        let (place, run) = self
            .page_run(&mut state, offset, len.min(chunk))
            .or_else(|_| self.page_run(&mut state, offset, PAGE_SIZE))?;
        // What may be stored to by way of the mapping has to have room where it is kept.
        if write {
            self.home.reserve(place..place + run)?;
        }
        Ok((self.home.backing(place..place + run), run))
    }

    fn mappings(&self) -> &MappingSet {
        &self.mappings
    }
}

impl Drop for MemoryObject {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        for (r, off) in state.pages.iter() {
            self.home.release(off.0..off.0 + (r.end - r.start));
        }
        if let Some(quota) = &self.quota {
            quota.uncharge(state.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> (Arc<MemoryFile>, Arc<MemoryObject>) {
        let memory = Arc::new(MemoryFile::new(1 << 30).unwrap());
        (memory.clone(), MemoryObject::new(memory))
    }

    fn write(object: &MemoryObject, at: u64, bytes: &[u8]) {
        let mut copy = bytes.to_vec();
        assert_eq!(object.write_at(at, &mut IoSrc::bytes(&mut copy)), Ok(bytes.len()));
    }

    fn read(object: &MemoryObject, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0xee; len];
        let n = object.read_at(at, &mut IoDst::bytes(&mut bytes)).unwrap();
        bytes.truncate(n);
        bytes
    }

    #[test]
    fn sparse_writes_holes_and_truncation() {
        let (memory, object) = object();
        write(&object, 3 * PAGE_SIZE + 10, b"hello");
        assert_eq!((object.size(), object.allocated_bytes()), (3 * PAGE_SIZE + 15, PAGE_SIZE));
        assert_eq!(read(&object, 3 * PAGE_SIZE + 8, 100), b"\0\0hello");
        assert_eq!(read(&object, PAGE_SIZE, 3), [0, 0, 0]);
        assert_eq!((object.seek_data(0), object.seek_hole(0)), (Some(3 * PAGE_SIZE), Some(0)));
        assert_eq!(object.seek_hole(3 * PAGE_SIZE), Some(3 * PAGE_SIZE + 15));
        object.set_size(3 * PAGE_SIZE + 12).unwrap();
        object.set_size(3 * PAGE_SIZE + 20).unwrap();
        assert_eq!(read(&object, 3 * PAGE_SIZE + 10, 100), b"he\0\0\0\0\0\0\0\0");
        object.set_size(0).unwrap();
        assert_eq!((object.allocated_bytes(), memory.used_bytes()), (0, 0));
    }

    #[test]
    fn growing_hides_what_a_mapping_left_behind_the_end() {
        let (memory, object) = object();
        write(&object, 0, b"ab");
        let (Backing::Memory(place), PAGE_SIZE) = object.back(0, 1 << 20, true).unwrap() else { panic!() };
        memory.slice(place, 100).unwrap().copy_from(&[b'x'; 100]);
        write(&object, 50, b"z");
        assert_eq!(read(&object, 0, 52), [b"xx".as_slice(), &[0; 48], b"z"].concat());
        assert!(matches!(object.back(PAGE_SIZE, PAGE_SIZE, false), Err(Errno::EFAULT)));
        memory.release(place..place + PAGE_SIZE);
        drop(object);
        assert_eq!(memory.used_bytes(), 0);
    }

    #[test]
    fn punching_and_allocating() {
        let (memory, object) = object();
        write(&object, 0, &[7; 3 * PAGE_SIZE as usize]);
        object.punch_hole(10..2 * PAGE_SIZE + 10);
        assert_eq!(object.allocated_bytes(), 2 * PAGE_SIZE);
        assert_eq!(read(&object, 9, 3), [7, 0, 0]);
        assert_eq!(read(&object, 2 * PAGE_SIZE + 9, 2), [0, 7]);
        object.punch_hole(3..5);
        assert_eq!(read(&object, 2, 4), [7, 0, 0, 7]);
        object.allocate(0..5 * PAGE_SIZE, true).unwrap();
        assert_eq!((object.size(), object.allocated_bytes()), (3 * PAGE_SIZE, 5 * PAGE_SIZE));
        assert_eq!(object.set_size(u64::MAX), Err(Errno::EFBIG));
        let mut byte = [0];
        assert_eq!(object.write_at(u64::MAX, &mut IoSrc::bytes(&mut byte)), Err(Errno::EFBIG));
        drop(object);
        assert_eq!(memory.used_bytes(), 0);
    }

    #[test]
    fn a_stored_object_is_none_of_the_memory_files() {
        let store = Arc::new(Store::new(host::memfd::create(c"store", false).unwrap()).unwrap());
        let object = MemoryObject::stored(store.clone(), None);
        write(&object, 2 * PAGE_SIZE - 2, b"hello");
        assert_eq!(read(&object, 2 * PAGE_SIZE - 3, 100), b"\0hello");
        assert_eq!(read(&object, 0, 2), [0, 0]);
        let (Backing::Store(_, place), PAGE_SIZE) = object.back(PAGE_SIZE, PAGE_SIZE, true).unwrap() else {
            panic!()
        };
        assert_eq!(store.used_bytes(), 2 * PAGE_SIZE);
        object.set_size(PAGE_SIZE).unwrap();
        assert_eq!(store.used_bytes(), PAGE_SIZE);
        store.release(place..place + PAGE_SIZE);
        assert_eq!(store.used_bytes(), 0);
        object.set_size(3 * PAGE_SIZE).unwrap();
        assert_eq!(read(&object, 2 * PAGE_SIZE - 2, 5), [0; 5]);
    }

    #[test]
    fn appends_and_quota() {
        struct Two(std::sync::atomic::AtomicU64);
        impl Quota for Two {
            fn charge(&self, bytes: u64) -> Result<(), Errno> {
                let old = self.0.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
                if old + bytes > 2 * PAGE_SIZE {
                    self.uncharge(bytes);
                    return Err(Errno::ENOSPC);
                }
                Ok(())
            }
            fn uncharge(&self, bytes: u64) {
                self.0.fetch_sub(bytes, std::sync::atomic::Ordering::Relaxed);
            }
        }
        let memory = Arc::new(MemoryFile::new(1 << 30).unwrap());
        let quota = Arc::new(Two(0.into()));
        let object = MemoryObject::with_quota(memory, Some(quota.clone()));
        let mut bytes = [1u8; 5000];
        assert_eq!(object.append(&mut IoSrc::bytes(&mut bytes)), Ok((5000, 5000)));
        assert_eq!(object.append(&mut IoSrc::bytes(&mut bytes)), Ok((2 * PAGE_SIZE, 3192)));
        assert_eq!(object.append(&mut IoSrc::bytes(&mut bytes)), Err(Errno::ENOSPC));
        drop(object);
        assert_eq!(quota.0.load(std::sync::atomic::Ordering::Relaxed), 0);
    }
}
