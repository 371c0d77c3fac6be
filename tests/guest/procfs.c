// /proc: what programs read about themselves and the machine.
#include "guest.h"
static int lines(const char *p) {
  const char *s = get(p);
  int n = 0;
  for (; *s; s++)
    n += *s == '\n';
  return n;
}
static long field(const char *file, const char *key) {
  const char *s = get(file), *p;
  char k[64];
  snprintf(k, 64, "%s:", key);
  for (p = s; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : 0)
    if (!strncmp(p, k, strlen(k)))
      return atol(p + strlen(k));
  return -1;
}
TEST(self) {
  char l[PATH_MAX] = "";
  OK(readlink("/proc/self", l, sizeof l - 1));
  EQ(atoi(l), getpid());
  memset(l, 0, sizeof l);
  OK(readlink("/proc/thread-self", l, sizeof l - 1));
  int a, b;
  EQ(sscanf(l, "%d/task/%d", &a, &b), 2);
  EQ(a, b);
  IN_CHILD {
    char m[64] = "";
    OK(readlink("/proc/self", m, 63));
    EQ(atoi(m), getpid());
  }
}
TEST(stat_file) {
  const char *s = get("/proc/self/stat"), *e = strrchr(s, ')');
  int pid, ppid, pgrp, sid;
  char st;
  EQ(sscanf(s, "%d (", &pid), 1);
  EQ(pid, getpid());
  EQ(sscanf(e + 2, "%c %d %d %d", &st, &ppid, &pgrp, &sid), 4);
  EQ(st, 'R');
  EQ(ppid, getppid());
  EQ(pgrp, getpgrp());
  EQ(sid, getsid(0));
  int n = 0;
  for (const char *p = e; *p; p++)
    n += *p == ' ';
  EQ(n, 50);
  char name[20];
  EQ(sscanf(s, "%*d (%15[^)])", name), 1);
  STREQ(name, "procfs");
  pid_t c = xfork();
  if (!c)
    for (;;)
      pause();
  until_asleep(c);
  EQ(proc_state(c), 'S');
  kill(c, SIGKILL);
  reap(c);
}
TEST(status_file) {
  EQ(field("/proc/self/status", "Pid"), getpid());
  EQ(field("/proc/self/status", "Tgid"), getpid());
  EQ(field("/proc/self/status", "PPid"), getppid());
  EQ(field("/proc/self/status", "Uid"), 0);
  EQ(field("/proc/self/status", "Threads"), 1);
  CHECK(field("/proc/self/status", "VmRSS") > 0);
  CHECK(field("/proc/self/status", "VmSize") > 0);
  const char *s = get("/proc/self/status");
  const char *k[] = {"Name:",   "Umask:",      "State:",   "TracerPid:",    "Gid:",
                     "FDSize:", "Groups:",     "VmPeak:",  "VmData:",       "VmStk:",
                     "SigQ:",   "SigPnd:",     "ShdPnd:",  "SigBlk:",       "SigIgn:",
                     "SigCgt:", "CapInh:",     "CapPrm:",  "CapEff:",       "CapBnd:",
                     "CapAmb:", "NoNewPrivs:", "Seccomp:", "Cpus_allowed:", "voluntary_ctxt_switches:"};
  for (unsigned i = 0; i < LEN(k); i++)
    if (!strstr(s, k[i]))
      fail(__LINE__, "no %s", k[i]);
  signal(SIGUSR1, SIG_IGN);
  catch_signal(SIGUSR2, 0);
  unsigned long v;
  sscanf(strstr(get("/proc/self/status"), "SigIgn:"), "SigIgn: %lx", &v);
  CHECK(v & 1 << (SIGUSR1 - 1));
  sscanf(strstr(get("/proc/self/status"), "SigCgt:"), "SigCgt: %lx", &v);
  CHECK(v & 1 << (SIGUSR2 - 1));
}
TEST(command_line_and_environment) {
  const char *c = get("/proc/self/cmdline");
  CHECK(strstr(c, "procfs"));
  STREQ(get("/proc/self/comm"), "procfs\n");
  put("/proc/self/comm", "renamed");
  STREQ(get("/proc/self/comm"), "renamed\n");
  char l[PATH_MAX] = "";
  OK(readlink("/proc/self/exe", l, sizeof l - 1));
  CHECK(strstr(l, "/procfs"));
  memset(l, 0, sizeof l);
  OK(readlink("/proc/self/cwd", l, sizeof l - 1));
  char w[PATH_MAX];
  STREQ(l, getcwd(w, sizeof w));
  memset(l, 0, sizeof l);
  OK(readlink("/proc/self/root", l, sizeof l - 1));
  STREQ(l, "/");
  CHECK(strstr(get("/proc/self/environ"), "="));
  struct stat a, b;
  OK(stat("/proc/self/cwd", &a));
  OK(stat(".", &b));
  EQ(a.st_ino, b.st_ino);
}
TEST(descriptors) {
  int p[2];
  MUST(pipe(p));
  put("f", "");
  int fd = MUST(open("f", O_RDWR | O_APPEND | O_CLOEXEC));
  char n[64], l[PATH_MAX] = "";
  snprintf(n, 64, "/proc/self/fd/%d", p[0]);
  OK(readlink(n, l, 99));
  CHECK(!strncmp(l, "pipe:[", 6));
  snprintf(n, 64, "/proc/self/fdinfo/%d", fd);
  EQ(field(n, "pos"), 0);
  const char *s = strstr(get(n), "flags:");
  unsigned f = 0;
  CHECK(s && sscanf(s, "flags: %o", &f) == 1);
  EQ(f & (O_APPEND | O_CLOEXEC | O_ACCMODE), O_APPEND | O_CLOEXEC | O_RDWR);
  DIR *d = opendir("/proc/self/fd");
  struct dirent *e;
  int k = 0, seen = 0;
  while ((e = readdir(d))) {
    k++;
    seen |= atoi(e->d_name) == fd && e->d_name[0] != '.';
  }
  EQ(seen, 1);
  CHECK(k >= 8);
  ERR(ENOENT, readlink("/proc/self/fd/999", l, 99));
  struct stat st;
  snprintf(n, 64, "/proc/self/fd/%d", fd);
  OK(lstat(n, &st));
  CHECK(S_ISLNK(st.st_mode));
  EQ(st.st_mode & 0777, 0700);
  snprintf(n, 64, "/proc/self/fd/%d", p[1]);
  int w = OK(open(n, O_WRONLY));
  OK(write(w, "x", 1));
  char b;
  EQ(read(p[0], &b, 1), 1);
}
TEST(machine) {
  CHECK(field("/proc/meminfo", "MemTotal") > 1000);
  CHECK(field("/proc/meminfo", "MemFree") >= 0);
  CHECK(field("/proc/meminfo", "MemAvailable") >= 0);
  EQ(field("/proc/meminfo", "SwapTotal") >= 0, 1);
  const char *c = get("/proc/cpuinfo");
  int n = 0;
  for (const char *p = c; (p = strstr(p, "processor\t:")); p++)
    n++;
  EQ(n, sysconf(_SC_NPROCESSORS_ONLN));
  CHECK(strstr(get("/proc/cpuinfo"), "flags\t"));
  CHECK(!strncmp(get("/proc/stat"), "cpu ", 4));
  CHECK(strstr(get("/proc/stat"), "btime "));
  double up;
  EQ(sscanf(get("/proc/uptime"), "%lf", &up), 1);
  CHECK(up > 0);
  double a, b, d;
  EQ(sscanf(get("/proc/loadavg"), "%lf %lf %lf %*d/%*d %*d", &a, &b, &d), 3);
  CHECK(!strncmp(get("/proc/version"), "Linux version ", 14));
  CHECK(strstr(get("/proc/filesystems"), "tmpfs"));
  CHECK(lines("/proc/mounts") > 3);
  CHECK(lines("/proc/self/mountinfo") > 3);
}
TEST(kernel_settings) {
  const char *f[] = {"kernel/ostype",      "kernel/hostname",
                     "kernel/pid_max",     "kernel/random/boot_id",
                     "kernel/random/uuid", "kernel/cap_last_cap",
                     "kernel/ngroups_max", "vm/overcommit_memory",
                     "vm/max_map_count",   "fs/file-max",
                     "fs/nr_open",         "fs/pipe-max-size",
                     "net/core/somaxconn", "net/ipv4/ip_local_port_range",
                     "kernel/shmmax",      "kernel/threads-max"};
  for (unsigned i = 0; i < LEN(f); i++) {
    char p[100];
    snprintf(p, 100, "/proc/sys/%s", f[i]);
    const char *s = get(p);
    if (s[0] == '<' || !*s)
      fail(__LINE__, "%s: %s", p, s);
  }
  STREQ(get("/proc/sys/kernel/ostype"), "Linux\n");
  CHECK(strcmp(get("/proc/sys/kernel/random/uuid"), get("/proc/sys/kernel/random/uuid")));
  EQ(strlen(get("/proc/sys/kernel/random/boot_id")), 37);
  char h[65];
  gethostname(h, 65);
  strcat(h, "\n");
  STREQ(get("/proc/sys/kernel/hostname"), h);
}
TEST(other_processes) {
  pid_t c = xfork();
  if (!c) {
    prctl(PR_SET_NAME, "other child");
    for (;;)
      pause();
  }
  until_asleep(c);
  char p[64];
  snprintf(p, 64, "/proc/%d/comm", c);
  STREQ(get(p), "other child\n");
  snprintf(p, 64, "/proc/%d/status", c);
  EQ(field(p, "PPid"), getpid());
  snprintf(p, 64, "/proc/%d/task/%d/stat", c, c);
  CHECK(get(p)[0] != '<');
  DIR *d = opendir("/proc");
  struct dirent *e;
  int seen = 0;
  while ((e = readdir(d)))
    seen |= atoi(e->d_name) == c;
  EQ(seen, 1);
  snprintf(p, 64, "/proc/%d/stat", c);
  int fd = OK(open(p, O_RDONLY));
  kill(c, SIGKILL);
  reap(c);
  char b[10];
  ERR(ESRCH, read(fd, b, 10));
  struct stat st;
  snprintf(p, 64, "/proc/%d", c);
  ERR(ENOENT, stat(p, &st));
  ERR(ENOENT, open("/proc/0/stat", O_RDONLY));
  ERR(ENOENT, open("/proc/notthere", O_RDONLY));
  ERR(ENOENT, mkdir("/proc/x", 0755));
  int r = unlink("/proc/version");
  CHECK(r == -1 && (errno == EPERM || errno == EACCES || errno == EROFS));
}
TEST(private_files) {
  pid_t c = xfork();
  if (!c) {
    for (;;)
      pause();
  }
  until_asleep(c);
  char p[64], l[100];
  IN_CHILD {
    become(1000, 1000);
    snprintf(p, 64, "/proc/%d/exe", c);
    ERR(EACCES, readlink(p, l, 99));
    snprintf(p, 64, "/proc/%d/environ", c);
    ERR(EACCES, open(p, O_RDONLY));
    snprintf(p, 64, "/proc/%d/fd", c);
    ERR(EACCES, open(p, O_RDONLY));
    snprintf(p, 64, "/proc/%d/stat", c);
    OK(open(p, O_RDONLY));
    snprintf(p, 64, "/proc/%d/cmdline", c);
    OK(open(p, O_RDONLY));
  }
  kill(c, SIGKILL);
  reap(c);
}
TEST(memory_file) {
  static char secret[] = "in memory";
  int fd = OK(open("/proc/self/mem", O_RDWR));
  char b[20] = "";
  EQ(pread(fd, b, 9, (off_t)(uintptr_t)secret), 9);
  STREQ(b, "in memory");
  EQ(pwrite(fd, "IN", 2, (off_t)(uintptr_t)secret), 2);
  STREQ(secret, "IN memory");
  ERR(EIO, pread(fd, b, 1, 8));
}
TEST(smaps_and_limits) {
  const char *s = get("/proc/self/smaps");
  CHECK(strstr(s, "Rss:") && strstr(s, "Pss:"));
  CHECK(strstr(get("/proc/self/limits"), "Max open files"));
  long a, b;
  EQ(sscanf(get("/proc/self/statm"), "%ld %ld", &a, &b), 2);
  CHECK(a >= b && b > 0);
  EQ(atoi(get("/proc/self/oom_score_adj")), 0);
  CHECK(get("/proc/self/cgroup")[0] != '<');
}
TEST(devices_and_system) {
  CHECK(get("/sys/devices/system/cpu/online")[0] == '0');
  CHECK(get("/sys/devices/system/cpu/possible")[0] == '0');
  struct stat s;
  OK(stat("/sys/devices/system/cpu/cpu0", &s));
  OK(stat("/sys/class/net", &s));
  OK(stat("/dev/shm", &s));
  EQ(s.st_mode & 01777, 01777);
  char l[64] = "";
  OK(readlink("/dev/fd", l, 63));
  STREQ(l, "/proc/self/fd");
  OK(stat("/dev/ptmx", &s));
  OK(stat("/dev/tty", &s));
  EQ(s.st_rdev, makedev(5, 0));
}
TEST(login_ids) {
  IN_CHILD {
    int f = OK(open("/proc/self/loginuid", O_RDWR));
    EQ(write(f, "5", 1), 1);
    STREQ(get("/proc/self/loginuid"), "5");
    char session[32];
    snprintf(session, sizeof session, "%s", get("/proc/self/sessionid"));
    CHECK(strcmp(session, "4294967295"));
    IN_CHILD {
      STREQ(get("/proc/self/loginuid"), "5");
      STREQ(get("/proc/self/sessionid"), session);
    }
    OK(setuid(7));
    OK(prctl(PR_SET_DUMPABLE, 1)); // what is in /proc is its own again
    f = open("/proc/self/loginuid", O_WRONLY);
    ERR(EPERM, write(f, "6", 1));
    char other[64];
    sprintf(other, "/proc/%d/loginuid", getppid());
    ERR(EACCES, open(other, O_WRONLY));
  }
}
