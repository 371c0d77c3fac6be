//! `/proc/PID/mem` and `pagemap`.

use super::process::Process;
use abi::{Errno, arch::TASK_SIZE};
use mem::{IoDst, IoSrc, UserAddr, UserMemory};
use mm::AddressSpace;
use platform::Access;
use std::{any::Any, sync::Arc};
use vfs::{File, FileOps, OpenRequest, file::Seek};

/// Bytes that are moved at a time.
const CHUNK: usize = 64 << 10;

/// The open memory of a process: that of when it was opened, whatever it executes later.
struct Mem(Option<Arc<AddressSpace>>);

/// Opens `mem`. `EACCES` for who may not look into the process.
pub(super) fn open_mem(process: &Process, _: &OpenRequest<'_>) -> Result<Box<dyn FileOps>, Errno> {
    let task = process.accessible()?;
    Ok(Box::new(Mem(task.mm().ok())))
}

/// Sets a position that is an address: all 64 bits count.
fn seek(file: &File, to: Seek) -> Result<u64, Errno> {
    let mut pos = file.pos.lock();
    *pos = match to {
        Seek::Set(n) => n as u64,
        Seek::Cur(n) => pos.wrapping_add(n as u64),
        _ => return Err(Errno::EINVAL),
    };
    Ok(*pos)
}

impl FileOps for Mem {
    fn read_at(&self, _: &File, offset: u64, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let Some(mm) = &self.0 else { return Ok(0) };
        let mut total = 0usize;
        let mut buffer = vec![0u8; CHUNK.min(dst.remaining())];
        while dst.remaining() > 0 {
            let want = buffer.len().min(dst.remaining());
            let at = offset.checked_add(total as u64).filter(|a| *a < TASK_SIZE);
            let Some(at) = at else { break };
            let mut got = 0;
            let result = mm.with_pieces_forced(UserAddr(at), want, Access::READ, &mut |piece| {
                let n = piece.copy_to(buffer.get_mut(got..want).unwrap_or_default());
                got += n;
                Ok(n)
            });
            let got = match result {
                Ok(0) | Err(_) if total == 0 => return Err(Errno::EIO),
                Ok(0) | Err(_) => break,
                Ok(n) => n.min(want),
            };
            let put = match dst.put(buffer.get(..got).unwrap_or_default()) {
                Ok(n) => n,
                Err(e) if total == 0 => return Err(e),
                Err(_) => break,
            };
            total += put;
            if put < want {
                break;
            }
        }
        if total == 0 && offset >= TASK_SIZE && dst.remaining() > 0 { Err(Errno::EIO) } else { Ok(total) }
    }
    fn write_at(&self, _: &File, offset: u64, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        let Some(mm) = &self.0 else { return Ok(0) };
        let mut total = 0usize;
        while src.remaining() > 0 {
            let bytes = match src.take_vec(CHUNK) {
                Ok(bytes) => bytes,
                Err(e) if total == 0 => return Err(e),
                Err(_) => break,
            };
            let at = offset.checked_add(total as u64).filter(|a| *a < TASK_SIZE);
            let mut put = 0;
            let result = at.ok_or(Errno::EIO).and_then(|at| {
                mm.with_pieces_forced(UserAddr(at), bytes.len(), Access::WRITE, &mut |piece| {
                    let rest = bytes.get(put..).unwrap_or_default();
                    let n = rest.len().min(piece.len());
                    piece.copy_from(rest.get(..n).unwrap_or_default());
                    put += n;
                    Ok(n)
                })
            });
            match result {
                Ok(0) | Err(_) if total == 0 => return Err(Errno::EIO),
                Ok(0) | Err(_) => break,
                Ok(n) => total += n,
            }
            if put < bytes.len() {
                break;
            }
        }
        Ok(total)
    }
    fn write(&self, file: &File, src: &mut IoSrc<'_>) -> Result<usize, Errno> {
        let mut pos = file.pos.lock();
        let n = self.write_at(file, *pos, src)?;
        *pos = pos.wrapping_add(n as u64);
        Ok(n)
    }
    fn seek(&self, file: &File, to: Seek) -> Result<u64, Errno> {
        seek(file, to)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The open page map of a process: where pages are is not told, as Linux does not tell without `CAP_SYS_ADMIN`; whether
/// they are there is.
struct PageMap(Option<Arc<AddressSpace>>);

/// Opens `pagemap`.
pub(super) fn open_pagemap(process: &Process, _: &OpenRequest<'_>) -> Result<Box<dyn FileOps>, Errno> {
    let task = process.accessible()?;
    Ok(Box::new(PageMap(task.mm().ok())))
}

impl FileOps for PageMap {
    fn read_at(&self, _: &File, offset: u64, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        if !offset.is_multiple_of(8) || !dst.remaining().is_multiple_of(8) {
            return Err(Errno::EINVAL);
        }
        let Some(mm) = &self.0 else { return Ok(0) };
        let mut total = 0;
        while dst.remaining() >= 8 {
            let page = offset / 8 + total / 8;
            let Some(addr) = page.checked_mul(mem::PAGE_SIZE).filter(|a| *a < TASK_SIZE) else { break };
            let present = u64::from(mm.is_mapped(addr)) << 63;
            match dst.put(&present.to_le_bytes()) {
                Ok(n) => total += n as u64,
                Err(e) if total == 0 => return Err(e),
                Err(_) => break,
            }
        }
        Ok(total as usize)
    }
    fn seek(&self, file: &File, to: Seek) -> Result<u64, Errno> {
        seek(file, to)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
