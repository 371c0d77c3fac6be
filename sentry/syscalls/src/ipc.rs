//! System V and POSIX interprocess communication.

use crate::row::Row;

/// The rows of this family.
pub const ROWS: &[Row] = &[];
