//! `execve(2)`: a process becomes another program.

use super::{Task, block::Wait};
use crate::{
    SysResult,
    loader::{self, Image, Program},
    ptrace::Event,
    signal::no_alt_stack,
};
use abi::{
    Errno, Signal,
    process::{Cap, CapSet, Resource, Securebits},
};
use ksync::Ready;
use platform::Regs;
use std::sync::{Arc, atomic::Ordering};
use vfs::{Credentials, File};

/// Longest argument or environment string.
pub const MAX_STRING: usize = 128 << 10;

/// Registers of a program that starts, but for where it starts.
pub(super) const START: Regs = Regs {
    r15: 0,
    r14: 0,
    r13: 0,
    r12: 0,
    rbp: 0,
    rbx: 0,
    r11: 0,
    r10: 0,
    r9: 0,
    r8: 0,
    rax: 0,
    rcx: 0,
    rdx: 0,
    rsi: 0,
    rdi: 0,
    orig_rax: u64::MAX,
    rip: 0,
    cs: abi::arch::USER_CS,
    rflags: 0x202,
    rsp: 0,
    ss: abi::arch::USER_DS,
    fs_base: 0,
    gs_base: 0,
    ds: 0,
    es: 0,
    fs: 0,
    gs: 0,
};

impl Task {
    /// Limits of a new address space.
    pub fn mm_limits(&self) -> mm::Limits {
        let unlimited = self.cred().has_cap(Cap::IPC_LOCK);
        let limits = self.group.limits.lock();
        let memlock = if unlimited { u64::MAX } else { limits.soft(Resource::Memlock) };
        mm::Limits {
            address_space: limits.soft(Resource::As),
            data: limits.soft(Resource::Data),
            stack: limits.soft(Resource::Stack),
            memlock,
        }
    }

    /// How many bytes of arguments and environment `execve` takes: a quarter of the stack limit, within bounds.
    pub fn argument_limit(&self) -> usize {
        let stack = self.group.limits.lock().soft(Resource::Stack);
        (stack / 4).clamp(128 << 10, 6 << 20) as usize
    }

    /// Becomes `program`. Only this thread is left, with the leader's number.
    ///
    /// An error leaves everything as it was; after the point of no return what fails ends the process.
    pub async fn execve(self: &Arc<Self>, program: Program) -> SysResult<()> {
        let path = program.path.clone();
        let (cred, secure) = self.credentials_after_exec(&program.file)?;
        let limits = self.mm_limits();
        let open = |path: &[u8]| self.open_executable(path);
        let image = loader::load(&self.kernel, program, limits, &cred, secure, &open)?;
        let former = self.pid();
        self.become_only_thread().await?;
        if self.switch_to_image(image, cred, &path, secure).is_err() {
            self.kill_group(Signal::SIGKILL);
        } else if self.is_traced() {
            let message = u64::from(self.seen_by_tracer(&former));
            drop(former);
            Box::pin(self.report(Event::Exec, message)).await;
        }
        Ok(())
    }

    /// Ends the other threads and takes over the leader's number.
    async fn become_only_thread(self: &Arc<Self>) -> SysResult<()> {
        let group = &self.group;
        if group.execing.swap(true, Ordering::SeqCst) {
            return Err(Errno::EAGAIN.into()); // another thread was first; it ends this one
        }
        let others: Vec<_> = group.signals.lock().live().filter(|t| !Arc::ptr_eq(t, self)).collect();
        for task in others {
            task.mark_killed();
            task.set_work();
        }
        let alone = || match group.signals.lock().live().filter(|t| !Arc::ptr_eq(t, self)).count() {
            0 => Ok(()),
            _ => Err(Errno::EAGAIN),
        };
        let result = self.block_on(Wait::on(&group.child_events, Ready::OTHER).killable(), alone).await;
        group.execing.store(false, Ordering::SeqCst);
        result?;
        if !self.is_leader() {
            let mut tree = self.kernel.tree.lock();
            let old = self.tid();
            if let Some(node) = tree.nodes.get_mut(&group.tgid()) {
                node.threads.remove(&old);
                node.threads.insert(group.tgid(), self.clone());
            }
            tree.pids.remove(&old);
            self.set_pid(group.pid.clone());
            self.take_leaders_tracer(&mut tree);
        }
        Ok(())
    }

    fn switch_to_image(
        self: &Arc<Self>,
        image: Image,
        cred: Arc<Credentials>,
        path: &[u8],
        secure: bool,
    ) -> Result<(), Errno> {
        let context = self.kernel.platform.new_context()?;
        self.release_robust_futexes();
        let comm = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
        image.mm.set_dumpable(u32::from(!secure));
        self.group.undumpable.store(secure, Ordering::Relaxed);
        self.let_go_of_memory();
        let fds = {
            let mut state = self.state.lock();
            state.mm = Some(image.mm);
            state.cred = cred;
            state.comm = comm.iter().copied().take(15).collect();
            state.rseq = (0, 0);
            state.restart_block = None;
            if secure {
                state.parent_death_signal = 0;
            }
            state.fds.clone().ok_or(Errno::ESRCH)?
        };
        // A table that others share is theirs to keep.
        let fds = if Arc::strong_count(&fds) > 2 {
            let own = fds.fork();
            self.state.lock().fds = Some(own.clone());
            own
        } else {
            fds
        };
        for file in fds.close_on_exec() {
            self.close_file(file);
        }
        self.end_user_dispatch();
        {
            let mut group = self.group.signals.lock();
            if Arc::strong_count(&group.hand) > 1 {
                group.hand = group.hand.fork();
            }
            group.hand.reset_caught();
            self.signals.lock().alt_stack = no_alt_stack();
        }
        self.group.barriers.store(0, Ordering::Relaxed);
        self.delete_posix_timers();
        if let Some(node) = self.kernel.tree.lock().nodes.get_mut(&self.group.tgid()) {
            node.has_execed = true;
        }
        self.install_context(context);
        {
            let mut regs = self.regs.lock();
            // A tracer still sees which call this is.
            *regs = Regs { rip: image.entry, rsp: image.stack_pointer, orig_rax: regs.orig_rax, ..START };
        }
        self.registers_replaced.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Credentials of the program in `file` (`capabilities(7)`, "Transformation of capabilities during execve"), and
    /// whether it gains anything.
    fn credentials_after_exec(&self, file: &Arc<File>) -> Result<(Arc<Credentials>, bool), Errno> {
        let old = self.cred();
        let attr = file.inode().attr()?;
        let mut new = (*old).clone();
        let honoured = self.kernel.allow_suid
            && !file.path().mount().flags().contains(abi::process::MountFlags::NOSUID)
            && !old.no_new_privs
            && self.tracer_allows_privileges();
        let mapped = old.user_ns.uid_inside(attr.uid).is_some() && old.user_ns.gid_inside(attr.gid).is_some();
        if honoured && mapped {
            if attr.mode & 0o4000 != 0 {
                new.euid = attr.uid;
            }
            if attr.mode & 0o2010 == 0o2010 {
                new.egid = attr.gid;
            }
        }
        let file_caps =
            if honoured { vfs::cred::file_capabilities(&*file.inode(), &old.user_ns)? } else { None };
        (new.suid, new.fsuid) = (new.euid, new.euid);
        (new.sgid, new.fsgid) = (new.egid, new.egid);
        let root = old.user_ns.uid(0);
        let root_rules = !Securebits::from_bits_retain(old.securebits).contains(Securebits::NOROOT);
        let is_root = root_rules && (Some(new.euid) == root || Some(new.ruid) == root);
        let (mut permitted, mut inheritable, mut effective) = match file_caps {
            Some(c) => (c.permitted, c.inheritable, c.effective),
            None => (CapSet::EMPTY, CapSet::EMPTY, false),
        };
        if is_root {
            (permitted, inheritable) = (CapSet::FULL, CapSet::FULL);
            effective = effective || Some(new.euid) == root;
        }
        let privileged = file_caps.is_some() || new.euid != old.euid || new.egid != old.egid;
        if privileged {
            new.ambient = CapSet::EMPTY;
        }
        new.permitted = old
            .inheritable
            .intersection(inheritable)
            .union(permitted.intersection(old.bounding))
            .union(new.ambient);
        if old.no_new_privs && !is_root {
            new.permitted = new.permitted.intersection(old.permitted.union(new.ambient));
        }
        new.effective = if effective { new.permitted } else { new.ambient };
        new.securebits &= !Securebits::KEEP_CAPS.bits();
        let gains = new.euid != old.ruid
            || new.egid != old.rgid
            || (!is_root && !new.permitted.is_subset(old.permitted));
        Ok((Arc::new(new), gains))
    }

    /// How names are resolved for this task, relative to its working directory.
    pub fn walk_context(&self) -> vfs::WalkContext {
        let (fs, cred) = {
            let state = self.state.lock();
            (state.fs.clone(), state.cred.clone())
        };
        let (root, start) = fs.both();
        vfs::WalkContext { vfs: self.kernel.vfs.clone(), root, start, cred, umask: fs.umask() }
    }

    /// Opens a program or an interpreter by name.
    pub fn open_executable(&self, path: &[u8]) -> Result<Arc<File>, Errno> {
        vfs::ops::open::open_exec(&self.walk_context(), path, vfs::Lookup::FOLLOW)
    }
}
