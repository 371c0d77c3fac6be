//! The command line: global options, and the table of subcommands.
//!
//! Options have the names that users of other runtimes know. Global ones come before the subcommand. Options that
//! mean nothing here (`--no-pivot`, `--criu`) are accepted, because callers pass them unasked.

use crate::cmd;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::{ffi::OsString, path::PathBuf};

/// `runsc-rs`.
#[derive(Parser, Debug)]
#[command(
    args_override_self = true,
    name = "runsc-rs",
    about = "Runs untrusted Linux programs on an application kernel of its own (OCI runtime)",
    disable_version_flag = true,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    subcommand_required = false
)]
pub struct Cli {
    /// Options for every subcommand.
    #[command(flatten)]
    pub global: Global,
    /// Print the version
    #[arg(long, short = 'v')]
    pub version: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options for every subcommand.
#[derive(Args, Clone, Debug, Default)]
pub struct Global {
    /// Directory for container state [default: /run/runsc-rs, or $XDG_RUNTIME_DIR/runsc-rs for an ordinary user]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// File for messages (they also go to stderr)
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Format of messages
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// Log in detail
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = false,
          default_missing_value = "true", value_name = "BOOL", hide_possible_values = true)]
    pub debug: bool,
    /// File for the sandbox's own log; a directory where it ends in a slash; %ID% and %COMMAND% are replaced
    #[arg(long, value_name = "FILE")]
    pub debug_log: Option<PathBuf>,
    /// Ids of an ordinary user: true, false or auto
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "auto")]
    pub rootless: Rootless,
    /// Where inet sockets lead
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    pub network: NetworkMode,
    /// How application code runs: auto or ptrace (see `platforms`)
    #[arg(long, default_value = "auto", value_name = "NAME")]
    pub platform: String,
    /// Use no cgroups
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = false,
          default_missing_value = "true", value_name = "BOOL", hide_possible_values = true)]
    pub ignore_cgroups: bool,
    /// Where writes go: none, [root|all]:memory, [root|all]:self, [root|all]:dir=DIR; with ,size=10g at most so much
    #[arg(long, default_value = "none", value_name = "SETTING")]
    pub overlay2: String,
    /// Whether the root is only changed by the sandbox: exclusive or shared
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    pub file_access: Access,
    /// The same for bind mounts
    #[arg(long, value_enum, default_value_t = Access::Shared, value_name = "MODE")]
    pub file_access_mounts: Access,
    /// Let set-user-ID and set-group-ID bits and capabilities of programs have effect
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = false,
          default_missing_value = "true", value_name = "BOOL", hide_possible_values = true)]
    pub allow_suid: bool,
    /// Log system calls
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = false,
          default_missing_value = "true", value_name = "BOOL", hide_possible_values = true)]
    pub strace: bool,
    /// Log these system calls only, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "CALLS")]
    pub strace_syscalls: Vec<String>,
    /// Bytes of each buffer that the system call log shows
    #[arg(long, default_value_t = 32, value_name = "BYTES")]
    pub strace_log_size: usize,
    /// Read cgroup paths as slice:prefix:name
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = false,
          default_missing_value = "true", value_name = "BOOL", hide_possible_values = true)]
    pub systemd_cgroup: bool,
    /// Accepted and ignored
    #[arg(long, hide = true, value_name = "PATH")]
    pub criu: Option<PathBuf>,
}

/// Format of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// `time="..." level=... msg="..."`
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// `--rootless`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Rootless {
    /// As an ordinary user.
    True,
    /// As root.
    False,
    /// By who calls.
    #[default]
    Auto,
}

/// `--network`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum NetworkMode {
    /// The sandbox's own stack.
    #[default]
    Sandbox,
    /// A loopback alone.
    None,
    /// The host's sockets.
    Host,
}

/// `--file-access`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Access {
    /// The sandbox has the tree to itself.
    #[default]
    Exclusive,
    /// It shares the tree.
    Shared,
}

/// What to do.
#[derive(Subcommand, Debug)]
#[allow(missing_docs)]
pub enum Command {
    /// Create and run a container
    Run(cmd::run::Run),
    /// Create a container
    Create(cmd::create::Create),
    /// Execute the user-defined process in a created container
    Start(cmd::start::Start),
    /// Output the state of a container
    State(cmd::state::Show),
    /// Send a signal (default: SIGTERM) to a container's init
    Kill(cmd::kill::Kill),
    /// Delete any resources held by a container
    Delete(cmd::delete::Delete),
    /// Execute a new process inside a container
    Exec(cmd::exec::Exec),
    /// Display the processes running inside a container
    Ps(cmd::ps::Ps),
    /// List containers
    List(cmd::list::List),
    /// Wait for a container's init to end
    Wait(cmd::wait::Wait),
    /// Suspend all processes inside a container
    Pause(cmd::pause::Pause),
    /// Resume all processes of a paused container
    Resume(cmd::pause::Resume),
    /// Display resource figures of a container
    Events(cmd::events::Events),
    /// Change resource limits of a container
    Update(cmd::update::Update),
    /// Create a new specification file
    Spec(cmd::spec::Spec),
    /// Run a command on the host's own files, read-only below an in-memory overlay
    Do(cmd::do_::Do),
    /// Show the enabled features
    Features(cmd::features::Features),
    /// Show how application code can run on this host
    Platforms(cmd::platforms::Platforms),
}

/// Options of `run` and `create`.
#[derive(Args, Clone, Debug, Default)]
pub struct CreateArgs {
    /// Path to the root of the bundle directory, defaults to the current directory
    #[arg(long, short = 'b', value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// Path to an AF_UNIX socket which will receive the master end of the console's pseudoterminal
    #[arg(long, value_name = "PATH")]
    pub console_socket: Option<PathBuf>,
    /// File to write the process id to
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Accepted and ignored
    #[arg(long, hide = true)]
    pub no_pivot: bool,
    /// Accepted and ignored
    #[arg(long, hide = true)]
    pub no_new_keyring: bool,
    /// Pass N additional file descriptors to the container (stdio + $LISTEN_FDS + N in total)
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub preserve_fds: u32,
}

/// Joins `--rootless VALUE`, which other runtimes take, into `--rootless=VALUE`: here the value is optional.
pub fn normalise(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut out: Vec<OsString> = Vec::new();
    let mut before_command = true;
    for (index, arg) in args.enumerate() {
        let text = arg.to_str().unwrap_or_default();
        let value = matches!(text, "true" | "false" | "auto");
        if let (true, true, Some(last)) = (before_command, value, out.last_mut())
            && *last == *"--rootless"
        {
            last.push("=");
            last.push(text);
            continue;
        }
        let option_value = out.last().and_then(|last| last.to_str()).is_some_and(takes_value);
        if index > 0 && !text.starts_with('-') && !option_value {
            before_command = false;
        }
        out.push(arg);
    }
    out
}

/// Global options whose value is the next word.
fn takes_value(option: &str) -> bool {
    const WITH_VALUE: [&str; 12] = [
        "--root",
        "--log",
        "--log-format",
        "--debug-log",
        "--network",
        "--platform",
        "--overlay2",
        "--file-access",
        "--file-access-mounts",
        "--strace-syscalls",
        "--strace-log-size",
        "--criu",
    ];
    WITH_VALUE.contains(&option)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Cli {
        Cli::parse_from(normalise(line.split(' ').map(OsString::from)))
    }

    #[test]
    fn what_docker_passes() {
        let cli = parse(
            "runsc-rs --root /r --log /l --log-format json --systemd-cgroup create --bundle /b --pid-file /p \
             --console-socket /c --no-new-keyring id",
        );
        assert_eq!(cli.global.log_format, LogFormat::Json);
        let Some(Command::Create(create)) = cli.command else { panic!("{cli:?}") };
        assert_eq!((create.id.as_str(), create.args.pid_file), ("id", Some("/p".into())));
        let cli = parse("runsc-rs exec --process /p --detach --pid-file /q id");
        assert!(matches!(cli.command, Some(Command::Exec(exec)) if exec.detach && exec.id == "id"));
        let cli = parse("runsc-rs ps --format json id");
        assert!(matches!(cli.command, Some(Command::Ps(_))));
        let cli = parse("runsc-rs kill --all id 9");
        assert!(matches!(cli.command, Some(Command::Kill(kill)) if kill.all && kill.signal == "9"));
    }

    #[test]
    fn switches_take_a_value_or_none() {
        let global = parse("runsc-rs --debug=true --strace --ignore-cgroups=false list").global;
        assert_eq!((global.debug, global.strace, global.ignore_cgroups), (true, true, false));
        assert_eq!(parse("runsc-rs --rootless list").global.rootless, Rootless::True);
        assert_eq!(parse("runsc-rs --rootless=false list").global.rootless, Rootless::False);
        assert_eq!(parse("runsc-rs --rootless auto list").global.rootless, Rootless::Auto);
    }

    #[test]
    fn arguments_of_commands_are_left_alone() {
        let cli = parse("runsc-rs do --network=host ls --rootless true");
        let Some(Command::Do(run)) = cli.command else { panic!("{cli:?}") };
        assert_eq!(run.command, ["ls", "--rootless", "true"]);
        let cli = parse("runsc-rs exec -e A=b -t id sh -c x");
        let Some(Command::Exec(exec)) = cli.command else { panic!("{cli:?}") };
        assert_eq!((exec.command.len(), exec.tty), (3, true));
    }
}
