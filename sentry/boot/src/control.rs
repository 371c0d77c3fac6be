//! What the control server's methods do.

use crate::{
    StartMode,
    config::ProcessConfig,
    process::{Container, Prepared},
    window::Watch,
};
use abi::{SigInfo, Signal};
use control_proto::{
    Error, ErrorKind, EventOut, ExecArgs, Process, RuntimeState, SignalArgs, SignalMode, WaitPidArgs,
    cpu_share, cpu_time, event::Event, start_time,
};
use control_server::{ExecFiles, Methods};
use kernel::{Kernel, ThreadGroup, tree::ExitStatus, tty::host::HostTerminal};
use std::{
    collections::HashMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

/// Where the container's life stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Created,
    Running,
    Stopped(ExitStatus),
}

struct State {
    phase: Phase,
    /// The first process, until it is started.
    init: Option<Prepared>,
    /// Its number in the initial pid namespace.
    init_tgid: u32,
    /// Processes of `exec` by their number: how they ended, once they have.
    execs: HashMap<u32, Option<ExitStatus>>,
    /// Terminals of the host that are in use.
    terminals: Vec<Arc<HostTerminal>>,
    /// Tells of changes of the window's size.
    window: Option<Watch>,
    paused: bool,
}

/// The sandbox as its operator sees it.
pub struct Sandbox {
    id: String,
    container: Container,
    state: Mutex<State>,
    changed: Condvar,
}

impl Sandbox {
    /// A sandbox whose first process is `init`.
    pub fn new(id: String, container: Container, init: Prepared) -> Arc<Self> {
        let init_tgid = init.task.group.tgid();
        let terminals = init.terminal.iter().cloned().collect();
        let state = State {
            phase: Phase::Created,
            init: Some(init),
            init_tgid,
            execs: HashMap::new(),
            terminals,
            window: None,
            paused: false,
        };
        Arc::new(Self { id, container, state: Mutex::new(state), changed: Condvar::new() })
    }

    fn kernel(&self) -> &Arc<Kernel> {
        &self.container.kernel
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the first process.
    pub fn start(&self) -> Result<(), Error> {
        let init = self.state().init.take();
        let init = init.ok_or_else(|| {
            Error::new(ErrorKind::WrongState, "cannot start a container that has started already")
        })?;
        self.state().phase = Phase::Running;
        init.task.start();
        Ok(())
    }

    /// A process without a parent has ended.
    pub fn ended(&self, group: &ThreadGroup, status: ExitStatus) {
        let mut state = self.state();
        if group.tgid() == state.init_tgid {
            if matches!(state.phase, Phase::Stopped(_)) {
                return;
            }
            state.phase = Phase::Stopped(status);
        } else if let Some(slot) = state.execs.get_mut(&group.tgid()) {
            *slot = Some(status);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Watches the window of the container's terminal.
    pub fn watch_window(self: &Arc<Self>) -> std::io::Result<()> {
        let watch = Watch::new(self.kernel().executor.reactor(), self)?;
        self.state().window = Some(watch);
        Ok(())
    }

    /// A window of the host may have another size.
    pub fn update_window_sizes(&self) {
        let terminals = self.state().terminals.clone();
        for terminal in terminals {
            terminal.update_winsize();
        }
    }

    /// The gofer is gone: there is no root file system any more, so nothing can go on.
    pub fn gofer_lost(&self) {
        if matches!(self.state().phase, Phase::Stopped(_)) {
            return;
        }
        log::error!("the gofer is gone, and the container's files with it: the sandbox ends");
        let killed = ExitStatus::Signal { signo: Signal::SIGKILL.number(), core: false };
        self.state().phase = Phase::Stopped(killed);
        self.changed.notify_all();
    }

    /// What `exec` started has ended with the container: those who wait for it are told.
    pub fn end_all(&self) {
        let mut state = self.state();
        let killed = ExitStatus::Signal { signo: Signal::SIGKILL.number(), core: false };
        for status in state.execs.values_mut() {
            status.get_or_insert(killed);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for the end of the first process.
    pub fn wait_for_end(&self) -> ExitStatus {
        let mut state = self.state();
        loop {
            if let Phase::Stopped(status) = state.phase {
                return status;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn check(&self, container: &str) -> Result<(), Error> {
        if container.is_empty() || container == self.id {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NoSuchContainer, format!("container {container:?} is not in this sandbox")))
    }

    /// The process that `pid` is in the container.
    fn process(&self, pid: i32) -> Result<Arc<ThreadGroup>, Error> {
        let missing = || {
            Error::new(ErrorKind::NoSuchProcess, format!("no process {pid} in the container")).with_errno(3)
        };
        let number = u32::try_from(pid).map_err(|_| missing())?;
        let found = self.container.pid_ns.find(number).ok_or_else(missing)?;
        let tree = self.kernel().tree.lock();
        tree.group(found.root()).cloned().ok_or_else(missing)
    }
}

fn wait_status(status: ExitStatus) -> u32 {
    status.wait_status() as u32
}

impl Methods for Sandbox {
    fn execute_async(&self, args: ExecArgs, files: ExecFiles) -> Result<i32, Error> {
        self.check(&args.container_id)?;
        if !matches!(self.state().phase, Phase::Running) {
            return Err(Error::new(ErrorKind::WrongState, "cannot exec in a container that is not running"));
        }
        let mut argv = args.argv.clone();
        if !args.filename.is_empty() {
            match argv.first_mut() {
                Some(first) => *first = args.filename.clone(),
                None => argv.push(args.filename.clone()),
            }
        }
        let config = ProcessConfig {
            args: argv,
            env: args.envv,
            cwd: args.wd,
            uid: args.kuid,
            gid: args.kgid,
            groups: args.extra_kgids,
            capabilities: args.capabilities.unwrap_or_default(),
            rlimits: args.limits.into_iter().map(|(name, l)| (name, (l.cur, l.max))).collect(),
            no_new_privs: args.no_new_privileges,
            terminal: args.stdio_is_pty,
            ..ProcessConfig::default()
        };
        let prepared = self.container.prepare(&config, files.guest, files.executable)?;
        let group = &prepared.task.group;
        let pid = group.pid.number_in(&self.container.pid_ns).unwrap_or(0);
        {
            let mut state = self.state();
            state.execs.insert(group.tgid(), None);
            state.terminals.retain(|t| Arc::strong_count(t) > 1);
            state.terminals.extend(prepared.terminal.clone());
        }
        prepared.task.start();
        Ok(pid as i32)
    }

    fn wait_pid(&self, args: &WaitPidArgs) -> Result<u32, Error> {
        self.check(&args.cid)?;
        let missing = || {
            Error::new(ErrorKind::NoSuchProcess, format!("no process {} to wait for", args.pid))
                .with_errno(10)
        };
        let number = u32::try_from(args.pid).map_err(|_| missing())?;
        let mut state = self.state();
        if number == 1 {
            drop(state);
            return Ok(wait_status(self.wait_for_end()));
        }
        // Numbers of the container's own namespace are those of the initial one: it is the only one that exec uses.
        if !state.execs.contains_key(&number) {
            return Err(missing());
        }
        loop {
            match state.execs.get(&number).copied() {
                None => return Err(missing()),
                Some(Some(status)) => {
                    state.execs.remove(&number);
                    return Ok(wait_status(status));
                }
                Some(None) => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn processes(&self, container: &str) -> Result<Vec<Process>, Error> {
        self.check(container)?;
        let kernel = self.kernel();
        let ns = &self.container.pid_ns;
        let now = kernel.monotonic_ns();
        let groups: Vec<_> = {
            let tree = kernel.tree.lock();
            let alive = tree.nodes.values().filter(|n| n.zombie.is_none());
            alive
                .map(|n| (n.group.clone(), n.parent, n.pgid, n.threads.keys().copied().collect::<Vec<_>>()))
                .collect()
        };
        let inside = |number: u32| {
            let pid = kernel.tree.lock().pids.get(&number).cloned();
            pid.and_then(|p| p.number_in(ns)).unwrap_or(0) as i32
        };
        let mut list = Vec::new();
        for (group, parent, pgid, threads) in groups {
            let Some(pid) = group.pid.number_in(ns) else { continue };
            let (user, system) = group.times_ns();
            let age = now.saturating_sub(group.start_ns);
            let clock = kernel::time::clock::realtime_ns();
            let started = clock.saturating_sub(age);
            let (cmd, uid) = name_and_user(&group);
            list.push(Process {
                uid,
                pid: pid as i32,
                ppid: if parent == 0 { 0 } else { inside(parent) },
                pgid: inside(pgid),
                threads: threads.into_iter().map(inside).collect(),
                c: cpu_share(user + system, age),
                tty: group.terminal().map_or_else(|| "?".into(), |t| terminal_name(&t)),
                stime: start_time(seconds(started), seconds(clock)),
                time: cpu_time(user + system),
                cmd,
                host_pid: host_process(&group).unwrap_or(0),
            });
        }
        list.sort_by_key(|p| p.pid);
        Ok(list)
    }

    fn start_root(&self, container: &str) -> Result<(), Error> {
        self.check(container)?;
        self.start()
    }

    fn wait(&self, container: &str) -> Result<u32, Error> {
        self.check(container)?;
        Ok(wait_status(self.wait_for_end()))
    }

    fn signal(&self, args: &SignalArgs) -> Result<(), Error> {
        self.check(&args.cid)?;
        let signal = Signal::new(args.signo).ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, format!("{} is no signal", args.signo)).with_errno(22)
        })?;
        let info = SigInfo::kill(signal, abi::signal::SI_USER, 0, 0);
        let kernel = self.kernel();
        match args.mode {
            SignalMode::All => {
                let groups: Vec<_> = kernel.tree.lock().nodes.values().map(|n| n.group.clone()).collect();
                for group in groups {
                    let _ = group.send_signal_from_outside(info); // it may have ended meanwhile
                }
                Ok(())
            }
            // The terminal itself tells the group, if the size is another.
            SignalMode::ForegroundProcessGroup if signal == Signal::SIGWINCH => {
                self.update_window_sizes();
                Ok(())
            }
            SignalMode::ForegroundProcessGroup => {
                let group = self.process(if args.pid == 0 { 1 } else { args.pid })?;
                match group.terminal().and_then(|t| t.session_and_foreground().1) {
                    Some(pgid) => kernel.signal_process_group(pgid, info).map_err(gone),
                    None => group.send_signal_from_outside(info).map_err(gone),
                }
            }
            SignalMode::Process => {
                let pid = if args.pid == 0 { 1 } else { args.pid };
                if pid == 1 && self.state().init.is_some() {
                    return self.signal_created(signal);
                }
                self.process(pid)?.send_signal_from_outside(info).map_err(gone)
            }
        }
    }

    fn pause(&self) -> Result<(), Error> {
        let mut state = self.state();
        if std::mem::replace(&mut state.paused, true) {
            return Err(Error::new(ErrorKind::WrongState, "cannot pause a container that is paused already"));
        }
        drop(state);
        self.kernel().pause();
        Ok(())
    }

    fn resume(&self) -> Result<(), Error> {
        let mut state = self.state();
        if !std::mem::replace(&mut state.paused, false) {
            return Err(Error::new(ErrorKind::WrongState, "cannot resume a container that is not paused"));
        }
        drop(state);
        self.kernel().resume();
        Ok(())
    }

    fn event(&self, container: &str) -> Result<EventOut, Error> {
        self.check(container)?;
        let kernel = self.kernel();
        let groups: Vec<_> = kernel.tree.lock().nodes.values().map(|n| n.group.clone()).collect();
        let (mut user, mut system) = (0, 0);
        for group in &groups {
            let (u, s) = group.times_ns();
            (user, system) = (user + u, system + s);
        }
        let mut event = Event { kind: "stats".into(), id: self.id.clone(), ..Event::default() };
        event.data.cpu.usage.user = user;
        event.data.cpu.usage.kernel = system;
        event.data.cpu.usage.total = user + system;
        event.data.memory.usage.usage = kernel.memory.resident_bytes();
        event.data.memory.usage.limit = kernel.memory_bytes;
        event.data.pids.current = kernel.tasks().len() as u64;
        let container_usage = [(self.id.clone(), user + system)].into();
        Ok(EventOut { event, container_usage })
    }

    fn runtime_state(&self, container: &str) -> Result<RuntimeState, Error> {
        self.check(container)?;
        let state = self.state();
        Ok(match state.phase {
            Phase::Created => RuntimeState::Creating,
            Phase::Running => RuntimeState::Running,
            Phase::Stopped(_) => RuntimeState::Stopped,
        })
    }

    fn destroy(&self, container: &str) -> Result<(), Error> {
        self.check(container)?;
        let kill = SignalArgs {
            cid: self.id.clone(),
            signo: Signal::SIGKILL.number(),
            pid: 0,
            ..SignalArgs::default()
        };
        self.signal(&kill)
    }
}

impl Sandbox {
    /// A signal for a container that was created and not started: one that ends a process ends it.
    fn signal_created(&self, signal: Signal) -> Result<(), Error> {
        if !matches!(
            signal,
            Signal::SIGKILL | Signal::SIGTERM | Signal::SIGINT | Signal::SIGHUP | Signal::SIGQUIT
        ) {
            return Ok(());
        }
        let init = self.state().init.take();
        if let Some(init) = init {
            init.task.kill_group(signal);
            self.ended(&init.task.group, ExitStatus::Signal { signo: signal.number(), core: false });
        }
        Ok(())
    }

    /// How the first process is started.
    pub fn begin(&self, mode: StartMode) -> Result<(), Error> {
        if mode == StartMode::Now { self.start() } else { Ok(()) }
    }
}

/// What `ps` shows of a process: its name, and who it runs as.
fn name_and_user(group: &ThreadGroup) -> (String, u32) {
    let Some(task) = group.signals.lock().live().next() else { return ("<defunct>".into(), 0) };
    let cred = task.cred();
    let comm = task.state.lock().comm.clone();
    (String::from_utf8_lossy(&comm).into_owned(), cred.user_ns.show_uid(cred.euid))
}

fn host_process(group: &ThreadGroup) -> Option<i32> {
    let task = group.signals.lock().live().next()?;
    task.mm().ok()?.platform_space().host_process()
}

fn terminal_name(tty: &kernel::tty::Tty) -> String {
    tty.index().map_or_else(|| "console".into(), |n| format!("pts/{n}"))
}

fn seconds(ns: u64) -> i64 {
    (ns / 1_000_000_000) as i64 // far below the sign
}

fn gone(errno: abi::Errno) -> Error {
    Error::new(ErrorKind::NoSuchProcess, "the process has ended").with_errno(errno.code())
}
