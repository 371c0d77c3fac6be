//! Register state of the architecture that this was built for.

mod x86_64;
pub(crate) use x86_64::initial_fp;
pub use x86_64::{FpState, Regs};
