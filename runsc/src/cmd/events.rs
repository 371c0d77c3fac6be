//! `events`: resource figures, once or again and again, one JSON object a line.

use crate::{
    cgroup,
    cli::Global,
    state::{self, State, Status},
};
use anyhow::{anyhow, bail};
use clap::Args;
use std::{thread, time::Duration};

/// Options of `events`.
#[derive(Args, Debug)]
pub struct Events {
    /// Set the stats collection interval, as 500ms, 5s or 1m
    #[arg(long, default_value = "5s", value_name = "TIME")]
    pub interval: String,
    /// Display the container's stats then exit
    #[arg(long)]
    pub stats: bool,
    /// Container id
    pub id: String,
}

impl Events {
    /// Prints them.
    pub fn run(self, global: &Global) -> anyhow::Result<i32> {
        let interval = duration(&self.interval)?;
        if interval.is_zero() {
            bail!("duration interval must be greater than 0");
        }
        let root = state::root_dir(global);
        let state = state::load(&root, &self.id)?;
        if state.status() == Status::Stopped {
            bail!("container with id {} is not running", self.id);
        }
        loop {
            super::print(&format!("{}\n", event(&state)?));
            if self.stats {
                return Ok(0);
            }
            thread::sleep(interval);
            if state.status() == Status::Stopped {
                return Ok(0);
            }
        }
    }
}

/// From the container's cgroups; where it has none, from the sandbox itself.
fn event(state: &State) -> anyhow::Result<String> {
    #[derive(serde::Serialize)]
    struct Line<'a, T> {
        #[serde(rename = "type")]
        kind: &'static str,
        id: &'a str,
        data: T,
    }
    Ok(match &state.cgroup {
        Some(record) => {
            serde_json::to_string(&Line { kind: "stats", id: &state.id, data: cgroup::stats::read(record) })?
        }
        None => {
            let out = state.connect()?.event(&state.id)?;
            serde_json::to_string(&Line { kind: "stats", id: &state.id, data: out.event.data })?
        }
    })
}

/// A time like `1.5s`.
fn duration(text: &str) -> anyhow::Result<Duration> {
    let bad = || anyhow!("{text:?} is no time: 500ms, 5s and 1m are");
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split).ok_or_else(bad)?;
    let number: f64 = number.parse().map_err(|_| bad())?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        _ => return Err(bad()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(duration("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(duration("1.5s").unwrap(), Duration::from_millis(1500));
        assert!(duration("5").is_err() && duration("x").is_err() && duration("-1s").is_err());
    }
}
