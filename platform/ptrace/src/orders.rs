//! Order pages: tables of calls that a stub process makes in one go.
//!
//! All pages lie in one sparse memory file that the sentry maps writable and each stub process maps its own page of,
//! read-only. **Invariant:** a page is written only by who holds its process's space lock, or by the keeper
//! while nobody else knows the process.

use crate::layout;
use host::{
    HostErrno,
    map::{Mapping, Prot},
    memfd,
};
use parking_lot::Mutex;
use std::{
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    sync::Arc,
};

/// One call: number and arguments. Laid out as the stub's code reads it.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// System call number.
    pub nr: u64,
    /// Its arguments.
    pub args: [u64; 6],
}

impl Order {
    /// A call of `nr`; arguments not given are zero.
    pub fn new<const N: usize>(nr: i64, given: [u64; N]) -> Self {
        let mut args = [0; 6];
        for (to, from) in args.iter_mut().zip(given) {
            *to = from;
        }
        Self { nr: nr as u64, args }
    }
}

/// How many orders fit in a page.
pub const BATCH: usize = 64;
const _: () = assert!(size_of::<Order>() * BATCH == layout::PAGE as usize);
const SLOTS: usize = 32768;

/// The memory file of all order pages.
pub struct Orders {
    fd: OwnedFd,
    window: Mapping,
    free: Mutex<(Vec<usize>, usize)>,
}

impl Orders {
    /// A file with no page in use.
    pub fn new() -> Result<Arc<Self>, HostErrno> {
        let fd = memfd::create(c"runsc-orders", false)?;
        let len = SLOTS * host::PAGE_SIZE;
        memfd::set_len(fd.as_fd(), len as u64)?;
        let window = Mapping::shared(fd.as_fd(), 0, len, Prot::READ_WRITE)?;
        let _ = window.advise(0, len, host::map::Advice::DontDump);
        Ok(Arc::new(Self { fd, window, free: Mutex::new((Vec::new(), 0)) }))
    }

    /// A page that nobody uses.
    pub fn take(self: &Arc<Self>) -> Result<Slot, HostErrno> {
        let mut free = self.free.lock();
        let index = match free.0.pop() {
            Some(index) => index,
            None if free.1 < SLOTS => {
                free.1 += 1;
                free.1 - 1
            }
            None => return Err(HostErrno::ENOMEM),
        };
        Ok(Slot { all: self.clone(), index })
    }
}

/// One page; goes back when dropped.
pub struct Slot {
    all: Arc<Orders>,
    index: usize,
}

impl Slot {
    fn offset(&self) -> usize {
        self.index * host::PAGE_SIZE
    }

    /// The call that maps this page at `addr` of a stub.
    pub fn map_order(&self, addr: u64) -> Order {
        let (prot, flags) = (libc::PROT_READ as u64, (libc::MAP_SHARED | libc::MAP_FIXED) as u64);
        Order::new(
            libc::SYS_mmap,
            [addr, layout::PAGE, prot, flags, self.raw_fd() as u64, self.offset() as u64],
        )
    }

    fn raw_fd(&self) -> RawFd {
        self.all.fd.as_raw_fd()
    }

    /// Writes a table of at most [`BATCH`] orders.
    pub fn write(&self, orders: &[Order]) {
        let base = self.all.window.as_ptr().wrapping_add(self.offset()).cast::<Order>();
        for (i, order) in orders.iter().take(BATCH).enumerate() {
            // SAFETY: below BATCH orders from the page's start, inside the window, which is mapped writable and aligned;
            // the stub reads the page only after it is resumed, which is after this.
            unsafe { base.wrapping_add(i).write_volatile(*order) };
        }
    }

    /// Writes bytes at an offset of the page; those beyond it are dropped.
    pub fn write_bytes(&self, at: usize, bytes: &[u8]) {
        let base = self.all.window.as_ptr().wrapping_add(self.offset());
        for (i, byte) in (at..host::PAGE_SIZE).zip(bytes) {
            // SAFETY: `i` is inside the page, which lies in the window and is mapped writable.
            unsafe { base.wrapping_add(i).write_volatile(*byte) };
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let _ = self.all.window.advise(self.offset(), host::PAGE_SIZE, host::map::Advice::Remove);
        self.all.free.lock().0.push(self.index);
    }
}
