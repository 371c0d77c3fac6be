//! A gofer process with its filter installed answers every operation, and can do nothing else.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod common;
use common::{make, pair};
use gofer_client::*;
use gofer_server::{Filter, GoferConfig, Policy, TreeConfig, run};
use rustix::fs::{Mode, OFlags};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    // As test runners ask: what tests there are, none of them ignored; then each by its name.
    if std::env::args().any(|a| a == "--list") {
        if !std::env::args().any(|a| a == "--ignored") {
            println!("a_confined_gofer_answers_every_operation: test");
        }
        return ExitCode::SUCCESS;
    }
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("--gofer") {
        let config: GoferConfig = serde_json::from_str(&args.next().unwrap()).unwrap();
        return match run(&config) {
            Ok(_) => ExitCode::SUCCESS,
            Err(e) => {
                eprintln!("{e}");
                ExitCode::FAILURE
            }
        };
    }
    for policy in [
        Policy { tolerate_chown: true, ..Policy::default() },
        Policy {
            tolerate_chown: true,
            connect_sockets: true,
            open_fifos: true,
            make_devices: true,
            open_devices: true,
        },
    ] {
        every_operation(policy);
    }
    println!("confined: ok");
    ExitCode::SUCCESS
}

fn every_operation(policy: Policy) {
    let dir = tempfile::tempdir().unwrap();
    let root = rustix::fs::open(dir.path(), OFlags::PATH, Mode::empty()).unwrap();
    let (ours, theirs) = pair();
    let (our_events, their_events) = pair();
    for fd in [&theirs, &their_events] {
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty()).unwrap();
    }
    let config = GoferConfig {
        socket: theirs.as_raw_fd(),
        events: Some(their_events.as_raw_fd()),
        proc_self_fd: None,
        trees: vec![TreeConfig { fd: root.as_raw_fd(), readonly: false }],
        policy,
        filter: Filter::Kill,
    };
    let me = std::env::current_exe().unwrap();
    let mut gofer =
        Command::new(me).arg("--gofer").arg(serde_json::to_string(&config).unwrap()).spawn().unwrap();
    drop((theirs, their_events, root));

    let c = Client::new(ours);
    let mut events = EventStream::new(our_events);
    let root = c.attach(0).unwrap().node;
    assert!(c.walk(&root, &[b"x"], WalkFlags::WATCH, Want::Read).unwrap().watched);
    let f = c.create(&root, b"f", 2, make(0o4755)).unwrap();
    std::fs::File::from(f.file.unwrap().fd).write_all(b"text").unwrap();
    let f = f.node;
    assert_eq!(
        c.walk(&root, &[b"f"], WalkFlags::empty(), Want::Write).unwrap().file.unwrap().access,
        Access::all()
    );
    drop(c.open(&f, 0o1002).unwrap());
    let set = SetAttr {
        mode: Some(0o644),
        uid: Some(make(0).uid),
        size: Some(9),
        mtime: SetTime::Now,
        ..SetAttr::default()
    };
    c.set_attr(&f, set).unwrap();
    let d = c.mkdir(&root, b"d", make(0o755)).unwrap().node;
    c.symlink(&root, b"s", b"target", make(0)).unwrap();
    c.link(&f, &d, b"g").unwrap();
    for (name, kind) in [(&b"fifo"[..], 0o010_000), (b"sock", 0o140_000), (b"reg", 0o100_000)] {
        let node = c.mknod(&root, name, kind, 0, make(0o600)).unwrap().node;
        let _ = c.open(&node, 0);
        let _ = c.connect(&node, SocketKind::Stream);
    }
    let tmp = c.tmpfile(&d, 2, make(0o600)).unwrap();
    c.link(&tmp.node, &d, b"tmp").unwrap();
    c.rename((&d, b"tmp"), (&root, b"t"), 0).unwrap();
    c.rename((&root, b"t"), (&root, b"f"), 2).unwrap();
    c.unlink(&root, b"t", false, Some(&f)).unwrap();
    let s = c.walk(&root, &[b"s"], WalkFlags::empty(), Want::Nothing).unwrap().steps.remove(0).node;
    assert_eq!(c.readlink(&s).unwrap(), b"target");
    for flags in [ListFlags::empty(), ListFlags::NODES, ListFlags::WATCH] {
        assert!(c.read_dir(&root, 0, flags).unwrap().entries.len() >= 5);
    }
    c.statfs(&root).unwrap();
    let ok = |r: Result<(), abi::Errno>| {
        assert!(matches!(r, Ok(()) | Err(abi::Errno::EOPNOTSUPP | abi::Errno::ENODATA)))
    };
    ok(c.set_xattr(&d, b"user.x", b"1", 0));
    ok(c.get_xattr(&d, b"user.x").map(drop));
    ok(c.list_xattr(&s).map(drop));
    ok(c.remove_xattr(&d, b"user.x"));
    c.fsync(&d, false).unwrap();
    c.fsync(&f, true).unwrap();
    c.stat(&[(&root, b"f")]).unwrap().remove(0).unwrap();
    c.get_attr(&f).unwrap();
    std::fs::write(dir.path().join("from-outside"), "").unwrap();
    loop {
        let named =
            |e: &Event| matches!(e, Event::Changed { name: Some(n), .. } if n.bytes() == b"from-outside");
        match events.receive() {
            Ok(news) if news.iter().any(named) => break,
            Ok(_) | Err(abi::Errno::EAGAIN) => std::thread::sleep(std::time::Duration::from_millis(2)),
            Err(e) => panic!("{e}"),
        }
    }
    c.unwatch(&root).unwrap();
    // A gofer in use: many files held, so tables have grown.
    let many: Vec<_> =
        (0..2000).map(|_| c.walk(&root, &[b"d", b"g"], WalkFlags::empty(), Want::Read).unwrap()).collect();
    drop(many);
    c.flush();

    let status = std::fs::read_to_string(format!("/proc/{}/status", gofer.id())).unwrap();
    let field = |key: &str| status.lines().find_map(|l| l.strip_prefix(key)).unwrap().trim().to_owned();
    assert_eq!((field("Seccomp:"), field("NoNewPrivs:")), ("2".into(), "1".into()));
    // CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID, SETFCAP; MKNOD where the policy has devices.
    let allowed = 0x8000_001f_u64 | if policy.make_devices { 1 << 27 } else { 0 };
    for set in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
        assert_eq!(u64::from_str_radix(&field(set), 16).unwrap() & !allowed, 0, "{set}");
    }
    drop((root, f, d, s, tmp, c));
    let status = gofer.wait().unwrap();
    assert!(status.success(), "gofer ended with {status}, signal {:?}", status.signal());
}
