//! An idle sandbox uses no CPU: counted in clock ticks over all of its processes, not timed.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;
use std::time::Duration;

use tests::bundle::{Bundle, fresh_id};
use tests::run::{orphans, until};
use tests::{Runtime, leaks, roots};

/// User and system ticks of a process and what it has reaped.
fn ticks(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit_once(") ").map_or("", |s| s.1);
    rest.split(' ').skip(11).take(2).map(|n| n.parse::<u64>().unwrap_or(0)).sum()
}

/// The orphans of this test process and everything below them.
fn family() -> Vec<i32> {
    let mut known: HashSet<i32> = orphans().into_iter().map(|(pid, _)| pid).collect();
    loop {
        let mut more = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else { continue };
            let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
            let parent = stat.rsplit_once(") ").and_then(|s| s.1.split(' ').nth(1)?.parse::<i32>().ok());
            if !known.contains(&pid) && parent.is_some_and(|p| known.contains(&p)) {
                more.push(pid);
            }
        }
        if more.is_empty() {
            return known.into_iter().collect();
        }
        known.extend(more);
    }
}

fn idle_for(args: &[&str]) {
    let (r, id) = (Runtime::new(), fresh_id("idle"));
    let b = Bundle::new(&roots::busybox(), args);
    r.run(&["run", "--detach", "--bundle", b.arg(), &id]).ok();
    until("running", || r.status(&id) == "running");
    std::thread::sleep(Duration::from_secs(2)); // starting is over
    let count = || family().into_iter().map(ticks).sum::<u64>();
    let (before, processes) = (count(), family().len());
    assert!(processes > 0, "no process of the sandbox was found");
    std::thread::sleep(Duration::from_secs(5));
    let used = count() - before;
    r.run(&["delete", "--force", &id]).ok();
    leaks::check(&r, &id);
    assert_eq!(used, 0, "clock ticks of {processes} processes in 5 s");
}

#[test]
fn quiet_sleeping() {
    idle_for(&["/bin/sleep", "1000"]);
}

#[test]
fn quiet_waiting_for_input_and_children() {
    idle_for(&["/bin/sh", "-c", "mkfifo /tmp/p; (sleep 500; true) & cat /tmp/p"]);
}
