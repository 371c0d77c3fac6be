//! POSIX record locks and open-file-description locks (`fcntl_locking(2)`): locks on ranges of bytes.
//!
//! A [`Request`] is a `struct flock` that was understood. `F_SETLK` is [`set`]; `F_SETLKW` is [`set_or_wait`], again
//! after each announcement on the inode's wait queue, keeping the [`Waiting`] meanwhile; `F_GETLK` is [`test`].
//!
//! **Invariants:** an owner's ranges do not overlap, and neighbours of one kind are one range; ranges of two owners
//! overlap only where both are for reading.

use super::{FileLocks, State, change};
use crate::{File, Inode};
use abi::{
    Errno,
    fcntl::{F_RDLCK, F_UNLCK, F_WRLCK, Flock},
};
use ksync::{Mutex, rank};
use std::{collections::BTreeMap, sync::Arc};

/// Who holds a lock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Owner {
    /// A process, or rather its descriptor table: any number that stands for it alone.
    Process(u64),
    /// An open file, by its id.
    OpenFile(u64),
}

/// The last offset that there is: a range up to it has no end.
const LAST: u64 = i64::MAX as u64;

/// Bytes from `start` to `end`, both included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// First byte.
    pub start: u64,
    /// Last byte; `i64::MAX` for no end.
    pub end: u64,
}

impl Range {
    fn overlaps(self, other: Range) -> bool {
        self.start <= other.end && other.start <= self.end
    }
    /// Overlaps, or is next to it.
    fn touches(self, other: Range) -> bool {
        self.start <= other.end.saturating_add(1) && other.start <= self.end.saturating_add(1)
    }
    /// The last byte, unless that is the end of all.
    pub fn bounded_end(self) -> Option<u64> {
        (self.end < LAST).then_some(self.end)
    }

    /// The range that `flock` names of `file`: `EINVAL`, `EOVERFLOW`.
    fn of(file: &File, flock: &Flock) -> Result<Range, Errno> {
        let base = match flock.l_whence {
            0 => 0,
            1 => i64::try_from(*file.pos.lock()).map_err(|_| Errno::EOVERFLOW)?,
            2 => i64::try_from(file.inode().attr()?.size).map_err(|_| Errno::EOVERFLOW)?,
            _ => return Err(Errno::EINVAL),
        };
        let start = base.checked_add(flock.l_start).ok_or(Errno::EOVERFLOW)?;
        let (first, last) = match flock.l_len {
            0 => (start, i64::MAX),
            len if len > 0 => (start, start.checked_add(len - 1).ok_or(Errno::EOVERFLOW)?),
            len => (start.checked_add(len).ok_or(Errno::EINVAL)?, start.wrapping_sub(1)),
        };
        match (u64::try_from(first), u64::try_from(last)) {
            (Ok(start), Ok(end)) => Ok(Range { start, end }),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// What a lock is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `F_RDLCK`.
    Read,
    /// `F_WRLCK`.
    Write,
    /// `F_UNLCK`.
    Unlock,
}

/// A lock that is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// What for.
    pub kind: Kind,
    /// Which bytes.
    pub range: Range,
    /// By whom.
    pub owner: Owner,
    /// The process, as `F_GETLK` tells it.
    pub pid: i32,
}

impl Request {
    /// What `flock` asks of `file` for a POSIX lock of process `owner`, or with `ofd` for one of the open file.
    ///
    /// `EINVAL`, `EOVERFLOW`. Whether the file is open for it is asked by [`check_mode`](Self::check_mode).
    pub fn new(file: &File, flock: &Flock, ofd: bool, owner: u64, pid: i32) -> Result<Self, Errno> {
        let kind = match flock.l_type {
            F_RDLCK => Kind::Read,
            F_WRLCK => Kind::Write,
            F_UNLCK => Kind::Unlock,
            _ => return Err(Errno::EINVAL),
        };
        if ofd && flock.l_pid != 0 {
            return Err(Errno::EINVAL);
        }
        let owner = if ofd { Owner::OpenFile(file.id) } else { Owner::Process(owner) };
        Ok(Self { kind, range: Range::of(file, flock)?, owner, pid: if ofd { -1 } else { pid } })
    }

    /// For setting: `EBADF` unless a file to be locked for reading is open for reading, and likewise for writing.
    pub fn check_mode(&self, file: &File) -> Result<(), Errno> {
        match self.kind {
            Kind::Read => file.check_readable(),
            Kind::Write => file.check_writable(),
            Kind::Unlock => Ok(()),
        }
    }
}

/// A lock that is held.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub owner: Owner,
    pub range: Range,
    pub write: bool,
    pub pid: i32,
}

impl Record {
    fn conflicts(&self, request: &Request) -> bool {
        let overlap = self.range.overlaps(request.range);
        match request.kind {
            Kind::Unlock => false,
            kind => overlap && self.owner != request.owner && (self.write || kind == Kind::Write),
        }
    }

    fn to_flock(&self) -> Flock {
        let len = self.range.bounded_end().map_or(0, |end| end - self.range.start + 1);
        Flock {
            l_type: if self.write { F_WRLCK } else { F_RDLCK },
            l_whence: 0,
            l_start: i64::try_from(self.range.start).unwrap_or(i64::MAX),
            l_len: i64::try_from(len).unwrap_or(0),
            l_pid: self.pid,
            ..Flock::default()
        }
    }
}

/// `F_GETLK`: a lock that is in the way of `request`, as a `struct flock`; none if it could be had.
///
/// `EINVAL` for `F_UNLCK`, except that an open file may ask so for a lock of its own.
pub fn test(inode: &dyn Inode, request: &Request) -> Result<Option<Flock>, Errno> {
    let own = request.kind == Kind::Unlock;
    if own && matches!(request.owner, Owner::Process(_)) {
        return Err(Errno::EINVAL);
    }
    let state = inode.common().locks.state.lock();
    let is_it = |r: &&Record| match own {
        true => r.owner == request.owner && r.range.overlaps(request.range),
        false => r.conflicts(request),
    };
    Ok(state.records.iter().filter(is_it).min_by_key(|r| r.range.start).map(Record::to_flock))
}

/// `F_SETLK`: sets, changes or removes a lock; `EAGAIN` if another owner's is in the way.
pub fn set(inode: &Arc<dyn Inode>, request: &Request) -> Result<(), Errno> {
    if request.kind == Kind::Unlock && inode.common().locks.is_empty() {
        return Ok(());
    }
    change(inode, |state| match blocker(state, request) {
        Some(_) => (Err(Errno::EAGAIN), false),
        None => (Ok(()), apply(&mut state.records, request)),
    })
}

fn blocker(state: &State, request: &Request) -> Option<Owner> {
    state.records.iter().find(|r| r.conflicts(request)).map(|r| r.owner)
}

/// Changes the ranges of the request's owner; whether something was given up or weakened.
fn apply(records: &mut Vec<Record>, request: &Request) -> bool {
    let Request { owner, range, pid, .. } = *request;
    let write = request.kind == Kind::Write;
    let mut merged = range;
    let mut released = false;
    let mut rest = Vec::new();
    records.retain(|r| {
        if r.owner != owner {
            return true;
        }
        let same = request.kind != Kind::Unlock && r.write == write;
        if same && r.range.touches(range) {
            merged = Range { start: merged.start.min(r.range.start), end: merged.end.max(r.range.end) };
            return false;
        }
        if !r.range.overlaps(range) {
            return true;
        }
        released |= r.write || request.kind == Kind::Unlock;
        if r.range.start < range.start {
            rest.push(Record { range: Range { start: r.range.start, end: range.start - 1 }, ..r.clone() });
        }
        if r.range.end > range.end {
            rest.push(Record { range: Range { start: range.end + 1, end: r.range.end }, ..r.clone() });
        }
        false
    });
    records.append(&mut rest);
    if request.kind != Kind::Unlock {
        records.push(Record { owner, range: merged, write, pid });
    }
    released
}

/// Whom the processes that wait, wait for.
static WAITING: Mutex<BTreeMap<(Owner, u64), Owner>> = Mutex::new(rank::LEAF, BTreeMap::new());

/// A process that waits for another: an edge for finding deadlocks, gone when this is dropped.
#[must_use = "dropping it says that nobody waits any more"]
#[derive(Debug)]
pub struct Waiting(Option<(Owner, u64)>);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(key) = self.0.take() {
            WAITING.lock().remove(&key);
        }
    }
}

/// `F_SETLKW`: sets the lock, or says what to keep while waiting for the next try.
///
/// `EDEADLK` if a POSIX lock is in the way of a process that itself waits, maybe by way of others, for this one. As on
/// Linux, that is not looked for among open file description locks.
pub fn set_or_wait(inode: &Arc<dyn Inode>, request: &Request) -> Result<Option<Waiting>, Errno> {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    change(inode, |state| {
        let Some(blocker) = blocker(state, request) else {
            return (Ok(None), apply(&mut state.records, request));
        };
        if !matches!((request.owner, blocker), (Owner::Process(_), Owner::Process(_))) {
            return (Ok(Some(Waiting(None))), false);
        }
        let mut waiting = WAITING.lock();
        if waits_for(&waiting, blocker, request.owner) {
            return (Err(Errno::EDEADLK), false);
        }
        let key = (request.owner, NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        waiting.insert(key, blocker);
        (Ok(Some(Waiting(Some(key)))), false)
    })
}

/// Whether `who` waits for `whom`, directly or by way of others.
fn waits_for(waiting: &BTreeMap<(Owner, u64), Owner>, who: Owner, whom: Owner) -> bool {
    let (mut todo, mut seen) = (vec![who], Vec::new());
    while let Some(at) = todo.pop() {
        if seen.contains(&at) {
            continue;
        }
        seen.push(at);
        for (_, next) in waiting.range((at, 0)..=(at, u64::MAX)) {
            if *next == whom {
                return true;
            }
            todo.push(*next);
        }
    }
    false
}

impl FileLocks {
    /// Whether there is a record lock of `owner` (`/proc/pid/fdinfo` and tests).
    pub fn has_records(&self, owner: Owner) -> bool {
        !self.is_empty() && self.state.lock().records.iter().any(|r| r.owner == owner)
    }
}
