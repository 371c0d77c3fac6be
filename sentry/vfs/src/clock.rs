//! The time that file systems stamp files with.

use abi::time::Timespec;
use std::{
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

static SOURCE: OnceLock<fn() -> Timespec> = OnceLock::new();

/// Makes `source` the clock of all files (the kernel's own, once it has one); only the first call counts.
pub fn set_source(source: fn() -> Timespec) {
    let _ = SOURCE.set(source);
}

/// The real time now.
pub fn now() -> Timespec {
    match SOURCE.get() {
        Some(source) => source(),
        None => {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Timespec { tv_sec: since.as_secs() as i64, tv_nsec: i64::from(since.subsec_nanos()) }
        }
    }
}
