//! Socket addresses. Ports and IPv4 addresses are in network order, as bytes.

use crate::pod::pod;
use serde::{Deserialize, Serialize};

pod! {
    /// `struct sockaddr_in`, 16 bytes.
    #[derive(Serialize, Deserialize, Hash)]
    pub struct SockaddrIn {
        pub sin_family: u16,
        /// Big-endian.
        pub sin_port: [u8; 2],
        pub sin_addr: [u8; 4],
        pub sin_zero: [u8; 8],
    }

    /// `struct sockaddr_in6`, 28 bytes. The last field may be missing from what applications pass (24 bytes).
    #[derive(Serialize, Deserialize, Hash)]
    pub struct SockaddrIn6 {
        pub sin6_family: u16,
        /// Big-endian.
        pub sin6_port: [u8; 2],
        /// Big-endian.
        pub sin6_flowinfo: [u8; 4],
        pub sin6_addr: [u8; 16],
        pub sin6_scope_id: u32,
    }

    /// `struct sockaddr_un`, 110 bytes.
    pub struct SockaddrUn {
        pub sun_family: u16,
        /// A path; or a zero and an abstract name that extends to the end of the address's length.
        pub sun_path: [u8; 108],
    }

    /// `struct sockaddr_nl`, 12 bytes.
    #[derive(Serialize, Deserialize, Hash)]
    pub struct SockaddrNl {
        pub nl_family: u16,
        pub nl_pad: u16,
        pub nl_pid: u32,
        pub nl_groups: u32,
    }

    /// `struct sockaddr_ll`, 20 bytes.
    #[derive(Serialize, Deserialize, Hash)]
    pub struct SockaddrLl {
        pub sll_family: u16,
        /// Big-endian.
        pub sll_protocol: [u8; 2],
        pub sll_ifindex: i32,
        pub sll_hatype: u16,
        /// `PACKET_*`.
        pub sll_pkttype: u8,
        pub sll_halen: u8,
        pub sll_addr: [u8; 8],
    }

    /// `struct sockaddr_vm`, 16 bytes.
    #[derive(Serialize, Deserialize, Hash)]
    pub struct SockaddrVm {
        pub svm_family: u16,
        pub svm_reserved1: u16,
        pub svm_port: u32,
        pub svm_cid: u32,
        pub svm_flags: u8,
        pub svm_zero: [u8; 3],
    }

    /// `struct ip_mreqn`; `struct ip_mreq` is its first 8 bytes.
    pub struct IpMreqn {
        pub imr_multiaddr: [u8; 4],
        pub imr_address: [u8; 4],
        pub imr_ifindex: i32,
    }

    /// `struct ip_mreq_source`.
    pub struct IpMreqSource {
        pub imr_multiaddr: [u8; 4],
        pub imr_interface: [u8; 4],
        pub imr_sourceaddr: [u8; 4],
    }

    /// `struct ipv6_mreq`.
    pub struct Ipv6Mreq {
        pub ipv6mr_multiaddr: [u8; 16],
        pub ipv6mr_ifindex: i32,
    }

    /// `struct packet_mreq`.
    pub struct PacketMreq {
        pub mr_ifindex: i32,
        pub mr_type: u16,
        pub mr_alen: u16,
        pub mr_address: [u8; 8],
    }
}

/// Where the path starts in a `struct sockaddr_un`.
pub const SUN_PATH_OFFSET: usize = 2;
/// Bytes of a Unix socket's path.
pub const UNIX_PATH_MAX: usize = 108;
/// The shortest IPv6 address that is taken: without the scope (`SIN6_LEN_RFC2133`).
pub const SIN6_LEN_MIN: usize = 24;

// `sll_pkttype`.
pub const PACKET_HOST: u8 = 0;
pub const PACKET_BROADCAST: u8 = 1;
pub const PACKET_MULTICAST: u8 = 2;
pub const PACKET_OTHERHOST: u8 = 3;
pub const PACKET_OUTGOING: u8 = 4;
pub const PACKET_LOOPBACK: u8 = 5;
