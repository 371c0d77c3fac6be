//! Sandboxes of an ordinary user: `do`, and bundles whose user namespace maps one id or a range.
//!
//! The user exists in a mount namespace of the test's own, where `/etc/passwd` and `/etc/subuid` have a line more.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;
use tests::bundle::Bundle;
use tests::run::{DEADLINE, run_with};
use tests::{Outcome, roots, runtime};

const USER: u32 = 54321;
const FIRST: u32 = 700_000;

struct World {
    dir: tempfile::TempDir,
    granted: bool,
    path: &'static str,
}

impl World {
    /// `None` where the runtime under test is none of ours.
    fn new() -> Option<Self> {
        if runtime::stand_in() {
            return None;
        }
        let dir = tempfile::Builder::new().prefix("runsc-test-rootless.").tempdir().unwrap();
        let w = Self { dir, granted: true, path: "/usr/sbin:/usr/bin:/sbin:/bin" };
        fs::set_permissions(w.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        roots::skeleton(&w.at("root"));
        for name in ["root", "root/work", "root/etc", "run", "bundle"] {
            fs::create_dir_all(w.at(name)).unwrap();
            chown(w.at(name), Some(USER), Some(USER)).unwrap();
        }
        fs::copy(runtime::built_binary(), w.at("runsc-rs")).unwrap();
        Some(w)
    }
    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    /// Runs the runtime as the user.
    fn run(&self, args: &[&str]) -> Outcome {
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        fs::write(self.at("passwd"), format!("{passwd}\nrootless:x:{USER}:{USER}::/:/bin/sh\n")).unwrap();
        let sub = if self.granted { format!("rootless:{FIRST}:65536\n") } else { String::new() };
        fs::write(self.at("sub"), sub).unwrap();
        let script = "cd \"$1\" && for f in passwd:passwd sub:subuid sub:subgid; do
              [ -e /etc/${f#*:} ] || : > /etc/${f#*:}; mount --bind ${f%:*} /etc/${f#*:} || exit 99; done; shift
            exec setpriv --reuid 54321 --regid 54321 --clear-groups -- \"$@\"";
        let mut c = Command::new("unshare");
        c.args(["--mount", "--propagation", "private", "/bin/sh", "-c", script, "sh"]).arg(self.dir.path());
        c.arg("/usr/bin/env").arg(format!("PATH={}", self.path));
        c.arg(format!("XDG_RUNTIME_DIR={}", self.at("run").display())).arg(self.at("runsc-rs"));
        run_with(c.args(runtime::platform_args()).args(args), b"", DEADLINE)
    }
    /// Runs `script` in a bundle with these mappings: (inside, outside, count).
    fn bundle(&self, maps: &[(u32, u32, u32)], script: &str, user: u32) -> Outcome {
        let mut b = Bundle::new(&self.at("root"), &["/bin/sh", "-c", script]);
        // The terminals' group is none of the ids that there are.
        for mount in b.spec["mounts"].as_array_mut().unwrap() {
            mount["options"].as_array_mut().unwrap().retain(|option| option != "gid=5");
        }
        b.spec["process"]["user"] = json!({"uid": user, "gid": user});
        b.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        let maps: Vec<_> =
            maps.iter().map(|(i, o, n)| json!({"containerID": i, "hostID": o, "size": n})).collect();
        b.spec["linux"]["uidMappings"] = json!(maps);
        b.spec["linux"]["gidMappings"] = json!(maps);
        fs::write(self.at("bundle/config.json"), b.spec.to_string()).unwrap();
        self.run(&["run", "--bundle", self.at("bundle").to_str().unwrap(), "c1"])
    }
    /// Nothing is left of it.
    fn end(self) {
        let left: Vec<_> = fs::read_dir(self.at("run/runsc-rs")).into_iter().flatten().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn do_as_an_ordinary_user() {
    let Some(w) = World::new() else { return };
    let root = w.at("root");
    let root = root.to_str().unwrap();
    w.run(&[
        "do",
        "--root",
        root,
        "--cwd",
        "/",
        "/bin/sh",
        "-c",
        "id -u; echo x > /etc/new; chown 5:6 /etc/new; stat -c %u:%g /etc/new",
    ])
    .ok()
    .prints("0\n5:6");
    assert!(!w.at("root/etc/new").exists());
    // Without newuidmap just as well: there is nothing for it to do.
    let w = World { path: "/nonexistent", ..w };
    w.run(&["do", "--root", root, "--cwd", "/", "/bin/id", "-u"]).ok().prints("0");
    w.end();
}

#[test]
fn a_bundle_with_one_id() {
    let Some(w) = World::new() else { return };
    w.bundle(&[(0, USER, 1)], "id -u; awk '{ print $1, $2, $3 }' /proc/self/uid_map; echo x > /work/f", 0)
        .ok()
        .prints("0\n0 54321 1");
    assert_eq!(fs::metadata(w.at("root/work/f")).unwrap().uid(), USER);
    w.end();
}

#[test]
fn a_bundle_with_a_range() {
    let Some(w) = World::new() else { return };
    let maps = [(0, USER, 1), (1, FIRST, 65536)];
    w.bundle(
        &maps,
        "id -u; echo x > /work/f; chown 5:6 /work/f; stat -c %u:%g /work/f; mkdir -m 777 /work/d",
        0,
    )
    .ok()
    .prints("0\n5:6");
    let f = fs::metadata(w.at("root/work/f")).unwrap();
    assert_eq!((f.uid(), f.gid()), (FIRST + 4, FIRST + 5));
    w.bundle(&maps, "id -u; echo y > /work/d/g; stat -c %u /work/d/g; cat /work/f > /dev/null", 1000)
        .ok()
        .prints("1000\n1000");
    assert_eq!(fs::metadata(w.at("root/work/d/g")).unwrap().uid(), FIRST + 999);
    w.end();
}

#[test]
fn what_is_refused_is_said_in_one_line() {
    let Some(mut w) = World::new() else { return };
    let one_line = |o: Outcome, said: &str| {
        assert!(o.code != 0 && o.err.trim().lines().count() == 1, "{o}");
        o.says(said);
    };
    let range = [(0, USER, 1), (1, FIRST, 65536)];
    one_line(w.bundle(&[(0, USER, 1), (1, FIRST + 1, 65536)], "true", 0), "newuidmap refuses");
    one_line(w.bundle(&[(0, USER, 1), (1, u32::MAX, 65536)], "true", 0), "no range of ids");
    one_line(w.bundle(&[(0, 0, 1)], "true", 0), "newuidmap refuses");
    w.granted = false;
    one_line(w.bundle(&range, "true", 0), "newuidmap refuses");
    w.granted = true;
    w.path = "/nonexistent";
    one_line(w.bundle(&range, "true", 0), "newuidmap is missing");
    w.end();
}
