//! Directories of pseudo file systems: open ones, and those whose entries never change.

use super::{Child, Entry, Node, PseudoDir, PseudoInode, PseudoLink};
use abi::{Errno, stat::FileType};
use std::{any::Any, collections::BTreeMap, sync::Arc};
use vfs::{DirEntry, DirSink, File, FileOps, LinkTarget};

/// A directory whose entries are known beforehand.
#[derive(Default)]
pub struct StaticDir {
    by_name: BTreeMap<Vec<u8>, Child>,
}

impl StaticDir {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }
    /// The same with one more entry.
    pub fn with(mut self, name: &str, child: Child) -> Self {
        self.add(name, child);
        self
    }
    /// Adds an entry.
    pub fn add(&mut self, name: &str, child: Child) {
        self.by_name.insert(name.as_bytes().to_vec(), child);
    }
    /// Done: a directory with permissions 0555.
    pub fn child(self) -> Child {
        Child::dir(0o555, Arc::new(self))
    }
}

impl PseudoDir for StaticDir {
    fn lookup(&self, name: &[u8]) -> Result<Child, Errno> {
        self.by_name.get(name).cloned().ok_or(Errno::ENOENT)
    }
    fn entries(&self) -> Result<Vec<Entry>, Errno> {
        let entry = |(pos, (name, child)): (u64, (&Vec<u8>, &Child))| Entry {
            pos,
            name: name.clone(),
            kind: child.node.file_type(),
        };
        Ok((2..).zip(&self.by_name).map(entry).collect())
    }
    fn nlink(&self) -> u64 {
        2 + self.by_name.values().filter(|c| matches!(c.node, Node::Dir(_))).count() as u64
    }
}

struct FixedLink(Vec<u8>);

impl PseudoLink for FixedLink {
    fn read(&self) -> Result<Vec<u8>, Errno> {
        Ok(self.0.clone())
    }
    fn size(&self) -> u64 {
        self.0.len() as u64
    }
}

/// A symbolic link to `target`.
pub fn link(target: impl Into<Vec<u8>>) -> Child {
    Child::link(Arc::new(FixedLink(target.into())))
}

struct ComputedLink<F>(F);

impl<F: Fn() -> Result<Vec<u8>, Errno> + Send + Sync> PseudoLink for ComputedLink<F> {
    fn read(&self) -> Result<Vec<u8>, Errno> {
        (self.0)()
    }
    fn follow(&self) -> Result<LinkTarget, Errno> {
        self.read().map(LinkTarget::Path)
    }
}

/// A symbolic link whose target `target` computes.
pub fn path_link(target: impl Fn() -> Result<Vec<u8>, Errno> + Send + Sync + 'static) -> Child {
    Child::link(Arc::new(ComputedLink(target)))
}

/// An open directory.
pub(super) struct OpenDir(Arc<PseudoInode>);

impl OpenDir {
    pub fn new(inode: Arc<PseudoInode>) -> Self {
        Self(inode)
    }
}

/// The process whose directory of proc is open there: a pidfd of an older kind. `ESRCH` once that has been waited for.
pub fn process_of(file: &File) -> Option<Result<Arc<kernel::ThreadGroup>, Errno>> {
    match file.downcast::<OpenDir>()?.0.node() {
        Node::Dir(dir) => dir.process(),
        _ => None,
    }
}

impl FileOps for OpenDir {
    fn read(&self, _: &File, _: &mut mem::IoDst<'_>) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }
    fn read_at(&self, _: &File, _: u64, _: &mut mem::IoDst<'_>) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }
    fn read_dir(&self, _: &File, pos: &mut u64, sink: &mut DirSink<'_>) -> Result<(), Errno> {
        let Node::Dir(dir) = self.0.node() else { return Err(Errno::ENOTDIR) };
        if !self.0.alive() {
            return Err(Errno::ENOENT);
        }
        for (at, name, ino) in [(0, b"." as &[u8], self.0.ino()), (1, b"..", self.0.parent_ino())] {
            if *pos == at {
                if !sink(DirEntry { ino, next: at + 1, kind: Some(FileType::Directory), name }) {
                    return Ok(());
                }
                *pos = at + 1;
            }
        }
        for entry in dir.entries()? {
            if entry.pos < *pos {
                continue;
            }
            let next = entry.pos + 1;
            let ino = self.0.child_ino(&entry.name);
            if !sink(DirEntry { ino, next, kind: Some(entry.kind), name: &entry.name }) {
                return Ok(());
            }
            *pos = next;
        }
        Ok(())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
