//! proc (`proc(5)`): processes, seen from the pid namespace of whoever mounted it, and the system.
//!
//! [`root`](RootDir) has a directory for each process ([`pid`]), the files of [`system`] and the settings of [`sysctl`]. What
//! a directory is about is a `Process`, which refers to it weakly: entries of one that has ended are gone at the next walk.
//!
//! **Lock order:** nothing here is locked; tasks are looked at under locks of the VFS's directories ([`ksync::rank::TASK_TREE`]
//! comes behind [`ksync::rank::DIRECTORY`]).
//! **Absent on purpose:** `kcore`, `kallsyms`, `kmsg`, `keys`, `map_files`, `numa_maps`: what they show is the host's, or
//! nobody's. `hidepid` is accepted and does nothing.

mod fd;
mod links;
mod maps;
mod mem;
mod mounts;
mod net;
mod pid;
mod process;
mod settings;
mod stat;
pub(crate) mod status;
mod sysctl;
pub(crate) mod system;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use settings::parse as parse_number;
pub use system::set_cpuinfo;

use crate::pseudo::{Child, Entry, PseudoDir, PseudoFs, PseudoInode, StaticDir, link, path_link};
use abi::{Errno, FileType, stat::PROC_SUPER_MAGIC};
use kernel::{Kernel, current, pid::PidNamespace};
use pid::PidDir;
use process::Process;
use std::sync::{Arc, Weak};
use vfs::{FileSystem, FileSystemType, Inode, vfs::Mounted};

/// A number as the names of processes are written: decimal, no leading zero, not 0.
fn number(name: &[u8]) -> Option<u32> {
    number_or_zero(name).filter(|n| *n != 0)
}

/// The same, or 0.
fn number_or_zero(name: &[u8]) -> Option<u32> {
    let well_formed = name == b"0" || name.first().is_some_and(|b| (b'1'..=b'9').contains(b));
    let text = std::str::from_utf8(name).ok().filter(|_| well_formed)?;
    text.parse().ok()
}

/// Position of the entry of process 0; fixed entries come before.
const PROCESSES: u64 = 1 << 16;

/// The root of a mount.
struct RootDir {
    kernel: Weak<Kernel>,
    ns: Arc<PidNamespace>,
    /// What does not depend on the mount.
    common: Arc<StaticDir>,
}

impl RootDir {
    fn process(&self, name: &[u8]) -> Result<Arc<Process>, Errno> {
        let kernel = self.kernel.upgrade().ok_or(Errno::ENOENT)?;
        let pid = number(name).and_then(|n| self.ns.find(n)).ok_or(Errno::ENOENT)?;
        let group = {
            let tree = kernel.tree.lock();
            // A thread's number leads to its process, though it is not listed.
            tree.group(pid.root()).cloned().or_else(|| Some(tree.task(pid.root())?.group.clone()))
        };
        Ok(Process::new(&self.ns, &group.ok_or(Errno::ENOENT)?))
    }
}

impl PseudoDir for RootDir {
    fn lookup(&self, name: &[u8]) -> Result<Child, Errno> {
        let ns = self.ns.clone();
        let caller = move || {
            let task = current().ok_or(Errno::ENOENT)?;
            let tgid = task.group.pid.number_in(&ns).ok_or(Errno::ENOENT)?;
            Ok::<_, Errno>((tgid, task.pid().number_in(&ns).ok_or(Errno::ENOENT)?))
        };
        match name {
            b"self" => Ok(path_link(move || Ok(caller()?.0.to_string().into_bytes()))),
            b"thread-self" => Ok(path_link(move || {
                let (tgid, tid) = caller()?;
                Ok(format!("{tgid}/task/{tid}").into_bytes())
            })),
            _ => match self.common.lookup(name) {
                Ok(child) => Ok(child),
                Err(_) => self.process(name).map(PidDir::child),
            },
        }
    }
    fn entries(&self) -> Result<Vec<Entry>, Errno> {
        let kernel = self.kernel.upgrade().ok_or(Errno::ENOENT)?;
        let mut all = self.common.entries()?;
        let pos = all.last().map_or(2, |e| e.pos + 1);
        for (pos, name) in (pos..).zip(["self", "thread-self"]) {
            all.push(Entry { pos, name: name.into(), kind: FileType::Symlink });
        }
        let pids = self.ns.list();
        let tree = kernel.tree.lock();
        for pid in pids.iter().filter(|p| tree.nodes.contains_key(&p.root())) {
            let Some(number) = pid.number_in(&self.ns) else { continue };
            all.push(Entry {
                pos: PROCESSES + u64::from(number),
                name: number.to_string().into_bytes(),
                kind: FileType::Directory,
            });
        }
        Ok(all)
    }
    fn changes(&self) -> bool {
        true
    }
    fn nlink(&self) -> u64 {
        self.common.nlink() + self.kernel.upgrade().map_or(0, |k| k.tree.lock().nodes.len() as u64)
    }
}

/// Refuses options that proc does not have.
fn check_options(data: &str) -> Result<String, Errno> {
    let mut shown = String::new();
    for option in data.split(',').filter(|o| !o.is_empty()) {
        match option.split_once('=').unwrap_or((option, "")) {
            ("hidepid", "0" | "off") => {}
            ("hidepid", "1" | "2" | "4" | "noaccess" | "invisible" | "ptraceable") | ("subset", "pid") => {
                shown.push(',');
                shown.push_str(option);
            }
            ("gid", n) if n.parse::<u32>().is_ok() => {}
            _ => return Err(Errno::EINVAL),
        }
    }
    Ok(shown)
}

/// Files of proc that are the same in every mount.
pub struct Common(Arc<StaticDir>);

/// Makes them.
pub fn common(kernel: &Arc<Kernel>) -> Common {
    let mut root = system::files(kernel);
    root.add("sys", sysctl::tree(kernel));
    root.add("mounts", link("self/mounts"));
    root.add("net", link("self/net"));
    Common(Arc::new(root))
}

/// A proc of its own that shows the processes of `ns`.
pub fn new(
    kernel: &Arc<Kernel>,
    common: &Common,
    ns: Arc<PidNamespace>,
    data: &str,
) -> Result<Mounted, Errno> {
    let options = check_options(data)?;
    let fs = PseudoFs::new(&kernel.vfs, "proc", PROC_SUPER_MAGIC, options);
    let root = RootDir { kernel: Arc::downgrade(kernel), ns, common: common.0.clone() };
    let root = PseudoInode::root(&fs, Child::dir(0o555, Arc::new(root)));
    Ok((fs as Arc<dyn FileSystem>, root as Arc<dyn Inode>))
}

/// Makes the type known to `mount(2)`. A mount shows the processes of the pid namespace of whoever mounts, or of the initial
/// one before there is anybody.
pub fn register(kernel: &Arc<Kernel>) {
    let weak = Arc::downgrade(kernel);
    let shared = common(kernel);
    kernel.vfs.register_type(FileSystemType {
        name: "proc",
        user_mountable: true,
        nodev: true,
        mount: Arc::new(move |args| {
            let kernel = weak.upgrade().ok_or(Errno::ENODEV)?;
            let ns = current().map_or_else(|| kernel.root_pid_ns.clone(), |c| c.pid_namespace());
            new(&kernel, &shared, ns, args.data)
        }),
    });
}
