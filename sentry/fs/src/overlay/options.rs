//! `mount -t overlay -o lowerdir=...,upperdir=...,workdir=...`.

use super::{Layer, Overlay};
use abi::{Errno, process::MountFlags};
use std::sync::Arc;
use vfs::{FileSystemType, Lookup, MountArgs, Path, Vfs, vfs::Mounted};

/// As Linux: `OVL_MAX_STACK`.
const LAYERS_MAX: usize = 500;

/// Makes the type known to `mount(2)`.
pub fn register(vfs: &Arc<Vfs>) {
    vfs.register_type(FileSystemType {
        name: "overlay",
        user_mountable: true,
        nodev: true,
        mount: Arc::new(mount),
    });
}

/// Splits at `separator` where it has no backslash before it; backslashes go.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let next = match c {
            '\\' => chars.next(),
            c if c == separator => {
                parts.push(String::new());
                continue;
            }
            c => Some(c),
        };
        if let Some(part) = parts.last_mut() {
            part.extend(next);
        }
    }
    parts
}

/// Splits at commas that have no backslash before them; backslashes stay, for paths to be split at colons.
fn options(data: &str) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in data.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                parts.extend(data.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(data.get(start..));
    parts
}

fn directory(args: &MountArgs<'_>, name: &str) -> Result<Path, Errno> {
    args.ctx.resolve(name.as_bytes(), Lookup::FOLLOW | Lookup::DIRECTORY)
}

fn layer(path: &Path) -> Layer {
    Layer { root: path.inode(), mount: path.mount().clone() }
}

fn mount(args: &MountArgs<'_>) -> Result<Mounted, Errno> {
    let (mut lower, mut upper, mut work) = (Vec::new(), None, None);
    let mut shown = String::new();
    for option in options(args.data).into_iter().filter(|o| !o.is_empty()) {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        match key {
            "lowerdir" => lower = split(value, ':'),
            "lowerdir+" => lower.extend(split(value, '\0')),
            "upperdir" => upper = split(value, '\0').pop(),
            "workdir" => work = split(value, '\0').pop(),
            // Features that change nothing that can be seen, or are as asked for already.
            "index"
            | "redirect_dir"
            | "xino"
            | "metacopy"
            | "nfs_export"
            | "uuid"
            | "verity"
            | "userxattr"
            | "volatile"
            | "default_permissions" => {}
            _ => return Err(Errno::EINVAL),
        }
        shown.push(',');
        shown.push_str(option);
    }
    if lower.is_empty() || lower.len() > LAYERS_MAX {
        return Err(Errno::EINVAL);
    }
    let lower = lower.iter().map(|name| directory(args, name)).collect::<Result<Vec<_>, _>>()?;
    let upper = match (upper, work) {
        (None, _) if lower.len() < 2 => return Err(Errno::EINVAL),
        (None, _) => None,
        (Some(_), None) => return Err(Errno::EINVAL),
        (Some(upper), Some(work)) => {
            let (upper, work) = (directory(args, &upper)?, directory(args, &work)?);
            if !Arc::ptr_eq(upper.mount(), work.mount()) || upper.same(&work) {
                return Err(Errno::EINVAL);
            }
            // It cannot hold whiteouts: they would be its own.
            if upper.inode_ref().as_any().is::<super::OverlayInode>() {
                return Err(Errno::EINVAL);
            }
            if !args.flags.contains(MountFlags::RDONLY) {
                upper.mount().want_write()?;
            }
            Some(layer(&upper))
        }
    };
    Overlay::make(&args.ctx.vfs, upper, lower.iter().map(layer).collect(), shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_split_where_they_are_meant_to_be() {
        assert_eq!(options(r"lowerdir=a\,b:c,upperdir=d"), [r"lowerdir=a\,b:c", "upperdir=d"]);
        assert_eq!(split(r"a\,b:c\:d", ':'), ["a,b", "c:d"]);
    }
}
