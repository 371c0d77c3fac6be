//! Application memory as the sentry sees it.
//!
//! [`MemoryFile`] is the one memfd behind all application memory, with its allocator, [`Store`] the
//! same on a disk. [`UserMemory`] is an address
//! space seen through system call arguments: [`UserAddr`] and [`UserPtr`] name places in it, and [`IoDst`] and
//! [`IoSrc`] are the buffers of reads and writes. [`Mappable`] is what can be mapped: a file or shared memory.
//! [`RangeMap`] is the interval map that the allocator and address spaces are built on.
//!
//! **Invariant:** memory that an application can change under us is only reached through [`VolatileSlice`],
//! never as a `&[u8]`. All `unsafe` of this crate is in [`file`] and [`host`].

#![deny(unsafe_code)]

mod alloc;
#[allow(unsafe_code, reason = "maps the memory file")]
pub mod file;
mod free;
#[allow(unsafe_code, reason = "hands volatile memory to the host")]
pub mod host;
pub mod io;
pub mod mappable;
pub mod range_map;
pub mod store;
pub mod user;

pub use alloc::Hint;
pub use file::MemoryFile;
pub use io::{IoDst, IoSrc};
pub use mappable::{Backing, Invalidate, Mappable, MappingSet};
pub use range_map::RangeMap;
pub use store::Store;
pub use user::{UserAddr, UserMemory, UserMemoryExt, UserPtr};
pub use vm_memory::VolatileSlice;

/// Bytes in a page.
pub const PAGE_SIZE: u64 = 4096;

/// `value` rounded down to a page boundary.
pub const fn page_down(value: u64) -> u64 {
    value & !(PAGE_SIZE - 1)
}

/// `value` rounded up to a page boundary; `None` past the end of the numbers.
pub const fn page_up(value: u64) -> Option<u64> {
    match value.checked_add(PAGE_SIZE - 1) {
        Some(v) => Some(page_down(v)),
        None => None,
    }
}
