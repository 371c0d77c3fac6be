//! OCI bundles: a directory with a `config.json`, read and checked.
//!
//! Whatever is wrong is said in one line: which file, where in it, what would be right.

use anyhow::{Context, anyhow, bail};
use oci_spec::runtime::{Process, Spec};
use serde::de::DeserializeOwned;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A configuration is never longer than this.
const MAX_CONFIG: u64 = 16 << 20;

/// A checked bundle.
#[derive(Debug)]
pub struct Bundle {
    /// Its directory, absolute.
    pub dir: PathBuf,
    /// `config.json`.
    pub spec: Spec,
    /// The root file system, absolute, existing.
    pub rootfs: PathBuf,
}

impl Bundle {
    /// Reads and checks the bundle in `dir` (default: the current directory).
    pub fn load(dir: Option<&Path>) -> anyhow::Result<Self> {
        let dir = dir.unwrap_or(Path::new("."));
        let dir = fs::canonicalize(dir).with_context(|| format!("bundle {}", dir.display()))?;
        let file = dir.join("config.json");
        let spec: Spec = read_json(&file)?;
        Self::from_spec(dir, spec).with_context(|| file.display().to_string())
    }

    /// Checks a configuration that was made or read elsewhere.
    pub fn from_spec(dir: PathBuf, spec: Spec) -> anyhow::Result<Self> {
        check_version(spec.version())?;
        let process = spec.process().as_ref().ok_or_else(|| anyhow!("process property must not be empty"))?;
        check_process(process)?;
        let root = spec.root().as_ref().ok_or_else(|| anyhow!("root must be specified"))?;
        let rootfs = dir.join(root.path());
        let rootfs = fs::canonicalize(&rootfs)
            .map_err(|error| anyhow!("invalid rootfs: stat {}: {}", rootfs.display(), plain(&error)))?;
        if !rootfs.is_dir() {
            bail!("invalid rootfs: {} is not a directory", rootfs.display());
        }
        Ok(Self { dir, spec, rootfs })
    }

    /// The process to run; checked to be there.
    pub fn process(&self) -> anyhow::Result<&Process> {
        self.spec.process().as_ref().ok_or_else(|| anyhow!("process property must not be empty"))
    }
}

/// Reads one JSON value from `file`, with the place of a mistake in the error.
pub fn read_json<T: DeserializeOwned>(file: &Path) -> anyhow::Result<T> {
    let shown = file.display();
    let metadata = fs::metadata(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            anyhow!("JSON specification file {shown} not found (`runsc-rs spec` makes one)")
        }
        _ => anyhow!("cannot read {shown}: {}", plain(&error)),
    })?;
    if metadata.len() > MAX_CONFIG {
        bail!("{shown} is longer than {MAX_CONFIG} bytes: that is no configuration");
    }
    let text = fs::read(file).with_context(|| format!("cannot read {shown}"))?;
    parse_json(&text, &shown.to_string())
}

/// Parses one JSON value; `name` is for the error.
pub fn parse_json<T: DeserializeOwned>(text: &[u8], name: &str) -> anyhow::Result<T> {
    serde_json::from_slice(text).map_err(|error| {
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or(&what);
        let (line, column) = (error.line(), error.column());
        let advice = match error.classify() {
            serde_json::error::Category::Syntax | serde_json::error::Category::Eof => "not JSON, correct it",
            _ => "not what the OCI runtime specification has there",
        };
        anyhow!("{name}:{line}:{column}: {what} ({advice})")
    })
}

/// Checks a process, from a configuration or from `exec --process`.
pub fn check_process(process: &Process) -> anyhow::Result<()> {
    if process.args().as_ref().is_none_or(Vec::is_empty) {
        bail!("args must not be empty");
    }
    if process.cwd().as_os_str().is_empty() {
        bail!("Cwd property must not be empty");
    }
    if !process.cwd().is_absolute() {
        bail!("Cwd must be an absolute path");
    }
    let with_nul = |list: &Option<Vec<String>>| list.iter().flatten().any(|text| text.contains('\0'));
    if with_nul(process.args()) || with_nul(process.env()) {
        bail!("process.args and process.env must not contain NUL characters");
    }
    Ok(())
}

/// A container id: letters, digits and `_+-.`, and no path.
pub fn check_id(id: &str) -> anyhow::Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
    if id.is_empty() || id.len() > 1024 || !id.chars().all(good) || id == "." || id == ".." {
        bail!("invalid container ID format");
    }
    Ok(())
}

fn check_version(version: &str) -> anyhow::Result<()> {
    let mut parts = version.splitn(3, '.').map(|part| part.split(['-', '+']).next().unwrap_or_default());
    let numbers: Option<Vec<u32>> = parts.by_ref().map(|part| part.parse().ok()).collect();
    match numbers.as_deref() {
        Some([1, _, _]) => Ok(()),
        Some([_, _, _]) => bail!("ociVersion {version:?} is not supported: 1.x is"),
        _ if version.is_empty() => bail!("ociVersion is missing: put \"1.0.2\" or the like"),
        _ => bail!("ociVersion {version:?} is no version: major.minor.patch is expected"),
    }
}

/// A host error in the words of C, without Rust's `(os error N)`.
pub fn plain(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_lowercase(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> anyhow::Result<Bundle> {
        Bundle::from_spec("/".into(), parse_json(text.as_bytes(), "config.json")?)
    }

    #[test]
    fn mistakes_have_a_place() {
        let error = spec("{ \"ociVersion\": \"1.0.2\", bad").unwrap_err().to_string();
        assert_eq!(error, "config.json:1:26: key must be a string (not JSON, correct it)");
        let error = spec("{\n \"ociVersion\": 3}").unwrap_err().to_string();
        assert!(error.starts_with("config.json:2:16: invalid type"), "{error}");
    }

    #[test]
    fn configurations_are_checked() {
        let user = r#""user":{"uid":0,"gid":0}"#;
        for (text, message) in [
            ("{}", "ociVersion is missing"),
            (r#"{"ociVersion":"9.0.0"}"#, "is not supported"),
            (r#"{"ociVersion":"foo"}"#, "is no version"),
            (r#"{"ociVersion":"1.0.2-dev"}"#, "process property must not be empty"),
            (
                &format!(r#"{{"ociVersion":"1.0.2","process":{{"args":[],"cwd":"/",{user}}}}}"#),
                "args must not",
            ),
            (&format!(r#"{{"ociVersion":"1.0.2","process":{{"args":["a"],"cwd":"b",{user}}}}}"#), "absolute"),
            (
                &format!(r#"{{"ociVersion":"1.0.2","process":{{"args":["a"],"cwd":"/",{user}}}}}"#),
                "root must",
            ),
            (
                &format!(
                    r#"{{"ociVersion":"1.0.2","process":{{"args":["a"],"cwd":"/",{user}}},"root":{{"path":"/nope"}}}}"#
                ),
                "invalid rootfs: stat /nope: no such file",
            ),
        ] {
            let error = format!("{:#}", spec(text).unwrap_err());
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn ids() {
        assert!(check_id("a_b-c.d+1").is_ok());
        for bad in ["", ".", "..", "a/b", "a b", "ä", "a\n"] {
            assert_eq!(check_id(bad).unwrap_err().to_string(), "invalid container ID format", "{bad}");
        }
    }
}
