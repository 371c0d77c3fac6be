//! The descriptor-based calls: `open_tree(2)`, `move_mount(2)`, `fsopen(2)`, `fsconfig(2)`, `fsmount(2)`, `fspick(2)`,
//! `mount_setattr(2)`.
//!
//! A tree that is attached nowhere is in an anonymous namespace, which its open file keeps; attaching the tree takes it out
//! of there, closing the file before that unmounts it.
//!
//! **Absent on purpose:** `FSCONFIG_SET_PATH`, `SET_FD` and `SET_BINARY` (`EOPNOTSUPP`: no file system here takes them),
//! idmapped mounts (`EINVAL`), `MOVE_MOUNT_SET_GROUP` and `MOVE_MOUNT_BENEATH` (`EINVAL`).

use super::{
    Mount, MountNamespace,
    ops::{Table, attach, check_change, copy_for_bind, lock, may_mount, move_mount as move_attached},
    topology::Topology,
};
use crate::{
    Credentials, File, FileOps, Path, WalkContext,
    file::PathOnly,
    vfs::{FileSystemType, MountArgs, Mounted},
    walk::Lookup,
};
use abi::{
    Errno,
    fcntl::OpenFlags,
    process::{self, FspickFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags},
    stat::FileType,
};
use ksync::{Mutex, rank};
use mem::{IoDst, IoSrc};
use std::{any::Any, sync::Arc};

/// An `O_PATH` file that keeps a detached tree.
struct DetachedTree {
    _ns: Arc<MountNamespace>,
}

impl FileOps for DetachedTree {
    fn read(&self, file: &File, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        PathOnly.read(file, dst)
    }
    fn write(&self, file: &File, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        PathOnly.write(file, src)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Makes the detached tree at `top` a namespace of its own, in an open file.
fn keep(
    mut table: Table<'_>,
    ns: &MountNamespace,
    top: u64,
    cred: &Arc<Credentials>,
) -> Result<Arc<File>, Errno> {
    let anonymous = MountNamespace::make(&ns.table, ns.user_ns.clone());
    table.found_namespace(anonymous.id, top, anonymous.events.clone(), true);
    let mount = table.mount(top).ok_or(Errno::EINVAL)?;
    drop(table);
    let root = mount.root.clone();
    let ops = Box::new(DetachedTree { _ns: Arc::new(anonymous) });
    Ok(File::new(Path::new(mount, root)?, OpenFlags::PATH, cred.clone(), ops))
}

fn lookup(nofollow: bool, empty: bool) -> Lookup {
    let mut lookup = if nofollow { Lookup::empty() } else { Lookup::FOLLOW };
    if empty {
        lookup |= Lookup::EMPTY_PATH;
    }
    lookup
}

/// `open_tree(2)`. Whether the descriptor closes on exec is for the caller.
pub fn open_tree(
    ctx: &WalkContext,
    ns: &MountNamespace,
    name: &[u8],
    flags: u32,
) -> Result<Arc<File>, Errno> {
    let flags = OpenTreeFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let clone = flags.contains(OpenTreeFlags::CLONE);
    let recursive = flags.contains(OpenTreeFlags::RECURSIVE);
    if recursive && !clone {
        return Err(Errno::EINVAL);
    }
    if clone {
        may_mount(&ctx.cred, ns)?;
    }
    let nofollow = flags.contains(OpenTreeFlags::SYMLINK_NOFOLLOW);
    let path = ctx.resolve(name, lookup(nofollow, flags.contains(OpenTreeFlags::EMPTY_PATH)))?;
    if !clone {
        return Ok(File::new(path, OpenFlags::PATH, ctx.cred.clone(), Box::new(PathOnly)));
    }
    let mut table = lock(path.mount());
    let top = copy_for_bind(&mut table, ns, &path, recursive)?;
    keep(table, ns, top, &ctx.cred)
}

/// Whether `path` is the root of a tree that is attached nowhere.
fn is_detached_root(table: &Topology, path: &Path) -> bool {
    table.namespace_of(path.mount().id).is_some_and(|ns| {
        table.is_anonymous(ns) && table.namespace_root(ns).is_some_and(|r| r.id == path.mount().id)
    }) && path.is_mount_root()
}

/// `move_mount(2)`: `name` seen from `from`, `to` from `ctx`.
pub fn move_mount(
    from: &WalkContext,
    name: &[u8],
    ctx: &WalkContext,
    to: &[u8],
    ns: &MountNamespace,
    flags: u32,
) -> Result<(), Errno> {
    crate::landlock::may_change_mounts(&from.cred)?;
    may_mount(&ctx.cred, ns)?;
    let flags = MoveMountFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    if flags.intersects(MoveMountFlags::SET_GROUP | MoveMountFlags::BENEATH) {
        return Err(Errno::EINVAL);
    }
    let has = |flag| flags.contains(flag);
    let source =
        from.resolve(name, lookup(!has(MoveMountFlags::F_SYMLINKS), has(MoveMountFlags::F_EMPTY_PATH)))?;
    let target =
        ctx.resolve(to, lookup(!has(MoveMountFlags::T_SYMLINKS), has(MoveMountFlags::T_EMPTY_PATH)))?;
    let mut table = lock(source.mount());
    if !is_detached_root(&table, &source) {
        drop(table);
        return move_attached(ns, source, target);
    }
    if source.is_dir() != target.is_dir() {
        return Err(Errno::EINVAL);
    }
    // Attaching gives the tree to the namespace; if that fails it stays with its file.
    attach(&mut table, source.mount().id, &target, ns)
}

/// Flags of a mount from `MOUNT_ATTR_*`; `EINVAL`.
fn from_attr(attr: MountAttrFlags) -> Result<MountFlags, Errno> {
    let mut flags = MountFlags::empty();
    for (bit, flag) in [
        (MountAttrFlags::RDONLY, MountFlags::RDONLY),
        (MountAttrFlags::NOSUID, MountFlags::NOSUID),
        (MountAttrFlags::NODEV, MountFlags::NODEV),
        (MountAttrFlags::NOEXEC, MountFlags::NOEXEC),
        (MountAttrFlags::NODIRATIME, MountFlags::NODIRATIME),
        (MountAttrFlags::NOSYMFOLLOW, MountFlags::NOSYMFOLLOW),
    ] {
        if attr.contains(bit) {
            flags |= flag;
        }
    }
    match attr & MountAttrFlags::ATIME_MASK {
        a if a.is_empty() => flags |= MountFlags::RELATIME,
        a if a == MountAttrFlags::NOATIME => flags |= MountFlags::NOATIME,
        a if a == MountAttrFlags::STRICTATIME => {}
        _ => return Err(Errno::EINVAL),
    }
    Ok(flags)
}

/// How a file system is being configured.
struct Config {
    kind: FileSystemType,
    source: Vec<u8>,
    data: String,
    flags: MountFlags,
    /// What there is: after `FSCONFIG_CMD_CREATE`, or what `fspick` picked.
    made: Option<Mounted>,
    picked: Option<Arc<Mount>>,
}

/// The file of `fsopen(2)` and `fspick(2)`.
pub struct ConfigFile(Mutex<Config>);

impl FileOps for ConfigFile {
    fn read(&self, _: &File, _: &mut IoDst<'_>) -> Result<usize, Errno> {
        // No messages: every error is told by its number.
        Err(Errno::ENODATA)
    }
    fn write(&self, _: &File, _: &mut IoSrc<'_>) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }
    fn seekable(&self) -> bool {
        false
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn config_file(ctx: &WalkContext, config: Config) -> Arc<File> {
    let ops = Box::new(ConfigFile(Mutex::new(rank::LEAF, config)));
    ctx.vfs.anon_file("anon_inode:[fscontext]", FileType::Regular, OpenFlags::RDWR, &ctx.cred, ops)
}

/// `fsopen(2)`; the caller has refused unknown flags.
pub fn fsopen(ctx: &WalkContext, ns: &MountNamespace, kind: &[u8]) -> Result<Arc<File>, Errno> {
    may_mount(&ctx.cred, ns)?;
    let kind = ctx.vfs.fs_type(kind)?;
    let (source, data, flags) = (Vec::new(), String::new(), MountFlags::empty());
    Ok(config_file(ctx, Config { kind, source, data, flags, made: None, picked: None }))
}

/// `fspick(2)`.
pub fn fspick(ctx: &WalkContext, ns: &MountNamespace, name: &[u8], flags: u32) -> Result<Arc<File>, Errno> {
    may_mount(&ctx.cred, ns)?;
    let flags = FspickFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let nofollow = flags.contains(FspickFlags::SYMLINK_NOFOLLOW);
    let path = ctx.resolve(name, lookup(nofollow, flags.contains(FspickFlags::EMPTY_PATH)))?;
    if !path.is_mount_root() {
        return Err(Errno::EINVAL);
    }
    let mount = path.mount().clone();
    let kind = ctx.vfs.fs_type(mount.fs.name().as_bytes())?;
    let source = mount.source.to_vec();
    let flags = mount.flags() & MountFlags::RDONLY;
    Ok(config_file(ctx, Config { kind, source, data: String::new(), flags, made: None, picked: Some(mount) }))
}

/// `fsconfig(2)`: `key` and `value` are the strings of the commands that have them.
pub fn fsconfig(
    ctx: &WalkContext,
    ns: &MountNamespace,
    file: &File,
    command: u32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Result<(), Errno> {
    let config = file.downcast::<ConfigFile>().ok_or(Errno::EINVAL)?;
    let text = |t: Option<&[u8]>| {
        t.and_then(|t| std::str::from_utf8(t).ok()).map(str::to_owned).ok_or(Errno::EINVAL)
    };
    match command {
        process::FSCONFIG_SET_FLAG => {
            let key = text(key)?;
            let mut config = config.0.lock();
            match key.as_str() {
                "ro" => config.flags |= MountFlags::RDONLY,
                "rw" => config.flags -= MountFlags::RDONLY,
                "sync" | "async" | "dirsync" | "lazytime" | "nolazytime" | "mand" | "nomand" | "silent" => {}
                _ => config.add(&key),
            }
            Ok(())
        }
        process::FSCONFIG_SET_STRING => {
            let (key, value) = (text(key)?, value.ok_or(Errno::EINVAL)?);
            let mut config = config.0.lock();
            if key == "source" {
                if !config.source.is_empty() {
                    return Err(Errno::EINVAL);
                }
                config.source = value.to_vec();
            } else {
                let value = text(Some(value))?;
                config.add(&format!("{key}={value}"));
            }
            Ok(())
        }
        process::FSCONFIG_CMD_CREATE | process::FSCONFIG_CMD_CREATE_EXCL => {
            may_mount(&ctx.cred, ns)?;
            // Made without the lock: a file system may look up names.
            let (kind, source, data, flags) = {
                let config = config.0.lock();
                if config.made.is_some() || config.picked.is_some() {
                    return Err(Errno::EBUSY);
                }
                (config.kind.clone(), config.source.clone(), config.data.clone(), config.flags)
            };
            if !kind.user_mountable && ns.user_ns.parent.is_some() {
                return Err(Errno::EPERM);
            }
            let made = (kind.mount)(&MountArgs { ctx, source: &source, flags, data: &data })?;
            config.0.lock().made = Some(made);
            Ok(())
        }
        process::FSCONFIG_CMD_RECONFIGURE => {
            may_mount(&ctx.cred, ns)?;
            let (fs, data, flags) = {
                let config = config.0.lock();
                let picked = config.picked.as_ref().ok_or(Errno::EBUSY)?;
                (picked.fs.clone(), config.data.clone(), config.flags)
            };
            fs.remount(flags.contains(MountFlags::RDONLY), &data)
        }
        process::FSCONFIG_SET_BINARY
        | process::FSCONFIG_SET_PATH
        | process::FSCONFIG_SET_PATH_EMPTY
        | process::FSCONFIG_SET_FD => Err(Errno::EOPNOTSUPP),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

impl Config {
    fn add(&mut self, option: &str) {
        if !self.data.is_empty() {
            self.data.push(',');
        }
        self.data.push_str(option);
    }
}

/// `fsmount(2)`; `attr` are `MOUNT_ATTR_*`.
pub fn fsmount(ctx: &WalkContext, ns: &MountNamespace, file: &File, attr: u64) -> Result<Arc<File>, Errno> {
    may_mount(&ctx.cred, ns)?;
    let attr = MountAttrFlags::from_bits(attr).ok_or(Errno::EINVAL)?;
    if attr.contains(MountAttrFlags::IDMAP) {
        return Err(Errno::EINVAL);
    }
    let config = file.downcast::<ConfigFile>().ok_or(Errno::EINVAL)?;
    let (made, source) = {
        let mut config = config.0.lock();
        (config.made.take().ok_or(Errno::EINVAL)?, config.source.clone())
    };
    let source: &[u8] = if source.is_empty() { b"none" } else { &source };
    let sb = ctx.vfs.super_block(made);
    let mut table = ctx.vfs.table.write();
    let top = table.add(&ctx.vfs.table, sb.clone(), sb.root.clone(), source.into(), from_attr(attr)?)?;
    keep(table, ns, top, &ctx.cred)
}

/// What `mount_setattr(2)` changes.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetMountAttr {
    /// `MOUNT_ATTR_*` to be set.
    pub set: u64,
    /// `MOUNT_ATTR_*` to be cleared.
    pub clear: u64,
    /// One of [`MountFlags::PROPAGATION`], or 0.
    pub propagation: u64,
}

/// `mount_setattr(2)` of the mount at `path`, and of those below if `recursive`.
pub fn mount_setattr(
    cred: &Credentials,
    ns: &MountNamespace,
    path: &Path,
    recursive: bool,
    change: &SetMountAttr,
) -> Result<(), Errno> {
    may_mount(cred, ns)?;
    let set = MountAttrFlags::from_bits(change.set).ok_or(Errno::EINVAL)?;
    let clear = MountAttrFlags::from_bits(change.clear).ok_or(Errno::EINVAL)?;
    let atime = MountAttrFlags::ATIME_MASK;
    let changes_atime = clear.contains(atime);
    if set.contains(MountAttrFlags::IDMAP)
        || clear.contains(MountAttrFlags::IDMAP)
        || (!changes_atime && (set.intersects(atime) || clear.intersects(atime)))
    {
        return Err(Errno::EINVAL);
    }
    let kind = MountFlags::from_bits(change.propagation)
        .filter(|k| MountFlags::PROPAGATION.contains(*k) && k.bits().count_ones() <= 1)
        .ok_or(Errno::EINVAL)?;
    let to_set = from_attr(set)?;
    let to_clear = from_attr(clear - atime)? - MountFlags::RELATIME;
    if !path.is_mount_root() {
        return Err(Errno::EINVAL);
    }
    let top = path.mount().id;
    let mut table = lock(path.mount());
    let here = table.namespace_of(top).ok_or(Errno::EINVAL)?;
    if here != ns.id && !table.is_anonymous(here) {
        return Err(Errno::EINVAL);
    }
    let ids = if recursive { table.subtree(top) } else { vec![top] };
    let times = MountFlags::RELATIME | MountFlags::NOATIME;
    let changed = |mount: &Mount| {
        let mut flags = mount.flags() - to_clear;
        if changes_atime {
            flags = (flags - times) | (to_set & times);
        }
        flags | (to_set - times)
    };
    // All or none.
    for node in ids.iter().filter_map(|id| table.node(*id)) {
        check_change(node, changed(&node.mount))?;
    }
    for id in ids {
        if let Some(mount) = table.mount(id) {
            mount.set_flags(changed(&mount));
        }
        if !kind.is_empty() {
            table.set_propagation(id, kind);
        }
    }
    table.changed(here);
    Ok(())
}
