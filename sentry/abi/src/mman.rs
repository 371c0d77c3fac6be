//! Memory: `mmap(2)` and its family.
#![allow(missing_docs, reason = "the names are Linux's, documented in mmap(2), madvise(2), mremap(2)")]

use crate::pod::flags;

flags! {
    /// `PROT_*`.
    pub struct Prot: u32 {
        const READ = 0x1;
        const WRITE = 0x2;
        const EXEC = 0x4;
        const SEM = 0x8;
        const GROWSDOWN = 0x1000000;
        const GROWSUP = 0x2000000;
    }

    /// `MAP_*`. The four lowest bits are a number, not flags: see [`MapFlags::kind`].
    pub struct MapFlags: u32 {
        const SHARED = 0x1;
        const PRIVATE = 0x2;
        const FIXED = 0x10;
        const ANONYMOUS = 0x20;
        const _32BIT = 0x40;
        const ABOVE4G = 0x80;
        const GROWSDOWN = 0x100;
        const DENYWRITE = 0x800;
        const EXECUTABLE = 0x1000;
        const LOCKED = 0x2000;
        const NORESERVE = 0x4000;
        const POPULATE = 0x8000;
        const NONBLOCK = 0x10000;
        const STACK = 0x20000;
        const HUGETLB = 0x40000;
        const SYNC = 0x80000;
        const FIXED_NOREPLACE = 0x100000;
        const UNINITIALIZED = 0x4000000;
        /// Six bits that hold the logarithm of the huge page size.
        const HUGE_MASK = 0x3f << 26;
    }

    /// `MREMAP_*`.
    pub struct MremapFlags: u32 {
        const MAYMOVE = 1;
        const FIXED = 2;
        const DONTUNMAP = 4;
    }

    /// `MS_*` of `msync(2)`.
    pub struct MsyncFlags: u32 {
        const ASYNC = 1;
        const INVALIDATE = 2;
        const SYNC = 4;
    }

    /// `MCL_*` of `mlockall(2)`.
    pub struct MlockallFlags: u32 {
        const CURRENT = 1;
        const FUTURE = 2;
        const ONFAULT = 4;
    }

    /// `MLOCK_*` of `mlock2(2)`.
    pub struct MlockFlags: u32 {
        const ONFAULT = 1;
    }

    /// `MFD_*` of `memfd_create(2)`.
    pub struct MemfdFlags: u32 {
        const CLOEXEC = 0x1;
        const ALLOW_SEALING = 0x2;
        const HUGETLB = 0x4;
        const NOEXEC_SEAL = 0x8;
        const EXEC = 0x10;
        const HUGE_MASK = 0x3f << 26;
    }
}

/// How a mapping is shared: the lowest bits of `mmap`'s flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum MapKind {
    /// `MAP_SHARED`: unknown flags are ignored.
    Shared,
    /// `MAP_PRIVATE`.
    Private,
    /// `MAP_SHARED_VALIDATE`: unknown flags are refused with `EOPNOTSUPP`.
    SharedValidate,
}

impl MapFlags {
    /// `MAP_SHARED_VALIDATE`: both low bits, a third kind of mapping.
    pub const SHARED_VALIDATE: MapFlags = MapFlags::SHARED.union(MapFlags::PRIVATE);

    /// The kind of mapping; `None` for what `mmap(2)` refuses with `EINVAL`. (`MAP_DROPPABLE`, 8, is refused
    /// too: it only serves getrandom's vDSO.)
    pub const fn kind(self) -> Option<MapKind> {
        match self.bits() & 0xf {
            1 => Some(MapKind::Shared),
            2 => Some(MapKind::Private),
            3 => Some(MapKind::SharedValidate),
            _ => None,
        }
    }

    /// The logarithm of the huge page size that was asked for; 0 is the default size.
    pub const fn huge_shift(self) -> u32 {
        self.bits() >> 26 & 0x3f
    }

    /// Whether a target address is given: `MAP_FIXED` or `MAP_FIXED_NOREPLACE`.
    pub const fn is_fixed(self) -> bool {
        self.intersects(MapFlags::FIXED.union(MapFlags::FIXED_NOREPLACE))
    }
}

// `madvise(2)`.
pub const MADV_NORMAL: i32 = 0;
pub const MADV_RANDOM: i32 = 1;
pub const MADV_SEQUENTIAL: i32 = 2;
pub const MADV_WILLNEED: i32 = 3;
pub const MADV_DONTNEED: i32 = 4;
pub const MADV_FREE: i32 = 8;
pub const MADV_REMOVE: i32 = 9;
pub const MADV_DONTFORK: i32 = 10;
pub const MADV_DOFORK: i32 = 11;
pub const MADV_MERGEABLE: i32 = 12;
pub const MADV_UNMERGEABLE: i32 = 13;
pub const MADV_HUGEPAGE: i32 = 14;
pub const MADV_NOHUGEPAGE: i32 = 15;
pub const MADV_DONTDUMP: i32 = 16;
pub const MADV_DODUMP: i32 = 17;
pub const MADV_WIPEONFORK: i32 = 18;
pub const MADV_KEEPONFORK: i32 = 19;
pub const MADV_COLD: i32 = 20;
pub const MADV_PAGEOUT: i32 = 21;
pub const MADV_POPULATE_READ: i32 = 22;
pub const MADV_POPULATE_WRITE: i32 = 23;
pub const MADV_DONTNEED_LOCKED: i32 = 24;
pub const MADV_COLLAPSE: i32 = 25;
pub const MADV_HWPOISON: i32 = 100;
pub const MADV_SOFT_OFFLINE: i32 = 101;

/// `mincore(2)`: the page is resident.
pub const MINCORE_RESIDENT: u8 = 1;

// Memory policies: `mbind(2)`, `set_mempolicy(2)`, `get_mempolicy(2)`.
pub const MPOL_DEFAULT: u32 = 0;
pub const MPOL_PREFERRED: u32 = 1;
pub const MPOL_BIND: u32 = 2;
pub const MPOL_INTERLEAVE: u32 = 3;
pub const MPOL_LOCAL: u32 = 4;
pub const MPOL_PREFERRED_MANY: u32 = 5;
pub const MPOL_WEIGHTED_INTERLEAVE: u32 = 6;
pub const MPOL_F_STATIC_NODES: u32 = 0x8000;
pub const MPOL_F_RELATIVE_NODES: u32 = 0x4000;
pub const MPOL_F_NUMA_BALANCING: u32 = 0x2000;
pub const MPOL_F_NODE: u32 = 0x1;
pub const MPOL_F_ADDR: u32 = 0x2;
pub const MPOL_F_MEMS_ALLOWED: u32 = 0x4;
pub const MPOL_MF_STRICT: u32 = 0x1;
pub const MPOL_MF_MOVE: u32 = 0x2;
pub const MPOL_MF_MOVE_ALL: u32 = 0x4;

// Protection keys.
pub const PKEY_DISABLE_ACCESS: u32 = 1;
pub const PKEY_DISABLE_WRITE: u32 = 2;
