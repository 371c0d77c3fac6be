//! The file system of `/dev`: a tmpfs with the usual nodes in it.
//!
//! Which nodes a container gets is up to its configuration; these are those that the OCI runtime specification wants
//! everywhere. What opens them is registered by whoever has the driver: a node without one gives `ENXIO`.

use crate::tmpfs::{Options, Tmpfs};
use abi::{
    Errno,
    stat::dev::{MEM_MAJOR, TTYAUX_MAJOR, makedev},
};
use mem::MemoryFile;
use std::sync::Arc;
use vfs::{FileSystemType, Gid, Inode, NewKind, NewNode, Uid, Vfs, vfs::Mounted};

/// Name, major and minor number of the character devices; all may be read and written by everybody.
const DEVICES: [(&str, u32, u32); 6] = [
    ("null", MEM_MAJOR, 3),
    ("zero", MEM_MAJOR, 5),
    ("full", MEM_MAJOR, 7),
    ("random", MEM_MAJOR, 8),
    ("urandom", MEM_MAJOR, 9),
    ("tty", TTYAUX_MAJOR, 0),
];

const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// Directory and permissions.
const DIRECTORIES: [(&str, u32); 3] = [("pts", 0o755), ("shm", 0o1777), ("mqueue", 0o1777)];

/// A `/dev` of its own. `console` says that there is to be a node for one.
pub fn new(vfs: &Vfs, memory: &Arc<MemoryFile>, options: &Options, console: bool) -> Result<Mounted, Errno> {
    let (fs, root) = Tmpfs::new(vfs, memory, "tmpfs", options)?;
    populate(&(root.clone() as Arc<dyn Inode>), console)?;
    Ok((fs, root))
}

/// Puts the usual nodes into `dir`, which is empty.
pub fn populate(dir: &Arc<dyn Inode>, console: bool) -> Result<(), Errno> {
    let make = |name: &str, kind, mode| {
        dir.create(name.as_bytes(), &NewNode { kind, mode, uid: Uid::ROOT, gid: Gid::ROOT }).map(|_| ())
    };
    for (name, major, minor) in DEVICES {
        make(name, NewKind::CharDevice(makedev(major, minor)), 0o666)?;
    }
    if console {
        make("console", NewKind::CharDevice(makedev(TTYAUX_MAJOR, 1)), 0o620)?;
    }
    for (name, target) in LINKS {
        make(name, NewKind::Symlink(target.as_bytes().to_vec()), 0o777)?;
    }
    for (name, mode) in DIRECTORIES {
        make(name, NewKind::Directory, mode)?;
    }
    Ok(())
}

/// Makes the type `devtmpfs` known to `mount(2)`: one file system, however often it is mounted, as on Linux.
pub fn register(vfs: &Arc<Vfs>, memory: &Arc<MemoryFile>) -> Result<(), Errno> {
    let options = Options { mode: Some(0o755), ..Options::default() };
    let mounted = new(vfs, memory, &options, true)?;
    vfs.register_type(FileSystemType {
        name: "devtmpfs",
        user_mountable: false,
        nodev: true,
        mount: Arc::new(move |_| Ok(mounted.clone())),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dev, tmpfs::tests::world};
    use abi::fcntl::OpenFlags;
    use mem::{IoDst, IoSrc};
    use vfs::{Lookup, file::Seek, ops};

    #[test]
    fn the_usual_nodes_work() {
        let w = world();
        dev::mem::register(&w.ctx.vfs, &w.memory).unwrap();
        register(&w.ctx.vfs, &w.memory).unwrap();
        w.mkdir("/dev");
        let mount = || vfs::mount::ops::mount(&w.ctx, &w.ns, b"dev", b"/dev", b"devtmpfs", 0, b"");
        mount().unwrap();
        let open = |name: &str| crate::tmpfs::tests::open(&w.ctx, name, OpenFlags::RDWR);
        let mut bytes = [1u8; 1000];
        let zero = open("/dev/zero").unwrap();
        assert_eq!(zero.ops().read(&zero, &mut IoDst::bytes(&mut bytes)), Ok(1000));
        assert_eq!(bytes, [0; 1000]);
        let null = open("/dev/null").unwrap();
        assert_eq!(null.ops().read(&null, &mut IoDst::bytes(&mut bytes)), Ok(0));
        assert_eq!(null.ops().write(&null, &mut IoSrc::bytes(&mut bytes)), Ok(1000));
        assert_eq!(null.ops().seek(&null, Seek::End(5)), Ok(0));
        let full = open("/dev/full").unwrap();
        assert_eq!(full.ops().write(&full, &mut IoSrc::bytes(&mut bytes)), Err(Errno::ENOSPC));
        let random = open("/dev/urandom").unwrap();
        assert_eq!(random.ops().read(&random, &mut IoDst::bytes(&mut bytes)), Ok(1000));
        assert_ne!(bytes, [0; 1000]);
        assert_eq!(open("/dev/tty").err(), Some(Errno::ENXIO), "nobody has registered terminals here");
        let ptmx = w.ctx.resolve(b"/dev/ptmx", Lookup::empty()).unwrap();
        assert_eq!(ptmx.inode().read_link(), Ok(b"pts/ptmx".to_vec()));
        // One file system: a node made through one mount is there in the other.
        w.mkdir("/other");
        vfs::mount::ops::mount(&w.ctx, &w.ns, b"dev", b"/other", b"devtmpfs", 0, b"").unwrap();
        ops::mknod(&w.ctx, b"/dev/new", 0o020_666, makedev(1, 3)).unwrap();
        assert!(open("/other/new").is_ok());
        ops::unlink(&w.ctx, b"/other/new").unwrap();
        assert_eq!(open("/dev/new").err(), Some(Errno::ENOENT));
    }
}
