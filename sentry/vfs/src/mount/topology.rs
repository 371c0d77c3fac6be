//! The table of mounts: the trees that they form, their namespaces and peer groups.

use super::{Mount, MountTable, NamespaceEvents};
use crate::{Dentry, Path, SuperBlock};
use abi::{Errno, process::MountFlags};
use ksync::Ready;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
};

/// How many mounts there may be (Linux's `fs.mount-max`): propagation can double them with each call.
const MOUNT_MAX: usize = 100_000;

pub(crate) struct Node {
    pub mount: Arc<Mount>,
    /// The mount and dentry that it covers.
    pub place: Option<(u64, Arc<Dentry>)>,
    pub children: Vec<u64>,
    /// Number of its namespace; 0 while detached.
    pub ns: u64,
    /// Peer group that it shares events with; 0 for none.
    pub peer: u64,
    /// Peer group that it receives events from; 0 for none.
    pub master: u64,
    pub unbindable: bool,
    /// May not be unmounted alone: it came with a namespace of a more privileged user namespace.
    pub locked: bool,
    /// Its restrictions may not be lifted, for the same reason.
    pub pinned: bool,
}

struct Namespace {
    root: u64,
    /// Holds a tree that is attached nowhere (`open_tree(2)`, `fsmount(2)`); no process is in it.
    anonymous: bool,
    events: Arc<NamespaceEvents>,
}

#[derive(Default)]
pub(crate) struct Topology {
    nodes: HashMap<u64, Node>,
    /// What covers a dentry (by address; the node keeps it alive) of a mount.
    points: HashMap<(u64, usize), u64>,
    namespaces: HashMap<u64, Namespace>,
    last_mount: u64,
    last_group: u64,
}

/// What becomes of peer groups when a mount is copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Copy {
    /// The copy is a peer of the original.
    Peer,
    /// The copy receives from the original's group.
    Slave,
    /// The same, and is shared in a group of its own.
    SharedSlave,
    /// The copy of a shared mount receives from it; others are as they were.
    SharedToSlave,
}

fn address(dentry: &Arc<Dentry>) -> usize {
    Arc::as_ptr(dentry) as usize
}

impl Topology {
    pub fn next_mount_id(&mut self) -> u64 {
        self.last_mount += 1;
        self.last_mount
    }

    pub fn next_group(&mut self) -> u64 {
        self.last_group += 1;
        self.last_group
    }

    pub fn mount(&self, id: u64) -> Option<Arc<Mount>> {
        self.nodes.get(&id).map(|n| n.mount.clone())
    }

    pub fn node(&self, id: u64) -> Option<&Node> {
        self.nodes.get(&id)
    }

    pub fn node_mut(&mut self, id: u64) -> Option<&mut Node> {
        self.nodes.get_mut(&id)
    }

    pub fn nodes(&self) -> impl Iterator<Item = (u64, &Node)> {
        self.nodes.iter().map(|(id, n)| (*id, n))
    }

    pub fn place(&self, id: u64) -> Option<Path> {
        let (parent, point) = self.nodes.get(&id)?.place.as_ref()?;
        Path::new(self.mount(*parent)?, point.clone()).ok()
    }

    pub fn child_at(&self, parent: u64, point: &Arc<Dentry>) -> Option<Arc<Mount>> {
        self.mount(self.child_id_at(parent, point)?)
    }

    pub fn child_id_at(&self, parent: u64, point: &Arc<Dentry>) -> Option<u64> {
        self.points.get(&(parent, address(point))).copied()
    }

    pub fn namespace_of(&self, id: u64) -> Option<u64> {
        self.nodes.get(&id).map(|n| n.ns).filter(|ns| *ns != 0)
    }

    pub fn namespace_root(&self, ns: u64) -> Option<Arc<Mount>> {
        self.mount(self.namespaces.get(&ns)?.root)
    }

    /// `id` and all mounts below it, parents first, siblings in the order in which they were mounted.
    pub fn subtree(&self, id: u64) -> Vec<u64> {
        let mut all = Vec::new();
        let mut todo = vec![id];
        while let Some(id) = todo.pop() {
            all.push(id);
            if let Some(node) = self.nodes.get(&id) {
                todo.extend(node.children.iter().rev());
            }
        }
        all
    }

    /// Whether `id` is `top` or below it.
    pub fn is_below(&self, mut id: u64, top: u64) -> bool {
        loop {
            if id == top {
                return true;
            }
            match self.nodes.get(&id).and_then(|n| n.place.as_ref()) {
                Some((parent, _)) => id = *parent,
                None => return false,
            }
        }
    }

    /// Adds a mount that is attached nowhere yet. `ENOSPC`.
    pub fn add(
        &mut self,
        table: &Arc<MountTable>,
        sb: Arc<SuperBlock>,
        root: Arc<Dentry>,
        source: Arc<[u8]>,
        flags: MountFlags,
    ) -> Result<u64, Errno> {
        if self.nodes.len() >= MOUNT_MAX {
            return Err(Errno::ENOSPC);
        }
        let id = self.next_mount_id();
        let mount = Mount::make(table, id, sb, root, source, flags);
        let node = Node {
            mount,
            place: None,
            children: Vec::new(),
            ns: 0,
            peer: 0,
            master: 0,
            unbindable: false,
            locked: false,
            pinned: false,
        };
        self.nodes.insert(id, node);
        Ok(id)
    }

    /// Makes `root` (attached nowhere) and what is below the mounts of namespace `ns`.
    pub fn found_namespace(&mut self, ns: u64, root: u64, events: Arc<NamespaceEvents>, anonymous: bool) {
        self.namespaces.insert(ns, Namespace { root, anonymous, events });
        self.set_namespace(root, ns);
    }

    fn set_namespace(&mut self, root: u64, ns: u64) {
        for id in self.subtree(root) {
            if let Some(node) = self.nodes.get_mut(&id) {
                node.ns = ns;
            }
        }
    }

    /// Tells whoever polls the mounts of `ns`.
    pub fn changed(&self, ns: u64) {
        if let Some(n) = self.namespaces.get(&ns) {
            n.events.count.fetch_add(1, Ordering::Relaxed);
            n.events.queue.notify(Ready::PRI | Ready::ERR);
        }
    }

    /// Attaches `id` at `point` of `parent`. What already covers that place comes to lie on top of `id`.
    pub fn attach(&mut self, id: u64, parent: u64, point: &Arc<Dentry>) {
        let Some(ns) = self.nodes.get(&parent).map(|n| n.ns) else { return };
        if let Some(covering) = self.child_id_at(parent, point).filter(|c| *c != id)
            && let Some(root) = self.nodes.get(&id).map(|n| n.mount.root.clone())
        {
            self.detach(covering);
            self.put(covering, id, &root);
        }
        self.put(id, parent, point);
        self.set_namespace(id, ns);
        self.changed(ns);
    }

    fn put(&mut self, id: u64, parent: u64, point: &Arc<Dentry>) {
        point.mounts.fetch_add(1, Ordering::AcqRel);
        self.points.insert((parent, address(point)), id);
        if let Some(node) = self.nodes.get_mut(&parent) {
            node.children.push(id);
        }
        if let Some(node) = self.nodes.get_mut(&id) {
            node.place = Some((parent, point.clone()));
        }
    }

    /// Takes `id` from where it is attached, with all that is below it.
    pub fn detach(&mut self, id: u64) -> Option<(u64, Arc<Dentry>)> {
        let node = self.nodes.get_mut(&id)?;
        let ns = node.ns;
        let (parent, point) = node.place.take()?;
        point.mounts.fetch_sub(1, Ordering::AcqRel);
        self.points.remove(&(parent, address(&point)));
        if let Some(node) = self.nodes.get_mut(&parent) {
            node.children.retain(|c| *c != id);
        }
        self.changed(ns);
        Some((parent, point))
    }

    /// Copies the mount `id`, with `root` as its root.
    pub fn copy_mount(&mut self, id: u64, root: Arc<Dentry>, how: Copy) -> Result<u64, Errno> {
        let old = self.nodes.get(&id).ok_or(Errno::EINVAL)?;
        let (mount, peer, master) = (old.mount.clone(), old.peer, old.master);
        let (locked, pinned) = (old.locked, old.pinned);
        let new = self.add(&mount.table, mount.sb.clone(), root, mount.source.clone(), mount.flags())?;
        let fresh = if how == Copy::SharedSlave { self.next_group() } else { 0 };
        let (peer, master) = match how {
            Copy::Peer => (peer, master),
            Copy::Slave | Copy::SharedSlave => (fresh, if peer != 0 { peer } else { master }),
            Copy::SharedToSlave => (0, if peer != 0 { peer } else { master }),
        };
        if let Some(node) = self.nodes.get_mut(&new) {
            (node.peer, node.master, node.locked, node.pinned) = (peer, master, locked, pinned);
        }
        Ok(new)
    }

    /// Copies the tree of mounts at `root` of the mount `id`, and below; `ENOSPC`. The pairs of old and new go to `map`.
    ///
    /// Unbindable mounts below are left out unless `all`.
    pub fn copy_tree(
        &mut self,
        id: u64,
        root: &Arc<Dentry>,
        how: Copy,
        all: bool,
        map: &mut Vec<(u64, u64)>,
    ) -> Result<u64, Errno> {
        let top = self.copy_mount(id, root.clone(), how)?;
        map.push((id, top));
        let mut todo = vec![(id, top)];
        while let Some((old, new)) = todo.pop() {
            let children = self.nodes.get(&old).map(|n| n.children.clone()).unwrap_or_default();
            for child in children {
                let Some(node) = self.nodes.get(&child) else { continue };
                let Some((_, point)) = node.place.clone() else { continue };
                if (node.unbindable && !all) || (old == id && !point.is_below(root)) {
                    continue;
                }
                let (child_root, unbindable) = (node.mount.root.clone(), node.unbindable);
                let copy = match self.copy_mount(child, child_root, how) {
                    Ok(copy) => copy,
                    Err(e) => {
                        drop(self.remove_tree(top));
                        return Err(e);
                    }
                };
                if let Some(node) = self.nodes.get_mut(&copy) {
                    node.unbindable = unbindable;
                }
                self.put(copy, new, &point);
                map.push((child, copy));
                todo.push((child, copy));
            }
        }
        Ok(top)
    }

    /// Takes the mount out of its peer group; whoever received from it alone receives from its master.
    pub fn leave_group(&mut self, id: u64) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let (peer, master) = (std::mem::take(&mut node.peer), node.master);
        if peer != 0 && !self.nodes.values().any(|n| n.peer == peer) {
            for node in self.nodes.values_mut().filter(|n| n.master == peer) {
                node.master = master;
            }
        }
    }

    /// Changes how `id` propagates; `kind` is one of [`MountFlags::PROPAGATION`].
    pub fn set_propagation(&mut self, id: u64, kind: MountFlags) {
        let group = self.next_group();
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.unbindable = kind == MountFlags::UNBINDABLE;
        if kind == MountFlags::SHARED {
            if node.peer == 0 {
                node.peer = group;
            }
            return;
        }
        let peer = node.peer;
        self.leave_group(id);
        let others = peer != 0 && self.nodes.values().any(|n| n.peer == peer);
        if let Some(node) = self.nodes.get_mut(&id) {
            if kind != MountFlags::SLAVE {
                node.master = 0;
            } else if others {
                node.master = peer;
            }
        }
    }

    /// Takes `ids` out of the table, each from the others too. What is left mounted on their roots takes their place.
    pub fn remove(&mut self, ids: &HashSet<u64>) -> Vec<Node> {
        for id in ids {
            let Some(node) = self.nodes.get(id) else { continue };
            let left: Vec<u64> = node.children.iter().copied().filter(|c| !ids.contains(c)).collect();
            let place = node.place.clone();
            for child in left {
                self.detach(child);
                if let Some((parent, point)) = &place {
                    self.detach(*id);
                    self.put(child, *parent, point);
                }
            }
        }
        let mut gone = Vec::new();
        for id in ids {
            self.detach(*id);
            self.leave_group(*id);
            gone.extend(self.nodes.remove(id));
        }
        gone
    }

    /// Takes `id` and all below out of the table.
    pub fn remove_tree(&mut self, id: u64) -> Vec<Node> {
        let ids = self.subtree(id).into_iter().collect();
        self.remove(&ids)
    }

    /// Takes a namespace with its mounts out of the table.
    pub fn dissolve(&mut self, ns: u64) -> Vec<Node> {
        match self.namespaces.remove(&ns) {
            // An anonymous namespace's tree may have been attached elsewhere since.
            Some(n) if self.nodes.get(&n.root).is_some_and(|r| r.ns == ns) => self.remove_tree(n.root),
            _ => Vec::new(),
        }
    }

    /// Whether a mount of `ns` covers `point`.
    pub fn namespace_mounts_on(&self, ns: u64, point: &Arc<Dentry>) -> bool {
        let here = |n: &Node| n.ns == ns && n.place.as_ref().is_some_and(|(_, p)| Arc::ptr_eq(p, point));
        self.nodes.values().any(here)
    }

    /// Unmounts whatever covers `point`, in every namespace.
    pub fn remove_all_on(&mut self, point: &Arc<Dentry>) -> Vec<Node> {
        let here = |n: &Node| n.place.as_ref().is_some_and(|(_, p)| Arc::ptr_eq(p, point));
        let tops: Vec<u64> = self.nodes.iter().filter(|(_, n)| here(n)).map(|(id, _)| *id).collect();
        tops.into_iter().flat_map(|id| self.remove_tree(id)).collect()
    }

    /// Whether the namespace `ns` only holds a tree that is attached nowhere.
    pub fn is_anonymous(&self, ns: u64) -> bool {
        self.namespaces.get(&ns).is_some_and(|n| n.anonymous)
    }
}
