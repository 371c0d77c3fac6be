// fork(2), vfork(2), clone(2), clone3(2), exit codes, wait family, orphans, zombies.
#include "guest.h"
#include <linux/sched.h>
TEST(exit_codes) {
  for (int i = 0; i < 260; i += 37) {
    pid_t p = xfork();
    if (!p)
      _exit(i);
    printf("%s ", reap(p));
  }
  puts("");
  int sig[] = {SIGKILL, SIGTERM, SIGSEGV, SIGRTMIN + 3};
  for (unsigned i = 0; i < LEN(sig); i++) {
    pid_t p = xfork();
    if (!p) {
      struct rlimit r = {0, 0};
      setrlimit(RLIMIT_CORE, &r);
      kill(getpid(), sig[i]);
      _exit(0);
    }
    puts(reap(p));
  }
}
TEST(copies_memory) {
  int local = 1;
  static int global = 2;
  int *heap = malloc(4);
  *heap = 3;
  pid_t p = xfork();
  if (!p) {
    EQ(local + global + *heap, 6);
    local = global = *heap = 9;
    CHILD_END();
  }
  REAP(p);
  EQ(local + global + *heap, 6);
}
TEST(wait_errors) {
  int st;
  ERR(ECHILD, wait(&st));
  ERR(ECHILD, waitpid(1, &st, 0));
  ERR(EINVAL, waitpid(-1, &st, 0x4000));
  pid_t p = xfork();
  if (!p)
    _exit(0);
  ERR(ECHILD, waitpid(getpid(), &st, 0));
  ERR(EFAULT, waitpid(p, (int *)8, 0));
  siginfo_t i;
  ERR(EINVAL, waitid(P_PID, p, &i, 0));
  ERR(EINVAL, waitid(99, p, &i, WEXITED));
  ERR(EINVAL, waitid(P_PID, -1, &i, WEXITED));
  ERR(ECHILD, waitpid(p, &st, 0));
}
TEST(no_hang) {
  int q[2];
  MUST(pipe(q));
  pid_t p = xfork();
  if (!p) {
    char c;
    read(q[0], &c, 1);
    _exit(4);
  }
  int st;
  EQ(waitpid(p, &st, WNOHANG), 0);
  siginfo_t i;
  memset(&i, 1, sizeof i);
  OK(waitid(P_PID, p, &i, WEXITED | WNOHANG));
  EQ(i.si_pid, 0);
  OK(write(q[1], "x", 1));
  STREQ(reap(p), "exit 4");
}
TEST(waitid_information) {
  pid_t p = xfork();
  if (!p)
    _exit(7);
  siginfo_t i;
  memset(&i, 0, sizeof i);
  OK(waitid(P_PID, p, &i, WEXITED | WNOWAIT));
  EQ(i.si_pid, p);
  EQ(i.si_status, 7);
  EQ(i.si_code, CLD_EXITED);
  EQ(i.si_signo, SIGCHLD);
  EQ(i.si_uid, 0);
  OK(waitid(P_ALL, 0, &i, WEXITED));
  EQ(i.si_pid, p);
  ERR(ECHILD, waitid(P_ALL, 0, &i, WEXITED));
  p = xfork();
  if (!p)
    raise(SIGKILL);
  struct rusage u;
  OK(syscall(SYS_waitid, P_PID, p, &i, WEXITED, &u));
  EQ(i.si_code, CLD_KILLED);
  EQ(i.si_status, SIGKILL);
  p = xfork();
  if (!p)
    _exit(0);
  int st;
  EQ(wait4(-1, &st, 0, &u), p);
}
TEST(stop_and_continue) {
  pid_t p = xfork();
  if (!p)
    for (;;)
      pause();
  int st;
  OK(kill(p, SIGSTOP));
  EQ(waitpid(p, &st, WUNTRACED), p);
  puts(status_text(st));
  siginfo_t i;
  OK(kill(p, SIGCONT));
  EQ(waitpid(p, &st, WCONTINUED), p);
  puts(status_text(st));
  OK(kill(p, SIGSTOP));
  OK(waitid(P_PID, p, &i, WSTOPPED | WNOWAIT));
  EQ(i.si_code, CLD_STOPPED);
  EQ(i.si_status, SIGSTOP);
  EQ(proc_state(p), 'T');
  OK(waitid(P_PID, p, &i, WSTOPPED));
  EQ(waitpid(p, &st, WUNTRACED | WNOHANG), 0);
  OK(kill(p, SIGCONT));
  OK(waitid(P_PID, p, &i, WCONTINUED));
  EQ(i.si_code, CLD_CONTINUED);
  EQ(i.si_status, SIGCONT);
  OK(kill(p, SIGSTOP));
  OK(waitid(P_PID, p, &i, WSTOPPED));
  OK(kill(p, SIGTERM));
  EQ(waitpid(p, &st, WNOHANG), 0);
  OK(kill(p, SIGCONT));
  STREQ(reap(p), "killed by SIGTERM");
  p = xfork();
  if (!p)
    for (;;)
      pause();
  OK(kill(p, SIGSTOP));
  OK(waitid(P_PID, p, &i, WSTOPPED));
  OK(kill(p, SIGKILL));
  STREQ(reap(p), "killed by SIGKILL");
}
TEST(orphans) {
  int q[2];
  MUST(pipe(q));
  pid_t me = getpid();
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  pid_t p = xfork();
  if (!p) {
    pid_t mid = getpid(), g = fork();
    if (!g) {
      while (getppid() == mid)
        msleep(1);
      char ok = getppid() == me;
      write(q[1], &ok, 1);
      _exit(5);
    }
    _exit(0);
  }
  REAP(p);
  char ok = 9;
  OK(read(q[0], &ok, 1));
  EQ(ok, 1);
  int st;
  pid_t g = OK(wait(&st));
  CHECK(g != p);
  puts(status_text(st));
}
TEST(zombies) {
  pid_t p = xfork();
  if (!p)
    _exit(0);
  while (proc_state(p) != 'Z')
    msleep(1);
  OK(kill(p, 0));
  OK(kill(p, SIGTERM));
  EQ(getpgid(p), getpgrp());
  REAP(p);
  ERR(ESRCH, kill(p, 0));
  ERR(ESRCH, getpgid(p));
}
TEST(ignored_child_signal) {
  signal(SIGCHLD, SIG_IGN);
  pid_t p = xfork();
  if (!p)
    _exit(0);
  int st;
  ERR(ECHILD, waitpid(p, &st, 0));
  struct sigaction a = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
  sigaction(SIGCHLD, &a, 0);
  p = xfork();
  if (!p)
    _exit(0);
  ERR(ECHILD, waitpid(p, &st, 0));
}
static siginfo_t got;
static volatile int gots;
static void on_child(int s, siginfo_t *i, void *c) {
  (void)s;
  (void)c;
  got = *i;
  gots++;
}
TEST(child_signal) {
  struct sigaction a = {.sa_sigaction = on_child, .sa_flags = SA_SIGINFO};
  sigaction(SIGCHLD, &a, 0);
  pid_t p = xfork();
  if (!p)
    _exit(6);
  while (!gots)
    msleep(1);
  EQ(got.si_pid, p);
  EQ(got.si_status, 6);
  EQ(got.si_code, CLD_EXITED);
  STREQ(reap(p), "exit 6");
  a.sa_flags |= SA_NOCLDSTOP;
  sigaction(SIGCHLD, &a, 0);
  gots = 0;
  p = xfork();
  if (!p)
    for (;;)
      pause();
  kill(p, SIGSTOP);
  int st;
  OK(waitpid(p, &st, WUNTRACED));
  msleep(10);
  EQ(gots, 0);
  kill(p, SIGKILL);
  OK(waitpid(p, &st, 0));
  while (!gots)
    msleep(1);
  EQ(got.si_code, CLD_KILLED);
}
TEST(vfork_shares) {
  static volatile int v = 1;
  pid_t p = vfork();
  if (!p) {
    v = 2;
    _exit(3);
  }
  EQ(v, 2);
  STREQ(reap(p), "exit 3");
  p = vfork();
  if (!p) {
    execl("/bin/true", "true", (char *)0);
    execl("/bin/busybox", "true", (char *)0);
    _exit(9);
  }
  printf("%s\n", reap(p));
}
static int in_clone(void *x) {
  *(int *)x = 5;
  return 12;
}
TEST(clone_flags) {
  static char stack[65536] __attribute__((aligned(16)));
  catch_signal(SIGUSR1, 0);
  int v = 0;
  pid_t p = OK(clone(in_clone, stack + sizeof stack, CLONE_VM | SIGCHLD, &v));
  STREQ(reap(p), "exit 12");
  EQ(v, 5);
  v = 0;
  p = OK(clone(in_clone, stack + sizeof stack, SIGCHLD, &v));
  STREQ(reap(p), "exit 12");
  EQ(v, 0);
  p = OK(clone(in_clone, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGUSR1, &v));
  int st;
  ERR(ECHILD, waitpid(p, &st, 0));
  EQ(waitpid(p, &st, __WCLONE), p);
  p = OK(clone(in_clone, stack + sizeof stack, 0, &v));
  EQ(waitpid(p, &st, __WALL), p);
  EQ(WEXITSTATUS(st), 12);
  ERR(EINVAL, syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0));
  ERR(EINVAL, syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0));
  ERR(EINVAL, syscall(SYS_clone, CLONE_FS | CLONE_NEWNS, 0, 0, 0, 0));
}
TEST(clone_shares_files_and_directory) {
  static char stack[65536] __attribute__((aligned(16)));
  OK(mkdir("d", 0755));
  int body(void *x) {
    (void)x;
    chdir("d");
    umask(077);
    dup2(0, 77);
    return 0;
  }
  pid_t p = OK(clone(body, stack + sizeof stack, CLONE_FS | CLONE_FILES | SIGCHLD, 0));
  REAP(p);
  EQ(fcntl(77, F_GETFD), 0);
  struct stat s;
  ERR(ENOENT, stat("d", &s));
  EQ(umask(0), 077);
}
TEST(clone3_call) {
  pid_t tid = 0;
  int fd = -1;
  struct clone_args a = {.flags = CLONE_PIDFD | CLONE_PARENT_SETTID,
                         .pidfd = (uintptr_t)&fd,
                         .parent_tid = (uintptr_t)&tid,
                         .exit_signal = SIGCHLD};
  pid_t p = OK(syscall(SYS_clone3, &a, sizeof a));
  if (!p)
    _exit(8);
  EQ(tid, p);
  CHECK(fd >= 0);
  EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
  struct pollfd f = {fd, POLLIN, 0};
  EQ(poll(&f, 1, 5000), 1);
  STREQ(reap(p), "exit 8");
  ERR(EINVAL, syscall(SYS_clone3, &a, 8));
  a.flags = CLONE_DETACHED;
  ERR(EINVAL, syscall(SYS_clone3, &a, sizeof a));
  a.flags = CLONE_PIDFD;
  a.exit_signal = 999;
  ERR(EINVAL, syscall(SYS_clone3, &a, sizeof a));
  a.exit_signal = 0;
  a.stack = 4096;
  ERR(EINVAL, syscall(SYS_clone3, &a, sizeof a));
  ERR(EFAULT, syscall(SYS_clone3, 8, sizeof a));
}
TEST(child_tid) {
  static volatile pid_t set, clear;
  struct clone_args a = {.flags = CLONE_CHILD_SETTID, .child_tid = (uintptr_t)&set, .exit_signal = SIGCHLD};
  fflush(stdout);
  pid_t p = OK(syscall(SYS_clone3, &a, sizeof a));
  if (!p)
    _exit(set == getpid() ? 0 : 1);
  REAP(p);
  EQ(set, 0);
  (void)clear;
}
TEST(many_children) {
  pid_t p[100];
  for (int i = 0; i < 100; i++)
    if (!(p[i] = xfork()))
      _exit(i);
  for (int i = 99; i >= 0; i--) {
    int st;
    EQ(waitpid(p[i], &st, 0), p[i]);
    EQ(WEXITSTATUS(st), i);
  }
}
TEST(deep_recursion_of_forks) {
  pid_t p = xfork();
  if (!p) {
    int depth = 0;
    for (;;) {
      pid_t c = fork();
      if (c) {
        int st;
        waitpid(c, &st, 0);
        _exit(WEXITSTATUS(st) + 1);
      }
      if (++depth == 30)
        _exit(0);
    }
  }
  STREQ(reap(p), "exit 30");
}
TEST(resource_usage) {
  pid_t p = xfork();
  if (!p) {
    volatile long x = 0;
    for (long i = 0; i < 30000000; i++)
      x += i;
    _exit(0);
  }
  struct rusage u;
  int st;
  EQ(wait4(p, &st, 0, &u), p);
  CHECK(u.ru_utime.tv_sec * 1000000 + u.ru_utime.tv_usec > 0);
  CHECK(u.ru_maxrss > 0);
  struct rusage c;
  OK(getrusage(RUSAGE_CHILDREN, &c));
  CHECK(c.ru_utime.tv_sec * 1000000 + c.ru_utime.tv_usec >= u.ru_utime.tv_usec);
  ERR(EINVAL, getrusage(7, &c));
  ERR(EFAULT, getrusage(0, (void *)8));
}
