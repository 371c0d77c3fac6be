//! What changes behind the sentry's back is reported; what the sentry does itself is not.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod common;
use common::{Gofer, gofer, make};
use gofer_client::*;
use rustix::event::{PollFd, PollFlags, poll};
use std::time::{Duration, Instant};

/// Events until one is for `name`.
fn wait_for(g: &mut Gofer, name: &str) -> Vec<(String, Change)> {
    let mut seen = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        let mut polled = [PollFd::new(&g.events, PollFlags::IN)];
        let second = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
        if poll(&mut polled, Some(&second)).unwrap() == 0 {
            continue;
        }
        for event in g.events.receive().unwrap() {
            let Event::Changed { name, change, .. } = event else { panic!("overflow") };
            let name = name.map_or(String::new(), |n| String::from_utf8(n.bytes().to_vec()).unwrap());
            seen.push((name, change));
        }
        if seen.iter().any(|(n, _)| n == name) {
            return seen;
        }
    }
    panic!("no event for {name}, only {seen:?}");
}

#[test]
fn changes_from_outside() {
    let mut g = gofer();
    let root = g.root();
    let w = g.client.walk(&root, &[b"new"], WalkFlags::WATCH, Want::Nothing).unwrap();
    assert!(w.watched && w.end == WalkEnd::Missing);
    std::fs::write(g.path("new"), "x").unwrap();
    assert!(wait_for(&mut g, "new").iter().any(|(_, c)| c.contains(Change::APPEARED)));
    std::fs::rename(g.path("new"), g.path("moved")).unwrap();
    let seen = wait_for(&mut g, "moved");
    assert!(seen.contains(&("new".into(), Change::VANISHED | Change::MOVED)));
    std::fs::create_dir(g.path("dir")).unwrap();
    assert!(wait_for(&mut g, "dir").contains(&("dir".into(), Change::APPEARED | Change::IS_DIR)));
    std::fs::remove_dir(g.path("dir")).unwrap();
    assert!(wait_for(&mut g, "dir").contains(&("dir".into(), Change::VANISHED | Change::IS_DIR)));
    g.client.unwatch(&root).unwrap();
    std::fs::write(g.path("unseen"), "x").unwrap();
    g.client.watch(&root).unwrap();
    std::fs::write(g.path("seen"), "x").unwrap();
    assert!(wait_for(&mut g, "seen").iter().all(|(n, _)| n != "unseen"));
}

#[test]
fn changes_of_our_own() {
    let mut g = gofer();
    let root = g.root();
    assert!(g.client.read_dir(&root, 0, ListFlags::WATCH).unwrap().watched);
    let f = g.client.create(&root, b"own", 2, make(0o600)).unwrap();
    // Closing a donated descriptor would be an event: the sentry changes the file without the gofer.
    let keep = f.file;
    g.client.mkdir(&root, b"own-dir", make(0o700)).unwrap();
    g.client.symlink(&root, b"own-link", b"x", make(0)).unwrap();
    let set = SetAttr { mode: Some(0o640), size: Some(9), mtime: SetTime::Now, ..SetAttr::default() };
    g.client.set_attr(&f.node, set).unwrap();
    g.client.link(&f.node, &root, b"own-2").unwrap();
    g.client.rename((&root, b"own-2"), (&root, b"own-3"), 0).unwrap();
    g.client.unlink(&root, b"own-3", false, None).unwrap();
    g.client.unlink(&root, b"own-dir", true, None).unwrap();
    let set = SetAttr { mode: Some(0o750), ..SetAttr::default() };
    g.client.set_attr(&root, set).unwrap();
    std::fs::write(g.path("others"), "").unwrap();
    let seen = wait_for(&mut g, "others");
    assert!(seen.iter().all(|(n, _)| n == "others"), "{seen:?}");
    drop(keep);
    wait_for(&mut g, "own");
}

#[test]
fn a_sentry_that_does_not_listen_is_told_that_it_lost_some() {
    let mut g = gofer();
    let root = g.root();
    g.client.watch(&root).unwrap();
    for i in 0..6000 {
        std::fs::write(g.path(&format!("{:0>200}", i % 50)), "").unwrap();
        if i % 20 == 0 {
            g.client.get_attr(&root).unwrap();
        }
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        assert!(Instant::now() < deadline);
        match g.events.receive() {
            Ok(events) if events.contains(&Event::Overflow) => break,
            Ok(_) => {}
            Err(abi::Errno::EAGAIN) => std::thread::sleep(Duration::from_millis(5)),
            Err(e) => panic!("{e}"),
        }
    }
}
