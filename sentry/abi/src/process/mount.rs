//! Mounts: `mount(2)`, `umount2(2)`, the descriptor-based calls, `statmount(2)`.
#![allow(missing_docs, reason = "the names are Linux's, documented in mount(2), fsopen(2), mount_setattr(2)")]

use crate::pod::{flags, pod};

flags! {
    /// `MS_*` of `mount(2)`.
    pub struct MountFlags: u64 {
        const RDONLY = 1;
        const NOSUID = 2;
        const NODEV = 4;
        const NOEXEC = 8;
        const SYNCHRONOUS = 16;
        const REMOUNT = 32;
        const MANDLOCK = 64;
        const DIRSYNC = 128;
        const NOSYMFOLLOW = 256;
        const NOATIME = 1024;
        const NODIRATIME = 2048;
        const BIND = 4096;
        const MOVE = 8192;
        const REC = 16384;
        const SILENT = 32768;
        const POSIXACL = 1 << 16;
        const UNBINDABLE = 1 << 17;
        const PRIVATE = 1 << 18;
        const SLAVE = 1 << 19;
        const SHARED = 1 << 20;
        const RELATIME = 1 << 21;
        const KERNMOUNT = 1 << 22;
        const I_VERSION = 1 << 23;
        const STRICTATIME = 1 << 24;
        const LAZYTIME = 1 << 25;
    }

    /// `MNT_*` of `umount2(2)`.
    pub struct UmountFlags: u32 {
        const FORCE = 1;
        const DETACH = 2;
        const EXPIRE = 4;
        const NOFOLLOW = 8;
    }

    /// `FSOPEN_*`.
    pub struct FsopenFlags: u32 {
        const CLOEXEC = 1;
    }

    /// `FSMOUNT_*`.
    pub struct FsmountFlags: u32 {
        const CLOEXEC = 1;
    }

    /// `FSPICK_*`.
    pub struct FspickFlags: u32 {
        const CLOEXEC = 1;
        const SYMLINK_NOFOLLOW = 2;
        const NO_AUTOMOUNT = 4;
        const EMPTY_PATH = 8;
    }

    /// `OPEN_TREE_*`, with the `AT_*` that `open_tree(2)` takes.
    pub struct OpenTreeFlags: u32 {
        const CLONE = 1;
        const SYMLINK_NOFOLLOW = 0x100;
        const NO_AUTOMOUNT = 0x800;
        const EMPTY_PATH = 0x1000;
        const RECURSIVE = 0x8000;
        const CLOEXEC = 0o2_000_000;
    }

    /// `MOVE_MOUNT_*`.
    pub struct MoveMountFlags: u32 {
        const F_SYMLINKS = 0x1;
        const F_AUTOMOUNTS = 0x2;
        const F_EMPTY_PATH = 0x4;
        const T_SYMLINKS = 0x10;
        const T_AUTOMOUNTS = 0x20;
        const T_EMPTY_PATH = 0x40;
        const SET_GROUP = 0x100;
        const BENEATH = 0x200;
    }

    /// `MOUNT_ATTR_*`. Access times are a number of three bits: see [`MountAttrFlags::ATIME_MASK`].
    pub struct MountAttrFlags: u64 {
        const RDONLY = 0x1;
        const NOSUID = 0x2;
        const NODEV = 0x4;
        const NOEXEC = 0x8;
        const NOATIME = 0x10;
        const STRICTATIME = 0x20;
        const ATIME_MASK = 0x70;
        const NODIRATIME = 0x80;
        const IDMAP = 0x100000;
        const NOSYMFOLLOW = 0x200000;
    }
}

impl MountFlags {
    /// The propagation types.
    pub const PROPAGATION: MountFlags =
        MountFlags::SHARED.union(MountFlags::PRIVATE).union(MountFlags::SLAVE).union(MountFlags::UNBINDABLE);
    /// What belongs to one mount, rather than to the file system.
    pub const PER_MOUNT: MountFlags = MountFlags::RDONLY
        .union(MountFlags::NOSUID)
        .union(MountFlags::NODEV)
        .union(MountFlags::NOEXEC)
        .union(MountFlags::NOATIME)
        .union(MountFlags::NODIRATIME)
        .union(MountFlags::RELATIME)
        .union(MountFlags::NOSYMFOLLOW);
}

/// `MS_MGC_VAL`: old programs have this in the upper half of the flags, where it is ignored.
pub const MS_MGC_VAL: u64 = 0xc0ed_0000;
/// `MS_MGC_MSK`.
pub const MS_MGC_MSK: u64 = 0xffff_0000;

// `fsconfig(2)`.
pub const FSCONFIG_SET_FLAG: u32 = 0;
pub const FSCONFIG_SET_STRING: u32 = 1;
pub const FSCONFIG_SET_BINARY: u32 = 2;
pub const FSCONFIG_SET_PATH: u32 = 3;
pub const FSCONFIG_SET_PATH_EMPTY: u32 = 4;
pub const FSCONFIG_SET_FD: u32 = 5;
pub const FSCONFIG_CMD_CREATE: u32 = 6;
pub const FSCONFIG_CMD_RECONFIGURE: u32 = 7;
pub const FSCONFIG_CMD_CREATE_EXCL: u32 = 8;

/// `MOUNT_ATTR_RELATIME`: no bit at all.
pub const MOUNT_ATTR_RELATIME: u64 = 0;
pub const MOUNT_ATTR_SIZE_VER0: usize = 32;

pod! {
    /// `struct mount_attr`, 32 bytes.
    pub struct MountAttr {
        /// [`MountAttrFlags`].
        pub attr_set: u64,
        pub attr_clr: u64,
        /// `MS_SHARED` and its like, or 0.
        pub propagation: u64,
        pub userns_fd: u64,
    }

    /// `struct mnt_id_req`, 32 bytes; version 0 has 24.
    pub struct MntIdReq {
        pub size: u32,
        pub spare: u32,
        pub mnt_id: u64,
        /// `statmount(2)`: `STATMOUNT_*`; `listmount(2)`: the last id that was seen.
        pub param: u64,
        pub mnt_ns_id: u64,
    }

    /// `struct statmount`, 512 bytes; strings follow, `mnt_root` and the like are offsets into them.
    pub struct Statmount {
        /// Bytes, strings included.
        pub size: u32,
        pub mnt_opts: u32,
        /// What is filled in: `STATMOUNT_*`.
        pub mask: u64,
        pub sb_dev_major: u32,
        pub sb_dev_minor: u32,
        pub sb_magic: u64,
        pub sb_flags: u32,
        pub fs_type: u32,
        pub mnt_id: u64,
        pub mnt_parent_id: u64,
        pub mnt_id_old: u32,
        pub mnt_parent_id_old: u32,
        pub mnt_attr: u64,
        pub mnt_propagation: u64,
        pub mnt_peer_group: u64,
        pub mnt_master: u64,
        pub propagate_from: u64,
        pub mnt_root: u32,
        pub mnt_point: u32,
        pub mnt_ns_id: u64,
        pub _spare2: [u64; 49],
    }
}

pub const STATMOUNT_SB_BASIC: u64 = 0x01;
pub const STATMOUNT_MNT_BASIC: u64 = 0x02;
pub const STATMOUNT_PROPAGATE_FROM: u64 = 0x04;
pub const STATMOUNT_MNT_ROOT: u64 = 0x08;
pub const STATMOUNT_MNT_POINT: u64 = 0x10;
pub const STATMOUNT_FS_TYPE: u64 = 0x20;
pub const STATMOUNT_MNT_NS_ID: u64 = 0x40;
pub const STATMOUNT_MNT_OPTS: u64 = 0x80;
/// The root of the mount namespace, to `listmount(2)`.
pub const LSMT_ROOT: u64 = u64::MAX;
pub const LISTMOUNT_REVERSE: u32 = 1;
pub const MNT_ID_REQ_SIZE_VER0: u32 = 24;
pub const MNT_ID_REQ_SIZE_VER1: u32 = 32;
