//! `mmap(2)`, `munmap(2)`, `mprotect(2)`.

use crate::{
    AddressSpace, Attachment, MemoryObject,
    area::{Area, AreaFlags, Mapped},
    state::{MAX_MAP_COUNT, STACK_GAP, State},
};
use abi::{Errno, MapFlags, Prot, mman::MapKind};
use mem::{Mappable, PAGE_SIZE, page_up};
use std::{ops::Range, sync::Arc};
use vfs::File;

/// What is to be mapped.
#[derive(Clone)]
pub enum MapSource {
    /// Zeros: private, or a new object that forks share.
    Anonymous,
    /// A file from `offset` on; `noexec` if its mount says so.
    File {
        /// The file; it stays open while it is mapped.
        file: Arc<File>,
        /// A multiple of the page size.
        offset: u64,
        /// The mount forbids execution.
        noexec: bool,
    },
    /// An object without a file (System V memory), from its start on.
    Object {
        /// What is mapped.
        object: Arc<dyn Mappable>,
        /// What `/proc/pid/maps` calls it.
        name: Arc<str>,
        /// Told when the object comes and goes.
        attachment: Option<Arc<dyn Attachment>>,
    },
}

/// Arguments of `mmap(2)`.
#[derive(Clone)]
pub struct MapRequest {
    /// Where: a hint, unless the flags fix it.
    pub addr: u64,
    /// Bytes; not zero.
    pub len: u64,
    /// `PROT_*`.
    pub prot: Prot,
    /// `MAP_*`.
    pub flags: MapFlags,
    /// What.
    pub source: MapSource,
}

const RWX: Prot = Prot::READ.union(Prot::WRITE).union(Prot::EXEC);

/// Flags that `MAP_SHARED_VALIDATE` knows for any file.
const KNOWN: MapFlags = MapFlags::SHARED
    .union(MapFlags::PRIVATE)
    .union(MapFlags::FIXED)
    .union(MapFlags::ANONYMOUS)
    .union(MapFlags::DENYWRITE)
    .union(MapFlags::EXECUTABLE)
    .union(MapFlags::UNINITIALIZED)
    .union(MapFlags::GROWSDOWN)
    .union(MapFlags::LOCKED)
    .union(MapFlags::NORESERVE)
    .union(MapFlags::POPULATE)
    .union(MapFlags::NONBLOCK)
    .union(MapFlags::STACK)
    .union(MapFlags::HUGETLB)
    .union(MapFlags::_32BIT)
    .union(MapFlags::ABOVE4G)
    .union(MapFlags::FIXED_NOREPLACE)
    .union(MapFlags::HUGE_MASK);

/// The page-aligned range of `len` bytes at `addr`; `EINVAL` unless it is one that applications can have.
pub(crate) fn user_pages(state: &State, addr: u64, len: u64) -> Result<Range<u64>, Errno> {
    if !addr.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    let end = page_up(len).and_then(|len| addr.checked_add(len)).ok_or(Errno::EINVAL)?;
    if end > state.layout.range.end {
        return Err(Errno::EINVAL);
    }
    Ok(addr..end)
}

/// What a file lets mappings do; `EACCES`, `EBADF`, `EPERM`.
fn file_rights(file: &File, prot: Prot, shared: bool, noexec: bool) -> Result<Prot, Errno> {
    if file.is_path_only() {
        return Err(Errno::EBADF);
    }
    let flags = file.flags();
    if !flags.readable() || (shared && prot.contains(Prot::WRITE) && !flags.writable()) {
        return Err(Errno::EACCES);
    }
    if noexec && prot.contains(Prot::EXEC) {
        return Err(Errno::EPERM);
    }
    let mut max = RWX;
    if shared && !flags.writable() {
        max -= Prot::WRITE;
    }
    if noexec {
        max -= Prot::EXEC;
    }
    Ok(max)
}

impl AddressSpace {
    /// `mmap(2)`; the address.
    pub fn mmap(&self, request: &MapRequest) -> Result<u64, Errno> {
        let MapRequest { len, prot, flags, .. } = *request;
        let kind = flags.kind().ok_or(Errno::EINVAL)?;
        let shared = kind != MapKind::Private;
        if len == 0 {
            return Err(Errno::EINVAL);
        }
        let len = page_up(len).ok_or(Errno::ENOMEM)?;
        if kind == MapKind::SharedValidate && !(flags - KNOWN).is_empty() {
            return Err(Errno::EOPNOTSUPP);
        }
        if flags.contains(MapFlags::HUGETLB) {
            // There are no huge pages set aside.
            let known = matches!(flags.huge_shift(), 0 | 21 | 30);
            let anonymous = matches!(request.source, MapSource::Anonymous);
            return Err(if known && anonymous { Errno::ENOMEM } else { Errno::EINVAL });
        }
        let mut area_flags = AreaFlags::empty();
        area_flags.set(AreaFlags::SHARED, shared);
        area_flags.set(AreaFlags::NORESERVE, flags.contains(MapFlags::NORESERVE));
        area_flags.set(AreaFlags::LOCKED, flags.contains(MapFlags::LOCKED));
        area_flags.set(AreaFlags::GROWSDOWN, flags.contains(MapFlags::GROWSDOWN));
        let mut area = Area::anonymous(prot & RWX, area_flags);
        let who = self.core.observer();
        match &request.source {
            MapSource::Anonymous if !shared => {}
            MapSource::Anonymous => {
                let object = MemoryObject::new(self.core.memory.clone());
                object.set_size(len).map_err(|_| Errno::ENOMEM)?;
                let name = Some(Arc::from("/dev/zero (deleted)"));
                area.object = Some(Mapped::new(object.clone(), None, Some(object), name, None, who, shared));
            }
            MapSource::File { file, offset, noexec } => {
                if offset % PAGE_SIZE != 0 {
                    return Err(Errno::EINVAL);
                }
                offset.checked_add(len).filter(|e| *e <= i64::MAX as u64).ok_or(Errno::EOVERFLOW)?;
                area.max = file_rights(file, prot, shared, *noexec)?;
                let mappable = file.ops().mappable(file)?;
                let writer = shared && area.max.contains(Prot::WRITE);
                area.object = Some(Mapped::new(mappable, Some(file.clone()), None, None, None, who, writer));
                area.offset = *offset;
            }
            MapSource::Object { object, name, attachment } => {
                let (name, attachment) = (Some(name.clone()), attachment.clone());
                area.object = Some(Mapped::new(object.clone(), None, None, name, attachment, who, shared));
            }
        }
        if let Some(object) = &area.object
            && !object.mappable.admit(shared, prot.contains(Prot::WRITE))?
            && shared
        {
            object.forbid_writing();
            area.max -= Prot::WRITE;
        }
        if flags.contains(MapFlags::GROWSDOWN) && (shared || area.object.is_some()) {
            return Err(Errno::EINVAL);
        }
        let at = self.map_area(request.addr, len, flags, area)?;
        let locked = flags.contains(MapFlags::LOCKED) || self.locks_future();
        if locked || (flags.contains(MapFlags::POPULATE) && !flags.contains(MapFlags::NONBLOCK)) {
            // Best effort, as on Linux.
            let _ = self.populate(at..at + len, None);
        }
        Ok(at)
    }

    /// `remap_file_pages(2)`: maps other pages of the object that is mapped, shared, at `start`.
    pub fn remap_file_pages(&self, start: u64, len: u64, page: u64, nonblock: bool) -> Result<(), Errno> {
        let (start, len) = (mem::page_down(start), mem::page_down(len));
        let end = start.checked_add(len).filter(|end| *end > start).ok_or(Errno::EINVAL)?;
        let offset = page.checked_mul(PAGE_SIZE).filter(|o| o.checked_add(len).is_some());
        let offset = offset.ok_or(Errno::EINVAL)?;
        let area = {
            let state = self.core.state.read();
            let mut at = start;
            let mut first: Option<Area> = None;
            for (range, area) in state.areas.overlapping(start..end) {
                let same = first.as_ref().is_none_or(|first| {
                    let object = |a: &Area| a.object.as_ref().map(|o| o.identity());
                    object(first) == object(area) && first.flags == area.flags
                });
                if range.start > at || !area.shared() || !same {
                    return Err(Errno::EINVAL);
                }
                at = range.end;
                first.get_or_insert_with(|| area.clone());
            }
            if at < end {
                return Err(Errno::EINVAL);
            }
            first.ok_or(Errno::EINVAL)?
        };
        let locked = area.locked();
        let new = Area { offset, ..area };
        self.map_area(start, len, MapFlags::FIXED | MapFlags::SHARED, new)?;
        if locked || !nonblock {
            let _ = self.populate(start..end, None);
        }
        Ok(())
    }

    /// `mseal(2)`. `ENOMEM` if not all of the range is mapped.
    pub fn seal(&self, addr: u64, len: u64) -> Result<(), Errno> {
        if !addr.is_multiple_of(PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        let end = page_up(len).and_then(|len| addr.checked_add(len)).ok_or(Errno::EINVAL)?;
        if addr == end {
            return Ok(());
        }
        let range = addr..end;
        let mut state = self.core.state.write();
        if state.covered(&range) < end - addr {
            return Err(Errno::ENOMEM);
        }
        state.update_areas(range, |area| area.flags |= AreaFlags::SEALED);
        Ok(())
    }

    fn map_area(&self, addr: u64, len: u64, flags: MapFlags, mut area: Area) -> Result<u64, Errno> {
        let mut placed = None;
        let mapped = self.core.run(|state, op| {
            area.flags |= state.lock_future;
            if state.areas.len() >= MAX_MAP_COUNT {
                return Err(Errno::ENOMEM);
            }
            let at = state.place(addr, len, flags)?;
            let range = at..at + len;
            state.check_unsealed(&range)?;
            let replaced = state.covered(&range);
            state.check_limits(&area, len, replaced)?;
            if area.locked() {
                if state.limits.memlock == 0 {
                    return Err(Errno::EPERM);
                }
                state.check_lock_limit(len)?;
            }
            state.unmap(op, range.clone());
            state.insert_area(range.clone(), area);
            placed = Some(at);
            state.prefault(op, range)?;
            Ok(at)
        });
        // Neither a lack of memory nor a refusal of the platform leaves a mapping behind.
        if let (Err(_), Some(at)) = (&mapped, placed) {
            let _ = self.munmap(at, len);
        }
        mapped
    }

    /// `munmap(2)`.
    pub fn munmap(&self, addr: u64, len: u64) -> Result<(), Errno> {
        self.core.run(|state, op| {
            let range = user_pages(state, addr, len)?;
            if range.is_empty() {
                return Err(Errno::EINVAL);
            }
            let splits =
                state.areas.get(range.start).is_some_and(|(r, _)| r.start < range.start && r.end > range.end);
            if splits && state.areas.len() >= MAX_MAP_COUNT {
                return Err(Errno::ENOMEM);
            }
            state.check_unsealed(&range)?;
            state.unmap(op, range);
            Ok(())
        })
    }

    /// `mprotect(2)`; `prot` may hold `PROT_GROWSDOWN`.
    pub fn mprotect(&self, addr: u64, len: u64, prot: Prot) -> Result<(), Errno> {
        if prot.contains(Prot::GROWSDOWN | Prot::GROWSUP) {
            return Err(Errno::EINVAL);
        }
        if !(prot - (RWX | Prot::SEM | Prot::GROWSDOWN | Prot::GROWSUP)).is_empty() {
            return Err(Errno::EINVAL);
        }
        if !addr.is_multiple_of(PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        if len == 0 {
            return Ok(());
        }
        self.core.run(|state, op| {
            let end = page_up(len).and_then(|l| addr.checked_add(l)).ok_or(Errno::ENOMEM)?;
            let mut range = addr..end;
            if prot.contains(Prot::GROWSDOWN) {
                let (r, area) = state.areas.at_or_after(addr).ok_or(Errno::ENOMEM)?;
                if r.start >= range.end {
                    return Err(Errno::ENOMEM);
                }
                if !area.flags.contains(AreaFlags::GROWSDOWN) {
                    return Err(Errno::EINVAL);
                }
                range.start = r.start;
            } else if prot.contains(Prot::GROWSUP) {
                return Err(Errno::EINVAL);
            }
            state.reprotect(op, range, prot & RWX)
        })
    }
}

impl State {
    /// `EPERM` if a part of `range` is sealed.
    pub(crate) fn check_unsealed(&self, range: &Range<u64>) -> Result<(), Errno> {
        let sealed = self.areas.overlapping(range.clone()).any(|(_, area)| area.sealed());
        if sealed { Err(Errno::EPERM) } else { Ok(()) }
    }

    /// Where a mapping of `len` bytes goes.
    fn place(&mut self, addr: u64, len: u64, flags: MapFlags) -> Result<u64, Errno> {
        let user = self.layout.range.clone();
        if len > user.end - user.start {
            return Err(Errno::ENOMEM);
        }
        if flags.is_fixed() {
            if !addr.is_multiple_of(PAGE_SIZE) {
                return Err(Errno::EINVAL);
            }
            let end = addr.checked_add(len).filter(|e| *e <= user.end).ok_or(Errno::ENOMEM)?;
            if addr < user.start {
                return Err(Errno::EPERM);
            }
            if flags.contains(MapFlags::FIXED_NOREPLACE) && self.covered(&(addr..end)) > 0 {
                return Err(Errno::EEXIST);
            }
            return Ok(addr);
        }
        if addr != 0
            && let Some(hint) = page_up(addr)
            && let hint = hint.max(user.start)
            && let Some(end) = hint.checked_add(len)
            && end <= user.end
            && self.covered(&(hint..end)) == 0
            && self.is_free(&(hint..end))
        {
            return Ok(hint);
        }
        if flags.contains(MapFlags::_32BIT) {
            let window = 0x4000_0000.max(user.start)..0x8000_0000.min(user.end);
            if window.is_empty() {
                return Err(Errno::ENOMEM);
            }
            return self.scan_down(window, len).0.ok_or(Errno::ENOMEM);
        }
        if flags.contains(MapFlags::GROWSDOWN) {
            // Room to grow into is wanted, too.
            if let Ok(at) = self.find_room(len.saturating_add(STACK_GAP)) {
                return Ok(at + STACK_GAP);
            }
        }
        self.find_room(len)
    }

    /// Gives the areas of `range` the protection `prot`, up to the first hole or refusal.
    fn reprotect(&mut self, op: &mut crate::op::Op<'_>, range: Range<u64>, prot: Prot) -> Result<(), Errno> {
        // What `mprotect` got to before it failed is done, as on Linux.
        let mut end = range.start;
        let mut result = Ok(());
        let mut more_data = 0;
        let mut backed = Vec::new();
        for (r, area) in self.areas.overlapping(range.clone()) {
            if r.start > end {
                break;
            }
            if area.sealed() {
                result = Err(Errno::EPERM);
                break;
            }
            if !area.max.contains(prot) {
                result = Err(Errno::EACCES);
                break;
            }
            let part = r.start.max(range.start)..r.end.min(range.end);
            if prot.contains(Prot::WRITE) && !area.is_data() && !area.shared() {
                more_data += part.end - part.start;
                backed.push(part.clone());
            }
            end = part.end;
        }
        if result.is_ok() && end < range.end {
            result = Err(Errno::ENOMEM);
        }
        if more_data > 0 && self.totals.data.saturating_add(more_data) > self.limits.data {
            return Err(Errno::ENOMEM);
        }
        if self.areas.len() + 2 > MAX_MAP_COUNT
            && [range.start, end].iter().any(|at| self.areas.get(*at).is_some_and(|(r, _)| r.start < *at))
        {
            return Err(Errno::ENOMEM);
        }
        let done = range.start..end;
        if done.is_empty() {
            return result;
        }
        self.update_areas(done.clone(), |area| area.prot = prot);
        self.protect_pages(op, done);
        for part in backed {
            // Memory that becomes writable is about to be used. What cannot be backed now faults later.
            let _ = self.prefault(op, part);
        }
        result
    }
}
