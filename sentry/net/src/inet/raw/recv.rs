//! Which packets a raw socket sees, and receiving them.

use super::{OVERHEAD, Packet, RECEIVE, RawSocket};
use crate::{
    filter,
    inet::{
        addr,
        ancillary::{self, Arrival},
        errors::Report,
        wire::{self, Ip},
    },
    message::RecvMsg,
};
use abi::{Errno, socket::*, time::Timespec};
use ksync::Ready;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

impl RawSocket {
    /// Offers a packet that goes over the loopback. Whether it was of interest.
    pub(crate) fn offer(&self, ip: &Ip, packet: &Arc<[u8]>, at: Timespec) -> bool {
        if self.is_ping() || !self.wants(ip) {
            return false;
        }
        let payload = ip.payload(packet);
        if self.is_filtered(ip, payload) || !self.has_right_checksum(ip, payload) {
            return true;
        }
        let data = match ip.dst {
            IpAddr::V4(_) => packet.clone(),
            IpAddr::V6(_) => payload.into(),
        };
        self.queue_packet(ip, data, at);
        true
    }

    /// Gives a ping socket an echo reply.
    pub(crate) fn offer_reply(&self, ip: &Ip, message: &[u8], at: Timespec) {
        let ident = self.state.lock().ident;
        let right_protocol = matches!(
            (self.common.protocol, ip.dst.is_ipv6()),
            (IPPROTO_ICMP, false) | (IPPROTO_ICMPV6, true)
        );
        if self.is_ping() && right_protocol && ident != 0 && wire::be16(message, 4) == Some(ident) {
            self.queue_packet(ip, message.into(), at);
        }
    }

    /// Whether a packet between these ends is for it, by protocol and addresses.
    fn wants(&self, ip: &Ip) -> bool {
        if i32::from(ip.protocol) != self.common.protocol
            || ip.dst.is_ipv6() != (self.common.family == AF_INET6)
        {
            return false;
        }
        let state = self.state.lock();
        let local = state.bound_ip.or(state.connected_from);
        local.is_none_or(|l| l == ip.dst) && state.remote.is_none_or(|r| r.ip() == ip.src)
    }

    fn is_filtered(&self, ip: &Ip, payload: &[u8]) -> bool {
        let Some(kind) = payload.first().copied() else { return false };
        match ip.protocol {
            // Only the first 32 types of IPv4's can be kept out.
            wire::ICMP | wire::ICMPV6 if ip.dst.is_ipv6() || kind < 32 => {
                let filter = self.filter.lock();
                filter.get(usize::from(kind / 32)).is_some_and(|word| word >> (kind % 32) & 1 != 0)
            }
            _ => false,
        }
    }

    fn has_right_checksum(&self, ip: &Ip, payload: &[u8]) -> bool {
        if ip.dst.is_ipv4() || self.state.lock().checksum.is_none() {
            return true;
        }
        wire::fold(wire::sum(wire::pseudo(ip.src, ip.dst, ip.protocol, payload.len()), payload)) == 0
    }

    fn queue_packet(&self, ip: &Ip, mut data: Arc<[u8]>, at: Timespec) {
        let protocol = if ip.dst.is_ipv6() { ETH_P_IPV6 } else { ETH_P_IP };
        let seen = filter::Packet { bytes: &data, network: 0, protocol, kind: PACKET_HOST };
        match self.common.filter.kept(&seen) {
            Some(kept) if kept < data.len() => data = data.get(..kept).unwrap_or_default().into(),
            Some(_) => {}
            None => return,
        }
        let size = data.len() + OVERHEAD;
        {
            let mut queue = self.queue.lock();
            if self.is_down(RECEIVE) {
                return;
            }
            if queue.used + size > self.common.rcvbuf().max(size) {
                queue.drops += 1;
                return;
            }
            queue.used += size;
            let arrival = Arrival {
                to: SocketAddr::new(ip.dst, 0),
                ttl: i32::from(ip.ttl),
                tos: i32::from(ip.tos),
                at,
            };
            queue.packets.push_back(Packet { data, from: ip.src, arrival });
        }
        self.common.queue.notify(Ready::IN | Ready::RDNORM);
    }

    pub(super) fn do_recv(&self, msg: &mut RecvMsg<'_, '_>) -> Result<usize, Errno> {
        self.common.check_error()?;
        let mut queue = self.queue.lock();
        let Some(packet) = queue.packets.front() else {
            return if self.is_down(RECEIVE) { Ok(0) } else { Err(Errno::EAGAIN) };
        };
        let n = msg.put_datagram(&packet.data)?;
        if msg.wants_name {
            msg.name = Some(addr::encode(self.common.family, SocketAddr::new(packet.from, 0)));
        }
        ancillary::put_control(&self.common, &self.options, &packet.arrival, msg);
        if !msg.peek() {
            queue.used -= packet.data.len() + OVERHEAD;
            queue.packets.pop_front();
        }
        Ok(n)
    }

    /// An ICMP error about a packet that may have been sent from here: `ip` is its header, turned around.
    pub(crate) fn offer_error(&self, original: &Ip, payload: &[u8], mut report: Report) {
        let concerns = match self.is_ping() {
            true => {
                i32::from(original.protocol) == self.common.protocol
                    && wire::be16(payload, 4).is_some_and(|n| n == self.state.lock().ident)
            }
            false => {
                let back = Ip { src: original.dst, dst: original.src, ..*original };
                self.wants(&back)
            }
        };
        if !concerns {
            return;
        }
        report.data = payload.to_vec();
        let connected = self.state.lock().remote.is_some();
        self.errors.report(&self.common, &self.options, connected, report);
    }
}
