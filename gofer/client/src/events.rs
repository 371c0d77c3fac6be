//! News from the gofer.

use crate::client::host_error;
use abi::Errno;
use gofer_proto::codec::decode;
use gofer_proto::op::Events;
use gofer_proto::{Event, MAX_MESSAGE};
use rustix::io::Errno as HostErrno;
use rustix::net::RecvFlags;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Our end of the `SOCK_SEQPACKET` pair for events. Wait for its descriptor to be readable, then [`receive`](Self::receive).
pub struct EventStream {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl EventStream {
    /// A stream at our end of the pair.
    #[must_use]
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket, buffer: vec![0; MAX_MESSAGE] }
    }

    /// The next message's events. Never waits.
    ///
    /// # Errors
    /// `EAGAIN`: none are there. `EPIPE`: the gofer is gone. `EPROTO`: it sent what is no event; treat it as [`Event::Overflow`].
    pub fn receive(&mut self) -> Result<Vec<Event>, Errno> {
        let length = loop {
            let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
            match rustix::net::recv(&self.socket, self.buffer.as_mut_slice(), flags) {
                Err(HostErrno::INTR) => {}
                Err(e) => return Err(host_error(e)),
                Ok((_, length)) => break length,
            }
        };
        if length == 0 {
            return Err(Errno::EPIPE);
        }
        let bytes = self.buffer.get(..length).ok_or(Errno::EPROTO)?;
        decode::<Events>(bytes).map(|e| e.0.into_vec()).map_err(|_| Errno::EPROTO)
    }
}

impl AsFd for EventStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
