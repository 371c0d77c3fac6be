// User and group identities, capabilities, supplementary groups, no_new_privs.
#include "guest.h"
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/reboot.h>
#include <sys/swap.h>
static void ids(const char *what) {
  uid_t r, e, s;
  gid_t a, b, c;
  getresuid(&r, &e, &s);
  getresgid(&a, &b, &c);
  uid_t f = setfsuid(-1);
  gid_t g = setfsgid(-1);
  printf("%s: uid %d %d %d %d gid %d %d %d %d\n", what, r, e, s, f, a, b, c, g);
  fflush(stdout);
}
static uint64_t caps(int which) {
  struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct d[2];
  MUST(syscall(SYS_capget, &h, d));
  return which == 0   ? d[0].effective | (uint64_t)d[1].effective << 32
         : which == 1 ? d[0].permitted | (uint64_t)d[1].permitted << 32
                      : d[0].inheritable | (uint64_t)d[1].inheritable << 32;
}
TEST(root_may_do_all) {
  ids("start");
  IN_CHILD {
    OK(setresuid(1, 2, 3));
    ids("setresuid");
    OK(setresuid(-1, 3, -1));
    ids("to saved");
    ERR(EPERM, setresuid(4, -1, -1));
  }
  IN_CHILD {
    OK(setuid(5));
    ids("setuid");
    ERR(EPERM, setuid(0));
  }
  IN_CHILD {
    OK(seteuid(5));
    ids("seteuid");
    OK(seteuid(0));
  }
  IN_CHILD {
    OK(setreuid(5, 6));
    ids("setreuid");
  }
  IN_CHILD {
    OK(setreuid(-1, 6));
    ids("setreuid effective");
  }
}
TEST(ordinary_user) {
  IN_CHILD {
    MUST(setresgid(10, 11, 12));
    MUST(setresuid(1, 2, 3));
    ids("mixed");
    OK(setuid(1));
    ids("setuid real");
    OK(setuid(3));
    ids("setuid saved");
    ERR(EPERM, setuid(2));
    OK(setgid(10));
    OK(setgid(12));
    ERR(EPERM, setgid(11));
    OK(setreuid(3, -1));
    ids("setreuid");
    ERR(EPERM, setgroups(0, 0));
    OK(setfsuid(99));
    ids("fsuid unchanged");
  }
}
TEST(file_system_user) {
  IN_CHILD {
    OK(chmod(".", 0777));
    setfsuid(77);
    setfsgid(78);
    put("f", "");
    struct stat s;
    OK(stat("f", &s));
    EQ(s.st_uid, 77);
    EQ(s.st_gid, 78);
    ids("fs");
    OK(seteuid(0));
    ids("after seteuid");
  }
}
TEST(groups) {
  IN_CHILD {
    gid_t g[] = {30, 10, 20}, got[10];
    OK(setgroups(3, g));
    EQ(getgroups(0, 0), 3);
    EQ(getgroups(10, got), 3);
    int sum = 0;
    for (int i = 0; i < 3; i++)
      sum += got[i];
    EQ(sum, 60);
    ERR(EINVAL, getgroups(2, got));
    ERR(EINVAL, getgroups(-1, got));
    ERR(EINVAL, syscall(SYS_setgroups, 65537, g));
    ERR(EFAULT, syscall(SYS_setgroups, 3, 8));
    OK(setgroups(0, 0));
    EQ(getgroups(10, got), 0);
  }
}
TEST(capabilities_follow_identity) {
  IN_CHILD {
    uint64_t full = caps(1);
    CHECK(full & 1 << CAP_CHOWN);
    OK(seteuid(9));
    EQ(caps(0), 0);
    EQ(caps(1), full);
    OK(seteuid(0));
    EQ(caps(0), full);
    OK(setresuid(9, 9, 9));
    EQ(caps(0), 0);
    EQ(caps(1), 0);
  }
  IN_CHILD {
    uint64_t full = caps(1);
    OK(prctl(PR_SET_KEEPCAPS, 1));
    OK(setresuid(9, 9, 9));
    EQ(caps(0), 0);
    EQ(caps(1), full);
    EQ(prctl(PR_GET_KEEPCAPS), 1);
  }
  IN_CHILD {
    OK(prctl(PR_SET_SECUREBITS, 1 << 2));
    uint64_t full = caps(0);
    OK(setresuid(9, 9, 9));
    EQ(caps(0), full);
  }
}
TEST(capability_calls) {
  struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct d[2], none[2] = {{0}};
  OK(syscall(SYS_capget, &h, d));
  IN_CHILD {
    d[0].effective = 0;
    d[0].permitted &= ~(1u << CAP_KILL);
    OK(syscall(SYS_capset, &h, d));
    EQ(caps(0) & 0xffffffff, 0);
    ERR(EPERM, chown(".", 5, 5));
    d[0].permitted |= 1u << CAP_KILL;
    ERR(EPERM, syscall(SYS_capset, &h, d));
    OK(syscall(SYS_capset, &h, none));
    EQ(caps(1), 0);
  }
  h.version = 7;
  ERR(EINVAL, syscall(SYS_capget, &h, d));
  EQ(h.version, _LINUX_CAPABILITY_VERSION_3);
  h.pid = 99999;
  ERR(ESRCH, syscall(SYS_capget, &h, d));
  h.pid = 1;
  ERR(EPERM, syscall(SYS_capset, &h, d));
  EQ(prctl(PR_CAPBSET_READ, CAP_CHOWN), 1);
  ERR(EINVAL, prctl(PR_CAPBSET_READ, 99));
  IN_CHILD {
    OK(prctl(PR_CAPBSET_DROP, CAP_CHOWN));
    EQ(prctl(PR_CAPBSET_READ, CAP_CHOWN), 0);
  }
}
TEST(each_capability_gates) {
  IN_CHILD {
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2] = {{0}};
    put("f", "");
    chmod("f", 0);
    OK(syscall(SYS_capset, &h, d));
    ERR(EACCES, open("f", O_RDONLY));
    ERR(EPERM, setuid(5));
    ERR(EPERM, setgroups(0, 0));
    ERR(EPERM, chroot("."));
    ERR(EPERM, mount("x", ".", "tmpfs", 0, 0));
    ERR(EPERM, sethostname("x", 1));
    ERR(EPERM, unshare(CLONE_NEWUTS));
    ERR(EPERM, mknod("n", S_IFCHR, 0x103));
    ERR(EPERM, settimeofday(&(struct timeval){1, 1}, 0));
    ERR(EPERM, setpriority(PRIO_PROCESS, 0, -1) == -1 && errno == EACCES ? (errno = EPERM, -1) : 0);
    ERR(EPERM, reboot(0));
    ERR(EPERM, umount("/"));
    ERR(EPERM, swapon("x", 0));
    ERR(EPERM, acct("x"));
  }
}
TEST(signal_permission) {
  pid_t c = xfork();
  if (!c) {
    become(1000, 1000);
    for (;;)
      pause();
  }
  msleep(20);
  IN_CHILD {
    become(1001, 1001);
    ERR(EPERM, kill(c, SIGTERM));
    ERR(EPERM, kill(c, 0));
    OK(kill(c, SIGCONT));
    ERR(EPERM, kill(1, 0));
  }
  IN_CHILD {
    become(1000, 1000);
    OK(kill(c, 0));
    OK(kill(c, SIGTERM));
  }
  puts(reap(c));
}
TEST(no_new_privileges) {
  EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
  ERR(EINVAL, prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
  OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
  IN_CHILD {
    EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
  }
}
static void *thread_ids(void *x) {
  (void)x;
  uid_t r, e, s;
  getresuid(&r, &e, &s);
  return (void *)(long)(r == 7 && e == 7);
}
TEST(all_threads_change) {
  IN_CHILD {
    OK(setresuid(7, 7, 7));
    pthread_t t;
    void *r = 0;
    EQ(pthread_create(&t, 0, thread_ids, 0), 0);
    pthread_join(t, &r);
    EQ((long)r, 1);
  }
  IN_CHILD {
    OK(syscall(SYS_setresuid, 7, 7, -1));
  }
}
