//! The connection: one request, one reply, descriptors matched to answers.

use abi::Errno;
use gofer_proto::codec::{decode, encode};
use gofer_proto::{Answer, List, MAX_CLOSES, MAX_MESSAGE, MAX_OPS, NodeId, Op, Reply, Request};
use ksync::{Mutex, rank};
use rustix::io::Errno as HostErrno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendFlags};
use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Queued closings that are worth a message of their own.
const FLUSH_CLOSES: usize = 64;

/// A connection with a gofer.
pub struct Client {
    socket: OwnedFd,
    call: Mutex<Call>,
    closes: Mutex<Vec<NodeId>>,
    broken: AtomicBool,
}

struct Call {
    last_id: u64,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

/// A file that the gofer holds for us until every clone is dropped.
#[derive(Clone)]
pub struct Node(Arc<Held>);

struct Held {
    client: Arc<Client>,
    id: NodeId,
}

impl Node {
    /// Its identity, as events name it.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.0.id
    }
    /// The connection it belongs to.
    #[must_use]
    pub fn client(&self) -> &Arc<Client> {
        &self.0.client
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({})", self.0.id.0)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.client.forget(self.id);
    }
}

/// What an operation was answered, with the descriptor it announced.
pub(crate) type Answered = Result<(Answer, Option<OwnedFd>), Errno>;

pub(crate) fn host_error(e: HostErrno) -> Errno {
    Errno::from_host(e.raw_os_error())
}

impl Client {
    /// A client at our end of the `SOCK_SEQPACKET` pair.
    #[must_use]
    pub fn new(socket: OwnedFd) -> Arc<Self> {
        let call = Call { last_id: 0, outgoing: Vec::new(), incoming: vec![0; MAX_MESSAGE] };
        Arc::new(Self {
            socket,
            call: Mutex::new(rank::GOFER, call),
            closes: Mutex::new(rank::GOFER_CLOSES, Vec::new()),
            broken: AtomicBool::new(false),
        })
    }

    pub(crate) fn node(self: &Arc<Self>, id: NodeId) -> Node {
        Node(Arc::new(Held { client: Arc::clone(self), id }))
    }

    /// Tells the gofer now about every node that was dropped.
    pub fn flush(&self) {
        let mut out = Vec::new();
        loop {
            let close = self.take_closes();
            if close.is_empty() || self.broken.load(Ordering::Relaxed) {
                return;
            }
            // Without operations there is no reply, so no turn to wait for; packets are sent whole.
            let request = Request { id: 0, close, ops: List::new() };
            if encode(&request, &mut out).is_ok() && self.send(&out).is_err() {
                return;
            }
        }
    }

    fn forget(&self, id: NodeId) {
        let queued = {
            let mut closes = self.closes.lock();
            closes.push(id);
            closes.len()
        };
        if queued >= FLUSH_CLOSES {
            self.flush();
        }
    }

    fn take_closes(&self) -> List<NodeId, MAX_CLOSES> {
        let mut closes = self.closes.lock();
        let rest = closes.len().saturating_sub(MAX_CLOSES);
        List::try_from(closes.split_off(rest)).unwrap_or_default()
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Errno> {
        loop {
            match rustix::net::send(&self.socket, bytes, SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(HostErrno::INTR) => {}
                Err(e) => return Err(self.break_off(&format_args!("cannot send: {e}"))),
            }
        }
    }

    /// No further answer can be trusted to belong to its question.
    pub(crate) fn break_off(&self, why: &dyn std::fmt::Display) -> Errno {
        if !self.broken.swap(true, Ordering::Relaxed) {
            log::error!("gofer connection lost, files are not reachable any more: {why}");
        }
        Errno::EIO
    }

    /// Carries out up to 32 operations in order and says what became of each.
    ///
    /// Identities in the answers are the caller's to wrap; prefer the typed calls.
    ///
    /// # Errors
    /// `EIO`: the gofer is gone. `E2BIG`: too many operations, or too much in them. Errors of single operations are in the list.
    pub fn batch(&self, ops: Vec<Op>) -> Result<Vec<Answered>, Errno> {
        let total = ops.len();
        if total > MAX_OPS {
            return Err(Errno::E2BIG);
        }
        let mut answers: Vec<Answered> = Vec::with_capacity(total);
        let mut left = ops;
        let mut call = self.call.lock();
        while !left.is_empty() {
            let results = self.round_trip(&mut call, &left)?;
            // What did not fit into the reply was not begun: ask for the rest again. The first one always fits.
            let begun = results
                .iter()
                .rposition(|r| !matches!(r, Err(Errno::EAGAIN)))
                .map_or(1, |last| last.saturating_add(1));
            answers.extend(results.into_iter().take(begun));
            left.drain(..begun.min(left.len()));
        }
        Ok(answers)
    }

    /// One operation.
    pub(crate) fn one(&self, op: Op) -> Answered {
        let mut call = self.call.lock();
        self.round_trip(&mut call, &[op])?.pop().ok_or(Errno::EIO)?
    }

    fn round_trip(&self, call: &mut Call, ops: &[Op]) -> Result<Vec<Answered>, Errno> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(Errno::EIO);
        }
        call.last_id = call.last_id.wrapping_add(1);
        let id = call.last_id;
        let ops_list = List::try_from(ops.to_vec()).map_err(|_| Errno::E2BIG)?;
        let request = Request { id, close: self.take_closes(), ops: ops_list };
        if encode(&request, &mut call.outgoing).is_err() {
            // Nothing was sent, so nothing was closed either.
            self.closes.lock().extend(request.close);
            return Err(Errno::E2BIG);
        }
        self.send(&call.outgoing)?;
        let (reply, fds, cut) = self.receive(&mut call.incoming)?;
        if reply.id != id || reply.results.len() != ops.len() {
            return Err(self.break_off(&"a reply that answers something else"));
        }
        self.hand_out(reply, fds, cut)
    }

    fn receive(&self, buffer: &mut [u8]) -> Result<(Reply, VecDeque<OwnedFd>, bool), Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_OPS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let got = loop {
            let mut parts = [IoSliceMut::new(buffer)];
            match rustix::net::recvmsg(&self.socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Err(HostErrno::INTR) => {}
                Err(e) => return Err(self.break_off(&format_args!("cannot receive: {e}"))),
                Ok(got) => break got,
            }
        };
        let mut fds = VecDeque::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        if got.bytes == 0 {
            return Err(self.break_off(&"the gofer ended"));
        }
        let bytes = buffer.get(..got.bytes).filter(|_| !got.flags.contains(ReturnFlags::TRUNC));
        match bytes.map(decode::<Reply>) {
            Some(Ok(reply)) => Ok((reply, fds, got.flags.contains(ReturnFlags::CTRUNC))),
            Some(Err(e)) => Err(self.break_off(&e)),
            None => Err(self.break_off(&"a reply longer than the protocol allows")),
        }
    }

    /// Gives each answer the descriptor that it announced. `cut`: our table was full and the host dropped some.
    fn hand_out(&self, reply: Reply, mut fds: VecDeque<OwnedFd>, cut: bool) -> Result<Vec<Answered>, Errno> {
        let mut out = Vec::with_capacity(reply.results.len());
        for result in reply.results {
            out.push(match result {
                Err(code) => Err(Errno::from_host(code)),
                Ok(answer) if !answer.has_fd() => Ok((answer, None)),
                Ok(answer) => match (fds.pop_front(), answer) {
                    (Some(fd), answer) => Ok((answer, Some(fd))),
                    (None, Answer::Opened { .. }) if cut => Err(Errno::ENFILE),
                    // The file is there all the same; it can be opened once there is room.
                    (None, answer) if cut => Ok((answer, None)),
                    (None, _) => return Err(self.break_off(&"a descriptor is missing")),
                },
            });
        }
        if fds.is_empty() { Ok(out) } else { Err(self.break_off(&"a descriptor that nothing asked for")) }
    }
}
