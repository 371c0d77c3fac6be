//! FIFOs: opening named pipes (`fifo(7)`).
//!
//! An open that has to wait for the other end is a [`FifoOpen`]: it counts as an open end already, and is finished
//! when the other end has been opened, even if that was closed again meanwhile. Dropping it gives the end up.

use crate::pipe::{Pipe, PipeEnd};
use abi::{Errno, fcntl::OpenFlags};
use ksync::WaitQueue;
use std::{any::Any, sync::Arc};
use vfs::{FileOps, Inode, InodeCommon};

/// An open of a FIFO that may have to wait.
pub struct FifoOpen {
    end: PipeEnd,
    /// How often the other end had been opened when this one was; none if there is nothing to wait for.
    awaited: Option<u64>,
}

impl FifoOpen {
    /// Opens an end of the FIFO whose inode has `common`. `ENXIO` for `O_WRONLY | O_NONBLOCK` without a reader.
    pub fn begin(common: &InodeCommon, flags: OpenFlags) -> Result<Self, Errno> {
        let made = common.fifo.get_or_init(|| Pipe::new() as Arc<dyn Any + Send + Sync>);
        let pipe = made.clone().downcast::<Pipe>().map_err(|_| Errno::EIO)?;
        let (reads, writes) = (flags.readable(), flags.writable());
        if !reads && !writes {
            return Err(Errno::EINVAL);
        }
        let nonblocking = flags.contains(OpenFlags::NONBLOCK);
        if !reads && nonblocking {
            pipe.room().map_err(|_| Errno::ENXIO)?;
        }
        let mut end = PipeEnd::open(&pipe, reads, writes);
        let (open, opens) = end.peer();
        let mut awaited = (!open).then_some(opens);
        if nonblocking && reads && awaited.is_some() {
            end.without_hang_up(opens);
            awaited = None;
        }
        Ok(Self { end, awaited })
    }

    /// Opens an end of `inode`, a FIFO or what `pipe(2)` made: the latter never waits (`/proc/PID/fd/N` opened again).
    pub fn of(inode: &Arc<dyn Inode>, flags: OpenFlags) -> Result<Self, Errno> {
        if inode.fs().name() != "pipefs" {
            return Self::begin(inode.common(), flags);
        }
        let made = inode.common().fifo.get().cloned().ok_or(Errno::ENXIO)?;
        let pipe = made.downcast::<Pipe>().map_err(|_| Errno::EIO)?;
        let (reads, writes) = (flags.readable(), flags.writable());
        if !reads && !writes {
            return Err(Errno::EINVAL);
        }
        Ok(Self { end: PipeEnd::open(&pipe, reads, writes), awaited: None })
    }

    /// Whether the open can be finished; if not, [`wait_queue`](Self::wait_queue) announces `OTHER`.
    pub fn is_ready(&self) -> bool {
        self.awaited.is_none_or(|before| {
            let (open, opens) = self.end.peer();
            open || opens != before
        })
    }

    /// Where opens of the other end are announced.
    pub fn wait_queue(&self) -> &WaitQueue {
        self.end.pipe().wait_queue()
    }

    /// The open end.
    pub fn finish(self) -> Box<dyn FileOps> {
        Box::new(self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ksync::Ready;
    use vfs::testing;

    #[test]
    fn each_end_waits_for_the_other() {
        let common = InodeCommon::default();
        let reader = FifoOpen::begin(&common, OpenFlags::RDONLY).unwrap();
        assert!(!reader.is_ready());
        let writer = FifoOpen::begin(&common, OpenFlags::WRONLY).unwrap();
        assert!(reader.is_ready() && writer.is_ready());
        drop(writer);
        assert!(reader.is_ready(), "the writer was there, if only for a moment");
        let file = testing::file(reader.finish(), OpenFlags::RDONLY);
        assert_eq!(file.ready(), Ready::HUP);
    }

    #[test]
    fn without_waiting() {
        let common = InodeCommon::default();
        let nonblocking_writer = OpenFlags::WRONLY | OpenFlags::NONBLOCK;
        assert_eq!(FifoOpen::begin(&common, nonblocking_writer).err(), Some(Errno::ENXIO));
        let reader = FifoOpen::begin(&common, OpenFlags::NONBLOCK).unwrap();
        assert!(reader.is_ready());
        let reader = testing::file(reader.finish(), OpenFlags::NONBLOCK);
        assert_eq!(reader.ready(), Ready::empty(), "no hang-up before the first writer");
        assert_eq!(testing::read(&reader, 10), Ok(vec![]));
        let writer = FifoOpen::begin(&common, nonblocking_writer).unwrap();
        assert!(writer.is_ready());
        assert_eq!(testing::read(&reader, 10), Err(Errno::EAGAIN));
        drop(writer);
        assert_eq!(reader.ready(), Ready::HUP);
        let both = FifoOpen::begin(&common, OpenFlags::RDWR).unwrap();
        assert!(both.is_ready());
        assert_eq!(reader.ready(), Ready::empty());
    }

    #[test]
    fn what_was_written_is_lost_with_the_last_end() {
        let common = InodeCommon::default();
        let both =
            testing::file(FifoOpen::begin(&common, OpenFlags::RDWR).unwrap().finish(), OpenFlags::RDWR);
        assert_eq!(testing::write(&both, b"lost"), Ok(4));
        drop(both);
        let both =
            testing::file(FifoOpen::begin(&common, OpenFlags::RDWR).unwrap().finish(), OpenFlags::RDWR);
        assert_eq!(testing::read(&both, 10), Err(Errno::EAGAIN));
    }
}
