//! What a process resolves names from: root, working directory, umask (`fs_struct`).

use crate::Path;
use ksync::{Mutex, rank};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

struct Places {
    root: Path,
    cwd: Path,
}

/// Root, working directory and umask of a process; shared by `CLONE_FS`.
///
/// **Lock order:** [`rank::FS_CONTEXT`]; what is replaced is dropped without it.
pub struct FsContext {
    places: Mutex<Places>,
    umask: AtomicU32,
}

impl FsContext {
    /// A context of its own.
    pub fn new(root: Path, cwd: Path, umask: u32) -> Arc<Self> {
        Arc::new(Self {
            places: Mutex::new(rank::FS_CONTEXT, Places { root, cwd }),
            umask: AtomicU32::new(umask & 0o777),
        })
    }
    /// A copy for a child.
    pub fn fork(&self) -> Arc<Self> {
        let (root, cwd) = self.both();
        Self::new(root, cwd, self.umask())
    }
    /// The root directory.
    pub fn root(&self) -> Path {
        self.places.lock().root.clone()
    }
    /// The working directory.
    pub fn cwd(&self) -> Path {
        self.places.lock().cwd.clone()
    }
    /// Root and working directory.
    pub fn both(&self) -> (Path, Path) {
        let places = self.places.lock();
        (places.root.clone(), places.cwd.clone())
    }
    /// `chroot(2)`; rights were checked.
    pub fn set_root(&self, root: Path) {
        let old = std::mem::replace(&mut self.places.lock().root, root);
        drop(old);
    }
    /// `chdir(2)`; rights were checked.
    pub fn set_cwd(&self, cwd: Path) {
        let old = std::mem::replace(&mut self.places.lock().cwd, cwd);
        drop(old);
    }
    /// The umask.
    pub fn umask(&self) -> u32 {
        self.umask.load(Ordering::Relaxed)
    }
    /// `umask(2)`: sets the permission bits of `umask`, returns what was set.
    pub fn set_umask(&self, umask: u32) -> u32 {
        self.umask.swap(umask & 0o777, Ordering::Relaxed)
    }
    /// Moves root and working directory that are at `from` to `to` (`pivot_root(2)`).
    pub fn replace(&self, from: &Path, to: &Path) {
        let mut old = Vec::new();
        let mut places = self.places.lock();
        let Places { root, cwd } = &mut *places;
        for place in [root, cwd] {
            if place.same(from) {
                old.push(std::mem::replace(place, to.clone()));
            }
        }
        drop(places);
        drop(old);
    }
    /// Moves root and working directory to the copies of their mounts (`unshare(CLONE_NEWNS)`, `clone(CLONE_NEWNS)`).
    pub fn translate(&self, copies: &crate::mount::MountCopies) {
        let (root, cwd) = self.both();
        if let Some(new) = copies.translate(&root) {
            self.set_root(new);
        }
        if let Some(new) = copies.translate(&cwd) {
            self.set_cwd(new);
        }
    }
}
