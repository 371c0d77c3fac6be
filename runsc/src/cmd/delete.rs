//! `delete`: removes a stopped container, or with `--force` any.

use crate::{
    cli::Global,
    sandbox,
    state::{self, Container, Status},
};
use anyhow::bail;
use clap::Args;

/// Options of `delete`.
#[derive(Args, Debug)]
pub struct Delete {
    /// Forcibly deletes the container if it is still running (uses SIGKILL)
    #[arg(long, short = 'f')]
    pub force: bool,
    /// Container id
    pub id: String,
}

impl Delete {
    /// Deletes it.
    pub fn run(self, global: &Global) -> anyhow::Result<i32> {
        let root = state::root_dir(global);
        crate::bundle::check_id(&self.id)?;
        let (container, state) = match Container::open(&root, &self.id) {
            Ok(found) => found,
            Err(error) if self.force => {
                // What a command that was killed half-way has left.
                let dir = root.join(&self.id);
                if dir.is_dir() && !dir.join("state.json").exists() {
                    let _ = std::fs::remove_dir_all(dir);
                    let _ = std::fs::remove_file(root.join(format!("runsc-{}.sock", self.id)));
                }
                log::debug!("{error:#}");
                return Ok(0);
            }
            Err(error) => return Err(error),
        };
        match state.status() {
            Status::Stopped => {}
            // One that was never started has nothing to lose.
            Status::Created => {}
            _ if self.force => {}
            status => bail!("cannot delete container {} that is not stopped: {}", self.id, status.name()),
        }
        sandbox::destroy(container, &state)?;
        Ok(0)
    }
}
