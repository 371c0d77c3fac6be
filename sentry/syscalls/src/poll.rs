//! Waiting for descriptors: `poll(2)`, `select(2)`, `epoll(7)`.

use crate::row::Row;

/// The rows of this family.
pub const ROWS: &[Row] = &[];
