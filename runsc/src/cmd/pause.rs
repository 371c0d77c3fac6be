//! `pause` and `resume`.

use crate::{
    cli::Global,
    state::{self, Container, Status},
};
use anyhow::bail;
use clap::Args;

/// Options of `pause`.
#[derive(Args, Debug)]
pub struct Pause {
    /// Container id
    pub id: String,
}

/// Options of `resume`.
#[derive(Args, Debug)]
pub struct Resume {
    /// Container id
    pub id: String,
}

impl Pause {
    /// Stops all application code.
    pub fn run(self, global: &Global) -> anyhow::Result<i32> {
        change(global, &self.id, true)
    }
}

impl Resume {
    /// Lets it go on.
    pub fn run(self, global: &Global) -> anyhow::Result<i32> {
        change(global, &self.id, false)
    }
}

fn change(global: &Global, id: &str, pause: bool) -> anyhow::Result<i32> {
    let (container, mut state) = Container::open(&state::root_dir(global), id)?;
    match (state.status(), pause) {
        (Status::Running, true) => state.connect()?.pause()?,
        (Status::Paused, false) => state.connect()?.resume()?,
        (_, true) => bail!("container not running"),
        (_, false) => bail!("container not paused"),
    }
    state.paused = pause;
    container.save(&state)?;
    Ok(0)
}
