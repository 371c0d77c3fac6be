//! `inotify(7)`.
#![allow(missing_docs, reason = "the names are Linux's, documented in inotify(7)")]

use crate::pod::{flags, pod};

flags! {
    /// `IN_*`: what is watched for, and what happened.
    pub struct InotifyMask: u32 {
        const ACCESS = 0x1;
        const MODIFY = 0x2;
        const ATTRIB = 0x4;
        const CLOSE_WRITE = 0x8;
        const CLOSE_NOWRITE = 0x10;
        const OPEN = 0x20;
        const MOVED_FROM = 0x40;
        const MOVED_TO = 0x80;
        const CREATE = 0x100;
        const DELETE = 0x200;
        const DELETE_SELF = 0x400;
        const MOVE_SELF = 0x800;
        const UNMOUNT = 0x2000;
        const Q_OVERFLOW = 0x4000;
        const IGNORED = 0x8000;
        const ONLYDIR = 0x1000000;
        const DONT_FOLLOW = 0x2000000;
        const EXCL_UNLINK = 0x4000000;
        const MASK_CREATE = 0x10000000;
        const MASK_ADD = 0x20000000;
        const ISDIR = 0x40000000;
        const ONESHOT = 0x80000000;
    }

    /// `IN_NONBLOCK`, `IN_CLOEXEC` of `inotify_init1(2)`.
    pub struct InotifyFlags: u32 {
        const NONBLOCK = 0o4000;
        const CLOEXEC = 0o2_000_000;
    }
}

impl InotifyMask {
    /// `IN_ALL_EVENTS`.
    pub const ALL_EVENTS: InotifyMask = InotifyMask::from_bits_truncate(0xfff);
}

pod! {
    /// `struct inotify_event`, before its name.
    pub struct InotifyEvent {
        /// The watch.
        pub wd: i32,
        pub mask: u32,
        /// Ties the two events of a rename together.
        pub cookie: u32,
        /// Bytes of the name that follows, with its zeros: 0 or a multiple of 16.
        pub len: u32,
    }
}

/// `fs.inotify.max_queued_events`.
pub const INOTIFY_MAX_QUEUED_EVENTS: usize = 16384;
/// `fs.inotify.max_user_instances`.
pub const INOTIFY_MAX_USER_INSTANCES: usize = 128;
/// `fs.inotify.max_user_watches`, at the least.
pub const INOTIFY_MAX_USER_WATCHES: usize = 8192;
/// The name field is a multiple of this.
pub const INOTIFY_NAME_ALIGN: usize = 16;
