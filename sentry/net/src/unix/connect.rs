//! Names and connections: bind, listen, connect, accept, close.

use super::{
    BOTH, Listener, Peer, PeerIdentity, Phase, RECEIVE, UnixSocket,
    name::{Given, UnixName},
    packet::wake,
    path, rights,
};
use crate::{caller::Caller, common::Flags};
use abi::{Errno, socket::SOMAXCONN};
use ksync::Ready;
use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
};

impl UnixSocket {
    pub(super) fn do_bind(&self, caller: Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        let name = match Given::parse(addr)? {
            Given::Nothing => return self.autobind(),
            Given::Name(name) => name,
        };
        if self.name.get().is_some() {
            return Err(Errno::EINVAL);
        }
        let me = self.me.upgrade().ok_or(Errno::EBADF)?;
        match &name {
            UnixName::Path(p) => {
                let inode = path::bind(&caller, p, &me)?;
                self.state.lock().bound_to = Some(inode);
            }
            UnixName::Abstract(n) => self.common.ns.unix.bind(n, &me)?,
        }
        if let Err(name) = self.name.set(name) {
            // Another thread was first; a path stays, as it does on Linux.
            if let UnixName::Abstract(n) = &name {
                self.common.ns.unix.unbind(n);
            }
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    fn autobind(&self) -> Result<(), Errno> {
        if self.name.get().is_some() {
            return Ok(());
        }
        let me = self.me.upgrade().ok_or(Errno::EBADF)?;
        let name = self.common.ns.unix.autobind(&me)?;
        if let Err(UnixName::Abstract(name)) = self.name.set(UnixName::Abstract(name)) {
            self.common.ns.unix.unbind(&name);
        }
        Ok(())
    }

    /// Who asks for credentials gets a name, so that answers can reach it.
    pub(super) fn autobind_if_needed(&self) -> Result<(), Errno> {
        let asks = self.common.has(Flags::PASSCRED) || self.common.has(Flags::PASSPIDFD);
        if asks && self.name.get().is_none() { self.autobind() } else { Ok(()) }
    }

    pub(super) fn do_listen(&self, caller: Caller<'_>, backlog: i32) -> Result<(), Errno> {
        if self.is_datagram() {
            return Err(Errno::EOPNOTSUPP);
        }
        if self.name.get().is_none() {
            return Err(Errno::EINVAL);
        }
        let backlog = (backlog as u32).min(SOMAXCONN) as usize;
        let identity = caller.identity();
        let mut woken = Vec::new();
        {
            let mut state = self.state.lock();
            match &mut state.phase {
                Phase::Connected => return Err(Errno::EINVAL),
                Phase::Listening(listener) => {
                    if backlog > listener.backlog {
                        woken = std::mem::take(&mut listener.blocked);
                    }
                    listener.backlog = backlog;
                }
                phase => {
                    *phase =
                        Phase::Listening(Listener { backlog, pending: VecDeque::new(), blocked: Vec::new() });
                }
            }
            state.peer_identity = Some(PeerIdentity::of(&identity));
        }
        wake(woken);
        Ok(())
    }

    pub(super) fn do_accept(&self) -> Result<Arc<UnixSocket>, Errno> {
        if self.is_datagram() {
            return Err(Errno::EOPNOTSUPP);
        }
        let (connection, woken) = {
            let mut state = self.state.lock();
            let Phase::Listening(listener) = &mut state.phase else { return Err(Errno::EINVAL) };
            match listener.pending.pop_front() {
                Some(connection) => (connection, std::mem::take(&mut listener.blocked)),
                None if self.is_down(RECEIVE) => return Err(Errno::EINVAL),
                None => return Err(Errno::EAGAIN),
            }
        };
        for flag in [Flags::PASSCRED, Flags::PASSPIDFD, Flags::PASSSEC] {
            connection.common.set(flag, self.common.has(flag));
        }
        connection.accepted.store(true, Ordering::Relaxed);
        wake(woken);
        Ok(connection)
    }

    pub(super) fn connect_stream(&self, caller: Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        let name = Given::name(addr)?;
        self.autobind_if_needed()?;
        let listener = self.find(&caller, &name)?;
        let me = self.me.upgrade().ok_or(Errno::EBADF)?;
        if std::ptr::eq(self, &*listener) {
            let listening = matches!(self.state.lock().phase, Phase::Listening(_));
            return Err(if listening { Errno::EINVAL } else { Errno::ECONNREFUSED });
        }
        let identity = caller.identity();
        {
            // Both at once, by address.
            let (mut theirs, mut mine);
            if Arc::as_ptr(&listener) < Arc::as_ptr(&me) {
                theirs = listener.state.lock();
                mine = me.state.lock_nested();
            } else {
                mine = me.state.lock();
                theirs = listener.state.lock_nested();
            }
            let dead = listener.dead.load(Ordering::SeqCst) || listener.is_down(RECEIVE);
            let Phase::Listening(queue) = &mut theirs.phase else { return Err(Errno::ECONNREFUSED) };
            if dead {
                return Err(Errno::ECONNREFUSED);
            }
            match mine.phase {
                Phase::Unconnected => {}
                Phase::Connected => return Err(Errno::EISCONN),
                Phase::Listening(_) => return Err(Errno::EINVAL),
            }
            if queue.pending.len() > queue.backlog {
                if !queue.blocked.iter().any(|w| w.ptr_eq(&self.me)) {
                    queue.blocked.retain(|w| w.strong_count() > 0);
                    queue.blocked.push(self.me.clone());
                }
                return Err(Errno::EAGAIN);
            }
            let other = Self::make(
                self.common.ns.clone(),
                self.common.kind,
                listener.common.uid,
                listener.name.clone(),
                false,
            );
            let _ = other.peer.set(Peer { socket: self.me.clone(), name: self.name.clone() });
            {
                let mut state = other.state.lock_nested(); // nobody else knows it yet
                state.phase = Phase::Connected;
                state.peer_identity = Some(PeerIdentity::of(&identity));
            }
            queue.pending.push_back(other.clone());
            let _ = self.peer.set(Peer { socket: Arc::downgrade(&other), name: listener.name.clone() });
            mine.phase = Phase::Connected;
            mine.peer_identity = theirs.peer_identity.clone();
        }
        listener.common.queue.notify(Ready::IN | Ready::RDNORM);
        self.common.queue.notify(Ready::OUT | Ready::WRNORM);
        Ok(())
    }

    /// The last descriptor was closed, or nobody will ever accept it.
    pub(super) fn do_release(&self) {
        self.close(false);
        rights::socket_closed();
    }

    fn close(&self, never_accepted: bool) {
        self.dead.store(true, Ordering::SeqCst);
        if let Some(UnixName::Abstract(name)) = self.name.get()
            && self.common.ns.unix.find(name).is_some_and(|s| std::ptr::eq(&*s, self))
        {
            self.common.ns.unix.unbind(name);
        }
        let (pending, mut blocked, bound_to) = {
            let mut state = self.state.lock();
            state.datagram_peer = None;
            match std::mem::replace(&mut state.phase, Phase::Unconnected) {
                Phase::Listening(l) => (l.pending, l.blocked, state.bound_to.take()),
                Phase::Connected => {
                    state.phase = Phase::Connected;
                    (VecDeque::new(), Vec::new(), state.bound_to.take())
                }
                Phase::Unconnected => (VecDeque::new(), Vec::new(), state.bound_to.take()),
            }
        };
        drop(bound_to);
        self.shutdown.fetch_or(BOTH, Ordering::SeqCst);
        let queue = std::mem::take(&mut *self.queue.lock());
        let unread = !queue.is_empty();
        if let Some(peer) = self.connected_peer() {
            {
                let _queue = peer.queue.lock();
                peer.shutdown.fetch_or(BOTH, Ordering::SeqCst);
            }
            if unread || never_accepted {
                peer.common.set_error(Errno::ECONNRESET);
            }
            peer.common
                .queue
                .notify(Ready::IN | Ready::OUT | Ready::RDNORM | Ready::WRNORM | Ready::HUP | Ready::RDHUP);
        }
        for connection in pending {
            connection.close(true);
        }
        blocked.extend(queue.blocked.iter().cloned());
        drop(queue);
        wake(blocked);
        self.common.queue.notify(Ready::HUP | Ready::IN | Ready::OUT);
    }
}
