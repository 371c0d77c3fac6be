//! The binary as its callers see it: output, messages, exit statuses, and that nothing is left behind.
//!
//! Nothing here needs a running container; where `runc` is installed, its output is the model.

#![allow(clippy::unwrap_used, missing_docs)]

use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};
use tempfile::TempDir;

fn runsc(root: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runsc-rs"));
    command.arg("--root").arg(root).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What was said, with the quotes of the log format taken off.
fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap().replace("\\\"", "\"")
}

/// A bundle with a root file system of one directory, its configuration changed by `change`.
fn bundle(change: impl FnOnce(&mut Value)) -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::create_dir_all(dir.path().join("rootfs/bin")).unwrap();
    let made = runsc(Path::new("/nonexistent"), &["spec", "--bundle", dir.path().to_str().unwrap()]);
    assert!(made.status.success(), "{}", stderr(&made));
    let file = dir.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/bin/true"]);
    change(&mut config);
    fs::write(&file, serde_json::to_vec(&config).unwrap()).unwrap();
    dir
}

/// Runs a bundle that cannot run: status 1, one line on stderr with `message` in it, nothing left.
fn refused(bundle: &Path, message: &str) {
    let root = TempDir::new().unwrap();
    let output = runsc(root.path(), &["run", "--bundle", bundle.to_str().unwrap(), "refused"]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(message), "{message:?} is not in {said:?}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "{message}: something is left in the root");
}

#[test]
fn spec_is_what_runc_writes() {
    for flag in [None, Some("--rootless")] {
        let (ours, theirs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let args = |dir: &TempDir| {
            let path = dir.path().to_str().unwrap().to_owned();
            ["spec".to_owned(), "--bundle".into(), path]
                .into_iter()
                .chain(flag.map(String::from))
                .collect::<Vec<_>>()
        };
        let status = Command::new(env!("CARGO_BIN_EXE_runsc-rs")).args(args(&ours)).status().unwrap();
        assert!(status.success());
        let text = fs::read_to_string(ours.path().join("config.json")).unwrap();
        assert!(serde_json::from_str::<Value>(&text).is_ok());
        if Command::new("runc").args(args(&theirs)).status().is_ok_and(|status| status.success()) {
            assert_eq!(text, fs::read_to_string(theirs.path().join("config.json")).unwrap());
        }
        let again = Command::new(env!("CARGO_BIN_EXE_runsc-rs")).args(args(&ours)).output().unwrap();
        assert_eq!(again.status.code(), Some(1));
        assert!(stderr(&again).contains("File config.json exists. Remove it first"));
    }
}

#[test]
fn features_and_version() {
    let root = TempDir::new().unwrap();
    let features: Value = serde_json::from_str(&stdout(&runsc(root.path(), &["features"]))).unwrap();
    assert_eq!(features["ociVersionMin"], "1.0.0");
    assert_eq!(features["linux"]["cgroup"]["v2"], true);
    let version = stdout(&runsc(root.path(), &["--version"]));
    assert!(version.starts_with("runsc-rs version ") && version.contains("\nspec: "), "{version}");
}

#[test]
fn an_empty_list() {
    let root = TempDir::new().unwrap();
    let header = "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n";
    assert_eq!(stdout(&runsc(root.path(), &["list"])), header);
    assert_eq!(stdout(&runsc(root.path(), &["list", "--format", "json"])), "null\n");
    assert_eq!(stdout(&runsc(root.path(), &["list", "-q"])), "");
    let odd = runsc(root.path(), &["list", "--format", "odd"]);
    assert!(stderr(&odd).contains("invalid format option"));
}

#[test]
fn a_container_that_does_not_exist() {
    let root = TempDir::new().unwrap();
    for args in [
        &["state", "nope"][..],
        &["start", "nope"],
        &["kill", "nope"],
        &["delete", "nope"],
        &["exec", "nope", "true"],
        &["pause", "nope"],
        &["resume", "nope"],
        &["ps", "nope"],
        &["events", "--stats", "nope"],
        &["wait", "nope"],
        &["update", "--memory", "1", "nope"],
    ] {
        let output = runsc(root.path(), args);
        let expected = if args[0] == "exec" { 255 } else { 1 };
        assert_eq!(output.status.code(), Some(expected), "{args:?}");
        assert!(stderr(&output).contains("container does not exist"), "{args:?}: {}", stderr(&output));
    }
    assert!(runsc(root.path(), &["delete", "--force", "nope"]).status.success());
}

#[test]
fn bad_bundles() {
    let place = |text: &str, message: &str| {
        let dir = bundle(|_| {});
        fs::write(dir.path().join("config.json"), text).unwrap();
        refused(dir.path(), message);
    };
    place("{ \"ociVersion\": \"1.0.2\", bad", "config.json:1:26: key must be a string");
    place("{\n\t\"ociVersion\": 3\n}", "config.json:2:");
    place("", "config.json:1:0: EOF");
    let dir = bundle(|_| {});
    fs::remove_file(dir.path().join("config.json")).unwrap();
    refused(dir.path(), "config.json not found");
    refused(Path::new("/nonexistent"), "/nonexistent: No such file");

    let cases: [(fn(&mut Value), &str); 9] = [
        (|c| c["process"]["args"] = json!([]), "args must not be empty"),
        (|c| c["process"] = Value::Null, "process property must not be empty"),
        (|c| c["root"] = Value::Null, "root must be specified"),
        (|c| c["root"]["path"] = json!("/nonexistent"), "invalid rootfs: stat /nonexistent: no such file"),
        (|c| c["ociVersion"] = json!("9.0.0"), "ociVersion \"9.0.0\" is not supported"),
        (|c| c["process"]["cwd"] = json!("rel"), "Cwd must be an absolute path"),
        (|c| c["process"]["user"]["uid"] = json!(-1), "invalid value: integer `-1`"),
        (
            |c| c["mounts"].as_array_mut().unwrap().push(json!({"destination": "/x", "type": "weirdfs"})),
            "mounts[7] (/x): unknown mount type \"weirdfs\"",
        ),
        (
            |c| {
                let bind = json!({"destination": "/x", "type": "bind", "source": "/nonexistent"});
                c["mounts"].as_array_mut().unwrap().push(bind);
            },
            "mounts[7] (/x): source /nonexistent: no such file",
        ),
    ];
    for (change, message) in cases {
        refused(bundle(change).path(), message);
    }
}

#[test]
fn bad_ids() {
    let root = TempDir::new().unwrap();
    let dir = bundle(|_| {});
    for id in ["a/b", "..", "a b", ""] {
        let output = runsc(root.path(), &["run", "--bundle", dir.path().to_str().unwrap(), id]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("invalid container ID format"), "{id:?}: {}", stderr(&output));
    }
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn errors_go_to_the_log_as_json() {
    let root = TempDir::new().unwrap();
    let log = root.path().join("log.json");
    let log_text = log.to_str().unwrap();
    let output = runsc(root.path(), &["--log", log_text, "--log-format", "json", "state", "nope"]);
    assert_eq!(stderr(&output), "container does not exist\n");
    let line: Value = serde_json::from_str(&fs::read_to_string(&log).unwrap()).unwrap();
    assert_eq!(
        (line["level"].as_str(), line["msg"].as_str()),
        (Some("error"), Some("container does not exist"))
    );
    assert!(line["time"].is_string());
}

#[test]
fn mistakes_on_the_command_line() {
    let root = TempDir::new().unwrap();
    assert_eq!(runsc(root.path(), &["nosuchcommand"]).status.code(), Some(3));
    assert_eq!(runsc(root.path(), &["run", "--nosuchflag", "a"]).status.code(), Some(1));
    assert_eq!(runsc(root.path(), &["state"]).status.code(), Some(1));
    assert_eq!(runsc(root.path(), &["--help"]).status.code(), Some(0));
    let odd = runsc(root.path(), &["--platform", "abacus", "do", "true"]);
    assert!(stderr(&odd).contains("platform \"abacus\" is not part of this build"), "{}", stderr(&odd));
    let odd = runsc(root.path(), &["--overlay2", "root:floppy", "do", "true"]);
    assert!(stderr(&odd).contains("--overlay2: \"floppy\""), "{}", stderr(&odd));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn nobody_else_starts_the_inner_roles() {
    use std::os::unix::process::CommandExt;
    for role in ["runsc-rs-gofer", "runsc-rs-sandbox"] {
        let output = Command::new(env!("CARGO_BIN_EXE_runsc-rs")).arg0(role).arg("99").output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("is started by runsc-rs itself"));
    }
}
