//! Makes everything that this crate has known to a kernel: types of file systems, drivers of device nodes, FIFOs.

use crate::{
    cgroup, dev, devpts,
    fifo::FifoOpen,
    overlay, proc, sys,
    tmpfs::{self, Options, Tmpfs},
};
use abi::Errno;
use kernel::Kernel;
use std::sync::Arc;
use vfs::{FileSystem, FileSystemType, Inode};

/// Registers all of it; called once for a kernel, before anything is mounted.
pub fn register(kernel: &Arc<Kernel>) -> Result<(), Errno> {
    let (vfs, memory) = (&kernel.vfs, &kernel.memory);
    dev::mem::register(vfs, memory)?;
    dev::loops::register(vfs)?;
    devpts::register(kernel)?;
    tmpfs::register(vfs, memory);
    dev::devtmpfs::register(vfs, memory)?;
    overlay::register(vfs);
    proc::register(kernel);
    sys::register(kernel);
    cgroup::register(kernel);
    overlay::register(vfs);
    if vfs.fs_type(b"mqueue").is_err() {
        register_mqueue(kernel);
    }
    let _ = vfs.fifo_open.set(Box::new(|request| {
        // Whoever can wait for the other end opens in two steps; the others get their end at once.
        Ok(FifoOpen::of(request.path.inode_ref(), request.flags)?.finish())
    }));
    Ok(())
}

/// A place to mount for programs that want `/dev/mqueue`; queues are made with `mq_open(2)` and are not files in it.
fn register_mqueue(kernel: &Arc<Kernel>) {
    let memory = kernel.memory.clone();
    kernel.vfs.register_type(FileSystemType {
        name: "mqueue",
        user_mountable: true,
        nodev: true,
        mount: Arc::new(move |args| {
            let options = Options { mode: Some(0o1777), ..Options::default() };
            let (fs, root) = Tmpfs::new(&args.ctx.vfs, &memory, "mqueue", &options)?;
            Ok((fs as Arc<dyn FileSystem>, root as Arc<dyn Inode>))
        }),
    });
}
