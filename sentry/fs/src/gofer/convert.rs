//! Between the gofer's forms and the VFS's.

use super::GoferFs;
use abi::{Errno, Timespec, stat};
use gofer_client as gofer;
use host::HostErrno;
use vfs::{Attr, Gid, NewNode, SetAttr, SetTime, Uid};

pub fn errno(e: HostErrno) -> Errno {
    Errno::from_host(e as i32)
}

pub fn time(t: gofer::Time) -> Timespec {
    Timespec { tv_sec: t.sec, tv_nsec: i64::from(t.nsec) }
}

pub fn host_time((tv_sec, tv_nsec): (i64, i64)) -> Timespec {
    Timespec { tv_sec, tv_nsec }
}

pub fn attr(fs: &GoferFs, a: &gofer::Attr) -> Attr {
    Attr {
        dev: fs.device(a.dev),
        ino: a.ino,
        mode: a.mode,
        nlink: u64::from(a.nlink),
        uid: Uid(a.uid),
        gid: Gid(a.gid),
        rdev: a.rdev,
        size: a.size,
        blocks: a.blocks,
        blksize: u64::from(a.blksize),
        atime: time(a.atime),
        mtime: time(a.mtime),
        ctime: time(a.ctime),
        btime: a.btime.map(time),
        attributes: a.attributes,
    }
}

fn set_time(t: Option<SetTime>) -> gofer::SetTime {
    match t {
        None => gofer::SetTime::Keep,
        Some(SetTime::Now) => gofer::SetTime::Now,
        Some(SetTime::At(t)) => {
            gofer::SetTime::At(gofer::Time { sec: t.tv_sec, nsec: u32::try_from(t.tv_nsec).unwrap_or(0) })
        }
    }
}

pub fn set_attr(s: &SetAttr) -> gofer::SetAttr {
    gofer::SetAttr {
        mode: s.mode.map(|m| m & 0o7777),
        uid: s.uid.map(|u| u.0),
        gid: s.gid.map(|g| g.0),
        size: s.size,
        atime: set_time(s.atime),
        mtime: set_time(s.mtime),
    }
}

pub fn make(new: &NewNode) -> gofer::Make {
    gofer::Make { mode: new.mode & 0o7777, uid: new.uid.0, gid: new.gid.0 }
}

pub fn statfs(s: &gofer::Statfs, dev: u64) -> stat::Statfs {
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    stat::Statfs {
        f_type: signed(s.kind),
        f_bsize: signed(s.bsize),
        f_frsize: signed(s.frsize),
        f_blocks: s.blocks,
        f_bfree: s.bfree,
        f_bavail: s.bavail,
        f_files: s.files,
        f_ffree: s.ffree,
        f_fsid: [dev as i32, (dev >> 32) as i32],
        f_namelen: signed(s.namelen),
        ..stat::Statfs::default()
    }
}

/// What `/proc/mounts` calls a file system of this kind.
pub fn fs_name(magic: i64) -> &'static str {
    match magic {
        stat::EXT4_SUPER_MAGIC => "ext4",
        stat::XFS_SUPER_MAGIC => "xfs",
        stat::BTRFS_SUPER_MAGIC => "btrfs",
        stat::OVERLAYFS_SUPER_MAGIC => "overlay",
        stat::TMPFS_MAGIC => "tmpfs",
        stat::NFS_SUPER_MAGIC => "nfs4",
        stat::F2FS_SUPER_MAGIC => "f2fs",
        stat::FUSE_SUPER_MAGIC => "fuse",
        stat::V9FS_MAGIC => "9p",
        _ => "gofer",
    }
}
