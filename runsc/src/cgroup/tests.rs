//! Figures and records over directories that look like cgroups.

use super::*;

#[test]
fn figures_of_both_versions() {
    let dir = std::env::temp_dir().join(format!("runsc-cgroup-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    for (file, text) in [
        ("cpu.stat", "usage_usec 10\nuser_usec 6\nsystem_usec 4\nnr_periods 2\nthrottled_usec 7\n"),
        ("memory.stat", "file 4096\nanon 1\n"),
        ("memory.current", "8192\n"),
        ("memory.max", "max\n"),
        ("pids.current", "3\n"),
        ("pids.max", "max\n"),
        ("cpuacct.usage", "5\n"),
        ("cpuacct.usage_percpu", "2 3 \n"),
        ("cpuacct.stat", "user 1\nsystem 2\n"),
        ("memory.usage_in_bytes", "77\n"),
    ] {
        fs::write(dir.join(file), text).unwrap();
    }
    let record = |kind| Record { path: "/x".into(), dirs: vec![Dir { kind, path: dir.clone(), own: false }] };
    let stats = stats::read(&record(Kind::Unified));
    assert_eq!((stats.cpu.usage.total, stats.cpu.throttling.throttled_time), (10_000, 7_000));
    assert_eq!(
        (stats.memory.usage.usage, stats.memory.usage.limit, stats.memory.cache),
        (8192, u64::MAX, 4096)
    );
    assert_eq!((stats.pids.current, stats.pids.limit), (3, 0));
    let all = ["cpu", "cpuacct", "memory", "pids"].map(String::from).to_vec();
    let stats = stats::read(&record(Kind::Controllers(all)));
    assert_eq!((stats.cpu.usage.total, stats.cpu.usage.kernel), (5, 20_000_000));
    assert_eq!(stats.cpu.usage.percpu, [2, 3]);
    assert_eq!(stats.memory.usage.usage, 77);
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn places_are_the_containers_own() {
    let text = "8:cpu,cpuacct:/a/c1\n1:name=systemd:/user.slice\n0::/a/c1\n";
    let shown = |own| {
        let places = parse_places(text, own);
        places.iter().map(|p| format!("{}:{}:{}", p.hierarchy, p.controllers, p.path)).collect::<Vec<_>>()
    };
    assert_eq!(shown(Some("/a/c1")), ["8:cpu,cpuacct:/a/c1", "1:name=systemd:/", "0::/a/c1"]);
    assert_eq!(shown(None), ["8:cpu,cpuacct:/", "1:name=systemd:/", "0::/"]);
}
