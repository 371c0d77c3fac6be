//! `splice(2)`, `tee(2)`, `vmsplice(2)`, `sendfile(2)`, `copy_file_range(2)`: moving bytes between files in the kernel.
//!
//! Each function moves some bytes, at most about a mebibyte, and returns; the system call layer goes on until the length
//! is reached, 0 comes (end of file), or something is in the way. That is a [`Stop`]: an error, or which file to wait
//! for. What was moved before counts more than a stop. Between pipes only references to buffers move.
//!
//! **For the system call layer:** an offset that was given is moved on by it, by what is returned; a position moves by
//! itself. Do not sleep where [`never_waits`] says so, but return `EAGAIN`. `EPIPE` means `SIGPIPE`. `RLIMIT_FSIZE` is
//! to be applied to the length. Inotify events are given here.
//!
//! **Lock order:** none of its own; no lock is held from one file to the other, and bytes that were taken from a pipe
//! and found no place go back to its front. **Absent on purpose:** gifts of pages (`vmsplice` copies), reflinks.

use crate::pipe::{self, Pipe, Segment};
use abi::{
    Errno,
    fcntl::{OpenFlags, SpliceFlags},
    stat::FileType,
};
use ksync::Ready;
use mem::{IoDst, IoSrc};
use std::sync::Arc;
use vfs::{
    File,
    inotify::{self, Events},
};

/// The most that one call moves by way of a buffer.
const STEP: usize = 256 << 10;
/// The most that one call moves between regular files.
const COPY_STEP: usize = 1 << 20;

/// Why no byte moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// It cannot be done.
    Errno(Errno),
    /// The input has nothing: wait for `IN`.
    WaitIn,
    /// The output has no room: wait for `OUT`.
    WaitOut,
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Stop::Errno(errno)
    }
}

fn input_stop(errno: Errno) -> Stop {
    if errno == Errno::EAGAIN { Stop::WaitIn } else { Stop::Errno(errno) }
}

fn output_stop(errno: Errno) -> Stop {
    if errno == Errno::EAGAIN { Stop::WaitOut } else { Stop::Errno(errno) }
}

/// The flags of `splice(2)`, `tee(2)` and `vmsplice(2)`; `EINVAL` for unknown ones.
pub fn flags(raw: u32) -> Result<SpliceFlags, Errno> {
    SpliceFlags::from_bits(raw).ok_or(Errno::EINVAL)
}

/// Whether `splice` and `tee` between these two give `EAGAIN` rather than wait (`vmsplice` goes by the flag alone).
pub fn never_waits(input: &File, output: &File, flags: SpliceFlags) -> bool {
    flags.contains(SpliceFlags::NONBLOCK) || input.nonblocking() || output.nonblocking()
}

/// Whether Linux has a splice operation for such a file: not for directories, and not for `eventfd` and its like.
fn spliceable(file: &File) -> bool {
    match file.inode().file_type() {
        FileType::Regular => file.ops().seekable(),
        FileType::CharDevice | FileType::BlockDevice | FileType::Socket => true,
        _ => false,
    }
}

/// An offset that an application gave for `len` bytes of a file: `EINVAL` if they are not within the numbers.
fn offset(given: Option<i64>, len: usize) -> Result<Option<u64>, Errno> {
    let Some(given) = given else { return Ok(None) };
    let last = i64::try_from(len.min(STEP)).ok().and_then(|len| given.checked_add(len));
    last.ok_or(Errno::EINVAL)?;
    u64::try_from(given).map(Some).map_err(|_| Errno::EINVAL)
}

/// Reads up to `max` bytes of `file`, at `at` or where it stands.
fn read_some(file: &File, at: Option<u64>, max: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; max];
    let mut dst = IoDst::bytes(&mut bytes);
    let n = match at {
        Some(at) => file.ops().read_at(file, at, &mut dst)?,
        None => file.ops().read(file, &mut dst)?,
    };
    bytes.truncate(n);
    if n < max / 2 {
        bytes.shrink_to_fit();
    }
    Ok(bytes)
}

/// Writes `bytes` to `file`, at `at` or where it stands.
fn write_some(file: &File, at: Option<u64>, bytes: &mut [u8]) -> Result<usize, Errno> {
    let mut src = IoSrc::bytes(bytes);
    match at {
        Some(at) => file.ops().write_at(file, at, &mut src),
        None => file.ops().write(file, &mut src),
    }
}

fn moved(input: Option<&File>, output: Option<&File>, n: usize) -> usize {
    if n > 0 {
        input.inspect(|f| inotify::file_event(f, Events::ACCESS));
        output.inspect(|f| inotify::file_event(f, Events::MODIFY));
    }
    n
}

/// `splice(2)`: moves up to `len` bytes from `input` to `output`, one of which is a pipe.
pub fn splice(
    input: &File,
    in_offset: Option<i64>,
    output: &File,
    out_offset: Option<i64>,
    len: usize,
) -> Result<usize, Stop> {
    if len == 0 {
        return Ok(0);
    }
    input.check_readable()?;
    output.check_writable()?;
    match (pipe::of(input), pipe::of(output)) {
        (Some(from), Some(to)) => {
            if in_offset.is_some() || out_offset.is_some() {
                return Err(Errno::ESPIPE.into());
            }
            if Arc::ptr_eq(from, to) {
                return Err(Errno::EINVAL.into());
            }
            pipe_to_pipe(from, to, len, Pipe::take)
        }
        (Some(from), None) => {
            if in_offset.is_some() {
                return Err(Errno::ESPIPE.into());
            }
            let cannot = out_offset.is_some() && !output.ops().seekable();
            if cannot || output.flags().contains(OpenFlags::APPEND) || !spliceable(output) {
                return Err(Errno::EINVAL.into());
            }
            let at = offset(out_offset, len)?;
            pipe_to_file(from, output, at, len).map(|n| moved(None, Some(output), n))
        }
        (None, Some(to)) => {
            if out_offset.is_some() {
                return Err(Errno::ESPIPE.into());
            }
            if in_offset.is_some() && !input.ops().seekable() || !spliceable(input) {
                return Err(Errno::EINVAL.into());
            }
            let at = offset(in_offset, len)?;
            file_to_pipe(input, at, to, len).map(|n| moved(Some(input), None, n))
        }
        (None, None) => Err(Errno::EINVAL.into()),
    }
}

/// `tee(2)`: gives `output` up to `len` bytes of `input`, both pipes, which stay there.
pub fn tee(input: &File, output: &File, len: usize) -> Result<usize, Stop> {
    if len == 0 {
        return Ok(0);
    }
    input.check_readable()?;
    output.check_writable()?;
    match (pipe::of(input), pipe::of(output)) {
        (Some(from), Some(to)) if !Arc::ptr_eq(from, to) => pipe_to_pipe(from, to, len, Pipe::peek),
        _ => Err(Errno::EINVAL.into()),
    }
}

fn file_to_pipe(input: &File, at: Option<u64>, to: &Pipe, len: usize) -> Result<usize, Stop> {
    let room = to.room()?;
    if room == 0 {
        return Err(Stop::WaitOut);
    }
    let bytes = read_some(input, at, len.min(room).min(STEP)).map_err(input_stop)?;
    let n = bytes.len();
    if n > 0 {
        // Somebody else may have written meanwhile: what was read must not be lost for want of room.
        to.push_all(vec![Segment::new(bytes)]);
    }
    Ok(n)
}

fn pipe_to_file(from: &Pipe, output: &File, at: Option<u64>, len: usize) -> Result<usize, Stop> {
    let mut taken = from.take(len.min(STEP)).map_err(input_stop)?;
    let mut total = 0;
    let mut stop = None;
    for segment in &mut taken {
        let want = segment.len();
        let at = at.map(|at| at.saturating_add(total as u64));
        let written = match segment.bytes_mut() {
            Some(bytes) => write_some(output, at, bytes),
            // Shared by tee.
            None => write_some(output, at, &mut segment.bytes().to_vec()),
        };
        match written {
            Ok(n) => {
                segment.consume(n);
                total += n;
                if n < want {
                    break;
                }
            }
            Err(e) => {
                stop = Some(output_stop(e));
                break;
            }
        }
    }
    from.untake(taken);
    match stop {
        Some(stop) if total == 0 => Err(stop),
        _ => Ok(total),
    }
}

/// How segments are got: [`Pipe::take`] or [`Pipe::peek`].
type Get = fn(&Pipe, usize) -> Result<Vec<Segment>, Errno>;

fn pipe_to_pipe(from: &Pipe, to: &Pipe, len: usize, get: Get) -> Result<usize, Stop> {
    let room = to.room()?;
    if room == 0 {
        return Err(if from.is_empty() { Stop::WaitIn } else { Stop::WaitOut });
    }
    let takes = std::ptr::fn_addr_eq(get, Pipe::take as Get);
    let mut segments = get(from, len.min(room)).map_err(input_stop)?;
    let pushed = to.push(&mut segments).map_err(output_stop);
    if takes {
        from.untake(segments);
    }
    pushed
}

/// Which way `vmsplice(2)` goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Vmsplice {
    /// From memory into the pipe: to be done as a write to it.
    IntoPipe,
    /// Out of the pipe into memory: to be done as a read of it.
    FromPipe,
}

/// What `vmsplice(2)` on `file` means; `EBADF` if it is no pipe.
pub fn vmsplice(file: &File) -> Result<Vmsplice, Errno> {
    pipe::of(file).ok_or(Errno::EBADF)?;
    if file.flags().writable() { Ok(Vmsplice::IntoPipe) } else { Ok(Vmsplice::FromPipe) }
}

/// `sendfile(2)`: copies up to `len` bytes of `input`, at `in_offset` or where it stands, to `output`.
pub fn sendfile(output: &File, input: &File, in_offset: Option<i64>, len: usize) -> Result<usize, Stop> {
    input.check_readable()?;
    if !input.ops().seekable() && in_offset.is_some() {
        return Err(Errno::ESPIPE.into());
    }
    let at = offset(in_offset, len)?;
    output.check_writable()?;
    let to_pipe = pipe::of(output);
    let appends = output.flags().contains(OpenFlags::APPEND);
    if !input.ops().seekable() || !spliceable(input) || appends || to_pipe.is_none() && !spliceable(output) {
        return Err(Errno::EINVAL.into());
    }
    if len == 0 {
        return Ok(0);
    }
    let start = at.unwrap_or_else(|| *input.pos.lock());
    let n = match to_pipe {
        Some(to) => file_to_pipe(input, Some(start), to, len)?,
        None => {
            if output.ops().wait_queue().is_some() && !output.ready().intersects(Ready::OUT | Ready::ALWAYS) {
                return Err(Stop::WaitOut);
            }
            let mut bytes = read_some(input, Some(start), len.min(STEP)).map_err(input_stop)?;
            if bytes.is_empty() { 0 } else { write_some(output, None, &mut bytes).map_err(output_stop)? }
        }
    };
    if at.is_none() {
        *input.pos.lock() = start.saturating_add(n as u64);
    }
    Ok(moved(Some(input), to_pipe.is_none().then_some(output), n))
}

/// `copy_file_range(2)`: copies up to `len` bytes between regular files of one file system.
pub fn copy_file_range(
    input: &File,
    in_offset: Option<i64>,
    output: &File,
    out_offset: Option<i64>,
    len: usize,
) -> Result<usize, Errno> {
    input.check_readable()?;
    output.check_writable()?;
    if output.flags().contains(OpenFlags::APPEND) {
        return Err(Errno::EBADF);
    }
    let (from, to) = (input.inode(), output.inode());
    let types = [from.file_type(), to.file_type()];
    if types.contains(&FileType::Directory) {
        return Err(Errno::EISDIR);
    }
    if types != [FileType::Regular; 2] || !input.ops().seekable() || !output.ops().seekable() {
        return Err(Errno::EINVAL);
    }
    if from.fs().dev() != to.fs().dev() {
        return Err(Errno::EXDEV);
    }
    let place = |given: Option<i64>, file: &File| match given {
        Some(given) => u64::try_from(given).map_err(|_| Errno::EOVERFLOW),
        None => Ok(*file.pos.lock()),
    };
    let (read_at, write_at) = (place(in_offset, input)?, place(out_offset, output)?);
    let left = from.attr()?.size.saturating_sub(read_at);
    let len = usize::try_from(left).unwrap_or(usize::MAX).min(len);
    if len == 0 {
        return Ok(0);
    }
    let max = i64::MAX as u64;
    if write_at >= max {
        return Err(Errno::EFBIG);
    }
    let len = len.min(usize::try_from(max - write_at).unwrap_or(usize::MAX));
    if Arc::ptr_eq(&from, &to) && read_at.abs_diff(write_at) < len as u64 {
        return Err(Errno::EINVAL);
    }
    let mut bytes = read_some(input, Some(read_at), len.min(COPY_STEP))?;
    let n = if bytes.is_empty() { 0 } else { write_some(output, Some(write_at), &mut bytes)? };
    for (given, file, at) in [(in_offset, input, read_at), (out_offset, output, write_at)] {
        if given.is_none() {
            *file.pos.lock() = at.saturating_add(n as u64);
        }
    }
    Ok(moved(Some(input), Some(output), n))
}

#[cfg(test)]
mod tests;
