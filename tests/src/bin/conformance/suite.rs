//! What a suite is, and what a test of one gives.

use tests::{Bundle, run};

use crate::sandbox::Sandbox;

/// A test suite that others wrote.
pub trait Suite {
    /// Its name on the command line and of its folder in `tests/conformance`.
    fn name(&self) -> &'static str;

    /// Installs or builds what it needs, once: later calls find it below `target/` and are quick.
    fn prepare(&mut self) -> anyhow::Result<()>;

    /// The names of its tests (no blanks), after [`prepare`](Self::prepare).
    fn tests(&self) -> Vec<String>;

    /// Whether [`tests`](Self::tests) is what the lists in the tree are about, rather than a choice of the user's.
    fn is_usual(&self) -> bool {
        true
    }

    /// The container that the tests run in; its init is the one of [`Sandbox`].
    fn bundle(&self) -> anyhow::Result<Bundle>;

    /// Tests of the same group are run by one call of [`run`](Self::run): each is its own group where the suite says
    /// nothing else.
    fn group(&self, test: &str) -> String {
        test.to_owned()
    }

    /// Runs the chosen tests of one group and says what each gave. A program that does not end within the suite's
    /// deadline is left in the sandbox, which is then replaced.
    fn run(&self, sandbox: &Sandbox, tests: &[String]) -> Vec<(String, Outcome)>;

    /// Called after a run of all tests, for what is kept beside the outcomes.
    fn finished(&self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should.
    Pass,
    /// Not as it should.
    Fail,
    /// It does not apply here: the suite says so itself. Neither a success nor a failure.
    Skip,
}

/// What a test gave.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// Why, in a line; empty where it passed.
    pub detail: String,
    /// Everything it printed, for the log.
    pub output: String,
}

impl Outcome {
    /// A test that passed.
    pub fn pass() -> Self {
        Self { verdict: Verdict::Pass, detail: String::new(), output: String::new() }
    }

    /// A test that failed.
    pub fn fail(detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, detail: detail.into(), output: String::new() }
    }

    /// A test that the suite did not run.
    pub fn skip(detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skip, detail: detail.into(), output: String::new() }
    }

    /// The same with the output of the command that gave it.
    pub fn of(mut self, command: &run::Outcome) -> Self {
        self.output = command.to_string();
        self
    }

    /// The same, failed for one more reason.
    pub fn and_failed(mut self, why: &str) -> Self {
        self.detail = if self.detail.is_empty() { why.to_owned() } else { format!("{}; {why}", self.detail) };
        self.verdict = Verdict::Fail;
        self
    }
}
