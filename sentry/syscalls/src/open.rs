//! Opening and closing: `open(2)`, `openat2(2)`, `close(2)`, `pipe(2)`, `memfd_create(2)`.

use crate::row::Row;

/// The rows of this family.
pub const ROWS: &[Row] = &[];
