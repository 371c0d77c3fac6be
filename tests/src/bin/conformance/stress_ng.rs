//! stress-ng's stressors of the classes filesystem, interrupt, memory, network, os, pipe, scheduler and vm, as Debian
//! packages them: each runs two seconds, checks what it does, and has to have done something.
//!
//! How much each did (*bogo-ops*) is kept for both runtimes below `target/conformance/stress-ng/ops`; a whole run on
//! `runsc-rs` puts the two beside each other in `bogo-ops.txt`. `no-work.txt` names the stressors that do nothing under
//! runc either, for want of a device or a privilege: they are skipped, every other that does nothing has failed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::time::Duration;

use serde_json::json;
use tests::runtime::stand_in;
use tests::{Bundle, roots};

use crate::report::{folder, scratch};
use crate::sandbox::Sandbox;
use crate::suite::{Outcome, Suite};

/// Two seconds of work, and what some take to prepare it and to tidy up.
const DEADLINE: Duration = Duration::from_secs(60);

/// A container's usual capabilities, and those that stressors ask for before they begin.
const CAPABILITIES: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "KILL",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_ADMIN",
    "SYS_CHROOT",
    "SYS_NICE",
    "SYS_PTRACE",
    "SYS_RESOURCE",
];

/// The suite.
pub struct StressNg;

/// Lines of a list of the suite, without comments.
fn list(name: &str) -> Vec<String> {
    let text = fs::read_to_string(folder("stress-ng").join(name)).unwrap_or_default();
    text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).map(str::to_owned).collect()
}

/// The stressors that a list names, each with the rest of its line.
fn named(name: &str) -> BTreeMap<String, String> {
    let split =
        |l: String| l.split_once(' ').map_or((l.clone(), String::new()), |(n, r)| (n.into(), r.into()));
    list(name).into_iter().map(split).collect()
}

fn ops_of(runtime: &str) -> std::path::PathBuf {
    scratch("stress-ng").join("ops").join(runtime)
}

impl Suite for StressNg {
    fn name(&self) -> &'static str {
        "stress-ng"
    }

    fn prepare(&mut self) -> anyhow::Result<()> {
        roots::programs();
        for runtime in ["runc", "runsc-rs"] {
            fs::create_dir_all(ops_of(runtime))?;
        }
        Ok(())
    }

    fn tests(&self) -> Vec<String> {
        list("tests.txt")
    }

    fn bundle(&self) -> anyhow::Result<Bundle> {
        let mut bundle = Bundle::new(&roots::programs(), &[]);
        let wanted: Vec<_> = CAPABILITIES.iter().map(|c| format!("CAP_{c}")).collect();
        // Of those only what this machine gives.
        let given =
            bundle.spec["process"]["capabilities"]["bounding"].as_array().cloned().unwrap_or_default();
        let capabilities: Vec<_> =
            given.into_iter().filter(|c| wanted.iter().any(|w| c.as_str() == Some(w))).collect();
        for set in ["bounding", "effective", "permitted"] {
            bundle.spec["process"]["capabilities"][set] = json!(&capabilities);
        }
        bundle.spec["process"]["capabilities"]["inheritable"] = json!([]);
        bundle.spec["process"]["capabilities"]["ambient"] = json!([]);
        bundle.spec["process"]["env"] = json!(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]);
        bundle.write();
        Ok(bundle)
    }

    fn run(&self, sandbox: &Sandbox, tests: &[String]) -> Vec<(String, Outcome)> {
        let idle = named("no-work.txt");
        let run = |test: &String| {
            let stressor = format!("--{test}");
            let args = ["stress-ng", &stressor, "1", "--timeout", "2s", "--verify", "--metrics-brief"];
            let ran = sandbox.exec(&[&args[..], &["--temp-path", "/tmp"]].concat(), DEADLINE);
            let output = format!("{}\n{}", ran.out, ran.err);
            let ops = bogo_ops(test, &output);
            let complaint = output.lines().find(|l| l.contains("fail:") || l.contains("error:"));
            let outcome = match (ran.code, complaint, ops) {
                (124, ..) => Outcome::fail("no end"),
                (0, None, 1..) => Outcome::pass(),
                _ if idle.contains_key(test) => Outcome::skip(idle.get(test).cloned().unwrap_or_default()),
                (_, Some(complaint), _) => Outcome::fail(complaint.trim_start_matches("stress-ng: ")),
                (code, None, _) => Outcome::fail(format!("did no work, exit status {code}")),
            };
            let runtime = if stand_in() { "runc" } else { "runsc-rs" };
            let _ = fs::write(ops_of(runtime).join(test), ops.to_string());
            (test.clone(), outcome.of(&ran))
        };
        tests.iter().map(run).collect()
    }

    fn finished(&self) -> anyhow::Result<()> {
        if stand_in() {
            return Ok(());
        }
        let reasons = named("slow.txt");
        let mut text = String::from(
            "# Bogo-ops in two seconds, runc beside runsc-rs; below a tenth with the reason (slow.txt).\n",
        );
        for test in self.tests() {
            let ops = |runtime| fs::read_to_string(ops_of(runtime).join(&test)).ok()?.parse::<u64>().ok();
            let (Some(theirs @ 1..), Some(ours @ 1..)) = (ops("runc"), ops("runsc-rs")) else { continue };
            let ratio = ours as f64 / theirs as f64;
            let reason = if ratio < 0.1 { reasons.get(&test).map_or("no reason given", |r| r) } else { "" };
            writeln!(text, "{}", format!("{test} {theirs} {ours} {ratio:.2} {reason}").trim_end())?;
        }
        fs::write(folder("stress-ng").join("bogo-ops.txt"), text)?;
        Ok(())
    }
}

/// The figure of the line of metrics that is about `test`; 0 where there is none.
fn bogo_ops(test: &str, output: &str) -> u64 {
    let lines = output.lines().filter_map(|l| l.split_once("metrc:"));
    let mut words = lines.map(|(_, l)| l.split_whitespace().skip(1).collect::<Vec<_>>());
    let of_test = words.find(|w| w.first() == Some(&test) && w.len() > 5);
    of_test.and_then(|w| w.get(1)?.parse().ok()).unwrap_or(0)
}
