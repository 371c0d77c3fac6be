//! Process listings as text: a table, JSON, or the ids alone.

use crate::Process;
use std::fmt::Write;

/// The narrowest column.
const MIN_WIDTH: usize = 10;
/// Blanks between columns.
const PADDING: usize = 3;

/// Sorts a listing as all of these forms present it: by pid.
pub fn sort(processes: &mut [Process]) {
    processes.sort_by_key(|process| process.pid);
}

/// A table with the columns UID PID PPID C TTY STIME TIME CMD.
pub fn table(processes: &[Process]) -> String {
    let header = ["UID", "PID", "PPID", "C", "TTY", "STIME", "TIME"].map(String::from);
    let rows: Vec<[String; 7]> = std::iter::once(header)
        .chain(processes.iter().map(|p| {
            [
                p.uid.to_string(),
                p.pid.to_string(),
                p.ppid.to_string(),
                p.c.to_string(),
                printable(&p.tty),
                printable(&p.stime),
                printable(&p.time),
            ]
        }))
        .collect();
    let mut widths = [MIN_WIDTH; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count() + PADDING);
        }
    }
    let commands = std::iter::once("CMD".to_owned()).chain(processes.iter().map(|p| printable(&p.cmd)));
    let mut out = String::new();
    for (row, command) in rows.iter().zip(commands) {
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(out, "{cell:width$}");
        }
        let _ = writeln!(out, "{command}");
    }
    out
}

/// The whole listing as indented JSON.
pub fn json(processes: &[Process]) -> String {
    serde_json::to_string_pretty(processes).unwrap_or_else(|_| "[]".into())
}

/// The process ids alone, as a JSON list.
pub fn pids_json(pids: &[i32]) -> String {
    serde_json::to_string(pids).unwrap_or_else(|_| "[]".into())
}

/// Application-chosen text with control characters made visible: it goes to somebody's terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, cmd: &str) -> Process {
        Process {
            pid,
            c: 3,
            tty: "?".into(),
            stime: "12:01".into(),
            time: "00:00:01".into(),
            cmd: cmd.into(),
            ..Process::default()
        }
    }

    #[test]
    fn a_table_has_eight_columns() {
        let text = table(&[process(1, "sleep"), process(12, "a\x1b[2Jb")]);
        assert_eq!(
            text,
            "UID       PID       PPID      C         TTY       STIME     TIME       CMD\n\
             0         1         0         3         ?         12:01     00:00:01   sleep\n\
             0         12        0         3         ?         12:01     00:00:01   a?[2Jb\n"
        );
    }

    #[test]
    fn json_forms() {
        assert_eq!(pids_json(&[1, 12]), "[1,12]");
        let mut list = vec![process(12, "b"), process(1, "a")];
        sort(&mut list);
        let back: Vec<Process> = serde_json::from_str(&json(&list)).unwrap();
        assert_eq!(back[0].pid, 1);
    }
}
