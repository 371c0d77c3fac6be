//! Processes: everything about tasks, their credentials and limits, and what they ask of the kernel.
//!
//! A folder of small modules; all their names can be had from here as well. Those that other families need are
//! modules of the crate too: [`crate::cap`], [`crate::futex`], [`crate::mount`], [`crate::ptrace`],
//! [`crate::sched`], [`crate::seccomp`].

pub mod cap;
pub mod clone;
pub mod futex;
pub mod keys;
pub mod mount;
pub mod prctl;
pub mod ptrace;
pub mod resource;
pub mod sched;
pub mod seccomp;
pub mod system;
pub mod wait;

pub use cap::*;
pub use clone::*;
pub use futex::*;
pub use keys::*;
pub use mount::*;
pub use prctl::*;
pub use ptrace::*;
pub use resource::*;
pub use sched::*;
pub use seccomp::*;
pub use system::*;
pub use wait::*;
