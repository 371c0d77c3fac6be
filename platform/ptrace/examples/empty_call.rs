//! Prints what an empty system call costs on this platform, in nanoseconds: `cargo run --release --example empty_call`.

use platform::{Access, Change, Platform, Regs};
use std::{
    os::fd::{AsFd, AsRawFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
    time::Instant,
};

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let platform = ptrace::PtracePlatform::new()?;
    println!("platform ready: {} us", started.elapsed().as_micros());
    let started = Instant::now();
    let space = platform.new_address_space()?;
    let memory = host::memfd::create(c"memory", false)?;
    host::memfd::set_len(memory.as_fd(), 1 << 20)?;
    host::io::write_at(memory.as_fd(), b"\x0f\x05\xeb\xfc", 0)?; // syscall; jmp back
    let access = Access::READ | Access::EXEC;
    let map = Change::Map {
        addr: 0x40_0000,
        len: 4096,
        fd: memory.as_raw_fd(),
        offset: 0,
        access,
        populate: false,
    };
    let mut worker = platform.new_worker(0);
    space.apply(&[map])?;
    let mut context = platform.new_context()?;
    let mut regs = Regs { rip: 0x40_0000, ..Regs::default() };
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let waker = Waker::from(flag.clone());
    let mut cx = std::task::Context::from_waker(&waker);
    let mut call = || {
        while context.poll_switch(&mut cx, &space, &mut regs).is_pending() {
            while !flag.0.swap(false, Ordering::AcqRel) {
                worker.idle();
            }
        }
        regs.rax = 0;
    };
    call();
    println!("first call, with a fresh space: {} us", started.elapsed().as_micros());
    const CALLS: u32 = 50_000;
    for _ in 0..3 {
        let start = Instant::now();
        (0..CALLS).for_each(|_| call());
        println!("{} ns an empty call", start.elapsed().as_nanos() / u128::from(CALLS));
    }

    let start = Instant::now();
    for i in 0..CALLS / 10 {
        let access = if i % 2 == 0 { Access::READ } else { Access::READ | Access::EXEC };
        space.apply(&[Change::Protect { addr: 0x40_0000, len: 4096, access }])?;
    }
    println!("{} ns a single change", start.elapsed().as_nanos() / u128::from(CALLS / 10));
    let pages: Vec<_> = (0..64u64)
        .map(|i| Change::Map {
            addr: 0x50_0000 + i * 8192,
            len: 4096,
            fd: memory.as_raw_fd(),
            offset: 0,
            access,
            populate: false,
        })
        .collect();
    let start = Instant::now();
    for _ in 0..500 {
        space.apply(&pages)?;
    }
    println!("{} ns a change in batches of 64", start.elapsed().as_nanos() / (500 * 64));
    let start = Instant::now();
    for _ in 0..500 {
        let space = platform.new_address_space()?;
        space.apply(&[map])?;
    }
    println!("{} ns a space made, mapped and dropped", start.elapsed().as_nanos() / 500);
    Ok(())
}
