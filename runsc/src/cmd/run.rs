//! `run`: create, start, stay in front until the end, delete.

use crate::{
    bundle::{self, Bundle},
    cli::{CreateArgs, Global},
    console,
    foreground::{self, Signals, Target},
    hooks,
    sandbox::{self, Request, Sandbox},
    state::{self, Container, Phase, ProcessRef},
};
use anyhow::Context;
use boot::config::StartMode;
use clap::Args;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use std::{
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

/// Options of `run`.
#[derive(Args, Debug)]
pub struct Run {
    /// Shared with `create`
    #[command(flatten)]
    pub args: CreateArgs,
    /// Detach from the container's process
    #[arg(long, short = 'd')]
    pub detach: bool,
    /// Do not delete the container after it exits
    #[arg(long)]
    pub keep: bool,
    /// Accepted and ignored
    #[arg(long, hide = true)]
    pub no_subreaper: bool,
    /// Container id
    pub id: String,
}

impl Run {
    /// Runs the container; its exit status.
    pub fn run(self, global: &Global) -> anyhow::Result<i32> {
        let extra_files = super::extra_files(self.args.preserve_fds)?;
        self.run_with(global, extra_files).context("runsc-rs run failed")
    }

    fn run_with(&self, global: &Global, extra_files: Vec<OwnedFd>) -> anyhow::Result<i32> {
        bundle::check_id(&self.id)?;
        let bundle = Bundle::load(self.args.bundle.as_deref())?;
        let terminal = bundle.process()?.terminal().unwrap_or(false);
        console::check(terminal, self.detach, self.args.console_socket.as_deref())?;
        let with_hooks = hooks::before_start(bundle.spec.hooks().as_ref());
        let request = Request {
            global,
            command: "run",
            id: &self.id,
            bundle,
            start: if with_hooks { StartMode::OnRequest } else { StartMode::Now },
            console_socket: self.args.console_socket.as_deref(),
            pid_file: self.args.pid_file.as_deref(),
            extra_files,
            die_with_parent: false,
            direct_terminal: false,
        };
        run(global, request, self.detach, self.keep)
    }
}

/// Runs a container to its end, or, detached, to its start.
pub fn run(global: &Global, request: Request<'_>, detach: bool, keep: bool) -> anyhow::Result<i32> {
    let signals = if detach { None } else { Some(Signals::block()?) };
    let root = state::root_dir(global);
    let direct_terminal = request.direct_terminal;
    // Before the sandbox changes them.
    let person = if direct_terminal && !detach { console::SavedTerminal::of_stdin()? } else { None };
    let mut sandbox = sandbox::create(request)?;
    if let Err(error) = start(&mut sandbox) {
        let Sandbox { container, state, .. } = sandbox;
        sandbox::destroy(container, &state)?;
        return Err(error);
    }
    let Sandbox { state, container, master } = sandbox;
    // Other commands may want it now.
    drop(container);
    let Some(signals) = signals else { return Ok(0) };
    let process = state.sandbox.context("sandbox process")?;
    let end = host::process::pidfd_open(process.id())?;
    let person = if master.is_some() { console::SavedTerminal::of_stdin()? } else { person };
    if let (Some(person), Some(_)) = (&person, &master) {
        person.make_raw()?;
    }
    if let Some(master) = &master {
        console::pump_input(master)?;
    }
    let target = Target { pid: 0, terminal: master.is_some() || (direct_terminal && person.is_some()) };
    foreground::wait(&state, target, &signals, end.as_fd(), master.as_ref(), person.as_ref())?;
    let status = sandbox::wait_for(process.id())?;
    drop(person);
    if let (137, Some(gofer)) = (sandbox::exit_code(status), &state.gofer) {
        report_gofer(gofer);
    }
    if !keep {
        match Container::open(&root, &state.id) {
            Ok((container, state)) => sandbox::destroy(container, &state)?,
            // Somebody else was quicker.
            Err(error) => log::debug!("{error:#}"),
        }
    }
    Ok(sandbox::exit_code(status))
}

/// Says so if the gofer was why the sandbox has ended: one whose sandbox ends first exits with status 0.
fn report_gofer(gofer: &ProcessRef) {
    if sandbox::wait_gone(gofer, Duration::from_secs(1)).is_err() {
        return;
    }
    let how = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
    let end = waitid(Id::Pid(gofer.id()), how);
    if end.is_ok_and(|end| !matches!(end, WaitStatus::Exited(_, 0) | WaitStatus::StillAlive)) {
        log::error!("the gofer (process {}) has died, so the sandbox could not go on", gofer.pid);
    }
}

/// Starts a container that waits, and runs what is to run then.
pub fn start(sandbox: &mut Sandbox) -> anyhow::Result<()> {
    if sandbox.state.phase != Phase::Running {
        sandbox.state.connect()?.start_root(&sandbox.state.id)?;
        sandbox.state.phase = Phase::Running;
        sandbox.container.save(&sandbox.state)?;
    }
    hooks::run(&sandbox.state, hooks::Stage::Poststart)
}
