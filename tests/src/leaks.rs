//! What a run left behind: processes, mounts, cgroups, state.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::runtime::Runtime;

/// Everything left of the containers of `runtime`, whose ids contain `mark`; empty where all is clean.
pub fn find(runtime: &Runtime, mark: &str) -> Vec<String> {
    let mut left = Vec::new();
    for (pid, _) in crate::run::orphans() {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        left.push(format!("process {pid} {}", name.trim()));
    }
    let state = runtime.root.path();
    for entry in std::fs::read_dir(state).into_iter().flatten().flatten() {
        left.push(format!("state {}", entry.path().display()));
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    for line in mounts.lines() {
        if line.contains(mark) || line.contains(state.to_str().unwrap()) {
            left.push(format!("mount {line}"));
        }
    }
    cgroups(Path::new("/sys/fs/cgroup"), mark, 5, &mut left);
    left
}

/// Panics where something is left; what ends by itself in a moment is given that moment.
#[track_caller]
pub fn check(runtime: &Runtime, mark: &str) {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let left = find(runtime, mark);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "left behind:\n{}", left.join("\n"));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn cgroups(dir: &Path, mark: &str, depth: u32, left: &mut Vec<String>) {
    if depth == 0 {
        return;
    }
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            if entry.file_name().to_string_lossy().contains(mark) {
                left.push(format!("cgroup {}", entry.path().display()));
            }
            cgroups(&entry.path(), mark, depth - 1, left);
        }
    }
}
