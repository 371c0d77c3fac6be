//! A one-thread executor and a memory file with machine code, for driving contexts directly.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use host::{
    map::{Mapping, Prot},
    memfd,
};
use platform::{Access, AddressSpace, Change, Context, Kick, Platform, Regs, Trap, Worker};
use ptrace::PtracePlatform;
use std::{
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Wake, Waker},
};

pub const PAGE: u64 = 4096;
pub const CODE: u64 = 0x40_0000;
pub const DATA: u64 = 0x50_0000;

/// A memory file of 1 MiB that the test sees too.
pub struct Memory {
    pub fd: OwnedFd,
    pub view: Mapping,
}

impl Memory {
    pub fn new() -> Self {
        let fd = memfd::create(c"test-memory", false).unwrap();
        memfd::set_len(fd.as_fd(), 1 << 20).unwrap();
        let view = Mapping::shared(fd.as_fd(), 0, 1 << 20, Prot::READ_WRITE).unwrap();
        Self { fd, view }
    }

    pub fn write(&self, at: u64, bytes: &[u8]) {
        host::io::write_at(self.fd.as_fd(), bytes, at).unwrap();
    }

    pub fn read(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        host::io::read_at(self.fd.as_fd(), &mut bytes, at).unwrap();
        u64::from_ne_bytes(bytes)
    }

    pub fn map(&self, addr: u64, len: u64, offset: u64, access: Access) -> Change {
        Change::Map { addr, len, fd: self.fd.as_raw_fd(), offset, access, populate: false }
    }
}

pub const RX: Access = Access::READ.union(Access::EXEC);
pub const RW: Access = Access::READ.union(Access::WRITE);

/// A space with `code` at [`CODE`] (page 0 of the file).
pub fn space_with(platform: &PtracePlatform, memory: &Memory, code: &[u8]) -> Arc<dyn AddressSpace> {
    memory.write(0, code);
    let space = platform.new_address_space().unwrap();
    space.apply(&[memory.map(CODE, PAGE, 0, RX)]).unwrap();
    space
}

pub fn regs_at(rip: u64) -> Regs {
    Regs { rip, ..Regs::default() }
}

pub struct Flag {
    set: AtomicBool,
    kick: Arc<dyn Kick>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.set.store(true, Ordering::Release);
        self.kick.kick();
    }
}

/// The calling thread as worker.
pub struct Exec {
    pub worker: Box<dyn Worker>,
}

impl Exec {
    pub fn new(platform: &PtracePlatform, index: usize) -> Self {
        Self { worker: platform.new_worker(index) }
    }

    /// Switches to one context until it traps.
    pub fn run(&mut self, context: &mut dyn Context, space: &Arc<dyn AddressSpace>, regs: &mut Regs) -> Trap {
        let flag = Arc::new(Flag { set: AtomicBool::new(false), kick: self.worker.kicker() });
        let waker = Waker::from(flag.clone());
        let mut cx = std::task::Context::from_waker(&waker);
        loop {
            match context.poll_switch(&mut cx, space, regs) {
                Poll::Ready(trap) => return trap,
                Poll::Pending => {
                    while !flag.set.swap(false, Ordering::AcqRel) {
                        self.worker.idle();
                    }
                }
            }
        }
    }

    /// As [`run`](Self::run), passing over spurious traps.
    pub fn trap(
        &mut self,
        context: &mut dyn Context,
        space: &Arc<dyn AddressSpace>,
        regs: &mut Regs,
    ) -> Trap {
        for _ in 0..100 {
            match self.run(context, space, regs) {
                Trap::Interrupted => {}
                trap => return trap,
            }
        }
        panic!("nothing but interrupts");
    }
}
