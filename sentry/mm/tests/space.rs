//! Address spaces as programs use them.
mod common;

use abi::{Errno, MapFlags, Prot, mman::*};
use common::*;
use mem::{IoSrc, PAGE_SIZE, UserAddr, UserMemory, UserMemoryExt};
use mm::{FaultError, FutexKey, Limits, MapRequest, MapSource, MemoryObject};
use platform::Access;

const MAPERR: FaultError = FaultError::Segv { mapped: false };
const ACCERR: FaultError = FaultError::Segv { mapped: true };

#[test]
fn anonymous_memory_is_mapped_whole_and_goes_back() {
    let memory = memory();
    let mut p = Proc::new(&memory);
    let at = p.map(0, 16, RW, PRIVATE).unwrap();
    assert_eq!((p.calls(), p.faults), (1, 0));
    p.store(at + 5, 1).unwrap();
    p.store(at + 15 * PAGE_SIZE, 2).unwrap();
    assert_eq!(p.load(at + 5), Ok(1));
    assert_eq!(p.faults, 0);
    let below = p.map(0, 4, RW, PRIVATE).unwrap();
    assert_eq!(below, at - 4 * PAGE_SIZE);
    // One host mapping would do for both.
    let table = p.space.table.lock().unwrap().clone();
    assert_eq!(table[&below].1 + 4 * PAGE_SIZE, table[&at].1);
    assert_eq!(p.mm.maps().len(), 1);
    p.mm.munmap(at + PAGE_SIZE, 2 * PAGE_SIZE).unwrap();
    assert_eq!(p.load(at + PAGE_SIZE), Err(MAPERR));
    assert_eq!(p.load(at + 5), Ok(1));
    assert_eq!(memory.used_bytes(), 18 * PAGE_SIZE);
    drop(p);
    memory.trim();
    assert_eq!((memory.used_bytes(), memory.resident_bytes()), (0, 0));
}

#[test]
fn huge_areas_are_backed_as_they_are_touched() {
    let memory = memory();
    let mut p = Proc::new(&memory);
    let at = p.map(0, 1 << 20, RW, PRIVATE | MapFlags::NORESERVE).unwrap();
    assert_eq!(memory.used_bytes(), 0);
    p.store(at + (1 << 30), 7).unwrap();
    assert_eq!(memory.used_bytes(), 2 << 20);
    let mut last = p.faults;
    for by in (0u64..256 << 20).step_by(1 << 20) {
        p.store(at + by, 1).unwrap();
    }
    last = p.faults - last;
    assert!(last < 12, "{last} faults");
    let none = p.map(0, 1 << 20, Prot::empty(), PRIVATE).unwrap();
    assert_eq!(p.load(none), Err(ACCERR));
    p.mm.mprotect(none, 4 * PAGE_SIZE, RW).unwrap();
    let faults = p.faults;
    p.store(none, 3).unwrap();
    assert_eq!(p.faults, faults);
}

#[test]
fn fork_shares_until_either_side_stores() {
    let memory = memory();
    let mut p = Proc::new(&memory);
    let at = p.map(0, 64, RW, PRIVATE).unwrap();
    for page in 0..64 {
        p.store(at + page * PAGE_SIZE, page as u8).unwrap();
    }
    let calls = p.calls();
    let mut c = p.fork();
    assert_eq!((p.calls(), c.calls()), (calls + 1, 0));
    assert_eq!(memory.used_bytes(), 64 * PAGE_SIZE);
    assert_eq!(c.load(at + 3 * PAGE_SIZE), Ok(3));
    assert_eq!(c.faults, 1);
    c.store(at + 3 * PAGE_SIZE, 100).unwrap();
    p.store(at + 4 * PAGE_SIZE, 101).unwrap();
    assert_eq!((p.load(at + 3 * PAGE_SIZE), c.load(at + 3 * PAGE_SIZE)), (Ok(3), Ok(100)));
    assert_eq!((p.load(at + 4 * PAGE_SIZE), c.load(at + 4 * PAGE_SIZE)), (Ok(101), Ok(4)));
    let mut g = c.fork();
    c.mm.copy_out(UserAddr(at + 40 * PAGE_SIZE), &[9; 8192]).unwrap();
    assert_eq!(g.load(at + 40 * PAGE_SIZE), Ok(40));
    assert_eq!(p.load(at + 41 * PAGE_SIZE), Ok(41));
    assert_eq!(c.load(at + 41 * PAGE_SIZE), Ok(9));
    drop((c, g));
    // The sole owner takes everything back in one go.
    let used = memory.used_bytes();
    let faults = p.faults;
    for page in 16..64 {
        p.store(at + page * PAGE_SIZE, 1).unwrap();
    }
    assert!(p.faults - faults <= 1, "{}", p.faults - faults);
    assert_eq!(memory.used_bytes(), used);
    assert_eq!(used, 64 * PAGE_SIZE);
    drop(p);
    assert_eq!(memory.used_bytes(), 0);
}

#[test]
fn dontfork_and_wipeonfork() {
    let memory = memory();
    let mut p = Proc::new(&memory);
    let at = p.map(0, 3, RW, PRIVATE).unwrap();
    for page in 0..3 {
        p.store(at + page * PAGE_SIZE, 5).unwrap();
    }
    p.mm.madvise(at, PAGE_SIZE, MADV_DONTFORK).unwrap();
    p.mm.madvise(at + PAGE_SIZE, PAGE_SIZE, MADV_WIPEONFORK).unwrap();
    let mut c = p.fork();
    assert_eq!(c.load(at), Err(MAPERR));
    assert_eq!((c.load(at + PAGE_SIZE), c.load(at + 2 * PAGE_SIZE)), (Ok(0), Ok(5)));
    assert_eq!(p.load(at + PAGE_SIZE), Ok(5));
}

#[test]
fn private_file_pages_are_the_hosts_until_written() {
    let memory = memory();
    let file = HostFile::new(64, 1);
    let mut p = Proc::new(&memory);
    p.hosts.push(file.clone());
    let at = p.map_object(file.clone(), 0, 64, Prot::READ | Prot::EXEC, PRIVATE).unwrap();
    assert_eq!((p.load(at + 9 * PAGE_SIZE), p.faults, memory.used_bytes()), (Ok(10), 0, 0));
    assert_eq!(p.store(at, 1), Err(ACCERR));
    let mut bytes = [0; 3];
    p.mm.copy_in(UserAddr(at + PAGE_SIZE - 1), &mut bytes).unwrap();
    assert_eq!(bytes, [1, 2, 2]);
    p.mm.mprotect(at, 64 * PAGE_SIZE, RW).unwrap();
    p.store(at + 20 * PAGE_SIZE + 5, 200).unwrap();
    assert_eq!((p.load(at + 20 * PAGE_SIZE), p.load(at + 20 * PAGE_SIZE + 5)), (Ok(21), Ok(200)));
    assert_eq!((file.byte(20 * PAGE_SIZE + 5), memory.used_bytes()), (21, 16 * PAGE_SIZE));
    let mut c = p.fork();
    c.store(at + 20 * PAGE_SIZE + 5, 201).unwrap();
    assert_eq!(p.load(at + 20 * PAGE_SIZE + 5), Ok(200));
    p.mm.madvise(at, 64 * PAGE_SIZE, MADV_DONTNEED).unwrap();
    assert_eq!(p.load(at + 20 * PAGE_SIZE + 5), Ok(21));
    // A debugger stores to what the program may not.
    p.mm.mprotect(at, 64 * PAGE_SIZE, Prot::READ).unwrap();
    assert_eq!(p.mm.copy_out(UserAddr(at), &[1]), Err(Errno::EFAULT));
    let poke = p.mm.with_pieces_forced(UserAddr(at), 1, Access::WRITE, &mut |piece| {
        piece.copy_from(&[0xccu8]);
        Ok(1)
    });
    assert_eq!((poke, p.load(at), file.byte(0)), (Ok(1), Ok(0xcc), 1));
    assert_eq!(p.store(at, 1), Err(ACCERR));
    drop((p, c));
    assert_eq!(memory.used_bytes(), 0);
    assert!(file.mappings.is_empty());
}

#[test]
fn a_programs_data_is_copied_at_once() {
    let memory = memory();
    let file = HostFile::new(2, 1);
    let mut p = Proc::new(&memory);
    p.hosts.push(file.clone());
    let at = p.map_object(file, 0, 4, RW, PRIVATE).unwrap();
    p.store(at + PAGE_SIZE, 50).unwrap();
    assert_eq!((p.load(at), p.load(at + PAGE_SIZE + 1), p.faults), (Ok(1), Ok(2), 0));
    assert_eq!(p.load(at + 2 * PAGE_SIZE), Err(FaultError::Bus));
    assert_eq!(p.mm.copy_in(UserAddr(at + 2 * PAGE_SIZE), &mut [0]), Err(Errno::EFAULT));
}

#[test]
fn shared_files_and_shared_memory() {
    let memory = memory();
    let file = HostFile::new(4, 1);
    let mut p = Proc::new(&memory);
    p.hosts.push(file.clone());
    let at = p.map_object(file.clone(), 0, 4, RW, MapFlags::SHARED).unwrap();
    p.store(at, 77).unwrap();
    p.mm.copy_out(UserAddr(at + PAGE_SIZE - 1), &[1, 2, 3]).unwrap();
    assert_eq!((file.byte(0), file.byte(PAGE_SIZE), file.byte(PAGE_SIZE + 1)), (77, 2, 3));
    let shared = p.map(0, 8, RW, MapFlags::SHARED).unwrap();
    let mut c = p.fork();
    c.store(shared + 5 * PAGE_SIZE, 9).unwrap();
    assert_eq!(p.load(shared + 5 * PAGE_SIZE), Ok(9));
    assert_eq!(p.mm.futex_key(shared, false), c.mm.futex_key(shared, false));
    assert_ne!(p.mm.futex_key(shared, true), c.mm.futex_key(shared, true));
    assert_eq!(p.mm.futex_key(at, true), Ok(FutexKey::Private { mm: p.mm.id(), addr: at }));
    // Of zero old bytes of a shared mapping, a second one is made.
    let twin = p.mm.mremap(shared, 0, 8 * PAGE_SIZE, MremapFlags::MAYMOVE, 0).unwrap();
    p.store(twin, 4).unwrap();
    assert_eq!(c.load(shared), Ok(4));
    p.mm.madvise(twin, PAGE_SIZE, MADV_REMOVE).unwrap();
    assert_eq!((p.load(shared), c.load(shared)), (Ok(0), Ok(0)));
    drop((p, c));
    assert_eq!(memory.used_bytes(), 0);
}

#[test]
fn truncation_takes_pages_away() {
    let memory = memory();
    let object = MemoryObject::new(memory.clone());
    object.write_at(0, &mut IoSrc::bytes(&mut [7; 3 * PAGE_SIZE as usize])).unwrap();
    let mut p = Proc::new(&memory);
    let shared = p.map_object(object.clone(), 0, 3, RW, MapFlags::SHARED).unwrap();
    let private = p.map_object(object.clone(), 0, 3, RW, PRIVATE).unwrap();
    p.store(private + PAGE_SIZE, 8).unwrap();
    p.store(shared + 2 * PAGE_SIZE, 9).unwrap();
    assert_eq!(p.load(private + PAGE_SIZE + 1), Ok(7));
    object.set_size(PAGE_SIZE + 1).unwrap();
    assert_eq!(p.load(shared + 2 * PAGE_SIZE), Err(FaultError::Bus));
    assert_eq!((p.load(shared + PAGE_SIZE), p.load(shared + PAGE_SIZE + 1)), (Ok(7), Ok(0)));
    object.set_size(3 * PAGE_SIZE).unwrap();
    assert_eq!(p.load(shared + 2 * PAGE_SIZE), Ok(0));
    drop((p, object));
    assert_eq!(memory.used_bytes(), 0);
}

#[test]
fn moving_growing_and_shrinking() {
    let memory = memory();
    let mut p = Proc::new(&memory);
    let at = p.map(0, 8, RW, PRIVATE).unwrap();
    p.store(at + 7 * PAGE_SIZE, 3).unwrap();
    p.mm.munmap(at, 2 * PAGE_SIZE).unwrap();
    let old = at + 2 * PAGE_SIZE;
    // Above is unmapped address space, or not: either way the byte comes along.
    let new = p.mm.mremap(old, 6 * PAGE_SIZE, 100 * PAGE_SIZE, MremapFlags::MAYMOVE, 0).unwrap();
    assert_eq!((p.load(new + 5 * PAGE_SIZE), p.load(new + 99 * PAGE_SIZE)), (Ok(3), Ok(0)));
    let target = 0x1000_0000;
    let fixed = MremapFlags::MAYMOVE | MremapFlags::FIXED;
    assert_eq!(p.mm.mremap(new, 6 * PAGE_SIZE, 6 * PAGE_SIZE, fixed, target), Ok(target));
    assert_eq!((p.load(target + 5 * PAGE_SIZE), p.load(new)), (Ok(3), Err(MAPERR)));
    assert_eq!(p.mm.mremap(target, 6 * PAGE_SIZE, PAGE_SIZE, MremapFlags::empty(), 0), Ok(target));
    assert_eq!(p.load(target + PAGE_SIZE), Err(MAPERR));
    p.store(target, 1).unwrap();
    let keep = MremapFlags::MAYMOVE | MremapFlags::DONTUNMAP;
    let kept = p.mm.mremap(target, PAGE_SIZE, PAGE_SIZE, keep, 0).unwrap();
    assert_eq!((p.load(kept), p.load(target)), (Ok(1), Ok(0)));
    assert_eq!(
        p.mm.mremap(0x5000_0000, PAGE_SIZE, PAGE_SIZE * 2, MremapFlags::MAYMOVE, 0),
        Err(Errno::EFAULT)
    );
    assert_eq!(p.mm.mremap(kept, 0, PAGE_SIZE, MremapFlags::MAYMOVE, 0), Err(Errno::EINVAL));
    assert_eq!(p.mm.mremap(kept, PAGE_SIZE, 0, MremapFlags::MAYMOVE, 0), Err(Errno::EINVAL));
    let twice = MremapFlags::FIXED;
    assert_eq!(p.mm.mremap(kept, PAGE_SIZE, PAGE_SIZE, twice, target), Err(Errno::EINVAL));
    drop(p);
    assert_eq!(memory.used_bytes(), 0);
}

#[test]
fn the_heap_and_its_limit() {
    let memory = memory();
    let limits = Limits { data: 1 << 20, ..Limits::default() };
    let mut p = Proc::limited(&memory, limits);
    p.mm.set_brk_start(0x100_0000);
    assert_eq!(p.mm.brk(0), 0x100_0000);
    assert_eq!(p.mm.brk(0x100_0010), 0x100_0010);
    p.store(0x100_0fff, 1).unwrap();
    assert_eq!(p.mm.brk(0x102_0000), 0x102_0000);
    p.store(0x101_ffff, 1).unwrap();
    assert_eq!(p.mm.maps().iter().filter(|e| e.name == "[heap]").count(), 1);
    assert_eq!(p.mm.brk(0x140_0000), 0x102_0000);
    assert_eq!(p.mm.brk(0x100_0001), 0x100_0001);
    assert_eq!(p.load(0x101_ffff), Err(MAPERR));
    p.map(0x100_2000, 1, RW, FIXED).unwrap();
    assert_eq!(p.mm.brk(0x100_2000), 0x100_0001);
    assert_eq!(p.faults, 1);
}

#[test]
fn stacks_grow_to_their_limit() {
    let memory = memory();
    let mut p = Proc::new(&memory);
    let top = p.mm.create_stack(132 << 10, false).unwrap();
    p.store(top - 8, 1).unwrap();
    assert_eq!(p.faults, 0);
    p.store(top - (1 << 20), 1).unwrap();
    p.store(top - (8 << 20), 1).unwrap();
    assert_eq!(p.store(top - (8 << 20) - 1, 1), Err(MAPERR));
    // The kernel's own stores grow it, too.
    let q = Proc::new(&memory);
    let top = q.mm.create_stack(PAGE_SIZE, false).unwrap();
    q.mm.copy_out(UserAddr(top - 300_000), &[1; 5000]).unwrap();
    // A neighbour keeps its distance.
    let mut r = Proc::new(&memory);
    let top = r.mm.create_stack(PAGE_SIZE, false).unwrap();
    r.map(top - (2 << 20), 1, RW, FIXED).unwrap();
    assert_eq!(r.store(top - (1 << 20) - (900 << 10), 1), Err(MAPERR));
    r.store(top - (800 << 10), 1).unwrap();
}

#[test]
fn exec_tells_the_platform_once() {
    let memory = memory();
    let space = std::sync::Arc::new(FakeSpace::default());
    let mm = mm::AddressSpace::new(memory.clone(), space.clone(), USER, None, Limits::default());
    let mut p = Proc { mm, space, memory: memory.clone(), hosts: vec![HostFile::new(8, 1)], faults: 0 };
    let file = p.hosts[0].clone();
    p.map_object(file.clone(), 0x40_0000, 8, Prot::READ | Prot::EXEC, FIXED).unwrap();
    p.map_object(file, 0x41_0000, 2, RW, FIXED).unwrap();
    p.mm.zero(UserAddr(0x41_1000), 100).unwrap();
    p.map(0x41_2000, 3, RW, FIXED).unwrap();
    p.mm.mprotect(0x41_0000, PAGE_SIZE, Prot::READ).unwrap();
    let top = p.mm.create_stack(132 << 10, false).unwrap();
    assert_eq!(p.calls(), 0);
    p.mm.activate().unwrap();
    assert_eq!(p.calls(), 1);
    assert_eq!((p.load(0x40_7000), p.load(0x41_0000), p.load(0x41_1000)), (Ok(8), Ok(1), Ok(0)));
    p.store(0x41_4fff, 1).unwrap();
    p.store(top - 1, 1).unwrap();
    assert_eq!((p.faults, p.store(0x41_0000, 1)), (0, Err(ACCERR)));
}

#[test]
fn seals_refuse_shared_writers() {
    struct Sealed(std::sync::Arc<MemoryObject>);
    impl mem::Mappable for Sealed {
        fn back(&self, offset: u64, len: u64, write: bool) -> Result<(mem::Backing, u64), Errno> {
            mem::Mappable::back(&*self.0, offset, len, write)
        }
        fn admit(&self, shared: bool, write: bool) -> Result<bool, Errno> {
            if shared && write { Err(Errno::EPERM) } else { Ok(false) }
        }
        fn mappings(&self) -> &mem::MappingSet {
            mem::Mappable::mappings(&*self.0)
        }
    }
    let memory = memory();
    let object = MemoryObject::new(memory.clone());
    object.set_size(PAGE_SIZE).unwrap();
    let mut p = Proc::new(&memory);
    let at = p.map_object(object.clone(), 0, 1, Prot::READ, MapFlags::SHARED).unwrap();
    assert!(mem::Mappable::mappings(&*object).has_writers());
    p.mm.munmap(at, PAGE_SIZE).unwrap();
    assert!(!mem::Mappable::mappings(&*object).has_writers());
    let sealed = std::sync::Arc::new(Sealed(object.clone()));
    assert_eq!(p.map_object(sealed.clone(), 0, 1, RW, MapFlags::SHARED), Err(Errno::EPERM));
    let at = p.map_object(sealed.clone(), 0, 1, Prot::READ, MapFlags::SHARED).unwrap();
    assert!(!mem::Mappable::mappings(&*object).has_writers());
    assert_eq!(p.mm.mprotect(at, PAGE_SIZE, RW), Err(Errno::EACCES));
    let own = p.map_object(sealed, 0, 1, RW, PRIVATE).unwrap();
    p.store(own, 1).unwrap();
}

#[test]
fn huge_shared_memory_is_made_as_it_is_touched() {
    let memory = memory();
    let mut p = Proc::new(&memory);
    let at = p.map(0, 1 << 24, RW, MapFlags::SHARED | MapFlags::NORESERVE).unwrap();
    p.store(at + (1 << 35), 1).unwrap();
    let mut c = p.fork();
    assert_eq!(c.load(at + (1 << 35)), Ok(1));
    assert!(memory.used_bytes() < 16 << 20, "{}", memory.used_bytes());
    let faults = p.faults;
    for by in (0u64..512 << 20).step_by(1 << 20) {
        p.store(at + by, 1).unwrap();
    }
    assert!(p.faults - faults < 24, "{}", p.faults - faults);
    drop((p, c));
    assert_eq!(memory.used_bytes(), 0);
}

#[test]
fn threads_copy_while_memory_changes() {
    let memory = memory();
    let p = Proc::new(&memory);
    let at = p.map(0, 256, RW, PRIVATE).unwrap();
    let object = MemoryObject::new(memory.clone());
    object.set_size(64 * PAGE_SIZE).unwrap();
    let source = MapSource::Object { object: object.clone(), name: "x".into(), attachment: None };
    let request = MapRequest { addr: 0, len: 64 * PAGE_SIZE, prot: RW, flags: MapFlags::SHARED, source };
    let shared = p.mm.mmap(&request).unwrap();
    let mm = &p.mm;
    std::thread::scope(|s| {
        for thread in 0..3u64 {
            let object = &object;
            s.spawn(move || {
                for i in 0..400u64 {
                    let bytes = [thread as u8 + 1; 10_000];
                    let _ = mm.copy_out(UserAddr(at + (i * 3 + thread) % 250 * PAGE_SIZE), &bytes);
                    let _ = object.write_at(i * 100, &mut IoSrc::user(&**mm, UserAddr(shared), 30_000));
                    let mut dst = mem::IoDst::user(&**mm, UserAddr(at + i % 200 * PAGE_SIZE), 20_000);
                    let _ = object.read_at(0, &mut dst);
                }
            });
        }
        s.spawn(|| {
            for i in 0..150u64 {
                let child = mm.fork(std::sync::Arc::new(FakeSpace::default())).unwrap();
                let _ = mm.munmap(at + i * PAGE_SIZE, PAGE_SIZE);
                let fixed = MapFlags::FIXED | MapFlags::ANONYMOUS | PRIVATE;
                let source = MapSource::Anonymous;
                let addr = at + i * PAGE_SIZE;
                mm.mmap(&MapRequest { addr, len: PAGE_SIZE, prot: RW, flags: fixed, source }).unwrap();
                object.set_size(i % 64 * PAGE_SIZE).unwrap();
                object.set_size(64 * PAGE_SIZE).unwrap();
                drop(child);
            }
        });
    });
    drop((p, object, request));
    assert_eq!(memory.used_bytes(), 0);
}

#[test]
fn errors_of_mmap_and_mprotect() {
    let memory = memory();
    let mut p = Proc::limited(&memory, Limits { address_space: 1 << 30, memlock: 8192, ..Limits::default() });
    assert_eq!(p.map(0, 0, RW, PRIVATE), Err(Errno::EINVAL));
    assert_eq!(p.map(0, 1, RW, MapFlags::empty()), Err(Errno::EINVAL));
    assert_eq!(p.map(123, 1, RW, FIXED), Err(Errno::EINVAL));
    assert_eq!(p.map(0, 1, RW, FIXED), Err(Errno::EPERM));
    assert_eq!(p.map(0, 1 << 40, RW, PRIVATE), Err(Errno::ENOMEM));
    assert_eq!(p.map(0, 1 << 20, RW, PRIVATE), Err(Errno::ENOMEM));
    assert_eq!(p.map(0, 3, RW, PRIVATE | MapFlags::LOCKED), Err(Errno::EAGAIN));
    let at = p.map(0, 2, RW, PRIVATE | MapFlags::LOCKED).unwrap();
    assert_eq!(p.mm.madvise(at, PAGE_SIZE, MADV_DONTNEED), Err(Errno::EINVAL));
    assert_eq!(p.mm.mlock(at - PAGE_SIZE, PAGE_SIZE, MlockFlags::empty()), Err(Errno::ENOMEM));
    assert_eq!(p.mm.mincore(at, 2 * PAGE_SIZE), Ok(vec![1, 1]));
    assert_eq!(p.mm.msync(at, PAGE_SIZE, MsyncFlags::INVALIDATE), Err(Errno::EBUSY));
    p.mm.munlock(at, 8192).unwrap();
    assert_eq!(p.mm.msync(at, 3 * PAGE_SIZE, MsyncFlags::SYNC), Err(Errno::ENOMEM));
    let noreplace = MapFlags::FIXED_NOREPLACE | PRIVATE;
    assert_eq!(p.map(at, 1, RW, noreplace), Err(Errno::EEXIST));
    assert_eq!(p.mm.munmap(at, 0), Err(Errno::EINVAL));
    assert_eq!(p.mm.munmap(at + 1, 1), Err(Errno::EINVAL));
    assert_eq!(p.mm.mprotect(at, 3 * PAGE_SIZE, Prot::READ), Err(Errno::ENOMEM));
    // What came before the hole was done.
    assert_eq!(p.store(at, 1), Err(ACCERR));
    let low = p.map(0, 1, RW, PRIVATE | MapFlags::_32BIT).unwrap();
    assert!(low < 1 << 31);
    let hint = p.map(0x7777_7000, 1, RW, PRIVATE).unwrap();
    assert_eq!(hint, 0x7777_7000);
    assert_ne!(p.map(0x7777_7000, 1, RW, PRIVATE).unwrap(), hint);
    let huge = MapFlags::HUGETLB | MapFlags::ANONYMOUS | PRIVATE;
    let request = MapRequest { addr: 0, len: 2 << 20, prot: RW, flags: huge, source: MapSource::Anonymous };
    assert_eq!(p.mm.mmap(&request), Err(Errno::ENOMEM));
}

#[test]
fn discarding_and_figures() {
    let memory = memory();
    let mut p = Proc::new(&memory);
    let at = p.map(0, 8, RW, PRIVATE).unwrap();
    for page in 0..8 {
        p.store(at + page * PAGE_SIZE, 1).unwrap();
    }
    let sizes = p.mm.sizes();
    assert_eq!((sizes.vm_size, sizes.rss_anon, sizes.vm_data), (8 * PAGE_SIZE, 8 * PAGE_SIZE, 8 * PAGE_SIZE));
    let calls = p.calls();
    p.mm.madvise(at, 4 * PAGE_SIZE, MADV_DONTNEED).unwrap();
    assert_eq!(p.calls(), calls);
    assert_eq!((p.load(at), p.load(at + 4 * PAGE_SIZE), p.faults), (Ok(0), Ok(1), 0));
    let sizes = p.mm.sizes();
    assert_eq!((sizes.rss_anon, sizes.vm_hwm), (5 * PAGE_SIZE, 8 * PAGE_SIZE));
    let mut c = p.fork();
    c.mm.madvise(at, 8 * PAGE_SIZE, MADV_DONTNEED).unwrap();
    assert_eq!((c.load(at + 4 * PAGE_SIZE), p.load(at + 4 * PAGE_SIZE)), (Ok(0), Ok(1)));
    assert_eq!(p.mm.madvise(at, 9 * PAGE_SIZE, MADV_DONTDUMP), Ok(()).and(Err(Errno::ENOMEM)));
    assert_eq!(p.mm.madvise(at, PAGE_SIZE, 12345), Err(Errno::EINVAL));
    p.mm.set_anon_name(at, PAGE_SIZE, Some("pool")).unwrap();
    assert_eq!(p.mm.maps().first().map(|e| e.name.clone()), Some("[anon:pool]".into()));
    assert_eq!(p.mm.smaps().iter().map(|(_, u)| u.resident).sum::<u64>(), p.mm.sizes().rss());
}
