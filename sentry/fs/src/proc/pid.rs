//! The directories of processes (`/proc/PID`) and of threads (`/proc/PID/task/TID`): which entry is what.

use super::{
    fd::{FdDir, FdInfoDir},
    links::{Magic, NsDir},
    maps, mem as memory,
    mounts::MountsFile,
    net::NetDir,
    process::Process,
    settings, stat, status, text,
};
use crate::pseudo::{Child, Entry, Node, PseudoDir, PseudoFile, StaticDir};
use abi::Errno;
use kernel::{Task, ThreadGroup};
use std::sync::Arc;
use vfs::{Credentials, File, FileOps, OpenRequest};

/// What makes the text of a file.
pub(super) type Read = fn(&Process) -> Result<Vec<u8>, Errno>;
/// What takes a write.
pub(super) type Write = fn(&Process, &File, u64, &[u8]) -> Result<(), Errno>;

/// A file about a process.
struct PidFile {
    process: Arc<Process>,
    read: Read,
    write: Option<Write>,
    /// Only for those who may look into the process.
    guarded: bool,
}

impl PseudoFile for PidFile {
    fn contents(&self, _: &File) -> Result<Vec<u8>, Errno> {
        (self.read)(&self.process)
    }
    fn store(&self, file: &File, offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let write = self.write.ok_or(Errno::EINVAL)?;
        write(&self.process, file, offset, bytes).map(|()| bytes.len())
    }
    fn check_open(&self, _: &OpenRequest<'_>) -> Result<(), Errno> {
        match (self.guarded, self.process.accessible()) {
            // What has ended has nothing to hide, and nothing to show.
            (false, _) | (true, Ok(_) | Err(Errno::ESRCH)) => Ok(()),
            (true, Err(e)) => Err(e),
        }
    }
}

/// A file whose open file is of its own kind.
struct Special {
    process: Arc<Process>,
    open: fn(&Process, &OpenRequest<'_>) -> Result<Box<dyn FileOps>, Errno>,
}

impl PseudoFile for Special {
    fn contents(&self, _: &File) -> Result<Vec<u8>, Errno> {
        Err(Errno::EIO)
    }
    fn open(&self, request: &OpenRequest<'_>) -> Option<Result<Box<dyn FileOps>, Errno>> {
        Some((self.open)(&self.process, request))
    }
}

/// How an entry is made.
enum Make {
    /// A file that may be read as its permissions say.
    Text(Read),
    /// A file for those who may look into the process.
    Guarded(Read),
    /// A file that may be written.
    Setting(Read, Write),
    /// A file of its own kind.
    Special(fn(&Process, &OpenRequest<'_>) -> Result<Box<dyn FileOps>, Errno>),
    /// Anything else.
    Node(fn(&Arc<Process>) -> Node),
}
use Make::{Guarded, Setting, Special as Open, Text};

/// Where an entry is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    Both,
    ProcessOnly,
    ThreadOnly,
}
use Where::{Both, ProcessOnly, ThreadOnly};

const ENTRIES: &[(&str, Where, u32, Make)] = &[
    ("task", ProcessOnly, 0o555, Make::Node(|p| Node::Dir(Arc::new(TaskDir(p.clone()))))),
    ("fd", Both, 0o500, Make::Node(|p| Node::Dir(Arc::new(FdDir(p.clone()))))),
    ("fdinfo", Both, 0o555, Make::Node(|p| Node::Dir(Arc::new(FdInfoDir(p.clone()))))),
    ("ns", Both, 0o511, Make::Node(|p| Node::Dir(Arc::new(NsDir(p.clone()))))),
    ("net", Both, 0o555, Make::Node(|p| Node::Dir(Arc::new(NetDir(p.clone()))))),
    ("environ", Both, 0o400, Guarded(text::environ)),
    ("auxv", Both, 0o400, Guarded(text::auxv)),
    ("status", Both, 0o444, Text(status::status)),
    ("personality", Both, 0o400, Guarded(text::personality)),
    ("limits", Both, 0o444, Text(text::limits)),
    ("sched", Both, 0o644, Setting(text::sched, settings::ignore)),
    ("comm", Both, 0o644, Setting(text::comm, settings::set_comm)),
    ("syscall", Both, 0o400, Guarded(text::syscall)),
    ("cmdline", Both, 0o444, Text(text::cmdline)),
    ("stat", Both, 0o444, Text(stat::stat)),
    ("statm", Both, 0o444, Text(stat::statm)),
    ("maps", Both, 0o444, Guarded(maps::maps)),
    ("children", ThreadOnly, 0o444, Text(text::children)),
    ("mem", Both, 0o600, Open(memory::open_mem)),
    ("cwd", Both, 0o777, Make::Node(|p| Node::Link(Arc::new(Magic::Cwd(p.clone()))))),
    ("root", Both, 0o777, Make::Node(|p| Node::Link(Arc::new(Magic::Root(p.clone()))))),
    ("exe", Both, 0o777, Make::Node(|p| Node::Link(Arc::new(Magic::Exe(p.clone()))))),
    ("mounts", Both, 0o444, Make::Node(|p| Node::File(Arc::new(MountsFile::mounts(p))))),
    ("mountinfo", Both, 0o444, Make::Node(|p| Node::File(Arc::new(MountsFile::mountinfo(p))))),
    ("mountstats", ProcessOnly, 0o400, Make::Node(|p| Node::File(Arc::new(MountsFile::mountstats(p))))),
    ("clear_refs", Both, 0o200, Setting(text::nothing, settings::ignore)),
    ("smaps", Both, 0o444, Guarded(maps::smaps)),
    ("smaps_rollup", ProcessOnly, 0o444, Guarded(maps::smaps_rollup)),
    ("pagemap", Both, 0o400, Open(memory::open_pagemap)),
    ("attr", Both, 0o555, Make::Node(attributes)),
    ("wchan", Both, 0o444, Text(text::wchan)),
    ("stack", Both, 0o400, Guarded(text::nothing)),
    ("schedstat", Both, 0o444, Text(text::schedstat)),
    ("cpuset", Both, 0o444, Text(text::cpuset)),
    ("cgroup", Both, 0o444, Text(text::cgroup)),
    ("oom_score", Both, 0o444, Text(text::oom_score)),
    ("oom_adj", Both, 0o644, Setting(settings::oom_adj, settings::set_oom_adj)),
    ("oom_score_adj", Both, 0o644, Setting(settings::oom_score_adj, settings::set_oom_score_adj)),
    ("loginuid", Both, 0o644, Setting(settings::login_uid, settings::set_login_uid)),
    ("sessionid", Both, 0o444, Text(settings::login_session)),
    ("coredump_filter", ProcessOnly, 0o644, Setting(text::coredump_filter, settings::ignore)),
    ("io", Both, 0o400, Guarded(text::io)),
    ("uid_map", Both, 0o644, Setting(settings::uid_map, settings::set_uid_map)),
    ("gid_map", Both, 0o644, Setting(settings::gid_map, settings::set_gid_map)),
    ("projid_map", Both, 0o644, Setting(settings::projid_map, settings::refuse)),
    ("setgroups", Both, 0o644, Setting(settings::setgroups, settings::set_setgroups)),
    ("timers", ProcessOnly, 0o444, Text(text::nothing)),
    ("timerslack_ns", ProcessOnly, 0o666, Setting(settings::timer_slack, settings::set_timer_slack)),
];

fn attributes(process: &Arc<Process>) -> Node {
    let mut dir = StaticDir::new();
    for name in ["current", "prev", "exec", "fscreate", "keycreate", "sockcreate"] {
        // As without a security module: there is no such attribute.
        let read: Read = |_| Err(Errno::EINVAL);
        let file = PidFile { process: process.clone(), read, write: Some(settings::invalid), guarded: false };
        dir.add(name, Child::file(if name == "prev" { 0o444 } else { 0o666 }, Arc::new(file)));
    }
    Node::Dir(Arc::new(dir))
}

/// `/proc/PID`, or `/proc/PID/task/TID`.
pub(super) struct PidDir(pub Arc<Process>);

impl PidDir {
    fn has(&self, place: Where) -> bool {
        place == Both || (place == ThreadOnly) == self.0.is_thread()
    }
    /// As an entry of the directory above.
    pub fn child(process: Arc<Process>) -> Child {
        Child::dir(0o555, Arc::new(PidDir(process.clone()))).owned(process)
    }
}

/// The type of what `make` makes.
fn kind(name: &str, make: &Make) -> abi::FileType {
    match (name, make) {
        ("cwd" | "root" | "exe", _) => abi::FileType::Symlink,
        ("task" | "fd" | "fdinfo" | "ns" | "net" | "attr", _) => abi::FileType::Directory,
        _ => abi::FileType::Regular,
    }
}

impl PseudoDir for PidDir {
    fn lookup(&self, name: &[u8]) -> Result<Child, Errno> {
        let found = ENTRIES.iter().find(|(n, place, ..)| n.as_bytes() == name && self.has(*place));
        let (_, _, mode, make) = found.ok_or(Errno::ENOENT)?;
        let process = self.0.clone();
        let file = |read: Read, write, guarded| {
            let file = PidFile { process: process.clone(), read, write, guarded };
            Node::File(Arc::new(file))
        };
        let node = match make {
            Text(read) => file(*read, None, false),
            Guarded(read) => file(*read, None, true),
            Setting(read, write) => file(*read, Some(*write), false),
            Open(open) => Node::File(Arc::new(Special { process: process.clone(), open: *open })),
            Make::Node(make) => make(&process),
        };
        Ok(Child { node, mode: *mode, owner: None })
    }
    fn entries(&self) -> Result<Vec<Entry>, Errno> {
        let here = |(pos, (name, place, _, make)): (u64, &(&str, Where, u32, Make))| {
            self.has(*place).then(|| Entry { pos, name: name.as_bytes().to_vec(), kind: kind(name, make) })
        };
        Ok((2..).zip(ENTRIES).filter_map(here).collect())
    }
    fn nlink(&self) -> u64 {
        if self.0.is_thread() { 7 } else { 8 }
    }
    fn permission(&self, _: &Credentials, _: u32) -> Option<Result<(), Errno>> {
        None
    }
    fn process(&self) -> Option<Result<Arc<ThreadGroup>, Errno>> {
        (!self.0.is_thread()).then(|| self.0.group())
    }
}

/// `/proc/PID/task`.
struct TaskDir(Arc<Process>);

impl TaskDir {
    fn threads(&self) -> Result<Vec<(u32, Arc<Task>)>, Errno> {
        let group = self.0.group()?;
        let tree = group.kernel.tree.lock();
        let node = tree.nodes.get(&group.tgid()).ok_or(Errno::ENOENT)?;
        let seen = node.threads.values().cloned();
        let mut all: Vec<_> = seen.filter_map(|t| Some((t.pid().number_in(&self.0.ns)?, t))).collect();
        drop(tree);
        all.sort_by_key(|(tid, _)| *tid);
        Ok(all)
    }
}

impl PseudoDir for TaskDir {
    fn lookup(&self, name: &[u8]) -> Result<Child, Errno> {
        let number = super::number(name).ok_or(Errno::ENOENT)?;
        let (_, task) = self.threads()?.into_iter().find(|(tid, _)| *tid == number).ok_or(Errno::ENOENT)?;
        Ok(PidDir::child(self.0.thread(&task)))
    }
    fn entries(&self) -> Result<Vec<Entry>, Errno> {
        let entry = |(tid, _): (u32, Arc<Task>)| Entry {
            pos: u64::from(tid) + 2,
            name: tid.to_string().into_bytes(),
            kind: abi::FileType::Directory,
        };
        Ok(self.threads()?.into_iter().map(entry).collect())
    }
    fn changes(&self) -> bool {
        true
    }
    fn nlink(&self) -> u64 {
        2 + self.threads().map_or(0, |t| t.len() as u64)
    }
}
