//! The sandbox process, from `execve` to the sentry.

use super::{root, unpack};
use boot::config::{BootConfig, ReadyReport, StartError, StartErrorKind};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::{io::Write, os::fd::OwnedFd, process::ExitCode};

/// What a sandbox process is told.
#[derive(Debug, Serialize, Deserialize)]
pub struct SentrySetup {
    /// Ids to take after the root has been left, where there is no user namespace to do it.
    pub become_ids: Option<(u32, u32)>,
    /// For the sentry.
    pub boot: BootConfig,
}

/// Life of a sandbox process.
pub fn main(config: OwnedFd) -> ExitCode {
    boot::prepare();
    let setup: SentrySetup = match unpack(config) {
        Ok(setup) => setup,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let ready = setup.boot.ready_fd;
    report_panics(ready);
    if let Err(error) = confine(&setup) {
        let error = StartError::new(StartErrorKind::Internal, format!("sandbox set-up: {error}"));
        boot::report::send(ready, &ReadyReport::Error(error));
        return ExitCode::FAILURE;
    }
    match boot::run(setup.boot) {
        Ok(code) => ExitCode::from(u8::try_from(code & 0xff).unwrap_or(u8::MAX)),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Makes a panic before the report the report, so that a mistake of ours does not end as "exited with status 101"; and the
/// end of the sandbox.
fn report_panics(ready: boot::config::FdNumber) {
    let Ok(pipe) = host::inherit::duplicate(ready).map(std::fs::File::from) else { return };
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let error = StartError::new(
            StartErrorKind::Internal,
            format!("sandbox panicked: {panic}").replace('\n', " "),
        );
        if let Ok(bytes) = serde_json::to_vec(&ReadyReport::Error(error)) {
            // Once the runtime has had its report nobody reads any more.
            let _ = (&pipe).write_all(&bytes);
        }
        default(panic);
        // A sentry without one of its threads would leave its containers standing still for ever.
        std::process::abort();
    }));
}

fn confine(setup: &SentrySetup) -> Result<(), String> {
    // `execve` of /proc/self/exe leaves "exe".
    let _ = host::prctl::set_name(c"runsc-rs-sentry");
    if setup.boot.die_with_parent {
        host::prctl::set_parent_death_signal(nix::sys::signal::Signal::SIGKILL)
            .map_err(|error| format!("cannot ask to die with the parent: {error}"))?;
    }
    // Every open file of an application may be one here. No core file: it would hold what applications had in memory.
    let (_, hard) =
        getrlimit(Resource::RLIMIT_NOFILE).map_err(|error| format!("cannot read limits: {error}"))?;
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    root::isolate_mounts()?;
    root::enter_empty_root()?;
    if let Some((uid, gid)) = setup.become_ids {
        become_ids(uid, gid).map_err(|error| format!("cannot become user {uid}: {error}"))?;
    }
    host::prctl::set_no_new_privs().map_err(|error| format!("cannot give up new privileges: {error}"))?;
    host::process::drop_capabilities().map_err(|error| format!("cannot drop capabilities: {error}"))
}

/// Bits of the capabilities that changing ids takes.
const SETGID: u64 = 1 << 6;
const SETUID: u64 = 1 << 7;

fn become_ids(uid: u32, gid: u32) -> nix::Result<()> {
    // The bounding set can only be emptied by who may still do everything.
    host::process::limit_capabilities(SETGID | SETUID).map_err(|_| nix::errno::Errno::EPERM)?;
    let (uid, gid) = (nix::unistd::Uid::from_raw(uid), nix::unistd::Gid::from_raw(gid));
    nix::unistd::setgroups(&[])?;
    nix::unistd::setresgid(gid, gid, gid)?;
    nix::unistd::setresuid(uid, uid, uid)?;
    // Changing ids made the process undumpable, which would keep the sentry from its own stubs.
    host::prctl::set_dumpable(true)
}
