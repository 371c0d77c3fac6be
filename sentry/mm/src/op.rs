//! One operation on an address space: the changes that the platform is told in one batch, and what is let go of when
//! it has been told.

use crate::{
    area::{Area, Pages, Place},
    space::Core,
};
use abi::Errno;
use mem::{RangeMap, Store};
use platform::{Access, Change};
use std::{
    ops::Range,
    os::fd::{AsRawFd, OwnedFd},
    sync::Arc,
};

/// Collected while the state is locked.
///
/// Pages are released only when the platform no longer maps them: otherwise the application could store to pages that somebody
/// else has been given. Areas may hold the last reference to a file, which must not be closed under the lock.
pub(crate) struct Op<'c> {
    pub core: &'c Core,
    changes: Vec<Change>,
    release: Vec<Range<u64>>,
    /// The same of stores.
    release_stored: Vec<(Arc<Store>, Range<u64>)>,
    trash: Vec<Area>,
    /// Descriptors that `changes` name.
    fds: Vec<Arc<OwnedFd>>,
    /// Stores that `changes` name.
    stores: Vec<Arc<Store>>,
}

/// What is dropped when the lock has been released.
pub(crate) struct Trash {
    _areas: Vec<Area>,
    _fds: Vec<Arc<OwnedFd>>,
    _stores: Vec<Arc<Store>>,
}

impl<'c> Op<'c> {
    pub fn new(core: &'c Core) -> Self {
        Self {
            core,
            changes: Vec::new(),
            release: Vec::new(),
            release_stored: Vec::new(),
            trash: Vec::new(),
            fds: Vec::new(),
            stores: Vec::new(),
        }
    }

    /// Maps the run `pages` at `range`.
    pub fn map(&mut self, range: Range<u64>, pages: &Pages, access: Access, populate: bool) {
        let (fd, offset) = match &pages.place {
            Place::Memory(offset) => (self.core.memory.raw_fd(), *offset),
            Place::Store(store, offset) => {
                self.stores.push(store.clone());
                (store.raw_fd(), *offset)
            }
            Place::Host(fd, offset) => {
                self.fds.push(fd.clone());
                (fd.as_raw_fd(), *offset)
            }
        };
        let (addr, len) = (range.start, range.end - range.start);
        match self.changes.last_mut() {
            // What is mapped over need not be unmapped first.
            Some(&mut Change::Unmap { addr: a, len: l }) if a >= range.start && a + l <= range.end => {
                self.changes.pop();
            }
            Some(Change::Map { addr: a, len: l, fd: f, offset: o, access: c, populate: p })
                if *a + *l == addr && *o + *l == offset && (*f, *c, *p) == (fd, access, populate) =>
            {
                *l += len;
                return;
            }
            _ => {}
        }
        self.changes.push(Change::Map { addr, len, fd, offset, access, populate });
    }

    pub fn unmap(&mut self, range: Range<u64>) {
        if let Some(Change::Unmap { addr, len }) = self.changes.last_mut()
            && *addr + *len == range.start
        {
            *len += range.end - range.start;
            return;
        }
        self.changes.push(Change::Unmap { addr: range.start, len: range.end - range.start });
    }

    pub fn protect(&mut self, range: Range<u64>, access: Access) {
        if let Some(Change::Protect { addr, len, access: a }) = self.changes.last_mut()
            && *addr + *len == range.start
            && *a == access
        {
            *len += range.end - range.start;
            return;
        }
        self.changes.push(Change::Protect { addr: range.start, len: range.end - range.start, access });
    }

    /// Lets go of runs that were taken out of the page table, all of them inside `whole`, in which nothing is left.
    pub fn forget_all(&mut self, runs: Vec<(Range<u64>, Pages)>) {
        let mut mapped: Option<Range<u64>> = None;
        for (range, pages) in &runs {
            if pages.mapped.is_some() {
                let start = mapped.as_ref().map_or(range.start, |m| m.start);
                mapped = Some(start..range.end);
            }
        }
        if let Some(mapped) = mapped {
            self.unmap(mapped);
        }
        for (range, pages) in runs {
            self.release(range, &pages);
        }
    }

    /// Gives back the references to a run that the platform no longer maps when this operation ends.
    pub fn release(&mut self, range: Range<u64>, pages: &Pages) {
        let len = range.end - range.start;
        match &pages.place {
            Place::Memory(offset) => match self.release.last_mut() {
                Some(last) if last.end == *offset => last.end += len,
                _ => self.release.push(*offset..*offset + len),
            },
            Place::Store(store, offset) => {
                self.release_stored.push((store.clone(), *offset..*offset + len));
            }
            Place::Host(..) => {}
        }
    }

    pub fn discard_area(&mut self, area: Area) {
        if area.object.is_some() {
            self.trash.push(area);
        }
    }

    pub fn discard_areas(&mut self, areas: Vec<(Range<u64>, Area)>) {
        self.trash.extend(areas.into_iter().map(|(_, a)| a).filter(|a| a.object.is_some()));
    }

    /// Gives back what nobody can store to any more.
    fn let_go(core: &Core, release: Vec<Range<u64>>, stored: Vec<(Arc<Store>, Range<u64>)>) {
        for range in release {
            core.memory.release(range);
        }
        for (store, range) in stored {
            store.release(range);
        }
    }

    /// The end of the space: nothing runs in it, so nothing needs to be unmapped before pages are released.
    pub fn commit_dead(self) -> Trash {
        Self::let_go(self.core, self.release, self.release_stored);
        Trash { _areas: self.trash, _fds: self.fds, _stores: self.stores }
    }

    /// Tells the platform, then releases pages. What it returns is to be dropped without the lock.
    pub fn commit(self) -> (Result<(), Errno>, Trash) {
        let Op { core, changes, release, release_stored, trash, fds, stores } = self;
        let told = match changes.as_slice() {
            [] => Ok(()),
            changes => match core.platform.apply(changes) {
                // The stub is gone; whoever runs in it is told so elsewhere.
                Err(Errno::ESRCH) => Ok(()),
                other => other,
            },
        };
        match told {
            Ok(()) => Self::let_go(core, release, release_stored),
            Err(e) => {
                // What could not be unmapped may still be stored to, so nobody else may ever have it.
                let ranges = release.iter().chain(release_stored.iter().map(|(_, range)| range));
                let bytes: u64 = ranges.map(|r| r.end - r.start).sum();
                log::warn!("the platform refused a change of mappings ({e:?}); {bytes} bytes are lost");
            }
        }
        (told, Trash { _areas: trash, _fds: fds, _stores: stores })
    }
}

/// The parts of `map` in `range`, cut to it, as copies.
pub(crate) fn clipped<V: mem::range_map::Split>(
    map: &RangeMap<V>,
    range: &Range<u64>,
) -> Vec<(Range<u64>, V)> {
    map.overlapping(range.clone())
        .map(|(r, v)| {
            let start = r.start.max(range.start);
            (start..r.end.min(range.end), v.advanced(start - r.start))
        })
        .collect()
}
