//! Rows of the system call table.

use crate::arg::ShowFn;
use kernel::{SysResult, Task, kernel::SyscallFuture};
use std::sync::Arc;

/// How much of a call there is; goes into the generated page of system calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Support {
    /// All that applications can see.
    Full,
    /// What is missing, and what an application gets meanwhile.
    Partial(&'static str),
}

/// How a call is answered.
#[derive(Clone, Copy)]
pub enum Handler {
    /// Without ever sleeping.
    Now(fn(&Arc<Task>, [u64; 6]) -> SysResult),
    /// By a future that has done nothing yet when it first sleeps: tried without one.
    Again {
        /// The result, if it did not sleep.
        first: fn(&Arc<Task>, [u64; 6]) -> Option<SysResult>,
        /// The whole call.
        later: for<'a> fn(&'a Arc<Task>, [u64; 6]) -> SyscallFuture<'a>,
    },
    /// By a future.
    Later(for<'a> fn(&'a Arc<Task>, [u64; 6]) -> SyscallFuture<'a>),
}

/// One system call.
#[derive(Clone, Copy)]
pub struct Row {
    /// Its number.
    pub nr: u32,
    /// How it is answered.
    pub handler: Handler,
    /// How its arguments are shown by `--strace`.
    pub show: &'static [ShowFn],
    /// How much of it there is.
    pub support: Support,
}

/// What a handler may return.
pub trait Returned {
    /// As it goes into the return register.
    fn raw(self) -> u64;
}
impl Returned for () {
    fn raw(self) -> u64 {
        0
    }
}
macro_rules! returned {
    ($($t:ty),*) => { $(impl Returned for $t { fn raw(self) -> u64 { self as u64 } })* };
}
returned!(u64, i64, usize, u32, i32);
impl Returned for vfs::Fd {
    fn raw(self) -> u64 {
        self.0 as u64
    }
}

/// Makes the rows of a family.
///
/// `now` handlers are `fn(&Arc<Task>, A, B, ...) -> SysResult<R>` and `later` handlers the same, `async`; the argument types
/// implement [`Arg`](crate::arg::Arg), `R` implements [`Returned`]. Behind the types may follow `partial "what is missing"`.
/// `again` handlers are as `later` ones, and can be begun again where they first sleep: see [`Task::try_without_sleep`].
///
/// ```ignore
/// pub const ROWS: &[Row] = rows! {
///     again READ = read as (Fd, UserAddr, usize);
///     now DUP = dup as (Fd);
///     now PERSONALITY = personality as (u32) partial "only PER_LINUX";
/// };
/// ```
#[macro_export]
macro_rules! rows {
    ($($kind:ident $nr:ident = $f:path as ($($t:ty),*) $(partial $note:literal)?;)*) => {
        &[$($crate::row::Row {
            nr: ::abi::sysno::$nr,
            handler: $crate::rows!(@handler $kind $f, $($t),*),
            show: &[$(<$t as $crate::arg::Arg>::show),*],
            support: $crate::rows!(@support $($note)?),
        }),*]
    };
    (@support) => { $crate::row::Support::Full };
    (@support $note:literal) => { $crate::row::Support::Partial($note) };
    (@handler now $f:path, $($t:ty),*) => {
        $crate::row::Handler::Now(|task, args| {
            let mut _raw = args.into_iter();
            Ok($crate::row::Returned::raw($f(task $(, <$t as $crate::arg::Arg>::from_raw(_raw.next().unwrap_or(0))?)*)?))
        })
    };
    (@handler later $f:path, $($t:ty),*) => {
        $crate::row::Handler::Later(|task, args| Box::pin($crate::rows!(@future task, args, $f, $($t),*)))
    };
    (@handler again $f:path, $($t:ty),*) => {
        $crate::row::Handler::Again {
            first: |task, args| task.try_without_sleep($crate::rows!(@future task, args, $f, $($t),*)),
            later: |task, args| {
                let call = $crate::rows!(@future task, args, $f, $($t),*);
                Box::pin(async move {
                    let result = call.await;
                    task.forget_moved();
                    result
                })
            },
        }
    };
    (@future $task:ident, $args:ident, $f:path, $($t:ty),*) => {
        async move {
            let mut _raw = $args.into_iter();
            ::kernel::SysResult::Ok($crate::row::Returned::raw($f($task $(, <$t as $crate::arg::Arg>::from_raw(_raw.next().unwrap_or(0))?)*).await?))
        }
    };
}
