//! boot: puts a kernel together from a configuration. See ARCHITECTURE.md.
//!
//! [`run`] is the whole life of a sandbox process after the runtime has confined it; [`config`] is what it gets.

#![forbid(unsafe_code)]

pub mod config;
mod control;
mod filter;
mod host_facts;
pub mod logging;
pub mod machine;
mod mounts;
mod nodes;
mod process;
pub mod report;
mod run;
mod seccomp;
mod window;

pub use config::{BootConfig, StartMode};
pub use host_facts::prepare;
pub use report::{ReadyReport, StartError, StartErrorKind};

/// Why a sandbox ended without its init having decided so.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// It did not start; the same was reported on the ready pipe where that was still open.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Runs a sandbox until its init has ended. The answer is the exit code for the sandbox process: the init's own, or
/// 128 + signal.
///
/// Writes one [`ReadyReport`] to `config.ready_fd`, errors included.
pub fn run(config: BootConfig) -> Result<i32, BootError> {
    run::run(config)
}
