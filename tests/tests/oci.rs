//! The OCI life cycle and bad input, as runc has them.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use tests::bundle::{Bundle, fresh_id};
use tests::run::{self, DEADLINE, run_with, until};
use tests::{Outcome, Runtime, leaks, roots, runtime};

/// Runs `args` in a busybox bundle to the end, with a change to the configuration, and looks for leaks.
fn run_changed(args: &[&str], change: impl FnOnce(&mut Value)) -> Outcome {
    let (r, id) = (Runtime::new(), fresh_id("oci"));
    let mut b = Bundle::new(&roots::busybox(), args);
    change(&mut b.spec);
    b.write();
    let o = r.run(&["run", "--bundle", b.arg(), &id]);
    r.wipe(&id);
    leaks::check(&r, &id);
    o
}

fn sh(script: &str) -> Outcome {
    run_changed(&["/bin/sh", "-c", script], |_| {})
}

/// A container that was created and started detached; wiped and checked for leaks at the end.
struct Container {
    r: Runtime,
    id: String,
    b: Bundle,
}

impl Drop for Container {
    /// A test that fails leaves nothing either.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.r.wipe(&self.id);
        }
    }
}

impl Container {
    fn created(args: &[&str]) -> Self {
        let c = Self { r: Runtime::new(), id: fresh_id("oci"), b: Bundle::new(&roots::busybox(), args) };
        let pid = c.b.join("pid");
        c.r.run(&["create", "--bundle", c.b.arg(), "--pid-file", pid.to_str().unwrap(), &c.id]).ok();
        c
    }
    fn started(args: &[&str]) -> Self {
        let c = Self::created(args);
        c.r.run(&["start", &c.id]).ok();
        c
    }
    fn does(&self, args: &[&str]) -> Outcome {
        let mut all = vec![args[0]];
        all.extend(&args[1..]);
        all.push(&self.id);
        self.r.run(&all)
    }
    fn exec(&self, args: &[&str]) -> Outcome {
        let mut all = vec!["exec", &self.id];
        all.extend(args);
        self.r.run(&all)
    }
    fn end(self) {
        self.r.run(&["delete", "--force", &self.id]).ok();
        leaks::check(&self.r, &self.id);
    }
}

#[test]
fn exit_statuses() {
    sh("exit 0").ok();
    sh("exit 37").exits(37);
    sh("sh -c 'kill -9 $$'; exit $?").exits(137);
    run_changed(&["/bin/busybox", "sh", "-c", "kill -TERM $$; exit 5"], |_| {}).exits(5); // init has no default action
    sh("sh -c 'kill -TERM $$'; exit $?").exits(143);
}

#[test]
fn output_and_input() {
    let o = sh("echo out; echo err >&2");
    assert_eq!((o.out.as_str(), o.err.as_str()), ("out\n", "err\n"));
    let (r, id) = (Runtime::new(), fresh_id("oci"));
    let b = Bundle::new(&roots::busybox(), &["/bin/cat"]);
    let big = "0123456789\n".repeat(100_000);
    let o = run_with(&mut r.command(&["run", "--bundle", b.arg(), &id]), big.as_bytes(), DEADLINE).ok();
    assert!(o.out == big, "{} bytes came back", o.out.len());
    leaks::check(&r, &id);
}

#[test]
fn environment_directory_user() {
    let env = |s: &mut Value| {
        s["process"]["env"] = json!(["PATH=/bin", "X=a b", "EMPTY="]);
        s["process"]["cwd"] = json!("/var");
        s["process"]["user"] = json!({"uid": 1000, "gid": 1001, "additionalGids": [5, 6], "umask": 63});
    };
    run_changed(&["/bin/sh", "-c", "echo $X-$EMPTY-; pwd; id -u; id -g; id -G; umask"], env)
        .ok()
        .prints("a b--\n/var\n1000\n1001\n1001 5 6\n0077");
}

#[test]
fn hostname_and_mounts() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), "from the host\n").unwrap();
    let source = dir.path().to_str().unwrap().to_owned();
    run_changed(
        &[
            "/bin/sh",
            "-c",
            "hostname; cat /vol/f; echo new > /vol/n; echo x > /ro/f; grep -c ' /tmp tmpfs' /proc/mounts",
        ],
        move |s| {
            let mounts = s["mounts"].as_array_mut().unwrap();
            mounts.push(
                json!({"destination": "/vol", "type": "bind", "source": source, "options": ["rbind", "rw"]}),
            );
            mounts.push(
                json!({"destination": "/ro", "type": "bind", "source": source, "options": ["rbind", "ro"]}),
            );
        },
    )
    .ok()
    .says("guest\nfrom the host\n1")
    .says("Read-only file system");
    assert_eq!(fs::read_to_string(dir.path().join("n")).unwrap(), "new\n");
}

#[test]
fn read_only_root() {
    run_changed(&["/bin/sh", "-c", "echo x > /x; touch /tmp/ok && echo tmp"], |s| {
        s["root"]["readonly"] = json!(true)
    })
    .ok()
    .prints("tmp")
    .says("Read-only file system");
}

#[test]
fn capabilities() {
    run_changed(&["/bin/sh", "-c", "grep CapEff /proc/self/status; chown 1 /tmp 2>&1"], |s| {
        for kind in ["bounding", "effective", "permitted"] {
            s["process"]["capabilities"][kind] = json!(["CAP_KILL", "CAP_SETUID"]);
        }
    })
    .says("00000000000000a0")
    .says("not permitted");
}

#[test]
fn limits() {
    run_changed(&["/bin/sh", "-c", "ulimit -n; ulimit -Hn"], |s| {
        s["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 99}]);
    })
    .ok()
    .prints("77\n99");
}

#[test]
fn masked_and_read_only_paths() {
    run_changed(
        &["/bin/sh", "-c", "cat /proc/meminfo | wc -c; ls /var/lib | wc -l; echo x > /etc/passwd"],
        |s| {
            s["linux"]["maskedPaths"] = json!(["/proc/meminfo", "/var", "/no/such"]);
            s["linux"]["readonlyPaths"] = json!(["/etc"]);
        },
    )
    .says("0\n0")
    .says("Read-only");
}

#[test]
fn life_cycle() {
    let c = Container::created(&["/bin/sh", "-c", "echo started > /work/$HOSTNAME; exec sleep 1000"]);
    let s = c.r.state(&c.id).unwrap();
    assert_eq!(s["status"], "created");
    assert_eq!(s["id"], c.id.as_str());
    assert_eq!(s["bundle"], c.b.arg());
    let pid = fs::read_to_string(c.b.join("pid")).unwrap();
    assert_eq!(s["pid"].to_string(), pid);
    c.does(&["start"]).ok();
    assert_eq!(c.r.status(&c.id), "running");
    assert_ne!(c.does(&["start"]).code, 0, "started twice");
    assert_ne!(c.does(&["delete"]).code, 0, "deleted while it runs");
    c.r.run(&["list", "--quiet"]).ok().prints(&c.id);
    c.does(&["kill"]).ok(); // TERM: ignored by an init without a handler
    c.r.run(&["kill", &c.id, "KILL"]).ok();
    until("stopped", || c.r.status(&c.id) == "stopped");
    assert_ne!(c.r.run(&["kill", &c.id, "TERM"]).code, 0, "signalled after its end");
    c.does(&["delete"]).ok();
    assert_eq!(c.r.status(&c.id), "gone");
    c.end_of_deleted();
}

impl Container {
    fn end_of_deleted(self) {
        leaks::check(&self.r, &self.id);
    }
}

#[test]
fn delete_created() {
    let c = Container::created(&["/bin/true"]);
    c.r.run(&["delete", "--force", &c.id]).ok();
    assert_eq!(c.r.status(&c.id), "gone");
    leaks::check(&c.r, &c.id);
}

#[test]
fn exec_in_a_container() {
    let c = Container::started(&["/bin/sleep", "1000"]);
    c.exec(&["/bin/echo", "hello"]).ok().prints("hello");
    c.exec(&["/bin/sh", "-c", "exit 9"]).exits(9);
    c.exec(&["/bin/sh", "-c", "kill -9 $$"]).exits(137);
    assert_ne!(c.exec(&["/no/such"]).code, 0);
    c.exec(&["/bin/sh", "-c", "cat /proc/1/comm; echo x > /tmp/shared"]).ok().prints("sleep");
    c.exec(&["/bin/cat", "/tmp/shared"]).ok().prints("x");
    c.r.run(&[
        "exec",
        "--cwd",
        "/var",
        "--env",
        "A=b",
        "--user",
        "1000:1001",
        &c.id,
        "/bin/sh",
        "-c",
        "pwd; echo $A; id -u; id -g",
    ])
    .ok()
    .prints("/var\nb\n1000\n1001");
    let process = c.b.join("process.json");
    let mut p = c.b.spec["process"].clone();
    p["args"] = json!(["/bin/sh", "-c", "echo by file"]);
    fs::write(&process, p.to_string()).unwrap();
    c.r.run(&["exec", "--process", process.to_str().unwrap(), &c.id]).ok().prints("by file");
    let pid = c.b.join("exec.pid");
    c.r.run(&["exec", "--detach", "--pid-file", pid.to_str().unwrap(), &c.id, "/bin/sleep", "1000"]).ok();
    assert!(fs::read_to_string(pid).unwrap().parse::<i32>().unwrap() > 1);
    let o = run_with(&mut c.r.command(&["exec", &c.id, "/bin/cat"]), b"to exec", DEADLINE).ok();
    assert_eq!(o.out, "to exec");
    c.end();
}

#[test]
fn ps_of_a_container() {
    let c = Container::started(&["/bin/sh", "-c", "sleep 1000 & sleep 1001; true"]);
    let mut pids = Vec::new();
    until("three processes", || {
        let o = c.r.run(&["ps", "--format", "json", &c.id]).ok();
        pids = serde_json::from_str::<Vec<i64>>(&o.out).unwrap();
        pids.len() == 3
    });
    c.end();
}

#[test]
fn pause_and_resume() {
    let c = Container::started(&["/bin/sh", "-c", "while true; do echo x >> /work/$COUNT; sleep 0.01; done"]);
    let o = c.does(&["pause"]);
    if o.code != 0 && !c.r.ours {
        return c.end(); // runc needs a freezer that this machine may lack
    }
    assert_eq!(c.r.status(&c.id), "paused");
    c.does(&["resume"]).ok();
    assert_eq!(c.r.status(&c.id), "running");
    c.exec(&["/bin/true"]).ok();
    c.end();
}

#[test]
fn events_once() {
    let c = Container::started(&["/bin/sleep", "1000"]);
    let o = c.r.run(&["events", "--stats", &c.id]).ok();
    let v: Value = serde_json::from_str(o.out.trim()).unwrap();
    assert_eq!(v["type"], "stats");
    assert_eq!(v["id"], c.id.as_str());
    c.end();
}

#[test]
fn detached_run() {
    let (r, id) = (Runtime::new(), fresh_id("oci"));
    let b = Bundle::new(&roots::busybox(), &["/bin/sleep", "1000"]);
    r.run(&["run", "--detach", "--bundle", b.arg(), &id]).ok();
    assert_eq!(r.status(&id), "running");
    r.run(&["kill", &id, "9"]).ok();
    until("stopped", || r.status(&id) == "stopped");
    r.run(&["delete", &id]).ok();
    leaks::check(&r, &id);
}

#[test]
fn spec_is_usable() {
    let r = Runtime::new();
    let dir = tempfile::tempdir().unwrap();
    run::run(r.command(&["spec"]).current_dir(dir.path())).ok();
    let v: Value =
        serde_json::from_str(&fs::read_to_string(dir.path().join("config.json")).unwrap()).unwrap();
    assert_eq!(v["process"]["args"], json!(["sh"]));
    assert_ne!(run::run(r.command(&["spec"]).current_dir(dir.path())).code, 0, "overwrote config.json");
    r.run(&["features"]).ok().says("ociVersionMin");
    r.run(&["--version"]).ok();
}

#[test]
fn terminal() {
    // `script` gives the runtime a terminal of its own.
    let (r, id) = (Runtime::new(), fresh_id("oci"));
    let mut b = Bundle::new(
        &roots::busybox(),
        &[
            "/bin/sh",
            "-c",
            "tty; test -t 0 && echo terminal; until stty size 2>/dev/null | grep '33 99'; do sleep 0.1; done; read x; echo got $x; sleep 1000; exit $?",
        ],
    );
    b.spec["process"]["terminal"] = json!(true);
    b.write();
    let mut c = std::process::Command::new("/usr/bin/python3");
    c.arg("-c").arg(TYPIST).arg(&r.binary).arg("--root").arg(r.root.path());
    if r.ours {
        c.args(runtime::platform_args());
    }
    let o = run::run(c.args(["run", "--bundle", b.arg(), &id]));
    r.wipe(&id);
    o.says("/dev/pts/0").says("terminal").says("33 99").says("got words").says("^C").says("status 130");
    leaks::check(&r, &id);
}

/// Runs a command on a new terminal, types a line, then Ctrl-C, when asked for it; prints all and the status.
const TYPIST: &str = r#"
import fcntl, os, pty, select, struct, sys, termios, time
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
seen, typed, broke, end = b"", False, False, time.time() + 60
while time.time() < end:
    if select.select([fd], [], [], 0.1)[0]:
        try: part = os.read(fd, 4096)
        except OSError: break
        if not part: break
        seen += part
    if not typed and b"33 99" in seen: os.write(fd, b"words\n"); typed = True
    if not broke and b"got words" in seen: time.sleep(0.5); os.write(fd, b"\x03"); broke = True
else:
    print(seen.decode(errors="replace")); print("no end"); os.kill(pid, 9); sys.exit(1)
print(seen.decode(errors="replace")); print("status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

// ---- bad input: one clear line, the exit status that runc has, nothing left

/// A bundle that cannot run: no success, something said, nothing left.
#[track_caller]
fn refused(change: impl FnOnce(&Bundle)) -> Outcome {
    let (r, id) = (Runtime::new(), fresh_id("bad"));
    let b = Bundle::new(&roots::busybox(), &["/bin/true"]);
    change(&b);
    let o = r.run(&["run", "--bundle", b.arg(), &id]);
    assert!(o.code != 0 && o.code != 124, "not refused\n{o}");
    assert!(!o.err.trim().is_empty() && !o.err.contains("panicked"), "no clear message\n{o}");
    if r.ours {
        assert_eq!(o.err.trim().lines().count(), 1, "more than one line\n{o}");
    }
    assert_eq!(r.status(&id), "gone");
    leaks::check(&r, &id);
    o
}

fn changed(change: impl FnOnce(&mut Value)) -> impl FnOnce(&Bundle) {
    |b| {
        let mut spec = b.spec.clone();
        change(&mut spec);
        b.write_text(&spec.to_string());
    }
}

#[test]
fn bad_configurations() {
    refused(|b| b.write_text("{ not json")).exits(1);
    refused(|b| b.write_text("")).exits(1);
    refused(|b| b.write_text("[]")).exits(1);
    refused(|b| fs::remove_file(b.join("config.json")).unwrap()).exits(1);
    refused(changed(|s| s["process"]["args"] = json!([]))).exits(1);
    refused(changed(|s| s["process"]["args"] = json!("text"))).exits(1);
    refused(changed(|s| s["process"]["cwd"] = json!("relative"))).exits(1);
    refused(changed(|s| s["root"]["path"] = json!("/no/such/root"))).exits(1);
    refused(changed(|s| s["mounts"][0]["type"] = json!("nonsensefs"))).exits(1);
    refused(changed(|s| {
        s["mounts"]
            .as_array_mut()
            .unwrap()
            .push(json!({"destination": "/x", "type": "bind", "source": "/no/such", "options": ["bind"]}))
    }))
    .exits(1);
    refused(changed(|s| {
        s["process"]["rlimits"] = json!([{"type": "RLIMIT_NONSENSE", "soft": 1, "hard": 1}])
    }))
    .exits(1);
    refused(changed(|s| s["linux"]["namespaces"] = json!([{"type": "nonsense"}]))).exits(1);
}

/// A root with only the files of this test, so that the executable can be anything.
fn run_file(content: &[u8], mode: u32) -> Outcome {
    let dir = tempfile::Builder::new().prefix("runsc-test-root.").tempdir().unwrap();
    for d in ["proc", "dev", "sys", "tmp"] {
        fs::create_dir(dir.path().join(d)).unwrap();
    }
    let file = dir.path().join("prog");
    fs::write(&file, content).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    refused(changed(|s| {
        s["root"]["path"] = json!(dir.path());
        s["process"]["args"] = json!(["/prog"]);
    }))
}

#[test]
fn bad_executables() {
    let elf = fs::read("/bin/busybox").unwrap();
    let mut arm = elf.clone();
    arm[18] = 0xb7;
    for (what, o) in [
        ("another architecture", run_file(&arm, 0o755)),
        ("truncated", run_file(&elf[..100], 0o755)),
        ("text", run_file(b"hello\n", 0o755)),
        ("not executable", run_file(&elf, 0o644)),
        ("missing interpreter", run_file(b"#!/no/such\n", 0o755)),
    ] {
        assert!([1, 126, 127].contains(&o.code), "{what}: {o}");
    }
    refused(changed(|s| s["process"]["args"] = json!(["/no/such"])));
    refused(changed(|s| s["process"]["args"] = json!(["no-such-in-path"])));
    refused(changed(|s| s["process"]["args"] = json!(["/etc"])));
}

#[test]
fn bad_ids_and_commands() {
    let r = Runtime::new();
    let b = Bundle::new(&roots::busybox(), &["/bin/true"]);
    for id in ["a/b", "..", ".", "", "a b", "a\nb", "/", "../x"] {
        let o = r.run(&["run", "--bundle", b.arg(), id]);
        assert!(o.code != 0 && !o.err.trim().is_empty(), "id {id:?}: {o}");
    }
    if r.ours {
        assert_ne!(r.run(&["run", "--bundle", b.arg(), &"x".repeat(2000)]).code, 0);
    }
    for args in [
        &["state", "none"][..],
        &["start", "none"],
        &["kill", "none", "9"],
        &["delete", "none"],
        &["exec", "none", "true"],
        &["ps", "none"],
        &["nonsense"],
        &["run"],
        &["--nonsense"],
    ] {
        let o = r.run(args);
        assert!(o.code != 0 && !(o.err.trim().is_empty() && o.out.trim().is_empty()), "{args:?}: {o}");
    }
    r.run(&["delete", "--force", "none"]).ok();
    let c = Container::started(&["/bin/sleep", "1000"]);
    assert_ne!(c.r.run(&["kill", &c.id, "NONSENSE"]).code, 0);
    assert_ne!(c.r.run(&["kill", &c.id, "999"]).code, 0);
    let other = c.r.run(&["create", "--bundle", c.b.arg(), &c.id]);
    assert_ne!(other.code, 0, "the same id twice");
    assert_eq!(c.r.status(&c.id), "running");
    c.end();
    leaks::check(&r, "no-such-mark");
}

#[test]
fn log_as_json() {
    let (r, id) = (Runtime::new(), fresh_id("log"));
    let b = Bundle::new(&roots::busybox(), &["/no/such"]);
    let log = b.join("log.json");
    let o = r.run(&["--log", log.to_str().unwrap(), "--log-format", "json", "run", "--bundle", b.arg(), &id]);
    assert_ne!(o.code, 0);
    let text = fs::read_to_string(log).unwrap();
    let last: Value = serde_json::from_str(text.trim().lines().last().unwrap()).unwrap();
    assert_eq!(last["level"], "error");
    assert!(last["msg"].as_str().unwrap().contains("/no/such"), "{text}");
}

#[test]
fn killed_from_outside_leaves_nothing() {
    let c = Container::started(&["/bin/sleep", "1000"]);
    let pid = c.r.state(&c.id).unwrap()["pid"].as_i64().unwrap();
    run::run(std::process::Command::new("kill").args(["-9", &pid.to_string()])).ok();
    until("stopped", || c.r.status(&c.id) == "stopped");
    c.end();
}
