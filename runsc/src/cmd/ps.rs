//! `ps`: the processes of a container.
//!
//! The table shows them as they are inside. `json` is a list of process ids of the *host*, because that is what
//! container managers look up in the host's own process list: the sandbox for the container's init, and for every other
//! process the stub that runs it.

use crate::{
    cli::Global,
    state::{self, State, Status},
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
            "json" => ps::pids_json(&host_pids(&state, status)?) + "\n",
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

/// The sandbox, and the stubs of what the container runs beside its init.
fn host_pids(state: &State, status: Status) -> anyhow::Result<Vec<i32>> {
    let sandbox = state.live_pid();
    if sandbox == 0 {
        return Ok(Vec::new());
    }
    let mut found = vec![sandbox];
    if matches!(status, Status::Running | Status::Paused) {
        let list = state.connect()?.processes(&state.id)?;
        let inside: Vec<i32> =
            list.iter().filter(|p| p.pid != 1 && p.host_pid > 0).map(|p| p.host_pid).collect();
        let below = descendants(sandbox).into_iter();
        found.extend(below.filter(|pid| innermost(*pid).is_some_and(|number| inside.contains(&number))));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The number of a process in the pid namespace that it is in.
fn innermost(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    numbers.split_whitespace().next_back()?.parse().ok()
}

/// All processes below one.
fn descendants(root: i32) -> Vec<i32> {
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            let children = children.split_whitespace().filter_map(|child| child.parse::<i32>().ok());
            for child in children {
                found.push(child);
                next.push(child);
            }
        }
    }
    found
}
