//! Changing what is there: attributes, extended attributes, writing out.

use crate::attr;
use crate::nodes::Node;
use crate::server::{Answered, Server};
use crate::watch::Own;
use gofer_proto::*;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

/// `UTIME_NOW` and `UTIME_OMIT` of `utimensat(2)`.
const UTIME_NOW: i64 = 0x3fff_ffff;
const UTIME_OMIT: i64 = 0x3fff_fffe;

fn timespec(t: SetTime) -> Result<Timespec, Errno> {
    Ok(match t {
        SetTime::Keep => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        SetTime::Now => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        SetTime::At(t) if t.nsec < 1_000_000_000 => Timespec { tv_sec: t.sec, tv_nsec: i64::from(t.nsec) },
        SetTime::At(_) => return Err(Errno::INVAL),
    })
}

/// Namespaces of extended attributes that belong to the container. `trusted` and the security modules' are the host's.
fn xattr_is_ours(name: &[u8]) -> bool {
    name.starts_with(b"user.")
        || matches!(name, b"security.capability" | b"system.posix_acl_access" | b"system.posix_acl_default")
}

impl Server {
    pub(crate) fn set_attr(&mut self, id: NodeId, set: SetAttr) -> Answered {
        let node = self.writable(id)?;
        let times = Timestamps { last_access: timespec(set.atime)?, last_modification: timespec(set.mtime)? };
        let done = self.apply(&node, &set, &times);
        // Also where only the first of several changes worked.
        let attr = attr::of_fd(&node.fd)?;
        self.settle(&Own::File(&attr));
        done?;
        Ok((Answer::Attr(attr), None))
    }

    fn apply(&self, node: &Node, set: &SetAttr, times: &Timestamps) -> Result<(), Errno> {
        if let Some(size) = set.size {
            match node.kind {
                S_IFREG => {}
                S_IFDIR => return Err(Errno::ISDIR),
                _ => return Err(Errno::INVAL),
            }
            let file = self.proc.reopen(&node.fd, OFlags::WRONLY | OFlags::NONBLOCK)?;
            rustix::fs::ftruncate(&file, size)?;
        }
        if set.uid.is_some() || set.gid.is_some() {
            // All ones means "leave" to the host; as an id it is refused, as Linux does.
            if set.uid == Some(u32::MAX) || set.gid == Some(u32::MAX) {
                return Err(Errno::INVAL);
            }
            let (uid, gid) = (set.uid.map(Uid::from_raw), set.gid.map(Gid::from_raw));
            rustix::fs::chownat(&node.fd, "", uid, gid, AtFlags::EMPTY_PATH)?;
        }
        if let Some(mode) = set.mode {
            if node.kind == S_IFLNK {
                return Err(Errno::OPNOTSUPP);
            }
            let mode = Mode::from_raw_mode(mode & 0o7777);
            rustix::fs::chmodat(self.proc.dir(), self.proc.name(&node.fd), mode, AtFlags::empty())?;
        }
        if set.atime != SetTime::Keep || set.mtime != SetTime::Keep {
            rustix::fs::utimensat(&node.fd, "", times, AtFlags::EMPTY_PATH)?;
        }
        Ok(())
    }

    pub(crate) fn get_xattr(&mut self, id: NodeId, name: &Name) -> Answered {
        let node = self.nodes.get(id)?;
        if !xattr_is_ours(name.bytes()) {
            return Err(Errno::NODATA);
        }
        let mut value = vec![0; MAX_XATTR];
        let len = rustix::fs::getxattr(self.proc.path(&node.fd), name.bytes(), value.as_mut_slice())?;
        value.truncate(len);
        Ok((Answer::Bytes(value.try_into().map_err(|_| Errno::TOOBIG)?), None))
    }

    pub(crate) fn list_xattr(&mut self, id: NodeId) -> Answered {
        let node = self.nodes.get(id)?;
        let mut list = vec![0; MAX_XATTR];
        let len = rustix::fs::listxattr(self.proc.path(&node.fd), list.as_mut_slice())?;
        list.truncate(len);
        let ours: Vec<u8> = list
            .split_inclusive(|&b| b == 0)
            .filter(|n| xattr_is_ours(n.strip_suffix(b"\0").unwrap_or(n)))
            .flatten()
            .copied()
            .collect();
        Ok((Answer::Bytes(ours.try_into().map_err(|_| Errno::TOOBIG)?), None))
    }

    pub(crate) fn set_xattr(&mut self, id: NodeId, name: &Name, value: &[u8], flags: u32) -> Answered {
        let node = self.writable(id)?;
        if !xattr_is_ours(name.bytes()) {
            return Err(Errno::PERM);
        }
        let flags =
            XattrFlags::from_bits(flags).filter(|f| !f.contains(XattrFlags::all())).ok_or(Errno::INVAL)?;
        rustix::fs::setxattr(self.proc.path(&node.fd), name.bytes(), value, flags)?;
        self.settle(&Own::File(&attr::of_fd(&node.fd)?));
        Ok((Answer::Done, None))
    }

    pub(crate) fn remove_xattr(&mut self, id: NodeId, name: &Name) -> Answered {
        let node = self.writable(id)?;
        if !xattr_is_ours(name.bytes()) {
            return Err(Errno::PERM);
        }
        rustix::fs::removexattr(self.proc.path(&node.fd), name.bytes())?;
        self.settle(&Own::File(&attr::of_fd(&node.fd)?));
        Ok((Answer::Done, None))
    }

    pub(crate) fn fsync(&mut self, id: NodeId, data_only: bool) -> Answered {
        let node = self.nodes.get(id)?;
        let file = match node.kind {
            S_IFDIR => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                rustix::fs::openat(&node.fd, ".", flags, Mode::empty())?
            }
            S_IFREG => self.proc.reopen(&node.fd, OFlags::RDONLY | OFlags::NONBLOCK)?,
            _ => return Err(Errno::INVAL),
        };
        if data_only {
            rustix::fs::fdatasync(&file)?
        } else {
            rustix::fs::fsync(&file)?
        }
        Ok((Answer::Done, None))
    }
}
