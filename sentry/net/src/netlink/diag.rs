//! `sock_diag(7)`: inet and Unix sockets, as `ss` lists them. Other families give an empty list.

use super::build::{Message, Reply};
use crate::{
    inet::{tcp::TcpSocket, udp::UdpSocket},
    namespace::NetNamespace,
    unix::{UnixName, UnixSocket},
};
use abi::{Errno, socket::*};
use std::{
    net::{IpAddr, SocketAddr},
    sync::atomic::Ordering,
};
use zerocopy::FromBytes;

/// Answers one request.
pub fn answer(ns: &NetNamespace, header: &Nlmsghdr, body: &[u8], reply: &mut Reply) -> Result<(), Errno> {
    if header.nlmsg_type != SOCK_DIAG_BY_FAMILY {
        return Err(Errno::EOPNOTSUPP);
    }
    let family = u16::from(body.first().copied().ok_or(Errno::EINVAL)?);
    if !reply.is_dump() {
        return Err(Errno::ENOENT);
    }
    match family {
        AF_UNIX => return unix(ns, body, reply),
        AF_INET | AF_INET6 => {}
        _ => return Ok(()),
    }
    let (request, _) = InetDiagReqV2::read_from_prefix(body).map_err(|_| Errno::EINVAL)?;
    for socket in ns.sockets() {
        let common = socket.common();
        if common.family != family || common.protocol != i32::from(request.sdiag_protocol) {
            continue;
        }
        let (state, (local, remote), queues) = if let Some(tcp) = socket.as_any().downcast_ref::<TcpSocket>()
        {
            let bytes = || (socket.readable_bytes().unwrap_or(0), socket.unsent_bytes().unwrap_or(0));
            (tcp.tcp_state(), tcp.ends(), tcp.backlog().unwrap_or_else(bytes))
        } else if let Some(udp) = socket.as_any().downcast_ref::<UdpSocket>() {
            let connected = socket.peer_name().is_ok();
            let state = if connected { TcpState::Established } else { TcpState::Close };
            (state, udp.ends(), (udp.used(), 0))
        } else {
            continue;
        };
        if request.idiag_states & (1 << state as u8) == 0 || local.port() == 0 {
            continue;
        }
        let message = InetDiagMsg {
            idiag_family: request.sdiag_family,
            idiag_state: state as u8,
            id: InetDiagSockid {
                idiag_sport: local.port().to_be_bytes(),
                idiag_dport: remote.port().to_be_bytes(),
                idiag_src: octets(family, local),
                idiag_dst: octets(family, remote),
                idiag_if: 0,
                idiag_cookie: [common.cookie as u32, (common.cookie >> 32) as u32],
            },
            idiag_rqueue: queues.0 as u32,
            idiag_wqueue: queues.1 as u32,
            idiag_uid: common.uid.0,
            idiag_inode: common.ino.load(Ordering::Relaxed) as u32,
            ..InetDiagMsg::default()
        };
        reply.push(Message::new(SOCK_DIAG_BY_FAMILY, &message));
    }
    Ok(())
}

/// Unix sockets.
fn unix(ns: &NetNamespace, body: &[u8], reply: &mut Reply) -> Result<(), Errno> {
    let (request, _) = UnixDiagReq::read_from_prefix(body).map_err(|_| Errno::EINVAL)?;
    let show = |bit: u32| request.udiag_show & bit != 0;
    for socket in ns.sockets() {
        let Some(unix) = socket.as_any().downcast_ref::<UnixSocket>() else { continue };
        let (common, diag) = (socket.common(), unix.diag());
        let ino = common.ino.load(Ordering::Relaxed) as u32;
        if request.udiag_states & (1 << diag.state as u8) == 0
            || (request.udiag_ino != 0 && request.udiag_ino != ino)
        {
            continue;
        }
        let fixed = UnixDiagMsg {
            udiag_family: AF_UNIX as u8,
            udiag_type: common.kind.to_raw() as u8,
            udiag_state: diag.state as u8,
            udiag_ino: ino,
            udiag_cookie: [common.cookie as u32, (common.cookie >> 32) as u32],
            ..UnixDiagMsg::default()
        };
        let mut message = Message::new(SOCK_DIAG_BY_FAMILY, &fixed);
        if show(UDIAG_SHOW_NAME) {
            message = match &diag.name {
                Some(UnixName::Path(path)) => message.string(UNIX_DIAG_NAME, path),
                Some(UnixName::Abstract(name)) => {
                    message.attr(UNIX_DIAG_NAME, &[b"\0".as_slice(), name.as_slice()].concat())
                }
                None => message,
            };
        }
        if let Some(peer) = diag.peer_ino.filter(|_| show(UDIAG_SHOW_PEER)) {
            message = message.u32(UNIX_DIAG_PEER, peer as u32);
        }
        if show(UDIAG_SHOW_RQLEN) {
            let (received, sent) = diag.queues;
            let both = [(received as u32).to_ne_bytes(), (sent as u32).to_ne_bytes()];
            message = message.attr(UNIX_DIAG_RQLEN, both.as_flattened());
        }
        if show(UDIAG_SHOW_UID) {
            message = message.u32(UNIX_DIAG_UID, common.uid.0);
        }
        reply.push(message.u8(UNIX_DIAG_SHUTDOWN, diag.shutdown));
    }
    Ok(())
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
