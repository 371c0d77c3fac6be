//! IPv4 and IPv6 over the loopback of a namespace: there are no packets, what is sent lies in the receiver at once.
//!
//! [`ports`] says who is bound where; [`tcp`] is pairs of byte queues with TCP's rules for opening and closing them;
//! [`udp`] delivers datagrams. IPv4 addresses are kept as such on IPv6 sockets too, and mapped where they are shown.
//! There are packets ([`wire`]) only where somebody sends or sees them: [`raw`] sockets, [`crate::packet`] sockets, and
//! [`stack`], which answers what these send.
//!
//! **Lock order:** a protocol's port table, sockets' states (listener first), queues.
//! **Absent on purpose:** retransmission, `TIME_WAIT`.

pub mod addr;
pub mod ancillary;
pub mod errors;
pub mod options;
pub mod ports;
pub mod raw;
pub mod stack;
pub mod tcp;
#[cfg(test)]
mod tests;
pub mod udp;
pub mod wire;

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
    let icmp = if family == AF_INET { IPPROTO_ICMP } else { IPPROTO_ICMPV6 };
    match (kind, protocol) {
        (SockType::Stream, 0 | IPPROTO_TCP) => Ok(tcp::TcpSocket::new(ns.clone(), family, cred.fsuid)),
        (SockType::Dgram, 0 | IPPROTO_UDP) => {
            Ok(udp::UdpSocket::new(ns.clone(), family, IPPROTO_UDP, cred.fsuid))
        }
        (SockType::Dgram, IPPROTO_UDPLITE) => {
            Ok(udp::UdpSocket::new(ns.clone(), family, IPPROTO_UDPLITE, cred.fsuid))
        }
        (SockType::Dgram, protocol) if protocol == icmp => {
            // Both families go by IPv4's setting.
            if !ns.may_ping(&cred) {
                return Err(Errno::EACCES);
            }
            Ok(raw::RawSocket::new(ns, family, kind, protocol, cred.fsuid))
        }
        (SockType::Raw, 0) => Err(Errno::EPROTONOSUPPORT),
        (SockType::Raw, _) if !cred.has_cap_in(&ns.user_ns, Cap::NET_RAW) => Err(Errno::EPERM),
        (SockType::Raw, _) => Ok(raw::RawSocket::new(ns, family, kind, protocol, cred.fsuid)),
        (SockType::Stream | SockType::Dgram, _) => Err(Errno::EPROTONOSUPPORT),
        _ => Err(Errno::ESOCKTNOSUPPORT),
    }
}
