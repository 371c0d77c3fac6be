//! Linux's user-space ABI as plain data.
mod errno;
pub use errno::Errno;
