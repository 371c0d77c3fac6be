//! Terminals and what job control has to do with them.

use crate::ThreadGroup;

impl ThreadGroup {
    /// The leader of a session ends: its terminal is given up.
    pub(crate) fn leave_terminal(&self) {}
}
