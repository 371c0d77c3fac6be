//! `spec`: writes a `config.json` to begin with.
//!
//! The text is the one that users of other OCI runtimes get from the command of the same name, to the byte, so
//! that scripts that edit it keep working.

use anyhow::{Context, bail};
use clap::Args;
use nix::unistd::{getegid, geteuid};
use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    path::PathBuf,
};

/// Options of `spec`.
#[derive(Args, Debug)]
pub struct Spec {
    /// Path to the root of the bundle directory
    #[arg(long, short = 'b', value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// Generate a configuration for a rootless container
    #[arg(long)]
    pub rootless: bool,
    /// The command to run, instead of sh
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// The configuration for root.
const CONFIG: &str = include_str!("data/config.json");

impl Spec {
    /// Writes it.
    pub fn run(self) -> anyhow::Result<i32> {
        let dir = self.bundle.clone().unwrap_or_else(|| ".".into());
        let file = dir.join("config.json");
        let mut text =
            if self.rootless { rootless(geteuid().as_raw(), getegid().as_raw()) } else { CONFIG.to_owned() };
        if !self.command.is_empty() {
            let words: Result<Vec<String>, _> = self.command.iter().map(serde_json::to_string).collect();
            let words = words?.join(",\n\t\t\t");
            text = text.replacen("\t\t\t\"sh\"\n", &format!("\t\t\t{words}\n"), 1);
        }
        match OpenOptions::new().write(true).create_new(true).open(&file) {
            Ok(mut file) => file.write_all(text.as_bytes())?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                bail!("File config.json exists. Remove it first")
            }
            Err(error) => return Err(error).with_context(|| format!("cannot make {}", file.display())),
        }
        Ok(0)
    }
}

/// For a user namespace with one id: what needs another id or the host's privilege is left out.
fn rootless(uid: u32, gid: u32) -> String {
    let map = |name: &str, id: u32| {
        format!(
            "\t\t\"{name}\": [\n\t\t\t{{\n\t\t\t\t\"containerID\": 0,\n\t\t\t\t\"hostID\": {id},\n\t\t\t\t\"size\": 1\n\
             \t\t\t}}\n\t\t],\n"
        )
    };
    let maps = map("uidMappings", uid) + &map("gidMappings", gid);
    let resources = "\t\t\"resources\": {\n\t\t\t\"devices\": [\n\t\t\t\t{\n\t\t\t\t\t\"allow\": false,\n\
                     \t\t\t\t\t\"access\": \"rwm\"\n\t\t\t\t}\n\t\t\t]\n\t\t},\n";
    let network = "\t\t\t{\n\t\t\t\t\"type\": \"network\"\n\t\t\t},\n";
    let user = ",\n\t\t\t{\n\t\t\t\t\"type\": \"user\"\n\t\t\t}";
    CONFIG
        .replace("\"mode=0620\",\n\t\t\t\t\"gid=5\"\n", "\"mode=0620\"\n")
        .replace(
            "\"type\": \"sysfs\",\n\t\t\t\"source\": \"sysfs\",\n",
            "\"type\": \"none\",\n\t\t\t\"source\": \"/sys\",\n",
        )
        .replace(
            "\"source\": \"/sys\",\n\t\t\t\"options\": [\n",
            "\"source\": \"/sys\",\n\t\t\t\"options\": [\n\t\t\t\t\"rbind\",\n",
        )
        .replace(resources, &maps)
        .replace(network, "")
        .replacen("\n\t\t],\n\t\t\"maskedPaths\"", &format!("{user}\n\t\t],\n\t\t\"maskedPaths\""), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parse() {
        let root: oci_spec::runtime::Spec = serde_json::from_str(CONFIG).unwrap();
        assert_eq!(root.mounts().as_ref().unwrap().len(), 7);
        let rootless: oci_spec::runtime::Spec = serde_json::from_str(&rootless(1000, 1001)).unwrap();
        let linux = rootless.linux().as_ref().unwrap();
        assert_eq!(linux.uid_mappings().as_ref().unwrap()[0].host_id(), 1000);
        assert_eq!(linux.gid_mappings().as_ref().unwrap()[0].host_id(), 1001);
        assert!(linux.resources().is_none());
        let types: Vec<_> = linux.namespaces().iter().flatten().map(|n| n.typ().to_string()).collect();
        assert!(types.contains(&"user".into()) && !types.contains(&"network".into()), "{types:?}");
    }
}
