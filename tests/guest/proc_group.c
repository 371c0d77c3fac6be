// Process groups and sessions.
#include "guest.h"
TEST(groups) {
  pid_t me = getpid();
  CHECK(getpgrp() != me);
  OK(setpgid(0, 0));
  EQ(getpgrp(), me);
  EQ(getpgid(0), me);
  pid_t c = xfork();
  if (!c)
    for (;;)
      pause();
  EQ(getpgid(c), me);
  OK(setpgid(c, c));
  EQ(getpgid(c), c);
  OK(setpgid(c, me));
  ERR(EPERM, setpgid(c, 99999));
  ERR(ESRCH, setpgid(99999, 0));
  ERR(EINVAL, setpgid(c, -1));
  ERR(ESRCH, setpgid(getppid(), 0));
  ERR(ESRCH, getpgid(99999));
  kill(c, SIGKILL);
  puts(reap(c));
}
TEST(sessions) {
  pid_t c = xfork();
  if (!c) {
    pid_t me = getpid();
    EQ(setsid(), me);
    EQ(getsid(0), me);
    EQ(getpgrp(), me);
    ERR(EPERM, setsid());
    ERR(EPERM, setpgid(0, 0));
    pid_t k = xfork();
    if (!k) {
      EQ(getsid(0), me);
      CHILD_END();
    }
    REAP(k);
    CHILD_END();
  }
  REAP(c);
  ERR(ESRCH, getsid(99999));
}
TEST(other_session) {
  pid_t c = xfork();
  int q[2];
  MUST(pipe(q));
  (void)q;
  if (!c) {
    setsid();
    for (;;)
      pause();
  }
  while (getsid(c) != c)
    msleep(1);
  ERR(EPERM, setpgid(c, 0));
  kill(c, SIGKILL);
  puts(reap(c));
}
TEST(setpgid_after_exec) {
  char *a[] = {"sleep", "5", 0};
  int q[2];
  MUST(pipe2(q, O_CLOEXEC));
  pid_t c = xfork();
  if (!c) {
    execv("/bin/sleep", a);
    execv("/bin/busybox", a);
    _exit(9);
  }
  close(q[1]);
  char b;
  read(q[0], &b, 1);
  ERR(EACCES, setpgid(c, c));
  kill(c, SIGKILL);
  puts(reap(c));
}
TEST(signal_a_group) {
  int q[2];
  MUST(pipe(q));
  pid_t c[3], g = 0;
  for (int i = 0; i < 3; i++) {
    if (!(c[i] = xfork())) {
      for (;;)
        pause();
    }
    if (!i)
      g = c[i];
    OK(setpgid(c[i], g));
  }
  ERR(ESRCH, kill(-99999, SIGTERM));
  OK(kill(-g, SIGTERM));
  for (int i = 0; i < 3; i++)
    puts(reap(c[i]));
  ERR(ESRCH, kill(-g, 0));
  ERR(ESRCH, killpg(g, SIGTERM));
}
TEST(wait_by_group) {
  pid_t a = xfork();
  if (!a) {
    for (;;)
      pause();
  }
  OK(setpgid(a, a));
  pid_t b = xfork();
  if (!b)
    _exit(2);
  int st;
  EQ(waitpid(0, &st, 0), b);
  EQ(waitpid(-a, &st, WNOHANG), 0);
  ERR(ECHILD, waitpid(-99999, &st, 0));
  kill(a, SIGKILL);
  EQ(waitpid(-a, &st, 0), a);
  siginfo_t i;
  ERR(ECHILD, waitid(P_PGID, a, &i, WEXITED));
}
TEST(orphaned_group_gets_hangup) {
  int q[2];
  MUST(pipe(q));
  pid_t mid = xfork();
  if (!mid) {
    setsid();
    pid_t k = fork();
    if (!k) {
      catch_signal(SIGHUP, 0);
      catch_signal(SIGCONT, 0);
      setpgid(0, 0);
      write(q[1], "r", 1);
      raise(SIGSTOP);
      for (int i = 0; i < 500 && !(caught[SIGHUP] && caught[SIGCONT]); i++)
        msleep(10);
      char r = caught[SIGHUP] == 1 && caught[SIGCONT] == 1 ? 'y' : 'n';
      write(q[1], &r, 1);
      _exit(0);
    }
    char b;
    read(q[0], &b, 1);
    int st;
    waitpid(k, &st, WUNTRACED);
    _exit(0);
  }
  REAP(mid);
  char b = 0;
  OK(read(q[0], &b, 1));
  EQ(b, 'y');
}
TEST(nice_values) {
  setpriority(PRIO_PROCESS, 0, 0);
  errno = 0;
  EQ(getpriority(PRIO_PROCESS, 0), 0);
  OK(setpriority(PRIO_PROCESS, 0, 5));
  EQ(getpriority(PRIO_PROCESS, 0), 5);
  EQ(nice(3), 8);
  OK(setpriority(PRIO_PROCESS, 0, 100));
  EQ(getpriority(PRIO_PROCESS, 0), 19);
  IN_CHILD {
    EQ(getpriority(PRIO_PROCESS, 0), 19);
  }
  ERR(ESRCH, getpriority(PRIO_PROCESS, 99999));
  ERR(EINVAL, getpriority(9, 0));
  IN_CHILD {
    become(1000, 1000);
    ERR(EACCES, setpriority(PRIO_PROCESS, 0, -5));
  }
}
