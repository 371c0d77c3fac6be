//! The files of `/proc` about the system as a whole.

use super::sysctl::RELEASE;
use crate::pseudo::{Child, StaticDir, file, text, writable};
use abi::{Errno, stat::dev};
use kernel::{Kernel, ipc::IpcNamespace, time::clock::realtime_ns};
use ksync::{Mutex, rank};
use std::{
    fmt::Write,
    sync::{Arc, OnceLock, Weak, atomic::Ordering},
};
use vfs::{Credentials, devices::DeviceKind, locks};

static CPUINFO: OnceLock<Vec<u8>> = OnceLock::new();

/// What `/proc/cpuinfo` shows: the host's text, of which as many processors are shown as applications see. Before the first
/// file is read; only the first call counts.
pub fn set_cpuinfo(text: Vec<u8>) {
    let _ = CPUINFO.set(text);
}

type Show = fn(&Kernel) -> String;

/// The entries but `sys`, processes and links.
pub(super) fn files(kernel: &Arc<Kernel>) -> StaticDir {
    let mut dir = StaticDir::new();
    let shown: &[(&str, Show)] = &[
        ("meminfo", meminfo),
        ("cpuinfo", cpuinfo),
        ("stat", stat),
        ("uptime", uptime),
        ("loadavg", loadavg),
        ("filesystems", filesystems),
        ("devices", devices),
        ("interrupts", interrupts),
        ("softirqs", softirqs),
        ("vmstat", vmstat),
        ("zoneinfo", zoneinfo),
        ("buddyinfo", |_| {
            "Node 0, zone   Normal      0      0      0      0      0      0      0      0      0      0      0 \n".into()
        }),
        ("locks", lock_list),
        ("schedstat", |_| "version 16\ntimestamp 0\n".into()),
    ];
    for (name, show) in shown {
        dir.add(name, of_kernel(kernel, *show));
    }
    let fixed: &[(&str, &str)] = &[
        ("cmdline", "BOOT_IMAGE=/vmlinuz quiet\n"),
        ("diskstats", ""),
        ("partitions", ""),
        ("swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
        ("modules", ""),
        ("misc", ""),
        ("execdomains", "0-0\tLinux           \t[kernel]\n"),
        ("fb", ""),
        ("dma", ""),
        ("iomem", ""),
        ("ioports", ""),
        ("crypto", ""),
        ("consoles", "tty0                 -WU (EC  p  )    4:1\n"),
        (
            "cgroups",
            "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t0\t1\t1\ncpu\t0\t1\t1\ncpuacct\t0\t1\t1\nmemory\t0\t1\t1\npids\t0\t1\t1\n",
        ),
    ];
    for (name, content) in fixed {
        dir.add(name, text(*content));
    }
    dir.add("version", text(format!("Linux version {RELEASE} (runsc-rs) {}\n", super::sysctl::VERSION)));
    dir.add("sysrq-trigger", writable(0o200, || Ok(""), |_| Err(Errno::EPERM)));
    let ipc = StaticDir::new()
        .with("shm", ipc_table(|ipc, reader| ipc.shm_text(reader)))
        .with("sem", ipc_table(|ipc, reader| ipc.sem_text(reader)))
        .with("msg", ipc_table(|ipc, reader| ipc.msg_text(reader)));
    dir.add("sysvipc", ipc.child());
    dir.add("driver", StaticDir::new().with("rtc", text("")).child());
    dir.add("fs", StaticDir::new().child());
    dir.add("bus", StaticDir::new().child());
    dir.add("irq", StaticDir::new().child());
    dir.add("tty", StaticDir::new().with("drivers", text(TTY_DRIVERS)).child());
    dir
}

const TTY_DRIVERS: &str = "/dev/tty             /dev/tty        5       0 system:/dev/tty\n\
/dev/console         /dev/console    5       1 system:console\n\
/dev/ptmx            /dev/ptmx       5       2 system\n\
pty_slave            /dev/pts      136 0-1048575 pty:slave\n\
pty_master           /dev/ptm      128 0-1048575 pty:master\n";

/// A file whose text `show` makes.
pub(crate) fn of_kernel(kernel: &Arc<Kernel>, show: Show) -> Child {
    let kernel: Weak<Kernel> = Arc::downgrade(kernel);
    file(move || kernel.upgrade().map(|k| show(&k)).ok_or(Errno::EIO))
}

/// Bytes of memory that are in use.
pub(crate) fn used_memory(kernel: &Kernel) -> u64 {
    kernel.memory.resident_bytes().min(kernel.memory_bytes)
}

pub(crate) fn meminfo(kernel: &Kernel) -> String {
    let total = kernel.memory_bytes;
    let used = used_memory(kernel);
    let free = total - used;
    let mut t = String::with_capacity(1600);
    for (name, bytes) in [
        ("MemTotal", total),
        ("MemFree", free),
        ("MemAvailable", free),
        ("Buffers", 0),
        ("Cached", 0),
        ("SwapCached", 0),
        ("Active", used),
        ("Inactive", 0),
        ("Active(anon)", used),
        ("Inactive(anon)", 0),
        ("Active(file)", 0),
        ("Inactive(file)", 0),
        ("Unevictable", 0),
        ("Mlocked", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", 0),
        ("Writeback", 0),
        ("AnonPages", used),
        ("Mapped", 0),
        ("Shmem", 0),
        ("KReclaimable", 0),
        ("Slab", 0),
        ("SReclaimable", 0),
        ("SUnreclaim", 0),
        ("KernelStack", 0),
        ("PageTables", 0),
        ("SecPageTables", 0),
        ("NFS_Unstable", 0),
        ("Bounce", 0),
        ("WritebackTmp", 0),
        ("CommitLimit", total / 2),
        ("Committed_AS", kernel.memory.used_bytes()),
        ("VmallocTotal", 1 << 45),
        ("VmallocUsed", 0),
        ("VmallocChunk", 0),
        ("Percpu", 0),
        ("AnonHugePages", 0),
        ("ShmemHugePages", 0),
        ("ShmemPmdMapped", 0),
        ("FileHugePages", 0),
        ("FilePmdMapped", 0),
    ] {
        let _ = writeln!(t, "{:<16}{:>8} kB", format!("{name}:"), bytes >> 10);
    }
    for name in ["HugePages_Total", "HugePages_Free", "HugePages_Rsvd", "HugePages_Surp"] {
        let _ = writeln!(t, "{:<16}{:>8}", format!("{name}:"), 0);
    }
    for (name, kb) in [("Hugepagesize", 2048), ("Hugetlb", 0), ("DirectMap4k", total >> 10)] {
        let _ = writeln!(t, "{:<16}{kb:>8} kB", format!("{name}:"));
    }
    t
}

/// `meminfo` of the only node.
pub(crate) fn node_meminfo(kernel: &Kernel) -> String {
    let used = used_memory(kernel);
    let free = kernel.memory_bytes - used;
    let line = |name: &str, bytes: u64| format!("Node 0 {:<16}{:>8} kB\n", format!("{name}:"), bytes >> 10);
    [
        ("MemTotal", kernel.memory_bytes),
        ("MemFree", free),
        ("MemUsed", used),
        ("Active", used),
        ("AnonPages", used),
    ]
    .map(|(name, bytes)| line(name, bytes))
    .concat()
}

/// The host's text with as many processors as there are here, numbered from 0.
fn cpuinfo(kernel: &Kernel) -> String {
    let host = CPUINFO.get().map(|b| String::from_utf8_lossy(b).into_owned()).unwrap_or_default();
    let blocks: Vec<&str> = host.split("\n\n").filter(|b| b.starts_with("processor")).collect();
    let mut t = String::new();
    for cpu in 0..kernel.cpus {
        match blocks.get(cpu % blocks.len().max(1)) {
            Some(block) => {
                let rest = block.split_once('\n').map_or("", |(_, rest)| rest);
                let _ = writeln!(t, "processor\t: {cpu}");
                for line in rest.lines() {
                    let key = line.split('\t').next().unwrap_or_default();
                    let _ = match key {
                        "core id" | "apicid" | "initial apicid" => {
                            let (name, _) = line.split_once(':').unwrap_or((line, ""));
                            writeln!(t, "{name}: {cpu}")
                        }
                        "siblings" | "cpu cores" => {
                            let (name, _) = line.split_once(':').unwrap_or((line, ""));
                            writeln!(t, "{name}: {}", kernel.cpus)
                        }
                        "physical id" => {
                            let (name, _) = line.split_once(':').unwrap_or((line, ""));
                            writeln!(t, "{name}: 0")
                        }
                        _ => writeln!(t, "{}", line.trim_end_matches('\n')),
                    };
                }
                t.push('\n');
            }
            None => {
                let _ = write!(
                    t,
                    "processor\t: {cpu}\nvendor_id\t: unknown\ncpu family\t: 6\nmodel\t\t: 0\nmodel name\t: unknown\n\
                     physical id\t: 0\nsiblings\t: {n}\ncore id\t\t: {cpu}\ncpu cores\t: {n}\nfpu\t\t: yes\n\
                     flags\t\t: fpu tsc cx8 cmov mmx fxsr sse sse2 syscall nx lm\n\n",
                    n = kernel.cpus
                );
            }
        }
    }
    t
}

/// CPU time of all processes there are and have been waited for: user and system, in nanoseconds.
pub(crate) fn cpu_times(kernel: &Kernel) -> (u64, u64) {
    let groups: Vec<_> = kernel.tree.lock().nodes.values().map(|n| n.group.clone()).collect();
    groups.iter().fold((0, 0), |(user, system), group| {
        let (u, s) = group.times_ns();
        (
            user + u + group.children_user_ns.load(Ordering::Relaxed),
            system + s + group.children_system_ns.load(Ordering::Relaxed),
        )
    })
}

fn up_ns(kernel: &Kernel) -> u64 {
    kernel.monotonic_ns().saturating_sub(kernel.boot_ns)
}

fn stat(kernel: &Kernel) -> String {
    const TICK: u64 = 10_000_000;
    let (user, system) = cpu_times(kernel);
    let up = up_ns(kernel);
    let cpus = kernel.cpus.max(1) as u64;
    let idle = (up * cpus).saturating_sub(user + system);
    let mut t = String::new();
    let _ = writeln!(t, "cpu  {} 0 {} {} 0 0 0 0 0 0", user / TICK, system / TICK, idle / TICK);
    for cpu in 0..cpus {
        let (u, s, i) = (user / TICK / cpus, system / TICK / cpus, idle / TICK / cpus);
        let _ = writeln!(t, "cpu{cpu} {u} 0 {s} {i} 0 0 0 0 0 0");
    }
    let boot = realtime_ns().saturating_sub(up) / 1_000_000_000;
    let _ = writeln!(t, "intr 0\nctxt 0\nbtime {boot}\nprocesses {}", kernel.root_pid_ns.last());
    let _ = writeln!(t, "procs_running {}\nprocs_blocked 0", kernel.running().max(1));
    t.push_str("softirq 0 0 0 0 0 0 0 0 0 0 0\n");
    t
}

fn uptime(kernel: &Kernel) -> String {
    // A sandbox is younger than any machine: programs divide by this.
    let up = up_ns(kernel).max(10_000_000);
    let (user, system) = cpu_times(kernel);
    let idle = (up * kernel.cpus.max(1) as u64).saturating_sub(user + system);
    let shown = |ns: u64| format!("{}.{:02}", ns / 1_000_000_000, ns / 10_000_000 % 100);
    format!("{} {}\n", shown(up), shown(idle))
}

/// The load averages of 1, 5 and 15 minutes.
///
/// They are worked out when somebody asks, from the CPU time that was used since somebody last did: nothing wakes an idle
/// sandbox to take samples. What waits for a CPU is not counted, so there is never more load than there are CPUs.
pub fn load_averages(kernel: &Kernel) -> [f64; 3] {
    struct Load {
        at_ns: u64,
        cpu_ns: u64,
        averages: [f64; 3],
    }
    static LOAD: Mutex<Load> = Mutex::new(rank::LEAF, Load { at_ns: 0, cpu_ns: 0, averages: [0.0; 3] });
    let (user, system) = cpu_times(kernel);
    let (now, used) = (up_ns(kernel), user + system);
    let mut load = LOAD.lock();
    let passed = now.saturating_sub(load.at_ns) as f64 / 1e9;
    if passed >= 0.1 {
        let busy = used.saturating_sub(load.cpu_ns) as f64 / 1e9 / passed;
        let busy = busy.min(kernel.cpus as f64);
        for (average, minutes) in load.averages.iter_mut().zip([1.0, 5.0, 15.0]) {
            let kept = (-passed / (60.0 * minutes)).exp();
            *average = *average * kept + busy * (1.0 - kept);
        }
        (load.at_ns, load.cpu_ns) = (now, used);
    }
    load.averages
}

fn loadavg(kernel: &Kernel) -> String {
    let (running, all) = (kernel.running(), kernel.tasks().len());
    let ns = kernel::current().map_or_else(|| kernel.root_pid_ns.clone(), |c| c.pid_namespace());
    let [one, five, fifteen] = load_averages(kernel);
    format!("{one:.2} {five:.2} {fifteen:.2} {running}/{all} {}\n", ns.last())
}

fn filesystems(kernel: &Kernel) -> String {
    let shown = |t: vfs::FileSystemType| format!("{}\t{}\n", if t.nodev { "nodev" } else { "" }, t.name);
    kernel.vfs.fs_types().into_iter().map(shown).collect()
}

fn devices(kernel: &Kernel) -> String {
    let all = kernel.vfs.devices.list();
    let of = |kind: DeviceKind| {
        let lines = all.iter().filter(move |(k, ..)| *k == kind);
        lines.map(|(_, major, name)| format!("{major:3} {name}\n")).collect::<String>()
    };
    format!("Character devices:\n{}\nBlock devices:\n{}", of(DeviceKind::Char), of(DeviceKind::Block))
}

fn cpu_columns(kernel: &Kernel) -> String {
    (0..kernel.cpus).map(|cpu| format!("{:<11}", format!("CPU{cpu}"))).collect()
}

fn interrupts(kernel: &Kernel) -> String {
    let zeros: String = (0..kernel.cpus).map(|_| format!("{:>10} ", 0)).collect();
    format!(
        "           {}\nNMI: {zeros}  Non-maskable interrupts\nLOC: {zeros}  Local timer interrupts\n",
        cpu_columns(kernel)
    )
}

fn softirqs(kernel: &Kernel) -> String {
    let zeros: String = (0..kernel.cpus).map(|_| format!(" {:>10}", 0)).collect();
    let mut t = format!("                    {}\n", cpu_columns(kernel));
    for name in ["HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU"]
    {
        let _ = writeln!(t, "{name:>12}:{zeros}");
    }
    t
}

fn vmstat(kernel: &Kernel) -> String {
    let used = used_memory(kernel) / mem::PAGE_SIZE;
    let free = kernel.memory_bytes / mem::PAGE_SIZE - used;
    let mut t = format!("nr_free_pages {free}\nnr_active_anon {used}\nnr_anon_pages {used}\n");
    for name in [
        "nr_inactive_anon",
        "nr_inactive_file",
        "nr_active_file",
        "nr_unevictable",
        "nr_mlock",
        "nr_mapped",
        "nr_file_pages",
        "nr_dirty",
        "nr_writeback",
        "nr_shmem",
        "pgpgin",
        "pgpgout",
        "pswpin",
        "pswpout",
        "pgalloc_normal",
        "pgfree",
        "pgactivate",
        "pgdeactivate",
        "pgfault",
        "pgmajfault",
        "oom_kill",
        "thp_fault_alloc",
        "thp_collapse_alloc",
    ] {
        let _ = writeln!(t, "{name} 0");
    }
    t
}

fn zoneinfo(kernel: &Kernel) -> String {
    let pages = kernel.memory_bytes / mem::PAGE_SIZE;
    let free = pages - used_memory(kernel) / mem::PAGE_SIZE;
    format!(
        "Node 0, zone   Normal\n  pages free     {free}\n        boost    0\n        min      {m}\n        low      {l}\n        high     {h}\n        \
         spanned  {pages}\n        present  {pages}\n        managed  {pages}\n  node_unreclaimable:  0\n  start_pfn:           0\n",
        m = pages / 256,
        l = pages / 200,
        h = pages / 170,
    )
}

fn lock_list(_: &Kernel) -> String {
    let mut t = String::new();
    let caller = kernel::current();
    for (number, lock) in locks::list().into_iter().enumerate() {
        let pid = match (&caller, u32::try_from(lock.pid)) {
            (Some(caller), Ok(root)) if root > 0 => caller.shown_number(root) as i32,
            _ => lock.pid,
        };
        let (major, minor) = (dev::major(lock.dev), dev::minor(lock.dev));
        let end = lock.end.map_or_else(|| "EOF".to_owned(), |e| e.to_string());
        let _ = writeln!(
            t,
            "{}: {:<6} {:<9} {:<5} {pid} {major:02x}:{minor:02x}:{} {} {end}",
            number + 1,
            lock.class,
            lock.state,
            lock.kind,
            lock.ino,
            lock.start,
        );
    }
    t
}

/// A table of the caller's IPC namespace.
fn ipc_table(show: fn(&IpcNamespace, &Credentials) -> String) -> Child {
    file(move || {
        let task = kernel::current().ok_or(Errno::EIO)?;
        Ok(show(&*task.ipc()?, &task.cred()))
    })
}
