//! Namespaces as files: `/proc/pid/ns/*` and what `setns(2)` takes (Linux's nsfs).
//!
//! A [`NamespaceHandle`] keeps a namespace alive; [`NamespaceHandle::path`] is the place that a link of `/proc/pid/ns` leads
//! to. Opening that gives [`NsFile`], and it can be the source of a bind mount.

use super::{OpaqueNamespace, UtsNamespace};
use crate::{Kernel, Task, pid::PidNamespace, task::current};
use abi::{
    Errno, OpenFlags,
    process::{Cap, CloneFlags, Resource},
    stat::{FileType, NSFS_MAGIC, Statfs},
};
use mem::{UserMemory, UserPtr};
use std::{any::Any, sync::Arc};
use vfs::{
    Attr, Fd, File, FileOps, FileSystem, Inode, InodeCommon, Mount, MountNamespace, OpenRequest, Path,
    SetAttr, UserNamespace, Vfs, anon::AnonInode,
};

/// The kinds of `/proc/pid/ns`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "names of namespaces(7)")]
pub enum NamespaceKind {
    Cgroup,
    Ipc,
    Mount,
    Net,
    Pid,
    PidForChildren,
    Time,
    TimeForChildren,
    User,
    Uts,
}

impl NamespaceKind {
    /// Every kind, with its name in `/proc/pid/ns`, in the order of that directory.
    pub const ALL: &[(NamespaceKind, &str)] = &[
        (NamespaceKind::Cgroup, "cgroup"),
        (NamespaceKind::Ipc, "ipc"),
        (NamespaceKind::Mount, "mnt"),
        (NamespaceKind::Net, "net"),
        (NamespaceKind::Pid, "pid"),
        (NamespaceKind::PidForChildren, "pid_for_children"),
        (NamespaceKind::Time, "time"),
        (NamespaceKind::TimeForChildren, "time_for_children"),
        (NamespaceKind::User, "user"),
        (NamespaceKind::Uts, "uts"),
    ];
}

/// A reference to a namespace of whatever kind.
#[derive(Clone)]
#[allow(missing_docs, reason = "names of namespaces(7)")]
pub enum NamespaceHandle {
    /// Its number: there is no separate view of cgroups.
    Cgroup(u64),
    Ipc(Arc<OpaqueNamespace>),
    Mount(Arc<MountNamespace>),
    Net(Arc<OpaqueNamespace>),
    Pid(Arc<PidNamespace>),
    /// Its number: there are no separate clocks.
    Time(u64),
    User(Arc<UserNamespace>),
    Uts(Arc<UtsNamespace>),
}

impl NamespaceHandle {
    /// A namespace of `task`.
    pub fn of_task(task: &Task, kind: NamespaceKind) -> Result<Self, Errno> {
        let ns = task.namespaces();
        Ok(match kind {
            NamespaceKind::Cgroup => Self::Cgroup(ns.cgroup_id),
            NamespaceKind::Ipc => Self::Ipc(ns.ipc.clone()),
            NamespaceKind::Mount => Self::Mount(ns.mount.clone()),
            NamespaceKind::Net => Self::Net(ns.net.clone()),
            NamespaceKind::Pid => Self::Pid(task.pid_namespace()),
            NamespaceKind::PidForChildren => Self::Pid(ns.pid_for_children.clone()),
            NamespaceKind::Time | NamespaceKind::TimeForChildren => Self::Time(ns.time_id),
            NamespaceKind::User => Self::User(task.cred().user_ns.clone()),
            NamespaceKind::Uts => Self::Uts(ns.uts.clone()),
        })
    }

    /// Its number.
    pub fn id(&self) -> u64 {
        match self {
            Self::Cgroup(id) | Self::Time(id) => *id,
            Self::Ipc(ns) | Self::Net(ns) => ns.id,
            Self::Mount(ns) => ns.id,
            Self::Pid(ns) => ns.id,
            Self::User(ns) => ns.id,
            Self::Uts(ns) => ns.id,
        }
    }

    /// The flag that `clone(2)` has for its kind.
    pub fn flag(&self) -> CloneFlags {
        match self {
            Self::Cgroup(_) => CloneFlags::NEWCGROUP,
            Self::Ipc(_) => CloneFlags::NEWIPC,
            Self::Mount(_) => CloneFlags::NEWNS,
            Self::Net(_) => CloneFlags::NEWNET,
            Self::Pid(_) => CloneFlags::NEWPID,
            Self::Time(_) => CloneFlags::NEWTIME,
            Self::User(_) => CloneFlags::NEWUSER,
            Self::Uts(_) => CloneFlags::NEWUTS,
        }
    }

    fn kind_name(&self) -> &'static str {
        match self {
            Self::Cgroup(_) => "cgroup",
            Self::Ipc(_) => "ipc",
            Self::Mount(_) => "mnt",
            Self::Net(_) => "net",
            Self::Pid(_) => "pid",
            Self::Time(_) => "time",
            Self::User(_) => "user",
            Self::Uts(_) => "uts",
        }
    }

    /// What `readlink` of its link in `/proc/pid/ns` gives: `net:[4026531840]`.
    pub fn name(&self) -> String {
        format!("{}:[{}]", self.kind_name(), self.id())
    }

    /// Who owns it; for a user namespace its parent. None for numbers and the initial user namespace.
    pub fn owner(&self) -> Option<Arc<UserNamespace>> {
        match self {
            Self::Cgroup(_) | Self::Time(_) => None,
            Self::Ipc(ns) | Self::Net(ns) => Some(ns.user_ns.clone()),
            Self::Mount(ns) => Some(ns.user_ns.clone()),
            Self::Pid(ns) => Some(ns.user_ns.clone()),
            Self::User(ns) => ns.parent.clone(),
            Self::Uts(ns) => Some(ns.user_ns.clone()),
        }
    }

    /// The place that its link in `/proc/pid/ns` leads to.
    pub fn path(&self, kernel: &Kernel) -> Path {
        let ns_mount = kernel.ns_mount.get_or_init(|| ns_mount(&kernel.vfs));
        let fs = ns_mount.fs.clone();
        let inode = Arc::new(NsInode { common: InodeCommon::default(), fs, handle: self.clone() });
        Vfs::detached_path(ns_mount, &self.name(), inode)
    }

    /// Opens it for `task`, close-on-exec; the descriptor.
    pub fn open_fd(&self, task: &Task) -> Result<Fd, Errno> {
        let path = self.path(&task.kernel);
        let file = File::new(path, OpenFlags::RDONLY, task.cred(), Box::new(NsFile(self.clone())));
        let limit = task.group.limits.lock().soft(Resource::Nofile);
        task.fds()?.add(file, 0, limit, true)
    }
}

/// The file system that namespaces are on.
struct NsFs {
    dev: u64,
}

impl FileSystem for NsFs {
    fn name(&self) -> &'static str {
        "nsfs"
    }
    fn statfs(&self) -> Result<Statfs, Errno> {
        Ok(Statfs { f_type: NSFS_MAGIC, f_bsize: 4096, f_frsize: 4096, f_namelen: 255, ..Statfs::default() })
    }
    fn dev(&self) -> u64 {
        self.dev
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn ns_mount(vfs: &Arc<Vfs>) -> Arc<Mount> {
    let fs: Arc<dyn FileSystem> = Arc::new(NsFs { dev: vfs.new_dev() });
    let mode = FileType::Directory.to_mode() | 0o555;
    let ino = vfs.new_ino();
    let root = AnonInode::new(fs.clone(), FileType::Directory, mode, ino, vfs::Uid::ROOT, vfs::Gid::ROOT);
    vfs.kernel_mount((fs, root), "nsfs")
}

/// A namespace as an inode.
struct NsInode {
    common: InodeCommon,
    fs: Arc<dyn FileSystem>,
    handle: NamespaceHandle,
}

impl Inode for NsInode {
    fn common(&self) -> &InodeCommon {
        &self.common
    }
    fn fs(&self) -> Arc<dyn FileSystem> {
        self.fs.clone()
    }
    fn file_type(&self) -> FileType {
        FileType::Regular
    }
    fn attr(&self) -> Result<Attr, Errno> {
        Ok(Attr {
            dev: self.fs.dev(),
            ino: self.handle.id(),
            mode: FileType::Regular.to_mode() | 0o444,
            nlink: 1,
            blksize: 4096,
            ..Attr::default()
        })
    }
    fn set_attr(&self, _: &SetAttr) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }
    fn open(self: Arc<Self>, _: &OpenRequest<'_>) -> Result<Box<dyn FileOps>, Errno> {
        Ok(Box::new(NsFile(self.handle.clone())))
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// An open namespace.
pub struct NsFile(pub NamespaceHandle);

// `ioctl_ns(2)`.
const NS_GET_USERNS: u32 = 0xb701;
const NS_GET_PARENT: u32 = 0xb702;
const NS_GET_NSTYPE: u32 = 0xb703;
const NS_GET_OWNER_UID: u32 = 0xb704;
const NS_GET_MNTNS_ID: u32 = 0x8008_b705;
const NS_GET_PID_FROM_PIDNS: u32 = 0x8004_b706;
const NS_GET_TGID_FROM_PIDNS: u32 = 0x8004_b707;
const NS_GET_PID_IN_PIDNS: u32 = 0x8004_b708;
const NS_GET_TGID_IN_PIDNS: u32 = 0x8004_b709;

impl NsFile {
    /// `EPERM` where what is asked for is above the caller's own user namespace, or there is none.
    fn owner_for(&self, task: &Task) -> Result<NamespaceHandle, Errno> {
        let owner = self.0.owner().ok_or(Errno::EPERM)?;
        let visible = owner.is_within(&task.cred().user_ns);
        if visible { Ok(NamespaceHandle::User(owner)) } else { Err(Errno::EPERM) }
    }

    fn parent_for(&self, task: &Task) -> Result<NamespaceHandle, Errno> {
        match &self.0 {
            NamespaceHandle::User(_) => self.owner_for(task),
            NamespaceHandle::Pid(ns) => {
                let parent = ns.parent.clone().ok_or(Errno::EPERM)?;
                let visible = parent.is_within(&task.pid_namespace());
                if visible { Ok(NamespaceHandle::Pid(parent)) } else { Err(Errno::EPERM) }
            }
            _ => Err(Errno::EINVAL),
        }
    }
}

impl FileOps for NsFile {
    fn read(&self, _: &File, _: &mut mem::IoDst<'_>) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }
    fn ioctl(&self, _: &File, mem: &dyn UserMemory, cmd: u32, arg: u64) -> Result<u64, Errno> {
        let task = current().ok_or(Errno::ENOTTY)?;
        match cmd {
            NS_GET_USERNS => self.owner_for(&task)?.open_fd(&task).map(|fd| fd.0 as u64),
            NS_GET_PARENT => self.parent_for(&task)?.open_fd(&task).map(|fd| fd.0 as u64),
            NS_GET_NSTYPE => Ok(self.0.flag().bits()),
            NS_GET_OWNER_UID => {
                let NamespaceHandle::User(ns) = &self.0 else { return Err(Errno::EINVAL) };
                let uid = task.cred().user_ns.show_uid(ns.owner);
                UserPtr::<u32>::from(arg).write(mem, &uid).map(|()| 0)
            }
            NS_GET_MNTNS_ID => {
                let NamespaceHandle::Mount(ns) = &self.0 else { return Err(Errno::EINVAL) };
                UserPtr::<u64>::from(arg).write(mem, &ns.id).map(|()| 0)
            }
            NS_GET_PID_FROM_PIDNS | NS_GET_TGID_FROM_PIDNS | NS_GET_PID_IN_PIDNS | NS_GET_TGID_IN_PIDNS => {
                let NamespaceHandle::Pid(ns) = &self.0 else { return Err(Errno::EINVAL) };
                translate(&task, ns, cmd, arg as u32).map(u64::from)
            }
            _ => Err(Errno::ENOTTY),
        }
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A number of a thread or process in `ns` as one of the caller's namespace, or the other way round; `ESRCH`.
fn translate(task: &Task, ns: &Arc<PidNamespace>, cmd: u32, number: u32) -> Result<u32, Errno> {
    let own = task.pid_namespace();
    let (from, to) = match cmd {
        NS_GET_PID_FROM_PIDNS | NS_GET_TGID_FROM_PIDNS => (ns, &own),
        _ => (&own, ns),
    };
    let found = from.find(number).ok_or(Errno::ESRCH)?;
    let thread = task.kernel.tree.lock().task(found.root()).ok_or(Errno::ESRCH)?;
    let pid = match cmd {
        NS_GET_TGID_FROM_PIDNS | NS_GET_TGID_IN_PIDNS => thread.group.pid.clone(),
        _ => found,
    };
    pid.number_in(to).ok_or(Errno::ESRCH)
}

impl Task {
    /// `setns(2)` into one namespace.
    pub fn join_namespace(self: &Arc<Self>, handle: &NamespaceHandle) -> Result<(), Errno> {
        let cred = self.cred();
        let allowed = |owner: &UserNamespace| match cred.has_cap_in(owner, Cap::SYS_ADMIN)
            && cred.has_cap(Cap::SYS_ADMIN)
        {
            true => Ok(()),
            false => Err(Errno::EPERM),
        };
        let replace = |change: &dyn Fn(&mut super::Namespaces)| {
            let mut state = self.state.lock();
            let mut new = (*state.ns).clone();
            change(&mut new);
            let old = std::mem::replace(&mut state.ns, Arc::new(new));
            drop(state);
            drop(old);
        };
        match handle {
            NamespaceHandle::User(ns) => return self.join_user_namespace(ns),
            NamespaceHandle::Mount(ns) => {
                allowed(&ns.user_ns)?;
                if !cred.has_cap(Cap::SYS_CHROOT) {
                    return Err(Errno::EPERM);
                }
                let fs = self.fs();
                if Arc::strong_count(&fs) > 2 {
                    return Err(Errno::EINVAL);
                }
                let root = ns.root().ok_or(Errno::EINVAL)?;
                replace(&|new| new.mount = ns.clone());
                fs.set_root(root.clone());
                fs.set_cwd(root);
            }
            NamespaceHandle::Pid(ns) => {
                allowed(&ns.user_ns)?;
                if !ns.is_within(&self.pid_namespace()) {
                    return Err(Errno::EINVAL);
                }
                replace(&|new| new.pid_for_children = ns.clone());
            }
            NamespaceHandle::Uts(ns) => {
                allowed(&ns.user_ns)?;
                replace(&|new| new.uts = ns.clone());
            }
            NamespaceHandle::Ipc(ns) => {
                allowed(&ns.user_ns)?;
                self.exit_ipc();
                replace(&|new| new.ipc = ns.clone());
            }
            NamespaceHandle::Net(ns) => {
                allowed(&ns.user_ns)?;
                replace(&|new| new.net = ns.clone());
            }
            NamespaceHandle::Cgroup(id) => {
                allowed(&self.kernel.root_user_ns)?;
                replace(&|new| new.cgroup_id = *id);
            }
            NamespaceHandle::Time(id) => {
                allowed(&self.kernel.root_user_ns)?;
                if self.group.signals.lock().live().count() > 1 {
                    return Err(Errno::EUSERS);
                }
                replace(&|new| new.time_id = *id);
            }
        }
        Ok(())
    }

    fn join_user_namespace(self: &Arc<Self>, ns: &Arc<UserNamespace>) -> Result<(), Errno> {
        let cred = self.cred();
        let alone = self.group.signals.lock().live().count() == 1;
        if ns.id == cred.user_ns.id || !alone || Arc::strong_count(&self.fs()) > 2 {
            return Err(Errno::EINVAL);
        }
        if !cred.has_cap_in(ns, Cap::SYS_ADMIN) {
            return Err(Errno::EPERM);
        }
        self.change_cred(|new| {
            *new = new.with_all_caps_in(ns.clone());
            Ok(())
        })
    }
}
