//! Sending and receiving datagrams and sequenced packets.

use super::{
    RECEIVE, SEND, UnixSocket,
    name::{Given, UnixName},
    path,
    queue::{Charge, Packet},
    stream::nofile_limit,
};
use crate::{
    caller::Caller,
    common::Flags,
    message::{Control, RecvMsg, SendMsg, Sender, take_rights},
};
use abi::{Errno, SockType};
use ksync::Ready;
use std::sync::{Arc, Weak, atomic::Ordering};
use vfs::landlock::Scope;

/// `net.unix.max_dgram_qlen`: more datagrams of those who are not the receiver's own peer must wait.
const MAX_QUEUE: usize = 10;
/// What a packet needs of the send buffer beside its data.
const OVERHEAD: usize = 32;

impl UnixSocket {
    pub(super) fn is_packet_writable(&self) -> bool {
        if !self.has_room(self.charged.load(Ordering::SeqCst)) {
            return false;
        }
        if !self.is_datagram() {
            return true;
        }
        let Some(peer) = self.datagram_peer() else { return true };
        !self.must_wait_for(&peer)
    }

    /// Whether `peer`'s queue is too long for our next datagram; if so, we hear when that changes.
    fn must_wait_for(&self, peer: &UnixSocket) -> bool {
        if std::ptr::eq(self, peer) || peer.dead.load(Ordering::SeqCst) || self.is_peer_of(peer) {
            return false;
        }
        let mut queue = peer.queue.lock();
        if queue.packets.len() <= MAX_QUEUE {
            return false;
        }
        if !queue.blocked.iter().any(|w| w.ptr_eq(&self.me)) {
            queue.blocked.retain(|w| w.strong_count() > 0);
            queue.blocked.push(self.me.clone());
        }
        true
    }

    /// Whether `other` is connected to us.
    fn is_peer_of(&self, other: &UnixSocket) -> bool {
        other.state.lock().datagram_peer.as_ref().is_some_and(|w| w.ptr_eq(&self.me))
    }

    /// Whether `other` takes datagrams of ours: it is connected to nobody, or to us.
    fn may_send_to(&self, other: &UnixSocket) -> bool {
        other.state.lock().datagram_peer.as_ref().is_none_or(|w| w.ptr_eq(&self.me))
    }

    pub(super) fn find(&self, caller: &Caller<'_>, name: &UnixName) -> Result<Arc<UnixSocket>, Errno> {
        let found = match name {
            UnixName::Path(path) => path::find(caller, path)?,
            UnixName::Abstract(name) => self.common.ns.unix.find(name).ok_or(Errno::ECONNREFUSED)?,
        };
        if found.common.kind != self.common.kind {
            return Err(Errno::EPROTOTYPE);
        }
        if matches!(name, UnixName::Abstract(_))
            && let Some(domain) = &caller.cred().landlock
            && !self.datagram_peer().is_some_and(|peer| Arc::ptr_eq(&peer, &found))
        {
            domain.may_reach(found.common.domain.get(), Scope::ABSTRACT_UNIX_SOCKET)?;
        }
        Ok(found)
    }

    pub(super) fn connect_datagram(&self, caller: Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        let family = addr.get(..2).ok_or(Errno::EINVAL)?;
        if family == abi::socket::AF_UNSPEC.to_ne_bytes() {
            let old = self.state.lock().datagram_peer.take();
            self.disconnected(old);
            return Ok(());
        }
        let name = Given::name(addr)?;
        self.autobind_if_needed()?;
        let peer = self.find(&caller, &name)?;
        if peer.dead.load(Ordering::SeqCst) {
            return Err(Errno::ECONNREFUSED);
        }
        if !self.may_send_to(&peer) {
            return Err(Errno::EPERM);
        }
        let new = Arc::downgrade(&peer);
        let old = self.state.lock().datagram_peer.replace(new.clone());
        if !old.as_ref().is_some_and(|old| old.ptr_eq(&new)) {
            self.disconnected(old);
        }
        self.common.queue.notify(Ready::OUT | Ready::WRNORM);
        Ok(())
    }

    /// The peer is another one now: what it sent is forgotten, and it hears of it if we were its peer.
    fn disconnected(&self, old: Option<Weak<UnixSocket>>) {
        let Some(old) = old else { return };
        let packets = std::mem::take(&mut self.queue.lock().packets);
        drop(packets);
        if let Some(old) = old.upgrade()
            && self.is_peer_of(&old)
        {
            old.common.set_error(Errno::ECONNRESET);
        }
    }

    pub(super) fn send_datagram(
        &self,
        caller: Caller<'_>,
        msg: &mut SendMsg<'_, '_>,
    ) -> Result<usize, Errno> {
        let name = msg.name.filter(|n| !n.is_empty()).map(Given::name).transpose()?;
        self.autobind_if_needed()?;
        let peer = match &name {
            Some(name) => self.find(&caller, name)?,
            None => {
                let peer = self.state.lock().datagram_peer.clone().ok_or(Errno::ENOTCONN)?;
                match peer.upgrade().filter(|p| !p.dead.load(Ordering::SeqCst)) {
                    Some(peer) => peer,
                    None => {
                        self.state.lock().datagram_peer = None;
                        return Err(Errno::ECONNREFUSED);
                    }
                }
            }
        };
        if peer.dead.load(Ordering::SeqCst) {
            return Err(Errno::ECONNREFUSED);
        }
        self.check_packet_size(msg)?;
        if !self.may_send_to(&peer) {
            return Err(Errno::EPERM);
        }
        if peer.is_down(RECEIVE) || self.is_down(SEND) {
            return Err(Errno::EPIPE);
        }
        self.common.check_error()?;
        if self.must_wait_for(&peer) {
            return Err(Errno::EAGAIN);
        }
        self.send_packet(caller, msg, &peer)
    }

    pub(super) fn send_seqpacket(
        &self,
        caller: Caller<'_>,
        msg: &mut SendMsg<'_, '_>,
    ) -> Result<usize, Errno> {
        if self.peer.get().is_none() {
            return Err(Errno::ENOTCONN);
        }
        self.check_packet_size(msg)?;
        if self.is_down(SEND) {
            return Err(Errno::EPIPE);
        }
        let peer = self.connected_peer().ok_or(Errno::EPIPE)?;
        if peer.is_down(RECEIVE) || peer.dead.load(Ordering::SeqCst) {
            return Err(Errno::EPIPE);
        }
        self.send_packet(caller, msg, &peer)
    }

    fn check_packet_size(&self, msg: &SendMsg<'_, '_>) -> Result<(), Errno> {
        let fits = msg.src.remaining() <= self.common.sndbuf().saturating_sub(OVERHEAD);
        if fits { Ok(()) } else { Err(Errno::EMSGSIZE) }
    }

    fn send_packet(
        &self,
        caller: Caller<'_>,
        msg: &mut SendMsg<'_, '_>,
        peer: &Arc<UnixSocket>,
    ) -> Result<usize, Errno> {
        if self.charged.load(Ordering::SeqCst) >= self.common.sndbuf() {
            return Err(Errno::EAGAIN);
        }
        let len = msg.src.remaining();
        let data = if len == 0 { Vec::new() } else { msg.src.take_vec(len)? };
        if data.len() < len {
            return Err(Errno::EFAULT);
        }
        let sender = match &msg.control.sender {
            Some(given) => Some(given.clone()),
            None if self.adds_sender(peer) => Some(Sender::real(&caller.identity())),
            None => None,
        };
        let rights = match msg.control.rights.is_empty() {
            true => None,
            false => take_rights(msg.control, &caller.cred(), nofile_limit(&caller))?,
        };
        let packet = Packet { data, from: self.name.clone(), sender, rights, charge: Charge::new(self, len) };
        let refused = {
            let mut queue = peer.queue.lock();
            // Closing empties the queue after it has said so.
            if peer.dead.load(Ordering::SeqCst) || peer.is_down(RECEIVE) {
                Some(packet)
            } else {
                queue.packets.push_back(packet);
                None
            }
        };
        if refused.is_some() {
            return Err(if self.is_datagram() { Errno::ECONNREFUSED } else { Errno::EPIPE });
        }
        peer.common.queue.notify(Ready::IN | Ready::RDNORM);
        Ok(len)
    }

    pub(super) fn recv_packet(&self, msg: &mut RecvMsg<'_, '_>) -> Result<usize, Errno> {
        if self.common.kind == SockType::Seqpacket && self.peer.get().is_none() {
            return Err(Errno::ENOTCONN);
        }
        self.common.check_error()?;
        let mut woken = Vec::new();
        let (n, taken) = {
            let mut queue = self.queue.lock();
            let Some(packet) = queue.packets.front() else {
                return if self.is_down(RECEIVE) { Ok(0) } else { Err(Errno::EAGAIN) };
            };
            let n = msg.put_datagram(&packet.data)?;
            if msg.wants_name {
                msg.name = packet.from.get().map(UnixName::to_address);
            }
            let sender = || packet.sender.clone().unwrap_or_else(Sender::unknown);
            if self.common.has(Flags::PASSCRED) {
                msg.control.push(Control::Credentials(sender()));
            }
            if self.common.has(Flags::PASSPIDFD) {
                msg.control.push(Control::Pidfd(sender()));
            }
            if msg.peek() {
                if let Some(rights) = &packet.rights {
                    msg.control.push(Control::Rights(rights.peek()));
                }
                (n, None)
            } else {
                let packet = queue.packets.pop_front();
                if queue.packets.len() <= MAX_QUEUE {
                    woken = std::mem::take(&mut queue.blocked);
                }
                (n, packet)
            }
        };
        if self.common.kind == SockType::Seqpacket {
            msg.out_flags |= abi::socket::MsgFlags::EOR;
        }
        wake(woken);
        if let Some(Packet { rights: Some(rights), .. }) = taken {
            msg.control.push(Control::Rights(rights.into_files()));
        }
        Ok(n)
    }
}

/// Tells those who wait for room.
pub(super) fn wake(blocked: Vec<Weak<UnixSocket>>) {
    for socket in blocked.iter().filter_map(Weak::upgrade) {
        socket.common.queue.notify(Ready::OUT | Ready::WRNORM | Ready::WRBAND);
    }
}
