//! Who may look into whom (`ptrace(2)`, "Ptrace access mode checking").

use crate::Task;
use abi::{Errno, process::Cap};

/// Whose credentials count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccessCreds {
    /// Those of system calls (`PTRACE_MODE_REALCREDS`).
    Real,
    /// Those of file access (`PTRACE_MODE_FSCREDS`): `/proc`.
    FileSystem,
}

/// Whether `caller` may look into `target`: its memory, its descriptors and the like. `EPERM`.
pub fn may_access(caller: &Task, target: &Task, creds: AccessCreds) -> Result<(), Errno> {
    if std::ptr::eq(&*caller.group, &*target.group) {
        return Ok(());
    }
    let (mine, theirs) = (caller.cred(), target.cred());
    if mine.landlock.as_ref().is_some_and(|domain| !domain.contains(theirs.landlock.as_ref())) {
        return Err(Errno::EPERM);
    }
    let privileged = mine.has_cap_in(&theirs.user_ns, Cap::SYS_PTRACE);
    let (uid, gid) = match creds {
        AccessCreds::Real => (mine.ruid, mine.rgid),
        AccessCreds::FileSystem => (mine.fsuid, mine.fsgid),
    };
    let same_ids = [theirs.euid, theirs.suid, theirs.ruid].iter().all(|id| *id == uid)
        && [theirs.egid, theirs.sgid, theirs.rgid].iter().all(|id| *id == gid);
    if privileged {
        return Ok(());
    }
    let dumpable = target.mm().map_or(true, |mm| mm.dumpable() == 1);
    // Whoever can do less must not get at what the other can do.
    let caps = if creds == AccessCreds::Real { mine.permitted } else { mine.effective };
    let no_more = mine.user_ns.id == theirs.user_ns.id && theirs.permitted.is_subset(caps);
    if same_ids && dumpable && no_more { Ok(()) } else { Err(Errno::EPERM) }
}
