//! Inotify instances: watch descriptors, and the queue of events that a descriptor reads.

use super::{Events, WatchList};
use crate::{Credentials, File, FileOps, Inode, Path, Uid};
use abi::{
    Errno,
    inotify::{INOTIFY_MAX_QUEUED_EVENTS, INOTIFY_MAX_USER_INSTANCES, INOTIFY_NAME_ALIGN, InotifyEvent},
    ioctl::FIONREAD,
    stat::FileType,
};
use ksync::{Mutex, Ready, WaitQueue, rank};
use mem::{IoDst, UserMemory, UserPtr};
use std::{
    any::Any,
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Weak},
};
use zerocopy::IntoBytes;

/// `fs.inotify.max_user_watches`.
pub const MAX_USER_WATCHES: usize = 1 << 16;

/// The bits that an application may give.
const KNOWN: Events = Events::ALL_EVENTS
    .union(Events::ONLYDIR)
    .union(Events::DONT_FOLLOW)
    .union(Events::EXCL_UNLINK)
    .union(Events::MASK_CREATE)
    .union(Events::MASK_ADD)
    .union(Events::ISDIR)
    .union(Events::ONESHOT)
    .union(Events::UNMOUNT)
    .union(Events::Q_OVERFLOW)
    .union(Events::IGNORED);
/// The bits of a mask that stay with the watch.
const KEPT: Events = Events::ALL_EVENTS.union(Events::ONESHOT).union(Events::EXCL_UNLINK);

/// What each user has; instances and watches are limited.
static USERS: Mutex<BTreeMap<Uid, Usage>> = Mutex::new(rank::LEAF, BTreeMap::new());
/// All instances, for [`watched_inodes`].
static INSTANCES: Mutex<Vec<Weak<Instance>>> = Mutex::new(rank::LEAF, Vec::new());

#[derive(Default)]
struct Usage {
    instances: usize,
    watches: usize,
}

fn with_usage<R>(user: Uid, change: impl FnOnce(&mut Usage) -> R) -> R {
    let mut users = USERS.lock();
    let usage = users.entry(user).or_default();
    let result = change(usage);
    if usage.instances == 0 && usage.watches == 0 {
        users.remove(&user);
    }
    result
}

#[derive(PartialEq, Eq)]
struct Event {
    wd: i32,
    mask: Events,
    cookie: u32,
    name: Box<[u8]>,
}

impl Event {
    /// Bytes of the name field.
    fn name_field(&self) -> usize {
        if self.name.is_empty() { 0 } else { (self.name.len() + 1).next_multiple_of(INOTIFY_NAME_ALIGN) }
    }
    fn size(&self) -> usize {
        InotifyEvent::SIZE + self.name_field()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        let len = self.name_field();
        let header = InotifyEvent {
            wd: self.wd,
            mask: self.mask.bits(),
            cookie: self.cookie,
            len: u32::try_from(len).unwrap_or(0),
        };
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(&self.name);
        out.resize(out.len() + len - self.name.len(), 0);
    }
}

#[derive(Default)]
struct Table {
    by_wd: BTreeMap<i32, Arc<dyn Inode>>,
    last_wd: i32,
}

impl Table {
    /// The next number that is not taken, from 1 on and not used again soon.
    fn next_wd(&mut self) -> i32 {
        loop {
            self.last_wd = if self.last_wd == i32::MAX { 1 } else { self.last_wd + 1 };
            if !self.by_wd.contains_key(&self.last_wd) {
                return self.last_wd;
            }
        }
    }
}

/// The state of an instance, as inodes refer to it.
pub struct Instance {
    user: Uid,
    table: Mutex<Table>,
    queue: Mutex<VecDeque<Event>>,
    wait: WaitQueue,
}

/// An inotify instance: the operations of its descriptor.
pub struct Inotify(Arc<Instance>);

/// A new instance of `cred`'s user (`inotify_init1(2)`); `EMFILE` if that one has too many.
pub fn new_inotify(cred: &Credentials) -> Result<Box<dyn FileOps>, Errno> {
    let user = cred.ruid;
    with_usage(user, |usage| {
        if usage.instances >= INOTIFY_MAX_USER_INSTANCES {
            return Err(Errno::EMFILE);
        }
        usage.instances += 1;
        Ok(())
    })?;
    let instance = Arc::new(Instance {
        user,
        table: Mutex::new(rank::INOTIFY, Table::default()),
        queue: Mutex::new(rank::LEAF, VecDeque::new()),
        wait: WaitQueue::new(),
    });
    let mut all = INSTANCES.lock();
    all.retain(|i| i.strong_count() > 0);
    all.push(Arc::downgrade(&instance));
    Ok(Box::new(Inotify(instance)))
}

/// Every inode with a watch, some maybe twice.
pub fn watched_inodes() -> Vec<Arc<dyn Inode>> {
    let instances: Vec<_> = INSTANCES.lock().iter().filter_map(Weak::upgrade).collect();
    instances.iter().flat_map(|i| i.table.lock().by_wd.values().cloned().collect::<Vec<_>>()).collect()
}

impl Instance {
    /// Queues an event, unless it says what the last one said.
    pub fn push(&self, wd: i32, mask: Events, cookie: u32, name: &[u8]) {
        let mut queue = self.queue.lock();
        let mut event = Event { wd, mask, cookie, name: name.into() };
        if queue.len() >= INOTIFY_MAX_QUEUED_EVENTS {
            event = Event { wd: -1, mask: Events::Q_OVERFLOW, cookie: 0, name: [].into() };
        }
        if queue.back() == Some(&event) {
            return;
        }
        queue.push_back(event);
        drop(queue);
        self.wait.notify(Ready::IN | Ready::RDNORM);
    }

    /// Ends the watch `wd`, if there still is one, and says so.
    pub fn ignore(&self, wd: i32) -> bool {
        let Some(inode) = self.table.lock().by_wd.remove(&wd) else { return false };
        list(&inode).remove(self);
        with_usage(self.user, |usage| usage.watches -= 1);
        self.push(wd, Events::IGNORED, 0, b"");
        true
    }
}

fn list(inode: &Arc<dyn Inode>) -> &WatchList {
    &inode.common().watches
}

impl Inotify {
    /// `inotify_add_watch(2)`: watches what is at `path` for `mask`, which also says how an older watch is changed.
    ///
    /// The caller has resolved the path (`DONT_FOLLOW`) and found it readable. `EINVAL` for an empty or unknown mask,
    /// `ENOTDIR` for `ONLYDIR`, `EEXIST` for `MASK_CREATE`, `ENOSPC` for too many watches.
    pub fn add_watch(&self, path: &Path, mask: u32) -> Result<i32, Errno> {
        let mask =
            Events::from_bits(mask).filter(|m| KNOWN.contains(*m) && !m.is_empty()).ok_or(Errno::EINVAL)?;
        if mask.contains(Events::MASK_ADD | Events::MASK_CREATE) {
            return Err(Errno::EINVAL);
        }
        let inode = path.inode();
        if mask.contains(Events::ONLYDIR) && inode.file_type() != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        inode.watched();
        // Held all along, so that one inode gets one watch.
        let mut table = self.0.table.lock();
        if let Some((wd, old)) = list(&inode).of(&self.0) {
            if mask.contains(Events::MASK_CREATE) {
                return Err(Errno::EEXIST);
            }
            let kept = if mask.contains(Events::MASK_ADD) { old } else { Events::empty() };
            list(&inode).set(&self.0, wd, kept | mask & KEPT);
            return Ok(wd);
        }
        with_usage(self.0.user, |usage| {
            if usage.watches >= MAX_USER_WATCHES {
                return Err(Errno::ENOSPC);
            }
            usage.watches += 1;
            Ok(())
        })?;
        let wd = table.next_wd();
        table.by_wd.insert(wd, inode.clone());
        list(&inode).set(&self.0, wd, mask & KEPT);
        Ok(wd)
    }

    /// `inotify_rm_watch(2)`: `EINVAL` if there is no such watch.
    pub fn rm_watch(&self, wd: i32) -> Result<(), Errno> {
        if self.0.ignore(wd) { Ok(()) } else { Err(Errno::EINVAL) }
    }
}

impl Drop for Inotify {
    fn drop(&mut self) {
        let watches = std::mem::take(&mut self.0.table.lock().by_wd);
        for inode in watches.values() {
            list(inode).remove(Arc::as_ptr(&self.0));
        }
        with_usage(self.0.user, |usage| {
            usage.watches -= watches.len();
            usage.instances -= 1;
        });
    }
}

impl FileOps for Inotify {
    /// Whole events, as many as there is room for; `EINVAL` if there is none for the first.
    fn read(&self, _: &File, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let mut queue = self.0.queue.lock();
        let room = dst.remaining();
        let (mut bytes, mut count) = (Vec::new(), 0);
        for event in queue.iter() {
            if bytes.len() + event.size() > room {
                break;
            }
            event.encode(&mut bytes);
            count += 1;
        }
        if count == 0 {
            return Err(if queue.is_empty() { Errno::EAGAIN } else { Errno::EINVAL });
        }
        queue.drain(..count);
        drop(queue);
        // As on Linux, events that cannot be stored are lost.
        dst.put(&bytes)
    }
    fn seekable(&self) -> bool {
        false
    }
    fn ready(&self, _: &File) -> Ready {
        if self.0.queue.lock().is_empty() { Ready::empty() } else { Ready::IN | Ready::RDNORM }
    }
    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.0.wait)
    }
    fn ioctl(&self, _: &File, mem: &dyn UserMemory, cmd: u32, arg: u64) -> Result<u64, Errno> {
        if cmd != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let bytes: usize = self.0.queue.lock().iter().map(Event::size).sum();
        UserPtr::<i32>::from(arg).write(mem, &i32::try_from(bytes).unwrap_or(i32::MAX))?;
        Ok(0)
    }
    fn fdinfo(&self, _: &File) -> String {
        let watches: Vec<_> = self.0.table.lock().by_wd.iter().map(|(wd, i)| (*wd, i.clone())).collect();
        let line = |(wd, inode): (i32, Arc<dyn Inode>)| {
            let (attr, mask) = (inode.attr().ok()?, list(&inode).of(&self.0)?.1);
            let mask = mask.bits();
            Some(format!(
                "inotify wd:{wd:x} ino:{:x} sdev:{:x} mask:{mask:x} ignored_mask:0\n",
                attr.ino, attr.dev
            ))
        };
        watches.into_iter().filter_map(line).collect()
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
