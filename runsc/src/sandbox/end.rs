//! The end of a sandbox: waiting, killing, removing what is left.

use crate::{
    hooks,
    state::{Container, ProcessRef, State},
};
use anyhow::bail;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use std::{
    fs,
    os::fd::AsFd,
    time::{Duration, Instant},
};

/// Waits for a child, however often interrupted.
pub fn wait_for(pid: Pid) -> nix::Result<WaitStatus> {
    loop {
        match waitpid(pid, None) {
            Err(nix::errno::Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// The exit status of a shell for a child's end.
pub fn exit_code(status: WaitStatus) -> i32 {
    match status {
        WaitStatus::Exited(_, code) => code,
        WaitStatus::Signaled(_, signal, _) => 128 + signal as i32,
        _ => 255,
    }
}

/// Ends a container's processes. Returns when they are gone, reaped or not.
pub fn kill_all(state: &State) -> anyhow::Result<()> {
    // The sandbox is pid 1 of its namespace: all of its stubs go with it. The gofer sees its socket close.
    for process in [&state.sandbox, &state.gofer].into_iter().flatten() {
        if process.alive() {
            let _ = kill(process.id(), Signal::SIGKILL);
            wait_gone(process, Duration::from_secs(10))?;
        }
    }
    Ok(())
}

/// Waits until a process, of whoever it is a child, is gone or waits to be reaped.
pub fn wait_gone(process: &ProcessRef, limit: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + limit;
    let Ok(pidfd) = host::process::pidfd_open(process.id()) else { return Ok(()) };
    while process.alive() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            bail!("process {} does not end", process.pid);
        }
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Removes everything that a stopped container has left.
pub fn destroy(container: Container, state: &State) -> anyhow::Result<()> {
    kill_all(state)?;
    for process in [&state.sandbox, &state.gofer].into_iter().flatten() {
        // Ours to reap where this command is the one that started it.
        let _ = waitpid(process.id(), Some(WaitPidFlag::WNOHANG));
    }
    if let Some(cgroup) = &state.cgroup {
        cgroup.remove();
    }
    let _ = fs::remove_file(&state.control);
    container.remove()?;
    hooks::run(state, hooks::Stage::Poststop)
}
