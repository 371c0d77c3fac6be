//! Messages: to the file that `--log` names, in the format that container managers parse, and to stderr.

use crate::cli::{Global, LogFormat};
use anyhow::Context;
use chrono::{Local, SecondsFormat, Utc};
use std::{
    fs::{File, OpenOptions},
    io::Write,
    sync::{Mutex, OnceLock},
};

struct Logger {
    file: Option<Mutex<File>>,
    format: LogFormat,
}

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Opens the log file and installs the logger.
pub fn init(global: &Global) -> anyhow::Result<()> {
    let file = match &global.log {
        None => None,
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path);
            Some(Mutex::new(file.with_context(|| format!("cannot open log file {}", path.display()))?))
        }
    };
    let logger = LOGGER.get_or_init(|| Logger { file, format: global.log_format });
    let _ = log::set_logger(logger);
    log::set_max_level(if global.debug { log::LevelFilter::Debug } else { log::LevelFilter::Info });
    Ok(())
}

/// Reports what ends the command: to the log file, and in plain text to stderr.
pub fn fatal(message: &str) {
    match LOGGER.get() {
        Some(logger) => {
            logger.write(log::Level::Error, message);
            if logger.file.is_some() {
                let _ = writeln!(std::io::stderr(), "{message}");
            }
        }
        None => {
            let _ = writeln!(std::io::stderr(), "{message}");
        }
    }
}

impl Logger {
    fn write(&self, level: log::Level, message: &str) {
        let level = match level {
            log::Level::Error => "error",
            log::Level::Warn => "warning",
            log::Level::Info => "info",
            log::Level::Debug | log::Level::Trace => "debug",
        };
        let line = match self.format {
            LogFormat::Json => json_line(level, message),
            LogFormat::Text => text_line(level, message),
        };
        // One write a line: other processes append to the same file.
        let _ = match &self.file {
            Some(file) => {
                file.lock().unwrap_or_else(std::sync::PoisonError::into_inner).write_all(line.as_bytes())
            }
            None => std::io::stderr().write_all(line.as_bytes()),
        };
    }
}

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }
    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            self.write(record.level(), &record.args().to_string());
        }
    }
    fn flush(&self) {}
}

/// `{"level":"error","msg":"...","time":"..."}`
fn json_line(level: &str, message: &str) -> String {
    let time = Local::now().to_rfc3339_opts(SecondsFormat::Secs, true);
    let quote = |text: &str| serde_json::to_string(text).unwrap_or_else(|_| "\"\"".into());
    format!("{{\"level\":{},\"msg\":{},\"time\":{}}}\n", quote(level), quote(message), quote(&time))
}

/// `time="..." level=error msg="..."`
fn text_line(level: &str, message: &str) -> String {
    let time = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
    let quoted = serde_json::to_string(message).unwrap_or_else(|_| "\"\"".into());
    format!("time=\"{time}\" level={level} msg={quoted}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_parse() {
        let line: serde_json::Value = serde_json::from_str(&json_line("error", "a \"b\"\nc")).unwrap();
        assert_eq!((line["level"].as_str(), line["msg"].as_str()), (Some("error"), Some("a \"b\"\nc")));
        let text = text_line("warning", "x \"y\"");
        assert!(text.ends_with("level=warning msg=\"x \\\"y\\\"\"\n"), "{text}");
    }
}
