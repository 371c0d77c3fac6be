//! `wait`: blocks until a container's init has ended and prints its status.

use crate::{cli::Global, sandbox, state};
use anyhow::Context;
use clap::Args;
use control_proto::WaitPidArgs;
use std::time::Duration;

/// Options of `wait`.
#[derive(Args, Debug)]
pub struct Wait {
    /// Wait for this process of the container instead of its init
    #[arg(long, value_name = "PID")]
    pub pid: Option<i32>,
    /// Container id
    pub id: String,
}

impl Wait {
    /// Waits; prints `{"id":...,"exitStatus":...}`.
    pub fn run(self, global: &Global) -> anyhow::Result<i32> {
        let state = state::load(&state::root_dir(global), &self.id)?;
        let mut client = state.connect_to_wait().context("container not running")?;
        let status = match self.pid {
            None => client.wait(&state.id),
            Some(pid) => client.wait_pid(&WaitPidArgs { pid, cid: state.id.clone(), kill_on_hangup: false }),
        }?;
        if let (None, Some(process)) = (self.pid, &state.sandbox) {
            // The answer comes a moment before the sandbox is gone.
            sandbox::wait_gone(process, Duration::from_secs(10))?;
        }
        let code = control_proto::exit_code(status);
        super::print(&format!("{}\n", serde_json::json!({ "id": self.id, "exitStatus": code })));
        Ok(0)
    }
}
