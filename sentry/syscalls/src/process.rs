//! Processes: `clone(2)`, `execve(2)`, `exit(2)`, `wait(2)`, `pidfd_open(2)`.

use crate::row::Row;

/// The rows of this family.
pub const ROWS: &[Row] = &[];
