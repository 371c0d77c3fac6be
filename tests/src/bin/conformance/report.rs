//! Outcomes against the list of expected failures, and the files that are kept of a run.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::run::run;
use tests::runtime::{stand_in, target, workspace};

use crate::suite::{Outcome, Verdict};

/// The folder of a suite in the tree.
pub fn folder(suite: &str) -> PathBuf {
    workspace().join("tests/conformance").join(suite)
}

/// Where a suite is built and its logs are kept.
pub fn scratch(suite: &str) -> PathBuf {
    target().join("conformance").join(suite)
}

/// The outcomes of one run.
pub struct Report {
    suite: &'static str,
    logs: PathBuf,
    expected: BTreeMap<String, String>,
    outcomes: BTreeMap<String, Outcome>,
    wrong: Vec<String>,
}

impl Report {
    /// An empty one, with the list of the suite.
    pub fn new(suite: &'static str) -> Self {
        let logs = scratch(suite).join("log");
        let _ = fs::remove_dir_all(&logs);
        fs::create_dir_all(&logs).unwrap();
        let list = if stand_in() { "stand-in-failures.txt" } else { "expected-failures.txt" };
        let expected = read_list(&folder(suite).join(list));
        Self { suite, logs, expected, outcomes: BTreeMap::new(), wrong: Vec::new() }
    }

    /// Takes down what a test gave, and says so where it is not what the list says.
    pub fn add(&mut self, test: &str, outcome: Outcome) {
        let log = self.logs.join(format!("{}.txt", test.replace('/', "-")));
        fs::write(log, format!("{}\n{}", outcome.detail, outcome.output)).unwrap();
        let listed = self.expected.contains_key(test);
        let word = match (outcome.verdict, listed) {
            (Verdict::Fail, false) => Some("FAILED"),
            (Verdict::Pass, true) => Some("PASSED though listed as an expected failure"),
            _ => None,
        };
        if let Some(word) = word {
            println!("{test}: {word} {}", outcome.detail);
            self.wrong.push(test.to_owned());
        }
        self.outcomes.insert(test.to_owned(), outcome);
    }

    /// Prints the figures; `whole` runs of our runtime become the suite's `result.txt`.
    pub fn finish(&mut self, all: &[String], whole: bool) {
        for name in self.expected.keys().filter(|name| whole && !all.contains(name)) {
            println!("{name}: is listed, but there is no such test");
            self.wrong.push(name.clone());
        }
        let count = |v| self.outcomes.values().filter(|o| o.verdict == v).count();
        let (pass, fail, skip) = (count(Verdict::Pass), count(Verdict::Fail), count(Verdict::Skip));
        let counts = format!("{pass} passed, {fail} failed, {skip} skipped of {}", self.outcomes.len());
        println!("{}: {counts}, {} not as expected", self.suite, self.wrong.len());
        println!("logs: {}", self.logs.display());
        if whole && !stand_in() {
            let mut text = format!(
                "# Last run of `tools/conformance {}`, at commit {}.\n{counts}\n",
                self.suite,
                commit()
            );
            for (test, outcome) in &self.outcomes {
                match outcome.verdict {
                    Verdict::Pass => {}
                    Verdict::Fail => writeln!(text, "failed {test}: {}", outcome.detail).unwrap(),
                    Verdict::Skip => writeln!(text, "skipped {test}: {}", outcome.detail).unwrap(),
                }
            }
            fs::write(folder(self.suite).join("result.txt"), text).unwrap();
        }
    }

    /// Whether exactly the listed tests failed.
    pub fn as_expected(&self) -> bool {
        self.wrong.is_empty()
    }
}

/// A list, a test a line: name, blank, reason; `#` begins a comment.
fn read_list(path: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty());
    lines.map(|l| l.split_once(' ').unwrap_or((l, ""))).map(|(n, r)| (n.to_owned(), r.to_owned())).collect()
}

/// The commit that is checked out, `+` where files differ from it.
fn commit() -> String {
    let git =
        |args: &[&str]| run(Command::new("git").arg("-C").arg(workspace()).args(args)).out.trim().to_owned();
    // the result itself is about to change
    let dirty =
        !git(&["status", "--porcelain", "--untracked-files=no", "--", ".", ":!tests/conformance"]).is_empty();
    format!("{}{}", git(&["rev-parse", "--short=12", "HEAD"]), if dirty { "+" } else { "" })
}
