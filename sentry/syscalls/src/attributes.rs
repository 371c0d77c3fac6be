//! Attributes of files: `stat(2)`, `chmod(2)`, `chown(2)`, `utimensat(2)`, `xattr(7)`, `statfs(2)`.

use crate::row::Row;

/// The rows of this family.
pub const ROWS: &[Row] = &[];
