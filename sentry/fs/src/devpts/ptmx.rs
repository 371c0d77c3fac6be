//! Opening masters, and the terminal that a container is given.

use super::{DevPts, PtsInode, set_console};
use abi::{Errno, FileType, OpenFlags, ioctl::TIOCGPTPEER, process::Resource};
use kernel::{
    current,
    tty::{Tty, host::HostTerminal, pty},
};
use ksync::{Mutex, Ready, WaitQueue};
use mem::{IoDst, IoSrc, UserMemory};
use std::{
    any::Any,
    sync::{Arc, Weak},
};
use vfs::{Credentials, File, FileOps, Lookup, OpenRequest, Path, Vfs, WalkContext};

fn devpts_of(path: &Path) -> Option<Arc<DevPts>> {
    let inode = path.inode();
    inode.as_any().downcast_ref::<PtsInode>().map(|i| i.instance().clone())
}

/// The instance that a `ptmx` node stands for, and its root where that is known: its own, or what is mounted on `pts` next
/// to it, or the one made last.
fn find_instance(
    vfs: &Arc<Vfs>,
    latest: &Mutex<Weak<DevPts>>,
    request: &OpenRequest<'_>,
) -> Result<(Arc<DevPts>, Option<Path>), Errno> {
    let directory = request.path.dentry().parent();
    let directory = directory.and_then(|d| Path::new(request.path.mount().clone(), d).ok());
    if let Some(fs) = devpts_of(request.path) {
        return Ok((fs, directory));
    }
    if let Some(dir) = directory {
        let ctx = vfs.context(dir, request.cred.clone());
        if let Ok(pts) = ctx.resolve(b"pts", Lookup::DIRECTORY)
            && let Some(fs) = devpts_of(&pts)
        {
            return Ok((fs, Some(pts)));
        }
    }
    let fs = latest.lock().upgrade().ok_or(Errno::ENODEV)?;
    Ok((fs, None))
}

/// Opens `ptmx`: a new pair.
pub(crate) fn open_ptmx(
    vfs: &Arc<Vfs>,
    latest: &Mutex<Weak<DevPts>>,
    request: &OpenRequest<'_>,
) -> Result<Box<dyn FileOps>, Errno> {
    let (fs, root) = find_instance(vfs, latest, request)?;
    let (number, tty, master) = fs.open_pair((request.cred.fsuid, request.cred.fsgid))?;
    Ok(Box::new(Ptmx { master, tty, number, root, vfs: Arc::downgrade(vfs) }))
}

/// An open master that knows where its other end is.
struct Ptmx {
    master: Box<dyn FileOps>,
    tty: Arc<Tty>,
    number: u32,
    /// Root of the instance's mount.
    root: Option<Path>,
    vfs: Weak<Vfs>,
}

impl Ptmx {
    /// `TIOCGPTPEER`: opens the other end whatever is mounted where; its descriptor.
    fn open_peer(&self, file: &File, flags: u32) -> Result<u64, Errno> {
        let flags = OpenFlags::from_bits_truncate(flags);
        let task = current().ok_or(Errno::ENOTTY)?;
        let root = self.root.clone().ok_or(Errno::EIO)?;
        let vfs = self.vfs.upgrade().ok_or(Errno::EIO)?;
        let ctx = vfs.context(root, file.cred().clone());
        let path = ctx.resolve(self.number.to_string().as_bytes(), Lookup::empty())?;
        let peer = File::new(path, flags, task.cred(), pty::open_slave(&self.tty)?);
        let limit = task.group.limits.lock().soft(Resource::Nofile);
        let fd = task.fds()?.add(peer, 0, limit, flags.contains(OpenFlags::CLOEXEC))?;
        Ok(fd.0 as u64)
    }
}

impl FileOps for Ptmx {
    fn read(&self, file: &File, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        self.master.read(file, dst)
    }
    fn write(&self, file: &File, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        self.master.write(file, src)
    }
    fn read_timeout_ns(&self) -> Option<u64> {
        self.master.read_timeout_ns()
    }
    fn seekable(&self) -> bool {
        self.master.seekable()
    }
    fn ready(&self, file: &File) -> Ready {
        self.master.ready(file)
    }
    fn wait_queue(&self) -> Option<&WaitQueue> {
        self.master.wait_queue()
    }
    fn ioctl(&self, file: &File, mem: &dyn UserMemory, cmd: u32, arg: u64) -> Result<u64, Errno> {
        match cmd {
            TIOCGPTPEER => self.open_peer(file, arg as u32),
            _ => self.master.ioctl(file, mem, cmd, arg),
        }
    }
    fn as_any(&self) -> &dyn Any {
        self.master.as_any()
    }
}

/// Opens a terminal of the host for a process of a container whose root is that of `ctx`: as `/dev/pts/N` where a devpts is
/// mounted there, else as `/dev/console`, else as a terminal that is nowhere.
///
/// Further files on the same terminal get the same name.
pub fn console_file(
    ctx: &WalkContext,
    terminal: &Arc<HostTerminal>,
    cred: &Arc<Credentials>,
) -> Result<Arc<File>, Errno> {
    let tty = &terminal.tty;
    set_console(tty);
    let path = place(ctx, tty, cred)?;
    Ok(File::new(path, OpenFlags::RDWR, cred.clone(), terminal.open()?))
}

fn place(ctx: &WalkContext, tty: &Arc<Tty>, cred: &Arc<Credentials>) -> Result<Path, Errno> {
    let pts = ctx.resolve(b"/dev/pts", Lookup::FOLLOW | Lookup::DIRECTORY).ok();
    if let Some((fs, root)) = pts.and_then(|p| Some((devpts_of(&p)?, p))) {
        let number = match tty.index() {
            Some(number) => number,
            None => fs.add_terminal(tty, cred.fsuid, cred.fsgid)?,
        };
        if let Ok(path) = ctx.at(root).resolve(number.to_string().as_bytes(), Lookup::empty()) {
            return Ok(path);
        }
    }
    match ctx.resolve(b"/dev/console", Lookup::FOLLOW) {
        Ok(path) if path.file_type() == FileType::CharDevice => Ok(path),
        _ => Ok(ctx.vfs.anon_path("anon_inode:[console]", FileType::CharDevice, cred)),
    }
}
