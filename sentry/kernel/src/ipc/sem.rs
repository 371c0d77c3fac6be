//! System V semaphores (`semget(2)`, `semop(2)`).
//!
//! A call's operations are tried together under the set's lock; those that cannot be done sleep on the set's queue and are
//! tried again at each change.

use super::{Header, IpcNamespace, Object, Perm, now};
use crate::{
    SysError, SysResult, Task, ThreadGroup,
    task::{Deadline, Wait},
};
use abi::{
    Errno,
    ipc::{IPC_NOWAIT, SEM_UNDO, SEMMNI, SEMMNS, SEMMSL, SEMOPM, SEMVMX, Sembuf, SemidDs},
};
use ksync::{Mutex, Ready, WaitQueue, rank};
use std::{collections::BTreeMap, sync::Arc};
use vfs::{Credentials, UserNamespace};

/// One semaphore.
#[derive(Clone, Copy, Default)]
pub struct Sem {
    /// Its value.
    pub value: i32,
    /// Who changed it last.
    pub pid: u32,
}

/// What changes about a set.
pub struct State {
    /// Who may do what.
    pub perm: Perm,
    otime: i64,
    /// Last change other than by operations.
    pub ctime: i64,
    /// The semaphores.
    pub sems: Vec<Sem>,
    /// By process: what to add to each semaphore when it ends.
    undo: BTreeMap<u32, Vec<i32>>,
    /// By waiting thread: for which semaphore, and whether for zero.
    waiting: BTreeMap<u32, (u16, bool)>,
    removed: bool,
}

/// A set.
pub struct SemSet {
    header: Header,
    /// The rest.
    pub state: Mutex<State>,
    changed: WaitQueue,
}

impl Object for SemSet {
    fn header(&self) -> &Header {
        &self.header
    }
}

impl SemSet {
    /// `IPC_RMID`, once it is out of the table: whoever waits gets `EIDRM`.
    pub fn remove(&self) {
        self.state.lock().removed = true;
        self.changed.notify(Ready::OTHER);
    }

    /// `IPC_STAT`.
    pub fn stat(&self, reader: &UserNamespace) -> SemidDs {
        let state = self.state.lock();
        SemidDs {
            sem_perm: state.perm.show(&self.header, reader),
            sem_otime: state.otime,
            sem_ctime: state.ctime,
            sem_nsems: state.sems.len() as u64,
            ..SemidDs::default()
        }
    }

    /// How many threads wait for semaphore `num` to grow, or with `zero` to become zero.
    pub fn waiters(&self, num: u16, zero: bool) -> usize {
        self.state.lock().waiting.values().filter(|w| **w == (num, zero)).count()
    }

    /// `SETVAL` and `SETALL`: sets the semaphores from `first` on; what was to be undone of them is forgotten. `ERANGE`.
    pub fn set_values(&self, task: &Task, first: usize, values: &[i32]) -> Result<(), Errno> {
        if values.iter().any(|v| !(0..=SEMVMX).contains(v)) {
            return Err(Errno::ERANGE);
        }
        {
            let mut state = self.state.lock();
            if state.removed {
                return Err(Errno::EIDRM);
            }
            let State { sems, undo, .. } = &mut *state;
            for (i, value) in values.iter().enumerate() {
                let at = first + i;
                *sems.get_mut(at).ok_or(Errno::EINVAL)? =
                    Sem { value: *value, pid: task.own_process_number() };
                for adjust in undo.values_mut() {
                    if let Some(adjust) = adjust.get_mut(at) {
                        *adjust = 0;
                    }
                }
            }
            state.ctime = now();
        }
        self.changed.notify(Ready::OTHER);
        Ok(())
    }

    /// Does all of `ops` or nothing. `EAGAIN` where one would have to wait, which is noted for [`waiters`](Self::waiters).
    fn attempt(&self, task: &Task, ops: &[Sembuf]) -> Result<(), Errno> {
        let mut state = self.state.lock();
        if state.removed {
            return Err(Errno::EIDRM);
        }
        let tgid = task.group.tgid();
        let mut sems = state.sems.clone();
        let mut adjust = state.undo.get(&tgid).cloned().unwrap_or_default();
        adjust.resize(sems.len(), 0);
        for op in ops {
            let at = usize::from(op.sem_num);
            let sem = sems.get_mut(at).ok_or(Errno::EFBIG)?;
            let change = i32::from(op.sem_op);
            let blocked = if change == 0 { sem.value != 0 } else { sem.value + change < 0 };
            if blocked {
                if i32::from(op.sem_flg) & IPC_NOWAIT as i32 == 0 {
                    state.waiting.insert(task.tid(), (op.sem_num, change == 0));
                }
                return Err(Errno::EAGAIN);
            }
            sem.value += change;
            if sem.value > SEMVMX {
                return Err(Errno::ERANGE);
            }
            sem.pid = task.own_process_number();
            if op.sem_flg & SEM_UNDO != 0
                && let Some(adjust) = adjust.get_mut(at)
            {
                *adjust -= change;
                if !(-SEMVMX - 1..=SEMVMX).contains(adjust) {
                    return Err(Errno::ERANGE);
                }
            }
        }
        state.sems = sems;
        state.otime = now();
        if ops.iter().any(|op| op.sem_flg & SEM_UNDO != 0) {
            state.undo.insert(tgid, adjust);
        }
        Ok(())
    }
}

impl IpcNamespace {
    /// `semget(2)`.
    pub fn semget(&self, task: &Task, key: i32, count: i32, flags: u32) -> Result<i32, Errno> {
        let count = usize::try_from(count).ok().filter(|n| *n <= SEMMSL).ok_or(Errno::EINVAL)?;
        let cred = task.cred();
        let check = |set: &SemSet| {
            let state = set.state.lock_nested();
            state.perm.check(&cred, &self.user_ns, flags & 0o777)?;
            if count > state.sems.len() { Err(Errno::EINVAL) } else { Ok(()) }
        };
        let make = |header| {
            if count == 0 {
                return Err(Errno::EINVAL);
            }
            let state = State {
                perm: Perm::new(&cred, flags),
                otime: 0,
                ctime: now(),
                sems: vec![Sem::default(); count],
                undo: BTreeMap::new(),
                waiting: BTreeMap::new(),
                removed: false,
            };
            Ok(Arc::new(SemSet { header, state: Mutex::new(rank::IPC, state), changed: WaitQueue::new() }))
        };
        let mut table = self.sem.lock();
        let used: usize = table.all().iter().map(|s| s.state.lock_nested().sems.len()).sum();
        if used + count > SEMMNS {
            return Err(Errno::ENOSPC);
        }
        table.find_or_make(key, flags, SEMMNI, check, make)
    }

    /// `semtimedop(2)`; never restarted behind a signal.
    pub async fn semop(
        &self,
        task: &Arc<Task>,
        id: i32,
        ops: &[Sembuf],
        deadline: Deadline,
    ) -> SysResult<()> {
        if ops.is_empty() || id < 0 {
            return Err(Errno::EINVAL.into());
        }
        if ops.len() > SEMOPM {
            return Err(Errno::E2BIG.into());
        }
        let set = self.sem.lock().get(id)?;
        let cred = task.cred();
        {
            let state = set.state.lock();
            if ops.iter().any(|op| usize::from(op.sem_num) >= state.sems.len()) {
                return Err(Errno::EFBIG.into());
            }
            let alters = ops.iter().any(|op| op.sem_op != 0);
            let wanted = if alters { super::WRITE } else { super::READ };
            state.perm.check(&cred, &self.user_ns, wanted)?;
        }
        if ops.iter().any(|op| op.sem_flg & SEM_UNDO != 0) {
            let weak = Arc::downgrade(&set);
            let mut undos = task.group.sem_undos.lock();
            if !undos.iter().any(|known| known.ptr_eq(&weak)) {
                undos.push(weak);
            }
        }
        let attempt = || set.attempt(task, ops);
        let result = match attempt() {
            Err(Errno::EAGAIN) if !set.state.lock().waiting.contains_key(&task.tid()) => {
                return Err(Errno::EAGAIN.into()); // IPC_NOWAIT
            }
            Err(Errno::EAGAIN) => {
                let wait = Wait::on(&set.changed, Ready::OTHER).deadline(deadline);
                let result = task.block_on(wait, attempt).await;
                set.state.lock().waiting.remove(&task.tid());
                result
            }
            done => done.map_err(SysError::from),
        };
        match result {
            Ok(()) => {
                set.changed.notify(Ready::OTHER);
                Ok(())
            }
            Err(SysError::Errno(Errno::ETIMEDOUT)) => Err(Errno::EAGAIN.into()),
            Err(SysError::Interrupted(_)) => Err(Errno::EINTR.into()),
            Err(e) => Err(e),
        }
    }

    /// `/proc/sysvipc/sem` as `reader` sees it.
    pub fn sem_text(&self, reader: &Credentials) -> String {
        let mut text = String::from(
            "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n",
        );
        let all = self.sem.lock().all();
        for set in all {
            let s = set.stat(&reader.user_ns);
            let p = s.sem_perm;
            text += &format!(
                "{:10} {:10}  {:4o} {:10} {:5} {:5} {:5} {:5} {:10} {:10}\n",
                p.key,
                set.header.id,
                p.mode,
                s.sem_nsems,
                p.uid,
                p.gid,
                p.cuid,
                p.cgid,
                s.sem_otime,
                s.sem_ctime
            );
        }
        text
    }
}

impl ThreadGroup {
    /// Whether semaphore operations of the process asked to be undone when it ends.
    pub fn has_sem_undos(&self) -> bool {
        !self.sem_undos.lock().is_empty()
    }
}

/// Undoes what a process that ends asked to be undone.
pub(super) fn undo_all(group: &ThreadGroup) {
    let sets = std::mem::take(&mut *group.sem_undos.lock());
    for set in sets.iter().filter_map(std::sync::Weak::upgrade) {
        {
            let mut state = set.state.lock();
            let Some(adjust) = state.undo.remove(&group.tgid()) else { continue };
            for (sem, adjust) in state.sems.iter_mut().zip(adjust).filter(|(_, adjust)| *adjust != 0) {
                sem.value = (sem.value + adjust).clamp(0, SEMVMX);
                sem.pid = group.pid.own_number();
            }
            state.otime = now();
        }
        set.changed.notify(Ready::OTHER);
    }
}
