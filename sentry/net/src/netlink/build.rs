//! Putting netlink messages together.

use abi::{Errno, socket::*};
use zerocopy::{Immutable, IntoBytes};

/// Datagrams of a dump are about this long.
const DATAGRAM: usize = 8192;

/// One message under construction.
pub struct Message(Vec<u8>);

impl Message {
    /// A message of `kind` that begins with `fixed`.
    pub fn new<T: IntoBytes + Immutable>(kind: u16, fixed: &T) -> Self {
        let header = Nlmsghdr { nlmsg_type: kind, ..Nlmsghdr::default() };
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(fixed.as_bytes());
        Self(padded(bytes))
    }

    /// An attribute.
    pub fn attr(mut self, kind: u16, data: &[u8]) -> Self {
        self.0.extend_from_slice(&attribute(kind, data));
        self
    }
    /// An attribute that is a number of 32 bits.
    pub fn u32(self, kind: u16, value: u32) -> Self {
        self.attr(kind, &value.to_ne_bytes())
    }
    /// An attribute that is a number of 8 bits.
    pub fn u8(self, kind: u16, value: u8) -> Self {
        self.attr(kind, &[value])
    }
    /// An attribute that is a string with its zero.
    pub fn string(self, kind: u16, value: &[u8]) -> Self {
        let mut bytes = value.to_vec();
        bytes.push(0);
        self.attr(kind, &bytes)
    }

    /// Fills in the header.
    pub fn finish(mut self, flags: NlmFlags, seq: u32, port: u32) -> Vec<u8> {
        let len = self.0.len() as u32;
        let fields = [(0, len.to_ne_bytes()), (8, seq.to_ne_bytes()), (12, port.to_ne_bytes())];
        for (at, value) in fields {
            if let Some(place) = self.0.get_mut(at..at + 4) {
                place.copy_from_slice(&value);
            }
        }
        if let Some(place) = self.0.get_mut(6..8) {
            place.copy_from_slice(&flags.bits().to_ne_bytes());
        }
        self.0
    }
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(nl_align(bytes.len()), 0);
    bytes
}

/// An attribute as bytes.
pub fn attribute(kind: u16, data: &[u8]) -> Vec<u8> {
    let header = Nlattr { nla_len: (Nlattr::SIZE + data.len()) as u16, nla_type: kind };
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(data);
    padded(bytes)
}

/// The attributes behind a fixed part: type and data, as far as their lengths can be believed.
pub fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while let Some((header, _)) = bytes.split_at_checked(Nlattr::SIZE) {
        let (Some(len), Some(kind)) = (
            header.get(..2).and_then(|b| b.try_into().ok()).map(u16::from_ne_bytes),
            header.get(2..4).and_then(|b| b.try_into().ok()).map(u16::from_ne_bytes),
        ) else {
            break;
        };
        let Some(data) = bytes.get(Nlattr::SIZE..usize::from(len)) else { break };
        found.push((kind & NLA_TYPE_MASK, data));
        bytes = bytes.get(nl_align(usize::from(len))..).unwrap_or_default();
    }
    found
}

/// The answer to one request.
pub struct Reply {
    port: u32,
    seq: u32,
    dump: bool,
    messages: Vec<Vec<u8>>,
}

impl Reply {
    /// To a request numbered `seq` from `port`.
    pub fn new(port: u32, seq: u32, dump: bool) -> Self {
        Self { port, seq, dump, messages: Vec::new() }
    }
    /// Whether the whole table was asked for.
    pub fn is_dump(&self) -> bool {
        self.dump
    }
    /// Adds a message.
    pub fn push(&mut self, message: Message) {
        let flags = if self.dump { NlmFlags::MULTI } else { NlmFlags::empty() };
        self.messages.push(message.finish(flags, self.seq, self.port));
    }

    /// The datagrams: what was pushed and, as the case may be, its end, an error or an acknowledgement.
    pub fn finish(
        self,
        result: Result<(), Errno>,
        request: &Nlmsghdr,
        original: &[u8],
        capped: bool,
    ) -> Vec<Vec<u8>> {
        let mut datagrams: Vec<Vec<u8>> = Vec::new();
        for message in self.messages {
            match datagrams.last_mut() {
                Some(last) if last.len() + message.len() <= DATAGRAM => last.extend_from_slice(&message),
                _ => datagrams.push(message),
            }
        }
        let wants_ack = NlmFlags::from_bits_retain(request.nlmsg_flags).contains(NlmFlags::ACK);
        match result {
            Ok(()) if self.dump => {
                datagrams.push(Message::new(NLMSG_DONE, &0i32).finish(NlmFlags::MULTI, self.seq, self.port));
            }
            Ok(()) if !wants_ack => {}
            result => {
                let error = result.err().map_or(0, |e| -e.code());
                let body = Nlmsgerr { error, msg: *request };
                let mut message = Message::new(NLMSG_ERROR, &body);
                let mut flags = NlmFlags::CAPPED;
                if error != 0 && !capped {
                    message.0.extend_from_slice(original.get(Nlmsghdr::SIZE..).unwrap_or_default());
                    message.0 = padded(message.0);
                    flags = NlmFlags::empty();
                }
                datagrams.push(message.finish(flags, self.seq, self.port));
            }
        }
        datagrams
    }
}
