//! Namespaces that a task refers to beside those of users (in its credentials) and pids.

pub mod handle;
pub mod id_map;

pub use handle::{NamespaceHandle, NamespaceKind, NsFile};
pub use id_map::{show_id_map, write_id_map, write_setgroups};

use ksync::{Mutex, rank};
use std::{any::Any, sync::Arc};
use vfs::{MountNamespace, UserNamespace, cred::next_namespace_id};

use crate::pid::PidNamespace;

/// Host name and domain name (`uts_namespaces(7)`).
pub struct UtsNamespace {
    /// Its number in `/proc/pid/ns/uts`.
    pub id: u64,
    /// Who owns it.
    pub user_ns: Arc<UserNamespace>,
    /// What `uname(2)` gives.
    pub names: Mutex<UtsNames>,
}

/// The names that can be changed.
#[derive(Clone, Debug, Default)]
pub struct UtsNames {
    /// `sethostname(2)`; at most 64 bytes.
    pub host: Vec<u8>,
    /// `setdomainname(2)`; at most 64 bytes.
    pub domain: Vec<u8>,
}

impl UtsNamespace {
    /// A namespace with these names.
    pub fn new(user_ns: Arc<UserNamespace>, names: UtsNames) -> Arc<Self> {
        Self::numbered(next_namespace_id(), user_ns, names)
    }
    /// The same with the number `id`.
    pub fn numbered(id: u64, user_ns: Arc<UserNamespace>, names: UtsNames) -> Arc<Self> {
        Arc::new(Self { id, user_ns, names: Mutex::new(rank::LEAF, names) })
    }
}

/// A namespace whose contents a crate above this one, or a module of this one, defines: SysV and POSIX IPC, network.
pub struct OpaqueNamespace {
    /// Its number in `/proc/pid/ns/*`.
    pub id: u64,
    /// Who owns it.
    pub user_ns: Arc<UserNamespace>,
    /// What is in it, to be downcast by its owner (`net::NetNamespace`, `kernel::ipc::IpcNamespace`).
    pub contents: Arc<dyn Any + Send + Sync>,
}

impl OpaqueNamespace {
    /// A namespace around `contents`.
    pub fn new(user_ns: Arc<UserNamespace>, contents: Arc<dyn Any + Send + Sync>) -> Arc<Self> {
        Arc::new(Self { id: next_namespace_id(), user_ns, contents })
    }
    /// The contents as what they are.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.contents.clone().downcast().ok()
    }
}

/// The set that a task refers to (Linux's nsproxy); changed by replacing it.
#[derive(Clone)]
#[allow(missing_docs, reason = "names of namespaces(7)")]
pub struct Namespaces {
    pub uts: Arc<UtsNamespace>,
    pub ipc: Arc<OpaqueNamespace>,
    pub net: Arc<OpaqueNamespace>,
    pub mount: Arc<MountNamespace>,
    /// The namespace that children are made in (`setns`, `unshare`); a task's own never changes.
    pub pid_for_children: Arc<PidNamespace>,
    /// Numbers only: no separate clocks (`time_namespaces(7)`); of cgroups, which paths are shown is all the difference.
    pub time_id: u64,
    pub cgroup_id: u64,
}
