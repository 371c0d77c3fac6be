//! The two roles in which this binary runs itself again: gofer and sandbox.
//!
//! Which role is told by `argv[0]`, the configuration's descriptor by `argv[1]`; the rest of the command line is for
//! people who look at process lists. A process in either role is in its new namespaces already when it gets here; what
//! is left is to shut itself off from the host's files.

mod gofer;
mod root;
mod sentry;

pub use gofer::GoferSetup;
pub use sentry::SentrySetup;

use serde::{Serialize, de::DeserializeOwned};
use std::{
    ffi::OsString,
    fs::File,
    io::{Read, Seek, Write},
    os::fd::OwnedFd,
    process::ExitCode,
};

/// `argv[0]` of a gofer.
pub const GOFER: &str = "runsc-rs-gofer";
/// `argv[0]` of a sandbox.
pub const SANDBOX: &str = "runsc-rs-sandbox";

/// Runs a role to its end, where the command line names one.
pub fn enter(args: &[OsString]) -> Option<ExitCode> {
    let role = args.first()?.to_str()?;
    if role != GOFER && role != SANDBOX {
        return None;
    }
    let fd = args.get(1).and_then(|fd| fd.to_str()).and_then(|fd| fd.parse().ok());
    let config = fd.and_then(|fd| host::inherit::take(fd).ok());
    let Some(config) = config else {
        eprintln!("{role} is started by runsc-rs itself");
        return Some(ExitCode::FAILURE);
    };
    Some(if role == GOFER { gofer::main(config) } else { sentry::main(config) })
}

/// A configuration in a memory file.
pub fn pack<T: Serialize>(config: &T) -> anyhow::Result<OwnedFd> {
    let mut file = File::from(host::memfd::create(c"runsc-rs-config", false)?);
    file.write_all(&serde_json::to_vec(config)?)?;
    file.rewind()?;
    Ok(file.into())
}

/// What [`pack`] packed.
fn unpack<T: DeserializeOwned>(config: OwnedFd) -> Result<T, String> {
    let mut text = Vec::new();
    File::from(config)
        .read_to_end(&mut text)
        .map_err(|error| format!("cannot read the configuration handed over: {error}"))?;
    serde_json::from_slice(&text).map_err(|error| format!("the configuration handed over is broken: {error}"))
}
