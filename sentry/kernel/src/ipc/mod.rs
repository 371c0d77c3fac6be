//! System V semaphores, shared memory and message queues (`sysvipc(7)`); POSIX message queues (`mq_overview(7)`).

use crate::Task;

impl Task {
    /// Undoes what the task's semaphore operations asked to be undone at its end (`SEM_UNDO`).
    pub(crate) fn exit_ipc(&self) {}
}
