//! The buffers of reads and writes: in an address space, or in the sentry.

use crate::{UserAddr, UserMemory, VolatileSlice, user::PieceFn};
use abi::Errno;
use platform::Access;
use smallvec::SmallVec;

enum Place<'a> {
    User { mem: &'a dyn UserMemory, vecs: SmallVec<[(UserAddr, usize); 2]> },
    Bytes(&'a mut [u8]),
}

/// Cursor over the pieces of a buffer; what [`IoDst`] and [`IoSrc`] share.
struct Cursor<'a> {
    place: Place<'a>,
    /// Bytes of the buffer that were used.
    done: usize,
    /// Bytes that may still be used.
    left: usize,
}

impl<'a> Cursor<'a> {
    fn user(mem: &'a dyn UserMemory, vecs: impl IntoIterator<Item = (UserAddr, usize)>) -> Self {
        let vecs: SmallVec<[(UserAddr, usize); 2]> = vecs.into_iter().filter(|(_, len)| *len > 0).collect();
        let left = vecs.iter().fold(0usize, |sum, (_, len)| sum.saturating_add(*len));
        Self { place: Place::User { mem, vecs }, done: 0, left }
    }

    fn bytes(bytes: &'a mut [u8]) -> Self {
        let left = bytes.len();
        Self { place: Place::Bytes(bytes), done: 0, left }
    }

    /// Calls `f` with pieces of the next `max` bytes until it uses less than a piece.
    fn advance(&mut self, max: usize, access: Access, f: &mut PieceFn<'_>) -> Result<usize, Errno> {
        let max = max.min(self.left);
        let mut used = 0;
        match &mut self.place {
            Place::Bytes(bytes) => {
                if max > 0 {
                    let piece = bytes.get_mut(self.done..self.done + max).unwrap_or_default();
                    used = f(VolatileSlice::from(piece))?.min(max);
                }
            }
            Place::User { mem, vecs } => {
                let mut skip = self.done;
                for (addr, len) in vecs.iter() {
                    if skip >= *len {
                        skip -= *len;
                        continue;
                    }
                    let want = (*len - skip).min(max - used);
                    if want == 0 {
                        break;
                    }
                    match addr.add(skip as u64).and_then(|at| mem.with_pieces(at, want, access, f)) {
                        Ok(n) => {
                            used += n;
                            if n < want {
                                break;
                            }
                        }
                        Err(e) if used == 0 => return Err(e),
                        Err(_) => break,
                    }
                    skip = 0;
                }
            }
        }
        self.done += used;
        self.left -= used;
        Ok(used)
    }
}

/// Where a read puts its bytes.
pub struct IoDst<'a>(Cursor<'a>);

impl<'a> IoDst<'a> {
    /// `len` bytes at `addr` of an address space.
    pub fn user(mem: &'a dyn UserMemory, addr: UserAddr, len: usize) -> Self {
        Self(Cursor::user(mem, [(addr, len)]))
    }
    /// Several buffers of an address space.
    pub fn user_vec(mem: &'a dyn UserMemory, vecs: impl IntoIterator<Item = (UserAddr, usize)>) -> Self {
        Self(Cursor::user(mem, vecs))
    }
    /// A buffer of the sentry.
    pub fn bytes(bytes: &'a mut [u8]) -> Self {
        Self(Cursor::bytes(bytes))
    }
    /// Room that is left.
    pub fn remaining(&self) -> usize {
        self.0.left
    }
    /// Bytes that were put.
    pub fn done(&self) -> usize {
        self.0.done
    }
    /// Lowers the room that is left to `max`.
    pub fn limit(&mut self, max: usize) {
        self.0.left = self.0.left.min(max);
    }
    /// Puts as much of `bytes` as there is room for, returning how much. `EFAULT` only if none.
    pub fn put(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let mut at = 0;
        self.0.advance(bytes.len(), Access::WRITE, &mut |piece| {
            let n = piece.len().min(bytes.len() - at);
            piece.copy_from(bytes.get(at..at + n).unwrap_or_default());
            at += n;
            Ok(n)
        })
    }
    /// Puts `count` zero bytes, or as many as there is room for.
    pub fn put_zeros(&mut self, count: usize) -> Result<usize, Errno> {
        let zeros = [0u8; 4096];
        let mut total = 0;
        while total < count && self.remaining() > 0 {
            let n = (count - total).min(zeros.len());
            match self.put(zeros.get(..n).unwrap_or_default()) {
                Ok(0) => break,
                Ok(n) => total += n,
                Err(e) if total == 0 => return Err(e),
                Err(_) => break,
            }
        }
        Ok(total)
    }
    /// Lets `fill` store straight into the next `max` bytes, piece by piece, until it fills less than a piece.
    pub fn put_with(&mut self, max: usize, fill: &mut PieceFn<'_>) -> Result<usize, Errno> {
        self.0.advance(max, Access::WRITE, fill)
    }
}

/// Where a write takes its bytes from.
pub struct IoSrc<'a>(Cursor<'a>);

impl<'a> IoSrc<'a> {
    /// `len` bytes at `addr` of an address space.
    pub fn user(mem: &'a dyn UserMemory, addr: UserAddr, len: usize) -> Self {
        Self(Cursor::user(mem, [(addr, len)]))
    }
    /// Several buffers of an address space.
    pub fn user_vec(mem: &'a dyn UserMemory, vecs: impl IntoIterator<Item = (UserAddr, usize)>) -> Self {
        Self(Cursor::user(mem, vecs))
    }
    /// A buffer of the sentry (not changed, though it is borrowed mutably as volatile memory is).
    pub fn bytes(bytes: &'a mut [u8]) -> Self {
        Self(Cursor::bytes(bytes))
    }
    /// Bytes that are left.
    pub fn remaining(&self) -> usize {
        self.0.left
    }
    /// Bytes that were taken.
    pub fn done(&self) -> usize {
        self.0.done
    }
    /// Lowers the bytes that are left to `max`.
    pub fn limit(&mut self, max: usize) {
        self.0.left = self.0.left.min(max);
    }
    /// Takes up to `dst.len()` bytes, returning how many. `EFAULT` only if none.
    pub fn take(&mut self, dst: &mut [u8]) -> Result<usize, Errno> {
        let mut at = 0;
        self.0.advance(dst.len(), Access::READ, &mut |piece| {
            let n = piece.copy_to(dst.get_mut(at..).unwrap_or_default());
            at += n;
            Ok(n)
        })
    }
    /// Takes up to `max` bytes into a vector of the sentry.
    pub fn take_vec(&mut self, max: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; max.min(self.remaining())];
        let n = self.take(&mut bytes)?;
        bytes.truncate(n);
        Ok(bytes)
    }
    /// Lets `drain` load straight from the next `max` bytes, piece by piece, until it takes less than a piece.
    pub fn take_with(&mut self, max: usize, drain: &mut PieceFn<'_>) -> Result<usize, Errno> {
        self.0.advance(max, Access::READ, drain)
    }
    /// Gives back the last `bytes` that were taken (a short write below).
    pub fn untake(&mut self, bytes: usize) {
        let n = bytes.min(self.0.done);
        self.0.done -= n;
        self.0.left += n;
    }
    /// Copies from here to `dst` until either ends, returning how many bytes.
    pub fn copy_to(&mut self, dst: &mut IoDst<'_>) -> Result<usize, Errno> {
        let mut buffer = [0u8; 4096];
        let mut total = 0;
        while self.remaining() > 0 && dst.remaining() > 0 {
            let n = buffer.len().min(dst.remaining());
            let step = self.take(buffer.get_mut(..n).unwrap_or_default()).and_then(|got| {
                let put = dst.put(buffer.get(..got).unwrap_or_default())?;
                self.untake(got - put);
                Ok(put)
            });
            match step {
                Ok(0) => break,
                Ok(n) => total += n,
                Err(e) if total == 0 => return Err(e),
                Err(_) => break,
            }
        }
        Ok(total)
    }
}
