//! Debug registers: those of the stub thread are the context's, and the host checks what goes into them.

use crate::{layout, sys};
use abi::{Errno, arch::USER_DEBUGREG_OFFSET};
use host::HostErrno;
use platform::DebugRegisters;

/// The control register: nothing is watched while it is 0.
const CONTROL: usize = 7;
const COUNT: usize = 8;
/// Those that hold addresses.
const ADDRESSES: usize = 4;

/// Debug registers of a stub thread.
#[derive(Debug)]
pub struct Debug {
    tid: i32,
    /// Something was put into them.
    used: bool,
}

impl Debug {
    /// Those of `tid`, which are clear.
    pub fn new(tid: i32) -> Self {
        Self { tid, used: false }
    }

    /// Clears them, so that nothing is left for another context. Whether that worked.
    pub fn clear(&mut self) -> bool {
        let was = std::mem::take(&mut self.used);
        !was || std::iter::once(CONTROL).chain(0..ADDRESSES).all(|n| put(self.tid, n, 0).is_ok())
    }
}

fn offset(index: usize) -> Result<usize, Errno> {
    if index < COUNT { Ok(USER_DEBUGREG_OFFSET as usize + index * 8) } else { Err(Errno::EIO) }
}

fn put(tid: i32, index: usize, value: u64) -> Result<(), Errno> {
    sys::poke_user(tid, offset(index)?, value).map_err(errno)
}

fn errno(e: HostErrno) -> Errno {
    match e {
        HostErrno::EINVAL => Errno::EINVAL,
        HostErrno::ENOSPC => Errno::ENOSPC,
        HostErrno::ESRCH => Errno::ESRCH,
        _ => Errno::EIO,
    }
}

impl DebugRegisters for Debug {
    fn peek(&mut self, index: usize) -> Result<u64, Errno> {
        sys::peek_user(self.tid, offset(index)?).map_err(errno)
    }

    fn poke(&mut self, index: usize, value: u64) -> Result<(), Errno> {
        // The page of the stub's own code is nothing of the application's.
        if index < ADDRESSES && value >= layout::USER_MAX {
            return Err(Errno::EINVAL);
        }
        self.used = true;
        put(self.tid, index, value)
    }
}
