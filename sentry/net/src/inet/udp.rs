//! UDP and UDP-Lite: a datagram lies in its receiver's queue when sending it returns.
//!
//! UDP-Lite (RFC 3828) differs in its ports, and in that both ends say how much of a datagram a checksum has to cover.
//!
//! **Lock order:** port table, `state`, `queue`; of two sockets never both.

mod send;

use super::{
    addr::{self, canonical},
    options::InetOptions,
    ports::{Bound, Ports, Request},
};
use crate::{
    caller::Caller,
    common::{Common, Flags, int_value, value_of},
    message::{Address, Control, OptionValue, RecvMsg, SendMsg},
    namespace::{LOOPBACK_INDEX, NetNamespace},
    socket::SocketOps,
};
use abi::{
    Errno, SockType,
    socket::*,
    time::{Timespec, Timeval},
};
use ksync::{Mutex, Ready, rank};
use smallvec::SmallVec;
use std::{
    any::Any,
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Weak,
        atomic::{AtomicU8, Ordering},
    },
};
use zerocopy::IntoBytes;

const RECEIVE: u8 = 1;
const SEND: u8 = 2;
const BOTH: u8 = RECEIVE | SEND;
/// The longest datagram: what fits a packet of IPv4.
const MAX_DATAGRAM: usize = 65507;
/// Bytes of the header.
const UDP_HEADER: usize = 8;
/// What a datagram takes of the receive buffer beside its data.
const OVERHEAD: usize = 576;

#[derive(Default)]
struct State {
    bound: Option<Bound>,
    /// The address that the application chose.
    bound_ip: Option<IpAddr>,
    port_chosen: bool,
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
    /// What `MSG_MORE` and `UDP_CORK` hold back.
    corked: Option<(SocketAddr, Vec<u8>)>,
}

struct Datagram {
    data: Vec<u8>,
    from: SocketAddr,
    to: SocketAddr,
    ttl: i32,
    tos: i32,
    /// Bytes, with the header, that the sender's checksum covers, where that is not all.
    covered: Option<usize>,
    at: Timespec,
}

#[derive(Default)]
struct Queue {
    datagrams: VecDeque<Datagram>,
    used: usize,
}

/// A UDP socket.
pub struct UdpSocket {
    common: Common,
    me: Weak<UdpSocket>,
    options: InetOptions,
    state: Mutex<State>,
    queue: Mutex<Queue>,
    shutdown: AtomicU8,
}

impl UdpSocket {
    /// An unbound socket of `AF_INET` or `AF_INET6`, for `IPPROTO_UDP` or `IPPROTO_UDPLITE`.
    pub fn new(ns: Arc<NetNamespace>, family: u16, protocol: i32, uid: vfs::Uid) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            common: Common::new(ns, family, SockType::Dgram, protocol, uid),
            me: me.clone(),
            options: InetOptions::default(),
            state: Mutex::new(rank::SOCKET, State::default()),
            queue: Mutex::new(rank::SOCKET_QUEUE, Queue::default()),
            shutdown: AtomicU8::new(0),
        })
    }

    fn is_lite(&self) -> bool {
        self.common.protocol == IPPROTO_UDPLITE
    }
    /// The ports of this protocol.
    fn ports(&self) -> &Arc<Ports> {
        let ns = &self.common.ns;
        if self.is_lite() { &ns.udplite_ports } else { &ns.udp_ports }
    }
    fn is_down(&self, which: u8) -> bool {
        self.shutdown.load(Ordering::SeqCst) & which != 0
    }
    fn v6_only(&self) -> bool {
        self.options.on(SOL_IPV6, IPV6_V6ONLY)
    }

    /// Local and remote address.
    pub(crate) fn ends(&self) -> (SocketAddr, SocketAddr) {
        let none = SocketAddr::new(addr::unspecified(self.common.family), 0);
        let state = self.state.lock();
        (state.local.unwrap_or(none), state.remote.unwrap_or(none))
    }
    /// Bytes of the receive buffer in use.
    pub(crate) fn used(&self) -> usize {
        self.queue.lock().used
    }

    fn bind_to(&self, ip: IpAddr, port: u16) -> Result<(), Errno> {
        let request = Request {
            ip,
            v6_only: self.v6_only(),
            reuse_addr: self.common.has(Flags::REUSEADDR),
            reuse_port: self.common.has(Flags::REUSEPORT),
            uid: self.common.uid,
            datagrams: true,
        };
        let me: Weak<dyn Any + Send + Sync> = self.me.clone();
        let bound = self.ports().bind(port, request, me)?;
        let mut state = self.state.lock();
        if state.bound.is_some() {
            drop(state);
            return if port == 0 { Ok(()) } else { Err(Errno::EINVAL) };
        }
        state.local = Some(SocketAddr::new(ip, bound.port));
        state.port_chosen = port != 0;
        state.bound = Some(bound);
        Ok(())
    }

    fn autobind(&self) -> Result<(), Errno> {
        if self.state.lock().bound.is_some() {
            return Ok(());
        }
        let any = addr::unspecified(self.common.family);
        self.bind_to(any, 0).map_err(|e| if e == Errno::EADDRINUSE { Errno::EAGAIN } else { e })
    }

    /// A destination as it was given, checked: `EINVAL`, `EACCES`, `ENETUNREACH`. With the source that goes with it.
    fn destination(&self, given: SocketAddr) -> Result<(SocketAddr, IpAddr), Errno> {
        let ip = canonical(given.ip());
        if self.common.family == AF_INET6 && ip.is_ipv4() && self.v6_only() {
            return Err(Errno::ENETUNREACH);
        }
        let ns = &self.common.ns;
        if addr::is_broadcast(ip) && !self.common.has(Flags::BROADCAST) {
            return Err(Errno::EACCES);
        }
        let through_lo = self.options.multicast_interface() == LOOPBACK_INDEX
            || self.common.bound_device() == LOOPBACK_INDEX;
        if ip.is_multicast() {
            if !through_lo || !ns.loopback.is_up() {
                return Err(Errno::ENETUNREACH);
            }
            let (_, from) = ns.route(addr::unspecified(if ip.is_ipv4() { AF_INET } else { AF_INET6 }))?;
            return Ok((SocketAddr::new(ip, given.port()), from));
        }
        if matches!(ip, IpAddr::V4(v4) if v4.is_broadcast()) && !through_lo {
            return Err(Errno::ENETUNREACH);
        }
        if addr::is_broadcast(ip) {
            let (_, from) = ns.route(addr::unspecified(AF_INET))?;
            return Ok((SocketAddr::new(ip, given.port()), from));
        }
        let (to, from) = ns.route(ip)?;
        Ok((SocketAddr::new(to, given.port()), from))
    }

    /// Whether a checksum covers as much of a datagram as the receiver asked for, if it did.
    fn is_covered(&self, datagram: &Datagram) -> bool {
        let asked = self.options.is_set(SOL_UDPLITE, UDPLITE_RECV_CSCOV);
        match (asked, datagram.covered) {
            (None, _) | (_, None) => true,
            (Some(0), Some(_)) => false,
            (Some(least), Some(covered)) => covered >= least as usize,
        }
    }

    /// Queues a datagram, or drops it if there is no room or too little of it is covered.
    fn receive(&self, datagram: Datagram) {
        if !self.is_covered(&datagram) {
            return;
        }
        let size = datagram.data.len() + OVERHEAD;
        {
            let mut queue = self.queue.lock();
            if self.is_down(RECEIVE) || queue.used + size > self.common.rcvbuf().max(size) {
                return;
            }
            queue.used += size;
            queue.datagrams.push_back(datagram);
        }
        self.common.queue.notify(Ready::IN | Ready::RDNORM);
    }

    fn put_control(&self, datagram: &Datagram, msg: &mut RecvMsg<'_, '_>) {
        let mut put = |level, kind, data: &[u8]| {
            msg.control.push(Control::Other(level, kind, SmallVec::from_slice(data)));
        };
        if self.common.has(Flags::TIMESTAMP) {
            let at = Timeval { tv_sec: datagram.at.tv_sec, tv_usec: datagram.at.tv_nsec / 1000 };
            put(SOL_SOCKET, SO_TIMESTAMP, at.as_bytes());
        }
        if self.common.has(Flags::TIMESTAMPNS) {
            put(SOL_SOCKET, SO_TIMESTAMPNS, datagram.at.as_bytes());
        }
        let on = |level, name| self.options.on(level, name);
        if let IpAddr::V4(to) = datagram.to.ip() {
            if on(SOL_IP, IP_PKTINFO) {
                let info = InPktinfo {
                    ipi_ifindex: LOOPBACK_INDEX,
                    ipi_spec_dst: if to.is_loopback() { to.octets() } else { [127, 0, 0, 1] },
                    ipi_addr: to.octets(),
                };
                put(SOL_IP, IP_PKTINFO, info.as_bytes());
            }
            if on(SOL_IP, IP_RECVTTL) {
                put(SOL_IP, IP_TTL, datagram.ttl.as_bytes());
            }
            if on(SOL_IP, IP_RECVTOS) {
                put(SOL_IP, IP_TOS, &[datagram.tos as u8]);
            }
            if on(SOL_IP, IP_RECVORIGDSTADDR) {
                put(SOL_IP, IP_ORIGDSTADDR, &addr::encode(AF_INET, datagram.to));
            }
        }
        if self.common.family == AF_INET6 {
            if on(SOL_IPV6, IPV6_RECVPKTINFO) {
                let ip = match datagram.to.ip() {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                    IpAddr::V6(ip) => ip,
                };
                let info = In6Pktinfo { ipi6_addr: ip.octets(), ipi6_ifindex: LOOPBACK_INDEX };
                put(SOL_IPV6, IPV6_PKTINFO, info.as_bytes());
            }
            if on(SOL_IPV6, IPV6_RECVHOPLIMIT) {
                put(SOL_IPV6, IPV6_HOPLIMIT, datagram.ttl.as_bytes());
            }
            if on(SOL_IPV6, IPV6_RECVTCLASS) {
                put(SOL_IPV6, IPV6_TCLASS, datagram.tos.as_bytes());
            }
        }
    }
}

impl SocketOps for UdpSocket {
    fn common(&self) -> &Common {
        &self.common
    }

    fn bind(&self, caller: Caller<'_>, bytes: &[u8]) -> Result<(), Errno> {
        let given = addr::parse_for_bind(self.common.family, bytes)?;
        let ip = canonical(given.ip());
        if self.common.family == AF_INET6 && self.v6_only() && ip.is_ipv4() {
            return Err(Errno::EINVAL);
        }
        let ns = &self.common.ns;
        let free = self.options.on(SOL_IP, IP_FREEBIND) || self.options.on(SOL_IPV6, IPV6_FREEBIND);
        let fine =
            ip.is_unspecified() || ip.is_multicast() || addr::is_broadcast(ip) || ns.is_local(ip) || free;
        if !fine {
            return Err(Errno::EADDRNOTAVAIL);
        }
        addr::check_port(ns, &caller, given.port())?;
        if self.state.lock().bound.is_some() {
            return Err(Errno::EINVAL);
        }
        self.bind_to(ip, given.port())?;
        let mut state = self.state.lock();
        state.bound_ip = Some(ip).filter(|ip| !ip.is_unspecified());
        state.port_chosen = given.port() != 0;
        Ok(())
    }

    fn connect(&self, _: Caller<'_>, bytes: &[u8]) -> Result<(), Errno> {
        if addr::family_of(bytes)? == AF_UNSPEC {
            let old = {
                let mut state = self.state.lock();
                state.remote = None;
                let ip = state.bound_ip.unwrap_or(addr::unspecified(self.common.family));
                if state.port_chosen {
                    if let Some(local) = &mut state.local {
                        local.set_ip(ip);
                    }
                    None
                } else {
                    state.local = None;
                    state.bound.take()
                }
            };
            drop(old);
            return Ok(());
        }
        let (to, from) = self.destination(addr::parse(self.common.family, bytes)?)?;
        self.autobind()?;
        let mut state = self.state.lock();
        if let Some(local) = &mut state.local
            && local.ip().is_unspecified()
        {
            local.set_ip(from);
        }
        state.remote = Some(to);
        Ok(())
    }

    fn send(&self, _: Caller<'_>, msg: &mut SendMsg<'_, '_>) -> Result<usize, Errno> {
        if msg.flags.contains(MsgFlags::OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        self.do_send(msg)
    }

    fn recv(&self, _: Caller<'_>, msg: &mut RecvMsg<'_, '_>) -> Result<usize, Errno> {
        if msg.flags.contains(MsgFlags::ERRQUEUE) {
            return Err(Errno::EAGAIN);
        }
        if msg.flags.contains(MsgFlags::OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        self.common.check_error()?;
        let mut queue = self.queue.lock();
        let Some(datagram) = queue.datagrams.front() else {
            return if self.is_down(RECEIVE) { Ok(0) } else { Err(Errno::EAGAIN) };
        };
        let n = msg.put_datagram(&datagram.data)?;
        if msg.wants_name {
            msg.name = Some(addr::encode(self.common.family, datagram.from));
        }
        self.put_control(datagram, msg);
        if !msg.peek() {
            queue.used -= datagram.data.len() + OVERHEAD;
            queue.datagrams.pop_front();
        }
        Ok(n)
    }

    fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        let bits = if how.reads() { RECEIVE } else { 0 } | if how.writes() { SEND } else { 0 };
        self.shutdown.fetch_or(bits, Ordering::SeqCst);
        self.common.queue.notify(Ready::IN | Ready::OUT | Ready::RDHUP | Ready::HUP);
        // Linux complains, and does it all the same.
        if self.state.lock().remote.is_some() { Ok(()) } else { Err(Errno::ENOTCONN) }
    }

    fn ready(&self) -> Ready {
        let mut ready = Ready::OUT | Ready::WRNORM | Ready::WRBAND;
        if self.common.has_error() {
            ready |= Ready::ERR;
        }
        let shutdown = self.shutdown.load(Ordering::SeqCst);
        if shutdown & RECEIVE != 0 {
            ready |= Ready::IN | Ready::RDNORM | Ready::RDHUP;
        }
        if shutdown == BOTH {
            ready |= Ready::HUP;
        }
        if !self.queue.lock().datagrams.is_empty() {
            ready |= Ready::IN | Ready::RDNORM;
        }
        ready
    }

    fn local_name(&self) -> Result<Address, Errno> {
        Ok(addr::encode(self.common.family, self.ends().0))
    }
    fn peer_name(&self) -> Result<Address, Errno> {
        let remote = self.state.lock().remote.ok_or(Errno::ENOTCONN)?;
        Ok(addr::encode(self.common.family, remote))
    }

    fn get_option(&self, _: Caller<'_>, level: i32, name: i32, room: usize) -> Result<OptionValue, Errno> {
        match (level, name) {
            (SOL_SOCKET, SO_ACCEPTCONN) => Ok(int_value(0)),
            (SOL_SOCKET, SO_PEERCRED) => Ok(value_of(&Ucred { pid: 0, uid: u32::MAX, gid: u32::MAX })),
            (SOL_SOCKET, _) => self.common.get_option(name),
            (SOL_UDPLITE, _) if !self.is_lite() => Err(Errno::EOPNOTSUPP),
            (SOL_IP, IP_MTU) if self.state.lock().remote.is_some() => Ok(int_value(65535)),
            (level, _)
                if self.common.family == AF_INET && !matches!(level, SOL_IP | SOL_UDP | SOL_UDPLITE) =>
            {
                Err(Errno::EOPNOTSUPP)
            }
            (SOL_TCP, _) => Err(Errno::ENOPROTOOPT),
            _ => self.options.get_option(level, name, room),
        }
    }

    fn set_option(&self, caller: Caller<'_>, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        match (level, name) {
            (SOL_SOCKET, _) => self.common.set_option(&caller, name, value),
            (SOL_TCP, _) => Err(Errno::ENOPROTOOPT),
            (SOL_UDPLITE, _) if !self.is_lite() => Err(Errno::ENOPROTOOPT),
            (SOL_IPV6, _) if self.common.family == AF_INET => Err(Errno::ENOPROTOOPT),
            (SOL_IPV6, IPV6_V6ONLY) if self.state.lock().bound.is_some() => Err(Errno::EINVAL),
            _ => {
                self.options.set_option(&self.common.ns, &caller, level, name, value)?;
                if (level, name) == (SOL_UDP, UDP_CORK) && !self.options.on(SOL_UDP, UDP_CORK) {
                    self.uncork();
                }
                Ok(())
            }
        }
    }

    fn readable_bytes(&self) -> Result<usize, Errno> {
        Ok(self.queue.lock().datagrams.front().map_or(0, |d| d.data.len()))
    }
    fn unsent_bytes(&self) -> Result<usize, Errno> {
        Ok(0)
    }

    fn release(&self) {
        self.shutdown.store(BOTH, Ordering::SeqCst);
        let bound = self.state.lock().bound.take();
        drop(bound);
        *self.queue.lock() = Queue::default();
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
