//! Which mounts an event at one mount reaches, and doing it there (`mount_namespaces(7)`, "Shared subtrees").

use super::topology::{Copy, Node, Topology};
use crate::Dentry;
use abi::{Errno, process::MountFlags};
use std::{collections::HashSet, sync::Arc};

impl Topology {
    fn is_attached(&self, node: &Node) -> bool {
        node.ns != 0
    }

    /// Attached mounts that are in group `group` (`master` false) or receive from it (`master` true), oldest first.
    fn group(&self, group: u64, master: bool) -> Vec<u64> {
        let mut ids: Vec<u64> = self
            .nodes()
            .filter(|(_, n)| group != 0 && if master { n.master == group } else { n.peer == group })
            .filter(|(_, n)| self.is_attached(n))
            .map(|(id, _)| id)
            .collect();
        ids.sort_unstable();
        ids
    }

    /// Every other mount that events at `id` reach.
    pub fn receivers(&self, id: u64) -> Vec<u64> {
        let first = self.node(id).map_or(0, |n| n.peer);
        let mut seen = HashSet::from([0, first]);
        let mut todo = vec![first];
        let mut all = Vec::new();
        while let Some(group) = todo.pop() {
            all.extend(self.group(group, false));
            for slave in self.group(group, true) {
                let peer = self.node(slave).map_or(0, |n| n.peer);
                if peer == 0 {
                    all.push(slave);
                } else if seen.insert(peer) {
                    todo.push(peer);
                }
            }
        }
        all.retain(|other| *other != id);
        all
    }

    fn covers(&self, id: u64, point: &Arc<Dentry>) -> bool {
        self.node(id).is_some_and(|n| point.is_below(&n.mount.root))
    }

    fn copy_for(&mut self, source: u64, how: Copy) -> Result<u64, Errno> {
        let root = self.node(source).ok_or(Errno::EINVAL)?.mount.root.clone();
        self.copy_tree(source, &root, how, true, &mut Vec::new())
    }

    /// Attaches the detached tree `source` at `point` of `dest` and at the same place of whatever `dest` propagates to.
    pub fn attach_propagating(&mut self, source: u64, dest: u64, point: &Arc<Dentry>) -> Result<(), Errno> {
        let group = self.node(dest).ok_or(Errno::EINVAL)?.peer;
        let mut copies = Vec::new();
        if group != 0 {
            for id in self.subtree(source) {
                self.set_propagation(id, MountFlags::SHARED);
            }
            if let Err(e) = self.copy_to_receivers(source, dest, group, point, &mut copies) {
                for (_, copy) in copies {
                    drop(self.remove_tree(copy));
                }
                return Err(e);
            }
        }
        self.attach(source, dest, point);
        for (receiver, copy) in copies {
            self.attach(copy, receiver, point);
        }
        Ok(())
    }

    fn copy_to_receivers(
        &mut self,
        source: u64,
        dest: u64,
        group: u64,
        point: &Arc<Dentry>,
        copies: &mut Vec<(u64, u64)>,
    ) -> Result<(), Errno> {
        let mut seen = HashSet::from([0, group]);
        let mut todo = vec![(group, dest, source)];
        while let Some((group, origin, source)) = todo.pop() {
            for peer in self.group(group, false) {
                if peer != origin && self.covers(peer, point) {
                    copies.push((peer, self.copy_for(source, Copy::Peer)?));
                }
            }
            for slave in self.group(group, true) {
                let peer = self.node(slave).map_or(0, |n| n.peer);
                if !self.covers(slave, point) {
                    continue;
                }
                if peer == 0 {
                    copies.push((slave, self.copy_for(source, Copy::Slave)?));
                } else if seen.insert(peer) {
                    let copy = self.copy_for(source, Copy::SharedSlave)?;
                    copies.push((slave, copy));
                    todo.push((peer, slave, copy));
                }
            }
        }
        Ok(())
    }

    /// The mounts at the same place as `id` in whatever its parent propagates to.
    pub fn counterparts(&self, id: u64) -> Vec<u64> {
        let Some((parent, point)) = self.node(id).and_then(|n| n.place.clone()) else { return Vec::new() };
        self.receivers(parent).into_iter().filter_map(|r| self.child_id_at(r, &point)).collect()
    }

    /// Unmounts `ids`, and their counterparts unless something else is mounted below them.
    pub fn umount_propagating(&mut self, ids: &[u64]) -> Vec<Node> {
        let mut set: HashSet<u64> = ids.iter().copied().collect();
        let mut candidates: HashSet<u64> = ids.iter().flat_map(|id| self.counterparts(*id)).collect();
        candidates.retain(|c| !set.contains(c));
        // A counterpart stays if a child of it does, unless that child lies on its root and can take its place.
        loop {
            let stays: Vec<u64> = candidates
                .iter()
                .copied()
                .filter(|c| {
                    self.node(*c).is_none_or(|n| {
                        n.children.iter().any(|child| {
                            !set.contains(child)
                                && !candidates.contains(child)
                                && self.child_id_at(*c, &n.mount.root).is_none_or(|top| top != *child)
                        })
                    })
                })
                .collect();
            if stays.is_empty() {
                break;
            }
            for id in stays {
                candidates.remove(&id);
            }
        }
        set.extend(candidates);
        self.remove(&set)
    }
}
