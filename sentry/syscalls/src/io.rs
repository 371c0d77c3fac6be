//! Reading and writing: `read(2)`, `write(2)` and their variants, `lseek(2)`, `splice(2)`, `sendfile(2)`.

use crate::row::Row;

/// The rows of this family.
pub const ROWS: &[Row] = &[];
