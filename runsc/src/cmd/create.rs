//! `create`: a sandbox that waits for `start`.

use crate::{
    bundle::{self, Bundle},
    cli::{CreateArgs, Global},
    console,
    sandbox::{self, Request},
};
use anyhow::Context;
use boot::config::StartMode;
use clap::Args;

/// Options of `create`.
#[derive(Args, Debug)]
pub struct Create {
    /// Shared with `run`
    #[command(flatten)]
    pub args: CreateArgs,
    /// Container id
    pub id: String,
}

impl Create {
    /// Creates the container.
    pub fn run(self, global: &Global) -> anyhow::Result<i32> {
        let extra_files = super::extra_files(self.args.preserve_fds)?;
        create(global, &self.args, &self.id, extra_files).context("runsc-rs create failed")?;
        Ok(0)
    }
}

fn create(
    global: &Global,
    args: &CreateArgs,
    id: &str,
    extra_files: Vec<std::os::fd::OwnedFd>,
) -> anyhow::Result<()> {
    bundle::check_id(id)?;
    let bundle = Bundle::load(args.bundle.as_deref())?;
    let terminal = bundle.process()?.terminal().unwrap_or(false);
    console::check(terminal, true, args.console_socket.as_deref())?;
    sandbox::create(Request {
        global,
        command: "create",
        id,
        bundle,
        start: StartMode::OnRequest,
        console_socket: args.console_socket.as_deref(),
        pid_file: args.pid_file.as_deref(),
        extra_files,
        die_with_parent: false,
        direct_terminal: false,
    })?;
    Ok(())
}
