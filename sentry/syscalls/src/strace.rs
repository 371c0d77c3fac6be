//! What `--strace` prints, as `strace(1)` does: a line for each call, each signal, and each end.
//!
//! [`Line::begin`] shows what an argument was when the call was made, [`Line::end`] what the call has stored, and its value.
//! [`spec`] says how each call's arguments are shown; for calls that it does not know, the rows of the table do.

mod args;
mod names;
mod show;
mod spec;
mod structs;

use crate::row::Row;
use abi::{Errno, SigInfo, sysno};
use kernel::{Restart, SysError, SysResult, Task, tree::ExitStatus};
use show::Cx;
use spec::K;

/// What is printed.
#[derive(Clone, Debug)]
pub struct Strace {
    /// Only these calls; empty stands for all.
    pub calls: Vec<String>,
    /// Bytes of a buffer that are shown; 0 stands for what `strace(1)` shows.
    pub shown: usize,
}

impl Strace {
    /// Takes the size over, and says of each number up to `size` whether it is printed.
    pub(crate) fn install(&self, size: usize) -> Vec<bool> {
        if self.shown > 0 {
            show::set_limit(self.shown);
        }
        let wanted: Vec<u32> = self.calls.iter().filter_map(|name| sysno::from_name(name)).collect();
        (0..size as u32).map(|nr| self.calls.is_empty() || wanted.contains(&nr)).collect()
    }
}

/// Where the values of calls begin.
const COLUMN: usize = 40;

/// A line that is not complete.
pub struct Line {
    head: String,
    /// What is shown so far; `None` for what is looked at when the call has returned.
    parts: Vec<Option<String>>,
    kinds: &'static [K],
    nr: u64,
    args: [u64; 6],
}

fn prefix(task: &Task) -> String {
    format!("[pid {}] ", task.tid())
}

impl Line {
    /// A call as it is made.
    pub fn begin(task: &Task, nr: u64, row: Option<&Row>, args: &[u64; 6]) -> Self {
        let number = u32::try_from(nr).ok();
        let name = number.and_then(sysno::name).map_or_else(|| format!("syscall_{nr:#x}"), str::to_owned);
        let kinds = number.and_then(spec::of);
        let cx = Cx { task, args: *args, ret: 0 };
        let parts = match (kinds, row) {
            (Some(kinds), _) => {
                let now = |(index, kind): (usize, &K)| spec::before(&cx, kind, index);
                kinds.iter().enumerate().map(now).collect()
            }
            (None, Some(row)) => {
                row.show.iter().zip(args).map(|(show, raw)| Some(show(*raw, task))).collect()
            }
            (None, None) => args.iter().map(|raw| Some(show::hex(*raw))).collect(),
        };
        let head = format!("{}{name}(", prefix(task));
        Self { head, parts, kinds: kinds.unwrap_or_default(), nr, args: *args }
    }

    /// The line, once the call has returned.
    pub fn end(self, task: &Task, result: &SysResult) -> String {
        let ret = result.as_ref().map_or(-1, |value| *value as i64);
        let cx = Cx { task, args: self.args, ret };
        let mut shown = Vec::new();
        for (index, part) in self.parts.into_iter().enumerate() {
            let kind = self.kinds.get(index);
            let part = match (part, kind) {
                (Some(part), _) => part,
                (None, Some(kind)) => spec::after(&cx, kind, index, result.is_ok()),
                (None, None) => String::new(),
            };
            // Arguments that this call does not have.
            if !part.is_empty() {
                shown.push(part);
            }
        }
        if self.nr == u64::from(sysno::RT_SIGRETURN) {
            shown.push(format!("{{mask={}}}", structs::signal_set(task.lock_signals().mask)));
        }
        let mut line = format!("{}{})", self.head, shown.join(", "));
        let width = line.chars().count();
        line.push_str(&" ".repeat(COLUMN.saturating_sub(width + 1)));
        let value = match result {
            Ok(value) => value_of(&cx, self.nr, *value),
            Err(SysError::Errno(e)) => error(*e),
            Err(SysError::Interrupted(restart)) => interrupted(*restart).into(),
        };
        format!("{line} = {value}")
    }
}

/// A value, as calls of its kind give it.
fn value_of(cx: &Cx<'_>, nr: u64, value: u64) -> String {
    let signed = value as i64;
    match u32::try_from(nr).unwrap_or(u32::MAX) {
        sysno::EXIT | sysno::EXIT_GROUP => "?".into(),
        sysno::MMAP | sysno::BRK | sysno::MREMAP | sysno::SHMAT => format!("{value:#x}"),
        sysno::UMASK => format!("0{value:02o}"),
        sysno::FCNTL => args::fcntl_value(cx, value),
        sysno::POLL | sysno::PPOLL => match signed {
            0 => "0 (Timeout)".into(),
            n => format!("{n} ({})", structs::pollfds(cx, cx.arg(0), cx.arg(1), true)),
        },
        sysno::SELECT | sysno::PSELECT6 => args::select_value(cx, signed),
        _ => signed.to_string(),
    }
}

fn error(e: Errno) -> String {
    format!("-1 {} ({})", e.name(), e.message())
}

fn interrupted(restart: Restart) -> &'static str {
    match restart {
        Restart::IfAsked => "? ERESTARTSYS (To be restarted if SA_RESTART is set)",
        Restart::Always => "? ERESTARTNOINTR (To be restarted)",
        Restart::NoHandler => "? ERESTARTNOHAND (To be restarted if no handler)",
        Restart::Block => "? ERESTART_RESTARTBLOCK (Interrupted by signal)",
    }
}

/// A signal that is delivered.
pub fn signal(task: &Task, info: &SigInfo) -> String {
    format!("{}--- {} {} ---", prefix(task), structs::signal(info.si_signo), structs::siginfo_of(info))
}

/// A stop.
pub fn stopped(task: &Task, signo: i32) -> String {
    format!("{}--- stopped by {} ---", prefix(task), structs::signal(signo))
}

/// The end of a thread.
pub fn exited(task: &Task, status: ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("{}+++ exited with {code} +++", prefix(task)),
        ExitStatus::Signal { signo, core } => {
            let core = if core { " (core dumped)" } else { "" };
            format!("{}+++ killed by {}{core} +++", prefix(task), structs::signal(signo))
        }
    }
}
