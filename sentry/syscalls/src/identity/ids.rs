//! User and group ids (`credentials(7)`, `setuid(2)` and its family).

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
use vfs::{Credentials, Gid, Uid};

pub(super) fn getuid(task: &Arc<Task>) -> SysResult<u32> {
    let cred = task.cred();
    Ok(cred.user_ns.show_uid(cred.ruid))
}

pub(super) fn geteuid(task: &Arc<Task>) -> SysResult<u32> {
    let cred = task.cred();
    Ok(cred.user_ns.show_uid(cred.euid))
}

pub(super) fn getgid(task: &Arc<Task>) -> SysResult<u32> {
    let cred = task.cred();
    Ok(cred.user_ns.show_gid(cred.rgid))
}

pub(super) fn getegid(task: &Arc<Task>) -> SysResult<u32> {
    let cred = task.cred();
    Ok(cred.user_ns.show_gid(cred.egid))
}

pub(super) fn getresuid(
    task: &Arc<Task>,
    r: UserPtr<u32>,
    e: UserPtr<u32>,
    s: UserPtr<u32>,
) -> SysResult<()> {
    let (cred, mm) = (task.cred(), task.mm()?);
    for (to, id) in [(r, cred.ruid), (e, cred.euid), (s, cred.suid)] {
        to.write(&*mm, &cred.user_ns.show_uid(id))?;
    }
    Ok(())
}

pub(super) fn getresgid(
    task: &Arc<Task>,
    r: UserPtr<u32>,
    e: UserPtr<u32>,
    s: UserPtr<u32>,
) -> SysResult<()> {
    let (cred, mm) = (task.cred(), task.mm()?);
    for (to, id) in [(r, cred.rgid), (e, cred.egid), (s, cred.sgid)] {
        to.write(&*mm, &cred.user_ns.show_gid(id))?;
    }
    Ok(())
}

/// A user id as it was given; `EINVAL` for one that the namespace does not map.
fn uid(cred: &Credentials, id: u32) -> Result<Uid, Errno> {
    cred.user_ns.uid(id).ok_or(Errno::EINVAL)
}

fn gid(cred: &Credentials, id: u32) -> Result<Gid, Errno> {
    cred.user_ns.gid(id).ok_or(Errno::EINVAL)
}

/// The same, with -1 for "as it is".
fn uid_or_none(cred: &Credentials, id: u32) -> Result<Option<Uid>, Errno> {
    if id == INVALID_UID { Ok(None) } else { uid(cred, id).map(Some) }
}

fn gid_or_none(cred: &Credentials, id: u32) -> Result<Option<Gid>, Errno> {
    if id == INVALID_UID { Ok(None) } else { gid(cred, id).map(Some) }
}

/// Changes user ids, and then capabilities as that entails.
fn change_uids(task: &Task, change: impl FnOnce(&mut Credentials) -> Result<(), Errno>) -> SysResult<()> {
    Ok(task.change_cred(|new| {
        let old = new.clone();
        change(new)?;
        new.fsuid = new.euid;
        let bits = Securebits::from_bits_retain(new.securebits);
        if !bits.contains(Securebits::NO_SETUID_FIXUP) {
            fix_caps_after_setuid(&old, new, bits.contains(Securebits::KEEP_CAPS));
        }
        Ok(())
    })?)
}

fn change_gids(task: &Task, change: impl FnOnce(&mut Credentials) -> Result<(), Errno>) -> SysResult<()> {
    Ok(task.change_cred(|new| {
        change(new)?;
        new.fsgid = new.egid;
        Ok(())
    })?)
}

/// `EPERM` unless `fine`.
fn permit(fine: bool) -> Result<(), Errno> {
    if fine { Ok(()) } else { Err(Errno::EPERM) }
}

pub(super) fn setuid(task: &Arc<Task>, id: u32) -> SysResult<()> {
    change_uids(task, |new| {
        let id = uid(new, id)?;
        if new.has_cap(Cap::SETUID) {
            (new.ruid, new.suid) = (id, id);
        } else {
            permit(id == new.ruid || id == new.suid)?;
        }
        new.euid = id;
        Ok(())
    })
}

pub(super) fn setgid(task: &Arc<Task>, id: u32) -> SysResult<()> {
    change_gids(task, |new| {
        let id = gid(new, id)?;
        if new.has_cap(Cap::SETGID) {
            (new.rgid, new.sgid) = (id, id);
        } else {
            permit(id == new.rgid || id == new.sgid)?;
        }
        new.egid = id;
        Ok(())
    })
}

pub(super) fn setreuid(task: &Arc<Task>, real: u32, effective: u32) -> SysResult<()> {
    change_uids(task, |new| {
        let old = new.clone();
        let (real, effective) = (uid_or_none(new, real)?, uid_or_none(new, effective)?);
        let trusted = old.has_cap(Cap::SETUID);
        if let Some(real) = real {
            permit(trusted || real == old.ruid || real == old.euid)?;
            new.ruid = real;
        }
        if let Some(effective) = effective {
            permit(trusted || [old.ruid, old.euid, old.suid].contains(&effective))?;
            new.euid = effective;
        }
        if real.is_some() || effective.is_some_and(|id| id != old.ruid) {
            new.suid = new.euid;
        }
        Ok(())
    })
}

pub(super) fn setregid(task: &Arc<Task>, real: u32, effective: u32) -> SysResult<()> {
    change_gids(task, |new| {
        let old = new.clone();
        let (real, effective) = (gid_or_none(new, real)?, gid_or_none(new, effective)?);
        let trusted = old.has_cap(Cap::SETGID);
        if let Some(real) = real {
            permit(trusted || real == old.rgid || real == old.egid)?;
            new.rgid = real;
        }
        if let Some(effective) = effective {
            permit(trusted || [old.rgid, old.egid, old.sgid].contains(&effective))?;
            new.egid = effective;
        }
        if real.is_some() || effective.is_some_and(|id| id != old.rgid) {
            new.sgid = new.egid;
        }
        Ok(())
    })
}

pub(super) fn setresuid(task: &Arc<Task>, real: u32, effective: u32, saved: u32) -> SysResult<()> {
    change_uids(task, |new| {
        let old = new.clone();
        let wanted = [real, effective, saved].map(|id| uid_or_none(&old, id));
        let [real, effective, saved] = wanted;
        let (real, effective, saved) = (real?, effective?, saved?);
        let fine = |id: Option<Uid>| id.is_none_or(|id| [old.ruid, old.euid, old.suid].contains(&id));
        permit(old.has_cap(Cap::SETUID) || (fine(real) && fine(effective) && fine(saved)))?;
        new.ruid = real.unwrap_or(old.ruid);
        new.euid = effective.unwrap_or(old.euid);
        new.suid = saved.unwrap_or(old.suid);
        Ok(())
    })
}

pub(super) fn setresgid(task: &Arc<Task>, real: u32, effective: u32, saved: u32) -> SysResult<()> {
    change_gids(task, |new| {
        let old = new.clone();
        let [real, effective, saved] = [real, effective, saved].map(|id| gid_or_none(&old, id));
        let (real, effective, saved) = (real?, effective?, saved?);
        let fine = |id: Option<Gid>| id.is_none_or(|id| [old.rgid, old.egid, old.sgid].contains(&id));
        permit(old.has_cap(Cap::SETGID) || (fine(real) && fine(effective) && fine(saved)))?;
        new.rgid = real.unwrap_or(old.rgid);
        new.egid = effective.unwrap_or(old.egid);
        new.sgid = saved.unwrap_or(old.sgid);
        Ok(())
    })
}

/// Never an error: the old id, whether it was changed or not.
pub(super) fn setfsuid(task: &Arc<Task>, id: u32) -> SysResult<u32> {
    let before = task.cred();
    let shown = before.user_ns.show_uid(before.fsuid);
    let _ = task.change_cred(|new| {
        let id = uid(new, id)?;
        permit(new.has_cap(Cap::SETUID) || [new.ruid, new.euid, new.suid, new.fsuid].contains(&id))?;
        new.fsuid = id;
        if !Securebits::from_bits_retain(new.securebits).contains(Securebits::NO_SETUID_FIXUP) {
            fix_caps_after_setfsuid(&before, new);
        }
        Ok(())
    });
    Ok(shown)
}

/// As [`setfsuid`].
pub(super) fn setfsgid(task: &Arc<Task>, id: u32) -> SysResult<u32> {
    let before = task.cred();
    let shown = before.user_ns.show_gid(before.fsgid);
    let _ = task.change_cred(|new| {
        let id = gid(new, id)?;
        permit(new.has_cap(Cap::SETGID) || [new.rgid, new.egid, new.sgid, new.fsgid].contains(&id))?;
        new.fsgid = id;
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
    let mut groups = given.into_iter().map(|id| gid(&cred, id)).collect::<Result<Vec<_>, _>>()?;
    groups.sort_unstable();
    Ok(task.change_cred(|new| {
        new.groups = groups.into();
        Ok(())
    })?)
}
