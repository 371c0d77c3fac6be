//! What tests of several modules use.

use crate::{Caller, Identity, NetNamespace, RecvMsg, SendControl, SendMsg, SocketOps};
use abi::{Errno, socket::MsgFlags};
use mem::{IoDst, IoSrc};
use std::sync::{Arc, OnceLock};
use vfs::{Credentials, Uid, UserNamespace};

fn user_ns() -> Arc<UserNamespace> {
    static NS: OnceLock<Arc<UserNamespace>> = OnceLock::new();
    NS.get_or_init(UserNamespace::initial).clone()
}

/// Somebody called `uid`, with every capability if that is 0.
pub fn identity(uid: u32) -> Identity {
    let mut cred = Credentials::clone(&Credentials::root(user_ns()));
    if uid != 0 {
        cred.effective = abi::CapSet::EMPTY;
    }
    (cred.ruid, cred.euid, cred.suid, cred.fsuid) = (Uid(uid), Uid(uid), Uid(uid), Uid(uid));
    Identity { cred: Arc::new(cred), pid: None }
}

/// The superuser.
pub fn caller() -> Caller<'static> {
    static ROOT: OnceLock<Identity> = OnceLock::new();
    Caller::As(ROOT.get_or_init(|| identity(0)))
}

/// A network of its own.
pub fn namespace() -> Arc<NetNamespace> {
    NetNamespace::container(user_ns())
}

/// Sends bytes.
pub fn send(socket: &dyn SocketOps, bytes: &[u8]) -> Result<usize, Errno> {
    send_to(socket, bytes, None, MsgFlags::empty())
}

/// Sends bytes somewhere.
pub fn send_to(
    socket: &dyn SocketOps,
    bytes: &[u8],
    name: Option<&[u8]>,
    flags: MsgFlags,
) -> Result<usize, Errno> {
    let mut bytes = bytes.to_vec();
    let mut src = IoSrc::bytes(&mut bytes);
    let mut control = SendControl::default();
    socket.send(caller(), &mut SendMsg { src: &mut src, name, control: &mut control, flags })
}

/// Receives up to `n` bytes.
pub fn recv(socket: &dyn SocketOps, n: usize) -> Result<Vec<u8>, Errno> {
    recv_with(socket, n, MsgFlags::empty())
}

/// Receives up to `n` bytes.
pub fn recv_with(socket: &dyn SocketOps, n: usize, flags: MsgFlags) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; n];
    let mut dst = IoDst::bytes(&mut bytes);
    let got = socket.recv(caller(), &mut RecvMsg::new(&mut dst, flags))?;
    bytes.truncate(got);
    Ok(bytes)
}
