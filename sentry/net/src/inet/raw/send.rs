//! Putting packets on the loopback.

use super::{RawSocket, SEND};
use crate::{
    inet::{
        addr,
        ancillary::{self, Outgoing},
        wire::{self, Ip},
    },
    message::SendMsg,
};
use abi::{Errno, socket::*};
use std::net::{IpAddr, SocketAddr};

impl RawSocket {
    pub(super) fn do_send(&self, msg: &mut SendMsg<'_, '_>) -> Result<usize, Errno> {
        let len = msg.src.remaining();
        if len > 0xffff {
            return Err(Errno::EMSGSIZE);
        }
        if self.is_ping() && len < wire::SHORT_HEADER {
            return Err(Errno::EINVAL);
        }
        let given = msg.name.map(|name| self.parse(name)).transpose()?;
        self.common.check_error()?;
        if self.is_down(SEND) {
            return Err(Errno::EPIPE);
        }
        let remote = self.state.lock().remote;
        let given = given.or(remote).ok_or(Errno::EDESTADDRREQ)?;
        let (to, source) = ancillary::destination(&self.common, &self.options, given)?;
        let how = Outgoing::of(&self.common, &self.options, msg.control, to.ip().is_multicast())?;
        let bound = self.state.lock().bound_ip.filter(|ip| !ip.is_multicast() && !addr::is_broadcast(*ip));
        let source = how.source.or(bound).unwrap_or(source);
        let mut data = if len == 0 { Vec::new() } else { msg.src.take_vec(len)? };
        if data.len() < len {
            return Err(Errno::EFAULT);
        }
        let packet = if self.includes_header() {
            self.check_header(&mut data, source)?;
            data
        } else {
            let protocol = u8::try_from(self.common.protocol).unwrap_or(u8::MAX);
            let header = wire::header(source, to.ip(), protocol, how.ttl, how.tos);
            self.complete(&header, &mut data)?;
            let whole = data.len() + if to.is_ipv4() { wire::V4_HEADER } else { 0 };
            if whole > 0xffff {
                return Err(Errno::EMSGSIZE);
            }
            header.packet(&data, None)
        };
        self.common.ns.send_packet(packet);
        Ok(len)
    }

    fn parse(&self, name: &[u8]) -> Result<SocketAddr, Errno> {
        if self.common.family == AF_INET {
            let mut name: crate::Address = name.into();
            if addr::family_of(&name)? == AF_UNSPEC {
                name.iter_mut().zip(AF_INET.to_ne_bytes()).for_each(|(b, f)| *b = f);
            }
            return addr::parse(AF_INET, &name);
        }
        let given = addr::parse(AF_INET6, name)?;
        // What is a port elsewhere is the protocol here, if anything.
        let own = self.common.protocol;
        let port = i32::from(given.port());
        if !self.is_ping() && port != 0 && ((port != own && own != IPPROTO_RAW) || port > 255) {
            return Err(Errno::EINVAL);
        }
        if addr::canonical(given.ip()).is_ipv4() {
            return Err(Errno::EINVAL);
        }
        Ok(given)
    }

    fn includes_header(&self) -> bool {
        !self.is_ping()
            && match self.common.family {
                AF_INET6 => self.options.on(SOL_IPV6, IPV6_HDRINCL),
                _ => self.options.on(SOL_IP, IP_HDRINCL),
            }
    }

    /// Fills in what the kernel fills in of a header that the application made; `EINVAL`, `EMSGSIZE`.
    fn check_header(&self, packet: &mut [u8], source: IpAddr) -> Result<(), Errno> {
        let IpAddr::V4(source) = source else {
            return if packet.len() < wire::V6_HEADER { Err(Errno::EINVAL) } else { Ok(()) };
        };
        if packet.len() > self.common.ns.mtu() {
            return Err(Errno::EMSGSIZE);
        }
        let header = packet.first().map_or(0, |b| usize::from(b & 15) * 4);
        if packet.len() < wire::V4_HEADER || header > packet.len() {
            return Err(Errno::EINVAL);
        }
        if header < wire::V4_HEADER {
            return Ok(()); // goes out as it is, and in nowhere
        }
        let len = packet.len() as u16;
        wire::put16(packet, 2, len);
        if wire::be16(packet, 4) == Some(0) {
            wire::put16(packet, 4, self.common.ns.taps.next_id());
        }
        if let Some(place) = packet.get_mut(12..16)
            && *place == [0; 4]
        {
            place.copy_from_slice(&source.octets());
        }
        wire::set_v4_checksum(packet);
        Ok(())
    }

    /// Fills in what the kernel fills in of a payload: checksums, and a ping socket's number.
    fn complete(&self, header: &Ip, data: &mut [u8]) -> Result<(), Errno> {
        if self.is_ping() {
            let request = if header.dst.is_ipv6() { ICMPV6_ECHO_REQUEST } else { ICMP_ECHO };
            if data.first() != Some(&request) || data.get(1) != Some(&0) {
                return Err(Errno::EINVAL);
            }
            let ident = self.identify(0)?;
            wire::put16(data, 4, ident);
            wire::set_icmp_checksum(header.src, header.dst, data);
        } else if header.dst.is_ipv6()
            && let Some(at) = self.state.lock().checksum
        {
            if data.len() < at.saturating_add(2) {
                return Err(Errno::EINVAL);
            }
            wire::put16(data, at, 0);
            let start = wire::pseudo(header.src, header.dst, header.protocol, data.len());
            let checksum = wire::fold(wire::sum(start, data));
            wire::put16(data, at, if checksum == 0 { 0xffff } else { checksum });
        }
        Ok(())
    }
}
