//! Guest programs: C files in `tests/guest`, each a list of tests, run on Linux and in the sandbox.
//!
//! The programs are built into a root file system of their own (`target/roots/guest`, programs in `/guest`),
//! statically; those in [`DYNAMIC`] once more as position-independent programs with libc from the host.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bundle::{Bundle, fresh_id};
use crate::leaks;
use crate::roots::{locked, skeleton};
use crate::run::{DEADLINE, Outcome, run, run_with};
use crate::runtime::{Runtime, target, workspace};

/// Programs that are tested linked dynamically as well.
pub const DYNAMIC: &[&str] =
    &["mem_map", "proc_exec", "proc_fork", "sig_basic", "thread_basic", "time_sleep"];

/// Programs that are tested with an overlay whose upper layer is in a host file.
const STORED: &[&str] = &["fs_copy", "fs_mmap", "fs_open", "fs_rw"];

/// How a test is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Static, its files on the tmpfs at `/tmp`.
    Guest,
    /// Static, its files on the container's root (`fs_*` programs).
    Root,
    /// As `Root`, with `--overlay2=root:self`.
    Stored,
    /// Dynamically linked, its files on tmpfs.
    Dynamic,
}

impl Kind {
    /// Its files are on the container's root.
    fn on_root(self) -> bool {
        matches!(self, Kind::Root | Kind::Stored)
    }
}

impl Kind {
    /// First part of a test's name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Guest => "guest",
            Kind::Root => "guest_root",
            Kind::Stored => "guest_stored",
            Kind::Dynamic => "guest_dynamic",
        }
    }
}

/// One test of one program.
#[derive(Clone, Debug)]
pub struct Case {
    /// How it is run.
    pub kind: Kind,
    /// The program: name of the C file.
    pub program: String,
    /// The test: argument of `TEST`.
    pub test: String,
}

impl Case {
    /// Its name to the test runner and in the list of expected failures.
    pub fn name(&self) -> String {
        format!("{}::{}::{}", self.kind.name(), self.program, self.test)
    }
}

fn sources() -> PathBuf {
    workspace().join("tests/guest")
}

/// Every case, read from the sources (so that listing needs no compiler).
pub fn cases() -> Vec<Case> {
    let mut names: Vec<_> = fs::read_dir(sources()).unwrap().flatten().map(|e| e.path()).collect();
    names.retain(|p| p.extension().is_some_and(|e| e == "c"));
    names.sort();
    let mut cases = Vec::new();
    for path in names {
        let program = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let tests: Vec<_> = text
            .lines()
            .filter_map(|l| l.strip_prefix("TEST(")?.split(')').next().map(str::to_owned))
            .collect();
        let mut add = |kind| {
            cases.extend(tests.iter().map(|t| Case { kind, program: program.clone(), test: t.clone() }));
        };
        add(Kind::Guest);
        if program.starts_with("fs_") {
            add(Kind::Root);
        }
        if STORED.contains(&program.as_str()) && !crate::runtime::stand_in() {
            add(Kind::Stored);
        }
        if DYNAMIC.contains(&program.as_str()) {
            add(Kind::Dynamic);
        }
    }
    cases
}

/// Builds one program where its source is newer, and returns the root that has it.
pub fn build(program: &str) -> PathBuf {
    let root = target().join("roots/guest");
    locked("guest-root", || {
        if !root.join("complete").exists() {
            skeleton(&root);
            fs::create_dir_all(root.join("guest")).unwrap();
            fs::create_dir_all(root.join("lib/x86_64-linux-gnu")).unwrap();
            fs::copy("/lib64/ld-linux-x86-64.so.2", root.join("lib64/ld-linux-x86-64.so.2")).unwrap();
            // libgcc_s is what thread cancellation unwinds with
            for library in ["lib/x86_64-linux-gnu/libc.so.6", "lib/x86_64-linux-gnu/libgcc_s.so.1"] {
                fs::copy(Path::new("/").join(library), root.join(library)).unwrap();
            }
            fs::write(root.join("complete"), "").unwrap();
        }
        compile(program, &root.join("guest").join(program), &["-static"]);
        if DYNAMIC.contains(&program) {
            compile(program, &root.join("guest").join(format!("{program}.dynamic")), &["-fPIE", "-pie"]);
        }
    });
    root
}

fn compile(program: &str, out: &Path, how: &[&str]) {
    let source = sources().join(format!("{program}.c"));
    let time = |p: &Path| fs::metadata(p).and_then(|m| m.modified()).ok();
    let newest = time(&source).max(time(&sources().join("guest.h")));
    if time(out) > newest {
        return;
    }
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=gnu17", "-O1", "-g", "-pthread", "-w"]).args(how).arg("-o").arg(out).arg(&source);
    let built = run(&mut gcc);
    assert!(built.code == 0, "{}: {built}", source.display());
}

/// Runs a case on the host.
pub fn native(case: &Case, program: &Path) -> Outcome {
    // The same kind of file system as inside: tmpfs, or the disk that the container's root is on.
    let near = if case.kind.on_root() { target() } else { "/dev/shm".into() };
    let dir = tempfile::Builder::new().prefix("runsc-test-native.").tempdir_in(near).unwrap();
    fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut c = Command::new("prlimit");
    c.args(["--nofile=1024:4096", "--core=0:0", "--"]).arg(program).arg(&case.test);
    c.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").env("TMPDIR", dir.path());
    run_with(c.current_dir("/"), b"", DEADLINE)
}

/// Runs a case in a container of the runtime under test.
pub fn sandboxed(case: &Case, root: &Path) -> Outcome {
    let runtime = Runtime::new();
    let suffix = if case.kind == Kind::Dynamic { ".dynamic" } else { "" };
    let id = fresh_id("guest");
    let work = root.join("work").join(&id);
    let mut bundle = Bundle::new(root, &[&format!("/guest/{}{suffix}", case.program), &case.test]);
    if case.kind.on_root() {
        fs::create_dir(&work).unwrap();
        let env = bundle.spec["process"]["env"].as_array_mut().unwrap();
        env.push(format!("TMPDIR=/work/{id}").into());
        bundle.write();
    }
    let mut args = vec!["run", "--bundle", bundle.arg(), &id];
    if case.kind == Kind::Stored {
        args.insert(0, "--overlay2=root:self");
    }
    let outcome = runtime.run(&args);
    if outcome.code == 124 {
        runtime.wipe(&id);
    }
    let _ = fs::remove_dir_all(&work);
    leaks::check(&runtime, &id);
    outcome
}

/// The lists in `tests/expected-failures`: name to reason.
pub fn expected_failures(list: &str) -> BTreeMap<String, String> {
    let path = workspace().join("tests/expected-failures").join(list);
    let text = fs::read_to_string(&path).unwrap_or_default();
    let lines = text.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty());
    lines.map(|l| l.split_once(' ').unwrap_or((l, ""))).map(|(n, r)| (n.to_owned(), r.to_owned())).collect()
}

/// Runs a case on both sides and says what differs.
pub fn compare(case: &Case) -> Result<(), String> {
    let root = build(&case.program);
    let suffix = if case.kind == Kind::Dynamic { ".dynamic" } else { "" };
    let here = native(case, &root.join("guest").join(format!("{}{suffix}", case.program)));
    if here.code != 0 {
        return Err(format!("the test does not hold on this Linux:\n{here}"));
    }
    let there = sandboxed(case, &root);
    if (there.code, &there.out) == (here.code, &here.out) {
        return Ok(());
    }
    Err(format!("differs from Linux:\n== Linux\n{here}\n== sandbox\n{there}"))
}
