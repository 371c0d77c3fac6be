//! Address spaces on the ptrace platform: real code, real faults, real page tables.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod common;

use abi::{MapFlags, Prot, mman::*};
use common::{FIXED, HostFile, PRIVATE, RW};
use mem::{MemoryFile, PAGE_SIZE, UserAddr, UserMemoryExt};
use mm::{AddressSpace, FaultError, Limits, MapRequest, MapSource};
use platform::{Context, Kick, Platform, Regs, Trap, Worker};
use ptrace::PtracePlatform;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Wake, Waker},
};

/// `mov [rdi], sil; syscall` and, 16 bytes on, `movzx eax, byte [rdi]; mov rbx, rax; syscall`.
const CODE: &[u8] =
    b"\x40\x88\x37\x0f\x05\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x0f\xb6\x07\x48\x89\xc3\x0f\x05";
const AT: u64 = 0x40_0000;

struct Flag {
    set: AtomicBool,
    kick: Arc<dyn Kick>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.set.store(true, Ordering::Release);
        self.kick.kick();
    }
}

struct Machine {
    platform: Arc<PtracePlatform>,
    worker: Box<dyn Worker>,
}

struct App {
    mm: Arc<AddressSpace>,
    context: Box<dyn Context>,
    faults: usize,
}

impl Machine {
    fn start(&self, memory: &Arc<MemoryFile>) -> App {
        let space = self.platform.new_address_space().unwrap();
        let limits = Limits::default();
        let mm = AddressSpace::new(memory.clone(), space, self.platform.user_range(), None, limits);
        map(&mm, AT, 1, RW, FIXED);
        mm.copy_out(UserAddr(AT), CODE).unwrap();
        mm.mprotect(AT, PAGE_SIZE, Prot::READ | Prot::EXEC).unwrap();
        mm.activate().unwrap();
        App { mm, context: self.platform.new_context().unwrap(), faults: 0 }
    }

    fn fork(&self, app: &App) -> App {
        let mm = app.mm.fork(self.platform.new_address_space().unwrap()).unwrap();
        App { mm, context: self.platform.new_context().unwrap(), faults: 0 }
    }

    fn run(&mut self, app: &mut App, entry: u64, addr: u64, byte: u8) -> Result<u8, FaultError> {
        let mut regs = Regs { rip: AT + entry, rdi: addr, rsi: byte.into(), ..Regs::default() };
        let space = app.mm.platform_space();
        for _ in 0..100 {
            let flag = Arc::new(Flag { set: AtomicBool::new(false), kick: self.worker.kicker() });
            let waker = Waker::from(flag.clone());
            let mut cx = std::task::Context::from_waker(&waker);
            let trap = loop {
                match app.context.poll_switch(&mut cx, &space, &mut regs) {
                    Poll::Ready(trap) => break trap,
                    Poll::Pending => {
                        while !flag.set.swap(false, Ordering::AcqRel) {
                            self.worker.idle();
                        }
                    }
                }
            };
            match trap {
                Trap::Syscall => return Ok(regs.rbx as u8),
                Trap::Interrupted => {}
                Trap::Fault { addr, access } => {
                    app.faults += 1;
                    app.mm.handle_fault(addr, access)?;
                }
                other => panic!("{other:?}"),
            }
        }
        panic!("no progress");
    }

    fn store(&mut self, app: &mut App, addr: u64, byte: u8) -> Result<(), FaultError> {
        self.run(app, 0, addr, byte).map(drop)
    }

    fn load(&mut self, app: &mut App, addr: u64) -> Result<u8, FaultError> {
        self.run(app, 16, addr, 0)
    }
}

fn map(mm: &AddressSpace, addr: u64, pages: u64, prot: Prot, flags: MapFlags) -> u64 {
    let (len, flags) = (pages * PAGE_SIZE, flags | MapFlags::ANONYMOUS);
    mm.mmap(&MapRequest { addr, len, prot, flags, source: MapSource::Anonymous }).unwrap()
}

// One test: the worker is the thread that traces, and stubs belong to it.
#[test]
fn memory_is_what_programs_expect() {
    let platform = PtracePlatform::new().unwrap();
    let worker = platform.new_worker(0);
    let mut m = Machine { platform, worker };
    let memory = Arc::new(MemoryFile::new(1 << 38).unwrap());
    let mut p = m.start(&memory);

    let at = map(&p.mm, 0, 64, RW, PRIVATE);
    for page in 0..64 {
        m.store(&mut p, at + page * PAGE_SIZE, page as u8).unwrap();
    }
    assert_eq!(p.faults, 0);
    let file = HostFile::new(32, 100);
    let source = MapSource::Object { object: file.clone(), name: "file".into(), attachment: None };
    let text = MapRequest { addr: 0, len: 32 * PAGE_SIZE, prot: Prot::READ, flags: PRIVATE, source };
    let data = MapRequest { prot: RW, ..text.clone() };
    let text = p.mm.mmap(&text).unwrap();
    let data = p.mm.mmap(&data).unwrap();
    assert_eq!(m.load(&mut p, text + 5 * PAGE_SIZE), Ok(105));
    m.store(&mut p, data + 5 * PAGE_SIZE, 1).unwrap();
    assert_eq!((m.load(&mut p, data + 5 * PAGE_SIZE), file.byte(5 * PAGE_SIZE)), (Ok(1), 105));
    assert_eq!(m.store(&mut p, text, 1), Err(FaultError::Segv { mapped: true }));

    let mut c = m.fork(&p);
    assert_eq!(m.load(&mut c, at + 9 * PAGE_SIZE), Ok(9));
    m.store(&mut c, at + 9 * PAGE_SIZE, 90).unwrap();
    m.store(&mut p, at + 10 * PAGE_SIZE, 91).unwrap();
    assert_eq!((m.load(&mut p, at + 9 * PAGE_SIZE), m.load(&mut c, at + 10 * PAGE_SIZE)), (Ok(9), Ok(10)));
    assert_eq!((m.load(&mut c, text), m.load(&mut c, data + 5 * PAGE_SIZE)), (Ok(100), Ok(1)));
    c.mm.copy_out(UserAddr(at), &[7; 3 * PAGE_SIZE as usize]).unwrap();
    assert_eq!((m.load(&mut c, at + PAGE_SIZE), m.load(&mut p, at + PAGE_SIZE)), (Ok(7), Ok(1)));
    drop(c);
    m.store(&mut p, at + 40 * PAGE_SIZE, 3).unwrap();

    p.mm.madvise(at, 64 * PAGE_SIZE, MADV_DONTNEED).unwrap();
    assert_eq!(m.load(&mut p, at + 40 * PAGE_SIZE), Ok(0));
    m.store(&mut p, at, 4).unwrap();
    let moved = p.mm.mremap(at, 64 * PAGE_SIZE, 128 * PAGE_SIZE, MremapFlags::MAYMOVE, 0).unwrap();
    assert_eq!((m.load(&mut p, moved), m.load(&mut p, moved + 100 * PAGE_SIZE)), (Ok(4), Ok(0)));
    assert_eq!(m.load(&mut p, at).is_ok(), moved == at);
    p.mm.munmap(moved, 128 * PAGE_SIZE).unwrap();
    assert_eq!(m.load(&mut p, moved), Err(FaultError::Segv { mapped: false }));

    let top = p.mm.create_stack(132 << 10, false).unwrap();
    m.store(&mut p, top - 1, 1).unwrap();
    m.store(&mut p, top - (4 << 20), 1).unwrap();
    drop(p);
    assert_eq!(memory.used_bytes(), 0);
}

/// Not a test: what operations cost (`cargo test --release -p mm --test ptrace -- --ignored --nocapture`).
#[test]
#[ignore = "prints times"]
fn costs() {
    let platform = PtracePlatform::new().unwrap();
    let worker = platform.new_worker(0);
    let mut m = Machine { platform, worker };
    let memory = Arc::new(MemoryFile::new(1 << 38).unwrap());
    let mut p = m.start(&memory);
    let time = |name: &str, n: u32, f: &mut dyn FnMut(u32)| {
        f(0);
        let start = std::time::Instant::now();
        (0..n).for_each(&mut *f);
        println!("{name}: {} ns", start.elapsed().as_nanos() / u128::from(n));
    };
    m.store(&mut p, 0x10_0000, 1).unwrap_err();
    let at = map(&p.mm, 0, 64, RW, PRIVATE);
    time("switch", 1000, &mut |_| assert_eq!(m.load(&mut p, at), Ok(0)));
    let mm = p.mm.clone();
    time("mmap and munmap of 16 pages", 1000, &mut |_| {
        let at = map(&mm, 0, 16, RW, PRIVATE);
        mm.munmap(at, 16 * PAGE_SIZE).unwrap();
    });
    time("mprotect", 1000, &mut |i| {
        mm.mprotect(at, PAGE_SIZE, if i % 2 == 0 { Prot::READ } else { RW }).unwrap();
    });
    let mut bytes = [0u8; 64];
    time("copy in 64 bytes", 100_000, &mut |_| mm.copy_in(UserAddr(at), &mut bytes).unwrap());
    let file = HostFile::new(32, 100);
    let source = MapSource::Object { object: file, name: "file".into(), attachment: None };
    let text = MapRequest { addr: 0, len: 32 * PAGE_SIZE, prot: Prot::READ, flags: PRIVATE, source };
    let text = mm.mmap(&text).unwrap();
    time("copy in 64 bytes of a file", 100_000, &mut |_| mm.copy_in(UserAddr(text), &mut bytes).unwrap());
    time("fork and drop", 200, &mut |_| drop(m.fork(&p)));
    for i in 0..64 {
        m.store(&mut p, at + i * PAGE_SIZE, 1).unwrap();
    }
    time("fork, a store in the child, drop", 200, &mut |_| {
        let mut c = m.fork(&p);
        m.store(&mut c, at + 17 * PAGE_SIZE, 1).unwrap();
    });
    time("fork, 4 stores in the parent, drop", 200, &mut |_| {
        let c = m.fork(&p);
        (0..4).for_each(|i| m.store(&mut p, at + i * 16 * PAGE_SIZE, 1).unwrap());
        drop(c);
    });
}
