//! Finding names: walks of many components, the stash of what they found, and whether a cached name is still true.

use super::{GoferFs, GoferInode, Key};
use abi::Errno;
use gofer_client::{Found, WalkEnd, WalkFlags, WalkResult, Want};
use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

/// How many answers are kept for look-ups to come.
const STASH_MAX: usize = 128;

struct Stashed {
    dir: Key,
    name: Box<[u8]>,
    inode: Option<Arc<GoferInode>>,
    /// [`GoferFs::changes`] when it was asked.
    changes: u64,
    at: Instant,
}

/// What a walk found ahead of the look-ups that it was made for.
#[derive(Default)]
pub struct Stash(VecDeque<Stashed>);

impl GoferFs {
    /// The inode of what the gofer found: the one that there is, or a new one.
    pub(super) fn inode(self: &Arc<Self>, found: Found) -> Result<Arc<GoferInode>, Errno> {
        self.inode_with(found, None)
    }

    /// The same with the descriptor that came along.
    pub(super) fn inode_with(
        self: &Arc<Self>,
        found: Found,
        file: Option<gofer_client::Donated>,
    ) -> Result<Arc<GoferInode>, Errno> {
        let key = (found.attr.dev, found.attr.ino);
        let mut known = self.live_inode(key);
        if known.is_none() {
            let new = GoferInode::new(self, &found)?;
            let mut inodes = self.inodes.lock();
            known = inodes.get(&key).and_then(std::sync::Weak::upgrade);
            if known.is_none() {
                inodes.insert(key, Arc::downgrade(&new));
                drop(inodes);
                if let Some(file) = file {
                    new.adopt(file);
                }
                return Ok(new);
            }
            drop(inodes);
            drop(new);
        }
        let inode = known.ok_or(Errno::EIO)?;
        inode.absorb(&found.attr);
        if let Some(file) = file {
            inode.adopt(file);
        }
        inode.another_node(found.node);
        Ok(inode)
    }

    fn stash(&self, dir: Key, name: &[u8], inode: Option<Arc<GoferInode>>, changes: u64) {
        let entry = Stashed { dir, name: name.into(), inode, changes, at: Instant::now() };
        let mut stash = self.stash.lock();
        let old = if stash.0.len() >= STASH_MAX { stash.0.pop_front() } else { None };
        stash.0.push_back(entry);
        drop(stash);
        drop(old);
    }

    /// What a walk found at `name` a moment ago, if nothing changed since: `Some(None)` is that there is nothing.
    #[allow(clippy::option_option, reason = "not known, known to be absent, there")]
    fn unstash(&self, dir: Key, name: &[u8]) -> Option<Option<Arc<GoferInode>>> {
        let changes = self.changes.load(Ordering::Acquire);
        let mut stash = self.stash.lock();
        let at = stash.0.iter().rposition(|s| s.dir == dir && *s.name == *name)?;
        // Older ones of other walks are of no use any more.
        let found = stash.0.remove(at);
        drop(stash);
        let found = found.filter(|f| f.changes == changes && f.at.elapsed() < super::FRESH * 50)?;
        if self.shared() && found.at.elapsed() >= super::FRESH {
            return None;
        }
        Some(found.inode)
    }

    /// Whether a descriptor shall come along: files that are looked up are often opened.
    fn want(&self) -> Want {
        if self.fds.load(Ordering::Relaxed) < self.fds_idle_max / 2 { Want::Read } else { Want::Nothing }
    }
}

impl GoferInode {
    fn ask(&self, names: &[&[u8]]) -> Result<WalkResult, Errno> {
        self.fs.client().walk(self.walk_node(), names, WalkFlags::WATCH, self.fs.want())
    }

    /// Takes `walk`, which went from here along `names`, apart: an inode a step, in order.
    fn take_steps(self: &Arc<Self>, walk: WalkResult) -> Result<Vec<Arc<GoferInode>>, Errno> {
        let WalkResult { steps, end, watched, mut file } = walk;
        if watched {
            self.now_watched();
        }
        let count = steps.len();
        let mut found = Vec::with_capacity(count);
        for (i, step) in steps.into_iter().enumerate() {
            let last = i + 1 == count;
            let inode = self.fs.inode_with(step, if last { file.take() } else { None })?;
            if watched && !last {
                inode.now_watched();
            }
            found.push(inode);
        }
        if let WalkEnd::Symlink(target) = end
            && let Some(link) = found.last()
        {
            link.set_target(target.into_vec());
        }
        Ok(found)
    }

    pub(super) fn find(&self, name: &[u8]) -> Result<Arc<GoferInode>, Errno> {
        if let Some(known) = self.fs.unstash(self.key, name) {
            return known.ok_or(Errno::ENOENT);
        }
        self.forget_stale(name);
        let walk = self.ask(&[name])?;
        let end = walk.end.clone();
        let found = self.arc()?.take_steps(walk)?.pop();
        match (found, end) {
            (Some(inode), _) => Ok(inode),
            (None, WalkEnd::Failed(code)) => Err(Errno::from_host(code)),
            (None, _) => Err(Errno::ENOENT),
        }
    }

    pub(super) fn find_ahead(&self, names: &[&[u8]]) {
        let changes = self.fs.changes.load(Ordering::Acquire);
        let Ok(this) = self.arc() else { return };
        if let Some(first) = names.first() {
            self.forget_stale(first);
        }
        let Ok(walk) = self.ask(names) else { return };
        let missing = walk.end == WalkEnd::Missing;
        let Ok(found) = this.take_steps(walk) else { return };
        let mut dir = this;
        let mut names = names.iter();
        for inode in found {
            let Some(name) = names.next() else { return };
            self.fs.stash(dir.key, name, Some(inode.clone()), changes);
            dir = inode;
        }
        if let Some(name) = names.next()
            && missing
        {
            self.fs.stash(dir.key, name, None, changes);
        }
    }

    /// Whether `name` still is `cached`.
    pub(super) fn still(&self, name: &[u8], cached: Option<&GoferInode>) -> bool {
        if !self.fs.shared() {
            return !self.take_stale(name) || self.ask_still(name, cached);
        }
        let Some(cached) = cached else { return false };
        if let Some(known) = self.fs.unstash(self.key, name) {
            let same = known.as_ref().is_some_and(|k| std::ptr::eq(Arc::as_ptr(k), cached));
            if !same {
                // For the look-up that comes next.
                let changes = self.fs.changes.load(Ordering::Acquire);
                self.fs.stash(self.key, name, known, changes);
            }
            return same;
        }
        self.ask_still(name, Some(cached))
    }

    fn ask_still(&self, name: &[u8], cached: Option<&GoferInode>) -> bool {
        let answer = self.fs.client().stat(&[(self.walk_node(), name)]).map(|mut a| a.pop());
        match (answer, cached) {
            (Ok(Some(Ok(attr))), Some(cached)) if (attr.dev, attr.ino) == cached.key => {
                cached.absorb(&attr);
                true
            }
            (Ok(Some(Err(Errno::ENOENT))), None) => true,
            _ => false,
        }
    }
}
