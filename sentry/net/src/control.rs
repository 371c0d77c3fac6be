//! Control messages as bytes: taking apart what is sent, putting together what was received.
//!
//! **Invariant:** nothing is read or written beyond the buffer that the application named, whatever the lengths in
//! it say.

use crate::{
    caller::Caller,
    message::{Control, SendControl, Sender},
};
use abi::{Cap, Errno, socket::*};
use std::sync::Arc;
use vfs::{Fd, File, Uid};
use zerocopy::{FromBytes, IntoBytes};

/// The longest control buffer that is taken (`net.core.optmem_max`).
pub const MAX_CONTROL: usize = 131_072;

/// Takes control messages apart, checking that `caller` may send them. `file` finds descriptors.
pub fn parse(
    bytes: &[u8],
    family: u16,
    caller: &Caller<'_>,
    file: &dyn Fn(Fd) -> Result<Arc<File>, Errno>,
) -> Result<SendControl, Errno> {
    let mut control = SendControl::default();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..)
        && rest.len() >= Cmsghdr::SIZE
    {
        let (header, _) = Cmsghdr::read_from_prefix(rest).map_err(|_| Errno::EINVAL)?;
        let len = usize::try_from(header.cmsg_len).map_err(|_| Errno::EINVAL)?;
        if len < Cmsghdr::SIZE || len > rest.len() {
            return Err(Errno::EINVAL);
        }
        let data = rest.get(Cmsghdr::SIZE..len).ok_or(Errno::EINVAL)?;
        match (header.cmsg_level, header.cmsg_type) {
            (SOL_SOCKET, SCM_RIGHTS) if family == AF_UNIX => rights(data, &mut control, file)?,
            (SOL_SOCKET, SCM_CREDENTIALS) if family == AF_UNIX || family == AF_NETLINK => {
                let (claimed, _) = Ucred::read_from_prefix(data).map_err(|_| Errno::EINVAL)?;
                if data.len() != Ucred::SIZE {
                    return Err(Errno::EINVAL);
                }
                control.sender = Some(check_credentials(&claimed, caller)?);
            }
            (SOL_SOCKET, SO_MARK | SO_TXTIME | SO_TIMESTAMPING_OLD | SO_TIMESTAMPING_NEW) => {}
            (SOL_SOCKET, _) => return Err(Errno::EINVAL),
            (level, kind) => control.other.push((level, kind, data.to_vec())),
        }
        at += cmsg_align(len).ok_or(Errno::EINVAL)?;
    }
    Ok(control)
}

fn rights(
    data: &[u8],
    control: &mut SendControl,
    file: &dyn Fn(Fd) -> Result<Arc<File>, Errno>,
) -> Result<(), Errno> {
    let count = data.len() / 4;
    if control.rights.len() + count > SCM_MAX_FD {
        return Err(Errno::EINVAL);
    }
    for fd in data.chunks_exact(4) {
        let fd = i32::read_from_bytes(fd).map_err(|_| Errno::EINVAL)?;
        control.rights.push(file(Fd(fd))?);
    }
    Ok(())
}

/// Whether `caller` may say that it is `claimed` (`scm_check_creds`); `EPERM`, `ESRCH`.
fn check_credentials(claimed: &Ucred, caller: &Caller<'_>) -> Result<Sender, Errno> {
    let me = caller.identity();
    let ns = &me.cred.user_ns;
    let (uid, gid) = (ns.uid(claimed.uid).ok_or(Errno::EINVAL)?, ns.gid(claimed.gid).ok_or(Errno::EINVAL)?);
    let my_ns = me.pid.as_ref().and_then(|p| p.namespace().cloned());
    let my_number = match (&me.pid, &my_ns) {
        (Some(pid), Some(ns)) => pid.number_in(ns),
        _ => None,
    };
    let claims_other = my_number != u32::try_from(claimed.pid).ok();
    // Linux asks for the capability in the user namespace that owns the pid namespace.
    let over_pids = my_ns.as_ref().is_some_and(|ns| me.cred.has_cap_in(&ns.user_ns, Cap::SYS_ADMIN));
    let uid_fine = [me.cred.ruid, me.cred.euid, me.cred.suid].contains(&uid) || me.cred.has_cap(Cap::SETUID);
    let gid_fine = [me.cred.rgid, me.cred.egid, me.cred.sgid].contains(&gid) || me.cred.has_cap(Cap::SETGID);
    if (claims_other && !over_pids) || !uid_fine || !gid_fine {
        return Err(Errno::EPERM);
    }
    let pid = if claims_other {
        let number = u32::try_from(claimed.pid).map_err(|_| Errno::ESRCH)?;
        Some(my_ns.and_then(|ns| ns.find(number)).ok_or(Errno::ESRCH)?)
    } else {
        me.pid
    };
    Ok(Sender { pid, uid, gid })
}

/// A sender as `reader` sees it.
pub fn ucred(sender: &Sender, reader: &Caller<'_>) -> Ucred {
    let me = reader.identity();
    let ns = me.pid.as_ref().and_then(|p| p.namespace());
    let pid = match (&sender.pid, ns) {
        (Some(pid), Some(ns)) => pid.number_in(ns).unwrap_or(0),
        (Some(pid), None) => pid.root(),
        (None, _) => 0,
    };
    let show = |known: bool, shown: u32| if known { shown } else { u32::MAX };
    let unknown_process = sender.pid.is_none() && sender.uid == Uid(u32::MAX);
    Ucred {
        pid: i32::try_from(pid).unwrap_or(0),
        uid: show(!unknown_process, me.cred.user_ns.show_uid(sender.uid)),
        gid: show(!unknown_process, me.cred.user_ns.show_gid(sender.gid)),
    }
}

/// A control buffer that is being filled.
#[derive(Default)]
pub struct ControlBuffer {
    /// What goes to the application.
    pub bytes: Vec<u8>,
    room: usize,
    /// Something did not fit (`MSG_CTRUNC`).
    pub truncated: bool,
}

impl ControlBuffer {
    /// Room for `room` bytes.
    pub fn new(room: usize) -> Self {
        Self { bytes: Vec::new(), room: room.min(MAX_CONTROL), truncated: false }
    }

    fn left(&self) -> usize {
        self.room.saturating_sub(self.bytes.len())
    }

    /// Bytes of data that a message put now could have.
    pub fn data_room(&self) -> usize {
        self.left().saturating_sub(Cmsghdr::SIZE)
    }

    /// Puts a message, cut to the room that is left (`put_cmsg`).
    pub fn put(&mut self, level: i32, kind: i32, data: &[u8]) {
        if self.left() < Cmsghdr::SIZE {
            self.truncated = true;
            return;
        }
        let whole = cmsg_len(data.len());
        let len = whole.min(self.left());
        self.truncated |= len < whole;
        let header = Cmsghdr { cmsg_len: len as u64, cmsg_level: level, cmsg_type: kind };
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(data.get(..len - Cmsghdr::SIZE).unwrap_or_default());
        let padded = self.bytes.len().next_multiple_of(8).min(self.room);
        self.bytes.resize(padded, 0);
    }

    /// Puts descriptors that `install` gives numbers to, as many as there is room for; the other files are dropped.
    pub fn put_rights(
        &mut self,
        files: Vec<Arc<File>>,
        install: &mut dyn FnMut(Arc<File>) -> Result<Fd, Errno>,
    ) {
        let fit = self.data_room() / 4;
        self.truncated |= files.len() > fit;
        let mut numbers = Vec::with_capacity(files.len().min(fit) * 4);
        let mut rest = files.into_iter();
        for file in rest.by_ref().take(fit) {
            match install(file) {
                Ok(fd) => numbers.extend_from_slice(&fd.0.to_ne_bytes()),
                Err(_) => {
                    self.truncated = true;
                    break;
                }
            }
        }
        crate::unix::rights::drop_files(rest.collect());
        if !numbers.is_empty() {
            self.put(SOL_SOCKET, SCM_RIGHTS, &numbers);
        }
    }

    /// Puts anything but descriptors.
    pub fn put_other(&mut self, control: &Control, reader: &Caller<'_>) {
        match control {
            Control::Credentials(sender) => {
                self.put(SOL_SOCKET, SCM_CREDENTIALS, ucred(sender, reader).as_bytes());
            }
            Control::Other(level, kind, data) => self.put(*level, *kind, data),
            Control::Rights(_) | Control::Pidfd(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(len: u64, level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut b = Cmsghdr { cmsg_len: len, cmsg_level: level, cmsg_type: kind }.as_bytes().to_vec();
        b.extend_from_slice(data);
        b
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let id = crate::tests::identity(0);
        let caller = Caller::As(&id);
        let none = |_: Fd| Err(Errno::EBADF);
        for len in [0, 15, 25, u64::MAX, u64::MAX - 3, 1 << 40] {
            let b = buffer(len, SOL_IP, IP_TTL, &[0; 8]);
            assert_eq!(parse(&b, AF_INET, &caller, &none).err(), Some(Errno::EINVAL), "{len}");
        }
        assert!(parse(&[0; 15], AF_UNIX, &caller, &none).is_ok());
        let b = buffer(20, SOL_IP, IP_TTL, &[64, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(parse(&b, AF_INET, &caller, &none).unwrap().other, [(SOL_IP, IP_TTL, vec![64, 0, 0, 0])]);
        let many = vec![0u8; 254 * 4];
        let b = buffer(16 + many.len() as u64, SOL_SOCKET, SCM_RIGHTS, &many);
        assert_eq!(parse(&b, AF_UNIX, &caller, &none).err(), Some(Errno::EINVAL));
        let b = buffer(20, SOL_SOCKET, SCM_RIGHTS, &[9, 0, 0, 0]);
        assert_eq!(parse(&b, AF_UNIX, &caller, &none).err(), Some(Errno::EBADF));
    }

    #[test]
    fn what_does_not_fit_is_cut_and_said_so() {
        let mut b = ControlBuffer::new(40);
        b.put(1, 2, &[1; 4]);
        assert_eq!((b.bytes.len(), b.truncated), (24, false));
        b.put(1, 2, &[1; 4]);
        assert_eq!((b.bytes.len(), b.truncated), (40, true));
        b.put(1, 2, &[]);
        assert_eq!(b.bytes.len(), 40);
    }
}
