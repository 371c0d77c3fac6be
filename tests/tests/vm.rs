//! What takes another host than this one: a virtual machine (`tools/vm`) with cgroup version 2 alone.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;
use std::time::Duration;

use tests::run::run_with;
use tests::{roots, runtime};

#[test]
fn vm_cgroup_version_2() {
    if runtime::stand_in() {
        return;
    }
    let share = |from: &std::path::Path, to: &str| format!("{}:{to}", from.display());
    let mut vm = Command::new(runtime::workspace().join("tools/vm"));
    vm.args(["--host-root", "--timeout", "220"])
        .args(["--copy", &share(&runtime::built_binary(), "/usr/local/bin/runsc-rs")])
        .args(["--copy", &share(&roots::busybox(), "/bundle/rootfs")])
        .args(["--copy", &share(&runtime::workspace().join("tests/vm/cgroup2"), "/bundle/cgroup2")])
        .args(["--", "/bundle/cgroup2"]);
    run_with(&mut vm, b"", Duration::from_secs(230)).ok().says("all good");
}
