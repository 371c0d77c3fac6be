//! Overlays of two tmpfs, through the VFS. What is expected is what Linux 6.x does with `redirect_dir=on`.

use super::*;
use crate::tmpfs::{Options, Tmpfs};
use abi::{
    fcntl::{AtFlags, RenameFlags},
    process::MountFlags,
};
use mem::{IoDst, IoSrc, MemoryFile};
use vfs::{
    Lookup, MountNamespace, Path, WalkContext,
    file::Seek,
    ops::{self, OpenHow},
};

struct World {
    vfs: Arc<Vfs>,
    ns: Arc<MountNamespace>,
    ctx: WalkContext,
    /// The lower tree by itself.
    lower: WalkContext,
    upper: Arc<dyn Inode>,
}

fn tmpfs(vfs: &Arc<Vfs>, memory: &Arc<MemoryFile>) -> Mounted {
    let options = Options { mode: Some(0o755), ..Options::default() };
    let (fs, root) = Tmpfs::new(vfs, memory, "tmpfs", &options).unwrap();
    (fs, root)
}

fn world(prepare: impl FnOnce(&WalkContext)) -> World {
    let memory = Arc::new(MemoryFile::new(1 << 30).unwrap());
    let vfs = Vfs::new();
    crate::tmpfs::register(&vfs, &memory);
    register(&vfs);
    let user_ns = UserNamespace::initial();
    let cred = Credentials::root(user_ns.clone());
    let (lower, upper) = (tmpfs(&vfs, &memory), tmpfs(&vfs, &memory));
    let (_, lower_root) =
        vfs.new_namespace(user_ns.clone(), lower.clone(), b"lower", MountFlags::empty()).unwrap();
    let lower_ctx = vfs.context(lower_root, cred.clone());
    prepare(&lower_ctx);
    let upper_root = upper.1.clone();
    let mounted = mount(&vfs, lower, upper).unwrap();
    let (ns, root) = vfs.new_namespace(user_ns, mounted, b"overlay", MountFlags::empty()).unwrap();
    World { ctx: vfs.context(root, cred), ns, vfs, lower: lower_ctx, upper: upper_root }
}

fn write(ctx: &WalkContext, name: &str, text: &str) {
    let flags = OpenFlags::WRONLY | OpenFlags::CREAT | OpenFlags::TRUNC;
    let file = ops::open(ctx, name.as_bytes(), &OpenHow::open(flags.bits(), 0o644)).unwrap();
    file.ops().write(&file, &mut IoSrc::bytes(&mut text.as_bytes().to_vec())).unwrap();
}

fn open(ctx: &WalkContext, name: &str, flags: OpenFlags) -> Result<Arc<File>, Errno> {
    ops::open(ctx, name.as_bytes(), &OpenHow::open(flags.bits(), 0o644))
}

fn read_from(file: &File) -> String {
    let mut bytes = vec![0; 1 << 16];
    let n = file.ops().read(file, &mut IoDst::bytes(&mut bytes)).unwrap();
    bytes.truncate(n);
    String::from_utf8(bytes).unwrap()
}

fn read(ctx: &WalkContext, name: &str) -> Result<String, Errno> {
    Ok(read_from(&*open(ctx, name, OpenFlags::RDONLY)?))
}

fn list(ctx: &WalkContext, name: &str) -> Vec<String> {
    let file = open(ctx, name, OpenFlags::DIRECTORY).unwrap();
    let (mut pos, mut names) = (0, Vec::new());
    file.ops()
        .read_dir(&file, &mut pos, &mut |e| {
            if e.name != b"." && e.name != b".." {
                names.push(String::from_utf8(e.name.to_vec()).unwrap());
            }
            true
        })
        .unwrap();
    names.sort();
    names
}

fn path(ctx: &WalkContext, name: &str) -> Result<Path, Errno> {
    ctx.resolve(name.as_bytes(), Lookup::empty())
}

fn mkdir(ctx: &WalkContext, name: &str) {
    ops::mkdir(ctx, name.as_bytes(), 0o755).unwrap();
}

fn rename(ctx: &WalkContext, old: &str, new: &str) -> Result<(), Errno> {
    ops::rename(ctx, old.as_bytes(), ctx, new.as_bytes(), RenameFlags::empty())
}

/// Drops all that is cached and not in use.
fn forget() {
    vfs::dentry::shrink_by(10_000);
    vfs::dentry::shrink_by(10_000);
    vfs::dentry::shrink_by(10_000);
}

fn sample(ctx: &WalkContext) {
    mkdir(ctx, "/d");
    mkdir(ctx, "/d/sub");
    write(ctx, "/d/a", "lower a");
    write(ctx, "/d/b", "lower b");
    write(ctx, "/d/sub/deep", "deep");
    ops::symlink(ctx, b"a", b"/d/link").unwrap();
}

#[test]
fn the_lower_tree_shows_and_stays() {
    let w = world(sample);
    assert_eq!(read(&w.ctx, "/d/a").unwrap(), "lower a");
    assert_eq!(read(&w.ctx, "/d/link").unwrap(), "lower a");
    let before = path(&w.ctx, "/d/a").unwrap().inode().attr().unwrap();
    let reader = open(&w.ctx, "/d/a", OpenFlags::RDONLY).unwrap();
    write(&w.ctx, "/d/a", "upper");
    write(&w.ctx, "/d/new", "new");
    assert_eq!(read(&w.ctx, "/d/a").unwrap(), "upper");
    assert_eq!(read_from(&reader), "upper");
    assert_eq!(read(&w.lower, "/d/a").unwrap(), "lower a");
    assert_eq!(list(&w.ctx, "/d"), ["a", "b", "link", "new", "sub"]);
    assert_eq!(list(&w.lower, "/d"), ["a", "b", "link", "sub"]);
    forget();
    let after = path(&w.ctx, "/d/a").unwrap().inode().attr().unwrap();
    assert_eq!((before.dev, before.ino), (after.dev, after.ino));
    assert_eq!(read(&w.ctx, "/d/a").unwrap(), "upper");
    assert_eq!(w.upper.lookup(b"d").unwrap().lookup(b"b").err(), Some(Errno::ENOENT));
}

#[test]
fn a_part_of_a_file_is_written() {
    let w = world(sample);
    let file = open(&w.ctx, "/d/a", OpenFlags::RDWR).unwrap();
    file.ops().seek(&file, Seek::Set(6)).unwrap();
    file.ops().write(&file, &mut IoSrc::bytes(&mut b"B!".to_vec())).unwrap();
    assert_eq!(read(&w.ctx, "/d/a").unwrap(), "lower B!");
    let appender = open(&w.ctx, "/d/b", OpenFlags::WRONLY | OpenFlags::APPEND).unwrap();
    appender.ops().write(&appender, &mut IoSrc::bytes(&mut b"+".to_vec())).unwrap();
    assert_eq!(read(&w.ctx, "/d/b").unwrap(), "lower b+");
}

#[test]
fn what_is_removed_stays_away() {
    let w = world(sample);
    ops::unlink(&w.ctx, b"/d/a").unwrap();
    assert_eq!(read(&w.ctx, "/d/a").unwrap_err(), Errno::ENOENT);
    forget();
    assert_eq!(read(&w.ctx, "/d/a").unwrap_err(), Errno::ENOENT);
    assert_eq!(list(&w.ctx, "/d"), ["b", "link", "sub"]);
    write(&w.ctx, "/d/a", "again");
    forget();
    assert_eq!(read(&w.ctx, "/d/a").unwrap(), "again");
    ops::unlink(&w.ctx, b"/d/a").unwrap();
    assert_eq!(ops::rmdir(&w.ctx, b"/d/sub"), Err(Errno::ENOTEMPTY));
    ops::unlink(&w.ctx, b"/d/sub/deep").unwrap();
    ops::rmdir(&w.ctx, b"/d/sub").unwrap();
    mkdir(&w.ctx, "/d/sub");
    forget();
    assert!(list(&w.ctx, "/d/sub").is_empty());
    assert_eq!(read(&w.ctx, "/d/sub/deep").unwrap_err(), Errno::ENOENT);
    assert_eq!(read(&w.lower, "/d/sub/deep").unwrap(), "deep");
    assert_eq!(list(&w.ctx, "/d"), ["b", "link", "sub"]);
}

#[test]
fn files_and_directories_are_renamed() {
    let w = world(sample);
    rename(&w.ctx, "/d/a", "/d/b").unwrap();
    assert_eq!(read(&w.ctx, "/d/b").unwrap(), "lower a");
    rename(&w.ctx, "/d/b", "/top").unwrap();
    assert_eq!(list(&w.ctx, "/d"), ["link", "sub"]);
    write(&w.ctx, "/d/sub/more", "more");
    rename(&w.ctx, "/d", "/e").unwrap();
    for _ in 0..2 {
        assert_eq!(list(&w.ctx, "/"), ["e", "top"]);
        assert_eq!(list(&w.ctx, "/e"), ["link", "sub"]);
        assert_eq!(list(&w.ctx, "/e/sub"), ["deep", "more"]);
        assert_eq!(read(&w.ctx, "/e/sub/deep").unwrap(), "deep");
        forget();
    }
    mkdir(&w.ctx, "/d");
    assert!(list(&w.ctx, "/d").is_empty());
    rename(&w.ctx, "/e/sub", "/d/sub").unwrap();
    rename(&w.ctx, "/d/sub", "/sub2").unwrap();
    forget();
    assert_eq!(read(&w.ctx, "/sub2/deep").unwrap(), "deep");
    assert!(list(&w.ctx, "/d").is_empty());
    ops::rename(&w.ctx, b"/sub2", &w.ctx, b"/top", RenameFlags::EXCHANGE).unwrap();
    forget();
    assert_eq!(read(&w.ctx, "/top/deep").unwrap(), "deep");
    assert_eq!(read(&w.ctx, "/sub2").unwrap(), "lower a");
    // A directory of the upper tree where a lower one was: they do not become one.
    mkdir(&w.ctx, "/x");
    ops::rmdir(&w.ctx, b"/d").unwrap();
    rename(&w.ctx, "/x", "/d").unwrap();
    forget();
    assert!(list(&w.ctx, "/d").is_empty());
    assert_eq!(list(&w.lower, "/d"), ["a", "b", "link", "sub"]);
}

#[test]
fn links_and_attributes() {
    let w = world(|ctx| {
        sample(ctx);
        ops::link(ctx, b"/d/b", ctx, b"/d/b2", AtFlags::empty()).unwrap();
    });
    ops::link(&w.ctx, b"/d/a", &w.ctx, b"/d/a2", AtFlags::empty()).unwrap();
    let (a, a2) = (path(&w.ctx, "/d/a").unwrap(), path(&w.ctx, "/d/a2").unwrap());
    assert_eq!(a.inode().attr().unwrap().ino, a2.inode().attr().unwrap().ino);
    assert_eq!(a2.inode().attr().unwrap().nlink, 2);
    write(&w.ctx, "/d/a2", "both");
    assert_eq!(read(&w.ctx, "/d/a").unwrap(), "both");
    // Lower links part.
    write(&w.ctx, "/d/b", "one");
    assert_eq!(read(&w.ctx, "/d/b2").unwrap(), "lower b");
    let sub = path(&w.ctx, "/d/sub").unwrap();
    ops::attr::chmod(&w.ctx.cred, &sub, 0o700).unwrap();
    forget();
    assert_eq!(sub.inode().attr().unwrap().permissions(), 0o700);
    assert_eq!(list(&w.ctx, "/d/sub"), ["deep"]);
    ops::xattr::set(&w.ctx.cred, &a, b"user.x", b"1", 0).unwrap();
    assert_eq!(ops::xattr::list(&w.ctx.cred, &a).unwrap(), b"user.x\0");
    assert_eq!(ops::mknod(&w.ctx, b"/w", FileType::CharDevice.to_mode(), 0), Err(Errno::EPERM));
    ops::mknod(&w.ctx, b"/fifo", FileType::Fifo.to_mode() | 0o600, 0).unwrap();
    assert_eq!(path(&w.ctx, "/fifo").unwrap().file_type(), FileType::Fifo);
}

#[test]
fn removed_files_live_on() {
    let w = world(sample);
    let lower = open(&w.ctx, "/d/a", OpenFlags::RDONLY).unwrap();
    let upper = open(&w.ctx, "/d/b", OpenFlags::RDWR).unwrap();
    ops::unlink(&w.ctx, b"/d/a").unwrap();
    ops::unlink(&w.ctx, b"/d/b").unwrap();
    assert_eq!((read_from(&lower), read_from(&upper)), ("lower a".into(), "lower b".into()));
    assert_eq!(lower.inode().attr().unwrap().nlink, 0);
    ops::attr::chmod(&w.ctx.cred, lower.path(), 0o600).unwrap();
    assert_eq!(lower.inode().attr().unwrap().permissions(), 0o600);
    assert_eq!(list(&w.ctx, "/d"), ["link", "sub"]);
    let tmp = open(&w.ctx, "/d/sub", OpenFlags::RDWR | OpenFlags::TMPFILE).unwrap();
    assert_eq!(tmp.inode().attr().unwrap().nlink, 0);
}

#[test]
fn applications_mount_overlays() {
    let w = world(sample);
    let mount = |kind: &str, target: &str, options: &str| {
        let (kind, target) = (kind.as_bytes(), target.as_bytes());
        vfs::mount::ops::mount(&w.ctx, &w.ns, b"none", target, kind, 0, options.as_bytes())
    };
    for dir in ["/l1", "/l2", "/t", "/m", "/l1/x", "/l2/x", "/u", "/work"] {
        mkdir(&w.ctx, dir);
    }
    mount("tmpfs", "/t", "").unwrap();
    mkdir(&w.ctx, "/t/u");
    mkdir(&w.ctx, "/t/work");
    write(&w.ctx, "/l1/x/one", "1");
    write(&w.ctx, "/l2/x/two", "2");
    write(&w.ctx, "/l2/x/one", "hidden");
    let on_overlay = mount("overlay", "/m", "lowerdir=/l1:/l2,upperdir=/u,workdir=/work");
    assert_eq!(on_overlay, Err(Errno::EINVAL));
    assert_eq!(mount("overlay", "/m", "lowerdir=/l1"), Err(Errno::EINVAL));
    mount("overlay", "/m", "lowerdir=/l1:/l2,upperdir=/t/u,workdir=/t/work").unwrap();
    assert_eq!(list(&w.ctx, "/m/x"), ["one", "two"]);
    assert_eq!(read(&w.ctx, "/m/x/one").unwrap(), "1");
    write(&w.ctx, "/m/x/two", "changed");
    ops::unlink(&w.ctx, b"/m/x/one").unwrap();
    assert_eq!(list(&w.ctx, "/m/x"), ["two"]);
    assert_eq!(read(&w.ctx, "/l2/x/two").unwrap(), "2");
    forget();
    assert_eq!(read(&w.ctx, "/m/x/two").unwrap(), "changed");
    assert!(w.vfs.fs_type(b"overlay").is_ok());
}
