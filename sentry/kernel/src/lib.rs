//! The kernel proper: tasks and what they share.
//!
//! [`Kernel`] is one sandbox' kernel. A [`Task`] is an application thread: a future ([`task::run`]) that switches to
//! application code, answers its traps and delivers its signals. A [`ThreadGroup`] is a process. [`tree::ProcessTree`]
//! is who is whose parent, group and session, behind one lock. [`pid`] owns pid namespaces; [`signal`], [`ptrace`],
//! [`futex`], [`time`], [`ipc`], [`tty`] and [`loader`] what their names say.
//!
//! **Lock order:** [`ksync::rank`]: tree, then a thread group, then a task, then everything of the VFS and mm.
//! **Invariant:** nothing holds a lock across `.await`; a task sleeps only in [`Task::block_on`] and its kin.

#![forbid(unsafe_code)]

pub mod access;
pub mod aio;
pub mod error;
pub mod futex;
pub mod ipc;
pub mod kernel;
pub mod limits;
pub mod loader;
pub mod namespaces;
pub mod pid;
pub mod pidfd;
pub mod ptrace;
pub mod seccomp;
pub mod signal;
pub mod task;
pub mod thread_group;
pub mod time;
pub mod tree;
pub mod tty;

pub use error::{Restart, SysError, SysResult};
pub use kernel::{Kernel, SyscallTable};
pub use task::{Task, current};
pub use thread_group::ThreadGroup;

/// Fills `bytes` with the host's randomness; `EIO` where it has none to give.
pub fn random(bytes: &mut [u8]) -> Result<(), abi::Errno> {
    host::random::fill(bytes).map_err(|_| abi::Errno::EIO)
}
