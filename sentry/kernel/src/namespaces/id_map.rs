//! Writing `/proc/pid/uid_map`, `gid_map` and `setgroups` (`user_namespaces(7)`).

use abi::{Errno, process::Cap};
use std::sync::Arc;
use vfs::{Credentials, UserNamespace, cred::IdExtent};

/// The most lines of a map.
const EXTENTS_MAX: usize = 340;

/// One line: inside, outside (in the parent namespace), how many.
fn parse_line(line: &str) -> Option<(u32, u32, u32)> {
    let mut fields = line.split_ascii_whitespace();
    let mut number = || fields.next()?.parse::<u32>().ok();
    let (inside, outside, count) = (number()?, number()?, number()?);
    let fits = |first: u32| first != u32::MAX && first.checked_add(count).is_some();
    (fields.next().is_none() && count > 0 && fits(inside) && fits(outside))
        .then_some((inside, outside, count))
}

fn overlap(a: (u32, u32), b: (u32, u32)) -> bool {
    u64::from(a.0) < u64::from(b.0) + u64::from(b.1) && u64::from(b.0) < u64::from(a.0) + u64::from(a.1)
}

fn parse(text: &[u8]) -> Result<Vec<(u32, u32, u32)>, Errno> {
    let text = std::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
    let text = text.split('\0').next().unwrap_or_default();
    let mut lines: Vec<(u32, u32, u32)> = Vec::new();
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        let new = parse_line(line).ok_or(Errno::EINVAL)?;
        let clash = |old: &(u32, u32, u32)| {
            overlap((old.0, old.2), (new.0, new.2)) || overlap((old.1, old.2), (new.1, new.2))
        };
        if lines.iter().any(clash) || lines.len() == EXTENTS_MAX {
            return Err(Errno::EINVAL);
        }
        lines.push(new);
    }
    Ok(lines)
}

/// Writes the user or group map of `ns`: `text` in one piece. `opener` opened the file, `writer` writes.
///
/// `EPERM` where the map was written before or the mapping is not allowed; `EINVAL` for text that is no map.
pub fn write_id_map(
    opener: &Credentials,
    writer: &Credentials,
    ns: &Arc<UserNamespace>,
    text: &[u8],
    is_gid: bool,
) -> Result<(), Errno> {
    let parent = ns.parent.as_ref().ok_or(Errno::EPERM)?;
    if opener.user_ns.id != ns.id && opener.user_ns.id != parent.id {
        return Err(Errno::EPERM);
    }
    if text.len() >= abi::limits::PAGE_SIZE_USIZE {
        return Err(Errno::EINVAL);
    }
    if !opener.has_cap_in(ns, Cap::SYS_ADMIN) {
        return Err(Errno::EPERM);
    }
    let lines = parse(text)?;
    let parents = parent.maps();
    let parents = if is_gid { &parents.gid } else { &parents.uid };
    let mut extents = Vec::new();
    for (inside, outside, count) in &lines {
        // All of a line has to lie within one of the parent's.
        let kernel = parents.iter().find_map(|p| {
            let into = outside.checked_sub(p.inside)?;
            let fits = u64::from(into) + u64::from(*count) <= u64::from(p.count);
            p.kernel.checked_add(into).filter(|_| fits)
        });
        extents.push(IdExtent { inside: *inside, kernel: kernel.ok_or(Errno::EPERM)?, count: *count });
    }
    let denied = ns.maps().setgroups_denied;
    if !may_map(opener, writer, ns, parent, &lines, &extents, is_gid, denied) {
        return Err(Errno::EPERM);
    }
    ns.with_maps(|maps| {
        let map = if is_gid { &mut maps.gid } else { &mut maps.uid };
        if !map.is_empty() {
            return Err(Errno::EPERM);
        }
        *map = extents;
        Ok(())
    })
}

/// Linux's `new_idmap_permitted`.
#[allow(clippy::too_many_arguments, reason = "all of it counts")]
fn may_map(
    opener: &Credentials,
    writer: &Credentials,
    ns: &UserNamespace,
    parent: &UserNamespace,
    lines: &[(u32, u32, u32)],
    extents: &[IdExtent],
    is_gid: bool,
    setgroups_denied: bool,
) -> bool {
    // To map the parent's root is to act as it on files: that takes CAP_SETFCAP over it.
    let maps_root = !is_gid && lines.iter().any(|(_, outside, _)| *outside == 0);
    if maps_root {
        let from_parent = opener.user_ns.id != ns.id;
        let allowed = match from_parent {
            true => opener.has_cap_in(parent, Cap::SETFCAP),
            // Who unshared the namespace had it at the time: its owner stands for that.
            false => ns.owner == opener.euid || opener.has_cap_in(parent, Cap::SETFCAP),
        };
        if !allowed {
            return false;
        }
    }
    if let ([_], [only]) = (lines, extents)
        && only.count == 1
        && ns.owner == opener.euid
    {
        let own = if is_gid {
            setgroups_denied && only.kernel == opener.egid.0
        } else {
            only.kernel == opener.euid.0
        };
        if own {
            return true;
        }
    }
    let cap = if is_gid { Cap::SETGID } else { Cap::SETUID };
    writer.has_cap_in(parent, cap) && opener.has_cap_in(parent, cap)
}

/// Writes `/proc/pid/setgroups`. `EINVAL` for text other than `allow` and `deny`; `EPERM` where it is too late.
pub fn write_setgroups(opener: &Credentials, ns: &UserNamespace, text: &[u8]) -> Result<(), Errno> {
    let allow = match text.trim_ascii_end() {
        b"allow" => true,
        b"deny" => false,
        _ => return Err(Errno::EINVAL),
    };
    if !opener.has_cap_in(ns, Cap::SYS_ADMIN) {
        return Err(Errno::EACCES);
    }
    ns.with_maps(|maps| match (allow, maps.setgroups_denied) {
        (true, true) => Err(Errno::EPERM),
        (true, false) | (false, true) => Ok(()),
        (false, false) if !maps.gid.is_empty() => Err(Errno::EPERM),
        (false, false) => {
            maps.setgroups_denied = true;
            Ok(())
        }
    })
}

/// The text of `uid_map` or `gid_map` of `ns` as somebody in `reader` sees it.
pub fn show_id_map(ns: &UserNamespace, reader: &UserNamespace, is_gid: bool) -> String {
    let maps = ns.maps();
    let map = if is_gid { &maps.gid } else { &maps.uid };
    // The outside of a reader's own map is its parent's.
    let outer = if ns.id == reader.id { reader.parent.as_deref().unwrap_or(reader) } else { reader };
    let hosts = if is_gid { &maps.outside.1 } else { &maps.outside.0 };
    if ns.parent.is_none() && !hosts.is_empty() {
        let line = |(e, host): (&IdExtent, &u32)| format!("{:>10} {host:>10} {:>10}\n", e.inside, e.count);
        return map.iter().zip(hosts).map(line).collect();
    }
    let outside = |kernel: u32| match is_gid {
        true => outer.gid_inside(vfs::Gid(kernel)),
        false => outer.uid_inside(vfs::Uid(kernel)),
    };
    map.iter()
        .map(|e| format!("{:>10} {:>10} {:>10}\n", e.inside, outside(e.kernel).unwrap_or(u32::MAX), e.count))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::process::CapSet;
    use vfs::{Gid, Uid};

    fn user(ns: &Arc<UserNamespace>, id: u32) -> Arc<Credentials> {
        let root = Credentials::root(ns.clone());
        Arc::new(Credentials {
            ruid: Uid(id),
            euid: Uid(id),
            suid: Uid(id),
            fsuid: Uid(id),
            rgid: Gid(id),
            egid: Gid(id),
            sgid: Gid(id),
            fsgid: Gid(id),
            permitted: CapSet::EMPTY,
            effective: CapSet::EMPTY,
            ..(*root).clone()
        })
    }

    #[test]
    fn anybody_may_map_itself_once_and_its_group_only_without_setgroups() {
        let initial = UserNamespace::initial();
        let inside = user(&initial, 1000).in_new_user_namespace().unwrap();
        let ns = inside.user_ns.clone();
        let write = |text: &[u8], gid| write_id_map(&inside, &inside, &ns, text, gid);
        assert_eq!(write(b"0 1001 1\n", false), Err(Errno::EPERM));
        assert_eq!(write(b"0 1000 2\n", false), Err(Errno::EPERM));
        assert_eq!(write(b"0 1000\n", false), Err(Errno::EINVAL));
        assert_eq!(write(b"0 1000 1\n0 1001 1\n", false), Err(Errno::EINVAL));
        assert_eq!(write(b"0 1000 1\n", false), Ok(()));
        assert_eq!(write(b"0 1000 1\n", false), Err(Errno::EPERM));
        assert_eq!(write(b"0 1000 1", true), Err(Errno::EPERM));
        assert_eq!(write_setgroups(&inside, &ns, b"deny\n"), Ok(()));
        assert_eq!(write(b"0 1000 1", true), Ok(()));
        assert_eq!(write_setgroups(&inside, &ns, b"allow"), Err(Errno::EPERM));
        assert_eq!((ns.uid(0), ns.gid_inside(Gid(1000))), (Some(Uid(1000)), Some(0)));
        assert_eq!(show_id_map(&ns, &ns, false), "         0       1000          1\n");
    }

    #[test]
    fn the_superuser_outside_maps_ranges() {
        let initial = UserNamespace::initial();
        let root = Credentials::root(initial.clone());
        let ns = root.in_new_user_namespace().unwrap().user_ns.clone();
        assert_eq!(write_id_map(&root, &root, &ns, b"0 100000 65536\n65536 0 1\n", false), Ok(()));
        assert_eq!((ns.uid(7), ns.uid(65536), ns.uid(65537)), (Some(Uid(100_007)), Some(Uid(0)), None));
    }
}
