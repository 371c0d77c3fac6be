//! A client of the control server: typed, blocking calls over one connection.
//!
//! ```no_run
//! # fn main() -> Result<(), control_client::CallError> {
//! let mut client = control_client::Client::connect("/run/runsc-rs/runsc-web.sock".as_ref())?;
//! for process in client.processes("web")? {
//!     println!("{} {}", process.pid, process.cmd);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A call that blocks in the sandbox (`wait`, `exec`) blocks here; other calls go over another connection
//! meanwhile. **Absent on purpose:** retries and time limits other than the caller's own.

#![forbid(unsafe_code)]

use control_proto::{
    Error, EventOut, ExecArgs, MAX_REPLY, Process, PsArgs, Reply, Request, RuntimeState, SignalArgs,
    WaitPidArgs,
    codec::{DecodeError, Decoder, encode},
    method,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
};

pub use control_proto as proto;

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody listens at the path.
    #[error("cannot connect to the sandbox at {path}: {error}")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// The host's answer.
        error: io::Error,
    },
    /// The sandbox answered with an error.
    #[error(transparent)]
    Remote(#[from] Error),
    /// The connection broke: the sandbox has died.
    #[error("connection with the sandbox lost: {0}")]
    Lost(io::Error),
    /// What came is no answer to what was asked.
    #[error("the sandbox sent what is no answer: {0}")]
    Protocol(String),
}

impl CallError {
    /// The sandbox's own error, where it is one.
    pub fn remote(&self) -> Option<&Error> {
        match self {
            Self::Remote(error) => Some(error),
            _ => None,
        }
    }
}

/// A connection with a sandbox.
pub struct Client {
    decoder: Decoder<UnixStream>,
}

impl Client {
    /// Connects to the socket at `path`.
    pub fn connect(path: &Path) -> Result<Self, CallError> {
        let stream =
            connect_long(path).map_err(|error| CallError::Connect { path: path.to_owned(), error })?;
        Ok(Self::from_stream(stream))
    }

    /// A client on a connected socket.
    pub fn from_stream(stream: UnixStream) -> Self {
        Self { decoder: Decoder::new(stream, MAX_REPLY) }
    }

    /// The socket, for `poll` and time limits.
    pub fn stream(&self) -> &UnixStream {
        self.decoder.get_ref()
    }

    /// Calls any method.
    pub fn call<A: Serialize, R: DeserializeOwned>(
        &mut self,
        method: &str,
        arg: &A,
        files: &[BorrowedFd<'_>],
    ) -> Result<R, CallError> {
        self.send(method, arg, files)?;
        self.receive()
    }

    /// The first half of [`call`](Self::call).
    pub fn send<A: Serialize>(
        &mut self,
        method: &str,
        arg: &A,
        files: &[BorrowedFd<'_>],
    ) -> Result<(), CallError> {
        let arg = serde_json::to_value(arg).map_err(|error| CallError::Protocol(error.to_string()))?;
        let bytes = encode(&Request { method: method.to_owned(), arg })?;
        host::scm::send_all(self.stream().as_fd(), &bytes, files).map_err(CallError::Lost)
    }

    /// The second half of [`call`](Self::call).
    pub fn receive<R: DeserializeOwned>(&mut self) -> Result<R, CallError> {
        let reply: Reply = self.decoder.decode().map_err(|error| match error {
            DecodeError::Closed => CallError::Lost(io::ErrorKind::UnexpectedEof.into()),
            DecodeError::Io(error) if error.kind() == io::ErrorKind::WouldBlock => {
                CallError::Lost(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"))
            }
            DecodeError::Io(error) => CallError::Lost(error),
            DecodeError::Malformed(error) => CallError::Protocol(error.text),
        })?;
        serde_json::from_value(reply.into_result()?).map_err(|error| CallError::Protocol(error.to_string()))
    }

    /// Runs a program and waits for it; its wait status.
    pub fn exec(&mut self, args: &ExecArgs, files: &[BorrowedFd<'_>]) -> Result<u32, CallError> {
        self.call(method::PROC_EXEC, args, files)
    }

    /// Starts a program; its process id in the container.
    pub fn execute_async(&mut self, args: &ExecArgs, files: &[BorrowedFd<'_>]) -> Result<i32, CallError> {
        self.call(method::EXECUTE_ASYNC, args, files)
    }

    /// Waits for a process that [`execute_async`](Self::execute_async) started; its wait status.
    pub fn wait_pid(&mut self, args: &WaitPidArgs) -> Result<u32, CallError> {
        self.call(method::WAIT_PID, args, &[])
    }

    /// All processes of the sandbox, as a table or as JSON.
    pub fn ps(&mut self, json: bool) -> Result<String, CallError> {
        self.call(method::PROC_PS, &PsArgs { json }, &[])
    }

    /// The processes of a container.
    pub fn processes(&mut self, container: &str) -> Result<Vec<Process>, CallError> {
        self.call(method::PROCESSES, &container, &[])
    }

    /// Starts a created container.
    pub fn start_root(&mut self, container: &str) -> Result<(), CallError> {
        self.call(method::START_ROOT, &container, &[])
    }

    /// Waits for a container's init; its wait status.
    pub fn wait(&mut self, container: &str) -> Result<u32, CallError> {
        self.call(method::WAIT, &container, &[])
    }

    /// Sends a signal.
    pub fn signal(&mut self, args: &SignalArgs) -> Result<(), CallError> {
        self.call(method::SIGNAL, args, &[])
    }

    /// Stops all application code.
    pub fn pause(&mut self) -> Result<(), CallError> {
        self.call(method::PAUSE, &(), &[])
    }

    /// Lets it go on.
    pub fn resume(&mut self) -> Result<(), CallError> {
        self.call(method::RESUME, &(), &[])
    }

    /// Resource figures.
    pub fn event(&mut self, container: &str) -> Result<EventOut, CallError> {
        self.call(method::EVENT, &container, &[])
    }

    /// Whether a container waits, runs or has stopped.
    pub fn runtime_state(&mut self, container: &str) -> Result<RuntimeState, CallError> {
        self.call(method::RUNTIME_STATE, &container, &[])
    }

    /// Kills every process of a container.
    pub fn destroy(&mut self, container: &str) -> Result<(), CallError> {
        self.call(method::DESTROY_SUBCONTAINER, &container, &[])
    }
}

/// Connects, also where the path is longer than the 107 bytes that an address has room for: such a one is named
/// by way of its directory's descriptor.
fn connect_long(path: &Path) -> io::Result<UnixStream> {
    if path.as_os_str().len() < 108 {
        return UnixStream::connect(path);
    }
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let dir = std::fs::File::open(dir)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&dir)));
    UnixStream::connect(short.join(name))
}
