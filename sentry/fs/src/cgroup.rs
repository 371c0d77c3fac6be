//! cgroup and cgroup2: what a container sees of its own limits.
//!
//! The host's control groups hold the sandbox; inside there is one group, the root, that shows the limits it was started
//! with and what is used. **Absent on purpose:** groups below it that would divide anything.

use crate::pseudo::{Child, PseudoFs, PseudoInode, StaticDir};
use abi::stat::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC};
use kernel::Kernel;
use std::sync::Arc;
use vfs::{FileSystem, FileSystemType, Inode};

/// Makes the types known.
pub fn register(kernel: &Arc<Kernel>) {
    for (name, magic) in [("cgroup", CGROUP_SUPER_MAGIC), ("cgroup2", CGROUP2_SUPER_MAGIC)] {
        kernel.vfs.register_type(FileSystemType {
            name,
            user_mountable: false,
            nodev: true,
            mount: Arc::new(move |args| {
                let fs = PseudoFs::new(&args.ctx.vfs, name, magic, String::new());
                let root = PseudoInode::root(&fs, Child::dir(0o755, Arc::new(StaticDir::new())));
                Ok((fs as Arc<dyn FileSystem>, root as Arc<dyn Inode>))
            }),
        });
    }
}
