//! The container that a suite's tests run in, one after the other, with `exec`.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::json;
use tests::bundle::fresh_id;
use tests::run::{Outcome, run_with};
use tests::{Bundle, Runtime, leaks};

/// How long what a test started may take to end after it.
const MOMENT: Duration = Duration::from_secs(3);

/// How long a container may take to start on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A running container.
pub struct Sandbox {
    runtime: Runtime,
    bundle: Bundle,
    suite: &'static str,
    id: String,
    /// Processes when no test runs.
    idle: usize,
}

impl Sandbox {
    /// Starts a container of `bundle` whose init sleeps and reaps.
    pub fn start(suite: &'static str, mut bundle: Bundle) -> anyhow::Result<Self> {
        let init = "while :; do sleep 1000000 & wait $!; done";
        bundle.spec["process"]["args"] = json!(["/bin/sh", "-c", init]);
        bundle.write();
        let runtime = Runtime::new();
        let mut new = Self { runtime, bundle, suite, id: fresh_id(suite), idle: 0 };
        let run = new.runtime.run(&["run", "--detach", "--bundle", new.bundle.arg(), &new.id]);
        ensure!(run.code == 0, "the container does not start: {run}");
        // init and its sleep
        let end = Instant::now() + START;
        while new.idle < 2 {
            new.idle = new.processes().context("the container does not answer")?;
            ensure!(Instant::now() < end, "the container's init does not run");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(new)
    }

    /// Runs a program in it, with the environment and directory of the bundle.
    pub fn exec(&self, args: &[&str], deadline: Duration) -> Outcome {
        let mut exec = self.runtime.command(&["exec", &self.id]);
        run_with(exec.args(args), b"", deadline)
    }

    /// What is wrong with it now that no test runs: it is dead, deaf, or has more processes than at its start.
    pub fn trouble(&self) -> Option<String> {
        let end = Instant::now() + MOMENT;
        loop {
            match self.processes() {
                None => return Some("the sandbox died".into()),
                Some(n) if n <= self.idle => return None,
                Some(n) if Instant::now() > end => {
                    return Some(format!("{} processes stayed in the sandbox", n - self.idle));
                }
                Some(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// How many processes it has; `None` where it does not answer.
    fn processes(&self) -> Option<usize> {
        let ps = run_with(&mut self.runtime.command(&["ps", "--format", "json", &self.id]), b"", MOMENT * 3);
        let list: Vec<i32> = serde_json::from_str(ps.out.trim()).ok()?;
        (ps.code == 0 && !list.is_empty()).then_some(list.len())
    }

    /// A new container in place of this one.
    pub fn again(self) -> anyhow::Result<Self> {
        self.runtime.wipe(&self.id);
        Self::start(self.suite, self.bundle)
    }

    /// Ends it; what is left on the host comes back.
    pub fn end(self) -> Vec<String> {
        self.runtime.wipe(&self.id);
        let end = Instant::now() + MOMENT;
        loop {
            let left = leaks::find(&self.runtime, &self.id);
            if left.is_empty() || Instant::now() > end {
                return left;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
