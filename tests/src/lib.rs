//! What the end-to-end tests share: running a program natively, in a bundle, with `do`, under Docker, and
//! looking for what a run left behind.
//!
//! The runtime under test is a parameter, so that every test can first be seen to pass on an existing one:
//!
//! | variable | meaning |
//! | --- | --- |
//! | `RUNTIME` | path or name of the OCI runtime (default: `runsc-rs` of this build); `runc` checks the tests themselves |
//! | `RUNSC_PLATFORM` | value of `--platform` (default `ptrace`) |
//! | `RUNSC_ARGS` | more global flags, separated by blanks, for `runsc-rs` only |
//!
//! One process runs one test (`cargo nextest`): [`run`] makes the test process the reaper of orphans, and
//! [`leaks`] counts on that to find processes left behind. **Absent on purpose:** limits on how fast something
//! is; a deadline here only ends what hangs.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test ends by panicking

pub mod bundle;
pub mod guest;
pub mod leaks;
pub mod roots;
pub mod run;
pub mod runtime;

pub use bundle::Bundle;
pub use run::{Outcome, run};
pub use runtime::Runtime;
