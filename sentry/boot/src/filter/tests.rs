//! The filter, tried in a process of its own: this very test binary, told by its environment what to do.
#![allow(clippy::unwrap_used, reason = "a test may")]

use super::*;
use nix::sys::{
    memfd::{MFdFlags, memfd_create},
    prctl,
    resource::{Resource, getrlimit, setrlimit},
    signal::{Signal, kill},
    socket::{AddressFamily, SockFlag, SockProtocol, SockType, getsockopt, socket, sockopt},
};
use std::{
    fs::File,
    io::{Read, Write},
    os::{fd::AsFd, unix::net::UnixStream, unix::process::ExitStatusExt},
    process::Command,
};

/// Says which of the deeds below a child is to do.
const DEED: &str = "FILTER_TEST_DEED";

/// What is done behind the filter, with a descriptor of a file that was opened before. The result is not looked at.
type Deed = fn(&File);

const ALLOWED: &[(&str, Deed)] = &[
    ("nothing", |_| {}),
    ("a thread with a name", |_| {
        let thread = std::thread::Builder::new().name("named".into()).spawn(|| vec![1u8; 1 << 20]);
        assert_eq!(thread.unwrap().join().unwrap().len(), 1 << 20);
    }),
    ("memory", |file| {
        let map = host::map::Mapping::shared(file.as_fd(), 0, 4096, host::map::Prot::READ_WRITE).unwrap();
        map.advise(0, 4096, host::map::Advice::DontNeed).unwrap();
        drop(vec![1u8; 64 << 20]);
    }),
    ("files", |file| {
        drop(file.try_clone().unwrap());
        assert_eq!(host::file::flags(file.as_fd()).unwrap() & libc::O_ACCMODE, libc::O_RDWR);
        file.metadata().unwrap();
    }),
    ("names", |_| {
        assert!(File::open("/proc/self/status").is_err());
        assert!(std::fs::read_link("/proc/self/exe").is_err());
    }),
    ("a terminal that is none", |file| assert!(!std::io::IsTerminal::is_terminal(file))),
    ("a lock that is waited for", |_| {
        let lock = std::sync::Mutex::new(0);
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    for _ in 0..100 {
                        let mut n = lock.lock().unwrap();
                        *n += 1;
                        std::thread::yield_now();
                    }
                });
            }
        });
        assert_eq!(*lock.lock().unwrap(), 400);
    }),
    ("limits, to read", |_| assert!(getrlimit(Resource::RLIMIT_STACK).is_ok())),
    ("sleep", |_| std::thread::sleep(std::time::Duration::from_millis(1))),
];

/// Forbidden deeds have no result; where they are let through, it is not looked at.
fn tried<T>(_: T) {}

const FORBIDDEN: &[(&str, Deed)] = &[
    ("prctl: dumpable", |_| tried(prctl::set_dumpable(true))),
    ("prctl: parent's death", |_| tried(prctl::set_pdeathsig(Signal::SIGTERM))),
    ("ioctl: controlling terminal", |file| tried(host::tty::set_controlling(file.as_fd()))),
    ("a process", |_| tried(Command::new("/bin/true").spawn())),
    ("a socket", |_| tried(UnixStream::pair())),
    ("an inet socket", |_| tried(std::net::UdpSocket::bind("127.0.0.1:0"))),
    ("fcntl: size of a pipe", |file| {
        tried(nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_SETPIPE_SZ(4096)));
    }),
    ("memory to execute", |file| {
        tried(host::map::Mapping::shared(file.as_fd(), 0, 4096, host::map::Prot::READ_EXEC));
    }),
    ("a memory file", |_| tried(memfd_create(c"x", MFdFlags::empty()))),
    ("limits, to set", |_| tried(setrlimit(Resource::RLIMIT_NOFILE, 64, 64))),
    ("a signal", |_| tried(kill(nix::unistd::Pid::this(), Signal::SIGWINCH))),
    ("a signal for a thread", |_| {
        tried(host::thread::tgkill(host::thread::getpid(), host::thread::gettid(), libc::SIGWINCH));
    }),
    ("an option of TCP", |file| tried(getsockopt(file, sockopt::TcpNoDelay))),
    ("a directory", |_| tried(std::fs::create_dir("/tmp/runsc-rs-filter-test"))),
    ("users", |_| tried(nix::unistd::setuid(nix::unistd::Uid::from_raw(1)))),
    ("mounts", |_| tried(nix::mount::umount("/none"))),
];

/// With `--network=host`.
const OF_NETWORK: &[(&str, Deed)] = &[
    ("inet", |_| {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_ttl(9).unwrap();
    }),
    ("route", |_| {
        let (kind, flags) = (SockType::Raw, SockFlag::SOCK_CLOEXEC);
        socket(AddressFamily::Netlink, kind, flags, SockProtocol::NetlinkRoute).unwrap();
    }),
];
const NOT_OF_NETWORK: &[(&str, Deed)] = &[
    ("unix", |_| tried(socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None))),
    ("packet", |_| tried(socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), None))),
    ("raw inet", |_| {
        tried(socket(AddressFamily::Inet, SockType::Raw, SockFlag::empty(), SockProtocol::Icmp))
    }),
    ("audit", |_| {
        tried(socket(AddressFamily::Netlink, SockType::Raw, SockFlag::empty(), SockProtocol::NetlinkAudit));
    }),
];

/// Every deed, the network that it is done with, and whether it is allowed.
fn deeds() -> impl Iterator<Item = (String, Network, bool, Deed)> {
    let list = |deeds: &'static [(&'static str, Deed)], network: Network, allowed| {
        deeds.iter().map(move |(name, deed)| (format!("{network:?}: {name}"), network, allowed, *deed))
    };
    list(ALLOWED, Network::Sandbox, true)
        .chain(list(ALLOWED, Network::Host, true))
        .chain(list(FORBIDDEN, Network::Sandbox, false))
        .chain(list(OF_NETWORK, Network::Host, true))
        .chain(list(OF_NETWORK, Network::Sandbox, false))
        .chain(list(NOT_OF_NETWORK, Network::Host, false))
}

/// The child: does one deed behind the filter, and ends with 0.
fn do_deed(wanted: &str) -> ! {
    let (_, network, _, deed) = deeds().find(|(name, ..)| name == wanted).unwrap();
    let mut file = File::from(host::memfd::create(c"test", false).unwrap());
    file.write_all(&[0; 4096]).unwrap();
    install(ptrace::HOST_CALLS, network).unwrap();
    deed(&file);
    let _ = file.read(&mut [0; 8]);
    std::process::exit(0)
}

#[test]
fn what_the_sentry_does_is_allowed_and_nothing_else() {
    if let Ok(deed) = std::env::var(DEED) {
        do_deed(&deed);
    }
    let me = std::env::current_exe().unwrap();
    let mut wrong = Vec::new();
    for (name, _, allowed, _) in deeds() {
        let test = "filter::tests::what_the_sentry_does_is_allowed_and_nothing_else";
        let child =
            Command::new(&me).args(["--exact", test, "--nocapture"]).env(DEED, &name).output().unwrap();
        let killed = child.status.signal() == Some(libc::SIGSYS);
        let as_wanted = if allowed { child.status.success() } else { killed };
        if !as_wanted {
            wrong.push(format!("{name}: {:?} {}", child.status, String::from_utf8_lossy(&child.stderr)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_list_takes_back_what_another_checks() {
    let lists = [ALWAYS, HOST_NETWORK, ptrace::HOST_CALLS];
    for call in lists.into_iter().flatten().filter(|call| !call.checks.is_empty()) {
        let free = |other: &&HostCall| other.nr == call.nr && other.checks.is_empty();
        assert_eq!(lists.into_iter().flatten().find(free), None);
    }
}
