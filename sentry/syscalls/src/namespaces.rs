//! Namespaces: `unshare(2)`, `setns(2)`, `sethostname(2)`.

use crate::row::Row;

/// The rows of this family.
pub const ROWS: &[Row] = &[];
