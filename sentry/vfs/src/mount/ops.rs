//! `mount(2)`, `umount2(2)`, `pivot_root(2)`, copies of mount namespaces.

use super::{
    Mount, MountCopies, MountNamespace,
    topology::{Copy, Node, Topology},
};
use crate::{
    Credentials, Dentry, Path, SuperBlock, UserNamespace, Vfs, WalkContext, landlock,
    vfs::{MountArgs, Mounted},
    walk::Lookup,
};
use abi::{
    Errno,
    process::{Cap, MountFlags, UmountFlags},
    stat::FileType,
};
use ksync::RwLockWriteGuard;
use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
};

/// How access times are kept, of [`MountFlags`].
const ATIME: MountFlags = MountFlags::NOATIME
    .union(MountFlags::NODIRATIME)
    .union(MountFlags::RELATIME)
    .union(MountFlags::STRICTATIME);

/// The flags of a mount from those of `mount(2)`: `relatime` unless something else is asked for.
pub fn mount_flags(flags: MountFlags) -> MountFlags {
    let mut per_mount = flags & MountFlags::PER_MOUNT;
    if !flags.contains(MountFlags::NOATIME) {
        per_mount |= MountFlags::RELATIME;
    }
    if flags.contains(MountFlags::STRICTATIME) {
        per_mount -= MountFlags::RELATIME | MountFlags::NOATIME;
    }
    if per_mount.contains(MountFlags::NOATIME) {
        per_mount -= MountFlags::RELATIME;
    }
    per_mount
}

/// `EPERM` unless `cred` may change what is mounted in `ns`.
pub fn may_mount(cred: &Credentials, ns: &MountNamespace) -> Result<(), Errno> {
    if cred.has_cap_in(&ns.user_ns, Cap::SYS_ADMIN) { Ok(()) } else { Err(Errno::EPERM) }
}

pub(super) type Table<'a> = RwLockWriteGuard<'a, Topology>;

pub(super) fn lock(mount: &Mount) -> Table<'_> {
    mount.table.write()
}

/// `EINVAL` unless `mount` is attached in `ns`.
fn check_in(table: &Topology, mount: &Mount, ns: &MountNamespace) -> Result<(), Errno> {
    if table.namespace_of(mount.id) == Some(ns.id) { Ok(()) } else { Err(Errno::EINVAL) }
}

/// `ENOTDIR` unless both are directories, or neither.
pub(super) fn check_kind(root: &Arc<Dentry>, point: &Path) -> Result<(), Errno> {
    if root.is_dir() == point.is_dir() { Ok(()) } else { Err(Errno::ENOTDIR) }
}

/// Attaches the detached tree `source` on top of whatever is at `target`.
pub(super) fn attach(
    table: &mut Topology,
    source: u64,
    target: &Path,
    ns: &MountNamespace,
) -> Result<(), Errno> {
    let mut parent = target.mount().clone();
    let mut point = target.dentry().clone();
    while let Some(over) = table.child_at(parent.id, &point) {
        point = over.root.clone();
        parent = over;
    }
    check_in(table, &parent, ns)?;
    // Links in /proc come and go with what they name: Linux lets nothing be mounted on them.
    let is_link = point.inode().is_ok_and(|inode| inode.file_type() == FileType::Symlink);
    let ephemeral = is_link && parent.fs.name() == "proc";
    if point.is_unlinked() || ephemeral {
        return Err(Errno::ENOENT);
    }
    table.attach_propagating(source, parent.id, &point)
}

/// Attaches `source`, or takes it out of the table again.
fn attach_or_drop(
    mut table: Table<'_>,
    source: u64,
    target: &Path,
    ns: &MountNamespace,
) -> Result<(), Errno> {
    let done = attach(&mut table, source, target, ns);
    let gone = if done.is_err() { table.remove_tree(source) } else { Vec::new() };
    drop(table);
    drop(gone);
    done
}

impl Vfs {
    /// A namespace whose root is `root`, seen by processes at `/`. Below it lies an empty mount, as Linux's rootfs does, so
    /// that `pivot_root(2)` works.
    pub fn new_namespace(
        self: &Arc<Self>,
        user_ns: Arc<UserNamespace>,
        root: Mounted,
        source: &[u8],
        flags: MountFlags,
    ) -> Result<(Arc<MountNamespace>, Path), Errno> {
        let base = SuperBlock::new(
            crate::anon::rootfs(self.new_dev()),
            crate::anon::empty_directory(self.new_dev(), self.new_ino()),
        );
        let sb = self.super_block(root);
        let ns = MountNamespace::make(&self.table, user_ns);
        let mut table = self.table.write();
        let bottom = table.add(
            &self.table,
            base.clone(),
            base.root.clone(),
            b"rootfs"[..].into(),
            MountFlags::empty(),
        )?;
        table.found_namespace(ns.id, bottom, ns.events.clone(), false);
        let top = table.add(&self.table, sb.clone(), sb.root.clone(), source.into(), mount_flags(flags))?;
        table.attach(top, bottom, &base.root);
        drop(table);
        let root = ns.root().ok_or(Errno::EINVAL)?;
        Ok((Arc::new(ns), root))
    }

    /// Mounts `fs` at `target`, with no question of permission (boot).
    pub fn mount_at(
        &self,
        ns: &MountNamespace,
        target: &Path,
        fs: Mounted,
        source: &[u8],
        flags: MountFlags,
    ) -> Result<(), Errno> {
        let sb = self.super_block(fs);
        check_kind(&sb.root, target)?;
        let mut table = self.table.write();
        let id = table.add(&self.table, sb.clone(), sb.root.clone(), source.into(), mount_flags(flags))?;
        attach_or_drop(table, id, target, ns)
    }
}

impl Vfs {
    /// Puts `part` of a file system that is mounted nowhere else on top of `target`.
    pub fn mount_part_at(
        &self,
        ns: &MountNamespace,
        target: &Path,
        part: &Path,
        source: &[u8],
        flags: MountFlags,
    ) -> Result<(), Errno> {
        let (sb, root) = (part.mount().sb.clone(), part.dentry().clone());
        check_kind(&root, target)?;
        let mut table = self.table.write();
        let id = table.add(&self.table, sb, root, source.into(), mount_flags(flags))?;
        attach_or_drop(table, id, target, ns)
    }
}

/// `mount(2)`. `data` are the options, without the final zero.
#[allow(clippy::too_many_arguments, reason = "mount(2) has that many")]
pub fn mount(
    ctx: &WalkContext,
    ns: &Arc<MountNamespace>,
    source: &[u8],
    target: &[u8],
    kind: &[u8],
    flags: u64,
    data: &[u8],
) -> Result<(), Errno> {
    landlock::may_change_mounts(&ctx.cred)?;
    let mut raw = flags;
    if raw & abi::process::MS_MGC_MSK == abi::process::MS_MGC_VAL {
        raw &= !abi::process::MS_MGC_MSK;
    }
    let flags = MountFlags::from_bits_truncate(raw);
    let target = ctx.resolve(target, Lookup::FOLLOW)?;
    may_mount(&ctx.cred, ns)?;
    let change = flags & MountFlags::PROPAGATION;
    if flags.contains(MountFlags::REMOUNT | MountFlags::BIND) {
        return remount_bind(ns, &target, flags);
    }
    if flags.contains(MountFlags::REMOUNT) {
        return remount(ctx, ns, &target, flags, data);
    }
    if source.is_empty() && flags.intersects(MountFlags::BIND | MountFlags::MOVE) && change.is_empty() {
        return Err(Errno::EINVAL);
    }
    if flags.contains(MountFlags::BIND) {
        let source = ctx.resolve(source, Lookup::FOLLOW)?;
        return bind(ns, source, target, flags.contains(MountFlags::REC));
    }
    if !change.is_empty() {
        let extra = flags - MountFlags::PROPAGATION - MountFlags::REC - MountFlags::SILENT;
        if change.bits().count_ones() != 1 || !extra.is_empty() {
            return Err(Errno::EINVAL);
        }
        return set_propagation(ns, &target, change, flags.contains(MountFlags::REC));
    }
    if flags.contains(MountFlags::MOVE) {
        let source = ctx.resolve(source, Lookup::FOLLOW)?;
        return move_mount(ns, source, target);
    }
    let kind = ctx.vfs.fs_type(kind)?;
    if !kind.user_mountable && ns.user_ns.parent.is_some() {
        return Err(Errno::EPERM);
    }
    let data = std::str::from_utf8(data).map_err(|_| Errno::EINVAL)?;
    let mounted = (kind.mount)(&MountArgs { ctx, source, flags, data })?;
    ctx.vfs.mount_at(ns, &target, mounted, if source.is_empty() { b"none" } else { source }, flags)
}

/// The mount that `path` is the root of; `EINVAL`.
fn root_of(path: &Path) -> Result<&Arc<Mount>, Errno> {
    if path.is_mount_root() { Ok(path.mount()) } else { Err(Errno::EINVAL) }
}

/// Flags of `mount` with what a remount asks for; access times stay unless it says something about them.
fn remounted_flags(mount: &Mount, flags: MountFlags) -> MountFlags {
    if flags.intersects(ATIME) {
        return mount_flags(flags);
    }
    let kept = mount.flags() & ATIME;
    (mount_flags(flags) - ATIME) | kept
}

fn remount_bind(ns: &MountNamespace, target: &Path, flags: MountFlags) -> Result<(), Errno> {
    let mount = root_of(target)?;
    let table = lock(mount);
    check_in(&table, mount, ns)?;
    let new = remounted_flags(mount, flags);
    check_change(table.node(mount.id).ok_or(Errno::EINVAL)?, new)?;
    mount.set_flags(new);
    table.changed(ns.id);
    Ok(())
}

/// Whether a mount may get the flags `new`: `EPERM` if that would lift a restriction that came from a more privileged
/// namespace, `EBUSY` if it is to become read-only while it is written to.
pub(super) fn check_change(node: &Node, new: MountFlags) -> Result<(), Errno> {
    const RESTRICT: MountFlags =
        MountFlags::RDONLY.union(MountFlags::NOSUID).union(MountFlags::NODEV).union(MountFlags::NOEXEC);
    let old = node.mount.flags();
    if node.pinned && (!((old & RESTRICT) - new).is_empty() || old & ATIME != new & ATIME) {
        return Err(Errno::EPERM);
    }
    node.mount.check_no_writers(new)
}

fn remount(
    ctx: &WalkContext,
    ns: &MountNamespace,
    target: &Path,
    flags: MountFlags,
    data: &[u8],
) -> Result<(), Errno> {
    let mount = root_of(target)?;
    check_in(&mount.table.read(), mount, ns)?;
    if ctx.cred.user_ns.parent.is_some() && !ctx.vfs.fs_type(mount.fs.name().as_bytes())?.user_mountable {
        return Err(Errno::EPERM);
    }
    let data = std::str::from_utf8(data).map_err(|_| Errno::EINVAL)?;
    let new = remounted_flags(mount, flags);
    {
        let table = mount.table.read();
        check_change(table.node(mount.id).ok_or(Errno::EINVAL)?, new)?;
        let mut others = table.nodes().filter(|(_, n)| Arc::ptr_eq(&n.mount.sb, &mount.sb));
        others.try_for_each(|(_, n)| n.mount.check_no_writers(new))?;
    }
    mount.fs.remount(flags.contains(MountFlags::RDONLY), data)?;
    // As on Linux the mount's own flags follow; a file system that keeps no state of its own is read-only by them.
    mount.set_flags(new);
    mount.table.read().changed(ns.id);
    Ok(())
}

/// `MS_BIND`, with what is mounted below if `recursive`.
pub fn bind(ns: &MountNamespace, source: Path, target: Path, recursive: bool) -> Result<(), Errno> {
    let mut table = lock(target.mount());
    check_in(&table, target.mount(), ns)?;
    let copy = copy_for_bind(&mut table, ns, &source, recursive)?;
    if let Err(e) = check_kind(source.dentry(), &target) {
        let gone = table.remove_tree(copy);
        drop(table);
        drop(gone);
        return Err(e);
    }
    attach_or_drop(table, copy, &target, ns)
}

/// A detached copy of the mounts at `source`.
pub(super) fn copy_for_bind(
    table: &mut Topology,
    ns: &MountNamespace,
    source: &Path,
    recursive: bool,
) -> Result<u64, Errno> {
    let mount = source.mount();
    let node = table.node(mount.id).ok_or(Errno::EINVAL)?;
    if node.unbindable || node.ns != ns.id || source.dentry().is_unlinked() {
        return Err(Errno::EINVAL);
    }
    // A copy without what is mounted below would show what a locked mount hides.
    let hides =
        |n: &Node| n.locked && n.place.as_ref().is_some_and(|(_, point)| point.is_below(source.dentry()));
    if !recursive && node.children.iter().filter_map(|c| table.node(*c)).any(hides) {
        return Err(Errno::EINVAL);
    }
    let copy = match recursive {
        true => table.copy_tree(mount.id, source.dentry(), Copy::Peer, false, &mut Vec::new())?,
        false => table.copy_mount(mount.id, source.dentry().clone(), Copy::Peer)?,
    };
    if let Some(node) = table.node_mut(copy) {
        node.locked = false; // the copy itself hides nothing
    }
    Ok(copy)
}

fn set_propagation(
    ns: &MountNamespace,
    target: &Path,
    kind: MountFlags,
    recursive: bool,
) -> Result<(), Errno> {
    let mount = root_of(target)?;
    let mut table = lock(mount);
    check_in(&table, mount, ns)?;
    let ids = if recursive { table.subtree(mount.id) } else { vec![mount.id] };
    for id in ids {
        table.set_propagation(id, kind);
    }
    table.changed(ns.id);
    Ok(())
}

/// `MS_MOVE` and `move_mount(2)` of an attached mount.
pub fn move_mount(ns: &MountNamespace, source: Path, target: Path) -> Result<(), Errno> {
    let mount = root_of(&source)?.clone();
    if source.is_dir() != target.is_dir() {
        return Err(Errno::EINVAL);
    }
    let mut table = lock(&mount);
    check_in(&table, &mount, ns)?;
    check_in(&table, target.mount(), ns)?;
    let node = table.node(mount.id).ok_or(Errno::EINVAL)?;
    let (parent, _) = node.place.as_ref().ok_or(Errno::EINVAL)?;
    let from_shared = table.node(*parent).is_some_and(|p| p.peer != 0);
    if node.locked || from_shared {
        return Err(Errno::EINVAL);
    }
    let to_shared = table.node(target.mount().id).is_some_and(|p| p.peer != 0);
    let unbindable = |id: &u64| table.node(*id).is_some_and(|n| n.unbindable);
    if to_shared && table.subtree(mount.id).iter().any(unbindable) {
        return Err(Errno::EINVAL);
    }
    if table.is_below(target.mount().id, mount.id) {
        return Err(Errno::ELOOP);
    }
    let old = table.detach(mount.id);
    let done = attach(&mut table, mount.id, &target, ns);
    if done.is_err()
        && let Some((parent, point)) = old
    {
        table.attach(mount.id, parent, &point);
    }
    done
}

/// `umount2(2)`.
pub fn umount(ctx: &WalkContext, ns: &MountNamespace, name: &[u8], flags: u32) -> Result<(), Errno> {
    landlock::may_change_mounts(&ctx.cred)?;
    let flags = UmountFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let lookup = if flags.contains(UmountFlags::NOFOLLOW) { Lookup::empty() } else { Lookup::FOLLOW };
    let path = ctx.resolve(name, lookup)?;
    may_mount(&ctx.cred, ns)?;
    let is_root = path.same(&ctx.root);
    umount_path(ns, path, flags, is_root)
}

/// The same of a place at hand; `is_root` says that it is the caller's root directory.
pub fn umount_path(ns: &MountNamespace, path: Path, flags: UmountFlags, is_root: bool) -> Result<(), Errno> {
    let mount = root_of(&path)?.clone();
    drop(path);
    let expire = flags.contains(UmountFlags::EXPIRE);
    let lazy = flags.contains(UmountFlags::DETACH);
    if expire && (is_root || flags.intersects(UmountFlags::FORCE | UmountFlags::DETACH)) {
        return Err(Errno::EINVAL);
    }
    let mut table = lock(&mount);
    check_in(&table, &mount, ns)?;
    let node = table.node(mount.id).ok_or(Errno::EINVAL)?;
    if node.locked || node.place.is_none() {
        return Err(Errno::EINVAL);
    }
    if is_root && !lazy {
        // Linux makes the file system read-only; in a sandbox that helps nobody.
        return Err(Errno::EBUSY);
    }
    let ids = table.subtree(mount.id);
    if !lazy && (ids.len() > 1 || is_busy(&mount, 2) || counterparts_busy(&table, mount.id)) {
        return Err(Errno::EBUSY);
    }
    if expire && !mount.expiring.swap(true, Ordering::AcqRel) {
        return Err(Errno::EAGAIN);
    }
    let gone = table.umount_propagating(&ids);
    drop(table);
    drop(gone);
    Ok(())
}

/// Whether more than the `known` references exist: open files, working directories, walks under way.
fn is_busy(mount: &Arc<Mount>, known: usize) -> bool {
    Arc::strong_count(mount) > known
}

fn counterparts_busy(table: &Topology, id: u64) -> bool {
    table
        .counterparts(id)
        .into_iter()
        .filter_map(|c| table.node(c))
        .any(|n| n.children.is_empty() && is_busy(&n.mount, 1))
}

/// `pivot_root(2)`: the mounts at `new_root` become the root of the namespace, the old root goes to `put_old`. The caller
/// moves every process' root and working directory that are at the first place returned to the second.
pub fn pivot_root(
    ctx: &WalkContext,
    ns: &MountNamespace,
    new_root: &[u8],
    put_old: &[u8],
) -> Result<(Path, Path), Errno> {
    landlock::may_change_mounts(&ctx.cred)?;
    may_mount(&ctx.cred, ns)?;
    let dir = Lookup::FOLLOW | Lookup::DIRECTORY;
    let new = ctx.resolve(new_root, dir)?;
    let put = ctx.resolve(put_old, dir)?;
    let root = ctx.root.clone();
    let mut table = lock(new.mount());
    let shared = |id: u64| table.node(id).is_some_and(|n| n.peer != 0);
    let parent_of = |m: &Mount| table.node(m.id).and_then(|n| n.place.clone());
    check_in(&table, root.mount(), ns)?;
    check_in(&table, new.mount(), ns)?;
    check_in(&table, put.mount(), ns)?;
    if new.dentry().is_unlinked() {
        return Err(Errno::ENOENT);
    }
    if Arc::ptr_eq(new.mount(), root.mount()) || Arc::ptr_eq(put.mount(), root.mount()) {
        return Err(Errno::EBUSY);
    }
    let (root_parent, root_point) = parent_of(root.mount()).ok_or(Errno::EINVAL)?;
    let (new_parent, _) = parent_of(new.mount()).ok_or(Errno::EINVAL)?;
    let locked = table.node(new.mount().id).is_some_and(|n| n.locked);
    if !root.is_mount_root() || !new.is_mount_root() || locked {
        return Err(Errno::EINVAL);
    }
    if shared(put.mount().id) || shared(new_parent) || shared(root_parent) {
        return Err(Errno::EINVAL);
    }
    let below = |m: &Arc<Mount>, d: &Arc<Dentry>, top: &Path| {
        // The place on `top`'s mount on the way up.
        let (mut id, mut dentry) = (m.id, d.clone());
        while id != top.mount().id {
            match table.node(id).and_then(|n| n.place.clone()) {
                Some((parent, point)) => (id, dentry) = (parent, point),
                None => return false,
            }
        }
        dentry.is_below(top.dentry())
    };
    if !below(put.mount(), put.dentry(), &new) || !below(new.mount(), new.dentry(), &root) {
        return Err(Errno::EINVAL);
    }
    let (root_id, new_id) = (root.mount().id, new.mount().id);
    table.detach(new_id);
    table.detach(root_id);
    table.attach(new_id, root_parent, &root_point);
    table.attach(root_id, put.mount().id, put.dentry());
    table.changed(ns.id);
    drop(table);
    Ok((root, new))
}

impl MountNamespace {
    /// A copy for `user_ns` (`CLONE_NEWNS`), and which mount became which. Where `user_ns` is another one, the copies of
    /// shared mounts only receive, and none can be unmounted alone.
    pub fn copy(&self, user_ns: Arc<UserNamespace>) -> Result<(Arc<MountNamespace>, MountCopies), Errno> {
        let other = user_ns.id != self.user_ns.id;
        let new = MountNamespace::make(&self.table, user_ns);
        let how = if other { Copy::SharedToSlave } else { Copy::Peer };
        let mut map = Vec::new();
        let mut table = self.table.write();
        let root = table.namespace_root(self.id).ok_or(Errno::EINVAL)?;
        let top = table.copy_tree(root.id, &root.root, how, true, &mut map)?;
        table.found_namespace(new.id, top, new.events.clone(), false);
        if other {
            let all: HashSet<u64> = table.subtree(top).into_iter().collect();
            for id in all {
                if let Some(node) = table.node_mut(id) {
                    (node.locked, node.pinned) = (true, true);
                }
            }
        }
        let copies = map.into_iter().filter_map(|(old, new)| Some((old, table.mount(new)?))).collect();
        drop(table);
        Ok((Arc::new(new), MountCopies(copies)))
    }
}
