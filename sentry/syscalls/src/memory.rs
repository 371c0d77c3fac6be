//! Memory: `mmap(2)` and its family.

use crate::row::Row;

/// The rows of this family.
pub const ROWS: &[Row] = &[];
