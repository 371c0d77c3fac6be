//! The name of a place, seen from a root (`d_path`).

use crate::{Path, dentry::rename_seq};
use std::sync::Arc;

/// A name, and what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathName {
    /// From the root that was given; from the top of its own tree if it is not below that.
    pub name: Vec<u8>,
    /// It lies below the root that was given.
    pub reachable: bool,
    /// It was removed.
    pub deleted: bool,
}

fn walk_up(path: &Path, root: &Path) -> PathName {
    let deleted = path.dentry().is_unlinked();
    if path.dentry().is_anonymous() {
        return PathName { name: path.dentry().name().to_vec(), reachable: true, deleted: false };
    }
    let mut parts: Vec<Arc<[u8]>> = Vec::new();
    let mut at = path.clone();
    let mut dentry = path.dentry().clone();
    let reachable = loop {
        if Arc::ptr_eq(&dentry, root.dentry()) && Arc::ptr_eq(at.mount(), root.mount()) {
            break true;
        }
        if Arc::ptr_eq(&dentry, &at.mount().root) {
            match at.mount().mount_point() {
                Some(point) => {
                    dentry = point.dentry().clone();
                    at = point;
                }
                None => break false,
            }
            continue;
        }
        let (name, parent) = dentry.name_and_parent();
        let Some(parent) = parent else { break false };
        parts.push(name);
        dentry = parent;
    };
    let mut name = Vec::new();
    for part in parts.iter().rev() {
        name.push(b'/');
        name.extend_from_slice(part);
    }
    if name.is_empty() {
        name.push(b'/');
    }
    PathName { name, reachable, deleted }
}

/// Where `path` is, seen from `root`.
pub fn locate(path: &Path, root: &Path) -> PathName {
    // A rename on the way would give a name that never was.
    for _ in 0..8 {
        let before = rename_seq();
        let found = walk_up(path, root);
        if before == rename_seq() {
            return found;
        }
    }
    walk_up(path, root)
}

/// As `/proc/PID/fd` and `/proc/PID/maps` show it: with ` (deleted)` behind it where that is so.
pub fn d_path(path: &Path, root: &Path) -> Vec<u8> {
    let mut found = locate(path, root);
    if found.deleted {
        found.name.extend_from_slice(b" (deleted)");
    }
    found.name
}

/// As `getcwd(2)` gives it: `ENOENT` if it was removed, `(unreachable)` before it if it is outside the root.
pub fn getcwd(cwd: &Path, root: &Path) -> Result<Vec<u8>, abi::Errno> {
    let found = locate(cwd, root);
    if found.deleted {
        return Err(abi::Errno::ENOENT);
    }
    if found.reachable {
        return Ok(found.name);
    }
    Ok([b"(unreachable)", &found.name[..]].concat())
}
