//! Several contexts, spaces and host threads; interrupts, kicks, and stubs that die.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
use common::*;
use platform::{Access, Change, Platform, Regs, Trap, Worker};
use ptrace::PtracePlatform;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
        mpsc::channel,
    },
    time::Duration,
};

#[test]
fn two_threads_share_a_space() {
    let platform = PtracePlatform::new().unwrap();
    let memory = Memory::new();
    // mov [rsi], rdi; mov rax, [rdx]; syscall
    let space = space_with(&platform, &memory, b"\x48\x89\x3e\x48\x8b\x02\x0f\x05");
    space.apply(&[memory.map(DATA, PAGE, PAGE, RW)]).unwrap();
    let mut exec = Exec::new(&platform, 0);
    let (mut a, mut b) = (platform.new_context().unwrap(), platform.new_context().unwrap());
    for i in 0..50 {
        let mut ra = Regs { rdi: i, rsi: DATA, rdx: DATA + 8, fs_base: 0x1000, ..regs_at(CODE) };
        let mut rb = Regs { rdi: i + 1, rsi: DATA + 8, rdx: DATA, fs_base: 0x2000, ..regs_at(CODE) };
        assert_eq!(exec.trap(&mut *a, &space, &mut ra), Trap::Syscall);
        assert_eq!(exec.trap(&mut *b, &space, &mut rb), Trap::Syscall);
        assert_eq!((ra.orig_rax, rb.orig_rax), (i, i));
        assert_eq!((ra.fs_base, rb.fs_base), (0x1000, 0x2000));
    }
}

#[test]
fn many_threads_come_and_go() {
    let platform = PtracePlatform::new().unwrap();
    let memory = Memory::new();
    let mut exec = Exec::new(&platform, 0);
    for _ in 0..3 {
        let space = space_with(&platform, &memory, b"\x0f\x05\xeb\xfc");
        let mut contexts: Vec<_> =
            (0..100).map(|_| (platform.new_context().unwrap(), regs_at(CODE))).collect();
        for round in 0..3 {
            for (i, (context, regs)) in contexts.iter_mut().enumerate() {
                assert_eq!(exec.trap(&mut **context, &space, regs), Trap::Syscall);
                assert_eq!(regs.orig_rax, if round == 0 { 0 } else { i as u64 });
                regs.rax = i as u64;
            }
        }
        contexts.truncate(1);
        for (context, regs) in &mut contexts {
            assert_eq!(exec.trap(&mut **context, &space, regs), Trap::Syscall);
        }
    }
}

#[test]
fn spaces_are_apart_and_reused() {
    let platform = PtracePlatform::new().unwrap();
    let memory = Memory::new();
    let mut exec = Exec::new(&platform, 0);
    let mut context = platform.new_context().unwrap();
    // mov rax, [rsi]; syscall
    let one = space_with(&platform, &memory, b"\x48\x8b\x06\x0f\x05");
    for i in 1..40u64 {
        memory.write(PAGE, &i.to_ne_bytes());
        let two = space_with(&platform, &memory, b"\x48\x8b\x06\x0f\x05");
        let mut regs = Regs { rsi: DATA, ..regs_at(CODE) };
        // Nothing of an earlier space is left in one made of the same stub.
        assert_eq!(
            exec.trap(&mut *context, &two, &mut regs),
            Trap::Fault { addr: DATA, access: Access::READ }
        );
        two.apply(&[memory.map(DATA, PAGE, PAGE, Access::READ)]).unwrap();
        assert_eq!(exec.trap(&mut *context, &two, &mut regs), Trap::Syscall);
        assert_eq!(regs.orig_rax, i);
        let mut regs = Regs { rsi: DATA, ..regs_at(CODE) };
        assert!(matches!(exec.trap(&mut *context, &one, &mut regs), Trap::Fault { .. }));
    }
    // More at once than there are spares.
    let many: Vec<_> = (0..20).map(|_| space_with(&platform, &memory, b"\x48\x8b\x06\x0f\x05")).collect();
    for space in &many {
        let mut regs = Regs { rsi: CODE, ..regs_at(CODE) };
        assert_eq!(exec.trap(&mut *context, space, &mut regs), Trap::Syscall);
    }
}

#[test]
fn endless_loops_are_interrupted() {
    let platform = PtracePlatform::new().unwrap();
    let memory = Memory::new();
    let space = space_with(&platform, &memory, b"\xeb\xfe\x0f\x05");
    let mut exec = Exec::new(&platform, 0);
    let mut context = platform.new_context().unwrap();
    let interrupter = context.interrupter();
    let mut regs = regs_at(CODE);
    // Before the run.
    interrupter.interrupt();
    interrupter.interrupt();
    assert_eq!(exec.run(&mut *context, &space, &mut regs), Trap::Interrupted);
    for i in 0..50 {
        let interrupter = interrupter.clone();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(i * 97));
            interrupter.interrupt();
        });
        assert_eq!(exec.run(&mut *context, &space, &mut regs), Trap::Interrupted);
        assert_eq!(regs.rip, CODE);
        thread.join().unwrap();
    }
    // One that comes while the context is stopped for another reason is not lost, and does not disturb changes.
    regs.rip = CODE + 2;
    assert_eq!(exec.trap(&mut *context, &space, &mut regs), Trap::Syscall);
    interrupter.interrupt();
    space.apply(&[memory.map(DATA, PAGE, PAGE, RW)]).unwrap();
    regs.rip = CODE;
    assert_eq!(exec.run(&mut *context, &space, &mut regs), Trap::Interrupted);
}

#[test]
fn interrupts_among_changes() {
    let platform = PtracePlatform::new().unwrap();
    let memory = Memory::new();
    let space = space_with(&platform, &memory, b"\x0f\x05\xeb\xfc");
    let mut exec = Exec::new(&platform, 0);
    let mut context = platform.new_context().unwrap();
    let interrupter = context.interrupter();
    let stop = Arc::new(AtomicBool::new(false));
    let thread = {
        let stop = stop.clone();
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                interrupter.interrupt();
                std::thread::sleep(Duration::from_micros(20));
            }
        })
    };
    let mut regs = regs_at(CODE);
    for i in 0..1000 {
        let trap = exec.trap(&mut *context, &space, &mut regs);
        assert_eq!((trap, regs.orig_rax), (Trap::Syscall, if i == 0 { 0 } else { i }));
        regs.rax = i + 1;
        let access = if i % 2 == 0 { RW } else { Access::READ };
        space
            .apply(&[memory.map(DATA, PAGE, PAGE, access), Change::Unmap { addr: DATA + PAGE, len: PAGE }])
            .unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    thread.join().unwrap();
}

/// A kick comes through whether it falls before, into or between the worker's looks and its sleep.
fn kicks(worker: &mut dyn Worker, rounds: u32) {
    let (sent, seen) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let kicker = worker.kicker();
    let thread = {
        let (sent, seen) = (sent.clone(), seen.clone());
        std::thread::spawn(move || {
            for i in 1..=rounds {
                sent.store(i, Ordering::Release);
                kicker.kick();
                while seen.load(Ordering::Acquire) < i {
                    std::thread::yield_now();
                }
                (0..i % 64).for_each(|_| std::hint::spin_loop());
            }
        })
    };
    for i in 1..=rounds {
        while sent.load(Ordering::Acquire) < i {
            // Hangs here if a kick is lost.
            worker.idle();
        }
        seen.store(i, Ordering::Release);
    }
    thread.join().unwrap();
}

#[test]
fn kicks_are_not_lost() {
    let platform = PtracePlatform::new().unwrap();
    let mut exec = Exec::new(&platform, 0);
    kicks(&mut *exec.worker, 5000);
    // The same while a thread runs, which makes the worker sleep in another way.
    let memory = Memory::new();
    let space = space_with(&platform, &memory, b"\xeb\xfe");
    let mut context = platform.new_context().unwrap();
    let mut regs = regs_at(CODE);
    let waker = std::task::Waker::noop();
    let mut cx = std::task::Context::from_waker(waker);
    assert!(context.poll_switch(&mut cx, &space, &mut regs).is_pending());
    kicks(&mut *exec.worker, 5000);
    context.interrupter().interrupt();
    assert_eq!(exec.run(&mut *context, &space, &mut regs), Trap::Interrupted);
}

#[test]
fn workers_share_a_space() {
    let platform = PtracePlatform::new().unwrap();
    let memory = Arc::new(Memory::new());
    // 1: lock inc qword [rsi]; mov rax, [rdi]; syscall; jmp 1b
    let space = space_with(&platform, &memory, b"\xf0\x48\xff\x06\x48\x8b\x07\x0f\x05\xeb\xf5");
    space.apply(&[memory.map(DATA, PAGE, PAGE, RW)]).unwrap();
    const ROUNDS: u64 = 500;
    let done = std::sync::Barrier::new(3);
    std::thread::scope(|scope| {
        for index in 0..3u64 {
            let (platform, space, memory, done) = (&platform, &space, &memory, &done);
            scope.spawn(move || {
                let mut exec = Exec::new(platform, index as usize);
                let mut contexts = [platform.new_context().unwrap(), platform.new_context().unwrap()];
                let window = DATA + (index + 1) * 16 * PAGE;
                let mut regs = [Regs { rsi: DATA, rdi: window, ..regs_at(CODE) }; 2];
                for _ in 0..ROUNDS {
                    for (context, regs) in contexts.iter_mut().zip(&mut regs) {
                        let trap = exec.trap(&mut **context, space, regs);
                        assert_eq!(trap, Trap::Fault { addr: window, access: Access::READ });
                        space.apply(&[memory.map(window, PAGE, PAGE, Access::READ)]).unwrap();
                        assert_eq!(exec.trap(&mut **context, space, regs), Trap::Syscall);
                        space.apply(&[Change::Unmap { addr: window, len: PAGE }]).unwrap();
                    }
                }
                // Tracees die with their tracer, and the whole process with them: not before all are done.
                done.wait();
            });
        }
    });
    assert_eq!(memory.read(PAGE), 3 * 2 * ROUNDS);
}

#[test]
fn changes_from_elsewhere() {
    let platform = PtracePlatform::new().unwrap();
    let memory = Memory::new();
    let space = platform.new_address_space().unwrap();
    // From a thread that is no worker, before and while the only context runs.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            memory.write(0, b"\x0f\x05\x48\x8b\x06\x48\x85\xc0\x74\xf8\x0f\x05"); // syscall; 1: mov rax,[rsi]; test; jz 1b; syscall
            space.apply(&[memory.map(CODE, PAGE, 0, RX), memory.map(DATA, PAGE, PAGE, RW)]).unwrap();
        });
    });
    let mut exec = Exec::new(&platform, 0);
    let mut context = platform.new_context().unwrap();
    let mut regs = Regs { rsi: DATA, ..regs_at(CODE) };
    assert_eq!(exec.trap(&mut *context, &space, &mut regs), Trap::Syscall);
    let (running, started) = channel();
    std::thread::scope(|scope| {
        let (space, memory) = (&space, &memory);
        scope.spawn(move || {
            started.recv().unwrap();
            std::thread::sleep(Duration::from_millis(5));
            memory.write(2 * PAGE, &5u64.to_ne_bytes());
            space.apply(&[memory.map(DATA, PAGE, 2 * PAGE, RW)]).unwrap();
        });
        running.send(()).unwrap();
        assert_eq!(exec.trap(&mut *context, space, &mut regs), Trap::Syscall);
        assert_eq!(regs.orig_rax, 5);
    });
}

#[test]
fn contexts_dropped_while_running() {
    let platform = PtracePlatform::new().unwrap();
    let memory = Memory::new();
    let mut exec = Exec::new(&platform, 0);
    for round in 0..20 {
        let space = space_with(&platform, &memory, b"\xeb\xfe\x0f\x05");
        let mut context = platform.new_context().unwrap();
        let mut regs = regs_at(CODE);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(context.poll_switch(&mut cx, &space, &mut regs).is_pending());
        if round % 2 == 0 {
            drop(context);
        } else {
            // On a thread that is not its home.
            std::thread::spawn(move || drop(context)).join().unwrap();
        }
        let mut other = platform.new_context().unwrap();
        let mut regs = regs_at(CODE + 2);
        assert_eq!(exec.trap(&mut *other, &space, &mut regs), Trap::Syscall);
    }
}

/// A fault whose page another thread has had mapped by the time that it is looked at is no store.
#[test]
fn fault_on_what_was_mapped_meanwhile() {
    let platform = PtracePlatform::new().unwrap();
    let memory = Memory::new();
    let mut exec = Exec::new(&platform, 0);
    // Once for the code itself, once for what it loads: mov (DATA), %rax; syscall
    memory.write(0, b"\x48\x8b\x04\x25\x00\x00\x50\x00\x0f\x05");
    let data = Access::READ;
    for late in [memory.map(CODE, PAGE, 0, RX), memory.map(DATA, PAGE, PAGE, data)] {
        let space = platform.new_address_space().unwrap();
        let Change::Map { addr, .. } = late else { unreachable!() };
        if addr == CODE {
            space.apply(&[memory.map(DATA, PAGE, PAGE, data)]).unwrap();
        } else {
            space.apply(&[memory.map(CODE, PAGE, 0, RX)]).unwrap();
        }
        let mut context = platform.new_context().unwrap();
        let mut regs = regs_at(CODE);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(context.poll_switch(&mut cx, &space, &mut regs).is_pending());
        std::thread::sleep(Duration::from_millis(20));
        space.apply(&[late]).unwrap();
        assert_eq!(exec.trap(&mut *context, &space, &mut regs), Trap::Syscall);
    }
}

/// The process that a thread of a test's stub belongs to, found by what it does: computing. On a busy machine that takes
/// a while to be seen.
fn stub_that_computes() -> i32 {
    for _ in 0..2000 {
        if let Some(pid) = find_stub_that_computes() {
            return pid;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    // The test would wait for its killer for ever.
    eprintln!("no stub computes");
    std::process::abort();
}

fn find_stub_that_computes() -> Option<i32> {
    let me = host::thread::getpid().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let path = entry.path();
        let Ok(stat) = std::fs::read_to_string(path.join("stat")) else { continue };
        let Some((head, tail)) = stat.rsplit_once(')') else { continue };
        if !head.ends_with("(runsc-stub") || tail.split_whitespace().nth(1) != Some(me.as_str()) {
            continue;
        }
        for task in std::fs::read_dir(path.join("task")).into_iter().flatten().flatten() {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            let runs = stat.rsplit_once(')').is_some_and(|(_, t)| t.split_whitespace().next() == Some("R"));
            let name = std::fs::read_to_string(task.path().join("syscall")).unwrap_or_default();
            if runs && name.starts_with("running") {
                found.push(entry.file_name().to_str().unwrap().parse().unwrap());
            }
        }
    }
    found.into_iter().next()
}

/// Run in a process of its own, since it looks for stubs by what they do.
#[test]
fn killed_from_outside() {
    if std::env::var_os("RUNSC_TEST_ALONE").is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["killed_from_outside", "--exact", "--nocapture"])
            .env("RUNSC_TEST_ALONE", "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let platform = PtracePlatform::new().unwrap();
    let memory = Memory::new();
    let mut exec = Exec::new(&platform, 0);
    for _ in 0..5 {
        let space = space_with(&platform, &memory, b"\xeb\xfe\x0f\x05");
        let mut context = platform.new_context().unwrap();
        let mut other = platform.new_context().unwrap();
        let mut regs = regs_at(CODE + 2);
        assert_eq!(exec.trap(&mut *other, &space, &mut regs), Trap::Syscall);
        regs.rip = CODE;
        let killer = std::thread::spawn(|| {
            std::thread::sleep(Duration::from_millis(30));
            let pid = stub_that_computes();
            std::process::Command::new("/bin/kill").args(["-KILL", &pid.to_string()]).status().unwrap();
        });
        assert_eq!(exec.trap(&mut *context, &space, &mut regs), Trap::Lost);
        killer.join().unwrap();
        assert_eq!(exec.trap(&mut *context, &space, &mut regs), Trap::Lost);
        assert_eq!(exec.trap(&mut *other, &space, &mut regs), Trap::Lost);
        assert_eq!(space.apply(&[memory.map(DATA, PAGE, 0, RX)]), Err(abi::Errno::ESRCH));
        assert_eq!(space.clear(), Err(abi::Errno::ESRCH));
    }
    // Signals from outside that do not kill are nothing to the application.
    let space = space_with(&platform, &memory, b"\xeb\xfe\x0f\x05");
    let mut context = platform.new_context().unwrap();
    let interrupter = context.interrupter();
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        let pid = stub_that_computes().to_string();
        for signal in ["-STOP", "-CONT", "-SEGV", "-TERM", "-USR1", "-TSTP", "-CONT"] {
            std::process::Command::new("/bin/kill").args([signal, &pid]).status().unwrap();
        }
        std::thread::sleep(Duration::from_millis(30));
        interrupter.interrupt();
    });
    let mut regs = regs_at(CODE);
    assert_eq!(exec.run(&mut *context, &space, &mut regs), Trap::Interrupted);
    killer.join().unwrap();
    regs.rip = CODE + 2;
    assert_eq!(exec.trap(&mut *context, &space, &mut regs), Trap::Syscall);
    space.apply(&[memory.map(DATA, PAGE, 0, RX)]).unwrap();
}
