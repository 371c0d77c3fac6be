//! Programs that people run, in containers of a Debian root: each must work, and works the same under runc
//! (`RUNTIME=runc`).
//!
//! A test is a script in a container with a root of its own to write to. Nothing outside is needed: packages, repositories
//! and servers are the script's.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use tests::bundle::{Bundle, fresh_id};
use tests::roots::Scratch;
use tests::{Outcome, Runtime, leaks, roots};

/// What every script begins with: `soon COMMAND` waits until it succeeds.
const PRELUDE: &str = r#"
export HOME=/root LANG=C.UTF-8 LC_ALL=C.UTF-8 TERM=xterm DEBIAN_FRONTEND=noninteractive
soon() { for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return; sleep 0.05; done; echo "not soon: $*"; exit 1; }
port() { soon bash -c "exec 3<>/dev/tcp/127.0.0.1/$1"; }
cd /tmp
"#;

fn on(r: &Runtime, script: &str) -> Outcome {
    let (id, root) = (fresh_id("prog"), Scratch::new(&roots::programs()));
    let script = format!("{PRELUDE}{script}");
    let b = Bundle::new(&root.root(), &["/bin/bash", "-c", &script]);
    let o = r.run(&["run", "--bundle", b.arg(), &id]);
    r.wipe(&id);
    leaks::check(r, &id);
    o
}

fn sh(script: &str) -> Outcome {
    on(&Runtime::new(), script)
}

/// A package `hi` that prints a line when it is set up: `deb VERSION FILE`.
const DEB: &str = r#"
deb() {
  mkdir -p /tmp/p/DEBIAN /tmp/p/usr/share/hi
  echo "hi $1" >/tmp/p/usr/share/hi/hi
  printf 'Package: hi\nVersion: %s\nArchitecture: all\nMaintainer: a <a@b>\nDescription: x\n' "$1" >/tmp/p/DEBIAN/control
  printf '#!/bin/sh\necho "hook $1"\n' >/tmp/p/DEBIAN/postinst
  chmod 755 /tmp/p/DEBIAN/postinst
  dpkg-deb --root-owner-group -b /tmp/p "$2" >/dev/null
}
"#;

#[test]
fn dpkg_installs_and_purges() {
    sh(&format!(
        "{DEB}
        deb 1 /tmp/hi.deb; dpkg -i /tmp/hi.deb | grep -E '^(Setting|hook)'; cat /usr/share/hi/hi
        dpkg -s hi | grep ^Status; dpkg -P hi >/dev/null; ls /usr/share/hi 2>&1"
    ))
    .prints("Setting up hi (1) ...\nhook configure\nhi 1\nStatus: install ok installed\nls: cannot access '/usr/share/hi': No such file or directory");
}

#[test]
fn apt_installs_from_a_directory() {
    sh(&format!(
        r#"{DEB}
        mkdir -p /tmp/repo /tmp/none; deb 2 /tmp/repo/hi.deb; cd /tmp/repo; apt-ftparchive packages . >Packages
        echo 'deb [trusted=yes] file:/tmp/repo ./' >/tmp/hi.list
        apt() {{ apt-get -qq -o Dir::Etc::sourcelist=/tmp/hi.list -o Dir::Etc::sourceparts=/tmp/none "$@" >/tmp/apt.log 2>&1 || cat /tmp/apt.log; }}
        apt update; apt install -y hi; cat /usr/share/hi/hi; apt remove -y hi; ls /usr/share/hi 2>/dev/null
        deb 3 /tmp/hi3.deb; apt install -y /tmp/hi3.deb; cat /usr/share/hi/hi; apt purge -y hi; dpkg -s hi 2>&1 | head -1"#
    ))
    .ok()
    .prints("hi 2\nhi 3\ndpkg-query: package 'hi' is not installed and no information is available");
}

#[test]
fn pip_installs_a_wheel() {
    sh(r#"mkdir -p w/hip; cd w; echo 'V = 7' >hip/__init__.py
        printf 'from setuptools import setup\nsetup(name="hip", version="1", packages=["hip"])\n' >setup.py
        python3 setup.py -q bdist_wheel 2>/dev/null
        pip install -q --root-user-action=ignore --break-system-packages --no-index dist/hip-1-py3-none-any.whl
        cd /; python3 -c 'import hip; print(hip.V, hip.__file__)'; pip uninstall -q --root-user-action=ignore --break-system-packages -y hip
        python3 -c 'import hip' 2>&1 | tail -1"#)
    .ok()
    .prints("7 /usr/local/lib/python3.11/dist-packages/hip/__init__.py\nModuleNotFoundError: No module named 'hip'");
}

#[test]
fn npm_installs_a_tarball() {
    sh(r#"mkdir -p package app; echo '{"name":"hin","version":"1.0.0","main":"i.js"}' >package/package.json
        echo 'module.exports = 42' >package/i.js; tar czf hin.tgz package; cd app; npm init -y >/dev/null
        npm install --offline --no-audit --no-fund ../hin.tgz 2>&1 | sed 's/ in .*//'; node -p 'require("hin")'"#)
    .ok()
    .prints("added 1 package\n42");
}

#[test]
fn keys_and_digests() {
    sh(r#"for t in ed25519 rsa ecdsa; do ssh-keygen -q -t $t -N '' -f k.$t && ssh-keygen -l -f k.$t.pub | cut -d' ' -f1; done
        openssl speed -seconds 1 sha256 2>/dev/null | awk '/^sha256/ { print NF, ($NF + 0 > 1000) }'
        echo abc | openssl dgst -sha256 -r | cut -c1-16; openssl rand -hex 8 | wc -c"#)
    .ok()
    .prints("256\n3072\n256\n7 1\nedeaaff3f1774ad2\n17");
}

#[test]
fn tls_over_loopback() {
    sh(r#"openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null
        openssl s_server -quiet -accept 4433 -key key.pem -cert cert.pem -www >/dev/null 2>&1 & port 4433
        printf 'GET / HTTP/1.0\r\n\r\n' | openssl s_client -quiet -verify_return_error -CAfile cert.pem -connect localhost:4433 2>/dev/null | grep -c 'New, TLSv1.3'
        curl -s --cacert cert.pem https://localhost:4433/ | grep -c 'New, TLSv1.3'; curl -s https://localhost:4433/; echo $?
        kill %1"#)
    .ok()
    .prints("1\n1\n60");
}

#[test]
fn ssh_with_and_without_terminal() {
    sh(r#"mkdir -p /run/sshd /root/.ssh; ssh-keygen -A >/dev/null; ssh-keygen -q -t ed25519 -N '' -f k; cp k.pub /root/.ssh/authorized_keys
        /usr/sbin/sshd -p 2222; port 2222; s="ssh -q -i k -p 2222 -o StrictHostKeyChecking=no localhost"
        $s 'echo over ssh; tty; cat /proc/self/loginuid; exit 3'; echo " $?"; $s -tt 'tty; stty size' </dev/null | tr -d '\r'
        head -c 3000000 /dev/zero | $s 'md5sum | cut -c1-8; cat k >/dev/null 2>&1; echo done'
        kill $(cat /run/sshd.pid)"#)
    .ok()
    .prints("over ssh\nnot a tty\n0 3\n/dev/pts/0\n0 0\nc9fc2d3d\ndone");
}

#[test]
fn curl_and_nginx() {
    sh(r#"mkdir -p n; echo hello >n/f; head -c 5000000 /dev/urandom >n/big
        printf 'worker_processes 2; error_log /tmp/n/e; pid /tmp/n/pid; events { } http { access_log off; server { listen 127.0.0.1:7002; listen unix:/tmp/n/s; root /tmp/n; } }' >n/c
        nginx -c /tmp/n/c; port 7002; curl -s http://127.0.0.1:7002/f; curl -s --unix-socket n/s http://x/f
        curl -sI http://127.0.0.1:7002/f | head -1 | tr -d '\r'; curl -s http://127.0.0.1:7002/big | cmp - n/big && curl -s -r 10-19 http://127.0.0.1:7002/big | wc -c
        nginx -c /tmp/n/c -s reload 2>/dev/null; sleep 0.2; curl -s http://127.0.0.1:7002/f; nginx -c /tmp/n/c -s quit 2>/dev/null
        soon test ! -e n/pid; curl -s http://127.0.0.1:7002/f; echo $?"#)
    .ok()
    .prints("hello\nhello\nHTTP/1.1 200 OK\n10\nhello\n7");
}

#[test]
fn redis_cli_saves_and_loads() {
    sh(r#"start() { redis-server --port 7001 --daemonize yes --dir /tmp --save '' >/dev/null; soon redis-cli -p 7001 ping; }
        r="redis-cli -p 7001"; start; $r set a b; $r rpush l 1 2 3; $r lrange l 0 -1; $r bgsave
        soon sh -c "$r info persistence | grep -q rdb_bgsave_in_progress:0"; $r info persistence | grep -o rdb_last_bgsave_status:ok
        $r shutdown nosave; soon sh -c '! redis-cli -p 7001 ping'; start; $r get a; $r eval 'return redis.call("llen", KEYS[1]) * 2' 1 l; $r shutdown"#)
    .ok()
    .prints("OK\n3\n1\n2\n3\nBackground saving started\nrdb_last_bgsave_status:ok\nb\n6");
}

#[test]
fn psql_over_sockets() {
    sh(r#"b=$(echo /usr/lib/postgresql/*/bin); mkdir pg; chown postgres pg
        su postgres -s /bin/sh -c "$b/initdb -D /tmp/pg -A trust >/tmp/init.log 2>&1; $b/pg_ctl -D /tmp/pg -o '-p 7003 -k /tmp' -l /tmp/pg.log -w start >/dev/null" || cat init.log pg.log
        q() { psql -U postgres -p 7003 -XAtq "$@"; }; q -h /tmp -c 'select sum(x) from generate_series(1, 1000) x'
        q -h 127.0.0.1 -c 'create table t as select g a from generate_series(1, 5000) g; create index on t(a); analyze t; select count(*) from t where a < 100'
        q -h /tmp -c 'copy t to stdout' | md5sum | cut -c1-8; q -h /tmp -c 'select 1/0' 2>&1
        su postgres -s /bin/sh -c "$b/pg_ctl -D /tmp/pg -m fast stop >/dev/null && $b/pg_controldata /tmp/pg | grep -o 'shut down'""#)
    .ok()
    .prints("500500\n99\na5a208cd\nERROR:  division by zero\nshut down");
}

#[test]
fn terminals_with_tmux_vim_less_top() {
    sh(r#"tmux new-session -d -s x -x 80 -y 24 'bash --norc'
        screen() { tmux capture-pane -p -t x; }; sees() { soon sh -c "tmux capture-pane -p -t x | grep -q -e '$1'"; }; keys() { tmux send-keys -t x "$@"; }
        sees '^bash-'; keys 'echo $((6*7))' Enter; sees '^42'
        keys 'vi -u NONE /tmp/vf' Enter; sees '^~'; keys 'ihello vim' Escape ':wq' Enter; soon test -s vf; cat vf; sees '^bash-'
        keys 'seq 100 | less' Enter; sees '^10$'; keys G; sees '^100'; keys q; sees '^bash-'; keys 'clear; top' Enter; sees 'PID USER'; screen | grep -c '^Tasks:'; keys q; sees '^bash-'
        keys 'clear; echo going; sleep 100' Enter; sees '^going'; sleep 0.2; keys C-z; sees Stopped; keys 'clear; bg; jobs' Enter; sees Running; keys 'kill %1; clear' Enter
        sees Terminated; keys 'clear; echo ready; cat' Enter; sees '^ready'; sleep 0.3; keys C-c; keys 'echo i$((1))nt' Enter; sees '^i1nt'; tmux resize-window -t x -x 100 -y 30; keys 'clear; stty size' Enter; sees '30 100'
        tmux kill-server; echo done"#)
    .ok()
    .prints("hello vim\n1\ndone");
}

#[test]
fn job_control_of_bash() {
    sh(r#"TERM=dumb script -qec "bash --norc --noediting -i" /dev/null <<'IN' 2>&1 | tr -d '\r' | grep -E '^(\[1\]\+|status)'
set -o monitor; PS1=
sleep 60 & sleep 0.1; kill -STOP %1; sleep 0.2
bg %1 >/dev/null; jobs; kill %1; wait %1; echo status $?
sh -c 'kill -TSTP $$'; echo status $?; fg >/dev/null; echo status $?
exit
IN"#)
    .prints("[1]+  Stopped                 sleep 60\n[1]+  Running                 sleep 60 &\n[1]+  Terminated              sleep 60\nstatus 143\n[1]+  Stopped                 sh -c 'kill -TSTP $$'\nstatus 148\nstatus 0");
}

#[test]
fn namespaces_of_an_ordinary_user() {
    sh(r#"in='id -u; echo $$; mount -t tmpfs x /mnt && stat -f -c %T /mnt; mount -t proc proc /proc; ps ax | wc -l; hostname inner 2>&1; cat /proc/self/uid_map | tr -s " "'
        unshare --user --map-root-user --mount --pid --fork --uts sh -c "$in"; stat -f -c %T /mnt | head -c 0
        su postgres -s /bin/sh -c "unshare --user --map-root-user --mount --pid --fork sh -c 'id -u; id -un; echo \$\$; touch /etc/x 2>&1'"; hostname"#)
    .prints("0\n1\ntmpfs\n4\n 0 0 1\n0\nroot\n1\ntouch: cannot touch '/etc/x': Permission denied\nguest");
}

#[test]
fn chroot_and_su() {
    sh(r#"chroot / /bin/echo ok; ldd /bin/ls >/dev/null; mkdir -p c/bin; for f in /bin/ls /bin/pwd $(ldd /bin/ls /bin/pwd | grep -o '/lib[^ ]*' | tr -d : | sort -u); do mkdir -p c$(dirname $f); cp -L $f c$f; done
        chroot c /bin/ls /bin; chroot c /bin/pwd; chroot --userspec=nobody:nogroup / id -un
        su - postgres -s /bin/bash -c 'id -un; pwd'; su nobody -s /bin/sh -c 'id -u; cat /etc/shadow 2>&1'; su nobody -s /bin/sh -c 'chroot / true' 2>&1"#)
    .prints("ok\nls\npwd\n/\nnobody\npostgres\n/var/lib/postgresql\n65534\ncat: /etc/shadow: Permission denied\nchroot: cannot change root directory to '/': Operation not permitted");
}

/// What set-user-ID, set-group-ID and capabilities of files give.
const SUID: &str = r#"cp /usr/bin/id id; chmod 6755 id; chown 0:0 id; chmod 6755 id; cp /usr/bin/head head; setcap cap_dac_read_search+ep head
        as() { su nobody -s /bin/sh -c "$1" 2>&1; }; as '/tmp/id -u; /tmp/id -g; /tmp/id -ru'; as 'setpriv --no-new-privs /tmp/id -u'
        as '/tmp/head -c 4 /etc/shadow; echo'; as 'sudo -n true'; sudo -u nobody id -un; as 'passwd -S' | cut -d' ' -f1"#;

#[test]
fn set_user_id_where_it_is_allowed() {
    sh(SUID).prints("0\n0\n65534\n65534\nroot\nsudo: a password is required\nnobody\nnobody");
}

#[test]
fn set_user_id_is_ignored_without_the_flag() {
    let r = Runtime::new();
    if !r.ours {
        return; // a flag of ours
    }
    let script = format!("{PRELUDE}{SUID}");
    let (id, root) = (fresh_id("prog"), Scratch::new(&roots::programs()));
    let b = Bundle::new(&root.root(), &["/bin/bash", "-c", &script]);
    let o = r.run(&["--allow-suid=false", "run", "--bundle", b.arg(), &id]);
    r.wipe(&id);
    leaks::check(&r, &id);
    o.says("65534\n65534\n65534\n65534\n").says("cannot open '/etc/shadow'").says("effective uid is not 0");
}

#[test]
fn daemons() {
    sh(r#"s="start-stop-daemon --pidfile /tmp/d.pid"; $s --start --background --make-pidfile --exec /bin/sleep -- 50; soon test -s d.pid; kill -0 $(cat d.pid) && echo up
        $s --stop --retry 2; kill -0 $(cat d.pid) 2>/dev/null || echo down; setsid -w sh -c 'test $$ = $(ps -o sid= -p $$) && echo leads'
        cat >daemon.py <<'PY'
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
os.chdir("/"); os.umask(0)
n = os.open("/dev/null", os.O_RDWR)
for fd in 0, 1, 2: os.dup2(n, fd)
time.sleep(0.1)
open("/tmp/dd", "w").write(f"{os.getppid()} {os.getsid(0) != os.getpid()} {os.isatty(0)}")
PY
        python3 daemon.py; soon test -s dd; cat dd; echo; (nohup sh -c 'kill -HUP $$; echo lives' 2>/dev/null)
        cat /proc/1/comm; ps ax -o stat= | grep -c Z"#)
    .prints("up\ndown\nleads\n1 True False\nlives\nbash\n0");
}

#[test]
fn limits_and_priorities() {
    sh(r#"timeout 0.2 sleep 10; echo $?; timeout -s KILL 0.2 sleep 10; echo $?; timeout -k 0.2 0.2 bash -c 'trap "" TERM; while :; do sleep 0.05; done'; echo $?
        nice -n 5 nice; nice -n 7 sh -c 'ps -o ni= -p $$'; renice -n 3 -p $$ | grep -o 'new.*'; ionice -c 3 ionice; chrt -b 0 chrt -p $$ | head -1 | grep -o 'SCHED.*'
        taskset -c 0 nproc; taskset -c 0 python3 -c 'import os; print(os.sched_getaffinity(0))'; nproc | grep -c '^[1-9]'
        ulimit -n 100; ulimit -n; python3 -c 'import os; [os.dup(0) for _ in range(200)]' 2>&1 | tail -1
        (ulimit -f 1; head -c 4096 /dev/zero >f; echo $?) 2>/dev/null; (ulimit -v 100000; python3 -c 'bytearray(200 << 20)' 2>&1 | tail -1)
        (ulimit -t 1; bash -c 'while :; do :; done'; echo $?) 2>/dev/null; su nobody -s /bin/bash -c 'ulimit -u 3; (:) && (sleep 1 & sleep 1 & sleep 1 & sleep 1 &) 2>&1' | grep -o 'Resource temp.*' | head -1
        prlimit --nofile=50 sh -c 'ulimit -n'; (ulimit -s 256; python3 -c 'print(len(bytearray(10)))')"#)
    .prints("124\n137\n137\n5\n  7\nnew priority 3\nidle\nSCHED_OTHER\n1\n{0}\n1\n100\nOSError: [Errno 24] Too many open files\n153\nMemoryError\n137\nResource temporarily unavailable\n50\n10");
}

#[test]
fn locks_and_watches() {
    sh(r#"(flock 9; touch held; sleep 0.5; echo first) 9>l & soon test -e held; flock -n l true; echo $?; flock l echo second; flock -n l true; echo $?; wait
        mkdir w; inotifywait -q -m -o w.log -e create,modify,delete,move,close_write,attrib --format '%e %f' w & i=$!; sleep 0.5
        echo a >w/a; mv w/a w/b; chmod 600 w/b; ln w/b w/c; mkdir w/d; rm w/b; sleep 0.3; kill $i; cat w.log; inotifywait -q -r -t 10 -e create --format %f w & sleep 0.5; touch w/d/e; wait $!"#)
    .ok()
    .prints("1\nfirst\nsecond\n0\nCREATE a\nMODIFY a\nCLOSE_WRITE,CLOSE a\nMOVED_FROM a\nMOVED_TO b\nATTRIB b\nCREATE c\nCREATE,ISDIR d\nDELETE b\ne");
}

#[test]
fn lists_of_open_files() {
    sh(r#"exec 5</etc/passwd; lsof -p $$ -a -d 5 -Fn | tail -1; lsof -t /etc/passwd | grep -cx $$; fuser -s /etc/passwd && echo used
        python3 -m http.server 7010 >/dev/null 2>&1 & port 7010; lsof -nP -iTCP:7010 -sTCP:LISTEN -Fn | tail -1; fuser 7010/tcp 2>/dev/null | tr -d ' ' | grep -cx $!
        ss -Hltn | awk '{ print $1, $3, $4 }'; ss -Hxl | wc -l; python3 -c 'import socket, time; s = socket.socket(socket.AF_UNIX); s.bind("/tmp/us"); s.listen(); time.sleep(30)' & soon test -e us; sleep 0.1; ss -Hxl | awk '{ print $5 }'; lsof -U -a -p $! -Fn | tail -1 | cut -d' ' -f1; kill %1 %2"#)
    .prints("n/etc/passwd\n1\nused\nn*:7010\n1\nLISTEN 5 0.0.0.0:7010\n0\n/tmp/us\nn/tmp/us");
}

#[test]
fn mounts() {
    sh(r#"mkdir m; mount -t tmpfs -o size=1m none m; df -k m | tail -1 | awk '{ print $2, $6 }'; findmnt -n -o FSTYPE,OPTIONS m; head -c 2000000 /dev/zero >m/big; stat -c %s m/big
        mount -o remount,ro m; touch m/x; umount m; mountpoint -q m; echo $?; mount --bind /etc /mnt; ls /mnt/passwd; mount -o remount,bind,ro /mnt; touch /mnt/x; umount /mnt
        findmnt -n -o TARGET /; df / | tail -1 | awk '{ print ($2 > $3), $6 }'; mkdir l u w o; echo low >l/f; mount -t overlay overlay -o lowerdir=l,upperdir=u,workdir=w o && { echo up >>o/f; cat o/f l/f; ls u; umount o; }; umount m; exec 9>&-"#)
    .says("1024 /tmp/m\ntmpfs  rw,relatime,size=1024k\n1048576\n32\n/mnt/passwd\n/\n1 /\nlow\nup\nlow\nf\n")
    .says("No space left on device")
    .says("cannot touch 'm/x': Read-only file system")
    .says("cannot touch '/mnt/x': Read-only file system")
    .says("umount: m: not mounted");
}

#[test]
fn figures_of_the_system() {
    sh(r#"free -k | awk '/^Mem/ { print ($2 > 100000), ($2 >= $3 + $4), ($7 > 0) }'; uptime | grep -cE 'up .*load average: [0-9.]+, [0-9.]+, [0-9.]+'; test $(nproc) = $(grep -c ^processor /proc/cpuinfo) && echo cpus
        vmstat 1 2 | tail -1 | wc -w; ps aux | head -1 | wc -w; ps -ef | grep -c '[b]ash -c'; w -h | wc -l; lscpu | grep -c '^CPU(s):'; pstree -p | head -1 | grep -o '^bash(1)'; pgrep -c bash; sysctl -n kernel.hostname; uname -s; id; pmap $$ | tail -1 | grep -c total
        cat /proc/loadavg | wc -w; who | wc -l; top -bn1 | grep -c PID; getconf PAGESIZE; hostname; stat -f -c %T /proc /sys /dev/shm /tmp; getent passwd root; locale charmap"#)
    .ok()
    .prints("1 1 1\n1\ncpus\n17\n11\n1\n0\n1\nbash(1)\n1\nguest\nLinux\nuid=0(root) gid=0(root) groups=0(root)\n1\n5\n0\n1\n4096\nguest\nproc\nsysfs\ntmpfs\ntmpfs\nroot:x:0:0:root:/root:/bin/bash\nUTF-8");
}

#[test]
fn filters_that_programs_install() {
    sh(r#"cat >f.c <<'C'
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static void install(int nr, unsigned action) {
  struct sock_filter f[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, action), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog p = {4, f};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p)) perror("install");
}
static void trapped(int s, siginfo_t *i, void *c) { printf("trap %d\n", i->si_syscall == SYS_getpgid); fflush(stdout); }
int main(void) {
  struct sigaction a = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};
  int st;
  sigaction(SIGSYS, &a, 0);
  install(SYS_getuid, SECCOMP_RET_ERRNO | ENOTTY);
  long r = syscall(SYS_getuid);
  printf("%ld %d\n", r, errno);
  install(SYS_getpgid, SECCOMP_RET_TRAP);
  fflush(stdout);
  syscall(SYS_getpgid, 0);
  if (!fork()) { install(SYS_getgid, SECCOMP_RET_KILL_PROCESS); getgid(); _exit(0); }
  wait(&st);
  printf("killed %d\n", WTERMSIG(st));
  fflush(stdout);
  return execlp("sh", "sh", "-c", "grep -E '^(NoNewPrivs|Seccomp|Seccomp_filters):' /proc/self/status | tr '\\t' ' '; id -u", NULL);
}
C
        gcc -o f f.c && ./f"#)
    .ok()
    .prints("-1 25\ntrap 1\nkilled 31\nNoNewPrivs: 1\nSeccomp: 2\nSeccomp_filters: 2\n4294967271");
}

#[test]
fn shared_memory_semaphores_and_queues() {
    sh(r#"cat >s.py <<'PY'
import ctypes, mmap, os, struct
c = ctypes.CDLL(None, use_errno=True)
c.sem_open.restype = ctypes.c_void_p
for f in ("sem_post", "sem_wait", "sem_trywait", "sem_close"):
    getattr(c, f).argtypes = [ctypes.c_void_p]
fd = c.shm_open(b"/m", os.O_CREAT | os.O_RDWR, 0o600)
os.ftruncate(fd, 4096)
m = mmap.mmap(fd, 4096)
ready, done = (c.sem_open(n, os.O_CREAT | os.O_EXCL, 0o600, 0) for n in (b"/r", b"/d"))
pid = os.fork()
if pid == 0:
    for i in range(1000):
        c.sem_wait(ready)
        m[:8] = struct.pack("q", struct.unpack("q", m[:8])[0] + i)
        c.sem_post(done)
    os._exit(0)
for i in range(1000):
    c.sem_post(ready)
    c.sem_wait(done)
print(struct.unpack("q", m[:8])[0], os.waitpid(pid, 0)[1], sorted(os.listdir("/dev/shm")))
print(c.sem_trywait(done), ctypes.get_errno(), c.shm_unlink(b"/m"), c.sem_unlink(b"/r"), c.sem_unlink(b"/d"), os.listdir("/dev/shm"))
c.shmat.restype = ctypes.c_void_p
i = c.shmget(0x77, 65536, 0o1600)
at = c.shmat(i, None, 0)
pid = os.fork()
if pid == 0:
    ctypes.memmove(at, b"from a child", 12)
    os._exit(0)
os.waitpid(pid, 0)
print(ctypes.string_at(at, 12))
q = c.msgget(0x78, 0o1600)
class Msg(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_long), ("text", ctypes.c_char * 16)]
for k in (3, 1, 2):
    c.msgsnd(q, ctypes.byref(Msg(k, b"m%d" % k)), 16, 0)
got = Msg()
print([(c.msgrcv(q, ctypes.byref(got), 16, w, 0), got.text) for w in (2, -3, 0)])
PY
        python3 s.py; ipcs -m | grep -c 0x00000077; ipcmk -S 2 | cut -d: -f1; ipcs -s | grep -c ^0x; ipcrm -a; ipcs | grep -c ^0x"#)
    .prints("499500 0 ['m', 'sem.d', 'sem.r']\n-1 11 0 0 0 []\nb'from a child'\n[(16, b'm2'), (16, b'm1'), (16, b'm3')]\n1\nSemaphore id\n1\n0");
}
