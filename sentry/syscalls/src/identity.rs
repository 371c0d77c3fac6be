//! Who a process is: user and group ids, `capabilities(7)`, process groups, sessions, `prctl(2)`.

use crate::row::Row;

/// The rows of this family.
pub const ROWS: &[Row] = &[];
