//! On whose behalf this thread runs.

use crate::Task;
use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

thread_local!(static CURRENT: RefCell<Option<Arc<Task>>> = const { RefCell::new(None) });

/// The task whose future this worker polls at the moment; none on other threads (control server, reactor).
pub fn current() -> Option<Arc<Task>> {
    CURRENT.with_borrow(Clone::clone)
}

/// A task's future, which is current whenever it is polled.
pub(super) struct AsCurrent<F> {
    pub task: Arc<Task>,
    pub future: Pin<Box<F>>,
}

impl<F: Future<Output = ()>> Future for AsCurrent<F> {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let before = CURRENT.replace(Some(self.task.clone()));
        let result = self.future.as_mut().poll(cx);
        CURRENT.set(before);
        result
    }
}
