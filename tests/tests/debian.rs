//! A Debian root, made by debootstrap, as an OCI bundle.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use tests::bundle::{Bundle, fresh_id};
use tests::{Outcome, Runtime, leaks, roots};

fn bash(script: &str) -> Outcome {
    let (r, id) = (Runtime::new(), fresh_id("deb"));
    let b = Bundle::new(&roots::debian(), &["/bin/bash", "-c", script]);
    let o = r.run(&["run", "--bundle", b.arg(), &id]);
    r.wipe(&id);
    leaks::check(&r, &id);
    o
}

#[test]
fn shell_and_tools() {
    bash("cat /etc/debian_version | cut -d. -f1; dpkg -l | grep -c '^ii  bash '; ls / | wc -l | awk '{print ($1 > 15)}'; ps aux | wc -l | awk '{print ($1 > 2)}'; id -un").ok().prints("12\n1\n1\n1\nroot");
}

#[test]
fn interpreters() {
    bash("python3 -c 'import json, subprocess; print(json.dumps([1])); print(subprocess.check_output([\"perl\", \"-e\", \"print 6*7\"]).decode())'").ok().prints("[1]\n42");
}

#[test]
fn compiler() {
    bash("cd /tmp; printf '#include <stdio.h>\\nint main(void){puts(\"built\");}' > a.c; printf 'a: a.c\\n\\t@gcc -o a a.c\\n' > Makefile; make -s -j2 && ./a").ok().prints("built");
}

#[test]
fn version_control() {
    bash("export HOME=/tmp; cd /tmp; git init -q r; cd r; git config user.email a@b; git config user.name n; echo x > f; git add f; git commit -qm first; git log --format=%s").ok().prints("first");
}

#[test]
fn packages_can_be_queried_and_removed_files_return() {
    bash("dpkg -L coreutils | grep -c /bin/ | awk '{print ($1 > 50)}'; find / -xdev -type f 2>/dev/null | wc -l | awk '{print ($1 > 5000)}'; ip -o link show lo | grep -c LOOPBACK").ok().prints("1\n1\n1");
}
