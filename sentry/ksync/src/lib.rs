//! Locks with ranks, wait queues, and the executor on which tasks run.
pub mod exec;
