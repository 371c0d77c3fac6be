//! Sending and receiving.

use super::{BOTH, Phase, RECEIVE, SEND, TcpSocket, Urgent};
use crate::message::{RecvMsg, SendMsg};
use abi::{Errno, socket::*};
use ksync::Ready;
use mem::IoDst;
use std::sync::atomic::Ordering;

impl TcpSocket {
    pub(super) fn do_send(&self, msg: &mut SendMsg<'_, '_>) -> Result<usize, Errno> {
        if self.is_down(SEND) || self.common.has_error() {
            return Err(self.common.take_error().unwrap_or(Errno::EPIPE));
        }
        let linked = self.link.lock().clone();
        let Some(link) = linked else {
            return Err(match self.state.lock().phase {
                Phase::Connecting => Errno::EAGAIN,
                _ => Errno::EPIPE,
            });
        };
        let want = msg.src.remaining();
        // An end that was closed answers what it gets with a reset, by when no more is on its way than the buffer holds.
        let Some(peer) = link.upgrade().filter(|p| p.shutdown.load(Ordering::SeqCst) != BOTH) else {
            let n = msg.src.take_with(want.min(self.common.sndbuf()), &mut |piece| Ok(piece.len()))?;
            self.got_reset();
            return Ok(n);
        };
        let capacity = self.capacity(&peer);
        let urgent = msg.flags.contains(MsgFlags::OOB);
        let watched = self.common.ns.is_watched();
        let mut shown = (0, Vec::new());
        let (n, was_urgent) = {
            let mut queue = peer.queue.lock();
            let used = queue.bytes.len();
            if used >= capacity && want > 0 {
                return Err(Errno::EAGAIN);
            }
            // An older urgent byte that would be read next is passed over for good.
            let stale = queue.urgent.is_some_and(|u| u.at == queue.start) && used > 0;
            if urgent && stale && !peer.common.has(crate::common::Flags::OOBINLINE) {
                queue.bytes.consume(1);
                queue.start += 1;
                queue.urgent = None;
            }
            let used = queue.bytes.len();
            let n = queue.bytes.fill(msg.src, capacity - used.min(capacity))?;
            let whole = n == want && n > 0;
            if watched && n > 0 {
                let mut copy = vec![0; n];
                let copied = queue.bytes.copy(used, &mut IoDst::bytes(&mut copy), n)?;
                copy.truncate(copied);
                shown = ((queue.start as u32).wrapping_add(used as u32), copy);
            }
            if urgent && whole {
                let at = queue.start + (used + n - 1) as u64;
                let byte = queue.bytes.get(used + n - 1).unwrap_or(0);
                queue.urgent = Some(Urgent { at, byte, read: false });
            }
            (n, urgent && whole)
        };
        if n > 0 {
            self.common.ns.loopback.count(n);
            self.show_data(&peer, shown.0, &shown.1);
            let news = Ready::IN | Ready::RDNORM;
            peer.common.queue.notify(if was_urgent { news | Ready::PRI } else { news });
        }
        Ok(n)
    }

    pub(super) fn do_recv(&self, msg: &mut RecvMsg<'_, '_>) -> Result<usize, Errno> {
        let mut news = None;
        let result = {
            let mut queue = self.queue.lock();
            let inline = self.common.has(crate::common::Flags::OOBINLINE);
            if let Some(u) = queue.urgent
                && u.at == queue.start
                && !inline
                && !queue.bytes.is_empty()
            {
                if msg.peek() {
                    // Behind the urgent byte.
                    return queue.bytes.copy(1, msg.dst, usize::MAX);
                }
                queue.bytes.consume(1);
                queue.start += 1;
                queue.urgent = None;
            }
            if queue.bytes.is_empty() {
                Err(queue.fin)
            } else {
                let before = queue.bytes.len();
                let limit = match queue.urgent {
                    Some(u) if u.at > queue.start => (u.at - queue.start) as usize,
                    _ => usize::MAX,
                };
                let n = match msg.flags.contains(MsgFlags::TRUNC) {
                    // The bytes are thrown away.
                    true => msg.dst.put_with(limit.min(before), &mut |piece| Ok(piece.len()))?,
                    false => queue.bytes.copy(0, msg.dst, limit)?,
                };
                if !msg.peek() {
                    queue.bytes.consume(n);
                    queue.start += n as u64;
                    if queue.urgent.is_some_and(|u| u.at < queue.start) {
                        queue.urgent = None;
                    }
                    news = Some((before, before - n));
                }
                Ok(n)
            }
        };
        match result {
            Ok(n) => {
                if let Some((before, after)) = news
                    && let Some(peer) = self.peer()
                {
                    let capacity = peer.capacity(self);
                    if !Self::has_room(before, capacity) && Self::has_room(after, capacity) {
                        peer.common.queue.notify(Ready::OUT | Ready::WRNORM);
                    }
                }
                Ok(n)
            }
            Err(true) => Ok(0),
            Err(false) => self.nothing_to_read(),
        }
    }

    fn nothing_to_read(&self) -> Result<usize, Errno> {
        if let Some(e) = self.common.take_error() {
            return Err(e);
        }
        if self.is_down(RECEIVE) {
            return Ok(0);
        }
        match self.state.lock().phase {
            Phase::Closed | Phase::Listening(_) => Err(Errno::ENOTCONN),
            Phase::Connecting | Phase::Connected => Err(Errno::EAGAIN),
        }
    }

    /// `MSG_OOB`.
    pub(super) fn recv_urgent(&self, msg: &mut RecvMsg<'_, '_>) -> Result<usize, Errno> {
        let peek = msg.peek();
        let mut queue = self.queue.lock();
        let inline = self.common.has(crate::common::Flags::OOBINLINE);
        let Some(urgent) = queue.urgent.as_mut().filter(|u| !inline && !u.read) else {
            return Err(Errno::EINVAL);
        };
        msg.out_flags |= MsgFlags::OOB;
        if msg.dst.remaining() == 0 {
            msg.out_flags |= MsgFlags::TRUNC;
            return Ok(0);
        }
        let n = msg.dst.put(&[urgent.byte])?;
        if !peek {
            urgent.read = true;
        }
        Ok(n)
    }
}
