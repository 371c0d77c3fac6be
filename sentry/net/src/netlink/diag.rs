//! `sock_diag(7)`: lists of sockets, as `ss` asks for them.
//!
//! **Absent on purpose:** filters in the form of byte code (all sockets are listed, and `ss` looks at its filter itself),
//! `SOCK_DESTROY` (`EOPNOTSUPP`).

use super::{
    NetlinkSocket,
    build::{Message, Reply, attributes},
};
use crate::{
    caller::Caller,
    common::Common,
    inet::{raw::RawSocket, tcp::TcpSocket, udp::UdpSocket},
    namespace::NetNamespace,
    packet::PacketSocket,
    socket::SocketOps,
    unix::{UnixName, UnixSocket},
};
use abi::{Errno, socket::*};
use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, atomic::Ordering},
};
use zerocopy::{FromBytes, IntoBytes};

/// Answers one request.
pub fn answer(
    ns: &NetNamespace,
    caller: Caller<'_>,
    header: &Nlmsghdr,
    body: &[u8],
    reply: &mut Reply,
) -> Result<(), Errno> {
    if header.nlmsg_type == SOCK_DESTROY {
        return Err(Errno::EOPNOTSUPP);
    }
    if header.nlmsg_type != SOCK_DIAG_BY_FAMILY {
        return Err(Errno::EINVAL);
    }
    let family = u16::from(body.first().copied().ok_or(Errno::EINVAL)?);
    match family {
        AF_INET | AF_INET6 => inet(ns, caller, family, body, reply),
        AF_UNIX => unix(ns, body, reply),
        AF_PACKET => packet(ns, body, reply),
        AF_NETLINK => netlink(ns, body, reply),
        _ if family >= AF_MAX => Err(Errno::EINVAL),
        _ => Err(Errno::ENOENT),
    }
}

fn cookie(common: &Common) -> [u32; 2] {
    [common.cookie as u32, (common.cookie >> 32) as u32]
}

/// Whether a socket is the one that a request names by its cookie, if it does.
fn is_meant(common: &Common, wanted: [u32; 2]) -> bool {
    wanted == [u32::MAX; 2] || wanted == cookie(common)
}

fn inode(common: &Common) -> u32 {
    common.ino.load(Ordering::Relaxed) as u32
}

/// `SK_MEMINFO_*`: in use to receive, its limit, to send, its limit, and what is not told apart here.
fn memory(common: &Common, received: usize) -> [u32; 9] {
    let limits = (common.rcvbuf() as u32, common.sndbuf() as u32);
    [received as u32, limits.0, 0, limits.1, 0, 0, 0, 0, 0]
}

/// What is listed of an inet socket: state, ends, bytes to be received, bytes not sent yet.
fn describe(socket: &Arc<dyn SocketOps>) -> Option<(TcpState, (SocketAddr, SocketAddr), usize, usize)> {
    let connected = |yes| if yes { TcpState::Established } else { TcpState::Close };
    let any = socket.as_any();
    if let Some(tcp) = any.downcast_ref::<TcpSocket>() {
        let (received, unsent) = match tcp.backlog() {
            Some((waiting, most)) => (waiting, most),
            None => (socket.readable_bytes().unwrap_or(0), socket.unsent_bytes().unwrap_or(0)),
        };
        Some((tcp.tcp_state(), tcp.ends(), received, unsent))
    } else if let Some(udp) = any.downcast_ref::<UdpSocket>() {
        Some((connected(socket.peer_name().is_ok()), udp.ends(), udp.used().0, 0))
    } else {
        let raw = any.downcast_ref::<RawSocket>()?;
        let ends = raw.ends();
        Some((connected(!ends.1.ip().is_unspecified()), ends, raw.used().0, 0))
    }
}

fn inet(
    ns: &NetNamespace,
    caller: Caller<'_>,
    family: u16,
    body: &[u8],
    reply: &mut Reply,
) -> Result<(), Errno> {
    let (request, rest) = InetDiagReqV2::read_from_prefix(body).map_err(|_| Errno::EINVAL)?;
    // A protocol that does not fit the header comes as an attribute.
    let protocol = attributes(rest)
        .iter()
        .find(|(kind, _)| *kind == INET_DIAG_REQ_PROTOCOL)
        .and_then(|(_, data)| u32::read_from_prefix(data).ok())
        .map_or(i32::from(request.sdiag_protocol), |(n, _)| n as i32);
    if !matches!(protocol, IPPROTO_TCP | IPPROTO_UDP | IPPROTO_UDPLITE | IPPROTO_RAW) {
        return Err(Errno::ENOENT);
    }
    let mut found = false;
    for socket in ns.sockets() {
        let common = socket.common();
        let raw = common.kind == abi::SockType::Raw;
        if common.family != family || (if raw { IPPROTO_RAW } else { common.protocol }) != protocol {
            continue;
        }
        let Some((state, (local, remote), received, unsent)) = describe(&socket) else { continue };
        let message = InetDiagMsg {
            idiag_family: request.sdiag_family,
            idiag_state: state as u8,
            id: InetDiagSockid {
                idiag_sport: local.port().to_be_bytes(),
                idiag_dport: remote.port().to_be_bytes(),
                idiag_src: octets(family, local),
                idiag_dst: octets(family, remote),
                idiag_if: common.bound_device() as u32,
                idiag_cookie: cookie(common),
            },
            idiag_rqueue: received as u32,
            idiag_wqueue: unsent as u32,
            idiag_uid: common.uid.0,
            idiag_inode: inode(common),
            ..InetDiagMsg::default()
        };
        if reply.is_dump() {
            if request.idiag_states & (1 << state as u8) == 0 || local.port() == 0 {
                continue;
            }
        } else if !is_asked_for(&request.id, &message.id, common) {
            continue;
        }
        found = true;
        reply.push(with_attributes(caller, &request, &message, &socket, received));
        if !reply.is_dump() {
            break;
        }
    }
    if found || reply.is_dump() { Ok(()) } else { Err(Errno::ENOENT) }
}

/// Whether a socket is the one that a request for a single one names.
fn is_asked_for(wanted: &InetDiagSockid, id: &InetDiagSockid, common: &Common) -> bool {
    // Two ends name a connection, one of them a listener too.
    let local =
        wanted.idiag_sport == id.idiag_sport && (wanted.idiag_src == id.idiag_src || id.idiag_src == [0; 16]);
    let remote = id.idiag_dport == [0; 2]
        || (wanted.idiag_dport == id.idiag_dport && wanted.idiag_dst == id.idiag_dst);
    local && remote && is_meant(common, wanted.idiag_cookie)
}

fn with_attributes(
    caller: Caller<'_>,
    request: &InetDiagReqV2,
    message: &InetDiagMsg,
    socket: &Arc<dyn SocketOps>,
    received: usize,
) -> Message {
    let common = socket.common();
    let wants = |kind: u16| request.idiag_ext & (1 << (kind - 1)) != 0;
    let mut m = Message::new(SOCK_DIAG_BY_FAMILY, message).u8(INET_DIAG_SHUTDOWN, socket.shut_down());
    if wants(INET_DIAG_TOS) {
        m = m.u8(INET_DIAG_TOS, 0);
    }
    if common.family == AF_INET6 {
        if wants(INET_DIAG_TCLASS) {
            m = m.u8(INET_DIAG_TCLASS, 0);
        }
        let only = socket.get_option(caller, SOL_IPV6, IPV6_V6ONLY, 4);
        m = m.u8(INET_DIAG_SKV6ONLY, u8::from(only.is_ok_and(|v| v.first() == Some(&1))));
    }
    if wants(INET_DIAG_MEMINFO) {
        let info = InetDiagMeminfo { idiag_rmem: received as u32, ..InetDiagMeminfo::default() };
        m = m.attr(INET_DIAG_MEMINFO, info.as_bytes());
    }
    if wants(INET_DIAG_SKMEMINFO) {
        m = m.attr(INET_DIAG_SKMEMINFO, memory(common, received).as_bytes());
    }
    if common.protocol == IPPROTO_TCP && common.kind == abi::SockType::Stream {
        let option = |name, room| socket.get_option(caller, SOL_TCP, name, room).unwrap_or_default();
        if wants(INET_DIAG_INFO) {
            m = m.attr(INET_DIAG_INFO, &option(TCP_INFO, usize::MAX));
        }
        if wants(INET_DIAG_CONG) {
            let name = option(TCP_CONGESTION, TCP_CA_NAME_MAX);
            m = m.string(INET_DIAG_CONG, name.split(|b| *b == 0).next().unwrap_or_default());
        }
    }
    m
}

fn octets(family: u16, addr: SocketAddr) -> [u8; 16] {
    let mut bytes = [0; 16];
    match addr.ip() {
        IpAddr::V4(ip) if family == AF_INET => {
            bytes.iter_mut().zip(ip.octets()).for_each(|(to, from)| *to = from);
        }
        IpAddr::V4(ip) if ip.is_unspecified() => {}
        IpAddr::V4(ip) => bytes = ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => bytes = ip.octets(),
    }
    bytes
}

fn unix(ns: &NetNamespace, body: &[u8], reply: &mut Reply) -> Result<(), Errno> {
    let (request, _) = UnixDiagReq::read_from_prefix(body).map_err(|_| Errno::EINVAL)?;
    if !reply.is_dump() && request.udiag_ino == 0 {
        return Err(Errno::EINVAL);
    }
    let mut found = false;
    for socket in ns.sockets() {
        let Some(unix) = socket.as_any().downcast_ref::<UnixSocket>() else { continue };
        let common = socket.common();
        let state = unix.diag_state();
        if reply.is_dump() {
            if request.udiag_states & (1 << state as u8) == 0 {
                continue;
            }
        } else if inode(common) != request.udiag_ino {
            continue;
        } else if !is_meant(common, request.udiag_cookie) {
            return Err(Errno::ESTALE);
        }
        found = true;
        reply.push(describe_unix(unix, common, state, request.udiag_show));
    }
    if found || reply.is_dump() { Ok(()) } else { Err(Errno::ENOENT) }
}

fn describe_unix(unix: &UnixSocket, common: &Common, state: TcpState, show: u32) -> Message {
    let message = UnixDiagMsg {
        udiag_family: AF_UNIX as u8,
        udiag_type: common.kind.to_raw() as u8,
        udiag_state: state as u8,
        pad: 0,
        udiag_ino: inode(common),
        udiag_cookie: cookie(common),
    };
    let mut m = Message::new(SOCK_DIAG_BY_FAMILY, &message);
    let details = unix.details();
    if show & UDIAG_SHOW_NAME != 0 {
        match unix.describe().2 {
            Some(UnixName::Path(path)) => m = m.string(UNIX_DIAG_NAME, &path),
            Some(UnixName::Abstract(name)) => m = m.attr(UNIX_DIAG_NAME, &[&[0], name.as_slice()].concat()),
            None => {}
        }
    }
    if show & UDIAG_SHOW_VFS != 0
        && let Some((ino, dev)) = details.bound_to
    {
        m = m.attr(UNIX_DIAG_VFS, [ino as u32, dev as u32].as_bytes());
    }
    if show & UDIAG_SHOW_PEER != 0
        && let Some(peer) = details.peer
    {
        m = m.u32(UNIX_DIAG_PEER, peer as u32);
    }
    if show & UDIAG_SHOW_ICONS != 0 && state == TcpState::Listen {
        let waiting: Vec<u32> = details.waiting.iter().map(|ino| *ino as u32).collect();
        m = m.attr(UNIX_DIAG_ICONS, waiting.as_bytes());
    }
    if show & UDIAG_SHOW_RQLEN != 0 {
        let lengths = [details.queued as u32, details.unsent as u32];
        m = m.attr(UNIX_DIAG_RQLEN, lengths.as_bytes());
    }
    if show & UDIAG_SHOW_MEMINFO != 0 {
        m = m.attr(UNIX_DIAG_MEMINFO, memory(common, 0).as_bytes());
    }
    m = m.u8(UNIX_DIAG_SHUTDOWN, details.shutdown);
    if show & UDIAG_SHOW_UID != 0 {
        m = m.u32(UNIX_DIAG_UID, common.uid.0);
    }
    m
}

fn packet(ns: &NetNamespace, body: &[u8], reply: &mut Reply) -> Result<(), Errno> {
    let (request, _) = OtherDiagReq::read_from_prefix(body).map_err(|_| Errno::EINVAL)?;
    if !reply.is_dump() {
        return Err(Errno::EOPNOTSUPP);
    }
    for socket in ns.sockets() {
        let Some(packet) = socket.as_any().downcast_ref::<PacketSocket>() else { continue };
        let common = socket.common();
        let (protocol, interface, used) = packet.describe();
        let message = PacketDiagMsg {
            pdiag_family: AF_PACKET as u8,
            pdiag_type: common.kind.to_raw() as u8,
            pdiag_num: protocol,
            pdiag_ino: inode(common),
            pdiag_cookie: cookie(common),
        };
        let mut m = Message::new(SOCK_DIAG_BY_FAMILY, &message);
        if request.show & PACKET_SHOW_INFO != 0 {
            let info = PacketDiagInfo { pdi_index: interface as u32, ..PacketDiagInfo::default() };
            m = m.attr(PACKET_DIAG_INFO, info.as_bytes()).u32(PACKET_DIAG_UID, common.uid.0);
        }
        if request.show & PACKET_SHOW_MEMINFO != 0 {
            m = m.attr(PACKET_DIAG_MEMINFO, memory(common, used).as_bytes());
        }
        reply.push(m);
    }
    Ok(())
}

fn netlink(ns: &NetNamespace, body: &[u8], reply: &mut Reply) -> Result<(), Errno> {
    let (request, _) = OtherDiagReq::read_from_prefix(body).map_err(|_| Errno::EINVAL)?;
    if !reply.is_dump() {
        return Err(Errno::EOPNOTSUPP);
    }
    for socket in ns.sockets() {
        let Some(nl) = socket.as_any().downcast_ref::<NetlinkSocket>() else { continue };
        let common = socket.common();
        let all = request.sdiag_protocol == NDIAG_PROTO_ALL;
        if !all && common.protocol != i32::from(request.sdiag_protocol) {
            continue;
        }
        let (port, groups, used) = nl.describe();
        let message = NetlinkDiagMsg {
            ndiag_family: AF_NETLINK as u8,
            ndiag_type: common.kind.to_raw() as u8,
            ndiag_protocol: common.protocol as u8,
            ndiag_state: 0,
            ndiag_portid: port,
            ndiag_ino: inode(common),
            ndiag_cookie: cookie(common),
            ..NetlinkDiagMsg::default()
        };
        let mut m = Message::new(SOCK_DIAG_BY_FAMILY, &message);
        if request.show & NDIAG_SHOW_MEMINFO != 0 {
            m = m.attr(NETLINK_DIAG_MEMINFO, memory(common, used).as_bytes());
        }
        if request.show & NDIAG_SHOW_GROUPS != 0 {
            m = m.attr(NETLINK_DIAG_GROUPS, u64::from(groups).as_bytes());
        }
        reply.push(m);
    }
    Ok(())
}
