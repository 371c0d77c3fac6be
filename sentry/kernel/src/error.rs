//! Why a system call produced no value.

use abi::Errno;

/// What becomes of a call that a signal cut short (`signal(7)`, "Interruption of system calls").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Restart {
    /// Again after a handler with `SA_RESTART`, or if there is no handler; `EINTR` otherwise (ERESTARTSYS).
    IfAsked,
    /// Again if there is no handler; `EINTR` after any (ERESTARTNOHAND).
    NoHandler,
    /// Again always (ERESTARTNOINTR).
    Always,
    /// If there is no handler, go on where it was through `restart_syscall(2)` and the task's restart block
    /// (ERESTART_RESTARTBLOCK); `EINTR` after any.
    Block,
}

/// Why a system call produced no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SysError {
    /// Reported to the application as `-errno`.
    Errno(Errno),
    /// A signal came first; signal delivery picks restart or `EINTR`. Cannot reach the application.
    Interrupted(Restart),
}

impl From<Errno> for SysError {
    fn from(e: Errno) -> Self {
        SysError::Errno(e)
    }
}

impl SysError {
    /// The same error, with another way of restarting if it was an interruption.
    pub fn restart_as(self, restart: Restart) -> Self {
        match self {
            SysError::Interrupted(_) => SysError::Interrupted(restart),
            other => other,
        }
    }
}

/// What a system call returns: the value of `rax`, or why there is none.
pub type SysResult<T = u64> = Result<T, SysError>;
