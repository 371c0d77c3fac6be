//! Processes that no process forked: a container's first one, and those that an operator starts in it.

use super::{Task, TaskState};
use crate::{
    Kernel, ThreadGroup,
    limits::Limits,
    loader::{self, Program},
    namespaces::Namespaces,
    pid::{Pid, PidNamespace},
    signal::{GroupSignals, SigHand, TaskSignals},
    tree::{Node, Session},
    tty::Tty,
};
use abi::{
    Errno,
    process::{Cap, Resource},
};
use platform::Regs;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak, atomic::Ordering},
};
use vfs::{Credentials, FdTable, FsContext};

/// What is to be started.
pub struct SpawnRequest {
    /// The program.
    pub program: Program,
    /// Who it runs as.
    pub cred: Arc<Credentials>,
    /// Its namespaces.
    pub ns: Arc<Namespaces>,
    /// The pid namespace that it lives in.
    pub pid_ns: Arc<PidNamespace>,
    /// Root, working directory, umask.
    pub fs: Arc<FsContext>,
    /// Its descriptors.
    pub fds: Arc<FdTable>,
    /// Resource limits.
    pub limits: Limits,
    /// Controlling terminal of its new session.
    pub terminal: Option<Arc<Tty>>,
}

impl Kernel {
    /// Makes a process of its own session and group that has executed `program`; it runs from [`Task::start`] on.
    pub fn spawn(self: &Arc<Self>, request: SpawnRequest) -> Result<Arc<Task>, Errno> {
        let SpawnRequest { program, cred, ns, pid_ns, fs, fds, limits, terminal } = request;
        let memlock = if cred.has_cap(Cap::IPC_LOCK) { u64::MAX } else { limits.soft(Resource::Memlock) };
        let mm_limits = mm::Limits {
            address_space: limits.soft(Resource::As),
            data: limits.soft(Resource::Data),
            stack: limits.soft(Resource::Stack),
            memlock,
        };
        let comm =
            program.path.rsplit(|b| *b == b'/').next().unwrap_or_default().iter().copied().take(15).collect();
        let context = vfs::WalkContext {
            vfs: self.vfs.clone(),
            root: fs.root(),
            start: fs.cwd(),
            cred: cred.clone(),
            umask: fs.umask(),
        };
        let open = |path: &[u8]| vfs::ops::open::open_exec(&context, path, vfs::Lookup::FOLLOW);
        let image = loader::load(self, program, mm_limits, &cred, false, &open)?;
        let pid = Pid::allocate(&pid_ns, &[])?;
        let mut signals = GroupSignals::new(SigHand::new());
        let is_init = pid.number_in(&pid_ns) == Some(1);
        signals.unkillable = is_init;
        let group = ThreadGroup::new(self.clone(), pid.clone(), signals, limits);
        group.watch_cpu_limit();
        let regs = Regs { rip: image.entry, rsp: image.stack_pointer, ..super::exec::START };
        let state = TaskState {
            cred,
            mm: Some(image.mm),
            fds: Some(fds),
            fs,
            ns,
            comm,
            clear_child_tid: 0,
            robust_list: 0,
            rseq: (0, 0),
            parent_death_signal: 0,
            restart_block: None,
        };
        let task = Task::new(group.clone(), pid.clone(), state, TaskSignals::default(), regs);
        let tid = task.tid();
        {
            let mut tree = self.tree.lock();
            let node = Node {
                group: group.clone(),
                parent: 0, // operators' processes have no parent inside either
                parent_thread: Weak::new(),
                children: BTreeSet::new(),
                tracees: Vec::new(),
                leader_tracer: 0,
                unreaped_threads: Vec::new(),
                threads: BTreeMap::from([(tid, task.clone())]),
                pgid: tid,
                sid: tid,
                zombie: None,
                has_execed: true,
                exit_signal: 0,
                is_subreaper: false,
            };
            tree.pids.insert(tid, pid);
            tree.nodes.insert(tid, node);
            tree.groups.entry(tid).or_default().insert(tid);
            tree.sessions.insert(tid, Session { terminal: None, groups: BTreeSet::from([tid]) });
            group.signals.lock().threads.push(Arc::downgrade(&task));
            if is_init {
                pid_ns.init.store(tid, Ordering::SeqCst);
            }
        }
        if let Some(tty) = terminal {
            tty.make_controlling(&task, true)?;
        }
        Ok(task)
    }
}
