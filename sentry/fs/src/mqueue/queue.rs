//! A queue: messages by priority, who waits for them or for room, and who is to be told of them.
//!
//! As on Linux, a message goes straight to whoever has waited longest for one, and a sender that waits gets its message in
//! when another leaves: nobody who comes later gets before those who wait.

use abi::{
    Errno, SigInfo, Signal,
    signal::{SI_MESGQ, SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD},
};
use kernel::{SysResult, Task, ThreadGroup, pid::PidNamespace, task::Deadline, task::Wait};
use ksync::{Mutex, Ready, WaitQueue, rank};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Weak},
};
use vfs::UserNamespace;

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    /// The higher, the sooner.
    pub priority: u32,
    /// Its bytes.
    pub text: Vec<u8>,
}

/// What the cookie of `SIGEV_THREAD` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A message has come.
    Arrived = 1,
    /// There will be none: the registration was removed.
    Removed = 2,
}

/// How somebody wants to be told of the next message (`mq_notify(2)`).
pub enum NotifyTarget {
    /// Not at all: only nobody else can register.
    None,
    /// By this signal (0: none is sent) with this value.
    Signal(i32, u64),
    /// By calling this: a cookie goes to a socket, to which the C library's thread listens.
    Thread(Box<dyn Fn(Notice) + Send + Sync>),
}

impl NotifyTarget {
    fn kind(&self) -> i32 {
        match self {
            NotifyTarget::None => SIGEV_NONE,
            NotifyTarget::Signal(..) => SIGEV_SIGNAL,
            NotifyTarget::Thread(_) => SIGEV_THREAD,
        }
    }
}

/// A registration.
struct Registered {
    owner: Weak<ThreadGroup>,
    user_ns: Arc<UserNamespace>,
    target: NotifyTarget,
}

impl Registered {
    fn is_of(&self, group: &Arc<ThreadGroup>) -> bool {
        std::ptr::eq(self.owner.as_ptr(), Arc::as_ptr(group))
    }

    /// `sender` has put a message into the empty queue.
    fn fire(self, sender: &Task) {
        match self.target {
            NotifyTarget::None => {}
            NotifyTarget::Thread(call) => call(Notice::Arrived),
            NotifyTarget::Signal(number, value) => {
                let (Some(signal), Some(owner)) = (Signal::new(number), self.owner.upgrade()) else { return };
                let pid = owner.pid.namespace().and_then(|ns| sender.group.pid.number_in(ns)).unwrap_or(0);
                let uid = self.user_ns.show_uid(sender.cred().ruid);
                let _ = owner.send_signal(SigInfo::rt(signal, SI_MESGQ, pid as i32, uid, value));
            }
        }
    }
}

#[derive(Default)]
struct State {
    by_priority: BTreeMap<u32, VecDeque<Vec<u8>>>,
    count: usize,
    bytes: usize,
    /// Names whoever waits.
    next_ticket: u64,
    senders: VecDeque<(u64, Message)>,
    receivers: VecDeque<u64>,
    /// What waiting receivers were given.
    handed: BTreeMap<u64, Message>,
    notify: Option<Registered>,
}

impl State {
    fn insert(&mut self, message: Message) {
        self.count += 1;
        self.bytes += message.text.len();
        self.by_priority.entry(message.priority).or_default().push_back(message.text);
    }

    fn take(&mut self) -> Option<Message> {
        let mut highest = self.by_priority.last_entry()?;
        let priority = *highest.key();
        let text = highest.get_mut().pop_front()?;
        if highest.get().is_empty() {
            highest.remove();
        }
        self.count -= 1;
        self.bytes -= text.len();
        Some(Message { priority, text })
    }

    fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }
}

/// A queue.
pub struct Queue {
    /// The most messages.
    pub max_messages: usize,
    /// The longest message.
    pub max_size: usize,
    state: Mutex<State>,
    /// Announces messages, room, and what was handed to those who wait.
    pub changed: WaitQueue,
}

impl Queue {
    /// An empty queue.
    pub(super) fn new(max_messages: usize, max_size: usize) -> Self {
        Self {
            max_messages,
            max_size,
            state: Mutex::new(rank::IPC, State::default()),
            changed: WaitQueue::new(),
        }
    }

    /// How many messages there are.
    pub fn count(&self) -> usize {
        self.state.lock().count
    }

    /// Readiness of its open files.
    pub(super) fn ready(&self) -> Ready {
        let count = self.count();
        let mut ready = Ready::empty();
        ready.set(Ready::IN | Ready::RDNORM, count > 0);
        ready.set(Ready::OUT | Ready::WRNORM, count < self.max_messages);
        ready
    }

    /// What reading the queue's file gives.
    pub(super) fn describe(&self, reader: Option<&PidNamespace>) -> String {
        let state = self.state.lock();
        let (mut kind, mut signal, mut pid) = (0, 0, 0);
        if let Some(n) = &state.notify {
            kind = n.target.kind();
            if let NotifyTarget::Signal(number, _) = n.target {
                signal = number;
            }
            pid = n.owner.upgrade().zip(reader).and_then(|(g, ns)| g.pid.number_in(ns)).unwrap_or(0);
        }
        let bytes = state.bytes;
        format!("QSIZE:{bytes:<10} NOTIFY:{kind:<5} SIGNO:{signal:<5} NOTIFY_PID:{pid:<6}\n")
    }

    /// Puts a message in; `None` where it is, or else the ticket of the wait for room. `EAGAIN` unless `wait`.
    fn begin_send(&self, task: &Task, message: Message, wait: bool) -> Result<Option<u64>, Errno> {
        let mut told = None;
        let mut state = self.state.lock();
        if let Some(receiver) = state.receivers.pop_front() {
            state.handed.insert(receiver, message);
            drop(state);
            self.changed.notify(Ready::OTHER);
            return Ok(None);
        }
        if state.count >= self.max_messages {
            if !wait {
                return Err(Errno::EAGAIN);
            }
            let ticket = state.ticket();
            state.senders.push_back((ticket, message));
            return Ok(Some(ticket));
        }
        state.insert(message);
        if state.count == 1 {
            told = state.notify.take();
        }
        drop(state);
        if let Some(told) = told {
            told.fire(task);
        }
        self.changed.notify(Ready::IN | Ready::RDNORM);
        Ok(None)
    }

    /// `mq_timedsend(2)`, past its checks.
    pub async fn send(
        &self,
        task: &Arc<Task>,
        message: Message,
        wait: bool,
        deadline: Deadline,
    ) -> SysResult<()> {
        let Some(ticket) = self.begin_send(task, message, wait)? else { return Ok(()) };
        let waits = || self.state.lock().senders.iter().any(|(t, _)| *t == ticket);
        let on = Wait::on(&self.changed, Ready::OTHER).deadline(deadline);
        let result = task.block_on(on, || if waits() { Err(Errno::EAGAIN) } else { Ok(()) }).await;
        if result.is_err() {
            let mut state = self.state.lock();
            let before = state.senders.len();
            state.senders.retain(|(t, _)| *t != ticket);
            if state.senders.len() == before {
                return Ok(()); // it got in after all
            }
        }
        result
    }

    /// Takes a message, or the ticket of the wait for one. `EAGAIN` unless `wait`.
    fn begin_receive(&self, wait: bool) -> Result<Result<Message, u64>, Errno> {
        let mut state = self.state.lock();
        let Some(message) = state.take() else {
            if !wait {
                return Err(Errno::EAGAIN);
            }
            let ticket = state.ticket();
            state.receivers.push_back(ticket);
            return Ok(Err(ticket));
        };
        let waiting = state.senders.pop_front();
        let announce = match waiting {
            Some((_, next)) => {
                state.insert(next);
                Ready::OTHER
            }
            None => Ready::OUT | Ready::WRNORM,
        };
        drop(state);
        self.changed.notify(announce);
        Ok(Ok(message))
    }

    /// `mq_timedreceive(2)`, past its checks.
    pub async fn receive(&self, task: &Arc<Task>, wait: bool, deadline: Deadline) -> SysResult<Message> {
        let ticket = match self.begin_receive(wait)? {
            Ok(message) => return Ok(message),
            Err(ticket) => ticket,
        };
        let handed = || self.state.lock().handed.remove(&ticket);
        let on = Wait::on(&self.changed, Ready::OTHER).deadline(deadline);
        let result = task.block_on(on, || handed().ok_or(Errno::EAGAIN)).await;
        if result.is_err() {
            let mut state = self.state.lock();
            state.receivers.retain(|t| *t != ticket);
            if let Some(message) = state.handed.remove(&ticket) {
                return Ok(message);
            }
        }
        result
    }

    /// `mq_notify(2)`: registers the caller; `EBUSY` where somebody is.
    pub fn register(&self, task: &Arc<Task>, target: NotifyTarget) -> Result<(), Errno> {
        let user_ns = task.cred().user_ns.clone();
        let new = Registered { owner: Arc::downgrade(&task.group), user_ns, target };
        let mut state = self.state.lock();
        if state.notify.as_ref().is_some_and(|n| n.owner.strong_count() > 0) {
            return Err(Errno::EBUSY);
        }
        let old = state.notify.replace(new);
        drop(state);
        drop(old);
        Ok(())
    }

    /// Takes the registration of `group` back, if there is one.
    pub fn forget_notification(&self, group: &Arc<ThreadGroup>) {
        let removed = {
            let mut state = self.state.lock();
            if state.notify.as_ref().is_some_and(|n| n.is_of(group)) { state.notify.take() } else { None }
        };
        if let Some(Registered { target: NotifyTarget::Thread(call), .. }) = removed {
            call(Notice::Removed);
        }
    }
}
