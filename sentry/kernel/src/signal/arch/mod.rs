//! Frames on the application's stack, for the architecture that this was built for.

mod x86_64;
pub use x86_64::{Interruption, pop_frame, push_frame, restart_syscall};
