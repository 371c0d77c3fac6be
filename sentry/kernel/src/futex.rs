//! Futexes: sleeping until a word in memory changes (`futex(2)`).
//!
//! Waiters are queued by [`FutexKey`], under one lock that is held while the word is looked at: a wake after the word
//! was changed is either seen by the look or finds the waiter queued. **Lock order:** [`rank::FUTEX`], above address spaces.
//!
//! Priority inheritance hands a lock over from owner to waiter in order of arrival; there are no priorities to inherit.

use crate::{
    Restart, SysError, SysResult, Task,
    task::{Deadline, Wait},
};
use abi::{
    Errno,
    process::{
        FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS, FutexWakeOp, ROBUST_LIST_LIMIT, RobustListHead,
    },
};
use ksync::{Mutex, rank};
use mem::{UserAddr, UserMemoryExt, UserPtr};
use mm::{AddressSpace, FutexKey};
use platform::Access;
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

/// A task in a queue.
struct Waiter {
    task: Arc<Task>,
    bitset: u32,
    woken: AtomicBool,
    /// It wants the lock (PI): waking it makes it the owner.
    wants_lock: AtomicBool,
    /// The lock that it is to be moved to (`FUTEX_WAIT_REQUEUE_PI`); nothing else wakes it.
    bound_for: Option<FutexKey>,
}

impl Waiter {
    fn wants_lock(&self) -> bool {
        self.wants_lock.load(Ordering::SeqCst)
    }
}

type Queues = HashMap<FutexKey, VecDeque<Arc<Waiter>>>;

/// All futexes of a sandbox.
pub struct Futexes(Mutex<Queues>);

impl Default for Futexes {
    fn default() -> Self {
        Self(Mutex::new(rank::FUTEX, HashMap::new()))
    }
}

/// Takes up to `count` waiters that fit `bitset` out of the queue of `key`.
fn take(queues: &mut Queues, key: &FutexKey, count: usize, bitset: u32) -> Vec<Arc<Waiter>> {
    let Some(queue) = queues.get_mut(key) else { return Vec::new() };
    let mut taken = Vec::new();
    queue.retain(|w| {
        let take = taken.len() < count && w.bitset & bitset != 0 && !w.wants_lock() && w.bound_for.is_none();
        if take {
            taken.push(w.clone());
        }
        !take
    });
    if queue.is_empty() {
        queues.remove(key);
    }
    taken
}

fn wake_all(waiters: Vec<Arc<Waiter>>) -> usize {
    for w in &waiters {
        w.woken.store(true, Ordering::SeqCst);
        w.task.wake();
    }
    waiters.len()
}

impl Futexes {
    /// Wakes up to `count` waiters at `addr`; how many. An address without memory has none.
    pub fn wake(&self, mm: &AddressSpace, addr: u64, private: bool, count: usize, bitset: u32) -> usize {
        let Ok(key) = mm.futex_key(addr, private) else { return 0 };
        let taken = take(&mut self.0.lock(), &key, count, bitset);
        wake_all(taken)
    }

    /// Takes a waiter out whose sleep ended otherwise; whether it had been woken already.
    fn give_up(&self, waiter: &Arc<Waiter>) -> bool {
        let mut queues = self.0.lock();
        // It may have been requeued: every queue is looked at, which is rare enough.
        queues.retain(|_, queue| {
            queue.retain(|w| !Arc::ptr_eq(w, waiter));
            !queue.is_empty()
        });
        waiter.woken.load(Ordering::SeqCst)
    }
}

/// The word at `addr`; `EFAULT`.
fn load(mm: &AddressSpace, addr: u64) -> Result<u32, Errno> {
    mm.with_atomic_u32(UserAddr(addr), Access::READ, |word| word.load(Ordering::SeqCst))
}

fn exchange(mm: &AddressSpace, addr: u64, old: u32, new: u32) -> Result<Result<u32, u32>, Errno> {
    let swap = |word: &AtomicU32| word.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst);
    mm.with_atomic_u32(UserAddr(addr), Access::READ | Access::WRITE, swap)
}

fn check(addr: u64) -> Result<(), Errno> {
    if addr.is_multiple_of(4) { Ok(()) } else { Err(Errno::EINVAL) }
}

impl Task {
    fn waiter(self: &Arc<Self>, bitset: u32, wants_lock: bool) -> Arc<Waiter> {
        let wants_lock = AtomicBool::new(wants_lock);
        let woken = AtomicBool::new(false);
        Arc::new(Waiter { task: self.clone(), bitset, woken, wants_lock, bound_for: None })
    }

    /// `FUTEX_WAIT_BITSET`: sleeps while the word at `addr` is `value`. `EAGAIN` if it is not; `ETIMEDOUT`.
    pub async fn futex_wait(
        self: &Arc<Self>,
        addr: u64,
        private: bool,
        value: u32,
        deadline: Deadline,
        bitset: u32,
    ) -> SysResult<()> {
        check(addr)?;
        if bitset == 0 {
            return Err(Errno::EINVAL.into());
        }
        let waiter = self.waiter(bitset, false);
        {
            let mm = self.mm()?;
            load(&mm, addr)?; // present, so that the key is that of its page
            let key = mm.futex_key(addr, private)?;
            let mut queues = self.kernel.futexes.0.lock();
            if load(&mm, addr)? != value {
                return Err(Errno::EAGAIN.into());
            }
            queues.entry(key).or_default().push_back(waiter.clone());
        }
        self.sleep_on(&waiter, deadline).await
    }

    async fn sleep_on(self: &Arc<Self>, waiter: &Arc<Waiter>, deadline: Deadline) -> SysResult<()> {
        let woken = || if waiter.woken.load(Ordering::SeqCst) { Ok(()) } else { Err(Errno::EAGAIN) };
        let result = self.block_on(Wait::until(deadline), woken).await;
        if result.is_err() && self.kernel.futexes.give_up(waiter) {
            return Ok(()); // woken at the last moment: that wake must not be lost
        }
        result
    }

    /// `futex_waitv(2)`: sleeps until one of several is woken; its index.
    pub async fn futex_wait_any(
        self: &Arc<Self>,
        futexes: &[(u64, bool, u32)],
        deadline: Deadline,
    ) -> SysResult<usize> {
        let mut waiters = Vec::with_capacity(futexes.len());
        let queued: Result<(), Errno> = (|| {
            let mm = self.mm()?;
            for (addr, private, value) in futexes {
                check(*addr)?;
                load(&mm, *addr)?;
                let key = mm.futex_key(*addr, *private)?;
                let mut queues = self.kernel.futexes.0.lock();
                if load(&mm, *addr)? != *value {
                    return Err(Errno::EAGAIN);
                }
                let waiter = self.waiter(u32::MAX, false);
                queues.entry(key).or_default().push_back(waiter.clone());
                drop(queues);
                waiters.push(waiter);
            }
            Ok(())
        })();
        let woken = || waiters.iter().position(|w| w.woken.load(Ordering::SeqCst)).ok_or(Errno::EAGAIN);
        let result = match queued {
            Ok(()) => self.block_on(Wait::until(deadline), woken).await,
            Err(e) => Err(e.into()),
        };
        let late = waiters.iter().map(|w| self.kernel.futexes.give_up(w)).collect::<Vec<_>>();
        match (result, late.iter().position(|woken| *woken)) {
            (Err(_), Some(index)) => Ok(index),
            (result, _) => result,
        }
    }

    /// `FUTEX_WAKE_BITSET`: wakes up to `count` waiters; how many.
    pub fn futex_wake(&self, addr: u64, private: bool, count: usize, bitset: u32) -> Result<usize, Errno> {
        check(addr)?;
        if bitset == 0 {
            return Err(Errno::EINVAL);
        }
        let mm = self.mm()?;
        let key = mm.futex_key(addr, private)?;
        let taken = {
            let mut queues = self.kernel.futexes.0.lock();
            let bound = |w: &Arc<Waiter>| w.wants_lock() || w.bound_for.is_some();
            if queues.get(&key).is_some_and(|q| q.iter().any(bound)) {
                return Err(Errno::EINVAL); // those are woken by locks
            }
            take(&mut queues, &key, count, bitset)
        };
        Ok(wake_all(taken))
    }

    /// `FUTEX_CMP_REQUEUE`: wakes `wake` waiters of `addr` and moves up to `requeue` others to `to`. `EAGAIN` if the word
    /// is not `expected`. How many were woken or moved.
    pub fn futex_requeue(
        &self,
        addr: u64,
        to: u64,
        private: (bool, bool),
        wake: usize,
        requeue: usize,
        expected: Option<u32>,
    ) -> Result<(usize, usize), Errno> {
        check(addr)?;
        check(to)?;
        let mm = self.mm()?;
        let (from_key, to_key) = (mm.futex_key(addr, private.0)?, mm.futex_key(to, private.1)?);
        let (woken, moved) = {
            let mut queues = self.kernel.futexes.0.lock();
            if let Some(expected) = expected
                && load(&mm, addr)? != expected
            {
                return Err(Errno::EAGAIN);
            }
            let woken = take(&mut queues, &from_key, wake, u32::MAX);
            let moved = take(&mut queues, &from_key, requeue, u32::MAX);
            let count = moved.len();
            if count > 0 {
                queues.entry(to_key).or_default().extend(moved);
            }
            (woken, count)
        };
        Ok((wake_all(woken), moved))
    }

    /// `FUTEX_WAKE_OP`: changes the word at `addr2`, wakes waiters of `addr`, and of `addr2` if its old value compares.
    pub fn futex_wake_op(
        &self,
        addr: u64,
        addr2: u64,
        private: bool,
        wake: usize,
        wake2: usize,
        op: FutexWakeOp,
    ) -> Result<usize, Errno> {
        use abi::process::*;
        check(addr)?;
        check(addr2)?;
        let mm = self.mm()?;
        let (key, key2) = (mm.futex_key(addr, private)?, mm.futex_key(addr2, private)?);
        let arg = op.oparg as u32;
        let change = |old: u32| match op.op {
            FUTEX_OP_SET => Some(arg),
            FUTEX_OP_ADD => Some(old.wrapping_add(arg)),
            FUTEX_OP_OR => Some(old | arg),
            FUTEX_OP_ANDN => Some(old & !arg),
            FUTEX_OP_XOR => Some(old ^ arg),
            _ => None,
        };
        let (mut woken, more) = {
            let mut queues = self.kernel.futexes.0.lock();
            let old = mm.with_atomic_u32(UserAddr(addr2), Access::READ | Access::WRITE, |word| {
                word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, change)
            })?;
            let old = old.map_err(|_| Errno::ENOSYS)? as i32;
            let holds = match op.cmp {
                FUTEX_OP_CMP_EQ => old == op.cmparg,
                FUTEX_OP_CMP_NE => old != op.cmparg,
                FUTEX_OP_CMP_LT => old < op.cmparg,
                FUTEX_OP_CMP_LE => old <= op.cmparg,
                FUTEX_OP_CMP_GT => old > op.cmparg,
                FUTEX_OP_CMP_GE => old >= op.cmparg,
                _ => return Err(Errno::ENOSYS),
            };
            let woken = take(&mut queues, &key, wake, u32::MAX);
            let more = if holds { take(&mut queues, &key2, wake2, u32::MAX) } else { Vec::new() };
            (woken, more)
        };
        woken.extend(more);
        Ok(wake_all(woken))
    }

    /// This thread's number as it stands in the words of PI and robust futexes.
    fn futex_tid(&self) -> u32 {
        self.pid().number_in(&self.pid_namespace()).unwrap_or(0) & FUTEX_TID_MASK
    }

    /// `FUTEX_LOCK_PI`, or with `try_only` `FUTEX_TRYLOCK_PI`.
    pub async fn futex_lock_pi(
        self: &Arc<Self>,
        addr: u64,
        private: bool,
        deadline: Deadline,
        try_only: bool,
    ) -> SysResult<()> {
        check(addr)?;
        let waiter = {
            let mm = self.mm()?;
            load(&mm, addr)?;
            let key = mm.futex_key(addr, private)?;
            let mut queues = self.kernel.futexes.0.lock();
            match self.try_lock_pi(&mm, addr)? {
                true => return Ok(()),
                false if try_only => return Err(Errno::EAGAIN.into()),
                false => {}
            }
            let waiter = self.waiter(u32::MAX, true);
            queues.entry(key).or_default().push_back(waiter.clone());
            waiter
        };
        match self.sleep_on(&waiter, deadline).await {
            // As Linux: the wait goes on behind any handler, to the same absolute deadline.
            Err(SysError::Interrupted(_)) => Err(SysError::Interrupted(Restart::Always)),
            other => other,
        }
    }

    /// Takes the lock if nobody has it, else notes in the word that somebody waits. With the table locked.
    fn try_lock_pi(&self, mm: &AddressSpace, addr: u64) -> Result<bool, Errno> {
        let tid = self.futex_tid();
        loop {
            let word = load(mm, addr)?;
            let owner = word & FUTEX_TID_MASK;
            if owner == tid {
                return Err(Errno::EDEADLK);
            }
            let wanted = if owner == 0 {
                tid | word & (FUTEX_OWNER_DIED | FUTEX_WAITERS)
            } else {
                if self.pid_namespace().find(owner).is_none() {
                    return Err(Errno::ESRCH);
                }
                word | FUTEX_WAITERS
            };
            if exchange(mm, addr, word, wanted)?.is_ok() {
                return Ok(owner == 0);
            }
        }
    }

    /// `FUTEX_WAIT_REQUEUE_PI`: sleeps while the word at `addr` is `value`, until it is moved to the lock at `lock` and gets it.
    pub async fn futex_wait_requeue_pi(
        self: &Arc<Self>,
        addr: u64,
        lock: u64,
        private: bool,
        value: u32,
        deadline: Deadline,
    ) -> SysResult<()> {
        check(addr)?;
        check(lock)?;
        if addr == lock {
            return Err(Errno::EINVAL.into());
        }
        self.leave_first_try().await;
        let waiter = {
            let mm = self.mm()?;
            load(&mm, addr)?;
            load(&mm, lock)?;
            let (key, lock_key) = (mm.futex_key(addr, private)?, mm.futex_key(lock, private)?);
            let waiter = Arc::new(Waiter {
                task: self.clone(),
                bitset: u32::MAX,
                woken: AtomicBool::new(false),
                wants_lock: AtomicBool::new(false),
                bound_for: Some(lock_key),
            });
            let mut queues = self.kernel.futexes.0.lock();
            if load(&mm, addr)? != value {
                return Err(Errno::EAGAIN.into());
            }
            queues.entry(key).or_default().push_back(waiter.clone());
            waiter
        };
        match self.sleep_on(&waiter, deadline).await {
            // Once moved, the call cannot be made again: the caller locks by itself.
            Err(SysError::Interrupted(_)) if waiter.wants_lock() => Err(Errno::EAGAIN.into()),
            Err(SysError::Interrupted(_)) => Err(SysError::Interrupted(Restart::Always)),
            other => other,
        }
    }

    /// `FUTEX_CMP_REQUEUE_PI`: the first waiter of `addr` gets the lock at `lock` if it is free; it, or else up to `1 + more`
    /// of them, wait for the lock. How many were woken or moved.
    pub fn futex_cmp_requeue_pi(
        &self,
        addr: u64,
        lock: u64,
        private: bool,
        more: usize,
        expected: u32,
    ) -> Result<usize, Errno> {
        check(addr)?;
        check(lock)?;
        if addr == lock {
            return Err(Errno::EINVAL);
        }
        let mm = self.mm()?;
        let (key, lock_key) = (mm.futex_key(addr, private)?, mm.futex_key(lock, private)?);
        load(&mm, lock)?;
        let (woken, count) = {
            let mut queues = self.kernel.futexes.0.lock();
            if load(&mm, addr)? != expected {
                return Err(Errno::EAGAIN);
            }
            let waiting = queues.get(&key).map_or_else(Vec::new, |q| q.iter().cloned().collect::<Vec<_>>());
            if waiting.iter().any(|w| w.bound_for.as_ref() != Some(&lock_key)) {
                return Err(Errno::EINVAL);
            }
            let mut woken = None;
            let mut moved = Vec::new();
            for (index, waiter) in waiting.iter().take(more.saturating_add(1)).enumerate() {
                if index == 0 && waiter.task.try_lock_pi(&mm, lock)? {
                    woken = Some(waiter.clone());
                    continue;
                }
                waiter.wants_lock.store(true, Ordering::SeqCst);
                moved.push(waiter.clone());
            }
            let count = moved.len() + usize::from(woken.is_some());
            if let Some(queue) = queues.get_mut(&key) {
                queue.drain(..count.min(queue.len()));
                if queue.is_empty() {
                    queues.remove(&key);
                }
            }
            if !moved.is_empty() {
                mm.with_atomic_u32(UserAddr(lock), Access::READ | Access::WRITE, |word| {
                    word.fetch_or(FUTEX_WAITERS, Ordering::SeqCst)
                })?;
                queues.entry(lock_key).or_default().extend(moved);
            }
            (woken, count)
        };
        wake_all(woken.into_iter().collect());
        Ok(count)
    }

    /// `FUTEX_UNLOCK_PI`: hands the lock to the next waiter. `EPERM` unless this thread has it.
    pub fn futex_unlock_pi(&self, addr: u64, private: bool) -> Result<(), Errno> {
        check(addr)?;
        let mm = self.mm()?;
        if load(&mm, addr)? & FUTEX_TID_MASK != self.futex_tid() {
            return Err(Errno::EPERM);
        }
        self.pass_on_pi(&mm, addr, private, 0)
    }

    /// Makes the first waiter of a PI futex its owner, with `flags` in the word; frees it if there is none.
    fn pass_on_pi(&self, mm: &AddressSpace, addr: u64, private: bool, flags: u32) -> Result<(), Errno> {
        let key = mm.futex_key(addr, private)?;
        let next = {
            let mut queues = self.kernel.futexes.0.lock();
            let queue = queues.get_mut(&key);
            let next = queue.and_then(|q| q.iter().position(|w| w.wants_lock()).and_then(|at| q.remove(at)));
            let more = queues.get(&key).is_some_and(|q| q.iter().any(|w| w.wants_lock()));
            if queues.get(&key).is_some_and(VecDeque::is_empty) {
                queues.remove(&key);
            }
            let owner = next.as_ref().map_or(0, |w| w.task.futex_tid());
            let new = owner | flags | if more { FUTEX_WAITERS } else { 0 };
            mm.with_atomic_u32(UserAddr(addr), Access::READ | Access::WRITE, |word| {
                word.store(new, Ordering::SeqCst)
            })?;
            next
        };
        wake_all(next.into_iter().collect());
        Ok(())
    }

    /// Releases the robust futexes of a thread that ends (`get_robust_list(2)`): marks them and wakes a waiter each.
    pub(crate) fn release_robust_futexes(&self) {
        let head_addr = std::mem::take(&mut self.state.lock().robust_list);
        let Ok(mm) = self.mm() else { return };
        if head_addr == 0 {
            return;
        }
        let Ok(head) = UserPtr::<RobustListHead>::from(head_addr).read(&*mm) else { return };
        let mut entry = head.list;
        // Bounded: the list is the application's and may be a ring.
        for _ in 0..ROBUST_LIST_LIMIT {
            if entry & !1 == head_addr {
                break;
            }
            let next = UserPtr::<u64>::from(entry & !1).read(&*mm);
            if entry != head.list_op_pending {
                let _ = self.release_robust(&mm, entry, head.futex_offset);
            }
            match next {
                Ok(next) => entry = next,
                Err(_) => return,
            }
        }
        if head.list_op_pending & !1 != 0 {
            let _ = self.release_robust(&mm, head.list_op_pending, head.futex_offset);
        }
    }

    fn release_robust(&self, mm: &AddressSpace, entry: u64, offset: i64) -> Result<(), Errno> {
        let addr = (entry & !1).wrapping_add_signed(offset);
        check(addr)?;
        loop {
            let word = load(mm, addr)?;
            if word & FUTEX_TID_MASK != self.futex_tid() {
                return Ok(());
            }
            if entry & 1 != 0 {
                return self.pass_on_pi(mm, addr, false, FUTEX_OWNER_DIED);
            }
            if exchange(mm, addr, word, word & FUTEX_WAITERS | FUTEX_OWNER_DIED)?.is_ok() {
                if word & FUTEX_WAITERS != 0 {
                    // Whether it was private is not known here: both keys are tried.
                    let futexes = &self.kernel.futexes;
                    if futexes.wake(mm, addr, true, 1, u32::MAX) == 0 {
                        futexes.wake(mm, addr, false, 1, u32::MAX);
                    }
                }
                return Ok(());
            }
        }
    }
}
