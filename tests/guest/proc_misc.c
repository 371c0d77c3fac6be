// pidfd, prctl, rlimits, sched, personality, sysinfo, uname, getrandom, getcpu.
#include "guest.h"
#include <linux/sched.h>
#include <sys/personality.h>
#include <sys/random.h>
static int pidfd_open(pid_t p, unsigned f) {
  return syscall(SYS_pidfd_open, p, f);
}
static int pidfd_signal(int fd, int s, siginfo_t *i, unsigned f) {
  return syscall(SYS_pidfd_send_signal, fd, s, i, f);
}
TEST(process_descriptors) {
  pid_t c = xfork();
  if (!c)
    for (;;)
      pause();
  int fd = OK(pidfd_open(c, 0));
  EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
  struct pollfd p = {fd, POLLIN, 0};
  EQ(poll(&p, 1, 0), 0);
  OK(pidfd_signal(fd, 0, 0, 0));
  OK(pidfd_signal(fd, SIGTERM, 0, 0));
  EQ(poll(&p, 1, 5000), 1);
  siginfo_t i;
  memset(&i, 0, sizeof i);
  OK(waitid(P_PIDFD, fd, &i, WEXITED));
  EQ(i.si_pid, c);
  EQ(i.si_status, SIGTERM);
  ERR(ESRCH, pidfd_signal(fd, 0, 0, 0));
  ERR(ESRCH, pidfd_open(99999, 0));
  ERR(EINVAL, pidfd_open(-1, 0));
  ERR(EINVAL, pidfd_open(getpid(), 1));
  ERR(EBADF, pidfd_signal(0, 0, 0, 0));
  ERR(EINVAL, pidfd_signal(fd, 0, 0, 0x100));
  char b;
  ERR(EINVAL, read(fd, &b, 1));
}
TEST(descriptor_from_another_process) {
  int q[2];
  MUST(pipe(q));
  pid_t c = xfork();
  if (!c) {
    int fd = MUST(open("f", O_CREAT | O_RDWR, 0600));
    write(fd, "theirs", 6);
    dup2(fd, 50);
    write(q[1], "x", 1);
    for (;;)
      pause();
  }
  char b[10] = "";
  OK(read(q[0], b, 1));
  int fd = OK(pidfd_open(c, 0)), g = OK(syscall(SYS_pidfd_getfd, fd, 50, 0));
  EQ(pread(g, b, 10, 0), 6);
  STREQ(b, "theirs");
  ERR(EBADF, syscall(SYS_pidfd_getfd, fd, 77, 0));
  ERR(EINVAL, syscall(SYS_pidfd_getfd, fd, 50, 1));
  kill(c, SIGKILL);
  puts(reap(c));
}
TEST(limits) {
  struct rlimit r, s;
  for (int i = 0; i < RLIM_NLIMITS; i++)
    OK(getrlimit(i, &r));
  ERR(EINVAL, getrlimit(99, &r));
  ERR(EFAULT, getrlimit(0, (void *)8));
  r = (struct rlimit){100, 200};
  OK(setrlimit(RLIMIT_NOFILE, &r));
  OK(getrlimit(RLIMIT_NOFILE, &s));
  EQ(s.rlim_cur, 100);
  EQ(s.rlim_max, 200);
  r = (struct rlimit){300, 200};
  ERR(EINVAL, setrlimit(RLIMIT_NOFILE, &r));
  IN_CHILD {
    OK(getrlimit(RLIMIT_NOFILE, &s));
    EQ(s.rlim_cur, 100);
    become(1000, 1000);
    r = (struct rlimit){150, 200};
    OK(setrlimit(RLIMIT_NOFILE, &r));
    r = (struct rlimit){150, 201};
    ERR(EPERM, setrlimit(RLIMIT_NOFILE, &r));
  }
  OK(prlimit(0, RLIMIT_CORE, &(struct rlimit){0, 0}, &s));
  OK(prlimit(getpid(), RLIMIT_CORE, 0, &s));
  EQ(s.rlim_max, 0);
  ERR(ESRCH, prlimit(99999, RLIMIT_CORE, 0, &s));
}
TEST(cpu_limit) {
  pid_t c = xfork();
  if (!c) {
    struct rlimit r = {1, 2};
    setrlimit(RLIMIT_CPU, &r);
    signal(SIGXCPU, SIG_DFL);
    r = (struct rlimit){0, 0};
    setrlimit(RLIMIT_CORE, &r);
    for (volatile long i = 0;; i++)
      ;
  }
  puts(reap(c));
}
TEST(process_control) {
  char n[20] = "";
  OK(prctl(PR_SET_NAME, "a-very-long-process-name"));
  OK(prctl(PR_GET_NAME, n));
  STREQ(n, "a-very-long-pro");
  STREQ(get("/proc/self/comm"), "a-very-long-pro\n");
  OK(prctl(PR_SET_DUMPABLE, 0));
  EQ(prctl(PR_GET_DUMPABLE), 0);
  ERR(EINVAL, prctl(PR_SET_DUMPABLE, 5));
  int v = 0;
  OK(prctl(PR_GET_CHILD_SUBREAPER, &v));
  EQ(v, 0);
  OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
  OK(prctl(PR_GET_CHILD_SUBREAPER, &v));
  EQ(v, 1);
  IN_CHILD {
    OK(prctl(PR_GET_CHILD_SUBREAPER, &v));
    EQ(v, 0);
  }
  ERR(EINVAL, prctl(99999));
  OK(prctl(PR_SET_TIMERSLACK, 1000));
  EQ(prctl(PR_GET_TIMERSLACK), 1000);
  EQ(prctl(PR_GET_SECCOMP), 0);
  EQ(prctl(PR_GET_PDEATHSIG, &v), 0);
  EQ(v, 0);
  ERR(EINVAL, prctl(PR_SET_PDEATHSIG, 99));
}
TEST(parent_death_signal) {
  int q[2];
  MUST(pipe(q));
  pid_t mid = xfork();
  if (!mid) {
    int r[2];
    pipe(r);
    if (!fork()) {
      prctl(PR_SET_PDEATHSIG, SIGUSR1);
      sigset_t s;
      sigemptyset(&s);
      sigaddset(&s, SIGUSR1);
      sigprocmask(SIG_BLOCK, &s, 0);
      write(r[1], "r", 1);
      int n = sigwaitinfo(&s, 0);
      write(q[1], n == SIGUSR1 ? "y" : "n", 1);
      _exit(0);
    }
    char b;
    read(r[0], &b, 1);
    _exit(0);
  }
  REAP(mid);
  char b = 0;
  OK(read(q[0], &b, 1));
  EQ(b, 'y');
}
TEST(scheduling) {
  EQ(sched_getscheduler(0), SCHED_OTHER);
  struct sched_param p = {0};
  OK(sched_getparam(0, &p));
  EQ(p.sched_priority, 0);
  EQ(sched_get_priority_max(SCHED_FIFO), 99);
  EQ(sched_get_priority_min(SCHED_FIFO), 1);
  EQ(sched_get_priority_max(SCHED_OTHER), 0);
  ERR(EINVAL, sched_get_priority_max(99));
  OK(sched_yield());
  OK(sched_setscheduler(0, SCHED_BATCH, &p));
  EQ(sched_getscheduler(0), SCHED_BATCH);
  p.sched_priority = 5;
  ERR(EINVAL, sched_setscheduler(0, SCHED_OTHER, &p));
  ERR(ESRCH, sched_getscheduler(99999));
  ERR(EINVAL, sched_getscheduler(-1));
  struct timespec t;
  OK(sched_rr_get_interval(0, &t));
}
TEST(processors) {
  cpu_set_t s;
  CPU_ZERO(&s);
  OK(sched_getaffinity(0, sizeof s, &s));
  int n = CPU_COUNT(&s);
  CHECK(n >= 1);
  CHECK(sysconf(_SC_NPROCESSORS_ONLN) >= n);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int i = 0; i < CPU_SETSIZE; i++)
    if (CPU_ISSET(i, &s)) {
      CPU_SET(i, &one);
      break;
    }
  OK(sched_setaffinity(0, sizeof one, &one));
  OK(sched_getaffinity(0, sizeof s, &s));
  EQ(CPU_COUNT(&s), 1);
  CPU_ZERO(&one);
  ERR(EINVAL, sched_setaffinity(0, sizeof one, &one));
  ERR(EINVAL, sched_getaffinity(0, 0, &s));
  ERR(ESRCH, sched_getaffinity(99999, sizeof s, &s));
  unsigned cpu = 999, node;
  OK(getcpu(&cpu, &node));
  CHECK(cpu < 999);
}
TEST(system_information) {
  struct sysinfo i;
  OK(sysinfo(&i));
  CHECK(i.totalram > 0 && i.mem_unit > 0 && i.procs > 0 && i.freeram <= i.totalram);
  ERR(EFAULT, sysinfo((void *)8));
  struct utsname u;
  OK(uname(&u));
  STREQ(u.sysname, "Linux");
  STREQ(u.machine, "x86_64");
  int a, b;
  EQ(sscanf(u.release, "%d.%d", &a, &b), 2);
  CHECK(a >= 6);
  ERR(EFAULT, syscall(SYS_uname, 8));
  EQ(syscall(SYS_getpid), getpid());
  EQ(syscall(SYS_gettid), getpid());
  EQ(personality(0xffffffff), 0);
  EQ(getpagesize(), 4096);
}
TEST(random_bytes) {
  unsigned char a[64], b[64];
  EQ(getrandom(a, 64, 0), 64);
  EQ(getrandom(b, 64, GRND_RANDOM | GRND_NONBLOCK), 64);
  CHECK(memcmp(a, b, 64));
  ERR(EINVAL, getrandom(a, 1, 0x100));
  ERR(EINVAL, getrandom(a, 1, GRND_RANDOM | 4));
  ERR(EFAULT, syscall(SYS_getrandom, 8, 16, 0));
  EQ(getrandom(a, 0, 0), 0);
  EQ(getrandom(a, 4, 4), 4);
  static char big[1 << 20];
  EQ(getrandom(big, sizeof big, 0), sizeof big);
}
TEST(architecture_registers) {
  unsigned long v = 0;
  OK(syscall(SYS_arch_prctl, 0x1003, &v));
  CHECK(v);
  ERR(EINVAL, syscall(SYS_arch_prctl, 0x9999, &v));
  OK(syscall(SYS_arch_prctl, 0x1001, 0x1234000ul));
  OK(syscall(SYS_arch_prctl, 0x1004, &v));
  EQ(v, 0x1234000);
  ERR(EPERM, syscall(SYS_arch_prctl, 0x1001, -1ul));
  IN_CHILD {
    v = 0;
    OK(syscall(SYS_arch_prctl, 0x1004, &v));
    EQ(v, 0x1234000);
  }
}
TEST(membarrier_and_rseq) {
  long m = syscall(SYS_membarrier, 0, 0, 0);
  CHECK(m == -1 || m & 1);
  if (m > 0) {
    OK(syscall(SYS_membarrier, 1, 0, 0));
  }
  ERR(EINVAL, syscall(SYS_membarrier, 1 << 30, 0, 0));
}
// Two tasks are compared by what they share; a process with itself shares everything, a child after fork nothing.
TEST(comparison_of_processes) {
  pid_t self = getpid();
  for (int kind = 1; kind <= 6; kind++)
    EQ(syscall(SYS_kcmp, self, self, kind, 0, 0), 0);
  pid_t c = xfork();
  if (!c)
    for (;;)
      pause();
  for (int kind = 1; kind <= 4; kind++)
    CHECK(syscall(SYS_kcmp, self, c, kind, 0, 0) > 0);
  EQ(syscall(SYS_kcmp, self, c, 0, 0, 0), 0);
  // A descriptor that an epoll watches, found by number.
  int epoll = OK(epoll_create1(0)), p[2], q[2];
  OK(pipe(p));
  OK(pipe(q));
  struct epoll_event event = {EPOLLIN};
  OK(epoll_ctl(epoll, EPOLL_CTL_ADD, p[0], &event));
  unsigned slot[3] = {epoll, p[0], 0};
  EQ(syscall(SYS_kcmp, self, self, 7, p[0], slot), 0);
  CHECK(syscall(SYS_kcmp, self, self, 7, q[0], slot) > 0);
  slot[1] = q[0];
  ERR(ENOENT, syscall(SYS_kcmp, self, self, 7, q[0], slot));
  slot[1] = p[0];
  slot[2] = 1;
  ERR(ENOENT, syscall(SYS_kcmp, self, self, 7, p[0], slot));
  slot[0] = p[0];
  ERR(EINVAL, syscall(SYS_kcmp, self, self, 7, p[0], slot));
  ERR(EINVAL, syscall(SYS_kcmp, self, c, 99, 0, 0));
  ERR(EBADF, syscall(SYS_kcmp, self, c, 0, 1000, 0));
  OK(kill(c, SIGKILL));
  OK(waitpid(c, 0, 0));
  ERR(ESRCH, syscall(SYS_kcmp, self, c, 1, 0, 0));
}
TEST(signal_by_directory_of_proc) {
  pid_t p = xfork();
  if (!p) {
    pause();
    _exit(0);
  }
  char name[64];
  sprintf(name, "/proc/%d", p);
  int d = OK(open(name, O_DIRECTORY | O_CLOEXEC));
  OK(pidfd_signal(d, 0, 0, 0));
  OK(pidfd_signal(d, SIGUSR1, 0, 0));
  int st;
  MUST(waitpid(p, &st, 0));
  SAY("%s\n", status_text(st));
  ERR(ESRCH, pidfd_signal(d, 0, 0, 0));
  ERR(EBADF, pidfd_signal(OK(open("/proc", O_DIRECTORY)), 0, 0, 0));
  sprintf(name, "/proc/self/task/%d", getpid());
  ERR(EBADF, pidfd_signal(OK(open(name, O_DIRECTORY)), 0, 0, 0));
}
