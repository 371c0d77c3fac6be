//! TCP without packets: two sockets that put bytes into each other's queue, and the rules of opening and closing.
//!
//! A socket owns the queue of what was sent to it, and its connection's other end is a weak reference. What the other
//! end does (FIN, RST) is noted here at once: `fin`, the pending error, `shutdown`.
//!
//! **Lock order:** port table; `state`, a listener's before a client's before an accepted connection's; `queue`; `link`.
//! **Absent on purpose:** `TIME_WAIT` (nothing is late here), simultaneous open, timeouts of connecting.

mod connect;
mod segments;
mod transfer;

use super::{addr, options::InetOptions, ports::Bound};
use crate::{
    bytes::ByteQueue,
    caller::Caller,
    common::{Common, int_value, value_of},
    message::{Address, OptionValue, RecvMsg, SendMsg},
    namespace::NetNamespace,
    socket::SocketOps,
};
use abi::{Errno, SockType, socket::*};
use ksync::{Mutex, Ready, rank};
use mem::{UserMemory, UserPtr};
use std::{
    any::Any,
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Weak,
        atomic::{AtomicU8, Ordering},
    },
};

const RECEIVE: u8 = 1;
const SEND: u8 = 2;
const BOTH: u8 = RECEIVE | SEND;

/// `net.ipv4.tcp_wmem` and `tcp_rmem`, second numbers.
const SEND_BUFFER: usize = 16384;
const RECEIVE_BUFFER: usize = 131_072;
/// What a loopback's segment carries.
const LOOPBACK_MSS: i32 = 65483;

/// Connections that nobody has accepted yet, and clients that wait for there to be fewer.
struct Listener {
    backlog: usize,
    pending: VecDeque<Arc<TcpSocket>>,
    blocked: VecDeque<Weak<TcpSocket>>,
}

enum Phase {
    /// Not connected, or not any more.
    Closed,
    Listening(Listener),
    /// The listener has too many connections.
    Connecting,
    Connected,
}

struct State {
    phase: Phase,
    /// A connect has begun of which the result was not told yet.
    unreported: bool,
    bound: Option<Bound>,
    /// The address and port were chosen by the application, and outlive a connection.
    bound_ip: Option<IpAddr>,
    port_chosen: bool,
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
}

/// The urgent byte.
#[derive(Clone, Copy)]
struct Urgent {
    /// Where it is in the stream.
    at: u64,
    byte: u8,
    /// It was received out of band already.
    read: bool,
}

/// What was sent to us.
#[derive(Default)]
struct Queue {
    bytes: ByteQueue,
    /// Where the first byte is in the stream.
    start: u64,
    urgent: Option<Urgent>,
    /// The other end will send no more.
    fin: bool,
}

/// A TCP socket.
pub struct TcpSocket {
    common: Common,
    me: Weak<TcpSocket>,
    options: InetOptions,
    state: Mutex<State>,
    queue: Mutex<Queue>,
    link: Mutex<Option<Weak<TcpSocket>>>,
    shutdown: AtomicU8,
}

impl TcpSocket {
    /// An unconnected socket of `AF_INET` or `AF_INET6`.
    pub fn new(ns: Arc<NetNamespace>, family: u16, uid: vfs::Uid) -> Arc<Self> {
        let common = Common::new(ns, family, SockType::Stream, IPPROTO_TCP, uid);
        common.set_buffers(SEND_BUFFER, RECEIVE_BUFFER);
        let state = State {
            phase: Phase::Closed,
            unreported: false,
            bound: None,
            bound_ip: None,
            port_chosen: false,
            local: None,
            remote: None,
        };
        Arc::new_cyclic(|me| Self {
            common,
            me: me.clone(),
            options: InetOptions::default(),
            state: Mutex::new(rank::SOCKET, state),
            queue: Mutex::new(rank::SOCKET_QUEUE, Queue::default()),
            link: Mutex::new(rank::LEAF, None),
            shutdown: AtomicU8::new(0),
        })
    }

    fn peer(&self) -> Option<Arc<TcpSocket>> {
        self.link.lock().as_ref()?.upgrade()
    }
    fn is_down(&self, which: u8) -> bool {
        self.shutdown.load(Ordering::SeqCst) & which != 0
    }
    fn v6_only(&self) -> bool {
        self.options.on(SOL_IPV6, IPV6_V6ONLY)
    }

    /// Bytes that may lie in `peer`'s queue: what would be in both ends' buffers.
    fn capacity(&self, peer: &TcpSocket) -> usize {
        self.common.sndbuf() + peer.common.rcvbuf()
    }

    /// Whether a sender with `used` of `capacity` bytes is told that it may write (`sk_stream_is_writeable`).
    fn has_room(used: usize, capacity: usize) -> bool {
        used.saturating_mul(3) <= capacity.saturating_mul(2)
    }

    /// `TCP_*` as `/proc/net/tcp` and `TCP_INFO` show it.
    pub(crate) fn tcp_state(&self) -> TcpState {
        let fin = self.queue.lock().fin;
        match (&self.state.lock().phase, self.is_down(SEND), fin) {
            (Phase::Closed, ..) => TcpState::Close,
            (Phase::Listening(_), ..) => TcpState::Listen,
            (Phase::Connecting, ..) => TcpState::SynSent,
            (Phase::Connected, false, false) => TcpState::Established,
            (Phase::Connected, false, true) => TcpState::CloseWait,
            (Phase::Connected, true, false) => TcpState::FinWait2,
            (Phase::Connected, true, true) => TcpState::Close,
        }
    }

    /// Of a listener: connections that wait, and how many may.
    pub(crate) fn backlog(&self) -> Option<(usize, usize)> {
        match &self.state.lock().phase {
            Phase::Listening(listener) => Some((listener.pending.len(), listener.backlog)),
            _ => None,
        }
    }

    /// Local and remote address.
    pub(crate) fn ends(&self) -> (SocketAddr, SocketAddr) {
        let none = SocketAddr::new(addr::unspecified(self.common.family), 0);
        let state = self.state.lock();
        (state.local.unwrap_or(none), state.remote.unwrap_or(none))
    }

    fn info(&self) -> TcpInfo {
        let received = {
            let queue = self.queue.lock();
            queue.start + queue.bytes.len() as u64
        };
        let sent = self.peer().map_or(0, |p| {
            let queue = p.queue.lock();
            queue.start + queue.bytes.len() as u64
        });
        TcpInfo {
            tcpi_state: self.tcp_state() as u8,
            tcpi_options: TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE,
            tcpi_wscale: 0x77,
            tcpi_rto: 201_000,
            tcpi_ato: 40_000,
            tcpi_snd_mss: LOOPBACK_MSS as u32,
            tcpi_rcv_mss: 536,
            tcpi_advmss: LOOPBACK_MSS as u32,
            tcpi_pmtu: 65536,
            tcpi_rcv_ssthresh: 65483,
            tcpi_rtt: 20,
            tcpi_rttvar: 10,
            tcpi_min_rtt: 5,
            tcpi_snd_ssthresh: i32::MAX as u32,
            tcpi_snd_cwnd: 10,
            tcpi_reordering: 3,
            tcpi_rcv_space: 65483,
            tcpi_max_pacing_rate: u64::MAX,
            tcpi_bytes_acked: sent,
            tcpi_bytes_sent: sent,
            tcpi_bytes_received: received,
            tcpi_snd_wnd: 65536,
            tcpi_rcv_wnd: 65536,
            ..TcpInfo::default()
        }
    }
}

impl SocketOps for TcpSocket {
    fn common(&self) -> &Common {
        &self.common
    }
    fn bind(&self, caller: Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        self.do_bind(caller, addr)
    }
    fn listen(&self, _: Caller<'_>, backlog: i32) -> Result<(), Errno> {
        self.do_listen(backlog)
    }
    fn accept(&self, _: Caller<'_>) -> Result<Arc<dyn SocketOps>, Errno> {
        self.do_accept().map(|s| s as Arc<dyn SocketOps>)
    }
    fn connect(&self, _: Caller<'_>, addr: &[u8]) -> Result<(), Errno> {
        self.do_connect(addr)
    }
    fn connected(&self) -> Result<(), Errno> {
        self.do_connected()
    }
    fn send(&self, caller: Caller<'_>, msg: &mut SendMsg<'_, '_>) -> Result<usize, Errno> {
        if msg.flags.contains(MsgFlags::FASTOPEN)
            && let Some(name) = msg.name
        {
            match self.connect(caller, name) {
                Ok(()) | Err(Errno::EINPROGRESS | Errno::EISCONN) => {}
                Err(e) => return Err(e),
            }
            self.do_connected()?;
        }
        self.do_send(msg)
    }
    fn recv(&self, _: Caller<'_>, msg: &mut RecvMsg<'_, '_>) -> Result<usize, Errno> {
        if msg.flags.contains(MsgFlags::ERRQUEUE) {
            return Err(Errno::EAGAIN);
        }
        if msg.flags.contains(MsgFlags::OOB) { self.recv_urgent(msg) } else { self.do_recv(msg) }
    }
    fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        self.do_shutdown(how)
    }

    fn ready(&self) -> Ready {
        let mut ready = Ready::empty();
        if self.common.has_error() {
            ready |= Ready::ERR;
        }
        let (closed, connecting) = match &self.state.lock().phase {
            Phase::Listening(l) => {
                let waiting = !l.pending.is_empty();
                return if waiting { ready | Ready::IN | Ready::RDNORM } else { ready };
            }
            Phase::Closed => (true, false),
            Phase::Connecting => (false, true),
            Phase::Connected => (false, false),
        };
        let (fin, readable, urgent) = {
            let queue = self.queue.lock();
            let low = self.common.receive_low_water().min(self.common.rcvbuf());
            let urgent = queue.urgent.is_some_and(|u| !u.read && u.at >= queue.start);
            (queue.fin, queue.bytes.len() >= low, urgent)
        };
        let shutdown = self.shutdown.load(Ordering::SeqCst) | if fin { RECEIVE } else { 0 };
        if shutdown == BOTH || closed {
            ready |= Ready::HUP;
        }
        if shutdown & RECEIVE != 0 {
            ready |= Ready::IN | Ready::RDNORM | Ready::RDHUP;
        }
        if connecting {
            return ready;
        }
        if readable {
            ready |= Ready::IN | Ready::RDNORM;
        }
        if urgent {
            ready |= Ready::PRI;
        }
        let room = shutdown & SEND != 0
            || self.peer().is_none_or(|p| Self::has_room(p.queue.lock().bytes.len(), self.capacity(&p)));
        if room {
            ready |= Ready::OUT | Ready::WRNORM;
        }
        ready
    }

    fn local_name(&self) -> Result<Address, Errno> {
        Ok(addr::encode(self.common.family, self.ends().0))
    }
    fn peer_name(&self) -> Result<Address, Errno> {
        let state = self.state.lock();
        match (&state.phase, state.remote) {
            (Phase::Connected, Some(remote)) => Ok(addr::encode(self.common.family, remote)),
            _ => Err(Errno::ENOTCONN),
        }
    }

    fn get_option(&self, _: Caller<'_>, level: i32, name: i32, room: usize) -> Result<OptionValue, Errno> {
        let connected = || matches!(self.state.lock().phase, Phase::Connected);
        match (level, name) {
            (SOL_SOCKET, SO_ACCEPTCONN) => {
                Ok(int_value(matches!(self.state.lock().phase, Phase::Listening(_))))
            }
            (SOL_SOCKET, SO_PEERCRED) => Ok(value_of(&Ucred { pid: 0, uid: u32::MAX, gid: u32::MAX })),
            (SOL_SOCKET, _) => self.common.get_option(name),
            (SOL_TCP, TCP_INFO) => Ok(value_of(&self.info())),
            (SOL_TCP, TCP_MAXSEG) if connected() => Ok(int_value(LOOPBACK_MSS)),
            (SOL_IP, IP_MTU) if connected() => Ok(int_value(65535)),
            // Linux has another error for levels that it does not know than when setting (`do_ip_getsockopt`).
            (level, _) if self.common.family == AF_INET && !matches!(level, SOL_IP | SOL_TCP) => {
                Err(Errno::EOPNOTSUPP)
            }
            (SOL_UDP, _) => Err(Errno::ENOPROTOOPT),
            _ => self.options.get_option(level, name, room),
        }
    }

    fn set_option(&self, caller: Caller<'_>, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        if level == SOL_SOCKET {
            self.common.set_option(&caller, name, value)?;
            if matches!(name, SO_REUSEADDR | SO_REUSEPORT) {
                use crate::common::Flags;
                let (addr, port) = (self.common.has(Flags::REUSEADDR), self.common.has(Flags::REUSEPORT));
                // The table of ports comes before the state: the binding is held outside of it meanwhile.
                let bound = self.state.lock().bound.take();
                if let Some(bound) = bound {
                    bound.set_reuse(addr, port);
                    self.state.lock().bound = Some(bound);
                }
            }
            return Ok(());
        }
        if level == SOL_IP && matches!(name, IP_HDRINCL | IP_NODEFRAG) {
            return Err(Errno::ENOPROTOOPT); // raw sockets' alone
        }
        if level == SOL_UDP || (level == SOL_IPV6 && self.common.family == AF_INET) {
            return Err(Errno::ENOPROTOOPT);
        }
        if (level, name) == (SOL_IPV6, IPV6_V6ONLY) && self.state.lock().bound.is_some() {
            return Err(Errno::EINVAL);
        }
        self.options.set_option(&self.common.ns, &caller, level, name, value)
    }

    fn readable_bytes(&self) -> Result<usize, Errno> {
        if matches!(self.state.lock().phase, Phase::Listening(_)) {
            return Err(Errno::EINVAL);
        }
        let queue = self.queue.lock();
        Ok(match queue.urgent {
            // Up to the mark.
            Some(u) if u.at > queue.start => (u.at - queue.start) as usize,
            _ => queue.bytes.len(),
        })
    }
    fn unsent_bytes(&self) -> Result<usize, Errno> {
        if matches!(self.state.lock().phase, Phase::Listening(_)) {
            return Err(Errno::EINVAL);
        }
        // What lies in the other end's queue has been acknowledged, unless it is more than its buffer holds.
        Ok(self.peer().map_or(0, |p| p.queue.lock().bytes.len().saturating_sub(p.common.rcvbuf())))
    }

    fn ioctl(&self, _: Caller<'_>, mem: &dyn UserMemory, cmd: u32, arg: u64) -> Result<u64, Errno> {
        match cmd {
            SIOCATMARK => {
                let at_mark = {
                    let queue = self.queue.lock();
                    queue.urgent.is_some_and(|u| u.at == queue.start)
                };
                UserPtr::<i32>::from(arg).write(mem, &i32::from(at_mark)).map(|()| 0)
            }
            SIOCOUTQNSD => UserPtr::<i32>::from(arg).write(mem, &0).map(|()| 0),
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
