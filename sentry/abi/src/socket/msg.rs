//! `sendmsg(2)`, `recvmsg(2)`: messages, control messages, flags.

use crate::pod::{flags, pod};
use serde::{Deserialize, Serialize};

flags! {
    /// `MSG_*`.
    pub struct MsgFlags: u32 {
        const OOB = 0x1;
        const PEEK = 0x2;
        const DONTROUTE = 0x4;
        const CTRUNC = 0x8;
        const PROXY = 0x10;
        const TRUNC = 0x20;
        const DONTWAIT = 0x40;
        const EOR = 0x80;
        const WAITALL = 0x100;
        const FIN = 0x200;
        const SYN = 0x400;
        const CONFIRM = 0x800;
        const RST = 0x1000;
        const ERRQUEUE = 0x2000;
        const NOSIGNAL = 0x4000;
        const MORE = 0x8000;
        const WAITFORONE = 0x10000;
        const BATCH = 0x40000;
        const ZEROCOPY = 0x4000000;
        const FASTOPEN = 0x20000000;
        const CMSG_CLOEXEC = 0x40000000;
        /// `MSG_CMSG_COMPAT`: internal to Linux; refused from user space.
        const CMSG_COMPAT = 0x8000_0000;
    }
}

pod! {
    /// `struct user_msghdr`, 56 bytes.
    pub struct MsgHdr {
        /// Address of the socket address, or 0.
        pub msg_name: u64,
        pub msg_namelen: u32,
        pub _pad0: u32,
        /// Address of the [`Iovec`]s.
        pub msg_iov: u64,
        pub msg_iovlen: u64,
        pub msg_control: u64,
        pub msg_controllen: u64,
        /// Results only: [`MsgFlags`].
        pub msg_flags: u32,
        pub _pad1: u32,
    }

    /// `struct mmsghdr`, 64 bytes.
    pub struct MMsgHdr {
        pub msg_hdr: MsgHdr,
        pub msg_len: u32,
        pub _pad0: u32,
    }

    /// `struct cmsghdr`, 16 bytes; the data follows, padded to a multiple of 8.
    pub struct Cmsghdr {
        /// Header and data, without padding.
        pub cmsg_len: u64,
        pub cmsg_level: i32,
        pub cmsg_type: i32,
    }

    /// `struct iovec`.
    pub struct Iovec {
        pub iov_base: u64,
        pub iov_len: u64,
    }

    /// `struct linger`.
    #[derive(Serialize, Deserialize)]
    pub struct Linger {
        pub l_onoff: i32,
        /// Seconds.
        pub l_linger: i32,
    }

    /// `struct ucred`.
    #[derive(Serialize, Deserialize)]
    pub struct Ucred {
        pub pid: i32,
        pub uid: u32,
        pub gid: u32,
    }

    /// `struct in_pktinfo`.
    pub struct InPktinfo {
        pub ipi_ifindex: i32,
        pub ipi_spec_dst: [u8; 4],
        pub ipi_addr: [u8; 4],
    }

    /// `struct in6_pktinfo`.
    pub struct In6Pktinfo {
        pub ipi6_addr: [u8; 16],
        pub ipi6_ifindex: i32,
    }

    /// `struct sock_extended_err`, 16 bytes.
    pub struct SockExtendedErr {
        pub ee_errno: u32,
        /// `SO_EE_ORIGIN_*`.
        pub ee_origin: u8,
        pub ee_type: u8,
        pub ee_code: u8,
        pub ee_pad: u8,
        pub ee_info: u32,
        pub ee_data: u32,
    }
}

/// The most messages that `sendmmsg(2)` and `recvmmsg(2)` move.
pub const MMSG_MAX: u32 = 1024;
/// The most descriptors of one `SCM_RIGHTS` message.
pub const SCM_MAX_FD: usize = 253;
pub const SCM_RIGHTS: i32 = 1;
pub const SCM_CREDENTIALS: i32 = 2;
pub const SCM_SECURITY: i32 = 3;
pub const SCM_PIDFD: i32 = 4;

pub const SO_EE_ORIGIN_NONE: u8 = 0;
pub const SO_EE_ORIGIN_LOCAL: u8 = 1;
pub const SO_EE_ORIGIN_ICMP: u8 = 2;
pub const SO_EE_ORIGIN_ICMP6: u8 = 3;
pub const SO_EE_ORIGIN_ZEROCOPY: u8 = 5;

/// `CMSG_ALIGN`; `None` where it overflows.
pub const fn cmsg_align(len: usize) -> Option<usize> {
    len.checked_next_multiple_of(8)
}

/// `CMSG_SPACE`: the room that a control message with `len` bytes of data takes.
pub const fn cmsg_space(len: usize) -> usize {
    len.saturating_add(Cmsghdr::SIZE).saturating_add(7) & !7
}

/// `CMSG_LEN`: what `cmsg_len` says of such a message.
pub const fn cmsg_len(len: usize) -> usize {
    len.saturating_add(Cmsghdr::SIZE)
}
