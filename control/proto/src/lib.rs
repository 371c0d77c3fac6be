//! The control protocol (urpc): messages, framing, process listings.
//!
//! A stream socket carries one JSON object a request and one a reply, with no length prefix and no pipelining;
//! descriptors ride as `SCM_RIGHTS` with the first byte of a message. This crate has the shapes and the
//! arithmetic; it does no I/O of its own ([`codec`] reads from whatever `Read` it is given), so it can be tested
//! and fuzzed alone.
//!
//! Field names are those that existing clients send and expect, which is why they are spelled so unevenly.
//! **Absent on purpose:** descriptors themselves; [`exec::ExecArgs::plan_files`] says what each one is for.

#![forbid(unsafe_code)]

pub mod codec;
pub mod event;
pub mod exec;
pub mod method;
pub mod process;
pub mod ps;
mod time;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

pub use event::{Event, EventOut, Stats};
pub use exec::{Capabilities, ExecArgs, FileUse};
pub use process::Process;
pub use time::{cpu_share, cpu_time, start_time};

/// The most bytes that a request may have.
pub const MAX_REQUEST: usize = 4 << 20;
/// The most bytes that a reply may have.
pub const MAX_REPLY: usize = 64 << 20;
/// The most descriptors that a message may carry.
pub const MAX_FILES: usize = 128;

/// Reply text for a message with more than [`MAX_FILES`] descriptors.
pub const TOO_MANY_FILES: &str = "too many files";
/// Reply text for a method that does not exist.
pub const UNKNOWN_METHOD: &str = "unknown method";

/// One call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// `Object.Method`.
    pub method: String,
    /// Its argument; `null` where it takes none.
    #[serde(default)]
    pub arg: Value,
}

/// One answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// Whether `result` is one.
    pub success: bool,
    /// Text for a person where `success` is false.
    #[serde(default)]
    pub err: String,
    /// What the method gave.
    #[serde(default)]
    pub result: Value,
    /// The kind of error, for programs. An extension: other servers leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ErrorKind>,
    /// Linux's error number, where one fits. An extension as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
}

/// What sort of failure a call met.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request is not a request: not JSON, too long, wrong shape.
    Protocol,
    /// No such method.
    UnknownMethod,
    /// More descriptors than a message may carry.
    TooManyFiles,
    /// An argument makes no sense.
    InvalidArgument,
    /// The container that was named is not in this sandbox.
    NoSuchContainer,
    /// The process that was named does not exist.
    NoSuchProcess,
    /// Not possible in the container's present state.
    WrongState,
    /// The executable does not exist; a shell would exit with 127.
    CommandNotFound,
    /// The executable cannot be run; a shell would exit with 126.
    NotExecutable,
    /// The caller may not do this.
    PermissionDenied,
    /// A known method that this sandbox does not have.
    Unsupported,
    /// The sandbox is broken.
    #[serde(other)]
    Internal,
}

/// Why a call failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    /// For programs.
    pub kind: ErrorKind,
    /// Linux's error number, 0 where none fits.
    pub errno: i32,
    /// For people.
    pub text: String,
}

impl Error {
    /// An error with no number.
    pub fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { kind, errno: 0, text: text.into() }
    }

    /// The same error with a number.
    #[must_use]
    pub fn with_errno(mut self, errno: i32) -> Self {
        self.errno = errno;
        self
    }
}

impl Reply {
    /// A success.
    pub fn ok(result: Value) -> Self {
        Self { success: true, err: String::new(), result, kind: None, errno: None }
    }

    /// A failure.
    pub fn error(error: &Error) -> Self {
        let errno = (error.errno != 0).then_some(error.errno);
        Self { success: false, err: error.text.clone(), result: Value::Null, kind: Some(error.kind), errno }
    }

    /// What the caller is to see.
    pub fn into_result(self) -> Result<Value, Error> {
        if self.success {
            return Ok(self.result);
        }
        let kind = self.kind.unwrap_or(ErrorKind::Internal);
        Err(Error { kind, errno: self.errno.unwrap_or(0), text: self.err })
    }
}

/// Argument of `containerManager.Signal`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE", default)]
pub struct SignalArgs {
    /// Container.
    pub cid: String,
    /// Signal number.
    #[serde(rename = "Signo")]
    pub signo: i32,
    /// Process in the container's pid namespace; 0 is its init.
    pub pid: i32,
    /// Who gets it.
    #[serde(rename = "Mode")]
    pub mode: SignalMode,
}

/// Which processes a signal goes to. A number on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum SignalMode {
    /// The process that `PID` names.
    #[default]
    Process,
    /// Every process of the container.
    All,
    /// The foreground process group of the terminal of the process that `PID` names.
    ForegroundProcessGroup,
}

impl From<SignalMode> for u8 {
    fn from(mode: SignalMode) -> Self {
        match mode {
            SignalMode::Process => 0,
            SignalMode::All => 1,
            SignalMode::ForegroundProcessGroup => 2,
        }
    }
}

impl TryFrom<u8> for SignalMode {
    type Error = String;
    fn try_from(mode: u8) -> Result<Self, String> {
        match mode {
            0 => Ok(Self::Process),
            1 => Ok(Self::All),
            2 => Ok(Self::ForegroundProcessGroup),
            other => Err(format!("unknown signal delivery mode {other} (0 process, 1 all, 2 foreground)")),
        }
    }
}

/// Argument of `containerManager.WaitPID`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE", default)]
pub struct WaitPidArgs {
    /// Process in the container's pid namespace.
    pub pid: i32,
    /// Container.
    pub cid: String,
    /// Kill the process (`SIGKILL`) when the caller hangs up before it has ended. An extension: it ties a
    /// process to the one on the host that stands for it.
    #[serde(rename = "KillOnHangup", skip_serializing_if = "std::ops::Not::not")]
    pub kill_on_hangup: bool,
}

/// Argument of `Proc.Ps`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PsArgs {
    /// A JSON list instead of a table.
    #[serde(rename = "JSON")]
    pub json: bool,
}

/// State of a container as the sandbox knows it; a number on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum RuntimeState {
    /// Waits to be started.
    Creating,
    /// Its init runs, or is paused.
    Running,
    /// Its init has ended.
    Stopped,
}

impl From<RuntimeState> for u8 {
    fn from(state: RuntimeState) -> Self {
        match state {
            RuntimeState::Creating => 1,
            RuntimeState::Running => 2,
            RuntimeState::Stopped => 3,
        }
    }
}

impl TryFrom<u8> for RuntimeState {
    type Error = String;
    fn try_from(state: u8) -> Result<Self, String> {
        match state {
            1 => Ok(Self::Creating),
            2 => Ok(Self::Running),
            3 => Ok(Self::Stopped),
            other => Err(format!("unknown container state {other}")),
        }
    }
}

/// Exit status of a shell for a Linux wait status: the code, or 128 + signal.
pub fn exit_code(wait_status: u32) -> i32 {
    let signal = wait_status & 0x7f;
    let code = if signal == 0 { (wait_status >> 8) & 0xff } else { 128 + signal };
    i32::try_from(code).unwrap_or(255)
}

/// Reads `null` (which some encoders write for an empty list) as the default.
pub(crate) fn null_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_have_the_wire_shape() {
        let ok = serde_json::to_string(&Reply::ok(Value::Null)).unwrap();
        assert_eq!(ok, r#"{"success":true,"err":"","result":null}"#);
        let error = Error::new(ErrorKind::CommandNotFound, "nope").with_errno(2);
        let text = serde_json::to_string(&Reply::error(&error)).unwrap();
        assert_eq!(
            text,
            r#"{"success":false,"err":"nope","result":null,"kind":"command_not_found","errno":2}"#
        );
        assert_eq!(serde_json::from_str::<Reply>(&text).unwrap().into_result().unwrap_err(), error);
        let foreign: Reply = serde_json::from_str(r#"{"success":false,"err":"x"}"#).unwrap();
        assert_eq!(foreign.into_result().unwrap_err().kind, ErrorKind::Internal);
    }

    #[test]
    fn exit_codes() {
        assert_eq!(exit_code(7 << 8), 7);
        assert_eq!(exit_code(9), 137);
        assert_eq!(exit_code(11 | 0x80), 139);
    }

    #[test]
    fn signal_modes_are_numbers() {
        let args: SignalArgs = serde_json::from_str(r#"{"CID":"a","Signo":15,"PID":0,"Mode":2}"#).unwrap();
        assert_eq!(args.mode, SignalMode::ForegroundProcessGroup);
        assert_eq!(serde_json::to_string(&args).unwrap(), r#"{"CID":"a","Signo":15,"PID":0,"Mode":2}"#);
        assert!(serde_json::from_str::<SignalArgs>(r#"{"Mode":9}"#).is_err());
    }
}
