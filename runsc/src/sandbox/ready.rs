//! Waiting for the one report of a new sandbox.

use crate::{failure::Failure, sandbox::wait_for};
use anyhow::bail;
use boot::config::ReadyReport;
use host::launch::{Child, LaunchError};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::wait::WaitStatus,
};
use std::os::fd::{AsFd, OwnedFd};

/// Reads the report; what else can happen before one comes is turned into an error.
pub(super) fn await_report(ready: OwnedFd, sandbox: &Child, gofer: &Child) -> anyhow::Result<()> {
    let sandbox_fd = host::process::pidfd_open(sandbox.pid)?;
    let gofer_fd = host::process::pidfd_open(gofer.pid)?;
    let mut text = Vec::new();
    loop {
        let mut fds = [
            PollFd::new(ready.as_fd(), PollFlags::POLLIN),
            PollFd::new(sandbox_fd.as_fd(), PollFlags::POLLIN),
            PollFd::new(gofer_fd.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => continue,
            other => other?,
        };
        let [said, sandbox_died, gofer_died] = fds.map(|fd| fd.any().unwrap_or(false));
        if said {
            let mut buffer = [0; 4096];
            let len = nix::unistd::read(&ready, &mut buffer)?;
            text.extend_from_slice(buffer.get(..len).unwrap_or_default());
            let mut reports = serde_json::Deserializer::from_slice(&text).into_iter::<ReadyReport>();
            match reports.next() {
                Some(Ok(ReadyReport::Ok {})) => return Ok(()),
                Some(Ok(ReadyReport::Error(error))) => {
                    let text = format!("unable to start container process: {error}");
                    return Err(Failure::error(error.exit_code(), text));
                }
                _ if len > 0 => continue,
                _ => {}
            }
        }
        let (child, what) = if gofer_died && !sandbox_died { (gofer, "gofer") } else { (sandbox, "sandbox") };
        // Nothing more can come: the process that died says why, if its set-up got as far as `execve`.
        if let Err(LaunchError::Child { step, error }) = child.wait_exec() {
            bail!("cannot start the {what} process: {step:?}: {}", crate::bundle::plain(&error));
        }
        let end = describe(wait_for(child.pid));
        bail!("the {what} process {end} before it was ready; --debug-log=FILE keeps what it said");
    }
}

fn describe(status: nix::Result<WaitStatus>) -> String {
    match status {
        Ok(WaitStatus::Exited(_, code)) => format!("exited with status {code}"),
        Ok(WaitStatus::Signaled(_, signal, _)) => format!("was killed by {signal}"),
        _ => "ended".into(),
    }
}
