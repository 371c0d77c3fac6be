//! System V message queues (`msgget(2)`, `msgop(2)`).

use super::{Header, IpcNamespace, Object, Perm, now};
use crate::{SysError, SysResult, Task, task::Wait};
use abi::{
    Errno,
    ipc::{IPC_NOWAIT, MSG_COPY, MSG_EXCEPT, MSG_NOERROR, MSGMAX, MSGMNB, MSGMNI, MsqidDs},
};
use ksync::{Mutex, Ready, WaitQueue, rank};
use std::{collections::VecDeque, sync::Arc};
use vfs::{Credentials, UserNamespace};

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Positive.
    pub kind: i64,
    /// Its bytes.
    pub text: Vec<u8>,
}

/// What changes about a queue.
pub struct State {
    /// Who may do what.
    pub perm: Perm,
    messages: VecDeque<Message>,
    bytes: usize,
    /// How many bytes (and messages) it takes.
    pub limit: usize,
    stime: i64,
    rtime: i64,
    /// Last change other than by messages.
    pub ctime: i64,
    lspid: u32,
    lrpid: u32,
    removed: bool,
}

/// A queue.
pub struct Queue {
    header: Header,
    /// The rest.
    pub state: Mutex<State>,
    /// Announces messages, room and removal.
    pub changed: WaitQueue,
}

impl Object for Queue {
    fn header(&self) -> &Header {
        &self.header
    }
}

impl Queue {
    /// `IPC_RMID`, once it is out of the table.
    pub fn remove(&self) {
        self.state.lock().removed = true;
        self.changed.notify(Ready::OTHER);
    }

    /// `IPC_STAT`.
    pub fn stat(&self, reader: &UserNamespace) -> MsqidDs {
        let state = self.state.lock();
        MsqidDs {
            msg_perm: state.perm.show(&self.header, reader),
            msg_stime: state.stime,
            msg_rtime: state.rtime,
            msg_ctime: state.ctime,
            msg_cbytes: state.bytes as u64,
            msg_qnum: state.messages.len() as u64,
            msg_qbytes: state.limit as u64,
            msg_lspid: state.lspid as i32,
            msg_lrpid: state.lrpid as i32,
            ..MsqidDs::default()
        }
    }

    fn send(&self, task: &Task, message: &Message) -> Result<(), Errno> {
        let mut state = self.state.lock();
        if state.removed {
            return Err(Errno::EIDRM);
        }
        if state.bytes + message.text.len() > state.limit || state.messages.len() + 1 > state.limit {
            return Err(Errno::EAGAIN);
        }
        state.bytes += message.text.len();
        state.messages.push_back(message.clone());
        (state.stime, state.lspid) = (now(), task.own_process_number());
        drop(state);
        self.changed.notify(Ready::OTHER);
        Ok(())
    }

    fn receive(&self, task: &Task, size: usize, kind: i64, flags: u32) -> Result<Message, Errno> {
        let mut state = self.state.lock();
        if state.removed {
            return Err(Errno::EIDRM);
        }
        let at = if flags & MSG_COPY != 0 {
            usize::try_from(kind).ok().filter(|at| *at < state.messages.len())
        } else {
            find(&state.messages, kind, flags)
        };
        let at = at.ok_or(Errno::EAGAIN)?;
        let message = state.messages.get(at).ok_or(Errno::EAGAIN)?;
        if message.text.len() > size && flags & MSG_NOERROR == 0 {
            return Err(Errno::E2BIG);
        }
        if flags & MSG_COPY != 0 {
            return Ok(message.clone());
        }
        let message = state.messages.remove(at).ok_or(Errno::EAGAIN)?;
        state.bytes -= message.text.len();
        (state.rtime, state.lrpid) = (now(), task.own_process_number());
        drop(state);
        self.changed.notify(Ready::OTHER);
        Ok(message)
    }
}

/// Which message `kind` means (`msgrcv(2)`).
fn find(messages: &VecDeque<Message>, kind: i64, flags: u32) -> Option<usize> {
    match kind {
        0 => (!messages.is_empty()).then_some(0),
        1.. if flags & MSG_EXCEPT != 0 => messages.iter().position(|m| m.kind != kind),
        1.. => messages.iter().position(|m| m.kind == kind),
        _ => {
            let most = kind.checked_neg().unwrap_or(i64::MAX);
            let fits = messages.iter().enumerate().filter(|(_, m)| m.kind <= most);
            // The lowest type, of which the oldest.
            fits.min_by_key(|(at, m)| (m.kind, *at)).map(|(at, _)| at)
        }
    }
}

/// Signals end the wait; it is not restarted (`signal(7)`).
fn ended<T>(result: SysResult<T>) -> SysResult<T> {
    match result {
        Err(SysError::Interrupted(_)) => Err(Errno::EINTR.into()),
        other => other,
    }
}

impl IpcNamespace {
    /// `msgget(2)`.
    pub fn msgget(&self, task: &Task, key: i32, flags: u32) -> Result<i32, Errno> {
        let cred = task.cred();
        let check = |q: &Queue| q.state.lock_nested().perm.check(&cred, &self.user_ns, flags & 0o777);
        let make = |header| {
            let state = State {
                perm: Perm::new(&cred, flags),
                messages: VecDeque::new(),
                bytes: 0,
                limit: MSGMNB,
                stime: 0,
                rtime: 0,
                ctime: now(),
                lspid: 0,
                lrpid: 0,
                removed: false,
            };
            Ok(Arc::new(Queue { header, state: Mutex::new(rank::IPC, state), changed: WaitQueue::new() }))
        };
        self.msg.lock().find_or_make(key, flags, MSGMNI, check, make)
    }

    /// `msgsnd(2)`.
    pub async fn msgsnd(&self, task: &Arc<Task>, id: i32, message: Message, flags: u32) -> SysResult<()> {
        if message.text.len() > MSGMAX || id < 0 || message.kind < 1 {
            return Err(Errno::EINVAL.into());
        }
        let queue = self.msg.lock().get(id)?;
        let cred = task.cred();
        queue.state.lock().perm.check(&cred, &self.user_ns, super::WRITE)?;
        let attempt = || queue.send(task, &message);
        if flags & IPC_NOWAIT != 0 {
            return Ok(attempt()?);
        }
        ended(task.block_on(Wait::on(&queue.changed, Ready::OTHER), attempt).await)
    }

    /// `msgrcv(2)`: a message, of which the caller stores `size` bytes.
    pub async fn msgrcv(
        &self,
        task: &Arc<Task>,
        id: i32,
        size: usize,
        kind: i64,
        flags: u32,
    ) -> SysResult<Message> {
        if id < 0 || isize::try_from(size).is_err() {
            return Err(Errno::EINVAL.into());
        }
        if flags & MSG_COPY != 0 && (flags & MSG_EXCEPT != 0 || flags & IPC_NOWAIT == 0) {
            return Err(Errno::EINVAL.into());
        }
        let queue = self.msg.lock().get(id)?;
        let cred = task.cred();
        queue.state.lock().perm.check(&cred, &self.user_ns, super::READ)?;
        let attempt = || queue.receive(task, size, kind, flags);
        if flags & IPC_NOWAIT != 0 {
            return attempt().map_err(|e| if e == Errno::EAGAIN { Errno::ENOMSG } else { e }.into());
        }
        ended(task.block_on(Wait::on(&queue.changed, Ready::OTHER), attempt).await)
    }

    /// `/proc/sysvipc/msg` as `reader` sees it.
    pub fn msg_text(&self, reader: &Credentials) -> String {
        let mut text = String::from(
            "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n",
        );
        let all = self.msg.lock().all();
        for queue in all {
            let s = queue.stat(&reader.user_ns);
            let p = s.msg_perm;
            text += &format!(
                "{:10} {:10}  {:4o}  {:10} {:10} {:5} {:5} {:5} {:5} {:5} {:5} {:10} {:10} {:10}\n",
                p.key,
                queue.header.id,
                p.mode,
                s.msg_cbytes,
                s.msg_qnum,
                s.msg_lspid,
                s.msg_lrpid,
                p.uid,
                p.gid,
                p.cuid,
                p.cgid,
                s.msg_stime,
                s.msg_rtime,
                s.msg_ctime
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_picked_by_type() {
        let queue: VecDeque<Message> =
            [3, 1, 2, 1].into_iter().map(|kind| Message { kind, text: Vec::new() }).collect();
        assert_eq!(find(&queue, 0, 0), Some(0));
        assert_eq!(find(&queue, 1, 0), Some(1));
        assert_eq!(find(&queue, 3, MSG_EXCEPT), Some(1));
        assert_eq!(find(&queue, -2, 0), Some(1));
        assert_eq!(find(&queue, 9, 0), None);
        assert_eq!(find(&queue, i64::MIN, 0), Some(1));
    }
}
