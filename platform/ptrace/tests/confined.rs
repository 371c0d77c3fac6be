//! What a stub process has: no capability, a filter, and nothing in its memory but the platform's pages.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
use common::*;
use platform::{Platform, Trap};
use ptrace::PtracePlatform;

/// Children of this process, by the name that stubs have. No other test is in this binary.
fn stubs() -> Vec<String> {
    let me = host::thread::getpid().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some((head, tail)) = stat.rsplit_once(')') else { continue };
        if head.ends_with("(runsc-stub") && tail.split_whitespace().nth(1) == Some(me.as_str()) {
            found.push(entry.path().to_str().unwrap().to_owned());
        }
    }
    found
}

fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, tail) = stat.rsplit_once(')').unwrap();
    tail.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().unwrap()).sum()
}

fn cpus_of(status: &str) -> Option<String> {
    let status = std::fs::read_to_string(status).ok()?;
    status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:\t")).map(str::to_owned)
}

/// Where the one thread of stubs that runs may run.
fn computing_cpus(stubs: &[String]) -> Option<String> {
    stubs
        .iter()
        .flat_map(|stub| std::fs::read_dir(format!("{stub}/task")).into_iter().flatten().flatten())
        .find_map(|task| {
            let status = task.path().join("status");
            let text = std::fs::read_to_string(&status).ok()?;
            text.contains("State:\tR").then(|| cpus_of(status.to_str()?))?
        })
}

#[test]
fn stubs_have_nothing() {
    let all_cpus = cpus_of("/proc/self/status").unwrap();
    let platform = PtracePlatform::new().unwrap();
    let memory = Memory::new();
    let space = space_with(&platform, &memory, b"\x0f\x05\xeb\xfc");
    let mut exec = Exec::new(&platform, 0);
    let mut context = platform.new_context().unwrap();
    let mut regs = regs_at(CODE);
    assert_eq!(exec.trap(&mut *context, &space, &mut regs), Trap::Syscall);

    let stubs = stubs();
    assert!(stubs.len() >= 2, "{stubs:?}");
    let mut with_code = 0;
    for stub in &stubs {
        let status = std::fs::read_to_string(format!("{stub}/status")).unwrap();
        for want in [
            "Seccomp:\t2\n",
            "NoNewPrivs:\t1\n",
            "CapEff:\t0000000000000000\n",
            "CapPrm:\t0000000000000000\n",
        ] {
            assert!(status.contains(want), "{want:?} in {status}");
        }
        let maps = std::fs::read_to_string(format!("{stub}/maps")).unwrap();
        for line in maps.lines() {
            if line.starts_with("00400000-00401000 r-xs") {
                with_code += 1;
                continue;
            }
            let (range, rest) = line.split_once(' ').unwrap();
            let known = [
                "[vvar]",
                "[vvar_vclock]",
                "[vdso]",
                "[vsyscall]",
                "/memfd:runsc-stub (deleted)",
                "/memfd:runsc-orders (deleted)",
            ];
            assert!(known.iter().any(|k| rest.ends_with(k)), "{line}");
            let start = u64::from_str_radix(range.split('-').next().unwrap(), 16).unwrap();
            assert!(start >= platform.user_range().1, "{line}");
            assert!(!rest.starts_with("rw") && !rest.starts_with("-w"), "{line}");
        }
    }
    assert_eq!(with_code, 1);

    // With a task that waits for the sentry, nothing uses the CPU.
    std::thread::sleep(std::time::Duration::from_millis(200));
    let before = cpu_ticks();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(cpu_ticks() - before <= 1);

    // A thread that computes for long may leave its worker's CPU.
    let busy = space_with(&platform, &memory, b"\xeb\xfe");
    let mut regs = regs_at(CODE);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(context.poll_switch(&mut cx, &busy, &mut regs).is_pending());
    let released = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        computing_cpus(&self::stubs()) == Some(all_cpus.clone())
    });
    assert!(released);
    context.interrupter().interrupt();
    assert_eq!(exec.run(&mut *context, &busy, &mut regs), Trap::Interrupted);

    drop((context, space, busy, platform));
    // The keeper ends by itself, and everything with it.
    for _ in 0..200 {
        if self::stubs().is_empty() {
            return;
        }
        exec.worker.poll();
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(self::stubs(), Vec::<String>::new());
}
