//! User namespaces: which ids of the host a sandbox and a gofer have.
//!
//! The sentry gets one id that means nothing on the host (65534) where the caller may give it one, else the caller's
//! own. The gofer acts on files, so it keeps the caller's ids, or has those that the configuration maps.

use anyhow::{Context, bail};
use nix::unistd::{Pid, getegid, geteuid};
use std::{fs, process::Command};

/// The unprivileged id of the host that the sentry is.
const NOBODY: u32 = 65534;

/// (inside, outside, count).
pub type Range = (u32, u32, u32);

/// The maps of a user namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdMap {
    /// For users.
    pub users: Vec<Range>,
    /// For groups.
    pub groups: Vec<Range>,
}

impl IdMap {
    /// For the sentry: id 0 inside is nobody outside.
    pub fn nobody() -> Self {
        Self { users: vec![(0, NOBODY, 1)], groups: vec![(0, NOBODY, 1)] }
    }

    /// Id 0 inside is the caller outside.
    pub fn caller() -> Self {
        Self { users: vec![(0, geteuid().as_raw(), 1)], groups: vec![(0, getegid().as_raw(), 1)] }
    }

    /// Refuses maps that no user namespace can have, in words that say which.
    pub fn check(&self) -> anyhow::Result<()> {
        for (name, ranges) in [("uidMappings", &self.users), ("gidMappings", &self.groups)] {
            if ranges.is_empty() {
                bail!("linux.{name} is empty where the other mapping is not: give both");
            }
            for (inside, outside, count) in ranges {
                if *count == 0
                    || inside.checked_add(*count).is_none()
                    || outside.checked_add(*count).is_none()
                {
                    bail!("linux.{name}: {count} ids from {inside} (host {outside}) on is no range of ids");
                }
            }
        }
        Ok(())
    }

    /// Whether an ordinary user may write it without help: one id, the user's own.
    fn is_callers_own(&self) -> bool {
        let one = |ranges: &[Range], own: u32| matches!(ranges, [(_, outside, 1)] if *outside == own);
        one(&self.users, geteuid().as_raw()) && one(&self.groups, getegid().as_raw())
    }

    /// Writes the maps for a child that waits at its gate in a new user namespace.
    pub fn write(&self, pid: Pid) -> anyhow::Result<()> {
        let privileged = geteuid().is_root();
        if !privileged && !self.is_callers_own() {
            return self.write_by_helper(pid);
        }
        if !privileged {
            // Otherwise a group that denies something could be shed.
            write(pid, "setgroups", "deny")?;
        }
        write(pid, "uid_map", &lines(&self.users))?;
        write(pid, "gid_map", &lines(&self.groups))
    }

    /// An ordinary user may map ids that `/etc/subuid` and `/etc/subgid` grant, by way of programs that check it.
    fn write_by_helper(&self, pid: Pid) -> anyhow::Result<()> {
        for (program, ranges, file) in
            [("newuidmap", &self.users, "/etc/subuid"), ("newgidmap", &self.groups, "/etc/subgid")]
        {
            let mut command = Command::new(program);
            command.arg(pid.to_string());
            for (inside, outside, count) in ranges {
                command.args([inside.to_string(), outside.to_string(), count.to_string()]);
            }
            let output = match command.output() {
                Ok(output) => output,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
                    "{program} is missing, which maps ids for an ordinary user: install it (package uidmap), or map only your own id"
                ),
                Err(error) => bail!("cannot start {program}: {}", crate::bundle::plain(&error)),
            };
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                let said = said.lines().next().unwrap_or("it gave no reason");
                let said = said.strip_prefix(program).and_then(|s| s.strip_prefix(": ")).unwrap_or(said);
                bail!("{program} refuses to map {}: {said} (see {file})", shown(ranges));
            }
        }
        Ok(())
    }
}

/// Ranges for a message.
fn shown(ranges: &[Range]) -> String {
    let one = |(inside, outside, count): &Range| match count {
        1 => format!("id {outside} as {inside}"),
        _ => format!("{count} ids from {outside} on as {inside} on"),
    };
    ranges.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn write(pid: Pid, file: &str, text: &str) -> anyhow::Result<()> {
    let path = format!("/proc/{pid}/{file}");
    fs::write(&path, text).with_context(|| format!("cannot write {:?} to {path}", text.trim_end()))
}

fn lines(ranges: &[Range]) -> String {
    ranges.iter().map(|(inside, outside, count)| format!("{inside} {outside} {count}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_as_text() {
        assert_eq!(lines(&IdMap::nobody().users), "0 65534 1\n");
        assert_eq!(lines(&[(0, 5, 1), (1, 100_000, 65536)]), "0 5 1\n1 100000 65536\n");
    }

    #[test]
    fn maps_are_checked() {
        let map = |users: &[Range], groups: &[Range]| IdMap { users: users.into(), groups: groups.into() };
        assert!(map(&[(0, 5, 1), (1, 100_000, 65536)], &[(0, 5, 1)]).check().is_ok());
        assert!(map(&[], &[(0, 5, 1)]).check().unwrap_err().to_string().contains("uidMappings is empty"));
        assert!(map(&[(0, u32::MAX, 2)], &[(0, 5, 1)]).check().is_err());
        assert!(map(&[(0, 5, 0)], &[(0, 5, 1)]).check().is_err());
        assert!(IdMap::caller().is_callers_own() && !map(&[(0, 1, 2)], &[(0, 1, 2)]).is_callers_own());
        assert_eq!(shown(&[(0, 5, 1), (1, 9, 3)]), "id 5 as 0, 3 ids from 9 on as 1 on");
    }
}
