//! `inotify(7)`: the entry points that operations on files call, and the watches on an inode. Those of `F_NOTIFY`
//! ([`dnotify`]) are among them.
//!
//! An [`Inotify`] instance keeps the inodes that it watches, and each inode a [`WatchList`] of who does. Operations
//! call the functions of this page when the thing is done; with no watch in the sandbox that costs one load.
//!
//! **Lock order:** an instance's table ([`rank::INOTIFY`]) before an inode's list and an instance's queue (leaves,
//! never together). The entry points look up a dentry's parent, so the caller holds nothing above [`rank::DENTRY`].
//! **Absent on purpose:** fanotify; watches follow inodes and not paths, as on Linux.

pub mod dnotify;
mod instance;

pub use abi::inotify::InotifyMask as Events;
pub use instance::{Inotify, MAX_USER_WATCHES, new_inotify};

use crate::{Dentry, File, Inode};
use abi::stat::FileType;
use instance::Instance;
use ksync::{Mutex, rank};
use std::sync::{
    Arc, Weak,
    atomic::{AtomicU32, AtomicUsize, Ordering},
};

/// All watches that there are: with none, an event is nothing.
static WATCHES: AtomicUsize = AtomicUsize::new(0);

/// Who is told.
#[derive(Clone)]
enum Listener {
    Instance {
        instance: Weak<Instance>,
        wd: i32,
    },
    /// `F_NOTIFY` through the open file with that id.
    Signal {
        file: u64,
        signal: dnotify::Notify,
    },
}

impl Listener {
    fn is(&self, of: *const Instance) -> bool {
        matches!(self, Listener::Instance { instance, .. } if instance.as_ptr() == of)
    }
    fn is_file(&self, id: u64) -> bool {
        matches!(self, Listener::Signal { file, .. } if *file == id)
    }
}

struct Watch {
    listener: Listener,
    mask: Events,
}

/// The watches on one inode.
pub struct WatchList {
    list: Mutex<Vec<Watch>>,
    /// The union of their masks.
    mask: AtomicU32,
}

impl Default for WatchList {
    fn default() -> Self {
        Self { list: Mutex::new(rank::LEAF, Vec::new()), mask: AtomicU32::new(0) }
    }
}

impl WatchList {
    /// Whether a watch wants one of `events`.
    fn wants(&self, events: Events) -> bool {
        Events::from_bits_retain(self.mask.load(Ordering::SeqCst)).intersects(events)
    }

    fn is_empty(&self) -> bool {
        self.mask.load(Ordering::SeqCst) == 0
    }

    fn change<R>(&self, change: impl FnOnce(&mut Vec<Watch>) -> R) -> R {
        let mut list = self.list.lock();
        let before = list.len();
        let result = change(&mut list);
        // Ignored and unmounted are told to all, so a watch always has a bit.
        let union = list.iter().fold(Events::empty(), |all, w| all | w.mask | Events::IGNORED);
        self.mask.store(union.bits(), Ordering::SeqCst);
        WATCHES.fetch_add(list.len().wrapping_sub(before), Ordering::SeqCst); // wraps for fewer
        result
    }

    /// The descriptor and mask of `instance`'s watch.
    fn of(&self, instance: &Arc<Instance>) -> Option<(i32, Events)> {
        let list = self.list.lock();
        list.iter().find_map(|w| match &w.listener {
            Listener::Instance { wd, .. } if w.listener.is(Arc::as_ptr(instance)) => Some((*wd, w.mask)),
            _ => None,
        })
    }

    fn set(&self, instance: &Arc<Instance>, wd: i32, mask: Events) {
        self.change(|list| match list.iter_mut().find(|w| w.listener.is(Arc::as_ptr(instance))) {
            Some(watch) => watch.mask = mask,
            None => {
                let listener = Listener::Instance { instance: Arc::downgrade(instance), wd };
                list.push(Watch { listener, mask });
            }
        });
    }

    fn remove(&self, instance: *const Instance) {
        self.change(|list| list.retain(|w| !w.listener.is(instance)));
    }
}

/// What is told about one inode.
#[derive(Clone, Copy, Default)]
struct Notice<'a> {
    what: Events,
    /// `ISDIR`, if that is to be told.
    is_dir: bool,
    /// The entry concerned, where the inode is a directory.
    name: &'a [u8],
    cookie: u32,
    /// The entry has been removed: watches with `EXCL_UNLINK` do not want to know.
    unlinked: bool,
}

fn tell(inode: &Arc<dyn Inode>, notice: Notice<'_>) {
    let watches = &inode.common().watches;
    if !watches.wants(notice.what) {
        return;
    }
    let mut told = Vec::new();
    let wanted = |w: &Watch| {
        w.mask.intersects(notice.what) && !(notice.unlinked && w.mask.contains(Events::EXCL_UNLINK))
    };
    {
        let list = watches.list.lock();
        for w in list.iter().filter(|w| wanted(w)) {
            told.push((w.listener.clone(), w.mask.contains(Events::ONESHOT)));
        }
    }
    let mut mask = notice.what;
    mask.set(Events::ISDIR, notice.is_dir);
    for (listener, oneshot) in told {
        match listener {
            Listener::Instance { instance, wd } => {
                let Some(instance) = instance.upgrade() else { continue };
                instance.push(wd, mask, notice.cookie, notice.name);
                if oneshot {
                    instance.ignore(wd);
                }
            }
            // Told of what happens to entries, not to the directory itself.
            Listener::Signal { .. } if notice.name.is_empty() => {}
            Listener::Signal { file, signal } => {
                if oneshot {
                    watches.forget_file(file);
                }
                signal();
            }
        }
    }
}

fn nobody_watches() -> bool {
    WATCHES.load(Ordering::SeqCst) == 0
}

fn is_dir(inode: &Arc<dyn Inode>) -> bool {
    inode.file_type() == FileType::Directory
}

/// `ACCESS`, `MODIFY` or `OPEN` through an open file: told to watches of the directory and of the inode.
///
/// Called when at least one byte moved, and for opens that are not `O_PATH`.
#[inline]
pub fn file_event(file: &File, mask: Events) {
    if !nobody_watches() && !file.is_path_only() {
        dentry_event(file.path().dentry(), &file.inode(), mask);
    }
}

/// `ATTRIB`, or `MODIFY` by truncation, of `inode` under the name `dentry`: told to watches of the directory and of it.
pub fn dentry_event(dentry: &Dentry, inode: &Arc<dyn Inode>, mask: Events) {
    if nobody_watches() {
        return;
    }
    let notice = Notice { what: mask, is_dir: is_dir(inode), ..Notice::default() };
    if let Some(parent) = dentry.parent().and_then(|p| p.inode().ok())
        && parent.common().watches.wants(mask)
    {
        let name = dentry.name();
        tell(&parent, Notice { name: &name, unlinked: dentry.is_unlinked(), ..notice });
    }
    tell(inode, notice);
}

/// `name` was made in `dir`: `CREATE`. For a new name of something older, see [`entry_linked`].
pub fn entry_created(dir: &Arc<dyn Inode>, name: &[u8], is_dir: bool) {
    if !nobody_watches() {
        tell(dir, Notice { what: Events::CREATE, is_dir, name, ..Notice::default() });
    }
}

/// `inode` got the further name `name` in `dir`: `ATTRIB` and `CREATE`.
pub fn entry_linked(dir: &Arc<dyn Inode>, name: &[u8], inode: &Arc<dyn Inode>) {
    if !nobody_watches() {
        tell(inode, Notice { what: Events::ATTRIB, ..Notice::default() });
        entry_created(dir, name, false);
    }
}

/// `name`, which was `inode`, was removed from `dir`; call it after the removal.
///
/// Gives `ATTRIB` of a file, `DELETE_SELF` of what is gone, and `DELETE` in `dir`.
pub fn entry_removed(dir: &Arc<dyn Inode>, name: &[u8], inode: &Arc<dyn Inode>) {
    if nobody_watches() {
        return;
    }
    let is_dir = is_dir(inode);
    if !is_dir {
        tell(inode, Notice { what: Events::ATTRIB, ..Notice::default() });
    }
    inode_maybe_gone(inode, true);
    tell(dir, Notice { what: Events::DELETE, is_dir, name, ..Notice::default() });
}

/// `moved` went from `old_name` of `old_dir` to `new_name` of `new_dir`, over `replaced`; call it after the move, and
/// once a direction for an exchange. Gives `MOVED_FROM`, `MOVED_TO`, `MOVE_SELF`, and what the end of `replaced` gives.
pub fn entry_moved(
    old_dir: &Arc<dyn Inode>,
    old_name: &[u8],
    new_dir: &Arc<dyn Inode>,
    new_name: &[u8],
    moved: &Arc<dyn Inode>,
    replaced: Option<&Arc<dyn Inode>>,
) {
    static COOKIE: AtomicU32 = AtomicU32::new(1);
    if nobody_watches() {
        return;
    }
    let cookie = COOKIE.fetch_add(1, Ordering::Relaxed);
    let notice = Notice { cookie, is_dir: is_dir(moved), ..Notice::default() };
    tell(old_dir, Notice { what: Events::MOVED_FROM, name: old_name, ..notice });
    tell(new_dir, Notice { what: Events::MOVED_TO, name: new_name, ..notice });
    if let Some(replaced) = replaced.filter(|r| !is_dir(r)) {
        tell(replaced, Notice { what: Events::ATTRIB, ..Notice::default() });
    }
    tell(moved, Notice { what: Events::MOVE_SELF, ..Notice::default() });
    if let Some(replaced) = replaced {
        inode_maybe_gone(replaced, true);
    }
}

/// Something outside of the sandbox changed `name` of `dir`, which is `inode` if that is known: `what` is one event. `cookie` ties
/// the halves of a rename.
pub fn outside_event(
    dir: &Arc<dyn Inode>,
    name: &[u8],
    inode: Option<&Arc<dyn Inode>>,
    what: Events,
    is_dir: bool,
    cookie: u32,
) {
    if nobody_watches() {
        return;
    }
    // Cookies of our own renames count from 1.
    let cookie = if cookie == 0 { 0 } else { cookie | 1 << 31 };
    tell(dir, Notice { what, is_dir, name, cookie, ..Notice::default() });
    if let Some(inode) = inode {
        tell(inode, Notice { what, is_dir, ..Notice::default() });
    }
}

/// An open file is closed for good: `CLOSE_WRITE` or `CLOSE_NOWRITE`, and `DELETE_SELF` if that was the end of its inode.
/// Called by the drop of [`File`] alone.
pub fn file_closed(file: &File, inode: &Arc<dyn Inode>) {
    if nobody_watches() || file.is_path_only() {
        return;
    }
    inode.common().watches.forget_file(file.id);
    let mask = if file.flags().writable() { Events::CLOSE_WRITE } else { Events::CLOSE_NOWRITE };
    let dentry = file.path().dentry();
    dentry_event(dentry, inode, mask);
    inode_maybe_gone(inode, dentry.is_unlinked());
}

/// Ends the watches of an inode that has no name (`unlinked`: it lost one) and is not open.
fn inode_maybe_gone(inode: &Arc<dyn Inode>, unlinked: bool) {
    let common = inode.common();
    if common.watches.is_empty() || common.opens.load(Ordering::Acquire) > 0 {
        return;
    }
    // What cannot tell its attributes any more is gone; directories have one name.
    let nameless = inode.attr().map_or(true, |a| a.nlink == 0) || is_dir(inode);
    if unlinked && nameless {
        end(inode, Events::DELETE_SELF);
    }
}

/// The last event of an inode, and `IGNORED`.
fn end(inode: &Arc<dyn Inode>, what: Events) {
    let watches = inode.common().watches.change(std::mem::take);
    for watch in watches {
        let Listener::Instance { instance, wd } = watch.listener else { continue };
        let Some(instance) = instance.upgrade() else { continue };
        if watch.mask.intersects(what) || what == Events::UNMOUNT {
            instance.push(wd, what, 0, b"");
        }
        instance.ignore(wd);
    }
}

/// The file system `dev` is unmounted for good: `UNMOUNT` and `IGNORED` for each watch in it.
pub fn unmounted(dev: u64) {
    if nobody_watches() {
        return;
    }
    for inode in instance::watched_inodes() {
        if inode.fs().dev() == dev {
            end(&inode, Events::UNMOUNT);
        }
    }
}

#[cfg(test)]
mod tests;
