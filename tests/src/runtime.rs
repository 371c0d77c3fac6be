//! The runtime under test.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{DEADLINE, Outcome, run_with};

/// An OCI runtime and the state directory that one test uses with it.
pub struct Runtime {
    /// Its executable.
    pub binary: PathBuf,
    /// Whether it is ours; otherwise it stands in to check the tests.
    pub ours: bool,
    /// State directory, the test's own.
    pub root: tempfile::TempDir,
}

/// Root of the source tree.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// `target/PROFILE`: tests are in its `deps`, programs in itself.
fn profile() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let dir = exe.parent().unwrap();
    if dir.ends_with("deps") { dir.parent().unwrap() } else { dir }.to_path_buf()
}

/// `target/` (wherever it is), where what the tests build is kept.
pub fn target() -> PathBuf {
    profile().parent().unwrap().to_path_buf()
}

/// The `runsc-rs` that was built along with the tests.
pub fn built_binary() -> PathBuf {
    profile().join("runsc-rs")
}

impl Default for Runtime {
    fn default() -> Self {
        Self::new()
    }
}

impl Runtime {
    /// The one that the environment names.
    pub fn new() -> Self {
        crate::run::adopt_orphans();
        let root = tempfile::Builder::new().prefix("runsc-test-state.").tempdir().unwrap();
        match std::env::var("RUNTIME") {
            Ok(name) if !name.contains("runsc-rs") => Self { binary: name.into(), ours: false, root },
            Ok(path) => Self { binary: path.into(), ours: true, root },
            Err(_) => {
                let binary = built_binary();
                assert!(binary.exists(), "{} is missing: cargo build --release", binary.display());
                Self { binary, ours: true, root }
            }
        }
    }

    /// A command of the runtime with the global flags in place.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut c = Command::new(&self.binary);
        c.arg("--root").arg(self.root.path());
        if self.ours {
            c.args(platform_args());
        }
        c.args(args);
        c
    }

    /// Runs the runtime with `args`.
    pub fn run(&self, args: &[&str]) -> Outcome {
        run_with(&mut self.command(args), b"", DEADLINE)
    }

    /// Kills and deletes a container whatever its state, and complains about nothing.
    pub fn wipe(&self, id: &str) {
        let _ = self.run(&["delete", "--force", id]);
    }

    /// `state`'s answer as JSON; `None` where there is no such container.
    pub fn state(&self, id: &str) -> Option<serde_json::Value> {
        let o = self.run(&["state", id]);
        (o.code == 0).then(|| serde_json::from_str(&o.out).unwrap())
    }

    /// The status word of a container, `gone` where there is none.
    pub fn status(&self, id: &str) -> String {
        self.state(id).map_or("gone".into(), |s| s["status"].as_str().unwrap_or("?").to_owned())
    }
}

/// The global flags that `runsc-rs` is tested with.
pub fn platform_args() -> Vec<String> {
    let platform = std::env::var("RUNSC_PLATFORM").unwrap_or_else(|_| "ptrace".into());
    let mut args = vec![format!("--platform={platform}"), "--network=none".into(), "--allow-suid".into()];
    let more = std::env::var("RUNSC_ARGS").unwrap_or_default();
    args.extend(more.split_whitespace().map(str::to_owned));
    args
}

/// Whether the runtime under test stands in for ours.
pub fn stand_in() -> bool {
    std::env::var("RUNTIME").is_ok_and(|r| !r.contains("runsc-rs"))
}
