//! IPv4 and IPv6 over the loopback of a namespace: there are no packets, what is sent lies in the receiver at once.
//!
//! [`ports`] says who is bound where; [`tcp`] is pairs of byte queues with TCP's rules for opening and closing them;
//! [`udp`] delivers datagrams. IPv4 addresses are kept as such on IPv6 sockets too, and mapped where they are shown.
//!
//! **Lock order:** a protocol's port table, sockets' states (listener first), queues.
//! **Absent on purpose:** packets, and so raw sockets, checksums, retransmission, `TIME_WAIT`.

pub mod addr;
pub mod options;
pub mod ports;
pub mod tcp;
#[cfg(test)]
mod tests;
pub mod udp;

use crate::{caller::Caller, namespace::NetNamespace, socket::SocketOps};
use abi::{Cap, Errno, SockType, socket::*};
use std::sync::Arc;

/// A socket of `AF_INET` or `AF_INET6`.
pub fn create(
    ns: &Arc<NetNamespace>,
    caller: Caller<'_>,
    family: u16,
    kind: SockType,
    protocol: i32,
) -> Result<Arc<dyn SocketOps>, Errno> {
    if !(0..=IPPROTO_MPTCP).contains(&protocol) {
        return Err(Errno::EINVAL);
    }
    let cred = caller.cred();
    match (kind, protocol) {
        (SockType::Stream, 0 | IPPROTO_TCP) => Ok(tcp::TcpSocket::new(ns.clone(), family, cred.fsuid)),
        (SockType::Dgram, 0 | IPPROTO_UDP) => {
            Ok(udp::UdpSocket::new(ns.clone(), family, IPPROTO_UDP, cred.fsuid))
        }
        (SockType::Dgram, IPPROTO_UDPLITE) => {
            Ok(udp::UdpSocket::new(ns.clone(), family, IPPROTO_UDPLITE, cred.fsuid))
        }
        // Nobody is in `net.ipv4.ping_group_range` of a new namespace.
        (SockType::Dgram, IPPROTO_ICMP) if family == AF_INET => Err(Errno::EACCES),
        (SockType::Dgram, IPPROTO_ICMPV6) if family == AF_INET6 => Err(Errno::EACCES),
        (SockType::Raw, _) if !cred.has_cap_in(&ns.user_ns, Cap::NET_RAW) => Err(Errno::EPERM),
        (SockType::Stream | SockType::Dgram | SockType::Raw, _) => Err(Errno::EPROTONOSUPPORT),
        _ => Err(Errno::ESOCKTNOSUPPORT),
    }
}
