//! OCI hooks: programs of the host that run at stages of a container's life, with its state on standard input.
//!
//! `prestart`, `createRuntime`, `poststart` and `poststop` run in the caller's namespaces. `createContainer` and
//! `startContainer` are to run inside the container's namespaces, which for a sandbox are not the host's: they are
//! left out, with a warning.

use crate::state::State;
use anyhow::{Context, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use oci_spec::runtime::{Hook, Hooks};
use std::{
    io::{Read, Write},
    os::fd::AsFd,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// When hooks run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The sandbox stands, nothing of the container runs.
    Create,
    /// The container's init has been started.
    Poststart,
    /// The container has been deleted.
    Poststop,
}

/// Whether there is anything to run before a container starts.
pub fn before_start(hooks: Option<&Hooks>) -> bool {
    hooks.is_some_and(|hooks| !list(hooks, Stage::Create).is_empty())
}

/// Runs the hooks of a stage. The first that fails before the start is an error; later ones are warnings.
pub fn run(state: &State, stage: Stage) -> anyhow::Result<()> {
    let Some(hooks) = &state.hooks else { return Ok(()) };
    let inside = hooks.create_container().iter().chain(hooks.start_container()).flatten().count();
    if stage == Stage::Create && inside > 0 {
        log::warn!(
            "{inside} createContainer or startContainer hooks are not run: a sandbox has no namespaces to enter"
        );
    }
    let status = match stage {
        Stage::Create => "creating",
        Stage::Poststart => "running",
        Stage::Poststop => "stopped",
    };
    let input = serde_json::to_vec(&serde_json::json!({
        "ociVersion": state.oci_version,
        "id": state.id,
        "status": status,
        "pid": state.live_pid(),
        "bundle": state.bundle,
        "annotations": state.annotations,
    }))?;
    for (index, hook) in list(hooks, stage).into_iter().enumerate() {
        let outcome = run_one(hook, &input)
            .with_context(|| format!("{stage:?} hook #{index} ({})", hook.path().display()));
        match outcome {
            Err(error) if stage == Stage::Create => return Err(error),
            Err(error) => log::warn!("{error:#}"),
            Ok(()) => {}
        }
    }
    Ok(())
}

fn list(hooks: &Hooks, stage: Stage) -> Vec<&Hook> {
    match stage {
        Stage::Create => {
            // Deprecated, but what container managers still use.
            #[allow(deprecated)]
            let prestart = hooks.prestart();
            prestart.iter().chain(hooks.create_runtime()).flatten().collect()
        }
        Stage::Poststart => hooks.poststart().iter().flatten().collect(),
        Stage::Poststop => hooks.poststop().iter().flatten().collect(),
    }
}

fn run_one(hook: &Hook, input: &[u8]) -> anyhow::Result<()> {
    let mut command = Command::new(hook.path());
    if let Some((name, rest)) = hook.args().as_ref().and_then(|args| args.split_first()) {
        command.arg0(name).args(rest);
    }
    command.env_clear();
    for (name, value) in hook.env().iter().flatten().filter_map(|entry| entry.split_once('=')) {
        command.env(name, value);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start")?;
    if let Some(mut stdin) = child.stdin.take() {
        // A hook need not read it.
        let _ = stdin.write_all(input);
    }
    let timeout = hook.timeout().and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
    if !ended_within(&child, timeout)? {
        child.kill()?;
        child.wait()?;
        bail!("timed out after {} s", hook.timeout().unwrap_or_default());
    }
    let mut said = String::new();
    for mut stream in child
        .stdout
        .take()
        .map(|s| Box::new(s) as Box<dyn Read>)
        .into_iter()
        .chain(child.stderr.take().map(|s| Box::new(s) as Box<dyn Read>))
    {
        let _ = stream.by_ref().take(4096).read_to_string(&mut said);
    }
    let status = child.wait()?;
    if status.success() {
        return Ok(());
    }
    bail!("{status}; it said: {}", said.trim());
}

fn ended_within(child: &Child, timeout: Option<Duration>) -> anyhow::Result<bool> {
    let Some(timeout) = timeout else { return Ok(true) };
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id())?);
    let pidfd = host::process::pidfd_open(pid)?;
    let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
    Ok(poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], timeout)? > 0)
}
