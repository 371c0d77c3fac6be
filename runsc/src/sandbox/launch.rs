//! Starting the two processes: gofer and sandbox.

use crate::{
    console,
    idmap::IdMap,
    inner::{self, SentrySetup},
    sandbox::wait_for,
};
use anyhow::{Context, anyhow};
use boot::config::{BootConfig, Network};
use host::launch::{Child, Launch};
use nix::{
    sched::{CloneFlags, setns},
    sys::signal::{Signal, kill},
    unistd::geteuid,
};
use std::{
    ffi::CString,
    fs::{File, OpenOptions},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

/// A process to start.
pub(super) struct Role<'a> {
    pub(super) name: &'static str,
    pub(super) config: BorrowedFd<'a>,
    pub(super) shown: &'a [&'a str],
    pub(super) clone_flags: CloneFlags,
    pub(super) unshare_flags: CloneFlags,
    pub(super) map: Option<&'a IdMap>,
    /// Where messages go; none: nowhere.
    pub(super) stderr: Option<BorrowedFd<'a>>,
    pub(super) keep: &'a [BorrowedFd<'a>],
    pub(super) terminal: Option<BorrowedFd<'a>>,
}

/// Starts a process up to its gate, with its id maps written.
pub(super) fn start(role: &Role<'_>) -> anyhow::Result<Child> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null").context("/dev/null")?;
    let fd = role.config.as_raw_fd().to_string();
    let words = [role.name, fd.as_str()].into_iter().chain(role.shown.iter().copied());
    // An argument with a NUL was refused with the configuration.
    let argv: Vec<CString> = words.filter_map(|word| CString::new(word).ok()).collect();
    let argv: Vec<_> = argv.iter().map(CString::as_c_str).collect();
    let mut keep = role.keep.to_vec();
    keep.push(role.config);
    let child = host::launch::launch(&Launch {
        exe: c"/proc/self/exe",
        argv: &argv,
        // Nothing of the caller's environment is the sandbox's business.
        envp: &[],
        clone_flags: role.clone_flags.bits(),
        unshare_flags: role.unshare_flags.bits(),
        ids: role.map.map(|_| (0, 0)),
        stdio: [null.as_fd(), null.as_fd(), role.stderr.unwrap_or(null.as_fd())],
        keep: &keep,
        controlling_terminal: role.terminal,
        cgroup: None,
    })?;
    if let Some(map) = role.map
        && let Err(error) = map.write(child.pid)
    {
        let _ = kill(child.pid, Signal::SIGKILL);
        let _ = wait_for(child.pid);
        return Err(error.context(format!("user namespace of {}", role.name)));
    }
    Ok(child)
}

/// Starts the sandbox process with the least authority that this host lets it have.
pub(super) fn start_sandbox(
    boot: BootConfig,
    joined: Option<&File>,
    stderr: Option<BorrowedFd<'_>>,
    keep: &[BorrowedFd<'_>],
    pty: Option<&console::Pty>,
) -> anyhow::Result<Child> {
    let mut unshare_flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWCGROUP;
    if boot.network != Network::Host {
        unshare_flags |= CloneFlags::CLONE_NEWNET;
    }
    // For people who look at the host's process list: which container, and what runs in it.
    let words: Vec<String> = std::iter::once(&boot.id).chain(&boot.process.args).cloned().collect();
    let shown: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut setup = SentrySetup { become_ids: None, boot };
    let mut attempt = |map: Option<&IdMap>, become_ids: Option<(u32, u32)>| {
        setup.become_ids = become_ids;
        let config = inner::pack(&setup)?;
        let user = if map.is_some() { CloneFlags::CLONE_NEWUSER } else { CloneFlags::empty() };
        let role = Role {
            name: inner::SANDBOX,
            config: config.as_fd(),
            shown: &shown,
            clone_flags: CloneFlags::CLONE_NEWPID | user,
            unshare_flags,
            map,
            stderr,
            keep,
            terminal: pty.map(|pty| pty.slave.as_fd()),
        };
        in_network(joined, || start(&role))
    };
    if !geteuid().is_root() {
        return attempt(Some(&IdMap::caller()), None);
    }
    // Where ids other than the caller's cannot be mapped (inside another user namespace), the caller's must do; where
    // there are no user namespaces at all, the process drops to an unprivileged id by itself.
    attempt(Some(&IdMap::nobody()), None).or_else(|first| {
        log::debug!("sandbox as nobody: {first:#}");
        attempt(Some(&IdMap::caller()), None).or_else(|second| {
            log::debug!("sandbox in a user namespace: {second:#}");
            attempt(None, Some((65534, 65534)))
        })
    })
}

/// Runs `start` in the network namespace that `joined` names. The rest of this process stays where it is.
///
/// The child's parent is then a thread that ends here, which counts as the parent's death: not to be combined
/// with `die_with_parent`. Only `do` asks for that, and it joins nothing.
fn in_network(
    joined: Option<&File>,
    start: impl FnOnce() -> anyhow::Result<Child> + Send,
) -> anyhow::Result<Child> {
    let Some(namespace) = joined else { return start() };
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            setns(namespace, CloneFlags::CLONE_NEWNET).context("cannot join the network namespace")?;
            start()
        });
        thread.join().unwrap_or_else(|_| Err(anyhow!("starting the sandbox failed")))
    })
}
