//! Watches on directories, so that the sentry can cache what it saw in them.
//!
//! inotify reports every change, also those that the gofer makes for the sentry. Those are of no news to it: after each
//! change in the presence of watches the queue is read, and what the change itself put there is left out ([`Own`]). What is
//! left out is recognised by name or by inode, so a change from outside at the same moment is still reported. Changes that the
//! sentry makes through a donated descriptor are reported like a stranger's.
//!
//! The instance is made with the first watch, since a host allows few.

use crate::attr;
use crate::nodes::{Node, Nodes};
use crate::server::ProcFd;
use gofer_proto::{Attr, Change, Event, Name, NodeId};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

/// What the operation just carried out has changed itself.
pub enum Own<'a> {
    /// No operation.
    Nothing,
    /// These names in directories with these watches.
    Names(&'a [(Option<i32>, &'a Name)]),
    /// Attributes or contents of this file, whatever its names.
    File(&'a Attr),
}

/// All watches of a gofer.
#[derive(Default)]
pub struct Watches {
    enabled: bool,
    inotify: Option<OwnedFd>,
    by_wd: HashMap<i32, Vec<NodeId>>,
}

const MASK: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::EXCL_UNLINK)
    .union(WatchFlags::ONLYDIR);

fn change(flags: ReadFlags) -> Change {
    let mut change = Change::empty();
    for (bits, means) in [
        (ReadFlags::CREATE, Change::APPEARED),
        (ReadFlags::DELETE, Change::VANISHED),
        (ReadFlags::MOVED_TO, Change::APPEARED | Change::MOVED),
        (ReadFlags::MOVED_FROM, Change::VANISHED | Change::MOVED),
        (ReadFlags::ATTRIB, Change::ATTRS),
        (ReadFlags::CLOSE_WRITE, Change::DATA | Change::ATTRS),
        (ReadFlags::DELETE_SELF, Change::SELF_GONE),
        (ReadFlags::UNMOUNT, Change::SELF_GONE),
        (ReadFlags::ISDIR, Change::IS_DIR),
    ] {
        if flags.contains(bits) {
            change |= means;
        }
    }
    change
}

impl Watches {
    /// There is somebody to tell.
    pub fn enable(&mut self) {
        self.enabled = true;
    }

    /// Whether anything is being watched.
    pub fn any(&self) -> bool {
        self.inotify.is_some()
    }

    /// What to poll for events.
    pub fn descriptor(&self) -> Option<&OwnedFd> {
        self.inotify.as_ref()
    }

    /// Watches `node`, if it is not yet. `ENOSPC`: not possible, now or at all.
    pub fn add(&mut self, proc: &ProcFd, id: NodeId, node: &Node) -> Result<(), Errno> {
        if node.watch.get().is_some() {
            return Ok(());
        }
        if !self.enabled {
            return Err(Errno::NOSPC);
        }
        let inotify = match self.inotify.take() {
            Some(fd) => fd,
            None => inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(|_| Errno::NOSPC)?,
        };
        let inotify = self.inotify.insert(inotify);
        let wd = inotify::add_watch(inotify.as_fd(), proc.path(&node.fd), MASK)?;
        node.watch.set(Some(wd));
        self.by_wd.entry(wd).or_default().push(id);
        Ok(())
    }

    /// Ends the watch on `node`; the host's ends with that of the last node for the same directory.
    pub fn remove(&mut self, id: NodeId, node: &Node) {
        let Some(wd) = node.watch.take() else { return };
        let Some(ids) = self.by_wd.get_mut(&wd) else { return };
        ids.retain(|&i| i != id);
        if ids.is_empty() {
            self.by_wd.remove(&wd);
            if let Some(inotify) = &self.inotify {
                // It may be gone already, with its directory.
                let _ = inotify::remove_watch(inotify, wd);
            }
        }
    }

    /// Reads all that is queued and appends what is news to `out`.
    pub fn drain(&mut self, nodes: &Nodes, own: &Own<'_>, out: &mut Vec<Event>) {
        let Some(inotify) = &self.inotify else { return };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(inotify, &mut buffer);
        let mut gone = Vec::new();
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                // Nothing more, or nothing to be had.
                Err(_) => break,
            };
            let (wd, flags) = (event.wd(), event.events());
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                out.push(Event::Overflow);
                continue;
            }
            if flags.contains(ReadFlags::IGNORED) {
                gone.push(wd);
                continue;
            }
            let name = event.file_name().map(|n| Name::new(n.to_bytes()));
            let Ok(name) = name.transpose() else { continue };
            let Some(ids) = self.by_wd.get(&wd) else { continue };
            if caused(nodes, own, wd, ids, name.as_ref(), flags) {
                continue;
            }
            for &dir in ids {
                out.push(Event::Changed {
                    dir,
                    name: name.clone(),
                    change: change(flags),
                    cookie: event.cookie(),
                });
            }
        }
        for wd in gone {
            for id in self.by_wd.remove(&wd).unwrap_or_default() {
                if let Ok(node) = nodes.get(id) {
                    node.watch.set(None);
                }
                out.push(Event::Changed { dir: id, name: None, change: Change::SELF_GONE, cookie: 0 });
            }
        }
    }
}

/// Whether an event is the echo of `own`.
fn caused(
    nodes: &Nodes,
    own: &Own<'_>,
    wd: i32,
    ids: &[NodeId],
    name: Option<&Name>,
    flags: ReadFlags,
) -> bool {
    match (own, name) {
        (Own::Nothing, _) | (Own::Names(_), None) => false,
        (Own::Names(names), Some(name)) => names.iter().any(|(w, n)| *w == Some(wd) && *n == name),
        (Own::File(file), name) => {
            if flags.intersects(
                ReadFlags::CREATE | ReadFlags::DELETE | ReadFlags::MOVED_FROM | ReadFlags::MOVED_TO,
            ) {
                return false;
            }
            let Some(dir) = ids.first().and_then(|&id| nodes.get(id).ok()) else { return false };
            let touched = match name {
                Some(name) => attr::of_name(&dir.fd, name.bytes()),
                None => attr::of_fd(&dir.fd),
            };
            touched.is_ok_and(|t| t.ino == file.ino && t.dev == file.dev)
        }
    }
}
