//! Devices: [`mem`] has those of memory, [`loops`] files as block devices, [`devtmpfs`] the file system with the usual
//! nodes.

pub mod devtmpfs;
pub mod loops;
pub mod mem;

pub use crate::devpts::console_file;
