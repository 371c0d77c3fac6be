//! What is sent and received: data, address, control messages.

use crate::{caller::Identity, unix::Rights};
use abi::{Errno, socket::MsgFlags};
use mem::{IoDst, IoSrc};
use smallvec::SmallVec;
use std::sync::Arc;
use vfs::{File, Gid, Uid, cred::Credentials};

/// A socket address as its bytes, beginning with the family.
pub type Address = SmallVec<[u8; 32]>;

/// The value of a socket option as its bytes.
pub type OptionValue = SmallVec<[u8; 16]>;

/// Who sent something, as the kernel's own ids.
#[derive(Clone)]
pub struct Sender {
    /// Process; none if it is unknown.
    pub pid: Option<Arc<kernel::pid::Pid>>,
    /// User; `u32::MAX` if unknown.
    pub uid: Uid,
    /// Group; `u32::MAX` if unknown.
    pub gid: Gid,
}

impl Sender {
    /// Nobody that is known.
    pub fn unknown() -> Self {
        Self { pid: None, uid: Uid(u32::MAX), gid: Gid(u32::MAX) }
    }
    /// A process with its real ids, as `SCM_CREDENTIALS` carries them unless told otherwise.
    pub fn real(of: &Identity) -> Self {
        Self { pid: of.pid.clone(), uid: of.cred.ruid, gid: of.cred.rgid }
    }
    /// A process with its effective ids, as `SO_PEERCRED` gives them.
    pub fn effective(of: &Identity) -> Self {
        Self { pid: of.pid.clone(), uid: of.cred.euid, gid: of.cred.egid }
    }
}

impl PartialEq for Sender {
    fn eq(&self, other: &Self) -> bool {
        self.uid == other.uid
            && self.gid == other.gid
            && match (&self.pid, &other.pid) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (None, None) => true,
                _ => false,
            }
    }
}

/// Control messages to be sent, checked against the sender's rights already.
#[derive(Default)]
pub struct SendControl {
    /// `SCM_RIGHTS`.
    pub rights: Vec<Arc<File>>,
    /// `SCM_CREDENTIALS`.
    pub sender: Option<Sender>,
    /// Those of other levels: level, type, data.
    pub other: Vec<(i32, i32, Vec<u8>)>,
}

/// A message to be sent. A second attempt goes on where the first one stopped: `src` moves, rights are taken.
pub struct SendMsg<'a, 'b> {
    /// Data.
    pub src: &'a mut IoSrc<'b>,
    /// `msg_name`.
    pub name: Option<&'a [u8]>,
    /// Control messages.
    pub control: &'a mut SendControl,
    /// `MSG_*`.
    pub flags: MsgFlags,
}

/// A control message that was received.
pub enum Control {
    /// `SCM_RIGHTS`.
    Rights(Vec<Arc<File>>),
    /// `SCM_CREDENTIALS`.
    Credentials(Sender),
    /// `SCM_PIDFD`: the sender.
    Pidfd(Sender),
    /// Another one: level, type, data.
    Other(i32, i32, SmallVec<[u8; 32]>),
}

/// Room for a message, and what else came with it.
pub struct RecvMsg<'a, 'b> {
    /// Where data goes.
    pub dst: &'a mut IoDst<'b>,
    /// `MSG_*` as asked for.
    pub flags: MsgFlags,
    /// `msg_flags` of the result.
    pub out_flags: MsgFlags,
    /// The caller has a use for the source's address.
    pub wants_name: bool,
    /// The source's address, if there is one.
    pub name: Option<Address>,
    /// Control messages.
    pub control: SmallVec<[Control; 2]>,
}

impl<'a, 'b> RecvMsg<'a, 'b> {
    /// Room at `dst`.
    pub fn new(dst: &'a mut IoDst<'b>, flags: MsgFlags) -> Self {
        Self {
            dst,
            flags,
            out_flags: MsgFlags::empty(),
            wants_name: false,
            name: None,
            control: SmallVec::new(),
        }
    }
    /// `MSG_PEEK`.
    pub fn peek(&self) -> bool {
        self.flags.contains(MsgFlags::PEEK)
    }
    /// Puts a datagram, returning what the call returns: bytes put, or the whole size with `MSG_TRUNC`.
    pub fn put_datagram(&mut self, data: &[u8]) -> Result<usize, Errno> {
        let n = if data.is_empty() || self.dst.remaining() == 0 { 0 } else { self.dst.put(data)? };
        if n < data.len() {
            self.out_flags |= MsgFlags::TRUNC;
        }
        Ok(if self.flags.contains(MsgFlags::TRUNC) { data.len() } else { n })
    }
}

/// Takes the rights of a message; the kernel counts them as in flight from now on.
pub(crate) fn take_rights(
    control: &mut SendControl,
    cred: &Credentials,
    nofile: u64,
) -> Result<Option<Rights>, Errno> {
    if control.rights.is_empty() {
        return Ok(None);
    }
    Rights::new(std::mem::take(&mut control.rights), cred, nofile).map(Some).map_err(|(files, e)| {
        control.rights = files;
        e
    })
}
