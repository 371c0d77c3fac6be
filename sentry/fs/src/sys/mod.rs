//! sysfs (`sysfs(5)`): what programs look up about processors, memory and network interfaces.

use crate::pseudo::{PseudoFs, PseudoInode, StaticDir};
use abi::stat::SYSFS_MAGIC;
use kernel::Kernel;
use std::sync::Arc;
use vfs::{FileSystem, FileSystemType, Inode};

/// Makes the type known.
pub fn register(kernel: &Arc<Kernel>) {
    let mut root = StaticDir::new();
    for name in ["block", "bus", "class", "dev", "devices", "firmware", "fs", "kernel", "module", "power"] {
        root.add(name, StaticDir::new().child());
    }
    let root = root.child();
    kernel.vfs.register_type(FileSystemType {
        name: "sysfs",
        user_mountable: true,
        nodev: true,
        mount: Arc::new(move |args| {
            let fs = PseudoFs::new(&args.ctx.vfs, "sysfs", SYSFS_MAGIC, String::new());
            let root = PseudoInode::root(&fs, root.clone());
            Ok((fs as Arc<dyn FileSystem>, root as Arc<dyn Inode>))
        }),
    });
}
