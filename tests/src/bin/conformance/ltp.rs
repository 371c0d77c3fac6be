//! The Linux Test Project: the tests that `tests/conformance/ltp/tests.txt` chooses, each an `exec` of its own.
//!
//! LTP is not fetched: `LTP_SOURCE` is a checkout that is copied and built static, once, below `target/`; `LTP_DIR` an
//! installed tree (`testcases/bin` and `runtest`) that is used as it is. What a test is run with comes from
//! LTP's own `runtest` lists. A test passes that exits with 0; one that says TCONF (it does not apply here) fails,
//! because every chosen one applies to Linux in a container. `LTP_TESTS` names a file with other tests to choose.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::json;
use tests::run::run_with;
use tests::{Bundle, roots};

use crate::report::{folder, scratch};
use crate::sandbox::Sandbox;
use crate::suite::{Outcome, Suite};

/// LTP's own deadlines end nearly every test that hangs; this one ends what they do not.
const DEADLINE: Duration = Duration::from_secs(120);

/// Users and groups that tests look up.
const USERS: &[(&str, u32)] =
    &[("root", 0), ("bin", 1), ("daemon", 2), ("sys", 3), ("users", 100), ("nobody", 65534)];

/// The suite.
#[derive(Default)]
pub struct Ltp {
    tests: Vec<String>,
    dir: PathBuf,
    commands: HashMap<String, String>,
}

impl Ltp {
    fn root(&self) -> PathBuf {
        scratch(self.name()).join("root")
    }

    /// The installed tree: the one given, else the one built before, else one built now.
    fn installed(&self) -> anyhow::Result<PathBuf> {
        if let Some(dir) = std::env::var_os("LTP_DIR") {
            return Ok(dir.into());
        }
        let built = scratch(self.name()).join("installed");
        if built.join("complete").exists() {
            return Ok(built);
        }
        let Some(source) = std::env::var_os("LTP_SOURCE") else {
            bail!(
                "LTP is neither given nor built: LTP_SOURCE=DIR names its source, which is then built below target/ \
                 (git clone --depth 1 https://github.com/linux-test-project/ltp; needs autoconf, automake, m4, \
                 pkg-config, libcap-dev and libaio-dev), LTP_DIR=DIR an installed one"
            );
        };
        let mut build = Command::new(folder(self.name()).join("build"));
        build.args([source, OsString::from(&built)]).arg(folder(self.name()).join("tests.txt"));
        let ran = run_with(&mut build, b"", Duration::from_secs(3600));
        ensure!(ran.code == 0, "building LTP: {ran}");
        fs::write(built.join("complete"), "")?;
        Ok(built)
    }

    fn make_root(&self) -> anyhow::Result<()> {
        let root = self.root();
        roots::skeleton(&root);
        fs::create_dir_all(root.join("ltp"))?;
        fs::create_dir_all(root.join("var/tmp"))?;
        fs::set_permissions(root.join("var/tmp"), fs::Permissions::from_mode(0o1777))?;
        let lines =
            |make: &dyn Fn(&str, u32) -> String| USERS.iter().map(|(n, id)| make(n, *id)).collect::<String>();
        fs::write(root.join("etc/passwd"), lines(&|n, id| format!("{n}:x:{id}:{id}::/:/bin/sh\n")))?;
        fs::write(root.join("etc/group"), lines(&|n, id| format!("{n}:x:{id}:\n")))?;
        Ok(())
    }
}

impl Suite for Ltp {
    fn name(&self) -> &'static str {
        "ltp"
    }

    fn prepare(&mut self) -> anyhow::Result<()> {
        roots::locked("ltp", || {
            self.dir = self.installed()?;
            self.make_root()
        })?;
        self.commands = runtest(&self.dir.join("runtest"))?;
        let list = std::env::var_os("LTP_TESTS").map_or(folder(self.name()).join("tests.txt"), PathBuf::from);
        let list = fs::read_to_string(&list).with_context(|| list.display().to_string())?;
        // FAMILY: TEST...
        let words =
            list.lines().filter_map(|l| l.split_once(':')).flat_map(|(_, names)| names.split_whitespace());
        self.tests = words.map(str::to_owned).collect();
        Ok(())
    }

    fn tests(&self) -> Vec<String> {
        self.tests.clone()
    }

    fn is_usual(&self) -> bool {
        std::env::var_os("LTP_TESTS").is_none()
    }

    fn bundle(&self) -> anyhow::Result<Bundle> {
        let mut bundle = Bundle::new(&self.root(), &[]);
        bundle.bind(&self.dir, "/ltp", &["ro"]);
        let env = bundle.spec["process"]["env"].as_array_mut().context("no environment")?;
        env.clear();
        for setting in [
            "PATH=/ltp/testcases/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LTPROOT=/ltp",
            "TMPDIR=/tmp",
            "LC_ALL=C",
            "LTP_COLORIZE_OUTPUT=n",
            // the others need programs that make them
            "LTP_SINGLE_FS_TYPE=tmpfs",
            "LTP_DEV_FS_TYPE=tmpfs",
            // a container has no configuration of the kernel to look into
            "KCONFIG_SKIP_CHECK=1",
        ] {
            env.push(setting.into());
        }
        bundle.spec["process"]["cwd"] = "/tmp".into();
        // tests set limits of their own, up to none
        bundle.spec["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "hard": 4096, "soft": 1024}]);
        // tests of file systems attach a file to a loop device, whatever they mount then
        let mut devices = vec![json!({"path": "/dev/loop-control", "type": "c", "major": 10, "minor": 237})];
        let loops =
            (0..8).map(|n| json!({"path": format!("/dev/loop{n}"), "type": "b", "major": 7, "minor": n}));
        devices.extend(loops);
        bundle.spec["linux"]["devices"] = devices.into();
        bundle.spec["linux"]["resources"] = json!({"devices": [{"allow": true, "access": "rwm"}]});
        bundle.write();
        Ok(bundle)
    }

    fn run(&self, sandbox: &Sandbox, tests: &[String]) -> Vec<(String, Outcome)> {
        let one = |test: &String| {
            let command = self.commands.get(test).unwrap_or(test);
            let ran = sandbox.exec(&["/bin/sh", "-c", &format!("exec {command}")], DEADLINE);
            (test.clone(), verdict(ran.code, &format!("{}\n{}", ran.out, ran.err)).of(&ran))
        };
        tests.iter().map(one).collect()
    }
}

/// What an exit status and the output mean.
fn verdict(code: i32, output: &str) -> Outcome {
    let word = match code {
        0 => return Outcome::pass(),
        124 => "no end",
        127 => "no such program",
        _ if code & 1 != 0 => "TFAIL",
        _ if code & 2 != 0 => "TBROK",
        _ if code & 32 != 0 => "TCONF",
        _ => "TWARN",
    };
    let line = output.lines().find(|l| l.contains(word)).unwrap_or_default();
    // FILE.c:LINE: TFAIL: what
    let what = line.split_once(word).map_or("", |(_, what)| what.trim_start_matches([':', ' ']));
    let separator = if what.is_empty() { "" } else { ": " };
    Outcome::fail(format!("{word}{separator}{what}"))
}

/// The commands of LTP's lists: name, blank, command. The first of several that have a name counts.
fn runtest(dir: &Path) -> anyhow::Result<HashMap<String, String>> {
    let entries = fs::read_dir(dir).with_context(|| format!("{}: not an installed LTP", dir.display()))?;
    let mut files: Vec<_> = entries.flatten().map(|e| e.path()).collect();
    files.sort();
    let mut commands = HashMap::new();
    for file in files {
        for line in fs::read_to_string(&file).unwrap_or_default().lines() {
            if let Some((name, command)) =
                line.split_once(char::is_whitespace).filter(|_| !line.starts_with('#'))
            {
                commands.entry(name.to_owned()).or_insert_with(|| command.trim().to_owned());
            }
        }
    }
    Ok(commands)
}
