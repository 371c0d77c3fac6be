//! Requests in, replies and events out: the loop of a gofer.

use crate::server::{Counters, Server};
use gofer_proto::codec::{CodecError, decode, encode};
use gofer_proto::op::Events;
use gofer_proto::{Event, List, MAX_EVENTS, MAX_MESSAGE, MAX_OPS, Reply, Request};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

/// Why a connection ended other than by its peer closing it.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The peer sent something that is no request. Nothing it says later can be trusted to be in step.
    #[error("the sentry sent a request that cannot be read: {0}")]
    Request(#[source] CodecError),
    /// Could not be encoded; a mistake of ours.
    #[error("a reply could not be put into a message: {0}")]
    Reply(#[source] CodecError),
    /// A socket failed.
    #[error("cannot {what}: {cause}")]
    Socket {
        /// What was tried.
        what: &'static str,
        /// What the host said.
        cause: Errno,
    },
}

/// Events on their way to the sentry. Never waits: what does not fit becomes one [`Event::Overflow`].
struct Outbox<'a> {
    socket: Option<&'a OwnedFd>,
    lost: bool,
    buffer: Vec<u8>,
}

impl Outbox<'_> {
    fn send(&mut self, mut events: Vec<Event>) {
        if self.lost {
            events.clear();
            events.push(Event::Overflow);
        }
        let Some(socket) = self.socket else { return };
        for part in events.chunks(MAX_EVENTS) {
            let Ok(part) = List::try_from(part.to_vec()) else { return };
            if encode(&Events(part), &mut self.buffer).is_err() {
                self.lost = true;
                return;
            }
            match rustix::net::send(socket, &self.buffer, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(_) => self.lost = false,
                Err(Errno::AGAIN | Errno::INTR | Errno::NOBUFS | Errno::NOMEM) => {
                    self.lost = true;
                    return;
                }
                Err(_) => {
                    self.socket = None;
                    return;
                }
            }
        }
    }
}

/// Answers requests from `socket` and tells news on `events` until the peer closes `socket`.
///
/// # Errors
/// [`ServeError`]; the connection is of no use any more then.
pub fn serve(mut server: Server, socket: &OwnedFd, events: Option<&OwnedFd>) -> Result<Counters, ServeError> {
    let failed = |what| move |cause| ServeError::Socket { what, cause };
    let mut outbox = Outbox { socket: events, lost: false, buffer: Vec::new() };
    if events.is_some() {
        server.enable_events();
    }
    let mut incoming = vec![0; MAX_MESSAGE];
    let mut outgoing = Vec::with_capacity(MAX_MESSAGE);
    loop {
        let mut polled = vec![PollFd::new(socket, PollFlags::IN)];
        // One place each, whether there or not, so that positions are known.
        polled.push(match server.watches.descriptor() {
            Some(inotify) => PollFd::new(inotify, PollFlags::IN),
            None => PollFd::new(socket, PollFlags::empty()),
        });
        polled.push(match outbox.socket {
            Some(s) => PollFd::new(s, if outbox.lost { PollFlags::OUT } else { PollFlags::empty() }),
            None => PollFd::new(socket, PollFlags::empty()),
        });
        match poll(&mut polled, None) {
            Err(Errno::INTR) => continue,
            other => other.map_err(failed("wait for requests"))?,
        };
        let ready = |i: usize| polled.get(i).map_or(PollFlags::empty(), PollFd::revents);
        let (requested, changed, heard) = (ready(0), ready(1), ready(2));
        if outbox.socket.is_some() && heard.intersects(PollFlags::HUP | PollFlags::ERR) {
            outbox.socket = None;
        }
        if changed.contains(PollFlags::IN) || (outbox.lost && heard.contains(PollFlags::OUT)) {
            let news = server.take_events();
            if !news.is_empty() || outbox.lost {
                outbox.send(news);
            }
        }
        if requested.is_empty() {
            continue;
        }
        // Without room for control messages, descriptors that the peer attaches are dropped by the host.
        let length = match rustix::net::recv(
            socket,
            incoming.as_mut_slice(),
            RecvFlags::TRUNC | RecvFlags::DONTWAIT,
        ) {
            Ok((_, length)) => length,
            Err(Errno::AGAIN | Errno::INTR) => continue,
            Err(Errno::CONNRESET) => return Ok(server.counters()),
            Err(e) => return Err(failed("receive a request")(e)),
        };
        if length == 0 {
            return Ok(server.counters());
        }
        let bytes = incoming.get(..length).ok_or(ServeError::Request(CodecError::TooLong(length)))?;
        let request: Request = decode(bytes).map_err(ServeError::Request)?;
        let silent = request.ops.is_empty();
        let (reply, fds) = server.answer(request);
        let news = std::mem::take(&mut server.news);
        if !news.is_empty() {
            outbox.send(news);
        }
        if silent {
            continue;
        }
        encode(&reply, &mut outgoing).map_err(ServeError::Reply)?;
        match send_reply(socket, &outgoing, &fds) {
            Ok(()) => {}
            Err(Errno::PIPE | Errno::CONNRESET) => return Ok(server.counters()),
            // The host counts descriptors in flight; a sentry that takes none up gets no more, but keeps its answer.
            Err(Errno::TOOMANYREFS) => {
                let results = List::try_from(vec![Err(Errno::NFILE.raw_os_error()); reply.results.len()]);
                let reply = Reply { id: reply.id, results: results.unwrap_or_default() };
                encode(&reply, &mut outgoing).map_err(ServeError::Reply)?;
                send_reply(socket, &outgoing, &[]).map_err(failed("send a reply"))?;
            }
            Err(e) => return Err(failed("send a reply")(e)),
        }
    }
}

fn send_reply(socket: &OwnedFd, bytes: &[u8], fds: &[OwnedFd]) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_OPS))];
    let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !borrowed.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        return Err(Errno::TOOMANYREFS);
    }
    loop {
        match rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            other => return other.map(drop),
        }
    }
}
