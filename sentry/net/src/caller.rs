//! On whose behalf a socket is used.

use kernel::{Task, pid::Pid};
use std::sync::Arc;
use vfs::Credentials;

/// A process as sockets remember it: for `SO_PEERCRED`, `SCM_CREDENTIALS` and permission checks.
#[derive(Clone)]
pub struct Identity {
    /// Who it acts as.
    pub cred: Arc<Credentials>,
    /// Its number; none for the sentry itself.
    pub pid: Option<Arc<Pid>>,
}

/// Whoever makes a call on a socket.
#[derive(Clone, Copy)]
pub enum Caller<'a> {
    /// This task.
    Task(&'a Arc<Task>),
    /// The task that this worker polls; looked up only if somebody asks (plain reads and writes).
    Current(&'a Arc<Credentials>),
    /// This identity (the sentry itself, tests).
    As(&'a Identity),
}

impl Caller<'_> {
    /// Who it acts as, and its process.
    pub fn identity(&self) -> Identity {
        let of = |task: &Task| Identity { cred: task.cred(), pid: Some(task.group.pid.clone()) };
        match self {
            Caller::Task(task) => of(task),
            Caller::Current(cred) => kernel::current()
                .map_or_else(|| Identity { cred: (*cred).clone(), pid: None }, |task| of(&task)),
            Caller::As(identity) => (*identity).clone(),
        }
    }

    /// Who it acts as.
    pub fn cred(&self) -> Arc<Credentials> {
        self.identity().cred
    }

    /// The task, where there is one.
    pub fn task(&self) -> Option<Arc<Task>> {
        match self {
            Caller::Task(task) => Some((*task).clone()),
            Caller::Current(_) => kernel::current(),
            Caller::As(_) => None,
        }
    }
}
