//! A gofer in a thread, a directory of the host, and the VFS on top.

use super::*;
use abi::{
    fcntl::{AtFlags, OpenFlags, RenameFlags},
    process::MountFlags,
    stat::FileType,
};
use gofer_client::EventStream;
use gofer_server::{Counters, Policy, ProcFd, Server, Tree, serve};
use mem::{Backing, IoDst, IoSrc};
use rustix::{
    fs::{Mode, OFlags},
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
};
use std::{os::fd::OwnedFd, path::PathBuf, thread::JoinHandle};
use vfs::{
    Credentials, File, Lookup, Path, UserNamespace, WalkContext,
    file::Seek,
    inotify::{Events, new_inotify},
    ops::{self, OpenHow},
};

struct World {
    dir: tempfile::TempDir,
    ctx: WalkContext,
    fs: Arc<dyn FileSystem>,
    thread: JoinHandle<Counters>,
    hang_up: OwnedFd,
}

fn pair() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
}

fn world(options: Options, prepare: impl FnOnce(&std::path::Path)) -> World {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let (ours, theirs) = pair();
    let (our_events, their_events) = pair();
    let hang_up = ours.try_clone().unwrap();
    let root = rustix::fs::open(dir.path(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let thread = std::thread::spawn(move || {
        let trees = vec![Tree { root, readonly: false }];
        let policy = Policy { tolerate_chown: true, ..Policy::default() };
        let server = Server::new(trees, policy, ProcFd::absolute().unwrap(), 4096);
        serve(server, &theirs, Some(&their_events)).unwrap()
    });
    let vfs = Vfs::new();
    let connection = Connection::new(Client::new(ours), Some(EventStream::new(our_events))).unwrap();
    let mounted = attach(&vfs, &connection, 0, options).unwrap();
    let fs = mounted.0.clone();
    let user_ns = UserNamespace::initial();
    let (_, root) = vfs.new_namespace(user_ns.clone(), mounted, b"none", MountFlags::empty()).unwrap();
    let ctx = vfs.context(root, Credentials::root(user_ns));
    World { dir, ctx, fs, thread, hang_up }
}

fn exclusive(prepare: impl FnOnce(&std::path::Path)) -> World {
    world(Options::default(), prepare)
}

fn shared(prepare: impl FnOnce(&std::path::Path)) -> World {
    world(Options { access: Access::Shared, readonly: false }, prepare)
}

impl World {
    fn host(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    fn path(&self, name: &str) -> Result<Path, Errno> {
        self.ctx.resolve(name.as_bytes(), Lookup::FOLLOW)
    }
    fn open(&self, name: &str, flags: OpenFlags) -> Result<Arc<File>, Errno> {
        ops::open(&self.ctx, name.as_bytes(), &OpenHow::open(flags.bits(), 0o644))
    }
    fn read(&self, name: &str) -> Result<String, Errno> {
        let file = self.open(name, OpenFlags::RDONLY)?;
        let mut bytes = vec![0; 1 << 16];
        let n = file.ops().read(&file, &mut IoDst::bytes(&mut bytes))?;
        bytes.truncate(n);
        Ok(String::from_utf8(bytes).unwrap())
    }
    fn write(&self, name: &str, text: &str) -> Result<(), Errno> {
        let file = self.open(name, OpenFlags::WRONLY | OpenFlags::CREAT | OpenFlags::TRUNC)?;
        put(&file, text)
    }
    fn list(&self, name: &str) -> Vec<String> {
        let file = self.open(name, OpenFlags::RDONLY | OpenFlags::DIRECTORY).unwrap();
        let (mut pos, mut names) = (0, Vec::new());
        file.ops()
            .read_dir(&file, &mut pos, &mut |e| {
                names.push(String::from_utf8(e.name.to_vec()).unwrap());
                true
            })
            .unwrap();
        names.sort();
        names
    }
    /// Ends the gofer; how many requests it had.
    fn requests(self) -> u64 {
        rustix::net::shutdown(&self.hang_up, rustix::net::Shutdown::Both).unwrap();
        self.thread.join().unwrap().requests
    }
}

fn put(file: &File, text: &str) -> Result<(), Errno> {
    let n = file.ops().write(file, &mut IoSrc::bytes(&mut text.as_bytes().to_vec()))?;
    assert_eq!(n, text.len());
    Ok(())
}

/// Until the news have come.
fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("never: {what}");
}

#[test]
fn files_are_found_read_written_and_listed() {
    let w = exclusive(|dir| {
        std::fs::create_dir_all(dir.join("a/b")).unwrap();
        std::fs::write(dir.join("a/b/file"), "hello").unwrap();
        std::os::unix::fs::symlink("b/file", dir.join("a/link")).unwrap();
    });
    assert_eq!(w.read("/a/b/file").unwrap(), "hello");
    assert_eq!(w.read("/a/link").unwrap(), "hello");
    assert_eq!(ops::readlink(&w.ctx, b"/a/link").unwrap(), b"b/file");
    assert_eq!(w.read("/a/b/none").unwrap_err(), Errno::ENOENT);
    assert_eq!(w.list("/a"), [".", "..", "b", "link"]);
    w.write("/a/b/file", "changed").unwrap();
    w.write("/a/new", "new file").unwrap();
    assert_eq!(std::fs::read_to_string(w.host("a/b/file")).unwrap(), "changed");
    assert_eq!(std::fs::read_to_string(w.host("a/new")).unwrap(), "new file");
    let attr = w.path("/a/new").unwrap().inode().attr().unwrap();
    assert_eq!((attr.size, attr.nlink, attr.mode), (8, 1, FileType::Regular.to_mode() | 0o644));
    assert_eq!(attr.dev, w.fs.dev());
    assert_eq!(w.list("/a"), [".", "..", "b", "link", "new"]);
    assert!(w.fs.statfs().unwrap().f_blocks > 0);
}

#[test]
fn a_tree_of_its_own_is_asked_once() {
    let prepare = |dir: &std::path::Path| {
        std::fs::create_dir_all(dir.join("a/b/c")).unwrap();
        std::fs::write(dir.join("a/b/c/file"), "hello").unwrap();
    };
    let w = exclusive(prepare);
    let before = exclusive(prepare).requests();
    for _ in 0..3 {
        assert_eq!(w.read("/a/b/c/file").unwrap(), "hello");
        assert_eq!(w.path("/a/b/c/file").unwrap().inode().attr().unwrap().size, 5);
        assert_eq!(w.read("/a/b/none").unwrap_err(), Errno::ENOENT);
        assert_eq!(w.read("/nothing/there").unwrap_err(), Errno::ENOENT);
    }
    // The walk that also brings the descriptor; the two absent names.
    assert_eq!(w.requests() - before, 3);
}

#[test]
fn names_that_were_listed_are_looked_up_together() {
    let prepare = |dir: &std::path::Path| {
        for i in 0..100 {
            std::fs::write(dir.join(format!("f{i}")), "x").unwrap();
        }
    };
    let before = exclusive(prepare).requests();
    let w = exclusive(prepare);
    let file = w.open("/", OpenFlags::RDONLY | OpenFlags::DIRECTORY).unwrap();
    let (mut pos, mut names) = (0, Vec::new());
    file.ops()
        .read_dir(&file, &mut pos, &mut |e| {
            names.push(String::from_utf8(e.name.to_vec()).unwrap());
            true
        })
        .unwrap();
    for name in names.iter().filter(|n| n.starts_with('f')) {
        assert_eq!(w.path(name).unwrap().inode().attr().unwrap().size, 1);
    }
    drop(file);
    let asked = w.requests() - before;
    assert!(asked < 20, "{asked} requests for 100 names");
}

#[test]
fn trees_are_removed_and_made_again() {
    let w = exclusive(|_| {});
    for round in 0..3 {
        ops::mkdir(&w.ctx, b"/t", 0o755).unwrap();
        for i in 0..40 {
            w.write(&format!("/t/{i}"), &format!("{round}")).unwrap();
        }
        for name in w.list("/t").iter().filter(|n| !n.starts_with('.')) {
            let name = format!("/t/{name}");
            assert_eq!(w.read(&name).unwrap(), format!("{round}"));
            ops::unlink(&w.ctx, name.as_bytes()).unwrap();
            assert_eq!(w.read(&name).unwrap_err(), Errno::ENOENT);
        }
        ops::rmdir(&w.ctx, b"/t").unwrap();
    }
}

#[test]
fn an_overlay_over_a_gofer() {
    let w = exclusive(|dir| {
        std::fs::create_dir(dir.join("d")).unwrap();
        std::fs::write(dir.join("d/f"), "from the host").unwrap();
    });
    let vfs = w.ctx.vfs.clone();
    let memory = Arc::new(mem::MemoryFile::new(1 << 30).unwrap());
    let lower: Mounted = (w.fs.clone(), w.path("/").unwrap().inode());
    let mounted = crate::overlay::over_tmpfs(&vfs, &memory, None, None, lower).unwrap();
    let (_, root) =
        vfs.new_namespace(UserNamespace::initial(), mounted, b"none", MountFlags::empty()).unwrap();
    let top = World { ctx: vfs.context(root, w.ctx.cred.clone()), ..w };
    assert_eq!(top.read("/d/f").unwrap(), "from the host");
    let file = top.open("/d/f", OpenFlags::RDONLY).unwrap();
    let map = file.ops().mappable(&file).unwrap();
    top.write("/d/f", "changed").unwrap();
    assert!(matches!(map.back(0, 4096, false), Ok((Backing::Host { .. }, 4096))));
    assert_eq!(top.read("/d/f").unwrap(), "changed");
    assert_eq!(std::fs::read_to_string(top.host("d/f")).unwrap(), "from the host");
    ops::rename(&top.ctx, b"/d", &top.ctx, b"/e", RenameFlags::empty()).unwrap();
    assert_eq!(top.list("/e"), [".", "..", "f"]);
    assert_eq!(top.list("/"), [".", "..", "e"]);
    assert!(top.host("d").exists());
}

#[test]
fn names_change() {
    let w = exclusive(|_| {});
    ops::mkdir(&w.ctx, b"/d", 0o755).unwrap();
    assert_eq!(ops::mkdir(&w.ctx, b"/d", 0o755), Err(Errno::EEXIST));
    w.write("/d/one", "1").unwrap();
    ops::link(&w.ctx, b"/d/one", &w.ctx, b"/d/two", AtFlags::empty()).unwrap();
    let (one, two) = (w.path("/d/one").unwrap(), w.path("/d/two").unwrap());
    assert!(Arc::ptr_eq(&one.inode(), &two.inode()));
    assert_eq!(one.inode().attr().unwrap().nlink, 2);
    ops::rename(&w.ctx, b"/d/two", &w.ctx, b"/three", RenameFlags::empty()).unwrap();
    assert_eq!(w.read("/three").unwrap(), "1");
    assert_eq!(w.read("/d/two").unwrap_err(), Errno::ENOENT);
    assert_eq!(ops::rmdir(&w.ctx, b"/d"), Err(Errno::ENOTEMPTY));
    ops::unlink(&w.ctx, b"/d/one").unwrap();
    assert_eq!(one.inode().attr().unwrap().nlink, 1);
    ops::rmdir(&w.ctx, b"/d").unwrap();
    assert_eq!(w.list("/"), [".", "..", "three"]);
    ops::symlink(&w.ctx, b"three", b"/link").unwrap();
    assert_eq!(w.read("/link").unwrap(), "1");
    ops::mknod(&w.ctx, b"/fifo", FileType::Fifo.to_mode() | 0o600, 0).unwrap();
    assert_eq!(w.path("/fifo").unwrap().file_type(), FileType::Fifo);
    assert_eq!(std::fs::read_to_string(w.host("link")).unwrap(), "1");
}

#[test]
fn an_unlinked_file_lives_on() {
    let w = exclusive(|_| {});
    let file = w.open("/gone", OpenFlags::RDWR | OpenFlags::CREAT).unwrap();
    put(&file, "still here").unwrap();
    ops::unlink(&w.ctx, b"/gone").unwrap();
    let attr = file.inode().attr().unwrap();
    assert_eq!((attr.nlink, attr.size), (0, 10));
    assert_eq!(file.ops().seek(&file, Seek::Set(6)), Ok(6));
    let mut bytes = [0; 16];
    assert_eq!(file.ops().read(&file, &mut IoDst::bytes(&mut bytes)), Ok(4));
    let tmp = w.open("/", OpenFlags::RDWR | OpenFlags::TMPFILE).unwrap();
    put(&tmp, "x").unwrap();
    assert_eq!(tmp.inode().attr().unwrap().nlink, 0);
}

#[test]
fn attributes_sizes_and_appends() {
    let w = exclusive(|_| {});
    w.write("/f", "0123456789").unwrap();
    let path = w.path("/f").unwrap();
    ops::attr::chmod(&w.ctx.cred, &path, 0o600).unwrap();
    assert_eq!(path.inode().attr().unwrap().mode & 0o7777, 0o600);
    ops::attr::truncate(&w.ctx.cred, &path, 4, u64::MAX).unwrap();
    assert_eq!(path.inode().attr().unwrap().size, 4);
    let file = w.open("/f", OpenFlags::WRONLY | OpenFlags::APPEND).unwrap();
    put(&file, "ab").unwrap();
    assert_eq!(*file.pos.lock(), 6);
    assert_eq!(w.read("/f").unwrap(), "0123ab");
    ops::attr::ftruncate(&w.ctx.cred, &file, 2, u64::MAX).unwrap();
    assert_eq!(w.read("/f").unwrap(), "01");
    file.ops().fallocate(&file, 0, 0, 8192).unwrap();
    assert_eq!(path.inode().attr().unwrap().size, 8192);
    file.ops().fsync(&file, false).unwrap();
    assert_eq!(file.ops().seek(&file, Seek::End(0)), Ok(8192));
    let xattr = ops::xattr::set(&w.ctx.cred, &path, b"user.key", b"value", 0);
    if xattr != Err(Errno::EOPNOTSUPP) {
        xattr.unwrap();
        assert_eq!(ops::xattr::get(&w.ctx.cred, &path, b"user.key").unwrap(), b"value");
    }
}

#[test]
fn mappings_are_the_hosts_pages() {
    let w = exclusive(|dir| std::fs::write(dir.join("f"), vec![7; 5000]).unwrap());
    let file = w.open("/f", OpenFlags::RDWR).unwrap();
    let map = file.ops().mappable(&file).unwrap();
    let (Backing::Host { offset, .. }, len) = map.back(4096, 1 << 20, true).unwrap() else { panic!() };
    assert_eq!((offset, len), (4096, 4096));
    assert_eq!(map.back(8192, 4096, false).unwrap_err(), Errno::EFAULT);
    ops::attr::ftruncate(&w.ctx.cred, &file, 9000, u64::MAX).unwrap();
    assert_eq!(map.back(8192, 4096, false).unwrap().1, 4096);
}

#[test]
fn changes_from_outside_are_noticed() {
    let w = exclusive(|dir| {
        std::fs::create_dir(dir.join("d")).unwrap();
        std::fs::write(dir.join("d/old"), "old").unwrap();
    });
    assert_eq!(w.read("/d/old").unwrap(), "old");
    assert_eq!(w.read("/d/new").unwrap_err(), Errno::ENOENT);
    let inotify = new_inotify(&w.ctx.cred).unwrap();
    let watched = vfs::testing::file(inotify, OpenFlags::RDONLY);
    watched
        .downcast::<vfs::inotify::Inotify>()
        .unwrap()
        .add_watch(&w.path("/d").unwrap(), (Events::CREATE | Events::DELETE).bits())
        .unwrap();
    std::fs::write(w.host("d/new"), "new").unwrap();
    eventually("a name appears", || w.read("/d/new").is_ok());
    eventually("inotify tells", || watched.ready().contains(ksync::Ready::IN));
    std::fs::remove_file(w.host("d/old")).unwrap();
    eventually("a name goes", || w.read("/d/old") == Err(Errno::ENOENT));
    std::fs::write(w.host("d/new"), "longer than before").unwrap();
    let path = w.path("/d/new").unwrap();
    eventually("a file grows", || path.inode().attr().unwrap().size == 18);
    assert!(!path.dentry().is_unlinked());
}

#[test]
fn a_shared_tree_is_asked_each_time() {
    let w = shared(|dir| {
        std::fs::create_dir_all(dir.join("a/b")).unwrap();
        std::fs::write(dir.join("a/b/f"), "one").unwrap();
    });
    assert_eq!(w.read("/a/b/f").unwrap(), "one");
    assert_eq!(w.read("/a/b/g").unwrap_err(), Errno::ENOENT);
    std::fs::write(w.host("a/b/g"), "two").unwrap();
    assert_eq!(w.read("/a/b/g").unwrap(), "two");
    std::fs::remove_file(w.host("a/b/f")).unwrap();
    std::thread::sleep(FRESH * 2);
    assert_eq!(w.read("/a/b/f").unwrap_err(), Errno::ENOENT);
    std::fs::rename(w.host("a/b"), w.host("a/c")).unwrap();
    std::thread::sleep(FRESH * 2);
    assert_eq!(w.read("/a/b/g").unwrap_err(), Errno::ENOENT);
    assert_eq!(w.read("/a/c/g").unwrap(), "two");
    w.write("/a/c/g", "from inside").unwrap();
    std::fs::write(w.host("a/c/g"), "from outside again").unwrap();
    std::thread::sleep(FRESH * 2);
    assert_eq!(w.path("/a/c/g").unwrap().inode().attr().unwrap().size, 18);
}

#[test]
fn read_only_trees_refuse() {
    let w = world(Options { readonly: true, ..Options::default() }, |dir| {
        std::fs::write(dir.join("f"), "x").unwrap();
    });
    assert_eq!(w.write("/f", "y").unwrap_err(), Errno::EROFS);
    assert_eq!(ops::mkdir(&w.ctx, b"/d", 0o755), Err(Errno::EROFS));
    assert_eq!(w.read("/f").unwrap(), "x");
}

#[test]
fn many_at_once() {
    let plain = exclusive(|_| {});
    let lower: Mounted = (plain.fs.clone(), plain.path("/").unwrap().inode());
    let memory = Arc::new(mem::MemoryFile::new(1 << 30).unwrap());
    let mounted = crate::overlay::over_tmpfs(&plain.ctx.vfs, &memory, None, None, lower).unwrap();
    let namespace = UserNamespace::initial();
    let (_, root) = plain.ctx.vfs.new_namespace(namespace, mounted, b"none", MountFlags::empty()).unwrap();
    let overlay = World { ctx: plain.ctx.vfs.context(root, plain.ctx.cred.clone()), ..plain };
    let shared = shared(|_| {});
    let own = exclusive(|_| {});
    for w in [&overlay, &shared, &own] {
        ops::mkdir(&w.ctx, b"/a", 0o755).unwrap();
        ops::mkdir(&w.ctx, b"/b", 0o755).unwrap();
        std::thread::scope(|scope| {
            for t in 0..4 {
                scope.spawn(move || {
                    for i in 0..40 {
                        let (name, other) = (format!("/a/{}", i % 5), format!("/b/{}", (i + t) % 5));
                        // Whoever is faster: only that all of it ends, and every error is one that Linux could give.
                        let told = [
                            w.write(&name, &name).err(),
                            w.read(&name).err(),
                            ops::rename(
                                &w.ctx,
                                name.as_bytes(),
                                &w.ctx,
                                other.as_bytes(),
                                RenameFlags::empty(),
                            )
                            .err(),
                            ops::unlink(&w.ctx, other.as_bytes()).err(),
                        ];
                        for e in told.into_iter().flatten() {
                            assert!(matches!(e, Errno::ENOENT | Errno::EEXIST), "{e}");
                        }
                        w.list("/a");
                        std::fs::write(w.host("outside"), name).unwrap();
                    }
                });
            }
        });
        assert_eq!(w.list("/b"), [".", ".."]);
    }
}
