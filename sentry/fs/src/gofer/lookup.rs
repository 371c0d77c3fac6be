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
/// How many names are looked up at once when names are looked up in the order of a listing.
const AHEAD: usize = 12;
/// How many old dentries are looked at when the gofer holds too many files.
const SHRINK: usize = 8192;
/// How far from where it is expected a name is searched for in the listing.
const WINDOW: usize = 4;

/// How many listings are kept, and how many names of each.
const LISTINGS: usize = 16;
const LISTED_MAX: usize = 16384;
/// In how long a listing a name is searched for wherever it is.
const SEARCHED_MAX: usize = 2048;

/// The names of a directory in the order in which they were listed, and which one is expected to be looked up next.
pub struct Listed {
    dir: Key,
    names: Vec<Box<[u8]>>,
    next: usize,
    /// Names in a row that were looked up in this order.
    run: usize,
}

struct Stashed {
    dir: Key,
    name: Box<[u8]>,
    inode: Option<Arc<GoferInode>>,
    /// [`GoferFs::news`] when it was asked.
    news: u64,
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

    /// Keeps an answer for later. `changes`: [`GoferFs::changes`] from before it was asked for.
    fn stash(&self, dir: Key, name: &[u8], inode: Option<Arc<GoferInode>>, changes: u64) {
        let news = self.news.load(Ordering::Acquire);
        let entry = Stashed { dir, name: name.into(), inode, news, at: Instant::now() };
        let mut stash = self.stash.lock();
        if self.changes.load(Ordering::Acquire) != changes {
            drop(stash);
            return;
        }
        let old = if stash.0.len() >= STASH_MAX { stash.0.pop_front() } else { None };
        stash.0.push_back(entry);
        drop(stash);
        drop(old);
    }

    /// We have changed what is at `name` of `dir`.
    pub(super) fn changed_name(&self, dir: Key, name: &[u8]) {
        let mut stash = self.stash.lock();
        // Under the lock: whoever asked before this does not stash any more.
        self.changes.fetch_add(1, Ordering::AcqRel);
        let mut gone = Vec::new();
        while let Some(at) = stash.0.iter().position(|s| s.dir == dir && *s.name == *name) {
            gone.extend(stash.0.remove(at));
        }
        drop(stash);
        drop(gone);
    }

    /// Somebody else has changed something.
    pub(super) fn changed_outside(&self) {
        self.news.fetch_add(1, Ordering::AcqRel);
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// What a walk found at `name` a moment ago, if nothing changed since: `Some(None)` is that there is nothing.
    #[allow(clippy::option_option, reason = "not known, known to be absent, there")]
    fn unstash(&self, dir: Key, name: &[u8]) -> Option<Option<Arc<GoferInode>>> {
        let news = self.news.load(Ordering::Acquire);
        let mut stash = self.stash.lock();
        let at = stash.0.iter().rposition(|s| s.dir == dir && *s.name == *name)?;
        // Older ones of other walks are of no use any more.
        let found = stash.0.remove(at);
        drop(stash);
        let found = found.filter(|f| f.news == news && f.at.elapsed() < super::FRESH * 50)?;
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

/// Whether a descriptor table has no room.
fn is_full(e: Errno) -> bool {
    matches!(e, Errno::ENFILE | Errno::EMFILE)
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
            self.expected(name);
            return known.ok_or(Errno::ENOENT);
        }
        self.forget_stale(name);
        if let Some(names) = self.expected(name) {
            self.find_listed(&names);
            if let Some(known) = self.fs.unstash(self.key, name) {
                return known.ok_or(Errno::ENOENT);
            }
        }
        let mut walk = self.ask(&[name]);
        let full = |w: &Result<WalkResult, Errno>| match w {
            Err(e) => is_full(*e),
            Ok(w) => matches!(w.end, WalkEnd::Failed(code) if is_full(Errno::from_host(code))),
        };
        if full(&walk) {
            // The gofer holds as many files as it may: let go of what nobody uses.
            vfs::dentry::shrink_by(SHRINK);
            self.fs.client().flush();
            walk = self.ask(&[name]);
        }
        let walk = walk?;
        let end = walk.end.clone();
        let found = self.arc()?.take_steps(walk)?.pop();
        match (found, end) {
            (Some(inode), _) => Ok(inode),
            (None, WalkEnd::Failed(code)) => Err(Errno::from_host(code)),
            (None, _) => Err(Errno::ENOENT),
        }
    }

    /// Part of this directory was listed, from its beginning if `first`.
    pub(super) fn was_listed(&self, names: Vec<Box<[u8]>>, first: bool) {
        let mut listed = self.fs.listed.lock();
        let known = listed.iter().position(|l| l.dir == self.key).and_then(|at| listed.remove(at));
        let mut hint = match known {
            Some(hint) if !first => hint,
            _ => Listed { dir: self.key, names: Vec::new(), next: 0, run: 0 },
        };
        if hint.names.len() < LISTED_MAX {
            hint.names.extend(names);
        }
        if listed.len() >= LISTINGS {
            listed.pop_front();
        }
        listed.push_back(hint);
    }

    /// `name` is looked up: if that is the order of the last listing, what is likely to come next, `name` first.
    fn expected(&self, name: &[u8]) -> Option<Vec<Box<[u8]>>> {
        let mut listed = self.fs.listed.lock();
        let hint = listed.iter_mut().find(|l| l.dir == self.key)?;
        let near = hint.names.iter().enumerate().skip(hint.next).take(WINDOW).find(|(_, n)| ***n == *name);
        let Some((at, _)) = near else {
            hint.run = 0;
            if hint.names.len() < SEARCHED_MAX {
                hint.next = hint.names.iter().position(|n| **n == *name).map_or(hint.next, |at| at + 1);
            }
            return None;
        };
        hint.next = at + 1;
        hint.run += 1;
        // The second in a row shows the habit.
        (hint.run > 1).then(|| hint.names.iter().skip(at).take(AHEAD).cloned().collect())
    }

    /// Looks up many names of this directory at once.
    fn find_listed(&self, names: &[Box<[u8]>]) {
        let changes = self.fs.changes.load(Ordering::Acquire);
        let Ok(this) = self.arc() else { return };
        let asked: Vec<&[u8]> = names.iter().map(|n| &**n).collect();
        let Ok(walks) = self.fs.client().walk_each(self.walk_node(), &asked, WalkFlags::WATCH) else {
            return;
        };
        for (name, walk) in asked.iter().zip(walks) {
            let Ok(walk) = walk else { continue };
            let missing = walk.end == WalkEnd::Missing;
            let Ok(mut found) = this.take_steps(walk) else { continue };
            if let Some(inode) = found.pop() {
                self.fs.stash(self.key, name, Some(inode), changes);
            } else if missing {
                self.fs.stash(self.key, name, None, changes);
            }
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
