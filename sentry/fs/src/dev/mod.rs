//! Devices: [`mem`] has those of memory, [`devtmpfs`] the file system with the usual nodes.

pub mod devtmpfs;
pub mod mem;

pub use crate::devpts::console_file;
