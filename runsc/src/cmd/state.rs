//! `state`: a container's record as OCI wants it shown.

use crate::{
    cli::Global,
    state::{self, State, Status},
};
use clap::Args;
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf};

/// Options of `state`.
#[derive(Args, Debug)]
pub struct Show {
    /// Container id
    pub id: String,
}

impl Show {
    /// Prints it.
    pub fn run(self, global: &Global) -> anyhow::Result<i32> {
        let state = state::load(&state::root_dir(global), &self.id)?;
        super::print(&serde_json::to_string_pretty(&Shown::new(&state, String::new()))?);
        Ok(0)
    }
}

/// A container as `state` and `list` show it, fields in the order in which others have them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Shown {
    pub oci_version: String,
    pub id: String,
    pub pid: i32,
    pub status: &'static str,
    pub bundle: PathBuf,
    pub rootfs: PathBuf,
    pub created: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    pub owner: String,
}

impl Shown {
    /// From a record.
    pub fn new(state: &State, owner: String) -> Self {
        let status = state.status();
        Self {
            oci_version: state.oci_version.clone(),
            id: state.id.clone(),
            pid: if status == Status::Stopped { 0 } else { state.live_pid() },
            status: status.name(),
            bundle: state.bundle.clone(),
            rootfs: state.rootfs.clone(),
            created: state.created.clone(),
            annotations: state.annotations.clone(),
            owner,
        }
    }
}
