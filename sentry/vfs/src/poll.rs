//! What `poll(2)` and `select(2)` wait with: a [`PollTable`] of open files and what each is asked for.
//!
//! The system call layer fills a table, has its task [listen](PollTable::listen) once, and then looks as often as it is
//! woken. As on Linux, a file in the table stays open while it is waited for.
//! **Absent on purpose:** sleeping, timeouts, and the form in which user space passes descriptors.

use crate::File;
use ksync::{Listener, Ready, Registration};
use smallvec::SmallVec;
use std::sync::Arc;

/// The places of one listener in the queues of a table's files.
pub type Registrations = SmallVec<[Registration; 4]>;

/// Files, and what each is asked for.
#[derive(Default)]
pub struct PollTable {
    entries: SmallVec<[(Option<Arc<File>>, Ready); 4]>,
}

impl PollTable {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `file`, asked for `interest`; `None` for a descriptor that is not open (`NVAL`).
    pub fn add(&mut self, file: Option<Arc<File>>, interest: Ready) {
        self.entries.push((file, interest | Ready::ALWAYS));
    }

    /// From now on calls `listener` when a file may have become ready, while what is returned lives. Look only after this,
    /// or wakes are lost.
    pub fn listen(&self, listener: &Arc<dyn Listener>) -> Registrations {
        let queue = |(file, interest): &(Option<Arc<File>>, Ready)| {
            let queue = file.as_ref()?.ops().wait_queue()?;
            Some(queue.register(*interest, listener.clone()))
        };
        self.entries.iter().filter_map(queue).collect()
    }

    /// For each entry, in order, what of its interest is met now (with `ERR`, `HUP`, or `NVAL`).
    pub fn look(&self) -> impl Iterator<Item = Ready> + '_ {
        self.entries.iter().map(|(file, interest)| match file {
            Some(file) => file.ready() & *interest,
            None => Ready::NVAL,
        })
    }

    /// How many entries are ready now.
    pub fn count_ready(&self) -> usize {
        self.look().filter(|r| !r.is_empty()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileOps, epoll, testing};
    use abi::fcntl::OpenFlags;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Count(AtomicUsize);
    impl Listener for Count {
        fn notify(&self, _: Ready) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    struct Always;
    impl FileOps for Always {
        fn as_any(&self) -> &dyn std::any::Any {
            self
        }
    }

    #[test]
    fn looks_and_listens() {
        let never = testing::file(epoll::new_epoll(), OpenFlags::RDWR);
        let mut table = PollTable::new();
        table.add(Some(never.clone()), Ready::IN);
        table.add(None, Ready::IN);
        table.add(Some(testing::file(Box::new(Always), OpenFlags::RDWR)), Ready::OUT);
        let count = Arc::new(Count(0.into()));
        let listening = table.listen(&(count.clone() as Arc<dyn Listener>));
        assert_eq!(table.look().collect::<Vec<_>>(), [Ready::empty(), Ready::NVAL, Ready::OUT]);
        assert_eq!(table.count_ready(), 2);
        let Some(queue) = never.ops().wait_queue() else { panic!() };
        queue.notify(Ready::OUT);
        queue.notify(Ready::IN);
        queue.notify(Ready::HUP);
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
        drop(listening);
        assert!(queue.is_empty());
    }
}
