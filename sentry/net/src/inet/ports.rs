//! Who is bound to which port of which address.
//!
//! **Invariant:** a binding is there for exactly as long as its [`Bound`] is; sockets hold that.

use abi::Errno;
use ksync::{Mutex, rank};
use std::{
    any::Any,
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Weak},
};

/// `net.ipv4.ip_local_port_range`.
pub const EPHEMERAL: std::ops::RangeInclusive<u16> = 32768..=60999;

/// What is asked for.
#[derive(Clone)]
pub struct Request {
    /// Address; the unspecified one of a family stands for all of it.
    pub ip: IpAddr,
    /// An unspecified IPv6 address does not stand for IPv4's.
    pub v6_only: bool,
    /// `SO_REUSEADDR`.
    pub reuse_addr: bool,
    /// `SO_REUSEPORT`.
    pub reuse_port: bool,
    /// Whose it is: only sockets of one user share a port.
    pub uid: vfs::Uid,
    /// Two that reuse addresses do not get in each other's way even if one listens (UDP).
    pub datagrams: bool,
}

struct Entry {
    id: u64,
    request: Request,
    remote: Option<SocketAddr>,
    /// The port was chosen by connecting: others may share it with another remote end.
    automatic: bool,
    listening: bool,
    socket: Weak<dyn Any + Send + Sync>,
}

#[derive(Default)]
struct Inner {
    ports: HashMap<u16, Vec<Entry>>,
    next_id: u64,
    next_port: u16,
}

/// The ports of one protocol in one namespace.
pub struct Ports(Mutex<Inner>);

/// A place in a [`Ports`], given up when dropped.
pub struct Bound {
    table: Weak<Ports>,
    id: u64,
    /// The port.
    pub port: u16,
}

fn overlap(a: &Request, b: &Request) -> bool {
    let covers = |x: &Request, y: &Request| match (x.ip, y.ip) {
        (IpAddr::V4(i), IpAddr::V4(j)) => i.is_unspecified() || i == j,
        (IpAddr::V6(i), IpAddr::V6(j)) => i.is_unspecified() || i == j,
        (IpAddr::V6(i), IpAddr::V4(_)) => i.is_unspecified() && !x.v6_only,
        (IpAddr::V4(_), IpAddr::V6(_)) => false,
    };
    covers(a, b) || covers(b, a)
}

fn conflict(new: &Request, new_listens: bool, old: &Entry) -> bool {
    if !overlap(new, &old.request) {
        return false;
    }
    let no_listener = new.datagrams || !(new_listens || old.listening);
    let share_addr = new.reuse_addr && old.request.reuse_addr && no_listener;
    let share_port = new.reuse_port && old.request.reuse_port && new.uid == old.request.uid;
    !(share_addr || share_port)
}

impl Ports {
    /// A table with nothing in it.
    pub fn new() -> Arc<Self> {
        let inner = Inner { next_port: *EPHEMERAL.start(), ..Inner::default() };
        Arc::new(Self(Mutex::new(rank::SOCKET_TABLE, inner)))
    }

    /// Binds `socket` to `port`, or to any free one if that is 0; `EADDRINUSE`.
    pub fn bind(
        self: &Arc<Self>,
        port: u16,
        request: Request,
        socket: Weak<dyn Any + Send + Sync>,
    ) -> Result<Bound, Errno> {
        let mut inner = self.0.lock();
        let fits = |inner: &Inner, port: u16| {
            inner.ports.get(&port).is_none_or(|l| !l.iter().any(|e| conflict(&request, false, e)))
        };
        let port = match port {
            0 => inner.ephemeral(fits).ok_or(Errno::EADDRINUSE)?,
            port if fits(&inner, port) => port,
            _ => return Err(Errno::EADDRINUSE),
        };
        Ok(self.add(&mut inner, port, request, None, false, socket))
    }

    /// Binds `socket` to a port from which it can reach `remote`; `EADDRNOTAVAIL`.
    pub fn bind_to_connect(
        self: &Arc<Self>,
        request: Request,
        remote: SocketAddr,
        socket: Weak<dyn Any + Send + Sync>,
    ) -> Result<Bound, Errno> {
        let mut inner = self.0.lock();
        let unused = inner.ephemeral(|inner, port| !inner.ports.contains_key(&port));
        let port = unused.or_else(|| {
            inner.ephemeral(|inner, port| {
                let others = inner.ports.get(&port).map(Vec::as_slice).unwrap_or_default();
                others.iter().all(|e| e.automatic && e.remote != Some(remote))
            })
        });
        let port = port.ok_or(Errno::EADDRNOTAVAIL)?;
        Ok(self.add(&mut inner, port, request, Some(remote), true, socket))
    }

    /// Notes a connection that a listener accepted, which shares the listener's port.
    pub fn add_accepted(
        self: &Arc<Self>,
        port: u16,
        request: Request,
        remote: SocketAddr,
        socket: Weak<dyn Any + Send + Sync>,
    ) -> Bound {
        self.add(&mut self.0.lock(), port, request, Some(remote), false, socket)
    }

    fn add(
        self: &Arc<Self>,
        inner: &mut Inner,
        port: u16,
        request: Request,
        remote: Option<SocketAddr>,
        automatic: bool,
        socket: Weak<dyn Any + Send + Sync>,
    ) -> Bound {
        inner.next_id += 1;
        let id = inner.next_id;
        let entry = Entry { id, request, remote, automatic, listening: false, socket };
        inner.ports.entry(port).or_default().push(entry);
        Bound { table: Arc::downgrade(self), id, port }
    }

    /// The sockets bound to `port` that take what comes for `ip`: how well each fits (exact addresses best), in the
    /// order of binding. With `listening` only those that listen.
    fn matching<T: Send + Sync + 'static>(
        &self,
        port: u16,
        ip: IpAddr,
        listening: bool,
    ) -> Vec<(u32, Arc<T>)> {
        let inner = self.0.lock();
        let entries = inner.ports.get(&port).map(Vec::as_slice).unwrap_or_default();
        let fit = |e: &Entry| match (e.request.ip, ip) {
            (bound, ip) if bound == ip => Some(3),
            (IpAddr::V4(b), IpAddr::V4(_)) if b.is_unspecified() => Some(2),
            (IpAddr::V6(b), IpAddr::V6(_)) if b.is_unspecified() => Some(2),
            (IpAddr::V6(b), IpAddr::V4(_)) if b.is_unspecified() && !e.request.v6_only => Some(1),
            _ => None,
        };
        entries
            .iter()
            .filter(|e| e.listening || !listening)
            .filter_map(|e| Some((fit(e)?, e.socket.upgrade()?.downcast().ok()?)))
            .collect()
    }

    /// The listener for connections to `to`; of several equally good ones `from` decides which.
    pub fn listener<T: Send + Sync + 'static>(&self, to: SocketAddr, from: SocketAddr) -> Option<Arc<T>> {
        let all = self.matching::<T>(to.port(), to.ip(), true);
        let best = all.iter().map(|(fit, _)| *fit).max()?;
        let equal: Vec<_> = all.into_iter().filter(|(fit, _)| *fit == best).collect();
        let at = usize::from(from.port().wrapping_mul(0x9e37) >> 5) % equal.len().max(1);
        equal.into_iter().nth(at).map(|(_, socket)| socket)
    }

    /// Whether any socket is bound to `to`.
    pub fn has(&self, to: SocketAddr) -> bool {
        let inner = self.0.lock();
        let entries = inner.ports.get(&to.port()).map(Vec::as_slice).unwrap_or_default();
        entries.iter().any(|e| e.request.ip == to.ip() || e.request.ip.is_unspecified())
    }

    /// Every socket that takes datagrams for `to`, with how well it fits.
    pub fn receivers<T: Send + Sync + 'static>(&self, to: SocketAddr) -> Vec<(u32, Arc<T>)> {
        self.matching(to.port(), to.ip(), false)
    }
}

impl Inner {
    /// The next port for which `fits`, going around the range.
    fn ephemeral(&mut self, fits: impl Fn(&Inner, u16) -> bool) -> Option<u16> {
        for _ in EPHEMERAL {
            let port = self.next_port;
            self.next_port = if port >= *EPHEMERAL.end() { *EPHEMERAL.start() } else { port + 1 };
            if fits(self, port) {
                return Some(port);
            }
        }
        None
    }
}

impl Bound {
    fn with<R>(&self, change: impl FnOnce(&mut Vec<Entry>) -> R) -> Option<R> {
        let table = self.table.upgrade()?;
        let mut inner = table.0.lock();
        inner.ports.get_mut(&self.port).map(change)
    }

    /// Begins or ends listening; `EADDRINUSE` if another one listens already where only one can.
    pub fn set_listening(&self, on: bool) -> Result<(), Errno> {
        let result = self.with(|entries| {
            let Some(mine) = entries.iter().find(|e| e.id == self.id).map(|e| e.request.clone()) else {
                return Ok(());
            };
            if on && entries.iter().any(|e| e.id != self.id && e.listening && conflict(&mine, true, e)) {
                return Err(Errno::EADDRINUSE);
            }
            for e in entries.iter_mut().filter(|e| e.id == self.id) {
                e.listening = on;
            }
            Ok(())
        });
        result.unwrap_or(Ok(()))
    }

    /// Notes the other end; `EADDRNOTAVAIL` if the same two ends are connected already.
    pub fn set_remote(&self, ip: IpAddr, remote: Option<SocketAddr>) -> Result<(), Errno> {
        let result = self.with(|entries| {
            let same = |e: &Entry| e.id != self.id && e.request.ip == ip && e.remote == remote;
            if remote.is_some() && entries.iter().any(same) {
                return Err(Errno::EADDRNOTAVAIL);
            }
            for e in entries.iter_mut().filter(|e| e.id == self.id) {
                e.remote = remote;
                e.request.ip = ip;
            }
            Ok(())
        });
        result.unwrap_or(Ok(()))
    }

    /// `SO_REUSEADDR` and `SO_REUSEPORT` may be changed after binding.
    pub fn set_reuse(&self, addr: bool, port: bool) {
        self.with(|entries| {
            for e in entries.iter_mut().filter(|e| e.id == self.id) {
                (e.request.reuse_addr, e.request.reuse_port) = (addr, port);
            }
        });
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let Some(table) = self.table.upgrade() else { return };
        let mut inner = table.0.lock();
        if let Some(entries) = inner.ports.get_mut(&self.port) {
            entries.retain(|e| e.id != self.id);
            if entries.is_empty() {
                inner.ports.remove(&self.port);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(ip: &str, reuse_addr: bool, reuse_port: bool) -> Request {
        Request {
            ip: ip.parse().unwrap(),
            v6_only: false,
            reuse_addr,
            reuse_port,
            uid: vfs::Uid(1),
            datagrams: false,
        }
    }
    fn nobody() -> Weak<dyn Any + Send + Sync> {
        let none: Weak<u8> = Weak::new();
        none
    }

    #[test]
    fn who_may_share_a_port() {
        let table = Ports::new();
        let bind = |request| table.bind(80, request, nobody());
        let one = bind(ask("127.0.0.1", false, false)).unwrap();
        assert_eq!(bind(ask("0.0.0.0", true, true)).err(), Some(Errno::EADDRINUSE));
        assert_eq!(bind(ask("::", false, false)).err(), Some(Errno::EADDRINUSE));
        let _other = bind(ask("127.0.0.2", false, false)).unwrap();
        let _six = bind(Request { v6_only: true, ..ask("::", false, false) }).unwrap();
        drop(one);
        let a = bind(ask("127.0.0.1", true, false)).unwrap();
        let b = bind(ask("127.0.0.1", true, false)).unwrap();
        a.set_listening(true).unwrap();
        assert_eq!(b.set_listening(true), Err(Errno::EADDRINUSE));
        assert_eq!(bind(ask("127.0.0.1", true, false)).err(), Some(Errno::EADDRINUSE));
        drop((a, b));
        let a = bind(ask("127.0.0.1", false, true)).unwrap();
        let b = bind(ask("127.0.0.1", false, true)).unwrap();
        a.set_listening(true).unwrap();
        b.set_listening(true).unwrap();
        let stranger = Request { uid: vfs::Uid(2), ..ask("127.0.0.1", false, true) };
        assert_eq!(bind(stranger).err(), Some(Errno::EADDRINUSE));
    }

    #[test]
    fn ports_run_out_and_are_shared_with_other_ends() {
        let table = Ports::new();
        let to = |port| SocketAddr::new("127.0.0.1".parse().unwrap(), port);
        let connect = |port| table.bind_to_connect(ask("127.0.0.1", false, false), to(port), nobody());
        let all: Vec<_> = EPHEMERAL.map(|_| connect(80).unwrap()).collect();
        assert_eq!(connect(80).err(), Some(Errno::EADDRNOTAVAIL));
        assert!(connect(81).is_ok());
        assert_eq!(table.bind(0, ask("0.0.0.0", false, false), nobody()).err(), Some(Errno::EADDRINUSE));
        drop(all);
        assert!(connect(80).is_ok());
    }
}
