//! Address spaces and what is mapped into them.
//!
//! [`AddressSpace`] is the memory of a process: areas (what it asked for), pages (what is there), and the platform's
//! side, which only knows what is mapped. It answers faults, copies on fork and on write, and is [`mem::UserMemory`] for
//! system calls. [`MemoryObject`] is shared memory: what tmpfs files, memfds, System V segments and shared anonymous mappings
//! are made of.
//!
//! Memory is mapped eagerly and coarsely: one host call for a whole area, and first touches are answered by the host alone.
//!
//! **Lock order:** [`ksync::rank::MM`], then an object's page table, then the memory file, then the platform. Files are never called
//! and never closed under the lock, with one exception: [`mem::Mappable::back`].
//! **Absent on purpose:** swapping, page ageing, huge pages and NUMA: they are the host's.

#![forbid(unsafe_code)]

mod advise;
mod area;
mod fault;
mod futex;
mod home;
mod info;
mod layout;
mod lock;
mod mmap;
pub mod object;
mod op;
mod program;
mod remap;
mod space;
mod state;
mod user;

pub use area::{AreaFlags, Attachment};
pub use fault::FaultError;
pub use futex::FutexKey;
pub use info::{MapsEntry, MmInfo, Sizes, Usage};
pub use mmap::{MapRequest, MapSource};
pub use object::{MemoryObject, Quota};
pub use space::{AddressSpace, VdsoImage};
pub use state::{Limits, MAX_MAP_COUNT};
