//! POSIX message queues (`mq_overview(7)`), and the file system that they are files of.
//!
//! Each IPC namespace has one [`MqueueFs`], which every mount of type `mqueue` in it shows; [`open`] and [`unlink`] are
//! `mq_open(2)` and `mq_unlink(2)`, which find queues in it whether it is mounted or not. [`Queue`] is one queue's messages
//! and those who wait for them.
//!
//! **Lock order:** entries of the root (`DIRECTORY` of the VFS is held), a queue's state ([`ksync::rank::IPC`]), attributes
//! (a leaf). Signals and cookies of `mq_notify(2)` are sent without any of them.

mod inode;
mod queue;

pub use inode::{MqFile, MqInode, MqueueFs};
pub use queue::{Message, Notice, NotifyTarget, Queue};

use abi::{
    Errno, OpenFlags,
    ipc::MqAttr,
    process::{Cap, Resource},
};
use kernel::{Kernel, Task, ipc::IpcNamespace};
use ksync::{Mutex, rank};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};
use vfs::{
    File, FileSystem, FileSystemType, Inode, Lookup, Mount, NewKind, Path, Uid, Vfs, WalkContext,
    landlock::FsAccess, ops, vfs::Mounted,
};

/// What a namespace keeps of its file system: the kernel's own mount of it.
struct Instance {
    fs: Arc<MqueueFs>,
    mount: Arc<Mount>,
}

/// Bytes that the queues of each user take (`RLIMIT_MSGQUEUE`).
static USAGE: Mutex<BTreeMap<Uid, u64>> = Mutex::new(rank::LEAF, BTreeMap::new());

fn instance(vfs: &Vfs, ns: &Arc<IpcNamespace>) -> Result<Arc<Instance>, Errno> {
    let made = ns.mqueue.get_or_init(|| {
        let fs = MqueueFs::new(vfs, ns);
        let root: Arc<dyn Inode> = fs.root();
        let mount = vfs.kernel_mount((fs.clone() as Arc<dyn FileSystem>, root), "mqueue");
        Arc::new(Instance { fs, mount })
    });
    made.clone().downcast().map_err(|_| Errno::ENOSYS)
}

/// The file system of `ns`, to be mounted.
pub fn of_namespace(vfs: &Vfs, ns: &Arc<IpcNamespace>) -> Result<Mounted, Errno> {
    let instance = instance(vfs, ns)?;
    Ok((instance.fs.clone() as Arc<dyn FileSystem>, instance.fs.root() as Arc<dyn Inode>))
}

/// Makes the type known: a mount shows the queues of the caller's namespace.
pub fn register(kernel: &Arc<Kernel>) {
    let kernel_ref = Arc::downgrade(kernel);
    kernel.vfs.register_type(FileSystemType {
        name: "mqueue",
        user_mountable: true,
        nodev: true,
        mount: Arc::new(move |args| {
            let ns = match kernel::current() {
                Some(task) => task.ipc()?,
                None => {
                    let kernel = kernel_ref.upgrade().ok_or(Errno::ENODEV)?;
                    let root = kernel.root_namespaces.get().ok_or(Errno::ENODEV)?;
                    root.ipc.get::<IpcNamespace>().ok_or(Errno::ENODEV)?
                }
            };
            of_namespace(&args.ctx.vfs, &ns)
        }),
    });
}

/// Whether `task` has `CAP_SYS_RESOURCE` over the whole sandbox.
fn unlimited(task: &Task) -> bool {
    task.cred().has_cap_in(&task.kernel.root_user_ns, Cap::SYS_RESOURCE)
}

/// The size of a new queue: what was asked for within the limits, or the defaults (Linux: `mqueue_get_inode`).
fn size_of_new(task: &Task, ns: &IpcNamespace, asked: Option<&MqAttr>) -> Result<(u64, u64), Errno> {
    let get = |n: &std::sync::atomic::AtomicI64| n.load(Ordering::Relaxed);
    let limits = &ns.mq;
    let Some(asked) = asked else {
        let count = get(&limits.msg_default).min(get(&limits.msg_max));
        let size = get(&limits.msgsize_default).min(get(&limits.msgsize_max));
        return Ok((count.unsigned_abs(), size.unsigned_abs()));
    };
    let (max_count, max_size) = match unlimited(task) {
        true => (abi::ipc::MQ_HARD_MSGMAX, abi::ipc::MQ_HARD_MSGSIZEMAX),
        false => (get(&limits.msg_max), get(&limits.msgsize_max)),
    };
    if !(1..=max_count).contains(&asked.mq_maxmsg) || !(1..=max_size).contains(&asked.mq_msgsize) {
        return Err(Errno::EINVAL);
    }
    Ok((asked.mq_maxmsg.unsigned_abs(), asked.mq_msgsize.unsigned_abs()))
}

/// What a user's queue is charged with until it is dropped.
pub(crate) struct Charge {
    user: Uid,
    bytes: u64,
}

impl Charge {
    /// `EMFILE` beyond the caller's `RLIMIT_MSGQUEUE`. Linux counts its own bookkeeping along: 48 bytes a message, and as
    /// much a priority.
    fn take(task: &Task, count: u64, size: u64) -> Result<Self, Errno> {
        let tree = count.checked_mul(48).zip(count.min(u64::from(abi::ipc::MQ_PRIO_MAX)).checked_mul(48));
        let tree = tree.and_then(|(a, b)| a.checked_add(b));
        let bytes = count.checked_mul(size).zip(tree).and_then(|(a, b)| a.checked_add(b));
        let bytes = bytes.ok_or(Errno::EOVERFLOW)?;
        let limit = task.group.limits.lock().soft(Resource::Msgqueue);
        let user = task.cred().ruid;
        let mut usage = USAGE.lock();
        let used = usage.entry(user).or_insert(0);
        let sum = used.checked_add(bytes).filter(|sum| *sum <= limit).ok_or(Errno::EMFILE)?;
        *used = sum;
        Ok(Self { user, bytes })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut usage = USAGE.lock();
        if let Some(used) = usage.get_mut(&self.user) {
            *used = used.saturating_sub(self.bytes);
            if *used == 0 {
                usage.remove(&self.user);
            }
        }
    }
}

/// A new queue for an inode that `task` makes in `ns`; `ENOSPC` where there are as many as there may be.
pub(crate) fn new_queue(
    task: &Task,
    ns: &IpcNamespace,
    asked: Option<&MqAttr>,
) -> Result<(Queue, Charge), Errno> {
    let full = ns.mq.queues.load(Ordering::Relaxed) >= ns.mq.queues_max.load(Ordering::Relaxed);
    if full && !unlimited(task) {
        return Err(Errno::ENOSPC);
    }
    let (count, size) = size_of_new(task, ns, asked)?;
    let charge = Charge::take(task, count, size)?;
    Ok((Queue::new(count as usize, size as usize), charge))
}

/// The root of the namespace's file system as a place to look names up in; `EACCES` for what is no name (Linux: `lookup_one_len`).
fn place(task: &Arc<Task>, name: &[u8]) -> Result<WalkContext, Errno> {
    if name.is_empty() {
        return Err(Errno::ENOENT);
    }
    if name == b"." || name == b".." || name.contains(&b'/') {
        return Err(Errno::EACCES);
    }
    let ns = task.ipc()?;
    let mount = instance(&task.kernel.vfs, &ns)?.mount.clone();
    let root = Path::new(mount.clone(), mount.root.clone())?;
    Ok(WalkContext { root: root.clone(), start: root, ..task.walk_context() })
}

/// `mq_open(2)`: the queue `name` as an open file.
pub fn open(
    task: &Arc<Task>,
    name: &[u8],
    flags: OpenFlags,
    mode: u32,
    attr: Option<&MqAttr>,
) -> Result<Arc<File>, Errno> {
    let ctx = place(task, name)?;
    let keep = flags & (OpenFlags::from_bits_retain(3) | OpenFlags::NONBLOCK);
    let ns = task.ipc()?;
    loop {
        match ctx.resolve(name, Lookup::empty()) {
            Ok(_) if flags.contains(OpenFlags::CREAT | OpenFlags::EXCL) => return Err(Errno::EEXIST),
            Ok(path) => {
                if keep.bits() & 3 == 3 {
                    return Err(Errno::EINVAL);
                }
                let how = ops::OpenHow { flags: keep, ..ops::OpenHow::default() };
                return match ops::reopen(&ctx, path, &how)? {
                    ops::Opened::File(file) => Ok(file),
                    ops::Opened::Fifo(_) => Err(Errno::EBADF),
                };
            }
            Err(Errno::ENOENT) if flags.contains(OpenFlags::CREAT) => {}
            Err(e) => return Err(e),
        }
        let made = ops::create::make(&ctx, name, false, FsAccess::empty(), |dir, name| {
            let new = ops::new_node(&ctx.cred, dir, NewKind::Regular, mode, ctx.umask)?;
            let inode = dir.inode();
            let root = inode.as_any().downcast_ref::<MqInode>().ok_or(Errno::EACCES)?;
            root.create_queue(task, &ns, name, &new, attr)
        });
        match made {
            Ok(path) => return ops::open::open_created(&ctx, path, keep),
            Err(Errno::EEXIST) if !flags.contains(OpenFlags::EXCL) => continue, // somebody was faster
            Err(e) => return Err(e),
        }
    }
}

/// `mq_unlink(2)`.
pub fn unlink(task: &Arc<Task>, name: &[u8]) -> Result<(), Errno> {
    ops::unlink(&place(task, name)?, name)
}

/// The queue that `file` is open on; `EBADF` for other files.
pub fn of(file: &File) -> Result<Arc<MqInode>, Errno> {
    file.downcast::<MqFile>().map(|f| f.inode().clone()).ok_or(Errno::EBADF)
}
