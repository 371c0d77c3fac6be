//! Static busybox as the whole root.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use tests::bundle::{Bundle, fresh_id};
use tests::{Outcome, Runtime, leaks, roots};

fn sh(script: &str) -> Outcome {
    let (r, id) = (Runtime::new(), fresh_id("bb"));
    let b = Bundle::new(&roots::busybox(), &["/bin/sh", "-c", script]);
    let o = r.run(&["run", "--bundle", b.arg(), &id]);
    r.wipe(&id);
    leaks::check(&r, &id);
    o
}

#[test]
fn applets() {
    sh("cd /tmp; seq 100 | sort -r | head -1; echo abc | sha256sum | cut -c1-8; tar c /etc/passwd 2>/dev/null | tar t; find /etc | sort | head -2; awk 'BEGIN { print 6*7 }'")
        .ok()
        .prints("99\nedeaaff3\netc/passwd\n/etc\n/etc/group\n42");
}

#[test]
fn processes() {
    sh("sleep 100 & sleep 100 & ps | grep -c '[s]leep 100'; kill %1 %2; wait; echo $?; cat /proc/1/comm; top -bn1 | head -1 | cut -c1-3; true")
        .ok()
        .says("sh\nMem");
}

#[test]
fn devices_and_files() {
    sh("ls /dev | tr '\\n' ' '; head -c 10 /dev/zero | wc -c; head -c 10 /dev/urandom | wc -c; echo x > /dev/null; echo x > /dev/full; echo $?; df /tmp | tail -1 | awk '{print $1}'; mount | grep -c '^proc'")
        .ok()
        .says("null ptmx pts random shm")
        .says("10\n10\n1\ntmpfs\n1");
}

#[test]
fn network_is_loopback_alone() {
    sh("ifconfig lo 127.0.0.1 up; ping -c1 127.0.0.1 >/dev/null && echo ping; (echo served | nc -l -p 5000 & sleep 0.3; nc 127.0.0.1 5000 </dev/null); ls /sys/class/net 2>/dev/null | tr '\\n' ' '")
        .ok()
        .says("ping")
        .says("served")
        .says("lo");
}

#[test]
fn written_files_are_seen_outside() {
    let root = tempfile::Builder::new().prefix("runsc-test-root.").tempdir().unwrap();
    std::fs::set_permissions(root.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    roots::skeleton(root.path());
    let (r, id) = (Runtime::new(), fresh_id("bb"));
    let b = Bundle::new(
        root.path(),
        &[
            "/bin/sh",
            "-c",
            "echo written > /work/f; mkdir /work/d; ln -s f /work/l; chmod 640 /work/f; chown 5:6 /work/f; rm /etc/group; mv /etc/passwd /etc/users",
        ],
    );
    r.run(&["run", "--bundle", b.arg(), &id]).ok();
    leaks::check(&r, &id);
    use std::os::unix::fs::MetadataExt;
    let at = |p: &str| root.path().join(p);
    let f = std::fs::metadata(at("work/f")).unwrap();
    assert_eq!((f.mode() & 0o7777, f.uid(), f.gid()), (0o640, 5, 6));
    assert_eq!(std::fs::read_to_string(at("work/l")).unwrap(), "written\n");
    assert!(at("work/d").is_dir() && !at("etc/group").exists() && at("etc/users").exists());
}
