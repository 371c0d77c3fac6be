// unshare(2), setns(2), clone(2) with namespaces, mount(2) inside.
#include "guest.h"
static void ns(const char *what) {
  char p[64], b[64] = "";
  snprintf(p, 64, "/proc/self/ns/%s", what);
  OK(readlink(p, b, 63));
  char *c = strchr(b, ':');
  CHECK(c);
  if (c)
    printf("%.*s ", (int)(c - b), b);
}
TEST(links) {
  const char *n[] = {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"};
  for (unsigned i = 0; i < LEN(n); i++)
    ns(n[i]);
  puts("");
}
TEST(host_names) {
  char before[65], b[65];
  OK(gethostname(before, 65));
  IN_CHILD {
    OK(unshare(CLONE_NEWUTS));
    OK(sethostname("inner", 5));
    OK(gethostname(b, 65));
    STREQ(b, "inner");
    OK(setdomainname("dom", 3));
    struct utsname u;
    OK(uname(&u));
    STREQ(u.domainname, "dom");
    ERR(EINVAL, sethostname("x", 65));
    ERR(EFAULT, sethostname((void *)8, 5));
  }
  OK(gethostname(b, 65));
  STREQ(b, before);
}
TEST(process_ids) {
  pid_t c = xfork();
  if (!c) {
    OK(unshare(CLONE_NEWPID));
    pid_t k = xfork();
    if (!k) {
      EQ(getpid(), 1);
      EQ(getppid(), 0);
      pid_t d = xfork();
      if (!d) {
        EQ(getpid(), 2);
        EQ(getppid(), 1);
        CHILD_END();
      }
      REAP(d);
      d = xfork();
      if (!d) {
        if (!fork()) {
          msleep(20);
          _exit(0);
        }
        _exit(0);
      }
      REAP(d);
      int st;
      CHECK(wait(&st) > 2);
      ERR(ECHILD, wait(&st));
      kill(1, SIGTERM);
      kill(1, SIGKILL);
      CHILD_END();
    }
    REAP(k);
    ERR(ENOMEM, fork());
    CHILD_END();
  }
  REAP(c);
}
TEST(init_takes_all_with_it) {
  int q[2];
  MUST(pipe(q));
  pid_t c = xfork();
  if (!c) {
    OK(unshare(CLONE_NEWPID));
    pid_t k = xfork();
    if (!k) {
      for (int i = 0; i < 3; i++)
        if (!fork()) {
          signal(SIGTERM, SIG_IGN);
          for (;;)
            pause();
        }
      msleep(20);
      _exit(5);
    }
    close(q[1]);
    printf("%s\n", reap(k));
    CHILD_END();
  }
  close(q[1]);
  REAP(c);
  char b;
  EQ(read(q[0], &b, 1), 0);
}
TEST(nested_process_ids) {
  int q[2];
  MUST(pipe(q));
  pid_t c = xfork();
  if (!c) {
    unshare(CLONE_NEWPID);
    pid_t k = fork();
    if (!k) {
      for (;;)
        pause();
    }
    write(q[1], &k, sizeof k);
    int st;
    waitpid(k, &st, 0);
    puts(status_text(st));
    CHILD_END();
  }
  pid_t k;
  OK(read(q[0], &k, sizeof k));
  char p[64];
  snprintf(p, 64, "/proc/%d/status", k);
  const char *s = strstr(get(p), "NSpid:");
  int a = 0, b = 0;
  CHECK(s && sscanf(s, "NSpid: %*[^\n]") >= 0);
  if (s) {
    const char *e = strchr(s, '\n');
    while (e > s && e[-1] != '\t')
      e--;
    b = atoi(e);
  }
  (void)a;
  EQ(b, 1);
  OK(kill(k, SIGKILL));
  REAP(c);
}
TEST(mounts) {
  IN_CHILD {
    OK(unshare(CLONE_NEWNS));
    OK(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0));
    OK(mkdir("m", 0755));
    OK(mkdir("b", 0755));
    put("m/under", "under");
    OK(mount("tmpfs", "m", "tmpfs", MS_NOEXEC, "size=1m,mode=0700"));
    struct stat s;
    OK(stat("m", &s));
    EQ(s.st_mode & 07777, 0700);
    STREQ(get("m/under"), "<ENOENT>");
    put("m/f", "x");
    OK(mount("m", "b", 0, MS_BIND, 0));
    STREQ(get("b/f"), "x");
    OK(mount(0, "b", 0, MS_REMOUNT | MS_BIND | MS_RDONLY, 0));
    ERR(EROFS, open("b/g", O_CREAT | O_RDWR, 0600));
    put("m/g", "y");
    STREQ(get("b/g"), "y");
    ERR(EBUSY, rmdir("m"));
    ERR(EBUSY, rename("m", "n"));
    int fd = OK(open("m/f", O_RDONLY));
    ERR(EBUSY, umount("m"));
    OK(umount2("m", MNT_DETACH));
    STREQ(get("m/under"), "under");
    char c;
    EQ(read(fd, &c, 1), 1);
    OK(umount("b"));
    ERR(EINVAL, umount("b"));
    ERR(ENODEV, mount("x", "b", "nonsensefs", 0, 0));
    ERR(ENOENT, mount("x", "none", "tmpfs", 0, 0));
    ERR(ENOTDIR, mount("x", "m/under", "tmpfs", 0, 0));
    put("file", "F");
    put("target", "T");
    OK(mount("file", "target", 0, MS_BIND, 0));
    STREQ(get("target"), "F");
    OK(umount("target"));
    OK(mount("proc", "b", "proc", 0, 0));
    CHECK(strstr(get("/proc/self/mountinfo"), "/b "));
    OK(umount("b"));
    ERR(EINVAL, mount(0, "b", 0, MS_REMOUNT, 0));
  }
  struct stat s;
  ERR(ENOENT, stat("m/f", &s));
}
TEST(noexec_and_readonly) {
  IN_CHILD {
    OK(unshare(CLONE_NEWNS));
    OK(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0));
    OK(mkdir("m", 0755));
    OK(mount("tmpfs", "m", "tmpfs", MS_NOEXEC | MS_NODEV | MS_NOSUID, 0));
    put("m/x", "#!/bin/sh\n");
    OK(chmod("m/x", 0755));
    ERR(EACCES, execve("m/x", (char *[]){"x", 0}, 0));
    struct statfs f;
    OK(statfs("m", &f));
    EQ(f.f_flags & 14, 14);
    if (mknod("m/null", S_IFCHR | 0666, makedev(1, 3)) == 0)
      ERR(EACCES, open("m/null", O_RDONLY));
    int w = OK(open("m/w", O_CREAT | O_RDWR, 0600));
    ERR(EBUSY, mount(0, "m", 0, MS_REMOUNT | MS_RDONLY, 0));
    close(w);
    OK(mount(0, "m", 0, MS_REMOUNT | MS_RDONLY, 0));
    ERR(EROFS, unlink("m/x"));
    ERR(EROFS, chmod("m/x", 0));
    ERR(EROFS, mkdir("m/d", 0700));
    ERR(EROFS, truncate("m/x", 0));
    OK(access("m/x", R_OK));
    ERR(EROFS, access("m/x", W_OK));
  }
}
TEST(propagation) {
  IN_CHILD {
    OK(unshare(CLONE_NEWNS));
    OK(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0));
    OK(mkdir("a", 0755));
    OK(mkdir("b", 0755));
    OK(mount("tmpfs", "a", "tmpfs", 0, 0));
    OK(mount(0, "a", 0, MS_SHARED, 0));
    OK(mount("a", "b", 0, MS_BIND, 0));
    OK(mkdir("a/s", 0755));
    OK(mount("tmpfs", "a/s", "tmpfs", 0, 0));
    put("a/s/f", "shared");
    STREQ(get("b/s/f"), "shared");
    OK(umount("b/s"));
    STREQ(get("a/s/f"), "<ENOENT>");
    OK(mount(0, "b", 0, MS_SLAVE, 0));
    OK(mount("tmpfs", "a/s", "tmpfs", 0, 0));
    put("a/s/f", "slave");
    STREQ(get("b/s/f"), "slave");
    OK(umount("b/s"));
    STREQ(get("a/s/f"), "slave");
    OK(mount(0, "b", 0, MS_PRIVATE, 0));
    OK(umount("a/s"));
    OK(mount("tmpfs", "a/s", "tmpfs", 0, 0));
    put("a/s/f", "private");
    STREQ(get("b/s/f"), "<ENOENT>");
    OK(mount(0, "a", 0, MS_UNBINDABLE, 0));
    ERR(EINVAL, mount("a", "b", 0, MS_BIND, 0));
  }
}
TEST(new_root) {
  IN_CHILD {
    OK(unshare(CLONE_NEWNS));
    OK(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0));
    OK(mkdir("r", 0755));
    OK(mount("tmpfs", "r", "tmpfs", 0, 0));
    OK(mkdir("r/old", 0755));
    put("r/here", "new root");
    OK(chdir("r"));
    OK(syscall(SYS_pivot_root, ".", "old"));
    OK(chdir("/"));
    STREQ(get("/here"), "new root");
    OK(umount2("/old", MNT_DETACH));
    DIR *d = opendir("/");
    int n = 0;
    while (readdir(d))
      n++;
    EQ(n, 4);
  }
}
TEST(users) {
  IN_CHILD {
    MUST(setgroups(0, 0));
    MUST(setresgid(1000, 1000, 1000));
    MUST(setresuid(1000, 1000, 1000));
    prctl(PR_SET_DUMPABLE, 1);
    if (unshare(CLONE_NEWUSER)) {
      printf("unshare: %s\n", ename(errno));
      guest_failed = 0;
    } else {
      EQ(getuid(), 65534);
      put("/proc/self/setgroups", "deny");
      put("/proc/self/uid_map", "0 1000 1");
      put("/proc/self/gid_map", "0 1000 1");
      EQ(getuid(), 0);
      EQ(getgid(), 0);
      OK(unshare(CLONE_NEWUTS));
      OK(sethostname("u", 1));
      ERR(EPERM, setuid(5) == -1 ? (errno = EPERM, -1) : 0);
      int a, b, c;
      EQ(sscanf(get("/proc/self/uid_map"), "%d %d %d", &a, &b, &c), 3);
      EQ(a, 0);
      EQ(b, 1000);
      EQ(c, 1);
    }
  }
}
TEST(joining) {
  int q[2];
  MUST(pipe(q));
  pid_t c = xfork();
  if (!c) {
    unshare(CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWIPC);
    sethostname("joined", 6);
    write(q[1], "r", 1);
    for (;;)
      pause();
  }
  char b[65], p[64];
  OK(read(q[0], b, 1));
  snprintf(p, 64, "/proc/%d/ns/uts", c);
  int fd = OK(open(p, O_RDONLY));
  IN_CHILD {
    ERR(EINVAL, setns(fd, CLONE_NEWNET));
    OK(setns(fd, CLONE_NEWUTS));
    OK(gethostname(b, 65));
    STREQ(b, "joined");
    int pf = OK(syscall(SYS_pidfd_open, c, 0));
    OK(setns(pf, CLONE_NEWNET | CLONE_NEWIPC));
    ERR(EINVAL, setns(0, 0));
    ERR(EBADF, setns(99, 0));
  }
  kill(c, SIGKILL);
  reap(c);
  IN_CHILD {
    OK(setns(fd, 0));
    OK(gethostname(b, 65));
    STREQ(b, "joined");
  }
  ERR(EINVAL, unshare(0x1));
}
TEST(network_is_empty) {
  IN_CHILD {
    OK(unshare(CLONE_NEWNET));
    const char *d = get("/proc/self/net/dev");
    int n = 0;
    for (; *d; d++)
      n += *d == '\n';
    EQ(n, 3);
  }
}
TEST(clone_with_namespaces) {
  static char st[65536] __attribute__((aligned(16)));
  int body(void *x) {
    (void)x;
    char b[65];
    sethostname("cl", 2);
    gethostname(b, 65);
    return getpid() == 1 && !strcmp(b, "cl") ? 17 : 1;
  }
  pid_t p = OK(clone(body, st + sizeof st, CLONE_NEWPID | CLONE_NEWUTS | SIGCHLD, 0));
  STREQ(reap(p), "exit 17");
}
