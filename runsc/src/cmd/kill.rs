//! `kill`: a signal to a container's init, or to everything in it.

use crate::{
    cli::Global,
    sandbox, signals,
    state::{self, State, Status},
};
use anyhow::bail;
use clap::Args;
use control_proto::{SignalArgs, SignalMode};
use nix::sys::signal::{Signal, kill};
use std::time::Duration;

/// Options of `kill`.
#[derive(Args, Debug)]
pub struct Kill {
    /// Send the signal to all processes inside the container
    #[arg(long, short = 'a')]
    pub all: bool,
    /// Send it to this process of the container instead of its init
    #[arg(long, value_name = "PID", conflicts_with = "all")]
    pub pid: Option<i32>,
    /// Container id
    pub id: String,
    /// Signal, by name or number
    #[arg(default_value = "SIGTERM")]
    pub signal: String,
}

impl Kill {
    /// Sends it.
    pub fn run(self, global: &Global) -> anyhow::Result<i32> {
        let state = state::load(&state::root_dir(global), &self.id)?;
        let signal = signals::parse(&self.signal)?;
        match state.status() {
            // Asking for everything in nothing to be killed is no mistake.
            Status::Stopped if self.all => return Ok(0),
            Status::Stopped => bail!("container not running"),
            // There is no init yet; what waits in its place ends by any signal that would end a program.
            Status::Created | Status::Creating if ends_programs(signal) => return kill_sandbox(&state),
            Status::Created | Status::Creating => return Ok(0),
            Status::Running | Status::Paused => {}
        }
        let mode = if self.all { SignalMode::All } else { SignalMode::Process };
        let args = SignalArgs { cid: state.id.clone(), signo: signal, pid: self.pid.unwrap_or(0), mode };
        if signal == Signal::SIGKILL as i32 && self.pid.is_none() {
            return kill_container(&state, &args);
        }
        let outcome = state.connect().and_then(|mut client| Ok(client.signal(&args)?));
        match outcome {
            // It ended meanwhile.
            Err(_) if state.status() == Status::Stopped => bail!("container not running"),
            other => other.map(|()| 0),
        }
    }
}

/// The end, in any case. A sandbox that works ends by itself, and tells whoever waits at its socket; a paused or broken one is
/// not asked.
fn kill_container(state: &State, args: &SignalArgs) -> anyhow::Result<i32> {
    if let (Status::Running, Some(process)) = (state.status(), &state.sandbox) {
        let asked = state.connect().and_then(|mut client| Ok(client.signal(args)?));
        if asked.is_ok() && sandbox::wait_gone(process, GRACE).is_ok() {
            return Ok(0);
        }
    }
    kill_sandbox(state)
}

fn kill_sandbox(state: &State) -> anyhow::Result<i32> {
    match state.sandbox {
        Some(process) if process.alive() => {
            kill(process.id(), Signal::SIGKILL)?;
            Ok(0)
        }
        _ => bail!("container not running"),
    }
}

/// How long a sandbox may take to end by itself.
const GRACE: Duration = Duration::from_secs(2);

/// Whether a signal's default action is to end the process.
fn ends_programs(signal: i32) -> bool {
    let harmless = [
        Signal::SIGCHLD,
        Signal::SIGCONT,
        Signal::SIGSTOP,
        Signal::SIGTSTP,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
        Signal::SIGURG,
        Signal::SIGWINCH,
    ];
    !harmless.iter().any(|other| *other as i32 == signal)
}
