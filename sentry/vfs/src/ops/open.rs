//! `open(2)`, `openat2(2)`.

use super::{attr, new_node};
use crate::{
    Credentials, File, FileOps, NewKind, OpenRequest, Path, WalkContext,
    dentry::Dentry,
    file::PathOnly,
    inotify::{self, Events},
    landlock::{self, FsAccess},
    permission::{
        EXEC, READ, STICKY, WRITE, check_bits, inode_permission, may_create, no_exec, owner_or_capable,
    },
    walk::{Last, Lookup, Walker},
};
use abi::{
    Errno,
    fcntl::{AccessMode, OpenFlags, ResolveFlags},
    process::MountFlags,
    stat::FileType,
};
use std::sync::{Arc, atomic::Ordering};

/// How to open (`struct open_how`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenHow {
    /// `O_*`.
    pub flags: OpenFlags,
    /// Permission bits of a new file.
    pub mode: u32,
    /// Restrictions on the way.
    pub resolve: ResolveFlags,
}

impl OpenHow {
    /// What `open(2)` and `openat(2)` ask for: bits that mean nothing are ignored.
    pub fn open(flags: u32, mode: u32) -> Self {
        let mut flags = OpenFlags::from_bits_truncate(flags);
        if flags.contains(OpenFlags::PATH) {
            flags &= OpenFlags::PATH_FLAGS;
        }
        let creates = flags.contains(OpenFlags::CREAT) || flags.contains(OpenFlags::__O_TMPFILE);
        Self { flags, mode: if creates { mode & 0o7777 } else { 0 }, resolve: ResolveFlags::empty() }
    }

    /// What `openat2(2)` asks for: bits that mean nothing are refused with `EINVAL`.
    pub fn openat2(flags: u64, mode: u64, resolve: u64) -> Result<Self, Errno> {
        let flags = u32::try_from(flags).ok().and_then(OpenFlags::from_bits).ok_or(Errno::EINVAL)?;
        let resolve = ResolveFlags::from_bits(resolve).ok_or(Errno::EINVAL)?;
        let creates = flags.contains(OpenFlags::CREAT) || flags.contains(OpenFlags::__O_TMPFILE);
        let path_with_others = flags.contains(OpenFlags::PATH)
            && !(flags - OpenFlags::PATH_FLAGS - OpenFlags::LARGEFILE).is_empty();
        let both_scopes = resolve.contains(ResolveFlags::BENEATH | ResolveFlags::IN_ROOT);
        let cached_changes = resolve.contains(ResolveFlags::CACHED)
            && flags.intersects(OpenFlags::TRUNC | OpenFlags::CREAT | OpenFlags::__O_TMPFILE);
        if path_with_others || both_scopes || mode & !0o7777 != 0 || (!creates && mode != 0) {
            return Err(Errno::EINVAL);
        }
        if cached_changes {
            return Err(Errno::EAGAIN);
        }
        Ok(Self { flags, mode: mode as u32, resolve })
    }

    fn check(&self) -> Result<(), Errno> {
        let f = self.flags;
        if f.contains(OpenFlags::CREAT | OpenFlags::DIRECTORY) {
            return Err(Errno::EINVAL);
        }
        if f.contains(OpenFlags::__O_TMPFILE)
            && (!f.contains(OpenFlags::DIRECTORY)
                || !f.access_mode().writable()
                || f.contains(OpenFlags::CREAT))
        {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    /// What the permission bits have to allow.
    fn access(&self) -> u32 {
        let mode = match self.flags.access_mode() {
            AccessMode::Read => READ,
            AccessMode::Write => WRITE,
            AccessMode::ReadWrite | AccessMode::Ioctl => READ | WRITE,
        };
        if self.flags.contains(OpenFlags::TRUNC) { mode | WRITE } else { mode }
    }
}

/// What [`begin`] found.
pub enum Opened {
    /// An open file.
    File(Arc<File>),
    /// A FIFO that may be opened: whether that has to wait for the other end is for the caller.
    Fifo(Opening),
}

/// A FIFO about to be opened.
pub struct Opening {
    path: Path,
    flags: OpenFlags,
    cred: Arc<Credentials>,
}

impl Opening {
    /// The FIFO.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// How it is opened.
    pub fn flags(&self) -> OpenFlags {
        self.flags
    }
    /// The open file, once its end is open.
    pub fn finish(self, ops: Box<dyn FileOps>) -> Arc<File> {
        let file = File::new(self.path, self.flags, self.cred, ops);
        inotify::file_event(&file, Events::OPEN);
        file
    }
}

/// Opens `name`. A FIFO is opened by the hook in [`Vfs::fifo_open`](crate::Vfs::fifo_open).
pub fn open(ctx: &WalkContext, name: &[u8], how: &OpenHow) -> Result<Arc<File>, Errno> {
    match begin(ctx, name, how)? {
        Opened::File(file) => Ok(file),
        Opened::Fifo(opening) => {
            let hook = ctx.vfs.fifo_open.get().ok_or(Errno::ENXIO)?;
            let request =
                OpenRequest { flags: opening.flags, cred: &ctx.cred, path: &opening.path, created: false };
            let ops = hook(&request)?;
            Ok(opening.finish(ops))
        }
    }
}

/// Opens `name`; a FIFO as far as permissions go.
pub fn begin(ctx: &WalkContext, name: &[u8], how: &OpenHow) -> Result<Opened, Errno> {
    how.check()?;
    let f = how.flags;
    let mut lookup = Lookup::FOLLOW;
    if f.contains(OpenFlags::NOFOLLOW) || f.contains(OpenFlags::CREAT | OpenFlags::EXCL) {
        lookup -= Lookup::FOLLOW;
    }
    if f.contains(OpenFlags::DIRECTORY) {
        lookup |= Lookup::DIRECTORY;
    }
    if f.contains(OpenFlags::PATH) {
        let path = ctx.resolve_with(name, lookup, how.resolve)?;
        return Ok(Opened::File(File::new(path, f, ctx.cred.clone(), Box::new(PathOnly))));
    }
    if f.is_tmpfile() {
        return open_tmpfile(ctx, &ctx.resolve_with(name, lookup, how.resolve)?, how);
    }
    if !f.contains(OpenFlags::CREAT) {
        let path = ctx.resolve_with(name, lookup, how.resolve)?;
        return open_path(ctx, path, how, None);
    }
    open_or_create(ctx, name, how, lookup)
}

/// What made a file says about it: where, for the sticky directory rules.
struct Found {
    dir: Path,
    created: bool,
}

fn open_or_create(ctx: &WalkContext, name: &[u8], how: &OpenHow, lookup: Lookup) -> Result<Opened, Errno> {
    let mut walker = Walker::new(ctx, name, how.resolve)?;
    loop {
        let (last, slash) = walker.reach_last()?;
        if slash {
            return Err(Errno::EISDIR);
        }
        let dir = walker.path.clone();
        let Last::Name(name) = last else {
            walker.step(last, false, true)?;
            return open_path(ctx, walker.path, how, Some(Found { dir, created: false }));
        };
        let mut dentry = walker.lookup(&name)?;
        let mut created = false;
        if dentry.is_negative() {
            (dentry, created) = create(ctx, &dir, &name, how)?;
        }
        if !created && walker.step_into(dentry.clone(), lookup.contains(Lookup::FOLLOW), true)? {
            continue;
        }
        let path = if created { Path::new(dir.mount().clone(), dentry)? } else { walker.path };
        return open_path(ctx, path, how, Some(Found { dir, created }));
    }
}

/// Makes the regular file `name` in `dir` unless somebody was faster; its dentry, and whether it was made.
fn create(ctx: &WalkContext, dir: &Path, name: &[u8], how: &OpenHow) -> Result<(Arc<Dentry>, bool), Errno> {
    let parent = dir.dentry();
    let locked = parent.dir_lock.write();
    let dentry = parent.child(name)?;
    if !dentry.is_negative() {
        return Ok((dentry, false));
    }
    dir.mount().want_write()?;
    landlock::may_do_below(&ctx.cred, dir, FsAccess::MAKE_REG)?;
    may_create(&ctx.cred, dir)?;
    let new = new_node(&ctx.cred, dir, NewKind::Regular, how.mode, ctx.umask)?;
    let inode = dir.inode_ref().create(name, &new)?;
    let dentry = parent.instantiate(name, inode);
    drop(locked);
    inotify::entry_created(dir.inode_ref(), name, false);
    Ok((dentry, true))
}

fn open_tmpfile(ctx: &WalkContext, dir: &Path, how: &OpenHow) -> Result<Opened, Errno> {
    dir.mount().want_write()?;
    inode_permission(&ctx.cred, dir.inode_ref(), WRITE | EXEC)?;
    let new = new_node(&ctx.cred, dir, NewKind::Regular, how.mode, ctx.umask)?;
    let inode = dir.inode_ref().create_tmpfile(&new, !how.flags.contains(OpenFlags::EXCL))?;
    let name = format!("#{}", inode.attr()?.ino);
    let dentry = Dentry::unlisted(dir.dentry(), name.as_bytes(), inode);
    let path = Path::new(dir.mount().clone(), dentry)?;
    finish(ctx, path, how.flags, true)
}

/// Opens again what `path` is, with the rights of `ctx` (`/proc/PID/fd/N` leads there by itself).
pub fn reopen(ctx: &WalkContext, path: Path, how: &OpenHow) -> Result<Opened, Errno> {
    open_path(ctx, path, how, None)
}

/// Opens the regular file that the caller has just made at `path`: nothing is checked.
pub fn open_created(ctx: &WalkContext, path: Path, flags: OpenFlags) -> Result<Arc<File>, Errno> {
    match finish(ctx, path, flags, true)? {
        Opened::File(file) => Ok(file),
        Opened::Fifo(_) => Err(Errno::ENXIO),
    }
}

fn open_path(ctx: &WalkContext, path: Path, how: &OpenHow, found: Option<Found>) -> Result<Opened, Errno> {
    let mut flags = how.flags;
    let kind = path.file_type();
    let created = found.as_ref().is_some_and(|f| f.created);
    if let Some(found) = found.filter(|f| !f.created) {
        if flags.contains(OpenFlags::EXCL) {
            return Err(Errno::EEXIST);
        }
        if kind == FileType::Directory {
            return Err(Errno::EISDIR);
        }
        check_sticky(ctx, &found.dir, &path)?;
    }
    if flags.contains(OpenFlags::DIRECTORY) && kind != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    match kind {
        FileType::Symlink => return Err(Errno::ELOOP),
        FileType::Directory if how.access() & WRITE != 0 => return Err(Errno::EISDIR),
        FileType::CharDevice | FileType::BlockDevice => {
            if path.mount().flags().contains(MountFlags::NODEV) {
                return Err(Errno::EACCES);
            }
            flags -= OpenFlags::TRUNC;
        }
        FileType::Fifo | FileType::Socket => flags -= OpenFlags::TRUNC,
        _ => {}
    }
    if !created {
        inode_permission(&ctx.cred, path.inode_ref(), how.access())?;
        if flags.contains(OpenFlags::NOATIME) && !owner_or_capable(&ctx.cred, &path.inode_ref().attr()?) {
            return Err(Errno::EPERM);
        }
    }
    let regular = kind == FileType::Regular;
    if regular && !created && (flags.access_mode().writable() || flags.contains(OpenFlags::TRUNC)) {
        path.mount().want_write()?;
    }
    finish(ctx, path, flags, created)
}

fn finish(ctx: &WalkContext, path: Path, flags: OpenFlags, created: bool) -> Result<Opened, Errno> {
    let kind = path.file_type();
    if kind == FileType::Fifo {
        landlock::check_open(&ctx.cred, &path, flags, false)?;
        return Ok(Opened::Fifo(Opening { path, flags, cred: ctx.cred.clone() }));
    }
    let inode = path.inode();
    let truncates = kind == FileType::Regular && flags.contains(OpenFlags::TRUNC) && !created;
    // Held until the file counts itself among the writers.
    let _writing = (kind == FileType::Regular && (flags.access_mode().writable() || truncates))
        .then(|| WriteAccess::get(&path))
        .transpose()?;
    let granted = landlock::check_open(&ctx.cred, &path, flags, false)?;
    if kind == FileType::Regular {
        break_lease(&inode, flags.access_mode().writable() || truncates)?;
    }
    let request = OpenRequest { flags, cred: &ctx.cred, path: &path, created };
    let ops = match kind {
        FileType::Regular | FileType::Directory => inode.open(&request)?,
        _ => ctx.vfs.open_special(&request)?,
    };
    let file = File::new(path, flags, ctx.cred.clone(), ops);
    if created {
        file.set_created();
    }
    file.set_granted(granted);
    if truncates {
        if !granted.contains(FsAccess::TRUNCATE) {
            return Err(Errno::EACCES);
        }
        attr::truncate_opened(&file, &ctx.cred)?;
    }
    inotify::file_event(&file, Events::OPEN);
    Ok(Opened::File(file))
}

/// Tells whoever has a lease that is in the way; `EAGAIN` until it is given up or its time is over.
pub(super) fn break_lease(inode: &Arc<dyn crate::Inode>, write: bool) -> Result<(), Errno> {
    crate::locks::lease::break_for(inode, write, ksync::exec::monotonic_ns())
}

/// Counts a writer for as long as it lives; `ETXTBSY` while the file is executed.
pub(super) struct WriteAccess(Path);

impl WriteAccess {
    pub fn get(path: &Path) -> Result<Self, Errno> {
        let writers = &path.inode_ref().common().writers;
        writers
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n >= 0).then_some(n + 1))
            .map_err(|_| Errno::ETXTBSY)?;
        Ok(Self(path.clone()))
    }
}

impl Drop for WriteAccess {
    fn drop(&mut self) {
        self.0.inode_ref().common().writers.fetch_sub(1, Ordering::AcqRel);
    }
}

/// `/proc/sys/fs/protected_regular` and `protected_fifos`: `O_CREAT` does not open what somebody else has put into a
/// sticky directory that others can write to.
fn check_sticky(ctx: &WalkContext, dir: &Path, path: &Path) -> Result<(), Errno> {
    let level = match path.file_type() {
        FileType::Fifo => ctx.vfs.sysctl.protected_fifos.load(Ordering::Relaxed),
        FileType::Regular => ctx.vfs.sysctl.protected_regular.load(Ordering::Relaxed),
        _ => 0,
    };
    if level == 0 {
        return Ok(());
    }
    let (dir, file) = (dir.inode_ref().attr()?, path.inode_ref().attr()?);
    let safe = dir.mode & STICKY == 0 || file.uid == dir.uid || file.uid == ctx.cred.fsuid;
    let exposed = dir.mode & 0o002 != 0 || (level >= 2 && dir.mode & 0o020 != 0);
    if !safe && exposed { Err(Errno::EACCES) } else { Ok(()) }
}

/// Opens a program to be executed: `EACCES` for what is no regular file or must not run, `ETXTBSY` for what is being written.
/// Nobody can open it for writing until the open file is dropped, or [`File::allow_write`].
pub fn open_exec(ctx: &WalkContext, name: &[u8], lookup: Lookup) -> Result<Arc<File>, Errno> {
    let path = ctx.resolve(name, lookup)?;
    // A link that is not to be followed.
    if path.file_type() == FileType::Symlink {
        return Err(Errno::ELOOP);
    }
    exec_path(ctx, path)
}

/// The same of a place at hand.
pub fn exec_path(ctx: &WalkContext, path: Path) -> Result<Arc<File>, Errno> {
    super::may_exec(&ctx.cred, &path)?;
    debug_assert!(!no_exec(&path));
    let flags = OpenFlags::RDONLY | OpenFlags::LARGEFILE;
    landlock::check_open(&ctx.cred, &path, flags, true)?;
    let request = OpenRequest { flags, cred: &ctx.cred, path: &path, created: false };
    let ops = path.inode().open(&request)?;
    let file = File::new(path, flags, ctx.cred.clone(), ops);
    file.deny_write()?;
    inotify::file_event(&file, Events::OPEN);
    Ok(file)
}

/// Whether `cred` of an already open file could read it: `/proc/sys/fs/suid_dumpable` wants to know of programs.
pub fn may_read(file: &File, cred: &crate::Credentials) -> bool {
    file.inode().attr().is_ok_and(|attr| check_bits(cred, &attr, READ).is_ok())
}
