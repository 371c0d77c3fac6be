//! Bytes from file to file in the kernel: `splice(2)`, `tee(2)`, `vmsplice(2)`, `sendfile(2)`, `copy_file_range(2)`.
//!
//! [`fs::splice`] moves a piece at a time; here it is waited for, offsets are kept, and limits applied. As on Linux a splice
//! waits only until something has moved, and `sendfile` to a file that is no pipe until everything has.

use crate::{
    io::{MAX_RW, file_size_room, vectors},
    poll::real_file,
    row::Row,
    rows,
};
use abi::{Errno, FileType, Iovec, SigInfo, Signal, fcntl::SpliceFlags};
use fs::splice::{self as mover, Stop, Vmsplice};
use kernel::{SysError, SysResult, Task, task::Wait};
use ksync::Ready;
use mem::{IoDst, IoSrc, UserPtr};
use std::sync::Arc;
use vfs::{Fd, File};

/// The rows of this family.
pub const ROWS: &[Row] = rows! {
    later SPLICE = splice as (Fd, UserPtr<i64>, Fd, UserPtr<i64>, usize, u32);
    later TEE = tee as (Fd, Fd, usize, u32);
    later VMSPLICE = vmsplice as (Fd, UserPtr<Iovec>, usize, u32);
    later SENDFILE = sendfile as (Fd, Fd, UserPtr<i64>, usize);
    later COPY_FILE_RANGE = copy_file_range as (Fd, UserPtr<i64>, Fd, UserPtr<i64>, usize, u32);
};

/// An offset that an application gave by address, or the file's own position.
#[derive(Clone, Copy)]
struct Offset {
    addr: UserPtr<i64>,
    value: Option<i64>,
}

impl Offset {
    fn read(task: &Task, addr: UserPtr<i64>) -> Result<Self, Errno> {
        let value = match addr.non_null() {
            Some(addr) => Some(addr.read(&*task.mm()?)?),
            None => None,
        };
        Ok(Self { addr, value })
    }
    fn advance(&mut self, bytes: usize) {
        self.value = self.value.map(|at| at.saturating_add_unsigned(bytes as u64));
    }
    fn at(&self) -> Option<u64> {
        self.value.and_then(|at| u64::try_from(at).ok())
    }
    fn store(&self, task: &Task) -> Result<(), Errno> {
        match self.value {
            Some(value) => self.addr.write(&*task.mm()?, &value),
            None => Ok(()),
        }
    }
}

/// Makes `step` until it moves something; with `waits` it is slept for when a file is not ready.
async fn moved(
    task: &Arc<Task>,
    input: &Arc<File>,
    output: &Arc<File>,
    waits: bool,
    mut step: impl FnMut() -> Result<usize, Stop>,
) -> SysResult<usize> {
    let mut attempt = || match step() {
        Err(Stop::Errno(e)) => Err(e),
        Err(Stop::WaitIn | Stop::WaitOut) => Err(Errno::EAGAIN),
        Ok(n) => Ok(n),
    };
    let (read, write) = (input.ops().wait_queue(), output.ops().wait_queue());
    let result = if waits && (read.is_some() || write.is_some()) {
        let register = |listener: &Arc<dyn ksync::Listener>| {
            let to = |queue: Option<&ksync::WaitQueue>, events| {
                queue.map(|q| q.register(events, listener.clone()))
            };
            (to(read, Ready::IN), to(write, Ready::OUT))
        };
        task.block_on_many(Wait::default(), register, attempt).await
    } else {
        attempt().map_err(SysError::from)
    };
    if matches!(result, Err(SysError::Errno(Errno::EPIPE))) {
        let _ = task.send_signal(SigInfo::kernel(Signal::SIGPIPE));
    }
    result
}

/// How much of `len` may be written to `output`; takes its set-id bits.
fn writable_room(task: &Arc<Task>, output: &Arc<File>, at: Option<u64>, len: usize) -> Result<usize, Errno> {
    let len = len.min(MAX_RW);
    if output.inode().file_type() != FileType::Regular || !output.ops().seekable() {
        return Ok(len);
    }
    output.check_writable()?;
    let room = file_size_room(task, output, at, len)?;
    vfs::ops::file_remove_privs(output)?;
    Ok(room)
}

async fn splice(
    task: &Arc<Task>,
    fd_in: Fd,
    off_in: UserPtr<i64>,
    fd_out: Fd,
    off_out: UserPtr<i64>,
    len: usize,
    flags: u32,
) -> SysResult<usize> {
    if len == 0 {
        return Ok(0);
    }
    let flags = mover::flags(flags)?;
    let (input, output) = (real_file(task, fd_in)?, real_file(task, fd_out)?);
    let is_pipe = |file: &File| fs::pipe::of(file).is_some();
    if is_pipe(&input) && !off_in.is_null() || is_pipe(&output) && !off_out.is_null() {
        return Err(Errno::ESPIPE.into());
    }
    let mut to = Offset::read(task, off_out)?;
    let mut from = Offset::read(task, off_in)?;
    let len = writable_room(task, &output, to.at(), len)?;
    let waits = !mover::never_waits(&input, &output, flags);
    let mut done = 0;
    while done < len {
        let step = || mover::splice(&input, from.value, &output, to.value, len - done);
        match moved(task, &input, &output, waits && done == 0, step).await {
            Ok(0) => break,
            Ok(n) => {
                done += n;
                from.advance(n);
                to.advance(n);
            }
            Err(_) if done > 0 => break,
            Err(e) => return Err(e),
        }
    }
    to.store(task)?;
    from.store(task)?;
    Ok(done)
}

async fn tee(task: &Arc<Task>, fd_in: Fd, fd_out: Fd, len: usize, flags: u32) -> SysResult<usize> {
    let flags = mover::flags(flags)?;
    if len == 0 {
        return Ok(0);
    }
    let (input, output) = (real_file(task, fd_in)?, real_file(task, fd_out)?);
    let waits = !mover::never_waits(&input, &output, flags);
    moved(task, &input, &output, waits, || mover::tee(&input, &output, len.min(MAX_RW))).await
}

async fn vmsplice(
    task: &Arc<Task>,
    fd: Fd,
    iov: UserPtr<Iovec>,
    count: usize,
    flags: u32,
) -> SysResult<usize> {
    let flags = mover::flags(flags)?;
    let file = real_file(task, fd)?;
    let vecs = vectors(task, iov, count)?;
    if vecs.iter().all(|(_, len)| *len == 0) {
        return Ok(0);
    }
    let way = mover::vmsplice(&file)?;
    let mm = task.mm()?;
    // A pipe's own O_NONBLOCK says nothing about this call.
    let waits = !flags.contains(SpliceFlags::NONBLOCK);
    let stop = |e, wait| if e == Errno::EAGAIN { wait } else { Stop::Errno(e) };
    let step = || match way {
        Vmsplice::IntoPipe => {
            let mut src = IoSrc::user_vec(&*mm, vecs.iter().copied());
            file.ops().write(&file, &mut src).map_err(|e| stop(e, Stop::WaitOut))
        }
        Vmsplice::FromPipe => {
            let mut dst = IoDst::user_vec(&*mm, vecs.iter().copied());
            file.ops().read(&file, &mut dst).map_err(|e| stop(e, Stop::WaitIn))
        }
    };
    moved(task, &file, &file, waits, step).await
}

async fn sendfile(
    task: &Arc<Task>,
    fd_out: Fd,
    fd_in: Fd,
    offset: UserPtr<i64>,
    len: usize,
) -> SysResult<usize> {
    let mut from = Offset::read(task, offset)?;
    let result = do_sendfile(task, fd_out, fd_in, &mut from, len).await;
    if !matches!(result, Err(SysError::Interrupted(_))) {
        from.store(task)?; // even if nothing was sent
    }
    result
}

async fn do_sendfile(
    task: &Arc<Task>,
    fd_out: Fd,
    fd_in: Fd,
    from: &mut Offset,
    len: usize,
) -> SysResult<usize> {
    let input = real_file(task, fd_in)?;
    input.check_readable()?;
    if from.value.is_some() && !input.ops().seekable() {
        return Err(Errno::ESPIPE.into());
    }
    if from.value.is_some_and(|at| at < 0) {
        return Err(Errno::EINVAL.into());
    }
    let output = real_file(task, fd_out)?;
    let to_pipe = fs::pipe::of(&output).is_some();
    let len = writable_room(task, &output, None, len)?;
    let waits = !(output.nonblocking() || to_pipe && input.nonblocking());
    let mut done = 0;
    loop {
        let (at, left) = (from.value, len - done);
        match moved(task, &input, &output, waits, || mover::sendfile(&output, &input, at, left)).await {
            Ok(0) => break,
            Ok(n) => {
                done += n;
                from.advance(n);
            }
            Err(_) if done > 0 => break,
            Err(e) => return Err(e),
        }
        if to_pipe || done >= len || task.interrupted() {
            break;
        }
        ksync::exec::yield_now().await;
    }
    Ok(done)
}

async fn copy_file_range(
    task: &Arc<Task>,
    fd_in: Fd,
    off_in: UserPtr<i64>,
    fd_out: Fd,
    off_out: UserPtr<i64>,
    len: usize,
    flags: u32,
) -> SysResult<usize> {
    let (input, output) = (real_file(task, fd_in)?, real_file(task, fd_out)?);
    let mut from = Offset::read(task, off_in)?;
    let mut to = Offset::read(task, off_out)?;
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    // What is no regular file, or cannot be written, has its own errors, which come first.
    let regular = [&input, &output].into_iter().all(|f| f.inode().file_type() == FileType::Regular);
    let len = match regular && input.check_readable().is_ok() && output.check_writable().is_ok() {
        true => writable_room(task, &output, to.at(), len)?,
        false => len.min(MAX_RW),
    };
    let mut done = 0;
    loop {
        let step = || mover::copy_file_range(&input, from.value, &output, to.value, len - done);
        match ksync::exec::blocking(step) {
            Ok(0) => break,
            Ok(n) => {
                done += n;
                from.advance(n);
                to.advance(n);
            }
            Err(_) if done > 0 => break,
            Err(e) => return Err(e.into()),
        }
        if done >= len || task.interrupted() {
            break;
        }
        ksync::exec::yield_now().await;
    }
    if done > 0 {
        from.store(task)?;
        to.store(task)?;
    }
    Ok(done)
}
