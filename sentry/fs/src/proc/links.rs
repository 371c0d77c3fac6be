//! Links of `/proc/PID` that lead straight to places: `cwd`, `root`, `exe`, `ns/*`.

use super::process::Process;
use crate::pseudo::{Child, Entry, PseudoDir, PseudoLink};
use abi::{Errno, FileType};
use kernel::{
    current,
    namespaces::{NamespaceHandle, NamespaceKind},
};
use std::sync::Arc;
use vfs::{LinkTarget, Path, dpath};

/// The name of `path` as the caller sees it.
pub(super) fn name(path: &Path) -> Vec<u8> {
    match current() {
        Some(caller) => dpath::d_path(path, &caller.fs().root()),
        None => dpath::d_path(path, path),
    }
}

/// A link to what a process refers to.
pub(super) enum Magic {
    /// `cwd`.
    Cwd(Arc<Process>),
    /// `root`.
    Root(Arc<Process>),
    /// `exe`.
    Exe(Arc<Process>),
}

impl Magic {
    fn place(&self) -> Result<Path, Errno> {
        let (Magic::Cwd(process) | Magic::Root(process) | Magic::Exe(process)) = self;
        // Of what has ended there is nothing left that a link could lead to.
        let task = process.accessible().map_err(|e| if e == Errno::ESRCH { Errno::ENOENT } else { e })?;
        match self {
            Magic::Cwd(_) => Ok(task.fs().cwd()),
            Magic::Root(_) => Ok(task.fs().root()),
            Magic::Exe(_) => {
                let exe = task.mm().ok().and_then(|mm| mm.exe()).ok_or(Errno::ENOENT)?;
                Ok(exe.path().clone())
            }
        }
    }
}

impl PseudoLink for Magic {
    fn read(&self) -> Result<Vec<u8>, Errno> {
        Ok(name(&self.place()?))
    }
    fn follow(&self) -> Result<LinkTarget, Errno> {
        self.place().map(LinkTarget::Place)
    }
}

/// `ns`.
pub(super) struct NsDir(pub Arc<Process>);

struct NsLink {
    process: Arc<Process>,
    kind: NamespaceKind,
}

impl NsLink {
    fn handle(&self) -> Result<NamespaceHandle, Errno> {
        NamespaceHandle::of_task(&*self.process.accessible()?, self.kind)
    }
}

impl PseudoLink for NsLink {
    fn read(&self) -> Result<Vec<u8>, Errno> {
        Ok(self.handle()?.name().into_bytes())
    }
    fn follow(&self) -> Result<LinkTarget, Errno> {
        let kernel = self.process.group()?.kernel.clone();
        Ok(LinkTarget::Place(self.handle()?.path(&kernel)))
    }
}

impl PseudoDir for NsDir {
    fn lookup(&self, name: &[u8]) -> Result<Child, Errno> {
        let found = NamespaceKind::ALL.iter().find(|(_, n)| n.as_bytes() == name);
        let (kind, _) = found.ok_or(Errno::ENOENT)?;
        Ok(Child::link(Arc::new(NsLink { process: self.0.clone(), kind: *kind })))
    }
    fn entries(&self) -> Result<Vec<Entry>, Errno> {
        self.0.accessible()?;
        let entry = |(pos, (_, name)): (u64, &(NamespaceKind, &str))| Entry {
            pos,
            name: name.as_bytes().to_vec(),
            kind: FileType::Symlink,
        };
        Ok((2..).zip(NamespaceKind::ALL).map(entry).collect())
    }
}
