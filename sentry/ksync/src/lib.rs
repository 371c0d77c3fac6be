//! What the kernel stands on: locks with ranks, wait queues, and the executor on which tasks run.
//!
//! [`lock`] owns [`Mutex`] and [`RwLock`], whose [`Rank`]s make a lock order that debug builds check; the whole
//! order is the list in [`rank`]. [`wait`] owns [`WaitQueue`], the one way in which anything announces readiness.
//! [`exec`] owns the workers that poll tasks.
//!
//! Guards are not `Send`, so a future that keeps one across `.await` does not compile.
//! **Absent on purpose:** condition variables and sleeping locks: whoever waits is a future.

#![forbid(unsafe_code)]

pub mod exec;
pub mod lock;
pub mod rank;
pub mod wait;

pub use lock::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use rank::Rank;
pub use wait::{Listener, Ready, Registration, WaitQueue};
