//! System V shared memory (`shmget(2)`, `shmat(2)`).

use super::{Header, IpcNamespace, Object, Perm, now};
use crate::{Task, task::current};
use abi::{
    Errno, MapFlags, Prot,
    ipc::{
        IPC_PRIVATE, SHM_DEST, SHM_EXEC, SHM_RDONLY, SHM_REMAP, SHM_RND, SHMLBA, SHMMAX, SHMMIN, SHMMNI,
        ShmidDs,
    },
};
use ksync::{Mutex, rank};
use mm::{Attachment, MapRequest, MapSource, MemoryObject};
use std::sync::{Arc, Weak, atomic::Ordering};
use vfs::{Credentials, UserNamespace};

/// What changes about a segment.
pub struct State {
    /// Who may do what.
    pub perm: Perm,
    atime: i64,
    dtime: i64,
    /// Last change.
    pub ctime: i64,
    cpid: u32,
    lpid: u32,
    attached: u64,
    removed: bool,
}

/// A segment.
pub struct Segment {
    header: Header,
    ns: Weak<IpcNamespace>,
    /// Bytes that were asked for.
    pub size: u64,
    object: Arc<MemoryObject>,
    /// The rest.
    pub state: Mutex<State>,
}

impl Object for Segment {
    fn header(&self) -> &Header {
        &self.header
    }
}

/// The process on whose behalf this thread runs.
fn actor() -> u32 {
    current().map_or(0, |task| task.own_process_number())
}

impl Attachment for Segment {
    fn attached(&self) {
        let mut state = self.state.lock();
        state.attached += 1;
        (state.atime, state.lpid) = (now(), actor());
    }
    fn detached(&self) {
        let last = {
            let mut state = self.state.lock();
            state.attached = state.attached.saturating_sub(1);
            (state.dtime, state.lpid) = (now(), actor());
            state.removed && state.attached == 0
        };
        if last {
            self.forget();
        }
    }
}

impl Segment {
    /// Takes it out of the table.
    fn forget(&self) {
        let gone = self.ns.upgrade().and_then(|ns| ns.shm.lock().remove(self.header.id));
        drop(gone);
    }

    /// `IPC_RMID`: it goes when nobody has it attached any more, and its key at once.
    pub fn remove(&self) {
        let unused = {
            let mut state = self.state.lock();
            state.removed = true;
            state.perm.mode |= SHM_DEST;
            state.attached == 0
        };
        self.header.key.store(IPC_PRIVATE, Ordering::Relaxed);
        if unused {
            self.forget();
        }
    }

    /// `IPC_STAT`.
    pub fn stat(&self, reader: &UserNamespace) -> ShmidDs {
        let state = self.state.lock();
        ShmidDs {
            shm_perm: state.perm.show(&self.header, reader),
            shm_segsz: self.size,
            shm_atime: state.atime,
            shm_dtime: state.dtime,
            shm_ctime: state.ctime,
            shm_cpid: state.cpid as i32,
            shm_lpid: state.lpid as i32,
            shm_nattch: state.attached,
            ..ShmidDs::default()
        }
    }

    /// Bytes that are in memory.
    pub fn resident(&self) -> u64 {
        self.object.allocated_bytes()
    }
}

impl IpcNamespace {
    /// `shmget(2)`.
    pub fn shmget(&self, task: &Task, key: i32, size: u64, flags: u32) -> Result<i32, Errno> {
        let cred = task.cred();
        let check = |segment: &Segment| {
            segment.state.lock_nested().perm.check(&cred, &self.user_ns, flags & 0o777)?;
            if size > segment.size { Err(Errno::EINVAL) } else { Ok(()) }
        };
        if flags & abi::ipc::SHM_HUGETLB != 0 {
            return Err(Errno::ENOMEM); // there are no huge pages set aside
        }
        let object = MemoryObject::new(self.memory.clone());
        let fits = (SHMMIN..=SHMMAX).contains(&size) && object.set_size(size).is_ok();
        let make = |header| {
            if !fits {
                return Err(Errno::EINVAL);
            }
            let state = State {
                perm: Perm::new(&cred, flags),
                atime: 0,
                dtime: 0,
                ctime: now(),
                cpid: task.own_process_number(),
                lpid: 0,
                attached: 0,
                removed: false,
            };
            let state = Mutex::new(rank::SHM, state);
            Ok(Arc::new(Segment { header, ns: self.this.clone(), size, object, state }))
        };
        self.shm.lock().find_or_make(key, flags, SHMMNI, check, make)
    }

    /// `shmat(2)`: where it is attached.
    pub fn shmat(&self, task: &Task, id: i32, addr: u64, flags: u32) -> Result<u64, Errno> {
        let mut at = addr;
        if !at.is_multiple_of(SHMLBA) {
            if flags & SHM_RND == 0 {
                return Err(Errno::EINVAL);
            }
            at -= at % SHMLBA;
        }
        if flags & SHM_REMAP != 0 && at == 0 {
            return Err(Errno::EINVAL);
        }
        let mut prot = Prot::READ;
        let mut wanted = super::READ;
        if flags & SHM_RDONLY == 0 {
            prot |= Prot::WRITE;
            wanted |= super::WRITE;
        }
        if flags & SHM_EXEC != 0 {
            prot |= Prot::EXEC;
            wanted |= 0o111;
        }
        let segment = self.shm.lock().get(id)?;
        let cred = task.cred();
        segment.state.lock().perm.check(&cred, &self.user_ns, wanted)?;
        let mut map_flags = MapFlags::SHARED;
        if addr != 0 {
            let fixed = flags & SHM_REMAP != 0;
            map_flags |= if fixed { MapFlags::FIXED } else { MapFlags::FIXED_NOREPLACE };
        }
        let key = segment.header.key.load(Ordering::Relaxed);
        let name = format!("/SYSV{key:08x} (deleted)");
        let source = MapSource::Object {
            object: segment.object.clone(),
            name: name.as_str().into(),
            attachment: Some(segment.clone()),
        };
        let request = MapRequest { addr: at, len: segment.size, prot, flags: map_flags, source };
        task.mm()?.mmap(&request).map_err(|e| if e == Errno::EEXIST { Errno::EINVAL } else { e })
    }

    /// `/proc/sysvipc/shm` as `reader` sees it.
    pub fn shm_text(&self, reader: &Credentials) -> String {
        let mut text = String::from(
            "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n",
        );
        let all = self.shm.lock().all();
        for segment in all {
            let s = segment.stat(&reader.user_ns);
            let p = s.shm_perm;
            text += &format!(
                "{:10} {:10}  {:4o} {:21} {:5} {:5}  {:5} {:5} {:5} {:5} {:5} {:10} {:10} {:10} {:21} {:21}\n",
                p.key,
                segment.header.id,
                p.mode,
                s.shm_segsz,
                s.shm_cpid,
                s.shm_lpid,
                s.shm_nattch,
                p.uid,
                p.gid,
                p.cuid,
                p.cgid,
                s.shm_atime,
                s.shm_dtime,
                s.shm_ctime,
                segment.resident(),
                0
            );
        }
        text
    }
}

impl Task {
    /// `shmdt(2)`: detaches what was attached at `addr`, all parts of it that are left. `EINVAL` if nothing was.
    pub fn shmdt(&self, addr: u64) -> Result<(), Errno> {
        if !addr.is_multiple_of(SHMLBA) {
            return Err(Errno::EINVAL);
        }
        let mm = self.mm()?;
        let mut end = addr;
        for entry in mm.maps().iter().filter(|e| e.range.start >= addr) {
            let ours = entry.file.is_none() && entry.name.starts_with("/SYSV");
            // Parts of one attachment follow one another in the segment as they do in memory.
            if !ours || entry.offset != entry.range.start - addr || entry.range.start != end {
                break;
            }
            end = entry.range.end;
        }
        if end == addr { Err(Errno::EINVAL) } else { mm.munmap(addr, end - addr) }
    }
}
