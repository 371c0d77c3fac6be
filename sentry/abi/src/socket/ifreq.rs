//! Interfaces: flags, hardware types, and the `ioctl(2)` requests of sockets.

use crate::pod::{flags, pod};

/// Bytes of an interface's name, with its zero.
pub const IFNAMSIZ: usize = 16;

flags! {
    /// `IFF_*`.
    pub struct IffFlags: u32 {
        const UP = 0x1;
        const BROADCAST = 0x2;
        const DEBUG = 0x4;
        const LOOPBACK = 0x8;
        const POINTOPOINT = 0x10;
        const NOTRAILERS = 0x20;
        const RUNNING = 0x40;
        const NOARP = 0x80;
        const PROMISC = 0x100;
        const ALLMULTI = 0x200;
        const MASTER = 0x400;
        const SLAVE = 0x800;
        const MULTICAST = 0x1000;
        const PORTSEL = 0x2000;
        const AUTOMEDIA = 0x4000;
        const DYNAMIC = 0x8000;
        const LOWER_UP = 0x10000;
        const DORMANT = 0x20000;
        const ECHO = 0x40000;
    }
}

// Hardware types.
pub const ARPHRD_ETHER: u16 = 1;
pub const ARPHRD_LOOPBACK: u16 = 772;
pub const ARPHRD_NONE: u16 = 65534;
pub const ARPHRD_VOID: u16 = 65535;
pub const ARPHRD_TUNNEL: u16 = 768;
pub const ARPHRD_TUNNEL6: u16 = 769;
pub const ARPHRD_SIT: u16 = 776;
pub const ARPHRD_PPP: u16 = 512;

pub const FIOSETOWN: u32 = 0x8901;
pub const SIOCSPGRP: u32 = 0x8902;
pub const FIOGETOWN: u32 = 0x8903;
pub const SIOCGPGRP: u32 = 0x8904;
pub const SIOCATMARK: u32 = 0x8905;
pub const SIOCGSTAMP_OLD: u32 = 0x8906;
pub const SIOCGSTAMPNS_OLD: u32 = 0x8907;
pub const SIOCADDRT: u32 = 0x890b;
pub const SIOCDELRT: u32 = 0x890c;
pub const SIOCRTMSG: u32 = 0x890d;
pub const SIOCGIFNAME: u32 = 0x8910;
pub const SIOCSIFLINK: u32 = 0x8911;
pub const SIOCGIFCONF: u32 = 0x8912;
pub const SIOCGIFFLAGS: u32 = 0x8913;
pub const SIOCSIFFLAGS: u32 = 0x8914;
pub const SIOCGIFADDR: u32 = 0x8915;
pub const SIOCSIFADDR: u32 = 0x8916;
pub const SIOCGIFDSTADDR: u32 = 0x8917;
pub const SIOCSIFDSTADDR: u32 = 0x8918;
pub const SIOCGIFBRDADDR: u32 = 0x8919;
pub const SIOCSIFBRDADDR: u32 = 0x891a;
pub const SIOCGIFNETMASK: u32 = 0x891b;
pub const SIOCSIFNETMASK: u32 = 0x891c;
pub const SIOCGIFMETRIC: u32 = 0x891d;
pub const SIOCSIFMETRIC: u32 = 0x891e;
pub const SIOCGIFMEM: u32 = 0x891f;
pub const SIOCSIFMEM: u32 = 0x8920;
pub const SIOCGIFMTU: u32 = 0x8921;
pub const SIOCSIFMTU: u32 = 0x8922;
pub const SIOCSIFNAME: u32 = 0x8923;
pub const SIOCSIFHWADDR: u32 = 0x8924;
pub const SIOCGIFENCAP: u32 = 0x8925;
pub const SIOCSIFENCAP: u32 = 0x8926;
pub const SIOCGIFHWADDR: u32 = 0x8927;
pub const SIOCGIFSLAVE: u32 = 0x8929;
pub const SIOCSIFSLAVE: u32 = 0x8930;
pub const SIOCADDMULTI: u32 = 0x8931;
pub const SIOCDELMULTI: u32 = 0x8932;
pub const SIOCGIFINDEX: u32 = 0x8933;
pub const SIOCSIFPFLAGS: u32 = 0x8934;
pub const SIOCGIFPFLAGS: u32 = 0x8935;
pub const SIOCDIFADDR: u32 = 0x8936;
pub const SIOCSIFHWBROADCAST: u32 = 0x8937;
pub const SIOCGIFCOUNT: u32 = 0x8938;
pub const SIOCGIFBR: u32 = 0x8940;
pub const SIOCSIFBR: u32 = 0x8941;
pub const SIOCGIFTXQLEN: u32 = 0x8942;
pub const SIOCSIFTXQLEN: u32 = 0x8943;
pub const SIOCETHTOOL: u32 = 0x8946;
pub const SIOCGMIIPHY: u32 = 0x8947;
pub const SIOCGMIIREG: u32 = 0x8948;
pub const SIOCSMIIREG: u32 = 0x8949;
pub const SIOCDARP: u32 = 0x8953;
pub const SIOCGARP: u32 = 0x8954;
pub const SIOCSARP: u32 = 0x8955;
pub const SIOCGIFMAP: u32 = 0x8970;
pub const SIOCSIFMAP: u32 = 0x8971;
pub const SIOCGSKNS: u32 = 0x894c;
pub const SIOCGIFVLAN: u32 = 0x8982;
pub const SIOCSIFVLAN: u32 = 0x8983;
pub const SIOCSHWTSTAMP: u32 = 0x89b0;
pub const SIOCGHWTSTAMP: u32 = 0x89b1;
pub const SIOCDEVPRIVATE: u32 = 0x89f0;
pub const SIOCPROTOPRIVATE: u32 = 0x89e0;
/// Bytes that are ready to be read.
pub const SIOCINQ: u32 = crate::ioctl::FIONREAD;
/// Bytes that have not been sent, or not been acknowledged.
pub const SIOCOUTQ: u32 = crate::ioctl::TIOCOUTQ;
/// Bytes that have not been sent.
pub const SIOCOUTQNSD: u32 = 0x894b;
/// A descriptor of a Unix socket's file.
pub const SIOCUNIXFILE: u32 = 0x89e0;

pod! {
    /// `struct ifreq`, 40 bytes: a name and a union.
    pub struct Ifreq {
        pub ifr_name: [u8; IFNAMSIZ],
        /// A socket address, an `int`, a `short` or another name, from the first byte on.
        pub ifr_data: [u8; 24],
    }

    /// `struct ifconf`.
    pub struct Ifconf {
        /// Bytes of the buffer, then bytes used.
        pub ifc_len: i32,
        pub _pad: u32,
        /// Address of the buffer; 0 asks for the size.
        pub ifc_buf: u64,
    }
}

impl Ifreq {
    /// The name up to its zero.
    pub fn name(&self) -> &[u8] {
        self.ifr_name.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// The union's first four bytes, as an `int`.
    pub const fn int(&self) -> i32 {
        let [a, b, c, d, ..] = self.ifr_data;
        i32::from_le_bytes([a, b, c, d])
    }

    /// Sets the union's first four bytes; the rest stays.
    pub const fn set_int(&mut self, value: i32) {
        let [a, b, c, d] = value.to_le_bytes();
        self.ifr_data[0] = a;
        self.ifr_data[1] = b;
        self.ifr_data[2] = c;
        self.ifr_data[3] = d;
    }

    /// The union's first two bytes, as a `short`: interface flags.
    pub const fn short(&self) -> u16 {
        let [a, b, ..] = self.ifr_data;
        u16::from_le_bytes([a, b])
    }

    /// Sets the union's first two bytes; the rest stays.
    pub const fn set_short(&mut self, value: u16) {
        let [a, b] = value.to_le_bytes();
        self.ifr_data[0] = a;
        self.ifr_data[1] = b;
    }
}
