//! What `/proc/PID/mounts`, `mountinfo` and `mountstats` print (`proc(5)`).

use super::{Mount, MountNamespace};
use crate::{Path, dpath};
use abi::{
    Errno,
    process::{
        LSMT_ROOT, MountFlags, STATMOUNT_FS_TYPE, STATMOUNT_MNT_BASIC, STATMOUNT_MNT_NS_ID,
        STATMOUNT_MNT_OPTS, STATMOUNT_MNT_POINT, STATMOUNT_MNT_ROOT, STATMOUNT_PROPAGATE_FROM,
        STATMOUNT_SB_BASIC, Statmount,
    },
    stat::dev,
};
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

/// Unique ids of mounts are above this; the others are theirs without it.
pub const UNIQUE_ID_OFFSET: u64 = 1 << 31;

/// The id that no other mount ever had or will have (`STATX_MNT_ID_UNIQUE`).
pub fn unique_id(mount: &Mount) -> u64 {
    UNIQUE_ID_OFFSET + mount.id
}

/// The mount `unique` of `ns`. `ENOENT`; `EPERM` unless it can be reached from `root`, or `admin`.
fn find(
    ns: &MountNamespace,
    root: &Path,
    unique: u64,
    admin: bool,
) -> Result<(Arc<Mount>, dpath::PathName), Errno> {
    let mount = ns.mounts().into_iter().find(|m| unique_id(m) == unique).ok_or(Errno::ENOENT)?;
    let at = Path::new(mount.clone(), mount.root.clone())?;
    let place = dpath::locate(&at, root);
    if place.reachable || admin { Ok((mount, place)) } else { Err(Errno::EPERM) }
}

/// Ids of the mounts below `unique`, or of all that can be reached from `root`; ascending (`listmount(2)`).
pub fn list_below(ns: &MountNamespace, root: &Path, unique: u64, admin: bool) -> Result<Vec<u64>, Errno> {
    let top = match unique {
        LSMT_ROOT => root.clone(),
        unique => {
            let (mount, _) = find(ns, root, unique, admin)?;
            let dentry = mount.root.clone();
            Path::new(mount, dentry)?
        }
    };
    let below = |mount: &Arc<Mount>| {
        let at = Path::new(mount.clone(), mount.root.clone());
        unique_id(mount) != unique && at.is_ok_and(|at| dpath::locate(&at, &top).reachable)
    };
    let mut ids: Vec<u64> = ns.mounts().iter().filter(|m| below(m)).map(|m| unique_id(m)).collect();
    ids.sort_unstable();
    Ok(ids)
}

fn attributes(mount: &Mount) -> u64 {
    const NOATIME: u64 = 0x10;
    const STRICTATIME: u64 = 0x20;
    let flags = mount.flags();
    let mut attr = 0;
    for (flag, bit) in [
        (MountFlags::RDONLY, 0x1),
        (MountFlags::NOSUID, 0x2),
        (MountFlags::NODEV, 0x4),
        (MountFlags::NOEXEC, 0x8),
        (MountFlags::NODIRATIME, 0x80),
        (MountFlags::NOSYMFOLLOW, 0x20_0000),
    ] {
        if flags.contains(flag) {
            attr |= bit;
        }
    }
    attr | match () {
        () if flags.contains(MountFlags::NOATIME) => NOATIME,
        () if flags.contains(MountFlags::RELATIME) => 0,
        () => STRICTATIME,
    }
}

/// `statmount(2)`: what `mask` asks for of the mount `unique`, and the strings that the structure refers to.
pub fn statmount(
    ns: &MountNamespace,
    root: &Path,
    unique: u64,
    mask: u64,
    admin: bool,
) -> Result<(Statmount, Vec<u8>), Errno> {
    let (mount, place) = find(ns, root, unique, admin)?;
    let wants = |bit: u64| mask & bit != 0;
    let (parent, peer, master, unbindable) = {
        let table = mount.table.read();
        let node = table.node(mount.id).ok_or(Errno::ENOENT)?;
        let parent = node.place.as_ref().map_or(mount.id, |(parent, _)| *parent);
        (parent, node.peer, node.master, node.unbindable)
    };
    let mut out = Statmount::default();
    let mut strings = Vec::new();
    if wants(STATMOUNT_SB_BASIC) {
        let d = mount.fs.dev();
        (out.sb_dev_major, out.sb_dev_minor) = (dev::major(d), dev::minor(d));
        out.sb_magic = mount.fs.statfs()?.f_type as u64;
        out.sb_flags = if mount.fs.read_only() { MountFlags::RDONLY.bits() as u32 } else { 0 };
        out.mask |= STATMOUNT_SB_BASIC;
    }
    if wants(STATMOUNT_MNT_BASIC) {
        out.mnt_id = unique;
        out.mnt_parent_id = UNIQUE_ID_OFFSET + parent;
        (out.mnt_id_old, out.mnt_parent_id_old) = (mount.id as u32, parent as u32);
        out.mnt_attr = attributes(&mount);
        out.mnt_propagation = match () {
            () if unbindable => MountFlags::UNBINDABLE.bits(),
            () => {
                let shared = if peer != 0 { MountFlags::SHARED.bits() } else { 0 };
                let slave = if master != 0 { MountFlags::SLAVE.bits() } else { 0 };
                if shared | slave == 0 { MountFlags::PRIVATE.bits() } else { shared | slave }
            }
        };
        (out.mnt_peer_group, out.mnt_master) = (peer, master);
        out.mask |= STATMOUNT_MNT_BASIC;
    }
    if wants(STATMOUNT_PROPAGATE_FROM) {
        out.propagate_from = master;
        out.mask |= STATMOUNT_PROPAGATE_FROM;
    }
    let mut put = |text: &[u8]| {
        let at = strings.len() as u32;
        strings.extend_from_slice(text);
        strings.push(0);
        at
    };
    if wants(STATMOUNT_FS_TYPE) {
        out.fs_type = put(mount.fs.name().as_bytes());
        out.mask |= STATMOUNT_FS_TYPE;
    }
    if wants(STATMOUNT_MNT_ROOT) {
        out.mnt_root = put(&root_in_fs(&mount));
        out.mask |= STATMOUNT_MNT_ROOT;
    }
    if wants(STATMOUNT_MNT_POINT) {
        out.mnt_point = put(if place.reachable { &place.name } else { b"" });
        out.mask |= STATMOUNT_MNT_POINT;
    }
    if wants(STATMOUNT_MNT_OPTS) {
        let options = mount.fs.options();
        let options = options.strip_prefix(',').unwrap_or(&options);
        if !options.is_empty() {
            out.mnt_opts = put(options.as_bytes());
            out.mask |= STATMOUNT_MNT_OPTS;
        }
    }
    if wants(STATMOUNT_MNT_NS_ID) {
        out.mnt_ns_id = ns.id;
        out.mask |= STATMOUNT_MNT_NS_ID;
    }
    out.size = (Statmount::SIZE + strings.len()) as u32;
    Ok((out, strings))
}
