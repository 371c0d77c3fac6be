//! The control socket, spoken to by hand: JSON objects one after the other, and what is no request at all.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use serde_json::{Value, json};
use tests::bundle::{Bundle, fresh_id};
use tests::run::{run, until};
use tests::{Runtime, leaks, roots, runtime};

struct Sandbox {
    r: Runtime,
    id: String,
    _b: Bundle,
}

impl Sandbox {
    /// A sleeping container; `None` where the runtime under test has no control socket.
    fn start() -> Option<Self> {
        if runtime::stand_in() {
            return None;
        }
        let (r, id) = (Runtime::new(), fresh_id("ctl"));
        let b = Bundle::new(&roots::busybox(), &["/bin/sleep", "1000"]);
        r.run(&["run", "--detach", "--bundle", b.arg(), &id]).ok();
        Some(Self { r, id, _b: b })
    }
    fn connect(&self) -> UnixStream {
        let s = UnixStream::connect(self.r.root.path().join(format!("runsc-{}.sock", self.id))).unwrap();
        s.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        s.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
        s
    }
    /// Asks on a fresh connection that nothing else uses.
    fn ask(&self, method: &str, arg: Value) -> Value {
        ask(&mut self.connect(), method, arg, &[])
    }
    fn alive(&self) {
        assert_eq!(self.r.status(&self.id), "running");
        let o = self.ask("containerManager.Processes", json!(self.id));
        assert_eq!(o["success"], true, "{o}");
    }
    fn end(self) {
        self.r.run(&["delete", "--force", &self.id]).ok();
        leaks::check(&self.r, &self.id);
    }
}

fn ask(s: &mut UnixStream, method: &str, arg: Value, fds: &[RawFd]) -> Value {
    let text = json!({"method": method, "arg": arg}).to_string();
    send(s, text.as_bytes(), fds);
    receive(s).unwrap_or_else(|e| panic!("no answer to {method}: {e}"))
}

fn send(s: &UnixStream, text: &[u8], fds: &[RawFd]) {
    let rights = [ControlMessage::ScmRights(fds)];
    let control = if fds.is_empty() { &rights[..0] } else { &rights[..] };
    let n =
        sendmsg::<()>(s.as_raw_fd(), &[IoSlice::new(text)], control, MsgFlags::MSG_NOSIGNAL, None).unwrap();
    (&mut &*s).write_all(&text[n..]).unwrap();
}

fn receive(s: &mut UnixStream) -> std::io::Result<Value> {
    let (mut all, mut part) = (Vec::new(), [0; 65536]);
    loop {
        let n = s.read(&mut part)?;
        if n == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        all.extend(&part[..n]);
        if let Ok(v) = serde_json::from_slice(&all) {
            return Ok(v);
        }
    }
}

#[test]
fn methods_answer() {
    let Some(s) = Sandbox::start() else { return };
    let mut c = s.connect();
    let v = ask(&mut c, "containerManager.Processes", json!(s.id), &[]);
    assert_eq!(v["success"], true, "{v}");
    assert!(v["result"].as_array().unwrap().iter().any(|p| p["cmd"] == "sleep"), "{v}");
    // the same connection serves the next request
    let v = ask(&mut c, "containerManager.NoSuchMethod", Value::Null, &[]);
    assert_eq!(v["success"], false);
    assert!(v["err"].as_str().unwrap().contains("unknown method"), "{v}");
    let v = ask(&mut c, "Proc.Ps", json!({}), &[]);
    assert_eq!(v["success"], true, "{v}");
    let v = ask(&mut c, "containerManager.Processes", json!("no-such-container"), &[]);
    assert_eq!(v["success"], false, "{v}");
    s.end();
}

#[test]
fn exec_with_descriptors() {
    let Some(s) = Sandbox::start() else { return };
    let (mut read, write) = std::io::pipe().unwrap();
    let null = File::open("/dev/null").unwrap();
    let fds = [null.as_raw_fd(), write.as_raw_fd(), write.as_raw_fd()];
    let arg = json!({"filename": "/bin/echo", "argv": ["echo", "through", "a", "socket"], "envv": [], "wd": "/",
        "GuestFDs": [0, 1, 2], "ContainerID": s.id});
    let v = ask(&mut s.connect(), "Proc.Exec", arg.clone(), &fds);
    assert_eq!(v["success"], true, "{v}");
    drop(write);
    let mut text = String::new();
    read.read_to_string(&mut text).unwrap();
    assert_eq!(text, "through a socket\n");
    let fds = [null.as_raw_fd(); 3];
    let v = ask(&mut s.connect(), "Proc.Exec", arg.clone(), &fds[..2]);
    assert!(v["err"].as_str().unwrap().contains("length of payload files does not match"), "{v}");
    let mut bad = arg;
    bad["GuestFDs"] = json!([0, 1, -2]);
    assert_eq!(ask(&mut s.connect(), "Proc.Exec", bad, &fds)["success"], false);
    s.end();
}

/// One file more than there are numbers for is the program.
#[test]
fn exec_of_a_descriptor() {
    let Some(s) = Sandbox::start() else { return };
    let null = File::open("/dev/null").unwrap();
    let exec = |program: &File, argv: &[&str]| {
        let (mut read, write) = std::io::pipe().unwrap();
        let fds = [program.as_raw_fd(), null.as_raw_fd(), write.as_raw_fd(), write.as_raw_fd()];
        let arg = json!({"filename": "", "argv": argv, "envv": [], "wd": "/", "GuestFDs": [0, 1, 2], "ContainerID": s.id});
        let v = ask(&mut s.connect(), "Proc.Exec", arg, &fds);
        drop(write);
        let mut text = String::new();
        read.read_to_string(&mut text).unwrap();
        (v, text)
    };
    let busybox = File::open("/bin/busybox").unwrap();
    let (v, text) = exec(&busybox, &["sh", "-c", "echo from a descriptor; cat /proc/self/comm; exit 3"]);
    assert_eq!((v["success"].as_bool(), v["result"].as_u64()), (Some(true), Some(3 << 8)), "{v}");
    assert_eq!(text, "from a descriptor\ncat\n");
    // A script: its interpreter is the container's.
    let mut script = tempfile::tempfile().unwrap();
    script.write_all(b"#!/bin/sh\necho script $1\n").unwrap();
    let (v, text) = exec(&script, &["name", "argument"]);
    assert_eq!((v["result"].as_u64(), text.as_str()), (Some(0), "script argument\n"), "{v}");
    // A program that has no name any more, in memory.
    let memory = nix::sys::memfd::memfd_create(c"program", nix::sys::memfd::MFdFlags::empty()).unwrap();
    let mut memory = File::from(memory);
    memory.write_all(&std::fs::read("/bin/busybox").unwrap()).unwrap();
    assert_eq!(exec(&memory, &["echo", "memory"]).1, "memory\n");
    for (what, file) in [
        ("device", &null),
        ("text", &{
            let mut text = tempfile::tempfile().unwrap();
            text.write_all(b"no program").unwrap();
            text
        }),
    ] {
        let (v, _) = exec(file, &["x"]);
        assert_eq!(v["success"], false, "{what}: {v}");
    }
    s.alive();
    s.end();
}

#[test]
fn bad_requests() {
    let Some(s) = Sandbox::start() else { return };
    for text in [
        &b"not json at all\n"[..],
        b"[]",
        b"{}",
        b"{\"method\":5}",
        b"\"text\"",
        b"\xff\xfe\x00",
        b"{\"method\":\"nodot\",\"arg\":null}",
        b"{\"method\":\"containerManager.Signal\",\"arg\":\"x\"}",
    ] {
        let mut c = s.connect();
        send(&c, text, &[]);
        let _ = c.shutdown(std::net::Shutdown::Write);
        if let Ok(v) = receive(&mut c) {
            assert_eq!(v["success"], false, "{} was taken", String::from_utf8_lossy(text));
        }
        s.alive();
    }
    s.end();
}

#[test]
fn oversized_request() {
    let Some(s) = Sandbox::start() else { return };
    let mut c = s.connect();
    let text = format!("{{\"method\":\"Proc.Ps\",\"arg\":\"{}\"}}", "x".repeat(10 << 20));
    let _ = c.write_all(text.as_bytes()); // the other end may hang up meanwhile
    if let Ok(v) = receive(&mut c) {
        assert_eq!(v["success"], false, "ten megabytes were taken");
    }
    s.alive();
    let nested = "[".repeat(200_000);
    let mut c = s.connect();
    let _ = c.write_all(nested.as_bytes());
    let _ = c.shutdown(std::net::Shutdown::Write);
    let _ = receive(&mut c);
    s.alive();
    s.end();
}

#[test]
fn too_many_descriptors() {
    let Some(s) = Sandbox::start() else { return };
    let null = File::open("/dev/null").unwrap();
    let fds = vec![null.as_raw_fd(); 200];
    let mut c = s.connect();
    send(&c, json!({"method": "Proc.Ps", "arg": {}}).to_string().as_bytes(), &fds);
    if let Ok(v) = receive(&mut c) {
        assert_eq!(v["success"], false);
        assert!(v["err"].as_str().unwrap().contains("too many files"), "{v}");
    }
    s.alive();
    s.end();
}

#[test]
fn silent_and_broken_clients() {
    let Some(s) = Sandbox::start() else { return };
    let silent: Vec<_> = (0..50).map(|_| s.connect()).collect();
    s.alive();
    for c in &silent {
        send(c, b"{\"method\":\"cont", &[]);
    }
    s.alive();
    drop(silent);
    s.alive();
    // a request byte by byte
    let mut c = s.connect();
    for byte in json!({"method": "containerManager.Processes", "arg": s.id}).to_string().bytes() {
        c.write_all(&[byte]).unwrap();
    }
    assert_eq!(receive(&mut c).unwrap()["success"], true);
    s.end();
}

#[test]
fn only_the_owner() {
    let Some(s) = Sandbox::start() else { return };
    use std::os::unix::fs::PermissionsExt;
    let path = s.r.root.path().join(format!("runsc-{}.sock", s.id));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let script = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])";
    let mut c = std::process::Command::new("setpriv");
    c.args(["--reuid=1000", "--regid=1000", "--clear-groups", "/usr/bin/python3", "-c", script]).arg(&path);
    assert_ne!(run(&mut c).code, 0);
    s.end();
}

#[test]
fn waiting_and_signals() {
    let Some(s) = Sandbox::start() else { return };
    let mut waiting = s.connect();
    send(&waiting, json!({"method": "containerManager.Wait", "arg": s.id}).to_string().as_bytes(), &[]);
    s.r.run(&["kill", &s.id, "KILL"]).ok();
    let v = receive(&mut waiting).unwrap();
    assert_eq!(v["success"], true, "{v}");
    assert_eq!(v["result"], 9, "a wait status");
    until("stopped", || s.r.status(&s.id) == "stopped");
    s.end();
}
