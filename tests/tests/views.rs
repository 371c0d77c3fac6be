//! What a container sees of cgroups and namespaces: as with runc in the same configuration.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tests::bundle::{Bundle, fresh_id};
use tests::{Runtime, leaks, roots, run};

/// Output of `script` with these namespaces, in a cgroup of its own.
fn seen(r: &Runtime, script: &str, namespaces: &Value, own_cgroup: bool) -> String {
    let id = fresh_id("view");
    let mut b = Bundle::new(&roots::busybox(), &["/bin/sh", "-c", script]);
    b.spec["linux"]["namespaces"] = namespaces.clone();
    if own_cgroup {
        b.spec["linux"]["cgroupsPath"] = json!(format!("/t-view-{}", std::process::id()));
        b.spec["linux"]["resources"] = json!({"memory": {"limit": 200_000_000}, "pids": {"limit": 77}});
    }
    if !namespaces.as_array().unwrap().iter().any(|n| n["type"] == "uts" && n["path"].is_null()) {
        b.spec.as_object_mut().unwrap().remove("hostname");
    }
    let cgroup = json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
        "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]});
    b.spec["mounts"].as_array_mut().unwrap().push(cgroup);
    b.write();
    let o = r.run(&["run", "--bundle", b.arg(), &id]).ok();
    r.wipe(&id);
    leaks::check(r, &id);
    o.out
}

/// The same with ours and with runc.
fn as_with_runc(script: &str, namespaces: &Value) {
    let ours = seen(&Runtime::new(), script, namespaces, true);
    let runc = Runtime { binary: PathBuf::from("runc"), ours: false, ..Runtime::new() };
    assert_eq!(ours, seen(&runc, script, namespaces, true), "with {namespaces}");
}

const CGROUPS: &str = "cat /proc/self/cgroup /proc/self/cpuset; \
    grep ' cgroup' /proc/self/mountinfo | sed 's/^[^/]*//; s/ - cgroup [^ ]* / - cgroup /' | sort; \
    cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/memory.max 2>/dev/null; true";

#[test]
fn cgroups() {
    let most =
        json!([{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}]);
    // pids.max on the host has room for the sandbox' own; inside it is what was asked for
    as_with_runc(CGROUPS, &most);
    let mut all = most;
    all.as_array_mut().unwrap().push(json!({"type": "cgroup"}));
    as_with_runc(CGROUPS, &all);
}

#[test]
fn namespaces_that_are_the_hosts() {
    let script = "for n in cgroup ipc net time user uts; do readlink /proc/self/ns/$n; done; hostname";
    as_with_runc(script, &json!([{"type": "mount"}, {"type": "pid"}]));
    // Namespaces of another process, by path.
    let mut other = Command::new("unshare");
    other.args(["--uts", "--net", "/bin/sh", "-c", "hostname of-another; echo; exec sleep 100"]);
    let mut other = run::spawn(other.stdout(Stdio::piped()));
    other.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let path = |kind: &str| format!("/proc/{}/ns/{kind}", other.id());
    let namespaces = json!([{"type": "mount"}, {"type": "pid"}, {"type": "network", "path": path("net")},
        {"type": "uts", "path": path("uts")}]);
    as_with_runc("readlink /proc/self/ns/net /proc/self/ns/uts; hostname", &namespaces);
    other.kill().unwrap();
    run::finish(&mut other, run::DEADLINE);
}

#[test]
fn namespaces_that_are_new() {
    let all = json!([{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "cgroup"}]);
    let out = seen(
        &Runtime::new(),
        "for n in cgroup ipc net pid uts; do readlink /proc/self/ns/$n; done",
        &all,
        false,
    );
    let ids: std::collections::BTreeSet<_> = out.lines().collect();
    assert_eq!(ids.len(), 5, "{out}");
    for kind in ["cgroup", "ipc", "net", "pid", "uts"] {
        let host = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert!(!ids.contains(host.to_str().unwrap()), "{kind} is the host's");
    }
    // The host's own places are nobody's business.
    let out = seen(&Runtime::new(), "cut -d: -f3 /proc/self/cgroup | sort -u", &all, false);
    assert_eq!(out, "/\n");
}
