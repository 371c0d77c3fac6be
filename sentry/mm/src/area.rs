//! Areas (what an application asked for) and runs of pages (what is there of it).

use crate::MemoryObject;
use abi::Prot;
use mem::{Backing, Invalidate, Mappable, Store, range_map::Split};
use platform::Access;
use std::{
    os::fd::OwnedFd,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};
use vfs::File;

bitflags::bitflags! {
    /// Properties of an area beside its protection.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct AreaFlags: u32 {
        /// Stores reach the object and whoever else maps it.
        const SHARED = 1;
        /// Grows towards lower addresses when touched there (`MAP_GROWSDOWN`, stacks).
        const GROWSDOWN = 1 << 1;
        /// `mlock(2)`.
        const LOCKED = 1 << 2;
        /// `MLOCK_ONFAULT`.
        const LOCK_ON_FAULT = 1 << 3;
        /// `MAP_NORESERVE`: no memory is set aside before it is touched.
        const NORESERVE = 1 << 4;
        /// `MADV_DONTFORK`.
        const DONTFORK = 1 << 5;
        /// `MADV_WIPEONFORK`.
        const WIPEONFORK = 1 << 6;
        /// `MADV_DONTDUMP`.
        const DONTDUMP = 1 << 7;
        /// `MADV_HUGEPAGE`; remembered for `smaps`.
        const HUGEPAGE = 1 << 8;
        /// `MADV_NOHUGEPAGE`; remembered for `smaps`.
        const NOHUGEPAGE = 1 << 9;
        /// `MADV_MERGEABLE`; remembered for `smaps`.
        const MERGEABLE = 1 << 10;
        /// `MADV_SEQUENTIAL`; remembered for `smaps`.
        const SEQUENTIAL = 1 << 11;
        /// `MADV_RANDOM`; remembered for `smaps`.
        const RANDOM = 1 << 12;
        /// `mseal(2)`: stays where and as it is until the address space goes.
        const SEALED = 1 << 13;
    }
}

/// Told when an object gets into an address space and when it leaves it again (`shm_nattch`).
///
/// **Lock order:** called under [`ksync::rank::MM`].
pub trait Attachment: Send + Sync {
    /// One more area maps the object: `mmap` or fork.
    fn attached(&self);
    /// The last part of such an area has gone.
    fn detached(&self);
}

/// An object as one `mmap` put it into one address space.
pub(crate) struct Mapped {
    pub mappable: Arc<dyn Mappable>,
    pub file: Option<Arc<File>>,
    /// The object as what it is, where it is shared anonymous memory.
    pub memory: Option<Arc<MemoryObject>>,
    /// What `/proc/pid/maps` calls it, where there is no file.
    pub name: Option<Arc<str>>,
    pub attachment: Option<Arc<dyn Attachment>>,
    who: Weak<dyn Invalidate>,
    /// Counted as a shared mapping that may be stored to.
    writer: AtomicBool,
}

impl Mapped {
    pub fn new(
        mappable: Arc<dyn Mappable>,
        file: Option<Arc<File>>,
        memory: Option<Arc<MemoryObject>>,
        name: Option<Arc<str>>,
        attachment: Option<Arc<dyn Attachment>>,
        who: Weak<dyn Invalidate>,
        writer: bool,
    ) -> Arc<Self> {
        mappable.mappings().add(&who);
        if writer {
            mappable.mappings().add_writer();
        }
        if let Some(attachment) = &attachment {
            attachment.attached();
        }
        let writer = AtomicBool::new(writer);
        Arc::new(Self { mappable, file, memory, name, attachment, who, writer })
    }

    /// The same for another address space.
    pub fn for_other(&self, who: Weak<dyn Invalidate>) -> Arc<Self> {
        Self::new(
            self.mappable.clone(),
            self.file.clone(),
            self.memory.clone(),
            self.name.clone(),
            self.attachment.clone(),
            who,
            self.writer.load(Ordering::Relaxed),
        )
    }

    /// It may not be stored to after all.
    pub fn forbid_writing(&self) {
        if self.writer.swap(false, Ordering::Relaxed) {
            self.mappable.mappings().remove_writer();
        }
    }

    /// Identity of the object for as long as anybody has it.
    pub fn identity(&self) -> usize {
        std::ptr::from_ref(self.mappable.mappings()).addr()
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        self.forbid_writing();
        self.mappable.mappings().remove(&self.who);
        if let Some(attachment) = &self.attachment {
            attachment.detached();
        }
    }
}

/// What an application asked for over a range.
#[derive(Clone)]
pub(crate) struct Area {
    /// `PROT_READ`, `PROT_WRITE`, `PROT_EXEC`.
    pub prot: Prot,
    /// What `mprotect` may make of it.
    pub max: Prot,
    pub flags: AreaFlags,
    /// `None`: private anonymous memory.
    pub object: Option<Arc<Mapped>>,
    /// Where in the object the area starts; 0 without one.
    pub offset: u64,
    /// `PR_SET_VMA_ANON_NAME`.
    pub name: Option<Arc<str>>,
}

impl Area {
    /// Private anonymous memory.
    pub fn anonymous(prot: Prot, flags: AreaFlags) -> Self {
        let max = Prot::READ | Prot::WRITE | Prot::EXEC;
        Self { prot, max, flags, object: None, offset: 0, name: None }
    }

    pub fn shared(&self) -> bool {
        self.flags.contains(AreaFlags::SHARED)
    }

    pub fn sealed(&self) -> bool {
        self.flags.contains(AreaFlags::SEALED)
    }

    pub fn locked(&self) -> bool {
        self.flags.contains(AreaFlags::LOCKED)
    }

    /// What the CPU lets through: x86 has no store or fetch without load.
    pub fn access(&self) -> Access {
        let mut access = Access::empty();
        if self.prot.intersects(Prot::READ | Prot::WRITE | Prot::EXEC) {
            access |= Access::READ;
        }
        if self.prot.contains(Prot::WRITE) {
            access |= Access::WRITE;
        }
        if self.prot.contains(Prot::EXEC) {
            access |= Access::EXEC;
        }
        access
    }

    /// Counts towards `RLIMIT_DATA`: private, writable, not a stack.
    pub fn is_data(&self) -> bool {
        self.prot.contains(Prot::WRITE) && !self.shared() && !self.flags.contains(AreaFlags::GROWSDOWN)
    }

    /// Private and without a file.
    pub fn is_private_anonymous(&self) -> bool {
        self.object.is_none()
    }
}

impl Split for Area {
    fn advanced(&self, by: u64) -> Self {
        let mut part = self.clone();
        if part.object.is_some() {
            part.offset += by;
        }
        part
    }

    fn continues(&self, len: u64, next: &Self) -> bool {
        let same_object = match (&self.object, &next.object) {
            (None, None) => true,
            (Some(a), Some(b)) => {
                let same = Arc::ptr_eq(a, b)
                    || (a.attachment.is_none()
                        && b.attachment.is_none()
                        && a.identity() == b.identity()
                        && matches!((&a.file, &b.file), (Some(a), Some(b)) if Arc::ptr_eq(a, b)));
                same && self.offset + len == next.offset
            }
            _ => false,
        };
        same_object
            && (self.prot, self.max, self.flags) == (next.prot, next.max, next.flags)
            && self.name == next.name
    }
}

/// Where the bytes of a run of pages are.
#[derive(Clone)]
pub(crate) enum Place {
    /// In the memory file; a reference to each page is held.
    Memory(u64),
    /// In a store; likewise.
    Store(Arc<Store>, u64),
    /// In a host file.
    Host(Arc<OwnedFd>, u64),
}

impl From<Backing> for Place {
    fn from(backing: Backing) -> Self {
        match backing {
            Backing::Memory(offset) => Place::Memory(offset),
            Backing::Store(store, offset) => Place::Store(store, offset),
            Backing::Host { fd, offset } => Place::Host(fd, offset),
        }
    }
}

/// A run of pages that are there.
#[derive(Clone)]
pub(crate) struct Pages {
    pub place: Place,
    /// They belong to address spaces (anonymous, or copied on write) and not to an object. Only in private areas.
    pub owned: bool,
    /// Owned pages that other address spaces may have too.
    pub cow: bool,
    /// What the platform lets the application do; `None` where it has nothing mapped.
    pub mapped: Option<Access>,
}

impl Pages {
    /// Whether stores may go to these very pages in `area`.
    pub fn writable_in(&self, area: &Area) -> bool {
        area.shared() || (self.owned && !self.cow)
    }

    /// What the platform shall let through in `area`.
    pub fn target(&self, area: &Area) -> Access {
        let access = area.access();
        if self.writable_in(area) { access } else { access - Access::WRITE }
    }
}

impl Split for Pages {
    fn advanced(&self, by: u64) -> Self {
        let place = match &self.place {
            Place::Memory(offset) => Place::Memory(offset + by),
            Place::Store(store, offset) => Place::Store(store.clone(), offset + by),
            Place::Host(fd, offset) => Place::Host(fd.clone(), offset + by),
        };
        Self { place, ..*self }
    }

    fn continues(&self, len: u64, next: &Self) -> bool {
        let adjacent = match (&self.place, &next.place) {
            (Place::Memory(a), Place::Memory(b)) => a + len == *b,
            (Place::Store(s, a), Place::Store(t, b)) => Arc::ptr_eq(s, t) && a + len == *b,
            (Place::Host(f, a), Place::Host(g, b)) => Arc::ptr_eq(f, g) && a + len == *b,
            _ => false,
        };
        adjacent && (self.owned, self.cow, self.mapped) == (next.owned, next.cow, next.mapped)
    }
}
