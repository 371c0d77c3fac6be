//! The programs that are measured (`tools/bench/workload`), once each: none fails, and what they print is what they
//! print under runc.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::Duration;

use tests::bundle::{Bundle, fresh_id};
use tests::roots::Scratch;
use tests::run::run_with;
use tests::{Runtime, leaks, roots};

/// Runs all of them; by name, what was printed: a checksum, or a figure of a server under load.
fn workloads(r: &Runtime) -> BTreeMap<String, String> {
    let (id, root) = (fresh_id("work"), Scratch::new(&roots::programs()));
    let b = Bundle::new(&root.root(), &["/usr/bin/env", "QUICK=1", "/usr/local/bin/workload"]);
    let mut command = r.command(&["run", "--bundle", b.arg(), &id]);
    let o = run_with(&mut command, b"", Duration::from_secs(200)).ok();
    r.wipe(&id);
    leaks::check(r, &id);
    let line = |l: &str| l.split_once(' ').map(|(name, what)| (name.to_owned(), what.to_owned()));
    o.out.lines().filter_map(line).collect()
}

#[test]
fn workloads_do_what_they_do_under_runc() {
    let ours = workloads(&Runtime::new());
    let theirs = workloads(&Runtime { binary: "runc".into(), ours: false, ..Runtime::new() });
    assert!(theirs.len() > 20, "{theirs:?}");
    for (name, expected) in &theirs {
        let got = ours.get(name).unwrap_or_else(|| panic!("{name} printed nothing: {ours:?}"));
        assert!(expected != "failed" && got != "failed", "{name}: {got}, under runc {expected}");
        match expected.strip_suffix(" ops/s") {
            None => assert_eq!(got, expected, "{name}"),
            Some(_) => {
                let figure = got.strip_suffix(" ops/s").and_then(|n| n.parse::<f64>().ok());
                assert!(figure.is_some_and(|n| n > 0.0), "{name}: {got}");
            }
        }
    }
}
