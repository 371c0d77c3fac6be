//! The system: `uname(2)`, `sysinfo(2)`, limits and usage, `getrandom(2)`.

use crate::row::Row;

/// The rows of this family.
pub const ROWS: &[Row] = &[];
