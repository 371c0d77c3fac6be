//! Contexts as futures on the kernel's executor.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;
use common::*;
use ksync::exec::Executor;
use platform::{Access, AddressSpace, Change, Context, Platform, Regs, Trap};
use ptrace::PtracePlatform;
use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// A task loop: counts calls until the application's `exit` (60), maps what it touches.
async fn task(
    mut context: Box<dyn Context>,
    space: Arc<dyn AddressSpace>,
    mut regs: Regs,
    memory: Arc<Memory>,
    calls: Arc<AtomicU32>,
) {
    loop {
        match poll_fn(|cx| context.poll_switch(cx, &space, &mut regs)).await {
            Trap::Syscall if regs.orig_rax == 60 => break,
            Trap::Syscall => {
                let n = calls.fetch_add(1, Ordering::Relaxed);
                regs.rax = 0;
                if n.is_multiple_of(16) {
                    space.apply(&[Change::Unmap { addr: DATA, len: PAGE }]).unwrap();
                    ksync::exec::yield_now().await;
                }
            }
            Trap::Fault { addr, .. } if addr == DATA => {
                space.apply(&[memory.map(DATA, PAGE, PAGE, Access::READ)]).unwrap();
            }
            Trap::Interrupted => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn tasks_on_two_workers() {
    let platform = PtracePlatform::new().unwrap();
    let memory = Arc::new(Memory::new());
    // 1: mov rcx, [rdi]; mov eax, 39; syscall; dec ebx; jnz 1b; mov eax, 60; syscall
    let code = b"\x48\x8b\x0f\xb8\x27\0\0\0\x0f\x05\xff\xcb\x75\xf2\xb8\x3c\0\0\0\x0f\x05";
    const CALLS: u64 = 400;
    const TASKS: u32 = 12;
    let executor = Executor::new(2).unwrap();
    let (calls, ended) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    std::thread::scope(|scope| {
        for index in 0..2 {
            let (executor, platform) = (executor.clone(), &platform);
            scope.spawn(move || executor.run_worker(index, platform.new_worker(index)));
        }
        let shared = space_with(&platform, &memory, code);
        for i in 0..TASKS {
            // Half of them threads of one process, over both workers.
            let space = if i % 2 == 0 { shared.clone() } else { space_with(&platform, &memory, code) };
            let regs = Regs { rbx: CALLS, rdi: DATA, ..regs_at(CODE) };
            let (context, memory, ended) = (platform.new_context().unwrap(), memory.clone(), ended.clone());
            let run = task(context, space, regs, memory, calls.clone());
            executor.spawn_on(i as usize / 2, async move {
                run.await;
                ended.fetch_add(1, Ordering::Release);
            });
        }
        for _ in 0..3000 {
            if ended.load(Ordering::Acquire) == TASKS {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        executor.stop();
    });
    assert_eq!(ended.load(Ordering::Acquire), TASKS);
    assert_eq!(u64::from(calls.load(Ordering::Relaxed)), CALLS * u64::from(TASKS));
}
