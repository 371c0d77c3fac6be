//! cgroup and cgroup2: what a container sees of its own limits.
//!
//! The host's control groups hold the sandbox as a whole; inside there is one group, the root, which shows the limits that
//! the container was started with ([`set_limits`]) and what is used. **Absent on purpose:** groups below it, which could
//! divide nothing: they cannot be made (`EPERM`).

mod membership;

pub use membership::{Membership, set_membership};
pub(crate) use membership::{cpuset, of_process};

use crate::{
    proc::{
        status,
        system::{cpu_times, used_memory},
    },
    pseudo::{Child, PseudoFs, PseudoInode, StaticDir, file, text, writable},
};
use abi::{
    Errno,
    stat::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC},
};
use kernel::{Kernel, current};
use ksync::{Mutex, rank};
use std::{
    fmt::Write,
    sync::{Arc, Weak},
};
use vfs::{FileSystemType, vfs::Mounted};

/// Limits as the files show them; `None` is no limit.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Bytes of memory and swap.
    pub memory_swap: Option<u64>,
    /// Tasks.
    pub pids: Option<u64>,
    /// Quota and period of CPU time, in microseconds.
    pub cpu_quota: Option<(u64, u64)>,
    /// Shares of CPU time as cgroup version 1 counts them (1024 is usual).
    pub cpu_shares: Option<u64>,
    /// CPUs, as a list like `0-3,5`.
    pub cpuset: Option<String>,
}

static LIMITS: Mutex<Limits> = Mutex::new(
    rank::LEAF,
    Limits { memory: None, memory_swap: None, pids: None, cpu_quota: None, cpu_shares: None, cpuset: None },
);

/// Sets what the files show (at start, and when an operator changes limits).
pub fn set_limits(mut limits: Limits) {
    for bytes in limits.memory.iter_mut().chain(limits.memory_swap.iter_mut()) {
        // Memory is counted in pages.
        *bytes = mem::page_down(*bytes);
    }
    *LIMITS.lock() = limits;
}

fn limits() -> Limits {
    LIMITS.lock().clone()
}

/// The controllers of version 1 of which there are files.
const CONTROLLERS: [&str; 8] = ["cpuset", "cpu", "cpuacct", "memory", "devices", "freezer", "blkio", "pids"];
/// Further ones that a mount may name.
const OTHERS: [&str; 6] = ["net_cls", "net_prio", "perf_event", "hugetlb", "rdma", "misc"];

fn max(limit: Option<u64>) -> String {
    limit.map_or_else(|| "max\n".to_owned(), |n| format!("{n}\n"))
}

/// Builds the directories; its files refer to the kernel weakly.
struct Make(Weak<Kernel>);

impl Make {
    fn of(&self, show: fn(&Kernel) -> String) -> Child {
        let kernel = self.0.clone();
        file(move || kernel.upgrade().map(|k| show(&k)).ok_or(Errno::EIO))
    }

    /// A file that shows a limit; only the operator changes those.
    fn limit(&self, show: fn(&Limits) -> String) -> Child {
        writable(0o644, move || Ok(show(&limits())), |_| Err(Errno::EPERM))
    }

    /// The members: every process is one already.
    fn members(&self, threads: bool) -> Child {
        let kernel = self.0.clone();
        let list = move || {
            let kernel = kernel.upgrade().ok_or(Errno::EIO)?;
            let ns = current().map_or_else(|| kernel.root_pid_ns.clone(), |c| c.pid_namespace());
            let tree = kernel.tree.lock();
            let mut numbers: Vec<u32> = if threads {
                tree.nodes
                    .values()
                    .flat_map(|n| n.threads.values())
                    .filter_map(|t| t.pid().number_in(&ns))
                    .collect()
            } else {
                tree.nodes.values().filter_map(|n| n.group.pid.number_in(&ns)).collect()
            };
            drop(tree);
            numbers.sort_unstable();
            Ok(numbers.iter().map(|n| format!("{n}\n")).collect::<String>())
        };
        writable(0o644, list, |bytes| crate::proc::parse_number(bytes).map(|_: i64| ()))
    }
}

fn memory_stat(kernel: &Kernel) -> String {
    let used = used_memory(kernel);
    let mut t = format!("anon {used}\n");
    for name in [
        "file",
        "kernel",
        "kernel_stack",
        "pagetables",
        "percpu",
        "sock",
        "vmalloc",
        "shmem",
        "file_mapped",
        "file_dirty",
        "file_writeback",
        "swapcached",
        "anon_thp",
        "inactive_anon",
    ] {
        let _ = writeln!(t, "{name} 0");
    }
    let _ = writeln!(t, "active_anon {used}");
    for name in [
        "inactive_file",
        "active_file",
        "unevictable",
        "slab_reclaimable",
        "slab_unreclaimable",
        "slab",
        "pgfault",
        "pgmajfault",
        "pgscan",
        "pgsteal",
    ] {
        let _ = writeln!(t, "{name} 0");
    }
    t
}

fn tasks(kernel: &Kernel) -> String {
    format!("{}\n", kernel.tasks().len())
}

fn all_cpus(kernel: &Kernel) -> String {
    let words: Vec<u64> = vec![u64::MAX; kernel.cpus.div_ceil(64).max(1)];
    format!("{}\n", status::list(&words, kernel.cpus))
}

fn cpu_stat(kernel: &Kernel) -> String {
    let (user, system) = cpu_times(kernel);
    format!(
        "usage_usec {}\nuser_usec {}\nsystem_usec {}\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\nnr_bursts 0\nburst_usec 0\n",
        (user + system) / 1000,
        user / 1000,
        system / 1000
    )
}

/// Weight of version 2 for shares of version 1, as runtimes convert.
fn weight(shares: u64) -> u64 {
    if shares == 0 { 100 } else { 1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142 }
}

fn version2(make: &Make) -> Child {
    const PRESSURE: &str =
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
    let mut dir = StaticDir::new()
        .with("cgroup.controllers", text("cpuset cpu io memory pids\n"))
        .with("cgroup.subtree_control", writable(0o644, || Ok("\n"), |_| Err(Errno::EPERM)))
        .with("cgroup.procs", make.members(false))
        .with("cgroup.threads", make.members(true))
        .with("cgroup.type", text("domain\n"))
        .with("cgroup.events", text("populated 1\nfrozen 0\n"))
        .with("cgroup.freeze", text("0\n"))
        .with("cgroup.max.depth", text("0\n"))
        .with("cgroup.max.descendants", text("0\n"))
        .with("cgroup.stat", text("nr_descendants 0\nnr_dying_descendants 0\n"))
        .with("memory.max", make.limit(|l| max(l.memory)))
        .with("memory.high", make.limit(|_| max(None)))
        .with("memory.low", make.limit(|_| "0\n".into()))
        .with("memory.min", make.limit(|_| "0\n".into()))
        .with("memory.oom.group", make.limit(|_| "0\n".into()))
        .with("memory.current", make.of(|k| format!("{}\n", used_memory(k))))
        .with("memory.peak", make.of(|k| format!("{}\n", used_memory(k))))
        .with("memory.events", text("low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n"))
        .with("memory.events.local", text("low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n"))
        .with("memory.stat", make.of(memory_stat))
        .with("memory.swap.current", text("0\n"))
        .with(
            "memory.swap.max",
            make.limit(|l| max(l.memory_swap.map(|s| s.saturating_sub(l.memory.unwrap_or(0))))),
        )
        .with("memory.swap.events", text("high 0\nmax 0\nfail 0\n"))
        .with(
            "cpu.max",
            make.limit(|l| l.cpu_quota.map_or_else(|| "max 100000\n".into(), |(q, p)| format!("{q} {p}\n"))),
        )
        .with("cpu.max.burst", make.limit(|_| "0\n".into()))
        .with("cpu.weight", make.limit(|l| format!("{}\n", l.cpu_shares.map_or(100, weight))))
        .with("cpu.weight.nice", make.limit(|_| "0\n".into()))
        .with("cpu.idle", make.limit(|_| "0\n".into()))
        .with("cpu.stat", make.of(cpu_stat))
        .with("cpuset.cpus", make.limit(|l| format!("{}\n", l.cpuset.clone().unwrap_or_default())))
        .with("cpuset.cpus.effective", make.of(all_cpus))
        .with("cpuset.cpus.partition", make.limit(|_| "member\n".into()))
        .with("cpuset.mems", make.limit(|_| "\n".into()))
        .with("cpuset.mems.effective", text("0\n"))
        .with("pids.max", make.limit(|l| max(l.pids)))
        .with("pids.current", make.of(tasks))
        .with("pids.peak", make.of(tasks))
        .with("pids.events", text("max 0\n"))
        .with("io.stat", text(""))
        .with("io.max", make.limit(|_| String::new()))
        .with("io.weight", make.limit(|_| "default 100\n".into()));
    for name in ["cpu.pressure", "io.pressure", "memory.pressure"] {
        dir.add(name, text(PRESSURE));
    }
    Child { mode: 0o755, ..dir.child() }
}

/// What version 1 shows for no limit: the largest multiple of a page.
const UNLIMITED: u64 = 0x7fff_ffff_ffff_f000;

/// The directory of a hierarchy with these controllers.
fn hierarchy(make: &Make, controllers: &str) -> Child {
    let dir = StaticDir::new()
        .with("cgroup.procs", make.members(false))
        .with("tasks", make.members(true))
        .with("cgroup.clone_children", text("0\n"))
        .with("notify_on_release", text("0\n"));
    let dir = controllers.split(',').fold(dir, |dir, name| controller(dir, make, name));
    Child { mode: 0o755, ..dir.child() }
}

/// Adds the files of a controller.
fn controller(dir: StaticDir, make: &Make, name: &str) -> StaticDir {
    match name {
        "memory" => dir
            .with("memory.limit_in_bytes", make.limit(|l| format!("{}\n", l.memory.unwrap_or(UNLIMITED))))
            .with("memory.soft_limit_in_bytes", make.limit(|_| format!("{UNLIMITED}\n")))
            .with("memory.memsw.limit_in_bytes", make.limit(|l| format!("{}\n", l.memory_swap.unwrap_or(UNLIMITED))))
            .with("memory.usage_in_bytes", make.of(|k| format!("{}\n", used_memory(k))))
            .with("memory.max_usage_in_bytes", make.of(|k| format!("{}\n", used_memory(k))))
            .with("memory.memsw.usage_in_bytes", make.of(|k| format!("{}\n", used_memory(k))))
            .with("memory.failcnt", text("0\n"))
            .with("memory.swappiness", text("60\n"))
            .with("memory.use_hierarchy", text("1\n"))
            .with("memory.oom_control", text("oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"))
            .with(
                "memory.stat",
                make.of(|k| {
                    let (used, limit) = (used_memory(k), limits().memory.unwrap_or(UNLIMITED));
                    format!(
                        "cache 0\nrss {used}\nmapped_file 0\nswap 0\ninactive_anon 0\nactive_anon {used}\ninactive_file 0\n\
                         active_file 0\nunevictable 0\nhierarchical_memory_limit {limit}\ntotal_cache 0\ntotal_rss {used}\n\
                         total_inactive_file 0\ntotal_active_file 0\n"
                    )
                }),
            ),
        "cpu" => dir
            .with("cpu.cfs_quota_us", make.limit(|l| l.cpu_quota.map_or_else(|| "-1\n".into(), |(q, _)| format!("{q}\n"))))
            .with("cpu.cfs_period_us", make.limit(|l| format!("{}\n", l.cpu_quota.map_or(100_000, |(_, p)| p))))
            .with("cpu.shares", make.limit(|l| format!("{}\n", l.cpu_shares.unwrap_or(1024))))
            .with("cpu.stat", text("nr_periods 0\nnr_throttled 0\nthrottled_time 0\n")),
        "cpuacct" => dir
            .with("cpuacct.usage", make.of(|k| format!("{}\n", cpu_times(k).0 + cpu_times(k).1)))
            .with("cpuacct.usage_user", make.of(|k| format!("{}\n", cpu_times(k).0)))
            .with("cpuacct.usage_sys", make.of(|k| format!("{}\n", cpu_times(k).1)))
            .with(
                "cpuacct.stat",
                make.of(|k| {
                    let (user, system) = cpu_times(k);
                    format!("user {}\nsystem {}\n", user / 10_000_000, system / 10_000_000)
                }),
            ),
        "cpuset" => dir
            .with("cpuset.cpus", make.of(all_cpus))
            .with("cpuset.effective_cpus", make.of(all_cpus))
            .with("cpuset.mems", text("0\n"))
            .with("cpuset.effective_mems", text("0\n")),
        "pids" => dir.with("pids.max", make.limit(|l| max(l.pids))).with("pids.current", make.of(tasks)),
        "freezer" => dir.with("freezer.state", text("THAWED\n")),
        "devices" => dir.with("devices.list", text("a *:* rwm\n")),
        _ => dir,
    }
}

/// The controllers that mount options name, or `name=...`; empty where they name none.
fn asked_for(data: &str) -> String {
    let known = |o: &&str| CONTROLLERS.contains(o) || OTHERS.contains(o) || o.starts_with("name=");
    data.split(',').filter(known).collect::<Vec<_>>().join(",")
}

fn version1(make: &Make, data: &str) -> Child {
    let asked = asked_for(data);
    if !asked.is_empty() {
        return hierarchy(make, &asked);
    }
    // Without any, there is a directory for each.
    let dir = CONTROLLERS.iter().fold(StaticDir::new(), |dir, name| dir.with(name, hierarchy(make, name)));
    Child { mode: 0o755, ..dir.child() }
}

/// A hierarchy of version 2 (`cgroup2`) or 1 (with the controllers that `data` names) in which the container's cgroup is at `path`;
/// nothing is shown of what is above it.
pub fn at_path(kernel: &Arc<Kernel>, version: u8, data: &str, path: &str) -> Mounted {
    let make = Make(Arc::downgrade(kernel));
    let (name, magic, group) = match version {
        1 => ("cgroup", CGROUP_SUPER_MAGIC, version1(&make, data)),
        _ => ("cgroup2", CGROUP2_SUPER_MAGIC, version2(&make)),
    };
    let within =
        |inner: Child, name: &str| Child { mode: 0o755, ..StaticDir::new().with(name, inner).child() };
    let root = path.split('/').rev().filter(|part| !part.is_empty()).fold(group, within);
    let mut options = if version == 1 { asked_for(data) } else { String::new() };
    if !options.is_empty() {
        options.insert(0, ',');
    }
    let fs = PseudoFs::new(&kernel.vfs, name, magic, options);
    let root = PseudoInode::root(&fs, root);
    (fs, root)
}

/// Makes the types known.
pub fn register(kernel: &Arc<Kernel>) {
    for (name, version) in [("cgroup", 1), ("cgroup2", 2)] {
        let kernel_of = Arc::downgrade(kernel);
        kernel.vfs.register_type(FileSystemType {
            name,
            user_mountable: true,
            nodev: true,
            mount: Arc::new(move |args| {
                let kernel = kernel_of.upgrade().ok_or(Errno::EIO)?;
                Ok(at_path(&kernel, version, args.data, "/"))
            }),
        });
    }
}
