//! sysfs (`sysfs(5)`): what programs look up about processors ([`cpu`]), memory nodes and network interfaces ([`net`]).
//!
//! The tree is made once for a kernel; its files ask the kernel when they are read. **Absent on purpose:** everything about
//! real devices, of which there are none; events (`uevent`).

mod cpu;
mod net;

use crate::{
    proc::system,
    pseudo::{Child, PseudoFs, PseudoInode, StaticDir, text, writable},
};
use abi::{Errno, stat::SYSFS_MAGIC};
use kernel::Kernel;
use std::sync::Arc;
use vfs::{FileSystem, FileSystemType, Inode};

fn empty() -> Child {
    StaticDir::new().child()
}

/// A directory of empty directories.
fn of_empty(names: &[&str]) -> StaticDir {
    let mut dir = StaticDir::new();
    for name in names {
        dir.add(name, empty());
    }
    dir
}

fn node(kernel: &Arc<Kernel>) -> Child {
    let mut node0 = StaticDir::new()
        .with("cpulist", system::of_kernel(kernel, cpu::list))
        .with("cpumap", system::of_kernel(kernel, cpu::map))
        .with("distance", text("10\n"))
        .with("meminfo", system::of_kernel(kernel, system::node_meminfo))
        .with(
            "numastat",
            text("numa_hit 0\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 0\nlocal_node 0\nother_node 0\n"),
        );
    for cpu in 0..kernel.cpus {
        node0.add(&format!("cpu{cpu}"), crate::pseudo::link(format!("../../cpu/cpu{cpu}")));
    }
    let mut dir = StaticDir::new().with("node0", node0.child());
    for name in ["online", "possible", "has_cpu", "has_memory", "has_normal_memory"] {
        dir.add(name, text("0\n"));
    }
    dir.child()
}

/// Files of `/sys/kernel/mm/ksm`.
const KSM: [(&str, &str); 10] = [
    ("pages_to_scan", "100\n"),
    ("sleep_millisecs", "20\n"),
    ("max_page_sharing", "256\n"),
    ("merge_across_nodes", "1\n"),
    ("use_zero_pages", "0\n"),
    ("pages_shared", "0\n"),
    ("pages_sharing", "0\n"),
    ("pages_unshared", "0\n"),
    ("pages_volatile", "0\n"),
    ("full_scans", "0\n"),
];

fn kernel_dir() -> Child {
    // No huge pages are given to applications: what is asked for is refused.
    let refused = |shown: &'static str| writable(0o644, move || Ok(shown), |_| Err(Errno::EINVAL));
    let huge = StaticDir::new()
        .with("enabled", refused("always madvise [never]\n"))
        .with("defrag", refused("always defer defer+madvise madvise [never]\n"))
        .with("shmem_enabled", refused("always within_size advise [never] deny force\n"))
        .with("use_zero_page", text("0\n"))
        .with("hpage_pmd_size", text("2097152\n"));
    let pages = StaticDir::new()
        .with("nr_hugepages", refused("0\n"))
        .with("free_hugepages", text("0\n"))
        .with("resv_hugepages", text("0\n"))
        .with("surplus_hugepages", text("0\n"))
        .with("nr_overcommit_hugepages", refused("0\n"));
    // As on a Linux where nobody has switched it on: pages may be marked as mergeable, and none is merged.
    let mut ksm = StaticDir::new().with("run", refused("0\n"));
    for (name, shown) in KSM {
        ksm = ksm.with(name, text(shown));
    }
    let mm = of_empty(&["swap"])
        .with("ksm", ksm.child())
        .with("transparent_hugepage", huge.child())
        .with("hugepages", StaticDir::new().with("hugepages-2048kB", pages.child()).child());
    of_empty(&["debug", "tracing", "security", "config", "iommu_groups"])
        .with("mm", mm.child())
        .with("uevent_seqnum", text("1\n"))
        .with("profiling", text("0\n"))
        .with("fscaps", text("1\n"))
        .with("vmcoreinfo", text("0 0\n"))
        .child()
}

fn tree(kernel: &Arc<Kernel>) -> Child {
    let system = of_empty(&["clockevents", "memory"])
        .with("cpu", cpu::directory(kernel))
        .with("node", node(kernel))
        .with("clocksource", clock_source());
    let devices = of_empty(&["platform", "pci0000:00", "software"])
        .with("system", system.child())
        .with("virtual", of_empty(&["tty", "mem", "misc", "block"]).with("net", net::directory()).child());
    of_empty(&["block", "firmware", "hypervisor", "power"])
        .with("bus", of_empty(&["cpu", "node", "pci", "platform", "virtio"]).child())
        .with(
            "class",
            of_empty(&["block", "mem", "misc", "tty", "dmi", "thermal", "hwmon"])
                .with("net", net::class())
                .child(),
        )
        .with("dev", of_empty(&["block", "char"]).child())
        .with("devices", devices.child())
        .with("fs", of_empty(&["cgroup", "bpf", "pstore", "selinux", "fuse"]).child())
        .with("kernel", kernel_dir())
        .with("module", empty())
        .child()
}

fn clock_source() -> Child {
    let source = StaticDir::new()
        .with("available_clocksource", text("tsc \n"))
        .with("current_clocksource", writable(0o644, || Ok("tsc\n"), |_| Err(Errno::EPERM)));
    StaticDir::new().with("clocksource0", source.child()).child()
}

/// Makes the type known.
pub fn register(kernel: &Arc<Kernel>) {
    let root = tree(kernel);
    kernel.vfs.register_type(FileSystemType {
        name: "sysfs",
        user_mountable: true,
        nodev: true,
        mount: Arc::new(move |args| {
            let fs = PseudoFs::new(&args.ctx.vfs, "sysfs", SYSFS_MAGIC, String::new());
            let root = PseudoInode::root(&fs, root.clone());
            Ok((fs as Arc<dyn FileSystem>, root as Arc<dyn Inode>))
        }),
    });
}
