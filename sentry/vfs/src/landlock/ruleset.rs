//! Rulesets while they are made, and their descriptors.

use super::{FsAccess, FsRule, Handled, Layer, NetAccess, key};
use crate::{File, FileOps, Path};
use abi::{Errno, fcntl::OpenFlags};
use ksync::{Mutex, rank};
use std::{any::Any, collections::HashMap, sync::Arc};

/// The most rules of a ruleset: each keeps a file of the tree.
const RULES_MAX: usize = 1 << 16;

/// What will be a layer.
#[derive(Clone, Default)]
pub struct Ruleset {
    handled: Handled,
    fs: HashMap<usize, FsRule>,
    net: HashMap<u16, NetAccess>,
}

impl Ruleset {
    /// One without rules; `ENOMSG` if it restricts nothing.
    pub fn new(handled: Handled) -> Result<Self, Errno> {
        if handled == Handled::default() {
            return Err(Errno::ENOMSG);
        }
        Ok(Self { handled, ..Self::default() })
    }

    /// What can be granted by rules.
    pub fn handled(&self) -> Handled {
        self.handled
    }

    /// Grants `access` at and below `path`, beside what it grants there already. `EINVAL` for what is not handled, and for
    /// rights of directories on a file; `EBADFD` for files that are in no directory.
    pub fn allow_path(&mut self, path: &Path, access: FsAccess) -> Result<(), Errno> {
        if !self.handled.fs.contains(access) {
            return Err(Errno::EINVAL);
        }
        if path.dentry().is_anonymous() || path.mount().is_internal() {
            return Err(Errno::EBADFD);
        }
        if !path.is_dir() && !FsAccess::OF_FILES.contains(access) {
            return Err(Errno::EINVAL);
        }
        if self.fs.len() >= RULES_MAX {
            return Err(Errno::E2BIG);
        }
        let new = FsRule { _path: path.clone(), access };
        self.fs.entry(key(path.inode_ref())).and_modify(|rule| rule.access |= access).or_insert(new);
        Ok(())
    }

    /// Grants `access` to a port; `EINVAL` for what is not handled, and for a number that is no port.
    pub fn allow_port(&mut self, port: u64, access: NetAccess) -> Result<(), Errno> {
        if !self.handled.net.contains(access) {
            return Err(Errno::EINVAL);
        }
        let port = u16::try_from(port).map_err(|_| Errno::EINVAL)?;
        *self.net.entry(port).or_default() |= access;
        Ok(())
    }

    pub(super) fn to_layer(&self) -> Layer {
        Layer { handled: self.handled, fs_rules: self.fs.clone(), net_rules: self.net.clone() }
    }
}

/// The operations of a ruleset's descriptor.
pub struct RulesetFile(Mutex<Ruleset>);

impl RulesetFile {
    /// Around `ruleset`.
    pub fn boxed(ruleset: Ruleset) -> Box<dyn FileOps> {
        Box::new(Self(Mutex::new(rank::LEAF, ruleset)))
    }

    /// Changes it: what it was is dropped without the lock.
    pub fn change<R>(&self, change: impl FnOnce(&mut Ruleset) -> R) -> R {
        change(&mut self.0.lock())
    }

    /// As it is now.
    pub fn snapshot(&self) -> Ruleset {
        self.0.lock().clone()
    }
}

impl FileOps for RulesetFile {
    fn seekable(&self) -> bool {
        false
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The ruleset behind `file`; `EBADFD` for other files, `EPERM` if it was not opened as `needs` says.
pub fn ruleset_of(file: &Arc<File>, needs: OpenFlags) -> Result<&RulesetFile, Errno> {
    let ruleset = file.downcast::<RulesetFile>().ok_or(Errno::EBADFD)?;
    let fine = if needs == OpenFlags::WRONLY { file.flags().writable() } else { file.flags().readable() };
    if fine { Ok(ruleset) } else { Err(Errno::EPERM) }
}
