//! Options of the levels `SOL_IP`, `SOL_IPV6`, `SOL_TCP`, `SOL_UDP` and `SOL_UDPLITE`.
//!
//! Most are numbers that change nothing on a loopback without packets: they are kept and given back. The table says
//! which there are, what they are at first and what is refused.

use super::addr::canonical;
use crate::{
    caller::Caller,
    common::{int_value, value_of},
    message::OptionValue,
    namespace::{LOOPBACK_INDEX, NetNamespace},
};
use abi::{Cap, Errno, socket::*};
use ksync::{Mutex, rank};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};
use zerocopy::FromBytes;

/// An option that is a number: level, name, first value, least, greatest.
type Number = (i32, i32, i32, i32, i32);

const NUMBERS: &[Number] = &[
    (SOL_IP, IP_TOS, 0, 0, 255),
    (SOL_IP, IP_TTL, 64, 1, 255),
    (SOL_IP, IP_HDRINCL, 0, 0, 1),
    (SOL_IP, IP_RECVOPTS, 0, 0, 1),
    (SOL_IP, IP_RETOPTS, 0, 0, 1),
    (SOL_IP, IP_PKTINFO, 0, 0, 1),
    (SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_WANT, 0, 5),
    (SOL_IP, IP_RECVERR, 0, 0, 1),
    (SOL_IP, IP_RECVTTL, 0, 0, 1),
    (SOL_IP, IP_RECVTOS, 0, 0, 1),
    (SOL_IP, IP_FREEBIND, 0, 0, 1),
    (SOL_IP, IP_PASSSEC, 0, 0, 1),
    (SOL_IP, IP_TRANSPARENT, 0, 0, 1),
    (SOL_IP, IP_RECVORIGDSTADDR, 0, 0, 1),
    (SOL_IP, IP_MINTTL, 0, 0, 255),
    (SOL_IP, IP_NODEFRAG, 0, 0, 1),
    (SOL_IP, IP_CHECKSUM, 0, 0, 1),
    (SOL_IP, IP_BIND_ADDRESS_NO_PORT, 0, 0, 1),
    (SOL_IP, IP_RECVFRAGSIZE, 0, 0, 1),
    (SOL_IP, IP_RECVERR_RFC4884, 0, 0, 1),
    (SOL_IP, IP_MULTICAST_TTL, 1, 0, 255),
    (SOL_IP, IP_MULTICAST_LOOP, 1, 0, 1),
    (SOL_IP, IP_MULTICAST_ALL, 1, 0, 1),
    (SOL_IP, IP_UNICAST_IF, 0, i32::MIN, i32::MAX),
    (SOL_IP, IP_LOCAL_PORT_RANGE, 0, i32::MIN, i32::MAX),
    (SOL_IPV6, IPV6_V6ONLY, 0, 0, 1),
    (SOL_IPV6, IPV6_HDRINCL, 0, 0, 1),
    (SOL_IPV6, IPV6_UNICAST_HOPS, 64, 0, 255),
    (SOL_IPV6, IPV6_MULTICAST_HOPS, 1, 0, 255),
    (SOL_IPV6, IPV6_MULTICAST_LOOP, 1, 0, 1),
    (SOL_IPV6, IPV6_MULTICAST_ALL, 1, 0, 1),
    (SOL_IPV6, IPV6_MTU_DISCOVER, IP_PMTUDISC_WANT, 0, 5),
    (SOL_IPV6, IPV6_RECVERR, 0, 0, 1),
    (SOL_IPV6, IPV6_RECVERR_RFC4884, 0, 0, 1),
    (SOL_IPV6, IPV6_FLOWINFO_SEND, 0, 0, 1),
    (SOL_IPV6, IPV6_FLOWINFO, 0, 0, 1),
    (SOL_IPV6, IPV6_RECVPKTINFO, 0, 0, 1),
    (SOL_IPV6, IPV6_2292PKTINFO, 0, 0, 1),
    (SOL_IPV6, IPV6_RECVHOPLIMIT, 0, 0, 1),
    (SOL_IPV6, IPV6_2292HOPLIMIT, 0, 0, 1),
    (SOL_IPV6, IPV6_RECVHOPOPTS, 0, 0, 1),
    (SOL_IPV6, IPV6_RECVRTHDR, 0, 0, 1),
    (SOL_IPV6, IPV6_RECVDSTOPTS, 0, 0, 1),
    (SOL_IPV6, IPV6_RECVPATHMTU, 0, 0, 1),
    (SOL_IPV6, IPV6_RECVFRAGSIZE, 0, 0, 1),
    (SOL_IPV6, IPV6_DONTFRAG, 0, 0, 1),
    (SOL_IPV6, IPV6_RECVTCLASS, 0, 0, 1),
    (SOL_IPV6, IPV6_TCLASS, 0, 0, 255),
    (SOL_IPV6, IPV6_AUTOFLOWLABEL, 1, 0, 1),
    (SOL_IPV6, IPV6_ADDR_PREFERENCES, 0, 0, i32::MAX),
    (SOL_IPV6, IPV6_MINHOPCOUNT, 0, 0, 255),
    (SOL_IPV6, IPV6_RECVORIGDSTADDR, 0, 0, 1),
    (SOL_IPV6, IPV6_TRANSPARENT, 0, 0, 1),
    (SOL_IPV6, IPV6_UNICAST_IF, 0, i32::MIN, i32::MAX),
    (SOL_IPV6, IPV6_FREEBIND, 0, 0, 1),
    (SOL_IPV6, IPV6_MTU, 65536, 1280, 65536),
    (SOL_TCP, TCP_NODELAY, 0, 0, 1),
    (SOL_TCP, TCP_CORK, 0, 0, 1),
    (SOL_TCP, TCP_KEEPIDLE, 7200, 1, 32767),
    (SOL_TCP, TCP_KEEPINTVL, 75, 1, 32767),
    (SOL_TCP, TCP_KEEPCNT, 9, 1, 127),
    (SOL_TCP, TCP_SYNCNT, 6, 1, 127),
    (SOL_TCP, TCP_LINGER2, 60, -1, 120),
    (SOL_TCP, TCP_DEFER_ACCEPT, 0, 0, i32::MAX),
    (SOL_TCP, TCP_WINDOW_CLAMP, 0, 0, i32::MAX),
    (SOL_TCP, TCP_QUICKACK, 1, 0, 1),
    (SOL_TCP, TCP_USER_TIMEOUT, 0, 0, i32::MAX),
    (SOL_TCP, TCP_FASTOPEN, 0, 0, i32::MAX),
    (SOL_TCP, TCP_FASTOPEN_CONNECT, 0, 0, 1),
    (SOL_TCP, TCP_FASTOPEN_NO_COOKIE, 0, 0, 1),
    (SOL_TCP, TCP_NOTSENT_LOWAT, 0, i32::MIN, i32::MAX),
    (SOL_TCP, TCP_THIN_LINEAR_TIMEOUTS, 0, 0, 1),
    (SOL_TCP, TCP_THIN_DUPACK, 0, 0, 1),
    (SOL_TCP, TCP_SAVE_SYN, 0, 0, 2),
    (SOL_TCP, TCP_INQ, 0, 0, 1),
    (SOL_TCP, TCP_TX_DELAY, 0, 0, i32::MAX),
    (SOL_TCP, TCP_TIMESTAMP, 0, i32::MIN, i32::MAX),
    (SOL_UDP, UDP_CORK, 0, 0, 1),
    (SOL_UDP, UDP_SEGMENT, 0, 0, 65535),
    (SOL_UDP, UDP_GRO, 0, 0, 1),
    (SOL_UDP, UDP_NO_CHECK6_TX, 0, 0, 1),
    (SOL_UDP, UDP_NO_CHECK6_RX, 0, 0, 1),
    (SOL_UDPLITE, UDPLITE_SEND_CSCOV, 0, i32::MIN, i32::MAX),
    (SOL_UDPLITE, UDPLITE_RECV_CSCOV, 0, i32::MIN, i32::MAX),
];

fn number(level: i32, name: i32) -> Option<&'static Number> {
    NUMBERS.iter().find(|(l, n, ..)| (*l, *n) == (level, name))
}

#[derive(Default, Clone)]
struct Values {
    numbers: BTreeMap<(i32, i32), i32>,
    /// Groups that were joined.
    groups: Vec<IpAddr>,
    /// Multicast goes out there; 0 is wherever the route leads, which is nowhere.
    multicast_interface: i32,
    congestion: Vec<u8>,
    maxseg: i32,
}

/// The options of one socket.
pub struct InetOptions(Mutex<Values>);

impl Default for InetOptions {
    fn default() -> Self {
        let values = Values { congestion: b"cubic".to_vec(), ..Values::default() };
        Self(Mutex::new(rank::LEAF, values))
    }
}

fn int(value: &[u8]) -> Result<i32, Errno> {
    i32::read_from_prefix(value).map(|(n, _)| n).map_err(|_| Errno::EINVAL)
}

/// Options of IPv4 may be given as one byte.
fn int_or_byte(value: &[u8]) -> Result<i32, Errno> {
    match value {
        [] => Err(Errno::EINVAL),
        value if value.len() < 4 => Ok(i32::from(value.first().copied().unwrap_or(0))),
        value => int(value),
    }
}

impl InetOptions {
    /// Takes over a listener's.
    pub fn inherit(&self, listener: &InetOptions) {
        let values = listener.0.lock().clone();
        *self.0.lock() = values;
    }

    /// The number `name`; its first value if it was never set.
    pub fn get(&self, level: i32, name: i32) -> i32 {
        let set = self.0.lock().numbers.get(&(level, name)).copied();
        set.unwrap_or_else(|| number(level, name).map_or(0, |(.., first, _, _)| *first))
    }

    /// The number `name`, if it was ever set.
    pub fn is_set(&self, level: i32, name: i32) -> Option<i32> {
        self.0.lock().numbers.get(&(level, name)).copied()
    }

    /// Gives the number `name` another value to begin with.
    pub fn set_number(&self, level: i32, name: i32, value: i32) {
        self.0.lock().numbers.insert((level, name), value);
    }

    /// Whether the number `name` is not 0.
    pub fn on(&self, level: i32, name: i32) -> bool {
        self.get(level, name) != 0
    }

    /// Whether what is sent to a group comes here.
    pub fn is_member(&self, group: IpAddr) -> bool {
        let all = match group {
            IpAddr::V4(_) => (SOL_IP, IP_MULTICAST_ALL),
            IpAddr::V6(_) => (SOL_IPV6, IPV6_MULTICAST_ALL),
        };
        self.on(all.0, all.1) || self.0.lock().groups.contains(&group)
    }

    /// The interface that multicast goes out of.
    pub fn multicast_interface(&self) -> i32 {
        self.0.lock().multicast_interface
    }

    /// Sets an option; `None` if it is not one of these.
    pub fn set_option(
        &self,
        ns: &NetNamespace,
        caller: &Caller<'_>,
        level: i32,
        name: i32,
        value: &[u8],
    ) -> Result<(), Errno> {
        if let Some((_, _, first, least, greatest)) = number(level, name) {
            let n = if level == SOL_IP { int_or_byte(value)? } else { int(value)? };
            if matches!((level, name), (SOL_IP, IP_TRANSPARENT) | (SOL_IPV6, IPV6_TRANSPARENT))
                && n != 0
                && !caller.cred().has_cap_in(&ns.user_ns, Cap::NET_ADMIN)
            {
                return Err(Errno::EPERM);
            }
            let back_to_first = n == -1
                && matches!(
                    (level, name),
                    (SOL_IP, IP_TTL | IP_MULTICAST_TTL)
                        | (SOL_IPV6, IPV6_UNICAST_HOPS | IPV6_MULTICAST_HOPS | IPV6_TCLASS)
                );
            let n = match (*least, *greatest) {
                _ if back_to_first => *first,
                (0, 1) => i32::from(n != 0),
                _ if (level, name) == (SOL_IP, IP_TOS) => n & 0xff,
                // A checksum covers at least the header.
                _ if level == SOL_UDPLITE && n != 0 => n.clamp(8, 0xffff),
                (least, greatest) if (least..=greatest).contains(&n) => n,
                _ => return Err(Errno::EINVAL),
            };
            self.0.lock().numbers.insert((level, name), n);
            return Ok(());
        }
        match (level, name) {
            (SOL_IP, IP_OPTIONS) if value.is_empty() => Ok(()),
            (SOL_IP, IP_MULTICAST_IF) => {
                let address = match value.len() {
                    12.. => {
                        let (m, _) = IpMreqn::read_from_prefix(value).map_err(|_| Errno::EINVAL)?;
                        if m.imr_ifindex != 0 {
                            return self.set_multicast_interface(ns, m.imr_ifindex);
                        }
                        m.imr_address
                    }
                    8.. => IpMreqn::read_from_bytes(&padded(value)).map_err(|_| Errno::EINVAL)?.imr_address,
                    _ => int(value)?.to_ne_bytes(),
                };
                let index = interface_of(ns, address)?;
                self.0.lock().multicast_interface = index;
                Ok(())
            }
            (SOL_IPV6, IPV6_MULTICAST_IF) => {
                let index = int(value)?;
                self.set_multicast_interface(ns, index)
            }
            (SOL_IP, IP_ADD_MEMBERSHIP | IP_DROP_MEMBERSHIP) => {
                if value.len() < 8 {
                    return Err(Errno::EINVAL);
                }
                let m = IpMreqn::read_from_bytes(&padded(value)).map_err(|_| Errno::EINVAL)?;
                let index = if m.imr_ifindex != 0 { m.imr_ifindex } else { interface_of(ns, m.imr_address)? };
                let group = IpAddr::V4(Ipv4Addr::from(m.imr_multiaddr));
                self.change_membership(ns, group, index, name == IP_ADD_MEMBERSHIP)
            }
            (SOL_IPV6, IPV6_ADD_MEMBERSHIP | IPV6_DROP_MEMBERSHIP) => {
                let (m, _) = Ipv6Mreq::read_from_prefix(value).map_err(|_| Errno::EINVAL)?;
                let group = IpAddr::V6(Ipv6Addr::from(m.ipv6mr_multiaddr));
                self.change_membership(ns, group, m.ipv6mr_ifindex, name == IPV6_ADD_MEMBERSHIP)
            }
            (SOL_TCP, TCP_CONGESTION) => {
                let name = value.split(|b| *b == 0).next().unwrap_or_default();
                if ![b"cubic".as_slice(), b"reno"].contains(&name) {
                    return Err(Errno::ENOENT);
                }
                self.0.lock().congestion = name.to_vec();
                Ok(())
            }
            (SOL_TCP, TCP_MAXSEG) => {
                let n = int(value)?;
                if n != 0 && !(88..=32767).contains(&n) {
                    return Err(Errno::EINVAL);
                }
                self.0.lock().maxseg = n;
                Ok(())
            }
            // No protocol can be put on top, nor taken apart for repair.
            (SOL_TCP, TCP_ULP) => Err(Errno::ENOENT),
            (SOL_TCP, TCP_REPAIR) => Err(Errno::EPERM),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    fn set_multicast_interface(&self, ns: &NetNamespace, index: i32) -> Result<(), Errno> {
        if index != 0 && ns.interface_name(index).is_none() {
            return Err(Errno::EADDRNOTAVAIL);
        }
        self.0.lock().multicast_interface = index;
        Ok(())
    }

    fn change_membership(
        &self,
        ns: &NetNamespace,
        group: IpAddr,
        index: i32,
        join: bool,
    ) -> Result<(), Errno> {
        if !group.is_multicast() {
            return Err(Errno::EINVAL);
        }
        if ns.interface_name(index).is_none() {
            return Err(Errno::ENODEV); // also where the route would decide: there is none
        }
        let mut values = self.0.lock();
        let at = values.groups.iter().position(|g| *g == group);
        match (join, at) {
            (true, Some(_)) => Err(Errno::EADDRINUSE),
            (true, None) if values.groups.len() >= 20 => Err(Errno::ENOBUFS),
            (true, None) => {
                values.groups.push(group);
                Ok(())
            }
            (false, Some(at)) => {
                values.groups.remove(at);
                Ok(())
            }
            (false, None) => Err(Errno::EADDRNOTAVAIL),
        }
    }

    /// An option's value.
    pub fn get_option(&self, level: i32, name: i32, room: usize) -> Result<OptionValue, Errno> {
        if number(level, name).is_some() {
            let n = self.get(level, name);
            // A small number fits one byte where there is no room for more.
            let small = level == SOL_IP && room < 4 && (0..=255).contains(&n);
            return Ok(if small { OptionValue::from_slice(&[n as u8]) } else { int_value(n) });
        }
        let values = self.0.lock();
        Ok(match (level, name) {
            (SOL_IP, IP_OPTIONS) => OptionValue::new(),
            (SOL_IP, IP_MULTICAST_IF) => value_of(&[0u8; 4]),
            (SOL_IPV6, IPV6_MULTICAST_IF) => int_value(values.multicast_interface),
            (SOL_IP, IP_MTU) => return Err(Errno::ENOTCONN), // connected sockets answer before this
            (SOL_TCP, TCP_CONGESTION) => {
                let mut name = [0u8; TCP_CA_NAME_MAX];
                name.iter_mut().zip(&values.congestion).for_each(|(to, from)| *to = *from);
                value_of(&name)
            }
            (SOL_TCP, TCP_MAXSEG) => int_value(if values.maxseg == 0 { 536 } else { values.maxseg }),
            (SOL_TCP, TCP_ULP) => OptionValue::new(),
            _ => return Err(Errno::ENOPROTOOPT),
        })
    }
}

/// `struct ip_mreq` as the longer one with an index.
fn padded(value: &[u8]) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes.iter_mut().zip(value).for_each(|(to, from)| *to = *from);
    bytes
}

/// The interface with that address; 0 for none in particular.
fn interface_of(ns: &NetNamespace, address: [u8; 4]) -> Result<i32, Errno> {
    match Ipv4Addr::from(address) {
        ip if ip.is_unspecified() => Ok(0),
        ip if ns.is_local(canonical(IpAddr::V4(ip))) => Ok(LOOPBACK_INDEX),
        _ => Err(Errno::EADDRNOTAVAIL),
    }
}
