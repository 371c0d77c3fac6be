//! User namespaces: which ids of the host a sandbox and a gofer have.
//!
//! The sentry gets one id that means nothing on the host (65534) where the caller may give it one, else the caller's
//! own. The gofer acts on files, so it keeps the caller's ids, or has those that the configuration maps.

use anyhow::{Context, bail};
use nix::unistd::{Pid, User, getegid, geteuid};
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

    /// The caller as 0, followed by the ids that `/etc/subuid` and `/etc/subgid` grant it.
    pub fn caller_with_subordinates() -> Option<Self> {
        let user = User::from_uid(geteuid()).ok()??;
        let sub = |file: &str| {
            let text = fs::read_to_string(file).ok()?;
            subordinate(&text, &user.name, user.uid.as_raw())
        };
        let (user_start, users) = sub("/etc/subuid")?;
        let (group_start, groups) = sub("/etc/subgid")?;
        let mut map = Self::caller();
        map.users.push((1, user_start, users));
        map.groups.push((1, group_start, groups));
        Some(map)
    }

    /// Writes the maps for a child that waits at its gate in a new user namespace.
    pub fn write(&self, pid: Pid) -> anyhow::Result<()> {
        let privileged = geteuid().is_root();
        if !privileged && (self.users.len() > 1 || self.groups.len() > 1) {
            return self.write_by_helper(pid);
        }
        if !privileged {
            // Otherwise a group that denies something could be shed.
            write(pid, "setgroups", "deny")?;
        }
        write(pid, "uid_map", &lines(&self.users))?;
        write(pid, "gid_map", &lines(&self.groups))
    }

    fn write_by_helper(&self, pid: Pid) -> anyhow::Result<()> {
        for (program, ranges) in [("newuidmap", &self.users), ("newgidmap", &self.groups)] {
            let mut command = Command::new(program);
            command.arg(pid.to_string());
            for (inside, outside, count) in ranges {
                command.args([inside.to_string(), outside.to_string(), count.to_string()]);
            }
            let output = command.output().with_context(|| format!("cannot start {program}"))?;
            if !output.status.success() {
                bail!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
            }
        }
        Ok(())
    }
}

fn write(pid: Pid, file: &str, text: &str) -> anyhow::Result<()> {
    let path = format!("/proc/{pid}/{file}");
    fs::write(&path, text).with_context(|| format!("cannot write {:?} to {path}", text.trim_end()))
}

fn lines(ranges: &[Range]) -> String {
    ranges.iter().map(|(inside, outside, count)| format!("{inside} {outside} {count}\n")).collect()
}

/// The first range of `name` or `uid` in a file like `/etc/subuid`: (start, count).
fn subordinate(text: &str, name: &str, uid: u32) -> Option<(u32, u32)> {
    text.lines().find_map(|line| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let range = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (owner == name || owner.parse() == Ok(uid)).then_some(range)
    })
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
    fn subordinate_ids() {
        let text = "root:1:2\nann:100000:65536\n1001:5:6\n";
        assert_eq!(subordinate(text, "ann", 1000), Some((100_000, 65536)));
        assert_eq!(subordinate(text, "bob", 1001), Some((5, 6)));
        assert_eq!(subordinate(text, "eve", 1002), None);
    }
}
