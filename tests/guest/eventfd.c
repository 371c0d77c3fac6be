// eventfd(2), signalfd(2).
#include "guest.h"
TEST(counter) {
  int e = OK(eventfd(3, EFD_NONBLOCK));
  uint64_t v;
  EQ(read(e, &v, 8), 8);
  EQ(v, 3);
  ERR(EAGAIN, read(e, &v, 8));
  v = 5;
  EQ(write(e, &v, 8), 8);
  v = 6;
  EQ(write(e, &v, 8), 8);
  EQ(read(e, &v, 8), 8);
  EQ(v, 11);
  v = -1;
  ERR(EINVAL, write(e, &v, 8));
  v = -2;
  EQ(write(e, &v, 8), 8);
  v = 1;
  ERR(EAGAIN, write(e, &v, 8));
  ERR(EINVAL, read(e, &v, 4));
  ERR(EINVAL, write(e, &v, 7));
  ERR(EINVAL, eventfd(0, 8));
  ERR(ESPIPE, pread(e, &v, 8, 0));
}
TEST(semaphore) {
  int e = OK(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC));
  EQ(fcntl(e, F_GETFD), FD_CLOEXEC);
  uint64_t v;
  OK(read(e, &v, 8));
  EQ(v, 1);
  OK(read(e, &v, 8));
  EQ(v, 1);
  ERR(EAGAIN, read(e, &v, 8));
}
TEST(readiness) {
  int e = OK(eventfd(0, 0));
  struct pollfd f = {e, POLLIN | POLLOUT, 0};
  EQ(poll(&f, 1, 0), 1);
  EQ(f.revents, POLLOUT);
  uint64_t v = -2;
  OK(write(e, &v, 8));
  EQ(poll(&f, 1, 0), 1);
  EQ(f.revents, POLLIN);
}
TEST(waiting) {
  int e = OK(eventfd(0, 0));
  uint64_t v = 7;
  pid_t c = xfork();
  if (!c) {
    OK(read(e, &v, 8));
    EQ(v, 7);
    CHILD_END();
  }
  until_asleep(c);
  OK(write(e, &v, 8));
  REAP(c);
  v = -2;
  OK(write(e, &v, 8));
  c = xfork();
  if (!c) {
    v = 1;
    OK(write(e, &v, 8));
    CHILD_END();
  }
  until_asleep(c);
  OK(read(e, &v, 8));
  EQ(v, (uint64_t)-2);
  REAP(c);
  OK(read(e, &v, 8));
  EQ(v, 1);
}
TEST(signals_as_data) {
  sigset_t s;
  sigemptyset(&s);
  sigaddset(&s, SIGUSR1);
  sigaddset(&s, SIGRTMIN);
  sigprocmask(SIG_BLOCK, &s, 0);
  int f = OK(signalfd(-1, &s, SFD_NONBLOCK | SFD_CLOEXEC));
  struct signalfd_siginfo i[3];
  ERR(EAGAIN, read(f, i, sizeof *i));
  ERR(EINVAL, read(f, i, 10));
  OK(kill(getpid(), SIGUSR1));
  OK(kill(getpid(), SIGUSR1));
  struct pollfd p = {f, POLLIN, 0};
  EQ(poll(&p, 1, 0), 1);
  EQ(read(f, i, sizeof i), 128);
  EQ(i[0].ssi_signo, SIGUSR1);
  EQ(i[0].ssi_pid, getpid());
  EQ(i[0].ssi_uid, 0);
  EQ(i[0].ssi_code, SI_USER);
  EQ(poll(&p, 1, 0), 0);
  sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 42});
  sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 43});
  EQ(read(f, i, sizeof i), 256);
  EQ(i[0].ssi_int, 42);
  EQ(i[1].ssi_int, 43);
  EQ(i[1].ssi_code, SI_QUEUE);
  sigdelset(&s, SIGRTMIN);
  EQ(signalfd(f, &s, 0), f);
  sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 1});
  ERR(EAGAIN, read(f, i, sizeof i));
  ERR(EINVAL, signalfd(0, &s, 0));
  ERR(EBADF, signalfd(99, &s, 0));
  ERR(EINVAL, signalfd(-1, &s, 1));
}
TEST(signal_wakes_reader) {
  sigset_t s;
  sigemptyset(&s);
  sigaddset(&s, SIGUSR2);
  sigprocmask(SIG_BLOCK, &s, 0);
  pid_t c = xfork();
  if (!c) {
    int f = OK(signalfd(-1, &s, 0));
    struct signalfd_siginfo i;
    EQ(read(f, &i, sizeof i), 128);
    EQ(i.ssi_signo, SIGUSR2);
    EQ(i.ssi_pid, getppid());
    CHILD_END();
  }
  until_asleep(c);
  OK(kill(c, SIGUSR2));
  REAP(c);
}
TEST(child_exit_as_data) {
  sigset_t s;
  sigemptyset(&s);
  sigaddset(&s, SIGCHLD);
  sigprocmask(SIG_BLOCK, &s, 0);
  int f = OK(signalfd(-1, &s, 0));
  pid_t c = xfork();
  if (!c)
    _exit(9);
  struct signalfd_siginfo i;
  EQ(read(f, &i, sizeof i), 128);
  EQ(i.ssi_signo, SIGCHLD);
  EQ(i.ssi_pid, c);
  EQ(i.ssi_status, 9);
  EQ(i.ssi_code, CLD_EXITED);
  STREQ(reap(c), "exit 9");
}
