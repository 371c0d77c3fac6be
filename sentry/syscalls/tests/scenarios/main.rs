//! Scenarios: small programs of several tasks on the real kernel and the real table of system calls, with no host.
//!
//! [`run`] boots a kernel with one worker on a `FakePlatform` and gives its first process a closure as its program. What
//! a program does is written as it would be in C, with [`App`]'s calls; what it asserts is what Linux does.
//!
//! ```ignore
//! let status = run(|app| {
//!     let child = app.fork(|app| app.exit_group(42));
//!     assert_eq!(app.wait4(child, 0), Ok((child, exited(42))));
//! });
//! assert_eq!(status, ExitStatus::Code(0));
//! ```
//!
//! [`machine`] puts the kernel together, [`app`] stands for the CPU and the C library of one thread, [`calls`] are its
//! system calls. The other modules are the scenarios, a family each. Whether such a program does the same on
//! Linux is for `tests/guest` to say; these are for what is awkward to time from within a guest: who sleeps when a signal comes, who
//! is told first, what a task that is gone leaves behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod app;
mod calls;
mod machine;

mod futexes;
mod memory;
mod pid_namespaces;
mod pipes;
mod processes;
mod signals;
mod stops;
mod threads;
mod time;

pub use app::App;
pub use calls::{exited, killed};
pub use machine::run;
