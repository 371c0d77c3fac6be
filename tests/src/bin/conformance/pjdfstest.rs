//! `pjdfstest` from crates.io: what POSIX says of file systems, in three places.
//!
//! The names of the places begin those of the tests: `tmpfs` is a tmpfs of the sandbox, `root` the container's root
//! and `volume` a bind mount. One program run does all tests of a place; where it hangs, the test it hung in and those after
//! it have no result.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;
use tests::run::run_with;
use tests::{Bundle, roots};

use crate::report::{folder, scratch};
use crate::sandbox::Sandbox;
use crate::suite::{Outcome, Suite};

/// Version that the lists are about.
const VERSION: &str = "0.2.2";

/// Places and, in the container, their directories; `tmpfs` is where the others look for another file system.
const PLACES: &[(&str, &str)] = &[("tmpfs", "/tmp"), ("root", "/work"), ("volume", "/volume")];

/// All tests of one place take seconds.
const DEADLINE: Duration = Duration::from_secs(300);

/// `sleep` of whole seconds.
const SLEEP: &[u8] = b"#include <stdlib.h>\n#include <unistd.h>\n\
    int main(int c, char **v) { return sleep(c > 1 ? atoi(v[1]) : 0); }\n";

/// The suite.
#[derive(Default)]
pub struct Pjdfstest {
    tests: Vec<String>,
}

impl Pjdfstest {
    fn root(&self) -> PathBuf {
        scratch(self.name()).join("root")
    }

    fn program(&self) -> PathBuf {
        scratch(self.name()).join(VERSION).join("bin/pjdfstest")
    }

    /// Builds it, static, so that it runs in a root of nothing but busybox.
    fn install(&self) -> anyhow::Result<()> {
        let to = scratch(self.name()).join(VERSION);
        let mut cargo = Command::new("cargo");
        cargo.args(["install", "pjdfstest", "--locked", "--quiet", "--version", VERSION, "--root"]).arg(&to);
        cargo.args(["--target", "x86_64-unknown-linux-gnu", "--target-dir"]).arg(to.join("target"));
        cargo.env("RUSTFLAGS", "-C target-feature=+crt-static");
        let built = run_with(&mut cargo, b"", Duration::from_secs(1800));
        ensure!(built.code == 0, "cargo install pjdfstest: {built}");
        fs::remove_dir_all(to.join("target"))?;
        Ok(())
    }

    fn make_root(&self) -> anyhow::Result<()> {
        let root = self.root();
        roots::skeleton(&root);
        fs::create_dir_all(root.join("volume"))?;
        let users = "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\ntests:x:1001:1001::/:/bin/sh\n";
        fs::write(root.join("etc/passwd"), users)?;
        fs::write(root.join("etc/group"), "root:x:0:\nnobody:x:65534:\ntests:x:1001:\n")?;
        // it copies `sleep` under another name, which busybox would not know
        let sleep = root.join("bin/sleep");
        let _ = fs::remove_file(&sleep);
        let mut gcc = Command::new("gcc");
        gcc.args(["-static", "-x", "c", "-", "-o"]).arg(&sleep);
        let built = run_with(&mut gcc, SLEEP, DEADLINE);
        ensure!(built.code == 0, "gcc: {built}");
        fs::copy(self.program(), root.join("bin/pjdfstest"))?;
        fs::copy(folder(self.name()).join("pjdfstest.toml"), root.join("etc/pjdfstest.toml"))?;
        Ok(())
    }
}

impl Suite for Pjdfstest {
    fn name(&self) -> &'static str {
        "pjdfstest"
    }

    fn prepare(&mut self) -> anyhow::Result<()> {
        roots::locked("pjdfstest", || {
            if !self.program().exists() {
                self.install()?;
            }
            self.make_root()
        })?;
        // it cannot list its tests
        let names = fs::read_to_string(folder(self.name()).join("tests.txt"))?;
        for (place, _) in PLACES {
            self.tests.extend(names.lines().map(|name| format!("{place}::{name}")));
        }
        Ok(())
    }

    fn tests(&self) -> Vec<String> {
        self.tests.clone()
    }

    fn bundle(&self) -> anyhow::Result<Bundle> {
        let mut bundle = Bundle::new(&self.root(), &[]);
        let volume = bundle.join("volume");
        fs::create_dir(&volume)?;
        fs::set_permissions(&volume, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
        bundle.bind(&volume, "/volume", &["rw"]);
        Ok(bundle)
    }

    fn group(&self, test: &str) -> String {
        test.split("::").next().unwrap_or_default().to_owned()
    }

    fn run(&self, sandbox: &Sandbox, tests: &[String]) -> Vec<(String, Outcome)> {
        let place = tests.first().map(|t| self.group(t)).unwrap_or_default();
        let Some((_, directory)) = PLACES.iter().find(|(name, _)| *name == place) else { return Vec::new() };
        let other = if place == "tmpfs" { "/work" } else { "/tmp" };
        let mut command = vec!["/bin/pjdfstest", "-c", "/etc/pjdfstest.toml", "-p", directory, "-s", other];
        let names: Vec<_> = tests.iter().filter_map(|t| t.split_once("::").map(|(_, name)| name)).collect();
        // a filter is a part of a name
        if tests.len() < self.tests.len() / PLACES.len() {
            command.extend(&names);
        }
        let ran = sandbox.exec(&command, DEADLINE);
        let outcomes = parse(&ran.out);
        outcomes
            .into_iter()
            .map(|(name, outcome)| (format!("{place}::{name}"), outcome))
            .filter(|(name, _)| tests.contains(name))
            .collect()
    }
}

/// Outcomes from what pjdfstest prints: a line a test, lines that begin with a tab give reasons.
fn parse(text: &str) -> Vec<(String, Outcome)> {
    let mut outcomes: Vec<(String, Outcome)> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            _ if line.starts_with('\t') => {
                if let Some((_, outcome)) = outcomes.last_mut() {
                    let space = if outcome.detail.is_empty() { "" } else { "; " };
                    outcome.detail += &format!("{space}{}", line.trim());
                }
            }
            (Some(name), Some("ok"), None) => outcomes.push((name.into(), Outcome::pass())),
            (Some(name), Some("FAILED"), None) => outcomes.push((name.into(), Outcome::fail(""))),
            (Some(name), Some("skipped"), None) => outcomes.push((name.into(), Outcome::skip(""))),
            _ => {}
        }
    }
    outcomes
}
