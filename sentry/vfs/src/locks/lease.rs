//! Leases (`F_SETLEASE`): a holder is told before somebody else opens or truncates the file.
//!
//! An open calls [`break_for`] first. Where a lease is in the way, its holder is signalled and the open gets `EAGAIN`:
//! without `O_NONBLOCK` it waits on the inode's lock queue, and at the latest until the time that [`breaking_until`]
//! gives, after which the lease is taken away.
//!
//! **Absent on purpose:** delegations.

use super::change;
use crate::{File, Inode};
use abi::{
    Errno,
    fcntl::{F_RDLCK, F_UNLCK, F_WRLCK},
    process::Cap,
    stat::FileType,
};
use std::sync::{Arc, atomic::Ordering};

/// `fs.lease-break-time` in nanoseconds.
pub const BREAK_TIME_NS: u64 = 45_000_000_000;

/// Who is to be signalled (`SIGIO`, or what `F_SETSIG` chose) when a lease is broken.
pub trait Holder: Send + Sync {
    /// The lease of this holder is in somebody's way. Must not take locks of a rank up to `FILE_LOCKS`.
    fn broken(&self);
}

/// A lease that is held.
pub(super) struct Lease {
    pub file: u64,
    pub pid: i32,
    write: bool,
    holder: Arc<dyn Holder>,
    /// What it has to become, and by when.
    breaking: Option<Breaking>,
}

#[derive(Clone, Copy)]
struct Breaking {
    unlock: bool,
    until_ns: u64,
}

impl Lease {
    /// What `F_GETLEASE` says: what it is, or has to become.
    fn target(&self) -> i16 {
        match self.breaking {
            Some(Breaking { unlock: true, .. }) => F_UNLCK,
            Some(_) => F_RDLCK,
            None if self.write => F_WRLCK,
            None => F_RDLCK,
        }
    }

    pub fn shown(&self) -> (&'static str, &'static str) {
        let kind = match self.target() {
            F_UNLCK => "UNLCK",
            F_WRLCK => "WRITE",
            _ => "READ",
        };
        (if self.breaking.is_some() { "BREAKING" } else { "ACTIVE" }, kind)
    }
}

/// `F_GETLEASE`.
pub fn get(file: &File) -> i16 {
    let inode = file.inode();
    let state = inode.common().locks.state.lock();
    state.leases.iter().find(|l| l.file == file.id).map_or(F_UNLCK, Lease::target)
}

/// `F_SETLEASE` of `kind` by process `pid`, whose credentials are the file's opener's or given by the caller's check.
///
/// `EINVAL` for what is no kind or no regular file, `EACCES` unless `cred` owns the file or has `CAP_LEASE`, `EAGAIN` if
/// the file is open in a way that does not go with it, or there was no lease to give up.
pub fn set(
    file: &File,
    kind: i16,
    cred: &crate::Credentials,
    pid: i32,
    holder: Arc<dyn Holder>,
) -> Result<(), Errno> {
    let inode = file.inode();
    if kind == F_UNLCK {
        return change(&inode, |state| {
            let before = state.leases.len();
            state.leases.retain(|l| l.file != file.id);
            let removed = state.leases.len() != before;
            (if removed { Ok(()) } else { Err(Errno::EAGAIN) }, removed)
        });
    }
    let attr = inode.attr()?;
    if cred.fsuid != attr.uid && !cred.has_cap(Cap::LEASE) {
        return Err(Errno::EACCES);
    }
    let write = match kind {
        F_RDLCK => false,
        F_WRLCK => true,
        _ => return Err(Errno::EINVAL),
    };
    if inode.file_type() != FileType::Regular {
        return Err(Errno::EINVAL);
    }
    change(&inode, |state| {
        let common = inode.common();
        let others = |l: &Lease| l.file != file.id && (write || l.write || l.breaking.is_some());
        let in_use = match write {
            true => common.opens.load(Ordering::Acquire) > 1,
            false => common.writers.load(Ordering::Acquire) > 0,
        };
        if in_use || state.leases.iter().any(others) {
            return (Err(Errno::EAGAIN), false);
        }
        match state.leases.iter_mut().find(|l| l.file == file.id) {
            Some(lease) => {
                lease.write = write;
                lease.holder = holder;
                if !write {
                    lease.breaking = lease.breaking.filter(|b| b.unlock);
                }
            }
            None => state.leases.push(Lease { file: file.id, pid, write, holder, breaking: None }),
        }
        (Ok(()), true)
    })
}

/// Somebody is about to open `inode`, for writing or truncating with `write`: breaks the leases that are in the way.
///
/// `EAGAIN` while one is; see the module's page for what to do then. `now_ns` is the monotonic clock.
pub fn break_for(inode: &Arc<dyn Inode>, write: bool, now_ns: u64) -> Result<(), Errno> {
    let locks = &inode.common().locks;
    if locks.is_empty() {
        return Ok(());
    }
    let (told, result) = locks.change(|state| {
        let mut told = Vec::new();
        let before = state.leases.len();
        // What was not given up in time is taken.
        state.leases.retain(|l| l.breaking.is_none_or(|b| !b.unlock || now_ns < b.until_ns));
        let mut released = state.leases.len() != before;
        let mut in_the_way = false;
        for lease in state.leases.iter_mut() {
            if lease.breaking.is_some_and(|b| now_ns >= b.until_ns) {
                (lease.write, lease.breaking, released) = (false, None, true);
            }
            if !write && !lease.write {
                continue;
            }
            in_the_way = true;
            if lease.breaking.is_none_or(|b| write && !b.unlock) {
                lease.breaking =
                    Some(Breaking { unlock: write, until_ns: now_ns.saturating_add(BREAK_TIME_NS) });
                told.push(lease.holder.clone());
            }
        }
        ((told, if in_the_way { Err(Errno::EAGAIN) } else { Ok(()) }), released)
    });
    told.iter().for_each(|holder| holder.broken());
    result
}

/// When the leases of `inode` that are being broken will be taken away, on the monotonic clock; none if none is.
pub fn breaking_until(inode: &dyn Inode) -> Option<u64> {
    let state = inode.common().locks.state.lock();
    state.leases.iter().filter_map(|l| l.breaking.map(|b| b.until_ns)).max()
}
