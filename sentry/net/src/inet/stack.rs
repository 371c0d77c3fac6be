//! What the loopback's stack does with packets that raw and packet sockets send: answers of ICMP, datagrams for UDP sockets,
//! errors about what nobody wants.
//!
//! **Invariant:** an answer is never answered: an echo request causes a reply, what cannot be delivered an error, and
//! neither of these anything.
//! **Absent on purpose:** segments for TCP sockets, whose connections have no sequence numbers (they are dropped where there is such a
//! socket, and reset where there is none); fragments.

use super::{
    ancillary::Arrival,
    errors::{Report, meaning},
    udp::{Datagram, UdpSocket},
    wire::{self, Ip},
};
use crate::namespace::NetNamespace;
use abi::socket::*;
use std::net::{IpAddr, SocketAddr};

/// The most bytes of a packet of ours with an error, for IPv4 and for IPv6.
const ERROR_MAX: (usize, usize) = (576, 1280);

/// A packet has come in over the loopback and was shown to raw sockets, one of which has `taken` it or not.
pub(crate) fn receive(ns: &NetNamespace, packet: &[u8], taken: bool) {
    let Some(ip) = Ip::parse(packet).filter(|ip| !ip.fragment) else { return };
    if ip.dst.is_ipv4() && !wire::v4_checksum_is_right(packet, ip.header) {
        return;
    }
    let broadcast = ip.dst.is_multicast() || super::addr::is_broadcast(ip.dst);
    if !broadcast && !ns.is_local(ip.dst) {
        return;
    }
    let payload = ip.payload(packet);
    match (ip.protocol, ip.dst.is_ipv6()) {
        (wire::ICMP, false) | (wire::ICMPV6, true) => icmp(ns, &ip, payload),
        (wire::UDP, _) => udp(ns, &ip, packet, payload),
        (wire::TCP, _) if !broadcast => tcp(ns, &ip, payload),
        _ if taken || broadcast => {}
        (_, false) => refuse(ns, &ip, packet, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH),
        (_, true) => refuse(ns, &ip, packet, ICMPV6_PARAMPROB, ICMPV6_UNK_NEXTHDR),
    }
}

/// An answer of the stack's own.
fn answer(ns: &NetNamespace, header: &Ip, message: &[u8]) {
    ns.send_packet(header.packet(message, Some(ns.taps.next_id())));
}

fn icmp(ns: &NetNamespace, ip: &Ip, message: &[u8]) {
    let v6 = ip.dst.is_ipv6();
    let start = if v6 { wire::pseudo(ip.src, ip.dst, wire::ICMPV6, message.len()) } else { 0 };
    let (Some([kind, code, _, _, rest @ ..]), Some(data)) = (message.first_chunk::<8>(), message.get(8..))
    else {
        return;
    };
    if wire::fold(wire::sum(start, message)) != 0 {
        return;
    }
    match (v6, *kind) {
        (false, ICMP_ECHO) | (true, ICMPV6_ECHO_REQUEST) => {
            if ip.dst.is_multicast() || super::addr::is_broadcast(ip.dst) {
                return; // net.ipv4.icmp_echo_ignore_broadcasts
            }
            let header = ip.answer(ip.protocol);
            let reply = if v6 { ICMPV6_ECHO_REPLY } else { ICMP_ECHOREPLY };
            answer(ns, &header, &wire::icmp(&header, reply, *code, *rest, data));
        }
        (false, ICMP_ECHOREPLY) | (true, ICMPV6_ECHO_REPLY) => {
            let at = vfs::clock::now();
            ns.taps.raw().iter().for_each(|s| s.offer_reply(ip, message, at));
        }
        (false, ICMP_DEST_UNREACH | ICMP_TIME_EXCEEDED | ICMP_PARAMETERPROB | ICMP_SOURCE_QUENCH)
        | (true, 1..=4) => error(ns, ip, (*kind, *code), u32::from_be_bytes(*rest), data),
        _ => {}
    }
}

/// An ICMP error has come: `data` is what it is about, as far as it was sent along.
fn error(ns: &NetNamespace, ip: &Ip, message: (u8, u8), info: u32, data: &[u8]) {
    let Some(original) = parse_cut(data) else { return };
    let payload = data.get(original.header..).unwrap_or_default();
    let (error, hard) = meaning(ip.dst.is_ipv6(), message.0, message.1);
    let port = |at| wire::be16(payload, at).unwrap_or(0);
    let udp = original.protocol == wire::UDP;
    let to = SocketAddr::new(original.dst, if udp { port(2) } else { 0 });
    let info = if error == abi::Errno::EMSGSIZE { info } else { 0 };
    let report = Report { error, message, info, offender: ip.src, to, data: Vec::new(), hard };
    for socket in ns.taps.raw() {
        socket.offer_error(&original, payload, report.clone());
    }
    if udp {
        let data = payload.get(wire::SHORT_HEADER..).unwrap_or_default().to_vec();
        UdpSocket::error_about(
            &ns.udp_ports,
            SocketAddr::new(original.src, port(0)),
            Report { data, ..report },
        );
    }
}

/// The header of a packet of which the end may be missing.
fn parse_cut(data: &[u8]) -> Option<Ip> {
    let mut whole = data.to_vec();
    let (at, extra) = if data.first()? >> 4 == 4 { (2, 0) } else { (4, wire::V6_HEADER) };
    wire::put16(&mut whole, at, u16::try_from(data.len().checked_sub(extra)?).ok()?);
    Ip::parse(&whole)
}

/// Answers a packet that nobody wants with an ICMP error.
pub(crate) fn refuse(ns: &NetNamespace, ip: &Ip, packet: &[u8], kind: u8, code: u8) {
    ns.send_packet(refusal(ns, ip, packet, kind, code));
}

/// An ICMP error about `packet`.
pub(crate) fn refusal(ns: &NetNamespace, ip: &Ip, packet: &[u8], kind: u8, code: u8) -> Vec<u8> {
    let (v6, protocol) = if ip.dst.is_ipv6() { (true, wire::ICMPV6) } else { (false, wire::ICMP) };
    let header = ip.answer(protocol);
    let room =
        if v6 { ERROR_MAX.1 - wire::V6_HEADER } else { ERROR_MAX.0 - wire::V4_HEADER } - wire::SHORT_HEADER;
    let quoted = packet.get(..ip.end.min(room)).unwrap_or_default();
    // The place of the next header's number, for IPv6's parameter problem.
    let rest = if (v6, kind) == (true, ICMPV6_PARAMPROB) { [0, 0, 0, 6] } else { [0; 4] };
    // Type of service of errors: internetwork control.
    let header = Ip { tos: if v6 { 0 } else { (ip.tos & 0x1e) | 0xc0 }, ..header };
    header.packet(&wire::icmp(&header, kind, code, rest, quoted), Some(ns.taps.next_id()))
}

fn udp(ns: &NetNamespace, ip: &Ip, packet: &[u8], payload: &[u8]) {
    let field = |at| wire::be16(payload, at).unwrap_or(0);
    let len = usize::from(field(4));
    let Some(data) = payload.get(wire::SHORT_HEADER..len) else { return };
    let start = wire::pseudo(ip.src, ip.dst, wire::UDP, len);
    let sum = wire::sum(start, payload.get(..len).unwrap_or_default());
    if (field(6) != 0 && wire::fold(sum) != 0) || (field(6) == 0 && ip.dst.is_ipv6()) {
        return;
    }
    let arrival = Arrival {
        to: SocketAddr::new(ip.dst, field(2)),
        ttl: i32::from(ip.ttl),
        tos: i32::from(ip.tos),
        at: vfs::clock::now(),
    };
    let from = SocketAddr::new(ip.src, field(0));
    let datagram = Datagram { data: data.to_vec(), from, arrival, segment: 0, covered: None };
    if UdpSocket::hand_out(&ns.udp_ports, datagram) {
        return;
    }
    let (kind, code) = port_unreachable(ip.dst);
    refuse(ns, ip, packet, kind, code);
}

/// Type and code of the error about a port that nobody has.
pub(crate) fn port_unreachable(to: IpAddr) -> (u8, u8) {
    match to {
        IpAddr::V4(_) => (ICMP_DEST_UNREACH, ICMP_PORT_UNREACH),
        IpAddr::V6(_) => (ICMPV6_DEST_UNREACH, ICMPV6_PORT_UNREACH),
    }
}

/// A segment that no TCP socket sent: a reset, if there is nobody whom it could be for.
fn tcp(ns: &NetNamespace, ip: &Ip, segment: &[u8]) {
    let (Some(from), Some(to)) = (wire::be16(segment, 0), wire::be16(segment, 2)) else { return };
    let Some([_, _, _, _, s0, s1, s2, s3, a0, a1, a2, a3, offset, flags]) =
        segment.first_chunk::<14>().copied()
    else {
        return;
    };
    let right = wire::fold(wire::sum(wire::pseudo(ip.src, ip.dst, wire::TCP, segment.len()), segment)) == 0;
    let to = SocketAddr::new(ip.dst, to);
    if !right || flags & wire::TCP_RST != 0 || ns.tcp_ports.has(to) {
        return;
    }
    let from = SocketAddr::new(ip.src, from);
    let len = segment.len().saturating_sub(usize::from(offset >> 4) * 4) as u32;
    let counted = len + u32::from(flags & wire::TCP_SYN != 0) + u32::from(flags & wire::TCP_FIN != 0);
    let reset = if flags & wire::TCP_ACK != 0 {
        wire::tcp(to, from, u32::from_be_bytes([a0, a1, a2, a3]), 0, wire::TCP_RST, &[])
    } else {
        let ack = u32::from_be_bytes([s0, s1, s2, s3]).wrapping_add(counted);
        wire::tcp(to, from, 0, ack, wire::TCP_RST | wire::TCP_ACK, &[])
    };
    answer(ns, &ip.answer(wire::TCP), &reset);
}
