//! Finding and opening what is there: attach, walk, stat, open, list, connect.

use crate::attr;
use crate::nodes::Node;
use crate::server::{Answered, Server};
use gofer_proto::codec::encoded_len;
use gofer_proto::*;
use rustix::fs::{Mode, OFlags, RawDir, ResolveFlags, SeekFrom};
use rustix::io::Errno;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

/// Directories that are kept open between two parts of a listing.
const MAX_LISTINGS: usize = 64;

/// Opens the entry `name` of `dir` as what it is, following nothing.
pub fn open_child(dir: &Node, name: &Name) -> Result<OwnedFd, Errno> {
    rustix::fs::openat2(
        &dir.fd,
        name.bytes(),
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    )
}

fn target(link: &OwnedFd) -> Result<LinkTarget, Errno> {
    let text = rustix::fs::readlinkat(link, "", Vec::new())?;
    LinkTarget::new(text.to_bytes()).map_err(|_| Errno::NAMETOOLONG)
}

/// `O_*` of a request, checked.
pub fn open_flags(flags: u32) -> Result<(OFlags, Access), Errno> {
    let allowed = OFlags::ACCMODE
        | OFlags::TRUNC
        | OFlags::APPEND
        | OFlags::DIRECT
        | OFlags::NOATIME
        | OFlags::SYNC
        | OFlags::DSYNC;
    let flags = OFlags::from_bits_retain(flags);
    let access = match flags & OFlags::ACCMODE {
        m if m == OFlags::RDONLY => Access::READ,
        m if m == OFlags::WRONLY => Access::WRITE,
        m if m == OFlags::RDWR => Access::READ | Access::WRITE,
        _ => return Err(Errno::INVAL),
    };
    if !(flags - allowed).is_empty() { Err(Errno::INVAL) } else { Ok((flags, access)) }
}

impl Server {
    pub(crate) fn attach(&mut self, index: u32) -> Answered {
        let index = usize::try_from(index).map_err(|_| Errno::NODEV)?;
        let tree = self.trees.get(index).ok_or(Errno::NODEV)?;
        self.nodes.room()?;
        let fd = rustix::io::fcntl_dupfd_cloexec(&tree.root, 3)?;
        let attr = attr::of_fd(&fd)?;
        let readonly = tree.readonly;
        let watch = std::cell::Cell::new(None);
        let node = self.nodes.add(Node { fd, kind: attr.file_type(), tree: index, readonly, watch })?;
        Ok((Answer::Node(Entry { node, attr }), None))
    }

    pub(crate) fn walk(&mut self, from: NodeId, names: &[Name], flags: WalkFlags, want: Want) -> Answered {
        for name in names {
            self.check_name(name)?;
        }
        let start = self.nodes.get(from)?;
        let mut walked = Walked {
            steps: List::new(),
            end: WalkEnd::Complete,
            watched: flags.contains(WalkFlags::WATCH),
            fd: None,
        };
        if names.is_empty() {
            self.nodes.room()?;
            let fd = rustix::io::fcntl_dupfd_cloexec(&start.fd, 3)?;
            let attr = attr::of_fd(&fd)?;
            let entry = self.hold(fd, attr, &start)?;
            let _ = walked.steps.push(entry);
        } else if start.kind != S_IFDIR {
            return Err(Errno::NOTDIR);
        }
        let (mut dir, mut dir_id) = (start, from);
        for (i, name) in names.iter().enumerate() {
            // Before the look-up: a change between the two is then announced, never missed.
            walked.watched = walked.watched && self.watches.add(&self.proc, dir_id, &dir).is_ok();
            let entry = match self.step(&dir, name) {
                Ok(entry) => entry,
                Err(Errno::NOENT) => {
                    walked.end = WalkEnd::Missing;
                    break;
                }
                Err(e) => {
                    walked.end = WalkEnd::Failed(e.raw_os_error());
                    break;
                }
            };
            // At most MAX_WALK names came in.
            let _ = walked.steps.push(entry);
            if entry.attr.is_symlink() {
                break;
            }
            if i + 1 < names.len() && !entry.attr.is_dir() {
                walked.end = WalkEnd::NotDirectory;
                break;
            }
            dir = self.nodes.get(entry.node)?;
            dir_id = entry.node;
        }
        let mut fd = None;
        if walked.end == WalkEnd::Complete
            && let Some(last) = walked.steps.last().copied()
        {
            let node = self.nodes.get(last.node)?;
            if node.kind == S_IFLNK {
                walked.end = match target(&node.fd) {
                    Ok(t) => WalkEnd::Symlink(t),
                    Err(e) => WalkEnd::Failed(e.raw_os_error()),
                };
            } else if node.kind == S_IFREG
                && let Some((file, access)) = self.wanted(&node, want)
            {
                walked.fd = Some(access);
                fd = Some(file);
            }
        }
        Ok((Answer::Walked(walked), fd))
    }

    fn step(&mut self, dir: &Node, name: &Name) -> Result<Entry, Errno> {
        self.nodes.room()?;
        let fd = open_child(dir, name)?;
        let attr = attr::of_fd(&fd)?;
        self.hold(fd, attr, dir)
    }

    /// The descriptor a walk was asked to bring, if it can be had.
    fn wanted(&self, node: &Node, want: Want) -> Option<(OwnedFd, Access)> {
        let open = |flags| self.proc.reopen(&node.fd, flags | OFlags::NONBLOCK).ok();
        let read = || open(OFlags::RDONLY).map(|fd| (fd, Access::READ));
        match want {
            Want::Nothing => None,
            Want::Read => read(),
            Want::Write if node.readonly => read(),
            Want::Write => open(OFlags::RDWR).map(|fd| (fd, Access::READ | Access::WRITE)).or_else(read),
        }
    }

    pub(crate) fn get_attr(&mut self, nodes: &[NodeId]) -> Answered {
        let mut out = List::new();
        for &id in nodes {
            let one = self.nodes.get(id).and_then(|n| attr::of_fd(&n.fd));
            let _ = out.push(one.map_err(Errno::raw_os_error));
        }
        Ok((Answer::Attrs(out), None))
    }

    pub(crate) fn stat(&mut self, names: &[(NodeId, Name)]) -> Answered {
        let mut out = List::new();
        for (dir, name) in names {
            let one = self.check_name(name).and_then(|()| self.directory(*dir));
            let one = one.and_then(|dir| attr::of_name(&dir.fd, name.bytes()));
            let _ = out.push(one.map_err(Errno::raw_os_error));
        }
        Ok((Answer::Attrs(out), None))
    }

    pub(crate) fn open(&mut self, id: NodeId, flags: u32) -> Answered {
        let node = self.nodes.get(id)?;
        let (flags, access) = open_flags(flags)?;
        match node.kind {
            S_IFREG => {}
            S_IFDIR => return Err(Errno::ISDIR),
            S_IFLNK => return Err(Errno::LOOP),
            S_IFSOCK => return Err(Errno::NXIO),
            S_IFIFO if self.policy.open_fifos => {}
            S_IFCHR | S_IFBLK if self.policy.open_devices => {}
            _ => return Err(Errno::ACCESS),
        }
        // Writing to a FIFO or a device does not change the tree.
        if node.kind == S_IFREG
            && node.readonly
            && (access.contains(Access::WRITE) || flags.contains(OFlags::TRUNC))
        {
            return Err(Errno::ROFS);
        }
        // Never waits: not for the other end of a FIFO, not for a lease to be given up.
        let fd = self.proc.reopen(&node.fd, flags | OFlags::NONBLOCK)?;
        let attr = attr::of_fd(&node.fd)?;
        if flags.contains(OFlags::TRUNC) {
            self.settle(&crate::watch::Own::File(&attr));
        }
        Ok((Answer::Opened { access, attr }, Some(fd)))
    }

    pub(crate) fn readlink(&mut self, id: NodeId) -> Answered {
        let node = self.nodes.get(id)?;
        if node.kind != S_IFLNK {
            return Err(Errno::INVAL);
        }
        Ok((Answer::Link(target(&node.fd)?), None))
    }

    /// The open directory from which `id` is being listed.
    fn listing(&mut self, id: NodeId, node: &Node) -> Result<usize, Errno> {
        if let Some(at) = self.listings.iter().position(|(listed, _)| *listed == id) {
            let used = self.listings.remove(at);
            self.listings.push(used);
        } else {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(&node.fd, ".", flags, Mode::empty())?;
            if self.listings.len() >= MAX_LISTINGS {
                self.listings.remove(0);
            }
            self.listings.push((id, fd));
        }
        Ok(self.listings.len().saturating_sub(1))
    }

    pub(crate) fn read_dir(&mut self, id: NodeId, offset: u64, flags: ListFlags, room: usize) -> Answered {
        let node = self.directory(id)?;
        let watched = flags.contains(ListFlags::WATCH) && self.watches.add(&self.proc, id, &node).is_ok();
        let at = self.listing(id, &node)?;
        let fd = match self.listings.get(at) {
            Some((_, fd)) => rustix::io::fcntl_dupfd_cloexec(fd, 3)?,
            None => return Err(Errno::IO),
        };
        rustix::fs::seek(&fd, SeekFrom::Start(offset))?;
        let mut entries = List::new();
        let mut buffer = vec![MaybeUninit::uninit(); 32 * 1024];
        let mut raw = RawDir::new(&fd, &mut buffer);
        // What surrounds the entries: a tag, their number, two flags.
        let mut left = room.saturating_sub(32);
        let mut end = false;
        while !entries.is_full() {
            let Some(next) = raw.next() else {
                end = true;
                break;
            };
            let next = next?;
            let name = next.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            // A name that is no name to the protocol (a file system with longer ones) cannot be asked for either.
            let Ok(name) = Name::new(name) else { continue };
            let mut entry = DirEntry {
                name,
                ino: next.ino(),
                kind: dirent_type(next.file_type()),
                next: next.next_entry_cookie(),
                attr: None,
                node: None,
            };
            let bound = entry.name.bytes().len() + ATTR_BYTES + 48;
            if left < bound {
                break;
            }
            if flags.contains(ListFlags::NODES) {
                if let Ok(made) = self.step(&node, &entry.name) {
                    entry.attr = Some(made.attr);
                    entry.node = Some(made.node);
                }
            } else if flags.contains(ListFlags::ATTRS) {
                entry.attr = attr::of_name(&node.fd, entry.name.bytes()).ok();
            }
            left = left.saturating_sub(encoded_len(&entry).unwrap_or(bound));
            let _ = entries.push(entry);
        }
        if end {
            self.listings.retain(|(listed, _)| *listed != id);
        }
        Ok((Answer::Entries { entries, end, watched }, None))
    }

    pub(crate) fn connect(&mut self, id: NodeId, kind: SocketKind) -> Answered {
        use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
        let node = self.nodes.get(id)?;
        if node.kind != S_IFSOCK || !self.policy.connect_sockets {
            return Err(Errno::CONNREFUSED);
        }
        let kind = match kind {
            SocketKind::Stream => SocketType::STREAM,
            SocketKind::Datagram => SocketType::DGRAM,
            SocketKind::SeqPacket => SocketType::SEQPACKET,
        };
        // Non-blocking: a full backlog is the sentry's to wait for, not ours.
        let socket =
            socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
        connect(&socket, &SocketAddrUnix::new(self.proc.path(&node.fd))?)?;
        let attr = attr::of_fd(&node.fd)?;
        Ok((Answer::Opened { access: Access::READ | Access::WRITE, attr }, Some(socket)))
    }
}

/// `DT_*` are the type bits of `st_mode`, shifted.
fn dirent_type(t: rustix::fs::FileType) -> u8 {
    u8::try_from((t.as_raw_mode() & S_IFMT) >> 12).unwrap_or(0)
}
