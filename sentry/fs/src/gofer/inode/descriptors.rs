//! Donated descriptors of a regular file, and what is done through them.

use super::{GoferInode, convert};
use abi::{Errno, fcntl::OpenFlags, stat::FileType};
use gofer_client::{Access as FdAccess, Donated};
use std::{
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, atomic::Ordering},
};
use vfs::{Inode, SetAttr, SetTime};

/// Donated descriptors of a regular file.
#[derive(Default)]
pub(super) struct Fds {
    /// Can at least be read.
    pub(super) read: Option<Arc<OwnedFd>>,
    /// Can at least be written; the same as `read` where one can do both.
    pub(super) write: Option<Arc<OwnedFd>>,
}

impl Fds {
    pub(super) fn count(&self) -> usize {
        match (&self.read, &self.write) {
            (Some(r), Some(w)) if !Arc::ptr_eq(r, w) => 2,
            (None, None) => 0,
            _ => 1,
        }
    }
}

impl GoferInode {
    /// Keeps a donated descriptor.
    pub(in crate::gofer) fn adopt(&self, donated: Donated) {
        let fd = Arc::new(donated.fd);
        let (read, write) =
            (donated.access.contains(FdAccess::READ), donated.access.contains(FdAccess::WRITE));
        let mut state = self.state.lock();
        let fds = &mut state.fds;
        let before = fds.count();
        let mut old = Vec::new();
        if read && (write || fds.read.is_none()) {
            old.extend(fds.read.replace(fd.clone()));
        }
        if write && (read || fds.write.is_none()) {
            old.extend(fds.write.replace(fd));
        }
        let after = fds.count();
        drop(state);
        self.fs.fds.fetch_add(after, Ordering::Relaxed);
        self.fs.fds.fetch_sub(before, Ordering::Relaxed);
    }

    /// A descriptor for reading.
    pub(in crate::gofer) fn read_fd(&self) -> Result<Arc<OwnedFd>, Errno> {
        let have = self.state.lock().fds.read.clone();
        match have {
            Some(fd) => Ok(fd),
            None => self.open_host(OpenFlags::RDONLY, |fds| fds.read.clone()),
        }
    }

    /// A descriptor for writing, and for reading too if that can be had.
    pub(in crate::gofer) fn write_fd(&self) -> Result<Arc<OwnedFd>, Errno> {
        let have = self.state.lock().fds.write.clone();
        if let Some(fd) = have {
            return Ok(fd);
        }
        match self.open_host(OpenFlags::RDWR, |fds| fds.write.clone()) {
            // The gofer is an ordinary user, and the file is its own but not readable.
            Err(Errno::EACCES) => self.open_host(OpenFlags::WRONLY, |fds| fds.write.clone()),
            other => other,
        }
    }

    fn open_host(
        &self,
        flags: OpenFlags,
        pick: impl FnOnce(&Fds) -> Option<Arc<OwnedFd>>,
    ) -> Result<Arc<OwnedFd>, Errno> {
        let (donated, attr) = self.fs.client().open(&self.node, flags.bits())?;
        self.adopt(donated);
        self.absorb(&attr);
        pick(&self.state.lock().fds).ok_or(Errno::EIO)
    }

    /// What there is, for looking at size and times.
    pub(super) fn any_fd(&self) -> Option<Arc<OwnedFd>> {
        let state = self.state.lock();
        state.fds.write.clone().or_else(|| state.fds.read.clone())
    }

    /// Data went through a descriptor.
    pub(in crate::gofer) fn wrote(&self) {
        if !self.dirty.load(Ordering::Relaxed) {
            self.dirty.store(true, Ordering::Release);
        }
        if !self.unsynced.load(Ordering::Relaxed) {
            self.unsynced.store(true, Ordering::Release);
        }
    }

    /// Data were read through a descriptor: the host may have noted the time.
    pub(in crate::gofer) fn read(&self) {
        if !self.dirty.load(Ordering::Relaxed) {
            self.dirty.store(true, Ordering::Release);
        }
    }

    /// Takes size and times from a descriptor.
    pub(super) fn look(&self, fd: &OwnedFd) -> Result<(), Errno> {
        self.dirty.store(false, Ordering::Release);
        let status = host::file::status(fd.as_fd()).map_err(convert::errno)?;
        let mut state = self.state.lock();
        let attr = &mut state.attr;
        attr.size = status.size;
        attr.blocks = status.blocks;
        attr.atime = convert::host_time(status.atime);
        attr.mtime = convert::host_time(status.mtime);
        attr.ctime = convert::host_time(status.ctime);
        Ok(())
    }

    /// The size now.
    pub(in crate::gofer) fn size(&self) -> Result<u64, Errno> {
        if let Some(fd) = self.any_fd() {
            return host::file::status(fd.as_fd()).map(|s| s.size).map_err(convert::errno);
        }
        self.attr().map(|a| a.size)
    }

    /// `fsync` of what was written.
    pub(in crate::gofer) fn sync_data(&self) -> Result<(), Errno> {
        if !self.unsynced.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        match self.any_fd() {
            Some(fd) => host::file::sync(fd.as_fd(), false).map_err(convert::errno),
            None => self.fs.client().fsync(&self.node, false),
        }
    }

    /// Runs `modify`, which changes data through a descriptor. The host takes set-id bits off then, since the sandbox has no
    /// capability there; bits that are still set here are meant to stay.
    pub(in crate::gofer) fn keeping_set_id<T>(
        &self,
        modify: impl FnOnce() -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let mode = self.cached_attr().mode & 0o7777;
        let done = modify();
        self.wrote();
        if mode & 0o6000 != 0 {
            self.set_attr(&SetAttr { mode: Some(mode), ..SetAttr::default() })?;
        }
        done
    }

    /// Changes the size, and with it whatever else `change` says.
    pub(super) fn set_size(&self, change: &SetAttr, size: u64) -> Result<(), Errno> {
        let _io = self.io.lock();
        let only_size = change.mode.is_none()
            && change.uid.is_none()
            && change.gid.is_none()
            && change.atime.is_none()
            && matches!(change.mtime, None | Some(SetTime::Now));
        let have = self.state.lock().fds.write.clone();
        match have {
            // The host sets the times.
            Some(fd) if only_size => {
                self.keeping_set_id(|| host::memfd::set_len(fd.as_fd(), size).map_err(convert::errno))?;
            }
            _ => {
                let attr = self.fs.client().set_attr(&self.node, convert::set_attr(change))?;
                self.absorb(&attr);
                self.unsynced.store(true, Ordering::Release);
            }
        }
        Ok(())
    }

    /// Closes what a file that nobody has open any more need not keep.
    pub(super) fn give_back_descriptors(&self) {
        // Somebody else may want to run a shared file, or be told that it was written.
        let idle = self.common.opens.load(Ordering::Acquire) == 0;
        let written = self.fs.shared() && self.common.writers.load(Ordering::Acquire) <= 0;
        let crowded = self.fs.fds.load(Ordering::Relaxed) > self.fs.fds_idle_max;
        if self.kind != FileType::Regular || !(idle && crowded || written) || !self.maps.is_empty() {
            return;
        }
        if self.dirty.load(Ordering::Acquire)
            && let Some(fd) = self.any_fd()
        {
            let _ = self.look(&fd); // a failure leaves the attributes as they were last seen
        }
        let mut state = self.state.lock();
        let before = state.fds.count();
        let write = state.fds.write.take();
        let shared_one = write.as_ref().zip(state.fds.read.as_ref()).is_some_and(|(w, r)| Arc::ptr_eq(w, r));
        let read = if shared_one || (idle && crowded) { state.fds.read.take() } else { None };
        let after = state.fds.count();
        drop(state);
        self.fs.fds.fetch_sub(before - after, Ordering::Relaxed);
        drop((read, write));
    }
}
