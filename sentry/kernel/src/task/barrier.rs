//! `membarrier(2)`: making other threads pass through the kernel.

use super::Task;
use crate::{Restart, SysError, SysResult};
use std::sync::{Arc, atomic::Ordering};

impl Task {
    /// Interrupts those of `threads` that run application code, and waits until each has stopped doing so once: coming into
    /// the kernel and going back is a full barrier.
    ///
    /// They stop within microseconds, so this takes turns with the worker's other tasks rather than sleep.
    pub async fn interrupt_and_wait(self: &Arc<Self>, threads: &[Arc<Task>]) -> SysResult<()> {
        let running = |task: &Arc<Task>| task.running_since_ns.load(Ordering::SeqCst);
        let mut waiting: Vec<_> =
            threads.iter().map(|t| (t, running(t))).filter(|(_, since)| *since != 0).collect();
        for (task, _) in &waiting {
            task.set_work();
        }
        loop {
            waiting.retain(|(task, since)| running(task) == *since);
            if waiting.is_empty() {
                return Ok(());
            }
            if self.is_killed() {
                return Err(SysError::Interrupted(Restart::Always));
            }
            ksync::exec::yield_now().await;
        }
    }
}
