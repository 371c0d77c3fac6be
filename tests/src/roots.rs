//! Root file systems for containers, made once and kept below `target/`.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::run::{run, run_with};
use crate::runtime::{target, workspace};

/// Holds a lock on `target/NAME.lock` while `make` runs: tests are processes of their own.
pub fn locked<T>(name: &str, make: impl FnOnce() -> T) -> T {
    let file = File::create(target().join(format!("{name}.lock"))).unwrap();
    let _lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|e| e.1).unwrap();
    make()
}

/// A root of static busybox alone, with `/etc` files and mount points.
pub fn busybox() -> PathBuf {
    let root = target().join("roots/busybox");
    locked("busybox-root", || {
        if !root.join("complete").exists() {
            skeleton(&root);
            fs::write(root.join("complete"), "").unwrap();
        }
    });
    root
}

/// Makes the directories, `/etc` and busybox of a root.
pub fn skeleton(root: &Path) {
    for dir in ["bin", "dev", "etc", "home", "lib64", "proc", "root", "sys", "tmp", "usr/bin", "var", "work"]
    {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home:/bin/sh\n")
        .unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\nuser:x:1000:\n").unwrap();
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].iter().find(|p| Path::new(p).exists());
    fs::copy(busybox.expect("busybox-static is not installed"), root.join("bin/busybox")).unwrap();
    let applets = run(Command::new("/bin/busybox").arg("--list")).ok().out;
    for applet in applets.lines().filter(|a| *a != "busybox") {
        let _ = fs::remove_file(root.join("bin").join(applet));
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
}

/// The Debian root (`tools/make-root` makes it): python3, perl, git, gcc, make, procps, iproute2.
pub fn debian() -> PathBuf {
    let root = std::env::var_os("DEBIAN_ROOT").map_or_else(|| target().join("roots/debian"), PathBuf::from);
    locked("debian-root", || {
        let made = run(Command::new(workspace().join("tools/make-root")).arg(&root));
        assert!(made.code == 0, "tools/make-root: {made}");
    });
    root
}

/// The Debian root with many programs (`tools/bench/make-rootfs` makes it).
pub fn programs() -> PathBuf {
    let given = std::env::var_os("PROGRAMS_ROOT").map(PathBuf::from);
    let root = given.clone().unwrap_or_else(|| target().join("roots/programs"));
    let base = debian();
    locked("programs-root", || {
        let mut make = Command::new(workspace().join("tools/bench/make-rootfs"));
        let made = run_with(make.arg(&root).arg(base), b"", Duration::from_secs(1200));
        assert!(made.code == 0, "tools/bench/make-rootfs: {made}");
    });
    root
}

/// A root to write to: an overlay on another one, whose upper layer goes with the value.
pub struct Scratch {
    dir: tempfile::TempDir,
}

impl Scratch {
    /// On top of `lower`.
    pub fn new(lower: &Path) -> Self {
        let dir = tempfile::Builder::new().prefix("runsc-test-root.").tempdir().unwrap();
        for name in ["upper", "work", "root"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let scratch = Self { dir };
        let at = |name| scratch.dir.path().join(name);
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.display(),
            at("upper").display(),
            at("work").display()
        );
        mount(Some("overlay"), &scratch.root(), Some("overlay"), MsFlags::empty(), Some(options.as_str()))
            .unwrap_or_else(|e| panic!("mount {options}: {e}"));
        scratch
    }

    /// Where it is.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = umount2(&self.root(), MntFlags::MNT_DETACH);
    }
}
