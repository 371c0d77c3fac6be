//! `sock_diag(7)`: inet sockets, as `ss` lists them. Unix and other families give an empty list.

use super::build::{Message, Reply};
use crate::{
    inet::{tcp::TcpSocket, udp::UdpSocket},
    namespace::NetNamespace,
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
    if !matches!(family, AF_INET | AF_INET6) {
        return Ok(());
    }
    let (request, _) = InetDiagReqV2::read_from_prefix(body).map_err(|_| Errno::EINVAL)?;
    for socket in ns.sockets() {
        let common = socket.common();
        if common.family != family || common.protocol != i32::from(request.sdiag_protocol) {
            continue;
        }
        let (state, (local, remote), queue) = if let Some(tcp) = socket.as_any().downcast_ref::<TcpSocket>() {
            (tcp.tcp_state(), tcp.ends(), socket.readable_bytes().unwrap_or(0))
        } else if let Some(udp) = socket.as_any().downcast_ref::<UdpSocket>() {
            let connected = socket.peer_name().is_ok();
            let state = if connected { TcpState::Established } else { TcpState::Close };
            (state, udp.ends(), udp.used())
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
            idiag_rqueue: queue as u32,
            idiag_uid: common.uid.0,
            idiag_inode: common.ino.load(Ordering::Relaxed) as u32,
            ..InetDiagMsg::default()
        };
        reply.push(Message::new(SOCK_DIAG_BY_FAMILY, &message));
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
