//! The control server: answers urpc requests on a listening socket that the runtime made.
//!
//! [`Server`] owns the socket and one thread a connection (a `Wait` blocks for as long as a container lives), at
//! most [`MAX_CONNECTIONS`] at a time. What the methods do is [`Methods`], which `boot` implements.
//!
//! **Trust:** the socket has mode 0600; besides, a peer whose user id is neither 0 nor the one that the server was
//! told is refused ([`Server::allow_user`]). What a permitted peer sends is still bounded and checked.
//! **Absent on purpose:** opening paths; the listener and every file come as descriptors.

#![forbid(unsafe_code)]

mod connection;
mod dispatch;
mod methods;
mod pending;

pub use methods::{ExecFiles, Methods};
pub use pending::Pending;

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// The most connections served at a time; one more is told so and closed.
pub const MAX_CONNECTIONS: usize = 256;

/// Stack of a connection's thread: JSON is parsed to a bounded depth, so little will do.
const STACK_SIZE: usize = 256 << 10;

/// A control server.
pub struct Server {
    listener: UnixListener,
    methods: Arc<dyn Methods>,
    allowed_user: Option<u32>,
    connections: Arc<AtomicUsize>,
    pending: Arc<Pending>,
}

impl Server {
    /// A server on `listener`, a bound and listening stream socket.
    pub fn new(listener: OwnedFd, methods: Arc<dyn Methods>) -> Self {
        let connections = Arc::new(AtomicUsize::new(0));
        Self { listener: listener.into(), methods, allowed_user: None, connections, pending: Arc::default() }
    }

    /// Lets this user in beside user 0 and whoever has the server's own user id. The number is as the server's
    /// user namespace shows it.
    #[must_use]
    pub fn allow_user(mut self, uid: u32) -> Self {
        self.allowed_user = Some(uid);
        self
    }

    /// The requests that are being answered: for a process that wants to send the last answers before it ends.
    pub fn pending(&self) -> Arc<Pending> {
        self.pending.clone()
    }

    /// Serves on a thread of its own until the process ends.
    pub fn spawn(self) -> io::Result<thread::JoinHandle<()>> {
        thread::Builder::new().name("control".into()).stack_size(STACK_SIZE).spawn(move || self.serve())
    }

    /// Accepts connections for ever.
    pub fn serve(&self) {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => self.admit(stream),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // Out of descriptors or memory; a connection that ends will give some back.
                    log::warn!("control: accept: {error}");
                    thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }

    fn admit(&self, stream: UnixStream) {
        if let Err(reason) = self.check_peer(&stream) {
            log::warn!("control: connection refused: {reason}");
            connection::refuse(&stream, &reason);
            return;
        }
        let slot = Slot::take(&self.connections);
        let Some(slot) = slot else {
            connection::refuse(&stream, &format!("too many connections (limit {MAX_CONNECTIONS})"));
            return;
        };
        let (methods, pending) = (self.methods.clone(), self.pending.clone());
        let spawned =
            thread::Builder::new().name("control-conn".into()).stack_size(STACK_SIZE).spawn(move || {
                connection::serve(stream, &*methods, &pending);
                drop(slot);
            });
        if let Err(error) = spawned {
            log::warn!("control: cannot start a thread for a connection: {error}");
        }
    }

    fn check_peer(&self, stream: &UnixStream) -> Result<(), String> {
        let uid = host::scm::peer_uid(stream.as_fd()).map_err(|error| format!("SO_PEERCRED: {error}"))?;
        let own = host::process::effective_uid();
        if uid == 0 || uid == own || Some(uid) == self.allowed_user {
            return Ok(());
        }
        Err(format!("permission denied: user {uid} does not own this sandbox"))
    }
}

/// One of the [`MAX_CONNECTIONS`], given back when dropped.
struct Slot(Arc<AtomicUsize>);

impl Slot {
    fn take(counter: &Arc<AtomicUsize>) -> Option<Self> {
        let slot = Self(counter.clone());
        // The slot that is dropped on refusal takes back what was added here.
        (counter.fetch_add(1, Ordering::Relaxed) < MAX_CONNECTIONS).then_some(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
