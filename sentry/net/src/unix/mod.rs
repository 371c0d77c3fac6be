//! Sockets of the family `AF_UNIX` (`unix(7)`): streams, datagrams, sequenced packets.
//!
//! A [`UnixSocket`] owns the queue of what was sent *to* it; whoever sends puts it there. Connected streams refer to
//! one another weakly, so that a peer that is gone is a reference that cannot be upgraded.
//!
//! **Lock order:** abstract names, files in flight ([`rights`]), `state` of two sockets by address, `queue`. Nothing is
//! announced and no file dropped under a socket's lock.
//! **Absent on purpose:** `SO_PEEK_OFF`.

mod connect;
mod name;
mod packet;
mod path;
mod queue;
pub mod rights;
#[cfg(test)]
mod rights_tests;
mod stream;
#[cfg(test)]
mod tests;

pub use name::{AbstractNames, UnixName};
pub use rights::Rights;

use crate::{
    caller::Caller,
    common::{Common, Flags, int_value, value_of},
    message::{Address, OptionValue, RecvMsg, SendMsg, Sender},
    namespace::NetNamespace,
    socket::SocketOps,
};
use abi::{Errno, SockType, socket::*};
use ksync::{Mutex, Ready, rank};
use mem::UserMemory;
use queue::Queue;
use std::{
    any::Any,
    collections::VecDeque,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
};

/// `sk_shutdown`: nothing is received any more.
const RECEIVE: u8 = 1;
/// Nothing can be sent any more.
const SEND: u8 = 2;
const BOTH: u8 = RECEIVE | SEND;

/// Connections that nobody has accepted yet.
struct Listener {
    backlog: usize,
    pending: VecDeque<Arc<UnixSocket>>,
    /// Who sleeps in connect because there are too many of them.
    blocked: Vec<Weak<UnixSocket>>,
}

enum Phase {
    Unconnected,
    Listening(Listener),
    Connected,
}

/// Whose credentials `SO_PEERCRED` gives, and their groups.
#[derive(Clone)]
struct PeerIdentity {
    sender: Sender,
    groups: Arc<[vfs::Gid]>,
}

struct State {
    phase: Phase,
    /// Whom datagrams go to.
    datagram_peer: Option<Weak<UnixSocket>>,
    peer_identity: Option<PeerIdentity>,
    /// The inode that it is bound to.
    bound_to: Option<Arc<dyn vfs::Inode>>,
}

/// The other end of a connected stream or of connected packets.
struct Peer {
    socket: Weak<UnixSocket>,
    name: Arc<OnceLock<UnixName>>,
}

/// What `sock_diag(7)` shows of a socket.
pub(crate) struct Details {
    /// The other end's inode.
    pub peer: Option<u64>,
    /// Inode and device that it is bound to.
    pub bound_to: Option<(u64, u64)>,
    /// Bytes to be received, or connections that wait.
    pub queued: usize,
    /// Bytes that were not received yet, or how many connections may wait.
    pub unsent: usize,
    /// Inodes of those who wait to be accepted.
    pub waiting: Vec<u64>,
    /// 1: receives no more; 2: sends no more.
    pub shutdown: u8,
}

/// A socket of the family `AF_UNIX`.
pub struct UnixSocket {
    common: Common,
    me: Weak<UnixSocket>,
    name: Arc<OnceLock<UnixName>>,
    state: Mutex<State>,
    /// Set once, by connecting; not for datagrams.
    peer: OnceLock<Peer>,
    queue: Mutex<Queue>,
    shutdown: AtomicU8,
    /// Bytes of packets that wait in others' queues, with what Linux adds for each.
    charged: AtomicUsize,
    /// Somebody has it open: false for connections that nobody has accepted yet.
    accepted: AtomicBool,
    dead: AtomicBool,
}

impl UnixSocket {
    /// An unconnected socket; `ESOCKTNOSUPPORT`.
    pub fn new(ns: Arc<NetNamespace>, kind: SockType, uid: vfs::Uid) -> Result<Arc<Self>, Errno> {
        // Linux gives datagrams to those who ask for raw ones.
        let kind = match kind {
            SockType::Raw => SockType::Dgram,
            SockType::Stream | SockType::Dgram | SockType::Seqpacket => kind,
            _ => return Err(Errno::ESOCKTNOSUPPORT),
        };
        Ok(Self::make(ns, kind, uid, Arc::default(), true))
    }

    fn make(
        ns: Arc<NetNamespace>,
        kind: SockType,
        uid: vfs::Uid,
        name: Arc<OnceLock<UnixName>>,
        accepted: bool,
    ) -> Arc<Self> {
        let state =
            State { phase: Phase::Unconnected, datagram_peer: None, peer_identity: None, bound_to: None };
        Arc::new_cyclic(|me| Self {
            common: Common::new(ns, AF_UNIX, kind, 0, uid),
            me: me.clone(),
            name,
            state: Mutex::new(rank::SOCKET, state),
            peer: OnceLock::new(),
            queue: Mutex::new(rank::SOCKET_QUEUE, Queue::default()),
            shutdown: AtomicU8::new(0),
            charged: AtomicUsize::new(0),
            accepted: AtomicBool::new(accepted),
            dead: AtomicBool::new(false),
        })
    }

    /// `socketpair(2)`.
    pub fn pair(
        ns: &Arc<NetNamespace>,
        kind: SockType,
        caller: Caller<'_>,
    ) -> Result<(Arc<Self>, Arc<Self>), Errno> {
        let identity = caller.identity();
        let uid = identity.cred.euid;
        let (a, b) = (Self::new(ns.clone(), kind, uid)?, Self::new(ns.clone(), kind, uid)?);
        for (one, other) in [(&a, &b), (&b, &a)] {
            let mut state = one.state.lock();
            state.peer_identity = Some(PeerIdentity::of(&identity));
            if one.is_datagram() {
                state.datagram_peer = Some(Arc::downgrade(other));
            } else {
                state.phase = Phase::Connected;
                let _ = one.peer.set(Peer { socket: Arc::downgrade(other), name: other.name.clone() });
            }
        }
        Ok((a, b))
    }

    fn is_datagram(&self) -> bool {
        self.common.kind == SockType::Dgram
    }
    fn is_stream(&self) -> bool {
        self.common.kind == SockType::Stream
    }
    fn is_down(&self, which: u8) -> bool {
        self.shutdown.load(Ordering::SeqCst) & which != 0
    }

    /// The other end, while it is open.
    fn connected_peer(&self) -> Option<Arc<UnixSocket>> {
        self.peer.get()?.socket.upgrade()
    }
    fn datagram_peer(&self) -> Option<Arc<UnixSocket>> {
        self.state.lock().datagram_peer.as_ref()?.upgrade()
    }

    /// Whether what is sent to `peer` carries who sent it.
    fn adds_sender(&self, peer: &UnixSocket) -> bool {
        let asked = |s: &UnixSocket| s.common.has(Flags::PASSCRED) || s.common.has(Flags::PASSPIDFD);
        asked(self) || asked(peer) || !peer.accepted.load(Ordering::Relaxed)
    }

    /// `unix_writable`: at most a quarter of the send buffer is used.
    fn has_room(&self, used: usize) -> bool {
        used.saturating_mul(4) <= self.common.sndbuf()
    }

    /// Ids of the sockets that wait to be received here; for the collection of those in flight.
    fn files_in_queue(&self) -> Vec<u64> {
        let embryos = self.embryos();
        let of = |s: &UnixSocket| s.queue.lock().rights().flat_map(Rights::ids).collect::<Vec<_>>();
        let mut ids = of(self);
        ids.extend(embryos.iter().flat_map(|e| of(e)));
        ids
    }

    /// Takes the files that wait here, for nobody can receive them.
    fn take_rights_in_queue(&self) -> Vec<Rights> {
        let mut taken = self.queue.lock().take_rights();
        for embryo in self.embryos() {
            taken.extend(embryo.queue.lock().take_rights());
        }
        taken
    }

    fn embryos(&self) -> Vec<Arc<UnixSocket>> {
        match &self.state.lock().phase {
            Phase::Listening(listener) => listener.pending.iter().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Its state as `sock_diag(7)` shows it.
    pub(crate) fn diag_state(&self) -> TcpState {
        let state = self.state.lock();
        match (&state.phase, &state.datagram_peer) {
            (Phase::Listening(_), _) => TcpState::Listen,
            (Phase::Connected, _) | (_, Some(_)) => TcpState::Established,
            _ => TcpState::Close,
        }
    }

    /// What `sock_diag(7)` shows beside name and state.
    pub(crate) fn details(&self) -> Details {
        let ino = |s: &UnixSocket| s.common.ino.load(Ordering::Relaxed);
        let peer = if self.is_datagram() { self.datagram_peer() } else { self.connected_peer() };
        let (bound_to, listening) = {
            let state = self.state.lock();
            let listening = match &state.phase {
                Phase::Listening(listener) => {
                    let clients = listener.pending.iter().filter_map(|s| s.connected_peer());
                    Some((clients.map(|s| ino(&s)).collect::<Vec<_>>(), listener.backlog))
                }
                _ => None,
            };
            (state.bound_to.clone(), listening)
        };
        let bound_to = bound_to.and_then(|inode| inode.attr().ok()).map(|attr| (attr.ino, attr.dev));
        let shutdown = self.shutdown.load(Ordering::SeqCst);
        let peer = peer.map(|s| ino(&s));
        match listening {
            Some((waiting, backlog)) => {
                Details { peer, bound_to, queued: waiting.len(), unsent: backlog, waiting, shutdown }
            }
            None => {
                let queued = self.queue.lock().readable();
                let unsent = self.unsent_bytes().unwrap_or(0);
                Details { peer, bound_to, queued, unsent, waiting: Vec::new(), shutdown }
            }
        }
    }

    /// For `/proc/net/unix`: state, flags, name.
    pub(crate) fn describe(&self) -> (u8, u32, Option<UnixName>) {
        const SS_UNCONNECTED: u8 = 1;
        const SS_CONNECTED: u8 = 3;
        const SO_ACCEPTCON: u32 = 0x10000;
        let (state, flags) = match self.state.lock().phase {
            Phase::Listening(_) => (SS_UNCONNECTED, SO_ACCEPTCON),
            Phase::Connected => (SS_CONNECTED, 0),
            Phase::Unconnected => (SS_UNCONNECTED, 0),
        };
        (state, flags, self.name.get().cloned())
    }
}

impl PeerIdentity {
    fn of(identity: &crate::caller::Identity) -> Self {
        Self { sender: Sender::effective(identity), groups: identity.cred.groups.clone() }
    }
}

impl SocketOps for UnixSocket {
    fn common(&self) -> &Common {
        &self.common
    }
    fn bind(&self, caller: Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        self.do_bind(caller, addr)
    }
    fn listen(&self, caller: Caller<'_>, backlog: i32) -> Result<(), Errno> {
        self.do_listen(caller, backlog)
    }
    fn accept(&self, _: Caller<'_>) -> Result<Arc<dyn SocketOps>, Errno> {
        self.do_accept().map(|s| s as Arc<dyn SocketOps>)
    }
    fn connect(&self, caller: Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        if self.is_datagram() {
            self.connect_datagram(caller, addr)
        } else {
            self.connect_stream(caller, addr)
        }
    }
    fn send(&self, caller: Caller<'_>, msg: &mut SendMsg<'_, '_>) -> Result<usize, Errno> {
        if msg.flags.contains(MsgFlags::OOB) && !self.is_stream() {
            return Err(Errno::EOPNOTSUPP);
        }
        match self.common.kind {
            SockType::Stream => self.send_stream(caller, msg),
            SockType::Seqpacket => self.send_seqpacket(caller, msg),
            _ => self.send_datagram(caller, msg),
        }
    }
    fn recv(&self, _: Caller<'_>, msg: &mut RecvMsg<'_, '_>) -> Result<usize, Errno> {
        if msg.flags.contains(MsgFlags::OOB) {
            return if self.is_stream() { self.recv_urgent(msg) } else { Err(Errno::EOPNOTSUPP) };
        }
        if self.is_stream() { self.recv_stream(msg) } else { self.recv_packet(msg) }
    }

    fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        let mine = if how.reads() { RECEIVE } else { 0 } | if how.writes() { SEND } else { 0 };
        let theirs = if how.reads() { SEND } else { 0 } | if how.writes() { RECEIVE } else { 0 };
        self.shutdown.fetch_or(mine, Ordering::SeqCst);
        let changed = Ready::IN | Ready::OUT | Ready::RDHUP | Ready::HUP | Ready::RDNORM | Ready::WRNORM;
        if let Some(peer) = self.connected_peer() {
            // Under the queue's lock: whoever looks for data there sees the data that came before.
            let queue = peer.queue.lock();
            peer.shutdown.fetch_or(theirs, Ordering::SeqCst);
            drop(queue);
            peer.common.queue.notify(changed);
        }
        self.common.queue.notify(changed);
        Ok(())
    }

    fn ready(&self) -> Ready {
        let mut ready = Ready::empty();
        if self.common.has_error() {
            ready |= Ready::ERR;
        }
        let shutdown = self.shutdown.load(Ordering::SeqCst);
        if shutdown & BOTH == BOTH {
            ready |= Ready::HUP;
        }
        if shutdown & RECEIVE != 0 {
            ready |= Ready::RDHUP | Ready::IN | Ready::RDNORM;
        }
        let (mut listening, mut waiting) = (false, false);
        if !self.is_datagram() && self.peer.get().is_none() {
            match &self.state.lock().phase {
                Phase::Listening(listener) => (listening, waiting) = (true, !listener.pending.is_empty()),
                _ => ready |= Ready::HUP,
            }
        }
        let (empty, urgent) = {
            let queue = self.queue.lock();
            // An urgent byte that was taken is nothing to read.
            let taken = queue.urgent.is_some_and(|u| u.read && u.at == queue.start);
            (
                queue.readable() <= usize::from(taken) && queue.packets.is_empty(),
                queue.urgent.is_some_and(|u| !u.read),
            )
        };
        if waiting || !empty {
            ready |= Ready::IN | Ready::RDNORM;
        }
        if urgent {
            ready |= Ready::PRI;
        }
        if !listening && self.is_writable() {
            ready |= Ready::OUT | Ready::WRNORM | Ready::WRBAND;
        }
        ready
    }

    fn local_name(&self) -> Result<Address, Errno> {
        Ok(self.name.get().map_or_else(name::unnamed, UnixName::to_address))
    }

    fn peer_name(&self) -> Result<Address, Errno> {
        let name = match self.peer.get() {
            Some(peer) => peer.name.clone(),
            None => self.datagram_peer().ok_or(Errno::ENOTCONN)?.name.clone(),
        };
        Ok(name.get().map_or_else(name::unnamed, UnixName::to_address))
    }

    fn get_option(
        &self,
        caller: Caller<'_>,
        level: i32,
        name: i32,
        room: usize,
    ) -> Result<OptionValue, Errno> {
        if level != SOL_SOCKET {
            return Err(Errno::EOPNOTSUPP);
        }
        match name {
            SO_ACCEPTCONN => Ok(int_value(matches!(self.state.lock().phase, Phase::Listening(_)))),
            SO_PEERCRED => {
                let peer = self.state.lock().peer_identity.clone();
                let sender = peer.map_or_else(Sender::unknown, |p| p.sender);
                Ok(value_of(&crate::control::ucred(&sender, &caller)))
            }
            SO_PEERGROUPS => {
                let peer = self.state.lock().peer_identity.clone().ok_or(Errno::ENODATA)?;
                let cred = caller.cred();
                if room < peer.groups.len() * 4 {
                    return Err(Errno::ERANGE);
                }
                Ok(peer.groups.iter().flat_map(|g| cred.user_ns.show_gid(*g).to_ne_bytes()).collect())
            }
            // There is no security module.
            SO_PEERSEC => Err(Errno::ENOPROTOOPT),
            SO_PEERNAME => Ok(OptionValue::from_slice(&self.peer_name()?)),
            _ => self.common.get_option(name),
        }
    }

    fn set_option(&self, caller: Caller<'_>, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        if level != SOL_SOCKET {
            return Err(Errno::EOPNOTSUPP);
        }
        match name {
            SO_REUSEPORT if value.iter().take(4).any(|b| *b != 0) => Err(Errno::EOPNOTSUPP),
            _ => self.common.set_option(&caller, name, value),
        }
    }

    fn readable_bytes(&self) -> Result<usize, Errno> {
        if matches!(self.state.lock().phase, Phase::Listening(_)) {
            return Err(Errno::EINVAL);
        }
        Ok(self.queue.lock().readable())
    }

    fn unsent_bytes(&self) -> Result<usize, Errno> {
        match self.common.kind {
            SockType::Stream => Ok(self.connected_peer().map_or(0, |p| p.queue.lock().bytes.len())),
            _ => Ok(self.charged.load(Ordering::Relaxed)),
        }
    }

    fn ioctl(&self, _: Caller<'_>, mem: &dyn UserMemory, cmd: u32, arg: u64) -> Result<u64, Errno> {
        match cmd {
            SIOCATMARK if self.is_stream() => {
                let at_mark = {
                    let queue = self.queue.lock();
                    queue.urgent.is_some_and(|u| u.at == queue.start)
                };
                mem::UserPtr::<i32>::from(arg).write(mem, &i32::from(at_mark)).map(|()| 0)
            }
            SIOCATMARK => Err(Errno::EOPNOTSUPP),
            // Would give a descriptor of the bound inode; only checkpointing tools ask.
            SIOCUNIXFILE => Err(Errno::EOPNOTSUPP),
            _ => Err(Errno::ENOTTY),
        }
    }

    fn shut_down(&self) -> u8 {
        self.shutdown.load(Ordering::SeqCst)
    }

    fn release(&self) {
        self.do_release();
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
