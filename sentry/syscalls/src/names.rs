//! Names: `mkdir(2)`, `link(2)`, `rename(2)`, `unlink(2)`, `getdents64(2)`, `chdir(2)`.

use crate::row::Row;

/// The rows of this family.
pub const ROWS: &[Row] = &[];
