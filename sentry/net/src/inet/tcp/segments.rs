//! What a connection's doings would look like as segments, for those who see packets.
//!
//! Sequence numbers begin at a number of the socket's own and count as TCP's do. Acknowledgements ride on what is sent; there are
//! none by themselves except the one that ends a handshake.

use super::{LOOPBACK_MSS, TcpSocket};
use crate::inet::wire::{self, TCP_ACK, TCP_PSH};
use abi::socket::*;
use std::net::SocketAddr;

/// Where a socket's sequence numbers begin.
fn first_number(socket: &TcpSocket) -> u32 {
    (socket.common.cookie as u32).wrapping_mul(0x9e37_79b1)
}

impl TcpSocket {
    /// Bytes that were sent here so far.
    fn received(&self) -> u32 {
        let queue = self.queue.lock();
        (queue.start as u32).wrapping_add(queue.bytes.len() as u32)
    }

    /// Shows a segment of this socket's to `peer`: its flags, and how many bytes were sent before it (none yet: `None`).
    pub(super) fn show(&self, peer: Option<&TcpSocket>, flags: u8, before: Option<u32>, data: &[u8]) {
        let ns = &self.common.ns;
        if !ns.is_watched() {
            return;
        }
        let (local, remote) = self.ends();
        let seq = first_number(self).wrapping_add(before.map_or(0, |n| n.wrapping_add(1)));
        let ack = match peer {
            Some(peer) if flags & TCP_ACK != 0 => {
                first_number(peer).wrapping_add(1).wrapping_add(self.received())
            }
            _ => 0,
        };
        self.show_segment(local, remote, (seq, ack, flags), data);
    }

    fn show_segment(&self, local: SocketAddr, remote: SocketAddr, numbers: (u32, u32, u8), data: &[u8]) {
        let ns = &self.common.ns;
        let (seq, ack, flags) = numbers;
        let v6 = self.common.family == AF_INET6;
        let (ttl, tos) = match v6 {
            true => ((SOL_IPV6, IPV6_UNICAST_HOPS), (SOL_IPV6, IPV6_TCLASS)),
            false => ((SOL_IP, IP_TTL), (SOL_IP, IP_TOS)),
        };
        let (ttl, tos) = (self.options.get(ttl.0, ttl.1), self.options.get(tos.0, tos.1));
        let header = wire::header(local.ip(), remote.ip(), wire::TCP, ttl, tos);
        let segment = wire::tcp(local, remote, seq, ack, flags, data);
        ns.show(&header.packet(&segment, None));
    }

    /// Shows bytes that were sent to `peer` behind `before` others.
    pub(super) fn show_data(&self, peer: &TcpSocket, before: u32, data: &[u8]) {
        let mut at = before;
        for piece in data.chunks(LOOPBACK_MSS as usize) {
            self.show(Some(peer), TCP_PSH | TCP_ACK, Some(at), piece);
            at = at.wrapping_add(piece.len() as u32);
        }
    }

    /// Shows that the other end, where nobody is, refused a connection.
    pub(super) fn show_refusal(&self) {
        if self.common.ns.is_watched() {
            let (local, remote) = self.ends();
            let ack = first_number(self).wrapping_add(1);
            self.show_segment(remote, local, (0, ack, wire::TCP_RST | TCP_ACK), &[]);
        }
    }

    /// Shows what ends what this socket sends: FIN, or a reset.
    pub(super) fn show_end(&self, peer: &TcpSocket, flags: u8) {
        if self.common.ns.is_watched() {
            self.show(Some(peer), flags | TCP_ACK, Some(peer.received()), &[]);
        }
    }
}
