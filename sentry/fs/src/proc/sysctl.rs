//! `/proc/sys` (`proc_sys(5)`): settings. Those that mean something here act on it; others remember what is written.

use super::settings::parse;
use crate::pseudo::{Child, StaticDir, file, text, writable};
use abi::{Errno, process::Cap};
use kernel::{Kernel, current, ipc::MqLimits, namespaces::UtsNames, pid::PID_MAX};
use ksync::{Mutex, rank};
use net::NetNamespace;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering},
};
use vfs::Vfs;

/// `uname -r`.
pub(crate) const RELEASE: &str = "6.12.0-runsc-rs";
/// `uname -v`.
pub(crate) const VERSION: &str = "#1 SMP PREEMPT_DYNAMIC runsc-rs";

/// A number that is remembered, within bounds.
fn number(value: i64, min: i64, max: i64) -> Child {
    let cell = Arc::new(AtomicI64::new(value));
    let read = cell.clone();
    writable(
        0o644,
        move || Ok(format!("{}\n", read.load(Ordering::Relaxed))),
        move |bytes| {
            let new: i64 = parse(bytes)?;
            if !(min..=max).contains(&new) {
                return Err(Errno::EINVAL);
            }
            cell.store(new, Ordering::Relaxed);
            Ok(())
        },
    )
}

/// A number that is not negative.
fn count(value: i64) -> Child {
    number(value, 0, i64::MAX)
}

/// A text that is remembered.
fn words(value: &str) -> Child {
    let cell = Arc::new(Mutex::new(rank::LEAF, value.to_owned()));
    let read = cell.clone();
    writable(
        0o644,
        move || Ok(format!("{}\n", *read.lock())),
        move |bytes| {
            let line = bytes.split(|b| *b == b'\n' || *b == 0).next().unwrap_or_default();
            let new = String::from_utf8(line.to_vec()).map_err(|_| Errno::EINVAL)?;
            let words: Vec<&str> = new.split_ascii_whitespace().collect();
            *cell.lock() = words.join("\t");
            Ok(())
        },
    )
}

/// A text that does not change.
fn fixed(value: impl std::fmt::Display) -> Child {
    text(format!("{value}\n"))
}

/// The names of the caller's UTS namespace.
fn uts_name(pick: fn(&mut UtsNames) -> &mut Vec<u8>) -> Child {
    writable(
        0o644,
        move || {
            let task = current().ok_or(Errno::EIO)?;
            let mut name = pick(&mut task.namespaces().uts.names.lock()).clone();
            if name.is_empty() {
                name.extend_from_slice(b"(none)");
            }
            name.push(b'\n');
            Ok(name)
        },
        move |bytes| {
            let task = current().ok_or(Errno::EIO)?;
            let uts = task.namespaces().uts.clone();
            if !task.cred().has_cap_in(&uts.user_ns, Cap::SYS_ADMIN) {
                return Err(Errno::EPERM);
            }
            let line = bytes.split(|b| *b == b'\n' || *b == 0).next().unwrap_or_default();
            let cut = line.get(..line.len().min(abi::limits::HOST_NAME_MAX)).unwrap_or_default();
            *pick(&mut uts.names.lock()) = cut.to_vec();
            Ok(())
        },
    )
}

/// 16 random bytes as a version 4 UUID.
fn uuid() -> String {
    let mut b = [0u8; 16];
    let _ = host::random::fill(&mut b);
    let n = u128::from_be_bytes(b) & !(0xf << 76) & !(0x3 << 62) | (4 << 76) | (2 << 62);
    let h = format!("{n:032x}");
    let part = |r: std::ops::Range<usize>| h.get(r).unwrap_or_default().to_owned();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

/// A switch of the VFS.
fn switch(vfs: &Arc<Vfs>, of: fn(&Vfs) -> &AtomicBool) -> Child {
    let (reader, writer) = (Arc::downgrade(vfs), Arc::downgrade(vfs));
    writable(
        0o644,
        move || {
            let vfs = reader.upgrade().ok_or(Errno::EIO)?;
            Ok(format!("{}\n", u8::from(of(&vfs).load(Ordering::Relaxed))))
        },
        move |bytes| {
            let value: u8 = parse(bytes)?;
            let vfs = writer.upgrade().ok_or(Errno::EIO)?;
            of(&vfs).store(if value > 1 { return Err(Errno::EINVAL) } else { value == 1 }, Ordering::Relaxed);
            Ok(())
        },
    )
}

/// A limit of POSIX message queues in the caller's IPC namespace, within bounds.
fn mq_limit((min, max): (i64, i64), of: fn(&MqLimits) -> &AtomicI64) -> Child {
    writable(
        0o644,
        move || {
            let ns = current().ok_or(Errno::EIO)?.ipc()?;
            Ok(format!("{}\n", of(&ns.mq).load(Ordering::Relaxed)))
        },
        move |bytes| {
            let new: i64 = parse(bytes)?;
            if !(min..=max).contains(&new) {
                return Err(Errno::EINVAL);
            }
            of(&current().ok_or(Errno::EIO)?.ipc()?.mq).store(new, Ordering::Relaxed);
            Ok(())
        },
    )
}

/// A setting of the VFS with the values 0, 1 and 2.
fn level(vfs: &Arc<Vfs>, of: fn(&Vfs) -> &AtomicU32) -> Child {
    let (reader, writer) = (Arc::downgrade(vfs), Arc::downgrade(vfs));
    writable(
        0o644,
        move || {
            let vfs = reader.upgrade().ok_or(Errno::EIO)?;
            Ok(format!("{}\n", of(&vfs).load(Ordering::Relaxed)))
        },
        move |bytes| {
            let value: u32 = parse(bytes)?;
            if value > 2 {
                return Err(Errno::EINVAL);
            }
            of(&*writer.upgrade().ok_or(Errno::EIO)?).store(value, Ordering::Relaxed);
            Ok(())
        },
    )
}

fn dir(entries: Vec<(&str, Child)>) -> Child {
    let mut dir = StaticDir::new();
    for (name, child) in entries {
        dir.add(name, child);
    }
    dir.child()
}

/// `/proc/sys`.
pub(super) fn tree(kernel: &Arc<Kernel>) -> Child {
    dir(vec![
        ("kernel", kernel_dir(kernel)),
        ("vm", vm_dir()),
        ("fs", fs_dir(kernel)),
        ("net", net_dir()),
        ("user", user_dir()),
        ("abi", dir(vec![("vsyscall32", number(1, 0, 1))])),
        ("debug", dir(vec![("exception-trace", number(1, 0, 1))])),
        ("dev", dir(vec![])),
    ])
}

fn kernel_dir(kernel: &Arc<Kernel>) -> Child {
    let boot_id = uuid();
    let random = dir(vec![
        ("boot_id", fixed(boot_id)),
        ("uuid", file(|| Ok(format!("{}\n", uuid())))),
        ("entropy_avail", fixed(256)),
        ("poolsize", fixed(256)),
        ("urandom_min_reseed_secs", count(60)),
        ("write_wakeup_threshold", count(256)),
    ]);
    let seccomp = "kill_process kill_thread trap errno user_notif trace log allow";
    let last_pid = || {
        let ns = current().ok_or(Errno::EIO)?.pid_namespace();
        Ok(format!("{}\n", ns.last()))
    };
    let threads = (kernel.memory_bytes / (64 << 10)).clamp(1024, u64::from(PID_MAX)) as i64;
    dir(vec![
        ("hostname", uts_name(|n| &mut n.host)),
        ("domainname", uts_name(|n| &mut n.domain)),
        ("osrelease", fixed(RELEASE)),
        ("ostype", fixed("Linux")),
        ("version", fixed(VERSION)),
        ("arch", fixed("x86_64")),
        ("pid_max", number(i64::from(PID_MAX), 301, i64::from(PID_MAX))),
        ("threads-max", number(threads, 20, i64::from(PID_MAX))),
        ("ns_last_pid", file(last_pid)),
        ("random", random),
        (
            "seccomp",
            dir(vec![
                ("actions_avail", fixed(seccomp)),
                ("actions_logged", words("kill_process kill_thread trap errno user_notif trace log")),
            ]),
        ),
        (
            "keys",
            dir(vec![
                ("maxkeys", count(200)),
                ("maxbytes", count(20_000)),
                ("root_maxkeys", count(1_000_000)),
                ("root_maxbytes", count(25_000_000)),
            ]),
        ),
        ("cap_last_cap", fixed(abi::process::CAP_LAST_CAP)),
        ("ngroups_max", fixed(abi::limits::NGROUPS_MAX)),
        ("sem", words("32000\t1024000000\t500\t32000")),
        ("shmmax", words("18446744073692774399")),
        ("shmall", words("18446744073692774399")),
        ("shmmni", number(4096, 0, 32768)),
        ("shm_rmid_forced", number(0, 0, 1)),
        ("msgmax", count(8192)),
        ("msgmnb", count(16384)),
        ("msgmni", number(32000, 0, 32768)),
        ("auto_msgmni", number(0, 0, 1)),
        ("core_pattern", words("core")),
        ("core_uses_pid", number(0, 0, 1)),
        ("core_pipe_limit", count(0)),
        ("overflowuid", number(65534, 0, 65535)),
        ("overflowgid", number(65534, 0, 65535)),
        ("unprivileged_userns_clone", number(1, 0, 1)),
        ("unprivileged_bpf_disabled", number(2, 0, 2)),
        ("perf_event_paranoid", number(4, -1, 4)),
        ("perf_event_max_sample_rate", count(100_000)),
        ("perf_event_mlock_kb", count(516)),
        ("kptr_restrict", number(1, 0, 2)),
        ("dmesg_restrict", number(1, 0, 1)),
        ("tainted", count(0)),
        ("randomize_va_space", number(2, 0, 2)),
        ("printk", words("4\t4\t1\t7")),
        ("printk_ratelimit", count(5)),
        ("printk_devkmsg", words("on")),
        ("panic", number(0, -1, i64::from(i32::MAX))),
        ("panic_on_oops", number(0, 0, 1)),
        ("hung_task_timeout_secs", count(120)),
        ("hung_task_panic", number(0, 0, 1)),
        ("softlockup_panic", number(0, 0, 1)),
        ("watchdog", number(0, 0, 1)),
        ("nmi_watchdog", number(0, 0, 1)),
        ("numa_balancing", number(0, 0, 1)),
        ("sched_child_runs_first", number(0, 0, 1)),
        ("sched_autogroup_enabled", number(1, 0, 1)),
        ("sched_rt_period_us", count(1_000_000)),
        ("sched_rt_runtime_us", number(950_000, -1, 1_000_000)),
        ("sched_rr_timeslice_ms", count(100)),
        ("sched_schedstats", number(0, 0, 1)),
        ("sysrq", number(0, 0, 511)),
        ("ctrl-alt-del", number(0, 0, 1)),
        ("modprobe", words("/sbin/modprobe")),
        ("modules_disabled", number(1, 1, 1)),
        ("kexec_load_disabled", number(1, 1, 1)),
        ("io_uring_disabled", number(2, 0, 2)),
        ("max_lock_depth", count(1024)),
        ("oops_limit", count(10_000)),
        (
            "pty",
            dir(vec![
                ("max", count(4096)),
                ("reserve", count(1024)),
                ("nr", file(|| Ok(format!("{}\n", crate::devpts::open_pairs())))),
            ]),
        ),
    ])
}

fn vm_dir() -> Child {
    let drop_caches = writable(
        0o200,
        || Ok(""),
        |bytes| match parse::<u8>(bytes)? {
            1..=4 => Ok(()),
            _ => Err(Errno::EINVAL),
        },
    );
    dir(vec![
        ("overcommit_memory", number(0, 0, 2)),
        ("overcommit_ratio", count(50)),
        ("overcommit_kbytes", count(0)),
        ("max_map_count", count(abi::limits::MAX_MAP_COUNT_DEFAULT as i64)),
        ("swappiness", number(60, 0, 200)),
        ("mmap_min_addr", count(abi::limits::MMAP_MIN_ADDR_DEFAULT as i64)),
        ("mmap_rnd_bits", number(28, 28, 32)),
        ("min_free_kbytes", count(67_584)),
        ("drop_caches", drop_caches),
        ("compact_memory", writable(0o200, || Ok(""), |_| Ok(()))),
        ("dirty_ratio", number(20, 0, 100)),
        ("dirty_background_ratio", number(10, 0, 100)),
        ("dirty_bytes", count(0)),
        ("dirty_background_bytes", count(0)),
        ("dirty_expire_centisecs", count(3000)),
        ("dirty_writeback_centisecs", count(500)),
        ("vfs_cache_pressure", count(100)),
        ("zone_reclaim_mode", count(0)),
        ("panic_on_oom", number(0, 0, 2)),
        ("oom_kill_allocating_task", number(0, 0, 1)),
        ("oom_dump_tasks", number(1, 0, 1)),
        ("admin_reserve_kbytes", count(8192)),
        ("user_reserve_kbytes", count(131_072)),
        ("nr_hugepages", count(0)),
        ("nr_overcommit_hugepages", count(0)),
        ("hugetlb_shm_group", count(0)),
        ("memfd_noexec", number(0, 0, 2)),
        ("unprivileged_userfaultfd", number(0, 0, 1)),
        ("legacy_va_layout", number(0, 0, 1)),
        ("page-cluster", count(3)),
        ("stat_interval", count(1)),
        ("watermark_scale_factor", count(10)),
    ])
}

fn fs_dir(kernel: &Arc<Kernel>) -> Child {
    let vfs = &kernel.vfs;
    let open_files = {
        let kernel = Arc::downgrade(kernel);
        file(move || {
            let kernel = kernel.upgrade().ok_or(Errno::EIO)?;
            let open: usize = kernel
                .tasks()
                .iter()
                .filter(|t| t.is_leader())
                .filter_map(|t| t.fds().ok())
                .map(|f| f.list().len())
                .sum();
            Ok(format!("{open}\t0\t{}\n", i64::MAX))
        })
    };
    let inotify = dir(vec![
        ("max_queued_events", count(16384)),
        ("max_user_instances", count(128)),
        ("max_user_watches", count(65536)),
    ]);
    let (counts, sizes) = ((1, abi::ipc::MQ_HARD_MSGMAX), (128, abi::ipc::MQ_HARD_MSGSIZEMAX));
    let mqueue = dir(vec![
        ("msg_default", mq_limit(counts, |l| &l.msg_default)),
        ("msg_max", mq_limit(counts, |l| &l.msg_max)),
        ("msgsize_default", mq_limit(sizes, |l| &l.msgsize_default)),
        ("msgsize_max", mq_limit(sizes, |l| &l.msgsize_max)),
        ("queues_max", mq_limit((0, i64::from(i32::MAX)), |l| &l.queues_max)),
    ]);
    dir(vec![
        ("file-max", count(i64::MAX)),
        ("file-nr", open_files),
        ("inode-nr", fixed("1024\t0")),
        ("inode-state", fixed("1024\t0\t0\t0\t0\t0\t0")),
        ("dentry-state", fixed("1024\t512\t45\t0\t256\t0")),
        ("nr_open", number(abi::limits::NR_OPEN_DEFAULT as i64, 64, 1 << 30)),
        ("pipe-max-size", number(abi::limits::PIPE_MAX_SIZE as i64, 4096, 1 << 31)),
        ("pipe-user-pages-hard", count(0)),
        ("pipe-user-pages-soft", count(16384)),
        ("lease-break-time", count(45)),
        ("leases-enable", number(1, 0, 1)),
        ("mount-max", count(100_000)),
        ("overflowuid", number(65534, 0, 65535)),
        ("overflowgid", number(65534, 0, 65535)),
        ("suid_dumpable", number(0, 0, 2)),
        ("dir-notify-enable", number(1, 0, 1)),
        ("aio-nr", fixed(0)),
        ("aio-max-nr", count(65536)),
        ("inotify", inotify),
        ("mqueue", mqueue),
        ("epoll", dir(vec![("max_user_watches", count(1 << 20))])),
        ("protected_symlinks", switch(vfs, |v| &v.sysctl.protected_symlinks)),
        ("protected_hardlinks", switch(vfs, |v| &v.sysctl.protected_hardlinks)),
        ("protected_fifos", level(vfs, |v| &v.sysctl.protected_fifos)),
        ("protected_regular", level(vfs, |v| &v.sysctl.protected_regular)),
    ])
}

/// A setting of the caller's network namespace below `net.ipv4`.
fn of_network(name: &'static str) -> Child {
    let find = || {
        let task = current().ok_or(Errno::EIO)?;
        let ns = task.namespaces().net.get::<NetNamespace>().ok_or(Errno::EIO)?;
        Ok::<_, Errno>((task, ns))
    };
    writable(
        0o644,
        move || {
            let (task, ns) = find()?;
            ns.setting(name, &task.cred().user_ns).ok_or(Errno::EIO)
        },
        move |bytes| {
            let (task, ns) = find()?;
            if !task.cred().has_cap_in(&ns.user_ns, Cap::NET_ADMIN) {
                return Err(Errno::EPERM);
            }
            ns.set_setting(name, bytes, &task.cred().user_ns)
        },
    )
}

fn net_dir() -> Child {
    let core = dir(vec![
        ("somaxconn", count(4096)),
        ("rmem_default", count(212_992)),
        ("rmem_max", count(212_992)),
        ("wmem_default", count(212_992)),
        ("wmem_max", count(212_992)),
        ("optmem_max", count(131_072)),
        ("netdev_max_backlog", count(1000)),
        ("netdev_budget", count(300)),
        ("default_qdisc", words("pfifo_fast")),
        ("busy_poll", count(0)),
        ("busy_read", count(0)),
        ("bpf_jit_enable", number(1, 0, 2)),
    ]);
    let conf4 = || {
        dir(vec![
            ("forwarding", number(0, 0, 1)),
            ("rp_filter", number(0, 0, 2)),
            ("accept_redirects", number(1, 0, 1)),
            ("send_redirects", number(1, 0, 1)),
            ("accept_source_route", number(0, 0, 1)),
            ("arp_ignore", number(0, 0, 8)),
            ("arp_announce", number(0, 0, 2)),
            ("log_martians", number(0, 0, 1)),
            ("route_localnet", number(0, 0, 1)),
            ("proxy_arp", number(0, 0, 1)),
            ("tag", number(0, i64::from(i32::MIN), i64::from(i32::MAX))),
        ])
    };
    let conf6 = || {
        dir(vec![
            ("disable_ipv6", number(0, 0, 1)),
            ("forwarding", number(0, 0, 1)),
            ("accept_ra", number(1, 0, 2)),
            ("accept_dad", number(1, -1, 2)),
            ("accept_redirects", number(1, 0, 1)),
            ("autoconf", number(1, 0, 1)),
            ("use_tempaddr", number(0, -1, 2)),
            ("hop_limit", number(64, 1, 255)),
            ("mtu", count(1280)),
        ])
    };
    let per_interface =
        |conf: &dyn Fn() -> Child| dir(vec![("all", conf()), ("default", conf()), ("lo", conf())]);
    let ipv4 = dir(vec![
        ("ip_local_port_range", words("32768\t60999")),
        ("ip_local_reserved_ports", words("")),
        ("ip_unprivileged_port_start", of_network("ip_unprivileged_port_start")),
        ("ip_nonlocal_bind", number(0, 0, 1)),
        ("ip_forward", number(0, 0, 1)),
        ("ip_default_ttl", number(64, 1, 255)),
        ("ip_no_pmtu_disc", number(0, 0, 3)),
        ("ping_group_range", of_network("ping_group_range")),
        ("icmp_echo_ignore_all", number(0, 0, 1)),
        ("icmp_echo_ignore_broadcasts", number(1, 0, 1)),
        ("igmp_max_memberships", count(20)),
        ("conf", per_interface(&conf4)),
        ("tcp_rmem", words("4096\t131072\t6291456")),
        ("tcp_wmem", words("4096\t16384\t4194304")),
        ("tcp_mem", words("92337\t123118\t184674")),
        ("udp_mem", words("184677\t246236\t369354")),
        ("udp_rmem_min", count(4096)),
        ("udp_wmem_min", count(4096)),
        ("tcp_sack", number(1, 0, 1)),
        ("tcp_dsack", number(1, 0, 1)),
        ("tcp_timestamps", number(1, 0, 2)),
        ("tcp_window_scaling", number(1, 0, 1)),
        ("tcp_ecn", number(2, 0, 2)),
        ("tcp_fastopen", count(1)),
        ("tcp_fin_timeout", count(60)),
        ("tcp_keepalive_time", count(7200)),
        ("tcp_keepalive_intvl", count(75)),
        ("tcp_keepalive_probes", count(9)),
        ("tcp_syncookies", number(1, 0, 2)),
        ("tcp_syn_retries", number(6, 1, 127)),
        ("tcp_synack_retries", number(5, 0, 255)),
        ("tcp_retries1", number(3, 0, 255)),
        ("tcp_retries2", number(15, 8, 255)),
        ("tcp_max_syn_backlog", count(4096)),
        ("tcp_max_tw_buckets", count(65536)),
        ("tcp_tw_reuse", number(2, 0, 2)),
        ("tcp_slow_start_after_idle", number(1, 0, 1)),
        ("tcp_moderate_rcvbuf", number(1, 0, 1)),
        ("tcp_no_metrics_save", number(0, 0, 1)),
        ("tcp_mtu_probing", number(0, 0, 2)),
        ("tcp_low_latency", number(0, 0, 1)),
        ("tcp_abort_on_overflow", number(0, 0, 1)),
        ("tcp_congestion_control", words("cubic")),
        ("tcp_available_congestion_control", fixed("reno cubic")),
        ("tcp_allowed_congestion_control", words("reno cubic")),
    ]);
    let ipv6 = dir(vec![
        ("bindv6only", number(0, 0, 1)),
        ("ip_nonlocal_bind", number(0, 0, 1)),
        ("conf", per_interface(&conf6)),
    ]);
    let unix = dir(vec![("max_dgram_qlen", count(512))]);
    dir(vec![("core", core), ("ipv4", ipv4), ("ipv6", ipv6), ("unix", unix)])
}

fn user_dir() -> Child {
    let names = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];
    let mut dir = StaticDir::new();
    for name in names {
        dir.add(&format!("max_{name}_namespaces"), count(31_431));
    }
    for (name, value) in [("max_inotify_instances", 128), ("max_inotify_watches", 65536)] {
        dir.add(name, count(value));
    }
    dir.child()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_of_version_4() {
        let id = uuid();
        let shape: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(shape, [8, 4, 4, 4, 12]);
        assert_eq!(id.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&id.as_bytes()[19]));
        assert_ne!(id, uuid());
    }
}
