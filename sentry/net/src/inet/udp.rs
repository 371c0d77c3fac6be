//! UDP and UDP-Lite: a datagram lies in its receiver's queue when sending it returns.
//!
//! UDP-Lite (RFC 3828) differs in its ports, and in that both ends say how much of a datagram a checksum has to cover.
//!
//! **Lock order:** port table, `state`, `queue`; of two sockets never both.

mod send;

use super::{
    addr::{self, canonical},
    ancillary::{self, Arrival},
    errors::ErrorQueue,
    options::InetOptions,
    ports::{Bound, Ports, Request},
    wire,
};
use crate::{
    caller::Caller,
    common::{Common, Flags, int_value, value_of},
    filter,
    message::{Address, Control, OptionValue, RecvMsg, SendMsg},
    namespace::NetNamespace,
    socket::SocketOps,
};
use abi::{Errno, SockType, socket::*};
use ksync::{Mutex, Ready, rank};
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

/// A datagram on its way, or several of one size.
pub(crate) struct Datagram {
    /// Data.
    pub data: Vec<u8>,
    /// Source.
    pub from: SocketAddr,
    /// What its header says.
    pub arrival: Arrival,
    /// Bytes of each datagram of several; 0 if it is one.
    pub segment: usize,
    /// Bytes, with the header, that the sender's checksum covers, where that is not all.
    pub covered: Option<usize>,
}

#[derive(Default)]
struct Queue {
    datagrams: VecDeque<Datagram>,
    used: usize,
    drops: u64,
}

/// A UDP socket.
pub struct UdpSocket {
    common: Common,
    me: Weak<UdpSocket>,
    options: InetOptions,
    state: Mutex<State>,
    queue: Mutex<Queue>,
    shutdown: AtomicU8,
    errors: ErrorQueue,
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
            errors: ErrorQueue::default(),
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
    /// Bytes of the receive buffer in use, and datagrams for which there was no room.
    pub(crate) fn used(&self) -> (usize, u64) {
        let queue = self.queue.lock();
        (queue.used, queue.drops)
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

    /// Queues a datagram, or drops it if there is no room. Several become one each, unless `UDP_GRO` asks for all at once.
    fn receive(&self, datagram: Datagram) {
        if datagram.segment == 0 || self.options.on(SOL_UDP, UDP_GRO) {
            self.receive_one(datagram);
            return;
        }
        let Datagram { data, from, arrival, segment, covered } = datagram;
        for piece in data.chunks(segment) {
            self.receive_one(Datagram { data: piece.to_vec(), from, arrival, segment: 0, covered });
        }
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

    fn receive_one(&self, mut datagram: Datagram) {
        if !self.is_covered(&datagram) {
            return;
        }
        if self.common.filter.is_set() {
            let (from, to) = (datagram.from, datagram.arrival.to);
            let bytes = &wire::udp(from, to, &datagram.data);
            let protocol = if to.is_ipv6() { ETH_P_IPV6 } else { ETH_P_IP };
            let seen = filter::Packet { bytes, network: 0, protocol, kind: PACKET_HOST };
            let Some(kept) = self.common.filter.kept(&seen) else { return };
            datagram.data.truncate(kept.saturating_sub(wire::SHORT_HEADER)); // the header stays whole
        }
        let size = datagram.data.len() + OVERHEAD;
        {
            let mut queue = self.queue.lock();
            if self.is_down(RECEIVE) {
                return;
            }
            if queue.used + size > self.common.rcvbuf().max(size) {
                queue.drops += 1;
                return;
            }
            queue.used += size;
            queue.datagrams.push_back(datagram);
        }
        self.common.queue.notify(Ready::IN | Ready::RDNORM);
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
        let given = addr::parse(self.common.family, bytes)?;
        let (to, from) = ancillary::destination(&self.common, &self.options, given)?;
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
            return self.errors.recv(&self.common, msg);
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
        ancillary::put_control(&self.common, &self.options, &datagram.arrival, msg);
        if self.options.on(SOL_UDP, UDP_GRO) && datagram.segment != 0 {
            let size = datagram.segment as i32;
            msg.control.push(Control::Other(SOL_UDP, UDP_GRO, size.as_bytes().into()));
        }
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
        let mut ready = Ready::OUT | Ready::WRNORM | Ready::WRBAND | self.errors.ready();
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
            (SOL_TCP, _) | (SOL_IP, IP_HDRINCL | IP_NODEFRAG) => Err(Errno::ENOPROTOOPT),
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

    fn shut_down(&self) -> u8 {
        self.shutdown.load(Ordering::SeqCst)
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
