//! What the helpers make of values, held to the C library where it does the same.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "tests")]

use abi::{fcntl::*, futex::*, poll::*, process::*, signal::*, socket::*, stat::*, sysno, time::*, *};
use zerocopy::{FromBytes, IntoBytes};

#[test]
fn every_errno_is_what_the_c_library_says() {
    assert_eq!(Errno::ALL.len(), 131);
    for errno in Errno::ALL {
        let text = std::io::Error::from_raw_os_error(errno.code()).to_string();
        assert_eq!(text, format!("{} (os error {})", errno.message(), errno.code()), "{errno:?}");
        assert_eq!(Errno::from_code(errno.code()), Some(*errno));
        assert_eq!(errno.to_return() as i64, -i64::from(errno.code()));
    }
    for code in [0, 41, 58, -2, 134, 512, i32::MAX, i32::MIN] {
        assert_eq!(Errno::from_code(code), None, "{code}");
        assert_eq!(Errno::from_host(code), Errno::EIO);
    }
    for (errno, code) in [
        (Errno::EPERM, libc::EPERM),
        (Errno::EAGAIN, libc::EAGAIN),
        (Errno::EDEADLOCK, libc::EDEADLOCK),
        (Errno::EWOULDBLOCK, libc::EWOULDBLOCK),
        (Errno::ENOTSUP, libc::ENOTSUP),
        (Errno::ELOOP, libc::ELOOP),
        (Errno::EOVERFLOW, libc::EOVERFLOW),
        (Errno::ECONNREFUSED, libc::ECONNREFUSED),
        (Errno::EHWPOISON, libc::EHWPOISON),
    ] {
        assert_eq!(errno.code(), code);
    }
}

#[test]
fn an_errno_is_a_pattern_and_fits_where_an_option_does() {
    let found = match Errno::from_host(2) {
        Errno::EPERM => 1,
        Errno::ENOENT => 2,
        _ => 3,
    };
    assert_eq!(found, 2);
    assert_eq!(size_of::<Option<Errno>>(), 2);
    assert_eq!(size_of::<Result<(), Errno>>(), 2);
    assert_eq!(Errno::from(std::io::Error::from_raw_os_error(13)), Errno::EACCES);
    assert_eq!(Errno::from(std::io::Error::other("no number")), Errno::EIO);
}

#[test]
fn open_flags() {
    assert!(OpenFlags::RDONLY.readable() && !OpenFlags::RDONLY.writable());
    assert!(!OpenFlags::WRONLY.readable() && OpenFlags::WRONLY.writable());
    assert!(OpenFlags::RDWR.readable() && OpenFlags::RDWR.writable());
    assert!(!(OpenFlags::RDWR | OpenFlags::PATH).readable());
    assert_eq!(OpenFlags::ACCMODE.access_mode(), AccessMode::Ioctl);
    assert!(!OpenFlags::DIRECTORY.is_tmpfile());
    assert!(OpenFlags::TMPFILE.is_tmpfile());
    assert_eq!(OpenFlags::from_bits(1 << 30), None);
    assert_eq!(FileLockOp::from_raw(libc::LOCK_EX | libc::LOCK_NB), Some((FileLockOp::Exclusive, true)));
    assert_eq!(FileLockOp::from_raw(libc::LOCK_SH | libc::LOCK_UN), None);
}

#[test]
fn device_numbers() {
    for (major, minor) in [(0, 0), (8, 1), (136, 300), (0xfff, 0xf_ffff), (0xffff_ffff, 0xffff_ffff)] {
        let number = dev::makedev(major, minor);
        assert_eq!(number, libc::makedev(major, minor));
        assert_eq!((dev::major(number), dev::minor(number)), (major, minor));
    }
    assert_eq!(u64::from(dev::encode_new(136, 300)), dev::makedev(136, 300));
}

#[test]
fn file_types_and_modes() {
    for kind in [
        FileType::Regular,
        FileType::Directory,
        FileType::Symlink,
        FileType::CharDevice,
        FileType::BlockDevice,
        FileType::Fifo,
        FileType::Socket,
    ] {
        assert_eq!(FileType::from_mode(kind.to_mode() | 0o7777), Some(kind));
        assert_eq!(FileType::from_dt(kind.to_dt()), Some(kind));
        assert_eq!(u32::from(kind.to_dt()) << 12, kind.to_mode());
    }
    assert_eq!(FileType::from_mode(0o600), None);
    let mode = Mode::of(S_IFREG | 0o4751);
    assert_eq!(mode.bits(), 0o4751);
    assert_eq!(mode.user(), AccessMask::all());
    assert_eq!(mode.group(), AccessMask::READ | AccessMask::EXEC);
    assert_eq!(mode.other(), AccessMask::EXEC);
    assert_eq!((dirent64_reclen(1), dirent64_reclen(4), dirent64_reclen(5)), (24, 24, 32));
    assert_eq!((dirent_old_reclen(4), dirent_old_reclen(5)), (24, 32));
}

#[test]
fn signals_and_sets() {
    assert_eq!(Signal::new(0), None);
    assert_eq!(Signal::new(65), None);
    assert_eq!(Signal::all().count(), 64);
    assert_eq!(Signal::from_name("kill"), Some(Signal::SIGKILL));
    assert_eq!(Signal::from_name("SIGTERM"), Some(Signal::SIGTERM));
    assert_eq!(Signal::from_name("SIGRTMIN+3").map(Signal::number), Some(37));
    assert_eq!(Signal::from_name("RTMAX-1").map(Signal::number), Some(63));
    assert_eq!(Signal::from_name("9"), Some(Signal::SIGKILL));
    for bad in ["", "SIG", "SIGRTMIN+31", "RTMAX--1", "0", "65", "-9", "SIGSIGKILL"] {
        assert_eq!(Signal::from_name(bad), None, "{bad}");
    }
    let set = SigSet::of(&[Signal::SIGHUP, Signal::SIGRTMAX]);
    assert_eq!(set.bits, 1 | 1 << 63);
    assert_eq!(set.iter().collect::<Vec<_>>(), [Signal::SIGHUP, Signal::SIGRTMAX]);
    assert_eq!(SigSet::FULL.iter().count(), 64);
    assert_eq!(SigSet::FULL.blockable().bits, !(1 << 8 | 1 << 18));
    assert_eq!(format!("{:?} {:?}", Signal::SIGSYS, Signal::SIGRTMIN), "SIGSYS SIGRT0");
}

#[test]
fn siginfo_is_laid_out_as_linux_has_it() {
    // Offsets of `_sifields` in `siginfo_t`: a union at 16, whose members are laid out as `asm/siginfo.h` says.
    let int = |info: &SigInfo, at: usize| i32::read_from_prefix(&info.as_bytes()[at..]).expect("in range").0;
    let long = |info: &SigInfo, at: usize| u64::read_from_prefix(&info.as_bytes()[at..]).expect("in range").0;
    let info = SigInfo::chld(CLD_EXITED, 42, 1000, 7, 11, 12);
    assert_eq!((int(&info, 0), int(&info, 4), int(&info, 8)), (libc::SIGCHLD, 0, libc::CLD_EXITED));
    assert_eq!((int(&info, 16), int(&info, 20), int(&info, 24)), (42, 1000, 7));
    assert_eq!((long(&info, 32), long(&info, 40)), (11, 12));
    let info = SigInfo::rt(Signal::SIGUSR1, SI_QUEUE, 1, 2, 0x1234);
    assert_eq!((int(&info, 16), int(&info, 20), long(&info, 24)), (1, 2, 0x1234));
    let info = SigInfo::fault(Signal::SIGSEGV, SEGV_MAPERR, 0xdead_0000);
    assert_eq!((int(&info, 8), long(&info, 16)), (1, 0xdead_0000));
    let info = SigInfo::sys(0x4000, 59, arch::AUDIT_ARCH, 9);
    assert_eq!((int(&info, 4), long(&info, 16), int(&info, 24)), (9, 0x4000, 59));
    assert_eq!(int(&info, 28) as u32, arch::AUDIT_ARCH);
    let timer = SigInfo::timer(Signal::SIGALRM, 3, 5, 0x55);
    assert_eq!((int(&timer, 16), int(&timer, 20), long(&timer, 24)), (3, 5, 0x55));

    assert_eq!(timer.layout(), SigInfoLayout::Timer);
    let out = SignalfdSiginfo::from(&timer);
    assert_eq!((out.ssi_tid, out.ssi_overrun, out.ssi_int), (3, 5, 0x55));
    let out = SignalfdSiginfo::from(&SigInfo::sys(0x4000, 59, arch::AUDIT_ARCH, 9));
    assert_eq!((out.ssi_syscall, out.ssi_errno, out.ssi_call_addr), (59, 9, 0x4000));
    assert_eq!(SigInfo::kill(Signal::SIGTERM, SI_TKILL, 1, 2).layout(), SigInfoLayout::Kill);
    assert_eq!(SigInfo::poll(Signal::SIGIO, POLL_IN, 0x41, 3).layout(), SigInfoLayout::Poll);
}

#[test]
fn default_actions() {
    let count = |action| Signal::all().filter(|signal| signal.default_action() == action).count();
    assert_eq!(count(DefaultAction::Ignore), 3);
    assert_eq!(count(DefaultAction::Cont), 1);
    assert_eq!(count(DefaultAction::Stop), 4);
    assert_eq!(count(DefaultAction::Core), 10);
}

#[test]
fn times_convert_and_refuse() {
    let t = Timespec { tv_sec: 1, tv_nsec: 5 };
    assert_eq!(t.to_ns(), Ok(1_000_000_005));
    assert_eq!(Timespec::from_ns(1_000_000_005), t);
    assert_eq!(Timespec::from_ns_i128(-1), Timespec { tv_sec: -1, tv_nsec: 999_999_999 });
    for tv_nsec in [-1, NSEC_PER_SEC, i64::MIN, i64::MAX] {
        assert_eq!(Timespec { tv_sec: 0, tv_nsec }.to_ns(), Err(Errno::EINVAL));
        assert_eq!(Timespec { tv_sec: 0, tv_nsec }.to_duration_ns(), Err(Errno::EINVAL));
    }
    assert_eq!(Timespec { tv_sec: -1, tv_nsec: 0 }.to_duration_ns(), Err(Errno::EINVAL));
    assert_eq!(Timespec { tv_sec: i64::MAX, tv_nsec: 0 }.to_duration_ns(), Ok(i64::MAX as u64));
    for ns in [i128::from(i64::MIN) * 1_000_000_000, i128::MAX, i128::MIN, 0] {
        assert!(Timespec::from_ns_i128(ns).is_normal());
    }
    assert_eq!(Timeval { tv_sec: 0, tv_usec: 1_000_000 }.to_ns(), Err(Errno::EINVAL));
    assert_eq!(Timeval::from_ns_ceil(1), Timeval { tv_sec: 0, tv_usec: 1 });
    assert_eq!(Timeval::from_ns(u64::MAX).tv_sec, 18_446_744_073);
    assert_eq!(Timeval { tv_sec: 1, tv_usec: -1 }.to_timespec(), Err(Errno::EINVAL));
}

#[test]
fn clocks_with_a_pid_in_them() {
    // What `clock_getcpuclockid(1, ...)` returns.
    let clock = !1 << 3 | 2;
    let ours = DynamicClock::Cpu { pid: 1, per_thread: false, which: CpuClock::Sched };
    assert_eq!(ours.to_clock_id(), clock);
    assert_eq!(DynamicClock::from_clock_id(clock), Some(ours));
    assert_eq!(DynamicClock::from_clock_id(CLOCK_MONOTONIC), None);
    for raw in -64..0 {
        if let Some(clock @ DynamicClock::Cpu { .. }) = DynamicClock::from_clock_id(raw) {
            assert_eq!(clock.to_clock_id(), raw);
        }
    }
}

#[test]
fn descriptor_sets() {
    let mut set = FdSet::new(130);
    assert_eq!(set.as_bytes().len(), 24);
    for fd in [0, 63, 64, 129, 1000] {
        set.insert(fd);
    }
    assert!(set.contains(129) && !set.contains(1) && !set.contains(1000));
    assert_eq!(set.iter(130).collect::<Vec<_>>(), [0, 63, 64, 129]);
    assert_eq!(set.iter(64).collect::<Vec<_>>(), [0, 63]);
    assert_eq!(FdSet::from_bytes(set.as_bytes()), set);
    assert_eq!(FdSet::from_bytes(&[0xff; 7]).iter(64).count(), 0);
    assert_eq!(FdSet::bytes_for(65), 16);
}

#[test]
fn wait_statuses() {
    for status in [
        WaitStatus::Exited(3),
        WaitStatus::Signaled { signal: Signal::SIGSEGV, core: true },
        WaitStatus::Signaled { signal: Signal::SIGKILL, core: false },
        WaitStatus::Stopped(libc::SIGSTOP as u32),
        WaitStatus::Stopped(PTRACE_EVENT_EXEC << 8 | libc::SIGTRAP as u32),
        WaitStatus::Continued,
    ] {
        assert_eq!(WaitStatus::from_raw(status.to_raw()), Some(status));
    }
    assert_eq!(libc::WEXITSTATUS(WaitStatus::Exited(3).to_raw()), 3);
    let killed = WaitStatus::Signaled { signal: Signal::SIGABRT, core: true }.to_raw();
    assert!(libc::WIFSIGNALED(killed) && libc::WCOREDUMP(killed));
    assert_eq!(libc::WTERMSIG(killed), libc::SIGABRT);
    assert!(libc::WIFSTOPPED(WaitStatus::Stopped(19).to_raw()));
    assert!(libc::WIFCONTINUED(WaitStatus::Continued.to_raw()));
}

#[test]
fn futex_wake_op() {
    // `FUTEX_OP(FUTEX_OP_ADD, -3, FUTEX_OP_CMP_GT, 7)`.
    let raw = 1 << 28 | 4 << 24 | 0xffd << 12 | 7;
    assert_eq!(FutexWakeOp::from_raw(raw), FutexWakeOp { op: 1, cmp: 4, oparg: -3, cmparg: 7 });
    let shifted = FutexWakeOp::from_raw(8 << 28 | 5 << 12);
    assert_eq!((shifted.op, shifted.oparg), (FUTEX_OP_SET, 32));
}

#[test]
fn capabilities_and_limits() {
    assert_eq!(CapSet::FULL.iter().count(), 41);
    assert_eq!(Cap::from_name("cap_sys_admin"), Some(Cap::SYS_ADMIN));
    assert_eq!(Cap::SYS_ADMIN.number(), 21);
    assert_eq!(Cap::CHECKPOINT_RESTORE.number(), u32::from(CAP_LAST_CAP));
    assert_eq!(Cap::new(41), None);
    assert_eq!(CapSet::from_bits(u64::MAX), CapSet::FULL);
    assert!(CapSet::EMPTY.with(Cap::KILL).is_subset(CapSet::FULL));
    assert_eq!(format!("{:?}", CapSet::EMPTY.with(Cap::KILL)), "{CAP_KILL}");
    assert_eq!(Resource::from_name("RLIMIT_NOFILE"), Some(Resource::Nofile));
    assert_eq!(Resource::Nofile.index(), libc::RLIMIT_NOFILE as usize);
    assert_eq!(Resource::Rttime.index(), libc::RLIMIT_RTTIME as usize);
    assert_eq!(Resource::from_raw(16), None);
}

#[test]
fn socket_arguments() {
    assert_eq!(
        SockType::from_raw(libc::SOCK_STREAM | libc::SOCK_CLOEXEC),
        Some((SockType::Stream, SockFlags::CLOEXEC))
    );
    assert_eq!(SockType::from_raw(0), None);
    assert_eq!(SockType::from_raw(-1), None);
    assert_eq!((cmsg_space(0), cmsg_space(5), cmsg_space(8)), (16, 24, 24));
    assert_eq!(cmsg_len(5), 21);
    let mut request = Ifreq::default();
    request.set_int(-5);
    assert_eq!(request.int(), -5);
}

#[test]
fn call_names() {
    assert_eq!(sysno::name(sysno::READ), Some("read"));
    assert_eq!(sysno::name(335), Some("uretprobe"));
    assert_eq!(sysno::name(462), Some("mseal"));
    assert_eq!(sysno::name(336), None);
    assert_eq!(sysno::name(463), None);
    assert_eq!(sysno::ALL.len(), 336 + 39);
    assert!(sysno::ALL.is_sorted());
}

/// Where Linux's own header is installed, every number in it that this table reaches is the table's.
#[test]
fn call_numbers_of_the_header() {
    let Ok(header) = std::fs::read_to_string("/usr/include/x86_64-linux-gnu/asm/unistd_64.h") else { return };
    let mut count = 0;
    for line in header.lines() {
        let mut words = line.split_whitespace();
        let (Some("#define"), Some(name), Some(nr)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let (Some(name), Ok(nr)) = (name.strip_prefix("__NR_"), nr.parse::<u32>()) else { continue };
        if (nr as usize) < sysno::TABLE_LEN {
            assert_eq!(sysno::name(nr), Some(name));
            count += 1;
        }
    }
    assert!(count > 300);
}

#[test]
fn flags_and_structures_are_plain_bytes() {
    let stat = Stat { st_size: -1, ..Stat::default() };
    assert_eq!(Stat::read_from_bytes(stat.as_bytes()), Ok(stat));
    assert!(Stat::read_from_bytes(&[0; 143]).is_err());
    let info = SigInfo::read_from_bytes(&[0xff; SigInfo::SIZE]).expect("any bytes will do");
    assert_eq!(info.signal(), None);
}
