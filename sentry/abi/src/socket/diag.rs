//! `sock_diag(7)`: requests for lists of sockets and what answers them.

use crate::pod::pod;

pub const SOCK_DIAG_BY_FAMILY: u16 = 20;
pub const SOCK_DESTROY: u16 = 21;

pod! {
    /// `struct inet_diag_sockid`, 48 bytes.
    pub struct InetDiagSockid {
        /// Big-endian.
        pub idiag_sport: [u8; 2],
        /// Big-endian.
        pub idiag_dport: [u8; 2],
        pub idiag_src: [u8; 16],
        pub idiag_dst: [u8; 16],
        pub idiag_if: u32,
        pub idiag_cookie: [u32; 2],
    }

    /// `struct inet_diag_req_v2`, 56 bytes.
    pub struct InetDiagReqV2 {
        pub sdiag_family: u8,
        pub sdiag_protocol: u8,
        pub idiag_ext: u8,
        pub _pad: u8,
        /// Bits by [`super::TcpState`].
        pub idiag_states: u32,
        pub id: InetDiagSockid,
    }

    /// `struct inet_diag_msg`, 72 bytes.
    pub struct InetDiagMsg {
        pub idiag_family: u8,
        pub idiag_state: u8,
        pub idiag_timer: u8,
        pub idiag_retrans: u8,
        pub id: InetDiagSockid,
        pub idiag_expires: u32,
        pub idiag_rqueue: u32,
        pub idiag_wqueue: u32,
        pub idiag_uid: u32,
        pub idiag_inode: u32,
    }

    /// `struct unix_diag_req`, 24 bytes.
    pub struct UnixDiagReq {
        pub sdiag_family: u8,
        pub sdiag_protocol: u8,
        pub pad: u16,
        /// Bits by [`super::TcpState`].
        pub udiag_states: u32,
        /// 0 for all.
        pub udiag_ino: u32,
        /// `UDIAG_SHOW_*`.
        pub udiag_show: u32,
        pub udiag_cookie: [u32; 2],
    }

    /// `struct unix_diag_msg`, 16 bytes.
    pub struct UnixDiagMsg {
        pub udiag_family: u8,
        pub udiag_type: u8,
        pub udiag_state: u8,
        pub pad: u8,
        pub udiag_ino: u32,
        pub udiag_cookie: [u32; 2],
    }

    /// `struct packet_diag_req` and `struct netlink_diag_req`, 20 bytes.
    pub struct OtherDiagReq {
        pub sdiag_family: u8,
        pub sdiag_protocol: u8,
        pub pad: u16,
        pub ino: u32,
        pub show: u32,
        pub cookie: [u32; 2],
    }

    /// `struct packet_diag_msg`, 16 bytes.
    pub struct PacketDiagMsg {
        pub pdiag_family: u8,
        pub pdiag_type: u8,
        /// In the machine's order.
        pub pdiag_num: u16,
        pub pdiag_ino: u32,
        pub pdiag_cookie: [u32; 2],
    }

    /// `struct packet_diag_info`, 24 bytes.
    pub struct PacketDiagInfo {
        pub pdi_index: u32,
        pub pdi_version: u32,
        pub pdi_reserve: u32,
        pub pdi_copy_thresh: u32,
        pub pdi_tstamp: u32,
        pub pdi_flags: u32,
    }

    /// `struct netlink_diag_msg`, 28 bytes.
    pub struct NetlinkDiagMsg {
        pub ndiag_family: u8,
        pub ndiag_type: u8,
        pub ndiag_protocol: u8,
        pub ndiag_state: u8,
        pub ndiag_portid: u32,
        pub ndiag_dst_portid: u32,
        pub ndiag_dst_group: u32,
        pub ndiag_ino: u32,
        pub ndiag_cookie: [u32; 2],
    }

    /// `struct inet_diag_meminfo`, 16 bytes.
    pub struct InetDiagMeminfo {
        pub idiag_rmem: u32,
        pub idiag_wmem: u32,
        pub idiag_fmem: u32,
        pub idiag_tmem: u32,
    }
}

// Attributes of inet sockets; bit N-1 of `idiag_ext` asks for attribute N.
pub const INET_DIAG_MEMINFO: u16 = 1;
pub const INET_DIAG_INFO: u16 = 2;
pub const INET_DIAG_CONG: u16 = 4;
pub const INET_DIAG_TOS: u16 = 5;
pub const INET_DIAG_TCLASS: u16 = 6;
pub const INET_DIAG_SKMEMINFO: u16 = 7;
pub const INET_DIAG_SHUTDOWN: u16 = 8;
pub const INET_DIAG_SKV6ONLY: u16 = 11;
/// Attribute of a request: which protocol, where that does not fit 8 bits.
pub const INET_DIAG_REQ_PROTOCOL: u16 = 3;

pub const UDIAG_SHOW_NAME: u32 = 0x1;
pub const UDIAG_SHOW_VFS: u32 = 0x2;
pub const UDIAG_SHOW_PEER: u32 = 0x4;
pub const UDIAG_SHOW_ICONS: u32 = 0x8;
pub const UDIAG_SHOW_RQLEN: u32 = 0x10;
pub const UDIAG_SHOW_MEMINFO: u32 = 0x20;
pub const UDIAG_SHOW_UID: u32 = 0x40;
pub const UNIX_DIAG_NAME: u16 = 0;
pub const UNIX_DIAG_VFS: u16 = 1;
pub const UNIX_DIAG_PEER: u16 = 2;
pub const UNIX_DIAG_ICONS: u16 = 3;
pub const UNIX_DIAG_RQLEN: u16 = 4;
pub const UNIX_DIAG_MEMINFO: u16 = 5;
pub const UNIX_DIAG_SHUTDOWN: u16 = 6;
pub const UNIX_DIAG_UID: u16 = 7;

pub const PACKET_SHOW_INFO: u32 = 0x1;
pub const PACKET_SHOW_MEMINFO: u32 = 0x10;
pub const PACKET_DIAG_INFO: u16 = 0;
pub const PACKET_DIAG_UID: u16 = 4;
pub const PACKET_DIAG_MEMINFO: u16 = 5;

/// `sdiag_protocol` that stands for all of netlink's.
pub const NDIAG_PROTO_ALL: u8 = 255;
pub const NDIAG_SHOW_MEMINFO: u32 = 0x1;
pub const NDIAG_SHOW_GROUPS: u32 = 0x2;
pub const NETLINK_DIAG_MEMINFO: u16 = 0;
pub const NETLINK_DIAG_GROUPS: u16 = 1;
