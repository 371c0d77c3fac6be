//! What a sandbox says once it stands, or does not: one JSON object on the ready pipe.
//!
//! The texts of failures to start a program are those that other runtimes use: container managers look for them
//! to tell "not found" (127) from "not executable" (126).

use serde::{Deserialize, Serialize};

/// The one message on the ready pipe. End of file without one means that the sandbox died.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadyReport {
    /// The sandbox stands and answers on its control socket.
    Ok {},
    /// It does not, and is about to exit.
    Error(StartError),
}

/// Why a container's init, or an exec, did not start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct StartError {
    /// For programs.
    pub kind: StartErrorKind,
    /// Linux's error number; 0 where none fits.
    pub errno: i32,
    /// One line: what, where, what to do.
    pub message: String,
}

/// Sorts of [`StartError`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartErrorKind {
    /// The executable does not exist.
    CommandNotFound,
    /// It may not be executed.
    NotExecutable,
    /// It is no program for this machine.
    BadFormat,
    /// The configuration asks for what cannot be done.
    BadConfig,
    /// The platform does not work here.
    Platform,
    /// Anything else: the sandbox, the gofer, the host.
    Internal,
}

impl StartError {
    /// `name` without a slash is nowhere along `PATH`.
    pub fn not_in_path(name: &str) -> Self {
        let message = format!("exec: {name:?}: executable file not found in $PATH");
        Self { kind: StartErrorKind::CommandNotFound, errno: libc_errno::ENOENT, message }
    }

    /// `path` does not exist.
    pub fn not_found(path: &str) -> Self {
        let message = format!("exec: {path:?}: stat {path}: no such file or directory");
        Self { kind: StartErrorKind::CommandNotFound, errno: libc_errno::ENOENT, message }
    }

    /// `path` exists and may not be executed.
    pub fn not_executable(path: &str) -> Self {
        let message = format!("exec: {path:?}: permission denied");
        Self { kind: StartErrorKind::NotExecutable, errno: libc_errno::EACCES, message }
    }

    /// `path` is no ELF file for this machine, or a broken one.
    pub fn bad_format(path: &str) -> Self {
        let message = format!("exec {path}: exec format error");
        Self { kind: StartErrorKind::BadFormat, errno: libc_errno::ENOEXEC, message }
    }

    /// Anything else.
    pub fn new(kind: StartErrorKind, message: impl Into<String>) -> Self {
        Self { kind, errno: 0, message: message.into() }
    }

    /// Exit status for a person's shell: 127, 126 or 1.
    pub fn exit_code(&self) -> i32 {
        match self.kind {
            StartErrorKind::CommandNotFound => 127,
            StartErrorKind::NotExecutable | StartErrorKind::BadFormat => 126,
            _ => 1,
        }
    }
}

impl From<StartError> for control_proto::Error {
    fn from(error: StartError) -> Self {
        use control_proto::ErrorKind;
        let kind = match error.kind {
            StartErrorKind::CommandNotFound => ErrorKind::CommandNotFound,
            StartErrorKind::NotExecutable | StartErrorKind::BadFormat => ErrorKind::NotExecutable,
            StartErrorKind::BadConfig => ErrorKind::InvalidArgument,
            StartErrorKind::Platform | StartErrorKind::Internal => ErrorKind::Internal,
        };
        Self { kind, errno: error.errno, text: error.message }
    }
}

/// The three numbers used here.
mod libc_errno {
    pub const ENOENT: i32 = 2;
    pub const ENOEXEC: i32 = 8;
    pub const EACCES: i32 = 13;
}

/// Writes `report` to the ready pipe, numbered `fd`, and closes that. A runtime that is gone does not matter.
pub fn send(fd: crate::config::FdNumber, report: &ReadyReport) {
    use std::io::Write;
    let Ok(fd) = host::inherit::take(fd) else { return };
    if let Ok(bytes) = serde_json::to_vec(report) {
        let _ = std::fs::File::from(fd).write_all(&bytes);
    }
}
