//! What `--strace` prints: one line a call, as `strace(1)` prints it.

use crate::row::Row;
use abi::Errno;
use kernel::{SysError, SysResult, Task};

/// The line of a call that has returned.
pub fn line(task: &Task, nr: u64, row: Option<&Row>, args: &[u64; 6], result: &SysResult) -> String {
    let name = u32::try_from(nr)
        .ok()
        .and_then(abi::sysno::name)
        .map_or_else(|| format!("syscall_{nr:#x}"), str::to_owned);
    let shown: Vec<String> = match row {
        Some(row) => row.show.iter().zip(args).map(|(show, raw)| show(*raw, task)).collect(),
        None => args.iter().map(|raw| format!("{raw:#x}")).collect(),
    };
    let value = match result {
        Ok(value) => (*value as i64).to_string(),
        Err(SysError::Errno(e)) => error(*e),
        Err(SysError::Interrupted(restart)) => format!("? ({restart:?}: to be restarted)"),
    };
    format!("[pid {}] {name}({}) = {value}", task.tid(), shown.join(", "))
}

fn error(e: Errno) -> String {
    format!("-1 {e:?} ({e})")
}
