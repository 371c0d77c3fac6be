//! File systems, and the files that are in none: pipes, eventfd, signalfd, timerfd, memfd.
//!
//! Each module makes [`vfs::FileOps`]; the system call layer wraps them in open files.

#![forbid(unsafe_code)]

pub mod cgroup;
pub mod dev;
pub mod devpts;
pub mod eventfd;
pub mod fifo;
pub mod gofer;
pub mod host;
pub mod memfd;
pub mod mqueue;
pub mod overlay;
pub mod pipe;
pub mod proc;
mod pseudo;
pub mod register;
pub mod signalfd;
pub mod splice;
pub mod sys;
pub mod timerfd;
pub mod tmpfs;

pub use pseudo::process_of;
pub use register::register;
