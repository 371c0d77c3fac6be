//! A real Docker daemon, started here with directories of its own, runs a Debian image through the runtime.
//!
//! The image is imported once into `target/docker` and stays there; a test that finds it starts in two seconds.
//! With `RUNTIME=runc` the same lines run through runc, which checks what is expected here.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tests::run::{DEADLINE, finish, run, run_with, spawn, until};
use tests::{Outcome, Runtime, roots, runtime};

const IMAGE: &str = "debian-test";

/// A daemon and everything that it has; gone when dropped.
struct Docker {
    dir: tempfile::TempDir,
    daemon: Child,
    name: String,
    _lock: Flock<File>,
}

impl Docker {
    fn start() -> Self {
        let root = roots::debian();
        let lock = File::create(runtime::target().join("docker.lock")).unwrap();
        let lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|e| e.1).unwrap();
        let data = runtime::target().join("docker");
        fs::create_dir_all(&data).unwrap();
        let dir = tempfile::Builder::new().prefix("runsc-test-docker.").tempdir().unwrap();
        let r = Runtime::new();
        let args = if r.ours { runtime::platform_args() } else { Vec::new() };
        let binary = fs::canonicalize(&r.binary).unwrap_or_else(|_| which(r.binary.to_str().unwrap()));
        let config = json!({"runtimes": {"runsc-rs": {"path": binary, "runtimeArgs": args}}});
        let at = |name: &str| dir.path().join(name);
        fs::write(at("daemon.json"), config.to_string()).unwrap();
        let log = File::create(at("log")).unwrap();
        let mut c = Command::new("dockerd");
        c.arg("--config-file").arg(at("daemon.json")).arg("--data-root").arg(&data);
        c.arg("--exec-root").arg(at("exec")).arg("--pidfile").arg(at("pid"));
        c.arg("--host").arg(format!("unix://{}", at("socket").display()));
        c.args(["--iptables=false", "--ip6tables=false", "--ip-masq=false", "--bridge=none"]);
        // the debian package's docker looks for the cgroup driver of the service manager
        c.args(["--exec-opt", "native.cgroupdriver=cgroupfs"]);
        let daemon = spawn(c.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log));
        let d = Self { dir, daemon, name: format!("t{}", std::process::id()), _lock: lock };
        let end = std::time::Instant::now() + Duration::from_secs(60);
        while d.docker(&["version"]).code != 0 {
            let log = || fs::read_to_string(d.dir.path().join("log")).unwrap_or_default();
            assert!(std::time::Instant::now() < end, "dockerd does not answer:\n{}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
        if d.docker(&["image", "inspect", IMAGE]).code != 0 {
            let line = format!("tar -C {} -c . | docker -H {} import - {IMAGE}", root.display(), d.host());
            run(Command::new("sh").args(["-c", &line])).ok();
        }
        d
    }
    fn host(&self) -> String {
        format!("unix://{}", self.dir.path().join("socket").display())
    }
    fn command(&self, args: &[&str]) -> Command {
        let mut c = Command::new("docker");
        c.arg("-H").arg(self.host()).args(args).env("DOCKER_CONFIG", self.dir.path());
        c
    }
    fn docker(&self, args: &[&str]) -> Outcome {
        run(&mut self.command(args))
    }
    /// `docker run --rm FLAGS debian bash -c SCRIPT`
    fn run(&self, flags: &[&str], script: &str) -> Outcome {
        let mut all = vec!["run", "--rm", "--runtime=runsc-rs", "--network=none"];
        all.extend(flags);
        all.extend([IMAGE, "/bin/bash", "-c", script]);
        self.docker(&all)
    }
    /// A container in the background whose name is the answer.
    fn background(&self, flags: &[&str], script: &str) -> &str {
        let mut all = vec!["run", "-d", "--name", &self.name, "--runtime=runsc-rs", "--network=none"];
        all.extend(flags);
        all.extend([IMAGE, "/bin/bash", "-c", script]);
        self.docker(&all).ok();
        &self.name
    }
    fn inspect(&self, what: &str) -> String {
        self.docker(&["inspect", "-f", what, &self.name]).out.trim().to_owned()
    }
    fn end(mut self) {
        self.remove_all();
        self.stop();
        let left: Vec<_> = tests::run::orphans().into_iter().filter(|(_, state)| *state != 'Z').collect();
        let names = left.iter().map(|(p, _)| {
            fs::read_to_string(format!("/proc/{p}/cmdline")).unwrap_or_default().replace('\0', " ")
        });
        let names: Vec<_> = names.filter(|n| !n.is_empty()).collect();
        assert!(names.is_empty(), "left behind: {names:?}");
    }
    fn remove_all(&self) {
        let ids = self.docker(&["ps", "-aq"]).out;
        for id in ids.split_whitespace() {
            self.docker(&["rm", "-f", id]);
        }
    }
    fn stop(&mut self) {
        let _ = kill(Pid::from_raw(self.daemon.id() as i32), Signal::SIGTERM);
        finish(&mut self.daemon, Duration::from_secs(40));
        let _ = run(Command::new("umount").arg("-q").arg(runtime::target().join("docker/overlay2")));
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        if matches!(self.daemon.try_wait(), Ok(None)) {
            if std::thread::panicking() {
                let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
                let tail: Vec<_> = log.lines().rev().take(15).collect();
                eprintln!("-- dockerd's last lines, newest first\n{}", tail.join("\n"));
            }
            self.remove_all();
            self.stop();
        }
    }
}

fn which(name: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap();
    path.split(':')
        .map(|d| PathBuf::from(d).join(name))
        .find(|p| p.exists())
        .unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn docker_runs_to_the_end() {
    let d = Docker::start();
    d.run(&[], "echo hello; cat /etc/debian_version | cut -d. -f1").ok().prints("hello\n12");
    d.run(&[], "echo err >&2; exit 41").exits(41).says("err");
    d.run(&[], "bash -c 'kill -9 $$'; exit $?").exits(137);
    d.run(&[], "seq 100000 | tail -1; python3 -c 'print(6*7)'; ls /proc/self/fd | wc -l")
        .ok()
        .prints("100000\n42\n4");
    let o = run_with(
        &mut d.command(&["run", "--rm", "-i", "--runtime=runsc-rs", "--network=none", IMAGE, "wc", "-c"]),
        &vec![b'x'; 300_000],
        DEADLINE,
    );
    o.ok().prints("300000");
    d.docker(&["run", "--rm", "--runtime=runsc-rs", "--network=none", IMAGE, "/no/such/program"])
        .exits(127)
        .says("/no/such/program");
    d.docker(&["run", "--rm", "--runtime=runsc-rs", "--network=none", IMAGE, "/etc/passwd"]).exits(126);
    assert_eq!(d.docker(&["ps", "-aq"]).out, "");
    d.end();
}

#[test]
fn docker_flags() {
    let d = Docker::start();
    d.run(&["-u", "1000:1001"], "id -u; id -g").ok().prints("1000\n1001");
    d.run(&["-u", "nobody"], "id -un").ok().prints("nobody");
    d.run(&["-w", "/var/log"], "pwd").ok().prints("/var/log");
    d.run(&["-w", "/made/for/it"], "pwd").ok().prints("/made/for/it");
    d.run(&["-e", "A=b c", "-e", "EMPTY="], "echo \"$A|$EMPTY|$HOME|$HOSTNAME\" | cut -d'|' -f1-3")
        .ok()
        .prints("b c||/root");
    d.run(&["--hostname", "some-name"], "hostname; cat /etc/hostname").ok().prints("some-name\nsome-name");
    d.run(&["--read-only"], "touch /x; touch /dev/shm/y && echo shm")
        .ok()
        .prints("shm")
        .says("Read-only file system");
    d.run(&["--read-only", "--tmpfs", "/scratch:size=1m"], "touch /scratch/x && echo ok; dd if=/dev/zero of=/scratch/big bs=64k count=32 2>&1 | grep -c 'No space'; stat -f -c %T /scratch").ok().prints("ok\n1\ntmpfs");
    d.run(&["--cap-drop=ALL"], "chown 1 /tmp; grep CapEff /proc/self/status")
        .says("0000000000000000")
        .says("not permitted");
    d.run(&["--ulimit", "nofile=123:456"], "ulimit -n; ulimit -Hn").ok().prints("123\n456");
    d.run(&["--init"], "echo with init").ok().prints("with init");
    d.run(&["--entrypoint", "/bin/echo"], "x").ok().says("/bin/bash -c x");
    d.run(&["--memory=200m", "--cpus=1", "--pids-limit=50"], "echo limited").ok().prints("limited");
    d.end();
}

#[test]
fn docker_volumes() {
    let d = Docker::start();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("in"), "from outside\n").unwrap();
    let v = format!("{}:/vol", dir.path().display());
    d.run(&["-v", &v], "cat /vol/in; echo from inside > /vol/out; mkdir /vol/d; chown 5:6 /vol/out")
        .ok()
        .prints("from outside");
    assert_eq!(fs::read_to_string(dir.path().join("out")).unwrap(), "from inside\n");
    d.run(&["-v", &format!("{v}:ro")], "cat /vol/in; echo x > /vol/in")
        .exits(1)
        .says("from outside")
        .says("Read-only");
    let file = format!("{}:/etc/one-file", dir.path().join("in").display());
    d.run(&["-v", &file], "cat /etc/one-file").ok().prints("from outside");
    // what changes outside while it runs is seen inside, and the other way
    d.background(
        &["-v", &v],
        "while [ ! -e /vol/go ]; do sleep 0.05; done; cat /vol/go > /vol/answer; cat /vol/in; sleep 1000",
    );
    fs::write(dir.path().join("in"), "changed outside\n").unwrap();
    fs::write(dir.path().join("go.new"), "go\n").unwrap();
    fs::rename(dir.path().join("go.new"), dir.path().join("go")).unwrap();
    until("an answer", || fs::read_to_string(dir.path().join("answer")).is_ok_and(|t| t == "go\n"));
    until("the log", || d.docker(&["logs", &d.name]).out == "changed outside\n");
    d.docker(&["volume", "create", "vol-test"]).ok();
    d.run(&["-v", "vol-test:/v"], "echo kept > /v/f").ok();
    d.run(&["-v", "vol-test:/v"], "cat /v/f").ok().prints("kept");
    d.remove_all();
    d.docker(&["volume", "rm", "vol-test"]).ok();
    d.end();
}

#[test]
fn docker_background_exec_logs_top() {
    let d = Docker::start();
    let name = d.background(&[], "echo first line; echo to err >&2; sleep 1000 & sleep 1001; true");
    until("logs", || d.docker(&["logs", name]).out == "first line\n");
    d.docker(&["logs", name]).says("to err");
    d.docker(&["exec", name, "echo", "by exec"]).ok().prints("by exec");
    d.docker(&["exec", "-e", "X=y", "-w", "/var", "-u", "1000", name, "bash", "-c", "echo $X; pwd; id -u"])
        .ok()
        .prints("y\n/var\n1000");
    d.docker(&["exec", name, "bash", "-c", "exit 23"]).exits(23);
    d.docker(&["exec", name, "/no/such"]).exits(126).says("/no/such"); // Docker 20.10 turns 127 into this
    run_with(&mut d.command(&["exec", "-i", name, "cat"]), b"piped", DEADLINE).ok().prints("piped");
    d.docker(&["exec", "-d", name, "touch", "/tmp/detached"]).ok();
    until("a detached exec", || d.docker(&["exec", name, "test", "-e", "/tmp/detached"]).code == 0);
    let top = d.docker(&["top", name]).ok();
    assert!(top.out.contains("sleep 1000") && top.out.contains("sleep 1001"), "{top}");
    d.docker(&["exec", name, "ps", "aux"]).ok().says("sleep 1001");
    assert_eq!(d.inspect("{{.State.Running}}"), "true");
    d.end();
}

#[test]
fn docker_stop_and_kill() {
    let d = Docker::start();
    let name =
        d.background(&[], "trap 'echo terminated; exit 5' TERM; echo ready; while true; do sleep 0.05; done");
    until("ready", || d.docker(&["logs", name]).out == "ready\n");
    d.docker(&["stop", name]).ok();
    assert_eq!(d.inspect("{{.State.ExitCode}} {{.State.Status}}"), "5 exited");
    d.docker(&["logs", name]).says("terminated");
    d.docker(&["start", name]).ok();
    until("ready again", || d.docker(&["logs", name]).out.matches("ready\n").count() == 2);
    d.docker(&["kill", name]).ok();
    until("killed", || d.inspect("{{.State.ExitCode}} {{.State.Status}}") == "137 exited");
    d.docker(&["start", name]).ok();
    until("ready once more", || d.docker(&["logs", name]).out.matches("ready\n").count() == 3);
    d.docker(&["kill", "-s", "TERM", name]).ok();
    d.docker(&["wait", name]).ok().prints("5");
    d.docker(&["restart", "-t", "0", name]).ok();
    d.docker(&["rm", "-f", name]).ok();
    d.end();
}

#[test]
fn docker_copies_diff_commit() {
    let d = Docker::start();
    let dir = tempfile::tempdir().unwrap();
    let name =
        d.background(&[], "echo made > /root/made; rm /etc/issue; mkdir /srv/new; echo ready; sleep 1000");
    until("ready", || d.docker(&["logs", name]).out == "ready\n");
    fs::write(dir.path().join("to"), "copied in\n").unwrap();
    let local = dir.path().join("to");
    d.docker(&["exec", name, "bash", "-c", "ls /tmp; cat /root/made"]).ok(); // caches the directory first
    d.docker(&["cp", local.to_str().unwrap(), &format!("{name}:/tmp/in")]).ok();
    d.docker(&["exec", name, "cat", "/tmp/in"]).ok().prints("copied in");
    let back = dir.path().join("back");
    d.docker(&["cp", &format!("{name}:/root/made"), back.to_str().unwrap()]).ok();
    assert_eq!(fs::read_to_string(&back).unwrap(), "made\n");
    fs::write(&local, "copied again, longer\n").unwrap();
    d.docker(&["cp", local.to_str().unwrap(), &format!("{name}:/tmp/in")]).ok();
    d.docker(&["exec", name, "cat", "/tmp/in"]).ok().prints("copied again, longer");
    let diff = d.docker(&["diff", name]).ok().out;
    for line in ["A /root/made", "D /etc/issue", "A /srv/new", "A /tmp/in"] {
        assert!(diff.lines().any(|l| l == line), "{line} is not in\n{diff}");
    }
    d.docker(&["commit", name, "committed-test"]).ok();
    d.docker(&[
        "run",
        "--rm",
        "--runtime=runsc-rs",
        "--network=none",
        "committed-test",
        "bash",
        "-c",
        "cat /root/made /tmp/in; test -e /etc/issue || echo no issue",
    ])
    .ok()
    .prints("made\ncopied again, longer\nno issue");
    d.remove_all();
    d.docker(&["rmi", "committed-test"]).ok();
    d.end();
}

#[test]
fn docker_stats_and_pause() {
    let d = Docker::start();
    let name = d.background(
        &["-v", "/var/tmp:/host"],
        "n=0; while true; do n=$((n+1)); echo $n > /tmp/n; sleep 0.02; done",
    );
    let s = d.docker(&["stats", "--no-stream", "--format", "{{json .}}", name]).ok();
    let v: Value = serde_json::from_str(s.out.trim()).unwrap();
    assert_eq!(v["Name"], name);
    let count = || d.docker(&["exec", name, "cat", "/tmp/n"]).ok().out.trim().parse::<i64>().unwrap_or(0);
    until("counting", || count() > 2);
    let o = d.docker(&["pause", name]);
    if o.code == 0 || !runtime::stand_in() {
        o.ok();
        assert_eq!(d.inspect("{{.State.Paused}}"), "true");
        d.docker(&["unpause", name]).ok();
        let now = count();
        until("counting again", || count() > now);
    }
    d.end();
}

#[test]
fn docker_terminal() {
    let d = Docker::start();
    let mut c = Command::new("/usr/bin/python3");
    c.arg("-c").arg(TYPIST).args([
        "docker",
        "-H",
        &d.host(),
        "run",
        "--rm",
        "-it",
        "--runtime=runsc-rs",
        "--network=none",
        IMAGE,
        "bash",
        "--norc",
    ]);
    run(&mut c)
        .ok()
        .says("tty is /dev/pts/0")
        .says("33 99")
        .says("job stopped")
        .says("interrupted 130")
        .says("status 9");
    let name = d.background(&["-t"], "tty; sleep 1000");
    until("a terminal in the log", || d.docker(&["logs", name]).out.contains("/dev/pts/0"));
    let mut c = Command::new("/usr/bin/python3");
    c.arg("-c").arg(TYPIST).args(["docker", "-H", &d.host(), "exec", "-it", name, "bash", "--norc"]);
    run(&mut c).ok().says("33 99").says("interrupted 130").says("status 9");
    d.end();
}

/// An interactive bash on a new terminal: asks for tty and size, Ctrl-C, Ctrl-Z, then `exit 9`.
const TYPIST: &str = r##"
import fcntl, os, pty, select, struct, sys, termios, time
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
seen = b""
def see(what, seconds=60):
    global seen
    end = time.time() + seconds
    while what not in seen:
        if time.time() > end: print(seen.decode(errors="replace")); print("never saw", what); os.kill(pid, 9); sys.exit(1)
        if select.select([fd], [], [], 0.1)[0]:
            try: part = os.read(fd, 4096)
            except OSError: part = b""
            if not part: print(seen.decode(errors="replace")); print("ended before", what); sys.exit(1)
            seen += part
def say(text): os.write(fd, text)
see(b"# ")
say(b"echo tty is $(tty); until [ \"$(stty size)\" = \"33 99\" ]; do sleep 0.1; done; stty size; echo asked-$((1+1))\n"); see(b"asked-2")
say(b"echo going-$((1+2)); sleep 1000\n"); see(b"going-3"); time.sleep(0.5); say(b"\x03"); say(b"echo interrupted $?\n"); see(b"interrupted 1")
say(b"echo going-$((2+2)); sleep 1001\n"); see(b"going-4"); time.sleep(0.5); say(b"\x1a"); see(b"Stopped"); say(b"echo job st''opped; kill -9 %1; fg\n"); see(b"job stopped")
say(b"exit 9\n")
end = time.time() + 60
while time.time() < end:
    try: part = os.read(fd, 4096)
    except OSError: break
    if not part: break
    seen += part
print(seen.decode(errors="replace")); print("status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"##;

#[test]
fn docker_many_at_once() {
    let d = Docker::start();
    let mut children: Vec<_> = (0..6)
        .map(|i| {
            let script = format!("echo {i}; exit {}", 10 + i);
            let mut c = d.command(&[
                "run",
                "--rm",
                "--runtime=runsc-rs",
                "--network=none",
                IMAGE,
                "bash",
                "-c",
                &script,
            ]);
            spawn(c.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))
        })
        .collect();
    for (i, c) in children.iter_mut().enumerate() {
        assert_eq!(finish(c, DEADLINE).and_then(|s| s.code()), Some(10 + i as i32));
    }
    assert_eq!(d.docker(&["ps", "-aq"]).out, "");
    d.end();
}
