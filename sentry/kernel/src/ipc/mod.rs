//! System V semaphores, shared memory and message queues (`sysvipc(7)`).
//!
//! An [`IpcNamespace`] has a [`Table`] of each kind. An identifier is an index and a sequence number, as on Linux, so that one
//! that was removed is not mistaken for its successor.
//!
//! **Lock order:** a table and an object's state are never locked together; those of shared memory come behind
//! address spaces, which call them.
//!
//! POSIX message queues are files of a file system, which a crate above has; the namespace keeps it and its limits.

pub mod msg;
pub mod sem;
pub mod shm;

use crate::{Kernel, Task, namespaces::OpaqueNamespace, time::clock::realtime_ns};
use abi::{
    Errno,
    ipc::{IPC_CREAT, IPC_EXCL, IPC_PRIVATE, IpcPerm, MQ_MSG_MAX, MQ_MSGSIZE_MAX, MQ_QUEUES_MAX},
    process::Cap,
};
use ksync::{Mutex, rank};
use mem::MemoryFile;
use std::{
    any::Any,
    collections::BTreeMap,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicI32, AtomicI64, Ordering},
    },
};
use vfs::{Credentials, Gid, Uid, UserNamespace};

/// Bits of an identifier that are the index.
const INDEX_BITS: u32 = 15;
/// Read permission for user, group and others, as checks ask for it.
pub const READ: u32 = 0o444;
/// Write permission.
pub const WRITE: u32 = 0o222;

/// What every object has: identifier and key.
pub struct Header {
    /// Its identifier.
    pub id: i32,
    /// Its key; `IPC_PRIVATE` for none.
    pub key: AtomicI32,
}

/// Who may do what (`struct ipc_perm`).
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the names are those of sysvipc(7)")]
pub struct Perm {
    pub uid: Uid,
    pub gid: Gid,
    pub cuid: Uid,
    pub cgid: Gid,
    pub mode: u32,
}

impl Perm {
    /// Of a new object.
    pub fn new(cred: &Credentials, mode: u32) -> Self {
        let (uid, gid) = (cred.euid, cred.egid);
        Self { uid, gid, cuid: uid, cgid: gid, mode: mode & 0o777 }
    }

    /// `EACCES` unless `cred` may do what the bits of `wanted` say (Linux: `ipcperms`).
    pub fn check(&self, cred: &Credentials, owner: &UserNamespace, wanted: u32) -> Result<(), Errno> {
        let wanted = (wanted >> 6) | (wanted >> 3) | wanted;
        let granted = if cred.euid == self.cuid || cred.euid == self.uid {
            self.mode >> 6
        } else if cred.in_group(self.cgid) || cred.in_group(self.gid) {
            self.mode >> 3
        } else {
            self.mode
        };
        let lacking = wanted & !granted & 7 != 0;
        if lacking && !cred.has_cap_in(owner, Cap::IPC_OWNER) { Err(Errno::EACCES) } else { Ok(()) }
    }

    /// `EPERM` unless `cred` owns or made the object (`IPC_SET`, `IPC_RMID`).
    pub fn check_owner(&self, cred: &Credentials, owner: &UserNamespace) -> Result<(), Errno> {
        let own = cred.euid == self.cuid || cred.euid == self.uid;
        if own || cred.has_cap_in(owner, Cap::SYS_ADMIN) { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// `IPC_SET`; `EINVAL` for ids that are not mapped.
    pub fn set(&mut self, cred: &Credentials, new: &IpcPerm) -> Result<(), Errno> {
        self.uid = cred.user_ns.uid(new.uid).ok_or(Errno::EINVAL)?;
        self.gid = cred.user_ns.gid(new.gid).ok_or(Errno::EINVAL)?;
        self.mode = self.mode & !0o777 | new.mode & 0o777;
        Ok(())
    }

    /// As applications see it.
    pub fn show(&self, header: &Header, reader: &UserNamespace) -> IpcPerm {
        IpcPerm {
            key: header.key.load(Ordering::Relaxed),
            uid: reader.show_uid(self.uid),
            gid: reader.show_gid(self.gid),
            cuid: reader.show_uid(self.cuid),
            cgid: reader.show_gid(self.cgid),
            mode: self.mode,
            seq: (header.id >> INDEX_BITS) as u16,
            ..IpcPerm::default()
        }
    }
}

/// What a table holds.
pub trait Object {
    /// Identifier and key.
    fn header(&self) -> &Header;
}

/// The objects of one kind.
pub struct Table<T> {
    by_index: BTreeMap<u32, Arc<T>>,
    next_seq: u32,
    last: u32,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { by_index: BTreeMap::new(), next_seq: 0, last: 0 }
    }
}

impl<T: Object> Table<T> {
    /// The object `id`; `EINVAL` if there is none of that index, `EIDRM` if it is another one by now.
    pub fn get(&self, id: i32) -> Result<Arc<T>, Errno> {
        let index = u32::try_from(id).map_err(|_| Errno::EINVAL)? & ((1 << INDEX_BITS) - 1);
        let object = self.by_index.get(&index).ok_or(Errno::EINVAL)?;
        if object.header().id == id { Ok(object.clone()) } else { Err(Errno::EIDRM) }
    }

    /// The object of that index (`*_STAT`).
    pub fn at(&self, index: i32) -> Result<Arc<T>, Errno> {
        let index = u32::try_from(index).map_err(|_| Errno::EINVAL)?;
        self.by_index.get(&index).cloned().ok_or(Errno::EINVAL)
    }

    /// All objects.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.by_index.values().cloned().collect()
    }

    /// The highest index in use; 0 for an empty table.
    pub fn highest(&self) -> i32 {
        self.by_index.last_key_value().map_or(0, |(index, _)| *index as i32)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_index.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_index.is_empty()
    }

    /// Takes `id` out; what it was is to be dropped without the lock.
    pub fn remove(&mut self, id: i32) -> Option<Arc<T>> {
        let index = id as u32 & ((1 << INDEX_BITS) - 1);
        self.by_index.get(&index).filter(|o| o.header().id == id)?;
        self.next_seq = (self.next_seq + 1) & 0xffff;
        self.by_index.remove(&index)
    }

    /// `*get(2)`: the object of `key`, which `check` has to approve of, or a new one, unless there are `max`.
    pub fn find_or_make(
        &mut self,
        key: i32,
        flags: u32,
        max: usize,
        check: impl FnOnce(&T) -> Result<(), Errno>,
        make: impl FnOnce(Header) -> Result<Arc<T>, Errno>,
    ) -> Result<i32, Errno> {
        if key != IPC_PRIVATE {
            let found = self.by_index.values().find(|o| o.header().key.load(Ordering::Relaxed) == key);
            if let Some(found) = found {
                if flags & (IPC_CREAT | IPC_EXCL) == IPC_CREAT | IPC_EXCL {
                    return Err(Errno::EEXIST);
                }
                check(found)?;
                return Ok(found.header().id);
            }
            if flags & IPC_CREAT == 0 {
                return Err(Errno::ENOENT);
            }
        }
        if self.by_index.len() >= max {
            return Err(Errno::ENOSPC);
        }
        // Round and round, so that an index is not used again at once.
        let limit = 1 << INDEX_BITS;
        let free = |i: &u32| !self.by_index.contains_key(i);
        let index = (self.last..limit).find(free).or_else(|| (0..limit).find(free)).ok_or(Errno::ENOSPC)?;
        let id = (self.next_seq << INDEX_BITS | index) & i32::MAX as u32;
        let object = make(Header { id: id as i32, key: AtomicI32::new(key) })?;
        self.by_index.insert(index, object);
        self.last = index;
        Ok(id as i32)
    }
}

/// A namespace of System V objects.
pub struct IpcNamespace {
    /// Itself, for objects that take themselves out.
    this: Weak<IpcNamespace>,
    /// Who owns it.
    pub user_ns: Arc<UserNamespace>,
    /// Where shared memory comes from.
    memory: Arc<MemoryFile>,
    /// Shared memory.
    pub shm: Mutex<Table<shm::Segment>>,
    /// Sets of semaphores.
    pub sem: Mutex<Table<sem::SemSet>>,
    /// Message queues.
    pub msg: Mutex<Table<msg::Queue>>,
    /// Limits of POSIX message queues.
    pub mq: MqLimits,
    /// The file system of POSIX message queues, made by whoever needs it first.
    pub mqueue: OnceLock<Arc<dyn Any + Send + Sync>>,
}

/// `/proc/sys/fs/mqueue` (`mq_overview(7)`), and how many queues there are.
#[allow(missing_docs, reason = "the names are Linux's")]
pub struct MqLimits {
    pub queues: AtomicI64,
    pub queues_max: AtomicI64,
    pub msg_max: AtomicI64,
    pub msg_default: AtomicI64,
    pub msgsize_max: AtomicI64,
    pub msgsize_default: AtomicI64,
}

impl Default for MqLimits {
    fn default() -> Self {
        let (count, size) = (MQ_MSG_MAX, MQ_MSGSIZE_MAX);
        Self {
            queues: AtomicI64::new(0),
            queues_max: AtomicI64::new(MQ_QUEUES_MAX as i64),
            msg_max: AtomicI64::new(count),
            msg_default: AtomicI64::new(count),
            msgsize_max: AtomicI64::new(size),
            msgsize_default: AtomicI64::new(size),
        }
    }
}

impl IpcNamespace {
    /// An empty namespace, as tasks refer to it.
    pub fn create(user_ns: Arc<UserNamespace>, memory: Arc<MemoryFile>) -> Arc<OpaqueNamespace> {
        let contents = Arc::new_cyclic(|this| Self {
            this: this.clone(),
            user_ns: user_ns.clone(),
            memory,
            shm: Mutex::new(rank::SHM, Table::default()),
            sem: Mutex::new(rank::IPC, Table::default()),
            msg: Mutex::new(rank::IPC, Table::default()),
            mq: MqLimits::default(),
            mqueue: OnceLock::new(),
        });
        OpaqueNamespace::new(user_ns, contents)
    }
}

/// Seconds since the epoch, for time stamps.
pub fn now() -> i64 {
    (realtime_ns() / 1_000_000_000) as i64
}

impl Task {
    /// Its System V objects; `ENOSYS` where the namespace was made without any.
    pub fn ipc(&self) -> Result<Arc<IpcNamespace>, Errno> {
        self.namespaces().ipc.get::<IpcNamespace>().ok_or(Errno::ENOSYS)
    }

    /// Undoes what semaphore operations of the process asked to be undone, if no other thread of it is left.
    pub(crate) fn exit_ipc(&self) {
        let others = |t: &Arc<Task>| !std::ptr::eq(&**t, self) && !t.dead.load(Ordering::SeqCst);
        if !self.group.signals.lock().live().any(|t| others(&t)) {
            sem::undo_all(&self.group);
        }
    }
}

impl Kernel {
    /// An IPC namespace with nothing in it.
    pub fn create_ipc_namespace(&self, user_ns: Arc<UserNamespace>) -> Arc<OpaqueNamespace> {
        IpcNamespace::create(user_ns, self.memory.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing(Header);
    impl Object for Thing {
        fn header(&self) -> &Header {
            &self.0
        }
    }

    #[test]
    fn an_identifier_that_was_removed_is_not_its_successor() {
        let mut table = Table::<Thing>::default();
        let make = |h| Ok(Arc::new(Thing(h)));
        let first = table.find_or_make(7, IPC_CREAT, 9, |_| Ok(()), make).unwrap();
        assert_eq!(table.find_or_make(7, IPC_CREAT, 9, |_| Ok(()), make), Ok(first));
        assert_eq!(table.find_or_make(7, IPC_CREAT | IPC_EXCL, 9, |_| Ok(()), make), Err(Errno::EEXIST));
        assert_eq!(table.find_or_make(8, 0, 9, |_| Ok(()), make), Err(Errno::ENOENT));
        table.remove(first).unwrap();
        assert_eq!(table.get(first).err(), Some(Errno::EINVAL));
        let second = table.find_or_make(7, IPC_CREAT, 9, |_| Ok(()), make).unwrap();
        assert_ne!(first, second);
        assert_eq!(table.get(first).err(), Some(Errno::EIDRM));
        assert_eq!(table.find_or_make(IPC_PRIVATE, 0, 1, |_| Ok(()), make), Err(Errno::ENOSPC));
    }

    #[test]
    fn permissions_go_by_owner_group_and_others() {
        let ns = UserNamespace::initial();
        let root = Credentials::root(ns.clone());
        let perm = Perm { uid: Uid(5), gid: Gid(6), cuid: Uid(5), cgid: Gid(6), mode: 0o640 };
        assert_eq!(perm.check(&root, &ns, READ | WRITE), Ok(()));
        let none = abi::CapSet::EMPTY;
        let user =
            |uid, gid| Credentials { euid: Uid(uid), fsgid: Gid(gid), effective: none, ..(*root).clone() };
        assert_eq!(perm.check(&user(5, 1), &ns, READ | WRITE), Ok(()));
        assert_eq!(perm.check(&user(7, 6), &ns, READ), Ok(()));
        assert_eq!(perm.check(&user(7, 6), &ns, WRITE), Err(Errno::EACCES));
        assert_eq!(perm.check(&user(7, 7), &ns, READ), Err(Errno::EACCES));
        assert_eq!(perm.check_owner(&user(7, 7), &ns), Err(Errno::EPERM));
    }
}
