//! What goes with a datagram beside its data: where it is sent to, how, and the control messages that tell its receiver.

use super::{
    addr::{self, canonical},
    options::InetOptions,
};
use crate::{
    common::{Common, Flags},
    message::{Control, RecvMsg, SendControl},
    namespace::LOOPBACK_INDEX,
};
use abi::{
    Errno,
    socket::*,
    time::{Timespec, Timeval},
};
use smallvec::SmallVec;
use std::net::{IpAddr, SocketAddr};
use zerocopy::{FromBytes, IntoBytes};

/// How a datagram is sent: what the socket's options say unless control messages say otherwise.
pub struct Outgoing {
    /// Source address.
    pub source: Option<IpAddr>,
    /// Hops.
    pub ttl: i32,
    /// Type of service or traffic class.
    pub tos: i32,
    /// `UDP_SEGMENT`: bytes of each datagram that the data is cut into; 0 is all of it.
    pub segment: usize,
}

/// An option or a control message with a number between -1, which stands for `default`, and 255.
fn small(data: &[u8], least: i32, default: i32) -> Result<i32, Errno> {
    let n = i32::read_from_bytes(data).map_err(|_| Errno::EINVAL)?;
    match n {
        -1 if least == -1 => Ok(default),
        n if (least..=255).contains(&n) => Ok(n),
        _ => Err(Errno::EINVAL),
    }
}

impl Outgoing {
    /// What the options of a socket say.
    pub fn by_options(common: &Common, options: &InetOptions, multicast: bool) -> Self {
        let v6 = common.family == AF_INET6;
        let ttl = match (v6, multicast) {
            (true, false) => (SOL_IPV6, IPV6_UNICAST_HOPS),
            (true, true) => (SOL_IPV6, IPV6_MULTICAST_HOPS),
            (false, false) => (SOL_IP, IP_TTL),
            (false, true) => (SOL_IP, IP_MULTICAST_TTL),
        };
        let tos = if v6 { (SOL_IPV6, IPV6_TCLASS) } else { (SOL_IP, IP_TOS) };
        Self {
            source: None,
            ttl: options.get(ttl.0, ttl.1),
            tos: options.get(tos.0, tos.1),
            segment: usize::try_from(options.get(SOL_UDP, UDP_SEGMENT)).unwrap_or(0),
        }
    }

    /// What the options of a socket and the control messages say; `EINVAL` for those that no socket of its kind has.
    pub fn of(
        common: &Common,
        options: &InetOptions,
        control: &SendControl,
        multicast: bool,
    ) -> Result<Self, Errno> {
        let mut how = Self::by_options(common, options, multicast);
        for (level, kind, data) in &control.other {
            match (*level, *kind) {
                (SOL_IP, IP_PKTINFO) => {
                    let info = InPktinfo::read_from_bytes(data).map_err(|_| Errno::EINVAL)?;
                    how.source = Some(IpAddr::from(info.ipi_spec_dst)).filter(|ip| !ip.is_unspecified());
                }
                (SOL_IPV6, IPV6_PKTINFO | IPV6_2292PKTINFO) => {
                    let (info, _) = In6Pktinfo::read_from_prefix(data).map_err(|_| Errno::EINVAL)?;
                    how.source =
                        Some(canonical(IpAddr::from(info.ipi6_addr))).filter(|ip| !ip.is_unspecified());
                }
                (SOL_IP, IP_TTL) => how.ttl = small(data, 1, 0)?,
                (SOL_IPV6, IPV6_HOPLIMIT | IPV6_2292HOPLIMIT) => how.ttl = small(data, -1, how.ttl)?,
                (SOL_IPV6, IPV6_TCLASS) => how.tos = small(data, -1, 0)?,
                (SOL_IPV6, IPV6_DONTFRAG) => small(data, 0, 0).map(|_| ())?,
                (SOL_IP, IP_TOS) => {
                    how.tos = match data.as_slice() {
                        [byte] => i32::from(*byte),
                        data => small(data, 0, 0)?,
                    }
                }
                (SOL_UDP, UDP_SEGMENT) if common.protocol == IPPROTO_UDP => {
                    let size = u16::read_from_bytes(data).map_err(|_| Errno::EINVAL)?;
                    how.segment = usize::from(size);
                }
                (SOL_IP, _) | (SOL_IPV6, _) => return Err(Errno::EINVAL),
                (SOL_UDP, _) if common.protocol == IPPROTO_UDP => return Err(Errno::EINVAL),
                _ => {} // other levels' are not looked at
            }
        }
        if how.source.is_some_and(|ip| !common.ns.is_local(ip)) {
            return Err(Errno::EINVAL);
        }
        Ok(how)
    }
}

/// A destination as it was given, checked: `EINVAL`, `EACCES`, `ENETUNREACH`. With the source that goes with it.
pub fn destination(
    common: &Common,
    options: &InetOptions,
    given: SocketAddr,
) -> Result<(SocketAddr, IpAddr), Errno> {
    let ip = canonical(given.ip());
    if common.family == AF_INET6 && ip.is_ipv4() && options.on(SOL_IPV6, IPV6_V6ONLY) {
        return Err(Errno::ENETUNREACH);
    }
    let ns = &common.ns;
    if addr::is_broadcast(ip) && !common.has(Flags::BROADCAST) {
        return Err(Errno::EACCES);
    }
    let through_lo =
        options.multicast_interface() == LOOPBACK_INDEX || common.bound_device() == LOOPBACK_INDEX;
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

/// What a datagram's header said when it came.
#[derive(Clone, Copy)]
pub struct Arrival {
    /// Its destination.
    pub to: SocketAddr,
    /// Hops left.
    pub ttl: i32,
    /// Type of service or traffic class.
    pub tos: i32,
    /// When.
    pub at: Timespec,
}

fn put(msg: &mut RecvMsg<'_, '_>, level: i32, kind: i32, data: &[u8]) {
    msg.control.push(Control::Other(level, kind, SmallVec::from_slice(data)));
}

/// `SO_TIMESTAMP` and its kin.
pub fn put_time(common: &Common, at: Timespec, msg: &mut RecvMsg<'_, '_>) {
    if common.has(Flags::TIMESTAMP) {
        let at = Timeval { tv_sec: at.tv_sec, tv_usec: at.tv_nsec / 1000 };
        put(msg, SOL_SOCKET, SO_TIMESTAMP, at.as_bytes());
    }
    if common.has(Flags::TIMESTAMPNS) {
        put(msg, SOL_SOCKET, SO_TIMESTAMPNS, at.as_bytes());
    }
}

/// The control messages that the receiver asked for, in Linux's order.
pub fn put_control(common: &Common, options: &InetOptions, arrival: &Arrival, msg: &mut RecvMsg<'_, '_>) {
    put_time(common, arrival.at, msg);
    let on = |level, name| options.on(level, name);
    if common.family == AF_INET6 {
        let to = match arrival.to.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let info = In6Pktinfo { ipi6_addr: to.octets(), ipi6_ifindex: LOOPBACK_INDEX };
        if on(SOL_IPV6, IPV6_RECVPKTINFO) {
            put(msg, SOL_IPV6, IPV6_PKTINFO, info.as_bytes());
        }
        if arrival.to.is_ipv6() {
            if on(SOL_IPV6, IPV6_RECVHOPLIMIT) {
                put(msg, SOL_IPV6, IPV6_HOPLIMIT, arrival.ttl.as_bytes());
            }
            if on(SOL_IPV6, IPV6_RECVTCLASS) {
                put(msg, SOL_IPV6, IPV6_TCLASS, arrival.tos.as_bytes());
            }
            if on(SOL_IPV6, IPV6_2292PKTINFO) {
                put(msg, SOL_IPV6, IPV6_2292PKTINFO, info.as_bytes());
            }
            if on(SOL_IPV6, IPV6_2292HOPLIMIT) {
                put(msg, SOL_IPV6, IPV6_2292HOPLIMIT, arrival.ttl.as_bytes());
            }
            if on(SOL_IPV6, IPV6_RECVORIGDSTADDR) {
                put(msg, SOL_IPV6, IPV6_ORIGDSTADDR, &addr::encode(AF_INET6, arrival.to));
            }
        }
    }
    if let IpAddr::V4(to) = arrival.to.ip() {
        if on(SOL_IP, IP_PKTINFO) {
            let info = InPktinfo {
                ipi_ifindex: LOOPBACK_INDEX,
                ipi_spec_dst: if to.is_loopback() { to.octets() } else { [127, 0, 0, 1] },
                ipi_addr: to.octets(),
            };
            put(msg, SOL_IP, IP_PKTINFO, info.as_bytes());
        }
        if on(SOL_IP, IP_RECVTTL) {
            put(msg, SOL_IP, IP_TTL, arrival.ttl.as_bytes());
        }
        if on(SOL_IP, IP_RECVTOS) {
            put(msg, SOL_IP, IP_TOS, &[arrival.tos.clamp(0, 255) as u8]);
        }
        if on(SOL_IP, IP_RECVORIGDSTADDR) {
            put(msg, SOL_IP, IP_ORIGDSTADDR, &addr::encode(AF_INET, arrival.to));
        }
    }
}
