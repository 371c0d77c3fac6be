//! proc, devpts and cgroup on a kernel with a process that was put together by hand.

use crate::tmpfs::{Options, Tmpfs};
use abi::{Errno, MapFlags, OpenFlags, Prot, process::MountFlags};
use kernel::{
    Kernel, SysResult, SyscallTable, Task, ThreadGroup,
    kernel::{KernelConfig, SyscallStart},
    limits::Limits,
    namespaces::{Namespaces, OpaqueNamespace, UtsNames, UtsNamespace},
    pid::{Pid, PidNamespace},
    signal::{GroupSignals, SigHand, TaskSignals},
    task::TaskState,
    tree::{ExitStatus, Node},
};
use ksync::exec::Executor;
use mem::{IoDst, IoSrc, MemoryFile};
use mm::{AddressSpace, MapRequest, MapSource};
use platform::fake::FakePlatform;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
};
use vfs::{Credentials, Fd, FdTable, File, FsContext, Lookup, MountNamespace, Vfs, WalkContext, ops};

struct NoCalls;
impl SyscallTable for NoCalls {
    fn start<'a>(&self, _: &'a Arc<Task>, _: u64, _: [u64; 6]) -> SyscallStart<'a> {
        SyscallStart::Done(SysResult::Err(Errno::ENOSYS.into()))
    }
}

struct World {
    kernel: Arc<Kernel>,
    ctx: WalkContext,
    ns: Arc<MountNamespace>,
}

fn world() -> World {
    let platform = FakePlatform::new();
    let kernel = Kernel::new(KernelConfig {
        executor: Executor::new(1).unwrap(),
        platform,
        memory: Arc::new(MemoryFile::new(1 << 30).unwrap()),
        vfs: Vfs::new(),
        syscalls: Arc::new(NoCalls),
        cpus: 2,
        memory_bytes: 1 << 30,
        vdso: None,
        aux: Default::default(),
        allow_suid: false,
        namespace_ids: Default::default(),
    });
    crate::register(&kernel).unwrap();
    let options = Options { mode: Some(0o755), ..Options::default() };
    let (fs, root) = Tmpfs::new(&kernel.vfs, &kernel.memory, "tmpfs", &options).unwrap();
    let user_ns = kernel.root_user_ns.clone();
    let (ns, root) =
        kernel.vfs.new_namespace(user_ns.clone(), (fs, root), b"none", MountFlags::empty()).unwrap();
    let ctx = kernel.vfs.context(root, Credentials::root(user_ns));
    let w = World { kernel, ctx, ns };
    for (kind, at) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        w.mount(kind, at, "");
    }
    w.mount("devpts", "/dev/pts", "ptmxmode=666,mode=620,gid=5");
    w
}

impl World {
    fn mount(&self, kind: &str, at: &str, data: &str) {
        let _ = ops::mkdir(&self.ctx, at.as_bytes(), 0o755);
        vfs::mount::ops::mount(
            &self.ctx,
            &self.ns,
            b"none",
            at.as_bytes(),
            kind.as_bytes(),
            0,
            data.as_bytes(),
        )
        .unwrap();
    }
    fn open(&self, name: &str, flags: OpenFlags) -> Result<Arc<File>, Errno> {
        ops::open(&self.ctx, name.as_bytes(), &ops::OpenHow { flags, ..Default::default() })
    }
    fn read(&self, name: &str) -> Result<String, Errno> {
        let file = self.open(name, OpenFlags::RDONLY)?;
        let mut text = Vec::new();
        // Small reads: the text is not made anew between them.
        loop {
            let mut part = [0; 100];
            match file.ops().read(&file, &mut IoDst::bytes(&mut part))? {
                0 => return Ok(String::from_utf8(text).unwrap()),
                n => text.extend_from_slice(&part[..n]),
            }
        }
    }
    fn write(&self, name: &str, text: &str) -> Result<usize, Errno> {
        let file = self.open(name, OpenFlags::WRONLY | OpenFlags::TRUNC | OpenFlags::CREAT)?;
        file.ops().write(&file, &mut IoSrc::bytes(&mut text.as_bytes().to_vec()))
    }
    fn names(&self, dir: &str) -> Vec<String> {
        let file = self.open(dir, OpenFlags::DIRECTORY).unwrap();
        let mut names = Vec::new();
        let mut pos = 0;
        loop {
            // One entry a call, as a small buffer would have it.
            let mut took = false;
            file.ops()
                .read_dir(&file, &mut pos, &mut |e| {
                    if took {
                        return false;
                    }
                    names.push(String::from_utf8(e.name.to_vec()).unwrap());
                    took = true;
                    true
                })
                .unwrap();
            if !took {
                return names;
            }
        }
    }
    fn link(&self, name: &str) -> Result<String, Errno> {
        ops::readlink(&self.ctx, name.as_bytes()).map(|t| String::from_utf8(t).unwrap())
    }

    /// A process in `ns` that has mapped a page and opened `/dev/null`.
    fn process(&self, ns: &Arc<PidNamespace>, comm: &str) -> Arc<Task> {
        let kernel = &self.kernel;
        let pid = Pid::allocate(ns, &[]).unwrap();
        let group = ThreadGroup::new(
            kernel.clone(),
            pid.clone(),
            GroupSignals::new(SigHand::new()),
            Limits::default(),
        );
        let task = self.thread(&group, pid.clone(), comm);
        let node = Node {
            group: group.clone(),
            parent: 0,
            parent_thread: std::sync::Weak::new(),
            children: BTreeSet::new(),
            tracees: Vec::new(),
            leader_tracer: 0,
            unreaped_threads: Vec::new(),
            threads: BTreeMap::from([(task.tid(), task.clone())]),
            pgid: task.tid(),
            sid: task.tid(),
            zombie: None,
            has_execed: true,
            exit_signal: 0,
            is_subreaper: false,
        };
        let mut tree = kernel.tree.lock();
        tree.pids.insert(task.tid(), pid);
        tree.nodes.insert(task.tid(), node);
        drop(tree);
        task
    }

    fn thread(&self, group: &Arc<ThreadGroup>, pid: Arc<Pid>, comm: &str) -> Arc<Task> {
        let kernel = &self.kernel;
        let platform = &kernel.platform;
        let space = platform.new_address_space().unwrap();
        let mm = AddressSpace::new(
            kernel.memory.clone(),
            space,
            platform.user_range(),
            None,
            mm::Limits { address_space: u64::MAX, data: u64::MAX, stack: 8 << 20, memlock: 0 },
        );
        let flags = MapFlags::PRIVATE | MapFlags::ANONYMOUS;
        let prot = Prot::READ | Prot::WRITE;
        let at =
            mm.mmap(&MapRequest { addr: 0, len: 4096, prot, flags, source: MapSource::Anonymous }).unwrap();
        mem::UserMemoryExt::copy_out(&*mm, mem::UserAddr(at), b"prog\0-x\0").unwrap();
        mm.update_info(|i| (i.arg_start, i.arg_end) = (at, at + 8));
        let fds = FdTable::new();
        fds.put(Fd(0), self.open("/dev/null", OpenFlags::RDWR).unwrap(), 10, true).unwrap();
        let user_ns = kernel.root_user_ns.clone();
        let empty = || OpaqueNamespace::new(user_ns.clone(), Arc::new(()));
        let names = UtsNames { host: b"box".to_vec(), domain: Vec::new() };
        let ns = Namespaces {
            uts: UtsNamespace::new(user_ns.clone(), names),
            ipc: empty(),
            net: empty(),
            mount: self.ns.clone(),
            pid_for_children: kernel.root_pid_ns.clone(),
            time_id: 1,
            cgroup_id: 2,
        };
        let root = self.ctx.root.clone();
        let state = TaskState {
            cred: self.ctx.cred.clone(),
            mm: Some(mm),
            fds: Some(fds),
            fs: FsContext::new(root.clone(), root, 0o022),
            ns: Arc::new(ns),
            comm: comm.as_bytes().to_vec(),
            clear_child_tid: 0,
            robust_list: 0,
            rseq: (0, 0),
            parent_death_signal: 0,
            restart_block: None,
        };
        Task::new(group.clone(), pid, state, TaskSignals::default(), Default::default())
    }
}

#[test]
fn a_process_is_shown_until_it_has_been_waited_for() {
    let w = world();
    let task = w.process(&w.kernel.root_pid_ns, "a(b) c");
    assert!(w.names("/proc").contains(&"1".to_owned()));
    assert_eq!(w.read("/proc/1/cmdline").unwrap(), "prog\0-x\0");
    assert!(w.read("/proc/1/stat").unwrap().starts_with("1 (a(b) c) R 0 1 1 0 -1 "));
    assert_eq!(w.read("/proc/1/stat").unwrap().rsplit(") ").next().unwrap().split(' ').count(), 50);
    let status = w.read("/proc/1/status").unwrap();
    assert!(status.contains("\nUid:\t0\t0\t0\t0\n") && status.contains("\nThreads:\t1\n"), "{status}");
    assert!(w.read("/proc/1/maps").unwrap().contains(" rw-p 00000000 00:00 0 \n"));
    let file = w.open("/proc/1/comm", OpenFlags::RDONLY).unwrap();
    let dir = w.open("/proc/1", OpenFlags::DIRECTORY).unwrap();
    // A zombie.
    {
        let mut tree = w.kernel.tree.lock();
        let node = tree.nodes.get_mut(&1).unwrap();
        node.threads.clear();
        node.zombie = Some(ExitStatus::Code(0));
        let cred = task.cred();
        *task.group.remains.lock() = Some(kernel::thread_group::Remains { comm: b"a(b) c".to_vec(), cred });
    }
    assert!(w.read("/proc/1/stat").unwrap().contains(") Z "));
    assert_eq!(w.read("/proc/1/cmdline").unwrap(), "");
    assert_eq!(w.link("/proc/1/exe"), Err(Errno::ENOENT));
    w.kernel.tree.lock().nodes.remove(&1);
    task.group.reaped.store(true, Ordering::Release);
    assert_eq!(w.read("/proc/1/stat"), Err(Errno::ENOENT));
    assert!(!w.names("/proc").contains(&"1".to_owned()));
    let mut bytes = [0; 10];
    assert_eq!(file.ops().read(&file, &mut IoDst::bytes(&mut bytes)), Err(Errno::ESRCH));
    assert_eq!(dir.ops().read_dir(&dir, &mut 0, &mut |_| true), Err(Errno::ENOENT));
}

#[test]
fn numbers_are_those_of_the_namespace_that_is_mounted() {
    let w = world();
    let _init = w.process(&w.kernel.root_pid_ns, "init");
    let inner = PidNamespace::child(&w.kernel.root_pid_ns, w.kernel.root_user_ns.clone()).unwrap();
    let _task = w.process(&inner, "inner");
    assert_eq!(w.read("/proc/2/comm").unwrap(), "inner\n");
    assert!(w.read("/proc/2/status").unwrap().contains("\nNSpid:\t2\t1\n"));
    let mounted = super::new(&w.kernel, &super::common(&w.kernel), inner, "").unwrap();
    ops::mkdir(&w.ctx, b"/p", 0o755).unwrap();
    let at = w.ctx.resolve(b"/p", Lookup::FOLLOW).unwrap();
    w.kernel.vfs.mount_at(&w.ns, &at, mounted, b"proc", MountFlags::empty()).unwrap();
    assert_eq!(w.read("/p/1/comm").unwrap(), "inner\n");
    assert_eq!(w.read("/p/2/comm"), Err(Errno::ENOENT));
}

#[test]
fn descriptors_lead_to_what_is_open() {
    let w = world();
    let task = w.process(&w.kernel.root_pid_ns, "x");
    assert_eq!(w.names("/proc/1/fd"), [".", "..", "0"]);
    let opened = w.ctx.resolve(b"/proc/1/fd/0", Lookup::FOLLOW).unwrap();
    assert!(opened.same(&w.ctx.resolve(b"/dev/null", Lookup::FOLLOW).unwrap()));
    assert!(w.read("/proc/1/fdinfo/0").unwrap().starts_with("pos:\t0\nflags:\t02000002\nmnt_id:\t"));
    let link = w.ctx.resolve(b"/proc/1/fd/0", Lookup::empty()).unwrap();
    assert_eq!(ops::attr::getattr(&link).unwrap().mode & 0o777, 0o700);
    let gone = task.fds().unwrap().remove(Fd(0)).unwrap();
    drop(gone);
    assert_eq!(w.ctx.resolve(b"/proc/1/fd/0", Lookup::empty()).err(), Some(Errno::ENOENT));
    assert!(w.link("/proc/1/ns/uts").unwrap().starts_with("uts:["));
    assert_eq!(w.names("/proc/1/task"), [".", "..", "1"]);
    assert_eq!(w.read("/proc/1/task/1/comm").unwrap(), "x\n");
}

#[test]
fn settings_are_kept_and_names_that_are_not_there_stay_so() {
    let w = world();
    let task = w.process(&w.kernel.root_pid_ns, "x");
    assert_eq!(w.write("/proc/1/oom_score_adj", "-5\n"), Ok(3));
    assert_eq!(task.group.oom_score_adj.load(Ordering::Relaxed), -5);
    assert_eq!(w.read("/proc/1/oom_score_adj").unwrap(), "-5\n");
    assert_eq!(w.write("/proc/1/oom_score_adj", "1001"), Err(Errno::EINVAL));
    assert_eq!(w.write("/proc/sys/vm/swappiness", "10\n"), Ok(3));
    assert_eq!(w.read("/proc/sys/vm/swappiness").unwrap(), "10\n");
    assert_eq!(w.write("/proc/sys/fs/protected_symlinks", "0"), Ok(1));
    assert!(!w.kernel.vfs.sysctl.protected_symlinks.load(Ordering::Relaxed));
    assert_eq!(w.write("/proc/version", "x"), Err(Errno::EINVAL));
    assert_eq!(w.write("/proc/none", "x"), Err(Errno::ENOENT));
    assert_eq!(ops::mkdir(&w.ctx, b"/proc/none", 0o755), Err(Errno::ENOENT));
    assert_eq!(ops::unlink(&w.ctx, b"/proc/1/stat"), Err(Errno::EPERM));
    assert_eq!(w.write("/sys/none", "x"), Err(Errno::EACCES));
    assert_eq!(w.read("/proc/1/attr/current"), Err(Errno::EINVAL));
    assert_eq!(w.read("/sys/devices/system/cpu/online").unwrap(), "0-1\n");
    assert_eq!(w.link("/sys/class/net/lo").unwrap(), "../../devices/virtual/net/lo");
    assert!(w.read("/proc/meminfo").unwrap().starts_with("MemTotal:        1048576 kB\n"));
}

#[test]
fn terminals_come_and_go() {
    let w = world();
    let master = w.open("/dev/ptmx", OpenFlags::RDWR | OpenFlags::NOCTTY).unwrap();
    assert_eq!(w.names("/dev/pts"), [".", "..", "ptmx", "0"]);
    let attr = ops::attr::getattr(&w.ctx.resolve(b"/dev/pts/0", Lookup::empty()).unwrap()).unwrap();
    assert_eq!((attr.mode & 0o777, attr.gid.0, attr.rdev), (0o620, 5, abi::stat::dev::makedev(136, 0)));
    assert_eq!(w.open("/dev/pts/0", OpenFlags::RDWR).err(), Some(Errno::EIO), "still locked");
    let second = w.open("/dev/pts/ptmx", OpenFlags::RDWR).unwrap();
    assert_eq!(w.names("/dev/pts"), [".", "..", "ptmx", "0", "1"]);
    drop(master);
    assert_eq!(w.names("/dev/pts"), [".", "..", "ptmx", "1"]);
    assert_eq!(w.open("/dev/pts/0", OpenFlags::RDWR).err(), Some(Errno::ENOENT));
    let third = w.open("/dev/ptmx", OpenFlags::RDWR).unwrap();
    assert_eq!(w.names("/dev/pts"), [".", "..", "ptmx", "0", "1"]);
    // Another instance has numbers of its own.
    w.mount("devpts", "/pts2", "");
    assert_eq!(w.names("/pts2"), [".", "..", "ptmx"]);
    assert_eq!(w.open("/dev/tty", OpenFlags::RDWR).err(), Some(Errno::ENXIO));
    drop((second, third));
}

#[test]
fn cgroups_show_limits() {
    let w = world();
    let _task = w.process(&w.kernel.root_pid_ns, "x");
    crate::cgroup::set_limits(crate::cgroup::Limits {
        memory: Some(64 << 20),
        cpu_quota: Some((50_000, 100_000)),
        ..Default::default()
    });
    w.mount("cgroup2", "/cg", "");
    assert_eq!(w.read("/cg/memory.max").unwrap(), "67108864\n");
    assert_eq!(w.read("/cg/cpu.max").unwrap(), "50000 100000\n");
    assert_eq!(w.read("/cg/pids.max").unwrap(), "max\n");
    assert_eq!(w.read("/cg/cgroup.procs").unwrap(), "1\n");
    assert_eq!(w.write("/cg/memory.max", "max"), Err(Errno::EPERM));
    assert_eq!(ops::mkdir(&w.ctx, b"/cg/sub", 0o755), Err(Errno::EPERM));
}

#[test]
fn cgroups_say_where_the_container_is() {
    let w = world();
    let place = |hierarchy, controllers: &str| crate::cgroup::Membership {
        hierarchy,
        controllers: controllers.into(),
        path: "/a/b".into(),
    };
    crate::cgroup::set_membership(vec![place(2, "cpu,cpuacct"), place(0, "")], None);
    let task = w.process(&w.kernel.root_pid_ns, "x");
    // Nobody reads who is in the namespace in which paths are shown.
    assert_eq!(w.read(&format!("/proc/{}/cgroup", task.tid())).unwrap(), "2:cpu,cpuacct:/\n0::/\n");
    let (fs, root) = crate::cgroup::at_path(&w.kernel, 1, "cpu,cpuacct", "/a/b");
    assert_eq!(fs.options(), ",cpu,cpuacct");
    let group = root.lookup(b"a").and_then(|a| a.lookup(b"b")).unwrap();
    assert!(group.lookup(b"cpu.shares").is_ok() && group.lookup(b"cpuacct.usage").is_ok());
    assert_eq!(group.lookup(b"memory.limit_in_bytes").err(), Some(Errno::ENOENT));
}
