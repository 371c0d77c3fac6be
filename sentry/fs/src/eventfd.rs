//! `eventfd(2)`: a counter that can be waited for.
//!
//! **Lock order:** the counter is a leaf.

use abi::{Errno, poll::EVENTFD_MAX};
use ksync::{Mutex, Ready, WaitQueue, rank};
use mem::{IoDst, IoSrc};
use std::{any::Any, sync::Arc};
use vfs::{File, FileOps};

/// The counter behind an eventfd; the kernel itself may signal it.
pub struct EventCounter {
    count: Mutex<u64>,
    wait: WaitQueue,
    semaphore: bool,
    id: u64,
}

impl EventCounter {
    /// Adds `n`, up to the largest value (`eventfd_signal`).
    pub fn signal(&self, n: u64) {
        let mut count = self.count.lock();
        *count = count.saturating_add(n);
        drop(count);
        self.wait.notify(Ready::IN | Ready::RDNORM);
    }
}

/// The operations of an eventfd.
pub struct EventFd(Arc<EventCounter>);

impl EventFd {
    /// The counter.
    pub fn counter(&self) -> &Arc<EventCounter> {
        &self.0
    }
}

/// A new eventfd that counts from `initial`, one a read with `semaphore` (`EFD_SEMAPHORE`).
pub fn new_eventfd(initial: u32, semaphore: bool) -> Box<dyn FileOps> {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    Box::new(EventFd(Arc::new(EventCounter {
        count: Mutex::new(rank::LEAF, u64::from(initial)),
        wait: WaitQueue::new(),
        semaphore,
        id: NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
    })))
}

impl FileOps for EventFd {
    fn read(&self, _: &File, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        if dst.remaining() < 8 {
            return Err(Errno::EINVAL);
        }
        let mut count = self.0.count.lock();
        if *count == 0 {
            return Err(Errno::EAGAIN);
        }
        let value = if self.0.semaphore { 1 } else { *count };
        *count -= value;
        drop(count);
        self.0.wait.notify(Ready::OUT | Ready::WRNORM);
        // As on Linux, a bad address loses the count.
        if dst.put(&value.to_ne_bytes())? < 8 { Err(Errno::EFAULT) } else { Ok(8) }
    }
    fn write(&self, _: &File, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        if src.remaining() < 8 {
            return Err(Errno::EINVAL);
        }
        let mut bytes = [0; 8];
        let taken = src.take(&mut bytes)?;
        if taken < 8 {
            return Err(Errno::EFAULT);
        }
        let value = u64::from_ne_bytes(bytes);
        if value == u64::MAX {
            return Err(Errno::EINVAL);
        }
        let mut count = self.0.count.lock();
        match count.checked_add(value).filter(|sum| *sum <= EVENTFD_MAX) {
            Some(sum) => *count = sum,
            None => {
                drop(count);
                src.untake(8);
                return Err(Errno::EAGAIN);
            }
        }
        drop(count);
        self.0.wait.notify(Ready::IN | Ready::RDNORM);
        Ok(8)
    }
    fn seekable(&self) -> bool {
        false
    }
    fn ready(&self, _: &File) -> Ready {
        let count = *self.0.count.lock();
        let mut ready = Ready::empty();
        ready.set(Ready::IN | Ready::RDNORM, count > 0);
        ready.set(Ready::OUT | Ready::WRNORM, count < EVENTFD_MAX);
        ready.set(Ready::ERR, count == u64::MAX);
        ready
    }
    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.0.wait)
    }
    fn fdinfo(&self, _: &File) -> String {
        let (count, c) = (*self.0.count.lock(), &self.0);
        format!(
            "eventfd-count: {count:16x}\neventfd-id: {}\neventfd-semaphore: {}\n",
            c.id,
            i32::from(c.semaphore)
        )
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::fcntl::OpenFlags;
    use vfs::testing::{self, read, write};

    fn take(file: &File) -> Result<u64, Errno> {
        Ok(u64::from_ne_bytes(read(file, 8)?.try_into().unwrap()))
    }

    #[test]
    fn counts_and_blocks_at_both_ends() {
        let file = testing::file(new_eventfd(3, false), OpenFlags::RDWR);
        assert_eq!((take(&file), take(&file)), (Ok(3), Err(Errno::EAGAIN)));
        assert_eq!(file.ready(), Ready::OUT | Ready::WRNORM);
        assert_eq!(write(&file, &[1; 7]), Err(Errno::EINVAL));
        assert_eq!(write(&file, &u64::MAX.to_ne_bytes()), Err(Errno::EINVAL));
        assert_eq!(write(&file, &(u64::MAX - 1).to_ne_bytes()), Ok(8));
        assert_eq!(file.ready(), Ready::IN | Ready::RDNORM);
        assert_eq!(write(&file, &1u64.to_ne_bytes()), Err(Errno::EAGAIN));
        assert_eq!(write(&file, &0u64.to_ne_bytes()), Ok(8));
        assert_eq!(read(&file, 7), Err(Errno::EINVAL));
        assert_eq!(take(&file), Ok(u64::MAX - 1));
    }

    #[test]
    fn a_semaphore_gives_one_at_a_time() {
        let file = testing::file(new_eventfd(2, true), OpenFlags::RDWR);
        assert_eq!((take(&file), take(&file), take(&file)), (Ok(1), Ok(1), Err(Errno::EAGAIN)));
    }
}
