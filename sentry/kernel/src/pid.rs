//! Process numbers and pid namespaces (`pid_namespaces(7)`).
//!
//! Inside the kernel a process or thread is known by its number in the initial namespace ([`Pid::root`]); what an
//! application sees is the number in its own namespace.
//!
//! **Lock order:** a namespace's table is a leaf; parents' tables are taken one after another, never together.

use abi::Errno;
use ksync::{Mutex, rank};
use smallvec::SmallVec;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};
use vfs::{UserNamespace, cred::next_namespace_id};

/// Highest number, as `kernel.pid_max` is on large machines.
pub const PID_MAX: u32 = 4_194_304;

struct Table {
    last: u32,
    by_number: BTreeMap<u32, Weak<Pid>>,
}

/// A scope of process numbers.
pub struct PidNamespace {
    /// Its number in `/proc/pid/ns/pid`.
    pub id: u64,
    /// The namespace that it was made in.
    pub parent: Option<Arc<PidNamespace>>,
    /// How many are above it.
    pub level: u32,
    /// Who owns it.
    pub user_ns: Arc<UserNamespace>,
    table: Mutex<Table>,
    /// Number, in the initial namespace, of the process that is 1 here; 0 before there is one.
    pub init: AtomicU32,
    /// Its init has ended: nothing is made here any more (`ENOMEM`).
    pub dead: AtomicBool,
}

impl PidNamespace {
    /// The initial namespace, with the number `id` if that is given.
    pub fn initial(user_ns: Arc<UserNamespace>, id: Option<u64>) -> Arc<Self> {
        Self::make(None, user_ns, id)
    }

    /// A namespace below `parent`; `ENOSPC` below the 32nd level.
    pub fn child(parent: &Arc<PidNamespace>, user_ns: Arc<UserNamespace>) -> Result<Arc<Self>, Errno> {
        if parent.level >= 32 {
            return Err(Errno::ENOSPC);
        }
        Ok(Self::make(Some(parent.clone()), user_ns, None))
    }

    fn make(parent: Option<Arc<PidNamespace>>, user_ns: Arc<UserNamespace>, id: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            id: id.unwrap_or_else(next_namespace_id),
            level: parent.as_ref().map_or(0, |p| p.level + 1),
            parent,
            user_ns,
            table: Mutex::new(rank::LEAF, Table { last: 0, by_number: BTreeMap::new() }),
            init: AtomicU32::new(0),
            dead: AtomicBool::new(false),
        })
    }

    /// What `number` stands for here.
    pub fn find(&self, number: u32) -> Option<Arc<Pid>> {
        self.table.lock().by_number.get(&number).and_then(Weak::upgrade)
    }

    /// All numbers in use here, in order.
    pub fn list(&self) -> Vec<Arc<Pid>> {
        self.table.lock().by_number.values().filter_map(Weak::upgrade).collect()
    }

    /// The number handed out last (`/proc/loadavg`, `ns_last_pid`).
    pub fn last(&self) -> u32 {
        self.table.lock().last
    }

    /// Whether `self` is `other` or below it.
    pub fn is_within(&self, other: &PidNamespace) -> bool {
        let mut at = self;
        loop {
            if at.id == other.id {
                return true;
            }
            match &at.parent {
                Some(parent) => at = parent,
                None => return false,
            }
        }
    }
}

/// One process or thread number: what it is in each namespace that sees it.
pub struct Pid {
    /// Innermost first; the last is the initial namespace.
    numbers: SmallVec<[(Arc<PidNamespace>, u32); 1]>,
}

impl Pid {
    /// A new number in `ns` and all above it. `wanted` are numbers asked for (`clone3` `set_tid`), innermost first;
    /// `EEXIST` if one is taken, `EAGAIN` if none is free, `ENOMEM` in a namespace whose init has ended.
    pub fn allocate(ns: &Arc<PidNamespace>, wanted: &[u32]) -> Result<Arc<Pid>, Errno> {
        if ns.dead.load(Ordering::Acquire) {
            return Err(Errno::ENOMEM);
        }
        let mut result = Ok(());
        let pid = Arc::new_cyclic(|me: &Weak<Pid>| {
            let mut numbers = SmallVec::new();
            let mut at = Some(ns.clone());
            let mut wanted = wanted.iter();
            while let Some(here) = at {
                match here.take(wanted.next().copied(), me) {
                    Ok(number) => numbers.push((here.clone(), number)),
                    Err(e) => {
                        result = Err(e);
                        break;
                    }
                }
                at = here.parent.clone();
            }
            Pid { numbers }
        });
        result.map(|()| pid)
    }

    /// The number in the initial namespace.
    pub fn root(&self) -> u32 {
        self.numbers.last().map_or(0, |(_, n)| *n)
    }

    /// The number in the namespace that it was made in: what its owner sees itself.
    pub fn own_number(&self) -> u32 {
        self.numbers.first().map_or(0, |(_, n)| *n)
    }

    /// The number as seen from `ns`, if it is seen there.
    pub fn number_in(&self, ns: &PidNamespace) -> Option<u32> {
        self.numbers.iter().find(|(n, _)| n.id == ns.id).map(|(_, n)| *n)
    }

    /// The namespace that it was made in.
    pub fn namespace(&self) -> Option<&Arc<PidNamespace>> {
        self.numbers.first().map(|(ns, _)| ns)
    }

    /// The numbers from `ns` inwards (`NSpid` of `/proc/pid/status`).
    pub fn numbers_from(&self, ns: &PidNamespace) -> Vec<u32> {
        self.numbers.iter().rev().skip_while(|(n, _)| n.id != ns.id).map(|(_, n)| *n).collect()
    }
}

impl Drop for Pid {
    fn drop(&mut self) {
        for (ns, number) in &self.numbers {
            let removed = ns.table.lock().by_number.remove(number);
            drop(removed);
        }
    }
}

impl PidNamespace {
    fn take(&self, wanted: Option<u32>, me: &Weak<Pid>) -> Result<u32, Errno> {
        let mut table = self.table.lock();
        let number = match wanted {
            Some(n) if n == 0 || n >= PID_MAX => return Err(Errno::EINVAL),
            Some(n) if table.by_number.contains_key(&n) => return Err(Errno::EEXIST),
            Some(n) => n,
            None => {
                let after = (table.last + 1..PID_MAX).find(|n| !table.by_number.contains_key(n));
                // A second round starts behind the numbers that daemons started with, as Linux's does.
                let number = after.or_else(|| (300..=table.last).find(|n| !table.by_number.contains_key(n)));
                let number = number.ok_or(Errno::EAGAIN)?;
                table.last = number;
                number
            }
        };
        table.by_number.insert(number, me.clone());
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_number_is_seen_above_but_not_below() {
        let user = UserNamespace::initial();
        let root = PidNamespace::initial(user.clone(), None);
        let inner = PidNamespace::child(&root, user).unwrap();
        let outer_pid = Pid::allocate(&root, &[]).unwrap();
        let pid = Pid::allocate(&inner, &[]).unwrap();
        assert_eq!((pid.root(), pid.number_in(&inner), outer_pid.number_in(&inner)), (2, Some(1), None));
        assert_eq!(pid.numbers_from(&root), [2, 1]);
        drop(pid);
        assert!(root.find(2).is_none() && inner.find(1).is_none());
        assert_eq!(Pid::allocate(&root, &[]).unwrap().root(), 3);
    }
}
