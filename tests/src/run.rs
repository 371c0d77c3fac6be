//! Running a command to its end or to a deadline.
//!
//! Output goes to files, not pipes: a process that is left behind cannot keep the test waiting. Orphans of
//! what is run are reparented to the test process and reaped here, so nothing that ended looks alive.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, Once};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// Deadline of one command; far above what any takes on a slow machine.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// Process ids of running `Child`ren: theirs are not to be reaped as orphans.
static OWN: Mutex<Option<HashSet<i32>>> = Mutex::new(None);

/// What a command gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Exit status as a shell shows it (128+n for signals), 124 where the deadline passed.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Outcome {
    /// Panics with everything that is known unless the exit status is `code`.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert!(self.code == code, "exit status {}, not {code}\n{self}", self.code);
        self
    }

    /// Panics unless the exit status is 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// Panics unless standard output, without white space around it, is `text`.
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert!(self.out.trim() == text.trim(), "expected output {text:?}\n{self}");
        self
    }

    /// Panics unless standard output or standard error contains `text`.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.out.contains(text) || self.err.contains(text), "expected to read {text:?}\n{self}");
        self
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "-- status {}\n-- stdout\n{}\n-- stderr\n{}", self.code, self.out, self.err)
    }
}

/// A status as a shell shows it.
pub fn shell_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Makes this process the reaper of everything that it starts, once.
pub fn adopt_orphans() {
    static START: Once = Once::new();
    START.call_once(|| {
        nix::sys::prctl::set_child_subreaper(true).unwrap();
        std::thread::spawn(|| {
            loop {
                reap_orphans();
                std::thread::sleep(Duration::from_millis(20));
            }
        });
    });
}

/// Children of this process that were not started by [`spawn`], as (pid, state).
pub fn orphans() -> Vec<(i32, char)> {
    let me = std::process::id().to_string();
    let own = OWN.lock().unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
        let mut words = rest.split(' ');
        let (Some(state), Some(parent)) = (words.next(), words.next()) else { continue };
        if parent == me && !own.as_ref().is_some_and(|o| o.contains(&pid)) {
            found.push((pid, state.chars().next().unwrap_or('?')));
        }
    }
    found
}

fn reap_orphans() {
    for (pid, state) in orphans() {
        if state == 'Z' {
            let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
        }
    }
}

/// Starts a command in a process group of its own; [`finish`] must see its end.
pub fn spawn(command: &mut Command) -> Child {
    adopt_orphans();
    let mut own = OWN.lock().unwrap();
    let child = command.process_group(0).spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    own.get_or_insert_default().insert(child.id() as i32);
    child
}

/// Waits for a command from [`spawn`]; past the deadline it is killed and `None` comes back.
pub fn finish(child: &mut Child, deadline: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + deadline;
    let mut nap = Duration::from_millis(1);
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if Instant::now() >= end => {
                // its group first: a shell's children end with it
                let _ = kill(Pid::from_raw(-(child.id() as i32)), Signal::SIGKILL);
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            Ok(None) => {
                std::thread::sleep(nap);
                nap = (nap * 2).min(Duration::from_millis(20));
            }
            Err(e) => panic!("wait: {e}"),
        }
    };
    if let Some(own) = OWN.lock().unwrap().as_mut() {
        own.remove(&(child.id() as i32));
    }
    status
}

/// Runs a command with `input` on its standard input.
pub fn run_with(command: &mut Command, input: &[u8], deadline: Duration) -> Outcome {
    let (mut stdin, mut out, mut err) = (file(), file(), file());
    stdin.write_all(input).unwrap();
    stdin.rewind().unwrap();
    let copy = |f: &File| Stdio::from(f.try_clone().unwrap());
    if input.is_empty() {
        command.stdin(Stdio::null());
    } else {
        command.stdin(copy(&stdin));
    }
    let mut child = spawn(command.stdout(copy(&out)).stderr(copy(&err)));
    let status = finish(&mut child, deadline);
    let read = |f: &mut File| {
        let mut bytes = Vec::new();
        f.rewind().unwrap();
        f.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let mut outcome =
        Outcome { code: status.map_or(124, shell_code), out: read(&mut out), err: read(&mut err) };
    if status.is_none() {
        outcome.err.push_str(&format!("\n(no end in {deadline:?}: killed)"));
    }
    outcome
}

/// Runs a command with nothing on its standard input.
pub fn run(command: &mut Command) -> Outcome {
    run_with(command, b"", DEADLINE)
}

/// Asks until the answer is yes or the deadline has passed, then panics.
#[track_caller]
pub fn until(what: &str, mut test: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !test() {
        assert!(Instant::now() < end, "still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn file() -> File {
    tempfile::tempfile().unwrap()
}
