//! Requests that were taken and not yet answered.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

/// How many requests are being answered.
#[derive(Default)]
pub struct Pending {
    count: Mutex<usize>,
    changed: Condvar,
}

impl Pending {
    /// One more, until the value is dropped.
    pub(crate) fn one(&self) -> One<'_> {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        One(self)
    }

    /// Waits until every answer was sent, at most `limit`: a peer that does not read must not keep anybody.
    pub fn wait(&self, limit: Duration) {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        // Who is still pending after `limit` gets no answer.
        drop(self.changed.wait_timeout_while(count, limit, |count| *count > 0));
    }
}

/// A request that is being answered.
pub(crate) struct One<'a>(&'a Pending);

impl Drop for One<'_> {
    fn drop(&mut self) {
        *self.0.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.changed.notify_all();
    }
}
