//! OCI bundles.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

/// A bundle directory that goes with the value.
pub struct Bundle {
    dir: tempfile::TempDir,
    /// The configuration; [`Bundle::write`] puts it down.
    pub spec: Value,
}

/// The capabilities that this process could have: what runs natively and in a bundle has the same.
fn capabilities() -> Vec<String> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|l| l.strip_prefix("CapBnd:")).unwrap();
    let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
    let held = abi::Cap::ALL.iter().filter(|cap| mask >> cap.number() & 1 == 1);
    held.map(|cap| format!("CAP_{}", cap.name())).collect()
}

/// A container id that no other test uses.
pub fn fresh_id(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("t-{what}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Bundle {
    /// A bundle of `root` that runs `args` as root with every capability.
    pub fn new(root: &Path, args: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("runsc-test-bundle.").tempdir().unwrap();
        let caps = capabilities();
        let mount = |to: &str, kind: &str, options: &[&str]| json!({"destination": to, "type": kind, "source": kind, "options": options});
        let spec = json!({
            "ociVersion": "1.0.2",
            "process": {
                "terminal": false,
                "user": {"uid": 0, "gid": 0},
                "args": args,
                "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"],
                "cwd": "/",
                "capabilities": {"bounding": caps, "effective": caps, "permitted": caps},
                "rlimits": [
                    {"type": "RLIMIT_NOFILE", "hard": 4096, "soft": 1024},
                    {"type": "RLIMIT_CORE", "hard": 0, "soft": 0},
                ],
                "noNewPrivileges": false,
            },
            "root": {"path": root, "readonly": false},
            "hostname": "guest",
            "mounts": [
                mount("/proc", "proc", &[]),
                mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
                mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
                mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
                mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
                mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
                mount("/tmp", "tmpfs", &["mode=1777"]),
            ],
            "linux": {
                "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}],
            },
        });
        let bundle = Self { dir, spec };
        bundle.write();
        bundle
    }

    /// Writes the configuration down again after a change.
    pub fn write(&self) {
        self.write_text(&serde_json::to_string_pretty(&self.spec).unwrap());
    }

    /// Writes any text as the configuration.
    pub fn write_text(&self, text: &str) {
        std::fs::write(self.path().join("config.json"), text).unwrap();
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The directory as an argument.
    pub fn arg(&self) -> &str {
        self.path().to_str().unwrap()
    }

    /// Adds a bind mount.
    pub fn bind(&mut self, from: &Path, to: &str, options: &[&str]) {
        let mut all = vec!["rbind"];
        all.extend(options);
        let mount = json!({"destination": to, "type": "bind", "source": from, "options": all});
        self.spec["mounts"].as_array_mut().unwrap().push(mount);
        self.write();
    }

    /// A path below the bundle.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}
