//! The sentry's log: one line, or one JSON object, a record, into a descriptor that the runtime gave.

use crate::config::LogConfig;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::{fs::File, io::Write, os::fd::OwnedFd, sync::Mutex};

struct FdLog {
    file: Mutex<File>,
    json: bool,
}

impl Log for FdLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &Record<'_>) {
        let now = kernel::time::clock::realtime_ns();
        let (seconds, micros) = (now / 1_000_000_000, now % 1_000_000_000 / 1000);
        let line = if self.json {
            let level = match record.level() {
                Level::Error => "error",
                Level::Warn => "warning",
                Level::Info => "info",
                Level::Debug | Level::Trace => "debug",
            };
            let msg = record.args().to_string();
            format!("{}\n", serde_json::json!({ "level": level, "msg": msg, "time": seconds }))
        } else {
            format!("{seconds}.{micros:06} {:<5} {}: {}\n", record.level(), record.target(), record.args())
        };
        // A poisoned lock only means that somebody panicked while writing a line.
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = file.write_all(line.as_bytes()); // nowhere to complain to
    }
    fn flush(&self) {}
}

/// Sends log records to `fd` from now on.
pub fn install(config: &LogConfig, fd: OwnedFd, strace: bool) {
    let level = if config.debug {
        LevelFilter::Debug
    } else if strace {
        LevelFilter::Info
    } else {
        LevelFilter::Warn
    };
    let logger = FdLog { file: Mutex::new(File::from(fd)), json: config.json };
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        log::set_max_level(level);
    }
}

/// Sends everything to standard error (examples and tests).
pub fn to_stderr() {
    if let Ok(fd) = std::os::fd::AsFd::as_fd(&std::io::stderr()).try_clone_to_owned() {
        install(&LogConfig { fd: 2, debug: false, json: false }, fd, true);
    }
}
