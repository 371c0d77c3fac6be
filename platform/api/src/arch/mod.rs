//! Register state of the architecture that this was built for.

mod x86_64;
pub use x86_64::{FpState, Regs};
