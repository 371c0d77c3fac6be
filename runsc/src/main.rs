//! `runsc-rs`: OCI runtime and command line. See ARCHITECTURE.md.
//!
//! One binary in three roles: the command that a person or a container manager calls, and, re-executed by it,
//! the gofer and the sandbox (`inner`). `cli` is the command line, `cmd` has one file a subcommand,
//! `bundle` and `convert` turn OCI configurations into what a sandbox boots from, `sandbox` starts one and
//! cleans up after it, `state` remembers it.

#![forbid(unsafe_code)]

mod bundle;
mod cgroup;
mod cli;
mod cmd;
mod console;
mod convert;
mod failure;
mod foreground;
mod hooks;
mod idmap;
mod inner;
mod logging;
mod sandbox;
mod signals;
mod state;

use clap::Parser;
use failure::Failure;
use std::{ffi::OsString, process::ExitCode};

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    if let Some(code) = inner::enter(&args) {
        return code;
    }
    let cli = match cli::Cli::try_parse_from(cli::normalise(args.into_iter())) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    if cli.version {
        print!("{}", cmd::features::version());
        return ExitCode::SUCCESS;
    }
    let Some(command) = cli.command else { return ExitCode::SUCCESS };
    let outcome = logging::init(&cli.global).and_then(|()| cmd::dispatch(&cli.global, command));
    match outcome {
        Ok(code) => exit_code(code),
        Err(error) => {
            logging::fatal(&plain(&format!("{error:#}")));
            exit_code(Failure::code(&error))
        }
    }
}

/// A message without the error numbers that Rust adds to host errors.
fn plain(message: &str) -> String {
    let mut out = String::new();
    let mut rest = message;
    while let Some((before, after)) = rest.split_once(" (os error ") {
        out.push_str(before);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    out + rest
}

/// Exit status of a process is a byte.
fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code & 0xff).unwrap_or(u8::MAX))
}

/// Help on stdout with status 0, a mistake on stderr with status 1.
fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.kind() == clap::error::ErrorKind::InvalidSubcommand {
        return ExitCode::from(3);
    }
    if error.use_stderr() && error.kind() != clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    #[test]
    fn error_numbers_are_left_out() {
        assert_eq!(super::plain("a: no (os error 2): b (os error 13)"), "a: no: b");
    }
}
