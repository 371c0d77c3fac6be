//! Mounts, propagation and mount namespaces, tried with tmpfs.

use super::tests::{World, open, world};
use super::*;
use abi::{fcntl::OpenFlags, process::UmountFlags};
use vfs::{
    Lookup, MountNamespace, UserNamespace, WalkContext,
    mount::{
        ops::{mount, pivot_root, umount},
        show,
    },
    ops,
};

const NONE: MountFlags = MountFlags::empty();

impl World {
    fn bind(&self, source: &str, target: &str) -> Result<(), Errno> {
        self.mount(source, target, MountFlags::BIND)
    }
    fn umount(&self, target: &str) -> Result<(), Errno> {
        umount(&self.ctx, &self.ns, target.as_bytes(), 0)
    }
    fn detach(&self, target: &str) -> Result<(), Errno> {
        umount(&self.ctx, &self.ns, target.as_bytes(), UmountFlags::DETACH.bits())
    }
    fn exists(&self, name: &str) -> bool {
        self.path(name).is_ok()
    }
    /// Mount point, and what mountinfo says on propagation, for each mount.
    fn table(&self, ns: &MountNamespace, root: &vfs::Path) -> Vec<String> {
        let text = String::from_utf8(show::mountinfo(ns, root)).unwrap();
        let line = |l: &str| {
            let fields: Vec<&str> = l.split(' ').collect();
            let tags: Vec<&str> = fields.iter().copied().skip(6).take_while(|f| *f != "-").collect();
            [vec![*fields.get(4).unwrap()], tags].concat().join(" ")
        };
        text.lines().map(line).collect()
    }
    fn points(&self) -> Vec<String> {
        self.table(&self.ns, &self.ctx.root).iter().map(|l| l.split(' ').next().unwrap().to_owned()).collect()
    }
    fn dirs(&self, names: &[&str]) {
        for name in names {
            self.mkdir(name);
        }
    }
    fn private(&self) {
        self.mount("", "/", MountFlags::REC | MountFlags::PRIVATE).unwrap();
    }
}

#[test]
fn mounting_covers_and_umount_uncovers() {
    let w = world();
    w.dirs(&["/m", "/m/old"]);
    w.write("/f", b"");
    w.mount("one", "/m", NONE).unwrap();
    assert!(!w.exists("/m/old"));
    w.dirs(&["/m/one"]);
    w.mount("two", "/m", MountFlags::NOSUID).unwrap();
    assert!(!w.exists("/m/one"), "stacked");
    assert_eq!(w.show(&w.path("/m/..").unwrap()), "/");
    assert_eq!(w.points(), ["/", "/m", "/m"]);
    assert_eq!(ops::rmdir(&w.ctx, b"/m"), Err(Errno::EBUSY));
    assert_eq!(
        ops::rename(&w.ctx, b"/m", &w.ctx, b"/n", abi::fcntl::RenameFlags::empty()),
        Err(Errno::EBUSY)
    );
    let text = String::from_utf8(show::mounts(&w.ns, &w.ctx.root)).unwrap();
    assert_eq!(text.lines().last().unwrap(), "two /m tmpfs rw,nosuid,relatime 0 0");
    let open_file = open(&w.ctx, "/m", OpenFlags::DIRECTORY).unwrap();
    assert_eq!(w.umount("/m"), Err(Errno::EBUSY));
    drop(open_file);
    w.umount("/m").unwrap();
    assert!(w.exists("/m/one"));
    w.umount("/m/").unwrap();
    assert!(w.exists("/m/old"));
    assert_eq!(w.umount("/m"), Err(Errno::EINVAL));
    assert_eq!(w.umount("/none"), Err(Errno::ENOENT));
    assert_eq!(w.mount("x", "/f", NONE), Err(Errno::ENOTDIR));
    let unknown = mount(&w.ctx, &w.ns, b"x", b"/m", b"nofs", 0, b"");
    assert_eq!(unknown, Err(Errno::ENODEV));
    let user = w.as_user(1);
    assert_eq!(mount(&user, &w.ns, b"x", b"/m", b"tmpfs", 0, b""), Err(Errno::EPERM));
    assert_eq!(umount(&w.ctx, &w.ns, b"/m", 0x100), Err(Errno::EINVAL));
}

#[test]
fn lazy_and_expiring_umounts() {
    let w = world();
    w.dirs(&["/m"]);
    w.mount("x", "/m", NONE).unwrap();
    w.dirs(&["/m/d", "/m/n"]);
    w.mount("y", "/m/n", NONE).unwrap();
    let file = open(&w.ctx, "/m/d", OpenFlags::DIRECTORY).unwrap();
    assert_eq!(w.umount("/m"), Err(Errno::EBUSY));
    w.detach("/m").unwrap();
    assert_eq!(w.points(), ["/"]);
    assert!(!w.exists("/m/d"));
    let inside = w.ctx.at(file.path().clone());
    assert!(inside.resolve(b"../d", Lookup::empty()).is_ok(), "still there for who is in it");
    assert!(inside.resolve(b"../n", Lookup::empty()).is_ok());
    assert_eq!(vfs::dpath::getcwd(file.path(), &w.ctx.root), Ok(b"(unreachable)/d".to_vec()));

    w.mount("x", "/m", NONE).unwrap();
    let expire = |flags: UmountFlags| umount(&w.ctx, &w.ns, b"/m", (flags | UmountFlags::EXPIRE).bits());
    assert_eq!(expire(UmountFlags::FORCE), Err(Errno::EINVAL));
    assert_eq!(expire(UmountFlags::empty()), Err(Errno::EAGAIN));
    assert!(w.exists("/m"));
}

#[test]
fn flags_of_a_mount() {
    let w = world();
    w.dirs(&["/m", "/b"]);
    w.mount("x", "/m", NONE).unwrap();
    w.write("/m/f", b"");
    w.bind("/m", "/b").unwrap();
    let flags = MountFlags::REMOUNT | MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOEXEC;
    w.mount("", "/b", flags).unwrap();
    assert_eq!(open(&w.ctx, "/b/f", OpenFlags::WRONLY).err(), Some(Errno::EROFS));
    assert_eq!(open(&w.ctx, "/b/g", OpenFlags::CREAT).err(), Some(Errno::EROFS));
    assert!(open(&w.ctx, "/b/f", OpenFlags::CREAT | OpenFlags::RDONLY).is_ok());
    assert_eq!(ops::mkdir(&w.ctx, b"/b/d", 0o755), Err(Errno::EROFS));
    assert_eq!(ops::mkdir(&w.ctx, b"/b/f", 0o755), Err(Errno::EEXIST));
    assert_eq!(ops::unlink(&w.ctx, b"/b/f"), Err(Errno::EROFS));
    assert_eq!(ops::access(&w.ctx, b"/b/f", 2, abi::AtFlags::empty()), Err(Errno::EROFS));
    assert!(open(&w.ctx, "/m/f", OpenFlags::WRONLY).is_ok(), "the other mount is as it was");
    let linked = ops::link(&w.ctx, b"/m/f", &w.ctx, b"/b/g", abi::AtFlags::empty());
    assert_eq!(linked, Err(Errno::EROFS));
    w.mount("", "/b", MountFlags::REMOUNT | MountFlags::BIND | MountFlags::NODEV).unwrap();
    let linked = ops::link(&w.ctx, b"/m/f", &w.ctx, b"/b/g", abi::AtFlags::empty());
    assert_eq!(linked, Err(Errno::EXDEV), "one file system, two mounts");
    let flags = w.path("/b").unwrap().mount().flags();
    assert_eq!(flags, MountFlags::NODEV | MountFlags::RELATIME);
    ops::mknod(&w.ctx, b"/b/c", 0o020_666, 0x103).unwrap();
    assert_eq!(open(&w.ctx, "/b/c", OpenFlags::RDONLY).err(), Some(Errno::EACCES));
    ops::symlink(&w.ctx, b"f", b"/m/l").unwrap();
    w.mount("", "/b", MountFlags::REMOUNT | MountFlags::BIND | MountFlags::NOSYMFOLLOW).unwrap();
    assert_eq!(w.path("/b/l").err(), Some(Errno::ELOOP));
    // The file system itself, through either mount.
    w.mount("", "/m", MountFlags::REMOUNT | MountFlags::RDONLY).unwrap();
    assert_eq!(open(&w.ctx, "/b/f", OpenFlags::WRONLY).err(), Some(Errno::EROFS));
    let shown = String::from_utf8(show::mountinfo(&w.ns, &w.ctx.root)).unwrap();
    assert!(shown.lines().last().unwrap().contains(" /b rw,relatime,nosymfollow - tmpfs x ro"), "{shown}");
}

#[test]
fn binding() {
    let w = world();
    w.dirs(&["/a", "/a/sub", "/b", "/c"]);
    w.write("/a/f", b"a");
    w.write("/g", b"g");
    w.bind("/a", "/b").unwrap();
    assert_eq!(w.read("/b/f"), Ok(b"a".to_vec()));
    w.bind("/g", "/b/f").unwrap();
    assert_eq!(w.read("/b/f"), Ok(b"g".to_vec()));
    assert_eq!(w.read("/a/f"), Ok(b"a".to_vec()));
    assert_eq!(w.bind("/g", "/b"), Err(Errno::ENOTDIR));
    w.mount("t", "/a/sub", NONE).unwrap();
    w.write("/a/sub/x", b"");
    w.bind("/a", "/c").unwrap();
    assert!(!w.exists("/c/sub/x"));
    w.umount("/c").unwrap();
    w.mount("/a", "/c", MountFlags::BIND | MountFlags::REC).unwrap();
    assert!(w.exists("/c/sub/x"));
    let shown = String::from_utf8(show::mountinfo(&w.ns, &w.ctx.root)).unwrap();
    assert!(shown.lines().any(|l| l.contains(" /a /c rw,relatime - ")), "{shown}");
    // Removing what is bound elsewhere is fine there; a directory that left the mount leads nowhere.
    w.dirs(&["/a/d"]);
    let inside = w.ctx.at(w.path("/c/d").unwrap());
    ops::rename(&w.ctx, b"/a/d", &w.ctx, b"/d", abi::fcntl::RenameFlags::empty()).unwrap();
    assert_eq!(inside.resolve(b"..", Lookup::empty()).err(), Some(Errno::ENOENT));
    w.mount("", "/a/sub", MountFlags::UNBINDABLE).unwrap();
    assert_eq!(w.bind("/a/sub", "/b"), Err(Errno::EINVAL));
    w.dirs(&["/e"]);
    w.mount("/a", "/e", MountFlags::BIND | MountFlags::REC).unwrap();
    assert!(!w.exists("/e/sub/x"), "left out");
}

#[test]
fn moving() {
    let w = world();
    w.dirs(&["/m", "/n"]);
    w.mount("x", "/m", NONE).unwrap();
    w.dirs(&["/m/d"]);
    assert_eq!(w.mount("/m/d", "/n", MountFlags::MOVE), Err(Errno::EINVAL));
    assert_eq!(w.mount("/m", "/m/d", MountFlags::MOVE), Err(Errno::ELOOP));
    w.mount("/m", "/n", MountFlags::MOVE).unwrap();
    assert!(w.exists("/n/d") && !w.exists("/m/d"));
    assert_eq!(w.points(), ["/", "/n"]);
    w.mount("", "/", MountFlags::SHARED).unwrap();
    assert_eq!(w.mount("/n", "/m", MountFlags::MOVE), Err(Errno::EINVAL), "out of a shared mount");
}

#[test]
fn shared_slave_private() {
    let w = world();
    w.private();
    w.dirs(&["/s", "/peer", "/slave", "/private"]);
    w.mount("s", "/s", NONE).unwrap();
    w.dirs(&["/s/d", "/s/e"]);
    w.mount("", "/s", MountFlags::SHARED).unwrap();
    w.bind("/s", "/peer").unwrap();
    w.bind("/s", "/slave").unwrap();
    w.mount("", "/slave", MountFlags::SLAVE).unwrap();
    w.bind("/s", "/private").unwrap();
    w.mount("", "/private", MountFlags::PRIVATE).unwrap();
    assert_eq!(
        w.table(&w.ns, &w.ctx.root),
        ["/", "/s shared:1", "/peer shared:1", "/slave master:1", "/private"].map(|s| {
            // Numbers of groups depend on how many there were.
            let group = w.table(&w.ns, &w.ctx.root)[1].rsplit(':').next().unwrap().to_owned();
            s.replace(":1", &format!(":{group}"))
        })
    );
    w.mount("t", "/peer/d", NONE).unwrap();
    let points = w.points();
    for point in ["/s/d", "/peer/d", "/slave/d"] {
        assert!(points.contains(&point.to_owned()), "{points:?}");
    }
    assert!(!points.contains(&"/private/d".to_owned()));
    let table = w.table(&w.ns, &w.ctx.root);
    let tag = |point: &str| table.iter().find(|l| l.starts_with(&format!("{point} "))).unwrap().clone();
    assert_eq!(tag("/s/d").split_once(' ').unwrap().1, tag("/peer/d").split_once(' ').unwrap().1);
    assert_eq!(tag("/slave/d").replace("slave/d master", ""), tag("/s/d").replace("s/d shared", ""));
    // A mount in a slave stays there.
    w.mount("u", "/slave/e", NONE).unwrap();
    assert!(!w.points().contains(&"/s/e".to_owned()));
    // Unmounting propagates too.
    w.umount("/s/d").unwrap();
    let points = w.points();
    assert!(!points.iter().any(|p| p.ends_with("/d")), "{points:?}");
    // With the last peer gone its slaves receive from nobody.
    w.umount("/peer").unwrap();
    w.umount("/s").unwrap();
    assert!(w.table(&w.ns, &w.ctx.root).contains(&"/slave".to_owned()));
    assert_eq!(w.mount("", "/slave", MountFlags::SHARED | MountFlags::SLAVE), Err(Errno::EINVAL));
    assert_eq!(w.mount("", "/slave/d", MountFlags::SHARED), Err(Errno::EINVAL), "no mount");
}

#[test]
fn a_slave_that_is_shared_passes_events_on() {
    let w = world();
    w.private();
    w.dirs(&["/a", "/b", "/c"]);
    w.mount("s", "/a", NONE).unwrap();
    w.dirs(&["/a/d"]);
    w.mount("", "/a", MountFlags::SHARED).unwrap();
    w.bind("/a", "/b").unwrap();
    w.mount("", "/b", MountFlags::SLAVE).unwrap();
    w.mount("", "/b", MountFlags::SHARED).unwrap();
    w.bind("/b", "/c").unwrap();
    w.mount("t", "/a/d", NONE).unwrap();
    w.write("/a/d/f", b"");
    assert!(w.exists("/b/d/f") && w.exists("/c/d/f"));
    let busy = open(&w.ctx, "/c/d/f", OpenFlags::RDONLY).unwrap();
    assert_eq!(w.umount("/a/d"), Err(Errno::EBUSY), "a counterpart is in use");
    drop(busy);
    // Something below a counterpart keeps it.
    w.dirs(&["/c/d/sub"]);
    w.mount("", "/c/d", MountFlags::PRIVATE).unwrap();
    w.mount("u", "/c/d/sub", NONE).unwrap();
    w.umount("/a/d").unwrap();
    assert!(!w.exists("/b/d/f") && w.exists("/c/d/sub"));
}

#[test]
fn namespaces_are_copies() {
    let w = world();
    w.private();
    w.dirs(&["/m", "/s"]);
    w.mount("s", "/s", NONE).unwrap();
    w.dirs(&["/s/d"]);
    w.mount("", "/s", MountFlags::SHARED).unwrap();
    let (ns, copies) = w.ns.copy(w.ns.user_ns.clone()).unwrap();
    let root = copies.translate(&w.ctx.root).unwrap();
    let other = WalkContext { root: root.clone(), start: root.clone(), ..w.ctx.clone() };
    assert!(root.same(&ns.root().unwrap()));
    mount(&other, &ns, b"x", b"/m", b"tmpfs", 0, b"").unwrap();
    assert_eq!(w.points(), ["/", "/s"]);
    mount(&other, &ns, b"x", b"/s/d", b"tmpfs", 0, b"").unwrap();
    assert_eq!(w.points(), ["/", "/s", "/s/d"], "shared between namespaces");
    assert_eq!(umount(&w.ctx, &ns, b"/s", 0), Err(Errno::EINVAL), "not in that namespace");
    // A directory that is a mount point only elsewhere can be removed, and the mount goes.
    assert!(other.resolve(b"/m", Lookup::empty()).unwrap().is_mount_root());
    ops::rmdir(&w.ctx, b"/m").unwrap();
    assert_eq!(w.table(&ns, &root).len(), 3);
    drop((root, other, copies));
    drop(ns);
    w.umount("/s/d").unwrap();

    let below = UserNamespace::child(&w.ns.user_ns, vfs::Uid(0), vfs::Gid(0));
    let (ns, copies) = w.ns.copy(below).unwrap();
    let root = copies.translate(&w.ctx.root).unwrap();
    let other = WalkContext { root: root.clone(), start: root.clone(), ..w.ctx.clone() };
    assert!(w.table(&ns, &root)[1].starts_with("/s master:"));
    assert_eq!(umount(&other, &ns, b"/s", 0), Err(Errno::EINVAL), "locked");
}

#[test]
fn pivoting() {
    let w = world();
    w.private();
    w.dirs(&["/new", "/x"]);
    w.write("/old", b"");
    w.mount("new", "/new", NONE).unwrap();
    w.dirs(&["/new/put", "/new/d"]);
    let go = |new: &str, put: &str| pivot_root(&w.ctx, &w.ns, new.as_bytes(), put.as_bytes()).map(|_| ());
    assert_eq!(go("/x", "/x"), Err(Errno::EBUSY));
    assert_eq!(go("/new/d", "/new/put"), Err(Errno::EINVAL));
    assert_eq!(go("/new", "/x"), Err(Errno::EBUSY));
    let (from, to) = pivot_root(&w.ctx, &w.ns, b"/new", b"/new/put").unwrap();
    let context = vfs::FsContext::new(from.clone(), from.clone(), 0);
    context.replace(&from, &to);
    let ctx = WalkContext { root: context.root(), start: context.cwd(), ..w.ctx.clone() };
    assert!(ctx.resolve(b"/put/old", Lookup::empty()).is_ok());
    assert!(ctx.resolve(b"/d/../..", Lookup::empty()).unwrap().same(&ctx.root));
    assert_eq!(w.table(&w.ns, &ctx.root), ["/", "/put"]);
    assert!(w.ns.root().unwrap().same(&ctx.root));
    umount(&ctx, &w.ns, b"/put", UmountFlags::DETACH.bits()).unwrap();
    assert_eq!(w.table(&w.ns, &ctx.root), ["/"]);
    // As runc does it: the old root on top of the new one.
    ops::mkdir(&ctx, b"/next", 0o755).unwrap();
    mount(&ctx, &w.ns, b"next", b"/next", b"tmpfs", 0, b"").unwrap();
    let next = ctx.resolve(b"/next", Lookup::FOLLOW).unwrap();
    let (from, to) = pivot_root(&ctx.at(next), &w.ns, b".", b".").unwrap();
    let ctx = WalkContext { root: to.clone(), start: to, ..ctx };
    assert_eq!(w.table(&w.ns, &ctx.root), ["/", "/"]);
    let in_old = ctx.at(from);
    mount(&in_old, &w.ns, b"", b".", b"", (MountFlags::SLAVE | MountFlags::REC).bits(), b"").unwrap();
    umount(&in_old, &w.ns, b".", UmountFlags::DETACH.bits()).unwrap();
    assert_eq!(w.table(&w.ns, &ctx.root), ["/"]);
}

#[test]
fn a_chroot_sees_its_part() {
    let w = world();
    w.dirs(&["/jail", "/jail/m", "/out"]);
    w.mount("in side", "/jail/m", NONE).unwrap();
    w.mount("x", "/out", NONE).unwrap();
    let root = w.path("/jail").unwrap();
    let text = String::from_utf8(show::mounts(&w.ns, &root)).unwrap();
    assert_eq!(text, "in\\040side /m tmpfs rw,relatime 0 0\n");
    let ctx = WalkContext { root: root.clone(), start: root, ..w.ctx.clone() };
    assert!(ctx.resolve(b"/../..", Lookup::empty()).unwrap().same(&ctx.root));
    assert_eq!(ctx.resolve(b"/out", Lookup::empty()).err(), Some(Errno::ENOENT));
    let outside = vfs::dpath::getcwd(&w.ctx.root, &ctx.root);
    assert_eq!(outside, Ok(b"(unreachable)/".to_vec()));
}

#[test]
fn descriptor_based_calls() {
    use abi::process::{
        FSCONFIG_CMD_CREATE, FSCONFIG_CMD_RECONFIGURE, FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING,
        MountAttrFlags, MoveMountFlags, OpenTreeFlags,
    };
    use vfs::mount::api;
    let w = world();
    w.private();
    w.dirs(&["/m", "/n", "/a", "/a/sub"]);
    let (ctx, ns) = (&w.ctx, &*w.ns);
    assert_eq!(api::fsopen(ctx, ns, b"nofs").err(), Some(Errno::ENODEV));
    assert_eq!(api::fsopen(&w.as_user(1), ns, b"tmpfs").err(), Some(Errno::EPERM));
    let config = api::fsopen(ctx, ns, b"tmpfs").unwrap();
    let set =
        |command, key: &[u8], value: &[u8]| api::fsconfig(ctx, ns, &config, command, Some(key), Some(value));
    set(FSCONFIG_SET_STRING, b"source", b"src").unwrap();
    assert_eq!(set(FSCONFIG_SET_STRING, b"source", b"again"), Err(Errno::EINVAL));
    set(FSCONFIG_SET_STRING, b"size", b"1m").unwrap();
    set(FSCONFIG_SET_FLAG, b"rw", b"").unwrap();
    assert_eq!(api::fsmount(ctx, ns, &config, 0).err(), Some(Errno::EINVAL), "not made yet");
    set(FSCONFIG_CMD_CREATE, b"", b"").unwrap();
    let tree = api::fsmount(ctx, ns, &config, MountAttrFlags::NOSUID.bits()).unwrap();
    let inside = ctx.at(tree.path().clone());
    ops::mkdir(&inside, b"d", 0o755).unwrap();
    let empty = (MoveMountFlags::F_EMPTY_PATH | MoveMountFlags::T_SYMLINKS).bits();
    api::move_mount(&inside, b"", ctx, b"/m", ns, empty).unwrap();
    drop(tree);
    assert!(w.exists("/m/d"), "attached, so it does not go with the file");
    let text = String::from_utf8(show::mounts(ns, &ctx.root)).unwrap();
    assert!(text.ends_with("src /m tmpfs rw,nosuid,relatime,size=1024k 0 0\n"), "{text}");

    // A copy goes with its file unless it is attached.
    w.mount("s", "/a/sub", NONE).unwrap();
    w.write("/a/sub/f", b"");
    let flags = (OpenTreeFlags::CLONE | OpenTreeFlags::RECURSIVE).bits();
    let tree = api::open_tree(ctx, ns, b"/a", flags).unwrap();
    let inside = ctx.at(tree.path().clone());
    assert!(inside.resolve(b"sub/f", Lookup::empty()).is_ok());
    assert_eq!(w.points(), ["/", "/m", "/a/sub"]);
    api::move_mount(&inside, b"", ctx, b"/n", ns, empty).unwrap();
    assert_eq!(w.points(), ["/", "/m", "/a/sub", "/n", "/n/sub"]);
    let tree = api::open_tree(ctx, ns, b"/a", flags).unwrap();
    let sub = ctx.at(tree.path().clone()).resolve(b"sub", Lookup::empty()).unwrap();
    drop(tree);
    assert!(sub.mount().mount_point().is_none(), "taken apart");
    assert_eq!(api::open_tree(ctx, ns, b"/a", OpenTreeFlags::RECURSIVE.bits()).err(), Some(Errno::EINVAL));

    let change = api::SetMountAttr { set: MountAttrFlags::RDONLY.bits(), ..Default::default() };
    assert_eq!(api::mount_setattr(&ctx.cred, ns, &w.path("/n").unwrap(), true, &change), Ok(()));
    assert_eq!(ops::mkdir(ctx, b"/n/sub/x", 0o755), Err(Errno::EROFS));
    assert_eq!(ops::mkdir(ctx, b"/a/sub/x", 0o755), Ok(()));
    let bad = api::SetMountAttr { set: MountAttrFlags::NOATIME.bits(), ..Default::default() };
    let root = w.path("/n").unwrap();
    assert_eq!(api::mount_setattr(&ctx.cred, ns, &root, false, &bad), Err(Errno::EINVAL));
    let noatime = api::SetMountAttr { clear: MountAttrFlags::ATIME_MASK.bits(), ..bad };
    api::mount_setattr(&ctx.cred, ns, &root, false, &noatime).unwrap();
    assert_eq!(root.mount().flags(), MountFlags::RDONLY | MountFlags::NOATIME);

    let config = api::fspick(ctx, ns, b"/m", 0).unwrap();
    api::fsconfig(ctx, ns, &config, FSCONFIG_SET_STRING, Some(b"size"), Some(b"2m")).unwrap();
    api::fsconfig(ctx, ns, &config, FSCONFIG_CMD_RECONFIGURE, None, None).unwrap();
    assert_eq!(ops::statfs(&w.path("/m").unwrap()).unwrap().f_blocks, 512);
}

#[test]
fn many_threads_at_once() {
    let w = world();
    w.dirs(&["/a", "/a/b", "/c", "/m"]);
    std::thread::scope(|scope| {
        for n in 0..4u32 {
            let (ctx, ns) = (w.ctx.clone(), w.ns.clone());
            scope.spawn(move || {
                for i in 0..400u32 {
                    let name = format!("/a/b/{}", (i * 7 + n) % 5);
                    let other = format!("/c/{}", (i * 3 + n) % 5);
                    let _ = ops::mkdir(&ctx, name.as_bytes(), 0o755);
                    let _ = open(&ctx, &format!("{name}/f"), OpenFlags::CREAT | OpenFlags::RDWR);
                    let flags = if i % 3 == 0 {
                        abi::fcntl::RenameFlags::EXCHANGE
                    } else {
                        abi::fcntl::RenameFlags::empty()
                    };
                    let _ = ops::rename(&ctx, name.as_bytes(), &ctx, other.as_bytes(), flags);
                    let _ = ops::rename(&ctx, b"/a/b", &ctx, b"/c/b", abi::fcntl::RenameFlags::empty());
                    let _ = ops::rename(&ctx, b"/c/b", &ctx, b"/a/b", abi::fcntl::RenameFlags::empty());
                    let _ = ops::unlink(&ctx, format!("{other}/f").as_bytes());
                    let _ = ops::rmdir(&ctx, other.as_bytes());
                    if n == 0 {
                        let _ = mount(&ctx, &ns, b"x", b"/m", b"tmpfs", 0, b"");
                        let _ = umount(&ctx, &ns, b"/m", UmountFlags::DETACH.bits());
                    }
                    vfs::dentry::shrink_by(16);
                }
            });
        }
    });
    assert_eq!(w.points(), ["/"]);
    // Whatever the outcome, links are as many as there are directories.
    for dir in ["/a", "/c", "/"] {
        let path = w.path(dir).unwrap();
        let file = open(&w.ctx, dir, OpenFlags::DIRECTORY).unwrap();
        let mut below = 0;
        let mut count = |e: vfs::DirEntry<'_>| {
            below += u64::from(e.kind == Some(abi::FileType::Directory));
            true
        };
        file.ops().read_dir(&file, &mut 0, &mut count).unwrap();
        assert_eq!(path.inode().attr().unwrap().nlink, below, "{dir}");
    }
}
