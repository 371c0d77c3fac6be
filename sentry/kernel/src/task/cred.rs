//! Whom a task may signal (`kill(2)`), and changes of credentials (`credentials(7)`, `capabilities(7)`).

use super::Task;
use crate::ThreadGroup;
use abi::{
    Errno, Signal,
    process::{Cap, CapSet},
};
use std::sync::{Arc, atomic::Ordering};
use vfs::{Credentials, Uid, landlock::Scope};

impl Task {
    /// Whether this task may send `signal` to `target`, if any (`kill(2)`, ERRORS); `EPERM`.
    pub fn check_kill(&self, target: &Arc<ThreadGroup>, signal: Option<Signal>) -> Result<(), Errno> {
        if Arc::ptr_eq(&self.group, target) {
            return Ok(());
        }
        self.check_kill_by_ids(target, signal)?;
        let Some(domain) = &self.cred().landlock else { return Ok(()) };
        let theirs = target.leader_cred().or_else(|| target.remains.lock().as_ref().map(|r| r.cred.clone()));
        domain.may_reach(theirs.as_ref().and_then(|c| c.landlock.as_ref()), Scope::SIGNAL)
    }

    fn check_kill_by_ids(&self, target: &Arc<ThreadGroup>, signal: Option<Signal>) -> Result<(), Errno> {
        let mine = self.cred();
        let (ruid, suid, user_ns) = match target.leader_cred() {
            Some(theirs) => (theirs.ruid, theirs.suid, theirs.user_ns.clone()),
            None => {
                let last = Uid(target.last_uid.load(Ordering::Relaxed));
                (last, last, self.kernel.root_user_ns.clone())
            }
        };
        let same = [mine.euid, mine.ruid].iter().any(|id| *id == ruid || *id == suid);
        if same || mine.has_cap_in(&user_ns, Cap::KILL) {
            return Ok(());
        }
        if signal == Some(Signal::SIGCONT) {
            let tree = self.kernel.tree.lock();
            let session = |tgid| tree.nodes.get(&tgid).map(|n| n.sid);
            if session(self.group.tgid()) == session(target.tgid()) {
                return Ok(());
            }
        }
        Err(Errno::EPERM)
    }

    /// Replaces the credentials by what `change` makes of them (Linux: `commit_creds`).
    ///
    /// Whoever changes ids or gains capabilities is not to be looked into any more, and loses its parent death signal.
    pub fn change_cred<R>(
        &self,
        change: impl FnOnce(&mut Credentials) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        let old = self.cred();
        let mut new = (*old).clone();
        let result = change(&mut new)?;
        let ids_changed =
            (old.euid, old.egid, old.fsuid, old.fsgid) != (new.euid, new.egid, new.fsuid, new.fsgid);
        let gained = !new.permitted.is_subset(old.permitted);
        let (mm, replaced) = {
            let mut state = self.state.lock();
            let replaced = std::mem::replace(&mut state.cred, Arc::new(new));
            if ids_changed || gained {
                state.parent_death_signal = 0;
            }
            (state.mm.clone(), replaced)
        };
        drop(replaced);
        if let Some(mm) = mm.filter(|_| ids_changed || gained) {
            mm.set_dumpable(0);
        }
        Ok(result)
    }
}

/// What a change of real, effective and saved user ids does to capabilities (`capabilities(7)`, "Effect of user ID
/// changes on capabilities"); `keep` is `SECBIT_KEEP_CAPS`.
pub fn fix_caps_after_setuid(old: &Credentials, new: &mut Credentials, keep: bool) {
    let root = new.user_ns.uid(0);
    let is_root = |id: Uid| Some(id) == root;
    let had_root = [old.ruid, old.euid, old.suid].into_iter().any(is_root);
    let has_root = [new.ruid, new.euid, new.suid].into_iter().any(is_root);
    if had_root && !has_root {
        if !keep {
            new.permitted = CapSet::EMPTY;
            new.effective = CapSet::EMPTY;
        }
        new.ambient = CapSet::EMPTY;
    }
    if is_root(old.euid) && !is_root(new.euid) {
        new.effective = CapSet::EMPTY;
    }
    if !is_root(old.euid) && is_root(new.euid) {
        new.effective = new.permitted;
    }
}

/// What a change of the file system user id alone does to capabilities.
pub fn fix_caps_after_setfsuid(old: &Credentials, new: &mut Credentials) {
    let root = new.user_ns.uid(0);
    let is_root = |id: Uid| Some(id) == root;
    if is_root(old.fsuid) && !is_root(new.fsuid) {
        new.effective = new.effective.difference(CapSet::FS);
    }
    if !is_root(old.fsuid) && is_root(new.fsuid) {
        new.effective = new.effective.union(new.permitted.intersection(CapSet::FS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vfs::UserNamespace;

    #[test]
    fn leaving_root_drops_capabilities_unless_kept() {
        let old = Credentials::root(UserNamespace::initial());
        let user = Uid(1000);
        let changed = Credentials { ruid: user, euid: user, suid: user, ..(*old).clone() };
        let mut dropped = changed.clone();
        fix_caps_after_setuid(&old, &mut dropped, false);
        assert!(dropped.permitted.is_empty() && dropped.effective.is_empty());
        let mut kept = changed;
        fix_caps_after_setuid(&old, &mut kept, true);
        assert!(kept.permitted == CapSet::FULL && kept.effective.is_empty());
    }

    #[test]
    fn the_effective_set_comes_and_goes_with_the_effective_id() {
        let root = Credentials::root(UserNamespace::initial());
        let mut away = Credentials { euid: Uid(5), ..(*root).clone() };
        fix_caps_after_setuid(&root, &mut away, false);
        assert!(away.permitted == CapSet::FULL && away.effective.is_empty());
        let mut back = Credentials { euid: Uid::ROOT, ..away.clone() };
        fix_caps_after_setuid(&away, &mut back, false);
        assert_eq!(back.effective, CapSet::FULL);
        let mut fs = Credentials { fsuid: Uid(5), ..(*root).clone() };
        fix_caps_after_setfsuid(&root, &mut fs);
        assert!(!fs.effective.contains(Cap::CHOWN) && fs.effective.contains(Cap::SYS_ADMIN));
    }
}
