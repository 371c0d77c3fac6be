//! `socket(2)` and `socketpair(2)`.

use crate::{
    caller::Caller, hostnet::HostSocket, inet, namespace::NetNamespace, netlink::NetlinkSocket,
    packet::PacketSocket, socket::SocketOps, unix::UnixSocket,
};
use abi::{Cap, Errno, SockType, socket::*};
use std::sync::Arc;

/// A new socket in `ns`.
pub fn socket(
    ns: &Arc<NetNamespace>,
    caller: Caller<'_>,
    family: i32,
    kind: SockType,
    protocol: i32,
) -> Result<Arc<dyn SocketOps>, Errno> {
    let family = u16::try_from(family).ok().filter(|f| *f < AF_MAX).ok_or(Errno::EAFNOSUPPORT)?;
    let uid = caller.cred().fsuid;
    let socket: Arc<dyn SocketOps> = match family {
        AF_UNIX => {
            if protocol != 0 && protocol != i32::from(AF_UNIX) {
                return Err(Errno::EPROTONOSUPPORT);
            }
            UnixSocket::new(ns.clone(), kind, uid)?
        }
        AF_INET | AF_INET6 if ns.host.is_some() => HostSocket::new(ns, family, kind, protocol, uid)?,
        AF_NETLINK if ns.host.is_some() && protocol == NETLINK_ROUTE => {
            HostSocket::new(ns, family, kind, protocol, uid)?
        }
        AF_INET | AF_INET6 => inet::create(ns, caller, family, kind, protocol)?,
        AF_NETLINK => NetlinkSocket::new(ns.clone(), kind, protocol, uid)?,
        AF_PACKET if !caller.cred().has_cap_in(&ns.user_ns, Cap::NET_RAW) => return Err(Errno::EPERM),
        // The host's packets are not ours to see.
        AF_PACKET if ns.host.is_none() => PacketSocket::new(ns, kind, protocol, uid)?,
        // Devices and protocols that there are no drivers for.
        _ => return Err(Errno::EAFNOSUPPORT),
    };
    ns.remember(&socket);
    Ok(socket)
}

/// Two sockets that are connected to each other.
pub fn pair(
    ns: &Arc<NetNamespace>,
    caller: Caller<'_>,
    family: i32,
    kind: SockType,
    protocol: i32,
) -> Result<(Arc<dyn SocketOps>, Arc<dyn SocketOps>), Errno> {
    if family != i32::from(AF_UNIX) {
        // What cannot be made at all says so first.
        socket(ns, caller, family, kind, protocol)?.release();
        return Err(Errno::EOPNOTSUPP);
    }
    if protocol != 0 && protocol != i32::from(AF_UNIX) {
        return Err(Errno::EPROTONOSUPPORT);
    }
    let (a, b) = UnixSocket::pair(ns, kind, caller)?;
    let (a, b): (Arc<dyn SocketOps>, Arc<dyn SocketOps>) = (a, b);
    ns.remember(&a);
    ns.remember(&b);
    Ok((a, b))
}
