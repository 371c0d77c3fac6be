//! [`Socket`]: a socket as an open file; [`SocketOps`]: what each family implements.
//!
//! **Nothing here sleeps**: `EAGAIN` means "not now", and the socket's wait queue announces when to try again. What
//! blocks (`recv` with `MSG_WAITALL`, a `send` larger than the buffer) is a loop of the system call layer.

use crate::{
    caller::Caller,
    common::Common,
    message::{Address, OptionValue, RecvMsg, SendControl, SendMsg},
};
use abi::{
    Errno,
    ioctl::TIOCOUTQ,
    socket::{MsgFlags, SIOCGSTAMP_OLD, SIOCGSTAMPNS_OLD, SIOCINQ, Shutdown},
};
use ksync::{Ready, WaitQueue};
use mem::{IoDst, IoSrc, UserMemory, UserPtr};
use std::{
    any::Any,
    sync::{Arc, atomic::Ordering},
};
use vfs::{File, FileOps};

/// What a socket does, whatever its family. The default of an operation is the errno of what does not have it.
pub trait SocketOps: Send + Sync + Any {
    /// The state that every socket has.
    fn common(&self) -> &Common;
    /// `bind(2)`. `addr` is at most `sockaddr_storage` long.
    fn bind(&self, caller: Caller<'_>, addr: &[u8]) -> Result<(), Errno>;
    /// `listen(2)`.
    fn listen(&self, caller: Caller<'_>, backlog: i32) -> Result<(), Errno> {
        let _ = (caller, backlog);
        Err(Errno::EOPNOTSUPP)
    }
    /// `accept(2)`: a connection, if there is one.
    fn accept(&self, caller: Caller<'_>) -> Result<Arc<dyn SocketOps>, Errno> {
        let _ = caller;
        Err(Errno::EOPNOTSUPP)
    }
    /// `connect(2)`. `EINPROGRESS`: begun, and [`connected`](Self::connected) says what became of it;
    /// `EALREADY`: had been begun; `EAGAIN`: to be tried again as a whole.
    fn connect(&self, caller: Caller<'_>, addr: &[u8]) -> Result<(), Errno>;
    /// What became of a connection that was begun; `EAGAIN` for as long as that is open.
    fn connected(&self) -> Result<(), Errno> {
        Ok(())
    }
    /// Sends what there is room for.
    fn send(&self, caller: Caller<'_>, msg: &mut SendMsg<'_, '_>) -> Result<usize, Errno>;
    /// Receives what is there.
    fn recv(&self, caller: Caller<'_>, msg: &mut RecvMsg<'_, '_>) -> Result<usize, Errno>;
    /// `shutdown(2)`.
    fn shutdown(&self, how: Shutdown) -> Result<(), Errno>;
    /// Readiness now.
    fn ready(&self) -> Ready;
    /// `getsockname(2)`.
    fn local_name(&self) -> Result<Address, Errno>;
    /// `getpeername(2)`.
    fn peer_name(&self) -> Result<Address, Errno>;
    /// `getsockopt(2)` with room for `room` bytes.
    fn get_option(
        &self,
        caller: Caller<'_>,
        level: i32,
        name: i32,
        room: usize,
    ) -> Result<OptionValue, Errno>;
    /// `setsockopt(2)`.
    fn set_option(&self, caller: Caller<'_>, level: i32, name: i32, value: &[u8]) -> Result<(), Errno>;
    /// Bytes that [`recv`](Self::recv) would give (`SIOCINQ`).
    fn readable_bytes(&self) -> Result<usize, Errno>;
    /// Bytes that have been sent and not been received (`SIOCOUTQ`).
    fn unsent_bytes(&self) -> Result<usize, Errno>;
    /// What `shutdown(2)` ended: 1 receiving, 2 sending.
    fn shut_down(&self) -> u8 {
        0
    }
    /// `ioctl(2)` requests of the family.
    fn ioctl(&self, caller: Caller<'_>, mem: &dyn UserMemory, cmd: u32, arg: u64) -> Result<u64, Errno> {
        let _ = (caller, mem, cmd, arg);
        Err(Errno::ENOTTY)
    }
    /// The last descriptor was closed.
    fn release(&self);
    /// How long closing takes to get rid of what is not sent yet, in nanoseconds (`SO_LINGER`).
    fn linger_ns(&self) -> Option<u64> {
        None
    }
    /// For downcasts within the family: implement as `self`.
    fn as_any(&self) -> &dyn Any;
}

/// A socket as an open file.
pub struct Socket {
    ops: Arc<dyn SocketOps>,
}

impl Socket {
    /// The operations of a file for `ops`.
    pub fn new(ops: Arc<dyn SocketOps>) -> Box<Self> {
        Box::new(Self { ops })
    }
    /// The socket of an open file; `ENOTSOCK`.
    pub fn of(file: &File) -> Result<&Arc<dyn SocketOps>, Errno> {
        if file.is_path_only() {
            return Err(Errno::EBADF);
        }
        file.downcast::<Socket>().map(|s| &s.ops).ok_or(Errno::ENOTSOCK)
    }
    /// The socket.
    pub fn ops(&self) -> &Arc<dyn SocketOps> {
        &self.ops
    }
}

/// `MSG_DONTWAIT` as a file's status flags ask for it.
pub fn status_flags(file: &File) -> MsgFlags {
    if file.nonblocking() { MsgFlags::DONTWAIT } else { MsgFlags::empty() }
}

impl FileOps for Socket {
    fn read(&self, file: &File, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        self.ops.recv(Caller::Current(file.cred()), &mut RecvMsg::new(dst, status_flags(file)))
    }
    /// Takes what there is room for; `EPIPE` without a signal, which is the caller's business.
    fn write(&self, file: &File, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        let mut control = SendControl::default();
        let mut msg = SendMsg { src, name: None, control: &mut control, flags: status_flags(file) };
        self.ops.send(Caller::Current(file.cred()), &mut msg)
    }
    fn seekable(&self) -> bool {
        false
    }
    fn ready(&self, _: &File) -> Ready {
        self.ops.ready()
    }
    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&*self.ops.common().queue)
    }
    fn ioctl(&self, file: &File, mem: &dyn UserMemory, cmd: u32, arg: u64) -> Result<u64, Errno> {
        let put = |n: usize| {
            UserPtr::<i32>::from(arg).write(mem, &i32::try_from(n).unwrap_or(i32::MAX)).map(|()| 0)
        };
        match cmd {
            SIOCINQ => put(self.ops.readable_bytes()?),
            TIOCOUTQ => put(self.ops.unsent_bytes()?),
            // Stamps of single packets are not kept; SO_TIMESTAMP gives them with the packet.
            SIOCGSTAMP_OLD | SIOCGSTAMPNS_OLD => Err(Errno::ENOENT),
            cmd if crate::ioctl::is_interface_request(cmd) && self.ops.common().ns.host.is_none() => {
                let common = self.ops.common();
                crate::ioctl::interface(&common.ns, Caller::Current(file.cred()), mem, cmd, arg)
            }
            _ => self.ops.ioctl(Caller::Current(file.cred()), mem, cmd, arg),
        }
    }
    fn fdinfo(&self, _: &File) -> String {
        String::new()
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.ops.common().ns.forget(self.ops.common().cookie);
        self.ops.release();
    }
}

/// Notes the inode that the socket's file got.
pub fn set_inode(ops: &Arc<dyn SocketOps>, ino: u64) {
    ops.common().ino.store(ino, Ordering::Relaxed);
}
