//! Landlock: restrictions that a process lays on itself and its children (`landlock(7)`), ABI version 6.
//!
//! A [`Ruleset`] is built through its descriptor and becomes a [`Layer`] of a [`Domain`] by `landlock_restrict_self(2)`.
//! Credentials hold the domain, so children have it, and nobody loses a layer. Each layer has to grant a request by itself:
//! by the union of its rules on the file and the directories above it.
//!
//! The checks of files are here, called by [`crate::ops`] and [`crate::mount`] next to the checks of permission bits; those of
//! sockets, signals and ptrace are asked for by the crates that have these ([`Domain::may_use_port`], [`Domain::may_reach`]).
//!
//! **Absent on purpose:** auditing, which 6.12 does not have.
#![allow(missing_docs, reason = "names of landlock(7)")]

mod check;
mod ruleset;

pub use check::{
    check_link, check_open, check_rename, may_change_mounts, may_do_below, may_truncate, node_access,
};
pub use ruleset::{Ruleset, RulesetFile, ruleset_of};

use abi::Errno;
use std::{collections::HashMap, sync::Arc};

/// `landlock_create_ruleset(LANDLOCK_CREATE_RULESET_VERSION)`.
pub const ABI_VERSION: i32 = 6;
/// The most layers of a domain.
pub const LAYERS_MAX: usize = 16;

bitflags::bitflags! {
    /// What can be done to files (`LANDLOCK_ACCESS_FS_*`).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct FsAccess: u64 {
        const EXECUTE = 1 << 0;
        const WRITE_FILE = 1 << 1;
        const READ_FILE = 1 << 2;
        const READ_DIR = 1 << 3;
        const REMOVE_DIR = 1 << 4;
        const REMOVE_FILE = 1 << 5;
        const MAKE_CHAR = 1 << 6;
        const MAKE_DIR = 1 << 7;
        const MAKE_REG = 1 << 8;
        const MAKE_SOCK = 1 << 9;
        const MAKE_FIFO = 1 << 10;
        const MAKE_BLOCK = 1 << 11;
        const MAKE_SYM = 1 << 12;
        const REFER = 1 << 13;
        const TRUNCATE = 1 << 14;
        const IOCTL_DEV = 1 << 15;
        /// What means anything for a file that is no directory.
        const OF_FILES = Self::EXECUTE.bits() | Self::WRITE_FILE.bits() | Self::READ_FILE.bits()
            | Self::TRUNCATE.bits() | Self::IOCTL_DEV.bits();
    }

    /// What can be done with TCP (`LANDLOCK_ACCESS_NET_*`).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct NetAccess: u64 {
        const BIND_TCP = 1;
        const CONNECT_TCP = 2;
    }

    /// What does not reach beyond the domain (`LANDLOCK_SCOPE_*`).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Scope: u64 {
        const ABSTRACT_UNIX_SOCKET = 1;
        const SIGNAL = 2;
    }
}

/// What a ruleset restricts: everything of these that no rule grants.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Handled {
    /// Access to files.
    pub fs: FsAccess,
    /// TCP.
    pub net: NetAccess,
    /// Reach.
    pub scope: Scope,
}

/// What rules grant below a file. The inode is kept, so that its address stays its own; and so is the dentry, so that a file
/// system that makes inodes as they are looked up makes this one no second time.
#[derive(Clone)]
pub(crate) struct FsRule {
    _path: crate::Path,
    access: FsAccess,
}

fn key(inode: &Arc<dyn crate::Inode>) -> usize {
    Arc::as_ptr(inode) as *const () as usize
}

/// A ruleset that is in force.
pub struct Layer {
    handled: Handled,
    fs_rules: HashMap<usize, FsRule>,
    net_rules: HashMap<u16, NetAccess>,
}

impl Layer {
    /// What it denies unless granted. Moving files between directories is denied even where that is not asked for.
    fn handled_fs(&self) -> FsAccess {
        if self.handled.fs.is_empty() { FsAccess::empty() } else { self.handled.fs | FsAccess::REFER }
    }

    fn granted(&self, inode: &Arc<dyn crate::Inode>) -> FsAccess {
        self.fs_rules.get(&key(inode)).map_or(FsAccess::empty(), |rule| rule.access)
    }
}

/// All that a process has restricted itself to, oldest layer first.
pub struct Domain {
    layers: Vec<Arc<Layer>>,
}

impl std::fmt::Debug for Domain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Domain({} layers)", self.layers.len())
    }
}

impl Domain {
    /// `old` with one more layer; `E2BIG` beyond [`LAYERS_MAX`].
    pub fn with_layer(old: Option<&Arc<Domain>>, ruleset: &Ruleset) -> Result<Arc<Domain>, Errno> {
        let mut layers = old.map_or_else(Vec::new, |d| d.layers.clone());
        if layers.len() >= LAYERS_MAX {
            return Err(Errno::E2BIG);
        }
        layers.push(Arc::new(ruleset.to_layer()));
        Ok(Arc::new(Domain { layers }))
    }

    /// Whether files are restricted at all.
    pub fn handles_fs(&self) -> bool {
        self.layers.iter().any(|l| !l.handled.fs.is_empty())
    }

    /// `EACCES` unless `access` to TCP `port` is granted by all layers.
    pub fn may_use_port(&self, port: u16, access: NetAccess) -> Result<(), Errno> {
        let denies = |l: &Arc<Layer>| {
            let granted = l.net_rules.get(&port).copied().unwrap_or_default();
            l.handled.net.intersects(access) && !granted.contains(access & l.handled.net)
        };
        if self.layers.iter().any(denies) { Err(Errno::EACCES) } else { Ok(()) }
    }

    /// Whether TCP is restricted at all.
    pub fn handles_net(&self) -> bool {
        self.layers.iter().any(|l| !l.handled.net.is_empty())
    }

    /// `EPERM` if a layer that has `scope` does not have `other` in it.
    pub fn may_reach(&self, other: Option<&Arc<Domain>>, scope: Scope) -> Result<(), Errno> {
        let outside = |(at, layer): (usize, &Arc<Layer>)| {
            layer.handled.scope.contains(scope)
                && !other.and_then(|o| o.layers.get(at)).is_some_and(|theirs| Arc::ptr_eq(theirs, layer))
        };
        if self.layers.iter().enumerate().any(outside) { Err(Errno::EPERM) } else { Ok(()) }
    }

    /// Whether `other` is this domain or one below it: only then may it be traced or looked into.
    pub fn contains(&self, other: Option<&Arc<Domain>>) -> bool {
        let same = |(at, layer): (usize, &Arc<Layer>)| {
            other.and_then(|o| o.layers.get(at)).is_some_and(|theirs| Arc::ptr_eq(theirs, layer))
        };
        self.layers.iter().enumerate().all(same)
    }
}
