//! Descriptors: `dup(2)`, `fcntl(2)`, `ioctl(2)`, `flock(2)`.

use crate::row::Row;

/// The rows of this family.
pub const ROWS: &[Row] = &[];
