//! Mounts: `mount(2)`, `umount(2)`, `pivot_root(2)`, the new mount calls.

use crate::row::Row;

/// The rows of this family.
pub const ROWS: &[Row] = &[];
