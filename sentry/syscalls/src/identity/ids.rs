//! User and group ids (`credentials(7)`, `setuid(2)` and its family).
//!
//! The two kinds behave alike: each call is written once, for a [`Kind`]. Only user ids change capabilities.

use abi::{
    Errno,
    limits::{INVALID_UID, NGROUPS_MAX},
    process::{Cap, Securebits},
};
use kernel::{
    SysResult, Task,
    task::cred::{fix_caps_after_setfsuid, fix_caps_after_setuid},
};
use mem::UserPtr;
use std::sync::Arc;
use vfs::{Credentials, Gid, Uid, UserNamespace};

/// The ids of one kind that a thread has.
#[derive(Clone, Copy)]
pub(super) struct Ids<T> {
    real: T,
    effective: T,
    saved: T,
    fs: T,
}

impl<T: PartialEq> Ids<T> {
    /// Whether it is one of the three that a thread may go back to.
    fn has(&self, id: &T) -> bool {
        [&self.real, &self.effective, &self.saved].contains(&id)
    }
}

/// User ids or group ids.
pub(super) trait Kind {
    /// As the kernel calls it.
    type Id: Copy + PartialEq;
    /// Who has it sets any.
    const SETS_ANY: Cap;
    fn get(cred: &Credentials) -> Ids<Self::Id>;
    fn put(cred: &mut Credentials, ids: Ids<Self::Id>);
    fn inside(ns: &UserNamespace, id: u32) -> Option<Self::Id>;
    fn show(ns: &UserNamespace, id: Self::Id) -> u32;
    /// What follows from a change, whether of all or of the file system's alone.
    fn changed(_old: &Credentials, _new: &mut Credentials, _only_fs: bool) {}
}

/// User ids.
pub(super) struct Users;
/// Group ids.
pub(super) struct Groups;

impl Kind for Users {
    type Id = Uid;
    const SETS_ANY: Cap = Cap::SETUID;
    fn get(c: &Credentials) -> Ids<Uid> {
        Ids { real: c.ruid, effective: c.euid, saved: c.suid, fs: c.fsuid }
    }
    fn put(c: &mut Credentials, ids: Ids<Uid>) {
        (c.ruid, c.euid, c.suid, c.fsuid) = (ids.real, ids.effective, ids.saved, ids.fs);
    }
    fn inside(ns: &UserNamespace, id: u32) -> Option<Uid> {
        ns.uid(id)
    }
    fn show(ns: &UserNamespace, id: Uid) -> u32 {
        ns.show_uid(id)
    }
    fn changed(old: &Credentials, new: &mut Credentials, only_fs: bool) {
        let bits = Securebits::from_bits_retain(new.securebits);
        match only_fs {
            _ if bits.contains(Securebits::NO_SETUID_FIXUP) => {}
            true => fix_caps_after_setfsuid(old, new),
            false => fix_caps_after_setuid(old, new, bits.contains(Securebits::KEEP_CAPS)),
        }
    }
}

impl Kind for Groups {
    type Id = Gid;
    const SETS_ANY: Cap = Cap::SETGID;
    fn get(c: &Credentials) -> Ids<Gid> {
        Ids { real: c.rgid, effective: c.egid, saved: c.sgid, fs: c.fsgid }
    }
    fn put(c: &mut Credentials, ids: Ids<Gid>) {
        (c.rgid, c.egid, c.sgid, c.fsgid) = (ids.real, ids.effective, ids.saved, ids.fs);
    }
    fn inside(ns: &UserNamespace, id: u32) -> Option<Gid> {
        ns.gid(id)
    }
    fn show(ns: &UserNamespace, id: Gid) -> u32 {
        ns.show_gid(id)
    }
}

/// `getuid(2)`, `getgid(2)`.
pub(super) fn get_real<K: Kind>(task: &Arc<Task>) -> SysResult<u32> {
    let cred = task.cred();
    Ok(K::show(&cred.user_ns, K::get(&cred).real))
}

/// `geteuid(2)`, `getegid(2)`.
pub(super) fn get_effective<K: Kind>(task: &Arc<Task>) -> SysResult<u32> {
    let cred = task.cred();
    Ok(K::show(&cred.user_ns, K::get(&cred).effective))
}

/// `getresuid(2)`, `getresgid(2)`.
pub(super) fn get_res<K: Kind>(
    task: &Arc<Task>,
    r: UserPtr<u32>,
    e: UserPtr<u32>,
    s: UserPtr<u32>,
) -> SysResult<()> {
    let (cred, mm) = (task.cred(), task.mm()?);
    let ids = K::get(&cred);
    for (to, id) in [(r, ids.real), (e, ids.effective), (s, ids.saved)] {
        to.write(&*mm, &K::show(&cred.user_ns, id))?;
    }
    Ok(())
}

/// An id as it was given; `EINVAL` for one that the namespace does not map.
fn id<K: Kind>(cred: &Credentials, id: u32) -> Result<K::Id, Errno> {
    K::inside(&cred.user_ns, id).ok_or(Errno::EINVAL)
}

/// The same, with -1 for "as it is".
fn id_or_none<K: Kind>(cred: &Credentials, given: u32) -> Result<Option<K::Id>, Errno> {
    if given == INVALID_UID { Ok(None) } else { id::<K>(cred, given).map(Some) }
}

/// `EPERM` unless `fine`.
fn permit(fine: bool) -> Result<(), Errno> {
    if fine { Ok(()) } else { Err(Errno::EPERM) }
}

/// Changes ids: from the old ones, and whether any may be set.
fn change<K: Kind>(
    task: &Task,
    change: impl FnOnce(&Credentials, Ids<K::Id>, bool) -> Result<Ids<K::Id>, Errno>,
) -> SysResult<()> {
    Ok(task.change_cred(|new| {
        let old = new.clone();
        let ids = change(&old, K::get(&old), old.has_cap(K::SETS_ANY))?;
        K::put(new, Ids { fs: ids.effective, ..ids });
        K::changed(&old, new, false);
        Ok(())
    })?)
}

/// `setuid(2)`, `setgid(2)`.
pub(super) fn set<K: Kind>(task: &Arc<Task>, given: u32) -> SysResult<()> {
    change::<K>(task, |cred, old, trusted| {
        let id = id::<K>(cred, given)?;
        permit(trusted || id == old.real || id == old.saved)?;
        Ok(if trusted {
            Ids { real: id, effective: id, saved: id, fs: id }
        } else {
            Ids { effective: id, ..old }
        })
    })
}

/// `setreuid(2)`, `setregid(2)`.
pub(super) fn set_re<K: Kind>(task: &Arc<Task>, real: u32, effective: u32) -> SysResult<()> {
    change::<K>(task, |cred, old, trusted| {
        let (real, effective) = (id_or_none::<K>(cred, real)?, id_or_none::<K>(cred, effective)?);
        permit(trusted || real.is_none_or(|id| id == old.real || id == old.effective))?;
        permit(trusted || effective.is_none_or(|id| old.has(&id)))?;
        let mut new =
            Ids { real: real.unwrap_or(old.real), effective: effective.unwrap_or(old.effective), ..old };
        if real.is_some() || effective.is_some_and(|id| id != old.real) {
            new.saved = new.effective;
        }
        Ok(new)
    })
}

/// `setresuid(2)`, `setresgid(2)`.
pub(super) fn set_res<K: Kind>(task: &Arc<Task>, real: u32, effective: u32, saved: u32) -> SysResult<()> {
    change::<K>(task, |cred, old, trusted| {
        let [real, effective, saved] = [real, effective, saved].map(|id| id_or_none::<K>(cred, id));
        let (real, effective, saved) = (real?, effective?, saved?);
        let fine = |id: Option<K::Id>| id.is_none_or(|id| old.has(&id));
        permit(trusted || (fine(real) && fine(effective) && fine(saved)))?;
        Ok(Ids {
            real: real.unwrap_or(old.real),
            effective: effective.unwrap_or(old.effective),
            saved: saved.unwrap_or(old.saved),
            ..old
        })
    })
}

/// `setfsuid(2)`, `setfsgid(2)`. Never an error: the old id, whether it was changed or not.
pub(super) fn set_fs<K: Kind>(task: &Arc<Task>, given: u32) -> SysResult<u32> {
    let before = task.cred();
    let shown = K::show(&before.user_ns, K::get(&before).fs);
    let _ = task.change_cred(|new| {
        let (id, old) = (id::<K>(new, given)?, K::get(new));
        permit(new.has_cap(K::SETS_ANY) || old.has(&id) || id == old.fs)?;
        K::put(new, Ids { fs: id, ..old });
        K::changed(&before, new, true);
        Ok(())
    });
    Ok(shown)
}

pub(super) fn getgroups(task: &Arc<Task>, size: i32, to: UserPtr<u32>) -> SysResult<usize> {
    let size = usize::try_from(size).map_err(|_| Errno::EINVAL)?;
    let cred = task.cred();
    let count = cred.groups.len();
    if size == 0 {
        return Ok(count);
    }
    if size < count {
        return Err(Errno::EINVAL.into());
    }
    let mm = task.mm()?;
    for (i, group) in cred.groups.iter().enumerate() {
        to.at(i)?.write(&*mm, &cred.user_ns.show_gid(*group))?;
    }
    Ok(count)
}

pub(super) fn setgroups(task: &Arc<Task>, size: i32, from: UserPtr<u32>) -> SysResult<()> {
    let cred = task.cred();
    let maps = cred.user_ns.maps();
    permit(cred.has_cap(Cap::SETGID) && !maps.gid.is_empty() && !maps.setgroups_denied)?;
    let size = usize::try_from(size).ok().filter(|n| *n <= NGROUPS_MAX).ok_or(Errno::EINVAL)?;
    let given = from.read_array(&*task.mm()?, size)?;
    let mut groups =
        given.into_iter().map(|given| id::<Groups>(&cred, given)).collect::<Result<Vec<_>, _>>()?;
    groups.sort_unstable();
    Ok(task.change_cred(|new| {
        new.groups = groups.into();
        Ok(())
    })?)
}
