//! Sockets: the calls, and what blocks of them.
//!
//! A socket answers at once or `EAGAIN`. Here is what `SO_RCVTIMEO` and `SO_SNDTIMEO` mean; [`message`] has the calls that
//! send and receive. [`read`] and [`write`] are the same for `read(2)` and `write(2)` on sockets.

mod message;

pub use message::{broken_pipe, read, write};

use crate::row::Row;
use abi::{Errno, SockType, fcntl::OpenFlags, process::Resource, socket::*, stat::FileType, time::Timespec};
use kernel::{SysError, SysResult, Task, task::Wait};
use ksync::Ready;
use mem::{UserAddr, UserMemoryExt, UserPtr};
use message::{recvfrom, recvmmsg, recvmsg, sendmmsg, sendmsg, sendto};
use net::{Caller, NetNamespace, Socket, SocketOps};
use smallvec::SmallVec;
use std::sync::Arc;
use vfs::{Fd, File, landlock::NetAccess};

/// The rows of this family.
pub const ROWS: &[Row] = crate::rows! {
    now SOCKET = socket as (i32, i32, i32);
    now SOCKETPAIR = socketpair as (i32, i32, i32, UserPtr<[i32; 2]>);
    now BIND = bind as (Fd, UserAddr, i32);
    now LISTEN = listen as (Fd, i32);
    again ACCEPT = accept as (Fd, UserAddr, UserPtr<i32>);
    again ACCEPT4 = accept4 as (Fd, UserAddr, UserPtr<i32>, u32);
    later CONNECT = connect as (Fd, UserAddr, i32);
    now GETSOCKNAME = getsockname as (Fd, UserAddr, UserPtr<i32>);
    now GETPEERNAME = getpeername as (Fd, UserAddr, UserPtr<i32>);
    again SENDTO = sendto as (Fd, UserAddr, usize, u32, UserAddr, i32);
    again RECVFROM = recvfrom as (Fd, UserAddr, usize, u32, UserAddr, UserPtr<i32>);
    later SENDMSG = sendmsg as (Fd, UserPtr<MsgHdr>, u32);
    again RECVMSG = recvmsg as (Fd, UserPtr<MsgHdr>, u32);
    later SENDMMSG = sendmmsg as (Fd, UserPtr<MMsgHdr>, u32, u32);
    later RECVMMSG = recvmmsg as (Fd, UserPtr<MMsgHdr>, u32, u32, UserPtr<Timespec>);
    now SHUTDOWN = shutdown as (Fd, i32);
    now SETSOCKOPT = setsockopt as (Fd, i32, i32, UserAddr, i32);
    now GETSOCKOPT = getsockopt as (Fd, i32, i32, UserAddr, UserPtr<i32>);
};

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
    if let Some(domain) = &file.cred().landlock {
        let _ = ops.common().domain.set(domain.clone());
    }
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
    let addr = read_address(task, addr, len)?;
    crate::landlock::check_port(task, &*ops, &addr, NetAccess::BIND_TCP)?;
    Ok(ops.bind(Caller::Task(task), &addr)?)
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
    crate::landlock::check_port(task, &*ops, &addr, NetAccess::CONNECT_TCP)?;
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
