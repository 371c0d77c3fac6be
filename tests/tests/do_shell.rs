//! `runsc-rs do COMMAND` on the host's own root: the programs that people run first.
//!
//! What a script prints must be what it prints outside. With `RUNTIME=runc` the scripts run outside alone,
//! which checks them.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

use libtest_mimic::{Arguments, Failed, Trial};
use tests::{Outcome, Runtime, leaks, run, runtime};

/// Name, script and what it prints; the same text as outside where that is `None`.
const SCRIPTS: &[(&str, &str, Option<&str>)] = &[
    ("pipeline", "seq 1000 | grep 7 | sort -rn | head -3 | tr '\\n' ' '", Some("997 987 979")),
    (
        "globbing",
        "mkdir /tmp/g; cd /tmp/g; touch b a c.txt; echo *; echo ?.txt; echo [ab]",
        Some("a b c.txt\nc.txt\na b"),
    ),
    ("here_document", "x=5; cat <<E\nvalue $x\nE\ncat <<'E'\nvalue $x\nE", Some("value 5\nvalue $x")),
    (
        "here_string_and_substitution",
        "read a b <<< 'one two'; echo $b $a $(echo in $(echo deep)); diff <(echo 1) <(echo 2) | head -1",
        Some("two one in deep\n1c1"),
    ),
    (
        "background_jobs",
        "sleep 0.1 & p=$!; (exit 3) & q=$!; wait $p; echo $?; wait $q; echo $?; jobs",
        Some("0\n3"),
    ),
    (
        "traps_and_kill",
        "trap 'echo got' USR1; kill -USR1 $$; sleep 5 & kill %1; wait %1; echo $?",
        Some("got\n143"),
    ),
    (
        "exit_statuses",
        "false; echo $?; (exit 7); echo $?; /no/such; echo $?; /etc/passwd; echo $?; sh -c 'kill -9 $$'; echo $?",
        Some("1\n7\n127\n126\n137"),
    ),
    (
        "loops_and_arithmetic",
        "s=0; for i in $(seq 300); do s=$((s+i)); done; echo $s; i=0; while [ $i -lt 50 ]; do /bin/true; i=$((i+1)); done; echo $i",
        Some("45150\n50"),
    ),
    ("descriptors", "exec 5>/tmp/d; echo to five >&5; exec 5>&-; cat /tmp/d; ls /proc/self/fd | wc -l", None),
    ("list_descriptors", "ls -la /proc/self/fd | grep -c ' -> '", None),
    (
        "processes",
        "sleep 3 & ps aux | awk '$11 == \"sleep\"' | wc -l; ps -o comm= -p $$; kill %1",
        Some("1\nbash"),
    ),
    ("first_process", "echo $(($$ > 0)); test -d /proc/1 && echo init", Some("1\ninit")),
    ("identity", "id -u; id -g; whoami", None),
    ("kernel", "uname -s; uname -m", Some("Linux\nx86_64")),
    ("find_everything", "find /usr /etc /var/lib/dpkg -xdev 2>/dev/null | sort | sha256sum", None),
    ("find_root", "find / -xdev -maxdepth 2 >/dev/null 2>&1; echo $?", None),
    (
        "tar",
        "cd /tmp; tar cf a.tar -C /usr/include linux; mkdir x; tar xf a.tar -C x; diff -r x/linux /usr/include/linux && echo same; tar czf a.tgz x; tar tzf a.tgz | wc -l | awk '{print ($1 > 100)}'",
        Some("same\n1"),
    ),
    (
        "sort_a_large_file",
        "seq 500000 | awk '{print ($1 * 7919) % 500000}' > /tmp/n; sort -n /tmp/n | uniq | wc -l; sort -n /tmp/n | head -1",
        Some("500000\n0"),
    ),
    (
        "dd",
        "dd if=/dev/zero of=/tmp/z bs=64k count=160 2>/dev/null; stat -c %s /tmp/z; dd if=/tmp/z bs=1M 2>/dev/null | sha256sum",
        None,
    ),
    (
        "writes_stay_inside",
        "echo x > /etc/runsc-test-was-here; cat /etc/runsc-test-was-here; rm /etc/hostname 2>/dev/null; ls /etc/hostname 2>/dev/null | wc -l",
        None,
    ),
    ("sed_awk_xargs", "seq 20 | sed -n '5,8p' | xargs -n2 echo | awk '{print $2, $1}'", Some("6 5\n8 7")),
    (
        "python_threads",
        "/usr/bin/python3 -c 'import threading as t; r=[]; l=t.Lock()\ndef f(i):\n  with l: r.append(i)\nx=[t.Thread(target=f,args=(i,)) for i in range(50)]; [a.start() for a in x]; [a.join() for a in x]; print(sum(r))'",
        Some("1225"),
    ),
    (
        "python_subprocess",
        "/usr/bin/python3 -c 'import subprocess as s; print(s.run([\"cat\"], input=b\"hi\", capture_output=True).stdout); print(s.run([\"sh\",\"-c\",\"exit 5\"]).returncode); print(s.check_output(\"echo a | tr a b\", shell=True))'",
        Some("b'hi'\n5\nb'b\\n'"),
    ),
    (
        "python_asyncio",
        "/usr/bin/python3 -c 'import asyncio\nasync def f(i):\n  await asyncio.sleep(0.01); return i\nasync def m():\n  print(sum(await asyncio.gather(*[f(i) for i in range(100)])))\n  p = await asyncio.create_subprocess_exec(\"echo\", \"sub\", stdout=-1); print((await p.communicate())[0])\n  s = await asyncio.start_server(lambda r, w: (w.write(b\"served\"), w.close()), \"127.0.0.1\", 7777); r, w = await asyncio.open_connection(\"127.0.0.1\", 7777); print(await r.read())\nasyncio.run(m())'",
        Some("4950\nb'sub\\n'\nb'served'"),
    ),
    (
        "python_multiprocessing",
        "cat >/tmp/m.py <<'E'\nimport multiprocessing as m\ndef f(x): return x * x\nif __name__ == '__main__':\n  with m.Pool(4) as p: print(sum(p.map(f, range(100))))\n  q = m.Queue(); x = m.Process(target=q.put, args=('q',)); x.start(); print(q.get()); x.join(); print(x.exitcode)\nE\n/usr/bin/python3 /tmp/m.py",
        Some("328350\nq\n0"),
    ),
    (
        "python_sqlite",
        "/usr/bin/python3 -c 'import sqlite3 as s; c=s.connect(\"/tmp/t.db\"); c.execute(\"create table t(a)\"); c.executemany(\"insert into t values(?)\", [(i,) for i in range(1000)]); c.commit(); print(s.connect(\"/tmp/t.db\").execute(\"select sum(a) from t\").fetchone()[0])'",
        Some("499500"),
    ),
    (
        "python_files",
        "/usr/bin/python3 -c 'import os,tempfile,shutil,mmap; d=tempfile.mkdtemp(); f=open(d+\"/f\",\"w+b\"); f.write(b\"x\"*10000); f.flush(); m=mmap.mmap(f.fileno(),0); m[5:8]=b\"abc\"; m.flush(); print(open(d+\"/f\",\"rb\").read()[4:9]); print(sorted(os.listdir(d))); shutil.rmtree(d); print(os.path.exists(d))'",
        Some("b'xabcx'\n['f']\nFalse"),
    ),
    (
        "perl",
        "perl -e 'my %h = map { $_ => $_*2 } 1..10; print join(\",\", map { $h{$_} } sort { $a <=> $b } keys %h), \"\\n\"; my $p = fork; if (!$p) { exit 4 } waitpid $p, 0; print $? >> 8, \"\\n\"; print `echo back`'",
        Some("2,4,6,8,10,12,14,16,18,20\n4\nback"),
    ),
    (
        "git",
        "export HOME=/tmp GIT_CONFIG_GLOBAL=/tmp/gc; cd /tmp; git init -q r; cd r; git config user.email a@b; git config user.name n; for i in 1 2 3; do echo $i > f$i; git add -A; git commit -qm c$i; done; git log --format=%s; git status --short | wc -l; git clone -q . ../r2; ls ../r2 | wc -l; git fsck 2>&1 | grep error | wc -l",
        Some("c3\nc2\nc1\n0\n3\n0"),
    ),
    (
        "gcc",
        "cd /tmp; printf '#include <stdio.h>\\n#include <math.h>\\nint main(void){printf(\"%%.3f\\\\n\",sqrt(2));return 6;}' > c.c; gcc -O2 -o c c.c -lm && ./c; echo $?",
        Some("1.414\n6"),
    ),
    (
        "make",
        "mkdir /tmp/mk; cd /tmp/mk; for i in 1 2 3 4; do echo \"int f$i(void){return $i;}\" > f$i.c; done; printf 'int f1(void);int f4(void);int main(void){return f1()+f4();}' > main.c; printf 'p: main.o f1.o f2.o f3.o f4.o\\n\\t@gcc -o $@ $^\\n%%.o: %%.c\\n\\t@gcc -c -o $@ $<\\n' > Makefile; make -j2 && ./p; echo $?",
        Some("5"),
    ),
    (
        "strace_follows_children",
        "strace -f -qq -e trace=exit_group -e signal=none -o /tmp/s sh -c '/bin/true; exit 3'; echo $?; sed 's/^[0-9]* *//; s/  */ /' /tmp/s",
        Some("3\nexit_group(0) = ?\nexit_group(3) = ?"),
    ),
    (
        "strace_shows_calls",
        "strace -qq -e trace=write -o /tmp/s echo hi; sed 's/   */ /' /tmp/s",
        Some("hi\nwrite(1, \"hi\\n\", 3) = 3"),
    ),
    (
        "strace_counts",
        "strace -f -c -o /tmp/s ls / >/dev/null; grep -c total /tmp/s; grep -c execve /tmp/s",
        Some("1\n1"),
    ),
    (
        "strace_attaches",
        "sleep 30 & p=$!; sleep 0.2; timeout 0.7 strace -p $p -o /tmp/s 2>/dev/null; echo $?; grep -c 'nanosleep\\|restart_syscall' /tmp/s; grep State /proc/$p/status; kill $p; wait $p; echo $?",
        Some("124\n1\nState:	S (sleeping)\n143"),
    ),
    (
        "gdb_runs_a_program",
        "cd /tmp; printf '#include <stdio.h>\\n#include <unistd.h>\\nint counter;\\nint add(int a, int b) {\\n  int c = a + b;\\n  counter += c;\\n  return c;\\n}\\nint main(int argc, char **argv) {\\n  do { add(argc, 1); if (argc > 1) usleep(10000); } while (argc > 1);\\n  printf(\"%%d\\\\n\", counter);\\n}\\n' > w.c; gcc -g -O0 -o w w.c; gdb -nx -batch -ex 'set debuginfod enabled off' -ex 'break add' -ex run -ex bt -ex next -ex 'print c' -ex 'watch counter' -ex continue -ex delete -ex continue ./w 2>&1 | grep -E '^(#|\\$|Old|New|\\[Inf|2$)' | sed 's/0x[0-9a-f]*/ADDR/g; s/(process [0-9]*)/(process N)/'",
        None,
    ),
    (
        "gdb_attaches",
        "cd /tmp; printf '#include <stdio.h>\\n#include <unistd.h>\\nint counter;\\nint add(int a, int b) {\\n  int c = a + b;\\n  counter += c;\\n  return c;\\n}\\nint main(int argc, char **argv) {\\n  do { add(argc, 1); if (argc > 1) usleep(10000); } while (argc > 1);\\n  printf(\"%%d\\\\n\", counter);\\n}\\n' > w.c; gcc -g -O0 -o w w.c; ./w x & p=$!; sleep 0.3; gdb -nx -batch -ex 'set debuginfod enabled off' -p $p -ex 'break add' -ex continue -ex 'print a' -ex 'info threads' -ex detach 2>&1 | grep -E '^\\$'; kill $p; wait $p; echo $?",
        Some("$1 = 2\n143"),
    ),
    (
        "unix_tools",
        "df /tmp >/dev/null && echo df; mount | grep -c ' / '; free >/dev/null && echo free; uptime >/dev/null; date +%Y | grep -c 20; nproc >/dev/null && echo nproc; hostname >/dev/null && echo host",
        Some("df\n1\nfree\n1\nnproc\nhost"),
    ),
    (
        "loopback",
        "ip -o addr show lo | grep -c 127.0.0.1; (exec 3<>/dev/tcp/127.0.0.1/9) 2>&1 | grep -c refused",
        Some("1\n2"),
    ),
    (
        "named_pipe",
        "mkfifo /tmp/p; (for i in 1 2 3; do echo line $i; done > /tmp/p) & cat /tmp/p; wait",
        Some("line 1\nline 2\nline 3"),
    ),
    (
        "deep_process_tree",
        "f() { if [ $1 -gt 0 ]; then (f $(($1-1))); else echo bottom; fi; }; f 20",
        Some("bottom"),
    ),
    ("many_processes", "for i in $(seq 100); do sleep 0.2 & done; wait; echo all", Some("all")),
    (
        "timeout_command",
        "timeout 0.2 sleep 10; echo $?; timeout -s KILL 0.2 sleep 10; echo $?",
        Some("124\n137"),
    ),
    (
        "xz_and_gzip",
        "seq 100000 > /tmp/s; gzip -k /tmp/s; gunzip -c /tmp/s.gz | cmp - /tmp/s && echo same",
        Some("same"),
    ),
    ("environment", "echo $FROM_OUTSIDE; env -i X=1 /usr/bin/env", Some("here\nX=1")),
];

fn outside(script: &str) -> Outcome {
    // A private mount namespace with its own /tmp, as an overlay would give it; /etc is not to be touched. Descriptors
    // that the test runner leaves open do not reach a container either.
    let setup = "mount -t tmpfs tmpfs /tmp && mount -t tmpfs tmpfs /mnt && mkdir /mnt/u /mnt/w \
        && mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/u,workdir=/mnt/w /etc \
        && ip link set lo up; for f in /proc/self/fd/*; do [ ${f##*/} -gt 2 ] && eval \"exec ${f##*/}>&-\"; done; cd /; mount -t proc proc /proc; exec bash -c \"$0\"";
    let mut c = Command::new("unshare");
    c.args(["--mount", "--pid", "--fork", "--net", "bash", "-c", setup, script]);
    run(c.env("FROM_OUTSIDE", "here").env("LC_ALL", "C").env_remove("TMPDIR"))
}

fn inside(script: &str) -> Outcome {
    let runtime = Runtime::new();
    let mut c = runtime.command(&["do", "/bin/bash", "-c", script]);
    let o = run(c.env("FROM_OUTSIDE", "here").env("LC_ALL", "C").env_remove("TMPDIR").current_dir("/"));
    leaks::check(&runtime, "runsc-test-no-such-mark");
    o
}

fn one(script: &str, prints: Option<&str>) -> Result<(), Failed> {
    let expected = match prints {
        Some(text) if !runtime::stand_in() => text.to_owned(),
        _ => outside(script).ok().out,
    };
    let got = if runtime::stand_in() { outside(script) } else { inside(script) };
    let expected = prints.unwrap_or(&expected);
    if got.code == 0 && got.out.trim() == expected.trim() {
        return Ok(());
    }
    Err(format!("expected\n{expected}\ngot\n{got}").into())
}

fn main() {
    let args = Arguments::from_args();
    let mut trials: Vec<_> = SCRIPTS
        .iter()
        .map(|(name, script, prints)| Trial::test(format!("do_shell::{name}"), move || one(script, *prints)))
        .collect();
    if !runtime::stand_in() {
        let own: &[(&str, fn())] = &[
            ("exit_status", exit_status),
            ("standard_input", standard_input),
            ("host_is_untouched", host_is_untouched),
            ("ordinary_user", ordinary_user),
            ("network_of_the_host", network_of_the_host),
            ("system_call_log", system_call_log),
        ];
        for (name, test) in own {
            trials.push(Trial::test(format!("do_shell::{name}"), move || {
                test();
                Ok(())
            }));
        }
    }
    libtest_mimic::run(&args, trials).exit();
}

fn exit_status() {
    let r = Runtime::new();
    for (script, code) in [
        ("exit 0", 0),
        ("exit 42", 42),
        ("sh -c 'kill -TERM $$'; exit $?", 143),
        ("sh -c 'kill -9 $$'; exit $?", 137),
        ("exit 255", 255),
    ] {
        r.run(&["do", "/bin/sh", "-c", script]).exits(code);
    }
    r.run(&["do", "/no/such/program"]).exits(127);
    r.run(&["do", "/etc/passwd"]).exits(126);
}

fn standard_input() {
    let r = Runtime::new();
    let big = vec![b'x'; 1 << 20];
    tests::run::run_with(&mut r.command(&["do", "wc", "-c"]), &big, tests::run::DEADLINE)
        .ok()
        .prints("1048576");
}

fn host_is_untouched() {
    let r = Runtime::new();
    let name = format!("/var/tmp/runsc-test-{}", std::process::id());
    r.run(&[
        "do",
        "/bin/sh",
        "-c",
        &format!("echo x > {name}; cat {name}; rm -rf /usr/share/doc; echo gone"),
    ])
    .ok()
    .prints("x\ngone");
    assert!(!std::path::Path::new(&name).exists() && std::path::Path::new("/usr/share/doc").exists());
}

fn ordinary_user() {
    // The binary must be where another user can run it.
    let r = Runtime::new();
    let dir = tempfile::Builder::new().prefix("runsc-test-user.").tempdir_in("/var/tmp").unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let copy = dir.path().join("runsc-rs");
    std::fs::copy(&r.binary, &copy).unwrap();
    let mut c = Command::new("setpriv");
    c.args(["--reuid=1000", "--regid=1000", "--clear-groups", "--"])
        .arg(&copy)
        .args(runtime::platform_args());
    run(c
        .args(["do", "/bin/sh", "-c", "echo ran; exit 9"])
        .env("HOME", "/")
        .env_remove("XDG_RUNTIME_DIR")
        .current_dir("/"))
    .exits(9)
    .prints("ran");
}

/// With `--network=host` a server of the host is reached; without, the sandbox's loopback is another one.
fn network_of_the_host() {
    use std::io::Write;
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let greet = std::thread::spawn(move || server.accept().unwrap().0.write_all(b"from the host\n").unwrap());
    let r = Runtime::new();
    let script = format!("cat < /dev/tcp/127.0.0.1/{port}");
    assert_ne!(r.run(&["do", "/bin/bash", "-c", &script]).code, 0, "a sandbox of its own reaches the host");
    r.run(&["--network=host", "do", "/bin/bash", "-c", &script]).ok().prints("from the host");
    greet.join().unwrap();
}

/// `--strace` prints calls, signals and ends as `strace` does, and `--strace-syscalls` the calls that it names alone.
fn system_call_log() {
    let r = Runtime::new();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let to = format!("--debug-log={}", log.display());
    let script = "cd /; cat /no/such; kill -USR1 $$; exit 3";
    r.run(&[&to, "--strace", "do", "/bin/dash", "-c", script]);
    let text = std::fs::read_to_string(&log).unwrap();
    let lines = text.lines().map(|l| l.split_ascii_whitespace().collect::<Vec<_>>().join(" ") + "\n");
    let text: String = lines.collect();
    for wanted in [
        "] chdir(\"/\") = 0\n",
        "openat(AT_FDCWD, \"/no/such\", O_RDONLY) = -1 ENOENT (No such file or directory)\n",
        "] +++ exited with 1 +++\n",
        "--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=",
        ", SIGUSR1) = 0\n",
        "--- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_USER, si_pid=",
    ] {
        assert!(text.contains(wanted), "{wanted:?} is not in the log:\n{text}");
    }
    std::fs::remove_file(&log).unwrap();
    r.run(&[&to, "--strace-syscalls=chdir", "do", "/bin/dash", "-c", script]);
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("chdir(") && !text.contains("openat("), "{text}");
}
