//! Sending and receiving: what `MSG_WAITALL` and `MSG_DONTWAIT` mean, that a stream's send goes on until all is sent, `SIGPIPE`.

use super::{READABLE, WRITABLE, block, install, read_address, socket_of, write_address};
use crate::io::MAX_RW;
use abi::{Errno, SigInfo, Signal, SockType, limits::IOV_MAX, signal::SI_USER, socket::*, time::Timespec};
use kernel::{SysError, SysResult, Task};
use mem::{IoDst, IoSrc, UserAddr, UserMemoryExt, UserPtr};
use net::{
    Address, Caller, Control, RecvMsg, SendControl, SendMsg, Socket, SocketOps,
    control::{ControlBuffer, MAX_CONTROL},
};
use smallvec::SmallVec;
use std::sync::Arc;
use vfs::{Fd, File};

/// Flags of a message call; `EINVAL` for the one that is Linux's own.
fn message_flags(raw: u32) -> Result<MsgFlags, Errno> {
    let flags = MsgFlags::from_bits_retain(raw);
    if flags.contains(MsgFlags::CMSG_COMPAT) { Err(Errno::EINVAL) } else { Ok(flags) }
}

/// Sends a message, all of it where the socket is a stream that may block.
async fn send(
    task: &Arc<Task>,
    file: &File,
    ops: &dyn SocketOps,
    caller: Caller<'_>,
    msg: &mut SendMsg<'_, '_>,
) -> SysResult<usize> {
    if file.nonblocking() {
        msg.flags |= MsgFlags::DONTWAIT;
    }
    let wait = !msg.flags.contains(MsgFlags::DONTWAIT);
    let stream = ops.common().kind == SockType::Stream;
    let mut total = task.take_moved();
    msg.src.take_with(total, &mut |piece| Ok(piece.len()))?;
    let result = {
        let mut attempt = || loop {
            match ops.send(caller, msg) {
                Ok(n) => {
                    total += n;
                    task.keep_moved(total);
                    if n == 0 || !stream || msg.src.remaining() == 0 {
                        return Ok(());
                    }
                }
                Err(Errno::EAGAIN) if !wait && total > 0 => return Ok(()),
                Err(Errno::EAGAIN) => return Err(Errno::EAGAIN),
                Err(_) if total > 0 => return Ok(()), // told by the next call
                Err(e) => return Err(e),
            }
        };
        if wait {
            let timeout = ops.common().send_timeout();
            block(task, ops, WRITABLE, timeout, Errno::EAGAIN, attempt).await
        } else {
            attempt().map_err(SysError::from)
        }
    };
    match result {
        Ok(()) => Ok(total),
        Err(_) if total > 0 => Ok(total),
        Err(SysError::Errno(Errno::EPIPE)) => {
            if stream && !msg.flags.contains(MsgFlags::NOSIGNAL) {
                broken_pipe(task);
            }
            Err(Errno::EPIPE.into())
        }
        Err(e) => Err(e),
    }
}

/// Sends `SIGPIPE` to the calling thread.
pub fn broken_pipe(task: &Arc<Task>) {
    let me = task.siginfo_to(&task.group, Signal::SIGPIPE, false);
    let info = SigInfo::kill(Signal::SIGPIPE, SI_USER, me.si_pid(), me.si_uid());
    if let Err(e) = task.send_signal(info) {
        log::debug!("SIGPIPE for {}: {e}", task.tid());
    }
}

/// Receives a message; with `MSG_WAITALL` or `SO_RCVLOWAT` as many bytes of a stream as were asked for.
async fn receive(
    task: &Arc<Task>,
    file: &File,
    ops: &dyn SocketOps,
    caller: Caller<'_>,
    msg: &mut RecvMsg<'_, '_>,
) -> SysResult<usize> {
    if file.nonblocking() {
        msg.flags |= MsgFlags::DONTWAIT;
    }
    let wait = !msg.flags.contains(MsgFlags::DONTWAIT) && !msg.flags.contains(MsgFlags::ERRQUEUE);
    let whole = msg.dst.remaining();
    let stream = ops.common().kind == SockType::Stream;
    let goal = match stream && wait && !msg.flags.intersects(MsgFlags::PEEK | MsgFlags::OOB) {
        true if msg.flags.contains(MsgFlags::WAITALL) => whole,
        true => ops.common().receive_low_water().min(whole),
        false => 0,
    };
    if goal > 1 {
        task.leave_first_try().await; // what it took before it slept would be lost
    }
    let mut total = 0;
    let result = {
        let mut attempt = || loop {
            match ops.recv(caller, msg) {
                Ok(n) => {
                    total += n;
                    let rights = msg.control.iter().any(|c| matches!(c, Control::Rights(_)));
                    if n == 0 || total >= goal || rights {
                        return Ok(());
                    }
                }
                Err(Errno::EAGAIN) => return Err(Errno::EAGAIN),
                Err(e) if total > 0 => {
                    ops.common().set_error(e); // told by the next call
                    return Ok(());
                }
                Err(e) => return Err(e),
            }
        };
        if wait {
            let timeout = ops.common().receive_timeout();
            block(task, ops, READABLE, timeout, Errno::EAGAIN, attempt).await
        } else {
            attempt().map_err(SysError::from)
        }
    };
    match result {
        Ok(()) => Ok(total),
        Err(_) if total > 0 => Ok(total),
        Err(e) => Err(e),
    }
}

/// `read(2)` and its kin on a socket.
pub async fn read(task: &Arc<Task>, file: &File, dst: &mut IoDst<'_>, flags: MsgFlags) -> SysResult<usize> {
    let ops = Socket::of(file)?;
    if dst.remaining() == 0 {
        return Ok(0);
    }
    receive(task, file, &**ops, Caller::Task(task), &mut RecvMsg::new(dst, flags)).await
}

/// `write(2)` and its kin on a socket; sends `SIGPIPE`.
pub async fn write(task: &Arc<Task>, file: &File, src: &mut IoSrc<'_>, flags: MsgFlags) -> SysResult<usize> {
    let ops = Socket::of(file)?;
    let mut control = SendControl::default();
    let mut msg = SendMsg { src, name: None, control: &mut control, flags };
    send(task, file, &**ops, Caller::Task(task), &mut msg).await
}

pub(super) async fn sendto(
    task: &Arc<Task>,
    fd: Fd,
    buf: UserAddr,
    len: usize,
    flags: u32,
    addr: UserAddr,
    addr_len: i32,
) -> SysResult<usize> {
    let flags = message_flags(flags)?;
    let (file, ops) = socket_of(task, fd)?;
    let name = if addr.is_null() { None } else { Some(read_address(task, addr, addr_len)?) };
    let mm = task.mm()?;
    let mut src = IoSrc::user(&*mm, buf, len.min(MAX_RW));
    let mut control = SendControl::default();
    let mut msg = SendMsg { src: &mut src, name: name.as_deref(), control: &mut control, flags };
    send(task, &file, &*ops, Caller::Task(task), &mut msg).await
}

pub(super) async fn recvfrom(
    task: &Arc<Task>,
    fd: Fd,
    buf: UserAddr,
    len: usize,
    flags: u32,
    addr: UserAddr,
    addr_len: UserPtr<i32>,
) -> SysResult<usize> {
    let flags = message_flags(flags)?;
    let (file, ops) = socket_of(task, fd)?;
    let mm = task.mm()?;
    let mut dst = IoDst::user(&*mm, buf, len.min(MAX_RW));
    let mut msg = RecvMsg { wants_name: !addr.is_null(), ..RecvMsg::new(&mut dst, flags) };
    let n = receive(task, &file, &*ops, Caller::Task(task), &mut msg).await?;
    let name = msg.name.take().unwrap_or_default();
    drop_control(msg.control);
    if !addr.is_null() {
        write_address(task, &name, addr, addr_len)?;
    }
    Ok(n)
}

/// Files that nobody asked for are closed.
fn drop_control(control: SmallVec<[Control; 2]>) {
    for one in control {
        if let Control::Rights(files) = one {
            net::unix::rights::drop_files(files);
        }
    }
}

type Pieces = SmallVec<[(UserAddr, usize); 8]>;

/// The buffers of a message; `EMSGSIZE`, `EINVAL`. Together they are cut to what one transfer may move.
fn read_pieces(task: &Task, header: &MsgHdr) -> Result<Pieces, Errno> {
    if header.msg_iovlen > IOV_MAX as u64 {
        return Err(Errno::EMSGSIZE);
    }
    let mm = task.mm()?;
    let at = UserPtr::<Iovec>::from(header.msg_iov);
    let mut left = MAX_RW;
    let mut pieces = Pieces::new();
    for index in 0..header.msg_iovlen as usize {
        let piece = at.at(index)?.read(&*mm)?;
        let len = usize::try_from(piece.iov_len).ok().filter(|l| isize::try_from(*l).is_ok());
        let len = len.ok_or(Errno::EINVAL)?.min(left);
        left -= len;
        pieces.push((UserAddr(piece.iov_base), len));
    }
    Ok(pieces)
}

async fn send_one(task: &Arc<Task>, fd: Fd, header: &MsgHdr, flags: MsgFlags) -> SysResult<usize> {
    let (file, ops) = socket_of(task, fd)?;
    let mm = task.mm()?;
    let name_len = i32::try_from(header.msg_namelen).map_err(|_| Errno::EINVAL)?.min(SOCKADDR_MAX as i32);
    let name = match header.msg_name {
        0 => None,
        _ if name_len == 0 => None,
        at => Some(read_address(task, UserAddr(at), name_len)?),
    };
    let mut src = IoSrc::user_vec(&*mm, read_pieces(task, header)?);
    let mut control = SendControl::default();
    let caller = Caller::Task(task);
    if header.msg_control != 0 && header.msg_controllen > 0 {
        let len = usize::try_from(header.msg_controllen)
            .ok()
            .filter(|l| *l <= MAX_CONTROL)
            .ok_or(Errno::ENOBUFS)?;
        let mut bytes = vec![0; len];
        mm.copy_in(UserAddr(header.msg_control), &mut bytes)?;
        control = net::control::parse(&bytes, ops.common().family, &caller, &|fd| task.file(fd))?;
    }
    let mut msg = SendMsg { src: &mut src, name: name.as_deref(), control: &mut control, flags };
    let result = send(task, &file, &*ops, caller, &mut msg).await;
    net::unix::rights::drop_files(control.rights);
    result
}

pub(super) async fn sendmsg(
    task: &Arc<Task>,
    fd: Fd,
    header: UserPtr<MsgHdr>,
    flags: u32,
) -> SysResult<usize> {
    let flags = message_flags(flags)?;
    socket_of(task, fd)?;
    let header = header.read(&*task.mm()?)?;
    send_one(task, fd, &header, flags).await
}

pub(super) async fn sendmmsg(
    task: &Arc<Task>,
    fd: Fd,
    messages: UserPtr<MMsgHdr>,
    count: u32,
    flags: u32,
) -> SysResult<u32> {
    let flags = message_flags(flags)?;
    socket_of(task, fd)?;
    let mm = task.mm()?;
    let mut done = 0;
    while done < count.min(MMSG_MAX) {
        let result = match messages.at(done as usize).and_then(|at| Ok((at, at.read(&*mm)?))) {
            Ok((at, mut message)) => match send_one(task, fd, &message.msg_hdr, flags).await {
                Ok(n) => {
                    message.msg_len = n as u32;
                    at.write(&*mm, &message).map_err(SysError::from)
                }
                Err(e) => Err(e),
            },
            Err(e) => Err(e.into()),
        };
        match result {
            Ok(()) => done += 1,
            Err(e) if done == 0 => return Err(e),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// Receives a message into what `header` names, and stores name and control messages; `header` is what is to be stored.
async fn receive_one(task: &Arc<Task>, fd: Fd, header: &mut MsgHdr, flags: MsgFlags) -> SysResult<usize> {
    let (file, ops) = socket_of(task, fd)?;
    let mm = task.mm()?;
    let name_room = usize::try_from(header.msg_namelen as i32).map_err(|_| Errno::EINVAL)?;
    let mut dst = IoDst::user_vec(&*mm, read_pieces(task, header)?);
    let caller = Caller::Task(task);
    let mut msg = RecvMsg { wants_name: header.msg_name != 0, ..RecvMsg::new(&mut dst, flags) };
    let n = receive(task, &file, &*ops, caller, &mut msg).await?;
    let name: Address = msg.name.take().unwrap_or_default();
    let mut out_flags = msg.out_flags;
    let control = std::mem::take(&mut msg.control);
    let room = if header.msg_control == 0 { 0 } else { usize::try_from(header.msg_controllen).unwrap_or(0) };
    let mut buffer = ControlBuffer::new(room);
    put_control(task, caller, control, flags, &mut buffer);
    if buffer.truncated {
        out_flags |= MsgFlags::CTRUNC;
    }
    if header.msg_name != 0 {
        mm.copy_out(UserAddr(header.msg_name), name.get(..name.len().min(name_room)).unwrap_or_default())?;
        header.msg_namelen = name.len() as u32;
    }
    if !buffer.bytes.is_empty() {
        mm.copy_out(UserAddr(header.msg_control), &buffer.bytes)?;
    }
    header.msg_controllen = buffer.bytes.len() as u64;
    header.msg_flags = (out_flags | (flags & MsgFlags::CMSG_CLOEXEC)).bits();
    Ok(n)
}

fn put_control(
    task: &Arc<Task>,
    caller: Caller<'_>,
    control: SmallVec<[Control; 2]>,
    flags: MsgFlags,
    buffer: &mut ControlBuffer,
) {
    let cloexec = flags.contains(MsgFlags::CMSG_CLOEXEC);
    let mut told = false;
    // Credentials come before descriptors, as `scm_recv` puts them.
    let (rights, others): (Vec<_>, Vec<_>) =
        control.into_iter().partition(|c| matches!(c, Control::Rights(_)));
    for one in &others {
        // A stream's bytes received in several goes are of one sender all the same.
        if matches!(one, Control::Credentials(_)) && std::mem::replace(&mut told, true) {
            continue;
        }
        buffer.put_other(one, &caller);
    }
    for one in rights {
        if let Control::Rights(files) = one {
            buffer.put_rights(files, &mut |file| install(task, file, cloexec));
        }
    }
}

pub(super) async fn recvmsg(task: &Arc<Task>, fd: Fd, at: UserPtr<MsgHdr>, flags: u32) -> SysResult<usize> {
    let flags = message_flags(flags)?;
    socket_of(task, fd)?;
    let mm = task.mm()?;
    let mut header = at.read(&*mm)?;
    let n = receive_one(task, fd, &mut header, flags).await?;
    at.write(&*mm, &header)?;
    Ok(n)
}

pub(super) async fn recvmmsg(
    task: &Arc<Task>,
    fd: Fd,
    messages: UserPtr<MMsgHdr>,
    count: u32,
    flags: u32,
    timeout: UserPtr<Timespec>,
) -> SysResult<u32> {
    let mut flags = message_flags(flags)?;
    let (_file, ops) = socket_of(task, fd)?;
    let mm = task.mm()?;
    let deadline = match timeout.non_null() {
        Some(at) => {
            let time = at.read(&*mm)?;
            let (Ok(sec), Ok(nsec)) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec)) else {
                return Err(Errno::EINVAL.into());
            };
            if nsec >= 1_000_000_000 {
                return Err(Errno::EINVAL.into());
            }
            let ns = sec.saturating_mul(1_000_000_000).saturating_add(nsec);
            Some(task.kernel.monotonic_ns().saturating_add(ns))
        }
        None => None,
    };
    ops.common().check_error()?;
    let mut done = 0;
    while done < count.min(MMSG_MAX) {
        let result = match messages.at(done as usize).and_then(|at| Ok((at, at.read(&*mm)?))) {
            Ok((at, mut message)) => {
                let flags = flags - MsgFlags::WAITFORONE;
                match receive_one(task, fd, &mut message.msg_hdr, flags).await {
                    Ok(n) => {
                        message.msg_len = n as u32;
                        at.write(&*mm, &message).map_err(SysError::from)
                    }
                    Err(e) => Err(e),
                }
            }
            Err(e) => Err(e.into()),
        };
        match result {
            Ok(()) => done += 1,
            Err(e) if done == 0 => return Err(e),
            Err(SysError::Errno(e)) if e != Errno::EAGAIN => {
                ops.common().set_error(e); // told by the next call
                break;
            }
            Err(_) => break,
        }
        if flags.contains(MsgFlags::WAITFORONE) {
            flags |= MsgFlags::DONTWAIT;
        }
        // Looked at only between messages, as recvmmsg(2) owns up to.
        if deadline.is_some_and(|at| task.kernel.monotonic_ns() >= at) {
            break;
        }
    }
    if let Some(at) = deadline {
        let left = at.saturating_sub(task.kernel.monotonic_ns());
        timeout.write(&*mm, &Timespec::from_ns(left))?;
    }
    Ok(done)
}
