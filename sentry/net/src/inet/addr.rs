//! Addresses: from bytes and to bytes, and what each kind of them means on a network that is a loopback alone.

use crate::{caller::Caller, message::Address, namespace::NetNamespace};
use abi::{Cap, Errno, socket::*};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::atomic::Ordering,
};
use zerocopy::{FromBytes, IntoBytes};

/// The family that an address says it is of.
pub fn family_of(addr: &[u8]) -> Result<u16, Errno> {
    u16::read_from_prefix(addr).map(|(f, _)| f).map_err(|_| Errno::EINVAL)
}

/// An IPv4 address in the shape of an IPv6 one is an IPv4 address.
pub fn canonical(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}

/// Takes apart an address for a socket of `family`; `EINVAL` if it is short, `EAFNOSUPPORT` if it is of another family.
/// The address is as given: [`canonical`] makes mapped ones plain.
pub fn parse(family: u16, addr: &[u8]) -> Result<SocketAddr, Errno> {
    let given = family_of(addr)?;
    if family == AF_INET6 && given == AF_INET6 {
        if addr.len() < SIN6_LEN_MIN {
            return Err(Errno::EINVAL);
        }
        let mut whole = SockaddrIn6::default();
        let n = addr.len().min(SockaddrIn6::SIZE);
        if let (Some(to), Some(from)) = (whole.as_mut_bytes().get_mut(..n), addr.get(..n)) {
            to.copy_from_slice(from);
        }
        let ip = Ipv6Addr::from(whole.sin6_addr);
        return Ok(SocketAddr::new(IpAddr::V6(ip), u16::from_be_bytes(whole.sin6_port)));
    }
    if given != AF_INET || family == AF_INET6 {
        return Err(if addr.len() < SockaddrIn::SIZE { Errno::EINVAL } else { Errno::EAFNOSUPPORT });
    }
    let (v4, _) = SockaddrIn::read_from_prefix(addr).map_err(|_| Errno::EINVAL)?;
    Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(v4.sin_addr)), u16::from_be_bytes(v4.sin_port)))
}

/// The same for `bind(2)`: `AF_UNSPEC` will do for an unspecified IPv4 address.
pub fn parse_for_bind(family: u16, addr: &[u8]) -> Result<SocketAddr, Errno> {
    if family == AF_INET && family_of(addr)? == AF_UNSPEC {
        let (v4, _) = SockaddrIn::read_from_prefix(addr).map_err(|_| Errno::EINVAL)?;
        if v4.sin_addr == [0; 4] {
            return Ok(SocketAddr::new(unspecified(family), u16::from_be_bytes(v4.sin_port)));
        }
    }
    parse(family, addr)
}

/// Whether `caller` may bind to `port`; `EACCES`.
pub fn check_port(ns: &NetNamespace, caller: &Caller<'_>, port: u16) -> Result<(), Errno> {
    let first = ns.unprivileged_port_start.load(Ordering::Relaxed);
    let open = port == 0 || u32::from(port) >= first;
    if open || caller.cred().has_cap_in(&ns.user_ns, Cap::NET_BIND_SERVICE) {
        Ok(())
    } else {
        Err(Errno::EACCES)
    }
}

/// An address as a socket of `family` shows it.
pub fn encode(family: u16, addr: SocketAddr) -> Address {
    let sin6 = |ip: Ipv6Addr| SockaddrIn6 {
        sin6_family: AF_INET6,
        sin6_port: addr.port().to_be_bytes(),
        sin6_addr: ip.octets(),
        ..SockaddrIn6::default()
    };
    match (family, addr.ip()) {
        (AF_INET6, IpAddr::V4(ip)) if ip.is_unspecified() => {
            Address::from_slice(sin6(Ipv6Addr::UNSPECIFIED).as_bytes())
        }
        (AF_INET6, IpAddr::V4(ip)) => Address::from_slice(sin6(ip.to_ipv6_mapped()).as_bytes()),
        (_, IpAddr::V6(ip)) => Address::from_slice(sin6(ip).as_bytes()),
        (_, IpAddr::V4(ip)) => Address::from_slice(
            SockaddrIn {
                sin_family: AF_INET,
                sin_port: addr.port().to_be_bytes(),
                sin_addr: ip.octets(),
                sin_zero: [0; 8],
            }
            .as_bytes(),
        ),
    }
}

/// The address of nobody in particular.
pub fn unspecified(family: u16) -> IpAddr {
    if family == AF_INET6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) }
}

/// Whether it is the loopback's broadcast address, or everybody's.
pub fn is_broadcast(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.is_broadcast() || ip == Ipv4Addr::new(127, 255, 255, 255))
}

impl NetNamespace {
    /// Whether `ip` is an address of this network's own.
    pub fn is_local(&self, ip: IpAddr) -> bool {
        self.loopback.is_up() && ip.is_loopback() && !is_broadcast(ip)
    }

    /// Where a packet to `to` really goes, and the source address that it gets; `ENETUNREACH`.
    pub fn route(&self, to: IpAddr) -> Result<(IpAddr, IpAddr), Errno> {
        let to = match to {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        if !self.loopback.is_up() || !to.is_loopback() {
            return Err(Errno::ENETUNREACH);
        }
        let from = match to {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        Ok((to, from))
    }
}
