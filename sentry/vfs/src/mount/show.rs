//! What `/proc/PID/mounts`, `mountinfo` and `mountstats` print (`proc(5)`).

use super::{Mount, MountNamespace};
use crate::{Path, dpath};
use abi::{process::MountFlags, stat::dev};
use std::sync::Arc;

/// Writes `text` with the bytes that separate fields as octal.
fn escape(out: &mut Vec<u8>, text: &[u8]) {
    for b in text {
        match b {
            b' ' | b'\t' | b'\n' | b'\\' | b'#' => out.extend_from_slice(format!("\\{b:03o}").as_bytes()),
            _ => out.push(*b),
        }
    }
}

fn options(mount: &Mount) -> String {
    let flags = mount.flags();
    let mut all = String::from(if flags.contains(MountFlags::RDONLY) { "ro" } else { "rw" });
    for (flag, name) in [
        (MountFlags::NOSUID, ",nosuid"),
        (MountFlags::NODEV, ",nodev"),
        (MountFlags::NOEXEC, ",noexec"),
        (MountFlags::NOATIME, ",noatime"),
        (MountFlags::NODIRATIME, ",nodiratime"),
        (MountFlags::RELATIME, ",relatime"),
        (MountFlags::NOSYMFOLLOW, ",nosymfollow"),
    ] {
        if flags.contains(flag) {
            all.push_str(name);
        }
    }
    all
}

/// The mounts of `ns` that lie below `root`, with their mount points as seen from there.
fn visible(ns: &MountNamespace, root: &Path) -> Vec<(Arc<Mount>, Vec<u8>)> {
    let place = |mount: Arc<Mount>| {
        let at = Path::new(mount.clone(), mount.root.clone()).ok()?;
        let found = dpath::locate(&at, root);
        found.reachable.then_some((mount, found.name))
    };
    ns.mounts().into_iter().filter_map(place).collect()
}

/// `/proc/PID/mounts`.
pub fn mounts(ns: &MountNamespace, root: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    for (mount, point) in visible(ns, root) {
        escape(&mut out, &mount.source);
        out.push(b' ');
        escape(&mut out, &point);
        let mut options = options(&mount);
        if mount.fs.read_only() {
            options.replace_range(..2, "ro");
        }
        let rest = format!(" {} {}{} 0 0\n", mount.fs.name(), options, mount.fs.options());
        out.extend_from_slice(rest.as_bytes());
    }
    out
}

/// `/proc/PID/mountinfo`.
pub fn mountinfo(ns: &MountNamespace, root: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    for (mount, point) in visible(ns, root) {
        let (parent, peer, master, unbindable) = {
            let table = mount.table.read();
            let Some(node) = table.node(mount.id) else { continue };
            let parent = node.place.as_ref().map_or(mount.id, |(parent, _)| *parent);
            (parent, node.peer, node.master, node.unbindable)
        };
        let d = mount.fs.dev();
        let head = format!("{} {} {}:{} ", mount.id, parent, dev::major(d), dev::minor(d));
        out.extend_from_slice(head.as_bytes());
        escape(&mut out, &root_in_fs(&mount));
        out.push(b' ');
        escape(&mut out, &point);
        let mut middle = format!(" {}", options(&mount));
        if peer != 0 {
            middle.push_str(&format!(" shared:{peer}"));
        }
        if master != 0 {
            middle.push_str(&format!(" master:{master}"));
        }
        if unbindable {
            middle.push_str(" unbindable");
        }
        middle.push_str(&format!(" - {} ", mount.fs.name()));
        out.extend_from_slice(middle.as_bytes());
        escape(&mut out, &mount.source);
        let mode = if mount.fs.read_only() { "ro" } else { "rw" };
        out.extend_from_slice(format!(" {mode}{}\n", mount.fs.options()).as_bytes());
    }
    out
}

/// Which part of its file system a mount shows.
fn root_in_fs(mount: &Mount) -> Vec<u8> {
    let mut parts = Vec::new();
    let mut at = mount.root.clone();
    let deleted = at.is_unlinked();
    while let (name, Some(parent)) = at.name_and_parent() {
        parts.push(name);
        at = parent;
    }
    let mut name: Vec<u8> = parts.iter().rev().flat_map(|p| [b"/", &p[..]].concat()).collect();
    if name.is_empty() {
        name.push(b'/');
    }
    if deleted {
        name.extend_from_slice(b"//deleted");
    }
    name
}

/// `/proc/PID/mountstats`.
pub fn mountstats(ns: &MountNamespace, root: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    for (mount, point) in visible(ns, root) {
        out.extend_from_slice(b"device ");
        escape(&mut out, &mount.source);
        out.extend_from_slice(b" mounted on ");
        escape(&mut out, &point);
        out.extend_from_slice(format!(" with fstype {}\n", mount.fs.name()).as_bytes());
    }
    out
}
