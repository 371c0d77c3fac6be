//! An address space over a platform that only remembers: what application code would see of it.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use abi::{Errno, MapFlags, Prot};
use mem::{Backing, Mappable, MappingSet, MemoryFile, PAGE_SIZE};
use mm::{AddressSpace, FaultError, Limits, MapRequest, MapSource};
use platform::{Access, Change};
use std::{
    collections::BTreeMap,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The user range of the tests: 128 GiB.
pub const USER: (u64, u64) = (0x1_0000, 0x20_0000_0000);

pub type Mapping = (RawFd, u64, Access);

/// A platform's side that keeps a page table.
#[derive(Default)]
pub struct FakeSpace {
    pub table: Mutex<BTreeMap<u64, Mapping>>,
    /// Calls of `apply`.
    pub calls: AtomicUsize,
    /// Changes in all.
    pub changes: AtomicUsize,
}

impl platform::AddressSpace for FakeSpace {
    fn apply(&self, changes: &[Change]) -> Result<(), Errno> {
        let mut table = self.table.lock().unwrap();
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.changes.fetch_add(changes.len(), Ordering::Relaxed);
        for change in changes {
            match *change {
                Change::Map { addr, len, fd, offset, access, .. } => {
                    assert!(
                        addr % PAGE_SIZE == 0 && len % PAGE_SIZE == 0 && len > 0 && offset % PAGE_SIZE == 0
                    );
                    assert!(addr >= USER.0 && addr + len <= USER.1);
                    for by in (0..len).step_by(PAGE_SIZE as usize) {
                        table.insert(addr + by, (fd, offset + by, access));
                    }
                }
                Change::Unmap { addr, len } => {
                    assert!(len > 0);
                    let gone: Vec<u64> = table.range(addr..addr + len).map(|(a, _)| *a).collect();
                    gone.iter().for_each(|a| assert!(table.remove(a).is_some()));
                }
                Change::Protect { addr, len, access } => {
                    assert!(len > 0);
                    table.range_mut(addr..addr + len).for_each(|(_, m)| m.2 = access);
                }
            }
        }
        Ok(())
    }
    fn clear(&self) -> Result<(), Errno> {
        self.table.lock().unwrap().clear();
        Ok(())
    }
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// A host file that can be mapped.
pub struct HostFile {
    pub fd: Arc<OwnedFd>,
    pub mappings: MappingSet,
}

impl HostFile {
    /// A file whose pages start with `first`, `first + 1`, ... and go on with the same byte.
    pub fn new(pages: u64, first: u8) -> Arc<Self> {
        let fd = host::memfd::create(c"test", false).unwrap();
        for page in 0..pages {
            let byte = first.wrapping_add(page as u8);
            host::io::write_at(fd.as_fd(), &[byte; PAGE_SIZE as usize], page * PAGE_SIZE).unwrap();
        }
        Arc::new(Self { fd: Arc::new(fd), mappings: MappingSet::default() })
    }
    pub fn byte(&self, at: u64) -> u8 {
        let mut byte = [0];
        host::io::read_at(self.fd.as_fd(), &mut byte, at).unwrap();
        byte[0]
    }
}

impl Mappable for HostFile {
    fn back(&self, offset: u64, len: u64, _write: bool) -> Result<(Backing, u64), Errno> {
        let size = rustix_size(&self.fd);
        let left = mem::page_up(size).unwrap().checked_sub(offset).filter(|l| *l > 0).ok_or(Errno::EFAULT)?;
        Ok((Backing::Host { fd: self.fd.clone(), offset }, len.min(left)))
    }
    fn mappings(&self) -> &MappingSet {
        &self.mappings
    }
}

fn rustix_size(fd: &Arc<OwnedFd>) -> u64 {
    std::fs::File::from(fd.try_clone().unwrap()).metadata().unwrap().len()
}

/// A process of a test.
pub struct Proc {
    pub mm: Arc<AddressSpace>,
    pub space: Arc<FakeSpace>,
    pub memory: Arc<MemoryFile>,
    pub hosts: Vec<Arc<HostFile>>,
    /// Faults so far.
    pub faults: usize,
}

impl Proc {
    pub fn new(memory: &Arc<MemoryFile>) -> Self {
        Self::limited(memory, Limits::default())
    }

    pub fn limited(memory: &Arc<MemoryFile>, limits: Limits) -> Self {
        let space = Arc::new(FakeSpace::default());
        let mm = AddressSpace::new(memory.clone(), space.clone(), USER, None, limits);
        mm.activate().unwrap();
        Self { mm, space, memory: memory.clone(), hosts: Vec::new(), faults: 0 }
    }

    pub fn fork(&self) -> Self {
        let space = Arc::new(FakeSpace::default());
        let mm = self.mm.fork(space.clone()).unwrap();
        Self { mm, space, memory: self.memory.clone(), hosts: self.hosts.clone(), faults: 0 }
    }

    fn translate(&mut self, addr: u64, need: Access) -> Result<(RawFd, u64), FaultError> {
        let page = mem::page_down(addr);
        for _ in 0..8 {
            let there = self.space.table.lock().unwrap().get(&page).copied();
            let missing = match there {
                Some((fd, off, access)) if access.contains(need) => return Ok((fd, off + (addr - page))),
                // As a platform that can tell a store only where loads work.
                Some((_, _, access)) if access.contains(Access::READ) => need,
                _ => Access::READ,
            };
            self.faults += 1;
            self.mm.handle_fault(addr, missing)?;
        }
        panic!("the fault at {addr:#x} makes no progress");
    }

    /// A load by the application.
    pub fn load(&mut self, addr: u64) -> Result<u8, FaultError> {
        let (fd, off) = self.translate(addr, Access::READ)?;
        if fd == self.memory.raw_fd() {
            let mut byte = [0];
            self.memory.slice(off, 1).unwrap().copy_to(&mut byte);
            return Ok(byte[0]);
        }
        Ok(self.host(fd).byte(off))
    }

    /// A store by the application.
    pub fn store(&mut self, addr: u64, byte: u8) -> Result<(), FaultError> {
        let (fd, off) = self.translate(addr, Access::WRITE)?;
        if fd == self.memory.raw_fd() {
            self.memory.slice(off, 1).unwrap().copy_from(&[byte]);
        } else {
            host::io::write_at(self.host(fd).fd.as_fd(), &[byte], off).unwrap();
        }
        Ok(())
    }

    fn host(&self, fd: RawFd) -> Arc<HostFile> {
        self.hosts.iter().find(|h| h.fd.as_raw_fd() == fd).unwrap().clone()
    }

    pub fn map(&self, addr: u64, pages: u64, prot: Prot, flags: MapFlags) -> Result<u64, Errno> {
        let source = MapSource::Anonymous;
        self.mm.mmap(&MapRequest {
            addr,
            len: pages * PAGE_SIZE,
            prot,
            flags: flags | MapFlags::ANONYMOUS,
            source,
        })
    }

    pub fn map_object(
        &mut self,
        object: Arc<dyn Mappable>,
        addr: u64,
        pages: u64,
        prot: Prot,
        flags: MapFlags,
    ) -> Result<u64, Errno> {
        let source = MapSource::Object { object, name: "object".into(), attachment: None };
        self.mm.mmap(&MapRequest { addr, len: pages * PAGE_SIZE, prot, flags, source })
    }

    pub fn calls(&self) -> usize {
        self.space.calls.load(Ordering::Relaxed)
    }
}

pub fn memory() -> Arc<MemoryFile> {
    Arc::new(MemoryFile::new(1 << 38).unwrap())
}

pub const RW: Prot = Prot::READ.union(Prot::WRITE);
pub const PRIVATE: MapFlags = MapFlags::PRIVATE;
pub const FIXED: MapFlags = MapFlags::PRIVATE.union(MapFlags::FIXED);
