//! `do`: a command on the host's own files, read-only below an in-memory overlay. No bundle, no daemon, no privilege.

use crate::{
    bundle::Bundle,
    cli::{Global, NetworkMode},
    cmd::run,
    sandbox::{self, Request},
    state::{self, Container, Status},
};
use anyhow::Context;
use boot::config::StartMode;
use clap::Args;
use nix::unistd::{getegid, geteuid, getgroups};
use serde_json::{Value, json};
use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};

/// Options of `do`.
#[derive(Args, Debug)]
pub struct Do {
    /// Root file system instead of the host's
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Working directory, defaults to the current one
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// Where inet sockets lead; overrides the global option
    #[arg(long, value_enum, value_name = "MODE")]
    pub network: Option<NetworkMode>,
    /// Set environment variables
    #[arg(long, short = 'e', value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Directory or file that is shared with the host, written through
    #[arg(long, short = 'v', value_name = "HOST[:PATH[:ro]]")]
    pub volume: Vec<String>,
    /// Write through to the files instead of into an overlay
    #[arg(long)]
    pub force_overlay_off: bool,
    /// The command and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

impl Do {
    /// Runs the command; its exit status.
    pub fn run(self, global: &Global) -> anyhow::Result<i32> {
        let mut global = global.clone();
        if let Some(network) = self.network {
            global.network = network;
        }
        global.ignore_cgroups = true;
        if !self.force_overlay_off && global.overlay2 == "none" {
            global.overlay2 = "root:memory".into();
        }
        let terminal = std::io::stdin().is_terminal();
        let spec = serde_json::from_value(self.config(terminal)?)?;
        // A directory is only needed to resolve relative paths, of which there are none.
        let bundle = Bundle::from_spec("/".into(), spec)?;
        sweep(&state::root_dir(&global));
        let id = format!("do-{}-{:x}", std::process::id(), start_of_day());
        let request = Request {
            global: &global,
            command: "do",
            id: &id,
            bundle,
            start: StartMode::Now,
            console_socket: None,
            pid_file: None,
            extra_files: Vec::new(),
            die_with_parent: true,
            direct_terminal: true,
        };
        run::run(&global, request, false, false)
    }

    /// The configuration that a bundle would have.
    fn config(&self, terminal: bool) -> anyhow::Result<Value> {
        let cwd = match &self.cwd {
            Some(cwd) => cwd.clone(),
            None => std::env::current_dir().context("current directory")?,
        };
        let mut env: Vec<String> = std::env::vars_os()
            .filter_map(|(name, value)| Some(format!("{}={}", name.to_str()?, value.to_str()?)))
            .collect();
        env.extend(self.env.iter().cloned());
        // As an ordinary user, be root inside: id 0 is the caller on the host.
        let rootless = !geteuid().is_root();
        let groups: Vec<u32> =
            if rootless { Vec::new() } else { getgroups()?.iter().map(|gid| gid.as_raw()).collect() };
        let (uid, gid) = if rootless { (0, 0) } else { (geteuid().as_raw(), getegid().as_raw()) };
        let all = crate::convert::capability_names();
        let mut mounts = vec![
            json!({"destination": "/proc", "type": "proc", "source": "proc"}),
            json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]}),
            json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                   "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]}),
            json!({"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
                   "options": ["nosuid", "nodev", "mode=1777"]}),
            json!({"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue"}),
            json!({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]}),
        ];
        for volume in &self.volume {
            mounts.push(parse_volume(volume)?);
        }
        let hostname = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        Ok(json!({
            "ociVersion": "1.0.2",
            "root": {"path": self.root.clone().unwrap_or_else(|| "/".into())},
            "hostname": hostname,
            "process": {
                "terminal": terminal,
                "user": {"uid": uid, "gid": gid, "additionalGids": groups},
                "args": self.command,
                "env": env,
                "cwd": cwd,
                "capabilities": {"bounding": all, "effective": all, "permitted": all},
            },
            "mounts": mounts,
            "linux": {"namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
                                     {"type": "network"}]},
        }))
    }
}

/// Removes what `do` commands have left that were killed before they could clean up. Nobody else knows their names.
fn sweep(root: &Path) {
    let names = std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.file_name());
    for id in names.filter_map(|name| name.into_string().ok()).filter(|id| id.starts_with("do-")) {
        let caller = id.split('-').nth(1).unwrap_or_default();
        // One whose caller lives is that caller's business, or that of whoever has its number now, for a while.
        if Path::new("/proc").join(caller).exists() {
            continue;
        }
        match Container::open(root, &id) {
            Ok((container, state)) if state.status() == Status::Stopped => {
                if let Err(error) = sandbox::destroy(container, &state) {
                    log::debug!("{id}: {error:#}");
                }
            }
            Ok(_) => {}
            Err(_) => {
                let _ = std::fs::remove_dir_all(root.join(&id));
                let _ = std::fs::remove_file(root.join(format!("runsc-{id}.sock")));
            }
        }
    }
}

/// `HOST[:PATH[:ro]]` as a bind mount.
fn parse_volume(text: &str) -> anyhow::Result<Value> {
    let mut parts = text.splitn(3, ':');
    let host = parts.next().unwrap_or_default();
    let source = std::fs::canonicalize(host).with_context(|| format!("--volume {text}"))?;
    let destination = match parts.next() {
        Some(path) if !path.is_empty() => PathBuf::from(path),
        _ => source.clone(),
    };
    let mode = parts.next().unwrap_or("rw");
    anyhow::ensure!(matches!(mode, "ro" | "rw"), "--volume {text}: {mode:?} is neither ro nor rw");
    anyhow::ensure!(destination.is_absolute(), "--volume {text}: the path in the sandbox must be absolute");
    Ok(json!({"destination": destination, "type": "bind", "source": source, "options": ["rbind", mode]}))
}

/// Something that tells two processes with the same id apart.
fn start_of_day() -> u32 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |now| now.subsec_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes() {
        let volume = parse_volume("/usr:/x:ro").unwrap();
        assert_eq!((volume["destination"].as_str(), volume["options"][1].as_str()), (Some("/x"), Some("ro")));
        assert_eq!(parse_volume("/usr").unwrap()["destination"].as_str(), Some("/usr"));
        assert!(parse_volume("/usr:x").is_err() && parse_volume("/usr:/x:rx").is_err());
    }

    #[test]
    fn the_configuration_is_one() {
        let command = Do {
            root: None,
            cwd: None,
            network: None,
            env: vec!["A=b".into()],
            volume: Vec::new(),
            force_overlay_off: false,
            command: vec!["ls".into()],
        };
        let spec: oci_spec::runtime::Spec = serde_json::from_value(command.config(false).unwrap()).unwrap();
        let bundle = Bundle::from_spec("/".into(), spec).unwrap();
        assert!(bundle.process().unwrap().env().as_ref().unwrap().contains(&"A=b".into()));
    }
}
