//! A sentry that has been taken over, and a gofer that answers nonsense.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
use abi::Errno;
use common::{gofer, make, pair};
use gofer_client::*;
use gofer_proto::bounded::Blob;
use gofer_proto::codec::encode;
use gofer_proto::{List, Reply, Request};
use rustix::net::{SendFlags, send};
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn names_that_would_escape() {
    let g = gofer();
    let root = g.root();
    std::fs::create_dir(g.path("d")).unwrap();
    let bad = [&b".."[..], b".", b"", b"../secret", b"d/../../secret", b"/etc/passwd", b"d/", b"a\0b"];
    for name in bad {
        // The client refuses before it asks ...
        assert_eq!(g.client.walk(&root, &[name], WalkFlags::empty(), Want::Read).unwrap_err(), Errno::EINVAL);
        // ... and the gofer does, whatever the client is.
        let n = Name(Blob::new(name).unwrap());
        let (dir, make) = (root.id(), make(0o700));
        let ops = vec![
            Op::Walk {
                node: dir,
                names: vec![n.clone()].try_into().unwrap(),
                flags: WalkFlags::empty(),
                want: Want::Read,
            },
            Op::Create { dir, name: n.clone(), flags: 2, make },
            Op::Mkdir { dir, name: n.clone(), make },
            Op::Symlink { dir, name: n.clone(), target: Blob::default(), make },
            Op::Link { node: dir, dir, name: n.clone() },
            Op::Mknod { dir, name: n.clone(), kind: 0o010_000, rdev: 0, make },
            Op::Unlink { dir, name: n.clone(), is_dir: false },
            Op::Unlink { dir, name: n.clone(), is_dir: true },
            Op::Rename {
                old_dir: dir,
                old_name: n.clone(),
                new_dir: dir,
                new_name: Name::new(b"x").unwrap(),
                flags: 0,
            },
            Op::Rename {
                old_dir: dir,
                old_name: Name::new(b"d").unwrap(),
                new_dir: dir,
                new_name: n.clone(),
                flags: 0,
            },
        ];
        for answer in g.client.batch(ops).unwrap() {
            assert_eq!(answer.unwrap_err(), Errno::EINVAL, "{name:?}");
        }
        let stat = Op::Stat { names: vec![(dir, n)].try_into().unwrap() };
        let answers = g.client.batch(vec![stat]).unwrap();
        assert!(matches!(&answers[0], Ok((Answer::Attrs(a), None)) if a[0] == Err(22)));
    }
    drop(root);
    assert_eq!(g.end().bad_names, 8 * 11);
}

#[test]
fn identities_that_were_never_given_or_are_gone() {
    let g = gofer();
    let root = g.root();
    std::fs::write(g.path("f"), "").unwrap();
    let node = g.client.walk(&root, &[b"f"], WalkFlags::empty(), Want::Nothing).unwrap().steps.remove(0).node;
    let id = node.id();
    drop(node);
    for id in [id, NodeId(0), NodeId(u64::MAX)] {
        for op in [Op::Open { node: id, flags: 0 }, Op::Readlink { node: id }, Op::Unwatch { dir: id }] {
            assert_eq!(g.client.batch(vec![op]).unwrap().remove(0).unwrap_err(), Errno::EBADF);
        }
    }
}

/// A component is exchanged for a link to the outside while it is being walked through.
#[test]
fn a_directory_that_becomes_a_link() {
    let g = gofer();
    let root = g.root();
    std::fs::create_dir(g.path("inside")).unwrap();
    std::fs::write(g.path("inside/secret"), "inside").unwrap();
    symlink(g.dir.path(), g.path("outside")).unwrap();
    let stop = AtomicBool::new(false);
    let swap = |a: &str, b: &str| {
        let flags = rustix::fs::RenameFlags::EXCHANGE;
        rustix::fs::renameat_with(rustix::fs::CWD, g.path(a), rustix::fs::CWD, g.path(b), flags).unwrap();
    };
    std::thread::scope(|s| {
        s.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                swap("inside", "outside");
            }
        });
        let (mut found, mut links) = (0, 0);
        for _ in 0..3000 {
            let w = g.client.walk(&root, &[b"inside", b"secret"], WalkFlags::empty(), Want::Read).unwrap();
            match w.end {
                WalkEnd::Complete => {
                    // "inside" has six bytes, "outside" seven.
                    assert_eq!(w.steps[1].attr.size, 6);
                    found += 1;
                }
                WalkEnd::Symlink(_) => links += 1,
                end => assert!(matches!(end, WalkEnd::Failed(_)), "{end:?}"),
            }
        }
        stop.store(true, Ordering::Relaxed);
        assert!(found + links > 0);
    });
    // Between two requests: what is held stays what it is.
    if !g.path("inside").symlink_metadata().unwrap().is_dir() {
        swap("inside", "outside");
    }
    let dir =
        g.client.walk(&root, &[b"inside"], WalkFlags::empty(), Want::Nothing).unwrap().steps.remove(0).node;
    swap("inside", "outside");
    let w = g.client.walk(&dir, &[b"secret"], WalkFlags::empty(), Want::Nothing).unwrap();
    assert_eq!(w.steps[0].attr.size, 6);
}

#[test]
fn garbage_ends_the_connection() {
    for garbage in [&b"\xff\xff\xff\xff"[..], &[0; 70 * 1024], b"{}"] {
        let dir = tempfile::tempdir().unwrap();
        let (ours, theirs) = pair();
        let root = dir.path().to_owned();
        let gofer = std::thread::spawn(move || {
            let proc = gofer_server::ProcFd::absolute().unwrap();
            let server =
                gofer_server::Server::new(vec![common::tree(&root, false)], Default::default(), proc, 512);
            gofer_server::serve(server, &theirs, None)
        });
        send(&ours, garbage, SendFlags::NOSIGNAL).unwrap();
        assert!(gofer.join().unwrap().is_err());
        assert_eq!(Client::new(ours).attach(0).unwrap_err(), Errno::EIO);
    }
}

#[test]
fn a_gofer_that_answers_nonsense() {
    let node = Answer::Node(gofer_proto::Entry { node: NodeId(1), attr: Attr::default() });
    let opened = Answer::Opened { access: Access::READ, attr: Attr::default() };
    let reply = |id, results: Vec<Result<Answer, i32>>| {
        let mut out = Vec::new();
        encode(&Reply { id, results: results.try_into().unwrap() }, &mut out).unwrap();
        out
    };
    let nonsense = [
        b"garbage".to_vec(),
        reply(2, vec![Ok(node.clone())]),
        reply(1, vec![]),
        reply(1, vec![Ok(node.clone()), Ok(node)]),
        reply(1, vec![Ok(opened)]),
        reply(1, vec![Ok(Answer::Done)]),
        vec![0; 100 * 1024],
    ];
    for bytes in nonsense {
        let (ours, theirs) = pair();
        send(&theirs, &bytes, SendFlags::NOSIGNAL).unwrap();
        let client = Client::new(ours);
        assert_eq!(client.attach(0).unwrap_err(), Errno::EIO);
        assert_eq!(client.attach(0).unwrap_err(), Errno::EIO);
    }
    // An errno that Linux does not have is still an error.
    let (ours, theirs) = pair();
    send(&theirs, &reply(1, vec![Err(0)]), SendFlags::NOSIGNAL).unwrap();
    assert_eq!(Client::new(ours).attach(0).unwrap_err(), Errno::EIO);
}

#[test]
fn requests_without_operations_are_not_answered() {
    let g = gofer();
    let (ours, theirs) = pair();
    let mut out = Vec::new();
    encode(&Request { id: 5, close: List::new(), ops: List::new() }, &mut out).unwrap();
    drop((ours, theirs));
    let root = g.root();
    g.client.flush();
    drop(root);
    g.client.flush();
    assert!(g.client.attach(0).is_ok());
}
