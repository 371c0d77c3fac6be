//! `exec`: another program in a running container.
//!
//! Its descriptors travel over the control socket. Detached, a small process stays behind that stands for the
//! program on the host: it ends when the program ends, with its status; signals sent to it reach the program, and
//! the program is killed if it is killed. Container managers wait for it as they would for the program itself.

use crate::{
    bundle,
    cli::Global,
    console, convert,
    failure::Failure,
    foreground::{self, Signals, Target},
    sandbox,
    state::{self, State, Status},
};
use anyhow::{Context, anyhow, bail};
use boot::config::ProcessConfig;
use clap::Args;
use control_client::{CallError, Client};
use control_proto::{ErrorKind, ExecArgs, WaitPidArgs, exec::Limit, method};
use host::process::Fork;
use std::{
    fs::OpenOptions,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
};

/// Options of `exec`.
#[derive(Args, Debug)]
pub struct Exec {
    /// Path to an AF_UNIX socket which will receive the master end of the console's pseudoterminal
    #[arg(long, value_name = "PATH")]
    pub console_socket: Option<PathBuf>,
    /// Current working directory in the container
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<String>,
    /// Set environment variables
    #[arg(long, short = 'e', value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Allocate a pseudo-TTY
    #[arg(long, short = 't')]
    pub tty: bool,
    /// UID (format: <uid>[:<gid>])
    #[arg(long, short = 'u', value_name = "USER")]
    pub user: Option<String>,
    /// Additional gids
    #[arg(long, short = 'g', value_name = "GID")]
    pub additional_gids: Vec<u32>,
    /// Path to the process.json
    #[arg(long, short = 'p', value_name = "FILE")]
    pub process: Option<PathBuf>,
    /// Detach from the container's process
    #[arg(long, short = 'd')]
    pub detach: bool,
    /// File to write the process id to
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// File to write the process id in the container to
    #[arg(long, value_name = "FILE")]
    pub internal_pid_file: Option<PathBuf>,
    /// Accepted and ignored
    #[arg(long, hide = true)]
    pub process_label: Option<String>,
    /// Accepted and ignored
    #[arg(long, hide = true)]
    pub apparmor: Option<String>,
    /// Set the no new privileges value for the process
    #[arg(long)]
    pub no_new_privs: bool,
    /// Add a capability to the bounding set for the process
    #[arg(long, short = 'c', value_name = "CAP")]
    pub cap: Vec<String>,
    /// Pass N additional file descriptors to the container (stdio + $LISTEN_FDS + N in total)
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub preserve_fds: u32,
    /// Accepted and ignored: a sandbox has one cgroup
    #[arg(long, hide = true)]
    pub cgroup: Vec<String>,
    /// Allow exec in a paused container
    #[arg(long)]
    pub ignore_paused: bool,
    /// Container id
    pub id: String,
    /// The program and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

impl Exec {
    /// Runs the program; its exit status.
    pub fn run(self, global: &Global) -> anyhow::Result<i32> {
        let extra_files = super::extra_files(self.preserve_fds)?;
        self.run_with(global, extra_files).map_err(|error| {
            // As others: 255 for what kept the program from starting, unless a shell has a number for it.
            let code = match Failure::code(&error) {
                1 => 255,
                code => code,
            };
            Failure::error(code, format!("exec failed: {error:#}"))
        })
    }

    fn run_with(&self, global: &Global, extra_files: Vec<OwnedFd>) -> anyhow::Result<i32> {
        let state = state::load(&state::root_dir(global), &self.id)?;
        match state.status() {
            Status::Stopped => bail!("cannot exec in a stopped container"),
            Status::Paused if !self.ignore_paused => {
                bail!("cannot exec in a paused container (use --ignore-paused to override)")
            }
            Status::Creating => bail!("cannot exec in a container that is still being created"),
            _ => {}
        }
        let process = self.process(&state)?;
        console::check(process.terminal, self.detach, self.console_socket.as_deref())?;
        if self.detach {
            self.detached(&state, process, &extra_files)
        } else {
            attached(&state, process, &extra_files, self)
        }
    }

    /// What to run: as the container's own process, with what the options change.
    fn process(&self, state: &State) -> anyhow::Result<ProcessConfig> {
        if let Some(file) = &self.process {
            let process = bundle::read_json(file)?;
            bundle::check_process(&process).with_context(|| file.display().to_string())?;
            return convert::process(&process);
        }
        let mut process = state.process.clone();
        if self.command.is_empty() {
            bail!("process args cannot be empty");
        }
        process.args.clone_from(&self.command);
        process.terminal = self.tty;
        process.console_size = None;
        process.env.extend(self.env.iter().cloned());
        if let Some(cwd) = &self.cwd {
            if !cwd.starts_with('/') {
                bail!("Cwd must be an absolute path");
            }
            process.cwd.clone_from(cwd);
        }
        if let Some(user) = &self.user {
            (process.uid, process.gid) = ids(user, process.gid)?;
        }
        process.groups.extend(&self.additional_gids);
        process.no_new_privs |= self.no_new_privs;
        for name in &self.cap {
            let bit =
                convert::parse_capability(name).ok_or_else(|| anyhow!("unknown capability {name:?}"))?;
            let sets = &mut process.capabilities;
            for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
                *set |= bit;
            }
        }
        Ok(process)
    }

    fn detached(&self, state: &State, process: ProcessConfig, extra: &[OwnedFd]) -> anyhow::Result<i32> {
        let pty = if process.terminal { Some(console::Pty::open(process.console_size)?) } else { None };
        if let (Some(pty), Some(socket)) = (&pty, &self.console_socket) {
            console::send_master(socket, pty.master.as_fd())?;
        }
        let (mut client, pid) = start(state, &process, pty.as_ref(), extra)?;
        self.write_internal_pid(pid)?;
        let signals = Signals::block()?;
        let target = Target { pid, terminal: pty.is_some() };
        // Before the fork: from here on the program's life hangs on this connection, whatever becomes of us.
        request_end(state, &mut client, target, true)?;
        match host::process::fork()? {
            Fork::Child => Ok(stand_in(state, client, target, &signals, pty).unwrap_or(255)),
            Fork::Parent(child) => {
                if let Some(file) = &self.pid_file
                    && let Err(error) = sandbox::write_pid_file(file, child)
                {
                    // Takes the program with it.
                    let _ = nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL);
                    return Err(error);
                }
                Ok(0)
            }
        }
    }

    fn write_internal_pid(&self, pid: i32) -> anyhow::Result<()> {
        match &self.internal_pid_file {
            Some(file) => sandbox::write_pid_file(file, nix::unistd::Pid::from_raw(pid)),
            None => Ok(()),
        }
    }
}

/// Stays in front of the program.
fn attached(state: &State, process: ProcessConfig, extra: &[OwnedFd], options: &Exec) -> anyhow::Result<i32> {
    let signals = Signals::block()?;
    let pty = if process.terminal { Some(console::Pty::open(process.console_size)?) } else { None };
    let person = if pty.is_some() { console::SavedTerminal::of_stdin()? } else { None };
    if let (Some(pty), Some(person)) = (&pty, &person) {
        person.copy_size(pty.master.as_fd());
    }
    let (mut client, pid) = start(state, &process, pty.as_ref(), extra)?;
    options.write_internal_pid(pid)?;
    if let Some(file) = &options.pid_file {
        sandbox::write_pid_file(file, nix::unistd::getpid())?;
    }
    let master = pty.map(|pty| pty.master);
    if let Some(person) = &person {
        person.make_raw()?;
    }
    if let Some(master) = &master {
        console::pump_input(master)?;
    }
    let target = Target { pid, terminal: master.is_some() };
    request_end(state, &mut client, target, false)?;
    await_end(state, client, target, &signals, master.as_ref(), person.as_ref())
}

/// The life of the process that stands for a detached program.
fn stand_in(
    state: &State,
    client: Client,
    target: Target,
    signals: &Signals,
    pty: Option<console::Pty>,
) -> anyhow::Result<i32> {
    let _ = host::prctl::set_name(c"runsc-rs-exec");
    let _ = nix::unistd::setsid();
    if let Some(pty) = &pty {
        // Changes of the window's size arrive as SIGWINCH, which is passed on.
        let _ = host::tty::set_controlling(pty.slave.as_fd());
    }
    // The caller may be waiting for these to be closed by the program.
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    nix::unistd::dup2_stderr(&null)?;
    let slave = pty.map(|pty| pty.slave);
    let code = await_end(state, client, target, signals, None, None);
    drop(slave);
    code
}

/// Asks to be told of the program's end, and where `kill_on_hangup` to have it killed if we are gone before that.
fn request_end(
    state: &State,
    client: &mut Client,
    target: Target,
    kill_on_hangup: bool,
) -> anyhow::Result<()> {
    let args = WaitPidArgs { pid: target.pid, cid: state.id.clone(), kill_on_hangup };
    Ok(client.send(method::WAIT_PID, &args, &[])?)
}

/// Waits for the answer to [`request_end`]; the program's exit status.
fn await_end(
    state: &State,
    mut client: Client,
    target: Target,
    signals: &Signals,
    master: Option<&OwnedFd>,
    person: Option<&console::SavedTerminal>,
) -> anyhow::Result<i32> {
    let done = client.stream().try_clone()?;
    foreground::wait(state, target, signals, done.as_fd(), master, person)?;
    match client.receive::<u32>() {
        Ok(status) => Ok(control_proto::exit_code(status)),
        // The container's init has ended, and with it everything.
        Err(CallError::Lost(_)) => Ok(137),
        Err(error) => Err(error.into()),
    }
}

/// Asks the sandbox to start the program.
fn start(
    state: &State,
    process: &ProcessConfig,
    pty: Option<&console::Pty>,
    extra: &[OwnedFd],
) -> anyhow::Result<(Client, i32)> {
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let mut files: Vec<BorrowedFd<'_>> = match pty {
        Some(pty) => vec![pty.slave.as_fd(); 3],
        None => vec![stdin.as_fd(), stdout.as_fd(), stderr.as_fd()],
    };
    files.extend(extra.iter().map(AsFd::as_fd));
    let args = ExecArgs {
        argv: process.args.clone(),
        envv: process.env.clone(),
        wd: process.cwd.clone(),
        kuid: process.uid,
        kgid: process.gid,
        extra_kgids: process.groups.clone(),
        no_new_privileges: process.no_new_privs,
        capabilities: Some(process.capabilities),
        stdio_is_pty: pty.is_some(),
        guest_fds: (0..).take(files.len()).collect(),
        container_id: state.id.clone(),
        limits: process
            .rlimits
            .iter()
            .map(|(name, (cur, max))| (name.clone(), Limit { cur: *cur, max: *max }))
            .collect(),
        ..ExecArgs::default()
    };
    let mut client = state.connect_to_wait()?;
    let pid = client.execute_async(&args, &files).map_err(start_failure)?;
    Ok((client, pid))
}

/// An error of the sandbox, with the exit status that a shell has for it.
pub fn start_failure(error: CallError) -> anyhow::Error {
    let code = match error.remote().map(|error| error.kind) {
        Some(ErrorKind::CommandNotFound) => 127,
        Some(ErrorKind::NotExecutable) => 126,
        _ => return error.into(),
    };
    Failure::error(code, format!("unable to start container process: {error}"))
}

/// `uid` or `uid:gid`, numbers.
fn ids(text: &str, gid: u32) -> anyhow::Result<(u32, u32)> {
    let number = |text: &str, what: &str| {
        text.parse::<u32>()
            .map_err(|_| anyhow!("{what} {text:?} is no number (names are the image's affair)"))
    };
    match text.split_once(':') {
        None => Ok((number(text, "user")?, gid)),
        Some((uid, gid)) => Ok((number(uid, "user")?, number(gid, "group")?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users() {
        assert_eq!(ids("3", 7).unwrap(), (3, 7));
        assert_eq!(ids("3:4", 7).unwrap(), (3, 4));
        assert!(ids("root", 0).is_err() && ids("1:x", 0).is_err() && ids("-1", 0).is_err());
    }
}
