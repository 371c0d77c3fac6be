//! Files of pseudo file systems: open ones, and those that closures make.

use super::{Child, PseudoFile};
use abi::Errno;
use ksync::{Mutex, Ready, WaitQueue, rank};
use mem::{IoDst, IoSrc};
use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use vfs::{File, FileOps, file::Seek, mount::NamespaceEvents};

/// The most bytes that one write is looked at; Linux's limit for most of these files is a page.
const WRITE_MAX: usize = 64 << 10;

/// An open file: its text is made when it is first read, and again when it is read from the start.
pub(super) struct OpenFile {
    file: Arc<dyn PseudoFile>,
    made: Mutex<Option<Arc<[u8]>>>,
    /// What is polled for, and how many changes were seen.
    events: Option<(Arc<NamespaceEvents>, AtomicU64)>,
}

impl OpenFile {
    pub fn new(file: Arc<dyn PseudoFile>) -> Self {
        let events = file.events().map(|events| {
            let seen = AtomicU64::new(events.count.load(Ordering::Acquire));
            (events, seen)
        });
        Self { file, made: Mutex::new(rank::LEAF, None), events }
    }

    /// The text for a read at `offset`.
    fn text(&self, file: &File, offset: u64) -> Result<Arc<[u8]>, Errno> {
        if offset > 0 {
            let made = self.made.lock().clone();
            if let Some(text) = made {
                return Ok(text);
            }
        }
        let text: Arc<[u8]> = self.file.contents(file)?.into();
        let old = self.made.lock().replace(text.clone());
        drop(old);
        Ok(text)
    }
}

fn put(text: &[u8], offset: u64, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    dst.put(text.get(from..).unwrap_or_default())
}

impl FileOps for OpenFile {
    fn read_at(&self, file: &File, offset: u64, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        put(&self.text(file, offset)?, offset, dst)
    }
    fn read(&self, file: &File, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let mut pos = file.pos.lock();
        let n = put(&self.text(file, *pos)?, *pos, dst)?;
        *pos += n as u64;
        Ok(n)
    }
    fn write_at(&self, file: &File, offset: u64, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        let bytes = src.take_vec(WRITE_MAX)?;
        self.file.store(file, offset, &bytes)
    }
    fn write(&self, file: &File, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        let mut pos = file.pos.lock();
        let n = self.write_at(file, *pos, src)?;
        *pos += n as u64;
        Ok(n)
    }
    fn ready(&self, _: &File) -> Ready {
        let mut ready = Ready::IN | Ready::RDNORM;
        match &self.events {
            None => ready |= Ready::OUT | Ready::WRNORM,
            Some((events, seen)) => {
                let now = events.count.load(Ordering::Acquire);
                if seen.swap(now, Ordering::AcqRel) != now {
                    ready |= Ready::ERR | Ready::PRI;
                }
            }
        }
        ready
    }
    fn wait_queue(&self) -> Option<&WaitQueue> {
        self.events.as_ref().map(|(events, _)| &events.queue)
    }
    fn seek(&self, file: &File, to: Seek) -> Result<u64, Errno> {
        let mut pos = file.pos.lock();
        let new = match to {
            Seek::Set(n) => Some(n),
            Seek::Cur(n) => i64::try_from(*pos).ok().and_then(|p| p.checked_add(n)),
            // As seq files: there is no telling where the end will be.
            _ => None,
        };
        *pos = new.and_then(|n| u64::try_from(n).ok()).ok_or(Errno::EINVAL)?;
        Ok(*pos)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What closures of files may give.
pub trait Text {
    /// The bytes.
    fn into_bytes(self) -> Vec<u8>;
}

impl Text for Vec<u8> {
    fn into_bytes(self) -> Vec<u8> {
        self
    }
}
impl Text for String {
    fn into_bytes(self) -> Vec<u8> {
        self.into()
    }
}
impl Text for &str {
    fn into_bytes(self) -> Vec<u8> {
        self.into()
    }
}

struct Made<R, W> {
    read: R,
    write: Option<W>,
}

impl<T, R, W> PseudoFile for Made<R, W>
where
    T: Text,
    R: Fn() -> Result<T, Errno> + Send + Sync,
    W: Fn(&[u8]) -> Result<(), Errno> + Send + Sync,
{
    fn contents(&self, _: &File) -> Result<Vec<u8>, Errno> {
        (self.read)().map(Text::into_bytes)
    }
    fn store(&self, _: &File, _: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let write = self.write.as_ref().ok_or(Errno::EINVAL)?;
        write(bytes).map(|()| bytes.len())
    }
}

type NoWrite = fn(&[u8]) -> Result<(), Errno>;

/// A file that everybody may read, whose text `read` makes.
pub fn file<T: Text + 'static>(read: impl Fn() -> Result<T, Errno> + Send + Sync + 'static) -> Child {
    Child::file(0o444, Arc::new(Made::<_, NoWrite> { read, write: None }))
}

/// A file that everybody may read, whose text is always the same.
pub fn text(text: impl Into<String>) -> Child {
    let text = text.into();
    file(move || Ok(text.clone()))
}

/// A file with permissions `mode` that can be written.
pub fn writable<T: Text + 'static>(
    mode: u32,
    read: impl Fn() -> Result<T, Errno> + Send + Sync + 'static,
    write: impl Fn(&[u8]) -> Result<(), Errno> + Send + Sync + 'static,
) -> Child {
    Child::file(mode, Arc::new(Made { read, write: Some(write) }))
}
