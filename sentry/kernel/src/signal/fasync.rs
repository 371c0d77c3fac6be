//! Signals about files: `SIGIO` of `O_ASYNC`, `SIGURG` of sockets.
//!
//! What happens to a file is announced under whatever locks there are, so it is only noted there ([`NOTED`]). Signals are sent
//! by the next task that ends a system call, as a rule the one that caused them, or else by a future that waits for notes.
//!
//! **Lock order:** the notes come behind wait queues; signals are sent without them.

use super::send::signal_owner;
use crate::Kernel;
use abi::{
    signal::{POLL_ERR, POLL_HUP, POLL_IN, POLL_OUT, POLL_PRI},
    stat::FileType,
};
use ksync::{Listener, Mutex, Ready, rank};
use std::{
    future::poll_fn,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
};
use vfs::File;

/// Something that a file's owner is to be told.
struct Note {
    file: Weak<File>,
    fd: i32,
    /// `POLL_*`.
    code: i32,
}

static NOTES: Mutex<Vec<Note>> = Mutex::new(rank::FILE_NOTES, Vec::new());
/// There are some.
static NOTED: AtomicBool = AtomicBool::new(false);
/// The future that sends what nobody else sends.
static SENDER: Mutex<Option<Waker>> = Mutex::new(rank::FILE_NOTES, None);
static STARTED: AtomicBool = AtomicBool::new(false);

fn note(note: Note) {
    NOTES.lock().push(note);
    NOTED.store(true, Ordering::SeqCst);
    let waker = SENDER.lock().take();
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Sends what was noted.
pub(crate) fn send_notes() {
    // Looked at behind every trap: the line is written to only where there is something.
    if !NOTED.load(Ordering::SeqCst) || !NOTED.swap(false, Ordering::SeqCst) {
        return;
    }
    let notes = std::mem::take(&mut *NOTES.lock());
    for note in notes {
        if let Some(file) = note.file.upgrade() {
            signal_owner(&file, note.fd, note.code);
        }
    }
}

/// Makes sure that notes are sent even where no task is about.
fn start(kernel: &Kernel) {
    if STARTED.swap(true, Ordering::SeqCst) {
        return;
    }
    let sender = poll_fn(|cx| {
        let before = SENDER.lock().replace(cx.waker().clone());
        drop(before);
        send_notes();
        Poll::<()>::Pending
    });
    kernel.executor.spawn_on(0, sender);
}

/// Stands for `POLL_*` where the signal is `SIGURG`.
pub(super) const URGENT: i32 = -1;

/// Hears of an `O_ASYNC` file, or of urgent data on a socket that has an owner.
struct Async {
    file: Weak<File>,
    fd: i32,
    socket: bool,
    asks: bool,
}

impl Listener for Async {
    fn notify(&self, events: Ready) {
        let has = |e| events.intersects(e);
        if self.socket && has(Ready::PRI) {
            note(Note { file: self.file.clone(), fd: self.fd, code: URGENT });
        }
        if !self.asks {
            return;
        }
        let code = match () {
            () if self.socket && has(Ready::HUP) => POLL_HUP,
            () if has(Ready::PRI) => POLL_PRI,
            () if has(Ready::IN) || has(Ready::HUP) => POLL_IN,
            () if has(Ready::ERR) => POLL_ERR,
            () if has(Ready::OUT) => POLL_OUT,
            () => return,
        };
        note(Note { file: self.file.clone(), fd: self.fd, code });
    }
}

/// `O_ASYNC` of `file`, known to the caller as `fd`, was switched on or off. Files that are always ready have nothing to tell.
pub fn set_async(kernel: &Kernel, file: &Arc<File>, fd: i32, on: bool) {
    let socket = file.inode().file_type() == FileType::Socket;
    let owned = socket && file.owner.lock().id != 0;
    let registration = match file.ops().wait_queue().filter(|_| on || owned) {
        Some(queue) => {
            start(kernel);
            let mut events = Ready::PRI;
            events.set(Ready::IN, on && file.flags().readable());
            events.set(Ready::OUT, on && file.flags().writable());
            let listener = Async { file: Arc::downgrade(file), fd, socket, asks: on };
            Some(queue.register(events, Arc::new(listener)))
        }
        None => None,
    };
    let before = std::mem::replace(&mut *file.fasync.lock(), registration);
    drop(before);
}
