//! File systems, and the files that are in none: pipes, eventfd, signalfd, timerfd, memfd.
//!
//! Each module makes [`vfs::FileOps`]; the system call layer wraps them in open files.

#![forbid(unsafe_code)]

pub mod dev;
pub mod eventfd;
pub mod fifo;
pub mod gofer;
pub mod host;
pub mod memfd;
pub mod overlay;
pub mod pipe;
pub mod signalfd;
pub mod splice;
pub mod timerfd;
pub mod tmpfs;
