//! Mounts and mount namespaces (`mount_namespaces(7)`).

use crate::{Dentry, FileSystem};
use std::sync::Arc;

/// One mounted tree.
pub struct Mount {
    /// `mnt_id` of `/proc/pid/mountinfo`.
    pub id: u64,
    /// The file system.
    pub fs: Arc<dyn FileSystem>,
    /// The dentry of the file system that is the root of this mount.
    pub root: Arc<Dentry>,
}

/// A mount namespace.
pub struct MountNamespace {
    /// Its number in `/proc/pid/ns/mnt`.
    pub id: u64,
}
