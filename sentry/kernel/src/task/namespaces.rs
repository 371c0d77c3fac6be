//! `clone(2)`, `unshare(2)` and `setns(2)` with namespaces.

use super::Task;
use crate::{
    namespaces::{Namespaces, OpaqueNamespace, UtsNamespace},
    pid::PidNamespace,
};
use abi::{
    Errno,
    process::{Cap, CloneFlags},
};
use std::sync::{Arc, atomic::Ordering};
use vfs::{Credentials, UserNamespace, cred::next_namespace_id};

/// Makes the namespaces of crates above this one.
pub type NewNamespace = Box<dyn Fn(Arc<UserNamespace>) -> Arc<OpaqueNamespace> + Send + Sync>;

impl Task {
    /// The namespaces of a child made with `flags`, which has `cred`. The mount namespace comes later, once the child has its
    /// own root and working directory.
    pub(super) fn namespaces_of_child(
        &self,
        flags: CloneFlags,
        cred: &Credentials,
    ) -> Result<Arc<Namespaces>, Errno> {
        let old = self.namespaces();
        if !flags.intersects(CloneFlags::NAMESPACES - CloneFlags::NEWUSER) {
            return Ok(old);
        }
        if !cred.has_cap(Cap::SYS_ADMIN) {
            return Err(Errno::EPERM);
        }
        self.new_namespaces(&old, flags, &cred.user_ns).map(Arc::new)
    }

    fn new_namespaces(
        &self,
        old: &Namespaces,
        flags: CloneFlags,
        user_ns: &Arc<UserNamespace>,
    ) -> Result<Namespaces, Errno> {
        let mut new = old.clone();
        if flags.contains(CloneFlags::NEWUTS) {
            let names = old.uts.names.lock().clone();
            new.uts = UtsNamespace::new(user_ns.clone(), names);
        }
        if flags.contains(CloneFlags::NEWIPC) {
            new.ipc = self.kernel.create_ipc_namespace(user_ns.clone());
        }
        if flags.contains(CloneFlags::NEWNET) {
            new.net = self.kernel.new_net_namespace.get().ok_or(Errno::EINVAL)?(user_ns.clone());
        }
        if flags.contains(CloneFlags::NEWPID) {
            new.pid_for_children = PidNamespace::child(&old.pid_for_children, user_ns.clone())?;
        }
        if flags.contains(CloneFlags::NEWCGROUP) {
            new.cgroup_id = next_namespace_id();
        }
        Ok(new)
    }

    /// Gives the task a copy of its mount namespace, and moves its root and working directory there.
    ///
    /// The task's context must be its own (no `CLONE_FS`).
    pub(crate) fn move_into_new_mount_namespace(&self) -> Result<(), Errno> {
        let (old, fs, user_ns) = {
            let state = self.state.lock();
            (state.ns.clone(), state.fs.clone(), state.cred.user_ns.clone())
        };
        let (mount, copies) = old.mount.copy(user_ns)?;
        fs.translate(&copies);
        let new = Arc::new(Namespaces { mount, ..(*old).clone() });
        let replaced = std::mem::replace(&mut self.state.lock().ns, new);
        drop(replaced); // without the lock: a mount namespace may go with it
        Ok(())
    }

    /// `unshare(2)`. `EINVAL` for what makes no sense, `EPERM` without rights.
    pub fn unshare(self: &Arc<Self>, mut flags: CloneFlags) -> Result<(), Errno> {
        use CloneFlags as F;
        if !F::UNSHARE.contains(flags) {
            return Err(Errno::EINVAL);
        }
        if flags.contains(F::NEWUSER) {
            flags |= F::THREAD | F::FS;
        }
        if flags.contains(F::VM) {
            flags |= F::SIGHAND;
        }
        if flags.contains(F::SIGHAND) {
            flags |= F::THREAD;
        }
        if flags.contains(F::NEWNS) {
            flags |= F::FS;
        }
        if flags.contains(F::NEWTIME) {
            return Err(Errno::EINVAL);
        }
        let alone = self.group.signals.lock().live().count() == 1;
        if flags.contains(F::THREAD) && !alone {
            return Err(Errno::EINVAL);
        }
        if flags.contains(F::VM) && self.mm().is_ok_and(|mm| Arc::strong_count(&mm) > 2) {
            return Err(Errno::EINVAL);
        }
        let cred =
            if flags.contains(F::NEWUSER) { self.cred().in_new_user_namespace()? } else { self.cred() };
        let ns = self.namespaces_of_child(flags, &cred)?;
        let fs = {
            let mut state = self.state.lock();
            if flags.intersects(F::FS) {
                state.fs = state.fs.fork();
            }
            if flags.contains(F::FILES)
                && let Some(fds) = &state.fds
            {
                state.fds = Some(fds.fork());
            }
            state.cred = cred;
            std::mem::replace(&mut state.ns, ns)
        };
        drop(fs);
        if flags.contains(F::NEWNS) {
            self.move_into_new_mount_namespace()?;
        }
        if flags.intersects(F::NEWIPC | F::SYSVSEM) {
            self.exit_ipc();
        }
        if flags.contains(F::NEWUSER) {
            self.group.undumpable.store(false, Ordering::Relaxed);
        }
        Ok(())
    }
}
