//! Sockets: families, types, options, messages, addresses, netlink, interface requests.
//!
//! All names of the modules below can be had from here as well.
#![allow(missing_docs, reason = "the names are Linux's, documented in socket(2), socket(7), ip(7), tcp(7)")]

pub mod addr;
pub mod diag;
pub mod genetlink;
pub mod icmp;
pub mod ifreq;
pub mod msg;
pub mod netlink;
pub mod options;
pub mod tcp;

pub use addr::*;
pub use diag::*;
pub use genetlink::*;
pub use icmp::*;
pub use ifreq::*;
pub use msg::*;
pub use netlink::*;
pub use options::*;
pub use tcp::*;

use crate::pod::flags;

// Address families.
pub const AF_UNSPEC: u16 = 0;
pub const AF_UNIX: u16 = 1;
pub const AF_INET: u16 = 2;
pub const AF_AX25: u16 = 3;
pub const AF_IPX: u16 = 4;
pub const AF_APPLETALK: u16 = 5;
pub const AF_X25: u16 = 9;
pub const AF_INET6: u16 = 10;
pub const AF_KEY: u16 = 15;
pub const AF_NETLINK: u16 = 16;
pub const AF_PACKET: u16 = 17;
pub const AF_RDS: u16 = 21;
pub const AF_PPPOX: u16 = 24;
pub const AF_LLC: u16 = 26;
pub const AF_IB: u16 = 27;
pub const AF_MPLS: u16 = 28;
pub const AF_CAN: u16 = 29;
pub const AF_TIPC: u16 = 30;
pub const AF_BLUETOOTH: u16 = 31;
pub const AF_RXRPC: u16 = 33;
pub const AF_PHONET: u16 = 35;
pub const AF_ALG: u16 = 38;
pub const AF_NFC: u16 = 39;
pub const AF_VSOCK: u16 = 40;
pub const AF_KCM: u16 = 41;
pub const AF_QIPCRTR: u16 = 42;
pub const AF_SMC: u16 = 43;
pub const AF_XDP: u16 = 44;
pub const AF_MCTP: u16 = 45;
/// One more than the highest family.
pub const AF_MAX: u16 = 46;

/// `SOCK_*` without the flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, serde::Serialize, serde::Deserialize)]
pub enum SockType {
    Stream,
    Dgram,
    Raw,
    Rdm,
    Seqpacket,
    Dccp,
    Packet,
}

// The same as numbers.
pub const SOCK_STREAM: i32 = 1;
pub const SOCK_DGRAM: i32 = 2;
pub const SOCK_RAW: i32 = 3;
pub const SOCK_RDM: i32 = 4;
pub const SOCK_SEQPACKET: i32 = 5;
pub const SOCK_DCCP: i32 = 6;
pub const SOCK_PACKET: i32 = 10;
/// The bits of `socket(2)`'s type that hold the type.
pub const SOCK_TYPE_MASK: i32 = 0xf;

flags! {
    /// What may be or-ed to the type, and to `accept4(2)`.
    pub struct SockFlags: u32 {
        const NONBLOCK = 0o4000;
        const CLOEXEC = 0o2_000_000;
    }
}

impl SockType {
    /// Type and flags of `socket(2)`; `None` for what it refuses with `EINVAL`.
    pub const fn from_raw(raw: i32) -> Option<(SockType, SockFlags)> {
        let Some(flags) = SockFlags::from_bits((raw & !SOCK_TYPE_MASK) as u32) else { return None };
        let kind = match raw & SOCK_TYPE_MASK {
            SOCK_STREAM => SockType::Stream,
            SOCK_DGRAM => SockType::Dgram,
            SOCK_RAW => SockType::Raw,
            SOCK_RDM => SockType::Rdm,
            SOCK_SEQPACKET => SockType::Seqpacket,
            SOCK_DCCP => SockType::Dccp,
            SOCK_PACKET => SockType::Packet,
            _ => return None,
        };
        Some((kind, flags))
    }

    /// The number, as `SO_TYPE` reports it.
    pub const fn to_raw(self) -> i32 {
        match self {
            SockType::Stream => SOCK_STREAM,
            SockType::Dgram => SOCK_DGRAM,
            SockType::Raw => SOCK_RAW,
            SockType::Rdm => SOCK_RDM,
            SockType::Seqpacket => SOCK_SEQPACKET,
            SockType::Dccp => SOCK_DCCP,
            SockType::Packet => SOCK_PACKET,
        }
    }
}

// Protocols.
pub const IPPROTO_IP: i32 = 0;
pub const IPPROTO_ICMP: i32 = 1;
pub const IPPROTO_IGMP: i32 = 2;
pub const IPPROTO_IPIP: i32 = 4;
pub const IPPROTO_TCP: i32 = 6;
pub const IPPROTO_EGP: i32 = 8;
pub const IPPROTO_PUP: i32 = 12;
pub const IPPROTO_UDP: i32 = 17;
pub const IPPROTO_IDP: i32 = 22;
pub const IPPROTO_DCCP: i32 = 33;
pub const IPPROTO_IPV6: i32 = 41;
pub const IPPROTO_GRE: i32 = 47;
pub const IPPROTO_ESP: i32 = 50;
pub const IPPROTO_AH: i32 = 51;
pub const IPPROTO_SCTP: i32 = 132;
pub const IPPROTO_UDPLITE: i32 = 136;
pub const IPPROTO_MPLS: i32 = 137;
pub const IPPROTO_RAW: i32 = 255;
pub const IPPROTO_MPTCP: i32 = 262;
pub const IPPROTO_HOPOPTS: i32 = 0;
pub const IPPROTO_ROUTING: i32 = 43;
pub const IPPROTO_FRAGMENT: i32 = 44;
pub const IPPROTO_ICMPV6: i32 = 58;
pub const IPPROTO_NONE: i32 = 59;
pub const IPPROTO_DSTOPTS: i32 = 60;
pub const IPPROTO_MH: i32 = 135;

/// `shutdown(2)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Shutdown {
    /// `SHUT_RD`.
    Read,
    /// `SHUT_WR`.
    Write,
    /// `SHUT_RDWR`.
    Both,
}

impl Shutdown {
    /// `None` for what `shutdown(2)` refuses with `EINVAL`.
    pub const fn from_raw(how: i32) -> Option<Shutdown> {
        Some(match how {
            0 => Shutdown::Read,
            1 => Shutdown::Write,
            2 => Shutdown::Both,
            _ => return None,
        })
    }

    pub const fn reads(self) -> bool {
        matches!(self, Shutdown::Read | Shutdown::Both)
    }

    pub const fn writes(self) -> bool {
        matches!(self, Shutdown::Write | Shutdown::Both)
    }
}

/// `net.core.somaxconn`.
pub const SOMAXCONN: u32 = 4096;
/// The longest socket address (`struct sockaddr_storage`).
pub const SOCKADDR_MAX: usize = 128;

// Ethernet protocol numbers.
pub const ETH_P_IP: u16 = 0x800;
pub const ETH_P_ARP: u16 = 0x806;
pub const ETH_P_8021Q: u16 = 0x8100;
pub const ETH_P_IPV6: u16 = 0x86dd;
pub const ETH_P_ALL: u16 = 0x3;
pub const ETH_P_LOOPBACK: u16 = 0x9000;
