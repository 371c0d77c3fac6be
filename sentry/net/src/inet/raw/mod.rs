//! Raw sockets (`raw(7)`) and ICMP's datagram sockets ("ping sockets", `icmp(7)`).
//!
//! A [`RawSocket`] sees every packet of its protocol that goes over the loopback ([`crate::taps`]), before the protocol
//! itself does, and puts packets on it. A ping socket is one that sends echo requests alone and sees the answers to its own.
//!
//! **Lock order:** `state`, `queue`, `filter`; of two sockets never both.
//! **Absent on purpose:** IP options of the socket's own, fragments.

mod recv;
mod send;
#[cfg(test)]
mod tests;

use super::{
    addr::{self, canonical},
    ancillary::{self, Arrival},
    errors::ErrorQueue,
    options::InetOptions,
};
use crate::{
    caller::Caller,
    common::{Common, int_value, value_of},
    message::{Address, OptionValue, RecvMsg, SendMsg},
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
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};
use zerocopy::FromBytes;

const RECEIVE: u8 = 1;
const SEND: u8 = 2;
const BOTH: u8 = RECEIVE | SEND;
/// What a packet takes of the receive buffer beside its data.
const OVERHEAD: usize = 576;

#[derive(Default)]
struct State {
    /// The address that the application chose.
    bound_ip: Option<IpAddr>,
    /// The source that goes with `remote`.
    connected_from: Option<IpAddr>,
    remote: Option<SocketAddr>,
    /// A ping socket's number in the header; 0 before it has one.
    ident: u16,
    /// `IPV6_CHECKSUM`: where the kernel puts the checksum.
    checksum: Option<usize>,
}

/// A packet that was received: with its header for IPv4, without for IPv6 and ping sockets.
struct Packet {
    data: Arc<[u8]>,
    from: IpAddr,
    arrival: Arrival,
}

#[derive(Default)]
struct Queue {
    packets: VecDeque<Packet>,
    used: usize,
    drops: u64,
}

/// A raw socket of `AF_INET` or `AF_INET6`.
pub struct RawSocket {
    common: Common,
    options: InetOptions,
    state: Mutex<State>,
    queue: Mutex<Queue>,
    /// ICMP types that are kept out, a bit each.
    filter: Mutex<[u32; 8]>,
    shutdown: AtomicU8,
    errors: ErrorQueue,
}

impl RawSocket {
    /// A raw socket for `protocol`, or a ping socket if `kind` is [`SockType::Dgram`].
    pub fn new(
        ns: &Arc<NetNamespace>,
        family: u16,
        kind: SockType,
        protocol: i32,
        uid: vfs::Uid,
    ) -> Arc<Self> {
        let socket = Arc::new(Self {
            common: Common::new(ns.clone(), family, kind, protocol, uid),
            options: InetOptions::default(),
            state: Mutex::new(rank::SOCKET, State::default()),
            queue: Mutex::new(rank::SOCKET_QUEUE, Queue::default()),
            filter: Mutex::new(rank::LEAF, [0; 8]),
            shutdown: AtomicU8::new(0),
            errors: ErrorQueue::default(),
        });
        if protocol == IPPROTO_RAW {
            let level = if family == AF_INET6 { (SOL_IPV6, IPV6_HDRINCL) } else { (SOL_IP, IP_HDRINCL) };
            socket.options.set_number(level.0, level.1, 1);
        }
        if protocol == IPPROTO_ICMPV6 && family == AF_INET6 {
            socket.state.lock().checksum = Some(2);
        }
        ns.taps.add_raw(&socket);
        socket
    }

    fn is_ping(&self) -> bool {
        self.common.kind == SockType::Dgram
    }
    fn is_down(&self, which: u8) -> bool {
        self.shutdown.load(Ordering::SeqCst) & which != 0
    }

    /// Local and remote address: the port is the protocol's number, or a ping socket's own.
    pub(crate) fn ends(&self) -> (SocketAddr, SocketAddr) {
        let any = addr::unspecified(self.common.family);
        let state = self.state.lock();
        let port = if self.is_ping() { state.ident } else { self.common.protocol as u16 };
        let local = state.bound_ip.or(state.connected_from).unwrap_or(any);
        (SocketAddr::new(local, port), state.remote.unwrap_or(SocketAddr::new(any, 0)))
    }

    /// Bytes of the receive buffer in use, and packets for which there was no room.
    pub(crate) fn used(&self) -> (usize, u64) {
        let queue = self.queue.lock();
        (queue.used, queue.drops)
    }

    /// Gives a ping socket a number, `wanted` or any that is free; several may have one (as on Linux); `EADDRINUSE`.
    fn identify(&self, wanted: u16) -> Result<u16, Errno> {
        let have = self.state.lock().ident;
        if have != 0 {
            return Ok(have);
        }
        let ident = match wanted {
            0 => {
                let taken = self.common.ns.taps.ping_numbers();
                (1..=u16::MAX).rev().find(|n| !taken.contains(n)).ok_or(Errno::EADDRINUSE)?
            }
            wanted => wanted,
        };
        self.state.lock().ident = ident;
        Ok(ident)
    }

    /// Its number, if it is a ping socket.
    pub(crate) fn ping_number(&self) -> Option<u16> {
        self.is_ping().then(|| self.state.lock().ident)
    }

    /// `ICMP_FILTER` and `ICMPV6_FILTER`: the level, and how much of the filter there is.
    fn filter_len(&self, level: i32) -> Option<usize> {
        match (level, self.common.family, self.common.protocol) {
            (SOL_RAW, AF_INET, IPPROTO_ICMP) => Some(4),
            (SOL_ICMPV6, AF_INET6, IPPROTO_ICMPV6) => Some(32),
            _ => None,
        }
    }

    fn set_filter(&self, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        let len = self.filter_len(level).ok_or(Errno::EOPNOTSUPP)?;
        if name != ICMP_FILTER {
            return Err(Errno::ENOPROTOOPT);
        }
        let mut filter = self.filter.lock();
        for (word, bytes) in
            filter.iter_mut().zip(value.get(..len.min(value.len())).unwrap_or_default().chunks_exact(4))
        {
            *word = u32::read_from_bytes(bytes).unwrap_or(0);
        }
        Ok(())
    }

    fn set_checksum(&self, value: &[u8]) -> Result<(), Errno> {
        let (n, _) = i32::read_from_prefix(value).map_err(|_| Errno::EINVAL)?;
        if self.common.protocol == IPPROTO_ICMPV6 || (n > 0 && n % 2 != 0) {
            return Err(Errno::EINVAL);
        }
        self.state.lock().checksum = usize::try_from(n).ok();
        Ok(())
    }
}

impl SocketOps for RawSocket {
    fn common(&self) -> &Common {
        &self.common
    }

    fn bind(&self, _: Caller<'_>, bytes: &[u8]) -> Result<(), Errno> {
        let given = match self.common.family {
            AF_INET6 if addr::family_of(bytes)? != AF_INET6 => return Err(Errno::EINVAL),
            AF_INET6 => addr::parse(AF_INET6, bytes)?,
            _ => addr::parse_for_bind(AF_INET, bytes)?,
        };
        let ip = given.ip();
        if self.common.family == AF_INET6 && canonical(ip).is_ipv4() {
            return Err(Errno::EADDRNOTAVAIL);
        }
        let free = self.options.on(SOL_IP, IP_FREEBIND) || self.options.on(SOL_IPV6, IPV6_FREEBIND);
        let fine = ip.is_unspecified() || ip.is_multicast() || addr::is_broadcast(ip) || free;
        if !fine && !self.common.ns.is_local(ip) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        if self.state.lock().remote.is_some() {
            return Err(Errno::EINVAL);
        }
        if self.is_ping() {
            if self.state.lock().ident != 0 {
                return Err(Errno::EINVAL);
            }
            self.identify(given.port())?;
        }
        self.state.lock().bound_ip = Some(ip).filter(|ip| !ip.is_unspecified());
        Ok(())
    }

    fn connect(&self, _: Caller<'_>, bytes: &[u8]) -> Result<(), Errno> {
        if addr::family_of(bytes)? == AF_UNSPEC {
            let mut state = self.state.lock();
            (state.remote, state.connected_from) = (None, None);
            return Ok(());
        }
        let given = addr::parse(self.common.family, bytes)?;
        let (to, from) = ancillary::destination(&self.common, &self.options, given)?;
        if self.is_ping() {
            self.identify(0)?;
        }
        let mut state = self.state.lock();
        (state.remote, state.connected_from) = (Some(to), Some(from));
        Ok(())
    }

    fn send(&self, _: Caller<'_>, msg: &mut SendMsg<'_, '_>) -> Result<usize, Errno> {
        if msg.flags.contains(MsgFlags::OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        self.do_send(msg)
    }

    fn recv(&self, _: Caller<'_>, msg: &mut RecvMsg<'_, '_>) -> Result<usize, Errno> {
        if msg.flags.contains(MsgFlags::OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        if msg.flags.contains(MsgFlags::ERRQUEUE) {
            return self.errors.recv(&self.common, msg);
        }
        self.do_recv(msg)
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
        if !self.queue.lock().packets.is_empty() {
            ready |= Ready::IN | Ready::RDNORM;
        }
        ready
    }

    fn local_name(&self) -> Result<Address, Errno> {
        Ok(addr::encode(self.common.family, self.ends().0))
    }
    fn peer_name(&self) -> Result<Address, Errno> {
        let remote = self.state.lock().remote.filter(|r| r.port() != 0).ok_or(Errno::ENOTCONN)?;
        Ok(addr::encode(self.common.family, remote))
    }

    fn get_option(&self, _: Caller<'_>, level: i32, name: i32, room: usize) -> Result<OptionValue, Errno> {
        match (level, name) {
            (SOL_SOCKET, SO_ACCEPTCONN) => Ok(int_value(0)),
            (SOL_SOCKET, SO_PEERCRED) => Ok(value_of(&Ucred { pid: 0, uid: u32::MAX, gid: u32::MAX })),
            (SOL_SOCKET, _) => self.common.get_option(name),
            (SOL_RAW | SOL_ICMPV6, _) => {
                let len = self.filter_len(level).ok_or(Errno::EOPNOTSUPP)?;
                if name != ICMP_FILTER {
                    return Err(Errno::ENOPROTOOPT);
                }
                let filter = *self.filter.lock();
                Ok(filter.iter().flat_map(|w| w.to_ne_bytes()).take(len).collect())
            }
            (SOL_TCP | SOL_UDP, _) => Err(Errno::ENOPROTOOPT),
            (SOL_IPV6, _) if self.common.family == AF_INET => Err(Errno::ENOPROTOOPT),
            (SOL_IPV6, IPV6_CHECKSUM) => {
                let at = self.state.lock().checksum;
                Ok(int_value(at.map_or(-1, |at| at as i64)))
            }
            (SOL_IP, IP_MTU) if self.state.lock().remote.is_some() => Ok(int_value(65535)),
            _ => self.options.get_option(level, name, room),
        }
    }

    fn set_option(&self, caller: Caller<'_>, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        match (level, name) {
            (SOL_SOCKET, _) => self.common.set_option(&caller, name, value),
            (SOL_RAW | SOL_ICMPV6, _) => self.set_filter(level, name, value),
            (SOL_TCP | SOL_UDP, _) => Err(Errno::ENOPROTOOPT),
            (SOL_IPV6, _) if self.common.family == AF_INET => Err(Errno::ENOPROTOOPT),
            (SOL_IPV6, IPV6_CHECKSUM) => self.set_checksum(value),
            _ => self.options.set_option(&self.common.ns, &caller, level, name, value),
        }
    }

    fn readable_bytes(&self) -> Result<usize, Errno> {
        Ok(self.queue.lock().packets.front().map_or(0, |p| p.data.len()))
    }
    fn unsent_bytes(&self) -> Result<usize, Errno> {
        Ok(0)
    }

    fn shut_down(&self) -> u8 {
        self.shutdown.load(Ordering::SeqCst)
    }

    fn release(&self) {
        self.shutdown.store(BOTH, Ordering::SeqCst);
        self.common.ns.taps.remove_raw(self);
        *self.queue.lock() = Queue::default();
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
