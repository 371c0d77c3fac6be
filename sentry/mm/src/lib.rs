//! Address spaces and what is mapped into them.
//!
//! [`MemoryObject`] is shared memory: what tmpfs files, memfds, System V segments and shared anonymous mappings are made of.

#![forbid(unsafe_code)]

pub mod object;

pub use object::{MemoryObject, Quota};

use abi::Errno;
use std::sync::Arc;

/// Placeholder that the real address space replaces.
pub struct AddressSpace(Arc<dyn platform::AddressSpace>);

/// Why a fault could not be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultError {
    /// `SIGSEGV`: nothing there, or (`mapped`) not allowed.
    Segv {
        /// `SEGV_ACCERR` rather than `SEGV_MAPERR`.
        mapped: bool,
    },
    /// `SIGBUS`: behind the end of the mapped object.
    Bus,
    /// No memory is left.
    OutOfMemory,
}

impl AddressSpace {
    /// The platform's side.
    pub fn platform_space(&self) -> Arc<dyn platform::AddressSpace> {
        self.0.clone()
    }
    /// Makes the page present.
    pub fn handle_fault(&self, _addr: u64, _access: platform::Access) -> Result<(), FaultError> {
        Err(FaultError::from(Errno::EFAULT))
    }
}

impl From<Errno> for FaultError {
    fn from(_: Errno) -> Self {
        FaultError::Segv { mapped: false }
    }
}

impl mem::UserMemory for AddressSpace {
    fn with_pieces(&self, _: mem::UserAddr, _: usize, _: platform::Access, _: &mut mem::user::PieceFn<'_>) -> Result<usize, Errno> {
        Err(Errno::EFAULT)
    }
}
