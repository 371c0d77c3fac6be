//! `futex(2)` and what belongs to it.

use crate::row::Row;

/// The rows of this family.
pub const ROWS: &[Row] = &[];
