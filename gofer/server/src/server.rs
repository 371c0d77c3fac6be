//! [`Server`]: the state of a gofer and the way from a request to a reply.

use crate::attr;
use crate::nodes::{Node, Nodes};
use crate::watch::{Own, Watches};
use gofer_proto::codec::encoded_len;
use gofer_proto::*;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;

/// What a gofer may do beyond serving directories, regular files and links. Nothing, by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// Connect to Unix sockets that lie in the trees.
    pub connect_sockets: bool,
    /// Open FIFOs that lie in the trees.
    pub open_fifos: bool,
    /// Make character and block devices. The sandbox opens its own in their place.
    pub make_devices: bool,
    /// Open character and block devices of the host.
    pub open_devices: bool,
    /// When a new file cannot be given to its owner (`EPERM`, `EINVAL`: a user namespace that maps too few ids), let the
    /// gofer's own user keep it.
    pub tolerate_chown: bool,
}

/// A tree to serve.
#[derive(Debug)]
pub struct Tree {
    /// Its root.
    pub root: OwnedFd,
    /// Refuse every change with `EROFS`.
    pub readonly: bool,
}

/// This process's directory of descriptors: how a held file is reached again.
#[derive(Debug)]
pub struct ProcFd {
    dir: OwnedFd,
    prefix: &'static str,
}

impl ProcFd {
    /// For a process whose working directory is `dir`.
    #[must_use]
    pub const fn relative(dir: OwnedFd) -> Self {
        Self { dir, prefix: "" }
    }
    /// For a process that sees `/proc`.
    ///
    /// # Errors
    /// Whatever opening `/proc/self/fd` says.
    pub fn absolute() -> Result<Self, Errno> {
        let dir = rustix::fs::open(
            "/proc/self/fd",
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(Self { dir, prefix: "/proc/self/fd/" })
    }
    pub(crate) fn dir(&self) -> &OwnedFd {
        &self.dir
    }
    /// Name of `fd` in [`dir`](Self::dir).
    pub(crate) fn name(&self, fd: impl AsFd) -> String {
        fd.as_fd().as_raw_fd().to_string()
    }
    /// A path to the file that `fd` is, for calls that take no directory.
    pub(crate) fn path(&self, fd: impl AsFd) -> String {
        format!("{}{}", self.prefix, fd.as_fd().as_raw_fd())
    }
    /// Opens the file that `fd` is once more. Cannot lead elsewhere: the entry is the file, not a path to it.
    pub(crate) fn reopen(&self, fd: impl AsFd, flags: OFlags) -> Result<OwnedFd, Errno> {
        rustix::fs::openat(&self.dir, self.name(fd), flags | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())
    }
}

/// What happened, for the log and for tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests answered.
    pub requests: u64,
    /// Operations carried out.
    pub operations: u64,
    /// Names refused because they are not single components. Never above zero with a sound sentry.
    pub bad_names: u64,
    /// Descriptors donated.
    pub donated: u64,
}

/// A gofer's state. Belongs to one thread.
pub struct Server {
    pub(crate) trees: Vec<Tree>,
    pub(crate) policy: Policy,
    pub(crate) proc: ProcFd,
    pub(crate) nodes: Nodes,
    pub(crate) watches: Watches,
    /// Directories being listed, the most recently used last.
    pub(crate) listings: Vec<(NodeId, OwnedFd)>,
    pub(crate) counters: Counters,
    /// Events found while answering, to be sent.
    pub(crate) news: Vec<Event>,
}

/// An answer and the descriptor that rides with it.
pub(crate) type Answered = Result<(Answer, Option<OwnedFd>), Errno>;

/// Descriptors kept free for what is not a node: listings, files being donated, sockets, the inotify instance.
const RESERVED: usize = 192;

impl Server {
    /// A server for `trees` that may hold about `descriptors` descriptors.
    #[must_use]
    pub fn new(trees: Vec<Tree>, policy: Policy, proc: ProcFd, descriptors: usize) -> Self {
        let max = descriptors.saturating_sub(RESERVED + trees.len()).max(64);
        Self {
            trees,
            policy,
            proc,
            nodes: Nodes::new(max),
            watches: Watches::default(),
            listings: Vec::new(),
            counters: Counters::default(),
            news: Vec::new(),
        }
    }

    /// Lets the server watch directories; events are collected for [`take_events`](Self::take_events).
    pub fn enable_events(&mut self) {
        self.watches.enable();
    }

    /// What has happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How many nodes the sentry holds.
    #[must_use]
    pub fn held(&self) -> usize {
        self.nodes.len()
    }

    /// Answers one request. The descriptors belong to the answers that announce one, in order.
    pub fn answer(&mut self, request: Request) -> (Reply, Vec<OwnedFd>) {
        self.counters.requests += 1;
        for id in request.close {
            self.forget(id);
        }
        let mut results = List::new();
        let mut fds = Vec::new();
        // The head: an identity and the number of results.
        let mut used = 32;
        let mut full = false;
        for op in request.ops {
            // Once one does not fit the rest waits too: operations are carried out in order.
            full = full || (!results.is_empty() && used + op.answer_bound() > MAX_MESSAGE);
            let result = if !full {
                self.counters.operations += 1;
                self.dispatch(op, MAX_MESSAGE - used)
            } else {
                Err(Errno::AGAIN)
            };
            let result = result.map(|(answer, fd)| {
                fds.extend(fd);
                answer
            });
            // The host's table being full is the same to the sentry as ours being full.
            let result = result.map_err(|e| if e == Errno::MFILE { Errno::NFILE } else { e }.raw_os_error());
            used += encoded_len(&result).unwrap_or(MAX_MESSAGE);
            // As many results as operations, and those are bounded by the same constant.
            let _ = results.push(result);
        }
        self.counters.donated += fds.len() as u64;
        (Reply { id: request.id, results }, fds)
    }

    fn dispatch(&mut self, op: Op, room: usize) -> Answered {
        match op {
            Op::Attach { index } => self.attach(index),
            Op::Walk { node, names, flags, want } => self.walk(node, &names, flags, want),
            Op::GetAttr { nodes } => self.get_attr(&nodes),
            Op::Stat { names } => self.stat(&names),
            Op::Open { node, flags } => self.open(node, flags),
            Op::Create { dir, name, flags, make } => self.create(dir, &name, flags, make),
            Op::Tmpfile { dir, flags, make } => self.tmpfile(dir, flags, make),
            Op::Mkdir { dir, name, make } => self.mkdir(dir, &name, make),
            Op::Symlink { dir, name, target, make } => self.symlink(dir, &name, &target, make),
            Op::Link { node, dir, name } => self.link(node, dir, &name),
            Op::Mknod { dir, name, kind, rdev, make } => self.mknod(dir, &name, kind, rdev, make),
            Op::Unlink { dir, name, is_dir } => self.unlink(dir, &name, is_dir),
            Op::Rename { old_dir, old_name, new_dir, new_name, flags } => {
                self.rename((old_dir, &old_name), (new_dir, &new_name), flags)
            }
            Op::Readlink { node } => self.readlink(node),
            Op::SetAttr { node, set } => self.set_attr(node, set),
            Op::ReadDir { dir, offset, flags } => self.read_dir(dir, offset, flags, room),
            Op::Statfs { node } => Ok((Answer::Statfs(attr::statfs(&self.nodes.get(node)?.fd)?), None)),
            Op::GetXattr { node, name } => self.get_xattr(node, &name),
            Op::ListXattr { node } => self.list_xattr(node),
            Op::SetXattr { node, name, value, flags } => self.set_xattr(node, &name, &value, flags),
            Op::RemoveXattr { node, name } => self.remove_xattr(node, &name),
            Op::Fsync { node, data_only } => self.fsync(node, data_only),
            Op::Connect { node, kind } => self.connect(node, kind),
            Op::Watch { dir } => {
                let node = self.directory(dir)?;
                self.watches.add(&self.proc, dir, &node)?;
                Ok((Answer::Done, None))
            }
            Op::Unwatch { dir } => {
                let node = self.nodes.get(dir)?;
                self.watches.remove(dir, &node);
                Ok((Answer::Done, None))
            }
        }
    }

    fn forget(&mut self, id: NodeId) {
        self.listings.retain(|(listed, _)| *listed != id);
        if let Some(node) = self.nodes.remove(id) {
            self.watches.remove(id, &node);
        }
    }

    /// Holds `fd`, reached through `via`, for the sentry.
    pub(crate) fn hold(&mut self, fd: OwnedFd, attr: Attr, via: &Node) -> Result<Entry, Errno> {
        let node = Node {
            fd,
            kind: attr.file_type(),
            tree: via.tree,
            readonly: via.readonly,
            watch: std::cell::Cell::new(None),
        };
        Ok(Entry { node: self.nodes.add(node)?, attr })
    }

    /// A node that is a directory.
    pub(crate) fn directory(&self, id: NodeId) -> Result<Rc<Node>, Errno> {
        let node = self.nodes.get(id)?;
        if node.kind == S_IFDIR { Ok(node) } else { Err(Errno::NOTDIR) }
    }

    /// A directory in which `name` may be changed.
    pub(crate) fn writable_dir(&mut self, id: NodeId, name: &Name) -> Result<Rc<Node>, Errno> {
        self.check_name(name)?;
        let node = self.directory(id)?;
        if node.readonly { Err(Errno::ROFS) } else { Ok(node) }
    }

    /// A node whose file may be changed.
    pub(crate) fn writable(&self, id: NodeId) -> Result<Rc<Node>, Errno> {
        let node = self.nodes.get(id)?;
        if node.readonly { Err(Errno::ROFS) } else { Ok(node) }
    }

    /// Refuses and counts names that are not single components.
    pub(crate) fn check_name(&mut self, name: &Name) -> Result<(), Errno> {
        name.check().map_err(|_| {
            self.counters.bad_names += 1;
            Errno::INVAL
        })
    }

    /// Collects events that are waiting, leaving out those that we caused ourselves.
    pub(crate) fn settle(&mut self, own: &Own<'_>) {
        if self.watches.any() {
            self.watches.drain(&self.nodes, own, &mut self.news);
        }
    }

    /// Events that were not caused by requests.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.settle(&Own::Nothing);
        std::mem::take(&mut self.news)
    }
}
