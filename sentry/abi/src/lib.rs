//! Linux's user-space ABI of x86-64 as plain data: errors, flags, structures, numbers.
//!
//! One module a family of calls; what nearly everyone needs is re-exported here. Structures are `repr(C)` with
//! explicit padding and zerocopy's traits, so they can be copied in and out of application memory as bytes. Every
//! bit pattern of them is valid: what a number means is for the caller to check. Flag types are `bitflags`;
//! `from_bits` finds unknown bits so that a caller can refuse them as Linux does, `from_bits_retain` keeps them.
//! Inside a flag type the common prefix of Linux's names is dropped (`O_CREAT` is `OpenFlags::CREAT`).
//!
//! **Absent on purpose:** any logic beyond taking values apart, and anything that depends on another crate of this
//! workspace. What belongs to one architecture is in [`arch`].

#![forbid(unsafe_code)]

mod pod;

pub mod aio;
pub mod arch;
pub mod elf;
pub mod errno;
pub mod fcntl;
pub mod inotify;
pub mod ioctl;
pub mod ipc;
pub mod limits;
pub mod mman;
pub mod poll;
pub mod process;
pub mod signal;
pub mod socket;
pub mod stat;
pub mod time;
pub mod tty;

pub use arch::sysno;
pub use errno::Errno;
pub use fcntl::{AccessMode, AtFlags, FdFlags, OpenFlags, Whence};
pub use limits::{NAME_MAX, PAGE_SIZE, PATH_MAX};
pub use mman::{MapFlags, Prot};
pub use poll::PollEvents;
pub use process::{
    Cap, CapSet, CloneFlags, Resource, Rlimit, Rusage, WaitStatus, cap, futex, mount, ptrace, sched, seccomp,
};
pub use signal::{SigInfo, SigSet, Signal};
pub use socket::{Iovec, SockType};
pub use stat::{AccessMask, FileType, Mode, Stat, Statfs, Statx};
pub use time::{Timespec, Timeval};
pub use tty::{Termios, Winsize};
