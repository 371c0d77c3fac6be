// poll(2), ppoll(2), select(2), pselect(2).
#include "guest.h"
static int p[2];
TEST(poll_basics) {
  MUST(pipe(p));
  struct pollfd f[3] = {{p[0], POLLIN, 7}, {99, POLLIN, 0}, {-1, POLLIN, 7}};
  EQ(poll(f, 3, 0), 1);
  EQ(f[0].revents, 0);
  EQ(f[1].revents, POLLNVAL);
  EQ(f[2].revents, 0);
  EQ(poll(0, 0, 0), 0);
  ERR(EFAULT, poll((void *)8, 1, 0));
  struct rlimit r = {10, 10};
  setrlimit(RLIMIT_NOFILE, &r);
  static struct pollfd many[20];
  ERR(EINVAL, poll(many, 20, 0));
  put("f", "x");
  int fd = OK(open("f", O_RDWR));
  f[0] = (struct pollfd){fd, POLLIN | POLLOUT | POLLPRI, 0};
  EQ(poll(f, 1, -1), 1);
  EQ(f[0].revents, POLLIN | POLLOUT);
}
TEST(poll_waits) {
  MUST(pipe(p));
  struct pollfd f = {p[0], POLLIN, 0};
  long long t = now_ms();
  EQ(poll(&f, 1, 30), 0);
  CHECK(now_ms() - t >= 29);
  pid_t c = xfork();
  if (!c) {
    EQ(poll(&f, 1, -1), 1);
    EQ(f.revents, POLLIN);
    CHILD_END();
  }
  until_asleep(c);
  OK(write(p[1], "x", 1));
  REAP(c);
}
TEST(poll_interrupted) {
  MUST(pipe(p));
  struct pollfd f = {p[0], POLLIN, 0};
  catch_signal(SIGALRM, SA_RESTART);
  struct itimerval it = {{0, 0}, {0, 30000}};
  setitimer(ITIMER_REAL, &it, 0);
  ERR(EINTR, poll(&f, 1, 5000));
  sigset_t s, none;
  sigemptyset(&none);
  sigemptyset(&s);
  sigaddset(&s, SIGALRM);
  sigprocmask(SIG_BLOCK, &s, 0);
  raise(SIGALRM);
  EQ(caught[SIGALRM], 1);
  EQ(poll(&f, 1, 0), 0);
  ERR(EINTR, ppoll(&f, 1, 0, &none));
  EQ(caught[SIGALRM], 2);
  sigset_t after;
  sigprocmask(SIG_BLOCK, 0, &after);
  EQ(sigismember(&after, SIGALRM), 1);
  struct timespec ts = {0, 10000000};
  EQ(ppoll(&f, 1, &ts, 0), 0);
  ts.tv_nsec = 1000000000;
  ERR(EINVAL, ppoll(&f, 1, &ts, 0));
}
TEST(select_basics) {
  MUST(pipe(p));
  fd_set r, w;
  FD_ZERO(&r);
  FD_ZERO(&w);
  FD_SET(p[0], &r);
  FD_SET(p[1], &w);
  struct timeval t = {0, 0};
  EQ(select(p[1] + 1, &r, &w, 0, &t), 1);
  CHECK(!FD_ISSET(p[0], &r));
  CHECK(FD_ISSET(p[1], &w));
  OK(write(p[1], "x", 1));
  FD_SET(p[0], &r);
  EQ(select(p[1] + 1, &r, &w, 0, &t), 2);
  close(p[1]);
  FD_ZERO(&w);
  FD_SET(p[1], &w);
  ERR(EBADF, select(p[1] + 1, 0, &w, 0, &t));
  ERR(EINVAL, select(-1, 0, 0, 0, &t));
  t.tv_sec = -1;
  ERR(EINVAL, select(0, 0, 0, 0, &t));
  t = (struct timeval){0, 20000};
  EQ(select(0, 0, 0, 0, &t), 0);
  EQ(t.tv_usec, 0);
}
TEST(select_remaining_time) {
  MUST(pipe(p));
  OK(write(p[1], "x", 1));
  fd_set r;
  FD_ZERO(&r);
  FD_SET(p[0], &r);
  struct timeval t = {5, 0};
  EQ(select(p[0] + 1, &r, 0, 0, &t), 1);
  CHECK(t.tv_sec == 4 || t.tv_sec == 5);
  CHECK(t.tv_sec == 5 || t.tv_usec > 0);
}
TEST(pselect_mask) {
  MUST(pipe(p));
  sigset_t s, none;
  sigemptyset(&none);
  sigemptyset(&s);
  sigaddset(&s, SIGUSR1);
  sigprocmask(SIG_BLOCK, &s, 0);
  catch_signal(SIGUSR1, 0);
  raise(SIGUSR1);
  fd_set r;
  FD_ZERO(&r);
  FD_SET(p[0], &r);
  ERR(EINTR, pselect(p[0] + 1, &r, 0, 0, 0, &none));
  EQ(caught[SIGUSR1], 1);
}
TEST(high_descriptors) {
  MUST(pipe(p));
  MUST(dup2(p[0], 1000));
  fd_set r;
  FD_ZERO(&r);
  FD_SET(1000, &r);
  struct timeval t = {0, 0};
  EQ(select(1001, &r, 0, 0, &t), 0);
  OK(write(p[1], "x", 1));
  FD_SET(1000, &r);
  EQ(select(1001, &r, 0, 0, &t), 1);
  CHECK(FD_ISSET(1000, &r));
}
TEST(closed_by_another_thread_stays_quiet) {
  MUST(pipe(p));
  struct pollfd f = {p[1], POLLIN, 0};
  EQ(poll(&f, 1, 10), 0);
  f.events = 0;
  close(p[0]);
  EQ(poll(&f, 1, 10), 1);
  EQ(f.revents, POLLERR);
}
