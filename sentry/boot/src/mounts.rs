//! The container's mount namespace: root, configured mounts, masked and read-only paths.

use crate::{
    StartError, StartErrorKind,
    config::{Atime, BootConfig, FdNumber, FileAccess, MountConfig, MountKind, Overlay, PropagationMode},
    nodes,
};
use abi::{Errno, FileType, OpenFlags, process::MountFlags};
use fs::{cgroup::Membership, gofer::Connection};
use kernel::Kernel;
use mem::{IoDst, IoSrc, MemoryFile, Store};
use std::{cell::RefCell, collections::BTreeMap, sync::Arc};
use vfs::{
    Credentials, Lookup, MountArgs, MountNamespace, Path, UserNamespace, Vfs, WalkContext,
    mount::ops as mounting, ops, vfs::Mounted,
};

/// Makes the file systems of a container.
pub struct Builder<'a> {
    pub vfs: &'a Arc<Vfs>,
    pub gofer: &'a Arc<Connection>,
    pub cred: Arc<Credentials>,
    pub memory: &'a Arc<MemoryFile>,
    pub kernel: &'a Arc<Kernel>,
    /// Where the container is in hierarchies of cgroups, as a mount of them shows it.
    pub cgroups: &'a [Membership],
    /// What upper layers take their pages from, by the descriptor's number in the configuration.
    pub stores: RefCell<BTreeMap<FdNumber, Store>>,
    /// Whose message queues are shown.
    pub ipc: &'a Arc<kernel::ipc::IpcNamespace>,
}

fn bad(what: &str, errno: Errno) -> StartError {
    StartError::new(StartErrorKind::BadConfig, format!("{what}: {}", errno.message()))
}

impl Builder<'_> {
    /// The namespace, and its root as processes see it.
    pub fn build(
        &self,
        config: &BootConfig,
        user_ns: Arc<UserNamespace>,
    ) -> Result<(Arc<MountNamespace>, Path), StartError> {
        let root = &config.root;
        let through = root.overlay == Overlay::None;
        let mounted = self
            .gofer_tree(root.attach, root.access, root.overlay, through && root.readonly)
            .map_err(|e| bad("cannot attach the root file system", e))?;
        // Mount points are made before the root becomes read-only.
        let (ns, place) = self
            .vfs
            .new_namespace(user_ns, mounted, b"none", MountFlags::empty())
            .map_err(|e| bad("cannot mount the root file system", e))?;
        let ctx = self.vfs.context(place.clone(), self.cred.clone());
        for mount in &config.mounts {
            self.add(&ns, &ctx, mount)?;
        }
        nodes::make_devices(&ctx, &config.devices)?;
        nodes::write_settings(&ctx, &config.sysctl);
        // Other mounts may lie on what these hold, so they become read-only last.
        for mount in config.mounts.iter().filter(|m| m.readonly && is_made_here(&m.kind)) {
            let name = mount.destination.as_bytes();
            self.remount(&ns, &ctx, name, flags(mount))
                .map_err(|e| bad(&format!("cannot make {:?} read-only", mount.destination), e))?;
        }
        if root.readonly {
            self.remount(&ns, &ctx, b"/", MountFlags::RDONLY)
                .map_err(|e| bad("cannot make the root read-only", e))?;
        }
        for path in &config.readonly_paths {
            self.make_readonly(&ns, &ctx, path)?;
        }
        for path in &config.masked_paths {
            self.mask(&ns, &ctx, path)?;
        }
        Ok((ns, place))
    }

    fn gofer_tree(
        &self,
        attach: u32,
        access: FileAccess,
        overlay: Overlay,
        readonly: bool,
    ) -> Result<Mounted, Errno> {
        let access = match access {
            FileAccess::Exclusive => fs::gofer::Access::Exclusive,
            FileAccess::Shared => fs::gofer::Access::Shared,
        };
        let options = fs::gofer::Options { access, readonly: readonly || overlay != Overlay::None };
        let lower = fs::gofer::attach(self.vfs, self.gofer, attach, options)?;
        match overlay {
            Overlay::None => Ok(lower),
            Overlay::Memory { size } => fs::overlay::over_tmpfs(self.vfs, self.memory, None, size, lower),
            Overlay::File { fd, size } => {
                let store = self.stores.borrow_mut().remove(&fd).ok_or(Errno::EBADF)?;
                fs::overlay::over_tmpfs(self.vfs, self.memory, Some(Arc::new(store)), size, lower)
            }
        }
    }

    /// A root for options that would name something: there is nothing there.
    fn nowhere(&self) -> Result<Path, Errno> {
        let (fs, root) =
            fs::tmpfs::Tmpfs::new(self.vfs, self.memory, "tmpfs", &fs::tmpfs::Options::default())?;
        let mount = self.vfs.kernel_mount((fs, root), "none");
        Path::new(mount.clone(), mount.root.clone())
    }

    /// A file system of a registered type.
    fn typed(&self, kind: &[u8], data: &str) -> Result<Mounted, Errno> {
        let base = self.vfs.fs_type(kind)?;
        let ctx = self.vfs.context(self.nowhere()?, self.cred.clone());
        (base.mount)(&MountArgs { ctx: &ctx, source: kind, flags: MountFlags::empty(), data })
    }

    fn add(
        &self,
        ns: &Arc<MountNamespace>,
        ctx: &WalkContext,
        mount: &MountConfig,
    ) -> Result<(), StartError> {
        let what = format!("cannot mount {:?} at {:?}", mount.source, mount.destination);
        let target = self.mount_point(ctx, mount).map_err(|e| bad(&what, e))?;
        let data: Vec<&str> = mount.data.iter().map(String::as_str).filter(|o| *o != "tmpcopyup").collect();
        let copy_up = mount.data.iter().any(|o| o == "tmpcopyup");
        let typed = |kind: &[u8]| self.typed(kind, &data.join(","));
        let mounted = match &mount.kind {
            MountKind::Gofer { attach, access, overlay, .. } => {
                self.gofer_tree(*attach, *access, *overlay, mount.readonly && *overlay == Overlay::None)
            }
            MountKind::Tmpfs => typed(b"tmpfs"),
            MountKind::Proc => typed(b"proc"),
            MountKind::Sysfs => typed(b"sysfs"),
            MountKind::Devtmpfs => typed(b"devtmpfs"),
            MountKind::Devpts => typed(b"devpts"),
            MountKind::Mqueue => fs::mqueue::of_namespace(self.vfs, self.ipc),
            MountKind::Cgroup | MountKind::Cgroup2 => {
                return self.add_cgroups(ns, ctx, mount, &target).map_err(|e| bad(&what, e));
            }
        };
        let mounted = mounted.map_err(|e| bad(&what, e))?;
        let flags = flags(mount);
        let early = if is_made_here(&mount.kind) { flags - MountFlags::RDONLY } else { flags };
        let source = mount.source.as_bytes();
        let covered = target.clone();
        self.vfs.mount_at(ns, &target, mounted, source, early).map_err(|e| bad(&what, e))?;
        if copy_up {
            copy_tree(
                &self.vfs.context(ctx.root.clone(), self.cred.clone()),
                &covered,
                mount.destination.as_bytes(),
            )
            .map_err(|e| bad(&what, e))?;
        }
        if let Some(p) = mount.propagation {
            let mut kind = match p.mode {
                PropagationMode::Shared => MountFlags::SHARED,
                PropagationMode::Slave => MountFlags::SLAVE,
                PropagationMode::Private => MountFlags::PRIVATE,
                PropagationMode::Unbindable => MountFlags::UNBINDABLE,
            };
            kind.set(MountFlags::REC, p.recursive);
            let name = mount.destination.as_bytes();
            mounting::mount(ctx, ns, b"", name, b"", kind.bits(), b"").map_err(|e| bad(&what, e))?;
        }
        Ok(())
    }

    /// Cgroups as the host has them: version 2, or a directory with a mount for each hierarchy of version 1. A mount shows the
    /// container's cgroup and says where that is.
    fn add_cgroups(
        &self,
        ns: &Arc<MountNamespace>,
        ctx: &WalkContext,
        mount: &MountConfig,
        target: &Path,
    ) -> Result<(), Errno> {
        let attach = |version: u8, options: &str, path: &str, target: &Path| {
            let whole = fs::cgroup::at_path(self.kernel, version, options, path);
            let whole = self.vfs.kernel_mount(whole, "cgroup");
            let root = Path::new(whole.clone(), whole.root.clone())?;
            let part = self.vfs.context(root, self.cred.clone()).resolve(path.as_bytes(), Lookup::FOLLOW)?;
            self.vfs.mount_part_at(ns, target, &part, mount.source.as_bytes(), flags(mount))
        };
        let first: Vec<_> = self.cgroups.iter().filter(|c| c.hierarchy != 0).collect();
        if mount.kind == MountKind::Cgroup2 || first.is_empty() {
            let path = self.cgroups.iter().find(|c| c.hierarchy == 0).map_or("/", |c| &c.path);
            return attach(2, "", path, target);
        }
        let directory = self.typed(b"tmpfs", "mode=755")?;
        self.vfs.mount_at(ns, target, directory, b"tmpfs", flags(mount) - MountFlags::RDONLY)?;
        for place in first {
            let name = place.controllers.strip_prefix("name=").unwrap_or(&place.controllers);
            let point = format!("{}/{name}", mount.destination);
            ops::mkdir(ctx, point.as_bytes(), 0o755)?;
            let point = ctx.resolve(point.as_bytes(), Lookup::FOLLOW)?;
            attach(1, &place.controllers, &place.path, &point)?;
            for alias in name.split(',').filter(|alias| *alias != name) {
                let alias = format!("{}/{alias}", mount.destination);
                ops::symlink(ctx, name.as_bytes(), alias.as_bytes())?;
            }
        }
        Ok(())
    }

    /// The place of a mount, made where it is missing, as other runtimes do.
    fn mount_point(&self, ctx: &WalkContext, mount: &MountConfig) -> Result<Path, Errno> {
        let name = mount.destination.as_bytes();
        if let Ok(path) = ctx.resolve(name, Lookup::FOLLOW) {
            return Ok(path);
        }
        let is_file = matches!(mount.kind, MountKind::Gofer { file: true, .. });
        make_path(ctx, name, is_file)?;
        ctx.resolve(name, Lookup::FOLLOW)
    }

    fn remount(
        &self,
        ns: &Arc<MountNamespace>,
        ctx: &WalkContext,
        name: &[u8],
        flags: MountFlags,
    ) -> Result<(), Errno> {
        mounting::mount(ctx, ns, b"", name, b"", (flags | MountFlags::REMOUNT | MountFlags::BIND).bits(), b"")
    }

    fn make_readonly(
        &self,
        ns: &Arc<MountNamespace>,
        ctx: &WalkContext,
        path: &str,
    ) -> Result<(), StartError> {
        let what = format!("cannot make {path:?} read-only");
        let Ok(place) = ctx.resolve(path.as_bytes(), Lookup::FOLLOW) else { return Ok(()) };
        let flags = place.mount().flags() & MountFlags::PER_MOUNT;
        mounting::bind(ns, place.clone(), place, true).map_err(|e| bad(&what, e))?;
        self.remount(ns, ctx, path.as_bytes(), flags | MountFlags::RDONLY).map_err(|e| bad(&what, e))
    }

    fn mask(&self, ns: &Arc<MountNamespace>, ctx: &WalkContext, path: &str) -> Result<(), StartError> {
        let what = format!("cannot mask {path:?}");
        let Ok(place) = ctx.resolve(path.as_bytes(), Lookup::FOLLOW) else { return Ok(()) };
        let done = if place.is_dir() {
            let empty = self.typed(b"tmpfs", "size=0,mode=755").map_err(|e| bad(&what, e))?;
            self.vfs.mount_at(ns, &place, empty, b"tmpfs", MountFlags::RDONLY)
        } else {
            ctx.resolve(b"/dev/null", Lookup::FOLLOW).and_then(|null| mounting::bind(ns, null, place, false))
        };
        done.map_err(|e| bad(&what, e))
    }
}

/// Fills the mount at `name` with what `covered`, the directory below it, has (`tmpcopyup`).
fn copy_tree(ctx: &WalkContext, covered: &Path, name: &[u8]) -> Result<(), Errno> {
    let from = ctx.at(covered.clone());
    let how = ops::OpenHow::open((OpenFlags::RDONLY | OpenFlags::DIRECTORY).bits(), 0);
    let dir = ops::open(&from, b".", &how)?;
    let mut entries = Vec::new();
    let mut pos = 0;
    dir.ops().read_dir(&dir, &mut pos, &mut |e| {
        if e.name != b"." && e.name != b".." {
            entries.push(e.name.to_vec());
        }
        true
    })?;
    for entry in entries {
        let source = from.resolve(&entry, Lookup::empty())?;
        let target = [name, b"/", &entry].concat();
        let attr = ops::getattr(&source)?;
        match source.file_type() {
            FileType::Directory => {
                ops::mkdir(ctx, &target, attr.permissions())?;
                copy_tree(ctx, &source, &target)?;
            }
            FileType::Symlink => ops::symlink(ctx, &ops::readlink(&from, &entry)?, &target)?,
            FileType::Regular => copy_file(ctx, &from, &entry, &target, attr.permissions())?,
            _ => ops::mknod(ctx, &target, attr.mode, attr.rdev)?,
        }
        let made = ctx.resolve(&target, Lookup::empty())?;
        ops::chown(&ctx.cred, &made, Some(attr.uid), Some(attr.gid))?;
    }
    Ok(())
}

fn copy_file(
    ctx: &WalkContext,
    from: &WalkContext,
    entry: &[u8],
    target: &[u8],
    mode: u32,
) -> Result<(), Errno> {
    let source = ops::open(from, entry, &ops::OpenHow::open(OpenFlags::RDONLY.bits(), 0))?;
    let create = OpenFlags::WRONLY | OpenFlags::CREAT | OpenFlags::EXCL;
    let copy = ops::open(ctx, target, &ops::OpenHow::open(create.bits(), mode))?;
    let mut buffer = vec![0; 64 << 10];
    let mut at = 0;
    loop {
        let n = source.ops().read_at(&source, at, &mut IoDst::bytes(&mut buffer))?;
        if n == 0 {
            return Ok(());
        }
        copy.ops().write_at(&copy, at, &mut IoSrc::bytes(buffer.get_mut(..n).unwrap_or_default()))?;
        at += n as u64;
    }
}

/// Makes directories on the way to `name`, and there a directory or an empty file.
pub fn make_path(ctx: &WalkContext, name: &[u8], is_file: bool) -> Result<(), Errno> {
    let parts: Vec<&[u8]> = name.split(|b| *b == b'/').filter(|p| !p.is_empty()).collect();
    let mut path = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        path.push(b'/');
        path.extend_from_slice(part);
        let last = i + 1 == parts.len();
        let made = if last && is_file {
            ops::mknod(ctx, &path, 0o100_644, 0)
        } else {
            ops::mkdir(ctx, &path, 0o755)
        };
        match made {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(Errno::EROFS) if ctx.resolve(&path, Lookup::FOLLOW).is_ok() => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// A file system that is empty at first, and filled by what comes after it.
fn is_made_here(kind: &MountKind) -> bool {
    matches!(kind, MountKind::Tmpfs | MountKind::Devtmpfs)
}

fn flags(mount: &MountConfig) -> MountFlags {
    let mut flags = match mount.atime {
        Atime::Relative => MountFlags::RELATIME,
        Atime::Strict => MountFlags::STRICTATIME,
        Atime::NoDirectories => MountFlags::NODIRATIME,
        Atime::None => MountFlags::NOATIME,
    };
    flags.set(MountFlags::RDONLY, mount.readonly);
    flags.set(MountFlags::NOEXEC, mount.noexec);
    flags.set(MountFlags::NOSUID, mount.nosuid);
    flags.set(MountFlags::NODEV, mount.nodev);
    flags
}
