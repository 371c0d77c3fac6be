//! The first try of a system call that may sleep, without a future of its own.
//!
//! Most reads find something to read. So a handler that has done nothing yet when it first sleeps is polled once where it
//! stands, on the stack, and only if it would sleep is it begun again as a future in a box. Whatever sleeps says so before it
//! registers anywhere: [`Task::leave_first_try`].

use super::Task;
use crate::SysResult;
use std::{
    future::{Future, pending},
    pin::pin,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    task::{Context, Poll, Waker},
};

/// Only the task's own worker touches it.
#[derive(Default)]
pub(super) struct FirstTry {
    is_on: AtomicBool,
    moved: AtomicUsize,
}

impl Task {
    /// What `call` gives if it does not sleep. Otherwise it is gone, and is to be begun again.
    pub fn try_without_sleep<T>(&self, call: impl Future<Output = SysResult<T>>) -> Option<SysResult<T>> {
        self.forget_moved();
        self.first_try.is_on.store(true, Ordering::Relaxed);
        let polled = pin!(call).poll(&mut Context::from_waker(Waker::noop()));
        self.first_try.is_on.store(false, Ordering::Relaxed);
        match polled {
            Poll::Ready(result) => {
                self.forget_moved();
                Some(result)
            }
            Poll::Pending => None,
        }
    }

    /// Called before anything that a call cannot do twice, and before sleeping: a first try ends here.
    pub async fn leave_first_try(&self) {
        if self.is_first_try() {
            pending::<()>().await;
        }
    }

    /// Whether the call would be begun again if it slept.
    pub fn is_first_try(&self) -> bool {
        self.first_try.is_on.load(Ordering::Relaxed)
    }

    /// Keeps, for when it is begun again, how many bytes a call that writes has moved in its first try.
    pub fn keep_moved(&self, bytes: usize) {
        if self.is_first_try() {
            self.first_try.moved.store(bytes, Ordering::Relaxed);
        }
    }

    /// How many bytes the first try of this call has moved.
    pub fn take_moved(&self) -> usize {
        self.first_try.moved.swap(0, Ordering::Relaxed)
    }

    /// The call is over.
    pub fn forget_moved(&self) {
        self.first_try.moved.store(0, Ordering::Relaxed);
    }
}
