//! [`NetNamespace`]: a network of its own (`network_namespaces(7)`): the loopback interface, ports, abstract names.

use crate::{inet::ports::Ports, netlink::NetlinkPorts, socket::SocketOps, taps::Taps, unix::AbstractNames};
use abi::{Errno, socket::IffFlags};
use kernel::namespaces::OpaqueNamespace;
use ksync::{Mutex, exec::Reactor, rank};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};
use vfs::UserNamespace;

/// Index of the loopback interface.
pub const LOOPBACK_INDEX: i32 = 1;
/// Its name.
pub const LOOPBACK_NAME: &[u8] = b"lo";

/// Names below `net.ipv4` of settings that each namespace has and acts on.
pub const SETTINGS: &[&str] = &["ping_group_range", "ip_unprivileged_port_start"];

/// The loopback interface.
pub struct Loopback {
    flags: AtomicU32,
    /// `SIOCSIFMTU`.
    pub mtu: AtomicU32,
    /// `SIOCSIFTXQLEN`.
    pub tx_queue: AtomicU32,
    /// Packets that went through it; each is sent and received.
    pub packets: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
}

impl Loopback {
    /// `IFF_*`.
    pub fn flags(&self) -> IffFlags {
        IffFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }
    /// Whether anything goes through it.
    pub fn is_up(&self) -> bool {
        self.flags().contains(IffFlags::UP)
    }
    /// Brings it up or takes it down.
    pub fn set_up(&self, up: bool) {
        let on = IffFlags::UP | IffFlags::RUNNING | IffFlags::LOWER_UP;
        let flags = if up { IffFlags::LOOPBACK | on } else { IffFlags::LOOPBACK };
        self.flags.store(flags.bits(), Ordering::Relaxed);
    }
    /// Counts `bytes` that went through.
    pub fn count(&self, bytes: usize) {
        self.packets.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// A network of its own.
pub struct NetNamespace {
    /// Who owns it.
    pub user_ns: Arc<UserNamespace>,
    /// `SO_NETNS_COOKIE`.
    pub cookie: u64,
    /// Its only interface.
    pub loopback: Loopback,
    /// Abstract names of Unix sockets.
    pub unix: AbstractNames,
    /// Inet sockets are the host's, and this tells of their readiness.
    pub host: Option<Arc<Reactor>>,
    /// TCP's ports.
    pub tcp_ports: Arc<Ports>,
    /// UDP's ports.
    pub udp_ports: Arc<Ports>,
    /// UDP-Lite's ports.
    pub udplite_ports: Arc<Ports>,
    /// Netlink's port numbers.
    pub netlink_ports: NetlinkPorts,
    /// Raw and packet sockets, which see packets.
    pub taps: Taps,
    /// `net.ipv4.ping_group_range`: groups whose members may open ping sockets, as the kernel's ids; the first one in the upper half.
    ping_groups: AtomicU64,
    /// `net.ipv4.ip_unprivileged_port_start`: ports below it need `CAP_NET_BIND_SERVICE`.
    pub unprivileged_port_start: AtomicU32,
    sockets: Mutex<BTreeMap<u64, Weak<dyn SocketOps>>>,
}

impl NetNamespace {
    /// A namespace whose loopback is down, as `unshare(CLONE_NEWNET)` makes it.
    pub fn new(user_ns: Arc<UserNamespace>) -> Arc<Self> {
        Self::make(user_ns, None)
    }

    fn make(user_ns: Arc<UserNamespace>, host: Option<Arc<Reactor>>) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            user_ns,
            cookie: NEXT.fetch_add(1, Ordering::Relaxed),
            loopback: Loopback {
                flags: AtomicU32::new(IffFlags::LOOPBACK.bits()),
                mtu: AtomicU32::new(65536),
                tx_queue: AtomicU32::new(1000),
                packets: AtomicU64::new(0),
                bytes: AtomicU64::new(0),
            },
            unix: AbstractNames::default(),
            host,
            tcp_ports: Ports::new(),
            udp_ports: Ports::new(),
            udplite_ports: Ports::new(),
            netlink_ports: NetlinkPorts::default(),
            taps: Taps::default(),
            unprivileged_port_start: AtomicU32::new(1024),
            ping_groups: AtomicU64::new(1 << 32), // 1 to 0: nobody
            sockets: Mutex::new(rank::LEAF, BTreeMap::new()),
        })
    }

    /// The namespace of a container: its loopback is up.
    pub fn container(user_ns: Arc<UserNamespace>) -> Arc<Self> {
        let ns = Self::new(user_ns);
        ns.loopback.set_up(true);
        ns
    }

    /// The namespace of a container with `--network=host`.
    pub fn of_host(user_ns: Arc<UserNamespace>, reactor: Arc<Reactor>) -> Arc<Self> {
        let ns = Self::make(user_ns, Some(reactor));
        ns.loopback.set_up(true);
        ns
    }

    /// First and last group of `net.ipv4.ping_group_range`.
    pub fn ping_groups(&self) -> (vfs::Gid, vfs::Gid) {
        let both = self.ping_groups.load(Ordering::Relaxed);
        (vfs::Gid((both >> 32) as u32), vfs::Gid(both as u32))
    }
    /// Sets it.
    pub fn set_ping_groups(&self, first: vfs::Gid, last: vfs::Gid) {
        self.ping_groups.store(u64::from(first.0) << 32 | u64::from(last.0), Ordering::Relaxed);
    }
    /// Reads one of [`SETTINGS`], as `/proc/sys` shows it to members of `user_ns`.
    pub fn setting(&self, name: &str, user_ns: &UserNamespace) -> Option<String> {
        Some(match name {
            "ping_group_range" => {
                let (first, last) = self.ping_groups();
                format!("{}\t{}\n", user_ns.show_gid(first), user_ns.show_gid(last))
            }
            "ip_unprivileged_port_start" => {
                format!("{}\n", self.unprivileged_port_start.load(Ordering::Relaxed))
            }
            _ => return None,
        })
    }

    /// Sets one of [`SETTINGS`]; `EINVAL`, `ENOENT`.
    pub fn set_setting(&self, name: &str, value: &[u8], user_ns: &UserNamespace) -> Result<(), Errno> {
        let text = std::str::from_utf8(value).map_err(|_| Errno::EINVAL)?;
        let words = text.split(|c: char| c.is_ascii_whitespace() || c == '\0').filter(|w| !w.is_empty());
        let numbers: Vec<u32> = words.map(str::parse).collect::<Result<_, _>>().map_err(|_| Errno::EINVAL)?;
        match (name, numbers.as_slice()) {
            // Linux takes a range that is upside down for nobody's.
            ("ping_group_range", [first, last]) if first > last => {
                self.set_ping_groups(vfs::Gid(1), vfs::Gid(0));
            }
            ("ping_group_range", [first, last]) => {
                let gid = |n: u32| user_ns.gid(n).ok_or(Errno::EINVAL);
                self.set_ping_groups(gid(*first)?, gid(*last)?);
            }
            ("ip_unprivileged_port_start", [port @ 0..=65535]) => {
                self.unprivileged_port_start.store(*port, Ordering::Relaxed);
            }
            ("ping_group_range" | "ip_unprivileged_port_start", _) => return Err(Errno::EINVAL),
            _ => return Err(Errno::ENOENT),
        }
        Ok(())
    }

    /// Whether `cred` may open ping sockets.
    pub fn may_ping(&self, cred: &vfs::Credentials) -> bool {
        let (first, last) = self.ping_groups();
        std::iter::once(&cred.egid).chain(cred.groups.iter()).any(|g| (first.0..=last.0).contains(&g.0))
    }

    /// The index of an interface.
    pub fn interface_index(&self, name: &[u8]) -> Option<i32> {
        (name == LOOPBACK_NAME).then_some(LOOPBACK_INDEX)
    }

    /// The name of an interface.
    pub fn interface_name(&self, index: i32) -> Option<&'static [u8]> {
        (index == LOOPBACK_INDEX).then_some(LOOPBACK_NAME)
    }

    /// Notes a socket, for `/proc/net`.
    pub fn remember(&self, socket: &Arc<dyn SocketOps>) {
        self.sockets.lock().insert(socket.common().cookie, Arc::downgrade(socket));
    }

    /// The socket is closed.
    pub(crate) fn forget(&self, cookie: u64) {
        let old = self.sockets.lock().remove(&cookie);
        drop(old);
    }

    /// Every open socket, oldest first.
    pub fn sockets(&self) -> Vec<Arc<dyn SocketOps>> {
        let all: Vec<_> = self.sockets.lock().values().cloned().collect();
        all.iter().filter_map(Weak::upgrade).collect()
    }
}

/// `ns` as tasks refer to it.
pub fn opaque(ns: Arc<NetNamespace>) -> Arc<OpaqueNamespace> {
    OpaqueNamespace::new(ns.user_ns.clone(), ns)
}

/// What `unshare(CLONE_NEWNET)` makes: for [`kernel::Kernel::new_net_namespace`].
pub fn unshared(user_ns: Arc<UserNamespace>) -> Arc<OpaqueNamespace> {
    opaque(NetNamespace::new(user_ns))
}
