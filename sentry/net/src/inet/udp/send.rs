//! Sending datagrams: where to, with what header, and into whose queue.

use super::{Datagram, MAX_DATAGRAM, SEND, UDP_HEADER, UdpSocket};
use crate::{
    common::Flags,
    inet::addr::{self, canonical},
    message::{Address, SendMsg},
};
use abi::{Errno, socket::*};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use zerocopy::FromBytes;

/// How one datagram is sent: source, hops and type of service may come with it.
struct How {
    source: Option<IpAddr>,
    ttl: i32,
    tos: i32,
    segment: usize,
}

impl UdpSocket {
    fn how(&self, msg: &SendMsg<'_, '_>, multicast: bool) -> Result<How, Errno> {
        let (ttl, group_ttl, tos) = match self.common.family {
            AF_INET6 => {
                ((SOL_IPV6, IPV6_UNICAST_HOPS), (SOL_IPV6, IPV6_MULTICAST_HOPS), (SOL_IPV6, IPV6_TCLASS))
            }
            _ => ((SOL_IP, IP_TTL), (SOL_IP, IP_MULTICAST_TTL), (SOL_IP, IP_TOS)),
        };
        let ttl = if multicast { group_ttl } else { ttl };
        let mut how = How {
            source: None,
            ttl: self.options.get(ttl.0, ttl.1),
            tos: self.options.get(tos.0, tos.1),
            segment: self.options.get(SOL_UDP, UDP_SEGMENT) as usize,
        };
        for (level, kind, data) in &msg.control.other {
            let number = || i32::read_from_prefix(data).map(|(n, _)| n).map_err(|_| Errno::EINVAL);
            // A number of IPv6 of which -1 stands for what the socket would use.
            let or_default = |default| match number()? {
                -1 => Ok(default),
                n @ 0..=255 => Ok(n),
                _ => Err(Errno::EINVAL),
            };
            match (*level, *kind) {
                (SOL_IP, IP_PKTINFO) => {
                    let (info, _) = InPktinfo::read_from_prefix(data).map_err(|_| Errno::EINVAL)?;
                    how.source = Some(IpAddr::from(info.ipi_spec_dst)).filter(|ip| !ip.is_unspecified());
                }
                (SOL_IPV6, IPV6_PKTINFO) => {
                    let (info, _) = In6Pktinfo::read_from_prefix(data).map_err(|_| Errno::EINVAL)?;
                    how.source =
                        Some(canonical(IpAddr::from(info.ipi6_addr))).filter(|ip| !ip.is_unspecified());
                }
                (SOL_IP, IP_TTL) => {
                    how.ttl = number().ok().filter(|n| (1..=255).contains(n)).ok_or(Errno::EINVAL)?;
                }
                (SOL_IPV6, IPV6_HOPLIMIT) => how.ttl = or_default(how.ttl)?,
                (SOL_IPV6, IPV6_TCLASS) => how.tos = or_default(how.tos)?,
                (SOL_IP, IP_TOS) => how.tos = data.first().copied().map(i32::from).ok_or(Errno::EINVAL)?,
                (SOL_UDP, UDP_SEGMENT) => {
                    let (size, _) = u16::read_from_prefix(data).map_err(|_| Errno::EINVAL)?;
                    how.segment = usize::from(size);
                }
                _ => return Err(Errno::EINVAL),
            }
        }
        if how.source.is_some_and(|ip| !self.common.ns.is_local(ip)) {
            return Err(Errno::EINVAL);
        }
        Ok(how)
    }

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
            Some(given) => self.destination(given)?,
            None => {
                let remote = connected.ok_or(Errno::EDESTADDRREQ)?;
                let (_, source) = self.destination(remote)?;
                (remote, source)
            }
        };
        self.autobind()?;
        let how = self.how(msg, to.ip().is_multicast())?;
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

    fn deliver(&self, from: SocketAddr, to: SocketAddr, data: Vec<u8>, how: &How) -> Result<(), Errno> {
        if how.segment == 0 || data.len() <= how.segment {
            self.deliver_one(from, to, data, how);
            return Ok(());
        }
        if data.len().div_ceil(how.segment) > 128 {
            return Err(Errno::EINVAL);
        }
        for piece in data.chunks(how.segment) {
            self.deliver_one(from, to, piece.to_vec(), how);
        }
        Ok(())
    }

    fn deliver_one(&self, from: SocketAddr, to: SocketAddr, data: Vec<u8>, how: &How) {
        let ns = &self.common.ns;
        ns.loopback.count(data.len() + 28);
        let all = self.ports().receivers::<UdpSocket>(to);
        let fits = |s: &UdpSocket| s.state.lock().remote.is_none_or(|r| r == from);
        let mut fitting: Vec<(u32, Arc<UdpSocket>)> = all
            .into_iter()
            .filter(|(_, s)| fits(s))
            .map(|(fit, s)| (fit + if s.state.lock().remote.is_some() { 4 } else { 0 }, s))
            .collect();
        let covered = Some(self.options.get(SOL_UDPLITE, UDPLITE_SEND_CSCOV) as usize)
            .filter(|n| self.is_lite() && *n != 0 && *n < data.len() + UDP_HEADER);
        let (ttl, tos, at) = (how.ttl, how.tos, vfs::clock::now());
        let datagram = |data| Datagram { data, from, to, ttl, tos, covered, at };
        if to.ip().is_multicast() || addr::is_broadcast(to.ip()) {
            for (_, socket) in &fitting {
                if !to.ip().is_multicast() || socket.options.is_member(to.ip()) {
                    socket.receive(datagram(data.clone()));
                }
            }
            return;
        }
        let best = fitting.iter().map(|(fit, _)| *fit).max();
        fitting.retain(|(fit, _)| Some(*fit) == best);
        let spread = fitting.iter().all(|(_, s)| s.common.has(Flags::REUSEPORT));
        let at = match spread {
            true => usize::from(from.port().wrapping_mul(0x9e37) >> 5) % fitting.len().max(1),
            false => fitting.len().saturating_sub(1), // the one bound last
        };
        match fitting.into_iter().nth(at) {
            Some((_, socket)) => socket.receive(datagram(data)),
            // "Port unreachable" reaches those who are connected.
            None if self.state.lock().remote.is_some() => self.common.set_error(Errno::ECONNREFUSED),
            None => {}
        }
    }

    /// Sends what was held back.
    pub(super) fn uncork(&self) {
        let Some((to, data)) = self.state.lock().corked.take() else { return };
        let (local, _) = self.ends();
        let Ok((_, source)) = self.destination(to) else { return };
        let ip = if local.ip().is_unspecified() { source } else { local.ip() };
        let how = How { source: None, ttl: 64, tos: 0, segment: 0 };
        self.deliver_one(SocketAddr::new(ip, local.port()), to, data, &how);
    }
}
