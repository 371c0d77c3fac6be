//! What of tracing is the architecture's: registers and how debuggers see them.

mod x86_64;
pub use x86_64::*;
