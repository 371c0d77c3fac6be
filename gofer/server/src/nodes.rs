//! What the sentry holds: a table of files by identity.
//!
//! An identity is a number that is never given out twice, so a stale one finds nothing. **Invariant:** at most
//! `max` nodes, each at least one descriptor.

use gofer_proto::NodeId;
use rustix::io::Errno;
use std::cell::Cell;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// A file held for the sentry.
pub struct Node {
    /// `O_PATH` (for the root of a tree, whatever the launcher opened).
    pub fd: OwnedFd,
    /// `S_IF*`; an inode never changes its type.
    pub kind: u32,
    /// Index of the tree it was reached through.
    pub tree: usize,
    /// No change may be made through it.
    pub readonly: bool,
    /// The inotify watch on it, if any.
    pub watch: Cell<Option<i32>>,
}

/// All files held for the sentry.
pub struct Nodes {
    table: HashMap<NodeId, Rc<Node>>,
    next: u64,
    max: usize,
}

impl Nodes {
    /// An empty table for at most `max` nodes.
    pub fn new(max: usize) -> Self {
        Self { table: HashMap::new(), next: 1, max }
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }
    /// `EBADF` if there is no such node.
    pub fn get(&self, id: NodeId) -> Result<Rc<Node>, Errno> {
        self.table.get(&id).cloned().ok_or(Errno::BADF)
    }
    /// `ENFILE` if the table is full: to be asked before a file is opened or made.
    pub fn room(&self) -> Result<(), Errno> {
        if self.table.len() >= self.max { Err(Errno::NFILE) } else { Ok(()) }
    }
    /// Adds a node under a new identity.
    pub fn add(&mut self, node: Node) -> Result<NodeId, Errno> {
        self.room()?;
        let id = NodeId(self.next);
        self.next = self.next.checked_add(1).ok_or(Errno::NFILE)?;
        self.table.insert(id, Rc::new(node));
        Ok(id)
    }
    /// Forgets a node.
    pub fn remove(&mut self, id: NodeId) -> Option<Rc<Node>> {
        self.table.remove(&id)
    }
}
