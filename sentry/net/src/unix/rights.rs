//! Files in flight: descriptors that were sent and not received yet, and the collection of those that never can be.
//!
//! A socket that was sent over itself, or two over each other, keep one another alive once their descriptors are
//! closed. The table counts, for each socket file, how many of its references lie in queues. A file all of whose
//! references do is a candidate; a candidate that no queue outside of the candidates holds is garbage, and its queue is
//! emptied. Anything that changes while this goes on makes a file look more alive, never less: it is counted before it
//! enters a queue, and until after it has left one.
//!
//! **Lock order:** the table ([`rank::SOCKET_RIGHTS`]), then sockets' queues. Files are dropped under no lock, and
//! one after another, however deep they are nested.

use super::UnixSocket;
use crate::socket::Socket;
use abi::{Cap, Errno};
use ksync::{Mutex, rank};
use std::{
    cell::RefCell,
    collections::{BTreeMap, HashSet},
    sync::Arc,
};
use vfs::{Credentials, File, Uid};

#[derive(Default)]
struct Table {
    /// Unix sockets in flight by [`File::id`]: the file, and how many of its references are in flight.
    sockets: BTreeMap<u64, (std::sync::Weak<File>, usize)>,
    /// References in flight by who sent them.
    by_user: BTreeMap<u32, u64>,
    /// How many sockets were in flight after the last collection.
    after_last: usize,
    /// Sockets that were closed since.
    closed: usize,
}

static TABLE: Mutex<Table> = Mutex::new(
    rank::SOCKET_RIGHTS,
    Table { sockets: BTreeMap::new(), by_user: BTreeMap::new(), after_last: 0, closed: 0 },
);

fn unix_socket(file: &File) -> Option<&UnixSocket> {
    file.downcast::<Socket>()?.ops().as_any().downcast_ref()
}

/// Files that one message carries.
pub struct Rights {
    files: Vec<Arc<File>>,
    uid: Uid,
}

impl Rights {
    /// Counts `files` as in flight, sent by `cred`; `ETOOMANYREFS` beyond `limit` (`RLIMIT_NOFILE`).
    pub fn new(
        files: Vec<Arc<File>>,
        cred: &Credentials,
        limit: u64,
    ) -> Result<Self, (Vec<Arc<File>>, Errno)> {
        let uid = cred.ruid;
        let collect_now = {
            let mut table = TABLE.lock();
            let count = table.by_user.get(&uid.0).copied().unwrap_or(0);
            if count > limit && !cred.has_cap(Cap::SYS_RESOURCE) && !cred.has_cap(Cap::SYS_ADMIN) {
                drop(table);
                return Err((files, Errno::ETOOMANYREFS));
            }
            *table.by_user.entry(uid.0).or_default() += files.len() as u64;
            for file in files.iter().filter(|f| unix_socket(f).is_some()) {
                table.sockets.entry(file.id).or_insert_with(|| (Arc::downgrade(file), 0)).1 += 1;
            }
            table.sockets.len() > 2 * table.after_last + 64
        };
        let rights = Self { files, uid };
        if collect_now {
            collect();
        }
        Ok(rights)
    }

    /// The files, no longer in flight.
    pub fn into_files(mut self) -> Vec<Arc<File>> {
        self.landed();
        std::mem::take(&mut self.files)
    }

    /// The sockets among the files, by [`File::id`].
    pub fn ids(&self) -> Vec<u64> {
        self.files.iter().filter(|f| unix_socket(f).is_some()).map(|f| f.id).collect()
    }

    /// Other references to the files (`MSG_PEEK`).
    pub fn peek(&self) -> Vec<Arc<File>> {
        self.files.clone()
    }

    fn landed(&self) {
        let mut table = TABLE.lock();
        let mut left = 0;
        if let Some(count) = table.by_user.get_mut(&self.uid.0) {
            *count = count.saturating_sub(self.files.len() as u64);
            left = *count;
        }
        if left == 0 {
            table.by_user.remove(&self.uid.0);
        }
        for file in self.files.iter().filter(|f| unix_socket(f).is_some()) {
            if let Some((_, count)) = table.sockets.get_mut(&file.id) {
                *count -= 1;
                if *count == 0 {
                    table.sockets.remove(&file.id);
                }
            }
        }
    }
}

impl Drop for Rights {
    fn drop(&mut self) {
        if !self.files.is_empty() {
            self.landed();
            drop_files(std::mem::take(&mut self.files));
        }
    }
}

thread_local!(static DROPPING: RefCell<Option<Vec<Arc<File>>>> = const { RefCell::new(None) });

/// Drops files one after another: the last reference to a socket drops what waits in it, which may be sockets.
pub fn drop_files(files: Vec<Arc<File>>) {
    let outermost = DROPPING.with_borrow_mut(|list| match list {
        Some(list) => {
            list.extend(files);
            false
        }
        None => {
            *list = Some(files);
            true
        }
    });
    if !outermost {
        return;
    }
    loop {
        let next = DROPPING.with_borrow_mut(|list| match list.as_mut().and_then(Vec::pop) {
            None => {
                *list = None;
                None
            }
            some => some,
        });
        match next {
            Some(file) => drop(file),
            None => return,
        }
    }
}

/// Collects if sockets are in flight; called when a Unix socket is closed. With many in flight not each time.
pub fn socket_closed() {
    let due = {
        let mut table = TABLE.lock();
        table.closed += 1;
        !table.sockets.is_empty() && table.closed * 8 > table.sockets.len()
    };
    if due {
        collect();
    }
}

/// Empties the queues of sockets that nobody can reach any more.
pub fn collect() {
    let mut garbage = Vec::new();
    let mut keep: Vec<Arc<File>> = Vec::new(); // dropped without the lock
    {
        let mut table = TABLE.lock();
        let flying: Vec<(u64, Arc<File>, usize)> = table
            .sockets
            .iter()
            .filter_map(|(id, (file, count))| Some((*id, file.upgrade()?, *count)))
            .collect();
        // One reference is ours.
        let mut candidates: BTreeMap<u64, usize> = flying
            .iter()
            .filter(|(_, file, count)| Arc::strong_count(file) == count + 1)
            .map(|(id, _, count)| (*id, *count))
            .collect();
        let children: BTreeMap<u64, Vec<u64>> = flying
            .iter()
            .filter(|(id, ..)| candidates.contains_key(id))
            .map(|(id, file, _)| (*id, unix_socket(file).map(|s| s.files_in_queue()).unwrap_or_default()))
            .collect();
        for child in children.values().flatten() {
            if let Some(count) = candidates.get_mut(child) {
                *count = count.saturating_sub(1);
            }
        }
        let mut reached: Vec<u64> = candidates.iter().filter(|(_, n)| **n > 0).map(|(id, _)| *id).collect();
        let mut alive: HashSet<u64> = reached.iter().copied().collect();
        while let Some(id) = reached.pop() {
            for child in children.get(&id).into_iter().flatten() {
                if candidates.contains_key(child) && alive.insert(*child) {
                    reached.push(*child);
                }
            }
        }
        for (id, file, _) in &flying {
            if candidates.contains_key(id)
                && !alive.contains(id)
                && let Some(socket) = unix_socket(file)
            {
                garbage.extend(socket.take_rights_in_queue());
            }
        }
        table.after_last = table.sockets.len();
        table.closed = 0;
        keep.extend(flying.into_iter().map(|(_, file, _)| file));
    }
    drop(garbage);
    drop_files(keep);
}

#[cfg(test)]
pub(crate) fn in_flight() -> usize {
    TABLE.lock().sockets.len()
}
