//! System calls: the table, the families of handlers, and what `--strace` prints.
//!
//! [`row`] is what a row of the table is made of, [`arg`] how a raw register becomes a typed argument (and how it is
//! shown). Each family of calls is one module whose `ROWS` say number, handler, argument types and how much
//! of the call there is; [`table`] joins them, and holds the list of calls that are refused on purpose.
//!
//! To add a call: a row and a function in its family's module, and a guest test.
//!
//! **Invariant:** a handler gets typed values; it returns `Errno` or sleeps through `Task::block_on`, nothing else.
//! **Absent on purpose:** state. Everything that a call changes belongs to a crate below.

#![forbid(unsafe_code)]

pub mod aio;
pub mod arg;
mod at;
pub mod attributes;
pub mod descriptor;
pub mod epoll;
pub mod futex;
pub mod identity;
pub mod io;
pub mod ipc;
pub mod landlock;
pub mod lsm;
pub mod memory;
pub mod mount;
pub mod mount_fd;
pub mod mount_info;
pub mod mq;
pub mod names;
pub mod namespaces;
pub mod notify;
pub mod open;
pub mod poll;
pub mod process;
pub mod process_memory;
pub mod ptrace;
pub mod row;
pub mod sched;
pub mod signal;
pub mod socket;
pub mod splice;
pub mod strace;
pub mod system;
pub mod table;
pub mod time;

pub use row::{Row, Support};
pub use strace::Strace;
pub use table::Table;
