//! `ps`: the processes of a container.
//!
//! The table shows them as they are inside. `json` is a list of process ids of the *host*, because that is what
//! container managers look up in the host's own process list: the sandbox and the stubs that run applications.

use crate::{
    cli::Global,
    state::{self, Status},
};
use anyhow::bail;
use clap::Args;
use control_proto::ps;
use std::fs;

/// Options of `ps`.
#[derive(Args, Debug)]
pub struct Ps {
    /// Select one of: table, json (process ids on the host), pids (in the container), full (all as JSON)
    #[arg(long, short = 'f', default_value = "table")]
    pub format: String,
    /// Container id
    pub id: String,
    /// Accepted and ignored: options for the host's ps
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub rest: Vec<String>,
}

impl Ps {
    /// Prints them.
    pub fn run(self, global: &Global) -> anyhow::Result<i32> {
        let state = state::load(&state::root_dir(global), &self.id)?;
        let status = state.status();
        let text = match self.format.as_str() {
            "json" => ps::pids_json(&host_pids(state.live_pid())) + "\n",
            "table" | "pids" | "full" => {
                let alive = matches!(status, Status::Running | Status::Paused);
                let list = if alive { state.connect()?.processes(&state.id)? } else { Vec::new() };
                match self.format.as_str() {
                    "pids" => {
                        ps::pids_json(&list.iter().map(|process| process.pid).collect::<Vec<_>>()) + "\n"
                    }
                    "full" => ps::json(&list) + "\n",
                    _ => ps::table(&list),
                }
            }
            _ => bail!("invalid format option"),
        };
        super::print(&text);
        Ok(0)
    }
}

/// A process and all its descendants.
fn host_pids(root: i32) -> Vec<i32> {
    let mut found = Vec::new();
    let mut next = if root > 0 { vec![root] } else { Vec::new() };
    while let Some(pid) = next.pop() {
        found.push(pid);
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            next.extend(children.split_whitespace().filter_map(|child| child.parse::<i32>().ok()));
        }
    }
    found.sort_unstable();
    found
}
