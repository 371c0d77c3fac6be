//! `rtnetlink(7)`: links, addresses, routes, rules and neighbours of a namespace whose only interface is its loopback.

use super::{
    NetlinkSocket,
    build::{Message, Reply, attribute, attributes},
};
use crate::{
    caller::Caller,
    namespace::{LOOPBACK_INDEX, LOOPBACK_NAME, NetNamespace},
};
use abi::{Cap, Errno, socket::*};
use std::{net::IpAddr, sync::atomic::Ordering};
use zerocopy::{FromBytes, IntoBytes};

const V4: u8 = AF_INET as u8;
const V6: u8 = AF_INET6 as u8;

fn fixed<T: FromBytes>(body: &[u8]) -> Result<(T, Vec<(u16, &[u8])>), Errno> {
    let (value, rest) = T::read_from_prefix(body).map_err(|_| Errno::EINVAL)?;
    Ok((value, attributes(rest)))
}

/// A fixed part that some programs cut down to its first byte, the family.
fn family(body: &[u8]) -> u8 {
    body.first().copied().unwrap_or(0)
}

/// Answers one request.
pub fn answer(
    ns: &NetNamespace,
    caller: &Caller<'_>,
    header: &Nlmsghdr,
    body: &[u8],
    reply: &mut Reply,
) -> Result<(), Errno> {
    let kind = header.nlmsg_type;
    // Of each object's four messages (new, del, get, set) the third reads.
    let reads = kind & 3 == 2;
    if !reads && !caller.cred().has_cap_in(&ns.user_ns, Cap::NET_ADMIN) {
        return Err(Errno::EPERM);
    }
    match kind {
        RTM_GETLINK if reply.is_dump() => reply.push(link(ns)),
        RTM_GETLINK => {
            wanted_link(ns, body)?;
            reply.push(link(ns));
        }
        RTM_NEWLINK | RTM_SETLINK => change_link(ns, header, body)?,
        RTM_DELLINK => {
            wanted_link(ns, body)?;
            return Err(Errno::EOPNOTSUPP);
        }
        RTM_GETADDR => {
            let family = family(body);
            if ns.loopback.is_up() {
                let all = [(V4, addr4()), (V6, addr6())];
                all.into_iter().filter(|(f, _)| family == 0 || family == *f).for_each(|(_, m)| reply.push(m));
            }
        }
        RTM_NEWADDR | RTM_DELADDR => change_address(ns, header, body)?,
        RTM_GETROUTE if reply.is_dump() => {
            let family = family(body);
            if ns.loopback.is_up() {
                routes()
                    .into_iter()
                    .filter(|(f, _)| family == 0 || family == *f)
                    .for_each(|(_, m)| reply.push(m));
            }
        }
        RTM_GETROUTE => reply.push(route_to(ns, body)?),
        RTM_GETRULE => {
            let family = family(body);
            rules().into_iter().filter(|(f, _)| family == 0 || family == *f).for_each(|(_, m)| reply.push(m));
        }
        RTM_GETQDISC if reply.is_dump() => {
            let qdisc =
                Tcmsg { tcm_ifindex: LOOPBACK_INDEX, tcm_parent: u32::MAX, tcm_info: 2, ..Tcmsg::default() };
            if ns.loopback.is_up() {
                reply.push(Message::new(RTM_NEWQDISC, &qdisc).string(1, b"noqueue"));
            }
        }
        // Tables that are empty here.
        RTM_GETNEIGH | RTM_GETNEIGHTBL | RTM_GETNSID | RTM_GETTCLASS | RTM_GETTFILTER | RTM_GETNEXTHOP
        | RTM_GETMULTICAST | RTM_GETANYCAST | RTM_GETADDRLABEL | RTM_GETNETCONF | RTM_GETMDB
        | RTM_GETSTATS | RTM_GETLINKPROP
            if reply.is_dump() => {}
        RTM_GETNEIGH => return Err(Errno::ENOENT),
        // What can be changed is the loopback alone.
        _ => return Err(Errno::EOPNOTSUPP),
    }
    Ok(())
}

/// `ENODEV` unless the request names the loopback, by index or by name.
fn wanted_link(ns: &NetNamespace, body: &[u8]) -> Result<Ifinfomsg, Errno> {
    let (info, attrs) = fixed::<Ifinfomsg>(body)?;
    let name = attrs.iter().find(|(kind, _)| *kind == IFLA_IFNAME || *kind == IFLA_ALT_IFNAME);
    let index = match (info.ifi_index, name) {
        (0, Some((_, name))) => ns.interface_index(name.split(|b| *b == 0).next().unwrap_or_default()),
        (0, None) => return Err(Errno::EINVAL),
        (index, _) => Some(index),
    };
    if index == Some(LOOPBACK_INDEX) { Ok(info) } else { Err(Errno::ENODEV) }
}

fn change_link(ns: &NetNamespace, header: &Nlmsghdr, body: &[u8]) -> Result<(), Errno> {
    let flags = NlmFlags::from_bits_retain(header.nlmsg_flags);
    let (_, attrs) = fixed::<Ifinfomsg>(body)?;
    let info = match wanted_link(ns, body) {
        // No other interface can be made.
        Err(Errno::ENODEV | Errno::EINVAL) if flags.contains(NlmFlags::CREATE) => {
            return Err(Errno::EOPNOTSUPP);
        }
        other => other?,
    };
    if flags.contains(NlmFlags::CREATE | NlmFlags::EXCL) {
        return Err(Errno::EEXIST);
    }
    let number = |data: &[u8]| u32::read_from_prefix(data).map(|(n, _)| n).map_err(|_| Errno::EINVAL);
    for (kind, data) in attrs {
        match kind {
            IFLA_MTU => ns.loopback.mtu.store(number(data)?, Ordering::Relaxed),
            IFLA_TXQLEN => ns.loopback.tx_queue.store(number(data)?, Ordering::Relaxed),
            IFLA_IFNAME if data.split(|b| *b == 0).next() == Some(LOOPBACK_NAME) => {}
            IFLA_IFNAME | IFLA_NET_NS_FD | IFLA_NET_NS_PID | IFLA_ADDRESS => return Err(Errno::EOPNOTSUPP),
            _ => {}
        }
    }
    // Without a mask of what changes, all of the flags count.
    let mask = if info.ifi_change == 0 { u32::MAX } else { info.ifi_change };
    if mask & IffFlags::UP.bits() != 0 {
        ns.loopback.set_up(info.ifi_flags & IffFlags::UP.bits() != 0);
    }
    NetlinkSocket::announce(ns, RTMGRP_LINK, &link(ns).finish(NlmFlags::empty(), 0, 0));
    Ok(())
}

/// What the loopback has anyway is there already; more cannot be had.
fn change_address(ns: &NetNamespace, header: &Nlmsghdr, body: &[u8]) -> Result<(), Errno> {
    let (addr, attrs) = fixed::<Ifaddrmsg>(body)?;
    if addr.ifa_index != LOOPBACK_INDEX as u32 {
        return Err(Errno::ENODEV);
    }
    let given =
        attrs.iter().find(|(kind, _)| matches!(*kind, IFA_LOCAL | IFA_ADDRESS)).map(|(_, data)| *data);
    let own = match addr.ifa_family {
        V4 => given == Some(&[127, 0, 0, 1]),
        V6 => given == Some(&std::net::Ipv6Addr::LOCALHOST.octets()),
        _ => return Err(Errno::EOPNOTSUPP),
    };
    let replace = NlmFlags::from_bits_retain(header.nlmsg_flags).contains(NlmFlags::REPLACE);
    match (header.nlmsg_type, own && ns.loopback.is_up()) {
        (RTM_NEWADDR, true) if replace => Ok(()),
        (RTM_NEWADDR, true) => Err(Errno::EEXIST),
        (RTM_DELADDR, false) => Err(Errno::EADDRNOTAVAIL),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

/// The loopback as `RTM_NEWLINK` describes it.
fn link(ns: &NetNamespace) -> Message {
    let lo = &ns.loopback;
    let up = lo.is_up();
    let (packets, bytes) = (lo.packets.load(Ordering::Relaxed), lo.bytes.load(Ordering::Relaxed));
    let stats = RtnlLinkStats64 {
        rx_packets: packets,
        tx_packets: packets,
        rx_bytes: bytes,
        tx_bytes: bytes,
        ..RtnlLinkStats64::default()
    };
    let info = Ifinfomsg {
        ifi_type: ARPHRD_LOOPBACK,
        ifi_index: LOOPBACK_INDEX,
        ifi_flags: lo.flags().bits(),
        ..Ifinfomsg::default()
    };
    let mut settings = [0u32; 33];
    settings[0] = 1; // forwarding
    let inet = attribute(AF_INET | NLA_F_NESTED, &attribute(IFLA_INET_CONF, settings.as_bytes()));
    let inet6 = attribute(AF_INET6 | NLA_F_NESTED, &attribute(IFLA_INET6_FLAGS, &0u32.to_ne_bytes()));
    let short_stats: Vec<u8> = stats
        .as_bytes()
        .chunks_exact(8)
        .take(24)
        .flat_map(|c| c.get(..4).unwrap_or_default().to_vec())
        .collect();
    Message::new(RTM_NEWLINK, &info)
        .string(IFLA_IFNAME, LOOPBACK_NAME)
        .u32(IFLA_TXQLEN, lo.tx_queue.load(Ordering::Relaxed))
        .u8(IFLA_OPERSTATE, if up { IF_OPER_UNKNOWN } else { IF_OPER_DOWN })
        .u8(IFLA_LINKMODE, 0)
        .u32(IFLA_MTU, lo.mtu.load(Ordering::Relaxed))
        .u32(IFLA_MIN_MTU, 0)
        .u32(IFLA_MAX_MTU, 0)
        .u32(IFLA_GROUP, 0)
        .u32(IFLA_PROMISCUITY, 0)
        .u32(IFLA_NUM_TX_QUEUES, 1)
        .u32(IFLA_GSO_MAX_SEGS, 65535)
        .u32(IFLA_GSO_MAX_SIZE, 65536)
        .u32(IFLA_NUM_RX_QUEUES, 1)
        .u8(IFLA_CARRIER, 1)
        .u32(IFLA_CARRIER_CHANGES, 0)
        .u32(IFLA_CARRIER_UP_COUNT, 0)
        .u32(IFLA_CARRIER_DOWN_COUNT, 0)
        .u8(IFLA_PROTO_DOWN, 0)
        .attr(IFLA_ADDRESS, &[0; 6])
        .attr(IFLA_BROADCAST, &[0; 6])
        .attr(IFLA_STATS64, stats.as_bytes())
        .attr(IFLA_STATS, &short_stats)
        .string(IFLA_QDISC, if up { b"noqueue" } else { b"noop" })
        .attr(IFLA_AF_SPEC, &[inet, inet6].concat())
        .attr(IFLA_MAP, &[0; 32])
}

const LIFETIME: IfaCacheinfo =
    IfaCacheinfo { ifa_prefered: INFINITY_LIFE_TIME, ifa_valid: INFINITY_LIFE_TIME, cstamp: 0, tstamp: 0 };

fn addr4() -> Message {
    let addr = Ifaddrmsg {
        ifa_family: V4,
        ifa_prefixlen: 8,
        ifa_flags: IFA_F_PERMANENT as u8,
        ifa_scope: RT_SCOPE_HOST,
        ifa_index: LOOPBACK_INDEX as u32,
    };
    Message::new(RTM_NEWADDR, &addr)
        .attr(IFA_ADDRESS, &[127, 0, 0, 1])
        .attr(IFA_LOCAL, &[127, 0, 0, 1])
        .string(IFA_LABEL, LOOPBACK_NAME)
        .u32(IFA_FLAGS, IFA_F_PERMANENT)
        .attr(IFA_CACHEINFO, LIFETIME.as_bytes())
}

fn addr6() -> Message {
    let addr = Ifaddrmsg {
        ifa_family: V6,
        ifa_prefixlen: 128,
        ifa_flags: IFA_F_PERMANENT as u8,
        ifa_scope: RT_SCOPE_HOST,
        ifa_index: LOOPBACK_INDEX as u32,
    };
    Message::new(RTM_NEWADDR, &addr)
        .attr(IFA_ADDRESS, &std::net::Ipv6Addr::LOCALHOST.octets())
        .attr(IFA_CACHEINFO, LIFETIME.as_bytes())
        .u32(IFA_FLAGS, IFA_F_PERMANENT)
        .u8(IFA_PROTO, 1)
}

/// The routes that come with the loopback's addresses.
fn routes() -> Vec<(u8, Message)> {
    let v4 = |to: [u8; 4], len: u8, kind: u8, scope: u8| {
        let route = Rtmsg {
            rtm_family: V4,
            rtm_dst_len: len,
            rtm_table: RT_TABLE_LOCAL,
            rtm_protocol: RTPROT_KERNEL,
            rtm_scope: scope,
            rtm_type: kind,
            ..Rtmsg::default()
        };
        let message = Message::new(RTM_NEWROUTE, &route)
            .u32(RTA_TABLE, u32::from(RT_TABLE_LOCAL))
            .attr(RTA_DST, &to)
            .attr(RTA_PREFSRC, &[127, 0, 0, 1])
            .u32(RTA_OIF, LOOPBACK_INDEX as u32);
        (V4, message)
    };
    let route = Rtmsg {
        rtm_family: V6,
        rtm_dst_len: 128,
        rtm_table: RT_TABLE_LOCAL,
        rtm_protocol: RTPROT_KERNEL,
        rtm_type: RTN_LOCAL,
        ..Rtmsg::default()
    };
    let v6 = Message::new(RTM_NEWROUTE, &route)
        .u32(RTA_TABLE, u32::from(RT_TABLE_LOCAL))
        .attr(RTA_DST, &std::net::Ipv6Addr::LOCALHOST.octets())
        .u32(RTA_PRIORITY, 0)
        .u32(RTA_OIF, LOOPBACK_INDEX as u32)
        .attr(RTA_CACHEINFO, RtaCacheinfo::default().as_bytes())
        .u8(RTA_PREF, 0);
    vec![
        v4([127, 0, 0, 0], 8, RTN_LOCAL, RT_SCOPE_HOST),
        v4([127, 0, 0, 1], 32, RTN_LOCAL, RT_SCOPE_HOST),
        v4([127, 255, 255, 255], 32, RTN_BROADCAST, RT_SCOPE_LINK),
        (V6, v6),
    ]
}

/// `ip route get`.
fn route_to(ns: &NetNamespace, body: &[u8]) -> Result<Message, Errno> {
    let (asked, attrs) = fixed::<Rtmsg>(body)?;
    let dst = attrs.iter().find(|(kind, _)| *kind == RTA_DST).map(|(_, data)| *data).unwrap_or_default();
    let to = match asked.rtm_family {
        V4 => IpAddr::from(<[u8; 4]>::read_from_bytes(dst).unwrap_or_default()),
        V6 => IpAddr::from(<[u8; 16]>::read_from_bytes(dst).unwrap_or_default()),
        _ => return Err(Errno::EOPNOTSUPP),
    };
    let (to, from) = ns.route(to)?;
    let octets = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let bits = if to.is_ipv4() { 32 } else { 128 };
    let route = Rtmsg {
        rtm_family: asked.rtm_family,
        rtm_dst_len: bits,
        rtm_table: RT_TABLE_LOCAL,
        rtm_type: RTN_LOCAL,
        rtm_flags: RTM_F_CLONED,
        ..Rtmsg::default()
    };
    Ok(Message::new(RTM_NEWROUTE, &route)
        .u32(RTA_TABLE, u32::from(RT_TABLE_LOCAL))
        .attr(RTA_DST, &octets(to))
        .u32(RTA_OIF, LOOPBACK_INDEX as u32)
        .attr(RTA_PREFSRC, &octets(from))
        .u32(RTA_UID, 0)
        .attr(RTA_CACHEINFO, RtaCacheinfo::default().as_bytes()))
}

/// The rules that every namespace has.
fn rules() -> Vec<(u8, Message)> {
    let rule = |family: u8, table: u8, priority: u32| {
        let rule = Rtmsg { rtm_family: family, rtm_table: table, rtm_type: RTN_UNICAST, ..Rtmsg::default() };
        let message = Message::new(RTM_NEWRULE, &rule)
            .u32(RTA_TABLE, u32::from(table))
            .u32(14, u32::MAX) // FRA_SUPPRESS_PREFIXLEN
            .u8(21, RTPROT_KERNEL); // FRA_PROTOCOL
        (family, if priority == 0 { message } else { message.u32(RTA_PRIORITY, priority) })
    };
    vec![
        rule(V4, RT_TABLE_LOCAL, 0),
        rule(V4, RT_TABLE_MAIN, 32766),
        rule(V4, RT_TABLE_DEFAULT, 32767),
        rule(V6, RT_TABLE_LOCAL, 0),
        rule(V6, RT_TABLE_MAIN, 32766),
    ]
}
