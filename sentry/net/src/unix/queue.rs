//! What waits in a Unix socket to be received.
//!
//! A stream's bytes lie in one ring; where control messages belong is kept beside them as [`Mark`]s, in order and
//! not overlapping. Packets lie in a list.

use super::{Rights, UnixName, UnixSocket};
use crate::{bytes::ByteQueue, message::Sender};
use ksync::Ready;
use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock, Weak, atomic::Ordering},
};

/// Control messages of a run of a stream's bytes.
pub struct Mark {
    /// First byte, counted from the beginning of the stream.
    pub start: u64,
    /// Behind the last byte.
    pub end: u64,
    pub sender: Option<Sender>,
    pub rights: Option<Rights>,
}

/// A datagram or sequenced packet.
pub struct Packet {
    pub data: Vec<u8>,
    pub from: Arc<OnceLock<UnixName>>,
    pub sender: Option<Sender>,
    pub rights: Option<Rights>,
    /// Gives the sender its room back when dropped.
    #[allow(dead_code, reason = "its drop is what it is for")]
    pub charge: Charge,
}

/// Room that a packet takes of its sender's send buffer.
pub struct Charge {
    socket: Weak<UnixSocket>,
    bytes: usize,
}

impl Charge {
    /// Takes what Linux takes for `len` bytes (`SKB_TRUESIZE` of what the allocator gives).
    pub fn new(socket: &UnixSocket, len: usize) -> Self {
        let data = len.saturating_add(320);
        let bytes = if data <= 4096 { data.next_power_of_two() } else { data } + 256;
        socket.charged.fetch_add(bytes, Ordering::SeqCst);
        Self { socket: socket.me.clone(), bytes }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.upgrade() {
            let before = socket.charged.fetch_sub(self.bytes, Ordering::SeqCst);
            if !socket.has_room(before) && socket.has_room(before.saturating_sub(self.bytes)) {
                socket.common.queue.notify(Ready::OUT | Ready::WRNORM | Ready::WRBAND);
            }
        }
    }
}

/// A byte that was sent urgently.
#[derive(Clone, Copy)]
pub struct Urgent {
    pub at: u64,
    /// `MSG_OOB` has got it; for the others it is only where they stop once.
    pub read: bool,
}

/// What waits to be received.
#[derive(Default)]
pub struct Queue {
    /// A stream's bytes.
    pub bytes: ByteQueue,
    /// Where the first of them is in the stream.
    pub start: u64,
    pub marks: VecDeque<Mark>,
    /// The urgent byte (`MSG_OOB`), counted from the beginning of the stream; gone once it was read.
    pub urgent: Option<Urgent>,
    pub packets: VecDeque<Packet>,
    /// Who waits for room for packets.
    pub blocked: Vec<Weak<UnixSocket>>,
}

impl Queue {
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.packets.is_empty()
    }
    pub fn readable(&self) -> usize {
        self.packets.front().map_or(self.bytes.len(), |p| p.data.len())
    }
    /// Every message's files.
    pub fn rights(&self) -> impl Iterator<Item = &Rights> {
        self.marks
            .iter()
            .filter_map(|m| m.rights.as_ref())
            .chain(self.packets.iter().filter_map(|p| p.rights.as_ref()))
    }
    /// Takes every message's files.
    pub fn take_rights(&mut self) -> Vec<Rights> {
        let marks = self.marks.iter_mut().filter_map(|m| m.rights.take());
        marks.chain(self.packets.iter_mut().filter_map(|p| p.rights.take())).collect()
    }
}
