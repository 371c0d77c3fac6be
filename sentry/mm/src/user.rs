//! The kernel's own access to application memory.
//!
//! Pages in the memory file are reached where the sentry has the file mapped; pages of stores and host files are read and
//! written through a buffer, because mapping them would let whoever fills the disk or truncates the file kill the sentry.

use crate::{AddressSpace, area::Place, space::Core, state::State};
use abi::Errno;
use mem::{PAGE_SIZE, Store, UserAddr, UserMemory, VolatileSlice, page_down, user::PieceFn};
use platform::Access;
use std::{
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

/// What there is at an address.
enum Found {
    /// Bytes of the memory file, and how many.
    Memory(u64, u64),
    /// Bytes of a file that the sentry has not mapped, and how many.
    Outside(Outside, u64, u64),
    /// The vDSO.
    Vdso,
    /// Has to be made present first.
    Missing,
}

/// A page of a store that nobody else is given while it is read or written without the lock.
struct Kept(Arc<Store>, u64);

impl Kept {
    fn new(store: &Arc<Store>, place: u64) -> Self {
        let page = page_down(place);
        store.retain(page..page + PAGE_SIZE);
        Self(store.clone(), page)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.release(self.1..self.1 + PAGE_SIZE);
    }
}

/// A file that the sentry has not mapped.
enum Outside {
    /// A store, with a reference to the page in question.
    Store(Kept),
    Host(Arc<OwnedFd>),
}

impl Outside {
    fn fd(&self) -> &OwnedFd {
        match self {
            Self::Store(kept) => kept.0.fd(),
            Self::Host(fd) => fd,
        }
    }
}

/// A buffer that is aligned as the words that applications keep in memory are.
#[repr(align(64))]
struct Bounce([u8; PAGE_SIZE as usize]);

impl State {
    fn find(&self, core: &Core, at: u64, access: Access, forced: bool) -> Result<Found, Errno> {
        let Some((range, area)) = self.areas.get(at) else {
            if core.vdso.as_ref().is_some_and(|v| v.range.contains(&at)) {
                return if access.contains(Access::WRITE) { Err(Errno::EFAULT) } else { Ok(Found::Vdso) };
            }
            return if self.stack_above(at).is_some() { Ok(Found::Missing) } else { Err(Errno::EFAULT) };
        };
        let write = access.contains(Access::WRITE);
        if !area.access().contains(access) {
            // A debugger may read anything, and store to private pages.
            if !forced || (write && area.shared()) {
                return Err(Errno::EFAULT);
            }
        }
        let Some((run, pages)) = self.pages.get(at) else { return Ok(Found::Missing) };
        if write && !pages.writable_in(area) {
            return Ok(Found::Missing);
        }
        let len = run.end.min(range.end) - at;
        Ok(match &pages.place {
            Place::Memory(off) => Found::Memory(off + (at - run.start), len),
            Place::Store(store, off) => {
                let place = off + (at - run.start);
                Found::Outside(Outside::Store(Kept::new(store, place)), place, len)
            }
            Place::Host(fd, off) => Found::Outside(Outside::Host(fd.clone()), off + (at - run.start), len),
        })
    }
}

impl AddressSpace {
    fn pieces(
        &self,
        addr: UserAddr,
        len: usize,
        access: Access,
        forced: bool,
        f: &mut PieceFn<'_>,
    ) -> Result<usize, Errno> {
        let core = &*self.core;
        let end = addr.0.checked_add(len as u64).ok_or(Errno::EFAULT)?;
        let mut at = addr.0;
        let so_far = |at: u64, e: Errno| if at > addr.0 { Ok((at - addr.0) as usize) } else { Err(e) };
        // Where the last page was made present without one turning up.
        let mut tries = 0;
        'fetch: while at < end {
            let state = core.state.read();
            while at < end {
                let found = match state.find(core, at, access, forced) {
                    Ok(found) => found,
                    Err(e) => return so_far(at, e),
                };
                let (used, whole) = match found {
                    Found::Memory(place, n) => {
                        let n = n.min(end - at);
                        match core.memory.slice(place, n as usize).and_then(&mut *f) {
                            Ok(used) => ((used as u64).min(n), n),
                            Err(e) => return so_far(at, e),
                        }
                    }
                    Found::Outside(file, place, n) => {
                        drop(state);
                        let n = n.min(end - at).min(PAGE_SIZE);
                        match bounce(file.fd(), place, n as usize, access, f) {
                            Ok((used, whole)) if used == whole => at += used as u64,
                            Ok((used, _)) => return so_far(at + used as u64, Errno::EFAULT),
                            Err(e) => return so_far(at, e),
                        }
                        tries = 0;
                        continue 'fetch;
                    }
                    Found::Vdso => {
                        drop(state);
                        match core.vdso.as_ref().map_or(Err(Errno::EFAULT), |v| v.bytes(at, end - at, f)) {
                            Ok((used, whole)) if used == whole => at += used,
                            Ok((used, _)) => return so_far(at + used, Errno::EFAULT),
                            Err(e) => return so_far(at, e),
                        }
                        continue 'fetch;
                    }
                    Found::Missing => {
                        drop(state);
                        tries += 1;
                        let made =
                            if tries > 64 { Err(Errno::EFAULT) } else { self.make_present(at, end, access) };
                        match made {
                            Ok(()) => continue 'fetch,
                            Err(e) => return so_far(at, e),
                        }
                    }
                };
                tries = 0;
                at += used;
                if used < whole {
                    return Ok((at - addr.0) as usize);
                }
            }
        }
        Ok((at - addr.0) as usize)
    }

    fn make_present(&self, at: u64, end: u64, access: Access) -> Result<(), Errno> {
        let made = self.core.run(|state, op| {
            if state.areas.get(at).is_none() {
                state.grow_stack(page_down(at))?;
            }
            state.touch(op, at, (end - at).min(1 << 20), access.contains(Access::WRITE))
        });
        made.map_err(Errno::from)
    }
}

/// Lets `f` use `n` bytes (within a page) of a host file; how many it used, and how many it was given.
fn bounce(
    fd: &OwnedFd,
    place: u64,
    n: usize,
    access: Access,
    f: &mut PieceFn<'_>,
) -> Result<(usize, usize), Errno> {
    let mut buffer = Bounce([0; PAGE_SIZE as usize]);
    // Not beyond the page, of which what lies behind the end of the file reads as zeros.
    let n = n.min((PAGE_SIZE - place % PAGE_SIZE) as usize);
    let bytes = buffer.0.get_mut(..n).ok_or(Errno::EFAULT)?;
    let got = host::io::read_at(fd.as_fd(), bytes, place).map_err(|_| Errno::EFAULT)?;
    if got == 0 {
        let mut first = [0];
        let there = host::io::read_at(fd.as_fd(), &mut first, page_down(place)).unwrap_or(0);
        if there == 0 {
            return Err(Errno::EFAULT);
        }
    }
    let used = f(VolatileSlice::from(&mut *bytes))?.min(n);
    if access.contains(Access::WRITE) {
        // Stores behind the end of the file are lost, as in a mapping.
        let mut done = 0;
        let keep = used.min(got);
        while let Some(rest) = bytes.get(done..keep).filter(|r| !r.is_empty()) {
            match host::io::write_at(fd.as_fd(), rest, place + done as u64) {
                Ok(0) | Err(_) => return Err(Errno::EFAULT),
                Ok(n) => done += n,
            }
        }
    }
    Ok((used, n))
}

impl crate::VdsoImage {
    /// Lets `f` use the bytes at `at`, at most `max`. `EFAULT` in the data, which the kernel has no copy of.
    fn bytes(&self, at: u64, max: u64, f: &mut PieceFn<'_>) -> Result<(u64, u64), Errno> {
        let skip = at.checked_sub(self.base).ok_or(Errno::EFAULT)? as usize;
        let rest = self.image.get(skip..).filter(|r| !r.is_empty()).ok_or(Errno::EFAULT)?;
        let n = rest.len().min(usize::try_from(max).unwrap_or(usize::MAX));
        let mut copy = rest.get(..n).unwrap_or_default().to_vec();
        let used = f(VolatileSlice::from(copy.as_mut_slice()))?.min(n);
        Ok((used as u64, n as u64))
    }
}

impl UserMemory for AddressSpace {
    fn with_pieces(
        &self,
        addr: UserAddr,
        len: usize,
        access: Access,
        f: &mut PieceFn<'_>,
    ) -> Result<usize, Errno> {
        self.pieces(addr, len, access, false, f)
    }

    fn with_pieces_forced(
        &self,
        addr: UserAddr,
        len: usize,
        access: Access,
        f: &mut PieceFn<'_>,
    ) -> Result<usize, Errno> {
        self.pieces(addr, len, access, true, f)
    }
}
