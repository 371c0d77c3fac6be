//! Packets as bytes: headers of IPv4, IPv6, UDP, TCP and ICMP, taken apart and put together.
//!
//! Sockets of TCP and UDP hand their data to one another without any of this. Packets are made where somebody sends or sees
//! them as such: raw and packet sockets.
//!
//! **Invariant:** [`Ip::parse`] gives offsets within the packet, whatever its fields say.

use abi::socket::{ETH_P_IP, ETH_P_IPV6, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP};
use std::net::{IpAddr, SocketAddr};

/// Bytes of an IPv4 header without options.
pub const V4_HEADER: usize = 20;
/// Bytes of an IPv6 header.
pub const V6_HEADER: usize = 40;
/// Bytes of a UDP or ICMP header.
pub const SHORT_HEADER: usize = 8;
/// Hops that packets of the stack's own have.
pub const DEFAULT_TTL: u8 = 64;
/// `IP_DF` in the third 16 bits behind an IPv4 header's first 32.
const DONT_FRAGMENT: u16 = 0x4000;

/// Protocol numbers as headers have them.
pub const ICMP: u8 = IPPROTO_ICMP as u8;
/// See [`ICMP`].
pub const ICMPV6: u8 = IPPROTO_ICMPV6 as u8;
/// See [`ICMP`].
pub const TCP: u8 = IPPROTO_TCP as u8;
/// See [`ICMP`].
pub const UDP: u8 = IPPROTO_UDP as u8;

/// 16 bits in network order at `at`.
pub fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_be_bytes)
}

/// Puts 16 bits in network order, where there is room.
pub fn put16(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..at.saturating_add(2)) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// One's complement sum of `bytes` as 16-bit numbers, going on from `start` (RFC 1071).
pub fn sum(start: u64, bytes: &[u8]) -> u64 {
    let mut pairs = bytes.chunks_exact(2);
    let whole: u64 = pairs.by_ref().map(|p| u64::from(be16(p, 0).unwrap_or(0))).sum();
    let rest = pairs.remainder().first().map_or(0, |b| u64::from(*b) << 8);
    start + whole + rest
}

/// The checksum of a sum.
pub fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn octets(ip: IpAddr) -> ([u8; 16], usize) {
    let mut bytes = [0; 16];
    match ip {
        IpAddr::V4(ip) => {
            bytes.iter_mut().zip(ip.octets()).for_each(|(to, from)| *to = from);
            (bytes, 4)
        }
        IpAddr::V6(ip) => (ip.octets(), 16),
    }
}

/// The sum of the header that checksums of TCP, UDP and ICMPv6 cover without its being sent.
pub fn pseudo(src: IpAddr, dst: IpAddr, protocol: u8, len: usize) -> u64 {
    let ((a, n), (b, m)) = (octets(src), octets(dst));
    let ends = sum(sum(0, a.get(..n).unwrap_or_default()), b.get(..m).unwrap_or_default());
    ends + u64::from(protocol) + len as u64
}

/// What an IP header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    /// Source.
    pub src: IpAddr,
    /// Destination.
    pub dst: IpAddr,
    /// `IPPROTO_*`.
    pub protocol: u8,
    /// Hops left.
    pub ttl: u8,
    /// Type of service or traffic class.
    pub tos: u8,
    /// Where the payload begins.
    pub header: usize,
    /// Where it ends.
    pub end: usize,
    /// It is a part of a packet only.
    pub fragment: bool,
}

impl Ip {
    /// The header of a packet; `None` if it is not one.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        match packet.first()? >> 4 {
            4 => Self::parse_v4(packet),
            6 => Self::parse_v6(packet),
            _ => None,
        }
    }

    fn parse_v4(packet: &[u8]) -> Option<Self> {
        let header = usize::from(packet.first()? & 15) * 4;
        let end = usize::from(be16(packet, 2)?);
        if header < V4_HEADER || end < header || end > packet.len() {
            return None;
        }
        let address = |at: usize| -> Option<IpAddr> {
            Some(IpAddr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?))
        };
        Some(Self {
            src: address(12)?,
            dst: address(16)?,
            protocol: *packet.get(9)?,
            ttl: *packet.get(8)?,
            tos: *packet.get(1)?,
            header,
            end,
            fragment: be16(packet, 6)? & 0x3fff != 0,
        })
    }

    fn parse_v6(packet: &[u8]) -> Option<Self> {
        let end = V6_HEADER + usize::from(be16(packet, 4)?);
        if end > packet.len() {
            return None;
        }
        let address = |at: usize| -> Option<IpAddr> {
            Some(IpAddr::from(<[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?))
        };
        Some(Self {
            src: address(8)?,
            dst: address(24)?,
            protocol: *packet.get(6)?,
            ttl: *packet.get(7)?,
            tos: (be16(packet, 0)? >> 4) as u8,
            header: V6_HEADER,
            end,
            fragment: false,
        })
    }

    /// What it carries.
    pub fn payload<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        packet.get(self.header..self.end).unwrap_or_default()
    }

    /// A packet with this header and `payload`. Linux numbers the packets that may be cut apart: those with an `id`.
    pub fn packet(&self, payload: &[u8], id: Option<u16>) -> Vec<u8> {
        let ((src, n), (dst, _)) = (octets(self.src), octets(self.dst));
        let (src, dst) = (src.get(..n).unwrap_or_default(), dst.get(..n).unwrap_or_default());
        let mut bytes = Vec::with_capacity(V6_HEADER + payload.len());
        if n == 4 {
            let total = (V4_HEADER + payload.len()).min(0xffff) as u16;
            bytes.extend_from_slice(&[0x45, self.tos]);
            bytes.extend_from_slice(&total.to_be_bytes());
            bytes.extend_from_slice(&id.unwrap_or(0).to_be_bytes());
            bytes.extend_from_slice(&(if id.is_some() { 0 } else { DONT_FRAGMENT }).to_be_bytes());
            bytes.extend_from_slice(&[self.ttl, self.protocol, 0, 0]);
            bytes.extend_from_slice(src);
            bytes.extend_from_slice(dst);
            set_v4_checksum(&mut bytes);
        } else {
            let first = 0x6000_0000 | u32::from(self.tos) << 20;
            bytes.extend_from_slice(&first.to_be_bytes());
            bytes.extend_from_slice(&(payload.len().min(0xffff) as u16).to_be_bytes());
            bytes.extend_from_slice(&[self.protocol, self.ttl]);
            bytes.extend_from_slice(src);
            bytes.extend_from_slice(dst);
        }
        bytes.extend_from_slice(payload);
        bytes
    }

    /// The header of an answer from the stack itself.
    pub fn answer(&self, protocol: u8) -> Self {
        Self { src: self.dst, dst: self.src, protocol, ttl: DEFAULT_TTL, ..*self }
    }
}

/// A header for a packet from `src` to `dst`.
pub fn header(src: IpAddr, dst: IpAddr, protocol: u8, ttl: i32, tos: i32) -> Ip {
    let byte = |n: i32| u8::try_from(n.clamp(0, 255)).unwrap_or(0);
    Ip { src, dst, protocol, ttl: byte(ttl), tos: byte(tos), header: 0, end: 0, fragment: false }
}

/// Fills in the checksum of the IPv4 header that `packet` begins with.
pub fn set_v4_checksum(packet: &mut [u8]) {
    put16(packet, 10, 0);
    let len = packet.first().map_or(0, |b| usize::from(b & 15) * 4);
    let checksum = fold(sum(0, packet.get(..len).unwrap_or_default()));
    put16(packet, 10, checksum);
}

/// Whether the checksum of the IPv4 header that `packet` begins with is right.
pub fn v4_checksum_is_right(packet: &[u8], header: usize) -> bool {
    fold(sum(0, packet.get(..header).unwrap_or_default())) == 0
}

/// The Ethernet protocol of an IP packet.
pub fn ether_type(packet: &[u8]) -> u16 {
    if packet.first().is_some_and(|b| b >> 4 == 6) { ETH_P_IPV6 } else { ETH_P_IP }
}

/// A UDP header and its data.
pub fn udp(from: SocketAddr, to: SocketAddr, data: &[u8]) -> Vec<u8> {
    let len = SHORT_HEADER + data.len();
    let mut bytes = Vec::with_capacity(len);
    for n in [from.port(), to.port(), len.min(0xffff) as u16, 0] {
        bytes.extend_from_slice(&n.to_be_bytes());
    }
    bytes.extend_from_slice(data);
    let checksum = fold(sum(pseudo(from.ip(), to.ip(), UDP, len), &bytes));
    put16(&mut bytes, 6, if checksum == 0 { 0xffff } else { checksum });
    bytes
}

/// Flags of a TCP header.
pub const TCP_FIN: u8 = 1;
/// See [`TCP_FIN`].
pub const TCP_SYN: u8 = 2;
/// See [`TCP_FIN`].
pub const TCP_RST: u8 = 4;
/// See [`TCP_FIN`].
pub const TCP_PSH: u8 = 8;
/// See [`TCP_FIN`].
pub const TCP_ACK: u8 = 16;

/// A TCP segment without options.
pub fn tcp(from: SocketAddr, to: SocketAddr, seq: u32, ack: u32, flags: u8, data: &[u8]) -> Vec<u8> {
    let len = 20 + data.len();
    let mut bytes = Vec::with_capacity(len);
    bytes.extend_from_slice(&from.port().to_be_bytes());
    bytes.extend_from_slice(&to.port().to_be_bytes());
    bytes.extend_from_slice(&seq.to_be_bytes());
    bytes.extend_from_slice(&ack.to_be_bytes());
    bytes.extend_from_slice(&[0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend_from_slice(data);
    let checksum = fold(sum(pseudo(from.ip(), to.ip(), TCP, len), &bytes));
    put16(&mut bytes, 16, checksum);
    bytes
}

/// An ICMP message between the ends of `ip`, of IPv4 or IPv6.
pub fn icmp(ip: &Ip, kind: u8, code: u8, rest: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, code, 0, 0];
    bytes.extend_from_slice(&rest);
    bytes.extend_from_slice(data);
    set_icmp_checksum(ip.src, ip.dst, &mut bytes);
    bytes
}

/// Fills in the checksum of an ICMP message.
pub fn set_icmp_checksum(src: IpAddr, dst: IpAddr, message: &mut [u8]) {
    put16(message, 2, 0);
    let start = if dst.is_ipv6() { pseudo(src, dst, ICMPV6, message.len()) } else { 0 };
    let checksum = fold(sum(start, message));
    put16(message, 2, checksum);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> (SocketAddr, SocketAddr) {
        ("127.0.0.1:1000".parse().unwrap(), "127.0.0.2:2000".parse().unwrap())
    }

    #[test]
    fn what_was_put_together_comes_apart() {
        let (from, to) = ends();
        let ip = header(from.ip(), to.ip(), UDP, 7, 4);
        let packet = ip.packet(&udp(from, to, b"odd"), None);
        let parsed = Ip::parse(&packet).unwrap();
        assert_eq!((parsed.src, parsed.dst, parsed.protocol), (from.ip(), to.ip(), UDP));
        assert_eq!((parsed.ttl, parsed.tos, parsed.header), (7, 4, V4_HEADER));
        assert!(v4_checksum_is_right(&packet, V4_HEADER));
        let datagram = parsed.payload(&packet);
        assert_eq!(&datagram[8..], b"odd");
        assert_eq!(fold(sum(pseudo(from.ip(), to.ip(), UDP, datagram.len()), datagram)), 0);
        let v6 = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);
        let packet = header(v6, v6, ICMPV6, 9, 0x21).packet(&[1, 2, 3], None);
        let parsed = Ip::parse(&packet).unwrap();
        assert_eq!((parsed.tos, parsed.ttl, parsed.payload(&packet)), (0x21, 9, &[1u8, 2, 3][..]));
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let (from, to) = ends();
        let good = header(from.ip(), to.ip(), UDP, 1, 0).packet(&[0; 8], None);
        for (at, value) in [(0usize, 0x44u8), (0, 0x4f), (2, 0xff), (3, 3), (0, 0x65), (0, 0x15)] {
            let mut bad = good.clone();
            bad[at] = value;
            assert_eq!(Ip::parse(&bad), None, "{at} {value}");
        }
        for len in 0..good.len() {
            assert_eq!(Ip::parse(&good[..len]), None);
        }
    }
}
