//! One row of a process listing.

use serde::{Deserialize, Serialize};

/// A process as `containerManager.Processes` lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// Effective user id.
    pub uid: u32,
    /// Process id, in the container's pid namespace.
    pub pid: i32,
    /// Parent's process id.
    pub ppid: i32,
    /// Process group.
    pub pgid: i32,
    /// Thread ids.
    #[serde(deserialize_with = "crate::null_default")]
    pub threads: Vec<i32>,
    /// CPU time over lifetime in per cent, 99 at most: [`cpu_share`](crate::cpu_share).
    pub c: u32,
    /// `pts/N` or `?`.
    pub tty: String,
    /// When it started: [`start_time`](crate::start_time).
    pub stime: String,
    /// CPU time used: [`cpu_time`](crate::cpu_time).
    pub time: String,
    /// Command.
    pub cmd: String,
    /// The host's process that runs it, as the sandbox' pid namespace numbers it; 0 where there is none.
    #[serde(rename = "hostPID", skip_serializing_if = "is_zero")]
    pub host_pid: i32,
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}
