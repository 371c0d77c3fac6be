//! Signals: `sigaction(2)`, `kill(2)`, `sigtimedwait(2)`.

use crate::row::Row;

/// The rows of this family.
pub const ROWS: &[Row] = &[];
