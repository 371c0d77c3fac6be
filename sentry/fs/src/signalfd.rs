//! `signalfd(2)`: pending signals that are read.
//!
//! A [`SignalFd`] is a set of signals; whose they are is a [`SignalSource`]. As on Linux, a read takes the signals of the
//! thread that reads, and `poll(2)` asks for those of the thread that polls: [`TaskSource`] goes by the current task.
//! Only the wait queue is that of the process that made the descriptor: in a child that inherited it, a read does not
//! hear of signals that come while it sleeps, as an epoll does not on Linux.
//!
//! **Lock order:** the set is a leaf; the source is asked without it.

use abi::{
    Errno,
    signal::{SigInfo, SigSet, SignalfdSiginfo},
};
use kernel::{Task, ThreadGroup};
use ksync::{Mutex, Ready, WaitQueue, rank};
use mem::IoDst;
use std::{
    any::Any,
    sync::{Arc, Weak},
};
use vfs::{File, FileOps};
use zerocopy::IntoBytes;

/// Pending signals of a thread and its process.
pub trait SignalSource: Send + Sync {
    /// Takes the next pending signal of `set`.
    fn dequeue(&self, set: SigSet) -> Option<SigInfo>;
    /// Whether one is pending.
    fn is_pending(&self, set: SigSet) -> bool;
    /// Announces `IN` when a signal becomes pending.
    fn wait_queue(&self) -> &WaitQueue;
}

/// The signals of the current task, announced by the process of the task that made it.
pub struct TaskSource {
    maker: Weak<Task>,
    group: Arc<ThreadGroup>,
}

impl TaskSource {
    /// For a descriptor that `task` makes.
    pub fn new(task: &Arc<Task>) -> Arc<Self> {
        Arc::new(Self { maker: Arc::downgrade(task), group: task.group.clone() })
    }
    fn task(&self) -> Option<Arc<Task>> {
        kernel::current().or_else(|| self.maker.upgrade())
    }
}

impl SignalSource for TaskSource {
    fn dequeue(&self, set: SigSet) -> Option<SigInfo> {
        self.task()?.take_signal(set)
    }
    fn is_pending(&self, set: SigSet) -> bool {
        self.task().is_some_and(|task| {
            let group = task.group.signals.lock();
            let pending = group.pending.set().union(task.lock_signals().pending.set());
            !pending.intersection(set).is_empty()
        })
    }
    fn wait_queue(&self) -> &WaitQueue {
        &self.group.signal_events
    }
}

/// The operations of a signalfd.
pub struct SignalFd {
    set: Mutex<SigSet>,
    source: Arc<dyn SignalSource>,
}

/// A new signalfd for `set` (less `SIGKILL` and `SIGSTOP`), made by whoever has `source`.
pub fn new_signalfd(set: SigSet, source: Arc<dyn SignalSource>) -> Box<dyn FileOps> {
    Box::new(SignalFd { set: Mutex::new(rank::LEAF, set.blockable()), source })
}

impl SignalFd {
    /// Replaces the set (`signalfd(2)` on a descriptor that is one).
    pub fn set_mask(&self, set: SigSet) {
        *self.set.lock() = set.blockable();
        // A signal that was pending before may be wanted now.
        self.source.wait_queue().notify(Ready::IN | Ready::RDNORM);
    }

    fn set(&self) -> SigSet {
        *self.set.lock()
    }

    /// Moves as many pending signals of `source` to `dst` as there are and fit; `EINVAL` if not one fits, `EAGAIN`.
    pub fn read_from(&self, source: &dyn SignalSource, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        if dst.remaining() < SignalfdSiginfo::SIZE {
            return Err(Errno::EINVAL);
        }
        let mut total = 0;
        while dst.remaining() >= SignalfdSiginfo::SIZE {
            let Some(info) = source.dequeue(self.set()) else { break };
            // As on Linux, a signal that cannot be stored is lost.
            match dst.put(SignalfdSiginfo::from(&info).as_bytes()) {
                Ok(n) if n == SignalfdSiginfo::SIZE => total += n,
                _ if total == 0 => return Err(Errno::EFAULT),
                _ => break,
            }
        }
        if total == 0 { Err(Errno::EAGAIN) } else { Ok(total) }
    }

    /// Readiness for a reader with the signals of `source`.
    pub fn ready_for(&self, source: &dyn SignalSource) -> Ready {
        if source.is_pending(self.set()) { Ready::IN | Ready::RDNORM } else { Ready::empty() }
    }
}

impl FileOps for SignalFd {
    fn read(&self, _: &File, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        self.read_from(&*self.source, dst)
    }
    fn seekable(&self) -> bool {
        false
    }
    fn ready(&self, _: &File) -> Ready {
        self.ready_for(&*self.source)
    }
    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(self.source.wait_queue())
    }
    fn fdinfo(&self, _: &File) -> String {
        let mask = self.set().iter().fold(0u64, |bits, s| bits | 1 << (s.number() - 1));
        format!("sigmask:\t{mask:016x}\n")
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::{Signal, fcntl::OpenFlags, signal::SI_USER};
    use vfs::testing;

    struct Queue(Mutex<Vec<SigInfo>>, WaitQueue);
    impl SignalSource for Queue {
        fn dequeue(&self, set: SigSet) -> Option<SigInfo> {
            let mut queue = self.0.lock();
            let at = queue.iter().position(|i| i.signal().is_some_and(|s| set.contains(s)))?;
            Some(queue.remove(at))
        }
        fn is_pending(&self, set: SigSet) -> bool {
            self.0.lock().iter().any(|i| i.signal().is_some_and(|s| set.contains(s)))
        }
        fn wait_queue(&self) -> &WaitQueue {
            &self.1
        }
    }

    fn source(signals: &[Signal]) -> Arc<Queue> {
        let infos = signals.iter().map(|s| SigInfo::kill(*s, SI_USER, 7, 8)).collect();
        Arc::new(Queue(Mutex::new(rank::LEAF, infos), WaitQueue::new()))
    }

    #[test]
    fn reads_what_is_pending_of_its_set() {
        let source = source(&[Signal::SIGINT, Signal::SIGUSR1, Signal::SIGTERM]);
        let set = SigSet::of(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL]);
        let file = testing::file(new_signalfd(set, source), OpenFlags::RDWR);
        assert_eq!(file.ready(), Ready::IN | Ready::RDNORM);
        assert_eq!(testing::read(&file, 127), Err(Errno::EINVAL));
        let bytes = testing::read(&file, 400).unwrap();
        assert_eq!(bytes.len(), 256);
        assert_eq!((bytes[0], bytes[128], bytes[12], bytes[16]), (2, 15, 7, 8));
        assert_eq!((testing::read(&file, 128), file.ready()), (Err(Errno::EAGAIN), Ready::empty()));
        let fd = file.downcast::<SignalFd>().unwrap();
        assert_eq!(fd.fdinfo(&file), "sigmask:\t0000000000004002\n");
        fd.set_mask(SigSet::of(&[Signal::SIGUSR1]));
        assert_eq!(testing::read(&file, 128).unwrap()[0], 10);
    }

    #[test]
    fn another_reader_has_its_own_signals() {
        let (maker, reader) = (source(&[]), source(&[Signal::SIGINT]));
        let file = testing::file(new_signalfd(SigSet::of(&[Signal::SIGINT]), maker), OpenFlags::RDWR);
        let fd = file.downcast::<SignalFd>().unwrap();
        assert_eq!((file.ready(), fd.ready_for(&*reader)), (Ready::empty(), Ready::IN | Ready::RDNORM));
        let mut bytes = [0; 128];
        assert_eq!(fd.read_from(&*reader, &mut IoDst::bytes(&mut bytes)), Ok(128));
    }
}
