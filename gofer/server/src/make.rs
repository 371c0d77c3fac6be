//! Making, naming and removing files.
//!
//! A new file gets exactly the owner and mode that the request says: what the host chose differently (the gofer's own user,
//! an inherited group or set-group-id bit) is put right before the answer.

use crate::attr;
use crate::lookup::{open_child, open_flags};
use crate::nodes::Node;
use crate::server::{Answered, Server};
use crate::watch::Own;
use gofer_proto::*;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, Uid};
use rustix::io::Errno;
use std::os::fd::OwnedFd;

const PERMISSIONS: u32 = 0o7777;

/// Permission bits for the call that makes the file: set-id bits come only once the owner is right.
fn first_mode(make: Make) -> Mode {
    Mode::from_raw_mode(make.mode & 0o1777)
}

impl Server {
    /// Gives the new file its owner and mode, and says what it is then. The file is the gofer's own making, so this is
    /// no change of the sentry's that could be refused.
    fn give(&self, fd: &OwnedFd, make: Make) -> Result<Attr, Errno> {
        let mut attr = attr::of_fd(fd)?;
        let mut changed = false;
        if attr.uid != make.uid || attr.gid != make.gid {
            let owner = (Some(Uid::from_raw(make.uid)), Some(Gid::from_raw(make.gid)));
            match rustix::fs::chownat(fd, "", owner.0, owner.1, AtFlags::EMPTY_PATH) {
                Err(Errno::PERM | Errno::INVAL) if self.policy.tolerate_chown => {}
                other => other?,
            }
            changed = true;
        }
        let mode = make.mode & PERMISSIONS;
        if !attr.is_symlink() && (attr.mode & PERMISSIONS != mode || (changed && mode & 0o6000 != 0)) {
            rustix::fs::chmodat(
                self.proc.dir(),
                self.proc.name(fd),
                Mode::from_raw_mode(mode),
                AtFlags::empty(),
            )?;
            changed = true;
        }
        if changed {
            attr = attr::of_fd(fd)?;
        }
        Ok(attr)
    }

    /// The tail of everything that made `name` in `dir`: opens it, gives it away, answers.
    fn made(&mut self, dir: &Node, name: &Name, kind: u32, make: Make) -> Answered {
        let fd = open_child(dir, name)?;
        // Somebody outside may have exchanged the name already; then it is not ours to give away.
        if attr::of_fd(&fd)?.file_type() != kind {
            return Err(Errno::STALE);
        }
        let given = self.give(&fd, make);
        if given.is_err() {
            let flags = if kind == S_IFDIR { AtFlags::REMOVEDIR } else { AtFlags::empty() };
            let _ = rustix::fs::unlinkat(&dir.fd, name.bytes(), flags);
        }
        self.settle(&Own::Names(&[(dir.watch.get(), name)]));
        let entry = self.hold(fd, given?, dir)?;
        Ok((Answer::Made { entry, dir: attr::of_fd(&dir.fd)?, fd: None }, None))
    }

    pub(crate) fn create(&mut self, dir: NodeId, name: &Name, flags: u32, make: Make) -> Answered {
        let dir = self.writable_dir(dir, name)?;
        self.nodes.room()?;
        let (flags, access) = open_flags(flags)?;
        let how =
            flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::openat(&dir.fd, name.bytes(), how, first_mode(make))?;
        let finish = || {
            let attr = self.give(&file, make)?;
            Ok((attr, self.proc.reopen(&file, OFlags::PATH)?))
        };
        let finished = finish();
        if finished.is_err() {
            let _ = rustix::fs::unlinkat(&dir.fd, name.bytes(), AtFlags::empty());
        }
        self.settle(&Own::Names(&[(dir.watch.get(), name)]));
        let (attr, held) = finished?;
        let entry = self.hold(held, attr, &dir)?;
        Ok((Answer::Made { entry, dir: attr::of_fd(&dir.fd)?, fd: Some(access) }, Some(file)))
    }

    pub(crate) fn tmpfile(&mut self, dir: NodeId, flags: u32, make: Make) -> Answered {
        let dir = self.directory(dir)?;
        if dir.readonly {
            return Err(Errno::ROFS);
        }
        self.nodes.room()?;
        let (flags, access) = open_flags(flags)?;
        if !access.contains(Access::WRITE) {
            return Err(Errno::INVAL);
        }
        let how = flags | OFlags::TMPFILE | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::openat(&dir.fd, ".", how, first_mode(make))?;
        let attr = self.give(&file, make)?;
        let held = self.proc.reopen(&file, OFlags::PATH)?;
        let entry = self.hold(held, attr, &dir)?;
        Ok((Answer::Made { entry, dir: attr::of_fd(&dir.fd)?, fd: Some(access) }, Some(file)))
    }

    pub(crate) fn mkdir(&mut self, dir: NodeId, name: &Name, make: Make) -> Answered {
        let dir = self.writable_dir(dir, name)?;
        self.nodes.room()?;
        rustix::fs::mkdirat(&dir.fd, name.bytes(), first_mode(make))?;
        self.made(&dir, name, S_IFDIR, make)
    }

    pub(crate) fn symlink(&mut self, dir: NodeId, name: &Name, target: &LinkTarget, make: Make) -> Answered {
        let dir = self.writable_dir(dir, name)?;
        self.nodes.room()?;
        let target: &[u8] = target;
        rustix::fs::symlinkat(target, &dir.fd, name.bytes())?;
        self.made(&dir, name, S_IFLNK, make)
    }

    pub(crate) fn mknod(&mut self, dir: NodeId, name: &Name, kind: u32, rdev: u64, make: Make) -> Answered {
        let dir = self.writable_dir(dir, name)?;
        self.nodes.room()?;
        let rdev = match kind {
            S_IFREG | S_IFIFO | S_IFSOCK => 0,
            S_IFCHR if rdev == 0 => 0,
            S_IFCHR | S_IFBLK if self.policy.make_devices => rdev,
            S_IFCHR | S_IFBLK => return Err(Errno::PERM),
            _ => return Err(Errno::INVAL),
        };
        rustix::fs::mknodat(&dir.fd, name.bytes(), FileType::from_raw_mode(kind), first_mode(make), rdev)?;
        self.made(&dir, name, kind, make)
    }

    pub(crate) fn link(&mut self, node: NodeId, dir: NodeId, name: &Name) -> Answered {
        let dir = self.writable_dir(dir, name)?;
        let node = self.nodes.get(node)?;
        if node.kind == S_IFDIR {
            return Err(Errno::PERM);
        }
        if node.tree != dir.tree {
            return Err(Errno::XDEV);
        }
        self.nodes.room()?;
        // By way of /proc rather than AT_EMPTY_PATH, which wants CAP_DAC_READ_SEARCH in the initial user namespace.
        let (from, held) = (self.proc.name(&node.fd), rustix::io::fcntl_dupfd_cloexec(&node.fd, 3)?);
        rustix::fs::linkat(self.proc.dir(), from, &dir.fd, name.bytes(), AtFlags::SYMLINK_FOLLOW)?;
        self.settle(&Own::Names(&[(dir.watch.get(), name)]));
        let attr = attr::of_fd(&held)?;
        let entry = self.hold(held, attr, &dir)?;
        Ok((Answer::Made { entry, dir: attr::of_fd(&dir.fd)?, fd: None }, None))
    }

    pub(crate) fn unlink(&mut self, dir: NodeId, name: &Name, is_dir: bool) -> Answered {
        let dir = self.writable_dir(dir, name)?;
        let flags = if is_dir { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        rustix::fs::unlinkat(&dir.fd, name.bytes(), flags)?;
        self.settle(&Own::Names(&[(dir.watch.get(), name)]));
        Ok((Answer::Attr(attr::of_fd(&dir.fd)?), None))
    }

    pub(crate) fn rename(&mut self, old: (NodeId, &Name), new: (NodeId, &Name), flags: u32) -> Answered {
        let old_dir = self.writable_dir(old.0, old.1)?;
        let new_dir = self.writable_dir(new.0, new.1)?;
        if old_dir.tree != new_dir.tree {
            return Err(Errno::XDEV);
        }
        let flags = RenameFlags::from_bits_retain(flags);
        let known = RenameFlags::NOREPLACE | RenameFlags::EXCHANGE | RenameFlags::WHITEOUT;
        if !(flags - known).is_empty() {
            return Err(Errno::INVAL);
        }
        rustix::fs::renameat_with(&old_dir.fd, old.1.bytes(), &new_dir.fd, new.1.bytes(), flags)?;
        self.settle(&Own::Names(&[(old_dir.watch.get(), old.1), (new_dir.watch.get(), new.1)]));
        let (old_dir, new_dir) = (attr::of_fd(&old_dir.fd)?, attr::of_fd(&new_dir.fd)?);
        Ok((Answer::Renamed { old_dir, new_dir }, None))
    }
}
