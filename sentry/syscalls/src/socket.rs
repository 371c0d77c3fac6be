//! Sockets: the calls, and what blocks of them.
//!
//! A socket answers at once or `EAGAIN`. Here is what `SO_RCVTIMEO`, `SO_SNDTIMEO`, `MSG_WAITALL` and `MSG_DONTWAIT` mean,
//! that a stream's send goes on until all is sent, and `SIGPIPE`. [`read`] and [`write`] are the same for
//! `read(2)` and `write(2)` on sockets.

use crate::row::Row;
use abi::{
    Errno, SigInfo, Signal, SockType, fcntl::OpenFlags, process::Resource, signal::SI_USER, socket::*,
    stat::FileType, time::Timespec,
};
use kernel::{SysError, SysResult, Task, task::Wait};
use ksync::Ready;
use mem::{IoDst, IoSrc, UserAddr, UserMemoryExt, UserPtr};
use net::{
    Address, Caller, Control, NetNamespace, RecvMsg, SendControl, SendMsg, Socket, SocketOps,
    control::{ControlBuffer, MAX_CONTROL},
};
use smallvec::SmallVec;
use std::sync::Arc;
use vfs::{Fd, File};

/// The rows of this family.
pub const ROWS: &[Row] = crate::rows! {
    now SOCKET = socket as (i32, i32, i32);
    now SOCKETPAIR = socketpair as (i32, i32, i32, UserPtr<[i32; 2]>);
    now BIND = bind as (Fd, UserAddr, i32);
    now LISTEN = listen as (Fd, i32);
    later ACCEPT = accept as (Fd, UserAddr, UserPtr<i32>);
    later ACCEPT4 = accept4 as (Fd, UserAddr, UserPtr<i32>, u32);
    later CONNECT = connect as (Fd, UserAddr, i32);
    now GETSOCKNAME = getsockname as (Fd, UserAddr, UserPtr<i32>);
    now GETPEERNAME = getpeername as (Fd, UserAddr, UserPtr<i32>);
    later SENDTO = sendto as (Fd, UserAddr, usize, u32, UserAddr, i32);
    later RECVFROM = recvfrom as (Fd, UserAddr, usize, u32, UserAddr, UserPtr<i32>);
    later SENDMSG = sendmsg as (Fd, UserPtr<MsgHdr>, u32);
    later RECVMSG = recvmsg as (Fd, UserPtr<MsgHdr>, u32);
    later SENDMMSG = sendmmsg as (Fd, UserPtr<MMsgHdr>, u32, u32);
    later RECVMMSG = recvmmsg as (Fd, UserPtr<MMsgHdr>, u32, u32, UserPtr<Timespec>);
    now SHUTDOWN = shutdown as (Fd, i32);
    now SETSOCKOPT = setsockopt as (Fd, i32, i32, UserAddr, i32);
    now GETSOCKOPT = getsockopt as (Fd, i32, i32, UserAddr, UserPtr<i32>);
};

/// The most bytes of one transfer (`MAX_RW_COUNT`).
const MAX_RW: usize = 0x7fff_f000;
/// The most pieces of one message (`UIO_MAXIOV`).
const MAX_IOV: u64 = 1024;
/// The longest value of an option that is looked at.
const MAX_OPTION: i32 = 64 << 10;

fn namespace(task: &Task) -> Result<Arc<NetNamespace>, Errno> {
    // Only a kernel put together without a network has none.
    task.namespaces().net.get::<NetNamespace>().ok_or(Errno::EAFNOSUPPORT)
}

fn kind_of(raw: i32) -> Result<(SockType, SockFlags), Errno> {
    SockType::from_raw(raw).ok_or(Errno::EINVAL)
}

/// An open file for a socket.
fn socket_file(task: &Task, ops: Arc<dyn SocketOps>, flags: SockFlags) -> Result<Arc<File>, Errno> {
    let mut open = OpenFlags::RDWR;
    open.set(OpenFlags::NONBLOCK, flags.contains(SockFlags::NONBLOCK));
    let file =
        task.kernel.vfs.anon_file("socket", FileType::Socket, open, &task.cred(), Socket::new(ops.clone()));
    net::socket::set_inode(&ops, file.inode().attr()?.ino);
    Ok(file)
}

fn install(task: &Task, file: Arc<File>, cloexec: bool) -> Result<Fd, Errno> {
    let limit = task.group.limits.lock().soft(Resource::Nofile);
    task.fds()?.add(file, 0, limit, cloexec)
}

fn socket(task: &Arc<Task>, family: i32, kind: i32, protocol: i32) -> SysResult<Fd> {
    let (kind, flags) = kind_of(kind)?;
    let ops = net::create::socket(&namespace(task)?, Caller::Task(task), family, kind, protocol)?;
    let file = socket_file(task, ops, flags)?;
    Ok(install(task, file, flags.contains(SockFlags::CLOEXEC))?)
}

fn socketpair(
    task: &Arc<Task>,
    family: i32,
    kind: i32,
    protocol: i32,
    fds: UserPtr<[i32; 2]>,
) -> SysResult<()> {
    let (kind, flags) = kind_of(kind)?;
    let (a, b) = net::create::pair(&namespace(task)?, Caller::Task(task), family, kind, protocol)?;
    let (a, b) = (socket_file(task, a, flags)?, socket_file(task, b, flags)?);
    let cloexec = flags.contains(SockFlags::CLOEXEC);
    let a = install(task, a, cloexec)?;
    let undo = |fd: Fd| drop(task.fds().and_then(|t| t.remove(fd)));
    let b = match install(task, b, cloexec) {
        Ok(b) => b,
        Err(e) => {
            undo(a);
            return Err(e.into());
        }
    };
    if let Err(e) = fds.write(&*task.mm()?, &[a.0, b.0]) {
        undo(a);
        undo(b);
        return Err(e.into());
    }
    Ok(())
}

/// The socket `fd`; `EBADF`, `ENOTSOCK`.
fn socket_of(task: &Task, fd: Fd) -> Result<(Arc<File>, Arc<dyn SocketOps>), Errno> {
    let file = task.file(fd)?;
    let ops = Socket::of(&file)?.clone();
    Ok((file, ops))
}

fn read_address(task: &Task, addr: UserAddr, len: i32) -> Result<SmallVec<[u8; SOCKADDR_MAX]>, Errno> {
    let len = usize::try_from(len).ok().filter(|l| *l <= SOCKADDR_MAX).ok_or(Errno::EINVAL)?;
    let mut bytes = SmallVec::from_elem(0, len);
    task.mm()?.copy_in(addr, &mut bytes)?;
    Ok(bytes)
}

/// Stores an address as far as there is room, and its whole length.
fn write_address(task: &Task, name: &[u8], addr: UserAddr, len: UserPtr<i32>) -> Result<(), Errno> {
    let mm = task.mm()?;
    let room = usize::try_from(len.read(&*mm)?).map_err(|_| Errno::EINVAL)?;
    let n = room.min(name.len());
    mm.copy_out(addr, name.get(..n).unwrap_or_default())?;
    len.write(&*mm, &(name.len() as i32))
}

fn bind(task: &Arc<Task>, fd: Fd, addr: UserAddr, len: i32) -> SysResult<()> {
    let (_file, ops) = socket_of(task, fd)?;
    Ok(ops.bind(Caller::Task(task), &read_address(task, addr, len)?)?)
}

fn listen(task: &Arc<Task>, fd: Fd, backlog: i32) -> SysResult<()> {
    let (_file, ops) = socket_of(task, fd)?;
    Ok(ops.listen(Caller::Task(task), backlog)?)
}

/// Tries `attempt` until it gives something other than `EAGAIN`, for at most `timeout_ns`; gives `timed_out` after that.
///
/// With a timeout a signal ends the call for good (`signal(7)`), because the time that is left is not kept.
async fn block<T>(
    task: &Task,
    ops: &dyn SocketOps,
    events: Ready,
    timeout_ns: Option<u64>,
    timed_out: Errno,
    attempt: impl FnMut() -> Result<T, Errno>,
) -> SysResult<T> {
    let deadline = timeout_ns.map(|ns| task.kernel.monotonic_ns().saturating_add(ns));
    match task.block_on(Wait::on(&ops.common().queue, events).deadline(deadline), attempt).await {
        Err(SysError::Errno(Errno::ETIMEDOUT))
            if deadline.is_some_and(|at| task.kernel.monotonic_ns() >= at) =>
        {
            Err(timed_out.into())
        }
        Err(SysError::Interrupted(_)) if deadline.is_some() => Err(Errno::EINTR.into()),
        other => other,
    }
}

const READABLE: Ready = Ready::IN.union(Ready::RDNORM).union(Ready::RDHUP).union(Ready::PRI);
const WRITABLE: Ready = Ready::OUT.union(Ready::WRNORM).union(Ready::WRBAND);

async fn accept(task: &Arc<Task>, fd: Fd, addr: UserAddr, len: UserPtr<i32>) -> SysResult<Fd> {
    accept4(task, fd, addr, len, 0).await
}

async fn accept4(task: &Arc<Task>, fd: Fd, addr: UserAddr, len: UserPtr<i32>, flags: u32) -> SysResult<Fd> {
    let flags = SockFlags::from_bits(flags).ok_or(Errno::EINVAL)?;
    let (file, ops) = socket_of(task, fd)?;
    let caller = Caller::Task(task);
    let new = if file.nonblocking() {
        ops.accept(caller)?
    } else {
        let timeout = ops.common().receive_timeout();
        block(task, &*ops, READABLE, timeout, Errno::EAGAIN, || ops.accept(caller)).await?
    };
    new.common().ns.remember(&new);
    let file = socket_file(task, new.clone(), flags)?;
    if !addr.is_null() {
        // A peer that is gone already leaves a connection without a name.
        let name = new.peer_name().map_err(|_| Errno::ECONNABORTED)?;
        write_address(task, &name, addr, len)?;
    }
    Ok(install(task, file, flags.contains(SockFlags::CLOEXEC))?)
}

async fn connect(task: &Arc<Task>, fd: Fd, addr: UserAddr, len: i32) -> SysResult<()> {
    let (file, ops) = socket_of(task, fd)?;
    let addr = read_address(task, addr, len)?;
    let caller = Caller::Task(task);
    if file.nonblocking() {
        return Ok(ops.connect(caller, &addr)?);
    }
    let timeout = ops.common().send_timeout();
    let begun = block(task, &*ops, WRITABLE, timeout, Errno::EAGAIN, || ops.connect(caller, &addr)).await;
    match begun {
        Err(SysError::Errno(Errno::EINPROGRESS | Errno::EALREADY)) => {
            block(task, &*ops, WRITABLE, timeout, Errno::EINPROGRESS, || ops.connected()).await
        }
        other => other,
    }
}

fn getsockname(task: &Arc<Task>, fd: Fd, addr: UserAddr, len: UserPtr<i32>) -> SysResult<()> {
    let (_file, ops) = socket_of(task, fd)?;
    Ok(write_address(task, &ops.local_name()?, addr, len)?)
}

fn getpeername(task: &Arc<Task>, fd: Fd, addr: UserAddr, len: UserPtr<i32>) -> SysResult<()> {
    let (_file, ops) = socket_of(task, fd)?;
    Ok(write_address(task, &ops.peer_name()?, addr, len)?)
}

fn shutdown(task: &Arc<Task>, fd: Fd, how: i32) -> SysResult<()> {
    let (_file, ops) = socket_of(task, fd)?;
    Ok(ops.shutdown(Shutdown::from_raw(how).ok_or(Errno::EINVAL)?)?)
}

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
    let mut total = 0;
    let result = {
        let mut attempt = || loop {
            match ops.send(caller, msg) {
                Ok(n) => {
                    total += n;
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

async fn sendto(
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

async fn recvfrom(
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
    if header.msg_iovlen > MAX_IOV {
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

async fn sendmsg(task: &Arc<Task>, fd: Fd, header: UserPtr<MsgHdr>, flags: u32) -> SysResult<usize> {
    let flags = message_flags(flags)?;
    socket_of(task, fd)?;
    let header = header.read(&*task.mm()?)?;
    send_one(task, fd, &header, flags).await
}

async fn sendmmsg(
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

async fn recvmsg(task: &Arc<Task>, fd: Fd, at: UserPtr<MsgHdr>, flags: u32) -> SysResult<usize> {
    let flags = message_flags(flags)?;
    socket_of(task, fd)?;
    let mm = task.mm()?;
    let mut header = at.read(&*mm)?;
    let n = receive_one(task, fd, &mut header, flags).await?;
    at.write(&*mm, &header)?;
    Ok(n)
}

async fn recvmmsg(
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

fn setsockopt(task: &Arc<Task>, fd: Fd, level: i32, name: i32, value: UserAddr, len: i32) -> SysResult<()> {
    let (_file, ops) = socket_of(task, fd)?;
    if len < 0 {
        return Err(Errno::EINVAL.into());
    }
    let mut bytes = vec![0; len.min(MAX_OPTION) as usize];
    task.mm()?.copy_in(value, &mut bytes)?;
    Ok(ops.set_option(Caller::Task(task), level, name, &bytes)?)
}

fn getsockopt(
    task: &Arc<Task>,
    fd: Fd,
    level: i32,
    name: i32,
    value: UserAddr,
    len: UserPtr<i32>,
) -> SysResult<()> {
    let (_file, ops) = socket_of(task, fd)?;
    let mm = task.mm()?;
    let room = usize::try_from(len.read(&*mm)?).map_err(|_| Errno::EINVAL)?;
    let bytes = ops.get_option(Caller::Task(task), level, name, room)?;
    let n = room.min(bytes.len());
    mm.copy_out(value, bytes.get(..n).unwrap_or_default())?;
    len.write(&*mm, &(n as i32))?;
    Ok(())
}
