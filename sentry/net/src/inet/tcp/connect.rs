//! Opening and closing.

use super::{BOTH, Listener, Phase, Queue, RECEIVE, SEND, State, TcpSocket};
use crate::{
    caller::Caller,
    common::Flags,
    inet::{
        addr::{self, canonical},
        ports::Request,
        wire::{TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN},
    },
};
use abi::{Errno, socket::*};
use ksync::Ready;
use std::{
    any::Any,
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Weak, atomic::Ordering},
};

const ALL: Ready = Ready::IN
    .union(Ready::OUT)
    .union(Ready::RDNORM)
    .union(Ready::WRNORM)
    .union(Ready::RDHUP)
    .union(Ready::HUP);

impl TcpSocket {
    fn request(&self, ip: IpAddr) -> Request {
        Request {
            ip,
            v6_only: self.v6_only(),
            reuse_addr: self.common.has(Flags::REUSEADDR),
            reuse_port: self.common.has(Flags::REUSEPORT),
            uid: self.common.uid,
            datagrams: false,
        }
    }
    fn weak(&self) -> Weak<dyn Any + Send + Sync> {
        self.me.clone()
    }

    pub(super) fn do_bind(&self, caller: Caller<'_>, bytes: &[u8]) -> Result<(), Errno> {
        let mut given = addr::parse_for_bind(self.common.family, bytes)?;
        if self.common.family == AF_INET6 && self.v6_only() && canonical(given.ip()).is_ipv4() {
            return Err(Errno::EINVAL);
        }
        given.set_ip(canonical(given.ip()));
        let ns = &self.common.ns;
        let free = self.options.on(SOL_IP, IP_FREEBIND)
            || self.options.on(SOL_IP, IP_TRANSPARENT)
            || self.options.on(SOL_IPV6, IPV6_FREEBIND);
        if !given.ip().is_unspecified() && !ns.is_local(given.ip()) && !free {
            return Err(Errno::EADDRNOTAVAIL);
        }
        addr::check_port(ns, &caller, given.port())?;
        {
            let state = self.state.lock();
            if state.bound.is_some() || !matches!(state.phase, Phase::Closed) {
                return Err(Errno::EINVAL);
            }
        }
        let bound = ns.tcp_ports.bind(given.port(), self.request(given.ip()), self.weak())?;
        let mut state = self.state.lock();
        if state.bound.is_some() {
            drop(state); // another thread was first; what we bound is given back without the lock
            return Err(Errno::EINVAL);
        }
        state.local = Some(SocketAddr::new(given.ip(), bound.port));
        state.bound_ip = Some(given.ip()).filter(|ip| !ip.is_unspecified());
        state.port_chosen = given.port() != 0;
        state.bound = Some(bound);
        Ok(())
    }

    /// Binds to any port if it is not bound yet.
    fn autobind(&self) -> Result<(), Errno> {
        if self.state.lock().bound.is_some() {
            return Ok(());
        }
        let ip = addr::unspecified(self.common.family);
        let bound = self.common.ns.tcp_ports.bind(0, self.request(ip), self.weak())?;
        let mut state = self.state.lock();
        let spare = if state.bound.is_some() {
            Some(bound)
        } else {
            state.local = Some(SocketAddr::new(ip, bound.port));
            state.bound = Some(bound);
            None
        };
        drop(state);
        drop(spare);
        Ok(())
    }

    pub(super) fn do_listen(&self, backlog: i32) -> Result<(), Errno> {
        let backlog = (backlog as u32).min(SOMAXCONN) as usize;
        if self.peer().is_some() {
            return Err(Errno::EINVAL);
        }
        self.autobind()?;
        let (new, bound) = {
            let mut state = self.state.lock();
            let unreported = state.unreported;
            match &mut state.phase {
                Phase::Listening(listener) => {
                    listener.backlog = backlog;
                    (false, None)
                }
                Phase::Closed if !unreported => (true, state.bound.take()),
                _ => return Err(Errno::EINVAL),
            }
        };
        if new {
            // The port's table is not to be taken under the socket's lock.
            let result = match &bound {
                Some(bound) => bound.set_listening(true),
                None => Ok(()),
            };
            let mut state = self.state.lock();
            state.bound = bound;
            result?;
            self.shutdown.store(0, Ordering::SeqCst);
            state.phase =
                Phase::Listening(Listener { backlog, pending: VecDeque::new(), blocked: VecDeque::new() });
        } else {
            self.admit_blocked();
        }
        Ok(())
    }

    pub(super) fn do_accept(&self) -> Result<Arc<TcpSocket>, Errno> {
        let connection = {
            let mut state = self.state.lock();
            let Phase::Listening(listener) = &mut state.phase else { return Err(Errno::EINVAL) };
            listener.pending.pop_front().ok_or(Errno::EAGAIN)?
        };
        self.admit_blocked();
        Ok(connection)
    }

    /// Lets in clients that waited for there to be fewer connections.
    fn admit_blocked(&self) {
        loop {
            let next = {
                let mut state = self.state.lock();
                let Phase::Listening(listener) = &mut state.phase else { return };
                if listener.pending.len() > listener.backlog {
                    return;
                }
                listener.blocked.pop_front()
            };
            let Some(next) = next else { return };
            let Some(client) = next.upgrade() else { continue };
            let ends = {
                let state = client.state.lock();
                matches!(state.phase, Phase::Connecting).then_some((state.local, state.remote))
            };
            if let Some((Some(local), Some(remote))) = ends {
                self.meet(&client, local, remote);
            }
        }
    }

    pub(super) fn do_connect(&self, bytes: &[u8]) -> Result<(), Errno> {
        if addr::family_of(bytes)? == AF_UNSPEC {
            self.disconnect();
            return Ok(());
        }
        {
            let mut state = self.state.lock();
            if state.unreported {
                return match state.phase {
                    Phase::Connecting => Err(Errno::EALREADY),
                    Phase::Connected => {
                        state.unreported = false;
                        Ok(())
                    }
                    _ => {
                        state.unreported = false;
                        self.shutdown.store(0, Ordering::SeqCst);
                        Err(self.common.take_error().unwrap_or(Errno::ECONNABORTED))
                    }
                };
            }
            if !matches!(state.phase, Phase::Closed) || self.link.lock().is_some() {
                return Err(Errno::EISCONN);
            }
        }
        let given = addr::parse(self.common.family, bytes)?;
        let to = canonical(given.ip());
        if self.common.family == AF_INET6 && to.is_ipv4() && self.v6_only() {
            return Err(Errno::ENETUNREACH);
        }
        let ns = &self.common.ns;
        let (to, from) = ns.route(to)?;
        if addr::is_broadcast(to) {
            return Err(Errno::ENETUNREACH);
        }
        let bound_ip = self.state.lock().bound_ip;
        if bound_ip.is_some_and(|ip| ip.is_ipv4() != to.is_ipv4()) {
            return Err(Errno::EINVAL);
        }
        let from = bound_ip.unwrap_or(from);
        let remote = SocketAddr::new(to, given.port());
        self.begin(from, remote)
    }

    /// Binds to the source address and meets the listener, if there is one.
    fn begin(&self, from: IpAddr, remote: SocketAddr) -> Result<(), Errno> {
        let ns = &self.common.ns;
        let bound = self.state.lock().bound.take();
        let bound = match bound {
            Some(bound) => match bound.set_remote(from, Some(remote)) {
                Ok(()) => bound,
                Err(e) => {
                    self.state.lock().bound = Some(bound);
                    return Err(e);
                }
            },
            None => ns.tcp_ports.bind_to_connect(self.request(from), remote, self.weak())?,
        };
        let local = SocketAddr::new(from, bound.port);
        {
            let mut state = self.state.lock();
            state.local = Some(local);
            state.remote = Some(remote);
            state.bound = Some(bound);
            state.unreported = true;
            state.phase = Phase::Connecting;
            self.shutdown.store(0, Ordering::SeqCst);
            *self.queue.lock() = Queue::default();
        }
        let me = self.me.upgrade().ok_or(Errno::EBADF)?;
        self.show(None, TCP_SYN, None, &[]);
        match ns.tcp_ports.listener::<TcpSocket>(remote, local) {
            Some(listener) if !std::ptr::eq(&*listener, self) => listener.meet(&me, local, remote),
            _ => self.refused(),
        }
        Err(Errno::EINPROGRESS)
    }

    /// As a listener: makes a connection with `client`, at once or when there is room for it.
    fn meet(&self, client: &Arc<TcpSocket>, local: SocketAddr, remote: SocketAddr) {
        let ns = &self.common.ns;
        let child = TcpSocket::new(ns.clone(), self.common.family, self.common.uid);
        child.common.inherit(&self.common);
        child.options.inherit(&self.options);
        let entry = ns.tcp_ports.add_accepted(remote.port(), self.request(remote.ip()), local, child.weak());
        {
            let mut state = child.state.lock();
            state.phase = Phase::Connected;
            state.local = Some(remote);
            state.remote = Some(local);
            state.bound = Some(entry);
        }
        *child.link.lock() = Some(Arc::downgrade(client));
        enum Outcome {
            Met,
            Waits,
            Refused,
        }
        let outcome = {
            let mut state = self.state.lock();
            match &mut state.phase {
                Phase::Listening(l) if l.pending.len() > l.backlog => {
                    l.blocked.push_back(Arc::downgrade(client));
                    Outcome::Waits
                }
                Phase::Listening(l) => {
                    let mut theirs = client.state.lock_nested();
                    if matches!(theirs.phase, Phase::Connecting) {
                        *client.link.lock() = Some(Arc::downgrade(&child));
                        theirs.phase = Phase::Connected;
                        l.pending.push_back(child.clone());
                    }
                    Outcome::Met
                }
                _ => Outcome::Refused,
            }
        };
        match outcome {
            Outcome::Met => {
                ns.loopback.count(60);
                child.show(Some(client), TCP_SYN | TCP_ACK, None, &[]);
                client.show(Some(&child), TCP_ACK, Some(0), &[]);
                self.common.queue.notify(Ready::IN | Ready::RDNORM);
                client.common.queue.notify(Ready::OUT | Ready::WRNORM);
            }
            Outcome::Waits => {}
            Outcome::Refused => client.refused(),
        }
    }

    /// Nobody listens there.
    fn refused(&self) {
        self.show_refusal();
        self.reset_to_closed();
        self.shutdown.store(BOTH, Ordering::SeqCst);
        self.common.set_error(Errno::ECONNREFUSED);
        self.common.queue.notify(ALL | Ready::ERR);
    }

    /// What is left of a connection is forgotten; the port stays if the application chose it.
    fn reset_to_closed(&self) {
        let old = {
            let mut state = self.state.lock();
            state.phase = Phase::Closed;
            state.remote = None;
            if state.port_chosen {
                let ip = state.bound_ip.unwrap_or(addr::unspecified(self.common.family));
                if let Some(local) = &mut state.local {
                    local.set_ip(ip);
                }
                None
            } else {
                state.local = None;
                state.bound.take()
            }
        };
        drop(old);
        *self.link.lock() = None;
    }

    /// `connect(AF_UNSPEC)`.
    fn disconnect(&self) {
        let peer = self.peer();
        self.stop_listening();
        self.reset_to_closed();
        self.state.lock().unreported = false;
        self.shutdown.store(0, Ordering::SeqCst);
        *self.queue.lock() = Queue::default();
        self.common.take_error();
        if let Some(peer) = peer {
            peer.got_reset();
        }
    }

    pub(super) fn do_connected(&self) -> Result<(), Errno> {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Connecting => Err(Errno::EAGAIN),
            Phase::Connected => {
                state.unreported = false;
                Ok(())
            }
            _ => {
                state.unreported = false;
                self.shutdown.store(0, Ordering::SeqCst);
                Err(self.common.take_error().unwrap_or(Errno::ECONNABORTED))
            }
        }
    }

    /// The other end has reset the connection.
    pub(super) fn got_reset(&self) {
        let fin = self.queue.lock().fin;
        self.state.lock().phase = Phase::Closed;
        self.shutdown.store(BOTH, Ordering::SeqCst);
        self.common.set_error(if fin { Errno::EPIPE } else { Errno::ECONNRESET });
        self.common.queue.notify(ALL | Ready::ERR);
    }

    /// The other end sends no more.
    fn got_fin(&self) {
        self.queue.lock().fin = true;
        self.common.queue.notify(ALL);
    }

    pub(super) fn do_shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        enum Now {
            Nothing,
            Listening,
            Connected,
        }
        let now = match &self.state.lock().phase {
            Phase::Closed => Now::Nothing,
            Phase::Listening(_) => Now::Listening,
            Phase::Connecting | Phase::Connected => Now::Connected,
        };
        let bits = if how.reads() { RECEIVE } else { 0 } | if how.writes() { SEND } else { 0 };
        match now {
            Now::Nothing => {
                self.shutdown.fetch_or(bits, Ordering::SeqCst);
                self.common.queue.notify(ALL);
                return Err(Errno::ENOTCONN);
            }
            Now::Listening if how.reads() => {
                self.stop_listening();
                self.state.lock().phase = Phase::Closed;
            }
            Now::Listening => {}
            Now::Connected => {
                let before = self.shutdown.fetch_or(bits, Ordering::SeqCst);
                if bits & SEND != 0
                    && before & SEND == 0
                    && let Some(peer) = self.peer()
                {
                    self.show_end(&peer, TCP_FIN);
                    peer.got_fin();
                }
            }
        }
        self.common.queue.notify(ALL);
        Ok(())
    }

    /// Ends listening: connections that nobody accepted are reset, clients that wait are refused.
    fn stop_listening(&self) {
        let (listener, bound) = {
            let mut state: ksync::MutexGuard<'_, State> = self.state.lock();
            match std::mem::replace(&mut state.phase, Phase::Closed) {
                Phase::Listening(listener) => (Some(listener), state.bound.take()),
                other => {
                    state.phase = other;
                    return;
                }
            }
        };
        if let Some(bound) = bound {
            let _ = bound.set_listening(false); // only beginning can fail
            self.state.lock().bound = Some(bound);
        }
        let Some(listener) = listener else { return };
        for connection in listener.pending {
            if let Some(client) = connection.peer() {
                client.got_reset();
            }
        }
        for client in listener.blocked.iter().filter_map(Weak::upgrade) {
            if matches!(client.state.lock().phase, Phase::Connecting) {
                client.refused();
            }
        }
    }

    pub(super) fn do_release(&self) {
        self.stop_listening();
        let peer = self.peer();
        let unread = {
            let mut queue = self.queue.lock();
            let unread = !queue.bytes.is_empty();
            *queue = Queue::default();
            unread
        };
        let linger = self.common.linger();
        let abort = unread || (linger.l_onoff != 0 && linger.l_linger == 0);
        let before = self.shutdown.swap(BOTH, Ordering::SeqCst);
        let bound = {
            let mut state = self.state.lock();
            state.phase = Phase::Closed;
            state.bound.take()
        };
        drop(bound);
        if let Some(peer) = peer {
            if abort {
                self.show_end(&peer, TCP_RST);
                peer.got_reset();
            } else if before & SEND == 0 {
                self.show_end(&peer, TCP_FIN);
                peer.got_fin();
            } else {
                peer.common.queue.notify(ALL);
            }
        }
    }
}
