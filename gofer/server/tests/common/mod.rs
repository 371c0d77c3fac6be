//! A gofer in a thread, with its client.
#![allow(dead_code, clippy::unwrap_used, missing_docs)]

use gofer_client::{Client, EventStream, Make, Node};
use gofer_server::{Counters, Policy, ProcFd, Server, Tree, serve};
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

pub fn pair() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
}

pub fn tree(path: &Path, readonly: bool) -> Tree {
    Tree { root: rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap(), readonly }
}

pub struct Gofer {
    pub dir: tempfile::TempDir,
    pub client: Arc<Client>,
    pub events: EventStream,
    pub thread: JoinHandle<Counters>,
    hang_up: OwnedFd,
}

pub fn gofer_with(policy: Policy, limit: usize) -> Gofer {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("root")).unwrap();
    std::fs::write(dir.path().join("secret"), "outside").unwrap();
    let root = dir.path().join("root");
    let (ours, theirs) = pair();
    let (our_events, their_events) = pair();
    let hang_up = ours.try_clone().unwrap();
    let thread = std::thread::spawn(move || {
        let file = root.parent().unwrap().join("secret");
        let trees = vec![tree(&root, false), tree(&root, true), tree(&file, false)];
        let server = Server::new(trees, policy, ProcFd::absolute().unwrap(), limit);
        serve(server, &theirs, Some(&their_events)).unwrap()
    });
    Gofer { dir, client: Client::new(ours), events: EventStream::new(our_events), thread, hang_up }
}

pub fn gofer() -> Gofer {
    gofer_with(Policy { tolerate_chown: true, ..Policy::default() }, 4096)
}

impl Gofer {
    pub fn root(&self) -> Node {
        self.client.attach(0).unwrap().node
    }
    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("root").join(name)
    }
    /// Lets the gofer end and says what it counted.
    pub fn end(self) -> Counters {
        rustix::net::shutdown(&self.hang_up, rustix::net::Shutdown::Both).unwrap();
        self.thread.join().unwrap()
    }
}

pub fn make(mode: u32) -> Make {
    let me = (rustix::process::geteuid(), rustix::process::getegid());
    Make { mode, uid: me.0.as_raw(), gid: me.1.as_raw() }
}
