//! `conformance SUITE [TEST...]`: a test suite that others wrote, run in containers of the runtime under test.
//!
//! A [`Suite`] is a module here; `main` does the rest: it starts the container, runs the groups of tests, sees after
//! each that the sandbox still answers and that nothing is left in it, and compares what failed with
//! `tests/conformance/SUITE/expected-failures.txt`. A listed test that passes fails the run, as does one that fails
//! and is not listed. A run of the whole suite on `runsc-rs` is put down in `result.txt` beside the list.
//!
//! `RUNTIME=runc` (see the crate) checks the suite itself: `stand-in-failures.txt` is then the list, and no result is
//! kept. The full output of every test is below `target/conformance/SUITE/log`.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a run ends by panicking

mod ltp;
mod pjdfstest;
mod python;
mod report;
mod sandbox;
mod stress_ng;
mod suite;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, bail};
use report::Report;
use sandbox::Sandbox;
use suite::{Outcome, Suite};

/// Every suite, by the name it is called with.
fn suites() -> Vec<Box<dyn Suite>> {
    vec![
        Box::new(ltp::Ltp::default()),
        Box::new(pjdfstest::Pjdfstest::default()),
        Box::new(python::Python),
        Box::new(stress_ng::StressNg),
    ]
}

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    match conformance(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("conformance: {e:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs the suite that the arguments name; whether it went as its list says.
fn conformance(args: &[String]) -> anyhow::Result<bool> {
    let mut suites = suites();
    let names: Vec<_> = suites.iter().map(|s| s.name()).collect();
    let usage = format!("usage: conformance SUITE [TEST...]; suites: {}", names.join(", "));
    let Some((name, wanted)) = args.split_first() else { bail!(usage) };
    let suite = suites.iter_mut().find(|s| s.name() == name).context(usage)?;
    suite.prepare().with_context(|| format!("cannot prepare {name}"))?;
    let all = suite.tests();
    let tests = chosen(&all, wanted);
    if tests.is_empty() {
        bail!("{name} has no such test");
    }
    let mut report = Report::new(suite.name());
    let left = run(suite.as_ref(), &tests, &mut report)?;
    report.finish(&all, wanted.is_empty() && suite.is_usual() && left.is_empty());
    if wanted.is_empty() {
        suite.finished()?;
    }
    for line in &left {
        eprintln!("left behind: {line}");
    }
    Ok(report.as_expected() && left.is_empty())
}

/// The tests whose name is given or, where no test has that name, contains what is given.
fn chosen(all: &[String], wanted: &[String]) -> Vec<String> {
    let is = |test: &String| {
        wanted.is_empty()
            || wanted.iter().any(|w| if all.contains(w) { test == w } else { test.contains(w.as_str()) })
    };
    all.iter().filter(|t| is(t)).cloned().collect()
}

/// Runs `tests` group by group; what the run left on the host comes back.
fn run(suite: &dyn Suite, tests: &[String], report: &mut Report) -> anyhow::Result<Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for test in tests {
        groups.entry(suite.group(test)).or_default().push(test.clone());
    }
    let mut sandbox = Sandbox::start(suite.name(), suite.bundle()?)?;
    for tests in groups.values() {
        let mut outcomes: BTreeMap<_, _> = suite.run(&sandbox, tests).into_iter().collect();
        let trouble = sandbox.trouble();
        for test in tests {
            let outcome = outcomes.remove(test).unwrap_or_else(|| Outcome::fail("gave no result"));
            report.add(
                test,
                match &trouble {
                    Some(what) => outcome.and_failed(what),
                    None => outcome,
                },
            );
        }
        if trouble.is_some() {
            sandbox = sandbox.again()?;
        }
    }
    Ok(sandbox.end())
}
