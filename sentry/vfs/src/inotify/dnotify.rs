//! `F_NOTIFY` (`fcntl(2)`, "File and directory change notification"): a signal when entries of an open directory change.
//!
//! A watch goes with its open file. **Absent on purpose:** that it ends when one process closes a descriptor of which
//! others have copies.

use super::{Events, Listener, Watch, WatchList};
use crate::File;
use abi::{
    Errno,
    fcntl::{DN_ACCESS, DN_ATTRIB, DN_CREATE, DN_DELETE, DN_MODIFY, DN_MULTISHOT, DN_RENAME},
    stat::FileType,
};
use std::sync::Arc;

/// Sends the signal. Called without locks.
pub type Notify = Arc<dyn Fn() + Send + Sync>;

const EVENTS: [(u32, Events); 6] = [
    (DN_ACCESS, Events::ACCESS),
    (DN_MODIFY, Events::MODIFY),
    (DN_CREATE, Events::CREATE.union(Events::MOVED_TO)),
    (DN_DELETE, Events::DELETE.union(Events::MOVED_FROM)),
    (DN_RENAME, Events::MOVED_FROM),
    (DN_ATTRIB, Events::ATTRIB),
];

impl WatchList {
    /// Ends what `F_NOTIFY` began through the open file `id`.
    pub(super) fn forget_file(&self, id: u64) {
        if !self.is_empty() {
            self.change(|list| list.retain(|w| !w.listener.is_file(id)));
        }
    }
}

/// Tells of `mask` (`DN_*`) in the directory `file` from now on, beside what it was asked for before; nothing ends that and
/// gives false. `ENOTDIR`.
pub fn notify(file: &File, mask: u32, signal: Notify) -> Result<bool, Errno> {
    let inode = file.inode();
    let asked = EVENTS.iter().filter(|(bit, _)| mask & bit != 0);
    let mut events = asked.fold(Events::empty(), |all, (_, e)| all | *e);
    if mask & !DN_MULTISHOT == 0 {
        inode.common().watches.forget_file(file.id);
        return Ok(false);
    }
    if inode.file_type() != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    if events.is_empty() {
        return Err(Errno::EINVAL);
    }
    events.set(Events::ONESHOT, mask & DN_MULTISHOT == 0);
    inode.watched();
    inode.common().watches.change(|list| match list.iter_mut().find(|w| w.listener.is_file(file.id)) {
        Some(watch) => {
            // Once several signals are asked for, they go on.
            let once = watch.mask.intersection(events).contains(Events::ONESHOT);
            watch.mask |= events;
            watch.mask.set(Events::ONESHOT, once);
            watch.listener = Listener::Signal { file: file.id, signal };
        }
        None => list.push(Watch { listener: Listener::Signal { file: file.id, signal }, mask: events }),
    });
    Ok(true)
}
