//! `/sys/devices/system/cpu`: one package, a core for each processor.

use crate::{
    proc::status,
    pseudo::{Child, StaticDir, text},
};
use kernel::Kernel;
use std::sync::Arc;

fn all(kernel: &Kernel) -> Vec<u64> {
    let full = |word: usize| {
        let left = kernel.cpus.saturating_sub(word * 64).min(64);
        if left == 64 { u64::MAX } else { (1 << left) - 1 }
    };
    (0..kernel.cpus.div_ceil(64).max(1)).map(full).collect()
}

/// All processors, as ranges.
pub(super) fn list(kernel: &Kernel) -> String {
    format!("{}\n", status::list(&all(kernel), kernel.cpus))
}

/// All processors, as a mask.
pub(super) fn map(kernel: &Kernel) -> String {
    format!("{}\n", status::mask(&all(kernel), kernel.cpus))
}

fn one(cpu: usize, cpus: usize) -> (String, String) {
    let mut words = vec![0u64; cpus.div_ceil(64).max(1)];
    if let Some(word) = words.get_mut(cpu / 64) {
        *word |= 1 << (cpu % 64);
    }
    (format!("{}\n", status::mask(&words, cpus)), format!("{cpu}\n"))
}

/// Level, type, size in KiB, ways, whether all processors share it.
const CACHES: [(u32, &str, u32, u32, bool); 4] = [
    (1, "Data", 32, 8, false),
    (1, "Instruction", 32, 8, false),
    (2, "Unified", 1024, 16, false),
    (3, "Unified", 32768, 16, true),
];

fn caches(cpu: usize, kernel: &Kernel) -> Child {
    let mut dir = StaticDir::new();
    for (index, (level, kind, kib, ways, shared)) in CACHES.into_iter().enumerate() {
        let (mask, list) = if shared { (map(kernel), list(kernel)) } else { one(cpu, kernel.cpus) };
        let id = if shared { 0 } else { cpu };
        let cache = StaticDir::new()
            .with("level", text(format!("{level}\n")))
            .with("type", text(format!("{kind}\n")))
            .with("size", text(format!("{kib}K\n")))
            .with("coherency_line_size", text("64\n"))
            .with("physical_line_partition", text("1\n"))
            .with("ways_of_associativity", text(format!("{ways}\n")))
            .with("number_of_sets", text(format!("{}\n", kib * 1024 / 64 / ways)))
            .with("id", text(format!("{id}\n")))
            .with("shared_cpu_map", text(mask))
            .with("shared_cpu_list", text(list));
        dir.add(&format!("index{index}"), cache.child());
    }
    dir.child()
}

fn topology(cpu: usize, kernel: &Kernel) -> Child {
    let (own_mask, own_list) = one(cpu, kernel.cpus);
    let (all_mask, all_list) = (map(kernel), list(kernel));
    let mut dir = StaticDir::new()
        .with("core_id", text(format!("{cpu}\n")))
        .with("physical_package_id", text("0\n"))
        .with("die_id", text("0\n"))
        .with("cluster_id", text("65535\n"));
    for name in ["thread_siblings", "core_cpus"] {
        dir.add(name, text(own_mask.clone()));
        dir.add(&format!("{name}_list"), text(own_list.clone()));
    }
    for name in ["core_siblings", "package_cpus", "die_cpus"] {
        dir.add(name, text(all_mask.clone()));
        dir.add(&format!("{name}_list"), text(all_list.clone()));
    }
    dir.child()
}

/// The directory.
pub(super) fn directory(kernel: &Arc<Kernel>) -> Child {
    let mut dir = StaticDir::new()
        .with("offline", text("\n"))
        .with("isolated", text("\n"))
        .with("kernel_max", text("8191\n"))
        .with("cpufreq", StaticDir::new().child())
        .with("cpuidle", StaticDir::new().with("current_driver", text("none\n")).child())
        .with(
            "smt",
            StaticDir::new().with("active", text("0\n")).with("control", text("notsupported\n")).child(),
        )
        .with("vulnerabilities", StaticDir::new().child());
    for name in ["online", "possible", "present"] {
        dir.add(name, text(list(kernel)));
    }
    for cpu in 0..kernel.cpus {
        let one = StaticDir::new()
            .with("topology", topology(cpu, kernel))
            .with("cache", caches(cpu, kernel))
            .with("online", text("1\n"))
            .with("node0", crate::pseudo::link("../../node/node0"));
        dir.add(&format!("cpu{cpu}"), one.child());
    }
    dir.child()
}
