//! Every test of every guest program must print the same and end the same on Linux and in a sandbox.
//!
//! `expected-failures/guest.txt` names those that do not yet, with the reason; one that passes although it is
//! listed fails, so the list stays true.
#![forbid(unsafe_code)]

use libtest_mimic::{Arguments, Failed, Trial};
use tests::{guest, runtime};

fn main() {
    let args = Arguments::from_args();
    // a stand-in has failures of its own kind: the lists are about ours
    let list = if runtime::stand_in() { "guest-stand-in.txt" } else { "guest.txt" };
    let mut expected = guest::expected_failures(list);
    let mut trials = Vec::new();
    for case in guest::cases() {
        let reason = expected.remove(&case.name());
        trials.push(Trial::test(case.name(), move || match (guest::compare(&case), reason) {
            (Ok(()), None) => Ok(()),
            (Ok(()), Some(_)) => {
                Err(Failed::from("passes, but is listed as an expected failure: remove the line"))
            }
            (Err(_), Some(_)) => Ok(()),
            (Err(what), None) => Err(Failed::from(what)),
        }));
    }
    trials.push(Trial::test("guest::expected_failures_exist", move || {
        if expected.is_empty() { Ok(()) } else { Err(format!("no such tests: {expected:?}").into()) }
    }));
    libtest_mimic::run(&args, trials).exit();
}
