//! Makes everything that this crate has known to a kernel: types of file systems, drivers of device nodes, FIFOs.

use crate::{cgroup, dev, devpts, fifo::FifoOpen, mqueue, overlay, proc, sys, tmpfs};
use abi::Errno;
use kernel::Kernel;
use std::sync::Arc;

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
    mqueue::register(kernel);
    let _ = vfs.fifo_open.set(Box::new(|request| {
        // Whoever can wait for the other end opens in two steps; the others get their end at once.
        Ok(FifoOpen::of(request.path.inode_ref(), request.flags)?.finish())
    }));
    Ok(())
}
