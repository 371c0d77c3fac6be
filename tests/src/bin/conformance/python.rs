//! Python 3.11's own tests of what it asks of the kernel, as Debian packages them (`libpython3.11-testsuite`).
//!
//! A test is one module, run with `python3 -m test`. Two run at a time: most of what they do is waiting.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tests::{Bundle, roots};

use crate::sandbox::Sandbox;
use crate::suite::{Outcome, Suite};

/// The modules, those that take long first; the longest takes three minutes.
const MODULES: &[&str] = &[
    "test_asyncio",
    "test_multiprocessing_fork",
    "test_signal",
    "test_ssl",
    "test_subprocess",
    "test_socket",
    "test_selectors",
    "test_threading",
    "test_poll",
    "test_wait3",
    "test_wait4",
    "test_fork1",
    "test_os",
    "test_posix",
    "test_epoll",
    "test_mmap",
    "test_pty",
    "test_fcntl",
    "test_fileio",
    "test_shutil",
    "test_tempfile",
    "test_time",
    "test_resource",
    "test_select",
    "test_stat",
    "test_pathlib",
];

/// One module's.
const DEADLINE: Duration = Duration::from_secs(600);

/// Runs `$0` in a directory of its own.
const SCRIPT: &str = "mkdir -p /tmp/$0 && cd /tmp/$0 && exec python3 -m test -v --tempdir /tmp/$0 $0";

/// The suite.
pub struct Python;

impl Suite for Python {
    fn name(&self) -> &'static str {
        "python"
    }

    fn prepare(&mut self) -> anyhow::Result<()> {
        roots::programs();
        Ok(())
    }

    fn tests(&self) -> Vec<String> {
        MODULES.iter().map(|m| (*m).to_owned()).collect()
    }

    fn bundle(&self) -> anyhow::Result<Bundle> {
        let mut bundle = Bundle::new(&roots::programs(), &[]);
        bundle.spec["process"]["env"] = serde_json::json!([
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root",
            "LANG=C.UTF-8",
        ]);
        bundle.write();
        Ok(bundle)
    }

    /// All in one, which runs them side by side.
    fn group(&self, _: &str) -> String {
        String::new()
    }

    fn run(&self, sandbox: &Sandbox, tests: &[String]) -> Vec<(String, Outcome)> {
        let in_order = MODULES.iter().filter(|m| tests.iter().any(|t| t == **m));
        let (left, done) = (Mutex::new(in_order.copied().collect::<VecDeque<_>>()), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    loop {
                        let Some(module) = left.lock().unwrap().pop_front() else { break };
                        let ran = sandbox.exec(&["/bin/sh", "-c", SCRIPT, module], DEADLINE);
                        let outcome = match ran.code {
                            0 => Outcome::pass(),
                            124 => Outcome::fail("no end"),
                            _ => Outcome::fail(failures(&format!("{}\n{}", ran.out, ran.err))),
                        };
                        done.lock().unwrap().push((module.to_owned(), outcome.of(&ran)));
                    }
                });
            }
        });
        done.into_inner().unwrap()
    }
}

/// The tests of a module that failed, as its output lists them.
fn failures(output: &str) -> String {
    let name = |l: &str| {
        let rest = l.strip_prefix("ERROR: ").or_else(|| l.strip_prefix("FAIL: "))?;
        rest.split(' ').next().map(str::to_owned)
    };
    let mut names: Vec<_> = output.lines().filter_map(name).collect();
    names.dedup();
    names.join(", ")
}
