//! What differs between architectures. Only x86-64 is there so far.

pub mod x86_64;

pub use x86_64::*;
