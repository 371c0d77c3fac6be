//! Credentials and user namespaces (`credentials(7)`, `user_namespaces(7)`).
//!
//! [`Uid`] and [`Gid`] are the kernel's own ids: those of the initial user namespace. What an application sees
//! is translated by its [`UserNamespace`]. Credentials never change: a change makes new ones.

use abi::{
    Errno,
    process::{
        Cap, CapSet, VFS_CAP_FLAGS_EFFECTIVE, VFS_CAP_REVISION_2, VFS_CAP_REVISION_3, VFS_CAP_REVISION_MASK,
    },
};
use ksync::{RwLock, rank};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// A user, by the initial namespace's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Uid(pub u32);
/// A group, by the initial namespace's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Gid(pub u32);

impl Uid {
    /// The superuser of the initial namespace.
    pub const ROOT: Uid = Uid(0);
    /// What stands for ids that a namespace does not map.
    pub const OVERFLOW: u32 = 65534;
}
impl Gid {
    /// The superuser's group of the initial namespace.
    pub const ROOT: Gid = Gid(0);
    /// What stands for ids that a namespace does not map.
    pub const OVERFLOW: u32 = 65534;
}

/// One line of `/proc/pid/uid_map`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdExtent {
    /// First id inside.
    pub inside: u32,
    /// First id in the initial namespace.
    pub kernel: u32,
    /// How many.
    pub count: u32,
}

/// Which ids of a namespace are which of the kernel's; empty until written.
#[derive(Clone, Debug, Default)]
pub struct IdMaps {
    /// User ids.
    pub uid: Vec<IdExtent>,
    /// Group ids.
    pub gid: Vec<IdExtent>,
    /// `setgroups` was denied.
    pub setgroups_denied: bool,
    /// Of a first namespace that stands for one of the host's below the initial one: what its maps show as outside, an id for each
    /// extent of users and of groups.
    pub outside: (Vec<u32>, Vec<u32>),
}

/// A user namespace: the scope of ids and capabilities.
#[derive(Debug)]
pub struct UserNamespace {
    /// Its number in `/proc/pid/ns/user`.
    pub id: u64,
    /// The namespace that it was made in; none for the initial one.
    pub parent: Option<Arc<UserNamespace>>,
    /// Effective user of whoever made it: has all capabilities in it, seen from the parent.
    pub owner: Uid,
    /// And that one's group.
    pub group: Gid,
    /// How many namespaces are above it.
    pub level: u32,
    maps: RwLock<IdMaps>,
}

/// Numbers for namespaces of every kind, unique in the sandbox; they begin where Linux's do.
pub fn next_namespace_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0xf000_0000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn to_kernel(map: &[IdExtent], inside: u32) -> Option<u32> {
    map.iter().find_map(|e| {
        inside.checked_sub(e.inside).filter(|d| *d < e.count).and_then(|d| e.kernel.checked_add(d))
    })
}

fn from_kernel(map: &[IdExtent], kernel: u32) -> Option<u32> {
    map.iter().find_map(|e| {
        kernel.checked_sub(e.kernel).filter(|d| *d < e.count).and_then(|d| e.inside.checked_add(d))
    })
}

impl UserNamespace {
    /// The initial namespace: every id is itself.
    pub fn initial() -> Arc<Self> {
        Self::initial_numbered(next_namespace_id())
    }

    /// The same with the number `id`.
    pub fn initial_numbered(id: u64) -> Arc<Self> {
        let all = vec![IdExtent { inside: 0, kernel: 0, count: u32::MAX }];
        let maps = IdMaps { uid: all.clone(), gid: all, ..IdMaps::default() };
        Arc::new(Self {
            id,
            parent: None,
            owner: Uid::ROOT,
            group: Gid::ROOT,
            level: 0,
            maps: RwLock::new(rank::LEAF, maps),
        })
    }

    /// A namespace below `parent` with no ids mapped yet.
    pub fn child(parent: &Arc<UserNamespace>, owner: Uid, group: Gid) -> Arc<Self> {
        let denied = parent.maps.read().setgroups_denied;
        let maps = IdMaps { setgroups_denied: denied, ..IdMaps::default() };
        Arc::new(Self {
            id: next_namespace_id(),
            parent: Some(parent.clone()),
            owner,
            group,
            level: parent.level + 1,
            maps: RwLock::new(rank::LEAF, maps),
        })
    }

    /// The maps, to be read (`/proc/pid/uid_map`).
    pub fn maps(&self) -> IdMaps {
        self.maps.read().clone()
    }

    /// Changes the maps; the caller has checked who may.
    pub fn with_maps<R>(&self, change: impl FnOnce(&mut IdMaps) -> R) -> R {
        change(&mut self.maps.write())
    }

    /// The user that `id` stands for in here.
    pub fn uid(&self, id: u32) -> Option<Uid> {
        to_kernel(&self.maps.read().uid, id).map(Uid)
    }
    /// The group that `id` stands for in here.
    pub fn gid(&self, id: u32) -> Option<Gid> {
        to_kernel(&self.maps.read().gid, id).map(Gid)
    }
    /// The number of `uid` in here, if it has one.
    pub fn uid_inside(&self, uid: Uid) -> Option<u32> {
        from_kernel(&self.maps.read().uid, uid.0)
    }
    /// The number of `gid` in here, if it has one.
    pub fn gid_inside(&self, gid: Gid) -> Option<u32> {
        from_kernel(&self.maps.read().gid, gid.0)
    }
    /// The number of `uid` in here as applications are shown it.
    pub fn show_uid(&self, uid: Uid) -> u32 {
        self.uid_inside(uid).unwrap_or(Uid::OVERFLOW)
    }
    /// The number of `gid` in here as applications are shown it.
    pub fn show_gid(&self, gid: Gid) -> u32 {
        self.gid_inside(gid).unwrap_or(Gid::OVERFLOW)
    }
    /// Whether `self` is `other` or below it.
    pub fn is_within(&self, other: &UserNamespace) -> bool {
        let mut at = self;
        loop {
            if at.id == other.id {
                return true;
            }
            match &at.parent {
                Some(parent) => at = parent,
                None => return false,
            }
        }
    }
}

/// Who a task acts as.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names are those of credentials(7) and capabilities(7)")]
pub struct Credentials {
    pub ruid: Uid,
    pub euid: Uid,
    pub suid: Uid,
    pub fsuid: Uid,
    pub rgid: Gid,
    pub egid: Gid,
    pub sgid: Gid,
    pub fsgid: Gid,
    /// Supplementary groups, in the order that they were set.
    pub groups: Arc<[Gid]>,
    pub permitted: CapSet,
    pub effective: CapSet,
    pub inheritable: CapSet,
    pub bounding: CapSet,
    pub ambient: CapSet,
    pub securebits: u32,
    pub no_new_privs: bool,
    pub user_ns: Arc<UserNamespace>,
    /// What it has restricted itself to (`landlock(7)`).
    pub landlock: Option<Arc<crate::landlock::Domain>>,
}

impl Credentials {
    /// The superuser with every capability in `user_ns`.
    pub fn root(user_ns: Arc<UserNamespace>) -> Arc<Self> {
        Arc::new(Self {
            ruid: Uid::ROOT,
            euid: Uid::ROOT,
            suid: Uid::ROOT,
            fsuid: Uid::ROOT,
            rgid: Gid::ROOT,
            egid: Gid::ROOT,
            sgid: Gid::ROOT,
            fsgid: Gid::ROOT,
            groups: Arc::new([]),
            permitted: CapSet::FULL,
            effective: CapSet::FULL,
            inheritable: CapSet::EMPTY,
            bounding: CapSet::FULL,
            ambient: CapSet::EMPTY,
            securebits: 0,
            no_new_privs: false,
            user_ns,
            landlock: None,
        })
    }

    /// Whether these credentials have `cap` towards things of `target` (`user_namespaces(7)`, "Capabilities").
    pub fn has_cap_in(&self, target: &UserNamespace, cap: Cap) -> bool {
        let mut at = target;
        loop {
            if at.id == self.user_ns.id {
                return self.effective.contains(cap);
            }
            if at.level <= self.user_ns.level {
                return false;
            }
            let Some(parent) = &at.parent else { return false };
            if parent.id == self.user_ns.id && at.owner == self.euid {
                return true;
            }
            at = parent;
        }
    }

    /// Whether these credentials have `cap` in their own namespace.
    pub fn has_cap(&self, cap: Cap) -> bool {
        self.effective.contains(cap)
    }

    /// Whether they have `cap` towards an inode owned so (`capable_wrt_inode_uidgid`): its ids must be mapped here.
    pub fn has_cap_over(&self, uid: Uid, gid: Gid, cap: Cap) -> bool {
        self.effective.contains(cap)
            && self.user_ns.uid_inside(uid).is_some()
            && self.user_ns.gid_inside(gid).is_some()
    }

    /// Whether `gid` is the file system group or a supplementary one.
    pub fn in_group(&self, gid: Gid) -> bool {
        self.fsgid == gid || self.groups.contains(&gid)
    }

    /// These credentials in a new user namespace below their own, with every capability there (`CLONE_NEWUSER`).
    ///
    /// `EPERM` if their ids are not mapped in their own namespace; `ENOSPC` below the 32nd level.
    pub fn in_new_user_namespace(&self) -> Result<Arc<Credentials>, Errno> {
        let parent = &self.user_ns;
        if parent.level >= 32 {
            return Err(Errno::ENOSPC);
        }
        if parent.uid_inside(self.euid).is_none() || parent.gid_inside(self.egid).is_none() {
            return Err(Errno::EPERM);
        }
        Ok(Arc::new(self.with_all_caps_in(UserNamespace::child(parent, self.euid, self.egid))))
    }

    /// These ids in `user_ns`, with every capability there (`setns(2)`).
    pub fn with_all_caps_in(&self, user_ns: Arc<UserNamespace>) -> Credentials {
        Credentials {
            permitted: CapSet::FULL,
            effective: CapSet::FULL,
            inheritable: CapSet::EMPTY,
            bounding: CapSet::FULL,
            ambient: CapSet::EMPTY,
            securebits: 0,
            user_ns,
            ..self.clone()
        }
    }
}

/// Capabilities that a program file gives (`security.capability`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileCapabilities {
    /// Given, within the bounding set.
    pub permitted: CapSet,
    /// Given to who has them inheritable.
    pub inheritable: CapSet,
    /// What is permitted becomes effective at once.
    pub effective: bool,
}

/// Reads the capabilities of a program for somebody in `user_ns`; `None` where there are none. `EINVAL` for garbage.
pub fn file_capabilities(
    inode: &dyn crate::Inode,
    user_ns: &UserNamespace,
) -> Result<Option<FileCapabilities>, Errno> {
    let bytes = match inode.get_xattr(b"security.capability") {
        Ok(bytes) => bytes,
        Err(Errno::ENODATA | Errno::EOPNOTSUPP) => return Ok(None),
        Err(e) => return Err(e),
    };
    let word = |i: usize| bytes.get(i * 4..i * 4 + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
    let words: Vec<u32> = (0..bytes.len() / 4).filter_map(word).collect();
    let (magic, [low_p, low_i, high_p, high_i], rootid) = match *words.as_slice() {
        [magic, a, b, c, d] if magic & VFS_CAP_REVISION_MASK == VFS_CAP_REVISION_2 => {
            (magic, [a, b, c, d], 0)
        }
        [magic, a, b, c, d, root] if magic & VFS_CAP_REVISION_MASK == VFS_CAP_REVISION_3 => {
            (magic, [a, b, c, d], root)
        }
        _ => return Err(Errno::EINVAL),
    };
    // They count in the namespace whose root they name, and in those below it.
    if user_ns.uid(0).is_none_or(|root| root.0 != rootid) {
        return Ok(None);
    }
    let set = |low: u32, high: u32| CapSet::from_bits(u64::from(low) | u64::from(high) << 32);
    let effective = magic & VFS_CAP_FLAGS_EFFECTIVE != 0;
    Ok(Some(FileCapabilities { permitted: set(low_p, high_p), inheritable: set(low_i, high_i), effective }))
}
