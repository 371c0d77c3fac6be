//! What `stat(2)`, `statx(2)`, `statfs(2)` and `getdents64(2)` report, and extended attributes' limits.
#![allow(missing_docs, reason = "the names are Linux's, documented in inode(7), statx(2), statfs(2)")]

use crate::pod::{flags, pod};
use crate::time::Timespec;
use serde::{Deserialize, Serialize};

pod! {
    /// `struct stat` of x86-64, 144 bytes.
    #[derive(Serialize, Deserialize)]
    pub struct Stat {
        /// Device number in [`dev::encode_new`]'s encoding.
        pub st_dev: u64,
        pub st_ino: u64,
        pub st_nlink: u64,
        pub st_mode: u32,
        pub st_uid: u32,
        pub st_gid: u32,
        pub _pad0: u32,
        pub st_rdev: u64,
        pub st_size: i64,
        pub st_blksize: i64,
        /// In units of 512 bytes.
        pub st_blocks: i64,
        pub st_atime: Timespec,
        pub st_mtime: Timespec,
        pub st_ctime: Timespec,
        pub _unused: [i64; 3],
    }

    /// `struct statx_timestamp`.
    #[derive(Serialize, Deserialize)]
    pub struct StatxTimestamp {
        pub tv_sec: i64,
        pub tv_nsec: u32,
        pub _reserved: i32,
    }

    /// `struct statx`, 256 bytes.
    #[derive(Serialize, Deserialize)]
    pub struct Statx {
        /// What is filled in: [`StatxMask`].
        pub stx_mask: u32,
        pub stx_blksize: u32,
        /// [`StatxAttr`].
        pub stx_attributes: u64,
        pub stx_nlink: u32,
        pub stx_uid: u32,
        pub stx_gid: u32,
        pub stx_mode: u16,
        pub _spare0: u16,
        pub stx_ino: u64,
        pub stx_size: u64,
        pub stx_blocks: u64,
        /// Which attributes the file system knows at all.
        pub stx_attributes_mask: u64,
        pub stx_atime: StatxTimestamp,
        pub stx_btime: StatxTimestamp,
        pub stx_ctime: StatxTimestamp,
        pub stx_mtime: StatxTimestamp,
        pub stx_rdev_major: u32,
        pub stx_rdev_minor: u32,
        pub stx_dev_major: u32,
        pub stx_dev_minor: u32,
        pub stx_mnt_id: u64,
        pub stx_dio_mem_align: u32,
        pub stx_dio_offset_align: u32,
        pub stx_subvol: u64,
        pub stx_atomic_write_unit_min: u32,
        pub stx_atomic_write_unit_max: u32,
        pub stx_atomic_write_segments_max: u32,
        pub _spare1: u32,
        pub _spare3: [u64; 9],
    }

    /// `struct statfs` of x86-64, 120 bytes.
    #[derive(Serialize, Deserialize)]
    pub struct Statfs {
        /// A `*_MAGIC` number.
        pub f_type: i64,
        pub f_bsize: i64,
        pub f_blocks: u64,
        pub f_bfree: u64,
        pub f_bavail: u64,
        pub f_files: u64,
        pub f_ffree: u64,
        pub f_fsid: [i32; 2],
        pub f_namelen: i64,
        pub f_frsize: i64,
        /// `ST_*`, always with [`ST_VALID`].
        pub f_flags: i64,
        pub f_spare: [i64; 4],
    }

    /// What precedes the name in a `struct linux_dirent64`. A record is this without its padding
    /// ([`DIRENT64_NAME_OFFSET`] bytes), the name, a zero, and zeros up to a multiple of 8.
    pub struct Dirent64 {
        pub d_ino: u64,
        /// Where to go on after this entry.
        pub d_off: i64,
        pub d_reclen: u16,
        /// `DT_*`: [`FileType::to_dt`].
        pub d_type: u8,
        pub _pad: [u8; 5],
    }

    /// What precedes the name in a `struct linux_dirent`; `d_type` is the record's very last byte.
    pub struct DirentOld {
        pub d_ino: u64,
        pub d_off: i64,
        pub d_reclen: u16,
        pub _pad: [u8; 6],
    }
}

/// Where the name starts in a `struct linux_dirent64`.
pub const DIRENT64_NAME_OFFSET: usize = 19;
/// Where the name starts in a `struct linux_dirent`.
pub const DIRENT_OLD_NAME_OFFSET: usize = 18;

/// The length of the `struct linux_dirent64` record of a name of `name_len` bytes.
pub const fn dirent64_reclen(name_len: usize) -> usize {
    (DIRENT64_NAME_OFFSET + name_len + 1).next_multiple_of(8)
}

/// The length of the `struct linux_dirent` record of a name: it has a type byte behind the zero.
pub const fn dirent_old_reclen(name_len: usize) -> usize {
    (DIRENT_OLD_NAME_OFFSET + name_len + 2).next_multiple_of(8)
}

impl From<Timespec> for StatxTimestamp {
    fn from(t: Timespec) -> StatxTimestamp {
        StatxTimestamp { tv_sec: t.tv_sec, tv_nsec: u32::try_from(t.tv_nsec).unwrap_or(0), _reserved: 0 }
    }
}

impl From<StatxTimestamp> for Timespec {
    fn from(t: StatxTimestamp) -> Timespec {
        Timespec { tv_sec: t.tv_sec, tv_nsec: i64::from(t.tv_nsec) }
    }
}

flags! {
    /// `STATX_*`: what is asked for, and what is filled in.
    pub struct StatxMask: u32 {
        const TYPE = 0x1;
        const MODE = 0x2;
        const NLINK = 0x4;
        const UID = 0x8;
        const GID = 0x10;
        const ATIME = 0x20;
        const MTIME = 0x40;
        const CTIME = 0x80;
        const INO = 0x100;
        const SIZE = 0x200;
        const BLOCKS = 0x400;
        const BASIC_STATS = 0x7ff;
        const BTIME = 0x800;
        const ALL = 0xfff;
        const MNT_ID = 0x1000;
        const DIOALIGN = 0x2000;
        const MNT_ID_UNIQUE = 0x4000;
        const SUBVOL = 0x8000;
        const WRITE_ATOMIC = 0x10000;
        /// `STATX__RESERVED`: refused with `EINVAL`.
        const RESERVED = 0x8000_0000;
    }

    /// `STATX_ATTR_*`.
    pub struct StatxAttr: u64 {
        const COMPRESSED = 0x4;
        const IMMUTABLE = 0x10;
        const APPEND = 0x20;
        const NODUMP = 0x40;
        const ENCRYPTED = 0x800;
        const AUTOMOUNT = 0x1000;
        const MOUNT_ROOT = 0x2000;
        const VERITY = 0x100000;
        const DAX = 0x200000;
        const WRITE_ATOMIC = 0x400000;
    }

    /// `ST_*` of `f_flags`: how a file system is mounted.
    pub struct StatfsFlags: u64 {
        const RDONLY = 0x0001;
        const NOSUID = 0x0002;
        const NODEV = 0x0004;
        const NOEXEC = 0x0008;
        const SYNCHRONOUS = 0x0010;
        /// The flags are valid; always set.
        const VALID = 0x0020;
        const MANDLOCK = 0x0040;
        const NOATIME = 0x0400;
        const NODIRATIME = 0x0800;
        const RELATIME = 0x1000;
        const NOSYMFOLLOW = 0x2000;
    }

    /// The twelve low bits of a mode: permissions, set-id and sticky.
    pub struct Mode: u32 {
        const ISUID = 0o4000;
        const ISGID = 0o2000;
        const ISVTX = 0o1000;
        const IRUSR = 0o400;
        const IWUSR = 0o200;
        const IXUSR = 0o100;
        const IRWXU = 0o700;
        const IRGRP = 0o040;
        const IWGRP = 0o020;
        const IXGRP = 0o010;
        const IRWXG = 0o070;
        const IROTH = 0o004;
        const IWOTH = 0o002;
        const IXOTH = 0o001;
        const IRWXO = 0o007;
    }

    /// What `access(2)` asks, and what a permission check is about: `R_OK`, `W_OK`, `X_OK`.
    pub struct AccessMask: u32 {
        const EXEC = 1;
        const WRITE = 2;
        const READ = 4;
    }
}

/// `ST_VALID`, as [`Statfs::f_flags`] has it.
pub const ST_VALID: i64 = 0x20;

/// `access(2)`: only whether the file is there.
pub const F_OK: u32 = 0;
pub const X_OK: u32 = 1;
pub const W_OK: u32 = 2;
pub const R_OK: u32 = 4;

impl Mode {
    /// Every permission: 0777.
    pub const RWXUGO: Mode = Mode::IRWXU.union(Mode::IRWXG).union(Mode::IRWXO);
    /// All twelve bits: 07777 (`S_IALLUGO`).
    pub const ALLUGO: Mode = Mode::RWXUGO.union(Mode::ISUID).union(Mode::ISGID).union(Mode::ISVTX);

    /// The permission part of an `st_mode` (or of a mode argument, whose other bits Linux drops too).
    pub const fn of(raw: u32) -> Mode {
        Mode::from_bits_truncate(raw)
    }

    /// What is allowed to the owner, as bits of [`AccessMask`].
    pub const fn user(self) -> AccessMask {
        AccessMask::from_bits_truncate(self.bits() >> 6)
    }

    /// What is allowed to the group.
    pub const fn group(self) -> AccessMask {
        AccessMask::from_bits_truncate(self.bits() >> 3)
    }

    /// What is allowed to everyone else.
    pub const fn other(self) -> AccessMask {
        AccessMask::from_bits_truncate(self.bits())
    }
}

/// `S_IFMT`: the bits of `st_mode` that hold the type.
pub const S_IFMT: u32 = 0o170_000;
pub const S_IFSOCK: u32 = 0o140_000;
pub const S_IFLNK: u32 = 0o120_000;
pub const S_IFREG: u32 = 0o100_000;
pub const S_IFBLK: u32 = 0o060_000;
pub const S_IFDIR: u32 = 0o040_000;
pub const S_IFCHR: u32 = 0o020_000;
pub const S_IFIFO: u32 = 0o010_000;

pub const DT_UNKNOWN: u8 = 0;
pub const DT_FIFO: u8 = 1;
pub const DT_CHR: u8 = 2;
pub const DT_DIR: u8 = 4;
pub const DT_BLK: u8 = 6;
pub const DT_REG: u8 = 8;
pub const DT_LNK: u8 = 10;
pub const DT_SOCK: u8 = 12;
pub const DT_WHT: u8 = 14;

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum FileType {
    Regular,
    Directory,
    Symlink,
    CharDevice,
    BlockDevice,
    Fifo,
    Socket,
}

impl FileType {
    /// The type in an `st_mode`; `None` where those bits say nothing known (as for anonymous inodes).
    pub const fn from_mode(mode: u32) -> Option<FileType> {
        Some(match mode & S_IFMT {
            S_IFREG => FileType::Regular,
            S_IFDIR => FileType::Directory,
            S_IFLNK => FileType::Symlink,
            S_IFCHR => FileType::CharDevice,
            S_IFBLK => FileType::BlockDevice,
            S_IFIFO => FileType::Fifo,
            S_IFSOCK => FileType::Socket,
            _ => return None,
        })
    }

    /// The `S_IF*` bits.
    pub const fn to_mode(self) -> u32 {
        match self {
            FileType::Regular => S_IFREG,
            FileType::Directory => S_IFDIR,
            FileType::Symlink => S_IFLNK,
            FileType::CharDevice => S_IFCHR,
            FileType::BlockDevice => S_IFBLK,
            FileType::Fifo => S_IFIFO,
            FileType::Socket => S_IFSOCK,
        }
    }

    /// The `DT_*` number of directory entries.
    pub const fn to_dt(self) -> u8 {
        match self {
            FileType::Regular => DT_REG,
            FileType::Directory => DT_DIR,
            FileType::Symlink => DT_LNK,
            FileType::CharDevice => DT_CHR,
            FileType::BlockDevice => DT_BLK,
            FileType::Fifo => DT_FIFO,
            FileType::Socket => DT_SOCK,
        }
    }

    /// The type of a directory entry; `None` for `DT_UNKNOWN` and what is no file.
    pub const fn from_dt(dt: u8) -> Option<FileType> {
        Some(match dt {
            DT_REG => FileType::Regular,
            DT_DIR => FileType::Directory,
            DT_LNK => FileType::Symlink,
            DT_CHR => FileType::CharDevice,
            DT_BLK => FileType::BlockDevice,
            DT_FIFO => FileType::Fifo,
            DT_SOCK => FileType::Socket,
            _ => return None,
        })
    }
}

/// Device numbers: 12 bits of major, 20 bits of minor.
pub mod dev {
    /// The encoding that user space sees in `st_dev` and `st_rdev` and gives to `mknod(2)`.
    pub const fn makedev(major: u32, minor: u32) -> u64 {
        let (major, minor) = (major as u64, minor as u64);
        (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12 | (major & !0xfff) << 32
    }

    /// `new_encode_dev`: the 32-bit form, as `mknod(2)` takes it.
    pub const fn encode_new(major: u32, minor: u32) -> u32 {
        (minor & 0xff) | (major & 0xfff) << 8 | (minor & 0xf_ff00) << 12
    }

    /// The major number.
    pub const fn major(dev: u64) -> u32 {
        ((dev >> 8 & 0xfff) | (dev >> 32 & 0xffff_f000)) as u32
    }

    /// The minor number.
    pub const fn minor(dev: u64) -> u32 {
        ((dev & 0xff) | (dev >> 12 & 0xffff_ff00)) as u32
    }

    pub const UNNAMED_MAJOR: u32 = 0;
    pub const MEM_MAJOR: u32 = 1;
    pub const TTY_MAJOR: u32 = 4;
    pub const TTYAUX_MAJOR: u32 = 5;
    pub const LOOP_MAJOR: u32 = 7;
    pub const MISC_MAJOR: u32 = 10;
    pub const LOOP_CTRL_MINOR: u32 = 237;
    pub const UNIX98_PTY_MASTER_MAJOR: u32 = 128;
    pub const UNIX98_PTY_SLAVE_MAJOR: u32 = 136;
}

// File system magic numbers, `f_type`.
pub const TMPFS_MAGIC: i64 = 0x1021994;
pub const PROC_SUPER_MAGIC: i64 = 0x9fa0;
pub const SYSFS_MAGIC: i64 = 0x62656572;
pub const DEVPTS_SUPER_MAGIC: i64 = 0x1cd1;
pub const RAMFS_MAGIC: i64 = 0x858458f6;
pub const EXT4_SUPER_MAGIC: i64 = 0xef53;
pub const XFS_SUPER_MAGIC: i64 = 0x58465342;
pub const BTRFS_SUPER_MAGIC: i64 = 0x9123683e;
pub const OVERLAYFS_SUPER_MAGIC: i64 = 0x794c7630;
pub const CGROUP_SUPER_MAGIC: i64 = 0x27e0eb;
pub const CGROUP2_SUPER_MAGIC: i64 = 0x63677270;
pub const PIPEFS_MAGIC: i64 = 0x50495045;
pub const SOCKFS_MAGIC: i64 = 0x534f434b;
pub const NSFS_MAGIC: i64 = 0x6e736673;
pub const ANON_INODE_FS_MAGIC: i64 = 0x9041934;
pub const V9FS_MAGIC: i64 = 0x1021997;
pub const FUSE_SUPER_MAGIC: i64 = 0x65735546;
pub const NFS_SUPER_MAGIC: i64 = 0x6969;
pub const HUGETLBFS_MAGIC: i64 = 0x958458f6;
pub const SECURITYFS_MAGIC: i64 = 0x73636673;
pub const SELINUX_MAGIC: i64 = 0xf97cff8c;
pub const DEBUGFS_MAGIC: i64 = 0x64626720;
pub const TRACEFS_MAGIC: i64 = 0x74726163;
pub const BPF_FS_MAGIC: i64 = 0xcafe4a11;
pub const BINFMTFS_MAGIC: i64 = 0x42494e4d;
pub const SQUASHFS_MAGIC: i64 = 0x73717368;
pub const ISOFS_SUPER_MAGIC: i64 = 0x9660;
pub const MSDOS_SUPER_MAGIC: i64 = 0x4d44;
pub const ECRYPTFS_SUPER_MAGIC: i64 = 0xf15f;
pub const F2FS_SUPER_MAGIC: i64 = 0xf2f52010;
pub const EROFS_SUPER_MAGIC_V1: i64 = 0xe0f5e1e2;
pub const MQUEUE_MAGIC: i64 = 0x19800202;
pub const PID_FS_MAGIC: i64 = 0x50494446;

flags! {
    /// `XATTR_*` of `setxattr(2)`.
    pub struct XattrFlags: u32 {
        const CREATE = 1;
        const REPLACE = 2;
    }
}

/// The longest name of an extended attribute.
pub const XATTR_NAME_MAX: usize = 255;
/// The largest value of an extended attribute.
pub const XATTR_SIZE_MAX: usize = 65536;
/// The longest list of names that `listxattr(2)` returns.
pub const XATTR_LIST_MAX: usize = 65536;
pub const XATTR_USER_PREFIX: &[u8] = b"user.";
pub const XATTR_TRUSTED_PREFIX: &[u8] = b"trusted.";
pub const XATTR_SECURITY_PREFIX: &[u8] = b"security.";
pub const XATTR_SYSTEM_PREFIX: &[u8] = b"system.";
pub const XATTR_NAME_CAPS: &[u8] = b"security.capability";
pub const XATTR_NAME_POSIX_ACL_ACCESS: &[u8] = b"system.posix_acl_access";
pub const XATTR_NAME_POSIX_ACL_DEFAULT: &[u8] = b"system.posix_acl_default";
