//! Errors with an exit status of their own.

use std::fmt;

/// A failure that ends the command with `code` (other errors end it with 1).
#[derive(Debug)]
pub struct Failure {
    code: i32,
    text: String,
}

impl Failure {
    /// An error to return.
    pub fn error(code: i32, text: impl Into<String>) -> anyhow::Error {
        Self { code, text: text.into() }.into()
    }

    /// The exit status for `error`: that of the first `Failure` in its chain, else 1.
    pub fn code(error: &anyhow::Error) -> i32 {
        error.downcast_ref::<Self>().map_or(1, |failure| failure.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

/// Of a container that is not there, as other runtimes say it.
pub fn no_such_container() -> anyhow::Error {
    anyhow::anyhow!("container does not exist")
}
