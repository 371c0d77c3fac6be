//! Capabilities: their names, sets, and the structures that carry them; securebits.
#![allow(missing_docs, reason = "the names are Linux's, documented in capabilities(7)")]

use crate::pod::{flags, pod};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A capability, 0 to 40.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cap(u8);

macro_rules! caps {
    ($($name:ident = $nr:literal,)*) => {
        impl Cap {
            $(pub const $name: Cap = Cap($nr);)*

            /// All of them, ascending.
            pub const ALL: &[Cap] = &[$(Cap::$name),*];

            /// The name without `CAP_`.
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($nr => stringify!($name),)*
                    // Not constructible, but for a peer that made one up.
                    _ => "?",
                }
            }
        }
    };
}

caps! {
    CHOWN = 0,
    DAC_OVERRIDE = 1,
    DAC_READ_SEARCH = 2,
    FOWNER = 3,
    FSETID = 4,
    KILL = 5,
    SETGID = 6,
    SETUID = 7,
    SETPCAP = 8,
    LINUX_IMMUTABLE = 9,
    NET_BIND_SERVICE = 10,
    NET_BROADCAST = 11,
    NET_ADMIN = 12,
    NET_RAW = 13,
    IPC_LOCK = 14,
    IPC_OWNER = 15,
    SYS_MODULE = 16,
    SYS_RAWIO = 17,
    SYS_CHROOT = 18,
    SYS_PTRACE = 19,
    SYS_PACCT = 20,
    SYS_ADMIN = 21,
    SYS_BOOT = 22,
    SYS_NICE = 23,
    SYS_RESOURCE = 24,
    SYS_TIME = 25,
    SYS_TTY_CONFIG = 26,
    MKNOD = 27,
    LEASE = 28,
    AUDIT_WRITE = 29,
    AUDIT_CONTROL = 30,
    SETFCAP = 31,
    MAC_OVERRIDE = 32,
    MAC_ADMIN = 33,
    SYSLOG = 34,
    WAKE_ALARM = 35,
    BLOCK_SUSPEND = 36,
    AUDIT_READ = 37,
    PERFMON = 38,
    BPF = 39,
    CHECKPOINT_RESTORE = 40,
}

/// The highest capability, `/proc/sys/kernel/cap_last_cap`.
pub const CAP_LAST_CAP: u8 = 40;

impl Cap {
    /// `None` beyond the last one.
    pub const fn new(nr: u64) -> Option<Cap> {
        if nr <= CAP_LAST_CAP as u64 { Some(Cap(nr as u8)) } else { None }
    }

    /// The number.
    pub const fn number(self) -> u32 {
        self.0 as u32
    }

    /// The capability of that name, with or without `CAP_`, in any case.
    pub fn from_name(name: &str) -> Option<Cap> {
        let upper = name.to_ascii_uppercase();
        let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
        Cap::ALL.iter().copied().find(|cap| cap.name() == short)
    }
}

impl fmt::Debug for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CAP_{}", self.name())
    }
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A set of capabilities: bit `n` is capability `n`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
pub struct CapSet(u64);

impl CapSet {
    pub const EMPTY: CapSet = CapSet(0);
    /// Every capability that Linux 6.12 has.
    pub const FULL: CapSet = CapSet((1 << (CAP_LAST_CAP + 1)) - 1);
    /// What a change of the file system user id takes away and gives back (Linux: `CAP_FS_SET`).
    pub const FS: CapSet = CapSet::EMPTY
        .with(Cap::CHOWN)
        .with(Cap::MKNOD)
        .with(Cap::DAC_OVERRIDE)
        .with(Cap::DAC_READ_SEARCH)
        .with(Cap::FOWNER)
        .with(Cap::FSETID)
        .with(Cap::LINUX_IMMUTABLE)
        .with(Cap::MAC_OVERRIDE);

    /// The set with these bits; unknown ones are dropped, as `capset(2)` drops them.
    pub const fn from_bits(bits: u64) -> CapSet {
        CapSet(bits & CapSet::FULL.0)
    }

    pub const fn bits(self) -> u64 {
        self.0
    }

    pub const fn contains(self, cap: Cap) -> bool {
        self.0 >> (cap.0 & 63) & 1 != 0
    }

    /// The set and this capability.
    pub const fn with(self, cap: Cap) -> CapSet {
        CapSet(self.0 | 1 << (cap.0 & 63))
    }

    /// The set but this capability.
    pub const fn without(self, cap: Cap) -> CapSet {
        CapSet(self.0 & !(1 << (cap.0 & 63)))
    }

    pub const fn insert(&mut self, cap: Cap) {
        *self = self.with(cap);
    }

    pub const fn remove(&mut self, cap: Cap) {
        *self = self.without(cap);
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every capability of this set is in `other` too.
    pub const fn is_subset(self, other: CapSet) -> bool {
        self.0 & !other.0 == 0
    }

    pub const fn union(self, other: CapSet) -> CapSet {
        CapSet(self.0 | other.0)
    }

    pub const fn intersection(self, other: CapSet) -> CapSet {
        CapSet(self.0 & other.0)
    }

    pub const fn difference(self, other: CapSet) -> CapSet {
        CapSet(self.0 & !other.0)
    }

    /// The capabilities, ascending.
    pub fn iter(self) -> impl Iterator<Item = Cap> {
        Cap::ALL.iter().copied().filter(move |cap| self.contains(*cap))
    }
}

impl fmt::Debug for CapSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == CapSet::FULL {
            return f.write_str("CapSet(all)");
        }
        f.debug_set().entries(self.iter()).finish()
    }
}

impl FromIterator<Cap> for CapSet {
    fn from_iter<I: IntoIterator<Item = Cap>>(caps: I) -> CapSet {
        caps.into_iter().fold(CapSet::EMPTY, CapSet::with)
    }
}

pod! {
    /// `struct __user_cap_header_struct`.
    pub struct CapUserHeader {
        pub version: u32,
        /// 0 is the caller.
        pub pid: i32,
    }

    /// `struct __user_cap_data_struct`: 32 bits of each set; versions 2 and 3 have two of these.
    pub struct CapUserData {
        pub effective: u32,
        pub permitted: u32,
        pub inheritable: u32,
    }

    /// `struct vfs_cap_data`: version 2 of `security.capability`, 20 bytes.
    pub struct VfsCapDataV2 {
        /// Revision and `VFS_CAP_FLAGS_EFFECTIVE`.
        pub magic_etc: u32,
        pub permitted_low: u32,
        pub inheritable_low: u32,
        pub permitted_high: u32,
        pub inheritable_high: u32,
    }

    /// `struct vfs_ns_cap_data`: version 3, for one user namespace, 24 bytes.
    pub struct VfsCapDataV3 {
        pub magic_etc: u32,
        pub permitted_low: u32,
        pub inheritable_low: u32,
        pub permitted_high: u32,
        pub inheritable_high: u32,
        /// The user that is root in the namespace that the capabilities are for.
        pub rootid: u32,
    }
}

pub const LINUX_CAPABILITY_VERSION_1: u32 = 0x1998_0330;
pub const LINUX_CAPABILITY_VERSION_2: u32 = 0x2007_1026;
pub const LINUX_CAPABILITY_VERSION_3: u32 = 0x2008_0522;

pub const VFS_CAP_REVISION_MASK: u32 = 0xff00_0000;
pub const VFS_CAP_REVISION_1: u32 = 0x0100_0000;
pub const VFS_CAP_REVISION_2: u32 = 0x0200_0000;
pub const VFS_CAP_REVISION_3: u32 = 0x0300_0000;
pub const VFS_CAP_FLAGS_EFFECTIVE: u32 = 1;

flags! {
    /// `SECBIT_*`.
    pub struct Securebits: u32 {
        const NOROOT = 1 << 0;
        const NOROOT_LOCKED = 1 << 1;
        const NO_SETUID_FIXUP = 1 << 2;
        const NO_SETUID_FIXUP_LOCKED = 1 << 3;
        const KEEP_CAPS = 1 << 4;
        const KEEP_CAPS_LOCKED = 1 << 5;
        const NO_CAP_AMBIENT_RAISE = 1 << 6;
        const NO_CAP_AMBIENT_RAISE_LOCKED = 1 << 7;
    }
}

impl Securebits {
    /// The bits that lock the bit below them.
    pub const LOCKS: Securebits = Securebits::NOROOT_LOCKED
        .union(Securebits::NO_SETUID_FIXUP_LOCKED)
        .union(Securebits::KEEP_CAPS_LOCKED)
        .union(Securebits::NO_CAP_AMBIENT_RAISE_LOCKED);
}
