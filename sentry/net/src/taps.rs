//! [`Taps`]: who sees the packets of a namespace's loopback.
//!
//! TCP and UDP sockets hand data to one another directly. While a raw or a packet socket is open, what they do is shown
//! as packets too ([`NetNamespace::show`]); what raw and packet sockets send goes through the stack ([`crate::inet::stack`]).
//!
//! **Lock order:** the lists are tables; nothing is taken under them.

use crate::{
    inet::{
        raw::RawSocket,
        stack,
        wire::{self, Ip},
    },
    namespace::NetNamespace,
    packet::{PacketSocket, Sighting},
};
use abi::socket::{ETH_HLEN, PACKET_HOST, PACKET_OUTGOING};
use ksync::{Mutex, rank};
use std::sync::{
    Arc, Weak,
    atomic::{AtomicU16, AtomicUsize, Ordering},
};

/// Raw and packet sockets of a namespace.
pub struct Taps {
    raw: Mutex<Vec<Weak<RawSocket>>>,
    packet: Mutex<Vec<Weak<PacketSocket>>>,
    /// How many there are of both.
    count: AtomicUsize,
    /// Number of the last packet that was given one.
    id: AtomicU16,
}

impl Default for Taps {
    fn default() -> Self {
        Self {
            raw: Mutex::new(rank::SOCKET_TABLE, Vec::new()),
            packet: Mutex::new(rank::SOCKET_TABLE, Vec::new()),
            count: AtomicUsize::new(0),
            id: AtomicU16::new(0),
        }
    }
}

fn remove<T>(list: &Mutex<Vec<Weak<T>>>, socket: &T) -> usize {
    let mut list = list.lock();
    let before = list.len();
    list.retain(|w| !std::ptr::eq(w.as_ptr(), socket));
    before - list.len()
}

fn alive<T>(list: &Mutex<Vec<Weak<T>>>) -> Vec<Arc<T>> {
    let list = list.lock();
    list.iter().filter_map(Weak::upgrade).collect()
}

impl Taps {
    /// A raw socket was made.
    pub fn add_raw(&self, socket: &Arc<RawSocket>) {
        self.raw.lock().push(Arc::downgrade(socket));
        self.count.fetch_add(1, Ordering::SeqCst);
    }
    /// It is closed.
    pub fn remove_raw(&self, socket: &RawSocket) {
        self.count.fetch_sub(remove(&self.raw, socket), Ordering::SeqCst);
    }
    /// A packet socket was made.
    pub fn add_packet(&self, socket: &Arc<PacketSocket>) {
        self.packet.lock().push(Arc::downgrade(socket));
        self.count.fetch_add(1, Ordering::SeqCst);
    }
    /// It is closed.
    pub fn remove_packet(&self, socket: &PacketSocket) {
        self.count.fetch_sub(remove(&self.packet, socket), Ordering::SeqCst);
    }
    /// Raw sockets and ping sockets.
    pub fn raw(&self) -> Vec<Arc<RawSocket>> {
        alive(&self.raw)
    }
    /// Numbers of ping sockets.
    pub fn ping_numbers(&self) -> Vec<u16> {
        self.raw().iter().filter_map(|s| s.ping_number()).collect()
    }
    /// A number for a packet that may be cut apart.
    pub fn next_id(&self) -> u16 {
        self.id.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1)
    }
}

impl NetNamespace {
    /// Whether anybody sees packets.
    pub fn is_watched(&self) -> bool {
        self.taps.count.load(Ordering::Relaxed) != 0
    }

    /// The longest packet of the loopback.
    pub fn mtu(&self) -> usize {
        usize::try_from(self.loopback.mtu.load(Ordering::Relaxed)).unwrap_or(0xffff).min(0xffff)
    }

    /// Shows packet sockets a frame leave and come in again, `origin` (the socket that sent it) only the latter.
    pub(crate) fn show_frame(
        &self,
        frame: &Arc<[u8]>,
        protocol: u16,
        kind: u8,
        origin: Option<&PacketSocket>,
    ) {
        let at = vfs::clock::now();
        let sockets = alive(&self.taps.packet);
        for socket in &sockets {
            let own = origin.is_some_and(|o| std::ptr::eq(o, &**socket));
            let sighting = Sighting { frame: frame.clone(), protocol, kind: PACKET_OUTGOING, at };
            if !own {
                socket.offer(sighting);
            }
        }
        for socket in &sockets {
            socket.offer(Sighting { frame: frame.clone(), protocol, kind, at });
        }
    }

    /// Shows an IP packet that goes over the loopback to packet sockets and raw sockets. Whether one of the latter took it.
    pub(crate) fn show(&self, packet: &[u8]) -> bool {
        if !self.is_watched() {
            return false;
        }
        let protocol = wire::ether_type(packet);
        let mut frame = vec![0; ETH_HLEN - 2];
        frame.extend_from_slice(&protocol.to_be_bytes());
        frame.extend_from_slice(packet);
        self.show_frame(&frame.into(), protocol, PACKET_HOST, None);
        Ip::parse(packet).is_some_and(|ip| self.show_raw(&ip, packet))
    }

    /// Shows raw sockets a packet that has come in. Whether one of them took it.
    pub(crate) fn show_raw(&self, ip: &Ip, packet: &[u8]) -> bool {
        if ip.fragment {
            return false;
        }
        let sockets = self.taps.raw();
        if sockets.is_empty() {
            return false;
        }
        let whole: Arc<[u8]> = packet.get(..ip.end).unwrap_or_default().into();
        let at = vfs::clock::now();
        // Each is offered it, also once one has taken it.
        sockets.iter().filter(|s| s.offer(ip, &whole, at)).count() > 0
    }

    /// Sends an IP packet over the loopback.
    pub(crate) fn send_packet(&self, packet: Vec<u8>) {
        self.loopback.count(packet.len());
        let taken = self.show(&packet);
        stack::receive(self, &packet, taken);
    }
}
