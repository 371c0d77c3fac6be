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

impl Restart {
    /// Each with what stands for it in the register of results until signal delivery has decided: only tracers see it.
    const RESULTS: [(Restart, i64); 4] = [
        (Restart::IfAsked, -512),
        (Restart::Always, -513),
        (Restart::NoHandler, -514),
        (Restart::Block, -516),
    ];

    /// What stands for it in the register of results.
    pub fn result(self) -> u64 {
        let found = Self::RESULTS.iter().find(|(restart, _)| *restart == self);
        found.map_or(0, |(_, value)| *value as u64)
    }

    /// The other way round.
    pub fn from_result(value: u64) -> Option<Self> {
        Self::RESULTS.iter().find(|(_, v)| *v as u64 == value).map(|(restart, _)| *restart)
    }
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
