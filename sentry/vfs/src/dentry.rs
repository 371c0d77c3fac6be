//! Dentries: names in the tree, and the cache of them. [`Path`]: a dentry on a mount.
//!
//! A dentry is positive (has an inode) or negative (known to be absent), for its whole life. Children are kept by their
//! parent; a dentry keeps its parent. The root of a file system and unlinked dentries have no place in a parent's table.
//! What nothing uses is dropped from the cache by age ([`shrink`]), so that a walk over a large tree does not stay in memory;
//! a file system is asked again then. [`SuperBlock`] takes the whole tree of a file system apart when its last mount goes.
//!
//! **Lock order:** `dir_lock` ([`rank::DIRECTORY`], ancestor before descendant; two unrelated ones only under the file
//! system's rename lock), then `state` ([`rank::DENTRY`], parent before child). `dir_lock` is held shared while a name is
//! looked up and exclusively while entries change; it also keeps a directory from dying under either.

use crate::{FileSystem, Inode, Mount};
use abi::{Errno, stat::FileType};
use ksync::{Mutex, RwLock, rank};
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

/// How many dentries may be cached before unused ones are dropped.
const CACHE_LIMIT: usize = 16384;

/// Counts changes of the tree's shape by rename, for those who walk it upwards without locks.
static RENAMES: AtomicU64 = AtomicU64::new(0);

/// The number of renames so far.
pub(crate) fn rename_seq() -> u64 {
    RENAMES.load(Ordering::Acquire)
}

/// A name in the tree.
pub struct Dentry {
    inode: Option<Arc<dyn Inode>>,
    state: Mutex<State>,
    /// Held shared by lookups in this directory and exclusively by changes of its entries.
    pub(crate) dir_lock: RwLock<()>,
    /// How many mounts, in any namespace, have this dentry as mount point.
    pub(crate) mounts: AtomicU32,
    /// Removed from the tree (unlink, rmdir, or replaced by rename).
    pub(crate) unlinked: AtomicBool,
    /// Found by a walk since the cache last looked at it.
    used: AtomicBool,
    /// In no directory at all: shown by its name alone (pipes, sockets, memfd).
    anonymous: bool,
}

struct State {
    name: Arc<[u8]>,
    parent: Option<Arc<Dentry>>,
    children: HashMap<Arc<[u8]>, Arc<Dentry>>,
}

impl Dentry {
    /// The root of a file system.
    pub fn root(inode: Arc<dyn Inode>) -> Arc<Self> {
        Self::make(b"/"[..].into(), None, Some(inode), false)
    }

    /// A dentry in no directory, of which `/proc/pid/fd` shows `name` as it is.
    pub fn detached(name: &[u8], inode: Arc<dyn Inode>) -> Arc<Self> {
        Self::make(name.into(), None, Some(inode), true)
    }

    /// A dentry below `parent` that cannot be looked up there, shown as deleted (`O_TMPFILE`).
    pub fn unlisted(parent: &Arc<Dentry>, name: &[u8], inode: Arc<dyn Inode>) -> Arc<Self> {
        let dentry = Self::make(name.into(), Some(parent.clone()), Some(inode), false);
        dentry.unlinked.store(true, Ordering::Release);
        dentry
    }

    /// A dentry called `name` below `parent`, which does not know of it.
    #[cfg(test)]
    pub(crate) fn loose(parent: &Arc<Dentry>, name: &[u8], inode: Arc<dyn Inode>) -> Arc<Self> {
        Self::make(name.into(), Some(parent.clone()), Some(inode), false)
    }

    fn make(
        name: Arc<[u8]>,
        parent: Option<Arc<Dentry>>,
        inode: Option<Arc<dyn Inode>>,
        anonymous: bool,
    ) -> Arc<Self> {
        let state = State { name, parent, children: HashMap::new() };
        Arc::new(Self {
            inode,
            state: Mutex::new(rank::DENTRY, state),
            dir_lock: RwLock::new(rank::DIRECTORY, ()),
            mounts: AtomicU32::new(0),
            unlinked: AtomicBool::new(false),
            used: AtomicBool::new(true),
            anonymous,
        })
    }

    /// Its last component.
    pub fn name(&self) -> Arc<[u8]> {
        self.state.lock().name.clone()
    }

    /// The directory that it is in; none for roots.
    pub fn parent(&self) -> Option<Arc<Dentry>> {
        self.state.lock().parent.clone()
    }

    pub(crate) fn name_and_parent(&self) -> (Arc<[u8]>, Option<Arc<Dentry>>) {
        let state = self.state.lock();
        (state.name.clone(), state.parent.clone())
    }

    /// The inode; `ENOENT` for a negative dentry.
    pub fn inode(&self) -> Result<Arc<dyn Inode>, Errno> {
        self.inode.clone().ok_or(Errno::ENOENT)
    }

    pub(crate) fn inode_ref(&self) -> Option<&Arc<dyn Inode>> {
        self.inode.as_ref()
    }

    /// Whether there is no such file.
    pub fn is_negative(&self) -> bool {
        self.inode.is_none()
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.inode.as_ref().is_some_and(|i| i.file_type() == FileType::Directory)
    }

    /// Whether it was removed from the tree.
    pub fn is_unlinked(&self) -> bool {
        self.unlinked.load(Ordering::Acquire)
    }

    /// Whether it is in no directory at all.
    pub fn is_anonymous(&self) -> bool {
        self.anonymous
    }

    /// Whether something is mounted on it in some namespace.
    pub fn is_mount_point(&self) -> bool {
        self.mounts.load(Ordering::Acquire) > 0
    }

    /// Whether `self` is `top` or below it.
    pub(crate) fn is_below(self: &Arc<Self>, top: &Arc<Dentry>) -> bool {
        let mut at = self.clone();
        loop {
            if Arc::ptr_eq(&at, top) {
                return true;
            }
            match at.parent() {
                Some(parent) => at = parent,
                None => return false,
            }
        }
    }

    /// The child of `self` on the way from `self` down to `below`; none unless `below` is a proper descendant.
    pub(crate) fn child_towards(self: &Arc<Self>, below: &Arc<Dentry>) -> Option<Arc<Dentry>> {
        let mut at = below.clone();
        loop {
            let parent = at.parent()?;
            if Arc::ptr_eq(&parent, self) {
                return Some(at);
            }
            at = parent;
        }
    }

    /// The child `name` as far as it is cached and still true.
    pub(crate) fn cached(&self, name: &[u8]) -> Option<Arc<Dentry>> {
        let child = self.state.lock().children.get(name).cloned()?;
        let dir = self.inode.as_ref()?;
        if !dir.revalidate(name, child.inode.as_ref()) && !child.is_mount_point() {
            self.forget(&child);
            return None;
        }
        if !child.used.load(Ordering::Relaxed) {
            child.used.store(true, Ordering::Relaxed);
        }
        Some(child)
    }

    /// Takes `child` out of the table if it is what the table has: it is no longer true.
    fn forget(&self, child: &Arc<Dentry>) {
        let mut state = self.state.lock();
        let name = child.state.lock_nested().name.clone();
        if state.children.get(&name).is_some_and(|c| Arc::ptr_eq(c, child)) {
            let gone = state.children.remove(&name);
            drop(state);
            child.unlinked.store(true, Ordering::Release);
            drop(gone);
        }
    }

    /// The child `name`, positive or negative, from the cache or the file system. The caller holds `dir_lock` in some way,
    /// unless the answer may be outdated when it comes.
    pub(crate) fn child(self: &Arc<Self>, name: &[u8]) -> Result<Arc<Dentry>, Errno> {
        if let Some(child) = self.cached(name) {
            return Ok(child);
        }
        let dir = self.inode.as_ref().ok_or(Errno::ENOENT)?;
        if self.is_unlinked() && !self.anonymous {
            return Err(Errno::ENOENT);
        }
        let inode = match dir.lookup(name) {
            Ok(inode) => Some(inode),
            Err(Errno::ENOENT) => None,
            Err(e) => return Err(e),
        };
        let keep = inode.is_some() || dir.revalidate(name, None);
        let child = Self::make(name.into(), Some(self.clone()), inode, false);
        Ok(if keep { self.insert(child) } else { child })
    }

    /// The same with the directory locked for lookups.
    pub(crate) fn lookup(self: &Arc<Self>, name: &[u8]) -> Result<Arc<Dentry>, Errno> {
        match self.cached(name) {
            Some(child) => Ok(child),
            None => {
                let _dir = self.dir_lock.read();
                self.child(name)
            }
        }
    }

    /// Puts `child` into the table unless a concurrent lookup was faster; what is there then.
    fn insert(&self, child: Arc<Dentry>) -> Arc<Dentry> {
        let name = child.name();
        let kept = {
            let mut state = self.state.lock();
            state.children.entry(name).or_insert_with(|| child.clone()).clone()
        };
        if Arc::ptr_eq(&kept, &child) {
            shrink(&kept);
        }
        kept
    }

    /// Replaces whatever the table has for `name` by `inode`, which was just made there; the new dentry.
    ///
    /// The caller holds `dir_lock` exclusively.
    pub(crate) fn instantiate(self: &Arc<Self>, name: &[u8], inode: Arc<dyn Inode>) -> Arc<Dentry> {
        let child = Self::make(name.into(), Some(self.clone()), Some(inode), false);
        let old = self.state.lock().children.insert(name.into(), child.clone());
        drop(old);
        shrink(&child);
        child
    }

    /// `child`, of this directory, was removed from the file system: the cache knows that there is nothing now.
    ///
    /// The caller holds `dir_lock` exclusively.
    pub(crate) fn removed(self: &Arc<Self>, child: &Arc<Dentry>) {
        child.unlinked.store(true, Ordering::Release);
        let name = child.name();
        let negative = Self::make(name.clone(), Some(self.clone()), None, false);
        let old = self.state.lock().children.insert(name, negative.clone());
        drop(old);
        shrink(&negative);
    }

    /// `child` of `old_dir` was renamed to `name` of `new_dir`, over what was there. Both `dir_lock`s are held exclusively.
    pub(crate) fn moved(
        child: &Arc<Dentry>,
        old_dir: &Arc<Dentry>,
        new_dir: &Arc<Dentry>,
        name: &[u8],
        exchanged: Option<&Arc<Dentry>>,
    ) {
        RENAMES.fetch_add(1, Ordering::AcqRel);
        let old_name = child.name();
        let new_name: Arc<[u8]> = name.into();
        let away = old_dir.state.lock().children.remove(&old_name);
        let parents = {
            let mut state = child.state.lock();
            state.name = new_name.clone();
            let first = state.parent.replace(new_dir.clone());
            drop(state);
            let second = exchanged.and_then(|other| {
                let mut state = other.state.lock();
                state.name = old_name.clone();
                state.parent.replace(old_dir.clone())
            });
            (first, second)
        };
        let replaced = new_dir.state.lock().children.insert(new_name, child.clone());
        match exchanged {
            Some(other) => {
                let gone = old_dir.state.lock().children.insert(old_name, other.clone());
                drop(gone);
            }
            None => {
                if let Some(replaced) = &replaced {
                    replaced.unlinked.store(true, Ordering::Release);
                }
            }
        }
        RENAMES.fetch_add(1, Ordering::AcqRel);
        drop((away, parents, replaced));
    }

    /// Drops the cached dentry of `name`, so that the file system is asked again.
    pub fn invalidate_child(&self, name: &[u8]) {
        let child = self.state.lock().children.get(name).cloned();
        if let Some(child) = child.filter(|c| !c.is_mount_point()) {
            self.forget(&child);
        }
    }

    /// What is cached below this dentry (for file systems that learn of changes by themselves).
    pub fn cached_child(&self, name: &[u8]) -> Option<Arc<Dentry>> {
        self.state.lock().children.get(name).cloned()
    }

    /// Takes everything below out of the tables, without recursion.
    fn tear_down(self: &Arc<Self>) {
        let mut todo = vec![self.clone()];
        while let Some(dentry) = todo.pop() {
            let children = std::mem::take(&mut dentry.state.lock().children);
            todo.extend(children.into_values());
        }
    }
}

impl Drop for Dentry {
    fn drop(&mut self) {
        // Parents one by one: a chain of any length must not take stack.
        let mut parent = self.state.get_mut().parent.take();
        while let Some(mut last) = parent.and_then(Arc::into_inner) {
            parent = last.state.get_mut().parent.take();
        }
    }
}

/// Cached dentries, oldest first. An entry whose dentry has died is dropped when it comes to the front.
static QUEUE: Mutex<VecDeque<Weak<Dentry>>> = Mutex::new(rank::LEAF, VecDeque::new());

/// Notes a dentry that was just cached, and drops some old ones that nothing uses if there are too many.
fn shrink(new: &Arc<Dentry>) {
    /// How many old dentries are looked at for each new one.
    const STEPS: usize = 4;
    let over = {
        let mut queue = QUEUE.lock();
        queue.push_back(Arc::downgrade(new));
        queue.len() > CACHE_LIMIT
    };
    if over {
        shrink_by(STEPS);
    }
}

/// Looks at the `steps` oldest cached dentries and drops those that nothing uses and nothing found since they were last
/// looked at. The caller holds no lock of [`rank::DENTRY`].
pub fn shrink_by(steps: usize) {
    for _ in 0..steps {
        let Some(oldest) = QUEUE.lock().pop_front() else { return };
        let Some(dentry) = oldest.upgrade() else { continue };
        let stays = dentry.used.swap(false, Ordering::Relaxed) || !dentry.evict();
        if stays && !dentry.is_unlinked() {
            QUEUE.lock().push_back(oldest);
        }
    }
}

impl Dentry {
    /// Takes this dentry out of its parent's table if nobody else has it.
    fn evict(self: &Arc<Self>) -> bool {
        let Some(parent) = self.parent() else { return false };
        let mut table = parent.state.lock();
        let mine = self.state.lock_nested();
        // The table's reference and ours: nobody can get another while the table is locked.
        let idle = Arc::strong_count(self) == 2 && mine.children.is_empty() && !self.is_mount_point();
        if !idle || !table.children.get(&mine.name).is_some_and(|c| Arc::ptr_eq(c, self)) {
            return false;
        }
        let name = mine.name.clone();
        drop(mine);
        let gone = table.children.remove(&name);
        drop(table);
        drop(gone);
        true
    }
}

/// A file system with its dentry tree: what all mounts of it share (Linux's `super_block`).
pub struct SuperBlock {
    /// The file system.
    pub fs: Arc<dyn FileSystem>,
    /// The root of its tree.
    pub root: Arc<Dentry>,
    /// Renames across directories, one at a time.
    pub(crate) rename_lock: Mutex<()>,
}

impl SuperBlock {
    /// `fs`, whose root directory (or file) is `root`.
    pub fn new(fs: Arc<dyn FileSystem>, root: Arc<dyn Inode>) -> Arc<Self> {
        Arc::new(Self { fs, root: Dentry::root(root), rename_lock: Mutex::new(rank::RENAME, ()) })
    }
}

impl Drop for SuperBlock {
    fn drop(&mut self) {
        // Parents and children keep each other: without this the tree would never go.
        self.root.tear_down();
        crate::inotify::unmounted(self.fs.dev());
    }
}

/// A place: a positive dentry on a mount.
#[derive(Clone)]
pub struct Path {
    mount: Arc<Mount>,
    dentry: Arc<Dentry>,
    inode: Arc<dyn Inode>,
}

impl Path {
    /// `dentry`, which must be positive, on `mount`; `ENOENT`.
    pub fn new(mount: Arc<Mount>, dentry: Arc<Dentry>) -> Result<Self, Errno> {
        let inode = dentry.inode()?;
        Ok(Self { mount, dentry, inode })
    }
    /// `dentry`, whose inode is `inode`.
    pub(crate) fn of(mount: Arc<Mount>, dentry: Arc<Dentry>, inode: Arc<dyn Inode>) -> Self {
        Self { mount, dentry, inode }
    }
    /// The mount.
    pub fn mount(&self) -> &Arc<Mount> {
        &self.mount
    }
    /// The dentry.
    pub fn dentry(&self) -> &Arc<Dentry> {
        &self.dentry
    }
    /// The inode.
    pub fn inode(&self) -> Arc<dyn Inode> {
        self.inode.clone()
    }
    /// The inode, borrowed.
    pub fn inode_ref(&self) -> &Arc<dyn Inode> {
        &self.inode
    }
    /// Its type.
    pub fn file_type(&self) -> FileType {
        self.inode.file_type()
    }
    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.file_type() == FileType::Directory
    }
    /// Whether both name the same dentry of the same mount.
    pub fn same(&self, other: &Path) -> bool {
        Arc::ptr_eq(&self.dentry, &other.dentry) && Arc::ptr_eq(&self.mount, &other.mount)
    }
    /// Whether it is the root of its mount.
    pub fn is_mount_root(&self) -> bool {
        Arc::ptr_eq(&self.dentry, &self.mount.root)
    }
}

impl std::fmt::Debug for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Path({})", String::from_utf8_lossy(&self.dentry.name()))
    }
}
