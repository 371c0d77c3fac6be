//! What `/proc/net` shows.

use crate::{
    common::Common,
    inet::{raw::RawSocket, tcp::TcpSocket, udp::UdpSocket},
    namespace::NetNamespace,
    netlink::NetlinkSocket,
    packet::PacketSocket,
    socket::SocketOps,
    unix::{UnixName, UnixSocket},
};
use abi::{
    SockType,
    socket::{AF_INET, AF_INET6, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_UDPLITE, TcpState},
};
use std::{
    fmt::Write,
    net::{IpAddr, SocketAddr},
    sync::{Arc, atomic::Ordering},
};

/// The names that [`render`] knows.
pub const NAMES: &[&str] = &[
    "arp",
    "dev",
    "dev_mcast",
    "icmp",
    "icmp6",
    "if_inet6",
    "igmp",
    "ipv6_route",
    "netlink",
    "netstat",
    "packet",
    "protocols",
    "ptype",
    "raw",
    "raw6",
    "route",
    "snmp",
    "snmp6",
    "sockstat",
    "sockstat6",
    "softnet_stat",
    "tcp",
    "tcp6",
    "udp",
    "udp6",
    "udplite",
    "udplite6",
    "unix",
    "wireless",
];

const INET_HEADER: &str =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
const INET6_HEADER: &str = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
const DATAGRAM_HEADER: &str = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops             ";

/// The file `name` of `/proc/net`; `None` if there is none.
pub fn render(ns: &NetNamespace, name: &str) -> Option<String> {
    Some(match name {
        "unix" => unix(ns),
        "tcp" => inet(ns, AF_INET, Listed::Tcp, &format!("{INET_HEADER:<149}\n")),
        "tcp6" => inet(ns, AF_INET6, Listed::Tcp, &format!("{INET6_HEADER}\n")),
        "udp" => inet(ns, AF_INET, Listed::Udp, &format!("{DATAGRAM_HEADER}\n")),
        "udp6" => inet(ns, AF_INET6, Listed::Udp, &format!("{INET6_HEADER} ref pointer drops\n")),
        "udplite" => inet(ns, AF_INET, Listed::UdpLite, &format!("{DATAGRAM_HEADER}\n")),
        "udplite6" => inet(ns, AF_INET6, Listed::UdpLite, &format!("{INET6_HEADER} ref pointer drops\n")),
        "raw" => inet(ns, AF_INET, Listed::Raw, &format!("{INET_HEADER} ref pointer drops\n")),
        "raw6" => inet(ns, AF_INET6, Listed::Raw, &format!("{INET6_HEADER} ref pointer drops\n")),
        "icmp" => inet(ns, AF_INET, Listed::Ping, &format!("{DATAGRAM_HEADER}\n")),
        "icmp6" => inet(ns, AF_INET6, Listed::Ping, &format!("{INET6_HEADER} ref pointer drops\n")),
        "dev" => dev(ns),
        "route" => format!("{:<127}\n", "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"),
        "if_inet6" if ns.loopback.is_up() => "00000000000000000000000000000001 01 80 10 80       lo\n".into(),
        "if_inet6" => String::new(),
        "ipv6_route" => ipv6_route(ns),
        "netlink" => netlink(ns),
        "packet" => packet(ns),
        "sockstat" => sockstat(ns),
        "sockstat6" => sockstat6(ns),
        "snmp" => snmp(),
        "snmp6" => String::from("Ip6InReceives                   \t0\nIp6OutRequests                  \t0\n"),
        "netstat" => "TcpExt: SyncookiesSent SyncookiesRecv SyncookiesFailed ListenOverflows ListenDrops\nTcpExt: 0 0 0 0 0\nIpExt: InNoRoutes InTruncatedPkts InOctets OutOctets\nIpExt: 0 0 0 0\n".into(),
        "arp" => "IP address       HW type     Flags       HW address            Mask     Device\n".into(),
        "protocols" => "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re bi br ha uh gp em\n".into(),
        "ptype" => "Type Device      Function\n0800          ip_rcv\n86dd          ipv6_rcv\n".into(),
        "igmp" => "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n".into(),
        "softnet_stat" => "00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000\n".into(),
        "wireless" => "Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE\n face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22\n".into(),
        "dev_mcast" => String::new(),
        _ => return None,
    })
}

fn ino(socket: &Arc<dyn SocketOps>) -> u64 {
    socket.common().ino.load(Ordering::Relaxed)
}

fn unix(ns: &NetNamespace) -> String {
    let mut text = String::from("Num       RefCount Protocol Flags    Type St Inode Path\n");
    for socket in ns.sockets() {
        let Some(unix) = socket.as_any().downcast_ref::<UnixSocket>() else { continue };
        let (state, flags, name) = unix.describe();
        let (ino, kind) = (ino(&socket), socket.common().kind.to_raw());
        let _ = write!(text, "{:016x}: {:08X} {:08X} {flags:08X} {kind:04X} {state:02X} {ino:5}", 0, 2, 0);
        match name {
            Some(UnixName::Path(path)) => {
                let _ = write!(text, " {}", String::from_utf8_lossy(&path));
            }
            Some(UnixName::Abstract(name)) => {
                let shown: String = name.iter().map(|b| if *b == 0 { '@' } else { char::from(*b) }).collect();
                let _ = write!(text, " @{shown}");
            }
            None => {}
        }
        text.push('\n');
    }
    text
}

/// An address as the files show it: each 32 bits as a number of the machine.
fn hex(family: u16, addr: SocketAddr) -> String {
    let words = |bytes: &[u8]| -> String {
        bytes
            .chunks_exact(4)
            .map(|c| format!("{:08X}", u32::from_ne_bytes(c.try_into().unwrap_or_default())))
            .collect()
    };
    let ip = match (family, addr.ip()) {
        (AF_INET6, IpAddr::V4(ip)) if ip.is_unspecified() => words(&[0; 16]),
        (AF_INET6, IpAddr::V4(ip)) => words(&ip.to_ipv6_mapped().octets()),
        (_, IpAddr::V4(ip)) => words(&ip.octets()),
        (_, IpAddr::V6(ip)) => words(&ip.octets()),
    };
    format!("{ip}:{:04X}", addr.port())
}

/// What a file about inet sockets lists.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listed {
    Tcp,
    Udp,
    UdpLite,
    Raw,
    Ping,
}

impl Listed {
    /// Whether a socket, of one of the two families, is one of these.
    fn has(self, common: &Common) -> bool {
        let kind = match (common.kind, common.protocol) {
            (SockType::Raw, _) => Self::Raw,
            (SockType::Stream, _) => Self::Tcp,
            (_, IPPROTO_ICMP | IPPROTO_ICMPV6) => Self::Ping,
            (_, IPPROTO_UDPLITE) => Self::UdpLite,
            _ => Self::Udp,
        };
        kind == self
    }
}

fn packet(ns: &NetNamespace) -> String {
    let mut text = String::from("sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n");
    for socket in ns.sockets() {
        let Some(packet) = socket.as_any().downcast_ref::<PacketSocket>() else { continue };
        let (protocol, interface, used) = packet.describe();
        let common = socket.common();
        let (kind, uid, running) = (common.kind.to_raw(), common.uid.0, u8::from(protocol != 0));
        let _ = writeln!(
            text,
            "{:016x} {:<6} {kind:<4} {protocol:04x}   {interface:<5} {running:1} {used:<6} {uid:<6} {:<6}",
            0,
            2,
            ino(&socket)
        );
    }
    text
}

/// What all files about inet sockets show of one; `queues` are bytes to be sent and to be received.
fn inet_row(
    socket: &Arc<dyn SocketOps>,
    state: TcpState,
    ends: (SocketAddr, SocketAddr),
    queues: (usize, usize),
) -> String {
    let common = socket.common();
    let (local, remote) = (hex(common.family, ends.0), hex(common.family, ends.1));
    let (uid, ino, state) = (common.uid.0, ino(socket), state as u8);
    let (unsent, waiting) = queues;
    format!(
        "{local} {remote} {state:02X} {unsent:08X}:{waiting:08X} 00:00000000 00000000 {uid:5}        0 {ino}"
    )
}

fn inet(ns: &NetNamespace, family: u16, listed: Listed, header: &str) -> String {
    let mut text = header.to_owned();
    let mut line = 0;
    for socket in ns.sockets() {
        let common = socket.common();
        if common.family != family || !listed.has(common) {
            continue;
        }
        let connected = |yes| if yes { TcpState::Established } else { TcpState::Close };
        let any = socket.as_any();
        let (state, ends, queues, drops) = if let Some(tcp) = any.downcast_ref::<TcpSocket>() {
            let waiting = match tcp.backlog() {
                Some((waiting, _)) => waiting,
                None => socket.readable_bytes().unwrap_or(0),
            };
            (tcp.tcp_state(), tcp.ends(), (socket.unsent_bytes().unwrap_or(0), waiting), 0)
        } else if let Some(udp) = any.downcast_ref::<UdpSocket>() {
            let (used, drops) = udp.used();
            (connected(socket.peer_name().is_ok()), udp.ends(), (0, used), drops)
        } else if let Some(raw) = any.downcast_ref::<RawSocket>() {
            let ((used, drops), ends) = (raw.used(), raw.ends());
            (connected(!ends.1.ip().is_unspecified()), ends, (0, used), drops)
        } else {
            continue;
        };
        if ends.0.port() == 0 {
            continue; // Linux lists what is bound
        }
        let start = inet_row(&socket, state, ends, queues);
        let _ = match listed {
            Listed::Tcp => {
                let row = format!("{line:4}: {start} 1 0000000000000000 100 0 0 10 0");
                writeln!(text, "{row:<149}")
            }
            Listed::Raw => {
                let number = ends.0.port();
                writeln!(text, "{number:4}: {start} 2 0000000000000000 {drops}")
            }
            _ => writeln!(text, "{line:5}: {start} 2 0000000000000000 {drops}"),
        };
        line += 1;
    }
    text
}

fn dev(ns: &NetNamespace) -> String {
    let lo = &ns.loopback;
    let (bytes, packets) = (lo.bytes.load(Ordering::Relaxed), lo.packets.load(Ordering::Relaxed));
    format!(
        "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    lo: {bytes:7} {packets:7}    0    0    0     0          0         0 {bytes:8} {packets:7}    0    0    0     0       0          0\n"
    )
}

fn ipv6_route(ns: &NetNamespace) -> String {
    const NOWHERE: &str = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n";
    const HOST: &str = "00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 80200001       lo\n";
    if ns.loopback.is_up() { [NOWHERE, HOST, NOWHERE].concat() } else { NOWHERE.repeat(2) }
}

fn netlink(ns: &NetNamespace) -> String {
    let mut text = String::from(
        "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n",
    );
    for socket in ns.sockets() {
        let Some(nl) = socket.as_any().downcast_ref::<NetlinkSocket>() else { continue };
        let (port, groups, used) = nl.describe();
        let (protocol, ino) = (socket.common().protocol, ino(&socket));
        let _ = writeln!(
            text,
            "{:016x} {protocol:<3} {port:<10} {groups:08x} {used:<8} {:<8} {:<5} {:<8} {:<8} {ino:<8}",
            0, 0, 0, 2, 0
        );
    }
    text
}

/// How many sockets there are in all, of TCP, of UDP, of UDP-Lite and raw ones.
fn counts(ns: &NetNamespace, family: u16) -> (usize, [usize; 4]) {
    let all = ns.sockets();
    let of =
        |listed: Listed| all.iter().filter(|s| s.common().family == family && listed.has(s.common())).count();
    (all.len(), [Listed::Tcp, Listed::Udp, Listed::UdpLite, Listed::Raw].map(of))
}

fn sockstat(ns: &NetNamespace) -> String {
    let (all, [tcp, udp, lite, raw]) = counts(ns, AF_INET);
    format!(
        "sockets: used {all}\nTCP: inuse {tcp} orphan 0 tw 0 alloc {tcp} mem 0\nUDP: inuse {udp} mem 0\nUDPLITE: inuse {lite}\nRAW: inuse {raw}\nFRAG: inuse 0 memory 0\n"
    )
}

fn sockstat6(ns: &NetNamespace) -> String {
    let (_, [tcp, udp, lite, raw]) = counts(ns, AF_INET6);
    format!(
        "TCP6: inuse {tcp}\nUDP6: inuse {udp}\nUDPLITE6: inuse {lite}\nRAW6: inuse {raw}\nFRAG6: inuse 0 memory 0\n"
    )
}

/// Counters of packets, of which there are none.
fn snmp() -> String {
    let group = |name: &str, fields: &str, values: &str| format!("{name}: {fields}\n{name}: {values}\n");
    let zeros = |fields: &str| vec!["0"; fields.split(' ').count()].join(" ");
    let ip = "InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates OutTransmits";
    let icmp = "InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs InRedirects InEchos InEchoReps InTimestamps InTimestampReps InAddrMasks InAddrMaskReps OutMsgs OutErrors OutRateLimitGlobal OutRateLimitHost OutDestUnreachs OutTimeExcds OutParmProbs OutSrcQuenchs OutRedirects OutEchos OutEchoReps OutTimestamps OutTimestampReps OutAddrMasks OutAddrMaskReps";
    let tcp = "ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors";
    let udp = "InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors";
    [
        group("Ip", &format!("Forwarding DefaultTTL {ip}"), &format!("1 64 {}", zeros(ip))),
        group("Icmp", icmp, &zeros(icmp)),
        group(
            "Tcp",
            &format!("RtoAlgorithm RtoMin RtoMax MaxConn {tcp}"),
            &format!("1 200 120000 -1 {}", zeros(tcp)),
        ),
        group("Udp", udp, &zeros(udp)),
        group("UdpLite", udp, &zeros(udp)),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{caller, namespace};

    #[test]
    fn every_name_has_a_file_and_sockets_are_listed() {
        let ns = namespace();
        assert!(NAMES.iter().all(|n| render(&ns, n).is_some()));
        let tcp = crate::create::socket(&ns, caller(), 2, SockType::Stream, 0).unwrap();
        assert_eq!(render(&ns, "tcp").unwrap().lines().count(), 1);
        tcp.listen(caller(), 1).unwrap();
        let text = render(&ns, "tcp").unwrap();
        let row = text.lines().nth(1).unwrap();
        assert!(row.starts_with("   0: 00000000:") && row.contains(" 00000000:0000 0A "), "{row}");
        assert_eq!(row.len(), 149);
    }
}
