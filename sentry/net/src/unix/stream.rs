//! Sending and receiving on streams.

use super::{
    RECEIVE, SEND, UnixSocket,
    queue::{Mark, Queue, Urgent},
};
use crate::{
    caller::Caller,
    common::Flags,
    message::{Control, RecvMsg, SendMsg, Sender, take_rights},
};
use abi::{Errno, socket::MsgFlags};
use ksync::Ready;

impl UnixSocket {
    /// Bytes in the peer's queue, for polling.
    pub(super) fn is_writable(&self) -> bool {
        if self.is_stream() {
            // Alone under the lock of the peer's queue.
            return self.connected_peer().is_none_or(|p| self.has_room(p.queue.lock().bytes.len()));
        }
        self.is_packet_writable()
    }

    pub(super) fn send_stream(&self, caller: Caller<'_>, msg: &mut SendMsg<'_, '_>) -> Result<usize, Errno> {
        if msg.name.is_some() {
            return Err(if self.peer.get().is_some() { Errno::EISCONN } else { Errno::EOPNOTSUPP });
        }
        if self.is_down(SEND) {
            return Err(Errno::EPIPE);
        }
        if self.peer.get().is_none() {
            return Err(Errno::ENOTCONN);
        }
        let peer = self.connected_peer().ok_or(Errno::EPIPE)?;
        let urgent = msg.flags.contains(MsgFlags::OOB);
        let want = msg.src.remaining();
        if want == 0 {
            return if urgent { Err(Errno::EOPNOTSUPP) } else { Ok(0) };
        }
        let limit = self.common.sndbuf();
        let mut rights = None;
        let mut sender = None;
        if !msg.control.rights.is_empty() {
            if peer.queue.lock().bytes.len() >= limit {
                return Err(Errno::EAGAIN);
            }
            rights = take_rights(msg.control, &caller.cred(), nofile_limit(&caller))?;
        }
        if let Some(given) = &msg.control.sender {
            sender = Some(given.clone());
        } else if self.adds_sender(&peer) {
            sender = Some(Sender::real(&caller.identity()));
        }
        let result = {
            let mut queue = peer.queue.lock();
            if self.is_down(SEND) || peer.is_down(RECEIVE) {
                Err(Errno::EPIPE)
            } else if queue.bytes.len() >= limit {
                Err(Errno::EAGAIN)
            } else {
                let room = limit - queue.bytes.len();
                let start = queue.start + queue.bytes.len() as u64;
                let result = queue.bytes.fill(msg.src, room);
                if let Ok(n @ 1..) = result
                    && (rights.is_some() || sender.is_some())
                {
                    queue.mark(start, start + n as u64, sender, &mut rights);
                }
                if let Ok(n @ 1..) = result
                    && urgent
                    && n == want
                {
                    queue.urgent = Some(Urgent { at: start + n as u64 - 1, read: false });
                }
                result
            }
        };
        if let Some(unsent) = rights {
            msg.control.rights = unsent.into_files();
        }
        if let Ok(n @ 1..) = result {
            let news = Ready::IN | Ready::RDNORM;
            peer.common.queue.notify(if urgent && n == want { news | Ready::PRI } else { news });
        }
        result
    }

    /// Passes over an urgent byte that is next, unless it is to be read inline; how many bytes may be read at once, up to such a
    /// byte. None where nothing is left.
    fn pass_urgent(&self, queue: &mut Queue, peek: bool) -> Option<usize> {
        let inline = self.common.has(Flags::OOBINLINE);
        match queue.urgent {
            Some(u) if u.at > queue.start => Some((u.at - queue.start) as usize),
            Some(u) if u.at == queue.start && !inline && !peek => {
                queue.bytes.consume(1);
                queue.start += 1;
                queue.urgent = None;
                let start = queue.start;
                while queue.marks.front().is_some_and(|m| m.end <= start) {
                    queue.marks.pop_front();
                }
                (!queue.bytes.is_empty()).then_some(usize::MAX)
            }
            Some(_) if !peek => {
                queue.urgent = None;
                Some(usize::MAX)
            }
            _ => Some(usize::MAX),
        }
    }

    /// `MSG_OOB`: the urgent byte; `EINVAL` where there is none, or it is read inline.
    pub(super) fn recv_urgent(&self, msg: &mut RecvMsg<'_, '_>) -> Result<usize, Errno> {
        let peek = msg.peek();
        let mut queue = self.queue.lock();
        let inline = self.common.has(Flags::OOBINLINE);
        let urgent = queue.urgent.filter(|u| !inline && !u.read).ok_or(Errno::EINVAL)?;
        let at = usize::try_from(urgent.at.saturating_sub(queue.start)).map_err(|_| Errno::EINVAL)?;
        let byte = queue.bytes.get(at).ok_or(Errno::EINVAL)?;
        msg.out_flags |= MsgFlags::OOB;
        let n = msg.dst.put(&[byte])?;
        if !peek {
            queue.urgent = Some(Urgent { read: true, ..urgent });
        }
        Ok(n)
    }

    pub(super) fn recv_stream(&self, msg: &mut RecvMsg<'_, '_>) -> Result<usize, Errno> {
        if self.peer.get().is_none() {
            return Err(Errno::EINVAL);
        }
        let peek = msg.peek();
        let mut rights = None;
        let mut wake_peer = None;
        let n = {
            let mut queue = self.queue.lock();
            if queue.bytes.is_empty() {
                self.common.check_error()?;
                return if self.is_down(RECEIVE) { Ok(0) } else { Err(Errno::EAGAIN) };
            }
            let before = queue.bytes.len();
            let Some(limit) = self.pass_urgent(&mut queue, peek) else {
                return if self.is_down(RECEIVE) { Ok(0) } else { Err(Errno::EAGAIN) };
            };
            if limit < msg.dst.remaining() {
                msg.dst.limit(limit);
            }
            let n = if queue.marks.is_empty() {
                let n = queue.bytes.copy(0, msg.dst, usize::MAX)?;
                if self.common.has(Flags::PASSCRED) && n > 0 {
                    msg.control.push(Control::Credentials(Sender::unknown()));
                }
                n
            } else {
                self.copy_marked(&mut queue, msg, &mut rights)?
            };
            if !peek {
                queue.bytes.consume(n);
                queue.start += n as u64;
                let start = queue.start;
                while queue.marks.front().is_some_and(|m| m.end <= start) {
                    queue.marks.pop_front();
                }
                wake_peer = Some((before, before - n));
            }
            n
        };
        if let Some(rights) = rights {
            msg.control.push(Control::Rights(rights.into_files()));
        }
        if msg.wants_name
            && let Some(name) = self.peer.get().and_then(|p| p.name.get())
        {
            msg.name = Some(name.to_address());
        }
        // The peer hears once it is writable again; whether it was is a matter of its own send buffer.
        if let Some((before, after)) = wake_peer
            && let Some(peer) = self.connected_peer()
            && !peer.has_room(before)
            && peer.has_room(after)
        {
            peer.common.queue.notify(Ready::OUT | Ready::WRNORM | Ready::WRBAND);
        }
        Ok(n)
    }

    /// Copies bytes with their control messages: never bytes of two senders at once where senders matter, and
    /// nothing behind bytes that carry files.
    fn copy_marked(
        &self,
        queue: &mut super::Queue,
        msg: &mut RecvMsg<'_, '_>,
        rights: &mut Option<super::Rights>,
    ) -> Result<usize, Errno> {
        let (credentials, pidfd) = (self.common.has(Flags::PASSCRED), self.common.has(Flags::PASSPIDFD));
        let peek = msg.peek();
        let end = queue.start + queue.bytes.len() as u64;
        let (mut at, mut index) = (queue.start, 0);
        let mut from: Option<Option<Sender>> = None;
        while at < end && msg.dst.remaining() > 0 {
            let mark = queue.marks.get_mut(index);
            let (stop, mark) = match mark {
                Some(m) if m.start <= at => (m.end, Some(m)),
                Some(m) => (m.start, None),
                None => (end, None),
            };
            if credentials || pidfd {
                let sender = mark.as_ref().and_then(|m| m.sender.clone());
                match &from {
                    Some(first) if *first != sender => break,
                    Some(_) => {}
                    None => from = Some(sender),
                }
            }
            let want = usize::try_from(stop - at).unwrap_or(usize::MAX);
            let n = match queue.bytes.copy((at - queue.start) as usize, msg.dst, want) {
                Ok(n) => n,
                Err(e) if at == queue.start => return Err(e),
                Err(_) => break,
            };
            at += n as u64;
            let mut had_rights = false;
            if let Some(mark) = mark {
                had_rights = mark.rights.is_some();
                if peek {
                    if let Some(r) = &mark.rights {
                        msg.control.push(Control::Rights(r.peek()));
                    }
                } else if had_rights {
                    *rights = mark.rights.take();
                }
                if at == stop {
                    index += 1;
                }
            }
            if at < stop || had_rights {
                break;
            }
        }
        if let Some(sender) = from {
            let sender = sender.unwrap_or_else(Sender::unknown);
            if credentials {
                msg.control.push(Control::Credentials(sender.clone()));
            }
            if pidfd {
                msg.control.push(Control::Pidfd(sender));
            }
        }
        Ok((at - queue.start) as usize)
    }
}

impl super::Queue {
    /// Notes control messages of the bytes from `start` to `end`, joining them to those before where nobody could tell.
    fn mark(&mut self, start: u64, end: u64, sender: Option<Sender>, rights: &mut Option<super::Rights>) {
        if rights.is_none()
            && let Some(last) = self.marks.back_mut()
            && last.end == start
            && last.rights.is_none()
            && last.sender == sender
        {
            last.end = end;
            return;
        }
        self.marks.push_back(Mark { start, end, sender, rights: rights.take() });
    }
}

/// How many descriptors the sender may have in flight.
pub(super) fn nofile_limit(caller: &Caller<'_>) -> u64 {
    let soft = |t: std::sync::Arc<kernel::Task>| t.group.limits.lock().soft(abi::process::Resource::Nofile);
    caller.task().map_or(u64::MAX, soft)
}
