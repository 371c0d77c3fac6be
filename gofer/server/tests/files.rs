//! Client and server together on a real directory.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
use abi::Errno;
use common::{gofer, gofer_with, make};
use gofer_client::*;
use gofer_server::Policy;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

const NONE: WalkFlags = WalkFlags::empty();

#[test]
fn walk_many_components_and_donate() {
    let g = gofer();
    std::fs::create_dir_all(g.path("a/b/c")).unwrap();
    std::fs::write(g.path("a/b/c/file"), "contents").unwrap();
    let root = g.root();
    let w = g.client.walk(&root, &[b"a", b"b", b"c", b"file"], NONE, Want::Write).unwrap();
    assert_eq!((w.steps.len(), w.end), (4, WalkEnd::Complete));
    assert_eq!(w.steps[3].attr.size, 8);
    assert_eq!(w.steps[3].attr.ino, std::fs::metadata(g.path("a/b/c/file")).unwrap().ino());
    let file = w.file.unwrap();
    assert_eq!(file.access, Access::READ | Access::WRITE);
    let mut text = String::new();
    std::fs::File::from(file.fd).read_to_string(&mut text).unwrap();
    assert_eq!(text, "contents");

    let w = g.client.walk(&root, &[b"a", b"nothing", b"x"], NONE, Want::Read).unwrap();
    assert_eq!((w.steps.len(), w.end), (1, WalkEnd::Missing));
    let w = g.client.walk(&root, &[b"a", b"b", b"c", b"file", b"x"], NONE, Want::Read).unwrap();
    assert_eq!((w.steps.len(), w.end), (4, WalkEnd::NotDirectory));
    assert!(w.file.is_none());
    let again = g.client.walk(&w.steps[3].node, &[], NONE, Want::Read).unwrap();
    assert_eq!(again.file.unwrap().access, Access::READ);
    assert_ne!(again.steps[0].node.id(), w.steps[3].node.id());
    let deep: Vec<&[u8]> = vec![b"a"; 100];
    assert_eq!(g.client.walk(&root, &deep, NONE, Want::Nothing).unwrap().end, WalkEnd::Missing);

    assert_eq!(g.end().donated, 2);
}

#[test]
fn walk_longer_than_one_message() {
    let g = gofer();
    let mut path = g.path("");
    for _ in 0..100 {
        path.push("d");
    }
    std::fs::create_dir_all(&path).unwrap();
    let names: Vec<&[u8]> = vec![b"d"; 100];
    let w = g.client.walk(&g.root(), &names, NONE, Want::Nothing).unwrap();
    assert_eq!((w.steps.len(), w.end), (100, WalkEnd::Complete));
}

#[test]
fn links_are_told_not_followed() {
    let g = gofer();
    symlink("/etc", g.path("link")).unwrap();
    let root = g.root();
    for names in [&[&b"link"[..]][..], &[b"link", b"passwd"]] {
        let w = g.client.walk(&root, names, NONE, Want::Read).unwrap();
        assert_eq!(w.steps.len(), 1);
        assert!(w.steps[0].attr.is_symlink() && w.file.is_none());
        assert_eq!(w.end, WalkEnd::Symlink(LinkTarget::new(b"/etc").unwrap()));
    }
    let link = g.client.walk(&root, &[b"link"], NONE, Want::Nothing).unwrap().steps.remove(0).node;
    assert_eq!(g.client.readlink(&link).unwrap(), b"/etc");
    assert_eq!(g.client.open(&link, 0).unwrap_err(), Errno::ELOOP);
    assert_eq!(g.client.walk(&link, &[b"passwd"], NONE, Want::Read).unwrap_err(), Errno::ENOTDIR);
    let set = SetAttr { mode: Some(0o600), ..SetAttr::default() };
    assert_eq!(g.client.set_attr(&link, set).unwrap_err(), Errno::EOPNOTSUPP);
    let set = SetAttr { mtime: SetTime::At(Time { sec: 77, nsec: 5 }), ..SetAttr::default() };
    assert_eq!(g.client.set_attr(&link, set).unwrap().mtime, Time { sec: 77, nsec: 5 });
}

#[test]
fn make_rename_remove() {
    let g = gofer();
    let root = g.root();
    let made = g.client.create(&root, b"f", 2, make(0o4711)).unwrap();
    std::fs::File::from(made.file.unwrap().fd).write_all(b"hello").unwrap();
    assert_eq!(std::fs::read(g.path("f")).unwrap(), b"hello");
    assert_eq!(std::fs::metadata(g.path("f")).unwrap().permissions().mode() & 0o7777, 0o4711);
    assert_eq!(g.client.create(&root, b"f", 2, make(0o600)).unwrap_err(), Errno::EEXIST);
    let linked = g.client.link(&made.node, &root, b"g").unwrap();
    assert_eq!((linked.attr.nlink, linked.attr.ino), (2, made.attr.ino));
    let dir = g.client.mkdir(&root, b"d", make(0o2755)).unwrap();
    assert_eq!((dir.attr.mode & 0o7777, dir.attr.is_dir()), (0o2755, true));
    // What is made in a set-group-id directory has what was asked for all the same.
    let sub = g.client.mkdir(&dir.node, b"sub", make(0o700)).unwrap();
    assert_eq!(sub.attr.mode & 0o7777, 0o700);
    g.client.rename((&root, b"f"), (&dir.node, b"h"), 0).unwrap();
    assert_eq!(g.client.rename((&root, b"g"), (&dir.node, b"h"), 1).unwrap_err(), Errno::EEXIST);
    assert_eq!(g.client.rename((&root, b"g"), (&dir.node, b"h"), 64).unwrap_err(), Errno::EINVAL);
    assert_eq!(std::fs::read(g.path("d/h")).unwrap(), b"hello");
    let (_, victim) = g.client.unlink(&root, b"g", false, Some(&made.node)).unwrap();
    assert_eq!(victim.unwrap().nlink, 1);
    assert_eq!(g.client.unlink(&root, b"d", true, None).unwrap_err(), Errno::ENOTEMPTY);
    assert_eq!(g.client.unlink(&root, b"d", false, None).unwrap_err(), Errno::EISDIR);
    assert!(g.client.symlink(&root, b"s", b"../../x", make(0)).unwrap().attr.is_symlink());
    assert_eq!(std::fs::read_link(g.path("s")).unwrap().to_str(), Some("../../x"));
    // Names are gone, the file is still held.
    g.client.unlink(&dir.node, b"h", false, None).unwrap();
    let mut text = String::new();
    std::fs::File::from(g.client.open(&made.node, 0).unwrap().0.fd).read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
    assert_eq!(g.client.get_attr(&made.node).unwrap().nlink, 0);
}

#[test]
fn device_nodes_where_the_policy_says_so() {
    let g = gofer_with(Policy { make_devices: true, ..Policy::default() }, 4096);
    let root = g.root();
    let made = match g.client.mknod(&root, b"null", 0o020_000, 0x103, make(0o666)) {
        Err(Errno::EPERM) => return, // without CAP_MKNOD
        made => made.unwrap(),
    };
    assert_eq!((made.attr.mode, made.attr.rdev), (0o020_666, 0x103));
    let node = g.client.walk(&root, &[b"null"], NONE, Want::Write).unwrap().steps.remove(0).node;
    assert_eq!(g.client.open(&node, 0).err(), Some(Errno::EACCES), "made, not opened");
}

#[test]
fn special_files() {
    let g = gofer();
    let root = g.root();
    for (name, kind) in [(&b"fifo"[..], 0o010_000), (b"sock", 0o140_000), (b"reg", 0o100_000)] {
        assert_eq!(g.client.mknod(&root, name, kind, 0, make(0o640)).unwrap().attr.mode, kind | 0o640);
    }
    assert_eq!(g.client.mknod(&root, b"null", 0o020_000, 0x103, make(0o666)).unwrap_err(), Errno::EPERM);
    assert_eq!(g.client.mknod(&root, b"odd", 0o050_000, 0, make(0o666)).unwrap_err(), Errno::EINVAL);
    let open = |name: &[u8]| {
        let node = g.client.walk(&root, &[name], NONE, Want::Write).unwrap().steps.remove(0).node;
        (g.client.open(&node, 0).map(drop), g.client.connect(&node, SocketKind::Stream).map(drop))
    };
    assert_eq!(open(b"fifo"), (Err(Errno::EACCES), Err(Errno::ECONNREFUSED)));
    assert_eq!(open(b"sock"), (Err(Errno::ENXIO), Err(Errno::ECONNREFUSED)));
    assert_eq!(g.client.open(&root, 0).unwrap_err(), Errno::EISDIR);
}

#[test]
fn sockets_of_the_host_where_allowed() {
    let g = gofer_with(Policy { connect_sockets: true, ..Policy::default() }, 512);
    let listener = std::os::unix::net::UnixListener::bind(g.path("sock")).unwrap();
    let node = g.client.walk(&g.root(), &[b"sock"], NONE, Want::Nothing).unwrap().steps.remove(0).node;
    drop(g.client.connect(&node, SocketKind::Stream).unwrap());
    listener.accept().unwrap();
}

#[test]
fn readonly_tree() {
    let g = gofer();
    std::fs::write(g.path("f"), "x").unwrap();
    let ro = g.client.attach(1).unwrap().node;
    let w = g.client.walk(&ro, &[b"f"], NONE, Want::Write).unwrap();
    assert_eq!(w.file.unwrap().access, Access::READ);
    let f = &w.steps[0].node;
    let rofs = Some(Errno::EROFS);
    assert_eq!(g.client.create(&ro, b"n", 2, make(0o600)).err(), rofs);
    assert_eq!(g.client.tmpfile(&ro, 2, make(0o600)).err(), rofs);
    assert_eq!(g.client.mkdir(&ro, b"n", make(0o700)).err(), rofs);
    assert_eq!(g.client.symlink(&ro, b"n", b"x", make(0)).err(), rofs);
    assert_eq!(g.client.link(f, &ro, b"n").err(), rofs);
    assert_eq!(g.client.mknod(&ro, b"n", 0o010_000, 0, make(0o600)).err(), rofs);
    assert_eq!(g.client.unlink(&ro, b"f", false, None).err(), rofs);
    assert_eq!(g.client.rename((&ro, b"f"), (&ro, b"n"), 0).err(), rofs);
    assert_eq!(g.client.set_attr(f, SetAttr { mode: Some(0), ..SetAttr::default() }).err(), rofs);
    assert_eq!(g.client.set_xattr(f, b"user.x", b"1", 0).err(), rofs);
    assert_eq!(g.client.remove_xattr(f, b"user.x").err(), rofs);
    for flags in [1, 2, 0o1000] {
        assert_eq!(g.client.open(f, flags).err(), rofs);
    }
    // Trees do not mix.
    let rw = g.root();
    assert_eq!(g.client.link(f, &rw, b"n").err(), Some(Errno::EXDEV));
}

#[test]
fn attributes() {
    let g = gofer();
    let root = g.root();
    let f = g.client.create(&root, b"f", 2, make(0o600)).unwrap().node;
    let set = SetAttr {
        mode: Some(0o6755),
        uid: Some(make(0).uid),
        gid: Some(make(0).gid),
        size: Some(12345),
        atime: SetTime::Now,
        mtime: SetTime::At(Time { sec: -5, nsec: 7 }),
    };
    let attr = g.client.set_attr(&f, set).unwrap();
    assert_eq!((attr.mode & 0o7777, attr.size, attr.mtime), (0o6755, 12345, Time { sec: -5, nsec: 7 }));
    let set = SetAttr { size: Some(1), ..SetAttr::default() };
    assert_eq!(g.client.set_attr(&root, set).unwrap_err(), Errno::EISDIR);
    let set = SetAttr { mtime: SetTime::At(Time { sec: 0, nsec: 1_000_000_000 }), ..SetAttr::default() };
    assert_eq!(g.client.set_attr(&f, set).unwrap_err(), Errno::EINVAL);
    let many = g.client.get_attrs(&vec![&f; 600]).unwrap();
    assert!(many.len() == 600 && many.iter().all(|a| *a == Ok(attr)));
    let stats = g.client.stat(&[(&root, b"f"), (&root, b"nope"), (&f, b"x")]).unwrap();
    assert_eq!(stats, vec![Ok(attr), Err(Errno::ENOENT), Err(Errno::ENOTDIR)]);
    assert!(g.client.statfs(&f).unwrap().bsize > 0);
    g.client.fsync(&root, false).unwrap();
    g.client.fsync(&f, true).unwrap();
    let tmp = g.client.tmpfile(&root, 2, make(0o640)).unwrap();
    std::fs::File::from(tmp.file.unwrap().fd).write_all(b"tmp").unwrap();
    g.client.link(&tmp.node, &root, b"named").unwrap();
    assert_eq!(std::fs::read(g.path("named")).unwrap(), b"tmp");
    assert_eq!(g.client.attach(9).unwrap_err(), Errno::ENODEV);
    let file = g.client.attach(2).unwrap();
    assert!(file.attr.is_regular() && g.client.open(&file.node, 0).is_ok());
}

#[test]
fn extended_attributes() {
    let g = gofer();
    let root = g.root();
    let f = g.client.create(&root, b"f", 2, make(0o600)).unwrap().node;
    match g.client.set_xattr(&f, b"user.key", b"value", 0) {
        // A file system without them under the temporary directory.
        Err(Errno::EOPNOTSUPP) => return,
        other => other.unwrap(),
    }
    assert_eq!(g.client.get_xattr(&f, b"user.key").unwrap(), b"value");
    assert_eq!(g.client.list_xattr(&f).unwrap(), b"user.key\0");
    assert_eq!(g.client.set_xattr(&f, b"user.key", b"2", 1).unwrap_err(), Errno::EEXIST);
    assert_eq!(g.client.set_xattr(&f, b"user.other", b"2", 2).unwrap_err(), Errno::ENODATA);
    assert_eq!(g.client.set_xattr(&f, b"user.key", b"2", 4).unwrap_err(), Errno::EINVAL);
    assert_eq!(g.client.set_xattr(&f, b"trusted.x", b"2", 0).unwrap_err(), Errno::EPERM);
    assert_eq!(g.client.get_xattr(&f, b"trusted.x").unwrap_err(), Errno::ENODATA);
    g.client.set_xattr(&root, b"user.dir/with/slashes", b"", 0).unwrap();
    assert_eq!(g.client.get_xattr(&root, b"user.dir/with/slashes").unwrap(), b"");
    g.client.remove_xattr(&f, b"user.key").unwrap();
    assert_eq!(g.client.get_xattr(&f, b"user.key").unwrap_err(), Errno::ENODATA);
}

#[test]
fn listing_in_parts() {
    let g = gofer();
    let root = g.root();
    for i in 0..1500 {
        std::fs::write(g.path(&format!("a-name-that-is-fairly-long-{i}")), "").unwrap();
    }
    for flags in [ListFlags::empty(), ListFlags::ATTRS, ListFlags::NODES] {
        let (mut names, mut offset, mut parts) = (std::collections::BTreeSet::new(), 0, 0);
        loop {
            let part = g.client.read_dir(&root, offset, flags).unwrap();
            parts += 1;
            for e in &part.entries {
                assert!(names.insert(e.name.clone()), "listed twice");
                assert_eq!(e.attr.is_some(), !flags.is_empty());
                assert_eq!(e.node.is_some(), flags.contains(ListFlags::NODES));
                offset = e.next;
            }
            if part.end {
                break;
            }
        }
        assert!(names.len() == 1500 && parts > 1);
    }
}

#[test]
fn handles_are_given_back_and_bounded() {
    // The least that a server allows: 64 nodes.
    let g = gofer_with(Policy::default(), 0);
    let root = g.root();
    std::fs::write(g.path("f"), "").unwrap();
    let mut held = Vec::new();
    let full = loop {
        let w = g.client.walk(&root, &[b"f"], NONE, Want::Nothing).unwrap();
        match w.end {
            WalkEnd::Complete => held.push(w.steps),
            end => break end,
        }
    };
    assert_eq!((full, held.len()), (WalkEnd::Failed(Errno::ENFILE.code()), 63));
    assert_eq!(g.client.mkdir(&root, b"d", make(0o700)).unwrap_err(), Errno::ENFILE);
    assert!(!g.path("d").exists());
    held.clear();
    for _ in 0..500 {
        assert_eq!(g.client.walk(&root, &[b"f"], NONE, Want::Nothing).unwrap().end, WalkEnd::Complete);
    }
}

#[test]
fn batches_that_do_not_fit_one_reply() {
    let g = gofer();
    let root = g.root();
    let f = g.client.create(&root, b"f", 2, make(0o600)).unwrap().node;
    let big = vec![7; 3000];
    if g.client.set_xattr(&f, b"user.big", &big, 0).is_err() {
        return;
    }
    let op = Op::GetXattr { node: f.id(), name: Name::new(b"user.big").unwrap() };
    let answers = g.client.batch(vec![op.clone(); 20]).unwrap();
    assert_eq!(answers.len(), 20);
    assert!(answers.iter().all(|a| matches!(a, Ok((Answer::Bytes(b), None)) if **b == *big)));
    assert_eq!(g.client.batch(vec![op; 40]).unwrap_err(), Errno::E2BIG);
}

#[test]
fn many_threads() {
    let g = gofer();
    let root = g.root();
    std::thread::scope(|s| {
        for t in 0..4 {
            let (client, root) = (&g.client, &root);
            s.spawn(move || {
                for i in 0..100 {
                    let name = format!("{t}-{i}");
                    let made = client.create(root, name.as_bytes(), 2, make(0o600)).unwrap();
                    std::fs::File::from(made.file.unwrap().fd).write_all(name.as_bytes()).unwrap();
                    let w = client.walk(root, &[name.as_bytes()], NONE, Want::Read).unwrap();
                    let mut text = String::new();
                    std::fs::File::from(w.file.unwrap().fd).read_to_string(&mut text).unwrap();
                    assert_eq!(text, name);
                }
            });
        }
    });
}
