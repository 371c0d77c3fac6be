//! Scheduling: `sched_setaffinity(2)`, `nice(2)`, `membarrier(2)`.

use crate::row::Row;

/// The rows of this family.
pub const ROWS: &[Row] = &[];
