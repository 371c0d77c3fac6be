//! ICMP messages (`icmp(7)`), and what `raw(7)` and `packet(7)` sockets hand out beside the packets.

use crate::pod::pod;

// Messages of IPv4.
pub const ICMP_ECHOREPLY: u8 = 0;
pub const ICMP_DEST_UNREACH: u8 = 3;
pub const ICMP_SOURCE_QUENCH: u8 = 4;
pub const ICMP_ECHO: u8 = 8;
pub const ICMP_TIME_EXCEEDED: u8 = 11;
pub const ICMP_PARAMETERPROB: u8 = 12;
// Codes of `ICMP_DEST_UNREACH`.
pub const ICMP_PROT_UNREACH: u8 = 2;
pub const ICMP_PORT_UNREACH: u8 = 3;
pub const ICMP_FRAG_NEEDED: u8 = 4;
// Messages of IPv6.
pub const ICMPV6_DEST_UNREACH: u8 = 1;
pub const ICMPV6_PKT_TOOBIG: u8 = 2;
pub const ICMPV6_TIME_EXCEED: u8 = 3;
pub const ICMPV6_PARAMPROB: u8 = 4;
pub const ICMPV6_ECHO_REQUEST: u8 = 128;
pub const ICMPV6_ECHO_REPLY: u8 = 129;
pub const ICMPV6_PORT_UNREACH: u8 = 4;
/// Code of `ICMPV6_PARAMPROB`.
pub const ICMPV6_UNK_NEXTHDR: u8 = 1;

pod! {
    /// `struct tpacket_stats`.
    pub struct TpacketStats {
        /// Received, and dropped ones.
        pub tp_packets: u32,
        pub tp_drops: u32,
    }

    /// `struct tpacket_auxdata`, 20 bytes.
    pub struct TpacketAuxdata {
        pub tp_status: u32,
        pub tp_len: u32,
        pub tp_snaplen: u32,
        pub tp_mac: u16,
        pub tp_net: u16,
        pub tp_vlan_tci: u16,
        pub tp_vlan_tpid: u16,
    }
}

pub const TP_STATUS_USER: u32 = 1;
pub const TP_STATUS_CSUMNOTREADY: u32 = 8;
/// Bytes of an Ethernet header.
pub const ETH_HLEN: usize = 14;

// `PACKET_ADD_MEMBERSHIP`.
pub const PACKET_MR_MULTICAST: u16 = 0;
pub const PACKET_MR_PROMISC: u16 = 1;
pub const PACKET_MR_ALLMULTI: u16 = 2;
pub const PACKET_MR_UNICAST: u16 = 3;
