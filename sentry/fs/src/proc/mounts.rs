//! `/proc/PID/mounts`, `mountinfo` and `mountstats`.

use super::process::Process;
use crate::pseudo::PseudoFile;
use abi::Errno;
use std::sync::Arc;
use vfs::{
    File, MountNamespace, OpenRequest, Path,
    mount::{NamespaceEvents, show},
};

type Show = fn(&MountNamespace, &Path) -> Vec<u8>;

/// A list of mounts.
pub(super) struct MountsFile {
    process: Arc<Process>,
    show: Show,
    /// Changes are announced to `poll(2)`.
    polled: bool,
}

impl MountsFile {
    /// `mounts`.
    pub fn mounts(process: &Arc<Process>) -> Self {
        Self { process: process.clone(), show: show::mounts, polled: true }
    }
    /// `mountinfo`.
    pub fn mountinfo(process: &Arc<Process>) -> Self {
        Self { process: process.clone(), show: show::mountinfo, polled: true }
    }
    /// `mountstats`.
    pub fn mountstats(process: &Arc<Process>) -> Self {
        Self { process: process.clone(), show: show::mountstats, polled: false }
    }
}

impl PseudoFile for MountsFile {
    fn contents(&self, _: &File) -> Result<Vec<u8>, Errno> {
        let task = self.process.task().map_err(|_| Errno::EINVAL)?;
        let (ns, root) = (task.namespaces(), task.fs().root());
        Ok((self.show)(&ns.mount, &root))
    }
    fn check_open(&self, _: &OpenRequest<'_>) -> Result<(), Errno> {
        self.process.task().map(|_| ()).map_err(|_| Errno::EINVAL)
    }
    fn events(&self) -> Option<Arc<NamespaceEvents>> {
        let task = self.process.task().ok().filter(|_| self.polled)?;
        Some(task.namespaces().mount.events.clone())
    }
}
