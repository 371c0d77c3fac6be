//! Netlink sockets (`netlink(7)`): requests about the network are answered as they are sent.
//!
//! A [`NetlinkSocket`] keeps the datagrams that answer its requests; [`route`] makes those of `rtnetlink(7)`, [`diag`] those of
//! `sock_diag(7)`, [`generic`] those of generic netlink. Sockets of other protocols that programs open to listen
//! (`NETLINK_KOBJECT_UEVENT`) are there and hear nothing.
//!
//! **Lock order:** the table of port numbers, a socket's `state`.
//! **Absent on purpose:** `NETLINK_AUDIT` (`EPROTONOSUPPORT`), delivery between sockets. `NETLINK_CONNECTOR` has nobody to talk to
//! (`ECONNREFUSED`), as in every network namespace of Linux's but the first.

mod build;
mod diag;
mod generic;
mod route;
mod taskstats;
#[cfg(test)]
mod tests;

use crate::{
    caller::Caller,
    common::{Common, Flags, int_value, value_of},
    message::{Address, Control, OptionValue, RecvMsg, SendMsg, Sender},
    namespace::NetNamespace,
    socket::SocketOps,
};
use abi::{Cap, Errno, SockType, socket::*};
use build::Reply;
use ksync::{Mutex, Ready, rank};
use std::{
    any::Any,
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};
use zerocopy::{FromBytes, IntoBytes};

/// Port numbers in use, each with its protocol.
pub struct NetlinkPorts(Mutex<BTreeSet<(i32, u32)>>);

impl Default for NetlinkPorts {
    fn default() -> Self {
        Self(Mutex::new(rank::SOCKET_TABLE, BTreeSet::new()))
    }
}

#[derive(Default)]
struct State {
    /// Port number; 0 before bind.
    port: u32,
    groups: u32,
    destination: SockaddrNl,
    queue: VecDeque<Vec<u8>>,
    used: usize,
    extended_ack: bool,
    strict: bool,
    capped_ack: bool,
    pktinfo: bool,
    no_enobufs: bool,
}

/// A netlink socket.
pub struct NetlinkSocket {
    common: Common,
    state: Mutex<State>,
}

impl NetlinkSocket {
    /// A socket of `protocol`; `EPROTONOSUPPORT`.
    pub fn new(
        ns: Arc<NetNamespace>,
        kind: SockType,
        protocol: i32,
        uid: vfs::Uid,
    ) -> Result<Arc<Self>, Errno> {
        if !matches!(kind, SockType::Raw | SockType::Dgram) {
            return Err(Errno::ESOCKTNOSUPPORT);
        }
        if !matches!(
            protocol,
            NETLINK_ROUTE
                | NETLINK_USERSOCK
                | NETLINK_SOCK_DIAG
                | NETLINK_KOBJECT_UEVENT
                | NETLINK_GENERIC
                | NETLINK_CONNECTOR
        ) {
            return Err(Errno::EPROTONOSUPPORT);
        }
        Ok(Arc::new(Self {
            common: Common::new(ns, AF_NETLINK, kind, protocol, uid),
            state: Mutex::new(rank::SOCKET, State::default()),
        }))
    }

    fn bind_port(&self, caller: &Caller<'_>, wanted: u32) -> Result<u32, Errno> {
        let bound = self.state.lock().port;
        if bound != 0 {
            return if wanted == 0 || wanted == bound { Ok(bound) } else { Err(Errno::EINVAL) };
        }
        let protocol = self.common.protocol;
        let identity = caller.identity();
        let pid = identity.pid.map_or(1, |p| p.namespace().and_then(|ns| p.number_in(ns)).unwrap_or(1));
        let port = {
            let mut ports = self.common.ns.netlink_ports.0.lock();
            if wanted != 0 {
                if !ports.insert((protocol, wanted)) {
                    return Err(Errno::EADDRINUSE);
                }
                wanted
            } else {
                // The process' number, or else one that no process has.
                let mut free =
                    std::iter::once(pid).chain((0..1 << 20).map(|n| 0xffff_f000u32.wrapping_sub(n)));
                free.find(|p| ports.insert((protocol, *p))).ok_or(Errno::EADDRINUSE)?
            }
        };
        self.state.lock().port = port;
        Ok(port)
    }

    /// Port number and groups, for `/proc/net/netlink`.
    pub(crate) fn describe(&self) -> (u32, u32, usize) {
        let state = self.state.lock();
        (state.port, state.groups, state.used)
    }

    /// Queues a datagram from the kernel; without room it is lost, and the next call says so.
    pub fn deliver(&self, datagram: Vec<u8>) {
        let lost = {
            let mut state = self.state.lock();
            if state.used + datagram.len() > self.common.rcvbuf() && !state.queue.is_empty() {
                !state.no_enobufs
            } else {
                state.used += datagram.len();
                state.queue.push_back(datagram);
                false
            }
        };
        if lost {
            self.common.set_error(Errno::ENOBUFS);
        } else {
            self.common.queue.notify(Ready::IN | Ready::RDNORM);
        }
    }

    /// Tells everybody in the namespace who listens to `group` (`RTMGRP_*`).
    pub(crate) fn announce(ns: &NetNamespace, group: u32, message: &[u8]) {
        for socket in ns.sockets() {
            if let Some(nl) = socket.as_any().downcast_ref::<NetlinkSocket>()
                && nl.common.protocol == NETLINK_ROUTE
                && nl.state.lock().groups & group != 0
            {
                nl.deliver(message.to_vec());
            }
        }
    }

    /// Answers every request of a datagram.
    fn answer(&self, caller: &Caller<'_>, port: u32, bytes: &[u8]) {
        let mut rest = bytes;
        while let Ok((header, _)) = Nlmsghdr::read_from_prefix(rest) {
            let len = header.nlmsg_len as usize;
            if len < Nlmsghdr::SIZE || len > rest.len() {
                return;
            }
            let body = rest.get(Nlmsghdr::SIZE..len).unwrap_or_default();
            let flags = NlmFlags::from_bits_retain(header.nlmsg_flags);
            if flags.contains(NlmFlags::REQUEST) && header.nlmsg_type >= NLMSG_MIN_TYPE {
                let mut reply = Reply::new(port, header.nlmsg_seq, flags.contains(NlmFlags::DUMP));
                let result = match self.common.protocol {
                    NETLINK_ROUTE => route::answer(&self.common.ns, caller, &header, body, &mut reply),
                    NETLINK_SOCK_DIAG => diag::answer(&self.common.ns, *caller, &header, body, &mut reply),
                    NETLINK_GENERIC => generic::answer(caller, &header, body, &mut reply),
                    _ => Ok(()),
                };
                let capped = self.state.lock().capped_ack;
                let message = rest.get(..len).unwrap_or_default();
                for datagram in reply.finish(result, &header, message, capped) {
                    self.deliver(datagram);
                }
            }
            rest = rest.get(nl_align(len)..).unwrap_or_default();
        }
    }
}

fn parse(addr: &[u8]) -> Result<SockaddrNl, Errno> {
    let (nl, _) = SockaddrNl::read_from_prefix(addr).map_err(|_| Errno::EINVAL)?;
    if nl.nl_family == AF_NETLINK { Ok(nl) } else { Err(Errno::EINVAL) }
}

impl SocketOps for NetlinkSocket {
    fn common(&self) -> &Common {
        &self.common
    }

    fn bind(&self, caller: Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        let addr = parse(addr)?;
        self.may_join(&caller, addr.nl_groups)?;
        self.bind_port(&caller, addr.nl_pid)?;
        self.state.lock().groups = addr.nl_groups;
        Ok(())
    }

    fn connect(&self, caller: Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        if addr.get(..2) == Some(&AF_UNSPEC.to_ne_bytes()) {
            self.state.lock().destination = SockaddrNl::default();
            return Ok(());
        }
        let addr = parse(addr)?;
        self.bind_port(&caller, 0)?;
        self.state.lock().destination = addr;
        Ok(())
    }

    fn send(&self, caller: Caller<'_>, msg: &mut SendMsg<'_, '_>) -> Result<usize, Errno> {
        if msg.flags.contains(MsgFlags::OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        let to = match msg.name {
            Some(name) => parse(name)?,
            None => self.state.lock().destination,
        };
        let len = msg.src.remaining();
        if len > self.common.sndbuf().saturating_sub(32) {
            return Err(Errno::EMSGSIZE);
        }
        let port = self.bind_port(&caller, 0)?;
        if to.nl_pid != 0 || matches!(self.common.protocol, NETLINK_CONNECTOR | NETLINK_USERSOCK) {
            return Err(Errno::ECONNREFUSED); // only the kernel listens
        }
        let data = if len == 0 { Vec::new() } else { msg.src.take_vec(len)? };
        if data.len() < len {
            return Err(Errno::EFAULT);
        }
        self.answer(&caller, port, &data);
        Ok(len)
    }

    fn recv(&self, _: Caller<'_>, msg: &mut RecvMsg<'_, '_>) -> Result<usize, Errno> {
        if msg.flags.contains(MsgFlags::OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        self.common.check_error()?;
        let mut state = self.state.lock();
        let pktinfo = state.pktinfo;
        let front = state.queue.front().ok_or(Errno::EAGAIN)?;
        let n = msg.put_datagram(front)?;
        if msg.wants_name {
            let kernel = SockaddrNl { nl_family: AF_NETLINK, ..SockaddrNl::default() };
            msg.name = Some(Address::from_slice(kernel.as_bytes()));
        }
        if self.common.has(Flags::PASSCRED) {
            let kernel = Sender { pid: None, uid: vfs::Uid::ROOT, gid: vfs::Gid::ROOT };
            msg.control.push(Control::Credentials(kernel));
        }
        if pktinfo {
            msg.control.push(Control::Other(SOL_NETLINK, NETLINK_PKTINFO, [0u8; 4].as_slice().into()));
        }
        if !msg.peek()
            && let Some(taken) = state.queue.pop_front()
        {
            state.used -= taken.len();
        }
        Ok(n)
    }

    fn shutdown(&self, _: Shutdown) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn ready(&self) -> Ready {
        let mut ready = Ready::OUT | Ready::WRNORM | Ready::WRBAND;
        if self.common.has_error() {
            ready |= Ready::ERR;
        }
        if !self.state.lock().queue.is_empty() {
            ready |= Ready::IN | Ready::RDNORM;
        }
        ready
    }

    fn local_name(&self) -> Result<Address, Errno> {
        let state = self.state.lock();
        let name =
            SockaddrNl { nl_family: AF_NETLINK, nl_pad: 0, nl_pid: state.port, nl_groups: state.groups };
        Ok(Address::from_slice(name.as_bytes()))
    }
    fn peer_name(&self) -> Result<Address, Errno> {
        let name = SockaddrNl { nl_family: AF_NETLINK, ..self.state.lock().destination };
        Ok(Address::from_slice(name.as_bytes()))
    }

    fn get_option(&self, _: Caller<'_>, level: i32, name: i32, _: usize) -> Result<OptionValue, Errno> {
        let state = self.state.lock();
        match (level, name) {
            (SOL_SOCKET, SO_ACCEPTCONN) => Ok(int_value(0)),
            (SOL_SOCKET, SO_PEERCRED) => Ok(value_of(&Ucred { pid: 0, uid: u32::MAX, gid: u32::MAX })),
            (SOL_SOCKET, _) => {
                drop(state);
                self.common.get_option(name)
            }
            (SOL_NETLINK, NETLINK_PKTINFO) => Ok(int_value(state.pktinfo)),
            (SOL_NETLINK, NETLINK_EXT_ACK) => Ok(int_value(state.extended_ack)),
            (SOL_NETLINK, NETLINK_CAP_ACK) => Ok(int_value(state.capped_ack)),
            (SOL_NETLINK, NETLINK_GET_STRICT_CHK) => Ok(int_value(state.strict)),
            (SOL_NETLINK, NETLINK_NO_ENOBUFS) => Ok(int_value(state.no_enobufs)),
            (SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS) => Ok(value_of(&state.groups)),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    fn set_option(&self, caller: Caller<'_>, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        if level == SOL_SOCKET {
            return self.common.set_option(&caller, name, value);
        }
        if level != SOL_NETLINK {
            return Err(Errno::ENOPROTOOPT);
        }
        let n = i32::read_from_prefix(value).map(|(n, _)| n).map_err(|_| Errno::EINVAL)?;
        let on = n != 0;
        if matches!(name, NETLINK_ADD_MEMBERSHIP | NETLINK_DROP_MEMBERSHIP) {
            let bit = u32::try_from(n).ok().and_then(|n| n.checked_sub(1)).ok_or(Errno::EINVAL)?;
            // Groups beyond the 32 that an address can name hear nothing here.
            let group = 1u32.checked_shl(bit).unwrap_or(0);
            self.may_join(&caller, group)?;
            let mut state = self.state.lock();
            if name == NETLINK_ADD_MEMBERSHIP {
                state.groups |= group;
            } else {
                state.groups &= !group;
            }
            return Ok(());
        }
        let mut state = self.state.lock();
        match name {
            NETLINK_PKTINFO => state.pktinfo = on,
            NETLINK_EXT_ACK => state.extended_ack = on,
            NETLINK_CAP_ACK => state.capped_ack = on,
            NETLINK_GET_STRICT_CHK => state.strict = on,
            NETLINK_NO_ENOBUFS => state.no_enobufs = on,
            NETLINK_BROADCAST_ERROR => {}
            NETLINK_LISTEN_ALL_NSID => return Err(Errno::EPERM),
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(())
    }

    fn readable_bytes(&self) -> Result<usize, Errno> {
        Err(Errno::ENOTTY)
    }
    fn unsent_bytes(&self) -> Result<usize, Errno> {
        Err(Errno::ENOTTY)
    }

    fn release(&self) {
        let port = std::mem::take(&mut self.state.lock().port);
        if port != 0 {
            self.common.ns.netlink_ports.0.lock().remove(&(self.common.protocol, port));
        }
        let queue = std::mem::take(&mut self.state.lock().queue);
        drop(queue);
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl NetlinkSocket {
    fn may_join(&self, caller: &Caller<'_>, groups: u32) -> Result<(), Errno> {
        let open = matches!(
            self.common.protocol,
            NETLINK_ROUTE | NETLINK_KOBJECT_UEVENT | NETLINK_GENERIC | NETLINK_SOCK_DIAG | NETLINK_CONNECTOR
        );
        let fine = groups == 0 || open || caller.cred().has_cap_in(&self.common.ns.user_ns, Cap::NET_ADMIN);
        if fine { Ok(()) } else { Err(Errno::EPERM) }
    }
}
