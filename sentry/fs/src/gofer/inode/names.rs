//! What a directory knows about its names, and the watch that tells of their changes.

use super::GoferInode;
use abi::stat::FileType;
use gofer_client::Node;
use std::{collections::HashSet, sync::atomic::Ordering};

/// How many names of a directory can be stale before all are.
const STALE_MAX: usize = 1024;

/// What a directory knows about its names.
#[derive(Default)]
pub(super) struct Names {
    /// Names that changed since they were cached.
    stale: HashSet<Box<[u8]>>,
    /// All are to be asked about each time: news were lost.
    all: bool,
}

impl GoferInode {
    /// The handle from which names are looked up: the one that is being watched.
    pub(in crate::gofer) fn walk_node(&self) -> &Node {
        self.watch_node.get().unwrap_or(&self.node)
    }

    /// A further handle of this file turned up: if it is being watched and ours is not, it is worth keeping.
    pub(in crate::gofer) fn another_node(&self, node: Node) {
        if self.kind == FileType::Directory && !self.watched.load(Ordering::Acquire) {
            let _ = self.watch_node.set(node);
        }
    }

    /// The gofer is watching this directory.
    pub(in crate::gofer) fn now_watched(&self) {
        if !self.watched.swap(true, Ordering::AcqRel) {
            self.fs.connection.watch(self.walk_node().id(), &self.me);
        }
    }

    /// The gofer is not watching it any more.
    pub(in crate::gofer) fn no_longer_watched(&self) {
        self.watched.store(false, Ordering::Release);
        self.all_stale();
    }

    pub(in crate::gofer) fn forget_stale(&self, name: &[u8]) {
        self.take_stale(name);
    }

    /// Whether `name` is stale; it is not any more.
    pub(in crate::gofer) fn take_stale(&self, name: &[u8]) -> bool {
        if !self.any_stale.load(Ordering::Acquire) {
            return false;
        }
        let mut names = self.names.lock();
        names.stale.remove(name) || names.all
    }

    /// `name` is not what it was.
    pub(in crate::gofer) fn name_stale(&self, name: &[u8]) {
        let mut names = self.names.lock();
        if names.stale.len() >= STALE_MAX {
            names.stale.clear();
            names.all = true;
        }
        if !names.all {
            names.stale.insert(name.into());
        }
        drop(names);
        self.any_stale.store(true, Ordering::Release);
    }

    /// No name can be trusted.
    pub(in crate::gofer) fn all_stale(&self) {
        self.names.lock().all = true;
        self.any_stale.store(true, Ordering::Release);
        self.outdated();
    }
}
