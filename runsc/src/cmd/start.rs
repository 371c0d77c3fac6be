//! `start`: lets a created container's init go.

use crate::{
    cli::Global,
    cmd::exec::start_failure,
    hooks,
    state::{self, Container, Phase, Status},
};
use anyhow::bail;
use clap::Args;

/// Options of `start`.
#[derive(Args, Debug)]
pub struct Start {
    /// Container id
    pub id: String,
}

impl Start {
    /// Starts it.
    pub fn run(self, global: &Global) -> anyhow::Result<i32> {
        let (container, mut state) = Container::open(&state::root_dir(global), &self.id)?;
        match state.status() {
            Status::Created => {}
            Status::Stopped => bail!("cannot start a container that has stopped"),
            Status::Creating => bail!("cannot start a container that is still being created"),
            Status::Running | Status::Paused => bail!("cannot start an already running container"),
        }
        state.connect()?.start_root(&state.id).map_err(start_failure)?;
        state.phase = Phase::Running;
        container.save(&state)?;
        hooks::run(&state, hooks::Stage::Poststart)?;
        Ok(0)
    }
}
