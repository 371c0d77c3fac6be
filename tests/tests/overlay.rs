//! `--overlay2` with a host file behind the upper layer: where data is, what mappings see, what is left.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use tests::bundle::{Bundle, fresh_id};
use tests::run::until;
use tests::{Outcome, Runtime, leaks, roots, runtime};

const MIB: u64 = 1 << 20;

/// A container with an upper layer on a root of its own.
struct Container {
    r: Runtime,
    id: String,
    b: Bundle,
    root: tempfile::TempDir,
    setting: String,
}

impl Container {
    fn new(setting: &str, script: &str) -> Self {
        // On a disk, where the target directory is.
        let root = tempfile::Builder::new().prefix("overlay-root.").tempdir_in(runtime::target()).unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        roots::skeleton(root.path());
        fs::write(root.path().join("work/old"), "old text\n").unwrap();
        let setting = format!("--overlay2={}", setting.replace("ROOT", root.path().to_str().unwrap()));
        let b = Bundle::new(root.path(), &["/bin/sh", "-c", script]);
        Self { r: Runtime::new(), id: fresh_id("ovl"), b, root, setting }
    }
    fn run(&self, more: &[&str]) -> Outcome {
        let mut args = vec![self.setting.as_str(), "run", "--bundle", self.b.arg()];
        args.extend(more);
        args.push(&self.id);
        self.r.run(&args)
    }
    /// Bytes that the sandbox' memory file and its upper layer's file take on the host.
    fn taken(&self) -> (u64, u64) {
        let pid = self.r.state(&self.id).unwrap()["pid"].as_u64().unwrap();
        let (mut memory, mut disk) = (0, 0);
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
            let Ok(to) = fs::read_link(entry.path()) else { continue };
            let to = to.to_string_lossy().into_owned();
            let bytes = || fs::metadata(entry.path()).map_or(0, |m| m.blocks() * 512);
            if to.starts_with("/memfd:runsc-rs-memory") {
                memory = bytes();
            } else if to.starts_with(runtime::target().to_str().unwrap()) && to.ends_with("(deleted)") {
                disk += bytes();
            }
        }
        (memory, disk)
    }
    fn end(&self) {
        self.r.wipe(&self.id);
        leaks::check(&self.r, &self.id);
        // Neither what was written nor the file that it was in.
        let names = fs::read_dir(self.root.path()).unwrap().flatten().map(|e| e.file_name());
        assert!(!names.into_iter().any(|n| n.to_string_lossy().contains("overlay")));
        assert_eq!(fs::read_to_string(self.root.path().join("work/old")).unwrap(), "old text\n");
        assert_eq!(fs::read_dir(self.root.path().join("work")).unwrap().count(), 1);
    }
}

/// 64 MiB that are written are on the disk and not in memory, and gone when they are removed.
fn data_is_on_the_disk(setting: &str) {
    let script =
        "cd /work; echo more >> old; cat old > copy; dd if=/dev/urandom of=big bs=1M count=64 2>/dev/null;
        sha256sum < big > sum; cp big big2; rm big; touch there; while [ -e there ]; do sleep 0.05; done;
        sha256sum < big2 | cmp - sum && rm big2 && touch gone; sleep 1000";
    let c = Container::new(setting, script);
    c.run(&["--detach"]).ok();
    let exec = |script: &str| c.r.run(&["exec", &c.id, "/bin/sh", "-c", script]);
    until("written", || exec("test -e /work/there").code == 0);
    let (memory, disk) = c.taken();
    assert!((64 * MIB..80 * MIB).contains(&disk), "{} MiB on the disk", disk / MIB);
    assert!(memory < 24 * MIB, "{} MiB in memory", memory / MIB);
    exec("cat /work/copy").ok().prints("old text\nmore");
    exec("rm /work/there").ok();
    until("removed", || exec("test -e /work/gone").code == 0);
    let (_, disk) = c.taken();
    assert!(disk < 2 * MIB, "{} MiB on the disk after removal", disk / MIB);
    c.end();
}

#[test]
fn root_self() {
    if !runtime::stand_in() {
        data_is_on_the_disk("root:self");
    }
}

#[test]
fn root_in_a_directory() {
    if !runtime::stand_in() {
        data_is_on_the_disk("root:dir=ROOT/var");
    }
}

#[test]
fn programs_run_from_it() {
    if runtime::stand_in() {
        return;
    }
    let script = "cp /bin/busybox /work/busybox2 && /work/busybox2 echo ran && echo '#!/work/busybox2 sh\necho script' > /work/s && chmod +x /work/s && /work/s
        df /work | tail -1 | awk '{ print ($4 > 1000) }'; mv /work/old /work/new && cat /work/new; rm /work/new; ls /work/old";
    for setting in ["root:self", "all:self", "self"] {
        let c = Container::new(setting, script);
        c.run(&[]).exits(1).prints("ran\nscript\n1\nold text");
        c.end();
    }
}

#[test]
fn size_limits() {
    if runtime::stand_in() {
        return;
    }
    for setting in ["root:self,size=8m", "root:memory,size=8m"] {
        let script = "dd if=/dev/zero of=/work/busybox2ig bs=1M count=20 2>&1 | grep -o 'No space left'; stat -c %s /work/busybox2ig";
        let c = Container::new(setting, script);
        c.run(&[]).ok().prints("No space left\n8388608");
        c.end();
    }
}

#[test]
fn volumes_too() {
    if runtime::stand_in() {
        return;
    }
    let volume = tempfile::Builder::new().prefix("overlay-volume.").tempdir_in(runtime::target()).unwrap();
    fs::write(volume.path().join("f"), "theirs\n").unwrap();
    let mut c =
        Container::new("all:self", "cat /vol/f; echo ours > /vol/f; cat /vol/f; echo x > /vol/new; ls /vol");
    c.b.bind(volume.path(), "/vol", &["rw"]);
    c.run(&[]).ok().prints("theirs\nours\nf\nnew");
    c.end();
    assert_eq!(fs::read_to_string(volume.path().join("f")).unwrap(), "theirs\n");
    assert_eq!(fs::read_dir(volume.path()).unwrap().count(), 1);
}

#[test]
fn settings_that_cannot_be() {
    if runtime::stand_in() {
        return;
    }
    for (setting, said) in [
        ("root:dir=/nonexistent", "/nonexistent"),
        ("root:dir=relative", "absolute"),
        ("root:dir=/proc", "/proc"),
        ("root:self,size=lots", "size"),
    ] {
        let c = Container::new(setting, "true");
        let o = c.run(&[]);
        assert!(o.code != 0 && o.err.trim().lines().count() == 1, "{setting}: {o}");
        o.says(said);
        assert!(!Path::new("/nonexistent").exists());
        c.end();
    }
}
