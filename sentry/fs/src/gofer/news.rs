//! [`Connection`]: a gofer's client, and what the gofer reports of its own accord.
//!
//! A thread sleeps on the event socket. What it learns it notes in inodes: names that are stale, attributes that are outdated;
//! for applications' inotify watches it tells of changes from outside. It holds no lock over a round trip.

use super::GoferInode;
use abi::Errno;
use gofer_client::{Change, Client, Event, EventStream, NodeId};
use host::file::PollFlags;
use ksync::{Mutex, rank};
use std::{
    collections::HashMap,
    os::fd::AsFd,
    sync::{Arc, OnceLock, Weak},
};
use vfs::{Inode, inotify};

/// Room for a stat of a whole message's names.
const STACK_BYTES: usize = 512 << 10;

/// A gofer.
pub struct Connection {
    client: Arc<Client>,
    /// Watched directories by handle. Taken when an inode is dropped.
    watched: Mutex<HashMap<NodeId, Weak<GoferInode>>>,
    /// Called once the gofer is gone.
    pub on_end: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Connection {
    /// A connection through `client`, whose news come by `events`. Without them trees can only be trusted or asked.
    pub fn new(client: Arc<Client>, events: Option<EventStream>) -> std::io::Result<Arc<Self>> {
        let this = Arc::new(Self {
            client,
            watched: Mutex::new(rank::GOFER_CLOSES, HashMap::new()),
            on_end: OnceLock::new(),
        });
        if let Some(events) = events {
            let weak = Arc::downgrade(&this);
            let thread = std::thread::Builder::new().name("gofer-news".into()).stack_size(STACK_BYTES);
            thread.spawn(move || listen(&weak, events))?;
        }
        Ok(this)
    }

    /// The client.
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    pub(super) fn watch(&self, node: NodeId, dir: &Weak<GoferInode>) {
        self.watched.lock().insert(node, dir.clone());
    }

    pub(super) fn unwatch(&self, node: NodeId) {
        self.watched.lock().remove(&node);
    }

    fn dir(&self, node: NodeId) -> Option<Arc<GoferInode>> {
        self.watched.lock().get(&node).and_then(Weak::upgrade)
    }

    fn dirs(&self) -> Vec<Arc<GoferInode>> {
        self.watched.lock().values().filter_map(Weak::upgrade).collect()
    }

    fn lost(&self) {
        for dir in self.dirs() {
            dir.fs.changed_outside();
            dir.all_stale();
        }
    }

    fn take(&self, events: Vec<Event>) {
        // Directory and name of what changed in itself, to be asked about in one message.
        let mut touched: Vec<(Arc<GoferInode>, Vec<u8>, Change)> = Vec::new();
        for event in events {
            let Event::Changed { dir, name, change, cookie } = event else {
                self.lost();
                continue;
            };
            let Some(dir) = self.dir(dir) else { continue };
            dir.fs.changed_outside();
            let Some(name) = name else {
                if change.contains(Change::SELF_GONE) {
                    dir.no_longer_watched();
                }
                dir.outdated();
                continue;
            };
            let name = name.bytes();
            if change.intersects(Change::APPEARED | Change::VANISHED) {
                dir.name_stale(name);
                dir.outdated();
                tell_names(&dir, name, change, cookie);
            } else if change.intersects(Change::ATTRS | Change::DATA)
                && !touched.iter_mut().any(|(d, n, c)| {
                    let same = Arc::ptr_eq(d, &dir) && n == name;
                    *c |= if same { change } else { Change::empty() };
                    same
                })
            {
                touched.push((dir, name.to_vec(), change));
            }
        }
        let asked: Vec<_> = touched.iter().map(|(d, n, _)| (d.walk_node(), n.as_slice())).collect();
        if asked.is_empty() {
            return;
        }
        let Ok(answers) = self.client.stat(&asked) else { return };
        for ((dir, name, change), answer) in touched.iter().zip(answers) {
            let Ok(attr) = answer else { continue };
            let Some(inode) = dir.fs.live_inode((attr.dev, attr.ino)) else { continue };
            let before = inode.cached_attr();
            inode.outdated();
            inode.absorb(&attr);
            let after = inode.cached_attr();
            // Our own writes come back as news when the descriptor is closed.
            let stamps = |a: &vfs::Attr| (a.mtime.tv_sec, a.mtime.tv_nsec, a.size);
            let known = stamps(&before) == stamps(&after);
            let inode: Arc<dyn Inode> = inode;
            let mut what = inotify::Events::empty();
            what.set(inotify::Events::MODIFY, change.contains(Change::DATA) && !known);
            what.set(inotify::Events::ATTRIB, !change.contains(Change::DATA));
            if !what.is_empty() {
                let is_dir = change.contains(Change::IS_DIR);
                let dir: Arc<dyn Inode> = dir.clone();
                inotify::outside_event(&dir, name, Some(&inode), what, is_dir, 0);
                if what.contains(inotify::Events::MODIFY) {
                    inotify::outside_event(&dir, name, Some(&inode), inotify::Events::CLOSE_WRITE, is_dir, 0);
                }
            }
        }
    }
}

/// Tells watches that a name came or went.
fn tell_names(dir: &Arc<GoferInode>, name: &[u8], change: Change, cookie: u32) {
    use inotify::Events;
    let moved = change.contains(Change::MOVED);
    let what = match (change.contains(Change::APPEARED), moved) {
        (true, false) => Events::CREATE,
        (true, true) => Events::MOVED_TO,
        (false, false) => Events::DELETE,
        (false, true) => Events::MOVED_FROM,
    };
    let dir: Arc<dyn Inode> = dir.clone();
    inotify::outside_event(&dir, name, None, what, change.contains(Change::IS_DIR), cookie);
}

fn listen(connection: &Weak<Connection>, mut events: EventStream) {
    loop {
        if let Err(e) = host::file::poll_wait(events.as_fd(), PollFlags::POLLIN) {
            log::error!("gofer: cannot wait for news: {e}");
            break;
        }
        let received = events.receive();
        let Some(connection) = connection.upgrade() else { return };
        match received {
            Ok(list) => connection.take(list),
            Err(Errno::EAGAIN) => {}
            Err(Errno::EPROTO) => connection.lost(),
            Err(_) => break,
        }
    }
    // Nobody will tell any more: what is cached is asked about from now on.
    if let Some(connection) = connection.upgrade() {
        connection.lost();
        if let Some(call) = connection.on_end.get() {
            call();
        }
    }
}
