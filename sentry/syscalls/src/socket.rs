//! Sockets.

use crate::row::Row;

/// The rows of this family.
pub const ROWS: &[Row] = &[];
