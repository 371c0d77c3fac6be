//! The VFS on tmpfs: names, permissions, directories, data.

use super::*;
use abi::fcntl::{AtFlags, OpenFlags, RenameFlags};
use mem::{IoDst, IoSrc};
use vfs::{
    Credentials, File, FsContext, Gid, Lookup, MountNamespace, Path, Uid, UserNamespace, WalkContext, dpath,
    file::Seek,
    ops::{self, OpenHow, Times},
};

pub(crate) struct World {
    pub memory: Arc<MemoryFile>,
    pub ns: Arc<MountNamespace>,
    pub ctx: WalkContext,
}

pub(crate) fn world() -> World {
    let memory = Arc::new(MemoryFile::new(1 << 30).unwrap());
    let vfs = Vfs::new();
    register(&vfs, &memory);
    let user_ns = UserNamespace::initial();
    let options = Options { mode: Some(0o755), ..Options::default() };
    let (fs, root) = Tmpfs::new(&vfs, &memory, "tmpfs", &options).unwrap();
    let (ns, root) = vfs
        .new_namespace(
            user_ns.clone(),
            (fs as Arc<dyn FileSystem>, root as Arc<dyn Inode>),
            b"none",
            MountFlags::empty(),
        )
        .unwrap();
    let ctx = vfs.context(root, Credentials::root(user_ns));
    World { memory, ns, ctx }
}

impl World {
    pub fn mkdir(&self, name: &str) {
        ops::mkdir(&self.ctx, name.as_bytes(), 0o755).unwrap();
    }
    pub fn write(&self, name: &str, text: &[u8]) {
        let file = open(&self.ctx, name, OpenFlags::WRONLY | OpenFlags::CREAT | OpenFlags::TRUNC).unwrap();
        file.ops().write(&file, &mut IoSrc::bytes(&mut text.to_vec())).unwrap();
    }
    pub fn read(&self, name: &str) -> Result<Vec<u8>, Errno> {
        let file = open(&self.ctx, name, OpenFlags::RDONLY)?;
        Ok(read_all(&file))
    }
    pub fn path(&self, name: &str) -> Result<Path, Errno> {
        self.ctx.resolve(name.as_bytes(), Lookup::FOLLOW)
    }
    pub fn show(&self, path: &Path) -> String {
        String::from_utf8(dpath::d_path(path, &self.ctx.root)).unwrap()
    }
    pub fn as_user(&self, uid: u32) -> WalkContext {
        WalkContext { cred: user(&self.ctx.cred, uid), ..self.ctx.clone() }
    }
    pub fn mount(&self, source: &str, target: &str, flags: MountFlags) -> Result<(), Errno> {
        let (source, target) = (source.as_bytes(), target.as_bytes());
        vfs::mount::ops::mount(&self.ctx, &self.ns, source, target, b"tmpfs", flags.bits(), b"")
    }
}

pub(crate) fn user(root: &Credentials, uid: u32) -> Arc<Credentials> {
    let (u, g) = (Uid(uid), Gid(uid));
    Arc::new(Credentials {
        ruid: u,
        euid: u,
        suid: u,
        fsuid: u,
        rgid: g,
        egid: g,
        sgid: g,
        fsgid: g,
        permitted: abi::process::CapSet::EMPTY,
        effective: abi::process::CapSet::EMPTY,
        ..root.clone()
    })
}

pub(crate) fn open(ctx: &WalkContext, name: &str, flags: OpenFlags) -> Result<Arc<File>, Errno> {
    ops::open(ctx, name.as_bytes(), &OpenHow { flags, mode: 0o644, ..OpenHow::default() })
}

fn read_all(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 16];
    let n = file.ops().read_at(file, 0, &mut IoDst::bytes(&mut bytes)).unwrap();
    bytes.truncate(n);
    bytes
}

fn entries(file: &File, pos: &mut u64, max: usize) -> Vec<String> {
    let mut names = Vec::new();
    file.ops()
        .read_dir(file, pos, &mut |e| {
            if names.len() == max {
                return false;
            }
            names.push(String::from_utf8(e.name.to_vec()).unwrap());
            true
        })
        .unwrap();
    names
}

#[test]
fn names_lead_where_linux_says() {
    let w = world();
    w.mkdir("/a");
    w.mkdir("/a/b");
    w.write("/a/b/file", b"hello");
    assert_eq!(w.read("/a/../a/./b//file"), Ok(b"hello".to_vec()));
    assert_eq!(w.read("/../../a/b/file"), Ok(b"hello".to_vec()));
    for (name, errno) in [
        ("", Errno::ENOENT),
        ("/a/none", Errno::ENOENT),
        ("/a/none/x", Errno::ENOENT),
        ("/a/b/file/", Errno::ENOTDIR),
        ("/a/b/file/.", Errno::ENOTDIR),
        ("/a/b/file/x", Errno::ENOTDIR),
    ] {
        assert_eq!(w.path(name).err(), Some(errno), "{name}");
    }
    let long = format!("/{}", "x".repeat(256));
    assert_eq!(w.path(&long).err(), Some(Errno::ENAMETOOLONG));
    assert_eq!(w.path(&"/a/..".repeat(1000)).err(), Some(Errno::ENAMETOOLONG));
    assert_eq!(w.path(&format!("/{}", "x".repeat(255))).err(), Some(Errno::ENOENT));
    let b = w.path("/a/b").unwrap();
    let below = w.ctx.at(b.clone());
    assert_eq!(w.show(&below.resolve(b"../b/file", Lookup::empty()).unwrap()), "/a/b/file");
    assert!(below.resolve(b"", Lookup::EMPTY_PATH).unwrap().same(&b));
    assert_eq!(below.resolve(b"", Lookup::empty()).err(), Some(Errno::ENOENT));
}

#[test]
fn symbolic_links() {
    let w = world();
    w.mkdir("/d");
    w.write("/d/f", b"data");
    for (target, name) in
        [("d", "/l"), ("/d/f", "/lf"), ("none", "/dangling"), ("loop", "/loop"), ("../d/f", "/d/up")]
    {
        ops::symlink(&w.ctx, target.as_bytes(), name.as_bytes()).unwrap();
    }
    assert_eq!(w.read("/l/f"), Ok(b"data".to_vec()));
    assert_eq!(w.read("/d/up"), Ok(b"data".to_vec()));
    assert_eq!(w.read("/lf/").err(), Some(Errno::ENOTDIR));
    assert_eq!(w.path("/loop").err(), Some(Errno::ELOOP));
    assert_eq!(w.ctx.resolve(b"/l", Lookup::empty()).unwrap().file_type(), abi::FileType::Symlink);
    assert!(w.ctx.resolve(b"/l/", Lookup::empty()).unwrap().is_dir(), "a slash follows the link");
    assert_eq!(ops::readlink(&w.ctx, b"/l"), Ok(b"d".to_vec()));
    assert_eq!(ops::readlink(&w.ctx, b"/d").err(), Some(Errno::EINVAL));
    // 40 links are fine, 41 are not.
    ops::symlink(&w.ctx, b"d", b"/c0").unwrap();
    for n in 1..41 {
        ops::symlink(&w.ctx, format!("c{}", n - 1).as_bytes(), format!("/c{n}").as_bytes()).unwrap();
    }
    assert!(w.path("/c39").is_ok());
    assert_eq!(w.path("/c40").err(), Some(Errno::ELOOP));
    // O_CREAT goes through a dangling link, unless O_EXCL.
    let create = OpenFlags::CREAT | OpenFlags::RDWR;
    assert_eq!(open(&w.ctx, "/dangling", create | OpenFlags::EXCL).err(), Some(Errno::EEXIST));
    open(&w.ctx, "/dangling", create).unwrap();
    assert!(w.path("/none").is_ok());
    assert_eq!(open(&w.ctx, "/lf", OpenFlags::NOFOLLOW).err(), Some(Errno::ELOOP));
    assert_eq!(open(&w.ctx, "/l", OpenFlags::NOFOLLOW | OpenFlags::DIRECTORY).err(), Some(Errno::ENOTDIR));
    let link = open(&w.ctx, "/lf", OpenFlags::NOFOLLOW | OpenFlags::PATH).unwrap();
    assert_eq!(ops::readlink(&w.ctx.at(link.path().clone()), b""), Ok(b"/d/f".to_vec()));
}

#[test]
fn protected_symlinks_in_sticky_directories() {
    let w = world();
    ops::mkdir(&WalkContext { umask: 0, ..w.ctx.clone() }, b"/tmp", 0o1777).unwrap();
    let (alice, bob) = (w.as_user(1), w.as_user(2));
    w.write("/f", b"");
    ops::symlink(&alice, b"/f", b"/tmp/l").unwrap();
    assert_eq!(bob.resolve(b"/tmp/l", Lookup::FOLLOW).err(), Some(Errno::EACCES));
    assert!(alice.resolve(b"/tmp/l", Lookup::FOLLOW).is_ok());
    assert_eq!(ops::unlink(&bob, b"/tmp/l"), Err(Errno::EPERM), "sticky");
    assert_eq!(
        ops::link(&bob, b"/f", &bob, b"/tmp/f", AtFlags::empty()),
        Err(Errno::EPERM),
        "protected_hardlinks"
    );
    let (create, mode) = (OpenFlags::CREAT | OpenFlags::RDWR, 0o666);
    let how = OpenHow { flags: create, mode, ..OpenHow::default() };
    ops::open(&alice, b"/tmp/a", &how).unwrap();
    assert_eq!(ops::open(&bob, b"/tmp/a", &how).err(), Some(Errno::EACCES), "protected_regular");
    assert!(open(&bob, "/tmp/a", OpenFlags::RDWR).is_ok());
}

#[test]
fn open_says_what_linux_says() {
    let w = world();
    w.mkdir("/d");
    w.write("/f", b"x");
    ops::mknod(&w.ctx, b"/s", 0o140_644, 0).unwrap();
    ops::mknod(&w.ctx, b"/c", 0o020_644, abi::stat::dev::makedev(99, 1)).unwrap();
    let create = OpenFlags::CREAT | OpenFlags::WRONLY;
    for (name, flags, errno) in [
        ("/d", OpenFlags::WRONLY, Errno::EISDIR),
        ("/d", OpenFlags::TRUNC, Errno::EISDIR),
        ("/d", create, Errno::EISDIR),
        ("/", create, Errno::EISDIR),
        ("/d/.", create, Errno::EISDIR),
        ("/new/", create, Errno::EISDIR),
        ("/f", create | OpenFlags::EXCL, Errno::EEXIST),
        ("/f", OpenFlags::DIRECTORY, Errno::ENOTDIR),
        ("/none", OpenFlags::RDONLY, Errno::ENOENT),
        ("/none/x", create, Errno::ENOENT),
        ("/s", OpenFlags::RDONLY, Errno::ENXIO),
        ("/c", OpenFlags::RDONLY, Errno::ENXIO),
        ("/x", create | OpenFlags::DIRECTORY, Errno::EINVAL),
        ("/d", OpenFlags::TMPFILE, Errno::EINVAL),
        ("/f", OpenFlags::TMPFILE | OpenFlags::RDWR, Errno::ENOTDIR),
    ] {
        assert_eq!(open(&w.ctx, name, flags).err(), Some(errno), "{name} {flags:?}");
    }
    let file = w.path("/f").unwrap().inode();
    ops::deny_write(&file).unwrap();
    assert_eq!(open(&w.ctx, "/f", OpenFlags::WRONLY).err(), Some(Errno::ETXTBSY));
    ops::allow_write(&file);
    let writer = open(&w.ctx, "/f", OpenFlags::WRONLY).unwrap();
    assert_eq!(ops::deny_write(&file), Err(Errno::ETXTBSY));
    drop(writer);
    assert_eq!(ops::deny_write(&file), Ok(()));
    ops::allow_write(&file);
    open(&w.ctx, "/f", OpenFlags::WRONLY | OpenFlags::TRUNC).unwrap();
    assert_eq!(w.read("/f"), Ok(vec![]));
    let user = w.as_user(7);
    assert_eq!(open(&user, "/f", OpenFlags::WRONLY).err(), Some(Errno::EACCES));
    assert_eq!(open(&user, "/f", OpenFlags::NOATIME).err(), Some(Errno::EPERM));
    assert_eq!(open(&user, "/new", create).err(), Some(Errno::EACCES));
    // What was just made may be opened whatever its mode.
    let how = OpenHow { flags: OpenFlags::CREAT | OpenFlags::RDWR, mode: 0, ..OpenHow::default() };
    ops::chmod(&w.ctx.cred, &w.path("/d").unwrap(), 0o777).unwrap();
    assert!(ops::open(&user, b"/d/mine", &how).is_ok());
    assert_eq!(ops::open(&user, b"/d/mine", &how).err(), Some(Errno::EACCES));
}

#[test]
fn openat2_scopes() {
    use abi::fcntl::ResolveFlags as R;
    let w = world();
    for d in ["/r", "/r/in", "/out"] {
        w.mkdir(d);
    }
    w.write("/out/f", b"out");
    w.write("/r/in/f", b"in");
    for (target, name) in [("/in/f", "/r/abs"), ("../out/f", "/r/rel"), ("in/f", "/r/ok")] {
        ops::symlink(&w.ctx, target.as_bytes(), name.as_bytes()).unwrap();
    }
    w.mkdir("/r/m");
    w.mount("none", "/r/m", MountFlags::empty()).unwrap();
    let ctx = w.ctx.at(w.path("/r").unwrap());
    let go = |name: &str, how| ctx.resolve_with(name.as_bytes(), Lookup::FOLLOW, how).map(|p| w.show(&p));
    assert_eq!(go("ok", R::BENEATH), Ok("/r/in/f".into()));
    assert_eq!(go("in/../in/f", R::BENEATH), Ok("/r/in/f".into()));
    for name in ["..", "/r", "abs", "rel", "in/../../out"] {
        assert_eq!(go(name, R::BENEATH), Err(Errno::EXDEV), "{name}");
    }
    assert_eq!(go("abs", R::IN_ROOT), Ok("/r/in/f".into()));
    assert_eq!(go("/in/f", R::IN_ROOT), Ok("/r/in/f".into()));
    assert_eq!(go("../../..", R::IN_ROOT), Ok("/r".into()));
    assert_eq!(go("rel", R::IN_ROOT), Err(Errno::ENOENT));
    assert_eq!(go("ok", R::NO_SYMLINKS), Err(Errno::ELOOP));
    assert_eq!(go("m", R::NO_XDEV), Err(Errno::EXDEV));
    assert_eq!(go("m", R::BENEATH), Ok("/r/m".into()));
    assert_eq!(go("in", R::CACHED), Ok("/r/in".into()));
    assert_eq!(go("unknown", R::CACHED), Err(Errno::EAGAIN));
    assert_eq!(OpenHow::openat2(0, 0o644, 0), Err(Errno::EINVAL));
    assert_eq!(OpenHow::openat2(0, 0, (R::BENEATH | R::IN_ROOT).bits()), Err(Errno::EINVAL));
    assert_eq!(OpenHow::openat2(1 << 40, 0, 0), Err(Errno::EINVAL));
}

#[test]
fn removing() {
    let w = world();
    for d in ["/d", "/d/e", "/full"] {
        w.mkdir(d);
    }
    w.write("/f", b"");
    w.write("/full/x", b"");
    for (name, errno) in [
        ("/d", Errno::EISDIR),
        ("/", Errno::EISDIR),
        ("/f/", Errno::ENOTDIR),
        ("/none", Errno::ENOENT),
        ("/none/", Errno::ENOENT),
    ] {
        assert_eq!(ops::unlink(&w.ctx, name.as_bytes()), Err(errno), "unlink {name}");
    }
    for (name, errno) in [
        ("/f", Errno::ENOTDIR),
        ("/full", Errno::ENOTEMPTY),
        ("/d/.", Errno::EINVAL),
        ("/d/..", Errno::ENOTEMPTY),
        ("/", Errno::EBUSY),
        ("/none", Errno::ENOENT),
    ] {
        assert_eq!(ops::rmdir(&w.ctx, name.as_bytes()), Err(errno), "rmdir {name}");
    }
    for (name, errno) in
        [("/", Errno::EEXIST), ("/d/.", Errno::EEXIST), ("/f", Errno::EEXIST), ("/none/x", Errno::ENOENT)]
    {
        assert_eq!(ops::mkdir(&w.ctx, name.as_bytes(), 0o755), Err(errno), "mkdir {name}");
    }
    ops::mkdir(&w.ctx, b"/slash/", 0o755).unwrap();
    assert_eq!(ops::symlink(&w.ctx, b"x", b"/sl/").err(), Some(Errno::ENOENT));
    let nlink = |name: &str| w.path(name).unwrap().inode().attr().unwrap().nlink;
    assert_eq!(nlink("/d"), 3);
    let inside = w.ctx.at(w.path("/d/e").unwrap());
    let dir = open(&w.ctx, "/d/e", OpenFlags::DIRECTORY).unwrap();
    ops::rmdir(&w.ctx, b"/d/e/").unwrap();
    assert_eq!(nlink("/d"), 2);
    assert_eq!(ops::mkdir(&inside, b"x", 0o755), Err(Errno::ENOENT), "the directory has gone");
    assert_eq!(inside.resolve(b"x", Lookup::empty()).err(), Some(Errno::ENOENT));
    assert_eq!(w.show(dir.path()), "/d/e (deleted)");
    assert_eq!(dir.inode().attr().unwrap().nlink, 0);
    assert!(dir.ops().read_dir(&dir, &mut 0, &mut |_| true).is_err());
    assert_eq!(w.show(&inside.resolve(b"..", Lookup::empty()).unwrap()), "/d");
}

#[test]
fn renaming() {
    let w = world();
    for d in ["/a", "/a/b", "/e", "/full"] {
        w.mkdir(d);
    }
    w.write("/f", b"f");
    w.write("/g", b"g");
    w.write("/full/x", b"");
    let go = |old: &str, new: &str, flags| ops::rename(&w.ctx, old.as_bytes(), &w.ctx, new.as_bytes(), flags);
    let plain = RenameFlags::empty();
    for (old, new, flags, errno) in [
        ("/a", "/a/b/c", plain, Errno::EINVAL),
        ("/a", "/a/b", plain, Errno::EINVAL),
        ("/a/b", "/a", plain, Errno::ENOTEMPTY),
        ("/f", "/a", plain, Errno::EISDIR),
        ("/a", "/f", plain, Errno::ENOTDIR),
        ("/a", "/full", plain, Errno::ENOTEMPTY),
        ("/none", "/x", plain, Errno::ENOENT),
        ("/f/", "/x", plain, Errno::ENOTDIR),
        ("/f", "/x/", plain, Errno::ENOTDIR),
        ("/f", "/g", RenameFlags::NOREPLACE, Errno::EEXIST),
        ("/f", "/x", RenameFlags::EXCHANGE, Errno::ENOENT),
        ("/a", "/a/b", RenameFlags::EXCHANGE, Errno::EINVAL),
        ("/a/b", "/a", RenameFlags::EXCHANGE, Errno::EINVAL),
        ("/f", "/g", RenameFlags::EXCHANGE | RenameFlags::NOREPLACE, Errno::EINVAL),
        ("/a/.", "/x", plain, Errno::EBUSY),
        ("/a", "/..", plain, Errno::EBUSY),
        ("/a", "/..", RenameFlags::NOREPLACE, Errno::EEXIST),
    ] {
        assert_eq!(go(old, new, flags), Err(errno), "{old} {new} {flags:?}");
    }
    let root_links = || w.path("/").unwrap().inode().attr().unwrap().nlink;
    assert_eq!(root_links(), 5);
    let open_b = open(&w.ctx, "/a/b", OpenFlags::DIRECTORY).unwrap();
    go("/a", "/e/", plain).unwrap();
    assert_eq!(root_links(), 4);
    assert_eq!(w.show(open_b.path()), "/e/b");
    assert_eq!(w.path("/a").err(), Some(Errno::ENOENT));
    let mut pos = 1;
    let ino = |name: &str| w.path(name).unwrap().inode().attr().unwrap().ino;
    open_b
        .ops()
        .read_dir(&open_b, &mut pos, &mut |e| {
            assert_eq!((e.name, e.ino), (&b".."[..], ino("/e")));
            false
        })
        .unwrap();
    let replaced = open(&w.ctx, "/g", OpenFlags::RDONLY).unwrap();
    go("/f", "/g", plain).unwrap();
    assert_eq!(w.read("/g"), Ok(b"f".to_vec()));
    assert_eq!((w.show(replaced.path()), read_all(&replaced)), ("/g (deleted)".into(), b"g".to_vec()));
    go("/g", "/e", RenameFlags::EXCHANGE).unwrap();
    assert_eq!(w.read("/e"), Ok(b"f".to_vec()));
    assert_eq!(w.show(open_b.path()), "/g/b");
    go("/g", "/full/g", plain).unwrap();
    assert_eq!((root_links(), ino("/full/g/b/../..")), (3, ino("/full")));
    go("/e", "/h", RenameFlags::WHITEOUT).unwrap();
    let white = w.path("/e").unwrap().inode().attr().unwrap();
    assert_eq!((white.mode & 0o170_000, white.rdev), (0o020_000, 0));
    // Two names of one inode: nothing happens.
    ops::link(&w.ctx, b"/h", &w.ctx, b"/i", AtFlags::empty()).unwrap();
    go("/h", "/i", plain).unwrap();
    assert_eq!(w.path("/h").unwrap().inode().attr().unwrap().nlink, 2);
}

#[test]
fn temporary_files_and_links() {
    let w = world();
    w.mkdir("/d");
    let flags = OpenFlags::TMPFILE | OpenFlags::RDWR;
    let file = open(&w.ctx, "/d", flags).unwrap();
    file.ops().write(&file, &mut IoSrc::bytes(&mut b"tmp".to_vec())).unwrap();
    assert_eq!(file.inode().attr().unwrap().nlink, 0);
    assert!(w.show(file.path()).ends_with("(deleted)"));
    let from = w.ctx.at(file.path().clone());
    ops::link(&from, b"", &w.ctx, b"/d/named", AtFlags::EMPTY_PATH).unwrap();
    assert_eq!(w.read("/d/named"), Ok(b"tmp".to_vec()));
    assert_eq!(file.inode().attr().unwrap().nlink, 1);
    let secret = open(&w.ctx, "/d", flags | OpenFlags::EXCL).unwrap();
    let from = w.ctx.at(secret.path().clone());
    let linked = ops::link(&from, b"", &w.ctx, b"/d/other", AtFlags::EMPTY_PATH);
    assert_eq!(linked, Err(Errno::ENOENT));
    assert_eq!(ops::link(&w.ctx, b"/d", &w.ctx, b"/e", AtFlags::empty()), Err(Errno::EPERM));
    assert_eq!(ops::link(&w.ctx, b"/d/named", &w.ctx, b"/d/named", AtFlags::empty()), Err(Errno::EEXIST));
    ops::symlink(&w.ctx, b"/d/named", b"/l").unwrap();
    ops::link(&w.ctx, b"/l", &w.ctx, b"/l2", AtFlags::empty()).unwrap();
    assert!(ops::readlink(&w.ctx, b"/l2").is_ok());
    ops::link(&w.ctx, b"/l", &w.ctx, b"/f2", AtFlags::SYMLINK_FOLLOW).unwrap();
    assert_eq!(w.read("/f2"), Ok(b"tmp".to_vec()));
}

#[test]
fn owners_modes_and_times() {
    let w = world();
    w.write("/f", b"12345");
    let path = w.path("/f").unwrap();
    let mode = || path.inode().attr().unwrap().mode & 0o7777;
    let (root, alice) = (w.ctx.cred.clone(), user(&w.ctx.cred, 1));
    ops::chmod(&root, &path, 0o6755).unwrap();
    assert_eq!(ops::chmod(&alice, &path, 0o777), Err(Errno::EPERM));
    assert_eq!(ops::chown(&alice, &path, Some(Uid(1)), None), Err(Errno::EPERM));
    ops::chown(&root, &path, Some(Uid(1)), Some(Gid(1))).unwrap();
    assert_eq!(mode(), 0o755, "set-id bits go");
    ops::chmod(&root, &path, 0o2644).unwrap();
    ops::chown(&root, &path, Some(Uid(1)), None).unwrap();
    assert_eq!(mode(), 0o2644, "without group execution the bit meant mandatory locking");
    assert_eq!(ops::chown(&alice, &path, None, Some(Gid(2))), Err(Errno::EPERM));
    assert_eq!(ops::chown(&alice, &path, None, Some(Gid(1))), Ok(()));
    ops::chown(&root, &path, None, Some(Gid(9))).unwrap();
    ops::chmod(&alice, &path, 0o2777).unwrap();
    assert_eq!(mode(), 0o777, "not of a group that one is not in");
    ops::chmod(&root, &path, 0o4777).unwrap();
    let writer = open(&w.as_user(5), "/f", OpenFlags::WRONLY).unwrap();
    writer.ops().write(&writer, &mut IoSrc::bytes(&mut [b'x'])).unwrap();
    assert_eq!(mode(), 0o777, "writing takes set-id away");

    assert_eq!(ops::truncate(&root, &path, 10, 7), Err(Errno::EFBIG));
    assert_eq!(ops::truncate(&root, &path, -1, u64::MAX), Err(Errno::EINVAL));
    assert_eq!(ops::truncate(&root, &w.ctx.root, 0, u64::MAX), Err(Errno::EISDIR));
    ops::truncate(&root, &path, 2, u64::MAX).unwrap();
    assert_eq!(w.read("/f"), Ok(b"x2".to_vec()));
    assert_eq!(
        ops::ftruncate(&root, &open(&w.ctx, "/f", OpenFlags::RDONLY).unwrap(), 0, u64::MAX),
        Err(Errno::EINVAL)
    );

    let then = abi::Timespec { tv_sec: 100, tv_nsec: 5 };
    let times = Times::new(then, abi::Timespec { tv_sec: 0, tv_nsec: abi::time::UTIME_OMIT }).unwrap();
    assert_eq!(ops::set_times(&user(&root, 3), &path, times), Err(Errno::EPERM));
    assert_eq!(ops::set_times(&user(&root, 3), &path, Times::NOW), Ok(()), "it is writable for all");
    ops::set_times(&alice, &path, times).unwrap();
    assert_eq!(path.inode().attr().unwrap().atime, then);
    // relatime: older than the change of the contents, so the read is noted.
    w.read("/f").unwrap();
    assert_ne!(path.inode().attr().unwrap().atime, then);
    assert!(Times::new(abi::Timespec { tv_sec: 0, tv_nsec: -1 }, then).is_err());
}

#[test]
fn new_files_inherit() {
    let w = world();
    w.mkdir("/d");
    let path = w.path("/d").unwrap();
    ops::chown(&w.ctx.cred, &path, None, Some(Gid(50))).unwrap();
    ops::chmod(&w.ctx.cred, &path, 0o2777).unwrap();
    let mut ctx = w.as_user(1);
    ctx.umask = 0o027;
    ops::mkdir(&ctx, b"/d/sub", 0o777).unwrap();
    let attr = ctx.resolve(b"/d/sub", Lookup::empty()).unwrap().inode().attr().unwrap();
    assert_eq!((attr.mode & 0o7777, attr.uid, attr.gid), (0o2750, Uid(1), Gid(50)));
    ops::mknod(&ctx, b"/d/p", 0o010_000 | 0o2777, 0).unwrap();
    let attr = ctx.resolve(b"/d/p", Lookup::empty()).unwrap().inode().attr().unwrap();
    assert_eq!((attr.mode & 0o7777, attr.gid), (0o750, Gid(50)), "not in that group");
    assert_eq!(ops::mknod(&ctx, b"/d/c", 0o020_666, 0x103), Err(Errno::EPERM));
    assert_eq!(ops::mknod(&ctx, b"/d/w", 0o020_000, 0), Ok(()), "a whiteout");
    assert_eq!(ops::mknod(&w.ctx, b"/x", 0o040_755, 0), Err(Errno::EPERM));
    assert_eq!(ops::mknod(&w.ctx, b"/x", 0o120_755, 0), Err(Errno::EINVAL));
}

#[test]
fn access_asks_for_the_real_user() {
    let w = world();
    w.write("/f", b"");
    ops::chmod(&w.ctx.cred, &w.path("/f").unwrap(), 0o600).unwrap();
    let set_id = Arc::new(Credentials { ruid: Uid(5), rgid: Gid(5), ..(*w.ctx.cred).clone() });
    let ctx = WalkContext { cred: set_id, ..w.ctx.clone() };
    assert_eq!(ops::access(&ctx, b"/f", 4, AtFlags::empty()), Err(Errno::EACCES));
    assert_eq!(ops::access(&ctx, b"/f", 4, AtFlags::EACCESS), Ok(()));
    assert_eq!(ops::access(&ctx, b"/f", 1, AtFlags::EACCESS), Err(Errno::EACCES), "nobody may execute it");
    assert_eq!(ops::access(&w.ctx, b"/f", 8, AtFlags::empty()), Err(Errno::EINVAL));
    assert_eq!(ops::may_exec(&w.ctx.cred, &w.path("/f").unwrap()), Err(Errno::EACCES));
}

#[test]
fn extended_attributes() {
    use ops::xattr;
    let w = world();
    w.write("/f", b"");
    ops::symlink(&w.ctx, b"f", b"/l").unwrap();
    let (path, root, alice) = (w.path("/f").unwrap(), w.ctx.cred.clone(), user(&w.ctx.cred, 1));
    xattr::set(&root, &path, b"user.a", b"1", 0).unwrap();
    assert_eq!(xattr::set(&root, &path, b"user.a", b"2", 1), Err(Errno::EEXIST));
    assert_eq!(xattr::set(&root, &path, b"user.b", b"2", 2), Err(Errno::ENODATA));
    assert_eq!(xattr::set(&root, &path, b"user.b", b"2", 4), Err(Errno::EINVAL));
    assert_eq!(xattr::set(&root, &path, b"nonsense", b"2", 0), Err(Errno::EOPNOTSUPP));
    assert_eq!(xattr::set(&root, &path, b"user.", b"2", 0), Err(Errno::EINVAL));
    assert_eq!(xattr::set(&root, &path, b"user.big", &vec![0; 65537], 0), Err(Errno::E2BIG));
    assert_eq!(xattr::get(&alice, &path, b"user.a"), Ok(b"1".to_vec()));
    assert_eq!(xattr::set(&alice, &path, b"user.a", b"1", 0), Err(Errno::EACCES));
    xattr::set(&root, &path, b"trusted.t", b"", 0).unwrap();
    assert_eq!(xattr::get(&alice, &path, b"trusted.t"), Err(Errno::ENODATA));
    assert_eq!(xattr::list(&alice, &path), Ok(b"user.a\0".to_vec()));
    assert_eq!(xattr::list(&root, &path), Ok(b"trusted.t\0user.a\0".to_vec()));
    let link = w.ctx.resolve(b"/l", Lookup::empty()).unwrap();
    assert_eq!(xattr::set(&root, &link, b"user.a", b"1", 0), Err(Errno::EPERM));
    let mut caps = [0u8; 20];
    assert_eq!(xattr::set(&root, &path, b"security.capability", &caps, 0), Err(Errno::EINVAL));
    caps[3] = 2;
    assert_eq!(xattr::set(&alice, &path, b"security.capability", &caps, 0), Err(Errno::EPERM));
    xattr::set(&root, &path, b"security.capability", &caps, 0).unwrap();
    ops::chown(&root, &path, Some(Uid(1)), None).unwrap();
    assert_eq!(xattr::get(&root, &path, b"security.capability"), Err(Errno::ENODATA));
    assert_eq!(xattr::remove(&root, &path, b"user.none"), Err(Errno::ENODATA));
    assert_eq!(xattr::remove(&root, &path, b"user.a"), Ok(()));
}

#[test]
fn reading_a_directory_that_changes() {
    let w = world();
    w.mkdir("/d");
    for n in 0..200 {
        w.write(&format!("/d/{n}"), b"");
    }
    let dir = open(&w.ctx, "/d", OpenFlags::DIRECTORY).unwrap();
    let mut pos = 0;
    let first = entries(&dir, &mut pos, 12);
    assert_eq!(
        (first.first().unwrap().as_str(), first.get(1).unwrap().as_str(), first.len()),
        (".", "..", 12)
    );
    for n in 50..195 {
        ops::unlink(&w.ctx, format!("/d/{n}").as_bytes()).unwrap();
    }
    w.write("/d/new", b"");
    let rest = entries(&dir, &mut pos, 1000);
    assert_eq!(rest.len(), 50);
    assert_eq!((rest.first().unwrap().as_str(), rest.last().unwrap().as_str()), ("49", "0"));
    assert!(entries(&dir, &mut pos, 10).is_empty());
    let mut again = 0;
    assert_eq!(entries(&dir, &mut again, 3), [".", "..", "new"]);
    assert_eq!(dir.ops().seek(&dir, Seek::End(0)), Err(Errno::EINVAL));
    assert_eq!(dir.inode().attr().unwrap().size, (56 + 2) * 20);
}

#[test]
fn limits_and_space() {
    let w = world();
    w.mkdir("/m");
    let mount = |data: &[u8]| vfs::mount::ops::mount(&w.ctx, &w.ns, b"none", b"/m", b"tmpfs", 0, data);
    assert_eq!(mount(b"size=x"), Err(Errno::EINVAL));
    assert_eq!(mount(b"what=1"), Err(Errno::EINVAL));
    mount(b"size=16k,nr_inodes=3,mode=700,uid=7").unwrap();
    let root = w.path("/m").unwrap();
    let attr = root.inode().attr().unwrap();
    assert_eq!((attr.mode, attr.uid), (0o040_700, Uid(7)));
    let file = open(&w.ctx, "/m/f", OpenFlags::CREAT | OpenFlags::RDWR).unwrap();
    let mut big = vec![1; 20000];
    assert_eq!(file.ops().write(&file, &mut IoSrc::bytes(&mut big)), Ok(16384));
    assert_eq!(file.ops().write(&file, &mut IoSrc::bytes(&mut big)), Err(Errno::ENOSPC));
    let statfs = ops::statfs(&root).unwrap();
    assert_eq!((statfs.f_blocks, statfs.f_bfree, statfs.f_files, statfs.f_ffree), (4, 0, 3, 1));
    assert_eq!(file.ops().seek(&file, Seek::Hole(0)), Ok(16384));
    file.ops().fallocate(&file, 3, 4096, 4096).unwrap();
    assert_eq!(file.ops().seek(&file, Seek::Hole(0)), Ok(4096));
    assert_eq!(file.ops().seek(&file, Seek::Data(4096)), Ok(8192));
    assert_eq!(file.ops().seek(&file, Seek::Data(16384)), Err(Errno::ENXIO));
    assert_eq!(file.ops().fallocate(&file, 0, 0, 1 << 20), Err(Errno::ENOSPC));
    open(&w.ctx, "/m/g", OpenFlags::CREAT | OpenFlags::RDWR).unwrap();
    assert_eq!(open(&w.ctx, "/m/h", OpenFlags::CREAT).err(), Some(Errno::ENOSPC));
    ops::unlink(&w.ctx, b"/m/g").unwrap();
    ops::unlink(&w.ctx, b"/m/f").unwrap();
    drop(file);
    assert_eq!(ops::statfs(&root).unwrap().f_bfree, 4);
    assert_eq!(ops::statfs(&root).unwrap().f_ffree, 2);
    let remount = MountFlags::REMOUNT.bits();
    vfs::mount::ops::mount(&w.ctx, &w.ns, b"", b"/m", b"", remount, b"size=1m").unwrap();
    assert_eq!(ops::statfs(&root).unwrap().f_blocks, 256);
}

#[test]
fn nothing_is_left_behind() {
    let w = world();
    w.mkdir("/m");
    w.mount("none", "/m", MountFlags::empty()).unwrap();
    // A tree so deep that dropping it by recursion would overflow the stack.
    let mut at = w.ctx.at(w.path("/m").unwrap());
    for _ in 0..50_000 {
        ops::mkdir(&at, b"d", 0o755).unwrap();
        at = at.at(at.resolve(b"d", Lookup::empty()).unwrap());
    }
    w.write("/m/f", &[1; 5000]);
    assert!(w.memory.used_bytes() > 0);
    drop(at);
    vfs::mount::ops::umount(&w.ctx, &w.ns, b"/m", 0).unwrap();
    assert_eq!(w.memory.used_bytes(), 0);
    let context = FsContext::new(w.ctx.root.clone(), w.ctx.root.clone(), 0o22);
    assert_eq!(context.set_umask(0o7077), 0o22);
    assert_eq!(context.fork().umask(), 0o77);
}

#[test]
fn the_cache_of_names_is_bounded() {
    let w = world();
    w.mkdir("/d");
    let dir = w.path("/d").unwrap();
    for n in 0..50_000 {
        let _ = w.ctx.resolve(format!("/d/{n}").as_bytes(), Lookup::empty());
    }
    let cached =
        (0..50_000).filter(|n| dir.dentry().cached_child(n.to_string().as_bytes()).is_some()).count();
    assert!(cached < 20_000, "{cached}");
}
