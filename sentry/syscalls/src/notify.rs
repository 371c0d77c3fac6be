//! Descriptors that notify: `eventfd(2)`, `signalfd(2)`, `timerfd_create(2)`, `inotify(7)`.

use crate::row::Row;

/// The rows of this family.
pub const ROWS: &[Row] = &[];
