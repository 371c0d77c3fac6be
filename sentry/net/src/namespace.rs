//! [`NetNamespace`]: a network of its own (`network_namespaces(7)`): the loopback interface, ports, abstract names.

use crate::{inet::ports::Ports, netlink::NetlinkPorts, socket::SocketOps, unix::AbstractNames};
use abi::socket::IffFlags;
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
