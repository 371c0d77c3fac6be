//! Open flags, `fcntl(2)` commands, and the flags of the calls that take names.
//!
//! The prefix that Linux gives a flag is dropped inside its type: `O_CREAT` is [`OpenFlags::CREAT`].
#![allow(missing_docs, reason = "the constants are Linux's, documented in fcntl(2), open(2), openat2(2)")]

use crate::pod::{flags, pod};

flags! {
    /// `O_*`. The two lowest bits are a number, not flags: see [`OpenFlags::access_mode`].
    pub struct OpenFlags: u32 {
        const WRONLY = 0o1;
        const RDWR = 0o2;
        const CREAT = 0o100;
        const EXCL = 0o200;
        const NOCTTY = 0o400;
        const TRUNC = 0o1000;
        const APPEND = 0o2000;
        const NONBLOCK = 0o4000;
        const DSYNC = 0o10000;
        const ASYNC = 0o20000;
        const DIRECT = 0o40000;
        const LARGEFILE = 0o100000;
        const DIRECTORY = 0o200000;
        const NOFOLLOW = 0o400000;
        const NOATIME = 0o1000000;
        const CLOEXEC = 0o2000000;
        const __O_SYNC = 0o4000000;
        const SYNC = 0o4010000;
        const PATH = 0o10000000;
        const __O_TMPFILE = 0o20000000;
        const TMPFILE = 0o20200000;
    }

    /// `AT_*` of the `*at` calls, with the numbers shared by all of them.
    pub struct AtFlags: u32 {
        const SYMLINK_NOFOLLOW = 0x100;
        const SYMLINK_FOLLOW = 0x400;
        const NO_AUTOMOUNT = 0x800;
        const EMPTY_PATH = 0x1000;
        const STATX_FORCE_SYNC = 0x2000;
        const STATX_DONT_SYNC = 0x4000;
        const RECURSIVE = 0x8000;
        /// `faccessat2(2)` only; the same bit as [`AtFlags::REMOVEDIR`].
        const EACCESS = 0x200;
        /// `unlinkat(2)` only.
        const REMOVEDIR = 0x200;
    }

    /// `FD_*`.
    pub struct FdFlags: u32 {
        const CLOEXEC = 1;
    }

    /// `RENAME_*`.
    pub struct RenameFlags: u32 {
        const NOREPLACE = 0x1;
        const EXCHANGE = 0x2;
        const WHITEOUT = 0x4;
    }

    /// `RESOLVE_*` of `openat2(2)`.
    pub struct ResolveFlags: u64 {
        const NO_XDEV = 0x1;
        const NO_MAGICLINKS = 0x2;
        const NO_SYMLINKS = 0x4;
        const BENEATH = 0x8;
        const IN_ROOT = 0x10;
        const CACHED = 0x20;
    }

    /// `FALLOC_FL_*`.
    pub struct FallocFlags: u32 {
        const KEEP_SIZE = 0x1;
        const PUNCH_HOLE = 0x2;
        const NO_HIDE_STALE = 0x4;
        const COLLAPSE_RANGE = 0x8;
        const ZERO_RANGE = 0x10;
        const INSERT_RANGE = 0x20;
        const UNSHARE_RANGE = 0x40;
    }

    /// `SPLICE_F_*`.
    pub struct SpliceFlags: u32 {
        const MOVE = 1;
        const NONBLOCK = 2;
        const MORE = 4;
        const GIFT = 8;
    }

    /// `RWF_*` of `preadv2(2)` and `pwritev2(2)`.
    pub struct RwFlags: u32 {
        const HIPRI = 0x1;
        const DSYNC = 0x2;
        const SYNC = 0x4;
        const NOWAIT = 0x8;
        const APPEND = 0x10;
        const NOAPPEND = 0x20;
        const ATOMIC = 0x40;
    }

    /// `CLOSE_RANGE_*`.
    pub struct CloseRangeFlags: u32 {
        const UNSHARE = 2;
        const CLOEXEC = 4;
    }

    /// `SYNC_FILE_RANGE_*`.
    pub struct SyncFileRangeFlags: u32 {
        const WAIT_BEFORE = 1;
        const WRITE = 2;
        const WAIT_AFTER = 4;
    }

    /// `F_SEAL_*`.
    pub struct SealFlags: u32 {
        const SEAL = 0x1;
        const SHRINK = 0x2;
        const GROW = 0x4;
        const WRITE = 0x8;
        const FUTURE_WRITE = 0x10;
        const EXEC = 0x20;
    }
}

/// What a descriptor was opened for: the two lowest bits of the open flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum AccessMode {
    /// `O_RDONLY`.
    Read,
    /// `O_WRONLY`.
    Write,
    /// `O_RDWR`.
    ReadWrite,
    /// 3: neither reading nor writing is allowed, only ioctls; opening asks for both permissions.
    Ioctl,
}

impl OpenFlags {
    /// `O_RDONLY`: no bit at all.
    pub const RDONLY: OpenFlags = OpenFlags::empty();
    /// `O_NDELAY`, another name of `O_NONBLOCK`.
    pub const NDELAY: OpenFlags = OpenFlags::NONBLOCK;
    /// `O_ACCMODE`: the bits that hold the access mode.
    pub const ACCMODE: OpenFlags = OpenFlags::WRONLY.union(OpenFlags::RDWR);
    /// What `fcntl(F_SETFL)` can change.
    pub const SETFL: OpenFlags = OpenFlags::APPEND
        .union(OpenFlags::NONBLOCK)
        .union(OpenFlags::ASYNC)
        .union(OpenFlags::DIRECT)
        .union(OpenFlags::NOATIME);
    /// What acts while opening and is not kept in the open file (`F_GETFL` does not show it).
    pub const OPEN_ONLY: OpenFlags = OpenFlags::CREAT
        .union(OpenFlags::EXCL)
        .union(OpenFlags::NOCTTY)
        .union(OpenFlags::TRUNC)
        .union(OpenFlags::CLOEXEC);
    /// What may go with `O_PATH`; `open(2)` ignores the others then, `openat2(2)` refuses them.
    pub const PATH_FLAGS: OpenFlags =
        OpenFlags::DIRECTORY.union(OpenFlags::NOFOLLOW).union(OpenFlags::PATH).union(OpenFlags::CLOEXEC);

    /// The access mode.
    pub const fn access_mode(self) -> AccessMode {
        match self.bits() & 3 {
            0 => AccessMode::Read,
            1 => AccessMode::Write,
            2 => AccessMode::ReadWrite,
            _ => AccessMode::Ioctl,
        }
    }

    /// Whether `read(2)` is allowed on such a descriptor.
    pub const fn readable(self) -> bool {
        !self.contains(OpenFlags::PATH)
            && matches!(self.access_mode(), AccessMode::Read | AccessMode::ReadWrite)
    }

    /// Whether `write(2)` is allowed on such a descriptor.
    pub const fn writable(self) -> bool {
        !self.contains(OpenFlags::PATH)
            && matches!(self.access_mode(), AccessMode::Write | AccessMode::ReadWrite)
    }

    /// Whether this is `O_TMPFILE`: its own bit, which user space must give together with `O_DIRECTORY`.
    pub const fn is_tmpfile(self) -> bool {
        self.contains(OpenFlags::TMPFILE)
    }
}

impl AccessMode {
    /// Whether reading is allowed.
    pub const fn readable(self) -> bool {
        matches!(self, AccessMode::Read | AccessMode::ReadWrite)
    }

    /// Whether writing is allowed.
    pub const fn writable(self) -> bool {
        matches!(self, AccessMode::Write | AccessMode::ReadWrite)
    }
}

/// The directory descriptor that means the working directory.
pub const AT_FDCWD: i32 = -100;
/// `statx(2)`: the mask of the sync bits; both at once are refused.
pub const AT_STATX_SYNC_TYPE: u32 = 0x6000;
/// `name_to_handle_at(2)`: the handle is for comparing only. The same bit as `AT_REMOVEDIR`.
pub const AT_HANDLE_FID: u32 = 0x200;
/// `name_to_handle_at(2)`: report the 64-bit mount id.
pub const AT_HANDLE_MNT_ID_UNIQUE: u32 = 0x1;

// `fcntl(2)` commands.
pub const F_DUPFD: i32 = 0;
pub const F_GETFD: i32 = 1;
pub const F_SETFD: i32 = 2;
pub const F_GETFL: i32 = 3;
pub const F_SETFL: i32 = 4;
pub const F_GETLK: i32 = 5;
pub const F_SETLK: i32 = 6;
pub const F_SETLKW: i32 = 7;
pub const F_SETOWN: i32 = 8;
pub const F_GETOWN: i32 = 9;
pub const F_SETSIG: i32 = 10;
pub const F_GETSIG: i32 = 11;
pub const F_SETOWN_EX: i32 = 15;
pub const F_GETOWN_EX: i32 = 16;
pub const F_GETOWNER_UIDS: i32 = 17;
pub const F_OFD_GETLK: i32 = 36;
pub const F_OFD_SETLK: i32 = 37;
pub const F_OFD_SETLKW: i32 = 38;
pub const F_SETLEASE: i32 = 1024;
pub const F_GETLEASE: i32 = 1025;
pub const F_NOTIFY: i32 = 1026;
pub const F_DUPFD_QUERY: i32 = 1027;
pub const F_CREATED_QUERY: i32 = 1028;
pub const F_CANCELLK: i32 = 1029;
pub const F_DUPFD_CLOEXEC: i32 = 1030;
pub const F_SETPIPE_SZ: i32 = 1031;
pub const F_GETPIPE_SZ: i32 = 1032;
pub const F_ADD_SEALS: i32 = 1033;
pub const F_GET_SEALS: i32 = 1034;
pub const F_GET_RW_HINT: i32 = 1035;
pub const F_SET_RW_HINT: i32 = 1036;
pub const F_GET_FILE_RW_HINT: i32 = 1037;
pub const F_SET_FILE_RW_HINT: i32 = 1038;

// Lock types of `struct flock` and leases.
pub const F_RDLCK: i16 = 0;
pub const F_WRLCK: i16 = 1;
pub const F_UNLCK: i16 = 2;
pub const F_EXLCK: i16 = 4;
pub const F_SHLCK: i16 = 8;

// Who `struct f_owner_ex` names.
pub const F_OWNER_TID: i32 = 0;
pub const F_OWNER_PID: i32 = 1;
pub const F_OWNER_PGRP: i32 = 2;

// `F_NOTIFY` (directory notification).
pub const DN_ACCESS: u32 = 0x1;
pub const DN_MODIFY: u32 = 0x2;
pub const DN_CREATE: u32 = 0x4;
pub const DN_DELETE: u32 = 0x8;
pub const DN_RENAME: u32 = 0x10;
pub const DN_ATTRIB: u32 = 0x20;
pub const DN_MULTISHOT: u32 = 0x80000000;

// `F_SET_RW_HINT`.
pub const RWH_WRITE_LIFE_NOT_SET: u64 = 0;
pub const RWH_WRITE_LIFE_NONE: u64 = 1;
pub const RWH_WRITE_LIFE_SHORT: u64 = 2;
pub const RWH_WRITE_LIFE_MEDIUM: u64 = 3;
pub const RWH_WRITE_LIFE_LONG: u64 = 4;
pub const RWH_WRITE_LIFE_EXTREME: u64 = 5;

// `posix_fadvise(2)`.
pub const POSIX_FADV_NORMAL: i32 = 0;
pub const POSIX_FADV_RANDOM: i32 = 1;
pub const POSIX_FADV_SEQUENTIAL: i32 = 2;
pub const POSIX_FADV_WILLNEED: i32 = 3;
pub const POSIX_FADV_DONTNEED: i32 = 4;
pub const POSIX_FADV_NOREUSE: i32 = 5;

// `flock(2)`, raw.
pub const LOCK_SH: i32 = 1;
pub const LOCK_EX: i32 = 2;
pub const LOCK_NB: i32 = 4;
pub const LOCK_UN: i32 = 8;
pub const LOCK_MAND: i32 = 32;

/// What `flock(2)` asks for, without `LOCK_NB`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum FileLockOp {
    /// `LOCK_SH`.
    Shared,
    /// `LOCK_EX`.
    Exclusive,
    /// `LOCK_UN`.
    Unlock,
}

impl FileLockOp {
    /// The operation, and whether `LOCK_NB` was given; `None` for what `flock(2)` refuses with `EINVAL`.
    pub const fn from_raw(op: i32) -> Option<(FileLockOp, bool)> {
        let what = match op & !LOCK_NB {
            LOCK_SH => FileLockOp::Shared,
            LOCK_EX => FileLockOp::Exclusive,
            LOCK_UN => FileLockOp::Unlock,
            _ => return None,
        };
        Some((what, op & LOCK_NB != 0))
    }
}

/// `lseek(2)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Whence {
    /// `SEEK_SET`.
    Set,
    /// `SEEK_CUR`.
    Cur,
    /// `SEEK_END`.
    End,
    /// `SEEK_DATA`.
    Data,
    /// `SEEK_HOLE`.
    Hole,
}

impl Whence {
    /// `None` for a number that `lseek(2)` refuses.
    pub const fn from_raw(whence: u32) -> Option<Whence> {
        Some(match whence {
            0 => Whence::Set,
            1 => Whence::Cur,
            2 => Whence::End,
            3 => Whence::Data,
            4 => Whence::Hole,
            _ => return None,
        })
    }
}

pod! {
    /// `struct flock`.
    pub struct Flock {
        pub l_type: i16,
        pub l_whence: i16,
        pub _pad0: u32,
        pub l_start: i64,
        pub l_len: i64,
        pub l_pid: i32,
        pub _pad1: u32,
    }

    /// `struct f_owner_ex`.
    pub struct FOwnerEx {
        /// `F_OWNER_*`.
        pub kind: i32,
        pub pid: i32,
    }

    /// `struct open_how`. Larger ones are accepted if the rest is zero.
    pub struct OpenHow {
        pub flags: u64,
        pub mode: u64,
        pub resolve: u64,
    }

    /// `struct file_handle`, without the bytes that follow.
    pub struct FileHandle {
        pub handle_bytes: u32,
        pub handle_type: i32,
    }
}

/// The most bytes that a file handle may hold.
pub const MAX_HANDLE_SZ: u32 = 128;
/// The smallest `size` that `openat2(2)` takes.
pub const OPEN_HOW_SIZE_VER0: usize = 24;
