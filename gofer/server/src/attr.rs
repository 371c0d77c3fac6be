//! The host's `statx(2)` and `statfs(2)` in the protocol's terms.

use gofer_proto::{Attr, Statfs, Time};
use rustix::fs::{AtFlags, StatxFlags, StatxTimestamp, makedev};
use rustix::io::Errno;
use std::os::fd::AsFd;

const MASK: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::BTIME).union(StatxFlags::MNT_ID);

fn time(t: StatxTimestamp) -> Time {
    Time { sec: t.tv_sec, nsec: t.tv_nsec }
}

fn convert(s: &rustix::fs::Statx) -> Attr {
    Attr {
        ino: s.stx_ino,
        dev: makedev(s.stx_dev_major, s.stx_dev_minor),
        mode: u32::from(s.stx_mode),
        nlink: s.stx_nlink,
        uid: s.stx_uid,
        gid: s.stx_gid,
        rdev: makedev(s.stx_rdev_major, s.stx_rdev_minor),
        size: s.stx_size,
        blocks: s.stx_blocks,
        blksize: s.stx_blksize,
        atime: time(s.stx_atime),
        mtime: time(s.stx_mtime),
        ctime: time(s.stx_ctime),
        btime: (s.stx_mask & StatxFlags::BTIME.bits() != 0).then(|| time(s.stx_btime)),
        attributes: s.stx_attributes.bits(),
        attributes_mask: s.stx_attributes_mask.bits(),
        mnt_id: s.stx_mnt_id,
    }
}

/// Attributes of the file that `fd` is (a link itself, if it is one).
pub fn of_fd(fd: impl AsFd) -> Result<Attr, Errno> {
    rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, MASK).map(|s| convert(&s))
}

/// Attributes of the entry `name` of `dir`. `name` has been checked to be one component.
pub fn of_name(dir: impl AsFd, name: &[u8]) -> Result<Attr, Errno> {
    rustix::fs::statx(dir, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, MASK).map(|s| convert(&s))
}

/// The file system that `fd` is on.
pub fn statfs(fd: impl AsFd) -> Result<Statfs, Errno> {
    // The fields are signed words on some architectures; none of them is negative.
    let word = |n: i64| u64::try_from(n).unwrap_or(0);
    let s = rustix::fs::fstatfs(fd)?;
    Ok(Statfs {
        kind: word(s.f_type),
        bsize: word(s.f_bsize),
        frsize: word(s.f_frsize),
        blocks: s.f_blocks,
        bfree: s.f_bfree,
        bavail: s.f_bavail,
        files: s.f_files,
        ffree: s.f_ffree,
        namelen: word(s.f_namelen),
        flags: word(s.f_flags),
    })
}
