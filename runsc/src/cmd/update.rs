//! `update`: changes resource limits of a running container.

use crate::{bundle, cli::Global, state};
use anyhow::{Context, bail};
use clap::Args;
use oci_spec::runtime::LinuxResources;
use serde_json::{Map, Value};
use std::{io::Read, path::PathBuf};

/// Options of `update`.
#[derive(Args, Debug)]
pub struct Update {
    /// Path to the file containing the resources to update or '-' to read from the standard input
    #[arg(long, short = 'r', value_name = "FILE")]
    pub resources: Option<PathBuf>,
    /// Memory limit (in bytes)
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub memory: Option<i64>,
    /// Memory reservation or soft limit (in bytes)
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub memory_reservation: Option<i64>,
    /// Total memory usage (memory + swap); -1 is no limit
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub memory_swap: Option<i64>,
    /// CPU CFS period (in usecs)
    #[arg(long, value_name = "USECS")]
    pub cpu_period: Option<u64>,
    /// CPU CFS quota (in usecs)
    #[arg(long, value_name = "USECS", allow_hyphen_values = true)]
    pub cpu_quota: Option<i64>,
    /// CPU shares (relative weight)
    #[arg(long, value_name = "SHARES")]
    pub cpu_share: Option<u64>,
    /// CPUs to use
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes to use
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Maximum number of processes
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub pids_limit: Option<i64>,
    /// Weight for block I/O, 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    pub blkio_weight: Option<u16>,
    /// Container id
    pub id: String,
}

impl Update {
    /// Changes them.
    pub fn run(self, global: &Global) -> anyhow::Result<i32> {
        let state = state::load(&state::root_dir(global), &self.id)?;
        let resources = self.resources()?;
        let Some(record) = &state.cgroup else { bail!("container {} has no cgroup to update", self.id) };
        record.update(&resources)?;
        Ok(0)
    }

    fn resources(&self) -> anyhow::Result<LinuxResources> {
        match &self.resources {
            Some(file) if file.as_os_str() == "-" => {
                let mut text = Vec::new();
                std::io::stdin().take(1 << 20).read_to_end(&mut text).context("standard input")?;
                bundle::parse_json(&text, "standard input")
            }
            Some(file) => bundle::read_json(file),
            None => Ok(serde_json::from_value(self.as_json())?),
        }
    }

    /// The options in the configuration's own form.
    fn as_json(&self) -> Value {
        let object = |fields: &[(&str, Option<Value>)]| {
            let given = fields.iter().filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?)));
            Value::Object(given.collect::<Map<_, _>>())
        };
        let memory = object(&[
            ("limit", self.memory.map(Value::from)),
            ("reservation", self.memory_reservation.map(Value::from)),
            ("swap", self.memory_swap.map(Value::from)),
        ]);
        let cpu = object(&[
            ("shares", self.cpu_share.map(Value::from)),
            ("quota", self.cpu_quota.map(Value::from)),
            ("period", self.cpu_period.map(Value::from)),
            ("cpus", self.cpuset_cpus.clone().map(Value::from)),
            ("mems", self.cpuset_mems.clone().map(Value::from)),
        ]);
        object(&[
            ("memory", Some(memory)),
            ("cpu", Some(cpu)),
            ("pids", self.pids_limit.map(|limit| object(&[("limit", Some(limit.into()))]))),
            ("blockIO", self.blkio_weight.map(|weight| object(&[("weight", Some(weight.into()))]))),
        ])
    }
}
