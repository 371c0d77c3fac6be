//! Netlink: message headers, attributes, and what rtnetlink says about links, addresses, routes, neighbours.

use crate::pod::{flags, pod};

// Protocols, the third argument of `socket(2)`.
pub const NETLINK_ROUTE: i32 = 0;
pub const NETLINK_USERSOCK: i32 = 2;
pub const NETLINK_FIREWALL: i32 = 3;
pub const NETLINK_SOCK_DIAG: i32 = 4;
pub const NETLINK_NFLOG: i32 = 5;
pub const NETLINK_XFRM: i32 = 6;
pub const NETLINK_SELINUX: i32 = 7;
pub const NETLINK_ISCSI: i32 = 8;
pub const NETLINK_AUDIT: i32 = 9;
pub const NETLINK_FIB_LOOKUP: i32 = 10;
pub const NETLINK_CONNECTOR: i32 = 11;
pub const NETLINK_NETFILTER: i32 = 12;
pub const NETLINK_DNRTMSG: i32 = 14;
pub const NETLINK_KOBJECT_UEVENT: i32 = 15;
pub const NETLINK_GENERIC: i32 = 16;
pub const NETLINK_CRYPTO: i32 = 21;

pod! {
    /// `struct nlmsghdr`, 16 bytes; messages are aligned to 4.
    pub struct Nlmsghdr {
        /// Header and contents.
        pub nlmsg_len: u32,
        pub nlmsg_type: u16,
        /// [`NlmFlags`].
        pub nlmsg_flags: u16,
        pub nlmsg_seq: u32,
        pub nlmsg_pid: u32,
    }

    /// `struct nlmsgerr`, before what the flags say follows.
    pub struct Nlmsgerr {
        /// Negative, or 0 for an acknowledgement.
        pub error: i32,
        pub msg: Nlmsghdr,
    }

    /// `struct nlattr` and `struct rtattr`; contents are aligned to 4.
    pub struct Nlattr {
        pub nla_len: u16,
        pub nla_type: u16,
    }

    /// `struct rtgenmsg`.
    pub struct Rtgenmsg {
        pub rtgen_family: u8,
    }

    /// `struct ifinfomsg`, 16 bytes.
    pub struct Ifinfomsg {
        pub ifi_family: u8,
        pub _pad: u8,
        /// `ARPHRD_*`.
        pub ifi_type: u16,
        pub ifi_index: i32,
        /// [`super::IffFlags`].
        pub ifi_flags: u32,
        pub ifi_change: u32,
    }

    /// `struct ifaddrmsg`, 8 bytes.
    pub struct Ifaddrmsg {
        pub ifa_family: u8,
        pub ifa_prefixlen: u8,
        /// `IFA_F_*`.
        pub ifa_flags: u8,
        /// `RT_SCOPE_*`.
        pub ifa_scope: u8,
        pub ifa_index: u32,
    }

    /// `struct rtmsg`, 12 bytes.
    pub struct Rtmsg {
        pub rtm_family: u8,
        pub rtm_dst_len: u8,
        pub rtm_src_len: u8,
        pub rtm_tos: u8,
        /// `RT_TABLE_*`.
        pub rtm_table: u8,
        /// `RTPROT_*`.
        pub rtm_protocol: u8,
        /// `RT_SCOPE_*`.
        pub rtm_scope: u8,
        /// `RTN_*`.
        pub rtm_type: u8,
        /// `RTM_F_*`.
        pub rtm_flags: u32,
    }

    /// `struct ndmsg`, 12 bytes.
    pub struct Ndmsg {
        pub ndm_family: u8,
        pub _pad1: u8,
        pub _pad2: u16,
        pub ndm_ifindex: i32,
        pub ndm_state: u16,
        pub ndm_flags: u8,
        pub ndm_type: u8,
    }

    /// `struct ifa_cacheinfo`.
    pub struct IfaCacheinfo {
        pub ifa_prefered: u32,
        pub ifa_valid: u32,
        pub cstamp: u32,
        pub tstamp: u32,
    }

    /// `struct rta_cacheinfo`, 32 bytes.
    pub struct RtaCacheinfo {
        pub rta_clntref: u32,
        pub rta_lastuse: u32,
        pub rta_expires: i32,
        pub rta_error: u32,
        pub rta_used: u32,
        pub rta_id: u32,
        pub rta_ts: u32,
        pub rta_tsage: u32,
    }

    /// `struct rtnl_link_stats64`, 200 bytes.
    pub struct RtnlLinkStats64 {
        pub rx_packets: u64,
        pub tx_packets: u64,
        pub rx_bytes: u64,
        pub tx_bytes: u64,
        pub rx_errors: u64,
        pub tx_errors: u64,
        pub rx_dropped: u64,
        pub tx_dropped: u64,
        pub multicast: u64,
        pub collisions: u64,
        pub rx_length_errors: u64,
        pub rx_over_errors: u64,
        pub rx_crc_errors: u64,
        pub rx_frame_errors: u64,
        pub rx_fifo_errors: u64,
        pub rx_missed_errors: u64,
        pub tx_aborted_errors: u64,
        pub tx_carrier_errors: u64,
        pub tx_fifo_errors: u64,
        pub tx_heartbeat_errors: u64,
        pub tx_window_errors: u64,
        pub rx_compressed: u64,
        pub tx_compressed: u64,
        pub rx_nohandler: u64,
        pub rx_otherhost_dropped: u64,
    }

    /// `struct tcmsg`, 20 bytes.
    pub struct Tcmsg {
        pub tcm_family: u8,
        pub _pad1: u8,
        pub _pad2: u16,
        pub tcm_ifindex: i32,
        pub tcm_handle: u32,
        pub tcm_parent: u32,
        pub tcm_info: u32,
    }

    /// `struct genlmsghdr`.
    pub struct Genlmsghdr {
        pub cmd: u8,
        pub version: u8,
        pub _reserved: u16,
    }
}

flags! {
    /// `NLM_F_*`. The bits above 0xff mean different things to requests for data and for changes.
    pub struct NlmFlags: u16 {
        const REQUEST = 0x01;
        const MULTI = 0x02;
        const ACK = 0x04;
        const ECHO = 0x08;
        const DUMP_INTR = 0x10;
        const DUMP_FILTERED = 0x20;
        /// Get: the whole table.
        const ROOT = 0x100;
        /// Get: everything that matches.
        const MATCH = 0x200;
        /// Get.
        const ATOMIC = 0x400;
        /// New.
        const REPLACE = 0x100;
        /// New.
        const EXCL = 0x200;
        /// New.
        const CREATE = 0x400;
        /// New.
        const APPEND = 0x800;
        /// Delete.
        const NONREC = 0x100;
        /// Acknowledgement: the request was cut off.
        const CAPPED = 0x100;
        /// Acknowledgement: attributes follow.
        const ACK_TLVS = 0x200;
    }
}

impl NlmFlags {
    /// `NLM_F_DUMP`.
    pub const DUMP: NlmFlags = NlmFlags::ROOT.union(NlmFlags::MATCH);
}

pub const NLMSG_NOOP: u16 = 1;
pub const NLMSG_ERROR: u16 = 2;
pub const NLMSG_DONE: u16 = 3;
pub const NLMSG_OVERRUN: u16 = 4;
pub const NLMSG_MIN_TYPE: u16 = 16;
pub const NLMSGERR_ATTR_MSG: u16 = 1;
pub const NLMSGERR_ATTR_OFFS: u16 = 2;
pub const NLMSGERR_ATTR_COOKIE: u16 = 3;
/// In `nla_type`: the contents are attributes.
pub const NLA_F_NESTED: u16 = 1 << 15;
/// In `nla_type`: the contents are in network order.
pub const NLA_F_NET_BYTEORDER: u16 = 1 << 14;
/// The type itself.
pub const NLA_TYPE_MASK: u16 = !(NLA_F_NESTED | NLA_F_NET_BYTEORDER);

/// Messages and attributes are aligned so.
pub const fn nl_align(len: usize) -> usize {
    len.saturating_add(3) & !3
}

// rtnetlink: message types.
pub const RTM_NEWLINK: u16 = 16;
pub const RTM_DELLINK: u16 = 17;
pub const RTM_GETLINK: u16 = 18;
pub const RTM_SETLINK: u16 = 19;
pub const RTM_NEWADDR: u16 = 20;
pub const RTM_DELADDR: u16 = 21;
pub const RTM_GETADDR: u16 = 22;
pub const RTM_NEWROUTE: u16 = 24;
pub const RTM_DELROUTE: u16 = 25;
pub const RTM_GETROUTE: u16 = 26;
pub const RTM_NEWNEIGH: u16 = 28;
pub const RTM_DELNEIGH: u16 = 29;
pub const RTM_GETNEIGH: u16 = 30;
pub const RTM_NEWRULE: u16 = 32;
pub const RTM_DELRULE: u16 = 33;
pub const RTM_GETRULE: u16 = 34;
pub const RTM_NEWQDISC: u16 = 36;
pub const RTM_DELQDISC: u16 = 37;
pub const RTM_GETQDISC: u16 = 38;
pub const RTM_NEWTCLASS: u16 = 40;
pub const RTM_GETTCLASS: u16 = 42;
pub const RTM_NEWTFILTER: u16 = 44;
pub const RTM_GETTFILTER: u16 = 46;
pub const RTM_GETMULTICAST: u16 = 58;
pub const RTM_GETANYCAST: u16 = 62;
pub const RTM_NEWNEIGHTBL: u16 = 64;
pub const RTM_GETNEIGHTBL: u16 = 66;
pub const RTM_GETADDRLABEL: u16 = 74;
pub const RTM_NEWNETCONF: u16 = 80;
pub const RTM_GETNETCONF: u16 = 82;
pub const RTM_GETMDB: u16 = 86;
pub const RTM_NEWNSID: u16 = 88;
pub const RTM_DELNSID: u16 = 89;
pub const RTM_GETNSID: u16 = 90;
pub const RTM_NEWSTATS: u16 = 92;
pub const RTM_GETSTATS: u16 = 94;
pub const RTM_NEWNEXTHOP: u16 = 104;
pub const RTM_DELNEXTHOP: u16 = 105;
pub const RTM_GETNEXTHOP: u16 = 106;
pub const RTM_NEWLINKPROP: u16 = 108;
pub const RTM_GETLINKPROP: u16 = 110;
pub const RTM_BASE: u16 = 16;

// Links.
pub const IFLA_UNSPEC: u16 = 0;
pub const IFLA_ADDRESS: u16 = 1;
pub const IFLA_BROADCAST: u16 = 2;
pub const IFLA_IFNAME: u16 = 3;
pub const IFLA_MTU: u16 = 4;
pub const IFLA_LINK: u16 = 5;
pub const IFLA_QDISC: u16 = 6;
pub const IFLA_STATS: u16 = 7;
pub const IFLA_COST: u16 = 8;
pub const IFLA_PRIORITY: u16 = 9;
pub const IFLA_MASTER: u16 = 10;
pub const IFLA_WIRELESS: u16 = 11;
pub const IFLA_PROTINFO: u16 = 12;
pub const IFLA_TXQLEN: u16 = 13;
pub const IFLA_MAP: u16 = 14;
pub const IFLA_WEIGHT: u16 = 15;
pub const IFLA_OPERSTATE: u16 = 16;
pub const IFLA_LINKMODE: u16 = 17;
pub const IFLA_LINKINFO: u16 = 18;
pub const IFLA_NET_NS_PID: u16 = 19;
pub const IFLA_IFALIAS: u16 = 20;
pub const IFLA_NUM_VF: u16 = 21;
pub const IFLA_VFINFO_LIST: u16 = 22;
pub const IFLA_STATS64: u16 = 23;
pub const IFLA_VF_PORTS: u16 = 24;
pub const IFLA_PORT_SELF: u16 = 25;
pub const IFLA_AF_SPEC: u16 = 26;
pub const IFLA_GROUP: u16 = 27;
pub const IFLA_NET_NS_FD: u16 = 28;
pub const IFLA_EXT_MASK: u16 = 29;
pub const IFLA_PROMISCUITY: u16 = 30;
pub const IFLA_NUM_TX_QUEUES: u16 = 31;
pub const IFLA_NUM_RX_QUEUES: u16 = 32;
pub const IFLA_CARRIER: u16 = 33;
pub const IFLA_PHYS_PORT_ID: u16 = 34;
pub const IFLA_CARRIER_CHANGES: u16 = 35;
pub const IFLA_PHYS_SWITCH_ID: u16 = 36;
pub const IFLA_LINK_NETNSID: u16 = 37;
pub const IFLA_PHYS_PORT_NAME: u16 = 38;
pub const IFLA_PROTO_DOWN: u16 = 39;
pub const IFLA_GSO_MAX_SEGS: u16 = 40;
pub const IFLA_GSO_MAX_SIZE: u16 = 41;
pub const IFLA_XDP: u16 = 43;
pub const IFLA_EVENT: u16 = 44;
pub const IFLA_NEW_NETNSID: u16 = 45;
pub const IFLA_TARGET_NETNSID: u16 = 46;
pub const IFLA_CARRIER_UP_COUNT: u16 = 47;
pub const IFLA_CARRIER_DOWN_COUNT: u16 = 48;
pub const IFLA_NEW_IFINDEX: u16 = 49;
pub const IFLA_MIN_MTU: u16 = 50;
pub const IFLA_MAX_MTU: u16 = 51;
pub const IFLA_PROP_LIST: u16 = 52;
pub const IFLA_ALT_IFNAME: u16 = 53;
pub const IFLA_PERM_ADDRESS: u16 = 54;
pub const IFLA_INFO_KIND: u16 = 1;
pub const IFLA_INFO_DATA: u16 = 2;
pub const IFLA_INFO_XSTATS: u16 = 3;
pub const IFLA_INFO_SLAVE_KIND: u16 = 4;
pub const IFLA_INFO_SLAVE_DATA: u16 = 5;
pub const VETH_INFO_PEER: u16 = 1;
pub const IFLA_INET_CONF: u16 = 1;
pub const IFLA_INET6_FLAGS: u16 = 1;
pub const IFLA_INET6_CONF: u16 = 2;
pub const IFLA_INET6_STATS: u16 = 3;
pub const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
// `IFLA_OPERSTATE`.
pub const IF_OPER_UNKNOWN: u8 = 0;
pub const IF_OPER_NOTPRESENT: u8 = 1;
pub const IF_OPER_DOWN: u8 = 2;
pub const IF_OPER_LOWERLAYERDOWN: u8 = 3;
pub const IF_OPER_TESTING: u8 = 4;
pub const IF_OPER_DORMANT: u8 = 5;
pub const IF_OPER_UP: u8 = 6;

// Addresses.
pub const IFA_UNSPEC: u16 = 0;
pub const IFA_ADDRESS: u16 = 1;
pub const IFA_LOCAL: u16 = 2;
pub const IFA_LABEL: u16 = 3;
pub const IFA_BROADCAST: u16 = 4;
pub const IFA_ANYCAST: u16 = 5;
pub const IFA_CACHEINFO: u16 = 6;
pub const IFA_MULTICAST: u16 = 7;
pub const IFA_FLAGS: u16 = 8;
pub const IFA_RT_PRIORITY: u16 = 9;
pub const IFA_TARGET_NETNSID: u16 = 10;
pub const IFA_PROTO: u16 = 11;
pub const IFA_F_SECONDARY: u32 = 0x1;
pub const IFA_F_NODAD: u32 = 0x2;
pub const IFA_F_OPTIMISTIC: u32 = 0x4;
pub const IFA_F_DADFAILED: u32 = 0x8;
pub const IFA_F_HOMEADDRESS: u32 = 0x10;
pub const IFA_F_DEPRECATED: u32 = 0x20;
pub const IFA_F_TENTATIVE: u32 = 0x40;
pub const IFA_F_PERMANENT: u32 = 0x80;
pub const IFA_F_MANAGETEMPADDR: u32 = 0x100;
pub const IFA_F_NOPREFIXROUTE: u32 = 0x200;
pub const IFA_F_MCAUTOJOIN: u32 = 0x400;
pub const IFA_F_STABLE_PRIVACY: u32 = 0x800;
/// `ifa_valid` without end.
pub const INFINITY_LIFE_TIME: u32 = u32::MAX;

// Routes.
pub const RTA_UNSPEC: u16 = 0;
pub const RTA_DST: u16 = 1;
pub const RTA_SRC: u16 = 2;
pub const RTA_IIF: u16 = 3;
pub const RTA_OIF: u16 = 4;
pub const RTA_GATEWAY: u16 = 5;
pub const RTA_PRIORITY: u16 = 6;
pub const RTA_PREFSRC: u16 = 7;
pub const RTA_METRICS: u16 = 8;
pub const RTA_MULTIPATH: u16 = 9;
pub const RTA_PROTOINFO: u16 = 10;
pub const RTA_FLOW: u16 = 11;
pub const RTA_CACHEINFO: u16 = 12;
pub const RTA_SESSION: u16 = 13;
pub const RTA_MP_ALGO: u16 = 14;
pub const RTA_TABLE: u16 = 15;
pub const RTA_MARK: u16 = 16;
pub const RTA_MFC_STATS: u16 = 17;
pub const RTA_VIA: u16 = 18;
pub const RTA_NEWDST: u16 = 19;
pub const RTA_PREF: u16 = 20;
pub const RTA_ENCAP_TYPE: u16 = 21;
pub const RTA_ENCAP: u16 = 22;
pub const RTA_EXPIRES: u16 = 23;
pub const RTA_PAD: u16 = 24;
pub const RTA_UID: u16 = 25;
pub const RTA_TTL_PROPAGATE: u16 = 26;
pub const RTA_IP_PROTO: u16 = 27;
pub const RTA_SPORT: u16 = 28;
pub const RTA_DPORT: u16 = 29;
pub const RTA_NH_ID: u16 = 30;
pub const RTN_UNSPEC: u8 = 0;
pub const RTN_UNICAST: u8 = 1;
pub const RTN_LOCAL: u8 = 2;
pub const RTN_BROADCAST: u8 = 3;
pub const RTN_ANYCAST: u8 = 4;
pub const RTN_MULTICAST: u8 = 5;
pub const RTN_BLACKHOLE: u8 = 6;
pub const RTN_UNREACHABLE: u8 = 7;
pub const RTN_PROHIBIT: u8 = 8;
pub const RTN_THROW: u8 = 9;
pub const RTN_NAT: u8 = 10;
pub const RTPROT_UNSPEC: u8 = 0;
pub const RTPROT_REDIRECT: u8 = 1;
pub const RTPROT_KERNEL: u8 = 2;
pub const RTPROT_BOOT: u8 = 3;
pub const RTPROT_STATIC: u8 = 4;
pub const RTPROT_RA: u8 = 9;
pub const RTPROT_DHCP: u8 = 16;
pub const RT_SCOPE_UNIVERSE: u8 = 0;
pub const RT_SCOPE_SITE: u8 = 200;
pub const RT_SCOPE_LINK: u8 = 253;
pub const RT_SCOPE_HOST: u8 = 254;
pub const RT_SCOPE_NOWHERE: u8 = 255;
pub const RT_TABLE_UNSPEC: u8 = 0;
pub const RT_TABLE_COMPAT: u8 = 252;
pub const RT_TABLE_DEFAULT: u8 = 253;
pub const RT_TABLE_MAIN: u8 = 254;
pub const RT_TABLE_LOCAL: u8 = 255;
pub const RTM_F_NOTIFY: u32 = 0x100;
pub const RTM_F_CLONED: u32 = 0x200;
pub const RTM_F_EQUALIZE: u32 = 0x400;
pub const RTM_F_PREFIX: u32 = 0x800;
pub const RTM_F_LOOKUP_TABLE: u32 = 0x1000;
pub const RTM_F_FIB_MATCH: u32 = 0x2000;
pub const RTNH_F_DEAD: u32 = 0x1;
pub const RTNH_F_PERVASIVE: u32 = 0x2;
pub const RTNH_F_ONLINK: u32 = 0x4;
pub const RTNH_F_OFFLOAD: u32 = 0x8;
pub const RTNH_F_LINKDOWN: u32 = 0x10;
pub const RTNH_F_UNRESOLVED: u32 = 0x20;

// Multicast groups: bits of `nl_groups`, and numbers of `NETLINK_ADD_MEMBERSHIP`.
pub const RTMGRP_LINK: u32 = 0x1;
pub const RTMGRP_NOTIFY: u32 = 0x2;
pub const RTMGRP_NEIGH: u32 = 0x4;
pub const RTMGRP_TC: u32 = 0x8;
pub const RTMGRP_IPV4_IFADDR: u32 = 0x10;
pub const RTMGRP_IPV4_MROUTE: u32 = 0x20;
pub const RTMGRP_IPV4_ROUTE: u32 = 0x40;
pub const RTMGRP_IPV4_RULE: u32 = 0x80;
pub const RTMGRP_IPV6_IFADDR: u32 = 0x100;
pub const RTMGRP_IPV6_MROUTE: u32 = 0x200;
pub const RTMGRP_IPV6_ROUTE: u32 = 0x400;
pub const RTMGRP_IPV6_IFINFO: u32 = 0x800;
pub const RTNLGRP_LINK: u32 = 1;
pub const RTNLGRP_NOTIFY: u32 = 2;
pub const RTNLGRP_NEIGH: u32 = 3;
pub const RTNLGRP_TC: u32 = 4;
pub const RTNLGRP_IPV4_IFADDR: u32 = 5;
pub const RTNLGRP_IPV4_ROUTE: u32 = 7;
pub const RTNLGRP_IPV6_IFADDR: u32 = 9;
pub const RTNLGRP_IPV6_ROUTE: u32 = 11;
// `IFLA_EXT_MASK`.
pub const RTEXT_FILTER_VF: u32 = 0x1;
pub const RTEXT_FILTER_BRVLAN: u32 = 0x2;
pub const RTEXT_FILTER_BRVLAN_COMPRESSED: u32 = 0x4;
pub const RTEXT_FILTER_SKIP_STATS: u32 = 0x8;

// Neighbours.
pub const NDA_DST: u16 = 0x1;
pub const NDA_LLADDR: u16 = 0x2;
pub const NDA_CACHEINFO: u16 = 0x3;
pub const NDA_PROBES: u16 = 0x4;
pub const NUD_INCOMPLETE: u16 = 0x1;
pub const NUD_REACHABLE: u16 = 0x2;
pub const NUD_STALE: u16 = 0x4;
pub const NUD_DELAY: u16 = 0x8;
pub const NUD_PROBE: u16 = 0x10;
pub const NUD_FAILED: u16 = 0x20;
pub const NUD_NOARP: u16 = 0x40;
pub const NUD_PERMANENT: u16 = 0x80;
pub const NUD_NONE: u16 = 0x0;
