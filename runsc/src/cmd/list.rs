//! `list`: all containers below `--root`.

use crate::{
    cli::Global,
    cmd::state::Shown,
    state::{self, State},
};
use anyhow::bail;
use clap::Args;
use nix::unistd::{Uid, User};

/// Options of `list`.
#[derive(Args, Debug)]
pub struct List {
    /// Select one of: table or json
    #[arg(long, short = 'f', default_value = "table")]
    pub format: String,
    /// Display only container IDs
    #[arg(long, short = 'q')]
    pub quiet: bool,
}

impl List {
    /// Prints them.
    pub fn run(self, global: &Global) -> anyhow::Result<i32> {
        let states = state::list(&state::root_dir(global))?;
        if self.quiet {
            for state in &states {
                super::print(&format!("{}\n", state.id));
            }
            return Ok(0);
        }
        let shown: Vec<Shown> = states.iter().map(|state| Shown::new(state, owner(state))).collect();
        match self.format.as_str() {
            "table" => super::print(&table(&shown)),
            // What others print for an empty list.
            "json" if shown.is_empty() => super::print("null\n"),
            "json" => super::print(&format!("{}\n", serde_json::to_string(&shown)?)),
            _ => bail!("invalid format option"),
        }
        Ok(0)
    }
}

fn owner(state: &State) -> String {
    match User::from_uid(Uid::from_raw(state.owner)) {
        Ok(Some(user)) => user.name,
        _ => format!("#{}", state.owner),
    }
}

/// Columns as wide as their content and three blanks, twelve at least.
fn table(list: &[Shown]) -> String {
    let header = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(String::from);
    let rows: Vec<[String; 6]> = std::iter::once(header)
        .chain(list.iter().map(|c| {
            let bundle = c.bundle.display().to_string();
            [c.id.clone(), c.pid.to_string(), c.status.into(), bundle, c.created.clone(), c.owner.clone()]
        }))
        .collect();
    let mut widths = [12; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count() + 3);
        }
    }
    let mut out = String::new();
    for row in rows {
        let [.., last] = &row;
        let cells = row.iter().zip(widths).take(5).map(|(cell, width)| format!("{cell:width$}"));
        out.push_str(&(cells.collect::<String>() + last + "\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table() {
        let shown = Shown {
            oci_version: "1".into(),
            id: "a".into(),
            pid: 19388,
            status: "created",
            bundle: "/tmp/rsc/b".into(),
            rootfs: "/".into(),
            created: "2026-11-23T03:36:20.675401296Z".into(),
            annotations: Default::default(),
            owner: "root".into(),
        };
        assert_eq!(
            table(&[shown]),
            "ID          PID         STATUS      BUNDLE       CREATED                          OWNER\n\
             a           19388       created     /tmp/rsc/b   2026-11-23T03:36:20.675401296Z   root\n"
        );
        assert_eq!(table(&[]), "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n");
    }
}
