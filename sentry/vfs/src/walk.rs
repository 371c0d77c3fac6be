//! Path resolution (`path_resolution(7)`, `symlink(7)`, `openat2(2)`).
//!
//! [`WalkContext`] is who resolves a name and from where. A [`Walker`] takes one component after another off a buffer;
//! a symbolic link's target goes in front of what is left of it, so that there is no recursion.
//!
//! **Lock order:** no lock is held between components. A race with a rename shows the tree before or after it; scoped
//! walks (`RESOLVE_BENEATH`, `RESOLVE_IN_ROOT`) that meet `..` meanwhile fail with `EAGAIN`, as on Linux.

use crate::{
    Credentials, Dentry, LinkTarget, Path, Vfs,
    dentry::rename_seq,
    permission::{EXEC, STICKY, inode_permission},
};
use abi::{Errno, fcntl::ResolveFlags, process::MountFlags, stat::FileType};
use std::sync::{Arc, atomic::Ordering};

/// The longest path, with its final zero.
pub const PATH_MAX: usize = 4096;
/// The longest component.
pub const NAME_MAX: usize = 255;
/// The most symbolic links in one resolution.
const LINKS_MAX: u32 = 40;

bitflags::bitflags! {
    /// What to do with the last component.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Lookup: u32 {
        /// Follow it if it is a symbolic link.
        const FOLLOW = 1;
        /// It has to be a directory (`ENOTDIR`).
        const DIRECTORY = 2;
        /// An empty path stands for the start (`AT_EMPTY_PATH`).
        const EMPTY_PATH = 4;
    }
}

/// Who resolves a name, and from where.
#[derive(Clone)]
pub struct WalkContext {
    /// The sandbox' file systems.
    pub vfs: Arc<Vfs>,
    /// Root directory of the process.
    pub root: Path,
    /// Where relative names start: working directory, or what a directory descriptor is open on.
    pub start: Path,
    /// Whose rights count.
    pub cred: Arc<Credentials>,
    /// Permission bits that new files do not get.
    pub umask: u32,
}

/// The last component of a path, of which the rest was resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Last {
    /// A name.
    Name(Vec<u8>),
    /// `.`
    Dot,
    /// `..`
    DotDot,
    /// There is none: the path is made of slashes.
    Root,
}

/// A directory, and the last component that is to be found in it.
pub struct Parent {
    /// The directory; its search permission was checked.
    pub dir: Path,
    /// The component.
    pub last: Last,
    /// A slash follows it.
    pub slash: bool,
}

impl WalkContext {
    /// A context with `start` in place of the start.
    pub fn at(&self, start: Path) -> Self {
        Self { start, ..self.clone() }
    }

    /// Where `name` leads.
    pub fn resolve(&self, name: &[u8], lookup: Lookup) -> Result<Path, Errno> {
        self.resolve_with(name, lookup, ResolveFlags::empty())
    }

    /// The same with the restrictions of `openat2(2)`.
    pub fn resolve_with(&self, name: &[u8], lookup: Lookup, how: ResolveFlags) -> Result<Path, Errno> {
        if name.is_empty() && lookup.contains(Lookup::EMPTY_PATH) {
            return if lookup.contains(Lookup::DIRECTORY) && !self.start.is_dir() {
                Err(Errno::ENOTDIR)
            } else {
                Ok(self.start.clone())
            };
        }
        let mut walker = Walker::new(self, name, how)?;
        walker.finish(lookup)?;
        Ok(walker.path)
    }

    /// Resolves all but the last component of `name`.
    pub fn resolve_parent(&self, name: &[u8]) -> Result<Parent, Errno> {
        Walker::new(self, name, ResolveFlags::empty())?.parent()
    }
}

/// A resolution under way.
pub(crate) struct Walker<'a> {
    ctx: &'a WalkContext,
    how: ResolveFlags,
    /// Above which `..` does not lead.
    root: Path,
    /// What was resolved so far.
    pub path: Path,
    /// What is left, from `at` on.
    rest: Vec<u8>,
    at: usize,
    links: u32,
    /// Components for which the file system was given notice already.
    announced: usize,
    renames: u64,
}

impl<'a> Walker<'a> {
    pub fn new(ctx: &'a WalkContext, name: &[u8], how: ResolveFlags) -> Result<Self, Errno> {
        if name.is_empty() {
            return Err(Errno::ENOENT);
        }
        if name.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let scoped = how.intersects(ResolveFlags::BENEATH | ResolveFlags::IN_ROOT);
        let absolute = name.first() == Some(&b'/');
        if absolute && how.contains(ResolveFlags::BENEATH) {
            return Err(Errno::EXDEV);
        }
        let root = if scoped { ctx.start.clone() } else { ctx.root.clone() };
        let path = if absolute { root.clone() } else { ctx.start.clone() };
        Ok(Self {
            ctx,
            how,
            root,
            path,
            rest: name.to_vec(),
            at: 0,
            links: 0,
            announced: 0,
            renames: rename_seq(),
        })
    }

    fn has(&self, flag: ResolveFlags) -> bool {
        self.how.contains(flag)
    }

    /// The next component and whether it is the last; moves behind it and the slashes that follow.
    fn next(&mut self) -> (Last, bool, bool) {
        let rest = self.rest.get(self.at..).unwrap_or_default();
        let lead = rest.iter().take_while(|b| **b == b'/').count();
        let rest = rest.get(lead..).unwrap_or_default();
        let len = rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
        let (name, after) = rest.split_at(len);
        let slashes = after.iter().take_while(|b| **b == b'/').count();
        let last = match name {
            b"" => Last::Root,
            b"." => Last::Dot,
            b".." => Last::DotDot,
            name => Last::Name(name.to_vec()),
        };
        let is_last = slashes == after.len();
        self.at += lead + len;
        (last, is_last, slashes > 0)
    }

    /// Resolves all but the last component, which is returned with whether a slash follows it.
    pub fn reach_last(&mut self) -> Result<(Last, bool), Errno> {
        loop {
            let (component, is_last, slash) = self.next();
            if component == Last::Root {
                return Ok((component, slash));
            }
            if !self.path.is_dir() {
                return Err(Errno::ENOTDIR);
            }
            inode_permission(&self.ctx.cred, self.path.inode_ref(), EXEC)?;
            if is_last {
                return Ok((component, slash));
            }
            if !self.step(component, true, false)? && !self.path.is_dir() {
                return Err(Errno::ENOTDIR);
            }
        }
    }

    /// The rest of the resolution.
    pub fn finish(&mut self, lookup: Lookup) -> Result<(), Errno> {
        loop {
            let (last, slash) = self.reach_last()?;
            let follow = slash || lookup.contains(Lookup::FOLLOW);
            if self.step(last, follow, true)? {
                continue;
            }
            if (slash || lookup.contains(Lookup::DIRECTORY)) && !self.path.is_dir() {
                return Err(Errno::ENOTDIR);
            }
            return Ok(());
        }
    }

    fn parent(mut self) -> Result<Parent, Errno> {
        let (last, slash) = self.reach_last()?;
        Ok(Parent { dir: self.path, last, slash })
    }

    /// Goes to `component` of the directory at hand. Whether it was a link whose target is still to be resolved.
    pub fn step(&mut self, component: Last, follow: bool, trailing: bool) -> Result<bool, Errno> {
        match component {
            Last::Root | Last::Dot => Ok(false),
            Last::DotDot => self.up().map(|()| false),
            Last::Name(name) => {
                let dentry = self.lookup(&name)?;
                self.step_into(dentry, follow, trailing)
            }
        }
    }

    /// The dentry of `name` in the directory at hand, positive or negative.
    pub fn lookup(&mut self, name: &[u8]) -> Result<Arc<Dentry>, Errno> {
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let dir = self.path.dentry().clone();
        if let Some(child) = dir.cached(name) {
            self.announced = self.announced.saturating_sub(1);
            return Ok(child);
        }
        if self.has(ResolveFlags::CACHED) {
            return Err(Errno::EAGAIN);
        }
        if self.announced == 0 {
            self.announce(name);
        }
        self.announced = self.announced.saturating_sub(1);
        dir.lookup(name)
    }

    /// Lets the file system resolve many components at once.
    fn announce(&mut self, first: &[u8]) {
        let rest = self.rest.get(self.at..).unwrap_or_default();
        let mut names = vec![first];
        names.extend(
            rest.split(|b| *b == b'/')
                .filter(|n| !n.is_empty())
                .take_while(|n| *n != b"." && *n != b".." && n.len() <= NAME_MAX),
        );
        self.announced = names.len();
        if names.len() > 1 {
            self.path.inode_ref().prefetch(&names);
        }
    }

    /// Goes to `dentry` of the directory at hand, across mounts. Whether it was a link that is still to be resolved.
    pub fn step_into(&mut self, dentry: Arc<Dentry>, follow: bool, trailing: bool) -> Result<bool, Errno> {
        let inode = dentry.inode_ref().ok_or(Errno::ENOENT)?;
        if inode.file_type() == FileType::Symlink && follow && !dentry.is_mount_point() {
            let link = Path::new(self.path.mount().clone(), dentry)?;
            return self.follow(&link, trailing);
        }
        let next = Path::new(self.path.mount().clone(), dentry)?;
        self.path = self.across(next)?;
        Ok(false)
    }

    /// The top of what is mounted at `path`.
    fn across(&self, mut path: Path) -> Result<Path, Errno> {
        while path.dentry().is_mount_point() {
            let Some(mount) = path.mount().mounted_on(path.dentry()) else { break };
            if self.has(ResolveFlags::NO_XDEV) {
                return Err(Errno::EXDEV);
            }
            let root = mount.root.clone();
            path = Path::new(mount, root)?;
        }
        Ok(path)
    }

    fn up(&mut self) -> Result<(), Errno> {
        let scoped = self.how.intersects(ResolveFlags::BENEATH | ResolveFlags::IN_ROOT);
        loop {
            if self.path.same(&self.root) {
                if self.has(ResolveFlags::BENEATH) {
                    return Err(Errno::EXDEV);
                }
                break;
            }
            if self.path.is_mount_root() {
                let Some(point) = self.path.mount().mount_point() else { break };
                if self.has(ResolveFlags::NO_XDEV) {
                    return Err(Errno::EXDEV);
                }
                self.path = point;
                continue;
            }
            let Some(parent) = self.path.dentry().parent() else { break };
            let mount = self.path.mount();
            if !Arc::ptr_eq(&mount.root, &mount.sb.root) && !parent.is_below(&mount.root) {
                // Moved out of what is mounted here.
                return Err(Errno::ENOENT);
            }
            let next = Path::new(mount.clone(), parent)?;
            self.path = self.across(next)?;
            break;
        }
        if scoped && self.renames != rename_seq() {
            return Err(Errno::EAGAIN);
        }
        Ok(())
    }

    /// Follows `link`. Whether there is a target that is still to be resolved.
    fn follow(&mut self, link: &Path, trailing: bool) -> Result<bool, Errno> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Errno::ELOOP);
        }
        if trailing {
            self.may_follow(link)?;
        }
        if self.has(ResolveFlags::NO_SYMLINKS) || link.mount().flags().contains(MountFlags::NOSYMFOLLOW) {
            return Err(Errno::ELOOP);
        }
        crate::ops::touch_atime(link);
        match link.inode_ref().follow_link()? {
            LinkTarget::Place(place) => {
                if self.has(ResolveFlags::NO_MAGICLINKS) {
                    return Err(Errno::ELOOP);
                }
                let leaves =
                    self.has(ResolveFlags::NO_XDEV) && !Arc::ptr_eq(place.mount(), self.path.mount());
                if leaves || self.how.intersects(ResolveFlags::BENEATH | ResolveFlags::IN_ROOT) {
                    return Err(Errno::EXDEV);
                }
                self.path = place;
                // A final link is done with; "link/" and "link/more" go on from there.
                Ok(false)
            }
            LinkTarget::Path(target) => {
                if target.is_empty() {
                    return Err(Errno::ENOENT);
                }
                if target.first() == Some(&b'/') {
                    if self.has(ResolveFlags::BENEATH) {
                        return Err(Errno::EXDEV);
                    }
                    if self.has(ResolveFlags::NO_XDEV) && !Arc::ptr_eq(self.root.mount(), self.path.mount()) {
                        return Err(Errno::EXDEV);
                    }
                    self.path = self.root.clone();
                }
                let after = self.rest.get(self.at..).unwrap_or_default();
                self.rest = [&target[..], after].concat();
                self.at = 0;
                self.announced = 0;
                Ok(true)
            }
        }
    }

    /// `/proc/sys/fs/protected_symlinks`: who may follow a link in a world-writable sticky directory.
    fn may_follow(&self, link: &Path) -> Result<(), Errno> {
        if !self.ctx.vfs.sysctl.protected_symlinks.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (link, dir) = (link.inode_ref().attr()?, self.path.inode_ref().attr()?);
        let exposed = dir.mode & (STICKY | 0o002) == STICKY | 0o002;
        if exposed && link.uid != self.ctx.cred.fsuid && link.uid != dir.uid {
            return Err(Errno::EACCES);
        }
        Ok(())
    }
}
