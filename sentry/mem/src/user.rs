//! Places in an address space, and getting bytes in and out of them.

use crate::VolatileSlice;
use abi::Errno;
use platform::Access;
use std::{fmt, marker::PhantomData};
use vm_memory::VolatileMemory;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// An address that an application gave: anything at all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UserAddr(pub u64);

impl UserAddr {
    /// The null address.
    pub const NULL: UserAddr = UserAddr(0);
    /// Whether it is null.
    pub fn is_null(self) -> bool {
        self.0 == 0
    }
    /// This address `bytes` on; `EFAULT` past the end of the numbers.
    #[allow(clippy::should_implement_trait, reason = "the sum may fail")]
    pub fn add(self, bytes: u64) -> Result<UserAddr, Errno> {
        self.0.checked_add(bytes).map(UserAddr).ok_or(Errno::EFAULT)
    }
}

impl fmt::Debug for UserAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// The address of a `T` that an application gave.
pub struct UserPtr<T> {
    addr: UserAddr,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for UserPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for UserPtr<T> {}
impl<T> fmt::Debug for UserPtr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.addr.fmt(f)
    }
}
impl<T> From<u64> for UserPtr<T> {
    fn from(addr: u64) -> Self {
        Self { addr: UserAddr(addr), of: PhantomData }
    }
}

impl<T> UserPtr<T> {
    /// The address.
    pub fn addr(self) -> UserAddr {
        self.addr
    }
    /// Whether it is null.
    pub fn is_null(self) -> bool {
        self.addr.is_null()
    }
    /// `None` for null, as many calls take it.
    pub fn non_null(self) -> Option<Self> {
        (!self.is_null()).then_some(self)
    }
    /// The address of element `index` of an array.
    pub fn at(self, index: usize) -> Result<Self, Errno> {
        let by = (index as u64).checked_mul(size_of::<T>() as u64).ok_or(Errno::EFAULT)?;
        Ok(Self { addr: self.addr.add(by)?, of: PhantomData })
    }
}

impl<T: FromBytes + IntoBytes> UserPtr<T> {
    /// Copies the value in; `EFAULT`.
    pub fn read(self, mem: &dyn UserMemory) -> Result<T, Errno> {
        let mut value = T::new_zeroed();
        mem.copy_in(self.addr, value.as_mut_bytes())?;
        Ok(value)
    }
    /// Copies `n` values in; `EFAULT`. The caller has bounded `n`.
    pub fn read_array(self, mem: &dyn UserMemory, n: usize) -> Result<Vec<T>, Errno> {
        (0..n).map(|i| self.at(i)?.read(mem)).collect()
    }
}

impl<T: IntoBytes + Immutable> UserPtr<T> {
    /// Copies the value out; `EFAULT`.
    pub fn write(self, mem: &dyn UserMemory, value: &T) -> Result<(), Errno> {
        mem.copy_out(self.addr, value.as_bytes())
    }
    /// Copies the value out unless the pointer is null.
    pub fn write_opt(self, mem: &dyn UserMemory, value: &T) -> Result<(), Errno> {
        if self.is_null() { Ok(()) } else { self.write(mem, value) }
    }
}

/// What [`UserMemory::with_pieces`] calls with each piece: how many bytes of it were used.
pub type PieceFn<'f> = dyn FnMut(VolatileSlice<'_>) -> Result<usize, Errno> + 'f;

/// An address space as system calls see it; `mm::AddressSpace` is the one.
pub trait UserMemory: Send + Sync {
    /// Calls `f` with the host-visible pieces of `len` bytes at `addr`, in order, making pages present and
    /// writable (`access`) as the application's own access would; ends when `f` uses less than a piece.
    ///
    /// How many bytes were used. An error of a page (`EFAULT`; `ENOMEM`) or of `f` only if none was.
    /// `f` must not touch the address space itself.
    fn with_pieces(
        &self,
        addr: UserAddr,
        len: usize,
        access: Access,
        f: &mut PieceFn<'_>,
    ) -> Result<usize, Errno>;

    /// The same with the rights of a debugger (`/proc/pid/mem`, ptrace): may read what the application may not, and
    /// breaks private pages for writing.
    fn with_pieces_forced(
        &self,
        addr: UserAddr,
        len: usize,
        access: Access,
        f: &mut PieceFn<'_>,
    ) -> Result<usize, Errno> {
        self.with_pieces(addr, len, access, f)
    }
}

/// Copies on top of [`UserMemory`].
pub trait UserMemoryExt {
    /// Copies `dst.len()` bytes in, all or `EFAULT`.
    fn copy_in(&self, addr: UserAddr, dst: &mut [u8]) -> Result<(), Errno>;
    /// Copies what can be read, from the start; `EFAULT` if nothing.
    fn copy_in_some(&self, addr: UserAddr, dst: &mut [u8]) -> Result<usize, Errno>;
    /// Copies `src` out, all or `EFAULT` (of which a part may have been stored, as on Linux).
    fn copy_out(&self, addr: UserAddr, src: &[u8]) -> Result<(), Errno>;
    /// Copies out what can be stored, from the start; `EFAULT` if nothing.
    fn copy_out_some(&self, addr: UserAddr, src: &[u8]) -> Result<usize, Errno>;
    /// The bytes before a NUL; `ENAMETOOLONG` if there is none among the first `max`.
    fn read_cstr(&self, addr: UserAddr, max: usize) -> Result<Vec<u8>, Errno>;
    /// Stores `len` zero bytes; all or `EFAULT`.
    fn zero(&self, addr: UserAddr, len: usize) -> Result<(), Errno>;
    /// Calls `f` with the naturally aligned 32-bit word at `addr` as an atomic (futexes); `EINVAL` unless aligned.
    fn with_atomic_u32<R>(
        &self,
        addr: UserAddr,
        access: Access,
        f: impl FnMut(&std::sync::atomic::AtomicU32) -> R,
    ) -> Result<R, Errno>;
}

impl<M: UserMemory + ?Sized> UserMemoryExt for M {
    fn copy_in(&self, addr: UserAddr, dst: &mut [u8]) -> Result<(), Errno> {
        let want = dst.len();
        if self.copy_in_some(addr, dst)? == want { Ok(()) } else { Err(Errno::EFAULT) }
    }

    fn copy_in_some(&self, addr: UserAddr, dst: &mut [u8]) -> Result<usize, Errno> {
        if dst.is_empty() {
            return Ok(0);
        }
        let mut done = 0;
        self.with_pieces(addr, dst.len(), Access::READ, &mut |piece| {
            let n = piece.copy_to(dst.get_mut(done..).unwrap_or_default());
            done += n;
            Ok(n)
        })
    }

    fn copy_out(&self, addr: UserAddr, src: &[u8]) -> Result<(), Errno> {
        if self.copy_out_some(addr, src)? == src.len() { Ok(()) } else { Err(Errno::EFAULT) }
    }

    fn copy_out_some(&self, addr: UserAddr, src: &[u8]) -> Result<usize, Errno> {
        if src.is_empty() {
            return Ok(0);
        }
        let mut done = 0;
        self.with_pieces(addr, src.len(), Access::WRITE, &mut |piece| {
            let rest = src.get(done..).unwrap_or_default();
            let n = rest.len().min(piece.len());
            piece.copy_from(rest.get(..n).unwrap_or_default());
            done += n;
            Ok(n)
        })
    }

    fn read_cstr(&self, addr: UserAddr, max: usize) -> Result<Vec<u8>, Errno> {
        let mut text = Vec::new();
        let mut ended = false;
        while !ended {
            let at = addr.add(text.len() as u64)?;
            // Up to a page boundary at a time, so that a string before an unmapped page is read.
            let chunk = (crate::PAGE_SIZE - at.0 % crate::PAGE_SIZE) as usize;
            let mut buffer = [0u8; crate::PAGE_SIZE as usize];
            let chunk = chunk.min(max.saturating_sub(text.len())).min(256);
            if chunk == 0 {
                return Err(Errno::ENAMETOOLONG);
            }
            let buffer = buffer.get_mut(..chunk).unwrap_or_default();
            self.copy_in(at, buffer)?;
            let end = buffer.iter().position(|b| *b == 0);
            ended = end.is_some();
            text.extend_from_slice(buffer.get(..end.unwrap_or(chunk)).unwrap_or_default());
        }
        Ok(text)
    }

    fn zero(&self, addr: UserAddr, len: usize) -> Result<(), Errno> {
        if len == 0 {
            return Ok(());
        }
        let zeros = [0u8; crate::PAGE_SIZE as usize];
        let done = self.with_pieces(addr, len, Access::WRITE, &mut |piece| {
            let mut at = 0;
            while at < piece.len() {
                let n = (piece.len() - at).min(zeros.len());
                piece
                    .subslice(at, n)
                    .map_err(|_| Errno::EFAULT)?
                    .copy_from(zeros.get(..n).unwrap_or_default());
                at += n;
            }
            Ok(at)
        })?;
        if done == len { Ok(()) } else { Err(Errno::EFAULT) }
    }

    fn with_atomic_u32<R>(
        &self,
        addr: UserAddr,
        access: Access,
        mut f: impl FnMut(&std::sync::atomic::AtomicU32) -> R,
    ) -> Result<R, Errno> {
        if !addr.0.is_multiple_of(4) {
            return Err(Errno::EINVAL);
        }
        let mut result = None;
        self.with_pieces(addr, 4, access, &mut |piece| {
            let word = piece.get_atomic_ref::<std::sync::atomic::AtomicU32>(0).map_err(|_| Errno::EFAULT)?;
            result = Some(f(word));
            Ok(4)
        })?;
        result.ok_or(Errno::EFAULT)
    }
}
