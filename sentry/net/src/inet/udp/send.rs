//! Sending datagrams: where to, with what header, and into whose queue.

use super::{Datagram, MAX_DATAGRAM, SEND, UdpSocket};
use crate::{
    common::Flags,
    inet::{
        addr,
        ancillary::{self, Arrival, Outgoing},
        errors::Report,
        ports::Ports,
        stack,
        wire::{self, Ip},
    },
    message::{Address, SendMsg},
};
use abi::{Errno, socket::*};
use std::{net::SocketAddr, sync::Arc};

/// Bytes of a datagram that an ICMP error quotes: an IPv4 packet of 576 bytes without its headers and the datagram's.
const QUOTED: usize = 520;

impl UdpSocket {
    /// Sends a datagram, or holds it back.
    pub(super) fn do_send(&self, msg: &mut SendMsg<'_, '_>) -> Result<usize, Errno> {
        let len = msg.src.remaining();
        if len > 0xffff {
            return Err(Errno::EMSGSIZE);
        }
        let given = match msg.name {
            Some(name) if addr::family_of(name)? == AF_UNSPEC && self.common.family == AF_INET => {
                let mut name: Address = name.into();
                name.iter_mut().zip(AF_INET.to_ne_bytes()).for_each(|(b, f)| *b = f);
                Some(addr::parse(AF_INET, &name)?)
            }
            // An IPv6 socket takes IPv4 addresses to send to as well.
            Some(name) if addr::family_of(name)? == AF_INET && !self.v6_only() => {
                Some(addr::parse(AF_INET, name)?)
            }
            Some(name) => Some(addr::parse(self.common.family, name)?),
            None => None,
        };
        self.common.check_error()?;
        if self.is_down(SEND) {
            return Err(Errno::EPIPE);
        }
        let connected = self.state.lock().remote;
        let (to, source) = match given {
            Some(given) if given.port() == 0 => return Err(Errno::EINVAL),
            Some(given) => ancillary::destination(&self.common, &self.options, given)?,
            None => {
                let remote = connected.ok_or(Errno::EDESTADDRREQ)?;
                let (_, source) = ancillary::destination(&self.common, &self.options, remote)?;
                (remote, source)
            }
        };
        self.autobind()?;
        let how = Outgoing::of(&self.common, &self.options, msg.control, to.ip().is_multicast())?;
        let mut data = if len == 0 { Vec::new() } else { msg.src.take_vec(len)? };
        if data.len() < len {
            return Err(Errno::EFAULT);
        }
        let local = self.ends().0;
        let source = how.source.unwrap_or(if local.ip().is_unspecified() { source } else { local.ip() });
        let from = SocketAddr::new(source, local.port());
        let more = msg.flags.contains(MsgFlags::MORE) || self.options.on(SOL_UDP, UDP_CORK);
        {
            let mut state = self.state.lock();
            if let Some((_, mut earlier)) = state.corked.take() {
                earlier.append(&mut data);
                data = earlier;
            }
            if data.len() > MAX_DATAGRAM && how.segment == 0 {
                return Err(Errno::EMSGSIZE);
            }
            if more {
                state.corked = Some((to, data));
                return Ok(len);
            }
        }
        self.deliver(from, to, data, &how)?;
        Ok(len)
    }

    fn deliver(&self, from: SocketAddr, to: SocketAddr, data: Vec<u8>, how: &Outgoing) -> Result<(), Errno> {
        let segment = if data.len() > how.segment { how.segment } else { 0 };
        if segment != 0 && data.len().div_ceil(segment) > 128 {
            return Err(Errno::EINVAL);
        }
        let ns = &self.common.ns;
        let pieces = if segment == 0 { 1 } else { data.len().div_ceil(segment) };
        for piece in 0..pieces {
            let start = piece * segment;
            let end = if segment == 0 { data.len() } else { data.len().min(start + segment) };
            ns.loopback.count(end - start + 28);
            if self.is_seen() {
                let header = wire::header(from.ip(), to.ip(), wire::UDP, how.ttl, how.tos);
                ns.show(&header.packet(&wire::udp(from, to, data.get(start..end).unwrap_or_default()), None));
            }
        }
        let arrival = Arrival { to, ttl: how.ttl, tos: how.tos, at: vfs::clock::now() };
        let covered = usize::try_from(self.options.get(SOL_UDPLITE, UDPLITE_SEND_CSCOV)).ok();
        let covered = covered.filter(|n| self.is_lite() && *n != 0 && *n < data.len() + wire::SHORT_HEADER);
        let quoted = data.get(..data.len().min(QUOTED)).unwrap_or_default().to_vec();
        if !Self::hand_out(self.ports(), Datagram { data, from, arrival, segment, covered }) {
            self.unreachable(from, to, quoted, how);
        }
        Ok(())
    }

    /// Gives a datagram to whom it is for; whether there is anybody.
    pub(crate) fn hand_out(ports: &Ports, datagram: Datagram) -> bool {
        let (from, to) = (datagram.from, datagram.arrival.to);
        let mut fitting = Self::between(ports, to, from);
        if to.ip().is_multicast() || addr::is_broadcast(to.ip()) {
            let Datagram { data, arrival, segment, covered, .. } = datagram;
            for (_, socket) in &fitting {
                if !to.ip().is_multicast() || socket.options.is_member(to.ip()) {
                    socket.receive(Datagram { data: data.clone(), from, arrival, segment, covered });
                }
            }
            return true; // nobody is told that there was nobody
        }
        let best = fitting.iter().map(|(fit, _)| *fit).max();
        fitting.retain(|(fit, _)| Some(*fit) == best);
        let spread = fitting.iter().all(|(_, s)| s.common.has(Flags::REUSEPORT));
        let at = match spread {
            true => usize::from(from.port().wrapping_mul(0x9e37) >> 5) % fitting.len().max(1),
            false => fitting.len().saturating_sub(1), // the one bound last
        };
        let receiver = fitting.into_iter().nth(at);
        if let Some((_, socket)) = &receiver {
            socket.receive(datagram);
        }
        receiver.is_some()
    }

    /// Sockets bound to `here` that hear from `there`, with how well they fit.
    fn between(ports: &Ports, here: SocketAddr, there: SocketAddr) -> Vec<(u32, Arc<UdpSocket>)> {
        let remote = |s: &UdpSocket| s.state.lock().remote;
        ports
            .receivers::<UdpSocket>(here)
            .into_iter()
            .filter_map(|(fit, socket)| match remote(&socket) {
                None => Some((fit, socket)),
                Some(r) if r == there => Some((fit + 4, socket)),
                Some(_) => None,
            })
            .collect()
    }

    /// Whether anybody sees what is sent as packets; UDP-Lite's are not shown.
    fn is_seen(&self) -> bool {
        self.common.ns.is_watched() && !self.is_lite()
    }

    /// Nobody has the port: "port unreachable" comes back.
    fn unreachable(&self, from: SocketAddr, to: SocketAddr, data: Vec<u8>, how: &Outgoing) {
        let message = stack::port_unreachable(to.ip());
        let ns = &self.common.ns;
        if self.is_seen() {
            let header = wire::header(from.ip(), to.ip(), wire::UDP, how.ttl, how.tos);
            let packet = header.packet(&wire::udp(from, to, &data), None);
            if let Some(ip) = Ip::parse(&packet) {
                ns.show(&stack::refusal(ns, &ip, &packet, message.0, message.1));
            }
        }
        let room = if to.is_ipv4() { QUOTED } else { data.len() };
        let data = data.get(..data.len().min(room)).unwrap_or_default().to_vec();
        let (error, hard) = (Errno::ECONNREFUSED, true);
        let report = Report { error, message, info: 0, offender: to.ip(), to, data, hard };
        // A socket that is connected to somebody else hears nothing of it.
        Self::error_about(self.ports(), from, report);
    }

    fn told(&self, report: Report) {
        let connected = self.state.lock().remote.is_some();
        self.errors.report(&self.common, &self.options, connected, report);
    }

    /// An ICMP error has come about a datagram from `from`.
    pub(crate) fn error_about(ports: &Ports, from: SocketAddr, report: Report) {
        let concerned = Self::between(ports, from, report.to).into_iter().max_by_key(|(fit, _)| *fit);
        if let Some((_, socket)) = concerned {
            socket.told(report);
        }
    }

    /// Sends what was held back.
    pub(super) fn uncork(&self) {
        let Some((to, data)) = self.state.lock().corked.take() else { return };
        let (local, _) = self.ends();
        let Ok((_, source)) = ancillary::destination(&self.common, &self.options, to) else { return };
        let ip = if local.ip().is_unspecified() { source } else { local.ip() };
        let how = Outgoing::by_options(&self.common, &self.options, to.ip().is_multicast());
        let _ = self.deliver(SocketAddr::new(ip, local.port()), to, data, &how); // too many pieces are dropped
    }
}
