//! File locks: `flock(2)`, POSIX and open-file-description locks (`fcntl_locking(2)`), leases.
//!
//! [`FileLocks`] is in every inode. [`flock`], [`record`] and [`lease`] are the three kinds, which do not see one another.
//! Whoever cannot have a lock gets `EAGAIN` and, if it wants to wait, registers on [`wait_queue`] before it tries again:
//! each lock that is given up or weakened is announced there as `OTHER`.
//!
//! **Lock order:** [`rank::FILE_LOCKS`]; the table of who waits for whom is a leaf.
//! **Absent on purpose:** mandatory locks, which Linux has dropped; a bound on the number of locks (`ENOLCK`); lines of
//! waiters in `/proc/locks`.

pub mod flock;
pub mod lease;
pub mod record;

#[cfg(test)]
mod tests;

use crate::{File, Inode};
use ksync::{Mutex, Ready, WaitQueue, rank};
use std::sync::{
    Arc, Weak,
    atomic::{AtomicUsize, Ordering},
};

/// The inodes that have locks, for [`list`]; some may have none any more.
static LOCKED: Mutex<Vec<Weak<dyn Inode>>> = Mutex::new(rank::LEAF, Vec::new());

#[derive(Default)]
struct State {
    flocks: Vec<flock::Flock>,
    records: Vec<record::Record>,
    leases: Vec<lease::Lease>,
    /// Among the [`LOCKED`].
    listed: bool,
}

impl State {
    fn len(&self) -> usize {
        self.flocks.len() + self.records.len() + self.leases.len()
    }
}

/// The locks of one inode.
pub struct FileLocks {
    state: Mutex<State>,
    wait: WaitQueue,
    /// How many there are, so that closing a file without any costs one load.
    count: AtomicUsize,
}

impl Default for FileLocks {
    fn default() -> Self {
        let state = Mutex::new(rank::FILE_LOCKS, State::default());
        Self { state, wait: WaitQueue::new(), count: AtomicUsize::new(0) }
    }
}

impl FileLocks {
    fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    /// Changes the locks; `change` also says whether somebody who waits may now get one.
    fn change<R>(&self, change: impl FnOnce(&mut State) -> (R, bool)) -> R {
        let mut state = self.state.lock();
        let (result, released) = change(&mut state);
        self.count.store(state.len(), Ordering::SeqCst);
        drop(state);
        if released {
            self.wait.notify(Ready::OTHER);
        }
        result
    }
}

/// Where locks of `inode` that are given up are announced, as `OTHER`.
pub fn wait_queue(inode: &dyn Inode) -> &WaitQueue {
    &inode.common().locks.wait
}

fn change<R>(inode: &Arc<dyn Inode>, change: impl FnOnce(&mut State) -> (R, bool)) -> R {
    inode.common().locks.change(|state| {
        let result = change(state);
        if state.len() > 0 && !std::mem::replace(&mut state.listed, true) {
            let mut locked = LOCKED.lock();
            locked.retain(|i| i.strong_count() > 0);
            locked.push(Arc::downgrade(inode));
        }
        result
    })
}

/// Drops the locks that an open file held, when it is closed for good.
pub fn file_closed(file: &File, inode: &Arc<dyn Inode>) {
    let locks = &inode.common().locks;
    if locks.is_empty() {
        return;
    }
    locks.change(|state| {
        let before = state.len();
        state.flocks.retain(|l| l.file != file.id);
        state.records.retain(|r| r.owner != record::Owner::OpenFile(file.id));
        state.leases.retain(|l| l.file != file.id);
        ((), state.len() != before)
    });
}

/// Drops the POSIX locks on `inode` of process `owner`, which closed a descriptor of it: any one (`close(2)` calls this).
pub fn descriptor_closed(inode: &Arc<dyn Inode>, owner: u64) {
    let locks = &inode.common().locks;
    if locks.is_empty() {
        return;
    }
    locks.change(|state| {
        let before = state.len();
        state.records.retain(|r| r.owner != record::Owner::Process(owner));
        ((), state.len() != before)
    });
}

/// A line of `/proc/locks`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// `FLOCK`, `POSIX`, `OFDLCK` or `LEASE`.
    pub class: &'static str,
    /// `ADVISORY`; for leases `ACTIVE` or `BREAKING`.
    pub state: &'static str,
    /// `READ`, `WRITE` or `UNLCK`.
    pub kind: &'static str,
    /// Who took it, -1 for OFD locks.
    pub pid: i32,
    /// Device of the file.
    pub dev: u64,
    /// Its inode number.
    pub ino: u64,
    /// First byte.
    pub start: u64,
    /// Last byte; none for the end of the file, wherever that is.
    pub end: Option<u64>,
}

/// All locks that there are, in no particular order.
pub fn list() -> Vec<Listed> {
    let inodes: Vec<_> = LOCKED.lock().iter().filter_map(Weak::upgrade).collect();
    let mut all = Vec::new();
    for inode in inodes {
        let Ok(attr) = inode.attr() else { continue };
        let line = |class, state, kind, pid, start, end| Listed {
            class,
            state,
            kind,
            pid,
            dev: attr.dev,
            ino: attr.ino,
            start,
            end,
        };
        let kind = |exclusive| if exclusive { "WRITE" } else { "READ" };
        let state = inode.common().locks.state.lock();
        all.extend(state.flocks.iter().map(|l| line("FLOCK", "ADVISORY", kind(l.exclusive), l.pid, 0, None)));
        all.extend(state.records.iter().map(|r| {
            let (class, pid) = match r.owner {
                record::Owner::Process(_) => ("POSIX", r.pid),
                record::Owner::OpenFile(_) => ("OFDLCK", -1),
            };
            line(class, "ADVISORY", kind(r.write), pid, r.range.start, r.range.bounded_end())
        }));
        all.extend(state.leases.iter().map(|l| {
            let (state, kind) = l.shown();
            line("LEASE", state, kind, l.pid, 0, None)
        }));
    }
    all
}
