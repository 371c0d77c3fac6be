//! Subcommands, one file each: options, and what is done with them. The answer is the exit status.

pub mod create;
pub mod delete;
pub mod do_;
pub mod events;
pub mod exec;
pub mod features;
pub mod kill;
pub mod list;
pub mod pause;
pub mod platforms;
pub mod ps;
pub mod run;
pub mod spec;
pub mod start;
pub mod state;
pub mod update;
pub mod wait;

use crate::cli::{Command, Global};

/// Runs a subcommand.
pub fn dispatch(global: &Global, command: Command) -> anyhow::Result<i32> {
    match command {
        Command::Run(args) => args.run(global),
        Command::Create(args) => args.run(global),
        Command::Start(args) => args.run(global),
        Command::State(args) => args.run(global),
        Command::Kill(args) => args.run(global),
        Command::Delete(args) => args.run(global),
        Command::Exec(args) => args.run(global),
        Command::Ps(args) => args.run(global),
        Command::List(args) => args.run(global),
        Command::Wait(args) => args.run(global),
        Command::Pause(args) => args.run(global),
        Command::Resume(args) => args.run(global),
        Command::Events(args) => args.run(global),
        Command::Update(args) => args.run(global),
        Command::Spec(args) => args.run(),
        Command::Do(args) => args.run(global),
        Command::Features(args) => args.run(),
        Command::Platforms(args) => args.run(),
    }
}

/// Writes to standard output; a reader that has gone is no error.
pub fn print(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Descriptors from 3 on that the caller wants passed: those of `--preserve-fds` and of `$LISTEN_FDS`.
pub fn extra_files(preserve: u32) -> anyhow::Result<Vec<std::os::fd::OwnedFd>> {
    let listening: u32 = std::env::var("LISTEN_FDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let count = preserve.saturating_add(listening);
    if count > 1000 {
        anyhow::bail!("{count} descriptors to pass are too many");
    }
    (3..)
        .zip(0..count)
        .map(|(fd, _)| {
            host::inherit::take(fd)
                .map_err(|error| anyhow::anyhow!("descriptor {fd} to pass is not open: {error}"))
        })
        .collect()
}
